/* predict_vote.c: hears a client's open triggers, each by the client's own windows and by those of
 * all, and counts. Knows shares of windows; never what is done about them. */
#include "predict_vote.h"

#define VOTERS_MAX    16  /* the newest triggers */
#define WALKED_MAX    64  /* requests that are looked through for them */
#define WALKED_A_LOOK 8   /* looked through in the time of a look at the cache */
#define VOTERS_A_LOOK 2   /* heard in that time */
#define VOTES_A_LOOK  32  /* counted in that time */
#define OWN_WINDOWS   4   /* from which a client's own trigger outweighs that of all */
#define OVERDUE_MS    500 /* and twice the usual lag: then what has not come is not on its way */

/* The follower's tally, or NULL where there are too many. */
static struct tally *tally(struct poll *poll, uint32_t question)
{
    struct tally *t = &poll->tallies[question % TALLIES_MAX];

    while (t->stamp == poll->stamp) {
        if (t->question == question)
            return t;
        if (++t == poll->tallies + TALLIES_MAX)
            t = poll->tallies;
    }
    if (poll->n_tallies == VOTES_MAX)
        return NULL;
    poll->order[poll->n_tallies++] = t;
    *t = (struct tally){.stamp = poll->stamp, .question = question};
    return t;
}

static void vote(struct poll *poll, struct tally *t, double p, double n)
{
    if (poll->n_votes == VOTES_MAX)
        return;
    poll->votes[poll->n_votes++] = (struct vote){t, p, n};
    t->mean += p;
}

static double share_of(const struct graph_pair *pair)
{
    return (double)pair->seen / pair->windows;
}

/* What the client's own windows of this trigger say, for its vote. */
static void note_own(struct poll *poll, const struct graph_trigger *own)
{
    struct tally *t;

    for (size_t i = 0; i < own->n_pairs; i++) {
        t = tally(poll, own->pairs[i].follower);
        if (t == NULL)
            return;
        t->own_stamp = poll->voter;
        t->own_p = share_of(&own->pairs[i]);
    }
}

/* Whether it would have been asked by now, had this been a window with it. */
static bool is_overdue(const struct graph_pair *pair, uint64_t elapsed_ms)
{
    return elapsed_ms > 2u * pair->lag_ms + OVERDUE_MS;
}

static void vote_all(struct poll *poll, const struct electorate *e, const struct graph_trigger *all,
    const struct graph_trigger *own, uint64_t elapsed_ms)
{
    double weight = own == NULL ? 0 : own->windows / (own->windows + (double)OWN_WINDOWS);

    for (size_t i = 0; i < all->n_pairs; i++) {
        const struct graph_pair *pair = &all->pairs[i];
        struct tally *t;
        double own_p;

        if (is_overdue(pair, elapsed_ms) || !graph_serves(pair, e->conf->share, e->fingerprint))
            continue;
        t = tally(poll, pair->follower);
        if (t == NULL)
            return;
        if (t->asked)
            continue;
        own_p = t->own_stamp == poll->voter ? t->own_p : 0;
        vote(poll, t, weight * own_p + (1 - weight) * share_of(pair), pair->windows);
    }
}

static void hear_voter(struct poll *poll, const struct electorate *e,
    const struct graph_question *q, uint64_t elapsed_ms)
{
    const struct graph_trigger *all = graph_trigger(q, GRAPH_ALL);
    const struct graph_trigger *own = graph_trigger(q, e->fingerprint);

    poll->voter++;
    poll->n_voters++;
    if (all == NULL) {
        all = own;
        own = NULL;
    }
    if (own != NULL)
        note_own(poll, own);
    if (all != NULL)
        vote_all(poll, e, all, own, elapsed_ms);
}

/* The client's newest questions vote, each once, as long as their windows last. A client that
 * repeats a few is not searched for more. */
static void hear_voters(struct poll *poll, const struct electorate *e)
{
    const struct sequence_entry *entry = sequence_newest(e->sequence, e->graph, e->client);
    uint32_t heard[VOTERS_MAX];
    unsigned n = 0, k;
    struct tally *t;

    for (; entry != NULL && n < VOTERS_MAX && poll->n_walked < WALKED_MAX &&
           entry->at_ms + e->conf->window_ms > e->now_ms;
         entry = sequence_prev(e->sequence, entry)) {
        poll->n_walked++;
        for (k = 0; k < n && heard[k] != entry->question;)
            k++;
        if (k < n)
            continue;
        heard[n++] = entry->question;
        hear_voter(poll, e, graph_question(e->graph, entry->question), e->now_ms - entry->at_ms);
        t = tally(poll, entry->question);
        if (t != NULL)
            t->asked = true;
    }
}

/* Each trigger's word, drawn to the mean of them all as by half a window. */
static void find_best(struct poll *poll)
{
    for (unsigned i = 0; i < poll->n_tallies; i++)
        poll->order[i]->mean /= poll->n_voters;
    for (unsigned i = 0; i < poll->n_votes; i++) {
        const struct vote *v = &poll->votes[i];
        double sure = (v->p * v->n + v->tally->mean / 2) / (v->n + 0.5);

        if (sure > v->tally->best)
            v->tally->best = sure;
    }
}

void vote_hold(struct poll *poll, const struct electorate *e)
{
    poll->stamp++;
    poll->n_walked = poll->n_voters = poll->n_votes = poll->n_tallies = 0;
    hear_voters(poll, e);
    find_best(poll);
}

unsigned vote_looks(const struct poll *poll)
{
    return poll->n_walked / WALKED_A_LOOK + poll->n_voters / VOTERS_A_LOOK +
           poll->n_votes / VOTES_A_LOOK;
}
