/* predict_learn.c: looks at what a window saw and changes the scores of its trigger's followers.
 * Knows the table and the sequence; never what is prefetched, or why. */
#include "predict_learn.h"

#define FORGET_PART   10   /* windows of which one at least must have seen a follower */
#define ONCE_MS       2000 /* for which a copy with TTL 0 is held */
#define LAG_STEPS_MAX 16
#define LAG_STEP_MS   16

/* Whether a copy that was fetched ahead serves nobody any more when it is asked for. */
static bool outlived(const struct learner *l, const struct graph_question *q, uint64_t lag_ms)
{
    return lag_ms >= ONCE_MS && l->conf->rule == PREDICT_RULE_VOTE && q->life_known &&
           lag_ms >= q->life_ms;
}

struct closing {
    const struct sequence_entry *window;
    struct graph_trigger *trigger;
    uint64_t due_ms;
    unsigned n;    /* requests that were looked at */
    bool can_tell; /* a known follower that was not seen was not asked */
};

/* Whether e lies in the window and is to be looked at. */
static bool sees(const struct learner *l, const struct closing *c, const struct sequence_entry *e)
{
    return e != NULL && e->at_ms < c->due_ms &&
           (l->conf->seen_max == 0 || c->n < l->conf->seen_max);
}

static uint16_t lag_of(const struct sequence_entry *window, const struct sequence_entry *e)
{
    uint64_t lag_ms = e->at_ms - window->at_ms;

    return lag_ms < PREDICT_LAG_MAX_MS ? (uint16_t)lag_ms : PREDICT_LAG_MAX_MS;
}

/* Moves an estimate of the median towards the n-th lag, by an n-th of itself and not beyond it. It
 * comes to rest where as many lags are above as are below, and one that is far off moves it no more
 * than others. A 16th is the least, so that it follows the times; LAG_STEP_MS gets it off 0. */
static uint16_t nearer_median(uint16_t median_ms, uint16_t lag_ms, unsigned n)
{
    unsigned step = (median_ms + LAG_STEP_MS) / (n < LAG_STEPS_MAX ? n : LAG_STEPS_MAX);

    if (lag_ms > median_ms)
        return lag_ms - median_ms < (int)step ? lag_ms : (uint16_t)(median_ms + step);
    return median_ms - lag_ms < (int)step ? lag_ms : (uint16_t)(median_ms - step);
}

/* What a mark says, above that of the lesson. */
enum { KNOWN, SEEN, DEALT_WITH, MARKS };

static bool is(const struct learner *l, const struct graph_slot *slot, unsigned mark)
{
    return slot->mark == l->mark + mark;
}

static void mark_known(struct learner *l, const struct closing *c)
{
    for (size_t i = 0; i < c->trigger->n_pairs; i++)
        l->graph->slots[c->trigger->pairs[i].follower].mark = l->mark + KNOWN;
}

/* Marks the followers, each with the client that asked for it first, and when. Once all that the
 * trigger knows were seen, and new ones as many as it may have, the rest teaches nothing. */
static void mark_seen(struct learner *l, struct closing *c)
{
    const struct sequence_entry *e = sequence_next(l->sequence, c->window);
    unsigned n_unseen = c->trigger->n_pairs, n_seen = 0, max = l->conf->dependencies_max;

    for (; sees(l, c, e); e = sequence_next(l->sequence, e), c->n++) {
        struct graph_slot *slot = &l->graph->slots[e->question];

        if (is(l, slot, SEEN) || e->question == c->trigger->question ||
            outlived(l, slot->question, e->at_ms - c->window->at_ms))
            continue;
        if (n_unseen == 0 && max > 0 && n_seen >= max)
            return;
        n_unseen -= is(l, slot, KNOWN);
        n_seen++;
        slot->mark = l->mark + SEEN;
        slot->mark_shown = e->client->fingerprint;
        slot->mark_lag_ms = lag_of(c->window, e);
    }
    if (e != NULL && e->at_ms < c->due_ms)
        c->can_tell = false;
}

static bool may_be_hidden(const struct learner *l, struct graph_question *follower)
{
    return !l->conf->always_subtract && l->may_be_hidden(l->ctx, follower);
}

/* By the rule of 2007 the score decides, else the share of windows does. */
static bool worth_keeping(const struct learner *l, struct graph_pair *pair)
{
    if (l->conf->rule == PREDICT_RULE_2007)
        return --pair->score > 0;
    if (pair->score > 1)
        pair->score--;
    return pair->seen * FORGET_PART >= pair->windows;
}

/* Returns whether the pair is to be kept. */
static bool judge(struct learner *l, const struct closing *c, struct graph_pair *pair)
{
    struct graph_slot *follower = &l->graph->slots[pair->follower];

    if (is(l, follower, SEEN)) {
        follower->mark = l->mark + DEALT_WITH;
        pair->windows++;
        pair->seen++;
        if (pair->score < l->conf->cap)
            pair->score++;
        pair->lag_ms = nearer_median(pair->lag_ms, follower->mark_lag_ms, pair->seen);
        graph_show(pair, follower->mark_shown);
        return true;
    }
    if (!c->can_tell || may_be_hidden(l, follower->question))
        return true;
    pair->windows++;
    return worth_keeping(l, pair);
}

static void judge_known(struct learner *l, const struct closing *c)
{
    struct graph_trigger *trigger = c->trigger;
    uint16_t kept = 0;

    for (uint16_t i = 0; i < trigger->n_pairs; i++) {
        struct graph_pair *pair = &trigger->pairs[i];

        if (judge(l, c, pair))
            trigger->pairs[kept++] = *pair;
        else
            graph_drop_pair(l->graph, pair);
    }
    trigger->n_pairs = kept;
}

static void add_new(struct learner *l, const struct closing *c)
{
    const struct sequence_entry *e = c->window;
    struct graph_pair *pair;

    for (unsigned i = 0; i < c->n; i++) {
        struct graph_slot *slot;

        e = sequence_next(l->sequence, e);
        slot = &l->graph->slots[e->question];
        if (!is(l, slot, SEEN))
            continue;
        slot->mark = l->mark + DEALT_WITH;
        pair = graph_add_pair(
            l->graph, c->trigger, slot->question, l->conf->dependencies_max, l->mark + SEEN);
        if (pair == NULL)
            return; /* nor is there room for the others: no pair that could go is left */
        pair->windows = c->trigger->windows;
        pair->lag_ms = slot->mark_lag_ms;
        graph_show(pair, slot->mark_shown);
    }
}

static void halve(struct graph_trigger *trigger)
{
    if (trigger->windows < GRAPH_WINDOWS_MAX)
        return;
    trigger->windows = GRAPH_WINDOWS_MAX / 2;
    for (size_t i = 0; i < trigger->n_pairs; i++) {
        struct graph_pair *pair = &trigger->pairs[i];

        pair->windows = (uint8_t)((pair->windows + 1) / 2);
        pair->seen = (uint8_t)((pair->seen + 1) / 2);
    }
}

static void learn(struct learner *l, struct closing *c, struct graph_trigger *trigger)
{
    c->trigger = trigger;
    c->n = 0;
    l->mark += MARKS;
    trigger->windows++;
    mark_known(l, c);
    mark_seen(l, c);
    judge_known(l, c);
    add_new(l, c);
    halve(trigger);
    graph_end(l->graph, trigger);
}

/* A trigger that a second client shows becomes each client's own too. Until then that of all is the
 * first client's own. */
static void learn_own(struct learner *l, struct closing *c, struct graph_trigger *all)
{
    uint32_t client = c->window->client->fingerprint;
    struct graph_trigger *own;

    if (l->conf->rule == PREDICT_RULE_2007 || l->conf->scope == PREDICT_SCOPE_GLOBAL)
        return;
    if (all->windows == 0)
        all->sole = client;
    if (all->sole == client)
        return;
    if (all->sole != 0)
        graph_copy(l->graph, all, all->sole);
    all->sole = 0;
    own = graph_begin(l->graph, graph_question(l->graph, all->question), client);
    if (own != NULL)
        learn(l, c, own);
}

void learn_window(struct learner *l, const struct sequence_entry *window, bool early)
{
    struct graph_question *q = graph_question(l->graph, window->question);
    struct graph_trigger *all = graph_begin(l->graph, q, GRAPH_ALL);
    struct closing c = {.window = window,
        .due_ms = window->at_ms + l->conf->window_ms,
        .can_tell = !early && !sequence_torn(l->sequence, window)};

    if (all == NULL)
        return;
    learn_own(l, &c, all);
    learn(l, &c, all);
}
