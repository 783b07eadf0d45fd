/* firstanswer.c: starts a server and tells how long it took until its first answer; then ends it.
 * Knows a process and one question; never which server it is.
 *
 *   firstanswer PORT NAME COMMAND [ARGUMENT ...]
 *
 * Asks 127.0.0.1:PORT for NAME, type A, until a reply with an answer comes. Output: milliseconds,
 * with two places; exit 1 if there is none within 20 s or the server ends. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS  20000
#define AGAIN_MS  5 /* a question that came too early is not waited for longer */
#define PAUSE_US  200
#define ENDING_MS 3000

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static size_t question(const char *name, uint8_t out[512])
{
    static const uint8_t head[12] = {0x12, 0x34, 1, 0, 0, 1};
    static const uint8_t tail[5] = {0, 0, 1, 0, 1};
    size_t len = sizeof head;
    memcpy(out, head, sizeof head);
    while (*name != '\0') {
        size_t label = strcspn(name, ".");
        out[len++] = (uint8_t)label;
        memcpy(out + len, name, label);
        len += label;
        name += label + (name[label] == '.');
    }
    memcpy(out + len, tail, sizeof tail);
    return len + sizeof tail;
}

/* Asks once; whether an answer with a record came. */
static int ask(int fd, const uint8_t *msg, size_t len)
{
    uint8_t reply[1500];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (send(fd, msg, len, 0) < 0 || poll(&p, 1, AGAIN_MS) <= 0)
        return 0;
    ssize_t n = recv(fd, reply, sizeof reply, MSG_DONTWAIT);
    return n > 12 && memcmp(reply, msg, 2) == 0 && reply[7] > 0;
}

static int open_socket(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        return -1;
    return fd;
}

static pid_t start(char **command)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

static void end(pid_t child)
{
    kill(child, SIGTERM);
    for (int i = 0; i < ENDING_MS; i++) {
        if (waitpid(child, NULL, WNOHANG) != 0)
            return;
        usleep(1000);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    uint8_t msg[512];
    if (argc < 4 || strlen(argv[2]) > 200) {
        fputs("usage: firstanswer PORT NAME COMMAND [ARGUMENT ...]\n", stderr);
        return 2;
    }
    int fd = open_socket((uint16_t)strtoul(argv[1], NULL, 10));
    size_t len = question(argv[2], msg);
    double started = now_ms();
    pid_t child = start(argv + 3);
    if (fd < 0 || child < 0) {
        perror("firstanswer");
        return 2;
    }
    while (!ask(fd, msg, len)) {
        if (waitpid(child, NULL, WNOHANG) != 0)
            return 1;
        if (now_ms() - started > LIMIT_MS) {
            end(child);
            return 1;
        }
        usleep(PAUSE_US);
    }
    printf("%.2f\n", now_ms() - started);
    end(child);
    return 0;
}
