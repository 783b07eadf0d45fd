/* predict_graph.h: what was learned: questions, and of each one the dependencies with their scores,
 * inside a budget of bytes. For predict*.c only; knows keys as bytes, never time or clients'
 * addresses.
 *
 * A question lives as long as something refers to it: a listed request, a dependency on it, its own
 * dependencies, a prefetch of it. Nothing else is kept, so a name that leads nowhere costs nothing
 * once its window has closed. A question with dependencies is a trigger: once for all clients, and
 * by the rule that lets triggers vote also for each client that showed it by itself. */
#ifndef DNSD_PREDICT_GRAPH_H
#define DNSD_PREDICT_GRAPH_H

#include "predict.h"

/* uthash takes its memory from the budget too: `g` is the graph where its macros are used. */
#define HASH_NONFATAL_OOM     1
#define uthash_malloc(size)   graph_alloc(g, size)
#define uthash_free(ptr, len) graph_release(g, ptr, len)
#include <uthash.h>

#define GRAPH_SHOWN_MAX   (PREDICT_SHARE_MAX - 1)
#define GRAPH_WINDOWS_MAX 16 /* when a trigger had so many, its counts of windows are halved */
#define GRAPH_ALL         0  /* in place of a client's fingerprint, which never is 0 */
#define GRAPH_OWN_MAX     32 /* clients that a question can be a trigger of, besides of all */
#define GRAPH_PROVEN      2  /* a score that chance, or a name used once, does not reach */

/* A dependency: 16 bytes, since there are hundreds of thousands. */
struct graph_pair {
    uint32_t follower : 29;          /* a question's id */
    uint32_t n_shown : 3;            /* distinct clients, PREDICT_SHARE_MAX standing for more */
    uint16_t shown[GRAPH_SHOWN_MAX]; /* of the fingerprints of those who showed it, 16 bits */
    uint16_t score;                  /* 2007's, at least 1; by the vote it tells what is proven */
    uint16_t lag_ms; /* predict_learn.c: about the median; PREDICT_LAG_MAX_MS is or more */
    uint8_t seen;    /* windows of the trigger that saw it */
    uint8_t windows; /* of those that could tell */
};
#define GRAPH_ID_MAX 0x1fffffff

/* What all clients, or one of them, showed to follow a question. */
struct graph_trigger {
    struct graph_trigger *prev, *next; /* least recently asked first */
    struct graph_trigger *other;       /* the next of the same question */
    struct graph_pair *pairs;          /* by first appearance */
    uint32_t question;                 /* referred to */
    uint32_t client;                   /* fingerprint, or GRAPH_ALL */
    uint32_t sole; /* GRAPH_ALL: the only client that showed it so far, or 0: there were more */
    uint16_t n_pairs;
    uint16_t pairs_cap;
    uint16_t top;    /* highest score among the pairs */
    uint8_t windows; /* it had as a trigger */
    bool listed : 1; /* it stands among the triggers */
    bool proven : 1; /* in the list of those with top >= GRAPH_PROVEN */
};

struct graph_question {
    UT_hash_handle hh;
    struct graph_trigger *triggers; /* of this question: the most recently changed first */
    uint64_t own_until_ms;          /* predict.c: had its client fetched it itself, it would be
                                       fresh until then (0: no matter) */
    uint32_t id;
    uint32_t refs;
    uint32_t life_ms;     /* of its last answer, from its landing on */
    uint32_t last_window; /* predict_sequence.c: where its newest window may be */
    uint16_t key_len;     /* 1 to PREDICT_KEY_MAX */
    uint16_t sent_slot;   /* predict_sent.c: 1 + where its unused prefetch stands, or 0 */
    bool answered : 1;    /* the last answer that came for it was one */
    bool life_known : 1;
    bool used_late : 1; /* and own_until_ms is how long before its landing it was sent */
    bool awaited : 1;   /* a client's miss of it went upstream and has not landed */
    uint8_t key[];
};

/* By id. What a closing window writes of each question that it saw stands here, not with the
 * question: it looks at hundreds, and most of those ids are next to each other. */
struct graph_slot {
    union {
        struct graph_question *question;
        uintptr_t next_free; /* 1 + the id of the next free slot, or 0 */
    };
    uint64_t mark;        /* predict_learn.c: the closing that saw it last */
    uint32_t mark_shown;  /* and who asked for it there */
    uint16_t mark_lag_ms; /* and how long after the window's trigger */
};

struct graph {
    size_t bytes; /* in use, malloc's own share included */
    size_t bytes_max;
    uint8_t seed[PREDICT_SEED_LEN];
    uint8_t shown_key[PREDICT_SEED_LEN]; /* of the clients' fingerprints; goes into the file */
    struct graph_question *questions;    /* uthash */
    struct graph_slot *slots;            /* by id */
    uint32_t n_slots, slots_cap;
    uintptr_t free_slot;               /* 1 + an id, or 0 */
    struct graph_trigger *triggers[2]; /* [proven], oldest first */
    size_t n_triggers[2];
    size_t n_pairs;
};

/* Sets an empty graph up; extra bytes are those that its owner takes itself. */
void graph_init(
    struct graph *g, size_t bytes_max, size_t extra_bytes, const uint8_t seed[PREDICT_SEED_LEN]);

/* Forgets all dependencies. What still has references stays. graph_close then frees the tables;
 * nothing may have references by then. */
void graph_clear(struct graph *g);
void graph_close(struct graph *g);

/* Memory inside the budget: NULL when memory is out or the budget would be passed. */
void *graph_alloc(struct graph *g, size_t len);
void graph_release(struct graph *g, void *ptr, size_t len);

/* Makes room for a piece of len bytes by forgetting triggers: those with nothing proven first,
 * unless they are an eighth at most; among equals the least recently asked. Returns whether there
 * is room. */
bool graph_room(struct graph *g, size_t len);

unsigned graph_hash(const struct graph *g, const uint8_t *bytes, size_t len);

/* NULL if it is not known. */
struct graph_question *graph_find(
    const struct graph *g, const uint8_t *key, size_t key_len, unsigned hash);

/* Adds a question that is not known, with one reference. NULL when there is no room. */
struct graph_question *graph_add(
    struct graph *g, const uint8_t *key, size_t key_len, unsigned hash);

void graph_ref(struct graph_question *q);
void graph_unref(struct graph *g, struct graph_question *q); /* frees the last one */

static inline struct graph_question *graph_question(const struct graph *g, uint32_t id)
{
    return g->slots[id].question;
}

/* What the client (GRAPH_ALL: all of them) showed to follow the question, or NULL. */
struct graph_trigger *graph_trigger(const struct graph_question *q, uint32_t client);

/* It was asked: it is the last to be forgotten for room. */
void graph_touch(struct graph *g, struct graph_trigger *trigger);

/* Finds the trigger, or adds it. Until graph_end its pairs may be changed, and it cannot be
 * forgotten for room; one without pairs is freed by graph_end. NULL when there is no room. The
 * caller has a reference to q. */
struct graph_trigger *graph_begin(struct graph *g, struct graph_question *q, uint32_t client);
void graph_end(struct graph *g, struct graph_trigger *trigger);

/* Gives the client a trigger of its own, which knows what that of all does. For want of room it
 * knows less. */
void graph_copy(struct graph *g, const struct graph_trigger *all, uint32_t client);

/* Appends a dependency with score 1; max (0 for none) bounds their number: then the weakest goes,
 * which is the new one unless another has score 1 too and was not seen in this window (the mark of
 * its follower is below mark). Returns it, or NULL. The pointer is good until the next is added. */
struct graph_pair *graph_add_pair(struct graph *g, struct graph_trigger *trigger,
    struct graph_question *follower, unsigned max, uint64_t mark);

/* Gives up what a pair refers to; the caller takes it out of the array. */
void graph_drop_pair(struct graph *g, const struct graph_pair *pair);

/* Fingerprint of a client, noting or asking whether it showed a pair, and whether enough clients
 * (`share`) did for the pair to serve this one. */
uint32_t graph_fingerprint(const struct graph *g, const uint8_t client[PREDICT_CLIENT_LEN]);
void graph_show(struct graph_pair *pair, uint32_t fingerprint);
static inline bool graph_shown_by(const struct graph_pair *pair, uint32_t fingerprint)
{
    for (unsigned i = 0; i < pair->n_shown && i < GRAPH_SHOWN_MAX; i++)
        if (pair->shown[i] == (uint16_t)fingerprint)
            return true;
    return false;
}
static inline bool graph_serves(const struct graph_pair *pair, unsigned share, uint32_t fingerprint)
{
    return pair->n_shown >= share || graph_shown_by(pair, fingerprint);
}

/* The learned table as bytes (predict_file.c). Loading needs a graph that knows nothing yet. */
int graph_save(const struct graph *g, uint8_t **out, size_t *len);
const char *graph_load(struct graph *g, const uint8_t *bytes, size_t len);

/* NULL, or what is broken. extra_refs[id] references come from outside of the graph. */
const char *graph_check(const struct graph *g, const uint32_t *extra_refs);

#endif
