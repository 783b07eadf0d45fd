/* server.c: the upstream servers: their round trips, silences and abilities, and which is best to
 * ask. Knows no socket and no message; what it is told are outcomes, at a time that is handed in.
 *
 * The choice. Each server has a smoothed round trip (RFC 6298). Asked is the one with the smallest,
 * where each silence in a row counts as another SILENCE_PENALTY_MS and a server that was never
 * heard counts as UNKNOWN_RTT_MS; among equals the one that stands first in the list. Every
 * EXPLORE_EVERY-th time it is the one that was asked longest ago instead, so that a server that
 * became faster is found. A server that was silent SERVER_SILENCES_MAX times in a row, or where
 * nobody is, is left alone for a while that doubles from ALONE_MIN_MS to ALONE_MAX_MS; when that is
 * over, a single question probes it. */
#include "server.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS              (2 * SERVERS_MAX) /* as many as a mask of 32 bits has, see servers_pick */
#define TIMEOUT_FIRST_MS   600               /* while nothing is known */
#define TIMEOUT_MIN_MS     300 /* a forwarder's round trip jumps with what its cache lacks */
#define TIMEOUT_MAX_MS     1500
#define UNKNOWN_RTT_MS     400
#define SILENCE_PENALTY_MS 400
#define ALONE_MIN_MS       1000
#define ALONE_MAX_MS       60000
#define EXPLORE_EVERY      100
#define ABILITY_RETRY_MS   (3600 * 1000)

struct server {
    struct addr addr;
    bool in_use; /* the slot holds a server */
    bool listed; /* and it is on the list */
    bool trust_ad;
    bool heard; /* at least one round trip was measured */
    bool gives_cookies;
    bool has_edns;        /* a reply of it had an OPT record */
    unsigned rank;        /* place in the list */
    uint64_t unlisted_ms; /* when it was taken off the list */
    uint32_t srtt_8ms;    /* smoothed round trip, in eighths of a millisecond */
    uint32_t rttvar_4ms;  /* its variation, in quarters */
    unsigned silences;    /* in a row */
    uint64_t alone_until_ms;
    bool probing;          /* its time alone is over, and one question was sent to see */
    uint64_t alone_for_ms; /* how long the last time was; 0: never, or heard since */
    uint64_t picked_at;    /* number of the pick that chose it last */
    uint64_t no_edns_until_ms;
    uint64_t no_case_until_ms;
    uint8_t cookie[SERVER_COOKIE_MAX]; /* client part, then the server's */
    size_t cookie_len;
    uint8_t source[16];     /* our address that it sees */
    uint64_t source_due_ms; /* when to look for it again */
    uint32_t sources;       /* how many it saw */
    uint64_t asked, answered, silent, refused;
    bool nobody_there; /* why it is left alone: refused, not silent */
    bool told_gone;    /* the log's last word: it is left alone */
    bool tell_no_edns, tell_no_case;
    uint64_t tell_from_ms; /* when its going may be told again */
};

struct servers {
    struct server slot[SLOTS];
    size_t n_listed;
    uint64_t picks;
    uint64_t news_ms; /* when servers_news may have something */
    uint8_t seed[SERVER_SEED_LEN];
};

struct servers *servers_create(const uint8_t seed[SERVER_SEED_LEN])
{
    struct servers *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    memcpy(s->seed, seed, SERVER_SEED_LEN);
    s->news_ms = SERVER_NO_NEWS;
    return s;
}

void servers_free(struct servers *s)
{
    free(s);
}

static int find(const struct servers *s, const struct addr *addr)
{
    for (int i = 0; i < SLOTS; i++)
        if (s->slot[i].in_use && addr_equal(&s->slot[i].addr, addr))
            return i;
    return -1;
}

/* A slot for a new server: an empty one, else the one whose server left the list first and long
 * enough ago. There are twice as many slots as servers, so it takes more than SERVERS_MAX changes
 * within SERVER_KEPT_MS to find none. */
static int find_room(const struct servers *s, uint64_t now_ms)
{
    int best = -1;
    for (int i = 0; i < SLOTS; i++) {
        const struct server *v = &s->slot[i];
        if (!v->in_use)
            return i;
        if (v->listed || now_ms - v->unlisted_ms < SERVER_KEPT_MS)
            continue;
        if (best < 0 || v->unlisted_ms < s->slot[best].unlisted_ms)
            best = i;
    }
    return best;
}

/* The client part of the cookie (RFC 9018 3): the same for a server while it sees the same address
 * of ours. Who comes back to an address is not recognised either. */
static void start_cookie(const struct servers *s, struct server *v)
{
    uint8_t text[38];
    memcpy(text, v->addr.ip, 16);
    text[16] = (uint8_t)(v->addr.port >> 8);
    text[17] = (uint8_t)v->addr.port;
    memcpy(text + 18, v->source, 16);
    memcpy(text + 34, &v->sources, sizeof v->sources);
    crypto_shorthash(v->cookie, text, sizeof text, s->seed);
    v->cookie_len = SERVER_CLIENT_COOKIE_LEN;
    v->gives_cookies = false;
}

void servers_set(struct servers *s, const struct server_conf *list, size_t n, uint64_t now_ms)
{
    for (int i = 0; i < SLOTS; i++) {
        if (s->slot[i].listed)
            s->slot[i].unlisted_ms = now_ms;
        s->slot[i].listed = false;
    }
    s->n_listed = 0;
    for (size_t k = 0; k < n && s->n_listed < SERVERS_MAX; k++) {
        int i = find(s, &list[k].addr);
        if (i >= 0 && s->slot[i].listed)
            continue; /* named twice */
        if (i < 0 && (i = find_room(s, now_ms)) < 0)
            continue;
        struct server *v = &s->slot[i];
        if (!v->in_use || !addr_equal(&v->addr, &list[k].addr)) {
            memset(v, 0, sizeof *v);
            v->addr = list[k].addr;
            v->in_use = true;
            start_cookie(s, v);
        }
        v->listed = true;
        v->trust_ad = list[k].trust_ad;
        v->rank = (unsigned)s->n_listed++;
    }
    s->news_ms = now_ms; /* one that came back to the list may have changed meanwhile */
}

size_t servers_count(const struct servers *s)
{
    return s->n_listed;
}

bool servers_has_other(const struct servers *s, uint32_t tried)
{
    for (int i = 0; i < SLOTS; i++)
        if (s->slot[i].listed && (tried >> i & 1) == 0)
            return true;
    return false;
}

static bool is_gone(const struct server *v)
{
    return v->alone_for_ms > 0;
}

/* ---- the choice ------------------------------------------------------------------------------ */

static uint64_t cost_ms(const struct server *v)
{
    uint64_t rtt = v->heard ? v->srtt_8ms / 8 : UNKNOWN_RTT_MS;
    return rtt + (uint64_t)v->silences * SILENCE_PENALTY_MS;
}

static bool better(const struct server *a, const struct server *b, bool explore)
{
    if (explore && a->picked_at != b->picked_at)
        return a->picked_at < b->picked_at;
    if (cost_ms(a) != cost_ms(b))
        return cost_ms(a) < cost_ms(b);
    return a->rank < b->rank;
}

enum trouble { NO_TROUBLE, PROBES, ANY_TROUBLE };

/* Which of the troubled servers take part: none, those whose time alone is over, or all. */
static int best_of(
    const struct servers *s, uint32_t tried, enum trouble trouble, bool explore, uint64_t now_ms)
{
    int best = -1;
    size_t n_left = s->n_listed;
    for (int i = 0; i < SLOTS && n_left > 0; i++) {
        const struct server *v = &s->slot[i];
        if (!v->listed)
            continue;
        n_left--;
        if ((tried >> i & 1) != 0)
            continue;
        if (trouble != ANY_TROUBLE && v->alone_until_ms > now_ms)
            continue;
        if (trouble == NO_TROUBLE && is_gone(v))
            continue;
        if (best < 0 || better(v, &s->slot[best], explore))
            best = i;
    }
    return best;
}

int servers_pick(struct servers *s, uint32_t tried, uint64_t now_ms)
{
    bool explore = tried == 0 && ++s->picks % EXPLORE_EVERY == 0;
    int i = best_of(s, tried, PROBES, explore, now_ms);
    if (i < 0)
        i = best_of(s, tried, ANY_TROUBLE, false, now_ms);
    if (i < 0 && tried != 0)
        i = best_of(s, 0, ANY_TROUBLE, false, now_ms);
    if (i < 0)
        return -1;
    struct server *v = &s->slot[i];
    v->picked_at = s->picks;
    v->asked++;
    if (is_gone(v) && v->alone_until_ms <= now_ms) {
        v->alone_until_ms = now_ms + ALONE_MIN_MS; /* this question is the probe */
        v->probing = true;
    }
    return i;
}

int servers_pick_sound(struct servers *s, uint64_t now_ms)
{
    int i = best_of(s, 0, NO_TROUBLE, false, now_ms);
    if (i >= 0)
        s->slot[i].asked++;
    return i;
}

bool server_is_sound(const struct servers *s, int server)
{
    return s->slot[server].heard && !is_gone(&s->slot[server]);
}

const struct addr *server_addr(const struct servers *s, int server)
{
    return &s->slot[server].addr;
}

bool server_trusts_ad(const struct servers *s, int server)
{
    return s->slot[server].trust_ad;
}

/* ---- news ------------------------------------------------------------------------------------ */

static void expect_news(struct servers *s, uint64_t at_ms)
{
    if (at_ms < s->news_ms)
        s->news_ms = at_ms;
}

uint64_t servers_news_ms(const struct servers *s)
{
    return s->news_ms;
}

static enum server_news_kind tell_state(struct server *v, uint64_t now_ms)
{
    v->told_gone = is_gone(v);
    if (!v->told_gone)
        return SERVER_CAME_BACK;
    v->tell_from_ms = now_ms + SERVER_NEWS_EVERY_MS;
    return v->nobody_there ? SERVER_NOBODY_THERE : SERVER_FELL_SILENT;
}

static bool news_of(struct servers *s, struct server *v, uint64_t now_ms, struct server_news *out)
{
    out->addr = v->addr;
    if (v->tell_no_edns) {
        v->tell_no_edns = false;
        out->kind = SERVER_WITHOUT_EDNS;
        return true;
    }
    if (v->tell_no_case) {
        v->tell_no_case = false;
        out->kind = SERVER_WITHOUT_CASE;
        return true;
    }
    if (is_gone(v) == v->told_gone)
        return false;
    if (is_gone(v) && v->tell_from_ms > now_ms) {
        expect_news(s, v->tell_from_ms);
        return false;
    }
    out->kind = tell_state(v, now_ms);
    return true;
}

bool servers_news(struct servers *s, uint64_t now_ms, struct server_news *out)
{
    if (s->news_ms > now_ms)
        return false;
    s->news_ms = SERVER_NO_NEWS;
    for (int i = 0; i < SLOTS; i++) {
        if (!s->slot[i].listed || !news_of(s, &s->slot[i], now_ms, out))
            continue;
        s->news_ms = now_ms; /* there may be more */
        return true;
    }
    return false;
}

/* ---- outcomes -------------------------------------------------------------------------------- */

uint64_t server_timeout_ms(const struct servers *s, int server)
{
    const struct server *v = &s->slot[server];
    if (!v->heard)
        return TIMEOUT_FIRST_MS;
    uint64_t ms = v->srtt_8ms / 8 + v->rttvar_4ms; /* SRTT + 4 * RTTVAR */
    if (ms < TIMEOUT_MIN_MS)
        return TIMEOUT_MIN_MS;
    return ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : ms;
}

/* RFC 6298 2: SRTT moves by an eighth, RTTVAR by a quarter of the difference. */
static void smooth(struct server *v, uint64_t rtt_ms)
{
    uint32_t rtt = rtt_ms > 10000 ? 10000 : (uint32_t)rtt_ms;
    if (!v->heard) {
        v->srtt_8ms = rtt * 8;
        v->rttvar_4ms = rtt * 2;
        v->heard = true;
        return;
    }
    uint32_t srtt = v->srtt_8ms / 8;
    uint32_t apart = rtt > srtt ? rtt - srtt : srtt - rtt;
    v->rttvar_4ms = v->rttvar_4ms - v->rttvar_4ms / 4 + apart;
    v->srtt_8ms = v->srtt_8ms - srtt + rtt;
}

void server_answered(struct servers *s, int server, uint64_t rtt_ms, uint64_t now_ms)
{
    struct server *v = &s->slot[server];
    smooth(v, rtt_ms);
    if (is_gone(v))
        expect_news(s, now_ms);
    v->answered++;
    v->silences = 0;
    v->alone_until_ms = 0;
    v->alone_for_ms = 0;
    v->probing = false;
}

/* Many questions can be waiting for it as it falls silent: they count once, until it is probed. */
static void leave_alone(struct servers *s, struct server *v, bool nobody_there, uint64_t now_ms)
{
    if (is_gone(v) && !v->probing)
        return;
    if (!is_gone(v))
        expect_news(s, now_ms);
    v->nobody_there = nobody_there;
    uint64_t ms = v->alone_for_ms == 0 ? ALONE_MIN_MS : v->alone_for_ms * 2;
    if (ms > ALONE_MAX_MS)
        ms = ALONE_MAX_MS;
    v->alone_for_ms = ms;
    v->probing = false;
    v->alone_until_ms = now_ms + ms;
}

void server_silent(struct servers *s, int server, uint64_t now_ms)
{
    struct server *v = &s->slot[server];
    v->silent++;
    if (v->silences < SERVER_SILENCES_MAX)
        v->silences++;
    if (v->silences >= SERVER_SILENCES_MAX)
        leave_alone(s, v, false, now_ms);
}

void server_refused(struct servers *s, int server, uint64_t now_ms)
{
    struct server *v = &s->slot[server];
    v->refused++;
    v->silences = SERVER_SILENCES_MAX;
    leave_alone(s, v, true, now_ms);
}

void server_unreachable(struct servers *s, int server)
{
    s->slot[server].silences = SERVER_SILENCES_MAX;
}

/* ---- abilities ------------------------------------------------------------------------------- */

bool server_takes_edns(const struct servers *s, int server, uint64_t now_ms)
{
    return s->slot[server].no_edns_until_ms <= now_ms;
}

bool server_has_edns(const struct servers *s, int server)
{
    return s->slot[server].has_edns;
}

void server_note_edns(struct servers *s, int server)
{
    s->slot[server].has_edns = true;
}

void server_lacks_edns(struct servers *s, int server, uint64_t now_ms)
{
    struct server *v = &s->slot[server];
    if (v->has_edns)
        return;
    if (v->no_edns_until_ms <= now_ms) {
        v->tell_no_edns = true;
        expect_news(s, now_ms);
    }
    v->no_edns_until_ms = now_ms + ABILITY_RETRY_MS;
}

bool server_keeps_case(const struct servers *s, int server, uint64_t now_ms)
{
    return s->slot[server].no_case_until_ms <= now_ms;
}

void server_loses_case(struct servers *s, int server, uint64_t now_ms)
{
    struct server *v = &s->slot[server];
    if (v->no_case_until_ms <= now_ms) {
        v->tell_no_case = true;
        expect_news(s, now_ms);
    }
    v->no_case_until_ms = now_ms + ABILITY_RETRY_MS;
}

bool server_source_is_due(const struct servers *s, int server, uint64_t now_ms)
{
    return s->slot[server].source_due_ms <= now_ms;
}

void server_note_source(struct servers *s, int server, const struct addr *source, uint64_t now_ms)
{
    struct server *v = &s->slot[server];
    v->source_due_ms = now_ms + SERVER_SOURCE_MS;
    if (memcmp(v->source, source->ip, sizeof v->source) == 0)
        return;
    memcpy(v->source, source->ip, sizeof v->source);
    v->sources++;
    start_cookie(s, v);
}

size_t server_cookie(const struct servers *s, int server, uint8_t out[SERVER_COOKIE_MAX])
{
    const struct server *v = &s->slot[server];
    memcpy(out, v->cookie, v->cookie_len);
    return v->cookie_len;
}

enum server_cookie_verdict server_check_cookie(
    const struct servers *s, int server, const uint8_t *cookie, size_t len)
{
    const struct server *v = &s->slot[server];
    if (cookie == NULL)
        return v->gives_cookies ? SERVER_COOKIE_MISSING : SERVER_COOKIE_FINE;
    if (len < SERVER_CLIENT_COOKIE_LEN || memcmp(cookie, v->cookie, SERVER_CLIENT_COOKIE_LEN) != 0)
        return SERVER_COOKIE_WRONG;
    return SERVER_COOKIE_FINE;
}

void server_note_cookie(struct servers *s, int server, const uint8_t *cookie, size_t len)
{
    struct server *v = &s->slot[server];
    v->gives_cookies = cookie != NULL && len >= 2 * SERVER_CLIENT_COOKIE_LEN;
    if (!v->gives_cookies || len > SERVER_COOKIE_MAX) {
        v->cookie_len = SERVER_CLIENT_COOKIE_LEN;
        return;
    }
    memcpy(v->cookie + SERVER_CLIENT_COOKIE_LEN, cookie + SERVER_CLIENT_COOKIE_LEN,
        len - SERVER_CLIENT_COOKIE_LEN);
    v->cookie_len = len;
}

int servers_state(const struct servers *s, size_t i, uint64_t now_ms, struct server_state *out)
{
    for (int k = 0; k < SLOTS; k++) {
        const struct server *v = &s->slot[k];
        if (!v->listed || v->rank != i)
            continue;
        *out = (struct server_state){
            .addr = v->addr,
            .asked = v->asked,
            .answered = v->answered,
            .silent = v->silent,
            .refused = v->refused,
            .srtt_ms = v->heard ? v->srtt_8ms / 8 : 0,
            .left_alone = v->alone_until_ms > now_ms,
        };
        return 0;
    }
    return -1;
}
