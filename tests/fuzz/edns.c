/* edns.c: fuzzes EDNS (RFC 6891): the OPT record of a question and of a reply, and cookies (RFC
 * 7873). A second reading of the options, the plainest there is, says what must be found. Knows
 * wire.h and server.h. */
#include "cookie.h"
#include "server.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/wire_build.h"
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 32

/* What the options say, read in another way. */
struct plain {
    bool bad, keepalive;
    const uint8_t *cookie;
    size_t cookie_len;
};

static struct plain read_plainly(const uint8_t *options, size_t len)
{
    struct plain p = {0};
    unsigned n = 0;
    for (size_t at = 0; at < len && !p.bad;) {
        if (len - at < 4 || n++ == OPTIONS_MAX) {
            p.bad = true;
            break;
        }
        unsigned code = options[at] * 256u + options[at + 1];
        size_t size = options[at + 2] * 256u + options[at + 3];
        at += 4;
        p.bad = size > len - at;
        p.keepalive |= code == 11;
        if (!p.bad && code == 10 && p.cookie == NULL) {
            p.cookie = options + at;
            p.cookie_len = size;
            p.bad = size != 8 && (size < 16 || size > 40);
        }
        at += size;
    }
    return p;
}

/* The first byte of an input: where the OPT record stands and what else is wrong. */
enum odd { ODD_TWICE = 1, ODD_OWNER = 2, ODD_AUTHORITY = 4, ODD_SIGNED = 8, ODD_BEHIND = 16 };

struct opt {
    unsigned odd;
    uint16_t udp_size;
    uint32_t ttl;
    const uint8_t *options;
    size_t len;
};

static void put_opt(struct msg *m, const struct opt *o)
{
    bool early = o->odd & ODD_AUTHORITY;
    m_open(m, early ? WIRE_SECTION_AUTHORITY : WIRE_SECTION_ADDITIONAL,
        o->odd & ODD_OWNER ? "example" : ".", WIRE_TYPE_OPT, o->ttl);
    m_set_u16(m, m->rdata_at - 8, o->udp_size);
    m_raw(m, o->options, o->len);
    m_close(m);
}

static void put_rest(struct msg *m, const struct opt *o)
{
    put_opt(m, o);
    if (o->odd & ODD_TWICE)
        put_opt(m, o);
    if (o->odd & ODD_SIGNED) {
        m_open(m, WIRE_SECTION_ADDITIONAL, "key", WIRE_TYPE_TSIG, 0);
        m_close(m);
    }
    if (o->odd & ODD_BEHIND)
        m_u8(m, 0);
}

static void edns_is(const struct wire_edns *e, const struct opt *o, const struct plain *p)
{
    FUZZ_MUST(e->present && e->udp_size == (o->udp_size < 512 ? 512 : o->udp_size));
    FUZZ_MUST(e->version == (o->ttl >> 16 & 255) && e->ext_rcode == o->ttl >> 24);
    FUZZ_MUST(e->dnssec_ok == (o->ttl >> 15 & 1));
    if (e->version > 0)
        return;
    FUZZ_MUST(e->keepalive == p->keepalive && e->cookie_len == p->cookie_len);
    FUZZ_MUST(e->cookie_len == 0 || memcmp(e->cookie, p->cookie, p->cookie_len) == 0);
}

static enum wire_query_verdict expected(const struct opt *o, const struct plain *p)
{
    bool old = (o->ttl >> 16 & 255) == 0;
    if (o->odd & (ODD_TWICE | ODD_OWNER | ODD_AUTHORITY | ODD_BEHIND) || (old && p->bad))
        return WIRE_QUERY_FORMERR;
    if (!old)
        return WIRE_QUERY_BADVERS;
    return o->odd & ODD_SIGNED ? WIRE_QUERY_SIGNED : WIRE_QUERY_OK;
}

/* The reply has an OPT record of our own making if the question had one, and it is never the
 * client's. */
static void reply_to(const struct wire_query *q, uint16_t rcode, size_t limit)
{
    static const struct addr peer = {.ip = {[15] = 1}, .port = 4711};
    static const uint8_t seed[COOKIE_SEED_LEN] = {1};
    uint8_t made[COOKIE_LEN];
    struct wire_cursor c;
    struct wire_view v;
    if (q->edns.cookie != NULL)
        cookie_make(q->edns.cookie, &peer, 5, seed, made);
    struct wire_reply r = {.query = q,
        .rcode = rcode,
        .ede = WIRE_EDE_PROHIBITED,
        .keepalive_ds = q->edns.keepalive ? 100 : 0,
        .cookie = q->edns.cookie != NULL ? made : NULL,
        .limit = limit};
    uint8_t *out = malloc(limit);
    FUZZ_MUST(out != NULL);
    size_t len = wire_write_reply(&r, out, limit);
    FUZZ_MUST(len <= limit && wire_cursor_start(&c, out, len) == 0);
    FUZZ_MUST(wire_cursor_next(&c, &v) == (q->edns.present ? 1 : 0));
    if (q->edns.present) {
        FUZZ_MUST(v.type == WIRE_TYPE_OPT && v.class == WIRE_UDP_MAX);
        FUZZ_MUST((v.ttl_s >> 15 & 1) == q->edns.dnssec_ok);
        FUZZ_MUST((v.ttl_s >> 24) == rcode >> 4 && (v.ttl_s >> 16 & 255) == 0);
        FUZZ_MUST(!read_plainly(out + v.rdata_at, v.rdata_len).bad);
        size_t cookie = q->edns.cookie != NULL ? 4 + COOKIE_LEN : 0;
        FUZZ_MUST(v.rdata_len == 6 + (q->edns.keepalive ? 6u : 0) + cookie);
    }
    FUZZ_MUST(wire_cursor_next(&c, &v) == 0 && c.at == len);
    free(out);
}

static void as_query(struct msg *m, const struct opt *o, const struct plain *p)
{
    struct wire_query q;
    m_start(m, WIRE_RD, "www.example", WIRE_TYPE_A);
    put_rest(m, o);
    uint8_t *exact = fuzz_exact(m->bytes, m->len);
    enum wire_query_verdict v = wire_parse_query(exact, m->len, &q);
    FUZZ_MUST(v == expected(o, p));
    FUZZ_MUST(q.question.name != NULL);
    if (v != WIRE_QUERY_FORMERR)
        edns_is(&q.edns, o, p);
    else
        FUZZ_MUST(!q.edns.present);
    reply_to(&q, v == WIRE_QUERY_BADVERS ? WIRE_BADVERS : WIRE_REFUSED, wire_udp_limit(&q));
    free(exact);
}

/* What is taken for a server's cookie is sent to it from then on; a forged one changes nothing. */
static void cookie_of(const uint8_t *cookie, size_t len)
{
    static const uint8_t seed[SERVER_SEED_LEN] = {3};
    static const struct server_conf list[1] = {{.addr = {.ip = {[15] = 1}, .port = 53}}};
    uint8_t ours[SERVER_COOKIE_MAX], made[SERVER_COOKIE_MAX], now[SERVER_COOKIE_MAX];
    struct servers *s = servers_create(seed);
    FUZZ_MUST(s != NULL);
    servers_set(s, list, 1, 1000);
    FUZZ_MUST(server_cookie(s, 0, ours) == SERVER_CLIENT_COOKIE_LEN);
    server_note_cookie(s, 0, cookie, len);
    bool right = len >= 8 && memcmp(cookie, ours, 8) == 0;
    FUZZ_MUST(server_check_cookie(s, 0, cookie, len) ==
              (cookie == NULL || right ? SERVER_COOKIE_FINE : SERVER_COOKIE_WRONG));
    size_t made_len = len > 8 ? len : 16;
    memset(made, 5, sizeof made);
    if (len > 8)
        memcpy(made, cookie, len);
    memcpy(made, ours, 8);
    FUZZ_MUST(server_check_cookie(s, 0, made, made_len) == SERVER_COOKIE_FINE);
    server_note_cookie(s, 0, made, made_len);
    FUZZ_MUST(server_cookie(s, 0, now) == made_len && memcmp(now, made, made_len) == 0);
    FUZZ_MUST(server_check_cookie(s, 0, NULL, 0) == SERVER_COOKIE_MISSING);
    made[0] ^= 1;
    FUZZ_MUST(server_check_cookie(s, 0, made, made_len) == SERVER_COOKIE_WRONG);
    servers_free(s);
}

static void as_reply(struct msg *m, const struct opt *o, const struct plain *p)
{
    static uint8_t out[WIRE_PACKED_MAX];
    static const uint8_t name[] = "\3www\7example";
    struct wire_question asked = {name, sizeof name, WIRE_TYPE_A, WIRE_CLASS_IN};
    struct wire_ttl_bounds bounds = {0, 86400};
    struct wire_answer a;
    m_start(m, WIRE_QR | WIRE_RD, "www.example", WIRE_TYPE_A);
    m_a(m, WIRE_SECTION_ANSWER, "@", 60, 0xc0000201);
    put_rest(m, o);
    uint8_t *exact = fuzz_exact(m->bytes, m->len);
    wire_pack_answer(exact, m->len, &asked, false, false, &bounds, out, sizeof out, &a);
    bool misplaced = o->odd & (ODD_TWICE | ODD_OWNER | ODD_AUTHORITY);
    bool bad = misplaced || ((o->ttl >> 16 & 255) == 0 && p->bad);
    FUZZ_MUST((a.kind == WIRE_ANSWER_MALFORMED) == bad);
    if (!bad) {
        edns_is(&a.edns, o, p);
        FUZZ_MUST(a.rcode == o->ttl >> 24 << 4);
        FUZZ_MUST(a.kind == (a.rcode ? WIRE_ANSWER_ERROR : WIRE_ANSWER_POSITIVE));
        cookie_of(a.edns.cookie, a.edns.cookie_len);
    }
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct msg m;
    struct fuzz_input in = {data, size};
    struct opt o = {.odd = fuzz_u8(&in)};
    o.udp_size = fuzz_u16(&in);
    o.ttl = fuzz_u32(&in);
    o.options = fuzz_take(&in, 8192, &o.len);
    struct plain p = read_plainly(o.options, o.len);
    as_query(&m, &o, &p);
    as_reply(&m, &o, &p);
    return 0;
}

void fuzz_seeds(void)
{
    static const char plain[] = "\0\4\320\0\0\200\0";
    static const char cookie[] = "\0\4\320\0\0\0\0\0\12\0\10abcdefgh\0\13\0\0";
    static const char server[] = "\0\4\320\0\0\0\0\0\12\0\20abcdefghijklmnop\0\17\0\2\0\26";
    static const char badvers[] = "\0\4\320\0\1\0\0\0\12\0\3abc";
    static const char padded[] = "\0\2\0\0\0\0\0\0\14\0\4\0\0\0\0\0\10\0\4\0\1\0\0";
    fuzz_seed("plain", plain, sizeof plain - 1);
    fuzz_seed("cookie", cookie, sizeof cookie - 1);
    fuzz_seed("server-cookie", server, sizeof server - 1);
    fuzz_seed("badvers", badvers, sizeof badvers - 1);
    fuzz_seed("padded", padded, sizeof padded - 1);
}
