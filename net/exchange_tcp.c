/* exchange_tcp.c: questions over TCP: connections to servers, kept for a while and shared by all
 * who ask (RFC 7766): many questions at once, replies in any order.
 * Knows connections, framing and IDs; of time only when a connection is given up.
 *
 * An ask first waits in its connection's queue, and gets an ID when it is written. Its slot then
 * stays taken until the reply, even when it is cancelled: an ID that is still on its way must not
 * stand for another question. A connection is looked after at the end of a turn, and ended only by
 * an event of its own, by that end of turn, or by the tick: never while one of its asks is told
 * something. */
#include "net/exchange_ways.h"
#include "net/sockaddr.h"
#include "ops/log.h"
#include "wire.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define UNSENT_EVERY_MS 10000 /* between warnings */
#define IN_FLIGHT_MAX   64    /* of one connection */
#define CANCELLED_MAX   32    /* of them, then the connection gets no more asks */
#define CONNECTIONS_MAX 2     /* that one server gets opened for load */
#define STRAYS_MAX      10    /* messages that nobody awaits, then the connection is garbage */
#define CONNECT_MS      3000  /* for a connection to come about */
#define IDLE_MS         10000 /* without an ask (RFC 7766 6.2.3) */
#define SILENCE_MS      1000  /* nothing heard since a question: the connection may be dead */
#define FRAME_LEN       2     /* length before each message (RFC 1035 4.2.2) */
#define OPEN_MAX        128   /* connections in all, those that take no more asks included */
#define PIECE_COST      16    /* what malloc takes for each piece of memory */
#define IN_MIN          4096

enum state { NEW, CONNECTING, CONNECTED };

struct tcp_ask {
    struct upstream_ask head;
    struct connection *connection;
    struct tcp_ask *prev, *next; /* while it waits */
    uint64_t written_ms;
    int slot;    /* -1: it waits */
    bool second; /* it has lost one connection already */
    bool joined; /* the connection was there before it */
    uint16_t len;
    uint8_t msg[];
};

struct slot {
    struct tcp_ask *ask; /* NULL: cancelled, but the reply may come yet */
    uint16_t id;
};

struct connection {
    ev_io io;
    struct connection *prev, *next;
    struct exchange_tcp *x;
    struct addr server;
    enum state state;
    int fd;          /* -1 while there is none */
    bool to_do;      /* the end of the turn has to look at it */
    bool retired;    /* takes no more asks */
    bool has_served; /* a reply has come */
    bool lost;       /* the server hung up, or the network did; not we */
    unsigned n_strays;
    unsigned n_live;    /* asks, waiting or in flight */
    uint64_t since_ms;  /* of the connect */
    uint64_t heard_ms;  /* something came */
    uint64_t active_ms; /* somebody asked, cancelled or got a reply */
    struct slot slot[IN_FLIGHT_MAX];
    unsigned n_slots;
    struct tcp_ask *waiting;
    unsigned n_waiting;
    uint8_t *in, *out;
    size_t in_len, in_cap, out_len, out_cap;
};

struct exchange_tcp {
    struct exchange_means means;
    struct log_limit unsent_limit;
    struct connection *connections;
};

static void on_ready(struct ev_loop *loop, ev_io *w, int revents);

struct exchange_tcp *exchange_tcp_create(const struct exchange_means *means)
{
    struct exchange_tcp *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->means = *means;
    x->unsent_limit.every_ms = UNSENT_EVERY_MS;
    return x;
}

static uint64_t now_ms(const struct connection *c)
{
    return turn_now_ms(c->x->means.turn);
}

/* ---- asks and their connections -------------------------------------------------------------- */

static struct connection *connection_create(struct exchange_tcp *x, const struct addr *server)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->x = x;
    c->server = *server;
    c->state = NEW;
    c->fd = -1;
    c->since_ms = c->active_ms = c->heard_ms = turn_now_ms(x->means.turn);
    ev_io_init(&c->io, on_ready, -1, EV_READ);
    c->io.data = c;
    DL_APPEND(x->connections, c);
    return c;
}

static void connection_free(struct connection *c)
{
    free(c->in);
    free(c->out);
    free(c);
}

/* Each connection with a reply and all its questions as long as they can be, moved to a larger
 * buffer at this moment. */
size_t exchange_tcp_bytes_max(size_t n_asks)
{
    size_t ask = sizeof(struct tcp_ask) + WIRE_QUERY_MAX + PIECE_COST;
    size_t buffers = FRAME_LEN + WIRE_MESSAGE_MAX + IN_FLIGHT_MAX * (FRAME_LEN + WIRE_QUERY_MAX);
    return sizeof(struct exchange_tcp) + n_asks * ask +
           OPEN_MAX * (sizeof(struct connection) + 2 * buffers + 2 * PIECE_COST);
}

/* The connection to use, made if need be: the least loaded one, and another one when it is full.
 * Who has lost a kept connection needs one that is not as old. */
static struct connection *connection_for(
    struct exchange_tcp *x, const struct addr *server, bool must_be_new)
{
    struct connection *c, *best = NULL;
    unsigned n = 0, n_all = 0;
    for (c = x->connections; c != NULL; c = c->next) {
        n_all++;
        if (c->retired || !addr_equal(&c->server, server))
            continue;
        if (must_be_new && c->state == CONNECTED)
            continue;
        n++;
        if (!best || c->n_slots + c->n_waiting < best->n_slots + best->n_waiting)
            best = c;
    }
    if (best && (n >= CONNECTIONS_MAX || best->n_slots + best->n_waiting < IN_FLIGHT_MAX))
        return best;
    if (n_all >= OPEN_MAX)
        return best;
    c = connection_create(x, server);
    return c ? c : best;
}

static void join(struct connection *c, struct tcp_ask *a)
{
    a->connection = c;
    a->slot = -1;
    a->joined = c->state == CONNECTED;
    DL_APPEND(c->waiting, a);
    c->n_waiting++;
    c->n_live++;
    c->active_ms = now_ms(c);
    c->to_do = true;
}

static void clear_slot(struct connection *c, int at)
{
    struct slot *last = &c->slot[--c->n_slots];
    c->slot[at] = *last;
    if (last->ask)
        last->ask->slot = at;
    c->to_do = true;
}

/* Takes the ask off its connection. An ID that was written stays taken unless it is answered. */
static void leave(struct tcp_ask *a, bool answered)
{
    struct connection *c = a->connection;
    if (a->slot < 0) {
        DL_DELETE(c->waiting, a);
        c->n_waiting--;
    } else if (answered) {
        clear_slot(c, a->slot);
    } else {
        c->slot[a->slot].ask = NULL;
    }
    c->n_live--;
    c->active_ms = now_ms(c);
    c->to_do = true;
}

struct upstream_ask *exchange_tcp_ask(struct exchange_tcp *x, const struct addr *server,
    const struct upstream_ask *head, const uint8_t *msg, size_t len)
{
    struct tcp_ask *a = malloc(sizeof *a + len);
    if (!a)
        return NULL;
    struct connection *c = connection_for(x, server, false);
    if (!c) {
        free(a);
        return NULL;
    }
    a->head = *head;
    a->second = false;
    a->len = (uint16_t)len;
    memcpy(a->msg, msg, len);
    join(c, a);
    return &a->head;
}

/* Whether a connection shall get no more asks, now that a is cancelled: nothing came since a was
 * written, not even for others, so the other end may be gone without a word; or too many IDs are
 * taken by what was never answered. */
static bool is_worn_out(const struct connection *c, const struct tcp_ask *a)
{
    const unsigned n_cancelled = c->n_slots - (c->n_live - c->n_waiting);
    if (n_cancelled >= CANCELLED_MAX)
        return true;
    return a->slot >= 0 && c->heard_ms < a->written_ms && now_ms(c) - a->written_ms >= SILENCE_MS;
}

void exchange_tcp_cancel(struct upstream_ask *head)
{
    struct tcp_ask *a = (struct tcp_ask *)head;
    struct connection *c = a->connection;
    c->retired |= is_worn_out(c, a);
    leave(a, false);
    free(a);
}

static void finish(struct tcp_ask *a, enum upstream_event event, bool answered)
{
    const struct upstream_ask head = a->head;
    leave(a, answered);
    free(a);
    head.done(head.ctx, event, NULL, 0);
}

static struct tcp_ask *any_ask(const struct connection *c)
{
    for (unsigned i = 0; i < c->n_slots; i++)
        if (c->slot[i].ask)
            return c->slot[i].ask;
    return c->waiting;
}

static void hang_up(struct connection *c)
{
    struct exchange_tcp *x = c->x;
    DL_DELETE(x->connections, c);
    if (c->fd < 0)
        return;
    ev_io_stop(x->means.loop, &c->io);
    close(c->fd);
    x->means.counts->tcp_open--;
}

/* A server may close a kept connection at any time, also just as we write (RFC 7766 6.2.4): who was
 * on it asks once more. One that never worked would not do so the next time. Where we hang up, over
 * garbage, what was written has been heard, and was the one message of its question (SECURITY 4).
 */
static bool may_ask_again(const struct connection *c, const struct tcp_ask *a)
{
    const bool was_heard = a->slot >= 0 && !c->lost;
    return !a->second && !was_heard && (c->has_served || a->joined);
}

static bool ask_again(struct connection *c, struct tcp_ask *a)
{
    if (!may_ask_again(c, a))
        return false;
    struct connection *other = connection_for(c->x, &c->server, true);
    if (!other)
        return false;
    leave(a, false);
    a->second = true;
    join(other, a);
    return true;
}

/* The one end of a connection. Its asks go to another one, or are told event. */
static void connection_end(struct connection *c, enum upstream_event event)
{
    hang_up(c);
    struct tcp_ask *a;
    while ((a = any_ask(c)) != NULL)
        if (!ask_again(c, a))
            finish(a, event, false);
    connection_free(c);
}

void exchange_tcp_free(struct exchange_tcp *x)
{
    if (!x)
        return;
    struct connection *c;
    while ((c = x->connections) != NULL) {
        hang_up(c);
        struct tcp_ask *a;
        while ((a = any_ask(c)) != NULL) {
            leave(a, false);
            free(a);
        }
        connection_free(c);
    }
    free(x);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int reserve(uint8_t **bytes, size_t *cap, size_t need)
{
    if (need <= *cap)
        return 0;
    uint8_t *larger = realloc(*bytes, need);
    if (!larger)
        return -1;
    *bytes = larger;
    *cap = need;
    return 0;
}

static int slot_of(const struct connection *c, uint16_t id)
{
    for (unsigned i = 0; i < c->n_slots; i++)
        if (c->slot[i].id == id)
            return (int)i;
    return -1;
}

/* Moves the ask from the queue to a slot, and its message behind what is to be written. */
static int put(struct connection *c, struct tcp_ask *a)
{
    const size_t need = c->out_len + FRAME_LEN + a->len;
    if (need > c->out_cap && reserve(&c->out, &c->out_cap, need + IN_MIN) < 0)
        return -1;
    uint16_t id;
    do {
        id = rng_u16(c->x->means.rng);
    } while (slot_of(c, id) >= 0);
    a->msg[0] = (uint8_t)(id >> 8);
    a->msg[1] = (uint8_t)id;
    wire_frame_write(c->out + c->out_len, a->len);
    memcpy(c->out + c->out_len + FRAME_LEN, a->msg, a->len);
    c->out_len = need;
    DL_DELETE(c->waiting, a);
    c->n_waiting--;
    a->slot = (int)c->n_slots;
    a->written_ms = now_ms(c);
    c->slot[c->n_slots++] = (struct slot){a, id};
    c->x->means.counts->tcp_sent++;
    return 0;
}

static void watch(struct connection *c, int events)
{
    if (ev_is_active(&c->io) && c->io.events == events)
        return;
    ev_io_stop(c->x->means.loop, &c->io);
    ev_io_set(&c->io, c->fd, events);
    ev_io_start(c->x->means.loop, &c->io);
}

/* 0, or -1 when the connection is over. */
static int write_out(struct connection *c)
{
    if (c->out_len > 0) {
        const ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) { /* ENOBUFS: it would stay writable */
            c->lost = true;
            return -1;
        }
        if (n > 0) {
            c->out_len -= (size_t)n;
            memmove(c->out, c->out + n, c->out_len);
        }
    }
    watch(c, c->out_len > 0 ? EV_READ | EV_WRITE : EV_READ);
    return 0;
}

/* Writes what waits, as far as there are slots. At most IN_FLIGHT_MAX messages are in out. */
static int push(struct connection *c)
{
    struct tcp_ask *a;
    for (unsigned n = c->n_waiting; n > 0 && (a = c->waiting) != NULL; n--) {
        if (c->n_slots == IN_FLIGHT_MAX)
            break;
        if (put(c, a) < 0)
            finish(a, UPSTREAM_NOT_SENT, false);
    }
    return write_out(c);
}

/* 0, or -1 when this machine could not (errno of connect). */
static int open_connection(struct connection *c)
{
    struct sockaddr_storage to;
    const socklen_t to_len = sockaddr_from_addr(&c->server, &to);
    c->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -1;
    c->x->means.counts->tcp_open++;
    c->x->means.counts->tcp_connections++;
    const int on = 1;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (struct sockaddr *)&to, to_len) < 0 && errno != EINPROGRESS)
        return -1;
    c->state = CONNECTING;
    c->since_ms = now_ms(c);
    watch(c, EV_WRITE);
    return 0;
}

/* Whether it is the server that does not want us; else it is this machine, and somebody may mend
 * it. */
static bool was_refused(struct connection *c, int error)
{
    char text[ADDR_TEXT_MAX];
    if (error == ECONNREFUSED)
        return true;
    addr_format(&c->server, text);
    log_warning_limited(
        &c->x->unsent_limit, now_ms(c), "cannot ask server %s over TCP: %s", text, strerror(error));
    return false;
}

static void look_after(struct connection *c)
{
    c->to_do = false;
    if (c->n_live == 0 && (c->state == NEW || c->retired)) {
        connection_end(c, UPSTREAM_REFUSED);
    } else if (c->state == NEW) {
        if (open_connection(c) < 0)
            connection_end(c, was_refused(c, errno) ? UPSTREAM_REFUSED : UPSTREAM_NOT_SENT);
    } else if (c->state == CONNECTED && c->waiting) {
        if (push(c) < 0)
            connection_end(c, UPSTREAM_REFUSED);
    }
}

static struct connection *first_to_do(const struct exchange_tcp *x)
{
    struct connection *c;
    for (c = x->connections; c != NULL; c = c->next)
        if (c->to_do)
            return c;
    return NULL;
}

void exchange_tcp_end_turn(struct exchange_tcp *x)
{
    unsigned n = 0; /* so that a caller who always asks again cannot hold the loop here */
    struct connection *c;
    for (c = x->connections; c != NULL; c = c->next)
        n++;
    for (; n > 0 && (c = first_to_do(x)) != NULL; n--)
        look_after(c);
}

bool exchange_tcp_has_more(const struct exchange_tcp *x)
{
    return first_to_do(x) != NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* 0, or -1 when too much came that nobody awaits. */
static int take_stray(struct connection *c)
{
    return ++c->n_strays > STRAYS_MAX ? -1 : 0;
}

/* Nobody but the server can write here, but it may mix up its replies: the question is compared
 * too. Not the case of its name, which is there against forgers (0x20). */
static int take(struct connection *c, const uint8_t *msg, size_t len)
{
    const int at = slot_of(c, (uint16_t)(msg[0] << 8 | msg[1]));
    if (at < 0)
        return take_stray(c);
    struct tcp_ask *a = c->slot[at].ask;
    if (!a) { /* was cancelled: with its late reply the ID is free */
        clear_slot(c, at);
        return 0;
    }
    switch (wire_match_reply(a->msg, a->len, msg, len)) {
    case WIRE_MATCH:
    case WIRE_MATCH_BUT_CASE:
        if (!a->head.done(a->head.ctx, UPSTREAM_REPLY, msg, len))
            return take_stray(c);
        c->has_served = true;
        leave(a, true);
        free(a);
        return 0;
    case WIRE_MATCH_BARE_ERROR:
        c->has_served = true;
        finish(a, UPSTREAM_FORMERR, true);
        return 0;
    default:
        return take_stray(c);
    }
}

/* Takes all whole messages that are there. 0, or -1 when the connection is over. */
static int take_all(struct connection *c)
{
    size_t at = 0;
    int len;
    while ((len = wire_frame_len(c->in + at, c->in_len - at)) >= 0) {
        if (len < WIRE_HEADER_LEN)
            return -1;
        const size_t frame = FRAME_LEN + (size_t)len;
        if (c->in_len - at < frame)
            break;
        if (take(c, c->in + at + FRAME_LEN, (size_t)len) < 0)
            return -1;
        at += frame;
    }
    c->in_len -= at;
    memmove(c->in, c->in + at, c->in_len);
    return len < 0 ? 0 : reserve(&c->in, &c->in_cap, FRAME_LEN + (size_t)len);
}

/* One read a call: a server that never stops must not keep the others waiting. */
static int receive(struct connection *c)
{
    if (reserve(&c->in, &c->in_cap, IN_MIN) < 0)
        return -1;
    assert(c->in_len < c->in_cap);
    const ssize_t n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        c->lost = true;
        return -1;
    }
    c->in_len += (size_t)n;
    c->heard_ms = now_ms(c);
    return take_all(c);
}

static int connected(struct connection *c)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
        return -1;
    c->state = CONNECTED;
    c->heard_ms = c->active_ms = now_ms(c);
    return push(c);
}

static int handle(struct connection *c, int revents)
{
    if (c->state == CONNECTING)
        return connected(c);
    /* What has come counts, even where nothing can be written any more. */
    if (revents & EV_READ && receive(c) < 0)
        return -1;
    return revents & EV_WRITE ? write_out(c) : 0;
}

static void on_ready(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    struct connection *c = w->data;
    if (revents & EV_ERROR) { /* the kernel refuses to watch it, and libev has stopped it */
        (void)was_refused(c, ENOMEM);
        connection_end(c, UPSTREAM_NOT_SENT);
        return;
    }
    if (handle(c, revents) < 0)
        connection_end(c, UPSTREAM_REFUSED);
}

/* ---- time ------------------------------------------------------------------------------------ */

static uint64_t gives_up_ms(const struct connection *c)
{
    if (c->state == CONNECTING)
        return c->since_ms + CONNECT_MS;
    return c->n_live == 0 ? c->active_ms + IDLE_MS : UINT64_MAX;
}

uint64_t exchange_tcp_due_ms(const struct exchange_tcp *x)
{
    uint64_t due_ms = UINT64_MAX;
    const struct connection *c;
    for (c = x->connections; c != NULL; c = c->next) {
        const uint64_t ms = gives_up_ms(c);
        due_ms = ms < due_ms ? ms : due_ms;
    }
    return due_ms;
}

static struct connection *first_due(const struct exchange_tcp *x, uint64_t at_ms)
{
    struct connection *c;
    for (c = x->connections; c != NULL; c = c->next)
        if (gives_up_ms(c) <= at_ms)
            return c;
    return NULL;
}

void exchange_tcp_tick(struct exchange_tcp *x, uint64_t at_ms)
{
    struct connection *c;
    while ((c = first_due(x, at_ms)) != NULL)
        connection_end(c, UPSTREAM_REFUSED);
}
