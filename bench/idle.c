/* idle.c: TCP connections that are held open and hardly used. Loopback only.
 * Knows connections; never what is answered.
 *
 *   idle PORT CONNECTIONS SECONDS
 *
 * Opens them from one address of 127.0.0.0/8 for each hundred, and asks one question over each.
 * "open N" is the first line of output. For SECONDS each of them asks again every five seconds;
 * then "alive N" tells how many still answer. */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_S     5.0
#define PER_ADDRESS 100
#define FIRST_HOST  0x7f020001U /* 127.2.0.1 */
#define MOST        20000

static const uint8_t QUESTION[] = {0, 34, 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 'n', 's', 5,
    'b', 'e', 'n', 'c', 'h', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int open_one(uint16_t port, uint32_t number)
{
    struct timeval limit = {.tv_sec = 2};
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    from.sin_addr.s_addr = htonl(FIRST_HOST + number / PER_ADDRESS);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) == 0 &&
        connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Whether a whole reply came. */
static int ask(int fd)
{
    uint8_t reply[2048] = {0};
    size_t have = 0;
    if (fd < 0 || send(fd, QUESTION, sizeof QUESTION, MSG_NOSIGNAL) != (ssize_t)sizeof QUESTION)
        return 0;
    while (have < 2 || have < 2 + (size_t)(reply[0] << 8 | reply[1])) {
        ssize_t n = recv(fd, reply + have, sizeof reply - have, 0);
        if (n <= 0)
            return 0;
        have += (size_t)n;
    }
    return 1;
}

int main(int argc, char **argv)
{
    static int fds[MOST];
    struct rlimit files;
    size_t n = argc == 4 ? strtoul(argv[2], NULL, 10) : 0, open = 0, alive = 0;
    if (n == 0 || n > MOST) {
        fputs("usage: idle PORT CONNECTIONS SECONDS\n", stderr);
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    for (size_t i = 0; i < n; i++) {
        fds[i] = open_one((uint16_t)strtoul(argv[1], NULL, 10), (uint32_t)i);
        open += (size_t)ask(fds[i]);
    }
    printf("open %zu\n", open);
    fflush(stdout);
    double start = now_s(), end = start + strtod(argv[3], NULL);
    for (size_t k = 0; now_s() < end; k++) {
        double wait = start + (double)k * AGAIN_S / (double)n - now_s();
        if (wait > 0)
            usleep((useconds_t)(wait * 1e6));
        (void)ask(fds[k % n]);
    }
    for (size_t i = 0; i < n; i++)
        alive += (size_t)ask(fds[i]);
    printf("alive %zu\n", alive);
    return 0;
}
