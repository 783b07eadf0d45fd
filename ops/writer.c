/* writer.c: knows what a process must let go of that is a copy of a server.
 * Never knows what it writes. */
#include "ops/writer.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#define FIRST_OWN_FD    3
#define EXIT_STATUS_MAX 255

/* Sockets and the loop's own descriptors are the parent's: a copy that outlives it would keep its
 * ports taken. */
static void write_as_child(int (*write)(const void *ctx), const void *ctx)
{
    int status = 0;

    close_range(FIRST_OWN_FD, UINT_MAX, 0);
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
