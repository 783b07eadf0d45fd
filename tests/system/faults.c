/* faults.c: what becomes of dnsd when the machine fails it: memory, system calls, and a death in
 * the middle of a write. Knows the shim's plan (tests/faults/shim.h), messages and files; never
 * dnsd's insides.
 *
 * A clean run tells how many calls of a kind there are; then each of them fails in turn, once and
 * for ever. FAULTS=all does so for every call; else every start is tried, and of the others one in
 * STRIDE. */
#include "peers.h"
#include "tests/faults/shim.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STRIDE       5
#define WORKERS      8
#define N_STALE      400
#define RECOVERY_MS  6000 /* by then service is as it was before the fault */
#define HOLD_MS      100 /* a lasting fault lasts this long at least, for a look at the processor */
#define FAULTY_MS    40  /* for a reply that a fault may have swallowed */
#define SPIN_PERCENT 60
#define LOG_END      800

static struct fault_plan *plan;
static const char *shim, *plan_path;
static struct responder *server;

static bool all_of_them(void)
{
    const char *faults = getenv("FAULTS");
    return faults != NULL && strcmp(faults, "all") == 0;
}

/* Valgrind puts its own allocator where the shim is. */
static bool is_wrapped(void)
{
    const char *wrap = getenv("DNSD_WRAP");
    if (wrap == NULL || wrap[0] == '\0')
        return false;
    printf("skipped: dnsd runs in \"%s\"\n", wrap);
    return true;
}

/* ---- the plan -------------------------------------------------------------------------------- */

/* For dnsd that is started from here on. */
static void make_plan(void)
{
    shim = place_file("faults/shim.so");
    plan_path = write_file("plan", "%s", "");
    ck_assert_int_eq(chmod(plan_path, 0666), 0);
    ck_assert_int_eq(truncate(plan_path, sizeof *plan), 0);
    int fd = open(plan_path, O_RDWR | O_CLOEXEC);
    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(plan, MAP_FAILED);
    close(fd);
    /* The sanitizer shall not mind that the shim is found before it. */
    setenv("ASAN_OPTIONS", "exitcode=99:verify_asan_link_order=0", 1);
}

static void disarm(void)
{
    plan->mask = 0;
    plan->deed = FAULT_FAIL;
}

static void arm(unsigned long long mask, int error, long k, bool forever)
{
    disarm();
    plan->left = k;
    plan->forever = forever;
    plan->error = error;
    plan->n_failed = 0;
    plan->mask = mask;
}

static void count_anew(void)
{
    for (int i = 0; i < N_FAULTS; i++)
        plan->n_calls[i] = 0;
}

static const char *kind_name(enum fault kind)
{
#define NAME(name) #name,
    static const char *const names[] = {FAULT_KINDS(NAME)};
#undef NAME
    return names[kind];
}

/* A fault: of which calls, and what they return. */
struct fault_row {
    enum fault kind;
    int error;
    unsigned codes; /* 1 << exit code that a start may end with */
    bool once_only; /* what the kernel never does twice in a row */
};

enum { CONF = 1 << 1, NET = 1 << 2, FILES = 1 << 3, MEMORY = 1 << 4 };

static const struct fault_row rows[] = {
    {FAULT_ALLOC, ENOMEM, MEMORY, false},
    {FAULT_MMAP, ENOMEM, MEMORY, false},
    {FAULT_SOCKET, EMFILE, NET, false},
    {FAULT_SOCKET, ENOBUFS, NET, false},
    {FAULT_BIND, EADDRNOTAVAIL, NET, false},
    {FAULT_CONNECT, ENETUNREACH, NET, false},
    {FAULT_CONNECT, EAGAIN, NET, false},
    {FAULT_LISTEN, EADDRINUSE, NET, false},
    {FAULT_ACCEPT, EMFILE, NET, false},
    {FAULT_ACCEPT, ECONNABORTED, NET, true},
    {FAULT_SETSOCKOPT, ENOMEM, MEMORY, false},
    {FAULT_GETSOCKNAME, ENOBUFS, NET, false},
    {FAULT_SHUTDOWN, ENOTCONN, NET, false},
    {FAULT_SEND, ENOBUFS, NET, false},
    {FAULT_SEND, EPERM, NET, false},
    {FAULT_SEND, ENETUNREACH, NET, false},
    {FAULT_SEND, EINTR, NET, true},
    {FAULT_SEND, EAGAIN, NET, true},
    {FAULT_RECV, ENOMEM, NET, true},
    {FAULT_RECV, EINTR, NET, true},
    {FAULT_RECV, ECONNREFUSED, NET, true},
    {FAULT_EPOLL_CREATE, EMFILE, NET, false},
    {FAULT_EPOLL_CTL, ENOMEM, NET | MEMORY, false},
    {FAULT_EPOLL_WAIT, EINTR, NET, true},
    {FAULT_EVENTFD, EMFILE, NET, false},
    {FAULT_TIMERFD, EMFILE, NET, false},
    {FAULT_INOTIFY, EMFILE, NET, false},
    {FAULT_PIPE, EMFILE, NET, false},
    {FAULT_POLL, ENOMEM, NET, false},
    {FAULT_FCNTL, EINVAL, NET | FILES, false},
    {FAULT_OPEN, EMFILE, FILES, false},
    {FAULT_OPEN, EACCES, FILES, false},
    {FAULT_STAT, EIO, FILES, false},
    {FAULT_ACCESS, EIO, FILES, false},
    {FAULT_READ, EIO, FILES, false},
    {FAULT_READ, EINTR, FILES, true},
    {FAULT_WRITE, ENOSPC, FILES, false},
    {FAULT_WRITE, EINTR, FILES, true},
    {FAULT_FSYNC, EIO, FILES, false},
    {FAULT_FCHMOD, EPERM, FILES, false},
    {FAULT_RENAME, ENOSPC, FILES, false},
    {FAULT_UNLINK, EIO, FILES, false},
    {FAULT_CLOSE, EIO, FILES, false},
    {FAULT_FORK, EAGAIN, MEMORY, false},
    {FAULT_GETRANDOM, EINTR, MEMORY, true},
    {FAULT_RLIMIT, EPERM, NET, false},
    {FAULT_PRCTL, EPERM, CONF, false},
    {FAULT_SIGNALFD, EMFILE, NET, false},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

/* ---- the server ------------------------------------------------------------------------------ */

static bool starts(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/* What comes back is told by the name. Stale ones work once. */
static void answer(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX];
    (void)ctx;
    if (starts(q->name, "fail") || (starts(q->name, "stale") && q->nth > 1)) {
        reply_send(q, 0, msg, reply_start(q, SERVFAIL, msg));
    } else if (starts(q->name, "nx")) {
        reply_send(q, 0, msg, reply_start(q, NXDOMAIN, msg));
    } else if (starts(q->name, "tc") && !q->tcp) {
        size_t len = reply_start(q, NOERROR, msg);
        msg[2] |= 2;
        reply_send(q, 0, msg, len);
    } else {
        unsigned ttl_s = starts(q->name, "stale") ? 1 : starts(q->name, "p") ? 0 : 300;
        reply_a(q, 0, ttl_s, "192.0.2.1");
    }
}

static const char overrides[] =
    "router.lan A 192.0.2.1\n*.dev.lan A 192.0.2.1\n"
    "*.to.lan CNAME outside.example.com.\n*.to2.lan CNAME www.example.\n"
    ".ads.example nxdomain\nmany.lan TXT \"a\" \"b\"\n";

/* All that there is to start, and to keep. */
static const char *options(void)
{
    const char *conf = write_file("dnsd.conf",
        "forward %s\npoison %s\npredict yes\npredict-window 200ms\n"
        "predict-file %s\npredict-dump %s\nquery-log %s\nverbose yes\n",
        responder_at(server), write_file("poison.conf", "%s", overrides), path_of("learned"),
        path_of("dump"), path_of("queries"));
    return text("-config %s", conf);
}

/* The end of its log, for a message of Check. */
static const char *log_end(const struct dnsd *d)
{
    const char *log = read_file(d->log);
    size_t len = strlen(log);
    return len > LOG_END ? log + len - LOG_END : log;
}

static struct dnsd *launch(const char *how)
{
    setenv("LD_PRELOAD", shim, 1);
    setenv(FAULT_VARIABLE, plan_path, 1);
    struct dnsd *d = dnsd_launch("%s", how);
    unsetenv(FAULT_VARIABLE);
    unsetenv("LD_PRELOAD");
    return d;
}

static struct dnsd *launch_ready(const char *how)
{
    int code;
    struct dnsd *d = launch(how);
    ck_assert_msg(dnsd_watch(d, WAIT_MS, &code) == DNSD_READY, "%s", log_end(d));
    return d;
}

/* ---- paths: what a client or an operator may ask of it ----------------------------------------
 */

static struct dnsd *dut; /* the dnsd under test, of this process */

/* Does it once, for the i-th time, and waits so long. Whether the right thing came of it. */
typedef bool path_call(unsigned i, uint64_t wait_ms);

static bool right(struct reply r, enum rcode rcode)
{
    return r.came && !r.truncated && r.rcode == (unsigned)rcode &&
           (rcode != NOERROR || r.answers == 0 || strcmp(r.address, "192.0.2.1") == 0);
}

static bool get(const char *name, enum type type, enum rcode rcode, uint64_t wait_ms)
{
    return right(receive(ask(dut, name, type), wait_ms), rcode);
}

static bool path_hit(unsigned i, uint64_t wait_ms)
{
    (void)i;
    return get("hit.example.com", TYPE_A, NOERROR, wait_ms);
}

static bool path_miss(unsigned i, uint64_t wait_ms)
{
    return get(text("miss%u.example.com", i), TYPE_A, NOERROR, wait_ms);
}

static bool path_nodata(unsigned i, uint64_t wait_ms)
{
    return get(text("nodata%u.example.com", i), TYPE_AAAA, NOERROR, wait_ms);
}

static bool path_nxdomain(unsigned i, uint64_t wait_ms)
{
    return get(text("nx%u.example.com", i), TYPE_A, NXDOMAIN, wait_ms);
}

static bool path_override(unsigned i, uint64_t wait_ms)
{
    (void)i;
    return get("router.lan", TYPE_A, NOERROR, wait_ms);
}

static bool path_wildcard(unsigned i, uint64_t wait_ms)
{
    return get(text("w%u.dev.lan", i), TYPE_A, NOERROR, wait_ms);
}

static bool path_blocked(unsigned i, uint64_t wait_ms)
{
    return get(text("w%u.ads.example", i), TYPE_A, NXDOMAIN, wait_ms);
}

static bool path_cname_to_hit(unsigned i, uint64_t wait_ms)
{
    return get(text("w%u.to.lan", i), TYPE_A, NOERROR, wait_ms);
}

static bool path_special(unsigned i, uint64_t wait_ms)
{
    return get(text("w%u.local", i), TYPE_A, NXDOMAIN, wait_ms);
}

static bool path_failure(unsigned i, uint64_t wait_ms)
{
    return get(text("fail%u.example.com", i), TYPE_A, SERVFAIL, wait_ms);
}

static bool path_tc(unsigned i, uint64_t wait_ms)
{
    return get(text("tc%u.example.com", i), TYPE_A, NOERROR, wait_ms);
}

static bool path_stale(unsigned i, uint64_t wait_ms)
{
    return get(text("stale%u.example.com", i % N_STALE), TYPE_A, NOERROR, wait_ms);
}

/* The second one is fetched ahead as soon as the first is asked. */
static bool path_prefetch(unsigned i, uint64_t wait_ms)
{
    (void)i;
    return get("p1.example.com", TYPE_A, NOERROR, wait_ms) &
           get("p2.example.com", TYPE_A, NOERROR, wait_ms);
}

static bool path_joined(unsigned i, uint64_t wait_ms)
{
    const char *name = text("join%u.example.com", i);
    struct question one = ask(dut, name, TYPE_A), two = ask(dut, name, TYPE_A);
    return right(receive(one, wait_ms), NOERROR) & right(receive(two, wait_ms), NOERROR);
}

/* A question of any kind, as bytes: with EDNS, a cookie, another class, opcode or flags. */
struct odd {
    uint8_t flags, opcode;
    const char *name;
    uint16_t type, class;
    bool cookie, edns_do;
};

static size_t put_odd(uint8_t *msg, const struct odd *o)
{
    static const uint8_t cookie[] = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
    size_t len = 12;
    memset(msg, 0, 12);
    msg[0] = msg[1] = 0x5a;
    msg[2] = (uint8_t)(o->opcode << 3 | o->flags);
    msg[5] = 1;
    for (const char *at = o->name; *at != '\0';
         at += strcspn(at, ".") + (strchr(at, '.') != NULL)) {
        size_t n = strcspn(at, ".");
        msg[len++] = (uint8_t)n;
        memcpy(msg + len, at, n);
        len += n;
    }
    const uint8_t tail[] = {0, (uint8_t)(o->type >> 8), (uint8_t)o->type, 0, (uint8_t)o->class};
    memcpy(msg + len, tail, sizeof tail);
    len += sizeof tail;
    if (!o->cookie && !o->edns_do)
        return len;
    const uint8_t opt[] = {
        0, 0, 41, 4, 208, 0, 0, o->edns_do ? 0x80 : 0, 0, 0, o->cookie ? sizeof cookie : 0};
    msg[11] = 1;
    memcpy(msg + len, opt, sizeof opt);
    len += sizeof opt;
    if (o->cookie)
        memcpy(msg + len, cookie, sizeof cookie);
    return len + (o->cookie ? sizeof cookie : 0);
}

static struct sockaddr_in dut_address(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(dut->port)};
    inet_pton(AF_INET, dut->address, &to.sin_addr);
    return to;
}

/* The rcode of the reply, -1 for none. */
static int ask_odd(const struct odd *o, uint64_t wait_ms)
{
    uint8_t msg[512], reply[4096];
    struct sockaddr_in to = dut_address();
    struct pollfd p = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), .events = POLLIN};
    size_t len = put_odd(msg, o);
    (void)sendto(p.fd, msg, len, 0, (struct sockaddr *)&to, sizeof to);
    ssize_t n = poll(&p, 1, (int)wait_ms) == 1 ? recv(p.fd, reply, sizeof reply, 0) : -1;
    close(p.fd);
    return n >= 12 && memcmp(reply, msg, 2) == 0 ? reply[3] & 15 : -1;
}

static bool path_cookie(unsigned i, uint64_t wait_ms)
{
    struct odd o = {1, 0, text("cookie%u.example.com", i), TYPE_A, 1, true, false};
    return ask_odd(&o, wait_ms) == NOERROR;
}

static bool path_do(unsigned i, uint64_t wait_ms)
{
    struct odd o = {1, 0, text("do%u.example.com", i), TYPE_A, 1, false, true};
    return ask_odd(&o, wait_ms) == NOERROR;
}

static bool path_chaos(unsigned i, uint64_t wait_ms)
{
    (void)i;
    return ask_odd(&(struct odd){1, 0, "version.bind", TYPE_TXT, 3, false, false}, wait_ms) ==
           NOERROR;
}

static bool path_any(unsigned i, uint64_t wait_ms)
{
    (void)i;
    return ask_odd(&(struct odd){1, 0, "hit.example.com", 255, 1, false, false}, wait_ms) ==
           NOERROR;
}

static bool path_notify(unsigned i, uint64_t wait_ms)
{
    (void)i;
    return ask_odd(&(struct odd){0, 4, "hit.example.com", TYPE_SOA, 1, false, false}, wait_ms) ==
           NOTIMP;
}

static bool path_not_recursive(unsigned i, uint64_t wait_ms)
{
    (void)i;
    return ask_odd(&(struct odd){0, 0, "hit.example.com", TYPE_A, 1, false, false}, wait_ms) ==
           REFUSED;
}

/* Over a connection of its own. */
static bool ask_tcp(const char *name, uint64_t wait_ms)
{
    uint8_t msg[512], reply[4096];
    struct sockaddr_in to = dut_address();
    struct pollfd p = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .events = POLLIN};
    struct odd o = {1, 0, name, TYPE_A, 1, false, false};
    size_t len = put_odd(msg + 2, &o);
    ssize_t n = -1;
    msg[0] = 0;
    msg[1] = (uint8_t)len;
    if (connect(p.fd, (struct sockaddr *)&to, sizeof to) == 0 &&
        send(p.fd, msg, len + 2, MSG_NOSIGNAL) == (ssize_t)len + 2 &&
        poll(&p, 1, (int)wait_ms) == 1)
        n = recv(p.fd, reply, sizeof reply, 0);
    close(p.fd);
    return n >= 14 && (reply[5] & 15) == NOERROR;
}

static bool path_tcp_hit(unsigned i, uint64_t wait_ms)
{
    (void)i;
    return ask_tcp("hit.example.com", wait_ms);
}

static bool path_tcp_miss(unsigned i, uint64_t wait_ms)
{
    return ask_tcp(text("tcpmiss%u.example.com", i), wait_ms);
}

static bool path_reload(unsigned i, uint64_t wait_ms)
{
    int code;
    (void)i;
    ck_assert_int_eq(kill(dut->pid, SIGHUP), 0);
    return dnsd_watch(dut, wait_ms, &code) == DNSD_READY;
}

/* Statistics and a dump; until both are told. */
static bool path_statistics(unsigned i, uint64_t wait_ms)
{
    uint64_t end_ms = now_ms() + wait_ms;
    size_t mark = texts_mark();
    bool done = false;
    (void)i;
    size_t before = strlen(read_file(dut->log));
    ck_assert_int_eq(kill(dut->pid, SIGUSR1), 0);
    while (!done && now_ms() < end_ms) {
        const char *log = read_file(dut->log);
        done = strlen(log) > before && strstr(log + before, " was dumped to ") != NULL;
        texts_forget(mark);
        pause_ms(1);
    }
    return done;
}

static const struct {
    const char *name;
    path_call *call;
} paths[] = {
    {"hit", path_hit},
    {"miss", path_miss},
    {"nodata", path_nodata},
    {"nxdomain", path_nxdomain},
    {"override", path_override},
    {"wildcard", path_wildcard},
    {"blocked", path_blocked},
    {"CNAME to upstream", path_cname_to_hit},
    {"special", path_special},
    {"failure", path_failure},
    {"truncated", path_tc},
    {"stale", path_stale},
    {"prefetch", path_prefetch},
    {"joined", path_joined},
    {"cookie", path_cookie},
    {"DO", path_do},
    {"CH", path_chaos},
    {"ANY", path_any},
    {"NOTIFY", path_notify},
    {"RD=0", path_not_recursive},
    {"TCP hit", path_tcp_hit},
    {"TCP miss", path_tcp_miss},
    {"reload", path_reload},
    {"statistics and dump", path_statistics},
};
#define N_PATHS (sizeof paths / sizeof paths[0])

/* ---- one fault ------------------------------------------------------------------------------- */

static unsigned nth_try, n_faults, n_worker;
static uint64_t slowest_ms;

static void must_live(const char *what)
{
    int code = 0;
    enum dnsd_state state = dnsd_watch(dut, 0, &code);
    ck_assert_msg(state != DNSD_ENDED, "%s: dnsd has ended with %d:\n%s", what, code, log_end(dut));
}

static void must_recover(const char *what, path_call *call)
{
    uint64_t began_ms = now_ms();
    while (!call(++nth_try, 500)) {
        must_live(what);
        ck_assert_msg(now_ms() - began_ms < RECOVERY_MS, "%s: service does not come back:\n%s",
            what, log_end(dut));
    }
    uint64_t took_ms = now_ms() - began_ms;
    if (took_ms > 300)
        printf("%s: %u ms until service is back\n", what, (unsigned)took_ms);
    slowest_ms = took_ms > slowest_ms ? took_ms : slowest_ms;
}

static bool is_busy(uint64_t since_ms, uint64_t cpu_ms)
{
    uint64_t used_ms = dnsd_cpu_ms(dut) - cpu_ms, took_ms = now_ms() - since_ms;
    return used_ms * 100 > took_ms * SPIN_PERCENT + 1000;
}

/* While a fault lasts, waiting for its end must cost nothing. */
static void must_not_spin(const char *what)
{
    uint64_t began_ms = now_ms(), cpu_ms = dnsd_cpu_ms(dut);
    pause_ms(HOLD_MS);
    must_live(what);
    ck_assert_msg(!is_busy(began_ms, cpu_ms), "%s: busy with nothing", what);
}

static void fail_path(size_t path, const struct fault_row *row, long k, bool forever)
{
    const char *what = text("%s, call %ld of %s fails with %s%s", paths[path].name, k,
        kind_name(row->kind), strerrorname_np(row->error), forever ? " for ever" : "");
    arm(1ULL << row->kind, row->error, k, forever);
    paths[path].call(++nth_try, harness_slow() ? 4 * FAULTY_MS : FAULTY_MS);
    bool happened = plan->n_failed > 0;
    if (happened && forever && k == 1)
        must_not_spin(what);
    disarm();
    n_faults += happened;
    if (happened)
        must_recover(what, paths[path].call);
}

/* How often each kind is called on this path, when all is well. */
static void count_path(size_t path, unsigned long counts[N_FAULTS])
{
    must_recover("clean run", paths[path].call);
    pause_ms(5);
    count_anew();
    ck_assert_msg(paths[path].call(++nth_try, WAIT_MS), "clean run of %s:\n%s", paths[path].name,
        log_end(dut));
    pause_ms(5);
    for (int i = 0; i < N_FAULTS; i++)
        counts[i] = plan->n_calls[i];
}

/* The faults are dealt out to the workers like cards. */
static bool is_mine(unsigned card)
{
    unsigned stride = all_of_them() ? 1 : STRIDE;
    return card % WORKERS == n_worker && card / WORKERS % stride == 0;
}

static unsigned fail_all_of(size_t path, unsigned card)
{
    unsigned long counts[N_FAULTS];
    count_path(path, counts);
    for (size_t r = 0; r < N_ROWS; r++) {
        for (long k = 1; k <= (long)counts[rows[r].kind]; k++) {
            size_t mark = texts_mark();
            if (is_mine(card++))
                fail_path(path, &rows[r], k, false);
            if (!rows[r].once_only && is_mine(card++))
                fail_path(path, &rows[r], k, true);
            texts_forget(mark);
        }
    }
    return card;
}

static void prepare(void)
{
    make_plan();
    server = responder_start(answer, NULL);
    dut = launch_ready(options());
}

/* Fills the cache with what has expired by the time it is asked for. */
static void prime_stale(void)
{
    size_t mark = texts_mark();
    for (unsigned i = 0; i < N_STALE; i += 50) {
        struct question q[50];
        for (unsigned j = 0; j < 50; j++)
            q[j] = ask(dut, text("stale%u.example.com", i + j), TYPE_A);
        for (unsigned j = 0; j < 50; j++)
            receive(q[j], WAIT_MS);
        texts_forget(mark);
    }
    pause_ms(1100);
}

static void fail_on_paths(unsigned nth)
{
    unsigned card = 0;
    n_worker = nth;
    prepare();
    prime_stale();
    for (size_t i = 0; i < N_PATHS; i++) {
        size_t mark = texts_mark();
        card = fail_all_of(i, card);
        texts_forget(mark);
    }
    printf("worker %u: %u faults on %zu paths; service was back within %u ms\n", nth, n_faults,
        N_PATHS, (unsigned)slowest_ms);
    ck_assert_uint_gt(n_faults, 0);
    ck_assert_int_eq(dnsd_stop(dut), 0);
    responder_stop(server);
}

START_TEST(any_call_may_fail_on_any_path_and_service_comes_back)
{
    if (!is_wrapped())
        harness_side_by_side(WORKERS, fail_on_paths);
}
END_TEST

/* ---- start ----------------------------------------------------------------------------------- */

/* What is wrong with this end of a start, or NULL: it says why, and has the right code. */
static const char *wrong_refusal(const struct fault_row *row, int code)
{
    const char *log = read_file(dut->log);
    if (code <= 0 || code > 4 || (row->codes & 1U << code) == 0)
        return text("it ended with %d", code);
    if (strstr(log, "error: ") == NULL && strstr(log, "dnsd: ") == NULL)
        return text("it ended with %d and not a word of why", code);
    return NULL;
}

/* The same for one that did not end. */
static const char *wrong_service(bool forever)
{
    int code;
    uint64_t began_ms = now_ms(), cpu_ms = dnsd_cpu_ms(dut);
    if (forever)
        pause_ms(HOLD_MS);
    if (dnsd_watch(dut, 0, &code) == DNSD_ENDED)
        return text("it ended later with %d", code);
    if (forever && is_busy(began_ms, cpu_ms))
        return "it is busy with nothing";
    disarm();
    while (!(path_override(0, 300) && path_miss(++nth_try, 300))) {
        if (dnsd_watch(dut, 0, &code) == DNSD_ENDED)
            return text("it ended later with %d", code);
        if (now_ms() - began_ms > RECOVERY_MS)
            return "it does not answer";
    }
    return NULL;
}

static const char *wrong_end(void)
{
    int code = 0;
    kill(dut->pid, SIGTERM);
    if (dnsd_watch(dut, 3000, &code) != DNSD_ENDED)
        return "it does not hear SIGTERM";
    return code != 0 ? text("it ended with %d after SIGTERM", code) : NULL;
}

static void kill_dut(void)
{
    int code;
    if (dut->pid == 0)
        return;
    kill(dut->pid, SIGKILL);
    dnsd_wait_end(dut, &code);
}

/* Goes on with the next one whatever is wrong, so that a run tells all. */
static bool fail_start(const char *how, const struct fault_row *row, long k, bool forever)
{
    int code = 0;
    const char *wrong;
    arm(1ULL << row->kind, row->error, k, forever);
    dut = launch(how);
    enum dnsd_state state = dnsd_watch(dut, harness_slow() ? 4000 : 500, &code);
    n_faults += plan->n_failed > 0;
    wrong = state == DNSD_ENDED ? wrong_refusal(row, code) : wrong_service(forever);
    disarm();
    if (wrong == NULL && state != DNSD_ENDED)
        wrong = wrong_end();
    if (wrong == NULL)
        return true;
    printf("start, call %ld of %s fails with %s%s: %s\n%s\n", k, kind_name(row->kind),
        strerrorname_np(row->error), forever ? " for ever" : "", wrong, log_end(dut));
    kill_dut();
    return false;
}

static void fail_on_start(unsigned nth)
{
    unsigned long counts[N_FAULTS];
    unsigned card = 0, n_bad = 0;
    prepare();
    const char *how = options();
    ck_assert(path_prefetch(0, WAIT_MS));
    ck_assert_int_eq(dnsd_stop(dut), 0); /* now there is a predict-file too */
    count_anew();
    dut = launch_ready(how);
    for (int i = 0; i < N_FAULTS; i++)
        counts[i] = plan->n_calls[i];
    ck_assert_int_eq(dnsd_stop(dut), 0);
    for (size_t r = 0; r < N_ROWS; r++) {
        for (long k = 1; k <= (long)counts[rows[r].kind]; k++) {
            size_t mark = texts_mark();
            if (card++ % WORKERS == nth)
                n_bad += !fail_start(how, &rows[r], k, false);
            if (!rows[r].once_only && card++ % WORKERS == nth)
                n_bad += !fail_start(how, &rows[r], k, true);
            texts_forget(mark);
        }
    }
    printf("worker %u: %u faults at starts\n", nth, n_faults);
    ck_assert_uint_gt(n_faults, 0);
    ck_assert_uint_eq(n_bad, 0);
    responder_stop(server);
}

START_TEST(any_call_may_fail_at_the_start)
{
    if (!is_wrapped())
        harness_side_by_side(WORKERS, fail_on_start);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/faults");
    TCase *c = harness_case(s, "faults");
    if (all_of_them())
        tcase_set_timeout(c, 1800);
    tcase_add_test(c, any_call_may_fail_on_any_path_and_service_comes_back);
    tcase_add_test(c, any_call_may_fail_at_the_start);
    return harness_run(s);
}
