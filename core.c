/* core.c: who in the pure core gets which pointer, and in which order a turn goes.
 * Knows every pure module by its door; never a socket, libev, a clock or a file. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

#define ARRIVALS_MAX 256

/* A question that the predictor will be told of at the end of the turn. */
struct arrival {
    uint8_t client[PREDICT_CLIENT_LEN];
    uint8_t key[WIRE_KEY_MAX];
    size_t key_len;
    bool answered;
};

struct core {
    struct core_world world;
    struct cache *cache;
    struct servers *servers;
    struct flights *flights;
    struct query_desk *desk;
    struct predict *predict;
    bool predicting;
    struct arrival arrivals[ARRIVALS_MAX];
    size_t n_arrivals;
};

/* ---- prediction ------------------------------------------------------------------------------ */

static enum predict_copy own_copy(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    const struct core *c = ctx;
    struct cache_view v;
    switch (cache_peek(c->cache, key, key_len, now_ms, &v)) {
    case CACHE_FRESH:
        return v.kind == CACHE_FAILURE ? PREDICT_FAILED : PREDICT_FRESH;
    case CACHE_STALE:
        if (v.held)
            return PREDICT_FAILED;
        break;
    case CACHE_MISS:
        break;
    }
    return flight_under_way(c->flights, key, key_len) ? PREDICT_UNDER_WAY : PREDICT_ABSENT;
}

static uint64_t fresh_until(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    const struct core *c = ctx;
    struct cache_view v;
    if (cache_peek(c->cache, key, key_len, now_ms, &v) != CACHE_FRESH ||
        (v.kind != CACHE_POSITIVE && v.kind != CACHE_NEGATIVE))
        return 0;
    return v.expires_ms;
}

static bool prefetch(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    const struct core *c = ctx;
    (void)now_ms;
    return query_forwards(c->desk, key, key_len) && flight_prefetch(c->flights, key, key_len);
}

static void observe_arrivals(struct core *c, uint64_t now_ms)
{
    struct predict_request requests[ARRIVALS_MAX];
    for (size_t i = 0; i < c->n_arrivals; i++) {
        const struct arrival *a = &c->arrivals[i];
        requests[i] = (struct predict_request){
            .client = a->client,
            .key = a->key,
            .key_len = a->key_len,
            .answered = a->answered,
        };
    }
    predict_observe(c->predict, requests, c->n_arrivals, now_ms);
    c->n_arrivals = 0;
}

static void on_landed(void *ctx, const uint8_t *key, size_t key_len, bool ok, uint64_t now_ms)
{
    struct core *c = ctx;
    if (c->predict == NULL)
        return;
    observe_arrivals(c, now_ms); /* a question of this turn comes before its answer */
    predict_landed(c->predict, key, key_len, ok, now_ms);
}

static void on_arrived(void *ctx, const struct query_arrival *a, uint64_t now_ms)
{
    struct core *c = ctx;
    if (!c->predicting)
        return;
    if (c->n_arrivals == ARRIVALS_MAX)
        observe_arrivals(c, now_ms);
    struct arrival *kept = &c->arrivals[c->n_arrivals++];
    addr_client_id(&a->client->peer, kept->client);
    memcpy(kept->key, a->key, a->key_len);
    kept->key_len = a->key_len;
    kept->answered = a->answered;
}

static int set_prediction(struct core *c, const struct core_conf *conf)
{
    struct predict_world world = {
        .ctx = c, .copy = own_copy, .prefetch = prefetch, .fresh_until_ms = fresh_until};
    uint8_t seed[PREDICT_SEED_LEN];
    if (conf->predict && c->predict == NULL) {
        rng_bytes(c->world.rng, seed, sizeof seed);
        c->predict = predict_create(&conf->prediction, &world, seed);
    } else if (conf->predict) {
        predict_reconfigure(c->predict, &conf->prediction);
    }
    c->predicting = conf->predict && c->predict != NULL;
    return conf->predict && c->predict == NULL ? -1 : 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void tell_ended(void *ctx, const struct query_end *e)
{
    const struct core *c = ctx;
    c->world.ended(c->world.ctx, e);
}

static const char *ask_chaos(void *ctx, const uint8_t *name, size_t name_len)
{
    const struct core *c = ctx;
    return c->world.chaos(c->world.ctx, name, name_len);
}

static uint32_t tell_wall(void *ctx)
{
    const struct core *c = ctx;
    return c->world.wall_s(c->world.ctx);
}

static int create_flights(struct core *c, const struct core_conf *conf)
{
    uint8_t seed[CACHE_SEED_LEN];
    struct flight_world world = {
        .cache = c->cache,
        .servers = c->servers,
        .upstream = c->world.upstream,
        .rng = c->world.rng,
        .landed = on_landed,
        .ctx = c,
    };
    rng_bytes(c->world.rng, seed, sizeof seed);
    c->flights = flights_create(&conf->flight, &world, seed);
    return c->flights != NULL ? 0 : -1;
}

static int create_desk(struct core *c, const struct core_conf *conf)
{
    uint8_t seed[QUERY_SEED_LEN];
    struct query_world world = {
        .cache = c->cache,
        .flights = c->flights,
        .ctx = c,
        .arrived = on_arrived,
        .ended = c->world.ended != NULL ? tell_ended : NULL,
        .chaos = c->world.chaos != NULL ? ask_chaos : NULL,
        .wall_s = tell_wall,
    };
    rng_bytes(c->world.rng, seed, sizeof seed);
    c->desk = query_desk_create(&conf->query, &world, seed);
    return c->desk != NULL ? 0 : -1;
}

struct core *core_create(
    const struct core_conf *conf, const struct core_world *world, uint64_t now_ms)
{
    uint8_t seed[CACHE_SEED_LEN + SERVER_SEED_LEN];
    struct core *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->world = *world;
    rng_bytes(world->rng, seed, sizeof seed);
    c->cache = cache_create(conf->cache_bytes, seed);
    c->servers = servers_create(seed + CACHE_SEED_LEN);
    if (c->cache == NULL || c->servers == NULL || create_flights(c, conf) < 0 ||
        create_desk(c, conf) < 0 || set_prediction(c, conf) < 0) {
        core_free(c, now_ms);
        return NULL;
    }
    core_begin(c, now_ms);
    return c;
}

void core_free(struct core *c, uint64_t now_ms)
{
    if (c == NULL)
        return;
    if (c->flights != NULL)
        flights_end(c->flights, now_ms);
    query_desk_free(c->desk);
    flights_free(c->flights);
    predict_free(c->predict);
    servers_free(c->servers);
    cache_free(c->cache);
    free(c);
}

struct core_bytes core_bytes_max(const struct core_conf *conf)
{
    return (struct core_bytes){
        .cache = conf->cache_bytes,
        .questions =
            sizeof(struct core) + flights_bytes_max(&conf->flight) + query_bytes_max(&conf->query),
        .prediction = conf->predict ? conf->prediction.bytes_max : 0,
    };
}

int core_reconfigure(struct core *c, const struct core_conf *conf)
{
    query_reconfigure(c->desk, &conf->query);
    flights_reconfigure(c->flights, &conf->flight);
    return set_prediction(c, conf);
}

/* ---- turns ----------------------------------------------------------------------------------- */

void core_begin(struct core *c, uint64_t now_ms)
{
    flights_clock(c->flights, now_ms);
}

void core_end_turn(struct core *c, uint64_t now_ms)
{
    if (c->n_arrivals > 0)
        observe_arrivals(c, now_ms);
}

uint64_t core_due_ms(const struct core *c)
{
    uint64_t flights = flights_due_ms(c->flights);
    uint64_t windows = c->predict != NULL ? predict_due_ms(c->predict) : CORE_NEVER_MS;
    return flights < windows ? flights : windows;
}

void core_tick(struct core *c, uint64_t now_ms)
{
    flights_tick(c->flights, now_ms);
    if (c->predict == NULL)
        return;
    observe_arrivals(c, now_ms); /* what they used up must not look unused */
    predict_tick(c->predict, now_ms);
}

/* ---- looking inside -------------------------------------------------------------------------- */

struct query_desk *core_desk(const struct core *c)
{
    return c->desk;
}

struct servers *core_servers(const struct core *c)
{
    return c->servers;
}

struct cache *core_cache(const struct core *c)
{
    return c->cache;
}

struct flights *core_flights(const struct core *c)
{
    return c->flights;
}

struct predict *core_predict(const struct core *c)
{
    return c->predict;
}

const char *core_check(const struct core *c)
{
    const char *broken = cache_check(c->cache);
    if (broken == NULL)
        broken = flight_check(c->flights);
    if (broken == NULL)
        broken = query_check(c->desk);
    if (broken == NULL && c->predict != NULL)
        broken = predict_check(c->predict);
    return broken;
}
