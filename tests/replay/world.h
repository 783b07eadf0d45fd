/* world.h: the whole core on virtual time: clients that ask, servers that follow a script.
 * Knows the core by core.h, and is what is behind upstream.h and client.h; there is no socket, no
 * clock and no chance in it: the same test gives the same bytes. */
#ifndef DNSD_TESTS_WORLD_H
#define DNSD_TESTS_WORLD_H

#include "core.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_ASKED_MAX 8192
#define WORLD_SENT_MAX  16384

struct world;

/* A question that a client asked. */
struct asked {
    struct world *w;
    bool answered;
    bool dropped; /* told that there will be no reply */
    uint64_t asked_ms;
    uint64_t answered_ms;
    uint8_t *reply; /* the last reply */
    size_t len;
    unsigned n_replies;          /* more than one is a mistake of dnsd */
    unsigned n_ended;            /* how often the observer was told: once, checked by world_free */
    struct query_end end;        /* the last time; only its numbers are valid */
    struct flight_result flight; /* of end.flight: the same holds */
    struct addr server, tcp_server; /* that it named */
};

/* A message that was sent upstream. */
struct sent {
    struct world *w;
    struct addr server;
    enum upstream_transport transport;
    uint64_t sent_ms;
    uint8_t msg[WIRE_QUERY_MAX];
    size_t len;
    char name[WIRE_NAME_TEXT_MAX]; /* lower case */
    uint16_t type;
    uint16_t flags; /* of the header */
    bool dnssec_ok;
    bool open; /* awaits its reply: neither answered nor cancelled */
    bool
        suspected; /* UPSTREAM_SUSPECT came, and UPSTREAM_CASE_LOST: each comes once (upstream.h) */
    bool case_lost;
    upstream_done *done;
    void *ctx;
};

/* Which server does what. Called for each message as it is sent; it may plan replies with
 * world_plan and the functions below it. */
typedef void world_server(struct world *w, struct sent *s, void *ctx);

struct world {
    struct core *core;
    struct core_conf conf;
    struct rng *rng;
    struct poison *poison;
    uint64_t now_ms;
    struct asked asked[WORLD_ASKED_MAX];
    size_t n_asked;
    struct sent *sent[WORLD_SENT_MAX];
    size_t n_sent;
    world_server *server;
    void *server_ctx;
    struct plan *plans; /* by time, then by order of planning */
    uint32_t wall_s;    /* seconds since 1970, when now_ms was 0 */
    uint64_t rtt_ms;    /* of world_answer_a and the servers below */
    uint32_t ttl_s;
    struct addr source;               /* of ours, that servers see */
    bool no_source;                   /* nor do we know which */
    bool door_shut;                   /* the way upstream is out of memory */
    bool trust_ad;                    /* of all servers, from world_start on */
    bool unchecked;                   /* core_check is left to the test: for long runs */
    bool in_core;                     /* the core is running, and none of the world's own code */
    uint64_t ended[QUERY_FAILED + 1]; /* queries by source, as told at their end */
};

/* A core with forwarding to n servers 192.0.2.1, .2, ... that answer every A question after 40 ms
 * with TTL 60 (world_answer), prediction off, stale kept for a day. conf may be changed and
 * world_start called again before the first question. version.bind in class CH
 * is "of the test". */
struct world *world_create(void);
void world_start(struct world *w, size_t n_servers);
void world_free(struct world *w);

/* Forgets what was asked and sent so far, to make room in a long run. All of it must be over. */
void world_forget(struct world *w);

/* Overrides from text; fails the test on a mistake. */
void world_poison(struct world *w, const char *text);

/* One turn: the client with this number (address 10.0.0.N, port 10000 + N) asks. Several questions
 * of one turn: world_begin, world_ask_more ..., world_end. */
struct asked *world_ask(struct world *w, unsigned client, const char *name, uint16_t type);
void world_begin(struct world *w);
struct asked *world_ask_more(struct world *w, unsigned client, const char *name, uint16_t type);
void world_end(struct world *w);
/* Within a turn: what servers planned for now comes in, behind the questions asked so far. */
void world_deliver(struct world *w);

/* As world_ask, with all that can be chosen. msg is a whole message. */
struct asked *world_ask_raw(
    struct world *w, const struct client *from, const uint8_t *msg, size_t len);
struct client world_client(struct world *w, unsigned client, enum client_transport transport);
/* Writes a question message: RD as given, EDNS with this size (0: none). Returns its length. */
size_t world_question(uint8_t *out, uint16_t id, const char *name, uint16_t type, uint16_t class,
    uint16_t flags, uint16_t edns_size, bool dnssec_ok);

/* Lets time pass: everything that falls due happens, in order. After each turn core_check must
 * hold. */
void world_run_to(struct world *w, uint64_t ms);
void world_run_for(struct world *w, uint64_t ms);

/* ---- for servers ----------------------------------------------------------------------------- */

/* Delivers event with bytes (copied) to s delay_ms from now, if it still waits by then. */
void world_plan(
    struct sent *s, uint64_t delay_ms, enum upstream_event event, const uint8_t *msg, size_t len);

/* Starts a reply to s: header with flags (QR is added), the question as sent. Returns its length.
 */
size_t world_reply_start(const struct sent *s, uint16_t flags, uint8_t out[WIRE_MESSAGE_MAX]);

/* Adds a record to a reply and counts it in its section (0 answer, 1 authority, 2 additional).
 * owner and names are texts without final dot. */
size_t world_add(uint8_t *out, size_t len, unsigned section, const char *owner, uint16_t type,
    uint32_t ttl_s, const uint8_t *rdata, size_t rdata_len);
size_t world_name(const char *text, uint8_t out[WIRE_NAME_MAX]);
size_t world_add_soa(
    uint8_t *out, size_t len, const char *owner, uint32_t ttl_s, uint32_t minimum_s);

/* Plans an ordinary reply after w->rtt_ms: A 192.0.2.77 with w->ttl_s (AAAA likewise; NODATA with
 * SOA for other types). */
void world_answer(struct sent *s);
/* The same after another time. */
void world_answer_after(struct sent *s, uint64_t delay_ms);
/* Plans a reply without records. */
void world_answer_rcode(struct sent *s, uint16_t rcode);

/* ---- for looking at it ----------------------------------------------------------------------- */

uint16_t asked_rcode(const struct asked *a);
bool asked_truncated(const struct asked *a);
size_t asked_answers(const struct asked *a); /* ANCOUNT */
uint32_t asked_ttl(const struct asked *a);   /* of the first answer record */
/* Where the message has an OPT record: fills the view of it and returns true. */
bool asked_opt(const struct asked *a, struct wire_view *opt);
/* The code of its EDE option (RFC 8914), or -1. */
int asked_ede(const struct asked *a);
/* Milliseconds from question to reply; fails the test if there is none. */
uint64_t asked_took(const struct asked *a);
/* Messages sent for this name and type (any transport), or to this server (from 1). */
size_t sent_count(const struct world *w, const char *name, uint16_t type);
size_t sent_to(const struct world *w, unsigned server);
size_t sent_over(const struct world *w, enum upstream_transport transport);

#endif
