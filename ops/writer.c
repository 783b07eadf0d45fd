/* writer.c: knows what a process must let go of that is a copy of a server.
 * Never knows what it writes. */
#include "ops/writer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_OWN_FD    3
#define FDS_MAX         65536 /* dnsd raises its limit to no more */
#define EXIT_STATUS_MAX 255
#define LOOK_MS         10

/* One by one where the kernel (before Linux 5.9) or a container knows no close_range. */
static void close_all(void)
{
    if (close_range(FIRST_OWN_FD, UINT_MAX, 0) == 0)
        return;
    for (int fd = FIRST_OWN_FD; fd < FDS_MAX; fd++)
        close(fd);
}

/* Sockets and the loop's own descriptors are the parent's: a copy that outlives it would keep its
 * ports taken. */
static void write_as_child(int (*write)(const void *ctx), const void *ctx)
{
    int status = 0;

    close_all();
    if (write(ctx) < 0)
        status = errno > 0 && errno <= EXIT_STATUS_MAX ? errno : EIO;
    _exit(status);
}

/* The child keeps all signals blocked: what was asked of the parent is not meant for it. */
pid_t writer_start(int (*write)(const void *ctx), const void *ctx)
{
    sigset_t all, before;
    pid_t pid;
    int saved;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        write_as_child(write, ctx);
    saved = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return pid;
}

/* The status of one that exited so, as wait(2) has it. */
static int status_of(int code)
{
    return code << 8;
}

bool writer_has_ended(pid_t pid, int *status)
{
    pid_t ended = waitpid(pid, status, WNOHANG);
    if (ended < 0 && errno == ECHILD)
        *status = status_of(ECHILD);
    return ended == pid || (ended < 0 && errno == ECHILD);
}

static uint64_t now_ms(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool writer_await(pid_t pid, int *status, unsigned wait_ms)
{
    const uint64_t end_ms = now_ms() + wait_ms;
    while (!writer_has_ended(pid, status)) {
        if (now_ms() >= end_ms)
            return false;
        (void)poll(NULL, 0, LOOK_MS);
    }
    return true;
}
