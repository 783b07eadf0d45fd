/* client.h: the door towards those who ask: who it is, what it can take, how to reply later.
 * Knows no socket: each listener in net/ brings its own operations. */
#ifndef DNSD_CLIENT_H
#define DNSD_CLIENT_H

#include "addr.h"

#include <stddef.h>
#include <stdint.h>

enum client_transport { CLIENT_UDP, CLIENT_TCP };

struct client;

/* How a listener takes the reply to a question that could not be answered at once. Exactly one of
 * the two is called, once, for each client that query_accept kept. Both end the right to use the
 * client. */
struct client_ops {
    /* Sends len bytes (a DNS message without length prefix), which stay the caller's. It may be
     * queued until the end of the loop turn; the listener copies what it needs. A peer that has
     * gone meanwhile is no error. */
    void (*reply)(const struct client *c, const uint8_t *msg, size_t len);
    /* Nothing will be sent. */
    void (*drop)(const struct client *c);
};

/* Small and without pointers to its own storage: it is copied by value into the query. */
struct client {
    const struct client_ops *ops;
    void *owner;       /* the listener (UDP) or the connection (TCP); only ops look behind it */
    struct addr peer;  /* who asked */
    struct addr local; /* the address that was asked; the reply leaves from it (RFC 2181 4) */
    uint32_t ifindex;  /* the interface it came in by, 0 if unknown */
    enum client_transport transport;
};

#endif
