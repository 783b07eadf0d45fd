/* predict_graph.c: questions, their dependencies and scores, inside a budget of bytes.
 * Knows keys as bytes and fingerprints of clients; never time, requests or what a score is for. */
#include "predict_graph.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define ALLOC_OVERHEAD 16 /* what malloc itself is taken to need for a piece */
#define PAIRS_FIRST    4
#define SLOTS_FIRST    64

static size_t charge_for(size_t len)
{
    return ((len + 15) & ~(size_t)15) + ALLOC_OVERHEAD;
}

/* An eighth stays free of what is learned: uthash doubles its table whenever it likes. */
static size_t bytes_wanted(const struct graph *g)
{
    return g->bytes_max - g->bytes_max / 8;
}

void graph_init(
    struct graph *g, size_t bytes_max, size_t extra_bytes, const uint8_t seed[PREDICT_SEED_LEN])
{
    static const uint8_t purpose[] = "fingerprints of clients";

    static_assert(PREDICT_SEED_LEN == crypto_shorthash_KEYBYTES, "the seed keys SipHash");
    memset(g, 0, sizeof *g);
    g->bytes_max = bytes_max;
    g->bytes = charge_for(extra_bytes);
    memcpy(g->seed, seed, sizeof g->seed);
    crypto_generichash(
        g->shown_key, sizeof g->shown_key, purpose, sizeof purpose, seed, PREDICT_SEED_LEN);
}

void *graph_alloc(struct graph *g, size_t len)
{
    void *ptr;

    if (len > g->bytes_max || g->bytes + charge_for(len) > g->bytes_max)
        return NULL;
    ptr = malloc(len);
    if (ptr != NULL)
        g->bytes += charge_for(len);
    return ptr;
}

void graph_release(struct graph *g, void *ptr, size_t len)
{
    if (ptr == NULL)
        return;
    assert(g->bytes >= charge_for(len));
    g->bytes -= charge_for(len);
    free(ptr);
}

unsigned graph_hash(const struct graph *g, const uint8_t *bytes, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    unsigned hash;

    crypto_shorthash(out, bytes, len, g->seed);
    memcpy(&hash, out, sizeof hash);
    return hash;
}

/* ---- questions ------------------------------------------------------------------------------- */

static size_t question_len(size_t key_len)
{
    return sizeof(struct graph_question) + key_len;
}

struct graph_question *graph_find(
    const struct graph *g, const uint8_t *key, size_t key_len, unsigned hash)
{
    struct graph_question *q;

    HASH_FIND_BYHASHVALUE(hh, g->questions, key, key_len, hash, q);
    return q;
}

static bool grow_slots(struct graph *g)
{
    uint32_t cap = g->slots_cap == 0 ? SLOTS_FIRST : g->slots_cap * 2;
    struct graph_slot *slots;

    if (cap - 1 > GRAPH_ID_MAX)
        return false;
    if (!graph_room(g, cap * sizeof *slots))
        return false;
    slots = graph_alloc(g, cap * sizeof *slots);
    if (slots == NULL)
        return false;
    if (g->n_slots > 0)
        memcpy(slots, g->slots, g->n_slots * sizeof *slots);
    graph_release(g, g->slots, g->slots_cap * sizeof *slots);
    g->slots = slots;
    g->slots_cap = cap;
    return true;
}

/* Making room may itself free an id, so room comes first. */
static void take_id(struct graph *g, struct graph_question *q)
{
    if (g->free_slot != 0) {
        q->id = (uint32_t)(g->free_slot - 1);
        g->free_slot = g->slots[q->id].next_free;
    } else {
        q->id = g->n_slots++;
    }
    g->slots[q->id] = (struct graph_slot){.question = q};
}

struct graph_question *graph_add(struct graph *g, const uint8_t *key, size_t key_len, unsigned hash)
{
    struct graph_question *q;

    assert(key_len >= 1 && key_len <= PREDICT_KEY_MAX);
    if (!graph_room(g, question_len(key_len)))
        return NULL;
    if (g->free_slot == 0 && g->n_slots == g->slots_cap && !grow_slots(g))
        return NULL;
    q = graph_alloc(g, question_len(key_len));
    if (q == NULL)
        return NULL;
    memset(q, 0, sizeof *q);
    q->key_len = (uint16_t)key_len;
    memcpy(q->key, key, key_len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, g->questions, q->key, key_len, hash, q);
    if (q->hh.tbl == NULL) {
        graph_release(g, q, question_len(key_len));
        return NULL;
    }
    take_id(g, q);
    q->refs = 1;
    return q;
}

void graph_ref(struct graph_question *q)
{
    q->refs++;
}

void graph_unref(struct graph *g, struct graph_question *q)
{
    assert(q->refs > 0);
    if (--q->refs > 0)
        return;
    assert(q->triggers == NULL);
    g->slots[q->id].next_free = g->free_slot;
    g->free_slot = (uintptr_t)q->id + 1;
    HASH_DELETE(hh, g->questions, q);
    graph_release(g, q, question_len(q->key_len));
}

/* ---- triggers -------------------------------------------------------------------------------- */

static void list_trigger(struct graph *g, struct graph_trigger *t)
{
    t->proven = t->top >= GRAPH_PROVEN;
    DL_APPEND(g->triggers[t->proven], t);
    g->n_triggers[t->proven]++;
    t->listed = true;
}

static void unlist_trigger(struct graph *g, struct graph_trigger *t)
{
    DL_DELETE(g->triggers[t->proven], t);
    g->n_triggers[t->proven]--;
    t->listed = false;
}

void graph_touch(struct graph *g, struct graph_trigger *trigger)
{
    if (!trigger->listed || g->triggers[trigger->proven]->prev == trigger)
        return;
    unlist_trigger(g, trigger);
    list_trigger(g, trigger);
}

static void free_pairs(struct graph *g, struct graph_trigger *t)
{
    graph_release(g, t->pairs, t->pairs_cap * sizeof *t->pairs);
    t->pairs = NULL;
    t->pairs_cap = 0;
}

/* Gives the pairs an array of cap, which must hold them. */
static bool resize_pairs(struct graph *g, struct graph_trigger *t, uint16_t cap)
{
    struct graph_pair *pairs = graph_alloc(g, cap * sizeof *pairs);

    if (pairs == NULL)
        return false;
    if (t->n_pairs > 0)
        memcpy(pairs, t->pairs, t->n_pairs * sizeof *pairs);
    free_pairs(g, t);
    t->pairs = pairs;
    t->pairs_cap = cap;
    return true;
}

struct graph_trigger *graph_trigger(const struct graph_question *q, uint32_t client)
{
    struct graph_trigger *t;

    LL_FOREACH2(q->triggers, t, other)
    if (t->client == client)
        return t;
    return NULL;
}

static void free_trigger(struct graph *g, struct graph_trigger *t)
{
    struct graph_question *q = graph_question(g, t->question);

    assert(!t->listed && t->n_pairs == 0);
    free_pairs(g, t);
    LL_DELETE2(q->triggers, t, other);
    graph_release(g, t, sizeof *t);
    graph_unref(g, q);
}

/* Forgets all that a trigger led to. */
static void forget_trigger(struct graph *g, struct graph_trigger *t)
{
    unlist_trigger(g, t);
    for (size_t i = 0; i < t->n_pairs; i++)
        graph_drop_pair(g, &t->pairs[i]);
    t->n_pairs = 0;
    free_trigger(g, t);
}

/* Of the clients that a question is a trigger of, the one that goes for another. */
static void limit_own(struct graph *g, const struct graph_question *q)
{
    struct graph_trigger *t, *last = NULL;
    unsigned n = 0;

    LL_FOREACH2(q->triggers, t, other)
    {
        if (t->client == GRAPH_ALL || !t->listed)
            continue;
        last = t;
        n++;
    }
    if (n >= GRAPH_OWN_MAX)
        forget_trigger(g, last);
}

static struct graph_trigger *add_trigger(struct graph *g, struct graph_question *q, uint32_t client)
{
    struct graph_trigger *t;

    limit_own(g, q);
    if (!graph_room(g, sizeof *t))
        return NULL;
    t = graph_alloc(g, sizeof *t);
    if (t == NULL)
        return NULL;
    memset(t, 0, sizeof *t);
    t->question = q->id;
    t->client = client;
    graph_ref(q);
    LL_PREPEND2(q->triggers, t, other);
    return t;
}

struct graph_trigger *graph_begin(struct graph *g, struct graph_question *q, uint32_t client)
{
    struct graph_trigger *t = graph_trigger(q, client);

    if (t == NULL)
        return add_trigger(g, q, client);
    unlist_trigger(g, t);
    LL_DELETE2(q->triggers, t, other);
    LL_PREPEND2(q->triggers, t, other);
    return t;
}

static void find_top(struct graph_trigger *t)
{
    t->top = 0;
    for (size_t i = 0; i < t->n_pairs; i++)
        if (t->pairs[i].score > t->top)
            t->top = t->pairs[i].score;
}

void graph_end(struct graph *g, struct graph_trigger *trigger)
{
    find_top(trigger);
    if (trigger->n_pairs == 0) {
        free_trigger(g, trigger);
        return;
    }
    if (trigger->pairs_cap > PAIRS_FIRST && trigger->n_pairs <= trigger->pairs_cap / 4)
        resize_pairs(g, trigger, trigger->pairs_cap / 2); /* else it stays as it is */
    list_trigger(g, trigger);
}

void graph_copy(struct graph *g, const struct graph_trigger *all, uint32_t client)
{
    struct graph_trigger *own = graph_begin(g, graph_question(g, all->question), client);

    if (own == NULL)
        return;
    if (own->n_pairs == 0 && graph_room(g, all->pairs_cap * sizeof *own->pairs) &&
        resize_pairs(g, own, all->pairs_cap)) {
        memcpy(own->pairs, all->pairs, all->n_pairs * sizeof *own->pairs);
        own->n_pairs = all->n_pairs;
        own->windows = all->windows;
        g->n_pairs += own->n_pairs;
        for (size_t i = 0; i < own->n_pairs; i++)
            graph_ref(graph_question(g, own->pairs[i].follower));
    }
    graph_end(g, own);
}

bool graph_room(struct graph *g, size_t len)
{
    size_t n;
    bool proven;

    if (len > bytes_wanted(g))
        return false;
    while (g->bytes + charge_for(len) > bytes_wanted(g)) {
        n = g->n_triggers[false] + g->n_triggers[true];
        if (n == 0)
            return false;
        proven = g->n_triggers[true] > 0 && g->n_triggers[false] <= n / 8;
        forget_trigger(g, g->triggers[proven]);
    }
    return true;
}

void graph_clear(struct graph *g)
{
    for (int proven = 0; proven < 2; proven++)
        while (g->triggers[proven] != NULL)
            forget_trigger(g, g->triggers[proven]);
}

void graph_close(struct graph *g)
{
    assert(g->questions == NULL);
    graph_release(g, g->slots, g->slots_cap * sizeof *g->slots);
    g->slots = NULL;
    g->n_slots = g->slots_cap = 0;
    g->free_slot = 0;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

void graph_drop_pair(struct graph *g, const struct graph_pair *pair)
{
    g->n_pairs--;
    graph_unref(g, graph_question(g, pair->follower));
}

/* Takes one out that has score 1 and was not seen in this window. */
static bool drop_weakest(struct graph *g, struct graph_trigger *trigger, uint64_t mark)
{
    for (size_t i = 0; i < trigger->n_pairs; i++) {
        struct graph_pair *pair = &trigger->pairs[i];

        if (pair->score > 1 || g->slots[pair->follower].mark >= mark)
            continue;
        graph_drop_pair(g, pair);
        trigger->n_pairs--;
        memmove(pair, pair + 1, (trigger->n_pairs - i) * sizeof *pair);
        return true;
    }
    return false;
}

/* By half: what is not used is used for others. */
static bool grow_pairs(struct graph *g, struct graph_trigger *trigger)
{
    unsigned cap = trigger->pairs_cap == 0 ? PAIRS_FIRST : trigger->pairs_cap * 3u / 2;

    if (cap > UINT16_MAX)
        return false;
    return graph_room(g, cap * sizeof *trigger->pairs) && resize_pairs(g, trigger, (uint16_t)cap);
}

struct graph_pair *graph_add_pair(struct graph *g, struct graph_trigger *trigger,
    struct graph_question *follower, unsigned max, uint64_t mark)
{
    struct graph_pair *pair;

    assert(!trigger->listed && trigger->question != follower->id);
    if (max > 0 && trigger->n_pairs >= max && !drop_weakest(g, trigger, mark))
        return NULL;
    if (trigger->n_pairs == trigger->pairs_cap && !grow_pairs(g, trigger))
        return NULL;
    pair = &trigger->pairs[trigger->n_pairs++];
    *pair = (struct graph_pair){
        .follower = follower->id & GRAPH_ID_MAX, .score = 1, .seen = 1, .windows = 1};
    graph_ref(follower);
    g->n_pairs++;
    return pair;
}

uint32_t graph_fingerprint(const struct graph *g, const uint8_t client[PREDICT_CLIENT_LEN])
{
    uint8_t out[crypto_shorthash_BYTES];
    uint32_t fingerprint;

    crypto_shorthash(out, client, PREDICT_CLIENT_LEN, g->shown_key);
    memcpy(&fingerprint, out, sizeof fingerprint);
    return fingerprint != GRAPH_ALL ? fingerprint : 1;
}

void graph_show(struct graph_pair *pair, uint32_t fingerprint)
{
    if (pair->n_shown >= PREDICT_SHARE_MAX || graph_shown_by(pair, fingerprint))
        return;
    if (pair->n_shown < GRAPH_SHOWN_MAX)
        pair->shown[pair->n_shown] = (uint16_t)fingerprint;
    pair->n_shown = (pair->n_shown + 1u) & 7;
}

/* ---- checking -------------------------------------------------------------------------------- */

static const char *check_pairs(const struct graph *g, const struct graph_trigger *t, uint32_t *refs)
{
    unsigned top = 0;

    for (size_t i = 0; i < t->n_pairs; i++) {
        const struct graph_pair *pair = &t->pairs[i];

        if (pair->follower >= g->n_slots || pair->follower == t->question)
            return "a follower is out of range or the trigger itself";
        if (pair->score == 0)
            return "a score of 0 was not forgotten";
        if (pair->seen == 0 || pair->seen > pair->windows || pair->windows > t->windows)
            return "windows that saw a follower, could tell and were had are not in this order";
        if (pair->n_shown > PREDICT_SHARE_MAX)
            return "more clients showed a pair than are counted";
        if (pair->score > top)
            top = pair->score;
        refs[pair->follower]++;
    }
    return top == t->top ? NULL : "the highest score of a trigger is wrong";
}

static const char *check_trigger(
    const struct graph *g, const struct graph_trigger *t, uint32_t *refs)
{
    if (t->n_pairs == 0 || t->n_pairs > t->pairs_cap)
        return "a trigger has no pairs, or more than it has room for";
    if (t->windows >= GRAPH_WINDOWS_MAX)
        return "the windows of a trigger were not halved";
    if (t->question >= g->n_slots || graph_trigger(graph_question(g, t->question), t->client) != t)
        return "a question does not lead to its trigger";
    if (t->client != GRAPH_ALL && t->sole != 0)
        return "a client's own trigger has another client";
    refs[t->question]++;
    return check_pairs(g, t, refs);
}

static const char *check_triggers(const struct graph *g, uint32_t *refs, size_t *bytes)
{
    const struct graph_trigger *t;
    size_t n_pairs = 0;
    const char *wrong;

    for (int proven = 0; proven < 2; proven++) {
        size_t n = 0;

        for (t = g->triggers[proven]; t != NULL; t = t->next) {
            if (!t->listed || t->proven != proven || t->proven != (t->top >= GRAPH_PROVEN))
                return "a trigger is in the wrong list";
            wrong = check_trigger(g, t, refs);
            if (wrong != NULL)
                return wrong;
            n_pairs += t->n_pairs;
            *bytes += charge_for(sizeof *t) + charge_for(t->pairs_cap * sizeof *t->pairs);
            n++;
        }
        if (n != g->n_triggers[proven])
            return "the number of triggers is wrong";
    }
    return n_pairs == g->n_pairs ? NULL : "the number of pairs is wrong";
}

/* Every trigger of a question is listed once if all that are listed are found by it, and there are
 * no more. */
static const char *check_own(const struct graph_question *q, size_t *n)
{
    const struct graph_trigger *t;
    unsigned n_own = 0;

    LL_FOREACH2(q->triggers, t, other)
    {
        if (t->question != q->id || !t->listed)
            return "a question leads to another's trigger";
        n_own += t->client != GRAPH_ALL;
        (*n)++;
    }
    return n_own <= GRAPH_OWN_MAX ? NULL : "a question is a trigger of too many clients";
}

static const char *check_questions(const struct graph *g, const uint32_t *refs, size_t *bytes)
{
    const struct graph_question *q;
    size_t n_free = 0, n_triggers = 0;
    const char *wrong;

    for (q = g->questions; q != NULL; q = q->hh.next) {
        if (q->id >= g->n_slots || g->slots[q->id].question != q)
            return "an id does not lead to its question";
        if (q->refs == 0 || q->refs != refs[q->id])
            return "the references of a question are wrong";
        wrong = check_own(q, &n_triggers);
        if (wrong != NULL)
            return wrong;
        if (graph_find(g, q->key, q->key_len, q->hh.hashv) != q ||
            q->hh.hashv != graph_hash(g, q->key, q->key_len))
            return "a question is not found under its key";
        *bytes += charge_for(question_len(q->key_len));
    }
    if (n_triggers != g->n_triggers[false] + g->n_triggers[true])
        return "triggers were lost";
    for (uintptr_t at = g->free_slot; at != 0 && n_free <= g->n_slots;
         at = g->slots[at - 1].next_free)
        n_free++;
    if (n_free + HASH_COUNT(g->questions) != g->n_slots)
        return "ids were lost";
    return NULL;
}

const char *graph_check(const struct graph *g, const uint32_t *extra_refs)
{
    size_t len = (g->n_slots > 0 ? g->n_slots : 1) * sizeof(uint32_t);
    uint32_t *refs = malloc(len);
    const char *wrong;
    size_t bytes = 0;

    if (refs == NULL)
        return "memory is out";
    memset(refs, 0, len);
    for (size_t i = 0; i < g->n_slots; i++)
        refs[i] = extra_refs[i];
    wrong = check_triggers(g, refs, &bytes);
    if (wrong == NULL)
        wrong = check_questions(g, refs, &bytes);
    if (wrong == NULL && (bytes > g->bytes || g->bytes > g->bytes_max))
        wrong = "the bytes in use are wrong or beyond their limit";
    free(refs);
    return wrong;
}
