/* tcp.c: knows the bytes of every connection, what each waits for and how long it may, and the
 * limits of all of them. Never knows more of a message than its length.
 *
 * An idle connection is one struct and nothing else. What is read goes into one buffer of the set
 * and is answered from there; only a message cut short is kept, in a buffer of its size. Replies
 * that are there at once are corked in another buffer of the set and leave in one call.
 *
 * Times. Deadlines of one kind are equally long, so each kind is a list in the order in which they
 * end: the turn asks the heads, and no connection has a timer.
 *
 * Who may end a connection. client_ops are called from the middle of the core, perhaps while it
 * answers this very connection: they queue bytes and leave the rest to the end of the turn. Ended
 * are connections only by the loop: in their own event, a tick, or an end of a turn. */
#include "net/tcp.h"

#include "net/sockaddr.h"
#include "ops/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#define FRAME_MAX       (2 + WIRE_MESSAGE_MAX)
#define CORK_SIZE       (2 * FRAME_MAX)
#define OUT_MAX         (128 * 1024) /* replies not taken by a peer, beyond which it is not read */
#define OUT_MIN         2048         /* first size of a buffer for them */
#define KERNEL_OUT_MAX  (64 * 1024)  /* and how much of them lies unsent in the kernel */
#define MESSAGES_MAX    1000         /* of one connection, while connections are scarce */
#define IN_FLIGHT_MAX   64
#define BACKLOG         1024
#define ACCEPTS_MAX     64 /* an event, so that the others have their turn */
#define ACCEPT_PAUSE_MS 1000

/* What all connections together may make us hold; the one that asks for more ends. Those of one
 * client may hold as much as is left for all others: alone a half, two a third each. So whoever
 * never reads leaves others as much as it has, and it takes many such clients to leave next to
 * nothing. */
#define BUFFERED_MAX ((size_t)64 << 20)

#define PIECE_COST 16 /* what malloc and a table take for each piece of memory */

/* The connections of one client address. */
struct peer {
    uint8_t id[16];
    size_t n;
    size_t buffered;
    UT_hash_handle hh;
};

/* What the input of a connection waits for, and so which list it is in. */
enum wait {
    WAIT_NONE,    /* nothing: it is not read, or a reply is owed */
    WAIT_MESSAGE, /* the first message, or the rest of one; or the peer to hang up */
    WAIT_IDLE,    /* whatever may come */
    WAIT_KINDS,
};

enum work {
    WORK_NONE,
    WORK_FLUSH,  /* at the end of this turn: a reply was queued, or a question dropped */
    WORK_RESUME, /* in the next turn: there is room again for messages that were read already */
    WORK_KINDS,
};

struct conn {
    struct ev_io io;
    struct tcp *set;
    struct peer *peer;
    struct client client;

    uint8_t *part; /* read but not yet answered */
    uint8_t *out;  /* queued: from out_at to out_end */
    uint32_t part_len;
    uint32_t out_at, out_end, out_cap;

    struct conn *all_prev, *all_next;
    struct conn *wait_prev, *wait_next;
    struct conn *stalled_prev, *stalled_next;
    struct conn *work_prev, *work_next;
    uint64_t wait_until_ms;
    uint64_t stalled_until_ms;

    uint32_t n_messages;
    uint16_t in_flight;
    uint8_t wait; /* enum wait */
    uint8_t work; /* enum work */
    bool stalled; /* in the list of those whose peer takes nothing */
    bool eof;
    bool lingering; /* all is said; the peer is to hang up first */
    bool broken;    /* a reply could not be queued; ends with the next attempt to send */
    bool ended;     /* closed; lives on while the desk may call its operations */
};

struct listener {
    struct ev_io io;
    struct tcp *set;
    struct addr bound;
    bool wildcard;
    struct listener *next;
};

struct tcp {
    struct ev_loop *loop;
    struct turn *turn;
    struct tcp_conf conf;
    struct query_desk *desk;
    struct listener *listeners;
    struct peer *peers;
    uint8_t peers_key[crypto_shorthash_KEYBYTES];
    struct conn *all;
    struct conn *wait[WAIT_KINDS];
    struct conn *work[WORK_KINDS];
    struct conn *stalled;
    size_t n_open;
    int reserve; /* a descriptor to give up when there are no others; -1 while given up */
    uint64_t paused_until_ms; /* UINT64_MAX while accepting */
    bool stopping;
    struct tcp_counts counts;
    struct log_limit pause_limit, full_limit, stranger_limit;
    size_t cork_len;
    uint8_t cork[CORK_SIZE]; /* whole frames to the connection that is being read */
    uint8_t in[FRAME_MAX];
};

size_t tcp_bytes_max(const struct tcp_conf *conf, size_t n_orphans)
{
    size_t one = sizeof(struct conn) + 3 * PIECE_COST;
    size_t open = one + sizeof(struct peer) + 2 * PIECE_COST;
    return sizeof(struct tcp) + conf->connections_max * open + n_orphans * one + BUFFERED_MAX;
}

/* ---- peers ----------------------------------------------------------------------------------- */

static unsigned hash_id(const struct tcp *t, const uint8_t id[16])
{
    uint8_t hash[crypto_shorthash_BYTES];
    unsigned value;
    crypto_shorthash(hash, id, 16, t->peers_key);
    memcpy(&value, hash, sizeof value);
    return value;
}

/* One more connection of this address; NULL when it has too many, or memory is out. */
static struct peer *peer_join(struct tcp *t, const struct addr *a)
{
    uint8_t id[16];
    addr_client_id(a, id);
    unsigned hash = hash_id(t, id);
    struct peer *p = NULL;
    HASH_FIND_BYHASHVALUE(hh, t->peers, id, sizeof id, hash, p);
    if (p != NULL) {
        if (p->n >= t->conf.per_client_max)
            return NULL;
        p->n++;
        return p;
    }
    p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    memcpy(p->id, id, sizeof id);
    p->n = 1;
    HASH_ADD_BYHASHVALUE(hh, t->peers, id, sizeof id, hash, p);
    if (p->hh.tbl == NULL) {
        free(p);
        return NULL;
    }
    return p;
}

static void peer_leave(struct tcp *t, struct peer *p)
{
    if (--p->n > 0)
        return;
    HASH_DEL(t->peers, p);
    free(p);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void set_work(struct conn *c, enum work work)
{
    struct tcp *t = c->set;
    if (c->work == work)
        return;
    if (c->work != WORK_NONE)
        DL_DELETE2(t->work[c->work], c, work_prev, work_next);
    if (work != WORK_NONE)
        DL_APPEND2(t->work[work], c, work_prev, work_next);
    c->work = (uint8_t)work;
}

static void set_wait(struct conn *c, enum wait wait)
{
    struct tcp *t = c->set;
    if (c->wait == wait)
        return;
    if (c->wait != WAIT_NONE)
        DL_DELETE2(t->wait[c->wait], c, wait_prev, wait_next);
    if (wait != WAIT_NONE)
        DL_APPEND2(t->wait[wait], c, wait_prev, wait_next);
    c->wait = (uint8_t)wait;
    uint64_t ms = wait == WAIT_IDLE ? t->conf.idle_ms : t->conf.first_message_ms;
    c->wait_until_ms = turn_now_ms(t->turn) + ms;
}

static void set_stalled(struct conn *c, bool stalled)
{
    struct tcp *t = c->set;
    if (c->stalled == stalled)
        return;
    if (c->stalled)
        DL_DELETE2(t->stalled, c, stalled_prev, stalled_next);
    else
        DL_APPEND2(t->stalled, c, stalled_prev, stalled_next);
    c->stalled = stalled;
    c->stalled_until_ms = turn_now_ms(t->turn) + t->conf.idle_ms;
}

/* ---- a connection's two buffers -------------------------------------------------------------- */

static bool may_hold(const struct conn *c, size_t more)
{
    size_t all = c->set->counts.buffered + more;
    return all <= BUFFERED_MAX && c->peer->buffered + more <= BUFFERED_MAX - all;
}

static void hold(struct conn *c, size_t more)
{
    c->set->counts.buffered += more;
    c->peer->buffered += more;
}

static void let_go(struct conn *c, size_t less)
{
    c->set->counts.buffered -= less;
    c->peer->buffered -= less;
}

/* Keeps what was read and not yet answered, in place of what was kept before. */
static int part_keep(struct conn *c, const uint8_t *bytes, size_t len)
{
    let_go(c, c->part_len);
    c->part_len = 0;
    if (len == 0 || !may_hold(c, len)) {
        free(c->part);
        c->part = NULL;
        return len == 0 ? 0 : -1;
    }
    uint8_t *part = realloc(c->part, len);
    if (part == NULL)
        return -1;
    memcpy(part, bytes, len);
    c->part = part;
    c->part_len = (uint32_t)len;
    hold(c, len);
    return 0;
}

static size_t out_pending(const struct conn *c)
{
    return c->out_end - c->out_at;
}

static void out_free(struct conn *c)
{
    let_go(c, c->out_cap);
    free(c->out);
    c->out = NULL;
    c->out_at = c->out_end = c->out_cap = 0;
}

static int out_grow(struct conn *c, size_t need)
{
    size_t cap = OUT_MIN;
    while (cap < need)
        cap *= 2;
    if (!may_hold(c, cap - c->out_cap))
        return -1;
    uint8_t *out = realloc(c->out, cap);
    if (out == NULL)
        return -1;
    hold(c, cap - c->out_cap);
    c->out = out;
    c->out_cap = (uint32_t)cap;
    return 0;
}

static int out_append(struct conn *c, const uint8_t *bytes, size_t len)
{
    if (len > c->out_cap - c->out_end && c->out_at > 0) {
        memmove(c->out, c->out + c->out_at, out_pending(c));
        c->out_end -= c->out_at;
        c->out_at = 0;
    }
    if (len > c->out_cap - c->out_end && out_grow(c, c->out_end + len) != 0)
        return -1;
    memcpy(c->out + c->out_end, bytes, len);
    c->out_end += (uint32_t)len;
    return 0;
}

/* Sends as much as the kernel takes; *sent is how much. 0, or -1 when the connection has failed. */
static int send_some(struct conn *c, const uint8_t *bytes, size_t len, size_t *sent)
{
    *sent = 0;
    while (*sent < len) {
        ssize_t n = send(c->io.fd, bytes + *sent, len - *sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            *sent += (size_t)n;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return -1;
    }
    return 0;
}

static int out_flush(struct conn *c)
{
    size_t sent;
    if (c->broken)
        return -1;
    if (out_pending(c) == 0)
        return 0;
    if (send_some(c, c->out + c->out_at, out_pending(c), &sent) != 0)
        return -1;
    c->out_at += (uint32_t)sent;
    if (sent > 0)
        set_stalled(c, false); /* and again, from now on, if something is left */
    if (out_pending(c) == 0)
        out_free(c);
    return 0;
}

/* Sends the corked frames, behind what is queued already. */
static int cork_flush(struct conn *c)
{
    struct tcp *t = c->set;
    size_t len = t->cork_len;
    size_t sent = 0;
    t->cork_len = 0;
    if (out_flush(c) != 0)
        return -1;
    if (out_pending(c) == 0 && send_some(c, t->cork, len, &sent) != 0)
        return -1;
    return sent < len ? out_append(c, t->cork + sent, len - sent) : 0;
}

/* ---- the end of a connection ----------------------------------------------------------------- */

static void conn_free(struct conn *c)
{
    DL_DELETE2(c->set->all, c, all_prev, all_next);
    free(c);
}

/* Questions that are still in flight keep the struct, and only that, until each has had its reply
 * or its drop. */
static void conn_end(struct conn *c)
{
    struct tcp *t = c->set;
    ev_io_stop(t->loop, &c->io);
    close(c->io.fd);
    set_work(c, WORK_NONE);
    set_wait(c, WAIT_NONE);
    set_stalled(c, false);
    (void)part_keep(c, NULL, 0);
    out_free(c);
    peer_leave(t, c->peer);
    c->peer = NULL;
    c->ended = true;
    t->n_open--;
    if (c->in_flight == 0)
        conn_free(c);
    else
        t->counts.orphans++;
}

/* ---- what a connection waits for ------------------------------------------------------------- */

/* Who sent many messages makes room, but only where others may want it: a client that pipelines
 * without end loses what it sent behind the last message that is answered (RFC 7766 6.2.4). */
static bool is_spent(const struct conn *c)
{
    const struct tcp *t = c->set;
    bool scarce =
        t->n_open * 2 > t->conf.connections_max || c->peer->n * 2 > t->conf.per_client_max;
    return c->n_messages >= MESSAGES_MAX && scarce;
}

static bool may_take(const struct conn *c)
{
    return !c->set->stopping && !c->lingering && !is_spent(c) && c->in_flight < IN_FLIGHT_MAX &&
           out_pending(c) < OUT_MAX;
}

/* Whether there is something to do with what was read: answer it, or close for its length. */
static bool has_whole(const struct conn *c)
{
    int len = wire_frame_len(c->part, c->part_len);
    return len >= 0 && (len < WIRE_HEADER_LEN || c->part_len >= 2 + (size_t)len);
}

static void watch(struct conn *c, int events)
{
    struct ev_loop *loop = c->set->loop;
    if (ev_is_active(&c->io) && c->io.events == events)
        return;
    ev_io_stop(loop, &c->io);
    ev_io_set(&c->io, c->io.fd, events);
    if (events != 0)
        ev_io_start(loop, &c->io);
}

/* To close a socket with unread bytes in it resets the connection, and the peer may lose replies
 * that it has not read yet. So it is told that nothing more comes, and what it still sends is
 * thrown away until it hangs up too or its time is over. */
static void linger(struct conn *c)
{
    if (shutdown(c->io.fd, SHUT_WR) != 0) {
        conn_end(c);
        return;
    }
    c->lingering = true;
    (void)part_keep(c, NULL, 0);
    set_stalled(c, false);
    watch(c, EV_READ);
    set_wait(c, WAIT_NONE);
    set_wait(c, WAIT_MESSAGE);
}

static enum wait what_to_wait_for(const struct conn *c, bool reading)
{
    if (!reading)
        return WAIT_NONE;
    if (c->part_len > 0 || c->n_messages == 0)
        return WAIT_MESSAGE;
    return c->in_flight > 0 || out_pending(c) > 0 ? WAIT_NONE : WAIT_IDLE;
}

/* To be called last after whatever happened to a connection; it may end it. */
static void settle(struct conn *c)
{
    if (c->lingering)
        return;
    bool closing = c->eof || c->set->stopping || is_spent(c);
    bool more = may_take(c) && has_whole(c);
    if (closing && !more && c->in_flight == 0 && out_pending(c) == 0) {
        if (c->eof || c->set->stopping)
            conn_end(c);
        else
            linger(c);
        return;
    }
    if (more)
        set_work(c, WORK_RESUME);
    bool reading = may_take(c) && !more && !c->eof;
    watch(c, (reading ? EV_READ : 0) | (out_pending(c) > 0 ? EV_WRITE : 0));
    set_wait(c, what_to_wait_for(c, reading));
    set_stalled(c, out_pending(c) > 0);
}

/* ---- questions ------------------------------------------------------------------------------- */

static int ask(struct conn *c, const uint8_t *msg, size_t len)
{
    struct tcp *t = c->set;
    if (CORK_SIZE - t->cork_len < FRAME_MAX && cork_flush(c) != 0)
        return -1;
    uint8_t *frame = t->cork + t->cork_len;
    size_t reply_len = 0;
    c->n_messages++;
    c->in_flight++; /* before the call: its operation may come before the call returns */
    enum query_verdict verdict = query_accept(t->desk, &c->client, msg, len, turn_now_ms(t->turn),
        frame + 2, WIRE_MESSAGE_MAX, &reply_len);
    if (verdict == QUERY_LATER)
        return 0;
    c->in_flight--;
    if (verdict == QUERY_REPLY) {
        wire_frame_write(frame, reply_len);
        t->cork_len += 2 + reply_len;
    }
    return 0;
}

/* Answers the whole messages among the len bytes in t->in, as many as may be taken. *used is how
 * many bytes they were. -1 when the connection has failed, or has sent what cannot be a message:
 * behind that nothing can be told apart any more. */
static int ask_all(struct conn *c, size_t len, size_t *used)
{
    struct tcp *t = c->set;
    *used = 0;
    while (may_take(c)) {
        const uint8_t *frame = t->in + *used;
        int msg_len = wire_frame_len(frame, len - *used);
        if (msg_len < 0)
            break;
        if (msg_len < WIRE_HEADER_LEN) {
            (void)cork_flush(c);
            return -1;
        }
        if (len - *used < 2 + (size_t)msg_len)
            break;
        if (ask(c, frame + 2, (size_t)msg_len) != 0)
            return -1;
        *used += 2 + (size_t)msg_len;
    }
    return cork_flush(c);
}

static void consume(struct conn *c, size_t len)
{
    struct tcp *t = c->set;
    size_t used;
    if (ask_all(c, len, &used) != 0 || part_keep(c, t->in + used, len - used) != 0) {
        t->cork_len = 0;
        conn_end(c);
        return;
    }
    if (used > 0)
        set_wait(c, WAIT_NONE); /* what is left was begun just now */
    settle(c);
}

static void resume(struct conn *c)
{
    set_work(c, WORK_NONE);
    memcpy(c->set->in, c->part, c->part_len);
    consume(c, c->part_len);
}

/* ---- replies that come later ----------------------------------------------------------------- */

static void flight_over(struct conn *c)
{
    c->in_flight--;
    if (!c->ended && c->work == WORK_NONE)
        set_work(c, WORK_FLUSH);
    if (!c->ended || c->in_flight > 0)
        return;
    c->set->counts.orphans--;
    conn_free(c);
}

static void reply_later(const struct client *client, const uint8_t *msg, size_t len)
{
    struct conn *c = client->owner;
    if (!c->ended && !c->broken) {
        uint8_t prefix[2];
        wire_frame_write(prefix, len);
        c->broken = out_append(c, prefix, 2) != 0 || out_append(c, msg, len) != 0;
    }
    flight_over(c);
}

static void drop_later(const struct client *client)
{
    flight_over(client->owner);
}

static const struct client_ops TCP_OPS = {.reply = reply_later, .drop = drop_later};

static void end_of_turn(void *ctx, uint64_t now_ms)
{
    (void)now_ms;
    struct tcp *t = ctx;
    struct conn *c;
    while ((c = t->work[WORK_FLUSH]) != NULL) {
        set_work(c, WORK_NONE);
        if (out_flush(c) != 0)
            conn_end(c);
        else
            settle(c);
    }
}

/* ---- events of a connection ------------------------------------------------------------------ */

/* What is kept is less than a whole message here, so there is room for at least a byte. */
static void on_bytes(struct conn *c)
{
    struct tcp *t = c->set;
    size_t kept = c->part_len;
    if (kept > 0)
        memcpy(t->in, c->part, kept);
    ssize_t n = recv(c->io.fd, t->in + kept, sizeof t->in - kept, MSG_DONTWAIT);
    if (n > 0 && !c->lingering) {
        consume(c, kept + (size_t)n);
        return;
    }
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    if (n < 0 || c->lingering) {
        conn_end(c);
        return;
    }
    c->eof = true; /* it may still wait for replies (RFC 7766 6.2.4) */
    (void)part_keep(c, NULL, 0);
    settle(c);
}

static void on_event(struct ev_loop *loop, struct ev_io *w, int events)
{
    (void)loop;
    struct conn *c = w->data;
    /* The kernel refuses to watch it: nothing would ever be heard of it again. */
    if (events & EV_ERROR || (events & EV_WRITE && out_flush(c) != 0)) {
        conn_end(c);
        return;
    }
    if (events & EV_READ)
        on_bytes(c);
    else
        settle(c);
}

/* ---- the turn -------------------------------------------------------------------------------- */

static uint64_t next_due(void *ctx)
{
    const struct tcp *t = ctx;
    uint64_t due = t->paused_until_ms;
    if (t->work[WORK_RESUME] != NULL || t->work[WORK_FLUSH] != NULL)
        return 0; /* to flush is left for the end of that turn, if another end replied behind ours
                   */
    for (int kind = WAIT_MESSAGE; kind < WAIT_KINDS; kind++)
        if (t->wait[kind] != NULL && t->wait[kind]->wait_until_ms < due)
            due = t->wait[kind]->wait_until_ms;
    if (t->stalled != NULL && t->stalled->stalled_until_ms < due)
        due = t->stalled->stalled_until_ms;
    return due;
}

static void time_out(struct conn *c)
{
    c->set->counts.timed_out++;
    conn_end(c);
}

static void accept_again(struct tcp *t);

static void tick(void *ctx, uint64_t now_ms)
{
    struct tcp *t = ctx;
    while (t->work[WORK_RESUME] != NULL)
        resume(t->work[WORK_RESUME]);
    for (int kind = WAIT_MESSAGE; kind < WAIT_KINDS; kind++)
        while (t->wait[kind] != NULL && t->wait[kind]->wait_until_ms <= now_ms)
            time_out(t->wait[kind]);
    while (t->stalled != NULL && t->stalled->stalled_until_ms <= now_ms)
        time_out(t->stalled);
    if (t->paused_until_ms <= now_ms)
        accept_again(t);
}

/* ---- accepting ------------------------------------------------------------------------------- */

static void reserve_take(struct tcp *t)
{
    if (t->reserve < 0)
        t->reserve = eventfd(0, EFD_CLOEXEC);
}

static void accept_again(struct tcp *t)
{
    t->paused_until_ms = UINT64_MAX;
    reserve_take(t);
    for (struct listener *l = t->listeners; l != NULL; l = l->next)
        ev_io_start(t->loop, &l->io);
}

/* Nothing can be accepted, and the loop would be told so again and again. */
static void accept_pause(struct tcp *t, int error)
{
    uint64_t now_ms = turn_now_ms(t->turn);
    t->paused_until_ms = now_ms + ACCEPT_PAUSE_MS;
    t->counts.pauses++;
    for (struct listener *l = t->listeners; l != NULL; l = l->next)
        ev_io_stop(t->loop, &l->io);
    log_warning_limited(&t->pause_limit, now_ms,
        "no new TCP connections for %d ms: %s (%zu are open)", ACCEPT_PAUSE_MS, strerror(error),
        t->n_open);
}

/* Gives up the reserve to tell the one who came first that there is no room. */
static void refuse_with_reserve(struct tcp *t, int listener)
{
    if (t->reserve < 0)
        return;
    close(t->reserve);
    t->reserve = -1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    reserve_take(t);
}

/* Whether to go on accepting after this error. Linux hands on what has become of the new connection
 * as an error of accept (accept(2)): those are skipped. */
static bool accept_failed(struct listener *l, int error)
{
    switch (error) {
    case EAGAIN:
        return false;
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
        return true;
    case EMFILE:
    case ENFILE:
        refuse_with_reserve(l->set, l->io.fd);
        break;
    default:
        break;
    }
    accept_pause(l->set, error);
    return false;
}

/* Whether one more connection fits: the one that has been idle the longest makes room. */
static bool make_room(struct tcp *t)
{
    if (t->n_open < t->conf.connections_max)
        return true;
    if (t->wait[WAIT_IDLE] == NULL)
        return false;
    t->counts.made_room++;
    conn_end(t->wait[WAIT_IDLE]);
    return true;
}

static void find_local(const struct listener *l, int fd, struct client *client)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    client->local = l->bound;
    if (l->wildcard && getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
        (void)sockaddr_to_addr(&ss, &client->local);
    client->ifindex = client->local.scope;
}

static struct conn *conn_create(struct listener *l, int fd, const struct addr *from, struct peer *p)
{
    struct tcp *t = l->set;
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->set = t;
    c->peer = p;
    c->client =
        (struct client){.ops = &TCP_OPS, .owner = c, .peer = *from, .transport = CLIENT_TCP};
    find_local(l, fd, &c->client);
    ev_io_init(&c->io, on_event, fd, EV_READ);
    c->io.data = c;
    DL_APPEND2(t->all, c, all_prev, all_next);
    t->n_open++;
    t->counts.accepted++;
    return c;
}

static void refuse_over_limit(struct tcp *t, const struct addr *from)
{
    char text[ADDR_TEXT_MAX];
    addr_format_ip(from, text);
    t->counts.over_limit++;
    log_warning_limited(&t->full_limit, turn_now_ms(t->turn),
        "refused a TCP connection from %s: it has too many, or all together (%zu are open)", text,
        t->n_open);
}

static void refuse_stranger(struct tcp *t, const struct addr *from)
{
    char text[ADDR_TEXT_MAX];
    addr_format_ip(from, text);
    t->counts.not_allowed++;
    log_debug_limited(&t->stranger_limit, turn_now_ms(t->turn),
        "refused a TCP connection from %s: it is not served (-allow)", text);
}

/* Takes over fd, or closes it. */
static void admit(struct listener *l, int fd, const struct sockaddr_storage *ss)
{
    struct tcp *t = l->set;
    struct addr from;
    struct peer *p = NULL;
    struct conn *c = NULL;
    if (sockaddr_to_addr(ss, &from) != 0)
        goto refused;
    if (!query_allows(t->desk, &from)) {
        refuse_stranger(t, &from);
        goto refused;
    }
    p = peer_join(t, &from);
    if (p == NULL || !make_room(t)) {
        refuse_over_limit(t, &from);
        goto refused;
    }
    c = conn_create(l, fd, &from, p);
    if (c == NULL)
        goto refused;
    settle(c);
    return;

refused:
    if (p != NULL)
        peer_leave(t, p);
    close(fd);
}

static void on_acceptable(struct ev_loop *loop, struct ev_io *w, int events)
{
    (void)loop;
    struct listener *l = w->data;
    if (events & EV_ERROR) { /* the kernel refuses to watch it, and libev has stopped it */
        accept_pause(l->set, ENOMEM);
        return;
    }
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;
        int fd = accept4(w->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            admit(l, fd, &ss);
        else if (!accept_failed(l, errno))
            return;
    }
}

/* ---- the set --------------------------------------------------------------------------------- */

struct tcp *tcp_create(
    struct ev_loop *loop, struct turn *turn, const struct tcp_conf *conf, struct query_desk *desk)
{
    struct tcp *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    randombytes_buf(t->peers_key, sizeof t->peers_key);
    t->loop = loop;
    t->turn = turn;
    t->conf = *conf;
    t->desk = desk;
    t->reserve = -1;
    t->paused_until_ms = UINT64_MAX;
    reserve_take(t);
    turn_add_due(turn, next_due, tick, t);
    turn_add_end(turn, end_of_turn, t);
    return t;
}

/* SO_REUSEADDR: connections of the last run that linger in TIME_WAIT are no reason to wait. The
 * others are inherited by what is accepted. TCP_NOTSENT_LOWAT: the kernel would take MiBs for a
 * peer that does not read, and tell of room again only when a third of them is free. */
static int set_options(int fd)
{
    int on = 1, unsent = KERNEL_OUT_MAX;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        return -1;
    return setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

static int open_listener(const struct addr *at, struct addr *bound)
{
    int fd = socket(sockaddr_family(at), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && set_options(fd) == 0 && sockaddr_bind(fd, at, bound) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    char text[ADDR_TEXT_MAX];
    addr_format(at, text);
    log_error("cannot listen on %s (TCP): %s%s", text, strerror(error), sockaddr_advice(error));
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

int tcp_listen(struct tcp *t, const struct addr *listen, struct addr *bound)
{
    struct listener *l = calloc(1, sizeof *l);
    if (l == NULL) {
        log_error("cannot listen: out of memory");
        return -1;
    }
    int fd = open_listener(listen, &l->bound);
    if (fd < 0) {
        free(l);
        return -1;
    }
    l->set = t;
    l->wildcard = addr_is_unspecified(listen);
    LL_PREPEND(t->listeners, l);
    ev_io_init(&l->io, on_acceptable, fd, EV_READ);
    l->io.data = l;
    if (t->paused_until_ms == UINT64_MAX)
        ev_io_start(t->loop, &l->io);
    if (bound != NULL)
        *bound = l->bound;
    return 0;
}

static void close_listeners(struct tcp *t)
{
    while (t->listeners != NULL) {
        struct listener *l = t->listeners;
        LL_DELETE(t->listeners, l);
        ev_io_stop(t->loop, &l->io);
        close(l->io.fd);
        free(l);
    }
    if (t->reserve >= 0)
        close(t->reserve);
    t->reserve = -1;
    t->paused_until_ms = UINT64_MAX;
}

void tcp_stop(struct tcp *t)
{
    struct conn *c, *next;
    t->stopping = true;
    close_listeners(t);
    DL_FOREACH_SAFE2(t->all, c, next, all_next)
    {
        if (c->ended)
            continue;
        if (c->lingering)
            conn_end(c);
        else
            settle(c);
    }
}

void tcp_free(struct tcp *t)
{
    if (t == NULL)
        return;
    close_listeners(t);
    while (t->all != NULL) {
        struct conn *c = t->all;
        c->in_flight = 0;
        if (c->ended)
            conn_free(c);
        else
            conn_end(c);
    }
    turn_remove(t->turn, t);
    free(t);
}

size_t tcp_connections(const struct tcp *t)
{
    return t->n_open;
}

void tcp_count(const struct tcp *t, struct tcp_counts *out)
{
    *out = t->counts;
}
