/* signals.c: knows signalfd(2), and how to go on where the kernel cannot watch it.
 * Never knows what a signal is for. */
#include "net/signals.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define AGAIN_MS 1000 /* until another try to watch */

struct signals {
    struct ev_loop *loop;
    struct turn *turn;
    struct ev_io io;
    uint64_t again_ms; /* UINT64_MAX while it is watched */
    void (*heard)(void *ctx, int number);
    void *ctx;
};

static void read_all(struct signals *s)
{
    struct signalfd_siginfo info;
    while (read(s->io.fd, &info, sizeof info) == (ssize_t)sizeof info)
        s->heard(s->ctx, (int)info.ssi_signo);
}

/* libev has stopped the watcher where it tells an error: memory of the kernel is out. */
static void on_readable(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct signals *s = io->data;
    (void)loop;
    if (events & EV_ERROR)
        s->again_ms = turn_now_ms(s->turn) + AGAIN_MS;
    read_all(s);
}

static uint64_t due(void *ctx)
{
    return ((const struct signals *)ctx)->again_ms;
}

static void watch_again(void *ctx, uint64_t now_ms)
{
    struct signals *s = ctx;
    (void)now_ms;
    s->again_ms = UINT64_MAX;
    ev_io_start(s->loop, &s->io);
}

struct signals *signals_open(struct ev_loop *loop, struct turn *turn, const int *numbers,
    void (*heard)(void *ctx, int number), void *ctx)
{
    struct signals *s = calloc(1, sizeof *s);
    sigset_t set;
    if (s == NULL)
        return NULL;
    sigemptyset(&set);
    for (; *numbers != 0; numbers++)
        sigaddset(&set, *numbers);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        free(s);
        return NULL;
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->loop = loop;
    s->turn = turn;
    s->again_ms = UINT64_MAX;
    s->heard = heard;
    s->ctx = ctx;
    ev_io_init(&s->io, on_readable, fd, EV_READ);
    s->io.data = s;
    ev_io_start(loop, &s->io);
    turn_add_due(turn, due, watch_again, s);
    return s;
}

void signals_close(struct signals *s)
{
    if (s == NULL)
        return;
    turn_remove(s->turn, s);
    ev_io_stop(s->loop, &s->io);
    close(s->io.fd);
    free(s);
}
