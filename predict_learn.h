/* predict_learn.h: what a window teaches when it closes. For predict*.c only; knows the table, the
 * sequence and time as numbers; never prefetches, the budget or the cache, but by one question that
 * it asks. predict.c explains the rule. */
#ifndef DNSD_PREDICT_LEARN_H
#define DNSD_PREDICT_LEARN_H

#include "predict_sequence.h"

/* Zeroed, and all but mark filled in, before the first window. */
struct learner {
    struct graph *graph;
    const struct sequence *sequence;
    const struct predict_conf *conf;
    void *ctx;
    /* Whether the client's own cache may have hidden a request for the follower from us. */
    bool (*may_be_hidden)(void *ctx, struct graph_question *follower);
    uint64_t mark; /* grows by 3 with each lesson; predict_learn.c tells what it stands for */
};

/* Takes over what the window saw, which is about to close: at its time, or before it (early), which
 * adds but subtracts nothing. Where there is no room for the trigger, nothing is learned. */
void learn_window(struct learner *l, const struct sequence_entry *window, bool early);

#endif
