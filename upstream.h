/* upstream.h: the door towards the servers that are asked: one message out, its reply or its
 * failure back. net/exchange.c is behind it in dnsd; a scripted upstream is in the replay tests.
 * Knows which bytes are the awaited reply; never decides whether to ask again. */
#ifndef DNSD_UPSTREAM_H
#define DNSD_UPSTREAM_H

#include "addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct upstream;     /* made by net/, passed through */
struct upstream_ask; /* handle of one message under way */

enum upstream_transport { UPSTREAM_UDP, UPSTREAM_TCP };

enum upstream_event {
    UPSTREAM_REPLY,    /* msg is the reply: address, port, ID, QR, opcode and question match */
    UPSTREAM_FORMERR,  /* a bare FORMERR or NOTIMP header with the right ID: no EDNS there (RFC 6891
                          7) */
    UPSTREAM_REFUSED,  /* the network or the peer refused: ICMP, reset, connection closed */
    UPSTREAM_NOT_SENT, /* this machine could not send: no descriptor, no route, no buffer */
    UPSTREAM_SUSPECT,  /* third datagram with a wrong ID: somebody is guessing; the wait goes on */
    UPSTREAM_CASE_LOST, /* all matches but the case of the name; not counted; the wait goes on */
};

/* What became of an ask. msg is NULL but for REPLY, and valid only during the call. After SUSPECT
 * and CASE_LOST (each comes at most once for an ask) the handle lives on. After FORMERR, REFUSED
 * and NOT_SENT it is dead already when this is called. With REPLY the answer counts: true takes the
 * reply, and the handle is dead; false throws it away as what else was not awaited (it was cut
 * short in its records, say), and the ask goes on as if nothing had come. For the other events the
 * answer is ignored. Within the call upstream_ask may be called, and upstream_cancel for any handle
 * but this one. */
typedef bool upstream_done(void *ctx, enum upstream_event event, const uint8_t *msg, size_t len);

/* Sends msg (a query; at most 512 bytes) to server; the ID in its first two bytes is replaced by an
 * unpredictable one. UDP: a connected socket with an unpredictable port that was opened in this
 * loop turn and is shared only with what else is sent to the same server in this turn (SECURITY 1);
 * it leaves at the end of the turn. TCP: an open connection to that server is used, or one is
 * opened; the message may wait for the connection, and the name is compared without regard to case.
 * There is no timeout here: the caller cancels. msg is copied. done is never called before
 * upstream_ask has returned. Returns NULL when memory is out. */
struct upstream_ask *upstream_ask(struct upstream *u, const struct addr *server,
    enum upstream_transport transport, const uint8_t *msg, size_t len, upstream_done *done,
    void *ctx);

/* The address of ours that a question to this server would leave from now (its port means nothing);
 * all zeros where there is no way to it. 0, or -1: it cannot be told. */
int upstream_source(struct upstream *u, const struct addr *server, struct addr *source);

/* Ends the ask: done is not called any more. NULL is fine. */
void upstream_cancel(struct upstream_ask *a);

#endif
