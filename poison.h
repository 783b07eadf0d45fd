/* poison.h: the overrides of poison.conf(5): names and patterns to a verdict or to records.
 * Knows the file's text in memory; never files, reload or sockets.
 *
 * Owners. `x` is the name itself, `*.x` everything below x, `.x` both. For a question the rule of
 * `x` comes before that of a pattern, and a pattern with a longer x before one with a shorter.
 * Where `*.x` and `.x` both fit, `pass` comes first, then `*.x`. One owner has either records or
 * one verdict, and `pass` silences whatever else its owner has.
 *
 * Overrides are no zone. A pattern covers everything below it, also below a deeper name that has a
 * rule of its own (unlike RFC 4592 2.2.1). But a name is not denied by a pattern while a rule below
 * it says that something is there: then NXDOMAIN becomes NODATA (RFC 8020 2). */
#ifndef DNSD_POISON_H
#define DNSD_POISON_H

#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POISON_SEED_LEN    16
#define POISON_TTL_DEFAULT 300   /* seconds, for records without one and for the SOA of NODATA */
#define POISON_LINE_MAX    65535 /* bytes of a line; 32 KiB of RDATA in hexadecimal fit */
#define POISON_RECORDS_MAX 512   /* of one owner: what a packed answer can hold */
#define POISON_CHAIN_MAX   8     /* CNAMEs that are followed */

struct poison;

/* Called for each mistake, in order: line (from 1), the word or name at fault (escaped, never NULL,
 * may be ""; at most 80 characters of it), and what is wrong with it and what was expected. */
typedef void poison_report(void *ctx, size_t line, const char *what, const char *why);

/* Reads a whole file. Returns the set, or NULL when there was a mistake (all were reported) or
 * memory is out (reported with line 0). Free with poison_free (NULL is fine). */
struct poison *poison_load(const char *text, size_t len, const uint8_t seed[POISON_SEED_LEN],
    poison_report *report, void *ctx);
void poison_free(struct poison *p);

enum poison_verdict {
    POISON_NONE, /* nothing is said about this name: go on */
    POISON_PASS, /* "pass": go on, and no other override applies; also not the special-use rules */
    POISON_ANSWER, /* packed is the answer: records, NODATA, NXDOMAIN, or SERVFAIL for a CNAME chain
                      that is too long or comes back to itself */
    POISON_CHASE,  /* packed is the start of the answer, a CNAME chain; its end, `target`, is to be
                      resolved upstream and added */
    POISON_REFUSED, /* nothing is packed here and below */
    POISON_DROP,
};

struct poison_result {
    size_t packed_len;
    bool blocked; /* made by a verdict word (nxdomain, nodata, refused), not by records */
    bool passed;  /* CHASE only: the target has a "pass", which lifts the special-use rules too */
    uint8_t target[WIRE_NAME_MAX]; /* CHASE only; spelled as in the file */
    size_t target_len;
};

/* What the overrides say to a question of class IN (others: NONE). p may be NULL: NONE. CNAME
 * chains inside the set are followed, at most POISON_CHAIN_MAX long; a question for CNAME itself is
 * not. packed (cap bytes, at least WIRE_UDP_MIN) takes the packed answer to question, with AA; if
 * it does not fit, it is a SERVFAIL. Negative answers have a SOA, owned by the name or the
 * pattern's x. packed is left alone for NONE and PASS. Allocates nothing; a name without override
 * costs at most one hash probe a label. */
enum poison_verdict poison_lookup(const struct poison *p, const struct wire_question *question,
    uint8_t *packed, size_t cap, struct poison_result *result);

/* Rules: owners with records or a verdict, those included that addresses made for PTR. */
size_t poison_count(const struct poison *p);

/* Walks every invariant; returns NULL, or what is broken. */
const char *poison_check(const struct poison *p);

#endif
