/* floor.c: the least that a server on UDP can do: take 64 datagrams, turn each question into a
 * fixed answer, send them. What dnsd is measured against, and a server upstream that knows every
 * name. Loopback only. Knows where a question ends; never a cache, a zone or a loop.
 *
 *   floor [PORT]
 *
 * "listening on 127.0.0.1:PORT" is the first line of output; 0 (the default) is a port that the
 * kernel chooses. A names 192.0.2.1 for a day, other types have no data; an OPT record is not
 * answered. On SIGUSR1 a line tells how many questions came since the last one. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH        64
#define SIZE         1344 /* of a buffer: a question of 1232 bytes, a record, whole cache lines */
#define HEADER       12
#define QUESTION_MAX 1232

static const uint8_t RECORD[16] = {
    0xc0, 0x0c, 0, 1, 0, 1, 0, 1, 0x51, 0x80, 0, 4, 192, 0, 2, 1}; /* the question's name, A, IN */

struct floor {
    int fd;
    unsigned long n_asked;
    struct mmsghdr msg[BATCH];
    struct iovec iov[BATCH];
    struct sockaddr_in peer[BATCH];
    uint8_t bytes[BATCH][SIZE];
};

static volatile sig_atomic_t tell;

static void on_usr1(int signal)
{
    (void)signal;
    tell = 1;
}

/* The end of the only question, or 0. */
static size_t question_end(const uint8_t *msg, size_t len)
{
    size_t at = HEADER;
    while (at < len && msg[at] != 0)
        at += (size_t)msg[at] + 1;
    at += 5;
    return at <= len ? at : 0;
}

/* The answer in place of the question; its length, or 0 for none. */
static size_t answer(uint8_t *msg, size_t len)
{
    size_t end = question_end(msg, len);
    if (end == 0 || (msg[2] & 0x80) != 0)
        return 0;
    int is_a = msg[end - 4] == 0 && msg[end - 3] == 1;
    msg[2] |= 0x80; /* QR */
    msg[3] = 0x80;  /* RA */
    memset(msg + 4, 0, 8);
    msg[5] = 1;
    if (!is_a)
        return end;
    msg[7] = 1;
    memcpy(msg + end, RECORD, sizeof RECORD);
    return end + sizeof RECORD;
}

static void prepare(struct floor *f)
{
    for (size_t i = 0; i < BATCH; i++) {
        f->iov[i].iov_base = f->bytes[i];
        f->iov[i].iov_len = QUESTION_MAX;
        f->msg[i].msg_hdr.msg_name = &f->peer[i];
        f->msg[i].msg_hdr.msg_namelen = sizeof f->peer[i];
        f->msg[i].msg_hdr.msg_iov = &f->iov[i];
        f->msg[i].msg_hdr.msg_iovlen = 1;
    }
}

static void send_all(struct floor *f, unsigned n)
{
    unsigned sent = 0;
    while (sent < n) {
        int more = sendmmsg(f->fd, f->msg + sent, n - sent, 0);
        if (more <= 0 && errno != EINTR)
            sent++;
        else if (more > 0)
            sent += (unsigned)more;
    }
}

static void serve(struct floor *f)
{
    for (;;) {
        int n = recvmmsg(f->fd, f->msg, BATCH, MSG_WAITFORONE, NULL);
        if (tell) {
            tell = 0;
            printf("%lu questions\n", f->n_asked);
            fflush(stdout);
            f->n_asked = 0;
        }
        for (int i = 0; i < n; i++)
            f->iov[i].iov_len = answer(f->bytes[i], f->msg[i].msg_len);
        if (n <= 0)
            continue;
        f->n_asked += (unsigned)n;
        send_all(f, (unsigned)n);
        for (int i = 0; i < n; i++)
            f->iov[i].iov_len = QUESTION_MAX;
    }
}

static int listen_at(struct floor *f, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof a;
    int bytes = 4 << 20;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (f->fd < 0)
        return -1;
    if (setsockopt(f->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        (void)setsockopt(f->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (bind(f->fd, (struct sockaddr *)&a, sizeof a) != 0 ||
        getsockname(f->fd, (struct sockaddr *)&a, &len) != 0)
        return -1;
    printf("listening on 127.0.0.1:%u\n", (unsigned)ntohs(a.sin_port));
    return fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct floor f;
    struct sigaction action = {
        .sa_handler = on_usr1}; /* without SA_RESTART: it is to be told now */
    unsigned long port = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    if (argc > 2 || port > UINT16_MAX) {
        fputs("usage: floor [PORT]\n", stderr);
        return 2;
    }
    sigaction(SIGUSR1, &action, NULL);
    if (listen_at(&f, (uint16_t)port) != 0) {
        perror("floor");
        return 2;
    }
    prepare(&f);
    serve(&f);
}
