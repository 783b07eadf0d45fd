/* poison.h: the overrides of poison.conf(5): names and patterns to a verdict or to records.
 * Knows the file's text in memory; never files, reload or sockets. */
#ifndef DNSD_POISON_H
#define DNSD_POISON_H

#include "wire.h"

#include <stddef.h>
#include <stdint.h>

#define POISON_SEED_LEN    16
#define POISON_TTL_DEFAULT 300 /* seconds, for records without one and for the SOA of NODATA */

struct poison;

/* Called for each mistake, in order: line (from 1), the word or name at fault (escaped, never NULL,
 * may be ""), and what is wrong with it and what was expected. */
typedef void poison_report(void *ctx, size_t line, const char *what, const char *why);

/* Reads a whole file. Returns the set, or NULL when there was a mistake (all were reported) or
 * memory is out (reported with line 0). Free with poison_free (NULL is fine). */
struct poison *poison_load(const char *text, size_t len, const uint8_t seed[POISON_SEED_LEN],
    poison_report *report, void *ctx);
void poison_free(struct poison *p);

enum poison_verdict {
    POISON_NONE, /* nothing is said about this name: go on */
    POISON_PASS, /* "pass": go on, and no other override applies; also not the special-use rules */
    POISON_ANSWER, /* packed is the answer: records, NODATA or NXDOMAIN */
    POISON_CHASE,  /* packed is the start of the answer, a CNAME chain; its end, `target`, is to be
                      resolved  upstream and added */
    POISON_REFUSED,
    POISON_DROP,
};

struct poison_result {
    size_t packed_len;
    bool blocked; /* made by a verdict word (nxdomain, nodata, refused), not by records */
    uint8_t target[WIRE_NAME_MAX]; /* CHASE only */
    size_t target_len;
};

/* What the overrides say to a question of class IN (others: NONE). CNAME chains inside the set are
 * followed, at most 8 long. packed (cap bytes) takes the packed answer to question; if it does not
 * fit, it is a SERVFAIL. */
enum poison_verdict poison_lookup(const struct poison *p, const struct wire_question *question,
    uint8_t *packed, size_t cap, struct poison_result *result);

size_t poison_count(const struct poison *p); /* names and patterns */

/* Walks every invariant; returns NULL, or what is broken. */
const char *poison_check(const struct poison *p);

#endif
