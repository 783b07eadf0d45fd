/* special.c: the special-use names, matched from their last label on.
 * Knows which names they are and what the standards have a resolver say; nothing else. */
#include "special.h"

#include <stdbool.h>
#include <string.h>

#define LABELS_MAX  128
#define SCRATCH_LEN 512
#define SOA_TIMERS  20
#define IP6_NIBBLES 32
#define MNAME_MAX   WIRE_NAME_MAX
#define SOA_MAX     (MNAME_MAX + sizeof soa_rname + SOA_TIMERS)

/* Types of the top of a zone that wire.h has no need of. */
enum zone_type {
    TYPE_DNSKEY = 48,
    TYPE_NSEC3PARAM = 51,
    TYPE_CDS = 59,
    TYPE_CDNSKEY = 60,
    TYPE_CSYNC = 62,
    TYPE_ZONEMD = 63,
};

enum kind {
    KIND_NONE,
    KIND_SINGLE,    /* a single label that is in no table */
    KIND_ABSENT,    /* not even the top is there */
    KIND_EMPTY,     /* a zone with nothing below its top */
    KIND_SILENT,    /* no data at any name */
    KIND_LOCALHOST, /* addresses of this machine at any name */
    KIND_LOOPBACK4, /* an empty zone, but for 1.0.0.127.in-addr.arpa */
    KIND_LOOPBACK6, /* an empty zone, but for a PTR at its top */
};

/* A name by its labels. */
struct name {
    const uint8_t *wire;
    size_t len;
    unsigned n; /* labels without the root */
    uint8_t at[LABELS_MAX];
};

/* Which zone a name is in: the zone's top has the last `depth` labels of the name. */
struct zone {
    enum kind kind;
    unsigned depth;
};

static const uint8_t soa_rname[] = {
    6, 'n', 'o', 'b', 'o', 'd', 'y', 7, 'i', 'n', 'v', 'a', 'l', 'i', 'd', 0};
static const uint8_t localhost[] = {9, 'l', 'o', 'c', 'a', 'l', 'h', 'o', 's', 't', 0};

static int name_read(struct name *name, const uint8_t *wire, size_t len)
{
    size_t at = 0;

    name->wire = wire;
    name->len = len;
    name->n = 0;
    while (at < len && wire[at] != 0) {
        if (name->n == LABELS_MAX - 1)
            return -1;
        name->at[name->n++] = (uint8_t)at;
        at += 1 + (size_t)wire[at];
    }
    return at + 1 == len ? 0 : -1;
}

/* The i-th label from the end (1: the last), from its length byte on. i is at most n. */
static const uint8_t *label(const struct name *name, unsigned i)
{
    return name->wire + name->at[name->n - i];
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool label_is(const uint8_t *l, const char *text)
{
    size_t len = strlen(text);

    if (l[0] != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (lower(l[1 + i]) != (uint8_t)text[i])
            return false;
    return true;
}

/* ---- reverse zones --------------------------------------------------------------------------- */

/* The first n bytes of an address; the last of them may be anything up to last_max. */
struct prefix4 {
    uint8_t n;
    uint8_t bytes[4];
    uint8_t last_max;
    enum kind kind;
};

static const struct prefix4 prefixes4[] = {
    {1, {0}, 0, KIND_EMPTY},                    /* RFC 6303 4.2 */
    {1, {10}, 10, KIND_EMPTY},                  /* RFC 6303 4.1, RFC 1918 */
    {2, {100, 64}, 127, KIND_EMPTY},            /* RFC 7793 */
    {1, {127}, 127, KIND_LOOPBACK4},            /* RFC 6303 4.2 */
    {2, {169, 254}, 254, KIND_EMPTY},           /* RFC 6303 4.2 */
    {2, {172, 16}, 31, KIND_EMPTY},             /* RFC 6303 4.1 */
    {3, {192, 0, 2}, 2, KIND_EMPTY},            /* RFC 6303 4.2 */
    {2, {192, 168}, 168, KIND_EMPTY},           /* RFC 6303 4.1 */
    {3, {198, 51, 100}, 100, KIND_EMPTY},       /* RFC 6303 4.2 */
    {3, {203, 0, 113}, 113, KIND_EMPTY},        /* RFC 6303 4.2 */
    {4, {255, 255, 255, 255}, 255, KIND_EMPTY}, /* RFC 6303 4.2 */
};

/* The first digits of an address. */
struct prefix6 {
    const char *nibbles;
    enum kind kind;
};

static const struct prefix6 prefixes6[] = {
    {"00000000000000000000000000000000", KIND_EMPTY},     /* RFC 6303 4.3 */
    {"00000000000000000000000000000001", KIND_LOOPBACK6}, /* RFC 6303 4.3 */
    {"20010db8", KIND_EMPTY},                             /* RFC 6303 4.6 */
    {"fd", KIND_EMPTY},                                   /* RFC 6303 4.4 */
    {"fe8", KIND_EMPTY},                                  /* RFC 6303 4.5, and the three below */
    {"fe9", KIND_EMPTY},
    {"fea", KIND_EMPTY},
    {"feb", KIND_EMPTY},
};

/* The number in a label of one to three digits without leading zeros, or -1. */
static int label_byte(const uint8_t *l)
{
    int value = 0;

    if (l[0] < 1 || l[0] > 3 || (l[0] > 1 && l[1] == '0'))
        return -1;
    for (unsigned i = 1; i <= l[0]; i++) {
        if (l[i] < '0' || l[i] > '9')
            return -1;
        value = value * 10 + (l[i] - '0');
    }
    return value;
}

/* name ends in in-addr.arpa. */
static struct zone find_in_addr(const struct name *name)
{
    int bytes[4] = {-1, -1, -1, -1};

    for (unsigned i = 0; i < 4 && i + 3 <= name->n; i++)
        bytes[i] = label_byte(label(name, i + 3));
    for (size_t p = 0; p < sizeof prefixes4 / sizeof *prefixes4; p++) {
        const struct prefix4 *prefix = &prefixes4[p];
        unsigned last = prefix->n - 1u, i = 0;

        while (i < last && bytes[i] == prefix->bytes[i])
            i++;
        if (i == last && bytes[last] >= prefix->bytes[last] && bytes[last] <= prefix->last_max)
            return (struct zone){prefix->kind, 2u + prefix->n};
    }
    return (struct zone){KIND_NONE, 0};
}

/* name ends in ip6.arpa. */
static struct zone find_ip6(const struct name *name)
{
    for (size_t p = 0; p < sizeof prefixes6 / sizeof *prefixes6; p++) {
        const char *nibbles = prefixes6[p].nibbles;
        unsigned i = 0;

        while (nibbles[i] != '\0' && i + 3 <= name->n) {
            const uint8_t *l = label(name, i + 3);
            if (l[0] != 1 || lower(l[1]) != (uint8_t)nibbles[i])
                break;
            i++;
        }
        if (nibbles[i] == '\0')
            return (struct zone){prefixes6[p].kind, 2 + i};
    }
    return (struct zone){KIND_NONE, 0};
}

/* ---- which zone a name is in ----------------------------------------------------------------- */

/* name ends in arpa. */
static struct zone find_arpa(const struct name *name)
{
    const uint8_t *second;

    if (name->n < 2)
        return (struct zone){KIND_SINGLE, 1};
    second = label(name, 2);
    if (label_is(second, "in-addr"))
        return find_in_addr(name);
    if (label_is(second, "ip6"))
        return find_ip6(name);
    if (label_is(second, "home"))
        return (struct zone){KIND_EMPTY, 2};
    if (label_is(second, "resolver"))
        return (struct zone){KIND_SILENT, 2};
    return (struct zone){KIND_NONE, 0};
}

static struct zone find(const struct name *name)
{
    const uint8_t *last;

    if (name->n == 0)
        return (struct zone){KIND_NONE, 0};
    last = label(name, 1);
    switch (lower(last[1])) {
    case 'a':
        if (label_is(last, "arpa"))
            return find_arpa(name);
        if (label_is(last, "alt"))
            return (struct zone){KIND_ABSENT, 1};
        break;
    case 'i':
        if (label_is(last, "invalid"))
            return (struct zone){KIND_ABSENT, 1};
        break;
    case 'l':
        if (label_is(last, "local"))
            return (struct zone){KIND_ABSENT, 1};
        if (label_is(last, "localhost"))
            return (struct zone){KIND_LOCALHOST, 1};
        break;
    case 'o':
        if (label_is(last, "onion"))
            return (struct zone){KIND_ABSENT, 1};
        break;
    case 't':
        if (label_is(last, "test"))
            return (struct zone){KIND_ABSENT, 1};
        break;
    default:
        break;
    }
    return (struct zone){name->n == 1 ? KIND_SINGLE : KIND_NONE, 1};
}

/* Types that only the top of a zone has, or that prove something about it. */
static bool is_zone_type(uint16_t type)
{
    switch (type) {
    case WIRE_TYPE_NS:
    case WIRE_TYPE_SOA:
    case WIRE_TYPE_DS:
    case TYPE_DNSKEY:
    case WIRE_TYPE_RRSIG:
    case WIRE_TYPE_NSEC:
    case WIRE_TYPE_NSEC3:
    case TYPE_NSEC3PARAM:
    case TYPE_CDS:
    case TYPE_CDNSKEY:
    case TYPE_CSYNC:
    case TYPE_ZONEMD:
        return true;
    default:
        return false;
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

/* An answer on its way. */
struct answer {
    struct wire_writer writer;
    const struct wire_question *question;
    const uint8_t *top; /* of the zone */
    size_t top_len;
    uint32_t ttl_s;
};

static void put(struct answer *a, enum wire_section section, bool at_top, uint16_t type,
    const uint8_t *rdata, size_t rdata_len)
{
    struct wire_record record = {
        .owner = at_top ? a->top : a->question->name,
        .owner_len = at_top ? a->top_len : a->question->name_len,
        .type = type,
        .class = WIRE_CLASS_IN,
        .ttl_s = a->ttl_s,
        .rdata = rdata,
        .rdata_len = rdata_len,
    };

    wire_put_record(&a->writer, section, &record);
}

static size_t put_u32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
    return 4;
}

/* RFC 6303 3: the zone is its own server, nobody.invalid. answers for it, serial 1, refresh 3600,
 * retry 1200, expire 604800. */
static void put_soa(struct answer *a, enum wire_section section)
{
    uint8_t rdata[SOA_MAX];
    size_t len;

    wire_name_lower(a->top, a->top_len, rdata);
    len = a->top_len;
    memcpy(rdata + len, soa_rname, sizeof soa_rname);
    len += sizeof soa_rname;
    len += put_u32(rdata + len, 1);
    len += put_u32(rdata + len, 3600);
    len += put_u32(rdata + len, 1200);
    len += put_u32(rdata + len, 604800);
    len += put_u32(rdata + len, a->ttl_s);
    put(a, section, true, WIRE_TYPE_SOA, rdata, len);
}

/* Whether a name that is no zone's top is there, if only for one below it. */
static bool is_there(enum kind kind, const struct name *name)
{
    /* 0.127, 0.0.127, 1.0.0.127 (RFC 6303 4.2; empty non-terminals: RFC 8020 3.1) */
    static const char *const below127[] = {"0", "0", "1"};

    if (kind == KIND_LOCALHOST || kind == KIND_SILENT)
        return true;
    if (kind != KIND_LOOPBACK4 || name->n > 6)
        return false;
    for (unsigned i = 4; i <= name->n; i++)
        if (!label_is(label(name, i), below127[i - 4]))
            return false;
    return true;
}

/* The name of 127.0.0.1 or ::1. */
static bool is_loopback_host(enum kind kind, const struct name *name)
{
    return kind == KIND_LOOPBACK6 ? name->n == 2 + IP6_NIBBLES
                                  : kind == KIND_LOOPBACK4 && name->n == 6 && is_there(kind, name);
}

/* The top's own records. Returns whether there was one of the asked type. */
static bool put_top(struct answer *a)
{
    uint8_t server[WIRE_NAME_MAX];

    if (a->question->type == WIRE_TYPE_SOA) {
        put_soa(a, WIRE_SECTION_ANSWER);
        return true;
    }
    if (a->question->type != WIRE_TYPE_NS)
        return false;
    wire_name_lower(a->top, a->top_len, server);
    put(a, WIRE_SECTION_ANSWER, true, WIRE_TYPE_NS, server, a->top_len);
    return true;
}

/* The records that there are. Returns whether there was one of the asked type. */
static bool put_data(struct answer *a, enum kind kind, const struct name *name, bool is_top)
{
    static const uint8_t ip4[4] = {127, 0, 0, 1};
    static const uint8_t ip6[16] = {[15] = 1};
    uint16_t type = a->question->type;

    if (kind == KIND_LOCALHOST && type == WIRE_TYPE_A) {
        put(a, WIRE_SECTION_ANSWER, false, type, ip4, sizeof ip4);
        return true;
    }
    if (kind == KIND_LOCALHOST && type == WIRE_TYPE_AAAA) {
        put(a, WIRE_SECTION_ANSWER, false, type, ip6, sizeof ip6);
        return true;
    }
    if (type == WIRE_TYPE_PTR && is_loopback_host(kind, name)) {
        put(a, WIRE_SECTION_ANSWER, false, type, localhost, sizeof localhost);
        return true;
    }
    return is_top && kind != KIND_LOCALHOST && put_top(a);
}

/* Fills in the answer. Returns its rcode. */
static uint16_t answer(struct answer *a, const struct name *name, const struct zone *zone)
{
    bool absent = zone->kind == KIND_ABSENT || zone->kind == KIND_SINGLE;
    bool is_top = name->n == zone->depth;

    a->top = label(name, zone->depth);
    a->top_len = name->len - (size_t)(a->top - name->wire);
    a->ttl_s = zone->kind == KIND_SINGLE ? SPECIAL_SINGLE_TTL : SPECIAL_TTL;
    if (!absent && put_data(a, zone->kind, name, is_top))
        return WIRE_NOERROR;
    put_soa(a, WIRE_SECTION_AUTHORITY);
    return !absent && (is_top || is_there(zone->kind, name)) ? WIRE_NOERROR : WIRE_NXDOMAIN;
}

enum special_verdict special_lookup(
    const struct wire_question *question, uint8_t *packed, size_t cap, size_t *packed_len)
{
    uint8_t scratch[SCRATCH_LEN];
    struct answer a;
    struct name name;
    struct zone zone;
    uint16_t rcode;

    *packed_len = 0;
    if (question->class != WIRE_CLASS_IN ||
        name_read(&name, question->name, question->name_len) != 0)
        return SPECIAL_NONE;
    zone = find(&name);
    if (zone.kind == KIND_NONE || (zone.kind == KIND_SINGLE && is_zone_type(question->type)) ||
        (question->type == WIRE_TYPE_DS && name.n == zone.depth))
        return SPECIAL_NONE;
    a.question = question;
    wire_writer_start(&a.writer, question->name, question->name_len, scratch, sizeof scratch);
    rcode = answer(&a, &name, &zone);
    *packed_len = wire_writer_finish(&a.writer, (uint16_t)(WIRE_AA | rcode), packed, cap);
    return SPECIAL_ANSWER;
}
