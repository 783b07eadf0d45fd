/* turn.c: knows when a turn of the loop begins and ends, and the one moment to wake up at.
 * Never knows who asked to be called, nor why. */
#include "net/turn.h"

#include "net/clock.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

/* A due that its tick leaves in the past would make the loop spin; it gets a turn this often. */
#define STUCK_MS 1

/* Rather an early and empty turn now and then than a number of seconds that a double or the loop
 * cannot take. */
#define SLEEP_MAX_MS (3600 * 1000)

struct hook {
    void (*call)(void *ctx, uint64_t now_ms); /* start, end or tick */
    uint64_t (*due)(void *ctx);               /* of a tick */
    void *ctx;
    bool stuck; /* its last tick left it due */
};

struct hooks {
    struct hook hook[TURN_HOOKS_MAX];
    size_t n;
};

struct turn {
    struct ev_loop *loop;
    struct ev_check check;
    struct ev_prepare prepare;
    struct ev_timer timer;
    uint64_t now_ms;
    uint64_t armed_ms; /* when the timer goes off, if it is active */
    struct hooks starts, dues, ends;
};

static void call_all(const struct hooks *hooks, uint64_t now_ms)
{
    for (size_t i = 0; i < hooks->n; i++)
        hooks->hook[i].call(hooks->hook[i].ctx, now_ms);
}

static void tick_all(struct turn *t)
{
    for (size_t i = 0; i < t->dues.n; i++) {
        struct hook *h = &t->dues.hook[i];
        h->stuck = false;
        if (h->due(h->ctx) > t->now_ms)
            continue;
        h->call(h->ctx, t->now_ms);
        h->stuck = h->due(h->ctx) <= t->now_ms;
    }
}

/* Runs after polling: libev calls check watchers first, and this one before all other events, since
 * no other has its priority. */
static void turn_begin(struct ev_loop *loop, struct ev_check *w, int events)
{
    (void)loop;
    (void)events;
    struct turn *t = w->data;
    t->now_ms = clock_now_ms();
    call_all(&t->starts, t->now_ms);
    tick_all(t);
}

static uint64_t soonest_ms(const struct turn *t, uint64_t now_ms)
{
    uint64_t soonest = UINT64_MAX;
    for (size_t i = 0; i < t->dues.n; i++) {
        const struct hook *h = &t->dues.hook[i];
        uint64_t due = h->due(h->ctx);
        if (h->stuck && due <= t->now_ms)
            due = now_ms + STUCK_MS;
        if (due < soonest)
            soonest = due;
    }
    return soonest;
}

/* The timer may go off too early, never too late: so it stays armed while what is due moves into
 * the future, as it does with every answered question, and is armed anew when it has gone off or
 * something is due sooner. libev counts from its own time, which is as old as the last poll. */
static void arm(struct turn *t)
{
    uint64_t now = clock_now_ms();
    uint64_t due = soonest_ms(t, now);
    if (due == UINT64_MAX || (ev_is_active(&t->timer) && t->armed_ms <= due))
        return;
    if (due > now + SLEEP_MAX_MS)
        due = now + SLEEP_MAX_MS;
    uint64_t wait_ms = due > now ? due - now : 0;
    ev_timer_stop(t->loop, &t->timer);
    ev_now_update(t->loop);
    ev_timer_set(&t->timer, (ev_tstamp)wait_ms / 1000, 0.);
    ev_timer_start(t->loop, &t->timer);
    t->armed_ms = due;
}

/* Runs before the loop sleeps, after whatever else prepares for that. */
static void turn_end(struct ev_loop *loop, struct ev_prepare *w, int events)
{
    (void)loop;
    (void)events;
    struct turn *t = w->data;
    call_all(&t->ends, t->now_ms);
    arm(t);
}

/* To have woken the loop is all that the timer is for: the turn that it begins does the rest. */
static void timer_expired(struct ev_loop *loop, struct ev_timer *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
}

struct turn *turn_create(struct ev_loop *loop)
{
    struct turn *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->loop = loop;
    t->now_ms = clock_now_ms();
    ev_check_init(&t->check, turn_begin);
    ev_set_priority(&t->check, EV_MAXPRI);
    t->check.data = t;
    ev_check_start(loop, &t->check);
    ev_prepare_init(&t->prepare, turn_end);
    ev_set_priority(&t->prepare, EV_MINPRI);
    t->prepare.data = t;
    ev_prepare_start(loop, &t->prepare);
    ev_timer_init(&t->timer, timer_expired, 0., 0.);
    return t;
}

void turn_free(struct turn *t)
{
    if (t == NULL)
        return;
    ev_check_stop(t->loop, &t->check);
    ev_prepare_stop(t->loop, &t->prepare);
    ev_timer_stop(t->loop, &t->timer);
    free(t);
}

uint64_t turn_now_ms(const struct turn *t)
{
    return t->now_ms;
}

static void add(struct hooks *hooks, struct hook hook)
{
    assert(hooks->n < TURN_HOOKS_MAX);
    hooks->hook[hooks->n++] = hook;
}

void turn_add_due(
    struct turn *t, uint64_t (*due)(void *ctx), void (*tick)(void *ctx, uint64_t now_ms), void *ctx)
{
    add(&t->dues, (struct hook){.call = tick, .due = due, .ctx = ctx});
}

void turn_add_start(struct turn *t, void (*start)(void *ctx, uint64_t now_ms), void *ctx)
{
    add(&t->starts, (struct hook){.call = start, .ctx = ctx});
}

void turn_add_end(struct turn *t, void (*end)(void *ctx, uint64_t now_ms), void *ctx)
{
    add(&t->ends, (struct hook){.call = end, .ctx = ctx});
}

static void take_out(struct hooks *hooks, const void *ctx)
{
    size_t kept = 0;
    for (size_t i = 0; i < hooks->n; i++)
        if (hooks->hook[i].ctx != ctx)
            hooks->hook[kept++] = hooks->hook[i];
    hooks->n = kept;
}

void turn_remove(struct turn *t, const void *ctx)
{
    take_out(&t->starts, ctx);
    take_out(&t->dues, ctx);
    take_out(&t->ends, ctx);
}
