/* timestamp.c: knows how syslog, journalctl, dnsmasq and unbound write a time.
 * Never knows what happened then. */
#include "tools/timestamp.h"

#include <string.h>

#define SECOND_MS    1000
#define DAY_S        86400
#define EPOCH_MIN    UINT64_C(100000000)    /* 1973: a smaller number is something else */
#define EPOCH_MAX    UINT64_C(253402300799) /* the end of 9999 */
#define DAYS_TO_1970 719468                 /* from 0000-03-01 */

struct reader {
    const char *at;
    const char *end;
};

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool is_digit(const struct reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

/* Reads a number of min to max digits; false where there are fewer. */
static bool take_number(struct reader *r, unsigned min, unsigned max, uint64_t *out)
{
    unsigned n = 0;
    *out = 0;
    for (; n < max && is_digit(r); n++)
        *out = *out * 10 + (uint64_t)(*r->at++ - '0');
    return n >= min;
}

/* A fraction of a second, to milliseconds, if there is one. */
static void take_fraction(struct reader *r, struct timestamp *out)
{
    struct reader was = *r;
    unsigned n = 0;
    if (!take(r, '.') && !take(r, ','))
        return;
    if (!is_digit(r)) {
        *r = was;
        return;
    }
    for (uint64_t unit = 100; is_digit(r); r->at++, unit /= 10, n++)
        out->at_ms += unit * (uint64_t)(*r->at - '0');
    out->has_fraction = true;
}

static bool take_clock(struct reader *r, uint64_t *seconds)
{
    uint64_t h, m, s;
    if (!take_number(r, 2, 2, &h) || !take(r, ':') || !take_number(r, 2, 2, &m) || !take(r, ':') ||
        !take_number(r, 2, 2, &s) || h > 23 || m > 59 || s > 60)
        return false;
    *seconds = (h * 60 + m) * 60 + s;
    return true;
}

/* Z, +01:00, -0100, or nothing. In a zone ahead of UTC, the same clock shows an earlier time. */
static void take_zone(struct reader *r, struct timestamp *out)
{
    struct reader was = *r;
    uint64_t h, m = 0, ms;
    bool ahead = take(r, '+');
    if (take(r, 'Z') || (!ahead && !take(r, '-')))
        return;
    if (!take_number(r, 2, 2, &h)) {
        *r = was;
        return;
    }
    take(r, ':');
    take_number(r, 0, 2, &m);
    ms = (h * 60 + m) * 60 * SECOND_MS;
    if (!ahead)
        out->at_ms += ms;
    else if (out->at_ms >= ms)
        out->at_ms -= ms;
}

/* Days from 1970 to a date: years begin in March, so that the leap day is their last. */
static uint64_t days_since_1970(uint64_t year, uint64_t month, uint64_t day)
{
    uint64_t y = month > 2 ? year : year - 1;
    uint64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 + in_year - DAYS_TO_1970;
}

static bool read_iso(struct reader *r, struct timestamp *out)
{
    uint64_t year, month, day, seconds;
    if (!take_number(r, 4, 4, &year) || !take(r, '-') || !take_number(r, 2, 2, &month) ||
        !take(r, '-') || !take_number(r, 2, 2, &day) || (!take(r, 'T') && !take(r, ' ')) ||
        !take_clock(r, &seconds))
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    out->at_ms = (days_since_1970(year, month, day) * DAY_S + seconds) * SECOND_MS;
    out->has_year = true;
    take_fraction(r, out);
    take_zone(r, out);
    return true;
}

static bool read_epoch(struct reader *r, struct timestamp *out)
{
    uint64_t seconds;
    bool in_brackets = take(r, '[');
    if (!take_number(r, 1, 12, &seconds) || is_digit(r) || seconds < EPOCH_MIN ||
        seconds > EPOCH_MAX)
        return false;
    out->at_ms = seconds * SECOND_MS;
    out->has_year = true;
    take_fraction(r, out);
    return !in_brackets || take(r, ']');
}

/* The month at the start, from 0; 12 for none. */
static unsigned take_month(struct reader *r)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    unsigned month = 12;
    if (r->end - r->at < 4)
        return month;
    for (month = 0; month < 12 && memcmp(r->at, names + (size_t)month * 3, 3) != 0;)
        month++;
    r->at += 3;
    return month;
}

static bool read_syslog(struct reader *r, struct timestamp *out)
{
    static const uint16_t before[] = {0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335};
    unsigned month = take_month(r);
    uint64_t day, seconds;
    if (month == 12 || !take(r, ' '))
        return false;
    take(r, ' ');
    if (!take_number(r, 1, 2, &day) || !take(r, ' ') || !take_clock(r, &seconds) || day < 1 ||
        day > 31)
        return false;
    out->at_ms = ((before[month] + day - 1) * DAY_S + seconds) * SECOND_MS;
    take_fraction(r, out);
    return true;
}

size_t timestamp_read(const char *text, size_t len, struct timestamp *out)
{
    static bool (*const forms[])(struct reader *, struct timestamp *) = {
        read_syslog, read_iso, read_epoch};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct reader r = {.at = text, .end = text + len};
        *out = (struct timestamp){0};
        if (forms[i](&r, out))
            return (size_t)(r.at - text);
    }
    return 0;
}
