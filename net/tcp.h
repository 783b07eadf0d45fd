/* tcp.h: a TCP listener and its connections (RFC 7766): pipelined questions, replies in any order,
 * timeouts and limits (SECURITY 5).
 * Knows sockets and query.h; never a DNS rule. */
#ifndef DNSD_NET_TCP_H
#define DNSD_NET_TCP_H

#include "net/turn.h"
#include "query.h"

#include <stddef.h>
#include <stdint.h>

struct tcp;

struct tcp_conf {
    uint64_t idle_ms;          /* 10 s: no message begun or under way */
    uint64_t first_message_ms; /* 2 s: from accept to the first whole message; also between the
                                  bytes of one */
    size_t connections_max;    /* of all TCP listeners together: 10,000 or what descriptors allow */
    size_t per_client_max;     /* of one client address (addr_client_id) */
};

/* Limits and connections are shared by all listeners of a set. NULL when memory is out. */
struct tcp *tcp_create(
    struct ev_loop *loop, struct turn *turn, const struct tcp_conf *conf, struct query_desk *desk);

/* Binds, listens and accepts at one more address. 0, or -1 after logging why. *bound, if not NULL,
 * takes where (with the port the kernel chose for port 0). */
int tcp_listen(struct tcp *t, const struct addr *listen, struct addr *bound);

/* Accepts no more and reads no more; what waits will still be answered, then connections close. */
void tcp_stop(struct tcp *t);

/* Closes everything. No client of it may wait in the desk any more. NULL is fine. */
void tcp_free(struct tcp *t);

size_t tcp_connections(const struct tcp *t);

#endif
