/* stats.c: knows which figures there are and how they read.
 * Never counts anything itself, and never changes what it reads. */
#include "ops/stats.h"

#include "ops/log.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MIB 1048576.0

/* Text that grows to a bound; what does not fit is left out as a whole. */
struct text {
    char *at;
    size_t left; /* with the NUL */
};

__attribute__((format(printf, 2, 3))) static bool put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= t->left) {
        t->at[0] = '\0';
        return false;
    }
    t->at += n;
    t->left -= (size_t)n;
    return true;
}

static uint64_t percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : part * 100 / whole;
}

/* ---- the log --------------------------------------------------------------------------------- */

static void log_desk(const struct query_desk *desk)
{
    struct query_counts c;
    query_count(desk, &c);
    const uint64_t *by = c.by_source;
    log_info("questions: %" PRIu64 " over UDP, %" PRIu64 " over TCP; %zu waiting; %" PRIu64
             " repeated, %" PRIu64 " over a client's limit, %" PRIu64 " answered too late",
        c.udp, c.tcp, c.waiting, c.repeats, c.over_limit, c.late);
    log_info("answered from: cache %" PRIu64 ", stale %" PRIu64 ", upstream %" PRIu64
             ", overrides %" PRIu64 ", special names %" PRIu64 ", own names %" PRIu64
             "; rejected %" PRIu64 ", failed %" PRIu64 ", dropped %" PRIu64,
        by[QUERY_CACHE], by[QUERY_STALE], by[QUERY_UPSTREAM], by[QUERY_OVERRIDE], by[QUERY_SPECIAL],
        by[QUERY_CHAOS], by[QUERY_REJECTED], by[QUERY_FAILED], by[QUERY_DROPPED]);
}

static void log_cache(const struct cache *cache)
{
    struct cache_counts c;
    cache_count(cache, &c);
    log_info("cache: %zu answers, %.1f of %.1f MiB; %" PRIu64 " hits, %" PRIu64 " misses (%" PRIu64
             " %% hits); %" PRIu64 " stored, %" PRIu64 " evicted",
        c.entries, (double)c.bytes_used / MIB, (double)c.bytes_budget / MIB, c.hits, c.misses,
        percent(c.hits, c.hits + c.misses), c.insertions, c.evictions);
}

static void log_flights(const struct flights *flights)
{
    struct flight_counts c;
    flight_count(flights, &c);
    log_info("upstream: %" PRIu64 " questions, %" PRIu64 " of them prefetches; %" PRIu64
             " joined, %" PRIu64 " shed, %" PRIu64 " failed, %" PRIu64
             " stale; %zu under way, %zu of them prefetches",
        c.started, c.prefetched, c.joined, c.shed, c.failed, c.stale, c.under_way, c.speculative);
    log_info("upstream messages: %" PRIu64 " over UDP, %" PRIu64 " over TCP; %" PRIu64
             " suspected forgeries, %" PRIu64 " answers with private addresses refused",
        c.udp_sent, c.tcp_sent, c.forged, c.rebound);
}

static void log_sockets(const struct upstream *upstream)
{
    struct exchange_counts c;
    exchange_count(upstream, &c);
    log_info("upstream sockets: %" PRIu64 " over UDP, %zu open; %" PRIu64
             " connections over TCP, %zu open; %" PRIu64 " datagrams thrown away",
        c.udp_sockets, c.udp_open, c.tcp_connections, c.tcp_open, c.udp_thrown_away);
}

static void log_servers(const struct servers *servers, uint64_t now_ms)
{
    struct server_state state;
    char address[ADDR_TEXT_MAX];
    for (size_t i = 0; servers_state(servers, i, now_ms, &state) == 0; i++) {
        addr_format(&state.addr, address);
        log_info("server %s: %" PRIu64 " asked, %" PRIu64 " answered, %" PRIu64 " silent, %" PRIu64
                 " refused; %" PRIu64 " ms%s",
            address, state.asked, state.answered, state.silent, state.refused, state.srtt_ms,
            state.left_alone ? "; left alone for now" : "");
    }
}

static double extra_percent(const struct predict_counts *c)
{
    double extra = (double)c->unused + (double)c->early;
    return c->own == 0 ? 0 : 100 * extra / (double)c->own;
}

static void log_waits(const char *group, const struct predict_waits *w)
{
    double mean_ms = w->questions == 0 ? 0 : (double)w->waiting_ms / (double)w->questions;
    log_info("prediction, %s: %" PRIu64 " questions after the first, in %" PRIu64
             " bursts; %" PRIu64 " of them waited (%" PRIu64 " %%), %.1f ms a question",
        group, w->questions, w->bursts, w->waits, percent(w->waits, w->questions), mean_ms);
}

/* Without a control group there is nothing to compare with. */
static void log_measured(const struct predict_counts *c)
{
    log_waits("bursts with prefetch", &c->waits[PREDICT_TREATED]);
    if (c->waits[PREDICT_CONTROL].bursts == 0)
        return;
    log_waits("control bursts without", &c->waits[PREDICT_CONTROL]);
    log_info("prediction, measured against the control bursts: %" PRId64 " ms of waiting saved",
        c->measured_ms);
}

static void log_predict(const struct predict *predict)
{
    struct predict_counts c;
    predict_count(predict, &c);
    log_info("prediction: %" PRIu64 " prefetches for %" PRIu64 " questions: %" PRIu64
             " used in time, %" PRIu64 " used late, %" PRIu64 " unused, %" PRIu64
             " not sent; %" PRIu64 " ms of waiting saved",
        c.prefetches, c.requests, c.used, c.used_late, c.unused, c.shed, c.saved_ms);
    log_info("prediction costs: %.1f %% more questions upstream than the clients' own %" PRIu64
             ": %" PRIu64 " unused, %" PRIu64 " where an early copy expired early",
        extra_percent(&c), c.own, c.unused, c.early);
    log_measured(&c);
    log_info("prediction knows: %zu dependencies of %zu triggers, %zu windows open, %zu bytes; "
             "%" PRIu64 " questions not learned from",
        c.pairs, c.triggers, c.windows_open, c.bytes, c.unlisted);
}

void stats_log(const struct stats_sources *s, uint64_t now_ms)
{
    if (s->desk != NULL)
        log_desk(s->desk);
    if (s->cache != NULL)
        log_cache(s->cache);
    if (s->flights != NULL)
        log_flights(s->flights);
    if (s->upstream != NULL)
        log_sockets(s->upstream);
    if (s->servers != NULL)
        log_servers(s->servers, now_ms);
    if (s->predict != NULL)
        log_predict(s->predict);
}

/* ---- CH TXT ---------------------------------------------------------------------------------- */

typedef void chaos_text(const struct stats_sources *s, uint64_t now_ms, struct text *t);

static void put_version(const struct stats_sources *s, uint64_t now_ms, struct text *t)
{
    (void)s, (void)now_ms;
    put(t, "dnsd " DNSD_VERSION);
}

static void put_hostname(const struct stats_sources *s, uint64_t now_ms, struct text *t)
{
    char name[HOST_NAME_MAX + 1] = "";
    (void)s, (void)now_ms;
    (void)gethostname(name, sizeof(name) - 1); /* the last byte stays NUL */
    put(t, "%s", name);
}

static struct cache_counts cache_counts(const struct stats_sources *s)
{
    struct cache_counts c = {0};
    if (s->cache != NULL)
        cache_count(s->cache, &c);
    return c;
}

static void put_hits(const struct stats_sources *s, uint64_t now_ms, struct text *t)
{
    (void)now_ms;
    put(t, "%" PRIu64, cache_counts(s).hits);
}

static void put_misses(const struct stats_sources *s, uint64_t now_ms, struct text *t)
{
    (void)now_ms;
    put(t, "%" PRIu64, cache_counts(s).misses);
}

static void put_insertions(const struct stats_sources *s, uint64_t now_ms, struct text *t)
{
    (void)now_ms;
    put(t, "%" PRIu64, cache_counts(s).insertions);
}

static void put_evictions(const struct stats_sources *s, uint64_t now_ms, struct text *t)
{
    (void)now_ms;
    put(t, "%" PRIu64, cache_counts(s).evictions);
}

static void put_cachesize(const struct stats_sources *s, uint64_t now_ms, struct text *t)
{
    (void)now_ms;
    put(t, "%zu", cache_counts(s).bytes_budget);
}

static void put_servers(const struct stats_sources *s, uint64_t now_ms, struct text *t)
{
    struct server_state state;
    char ip[ADDR_TEXT_MAX];
    if (s->servers == NULL)
        return;
    for (size_t i = 0; servers_state(s->servers, i, now_ms, &state) == 0; i++) {
        addr_format_ip(&state.addr, ip);
        if (!put(t, "%s%s#%u %" PRIu64 " %" PRIu64, i > 0 ? ", " : "", ip,
                (unsigned)state.addr.port, state.asked, state.silent + state.refused))
            return;
    }
}

static void put_predict(const struct stats_sources *s, uint64_t now_ms, struct text *t)
{
    struct predict_counts c;
    (void)now_ms;
    if (s->predict == NULL) {
        put(t, "off");
        return;
    }
    predict_count(s->predict, &c);
    put(t,
        "prefetches %" PRIu64 ", used %" PRIu64 ", late %" PRIu64 ", unused %" PRIu64
        ", saved %" PRIu64 " ms, pairs %zu, bytes %zu",
        c.prefetches, c.used, c.used_late, c.unused, c.saved_ms, c.pairs, c.bytes);
    put(t, ", extra %.1f %%", extra_percent(&c));
    if (c.waits[PREDICT_CONTROL].bursts > 0)
        put(t, ", measured %" PRId64 " ms", c.measured_ms);
}

static const struct {
    const char *name;
    chaos_text *put;
} chaos_names[] = {
    {"version.bind", put_version},
    {"version.server", put_version},
    {"hostname.bind", put_hostname},
    {"id.server", put_hostname},
    {"hits.bind", put_hits},
    {"misses.bind", put_misses},
    {"cachesize.bind", put_cachesize},
    {"insertions.bind", put_insertions},
    {"evictions.bind", put_evictions},
    {"servers.bind", put_servers},
    {"predict.bind", put_predict},
};

const char *stats_chaos(
    const struct stats_sources *s, const uint8_t *name, size_t name_len, uint64_t now_ms)
{
    static char text[STATS_TEXT_MAX + 1];
    uint8_t lower[WIRE_NAME_MAX];
    char asked[WIRE_NAME_TEXT_MAX];
    if (name_len > sizeof(lower))
        return NULL;
    wire_name_lower(name, name_len, lower);
    wire_name_text(lower, name_len, asked);
    for (size_t i = 0; i < sizeof(chaos_names) / sizeof(chaos_names[0]); i++) {
        if (strcmp(asked, chaos_names[i].name) != 0)
            continue;
        struct text t = {.at = text, .left = sizeof(text)};
        text[0] = '\0';
        chaos_names[i].put(s, now_ms, &t);
        return text;
    }
    return NULL;
}
