/* rebind.c: which addresses no name of the Internet has a reason to lead to, and where answers have
 * addresses. Knows packed answers and RFC 9460's parameters; never the cache, clients or servers.
 */
#include "rebind.h"

#include <string.h>

#define TTL_TO_TYPE 4 /* a record's type stands so many bytes before its TTL */
#define TTL_TO_LEN  4 /* and RDLENGTH and RDATA so many behind the first of it */
#define TTL_TO_DATA 6

enum svcb_key { IPV4HINT = 4, IPV6HINT = 6 };

/* ---- addresses ------------------------------------------------------------------------------- */

struct range {
    uint8_t ip[4];
    uint8_t bits;
};

static const struct range ranges4[] = {
    {{0, 0, 0, 0}, 8},      /* RFC 1122 3.2.1.3: Linux takes 0.0.0.0 for itself */
    {{10, 0, 0, 0}, 8},     /* RFC 1918 */
    {{100, 64, 0, 0}, 10},  /* RFC 6598 */
    {{127, 0, 0, 0}, 8},    /* RFC 1122 3.2.1.3 */
    {{169, 254, 0, 0}, 16}, /* RFC 3927 */
    {{172, 16, 0, 0}, 12},  /* RFC 1918 */
    {{192, 0, 0, 0}, 25},   /* RFC 6890 2.2.2; above it is what ipv4only.arpa has (RFC 7050) */
    {{192, 168, 0, 0}, 16}, /* RFC 1918 */
    {{198, 18, 0, 0}, 15},  /* RFC 2544 */
    {{240, 0, 0, 0}, 4},    /* RFC 1112 4, RFC 919 */
};

static uint32_t u32_of(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static unsigned u16_of(const uint8_t *b)
{
    return (unsigned)b[0] << 8 | b[1];
}

static bool is_private4(const uint8_t ip[4])
{
    uint32_t value = u32_of(ip);
    for (size_t i = 0; i < sizeof ranges4 / sizeof ranges4[0]; i++) {
        uint32_t mask = UINT32_MAX << (32 - ranges4[i].bits);
        if ((value & mask) == u32_of(ranges4[i].ip))
            return true;
    }
    return false;
}

/* IPv6 that has an address of IPv4 in it. */
struct clothes {
    uint8_t prefix[12];
    uint8_t len;
    uint8_t at; /* where that address stands */
};

static const struct clothes clothes[] = {
    {{0}, 12, 12},                        /* RFC 4291 2.5.5.1; :: and ::1 are among them */
    {{[10] = 0xff, [11] = 0xff}, 12, 12}, /* mapped, RFC 4291 2.5.5.2 */
    {{[8] = 0xff, [9] = 0xff}, 12, 12},   /* translated, RFC 2765 2.1 */
    {{0, 0x64, 0xff, 0x9b}, 12, 12},      /* NAT64, RFC 6052 2.1 */
    {{0x20, 0x02}, 2, 2},                 /* 6to4, RFC 3056 2 */
};

static bool is_private6(const uint8_t ip[16])
{
    /* RFC 8215: where the address of IPv4 stands in these is known to their network alone. */
    static const uint8_t local_nat64[6] = {0, 0x64, 0xff, 0x9b, 0, 1};
    if ((ip[0] & 0xfe) == 0xfc) /* RFC 4193 */
        return true;
    if (ip[0] == 0xfe && ip[1] >= 0x80) /* fe80::/10, and site-local fec0::/10 (RFC 3879) */
        return true;
    if (memcmp(ip, local_nat64, sizeof local_nat64) == 0)
        return true;
    for (size_t i = 0; i < sizeof clothes / sizeof clothes[0]; i++)
        if (memcmp(ip, clothes[i].prefix, clothes[i].len) == 0 && is_private4(ip + clothes[i].at))
            return true;
    return false;
}

bool rebind_is_private(const uint8_t *ip, size_t len)
{
    if (len == 4)
        return is_private4(ip);
    return len == 16 && is_private6(ip);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Whether one of the addresses of a hint is private. */
static bool hint_is_private(const uint8_t *ips, size_t len, size_t ip_len)
{
    for (size_t at = 0; at + ip_len <= len; at += ip_len)
        if (rebind_is_private(ips + at, ip_len))
            return true;
    return false;
}

/* The offset behind a name, which some compress although it is forbidden here; len + 1 where there
 * is none. */
static size_t name_end(const uint8_t *rdata, size_t len, size_t at)
{
    while (at < len && rdata[at] != 0) {
        if (rdata[at] >= 0xc0)
            return at + 2;
        at += 1 + (size_t)rdata[at];
    }
    return at + 1;
}

/* SvcPriority, TargetName, then parameters: key, length, value (RFC 9460 2.2). What does not parse
 * says nothing to a client either. */
static bool svcb_is_private(const uint8_t *rdata, size_t len)
{
    size_t at = name_end(rdata, len, 2);
    while (at < len && len - at >= 4) {
        unsigned key = u16_of(rdata + at);
        size_t value_len = u16_of(rdata + at + 2);
        at += 4;
        if (value_len > len - at)
            return false;
        if (key == IPV4HINT && hint_is_private(rdata + at, value_len, 4))
            return true;
        if (key == IPV6HINT && hint_is_private(rdata + at, value_len, 16))
            return true;
        at += value_len;
    }
    return false;
}

/* ttl points to a record's TTL; type and class before it were read when it was packed. */
static bool record_is_private(const uint8_t *ttl, const uint8_t *end)
{
    if (end - ttl < TTL_TO_DATA)
        return false;
    size_t len = u16_of(ttl + TTL_TO_LEN);
    const uint8_t *rdata = ttl + TTL_TO_DATA;
    if ((size_t)(end - rdata) < len)
        return false;
    switch (u16_of(ttl - TTL_TO_TYPE)) {
    case WIRE_TYPE_A:
    case WIRE_TYPE_AAAA:
        return rebind_is_private(rdata, len);
    case WIRE_TYPE_SVCB:
    case WIRE_TYPE_HTTPS:
        return svcb_is_private(rdata, len);
    default:
        return false;
    }
}

static bool is_allowed(const struct rebind_conf *conf, const uint8_t *name, size_t name_len)
{
    for (size_t i = 0; i < conf->n_allow; i++)
        if (wire_name_below(name, name_len, conf->allow[i].wire, conf->allow[i].len))
            return true;
    return false;
}

bool rebind_refuses(const struct rebind_conf *conf, const uint8_t *name, size_t name_len,
    const uint8_t *packed, size_t packed_len)
{
    struct wire_packed p;
    if (!conf->on || wire_packed_read(packed, packed_len, &p) < 0)
        return false;
    for (size_t i = 0; i < p.n_ttls; i++) {
        size_t at = u16_of(p.ttl_at + 2 * i);
        if (at >= TTL_TO_TYPE && at < p.body_len &&
            record_is_private(p.body + at, p.body + p.body_len))
            return !is_allowed(conf, name, name_len);
    }
    return false;
}

bool rebind_same(const struct rebind_conf *a, const struct rebind_conf *b)
{
    if (a->on != b->on || a->n_allow != b->n_allow)
        return false;
    for (size_t i = 0; i < a->n_allow; i++)
        if (a->allow[i].len != b->allow[i].len ||
            memcmp(a->allow[i].wire, b->allow[i].wire, a->allow[i].len) != 0)
            return false;
    return true;
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int rebind_name_parse(const char *text, struct rebind_name *out)
{
    struct rebind_name name = {0};
    size_t at = 0, label = 0; /* where its length byte stands */
    for (; *text != '\0'; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text + ('a' - 'A')) : *text;
        if (c == '.' ? at == label : !is_letter(c))
            return -1;
        if (c == '.') {
            label = ++at;
            continue;
        }
        /* Room for this letter and the root byte. */
        if (++at + 1 >= WIRE_NAME_MAX || at - label > WIRE_LABEL_MAX)
            return -1;
        name.wire[at] = (uint8_t)c;
        name.wire[label] = (uint8_t)(at - label);
    }
    if (at == 0)
        return -1;
    if (at != label) /* no final dot */
        at++;
    name.len = (uint8_t)(at + 1);
    *out = name;
    return 0;
}
