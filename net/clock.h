/* clock.h: the one place that reads clocks for the core. */
#ifndef DNSD_NET_CLOCK_H
#define DNSD_NET_CLOCK_H

#include <stdint.h>

/* Milliseconds since boot, time spent suspended included (CLOCK_BOOTTIME). */
uint64_t clock_now_ms(void);

/* Seconds since 1970, modulo 2^32. It jumps where somebody sets it: only for what others shall read
 * as a date. */
uint32_t clock_wall_s(void);

#endif
