/* ttls.h: a table of names and their TTLs, as the tools read it from a file.
 * Knows names and seconds; never files or answers.
 *
 * A line has two fields between tabs or blanks: name, seconds. Empty lines and lines that begin
 * with # do not count. */
#ifndef DNSD_TOOLS_TTLS_H
#define DNSD_TOOLS_TTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TTLS_MAX_S 604800 /* the longest that is taken: a week */

struct ttls;

/* Called for each mistake with its line (from 1; 0: the whole file) and what is wrong. */
typedef void ttls_report(void *ctx, size_t line, const char *why);

/* NULL when there was a mistake or memory is out; all are reported. A table may be empty. */
struct ttls *ttls_read(const char *text, size_t len, ttls_report *report, void *ctx);
void ttls_free(struct ttls *t);

/* Looks a wire name up, in any case. False, and *ttl_s untouched, when it is not in the table. t
 * may be NULL. */
bool ttls_get(const struct ttls *t, const uint8_t *name, size_t len, uint32_t *ttl_s);

#endif
