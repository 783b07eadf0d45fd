/* slowserver.c: a server to measure against: it answers any name, after a delay, with the TTL it
 * was told, and counts what it is asked. Loopback only. Knows sockets and time; never a zone.
 *
 *   slowserver [-listen 127.0.0.1:PORT] [-delay 40ms] [-ttl 0] [-ttls FILE] [-tc] [-lose N]
 *
 * A names an address of 192.0.2.0/24, AAAA one of 2001:db8::/32; other types have no data. -ttls: a
 * file of names and seconds, for which -ttl does not count. -tc: over UDP all replies are
 * truncated. -lose: every Nth question over UDP stays without reply. Port 0 (the default) is one
 * that the kernel chooses; "listening on ADDRESS:PORT" is the first line of output. On SIGUSR1 and
 * at the end (SIGTERM, SIGINT) a line tells how many questions came, over UDP and TCP, how many
 * were lost, and from how many addresses the ones over UDP came. */
#include "addr.h"
#include "net/sockaddr.h"
#include "ops/savefile.h"
#include "quantity.h"
#include "tools/ttls.h"
#include "wire.h"

#include <errno.h>
#include <ev.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUERY_MAX    4096 /* a longer question ends its connection, or is not read whole */
#define REPLY_MAX    1024 /* one record, or a SOA, behind the longest name */
#define DELAY_MAX_MS 60000
#define FILE_MAX     ((size_t)64 << 20)
#define BACKLOG      512
#define BATCH        64 /* datagrams or messages before the loop looks at other sockets */
#define BIND_TRIES   32 /* until a port is free for UDP and TCP */
#define TCP_MAX      1024

enum exit_code { EXIT_CONF = 1, EXIT_NET = 2, EXIT_FILE = 3, EXIT_MEMORY = 4 };

struct options {
    struct addr listen;
    uint64_t delay_ms;
    uint32_t ttl_s;
    struct ttls *ttls;
    bool truncate;
    uint64_t lose; /* 0: none */
};

struct server;

struct conn {
    struct ev_io readable;
    struct server *server;
    struct conn *prev, *next;
    size_t len;
    uint8_t bytes[2 + QUERY_MAX];
};

/* A reply that waits for its time. All wait equally long: they leave in the order of their coming.
 */
struct pending {
    struct pending *next;
    struct conn *conn; /* NULL: over UDP */
    bool dropped;      /* its connection is gone */
    double due;
    struct sockaddr_storage to;
    socklen_t to_len;
    size_t len;
    uint8_t bytes[2 + REPLY_MAX]; /* behind the length that TCP has before it */
};

struct server {
    struct ev_loop *loop;
    struct options options;
    int udp_fd, tcp_fd;
    struct ev_io udp_readable, tcp_readable;
    struct ev_timer due;
    struct ev_signal on_usr1, on_term, on_int;
    struct pending *first, **last;
    struct conn *conns;
    size_t n_conns;
    uint64_t n_udp, n_tcp, n_lost;
    bool asked_by[256]; /* over UDP, by the last byte of the address */
};

/* ---- answers --------------------------------------------------------------------------------- */

/* So that a name has the same address each time, and another name most likely another one. */
static uint8_t sum_of(const uint8_t *name, size_t len)
{
    unsigned sum = 0;
    for (size_t i = 0; i < len; i++)
        sum = sum * 31 + name[i];
    return (uint8_t)(sum % 254 + 1);
}

static void put_address(struct wire_writer *w, const struct wire_question *q, uint32_t ttl_s)
{
    uint8_t v4[4] = {192, 0, 2};
    uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8};
    uint8_t lower[WIRE_NAME_MAX];
    struct wire_record record = {.owner = q->name,
        .owner_len = q->name_len,
        .type = q->type,
        .class = q->class,
        .ttl_s = ttl_s,
        .rdata = q->type == WIRE_TYPE_A ? v4 : v6,
        .rdata_len = q->type == WIRE_TYPE_A ? sizeof(v4) : sizeof(v6)};
    wire_name_lower(q->name, q->name_len, lower);
    v4[sizeof(v4) - 1] = v6[sizeof(v6) - 1] = sum_of(lower, q->name_len);
    wire_put_record(w, WIRE_SECTION_ANSWER, &record);
}

/* The name's own zone: its SOA makes the answer one that may be kept (RFC 2308 5). */
static void put_soa(struct wire_writer *w, const struct wire_question *q, uint32_t ttl_s)
{
    uint8_t rdata[] = {0, 0, /* MNAME and RNAME: the root */
        0, 0, 0, 1, 0, 0, 0x0e, 0x10, 0, 0, 2, 0x58, 0, 1, 0x51, 0x80, /* serial to expire */
        (uint8_t)(ttl_s >> 24), (uint8_t)(ttl_s >> 16), (uint8_t)(ttl_s >> 8), (uint8_t)ttl_s};
    struct wire_record record = {.owner = q->name,
        .owner_len = q->name_len,
        .type = WIRE_TYPE_SOA,
        .class = q->class,
        .ttl_s = ttl_s,
        .rdata = rdata,
        .rdata_len = sizeof(rdata)};
    wire_put_record(w, WIRE_SECTION_AUTHORITY, &record);
}

static size_t pack_answer(
    const struct options *o, const struct wire_question *q, uint8_t *out, size_t cap)
{
    static struct wire_writer writer;
    uint8_t scratch[REPLY_MAX];
    uint32_t ttl_s = o->ttl_s;

    ttls_get(o->ttls, q->name, q->name_len, &ttl_s);
    wire_writer_start(&writer, q->name, q->name_len, scratch, sizeof(scratch));
    if (q->type == WIRE_TYPE_A || q->type == WIRE_TYPE_AAAA)
        put_address(&writer, q, ttl_s);
    else
        put_soa(&writer, q, ttl_s);
    return wire_writer_finish(&writer, 0, out, cap);
}

static uint16_t rcode_of(enum wire_query_verdict verdict, const struct wire_query *q)
{
    switch (verdict) {
    case WIRE_QUERY_OK:
        return q->question.class == WIRE_CLASS_IN ? WIRE_NOERROR : WIRE_REFUSED;
    case WIRE_QUERY_NOTIMP:
        return WIRE_NOTIMP;
    case WIRE_QUERY_BADVERS:
        return WIRE_BADVERS;
    case WIRE_QUERY_SIGNED:
        return WIRE_REFUSED;
    default:
        return WIRE_FORMERR;
    }
}

/* Writes the reply; 0 for what gets none. */
static size_t answer(
    const struct options *o, const uint8_t *msg, size_t len, bool tcp, uint8_t out[REPLY_MAX])
{
    struct wire_query q;
    uint8_t packed[REPLY_MAX];
    enum wire_query_verdict verdict = wire_parse_query(msg, len, &q);
    struct wire_reply reply = {.query = &q,
        .fixed_ttl_s = WIRE_TTL_AS_IS,
        .ede = WIRE_EDE_NONE,
        .truncate = o->truncate && !tcp,
        .limit = tcp ? REPLY_MAX : wire_udp_limit(&q)};

    if (verdict == WIRE_QUERY_DROP)
        return 0;
    reply.rcode = rcode_of(verdict, &q);
    if (reply.rcode == WIRE_NOERROR) {
        reply.packed = packed;
        reply.packed_len = pack_answer(o, &q.question, packed, sizeof(packed));
    }
    return wire_write_reply(&reply, out, REPLY_MAX);
}

/* ---- replies that wait ----------------------------------------------------------------------- */

static void conn_close(struct conn *c);

/* What the peer does not take at once is lost: it is either a peer that does not read, or a full
 * buffer as on any way. */
static void send_reply(struct server *s, struct pending *p)
{
    uint8_t *msg = p->bytes + 2;
    if (p->dropped)
        return;
    if (p->conn == NULL) {
        (void)sendto(s->udp_fd, msg, p->len, MSG_DONTWAIT, (struct sockaddr *)&p->to, p->to_len);
        return;
    }
    wire_frame_write(p->bytes, p->len);
    ssize_t n = send(p->conn->readable.fd, p->bytes, p->len + 2, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n != (ssize_t)(p->len + 2))
        conn_close(p->conn);
}

static void send_due(struct server *s)
{
    while (s->first != NULL && s->first->due <= ev_now(s->loop)) {
        struct pending *p = s->first;
        s->first = p->next;
        if (s->first == NULL)
            s->last = &s->first;
        send_reply(s, p);
        free(p);
    }
    if (s->first == NULL || ev_is_active(&s->due))
        return;
    ev_timer_set(&s->due, s->first->due - ev_now(s->loop), 0.);
    ev_timer_start(s->loop, &s->due);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct server *s = timer->data;
    (void)loop;
    (void)events;
    send_due(s);
}

static void reply_later(struct server *s, const uint8_t *msg, size_t len, struct conn *conn,
    const struct sockaddr_storage *to, socklen_t to_len)
{
    struct pending *p = malloc(sizeof(*p));
    if (p == NULL)
        return;
    p->len = answer(&s->options, msg, len, conn != NULL, p->bytes + 2);
    if (p->len == 0) {
        free(p);
        return;
    }
    p->next = NULL;
    p->conn = conn;
    p->dropped = false;
    p->due = ev_now(s->loop) + (double)s->options.delay_ms / 1000.;
    if (to != NULL)
        p->to = *to;
    p->to_len = to_len;
    *s->last = p;
    s->last = &p->next;
    send_due(s);
}

/* ---- UDP ------------------------------------------------------------------------------------- */

static void note_client(struct server *s, const struct sockaddr_storage *from)
{
    struct addr client;
    if (sockaddr_to_addr(from, &client) == 0)
        s->asked_by[client.ip[sizeof(client.ip) - 1]] = true;
}

static void on_datagram(struct ev_loop *loop, ev_io *io, int events)
{
    struct server *s = io->data;
    uint8_t msg[QUERY_MAX];
    (void)loop;
    (void)events;
    for (int i = 0; i < BATCH; i++) {
        struct sockaddr_storage from;
        socklen_t from_len = sizeof(from);
        ssize_t n =
            recvfrom(io->fd, msg, sizeof(msg), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
        if (n < 0)
            return;
        s->n_udp++;
        note_client(s, &from);
        if (s->options.lose > 0 && s->n_udp % s->options.lose == 0) {
            s->n_lost++;
            continue;
        }
        reply_later(s, msg, (size_t)n, NULL, &from, from_len);
    }
}

/* ---- TCP ------------------------------------------------------------------------------------- */

static void conn_close(struct conn *c)
{
    struct server *s = c->server;
    for (struct pending *p = s->first; p != NULL; p = p->next)
        if (p->conn == c)
            p->dropped = true;
    ev_io_stop(s->loop, &c->readable);
    close(c->readable.fd);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    s->n_conns--;
    free(c);
}

/* Takes the whole messages off the front. False when there is one that is too long. */
static bool take_messages(struct conn *c)
{
    for (;;) {
        int len = wire_frame_len(c->bytes, c->len);
        if (len > QUERY_MAX)
            return false;
        if (len < 0 || c->len < 2 + (size_t)len)
            return true;
        c->server->n_tcp++;
        reply_later(c->server, c->bytes + 2, (size_t)len, c, NULL, 0);
        c->len -= 2 + (size_t)len;
        memmove(c->bytes, c->bytes + 2 + len, c->len);
    }
}

static void on_stream(struct ev_loop *loop, ev_io *io, int events)
{
    struct conn *c = io->data;
    (void)loop;
    (void)events;
    ssize_t n = recv(io->fd, c->bytes + c->len, sizeof(c->bytes) - c->len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_close(c);
        return;
    }
    c->len += (size_t)n;
    if (!take_messages(c))
        conn_close(c);
}

static void on_connection(struct ev_loop *loop, ev_io *io, int events)
{
    struct server *s = io->data;
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct conn *c = s->n_conns < TCP_MAX ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL) {
        close(fd);
        return;
    }
    c->server = s;
    c->next = s->conns;
    if (c->next != NULL)
        c->next->prev = c;
    s->conns = c;
    s->n_conns++;
    ev_io_init(&c->readable, on_stream, fd, EV_READ);
    c->readable.data = c;
    ev_io_start(loop, &c->readable);
}

/* ---- start and end --------------------------------------------------------------------------- */

static int open_socket(int type, const struct addr *at, struct addr *bound)
{
    int on = 1;
    int fd = socket(sockaddr_family(at), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if ((type != SOCK_STREAM || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0) &&
        sockaddr_bind(fd, at, bound) == 0 && (type != SOCK_STREAM || listen(fd, BACKLOG) == 0))
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* The same port for both. Where the kernel chooses, the one it gave for UDP may be taken for TCP.
 */
static int open_sockets(struct server *s, struct addr *bound)
{
    for (int i = 0; i < BIND_TRIES; i++) {
        struct addr tcp_bound;
        s->udp_fd = open_socket(SOCK_DGRAM, &s->options.listen, bound);
        if (s->udp_fd < 0)
            return -1;
        s->tcp_fd = open_socket(SOCK_STREAM, bound, &tcp_bound);
        if (s->tcp_fd >= 0)
            return 0;
        int why = errno;
        close(s->udp_fd);
        errno = why;
        if (s->options.listen.port != 0)
            return -1;
    }
    return -1;
}

static void tell_counts(const struct server *s)
{
    unsigned n_clients = 0;
    for (size_t i = 0; i < sizeof(s->asked_by) / sizeof(s->asked_by[0]); i++)
        n_clients += s->asked_by[i];
    printf("questions %llu udp %llu tcp %llu lost %llu clients %u\n",
        (unsigned long long)(s->n_udp + s->n_tcp), (unsigned long long)s->n_udp,
        (unsigned long long)s->n_tcp, (unsigned long long)s->n_lost, n_clients);
    fflush(stdout);
}

static void on_usr1(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)loop;
    (void)events;
    tell_counts(signal->data);
}

static void on_end(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)signal;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void start_signal(struct server *s, ev_signal *signal, int number,
    void (*call)(struct ev_loop *, ev_signal *, int))
{
    ev_signal_init(signal, call, number);
    signal->data = s;
    ev_signal_start(s->loop, signal);
}

static void start(struct server *s)
{
    s->last = &s->first;
    ev_io_init(&s->udp_readable, on_datagram, s->udp_fd, EV_READ);
    ev_io_init(&s->tcp_readable, on_connection, s->tcp_fd, EV_READ);
    ev_init(&s->due, on_due);
    s->udp_readable.data = s->tcp_readable.data = s->due.data = s;
    ev_io_start(s->loop, &s->udp_readable);
    ev_io_start(s->loop, &s->tcp_readable);
    start_signal(s, &s->on_usr1, SIGUSR1, on_usr1);
    start_signal(s, &s->on_term, SIGTERM, on_end);
    start_signal(s, &s->on_int, SIGINT, on_end);
}

static void stop(struct server *s)
{
    while (s->conns != NULL)
        conn_close(s->conns);
    while (s->first != NULL) {
        struct pending *p = s->first;
        s->first = p->next;
        free(p);
    }
    close(s->udp_fd);
    close(s->tcp_fd);
    ttls_free(s->options.ttls);
    ev_loop_destroy(s->loop);
}

/* ---- options --------------------------------------------------------------------------------- */

static void tell_mistake(void *ctx, size_t line, const char *why)
{
    fprintf(stderr, "%s:%zu: %s\n", (const char *)ctx, line, why);
}

static struct ttls *read_ttls(const char *path)
{
    uint8_t *text;
    size_t len;
    if (savefile_read(path, FILE_MAX, &text, &len) != 0) {
        fprintf(stderr, "slowserver: %s: %s\n", path, strerror(errno));
        exit(EXIT_FILE);
    }
    char *ctx = strdup(path);
    if (ctx == NULL)
        exit(EXIT_MEMORY);
    struct ttls *t = ttls_read((const char *)text, len, tell_mistake, ctx);
    free(ctx);
    free(text);
    if (t == NULL)
        exit(EXIT_CONF);
    return t;
}

static bool read_option(int option, const char *value, struct options *o)
{
    uint64_t ttl_s;
    switch (option) {
    case 'l':
        return addr_parse(value, 0, &o->listen) == 0 && addr_is_loopback(&o->listen);
    case 'd':
        return quantity_read(QUANTITY_PERIOD, value, 0, DELAY_MAX_MS, &o->delay_ms);
    case 't':
        if (!quantity_read(QUANTITY_COUNT, value, 0, TTLS_MAX_S, &ttl_s))
            return false;
        o->ttl_s = (uint32_t)ttl_s;
        return true;
    case 'f':
        ttls_free(o->ttls);
        o->ttls = read_ttls(value);
        return true;
    case 'c':
        o->truncate = true;
        return true;
    default:
        return quantity_read(QUANTITY_COUNT, value, 1, UINT32_MAX, &o->lose);
    }
}

static void read_options(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {{"listen", required_argument, NULL, 'l'},
        {"delay", required_argument, NULL, 'd'}, {"ttl", required_argument, NULL, 't'},
        {"ttls", required_argument, NULL, 'f'}, {"tc", no_argument, NULL, 'c'},
        {"lose", required_argument, NULL, 'n'}, {NULL, 0, NULL, 0}};
    int option, index;

    *o = (struct options){.delay_ms = 40};
    addr_parse("127.0.0.1", 0, &o->listen);
    while ((option = getopt_long_only(argc, argv, "", names, &index)) != -1) {
        if (option == '?')
            exit(EXIT_NET);
        if (!read_option(option, optarg, o)) {
            fprintf(stderr, "slowserver: -%s %s: expected %s\n", names[index].name, optarg,
                option == 'l'   ? "a loopback address, with a port or without"
                : option == 'd' ? "a duration up to 60s, such as 40ms"
                : option == 't' ? "seconds from 0 to 604800"
                                : "a number from 1");
            exit(EXIT_CONF);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "slowserver: '%s' is no option\n", argv[optind]);
        exit(EXIT_NET);
    }
}

int main(int argc, char **argv)
{
    struct server s = {0};
    struct addr bound;
    char text[ADDR_TEXT_MAX];

    read_options(argc, argv, &s.options);
    s.loop = ev_default_loop(0);
    if (s.loop == NULL)
        return EXIT_MEMORY;
    if (open_sockets(&s, &bound) != 0) {
        int why = errno;
        addr_format(&s.options.listen, text);
        fprintf(stderr, "slowserver: %s: %s%s\n", text, strerror(why), sockaddr_advice(why));
        return EXIT_NET;
    }
    start(&s);
    addr_format(&bound, text);
    printf("listening on %s\n", text);
    fflush(stdout);
    ev_run(s.loop, 0);
    tell_counts(&s);
    stop(&s);
    return ferror(stdout) ? EXIT_FILE : 0;
}
