/* visit.h: one visit to a page: the names of its tree are asked, each after its parent, and timed.
 * Knows trees and the stub; never how the times are shown. */
#ifndef DNSD_TOOLS_VISIT_H
#define DNSD_TOOLS_VISIT_H

#include "tools/stub.h"
#include "tools/tree.h"

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

struct visit_plan {
    struct ev_loop *loop;
    struct stub *stub;
    const struct tree *tree;
    const struct addr *source; /* NULL: the kernel chooses */
    const uint16_t *types;     /* what is asked for each name, all at once */
    size_t n_types;
};

struct visit_result {
    double wall_ms; /* from the start to the last answer */
    double dns_ms;  /* of these, waiting for answers on the way to the last one */
    size_t questions;
    size_t failures; /* of the questions */
};

struct visit;

/* Called when the last name has its answers; the visit is free to be freed then. */
typedef void visit_done(void *ctx, const struct visit_result *result);

/* A name's answer is there when all of its types have theirs, or have failed; then each child is
 * asked after its delay, and at once where that is negative: nobody can have read of it in a page
 * whose address was not known. What the plan points to must last. NULL when memory is out. */
struct visit *visit_start(const struct visit_plan *plan, visit_done *done, void *ctx);

/* Not before done was called. NULL is fine. */
void visit_free(struct visit *v);

#endif
