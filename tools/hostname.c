/* hostname.c: knows labels, dots and escapes, and how long a name may be.
 * Never knows where the text comes from. */
#include "tools/hostname.h"

#include <stdbool.h>
#include <string.h>

struct reader {
    const char *at;
    const char *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What stands behind a backslash: the byte, or -1. */
static int read_escaped(struct reader *r)
{
    if (r->at == r->end)
        return -1;
    if (!is_digit(*r->at))
        return (uint8_t)*r->at++;
    if (r->end - r->at < 3 || !is_digit(r->at[1]) || !is_digit(r->at[2]))
        return -1;
    int byte = (r->at[0] - '0') * 100 + (r->at[1] - '0') * 10 + (r->at[2] - '0');
    r->at += 3;
    return byte <= UINT8_MAX ? byte : -1;
}

/* A byte of a label: itself or escaped; -1 for what cannot stand in one. */
static int read_byte(struct reader *r)
{
    uint8_t c = (uint8_t)*r->at++;
    if (c == '\\')
        return read_escaped(r);
    return c > ' ' && c < 0x7f ? c : -1;
}

size_t hostname_read(const char *text, size_t len, uint8_t out[WIRE_NAME_MAX])
{
    struct reader r = {.at = text, .end = text + len};
    size_t n = 0;

    if (len == 1 && text[0] == '.') {
        out[0] = 0;
        return 1;
    }
    while (r.at < r.end) {
        size_t label = n++; /* its length byte; there is always room for it, and for the root's */
        while (r.at < r.end && *r.at != '.') {
            int byte = read_byte(&r);
            if (byte < 0 || n - label > WIRE_LABEL_MAX || n + 2 > WIRE_NAME_MAX)
                return 0;
            out[n++] = (uint8_t)byte;
        }
        if (n == label + 1)
            return 0;
        out[label] = (uint8_t)(n - label - 1);
        r.at += r.at < r.end;
    }
    if (n == 0)
        return 0;
    out[n++] = 0;
    return n;
}

int hostname_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    uint8_t low_a[WIRE_NAME_MAX], low_b[WIRE_NAME_MAX];
    wire_name_lower(a, a_len, low_a);
    wire_name_lower(b, b_len, low_b);
    int order = memcmp(low_a, low_b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}
