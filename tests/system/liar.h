/* liar.h: a server that lies, fails, trickles and sleeps. The first label of the name that is asked
 * says how, so that many questions can be under way at once. Knows messages and when to send them;
 * never dnsd or what is expected of it. */
#ifndef DNSD_TESTS_LIAR_H
#define DNSD_TESTS_LIAR_H

#include "peers.h"

#include <stdatomic.h>

#define LIAR_RIGHT_MS  40  /* from the question to the right reply of a liar */
#define HONEST_MS      250 /* of a server that does not lie: it is not to be preferred */
#define LIAR_FLAPS_MAX 64

/* Names of forgeries (forgery.h, and LIE_FORGERY here) with these as their second labels: the right
 * reply follows, or nothing does. */
#define LIAR_THEN_RIGHT "then-right"
#define LIAR_ONLY       "only"

enum lie_group {
    LIE_FORGERY,
    LIE_CONTENT,     /* it is the reply, but what it says is not to be believed */
    LIE_ERROR,       /* nothing but an error, at all times */
    LIE_EDNS,        /* no EDNS, said in several ways */
    LIE_LATE,        /* or never */
    LIE_STREAM,      /* truncated over UDP; what is wrong is the stream */
    LIE_STREAM_SLOW, /* the same, and it takes its time */
    LIE_FLAPPING,    /* there in one second, silent in the next */
};

/* What comes of it where every server does so. */
enum lie_end {
    LIE_RIGHT,
    LIE_FAILS, /* SERVFAIL */
    LIE_RCODE, /* the server's rcode and nothing else */
    LIE_TTL_0, /* right, but not to be kept */
    LIE_TAKEN, /* a lie about its own name: nobody can tell */
};

struct lie {
    const char *name; /* the first label */
    responder_script *play;
    enum lie_group group;
    enum lie_end end;
    unsigned rcode; /* where it ends with it */
    bool without_tcp;
};

/* The i-th of them; NULL beyond the last. */
const struct lie *liar_lie(size_t i);

/* What a liar remembers from one question to the next; all zero at first. */
struct liar_memory {
    struct asked held;
    bool holds;
    atomic_bool gave[LIAR_FLAPS_MAX]; /* "flapping-N" was answered */
};

/* Scripts; the ctx of the liar is its struct liar_memory. Names that are no lie are answered as an
 * honest server does, but sooner. */
void liar_play(const struct asked *q, void *ctx);
void honest_play(const struct asked *q, void *ctx);

/* The address in the right answer. */
const char *liar_right(const char *name, char out[16]);

#endif
