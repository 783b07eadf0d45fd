/* predict_burst.h: clients' bursts of questions, which of them go without prefetch, and how long
 * clients waited in those and in the others. For predict*.c only; knows clients, times and
 * questions; never scores or prefetches.
 *
 * A burst is what a client asks until it is silent for more than BURST_SILENCE_MS. Its group is
 * drawn when it begins. Its first question is not counted: nothing could have fetched it ahead, so
 * it would only dilute the comparison. Nor are questions that failed: no prefetch would have
 * helped. */
#ifndef DNSD_PREDICT_BURST_H
#define DNSD_PREDICT_BURST_H

#include "predict_graph.h"

#define BURST_SILENCE_MS  5000
#define BURST_WAITS_MAX   1024  /* misses under way; while there are so many nothing is counted */
#define BURST_WAIT_MAX_MS 10000 /* one that has not landed by then never will */
#define BURST_CLIENTS_MAX 4096u
#define BURST_BYTES       4096 /* of bytes_max for one client: a thirtieth goes to them all */

struct burst_client {
    UT_hash_handle hh;
    struct burst_client *prev, *next; /* longest silent first */
    uint64_t last_ms;
    uint8_t id[PREDICT_CLIENT_LEN];
    enum predict_group group;
};

/* A client's miss that has not landed. */
struct burst_wait {
    uint64_t since_ms;
    uint32_t question;
    uint16_t next; /* 1 + the next in its chain or among the free ones, or 0 */
    uint8_t group;
    bool taken;
};

struct bursts {
    uint8_t key[PREDICT_SEED_LEN]; /* of the draw */
    struct burst_client *clients;  /* uthash: those in a burst */
    struct burst_client *order;    /* the same, longest silent first */
    uint64_t n_begun;
    uint32_t clients_max;
    struct predict_waits waits_of[PREDICT_GROUPS];
    struct burst_wait waits[BURST_WAITS_MAX];
    uint16_t chains[BURST_WAITS_MAX]; /* by question: 1 + the first wait, or 0 */
    uint16_t free;                    /* 1 + a free one, or 0 */
    unsigned n_waits;
    unsigned hand; /* the wait to be looked at next for its age */
};

void burst_init(struct bursts *b, size_t bytes_max, const uint8_t seed[PREDICT_SEED_LEN]);
void burst_clear(struct bursts *b, struct graph *g);

/* Where a client's question stands. */
struct burst_place {
    enum predict_group group;
    bool counted;
};

/* A client asks. Of a hundred bursts about control_percent go into the control group. Where there
 * is no room for the client its question is treated and not counted. */
struct burst_place burst_ask(struct bursts *b, struct graph *g,
    const uint8_t client[PREDICT_CLIENT_LEN], unsigned control_percent, uint64_t now_ms);

/* A question that is counted had its answer at once, or waits for it. */
void burst_answered(struct bursts *b, enum predict_group group);
void burst_await(
    struct bursts *b, struct graph_question *q, enum predict_group group, uint64_t now_ms);

/* The question landed: its waits end. Gives their references to it up. */
void burst_landed(
    struct bursts *b, struct graph *g, struct graph_question *q, bool ok, uint64_t now_ms);

/* Waiting that prefetching saved those who had it, as the control group lets it seem: how much
 * longer its questions waited on average, times the others' questions. Below 0 where they waited
 * less, 0 while nothing is known. */
int64_t burst_measured_ms(const struct bursts *b);

/* NULL, or what is broken. Adds the references it holds to refs[id]. */
const char *burst_check(const struct bursts *b, const struct graph *g, uint32_t *refs);

#endif
