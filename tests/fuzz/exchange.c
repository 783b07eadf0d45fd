/* exchange.c: fuzzes the exchange with the servers (net/exchange*.c): what comes back over UDP and
 * in streams, in any pieces and order, and what those who ask do when it comes. The exchange is the
 * real one, and the loop; its sockets become pairs as they are connected, and the input has the
 * other ends. Knows what was asked, and so which replies count. */
#include "net/exchange.h"
#include "net/clock.h"
#include "net/sockaddr.h"
#include "tests/fuzz/fuzz.h"
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINKS_MAX   48
#define ASKS_MAX    200
#define QUERIES_MAX 400
#define STEPS_MAX   150

/* One socket of the exchange and its other end. */
struct link {
    int fd, far; /* far -1: hung up */
    bool stream, garbled;
    struct sockaddr_storage server;
    uint8_t in[70000]; /* of a stream, not yet whole messages */
    size_t in_len;
};

struct ask {
    struct upstream_ask *handle; /* NULL once it is over */
    enum upstream_transport transport;
    bool suspect, case_lost;
    unsigned n_replies;
};

/* A message that arrived at a server. */
struct query {
    struct link *link;
    uint8_t msg[WIRE_QUERY_MAX];
    size_t len;
    unsigned ask;
};

static struct link *links[LINKS_MAX];
static struct ask asks[ASKS_MAX];
static struct query queries[QUERIES_MAX];
static unsigned n_links, n_asks, n_queries;
static struct fuzz_input in;
static struct ev_loop *loop;
static struct turn *turn;
static struct upstream *upstream;
static uint64_t now_ms;
static bool takes_all; /* nobody turns a reply down, or does anything else as it comes */

uint64_t clock_now_ms(void)
{
    return now_ms;
}

/* ---- in place of the kernel's ---------------------------------------------------------------- */

int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t len)
{
    static const int errors[] = {0, 0, 0, 0, 0, ECONNREFUSED, ENETUNREACH, EINPROGRESS};
    uint8_t how = fuzz_u8(&in);
    int type, pair[2];
    socklen_t type_len = sizeof type;
    errno = errors[how & 7];
    if (n_links == LINKS_MAX)
        errno = ENETUNREACH;
    if (errno != 0 && errno != EINPROGRESS)
        return -1;
    int result = errno == 0 ? 0 : -1;
    FUZZ_MUST(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0);
    FUZZ_MUST(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    FUZZ_MUST(dup2(pair[0], fd) == fd);
    close(pair[0]);
    struct link *l = calloc(1, sizeof *l);
    FUZZ_MUST(l != NULL);
    l->fd = fd;
    l->far = pair[1];
    l->stream = type == SOCK_STREAM;
    memcpy(&l->server, to.__sockaddr__, len);
    links[n_links++] = l;
    if (result < 0)
        errno = EINPROGRESS;
    return result;
}

/* Fills in the address that a datagram would have come from. */
int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n_max, int flags, struct timespec *timeout)
{
    int n = (int)syscall(SYS_recvmmsg, fd, msgs, n_max, flags, timeout);
    for (int i = 0; i < n; i++)
        for (unsigned k = 0; k < n_links; k++)
            if (links[k]->fd == fd) /* the newest one that has this number */
                memcpy(msgs[i].msg_hdr.msg_name, &links[k]->server, sizeof links[k]->server);
    return n;
}

/* ---- those who ask --------------------------------------------------------------------------- */

static size_t make_query(unsigned number, uint8_t out[WIRE_QUERY_MAX])
{
    static const uint8_t head[WIRE_HEADER_LEN] = {0, 0, 1, 0, 0, 1};
    static const uint8_t tail[] = "\4Dnsd\7Example\0\0\1\0\1";
    memcpy(out, head, sizeof head);
    out[WIRE_HEADER_LEN] = 4;
    snprintf((char *)out + WIRE_HEADER_LEN + 1, 5, "q%03u", number % 1000);
    memcpy(out + WIRE_HEADER_LEN + 5, tail, sizeof tail - 1);
    return WIRE_HEADER_LEN + 5 + sizeof tail - 1;
}

static bool on_done(void *ctx, enum upstream_event event, const uint8_t *msg, size_t len);

static void ask_one(uint8_t how)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct addr server = {
        .ip = {[10] = 0xff, 0xff, 192, 0, 2, (uint8_t)(1 + (how & 1))}, .port = 53};
    if (how & 2)
        memcpy(server.ip, (uint8_t[]){0x20, 1, 0x0d, 0xb8, [15] = 1}, 16);
    if (n_asks == ASKS_MAX)
        return;
    struct ask *a = &asks[n_asks];
    size_t len = make_query(n_asks++, msg);
    memset(a, 0, sizeof *a);
    a->transport = how & 4 ? UPSTREAM_TCP : UPSTREAM_UDP;
    a->handle = upstream_ask(upstream, &server, a->transport, msg, len, on_done, a);
    FUZZ_MUST(a->handle != NULL);
}

static void cancel_one(uint8_t which, const struct ask *but)
{
    struct ask *a = n_asks == 0 ? NULL : &asks[which % n_asks];
    if (a == NULL || a == but || a->handle == NULL)
        return;
    struct upstream_ask *handle = a->handle;
    a->handle = NULL;
    upstream_cancel(handle);
}

/* A reply counts if it is one to this very question. */
static void counts_for(const struct ask *a, const uint8_t *msg, size_t len)
{
    uint8_t query[WIRE_QUERY_MAX];
    size_t query_len = make_query((unsigned)(a - asks), query);
    FUZZ_MUST(len >= WIRE_HEADER_LEN);
    memcpy(query, msg, 2);
    enum wire_match m = wire_match_reply(query, query_len, msg, len);
    FUZZ_MUST(m == WIRE_MATCH || (m == WIRE_MATCH_BUT_CASE && a->transport == UPSTREAM_TCP));
}

static bool on_done(void *ctx, enum upstream_event event, const uint8_t *msg, size_t len)
{
    struct ask *a = ctx;
    uint8_t how = takes_all ? 0 : fuzz_u8(&in);
    bool taken = true;
    FUZZ_MUST(a->handle != NULL);
    FUZZ_MUST((event == UPSTREAM_REPLY) == (msg != NULL));
    switch (event) {
    case UPSTREAM_REPLY:
        counts_for(a, msg, len);
        taken = (how & 3) != 3;
        break;
    case UPSTREAM_SUSPECT:
        FUZZ_MUST(!a->suspect && a->transport == UPSTREAM_UDP);
        a->suspect = true;
        break;
    case UPSTREAM_CASE_LOST:
        FUZZ_MUST(!a->case_lost && a->transport == UPSTREAM_UDP);
        a->case_lost = true;
        break;
    default:
        break;
    }
    if (taken && event != UPSTREAM_SUSPECT && event != UPSTREAM_CASE_LOST)
        a->handle = NULL;
    if (how & 64)
        ask_one(fuzz_u8(&in));
    if (how & 128)
        cancel_one(fuzz_u8(&in), a);
    return taken;
}

/* ---- servers --------------------------------------------------------------------------------- */

static void turns(int n)
{
    while (n-- > 0)
        ev_run(loop, EVRUN_NOWAIT);
}

static void take_query(struct link *l, const uint8_t *msg, size_t len)
{
    struct wire_query q;
    if (n_queries == QUERIES_MAX)
        return;
    FUZZ_MUST(len <= WIRE_QUERY_MAX && wire_parse_query(msg, len, &q) == WIRE_QUERY_OK);
    struct query *to = &queries[n_queries++];
    to->link = l;
    to->len = len;
    memcpy(to->msg, msg, len);
    to->ask = (unsigned)strtoul((const char *)msg + WIRE_HEADER_LEN + 2, NULL, 10);
}

static void take_stream(struct link *l)
{
    size_t at = 0;
    int len;
    while ((len = wire_frame_len(l->in + at, l->in_len - at)) >= 0 &&
           l->in_len - at >= 2 + (size_t)len) {
        take_query(l, l->in + at + 2, (size_t)len);
        at += 2 + (size_t)len;
    }
    memmove(l->in, l->in + at, l->in_len - at);
    l->in_len -= at;
}

/* Takes what the exchange has sent. */
static void serve(void)
{
    for (unsigned i = 0; i < n_links; i++) {
        struct link *l = links[i];
        ssize_t n;
        while (l->far >= 0 &&
               (n = recv(l->far, l->in + l->in_len, sizeof l->in - l->in_len, MSG_DONTWAIT)) > 0) {
            if (l->stream) {
                l->in_len += (size_t)n;
                take_stream(l);
            } else {
                take_query(l, l->in, (size_t)n);
            }
        }
    }
}

static void send_back(struct link *l, const uint8_t *bytes, size_t len)
{
    if (l->far >= 0)
        (void)!send(l->far, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_reply(struct link *l, const uint8_t *msg, size_t len, uint8_t how)
{
    static uint8_t frame[2 + WIRE_MESSAGE_MAX];
    if (!l->stream) {
        send_back(l, msg, len);
        return;
    }
    wire_frame_write(frame, len);
    memcpy(frame + 2, msg, len);
    size_t cut = how == 0 ? 0 : how % (len + 2);
    send_back(l, frame, cut);
    if (cut > 0)
        turns(1);
    send_back(l, frame + cut, 2 + len - cut);
}

static size_t right_reply(const struct query *q, uint8_t *out)
{
    static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
    memcpy(out, q->msg, q->len);
    out[2] |= 0x80;
    out[7] = 1;
    memcpy(out + q->len, record, sizeof record);
    return q->len + sizeof record;
}

/* Once the right reply is there, the question has it: unless nobody waits, or the stream before it
 * was garbage. */
static void reply_right(const struct query *q, uint8_t how)
{
    uint8_t msg[WIRE_QUERY_MAX + 16];
    const struct ask *a = &asks[q->ask];
    size_t len = right_reply(q, msg);
    takes_all = true;
    turns(3); /* what else has come is over */
    unsigned waits = a->handle != NULL;
    bool heard = !q->link->garbled && q->link->far >= 0 && !q->link->stream;
    send_reply(q->link, msg, len, how);
    turns(3);
    takes_all = false;
    FUZZ_MUST(!waits || !heard || a->handle == NULL);
}

/* The reply, but for something. */
static void reply_wrong(const struct query *q, uint8_t how)
{
    uint8_t msg[WIRE_QUERY_MAX + 16];
    size_t len = right_reply(q, msg), at;
    uint8_t by = fuzz_u8(&in);
    switch (how & 7) {
    case 0:
        msg[by & 1] ^= by | 1;
        break;
    case 1: /* the case of a letter */
        msg[WIRE_HEADER_LEN + 1] ^= 0x20;
        break;
    case 2:
        msg[2] ^= by;
        break;
    case 3: /* a bare header */
        msg[3] = by & 7;
        msg[5] = 0;
        len = WIRE_HEADER_LEN;
        break;
    case 4:
        len = by % len;
        q->link->garbled |= len < WIRE_HEADER_LEN;
        break;
    case 5: /* that of another one */
        msg[WIRE_HEADER_LEN + 4] ^= 1;
        break;
    default:
        at = by % len;
        msg[at] ^= fuzz_u8(&in);
    }
    send_reply(q->link, msg, len, fuzz_u8(&in));
}

static void step_of_server(uint8_t what)
{
    serve();
    if (n_queries == 0)
        return;
    const struct query *q = &queries[n_queries - 1 - fuzz_u8(&in) % n_queries];
    size_t taken;
    const uint8_t *bytes;
    switch (what & 3) {
    case 0:
        reply_right(q, fuzz_u8(&in));
        break;
    case 1:
        reply_wrong(q, what >> 4);
        break;
    case 2: /* anything */
        bytes = fuzz_take(&in, fuzz_u8(&in), &taken);
        q->link->garbled = true;
        send_back(q->link, bytes, taken);
        break;
    default:
        if (q->link->far >= 0)
            close(q->link->far);
        q->link->far = -1;
    }
}

/* ---- the input ------------------------------------------------------------------------------- */

static void step(void)
{
    static const uint64_t steps_ms[] = {1, 50, 999, 1000, 3000, 10000, 10001, 60000};
    uint8_t what = fuzz_u8(&in);
    switch (what & 15) {
    case 0:
    case 1:
    case 2:
        for (unsigned n = what >> 6 == 3 ? 30 : 1u + (what >> 6); n > 0; n--)
            ask_one(what >> 4 & 3 ? fuzz_u8(&in) : what << 1 & 4);
        if (what & 16)
            turns(1);
        break;
    case 3:
        cancel_one(fuzz_u8(&in), NULL);
        break;
    case 4:
        turns(1);
        now_ms += steps_ms[what >> 5];
        turns(2);
        break;
    case 5:
    case 6:
        turns(1 + (what >> 6));
        break;
    default:
        turns(2);
        step_of_server((uint8_t)(what >> 4 | what << 4));
        turns(1);
    }
}

static void everything_is_over(void)
{
    struct exchange_counts counts;
    for (unsigned i = 0; i < n_asks; i++)
        cancel_one((uint8_t)i, NULL);
    turns(2);
    now_ms += 60000;
    turns(3);
    exchange_count(upstream, &counts);
    FUZZ_MUST(counts.udp_open == 0 && counts.tcp_open == 0);
}

static void clean_up(void)
{
    for (unsigned i = 0; i < n_links; i++) {
        if (links[i]->far >= 0)
            close(links[i]->far);
        free(links[i]);
    }
    turn_free(turn);
    ev_loop_destroy(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[RNG_SEED_LEN] = {17};
    in = (struct fuzz_input){data, size};
    now_ms = 1000000;
    n_links = n_asks = n_queries = 0;
    takes_all = false;
    loop = ev_loop_new(EVFLAG_AUTO);
    turn = turn_create(loop);
    struct rng *rng = rng_create(seed);
    upstream = exchange_open(loop, turn, rng);
    FUZZ_MUST(upstream != NULL);
    for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++)
        step();
    if (size > 0 && data[0] & 1)
        everything_is_over();
    exchange_close(upstream);
    rng_free(rng);
    clean_up();
    return 0;
}

/* ---- seeds ----------------------------------------------------------------------------------- */

void fuzz_seeds(void)
{
    /* Asked and answered: over UDP; over TCP, in two pieces. */
    static const char udp[] = "\0\5\0\x07\0\0\0";
    static const char tcp[] = "\x02\5\0\5\x07\0\4\0\x07\0\0\0";
    /* Three wrong IDs, a lost case, then the right reply. */
    static const char forged[] =
        "\0\5\0\x17\0\5\0\0\x17\0\6\0\0\x17\0\7\0\0\x17\1\x10\0\0\x07\0\0\0";
    /* A burst, the server hangs up; a burst over TCP, refused. */
    static const char gone[] = "\xc1\5\0\x37\0\5\5\xc2\5\5\5\x37\0\5";
    /* Kept connection, idle, closed; asked again and cancelled. */
    static const char kept[] = "\2\5\0\5\x07\0\0\0\x44\2\5\5\x37\0\5\2\5\3\1\xa4";
    fuzz_seed("udp", udp, sizeof udp - 1);
    fuzz_seed("tcp", tcp, sizeof tcp - 1);
    fuzz_seed("forged", forged, sizeof forged - 1);
    fuzz_seed("gone", gone, sizeof gone - 1);
    fuzz_seed("kept", kept, sizeof kept - 1);
}
