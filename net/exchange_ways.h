/* exchange_ways.h: what exchange.c and its two ways to a server, UDP and TCP, know of each other.
 * For these three files only. */
#ifndef DNSD_NET_EXCHANGE_WAYS_H
#define DNSD_NET_EXCHANGE_WAYS_H

#include "net/exchange.h"

#include <stdbool.h>

/* The head of every ask; each way has its own struct that begins with it. */
struct upstream_ask {
    struct upstream *upstream;
    upstream_done *done;
    void *ctx;
    enum upstream_transport transport;
};

/* What a way is given to work with; it lives as long as the exchange. */
struct exchange_means {
    struct ev_loop *loop;
    struct turn *turn;
    struct rng *rng;
    struct exchange_counts *counts;
};

/* No way calls done but from an event of the loop, from its end of turn, or from its tick; and ends
 * no socket within a callback: what is over is cleared away at the end of the turn. So whoever
 * walks over the asks of a socket can tell them anything, whatever they do in return. */

struct exchange_udp;
struct exchange_udp *exchange_udp_create(const struct exchange_means *means);
void exchange_udp_free(struct exchange_udp *x);
size_t exchange_udp_bytes_max(size_t n_asks);
struct upstream_ask *exchange_udp_ask(struct exchange_udp *x, const struct addr *server,
    const struct upstream_ask *head, const uint8_t *msg, size_t len);
void exchange_udp_cancel(struct upstream_ask *a);
void exchange_udp_end_turn(struct exchange_udp *x);       /* sends, and clears away */
bool exchange_udp_has_more(const struct exchange_udp *x); /* there is something for another one */

struct exchange_tcp;
struct exchange_tcp *exchange_tcp_create(const struct exchange_means *means);
void exchange_tcp_free(struct exchange_tcp *x);
size_t exchange_tcp_bytes_max(size_t n_asks);
struct upstream_ask *exchange_tcp_ask(struct exchange_tcp *x, const struct addr *server,
    const struct upstream_ask *head, const uint8_t *msg, size_t len);
void exchange_tcp_cancel(struct upstream_ask *a);
void exchange_tcp_end_turn(struct exchange_tcp *x);
bool exchange_tcp_has_more(const struct exchange_tcp *x);
uint64_t exchange_tcp_due_ms(const struct exchange_tcp *x); /* UINT64_MAX: never */
void exchange_tcp_tick(struct exchange_tcp *x, uint64_t now_ms);

#endif
