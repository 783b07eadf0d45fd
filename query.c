/* query.c: one client's question, through the gates in order, to its one end.
 * Knows wire, overrides, special names, cache and flights; never libev, sockets, transports or
 * logs.
 *
 * query_accept is the walk: each gate answers, passes on, or ends in "no reply". What the cache
 * cannot answer is copied into a struct query that waits for a flight; query_finish is its one end.
 */
#define HASH_NONFATAL_OOM 1
#include "query.h"

#include "cookie.h"
#include "special.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define ANY_TTL_S    3600              /* of the minimal answer to ANY */
#define REPEAT_HEAD  24                /* bytes of address, scope, port and ID */
#define PREFIXES_MAX ((size_t)4 << 20) /* bytes of the chains that waiting queries keep */
#define PIECE_COST   16                /* what malloc and a table take for each piece of memory */

_Static_assert(COOKIE_LEN == WIRE_COOKIE_LEN, "what cookie.c makes is what goes out");

/* What tells a client's repeat of a question (RFC 5452 5: same port, ID and question): all of that,
 * hashed with a secret key to so many bits that two are never alike. */
struct repeat {
    uint8_t digest[crypto_shorthash_siphashx24_BYTES];
};

/* How many questions of one client wait. */
struct asker {
    UT_hash_handle hh;
    uint8_t id[16];
    size_t n_waiting;
};

struct query {
    struct flight_waiter waiter; /* first: a waiter is its query */
    UT_hash_handle hh;           /* by repeat; UDP only */
    struct query_desk *desk;
    struct query *prev, *next; /* all that wait */
    struct asker *asker;
    struct client client;
    uint64_t asked_ms;
    struct wire_query q; /* question.name points behind key */
    struct repeat repeat;
    const uint8_t *prefix; /* a chain of overrides that the answer continues, behind the name */
    size_t prefix_len;
    size_t key_len;
    uint8_t cookie[COOKIE_CLIENT_LEN];
    uint8_t key[]; /* what the flight asks; behind it the name as the client spelled it */
};

struct query_desk {
    struct query_conf conf;
    struct query_world world;
    const struct poison *poison;
    struct query *repeats;
    struct query *waiting;
    struct asker *askers;
    size_t prefix_bytes; /* of all that wait */
    struct query_counts counts;
    uint8_t seed[crypto_shorthash_KEYBYTES];
    uint8_t cookie_seed[COOKIE_SEED_LEN];
    uint8_t cookie[COOKIE_LEN];      /* of the reply that is being written */
    uint8_t packed[WIRE_PACKED_MAX]; /* answers made here */
    uint8_t scratch[WIRE_MESSAGE_MAX];
    uint8_t out[WIRE_MESSAGE_MAX]; /* replies that come later */
};

/* One call of query_accept: what the gates hand to each other. */
struct visit {
    struct query_desk *desk;
    const struct client *client;
    struct wire_query q;
    uint64_t now_ms;
    bool has_stale; /* an expired answer that can be used if nobody has a better one */
    uint8_t *out;
    size_t cap;
    size_t len; /* of the reply; 0: none */
};

/* ---- the desk -------------------------------------------------------------------------------- */

struct query_desk *query_desk_create(const struct query_conf *conf, const struct query_world *world,
    const uint8_t seed[QUERY_SEED_LEN])
{
    struct query_desk *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->conf = *conf;
    d->world = *world;
    memcpy(d->seed, seed, sizeof d->seed);
    memcpy(d->cookie_seed, seed + sizeof d->seed, sizeof d->cookie_seed);
    return d;
}

void query_reconfigure(struct query_desk *d, const struct query_conf *conf)
{
    d->conf = *conf;
}

void query_set_poison(struct query_desk *d, const struct poison *p)
{
    d->poison = p;
}

bool query_allows(const struct query_desk *d, const struct addr *peer)
{
    if (d->conf.n_allow == 0)
        return addr_is_local(peer);
    for (size_t i = 0; i < d->conf.n_allow; i++)
        if (addr_net_contains(&d->conf.allow[i], peer))
            return true;
    return false;
}

size_t query_bytes_max(const struct query_conf *conf)
{
    size_t one =
        sizeof(struct query) + WIRE_KEY_MAX + WIRE_NAME_MAX + sizeof(struct asker) + 4 * PIECE_COST;
    return sizeof(struct query_desk) + conf->queries_max * one + PREFIXES_MAX;
}

size_t query_waiting(const struct query_desk *d)
{
    return d->counts.waiting;
}

void query_count(const struct query_desk *d, struct query_counts *out)
{
    *out = d->counts;
}

static unsigned hash_of(const struct query_desk *d, const void *key, size_t len)
{
    uint8_t h[crypto_shorthash_BYTES];
    unsigned value;
    crypto_shorthash(h, key, len, d->seed);
    memcpy(&value, h, sizeof value);
    return value;
}

/* ---- replies --------------------------------------------------------------------------------- */

static void tell_end(struct query_desk *d, const struct client *client,
    const struct wire_question *question, enum query_source source, uint16_t rcode,
    size_t reply_len, uint64_t took_ms, const struct flight_result *flight)
{
    d->counts.by_source[source]++;
    if (d->world.ended == NULL)
        return;
    struct query_end end = {
        .client = client,
        .question = question,
        .source = source,
        .rcode = rcode,
        .reply_len = reply_len,
        .took_ms = took_ms,
        .flight = flight,
    };
    d->world.ended(d->world.ctx, &end);
}

/* A client that sends a cookie gets it back with one of ours, made anew each time (RFC 9018 4.3
 * allows that). What it sends of ours is not looked at: a good one would be worth nothing here, as
 * strangers get no reply at all and nobody gets a large one over UDP, and BADCOOKIE would cost a
 * stub a round trip. */
static const uint8_t *cookie_for(
    struct query_desk *d, const struct client *client, const struct wire_query *q)
{
    uint32_t now_s = d->world.wall_s(d->world.ctx);
    cookie_make(q->edns.cookie, &client->peer, now_s, d->cookie_seed, d->cookie);
    return d->cookie;
}

/* Fills in what every reply of this desk to this client has. */
static struct wire_reply reply_to(
    struct query_desk *d, const struct client *client, const struct wire_query *q)
{
    struct wire_reply r = {
        .query = q,
        .fixed_ttl_s = WIRE_TTL_AS_IS,
        .ede = WIRE_EDE_NONE,
        .limit = WIRE_MESSAGE_MAX,
    };
    if (client->transport == CLIENT_UDP)
        r.limit = wire_udp_limit(q);
    else if (q->edns.keepalive)
        r.keepalive_ds = d->conf.keepalive_ds;
    if (q->edns.cookie != NULL)
        r.cookie = cookie_for(d, client, q);
    return r;
}

static struct wire_reply visit_reply(const struct visit *v)
{
    return reply_to(v->desk, v->client, &v->q);
}

/* Ends a visit with a reply. */
static enum query_verdict reply_now(
    struct visit *v, const struct wire_reply *r, enum query_source source)
{
    v->len = wire_write_reply(r, v->out, v->cap);
    uint16_t rcode = r->packed != NULL ? wire_packed_rcode(r->packed, r->packed_len) : r->rcode;
    tell_end(v->desk, v->client, &v->q.question, source, rcode, v->len, 0, NULL);
    return QUERY_REPLY;
}

static enum query_verdict reply_rcode(
    struct visit *v, uint16_t rcode, enum query_source source, enum wire_ede ede)
{
    struct wire_reply r = visit_reply(v);
    r.rcode = rcode;
    r.ede = ede;
    return reply_now(v, &r, source);
}

static enum query_verdict reply_packed(
    struct visit *v, const uint8_t *packed, size_t len, enum query_source source, enum wire_ede ede)
{
    struct wire_reply r = visit_reply(v);
    r.packed = packed;
    r.packed_len = len;
    r.ede = ede;
    return reply_now(v, &r, source);
}

static enum query_verdict no_reply(struct visit *v)
{
    v->len = 0;
    tell_end(v->desk, v->client, &v->q.question, QUERY_DROPPED, 0, 0, 0, NULL);
    return QUERY_NONE;
}

/* An answer of one record, made here. */
static enum query_verdict reply_record(struct visit *v, uint32_t ttl_s, const uint8_t *rdata,
    size_t rdata_len, uint16_t type, enum query_source source)
{
    struct query_desk *d = v->desk;
    const struct wire_question *question = &v->q.question;
    struct wire_writer w;
    struct wire_record record = {
        .owner = question->name,
        .owner_len = question->name_len,
        .type = type,
        .class = question->class,
        .ttl_s = ttl_s,
        .rdata = rdata,
        .rdata_len = rdata_len,
    };
    wire_writer_start(&w, question->name, question->name_len, d->scratch, sizeof d->scratch);
    wire_put_record(&w, WIRE_SECTION_ANSWER, &record);
    size_t len = wire_writer_finish(&w, 0, d->packed, sizeof d->packed);
    return reply_packed(v, d->packed, len, source, WIRE_EDE_NONE);
}

/* RFC 8767 4, RFC 8914 4.4 and 4.20 */
static void make_stale(struct wire_reply *r)
{
    bool absent = wire_packed_rcode(r->packed, r->packed_len) == WIRE_NXDOMAIN;
    r->fixed_ttl_s = QUERY_STALE_TTL_S;
    r->ede = absent ? WIRE_EDE_STALE_NXDOMAIN : WIRE_EDE_STALE;
}

/* ---- those who wait -------------------------------------------------------------------------- */

static void query_wake(
    struct flight_waiter *w, const struct flight_result *result, uint64_t now_ms);

static struct asker *asker_join(struct query_desk *d, const struct addr *peer)
{
    struct asker *a = NULL;
    uint8_t id[16];
    addr_client_id(peer, id);
    unsigned hash = hash_of(d, id, sizeof id);
    HASH_FIND_BYHASHVALUE(hh, d->askers, id, sizeof id, hash, a);
    if (a == NULL) {
        a = malloc(sizeof *a);
        if (a == NULL)
            return NULL;
        a->n_waiting = 0;
        memcpy(a->id, id, sizeof a->id);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, d->askers, a->id, sizeof a->id, hash, a);
        if (a->hh.tbl == NULL) {
            free(a);
            return NULL;
        }
    }
    a->n_waiting++;
    return a;
}

static void asker_leave(struct query_desk *d, struct asker *a)
{
    if (--a->n_waiting > 0)
        return;
    HASH_DELETE(hh, d->askers, a);
    free(a);
}

static unsigned key_flags(const struct wire_query *q)
{
    return (q->edns.dnssec_ok ? WIRE_KEY_DO : 0U) | ((q->flags & WIRE_CD) != 0 ? WIRE_KEY_CD : 0U);
}

static struct repeat repeat_of(const struct visit *v)
{
    const struct addr *peer = &v->client->peer;
    uint8_t asked[REPEAT_HEAD + WIRE_KEY_MAX];
    struct repeat r;
    memcpy(asked, peer->ip, 16);
    memcpy(asked + 16, &peer->scope, 4);
    memcpy(asked + 20, &peer->port, 2);
    memcpy(asked + 22, &v->q.id, 2);
    size_t key_len = wire_key_write(&v->q.question, key_flags(&v->q), asked + REPEAT_HEAD);
    crypto_shorthash_siphashx24(r.digest, asked, REPEAT_HEAD + key_len, v->desk->seed);
    return r;
}

static unsigned repeat_hash(const struct repeat *r)
{
    unsigned value;
    memcpy(&value, r->digest, sizeof value);
    return value;
}

/* Whether this client already waits for the answer to this very message. */
static bool is_repeat(const struct query_desk *d, const struct repeat *repeat)
{
    struct query *q = NULL;
    if (d->repeats != NULL)
        HASH_FIND_BYHASHVALUE(hh, d->repeats, repeat, sizeof *repeat, repeat_hash(repeat), q);
    return q != NULL;
}

/* Undoes query_create, whether or not the query was ever answered. */
static void query_free(struct query *q)
{
    struct query_desk *d = q->desk;
    if (q->hh.tbl != NULL)
        HASH_DELETE(hh, d->repeats, q);
    asker_leave(d, q->asker);
    if (q->prev != NULL)
        q->prev->next = q->next;
    else
        d->waiting = q->next;
    if (q->next != NULL)
        q->next->prev = q->prev;
    d->counts.waiting--;
    d->prefix_bytes -= q->prefix_len;
    free(q);
}

void query_desk_free(struct query_desk *d)
{
    if (d == NULL)
        return;
    assert(d->waiting == NULL);
    free(d);
}

/* Copies what v->q and the flight point to behind the query, in one piece with it. */
static void keep_bytes(struct query *q, const struct visit *v, const uint8_t *key,
    const uint8_t *prefix, size_t prefix_len)
{
    const struct wire_question *question = &v->q.question;
    uint8_t *name = q->key + q->key_len;
    memcpy(q->key, key, q->key_len);
    memcpy(name, question->name, question->name_len);
    q->q.question.name = name;
    if (v->q.edns.cookie != NULL) { /* points into the message */
        memcpy(q->cookie, v->q.edns.cookie, sizeof q->cookie);
        q->q.edns.cookie = q->cookie;
    }
    if (prefix == NULL)
        return;
    q->prefix = memcpy(name + question->name_len, prefix, prefix_len);
    q->prefix_len = prefix_len;
}

static void list_waiting(struct query *q)
{
    struct query_desk *d = q->desk;
    q->next = d->waiting;
    if (q->next != NULL)
        q->next->prev = q;
    d->waiting = q;
    d->counts.waiting++;
    d->prefix_bytes += q->prefix_len;
}

/* Keeps what is needed to answer later. NULL when memory is out, or chains take all of theirs.
 * prefix may be NULL, and repeat is for clients that do not repeat themselves (TCP). */
static struct query *query_create(const struct visit *v, const uint8_t *key, size_t key_len,
    const uint8_t *prefix, size_t prefix_len, const struct repeat *repeat)
{
    struct query_desk *d = v->desk;
    if (prefix_len > PREFIXES_MAX - d->prefix_bytes)
        return NULL;
    struct query *q = malloc(sizeof *q + key_len + v->q.question.name_len + prefix_len);
    if (q == NULL)
        return NULL;
    *q = (struct query){.waiter.wake = query_wake,
        .desk = d,
        .client = *v->client,
        .asked_ms = v->now_ms,
        .q = v->q,
        .key_len = key_len,
        .asker = asker_join(d, &v->client->peer)};
    if (q->asker == NULL) {
        free(q);
        return NULL;
    }
    keep_bytes(q, v, key, prefix, prefix_len);
    list_waiting(q);
    if (repeat != NULL) {
        q->repeat = *repeat;
        /* Where memory is out it stays outside the table: then a repeat waits a second time. */
        HASH_ADD_KEYPTR_BYHASHVALUE(
            hh, d->repeats, &q->repeat, sizeof q->repeat, repeat_hash(repeat), q);
    }
    return q;
}

/* ---- the later end --------------------------------------------------------------------------- */

/* Puts the chain of overrides before the answer to its last target. Returns the length in
 * d->packed. */
static size_t join_chain(struct query_desk *d, const struct wire_question *question,
    const uint8_t *prefix, size_t prefix_len, const uint8_t *tail, size_t tail_len,
    const uint8_t *target, size_t target_len, uint32_t age_s)
{
    struct wire_writer w;
    wire_writer_start(&w, question->name, question->name_len, d->scratch, sizeof d->scratch);
    wire_put_packed(&w, prefix, prefix_len, question->name, question->name_len, 0);
    wire_put_packed(&w, tail, tail_len, target, target_len, age_s);
    return wire_writer_finish(&w, wire_packed_rcode(tail, tail_len), d->packed, sizeof d->packed);
}

/* The one end of a query that waited. */
static void query_finish(struct query *q, struct wire_reply *r, enum query_source source,
    const struct flight_result *flight, uint64_t now_ms)
{
    struct query_desk *d = q->desk;
    uint64_t took_ms = now_ms - q->asked_ms;
    /* Answers that an attacker has held back must not come out together and larger than the
     * questions were (DNSBomb): what is late goes out bare, and the client comes by TCP for it. */
    if (took_ms > QUERY_LATE_MS && q->client.transport == CLIENT_UDP && r->packed != NULL) {
        r->truncate = true;
        d->counts.late++;
    }
    size_t len = wire_write_reply(r, d->out, sizeof d->out);
    q->client.ops->reply(&q->client, d->out, len);
    uint16_t rcode = r->packed != NULL ? wire_packed_rcode(r->packed, r->packed_len) : r->rcode;
    tell_end(d, &q->client, &q->q.question, source, rcode, len, took_ms, flight);
    query_free(q);
}

static void query_wake(struct flight_waiter *w, const struct flight_result *result, uint64_t now_ms)
{
    struct query *q = (struct query *)w;
    struct query_desk *d = q->desk;
    struct wire_reply r = reply_to(d, &q->client, &q->q);
    if (result->outcome == FLIGHT_FAILED) {
        r.rcode = result->rcode;
        r.ede = result->network_error ? WIRE_EDE_NETWORK_ERROR : WIRE_EDE_NO_REACHABLE_AUTHORITY;
        query_finish(q, &r, QUERY_FAILED, result, now_ms);
        return;
    }
    r.packed = result->packed;
    r.packed_len = result->packed_len;
    r.age_s = result->age_s;
    if (q->prefix != NULL) {
        r.packed_len = join_chain(d, &q->q.question, q->prefix, q->prefix_len, result->packed,
            result->packed_len, q->key, q->key_len - WIRE_KEY_TAIL, r.age_s);
        r.packed = d->packed;
        r.age_s = 0;
        r.ede = WIRE_EDE_FORGED;
    }
    if (result->outcome == FLIGHT_STALE)
        make_stale(&r);
    enum query_source source = result->outcome == FLIGHT_STALE ? QUERY_STALE : QUERY_UPSTREAM;
    query_finish(q, &r, source, result, now_ms);
}

/* ---- gates ----------------------------------------------------------------------------------- */

/* One that was not asked well, or asks nothing. */
static enum query_verdict gate_malformed(struct visit *v, enum wire_query_verdict parsed)
{
    switch (parsed) {
    case WIRE_QUERY_NOTIMP:
        return reply_rcode(v, WIRE_NOTIMP, QUERY_REJECTED, WIRE_EDE_NONE);
    case WIRE_QUERY_BADVERS:
        return reply_rcode(v, WIRE_BADVERS, QUERY_REJECTED, WIRE_EDE_NONE);
    case WIRE_QUERY_COOKIE:
        return reply_rcode(v, WIRE_NOERROR, QUERY_SPECIAL, WIRE_EDE_NONE);
    case WIRE_QUERY_SIGNED:
        return reply_rcode(v, WIRE_REFUSED, QUERY_REJECTED, WIRE_EDE_NONE);
    default:
        return reply_rcode(v, WIRE_FORMERR, QUERY_REJECTED, WIRE_EDE_NONE);
    }
}

/* Class CH: facts about this server, for this machine only. */
static enum query_verdict gate_chaos(struct visit *v)
{
    const struct wire_question *question = &v->q.question;
    const char *text = NULL;
    uint8_t rdata[256];
    if (v->desk->world.chaos != NULL && addr_is_loopback(&v->client->peer) &&
        (question->type == WIRE_TYPE_TXT || question->type == WIRE_TYPE_ANY))
        text = v->desk->world.chaos(v->desk->world.ctx, question->name, question->name_len);
    if (text == NULL)
        return reply_rcode(v, WIRE_REFUSED, QUERY_REJECTED, WIRE_EDE_PROHIBITED);
    size_t len = strnlen(text, 255);
    rdata[0] = (uint8_t)len;
    memcpy(rdata + 1, text, len);
    return reply_record(v, 0, rdata, len + 1, WIRE_TYPE_TXT, QUERY_CHAOS);
}

/* Questions that a forwarder of records has no answer to. */
static bool type_is_refused(uint16_t type)
{
    return type >= WIRE_TYPE_TKEY && type <= 254; /* TKEY, TSIG, IXFR, AXFR, MAILB, MAILA */
}

/* ANY gets one small record (RFC 8482 4.2), and is never forwarded. */
static enum query_verdict gate_any(struct visit *v)
{
    static const uint8_t hinfo[] = {7, 'R', 'F', 'C', '8', '4', '8', '2', 0};
    return reply_record(v, ANY_TTL_S, hinfo, sizeof hinfo, WIRE_TYPE_HINFO, QUERY_SPECIAL);
}

static enum query_verdict reply_failure(struct visit *v, const struct cache_view *hit)
{
    uint16_t rcode = WIRE_SERVFAIL;
    bool network_error;
    flight_failure_read(hit, &rcode, &network_error);
    return reply_rcode(v, rcode, QUERY_FAILED, WIRE_EDE_CACHED_ERROR);
}

static uint32_t age_of(const struct cache_view *hit, uint64_t now_ms)
{
    return (uint32_t)((now_ms - hit->stored_ms) / 1000);
}

static void tell_arrival(const struct visit *v, const uint8_t *key, size_t key_len, bool answered)
{
    const struct query_world *world = &v->desk->world;
    struct query_arrival a = {
        .client = v->client, .key = key, .key_len = key_len, .answered = answered};
    if (world->arrived != NULL && wire_type_is_predictable(v->q.question.type))
        world->arrived(world->ctx, &a, v->now_ms);
}

/* A server that we forward to may ask with DO or CD what we asked without. */
static void tell_echo_of_plain(const struct visit *v, const uint8_t *key, size_t key_len)
{
    uint8_t plain[WIRE_KEY_MAX];
    struct wire_question question;
    unsigned flags;
    if (wire_key_read(key, key_len, &question, &flags) < 0)
        return;
    size_t len = wire_key_write(&question, 0, plain);
    flight_echoed(v->desk->world.flights, plain, len, &v->client->peer);
}

/* Whether what the cache has is expired and still of use. */
static bool is_stale(
    const struct query_desk *d, enum cache_found found, const struct cache_view *hit)
{
    return d->conf.serve_stale && found == CACHE_STALE && hit->kind != CACHE_FAILURE;
}

/* Answers with what the cache has for key, behind the chain of overrides in prefix if there is one.
 */
static enum query_verdict reply_cached(struct visit *v, const uint8_t *key, size_t key_len,
    const struct cache_view *hit, bool stale, const uint8_t *prefix, size_t prefix_len)
{
    struct query_desk *d = v->desk;
    struct wire_reply r = visit_reply(v);
    r.packed = hit->value;
    r.packed_len = hit->len;
    r.age_s = stale ? 0 : age_of(hit, v->now_ms);
    if (prefix != NULL) {
        r.packed = d->packed;
        r.packed_len = join_chain(d, &v->q.question, prefix, prefix_len, hit->value, hit->len, key,
            key_len - WIRE_KEY_TAIL, r.age_s);
        r.age_s = 0;
        r.ede = WIRE_EDE_FORGED;
    }
    if (stale) {
        make_stale(&r);
        return reply_now(v, &r, QUERY_STALE);
    }
    if (prefix != NULL)
        return reply_now(v, &r, QUERY_OVERRIDE);
    enum query_verdict verdict = reply_now(v, &r, QUERY_CACHE);
    tell_arrival(v, key, key_len, true);
    return verdict;
}

/* Nobody can be asked now: what has expired is better than nothing (RFC 8767). */
static enum query_verdict reply_shed(
    struct visit *v, const uint8_t *key, size_t key_len, const uint8_t *prefix, size_t prefix_len)
{
    const struct query_desk *d = v->desk;
    struct cache_view hit;
    enum cache_found found = cache_peek(d->world.cache, key, key_len, v->now_ms, &hit);
    if (is_stale(d, found, &hit))
        return reply_cached(v, key, key_len, &hit, true, prefix, prefix_len);
    return reply_rcode(v, WIRE_SERVFAIL, QUERY_FAILED, WIRE_EDE_NETWORK_ERROR);
}

/* Waits for the answer to key from upstream. prefix is the chain that leads there, or NULL. */
static enum query_verdict wait_for(
    struct visit *v, const uint8_t *key, size_t key_len, const uint8_t *prefix, size_t prefix_len)
{
    struct query_desk *d = v->desk;
    bool may_repeat = v->client->transport == CLIENT_UDP;
    struct repeat repeat;
    if (may_repeat)
        repeat = repeat_of(v);
    if (may_repeat && is_repeat(d, &repeat)) {
        d->counts.repeats++;
        flight_nudge(d->world.flights, key, key_len);
        return no_reply(v);
    }
    if (d->counts.waiting >= d->conf.queries_max)
        return reply_rcode(v, WIRE_SERVFAIL, QUERY_FAILED, WIRE_EDE_NONE);
    struct query *q =
        query_create(v, key, key_len, prefix, prefix_len, may_repeat ? &repeat : NULL);
    if (q == NULL)
        return reply_rcode(v, WIRE_SERVFAIL, QUERY_FAILED, WIRE_EDE_NONE);
    if (q->asker->n_waiting > QUERY_PER_CLIENT) {
        d->counts.over_limit++;
        query_free(q);
        return no_reply(v);
    }
    enum flight_join_verdict joined =
        flight_join(d->world.flights, key, key_len, v->has_stale, &q->waiter);
    if (joined == FLIGHT_SHED) {
        query_free(q);
        return reply_shed(v, key, key_len, prefix, prefix_len);
    }
    if (joined == FLIGHT_JOINED)
        flight_echoed(d->world.flights, key, key_len, &v->client->peer);
    else if (key_flags(&v->q) != 0)
        tell_echo_of_plain(v, key, key_len);
    return QUERY_LATER;
}

/* The cache, and behind it the servers. prefix is the chain of overrides that leads to key, or
 * NULL. */
static enum query_verdict ask_cache(
    struct visit *v, const uint8_t *key, size_t key_len, const uint8_t *prefix, size_t prefix_len)
{
    const struct query_desk *d = v->desk;
    struct cache_view hit;
    enum cache_found found = cache_get(d->world.cache, key, key_len, v->now_ms, &hit);
    if (found == CACHE_FRESH && hit.kind == CACHE_FAILURE)
        return reply_failure(v, &hit);
    if (found == CACHE_FRESH)
        return reply_cached(v, key, key_len, &hit, false, prefix, prefix_len);
    v->has_stale = is_stale(d, found, &hit);
    if (v->has_stale && hit.held)
        return reply_cached(v, key, key_len, &hit, true, prefix, prefix_len);
    return wait_for(v, key, key_len, prefix, prefix_len);
}

/* An override led to a name that is none of ours: its answer is added to the chain. */
static enum query_verdict gate_chase(struct visit *v, const struct poison_result *p)
{
    struct query_desk *d = v->desk;
    uint8_t key[WIRE_KEY_MAX];
    struct wire_question target = {.name = p->target,
        .name_len = p->target_len,
        .type = v->q.question.type,
        .class = v->q.question.class};
    uint8_t tail[WIRE_UDP_MIN];
    size_t tail_len;
    enum query_verdict verdict;
    if (!d->conf.forward || (v->q.flags & WIRE_RD) == 0)
        return reply_packed(v, d->packed, p->packed_len, QUERY_OVERRIDE, WIRE_EDE_FORGED);
    uint8_t *prefix = malloc(p->packed_len);
    if (prefix == NULL)
        return reply_rcode(v, WIRE_SERVFAIL, QUERY_FAILED, WIRE_EDE_NONE);
    memcpy(prefix, d->packed, p->packed_len);
    if (!p->passed && special_lookup(&target, tail, sizeof tail, &tail_len) == SPECIAL_ANSWER) {
        size_t len = join_chain(
            d, &v->q.question, prefix, p->packed_len, tail, tail_len, p->target, p->target_len, 0);
        verdict = reply_packed(v, d->packed, len, QUERY_OVERRIDE, WIRE_EDE_FORGED);
    } else {
        size_t key_len = wire_key_write(&target, key_flags(&v->q), key);
        verdict = ask_cache(v, key, key_len, prefix, p->packed_len);
    }
    free(prefix);
    return verdict;
}

/* Overrides and special names. Returns whether the visit ended here. */
static bool gate_local(struct visit *v, enum query_verdict *verdict)
{
    struct query_desk *d = v->desk;
    struct poison_result p;
    size_t len;
    bool any = v->q.question.type == WIRE_TYPE_ANY; /* verdicts hold for it, records do not */
    enum poison_verdict said = POISON_NONE;
    if (d->poison != NULL)
        said = poison_lookup(d->poison, &v->q.question, d->packed, sizeof d->packed, &p);
    switch (said) {
    case POISON_ANSWER:
        if (any && !p.blocked)
            return false;
        *verdict = reply_packed(v, d->packed, p.packed_len, QUERY_OVERRIDE,
            p.blocked ? WIRE_EDE_BLOCKED : WIRE_EDE_FORGED);
        return true;
    case POISON_CHASE:
        if (any)
            return false;
        *verdict = gate_chase(v, &p);
        return true;
    case POISON_REFUSED:
        *verdict = reply_rcode(v, WIRE_REFUSED, QUERY_OVERRIDE, WIRE_EDE_BLOCKED);
        return true;
    case POISON_DROP:
        *verdict = no_reply(v);
        return true;
    case POISON_PASS:
        return false;
    case POISON_NONE:
        break;
    }
    if (special_lookup(&v->q.question, d->packed, sizeof d->packed, &len) != SPECIAL_ANSWER)
        return false;
    *verdict = reply_packed(v, d->packed, len, QUERY_SPECIAL, WIRE_EDE_NONE);
    return true;
}

/* The cache, and behind it the servers. */
static enum query_verdict gate_cache(struct visit *v)
{
    uint8_t key[WIRE_KEY_MAX];
    size_t key_len = wire_key_write(&v->q.question, key_flags(&v->q), key);
    enum query_verdict verdict = ask_cache(v, key, key_len, NULL, 0);
    if (verdict == QUERY_LATER)
        tell_arrival(v, key, key_len, false);
    return verdict;
}

static enum query_verdict walk(struct visit *v, const uint8_t *msg, size_t len)
{
    enum query_verdict verdict;
    enum wire_query_verdict parsed = wire_parse_query(msg, len, &v->q);
    if (parsed == WIRE_QUERY_DROP || !query_allows(v->desk, &v->client->peer))
        return no_reply(v);
    if (parsed != WIRE_QUERY_OK)
        return gate_malformed(v, parsed);
    const struct wire_question *question = &v->q.question;
    if (question->class == WIRE_CLASS_CH)
        return gate_chaos(v);
    if (question->class != WIRE_CLASS_IN)
        return reply_rcode(v, WIRE_REFUSED, QUERY_REJECTED, WIRE_EDE_NOT_SUPPORTED);
    if (type_is_refused(question->type))
        return reply_rcode(v, WIRE_REFUSED, QUERY_REJECTED, WIRE_EDE_PROHIBITED);
    if (question->type == WIRE_TYPE_OPT || question->type == 0)
        return reply_rcode(v, WIRE_FORMERR, QUERY_REJECTED, WIRE_EDE_NONE);
    if (gate_local(v, &verdict))
        return verdict;
    if (question->type == WIRE_TYPE_ANY)
        return gate_any(v);
    /* RD=0 asks what is known already, which is nobody's business (cache snooping; RFC 8914
     * 4.21). */
    if ((v->q.flags & WIRE_RD) == 0 || !v->desk->conf.forward)
        return reply_rcode(v, WIRE_REFUSED, QUERY_REJECTED, WIRE_EDE_NOT_AUTHORITATIVE);
    return gate_cache(v);
}

enum query_verdict query_accept(struct query_desk *d, const struct client *client,
    const uint8_t *msg, size_t len, uint64_t now_ms, uint8_t *out, size_t cap, size_t *reply_len)
{
    struct visit v = {.desk = d, .client = client, .now_ms = now_ms, .out = out, .cap = cap};
    if (client->transport == CLIENT_UDP)
        d->counts.udp++;
    else
        d->counts.tcp++;
    enum query_verdict verdict = walk(&v, msg, len);
    *reply_len = v.len;
    return verdict;
}

bool query_forwards(struct query_desk *d, const uint8_t *key, size_t key_len)
{
    struct wire_question question;
    struct poison_result p;
    unsigned flags;
    size_t len;
    if (!d->conf.forward || wire_key_read(key, key_len, &question, &flags) < 0 ||
        question.class != WIRE_CLASS_IN || !wire_type_is_predictable(question.type))
        return false;
    enum poison_verdict said = POISON_NONE;
    if (d->poison != NULL)
        said = poison_lookup(d->poison, &question, d->packed, sizeof d->packed, &p);
    if (said == POISON_PASS)
        return true;
    return said == POISON_NONE &&
           special_lookup(&question, d->packed, sizeof d->packed, &len) == SPECIAL_NONE;
}

const char *query_check(const struct query_desk *d)
{
    size_t n = 0, asked = 0, prefix_bytes = 0;
    const struct query *prev = NULL;
    for (const struct query *q = d->waiting; q != NULL; prev = q, q = q->next) {
        if (q->prev != prev)
            return "the list of waiting queries is torn";
        if (q->desk != d || q->asker == NULL || q->asker->n_waiting == 0)
            return "a waiting query is not counted for its client";
        if (q->q.question.name != q->key + q->key_len)
            return "a waiting query points into a message that is gone";
        prefix_bytes += q->prefix_len;
        n++;
    }
    for (const struct asker *a = d->askers; a != NULL; a = a->hh.next)
        asked += a->n_waiting;
    if (n != d->counts.waiting || asked != n)
        return "waiting queries are counted wrong";
    if (prefix_bytes != d->prefix_bytes || prefix_bytes > PREFIXES_MAX)
        return "the bytes of chains are counted wrong, or too many";
    return NULL;
}
