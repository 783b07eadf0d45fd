/* stats.h: figures of all modules as text: for SIGUSR1 and for CH TXT questions. */
#ifndef DNSD_OPS_STATS_H
#define DNSD_OPS_STATS_H

#include "cache.h"
#include "flight.h"
#include "net/exchange.h"
#include "predict.h"
#include "query.h"
#include "server.h"

#include <stddef.h>
#include <stdint.h>

#define STATS_TEXT_MAX 255 /* one string of a TXT record (RFC 1035 3.3.14) */

/* Where figures come from; NULL for modules that do not run. */
struct stats_sources {
    const struct cache *cache;
    const struct flights *flights;
    const struct predict *predict;
    const struct query_desk *desk;
    const struct servers *servers;
    const struct upstream *upstream;
};

/* Writes the statistics to the log, a line a subject. */
void stats_log(const struct stats_sources *s, uint64_t now_ms);

/* The text to a CH TXT name, at most STATS_TEXT_MAX bytes; NULL for other names. It is in a static
 * buffer until the next call.
 *
 *     version.bind, version.server   "dnsd 0.1.0"
 *     hostname.bind, id.server       the name of this machine
 *     hits.bind, misses.bind         questions that the cache answered, and that it did not
 *     insertions.bind                answers stored
 *     evictions.bind                 of them, those that had to go before their time for room
 *     cachesize.bind                 the budget of the cache, in bytes
 *     servers.bind                   per server: address#port, questions sent, of them failed;
 *                                    separated by ", "
 *     predict.bind                   prefetches and what they brought; the share of questions they
 *                                    added upstream; with a control group what was saved, measured
 *
 * All but predict.bind are as dnsmasq has them, where the cache counts entries and not bytes. */
const char *stats_chaos(
    const struct stats_sources *s, const uint8_t *name, size_t name_len, uint64_t now_ms);

#endif
