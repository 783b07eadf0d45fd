/* dnsd.c: arguments, start order, who gets which pointer, the loop, signals, reload and the end.
 * Knows every module by its door; never a DNS rule. */
#include "conf.h"
#include "core.h"
#include "net/clock.h"
#include "net/exchange.h"
#include "net/loop.h"
#include "net/resolvconf.h"
#include "net/signals.h"
#include "net/sockaddr.h"
#include "net/tcp.h"
#include "net/turn.h"
#include "net/udp.h"
#include "ops/dump.h"
#include "ops/log.h"
#include "ops/privilege.h"
#include "ops/querylog.h"
#include "ops/reader.h"
#include "ops/sandbox.h"
#include "ops/savefile.h"
#include "ops/stats.h"
#include "ops/trouble.h"
#include "ops/writer.h"
#include "poison.h"
#include "prediction.h"
#include "rng.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

enum exit_code { EXIT_OK = 0, EXIT_CONF = 1, EXIT_NET = 2, EXIT_FILE = 3, EXIT_MEMORY = 4 };

#define FILE_MAX         ((size_t)512 << 20) /* largest file that is read: overrides, predict-file */
#define ONCE_MAX_MS      2000 /* longest hold of a prefetched answer with TTL 0 (DESIGN 3) */
#define FLIGHTS_MAX      16384
#define PREFETCHES_MAX   256
#define QUERIES_MAX      16384
#define DESCRIPTORS_MAX  65536
#define TCP_IDLE_MS      10000
#define TCP_MESSAGE_MS   2000
#define TCP_MAX          10000
#define TCP_CLIENT_SHARE 10   /* one client gets a tenth of the connections */
#define STOP_MS          2000 /* to finish what is under way at the end */
#define QUERY_LOG_MS     250
#define SERVERS_AGAIN_MS 5000 /* until resolv.conf is tried again that could not be read */

/* A process that writes; a reload may change the path meanwhile. */
struct writing {
    pid_t pid; /* 0: there is none */
    char path[CONF_PATH_MAX];
};

struct dnsd {
    int argc;
    const char *const *argv;
    bool running; /* mistakes go to the log, not to the terminal */
    struct conf_set *conf_set;
    const struct conf *conf;
    uint8_t seed[RNG_SEED_LEN];
    struct ev_loop *loop;
    struct turn *turn;
    struct rng *rng;
    struct upstream *upstream;
    struct core *core;
    size_t cache_bytes; /* a reload does not change it */
    struct poison *poison;
    struct querylog *querylog;
    uint64_t querylog_due_ms;
    struct trouble trouble;
    struct udp *udp[CONF_LIST_MAX];
    size_t n_udp;
    struct tcp *tcp;
    struct tcp_conf tcp_conf;
    struct resolvconf_watch *watch;
    uint64_t servers_due_ms; /* when resolv.conf is read again; UINT64_MAX: once it changes */
    int servers_error;       /* why not, as it was told; 0: it was read */
    struct signals *signals;
    struct writing dump, save;
    struct reader *reader; /* NULL: without a sandbox */
    bool sandboxed;
    struct sandbox_files files; /* as they were when it was entered */
    uint64_t save_due_ms;       /* when the predict-file is to be written next */
    uint64_t stop_ms;           /* when the end may wait no longer; 0: not ending */
};

/* ---- configuration --------------------------------------------------------------------------- */

/* Which file a mistake is in; NULL for the command line. */
struct origin {
    const struct dnsd *d;
    const char *file;
    bool memory_out;
};

static void complain(const struct origin *o, size_t line, const char *what, const char *why)
{
    char where[CONF_PATH_MAX + 32] = "";
    if (o->file != NULL && line > 0)
        snprintf(where, sizeof where, "%s:%zu: ", o->file, line);
    else if (o->file != NULL)
        snprintf(where, sizeof where, "%s: ", o->file);
    const char *colon = what[0] != '\0' ? ": " : "";
    if (o->d->running)
        log_error("%s%s%s%s", where, what, colon, why);
    else
        fprintf(stderr, "dnsd: %s%s%s%s\n", where, what, colon, why);
}

static void on_conf_mistake(
    void *ctx, size_t line, const char *option, const char *value, const char *why)
{
    char what[512];
    snprintf(what, sizeof what, "%s%s%s", option, value[0] != '\0' ? " " : "", value);
    complain(ctx, line, what, why);
}

static void on_poison_mistake(void *ctx, size_t line, const char *what, const char *why)
{
    struct origin *o = ctx;
    o->memory_out |= line == 0;
    complain(o, line, what, why);
}

static void on_resolvconf_mistake(void *ctx, size_t line, const char *word, const char *why)
{
    (void)ctx;
    log_warning("resolv.conf:%zu: %s: %s", line, word, why);
}

static void complain_of_memory(const struct dnsd *d)
{
    struct origin o = {.d = d};
    complain(&o, 0, "", "memory is out");
}

/* A descriptor or -1 with errno. In the sandbox somebody else opens what is read. */
static int open_to_read(const struct dnsd *d, const char *path)
{
    return d->sandboxed ? reader_open(d->reader, path) : savefile_open(path);
}

static int read_whole(const struct dnsd *d, const char *path, uint8_t **text, size_t *len)
{
    int fd = open_to_read(d, path);
    return fd < 0 ? -1 : savefile_read_open(fd, FILE_MAX, text, len);
}

/* Reads a file whole; a mistake is reported, and *code says how to exit. */
static int read_file(
    const struct dnsd *d, const char *path, uint8_t **text, size_t *len, enum exit_code *code)
{
    struct origin o = {.d = d};
    if (read_whole(d, path, text, len) == 0)
        return 0;
    *code = errno == ENOMEM ? EXIT_MEMORY : EXIT_FILE;
    complain(&o, 0, path, strerror(errno));
    return -1;
}

/* Command line, then the file that it names. NULL after telling what is wrong; *code says how to
 * exit. */
static struct conf_set *read_conf(const struct dnsd *d, enum exit_code *code)
{
    struct origin o = {.d = d};
    uint8_t *text = NULL;
    size_t len;
    struct conf_set *s = conf_create();
    *code = EXIT_MEMORY;
    if (s == NULL) {
        complain_of_memory(d);
        return NULL;
    }
    *code = EXIT_CONF;
    int bad = conf_read_args(s, d->argc, d->argv, on_conf_mistake, &o);
    const char *path = conf_values(s)->config;
    if (path[0] != '\0') {
        if (read_file(d, path, &text, &len, code) < 0)
            goto err;
        o.file = path;
        bad |= conf_read_text(s, (const char *)text, len, on_conf_mistake, &o);
        o.file = NULL;
        free(text);
    }
    bad |= conf_finish(s, on_conf_mistake, &o);
    if (bad == 0)
        return s;
err:
    conf_free(s);
    return NULL;
}

/* The overrides of this configuration, NULL in *out where there are none. 0 or -1 after telling
 * why. */
static int read_poison(
    const struct dnsd *d, const struct conf *c, struct poison **out, enum exit_code *code)
{
    struct origin o = {.d = d, .file = c->poison};
    uint8_t *text;
    size_t len;
    *out = NULL;
    if (c->poison[0] == '\0')
        return 0;
    if (read_file(d, c->poison, &text, &len, code) < 0)
        return -1;
    *out = poison_load((const char *)text, len, d->seed, on_poison_mistake, &o);
    *code = o.memory_out ? EXIT_MEMORY : EXIT_CONF;
    free(text);
    return *out != NULL ? 0 : -1;
}

/* ---- settings, as each module wants them ----------------------------------------------------- */

static struct flight_conf flight_conf(const struct conf *c)
{
    struct flight_conf f = {
        .ttl = {.min_s = c->min_ttl_s, .max_s = c->max_ttl_s},
        .rebind = {.on = c->rebind_protect, .allow = c->rebind_allow, .n_allow = c->n_rebind_allow},
        .stale_ms = c->stale_ttl_ms,
        .flights_max = FLIGHTS_MAX,
        .prefetches_max = PREFETCHES_MAX,
    };
    if (c->predict && c->predict_ttl0 == CONF_TTL0_HOLD)
        f.once_ms = c->predict_window_ms < ONCE_MAX_MS ? c->predict_window_ms : ONCE_MAX_MS;
    return f;
}

static struct query_conf query_conf(const struct conf *c)
{
    return (struct query_conf){
        .serve_stale = c->stale_ttl_ms > 0,
        .forward = c->forward,
        .allow = c->allow,
        .n_allow = c->n_allow,
        .keepalive_ds = TCP_IDLE_MS / 100,
        .queries_max = QUERIES_MAX,
    };
}

static struct core_conf core_conf(const struct conf *c)
{
    return (struct core_conf){
        .cache_bytes = c->cache_size_bytes,
        .flight = flight_conf(c),
        .query = query_conf(c),
        .predict = c->predict,
        .prediction = prediction_conf(c),
    };
}

/* ---- servers --------------------------------------------------------------------------------- */

/* Whether asking this server would be asking ourselves. */
static bool is_self(const struct dnsd *d, const struct addr *server)
{
    for (size_t i = 0; i < d->n_udp; i++) {
        const struct addr *own = udp_addr(d->udp[i]);
        if (own->port != server->port)
            continue;
        if (memcmp(own->ip, server->ip, sizeof own->ip) == 0)
            return true;
        if (addr_is_unspecified(own) && sockaddr_is_here(server))
            return true;
    }
    return false;
}

static void use_servers(struct dnsd *d, const struct addr *list, size_t n, bool trust_ad)
{
    struct server_conf conf[SERVERS_MAX];
    char text[ADDR_TEXT_MAX];
    size_t n_conf = 0;
    for (size_t i = 0; i < n && n_conf < SERVERS_MAX; i++) {
        addr_format(&list[i], text);
        if (is_self(d, &list[i])) {
            log_warning("server %s is dnsd itself and is left out", text);
            continue;
        }
        log_info("forwarding to %s", text);
        conf[n_conf++] = (struct server_conf){.addr = list[i], .trust_ad = trust_ad};
    }
    if (n_conf == 0)
        log_warning("there is no server to forward to: questions that are neither overridden nor "
                    "cached get SERVFAIL");
    servers_set(core_servers(d->core), conf, n_conf, turn_now_ms(d->turn));
}

/* The file may be as good as ever and we be at fault, or who opens it: the servers stay. */
static void keep_servers(struct dnsd *d, int error)
{
    d->servers_due_ms = turn_now_ms(d->turn) + SERVERS_AGAIN_MS;
    if (error == d->servers_error)
        return;
    d->servers_error = error;
    log_warning("%s: %s; the servers stay as they are, and it is tried again every %d seconds",
        d->conf->resolv_file, strerror(error), SERVERS_AGAIN_MS / 1000);
    if (servers_count(core_servers(d->core)) == 0)
        use_servers(d, NULL, 0, false); /* says so */
}

/* The servers of the configuration, else those of resolv.conf as it is now. Without that file there
 * are none. */
static void find_servers(struct dnsd *d)
{
    const struct conf *c = d->conf;
    struct resolvconf_servers r = {.n = 0};
    d->servers_due_ms = UINT64_MAX;
    if (!c->forward)
        return;
    if (c->n_servers > 0) {
        use_servers(d, c->servers, c->n_servers, c->trust_ad);
        return;
    }
    int fd = open_to_read(d, c->resolv_file);
    bool failed = fd < 0 || resolvconf_read_open(fd, &r, on_resolvconf_mistake, NULL) < 0;
    if (failed && errno != ENOENT) {
        keep_servers(d, errno);
        return;
    }
    d->servers_error = 0;
    if (failed)
        log_warning("%s: %s", c->resolv_file, strerror(errno));
    log_debug("%s read: %zu servers%s", c->resolv_file, r.n, r.trust_ad ? ", trust-ad" : "");
    use_servers(d, r.addr, r.n, r.trust_ad || c->trust_ad);
}

static uint64_t find_servers_due(void *ctx)
{
    return ((const struct dnsd *)ctx)->servers_due_ms;
}

static void find_servers_again(void *ctx, uint64_t now_ms)
{
    struct dnsd *d = ctx;
    (void)now_ms;
    reader_begin(d->reader);
    find_servers(d);
}

static void on_resolvconf_changed(void *ctx)
{
    struct dnsd *d = ctx;
    log_info("%s has changed", d->conf->resolv_file);
    reader_begin(d->reader);
    find_servers(d);
}

static void watch_resolvconf(struct dnsd *d)
{
    resolvconf_unwatch(d->watch);
    d->watch = NULL;
    if (!d->conf->forward || d->conf->n_servers > 0)
        return;
    d->watch = resolvconf_watch(d->loop, d->conf->resolv_file, on_resolvconf_changed, d);
    if (d->watch == NULL)
        log_warning("%s is not watched: memory is out", d->conf->resolv_file);
}

/* ---- what was learned, over a restart -------------------------------------------------------- */

static void tell_known(const struct dnsd *d, const char *what)
{
    struct predict_counts c;
    predict_count(core_predict(d->core), &c);
    log_debug(
        "%zu dependencies of %zu triggers %s %s", c.pairs, c.triggers, what, d->conf->predict_file);
}

static void load_predictions(struct dnsd *d)
{
    const char *path = d->conf->predict_file;
    uint8_t *bytes;
    size_t len;
    if (path[0] == '\0' || core_predict(d->core) == NULL)
        return;
    if (read_whole(d, path, &bytes, &len) < 0) {
        if (errno != ENOENT)
            log_warning("%s: %s; nothing is known at first", path, strerror(errno));
        return;
    }
    const char *why = predict_load(core_predict(d->core), bytes, len);
    if (why != NULL)
        log_warning("%s: %s; it is ignored", path, why);
    else
        tell_known(d, "loaded from");
    free(bytes);
}

/* 0, or -1 with errno. */
static int write_predictions(const void *ctx)
{
    const struct dnsd *d = ctx;
    uint8_t *bytes;
    size_t len;
    if (predict_save(core_predict(d->core), &bytes, &len) < 0) {
        errno = ENOMEM;
        return -1;
    }
    int result = savefile_write(d->conf->predict_file, bytes, len);
    int saved = errno;
    free(bytes);
    errno = saved;
    return result;
}

static bool keeps_predictions(const struct dnsd *d)
{
    return d->conf->predict_file[0] != '\0' && core_predict(d->core) != NULL;
}

/* At the end, when there is nobody any more to keep waiting. */
static void save_predictions(const struct dnsd *d)
{
    int status;
    if (!keeps_predictions(d))
        return;
    if (d->save.pid > 0 && !writer_await(d->save.pid, &status, STOP_MS)) { /* one at a time */
        log_error("%s: not written: the disk has not taken what was written before",
            d->conf->predict_file);
        return;
    }
    if (write_predictions(d) < 0)
        log_error("%s: not written: %s", d->conf->predict_file, strerror(errno));
    else
        tell_known(d, "saved to");
}

static uint64_t save_due(void *ctx)
{
    return ((const struct dnsd *)ctx)->save_due_ms;
}

static void save_tick(void *ctx, uint64_t now_ms)
{
    struct dnsd *d = ctx;
    const char *path = d->conf->predict_file;
    d->save_due_ms = now_ms + d->conf->predict_save_ms;
    if (!keeps_predictions(d) || d->save.pid > 0)
        return;
    pid_t pid = writer_start(write_predictions, d);
    if (pid < 0) {
        log_error("%s: not written: %s", path, strerror(errno));
        return;
    }
    d->save.pid = pid;
    snprintf(d->save.path, sizeof d->save.path, "%s", path);
}

/* Says at the start what would otherwise be noticed at the end, when it is lost. */
static void warn_of_unwritable(const char *path)
{
    if (path[0] != '\0' && savefile_check(path) < 0)
        log_warning("%s: cannot be written: %s", path, strerror(errno));
}

/* NULL where a writer's work was done. */
static const char *what_went_wrong(int status)
{
    if (!WIFEXITED(status))
        return "the writer was killed";
    return WEXITSTATUS(status) != 0 ? strerror(WEXITSTATUS(status)) : NULL;
}

/* Whether the writer has ended, and how. */
static bool has_ended(struct writing *w, int *status)
{
    if (w->pid == 0 || !writer_has_ended(w->pid, status))
        return false;
    w->pid = 0;
    return true;
}

static void await_children(struct dnsd *d)
{
    int status;
    const char *path, *why;
    reader_look(d->reader);
    if (has_ended(&d->dump, &status)) {
        path = d->dump.path;
        why = what_went_wrong(status);
        if (why == NULL)
            log_info("what prediction has learned was dumped to %s and %s.tsv", path, path);
        else
            log_error("%s: what prediction has learned was not dumped: %s", path, why);
    }
    if (has_ended(&d->save, &status)) {
        path = d->save.path;
        why = what_went_wrong(status);
        if (why == NULL)
            log_debug("what prediction has learned was saved to %s", path);
        else
            log_error("%s: not written: %s", path, why);
    }
}

/* The disk may take its time, so a process of its own writes. */
static void dump_predictions(struct dnsd *d)
{
    const char *path = d->conf->predict_dump;
    if (path[0] == '\0' || core_predict(d->core) == NULL)
        return;
    if (d->dump.pid != 0) {
        log_warning("%s: not written: the dump before is still under way", path);
        return;
    }
    pid_t pid = dump_start(core_predict(d->core), path);
    if (pid < 0) {
        log_error("%s: not written: %s", path, strerror(errno));
        return;
    }
    snprintf(d->dump.path, sizeof d->dump.path, "%s", path);
    d->dump.pid = pid;
}

/* ---- what the core tells --------------------------------------------------------------------- */

static void on_ended(void *ctx, const struct query_end *e)
{
    struct dnsd *d = ctx;
    if (e->flight != NULL) {
        trouble_of_loop(&d->trouble, e, turn_now_ms(d->turn));
        trouble_of_rebind(&d->trouble, e, turn_now_ms(d->turn));
    }
    if (d->conf->verbose)
        trouble_of_query(&d->trouble, core_desk(d->core), e, turn_now_ms(d->turn));
    if (d->querylog == NULL)
        return;
    querylog_write(d->querylog, e);
    if (d->querylog_due_ms == UINT64_MAX)
        d->querylog_due_ms = turn_now_ms(d->turn) + QUERY_LOG_MS;
}

static uint64_t querylog_due(void *ctx)
{
    return ((const struct dnsd *)ctx)->querylog_due_ms;
}

static void querylog_tick(void *ctx, uint64_t now_ms)
{
    struct dnsd *d = ctx;
    (void)now_ms;
    querylog_flush(d->querylog);
    d->querylog_due_ms = UINT64_MAX;
}

static uint64_t servers_due(void *ctx)
{
    return servers_news_ms(ctx);
}

static void servers_tick(void *ctx, uint64_t now_ms)
{
    trouble_of_servers(ctx, now_ms);
}

static struct stats_sources stats_sources(const struct dnsd *d)
{
    return (struct stats_sources){
        .cache = core_cache(d->core),
        .flights = core_flights(d->core),
        .predict = d->conf->predict ? core_predict(d->core) : NULL,
        .desk = core_desk(d->core),
        .servers = core_servers(d->core),
        .upstream = d->upstream,
    };
}

static const char *on_chaos(void *ctx, const uint8_t *name, size_t name_len)
{
    const struct dnsd *d = ctx;
    struct stats_sources sources = stats_sources(d);
    return stats_chaos(&sources, name, name_len, turn_now_ms(d->turn));
}

static uint32_t on_wall(void *ctx)
{
    (void)ctx;
    return clock_wall_s();
}

/* ---- the core -------------------------------------------------------------------------------- */

static void begin_turn(void *ctx, uint64_t now_ms)
{
    core_begin(ctx, now_ms);
}

static void end_turn(void *ctx, uint64_t now_ms)
{
    core_end_turn(*(struct core **)ctx, now_ms);
}

static uint64_t core_due(void *ctx)
{
    return core_due_ms(ctx);
}

static void core_do(void *ctx, uint64_t now_ms)
{
    core_tick(ctx, now_ms);
}

/* The order of the ends of a turn matters: the core's, which prefetches, comes before that of the
 * exchange, which sends. */
static int start_core(struct dnsd *d)
{
    struct core_conf conf = core_conf(d->conf);
    d->cache_bytes = conf.cache_bytes;
    turn_add_end(d->turn, end_turn, &d->core);
    d->upstream = exchange_open(d->loop, d->turn, d->rng);
    if (d->upstream == NULL)
        return -1;
    struct core_world world = {
        .upstream = d->upstream,
        .rng = d->rng,
        .ctx = d,
        .ended = on_ended,
        .chaos = on_chaos,
        .wall_s = on_wall,
    };
    d->core = core_create(&conf, &world, turn_now_ms(d->turn));
    if (d->core == NULL)
        return -1;
    turn_add_start(d->turn, begin_turn, d->core);
    turn_add_due(d->turn, core_due, core_do, d->core);
    turn_add_due(d->turn, querylog_due, querylog_tick, d);
    turn_add_due(d->turn, servers_due, servers_tick, core_servers(d->core));
    turn_add_due(d->turn, save_due, save_tick, d);
    turn_add_due(d->turn, find_servers_due, find_servers_again, d);
    d->servers_due_ms = UINT64_MAX;
    d->save_due_ms = turn_now_ms(d->turn) + d->conf->predict_save_ms;
    query_set_poison(core_desk(d->core), d->poison);
    return 0;
}

/* As many connections as descriptors allow, with room for listeners, files and upstream sockets. */
static size_t raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return TCP_MAX;
    rlim_t want = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    if (limit.rlim_cur < want) {
        limit.rlim_cur = want;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur / 2 < TCP_MAX ? (size_t)limit.rlim_cur / 2 : TCP_MAX;
}

/* One of our own listeners at the same port that leaves no room for this address; NULL: none. */
static const struct addr *listener_in_the_way(const struct dnsd *d, const struct addr *at)
{
    for (size_t i = 0; i < d->n_udp; i++) {
        const struct addr *own = udp_addr(d->udp[i]);
        if (own->port != at->port || addr_is_ipv4(own) != addr_is_ipv4(at))
            continue;
        if (addr_equal(own, at) || addr_is_unspecified(own) || addr_is_unspecified(at))
            return own;
    }
    return NULL;
}

/* 0, or -1 after telling why, with errno. */
static int listen_at(struct dnsd *d, struct addr at)
{
    char text[ADDR_TEXT_MAX], own_text[ADDR_TEXT_MAX];
    const struct addr *own = listener_in_the_way(d, &at);
    if (own != NULL) {
        addr_format(&at, text);
        addr_format(own, own_text);
        log_error("cannot listen on %s: dnsd itself listens on %s already; one of the two is "
                  "enough",
            text, own_text);
        errno = EADDRINUSE;
        return -1;
    }
    struct udp *u = udp_open(d->loop, d->turn, &at, core_desk(d->core));
    if (u == NULL)
        return -1;
    d->udp[d->n_udp++] = u;
    if (tcp_listen(d->tcp, udp_addr(u), NULL) < 0)
        return -1;
    addr_format(udp_addr(u), text);
    log_info("listening on %s", text);
    return 0;
}

static enum exit_code start_listeners(struct dnsd *d)
{
    const struct conf *c = d->conf;
    size_t connections = raise_descriptors();
    d->tcp_conf = (struct tcp_conf){
        .idle_ms = TCP_IDLE_MS,
        .first_message_ms = TCP_MESSAGE_MS,
        .connections_max = connections,
        .per_client_max = connections / TCP_CLIENT_SHARE + 1,
    };
    d->tcp = tcp_create(d->loop, d->turn, &d->tcp_conf, core_desk(d->core));
    if (d->tcp == NULL) {
        complain_of_memory(d);
        return EXIT_MEMORY;
    }
    for (size_t i = 0; i < c->n_listen; i++) {
        struct addr at = c->listen[i];
        if (at.port == 0)
            at.port = c->port;
        if (c->listen_default && !addr_is_ipv4(&at) && !sockaddr_is_here(&at)) {
            log_info("not listening on ::1: this machine has no IPv6");
            continue;
        }
        if (listen_at(d, at) < 0)
            return errno == ENOMEM ? EXIT_MEMORY : EXIT_NET;
    }
    return EXIT_OK;
}

/* ---- signals --------------------------------------------------------------------------------- */

/* Address by address: what lies between their fields is anybody's guess. */
static bool same_listen(const struct conf *a, const struct conf *b)
{
    if (a->n_listen != b->n_listen)
        return false;
    for (size_t i = 0; i < a->n_listen; i++)
        if (!addr_equal(&a->listen[i], &b->listen[i]))
            return false;
    return true;
}

/* Says which changes wait for a restart: the rows that are marked so in conf.c. */
static void warn_of_restart(const struct dnsd *d, const struct conf *old, const struct conf *new)
{
    const struct {
        const char *option;
        bool changed;
    } at_start[] = {
        {"port", old->port != new->port},
        {"listen", !same_listen(old, new)},
        {"cache-size", old->cache_size_bytes != new->cache_size_bytes},
        {"user", strcmp(old->user, new->user) != 0},
        {"query-log", strcmp(old->query_log, new->query_log) != 0},
        {"sandbox", old->sandbox != new->sandbox},
        /* another directory than the sandbox was told of */
        {"predict-file", d->sandboxed && !sandbox_covers(&d->files, new->predict_file)},
        {"predict-dump", d->sandboxed && !sandbox_covers(&d->files, new->predict_dump)},
    };
    for (size_t i = 0; i < sizeof at_start / sizeof at_start[0]; i++)
        if (at_start[i].changed)
            log_warning("the new -%s takes a restart", at_start[i].option);
}

static void adopt(struct dnsd *d, struct conf_set *s, struct poison *p)
{
    struct poison *old_poison = d->poison;
    struct conf_set *old_conf = d->conf_set;
    warn_of_restart(d, d->conf, conf_values(s));
    d->conf_set = s;
    d->conf = conf_values(s);
    d->poison = p;
    query_set_poison(core_desk(d->core), p);
    uint64_t save_ms = turn_now_ms(d->turn) + d->conf->predict_save_ms;
    if (save_ms < d->save_due_ms)
        d->save_due_ms = save_ms;
    struct core_conf conf = core_conf(d->conf);
    bool predicted = core_predict(d->core) != NULL;
    if (core_reconfigure(d->core, &conf) < 0)
        log_error("prediction stays off: memory is out");
    if (!predicted)
        load_predictions(d);
    conf_free(old_conf);
    poison_free(old_poison);
    watch_resolvconf(d); /* first, so that no change is lost */
    find_servers(d);
}

/* All is read before anything is swapped; a mistake keeps everything as it was. */
static void reload(struct dnsd *d)
{
    enum exit_code code;
    struct poison *p;
    sd_notify(0, "RELOADING=1");
    reader_begin(d->reader);
    struct conf_set *s = read_conf(d, &code);
    if (s != NULL && read_poison(d, conf_values(s), &p, &code) == 0) {
        adopt(d, s, p);
        log_open(d->conf->verbose);
        log_info("reloaded");
    } else {
        conf_free(s);
        log_error("nothing was changed: the configuration that was in force stays");
    }
    if (d->querylog != NULL)
        querylog_reopen(d->querylog);
    sd_notify(0, "READY=1");
}

/* What dnsd can be made to take, whatever clients and servers do. */
static void log_memory(const struct dnsd *d)
{
    const double mib = 1 << 20;
    struct core_conf conf = core_conf(d->conf);
    conf.cache_bytes = d->cache_bytes;
    struct core_bytes core = core_bytes_max(&conf);
    size_t questions = core.questions + exchange_bytes_max(FLIGHT_UDP_OPEN * FLIGHTS_MAX,
                                            FLIGHT_TCP_MAX * FLIGHTS_MAX);
    size_t connections = tcp_bytes_max(&d->tcp_conf, QUERIES_MAX) + d->n_udp * udp_bytes();
    log_info("memory: at most %.1f MiB: cache %.1f, prediction %.1f, questions %.1f, connections "
             "%.1f; the program and its overrides come on top",
        (double)(core.cache + core.prediction + questions + connections) / mib,
        (double)core.cache / mib, (double)core.prediction / mib, (double)questions / mib,
        (double)connections / mib);
}

static void log_stats(struct dnsd *d)
{
    struct stats_sources sources = stats_sources(d);
    stats_log(&sources, turn_now_ms(d->turn));
    log_memory(d);
    dump_predictions(d);
}

static uint64_t stop_due(void *ctx)
{
    const struct dnsd *d = ctx;
    return d->stop_ms != 0 ? d->stop_ms : UINT64_MAX;
}

static void stop_late(void *ctx, uint64_t now_ms)
{
    struct dnsd *d = ctx;
    flights_end(core_flights(d->core), now_ms);
}

static void stop_when_done(void *ctx, uint64_t now_ms)
{
    struct dnsd *d = ctx;
    if (d->stop_ms == 0)
        return;
    if ((query_waiting(core_desk(d->core)) == 0 && tcp_connections(d->tcp) == 0) ||
        now_ms >= d->stop_ms)
        ev_break(d->loop, EVBREAK_ALL);
}

static void stop(struct dnsd *d)
{
    if (d->stop_ms != 0) {
        d->stop_ms = turn_now_ms(d->turn); /* asked twice: at once */
        return;
    }
    sd_notify(0, "STOPPING=1");
    log_info("stopping");
    d->stop_ms = turn_now_ms(d->turn) + STOP_MS;
    for (size_t i = 0; i < d->n_udp; i++)
        udp_stop(d->udp[i]);
    tcp_stop(d->tcp);
}

static void on_signal(void *ctx, int number)
{
    struct dnsd *d = ctx;
    switch (number) {
    case SIGHUP:
        reload(d);
        break;
    case SIGUSR1:
        log_stats(d);
        break;
    case SIGCHLD:
        await_children(d);
        break;
    default:
        stop(d);
    }
}

static int watch_signals(struct dnsd *d)
{
    static const int numbers[] = {SIGHUP, SIGUSR1, SIGCHLD, SIGTERM, SIGINT, 0};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    d->signals = signals_open(d->loop, d->turn, numbers, on_signal, d);
    if (d->signals == NULL) {
        log_error("cannot watch signals: %s", strerror(errno));
        return -1;
    }
    turn_add_due(d->turn, stop_due, stop_late, d);
    turn_add_end(d->turn, stop_when_done, d);
    await_children(d); /* whose signal came before somebody listened */
    return 0;
}

/* ---- start and end --------------------------------------------------------------------------- */

static void print_help(void)
{
    const char *group = "";
    printf("usage: dnsd [-forward [SERVER]] [-poison FILE] [-predict] [option ...]\n");
    for (size_t i = 0; i < conf_n_rows(); i++) {
        const struct conf_row *row = conf_row(i);
        char left[64];
        if (strcmp(group, row->group) != 0)
            printf("\n%s:\n", row->group);
        group = row->group;
        snprintf(left, sizeof left, "-%s%s%s", row->name, row->argument != NULL ? " " : "",
            row->argument != NULL ? row->argument : "");
        printf("  %-30s %s", left, row->help);
        if (row->fallback != NULL)
            printf(" [%s]", row->fallback);
        printf("\n");
    }
    printf("\nThe manual is dnsd(8); try: dnsd -port 5353 -predict-window 2\n");
}

static int start_loop(struct dnsd *d)
{
    ev_set_allocator(loop_memory);
    ev_set_syserr_cb(loop_trouble);
    /* No environment chooses the calls of the loop: the sandbox allows those of epoll. */
    d->loop = ev_loop_new(EVFLAG_NOENV);
    d->turn = d->loop != NULL ? turn_create(d->loop) : NULL;
    return d->turn != NULL ? 0 : -1;
}

/* Of a process that cannot be started or shut in. */
static enum exit_code code_of(int error)
{
    if (error == ENOMEM || error == EAGAIN)
        return EXIT_MEMORY;
    return error == EINVAL ? EXIT_CONF : EXIT_NET;
}

/* The reader is made before anything else, while there is little memory for it to keep. */
static int start_reader(struct dnsd *d)
{
    log_open(false);
    /* Who starts us may ignore it, and then no child could be waited for. */
    signal(SIGCHLD, SIG_DFL);
    if (d->conf->sandbox == CONF_SANDBOX_OFF)
        return 0;
    d->reader = reader_start(d->argc, d->argv, d->conf);
    return d->reader != NULL ? 0 : -1;
}

static enum exit_code enter_sandbox(struct dnsd *d)
{
    if (d->reader == NULL)
        return EXIT_OK;
    snprintf(d->files.replaced[0], sizeof d->files.replaced[0], "%s", d->conf->predict_file);
    snprintf(d->files.replaced[1], sizeof d->files.replaced[1], "%s", d->conf->predict_dump);
    snprintf(d->files.appended, sizeof d->files.appended, "%s", d->conf->query_log);
    if (sandbox_exposes(&d->files, d->conf->config))
        log_warning("%s is where dnsd writes: who gets into it can have any file opened there",
            d->conf->config);
    if (sandbox_enter(SANDBOX_SERVER, &d->files) < 0)
        return code_of(errno);
    d->sandboxed = true;
    return EXIT_OK;
}

static enum exit_code start(struct dnsd *d)
{
    enum exit_code code;
    randombytes_buf(d->seed, sizeof d->seed);
    d->rng = rng_create(d->seed);
    randombytes_buf(d->seed, sizeof d->seed); /* the hashes have another one */
    d->querylog_due_ms = UINT64_MAX;
    if (d->rng == NULL || start_loop(d) < 0 || start_core(d) < 0) {
        complain_of_memory(d);
        return EXIT_MEMORY;
    }
    if ((code = start_listeners(d)) != EXIT_OK)
        return code;
    for (size_t i = 0; i < d->conf->n_servers; i++) {
        if (is_self(d, &d->conf->servers[i])) {
            log_error("-forward names dnsd itself");
            return EXIT_CONF;
        }
    }
    watch_resolvconf(d); /* first, so that no change is lost */
    find_servers(d);
    if (watch_signals(d) < 0)
        return errno == ENOMEM ? EXIT_MEMORY : EXIT_NET;
    if (privilege_drop(d->conf->user) < 0)
        return EXIT_CONF;
    warn_of_unwritable(d->conf->predict_file);
    warn_of_unwritable(d->conf->predict_dump);
    /* As the user who opens it anew after each rotation. */
    if (d->conf->query_log[0] != '\0' && (d->querylog = querylog_open(d->conf->query_log)) == NULL)
        return errno == ENOMEM ? EXIT_MEMORY : EXIT_FILE;
    code = enter_sandbox(d);
    if (code == EXIT_OK)
        load_predictions(d); /* whoever may write that file is not root */
    return code;
}

static void end(struct dnsd *d)
{
    if (d->core != NULL)
        flights_end(core_flights(d->core), turn_now_ms(d->turn));
    resolvconf_unwatch(d->watch);
    signals_close(d->signals);
    tcp_free(d->tcp);
    for (size_t i = 0; i < d->n_udp; i++)
        udp_close(d->udp[i]);
    querylog_close(d->querylog);
    core_free(d->core, 0);
    exchange_close(d->upstream);
    poison_free(d->poison);
    turn_free(d->turn);
    if (d->loop != NULL)
        ev_loop_destroy(d->loop);
    rng_free(d->rng);
    reader_stop(d->reader);
    conf_free(d->conf_set);
}

static enum exit_code run(struct dnsd *d)
{
    d->running = true;
    log_open(d->conf->verbose);
    log_info("dnsd %s starts", DNSD_VERSION);
    enum exit_code code = start(d);
    if (code != EXIT_OK)
        return code;
    sd_notify(0, "READY=1");
    ev_run(d->loop, 0);
    save_predictions(d);
    log_info("ended");
    return EXIT_OK;
}

/* Whether a path that is to be written lies in a directory. (Whether its user may write there shows
 * at the start.) */
static bool has_directory(const struct dnsd *d, const char *option, const char *path)
{
    struct origin o = {.d = d};
    char what[CONF_PATH_MAX + 32];
    if (path[0] == '\0' || strcmp(path, "-") == 0 || savefile_check(path) == 0 || errno == EACCES)
        return true;
    snprintf(what, sizeof what, "-%s %s", option, path);
    complain(&o, 0, what, strerror(errno));
    return false;
}

/* What -check-config looks at besides what the files say. */
static enum exit_code check_surroundings(const struct dnsd *d)
{
    const struct conf *c = d->conf;
    struct resolvconf_servers r;
    bool good = has_directory(d, "predict-file", c->predict_file);
    good &= has_directory(d, "predict-dump", c->predict_dump);
    good &= has_directory(d, "query-log", c->query_log);
    if (c->user[0] != '\0' && !privilege_has_user(c->user)) {
        fprintf(stderr, "dnsd: -user %s: there is no such user\n", c->user);
        good = false;
    }
    if (c->forward && c->n_servers == 0 && resolvconf_read(c->resolv_file, &r, NULL, NULL) < 0)
        fprintf(stderr, "dnsd: %s: %s (there would be no server until it comes)\n", c->resolv_file,
            strerror(errno));
    if (good)
        printf("dnsd: no mistakes\n");
    return good ? EXIT_OK : EXIT_CONF;
}

/* What the command line asks for that is done without starting. */
static bool answered_at_once(const struct conf *c)
{
    if (c->help)
        print_help();
    else if (c->version)
        printf("dnsd %s\n", DNSD_VERSION);
    return c->help || c->version;
}

int main(int argc, char **argv)
{
    static struct dnsd d;
    enum exit_code code = EXIT_OK;
    d.argc = argc;
    d.argv = (const char *const *)argv;
    if (sodium_init() < 0) {
        fprintf(stderr, "dnsd: libsodium cannot start: %s\n", strerror(errno));
        return EXIT_MEMORY;
    }
    randombytes_buf(d.seed, sizeof d.seed);
    d.conf_set = read_conf(&d, &code);
    if (d.conf_set == NULL)
        return (int)code;
    d.conf = conf_values(d.conf_set);
    code = EXIT_OK;
    if (answered_at_once(d.conf))
        goto out;
    if (!d.conf->forward && d.conf->poison[0] == '\0') {
        fprintf(stderr, "dnsd: nothing to do: give -forward, -predict or -poison FILE; "
                        "dnsd -help lists the options\n");
        /* In a file it is a mistake like others there, and no reason to try again. */
        code = d.conf->config[0] != '\0' ? EXIT_CONF : EXIT_NET;
    } else if (d.conf->check_config) {
        if (read_poison(&d, d.conf, &d.poison, &code) == 0)
            code = check_surroundings(&d);
    } else if (start_reader(&d) < 0) {
        code = code_of(errno);
    } else if (read_poison(&d, d.conf, &d.poison, &code) == 0) {
        code = run(&d);
    }
out:
    end(&d);
    return (int)code;
}
