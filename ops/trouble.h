/* trouble.h: what goes wrong between clients, dnsd and the servers, as lines of the log.
 * Names that clients ask for go to the log with -verbose only. */
#ifndef DNSD_OPS_TROUBLE_H
#define DNSD_OPS_TROUBLE_H

#include "ops/log.h"
#include "query.h"
#include "server.h"

#include <stdbool.h>
#include <stdint.h>

/* What must not be repeated; zero at first. */
struct trouble {
    struct log_limit loop, rebind, stranger;
    struct addr last_stranger;
    uint64_t last_stranger_ms;
};

/* Tells which servers fell silent or came back (servers_news). */
void trouble_of_servers(struct servers *s, uint64_t now_ms);

/* A warning, once a minute, where a server seems to forward to us. */
void trouble_of_loop(struct trouble *t, const struct query_end *e, uint64_t now_ms);

/* A warning, once a minute, where an answer gave private addresses and was refused. */
void trouble_of_rebind(struct trouble *t, const struct query_end *e, uint64_t now_ms);

/* With -verbose: a question that failed, and why; that it went over to TCP; one whose
 * answer gave private addresses; a client that is not
 * served (once a minute each, unless they take turns). */
void trouble_of_query(
    struct trouble *t, const struct query_desk *desk, const struct query_end *e, uint64_t now_ms);

#endif
