/* harness.c: knows how to start, watch and end processes, and where their output goes.
 * Never knows what they say to each other.
 *
 * Check runs each test in a process of its own, in a process group of its own, and kills the group
 * at the end; PR_SET_PDEATHSIG ends what the test has started with the test. Tests that fail do
 * not reach their teardown: their directories are left for harness_run to show and remove. */
#include "harness.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATH_CAP     4096
#define TEXTS_MAX    16384
#define WORDS_MAX    128
#define CHILDREN_MAX 64
#define DNSDS_MAX    64
#define TRIES        8 /* for a port that was free a moment ago */
#define SHOWN_MAX    20000
#define SANITIZER    "exitcode=99" /* none of dnsd's own */
#define MESSAGE_MAX  3000

static char root[PATH_CAP]; /* of this program */
static char dir[PATH_CAP];  /* of this test */
static char program[PATH_CAP];
static uid_t user_id;
static gid_t group_id;
static char *texts[TEXTS_MAX];
static size_t n_texts;
static pid_t children[CHILDREN_MAX];
static size_t n_children;
static struct dnsd dnsds[DNSDS_MAX];
static size_t n_dnsds;
static struct nsd nsds[4];
static size_t n_nsds;

static const char *wrapper(void)
{
    const char *wrap = getenv("DNSD_WRAP");
    return wrap != NULL ? wrap : "";
}

bool harness_slow(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return true;
#endif
#endif
    return wrapper()[0] != '\0';
}

bool harness_wrapped(void)
{
    if (wrapper()[0] == '\0')
        return false;
    printf("skipped: dnsd runs in \"%s\"\n", wrapper());
    return true;
}

static uint64_t wait_ms(void)
{
    return harness_slow() ? 5 * WAIT_MS : WAIT_MS;
}

uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void pause_ms(uint64_t ms)
{
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

/* ---- texts and files ------------------------------------------------------------------------- */

static char *keep(char *s)
{
    ck_assert_ptr_nonnull(s);
    ck_assert_uint_lt(n_texts, TEXTS_MAX);
    texts[n_texts++] = s;
    return s;
}

__attribute__((format(printf, 1, 0))) static char *vtext(const char *format, va_list args)
{
    char *s = NULL;
    ck_assert_int_ge(vasprintf(&s, format, args), 0);
    return keep(s);
}

char *text(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *s = vtext(format, args);
    va_end(args);
    return s;
}

size_t texts_mark(void)
{
    return n_texts;
}

void texts_forget(size_t mark)
{
    while (n_texts > mark)
        free(texts[--n_texts]);
}

const char *path_of(const char *name)
{
    return text("%s/%s", dir, name);
}

const char *write_file(const char *name, const char *format, ...)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");
    va_list args;
    ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
    va_start(args, format);
    ck_assert_int_ge(vfprintf(f, format, args), 0);
    va_end(args);
    ck_assert_int_eq(fclose(f), 0);
    return path;
}

/* Everything that can be read from fd. Also for outside of tests, where nothing can be asserted. */
static char *read_all(int fd)
{
    size_t len = 0, cap = 16384;
    char *s = malloc(cap);
    if (s == NULL)
        abort();
    for (;;) {
        ssize_t n = read(fd, s + len, cap - len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
        if (len + 1 == cap) {
            cap *= 2;
            s = realloc(s, cap);
            if (s == NULL)
                abort();
        }
    }
    s[len] = '\0';
    return s;
}

char *read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return text("%s", "");
    char *s = keep(read_all(fd));
    close(fd);
    return s;
}

size_t count_of(const char *haystack, const char *needle)
{
    size_t n = 0;
    for (const char *at = haystack; (at = strstr(at, needle)) != NULL; at += strlen(needle))
        n++;
    return n;
}

/* The end of it, as long as a message of Check may be. */
static const char *shown(const char *s)
{
    size_t len = strlen(s);
    return len > MESSAGE_MAX ? s + len - MESSAGE_MAX : s;
}

void must_have(const char *haystack, const char *needle)
{
    ck_assert_msg(
        strstr(haystack, needle) != NULL, "expected \"%s\" in:\n%s", needle, shown(haystack));
}

void must_lack(const char *haystack, const char *needle)
{
    ck_assert_msg(
        strstr(haystack, needle) == NULL, "unexpected \"%s\" in:\n%s", needle, shown(haystack));
}

static void remove_tree(const char *path)
{
    char below[2 * PATH_CAP];
    const struct dirent *e;
    DIR *d = opendir(path);
    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof below, "%s/%s", path, e->d_name);
        if (unlink(below) < 0)
            remove_tree(below);
    }
    if (d != NULL)
        closedir(d);
    (void)rmdir(path);
}

/* ---- addresses ------------------------------------------------------------------------------- */

const char *own_address(void)
{
    unsigned id = (unsigned)getpid();
    return text("127.%u.%u.%u", 64 + (id >> 16 & 63), id >> 8 & 255, id & 255);
}

static int bind_both(const char *address, uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(inet_pton(AF_INET, address, &a.sin_addr), 1);
    int bad = bind(udp, (struct sockaddr *)&a, sizeof a);
    bad |= getsockname(udp, (struct sockaddr *)&a, &len);
    bad |= bind(tcp, (struct sockaddr *)&a, sizeof a);
    *port = ntohs(a.sin_port);
    close(udp);
    close(tcp);
    return bad;
}

uint16_t free_port(const char *address)
{
    uint16_t port;
    for (int i = 0; i < 100; i++)
        if (bind_both(address, &port) == 0)
            return port;
    ck_abort_msg("no free port at %s", address);
    return 0;
}

/* ---- processes ------------------------------------------------------------------------------- */

/* Splits s, which it changes, at blanks. words gets a NULL at its end. */
static void split(char *s, const char *words[WORDS_MAX])
{
    size_t n = 0;
    char *rest = NULL;
    for (char *w = strtok_r(s, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest)) {
        ck_assert_uint_lt(n, WORDS_MAX - 1);
        words[n++] = w;
    }
    words[n] = NULL;
}

static void become_user(void)
{
    if (getuid() != 0)
        return;
    if (setgid(group_id) < 0 || setuid(user_id) < 0)
        _exit(126);
}

/* In the new process. */
static void exec_words(const char *const *words, int out, bool as_user)
{
    int null = open("/dev/null", O_RDONLY);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    if (as_user)
        become_user();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of user clears it */
    execvp(words[0], (char *const *)(uintptr_t)words);
    dprintf(STDERR_FILENO, "%s: %s\n", words[0], strerror(errno));
    _exit(127);
}

static pid_t start(char *command, int out, bool as_user)
{
    const char *words[WORDS_MAX];
    split(command, words);
    ck_assert_uint_lt(n_children, CHILDREN_MAX);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        exec_words(words, out, as_user);
    children[n_children++] = pid;
    return pid;
}

static void forget_child(pid_t pid)
{
    for (size_t i = 0; i < n_children; i++)
        if (children[i] == pid)
            children[i] = children[--n_children];
}

static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Whether it has ended; then *code is how. */
static bool has_ended(pid_t pid, int *code)
{
    int status;
    if (waitpid(pid, &status, WNOHANG) != pid)
        return false;
    forget_child(pid);
    *code = exit_code(status);
    return true;
}

static struct running start_running(const char *command, bool as_user)
{
    int pipes[2];
    struct running r = {.command = command};
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    r.pid = start(text("%s", command), pipes[1], as_user);
    r.out = pipes[0];
    close(pipes[1]);
    return r;
}

struct output run_finish(struct running r)
{
    struct output o = {0};
    char buffer[65536];
    size_t len = 0;
    int status;
    uint64_t end_ms = now_ms() + wait_ms();
    for (;;) {
        struct pollfd p = {.fd = r.out, .events = POLLIN};
        uint64_t now = now_ms();
        ck_assert_msg(now < end_ms, "too slow: %s", r.command);
        if (poll(&p, 1, (int)(end_ms - now)) <= 0)
            continue;
        ssize_t n = read(r.out, buffer + len, sizeof buffer - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    buffer[len] = '\0';
    o.text = text("%s", buffer);
    ck_assert_int_eq(waitpid(r.pid, &status, 0), r.pid);
    forget_child(r.pid);
    o.code = exit_code(status);
    close(r.out);
    return o;
}

struct running run_start(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *command = vtext(format, args);
    va_end(args);
    return start_running(command, false);
}

struct output run(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *command = vtext(format, args);
    va_end(args);
    return run_finish(start_running(command, false));
}

static const char *first_options(void)
{
    const char *options = getenv("DNSD_OPTIONS");
    return text(
        "%s%s", wrapper()[0] != '\0' ? "-sandbox off " : "", options != NULL ? options : "");
}

struct output run_dnsd(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *options = vtext(format, args);
    va_end(args);
    return run_finish(
        start_running(text("%s %s %s %s", wrapper(), program, first_options(), options), true));
}

bool have_program(const char *name)
{
    return run("which %s", name).code == 0;
}

/* ---- dnsd ------------------------------------------------------------------------------------ */

static int open_notify(char name[64])
{
    static unsigned n;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(name, 64, "@dnsd-test-%d-%u", (int)getpid(), n++);
    memcpy(a.sun_path + 1, name + 1, strlen(name + 1)); /* abstract: needs no file */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, len), 0);
    return fd;
}

/* The next notice within this time, or false. */
static bool next_notice(const struct dnsd *d, int wait_ms, char notice[256])
{
    struct pollfd p = {.fd = d->notify, .events = POLLIN};
    if (poll(&p, 1, wait_ms) != 1)
        return false;
    ssize_t n = recv(d->notify, notice, 255, 0);
    notice[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* False: it has ended instead. */
static bool await_notice(struct dnsd *d, const char *what, int *code)
{
    char notice[256];
    uint64_t end_ms = now_ms() + wait_ms();
    while (now_ms() < end_ms) {
        if (next_notice(d, 20, notice)) {
            if (strstr(notice, what) != NULL)
                return true;
        } else if (has_ended(d->pid, code)) {
            d->pid = 0;
            return false;
        }
    }
    ck_abort_msg("dnsd did not say %s:\n%s", what, shown(read_file(d->log)));
    return false;
}

void dnsd_await_notice(struct dnsd *d, const char *what)
{
    int code;
    ck_assert_msg(await_notice(d, what, &code), "dnsd ended:\n%s", shown(read_file(d->log)));
}

static void launch(struct dnsd *d, const char *options, bool as_user)
{
    char name[64];
    char *where = text("-listen %s -port %u", d->address, d->port);
    if (strstr(options, "-listen") != NULL)
        where = text("%s", strstr(options, "-port") != NULL ? "" : text("-port %u", d->port));
    int out = open(d->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    ck_assert_int_ge(out, 0);
    d->notify = open_notify(name);
    setenv("NOTIFY_SOCKET", name, 1);
    d->pid = start(
        text("%s %s %s %s %s", wrapper(), program, first_options(), where, options), out, as_user);
    unsetenv("NOTIFY_SOCKET");
    close(out);
}

/* One try to start. False: the port was taken meanwhile. */
static bool dnsd_try(struct dnsd *d, const char *options, bool as_user)
{
    int code = 0;
    launch(d, options, as_user);
    if (await_notice(d, "READY=1", &code))
        return true;
    close(d->notify);
    ck_assert_msg(code == 2 && strstr(read_file(d->log), "in use") != NULL,
        "dnsd did not start, code %d:\n%s", code, shown(read_file(d->log)));
    return false;
}

static struct dnsd *dnsd_create(const char *options, bool as_user)
{
    ck_assert_uint_lt(n_dnsds, DNSDS_MAX);
    struct dnsd *d = &dnsds[n_dnsds++];
    d->address = own_address();
    d->log = path_of(text("dnsd-%zu.log", n_dnsds));
    for (int i = 0; i < TRIES; i++) {
        d->port = free_port(d->address);
        if (dnsd_try(d, options, as_user))
            return d;
    }
    ck_abort_msg("every port was taken");
    return NULL;
}

struct dnsd *dnsd_start(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *options = vtext(format, args);
    va_end(args);
    return dnsd_create(options, true);
}

/* To look for leaks a process must be allowed to trace itself, which one that gave up root is
 * not. */
struct dnsd *dnsd_start_as_root(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *options = vtext(format, args);
    va_end(args);
    setenv("ASAN_OPTIONS", SANITIZER ":detect_leaks=0", 1);
    struct dnsd *d = dnsd_create(options, false);
    setenv("ASAN_OPTIONS", SANITIZER, 1);
    return d;
}

struct dnsd *dnsd_launch(const char *format, ...)
{
    size_t at = 0;
    va_list args;
    va_start(args, format);
    const char *options = vtext(format, args);
    va_end(args);
    while (at < n_dnsds && dnsds[at].pid != 0)
        at++;
    ck_assert_uint_lt(at, DNSDS_MAX);
    n_dnsds = at < n_dnsds ? n_dnsds : at + 1;
    struct dnsd *d = &dnsds[at];
    d->address = own_address();
    d->port = free_port(d->address);
    d->log = path_of(text("dnsd-%zu.log", at));
    d->seen = 0;
    launch(d, options, true);
    return d;
}

enum dnsd_state dnsd_watch(struct dnsd *d, uint64_t wait_ms, int *code)
{
    char notice[256];
    uint64_t end_ms = now_ms() + wait_ms;
    do {
        if (next_notice(d, 2, notice)) {
            if (strstr(notice, "READY=1") != NULL)
                return DNSD_READY;
        } else if (has_ended(d->pid, code)) {
            d->pid = 0;
            close(d->notify);
            return DNSD_ENDED;
        }
    } while (now_ms() < end_ms);
    return DNSD_SILENT;
}

void dnsd_drain(const struct dnsd *d)
{
    char notice[256];
    while (next_notice(d, 0, notice))
        ;
}

uint64_t dnsd_cpu_ms(const struct dnsd *d)
{
    clockid_t clock;
    struct timespec t;
    ck_assert_int_eq(clock_getcpuclockid(d->pid, &clock), 0);
    ck_assert_int_eq(clock_gettime(clock, &t), 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

const char *dnsd_await(struct dnsd *d, const char *what)
{
    uint64_t end_ms = now_ms() + wait_ms();
    for (;;) {
        char *log = read_file(d->log);
        size_t len = strlen(log);
        char *at = strstr(log + (d->seen < len ? d->seen : len), what);
        char *end = at != NULL ? strchr(at, '\n') : NULL;
        if (end != NULL) {
            d->seen = (size_t)(end - log);
            *end = '\0';
            while (at > log && at[-1] != '\n')
                at--;
            return at;
        }
        ck_assert_msg(now_ms() < end_ms, "no \"%s\" in the rest of the log:\n%s", what, shown(log));
        free(texts[--n_texts]);
        pause_ms(5);
    }
}

void dnsd_reload(struct dnsd *d)
{
    ck_assert_int_eq(kill(d->pid, SIGHUP), 0);
    dnsd_await_notice(d, "RELOADING=1");
    dnsd_await_notice(d, "READY=1");
}

void dnsd_wait_end(struct dnsd *d, int *code)
{
    uint64_t end_ms = now_ms() + wait_ms();
    while (!has_ended(d->pid, code)) {
        ck_assert_msg(now_ms() < end_ms, "dnsd does not end:\n%s", shown(read_file(d->log)));
        pause_ms(2);
    }
    d->pid = 0;
    close(d->notify);
}

int dnsd_stop(struct dnsd *d)
{
    int code;
    ck_assert_int_eq(kill(d->pid, SIGTERM), 0);
    dnsd_wait_end(d, &code);
    return code;
}

const char *dnsd_statistic(struct dnsd *d, const char *words)
{
    ck_assert_int_eq(kill(d->pid, SIGUSR1), 0);
    return strstr(dnsd_await(d, words), words);
}

unsigned long dnsd_figure(struct dnsd *d, const char *words)
{
    return strtoul(dnsd_statistic(d, words) + strlen(words), NULL, 10);
}

/* ---- nsd ------------------------------------------------------------------------------------- */

static const char *nsd_conf(const struct nsd *n, const char *zone, const char *file)
{
    /* nsd limits how many answers it gives; rrl-ratelimit 0 takes the limit away. */
    return write_file(text("nsd-%zu.conf", n_nsds),
        "server:\n ip-address: %s@%u\n server-count: 1\n username: \"\"\n chroot: \"\"\n"
        " database: \"\"\n zonesdir: \"%s\"\n zonelistfile: \"%s/zone.list\"\n"
        " xfrdfile: \"%s/xfrd.state\"\n xfrdir: \"%s\"\n pidfile: \"%s/nsd.pid\"\n"
        " logfile: \"%s/nsd.log\"\n rrl-ratelimit: 0\n rrl-whitelist-ratelimit: 0\n"
        " tcp-count: 200\n"
        "remote-control:\n control-enable: no\n"
        "zone:\n name: \"%s\"\n zonefile: \"%s\"\n",
        n->address, (unsigned)n->port, dir, dir, dir, dir, dir, dir, zone, file);
}

/* Whether it answers any question at all by now. */
static bool nsd_answers(const struct nsd *n, int fd)
{
    static const uint8_t question[] = {0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(n->port)};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t reply[512];
    inet_pton(AF_INET, n->address, &a.sin_addr);
    (void)sendto(fd, question, sizeof question, 0, (struct sockaddr *)&a, sizeof a);
    return poll(&p, 1, 20) == 1 && recv(fd, reply, sizeof reply, 0) > 0;
}

static bool nsd_try(struct nsd *n, const char *zone, const char *file)
{
    int code;
    uint64_t end_ms = now_ms() + wait_ms();
    const char *conf = nsd_conf(n, zone, file);
    const char *log = path_of("nsd-out.log");
    int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    n->pid = start(text("/usr/sbin/nsd -d -c %s", conf), out, false);
    close(out);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool answers = false;
    while (!(answers = nsd_answers(n, fd)) && !has_ended(n->pid, &code))
        ck_assert_msg(
            now_ms() < end_ms, "nsd is silent:\n%s", shown(read_file(path_of("nsd.log"))));
    close(fd);
    return answers;
}

struct nsd *nsd_start(const char *zone, const char *file)
{
    struct nsd *n = &nsds[n_nsds++];
    n->address = own_address();
    for (int i = 0; i < TRIES; i++) {
        n->port = free_port(n->address);
        if (nsd_try(n, zone, file))
            return n;
    }
    ck_abort_msg("nsd does not start:\n%s", shown(read_file(path_of("nsd.log"))));
    return NULL;
}

/* ---- fixtures -------------------------------------------------------------------------------- */

static void make_dir(void)
{
    ck_assert_int_eq(mkdir(dir, 0755), 0);
    setenv("TMPDIR", dir, 1); /* valgrind's files */
    if (getuid() == 0)
        ck_assert_int_eq(chown(dir, user_id, group_id), 0);
}

static void setup(void)
{
    snprintf(dir, sizeof dir, "%.4000s/%d", root, (int)getpid());
    make_dir();
    setenv("ASAN_OPTIONS", SANITIZER, 1);
    setenv("UBSAN_OPTIONS", SANITIZER, 1);
}

static void end_all(void)
{
    for (size_t i = 0; i < n_dnsds; i++) {
        if (dnsds[i].pid == 0)
            continue;
        int code = dnsd_stop(&dnsds[i]);
        ck_assert_msg(code == 0, "dnsd ended with %d:\n%s", code, shown(read_file(dnsds[i].log)));
    }
    while (n_children > 0) {
        pid_t pid = children[--n_children];
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

static void teardown(void)
{
    end_all();
    texts_forget(0);
    remove_tree(dir);
}

/* In the new process. A failure ends it with another code, and Check has been told why. */
static void work_aside(unsigned nth, void (*work)(unsigned nth))
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    size_t len = strlen(dir);
    snprintf(dir + len, sizeof dir - len, "/%u", nth);
    make_dir();
    n_children = 0;
    n_dnsds = 0;
    work(nth);
    end_all();
    fflush(stdout);
    _exit(0);
}

void harness_side_by_side(unsigned n, void (*work)(unsigned nth))
{
    pid_t pids[32];
    int status, bad = 0;
    ck_assert_uint_le(n, 32);
    ck_assert_uint_eq(n_children, 0);
    fflush(stdout);
    for (unsigned i = 0; i < n; i++) {
        pids[i] = fork();
        ck_assert_int_ge(pids[i], 0);
        if (pids[i] == 0)
            work_aside(i, work);
    }
    for (unsigned i = 0; i < n; i++)
        bad += waitpid(pids[i], &status, 0) != pids[i] || status != 0;
    if (bad > 0)
        _exit(1); /* Check shows the message of one of them */
}

TCase *harness_case(Suite *suite, const char *name)
{
    TCase *c = tcase_create(name);
    tcase_set_timeout(c, harness_slow() ? 300 : 60);
    tcase_add_checked_fixture(c, setup, teardown);
    suite_add_tcase(suite, c);
    return c;
}

/* ---- the program ----------------------------------------------------------------------------- */

static void copy_file(const char *from, const char *to)
{
    char buffer[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    ssize_t n = 0;
    while (in >= 0 && out >= 0 && (n = read(in, buffer, sizeof buffer)) > 0)
        if (write(out, buffer, (size_t)n) != n)
            break;
    if (in < 0 || out < 0 || n != 0) {
        fprintf(stderr, "cannot copy %s to %s: %s\n", from, to, strerror(errno));
        exit(2);
    }
    close(in);
    close(out);
}

/* Root's files may be where nobody else can look: dnsd, run as nobody, is copied. */
static void place_program(void)
{
    const char *build = getenv("BUILD");
    char built[PATH_CAP];
    snprintf(built, sizeof built, "%s/dnsd", build != NULL ? build : "build");
    const struct passwd *nobody = getpwnam("nobody");
    if (getuid() != 0 || nobody == NULL) {
        if (realpath(built, program) == NULL) {
            fprintf(stderr, "%s: %s\n", built, strerror(errno));
            exit(2);
        }
        return;
    }
    user_id = nobody->pw_uid;
    group_id = nobody->pw_gid;
    snprintf(program, sizeof program, "%.4000s/dnsd", root);
    copy_file(built, program);
}

const char *place_file(const char *built)
{
    const char *build = getenv("BUILD");
    const char *slash = strrchr(built, '/');
    const char *to = path_of(slash != NULL ? slash + 1 : built);
    copy_file(text("%s/%s", build != NULL ? build : "build", built), to);
    return to;
}

static void make_root(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/dnsd-system-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(root) == NULL || chmod(root, 0755) < 0) {
        fprintf(stderr, "%s: %s\n", root, strerror(errno));
        exit(2);
    }
}

/* The logs that the tests which failed have left. */
static void show_logs(const char *path)
{
    char below[2 * PATH_CAP];
    const struct dirent *e;
    DIR *d = opendir(path);
    while (d != NULL && (e = readdir(d)) != NULL) {
        size_t len = strlen(e->d_name);
        snprintf(below, sizeof below, "%s/%s", path, e->d_name);
        if (e->d_type == DT_DIR && e->d_name[0] != '.')
            show_logs(below);
        if (len < 4 || strcmp(e->d_name + len - 4, ".log") != 0)
            continue;
        int fd = open(below, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        char *s = read_all(fd);
        size_t size = strlen(s);
        printf("---- %s\n%s\n", below, size > SHOWN_MAX ? s + size - SHOWN_MAX : s);
        free(s);
        close(fd);
    }
    if (d != NULL)
        closedir(d);
}

int harness_run(Suite *suite)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    make_root();
    place_program();
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    if (failed > 0)
        show_logs(root);
    srunner_free(runner);
    remove_tree(root);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
