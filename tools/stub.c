/* stub.c: knows sockets, retransmission and truncation.
 * Never knows which names belong together, nor what their answers say. */
#include "tools/stub.h"

#include "net/sockaddr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define STREAM_MAX (2 + WIRE_MESSAGE_MAX)

struct stub {
    struct ev_loop *loop;
    struct addr server;
    uint8_t reply[WIRE_MESSAGE_MAX];
    uint8_t packed[WIRE_PACKED_MAX];
};

/* Bytes over TCP: the question going out, then the reply coming in. */
struct stream {
    size_t len;
    uint8_t bytes[STREAM_MAX];
};

struct ask {
    struct stub *stub;
    stub_done *done;
    void *ctx;
    bool from_source;
    struct addr source;
    struct ev_io io; /* its fd is -1 where no socket could be had */
    struct ev_timer timer;
    int tries;
    struct stream *stream; /* NULL while over UDP */
    struct wire_question question;
    size_t query_len;
    uint8_t query[WIRE_QUERY_MAX];
};

static void close_socket(struct ask *a)
{
    if (a->io.fd < 0)
        return;
    ev_io_stop(a->stub->loop, &a->io);
    close(a->io.fd);
    a->io.fd = -1;
}

static void finish(struct ask *a, enum stub_outcome outcome)
{
    stub_done *done = a->done;
    void *ctx = a->ctx;
    ev_timer_stop(a->stub->loop, &a->timer);
    close_socket(a);
    free(a->stream);
    free(a);
    done(ctx, outcome);
}

static int connect_to_server(int fd, const struct ask *a)
{
    struct sockaddr_storage to = {0};
    socklen_t len = sockaddr_from_addr(&a->stub->server, &to);
    struct addr source = a->source, bound;
    source.port = 0;
    if (a->from_source && sockaddr_bind(fd, &source, &bound) != 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&to, len) != 0 && errno != EINPROGRESS)
        return -1;
    return 0;
}

/* A fresh socket, whose events go to call. */
static int open_socket(
    struct ask *a, int type, void (*call)(struct ev_loop *, ev_io *, int), int events)
{
    int fd = socket(sockaddr_family(&a->stub->server), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect_to_server(fd, a) != 0) {
        close(fd);
        return -1;
    }
    ev_io_init(&a->io, call, fd, events);
    a->io.data = a;
    ev_io_start(a->stub->loop, &a->io);
    return 0;
}

/* The question points into the query that was sent: the reply is read against its spelling. */
static enum wire_answer_kind read_reply(struct ask *a, const uint8_t *reply, size_t len)
{
    static const struct wire_ttl_bounds all = {.max_s = UINT32_MAX};
    struct wire_answer answer;
    return wire_pack_answer(reply, len, &a->question, false, false, &all, a->stub->packed,
        sizeof(a->stub->packed), &answer);
}

static enum stub_outcome outcome_of(enum wire_answer_kind kind)
{
    switch (kind) {
    case WIRE_ANSWER_POSITIVE:
    case WIRE_ANSWER_NODATA:
    case WIRE_ANSWER_NXDOMAIN:
    case WIRE_ANSWER_NO_SOA:
        return STUB_ANSWERED;
    default:
        return STUB_FAILED;
    }
}

/* ---- TCP ------------------------------------------------------------------------------------- */

static void on_reply_bytes(struct ask *a)
{
    struct stream *in = a->stream;
    ssize_t n = recv(a->io.fd, in->bytes + in->len, sizeof(in->bytes) - in->len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        finish(a, STUB_FAILED);
        return;
    }
    in->len += (size_t)n;
    int len = wire_frame_len(in->bytes, in->len);
    if (len < 0 || in->len < 2 + (size_t)len)
        return;
    if (wire_match_reply(a->query, a->query_len, in->bytes + 2, (size_t)len) != WIRE_MATCH)
        finish(a, STUB_FAILED);
    else
        finish(a, outcome_of(read_reply(a, in->bytes + 2, (size_t)len)));
}

/* The question is so short that a fresh connection takes it in one piece. */
static void on_stream(struct ev_loop *loop, ev_io *io, int events)
{
    struct ask *a = io->data;
    struct stream *out = a->stream;
    if (events & EV_READ) {
        on_reply_bytes(a);
        return;
    }
    wire_frame_write(out->bytes, a->query_len);
    memcpy(out->bytes + 2, a->query, a->query_len);
    if (send(io->fd, out->bytes, 2 + a->query_len, MSG_NOSIGNAL) != (ssize_t)(2 + a->query_len)) {
        finish(a, STUB_FAILED);
        return;
    }
    out->len = 0;
    ev_io_stop(loop, io);
    ev_io_set(io, io->fd, EV_READ);
    ev_io_start(loop, io);
}

static void turn_to_tcp(struct ask *a)
{
    close_socket(a);
    a->stream = malloc(sizeof(*a->stream));
    if (a->stream == NULL || open_socket(a, SOCK_STREAM, on_stream, EV_WRITE) != 0) {
        finish(a, STUB_FAILED);
        return;
    }
    a->tries = STUB_TRIES; /* what the timer does next is the last */
    a->timer.repeat = STUB_RETRY_MS * STUB_TRIES / 1000.;
    ev_timer_again(a->stub->loop, &a->timer);
}

/* ---- UDP ------------------------------------------------------------------------------------- */

/* What does not match is thrown away, and errors that the network tells are not believed: the reply
 * may still come (RFC 5452 6). */
static void on_datagram(struct ev_loop *loop, ev_io *io, int events)
{
    struct ask *a = io->data;
    uint8_t *reply = a->stub->reply;
    (void)loop;
    (void)events;
    ssize_t n = recv(io->fd, reply, sizeof(a->stub->reply), 0);
    if (n < 0)
        return;
    switch (wire_match_reply(a->query, a->query_len, reply, (size_t)n)) {
    case WIRE_MATCH:
        break;
    case WIRE_MATCH_BARE_ERROR:
        finish(a, STUB_FAILED);
        return;
    default:
        return;
    }
    enum wire_answer_kind kind = read_reply(a, reply, (size_t)n);
    if (kind == WIRE_ANSWER_TRUNCATED)
        turn_to_tcp(a);
    else
        finish(a, outcome_of(kind));
}

/* A socket or a message that could not be had is tried again with the next message. */
static void send_datagram(struct ask *a)
{
    a->tries++;
    if (a->io.fd < 0 && open_socket(a, SOCK_DGRAM, on_datagram, EV_READ) != 0)
        return;
    (void)send(a->io.fd, a->query, a->query_len, 0);
}

static void on_silence(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ask *a = timer->data;
    (void)loop;
    (void)events;
    if (a->tries == STUB_TRIES)
        finish(a, STUB_SILENT);
    else
        send_datagram(a);
}

/* ---- asking ---------------------------------------------------------------------------------- */

struct stub *stub_create(struct ev_loop *loop, const struct addr *server)
{
    struct stub *s = malloc(sizeof(*s));
    if (s == NULL)
        return NULL;
    s->loop = loop;
    s->server = *server;
    return s;
}

void stub_free(struct stub *s)
{
    free(s);
}

static void write_query(struct ask *a, const struct wire_question *question)
{
    struct wire_ask query = {.question = *question, .edns = true};
    a->query_len = wire_write_query(&query, a->query);
    while (getrandom(a->query, 2, 0) != 2) /* the ID; only a signal can interrupt it */
        ;
    a->question = *question;
    a->question.name = a->query + WIRE_HEADER_LEN;
}

int stub_ask(struct stub *s, const struct addr *source, const struct wire_question *question,
    stub_done *done, void *ctx)
{
    struct ask *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -1;
    a->stub = s;
    a->done = done;
    a->ctx = ctx;
    a->from_source = source != NULL;
    if (source != NULL)
        a->source = *source;
    a->io.fd = -1;
    write_query(a, question);
    ev_init(&a->timer, on_silence);
    a->timer.data = a;
    a->timer.repeat = STUB_RETRY_MS / 1000.;
    ev_now_update(s->loop); /* a second from now, and not from when this turn began */
    ev_timer_again(s->loop, &a->timer);
    send_datagram(a);
    return 0;
}
