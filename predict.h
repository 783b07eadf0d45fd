/* predict.h: which questions follow which, and which are therefore likely to come.
 * Knows keys (bytes), clients (bytes) and time as numbers; never packets, sockets, the cache's
 * insides or a clock.
 *
 * Words. A *request* is one question (client, key) that dnsd serviced. A request is a *trigger*: it
 * opens a *window* of window_ms. Requests of the same sequence that follow inside the window are
 * *seen* by it. A *dependency* is a (trigger, follower) pair with a *score*. The rule is explained
 * in predict.c. */
#ifndef DNSD_PREDICT_H
#define DNSD_PREDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREDICT_CLIENT_LEN     16
#define PREDICT_SEED_LEN       16
#define PREDICT_KEY_MAX        512 /* longer keys are not learned */
#define PREDICT_NEVER_MS       UINT64_MAX
#define PREDICT_SHARE_MAX      4
#define PREDICT_PREFETCHES_MAX 64
#define PREDICT_TOKENS_MAX                                                                         \
    256 /* prefetches that may go unused before any was earned: a page's worth */
#define PREDICT_BYTES_MIN ((size_t)1 << 20)

struct predict;

enum predict_rule { PREDICT_RULE_VOTE, PREDICT_RULE_2007 };
enum predict_scope { PREDICT_SCOPE_CLIENT, PREDICT_SCOPE_GLOBAL };

struct predict_conf {
    /* The rule. */
    enum predict_rule rule;
    uint64_t window_ms;
    unsigned score;              /* asked for before a dependency is prefetched; at least 1 */
    unsigned confidence_percent; /* the vote: how likely it is with a score of 2; 2007: and this
                                    share of its trigger's windows saw it; 0: any */
    enum predict_scope scope;
    unsigned cap;   /* 2007: highest score; 0 for none (but 65535) */
    unsigned share; /* clients that must have shown a dependency before it serves others; 1 to
                       PREDICT_SHARE_MAX */
    unsigned budget_percent; /* tokens earned per hundred questions upstream that are the clients'
                                own; 0: no limit */
    bool always_subtract;    /* 2007: -1 even where our own copy was still fresh */
    bool reopen; /* 2007: a repeated request opens a window though that of the first is open */
    unsigned control_percent; /* share of clients' bursts that go without prefetch */

    /* Bounds of work and memory. */
    unsigned dependencies_max; /* of one trigger; 0: as many as there is memory for */
    unsigned seen_max;         /* requests that one window looks at; 0: all that are listed */
    unsigned prefetches_max;   /* for one request: the strongest ones; up to
                                  PREDICT_PREFETCHES_MAX; 0: all */
    unsigned looks_per_ms; /* calls of world.copy to prefetch, with a thousandfold in reserve; 0:
                              no limit */
    size_t bytes_max;      /* of memory for everything; at least PREDICT_BYTES_MIN */
};

/* Fills in the defaults of dnsd, or those of 2007 (`-predict-rules seed`): those
 * have no bound but bytes_max on what a window sees and a trigger leads to. */
void predict_conf_default(struct predict_conf *c);
void predict_conf_seed(struct predict_conf *c);

/* What our own side holds for a question, as core.c knows it from cache and flights. */
enum predict_copy { PREDICT_ABSENT, PREDICT_FRESH, PREDICT_UNDER_WAY, PREDICT_FAILED };

struct predict_world {
    void *ctx;
    enum predict_copy (*copy)(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms);
    /* Asks for key in the background. Returns whether it is on its way; predict then awaits
     * predict_landed for it. Must not call back into predict. */
    bool (*prefetch)(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms);
    /* Until when the copy that just landed is fresh; 0 or now_ms for one that serves a single
     * question. May be NULL: then the budget does not see copies that expire early since they were
     * fetched ahead (predict.c). */
    uint64_t (*fresh_until_ms)(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms);
};

/* world and the conf are copied; what lies outside its range is brought into it. NULL when memory
 * is out. */
struct predict *predict_create(const struct predict_conf *conf, const struct predict_world *world,
    const uint8_t seed[PREDICT_SEED_LEN]);
void predict_free(struct predict *p);

/* New settings, but for bytes_max; what was learned stays. Another scope drops the open windows. */
void predict_reconfigure(struct predict *p, const struct predict_conf *conf);

struct predict_request {
    const uint8_t *client; /* PREDICT_CLIENT_LEN bytes (addr_client_id) */
    const uint8_t *key;
    size_t key_len;
    bool answered; /* from the cache: its answer is known to exist; else it went upstream */
};

/* The clients' requests of one turn, after their hits were answered and their misses went upstream.
 * Not for prefetches, retransmissions, overridden and special-use names. Closes windows that are
 * due, lists the requests, then calls world.prefetch for what is likely to follow. All are listed
 * before anything is fetched: a copy that serves one question only is gone once it was asked for,
 * and must not look as if it was missing. Time that runs backwards stands still here. */
void predict_observe(
    struct predict *p, const struct predict_request *requests, size_t n, uint64_t now_ms);

/* A question, whoever asked it, has its answer (ok) or has failed. To be called for every one that
 * predict_observe was told of as not answered, and for every prefetch. */
void predict_landed(
    struct predict *p, const uint8_t *key, size_t key_len, bool ok, uint64_t now_ms);

/* When the next window closes (PREDICT_NEVER_MS: none is open), and closing those that are due: 64
 * in one call, so a due time that is past by then asks for another call. */
uint64_t predict_due_ms(const struct predict *p);
void predict_tick(struct predict *p, uint64_t now_ms);

/* Waiting of clients, measured. A burst is what a client asks until it is silent for more than 5 s.
 * A share of control_percent of the bursts, drawn at random, goes without prefetch, so that the
 * others can be compared with something: it learns like them. Questions are counted but for the
 * first of each burst, which nothing could have fetched ahead, and those that failed. */
enum predict_group { PREDICT_TREATED, PREDICT_CONTROL, PREDICT_GROUPS };

struct predict_waits {
    uint64_t bursts;
    uint64_t questions;  /* after the first of their burst */
    uint64_t waits;      /* of them, those that the cache did not answer */
    uint64_t waiting_ms; /* from question to landing, whoever's question had it fetched */
};

struct predict_counts {
    uint64_t requests;
    uint64_t own;        /* that went upstream without prediction: they did now, or a prefetch of
                            them had */
    uint64_t prefetches; /* sent */
    uint64_t used;       /* asked for by a client after they had landed, while fresh */
    uint64_t used_late;  /* asked for while still under way */
    uint64_t unused;     /* expired or dropped without having been asked for */
    uint64_t early;      /* questions that went upstream since a copy that was fetched ahead expired
                            ahead: with `unused`, all that prediction adds to `own` */
    uint64_t shed;       /* not sent for want of budget or room */
    uint64_t saved_ms;   /* waiting time saved: the round trip, or as much of it as had gone by */
    int64_t measured_ms; /* the same, measured: what questions waited longer in the control group,
                            times those of the other; 0 while one of them is empty */
    struct predict_waits waits[PREDICT_GROUPS];
    uint64_t unlisted;  /* requests that were not learned from, for want of room */
    size_t outstanding; /* prefetches that are neither used nor unused yet */
    size_t windows_open;
    size_t triggers;
    size_t pairs;
    size_t pairs_peak;
    size_t bytes; /* never more than bytes_max */
};
void predict_count(const struct predict *p, struct predict_counts *out);

/* The learned table as bytes: versioned, checksummed, independent of seed and clock; the same table
 * gives the same bytes. It names what was asked, and the fingerprints in it can be tried against
 * addresses: keep it private. *out is malloc'ed for the caller to free. Returns 0, or -1 when
 * memory is out. */
int predict_save(const struct predict *p, uint8_t **out, size_t *len);

/* Takes a saved table over, before anything was observed. What does not fit into bytes_max is left
 * out, the least recently asked first. Returns NULL, or why it was ignored (then nothing was
 * added). */
const char *predict_load(struct predict *p, const uint8_t *bytes, size_t len);

/* A dependency, as it was learned. */
struct predict_pair {
    const uint8_t *trigger, *follower; /* keys */
    size_t trigger_len, follower_len;
    unsigned score;   /* the vote: if its trigger votes alone, rounded down */
    unsigned windows; /* of the trigger that could tell; both are halved every 16 windows */
    unsigned seen;    /* of those, windows that saw the follower */
    unsigned lag_ms;  /* from trigger to follower, about the median; PREDICT_LAG_MAX_MS is that or
                         more */
    unsigned clients; /* that showed it; PREDICT_SHARE_MAX is that or more */
};
#define PREDICT_LAG_MAX_MS 65535

/* Shows all dependencies, trigger by trigger, but for those that are a client's own by the vote:
 * first those with something proven (seen twice; 2007: a score of 2),
 * among them the most recently asked first. Stops where visit returns false, and returns whether
 * it never did. visit must not call back into predict. */
typedef bool predict_visit(void *ctx, const struct predict_pair *pair);
bool predict_walk(const struct predict *p, predict_visit *visit, void *ctx);

/* Walks every invariant; returns NULL, or what is broken. For tests and fuzzers. */
const char *predict_check(const struct predict *p);

/* The score of a pair, 0 if it is not known. For tests and dumps. */
unsigned predict_score(const struct predict *p, const uint8_t *trigger, size_t trigger_len,
    const uint8_t *follower, size_t follower_len);

#endif
