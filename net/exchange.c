/* exchange.c: the door to the servers: hands each ask to UDP or TCP, and sees to it that the loop
 * never sleeps over one that was not sent. Knows the turn; never sockets or messages. */
#include "net/exchange.h"

#include "net/exchange_ways.h"
#include "net/sockaddr.h"
#include "wire.h"

#include <assert.h>
#include <stdlib.h>

struct upstream {
    struct ev_loop *loop;
    struct turn *turn;
    struct exchange_udp *udp;
    struct exchange_tcp *tcp;
    ev_idle unsent; /* active while something is left to do: an active ev_idle keeps libev from
                       sleeping, and costs no system call */
    struct exchange_counts counts;
};

static void on_idle(struct ev_loop *loop, ev_idle *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
}

static void on_end(void *ctx, uint64_t now_ms)
{
    struct upstream *u = ctx;
    (void)now_ms;
    exchange_tcp_end_turn(u->tcp);
    exchange_udp_end_turn(u->udp);
    /* Either may have told failures, and been asked for more, also of the other way. */
    if (!exchange_udp_has_more(u->udp) && !exchange_tcp_has_more(u->tcp))
        ev_idle_stop(u->loop, &u->unsent);
}

static uint64_t due(void *ctx)
{
    const struct upstream *u = ctx;
    return exchange_tcp_due_ms(u->tcp);
}

static void on_tick(void *ctx, uint64_t now_ms)
{
    struct upstream *u = ctx;
    exchange_tcp_tick(u->tcp, now_ms);
}

struct upstream *exchange_open(struct ev_loop *loop, struct turn *turn, struct rng *rng)
{
    struct upstream *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->loop = loop;
    u->turn = turn;
    ev_idle_init(&u->unsent, on_idle);
    const struct exchange_means means = {loop, turn, rng, &u->counts};
    u->udp = exchange_udp_create(&means);
    u->tcp = exchange_tcp_create(&means);
    if (!u->udp || !u->tcp) {
        exchange_close(u);
        return NULL;
    }
    turn_add_due(turn, due, on_tick, u);
    turn_add_end(turn, on_end, u);
    return u;
}

void exchange_close(struct upstream *u)
{
    if (!u)
        return;
    turn_remove(u->turn, u);
    exchange_tcp_free(u->tcp);
    exchange_udp_free(u->udp);
    ev_idle_stop(u->loop, &u->unsent);
    free(u);
}

size_t exchange_bytes_max(size_t n_udp, size_t n_tcp)
{
    return sizeof(struct upstream) + exchange_udp_bytes_max(n_udp) + exchange_tcp_bytes_max(n_tcp);
}

void exchange_count(const struct upstream *u, struct exchange_counts *out)
{
    *out = u->counts;
}

struct upstream_ask *upstream_ask(struct upstream *u, const struct addr *server,
    enum upstream_transport transport, const uint8_t *msg, size_t len, upstream_done *done,
    void *ctx)
{
    assert(len >= WIRE_HEADER_LEN && len <= WIRE_QUERY_MAX);
    const struct upstream_ask head = {u, done, ctx, transport};
    struct upstream_ask *a = transport == UPSTREAM_UDP
                                 ? exchange_udp_ask(u->udp, server, &head, msg, len)
                                 : exchange_tcp_ask(u->tcp, server, &head, msg, len);
    if (a)
        ev_idle_start(u->loop, &u->unsent);
    return a;
}

int upstream_source(struct upstream *u, const struct addr *server, struct addr *source)
{
    (void)u;
    return sockaddr_source(server, source);
}

void upstream_cancel(struct upstream_ask *a)
{
    if (!a)
        return;
    struct upstream *u = a->upstream;
    if (a->transport == UPSTREAM_UDP)
        exchange_udp_cancel(a);
    else
        exchange_tcp_cancel(a);
    ev_idle_start(u->loop, &u->unsent);
}
