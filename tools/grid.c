/* grid.c: knows which settings to try, and how to compare two.
 * Never knows what a setting does. */
#include "tools/grid.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX 64
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))

#define SCORE_MEANT 2 /* that confidence is given for, by the vote */

static const uint64_t windows_ms[] = {1000, 2000, 4000, 8000, 15000, 30000};

/* By the rule of 2007. */
static const unsigned scores[] = {1, 2, 3};
static const unsigned confidences[] = {0, 40, 50, 60, 70, 75, 80, 90};

/* By the vote, where a score only scales the confidence: the one that is given is kept. */
static const unsigned vote_confidences[] = {0, 40, 50, 55, 60, 64, 66, 68, 70, 73, 75, 80, 85, 90};

/* What the threads share. */
struct work {
    const struct trace *trace;
    const struct rehearsal_conf *base;
    rehearsal_progress *progress;
    void *ctx;
    struct grid *grid;
    atomic_size_t next;
    _Atomic(const char *) why; /* the first failure */
};

/* Where the points go; nowhere while they are only counted. */
struct layout {
    const struct predict_conf *base;
    struct grid_point *points;
    size_t n;
};

/* Nothing can have a score above the cap, or by the vote be more likely than certain. */
static bool can_reach(const struct predict_conf *base, unsigned score, unsigned confidence)
{
    if (base->rule == PREDICT_RULE_2007)
        return base->cap == 0 || score <= base->cap;
    return (uint64_t)score * confidence <= SCORE_MEANT * 100;
}

static void put_points(
    struct layout *l, uint64_t window_ms, unsigned score, const unsigned *try_confidences, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!can_reach(l->base, score, try_confidences[i]))
            continue;
        if (l->points != NULL)
            l->points[l->n] = (struct grid_point){
                .window_ms = window_ms, .score = score, .confidence_percent = try_confidences[i]};
        l->n++;
    }
}

static void lay_out(struct layout *l)
{
    for (size_t w = 0; w < COUNT(windows_ms); w++) {
        if (l->base->rule == PREDICT_RULE_VOTE) {
            put_points(l, windows_ms[w], l->base->score, vote_confidences, COUNT(vote_confidences));
            continue;
        }
        for (size_t s = 0; s < COUNT(scores); s++)
            put_points(l, windows_ms[w], scores[s], confidences, COUNT(confidences));
    }
}

size_t grid_size(const struct rehearsal_conf *base)
{
    struct layout counted = {.base = &base->prediction};
    lay_out(&counted);
    return counted.n;
}

static const char *try_point(const struct work *w, struct grid_point *p)
{
    struct rehearsal_conf conf = *w->base;
    conf.prediction.window_ms = p->window_ms;
    conf.prediction.score = p->score;
    conf.prediction.confidence_percent = p->confidence_percent;
    const char *why = rehearsal_run(w->trace, &conf, w->progress, w->ctx, &p->result);
    p->saved = rehearsal_saved(&p->result, conf.rtt_ms);
    p->extra = rehearsal_extra(&p->result);
    return why;
}

static void *work(void *ctx)
{
    struct work *w = ctx;
    size_t i;
    while (w->why == NULL && (i = atomic_fetch_add(&w->next, 1)) < w->grid->n) {
        const char *why = try_point(w, &w->grid->points[i]);
        if (why != NULL)
            w->why = why;
    }
    return NULL;
}

static size_t n_threads(size_t n_points)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    if (n < 1)
        n = 1;
    if (n > THREADS_MAX)
        n = THREADS_MAX;
    return (size_t)n < n_points ? (size_t)n : n_points;
}

const char *grid_run(const struct trace *t, const struct rehearsal_conf *base,
    rehearsal_progress *progress, void *ctx, struct grid *out)
{
    struct work w = {.trace = t, .base = base, .progress = progress, .ctx = ctx, .grid = out};
    pthread_t threads[THREADS_MAX];
    size_t started = 0, wanted;

    *out = (struct grid){.best = GRID_NONE};
    out->points = calloc(grid_size(base) + 1, sizeof *out->points);
    if (out->points == NULL)
        return REHEARSAL_NO_MEMORY;
    struct layout l = {.base = &base->prediction, .points = out->points};
    lay_out(&l);
    out->n = l.n;
    wanted = n_threads(out->n);
    while (started + 1 < wanted && pthread_create(&threads[started], NULL, work, &w) == 0)
        started++;
    work(&w); /* this thread is one of them, and the only one where there can be no other */
    while (started > 0)
        pthread_join(threads[--started], NULL);
    return w.why;
}

void grid_free(struct grid *g)
{
    free(g->points);
    *g = (struct grid){.best = GRID_NONE};
}

/* Whether a leaves nothing to be said for b. Of equals, the one that stands first. */
static bool beats(const struct grid_point *a, const struct grid_point *b)
{
    if (a->saved < b->saved || a->extra > b->extra)
        return false;
    return a->saved > b->saved || a->extra < b->extra || a < b;
}

static bool is_beaten(const struct grid *g, const struct grid_point *p)
{
    for (size_t i = 0; i < g->n; i++)
        if (&g->points[i] != p && beats(&g->points[i], p))
            return true;
    return false;
}

void grid_judge(struct grid *g, double extra_max)
{
    g->best = GRID_NONE;
    for (size_t i = 0; i < g->n; i++) {
        struct grid_point *p = &g->points[i];
        p->frontier = !is_beaten(g, p);
        if (!p->frontier || p->extra > extra_max || p->saved <= 0)
            continue;
        if (g->best == GRID_NONE || p->saved > g->points[g->best].saved)
            g->best = i;
    }
}
