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
    uint64_t idle_ms;          /* 10 s: no message begun or under way; also how long a peer may take
                                  nothing of what is sent to it */
    uint64_t first_message_ms; /* 2 s: from accept to the first whole message; also from the first
                                  byte of a later one to its last */
    size_t connections_max;    /* of all TCP listeners together: 10,000 or what descriptors allow */
    size_t per_client_max;     /* of one client address (addr_client_id) */
};

/* Limits and connections are shared by all listeners of a set. conf is copied. NULL when memory is
 * out. */
struct tcp *tcp_create(
    struct ev_loop *loop, struct turn *turn, const struct tcp_conf *conf, struct query_desk *desk);

/* Binds, listens and accepts at one more address. 0, or -1 after logging why, with errno. *bound,
 * if not NULL, takes where (with the port the kernel chose for port 0). */
int tcp_listen(struct tcp *t, const struct addr *listen, struct addr *bound);

/* Accepts no more and reads no more; what waits will still be answered, then connections close. */
void tcp_stop(struct tcp *t);

/* Closes everything; to be called while its turn still lives. No client of it may wait in the desk
 * any more. NULL is fine. */
void tcp_free(struct tcp *t);

/* Those that are open now. */
size_t tcp_connections(const struct tcp *t);

/* What a set takes at most, while so many questions wait of connections that are closed. Without
 * the kernel's part. */
size_t tcp_bytes_max(const struct tcp_conf *conf, size_t n_orphans);

struct tcp_counts {
    uint64_t accepted;
    uint64_t not_allowed; /* query_allows said no */
    uint64_t over_limit;  /* refused: too many of this client, or of all and none of them idle */
    uint64_t made_room;   /* idle ones closed for a new one */
    uint64_t timed_out;
    uint64_t pauses; /* accepting stopped for a second, since descriptors were out */
    size_t orphans;  /* closed, but a question of theirs still waits in the desk */
    size_t buffered; /* bytes of questions cut short and of replies not taken, held now */
};
void tcp_count(const struct tcp *t, struct tcp_counts *out);

#endif
