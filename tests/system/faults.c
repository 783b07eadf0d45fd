/* faults.c: what becomes of dnsd when the machine fails it: memory, system calls, a death in the
 * middle of a write, damaged files, a full disk, reloads without end. Knows the shim's plan
 * (tests/faults/shim.h), messages and files; never dnsd's insides.
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
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRIDE        5
#define WORKERS       8
#define FILTER_FAULTS 4 /* of each worker */
#define N_STALE       400
#define RECOVERY_MS   6000 /* by then service is as it was before the fault */
#define HOLD_MS       100 /* a lasting fault lasts this long at least, for a look at the processor */
#define FAULTY_MS     40  /* for a reply that a fault may have swallowed */
#define SPIN_PERCENT  60
#define LOG_END       800

static struct fault_plan *plan;
static const char *shim, *plan_path;
static struct responder *server;

static bool all_of_them(void)
{
    const char *faults = getenv("FAULTS");
    return faults != NULL && strcmp(faults, "all") == 0;
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
#define WINDOW_MS 200

static const char *options(void)
{
    const char *conf = write_file("dnsd.conf",
        "forward %s\npoison %s\npredict yes\npredict-window %dms\n"
        "predict-file %s\npredict-dump %s\nquery-log %s\nverbose yes\n",
        responder_at(server), write_file("poison.conf", "%s", overrides), WINDOW_MS,
        path_of("learned"), path_of("dump"), path_of("queries"));
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
    bool first = get("p1.example.com", TYPE_A, NOERROR, wait_ms);
    return get("p2.example.com", TYPE_A, NOERROR, wait_ms) && first;
}

static bool path_joined(unsigned i, uint64_t wait_ms)
{
    const char *name = text("join%u.example.com", i);
    struct question one = ask(dut, name, TYPE_A), two = ask(dut, name, TYPE_A);
    bool first = right(receive(one, wait_ms), NOERROR);
    return right(receive(two, wait_ms), NOERROR) && first;
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
    uint8_t msg[512], reply[4096] = {0};
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
    uint8_t msg[512], reply[4096] = {0};
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

/* Sends a signal; whether the log then says so. */
static bool order(int number, const char *said, uint64_t wait_ms)
{
    uint64_t end_ms = now_ms() + wait_ms;
    size_t mark = texts_mark();
    bool done = false;
    size_t before = strlen(read_file(dut->log));
    ck_assert_int_eq(kill(dut->pid, number), 0);
    while (!done && now_ms() < end_ms) {
        const char *log = read_file(dut->log);
        done = strlen(log) > before && strstr(log + before, said) != NULL;
        texts_forget(mark);
        dnsd_drain(dut);
        pause_ms(1);
    }
    return done;
}

static bool path_reload(unsigned i, uint64_t wait_ms)
{
    (void)i;
    return order(SIGHUP, " reloaded\n", wait_ms);
}

static bool path_statistics(unsigned i, uint64_t wait_ms)
{
    (void)i;
    return order(SIGUSR1, " was dumped to ", wait_ms);
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
    if (!harness_wrapped())
        harness_side_by_side(WORKERS, fail_on_paths);
}
END_TEST

/* ---- many at once ---------------------------------------------------------------------------- */

/* What the kernel may do now and then to any call, in one errno a kind. */
static void arm_all(unsigned long one_in, unsigned long seed)
{
    disarm();
    for (size_t r = 0; r < N_ROWS; r++)
        plan->errors[rows[r].kind] = rows[r].error;
    plan->left = (long)one_in;
    plan->chance = seed;
    plan->n_failed = 0;
    plan->deed = FAULT_NOW_AND_THEN;
    plan->mask = ~0ULL;
}

/* All paths in turn while one call in so many fails, until the time is over; then all must work. */
static void fail_now_and_then(unsigned nth)
{
    static const unsigned long one_in[WORKERS] = {2, 3, 5, 10, 20, 50, 100, 300};
    unsigned long n_failed = 0, n_rounds = 0, seed = 88172645463325252UL + nth;
    prepare();
    prime_stale();
    uint64_t end_ms = now_ms() + (all_of_them() ? 60000 : 1000);
    while (now_ms() < end_ms) {
        size_t mark = texts_mark();
        arm_all(one_in[nth], ++seed);
        for (size_t i = 0; i < N_PATHS; i++) {
            paths[i].call(++nth_try, FAULTY_MS / 4);
            must_live("many at once");
        }
        n_failed += plan->n_failed;
        n_rounds++;
        disarm();
        for (size_t i = 0; i < N_PATHS; i++)
            must_recover("after many at once", paths[i].call);
        texts_forget(mark);
    }
    printf("worker %u: %lu faults in %lu rounds; service was back within %u ms\n", nth, n_failed,
        n_rounds, (unsigned)slowest_ms);
    ck_assert_uint_gt(n_failed, 0);
    ck_assert_int_eq(dnsd_stop(dut), 0);
    responder_stop(server);
}

START_TEST(many_calls_may_fail_together_and_service_comes_back)
{
    if (!harness_wrapped())
        harness_side_by_side(WORKERS, fail_now_and_then);
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
    if (dnsd_watch(dut, WAIT_MS / 2, &code) != DNSD_ENDED)
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
    /* Entering the sandbox takes thousands of allocations of its library, none of them dnsd's. */
    const char *how = text("%s -sandbox off", options());
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
    if (!harness_wrapped())
        harness_side_by_side(WORKERS, fail_on_start);
}
END_TEST

/* libseccomp, which makes the filters, crashes or loops for ever where some of its allocations
 * fail: dnsd then ends and says that memory is out, and never serves without its filter. */
static void fail_in_sandbox(unsigned nth)
{
    prepare();
    const char *how = options();
    ck_assert_int_eq(dnsd_stop(dut), 0);
    count_anew();
    dut = launch_ready(how);
    const long n_calls = (long)plan->n_calls[FAULT_ALLOC];
    ck_assert_int_eq(dnsd_stop(dut), 0);
    for (long i = 0; i < FILTER_FAULTS; i++) {
        int code = 0;
        arm(FAULT_BIT(ALLOC), ENOMEM, n_calls * (i * WORKERS + nth + 1) / (FILTER_FAULTS * WORKERS),
            false);
        dut = launch(how);
        enum dnsd_state state = dnsd_watch(dut, WAIT_MS, &code);
        disarm();
        ck_assert_msg(state != DNSD_SILENT, "it neither starts nor ends: %s", log_end(dut));
        const char *wrong = state == DNSD_ENDED ? wrong_refusal(&rows[0], code) : wrong_end();
        ck_assert_msg(wrong == NULL, "%s: %s", wrong, log_end(dut));
        ck_assert_ptr_null(strstr(read_file(dut->log), "stay allowed"));
    }
    responder_stop(server);
}

START_TEST(memory_may_be_out_while_the_filters_are_made)
{
    if (!harness_wrapped() && !harness_slow())
        harness_side_by_side(WORKERS, fail_in_sandbox);
}
END_TEST

/* ---- death in mid-write ---------------------------------------------------------------------- */

#define WRITING                                                                                    \
    (FAULT_BIT(OPEN) | FAULT_BIT(WRITE) | FAULT_BIT(FSYNC) | FAULT_BIT(FCHMOD) |                   \
        FAULT_BIT(RENAME) | FAULT_BIT(UNLINK) | FAULT_BIT(CLOSE))

static void kill_at(unsigned long long mask, long k)
{
    arm(mask, 0, k, false);
    plan->deed = FAULT_KILL;
}

/* Files in the directory that begin with this name. */
static unsigned n_files(const char *name)
{
    unsigned n = 0;
    const struct dirent *e;
    DIR *d = opendir(path_of("."));
    ck_assert_ptr_nonnull(d);
    while ((e = readdir(d)) != NULL)
        n += starts(e->d_name, name);
    closedir(d);
    return n;
}

/* Something new to keep, a few milliseconds after the start. */
static void learn(unsigned i)
{
    for (int visit = 0; visit < 2; visit++) {
        ck_assert(get(text("p%u.a.example.com", i), TYPE_A, NOERROR, WAIT_MS));
        ck_assert(get(text("p%u.b.example.com", i), TYPE_A, NOERROR, WAIT_MS));
        pause_ms(220);
    }
}

static unsigned long n_dependencies(const char *line)
{
    const char *number = strstr(line, "debug: ");
    ck_assert_msg(number != NULL, "%s", line);
    return strtoul(number + strlen("debug: "), NULL, 10);
}

/* Saves with a death at the k-th call on the way; whether there was one. What is there afterwards
 * loads, and is the old table or the new one. */
static bool die_while_saving(const char *how, long k)
{
    int code;
    dut = launch_ready(how);
    unsigned long old = n_dependencies(dnsd_await(dut, "loaded from"));
    learn((unsigned)k);
    kill_at(WRITING, k);
    ck_assert_int_eq(kill(dut->pid, SIGTERM), 0);
    dnsd_wait_end(dut, &code);
    disarm();
    ck_assert_msg(code == 0 || code == 128 + SIGKILL, "ended with %d", code);
    ck_assert_uint_le(n_files("learned"), 2);
    dut = launch_ready(how);
    must_lack(read_file(dut->log), "it is ignored");
    unsigned long now = n_dependencies(dnsd_await(dut, "loaded from"));
    ck_assert_msg(now == old || now == old + 1, "%lu and then %lu dependencies", old, now);
    ck_assert_int_eq(dnsd_stop(dut), 0);
    ck_assert_uint_eq(n_files("learned"), 1); /* what the dead one left is gone */
    return code != 0;
}

static void die_on_saves(unsigned nth)
{
    long k = (long)nth + 1;
    unsigned n_deaths = 0;
    prepare();
    learn(0);
    ck_assert_int_eq(dnsd_stop(dut), 0);
    const char *how = text("%s -sandbox off", options()); /* the shim kills, who may not */
    while (die_while_saving(how, k)) {
        n_deaths++;
        k += WORKERS;
    }
    printf("worker %u: %u deaths while saving\n", nth, n_deaths);
    responder_stop(server);
}

START_TEST(a_death_at_any_step_of_a_save_leaves_the_old_file_or_the_new_one)
{
    if (!harness_wrapped())
        harness_side_by_side(WORKERS, die_on_saves);
}
END_TEST

/* ---- a save that fails ------------------------------------------------------------------------
 */

static void fail_save(const char *how, const struct fault_row *row, long k, bool forever)
{
    int code;
    const char *what = text("save, call %ld of %s fails with %s%s", k, kind_name(row->kind),
        strerrorname_np(row->error), forever ? " for ever" : "");
    dut = launch_ready(how);
    unsigned long old = n_dependencies(dnsd_await(dut, "loaded from"));
    ck_assert(path_prefetch(0, WAIT_MS));
    arm(1ULL << row->kind, row->error, k, forever);
    ck_assert_int_eq(kill(dut->pid, SIGTERM), 0);
    dnsd_wait_end(dut, &code);
    n_faults += plan->n_failed > 0;
    disarm();
    ck_assert_msg(code == 0, "%s: ended with %d:\n%s", what, code, log_end(dut));
    ck_assert_uint_le(n_files("learned"), row->kind == FAULT_UNLINK ? 2 : 1);
    dut = launch_ready(how);
    ck_assert_msg(n_dependencies(dnsd_await(dut, "loaded from")) >= old, "%s", what);
    ck_assert_int_eq(dnsd_stop(dut), 0);
}

static void fail_on_saves(unsigned nth)
{
    unsigned long counts[N_FAULTS];
    unsigned card = 0;
    n_worker = nth;
    prepare();
    learn(0);
    ck_assert_int_eq(dnsd_stop(dut), 0);
    const char *how = options();
    dut = launch_ready(how);
    ck_assert(path_prefetch(0, WAIT_MS));
    count_anew();
    ck_assert_int_eq(dnsd_stop(dut), 0);
    for (int i = 0; i < N_FAULTS; i++)
        counts[i] = plan->n_calls[i];
    for (size_t r = 0; r < N_ROWS; r++) {
        for (long k = 1; k <= (long)counts[rows[r].kind]; k++) {
            size_t mark = texts_mark();
            if (is_mine(card++))
                fail_save(how, &rows[r], k, false);
            if (!rows[r].once_only && is_mine(card++))
                fail_save(how, &rows[r], k, true);
            texts_forget(mark);
        }
    }
    printf("worker %u: %u faults at ends and in saves\n", nth, n_faults);
    responder_stop(server);
}

START_TEST(any_call_may_fail_at_the_end_and_the_old_file_or_the_new_one_is_there)
{
    if (!harness_wrapped())
        harness_side_by_side(WORKERS, fail_on_saves);
}
END_TEST

/* While it runs, a process of its own saves: without one there is another time. */
START_TEST(a_save_that_finds_no_process_is_told_and_made_the_next_time)
{
    if (harness_wrapped())
        return;
    prepare();
    ck_assert_int_eq(dnsd_stop(dut), 0);
    dut = launch_ready(text("%s -predict-save 1", options()));
    arm(FAULT_BIT(FORK), EAGAIN, 1, false);
    dnsd_await(dut, "learned: not written: Resource temporarily unavailable");
    disarm();
    dnsd_await(dut, "was saved to");
    ck_assert_int_eq(dnsd_stop(dut), 0);
    responder_stop(server);
}
END_TEST

/* The calls by which it shuts itself in: it may go without what a kernel lacks, and says so, but
 * not without what fails. */
START_TEST(a_sandbox_that_cannot_be_made_is_no_start)
{
    static const struct fault_row fork_row = {FAULT_FORK, EAGAIN, MEMORY, false};
    static const struct fault_row prctl_row = {FAULT_PRCTL, EPERM, CONF | NET, false};
    if (harness_wrapped())
        return;
    prepare();
    ck_assert_int_eq(dnsd_stop(dut), 0);
    const char *how = options();
    count_anew();
    dut = launch_ready(how);
    const long n_forks = (long)plan->n_calls[FAULT_FORK], n = (long)plan->n_calls[FAULT_PRCTL];
    ck_assert_int_eq(dnsd_stop(dut), 0);
    ck_assert_int_eq(n_forks, 5); /* the reader, and two for the filter of each */
    for (long k = 1; k <= n_forks; k++)
        ck_assert(fail_start(how, &fork_row, k, false));
    ck_assert(fail_start(how, &fork_row, 1, true));
    for (long k = 1; k <= n; k++)
        ck_assert(fail_start(how, &prctl_row, k, false));
    ck_assert_uint_gt(n_faults, (unsigned)n_forks + 1);
    responder_stop(server);
}
END_TEST

static void reload(void)
{
    ck_assert_int_eq(kill(dut->pid, SIGHUP), 0);
    dnsd_await_notice(dut, "READY=1");
}

/* Turns prediction on while the k-th allocation fails, and once more. Whether it came to that;
 * *n_off counts where the rest of the reload was done without. */
static bool turn_prediction_on(long k, unsigned *n_off)
{
    const char *conf = write_file("dnsd.conf", "forward %s\n", responder_at(server));
    dut = launch_ready(text("-config %s", conf));
    write_file("dnsd.conf", "forward %s\npredict yes\n", responder_at(server));
    arm(FAULT_BIT(ALLOC), ENOMEM, k, false);
    reload();
    bool happened = plan->n_failed > 0;
    disarm();
    *n_off += strstr(log_end(dut), "prediction stays off: memory is out") != NULL;
    ck_assert(path_miss((unsigned)k, WAIT_MS));
    reload();
    must_have(run("dig @%s -p %u +short ch txt predict.bind", dut->address, dut->port).text,
        "prefetches");
    ck_assert_int_eq(dnsd_stop(dut), 0);
    return happened;
}

/* Whatever a reload lacks memory for: nothing is changed, or prediction alone is left out; and the
 * next reload brings all. */
START_TEST(prediction_that_finds_no_memory_at_a_reload_comes_with_the_next_one)
{
    unsigned n_off = 0;
    if (harness_wrapped())
        return;
    prepare();
    ck_assert_int_eq(dnsd_stop(dut), 0);
    for (long k = 1; turn_prediction_on(k, &n_off); k++)
        continue;
    ck_assert_uint_gt(n_off, 0);
    responder_stop(server);
}
END_TEST

/* Whole is a table of lines with seven fields, and a graph that ends. */
static void must_be_whole_or_absent(void)
{
    const char *graph = read_file(path_of("dump")), *table = read_file(path_of("dump.tsv"));
    size_t n = strlen(graph);
    ck_assert(n == 0 || (starts(graph, "digraph") && strcmp(graph + n - 2, "}\n") == 0));
    n = strlen(table);
    ck_assert(n == 0 || table[n - 1] == '\n');
    ck_assert_uint_eq(count_of(table, "\t"), 6 * count_of(table, "\n"));
}

static bool die_while_dumping(const char *how, long k)
{
    dut = launch_ready(how);
    ck_assert(path_override(0, WAIT_MS));    /* the start is over */
    kill_at(WRITING & ~FAULT_BIT(WRITE), k); /* dnsd itself does nothing but write to its log */
    ck_assert_int_eq(kill(dut->pid, SIGUSR1), 0);
    dnsd_await(dut, " dumped"); /* or not */
    bool died = plan->n_failed > 0;
    disarm();
    must_have(read_file(dut->log), died ? "the writer was killed" : "was dumped to");
    must_be_whole_or_absent();
    ck_assert_uint_le(n_files("dump"), 4);
    ck_assert(path_statistics(0, WAIT_MS));
    must_be_whole_or_absent();
    ck_assert_uint_eq(n_files("dump"), 2);
    ck_assert_int_eq(dnsd_stop(dut), 0);
    ck_assert_int_eq(unlink(path_of("dump")), 0);
    return died;
}

static void die_on_dumps(unsigned nth)
{
    unsigned n_deaths = 0;
    prepare();
    learn(0);
    ck_assert_int_eq(dnsd_stop(dut), 0);
    const char *how = text("%s -sandbox off", options());
    for (long k = (long)nth + 1; die_while_dumping(how, k); k += WORKERS)
        n_deaths++;
    printf("worker %u: %u deaths while dumping\n", nth, n_deaths);
    responder_stop(server);
}

START_TEST(a_death_at_any_step_of_a_dump_leaves_whole_files_and_dnsd_alive)
{
    if (!harness_wrapped())
        harness_side_by_side(WORKERS, die_on_dumps);
}
END_TEST

/* ---- files that were damaged ----------------------------------------------------------------- */

#define DAMAGES 12 /* of each kind, each worker; unit/predict takes every byte and every bit */

static void must_start_without(const uint8_t *bytes, size_t len)
{
    FILE *f = fopen(path_of("learned"), "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(chmod(path_of("learned"), 0666), 0);
    dut = launch_ready(options());
    ck_assert_uint_lt(dnsd_cpu_ms(dut), harness_slow() ? 10000 : 1000);
    dnsd_await(dut, "it is ignored");
    ck_assert(path_override(0, WAIT_MS));
    ck_assert_int_eq(dnsd_stop(dut), 0);
}

static void damage(unsigned nth)
{
    uint8_t bytes[65536];
    prepare();
    learn(0);
    ck_assert_int_eq(dnsd_stop(dut), 0);
    int fd = open(path_of("learned"), O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, bytes, sizeof bytes);
    close(fd);
    ck_assert_int_gt(n, 100);
    size_t len = (size_t)n;
    for (size_t i = 0; i < DAMAGES; i++) {
        size_t mark = texts_mark(), at = (i * WORKERS + nth) * len / (DAMAGES * WORKERS);
        must_start_without(bytes, at);
        bytes[at] ^= (uint8_t)(1U << i % 8);
        must_start_without(bytes, len);
        bytes[at] ^= (uint8_t)(1U << i % 8);
        texts_forget(mark);
    }
    responder_stop(server);
}

START_TEST(a_file_cut_or_flipped_anywhere_is_ignored_within_a_second)
{
    if (!harness_wrapped())
        harness_side_by_side(WORKERS, damage);
}
END_TEST

/* ---- a full disk ----------------------------------------------------------------------------- */

/* A file system of 64 KiB that ends with this process. False where that is not allowed. */
static bool mount_small(const char *at)
{
    ck_assert_int_eq(mkdir(at, 0777), 0);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("dnsd-test", at, "tmpfs", 0, "size=64k,mode=0777") < 0) {
        printf("skipped: cannot mount: %s\n", strerror(errno));
        return false;
    }
    return true;
}

/* Takes all room but so many bytes. */
static void fill_up(const char *path, size_t but)
{
    static const uint8_t zeros[1024];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    off_t len = 0;
    ssize_t n;
    while ((n = write(fd, zeros, sizeof zeros)) > 0)
        len += n;
    ck_assert_int_eq(ftruncate(fd, len > (off_t)but ? len - (off_t)but : 0), 0);
    close(fd);
}

/* The end waits for the disk, and the clients' next server need not wait with it: who asks now is
 * told at once that nobody is there. */
START_TEST(nobody_waits_for_the_last_save)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int status, code;
    char byte = 0;
    if (harness_wrapped())
        return;
    prepare();
    ck_assert(path_prefetch(0, WAIT_MS));
    arm(FAULT_BIT(FSYNC), 0, 1, false);
    plan->deed = FAULT_STOP;
    ck_assert_int_eq(kill(dut->pid, SIGTERM), 0);
    ck_assert_int_eq(waitpid(dut->pid, &status, WUNTRACED), dut->pid);
    ck_assert(WIFSTOPPED(status));
    at.sin_port = htons(dut->port);
    ck_assert_int_eq(inet_pton(AF_INET, dut->address, &at.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(send(fd, &byte, 1, 0), 1);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
    ck_assert_int_eq(recv(fd, &byte, 1, 0), -1);
    ck_assert_msg(errno == ECONNREFUSED, "%s", strerror(errno));
    close(fd);
    disarm();
    ck_assert_int_eq(kill(dut->pid, SIGCONT), 0);
    dnsd_wait_end(dut, &code);
    ck_assert_int_eq(code, 0);
    dnsd_await(dut, "saved to");
    responder_stop(server);
}
END_TEST

START_TEST(a_full_disk_costs_lines_and_files_and_never_an_answer)
{
    const char *small = path_of("small"), *filler = path_of("small/filler");
    if (!mount_small(small))
        return;
    server = responder_start(answer, NULL);
    const char *how = text("-forward %s -poison %s -predict-window 200ms -verbose "
                           "-predict-file %s/learned -predict-dump %s/dump -query-log %s/queries "
                           "-predict-save 1",
        responder_at(server), write_file("poison.conf", "%s", overrides), small, small, small);
    dut = dnsd_start("%s", how);
    learn(0);
    dnsd_await(dut, "was saved to");
    dnsd_await(dut, "was saved to");
    const char *before = read_file(text("%s/learned", small));
    fill_up(filler, 0);
    for (unsigned i = 0; i < 200; i++)
        ck_assert(path_override(i, WAIT_MS));
    dnsd_await(dut, "queries: No space left on device; lines are left out until that is over");
    dnsd_await(dut, "learned: not written: No space left on device");
    ck_assert_int_eq(kill(dut->pid, SIGUSR1), 0);
    dnsd_await(dut, "was not dumped: No space left on device");
    ck_assert_str_eq(read_file(text("%s/learned", small)), before);
    ck_assert_int_eq(unlink(filler), 0);
    ck_assert(path_override(0, WAIT_MS));
    dnsd_await(dut, "was saved to");
    must_have(read_file(dut->log), "queries: writing goes on");
    ck_assert_int_eq(kill(dut->pid, SIGUSR1), 0);
    dnsd_await(dut, "was dumped to");
    fill_up(filler, 0);
    ck_assert_int_eq(dnsd_stop(dut), 0);
    dnsd_await(dut, "learned: not written: No space left on device");
    ck_assert_int_eq(unlink(filler), 0);
    dut = dnsd_start("%s", how);
    ck_assert_uint_gt(n_dependencies(dnsd_await(dut, "loaded from")), 0);
    ck_assert_int_eq(dnsd_stop(dut), 0);
    responder_stop(server);
    ck_assert_int_eq(umount2(small, MNT_DETACH), 0);
}
END_TEST

/* ---- reloads --------------------------------------------------------------------------------- */

static unsigned n_descriptors(pid_t pid)
{
    unsigned n = 0;
    DIR *d = opendir(text("/proc/%d/fd", (int)pid));
    ck_assert_ptr_nonnull(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static unsigned long resident_kib(pid_t pid)
{
    const char *status = read_file(text("/proc/%d/status", (int)pid));
    const char *at = strstr(status, "VmRSS:");
    ck_assert_ptr_nonnull(at);
    return strtoul(at + strlen("VmRSS:"), NULL, 10);
}

/* Each with other overrides, one in five with a mistake. */
static void reload_often(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        size_t mark = texts_mark();
        write_file("poison.conf", "%sextra.lan A 192.0.2.%u\n%s", overrides, i % 250,
            i % 5 == 4 ? "?\n" : "");
        dnsd_reload(dut);
        texts_forget(mark);
    }
}

#define N_LOADS 500 /* names that the load asks for */

static atomic_uint n_lost, n_asked;
static atomic_bool enough;

static void *ask_on(void *arg)
{
    const struct dnsd *d = arg;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(d->port)};
    inet_pton(AF_INET, d->address, &to.sin_addr);
    struct pollfd p = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), .events = POLLIN};
    if (connect(p.fd, (struct sockaddr *)&to, sizeof to) != 0)
        n_lost++;
    for (unsigned i = 0; !enough; i++) {
        uint8_t msg[512], reply[512];
        char name[64];
        snprintf(
            name, sizeof name, "%s%u.example.com", i % 2 != 0 ? "load" : "hit", i / 2 % N_LOADS);
        size_t len = put_odd(msg, &(struct odd){1, 0, name, TYPE_A, 1, false, false});
        n_asked++;
        if (send(p.fd, msg, len, 0) < 0 || poll(&p, 1, 5000) != 1 ||
            recv(p.fd, reply, sizeof reply, 0) < 12 || (reply[3] & 15) != NOERROR)
            n_lost++;
    }
    close(p.fd);
    return NULL;
}

static unsigned long bytes_learned(void)
{
    const char *shown =
        run("dig @%s -p %u +short predict.bind CH TXT", dut->address, (unsigned)dut->port).text;
    must_have(shown, ", bytes ");
    return strtoul(strstr(shown, ", bytes ") + strlen(", bytes "), NULL, 10);
}

/* Prediction learns when windows close, which may be long after their questions were answered: then
 * its table of 64 dependencies for each of 1000 names comes to more than all else that grows. */
static void await_learned(void)
{
    unsigned long before = 0, now = bytes_learned();
    for (int i = 0; i < 10 && (now == 0 || now != before); i++) {
        pause_ms(2 * WINDOW_MS);
        before = now;
        now = bytes_learned();
    }
}

/* RELOADS=1000 for a long one. */
START_TEST(reloads_under_load_lose_no_answer_and_leak_nothing)
{
    pthread_t client;
    const char *wanted = getenv("RELOADS");
    unsigned n = wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10) : 100;
    server = responder_start(answer, NULL);
    dut = dnsd_start("%s", options());
    ck_assert_int_eq(pthread_create(&client, NULL, ask_on, dut), 0);
    while (n_asked < 40 * N_LOADS) /* all is cached */
        pause_ms(10);
    await_learned();
    reload_often(n / 2);
    unsigned fds = n_descriptors(dut->pid);
    unsigned long kib = resident_kib(dut->pid);
    reload_often(n / 2);
    enough = true;
    ck_assert_int_eq(pthread_join(client, NULL), 0);
    pause_ms(50);
    unsigned fds_now = n_descriptors(dut->pid);
    unsigned long kib_now = resident_kib(dut->pid);
    printf("%u reloads: %u questions, %u lost; %u then %u descriptors, %lu then %lu KiB\n", n,
        n_asked, n_lost, fds, fds_now, kib, kib_now);
    ck_assert_uint_eq(n_lost, 0);
    ck_assert_uint_le(fds_now, fds + 1); /* a question under way has one */
    if (!harness_slow())
        ck_assert_uint_le(kib_now, kib + 512); /* what is touched for the first time */
    ck_assert_int_eq(dnsd_stop(dut), 0);
    responder_stop(server);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/faults");
    TCase *c = harness_case(s, "faults");
    if (all_of_them())
        tcase_set_timeout(c, 1800);
    tcase_add_test(c, any_call_may_fail_on_any_path_and_service_comes_back);
    tcase_add_test(c, many_calls_may_fail_together_and_service_comes_back);
    tcase_add_test(c, any_call_may_fail_at_the_start);
    tcase_add_test(c, memory_may_be_out_while_the_filters_are_made);
    tcase_add_test(c, a_death_at_any_step_of_a_save_leaves_the_old_file_or_the_new_one);
    tcase_add_test(c, any_call_may_fail_at_the_end_and_the_old_file_or_the_new_one_is_there);
    tcase_add_test(c, a_save_that_finds_no_process_is_told_and_made_the_next_time);
    tcase_add_test(c, a_sandbox_that_cannot_be_made_is_no_start);
    tcase_add_test(c, prediction_that_finds_no_memory_at_a_reload_comes_with_the_next_one);
    tcase_add_test(c, a_death_at_any_step_of_a_dump_leaves_whole_files_and_dnsd_alive);
    tcase_add_test(c, a_file_cut_or_flipped_anywhere_is_ignored_within_a_second);
    tcase_add_test(c, nobody_waits_for_the_last_save);
    tcase_add_test(c, a_full_disk_costs_lines_and_files_and_never_an_answer);
    tcase_add_test(c, reloads_under_load_lose_no_answer_and_leak_nothing);
    return harness_run(s);
}
