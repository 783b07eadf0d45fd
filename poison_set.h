/* poison_set.h: what the reader of poison.conf tells the set: rules for owners, one by one.
 * For poison*.c only; knows owners and rules, never how they are written. */
#ifndef DNSD_POISON_SET_H
#define DNSD_POISON_SET_H

#include "poison.h"

/* Which names a rule is for: x itself, those below it (*.x), or both (.x) */
enum poison_place { POISON_NAME, POISON_BELOW, POISON_TREE, POISON_PLACES };

enum poison_rule {
    POISON_RULE_NONE,
    POISON_RULE_RECORDS,
    POISON_RULE_NXDOMAIN,
    POISON_RULE_NODATA,
    POISON_RULE_REFUSED,
    POISON_RULE_DROP,
    POISON_RULE_PASS,
};

struct poison_owner {
    enum poison_place place;
    uint8_t name[WIRE_NAME_MAX]; /* as spelled */
    size_t len;
};

struct poison_data {
    uint16_t type;
    uint32_t ttl_s;
    const uint8_t *rdata;
    size_t len;
};

/* NULL when memory is out. */
struct poison *poison_set_create(const uint8_t seed[POISON_SEED_LEN]);

/* The ones below return NULL, or what is wrong: a sentence about the owner, or
 * poison_out_of_memory itself. */
extern const char poison_out_of_memory[];

const char *poison_set_verdict(
    struct poison *p, const struct poison_owner *owner, enum poison_rule verdict);

/* Copies the data. A CNAME's has to be one whole name. */
const char *poison_set_record(
    struct poison *p, const struct poison_owner *owner, const struct poison_data *data);

/* Adds the PTR that an address (4 or 16 bytes) of owner implies, unless it is nobody's, or the file
 * says something itself for its name, before or after. */
const char *poison_set_reverse(struct poison *p, const struct poison_owner *owner,
    const uint8_t *ip, size_t ip_len, uint32_t ttl_s);

/* To be called once, when all rules are in and before any question. */
const char *poison_set_finish(struct poison *p);

/* Types that are never data: reserved ones, OPT, QTYPEs and Meta-TYPEs (RFC 6895 3.1). */
bool poison_is_meta_type(uint16_t type);

#endif
