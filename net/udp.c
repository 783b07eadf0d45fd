/* udp.c: knows datagrams, who sent them, and which of our addresses they were sent to.
 * Never knows what they say. */
#include "net/udp.h"

#include "net/sockaddr.h"
#include "ops/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64 /* datagrams a system call */

/* Batches an event: what else the loop serves (TCP, the servers) waits for 256 questions at most.
 */
#define BATCHES_MAX 4

/* After so many questions in a turn the socket is read in each turn without being watched: for each
 * reply that leaves a watched socket the kernel asks epoll whether anyone waits to write, which is
 * a tenth of what a cached answer costs. For less, taking it out and in would cost more. */
#define BUSY 16

/* libev calls idle watchers only where nothing of their priority or above is pending: below the
 * turn's own nothing else has this one. */
#define BUSY_PRIORITY (EV_MAXPRI - 1)

/* The longest question that is read; of a longer one only the header is looked at. */
#define IN_MAX 4096

/* Buffers a page apart would all begin in the same few lines of the processor's cache. */
#define IN_STRIDE  (IN_MAX + 64)
#define OUT_STRIDE 1280 /* WIRE_UDP_MAX, and whole lines of the cache */

#define AGAIN_MS 1000 /* until another try to watch the socket */

#define RECEIVE_BUFFER (4 << 20) /* bytes that the kernel holds for us while we are busy */

/* Room for the address asked, in either family. */
union control {
    size_t align; /* as struct cmsghdr begins */
    uint8_t v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
    uint8_t v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct in_batch {
    struct mmsghdr msg[BATCH];
    struct iovec iov[BATCH];
    struct sockaddr_storage from[BATCH];
    union control control[BATCH];
    uint8_t bytes[BATCH][IN_STRIDE];
};

struct out_batch {
    size_t n;
    size_t n_sent; /* of these n; not 0 only while the socket takes no more */
    struct mmsghdr msg[BATCH];
    struct iovec iov[BATCH];
    struct sockaddr_storage to[BATCH];
    union control control[BATCH];
    uint8_t bytes[BATCH][OUT_STRIDE];
};

/* There are two batches on the way out, as replies to earlier questions may come while
 * query_accept is still writing one into its place. */
struct udp {
    int fd;
    struct ev_loop *loop;
    struct turn *turn;
    struct query_desk *desk;
    struct ev_io readable;
    struct ev_io writable; /* active while the socket takes no more */
    struct ev_idle busy;   /* active while the socket is read in each turn: the loop cannot sleep */
    struct addr bound;
    bool wildcard;
    bool stopped;
    uint64_t again_ms; /* when to watch the socket again; UINT64_MAX while it is watched */
    struct udp_counts counts;
    struct log_limit unsent_limit, unwatched_limit;
    struct in_batch in;
    struct out_batch direct; /* replies to the batch that is being read */
    struct out_batch later;  /* replies by client_ops, until the end of the turn */
};

/* ---- out ------------------------------------------------------------------------------------- */

static void set_pktinfo_v4(struct msghdr *h, union control *control, const struct client *c)
{
    struct in_pktinfo info = {0};
    memcpy(&info.ipi_spec_dst, c->local.ip + 12, sizeof info.ipi_spec_dst);
    h->msg_control = control;
    h->msg_controllen = CMSG_SPACE(sizeof info);
    struct cmsghdr *m = CMSG_FIRSTHDR(h);
    m->cmsg_level = IPPROTO_IP;
    m->cmsg_type = IP_PKTINFO;
    m->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(m), &info, sizeof info);
}

static void set_pktinfo_v6(struct msghdr *h, union control *control, const struct client *c)
{
    struct in6_pktinfo info = {0};
    memcpy(&info.ipi6_addr, c->local.ip, sizeof info.ipi6_addr);
    if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
        info.ipi6_ifindex = c->ifindex;
    h->msg_control = control;
    h->msg_controllen = CMSG_SPACE(sizeof info);
    struct cmsghdr *m = CMSG_FIRSTHDR(h);
    m->cmsg_level = IPPROTO_IPV6;
    m->cmsg_type = IPV6_PKTINFO;
    m->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(m), &info, sizeof info);
}

/* The reply leaves from the address that was asked (RFC 2181 4). The interface stays open unless
 * the address means nothing without it: the way back may be another one than the way here. */
static void set_source(
    const struct udp *u, struct msghdr *h, union control *control, const struct client *c)
{
    h->msg_control = NULL;
    h->msg_controllen = 0;
    if (!u->wildcard || addr_is_unspecified(&c->local))
        return;
    if (addr_is_ipv4(&c->local))
        set_pktinfo_v4(h, control, c);
    else
        set_pktinfo_v6(h, control, c);
}

static void count_unsent(struct udp *u, uint64_t n, const char *why)
{
    char text[ADDR_TEXT_MAX];
    u->counts.unsent += n;
    addr_format(&u->bound, text);
    log_warning_limited(&u->unsent_limit, turn_now_ms(u->turn),
        "replies from %s (UDP) could not be sent: %s", text, why);
}

/* Sends what the batch holds; false when the socket takes no more for now. A datagram that the
 * kernel refuses is left out, the rest goes on. ECONNREFUSED is not about this datagram but about
 * an earlier one, whose client has gone: once it has been told, the same is tried again. */
static bool send_batch(struct udp *u, struct out_batch *b)
{
    bool told = false;
    while (b->n_sent < b->n) {
        int n = sendmmsg(u->fd, b->msg + b->n_sent, (unsigned)(b->n - b->n_sent), MSG_DONTWAIT);
        if (n > 0) {
            b->n_sent += (size_t)n;
            u->counts.sent += (uint64_t)n;
            told = false;
        } else if (errno == EAGAIN) {
            return false;
        } else if (errno == ECONNREFUSED && !told) {
            told = true;
        } else if (errno != EINTR) {
            count_unsent(u, 1, strerror(errno));
            b->n_sent++;
            told = false;
        }
    }
    b->n = 0;
    b->n_sent = 0;
    return true;
}

static void stop_reading(struct udp *u)
{
    ev_io_stop(u->loop, &u->readable);
    ev_idle_stop(u->loop, &u->busy);
}

/* While the socket takes nothing, nothing is read either: the kernel's own queue bounds what
 * waits. */
static void block(struct udp *u)
{
    stop_reading(u);
    ev_io_start(u->loop, &u->writable);
}

static bool is_blocked(const struct udp *u)
{
    return ev_is_active(&u->writable);
}

/* libev has stopped all watchers of a socket that the kernel refuses to watch: memory is out, or
 * one user watches too many. */
static void watch_later(struct udp *u)
{
    char text[ADDR_TEXT_MAX];
    u->again_ms = turn_now_ms(u->turn) + AGAIN_MS;
    addr_format(&u->bound, text);
    log_warning_limited(&u->unwatched_limit, turn_now_ms(u->turn),
        "%s (UDP) cannot be watched for questions; the next try is in %d ms", text, AGAIN_MS);
}

/* Sends what is left, then reads on. */
static void go_on(struct udp *u)
{
    if (!send_batch(u, &u->direct) || !send_batch(u, &u->later)) {
        block(u);
        return;
    }
    ev_io_stop(u->loop, &u->writable);
    if (!u->stopped)
        ev_idle_start(u->loop, &u->busy);
}

static void on_writable(struct ev_loop *loop, struct ev_io *w, int events)
{
    struct udp *u = w->data;
    (void)loop;
    if (events & EV_ERROR)
        watch_later(u);
    else
        go_on(u);
}

static void send_later(struct udp *u)
{
    if (!is_blocked(u) && !send_batch(u, &u->later))
        block(u);
}

static void end_of_turn(void *ctx, uint64_t now_ms)
{
    (void)now_ms;
    struct udp *u = ctx;
    if (u->later.n > 0)
        send_later(u);
}

/* Another end of the turn may have replied behind ours: then the loop must not sleep on it. */
static uint64_t next_due(void *ctx)
{
    const struct udp *u = ctx;
    return u->later.n > 0 && !is_blocked(u) ? 0 : u->again_ms;
}

static void tick(void *ctx, uint64_t now_ms)
{
    struct udp *u = ctx;
    end_of_turn(u, now_ms);
    if (u->again_ms > now_ms)
        return;
    u->again_ms = UINT64_MAX;
    go_on(u);
}

/* The peer's and our address are in place; the bytes are written. */
static void put(struct out_batch *b, size_t len)
{
    b->iov[b->n].iov_len = len;
    b->n++;
}

static void reply_later(const struct client *c, const uint8_t *msg, size_t len)
{
    struct udp *u = c->owner;
    struct out_batch *b = &u->later;
    if (b->n == BATCH)
        send_later(u);
    if (b->n == BATCH || len > WIRE_UDP_MAX) {
        count_unsent(u, 1, len > WIRE_UDP_MAX ? "too long" : "the socket is full");
        return;
    }
    struct msghdr *h = &b->msg[b->n].msg_hdr;
    h->msg_name = &b->to[b->n];
    h->msg_namelen = sockaddr_from_addr(&c->peer, &b->to[b->n]);
    set_source(u, h, &b->control[b->n], c);
    memcpy(b->bytes[b->n], msg, len);
    put(b, len);
}

static void drop_later(const struct client *c)
{
    (void)c;
}

static const struct client_ops UDP_OPS = {.reply = reply_later, .drop = drop_later};

/* ---- in -------------------------------------------------------------------------------------- */

/* echo, daytime, qotd, chargen, and what is no port: whoever is answered there answers back
 * (SECURITY 4). */
static bool is_chatter(uint16_t port)
{
    return port == 0 || port == 7 || port == 13 || port == 17 || port == 19;
}

/* ipi_spec_dst is an address of ours even where the datagram was sent to all of a network. IPv6 has
 * no such thing: a reply to a multicast question gets the source that the kernel chooses. */
static void find_local(struct msghdr *h, struct client *c)
{
    for (struct cmsghdr *m = CMSG_FIRSTHDR(h); m != NULL; m = CMSG_NXTHDR(h, m)) {
        if (m->cmsg_level == IPPROTO_IP && m->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(m), sizeof info);
            memcpy(c->local.ip + 12, &info.ipi_spec_dst, sizeof info.ipi_spec_dst);
            memset(c->local.ip + 10, 0xff, 2);
            c->ifindex = (uint32_t)info.ipi_ifindex;
        } else if (m->cmsg_level == IPPROTO_IPV6 && m->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(m), sizeof info);
            c->ifindex = info.ipi6_ifindex;
            if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
                continue;
            memcpy(c->local.ip, &info.ipi6_addr, sizeof info.ipi6_addr);
            if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
                c->local.scope = info.ipi6_ifindex;
        }
    }
}

/* A datagram that is longer than any question worth reading is handed on as its bare header: for
 * the core that is a question cut short, and the client hears FORMERR instead of nothing. */
static void take(struct udp *u, size_t i, uint64_t now_ms)
{
    struct msghdr *in = &u->in.msg[i].msg_hdr;
    struct client c = {.ops = &UDP_OPS, .owner = u, .local = u->bound, .transport = CLIENT_UDP};
    if (sockaddr_to_addr(&u->in.from[i], &c.peer) != 0 || is_chatter(c.peer.port)) {
        u->counts.ignored++;
        return;
    }
    if (u->wildcard)
        find_local(in, &c);
    size_t len = in->msg_flags & MSG_TRUNC ? WIRE_HEADER_LEN : u->in.msg[i].msg_len;

    struct out_batch *b = &u->direct;
    size_t reply_len = 0;
    enum query_verdict verdict = query_accept(
        u->desk, &c, u->in.bytes[i], len, now_ms, b->bytes[b->n], WIRE_UDP_MAX, &reply_len);
    if (verdict != QUERY_REPLY)
        return;
    struct msghdr *out = &b->msg[b->n].msg_hdr;
    out->msg_name = &u->in.from[i]; /* stays until the next batch is read, after this is sent */
    out->msg_namelen = in->msg_namelen;
    set_source(u, out, &b->control[b->n], &c);
    put(b, reply_len);
}

/* The kernel writes into these what it used of them. */
static void reset(struct udp *u, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        u->in.msg[i].msg_hdr.msg_namelen = sizeof u->in.from[i];
        u->in.msg[i].msg_hdr.msg_controllen = u->wildcard ? sizeof u->in.control[i] : 0;
    }
}

/* Returns how many datagrams there were. */
static size_t read_batches(struct udp *u)
{
    uint64_t now_ms = turn_now_ms(u->turn);
    size_t n_read = 0;
    for (int batch = 0; batch < BATCHES_MAX && !is_blocked(u); batch++) {
        int n = recvmmsg(u->fd, u->in.msg, BATCH, MSG_DONTWAIT, NULL);
        if (n <= 0 && errno == EAGAIN)
            break;
        if (n <= 0)
            continue; /* what became of an earlier reply; it is told once */
        n_read += (size_t)n;
        for (size_t i = 0; i < (size_t)n; i++)
            take(u, i, now_ms);
        reset(u, (size_t)n);
        if (!send_batch(u, &u->direct))
            block(u);
        if (n < BATCH)
            break;
    }
    u->counts.received += n_read;
    return n_read;
}

/* libev leaves a socket that is no longer watched in epoll until it is readable again; then it
 * takes it out. */
static void on_readable(struct ev_loop *loop, struct ev_io *w, int events)
{
    struct udp *u = w->data;
    if (events & EV_ERROR)
        watch_later(u);
    if (read_batches(u) < BUSY || is_blocked(u))
        return;
    ev_io_stop(loop, w);
    ev_idle_start(loop, &u->busy);
}

/* An empty socket is watched again, first for a turn that cannot sleep: libev asks the kernel as it
 * begins to wait, and would tell a refusal only when it has waited. */
static void on_busy(struct ev_loop *loop, struct ev_idle *w, int events)
{
    (void)events;
    struct udp *u = w->data;
    if (read_batches(u) > 0) {
        ev_io_stop(loop, &u->readable);
    } else if (ev_is_active(&u->readable) || ev_is_pending(&u->readable)) {
        ev_idle_stop(loop, w);
    } else {
        ev_io_start(loop, &u->readable);
    }
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void prepare_batches(struct udp *u)
{
    for (size_t i = 0; i < BATCH; i++) {
        u->in.iov[i] = (struct iovec){.iov_base = u->in.bytes[i], .iov_len = IN_MAX};
        u->in.msg[i].msg_hdr = (struct msghdr){.msg_name = &u->in.from[i],
            .msg_iov = &u->in.iov[i],
            .msg_iovlen = 1,
            .msg_control = u->wildcard ? &u->in.control[i] : NULL};
        u->direct.iov[i].iov_base = u->direct.bytes[i];
        u->direct.msg[i].msg_hdr.msg_iov = &u->direct.iov[i];
        u->direct.msg[i].msg_hdr.msg_iovlen = 1;
        u->later.iov[i].iov_base = u->later.bytes[i];
        u->later.msg[i].msg_hdr.msg_iov = &u->later.iov[i];
        u->later.msg[i].msg_hdr.msg_iovlen = 1;
    }
    reset(u, BATCH);
}

/* Path MTU discovery lets a forged ICMP message shrink the packets of a client, or fragment them;
 * OMIT trusts none (RFC 9715 3.1, SECURITY 1). No SO_REUSEADDR and no SO_REUSEPORT: two programs on
 * one port shall not share the questions unnoticed. */
static int set_options(int fd, int family, bool wildcard)
{
    int on = 1;
    int omit = family == AF_INET ? IP_PMTUDISC_OMIT : IPV6_PMTUDISC_OMIT;
    int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    int option = family == AF_INET ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER;
    if (setsockopt(fd, level, option, &omit, sizeof omit) != 0)
        return -1;
    int bytes = RECEIVE_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (!wildcard)
        return 0;
    option = family == AF_INET ? IP_PKTINFO : IPV6_RECVPKTINFO;
    return setsockopt(fd, level, option, &on, sizeof on);
}

static int open_socket(const struct addr *listen, struct addr *bound)
{
    int family = sockaddr_family(listen);
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && set_options(fd, family, addr_is_unspecified(listen)) == 0 &&
        sockaddr_bind(fd, listen, bound) == 0)
        return fd;
    int error = errno;
    char text[ADDR_TEXT_MAX];
    addr_format(listen, text);
    log_error("cannot listen on %s (UDP): %s%s", text, strerror(error), sockaddr_advice(error));
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

size_t udp_bytes(void)
{
    return sizeof(struct udp);
}

struct udp *udp_open(
    struct ev_loop *loop, struct turn *turn, const struct addr *listen, struct query_desk *desk)
{
    struct udp *u = calloc(1, sizeof *u);
    if (u == NULL) {
        log_error("cannot listen: out of memory");
        return NULL;
    }
    u->fd = open_socket(listen, &u->bound);
    if (u->fd < 0) {
        free(u);
        return NULL;
    }
    u->loop = loop;
    u->turn = turn;
    u->desk = desk;
    u->again_ms = UINT64_MAX;
    u->wildcard = addr_is_unspecified(listen);
    prepare_batches(u);
    ev_io_init(&u->readable, on_readable, u->fd, EV_READ);
    ev_io_init(&u->writable, on_writable, u->fd, EV_WRITE);
    ev_idle_init(&u->busy, on_busy);
    ev_set_priority(&u->busy, BUSY_PRIORITY);
    u->readable.data = u;
    u->writable.data = u;
    u->busy.data = u;
    ev_idle_start(loop, &u->busy);
    turn_add_due(turn, next_due, tick, u);
    turn_add_end(turn, end_of_turn, u);
    return u;
}

void udp_close(struct udp *u)
{
    if (u == NULL)
        return;
    (void)send_batch(u, &u->direct);
    (void)send_batch(u, &u->later);
    turn_remove(u->turn, u);
    stop_reading(u);
    ev_io_stop(u->loop, &u->writable);
    close(u->fd);
    free(u);
}

void udp_stop(struct udp *u)
{
    u->stopped = true;
    stop_reading(u);
}

const struct addr *udp_addr(const struct udp *u)
{
    return &u->bound;
}

void udp_count(const struct udp *u, struct udp_counts *out)
{
    *out = u->counts;
}
