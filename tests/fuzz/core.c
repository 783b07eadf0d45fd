/* core.c: fuzzes the whole core on virtual time: the input says what clients send, what servers
 * answer, when, and what the owner changes meanwhile. Servers write their replies from the question
 * as it was sent, so that they count; a forger's never may. Every invariant is looked at after
 * every turn, every reply at the end. Knows the core by the replay world. */
#include "tests/fuzz/fuzz.h"
#include "tests/replay/world.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX   400
#define ASKS_MAX    1000
#define SENT_MOST   8000
#define REPLIES_MAX 4 /* to one message */
#define RECORDS_MAX 8 /* in one reply */
#define NAMES_MAX   64
#define TTL_MAX_S   86400
#define MIN_TTL_S   30

static struct world *w;
static struct fuzz_input owner_in, server_in;
static uint8_t forged[4];                  /* no record with this address may reach a client */
static uint64_t jumped_ms;                 /* the last time that the clock jumped */
static uint8_t private4[4], private16[16]; /* not either, with the guard against rebinding */
static bool odd_ttls;                      /* an override of any TTL is there or was */
static unsigned n_jumps;
static bool overridden;     /* overrides are there or were */
static unsigned n_not_sent; /* messages that the machine could not send, at most */

/* AAAA records with a tag say when they came, and for how long they may be used. */
static uint64_t tag_arrives_ms;
static uint32_t tag_ttl_s;
static bool tagging;
static bool min_ttl;    /* the least TTL was raised at some time */
static uint32_t secret; /* that the input cannot know */

/* Memory: after so many allocations of the core, so many fail. */
static unsigned lack_after, lack_for;
static bool lacked; /* one did */

/* What was asked, to be compared with what came. */
static struct {
    uint8_t *msg;
    size_t len;
    bool stream;
    bool looked_at;
} expected[WORLD_ASKED_MAX];

#define PICK(in, list) ((list)[fuzz_u8(in) % (sizeof(list) / sizeof *(list))])

static const char *const names[] = {"a.example", "b.example", "c.example", "A.eXample",
    "x.a.example", "y.x.a.example", "example", "example.net", "cdn.example.net", "", "localhost",
    "printer", "x.local", "1.0.0.10.in-addr.arpa", "version.bind", "victim.example"};

static const uint16_t types[] = {WIRE_TYPE_A, WIRE_TYPE_AAAA, WIRE_TYPE_CNAME, WIRE_TYPE_NS,
    WIRE_TYPE_SOA, WIRE_TYPE_MX, WIRE_TYPE_TXT, WIRE_TYPE_SRV, WIRE_TYPE_HTTPS, WIRE_TYPE_DNAME,
    WIRE_TYPE_RRSIG, WIRE_TYPE_NSEC, WIRE_TYPE_DS, WIRE_TYPE_PTR, WIRE_TYPE_ANY, WIRE_TYPE_OPT,
    WIRE_TYPE_AXFR, WIRE_TYPE_TSIG, 0, 65280};

static const uint32_t ttls[] = {
    0, 1, 2, 5, 30, 60, 300, 10800, 86400, 604800, 0x7fffffff, 0x80000000, 0xffffffff};

/* ---- memory ---------------------------------------------------------------------------------- */

void *__real_malloc(size_t len);
void *__wrap_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__wrap_calloc(size_t n, size_t len);

static bool memory_is_out(void)
{
    if (lack_for == 0 || !w->in_core)
        return false;
    if (lack_after > 0) {
        lack_after--;
        return false;
    }
    lack_for--;
    return lacked = true;
}

void *__wrap_malloc(size_t len)
{
    return memory_is_out() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
    return memory_is_out() ? NULL : __real_calloc(n, len);
}

/* ---- servers --------------------------------------------------------------------------------- */

static const uint64_t delays_ms[] = {
    40, 0, 1, 20, 40, 100, 300, 700, 1000, 1799, 1801, 1899, 1901, 2500, 4499, 9000};

static size_t put_name(uint8_t *out, const struct sent *s)
{
    uint8_t which = fuzz_u8(&server_in);
    if (which < 128)
        return world_name(s->name[0] == '.' ? "" : s->name, out);
    return world_name(names[which % (sizeof names / sizeof *names)], out);
}

static void put16(uint8_t *out, unsigned value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static void put32(uint8_t *out, uint32_t value)
{
    put16(out, value >> 16);
    put16(out + 2, value & 0xffff);
}

static uint32_t get32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Writes when this record, with tag_ttl_s, arrives, and what that looks like mixed up. */
static void put_tag(uint8_t out[16])
{
    uint32_t arrives_ms = (uint32_t)tag_arrives_ms;
    put32(out, 0x20010db8);
    put32(out + 4, arrives_ms);
    put32(out + 8, tag_ttl_s);
    put32(out + 12, (arrives_ms * 31 + tag_ttl_s) * 2654435761u ^ secret);
}

static bool has_tag(const uint8_t rdata[16])
{
    return get32(rdata) == 0x20010db8 &&
           get32(rdata + 12) == ((get32(rdata + 4) * 31 + get32(rdata + 8)) * 2654435761u ^ secret);
}

/* RDATA of the right form for a type, mostly. */
static size_t put_rdata(uint8_t *out, const struct sent *s, uint16_t type)
{
    static const uint8_t before[256] = {[15] = 2, [33] = 6, [64] = 2, [65] = 2};
    size_t len = 0, taken;
    const uint8_t *raw;
    switch (type) {
    case WIRE_TYPE_A:
        memcpy(out, (uint8_t[]){192, 0, 2, fuzz_u8(&server_in)}, 4);
        if (out[3] >= 224)
            memcpy(out, private4, 4);
        return 4;
    case WIRE_TYPE_AAAA:
        memset(out, 0x20, 16);
        out[15] = fuzz_u8(&server_in);
        if (out[15] >= 224)
            memcpy(out, private16, 16);
        else if (tagging)
            put_tag(out);
        return 16;
    case WIRE_TYPE_SOA:
        memset(out, 0, 22);
        out[20] = fuzz_u8(&server_in);
        out[21] = fuzz_u8(&server_in);
        return 22;
    case WIRE_TYPE_RRSIG:
        memset(out, 0, 24);
        out[1] = fuzz_u8(&server_in);
        return 24;
    case WIRE_TYPE_CNAME:
    case WIRE_TYPE_DNAME:
    case WIRE_TYPE_NS:
    case WIRE_TYPE_PTR:
    case WIRE_TYPE_MX:
    case WIRE_TYPE_SRV:
    case WIRE_TYPE_HTTPS:
        memset(out, 1, before[type]);
        return before[type] + put_name(out + before[type], s);
    case WIRE_TYPE_OPT:
        raw = fuzz_take(&server_in, fuzz_u8(&server_in) % 32, &taken);
        break;
    default:
        raw = fuzz_take(&server_in, fuzz_u8(&server_in), &taken);
    }
    if (taken > 0)
        memcpy(out, raw, taken);
    return len + taken;
}

static size_t put_record(uint8_t *out, size_t len, const struct sent *s)
{
    uint8_t what = fuzz_u8(&server_in);
    unsigned count_at = 6 + 2 * ((what & 3u) % 3);
    uint16_t type = what & 4 ? PICK(&server_in, types) : s->type;
    uint32_t ttl_s = PICK(&server_in, ttls);
    size_t name_len;
    tag_ttl_s = ttl_s;
    if (what & 8) {
        put16(out + len, 0xc000 | WIRE_HEADER_LEN);
        name_len = 2;
    } else {
        name_len = put_name(out + len, s);
    }
    len += name_len;
    put16(out + len, type);
    put16(out + len + 2, what & 128 ? 512u + fuzz_u8(&server_in) : WIRE_CLASS_IN);
    put16(out + len + 4, ttl_s >> 16);
    put16(out + len + 6, ttl_s & 0xffff);
    size_t rdata_len = put_rdata(out + len + 10, s, type);
    put16(out + len + 8, (unsigned)rdata_len);
    put16(out + count_at, out[count_at] * 256u + out[count_at + 1] + 1);
    return len + 10 + rdata_len;
}

/* A reply to the question as it was sent, with records of the input's choosing. */
static size_t built(const struct sent *s, uint8_t out[WIRE_MESSAGE_MAX])
{
    static const uint16_t flags[] = {0, WIRE_NXDOMAIN, WIRE_AA | WIRE_AD, WIRE_TC, WIRE_SERVFAIL,
        WIRE_REFUSED, WIRE_FORMERR, WIRE_NOTIMP, WIRE_AD | WIRE_CD | WIRE_Z, 15};
    size_t len = world_reply_start(s, PICK(&server_in, flags), out);
    for (unsigned n = fuzz_u8(&server_in) % RECORDS_MAX; n > 0; n--)
        len = put_record(out, len, s);
    return len;
}

static size_t corrupted(uint8_t *out, size_t len)
{
    for (unsigned n = fuzz_u8(&server_in) % 4; n > 0; n--) {
        size_t at = fuzz_u16(&server_in) % len;
        out[at] ^= fuzz_u8(&server_in);
    }
    if (fuzz_u8(&server_in) & 1)
        len = fuzz_u16(&server_in) % (len + 1);
    return len;
}

/* Our client's part of the cookie in a message that was sent over UDP; NULL where there is none. */
static const uint8_t *our_cookie(const struct sent *s)
{
    static struct wire_query q;
    if (s->transport != UPSTREAM_UDP || wire_parse_query(s->msg, s->len, &q) != WIRE_QUERY_OK)
        return NULL;
    return q.edns.cookie;
}

/* Behind a reply without additional records: an OPT record with a cookie. */
static size_t put_server_cookie(uint8_t *out, size_t len, const uint8_t client[8], uint8_t by)
{
    static const uint8_t opt[] = {0, 0, WIRE_TYPE_OPT, 4, 208, 0, 0, 0, 0, 0, 20, 0, 10, 0, 16};
    memcpy(out + len, opt, sizeof opt);
    memcpy(out + len + sizeof opt, client, 8);
    memset(out + len + sizeof opt + 8, by, 8);
    out[11] = 1;
    return len + sizeof opt + 16;
}

enum forgery {
    FORGED_RECORD, /* of another name, under the right question */
    FORGED_ID,
    FORGED_QUERY,
    FORGED_OPCODE,
    FORGED_COUNT,
    FORGED_NAME,
    FORGED_QUESTION, /* its type or class */
    FORGED_LENGTH,   /* everything but the first bytes is missing */
    FORGED_COOKIE,
    FORGERIES
};

/* An answer that must not count, or whose record must not: it carries the mark. Returns its length,
 * or 0. */
static size_t forgery(const struct sent *s, uint8_t out[WIRE_MESSAGE_MAX])
{
    static const uint8_t wrong_cookie[8] = {1, 2, 3};
    size_t len = world_reply_start(s, 0, out), name_end = len - 4;
    uint8_t how = fuzz_u8(&server_in), by = (uint8_t)(1 + fuzz_u8(&server_in) % 255);
    enum forgery kind = (enum forgery)(how % FORGERIES);
    const char *owner = s->name[0] == '.' ? "" : s->name;
    if (kind == FORGED_RECORD)
        return world_add(
            out, len, how >> 6, "victim.example", WIRE_TYPE_A, 600, forged, sizeof forged);
    len = world_add(out, len, 0, owner, s->type, 600, forged, sizeof forged);
    switch (kind) {
    case FORGED_ID:
        out[by & 1] ^= by | 1;
        break;
    case FORGED_QUERY:
        out[2] &= 0x7f;
        break;
    case FORGED_OPCODE:
        out[2] |= (uint8_t)(8 + by % 8 * 8);
        break;
    case FORGED_COUNT:
        out[5] = (uint8_t)(by % 2 * 2);
        break;
    case FORGED_NAME: /* a letter or a length */
        out[WIRE_HEADER_LEN + by % (name_end - WIRE_HEADER_LEN)] ^= 0x11;
        break;
    case FORGED_QUESTION:
        out[name_end + by % 4] ^= by;
        break;
    case FORGED_COOKIE:
        len = our_cookie(s) != NULL ? put_server_cookie(out, len, wrong_cookie, by) : 0;
        break;
    default:
        len = by % (name_end + 1);
    }
    return len;
}

static void plan_event(struct sent *s, uint64_t delay_ms, unsigned kind)
{
    static const enum upstream_event events[] = {
        UPSTREAM_REFUSED, UPSTREAM_NOT_SENT, UPSTREAM_SUSPECT};
    enum upstream_event e = events[kind % 3];
    if (e == UPSTREAM_SUSPECT && s->transport == UPSTREAM_TCP)
        return;
    if (e == UPSTREAM_NOT_SENT) { /* that is known at the end of the turn */
        n_not_sent++;
        delay_ms = 0;
    }
    world_plan(s, delay_ms, e, NULL, 0);
}

/* What the question asks for is its own name: then the forger of case 0 would say the truth. */
static bool is_victim(const struct sent *s)
{
    return strcmp(s->name, "victim.example") == 0 || s->type == WIRE_TYPE_ANY;
}

static void reply_once(struct sent *s)
{
    static uint8_t out[WIRE_MESSAGE_MAX];
    uint8_t how = fuzz_u8(&server_in);
    uint64_t delay_ms = delays_ms[how >> 4];
    size_t len;
    switch (how & 15) {
    case 0:
    case 1:
        w->ttl_s = PICK(&server_in, ttls) & 0x7fffffff;
        world_answer_after(s, delay_ms);
        return;
    case 2: /* silence */
        return;
    case 3:
    case 4:
    case 5:
    case 6:
        tagging = true;
        tag_arrives_ms = w->now_ms + delay_ms;
        len = built(s, out);
        tagging = false;
        if ((how & 15) == 6 && out[11] == 0 && our_cookie(s) != NULL)
            len = put_server_cookie(out, len, our_cookie(s), fuzz_u8(&server_in));
        break;
    case 7:
        len = corrupted(out, built(s, out));
        break;
    case 8:
    case 9:
        len = is_victim(s) ? 0 : forgery(s, out);
        if (len == 0)
            return;
        break;
    case 10: /* a bare header */
        world_reply_start(s, fuzz_u8(&server_in) & WIRE_RCODE, out);
        out[5] = 0;
        len = WIRE_HEADER_LEN;
        break;
    case 11: /* the case is lost */
        len = built(s, out);
        wire_name_lower(out + WIRE_HEADER_LEN, strlen(s->name) + 1, out + WIRE_HEADER_LEN);
        break;
    case 12:
        len = world_reply_start(s, WIRE_TC, out);
        break;
    case 13: { /* any bytes behind the question */
        size_t taken;
        len = world_reply_start(s, 0, out);
        out[7] = fuzz_u8(&server_in) % 4;
        const uint8_t *raw = fuzz_take(&server_in, fuzz_u8(&server_in), &taken);
        memcpy(out + len, raw, taken);
        len += taken;
        break;
    }
    default:
        plan_event(s, delay_ms, how);
        return;
    }
    world_plan(s, delay_ms, UPSTREAM_REPLY, out, len);
}

/* Some types are not for others to be asked for, some names not without the owner's word. */
static void may_be_asked(const struct sent *s)
{
    static const char *const own[] = {"localhost", "printer", "x.local", "1.0.0.10.in-addr.arpa"};
    static const uint16_t never[] = {0, WIRE_TYPE_OPT, WIRE_TYPE_TKEY, WIRE_TYPE_TSIG,
        WIRE_TYPE_IXFR, WIRE_TYPE_AXFR, WIRE_TYPE_ANY};
    bool is_address = s->type == WIRE_TYPE_A || s->type == WIRE_TYPE_AAAA;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        FUZZ_MUST(s->type != never[i]);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        FUZZ_MUST(overridden || !is_address || strcmp(s->name, own[i]) != 0);
}

static void fuzzed_server(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    may_be_asked(s);
    if (server_in.left == 0) {
        world_answer(s);
        return;
    }
    for (unsigned n = 1 + fuzz_u8(&server_in) % REPLIES_MAX; n > 0; n--)
        reply_once(s);
}

/* ---- clients --------------------------------------------------------------------------------- */

static struct client a_client(void)
{
    uint8_t who = fuzz_u8(&owner_in);
    struct client c = world_client(w, 1 + who % 8, who & 8 ? CLIENT_TCP : CLIENT_UDP);
    if ((who & 0xf0) == 0xf0) /* a stranger */
        c.peer.ip[12] = 8;
    else if (who & 0x80) /* IPv6: two addresses of one /64 are one client */
        memcpy(c.peer.ip, (uint8_t[]){0xfd, 0, [7] = who & 1, [15] = who & 7}, 16);
    else if ((who & 0x70) == 0x70)
        memcpy(c.peer.ip, (uint8_t[]){[10] = 0xff, 0xff, 127, 0, 0, 1}, 16);
    return c;
}

static void ask_message(const struct client *c, const uint8_t *msg, size_t len)
{
    if (w->n_asked >= ASKS_MAX)
        return;
    expected[w->n_asked].msg = fuzz_exact(msg, len);
    expected[w->n_asked].len = len;
    expected[w->n_asked].looked_at = false;
    expected[w->n_asked].stream = c->transport == CLIENT_TCP;
    world_ask_raw(w, c, expected[w->n_asked].msg, len);
}

/* Behind the OPT record without options that ends the message. */
static size_t put_cookie(uint8_t *msg, size_t len)
{
    static const uint8_t lens[] = {8, 8, 24, 16, 40, 9};
    size_t cookie = PICK(&owner_in, lens);
    put16(msg + len - 2, (unsigned)cookie + 4);
    put16(msg + len, 10);
    put16(msg + len + 2, (unsigned)cookie);
    memset(msg + len + 4, 0x33, cookie);
    return len + 4 + cookie;
}

static void ask_something(void)
{
    static const uint16_t flags[] = {WIRE_RD, WIRE_RD, WIRE_RD, WIRE_RD | WIRE_CD,
        WIRE_RD | WIRE_AD, 0, WIRE_RD | 0x2800, WIRE_QR | WIRE_RD};
    static const uint16_t sizes[] = {0, 1232, 512, 1, 4096, 65535};
    uint8_t msg[WIRE_MESSAGE_MAX];
    struct client c = a_client();
    uint8_t name = fuzz_u8(&owner_in), type = fuzz_u8(&owner_in), how = fuzz_u8(&owner_in);
    size_t n_names = sizeof names / sizeof *names, n_types = sizeof types / sizeof *types;
    size_t len = world_question(msg, fuzz_u8(&owner_in), names[name % n_names],
        type < 128 ? types[type & 1] : types[type % n_types],
        (how & 7) == 7 ? WIRE_CLASS_CH : WIRE_CLASS_IN, flags[how >> 5], sizes[(how & 7) % 6],
        how & 8);
    if (type & 32 && sizes[(how & 7) % 6] > 0)
        len = put_cookie(msg, len);
    if (how & 16) { /* something else about it */
        size_t taken, at = fuzz_u16(&owner_in) % len;
        const uint8_t *raw = fuzz_take(&owner_in, fuzz_u8(&owner_in) % 64, &taken);
        memcpy(msg + at, raw, taken);
        len = at + taken > len ? at + taken : len;
    }
    ask_message(&c, msg, len);
    if (type & 64) /* and again */
        ask_message(&c, msg, len);
}

static void ask_anything(void)
{
    size_t len;
    struct client c = a_client();
    const uint8_t *raw = fuzz_take(&owner_in, fuzz_u8(&owner_in), &len);
    ask_message(&c, raw, len);
}

/* ---- the owner ------------------------------------------------------------------------------- */

static void any_mistake(void *ctx, size_t line, const char *what, const char *why)
{
    (void)ctx;
    (void)line;
    FUZZ_MUST(what != NULL && why != NULL);
}

static void reload_poison(void)
{
    static const char *const texts[] = {"",
        "a.example A 192.0.2.1\n.c.example nxdomain\nb.example 192.0.2.9 2001:db8::1\n",
        "b.example CNAME d.example.\nd.example drop\nx.local pass\n",
        "a.example CNAME cdn.example.net.\n*.a.example CNAME b.example.\nprinter pass\n",
        ".example refused\nb.example CNAME x.local.\n*.example.net nodata\n",
        "a.example CNAME b.example.\nb.example CNAME a.example.\n. nxdomain\n"};
    static const uint8_t seed[POISON_SEED_LEN] = {1};
    uint8_t which = fuzz_u8(&owner_in);
    size_t n = sizeof texts / sizeof *texts, len;
    const char *text = texts[which % n];
    if (which < 192) {
        len = strlen(text);
    } else {
        text = (const char *)fuzz_take(&owner_in, fuzz_u8(&owner_in), &len);
        odd_ttls = true;
    }
    w->in_core = true; /* where memory can be out */
    struct poison *new = poison_load(text, len, seed, any_mistake, NULL);
    w->in_core = false;
    if (new == NULL)
        return;
    overridden = true;
    query_set_poison(core_desk(w->core), new);
    poison_free(w->poison);
    w->poison = new;
}

static void set_servers(void)
{
    struct server_conf list[SERVERS_MAX] = {0};
    size_t n = fuzz_u8(&owner_in) % 5;
    for (size_t i = 0; i < n; i++) {
        uint8_t which = fuzz_u8(&owner_in);
        list[i].addr = (struct addr){.ip = {[10] = 0xff, 0xff, 192, 0, 2, which & 7}, .port = 53};
        if (which & 64) /* where clients are too */
            memcpy(list[i].addr.ip + 12, (uint8_t[]){10, 0, 0, which & 7}, 4);
        list[i].trust_ad = which & 128;
    }
    servers_set(core_servers(w->core), list, n, w->now_ms);
}

static struct rebind_name *rebind_names, *old_names;

static void set_rebind(uint8_t how)
{
    struct rebind_conf *r = &w->conf.flight.rebind;
    old_names = rebind_names;
    rebind_names = NULL;
    *r = (struct rebind_conf){.on = how >> 5 == 5};
    if ((how & 0x87) == 0x87) {
        rebind_names = malloc(sizeof *rebind_names);
        FUZZ_MUST(rebind_names != NULL && rebind_name_parse("a.example", rebind_names) == 0);
        r->allow = rebind_names;
        r->n_allow = 1;
    }
}

/* What there is to tell of servers ends at some time. */
static void hear_news(void)
{
    struct server_news news;
    unsigned n = 0;
    while (servers_news(core_servers(w->core), w->now_ms, &news))
        FUZZ_MUST(++n <= 8 * SERVERS_MAX);
}

static void reconfigure(void)
{
    static const struct addr_net all[1] = {{{0}, 0}}; /* of IPv6 */
    static const uint64_t stales_ms[] = {0, 3000, 86400000}, onces_ms[] = {0, 500, 2000};
    uint8_t how = fuzz_u8(&owner_in);
    if (how & 1)
        predict_conf_seed(&w->conf.prediction);
    else
        predict_conf_default(&w->conf.prediction);
    w->conf.prediction.share = 1 + (how >> 1 & 3);
    w->conf.predict = (how & 0x18) != 0x18;
    w->conf.flight.stale_ms = stales_ms[(how >> 5) % 3];
    set_rebind(how);
    how = fuzz_u8(&owner_in);
    w->conf.flight.once_ms = onces_ms[(how & 3) % 3];
    w->conf.flight.prefetches_max = how & 4 ? 2 : 40;
    w->conf.flight.ttl.min_s = how & 8 ? MIN_TTL_S : 0;
    min_ttl |= how & 8;
    w->conf.flight.ttl.max_s = how & 16 ? 10 : TTL_MAX_S;
    w->conf.query.forward = (how & 0xe0) != 0xe0;
    w->conf.query.queries_max = (how & 0xe0) == 0xc0 ? 2 : 2000;
    w->conf.query.serve_stale = (how & 0xe0) != 0xa0;
    w->conf.query.keepalive_ds = how;
    w->conf.query.allow = all;
    w->conf.query.n_allow = how == 0xff;
    w->in_core = true;
    int result = core_reconfigure(w->core, &w->conf);
    w->in_core = false;
    FUZZ_MUST(result == 0 || lacked);
    free(old_names);
    old_names = NULL;
}

static void let_time_pass(void)
{
    static const uint32_t steps_ms[] = {1, 10, 41, 100, 301, 1000, 1801, 2000, 4600, 10001, 31000,
        61000, 301000, 3600000, 10800000, 90000000};
    uint8_t step = fuzz_u8(&owner_in);
    uint64_t ms = step < 128 ? steps_ms[step & 15] : step - 128u;
    if ((step & 0xf0) == 0x70) { /* the machine slept, and nothing was done meanwhile */
        w->now_ms += ms;
        jumped_ms = w->now_ms;
        n_jumps++;
        world_run_for(w, 0);
    } else {
        world_run_for(w, ms);
    }
}

/* ---- what must hold -------------------------------------------------------------------------- */

/* Where the question ends in a message that was sent. */
static size_t question_end(const struct sent *s)
{
    return WIRE_HEADER_LEN + wire_name_len(s->msg + WIRE_HEADER_LEN, s->len - WIRE_HEADER_LEN) + 4;
}

/* Without EDNS it does not show whether DO was asked for, which makes another question. */
static bool same_question(const struct sent *a, const struct sent *b)
{
    size_t end = question_end(a);
    return end == question_end(b) && a->msg[11] > 0 && b->msg[11] > 0 &&
           a->dnssec_ok == b->dnssec_ok && ((a->flags ^ b->flags) & WIRE_CD) == 0 &&
           strcmp(a->name, b->name) == 0 && memcmp(a->msg + end - 4, b->msg + end - 4, 4) == 0;
}

/* Of one question two messages over UDP and one over TCP are under way at most (SECURITY 1). Nor
 * do two wait in one place of a flight (flight.h: upstream_done's ctx). */
static void few_are_open(void)
{
    const struct sent *open[512];
    size_t n = 0;
    for (size_t i = 0; i < w->n_sent; i++) {
        const struct sent *s = w->sent[i];
        unsigned same[2] = {0};
        if (!s->open)
            continue;
        for (size_t k = 0; k < n; k++) {
            FUZZ_MUST(open[k]->ctx != s->ctx);
            if (same_question(open[k], s))
                same[open[k]->transport]++;
        }
        FUZZ_MUST(same[s->transport] < (s->transport == UPSTREAM_UDP ? 2 : 1));
        FUZZ_MUST(n < sizeof open / sizeof *open);
        open[n++] = s;
    }
}

static void counts_fit(void)
{
    struct flight_counts n;
    flight_count(core_flights(w->core), &n);
    /* After each sleep of the machine, flights begin again. */
    uint64_t lives = (n.started + n.prefetched) * (1 + n_jumps);
    if (!lacked) { /* else messages count that found no memory, or whose flight found none */
        FUZZ_MUST(n.udp_sent <= FLIGHT_UDP_MAX * lives + n_not_sent);
        FUZZ_MUST(n.tcp_sent <= FLIGHT_TCP_MAX * lives);
        FUZZ_MUST(n.udp_sent == sent_over(w, UPSTREAM_UDP));
        FUZZ_MUST(n.tcp_sent == sent_over(w, UPSTREAM_TCP));
    }
    FUZZ_MUST(n.under_way == 0 && n.speculative == 0);
}

/* The names that a reply may speak of: the question's and where CNAMEs lead from it. */
struct known {
    uint8_t name[NAMES_MAX][WIRE_NAME_MAX];
    size_t len[NAMES_MAX];
    size_t n;
};

static bool knows(const struct known *k, const uint8_t *name, size_t len, bool above)
{
    for (size_t i = 0; i < k->n; i++)
        if (wire_name_equal(k->name[i], k->len[i], name, len) ||
            (above && wire_name_below(k->name[i], k->len[i], name, len)))
            return true;
    return false;
}

/* Takes the targets of all CNAMEs of known names; true if there was a new one. */
static bool learn_targets(struct known *k, const struct asked *a)
{
    struct wire_cursor c;
    struct wire_view v;
    uint8_t name[WIRE_NAME_MAX];
    size_t before = k->n;
    ck_assert_int_eq(wire_cursor_start(&c, a->reply, a->len), 0);
    while (wire_cursor_next(&c, &v) == 1) {
        size_t len = wire_name_expand(a->reply, a->len, v.owner_at, name, NULL);
        if (v.type != WIRE_TYPE_CNAME || v.section != WIRE_SECTION_ANSWER ||
            !knows(k, name, len, false) || k->n == NAMES_MAX)
            continue;
        len = wire_name_expand(a->reply, a->len, v.rdata_at, name, NULL);
        if (knows(k, name, len, false))
            continue;
        memcpy(k->name[k->n], name, len);
        k->len[k->n++] = len;
    }
    return k->n > before;
}

/* No record is used past its TTL, but stale, with 30 s, and for a day at most (RFC 8767). */
static void age_is_sound(const struct asked *a, uint32_t ttl_s, const uint8_t *tag)
{
    uint32_t age_ms = (uint32_t)a->answered_ms - get32(tag + 4), whole_s = get32(tag + 8);
    if (jumped_ms > 0)
        return;
    if (whole_s > INT32_MAX) /* RFC 2181 8 */
        whole_s = 0;
    if (whole_s < MIN_TTL_S && min_ttl)
        whole_s = MIN_TTL_S;
    if (ttl_s > QUERY_STALE_TTL_S || (ttl_s > 0 && ttl_s < QUERY_STALE_TTL_S))
        FUZZ_MUST(age_ms / 1000 + ttl_s <= whole_s);
    FUZZ_MUST(age_ms / 1000 <= (uint64_t)whole_s + 86400 + FLIGHT_LIFE_MS / 1000);
}

static void record_is_sound(const struct asked *a, const struct wire_view *v, const struct known *k)
{
    uint8_t owner[WIRE_NAME_MAX];
    size_t len = wire_name_expand(a->reply, a->len, v->owner_at, owner, NULL);
    FUZZ_MUST(len > 0);
    if (v->type == WIRE_TYPE_OPT)
        return;
    FUZZ_MUST(v->ttl_s <= TTL_MAX_S || odd_ttls);
    if (v->type == WIRE_TYPE_A)
        FUZZ_MUST(memcmp(a->reply + v->rdata_at, forged, sizeof forged) != 0);
    if (v->type == WIRE_TYPE_AAAA && v->rdata_len == 16 && has_tag(a->reply + v->rdata_at))
        age_is_sound(a, v->ttl_s, a->reply + v->rdata_at);
    if (v->section == WIRE_SECTION_ANSWER) {
        bool of_dname = v->type == WIRE_TYPE_DNAME || v->type == WIRE_TYPE_RRSIG;
        FUZZ_MUST(knows(k, owner, len, of_dname));
    }
}

static void records_are_sound(const struct asked *a, const struct wire_query *q)
{
    static struct known k;
    struct wire_cursor c;
    struct wire_view v;
    int more;
    k.n = 0;
    if (q->question.name != NULL) {
        memcpy(k.name[0], q->question.name, q->question.name_len);
        k.len[k.n++] = q->question.name_len;
        while (learn_targets(&k, a))
            continue;
    }
    ck_assert_int_eq(wire_cursor_start(&c, a->reply, a->len), 0);
    while ((more = wire_cursor_next(&c, &v)) == 1)
        record_is_sound(a, &v, &k);
    FUZZ_MUST(more == 0 && c.at == a->len);
}

/* Whether a reply has the client's cookie, and ours behind it (RFC 7873 5.2.3). */
static bool has_cookie(const struct asked *a, const struct wire_query *q)
{
    struct wire_view v;
    if (!asked_opt(a, &v))
        return false;
    for (size_t at = v.rdata_at, end = at + v.rdata_len; at < end;) {
        const uint8_t *option = a->reply + at;
        size_t len = option[2] * 256u + option[3];
        at += 4 + len;
        FUZZ_MUST(at <= end);
        if (option[0] != 0 || option[1] != 10)
            continue;
        FUZZ_MUST(q->edns.cookie != NULL && len == WIRE_COOKIE_LEN);
        FUZZ_MUST(memcmp(option + 4, q->edns.cookie, 8) == 0);
        return true;
    }
    return false;
}

static void reply_is_sound(const struct asked *a, const uint8_t *msg, size_t len, bool stream)
{
    struct wire_query q;
    enum wire_query_verdict verdict = wire_parse_query(msg, len, &q);
    FUZZ_MUST(verdict != WIRE_QUERY_DROP);
    FUZZ_MUST(a->len <= (stream ? WIRE_MESSAGE_MAX : wire_udp_limit(&q)));
    FUZZ_MUST(memcmp(a->reply, msg, 2) == 0 && a->reply[2] & 0x80);
    FUZZ_MUST((a->reply[2] & 0x79) == (msg[2] & 0x79)); /* opcode, RD */
    size_t question_len = q.question.name == NULL ? 0 : q.question.name_len + 4;
    FUZZ_MUST(a->len >= WIRE_HEADER_LEN + question_len);
    FUZZ_MUST(a->reply[4] == 0 && a->reply[5] == (question_len > 0));
    FUZZ_MUST(memcmp(a->reply + WIRE_HEADER_LEN, msg + WIRE_HEADER_LEN, question_len) == 0);
    FUZZ_MUST(!asked_truncated(a) || asked_answers(a) == 0);
    if (q.question.name != NULL)
        FUZZ_MUST(has_cookie(a, &q) == (q.edns.cookie != NULL));
    if (a->asked_ms > jumped_ms)
        FUZZ_MUST(asked_took(a) <= FLIGHT_LIFE_MS);
    FUZZ_MUST(stream || asked_took(a) <= QUERY_LATE_MS || asked_answers(a) == 0);
    records_are_sound(a, &q);
}

/* The replies of a step: while the guard against rebinding is on, and no name exempt, none has an
 * address of this network that a server gave. */
static void nothing_is_rebound(void)
{
    const struct rebind_conf *r = &w->conf.flight.rebind;
    for (size_t i = 0; i < w->n_asked; i++) {
        const struct asked *a = &w->asked[i];
        struct wire_cursor c;
        struct wire_view v;
        if (!a->answered || expected[i].looked_at)
            continue;
        expected[i].looked_at = true;
        if (!r->on || r->n_allow > 0)
            continue;
        ck_assert_int_eq(wire_cursor_start(&c, a->reply, a->len), 0);
        while (wire_cursor_next(&c, &v) == 1) {
            const uint8_t *rdata = a->reply + v.rdata_at;
            FUZZ_MUST(v.type != WIRE_TYPE_A || memcmp(rdata, private4, 4) != 0);
            FUZZ_MUST(v.type != WIRE_TYPE_AAAA || memcmp(rdata, private16, 16) != 0);
        }
    }
}

static void replies_are_sound(void)
{
    for (size_t i = 0; i < w->n_asked; i++) {
        FUZZ_MUST(w->asked[i].n_ended == 1 && w->asked[i].n_replies <= 1);
        if (w->asked[i].answered)
            reply_is_sound(&w->asked[i], expected[i].msg, expected[i].len, expected[i].stream);
        free(expected[i].msg);
    }
}

static void everything_is_over(void)
{
    world_run_for(w, 20000);
    FUZZ_MUST(query_waiting(core_desk(w->core)) == 0);
    for (size_t i = 0; i < w->n_sent; i++)
        FUZZ_MUST(!w->sent[i]->open);
    replies_are_sound();
    counts_fit();
}

/* ---- the input ------------------------------------------------------------------------------- */

static void step(void)
{
    uint8_t what = fuzz_u8(&owner_in);
    switch (what & 15) {
    case 10:
        world_begin(w);
        ask_anything();
        world_end(w);
        return;
    case 11:
        reload_poison();
        return;
    case 12:
        if (what & 128) {
            lack_after = fuzz_u8(&owner_in);
            lack_for = fuzz_u8(&owner_in);
            return;
        }
        set_servers();
        return;
    case 13:
        reconfigure();
        return;
    case 14:
    case 15:
    case 9:
    case 8:
        let_time_pass();
        return;
    default: /* some questions in one turn, and a little time */
        world_begin(w);
        for (unsigned n = 1 + (what >> 4 & 3); n > 0; n--)
            ask_something();
        if (what & 64)
            world_deliver(w);
        world_end(w);
        if (what & 128)
            world_run_for(w, 50);
    }
}

/* FNV-1a: addresses that the input cannot know. */
static void mark(const uint8_t *data, size_t size)
{
    uint32_t h = 2166136261;
    for (size_t i = 0; i < size; i++)
        h = (h ^ data[i]) * 16777619;
    memcpy(forged, &h, sizeof forged);
    forged[0] = 0x60;
    private4[0] = 10;
    private16[0] = 0xfd;
    secret = h;
    memcpy(private4 + 1, &h, 3);
    memcpy(private16 + 8, &h, 4);
}

/* dnsd is told to end: who waits gets its reply. */
static void cut_off(void)
{
    flights_end(core_flights(w->core), w->now_ms);
    FUZZ_MUST(query_waiting(core_desk(w->core)) == 0);
    replies_are_sound();
}

/* The first two bytes: how many of the others are the clients' and the owner's, and whether dnsd is
 * ended in the midst of it; what is left is the servers'. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint16_t head = fuzz_u16(&in);
    size_t owner_len = head & 0x7fff;
    owner_in.at = fuzz_take(&in, owner_len, &owner_in.left);
    server_in = in;
    mark(data, size);
    jumped_ms = 0;
    n_not_sent = n_jumps = lack_after = lack_for = 0;
    lacked = false;
    min_ttl = overridden = false;
    odd_ttls = false;
    w = world_create();
    w->conf.cache_bytes = CACHE_BYTES_MIN;
    w->conf.predict = true;
    w->conf.flight.flights_max = 40;
    w->server = fuzzed_server;
    world_start(w, 2);
    for (unsigned i = 0; i < STEPS_MAX && owner_in.left > 0 && w->n_sent < SENT_MOST; i++) {
        step();
        hear_news();
        few_are_open();
        nothing_is_rebound();
    }
    lack_for = 0;
    if (head & 0x8000)
        cut_off();
    else
        everything_is_over();
    world_free(w);
    free(rebind_names);
    rebind_names = NULL;
    return 0;
}

/* ---- seeds ----------------------------------------------------------------------------------- */

static void seed(
    const char *name, const void *owner, size_t owner_len, const void *server, size_t server_len)
{
    static uint8_t out[4096];
    put16(out, (unsigned)owner_len);
    memcpy(out + 2, owner, owner_len);
    memcpy(out + 2 + owner_len, server, server_len);
    fuzz_seed(name, out, 2 + owner_len + server_len);
}

#define SEED(name, owner, server) seed(name, owner, sizeof owner - 1, server, sizeof server - 1)

void fuzz_seeds(void)
{
    /* One question and its answer, and again from the cache. */
    SEED("hit",
        "\x80\1\0\0\1\1"
        "\x80\2\0\0\1\2",
        "\0\0\5");
    /* A page of three names twice, an hour between: the second is fetched ahead. */
    SEED("page",
        "\xa0\1\0\0\1\1\1\1\0\1\2\2\2\0\1\3"
        "\xe\xd"
        "\xa0\1\0\0\1\1\1\1\0\1\2\2\2\0\1\3",
        "");
    /* Forged, then right; silence and the next server; TC and TCP; lost case; errors. */
    SEED("forged", "\x80\1\0\0\1\1\x8\x8", "\1\x38\1\7\0\5");
    SEED("silent", "\x80\1\0\0\1\1\x8\x8", "\0\2\0\2\0\2\0\2");
    SEED("tcp", "\x80\1\0\0\1\1\x8\x8", "\0\xc\0\0\5");
    SEED("case", "\x80\1\0\0\1\1\x8\x8", "\0\xb\0\1\x8\5\1");
    SEED("errors", "\x80\1\0\0\1\1\x8\x8", "\0\3\4\0\0\3\5\0\0\xa\1");
    /* A CNAME and its address; NXDOMAIN with a SOA. */
    SEED("alias", "\x80\1\0\0\1\1\x8\x8", "\0\3\0\2\xc\2\5\x88\0\x88\5\7");
    SEED("absent", "\x80\1\0\0\1\1\x8\x8", "\0\3\1\1\5\4\5\x86\1\x2c");
    /* Stale: answered, expired, and then no server says anything. */
    SEED("stale", "\x80\1\0\0\1\1\x8\xc\x80\2\0\0\1\2\x8\x8", "\0\0\2\0\2\0\2\0\2");
    /* Overrides with a target elsewhere, other servers, other settings. */
    SEED("owner", "\xb\3\x80\1\0\0\1\1\xc\2\1\x42\xd\1\0\x80\1\4\0\1\2\x8\x8", "\0\0\5");
    /* No question but a cookie; a signed one. */
    SEED("odd-questions",
        "\xa\1\x23\0\1\1\0\0\0\0\0\0\0\0\1\0\0\x29\4\xd0\0\0\0\0\0\xc\0\xa\0\x8"
        "abcdefgh"
        "\xa\1\x1c\0\1\1\0\0\1\0\0\0\0\0\1\0\0\1\0\1\0\0\xfa\0\xff\0\0\0\0\0\0",
        "");
    /* A server with cookies that leaves them out one day, and has none over TCP. */
    SEED("server-cookie", "\x80\1\0\0\1\1\x80\2\1\0\1\2\x8\x8\x8",
        "\0\6\0\1\x8\5\1\7\0\3\0\1\x8\5\1\0\3\0\1\x8\5\1");
    /* Memory is out for one allocation, and for long. */
    SEED("memory", "\x8c\0\1\x80\1\0\0\1\1\x8c\1\xff\xa0\1\0\0\1\1\1\1\0\1\2\2\2\0\1\3\x8\x8",
        "\0\0\5");
    /* An address of this network, and then the guard is set up. */
    SEED("rebound", "\x80\1\0\0\1\1\x8\x8\xd\xa0\0\x80\2\0\0\1\2\x8\x8", "\0\3\0\1\x8\5\xff");
    /* A reply with somebody else's cookie, then the right one. */
    SEED("cookie", "\x80\1\0\0\1\1\x8\x8", "\1\x38\x8\7\0\5");
}
