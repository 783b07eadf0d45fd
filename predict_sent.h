/* predict_sent.h: prefetches that no client has asked for yet, and what becomes of them. For
 * predict*.c only; knows questions, times, what our own side holds, and clients by their
 * fingerprints; never scores or the budget. */
#ifndef DNSD_PREDICT_SENT_H
#define DNSD_PREDICT_SENT_H

#include "predict_graph.h"

#define SENT_MAX 1024 /* whose use is awaited; then one of them counts as unused */

struct sent {
    uint32_t question; /* referred to; its sent_slot leads here */
    uint32_t client;   /* fingerprint of the one for whom it was fetched */
    bool landed;
    uint64_t sent_ms;
    uint64_t landed_ms;
    uint64_t fresh_ms; /* its lifetime from landing on */
};

/* Zeroed, and the pointers filled in. */
struct sents {
    struct graph *graph;
    const struct predict_world *world;
    struct predict_counts *counts;
    struct sent list[SENT_MAX];
    unsigned n;
    unsigned hand; /* the next one to be looked at for its expiry */
};

/* What our own side holds for a question. */
static inline enum predict_copy sent_copy(
    const struct sents *s, const struct graph_question *q, uint64_t now_ms)
{
    return s->world->copy(s->world->ctx, q->key, q->key_len, now_ms);
}

/* For how long our copy is fresh, 0 where the world does not tell. */
uint64_t sent_fresh_ms(const struct sents *s, const struct graph_question *q, uint64_t now_ms);

/* A prefetch of q left; there is none of it in the list. */
void sent_add(struct sents *s, struct graph_question *q, uint32_t client, uint64_t now_ms);

/* What follows is of questions of which there is one (sent_slot > 0), and may free the question,
 * unless the caller has a reference. */

static inline uint32_t sent_client(const struct sents *s, const struct graph_question *q)
{
    return s->list[q->sent_slot - 1].client;
}

/* It serves nobody any more. */
void sent_waste(struct sents *s, struct graph_question *q);

void sent_landed(struct sents *s, struct graph_question *q, bool ok, uint64_t now_ms);

/* A client asks for q: alone it would have asked upstream now, unless `had` it a copy of its own.
 * `answered`: our copy was there. Returns whether the prefetch was in time. The caller has a
 * reference. */
bool sent_use(struct sents *s, struct graph_question *q, bool answered, bool had, uint64_t now_ms);

/* Whether it can still be of use, our copy of it being such. */
bool sent_is_useful(const struct sents *s, const struct graph_question *q, enum predict_copy copy);

/* Looks at n of them, so that those which expired do not stay for ever. */
void sent_sweep(struct sents *s, unsigned n, uint64_t now_ms);

/* Gives all of them up. */
void sent_clear(struct sents *s);

/* NULL, or what is broken. Adds the references it holds to refs[id]. */
const char *sent_check(const struct sents *s, uint32_t *refs);

#endif
