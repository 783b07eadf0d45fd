/* reader.c: knows which files the configuration names, and how a descriptor gets from one process
 * to another. Never knows what is in a file but the configuration, and never a packet. */
#include "ops/reader.h"

#include "ops/log.h"
#include "ops/privilege.h"
#include "ops/sandbox.h"
#include "ops/savefile.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAMED_MAX  64 /* files; whoever changes them all at every reload loses the oldest */
#define CONFIG_MAX ((size_t)1 << 20)
#define OWN_FD     3
#define AGAIN_MS   10   /* until another try of what the kernel refused */
#define ANSWERS_MS 3000 /* for the answers of a reload: the loop stands still so long at most */
#define START_MS   60000

/* Questions and answers carry a number: an answer that came too late, or could not be read in its
 * time, must not be taken for the one to the next question. */
struct request {
    uint32_t number;
    char path[CONF_PATH_MAX]; /* as long as it is */
};

struct reply {
    uint32_t number;
    int error; /* 0: there is a descriptor */
};

struct reader {
    int fd;
    uint32_t number;  /* of the last question */
    bool owes;        /* the answer to it */
    uint64_t left_ms; /* to wait in this reload */
    pid_t pid;        /* 0: it has ended */
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

/* Whether the other end is gone. Else the kernel lacks something, and may have it in a moment. */
static bool is_gone(int error)
{
    return error == EPIPE || error == ECONNRESET || error == ENOTCONN || error == EBADF;
}

static void wait_a_moment(void)
{
    (void)poll(NULL, 0, AGAIN_MS);
}

/* Once: 0, or -1 with errno. */
static int try_to_answer(int socket, struct reply *reply, int fd)
{
    union control control = {0};
    struct iovec bytes = {.iov_base = reply, .iov_len = sizeof *reply};
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
    return sendmsg(socket, &m, MSG_NOSIGNAL) == (ssize_t)sizeof *reply ? 0 : -1;
}

/* Until it is said, or nobody listens any more: then -1. */
static int answer(int socket, uint32_t number, int error, int fd)
{
    struct reply reply = {.number = number, .error = error};
    while (try_to_answer(socket, &reply, fd) != 0) {
        if (is_gone(errno))
            return -1;
        wait_a_moment();
    }
    return 0;
}

/* One answer, whatever its number. 1 with *fd, which is -1 where there is none; 0 when none came;
 * -1 when none will. */
static int take_answer(int socket, struct reply *reply, int *fd)
{
    union control control = {0};
    struct iovec bytes = {.iov_base = reply, .iov_len = sizeof *reply};
    struct msghdr m = {.msg_iov = &bytes, .msg_iovlen = 1};
    m.msg_control = control.room;
    m.msg_controllen = sizeof control.room;
    ssize_t n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n == 0 || (n < 0 && is_gone(errno)))
        return -1;
    if (n != (ssize_t)sizeof *reply)
        return 0;
    const struct cmsghdr *head = CMSG_FIRSTHDR(&m);
    *fd = -1;
    if (head != NULL && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(head), sizeof *fd);
    return 1;
}

static uint64_t now_ms(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The answer with this number, if it comes by then: what comes behind a loop that stands still. */
static int await_answer(int socket, uint32_t number, uint64_t end_ms, int *error)
{
    struct pollfd p = {.fd = socket, .events = POLLIN};
    struct reply reply;
    int fd;
    for (;;) {
        int came = take_answer(socket, &reply, &fd);
        if (came < 0) {
            *error = EPIPE;
            return -1;
        }
        if (came > 0 && reply.number == number) {
            *error = reply.error;
            return fd;
        }
        if (came > 0 && fd >= 0)
            close(fd);
        if (came == 0 && now_ms() >= end_ms)
            break;
        if (came == 0 && errno == EAGAIN)
            (void)poll(&p, 1, AGAIN_MS);
        else if (came == 0)
            wait_a_moment();
    }
    *error = ETIMEDOUT;
    return -1;
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
    struct request r;
    for (;;) {
        ssize_t n = recv(OWN_FD, &r, sizeof r - 1, 0);
        if (n == 0 || (n < 0 && is_gone(errno)))
            return;
        if (n < (ssize_t)sizeof r.number) {
            wait_a_moment();
            continue;
        }
        ((char *)&r)[n] = '\0';
        int fd = open_named(o, r.path);
        int failed = answer(OWN_FD, r.number, fd < 0 ? errno : 0, fd);
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

/* Returns the exit code: 0, or an errno of this start. */
static int run(int fd, int argc, const char *const *argv, const struct conf *c)
{
    struct opener o = {.argc = argc, .argv = argv, .config = strdup(c->config)};
    leave_signals();
    (void)prctl(PR_SET_NAME, "dnsd-reader");
    if (dup2(fd, OWN_FD) < 0 || o.config == NULL) {
        int error = errno;
        log_error("the process that reads files: %s", strerror(error));
        return error;
    }
    (void)close_range(OWN_FD + 1, UINT_MAX, 0); /* nothing but a copy or two so early */
    name_all(&o, c);
    if (privilege_drop(c->user) != 0)
        return EINVAL;
    if (sandbox_enter(SANDBOX_READER, NULL) != 0)
        return errno;
    if (answer(OWN_FD, 0, 0, -1) == 0)
        serve(&o);
    return 0;
}

/* ---- for the server -------------------------------------------------------------------------- */

/* Whether it said that it is in its sandbox. Nobody waits yet, and so it has more time. */
static bool is_ready(int fd)
{
    int error;
    (void)await_answer(fd, 0, now_ms() + START_MS, &error);
    return error == 0;
}

/* Why it has ended, as errno; it logged that, unless it was killed. */
static int why_ended(pid_t pid)
{
    int status = 0;
    (void)kill(pid, SIGKILL);
    if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status);
    log_error("the process that reads files ended at its start");
    return EPIPE;
}

struct reader *reader_start(int argc, const char *const *argv, const struct conf *c)
{
    int pair[2];
    struct reader *r = calloc(1, sizeof *r);
    if (r == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        log_error("the process that reads files: %s", strerror(errno));
        free(r);
        return NULL;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]); /* else it would never hear that we are gone */
        _exit(run(pair[1], argc, argv, c));
    }
    int error = errno;
    close(pair[1]);
    r->fd = pair[0];
    r->pid = pid;
    reader_begin(r);
    if (pid > 0 && is_ready(r->fd))
        return r;
    if (pid > 0)
        error = why_ended(pid);
    else
        log_error("the process that reads files: %s", strerror(error));
    reader_stop(r);
    errno = error;
    return NULL;
}

void reader_begin(struct reader *r)
{
    if (r != NULL)
        r->left_ms = ANSWERS_MS;
}

/* The answer to the last question, if it comes in the time that is left. */
static int await_owed(struct reader *r, int *error)
{
    const uint64_t start_ms = now_ms();
    int fd = await_answer(r->fd, r->number, start_ms + r->left_ms, error);
    const uint64_t took_ms = now_ms() - start_ms;
    r->left_ms -= took_ms < r->left_ms ? took_ms : r->left_ms;
    r->owes = fd < 0 && *error == ETIMEDOUT;
    return fd;
}

/* Throws away the answer that came too late. 0, or -1 where it has not come by now. */
static int settle(struct reader *r)
{
    int error;
    if (!r->owes)
        return 0;
    int fd = await_answer(r->fd, r->number, 0, &error);
    if (fd >= 0)
        close(fd);
    r->owes = fd < 0 && error == ETIMEDOUT;
    return r->owes ? -1 : 0;
}

int reader_open(struct reader *r, const char *path)
{
    struct request request;
    size_t len = strlen(path);
    if (len == 0 || len >= CONF_PATH_MAX) {
        errno = len == 0 ? ENOENT : ENAMETOOLONG;
        return -1;
    }
    memcpy(request.path, path, len);
    len += offsetof(struct request, path);
    if (settle(r) != 0) {
        errno = ETIMEDOUT;
        return -1;
    }
    request.number = ++r->number;
    if (send(r->fd, &request, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
        return -1;
    int error, fd = await_owed(r, &error);
    if (fd < 0)
        errno = error != 0 ? error : EMFILE; /* the kernel had nowhere to put it */
    return fd;
}

void reader_look(struct reader *r)
{
    int status = 0;
    if (r == NULL || r->pid == 0 || waitpid(r->pid, &status, WNOHANG) == 0)
        return;
    r->pid = 0;
    log_error("the process that reads files has ended (%s %d): what is in force stays, and no file "
              "can be read any more; restart dnsd",
        WIFSIGNALED(status) ? "signal" : "code",
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void reader_stop(struct reader *r)
{
    if (r == NULL)
        return;
    close(r->fd);
    free(r);
}
