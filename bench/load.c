/* load.c: questions over UDP from up to 100,000 client addresses of 127.0.0.0/8, which dnsperf has
 * not. Loopback only. Knows what to ask, from whom and how fast; never what is answered.
 *
 *   load [-c CLIENTS] [-g GROUP] [-n NAMES] [-o] [-q OUTSTANDING] [-r RATE] [-s SECONDS] PORT
 *
 * Asks for n0000000.bench.example and so on, type A. A client asks GROUP questions in a row (1) and
 * then it is the next one's turn. The order of names is one in which neighbours are far apart, but
 * with -o theirs. At most OUTSTANDING (256) wait for their replies, and RATE a second are asked (0:
 * no limit), for SECONDS, or, without them, until each name was asked once. Output: replies,
 * questions lost, replies that were no answer, seconds. */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH       64
#define SIZE        512
#define LOST_MS     500
#define STRIDE      7368787U    /* a prime, as in lib.sh */
#define FIRST_HOST  0x7f010001U /* 127.1.0.1 */
#define CLIENTS_MAX 100000

struct load {
    int fd;
    struct sockaddr_in server;
    uint64_t clients, group, names, outstanding_max, rate;
    int in_order;
    double seconds;
    uint64_t n_asked, n_replies, n_lost, n_bad, outstanding;
    struct mmsghdr out[BATCH], in[BATCH];
    struct iovec out_iov[BATCH], in_iov[BATCH];
    union {
        size_t align;
        uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control[BATCH];
    uint8_t out_bytes[BATCH][SIZE], in_bytes[BATCH][SIZE];
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void set_client(struct msghdr *h, uint64_t client)
{
    struct in_pktinfo info = {0};
    struct cmsghdr *m = CMSG_FIRSTHDR(h);
    info.ipi_spec_dst.s_addr = htonl(FIRST_HOST + (uint32_t)client);
    if (m != NULL) /* there is room for one */
        memcpy(CMSG_DATA(m), &info, sizeof info);
}

static size_t write_question(uint8_t *msg, uint64_t number, uint64_t name)
{
    static const uint8_t head[12] = {0, 0, 1, 0, 0, 1};
    static const uint8_t tail[] = {
        5, 'b', 'e', 'n', 'c', 'h', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1};
    memcpy(msg, head, sizeof head);
    msg[0] = (uint8_t)(number >> 8);
    msg[1] = (uint8_t)number;
    msg[12] = 8;
    msg[13] = 'n';
    for (int i = 7; i > 0; i--, name /= 10)
        msg[13 + i] = (uint8_t)('0' + name % 10);
    memcpy(msg + 21, tail, sizeof tail);
    return 21 + sizeof tail;
}

static void ask(struct load *l, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t k = l->n_asked + i;
        uint64_t name = l->in_order ? k % l->names : k * STRIDE % l->names;
        l->out_iov[i].iov_len = write_question(l->out_bytes[i], k, name);
        set_client(&l->out[i].msg_hdr, k / l->group % l->clients);
    }
    int sent = sendmmsg(l->fd, l->out, (unsigned)n, 0);
    if (sent > 0) {
        l->n_asked += (uint64_t)sent;
        l->outstanding += (uint64_t)sent;
    }
}

/* At full load this program never sleeps: to be woken would cost the server, now and then, as much
 * as an answer. */
static int comes(const struct load *l)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    return l->rate == 0 || poll(&p, 1, 1) > 0;
}

static int take(struct load *l)
{
    int n = recvmmsg(l->fd, l->in, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        const uint8_t *msg = l->in_bytes[i];
        l->n_replies++;
        l->n_bad += l->in[i].msg_len < 12 || (msg[3] & 15) != 0 || msg[7] == 0;
        l->outstanding -= l->outstanding > 0;
    }
    return n > 0;
}

/* How many may be asked now. */
static size_t may_ask(const struct load *l, double since_s)
{
    uint64_t n = l->outstanding_max - l->outstanding;
    if (l->seconds <= 0 && l->names - l->n_asked < n)
        n = l->names - l->n_asked;
    if (l->rate > 0) {
        double due = since_s * (double)l->rate - (double)l->n_asked;
        if (due < (double)n)
            n = due > 0 ? (uint64_t)due : 0;
    }
    if (n >= BATCH)
        return BATCH;
    /* Whole batches: else server and load fall into step with few in each, or with many, and the
     * cost of an answer is one of two. */
    bool last = l->seconds <= 0 && l->names - l->n_asked == n;
    return l->rate > 0 || last || l->outstanding == 0 ? n : 0;
}

static void run(struct load *l)
{
    double start = now_s(), last = start;
    for (;;) {
        double now = now_s();
        int over = l->seconds > 0 ? now - start >= l->seconds : l->n_asked >= l->names;
        size_t n = over ? 0 : may_ask(l, now - start);
        if (over && l->outstanding == 0)
            break;
        if (n > 0)
            ask(l, n);
        if (comes(l) && take(l)) {
            last = now;
        } else if (l->outstanding > 0 && (now - last) * 1e3 > LOST_MS) {
            l->n_lost += l->outstanding;
            l->outstanding = 0;
            last = now;
        }
    }
    printf("%llu %llu %llu %.3f\n", (unsigned long long)l->n_replies, (unsigned long long)l->n_lost,
        (unsigned long long)l->n_bad, now_s() - start);
}

static int prepare(struct load *l)
{
    int bytes = 8 << 20;
    l->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return -1;
    if (setsockopt(l->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        (void)setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    for (size_t i = 0; i < BATCH; i++) {
        struct msghdr *out = &l->out[i].msg_hdr;
        l->in_iov[i] = (struct iovec){.iov_base = l->in_bytes[i], .iov_len = SIZE};
        l->in[i].msg_hdr = (struct msghdr){.msg_iov = &l->in_iov[i], .msg_iovlen = 1};
        l->out_iov[i].iov_base = l->out_bytes[i];
        *out = (struct msghdr){.msg_name = &l->server,
            .msg_namelen = sizeof l->server,
            .msg_iov = &l->out_iov[i],
            .msg_iovlen = 1,
            .msg_control = &l->control[i],
            .msg_controllen = sizeof l->control[i].bytes};
        struct cmsghdr *m = CMSG_FIRSTHDR(out);
        m->cmsg_level = IPPROTO_IP;
        m->cmsg_type = IP_PKTINFO;
        m->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
    }
    return 0;
}

static int usage(void)
{
    fputs("usage: load [-c CLIENTS] [-g GROUP] [-n NAMES] [-o] [-q OUTSTANDING] [-r RATE]"
          " [-s SECONDS] PORT\n",
        stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static struct load l = {.clients = 1, .group = 1, .names = 1000, .outstanding_max = 256};
    int o;
    while ((o = getopt(argc, argv, "c:g:n:oq:r:s:")) != -1) {
        uint64_t n = optarg != NULL ? strtoull(optarg, NULL, 10) : 0;
        switch (o) {
        case 'c':
            l.clients = n;
            break;
        case 'g':
            l.group = n;
            break;
        case 'n':
            l.names = n;
            break;
        case 'o':
            l.in_order = 1;
            break;
        case 'q':
            l.outstanding_max = n;
            break;
        case 'r':
            l.rate = n;
            break;
        case 's':
            l.seconds = strtod(optarg, NULL);
            break;
        default:
            return usage();
        }
    }
    unsigned long port = optind == argc - 1 ? strtoul(argv[optind], NULL, 10) : 0;
    if (port == 0 || port > UINT16_MAX || l.clients == 0 || l.clients > CLIENTS_MAX ||
        l.group == 0 || l.names == 0 || l.names > 10000000 || l.outstanding_max == 0)
        return usage();
    l.server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    l.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (prepare(&l) != 0) {
        perror("load");
        return 2;
    }
    run(&l);
    return 0;
}
