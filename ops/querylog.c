/* querylog.c: knows how a query looks as a line, and how lines get into a file that may be full.
 * Never waits for a reader, and never changes what is answered. */
#include "ops/querylog.h"

#include "ops/log.h"
#include "rrtype.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_LEN ((size_t)64 * 1024)
/* Longest line: the name's text and nine short fields. */
#define LINE_CAP ((size_t)WIRE_NAME_TEXT_MAX + 256)
/* What a pipe or socket that poll calls writable takes without making us wait (PIPE_BUF). */
#define CHUNK_LEN ((size_t)4096)

struct querylog {
    char *path;
    int fd;
    bool regular;           /* a file on a disk: poll says nothing about it */
    bool failing;           /* the last write failed: the log was told */
    unsigned long left_out; /* lines, since it began to fail */
    time_t second;          /* whose text is below */
    char second_text[24];
    size_t len;
    char buffer[BUFFER_LEN];
};

static int open_path(const char *path, int *fd, bool *regular, const char *so_what)
{
    struct stat st;
    if (strcmp(path, "-") == 0)
        *fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    else
        *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
            S_IRUSR | S_IWUSR);
    if (*fd < 0 || fstat(*fd, &st) != 0) {
        int error = errno;
        log_error("query log %s: %s%s", path, strerror(error), so_what);
        if (*fd >= 0)
            close(*fd);
        errno = error;
        return -1;
    }
    *regular = S_ISREG(st.st_mode);
    return 0;
}

struct querylog *querylog_open(const char *path)
{
    struct querylog *q = calloc(1, sizeof(*q));
    char *copy = strdup(path);
    if (q == NULL || copy == NULL) {
        log_error("query log %s: out of memory", path);
        goto failed;
    }
    if (open_path(path, &q->fd, &q->regular, "") != 0)
        goto failed;
    q->path = copy;
    q->second = -1;
    return q;
failed:
    free(copy);
    free(q);
    return NULL;
}

void querylog_close(struct querylog *q)
{
    if (q == NULL)
        return;
    querylog_flush(q);
    close(q->fd);
    free(q->path);
    free(q);
}

int querylog_reopen(struct querylog *q)
{
    int fd;
    bool regular;
    if (q == NULL)
        return 0;
    querylog_flush(q);
    if (open_path(q->path, &fd, &regular, "; lines go on to the one that is open") != 0)
        return -1;
    close(q->fd);
    q->fd = fd;
    q->regular = regular;
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Writes what can be written now. -1 with errno where that is not all. */
static int write_some(const struct querylog *q, size_t *done)
{
    while (*done < q->len) {
        size_t want = q->len - *done;
        if (!q->regular) {
            struct pollfd p = {.fd = q->fd, .events = POLLOUT};
            if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0) {
                errno = EAGAIN;
                return -1;
            }
            want = want > CHUNK_LEN ? CHUNK_LEN : want;
        }
        ssize_t n = write(q->fd, q->buffer + *done, want);
        if (n < 0)
            return -1;
        *done += (size_t)n;
    }
    return 0;
}

/* A reader that is slow for a moment is no news as long as the buffer takes what comes. */
static void note_failure(struct querylog *q, int why)
{
    if (q->failing || why == EINTR || (why == EAGAIN && q->left_out == 0))
        return;
    q->failing = true;
    log_warning("query log %s: %s; lines are left out until that is over", q->path, strerror(why));
}

static void note_success(struct querylog *q)
{
    if (q->left_out > 0)
        log_warning("query log %s: writing goes on; %lu lines were left out", q->path, q->left_out);
    else if (q->failing)
        log_info("query log %s: writing goes on; no line was left out", q->path);
    q->failing = false;
    q->left_out = 0;
}

void querylog_flush(struct querylog *q)
{
    size_t done = 0;
    if (q == NULL || q->len == 0)
        return;
    int failed = write_some(q, &done);
    int why = errno;
    memmove(q->buffer, q->buffer + done, q->len - done);
    q->len -= done;
    if (failed != 0)
        note_failure(q, why);
    else
        note_success(q);
}

/* ---- the line -------------------------------------------------------------------------------- */

static const char *const sources[] = {
    [QUERY_DROPPED] = "dropped",
    [QUERY_REJECTED] = "rejected",
    [QUERY_CHAOS] = "chaos",
    [QUERY_OVERRIDE] = "override",
    [QUERY_SPECIAL] = "special",
    [QUERY_CACHE] = "cache",
    [QUERY_STALE] = "stale",
    [QUERY_UPSTREAM] = "upstream",
    [QUERY_FAILED] = "failed",
};

/* RFC 1035, 2136, 6891, 7873 */
static const char *const rcodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",
    "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
    "NOTZONE", [WIRE_BADVERS] = "BADVERS", [WIRE_BADCOOKIE] = "BADCOOKIE"};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

const char *querylog_rcode(uint16_t rcode)
{
    return rcode < COUNT_OF(rcodes) ? rcodes[rcode] : NULL;
}

static const char *source_name(enum query_source source)
{
    return (size_t)source < COUNT_OF(sources) ? sources[source] : "-";
}

/* A line under way; room for the longest one is seen to before. */
struct line {
    char *at;
    size_t left;
};

__attribute__((format(printf, 2, 3))) static void put(struct line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(l->at, l->left, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= l->left)
        return;
    l->at += n;
    l->left -= (size_t)n;
}

/* The text of a second is made once; most lines change nothing but the milliseconds. */
static void put_time(struct querylog *q, struct line *l)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != q->second) {
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        strftime(q->second_text, sizeof(q->second_text), "%Y-%m-%dT%H:%M:%S", &utc);
        q->second = now.tv_sec;
    }
    put(l, "%s.%03ldZ", q->second_text, now.tv_nsec / 1000000);
}

static void put_question(struct line *l, const struct wire_question *question)
{
    char name[WIRE_NAME_TEXT_MAX];
    if (question == NULL || question->name == NULL) {
        put(l, " - -");
        return;
    }
    wire_name_text(question->name, question->name_len, name);
    const char *type = rrtype_name(question->type);
    if (type != NULL)
        put(l, " %s %s", name, type);
    else
        put(l, " %s TYPE%u", name, (unsigned)question->type);
}

static void put_outcome(struct line *l, const struct query_end *e)
{
    const char *rcode = e->reply_len == 0 ? "-" : querylog_rcode(e->rcode);
    put(l, " %s", source_name(e->source));
    if (rcode != NULL)
        put(l, " %s", rcode);
    else
        put(l, " RCODE%u", (unsigned)e->rcode);
    put(l, " %zu %llu\n", e->reply_len, (unsigned long long)e->took_ms);
}

void querylog_write(struct querylog *q, const struct query_end *e)
{
    char client[ADDR_TEXT_MAX];
    if (q == NULL)
        return;
    if (BUFFER_LEN - q->len < LINE_CAP)
        querylog_flush(q);
    if (BUFFER_LEN - q->len < LINE_CAP) {
        if (q->left_out++ == 0)
            note_failure(q, EAGAIN);
        return;
    }
    struct line l = {.at = q->buffer + q->len, .left = LINE_CAP};
    put_time(q, &l);
    addr_format_ip(&e->client->peer, client);
    put(&l, " %s %s", client, e->client->transport == CLIENT_TCP ? "tcp" : "udp");
    put_question(&l, e->question);
    put_outcome(&l, e);
    q->len += LINE_CAP - l.left;
}
