/* exchange_udp.c: questions over UDP. What is asked of one server in one turn leaves through one
 * fresh connected socket, which closes with its last question.
 * Knows ports, IDs and which datagram is the awaited one; never a timeout or another try.
 *
 * A socket goes through three lists. In `fresh` it takes asks; it has no descriptor yet. At the end
 * of the turn it is opened, all its messages leave in one sendmmsg, and it waits in `open`. Once
 * its last ask has ended it is in `ended`, until the end of that turn frees it: nobody who walks
 * over a socket's asks can lose the socket under his feet. Its table of asks only grows: an ask
 * that ended leaves its ID behind, so that a late or doubled reply is not taken for a guess. */
#include "net/exchange_ways.h"
#include "net/sockaddr.h"
#include "ops/log.h"
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define UNSENT_EVERY_MS 10000 /* between warnings */
#define ASKS_MAX        256   /* of one socket: then the turn opens another one */
#define BATCH_MAX       32    /* datagrams read at once */
#define PIECE_COST      16    /* what malloc takes for each piece of memory */
#define PORT_FIRST      1024
#define PORT_TRIES      10
#define WRONG_IDS       3 /* datagrams at one socket that make it look like guessing (SECURITY 1) */

enum state { FRESH, OPEN, ENDED };

struct udp_socket;

struct udp_ask {
    struct upstream_ask head;
    struct udp_socket *socket;
    uint16_t place; /* in the socket's table */
    uint16_t len;
    unsigned told; /* 1 << event, for those that come at most once */
    uint8_t msg[]; /* as sent */
};

struct udp_socket {
    ev_io io;
    struct udp_socket *prev, *next;
    struct exchange_udp *x;
    struct addr server;
    enum state state;
    int fd;          /* -1 while there is none */
    unsigned n;      /* places taken in the table */
    unsigned n_sent; /* the places before it were sent, or their asks had ended */
    unsigned n_live; /* asks that did not end */
    unsigned wrong_ids;
    uint16_t id[ASKS_MAX];
    struct udp_ask *ask[ASKS_MAX]; /* NULL: ended */
};

struct exchange_udp {
    struct exchange_means means;
    struct log_limit unsent_limit;
    struct udp_socket *fresh, *open, *ended;
    struct mmsghdr out[ASKS_MAX];
    struct iovec out_iov[ASKS_MAX];
    unsigned out_place[ASKS_MAX];
    struct mmsghdr in[BATCH_MAX];
    struct iovec in_iov[BATCH_MAX];
    struct sockaddr_storage in_from[BATCH_MAX];
    uint8_t in_bytes[BATCH_MAX][WIRE_UDP_MAX];
};

static void on_ready(struct ev_loop *loop, ev_io *w, int revents);

struct exchange_udp *exchange_udp_create(const struct exchange_means *means)
{
    struct exchange_udp *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->means = *means;
    x->unsent_limit.every_ms = UNSENT_EVERY_MS;
    for (unsigned i = 0; i < ASKS_MAX; i++) {
        x->out[i].msg_hdr.msg_iov = &x->out_iov[i];
        x->out[i].msg_hdr.msg_iovlen = 1;
    }
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        x->in_iov[i].iov_base = x->in_bytes[i];
        x->in_iov[i].iov_len = WIRE_UDP_MAX;
        x->in[i].msg_hdr.msg_name = &x->in_from[i];
        x->in[i].msg_hdr.msg_iov = &x->in_iov[i];
        x->in[i].msg_hdr.msg_iovlen = 1;
    }
    return x;
}

/* ---- the lives of sockets and asks ----------------------------------------------------------- */

static struct udp_socket **list_of(struct udp_socket *s)
{
    switch (s->state) {
    case FRESH:
        return &s->x->fresh;
    case OPEN:
        return &s->x->open;
    default:
        return &s->x->ended;
    }
}

static void move_to(struct udp_socket *s, enum state state)
{
    struct udp_socket **from = list_of(s);
    DL_DELETE(*from, s);
    s->state = state;
    struct udp_socket **to = list_of(s);
    DL_APPEND(*to, s);
}

static struct udp_socket *socket_create(struct exchange_udp *x, const struct addr *server)
{
    struct udp_socket *s = malloc(sizeof *s);
    if (!s)
        return NULL;
    s->x = x;
    s->server = *server;
    s->state = FRESH;
    s->fd = -1;
    s->n = s->n_sent = s->n_live = s->wrong_ids = 0;
    ev_io_init(&s->io, on_ready, -1, EV_READ);
    s->io.data = s;
    DL_APPEND(x->fresh, s);
    return s;
}

/* The one end of a socket: at the end of a turn, or with the exchange. Frees asks that are left. */
static void socket_free(struct udp_socket *s)
{
    struct udp_socket **list = list_of(s);
    DL_DELETE(*list, s);
    for (unsigned i = 0; i < s->n; i++)
        free(s->ask[i]);
    if (s->fd >= 0) {
        ev_io_stop(s->x->means.loop, &s->io);
        close(s->fd);
        s->x->means.counts->udp_open--;
    }
    free(s);
}

void exchange_udp_free(struct exchange_udp *x)
{
    if (!x)
        return;
    while (x->fresh)
        socket_free(x->fresh);
    while (x->open)
        socket_free(x->open);
    while (x->ended)
        socket_free(x->ended);
    free(x);
}

/* The one end of an ask. */
static void ask_end(struct udp_ask *a)
{
    struct udp_socket *s = a->socket;
    s->ask[a->place] = NULL;
    free(a);
    if (--s->n_live == 0)
        move_to(s, ENDED);
}

void exchange_udp_cancel(struct upstream_ask *a)
{
    ask_end((struct udp_ask *)a);
}

/* Ends the ask and says why. */
static void finish(struct udp_ask *a, enum upstream_event event)
{
    const struct upstream_ask head = a->head;
    ask_end(a);
    head.done(head.ctx, event, NULL, 0);
}

/* Says something on the way, once. The ask may be gone afterwards. */
static void tell(struct udp_ask *a, enum upstream_event event)
{
    if (a->told & 1u << event)
        return;
    a->told |= 1u << event;
    a->head.done(a->head.ctx, event, NULL, 0);
}

static void finish_from(struct udp_socket *s, unsigned place, enum upstream_event event)
{
    for (; place < s->n; place++)
        if (s->ask[place])
            finish(s->ask[place], event);
}

size_t exchange_udp_bytes_max(size_t n_asks)
{
    size_t one =
        sizeof(struct udp_socket) + sizeof(struct udp_ask) + WIRE_QUERY_MAX + 2 * PIECE_COST;
    return sizeof(struct exchange_udp) + n_asks * one;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int place_of(const struct udp_socket *s, uint16_t id)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->id[i] == id)
            return (int)i;
    return -1;
}

static uint16_t new_id(const struct udp_socket *s)
{
    uint16_t id;
    do {
        id = rng_u16(s->x->means.rng);
    } while (place_of(s, id) >= 0);
    return id;
}

static struct udp_socket *socket_for(struct exchange_udp *x, const struct addr *server)
{
    struct udp_socket *s;
    for (s = x->fresh; s != NULL; s = s->next) {
        if (s->n < ASKS_MAX && addr_equal(&s->server, server))
            return s;
    }
    return socket_create(x, server);
}

struct upstream_ask *exchange_udp_ask(struct exchange_udp *x, const struct addr *server,
    const struct upstream_ask *head, const uint8_t *msg, size_t len)
{
    struct udp_ask *a = malloc(sizeof *a + len);
    if (!a)
        return NULL;
    struct udp_socket *s = socket_for(x, server);
    if (!s) {
        free(a);
        return NULL;
    }
    const uint16_t id = new_id(s);
    a->head = *head;
    a->socket = s;
    a->place = (uint16_t)s->n;
    a->len = (uint16_t)len;
    a->told = 0;
    memcpy(a->msg, msg, len);
    a->msg[0] = (uint8_t)(id >> 8);
    a->msg[1] = (uint8_t)id;
    s->id[s->n] = id;
    s->ask[s->n] = a;
    s->n++;
    s->n_live++;
    return &a->head;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* A port out of all of them: the kernel would choose among fewer, and by its own rules. Where none
 * is to be had, connect chooses. */
static void bind_to_port(int fd, int family, struct rng *rng)
{
    for (int i = 0; i < PORT_TRIES; i++) {
        const in_port_t port = htons((uint16_t)(PORT_FIRST + rng_below(rng, 65536 - PORT_FIRST)));
        struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = port};
        struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = port};
        const int error = family == AF_INET ? bind(fd, (struct sockaddr *)&any4, sizeof any4)
                                            : bind(fd, (struct sockaddr *)&any6, sizeof any6);
        if (!error)
            return;
    }
}

/* Forged "fragmentation needed" must not make our questions travel in pieces, nor be stored. */
static int ignore_path_mtu(int fd, int family)
{
    const int omit4 = IP_PMTUDISC_OMIT;
    const int omit6 = IPV6_PMTUDISC_OMIT;
    return family == AF_INET
               ? setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit4, sizeof omit4)
               : setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit6, sizeof omit6);
}

static int open_socket(struct udp_socket *s)
{
    struct exchange_udp *x = s->x;
    struct sockaddr_storage to;
    const socklen_t to_len = sockaddr_from_addr(&s->server, &to);
    const int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (ignore_path_mtu(fd, to.ss_family) < 0)
        goto fail;
    bind_to_port(fd, to.ss_family, x->means.rng);
    if (connect(fd, (struct sockaddr *)&to, to_len) < 0)
        goto fail;
    s->fd = fd;
    x->means.counts->udp_open++;
    x->means.counts->udp_sockets++;
    return 0;
fail:
    close(fd);
    return -1;
}

static void watch(struct udp_socket *s, int events)
{
    if (ev_is_active(&s->io) && s->io.events == events)
        return;
    ev_io_stop(s->x->means.loop, &s->io);
    ev_io_set(&s->io, s->fd, events);
    ev_io_start(s->x->means.loop, &s->io);
}

static unsigned gather(struct udp_socket *s)
{
    struct exchange_udp *x = s->x;
    unsigned n = 0;
    for (unsigned i = s->n_sent; i < s->n; i++) {
        if (s->ask[i]) {
            x->out_iov[n].iov_base = s->ask[i]->msg;
            x->out_iov[n].iov_len = s->ask[i]->len;
            x->out_place[n] = i;
            n++;
        }
    }
    return n;
}

/* It is this machine that cannot: the server has nothing to do with it. */
static void warn_unsent(struct udp_socket *s, int error)
{
    char text[ADDR_TEXT_MAX];
    addr_format(&s->server, text);
    log_warning_limited(&s->x->unsent_limit, turn_now_ms(s->x->means.turn),
        "cannot ask server %s over UDP: %s", text, strerror(error));
}

/* Sends what was not sent. Every round sends something, or is the last one. */
static void send_asks(struct udp_socket *s)
{
    struct exchange_udp *x = s->x;
    for (;;) {
        const unsigned n = gather(s);
        if (n == 0) {
            s->n_sent = s->n;
            watch(s, EV_READ);
            return;
        }
        const int sent = sendmmsg(s->fd, x->out, n, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        x->means.counts->udp_sent += (unsigned)sent;
        s->n_sent = x->out_place[sent - 1] + 1;
    }
    switch (errno) {
    case EINTR:
    case EAGAIN:
        watch(s, EV_READ | EV_WRITE);
        break;
    case ECONNREFUSED: /* what an earlier part of the burst came back with */
        finish_from(s, 0, UPSTREAM_REFUSED);
        break;
    default:
        warn_unsent(s, errno);
        watch(s, EV_READ);
        finish_from(s, s->n_sent, UPSTREAM_NOT_SENT);
    }
}

void exchange_udp_end_turn(struct exchange_udp *x)
{
    /* What is asked from within the callbacks of this leaves in the next turn, which comes at once:
     * a caller that always asks again cannot hold the loop here. */
    unsigned n = 0;
    struct udp_socket *s;
    for (s = x->fresh; s != NULL; s = s->next) {
        n++;
    }
    for (; n > 0 && (s = x->fresh) != NULL; n--) {
        move_to(s, OPEN);
        if (open_socket(s) < 0) {
            warn_unsent(s, errno);
            finish_from(s, 0, UPSTREAM_NOT_SENT);
        } else {
            send_asks(s);
        }
    }
    while (x->ended)
        socket_free(x->ended);
}

bool exchange_udp_has_more(const struct exchange_udp *x)
{
    return x->fresh != NULL;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void throw_away(struct udp_socket *s)
{
    s->x->means.counts->udp_thrown_away++;
}

/* The asker sees more in a reply than we do, and may turn it down. */
static void offer(struct udp_ask *a, const uint8_t *msg, size_t len)
{
    struct udp_socket *s = a->socket;
    if (a->head.done(a->head.ctx, UPSTREAM_REPLY, msg, len))
        ask_end(a);
    else
        throw_away(s);
}

static void take_wrong_id(struct udp_socket *s)
{
    throw_away(s);
    if (++s->wrong_ids != WRONG_IDS)
        return;
    for (unsigned i = 0; i < s->n; i++)
        if (s->ask[i])
            tell(s->ask[i], UPSTREAM_SUSPECT);
}

/* RFC 5452 9.1: address and port are the socket's doing, ID and question are compared here. What is
 * not the awaited reply is thrown away, and the wait goes on. */
static void take(struct udp_socket *s, const uint8_t *msg, size_t len)
{
    if (len < WIRE_HEADER_LEN) {
        throw_away(s);
        return;
    }
    const int place = place_of(s, (uint16_t)(msg[0] << 8 | msg[1]));
    if (place < 0) {
        take_wrong_id(s);
        return;
    }
    struct udp_ask *a = s->ask[place];
    if (!a || (unsigned)place >= s->n_sent) {
        throw_away(s);
        return;
    }
    switch (wire_match_reply(a->msg, a->len, msg, len)) {
    case WIRE_MATCH:
        offer(a, msg, len);
        break;
    case WIRE_MATCH_BARE_ERROR:
        finish(a, UPSTREAM_FORMERR);
        break;
    case WIRE_MATCH_BUT_CASE:
        throw_away(s);
        tell(a, UPSTREAM_CASE_LOST);
        break;
    default:
        throw_away(s);
    }
}

/* A connected socket takes from its peer only, but between bind and connect it took from anybody.
 */
static bool is_from_server(const struct udp_socket *s, const struct sockaddr_storage *from)
{
    struct addr a;
    return sockaddr_to_addr(from, &a) == 0 && a.port == s->server.port &&
           memcmp(a.ip, s->server.ip, sizeof a.ip) == 0;
}

/* One batch a call: a flood at one socket must not keep the others waiting. */
static void receive(struct udp_socket *s)
{
    struct exchange_udp *x = s->x;
    const unsigned n_max = s->n_live < BATCH_MAX ? s->n_live : BATCH_MAX;
    for (unsigned i = 0; i < n_max; i++)
        x->in[i].msg_hdr.msg_namelen = sizeof x->in_from[i];
    const int n = recvmmsg(s->fd, x->in, n_max, MSG_DONTWAIT, NULL);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ENOMEM && errno != ENOBUFS)
            finish_from(s, 0, UPSTREAM_REFUSED);
        return;
    }
    for (int i = 0; i < n && s->state == OPEN; i++)
        if (x->in[i].msg_hdr.msg_flags & MSG_TRUNC || !is_from_server(s, &x->in_from[i]))
            throw_away(s); /* larger than we offered, or a stranger's */
        else
            take(s, x->in_bytes[i], x->in[i].msg_len);
}

static void on_ready(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    struct udp_socket *s = w->data;
    if (s->state == OPEN && revents & EV_ERROR) { /* libev has stopped it: no reply can be heard */
        warn_unsent(s, ENOMEM);
        finish_from(s, 0, UPSTREAM_NOT_SENT);
    }
    if (s->state == OPEN && revents & EV_WRITE)
        send_asks(s);
    if (s->state == OPEN && revents & EV_READ)
        receive(s);
}
