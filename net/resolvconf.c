/* resolvconf.c: knows the lines of resolv.conf(5), who may put them there, and when they change.
 * Never knows what a server is asked, or how it answers. */
#include "net/resolvconf.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DNS_PORT     53
#define FILE_MAX     (64 * 1024)
#define SERVER_MAX   (ADDR_TEXT_MAX + IF_NAMESIZE)
#define SETTLE_S     0.25 /* a file that changes is being written */
#define LOOK_EVERY_S 5.   /* for what no watch can tell: links within links, and dangling ones */

/* ---- lines ----------------------------------------------------------------------------------- */

/* Bytes of the text, never behind its end, and without a NUL to rely on. */
struct span {
    const char *at;
    size_t len;
};

struct parser {
    struct resolvconf_servers *out;
    resolvconf_report *report;
    void *ctx;
    size_t line;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static struct span cut_line(struct span *text)
{
    const char *end = memchr(text->at, '\n', text->len);
    const struct span line = {text->at, end ? (size_t)(end - text->at) : text->len};
    const size_t used = line.len + (end ? 1 : 0);
    text->at += used;
    text->len -= used;
    return line;
}

/* The next word, empty at the end of the line. */
static struct span cut_word(struct span *line)
{
    while (line->len > 0 && is_blank(*line->at)) {
        line->at++;
        line->len--;
    }
    struct span word = {line->at, 0};
    while (word.len < line->len && !is_blank(word.at[word.len]))
        word.len++;
    line->at += word.len;
    line->len -= word.len;
    return word;
}

static bool is_word(struct span word, const char *text)
{
    return word.len == strlen(text) && memcmp(word.at, text, word.len) == 0;
}

static void report(const struct parser *p, struct span word, const char *why)
{
    if (!p->report)
        return;
    char shown[RESOLVCONF_WORD_MAX];
    const size_t len = word.len < sizeof shown ? word.len : sizeof shown - 1;
    for (size_t i = 0; i < len; i++)
        shown[i] = word.at[i] > ' ' && word.at[i] <= '~' ? word.at[i] : '?';
    shown[len] = '\0';
    p->report(p->ctx, p->line, shown, why);
}

/* Puts the number of an interface in the place of its name, which is what addr.h takes ("%eth0" to
 * "%2"). 0, or -1 when there is none of that name. */
static int number_interface(char text[SERVER_MAX])
{
    char *name = strchr(text, '%');
    if (!name)
        return 0;
    name++;
    const size_t len = strcspn(name, "]@");
    if (strspn(name, "0123456789") == len)
        return 0;
    char only[IF_NAMESIZE], rest[SERVER_MAX];
    if (len >= sizeof only)
        return -1;
    memcpy(only, name, len);
    only[len] = '\0';
    const unsigned number = if_nametoindex(only);
    if (number == 0)
        return -1;
    memcpy(rest, name + len, strlen(name + len) + 1);
    const size_t room = (size_t)(text + SERVER_MAX - name);
    return snprintf(name, room, "%u%s", number, rest) < (int)room ? 0 : -1;
}

/* As connect takes them: an unspecified address is this machine. */
static void point_at_loopback(struct addr *a)
{
    const bool v4 = addr_is_ipv4(a);
    a->ip[15] = 1;
    if (v4)
        a->ip[12] = 127;
}

/* NULL, or why the word is no server. */
static const char *read_server(struct span word, struct addr *out)
{
    char text[SERVER_MAX];
    if (word.len >= sizeof text || memchr(word.at, '\0', word.len))
        return "is not an IP address";
    memcpy(text, word.at, word.len);
    text[word.len] = '\0';
    if (number_interface(text) < 0)
        return "names an interface that is not there";
    if (addr_parse(text, DNS_PORT, out) < 0)
        return "is not an IP address";
    if (addr_is_unspecified(out))
        point_at_loopback(out);
    return NULL;
}

static void take_server(struct parser *p, struct span word)
{
    if (word.len == 0) {
        report(p, word, "a nameserver without an address");
        return;
    }
    struct addr a;
    const char *why = read_server(word, &a);
    if (why) {
        report(p, word, why);
        return;
    }
    for (size_t i = 0; i < p->out->n; i++)
        if (addr_equal(&p->out->addr[i], &a))
            return;
    if (p->out->n == RESOLVCONF_MAX)
        report(p, word, "is one server too many");
    else
        p->out->addr[p->out->n++] = a;
}

/* What stands behind an address is a comment to all who read the file; words in front of which
 * there is # or ; are one too. */
static void take_line(struct parser *p, struct span line)
{
    const struct span keyword = cut_word(&line);
    if (is_word(keyword, "nameserver")) {
        take_server(p, cut_word(&line));
    } else if (is_word(keyword, "options")) {
        for (struct span word = cut_word(&line); word.len > 0; word = cut_word(&line))
            if (is_word(word, "trust-ad"))
                p->out->trust_ad = true;
    }
}

void resolvconf_parse(const char *text, size_t len, struct resolvconf_servers *out,
    resolvconf_report *report_to, void *ctx)
{
    struct parser p = {.out = out, .report = report_to, .ctx = ctx, .line = 0};
    struct span left = {text, len};
    memset(out, 0, sizeof *out);
    while (left.len > 0) {
        p.line++;
        take_line(&p, cut_line(&left));
    }
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Fills bytes as far as the file goes. Returns its length, or -1 with errno. */
static ssize_t read_file(int fd, char *bytes, size_t cap)
{
    size_t len = 0;
    ssize_t n = 1;
    while (len < cap && n != 0) {
        n = read(fd, bytes + len, cap - len);
        if (n > 0)
            len += (size_t)n;
        else if (n < 0 && errno != EINTR)
            break;
    }
    return n < 0 ? -1 : (ssize_t)len;
}

static int read_open(
    int fd, struct resolvconf_servers *out, resolvconf_report *report_to, void *ctx)
{
    char *bytes = malloc(FILE_MAX + 1);
    if (!bytes)
        return -1;
    const ssize_t len = read_file(fd, bytes, FILE_MAX + 1);
    if (len >= 0 && len <= FILE_MAX)
        resolvconf_parse(bytes, (size_t)len, out, report_to, ctx);
    const int error = len > FILE_MAX ? EFBIG : errno;
    free(bytes);
    errno = error;
    return len < 0 || len > FILE_MAX ? -1 : 0;
}

int resolvconf_read_open(
    int fd, struct resolvconf_servers *out, resolvconf_report *report_to, void *ctx)
{
    memset(out, 0, sizeof *out);
    const int result = read_open(fd, out, report_to, ctx);
    const int error = errno;
    close(fd);
    errno = error;
    return result;
}

int resolvconf_read(
    const char *path, struct resolvconf_servers *out, resolvconf_report *report_to, void *ctx)
{
    memset(out, 0, sizeof *out);
    /* A fifo in its place must not make us wait. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -1 : resolvconf_read_open(fd, out, report_to, ctx);
}

/* ---- watching -------------------------------------------------------------------------------- */

/* What tells one state of the file from another. */
struct look {
    bool there;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

/* The file is looked at when a watch stirs and every few seconds; what counts is what the look
 * shows. ev_stat does not follow links, so there is one for the path and one for the file that it
 * leads to. */
struct resolvconf_watch {
    struct ev_loop *loop;
    void (*changed)(void *ctx);
    void *ctx;
    char *path;
    char *target; /* what the path leads to; NULL: nowhere */
    ev_stat path_stat, target_stat;
    ev_timer every, settle;
    struct look seen;
};

static struct look look_at(const char *path)
{
    struct look l = {.there = false};
    struct stat st;
    if (stat(path, &st) < 0)
        return l;
    l.there = true;
    l.device = st.st_dev;
    l.inode = st.st_ino;
    l.size = st.st_size;
    l.modified = st.st_mtim;
    l.changed = st.st_ctim;
    return l;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_look(const struct look *a, const struct look *b)
{
    return a->there == b->there && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && same_time(&a->modified, &b->modified) &&
           same_time(&a->changed, &b->changed);
}

static void leave_target(struct resolvconf_watch *w)
{
    ev_stat_stop(w->loop, &w->target_stat);
    free(w->target);
    w->target = NULL;
}

static void follow(struct resolvconf_watch *w)
{
    leave_target(w);
    w->target = realpath(w->path, NULL);
    if (!w->target || strcmp(w->target, w->path) == 0)
        return;
    ev_stat_set(&w->target_stat, w->target, 0.);
    ev_stat_start(w->loop, &w->target_stat);
}

/* Whether it is another file, or has another content, than when it was last looked at. */
static bool look_again(struct resolvconf_watch *w)
{
    const struct look now = look_at(w->path);
    if (same_look(&now, &w->seen))
        return false;
    w->seen = now;
    follow(w);
    ev_timer_stop(w->loop, &w->settle);
    ev_timer_set(&w->settle, SETTLE_S, 0.);
    ev_timer_start(w->loop, &w->settle);
    return true;
}

static void on_stat(struct ev_loop *loop, ev_stat *stat, int revents)
{
    (void)loop;
    (void)revents;
    look_again(stat->data);
}

static void on_every(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop;
    (void)revents;
    look_again(timer->data);
}

static void on_settle(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop;
    (void)revents;
    struct resolvconf_watch *w = timer->data;
    if (!look_again(w))
        w->changed(w->ctx);
}

struct resolvconf_watch *resolvconf_watch(
    struct ev_loop *loop, const char *path, void (*changed)(void *ctx), void *ctx)
{
    struct resolvconf_watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->path = strdup(path);
    if (!w->path) {
        free(w);
        return NULL;
    }
    w->loop = loop;
    w->changed = changed;
    w->ctx = ctx;
    w->seen = look_at(path);
    ev_stat_init(&w->path_stat, on_stat, w->path, 0.);
    ev_stat_init(&w->target_stat, on_stat, w->path, 0.);
    ev_timer_init(&w->every, on_every, LOOK_EVERY_S, LOOK_EVERY_S);
    ev_timer_init(&w->settle, on_settle, SETTLE_S, 0.);
    w->path_stat.data = w->target_stat.data = w->every.data = w->settle.data = w;
    ev_stat_start(loop, &w->path_stat);
    ev_timer_start(loop, &w->every);
    follow(w);
    return w;
}

void resolvconf_unwatch(struct resolvconf_watch *w)
{
    if (!w)
        return;
    leave_target(w);
    ev_stat_stop(w->loop, &w->path_stat);
    ev_timer_stop(w->loop, &w->every);
    ev_timer_stop(w->loop, &w->settle);
    free(w->path);
    free(w);
}
