/* rehearsal.c: knows in which order a question, the cache and the predictor meet in dnsd (core.c),
 * and what to count. Never knows sockets, files or a clock. */
#include "tools/rehearsal.h"

#include "cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_EVERY 16384
#define START_MS       1000
/* Stands for an answer; with key, header and index it takes about 100 bytes of the cache, as one
 * address record does. */
#define VALUE_LEN 40
#define NONE      TRACE_NONE

/* A question, in the run with prediction. */
struct state {
    uint64_t ttl_ms;
    uint64_t lands_ms;       /* when the answer that is under way lands */
    uint64_t plain_lands_ms; /* in the run without prediction; 0 while none is under way */
    uint64_t sent_ms;        /* when it was asked ahead, until a client asks for it */
    uint32_t next;           /* under way: the one that lands after it */
    bool under_way;
    bool speculative; /* and no client asked for it */
    bool sent;
    bool predictable;
};

struct run {
    const struct trace *trace;
    struct rehearsal_conf conf;
    struct cache *plain, *cache;
    struct predict *predict;
    struct state *states;
    uint64_t *last_ms;    /* of each client; 0: it did not ask yet */
    uint32_t first, last; /* under way, in the order in which they land */
    unsigned under_way;   /* prefetches among them */
    struct rehearsal *r;
};

/* The same in every run, so that a run can be repeated. */
static const uint8_t cache_seed[CACHE_SEED_LEN] = "rehearsed answe";
static const uint8_t predict_seed[PREDICT_SEED_LEN] = "rehearsed windo";

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

double rehearsal_saved(const struct rehearsal *r, uint64_t rtt_ms)
{
    return share(r->saved_ms, r->waits * rtt_ms);
}

double rehearsal_precision(const struct rehearsal *r)
{
    return share(r->in_window, r->prefetches);
}

double rehearsal_extra(const struct rehearsal *r)
{
    return r->upstream == 0 ? 0 : share(r->upstream_predicted, r->upstream) - 1;
}

/* ---- the cache ------------------------------------------------------------------------------- */

/* The value begins with the question's number, so that a look at the cache leads back to it. */
static void put(struct run *run, struct cache *cache, uint32_t question, uint64_t fresh_ms,
    enum cache_kind kind, uint64_t now_ms)
{
    const struct trace_question *q = trace_question(run->trace, question);
    uint8_t value[VALUE_LEN] = {0};
    struct cache_item item = {.key = q->key,
        .key_len = q->key_len,
        .value = value,
        .value_len = sizeof value,
        .kind = kind,
        .fresh_ms = fresh_ms};
    memcpy(value, &question, sizeof question);
    cache_put(cache, &item, now_ms);
}

static bool is_fresh(struct cache *cache, const struct trace_question *q, uint64_t now_ms)
{
    struct cache_view v;
    return cache_get(cache, q->key, q->key_len, now_ms, &v) == CACHE_FRESH;
}

/* ---- under way ------------------------------------------------------------------------------- */

static void ask_upstream(struct run *run, uint32_t question, bool speculative, uint64_t now_ms)
{
    struct state *s = &run->states[question];
    run->r->upstream_predicted++;
    if (s->ttl_ms > 0)
        put(run, run->cache, question, s->ttl_ms, CACHE_POSITIVE, now_ms);
    s->lands_ms = now_ms + run->conf.rtt_ms;
    s->under_way = true;
    s->speculative = speculative;
    s->next = NONE;
    run->under_way += speculative;
    if (run->first == NONE)
        run->first = question;
    else
        run->states[run->last].next = question;
    run->last = question;
}

static uint64_t hold_ms(const struct run *run)
{
    uint64_t window_ms = run->conf.prediction.window_ms;
    return window_ms < REHEARSAL_HOLD_MS ? window_ms : REHEARSAL_HOLD_MS;
}

static void join(struct run *run, struct state *s)
{
    run->under_way -= s->speculative;
    s->speculative = false;
}

/* The oldest question under way has its answer. */
static void land(struct run *run)
{
    uint32_t question = run->first;
    struct state *s = &run->states[question];
    const struct trace_question *q = trace_question(run->trace, question);
    uint64_t now_ms = s->lands_ms;
    run->first = s->next;
    s->under_way = false;
    if (s->ttl_ms == 0 && s->speculative && run->conf.ttl0 == REHEARSAL_TTL0_HOLD)
        put(run, run->cache, question, hold_ms(run), CACHE_ONCE, now_ms);
    join(run, s);
    if (s->predictable)
        predict_landed(run->predict, q->key, q->key_len, true, now_ms);
}

static uint64_t lands_ms(const struct run *run)
{
    return run->first != NONE ? run->states[run->first].lands_ms : UINT64_MAX;
}

static void note_memory(struct run *run)
{
    struct predict_counts n;
    predict_count(run->predict, &n);
    if (n.bytes > run->r->bytes_peak)
        run->r->bytes_peak = n.bytes;
}

/* Everything that is due, each at its time. */
static void advance(struct run *run, uint64_t now_ms)
{
    for (;;) {
        uint64_t landing_ms = lands_ms(run), closing_ms = predict_due_ms(run->predict);
        if (landing_ms <= now_ms && landing_ms <= closing_ms) {
            land(run);
        } else if (closing_ms <= now_ms) {
            predict_tick(run->predict, closing_ms);
            note_memory(run);
        } else {
            return;
        }
    }
}

/* ---- what the predictor asks of the world ---------------------------------------------------- */

static enum predict_copy own_copy(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    const struct run *run = ctx;
    struct cache_view v;
    uint32_t question;
    bool fresh = cache_peek(run->cache, key, key_len, now_ms, &v) == CACHE_FRESH;
    if (fresh)
        memcpy(&question, v.value, sizeof question);
    else
        question = trace_find(run->trace, key, key_len);
    if (question != NONE && run->states[question].under_way)
        return PREDICT_UNDER_WAY;
    return fresh ? PREDICT_FRESH : PREDICT_ABSENT;
}

static uint64_t fresh_until(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    const struct run *run = ctx;
    struct cache_view v;
    if (cache_peek(run->cache, key, key_len, now_ms, &v) != CACHE_FRESH || v.kind != CACHE_POSITIVE)
        return 0;
    return v.expires_ms;
}

/* A table that was learned elsewhere may name what this trace does not. */
static bool prefetch(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    struct run *run = ctx;
    uint32_t question = trace_find(run->trace, key, key_len);
    if (question == NONE)
        return false;
    assert(!run->states[question].under_way); /* own_copy was asked before */
    if (run->conf.under_way_max > 0 && run->under_way >= run->conf.under_way_max)
        return false;
    run->states[question].sent = true;
    run->states[question].sent_ms = now_ms;
    run->r->prefetches++;
    ask_upstream(run, question, true, now_ms);
    return true;
}

/* ---- a client's question --------------------------------------------------------------------- */

/* How long it would have had to wait without prediction. */
static uint64_t ask_plain(struct run *run, uint32_t question, uint64_t now_ms)
{
    struct state *s = &run->states[question];
    const struct trace_question *q = trace_question(run->trace, question);
    if (is_fresh(run->plain, q, now_ms))
        return 0;
    if (now_ms < s->plain_lands_ms)
        return s->plain_lands_ms - now_ms;
    run->r->upstream++;
    s->plain_lands_ms = now_ms + run->conf.rtt_ms;
    if (s->ttl_ms > 0)
        put(run, run->plain, question, s->ttl_ms, CACHE_POSITIVE, now_ms);
    return run->conf.rtt_ms;
}

/* Asks the cache, then upstream. Returns how much shorter than plain_ms its wait is; *answered: the
 * answer was there. */
static uint64_t ask(
    struct run *run, uint32_t question, uint64_t plain_ms, uint64_t now_ms, bool *answered)
{
    struct state *s = &run->states[question];
    uint64_t rtt_ms = run->conf.rtt_ms;
    uint64_t lead_ms = s->sent ? now_ms - s->sent_ms : rtt_ms;
    bool fresh = is_fresh(run->cache, trace_question(run->trace, question), now_ms);
    *answered = fresh && !s->under_way;
    if (s->sent && lead_ms <= run->conf.prediction.window_ms)
        run->r->in_window++;
    s->sent = false;
    if (s->under_way)
        join(run, s);
    if (fresh)
        return lead_ms < rtt_ms && lead_ms < plain_ms ? lead_ms : plain_ms;
    if (s->under_way) /* and its answer is for nobody else: a TTL of 0 */
        return plain_ms > s->lands_ms - now_ms ? plain_ms - (s->lands_ms - now_ms) : 0;
    ask_upstream(run, question, false, now_ms);
    return 0;
}

static void observe(struct run *run, const struct trace_event *e, bool answered, uint64_t now_ms)
{
    const struct trace_question *q = trace_question(run->trace, e->question);
    struct predict_request request = {.client = trace_client(run->trace, e->client),
        .key = q->key,
        .key_len = q->key_len,
        .answered = answered};
    if (!run->states[e->question].predictable)
        return;
    predict_observe(run->predict, &request, 1, now_ms);
    note_memory(run);
}

static void take_event(struct run *run, const struct trace_event *e, uint64_t now_ms)
{
    uint64_t *last_ms = &run->last_ms[e->client];
    bool first = *last_ms == 0 || now_ms - *last_ms > REHEARSAL_SILENCE_MS;
    bool answered;
    advance(run, now_ms);
    *last_ms = now_ms;
    run->r->queries++;
    uint64_t plain_ms = ask_plain(run, e->question, now_ms);
    uint64_t saved_ms = ask(run, e->question, plain_ms, now_ms, &answered);
    if (plain_ms > 0 && !first) {
        run->r->waits++;
        run->r->saved_ms += saved_ms;
    }
    observe(run, e, answered, now_ms);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static uint64_t ttl_ms(
    const struct rehearsal_conf *c, const struct trace_question *q, const struct wire_question *w)
{
    uint32_t ttl_s = q->has_ttl ? q->ttl_s : c->ttl_s;
    ttls_get(c->ttls, w->name, w->name_len, &ttl_s);
    if (ttl_s > c->max_ttl_s)
        ttl_s = c->max_ttl_s;
    if (ttl_s < c->min_ttl_s)
        ttl_s = c->min_ttl_s;
    if (ttl_s == 0 && c->ttl0 == REHEARSAL_TTL0_SECOND)
        ttl_s = 1;
    return (uint64_t)ttl_s * 1000;
}

static void prepare(struct run *run)
{
    for (uint32_t i = 0; i < trace_n_questions(run->trace); i++) {
        const struct trace_question *q = trace_question(run->trace, i);
        struct wire_question w;
        unsigned flags;
        int bad = wire_key_read(q->key, q->key_len, &w, &flags);
        assert(bad == 0); /* wire_key_write made it */
        (void)bad;
        run->states[i].ttl_ms = ttl_ms(&run->conf, q, &w);
        run->states[i].predictable = wire_type_is_predictable(w.type);
    }
}

static const char *start(struct run *run)
{
    struct predict_world world = {
        .ctx = run, .copy = own_copy, .prefetch = prefetch, .fresh_until_ms = fresh_until};
    const struct rehearsal_conf *c = &run->conf;
    run->states = calloc(trace_n_questions(run->trace) + 1, sizeof *run->states);
    run->last_ms = calloc(trace_n_clients(run->trace) + 1, sizeof *run->last_ms);
    run->plain = cache_create(c->cache_bytes, cache_seed);
    run->cache = cache_create(c->cache_bytes, cache_seed);
    run->predict = predict_create(&c->prediction, &world, predict_seed);
    if (run->states == NULL || run->last_ms == NULL || run->plain == NULL || run->cache == NULL ||
        run->predict == NULL)
        return REHEARSAL_NO_MEMORY;
    prepare(run);
    return c->learned != NULL ? predict_load(run->predict, c->learned, c->learned_len) : NULL;
}

static void end(struct run *run)
{
    predict_free(run->predict);
    cache_free(run->cache);
    cache_free(run->plain);
    free(run->last_ms);
    free(run->states);
}

static void conclude(struct run *run)
{
    struct predict_counts predicted;
    struct cache_counts cached;
    predict_count(run->predict, &predicted);
    cache_count(run->cache, &cached);
    run->r->evictions = cached.evictions;
    run->r->pairs_peak = predicted.pairs_peak;
    run->r->shed = predicted.shed;
    run->r->unlisted = predicted.unlisted;
}

const char *rehearsal_run(const struct trace *t, const struct rehearsal_conf *conf,
    rehearsal_progress *progress, void *ctx, struct rehearsal *out)
{
    struct run run = {.trace = t, .conf = *conf, .first = NONE, .r = out};
    const struct trace_event *events = trace_events(t);
    size_t n = trace_n_events(t);
    *out = (struct rehearsal){0};
    const char *why = start(&run);
    for (size_t i = 0; why == NULL && i < n; i++) {
        take_event(&run, &events[i], events[i].at_ms - events[0].at_ms + START_MS);
        if (progress != NULL && (i + 1) % PROGRESS_EVERY == 0)
            progress(ctx, PROGRESS_EVERY);
    }
    if (why == NULL)
        conclude(&run);
    end(&run);
    return why;
}
