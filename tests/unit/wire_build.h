/* tests/unit/wire_build.h: messages for tests, put together record by record, and messages as text.
 * Knows wire.h's public side only; never the code that is tested. */
#ifndef DNSD_TESTS_WIRE_BUILD_H
#define DNSD_TESTS_WIRE_BUILD_H

#include "wire.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct msg {
    uint8_t bytes[WIRE_MESSAGE_MAX + 1024];
    size_t len;
    size_t rdata_at; /* of the record that is open */
};

static inline void m_raw(struct msg *m, const void *bytes, size_t len)
{
    ck_assert_uint_le(m->len + len, sizeof m->bytes);
    memcpy(m->bytes + m->len, bytes, len);
    m->len += len;
}

static inline void m_u8(struct msg *m, unsigned value)
{
    uint8_t byte = (uint8_t)value;
    m_raw(m, &byte, 1);
}

static inline void m_u16(struct msg *m, unsigned value)
{
    m_u8(m, value >> 8 & 0xff);
    m_u8(m, value & 0xff);
}

static inline void m_u32(struct msg *m, uint32_t value)
{
    m_u16(m, value >> 16);
    m_u16(m, value & 0xffff);
}

static inline void m_set_u16(struct msg *m, size_t at, unsigned value)
{
    m->bytes[at] = (uint8_t)(value >> 8);
    m->bytes[at + 1] = (uint8_t)value;
}

/* A name as text, "." for the root; "@" points to the question's name, "@42" to offset 42; labels
 * may stand before the "@": "www.@". */
static inline size_t m_name(struct msg *m, const char *text)
{
    size_t at = m->len;

    while (*text && *text != '@') {
        size_t n = strcspn(text, ".@");
        if (n > 0) {
            m_u8(m, (unsigned)n);
            m_raw(m, text, n);
        }
        text += n;
        text += *text == '.';
    }
    if (*text == '@')
        m_u16(m, 0xc000 | (text[1] ? (unsigned)atoi(text + 1) : WIRE_HEADER_LEN));
    else
        m_u8(m, 0);
    return at;
}

static inline void m_start(struct msg *m, unsigned flags, const char *name, unsigned type)
{
    m->len = 0;
    m_u16(m, 0x1234);
    m_u16(m, flags);
    m_u16(m, 1);
    m_u16(m, 0);
    m_u32(m, 0);
    m_name(m, name);
    m_u16(m, type);
    m_u16(m, WIRE_CLASS_IN);
}

/* Opens a record, whose RDATA is what is written up to m_close. Returns its offset. */
static inline size_t m_open(
    struct msg *m, enum wire_section section, const char *owner, unsigned type, uint32_t ttl_s)
{
    size_t count_at = 6 + 2 * (size_t)section;
    size_t at = m->len;

    m_set_u16(m, count_at, m->bytes[count_at] * 256u + m->bytes[count_at + 1] + 1);
    m_name(m, owner);
    m_u16(m, type);
    m_u16(m, WIRE_CLASS_IN);
    m_u32(m, ttl_s);
    m_u16(m, 0);
    m->rdata_at = m->len;
    return at;
}

static inline void m_close(struct msg *m)
{
    m_set_u16(m, m->rdata_at - 2, (unsigned)(m->len - m->rdata_at));
}

static inline void m_a(
    struct msg *m, enum wire_section s, const char *owner, uint32_t ttl_s, uint32_t ip)
{
    m_open(m, s, owner, WIRE_TYPE_A, ttl_s);
    m_u32(m, ip);
    m_close(m);
}

/* A record whose RDATA is one name. */
static inline size_t m_to(struct msg *m, enum wire_section s, const char *owner, unsigned type,
    uint32_t ttl_s, const char *target)
{
    m_open(m, s, owner, type, ttl_s);
    size_t at = m_name(m, target);
    m_close(m);
    return at;
}

static inline void m_soa(
    struct msg *m, enum wire_section s, const char *owner, uint32_t ttl_s, uint32_t minimum_s)
{
    m_open(m, s, owner, WIRE_TYPE_SOA, ttl_s);
    m_name(m, "ns.example");
    m_name(m, "root.example");
    m_u32(m, 1);
    m_u32(m, 7200);
    m_u32(m, 3600);
    m_u32(m, 86400);
    m_u32(m, minimum_s);
    m_close(m);
}

static inline void m_rrsig(
    struct msg *m, enum wire_section s, const char *owner, uint32_t ttl_s, unsigned covered)
{
    m_open(m, s, owner, WIRE_TYPE_RRSIG, ttl_s);
    m_u16(m, covered);
    m_u16(m, 0x0d02);
    for (int i = 0; i < 3; i++)
        m_u32(m, 0);
    m_u16(m, 1);
    m_name(m, "example");
    m_u32(m, 0x51515151);
    m_close(m);
}

/* An OPT record with the options that are written up to m_close. */
static inline size_t m_opt(struct msg *m, unsigned udp_size, uint32_t ttl)
{
    size_t at = m_open(m, WIRE_SECTION_ADDITIONAL, ".", WIRE_TYPE_OPT, ttl);
    m_set_u16(m, m->rdata_at - 8, udp_size);
    return at;
}

static inline void m_option(struct msg *m, unsigned code, const void *value, size_t len)
{
    m_u16(m, code);
    m_u16(m, (unsigned)len);
    m_raw(m, value, len);
}

/* Bytes in an allocation of exactly their size, so that a sanitizer sees the first one too far. */
static inline uint8_t *exact(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, len);
    if (len == 0) {
        free(copy);
        copy = malloc(0);
    }
    return copy;
}

/* ---- messages as text ------------------------------------------------------------------------ */

struct text {
    char *at;
    size_t left;
};

static inline void t_add(struct text *t, const char *s)
{
    size_t len = strlen(s);

    ck_assert_uint_lt(len, t->left);
    memcpy(t->at, s, len + 1);
    t->at += len;
    t->left -= len;
}

static inline void t_name(struct text *t, const uint8_t *msg, size_t len, size_t *at)
{
    uint8_t name[WIRE_NAME_MAX];
    char text[WIRE_NAME_TEXT_MAX];
    size_t name_len = wire_name_expand(msg, len, *at, name, at);

    ck_assert_uint_gt(name_len, 0);
    wire_name_text(name, name_len, text);
    t_add(t, text);
}

static inline void t_rdata(
    struct text *t, const uint8_t *msg, size_t len, const struct wire_view *v)
{
    static const uint8_t before[256] = {[15] = 2, [33] = 6, [64] = 2, [65] = 2};
    static const uint8_t names[256] = {[2] = 1,
        [5] = 1,
        [6] = 2,
        [12] = 1,
        [15] = 1,
        [17] = 2,
        [33] = 1,
        [39] = 1,
        [64] = 1,
        [65] = 1};
    size_t at = v->rdata_at;
    size_t end = v->rdata_at + v->rdata_len;
    char hex[3];
    unsigned n_before = v->type < 256 ? before[v->type] : 0;
    unsigned n_names = v->type < 256 ? names[v->type] : 0;

    if (v->type >= WIRE_TYPE_SVCB && v->type <= WIRE_TYPE_HTTPS &&
        (v->rdata_len < 2 || wire_name_len(msg + at + 2, v->rdata_len - 2) == 0))
        n_before = n_names = 0; /* opaque to wire, and may be anything */
    if (n_before > 0)
        t_add(t, " ");
    for (unsigned i = 0; i < n_before; i++, at++) {
        snprintf(hex, sizeof hex, "%02x", msg[at]);
        t_add(t, hex);
    }
    for (unsigned i = 0; i < n_names; i++) {
        t_add(t, " ");
        t_name(t, msg, len, &at);
    }
    if (at < end)
        t_add(t, " ");
    for (; at < end; at++) {
        snprintf(hex, sizeof hex, "%02x", msg[at]);
        t_add(t, hex);
    }
    ck_assert_uint_eq(at, end);
}

/* "an OWNER TYPE TTL RDATA", a line each record; OPT records are left out. The message must end
 * with its last record. */
static inline const char *m_text(const uint8_t *msg, size_t len)
{
    static char out[1 << 20];
    static const char *const sections[] = {"an ", "ns ", "ar "};
    struct text t = {out, sizeof out};
    struct wire_cursor c;
    struct wire_view v;
    int more;

    out[0] = '\0';
    ck_assert_int_eq(wire_cursor_start(&c, msg, len), 0);
    while ((more = wire_cursor_next(&c, &v)) == 1) {
        char numbers[64];
        size_t at = v.owner_at;
        if (v.type == WIRE_TYPE_OPT)
            continue;
        t_add(&t, sections[v.section]);
        t_name(&t, msg, len, &at);
        snprintf(numbers, sizeof numbers, " %u %u", v.type, (unsigned)v.ttl_s);
        t_add(&t, numbers);
        t_rdata(&t, msg, len, &v);
        t_add(&t, "\n");
    }
    ck_assert_int_eq(more, 0);
    ck_assert_uint_eq(c.at, len);
    return out;
}

#endif
