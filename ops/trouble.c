/* trouble.c: knows how trouble reads.
 * Never decides what is trouble, and never changes what is answered. */
#include "ops/trouble.h"

#include "ops/querylog.h"
#include "rrtype.h"

#include <stdio.h>

#define MINUTE_MS 60000

/* ---- servers --------------------------------------------------------------------------------- */

void trouble_of_servers(struct servers *s, uint64_t now_ms)
{
    struct server_news news;
    char server[ADDR_TEXT_MAX];
    while (servers_news(s, now_ms, &news)) {
        addr_format(&news.addr, server);
        switch (news.kind) {
        case SERVER_FELL_SILENT:
            log_warning("server %s does not answer (%d questions in a row); it is left alone and "
                        "probed",
                server, SERVER_SILENCES_MAX);
            break;
        case SERVER_NOBODY_THERE:
            log_warning("server %s: nobody is there (connection refused); it is left alone and "
                        "probed",
                server);
            break;
        case SERVER_CAME_BACK:
            log_info("server %s answers again", server);
            break;
        case SERVER_WITHOUT_EDNS:
            log_debug("server %s is asked without EDNS for an hour", server);
            break;
        case SERVER_WITHOUT_CASE:
            log_debug("server %s is asked in small letters for an hour: it does not keep the "
                      "case of names",
                server);
            break;
        }
    }
}

void trouble_of_loop(struct trouble *t, const struct query_end *e, uint64_t now_ms)
{
    char server[ADDR_TEXT_MAX];
    if (e->flight == NULL || e->flight->looped == NULL)
        return;
    addr_format(e->flight->looped, server);
    t->loop.every_ms = MINUTE_MS;
    log_warning_limited(&t->loop, now_ms,
        "server %s seems to forward to dnsd, which forwards to it: what is asked of one comes "
        "back to it and fails",
        server);
}

void trouble_of_rebind(struct trouble *t, const struct query_end *e, uint64_t now_ms)
{
    if (e->flight == NULL || !e->flight->rebound)
        return;
    t->rebind.every_ms = MINUTE_MS;
    log_warning_limited(&t->rebind, now_ms,
        "an answer with private addresses was refused (-rebind-protect): an attempt at DNS "
        "rebinding, or a name for -rebind-allow; -verbose tells which");
}

/* ---- questions ------------------------------------------------------------------------------- */

#define QUESTION_TEXT_MAX (WIRE_NAME_TEXT_MAX + 16)
#define RCODE_TEXT_MAX    16

static const char *question_text(const struct wire_question *q, char out[QUESTION_TEXT_MAX])
{
    char name[WIRE_NAME_TEXT_MAX];
    if (q == NULL || q->name == NULL)
        return "-";
    wire_name_text(q->name, q->name_len, name);
    const char *type = rrtype_name(q->type);
    if (type != NULL)
        snprintf(out, QUESTION_TEXT_MAX, "%s %s", name, type);
    else
        snprintf(out, QUESTION_TEXT_MAX, "%s TYPE%u", name, (unsigned)q->type);
    return out;
}

static const char *rcode_text(uint16_t rcode, char out[RCODE_TEXT_MAX])
{
    const char *name = querylog_rcode(rcode);
    if (name != NULL)
        return name;
    snprintf(out, RCODE_TEXT_MAX, "RCODE%u", (unsigned)rcode);
    return out;
}

/* Without a flight it failed at once. */
static const char *why_text(const struct query_end *e)
{
    if (e->flight == NULL)
        return "it failed a short while ago, or there is no server or no room to ask";
    switch (e->flight->why) {
    case FLIGHT_WHY_NONE:
        break;
    case FLIGHT_WHY_SILENT:
        return "no reply in time from server";
    case FLIGHT_WHY_REFUSED:
        return "refused by the network or by server";
    case FLIGHT_WHY_UNSENT:
        return "this machine could not send to server";
    case FLIGHT_WHY_RCODE:
        return "so says server";
    }
    return "no usable answer came";
}

static void tell_failed(const struct query_end *e, const char *question)
{
    char client[ADDR_TEXT_MAX], server[ADDR_TEXT_MAX] = "", rcode[RCODE_TEXT_MAX];
    const struct addr *at = e->flight != NULL ? e->flight->server : NULL;
    if (at != NULL)
        addr_format(at, server);
    addr_format_ip(&e->client->peer, client);
    log_debug("%s asked %s: %s%s after %llu ms: %s%s%s", client, question,
        rcode_text(e->rcode, rcode), e->source == QUERY_STALE ? " (an expired answer)" : "",
        (unsigned long long)e->took_ms, why_text(e), at != NULL ? " " : "", server);
}

static void tell_tcp(const struct query_end *e, const char *question)
{
    static const char *const causes[] = {
        [FLIGHT_TCP_TRUNCATED] = "the reply was truncated",
        [FLIGHT_TCP_SUSPECT] = "somebody guesses IDs, or a cookie was missing",
        [FLIGHT_TCP_CASE] = "the reply had lost the case of the name",
    };
    char server[ADDR_TEXT_MAX];
    addr_format(e->flight->tcp_server, server);
    log_debug("%s went over to TCP with server %s: %s", question, server, causes[e->flight->tcp]);
}

static void tell_stranger(
    struct trouble *t, const struct query_desk *desk, const struct query_end *e, uint64_t now_ms)
{
    const struct addr *peer = &e->client->peer;
    char client[ADDR_TEXT_MAX];
    struct addr any_port = *peer;
    any_port.port = 0;
    if (query_allows(desk, peer) ||
        (addr_equal(&any_port, &t->last_stranger) && now_ms < t->last_stranger_ms + MINUTE_MS))
        return;
    t->last_stranger = any_port;
    t->last_stranger_ms = now_ms;
    addr_format_ip(peer, client);
    log_debug_limited(&t->stranger, now_ms, "%s is not served (-allow)", client);
}

void trouble_of_query(
    struct trouble *t, const struct query_desk *desk, const struct query_end *e, uint64_t now_ms)
{
    char text[QUESTION_TEXT_MAX];
    if (e->source == QUERY_DROPPED) {
        tell_stranger(t, desk, e, now_ms);
        return;
    }
    bool failed = e->source == QUERY_FAILED || (e->source == QUERY_STALE && e->flight != NULL);
    bool over_tcp = e->flight != NULL && e->flight->tcp != FLIGHT_TCP_NONE;
    bool rebound = e->flight != NULL && e->flight->rebound;
    if (!failed && !over_tcp && !rebound)
        return;
    const char *question = question_text(e->question, text);
    if (rebound)
        log_debug("%s: its answer gave private addresses and was refused", question);
    if (over_tcp)
        tell_tcp(e, question);
    if (failed)
        tell_failed(e, question);
}
