/* peers.c: knows enough of the wire to ask and to answer in tests, with its own code: what dnsd and
 * a test read wrong in the same way would not be seen.
 * Never knows how dnsd was started or what a test is after. */
#include "peers.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_LEN 12
#define ASKED_MAX  8192
#define PLANS_MAX  4096
#define CONNS_MAX  32

static unsigned u16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static void put_u16(uint8_t *at, unsigned v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static void put_u32(uint8_t *at, uint32_t v)
{
    put_u16(at, v >> 16);
    put_u16(at + 2, v & 0xffff);
}

static size_t put_name(uint8_t *at, const char *name)
{
    size_t len = 0;
    while (*name != '\0') {
        size_t label = strcspn(name, ".");
        at[len++] = (uint8_t)label;
        memcpy(at + len, name, label);
        len += label;
        name += label + (name[label] == '.');
    }
    at[len++] = 0;
    return len;
}

/* The length of the name at `at`, which may end in a pointer; 0 where it does not end. */
static size_t name_len(const uint8_t *msg, size_t len, size_t at)
{
    size_t start = at;
    while (at < len) {
        if (msg[at] == 0)
            return at + 1 - start;
        if (msg[at] >= 0xc0)
            return at + 2 - start;
        at += msg[at] + 1U;
    }
    return 0;
}

static struct sockaddr_in socket_address(const char *address, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, address, &a.sin_addr);
    return a;
}

/* ---- the stub -------------------------------------------------------------------------------- */

size_t write_question(uint8_t msg[QUESTION_MAX], unsigned id, const char *name, enum type type)
{
    static const uint8_t header[HEADER_LEN] = {0, 0, 1, 0, 0, 1};
    memcpy(msg, header, sizeof header);
    put_u16(msg, id);
    size_t len = HEADER_LEN + put_name(msg + HEADER_LEN, name);
    put_u16(msg + len, type);
    put_u16(msg + len + 2, 1);
    return len + 4;
}

int client_socket(const struct dnsd *d, unsigned client, int type)
{
    const struct timeval wait = {.tv_sec = WAIT_MS / 1000};
    struct sockaddr_in own = {.sin_family = AF_INET}, to = socket_address(d->address, d->port);
    own.sin_addr.s_addr = htonl(0x7f800001 + client * 256);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) == 0 &&
        connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

struct question ask(const struct dnsd *d, const char *name, enum type type)
{
    uint8_t msg[QUESTION_MAX];
    uint16_t id;
    struct sockaddr_in to = socket_address(d->address, d->port);
    struct question q = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ck_assert_int_eq(getentropy(&id, sizeof id), 0);
    size_t len = write_question(msg, id, name, type);
    ck_assert_int_eq(connect(q.fd, (struct sockaddr *)&to, sizeof to), 0);
    q.asked_ms = now_ms();
    ck_assert_int_eq(send(q.fd, msg, len, 0), (ssize_t)len);
    return q;
}

static void read_answers(struct reply *r, const uint8_t *msg, size_t len)
{
    size_t at = HEADER_LEN;
    at += name_len(msg, len, at) + 4;
    for (unsigned i = 0; i < r->answers; i++) {
        at += name_len(msg, len, at);
        ck_assert_uint_le(at + 10, len);
        if (i == 0)
            r->ttl_s = u16(msg + at + 4) << 16 | u16(msg + at + 6);
        if (u16(msg + at) == TYPE_A && u16(msg + at + 8) == 4)
            inet_ntop(AF_INET, msg + at + 10, r->address, sizeof r->address);
        at += 10 + u16(msg + at + 8);
        ck_assert_uint_le(at, len);
    }
}

struct reply reply_read(const uint8_t *msg, size_t len)
{
    struct reply r = {.came = true, .len = len};
    r.truncated = (msg[2] & 2) != 0;
    r.rcode = msg[3] & 15;
    r.answers = u16(msg + 6);
    read_answers(&r, msg, len);
    return r;
}

struct reply receive(struct question q, uint64_t wait_ms)
{
    uint8_t msg[MESSAGE_MAX];
    struct reply r = {0};
    struct pollfd p = {.fd = q.fd, .events = POLLIN};
    ssize_t n = poll(&p, 1, (int)wait_ms) == 1 ? recv(q.fd, msg, sizeof msg, 0) : -1;
    r.took_ms = now_ms() - q.asked_ms;
    close(q.fd);
    if (n < HEADER_LEN)
        return r;
    struct reply read = reply_read(msg, (size_t)n);
    read.took_ms = r.took_ms;
    return read;
}

struct reply resolve(const struct dnsd *d, const char *name, enum type type)
{
    struct reply r = receive(ask(d, name, type), WAIT_MS);
    ck_assert_msg(r.came, "no reply to %s", name);
    return r;
}

/* ---- the server ------------------------------------------------------------------------------ */

enum deed { SEND, HANG_UP, RESET };

/* What is to happen. */
struct plan {
    uint64_t due_ms;
    enum deed deed;
    bool tcp;
    int fd;
    struct sockaddr_in to;
    uint8_t *msg;
    size_t len;
};

struct conn {
    int fd;
    uint8_t in[2 + 65535];
    size_t len;
};

struct log_entry {
    char name[256];
    unsigned type;
    bool tcp;
};

struct responder {
    pthread_t thread;
    pthread_mutex_t lock; /* of the log */
    const char *address;
    uint16_t port;
    int udp, tcp, wake[2];
    bool without_tcp;
    responder_script *script;
    void *ctx;
    struct plan plans[PLANS_MAX];
    size_t n_plans;
    struct conn conns[CONNS_MAX];
    size_t n_conns;
    struct log_entry log[ASKED_MAX];
    size_t n_log;
};

static unsigned note(struct responder *r, const struct asked *q)
{
    unsigned nth = 1;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n_log; i++)
        nth += r->log[i].type == q->type && strcmp(r->log[i].name, q->name) == 0;
    if (r->n_log < ASKED_MAX) {
        struct log_entry *e = &r->log[r->n_log++];
        memcpy(e->name, q->name, sizeof e->name);
        e->type = q->type;
        e->tcp = q->tcp;
    }
    pthread_mutex_unlock(&r->lock);
    return nth;
}

/* Fills in name and type from the message. False: this is no question. */
static bool read_question(struct asked *q)
{
    size_t at = HEADER_LEN, out = 0;
    size_t n = q->len > HEADER_LEN ? name_len(q->msg, q->len, at) : 0;
    if (n == 0 || at + n + 4 > q->len)
        return false;
    for (size_t i = 1; i + 1 < n; i++)
        q->name[out++] = (char)tolower(q->msg[at + i]);
    q->name[out] = '\0';
    for (size_t i = q->msg[at]; i < out; i += 1U + q->msg[at + i + 1])
        q->name[i] = '.';
    q->type = u16(q->msg + at + n);
    return true;
}

static void take(struct responder *r, struct asked *q)
{
    q->r = r;
    if (!read_question(q))
        return;
    q->nth = note(r, q);
    r->script(q, r->ctx);
}

static void take_datagram(struct responder *r)
{
    struct asked q = {0};
    socklen_t len = sizeof q.from;
    ssize_t n = recvfrom(r->udp, q.msg, sizeof q.msg, 0, (struct sockaddr *)&q.from, &len);
    if (n < 0)
        return;
    q.len = (size_t)n;
    take(r, &q);
}

static void drop_conn(struct responder *r, struct conn *c)
{
    for (size_t i = 0; i < r->n_plans; i++)
        if (r->plans[i].tcp && r->plans[i].fd == c->fd)
            r->plans[i].fd = -1;
    close(c->fd);
    *c = r->conns[--r->n_conns];
}

static void take_bytes(struct responder *r, struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->len, sizeof c->in - c->len, 0);
    if (n <= 0) {
        drop_conn(r, c);
        return;
    }
    c->len += (size_t)n;
    while (c->len >= 2 && c->len >= 2 + u16(c->in)) {
        struct asked q = {.tcp = true, .fd = c->fd, .len = u16(c->in)};
        size_t whole = 2 + q.len;
        if (q.len <= sizeof q.msg) {
            memcpy(q.msg, c->in + 2, q.len);
            take(r, &q);
        }
        memmove(c->in, c->in + whole, c->len - whole);
        c->len -= whole;
    }
}

static void accept_conn(struct responder *r)
{
    int fd = accept4(r->tcp, NULL, NULL, SOCK_CLOEXEC), on = 1;
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* pieces stay pieces */
    if (r->n_conns == CONNS_MAX) {
        close(fd);
        return;
    }
    r->conns[r->n_conns].len = 0;
    r->conns[r->n_conns++].fd = fd;
}

/* The thread then sees an end, and closes. */
static void end_conn(int fd, bool reset)
{
    struct linger none = {.l_onoff = 1};
    if (reset)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    shutdown(fd, SHUT_RD);
}

static void carry_out(const struct plan *p)
{
    if (p->fd < 0)
        return; /* the connection has gone */
    if (p->deed != SEND)
        end_conn(p->fd, p->deed == RESET);
    else if (!p->tcp)
        (void)sendto(p->fd, p->msg, p->len, 0, (const struct sockaddr *)&p->to, sizeof p->to);
    else
        (void)send(p->fd, p->msg, p->len, MSG_NOSIGNAL);
}

/* Does what is due, in order, and says in how many milliseconds more is. */
static int carry_out_due(struct responder *r)
{
    uint64_t now = now_ms();
    size_t n = 0;
    while (n < r->n_plans && r->plans[n].due_ms <= now) {
        carry_out(&r->plans[n]);
        free(r->plans[n++].msg);
    }
    r->n_plans -= n;
    memmove(r->plans, r->plans + n, r->n_plans * sizeof *r->plans);
    return r->n_plans > 0 ? (int)(r->plans[0].due_ms - now) : -1;
}

static void *serve(void *arg)
{
    struct responder *r = arg;
    struct pollfd p[3 + CONNS_MAX];
    for (;;) {
        size_t n = 3, n_conns = r->n_conns;
        p[0] = (struct pollfd){.fd = r->wake[0], .events = POLLIN};
        p[1] = (struct pollfd){.fd = r->udp, .events = POLLIN};
        p[2] = (struct pollfd){.fd = r->without_tcp ? -1 : r->tcp, .events = POLLIN};
        for (size_t i = 0; i < n_conns; i++)
            p[n++] = (struct pollfd){.fd = r->conns[i].fd, .events = POLLIN};
        if (poll(p, n, carry_out_due(r)) <= 0)
            continue;
        if (p[0].revents != 0)
            return NULL;
        if (p[1].revents != 0)
            take_datagram(r);
        for (size_t i = n_conns; i-- > 0;)
            if (p[3 + i].revents != 0)
                take_bytes(r, &r->conns[i]);
        if (p[2].revents != 0)
            accept_conn(r);
    }
}

static bool listen_both(struct responder *r)
{
    struct sockaddr_in a = socket_address(r->address, r->port);
    int on = 1;
    /* It shall lose no question, also when it has to wait for a processor. */
    const int much = 8 << 20;
    r->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(r->udp, SOL_SOCKET, SO_RCVBUFFORCE, &much, sizeof much);
    r->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(r->tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(r->udp, (struct sockaddr *)&a, sizeof a) == 0 &&
        bind(r->tcp, (struct sockaddr *)&a, sizeof a) == 0 &&
        (r->without_tcp || listen(r->tcp, 16) == 0))
        return true;
    close(r->udp);
    close(r->tcp);
    return false;
}

static struct responder *create(responder_script *script, void *ctx, bool without_tcp)
{
    struct responder *r = calloc(1, sizeof *r);
    ck_assert_ptr_nonnull(r);
    r->without_tcp = without_tcp;
    r->script = script;
    r->ctx = ctx;
    r->address = own_address();
    do
        r->port = free_port(r->address);
    while (!listen_both(r));
    ck_assert_int_eq(pipe2(r->wake, O_CLOEXEC), 0);
    ck_assert_int_eq(pthread_mutex_init(&r->lock, NULL), 0);
    ck_assert_int_eq(pthread_create(&r->thread, NULL, serve, r), 0);
    return r;
}

struct responder *responder_start(responder_script *script, void *ctx)
{
    return create(script, ctx, false);
}

struct responder *responder_start_without_tcp(responder_script *script, void *ctx)
{
    return create(script, ctx, true);
}

void responder_stop(struct responder *r)
{
    ck_assert_int_eq(write(r->wake[1], "x", 1), 1);
    ck_assert_int_eq(pthread_join(r->thread, NULL), 0);
    while (r->n_plans > 0)
        free(r->plans[--r->n_plans].msg);
    while (r->n_conns > 0)
        close(r->conns[--r->n_conns].fd);
    close(r->udp);
    close(r->tcp);
    close(r->wake[0]);
    close(r->wake[1]);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

uint16_t responder_port(const struct responder *r)
{
    return r->port;
}

const char *responder_at(const struct responder *r)
{
    return text("%s:%u", r->address, (unsigned)r->port);
}

static size_t count(struct responder *r, const char *name, bool tcp_only)
{
    size_t n = 0;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n_log; i++)
        n +=
            (name == NULL || strcasecmp(r->log[i].name, name) == 0) && (r->log[i].tcp || !tcp_only);
    pthread_mutex_unlock(&r->lock);
    return n;
}

size_t responder_asked(struct responder *r, const char *name)
{
    return count(r, name, false);
}

size_t responder_asked_tcp(struct responder *r, const char *name)
{
    return count(r, name, true);
}

/* ---- replies --------------------------------------------------------------------------------- */

size_t reply_start(const struct asked *q, enum rcode rcode, uint8_t msg[MESSAGE_MAX])
{
    size_t len = HEADER_LEN + name_len(q->msg, q->len, HEADER_LEN) + 4;
    memcpy(msg, q->msg, len);
    msg[2] = 0x81; /* QR, RD */
    msg[3] = (uint8_t)(0x80 | rcode);
    memset(msg + 6, 0, 6);
    return len;
}

static size_t add(uint8_t *msg, size_t len, size_t count_at, enum type type, uint32_t ttl_s,
    const void *rdata, size_t rdata_len)
{
    put_u16(msg + count_at, u16(msg + count_at) + 1);
    put_u16(msg + len, 0xc000 | HEADER_LEN);
    put_u16(msg + len + 2, type);
    put_u16(msg + len + 4, 1);
    put_u32(msg + len + 6, ttl_s);
    put_u16(msg + len + 10, (unsigned)rdata_len);
    memcpy(msg + len + 12, rdata, rdata_len);
    return len + 12 + rdata_len;
}

size_t reply_add(
    uint8_t *msg, size_t len, enum type type, uint32_t ttl_s, const void *rdata, size_t rdata_len)
{
    return add(msg, len, 6, type, ttl_s, rdata, rdata_len);
}

/* Behind what is due at the same time. bytes become the plan's. */
static void plan(
    const struct asked *q, unsigned delay_ms, enum deed deed, uint8_t *bytes, size_t len)
{
    struct responder *r = q->r;
    struct plan p = {
        .due_ms = now_ms() + delay_ms,
        .deed = deed,
        .tcp = q->tcp,
        .fd = q->tcp ? q->fd : r->udp,
        .to = q->from,
        .msg = bytes,
        .len = len,
    };
    size_t at = r->n_plans;
    if (at == PLANS_MAX) {
        free(bytes);
        return;
    }
    while (at > 0 && r->plans[at - 1].due_ms > p.due_ms)
        at--;
    memmove(r->plans + at + 1, r->plans + at, (r->n_plans++ - at) * sizeof p);
    r->plans[at] = p;
}

void reply_send(const struct asked *q, unsigned delay_ms, const uint8_t *msg, size_t len)
{
    size_t prefix = q->tcp ? 2 : 0;
    uint8_t *copy = malloc(len + prefix);
    if (copy == NULL)
        return;
    if (q->tcp)
        put_u16(copy, (unsigned)len);
    memcpy(copy + prefix, msg, len);
    plan(q, delay_ms, SEND, copy, len + prefix);
}

void reply_send_bytes(const struct asked *q, unsigned delay_ms, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len);
    if (copy == NULL)
        return;
    memcpy(copy, bytes, len);
    plan(q, delay_ms, SEND, copy, len);
}

static void send_from(
    const struct asked *q, const char *address, uint16_t port, const uint8_t *msg, size_t len)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in from = socket_address(address, port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) == 0)
        (void)sendto(fd, msg, len, 0, (const struct sockaddr *)&q->from, sizeof q->from);
    close(fd);
}

void reply_send_from_elsewhere(const struct asked *q, const uint8_t *msg, size_t len)
{
    send_from(q, q->r->address, 0, msg, len);
}

void reply_send_from_stranger(const struct asked *q, const uint8_t *msg, size_t len)
{
    send_from(q, "127.1.2.3", q->r->port, msg, len);
}

void reply_a(const struct asked *q, unsigned delay_ms, uint32_t ttl_s, const char *address)
{
    static const uint8_t soa[] = {
        0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 60};
    uint8_t msg[MESSAGE_MAX], rdata[4];
    size_t len = reply_start(q, NOERROR, msg);
    inet_pton(AF_INET, address, rdata);
    if (q->type == TYPE_A)
        len = reply_add(msg, len, TYPE_A, ttl_s, rdata, sizeof rdata);
    else
        len = add(msg, len, 8, TYPE_SOA, ttl_s, soa, sizeof soa);
    reply_send(q, delay_ms, msg, len);
}

void reply_hang_up(const struct asked *q, unsigned delay_ms)
{
    plan(q, delay_ms, HANG_UP, NULL, 0);
}

void reply_reset(const struct asked *q, unsigned delay_ms)
{
    plan(q, delay_ms, RESET, NULL, 0);
}
