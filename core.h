/* core.h: the pure modules put together: what a question meets between a listener and the upstream
 * door. dnsd.c runs it on real time and sockets, the replay tests on numbers and a script.
 * Knows which module is told what, and when in a turn; never a socket, libev, a clock or a file. */
#ifndef DNSD_CORE_H
#define DNSD_CORE_H

#include "cache.h"
#include "flight.h"
#include "poison.h"
#include "predict.h"
#include "query.h"
#include "rng.h"
#include "server.h"
#include "upstream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CORE_NEVER_MS UINT64_MAX

struct core;

struct core_conf {
    size_t cache_bytes; /* at the start only */
    struct flight_conf flight;
    struct query_conf query;
    bool predict;
    struct predict_conf prediction;
};

struct core_world {
    struct upstream *upstream;
    struct rng *rng;
    void *ctx;
    void (*ended)(void *ctx, const struct query_end *e);                   /* may be NULL */
    const char *(*chaos)(void *ctx, const uint8_t *name, size_t name_len); /* may be NULL */
    uint32_t (*wall_s)(void *ctx);                                         /* see query.h */
};

/* Upstream and rng are used, not owned. NULL when memory is out. core_free ends every flight first:
 * who waits gets its reply. */
struct core *core_create(
    const struct core_conf *conf, const struct core_world *world, uint64_t now_ms);
void core_free(struct core *c, uint64_t now_ms);

/* What the core takes at most: cache, questions that wait and are under way, prediction. Without
 * overrides, and what is behind the upstream door. */
struct core_bytes {
    size_t cache, questions, prediction;
};
struct core_bytes core_bytes_max(const struct core_conf *conf);

/* New settings; cache, scores and flights stay. 0, or -1: memory for the predictor is out, it stays
 * off. */
int core_reconfigure(struct core *c, const struct core_conf *conf);

/* A turn: core_begin with its time; then questions (query_accept at the desk) and what comes back
 * from upstream, in any order; then core_end_turn, which hands the turn's questions to the
 * predictor: hits are answered by then and misses are queued at the upstream door, so what is
 * prefetched leaves right behind them. */
void core_begin(struct core *c, uint64_t now_ms);
void core_end_turn(struct core *c, uint64_t now_ms);

/* When core_tick has something to do, and doing it. */
uint64_t core_due_ms(const struct core *c);
void core_tick(struct core *c, uint64_t now_ms);

/* The modules, owned by the core. predict is NULL while prediction never was on. */
struct query_desk *core_desk(const struct core *c);
struct servers *core_servers(const struct core *c);
struct cache *core_cache(const struct core *c);
struct flights *core_flights(const struct core *c);
struct predict *core_predict(const struct core *c);

/* Walks every invariant of every module; returns NULL, or what is broken. */
const char *core_check(const struct core *c);

#endif
