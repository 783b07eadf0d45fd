/* server.h: the upstream servers: how fast each answers, whether it does, and what it can do. The
 * round trip is smoothed as in RFC 6298; a server that stays silent is left alone for a while and
 * probed again. Knows no socket and no message; what it is told are outcomes, at a time that is
 * handed in. */
#ifndef DNSD_SERVER_H
#define DNSD_SERVER_H

#include "addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVERS_MAX              16
#define SERVER_SEED_LEN          16
#define SERVER_COOKIE_MAX        40 /* client cookie (8) and server cookie (8 to 32), RFC 7873 4 */
#define SERVER_CLIENT_COOKIE_LEN 8

struct servers; /* the set */

struct server_conf {
    struct addr addr;
    bool trust_ad; /* its AD bit may be passed on */
};

/* An empty set; the seed makes the client cookies. NULL when memory is out. */
struct servers *servers_create(const uint8_t seed[SERVER_SEED_LEN]);
void servers_free(struct servers *s);

/* Sets the list, in order of preference. Servers that stay keep what is known of them. More than
 * SERVERS_MAX are cut off. A server is called by its number; the number of one that was taken off
 * the list is not given to another for SERVER_KEPT_MS, so that who still awaits its reply may go on
 * using it. */
#define SERVER_KEPT_MS 10000
void servers_set(struct servers *s, const struct server_conf *list, size_t n, uint64_t now_ms);
size_t servers_count(const struct servers *s);

/* Whether there is one on the list whose bit in tried is not set. */
bool servers_has_other(const struct servers *s, uint32_t tried);

/* The server to ask next: the best of those whose bit in tried is not set; the tried ones again
 * when there is no other. -1 when the set is empty. */
int servers_pick(struct servers *s, uint32_t tried, uint64_t now_ms);

/* The same for a prefetch: the best one that is in no trouble, -1 when there is none. It never
 * probes. */
int servers_pick_sound(struct servers *s, uint64_t now_ms);

/* Whether it has answered, and is not left alone since. */
bool server_is_sound(const struct servers *s, int server);

const struct addr *server_addr(const struct servers *s, int server);
bool server_trusts_ad(const struct servers *s, int server);

/* How long to wait for a reply over UDP before asking again, in milliseconds. */
uint64_t server_timeout_ms(const struct servers *s, int server);

/* What came of a message to it. Nothing that a forger can cause is told to it. */
void server_answered(struct servers *s, int server, uint64_t rtt_ms, uint64_t now_ms);
void server_silent(struct servers *s, int server, uint64_t now_ms); /* no reply in time */
void server_refused(
    struct servers *s, int server, uint64_t now_ms); /* ICMP or reset: nobody there */

/* This machine could not send to it (no route, say). That is no news of the server, but the others
 * come first until it answers. */
void server_unreachable(struct servers *s, int server);

/* What it can do, as found out. EDNS off lasts an hour, 0x20 off too; then both are tried again. A
 * server that was seen to have EDNS is not taken to lack it: one question can be answered oddly. */
bool server_takes_edns(const struct servers *s, int server, uint64_t now_ms);
bool server_has_edns(const struct servers *s, int server);
void server_note_edns(struct servers *s, int server); /* its reply had an OPT record */
void server_lacks_edns(struct servers *s, int server, uint64_t now_ms);
bool server_keeps_case(const struct servers *s, int server, uint64_t now_ms);
void server_loses_case(struct servers *s, int server, uint64_t now_ms);

/* Which address of ours its questions leave from (all zeros: there is no way to it), as far as that
 * is known to be so: server_source_is_due says when it is to be found out again. Another address is
 * another network, perhaps: what is known of cookies is forgotten and a new one made, so that
 * nobody recognises us there (RFC 7873 8.1, RFC 9018 3). Ports do not count. */
#define SERVER_SOURCE_MS 1000
bool server_source_is_due(const struct servers *s, int server, uint64_t now_ms);
void server_note_source(struct servers *s, int server, const struct addr *source, uint64_t now_ms);

/* The cookie to send to it: client part, and the server's part once it gave one. Returns its
 * length. */
size_t server_cookie(const struct servers *s, int server, uint8_t out[SERVER_COOKIE_MAX]);

enum server_cookie_verdict {
    SERVER_COOKIE_FINE, /* a cookie with our client part, or none from a server that never sent one
                         */
    SERVER_COOKIE_MISSING, /* none, though it sends them: a forgery, or it has stopped: ask over TCP
                            */
    SERVER_COOKIE_WRONG,   /* another client part: a forgery */
};

/* Checks the COOKIE option of a reply over UDP; NULL where there was none. */
enum server_cookie_verdict server_check_cookie(
    const struct servers *s, int server, const uint8_t *cookie, size_t len);

/* Takes over what an accepted reply says about cookies. */
void server_note_cookie(struct servers *s, int server, const uint8_t *cookie, size_t len);

/* What there is to tell of a server, for the log. */
enum server_news_kind {
    SERVER_FELL_SILENT,  /* SERVER_SILENCES_MAX messages in a row without a reply: left alone */
    SERVER_NOBODY_THERE, /* connection refused: left alone */
    SERVER_CAME_BACK,    /* it answers again */
    SERVER_WITHOUT_EDNS, /* asked without EDNS for an hour */
    SERVER_WITHOUT_CASE, /* asked in small letters for an hour */
};

struct server_news {
    enum server_news_kind kind;
    struct addr addr;
};

/* When there is something to tell (SERVER_NO_NEWS: nothing), and what: to be called until false.
 * Of a server that comes and goes, it is told once in SERVER_NEWS_EVERY_MS that it went, if it is
 * gone by then, and once after that that it is back. */
#define SERVER_SILENCES_MAX  4
#define SERVER_NEWS_EVERY_MS 10000
#define SERVER_NO_NEWS       UINT64_MAX
uint64_t servers_news_ms(const struct servers *s);
bool servers_news(struct servers *s, uint64_t now_ms, struct server_news *out);

struct server_state {
    struct addr addr;
    uint64_t asked, answered, silent, refused;
    uint64_t srtt_ms;
    bool left_alone;
};

/* The i-th server in order, for statistics; -1 beyond the last. */
int servers_state(const struct servers *s, size_t i, uint64_t now_ms, struct server_state *out);

#endif
