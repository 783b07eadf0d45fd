/* wire_answer.c: a reply from upstream to a packed answer: what kind it is, what of it is kept.
 * Knows which records belong to a question (RFC 1034, 2181, 2308, 6672); never clock, cache or
 * server. */
#include "wire_parts.h"

#include <string.h>

#define LINKS_MAX          16    /* of a CNAME chain; what lies beyond is left to the client */
#define CNAMES_MAX         32    /* records that are looked at for it */
#define TARGETS_MAX        32    /* names whose addresses may stand in the additional section */
#define NEGATIVE_TTL_MAX_S 10800 /* RFC 2308 5: one to three hours */
#define NEVER_S            UINT32_MAX

/* What names of one message may cost in bytes and jumps: a multiple of its length. A message whose
 * names are all as long as they can be, in records as short as they can be, costs more. */
#define WORK_PER_BYTE 16
#define WORK_LEAST    4096

struct link {
    const uint8_t *name;
    size_t len;
    size_t origin;   /* wire_name_origin of where it stands */
    size_t cname_at; /* the CNAME record that leads on from here; 0 at the end of the chain */
};

struct target {
    uint8_t name[WIRE_NAME_MAX];
    size_t len;
};

struct pack {
    struct wire_source src;
    const struct wire_question *asked;
    const struct wire_ttl_bounds *bounds;
    bool dnssec_ok;
    unsigned rcode;
    uint16_t records[3];
    size_t section_at[3];
    size_t base; /* where the body starts */
    struct wire_trail trail;

    struct link chain[LINKS_MAX + 1];
    size_t n_chain;
    uint8_t names[LINKS_MAX][WIRE_NAME_MAX];
    size_t soa_at; /* owner of the SOA that makes a negative answer; 0 for none */
    size_t soa_ttl_at;
    uint32_t negative_ttl_s;
    struct target targets[TARGETS_MAX];
    size_t n_targets;

    uint16_t kept[3];
    size_t n_kept;
    size_t n_final;  /* of them, records of what was asked for */
    size_t kept_end; /* offset behind the last one */
    bool gap;        /* a record was left out */
    bool scattered;  /* one was kept behind it */
    uint32_t ttl_s;  /* the smallest */
};

/* ---- reading the whole message --------------------------------------------------------------- */

/* Header and question: it must be the one that was asked. Returns 0 or -1. */
static int read_head(struct pack *p, uint16_t *flags)
{
    const struct wire_question *asked = p->asked;
    struct wire_header h = {0};
    int sound = wire_header_read(p->src.body, p->src.end, &h);

    *flags = h.flags;
    if (sound < 0 || h.questions != 1)
        return -1;
    const uint8_t *name = p->src.body + WIRE_HEADER_LEN;
    size_t name_len = wire_name_len(name, p->src.end - WIRE_HEADER_LEN);
    if (name_len == 0 || !wire_name_equal(name, name_len, asked->name, asked->name_len) ||
        p->src.end - WIRE_HEADER_LEN - name_len < 4)
        return -1;
    if (wire_get_u16(name + name_len) != asked->type ||
        wire_get_u16(name + name_len + 2) != asked->class)
        return -1;
    p->base = WIRE_HEADER_LEN + name_len + 4;
    memcpy(p->records, h.records, sizeof p->records);
    size_t end;
    return wire_name_read(&p->src, WIRE_HEADER_LEN, NULL, &end, &p->trail) ? 0 : -1;
}

static bool is_pointer_to_question(const struct pack *p, size_t at)
{
    const uint8_t *bytes = p->src.body + at;
    return p->src.end - at >= 2 && bytes[0] == 0xc0 && bytes[1] == WIRE_HEADER_LEN;
}

/* Checks the name at `at`. Returns the offset behind it, or 0. */
static size_t check_name(struct pack *p, size_t at)
{
    size_t end;

    if (is_pointer_to_question(p, at)) /* most names of most messages */
        return at + 2;
    return wire_name_read(&p->src, at, NULL, &end, &p->trail) ? end : 0;
}

static uint16_t type_covered(const struct pack *p, const struct wire_view *v)
{
    return wire_get_u16(wire_source_bytes(&p->src, v->rdata_at));
}

/* RDATA of the types that others look into must have their shape and end where RDLENGTH says. */
static int check_rdata(struct pack *p, const struct wire_view *v)
{
    const struct wire_shape *shape = wire_shape_of(v->type);
    size_t end = v->rdata_at + v->rdata_len;

    if (v->type == WIRE_TYPE_RRSIG)
        return v->rdata_len < WIRE_RRSIG_MIN ? -1 : 0;
    if (v->class == WIRE_CLASS_IN && v->type == WIRE_TYPE_A)
        return v->rdata_len == 4 ? 0 : -1;
    if (v->class == WIRE_CLASS_IN && v->type == WIRE_TYPE_AAAA)
        return v->rdata_len == 16 ? 0 : -1;
    if (!shape)
        return 0;
    size_t at = wire_shape_names_at(&p->src, v, shape);
    if (at == 0)
        return -1;
    for (unsigned i = 0; i < shape->names; i++) {
        at = at < end ? check_name(p, at) : 0;
        if (at == 0 || at > end)
            return -1;
    }
    return shape->open || end - at == shape->tail ? 0 : -1;
}

static int check_opt(struct pack *p, const struct wire_view *v, struct wire_edns *edns)
{
    if (v->section != WIRE_SECTION_ADDITIONAL || edns->present ||
        *wire_source_bytes(&p->src, v->owner_at) != 0)
        return -1;
    return wire_opt_read(&p->src, v, edns);
}

/* Reads every record once. Bytes behind the last one are nobody's and are ignored, as other
 * resolvers do. Returns 0 or -1. */
static int check_records(struct pack *p, struct wire_edns *edns)
{
    size_t at = p->base;

    for (unsigned section = 0; section < 3; section++) {
        p->section_at[section] = at;
        for (unsigned i = 0; i < p->records[section]; i++) {
            struct wire_view v = {.section = (enum wire_section)section};
            if (wire_record_read(&p->src, &at, &v) < 0 || check_name(p, v.owner_at) == 0)
                return -1;
            int sound = v.type == WIRE_TYPE_OPT ? check_opt(p, &v, edns) : check_rdata(p, &v);
            if (sound < 0)
                return -1;
        }
    }
    return 0;
}

/* ---- the chain from the question ------------------------------------------------------------- */

/* Which name of the chain the one at `at` is, or -1. */
static int chain_find(const struct pack *p, size_t at)
{
    size_t origin = wire_name_origin(&p->src, at);
    uint8_t name[WIRE_NAME_MAX];
    size_t end;

    for (size_t i = 0; i < p->n_chain; i++)
        if (p->chain[i].origin == origin)
            return (int)i;
    size_t len = wire_name_read(&p->src, at, name, &end, NULL);
    for (size_t i = 0; i < p->n_chain; i++)
        if (wire_name_equal(name, len, p->chain[i].name, p->chain[i].len))
            return (int)i;
    return -1;
}

/* Goes on from the chain's end through a CNAME record. A target that the chain came through already
 * closes it: nothing leads on. */
static void chain_extend(struct pack *p, const struct wire_view *v)
{
    size_t end;

    p->chain[p->n_chain - 1].cname_at = v->owner_at;
    if (p->n_chain > LINKS_MAX || chain_find(p, v->rdata_at) >= 0)
        return;
    uint8_t *name = p->names[p->n_chain - 1];
    struct link *l = &p->chain[p->n_chain++];
    l->name = name;
    l->len = wire_name_read(&p->src, v->rdata_at, name, &end, NULL);
    l->origin = wire_name_origin(&p->src, v->rdata_at);
    l->cname_at = 0;
}

static bool is_chain_end(const struct pack *p, size_t at)
{
    const struct link *last = &p->chain[p->n_chain - 1];
    uint8_t name[WIRE_NAME_MAX];
    size_t end;

    if (wire_name_origin(&p->src, at) == last->origin)
        return true;
    size_t len = wire_name_read(&p->src, at, name, &end, NULL);
    return wire_name_equal(name, len, last->name, last->len);
}

/* Collects the offsets of the first CNAME records: the order of records means nothing, so that a
 * link may stand before the one that leads to it. */
static size_t collect_cnames(const struct pack *p, size_t cnames[CNAMES_MAX])
{
    size_t at = p->section_at[WIRE_SECTION_ANSWER];
    size_t n_cnames = 0;

    for (unsigned n = p->records[WIRE_SECTION_ANSWER]; n > 0 && n_cnames < CNAMES_MAX; n--) {
        struct wire_view v;
        wire_record_read(&p->src, &at, &v);
        if (v.type == WIRE_TYPE_CNAME && v.class == p->asked->class)
            cnames[n_cnames++] = v.owner_at;
    }
    return n_cnames;
}

/* RFC 1034 3.6.2: a question for CNAME or for anything is not led on. */
static void follow_chain(struct pack *p)
{
    size_t cnames[CNAMES_MAX];
    size_t n;
    size_t i = 0;

    p->chain[0] = (struct link){p->asked->name, p->asked->name_len, WIRE_HEADER_LEN, 0};
    p->n_chain = 1;
    if (p->asked->type == WIRE_TYPE_CNAME || p->asked->type == WIRE_TYPE_ANY)
        return;
    n = collect_cnames(p, cnames);
    while (i < n && p->chain[p->n_chain - 1].cname_at == 0) {
        if (!is_chain_end(p, cnames[i])) {
            i++;
            continue;
        }
        struct wire_view v;
        size_t at = cnames[i];
        wire_record_read(&p->src, &at, &v);
        chain_extend(p, &v);
        i = 0;
    }
}

/* ---- which records are kept ------------------------------------------------------------------ */

/* RFC 6672: a DNAME above a name of the chain is what made the CNAME there. */
static bool is_above_chain(const struct pack *p, size_t at)
{
    uint8_t name[WIRE_NAME_MAX];
    size_t end;
    size_t len = wire_name_read(&p->src, at, name, &end, NULL);

    for (size_t i = 0; i < p->n_chain; i++)
        if (p->chain[i].len > len && wire_name_below(p->chain[i].name, p->chain[i].len, name, len))
            return true;
    return false;
}

static bool asks_for(const struct pack *p, unsigned type)
{
    return p->asked->type == type || p->asked->type == WIRE_TYPE_ANY;
}

/* Signatures count as what they sign. Returns the type, or 0 for a record that is not wanted. */
static unsigned type_or_covered(const struct pack *p, const struct wire_view *v)
{
    if (v->type != WIRE_TYPE_RRSIG || asks_for(p, WIRE_TYPE_RRSIG))
        return v->type;
    return p->dnssec_ok ? type_covered(p, v) : 0;
}

static bool keep_answer(const struct pack *p, const struct wire_view *v, bool *final)
{
    unsigned type = type_or_covered(p, v);

    if (type == 0 || type == WIRE_TYPE_OPT)
        return false;
    int i = chain_find(p, v->owner_at);
    if (i < 0)
        return type == WIRE_TYPE_DNAME && is_above_chain(p, v->owner_at);
    if (type == WIRE_TYPE_CNAME && p->chain[i].cname_at != 0)
        return v->type == WIRE_TYPE_RRSIG || v->owner_at == p->chain[i].cname_at;
    if ((size_t)i + 1 != p->n_chain || !asks_for(p, type) || p->rcode != WIRE_NOERROR)
        return type == WIRE_TYPE_DNAME && is_above_chain(p, v->owner_at);
    *final = v->type == type;
    return true;
}

static bool keep_authority(const struct pack *p, const struct wire_view *v)
{
    unsigned type = type_or_covered(p, v);

    if (type == WIRE_TYPE_SOA && p->soa_at != 0) {
        if (v->type == WIRE_TYPE_SOA)
            return v->owner_at == p->soa_at;
        return p->dnssec_ok; /* there is but one zone that can have signed it */
    }
    return p->dnssec_ok && (type == WIRE_TYPE_NSEC || type == WIRE_TYPE_NSEC3);
}

static bool keep_additional(const struct pack *p, const struct wire_view *v)
{
    unsigned type = type_or_covered(p, v);
    uint8_t owner[WIRE_NAME_MAX];
    size_t end;

    if (type != WIRE_TYPE_A && type != WIRE_TYPE_AAAA)
        return false;
    size_t len = wire_name_read(&p->src, v->owner_at, owner, &end, NULL);
    for (size_t i = 0; i < p->n_targets; i++)
        if (wire_name_equal(owner, len, p->targets[i].name, p->targets[i].len))
            return true;
    return false;
}

/* Keeps in mind the name that an answer leads to. */
static void add_target(struct pack *p, const struct wire_view *v)
{
    bool is_service = v->type == WIRE_TYPE_SVCB || v->type == WIRE_TYPE_HTTPS;
    size_t at = v->rdata_at;
    size_t end;

    if (v->type == WIRE_TYPE_MX || is_service)
        at += 2;
    else if (v->type == WIRE_TYPE_SRV)
        at += 6;
    else if (v->type != WIRE_TYPE_NS)
        return;
    if (p->n_targets == TARGETS_MAX || at >= v->rdata_at + v->rdata_len)
        return;
    struct target *t = &p->targets[p->n_targets];
    t->len = wire_name_read(&p->src, at, t->name, &end, NULL);
    if (t->len == 1 && is_service) /* "." stands for the owner (RFC 9460 2.5.2) */
        t->len = wire_name_read(&p->src, v->owner_at, t->name, &end, NULL);
    if (t->len > 1)
        p->n_targets++;
}

static bool keep(const struct pack *p, const struct wire_view *v, bool *final)
{
    *final = false;
    if (v->class != p->asked->class)
        return false;
    if (v->section == WIRE_SECTION_ANSWER)
        return keep_answer(p, v, final);
    if (v->section == WIRE_SECTION_AUTHORITY)
        return keep_authority(p, v);
    return keep_additional(p, v);
}

/* ---- TTLs ------------------------------------------------------------------------------------ */

static uint32_t read_ttl(uint32_t ttl_s)
{
    return ttl_s > INT32_MAX ? 0 : ttl_s; /* RFC 2181 8 */
}

static uint32_t bounded_ttl(const struct pack *p, uint32_t ttl_s)
{
    if (ttl_s < p->bounds->min_s)
        ttl_s = p->bounds->min_s;
    return ttl_s < p->bounds->max_s ? ttl_s : p->bounds->max_s;
}

static uint32_t packed_ttl(const struct pack *p, const struct wire_view *v)
{
    if (v->owner_at == p->soa_at)
        return p->negative_ttl_s;
    return bounded_ttl(p, read_ttl(v->ttl_s));
}

/* Looks for the SOA of the zone that the end of the chain is in (RFC 2308 2, 5). */
static void find_soa(struct pack *p)
{
    const struct link *last = &p->chain[p->n_chain - 1];
    size_t at = p->section_at[WIRE_SECTION_AUTHORITY];

    for (unsigned n = p->records[WIRE_SECTION_AUTHORITY]; n > 0; n--) {
        struct wire_view v;
        uint8_t owner[WIRE_NAME_MAX];
        size_t end;
        wire_record_read(&p->src, &at, &v);
        if (v.type != WIRE_TYPE_SOA || v.class != p->asked->class)
            continue;
        size_t len = wire_name_read(&p->src, v.owner_at, owner, &end, NULL);
        if (!wire_name_below(last->name, last->len, owner, len))
            continue;
        uint32_t ttl_s = read_ttl(v.ttl_s);
        uint32_t minimum_s = read_ttl(wire_get_u32(wire_source_bytes(&p->src, at - 4)));
        ttl_s = bounded_ttl(p, ttl_s < minimum_s ? ttl_s : minimum_s);
        p->negative_ttl_s = ttl_s < NEGATIVE_TTL_MAX_S ? ttl_s : NEGATIVE_TTL_MAX_S;
        p->soa_at = v.owner_at;
        p->soa_ttl_at = v.ttl_at;
        return;
    }
}

/* ---- packing --------------------------------------------------------------------------------- */

/* Decides about the records of one section. Offsets of TTLs go to table while what is kept is the
 * message from its first record on. Returns 0, or -1 where cap (bytes) is too small. */
static int plan(struct pack *p, enum wire_section section, uint8_t *table, size_t cap)
{
    size_t at = p->section_at[section];

    for (unsigned n = p->records[section]; n > 0; n--) {
        struct wire_view v = {.section = section};
        bool final;
        wire_record_read(&p->src, &at, &v);
        if (!keep(p, &v, &final)) {
            p->gap = true;
            continue;
        }
        if (cap < 2 * (p->n_kept + 1))
            return -1;
        wire_set_u16(table + 2 * p->n_kept++, (uint16_t)(v.ttl_at - p->base));
        uint32_t ttl_s = packed_ttl(p, &v);
        p->ttl_s = ttl_s < p->ttl_s ? ttl_s : p->ttl_s;
        p->scattered |= p->gap;
        p->kept[section]++;
        p->kept_end = at;
        if (final) {
            p->n_final++;
            add_target(p, &v);
        }
    }
    return 0;
}

/* Writes what was planned when it is one piece: its pointers stay what they are. */
static size_t copy_piece(const struct pack *p, const uint8_t *table, uint8_t *body, size_t cap)
{
    size_t len = p->n_kept > 0 ? p->kept_end - p->base : 0;

    if (len > cap)
        return SIZE_MAX;
    memcpy(body, p->src.body + p->base, len);
    for (size_t i = 0; i < p->n_kept; i++) {
        uint8_t *ttl = body + wire_get_u16(table + 2 * i);
        wire_set_u32(ttl, bounded_ttl(p, read_ttl(wire_get_u32(ttl))));
    }
    if (p->soa_at != 0)
        wire_set_u32(body + (p->soa_ttl_at - p->base), p->negative_ttl_s);
    return len;
}

/* Writes what was planned when it lies scattered, record by record. */
static size_t rebuild(const struct pack *p, uint8_t *table, uint8_t *body, size_t cap)
{
    struct wire_writer w;

    wire_writer_start(&w, p->asked->name, p->asked->name_len, body, cap);
    for (unsigned section = 0; section < 3; section++) {
        size_t at = p->section_at[section];
        for (unsigned n = p->kept[section] ? p->records[section] : 0; n > 0 && !w.failed; n--) {
            struct wire_view v = {.section = (enum wire_section)section};
            bool final;
            wire_record_read(&p->src, &at, &v);
            if (!keep(p, &v, &final))
                continue;
            size_t ttl_at = wire_writer_copy(&w, &p->src, &v, packed_ttl(p, &v));
            wire_set_u16(table, (uint16_t)ttl_at);
            table += 2;
        }
    }
    return w.failed ? SIZE_MAX : w.len;
}

/* Whether there are answer records, and every one of them belongs to another question: whoever says
 * so says nothing about this one. */
static bool is_beside_question(const struct pack *p)
{
    size_t at = p->section_at[WIRE_SECTION_ANSWER];

    for (unsigned n = p->records[WIRE_SECTION_ANSWER]; n > 0; n--) {
        struct wire_view v;
        wire_record_read(&p->src, &at, &v);
        if (v.class != p->asked->class)
            continue;
        if (chain_find(p, v.owner_at) >= 0)
            return false;
        if (v.type == WIRE_TYPE_DNAME && is_above_chain(p, v.owner_at))
            return false;
    }
    return p->records[WIRE_SECTION_ANSWER] > 0;
}

/* Decides what the reply says and which records go with it. Returns 0, or -1 where cap is too
 * small. */
static int plan_all(struct pack *p, uint8_t *table, size_t cap, struct wire_answer *a)
{
    p->ttl_s = NEVER_S;
    follow_chain(p);
    if (plan(p, WIRE_SECTION_ANSWER, table, cap) < 0)
        return -1;
    if (p->n_final == 0)
        find_soa(p);
    if (p->n_final > 0)
        a->kind = WIRE_ANSWER_POSITIVE;
    else if (p->soa_at != 0)
        a->kind = p->rcode == WIRE_NXDOMAIN ? WIRE_ANSWER_NXDOMAIN : WIRE_ANSWER_NODATA;
    else if (p->rcode == WIRE_NOERROR && p->chain[0].cname_at != 0)
        a->kind = WIRE_ANSWER_POSITIVE; /* what it leads to is not told */
    else if (p->rcode == WIRE_NOERROR && is_beside_question(p))
        a->kind = WIRE_ANSWER_ERROR;
    else
        a->kind = WIRE_ANSWER_NO_SOA;
    if (a->kind == WIRE_ANSWER_ERROR)
        return 0;
    if (plan(p, WIRE_SECTION_AUTHORITY, table, cap) < 0)
        return -1;
    if (p->n_targets == 0)
        return 0;
    return plan(p, WIRE_SECTION_ADDITIONAL, table, cap);
}

/* An error without records. */
static enum wire_answer_kind pack_error(
    unsigned rcode, uint8_t *out, size_t cap, struct wire_answer *a)
{
    static const uint16_t none[3];

    a->rcode = (uint16_t)rcode;
    if (rcode <= WIRE_RCODE && cap >= WIRE_PACKED_HEAD) {
        wire_packed_write_head(out, (uint16_t)rcode, none, 0);
        a->packed_len = WIRE_PACKED_HEAD;
    }
    return a->kind = WIRE_ANSWER_ERROR;
}

static enum wire_answer_kind pack_records(
    struct pack *p, uint16_t flags, uint8_t *out, size_t cap, struct wire_answer *a)
{
    uint8_t *table = out + WIRE_PACKED_HEAD;

    if (cap < WIRE_PACKED_HEAD || plan_all(p, table, cap - WIRE_PACKED_HEAD, a) < 0)
        return a->kind = WIRE_ANSWER_MALFORMED;
    if (a->kind == WIRE_ANSWER_ERROR)
        return pack_error(WIRE_SERVFAIL, out, cap, a);
    size_t table_len = 2 * p->n_kept;
    size_t room = cap - WIRE_PACKED_HEAD - table_len;
    uint8_t *body = table + table_len;
    size_t len;
    if (p->scattered || p->trail.astray)
        len = rebuild(p, table, body, room);
    else
        len = copy_piece(p, table, body, room);
    if (len == SIZE_MAX)
        return a->kind = WIRE_ANSWER_MALFORMED;
    wire_packed_write_head(out, flags, p->kept, (uint16_t)p->n_kept);
    a->ttl_s = a->kind == WIRE_ANSWER_NO_SOA ? 0 : p->ttl_s;
    a->packed_len = WIRE_PACKED_HEAD + table_len + len;
    return a->kind;
}

static void pack_start(struct pack *p, const uint8_t *reply, size_t len)
{
    size_t pointable = len < WIRE_POINTABLE ? len : WIRE_POINTABLE;

    p->src = wire_source_of(reply, len);
    memset(p->trail.starts, 0, (pointable + 63) / 64 * sizeof p->trail.starts[0]);
    p->trail.astray = false;
    p->trail.work_left = len * WORK_PER_BYTE + WORK_LEAST;
    memset(p->kept, 0, sizeof p->kept);
    p->n_chain = p->n_targets = p->n_kept = p->n_final = 0;
    p->soa_at = p->kept_end = 0;
    p->gap = p->scattered = false;
}

enum wire_answer_kind wire_pack_answer(const uint8_t *reply, size_t len,
    const struct wire_question *asked, bool dnssec_ok, bool keep_ad,
    const struct wire_ttl_bounds *bounds, uint8_t *out, size_t cap, struct wire_answer *a)
{
    struct pack p; /* large, and most of it unused: not to be zeroed */
    uint16_t flags;

    memset(a, 0, sizeof *a);
    a->edns.udp_size = WIRE_UDP_MIN;
    a->kind = WIRE_ANSWER_MALFORMED;
    p.asked = asked;
    p.bounds = bounds;
    p.dnssec_ok = dnssec_ok;
    pack_start(&p, reply, len);
    int sound = read_head(&p, &flags);
    if (sound == 0)
        sound = check_records(&p, &a->edns);
    p.rcode = a->rcode = (uint16_t)(a->edns.ext_rcode << 4 | (flags & WIRE_RCODE));
    a->authentic = flags & WIRE_AD;
    if (flags & WIRE_TC)
        return a->kind = WIRE_ANSWER_TRUNCATED;
    if (sound < 0)
        return a->kind;
    if (p.rcode == WIRE_NOERROR || p.rcode == WIRE_NXDOMAIN) {
        flags = (uint16_t)(p.rcode | (keep_ad ? flags & WIRE_AD : 0));
        return pack_records(&p, flags, out, cap, a);
    }
    return pack_error(p.rcode, out, cap, a);
}
