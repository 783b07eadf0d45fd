/* dnsd.c: arguments, start order, who gets which pointer, the loop, signals, reload and the end.
 * Knows every module by its door; never a DNS rule. */
#include "conf.h"
#include "core.h"
#include "net/clock.h"
#include "net/exchange.h"
#include "net/loop.h"
#include "net/signals.h"
#include "net/sockaddr.h"
#include "net/tcp.h"
#include "net/turn.h"
#include "net/udp.h"
#include "ops/config.h"
#include "ops/forward.h"
#include "ops/learned.h"
#include "ops/log.h"
#include "ops/privilege.h"
#include "ops/querylog.h"
#include "ops/reader.h"
#include "ops/sandbox.h"
#include "ops/stats.h"
#include "ops/trouble.h"
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
#include <systemd/sd-daemon.h>

#define ONCE_MAX_MS      2000 /* longest hold of a prefetched answer with TTL 0 */
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

struct dnsd {
    struct config config; /* its reader is set once we may open nothing ourselves */
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
    struct forward forward;
    struct signals *signals;
    struct learned learned;
    struct reader *reader;      /* NULL: without a sandbox */
    struct sandbox_files files; /* as they were when it was entered */
    uint64_t save_due_ms;       /* when the predict-file is to be written next */
    uint64_t stop_ms;           /* when the end may wait no longer; 0: not ending */
};

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

/* ---- ourselves as a server ------------------------------------------------------------------- */

/* Whether asking this server would be asking ourselves. */
static bool is_self(void *ctx, const struct addr *server)
{
    const struct dnsd *d = ctx;
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

static bool forwards_to_itself(struct dnsd *d)
{
    for (size_t i = 0; i < d->conf->n_servers; i++)
        if (is_self(d, &d->conf->servers[i]))
            return true;
    return false;
}

/* ---- what was learned, over a restart -------------------------------------------------------- */

static void load_learned(struct dnsd *d)
{
    struct predict *p = core_predict(d->core);
    const char *path = d->conf->predict_file;
    if (p != NULL && path[0] != '\0')
        learned_load(p, path, config_open(&d->config, path));
}

static uint64_t save_due(void *ctx)
{
    return ((const struct dnsd *)ctx)->save_due_ms;
}

static void save_tick(void *ctx, uint64_t now_ms)
{
    struct dnsd *d = ctx;
    d->save_due_ms = now_ms + d->conf->predict_save_ms;
    learned_save(&d->learned, core_predict(d->core), d->conf->predict_file);
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
    turn_add_due(d->turn, forward_due_ms, forward_again, &d->forward);
    d->forward = (struct forward){
        .loop = d->loop,
        .turn = d->turn,
        .servers = core_servers(d->core),
        .config = &d->config,
        .ctx = d,
        .is_self = is_self,
        .due_ms = UINT64_MAX,
    };
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

/* 0, or -1 after telling why, with errno. */
static int listen_at(struct dnsd *d, struct addr at)
{
    char text[ADDR_TEXT_MAX];
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
        config_complain(&d->config, "", "memory is out");
        return EXIT_MEMORY;
    }
    for (size_t i = 0; i < c->n_listen; i++) {
        struct addr at = conf_listen_addr(c, i);
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

/* Whether it lies in another directory than the sandbox was told of. */
static bool is_out_of_reach(const struct dnsd *d, const char *path)
{
    return d->config.reader != NULL && !sandbox_covers(&d->files, path);
}

/* Says which changes wait for a restart. */
static void warn_of_restart(const struct dnsd *d, const struct conf *old, const struct conf *new)
{
    for (size_t i = 0; i < conf_n_rows(); i++)
        if (conf_row(i)->at_start_only && conf_differs(i, old, new))
            log_warning("the new -%s takes a restart", conf_row(i)->name);
    if (is_out_of_reach(d, new->predict_file))
        log_warning("the new -predict-file takes a restart");
    if (is_out_of_reach(d, new->predict_dump))
        log_warning("the new -predict-dump takes a restart");
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
        load_learned(d);
    forward_use(&d->forward, d->conf);
    conf_free(old_conf);
    poison_free(old_poison);
}

/* All is read before anything is swapped; a mistake keeps everything as it was. */
static void reload(struct dnsd *d)
{
    enum exit_code code;
    struct poison *p;
    sd_notify(0, "RELOADING=1");
    reader_begin(d->reader);
    struct conf_set *s = config_read(&d->config, &code);
    if (s != NULL && config_read_poison(&d->config, conf_values(s), d->seed, &p, &code) == 0) {
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
    learned_dump(&d->learned, core_predict(d->core), d->conf->predict_dump);
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

static void await_children(struct dnsd *d)
{
    reader_look(d->reader);
    learned_await(&d->learned);
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
    d->reader = reader_start(d->config.argc, d->config.argv, d->conf);
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
    d->config.reader = d->reader;
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
        config_complain(&d->config, "", "memory is out");
        return EXIT_MEMORY;
    }
    if ((code = start_listeners(d)) != EXIT_OK)
        return code;
    if (forwards_to_itself(d)) {
        log_error("-forward names dnsd itself");
        return EXIT_CONF;
    }
    forward_use(&d->forward, d->conf);
    if (watch_signals(d) < 0)
        return errno == ENOMEM ? EXIT_MEMORY : EXIT_NET;
    if (privilege_drop(d->conf->user) < 0)
        return EXIT_CONF;
    learned_check(d->conf->predict_file);
    learned_check(d->conf->predict_dump);
    /* As the user who opens it anew after each rotation. */
    if (d->conf->query_log[0] != '\0' && (d->querylog = querylog_open(d->conf->query_log)) == NULL)
        return errno == ENOMEM ? EXIT_MEMORY : EXIT_FILE;
    code = enter_sandbox(d);
    if (code == EXIT_OK)
        load_learned(d); /* whoever may write that file is not root */
    return code;
}

/* Whoever asks from here on hears at once that nobody is there. */
static void close_listeners(struct dnsd *d)
{
    if (d->core != NULL)
        flights_end(core_flights(d->core), turn_now_ms(d->turn));
    tcp_free(d->tcp);
    d->tcp = NULL;
    while (d->n_udp > 0)
        udp_close(d->udp[--d->n_udp]);
}

static void end(struct dnsd *d)
{
    forward_close(&d->forward);
    signals_close(d->signals);
    close_listeners(d);
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
    d->config.running = true;
    log_open(d->conf->verbose);
    log_info("dnsd %s starts", DNSD_VERSION);
    enum exit_code code = start(d);
    if (code != EXIT_OK)
        return code;
    sd_notify(0, "READY=1");
    ev_run(d->loop, 0);
    close_listeners(d); /* the disk may keep us waiting */
    learned_save_last(&d->learned, core_predict(d->core), d->conf->predict_file, STOP_MS);
    log_info("ended");
    return EXIT_OK;
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
    d.config.argc = argc;
    d.config.argv = (const char *const *)argv;
    if (sodium_init() < 0) {
        fprintf(stderr, "dnsd: libsodium cannot start: %s\n", strerror(errno));
        return EXIT_MEMORY;
    }
    randombytes_buf(d.seed, sizeof d.seed);
    d.conf_set = config_read(&d.config, &code);
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
        if (config_read_poison(&d.config, d.conf, d.seed, &d.poison, &code) == 0)
            code = config_check(&d.config, d.conf);
    } else if (start_reader(&d) < 0) {
        code = code_of(errno);
    } else if (config_read_poison(&d.config, d.conf, d.seed, &d.poison, &code) == 0) {
        code = run(&d);
    }
out:
    end(&d);
    return (int)code;
}
