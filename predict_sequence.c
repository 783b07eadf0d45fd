/* predict_sequence.c: the requests that open windows can reach, and those windows, in one list.
 * Knows clients, times and questions; never scores. */
#include "predict_sequence.h"

#include <assert.h>
#include <string.h>

#define ENTRIES_FIRST 64

void sequence_init(struct sequence *s, uint32_t max, enum predict_scope scope)
{
    assert(max > 0 && (max & (max - 1)) == 0);
    memset(s, 0, sizeof *s);
    s->max = max;
    s->scope = scope;
}

/* ---- clients --------------------------------------------------------------------------------- */

static struct sequence_client *find_client(
    const struct sequence *s, const struct graph *g, const uint8_t id[PREDICT_CLIENT_LEN])
{
    struct sequence_client *c;
    unsigned hash = graph_hash(g, id, PREDICT_CLIENT_LEN);

    HASH_FIND_BYHASHVALUE(hh, s->clients, id, PREDICT_CLIENT_LEN, hash, c);
    return c;
}

static struct sequence_client *add_client(
    struct sequence *s, struct graph *g, const uint8_t id[PREDICT_CLIENT_LEN])
{
    unsigned hash = graph_hash(g, id, PREDICT_CLIENT_LEN);
    struct sequence_client *c;

    if (HASH_COUNT(s->clients) >= s->max / SEQUENCE_CLIENT_PART || !graph_room(g, sizeof *c))
        return NULL;
    c = graph_alloc(g, sizeof *c);
    if (c == NULL)
        return NULL;
    memset(c, 0, sizeof *c);
    memcpy(c->id, id, sizeof c->id);
    c->fingerprint = graph_fingerprint(g, id);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, s->clients, c->id, sizeof c->id, hash, c);
    if (c->hh.tbl == NULL) {
        graph_release(g, c, sizeof *c);
        return NULL;
    }
    return c;
}

static void drop_idle_client(struct sequence *s, struct graph *g, struct sequence_client *c)
{
    if (c->n_listed > 0)
        return;
    HASH_DELETE(hh, s->clients, c);
    graph_release(g, c, sizeof *c);
}

static struct sequence_lane *lane_of(struct sequence *s, struct sequence_client *c)
{
    return s->scope == PREDICT_SCOPE_GLOBAL ? &s->everyone : &c->lane;
}

uint32_t sequence_fingerprint(
    const struct sequence *s, const struct graph *g, const uint8_t client[PREDICT_CLIENT_LEN])
{
    const struct sequence_client *c = find_client(s, g, client);

    return c != NULL ? c->fingerprint : graph_fingerprint(g, client);
}

/* ---- listing --------------------------------------------------------------------------------- */

static bool grow(struct sequence *s, struct graph *g)
{
    uint32_t cap = s->cap == 0 ? ENTRIES_FIRST : s->cap * 2;
    struct sequence_entry *entries;

    if (cap > s->max || !graph_room(g, cap * sizeof *entries))
        return false;
    entries = graph_alloc(g, cap * sizeof *entries);
    if (entries == NULL)
        return false;
    for (uint32_t at = s->front; at != s->end; at++)
        entries[at & (cap - 1)] = *sequence_at(s, at);
    graph_release(g, s->entries, s->cap * sizeof *entries);
    s->entries = entries;
    s->cap = cap;
    return true;
}

/* Looks for the client's window of the question that is open until after now_ms, and counts up to
 * SEQUENCE_SAME_MAX others on the way. A position in `same` can be out of date: it counts if it is
 * listed and its entry is what it should be. */
static struct sequence_entry *find_window(const struct sequence *s, const struct sequence_client *c,
    const struct graph_question *q, uint64_t now_ms, uint64_t window_ms, unsigned *n)
{
    uint32_t at = q->last_window;

    for (*n = 0; *n < SEQUENCE_SAME_MAX && at - s->front < s->end - s->front; ++*n) {
        struct sequence_entry *e = sequence_at(s, at);

        if (e->question != q->id || e->at_ms + window_ms <= now_ms)
            break;
        if (e->opens && e->client == c)
            return e;
        if (e->same - s->front >= at - s->front) {
            ++*n;
            break;
        }
        at = e->same;
    }
    return NULL;
}

static void append(struct sequence *s, struct sequence_client *c, struct graph_question *q,
    uint64_t now_ms, bool opens)
{
    struct sequence_lane *lane = lane_of(s, c);
    uint32_t at = s->end++;

    *sequence_at(s, at) = (struct sequence_entry){.at_ms = now_ms,
        .client = c,
        .question = q->id,
        .next = at,
        .prev = lane->newest,
        .same = q->last_window,
        .opens = opens};
    if (lane->n++ > 0)
        sequence_at(s, lane->newest)->next = at;
    lane->newest = at;
    c->newest = at;
    c->n_listed++;
    if (!opens)
        return;
    q->last_window = at;
    s->n_windows++;
}

/* The request was not listed: windows of its lane that are open know less than they should. */
static void tear(struct sequence *s, struct graph *g, struct sequence_client *c, uint64_t now_ms)
{
    if (s->scope == PREDICT_SCOPE_GLOBAL)
        s->everyone.torn_until_ms = now_ms + 1;
    if (c == NULL)
        return;
    c->lane.torn_until_ms = now_ms + 1;
    drop_idle_client(s, g, c);
}

struct graph_question *sequence_list(struct sequence *s, struct graph *g,
    const struct predict_request *r, struct graph_question *q, unsigned hash, uint64_t now_ms,
    uint64_t window_ms, bool reopen)
{
    struct sequence_client *c = find_client(s, g, r->client);
    unsigned n;
    bool opens;

    if (c == NULL)
        c = add_client(s, g, r->client);
    if (c == NULL || c->n_listed >= s->max / SEQUENCE_CLIENT_PART)
        goto shed;
    if (s->end - s->front == s->cap && !grow(s, g))
        goto shed;
    if (q != NULL)
        graph_ref(q);
    else
        q = graph_add(g, r->key, r->key_len, hash);
    if (q == NULL)
        goto shed;
    opens =
        reopen || (find_window(s, c, q, now_ms, window_ms, &n) == NULL && n < SEQUENCE_SAME_MAX);
    append(s, c, q, now_ms, opens);
    return q;

shed:
    tear(s, g, c, now_ms);
    return NULL;
}

/* ---- windows --------------------------------------------------------------------------------- */

const struct sequence_entry *sequence_window(const struct sequence *s, const struct graph *g,
    const uint8_t client[PREDICT_CLIENT_LEN], const struct graph_question *q, uint64_t now_ms,
    uint64_t window_ms)
{
    const struct sequence_client *c;
    unsigned n;

    if (q->last_window - s->front >= s->end - s->front)
        return NULL;
    c = find_client(s, g, client);
    return c == NULL ? NULL : find_window(s, c, q, now_ms, window_ms, &n);
}

const struct sequence_entry *sequence_oldest(const struct sequence *s)
{
    return s->front == s->end ? NULL : sequence_at(s, s->front);
}

const struct sequence_entry *sequence_next(const struct sequence *s, const struct sequence_entry *e)
{
    const struct sequence_entry *next = sequence_at(s, e->next);

    return next == e ? NULL : next;
}

const struct sequence_entry *sequence_newest(
    const struct sequence *s, const struct graph *g, const uint8_t client[PREDICT_CLIENT_LEN])
{
    const struct sequence_client *c = find_client(s, g, client);

    if (s->scope == PREDICT_SCOPE_GLOBAL)
        return s->everyone.n == 0 ? NULL : sequence_at(s, s->everyone.newest);
    return c == NULL ? NULL : sequence_at(s, c->lane.newest);
}

const struct sequence_entry *sequence_prev(const struct sequence *s, const struct sequence_entry *e)
{
    const struct sequence_entry *prev;

    if (e->prev - s->front >= s->end - s->front)
        return NULL;
    prev = sequence_at(s, e->prev);
    return sequence_next(s, prev) == e ? prev : NULL;
}

bool sequence_is_newest(const struct sequence *s, const struct graph *g,
    const uint8_t client[PREDICT_CLIENT_LEN], uint32_t position)
{
    const struct sequence_client *c = find_client(s, g, client);

    return c != NULL && c->newest == position;
}

bool sequence_torn(const struct sequence *s, const struct sequence_entry *e)
{
    const struct sequence_lane *lane =
        s->scope == PREDICT_SCOPE_GLOBAL ? &s->everyone : &e->client->lane;

    return lane->torn_until_ms > e->at_ms;
}

static void drop_front(struct sequence *s, struct graph *g)
{
    struct sequence_entry *e = sequence_at(s, s->front);

    lane_of(s, e->client)->n--;
    e->client->n_listed--;
    drop_idle_client(s, g, e->client);
    graph_unref(g, graph_question(g, e->question));
    s->front++;
}

void sequence_close(struct sequence *s, struct graph *g, const struct sequence_entry *window)
{
    struct sequence_entry *e = &s->entries[window - s->entries];

    assert(e->opens);
    e->opens = false;
    s->n_windows--;
    while (s->front != s->end && !sequence_at(s, s->front)->opens)
        drop_front(s, g);
}

void sequence_clear(struct sequence *s, struct graph *g)
{
    while (s->front != s->end)
        drop_front(s, g);
    graph_release(g, s->entries, s->cap * sizeof *s->entries);
    sequence_init(s, s->max, s->scope);
}

/* ---- checking -------------------------------------------------------------------------------- */

static const char *check_entry(const struct sequence *s, const struct graph *g, uint32_t at)
{
    const struct sequence_entry *e = sequence_at(s, at), *next = sequence_next(s, e);

    if (e->question >= g->n_slots)
        return "a listed question is out of range";
    if (at != s->front && sequence_at(s, at - 1)->at_ms > e->at_ms)
        return "requests are not listed in the order of time";
    if (next == NULL)
        return NULL;
    if (e->next - s->front >= s->end - s->front || e->next - s->front < at - s->front)
        return "a request is followed by one that is not listed after it";
    if (s->scope == PREDICT_SCOPE_CLIENT && next->client != e->client)
        return "a request is followed by another client's";
    return NULL;
}

static const char *check_clients(const struct sequence *s)
{
    const struct sequence_client *c;
    uint32_t n = 0;

    for (c = s->clients; c != NULL; c = c->hh.next) {
        if (c->n_listed == 0 || c->n_listed > s->max / SEQUENCE_CLIENT_PART)
            return "a client has no requests listed, or too many";
        if (s->scope == PREDICT_SCOPE_CLIENT && c->lane.n != c->n_listed)
            return "a client's lane has another length than what it listed";
        n += c->n_listed;
    }
    if (s->scope == PREDICT_SCOPE_GLOBAL && s->everyone.n != n)
        return "the common lane has a wrong length";
    return n == s->end - s->front ? NULL : "the clients' requests do not add up";
}

const char *sequence_check(const struct sequence *s, const struct graph *g, uint32_t *refs)
{
    uint32_t n_windows = 0;
    const char *wrong;

    if (s->end - s->front > s->cap || s->cap > s->max)
        return "more requests are listed than there is room for";
    if (s->front != s->end && !sequence_at(s, s->front)->opens)
        return "the first request can be reached by no window";
    for (uint32_t at = s->front; at != s->end; at++) {
        wrong = check_entry(s, g, at);
        if (wrong != NULL)
            return wrong;
        refs[sequence_at(s, at)->question]++;
        n_windows += sequence_at(s, at)->opens;
    }
    if (n_windows != s->n_windows)
        return "the number of open windows is wrong";
    return check_clients(s);
}
