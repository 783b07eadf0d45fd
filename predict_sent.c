/* predict_sent.c: keeps the list of prefetches whose use is awaited, and tells used from unused.
 * Knows what our own side holds, by asking; never why a question was fetched. */
#include "predict_sent.h"

#include <assert.h>

static void drop(struct sents *s, struct graph_question *q)
{
    unsigned at = q->sent_slot - 1u;

    assert(q->sent_slot > 0 && at < s->n);
    s->list[at] = s->list[--s->n];
    if (at < s->n)
        graph_question(s->graph, s->list[at].question)->sent_slot = (uint16_t)(at + 1);
    q->sent_slot = 0;
    graph_unref(s->graph, q);
}

void sent_waste(struct sents *s, struct graph_question *q)
{
    s->counts->unused++;
    drop(s, q);
}

static bool is_useful(const struct sent *sent, enum predict_copy copy)
{
    return copy == PREDICT_FRESH || (!sent->landed && copy == PREDICT_UNDER_WAY);
}

bool sent_is_useful(const struct sents *s, const struct graph_question *q, enum predict_copy copy)
{
    return is_useful(&s->list[q->sent_slot - 1], copy);
}

void sent_sweep(struct sents *s, unsigned n, uint64_t now_ms)
{
    struct graph_question *q;

    for (; n > 0 && s->n > 0; n--) {
        s->hand = (s->hand + 1) % s->n;
        q = graph_question(s->graph, s->list[s->hand].question);
        if (!is_useful(&s->list[s->hand], sent_copy(s, q, now_ms)))
            sent_waste(s, q);
    }
}

void sent_add(struct sents *s, struct graph_question *q, uint32_t client, uint64_t now_ms)
{
    assert(q->sent_slot == 0);
    if (s->n == SENT_MAX) {
        s->hand = (s->hand + 1) % SENT_MAX;
        sent_waste(s, graph_question(s->graph, s->list[s->hand].question));
    }
    s->list[s->n++] = (struct sent){.question = q->id, .client = client, .sent_ms = now_ms};
    q->sent_slot = (uint16_t)s->n;
    graph_ref(q);
}

uint64_t sent_fresh_ms(const struct sents *s, const struct graph_question *q, uint64_t now_ms)
{
    const struct predict_world *w = s->world;
    uint64_t until_ms =
        w->fresh_until_ms == NULL ? 0 : w->fresh_until_ms(w->ctx, q->key, q->key_len, now_ms);

    return until_ms > now_ms ? until_ms - now_ms : 0;
}

void sent_landed(struct sents *s, struct graph_question *q, bool ok, uint64_t now_ms)
{
    struct sent *sent = &s->list[q->sent_slot - 1];

    if (sent->landed)
        return;
    if (!ok) {
        sent_waste(s, q);
        return;
    }
    sent->landed = true;
    sent->landed_ms = now_ms;
    sent->fresh_ms = sent_fresh_ms(s, q, now_ms);
}

bool sent_use(struct sents *s, struct graph_question *q, bool answered, bool had, uint64_t now_ms)
{
    const struct sent sent = s->list[q->sent_slot - 1];

    if (sent.landed && !answered) {
        sent_waste(s, q); /* it came and went */
        return false;
    }
    drop(s, q);
    if (sent.landed)
        s->counts->used++;
    else
        s->counts->used_late++;
    if (had)
        return true;
    s->counts->saved_ms += (sent.landed ? sent.landed_ms : now_ms) - sent.sent_ms;
    q->used_late = !sent.landed;
    /* Alone, its answer would be a round trip away: until then others would have joined it. */
    q->own_until_ms = sent.landed ? now_ms + (sent.landed_ms - sent.sent_ms) + sent.fresh_ms
                                  : now_ms - sent.sent_ms;
    return true;
}

void sent_clear(struct sents *s)
{
    while (s->n > 0)
        drop(s, graph_question(s->graph, s->list[s->n - 1].question));
}

const char *sent_check(const struct sents *s, uint32_t *refs)
{
    const struct graph_question *q;
    unsigned n = 0;

    for (unsigned i = 0; i < s->n; i++) {
        if (s->list[i].question >= s->graph->n_slots)
            return "the question of a prefetch is out of range";
        q = graph_question(s->graph, s->list[i].question);
        if (q->sent_slot != i + 1)
            return "a question does not lead to its prefetch";
        refs[q->id]++;
    }
    for (q = s->graph->questions; q != NULL; q = q->hh.next)
        n += q->sent_slot > 0;
    return n == s->n ? NULL : "a question has a prefetch that is not listed";
}
