/* clock.h: the one place that reads a clock for the core. */
#ifndef DNSD_NET_CLOCK_H
#define DNSD_NET_CLOCK_H

#include <stdint.h>

/* Milliseconds since boot, time spent suspended included (CLOCK_BOOTTIME). */
uint64_t clock_now_ms(void);

#endif
