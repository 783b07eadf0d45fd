/* wire.c: DNS messages as bytes: headers, records, EDNS; queries, their keys, their replies.
 * Knows RFC 1035's layout; never what an answer means (wire_answer.c), clock, socket or cache. */
#include "wire_parts.h"

#include <string.h>

#define OPCODE_SHIFT      11
#define RECORD_FIXED      10 /* type, class, TTL and RDLENGTH */
#define OPT_DO            0x8000
#define OPTION_HEAD       4
#define OPTION_COOKIE     10
#define OPTION_KEEPALIVE  11
#define OPTION_EDE        15
#define OPTIONS_MAX       32 /* in one OPT record; nobody has use for more */
#define COOKIE_CLIENT     8  /* RFC 7873 4: client's part alone, or with 8 to 32 of the server's */
#define COOKIE_MIN        16
#define COOKIE_MAX        40
#define COOKIE_OPTION_LEN (OPTION_HEAD + WIRE_COOKIE_LEN)

/* ---- headers and records --------------------------------------------------------------------- */

int wire_header_read(const uint8_t *msg, size_t len, struct wire_header *h)
{
    struct wire_reader r = {.bytes = msg, .len = len};
    const uint8_t *head = wire_read(&r, WIRE_HEADER_LEN);
    size_t records = 0;

    *h = (struct wire_header){0};
    if (!head)
        return -1;
    h->id = wire_get_u16(head);
    h->flags = wire_get_u16(head + 2);
    h->questions = wire_get_u16(head + 4);
    for (int i = 0; i < 3; i++)
        records += h->records[i] = wire_get_u16(head + 6 + 2 * i);
    size_t least = WIRE_HEADER_LEN + (size_t)h->questions * WIRE_QUESTION_MIN;
    return least + records * WIRE_RECORD_MIN > len ? -1 : 0;
}

static void header_write(const struct wire_header *h, uint8_t out[WIRE_HEADER_LEN])
{
    wire_set_u16(out, h->id);
    wire_set_u16(out + 2, h->flags);
    wire_set_u16(out + 4, h->questions);
    for (int i = 0; i < 3; i++)
        wire_set_u16(out + 6 + 2 * i, h->records[i]);
}

int wire_record_read(const struct wire_source *s, size_t *at, struct wire_view *v)
{
    v->owner_at = *at;
    if (wire_name_skip(s, at) < 0)
        return -1;
    struct wire_reader r = {s->body, s->end - s->body_at, *at - s->body_at, false};
    const uint8_t *fixed = wire_read(&r, RECORD_FIXED);
    if (!fixed)
        return -1;
    v->type = wire_get_u16(fixed);
    v->class = wire_get_u16(fixed + 2);
    v->ttl_s = wire_get_u32(fixed + 4);
    v->rdata_len = wire_get_u16(fixed + 8);
    v->ttl_at = *at + 4;
    v->rdata_at = *at + RECORD_FIXED;
    if (!wire_read(&r, v->rdata_len))
        return -1;
    *at = v->rdata_at + v->rdata_len;
    return 0;
}

int wire_cursor_start(struct wire_cursor *c, const uint8_t *msg, size_t len)
{
    struct wire_source s = wire_source_of(msg, len);
    struct wire_header h;

    if (wire_header_read(msg, len, &h) < 0)
        return -1;
    size_t at = WIRE_HEADER_LEN;
    for (unsigned i = 0; i < h.questions; i++) {
        if (wire_name_skip(&s, &at) < 0 || len - at < 4)
            return -1;
        at += 4;
    }
    *c = (struct wire_cursor){.msg = msg, .len = len, .at = at};
    memcpy(c->left, h.records, sizeof c->left);
    return 0;
}

int wire_cursor_next(struct wire_cursor *c, struct wire_view *v)
{
    struct wire_source s = wire_source_of(c->msg, c->len);
    unsigned section = WIRE_SECTION_ANSWER;

    while (section <= WIRE_SECTION_ADDITIONAL && c->left[section] == 0)
        section++;
    if (section > WIRE_SECTION_ADDITIONAL)
        return 0;
    if (wire_record_read(&s, &c->at, v) < 0)
        return -1;
    v->section = (enum wire_section)section;
    c->left[section]--;
    return 1;
}

/* ---- EDNS ------------------------------------------------------------------------------------ */

static bool cookie_len_fits(size_t len)
{
    return len == COOKIE_CLIENT || (len >= COOKIE_MIN && len <= COOKIE_MAX);
}

/* Options that are not known are ignored (RFC 6891 6.1.2); of several cookies the first counts. */
static int read_options(struct wire_reader *r, struct wire_edns *edns)
{
    for (unsigned n = 0; r->at < r->len; n++) {
        uint16_t code = wire_read_u16(r);
        uint16_t len = wire_read_u16(r);
        const uint8_t *value = wire_read(r, len);
        if (!value || n == OPTIONS_MAX)
            return -1;
        if (code == OPTION_KEEPALIVE) {
            edns->keepalive = true;
        } else if (code == OPTION_COOKIE && !edns->cookie) {
            if (!cookie_len_fits(len))
                return -1;
            edns->cookie = value;
            edns->cookie_len = len;
        }
    }
    return 0;
}

int wire_opt_read(const struct wire_source *s, const struct wire_view *v, struct wire_edns *edns)
{
    edns->present = true;
    edns->udp_size = v->class < WIRE_UDP_MIN ? WIRE_UDP_MIN : v->class;
    edns->ext_rcode = (uint8_t)(v->ttl_s >> 24);
    edns->version = (uint8_t)(v->ttl_s >> 16);
    edns->dnssec_ok = v->ttl_s & OPT_DO;
    if (edns->version > 0) /* what options mean there is not known (RFC 6891 6.1.3) */
        return 0;
    struct wire_reader r = {wire_source_bytes(s, v->rdata_at), v->rdata_len, 0, false};
    return read_options(&r, edns);
}

/* Writes an OPT record without options (RFC 6891 6.1.2). */
static uint8_t *put_opt(uint8_t *out, uint16_t rcode, bool dnssec_ok)
{
    out[0] = 0;
    wire_set_u16(out + 1, WIRE_TYPE_OPT);
    wire_set_u16(out + 3, WIRE_UDP_MAX);
    out[5] = (uint8_t)(rcode >> 4);
    out[6] = 0;
    wire_set_u16(out + 7, dnssec_ok ? OPT_DO : 0);
    wire_set_u16(out + 9, 0);
    return out + WIRE_OPT_LEN;
}

/* Adds an option behind the OPT record at opt and counts it in its RDLENGTH. */
static uint8_t *put_option(uint8_t *opt, uint8_t *out, uint16_t code, const void *value, size_t len)
{
    wire_set_u16(out, code);
    wire_set_u16(out + 2, (uint16_t)len);
    memcpy(out + OPTION_HEAD, value, len);
    out += OPTION_HEAD + len;
    wire_set_u16(opt + 9, (uint16_t)(out - (opt + WIRE_OPT_LEN)));
    return out;
}

/* ---- queries --------------------------------------------------------------------------------- */

/* The one question of a query, uncompressed. Returns the offset behind it, or 0. */
static size_t read_question(const uint8_t *msg, size_t len, struct wire_question *q)
{
    const uint8_t *name = msg + WIRE_HEADER_LEN;
    size_t name_len = wire_name_len(name, len - WIRE_HEADER_LEN);
    struct wire_reader r = {msg, len, WIRE_HEADER_LEN + name_len, false};
    uint16_t type = wire_read_u16(&r);
    uint16_t class = wire_read_u16(&r);

    if (name_len == 0 || r.failed)
        return 0;
    *q = (struct wire_question){name, name_len, type, class};
    return r.at;
}

/* SIG(0) covers no type (RFC 2931 3). */
static bool is_transaction_sig(const struct wire_source *s, const struct wire_view *v)
{
    return v->type == WIRE_TYPE_SIG && v->rdata_len >= 2 &&
           wire_get_u16(wire_source_bytes(s, v->rdata_at)) == 0;
}

/* Reads the records behind a query's question. Their pointers are not followed: nobody reads those
 * names. */
static enum wire_query_verdict read_query_records(
    const struct wire_source *s, size_t at, const struct wire_header *h, struct wire_query *q)
{
    unsigned early = h->records[WIRE_SECTION_AUTHORITY];
    unsigned total = early + h->records[WIRE_SECTION_ADDITIONAL];
    bool is_signed = false;

    for (unsigned i = 0; i < total; i++) {
        struct wire_view v;
        if (wire_record_read(s, &at, &v) < 0)
            return WIRE_QUERY_FORMERR;
        if (v.type == WIRE_TYPE_OPT) {
            if (i < early || q->edns.present || *wire_source_bytes(s, v.owner_at) != 0 ||
                wire_opt_read(s, &v, &q->edns) < 0)
                return WIRE_QUERY_FORMERR;
        } else if (v.type == WIRE_TYPE_TSIG) {
            if (i < early || i + 1 < total) /* RFC 8945 5.1 */
                return WIRE_QUERY_FORMERR;
            is_signed = true;
        } else if (is_transaction_sig(s, &v)) {
            is_signed = true;
        }
    }
    if (at != s->end)
        return WIRE_QUERY_FORMERR;
    if (q->edns.version > 0)
        return WIRE_QUERY_BADVERS;
    return is_signed ? WIRE_QUERY_SIGNED : WIRE_QUERY_OK;
}

static bool counts_fit_query(const struct wire_header *h, const struct wire_question *q)
{
    unsigned authority = h->records[WIRE_SECTION_AUTHORITY];

    return h->records[WIRE_SECTION_ANSWER] == 0 &&
           (authority == 0 || (authority == 1 && q->type == WIRE_TYPE_IXFR)); /* RFC 1995 3 */
}

/* Where the records begin: behind the one question, or behind the header of a query that asks for
 * a cookie only (RFC 7873 5.4). 0: nowhere. */
static size_t records_at(
    const uint8_t *msg, size_t len, const struct wire_header *h, struct wire_question *q)
{
    if (h->questions == 1)
        return read_question(msg, len, q);
    return h->questions == 0 ? WIRE_HEADER_LEN : 0;
}

enum wire_query_verdict wire_parse_query(const uint8_t *msg, size_t len, struct wire_query *q)
{
    struct wire_source s = wire_source_of(msg, len);
    struct wire_header h;
    int sound = wire_header_read(msg, len, &h);

    if (len < WIRE_HEADER_LEN || h.flags & WIRE_QR)
        return WIRE_QUERY_DROP;
    memset(q, 0, sizeof *q);
    q->id = h.id;
    q->flags = h.flags;
    q->edns.udp_size = WIRE_UDP_MIN;
    size_t at = records_at(msg, len, &h, &q->question);
    if ((h.flags & WIRE_OPCODE) >> OPCODE_SHIFT != WIRE_OPCODE_QUERY)
        return WIRE_QUERY_NOTIMP;
    if (at == 0 || sound < 0 || !counts_fit_query(&h, &q->question))
        return WIRE_QUERY_FORMERR;
    enum wire_query_verdict verdict = read_query_records(&s, at, &h, q);
    if (verdict == WIRE_QUERY_OK && !q->question.name)
        verdict = q->edns.cookie ? WIRE_QUERY_COOKIE : WIRE_QUERY_FORMERR;
    if (verdict == WIRE_QUERY_FORMERR) /* half a reading of EDNS is none */
        q->edns = (struct wire_edns){.udp_size = WIRE_UDP_MIN};
    return verdict;
}

/* ---- keys ------------------------------------------------------------------------------------ */

size_t wire_key_write(const struct wire_question *q, unsigned flags, uint8_t out[WIRE_KEY_MAX])
{
    wire_name_lower(q->name, q->name_len, out);
    wire_set_u16(out + q->name_len, q->type);
    wire_set_u16(out + q->name_len + 2, q->class);
    out[q->name_len + 4] = (uint8_t)(flags & (WIRE_KEY_DO | WIRE_KEY_CD));
    return q->name_len + 5;
}

int wire_key_read(const uint8_t *key, size_t len, struct wire_question *q, unsigned *flags)
{
    size_t name_len = wire_name_len(key, len);

    if (name_len == 0 || len != name_len + 5)
        return -1;
    const uint8_t *rest = key + name_len;
    *q = (struct wire_question){key, name_len, wire_get_u16(rest), wire_get_u16(rest + 2)};
    *flags = rest[4];
    return 0;
}

/* ---- asking upstream ------------------------------------------------------------------------- */

size_t wire_write_query(const struct wire_ask *ask, uint8_t out[WIRE_QUERY_MAX])
{
    const struct wire_question *q = &ask->question;
    struct wire_header h = {.flags = WIRE_RD, .questions = 1};
    uint8_t *p = out + WIRE_HEADER_LEN;

    if (ask->authentic_data)
        h.flags |= WIRE_AD;
    if (ask->checking_disabled)
        h.flags |= WIRE_CD;
    h.records[WIRE_SECTION_ADDITIONAL] = ask->edns;
    header_write(&h, out);
    memcpy(p, q->name, q->name_len);
    p += q->name_len;
    wire_set_u16(p, q->type);
    wire_set_u16(p + 2, q->class);
    p += 4;
    if (ask->edns) {
        uint8_t *opt = p;
        p = put_opt(p, 0, ask->dnssec_ok);
        if (ask->cookie && ask->cookie_len <= COOKIE_MAX)
            p = put_option(opt, p, OPTION_COOKIE, ask->cookie, ask->cookie_len);
    }
    return (size_t)(p - out);
}

enum wire_match wire_match_reply(
    const uint8_t *query, size_t query_len, const uint8_t *reply, size_t reply_len)
{
    struct wire_header asked, h;
    struct wire_question q, a;

    if (wire_header_read(query, query_len, &asked) < 0 || !read_question(query, query_len, &q) ||
        reply_len < WIRE_HEADER_LEN)
        return WIRE_MISMATCH;
    wire_header_read(reply, reply_len, &h); /* its counts are wire_pack_answer's business */
    if (h.id != asked.id)
        return WIRE_MISMATCH_ID;
    if (!(h.flags & WIRE_QR) || h.flags & WIRE_OPCODE)
        return WIRE_MISMATCH;
    unsigned rcode = h.flags & WIRE_RCODE;
    if (h.questions == 0 && reply_len == WIRE_HEADER_LEN)
        return rcode == WIRE_FORMERR || rcode == WIRE_NOTIMP ? WIRE_MATCH_BARE_ERROR
                                                             : WIRE_MISMATCH;
    if (h.questions != 1 || !read_question(reply, reply_len, &a))
        return WIRE_MISMATCH;
    if (a.type != q.type || a.class != q.class || a.name_len != q.name_len)
        return WIRE_MISMATCH;
    if (memcmp(a.name, q.name, q.name_len) == 0)
        return WIRE_MATCH;
    return wire_name_equal(a.name, a.name_len, q.name, q.name_len) ? WIRE_MATCH_BUT_CASE
                                                                   : WIRE_MISMATCH;
}

/* ---- packed answers -------------------------------------------------------------------------- */

int wire_packed_read(const uint8_t *packed, size_t len, struct wire_packed *p)
{
    struct wire_reader r = {.bytes = packed, .len = len};
    const uint8_t *head = wire_read(&r, WIRE_PACKED_HEAD);

    if (!head)
        return -1;
    p->flags = wire_get_u16(head);
    for (int i = 0; i < 3; i++)
        p->records[i] = wire_get_u16(head + 2 + 2 * i);
    p->n_ttls = wire_get_u16(head + 8);
    p->ttl_at = wire_read(&r, (size_t)p->n_ttls * 2);
    if (!p->ttl_at)
        return -1;
    p->body = packed + r.at;
    p->body_len = len - r.at;
    return 0;
}

void wire_packed_write_head(
    uint8_t out[WIRE_PACKED_HEAD], uint16_t flags, const uint16_t records[3], uint16_t n_ttls)
{
    wire_set_u16(out, flags);
    for (int i = 0; i < 3; i++)
        wire_set_u16(out + 2 + 2 * i, records[i]);
    wire_set_u16(out + 8, n_ttls);
}

size_t wire_packed_block(uint8_t *out)
{
    static const uint16_t no_records[3] = {0};
    wire_packed_write_head(out, WIRE_NOERROR | WIRE_PACKED_BLOCKED, no_records, 0);
    return WIRE_PACKED_HEAD;
}

bool wire_packed_is_blocked(const uint8_t *packed, size_t len)
{
    return len >= WIRE_PACKED_HEAD && wire_get_u16(packed) & WIRE_PACKED_BLOCKED;
}

uint16_t wire_packed_rcode(const uint8_t *packed, size_t len)
{
    return len < WIRE_PACKED_HEAD ? WIRE_SERVFAIL : wire_get_u16(packed) & WIRE_RCODE;
}

bool wire_type_is_predictable(uint16_t type)
{
    switch (type) {
    case WIRE_TYPE_A:
    case WIRE_TYPE_AAAA:
    case WIRE_TYPE_HTTPS:
    case WIRE_TYPE_SVCB:
    case WIRE_TYPE_SRV:
    case WIRE_TYPE_MX:
    case WIRE_TYPE_TXT:
    case WIRE_TYPE_PTR:
        return true;
    default:
        return false;
    }
}

/* ---- replying -------------------------------------------------------------------------------- */

/* Copies a body and sets its TTLs. Returns 0, or -1 where a TTL would lie outside. */
static int put_body(const struct wire_reply *r, const struct wire_packed *p, uint8_t *out)
{
    bool fixed = r->fixed_ttl_s != WIRE_TTL_AS_IS;

    if (p->body_len < 4 && p->n_ttls > 0)
        return -1;
    memcpy(out, p->body, p->body_len);
    for (size_t i = 0; i < p->n_ttls; i++) {
        size_t at = wire_get_u16(p->ttl_at + 2 * i);
        if (at > p->body_len - 4)
            return -1;
        uint32_t ttl_s = wire_get_u32(out + at);
        if (fixed)
            ttl_s = r->fixed_ttl_s;
        else
            ttl_s = ttl_s > r->age_s ? ttl_s - r->age_s : 0;
        wire_set_u32(out + at, ttl_s);
    }
    return 0;
}

/* Writes our OPT record, the options for which there is room up to end, and the cookie, whose room
 * is behind end. */
static uint8_t *put_reply_opt(
    const struct wire_reply *r, uint16_t rcode, bool blocked, uint8_t *out, const uint8_t *end)
{
    uint8_t *opt = out;
    uint8_t value[2];
    enum wire_ede ede = blocked && r->ede == WIRE_EDE_NONE ? WIRE_EDE_BLOCKED : r->ede;

    out = put_opt(out, rcode, r->query->edns.dnssec_ok);
    if (r->keepalive_ds > 0 && end - out >= OPTION_HEAD + 2) {
        wire_set_u16(value, r->keepalive_ds);
        out = put_option(opt, out, OPTION_KEEPALIVE, value, 2);
    }
    if (ede != WIRE_EDE_NONE && end - out >= OPTION_HEAD + 2) {
        wire_set_u16(value, (uint16_t)ede);
        out = put_option(opt, out, OPTION_EDE, value, 2);
    }
    if (r->cookie != NULL)
        out = put_option(opt, out, OPTION_COOKIE, r->cookie, WIRE_COOKIE_LEN);
    return out;
}

static size_t put_question(const struct wire_question *q, uint8_t *out, size_t room)
{
    if (!q->name || room < q->name_len + 4)
        return 0;
    memcpy(out, q->name, q->name_len);
    wire_set_u16(out + q->name_len, q->type);
    wire_set_u16(out + q->name_len + 2, q->class);
    return q->name_len + 4;
}

/* What a packed answer adds to the flags of its reply. */
static uint16_t reply_flags(const struct wire_query *q, const struct wire_packed *p)
{
    uint16_t flags = p->flags & WIRE_AA;

    if (p->flags & WIRE_AD && (q->flags & WIRE_AD || q->edns.dnssec_ok)) /* RFC 6840 5.7, 5.8 */
        flags |= WIRE_AD;
    return flags;
}

size_t wire_write_reply(const struct wire_reply *r, uint8_t *out, size_t cap)
{
    const struct wire_query *q = r->query;
    struct wire_header h = {.id = q->id};
    struct wire_packed p = {0};
    uint16_t rcode = r->rcode;
    size_t limit = r->limit < cap ? r->limit : cap;
    size_t at = WIRE_HEADER_LEN;

    if (limit > WIRE_MESSAGE_MAX)
        limit = WIRE_MESSAGE_MAX;
    if (limit < WIRE_HEADER_LEN)
        limit = WIRE_HEADER_LEN;
    if (r->cookie != NULL) /* nothing else may take its room */
        limit -= COOKIE_OPTION_LEN;
    h.flags = WIRE_QR | WIRE_RA | (q->flags & (WIRE_OPCODE | WIRE_RD | WIRE_CD));
    at += put_question(&q->question, out + at, limit - at);
    h.questions = at > WIRE_HEADER_LEN;
    size_t opt_len = q->edns.present && limit - at >= WIRE_OPT_LEN ? WIRE_OPT_LEN : 0;
    if (r->packed) {
        bool sound = h.questions && wire_packed_read(r->packed, r->packed_len, &p) == 0;
        rcode = sound ? p.flags & WIRE_RCODE : WIRE_SERVFAIL;
        bool fits = limit - at - opt_len >= p.body_len && !r->truncate;
        if (sound && !fits) {
            h.flags |= WIRE_TC;
        } else if (sound && put_body(r, &p, out + at) == 0) {
            memcpy(h.records, p.records, sizeof h.records);
            h.flags |= reply_flags(q, &p);
            at += p.body_len;
        } else {
            rcode = WIRE_SERVFAIL;
        }
    } else if (r->truncate) {
        h.flags |= WIRE_TC;
    }
    if (opt_len > 0) {
        bool blocked = p.flags & WIRE_PACKED_BLOCKED;
        at = (size_t)(put_reply_opt(r, rcode, blocked, out + at, out + limit) - out);
        h.records[WIRE_SECTION_ADDITIONAL]++;
    } else if (rcode > WIRE_RCODE) { /* has no place to stand */
        rcode = WIRE_SERVFAIL;
    }
    h.flags |= rcode & WIRE_RCODE;
    header_write(&h, out);
    return at;
}

size_t wire_udp_limit(const struct wire_query *q)
{
    if (!q->edns.present || q->edns.udp_size < WIRE_UDP_MIN)
        return WIRE_UDP_MIN;
    return q->edns.udp_size < WIRE_UDP_MAX ? q->edns.udp_size : WIRE_UDP_MAX;
}

/* ---- TCP framing ----------------------------------------------------------------------------- */

int wire_frame_len(const uint8_t *bytes, size_t len)
{
    return len < 2 ? -1 : wire_get_u16(bytes);
}

void wire_frame_write(uint8_t out[2], size_t msg_len)
{
    wire_set_u16(out, (uint16_t)msg_len);
}
