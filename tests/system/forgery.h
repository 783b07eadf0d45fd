/* forgery.h: the replies of a liar: from the bytes of a question to the bytes of what is not its
 * answer. Knows the wire with code of its own; never sockets, time or dnsd. */
#ifndef DNSD_TESTS_FORGERY_H
#define DNSD_TESTS_FORGERY_H

#include <stddef.h>
#include <stdint.h>

#define FORGERY_MAX      65535
#define FORGERY_NAME_MAX 32
#define FORGERY_VICTIM   "victim.example" /* whose records are smuggled in */

extern const uint8_t forgery_right[4];  /* the address in a right answer, 192.0.2.1 */
extern const uint8_t forgery_forged[4]; /* must never reach a client, 192.0.2.66 */

enum forgery_fate {
    FORGERY_THROWN_AWAY, /* is not the reply: the wait goes on */
    FORGERY_GUESSED,     /* the same, and counts as a guess of the ID (SECURITY 1) */
    FORGERY_CASE,        /* the same, and the question goes over TCP */
    FORGERY_HARMLESS,    /* may count: it holds the right answer */
};

/* The i-th forgery; NULL beyond the last. Name is a label and a number: "cut-17". */
const char *forgery_name(size_t i, char name[FORGERY_NAME_MAX]);

/* Makes the forgery with this name as a reply to a query. Returns its length, or -1 where there is
 * none of this name. out is FORGERY_MAX bytes. */
int forgery_make(const char *name, const uint8_t *query, size_t query_len, uint8_t *out,
    enum forgery_fate *fate);

/* ---- for other liars ------------------------------------------------------------------------- */

/* A reply that is being written. */
struct draft {
    const uint8_t *query;
    size_t query_len;
    uint8_t *msg;
    size_t len;
    size_t question_end;
    unsigned number; /* of the forgery's name */
};

enum section { ANSWER, AUTHORITY, ADDITIONAL };

/* Header with this rcode and the question as it was sent. */
void draft_start(
    struct draft *d, const uint8_t *query, size_t query_len, unsigned rcode, uint8_t *out);
/* owner is a name in wire form, or NULL for a pointer to the question. */
void draft_add(struct draft *d, enum section section, const char *owner, unsigned type,
    uint32_t ttl_s, const void *rdata, size_t rdata_len);
/* An A record of the question's name. */
void draft_add_a(struct draft *d, const uint8_t address[4]);
/* The OPT record of a server that offers 1232 bytes, without options. */
void draft_add_opt(struct draft *d);
/* Writes a text without final dot in wire form. */
size_t draft_name(const char *text, char out[256]);

#endif
