/* predict_burst.c: clients' bursts, the draw of their group, and the waits of both groups.
 * Knows clients, times and questions by id; never scores or prefetches.
 *
 * The draw: SipHash of the client and the number of the burst, with a key of our own, so that a
 * test can repeat it and no client can foresee it. Whole bursts are drawn and not questions: what
 * the first question of a page would have brought is missed by all that follow. Prefetches made for
 * others still serve the control group, so what is measured is rather too little than too much. */
#include "predict_burst.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>
#include <utlist.h>

static_assert((BURST_WAITS_MAX & (BURST_WAITS_MAX - 1)) == 0, "chains are found by a mask");
static_assert(BURST_WAITS_MAX < UINT16_MAX, "places in chains are 16 bits");

static void free_all_waits(struct bursts *b)
{
    for (unsigned i = 0; i < BURST_WAITS_MAX; i++)
        b->waits[i].next = (uint16_t)(i + 2);
    b->waits[BURST_WAITS_MAX - 1].next = 0;
    b->free = 1;
}

void burst_init(struct bursts *b, size_t bytes_max, const uint8_t seed[PREDICT_SEED_LEN])
{
    static const uint8_t purpose[] = "bursts without prefetch";

    memset(b, 0, sizeof *b);
    crypto_generichash(b->key, sizeof b->key, purpose, sizeof purpose, seed, PREDICT_SEED_LEN);
    b->clients_max = BURST_CLIENTS_MAX;
    if (b->clients_max > bytes_max / BURST_BYTES)
        b->clients_max = (uint32_t)(bytes_max / BURST_BYTES);
    free_all_waits(b);
}

/* ---- waits ----------------------------------------------------------------------------------- */

static uint16_t *chain_of(struct bursts *b, uint32_t question)
{
    return &b->chains[question & (BURST_WAITS_MAX - 1)];
}

/* Takes the one at *link, which leads to it, out of its chain. */
static void unchain(struct bursts *b, struct graph *g, uint16_t *link)
{
    uint16_t place = *link;
    struct burst_wait *w = &b->waits[place - 1];

    *link = w->next;
    w->next = b->free;
    w->taken = false;
    b->free = place;
    b->n_waits--;
    graph_unref(g, graph_question(g, w->question));
}

static void free_wait(struct bursts *b, struct graph *g, unsigned at)
{
    uint16_t *link = chain_of(b, b->waits[at].question);

    while (*link != at + 1)
        link = &b->waits[*link - 1].next;
    unchain(b, g, link);
}

/* One wait at a time is looked at, so that those whose end nobody told do not stay for ever. */
static void sweep_wait(struct bursts *b, struct graph *g, uint64_t now_ms)
{
    const struct burst_wait *w = &b->waits[b->hand];

    if (b->n_waits == 0)
        return;
    if (w->taken && now_ms - w->since_ms > BURST_WAIT_MAX_MS)
        free_wait(b, g, b->hand);
    b->hand = (b->hand + 1) % BURST_WAITS_MAX;
}

void burst_answered(struct bursts *b, enum predict_group group)
{
    b->waits_of[group].questions++;
}

void burst_await(
    struct bursts *b, struct graph_question *q, enum predict_group group, uint64_t now_ms)
{
    uint16_t place = b->free, *chain = chain_of(b, q->id);
    struct burst_wait *w;

    assert(place != 0); /* else the question is not counted */
    w = &b->waits[place - 1];
    b->free = w->next;
    *w = (struct burst_wait){.since_ms = now_ms,
        .question = q->id,
        .next = *chain,
        .group = (uint8_t)group,
        .taken = true};
    *chain = place;
    b->n_waits++;
    graph_ref(q);
}

void burst_landed(
    struct bursts *b, struct graph *g, struct graph_question *q, bool ok, uint64_t now_ms)
{
    uint32_t question = q->id; /* q may go with its last wait */
    uint16_t *link = chain_of(b, question);

    while (*link != 0) {
        const struct burst_wait *w = &b->waits[*link - 1];
        struct predict_waits *of = &b->waits_of[w->group];

        if (w->question != question) {
            link = &b->waits[*link - 1].next;
            continue;
        }
        if (ok && now_ms - w->since_ms <= BURST_WAIT_MAX_MS) {
            of->questions++;
            of->waits++;
            of->waiting_ms += now_ms - w->since_ms;
        }
        unchain(b, g, link);
    }
}

/* ---- clients --------------------------------------------------------------------------------- */

static void end_burst(struct bursts *b, struct graph *g, struct burst_client *c)
{
    HASH_DELETE(hh, b->clients, c);
    DL_DELETE(b->order, c);
    graph_release(g, c, sizeof *c);
}

static bool is_over(const struct burst_client *c, uint64_t now_ms)
{
    return now_ms - c->last_ms > BURST_SILENCE_MS;
}

static enum predict_group draw(
    const struct bursts *b, const uint8_t client[PREDICT_CLIENT_LEN], unsigned control_percent)
{
    uint8_t in[PREDICT_CLIENT_LEN + sizeof b->n_begun], out[crypto_shorthash_BYTES];
    uint64_t drawn;

    memcpy(in, client, PREDICT_CLIENT_LEN);
    memcpy(in + PREDICT_CLIENT_LEN, &b->n_begun, sizeof b->n_begun);
    crypto_shorthash(out, in, sizeof in, b->key);
    memcpy(&drawn, out, sizeof drawn);
    return drawn % 100 < control_percent ? PREDICT_CONTROL : PREDICT_TREATED;
}

static void begin_burst(struct bursts *b, struct burst_client *c, unsigned control_percent)
{
    b->n_begun++;
    c->group = draw(b, c->id, control_percent);
    b->waits_of[c->group].bursts++;
}

static struct burst_client *add_client(
    struct bursts *b, struct graph *g, const uint8_t id[PREDICT_CLIENT_LEN], unsigned hash)
{
    struct burst_client *c;

    if (HASH_COUNT(b->clients) >= b->clients_max || !graph_room(g, sizeof *c))
        return NULL;
    c = graph_alloc(g, sizeof *c);
    if (c == NULL)
        return NULL;
    memset(c, 0, sizeof *c);
    memcpy(c->id, id, sizeof c->id);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, b->clients, c->id, sizeof c->id, hash, c);
    if (c->hh.tbl == NULL) {
        graph_release(g, c, sizeof *c);
        return NULL;
    }
    DL_APPEND(b->order, c);
    return c;
}

/* Two that are over go for each one that may come: those that are over never pile up. */
static void end_silent(struct bursts *b, struct graph *g, uint64_t now_ms)
{
    for (int i = 0; i < 2 && b->order != NULL && is_over(b->order, now_ms); i++)
        end_burst(b, g, b->order);
}

struct burst_place burst_ask(struct bursts *b, struct graph *g,
    const uint8_t client[PREDICT_CLIENT_LEN], unsigned control_percent, uint64_t now_ms)
{
    unsigned hash = graph_hash(g, client, PREDICT_CLIENT_LEN);
    struct burst_client *c;
    bool first;

    end_silent(b, g, now_ms);
    sweep_wait(b, g, now_ms);
    HASH_FIND_BYHASHVALUE(hh, b->clients, client, PREDICT_CLIENT_LEN, hash, c);
    first = c == NULL || is_over(c, now_ms);
    if (c == NULL)
        c = add_client(b, g, client, hash);
    if (c == NULL)
        return (struct burst_place){.group = PREDICT_TREATED};
    if (first)
        begin_burst(b, c, control_percent);
    c->last_ms = now_ms;
    DL_DELETE(b->order, c);
    DL_APPEND(b->order, c);
    return (struct burst_place){.group = c->group, .counted = !first && b->free != 0};
}

/* ---- figures and the end --------------------------------------------------------------------- */

int64_t burst_measured_ms(const struct bursts *b)
{
    const struct predict_waits *control = &b->waits_of[PREDICT_CONTROL];
    const struct predict_waits *treated = &b->waits_of[PREDICT_TREATED];
    double expected_ms;

    if (control->questions == 0 || treated->questions == 0)
        return 0;
    expected_ms =
        (double)control->waiting_ms / (double)control->questions * (double)treated->questions;
    return (int64_t)(expected_ms - (double)treated->waiting_ms);
}

void burst_clear(struct bursts *b, struct graph *g)
{
    for (unsigned i = 0; i < BURST_WAITS_MAX; i++)
        if (b->waits[i].taken)
            free_wait(b, g, i);
    while (b->order != NULL)
        end_burst(b, g, b->order);
}

static const char *check_waits(const struct bursts *b, const struct graph *g, uint32_t *refs)
{
    unsigned n = 0, n_free = 0;

    for (unsigned i = 0; i < BURST_WAITS_MAX; i++) {
        unsigned n_here = 0;

        for (unsigned at = b->chains[i]; at != 0; at = b->waits[at - 1].next) {
            const struct burst_wait *w = &b->waits[at - 1];

            if (++n_here > BURST_WAITS_MAX || !w->taken)
                return "a chain of waits goes in circles or to one that is free";
            if (w->question >= g->n_slots || (w->question & (BURST_WAITS_MAX - 1)) != i)
                return "a wait is in another question's chain";
            refs[w->question]++;
        }
        n += n_here;
    }
    for (unsigned at = b->free; at != 0 && n_free <= BURST_WAITS_MAX; at = b->waits[at - 1].next)
        n_free++;
    return n == b->n_waits && n + n_free == BURST_WAITS_MAX ? NULL : "waits were lost";
}

const char *burst_check(const struct bursts *b, const struct graph *g, uint32_t *refs)
{
    const struct burst_client *c;
    unsigned n = 0;

    for (c = b->order; c != NULL; c = c->next, n++)
        if (c->next != NULL && c->next->last_ms < c->last_ms)
            return "clients are not in the order of their last question";
    if (n != HASH_COUNT(b->clients) || n > b->clients_max)
        return "clients in a burst were lost, or are too many";
    return check_waits(b, g, refs);
}
