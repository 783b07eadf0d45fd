/* flight.c: the questions under way upstream, one flight a key, with retries, deadlines and
 * waiters. Knows keys, servers and the upstream door; never the clients or how they asked.
 *
 * The life of a flight. It sends over UDP to the best server, and on silence to the next best, at
 * most FLIGHT_UDP_MAX messages, each after the timeout of the server before. The first message and
 * the newest one may still be answered; one between them is cancelled, so that at most two pairs of
 * port and ID accept (SECURITY 1). Over TCP it asks once at most: when a reply is truncated, when
 * somebody guesses IDs (then a UDP reply is set aside and used only if TCP brings nothing), when a
 * cookie is missing, or when the case of the name was lost (a TCP reply proves whether the server
 * loses it). An answer ends it, so does an error that no further server can mend, and so does
 * FLIGHT_LIFE_MS. A machine that slept meanwhile begins it again.
 *
 * A prefetch is a flight without a waiter. It sends one message only, tells the servers no failure
 * and leaves none in the cache; once a client joins, it is a flight like any other. */
#define HASH_NONFATAL_OOM 1
#include "flight.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define SPARE_MAX     8192              /* longest packed answer that is set aside */
#define SPARES_MAX    ((size_t)4 << 20) /* bytes of all of them */
#define PIECE_COST    16                /* what malloc and a table take for each piece of memory */
#define AGAIN_MS      300               /* until the next try where nobody could be reached */
#define FAILURE_MIN_S 1                 /* RFC 9520 3.2: doubled with each failure in a row */
#define FAILURE_MAX_S 30
#define FAILURE_LEN                                                                                \
    4 /* value of a failure in the cache: rcode (2), seconds (1), network error (1) */
#define ECHO_MS  200   /* sooner than any client repeats itself */
#define SLEPT_MS 30000 /* so late is no turn of a loop that runs */
#define HELD_MS  30000 /* a stale answer is not refreshed again for so long (RFC 8767 5) */

enum { FIRST, NEWEST, STREAM, N_ATTEMPTS };

struct flight;

struct attempt {
    struct flight *flight;
    struct upstream_ask *ask; /* NULL: not under way */
    uint64_t sent_ms;
    int server;
    bool edns;
    bool mixed_case;
};

struct flight {
    UT_hash_handle hh;
    struct flights *all;
    struct flight_waiter *waiters;
    struct flight_waiter **waiters_end;
    struct attempt attempt[N_ATTEMPTS];
    uint64_t give_up_ms;
    uint64_t retry_ms; /* FLIGHT_NEVER_MS: no more messages are planned */
    uint64_t stale_ms; /* when waiters get the stale answer; FLIGHT_NEVER_MS: never */
    size_t heap_at;
    uint32_t tried;  /* servers, a bit each */
    uint32_t echoes; /* of them, those that seem to wait for us in turn */
    uint16_t rcode;  /* of the last error that a server gave */
    uint8_t udp_sent;
    uint8_t tcp_sent;
    enum flight_tcp tcp_cause;
    bool speculative; /* a prefetch that no client joined */
    bool plain_case;
    bool nudged;
    bool tcp_lost; /* refused, or silent for long: there is no help from there */
    bool no_edns;  /* this question is better asked without */
    bool cookie_renewed;
    bool network_error;
    enum flight_why why;
    int why_server; /* valid unless FLIGHT_WHY_NONE */
    uint8_t *spare; /* a UDP answer set aside; malloc'ed */
    struct wire_answer spare_answer;
    uint64_t spare_ms; /* when it came */
    size_t key_len;
    uint8_t key[];
};

struct flights {
    struct flight_conf conf;
    struct flight_world world;
    struct flight *table;
    struct flight **heap; /* by due_of, soonest first */
    size_t n;             /* flights: in the table, in the heap */
    uint64_t now_ms;
    uint8_t seed[CACHE_SEED_LEN];
    size_t spare_bytes;
    struct flight_counts counts;
    uint8_t packed[WIRE_PACKED_MAX];
};

static bool on_event(void *ctx, enum upstream_event event, const uint8_t *msg, size_t len);
static void send_udp(struct flight *f);
static void fail(struct flight *f);

/* ---- the heap of deadlines ------------------------------------------------------------------- */

static uint64_t due_of(const struct flight *f)
{
    uint64_t due = f->give_up_ms;
    if (f->retry_ms < due)
        due = f->retry_ms;
    return f->stale_ms < due ? f->stale_ms : due;
}

static void heap_set(struct flights *all, size_t at, struct flight *f)
{
    all->heap[at] = f;
    f->heap_at = at;
}

/* Puts the flight where its due time belongs. Its place is taken as free. */
static void heap_settle(struct flights *all, struct flight *f)
{
    size_t at = f->heap_at;
    while (at > 0 && due_of(all->heap[(at - 1) / 2]) > due_of(f)) {
        heap_set(all, at, all->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < all->n && due_of(all->heap[child + 1]) < due_of(all->heap[child]))
            child++;
        if (child >= all->n || due_of(all->heap[child]) >= due_of(f))
            break;
        heap_set(all, at, all->heap[child]);
        at = child;
    }
    heap_set(all, at, f);
}

static void heap_add(struct flights *all, struct flight *f)
{
    f->heap_at = all->n++;
    heap_settle(all, f);
}

static void heap_remove(struct flights *all, struct flight *f)
{
    struct flight *last = all->heap[--all->n];
    if (last == f)
        return;
    last->heap_at = f->heap_at;
    heap_settle(all, last);
}

/* ---- the set --------------------------------------------------------------------------------- */

struct flights *flights_create(const struct flight_conf *conf, const struct flight_world *world,
    const uint8_t seed[CACHE_SEED_LEN])
{
    struct flights *all = calloc(1, sizeof *all);
    if (all == NULL)
        return NULL;
    all->heap = calloc(conf->flights_max, sizeof *all->heap);
    if (all->heap == NULL) {
        free(all);
        return NULL;
    }
    all->conf = *conf;
    all->world = *world;
    memcpy(all->seed, seed, sizeof all->seed);
    return all;
}

size_t flights_bytes_max(const struct flight_conf *conf)
{
    size_t one = sizeof(struct flight) + WIRE_KEY_MAX + sizeof(struct flight *) + 2 * PIECE_COST;
    return sizeof(struct flights) + conf->flights_max * one + SPARES_MAX;
}

static void flight_free(struct flight *f)
{
    for (int i = 0; i < N_ATTEMPTS; i++)
        upstream_cancel(f->attempt[i].ask);
    if (f->spare != NULL)
        f->all->spare_bytes -= f->spare_answer.packed_len;
    free(f->spare);
    free(f);
}

/* Takes the flight out of table and heap: nobody can join it any more. */
static void flight_remove(struct flight *f)
{
    struct flights *all = f->all;
    HASH_DELETE(hh, all->table, f);
    heap_remove(all, f);
    if (f->speculative)
        all->counts.speculative--;
}

void flights_free(struct flights *all)
{
    if (all == NULL)
        return;
    assert(all->n == 0);
    free(all->heap);
    free(all);
}

void flights_reconfigure(struct flights *all, const struct flight_conf *conf)
{
    size_t flights_max = all->conf.flights_max; /* the heap has this size */
    if (!rebind_same(&all->conf.rebind, &conf->rebind))
        cache_flush(all->world.cache);
    all->conf = *conf;
    all->conf.flights_max = flights_max;
}

void flights_clock(struct flights *all, uint64_t now_ms)
{
    all->now_ms = now_ms;
}

static unsigned hash_of(const struct flights *all, const uint8_t *key, size_t len)
{
    uint8_t h[crypto_shorthash_BYTES];
    unsigned value;
    crypto_shorthash(h, key, len, all->seed);
    memcpy(&value, h, sizeof value);
    return value;
}

static struct flight *find_hashed(
    const struct flights *all, const uint8_t *key, size_t len, unsigned hash)
{
    struct flight *f = NULL;
    HASH_FIND_BYHASHVALUE(hh, all->table, key, len, hash, f);
    return f;
}

static struct flight *find(const struct flights *all, const uint8_t *key, size_t len)
{
    return all->n == 0 ? NULL : find_hashed(all, key, len, hash_of(all, key, len));
}

bool flight_under_way(const struct flights *all, const uint8_t *key, size_t key_len)
{
    return find(all, key, key_len) != NULL;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void wake_all(struct flight *f, const struct flight_result *r)
{
    struct flight_waiter *w = f->waiters;
    f->waiters = NULL;
    f->waiters_end = &f->waiters;
    while (w != NULL) {
        struct flight_waiter *next = w->next;
        w->wake(w, r, f->all->now_ms);
        w = next;
    }
}

/* The one end of a flight. */
static void finish(struct flight *f, const struct flight_result *r)
{
    struct flights *all = f->all;
    flight_remove(f);
    wake_all(f, r);
    all->world.landed(
        all->world.ctx, f->key, f->key_len, r->outcome == FLIGHT_ANSWERED, all->now_ms);
    flight_free(f);
}

/* Whether the cache has an expired answer for it, and which. */
static bool find_stale(const struct flight *f, struct cache_view *v)
{
    const struct flights *all = f->all;
    return all->conf.stale_ms > 0 &&
           cache_peek(all->world.cache, f->key, f->key_len, all->now_ms, v) == CACHE_STALE &&
           v->kind != CACHE_FAILURE;
}

/* An error that a server gave is what the client is told, and so is the log. */
static void note_why(struct flight *f, enum flight_why why, int server)
{
    if (f->rcode != 0 && why != FLIGHT_WHY_RCODE)
        return;
    f->why = why;
    f->why_server = server;
}

static void tell_why(const struct flight *f, struct flight_result *r)
{
    const struct servers *servers = f->all->world.servers;
    r->why = f->why;
    r->tcp = f->tcp_cause;
    if (f->why != FLIGHT_WHY_NONE)
        r->server = server_addr(servers, f->why_server);
    if (f->tcp_cause != FLIGHT_TCP_NONE)
        r->tcp_server = server_addr(servers, f->attempt[STREAM].server);
}

static bool stale_result(struct flight *f, struct flight_result *r)
{
    struct flights *all = f->all;
    struct cache_view v;
    if (!find_stale(f, &v))
        return false;
    assert(v.len <= sizeof all->packed); /* what store() put there */
    memcpy(all->packed, v.value, v.len); /* a wake may change the cache */
    *r = (struct flight_result){
        .outcome = FLIGHT_STALE,
        .packed = all->packed,
        .packed_len = v.len,
        .network_error = f->network_error,
    };
    return true;
}

/* Notes the failure (RFC 9520): each in a row lasts twice as long as the one before. */
static void store_failure(const struct flight *f, uint16_t rcode)
{
    const struct flights *all = f->all;
    struct cache_view v;
    uint8_t last_s = 0;
    if (cache_peek(all->world.cache, f->key, f->key_len, all->now_ms, &v) != CACHE_MISS &&
        v.kind == CACHE_FAILURE)
        last_s = v.value[2];
    unsigned s = last_s == 0 ? FAILURE_MIN_S : last_s * 2U;
    if (s > FAILURE_MAX_S)
        s = FAILURE_MAX_S;
    uint8_t value[FAILURE_LEN] = {
        (uint8_t)(rcode >> 8), (uint8_t)rcode, (uint8_t)s, f->network_error};
    struct cache_item failure = {
        .key = f->key,
        .key_len = f->key_len,
        .value = value,
        .value_len = sizeof value,
        .kind = CACHE_FAILURE,
        .fresh_ms = s * 1000,
        .stale_ms = FAILURE_MAX_S * 1000, /* remembered for the doubling only */
    };
    cache_hold(all->world.cache, &failure, HELD_MS, all->now_ms);
}

bool flight_failure_read(const struct cache_view *v, uint16_t *rcode, bool *network_error)
{
    if (v->kind != CACHE_FAILURE || v->len != FAILURE_LEN)
        return false;
    *rcode = (uint16_t)(v->value[0] << 8 | v->value[1]);
    *network_error = v->value[3] != 0;
    return true;
}

/* A server that seems to wait for us, or NULL. */
static const struct addr *echoing(const struct flight *f)
{
    for (int server = 0; f->echoes >> server != 0; server++)
        if (f->echoes >> server & 1)
            return server_addr(f->all->world.servers, server);
    return NULL;
}

static void fail(struct flight *f)
{
    struct flights *all = f->all;
    struct flight_result r;
    uint16_t rcode = f->rcode != 0 ? f->rcode : WIRE_SERVFAIL;
    all->counts.failed++;
    if (!f->speculative)
        store_failure(f, rcode);
    if (stale_result(f, &r)) {
        all->counts.stale++;
    } else {
        r = (struct flight_result){
            .outcome = FLIGHT_FAILED, .rcode = rcode, .network_error = f->network_error};
    }
    tell_why(f, &r);
    r.looped = echoing(f);
    finish(f, &r);
}

static void store(
    const struct flight *f, const struct wire_answer *a, const uint8_t *packed, uint64_t came_ms)
{
    const struct flights *all = f->all;
    struct cache_item item = {
        .key = f->key,
        .key_len = f->key_len,
        .value = packed,
        .value_len = a->packed_len,
        .kind = a->kind == WIRE_ANSWER_POSITIVE ? CACHE_POSITIVE : CACHE_NEGATIVE,
        .fresh_ms = (uint64_t)a->ttl_s * 1000,
        .stale_ms = all->conf.stale_ms,
    };
    bool hold = a->ttl_s == 0 && f->speculative && all->conf.once_ms > 0;
    if (hold) {
        item.kind = CACHE_ONCE;
        item.fresh_ms = all->conf.once_ms;
        item.stale_ms = 0;
    }
    if (a->kind == WIRE_ANSWER_NO_SOA || (a->ttl_s == 0 && !hold))
        cache_forget(all->world.cache, f->key, f->key_len); /* what was there is out of date */
    else
        cache_put(all->world.cache, &item, came_ms);
}

/* packed may be f->spare or all->packed. */
static void answer(
    struct flight *f, const struct wire_answer *a, const uint8_t *packed, uint64_t came_ms)
{
    store(f, a, packed, came_ms);
    struct flight_result r = {
        .outcome = FLIGHT_ANSWERED,
        .packed = packed,
        .packed_len = a->packed_len,
        .age_s = (uint32_t)((f->all->now_ms - came_ms) / 1000),
        .rcode = a->rcode,
        .rebound = wire_packed_is_blocked(packed, a->packed_len),
    };
    tell_why(f, &r);
    finish(f, &r);
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool anything_under_way(const struct flight *f)
{
    for (int i = 0; i < N_ATTEMPTS; i++)
        if (f->attempt[i].ask != NULL)
            return true;
    return false;
}

static bool servers_left(const struct flight *f)
{
    return servers_has_other(f->all->world.servers, f->tried);
}

/* Whether another message may be sent, and to some good: a server that waits for us would only ask
 * us once more. */
static bool may_send_udp(const struct flight *f)
{
    return f->udp_sent < FLIGHT_UDP_MAX && servers_has_other(f->all->world.servers, f->echoes);
}

/* The cookie for this server, of this network. */
static size_t write_cookie(
    const struct flight *f, const struct attempt *t, uint8_t cookie[SERVER_COOKIE_MAX])
{
    const struct flight_world *world = &f->all->world;
    uint64_t now_ms = f->all->now_ms;
    struct addr source;
    if (server_source_is_due(world->servers, t->server, now_ms) &&
        upstream_source(world->upstream, server_addr(world->servers, t->server), &source) == 0)
        server_note_source(world->servers, t->server, &source, now_ms);
    return server_cookie(world->servers, t->server, cookie);
}

/* Writes the question as this server is to get it. */
static size_t write_question(const struct flight *f, struct attempt *t, uint8_t msg[WIRE_QUERY_MAX])
{
    const struct flight_world *world = &f->all->world;
    uint8_t name[WIRE_NAME_MAX], random[(WIRE_NAME_MAX + 7) / 8], cookie[SERVER_COOKIE_MAX];
    struct wire_ask ask = {0};
    unsigned flags;
    if (wire_key_read(f->key, f->key_len, &ask.question, &flags) < 0)
        return 0;
    memcpy(name, ask.question.name, ask.question.name_len);
    t->mixed_case = !f->plain_case && server_keeps_case(world->servers, t->server, f->all->now_ms);
    if (t->mixed_case) {
        rng_bytes(world->rng, random, (ask.question.name_len + 7) / 8);
        wire_name_randomise_case(name, ask.question.name_len, random);
    }
    ask.question.name = name;
    t->edns = !f->no_edns && server_takes_edns(world->servers, t->server, f->all->now_ms);
    ask.edns = t->edns;
    ask.dnssec_ok = (flags & WIRE_KEY_DO) != 0;
    ask.checking_disabled = (flags & WIRE_KEY_CD) != 0;
    ask.authentic_data = server_trusts_ad(world->servers, t->server);
    ask.cookie = cookie;
    ask.cookie_len = ask.edns ? write_cookie(f, t, cookie) : 0;
    return wire_write_query(&ask, msg);
}

/* Asks t->server. Whether it is under way tells t->ask. */
static void send_attempt(struct flight *f, struct attempt *t, enum upstream_transport transport)
{
    const struct flight_world *world = &f->all->world;
    uint8_t msg[WIRE_QUERY_MAX];
    size_t len = write_question(f, t, msg);
    t->flight = f;
    t->sent_ms = f->all->now_ms;
    t->ask = len == 0 ? NULL
                      : upstream_ask(world->upstream, server_addr(world->servers, t->server),
                            transport, msg, len, on_event, t);
}

/* Sends one more message over UDP to a server, and plans what follows if it stays silent. */
static void send_udp_to(struct flight *f, int server)
{
    struct flights *all = f->all;
    struct attempt *t = &f->attempt[f->udp_sent == 0 ? FIRST : NEWEST];
    upstream_cancel(t->ask);
    t->server = server;
    f->tried |= UINT32_C(1) << server;
    f->udp_sent++;
    all->counts.udp_sent++;
    send_attempt(f, t, UPSTREAM_UDP);
    uint64_t timeout_ms = server_timeout_ms(all->world.servers, server);
    f->retry_ms = all->now_ms + (timeout_ms << (f->udp_sent - 1));
}

static void send_udp(struct flight *f)
{
    struct servers *servers = f->all->world.servers;
    uint32_t avoid = servers_left(f) || f->echoes == 0 ? f->tried : f->echoes;
    int server = f->speculative ? servers_pick_sound(servers, f->all->now_ms)
                                : servers_pick(servers, avoid, f->all->now_ms);
    if (server >= 0)
        send_udp_to(f, server);
}

/* Sends the question over TCP if that was not done yet. Returns whether TCP is under way. */
static bool send_tcp(struct flight *f, int server, enum flight_tcp cause)
{
    struct attempt *t = &f->attempt[STREAM];
    if (f->tcp_sent >= FLIGHT_TCP_MAX)
        return t->ask != NULL;
    t->server = server;
    f->tcp_sent++;
    f->tcp_cause = cause;
    f->all->counts.tcp_sent++;
    send_attempt(f, t, UPSTREAM_TCP);
    if (t->ask == NULL)
        return false;
    /* UDP messages would only double what TCP is about to bring. */
    uint64_t wait_ms = 3 * server_timeout_ms(f->all->world.servers, server);
    f->retry_ms = f->all->now_ms + wait_ms;
    return true;
}

/* A message came to nothing: the next server at once, the same ones after a pause, or the end. */
static void go_on(struct flight *f)
{
    bool may_send = may_send_udp(f) && !f->speculative;
    if (may_send && servers_left(f)) {
        send_udp(f);
    } else if (may_send && f->network_error) {
        f->retry_ms = f->all->now_ms + AGAIN_MS;
    } else if (!anything_under_way(f)) {
        fail(f);
        return;
    }
    heap_settle(f->all, f);
}

/* ---- what comes back ------------------------------------------------------------------------- */

/* A reply over UDP while somebody guesses IDs: used only if TCP brings nothing. */
static void set_aside(struct flight *f, const struct wire_answer *a)
{
    struct flights *all = f->all;
    if (f->spare != NULL || a->packed_len > SPARE_MAX ||
        all->spare_bytes + a->packed_len > SPARES_MAX)
        return;
    f->spare = malloc(a->packed_len);
    if (f->spare == NULL)
        return;
    all->spare_bytes += a->packed_len;
    memcpy(f->spare, all->packed, a->packed_len);
    f->spare_answer = *a;
    f->spare_ms = all->now_ms;
}

/* Starts asking over TCP since UDP replies cannot be trusted now. */
static void distrust(struct flight *f, int server)
{
    f->all->counts.forged++;
    if (!f->speculative && send_tcp(f, server, FLIGHT_TCP_SUSPECT))
        f->tcp_cause = FLIGHT_TCP_SUSPECT;
    heap_settle(f->all, f);
}

/* TCP brings nothing: it was refused, or is silent since a firewall drops it. What waited for its
 * verdict goes on without. Returns whether that ended the flight. */
static bool stream_lost(struct flight *f)
{
    f->tcp_lost = true;
    f->plain_case |= f->tcp_cause == FLIGHT_TCP_CASE;
    if (f->spare == NULL)
        return false;
    answer(f, &f->spare_answer, f->spare, f->spare_ms);
    return true;
}

/* Whether the cookie of a UDP reply lets it count (RFC 7873 5.3). */
static bool cookie_is_fine(struct flight *f, const struct attempt *t, const struct wire_answer *a)
{
    if (!t->edns || t == &f->attempt[STREAM])
        return true;
    enum server_cookie_verdict v =
        server_check_cookie(f->all->world.servers, t->server, a->edns.cookie, a->edns.cookie_len);
    if (v != SERVER_COOKIE_MISSING)
        return v == SERVER_COOKIE_FINE;
    if (f->tcp_lost)
        return true; /* it has stopped giving cookies, and there is no other way to ask */
    distrust(f, t->server);
    return false;
}

/* The same server once more, as its error asks for. Returns whether that was done. */
static bool ask_again(struct flight *f, const struct attempt *t, const struct wire_answer *a)
{
    bool no_edns =
        t->edns && !a->edns.present && (a->rcode == WIRE_FORMERR || a->rcode == WIRE_NOTIMP);
    bool new_cookie = t->edns && a->rcode == WIRE_BADCOOKIE && !f->cookie_renewed;
    if (f->speculative || f->udp_sent >= FLIGHT_UDP_MAX || !(no_edns || new_cookie))
        return false;
    f->no_edns |= no_edns;
    f->cookie_renewed |= new_cookie;
    send_udp_to(f, t->server);
    return true;
}

static void on_server_error(struct flight *f, const struct attempt *t, const struct wire_answer *a)
{
    /* RFC 7873 5.3: a cookie that is refused again leaves TCP, where none is needed. */
    bool over_tcp = a->rcode == WIRE_BADCOOKIE && t != &f->attempt[STREAM] && !f->speculative;
    if (ask_again(f, t, a) || (over_tcp && send_tcp(f, t->server, FLIGHT_TCP_TRUNCATED))) {
        heap_settle(f->all, f);
        return;
    }
    /* What lies beyond 15 is between us and the server. */
    f->rcode = a->rcode > WIRE_RCODE ? WIRE_SERVFAIL : a->rcode;
    note_why(f, FLIGHT_WHY_RCODE, t->server);
    f->network_error = false;
    go_on(f);
}

static void on_truncated(struct flight *f, const struct attempt *t)
{
    if (t != &f->attempt[STREAM] && !f->speculative &&
        send_tcp(f, t->server, FLIGHT_TCP_TRUNCATED)) {
        heap_settle(f->all, f);
        return;
    }
    go_on(f);
}

/* A reply over TCP to a name in mixed case shows whether the server keeps it. (Where chance gave
 * small letters only, a server can be wronged: it is then asked without mixed case for an hour.) */
static void note_case(struct flight *f, const struct attempt *t, const uint8_t *msg, size_t len)
{
    struct flights *all = f->all;
    size_t name_len = f->key_len - WIRE_KEY_TAIL;
    if (f->tcp_cause != FLIGHT_TCP_CASE || !t->mixed_case || len < WIRE_HEADER_LEN + name_len)
        return;
    if (memcmp(msg + WIRE_HEADER_LEN, f->key, name_len) == 0)
        server_loses_case(all->world.servers, t->server, all->now_ms);
}

/* What an accepted reply says about its server. */
static void learn_from(struct flight *f, const struct attempt *t, const struct wire_answer *a)
{
    struct servers *servers = f->all->world.servers;
    uint64_t now_ms = f->all->now_ms;
    bool stream = t == &f->attempt[STREAM];
    bool usable = a->kind != WIRE_ANSWER_ERROR && a->kind != WIRE_ANSWER_TRUNCATED;
    if (!stream)
        server_answered(servers, t->server, now_ms - t->sent_ms, now_ms);
    if (a->edns.present)
        server_note_edns(servers, t->server);
    if (t->edns)
        server_note_cookie(servers, t->server, a->edns.cookie, a->edns.cookie_len);
    if (usable && f->no_edns)
        server_lacks_edns(servers, t->server, now_ms);
    if (usable && !stream && f->plain_case)
        server_loses_case(servers, t->server, now_ms);
}

/* An answer that gives private addresses is refused as a whole: what else it says was said by who
 * tried that. The refusal lives as long as the answer would have. */
static void refuse_private(struct flight *f, struct wire_answer *a)
{
    struct flights *all = f->all;
    if (!rebind_refuses(
            &all->conf.rebind, f->key, f->key_len - WIRE_KEY_TAIL, all->packed, a->packed_len))
        return;
    a->packed_len = wire_packed_block(all->packed);
    a->kind = WIRE_ANSWER_NODATA;
    a->rcode = WIRE_NOERROR;
    all->counts.rebound++;
}

static bool on_reply(struct flight *f, struct attempt *t, const uint8_t *msg, size_t len)
{
    struct flights *all = f->all;
    struct servers *servers = all->world.servers;
    bool stream = t == &f->attempt[STREAM];
    struct wire_question asked;
    struct wire_answer a;
    unsigned flags;
    if (wire_key_read(f->key, f->key_len, &asked, &flags) < 0)
        return false;
    enum wire_answer_kind kind = wire_pack_answer(msg, len, &asked, (flags & WIRE_KEY_DO) != 0,
        server_trusts_ad(servers, t->server), &all->conf.ttl, all->packed, sizeof all->packed, &a);
    if (kind == WIRE_ANSWER_MALFORMED || !cookie_is_fine(f, t, &a))
        return false;
    t->ask = NULL;
    learn_from(f, t, &a);
    if (stream)
        note_case(f, t, msg, len);
    /* A server with EDNS that answered without it this once: no signatures for those who asked. */
    if ((flags & WIRE_KEY_DO) != 0 && !t->edns && server_has_edns(servers, t->server))
        a.ttl_s = 0;
    refuse_private(f, &a);
    if (kind == WIRE_ANSWER_TRUNCATED)
        on_truncated(f, t);
    else if (kind == WIRE_ANSWER_ERROR)
        on_server_error(f, t, &a);
    else if (!stream && f->tcp_cause == FLIGHT_TCP_SUSPECT && f->attempt[STREAM].ask != NULL)
        set_aside(f, &a);
    else
        answer(f, &a, all->packed, all->now_ms);
    return true;
}

static void on_bare_error(struct flight *f, struct attempt *t)
{
    struct wire_answer a = {.rcode = WIRE_FORMERR};
    t->ask = NULL;
    on_server_error(f, t, &a);
}

static void on_refused(struct flight *f, struct attempt *t, enum upstream_event event)
{
    struct flights *all = f->all;
    bool stream = t == &f->attempt[STREAM];
    t->ask = NULL;
    f->echoes &= ~(UINT32_C(1) << t->server);
    note_why(f, event == UPSTREAM_REFUSED ? FLIGHT_WHY_REFUSED : FLIGHT_WHY_UNSENT, t->server);
    f->network_error = true;
    if (stream && stream_lost(f))
        return;
    if (event == UPSTREAM_NOT_SENT && !stream)
        server_unreachable(all->world.servers, t->server);
    else if (!stream && !f->speculative)
        server_refused(all->world.servers, t->server, all->now_ms);
    /* What never left is not counted, as long as there is another server to ask. */
    if (event == UPSTREAM_NOT_SENT && !stream && servers_left(f))
        f->udp_sent--;
    go_on(f);
}

static bool on_event(void *ctx, enum upstream_event event, const uint8_t *msg, size_t len)
{
    struct attempt *t = ctx;
    struct flight *f = t->flight;
    switch (event) {
    case UPSTREAM_REPLY:
        return on_reply(f, t, msg, len);
    case UPSTREAM_FORMERR:
        on_bare_error(f, t);
        break;
    case UPSTREAM_REFUSED:
    case UPSTREAM_NOT_SENT:
        on_refused(f, t, event);
        break;
    case UPSTREAM_SUSPECT:
        distrust(f, t->server);
        break;
    case UPSTREAM_CASE_LOST:
        send_tcp(f, t->server, FLIGHT_TCP_CASE);
        heap_settle(f->all, f);
        break;
    }
    return true;
}

/* ---- joining --------------------------------------------------------------------------------- */

static struct flight *start(
    struct flights *all, const uint8_t *key, size_t key_len, unsigned hash, bool speculative)
{
    if (all->n >= all->conf.flights_max || servers_count(all->world.servers) == 0)
        return NULL;
    struct flight *f = malloc(sizeof *f + key_len);
    if (f == NULL)
        return NULL;
    *f = (struct flight){.all = all,
        .waiters_end = &f->waiters,
        .give_up_ms = all->now_ms + FLIGHT_LIFE_MS,
        .retry_ms = FLIGHT_NEVER_MS,
        .stale_ms = FLIGHT_NEVER_MS,
        .speculative = speculative,
        .key_len = key_len};
    memcpy(f->key, key, key_len);
    send_udp(f);
    if (speculative && !anything_under_way(f)) { /* no server that is in no trouble */
        flight_free(f);
        return NULL;
    }
    if (!anything_under_way(f)) /* memory is out: tried again in a moment */
        f->retry_ms = all->now_ms + AGAIN_MS;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, all->table, f->key, f->key_len, hash, f);
    if (f->hh.tbl == NULL) { /* memory is out: uthash took it back */
        flight_free(f);
        return NULL;
    }
    heap_add(all, f);
    all->counts.speculative += speculative;
    return f;
}

/* A client waits for what so far was a prefetch. */
static void become_wanted(struct flight *f)
{
    struct flights *all = f->all;
    f->speculative = false;
    all->counts.speculative--;
    f->give_up_ms = all->now_ms + FLIGHT_LIFE_MS;
    if (f->retry_ms == FLIGHT_NEVER_MS)
        f->retry_ms = all->now_ms;
}

enum flight_join_verdict flight_join(struct flights *all, const uint8_t *key, size_t key_len,
    bool has_stale, struct flight_waiter *w)
{
    unsigned hash = hash_of(all, key, key_len);
    struct flight *f = find_hashed(all, key, key_len, hash);
    bool joined = f != NULL;
    if (!joined) {
        f = start(all, key, key_len, hash, false);
        all->counts.started += f != NULL;
    } else {
        all->counts.joined++;
        if (f->speculative)
            become_wanted(f);
    }
    if (f == NULL) {
        all->counts.shed++;
        return FLIGHT_SHED;
    }
    if (has_stale && f->stale_ms == FLIGHT_NEVER_MS)
        f->stale_ms = all->now_ms + FLIGHT_STALE_MS;
    w->next = NULL;
    *f->waiters_end = w;
    f->waiters_end = &w->next;
    heap_settle(all, f);
    return joined ? FLIGHT_JOINED : FLIGHT_STARTED;
}

/* Whether who asks from here is that server. All programs of this machine may ask from the same
 * address: beside a server that answers, it is one of them. */
static bool seems_to_be(const struct servers *servers, int server, const struct addr *from)
{
    const struct addr *its = server_addr(servers, server);
    if (addr_is_loopback(its) && addr_is_loopback(from))
        return !server_is_sound(servers, server);
    return memcmp(its->ip, from->ip, sizeof its->ip) == 0;
}

void flight_echoed(struct flights *all, const uint8_t *key, size_t key_len, const struct addr *from)
{
    struct flight *f = find(all, key, key_len);
    for (int i = 0; f != NULL && i < N_ATTEMPTS; i++) {
        const struct attempt *t = &f->attempt[i];
        if (t->ask != NULL && all->now_ms - t->sent_ms <= ECHO_MS &&
            seems_to_be(all->world.servers, t->server, from))
            f->echoes |= UINT32_C(1) << t->server;
    }
}

void flight_nudge(struct flights *all, const uint8_t *key, size_t key_len)
{
    struct flight *f = find(all, key, key_len);
    if (f == NULL || f->nudged || f->speculative || !may_send_udp(f) ||
        f->attempt[STREAM].ask != NULL)
        return;
    f->nudged = true;
    send_udp(f);
    heap_settle(all, f);
}

bool flight_prefetch(struct flights *all, const uint8_t *key, size_t key_len)
{
    if (all->counts.speculative >= all->conf.prefetches_max)
        return false;
    unsigned hash = hash_of(all, key, key_len);
    if (find_hashed(all, key, key_len, hash) != NULL)
        return false;
    bool started = start(all, key, key_len, hash, true) != NULL;
    all->counts.prefetched += started;
    return started;
}

/* ---- time ------------------------------------------------------------------------------------ */

uint64_t flights_due_ms(const struct flights *all)
{
    return all->n == 0 ? FLIGHT_NEVER_MS : due_of(all->heap[0]);
}

/* The waiters get the stale answer; the flight goes on without them. */
static void serve_stale(struct flight *f)
{
    struct flight_result r;
    f->stale_ms = FLIGHT_NEVER_MS;
    heap_settle(f->all, f);
    if (f->waiters != NULL && stale_result(f, &r)) {
        tell_why(f, &r);
        f->all->counts.stale++;
        wake_all(f, &r);
    }
}

/* The newest server did not answer in time. */
static void retry(struct flight *f)
{
    struct flights *all = f->all;
    const struct attempt *t = &f->attempt[f->udp_sent > 1 ? NEWEST : FIRST];
    bool over_tcp = f->attempt[STREAM].ask != NULL;
    f->retry_ms = FLIGHT_NEVER_MS;
    if (over_tcp && stream_lost(f))
        return;
    if (t->ask != NULL)
        note_why(f, FLIGHT_WHY_SILENT, t->server);
    if (!f->speculative) {
        if (t->ask != NULL && !over_tcp)
            server_silent(all->world.servers, t->server, all->now_ms);
        if (may_send_udp(f)) {
            send_udp(f);
        } else if (!anything_under_way(f)) {
            fail(f);
            return;
        }
    }
    heap_settle(all, f);
}

/* Whoever was asked last stays silent. */
static void give_up(struct flight *f)
{
    const struct attempt *newest = &f->attempt[f->udp_sent > 1 ? NEWEST : FIRST];
    if (f->attempt[STREAM].ask != NULL)
        newest = &f->attempt[STREAM];
    if (newest->ask != NULL)
        note_why(f, FLIGHT_WHY_SILENT, newest->server);
    fail(f);
}

/* Nobody looked for so long that the machine must have slept (SECURITY 6). What was on its way is
 * lost, but the stubs' own clocks stood still: they may wait yet, and so their question is asked as
 * if it were new. */
static void begin_again(struct flight *f)
{
    struct flights *all = f->all;
    struct cache_view v;
    for (int i = 0; i < N_ATTEMPTS; i++) {
        upstream_cancel(f->attempt[i].ask);
        f->attempt[i].ask = NULL;
    }
    f->udp_sent = f->tcp_sent = 0;
    f->tcp_cause = FLIGHT_TCP_NONE;
    f->tcp_lost = f->nudged = f->cookie_renewed = false;
    f->tried = f->echoes = 0;
    f->give_up_ms = all->now_ms + FLIGHT_LIFE_MS;
    f->stale_ms = find_stale(f, &v) ? all->now_ms + FLIGHT_STALE_MS : FLIGHT_NEVER_MS;
    f->retry_ms = FLIGHT_NEVER_MS;
    send_udp(f);
    if (!anything_under_way(f))
        f->retry_ms = all->now_ms + AGAIN_MS;
    heap_settle(all, f);
}

/* Does one thing that is due. Each call ends the flight or moves a deadline. */
static void on_due(struct flight *f)
{
    uint64_t now_ms = f->all->now_ms;
    if (now_ms - due_of(f) > SLEPT_MS && !f->speculative)
        begin_again(f);
    else if (f->give_up_ms <= now_ms)
        give_up(f);
    else if (f->stale_ms <= now_ms)
        serve_stale(f);
    else
        retry(f);
}

void flights_tick(struct flights *all, uint64_t now_ms)
{
    all->now_ms = now_ms;
    while (all->n > 0 && due_of(all->heap[0]) <= now_ms)
        on_due(all->heap[0]);
}

void flights_end(struct flights *all, uint64_t now_ms)
{
    all->now_ms = now_ms;
    while (all->n > 0) {
        struct flight *f = all->heap[all->n - 1];
        struct flight_result r;
        if (!stale_result(f, &r))
            r = (struct flight_result){.outcome = FLIGHT_FAILED, .rcode = WIRE_SERVFAIL};
        finish(f, &r);
    }
}

void flight_count(const struct flights *all, struct flight_counts *out)
{
    *out = all->counts;
    out->under_way = all->n;
}

static const char *check_one(const struct flights *all, size_t at)
{
    const struct flight *f = all->heap[at];
    if (f->heap_at != at)
        return "a flight does not know its place in the heap";
    if (at > 0 && due_of(all->heap[(at - 1) / 2]) > due_of(f))
        return "the heap is out of order";
    if (find(all, f->key, f->key_len) != f)
        return "a flight is not found under its key";
    if (f->udp_sent > FLIGHT_UDP_MAX || f->tcp_sent > FLIGHT_TCP_MAX)
        return "a flight sent more than it may";
    if (f->speculative && f->waiters != NULL)
        return "a prefetch has waiters";
    for (int i = 0; i < N_ATTEMPTS; i++)
        if (f->attempt[i].ask != NULL && f->attempt[i].flight != f)
            return "an attempt belongs to another flight";
    const struct flight_waiter *const *end = (const struct flight_waiter *const *)&f->waiters;
    while (*end != NULL)
        end = (const struct flight_waiter *const *)&(*end)->next;
    if (f->waiters_end != (struct flight_waiter **)end)
        return "the end of the waiters is not at their end";
    return NULL;
}

const char *flight_check(const struct flights *all)
{
    size_t speculative = 0, spare_bytes = 0;
    if (HASH_COUNT(all->table) != all->n)
        return "table and heap differ in number";
    for (size_t i = 0; i < all->n; i++) {
        const char *broken = check_one(all, i);
        if (broken != NULL)
            return broken;
        speculative += all->heap[i]->speculative;
        if (all->heap[i]->spare != NULL)
            spare_bytes += all->heap[i]->spare_answer.packed_len;
    }
    if (spare_bytes != all->spare_bytes || spare_bytes > SPARES_MAX)
        return "what is set aside is counted wrong, or too much";
    return speculative == all->counts.speculative ? NULL : "prefetches are counted wrong";
}
