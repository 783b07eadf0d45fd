/* predict_vote.h: the vote: how likely the followers are that a client's open triggers know. For
 * predict*.c only; knows the table, the sequence and time as numbers; never prefetches, the budget
 * or the cache. predict.c explains the rule. */
#ifndef DNSD_PREDICT_VOTE_H
#define DNSD_PREDICT_VOTE_H

#include "predict_sequence.h"

#define VOTES_MAX   1024 /* that are counted, and followers that they may name */
#define TALLIES_MAX 4096 /* a power of two, so large that most are found at once */

/* What a trigger that votes says of a follower: that it was seen in p of n windows. */
struct vote {
    struct tally *tally; /* of the follower */
    double p, n;
};

/* What the votes say of a follower. */
struct tally {
    uint64_t stamp; /* the poll that it belongs to */
    uint32_t question;
    uint32_t own_stamp; /* the voter that own_p is of */
    bool asked;         /* since those who are heard now */
    double own_p;
    double mean; /* of the votes; their sum until all are heard */
    double best; /* of them, each as sure as it may be */
};

/* Zeroed before the first poll; each writes over the one before. */
struct poll {
    uint64_t stamp;
    uint32_t voter; /* grows with each */
    unsigned n_walked, n_voters, n_votes, n_tallies;
    struct vote votes[VOTES_MAX];
    struct tally *order[VOTES_MAX]; /* the tallies, by first appearance */
    struct tally tallies[TALLIES_MAX];
};

/* Who asks, and who is heard: the triggers of this client's lane that are open at now_ms. */
struct electorate {
    const struct graph *graph;
    const struct sequence *sequence;
    const struct predict_conf *conf;
    const uint8_t *client; /* PREDICT_CLIENT_LEN bytes */
    uint32_t fingerprint;  /* the client's */
    uint64_t now_ms;
};

/* Hears the triggers. The tallies are then in poll->order; those with a mean of 0 were named by
 * nobody who was heard. */
void vote_hold(struct poll *poll, const struct electorate *e);

/* How likely a follower is. */
static inline double vote_likelihood(const struct tally *t)
{
    return (5 * t->best + t->mean) / 6;
}

/* The time that the poll took, in looks at the cache. */
unsigned vote_looks(const struct poll *poll);

#endif
