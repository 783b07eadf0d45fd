/* predict.c: the rule: from the requests that a window saw to scores, from scores to prefetches,
 * and what became of those. Knows keys, clients and time as numbers; never packets, sockets, the
 * cache's insides or a clock.
 *
 * The rule (D. Hoyte, 2007). Each request opens a window. When it closes, every follower seen in it
 * gains 1 as a dependency of the request's question, a new one starting at 1; every known
 * dependency that was not seen loses 1, and is forgotten at 0. On a request, the dependencies of
 * its question with a score of 2 or more are asked for in the background, unless they are fresh in
 * the cache or under way. An example: a client asks a, b, c, and each within the window of the one
 * before. Then a>b, a>c and b>c have 1. The same once more: they have 2. At the third visit a
 * brings b and c in while the client still waits for a, or only just has it. A visit that asks a
 * alone costs a>b and a>c one each, and leaves b>c as it is, since b was not asked.
 *
 * What the words leave open is decided so (reasons in brackets):
 *  - A follower counts once in a window, and no question follows itself.
 *  - A client's repeat of a question whose window is open is seen by other windows but opens none
 *    [else one page that asks a name twice would learn and unlearn in one visit].
 *  - With scope client, only requests of the same client follow each other; the scores are common.
 *  - A dependency that was not seen, while our own copy of it is fresh and not there by an unused
 *    prefetch, neither gains nor loses, and the window does not count for its confidence either
 *    [the client's own cache hides the request].
 *  - The score stops at the cap [what has ended is forgotten after that many windows].
 *  - Confidence: seen / windows, over the trigger's windows that can tell. Both are halved every
 *    GRAPH_WINDOWS_MAX windows [so that it follows the times].
 *  - Share: a pair is shown by the client that asked for the follower. Until `share` clients showed
 *    it, it serves those who did and nobody else [nobody trains another's prefetches alone].
 *  - Budget: a bucket of 256 tokens, full at first, that counts what prediction adds upstream. A
 *    prefetch takes one, and gives it back when a client asks for it in time. A copy that was
 *    fetched ahead also expires ahead: what goes upstream before a copy of the client's own would
 *    have expired is extra too, and costs a token or gives none back. A client's question that went
 *    upstream, or would have but for a prefetch, earns budget_percent of a token. Questions that
 * the cache answers earn nothing [they cost nothing upstream, so they must not pay for what does],
 *    nor do those that join one under way. So in the long run upstream sees little more than
 *    budget_percent above what it would see without prediction, whatever clients do.
 *  - Control: a random share of clients' bursts brings nothing in, and learns like the others [so
 *    that what prediction saves can be measured].
 *  - Only what a client asked for, and what was answered the last time, is prefetched. A prefetch
 * is no request: it opens no window and leads to no other.
 *
 * Where a bound is hit, learning or prefetching is shed, never an answer. A window that missed a
 * request for want of room still adds, but subtracts nothing. */
#include "predict.h"

#include "predict_burst.h"
#include "predict_graph.h"
#include "predict_sequence.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN 100 /* tokens are counted in hundredths: what one percent earns */
#define OUTSTANDING_MAX                                                                            \
    1024                   /* prefetches whose use is awaited; then the oldest count as unused     \
                            */
#define CLOSE_MAX     64   /* windows closed in one call: half a millisecond at most */
#define LOOKS_RESERVE 1000 /* milliseconds' worth of looks that can be saved up */
#define LAG_STEPS_MAX 16
#define LAG_STEP_MS   16
#define LISTED_MAX    8192u
#define LISTED_BYTES  2048 /* of bytes_max for one request listed: an eighth goes to them all */

/* A prefetch that no client has asked for yet. */
struct sent {
    uint32_t question;
    bool landed;
    uint64_t sent_ms;
    uint64_t landed_ms;
    uint64_t fresh_ms; /* its lifetime from landing on */
};

struct predict {
    struct predict_conf conf;
    struct predict_world world;
    struct graph graph;
    struct sequence sequence;
    struct bursts bursts;
    struct sent sent[OUTSTANDING_MAX];
    unsigned n_sent;
    unsigned sent_hand; /* the next one to be looked at for its expiry */
    int tokens;         /* in hundredths; below 0 where clients' own questions were extra */
    uint64_t looks;
    uint64_t looks_ms; /* when looks were added last */
    uint64_t mark;     /* grows by 2 with each closing: mark: seen; mark + 1: and dealt with */
    uint64_t now_ms;
    struct predict_counts counts;
};

void predict_conf_default(struct predict_conf *c)
{
    *c = (struct predict_conf){.window_ms = 2000,
        .score = 2,
        .confidence_percent = 60,
        .scope = PREDICT_SCOPE_CLIENT,
        .cap = 8,
        .share = 2,
        .budget_percent = 10,
        .dependencies_max = 64,
        .seen_max = 256,
        .prefetches_max = PREDICT_PREFETCHES_MAX,
        .looks_per_ms = 64,
        .bytes_max = (size_t)16 << 20};
}

void predict_conf_seed(struct predict_conf *c)
{
    *c = (struct predict_conf){.window_ms = 2000,
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

static uint64_t advance(struct predict *p, uint64_t now_ms)
{
    if (now_ms > p->now_ms)
        p->now_ms = now_ms;
    return p->now_ms;
}

/* ---- prefetches under way or unused ---------------------------------------------------------- */

static void drop_sent(struct predict *p, struct graph_question *q)
{
    unsigned at = q->sent_slot - 1u;

    assert(q->sent_slot > 0 && at < p->n_sent);
    p->sent[at] = p->sent[--p->n_sent];
    if (at < p->n_sent)
        graph_question(&p->graph, p->sent[at].question)->sent_slot = (uint16_t)(at + 1);
    q->sent_slot = 0;
    graph_unref(&p->graph, q);
}

static void drop_unused(struct predict *p, struct graph_question *q)
{
    p->counts.unused++;
    drop_sent(p, q);
}

static enum predict_copy look(const struct predict *p, const struct graph_question *q)
{
    return p->world.copy(p->world.ctx, q->key, q->key_len, p->now_ms);
}

/* Whether an outstanding prefetch can still be of use, its copy being such. */
static bool still_useful(const struct sent *sent, enum predict_copy copy)
{
    return copy == PREDICT_FRESH || (!sent->landed && copy == PREDICT_UNDER_WAY);
}

/* One of them at a time is looked at, so that those which expired do not stay for ever. */
static void sweep_sent(struct predict *p)
{
    struct graph_question *q;

    if (p->n_sent == 0)
        return;
    p->sent_hand = (p->sent_hand + 1) % p->n_sent;
    q = graph_question(&p->graph, p->sent[p->sent_hand].question);
    if (!still_useful(&p->sent[p->sent_hand], look(p, q)))
        drop_unused(p, q);
}

static void note_sent(struct predict *p, struct graph_question *q)
{
    if (p->n_sent == OUTSTANDING_MAX) {
        p->sent_hand = (p->sent_hand + 1) % OUTSTANDING_MAX;
        drop_unused(p, graph_question(&p->graph, p->sent[p->sent_hand].question));
    }
    p->sent[p->n_sent++] = (struct sent){.question = q->id, .sent_ms = p->now_ms};
    q->sent_slot = (uint16_t)p->n_sent;
    graph_ref(q);
}

static uint64_t fresh_for_ms(const struct predict *p, const struct graph_question *q)
{
    uint64_t until_ms = p->world.fresh_until_ms == NULL
                            ? 0
                            : p->world.fresh_until_ms(p->world.ctx, q->key, q->key_len, p->now_ms);

    return until_ms > p->now_ms ? until_ms - p->now_ms : 0;
}

static void land_sent(struct predict *p, struct graph_question *q, bool ok)
{
    struct sent *sent = &p->sent[q->sent_slot - 1];

    if (sent->landed)
        return;
    if (!ok) {
        drop_unused(p, q);
        return;
    }
    sent->landed = true;
    sent->landed_ms = p->now_ms;
    sent->fresh_ms = fresh_for_ms(p, q);
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
    if (q->used_late) {
        fresh_ms = ok ? fresh_for_ms(p, q) : 0;
        q->own_until_ms = p->now_ms + q->own_until_ms + fresh_ms;
        q->used_late = false;
    }
    was_sent = q->sent_slot > 0;
    burst_landed(&p->bursts, &p->graph, q, ok, p->now_ms); /* q may go with its last wait */
    if (was_sent)
        land_sent(p, q, ok);
}

/* ---- budget ---------------------------------------------------------------------------------- */

static void add_tokens(struct predict *p, int hundredths)
{
    const int max = PREDICT_TOKENS_MAX * TOKEN;

    if (p->conf.budget_percent == 0)
        return;
    p->tokens += hundredths;
    if (p->tokens > max)
        p->tokens = max;
    if (p->tokens < -max)
        p->tokens = -max;
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

/* A client asks for q, of which a prefetch is outstanding: alone it would have asked upstream now,
 * unless `had` it a copy of its own. Returns whether the prefetch was in time. */
static bool use_sent(struct predict *p, struct graph_question *q, bool answered, bool had)
{
    const struct sent sent = p->sent[q->sent_slot - 1];

    if (sent.landed && !answered) {
        drop_unused(p, q); /* it came and went */
        return false;
    }
    drop_sent(p, q);
    if (sent.landed)
        p->counts.used++;
    else
        p->counts.used_late++;
    if (had)
        return true;
    p->counts.saved_ms += (sent.landed ? sent.landed_ms : p->now_ms) - sent.sent_ms;
    q->used_late = !sent.landed;
    /* Alone, its answer would be a round trip away: until then others would have joined it. */
    q->own_until_ms = sent.landed ? p->now_ms + (sent.landed_ms - sent.sent_ms) + sent.fresh_ms
                                  : p->now_ms - sent.sent_ms;
    return true;
}

/* What a request tells about its question, and what it earns or costs. */
static void note_request(struct predict *p, struct graph_question *q, bool answered)
{
    bool had = !q->used_late && p->now_ms < q->own_until_ms;
    bool used = q->sent_slot > 0 && use_sent(p, q, answered, had);
    bool upstream = !used && !answered && !q->awaited;

    if ((used || upstream) && had)
        p->counts.early++;
    else if (used || upstream)
        p->counts.own++;
    if (used && !had)
        add_tokens(p, TOKEN + (int)p->conf.budget_percent);
    if (upstream)
        add_tokens(p, had ? -TOKEN : (int)p->conf.budget_percent);
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

static void note_asked(
    struct predict *p, struct graph_question *q, struct burst_place place, bool answered)
{
    note_request(p, q, answered);
    note_wait(p, q, place, answered);
}

/* ---- closing windows ------------------------------------------------------------------------- */

struct closing {
    const struct sequence_entry *window;
    struct graph_question *trigger;
    uint64_t due_ms;
    unsigned n;    /* requests that were looked at */
    bool can_tell; /* all that it should have seen was looked at */
};

/* Whether e lies in the window and is to be looked at. */
static bool sees(const struct predict *p, const struct closing *c, const struct sequence_entry *e)
{
    return e != NULL && e->at_ms < c->due_ms && (p->conf.seen_max == 0 || c->n < p->conf.seen_max);
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

/* Marks the followers, each with the client that asked for it first, and when. */
static void mark_seen(struct predict *p, struct closing *c)
{
    const struct sequence_entry *e = sequence_next(&p->sequence, c->window);

    for (; sees(p, c, e); e = sequence_next(&p->sequence, e), c->n++) {
        struct graph_question *q = graph_question(&p->graph, e->question);

        if (q->mark >= p->mark)
            continue;
        q->mark = p->mark;
        q->mark_shown = e->client->fingerprint;
        q->mark_lag_ms = lag_of(c->window, e);
    }
    if (e != NULL && e->at_ms < c->due_ms)
        c->can_tell = false;
}

/* The client's own cache may have hidden the request: our copy is fresh, and not because we asked
 * for it ourselves. */
static bool may_be_hidden(struct predict *p, struct graph_question *follower)
{
    enum predict_copy copy;

    if (p->conf.always_subtract)
        return false;
    copy = look(p, follower);
    if (follower->sent_slot == 0)
        return copy == PREDICT_FRESH;
    if (!still_useful(&p->sent[follower->sent_slot - 1], copy))
        drop_unused(p, follower);
    return false;
}

/* Returns whether the pair is to be kept. */
static bool judge(struct predict *p, const struct closing *c, struct graph_pair *pair)
{
    struct graph_question *follower = graph_question(&p->graph, pair->follower);

    if (follower->mark >= p->mark) {
        follower->mark = p->mark + 1;
        pair->windows++;
        pair->seen++;
        if (pair->score < p->conf.cap)
            pair->score++;
        pair->lag_ms = nearer_median(pair->lag_ms, follower->mark_lag_ms, pair->seen);
        graph_show(pair, follower->mark_shown);
        return true;
    }
    if (!c->can_tell || may_be_hidden(p, follower))
        return true;
    pair->windows++;
    return --pair->score > 0;
}

static void judge_known(struct predict *p, const struct closing *c)
{
    struct graph_question *trigger = c->trigger;
    uint16_t kept = 0;

    for (uint16_t i = 0; i < trigger->n_pairs; i++) {
        struct graph_pair *pair = &trigger->pairs[i];

        if (judge(p, c, pair))
            trigger->pairs[kept++] = *pair;
        else
            graph_drop_pair(&p->graph, pair);
    }
    trigger->n_pairs = kept;
}

static void add_new(struct predict *p, const struct closing *c)
{
    const struct sequence_entry *e = c->window;
    struct graph_pair *pair;

    for (unsigned i = 0; i < c->n; i++) {
        struct graph_question *q;

        e = sequence_next(&p->sequence, e);
        q = graph_question(&p->graph, e->question);
        if (q->mark != p->mark || q == c->trigger)
            continue;
        q->mark = p->mark + 1;
        pair = graph_add_pair(&p->graph, c->trigger, q, p->conf.dependencies_max, p->mark);
        if (pair == NULL)
            continue;
        pair->windows = c->trigger->windows;
        pair->lag_ms = q->mark_lag_ms;
        graph_show(pair, q->mark_shown);
    }
}

static void halve(struct graph_question *trigger)
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

static void close_window(struct predict *p, const struct sequence_entry *window)
{
    struct closing c = {.window = window,
        .trigger = graph_question(&p->graph, window->question),
        .due_ms = window->at_ms + p->conf.window_ms,
        .can_tell = !sequence_torn(&p->sequence, window)};

    p->mark += 2;
    graph_begin(&p->graph, c.trigger);
    c.trigger->windows++;
    mark_seen(p, &c);
    judge_known(p, &c);
    add_new(p, &c);
    halve(c.trigger);
    graph_end(&p->graph, c.trigger);
    sequence_close_oldest(&p->sequence, &p->graph);
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
        close_window(p, sequence_oldest(&p->sequence));
        sweep_sent(p);
    }
}

void predict_tick(struct predict *p, uint64_t now_ms)
{
    advance(p, now_ms);
    close_due(p);
}

/* ---- prefetching ----------------------------------------------------------------------------- */

/* Whether a dependency is likely enough, for this client. */
static bool ripe(const struct predict *p, const struct graph_pair *pair, uint32_t fingerprint)
{
    return pair->score >= p->conf.score &&
           pair->seen * 100u >= p->conf.confidence_percent * pair->windows &&
           (pair->n_shown >= p->conf.share || graph_shown_by(pair, fingerprint)) &&
           graph_question(&p->graph, pair->follower)->answered;
}

static void prefetch(struct predict *p, const struct graph_pair *pair)
{
    struct graph_question *q = graph_question(&p->graph, pair->follower);

    if (p->looks > 0)
        p->looks--;
    if (look(p, q) != PREDICT_ABSENT)
        return;
    if (q->sent_slot > 0)
        drop_unused(p, q);
    if (p->conf.budget_percent > 0 && p->tokens < TOKEN) {
        p->counts.shed++;
        return;
    }
    if (!p->world.prefetch(p->world.ctx, q->key, q->key_len, p->now_ms)) {
        p->counts.shed++;
        return;
    }
    add_tokens(p, -TOKEN);
    p->counts.prefetches++;
    note_sent(p, q);
}

/* Puts a pair among the strongest so far, which are in order; of equals the first one stays ahead.
 * Returns how many there are now. */
static unsigned insert(
    const struct graph_pair **strongest, unsigned n, unsigned max, const struct graph_pair *pair)
{
    unsigned at;

    if (n == max) {
        if (strongest[n - 1]->score >= pair->score)
            return n;
        n--;
    }
    for (at = n; at > 0 && strongest[at - 1]->score < pair->score; at--)
        strongest[at] = strongest[at - 1];
    strongest[at] = pair;
    return n + 1;
}

static void prefetch_followers(
    struct predict *p, const struct graph_question *trigger, uint32_t fingerprint)
{
    const struct graph_pair *strongest[PREDICT_PREFETCHES_MAX];
    unsigned n = 0;

    if (!may_look(p)) {
        p->counts.shed++;
        return;
    }
    for (size_t i = 0; i < trigger->n_pairs; i++) {
        const struct graph_pair *pair = &trigger->pairs[i];

        if (!ripe(p, pair, fingerprint))
            continue;
        if (p->conf.prefetches_max == 0)
            prefetch(p, pair);
        else
            n = insert(strongest, n, p->conf.prefetches_max, pair);
    }
    for (unsigned i = 0; i < n; i++)
        prefetch(p, strongest[i]);
}

void predict_observe(struct predict *p, const struct predict_request *r, uint64_t now_ms)
{
    struct graph *g = &p->graph;
    struct graph_question *q, *listed;
    struct burst_place place;
    unsigned hash;

    advance(p, now_ms);
    if (r->key_len == 0 || r->key_len > PREDICT_KEY_MAX)
        return;
    p->counts.requests++;
    close_due(p);
    hash = graph_hash(g, r->key, r->key_len);
    q = graph_find(g, r->key, r->key_len, hash);
    if (q != NULL)
        graph_ref(q); /* making room for the request must not free it */
    listed =
        sequence_list(&p->sequence, g, r, q, hash, p->now_ms, p->conf.window_ms, p->conf.reopen);
    place = burst_ask(&p->bursts, g, r->client, p->conf.control_percent, p->now_ms);
    if (listed == NULL)
        p->counts.unlisted++;
    else
        note_asked(p, listed, place, r->answered);
    if (q == NULL)
        return;
    if (listed == NULL)
        note_asked(p, q, place, r->answered);
    graph_touch(g, q);
    if (q->top >= p->conf.score && place.group != PREDICT_CONTROL)
        prefetch_followers(p, q, sequence_fingerprint(&p->sequence, g, r->client));
    graph_unref(g, q);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void drop_all_sent(struct predict *p)
{
    while (p->n_sent > 0)
        drop_sent(p, graph_question(&p->graph, p->sent[p->n_sent - 1].question));
}

void predict_free(struct predict *p)
{
    if (p == NULL)
        return;
    drop_all_sent(p);
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
    out->outstanding = p->n_sent;
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

unsigned predict_score(const struct predict *p, const uint8_t *trigger, size_t trigger_len,
    const uint8_t *follower, size_t follower_len)
{
    const struct graph *g = &p->graph;
    const struct graph_question *from =
        graph_find(g, trigger, trigger_len, graph_hash(g, trigger, trigger_len));
    const struct graph_question *to =
        graph_find(g, follower, follower_len, graph_hash(g, follower, follower_len));

    if (from == NULL || to == NULL)
        return 0;
    for (size_t i = 0; i < from->n_pairs; i++)
        if (from->pairs[i].follower == to->id)
            return from->pairs[i].score;
    return 0;
}

static bool walk_trigger(
    const struct predict *p, const struct graph_question *q, predict_visit *visit, void *ctx)
{
    for (size_t i = 0; i < q->n_pairs; i++) {
        const struct graph_pair *pair = &q->pairs[i];
        const struct graph_question *follower = graph_question(&p->graph, pair->follower);
        struct predict_pair shown = {
            .trigger = q->key,
            .follower = follower->key,
            .trigger_len = q->key_len,
            .follower_len = follower->key_len,
            .score = pair->score,
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
        const struct graph_question *oldest = p->graph.triggers[proven], *q = oldest;

        if (oldest == NULL)
            continue;
        do {
            q = q->prev; /* the newest is before the oldest */
            if (!walk_trigger(p, q, visit, ctx))
                return false;
        } while (q != oldest);
    }
    return true;
}

static const char *check_sent(const struct predict *p, uint32_t *refs)
{
    const struct graph_question *q;
    unsigned n = 0;

    for (unsigned i = 0; i < p->n_sent; i++) {
        if (p->sent[i].question >= p->graph.n_slots)
            return "the question of a prefetch is out of range";
        q = graph_question(&p->graph, p->sent[i].question);
        if (q->sent_slot != i + 1)
            return "a question does not lead to its prefetch";
        refs[q->id]++;
    }
    for (q = p->graph.questions; q != NULL; q = q->hh.next)
        n += q->sent_slot > 0;
    return n == p->n_sent ? NULL : "a question has a prefetch that is not listed";
}

static const char *check_numbers(const struct predict *p)
{
    const struct predict_counts *n = &p->counts;

    if (p->tokens > PREDICT_TOKENS_MAX * TOKEN || p->tokens < -PREDICT_TOKENS_MAX * TOKEN)
        return "there are more tokens than the bucket holds";
    if (n->prefetches != n->used + n->used_late + n->unused + p->n_sent)
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
        wrong = check_sent(p, refs);
    if (wrong == NULL)
        wrong = graph_check(&p->graph, refs);
    free(refs);
    return wrong;
}
