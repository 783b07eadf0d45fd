/* rehearsal.h: what a trace would have been like with prediction, and without: dnsd's own cache and
 * predictor on a virtual clock.
 * Knows a trace, caches and the predictor by their doors; never files or how results are shown.
 *
 * The model. Every answer takes rtt_ms. One cache that all clients share honours the TTL from the
 * moment of asking. A question that a cache without prediction does not hold is a *wait*, unless it
 * is the *first* of its client for more than REHEARSAL_SILENCE_MS: nothing could have told of that
 * one. With prediction, a wait is shortened by the time since the question was asked ahead, at most
 * by the whole of it. */
#ifndef DNSD_TOOLS_REHEARSAL_H
#define DNSD_TOOLS_REHEARSAL_H

#include "predict.h"
#include "tools/trace.h"
#include "tools/ttls.h"

#include <stddef.h>
#include <stdint.h>

#define REHEARSAL_SILENCE_MS 5000
#define REHEARSAL_HOLD_MS    2000 /* or the window, where that is shorter: as dnsd.c has it */

enum rehearsal_ttl0 {
    REHEARSAL_TTL0_SECOND, /* a TTL of 0 counts as 1 */
    REHEARSAL_TTL0_HOLD,   /* nothing is kept but what was asked ahead, for one question */
    REHEARSAL_TTL0_STRICT, /* nothing is kept */
};

struct rehearsal_conf {
    struct predict_conf prediction;
    uint64_t rtt_ms; /* at least 1 */
    enum rehearsal_ttl0 ttl0;
    const struct ttls *ttls; /* NULL: none; before the TTLs that the trace has seen */
    uint32_t ttl_s;          /* of what neither knows */
    uint32_t min_ttl_s, max_ttl_s;
    size_t cache_bytes;
    unsigned under_way_max; /* prefetches at a time; 0: no limit */
    const uint8_t *learned; /* a table of predict_save to start with; NULL: none */
    size_t learned_len;
};

struct rehearsal {
    uint64_t queries;
    uint64_t upstream; /* without prediction */
    uint64_t upstream_predicted;
    uint64_t waits;
    uint64_t saved_ms; /* of waits * rtt_ms */
    uint64_t prefetches;
    uint64_t in_window; /* of them, asked for within the window */
    uint64_t evictions; /* from the cache with prediction, for want of room */
    uint64_t shed;
    uint64_t unlisted;
    size_t pairs_peak;
    size_t bytes_peak;
};

/* Shares, 0 where there is nothing to share: of the waiting saved; of prefetches that were of use;
 * of questions upstream that were added. */
double rehearsal_saved(const struct rehearsal *r, uint64_t rtt_ms);
double rehearsal_precision(const struct rehearsal *r);
double rehearsal_extra(const struct rehearsal *r);

/* Called with the number of events since the last call. */
typedef void rehearsal_progress(void *ctx, size_t n_events);

#define REHEARSAL_NO_MEMORY "memory is out"

/* Runs a trace from its start to its end. Any number of threads may run the same trace. NULL, or
 * why it failed: the text above, or what is wrong with the learned table. */
const char *rehearsal_run(const struct trace *t, const struct rehearsal_conf *conf,
    rehearsal_progress *progress, void *ctx, struct rehearsal *out);

#endif
