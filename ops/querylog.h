/* querylog.h: one line a query, to a file that may be rotated. Never blocks on a reader that is
 * slow: what the file does not take is counted and left out.
 *
 * The format, in fields that are separated by one space each, so that `awk '$6 == "cache"'` and
 * `cut -d' ' -f4` take it as it is; no field is ever empty and none holds a space:
 *
 *     1  time       when it ended, UTC: 2026-03-01T12:00:00.123Z
 *     2  client     its address without the port
 *     3  transport  udp or tcp
 *     4  name       as the client spelled it, without the final dot; all but letters, digits, '-',
 *                   '_' and the dots between labels as \DDD; "-" where it did not parse
 *     5  type       A, AAAA, HTTPS ...; TYPEnnn for those without a name here; "-" as above
 *     6  source     who ended it: dropped, rejected, chaos, override, special, cache, stale,
 *                   upstream, failed
 *     7  rcode      NOERROR, NXDOMAIN ...; RCODEnnn; "-" where nothing was sent
 *     8  bytes      of the reply; 0 where nothing was sent
 *     9  ms         from question to end
 *
 * Example: 2026-03-01T12:00:00.123Z 192.168.1.7 udp example.com A upstream NOERROR 56 23 */
#ifndef DNSD_OPS_QUERYLOG_H
#define DNSD_OPS_QUERYLOG_H

#include "query.h"

struct querylog;

/* Appends to path (mode 0600 where it is made), "-" is standard output. NULL after logging why,
 * with errno. A named pipe needs its reader first. */
struct querylog *querylog_open(const char *path);

/* Flushes and closes. NULL is fine, here and below. */
void querylog_close(struct querylog *q);

/* Opens the file anew, after it was rotated (SIGHUP). 0, or -1 after logging why: then lines go on
 * to the old one. Who gave up root before must be allowed to open the file by then. */
int querylog_reopen(struct querylog *q);

/* One line. It is kept in memory until querylog_flush or until 64 KiB are there. Lines stay whole:
 * one that finds no room is left out as a whole, and the log (log.h) is told when that begins and,
 * with their number, when it is over. */
void querylog_write(struct querylog *q, const struct query_end *e);
void querylog_flush(struct querylog *q);

/* "SERVFAIL", or NULL for an rcode without a name. */
const char *querylog_rcode(uint16_t rcode);

#endif
