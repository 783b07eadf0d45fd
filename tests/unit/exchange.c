/* exchange.c: the exchange over real sockets on loopback, against a server that is scripted here
 * step by step: it knows each datagram and each byte of a stream that may come back.
 * Never looks behind upstream.h but for the counts. Time is virtual: the clock is in this file. */
#include "net/exchange.h"
#include "net/clock.h"
#include "net/sockaddr.h"
#include "tests/heap.h"
#include "tests/unit/lose.h"
#include "tests/unit/scarce.h"
#include "wire.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS    10000 /* for what must come; reached only where a test fails */
#define EVENTS_MAX 16

/* ---- the world ------------------------------------------------------------------------------- */

static struct ev_loop *loop;
static struct turn *turn;
static struct rng *rng;
static struct upstream *upstream;
static uint64_t now_ms;
static int n_fds_before;

/* What sendmmsg is to do instead of sending: for the next n_faults calls after n_fine messages. */
static struct {
    int n_calls;
    int n_faults, error;
    unsigned at_most; /* messages a call, 0: all */
} sending;

uint64_t clock_now_ms(void)
{
    return now_ms;
}

int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
    sending.n_calls++;
    if (sending.n_faults > 0) {
        sending.n_faults--;
        errno = sending.error;
        return -1;
    }
    if (sending.at_most && n > sending.at_most) {
        n = sending.at_most;
        sending.n_faults = 1;
    }
    return (int)syscall(SYS_sendmmsg, fd, msgs, n, flags);
}

static int send_error; /* of TCP; 0: none */

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    if (send_error == 0)
        return sendto(fd, bytes, len, flags, NULL, 0);
    errno = send_error;
    return -1;
}

/* A stranger's datagrams that reach a socket between its bind and its connect. */
static struct {
    int n;
    int fd; /* they leave from here */
} strangers;

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len)
{
    struct sockaddr_in own;
    socklen_t own_len = sizeof own;
    const uint8_t guess[WIRE_HEADER_LEN] = {0};
    for (; strangers.n > 0; strangers.n--) {
        getsockname(fd, (struct sockaddr *)&own, &own_len);
        own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        sendto(strangers.fd, guess, sizeof guess, 0, (struct sockaddr *)&own, own_len);
    }
    return (int)syscall(SYS_connect, fd, to, len);
}

/* ---- what the system does not grant ---------------------------------------------------------- */

/* The next n_times calls of this kind fail. */
enum { NOTHING, BIND, PATH_MTU, SO_ERROR_OF, RECV, RECVMMSG };

int __real_bind(int fd, const struct sockaddr *at, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *at, socklen_t len);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
ssize_t __real_recv(int fd, void *to, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t len, int flags);
int __real_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *limit);
int __wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *limit);

int __wrap_bind(int fd, const struct sockaddr *at, socklen_t len)
{
    return loses(BIND) ? -1 : __real_bind(fd, at, len);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    bool mtu = (level == IPPROTO_IP && name == IP_MTU_DISCOVER) ||
               (level == IPPROTO_IPV6 && name == IPV6_MTU_DISCOVER);
    return mtu && loses(PATH_MTU) ? -1 : __real_setsockopt(fd, level, name, value, len);
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    return loses(SO_ERROR_OF) ? -1 : __real_getsockopt(fd, level, name, value, len);
}

ssize_t __wrap_recv(int fd, void *to, size_t len, int flags)
{
    return loses(RECV) ? -1 : __real_recv(fd, to, len, flags);
}

int __wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *limit)
{
    return loses(RECVMMSG) ? -1 : __real_recvmmsg(fd, msgs, n, flags, limit);
}

static int n_unwatched; /* sockets that the kernel refuses to watch from now on */

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    if (n_unwatched > 0 && op != EPOLL_CTL_DEL) {
        n_unwatched--;
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
}

static int count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static struct exchange_counts counts(void)
{
    struct exchange_counts c;
    exchange_count(upstream, &c);
    return c;
}

static void set_up(void)
{
    static const uint8_t seed[RNG_SEED_LEN] = {17};
    memset(&sending, 0, sizeof sending);
    now_ms = 1000000;
    n_fds_before = count_fds();
    loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_ptr_nonnull(loop);
    turn = turn_create(loop);
    rng = rng_create(seed);
    upstream = exchange_open(loop, turn, rng);
    ck_assert_ptr_nonnull(upstream);
}

/* No test may leave a descriptor behind. */
static void tear_down(void)
{
    exchange_close(upstream);
    turn_free(turn);
    rng_free(rng);
    ev_loop_destroy(loop);
    ck_assert_int_eq(count_fds(), n_fds_before);
}

/* For waiting: the clock of the exchange stands still. */
static uint64_t real_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void turns(int n)
{
    while (n-- > 0)
        ev_run(loop, EVRUN_NOWAIT);
}

static void on_timer(struct ev_loop *l, ev_timer *t, int revents)
{
    (void)l;
    (void)t;
    (void)revents;
}

static void on_io(struct ev_loop *l, ev_io *io, int revents)
{
    (void)l;
    (void)io;
    (void)revents;
}

/* A turn that waits a little: for what the exchange waits for, and for fd if it is one. */
static void turn_and_wait(int fd, int events)
{
    ev_timer timer;
    ev_io io;
    ev_now_update(loop);
    ev_timer_init(&timer, on_timer, 0.02, 0.);
    ev_timer_start(loop, &timer);
    ev_io_init(&io, on_io, fd, events);
    if (fd >= 0)
        ev_io_start(loop, &io);
    ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &timer);
    ev_io_stop(loop, &io);
    turns(1);
}

/* ---- asks ------------------------------------------------------------------------------------ */

struct got {
    struct upstream_ask *ask; /* NULL once it is dead */
    int n;
    enum upstream_event event[EVENTS_MAX];
    uint8_t reply[WIRE_MESSAGE_MAX];
    size_t reply_len;
    int n_turned_down; /* replies to turn down yet */
    void (*also)(struct got *g);
};

static struct got got[300];

/* Before each test: without forks (CK_FORK=no) what the last one left would still stand here. */
static void forget_asks(void)
{
    memset(got, 0, sizeof got);
}

static bool on_done(void *ctx, enum upstream_event event, const uint8_t *msg, size_t len)
{
    struct got *g = ctx;
    ck_assert_ptr_nonnull(g->ask);
    if (g->n < EVENTS_MAX)
        g->event[g->n] = event;
    g->n++;
    ck_assert_int_eq(event == UPSTREAM_REPLY, msg != NULL);
    if (event == UPSTREAM_REPLY) {
        memcpy(g->reply, msg, len);
        g->reply_len = len;
    }
    const bool down = event == UPSTREAM_REPLY && g->n_turned_down > 0;
    if (down)
        g->n_turned_down--;
    else if (event != UPSTREAM_SUSPECT && event != UPSTREAM_CASE_LOST)
        g->ask = NULL;
    if (g->also)
        g->also(g);
    return !down;
}

/* A query for NUMBER.Dnsd.Example A IN. */
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

static void ask(unsigned i, const struct addr *server, enum upstream_transport transport)
{
    uint8_t query[WIRE_QUERY_MAX];
    const size_t len = make_query(i, query);
    struct got *g = &got[i];
    memset(g->event, 0xff, sizeof g->event);
    g->n = 0;
    g->reply_len = 0;
    g->ask = upstream_ask(upstream, server, transport, query, len, on_done, g);
    ck_assert_ptr_nonnull(g->ask);
    ck_assert_int_eq(g->n, 0);
}

static void cancel(unsigned i)
{
    struct upstream_ask *a = got[i].ask;
    got[i].ask = NULL;
    upstream_cancel(a);
}

static void wait_for(unsigned i, int n)
{
    for (const uint64_t end_ms = real_ms() + WAIT_MS; got[i].n < n && real_ms() < end_ms;)
        turn_and_wait(-1, 0);
    ck_assert_int_eq(got[i].n, n);
}

static void wait_thrown_away(uint64_t n)
{
    for (const uint64_t end_ms = real_ms() + WAIT_MS;
         counts().udp_thrown_away < n && real_ms() < end_ms;)
        turn_and_wait(-1, 0);
    ck_assert_uint_eq(counts().udp_thrown_away, n);
}

/* ---- messages of the server ------------------------------------------------------------------ */

struct message {
    uint8_t bytes[WIRE_MESSAGE_MAX + 1];
    size_t len;
    struct sockaddr_storage from;
    socklen_t from_len;
};

/* The right reply: the query with QR, RA and one A record behind it. */
static void make_reply(const struct message *q, struct message *r)
{
    static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
    memcpy(r, q, sizeof *r);
    r->bytes[2] |= 0x80;
    r->bytes[3] |= 0x80;
    r->bytes[7] = 1;
    memcpy(r->bytes + r->len, record, sizeof record);
    r->len += sizeof record;
}

static void check_reply(unsigned i, const struct message *r)
{
    ck_assert_int_ge(got[i].n, 1);
    ck_assert_int_eq(got[i].event[got[i].n - 1], UPSTREAM_REPLY);
    ck_assert_uint_eq(got[i].reply_len, r->len);
    ck_assert_mem_eq(got[i].reply, r->bytes, r->len);
}

/* ---- UDP ------------------------------------------------------------------------------------- */

struct server {
    int fd;
    struct addr addr;
};

static struct server server_open_at(const char *ip, int type)
{
    struct server s;
    struct sockaddr_storage ss;
    ck_assert_int_eq(addr_parse(ip, 0, &s.addr), 0);
    socklen_t len = sockaddr_from_addr(&s.addr, &ss);
    s.fd = socket(ss.ss_family, type | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(s.fd, 0);
    ck_assert_int_eq(bind(s.fd, (struct sockaddr *)&ss, len), 0);
    if (type == SOCK_STREAM)
        ck_assert_int_eq(listen(s.fd, 16), 0);
    len = sizeof ss;
    ck_assert_int_eq(getsockname(s.fd, (struct sockaddr *)&ss, &len), 0);
    ck_assert_int_eq(sockaddr_to_addr(&ss, &s.addr), 0);
    return s;
}

static struct server server_open(int type)
{
    return server_open_at("127.0.0.1", type);
}

static void udp_take(const struct server *s, struct message *m)
{
    for (const uint64_t end_ms = real_ms() + WAIT_MS; real_ms() < end_ms;) {
        m->from_len = sizeof m->from;
        const ssize_t n = recvfrom(s->fd, m->bytes, sizeof m->bytes, MSG_DONTWAIT,
            (struct sockaddr *)&m->from, &m->from_len);
        if (n >= 0) {
            m->len = (size_t)n;
            return;
        }
        turn_and_wait(s->fd, EV_READ);
    }
    ck_abort_msg("nothing was sent");
}

static void udp_put(const struct server *s, const struct message *m)
{
    const ssize_t n =
        sendto(s->fd, m->bytes, m->len, 0, (const struct sockaddr *)&m->from, m->from_len);
    ck_assert_int_eq(n, (ssize_t)m->len);
}

static uint16_t port_of(const struct message *m)
{
    struct addr a;
    ck_assert_int_eq(sockaddr_to_addr(&m->from, &a), 0);
    return a.port;
}

static unsigned number_of(const struct message *m)
{
    return (unsigned)strtoul((const char *)m->bytes + WIRE_HEADER_LEN + 2, NULL, 10);
}

/* Not on the heap: what an assertion that fails leaves behind would look like a leak. */
static struct message query, reply, bad, kept[4];

START_TEST(right_reply)
{
    const struct server s = server_open(SOCK_DGRAM);
    uint8_t sent[WIRE_QUERY_MAX];
    const size_t len = make_query(0, sent);
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    ck_assert_uint_eq(query.len, len);
    ck_assert_mem_eq(query.bytes + 2, sent + 2, len - 2); /* but for the ID, as it was given */
    make_reply(&query, &reply);
    udp_put(&s, &reply);
    wait_for(0, 1);
    check_reply(0, &reply);
    turns(2);
    ck_assert_uint_eq(counts().udp_open, 0); /* the socket closes with its last question */
    ck_assert_uint_eq(counts().udp_sent, 1);
    ck_assert_uint_eq(counts().udp_thrown_away, 0);
    close(s.fd);
}
END_TEST

static bool has_ipv6(void)
{
    const struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&in6, sizeof in6) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

START_TEST(right_reply_over_ipv6)
{
    if (!has_ipv6())
        return;
    const struct server s = server_open_at("::1", SOCK_DGRAM);
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    make_reply(&query, &reply);
    udp_put(&s, &reply);
    wait_for(0, 1);
    check_reply(0, &reply);
    close(s.fd);
}
END_TEST

enum fault {
    WRONG_ID,
    WRONG_NAME,
    WRONG_TYPE,
    WRONG_CLASS,
    WRONG_CASE,
    REFLECTED,
    WRONG_OPCODE,
    QDCOUNT_0,
    QDCOUNT_2,
    BARE_NOERROR,
    NO_BYTES,
    FIVE_BYTES,
    ELEVEN_BYTES,
    CUT_IN_NAME,
    CUT_IN_TYPE,
    POINTER_LOOP,
    RANDOM_200,
    OVERSIZE,
    N_FAULTS
};

static void spoil_question(enum fault fault, struct message *m)
{
    const size_t type_at = WIRE_HEADER_LEN + 5 + 5 + 8 + 1;
    switch (fault) {
    case WRONG_NAME:
        m->bytes[WIRE_HEADER_LEN + 2] ^= 1;
        break;
    case WRONG_TYPE:
        m->bytes[type_at + 1] = WIRE_TYPE_AAAA;
        break;
    case WRONG_CLASS:
        m->bytes[type_at + 3] = WIRE_CLASS_CH;
        break;
    case WRONG_CASE:
        m->bytes[WIRE_HEADER_LEN + 6] ^= 0x20;
        break;
    case CUT_IN_NAME:
        m->len = WIRE_HEADER_LEN + 7;
        break;
    case CUT_IN_TYPE:
        m->len = type_at + 3;
        break;
    case POINTER_LOOP:
        m->bytes[WIRE_HEADER_LEN] = 0xc0;
        m->bytes[WIRE_HEADER_LEN + 1] = WIRE_HEADER_LEN;
        break;
    default:
        break;
    }
}

static void spoil(enum fault fault, struct message *m)
{
    spoil_question(fault, m);
    switch (fault) {
    case WRONG_ID:
        m->bytes[1] ^= 1;
        break;
    case REFLECTED:
        memcpy(m, &query, sizeof *m);
        break;
    case WRONG_OPCODE:
        m->bytes[2] |= 4 << 3;
        break;
    case QDCOUNT_0:
        m->bytes[5] = 0;
        break;
    case QDCOUNT_2:
        m->bytes[5] = 2;
        break;
    case BARE_NOERROR:
        m->bytes[5] = m->bytes[7] = 0;
        m->len = WIRE_HEADER_LEN;
        break;
    case NO_BYTES:
        m->len = 0;
        break;
    case FIVE_BYTES:
        m->len = 5;
        break;
    case ELEVEN_BYTES:
        m->len = 11;
        break;
    case RANDOM_200:
        rng_bytes(rng, m->bytes, 200);
        m->len = 200;
        break;
    case OVERSIZE:
        memset(m->bytes + m->len, 0, WIRE_UDP_MAX + 1 - m->len);
        m->len = WIRE_UDP_MAX + 1;
        break;
    default:
        break;
    }
}

/* Thrown away; and the right one, which comes afterwards, still counts. */
START_TEST(not_the_awaited_reply)
{
    const enum fault fault = (enum fault)_i;
    const struct server s = server_open(SOCK_DGRAM);
    const int n_before = fault == WRONG_CASE ? 1 : 0;
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    make_reply(&query, &reply);
    make_reply(&query, &bad);
    spoil(fault, &bad);
    for (uint64_t i = 1; i <= 2; i++) {
        udp_put(&s, &bad);
        wait_thrown_away(i);
    }
    ck_assert_int_eq(got[0].n, n_before);
    if (n_before)
        ck_assert_int_eq(got[0].event[0], UPSTREAM_CASE_LOST);
    udp_put(&s, &reply);
    wait_for(0, n_before + 1);
    check_reply(0, &reply);
    close(s.fd);
}
END_TEST

START_TEST(largest_reply)
{
    const struct server s = server_open(SOCK_DGRAM);
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    make_reply(&query, &reply);
    memset(reply.bytes + reply.len, 0, WIRE_UDP_MAX - reply.len);
    reply.len = WIRE_UDP_MAX;
    udp_put(&s, &reply);
    wait_for(0, 1);
    check_reply(0, &reply);
    close(s.fd);
}
END_TEST

/* A server that sends more than was asked for is not one that we know. */
START_TEST(reply_larger_than_was_offered)
{
    const struct server s = server_open(SOCK_DGRAM);
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    make_reply(&query, &reply);
    memcpy(&bad, &reply, sizeof bad);
    memset(bad.bytes + bad.len, 0, WIRE_UDP_MAX + 1 - bad.len);
    bad.len = WIRE_UDP_MAX + 1;
    udp_put(&s, &bad);
    wait_thrown_away(1);
    ck_assert_int_eq(got[0].n, 0);
    udp_put(&s, &reply);
    wait_for(0, 1);
    check_reply(0, &reply);
    close(s.fd);
}
END_TEST

/* The socket of ours that is connected to the server; -1 where there is none. */
static int connected_to(const struct server *s)
{
    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;
        struct addr peer;
        if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0 &&
            sockaddr_to_addr(&ss, &peer) == 0 && addr_equal(&peer, &s->addr))
            return fd;
    }
    return -1;
}

/* Forged ICMP "fragmentation needed" must not make questions travel in pieces (RFC 9715 3). */
START_TEST(forged_path_mtu_is_not_listened_to)
{
    static const char *const ips[] = {"127.0.0.1", "::1"};
    for (unsigned i = 0; i < 2; i++) {
        const struct server s = server_open_at(ips[i], SOCK_DGRAM);
        ask(i, &s.addr, UPSTREAM_UDP);
        udp_take(&s, &query);
        const int fd = connected_to(&s);
        ck_assert_int_ge(fd, 0);
        int value = -1;
        socklen_t len = sizeof value;
        const bool four = addr_is_ipv4(&s.addr);
        ck_assert_int_eq(getsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6,
                             four ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &value, &len),
            0);
        ck_assert_int_eq(value, four ? IP_PMTUDISC_OMIT : IPV6_PMTUDISC_OMIT);
        cancel(i);
        close(s.fd);
    }
}
END_TEST

START_TEST(source_is_where_questions_leave_from)
{
    static const char *const ips[] = {"127.0.0.1", "127.0.0.2", "::1"};
    for (unsigned i = 0; i < 3; i++) {
        const struct server s = server_open_at(ips[i], SOCK_DGRAM);
        struct addr source, from;
        ck_assert_int_eq(upstream_source(upstream, &s.addr, &source), 0);
        ask(i, &s.addr, UPSTREAM_UDP);
        udp_take(&s, &query);
        ck_assert_int_eq(sockaddr_to_addr(&query.from, &from), 0);
        ck_assert_mem_eq(source.ip, from.ip, sizeof from.ip);
        cancel(i);
        close(s.fd);
    }
}
END_TEST

START_TEST(reply_from_another_port_or_address)
{
    const struct server s = server_open(SOCK_DGRAM);
    const struct server other_port = server_open(SOCK_DGRAM);
    const struct server other_address = server_open_at("127.0.0.2", SOCK_DGRAM);
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    make_reply(&query, &reply);
    memcpy(&bad, &reply, sizeof bad);
    bad.bytes[bad.len - 1] = 66;
    udp_put(&other_port, &bad);
    udp_put(&other_address, &bad);
    turns(5);
    ck_assert_int_eq(got[0].n, 0);
    ck_assert_uint_eq(counts().udp_thrown_away, 0); /* the kernel does not even hand it over */
    udp_put(&s, &reply);
    wait_for(0, 1);
    check_reply(0, &reply);
    close(s.fd);
    close(other_port.fd);
    close(other_address.fd);
}
END_TEST

START_TEST(datagrams_from_before_the_socket_was_connected_are_a_strangers)
{
    const struct server s = server_open(SOCK_DGRAM);
    const struct server other = server_open_at("127.0.0.2", SOCK_DGRAM);
    strangers.fd = other.fd;
    strangers.n = 5;
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    wait_thrown_away(5);
    ck_assert_int_eq(got[0].n, 0); /* nobody guesses IDs here */
    make_reply(&query, &reply);
    udp_put(&s, &reply);
    wait_for(0, 1);
    check_reply(0, &reply);
    close(s.fd);
    close(other.fd);
}
END_TEST

START_TEST(reply_to_another_socket)
{
    const struct server s = server_open(SOCK_DGRAM);
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    make_reply(&query, &reply);
    ask(1, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    memcpy(
        &reply.from, &query.from, sizeof reply.from); /* the first's reply to the second's port */
    udp_put(&s, &reply);
    wait_thrown_away(1);
    ck_assert_int_eq(got[0].n, 0);
    ck_assert_int_eq(got[1].n, 0);
    close(s.fd);
}
END_TEST

START_TEST(third_wrong_id_is_suspect_once)
{
    const struct server s = server_open(SOCK_DGRAM);
    ask(0, &s.addr, UPSTREAM_UDP);
    ask(1, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    struct message *second = &kept[0];
    udp_take(&s, second);
    make_reply(&query, &reply);
    memcpy(&bad, &reply, sizeof bad);
    unsigned id = 0;
    for (uint64_t i = 1; i <= 8; i++, id++) {
        while (memcmp(&(uint16_t){htons((uint16_t)id)}, query.bytes, 2) == 0 ||
               memcmp(&(uint16_t){htons((uint16_t)id)}, second->bytes, 2) == 0)
            id++;
        bad.bytes[0] = (uint8_t)(id >> 8);
        bad.bytes[1] = (uint8_t)id;
        udp_put(&s, &bad);
        wait_thrown_away(i);
        ck_assert_int_eq(got[0].n, i >= 3);
        ck_assert_int_eq(got[1].n, i >= 3);
    }
    ck_assert_int_eq(got[0].event[0], UPSTREAM_SUSPECT);
    ck_assert_int_eq(got[1].event[0], UPSTREAM_SUSPECT);
    udp_put(&s, &reply);
    wait_for(number_of(&query), 2);
    check_reply(number_of(&query), &reply);
    close(s.fd);
}
END_TEST

/* Too short to be a message: garbage, which nobody sends who is guessing. */
START_TEST(short_datagrams_are_not_suspect)
{
    const struct server s = server_open(SOCK_DGRAM);
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    make_reply(&query, &bad);
    bad.bytes[0] ^= 1;
    for (size_t len = 0; len < WIRE_HEADER_LEN; len++) {
        bad.len = len;
        udp_put(&s, &bad);
        wait_thrown_away(len + 1);
    }
    ck_assert_int_eq(got[0].n, 0);
    close(s.fd);
}
END_TEST

/* What was answered or cancelled leaves its ID behind: what comes for it is late, and no guess. */
START_TEST(doubled_and_late_replies_are_not_suspect)
{
    const struct server s = server_open(SOCK_DGRAM);
    for (unsigned i = 0; i < 3; i++)
        ask(i, &s.addr, UPSTREAM_UDP);
    struct message *q = kept;
    for (unsigned i = 0; i < 3; i++)
        udp_take(&s, &q[i]);
    cancel(1);
    uint64_t n_thrown_away = 0;
    for (int round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 2; i++) {
            make_reply(&q[i], &reply);
            udp_put(&s, &reply);
            n_thrown_away += round > 0 || i == 1;
        }
        wait_thrown_away(n_thrown_away);
    }
    ck_assert_int_eq(got[0].n, 1);
    ck_assert_int_eq(got[1].n, 0);
    ck_assert_int_eq(got[2].n, 0);
    make_reply(&q[2], &reply);
    udp_put(&s, &reply);
    wait_for(2, 1);
    check_reply(2, &reply);
    close(s.fd);
}
END_TEST

START_TEST(bare_error)
{
    const struct server s = server_open(SOCK_DGRAM);
    static const uint8_t rcodes[] = {WIRE_FORMERR, WIRE_NOTIMP};
    for (unsigned i = 0; i < 2; i++) {
        ask(i, &s.addr, UPSTREAM_UDP);
        udp_take(&s, &query);
        make_reply(&query, &reply);
        reply.bytes[3] = rcodes[i];
        reply.bytes[5] = reply.bytes[7] = 0;
        reply.len = WIRE_HEADER_LEN;
        udp_put(&s, &reply);
        wait_for(i, 1);
        ck_assert_int_eq(got[i].event[0], UPSTREAM_FORMERR);
    }
    close(s.fd);
}
END_TEST

START_TEST(reply_that_is_turned_down)
{
    const struct server s = server_open(SOCK_DGRAM);
    got[0].n_turned_down = 2;
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    make_reply(&query, &reply);
    for (int i = 1; i <= 3; i++) {
        udp_put(&s, &reply);
        wait_for(0, i);
        ck_assert_int_eq(got[0].ask == NULL, i == 3);
    }
    ck_assert_uint_eq(counts().udp_thrown_away, 2);
    close(s.fd);
}
END_TEST

START_TEST(port_that_is_closed)
{
    const struct server s = server_open(SOCK_DGRAM);
    close(s.fd);
    for (unsigned i = 0; i < 3; i++)
        ask(i, &s.addr, UPSTREAM_UDP);
    for (unsigned i = 0; i < 3; i++) {
        wait_for(i, 1);
        ck_assert_int_eq(got[i].event[0], UPSTREAM_REFUSED);
    }
    turns(2);
    ck_assert_uint_eq(counts().udp_open, 0);
}
END_TEST

START_TEST(no_descriptor_left)
{
    const struct server s = server_open(SOCK_DGRAM);
    struct rlimit old, none;
    turns(1); /* what the loop itself opens */
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    ask(0, &s.addr, UPSTREAM_UDP);
    ask(1, &s.addr, UPSTREAM_TCP);
    turns(2);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(got[i].n, 1);
        ck_assert_int_eq(got[i].event[0], UPSTREAM_NOT_SENT);
    }
    ask(2, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    close(s.fd);
}
END_TEST

/* A broadcast address cannot be asked; that is so without a network too. */
START_TEST(address_that_cannot_be_asked)
{
    struct addr broadcast;
    ck_assert_int_eq(addr_parse("255.255.255.255", 53, &broadcast), 0);
    ask(0, &broadcast, UPSTREAM_UDP);
    ask(1, &broadcast, UPSTREAM_TCP);
    for (unsigned i = 0; i < 2; i++) {
        wait_for(i, 1);
        ck_assert_int_eq(got[i].event[0], UPSTREAM_NOT_SENT);
    }
    turns(1);
    ck_assert_uint_eq(counts().udp_open + counts().tcp_open, 0);
}
END_TEST

START_TEST(burst_leaves_through_one_socket)
{
    static bool seen_id[65536], seen_number[300];
    const struct server s = server_open(SOCK_DGRAM);
    const int size = 1 << 20;
    ck_assert_int_eq(setsockopt(s.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
    for (unsigned i = 0; i < 200; i++)
        ask(i, &s.addr, UPSTREAM_UDP);
    uint16_t port = 0;
    for (unsigned i = 0; i < 200; i++) {
        udp_take(&s, &query);
        if (i == 0)
            port = port_of(&query);
        ck_assert_uint_eq(port_of(&query), port);
        const unsigned id = (unsigned)(query.bytes[0] << 8 | query.bytes[1]);
        ck_assert(!seen_id[id]);
        seen_id[id] = true;
        ck_assert(!seen_number[number_of(&query)]);
        seen_number[number_of(&query)] = true;
        make_reply(&query, &reply);
        udp_put(&s, &reply);
    }
    ck_assert_uint_eq(counts().udp_sockets, 1);
    ck_assert_int_eq(sending.n_calls, 1);
    for (unsigned i = 0; i < 200; i++)
        wait_for(i, 1);
    turns(2);
    ck_assert_uint_eq(counts().udp_open, 0);
    ck_assert_uint_eq(counts().udp_thrown_away, 0);
    close(s.fd);
}
END_TEST

START_TEST(burst_too_large_for_one_socket)
{
    const struct server s = server_open(SOCK_DGRAM);
    const int size = 1 << 20;
    ck_assert_int_eq(setsockopt(s.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
    for (unsigned i = 0; i < 300; i++)
        ask(i, &s.addr, UPSTREAM_UDP);
    for (unsigned i = 0; i < 300; i++)
        udp_take(&s, &query);
    ck_assert_uint_eq(counts().udp_sockets, 2);
    for (unsigned i = 0; i < 300; i++)
        cancel(i);
    turns(1);
    ck_assert_uint_eq(counts().udp_open, 0);
    close(s.fd);
}
END_TEST

START_TEST(two_servers_in_one_turn)
{
    const struct server a = server_open(SOCK_DGRAM), b = server_open(SOCK_DGRAM);
    ask(0, &a.addr, UPSTREAM_UDP);
    ask(1, &b.addr, UPSTREAM_UDP);
    ask(2, &a.addr, UPSTREAM_UDP);
    udp_take(&a, &query);
    const uint16_t port = port_of(&query);
    udp_take(&a, &query);
    ck_assert_uint_eq(port_of(&query), port);
    udp_take(&b, &query);
    ck_assert_uint_ne(port_of(&query), port);
    ck_assert_uint_eq(counts().udp_sockets, 2);
    close(a.fd);
    close(b.fd);
}
END_TEST

START_TEST(ports_of_single_questions)
{
    static bool seen[65536];
    const struct server s = server_open(SOCK_DGRAM);
    unsigned n_distinct = 0;
    for (unsigned i = 0; i < 300; i++) {
        ask(i, &s.addr, UPSTREAM_UDP);
        udp_take(&s, &query);
        ck_assert_uint_ge(port_of(&query), 1024);
        n_distinct += !seen[port_of(&query)];
        seen[port_of(&query)] = true;
        make_reply(&query, &reply);
        udp_put(&s, &reply);
        wait_for(i, 1);
    }
    ck_assert_uint_ge(n_distinct, 288);
    close(s.fd);
}
END_TEST

START_TEST(cancelled_before_and_after_sending)
{
    const struct server s = server_open(SOCK_DGRAM);
    ask(0, &s.addr, UPSTREAM_UDP);
    cancel(0);
    turns(2);
    ck_assert_uint_eq(counts().udp_sockets, 0); /* nothing to send, nothing opened */
    ask(1, &s.addr, UPSTREAM_UDP);
    ask(2, &s.addr, UPSTREAM_UDP);
    cancel(1);
    udp_take(&s, &query);
    ck_assert_uint_eq(number_of(&query), 2);
    make_reply(&query, &reply);
    cancel(2);
    turns(1);
    ck_assert_uint_eq(counts().udp_open, 0);
    ck_assert_uint_eq(counts().udp_sent, 1);
    udp_put(&s, &reply);
    turns(3);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(got[i].n, 0);
    close(s.fd);
}
END_TEST

static struct addr also_server;
static enum upstream_transport also_transport;

static void cancel_all_others(struct got *g)
{
    for (unsigned i = 0; i < 10; i++)
        if (&got[i] != g && got[i].ask)
            cancel(i);
}

static void ask_again(struct got *g)
{
    ask((unsigned)(g - got), &also_server, also_transport);
}

/* The first reply of a batch ends all other asks of the socket, and with them the socket. */
START_TEST(others_are_cancelled_from_within_a_reply)
{
    const struct server s = server_open(SOCK_DGRAM);
    for (unsigned i = 0; i < 10; i++) {
        got[i].also = cancel_all_others;
        ask(i, &s.addr, UPSTREAM_UDP);
    }
    for (unsigned i = 0; i < 10; i++) {
        udp_take(&s, &query);
        make_reply(&query, &reply);
        udp_put(&s, &reply);
    }
    turns(4);
    int n = 0;
    for (unsigned i = 0; i < 10; i++)
        n += got[i].n;
    ck_assert_int_eq(n, 1);
    ck_assert_uint_eq(counts().udp_open, 0);
    close(s.fd);
}
END_TEST

START_TEST(others_are_cancelled_from_within_a_refusal)
{
    const struct server s = server_open(_i == 0 ? SOCK_DGRAM : SOCK_STREAM);
    close(s.fd);
    for (unsigned i = 0; i < 10; i++) {
        got[i].also = cancel_all_others;
        ask(i, &s.addr, _i == 0 ? UPSTREAM_UDP : UPSTREAM_TCP);
    }
    wait_for(0, 1);
    turns(3);
    for (unsigned i = 1; i < 10; i++)
        ck_assert_int_eq(got[i].n, 0);
    ck_assert_uint_eq(counts().udp_open + counts().tcp_open, 0);
}
END_TEST

START_TEST(others_are_cancelled_from_within_a_suspicion)
{
    const struct server s = server_open(SOCK_DGRAM);
    for (unsigned i = 0; i < 10; i++) {
        got[i].also = cancel_all_others;
        ask(i, &s.addr, UPSTREAM_UDP);
    }
    for (unsigned i = 0; i < 10; i++)
        udp_take(&s, &query);
    make_reply(&query, &reply);
    static const uint8_t ids[][2] = {{1, 2}, {3, 4}, {5, 6}};
    for (unsigned i = 0; i < 3; i++) {
        memcpy(reply.bytes, ids[i], 2);
        udp_put(&s, &reply);
    }
    wait_for(0, 1);
    ck_assert_int_eq(got[0].event[0], UPSTREAM_SUSPECT);
    for (unsigned i = 1; i < 10; i++)
        ck_assert_int_eq(got[i].n, 0);
    ck_assert_ptr_nonnull(got[0].ask);
    cancel(0);
    close(s.fd);
}
END_TEST

START_TEST(asked_again_from_within_a_reply)
{
    const struct server s = server_open(SOCK_DGRAM);
    also_server = s.addr;
    also_transport = UPSTREAM_UDP;
    got[0].also = ask_again;
    ask(0, &s.addr, UPSTREAM_UDP);
    uint16_t port = 0;
    for (int i = 0; i < 5; i++) {
        udp_take(&s, &query);
        ck_assert_uint_ne(port_of(&query), port);
        port = port_of(&query);
        make_reply(&query, &reply);
        udp_put(&s, &reply);
    }
    turns(1);
    ck_assert_uint_ge(counts().udp_sockets, 5);
    close(s.fd);
}
END_TEST

/* Who asks again each time it fails must not hold the loop within one turn. */
START_TEST(asked_again_from_within_each_failure)
{
    ck_assert_int_eq(addr_parse("255.255.255.255", 53, &also_server), 0);
    also_transport = _i == 0 ? UPSTREAM_UDP : UPSTREAM_TCP;
    for (unsigned i = 0; i < 3; i++) {
        got[i].also = ask_again;
        ask(i, &also_server, also_transport);
    }
    turns(20); /* that it comes back is what is tested */
    for (unsigned i = 0; i < 3; i++)
        cancel(i);
    turns(1);
    ck_assert_uint_eq(counts().udp_open + counts().tcp_open, 0);
}
END_TEST

static void ask_elsewhere_once(struct got *g)
{
    g->also = NULL;
    ask((unsigned)(g - got), &also_server, also_transport);
}

/* The failure is told before the loop sleeps, and what is asked for then does not wait for an event
 * that may never come. */
START_TEST(asked_elsewhere_from_within_a_failure)
{
    static const enum upstream_transport ways[][2] = {
        {UPSTREAM_UDP, UPSTREAM_UDP}, {UPSTREAM_UDP, UPSTREAM_TCP}, {UPSTREAM_TCP, UPSTREAM_TCP}};
    struct addr broadcast;
    const enum upstream_transport first = ways[_i][0];
    also_transport = ways[_i][1];
    const struct server s = server_open(also_transport == UPSTREAM_UDP ? SOCK_DGRAM : SOCK_STREAM);
    also_server = s.addr;
    ck_assert_int_eq(addr_parse("255.255.255.255", 53, &broadcast), 0);
    got[0].also = ask_elsewhere_once;
    ask(0, &broadcast, first);
    ev_run(loop, EVRUN_ONCE); /* would sleep for ever */
    turns(2);
    const struct exchange_counts c = counts();
    ck_assert_uint_eq(also_transport == UPSTREAM_UDP ? c.udp_sent : c.tcp_sent, 1);
    close(s.fd);
}
END_TEST

static void end_of_another(void *ctx, uint64_t at_ms)
{
    (void)at_ms;
    const struct server *s = ctx;
    if (!got[0].ask && got[0].n == 0)
        ask(0, &s->addr, UPSTREAM_UDP);
}

START_TEST(asked_at_the_very_end_of_a_turn)
{
    struct server s = server_open(SOCK_DGRAM);
    turn_add_end(turn, end_of_another, &s);
    ev_run(loop, EVRUN_ONCE); /* does not sleep over what was not sent */
    ck_assert_ptr_nonnull(got[0].ask);
    udp_take(&s, &query);
    make_reply(&query, &reply);
    udp_put(&s, &reply);
    wait_for(0, 1);
    turn_remove(turn, &s);
    close(s.fd);
}
END_TEST

START_TEST(socket_that_is_full_for_a_while)
{
    static bool seen[10];
    const struct server s = server_open(SOCK_DGRAM);
    sending.at_most = 4; /* and the next call fails */
    sending.error = EAGAIN;
    for (unsigned i = 0; i < 10; i++)
        ask(i, &s.addr, UPSTREAM_UDP);
    for (unsigned i = 0; i < 10; i++) {
        udp_take(&s, &query);
        seen[number_of(&query)] = true;
    }
    for (unsigned i = 0; i < 10; i++)
        ck_assert(seen[i]);
    ck_assert_int_eq(sending.n_calls, 5); /* 4, none, 4, none, 2 */
    ck_assert_uint_eq(counts().udp_sockets, 1);
    make_reply(&query, &reply);
    udp_put(&s, &reply);
    wait_for(number_of(&reply), 1);
    close(s.fd);
}
END_TEST

START_TEST(cancelled_while_the_socket_is_full)
{
    const struct server s = server_open(SOCK_DGRAM);
    sending.error = EAGAIN;
    ask(0, &s.addr, UPSTREAM_UDP);
    ask(1, &s.addr, UPSTREAM_UDP);
    sending.n_faults = 3;
    turns(2);
    ck_assert_uint_eq(counts().udp_sent, 0);
    cancel(0);
    udp_take(&s, &query);
    ck_assert_uint_eq(number_of(&query), 1);
    close(s.fd);
}
END_TEST

START_TEST(sending_that_fails)
{
    static const int errors[] = {ENOBUFS, EPERM, ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, ENOMEM};
    const struct server s = server_open(SOCK_DGRAM);
    for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
        sending.n_faults = 1;
        sending.error = errors[i];
        ask(i, &s.addr, UPSTREAM_UDP);
        turns(1);
        ck_assert_int_eq(got[i].n, 1);
        ck_assert_int_eq(got[i].event[0], UPSTREAM_NOT_SENT);
        ck_assert_uint_eq(counts().udp_open, 0);
    }
    close(s.fd);
}
END_TEST

/* Who left before the failure is still answered. */
START_TEST(sending_that_fails_in_the_middle)
{
    const struct server s = server_open(SOCK_DGRAM);
    sending.at_most = 2;
    sending.error = ENOBUFS;
    for (unsigned i = 0; i < 5; i++)
        ask(i, &s.addr, UPSTREAM_UDP);
    turns(1);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(got[i].n, i >= 2);
        if (i >= 2)
            ck_assert_int_eq(got[i].event[0], UPSTREAM_NOT_SENT);
    }
    for (unsigned i = 0; i < 2; i++) {
        udp_take(&s, &query);
        make_reply(&query, &reply);
        udp_put(&s, &reply);
        wait_for(i, 1);
        check_reply(i, &reply);
    }
    close(s.fd);
}
END_TEST

START_TEST(closed_with_asks_under_way)
{
    const struct server u = server_open(SOCK_DGRAM), t = server_open(SOCK_STREAM);
    ask(0, &u.addr, UPSTREAM_UDP);
    ask(1, &t.addr, UPSTREAM_TCP);
    turns(3);
    ask(2, &u.addr, UPSTREAM_UDP);
    ask(3, &t.addr, UPSTREAM_TCP);
    close(u.fd);
    close(t.fd);
}
END_TEST

/* ---- TCP ------------------------------------------------------------------------------------- */

static int tcp_accept(const struct server *s)
{
    for (const uint64_t end_ms = real_ms() + WAIT_MS; real_ms() < end_ms;) {
        struct pollfd p = {s->fd, POLLIN, 0};
        if (poll(&p, 1, 0) == 1)
            return accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        turn_and_wait(s->fd, EV_READ);
    }
    ck_abort_msg("nobody connects");
    return -1;
}

static bool tcp_pending(const struct server *s)
{
    struct pollfd p = {s->fd, POLLIN, 0};
    turns(3);
    return poll(&p, 1, 0) == 1;
}

static void tcp_read(int fd, uint8_t *bytes, size_t len)
{
    size_t at = 0;
    for (const uint64_t end_ms = real_ms() + WAIT_MS; at < len && real_ms() < end_ms;) {
        const ssize_t n = recv(fd, bytes + at, len - at, 0);
        ck_assert_int_ne(n, 0);
        if (n > 0)
            at += (size_t)n;
        else
            turn_and_wait(fd, EV_READ);
    }
    ck_assert_uint_eq(at, len);
}

static void tcp_take(int fd, struct message *m)
{
    uint8_t prefix[2];
    tcp_read(fd, prefix, 2);
    m->len = (size_t)(prefix[0] << 8 | prefix[1]);
    tcp_read(fd, m->bytes, m->len);
}

static void tcp_write(int fd, const uint8_t *bytes, size_t len)
{
    size_t at = 0;
    for (const uint64_t end_ms = real_ms() + WAIT_MS; at < len && real_ms() < end_ms;) {
        const ssize_t n = send(fd, bytes + at, len - at, MSG_NOSIGNAL);
        if (n > 0)
            at += (size_t)n;
        else
            turn_and_wait(fd, EV_WRITE);
    }
    ck_assert_uint_eq(at, len);
}

static size_t frame(const struct message *m, uint8_t *out)
{
    out[0] = (uint8_t)(m->len >> 8);
    out[1] = (uint8_t)m->len;
    memcpy(out + 2, m->bytes, m->len);
    return m->len + 2;
}

static void tcp_put(int fd, const struct message *m)
{
    static uint8_t bytes[WIRE_MESSAGE_MAX + 2];
    tcp_write(fd, bytes, frame(m, bytes));
}

/* Waits until the exchange has closed its end. */
static void tcp_wait_closed(int fd)
{
    uint8_t byte;
    for (const uint64_t end_ms = real_ms() + WAIT_MS; real_ms() < end_ms;) {
        const ssize_t n = recv(fd, &byte, 1, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return;
        ck_assert_int_lt(n, 0);
        turn_and_wait(fd, EV_READ);
    }
    ck_abort_msg("is not closed");
}

static void tcp_reset(int fd)
{
    const struct linger at_once = {1, 0};
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
}

/* Asks i over the connection that is open at the server, and answers it. */
static void tcp_exchange(unsigned i, const struct server *s, int fd)
{
    ask(i, &s->addr, UPSTREAM_TCP);
    tcp_take(fd, &query);
    make_reply(&query, &reply);
    tcp_put(fd, &reply);
    wait_for(i, 1);
    check_reply(i, &reply);
}

/* The first of all: returns the connection, which is kept. */
static int tcp_first_exchange(unsigned i, const struct server *s)
{
    ask(i, &s->addr, UPSTREAM_TCP);
    const int fd = tcp_accept(s);
    tcp_take(fd, &query);
    make_reply(&query, &reply);
    tcp_put(fd, &reply);
    wait_for(i, 1);
    check_reply(i, &reply);
    return fd;
}

START_TEST(tcp_connection_is_kept)
{
    const struct server s = server_open(SOCK_STREAM);
    const int fd = tcp_first_exchange(0, &s);
    tcp_exchange(1, &s, fd);
    tcp_exchange(2, &s, fd);
    ck_assert(!tcp_pending(&s));
    ck_assert_uint_eq(counts().tcp_connections, 1);
    ck_assert_uint_eq(counts().tcp_sent, 3);
    ck_assert_uint_eq(counts().tcp_open, 1);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_length_and_body_in_one_segment)
{
    const struct server s = server_open(SOCK_STREAM);
    const int fd = tcp_first_exchange(0, &s);
    ask(1, &s.addr, UPSTREAM_TCP);
    struct pollfd p = {fd, POLLIN, 0};
    turns(1);
    ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
    uint8_t bytes[WIRE_QUERY_MAX];
    const size_t len = make_query(1, bytes);
    ck_assert_int_eq(recv(fd, bytes, sizeof bytes, 0), (ssize_t)len + 2);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_replies_out_of_order)
{
    const struct server s = server_open(SOCK_STREAM);
    for (unsigned i = 0; i < 4; i++)
        ask(i, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    struct message *q = kept;
    for (unsigned i = 0; i < 4; i++)
        tcp_take(fd, &q[i]);
    for (unsigned i = 4; i-- > 0;) {
        make_reply(&q[i], &reply);
        tcp_put(fd, &reply);
        wait_for(i, 1);
        check_reply(i, &reply);
    }
    ck_assert_uint_eq(counts().tcp_connections, 1);
    close(fd);
    close(s.fd);
}
END_TEST

/* The socket would stay writable, and the loop try again without end. */
START_TEST(tcp_question_that_the_kernel_has_no_room_for)
{
    const struct server s = server_open(SOCK_STREAM);
    send_error = ENOBUFS;
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    wait_for(0, 1);
    send_error = 0;
    ck_assert_int_eq(got[0].event[0], UPSTREAM_REFUSED);
    ck_assert_uint_eq(counts().tcp_open, 0);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_reply_byte_by_byte)
{
    static uint8_t bytes[WIRE_MESSAGE_MAX + 2];
    const struct server s = server_open(SOCK_STREAM);
    const int on = 1;
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    tcp_take(fd, &query);
    make_reply(&query, &reply);
    const size_t len = frame(&reply, bytes);
    for (size_t i = 0; i < len; i++) {
        ck_assert_int_eq(got[0].n, 0);
        tcp_write(fd, bytes + i, 1);
        turns(2);
    }
    wait_for(0, 1);
    check_reply(0, &reply);
    close(fd);
    close(s.fd);
}
END_TEST

/* Two replies and the beginning of a third at once. */
START_TEST(tcp_replies_in_one_segment)
{
    static uint8_t bytes[4096];
    const struct server s = server_open(SOCK_STREAM);
    for (unsigned i = 0; i < 3; i++)
        ask(i, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    size_t len = 0;
    for (unsigned i = 0; i < 3; i++) {
        tcp_take(fd, &query);
        make_reply(&query, &reply);
        len += frame(&reply, bytes + len);
    }
    tcp_write(fd, bytes, len - 7);
    wait_for(0, 1);
    wait_for(1, 1);
    turns(3);
    ck_assert_int_eq(got[2].n, 0);
    tcp_write(fd, bytes + len - 7, 7);
    wait_for(2, 1);
    check_reply(2, &reply);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_largest_reply)
{
    const struct server s = server_open(SOCK_STREAM);
    ask(0, &s.addr, UPSTREAM_TCP);
    ask(1, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    for (unsigned i = 0; i < 2; i++) {
        tcp_take(fd, &query);
        make_reply(&query, &reply);
        memset(reply.bytes + reply.len, (int)i, WIRE_MESSAGE_MAX - reply.len);
        reply.len = WIRE_MESSAGE_MAX;
        tcp_put(fd, &reply);
        wait_for(i, 1);
        check_reply(i, &reply);
    }
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_case_of_the_name_does_not_count)
{
    const struct server s = server_open(SOCK_STREAM);
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    tcp_take(fd, &query);
    make_reply(&query, &reply);
    reply.bytes[WIRE_HEADER_LEN + 6] ^= 0x20;
    tcp_put(fd, &reply);
    wait_for(0, 1);
    check_reply(0, &reply);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_bare_error)
{
    const struct server s = server_open(SOCK_STREAM);
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    tcp_take(fd, &query);
    make_reply(&query, &reply);
    reply.bytes[3] = WIRE_FORMERR;
    reply.bytes[5] = reply.bytes[7] = 0;
    reply.len = WIRE_HEADER_LEN;
    tcp_put(fd, &reply);
    wait_for(0, 1);
    ck_assert_int_eq(got[0].event[0], UPSTREAM_FORMERR);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_reply_to_another_question)
{
    static const enum fault faults[] = {WRONG_ID, WRONG_NAME, WRONG_TYPE, WRONG_CLASS, REFLECTED,
        WRONG_OPCODE, QDCOUNT_0, QDCOUNT_2, CUT_IN_NAME};
    const struct server s = server_open(SOCK_STREAM);
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    tcp_take(fd, &query);
    make_reply(&query, &reply);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        make_reply(&query, &bad);
        spoil(faults[i], &bad);
        tcp_put(fd, &bad);
        turns(2);
        ck_assert_int_eq(got[0].n, 0);
    }
    tcp_put(fd, &reply);
    wait_for(0, 1);
    check_reply(0, &reply);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_too_much_that_nobody_awaits)
{
    const struct server s = server_open(SOCK_STREAM);
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    tcp_take(fd, &query);
    make_reply(&query, &bad);
    spoil(WRONG_ID, &bad);
    for (int i = 0; i < 11; i++)
        tcp_put(fd, &bad);
    wait_for(0, 1);
    ck_assert_int_eq(got[0].event[0], UPSTREAM_REFUSED);
    tcp_wait_closed(fd);
    close(fd);
    close(s.fd);
}
END_TEST

/* A kept connection that dnsd ends: a length that none can have, or too much that nobody awaits. */
START_TEST(tcp_garbage_brings_no_question_twice)
{
    static const uint8_t length_0[] = {0, 0};
    const struct server s = server_open(SOCK_STREAM);
    const int fd = tcp_first_exchange(0, &s);
    ask(1, &s.addr, UPSTREAM_TCP);
    tcp_take(fd, &query);
    make_reply(&query, &bad);
    spoil(WRONG_ID, &bad);
    if (_i == 0)
        tcp_write(fd, length_0, sizeof length_0);
    for (int i = 0; i < 11 && _i == 1; i++)
        tcp_put(fd, &bad);
    wait_for(1, 1);
    ck_assert_int_eq(got[1].event[0], UPSTREAM_REFUSED);
    ck_assert(!tcp_pending(&s));
    ck_assert_uint_eq(counts().tcp_sent, 2);
    close(fd);
    close(s.fd);
}
END_TEST

/* What was never written there is asked all the same. */
START_TEST(tcp_garbage_costs_nothing_to_those_that_wait_behind_it)
{
    static const uint8_t length_0[] = {0, 0};
    const struct server s = server_open(SOCK_STREAM);
    int fds[2];
    fds[0] = tcp_first_exchange(0, &s);
    for (unsigned i = 1; i < 130; i++) /* 64 on each of two connections, and one that waits */
        ask(i, &s.addr, UPSTREAM_TCP);
    fds[1] = tcp_accept(&s);
    for (int i = 0; i < 64; i++)
        tcp_take(fds[0], &query);
    ck_assert_uint_eq(counts().tcp_sent, 129);
    tcp_write(fds[0], length_0, sizeof length_0);
    const int fd = tcp_accept(&s);
    tcp_take(fd, &query);
    make_reply(&query, &reply);
    tcp_put(fd, &reply);
    wait_for(number_of(&query), 1);
    check_reply(number_of(&query), &reply);
    ck_assert_uint_eq(counts().tcp_sent, 130);
    close(fds[0]);
    close(fds[1]);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_reply_that_is_turned_down)
{
    const struct server s = server_open(SOCK_STREAM);
    got[0].n_turned_down = 1;
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    tcp_take(fd, &query);
    make_reply(&query, &reply);
    tcp_put(fd, &reply);
    wait_for(0, 1);
    ck_assert_ptr_nonnull(got[0].ask);
    tcp_put(fd, &reply);
    wait_for(0, 2);
    ck_assert_ptr_null(got[0].ask);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_kept_connection_was_closed_meanwhile)
{
    const struct server s = server_open(SOCK_STREAM);
    close(tcp_first_exchange(0, &s));
    turns(3);
    ck_assert_uint_eq(counts().tcp_open, 0); /* noticed without an ask */
    close(tcp_first_exchange(1, &s));
    ck_assert_uint_eq(counts().tcp_connections, 2);
    close(s.fd);
}
END_TEST

/* The server closes as we write: the question goes out once more over a fresh connection. */
START_TEST(tcp_kept_connection_closes_as_we_ask)
{
    const struct server s = server_open(SOCK_STREAM);
    int fd = tcp_first_exchange(0, &s);
    ask(1, &s.addr, UPSTREAM_TCP);
    if (_i == 0)
        close(fd);
    else
        tcp_reset(fd);
    fd = tcp_accept(&s);
    tcp_take(fd, &query);
    make_reply(&query, &reply);
    tcp_put(fd, &reply);
    wait_for(1, 1);
    check_reply(1, &reply);
    close(fd);
    close(s.fd);
}
END_TEST

/* As when the server was started anew: who has lost one kept connection is not put on the next that
 * is as old. */
START_TEST(tcp_all_kept_connections_close_as_we_ask)
{
    const struct server s = server_open(SOCK_STREAM);
    for (unsigned i = 0; i < 65; i++)
        ask(i, &s.addr, UPSTREAM_TCP);
    const int fds[2] = {tcp_accept(&s), tcp_accept(&s)};
    for (unsigned i = 0; i < 65; i++) {
        tcp_take(fds[i / 64], &query);
        make_reply(&query, &reply);
        tcp_put(fds[i / 64], &reply);
        wait_for(i, 1);
    }
    ask(70, &s.addr, UPSTREAM_TCP); /* one goes to each */
    ask(71, &s.addr, UPSTREAM_TCP);
    close(fds[0]);
    close(fds[1]);
    const int fd = tcp_accept(&s);
    for (unsigned i = 0; i < 2; i++) {
        tcp_take(fd, &query);
        make_reply(&query, &reply);
        tcp_put(fd, &reply);
        wait_for(number_of(&query), 1);
        check_reply(number_of(&query), &reply);
    }
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_second_loss_is_a_refusal)
{
    const struct server s = server_open(SOCK_STREAM);
    int fd = tcp_first_exchange(0, &s);
    ask(1, &s.addr, UPSTREAM_TCP);
    tcp_take(fd, &query);
    close(fd);
    fd = tcp_accept(&s);
    tcp_take(fd, &query);
    close(fd);
    wait_for(1, 1);
    ck_assert_int_eq(got[1].event[0], UPSTREAM_REFUSED);
    ck_assert(!tcp_pending(&s));
    close(s.fd);
}
END_TEST

/* A server that answers one question a connection: the others ask once more. */
START_TEST(tcp_server_closes_after_one_reply)
{
    const struct server s = server_open(SOCK_STREAM);
    for (unsigned i = 0; i < 3; i++)
        ask(i, &s.addr, UPSTREAM_TCP);
    int fd = tcp_accept(&s);
    tcp_take(fd, &query);
    make_reply(&query, &reply);
    tcp_put(fd, &reply);
    close(fd);
    wait_for(0, 1);
    fd = tcp_accept(&s);
    tcp_take(fd, &query);
    const unsigned second = number_of(&query), third = 3 - second;
    make_reply(&query, &reply);
    tcp_put(fd, &reply);
    wait_for(second, 1);
    check_reply(second, &reply);
    close(fd);
    wait_for(third, 1); /* it has been sent twice by now */
    ck_assert_int_eq(got[third].event[0], UPSTREAM_REFUSED);
    close(s.fd);
}
END_TEST

enum ending { CLOSES_AT_ONCE, RESETS_AT_ONCE, LENGTH_0, LENGTH_11, CUT_AND_RESET, N_ENDINGS };

START_TEST(tcp_fresh_connection_that_ends)
{
    static const uint8_t length_0[] = {0, 0}, length_11[] = {0, 11}, cut[] = {0, 100, 1, 2, 3};
    const struct server s = server_open(SOCK_STREAM);
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    if (_i >= LENGTH_0)
        tcp_take(fd, &query);
    if (_i == LENGTH_0)
        tcp_write(fd, length_0, sizeof length_0);
    else if (_i == LENGTH_11)
        tcp_write(fd, length_11, sizeof length_11);
    else if (_i == CUT_AND_RESET)
        tcp_write(fd, cut, sizeof cut);
    turns(2);
    if (_i == LENGTH_0 || _i == LENGTH_11)
        tcp_wait_closed(fd);
    if (_i == CLOSES_AT_ONCE)
        close(fd);
    else
        tcp_reset(fd);
    wait_for(0, 1);
    ck_assert_int_eq(got[0].event[0], UPSTREAM_REFUSED);
    ck_assert(!tcp_pending(&s));
    ck_assert_uint_eq(counts().tcp_open, 0);
    close(s.fd);
}
END_TEST

START_TEST(tcp_nobody_listens)
{
    const struct server s = server_open(SOCK_STREAM);
    close(s.fd);
    ask(0, &s.addr, UPSTREAM_TCP);
    ask(1, &s.addr, UPSTREAM_TCP);
    for (unsigned i = 0; i < 2; i++) {
        wait_for(i, 1);
        ck_assert_int_eq(got[i].event[0], UPSTREAM_REFUSED);
    }
}
END_TEST

START_TEST(tcp_idle_connection_is_closed)
{
    const struct server s = server_open(SOCK_STREAM);
    const int fd = tcp_first_exchange(0, &s);
    now_ms += 9000;
    turns(3);
    tcp_exchange(1, &s, fd);
    now_ms += 9999;
    turns(3);
    ck_assert_uint_eq(counts().tcp_open, 1);
    now_ms += 1;
    turns(3);
    ck_assert_uint_eq(counts().tcp_open, 0);
    tcp_wait_closed(fd);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_slow_reply_is_awaited)
{
    const struct server s = server_open(SOCK_STREAM);
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    tcp_take(fd, &query);
    now_ms += 60000; /* when to give up is the caller's business */
    turns(3);
    ck_assert_int_eq(got[0].n, 0);
    make_reply(&query, &reply);
    tcp_put(fd, &reply);
    wait_for(0, 1);
    check_reply(0, &reply);
    turns(3);
    ck_assert_uint_eq(counts().tcp_open, 1); /* idle from now on, not since the question */
    close(fd);
    close(s.fd);
}
END_TEST

/* A queue of connections that nobody accepts is full: the next one does not come about. */
START_TEST(tcp_connection_does_not_come_about)
{
    const struct server s = server_open(SOCK_STREAM);
    int filler[8];
    struct sockaddr_storage ss;
    const socklen_t len = sockaddr_from_addr(&s.addr, &ss);
    ck_assert_int_eq(listen(s.fd, 0), 0);
    for (int i = 0; i < 8; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(filler[i], 0);
        (void)connect(filler[i], (struct sockaddr *)&ss, len);
    }
    ask(0, &s.addr, UPSTREAM_TCP);
    turns(3);
    now_ms += 2999;
    turns(3);
    ck_assert_int_eq(got[0].n, 0);
    now_ms += 1;
    wait_for(0, 1);
    ck_assert_int_eq(got[0].event[0], UPSTREAM_REFUSED);
    ck_assert_uint_eq(counts().tcp_open, 0);
    for (int i = 0; i < 8; i++)
        close(filler[i]);
    close(s.fd);
}
END_TEST

START_TEST(tcp_cancelled_id_is_not_used_again)
{
    static bool seen[65536];
    const struct server s = server_open(SOCK_STREAM);
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    struct message *late = &kept[0];
    tcp_take(fd, late);
    const unsigned reserved = (unsigned)(late->bytes[0] << 8 | late->bytes[1]);
    cancel(0);
    for (unsigned i = 1; i < 40; i++) {
        ask(i, &s.addr, UPSTREAM_TCP);
        tcp_take(fd, &query);
        const unsigned id = (unsigned)(query.bytes[0] << 8 | query.bytes[1]);
        ck_assert_uint_ne(id, reserved);
        ck_assert(!seen[id]); /* those that wait all have their own */
        seen[id] = true;
    }
    make_reply(late, &reply); /* the late one is for nobody */
    tcp_put(fd, &reply);
    turns(3);
    make_reply(&query, &reply);
    tcp_put(fd, &reply);
    wait_for(39, 1);
    check_reply(39, &reply);
    for (unsigned i = 0; i < 39; i++)
        ck_assert_int_eq(got[i].n, 0);
    ck_assert_uint_eq(counts().tcp_connections, 1);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_cancelled_before_it_is_written)
{
    const struct server s = server_open(SOCK_STREAM);
    ask(0, &s.addr, UPSTREAM_TCP);
    cancel(0);
    ck_assert(!tcp_pending(&s));
    ck_assert_uint_eq(counts().tcp_connections, 0);
    ask(1, &s.addr, UPSTREAM_TCP);
    ask(2, &s.addr, UPSTREAM_TCP);
    cancel(1);
    const int fd = tcp_accept(&s);
    tcp_take(fd, &query);
    ck_assert_uint_eq(number_of(&query), 2);
    close(fd);
    close(s.fd);
}
END_TEST

/* The other end has gone without a word, as behind a router that forgot us: who waits in vain shall
 * be the last one that is put on this connection. */
START_TEST(tcp_silent_connection_gets_no_more_asks)
{
    const struct server s = server_open(SOCK_STREAM);
    const int fd = tcp_first_exchange(0, &s);
    now_ms += 10;
    turns(1);
    ask(1, &s.addr, UPSTREAM_TCP);
    tcp_take(fd, &query);
    now_ms += 1000;
    turns(1);
    cancel(1);
    ask(2, &s.addr, UPSTREAM_TCP);
    const int fresh = tcp_accept(&s);
    tcp_take(fresh, &query);
    ck_assert_uint_eq(number_of(&query), 2);
    tcp_wait_closed(fd); /* with nobody left on it, it closes */
    close(fd);
    close(fresh);
    close(s.fd);
}
END_TEST

/* A question that the server does not like is no sign of that: others were answered meanwhile. */
START_TEST(tcp_connection_that_is_heard_of_is_kept)
{
    const struct server s = server_open(SOCK_STREAM);
    const int fd = tcp_first_exchange(0, &s);
    now_ms += 10;
    turns(1);
    ask(1, &s.addr, UPSTREAM_TCP);
    tcp_take(fd, &query);
    now_ms += 10;
    turns(1);
    tcp_exchange(2, &s, fd);
    now_ms += 4000;
    turns(1);
    cancel(1);
    tcp_exchange(3, &s, fd);
    ck_assert_uint_eq(counts().tcp_connections, 1);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_too_many_cancelled)
{
    const struct server s = server_open(SOCK_STREAM);
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    unsigned i;
    for (i = 0; i < 200 && counts().tcp_connections == 1; i++) {
        tcp_take(fd, &query);
        cancel(i);
        ask(i + 1, &s.addr, UPSTREAM_TCP);
        turns(2);
    }
    ck_assert_uint_le(i, 40); /* well before all IDs of the connection are taken */
    const int fresh = tcp_accept(&s);
    tcp_take(fresh, &query);
    ck_assert_uint_eq(number_of(&query), i);
    close(fd);
    close(fresh);
    close(s.fd);
}
END_TEST

START_TEST(what_is_under_way_takes_no_more_memory_than_was_told)
{
    const struct server s = server_open(SOCK_DGRAM);
    const size_t told = exchange_bytes_max(200, 0) - exchange_bytes_max(0, 0);
    const size_t before = memory_in_use();
    for (unsigned i = 0; i < 200; i++) {
        ask(i, &s.addr, UPSTREAM_UDP);
        turns(1); /* each has a socket of its own */
    }
    ck_assert_uint_eq(counts().udp_open, 200);
    const size_t taken = memory_in_use() - before;
    for (unsigned i = 0; i < 200; i++)
        cancel(i);
    close(s.fd);
    ck_assert(taken == 0 || taken >= told / 2);
    ck_assert_uint_le(taken, told);
}
END_TEST

/* Each server has two at most, and they have more when theirs fall silent. */
START_TEST(tcp_connections_are_bounded_in_all)
{
    const struct server s = server_open_at("0.0.0.0", SOCK_STREAM);
    uint8_t msg[WIRE_QUERY_MAX];
    const size_t len = make_query(0, msg);
    unsigned n = 0;
    for (unsigned i = 0; i < 200; i++) {
        struct addr to = s.addr;
        to.ip[12] = 127;
        to.ip[14] = 1;
        to.ip[15] = (uint8_t)(i + 1);
        struct got *g = &got[i];
        memset(g, 0, sizeof *g);
        g->ask = upstream_ask(upstream, &to, UPSTREAM_TCP, msg, len, on_done, g);
        n += g->ask != NULL;
    }
    ck_assert_uint_eq(n, 128);
    turns(2);
    ck_assert_uint_eq(counts().tcp_open, 128);
    for (unsigned i = 0; i < 200; i++)
        if (got[i].ask)
            cancel(i);
    close(s.fd);
}
END_TEST

START_TEST(tcp_more_than_fits_one_connection)
{
    const struct server s = server_open(SOCK_STREAM);
    for (unsigned i = 0; i < 200; i++)
        ask(i, &s.addr, UPSTREAM_TCP);
    const int fds[2] = {tcp_accept(&s), tcp_accept(&s)};
    for (int i = 0; i < 64; i++)
        tcp_take(fds[0], &query); /* no more than this before a reply */
    uint8_t byte;
    turns(3);
    ck_assert_int_lt(recv(fds[0], &byte, 1, 0), 0);
    make_reply(&query, &reply);
    tcp_put(fds[0], &reply);
    tcp_take(fds[0], &query);
    ck_assert(!tcp_pending(&s));
    ck_assert_uint_eq(counts().tcp_connections, 2);
    ck_assert_uint_eq(counts().tcp_sent, 64 + 1 + 64);
    close(fds[0]);
    close(fds[1]);
    close(s.fd);
}
END_TEST

START_TEST(tcp_all_of_many_are_answered)
{
    const struct server s = server_open(SOCK_STREAM);
    for (unsigned i = 0; i < 200; i++)
        ask(i, &s.addr, UPSTREAM_TCP);
    const int fds[2] = {tcp_accept(&s), tcp_accept(&s)};
    int n = 0;
    for (const uint64_t end_ms = real_ms() + WAIT_MS; n < 200 && real_ms() < end_ms;) {
        uint8_t byte;
        turns(1);
        for (int i = 0; i < 2; i++) {
            if (recv(fds[i], &byte, 1, MSG_PEEK) != 1)
                continue;
            tcp_take(fds[i], &query);
            make_reply(&query, &reply);
            tcp_put(fds[i], &reply);
            n++;
        }
    }
    for (unsigned i = 0; i < 200; i++) {
        wait_for(i, 1);
        ck_assert_int_eq(got[i].event[0], UPSTREAM_REPLY);
    }
    close(fds[0]);
    close(fds[1]);
    close(s.fd);
}
END_TEST

START_TEST(tcp_others_are_cancelled_from_within_a_reply)
{
    static uint8_t bytes[4096];
    const struct server s = server_open(SOCK_STREAM);
    for (unsigned i = 0; i < 10; i++) {
        got[i].also = cancel_all_others;
        ask(i, &s.addr, UPSTREAM_TCP);
    }
    const int fd = tcp_accept(&s);
    size_t len = 0;
    for (unsigned i = 0; i < 10; i++) {
        tcp_take(fd, &query);
        make_reply(&query, &reply);
        len += frame(&reply, bytes + len);
    }
    tcp_write(fd, bytes, len);
    wait_for(0, 1);
    turns(3);
    for (unsigned i = 1; i < 10; i++)
        ck_assert_int_eq(got[i].n, 0);
    ck_assert_uint_eq(counts().tcp_open, 1); /* its late replies are for nobody; it lives on */
    tcp_exchange(20, &s, fd);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_asked_again_from_within_a_reply)
{
    const struct server s = server_open(SOCK_STREAM);
    also_server = s.addr;
    also_transport = UPSTREAM_TCP;
    got[0].also = ask_again;
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    for (int i = 0; i < 5; i++) {
        tcp_take(fd, &query);
        make_reply(&query, &reply);
        tcp_put(fd, &reply);
    }
    ck_assert_uint_eq(counts().tcp_connections, 1);
    close(fd);
    close(s.fd);
}
END_TEST

/* ---- where the system does not grant it ------------------------------------------------------ */

/* Forged messages could have it travel in pieces (SECURITY 1). */
START_TEST(question_from_a_socket_that_would_listen_to_a_forged_path_mtu_is_not_sent)
{
    static const char *const hosts[] = {"127.0.0.1", "::1"};
    const struct server s = server_open_at(hosts[_i], SOCK_DGRAM);
    lose(PATH_MTU, ENOPROTOOPT, 1);
    ask(0, &s.addr, UPSTREAM_UDP);
    wait_for(0, 1);
    ck_assert_int_eq(got[0].event[0], UPSTREAM_NOT_SENT);
    ck_assert_int_eq(recv(s.fd, query.bytes, 1, MSG_DONTWAIT), -1);
    ck_assert_uint_eq(counts().udp_open, 0);
    close(s.fd);
}
END_TEST

START_TEST(port_that_is_taken_is_left_for_another_one)
{
    static const int n_taken[] = {1, 9, 100}; /* at last the kernel chooses */
    const struct server s = server_open(SOCK_DGRAM);
    lose(BIND, EADDRINUSE, n_taken[_i]);
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    make_reply(&query, &reply);
    udp_put(&s, &reply);
    wait_for(0, 1);
    check_reply(0, &reply);
    close(s.fd);
}
END_TEST

/* And not a reply is lost that is there. */
START_TEST(reading_that_fails_for_a_moment)
{
    static const int errors[] = {EINTR, EAGAIN, ENOMEM, ENOBUFS};
    const struct server s = server_open(SOCK_DGRAM);
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    make_reply(&query, &reply);
    udp_put(&s, &reply);
    lose(RECVMMSG, errors[_i], 1);
    wait_for(0, 1);
    ck_assert_int_eq(lost.n_times, 0);
    check_reply(0, &reply);
    close(s.fd);
}
END_TEST

START_TEST(reading_that_fails_for_good)
{
    const struct server s = server_open(SOCK_DGRAM);
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    make_reply(&query, &reply);
    udp_put(&s, &reply);
    lose(RECVMMSG, EHOSTUNREACH, 1);
    wait_for(0, 1);
    ck_assert_int_eq(got[0].event[0], UPSTREAM_REFUSED);
    close(s.fd);
}
END_TEST

START_TEST(sending_that_is_interrupted)
{
    const struct server s = server_open(SOCK_DGRAM);
    sending.n_faults = 1;
    sending.error = EINTR;
    ask(0, &s.addr, UPSTREAM_UDP);
    udp_take(&s, &query);
    ck_assert_int_eq(sending.n_faults, 0);
    close(s.fd);
}
END_TEST

START_TEST(tcp_reading_and_writing_that_is_interrupted)
{
    const struct server s = server_open(SOCK_STREAM);
    send_error = EINTR;
    ask(0, &s.addr, UPSTREAM_TCP);
    const int fd = tcp_accept(&s);
    turns(2);
    send_error = 0;
    tcp_take(fd, &query);
    make_reply(&query, &reply);
    tcp_put(fd, &reply);
    lose(RECV, EINTR, 1);
    wait_for(0, 1);
    ck_assert_int_eq(lost.n_times, 0);
    check_reply(0, &reply);
    close(fd);
    close(s.fd);
}
END_TEST

START_TEST(tcp_connection_of_which_nothing_can_be_known)
{
    const struct server s = server_open(SOCK_STREAM);
    lose(SO_ERROR_OF, ENOBUFS, 1);
    ask(0, &s.addr, UPSTREAM_TCP);
    wait_for(0, 1);
    ck_assert_int_eq(got[0].event[0], UPSTREAM_REFUSED);
    ck_assert_uint_eq(counts().tcp_open, 0);
    close(s.fd);
}
END_TEST

/* One user watches too many: no reply would ever be heard. */
START_TEST(socket_that_the_kernel_refuses_to_watch)
{
    const struct server u = server_open(SOCK_DGRAM), t = server_open(SOCK_STREAM);
    turns(1); /* what the loop itself watches */
    const enum upstream_transport ways[] = {UPSTREAM_UDP, UPSTREAM_TCP};
    for (unsigned i = 0; i < 2; i++) {
        n_unwatched = 1;
        ask(i, i == 0 ? &u.addr : &t.addr, ways[i]);
        wait_for(i, 1);
        ck_assert_int_eq(n_unwatched, 0);
        ck_assert_int_eq(got[i].event[0], UPSTREAM_NOT_SENT);
    }
    turns(1);
    ck_assert_uint_eq(counts().udp_open + counts().tcp_open, 0);
    close(u.fd);
    close(t.fd);
}
END_TEST

/* As on_done, without a word of Check's. */
static bool note(void *ctx, enum upstream_event event, const uint8_t *msg, size_t len)
{
    struct got *g = ctx;
    (void)msg;
    (void)len;
    g->event[0] = event;
    g->n++;
    g->ask = NULL;
    return true;
}

/* Whether there is one more thing under way. */
static void ask_without_memory(unsigned i, const struct addr *server, enum upstream_transport way)
{
    uint8_t bytes[WIRE_QUERY_MAX];
    const size_t len = make_query(i, bytes);
    got[i].n = 0;
    scarce_resume();
    got[i].ask = upstream_ask(upstream, server, way, bytes, len, note, &got[i]);
    (void)scarce_end();
    got[i].n += got[i].ask == NULL;
}

static void turns_without_memory(int n)
{
    for (; n > 0; n--) {
        scarce_resume();
        turn_and_wait(-1, 0);
        (void)scarce_end();
    }
}

/* Answers what has come, if anything has: over TCP with more than a buffer takes at first. */
static void answer_what_came(const struct server *u, int tcp)
{
    static uint8_t bytes[4096];
    query.from_len = sizeof query.from;
    ssize_t n = recvfrom(u->fd, query.bytes, sizeof query.bytes, MSG_DONTWAIT,
        (struct sockaddr *)&query.from, &query.from_len);
    if (n > 0) {
        query.len = (size_t)n;
        make_reply(&query, &reply);
        udp_put(u, &reply);
    }
    n = tcp >= 0 ? recv(tcp, bytes, sizeof bytes, MSG_DONTWAIT) : 0;
    for (size_t at = 0; n > 0 && at < (size_t)n; at += 2 + query.len) {
        query.len = (size_t)(bytes[at] << 8 | bytes[at + 1]);
        memcpy(query.bytes, bytes + at + 2, query.len);
        make_reply(&query, &reply);
        reply.len = 20000;
        tcp_put(tcp, &reply);
    }
}

/* Whether the k-th allocation came at all. Nobody waits for ever, and then all is as before. */
static bool survives_without_memory(unsigned k)
{
    const struct server u = server_open(SOCK_DGRAM), t = server_open(SOCK_STREAM);
    const struct server other = server_open(SOCK_STREAM);
    scarce_begin(k, 1);
    (void)scarce_end();
    ask_without_memory(0, &u.addr, UPSTREAM_UDP);
    ask_without_memory(1, &t.addr, UPSTREAM_TCP);
    ask_without_memory(2, &t.addr, UPSTREAM_TCP);
    turns_without_memory(2);
    struct pollfd p = {t.fd, POLLIN, 0};
    const int fd = poll(&p, 1, 0) == 1 ? tcp_accept(&t) : -1;
    turns_without_memory(2);
    answer_what_came(&u, fd);
    turns_without_memory(3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_msg(got[i].n == 1, "allocation %u: ask %u ended %d times", k, i, got[i].n);
        ck_assert_ptr_null(got[i].ask);
    }
    ask(5, &u.addr, UPSTREAM_UDP);
    udp_take(&u, &query);
    make_reply(&query, &reply);
    udp_put(&u, &reply);
    wait_for(5, 1);
    check_reply(5, &reply);
    close(tcp_first_exchange(6, &other));
    if (fd >= 0)
        close(fd);
    close(u.fd);
    close(t.fd);
    close(other.fd);
    return scarce_end() >= k;
}

START_TEST(any_allocation_may_fail_and_the_next_question_is_answered)
{
    unsigned k = 1;
    ck_assert(!survives_without_memory(1000)); /* and the loop has what it needs */
    while (survives_without_memory(k))
        k++;
    ck_assert_uint_gt(k, 6);
}
END_TEST

/* ---- the suite ------------------------------------------------------------------------------- */

static TCase *udp_case(void)
{
    TCase *c = tcase_create("udp");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_checked_fixture(c, forget_asks, NULL);
    tcase_add_test(c, right_reply);
    tcase_add_test(c, right_reply_over_ipv6);
    tcase_add_loop_test(c, not_the_awaited_reply, 0, N_FAULTS);
    tcase_add_test(c, largest_reply);
    tcase_add_test(c, reply_larger_than_was_offered);
    tcase_add_test(c, source_is_where_questions_leave_from);
    tcase_add_test(c, forged_path_mtu_is_not_listened_to);
    tcase_add_test(c, reply_from_another_port_or_address);
    tcase_add_test(c, datagrams_from_before_the_socket_was_connected_are_a_strangers);
    tcase_add_test(c, reply_to_another_socket);
    tcase_add_test(c, third_wrong_id_is_suspect_once);
    tcase_add_test(c, short_datagrams_are_not_suspect);
    tcase_add_test(c, doubled_and_late_replies_are_not_suspect);
    tcase_add_test(c, bare_error);
    tcase_add_test(c, reply_that_is_turned_down);
    tcase_add_test(c, port_that_is_closed);
    tcase_add_test(c, no_descriptor_left);
    tcase_add_test(c, address_that_cannot_be_asked);
    tcase_add_test(c, burst_leaves_through_one_socket);
    tcase_add_test(c, burst_too_large_for_one_socket);
    tcase_add_test(c, two_servers_in_one_turn);
    tcase_add_test(c, ports_of_single_questions);
    tcase_add_test(c, cancelled_before_and_after_sending);
    tcase_add_test(c, others_are_cancelled_from_within_a_reply);
    tcase_add_loop_test(c, others_are_cancelled_from_within_a_refusal, 0, 2);
    tcase_add_test(c, others_are_cancelled_from_within_a_suspicion);
    tcase_add_test(c, asked_again_from_within_a_reply);
    tcase_add_loop_test(c, asked_again_from_within_each_failure, 0, 2);
    tcase_add_loop_test(c, asked_elsewhere_from_within_a_failure, 0, 3);
    tcase_add_test(c, asked_at_the_very_end_of_a_turn);
    tcase_add_test(c, socket_that_is_full_for_a_while);
    tcase_add_test(c, cancelled_while_the_socket_is_full);
    tcase_add_test(c, sending_that_fails);
    tcase_add_test(c, sending_that_fails_in_the_middle);
    tcase_add_test(c, closed_with_asks_under_way);
    return c;
}

static TCase *tcp_case(void)
{
    TCase *c = tcase_create("tcp");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_checked_fixture(c, forget_asks, NULL);
    tcase_add_test(c, tcp_connection_is_kept);
    tcase_add_test(c, tcp_length_and_body_in_one_segment);
    tcase_add_test(c, tcp_replies_out_of_order);
    tcase_add_test(c, tcp_question_that_the_kernel_has_no_room_for);
    tcase_add_test(c, tcp_reply_byte_by_byte);
    tcase_add_test(c, tcp_replies_in_one_segment);
    tcase_add_test(c, tcp_largest_reply);
    tcase_add_test(c, tcp_case_of_the_name_does_not_count);
    tcase_add_test(c, tcp_bare_error);
    tcase_add_test(c, tcp_reply_to_another_question);
    tcase_add_test(c, tcp_too_much_that_nobody_awaits);
    tcase_add_loop_test(c, tcp_garbage_brings_no_question_twice, 0, 2);
    tcase_add_test(c, tcp_garbage_costs_nothing_to_those_that_wait_behind_it);
    tcase_add_test(c, tcp_reply_that_is_turned_down);
    tcase_add_test(c, tcp_kept_connection_was_closed_meanwhile);
    tcase_add_loop_test(c, tcp_kept_connection_closes_as_we_ask, 0, 2);
    tcase_add_test(c, tcp_all_kept_connections_close_as_we_ask);
    tcase_add_test(c, tcp_second_loss_is_a_refusal);
    tcase_add_test(c, tcp_server_closes_after_one_reply);
    tcase_add_loop_test(c, tcp_fresh_connection_that_ends, 0, N_ENDINGS);
    tcase_add_test(c, tcp_nobody_listens);
    tcase_add_test(c, tcp_idle_connection_is_closed);
    tcase_add_test(c, tcp_slow_reply_is_awaited);
    tcase_add_test(c, tcp_connection_does_not_come_about);
    tcase_add_test(c, tcp_cancelled_id_is_not_used_again);
    tcase_add_test(c, tcp_cancelled_before_it_is_written);
    tcase_add_test(c, tcp_silent_connection_gets_no_more_asks);
    tcase_add_test(c, tcp_connection_that_is_heard_of_is_kept);
    tcase_add_test(c, tcp_too_many_cancelled);
    tcase_add_test(c, what_is_under_way_takes_no_more_memory_than_was_told);
    tcase_add_test(c, tcp_connections_are_bounded_in_all);
    tcase_add_test(c, tcp_more_than_fits_one_connection);
    tcase_add_test(c, tcp_all_of_many_are_answered);
    tcase_add_test(c, tcp_others_are_cancelled_from_within_a_reply);
    tcase_add_test(c, tcp_asked_again_from_within_a_reply);
    return c;
}

static TCase *system_case(void)
{
    TCase *c = tcase_create("system");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_set_timeout(c, 60); /* for valgrind */
    tcase_add_loop_test(
        c, question_from_a_socket_that_would_listen_to_a_forged_path_mtu_is_not_sent, 0, 2);
    tcase_add_loop_test(c, port_that_is_taken_is_left_for_another_one, 0, 3);
    tcase_add_loop_test(c, reading_that_fails_for_a_moment, 0, 4);
    tcase_add_test(c, reading_that_fails_for_good);
    tcase_add_test(c, sending_that_is_interrupted);
    tcase_add_test(c, tcp_reading_and_writing_that_is_interrupted);
    tcase_add_test(c, tcp_connection_of_which_nothing_can_be_known);
    tcase_add_test(c, socket_that_the_kernel_refuses_to_watch);
    tcase_add_test(c, any_allocation_may_fail_and_the_next_question_is_answered);
    return c;
}

int main(void)
{
    Suite *s = suite_create("exchange");
    suite_add_tcase(s, udp_case());
    suite_add_tcase(s, tcp_case());
    suite_add_tcase(s, system_case());
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
