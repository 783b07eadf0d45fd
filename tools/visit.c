/* visit.c: knows when each name of a tree is asked and answered, and which chain of them took the
 * longest. Never knows what the answers are. */
#include "tools/visit.h"

#include <stdlib.h>
#include <time.h>

struct step {
    struct visit *visit;
    struct ev_timer delay;
    size_t left; /* questions without an answer */
    double asked_ms;
    double answered_ms;
};

struct visit {
    struct visit_plan plan;
    visit_done *done;
    void *ctx;
    const struct tree_node *nodes;
    size_t left; /* names without an answer */
    double started_ms;
    struct visit_result result;
    struct step steps[]; /* of each node */
};

/* The core counts whole milliseconds; here they are what is measured. */
static double now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1000. + (double)ts.tv_nsec / 1e6;
}

/* The chain that ends with the last answer: where it did not wait for DNS, the page took its time.
 */
static void measure(struct visit *v, size_t n)
{
    size_t last = 0;
    for (size_t i = 1; i < n; i++)
        if (v->steps[i].answered_ms > v->steps[last].answered_ms)
            last = i;
    v->result.wall_ms = v->steps[last].answered_ms - v->started_ms;
    for (size_t at = last; at != TREE_NONE; at = v->nodes[at].parent)
        v->result.dns_ms += v->steps[at].answered_ms - v->steps[at].asked_ms;
}

static void plan_siblings(struct visit *v, size_t first);

static void finish_step(struct step *s)
{
    struct visit *v = s->visit;
    size_t n;
    s->answered_ms = now_ms();
    v->left--;
    plan_siblings(v, v->nodes[s - v->steps].first_child);
    if (v->left > 0)
        return;
    tree_nodes(v->plan.tree, &n);
    measure(v, n);
    v->done(v->ctx, &v->result);
}

static void on_answer(void *ctx, enum stub_outcome outcome)
{
    struct step *s = ctx;
    s->visit->result.failures += outcome != STUB_ANSWERED;
    if (--s->left == 0)
        finish_step(s);
}

static void on_unsent(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    finish_step(timer->data);
}

static void ask(struct step *s)
{
    struct visit *v = s->visit;
    const struct tree_node *node = &v->nodes[s - v->steps];
    s->asked_ms = now_ms();
    for (size_t i = 0; i < v->plan.n_types; i++) {
        struct wire_question q = {.name = node->name,
            .name_len = node->name_len,
            .type = v->plan.types[i],
            .class = WIRE_CLASS_IN};
        v->result.questions++;
        if (stub_ask(v->plan.stub, v->plan.source, &q, on_answer, s) == 0)
            s->left++;
        else
            v->result.failures++;
    }
    if (s->left > 0)
        return;
    ev_timer_init(&s->delay, on_unsent, 0., 0.); /* not from here: the caller is going on */
    ev_timer_start(v->plan.loop, &s->delay);
}

static void on_delay(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    ask(timer->data);
}

static void plan_siblings(struct visit *v, size_t first)
{
    ev_now_update(v->plan.loop); /* delays begin now, and not as this turn began */
    for (size_t at = first; at != TREE_NONE; at = v->nodes[at].next_sibling) {
        struct step *s = &v->steps[at];
        if (v->nodes[at].delay_ms <= 0) {
            ask(s);
            continue;
        }
        ev_timer_init(&s->delay, on_delay, v->nodes[at].delay_ms / 1000., 0.);
        ev_timer_start(v->plan.loop, &s->delay);
    }
}

struct visit *visit_start(const struct visit_plan *plan, visit_done *done, void *ctx)
{
    size_t n;
    const struct tree_node *nodes = tree_nodes(plan->tree, &n);
    struct visit *v = calloc(1, sizeof(*v) + n * sizeof(v->steps[0]));
    if (v == NULL)
        return NULL;
    v->plan = *plan;
    v->done = done;
    v->ctx = ctx;
    v->nodes = nodes;
    v->left = n;
    for (size_t i = 0; i < n; i++) {
        v->steps[i].visit = v;
        v->steps[i].delay.data = &v->steps[i];
    }
    v->started_ms = now_ms();
    plan_siblings(v, tree_first(plan->tree));
    return v;
}

void visit_free(struct visit *v)
{
    free(v);
}
