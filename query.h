/* query.h: one client's question, through the gates in order, to its one end.
 * Knows wire, overrides, special names, cache and flights; never libev, sockets, transports or
 * logs. */
#ifndef DNSD_QUERY_H
#define DNSD_QUERY_H

#include "addr.h"
#include "cache.h"
#include "client.h"
#include "flight.h"
#include "poison.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUERY_LATE_MS     1900 /* a UDP reply later than this carries no records (CVE-2024-33655) */
#define QUERY_PER_CLIENT  1000 /* questions of one client address that may wait (the same) */
#define QUERY_STALE_TTL_S 30   /* RFC 8767 4 */

#define QUERY_SEED_LEN 32 /* half for tables, half for cookies */

struct query_desk;

/* Which gate ended a query. */
enum query_source {
    QUERY_DROPPED,  /* no reply at all */
    QUERY_REJECTED, /* FORMERR, NOTIMP, BADVERS, REFUSED by rule */
    QUERY_CHAOS,    /* class CH */
    QUERY_OVERRIDE,
    QUERY_SPECIAL,
    QUERY_CACHE,
    QUERY_STALE,
    QUERY_UPSTREAM,
    QUERY_FAILED, /* SERVFAIL */
};

/* What became of a query; told once, when it ends. Views are valid during the call only. */
struct query_end {
    const struct client *client;
    const struct wire_question *question; /* name is NULL where it did not parse */
    enum query_source source;
    uint16_t rcode;
    size_t reply_len; /* 0: nothing was sent */
    uint64_t took_ms;
    const struct flight_result *flight; /* what it waited for; NULL: it did not wait */
};

/* A question for the predictor: told in the call in which it came, for types that programs ask
 * before they connect (A, AAAA, HTTPS, SVCB, SRV, MX, TXT, PTR). */
struct query_arrival {
    const struct client *client;
    const uint8_t *key;
    size_t key_len;
    bool answered; /* from the cache */
};

struct query_world {
    struct cache *cache;
    struct flights *flights;
    void *ctx;
    void (*arrived)(void *ctx, const struct query_arrival *a, uint64_t now_ms); /* may be NULL */
    void (*ended)(void *ctx, const struct query_end *e);                        /* may be NULL */
    /* The text to a CH TXT name (wire name), or NULL for none: at most 255 bytes a string. Only
     * loopback clients come this far. */
    const char *(*chaos)(void *ctx, const uint8_t *name, size_t name_len); /* may be NULL */
    /* Seconds since 1970, for the cookies of clients (RFC 9018 4.3): now_ms would tell them how
     * long the machine runs. Asked for each cookie; may jump. */
    uint32_t (*wall_s)(void *ctx);
};

struct query_conf {
    bool serve_stale; /* what has expired is used when upstream fails */
    bool forward;     /* false: what neither overrides nor special names answer is REFUSED */
    const struct addr_net *allow; /* who is served; n_allow 0: loopback and private networks */
    size_t n_allow;
    uint16_t keepalive_ds; /* told to TCP clients that ask (RFC 7828), in 100 ms */
    size_t queries_max;    /* waiting at once */
};

/* world and conf are copied (the allow array is not). seed keys the tables of clients and their
 * cookies. NULL when memory is out. query_desk_free comes behind flights_end: nobody waits then. */
struct query_desk *query_desk_create(const struct query_conf *conf, const struct query_world *world,
    const uint8_t seed[QUERY_SEED_LEN]);
void query_desk_free(struct query_desk *d);

/* What a desk takes at most, with all that waits at it. */
size_t query_bytes_max(const struct query_conf *conf);
void query_reconfigure(struct query_desk *d, const struct query_conf *conf);

/* The set to use from now on; NULL for none. Not owned. */
void query_set_poison(struct query_desk *d, const struct poison *p);

/* Whether this peer is served at all: the listener asks before it accepts a connection. */
bool query_allows(const struct query_desk *d, const struct addr *peer);

enum query_verdict {
    QUERY_REPLY, /* *reply_len bytes of reply are in out; client was not kept */
    QUERY_NONE,  /* no reply will be sent; client was not kept */
    QUERY_LATER, /* client was copied; one of its operations will be called once, later */
};

/* A message came. out takes the reply: cap is 65535 for streams, at least WIRE_UDP_MAX for UDP. msg
 * and out must not overlap. */
enum query_verdict query_accept(struct query_desk *d, const struct client *client,
    const uint8_t *msg, size_t len, uint64_t now_ms, uint8_t *out, size_t cap, size_t *reply_len);

/* Whether a client's question for key would be forwarded: neither overridden nor special, and of a
 * type that is predicted. Only such questions may be prefetched. */
bool query_forwards(struct query_desk *d, const uint8_t *key, size_t key_len);

size_t query_waiting(const struct query_desk *d);

struct query_counts {
    uint64_t by_source[QUERY_FAILED + 1];
    uint64_t udp, tcp;
    uint64_t repeats;    /* of a question that its client was still waiting for */
    uint64_t over_limit; /* dropped since the client had too many waiting */
    uint64_t late;       /* replies that went out without records since they were late */
    size_t waiting;
};
void query_count(const struct query_desk *d, struct query_counts *out);

/* Walks every invariant; returns NULL, or what is broken. */
const char *query_check(const struct query_desk *d);

#endif
