/* udp.h: a UDP listener: datagrams in batches, and replies in batches from the address that was
 * asked. Knows sockets and query.h; never a DNS rule. */
#ifndef DNSD_NET_UDP_H
#define DNSD_NET_UDP_H

#include "net/turn.h"
#include "query.h"

#include <stdint.h>

struct udp;

/* Binds and starts. NULL after logging why, with errno. Wildcard addresses reply from the address
 * that was asked (IP_PKTINFO, IPV6_RECVPKTINFO). */
struct udp *udp_open(
    struct ev_loop *loop, struct turn *turn, const struct addr *listen, struct query_desk *desk);

/* What a listener takes. */
size_t udp_bytes(void);

/* Sends what is queued and closes; to be called while its turn still lives. NULL is fine. No client
 * of it may wait in the desk any more. */
void udp_close(struct udp *u);

/* Takes no more questions; those that wait will still be answered. */
void udp_stop(struct udp *u);

/* Where it is bound (with the port the kernel chose for port 0). */
const struct addr *udp_addr(const struct udp *u);

struct udp_counts {
    uint64_t received;
    uint64_t ignored; /* from ports that only echo or chatter (SECURITY 4) */
    uint64_t sent;
    uint64_t unsent; /* replies that the kernel did not take */
};
void udp_count(const struct udp *u, struct udp_counts *out);

#endif
