/* message.c: fuzzes reading and writing messages: a client's question to its reply, an upstream's
 * reply to a packed answer and that to replies. What was written must parse again, and say what the
 * message said. The ID of the message, which means nothing to anyone, chooses the settings, so that
 * any message is an input as it is. Knows wire.h. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/wire_build.h"
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 4096 /* longer messages are not compared as text: that takes too long */

struct settings {
    bool dnssec_ok, keep_ad, edns, lower, truncate, with_ede, keepalive;
    size_t limit;
    uint32_t age_s, fixed_ttl_s;
    struct wire_ttl_bounds bounds;
};

static struct settings settings_of(unsigned id)
{
    static const size_t limits[] = {512, 513, 700, 1232, 4096, 65535, 65535, 100000};
    static const uint32_t ages[] = {0, 1, 3600, UINT32_MAX};
    static const struct wire_ttl_bounds bounds[] = {
        {0, 86400}, {300, 86400}, {0, 0}, {20000, INT32_MAX}};
    return (struct settings){
        .dnssec_ok = id & 1,
        .keep_ad = id & 2,
        .edns = id & 4,
        .lower = id & 8,
        .truncate = (id & 0x30) == 0x30,
        .with_ede = id & 0x40,
        .keepalive = id & 0x40,
        .limit = limits[id >> 7 & 7],
        .age_s = ages[id >> 10 & 3],
        .fixed_ttl_s = (id >> 12 & 3) == 3 ? 30 : WIRE_TTL_AS_IS,
        .bounds = bounds[id >> 14 & 3],
    };
}

static unsigned u16_at(const uint8_t *msg, size_t at)
{
    return (unsigned)(msg[at] << 8 | msg[at + 1]);
}

static size_t walk_to_end(const uint8_t *msg, size_t len)
{
    struct wire_cursor c;
    struct wire_view v;
    size_t n = 0;
    int more;
    FUZZ_MUST(wire_cursor_start(&c, msg, len) == 0);
    while ((more = wire_cursor_next(&c, &v)) == 1) {
        uint8_t owner[WIRE_NAME_MAX];
        FUZZ_MUST(wire_name_expand(msg, len, v.owner_at, owner, NULL) > 0);
        n++;
    }
    FUZZ_MUST(more == 0 && c.at == len);
    return n;
}

static void has_question(const uint8_t *msg, size_t len, const struct wire_question *q)
{
    FUZZ_MUST(len >= WIRE_HEADER_LEN + q->name_len + 4 && u16_at(msg, 4) == 1);
    FUZZ_MUST(memcmp(msg + WIRE_HEADER_LEN, q->name, q->name_len) == 0);
    FUZZ_MUST(u16_at(msg, WIRE_HEADER_LEN + q->name_len) == q->type);
    FUZZ_MUST(u16_at(msg, WIRE_HEADER_LEN + q->name_len + 2) == q->class);
}

/* ---- a client's question --------------------------------------------------------------------- */

/* Writes into an allocation that ends at the limit. The caller frees. */
static uint8_t *write_reply(const struct wire_reply *r, size_t *len)
{
    size_t cap = r->limit < WIRE_UDP_MIN ? WIRE_UDP_MIN : r->limit;
    if (cap > WIRE_MESSAGE_MAX)
        cap = WIRE_MESSAGE_MAX;
    uint8_t *out = malloc(cap);
    FUZZ_MUST(out != NULL);
    *len = wire_write_reply(r, out, cap);
    FUZZ_MUST(*len >= WIRE_HEADER_LEN && *len <= cap);
    FUZZ_MUST(u16_at(out, 0) == r->query->id);
    FUZZ_MUST((u16_at(out, 2) & (WIRE_QR | WIRE_RA | WIRE_Z)) == (WIRE_QR | WIRE_RA));
    if (r->query->question.name != NULL)
        has_question(out, *len, &r->query->question);
    else
        FUZZ_MUST(u16_at(out, 4) == 0);
    return out;
}

static void key_and_back(const struct wire_question *q, unsigned flags)
{
    uint8_t key[WIRE_KEY_MAX], again[WIRE_KEY_MAX];
    struct wire_question back;
    unsigned back_flags;
    size_t len = wire_key_write(q, flags, key);
    FUZZ_MUST(wire_key_read(key, len, &back, &back_flags) == 0);
    FUZZ_MUST(back.type == q->type && back.class == q->class && back_flags == flags);
    FUZZ_MUST(wire_name_equal(back.name, back.name_len, q->name, q->name_len));
    FUZZ_MUST(wire_key_write(&back, back_flags, again) == len && memcmp(again, key, len) == 0);
    for (size_t i = 0; i < len; i++)
        FUZZ_MUST(wire_key_read(key, i, &back, &back_flags) < 0);
}

/* What we ask upstream is a question that we would take ourselves, and its reply is recognised. */
static void ask_upstream(const struct wire_query *q, const struct settings *s)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct wire_query back;
    struct wire_ask ask = {
        .question = q->question,
        .edns = s->edns,
        .dnssec_ok = s->dnssec_ok,
        .checking_disabled = q->flags & WIRE_CD,
        .authentic_data = s->keep_ad,
        .cookie = q->edns.cookie,
        .cookie_len = q->edns.cookie_len,
    };
    size_t len = wire_write_query(&ask, msg), reply_len;
    FUZZ_MUST(len <= WIRE_QUERY_MAX);
    FUZZ_MUST(wire_parse_query(msg, len, &back) == WIRE_QUERY_OK);
    has_question(msg, len, &q->question);
    FUZZ_MUST(back.edns.present == s->edns && !back.edns.dnssec_ok == !(s->edns && s->dnssec_ok));
    FUZZ_MUST(!s->edns || back.edns.cookie_len == q->edns.cookie_len);
    struct wire_reply r = {.query = &back, .limit = s->limit, .ede = WIRE_EDE_NONE};
    uint8_t *reply = write_reply(&r, &reply_len);
    FUZZ_MUST(wire_match_reply(msg, len, reply, reply_len) == WIRE_MATCH);
    reply[0] ^= 1;
    FUZZ_MUST(wire_match_reply(msg, len, reply, reply_len) == WIRE_MISMATCH_ID);
    reply[0] ^= 1;
    size_t behind = WIRE_HEADER_LEN + q->question.name_len;
    for (size_t at = behind; at < behind + 4; at++) { /* another type or class */
        reply[at] ^= 1;
        FUZZ_MUST(wire_match_reply(msg, len, reply, reply_len) == WIRE_MISMATCH);
        reply[at] ^= 1;
    }
    size_t at = WIRE_HEADER_LEN + s->age_s % q->question.name_len;
    reply[at] ^= 0x91; /* another name, or none */
    FUZZ_MUST(wire_match_reply(msg, len, reply, reply_len) == WIRE_MISMATCH);
    free(reply);
}

static void as_query(const uint8_t *msg, size_t len, const struct settings *s)
{
    struct wire_query q;
    enum wire_query_verdict v = wire_parse_query(msg, len, &q);
    FUZZ_MUST((v == WIRE_QUERY_DROP) == (len < WIRE_HEADER_LEN || msg[2] & 0x80));
    if (v == WIRE_QUERY_DROP)
        return;
    size_t limit = wire_udp_limit(&q), reply_len;
    FUZZ_MUST(limit >= WIRE_UDP_MIN && limit <= WIRE_UDP_MAX);
    struct wire_reply r = {.query = &q,
        .rcode = v == WIRE_QUERY_BADVERS ? WIRE_BADVERS : WIRE_FORMERR,
        .fixed_ttl_s = WIRE_TTL_AS_IS,
        .truncate = s->truncate,
        .ede = s->with_ede ? WIRE_EDE_BLOCKED : WIRE_EDE_NONE,
        .keepalive_ds = s->keepalive,
        .limit = limit};
    uint8_t *reply = write_reply(&r, &reply_len);
    FUZZ_MUST(walk_to_end(reply, reply_len) == (q.edns.present ? 1 : 0));
    free(reply);
    if (q.question.name == NULL) {
        FUZZ_MUST(v != WIRE_QUERY_OK);
        return;
    }
    key_and_back(&q.question, (s->dnssec_ok ? WIRE_KEY_DO : 0) | (q.flags & WIRE_CD ? 2u : 0));
    if (v == WIRE_QUERY_OK)
        ask_upstream(&q, s);
}

/* ---- a packed answer to replies -------------------------------------------------------------- */

/* The n-th record of a message. */
static struct wire_view nth(const uint8_t *msg, size_t len, size_t n)
{
    struct wire_cursor c;
    struct wire_view v;
    FUZZ_MUST(wire_cursor_start(&c, msg, len) == 0);
    do
        FUZZ_MUST(wire_cursor_next(&c, &v) == 1);
    while (n-- > 0);
    return v;
}

static void ttls_are(const uint8_t *fresh, size_t fresh_len, const uint8_t *aged, size_t aged_len,
    const struct wire_reply *r)
{
    struct wire_cursor a, b;
    struct wire_view old, new;
    FUZZ_MUST(wire_cursor_start(&a, fresh, fresh_len) == 0);
    FUZZ_MUST(wire_cursor_start(&b, aged, aged_len) == 0);
    while (wire_cursor_next(&a, &old) == 1) {
        FUZZ_MUST(wire_cursor_next(&b, &new) == 1);
        FUZZ_MUST(old.type == new.type &&old.rdata_at == new.rdata_at);
        uint32_t left_s = old.ttl_s > r->age_s ? old.ttl_s - r->age_s : 0;
        if (old.type != WIRE_TYPE_OPT)
            FUZZ_MUST(new.ttl_s == (r->fixed_ttl_s == WIRE_TTL_AS_IS ? left_s : r->fixed_ttl_s));
    }
}

/* A reply that a client would get of it: within its limit, whole or without records. */
static void to_client(const struct wire_question *q, const uint8_t *packed, size_t packed_len,
    const uint8_t *whole, size_t whole_len, const struct settings *s)
{
    struct wire_query asker = {.id = 7, .question = *q, .flags = WIRE_RD};
    asker.edns = (struct wire_edns){.present = s->edns, .udp_size = WIRE_UDP_MAX};
    struct wire_reply r = {.query = &asker,
        .packed = packed,
        .packed_len = packed_len,
        .age_s = s->age_s,
        .fixed_ttl_s = s->fixed_ttl_s,
        .truncate = s->truncate,
        .ede = s->with_ede ? WIRE_EDE_STALE : WIRE_EDE_NONE,
        .keepalive_ds = s->keepalive ? 100 : 0,
        .limit = s->limit};
    size_t len;
    uint8_t *reply = write_reply(&r, &len);
    size_t n = walk_to_end(reply, len);
    bool truncated = u16_at(reply, 2) & WIRE_TC;
    FUZZ_MUST((u16_at(reply, 2) & WIRE_AD) == 0); /* nobody asked for it */
    if (truncated)
        FUZZ_MUST(n == s->edns && (s->truncate || whole_len + 11 > s->limit));
    else if (!s->truncate && (u16_at(whole, 2) & WIRE_TC) == 0 && !s->edns)
        ttls_are(whole, whole_len, reply, len, &r);
    free(reply);
}

/* The answer behind an alias, as an override or a rule makes it. */
static void behind_alias(
    const struct wire_question *q, const uint8_t *packed, size_t packed_len, unsigned n_answers)
{
    static const uint8_t alias[] = "\5alias\7example";
    static uint8_t scratch[WIRE_MESSAGE_MAX], out[WIRE_PACKED_MAX];
    struct wire_writer w;
    struct wire_record cname = {
        alias, sizeof alias, WIRE_TYPE_CNAME, q->class, 60, q->name, q->name_len};
    wire_writer_start(&w, alias, sizeof alias, scratch, sizeof scratch);
    wire_put_record(&w, WIRE_SECTION_ANSWER, &cname);
    wire_put_packed(&w, packed, packed_len, q->name, q->name_len, 5);
    size_t out_len = wire_writer_finish(&w, 0, out, sizeof out), len;
    if (out_len == 0)
        return;
    struct wire_query asker = {.question = {alias, sizeof alias, q->type, q->class}};
    struct wire_reply r = {.query = &asker,
        .packed = out,
        .packed_len = out_len,
        .fixed_ttl_s = WIRE_TTL_AS_IS,
        .ede = WIRE_EDE_NONE,
        .limit = WIRE_MESSAGE_MAX};
    uint8_t *reply = write_reply(&r, &len);
    walk_to_end(reply, len);
    if ((u16_at(reply, 2) & WIRE_TC) == 0) {
        FUZZ_MUST(u16_at(reply, 6) == n_answers + 1);
        struct wire_view v = nth(reply, len, 0);
        FUZZ_MUST(v.type == WIRE_TYPE_CNAME && v.ttl_s == 60);
    }
    free(reply);
}

/* ---- an upstream's reply --------------------------------------------------------------------- */

static void answer_is_sound(const struct wire_answer *a, const struct settings *s)
{
    FUZZ_MUST(a->packed_len <= WIRE_PACKED_MAX);
    FUZZ_MUST(a->edns.udp_size >= WIRE_UDP_MIN);
    switch (a->kind) {
    case WIRE_ANSWER_TRUNCATED:
    case WIRE_ANSWER_MALFORMED:
        FUZZ_MUST(a->packed_len == 0);
        break;
    case WIRE_ANSWER_ERROR:
        FUZZ_MUST(a->rcode != WIRE_NOERROR && a->rcode != WIRE_NXDOMAIN);
        FUZZ_MUST((a->packed_len > 0) == (a->rcode <= WIRE_RCODE));
        break;
    case WIRE_ANSWER_NO_SOA:
        FUZZ_MUST(a->ttl_s == 0 && a->packed_len > 0);
        break;
    case WIRE_ANSWER_NODATA:
    case WIRE_ANSWER_NXDOMAIN:
        FUZZ_MUST(a->ttl_s <= 10800);
        /* fall through */
    case WIRE_ANSWER_POSITIVE:
        FUZZ_MUST(a->packed_len > 0 && a->ttl_s <= s->bounds.max_s);
    }
}

/* Our own reply with all of it, packed again, must come to the same. */
static void again(const struct wire_question *q, const uint8_t *whole, size_t whole_len,
    const struct wire_answer *a, const struct settings *s)
{
    static uint8_t out[WIRE_PACKED_MAX];
    struct wire_answer b;
    wire_pack_answer(
        whole, whole_len, q, s->dnssec_ok, s->keep_ad, &s->bounds, out, sizeof out, &b);
    /* What lay scattered is shorter now, and its names may have got too dear for its length. */
    if (b.kind == WIRE_ANSWER_MALFORMED)
        return;
    FUZZ_MUST(b.kind == a->kind && b.rcode == a->rcode && b.ttl_s == a->ttl_s);
    if (whole_len > TEXT_MAX)
        return;
    struct wire_query asker = {.question = *q, .flags = WIRE_AD};
    struct wire_reply r = {.query = &asker,
        .packed = out,
        .packed_len = b.packed_len,
        .fixed_ttl_s = WIRE_TTL_AS_IS,
        .ede = WIRE_EDE_NONE,
        .limit = WIRE_MESSAGE_MAX};
    size_t len;
    uint8_t *reply = write_reply(&r, &len);
    char *text = strdup(m_text(whole, whole_len));
    FUZZ_MUST(text != NULL && strcmp(text, m_text(reply, len)) == 0);
    FUZZ_MUST((u16_at(reply, 2) & ~(unsigned)WIRE_RD) == (u16_at(whole, 2) & ~(unsigned)WIRE_RD));
    free(text);
    free(reply);
}

static void packed_to_replies(const struct wire_question *q, const uint8_t *packed,
    const struct wire_answer *a, const struct settings *s)
{
    struct wire_query asker = {.question = *q, .flags = WIRE_AD};
    struct wire_reply r = {.query = &asker,
        .packed = packed,
        .packed_len = a->packed_len,
        .fixed_ttl_s = WIRE_TTL_AS_IS,
        .ede = WIRE_EDE_NONE,
        .limit = WIRE_MESSAGE_MAX};
    size_t len;
    uint8_t *whole = write_reply(&r, &len);
    walk_to_end(whole, len);
    FUZZ_MUST((u16_at(whole, 2) & WIRE_RCODE) == a->rcode);
    to_client(q, packed, a->packed_len, whole, len, s);
    if ((u16_at(whole, 2) & WIRE_TC) == 0) {
        if (a->kind != WIRE_ANSWER_ERROR)
            again(q, whole, len, a, s);
        behind_alias(q, packed, a->packed_len, u16_at(whole, 6));
    }
    free(whole);
}

static void as_reply(const uint8_t *msg, size_t len, const struct settings *s)
{
    static uint8_t out[WIRE_PACKED_MAX];
    uint8_t query[WIRE_QUERY_MAX], name[WIRE_NAME_MAX];
    if (len < WIRE_HEADER_LEN)
        return;
    size_t name_len = wire_name_len(msg + WIRE_HEADER_LEN, len - WIRE_HEADER_LEN);
    if (name_len == 0 || len - WIRE_HEADER_LEN - name_len < 4)
        return;
    size_t at = WIRE_HEADER_LEN + name_len;
    memcpy(name, msg + WIRE_HEADER_LEN, name_len);
    if (s->lower)
        wire_name_lower(name, name_len, name);
    struct wire_ask ask = {
        .question = {name, name_len, (uint16_t)u16_at(msg, at), (uint16_t)u16_at(msg, at + 2)}};
    size_t query_len = wire_write_query(&ask, query);
    query[0] = msg[0];
    query[1] = msg[1];
    enum wire_match m = wire_match_reply(query, query_len, msg, len);
    bool spelled = memcmp(name, msg + WIRE_HEADER_LEN, name_len) == 0;
    bool answers = (u16_at(msg, 2) & (WIRE_QR | WIRE_OPCODE)) == WIRE_QR && u16_at(msg, 4) == 1;
    FUZZ_MUST(m == (!answers ? WIRE_MISMATCH : spelled ? WIRE_MATCH : WIRE_MATCH_BUT_CASE));
    if (!answers)
        return;
    struct wire_answer a;
    wire_pack_answer(
        msg, len, &ask.question, s->dnssec_ok, s->keep_ad, &s->bounds, out, sizeof out, &a);
    answer_is_sound(&a, s);
    if (a.packed_len > 0)
        packed_to_replies(&ask.question, out, &a, s);
}

/* ---- anything at all ------------------------------------------------------------------------- */

/* Records that the message holds, written one by one, come back one by one. */
static void record_by_record(const uint8_t *msg, size_t len)
{
    static const uint8_t root[1] = {0};
    static uint8_t scratch[WIRE_MESSAGE_MAX], out[WIRE_PACKED_MAX];
    struct wire_writer w;
    struct wire_cursor c, d;
    struct wire_view v, back;
    uint8_t owner[WIRE_NAME_MAX], owner_back[WIRE_NAME_MAX];
    if (wire_cursor_start(&c, msg, len) < 0)
        return;
    d = c;
    wire_writer_start(&w, root, sizeof root, scratch, sizeof scratch);
    while (wire_cursor_next(&c, &v) == 1) {
        size_t owner_len = wire_name_expand(msg, len, v.owner_at, owner, NULL);
        if (owner_len == 0)
            return;
        struct wire_record r = {
            owner, owner_len, v.type, v.class, v.ttl_s, msg + v.rdata_at, v.rdata_len};
        wire_put_record(&w, v.section, &r);
    }
    size_t out_len = wire_writer_finish(&w, 0, out, sizeof out), reply_len;
    if (out_len == 0)
        return;
    struct wire_query asker = {.question = {root, sizeof root, 1, 1}};
    struct wire_reply r = {.query = &asker,
        .packed = out,
        .packed_len = out_len,
        .fixed_ttl_s = WIRE_TTL_AS_IS,
        .ede = WIRE_EDE_NONE,
        .limit = WIRE_MESSAGE_MAX};
    uint8_t *reply = write_reply(&r, &reply_len);
    bool whole = (u16_at(reply, 2) & WIRE_TC) == 0;
    FUZZ_MUST(wire_cursor_start(&c, reply, reply_len) == 0);
    while (whole && wire_cursor_next(&d, &v) == 1) {
        FUZZ_MUST(wire_cursor_next(&c, &back) == 1);
        FUZZ_MUST(v.type == back.type && v.class == back.class && v.ttl_s == back.ttl_s);
        FUZZ_MUST(v.section == back.section && v.rdata_len == back.rdata_len);
        FUZZ_MUST(memcmp(msg + v.rdata_at, reply + back.rdata_at, v.rdata_len) == 0);
        size_t owner_len = wire_name_expand(msg, len, v.owner_at, owner, NULL);
        size_t back_len = wire_name_expand(reply, reply_len, back.owner_at, owner_back, NULL);
        FUZZ_MUST(wire_name_equal(owner, owner_len, owner_back, back_len));
    }
    free(reply);
}

/* Not an answer that anybody packed: nothing but the bounds of the reply is promised. */
static void as_packed(const uint8_t *packed, size_t len, const struct settings *s)
{
    static const uint8_t name[] = "\3www\7example";
    static uint8_t scratch[WIRE_MESSAGE_MAX], out[WIRE_PACKED_MAX];
    struct wire_query asker = {.question = {name, sizeof name, WIRE_TYPE_A, WIRE_CLASS_IN}};
    asker.edns.present = s->edns;
    struct wire_reply r = {.query = &asker,
        .packed = packed,
        .packed_len = len,
        .age_s = s->age_s,
        .fixed_ttl_s = s->fixed_ttl_s,
        .ede = WIRE_EDE_NONE,
        .limit = s->limit};
    size_t reply_len;
    free(write_reply(&r, &reply_len));
    wire_packed_rcode(packed, len);
    struct wire_writer w;
    wire_writer_start(&w, name, sizeof name, scratch, sizeof scratch);
    wire_put_packed(&w, packed, len, name, sizeof name, s->age_s);
    wire_writer_finish(&w, 0, out, sizeof out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings s = settings_of(size < 2 ? 0 : u16_at(data, 0));
    as_query(data, size, &s);
    as_reply(data, size, &s);
    record_by_record(data, size);
    as_packed(data, size, &s);
    return 0;
}

/* ---- seeds ----------------------------------------------------------------------------------- */

static void seed(const char *name, const struct msg *m)
{
    fuzz_seed(name, m->bytes, m->len);
}

static void seed_queries(struct msg *m)
{
    m_start(m, WIRE_RD, "www.example.com", WIRE_TYPE_A);
    seed("query", m);
    m_opt(m, 1232, 0x8000);
    m_option(m, 10, "01234567", 8);
    m_close(m);
    seed("query-edns", m);
}

static void seed_replies(struct msg *m)
{
    m_start(m, WIRE_QR | WIRE_RD | WIRE_RA | WIRE_AD, "www.example.com", WIRE_TYPE_A);
    m_to(m, WIRE_SECTION_ANSWER, "@", WIRE_TYPE_CNAME, 300, "cdn.@16");
    m_rrsig(m, WIRE_SECTION_ANSWER, "@", 300, WIRE_TYPE_CNAME);
    m_a(m, WIRE_SECTION_ANSWER, "cdn.@16", 60, 0xc0000201);
    m_a(m, WIRE_SECTION_ANSWER, "cdn.@16", 60, 0xc0000202);
    m_to(m, WIRE_SECTION_AUTHORITY, "@16", WIRE_TYPE_NS, 900, "ns1.@16");
    m_a(m, WIRE_SECTION_ADDITIONAL, "ns1.@16", 900, 0xc0000203);
    m_opt(m, 1232, 0);
    m_close(m);
    seed("reply-cname", m);

    m_start(m, WIRE_QR | WIRE_RD | WIRE_RA | WIRE_NXDOMAIN, "no.example", WIRE_TYPE_AAAA);
    m_soa(m, WIRE_SECTION_AUTHORITY, "@15", 3600, 300);
    m_rrsig(m, WIRE_SECTION_AUTHORITY, "@15", 3600, WIRE_TYPE_SOA);
    seed("reply-nxdomain", m);

    m_start(m, WIRE_QR | WIRE_RD | WIRE_RA, "example", WIRE_TYPE_MX);
    m_open(m, WIRE_SECTION_ANSWER, "@", WIRE_TYPE_MX, 60);
    m_u16(m, 10);
    m_name(m, "mail.@");
    m_close(m);
    m_a(m, WIRE_SECTION_ADDITIONAL, "mail.@", 60, 0xc0000204);
    seed("reply-mx", m);
}

static void seed_odd_replies(struct msg *m)
{
    m_start(m, WIRE_QR | WIRE_RD | WIRE_RA, "a.b.example", WIRE_TYPE_A);
    m_to(m, WIRE_SECTION_ANSWER, "example", WIRE_TYPE_DNAME, 60, "example.net");
    m_to(m, WIRE_SECTION_ANSWER, "@", WIRE_TYPE_CNAME, 0, "a.b.example.net");
    m_a(m, WIRE_SECTION_ANSWER, "other.example", 60, 0xc0000205);
    m_a(m, WIRE_SECTION_ANSWER, "a.b.example.net", 0x80000000, 0xc0000206);
    seed("reply-dname", m);

    m_start(m, WIRE_QR | WIRE_RD | WIRE_RA, "example", WIRE_TYPE_HTTPS);
    m_open(m, WIRE_SECTION_ANSWER, "@", WIRE_TYPE_HTTPS, 60);
    m_u16(m, 1);
    m_name(m, ".");
    m_raw(m, "\0\1\0\3\2h3\0\4\0\4\300\0\2\7", 15);
    m_close(m);
    m_a(m, WIRE_SECTION_ADDITIONAL, "@", 60, 0xc0000207);
    seed("reply-https", m);

    m_start(m, WIRE_QR | WIRE_TC | WIRE_RD, "example", WIRE_TYPE_TXT);
    seed("reply-truncated", m);
    m_start(m, WIRE_QR | WIRE_SERVFAIL | WIRE_RD, "example", WIRE_TYPE_TXT);
    seed("reply-servfail", m);
}

void fuzz_seeds(void)
{
    static struct msg m;
    seed_queries(&m);
    seed_replies(&m);
    seed_odd_replies(&m);
}
