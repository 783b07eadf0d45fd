/* quantity.c: knows digits, units and what they stand for.
 * Never knows options, files or how a mistake is told. */
#include "quantity.h"

#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

#define END                                                                                        \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

static const struct unit units[][10] = {
    [QUANTITY_COUNT] = {{"", 1}, END},
    [QUANTITY_PERCENT] = {{"", 1}, {"%", 1}, END},
    [QUANTITY_PERIOD] = {{"", QUANTITY_SECOND_MS}, {"ms", 1}, {"s", QUANTITY_SECOND_MS},
        {"m", QUANTITY_MINUTE_MS}, {"h", QUANTITY_HOUR_MS}, {"d", QUANTITY_DAY_MS}, END},
    [QUANTITY_SIZE] = {{"", 1}, {"K", QUANTITY_KIB}, {"k", QUANTITY_KIB}, {"M", QUANTITY_MIB},
        {"m", QUANTITY_MIB}, {"G", QUANTITY_GIB}, {"g", QUANTITY_GIB}, END},
};

bool quantity_read(
    enum quantity_kind kind, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    const struct unit *unit = units[kind];
    const char *at = text;
    uint64_t n = 0;

    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (at == text)
        return false;
    while (unit->name != NULL && strcmp(unit->name, at) != 0)
        unit++;
    if (unit->name == NULL || n > max / unit->factor || n * unit->factor < min)
        return false;
    *out = n * unit->factor;
    return true;
}
