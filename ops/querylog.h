/* querylog.h: one line a query, to a file that may be rotated. Never blocks: what the disk does not
 * take is counted and left out. */
#ifndef DNSD_OPS_QUERYLOG_H
#define DNSD_OPS_QUERYLOG_H

#include "query.h"

struct querylog;

/* Appends to path (mode 0600), "-" is standard output. NULL after logging why. */
struct querylog *querylog_open(const char *path);
void querylog_close(struct querylog *q);

/* Opens the file anew, after it was rotated (SIGHUP). 0, or -1 after logging why: then lines go on
 * to the old one. */
int querylog_reopen(struct querylog *q);

/* One line: time, client, transport, name, type, source, rcode, bytes, milliseconds. It is kept in
 * memory until querylog_flush or until 64 KiB are there. */
void querylog_write(struct querylog *q, const struct query_end *e);
void querylog_flush(struct querylog *q);

#endif
