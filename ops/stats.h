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

/* The text to a CH TXT name: version.bind, version.server, hostname.bind, id.server, hits.bind,
 * misses.bind, cachesize.bind, insertions.bind, evictions.bind, servers.bind, predict.bind; NULL
 * for other names. The text is in a static buffer until the next call. */
const char *stats_chaos(
    const struct stats_sources *s, const uint8_t *name, size_t name_len, uint64_t now_ms);

#endif
