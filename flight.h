/* flight.h: the questions under way upstream. One flight a key, whoever asked: clients, their
 * repeats and prefetches wait for the same one. A flight asks, asks again, changes the server or
 * goes over to TCP, stores what it got, and wakes its waiters once. Knows keys, servers and the
 * upstream door; never the clients or how they asked (but see flight_echoed). */
#ifndef DNSD_FLIGHT_H
#define DNSD_FLIGHT_H

#include "cache.h"
#include "rebind.h"
#include "rng.h"
#include "server.h"
#include "upstream.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLIGHT_NEVER_MS UINT64_MAX
#define FLIGHT_UDP_MAX  3 /* messages a question, all causes together (SECURITY 4) */
#define FLIGHT_UDP_OPEN 2 /* of them, awaited at once (SECURITY 1) */
#define FLIGHT_TCP_MAX  1
#define FLIGHT_LIFE_MS  4500 /* then the question has failed: before a stub's own 5 s are over */
#define FLIGHT_STALE_MS                                                                            \
    1800 /* a client with a stale answer at hand waits no longer (RFC 8767 5)                      \
          */

struct flights;

struct flight_conf {
    struct wire_ttl_bounds ttl;
    struct rebind_conf rebind;
    uint64_t stale_ms;     /* how long answers are kept after expiry; 0: not at all */
    uint64_t once_ms;      /* how long a prefetched answer with TTL 0 is held; 0: not at all */
    size_t flights_max;    /* under way at once */
    size_t prefetches_max; /* of them, without a waiter */
};

enum flight_outcome {
    FLIGHT_ANSWERED, /* packed is the answer, of whatever rcode it carries */
    FLIGHT_STALE,    /* packed is an expired answer (send it with TTL 30) */
    FLIGHT_FAILED,   /* no server gave a usable answer; rcode says what to send */
};

/* What went wrong, for the log: the error that a server gave, else what happened last. */
enum flight_why {
    FLIGHT_WHY_NONE,    /* nothing, or nothing yet */
    FLIGHT_WHY_SILENT,  /* a server did not answer in time */
    FLIGHT_WHY_REFUSED, /* the network or the server refused */
    FLIGHT_WHY_UNSENT,  /* this machine could not send: no route, no descriptor, no memory */
    FLIGHT_WHY_RCODE,   /* a server answered with an error: rcode of the result */
};

/* Why a question went over to TCP. */
enum flight_tcp {
    FLIGHT_TCP_NONE, /* it did not */
    FLIGHT_TCP_TRUNCATED,
    FLIGHT_TCP_SUSPECT, /* somebody guesses IDs, or a cookie was missing */
    FLIGHT_TCP_CASE,    /* the case of the name was lost */
};

struct flight_result {
    enum flight_outcome outcome;
    const uint8_t *packed; /* valid during the call only */
    size_t packed_len;
    uint32_t age_s; /* of an answer that waited for TCP to confirm or refuse it */
    uint16_t rcode;
    bool network_error; /* FAILED or STALE since no server could be reached */
    bool rebound;       /* ANSWERED with nothing, since it gave private addresses (rebind.h) */
    enum flight_why why;
    enum flight_tcp tcp;
    const struct addr *server; /* that why is about; NULL: none */
    const struct addr *tcp_server;
    const struct addr *looped; /* it failed, and this server had asked us the same at once */
};

/* Lies in the waiting query. A waiter is woken exactly once, and never from within
 * flight_join. Being woken it may join another flight. */
struct flight_waiter {
    void (*wake)(struct flight_waiter *w, const struct flight_result *r, uint64_t now_ms);
    struct flight_waiter *next;
};

/* Told once for every question that ended, also a prefetch: ok means that an answer was stored or
 * handed on. */
typedef void flight_landed(void *ctx, const uint8_t *key, size_t key_len, bool ok, uint64_t now_ms);

struct flight_world {
    struct cache *cache;
    struct servers *servers;
    struct upstream *upstream;
    struct rng *rng;
    flight_landed *landed;
    void *ctx;
};

/* The clock of callbacks from the upstream door: flights_clock and flights_tick set it. NULL when
 * memory is out. flights_free comes behind flights_end. */
struct flights *flights_create(const struct flight_conf *conf, const struct flight_world *world,
    const uint8_t seed[CACHE_SEED_LEN]);
void flights_free(struct flights *f);
/* What flights take at most, all of it together, without what is behind the upstream door. */
size_t flights_bytes_max(const struct flight_conf *conf);

/* Where other addresses are refused from now on, the cache is emptied: it was filled by the old
 * rule. The old conf's names are looked at for the last time. */
void flights_reconfigure(struct flights *f, const struct flight_conf *conf);

/* Time of this loop turn, before anything else happens in it. */
void flights_clock(struct flights *f, uint64_t now_ms);

enum flight_join_verdict {
    FLIGHT_STARTED,
    FLIGHT_JOINED, /* the same question was under way */
    FLIGHT_SHED,   /* too many under way, or memory is out: the waiter was not taken */
};

/* Asks for key, or waits with the others who did. has_stale: the cache has an expired answer, which
 * the waiters get if the flight takes long. */
enum flight_join_verdict flight_join(
    struct flights *f, const uint8_t *key, size_t key_len, bool has_stale, struct flight_waiter *w);

/* Somebody at this address asked for key too. If that is a server that was asked for it a moment
 * ago, it seems to forward to us: it is not asked again, and that is shown in the result should the
 * flight fail (one that is answered does not go round in a circle). A server on this machine that
 * answers others is not suspected: its address is that of all programs here. */
void flight_echoed(struct flights *f, const uint8_t *key, size_t key_len, const struct addr *from);

/* A client repeats a question that is under way: one early message to the next server, once a
 * flight. */
void flight_nudge(struct flights *f, const uint8_t *key, size_t key_len);

/* Asks for key without anybody waiting. Returns whether it is on its way now. */
bool flight_prefetch(struct flights *f, const uint8_t *key, size_t key_len);

bool flight_under_way(const struct flights *f, const uint8_t *key, size_t key_len);

/* When flights_tick has something to do (FLIGHT_NEVER_MS: nothing), and doing it. */
uint64_t flights_due_ms(const struct flights *f);
void flights_tick(struct flights *f, uint64_t now_ms);

/* Reads a record of kind CACHE_FAILURE, as flights store it. False: it is none. */
bool flight_failure_read(const struct cache_view *v, uint16_t *rcode, bool *network_error);

/* Ends every flight now: FAILED, or STALE where there is such an answer. */
void flights_end(struct flights *f, uint64_t now_ms);

struct flight_counts {
    uint64_t started, prefetched, joined, shed, failed, stale;
    uint64_t udp_sent, tcp_sent, forged;
    uint64_t rebound; /* answers with private addresses, that were refused */
    size_t under_way, speculative;
};
void flight_count(const struct flights *f, struct flight_counts *out);

/* Walks every invariant; returns NULL, or what is broken. */
const char *flight_check(const struct flights *f);

#endif
