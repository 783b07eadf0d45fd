/* reader.c: knows which files the configuration names, and how a descriptor gets from one process
 * to another. Never knows what is in a file but the configuration, and never a packet. */
#include "ops/reader.h"

#include "ops/log.h"
#include "ops/privilege.h"
#include "ops/sandbox.h"
#include "ops/savefile.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAMED_MAX  64 /* files; whoever changes them all at every reload loses the oldest */
#define CONFIG_MAX ((size_t)1 << 20)
#define OWN_FD     3

struct reader {
    int fd;
};

/* The process itself. */
struct opener {
    int argc;
    const char *const *argv;
    char *config;           /* "": none */
    char *named[NAMED_MAX]; /* the first n are there */
    size_t n;
    size_t oldest;
};

/* ---- what was named -------------------------------------------------------------------------- */

static bool is_named(const struct opener *o, const char *path)
{
    if (strcmp(o->config, path) == 0)
        return true;
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->named[i], path) == 0)
            return true;
    return false;
}

/* Without memory the file stays unnamed, and whoever asks for it is told so. */
static void name(struct opener *o, const char *path)
{
    if (path[0] == '\0' || is_named(o, path))
        return;
    char *copy = strdup(path);
    if (copy == NULL)
        return;
    if (o->n < NAMED_MAX) {
        o->named[o->n++] = copy;
        return;
    }
    free(o->named[o->oldest]);
    o->named[o->oldest] = copy;
    o->oldest = (o->oldest + 1) % NAMED_MAX;
}

static void name_all(struct opener *o, const struct conf *c)
{
    name(o, c->poison);
    name(o, c->resolv_file);
    name(o, c->predict_file);
}

/* Mistakes are told by who asked for the file, as are those of a file without any sense. */
static void ignore(void *ctx, size_t line, const char *option, const char *value, const char *why)
{
    (void)ctx;
    (void)line;
    (void)option;
    (void)value;
    (void)why;
}

static void learn(struct opener *o, const char *text, size_t len)
{
    struct conf_set *s = conf_create();
    if (s == NULL)
        return;
    int bad = conf_read_args(s, o->argc, o->argv, ignore, NULL);
    bad |= conf_read_text(s, text, len, ignore, NULL);
    bad |= conf_finish(s, ignore, NULL);
    if (bad == 0)
        name_all(o, conf_values(s));
    conf_free(s);
}

/* From the descriptor that is handed over: what the other process reads is what is read here. */
static void learn_from(struct opener *o, int fd)
{
    uint8_t *text;
    size_t len;
    int own = dup(fd);
    if (own >= 0 && savefile_read_open(own, CONFIG_MAX, &text, &len) == 0) {
        learn(o, (const char *)text, len);
        free(text);
    }
    (void)lseek(fd, 0, SEEK_SET);
}

/* ---- between the two ------------------------------------------------------------------------- */

union control {
    struct cmsghdr head; /* aligns it */
    char room[CMSG_SPACE(sizeof(int))];
};

/* An error number, and with 0 a descriptor. */
static int answer(int socket, int error, int fd)
{
    union control control = {0};
    struct iovec bytes = {.iov_base = &error, .iov_len = sizeof error};
    struct msghdr m = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = control.room;
        m.msg_controllen = sizeof control.room;
        struct cmsghdr *head = CMSG_FIRSTHDR(&m);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    return sendmsg(socket, &m, MSG_NOSIGNAL) == (ssize_t)sizeof error ? 0 : -1;
}

static int take_answer(int socket)
{
    union control control = {0};
    int error = 0, fd = -1;
    struct iovec bytes = {.iov_base = &error, .iov_len = sizeof error};
    struct msghdr m = {.msg_iov = &bytes, .msg_iovlen = 1};
    ssize_t n;
    m.msg_control = control.room;
    m.msg_controllen = sizeof control.room;
    do
        n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof error) {
        errno = EPIPE;
        return -1;
    }
    const struct cmsghdr *head = CMSG_FIRSTHDR(&m);
    if (head != NULL && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(head), sizeof fd);
    if (fd < 0) /* EMFILE: the kernel had nowhere to put it */
        errno = error != 0 ? error : EMFILE;
    return fd;
}

/* ---- the process ----------------------------------------------------------------------------- */

static int open_named(struct opener *o, const char *path)
{
    if (!is_named(o, path)) {
        errno = EPERM;
        return -1;
    }
    int fd = savefile_open(path);
    if (fd >= 0 && strcmp(path, o->config) == 0)
        learn_from(o, fd);
    return fd;
}

/* Until the other one is gone. */
static void serve(struct opener *o)
{
    char path[CONF_PATH_MAX];
    for (;;) {
        ssize_t n = recv(OWN_FD, path, sizeof path - 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        path[n] = '\0';
        int fd = open_named(o, path);
        int failed = answer(OWN_FD, fd < 0 ? errno : 0, fd);
        if (fd >= 0)
            close(fd);
        if (failed != 0)
            return;
    }
}

/* What is sent to all processes of a service, or typed at a terminal, is for the other one. */
static void leave_signals(void)
{
    static const int for_server[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE};
    for (size_t i = 0; i < sizeof for_server / sizeof for_server[0]; i++)
        signal(for_server[i], SIG_IGN);
}

static void run(int fd, int argc, const char *const *argv, const struct conf *c)
{
    struct opener o = {.argc = argc, .argv = argv, .config = strdup(c->config)};
    leave_signals();
    (void)prctl(PR_SET_NAME, "dnsd-reader");
    if (dup2(fd, OWN_FD) < 0 || o.config == NULL) {
        log_error("the process that reads files: %s", strerror(errno));
        return;
    }
    (void)close_range(OWN_FD + 1, UINT_MAX, 0); /* nothing but a copy or two so early */
    name_all(&o, c);
    if (privilege_drop(c->user) != 0 || sandbox_enter(SANDBOX_READER, NULL) != 0)
        return;
    if (answer(OWN_FD, 0, -1) == 0)
        serve(&o);
}

/* ---- for the server -------------------------------------------------------------------------- */

/* Whether it said that it is in its sandbox. If not, it logged why. */
static bool is_ready(int fd)
{
    int error = -1;
    ssize_t n;
    do
        n = recv(fd, &error, sizeof error, 0);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof error && error == 0;
}

struct reader *reader_start(int argc, const char *const *argv, const struct conf *c)
{
    int pair[2];
    struct reader *r = malloc(sizeof *r);
    if (r == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        log_error("the process that reads files: %s", strerror(errno));
        free(r);
        return NULL;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]); /* else it would never hear that we are gone */
        run(pair[1], argc, argv, c);
        _exit(0);
    }
    close(pair[1]);
    r->fd = pair[0];
    if (pid < 0)
        log_error("the process that reads files: %s", strerror(errno));
    if (pid > 0 && is_ready(r->fd))
        return r;
    reader_stop(r);
    return NULL;
}

int reader_open(const struct reader *r, const char *path)
{
    size_t len = strlen(path);
    if (len == 0 || len >= CONF_PATH_MAX) {
        errno = len == 0 ? ENOENT : ENAMETOOLONG;
        return -1;
    }
    if (send(r->fd, path, len, MSG_NOSIGNAL) != (ssize_t)len) {
        errno = EPIPE;
        return -1;
    }
    return take_answer(r->fd);
}

void reader_stop(struct reader *r)
{
    if (r == NULL)
        return;
    close(r->fd);
    free(r);
}
