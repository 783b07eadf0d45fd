/* quantity.h: a number with its unit, as people write it: 2, 500ms, 15m, 64M, 10%.
 * Knows text and units; never what is measured. */
#ifndef DNSD_QUANTITY_H
#define DNSD_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

#define QUANTITY_SECOND_MS UINT64_C(1000)
#define QUANTITY_MINUTE_MS (60 * QUANTITY_SECOND_MS)
#define QUANTITY_HOUR_MS   (60 * QUANTITY_MINUTE_MS)
#define QUANTITY_DAY_MS    (24 * QUANTITY_HOUR_MS)
#define QUANTITY_KIB       UINT64_C(1024)
#define QUANTITY_MIB       (1024 * QUANTITY_KIB)
#define QUANTITY_GIB       (1024 * QUANTITY_MIB)

enum quantity_kind {
    QUANTITY_COUNT,   /* no unit */
    QUANTITY_PERCENT, /* % or none */
    QUANTITY_PERIOD,  /* in milliseconds; ms, s, m, h, d, and none for seconds */
    QUANTITY_SIZE,    /* in bytes; K, M, G in either case, and none */
};

/* Reads digits and a unit, with nothing before, between or behind them. False, and *out untouched,
 * when it is something else or does not lie within min and max. */
bool quantity_read(
    enum quantity_kind kind, const char *text, uint64_t min, uint64_t max, uint64_t *out);

#endif
