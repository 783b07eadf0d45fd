/* wire_name.c: names in messages: their bounds, spelling, compression and text (RFC 1035 4.1.4).
 * Knows bytes and offsets; never what a record means. */
#include "wire_parts.h"

#include <string.h>

#define ONES     UINT64_C(0x0101010101010101)
#define HIGHS    (ONES * 0x80)
#define CASE_BIT 0x20
#define POINTER  0xc0

size_t wire_name_len(const uint8_t *bytes, size_t len)
{
    size_t max = len < WIRE_NAME_MAX ? len : WIRE_NAME_MAX;
    size_t at = 0;

    while (at < max) {
        size_t label = bytes[at];
        if (label == 0)
            return at + 1;
        if (label > WIRE_LABEL_MAX)
            return 0;
        at += label + 1;
    }
    return 0;
}

static uint8_t lower(uint8_t c)
{
    return (uint8_t)(c - 'A') < 26 ? c | CASE_BIT : c;
}

/* Eight bytes at once: bytes from 'A' to 'Z' get the case bit, others, those above 127 among them,
 * stay. Each byte's sums below carry into its own high bit only. */
static uint64_t lower8(uint64_t bytes)
{
    uint64_t seven = bytes & ~HIGHS;
    uint64_t from_a = seven + (0x80 - 'A') * ONES;
    uint64_t beyond_z = seven + (0x7f - 'Z') * ONES;
    uint64_t capital = (from_a ^ beyond_z) & ~bytes & HIGHS;
    return bytes | capital >> 2;
}

void wire_name_lower(const uint8_t *in, size_t len, uint8_t *out)
{
    size_t i = 0;

    for (; i + 8 <= len; i += 8) {
        uint64_t bytes;
        memcpy(&bytes, in + i, 8);
        bytes = lower8(bytes);
        memcpy(out + i, &bytes, 8);
    }
    for (; i < len; i++)
        out[i] = lower(in[i]);
}

/* Length bytes are below 'A', so that labels need not be told apart. */
bool wire_name_equal(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    if (a_len != b_len)
        return false;
    size_t i = 0;
    for (; i + 8 <= a_len; i += 8) {
        uint64_t x, y;
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y && lower8(x) != lower8(y))
            return false;
    }
    for (; i < a_len; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool wire_name_below(const uint8_t *name, size_t len, const uint8_t *parent, size_t parent_len)
{
    if (len < parent_len)
        return false;
    size_t cut = len - parent_len;
    if (!wire_name_equal(name + cut, parent_len, parent, parent_len))
        return false;
    size_t at = 0;
    while (at < cut)
        at += (size_t)name[at] + 1;
    return at == cut; /* and not in the middle of a label */
}

unsigned wire_name_labels(const uint8_t *name, size_t len)
{
    unsigned n = 0;

    for (size_t at = 0; at < len && name[at]; at += (size_t)name[at] + 1)
        n++;
    return n;
}

static size_t put_text_byte(uint8_t c, char *out)
{
    bool plain = (uint8_t)(lower(c) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-' || c == '_';
    if (plain) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = '\\';
    out[1] = (char)('0' + c / 100);
    out[2] = (char)('0' + c / 10 % 10);
    out[3] = (char)('0' + c % 10);
    return 4;
}

size_t wire_name_text(const uint8_t *name, size_t len, char out[WIRE_NAME_TEXT_MAX])
{
    size_t n = 0;
    size_t at = 0;

    if (len > WIRE_NAME_MAX)
        len = WIRE_NAME_MAX;
    while (at < len && name[at]) {
        size_t label_end = at + 1 + name[at];
        if (n > 0)
            out[n++] = '.';
        for (at++; at < label_end && at < len; at++)
            n += put_text_byte(name[at], out + n);
    }
    if (n == 0)
        out[n++] = '.';
    out[n] = '\0';
    return n;
}

void wire_name_randomise_case(uint8_t *name, size_t len, const uint8_t *random)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t small = lower(name[i]);
        bool keep_small = random[i / 8] >> i % 8 & 1;
        if ((uint8_t)(small - 'a') < 26)
            name[i] = keep_small ? small : small & (uint8_t)~CASE_BIT;
    }
}

/* ---- names in messages ----------------------------------------------------------------------- */

/* The bytes at an offset, up to the end of the piece that they lie in. */
static const uint8_t *locate(const struct wire_source *s, size_t at, size_t *left)
{
    if (at >= s->body_at && at < s->end) {
        *left = s->end - at;
        return s->body + (at - s->body_at);
    }
    if (at >= WIRE_HEADER_LEN && at - WIRE_HEADER_LEN < s->name_len) {
        *left = s->name_len - (at - WIRE_HEADER_LEN);
        return s->name + (at - WIRE_HEADER_LEN);
    }
    *left = 0;
    return NULL;
}

static void trail_mark(struct wire_trail *t, size_t at)
{
    if (t && at < WIRE_POINTABLE)
        t->starts[at / 64] |= UINT64_C(1) << at % 64;
}

static void trail_follow(struct wire_trail *t, size_t target)
{
    if (t && !(t->starts[target / 64] >> target % 64 & 1))
        t->astray = true;
}

static bool trail_pay(struct wire_trail *t, size_t cost)
{
    if (!t)
        return true;
    if (t->work_left < cost)
        return false;
    t->work_left -= cost;
    return true;
}

/* A pointer leads below where the run of labels it ends began, and never into the header: the bytes
 * there are other ones in each reply. So no walk comes by the same place twice. */
size_t wire_name_read(
    const struct wire_source *s, size_t at, uint8_t *out, size_t *end, struct wire_trail *trail)
{
    size_t left;
    const uint8_t *p = locate(s, at, &left);
    size_t run = at;
    size_t len = 0;
    unsigned jumps = 0;

    while (left > 0) {
        size_t label = p[0];
        if (label >= POINTER) {
            if (left < 2)
                return 0;
            size_t target = (label & ~(size_t)POINTER) << 8 | p[1];
            if (jumps++ == 0)
                *end = at + 2;
            if (target >= run || target < WIRE_HEADER_LEN || jumps > WIRE_JUMPS_MAX)
                return 0;
            trail_follow(trail, target);
            run = at = target;
            p = locate(s, at, &left);
            continue;
        }
        if (label > WIRE_LABEL_MAX || left < label + 1 || len + label + 1 > WIRE_NAME_MAX)
            return 0;
        if (jumps == 0)
            trail_mark(trail, at);
        if (out)
            memcpy(out + len, p, label + 1);
        len += label + 1;
        at += label + 1;
        p += label + 1;
        left -= label + 1;
        if (label == 0) {
            if (jumps == 0)
                *end = at;
            return trail_pay(trail, len + jumps) ? len : 0;
        }
    }
    return 0;
}

size_t wire_name_origin(const struct wire_source *s, size_t at)
{
    for (unsigned jumps = 0; jumps <= WIRE_JUMPS_MAX; jumps++) {
        size_t left;
        const uint8_t *p = locate(s, at, &left);
        if (left < 2 || p[0] < POINTER)
            break;
        at = (size_t)(p[0] & ~POINTER) << 8 | p[1];
    }
    return at;
}

int wire_name_skip(const struct wire_source *s, size_t *at)
{
    size_t left;
    const uint8_t *p = locate(s, *at, &left);
    size_t len = 0;

    while (len < left && len < WIRE_NAME_MAX) {
        size_t label = p[len];
        if (label >= POINTER) {
            if (left - len < 2)
                return -1;
            *at += len + 2;
            return 0;
        }
        if (label > WIRE_LABEL_MAX)
            return -1;
        len += label + 1;
        if (label == 0) {
            *at += len;
            return 0;
        }
    }
    return -1;
}

size_t wire_name_expand(
    const uint8_t *msg, size_t len, size_t at, uint8_t out[WIRE_NAME_MAX], size_t *end)
{
    struct wire_source s = wire_source_of(msg, len);
    size_t behind = 0;
    size_t name_len = wire_name_read(&s, at, out, &behind, NULL);

    if (name_len > 0 && end)
        *end = behind;
    return name_len;
}
