/* predict_sequence.h: the requests that open windows can still reach, in the order in which they
 * came, and those windows. For predict*.c only; knows clients and times as numbers, never scores.
 *
 * One list for all clients. A window is a position in it: that of the request which opened it. All
 * windows last equally long, so they are due in the order of the list, and its front is the oldest
 * open window. Requests of one client (or of all, with scope global) are linked by position. */
#ifndef DNSD_PREDICT_SEQUENCE_H
#define DNSD_PREDICT_SEQUENCE_H

#include "predict_graph.h"

#define SEQUENCE_CLIENT_PART 4  /* one client's share of the list is at most a fourth */
#define SEQUENCE_SAME_MAX    32 /* windows open at once for one question, of different clients */

/* The requests that follow each other. */
struct sequence_lane {
    uint32_t newest;        /* position, if n > 0 */
    uint32_t n;             /* requests listed */
    uint64_t torn_until_ms; /* windows opened before that may have missed a request */
};

struct sequence_client {
    UT_hash_handle hh;
    uint8_t id[PREDICT_CLIENT_LEN];
    uint32_t fingerprint;
    uint32_t n_listed;
    uint32_t newest; /* position of its own newest request */
    struct sequence_lane lane;
};

struct sequence_entry {
    uint64_t at_ms;
    struct sequence_client *client;
    uint32_t question;
    uint32_t next; /* position of the next request of the lane; its own if there is none */
    uint32_t prev; /* of the one before, if that is still listed and n of the lane says so */
    uint32_t same; /* position where an older window of the same question may be */
    bool opens;    /* a window, which is open still */
};

struct sequence {
    struct sequence_entry *entries;  /* a ring; positions wrap around at 2^32 */
    uint32_t cap;                    /* a power of two, or 0 */
    uint32_t max;                    /* a power of two */
    uint32_t front, end;             /* positions: [front, end) is listed */
    struct sequence_client *clients; /* uthash: those who have requests listed */
    uint32_t n_windows;
    enum predict_scope scope;
    struct sequence_lane everyone; /* with scope global */
};

void sequence_init(struct sequence *s, uint32_t max, enum predict_scope scope);

/* Forgets all requests and windows. */
void sequence_clear(struct sequence *s, struct graph *g);

/* Lists a request and opens a window for it; with `reopen` also where this client's window for the
 * question is open until after now_ms. q is NULL for a question that the graph does not know yet;
 * else the caller has a reference to it. Returns the question, or NULL: the request is not listed
 * for want of room, and the open windows that should have seen it count as torn. */
struct graph_question *sequence_list(struct sequence *s, struct graph *g,
    const struct predict_request *r, struct graph_question *q, unsigned hash, uint64_t now_ms,
    uint64_t window_ms, bool reopen);

static inline struct sequence_entry *sequence_at(const struct sequence *s, uint32_t position)
{
    return &s->entries[position & (s->cap - 1)];
}

/* Whether more than one client has requests listed. */
static inline bool sequence_has_others(const struct sequence *s)
{
    return HASH_COUNT(s->clients) > 1;
}

/* The oldest open window, or NULL. */
const struct sequence_entry *sequence_oldest(const struct sequence *s);

/* The window of this client for the question that is open until after now_ms, or NULL. */
const struct sequence_entry *sequence_window(const struct sequence *s, const struct graph *g,
    const uint8_t client[PREDICT_CLIENT_LEN], const struct graph_question *q, uint64_t now_ms,
    uint64_t window_ms);

/* The newest request of the client's lane, or NULL, and the one before e in its lane, or NULL. */
const struct sequence_entry *sequence_newest(
    const struct sequence *s, const struct graph *g, const uint8_t client[PREDICT_CLIENT_LEN]);
const struct sequence_entry *sequence_prev(
    const struct sequence *s, const struct sequence_entry *e);

/* Whether the client's own newest request stands there. */
bool sequence_is_newest(const struct sequence *s, const struct graph *g,
    const uint8_t client[PREDICT_CLIENT_LEN], uint32_t position);

/* The request after e in its lane, or NULL. */
const struct sequence_entry *sequence_next(
    const struct sequence *s, const struct sequence_entry *e);

/* Whether a request that this window should have seen was not listed. */
bool sequence_torn(const struct sequence *s, const struct sequence_entry *e);

/* Closes an open window and frees what none can reach any more. */
void sequence_close(struct sequence *s, struct graph *g, const struct sequence_entry *window);

/* The client's fingerprint. */
uint32_t sequence_fingerprint(
    const struct sequence *s, const struct graph *g, const uint8_t client[PREDICT_CLIENT_LEN]);

/* NULL, or what is broken. Adds the references it holds to refs[id]. */
const char *sequence_check(const struct sequence *s, const struct graph *g, uint32_t *refs);

#endif
