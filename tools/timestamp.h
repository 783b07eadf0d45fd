/* timestamp.h: the times that logs put in front of their lines, to milliseconds.
 * Knows forms of time; never a clock or a time zone's rules: what names no zone counts as UTC,
 * since only differences matter here. */
#ifndef DNSD_TOOLS_TIMESTAMP_H
#define DNSD_TOOLS_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMESTAMP_YEAR_MS (UINT64_C(366) * 86400000) /* of a time without a year */

struct timestamp {
    uint64_t at_ms; /* since 1970; where there is no year: since the start of one of 366 days */
    bool has_year;
    bool has_fraction; /* of a second */
};

/* Reads the time at the start of text:
 *
 *     1700000000, 1700000000.123, [1700000000]   seconds since 1970
 *     2026-11-21T00:19:01.123456+01:00            also with a blank for T, without the rest
 *     Nov 21 00:19:01                             also with a fraction
 *
 * Returns its length, or 0 when there is none. */
size_t timestamp_read(const char *text, size_t len, struct timestamp *out);

#endif
