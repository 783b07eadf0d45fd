/* grid.h: many settings rehearsed on one trace, side by side, and which of them are worth having.
 * Knows settings and results; never how they are shown. */
#ifndef DNSD_TOOLS_GRID_H
#define DNSD_TOOLS_GRID_H

#include "tools/rehearsal.h"

#include <stdbool.h>
#include <stddef.h>

#define GRID_NONE SIZE_MAX

struct grid_point {
    uint64_t window_ms;
    unsigned score;
    unsigned confidence_percent;
    struct rehearsal result;
    double saved, extra; /* shares */
    bool frontier;       /* no other point saves as much for less, or more for as much */
};

struct grid {
    struct grid_point *points; /* by window, score, confidence */
    size_t n;
    size_t best; /* the one that saves most within the limit of extra questions; or GRID_NONE */
};

/* How many points there are to try: windows and confidences, and by the rule of 2007 scores. What
 * no follower could reach is none. */
size_t grid_size(const struct rehearsal_conf *base);

/* Tries them all, in as many threads as there are processors; all but window, score and confidence
 * is as in base. progress is called from any of them. NULL, or why it failed; grid_free either
 * way. */
const char *grid_run(const struct trace *t, const struct rehearsal_conf *base,
    rehearsal_progress *progress, void *ctx, struct grid *out);
void grid_free(struct grid *g);

/* Finds the frontier, and the best one for at most extra_max more questions. */
void grid_judge(struct grid *g, double extra_max);

#endif
