/* predict.c: the rule: from the requests that a window saw to scores, from scores to prefetches,
 * and what became of those. Knows keys, clients and time as numbers; never packets, sockets, the
 * cache's insides or a clock.
 *
 * What is learned. Each request opens a window, and as the trigger of those that follow in it
 * remembers, of each follower, how many of its windows saw it. An example: a client asks a and c,
 * and does so again twice; once it asks a alone; later it asks b and c. Then a has seen c in 3
 * windows of 4, and b in 1 of 1.
 *
 * The vote (the default rule). On a request, the client's open triggers vote: its newest 16
 * questions, each once, as long as their windows last, the request's own first. Of each follower
 * that one of them knows and that was not asked since it was,
 *
 *  - the mean is what the triggers say on average, each seen / windows, and 0 where it is unknown;
 *  - the best is the highest (seen + mean / 2) / (windows + 1/2): each trigger's word, drawn to the
 *    mean as by half a window, so that one that had few does not decide alone;
 *  - the likelihood is (5 best + mean) / 6.
 *
 * Its score is 2 likelihood / confidence, and followers with a score of 2 or more are asked for in
 * the background, unless they are fresh in the cache or under way. In the example, with a
 * confidence of .68: to a alone, c has a mean and so a best and a likelihood of .75: it is brought.
 * Had the client just asked x, which knows nothing of c: mean .375, best (3 + .19) / 4.5 = .71,
 * likelihood .65: it is not. Asks it b as well: mean (3/4 + 1 + 0) / 3 = .58, best, by b, (1 + .29)
 * / 1.5 = .86, likelihood .81: it is. A follower seen in the only window of a trigger that votes
 * alone has 1: it is brought at the second visit.
 *
 * A client's own windows come first. A question that two clients showed is a trigger of each of
 * them too, and where a client's own had n windows, its word has the weight n / (n + 4) and that of
 * all the rest. Where b follows a in 4 of 4 of one client's windows and 4 of 8 in all, it hears (1
 * + .5) / 2 = .75, and who never asked a before .5. Who had windows of a with other followers hears
 * less, by its own 0: after one .4. But own windows that nothing followed are not kept: who had
 * only such hears .5 too. Nor is there a vote for what a client's own windows know and those of all
 * have forgotten. (With both, the figures below are 89.1 for 7.1 and 51.2 for 14.4: no better.)
 *
 * What is overdue is not spoken of: where more than twice the usual lag from trigger to follower
 * and half a second have gone by, the trigger counts as one that does not know it.
 *
 * What each part buys, on recorded page loads, 50 sites loaded often and 1400 loaded twice, in
 * waits saved and questions added for a hundred: all of it 89.1 for 7.0 and 51.1 for 14.3. The
 * newest trigger alone: 90.0 for 13.2 and 47.1 for 19.5; without the draw to the mean: 89.1 for 9.2
 * and 45.4 for 19.6; with best alone as likelihood: 89.4 for 11.7 and 44.2 for 19.6; no client's
 * own: 87.6 for 9.5 and 51.2 for 14.6; with what is overdue: 89.0 for 7.2 and 51.2 for 14.7; a
 * window of 8 s: 88.4 for 6.2 and 49.5 for 12.8; 32 dependencies, not 64: 87.8 for 5.6 and 48.0
 * for 10.9; a budget of 10 % (what is 19.5 or 19.6 above met that of 20 %): 87.6 for 6.3 and 37.7
 * for 9.7. (dnsrehearse -predict-share 1; answers take 30 ms. Fair share, below, came later: with
 * it all is 89.0 for 6.9 and 51.1 for 14.3.)
 *
 * The rule of D. Hoyte, 2007 (-predict-rules seed). When a window closes, every follower seen in it
 * gains 1 as a dependency of the request's question, a new one starting at 1; every known
 * dependency that was not seen loses 1, and is forgotten at 0. On a request, the dependencies of
 * its question with a score of 2 or more are asked for. An example: a client asks a, b, c, and each
 * within the window of the one before. Then a>b, a>c and b>c have 1. The same once more: they have
 * 2. At the third visit a brings b and c in while the client still waits for a, or only just has
 * it. A visit that asks a alone costs a>b and a>c one each, and leaves b>c as it is, since b was
 * not asked.
 *
 * What the words leave open is decided so (reasons in brackets); by the vote:
 *  - A client's question that is asked again a second or more after it opened its window closes
 *    that window and opens another. It adds what it saw, but subtracts nothing [visits may follow
 *    each other faster than windows close; a page that asks a name twice is not two visits].
 *  - What was asked so late that a copy fetched ahead would have expired by then was not seen:
 *    after the lifetime of its last answer, or after 2 s where that has none.
 *  - Counts are halved every GRAPH_WINDOWS_MAX windows [so that they follow the times]; what was
 *    seen in less than a tenth of the windows is forgotten. Up to GRAPH_OWN_MAX clients have a
 *    question as their own trigger; the one that learned from it longest ago goes first.
 * By the rule of 2007:
 *  - The score stops at the cap [what has ended is forgotten after that many windows].
 *  - Confidence: seen / windows, over the trigger's windows that can tell.
 * By both:
 *  - A follower counts once in a window, and no question follows itself.
 *  - A client's repeat of a question whose window is open is seen by other windows but opens none
 *    [else one page that asks a name twice would learn and unlearn in one visit].
 *  - With scope client, only requests of the same client follow each other; what is learned is
 *    common. With scope global no trigger is a client's own.
 *  - A dependency that was not seen, while our own copy of it is fresh and not there by an unused
 *    prefetch, neither gains nor loses, and the window does not count for it [the client's own
 *    cache hides the request: without this 88.4 for 5.9 and 47.8 for 11.2].
 *  - Share: a pair is shown by the client that asked for the follower. Until `share` clients showed
 *    it, it serves those who did and nobody else [nobody trains another's prefetches alone].
 *  - Budget: a bucket of 256 tokens, full at first, that counts what prediction adds upstream. A
 *    prefetch takes one, and gives it back when a client asks for it in time. A copy that was
 *    fetched ahead also expires ahead: what goes upstream before a copy of the client's own would
 *    have expired is extra too, and costs a token or gives none back. A client's question that went
 *    upstream, or would have but for a prefetch, earns budget_percent of a token. Questions that
 *    the cache answers earn nothing [they cost nothing upstream, so they must not pay for what
 *    does], nor do those that join one under way. So in the long run upstream sees little more than
 *    budget_percent above what it would see without prediction, whatever clients do: at most
 *    1.22 times that, besides the first 256, in searches for the worst clients.
 *  - Fair share: while others ask too, a client may owe as many tokens as are left: one alone a
 *    half of the bucket, two a third each [else one client's junk ends prediction for everybody].
 *  - Control: a random share of clients' bursts brings nothing in, and learns like the others [so
 *    that what prediction saves can be measured].
 *  - Only what a client asked for, and what was answered the last time, is prefetched. A prefetch
 *    is no request: it opens no window and leads to no other.
 *
 * Where a bound is hit, learning or prefetching is shed, never an answer. A window that missed a
 * request for want of room still adds, but subtracts nothing. */
#include "predict.h"

#include "predict_burst.h"
#include "predict_graph.h"
#include "predict_learn.h"
#include "predict_sent.h"
#include "predict_sequence.h"
#include "predict_vote.h"

#include <stdlib.h>
#include <string.h>

#define TOKEN         100  /* tokens are counted in hundredths: what one percent earns */
#define CLOSE_MAX     64   /* windows closed in one call: half a millisecond at most */
#define LOOKS_RESERVE 1000 /* milliseconds' worth of looks that can be saved up */
#define OBSERVE_MAX   256  /* requests of one turn */
#define LISTED_MAX    8192u
#define LISTED_BYTES  2048 /* of bytes_max for one request listed: an eighth goes to them all */
#define DEBTORS       1024 /* whose debts are counted; who share a place share a debt */
#define EARLY_MS      1000 /* from which a trigger that is asked again closes its window */

/* What came of a request: the question whose followers are to be fetched, or NULL, and where it is
 * listed, if it is. */
struct asked {
    struct graph_question *question;
    bool listed;
    uint32_t at;
};

struct predict {
    struct predict_conf conf;
    struct predict_world world;
    struct graph graph;
    struct sequence sequence;
    struct bursts bursts;
    struct sents sents;
    unsigned n_sweeps;  /* how many of them are to be looked at */
    int tokens;         /* in hundredths; below 0 where clients' own questions were extra */
    int debts[DEBTORS]; /* the same: what clients, by fingerprint, have taken and not given back */
    uint64_t looks;
    uint64_t looks_ms; /* when looks were added last */
    uint64_t now_ms;
    struct learner learner;
    struct poll poll;
    struct predict_counts counts;
};

void predict_conf_default(struct predict_conf *c)
{
    *c = (struct predict_conf){.rule = PREDICT_RULE_VOTE,
        .window_ms = 15000,
        .score = 2,
        .confidence_percent = 68,
        .scope = PREDICT_SCOPE_CLIENT,
        .cap = 8,
        .share = 2,
        .budget_percent = 20,
        .dependencies_max = 64,
        .seen_max = 256,
        .prefetches_max = PREDICT_PREFETCHES_MAX,
        .looks_per_ms = 64,
        .bytes_max = (size_t)16 << 20};
}

void predict_conf_seed(struct predict_conf *c)
{
    *c = (struct predict_conf){.rule = PREDICT_RULE_2007,
        .window_ms = 2000,
        .score = 2,
        .scope = PREDICT_SCOPE_GLOBAL,
        .share = 1,
        .always_subtract = true,
        .reopen = true,
        .bytes_max = (size_t)16 << 20};
}

static unsigned bounded(unsigned value, unsigned min, unsigned max)
{
    return value < min ? min : value > max ? max : value;
}

static void take_conf(struct predict *p, const struct predict_conf *conf)
{
    struct predict_conf *c = &p->conf;

    *c = *conf;
    c->score = bounded(c->score, 1, UINT16_MAX);
    c->cap = c->cap == 0 ? UINT16_MAX : bounded(c->cap, 1, UINT16_MAX);
    c->budget_percent = bounded(c->budget_percent, 0, 100);
    c->control_percent = bounded(c->control_percent, 0, 100);
    c->share = bounded(c->share, 1, PREDICT_SHARE_MAX);
    c->prefetches_max = bounded(c->prefetches_max, 0, PREDICT_PREFETCHES_MAX);
    c->dependencies_max = bounded(c->dependencies_max, 0, UINT16_MAX);
    if (c->bytes_max < PREDICT_BYTES_MIN)
        c->bytes_max = PREDICT_BYTES_MIN;
}

static uint64_t advance(struct predict *p, uint64_t now_ms)
{
    if (now_ms > p->now_ms)
        p->now_ms = now_ms;
    return p->now_ms;
}

/* ---- answers --------------------------------------------------------------------------------- */

static enum predict_copy look(const struct predict *p, const struct graph_question *q)
{
    return sent_copy(&p->sents, q, p->now_ms);
}

/* One is looked at for each window that closed. */
static void sweep(struct predict *p)
{
    sent_sweep(&p->sents, p->n_sweeps, p->now_ms);
    p->n_sweeps = 0;
}

static void note_life(const struct predict *p, struct graph_question *q)
{
    uint64_t fresh_ms = sent_fresh_ms(&p->sents, q, p->now_ms);

    q->life_ms = fresh_ms < UINT32_MAX ? (uint32_t)fresh_ms : UINT32_MAX;
    q->life_known = p->world.fresh_until_ms != NULL;
}

void predict_landed(struct predict *p, const uint8_t *key, size_t key_len, bool ok, uint64_t now_ms)
{
    struct graph_question *q;
    uint64_t fresh_ms;
    bool was_sent;

    advance(p, now_ms);
    q = graph_find(&p->graph, key, key_len, graph_hash(&p->graph, key, key_len));
    if (q == NULL)
        return;
    q->answered = ok;
    q->awaited = false;
    if (ok)
        note_life(p, q);
    if (q->used_late) {
        fresh_ms = ok ? sent_fresh_ms(&p->sents, q, p->now_ms) : 0;
        q->own_until_ms = p->now_ms + q->own_until_ms + fresh_ms;
        q->used_late = false;
    }
    was_sent = q->sent_slot > 0;
    burst_landed(&p->bursts, &p->graph, q, ok, p->now_ms); /* q may go with its last wait */
    if (was_sent)
        sent_landed(&p->sents, q, ok, p->now_ms);
}

/* ---- budget ---------------------------------------------------------------------------------- */

static int *debt_of(struct predict *p, uint32_t client)
{
    return &p->debts[client % DEBTORS];
}

static int bounded_tokens(int hundredths, int min)
{
    const int max = PREDICT_TOKENS_MAX * TOKEN;

    return hundredths < min ? min : hundredths > max ? max : hundredths;
}

/* What the client (a fingerprint) has earned, given back, or taken. */
static void add_tokens(struct predict *p, uint32_t client, int hundredths)
{
    int *debt = debt_of(p, client);

    if (p->conf.budget_percent == 0)
        return;
    p->tokens = bounded_tokens(p->tokens + hundredths, -PREDICT_TOKENS_MAX * TOKEN);
    *debt = bounded_tokens(*debt - hundredths, 0);
}

/* Whether there is a token for this client: where others ask too, it may owe as much as is left for
 * all of them. */
static bool may_spend(struct predict *p, uint32_t client)
{
    if (p->conf.budget_percent == 0)
        return true;
    if (p->tokens < TOKEN)
        return false;
    return !sequence_has_others(&p->sequence) || p->tokens - TOKEN >= *debt_of(p, client);
}

/* Whether there is a look left to be had. */
static bool may_look(struct predict *p)
{
    uint64_t reserve = (uint64_t)p->conf.looks_per_ms * LOOKS_RESERVE;
    uint64_t gone_ms = p->now_ms - p->looks_ms;

    if (p->conf.looks_per_ms == 0)
        return true;
    p->looks_ms = p->now_ms;
    p->looks = gone_ms >= LOOKS_RESERVE ? reserve : p->looks + gone_ms * p->conf.looks_per_ms;
    if (p->looks > reserve)
        p->looks = reserve;
    return p->looks > 0;
}

static void take_looks(struct predict *p, unsigned n)
{
    p->looks -= n < p->looks ? n : p->looks;
}

/* What a request tells about its question, and what it earns or costs. */
static void note_request(
    struct predict *p, struct graph_question *q, const uint8_t *client, bool answered)
{
    bool had = !q->used_late && p->now_ms < q->own_until_ms;
    uint32_t for_whom = q->sent_slot > 0 ? sent_client(&p->sents, q) : GRAPH_ALL;
    bool used = q->sent_slot > 0 && sent_use(&p->sents, q, answered, had, p->now_ms);
    bool upstream = !used && !answered && !q->awaited;

    if ((used || upstream) && had)
        p->counts.early++;
    else if (used || upstream)
        p->counts.own++;
    if (used && !had)
        add_tokens(p, for_whom, TOKEN);
    if (upstream || (used && !had)) {
        uint32_t asker = sequence_fingerprint(&p->sequence, &p->graph, client);
        add_tokens(p, asker, had ? -TOKEN : (int)p->conf.budget_percent);
    }
    if (upstream)
        q->own_until_ms = 0;
    if (answered)
        q->answered = true;
    else
        q->awaited = true;
}

/* What it tells about waiting. A question whose answer came in the same turn waits for nothing. */
static void note_wait(
    struct predict *p, struct graph_question *q, struct burst_place place, bool answered)
{
    if (!place.counted)
        return;
    if (answered || look(p, q) == PREDICT_FRESH)
        burst_answered(&p->bursts, place.group);
    else
        burst_await(&p->bursts, q, place.group, p->now_ms);
}

static void note_asked(struct predict *p, struct graph_question *q, const struct predict_request *r,
    struct burst_place place)
{
    note_request(p, q, r->client, r->answered);
    note_wait(p, q, place, r->answered);
}

/* ---- closing windows ------------------------------------------------------------------------- */

/* The client's own cache may have hidden the request: our copy is fresh, and not because we asked
 * for it ourselves. */
static bool may_be_hidden(void *ctx, struct graph_question *follower)
{
    struct predict *p = ctx;
    enum predict_copy copy = look(p, follower);

    if (follower->sent_slot == 0)
        return copy == PREDICT_FRESH;
    if (!sent_is_useful(&p->sents, follower, copy))
        sent_waste(&p->sents, follower);
    return false;
}

/* Closes the window, at its time or (early) before it. */
static void close_window(struct predict *p, const struct sequence_entry *window, bool early)
{
    learn_window(&p->learner, window, early);
    sequence_close(&p->sequence, &p->graph, window);
    if (p->graph.n_pairs > p->counts.pairs_peak)
        p->counts.pairs_peak = p->graph.n_pairs;
}

uint64_t predict_due_ms(const struct predict *p)
{
    const struct sequence_entry *oldest = sequence_oldest(&p->sequence);

    return oldest == NULL ? PREDICT_NEVER_MS : oldest->at_ms + p->conf.window_ms;
}

static void close_due(struct predict *p)
{
    for (unsigned n = 0; n < CLOSE_MAX && predict_due_ms(p) <= p->now_ms; n++) {
        close_window(p, sequence_oldest(&p->sequence), false);
        p->n_sweeps++;
    }
}

void predict_tick(struct predict *p, uint64_t now_ms)
{
    advance(p, now_ms);
    close_due(p);
    sweep(p);
}

/* ---- prefetching ----------------------------------------------------------------------------- */

/* For the client with this fingerprint. */
static void prefetch(struct predict *p, uint32_t question, uint32_t client)
{
    struct graph_question *q = graph_question(&p->graph, question);

    take_looks(p, 1);
    if (!q->answered || look(p, q) != PREDICT_ABSENT)
        return;
    if (q->sent_slot > 0)
        sent_waste(&p->sents, q);
    if (!may_spend(p, client)) {
        p->counts.shed++;
        return;
    }
    if (!p->world.prefetch(p->world.ctx, q->key, q->key_len, p->now_ms)) {
        p->counts.shed++;
        return;
    }
    add_tokens(p, client, -TOKEN);
    p->counts.prefetches++;
    sent_add(&p->sents, q, client, p->now_ms);
}

/* A follower that is to be fetched, and how strong the case for it is. */
struct choice {
    uint32_t question;
    double strength;
};

struct choices {
    struct choice strongest[PREDICT_PREFETCHES_MAX]; /* in order; of equals the first comes first */
    unsigned n, max;                                 /* max is 0: all, at once */
    uint32_t client;                                 /* for whom: a fingerprint */
};

static void choose(struct predict *p, struct choices *c, uint32_t question, double strength)
{
    unsigned at;

    if (c->max == 0) {
        prefetch(p, question, c->client);
        return;
    }
    if (c->n == c->max) {
        if (c->strongest[c->n - 1].strength >= strength)
            return;
        c->n--;
    }
    for (at = c->n++; at > 0 && c->strongest[at - 1].strength < strength; at--)
        c->strongest[at] = c->strongest[at - 1];
    c->strongest[at] = (struct choice){question, strength};
}

/* By the rule of 2007. */

static bool ripe(const struct predict *p, const struct graph_pair *pair)
{
    return pair->score >= p->conf.score &&
           pair->seen * 100u >= p->conf.confidence_percent * pair->windows &&
           graph_question(&p->graph, pair->follower)->answered;
}

static void choose_by_score(
    struct predict *p, struct choices *c, const struct graph_question *q, uint32_t fingerprint)
{
    const struct graph_trigger *t = graph_trigger(q, GRAPH_ALL);

    if (t == NULL || t->top < p->conf.score)
        return;
    for (size_t i = 0; i < t->n_pairs; i++)
        if (ripe(p, &t->pairs[i]) && graph_serves(&t->pairs[i], p->conf.share, fingerprint))
            choose(p, c, t->pairs[i].follower, t->pairs[i].score);
}

static void choose_by_vote(
    struct predict *p, struct choices *c, const uint8_t *client, uint32_t fingerprint)
{
    struct electorate electorate = {
        &p->graph, &p->sequence, &p->conf, client, fingerprint, p->now_ms};
    double needed = p->conf.confidence_percent * p->conf.score / 200.0;

    vote_hold(&p->poll, &electorate);
    take_looks(p, vote_looks(&p->poll));
    for (unsigned i = 0; i < p->poll.n_tallies; i++) {
        const struct tally *t = p->poll.order[i];
        double likelihood = vote_likelihood(t);

        if (t->mean > 0 && likelihood >= needed)
            choose(p, c, t->question, likelihood);
    }
}

/* ---- a request ------------------------------------------------------------------------------- */

static void touch(struct predict *p, const struct graph_question *q, uint32_t fingerprint)
{
    struct graph_trigger *all = graph_trigger(q, GRAPH_ALL), *own = graph_trigger(q, fingerprint);

    if (all != NULL)
        graph_touch(&p->graph, all);
    if (own != NULL)
        graph_touch(&p->graph, own);
}

static void prefetch_followers(
    struct predict *p, const struct graph_question *q, const uint8_t *client)
{
    struct choices c = {.max = p->conf.prefetches_max};
    uint32_t fingerprint;

    if (p->conf.rule == PREDICT_RULE_2007 && q->triggers == NULL)
        return;
    if (!may_look(p)) {
        p->counts.shed++;
        return;
    }
    fingerprint = sequence_fingerprint(&p->sequence, &p->graph, client);
    c.client = fingerprint;
    touch(p, q, fingerprint);
    if (p->conf.rule == PREDICT_RULE_2007)
        choose_by_score(p, &c, q, fingerprint);
    else
        choose_by_vote(p, &c, client, fingerprint);
    for (unsigned i = 0; i < c.n; i++)
        prefetch(p, c.strongest[i].question, fingerprint);
}

/* A question that is asked again shows that what follows it begins anew: its window closes and adds
 * what it saw, but subtracts nothing. */
static void close_early(
    struct predict *p, const struct predict_request *r, const struct graph_question *q)
{
    const struct sequence_entry *window;

    if (p->conf.rule == PREDICT_RULE_2007)
        return;
    window = sequence_window(&p->sequence, &p->graph, r->client, q, p->now_ms, p->conf.window_ms);
    if (window != NULL && p->now_ms - window->at_ms >= EARLY_MS)
        close_window(p, window, true);
}

/* Lists a request and notes what it tells. A question that is returned has a reference. */
static struct asked take_request(struct predict *p, const struct predict_request *r)
{
    struct graph *g = &p->graph;
    struct graph_question *q, *listed;
    struct asked asked = {0};
    struct burst_place place;
    unsigned hash;

    if (r->key_len == 0 || r->key_len > PREDICT_KEY_MAX)
        return asked;
    p->counts.requests++;
    close_due(p);
    hash = graph_hash(g, r->key, r->key_len);
    q = graph_find(g, r->key, r->key_len, hash);
    if (q != NULL) {
        graph_ref(q); /* making room for the request must not free it */
        close_early(p, r, q);
    }
    listed =
        sequence_list(&p->sequence, g, r, q, hash, p->now_ms, p->conf.window_ms, p->conf.reopen);
    place = burst_ask(&p->bursts, g, r->client, p->conf.control_percent, p->now_ms);
    asked.listed = listed != NULL;
    asked.at = p->sequence.end - 1;
    if (!asked.listed)
        p->counts.unlisted++;
    if (q == NULL && listed != NULL) {
        q = listed;
        graph_ref(q);
    }
    if (q != NULL)
        note_asked(p, q, r, place);
    if (q != NULL && place.group == PREDICT_CONTROL)
        graph_unref(g, q);
    else
        asked.question = q;
    return asked;
}

/* The vote hears a client's newest questions, and is the same for all that it asked in one turn: so
 * the newest that is listed speaks. What is not listed would not be heard. */
static bool is_spoken_for(
    const struct predict *p, const struct asked *asked, const struct predict_request *r)
{
    if (p->conf.rule == PREDICT_RULE_2007)
        return false;
    return !asked->listed || !sequence_is_newest(&p->sequence, &p->graph, r->client, asked->at);
}

static void observe_some(struct predict *p, const struct predict_request *requests, size_t n)
{
    struct asked asked[OBSERVE_MAX];

    for (size_t i = 0; i < n; i++)
        asked[i] = take_request(p, &requests[i]);
    sweep(p);
    for (size_t i = 0; i < n; i++) {
        if (asked[i].question == NULL)
            continue;
        if (!is_spoken_for(p, &asked[i], &requests[i]))
            prefetch_followers(p, asked[i].question, requests[i].client);
        graph_unref(&p->graph, asked[i].question);
    }
}

void predict_observe(
    struct predict *p, const struct predict_request *requests, size_t n, uint64_t now_ms)
{
    advance(p, now_ms);
    for (size_t at = 0; at < n; at += OBSERVE_MAX)
        observe_some(p, requests + at, n - at < OBSERVE_MAX ? n - at : OBSERVE_MAX);
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* How many requests are listed at most: a power of two. */
static uint32_t listed_max(size_t bytes_max)
{
    uint32_t max = LISTED_MAX;

    while (max > bytes_max / LISTED_BYTES)
        max /= 2;
    return max;
}

struct predict *predict_create(const struct predict_conf *conf, const struct predict_world *world,
    const uint8_t seed[PREDICT_SEED_LEN])
{
    struct predict *p = malloc(sizeof *p);

    if (p == NULL)
        return NULL;
    memset(p, 0, sizeof *p);
    take_conf(p, conf);
    p->world = *world;
    p->tokens = PREDICT_TOKENS_MAX * TOKEN;
    p->looks = (uint64_t)p->conf.looks_per_ms * LOOKS_RESERVE;
    graph_init(&p->graph, p->conf.bytes_max, sizeof *p, seed);
    sequence_init(&p->sequence, listed_max(p->conf.bytes_max), p->conf.scope);
    burst_init(&p->bursts, p->conf.bytes_max, seed);
    p->sents.graph = &p->graph;
    p->sents.world = &p->world;
    p->sents.counts = &p->counts;
    p->learner = (struct learner){.graph = &p->graph,
        .sequence = &p->sequence,
        .conf = &p->conf,
        .ctx = p,
        .may_be_hidden = may_be_hidden};
    return p;
}

void predict_reconfigure(struct predict *p, const struct predict_conf *conf)
{
    size_t bytes_max = p->conf.bytes_max;

    take_conf(p, conf);
    p->conf.bytes_max = bytes_max;
    if (p->sequence.scope == p->conf.scope)
        return;
    sequence_clear(&p->sequence, &p->graph);
    p->sequence.scope = p->conf.scope;
}

void predict_free(struct predict *p)
{
    if (p == NULL)
        return;
    sent_clear(&p->sents);
    burst_clear(&p->bursts, &p->graph);
    sequence_clear(&p->sequence, &p->graph);
    graph_clear(&p->graph);
    graph_close(&p->graph);
    free(p);
}

void predict_count(const struct predict *p, struct predict_counts *out)
{
    *out = p->counts;
    memcpy(out->waits, p->bursts.waits_of, sizeof out->waits);
    out->measured_ms = burst_measured_ms(&p->bursts);
    out->outstanding = p->sents.n;
    out->windows_open = p->sequence.n_windows;
    out->triggers = p->graph.n_triggers[false] + p->graph.n_triggers[true];
    out->pairs = p->graph.n_pairs;
    out->bytes = p->graph.bytes;
}

int predict_save(const struct predict *p, uint8_t **out, size_t *len)
{
    return graph_save(&p->graph, out, len);
}

const char *predict_load(struct predict *p, const uint8_t *bytes, size_t len)
{
    const char *why;

    if (p->counts.requests > 0 || p->graph.questions != NULL)
        return "something was learned before it was read";
    why = graph_load(&p->graph, bytes, len);
    p->counts.pairs_peak = p->graph.n_pairs;
    return why;
}

/* By the vote, what a trigger that votes alone gives: 2 is what is asked for. */
static unsigned shown_score(const struct predict *p, const struct graph_pair *pair)
{
    unsigned needed = p->conf.confidence_percent * pair->windows;

    if (p->conf.rule == PREDICT_RULE_2007)
        return pair->score;
    return needed == 0 ? UINT16_MAX : 200u * pair->seen / needed;
}

unsigned predict_score(const struct predict *p, const uint8_t *trigger, size_t trigger_len,
    const uint8_t *follower, size_t follower_len)
{
    const struct graph *g = &p->graph;
    const struct graph_question *from =
        graph_find(g, trigger, trigger_len, graph_hash(g, trigger, trigger_len));
    const struct graph_question *to =
        graph_find(g, follower, follower_len, graph_hash(g, follower, follower_len));

    const struct graph_trigger *t = from != NULL ? graph_trigger(from, GRAPH_ALL) : NULL;

    if (t == NULL || to == NULL)
        return 0;
    for (size_t i = 0; i < t->n_pairs; i++)
        if (t->pairs[i].follower == to->id)
            return shown_score(p, &t->pairs[i]);
    return 0;
}

static bool walk_trigger(
    const struct predict *p, const struct graph_trigger *t, predict_visit *visit, void *ctx)
{
    const struct graph_question *q = graph_question(&p->graph, t->question);

    for (size_t i = 0; i < t->n_pairs; i++) {
        const struct graph_pair *pair = &t->pairs[i];
        const struct graph_question *follower = graph_question(&p->graph, pair->follower);
        struct predict_pair shown = {
            .trigger = q->key,
            .follower = follower->key,
            .trigger_len = q->key_len,
            .follower_len = follower->key_len,
            .score = shown_score(p, pair),
            .windows = pair->windows,
            .seen = pair->seen,
            .lag_ms = pair->lag_ms,
            .clients = pair->n_shown,
        };

        if (!visit(ctx, &shown))
            return false;
    }
    return true;
}

bool predict_walk(const struct predict *p, predict_visit *visit, void *ctx)
{
    for (int proven = 1; proven >= 0; proven--) {
        const struct graph_trigger *oldest = p->graph.triggers[proven], *t = oldest;

        if (oldest == NULL)
            continue;
        do {
            t = t->prev; /* the newest is before the oldest */
            if (t->client == GRAPH_ALL && !walk_trigger(p, t, visit, ctx))
                return false;
        } while (t != oldest);
    }
    return true;
}

static const char *check_numbers(const struct predict *p)
{
    const struct predict_counts *n = &p->counts;

    if (p->tokens > PREDICT_TOKENS_MAX * TOKEN || p->tokens < -PREDICT_TOKENS_MAX * TOKEN)
        return "there are more tokens than the bucket holds";
    for (size_t i = 0; i < DEBTORS; i++)
        if (p->debts[i] < 0 || p->debts[i] > PREDICT_TOKENS_MAX * TOKEN)
            return "a client owes more tokens than the bucket holds";
    if (n->prefetches != n->used + n->used_late + n->unused + p->sents.n)
        return "prefetches do not add up";
    return NULL;
}

const char *predict_check(const struct predict *p)
{
    size_t len = (p->graph.n_slots > 0 ? p->graph.n_slots : 1) * sizeof(uint32_t);
    uint32_t *refs = malloc(len);
    const char *wrong;

    if (refs == NULL)
        return "memory is out";
    memset(refs, 0, len);
    wrong = check_numbers(p);
    if (wrong == NULL)
        wrong = sequence_check(&p->sequence, &p->graph, refs);
    if (wrong == NULL)
        wrong = burst_check(&p->bursts, &p->graph, refs);
    if (wrong == NULL)
        wrong = sent_check(&p->sents, refs);
    if (wrong == NULL)
        wrong = graph_check(&p->graph, refs);
    free(refs);
    return wrong;
}
