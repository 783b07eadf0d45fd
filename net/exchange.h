/* exchange.h: what is behind upstream.h in dnsd: sockets to the servers. exchange_udp.c has the
 * fresh sockets of each turn, exchange_tcp.c the connections that are kept and shared. Knows
 * sockets and which bytes are the awaited reply; never whether to ask again. */
#ifndef DNSD_NET_EXCHANGE_H
#define DNSD_NET_EXCHANGE_H

#include "net/turn.h"
#include "rng.h"
#include "upstream.h"

#include <stddef.h>
#include <stdint.h>

/* rng and turn are used, not owned. Its end of turn (sending what was asked for in it) and its due
 * time (connections that are idle or do not come about) are added to the turn. An ask that comes
 * after that end, from another's end of turn, keeps the loop from sleeping and leaves in the next
 * turn. NULL when memory is out. */
struct upstream *exchange_open(struct ev_loop *loop, struct turn *turn, struct rng *rng);

/* Closes all sockets and leaves the turn; asks under way are cancelled, their handles are dead. Not
 * to be called from within an upstream_done. NULL is fine. */
void exchange_close(struct upstream *u);

/* What it takes at most while so many asks are under way: over UDP each may have a socket of its
 * own; connections are bounded. Without the kernel's part. */
size_t exchange_bytes_max(size_t n_udp, size_t n_tcp);

struct exchange_counts {
    uint64_t udp_sockets, udp_sent, udp_thrown_away, tcp_connections, tcp_sent;
    size_t udp_open, tcp_open;
};
void exchange_count(const struct upstream *u, struct exchange_counts *out);

#endif
