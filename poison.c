/* poison.c: the table of overridden names, and questions answered from it.
 * Knows owners, patterns and verdicts; never how a file spells them, sockets or where an answer
 * goes. */
#include "poison_set.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define LABELS_MAX     128   /* 127 labels and the root */
#define RRSET_MAX      60000 /* bytes of one RRset in an answer: leaves room for a CNAME chain */
#define TYPE_META_LOW  128   /* RFC 6895 3.1: 128 to 255 are QTYPEs and Meta-TYPEs */
#define TYPE_META_HIGH 255

struct record {
    struct record *next;
    uint32_t ttl_s;
    uint16_t type;
    uint16_t rdata_len;
    uint8_t place;
    bool implied; /* a PTR that an address made: gives way to what is written for its name */
    uint8_t rdata[];
};

/* One name, with the rules of all three places. */
struct node {
    UT_hash_handle hh;
    struct record *records; /* of all places, in the file's order */
    uint8_t rules[POISON_PLACES];
    bool is_there; /* so says a rule of it or below it: no pattern may deny the name */
    uint8_t name_len;
    uint8_t name[]; /* lower case */
};

struct poison {
    struct node *nodes;
    uint32_t n_at_depth[LABELS_MAX]; /* nodes by number of labels: spares most probes */
    size_t n_rules;
    size_t n_denying; /* patterns with nxdomain */
    uint8_t seed[POISON_SEED_LEN];
};

/* mname localhost., rname nobody.invalid., serial 1, refresh 3600, retry 1200, expire 604800,
 * minimum POISON_TTL_DEFAULT. The name of nobody: RFC 6303 3. */
static const uint8_t soa_rdata[] = "\011localhost\0\006nobody\007invalid\0"
                                   "\0\0\0\001\0\0\016\020\0\0\004\260\0\011\072\200\0\0\001\054";
#define SOA_RDATA_LEN (sizeof soa_rdata - 1)

static bool is_pattern(enum poison_place place)
{
    return place != POISON_NAME;
}

/* ---- the table of names ---------------------------------------------------------------------- */

static unsigned name_hash(const struct poison *p, const uint8_t *name, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    unsigned hash;

    crypto_shorthash(out, name, len, p->seed);
    memcpy(&hash, out, sizeof hash);
    return hash;
}

/* name is in lower case and has `depth` labels. */
static struct node *node_at(const struct poison *p, const uint8_t *name, size_t len, unsigned depth)
{
    struct node *node = NULL;

    if (p->n_at_depth[depth] == 0)
        return NULL;
    HASH_FIND_BYHASHVALUE(hh, p->nodes, name, (unsigned)len, name_hash(p, name, len), node);
    return node;
}

/* The node of a lower-case name, made if there is none. NULL when memory is out. */
static struct node *node_make(struct poison *p, const uint8_t *name, size_t len)
{
    unsigned depth = wire_name_labels(name, len);
    struct node *node = node_at(p, name, len, depth);

    if (node != NULL)
        return node;
    node = calloc(1, sizeof *node + len);
    if (node == NULL)
        return NULL;
    node->name_len = (uint8_t)len;
    memcpy(node->name, name, len);
    HASH_ADD_KEYPTR_BYHASHVALUE(
        hh, p->nodes, node->name, (unsigned)len, name_hash(p, name, len), node);
    if (node->hh.tbl == NULL) {
        free(node);
        return NULL;
    }
    p->n_at_depth[depth]++;
    return node;
}

static struct node *owner_node(struct poison *p, const struct poison_owner *owner)
{
    uint8_t name[WIRE_NAME_MAX];

    wire_name_lower(owner->name, owner->len, name);
    return node_make(p, name, owner->len);
}

static void rule_set(
    struct poison *p, struct node *node, enum poison_place place, enum poison_rule rule)
{
    enum poison_rule old = node->rules[place];

    p->n_rules += (rule != POISON_RULE_NONE);
    p->n_rules -= (old != POISON_RULE_NONE);
    if (is_pattern(place)) {
        p->n_denying += (rule == POISON_RULE_NXDOMAIN);
        p->n_denying -= (old == POISON_RULE_NXDOMAIN);
    }
    node->rules[place] = (uint8_t)rule;
}

static const struct record *record_of(
    const struct node *node, enum poison_place place, uint16_t type)
{
    for (const struct record *r = node->records; r != NULL; r = r->next)
        if (r->place == place && r->type == type)
            return r;
    return NULL;
}

/* Frees the records of a place, or the implied ones of it only. */
static void records_drop(struct node *node, enum poison_place place, bool implied_only)
{
    struct record **at = &node->records;

    while (*at != NULL) {
        struct record *r = *at;
        if (r->place == place && (r->implied || !implied_only)) {
            *at = r->next;
            free(r);
        } else {
            at = &r->next;
        }
    }
}

static bool has_records(const struct node *node, enum poison_place place)
{
    for (const struct record *r = node->records; r != NULL; r = r->next)
        if (r->place == place)
            return true;
    return false;
}

/* Takes back what addresses made for this name, since the file now says something itself. */
static void implied_drop(struct poison *p, struct node *node)
{
    records_drop(node, POISON_NAME, true);
    if (node->rules[POISON_NAME] == POISON_RULE_RECORDS && !has_records(node, POISON_NAME))
        rule_set(p, node, POISON_NAME, POISON_RULE_NONE);
}

static void node_free(struct node *node)
{
    while (node->records != NULL) {
        struct record *next = node->records->next;
        free(node->records);
        node->records = next;
    }
    free(node);
}

struct poison *poison_set_create(const uint8_t seed[POISON_SEED_LEN])
{
    struct poison *p = calloc(1, sizeof *p);

    if (p != NULL)
        memcpy(p->seed, seed, POISON_SEED_LEN);
    return p;
}

void poison_free(struct poison *p)
{
    struct node *node, *next;

    if (p == NULL)
        return;
    /* The list of all nodes outlives the table: no need to take them out one by one. */
    node = p->nodes;
    HASH_CLEAR(hh, p->nodes);
    for (; node != NULL; node = next) {
        next = node->hh.next;
        node_free(node);
    }
    free(p);
}

size_t poison_count(const struct poison *p)
{
    return p == NULL ? 0 : p->n_rules;
}

/* ---- adding rules ------------------------------------------------------------------------------
 * These return NULL, or what is wrong. */

const char poison_out_of_memory[] = "memory is out";

const char *poison_set_verdict(
    struct poison *p, const struct poison_owner *owner, enum poison_rule verdict)
{
    enum poison_place place = owner->place;
    struct node *node = owner_node(p, owner);
    enum poison_rule old;

    if (node == NULL)
        return poison_out_of_memory;
    if (place == POISON_NAME)
        implied_drop(p, node);
    old = node->rules[place];
    if (old == verdict || old == POISON_RULE_PASS)
        return NULL;
    if (verdict == POISON_RULE_PASS)
        records_drop(node, place, false);
    else if (old == POISON_RULE_RECORDS)
        return "has records on a line before: a name has either records or a verdict";
    else if (old != POISON_RULE_NONE)
        return "has another verdict on a line before";
    rule_set(p, node, place, verdict);
    return NULL;
}

/* Types that may stand beside a CNAME (RFC 4034 3, 4). */
static bool goes_with_cname(uint16_t type)
{
    return type == WIRE_TYPE_RRSIG || type == WIRE_TYPE_NSEC;
}

/* Why r cannot stand beside a record of `type`. */
static const char *cname_clash(const struct record *r, uint16_t type)
{
    if (r->type == WIRE_TYPE_CNAME && type == WIRE_TYPE_CNAME)
        return "has another CNAME on a line before: a name has one at most";
    if (r->type == WIRE_TYPE_CNAME && !goes_with_cname(type))
        return "has a CNAME on a line before, beside which nothing else may stand";
    if (type == WIRE_TYPE_CNAME && !goes_with_cname(r->type))
        return "has other records on a line before, beside which no CNAME may stand";
    return NULL;
}

static bool record_equal(const struct record *a, const struct record *b)
{
    return a->type == b->type && a->rdata_len == b->rdata_len &&
           memcmp(a->rdata, b->rdata, a->rdata_len) == 0;
}

static struct record *record_same(struct node *node, const struct record *r)
{
    for (struct record *o = node->records; o != NULL; o = o->next)
        if (o->place == r->place && record_equal(o, r))
            return o;
    return NULL;
}

/* Why r may not be added to the records of its place. */
static const char *record_unfit(const struct node *node, const struct record *r)
{
    size_t n = 0, rrset_len = WIRE_HEADER_LEN + (size_t)r->rdata_len;

    for (const struct record *o = node->records; o != NULL; o = o->next) {
        if (o->place != r->place)
            continue;
        const char *why = cname_clash(o, r->type);
        if (why != NULL)
            return why;
        n++;
        if (o->type == r->type)
            rrset_len += WIRE_HEADER_LEN + (size_t)o->rdata_len;
    }
    if (n >= POISON_RECORDS_MAX)
        return "has 512 records already: more do not fit into an answer";
    if (rrset_len > RRSET_MAX)
        return "has more data of this type than fits into an answer (60000 bytes)";
    return NULL;
}

static void record_append(struct node *node, struct record *r)
{
    struct record **at = &node->records;

    while (*at != NULL)
        at = &(*at)->next;
    *at = r;
}

/* Sets the TTLs of an RRset to the lowest among them (RFC 2181 5.2). */
static void rrset_level(struct node *node, enum poison_place place, uint16_t type)
{
    uint32_t lowest = UINT32_MAX;

    for (struct record *r = node->records; r != NULL; r = r->next)
        if (r->place == place && r->type == type && r->ttl_s < lowest)
            lowest = r->ttl_s;
    for (struct record *r = node->records; r != NULL; r = r->next)
        if (r->place == place && r->type == type)
            r->ttl_s = lowest;
}

/* Takes r over, whatever it returns. */
static const char *record_add(struct poison *p, struct node *node, struct record *r)
{
    enum poison_place place = r->place;
    uint16_t type = r->type;
    const char *why = NULL;
    struct record *same;

    if (place == POISON_NAME && (type == WIRE_TYPE_PTR || type == WIRE_TYPE_CNAME))
        implied_drop(p, node);
    same = record_same(node, r);
    if (same != NULL) {
        if (same->ttl_s > r->ttl_s)
            same->ttl_s = r->ttl_s;
        rrset_level(node, place, type);
        goto done;
    }
    if (node->rules[place] == POISON_RULE_PASS)
        goto done;
    if (node->rules[place] != POISON_RULE_NONE && node->rules[place] != POISON_RULE_RECORDS)
        why = "has a verdict on a line before: a name has either records or a verdict";
    else
        why = record_unfit(node, r);
    if (why != NULL)
        goto done;
    record_append(node, r);
    rrset_level(node, place, type);
    rule_set(p, node, place, POISON_RULE_RECORDS);
    return NULL;

done:
    free(r);
    return why;
}

static struct record *record_make(enum poison_place place, const struct poison_data *data)
{
    struct record *r = malloc(sizeof *r + data->len);

    if (r == NULL)
        return NULL;
    r->next = NULL;
    r->ttl_s = data->ttl_s;
    r->type = data->type;
    r->rdata_len = (uint16_t)data->len;
    r->place = (uint8_t)place;
    r->implied = false;
    if (data->len > 0)
        memcpy(r->rdata, data->rdata, data->len);
    return r;
}

const char *poison_set_record(
    struct poison *p, const struct poison_owner *owner, const struct poison_data *data)
{
    struct node *node = owner_node(p, owner);
    struct record *r = node == NULL ? NULL : record_make(owner->place, data);

    return r == NULL ? poison_out_of_memory : record_add(p, node, r);
}

bool poison_is_meta_type(uint16_t type)
{
    return type == 0 || type == UINT16_MAX || type == WIRE_TYPE_OPT ||
           (type >= TYPE_META_LOW && type <= TYPE_META_HIGH);
}

/* ---- PTR from addresses ---------------------------------------------------------------------- */

static size_t put_label(uint8_t *out, const char *text)
{
    size_t len = strlen(text);

    out[0] = (uint8_t)len;
    memcpy(out + 1, text, len);
    return len + 1;
}

static size_t put_decimal_label(uint8_t *out, unsigned byte)
{
    char text[4];
    size_t len = 0;

    if (byte >= 100)
        text[len++] = (char)('0' + byte / 100);
    if (byte >= 10)
        text[len++] = (char)('0' + byte / 10 % 10);
    text[len++] = (char)('0' + byte % 10);
    text[len] = '\0';
    return put_label(out, text);
}

static size_t put_nibble_label(uint8_t *out, unsigned nibble)
{
    out[0] = 1;
    out[1] = (uint8_t) "0123456789abcdef"[nibble];
    return 2;
}

/* The name under which an address is looked up backwards (RFC 1035 3.5, RFC 3596 2.5). */
static size_t reverse_name(const uint8_t *ip, size_t ip_len, uint8_t out[WIRE_NAME_MAX])
{
    size_t at = 0;

    for (size_t i = ip_len; i-- > 0;) {
        if (ip_len == 4) {
            at += put_decimal_label(out + at, ip[i]);
            continue;
        }
        at += put_nibble_label(out + at, ip[i] & 15);
        at += put_nibble_label(out + at, ip[i] >> 4);
    }
    at += put_label(out + at, ip_len == 4 ? "in-addr" : "ip6");
    at += put_label(out + at, "arpa");
    out[at++] = 0;
    return at;
}

/* Addresses that stand for "nowhere" or "here" in lists of blocked names: they are not those of the
 * name beside them. */
static bool is_nobodys(const uint8_t *ip, size_t ip_len)
{
    static const uint8_t zero[16];

    if (ip_len == 4)
        return ip[0] == 127 || memcmp(ip, zero, 4) == 0;
    return memcmp(ip, zero, 15) == 0 && ip[15] <= 1;
}

const char *poison_set_reverse(struct poison *p, const struct poison_owner *owner,
    const uint8_t *ip, size_t ip_len, uint32_t ttl_s)
{
    struct poison_data data = {WIRE_TYPE_PTR, ttl_s, owner->name, owner->len};
    struct poison_owner reverse = {.place = POISON_NAME};
    struct node *node;
    struct record *r;

    if (is_pattern(owner->place) || is_nobodys(ip, ip_len))
        return NULL;
    reverse.len = reverse_name(ip, ip_len, reverse.name);
    node = owner_node(p, &reverse);
    if (node == NULL)
        return poison_out_of_memory;
    if (node->rules[POISON_NAME] != POISON_RULE_NONE &&
        node->rules[POISON_NAME] != POISON_RULE_RECORDS)
        return NULL;
    if (record_of(node, POISON_NAME, WIRE_TYPE_PTR) != NULL ||
        record_of(node, POISON_NAME, WIRE_TYPE_CNAME) != NULL)
        return NULL;
    r = record_make(POISON_NAME, &data);
    if (r == NULL)
        return poison_out_of_memory;
    r->implied = true;
    return record_add(p, node, r);
}

/* ---- names that are there because of names below them ---------------------------------------- */

/* Offsets of a name's labels, the root's included. Returns their number. */
static unsigned label_offsets(const uint8_t *name, size_t len, uint8_t out[LABELS_MAX])
{
    unsigned n = 0;
    size_t at = 0;

    while (at < len && n < LABELS_MAX) {
        out[n++] = (uint8_t)at;
        if (name[at] == 0)
            break;
        at += 1 + (size_t)name[at];
    }
    return n;
}

static bool denies(const struct node *node, enum poison_place place)
{
    return node != NULL && node->rules[place] == POISON_RULE_NXDOMAIN;
}

/* Marks `name` and the names above it, as far as a pattern with nxdomain covers them. 0, or -1 when
 * memory is out. */
static int mark_there(struct poison *p, const uint8_t *name, size_t len)
{
    uint8_t offsets[LABELS_MAX];
    unsigned n = label_offsets(name, len, offsets);
    bool covered = false; /* by a pattern of a name further up */

    for (unsigned i = n; i-- > 0;) {
        const uint8_t *above = name + offsets[i];
        size_t above_len = len - offsets[i];
        struct node *node = node_at(p, above, above_len, n - 1 - i);
        bool tree_denied = denies(node, POISON_TREE);
        bool below_denied = denies(node, POISON_BELOW);

        if (covered || tree_denied) {
            node = node_make(p, above, above_len);
            if (node == NULL)
                return -1;
            node->is_there = true;
        }
        covered |= tree_denied || below_denied;
    }
    return 0;
}

/* Whether a rule says that its names are something else than absent. */
static bool may_exist(enum poison_rule rule)
{
    return rule != POISON_RULE_NONE && rule != POISON_RULE_NXDOMAIN;
}

static bool has_existing(const struct node *node)
{
    for (enum poison_place place = 0; place < POISON_PLACES; place++)
        if (may_exist(node->rules[place]))
            return true;
    return false;
}

/* RFC 8020 2: who hears NXDOMAIN for a name takes all below it for absent. */
const char *poison_set_finish(struct poison *p)
{
    if (p->n_denying == 0)
        return NULL;
    /* Nodes made on the way come last in the list and have no rules. */
    for (const struct node *node = p->nodes; node != NULL; node = node->hh.next)
        if (has_existing(node) && mark_there(p, node->name, node->name_len) != 0)
            return poison_out_of_memory;
    return NULL;
}

/* ---- questions ------------------------------------------------------------------------------- */

/* The rule that a name is under. */
struct match {
    const struct node *node; /* whose it is, NULL for none */
    enum poison_place place;
    bool denied; /* NXDOMAIN may be said: nothing is known below the name */
};

static enum poison_rule match_rule(const struct match *m)
{
    return m->node == NULL ? POISON_RULE_NONE : m->node->rules[m->place];
}

/* Which rule of x holds for names below it. */
static enum poison_rule pick_below(const struct node *node, enum poison_place *place)
{
    *place = POISON_BELOW;
    if (node->rules[POISON_BELOW] == POISON_RULE_NONE ||
        node->rules[POISON_TREE] == POISON_RULE_PASS)
        *place = POISON_TREE;
    return node->rules[*place];
}

/* name is in lower case. */
static struct match match_find(const struct poison *p, const uint8_t *name, size_t len)
{
    unsigned depth = wire_name_labels(name, len);
    const struct node *node = node_at(p, name, len, depth);
    struct match m = {.node = node, .place = POISON_NAME, .denied = true};

    if (node != NULL && node->rules[POISON_NAME] != POISON_RULE_NONE)
        return m;
    if (node != NULL) {
        m.denied = !node->is_there;
        m.place = POISON_TREE;
        if (node->rules[POISON_TREE] != POISON_RULE_NONE)
            return m;
    }
    while (depth > 0) {
        size_t label_len = 1 + (size_t)name[0];
        name += label_len;
        len -= label_len;
        depth--;
        m.node = node_at(p, name, len, depth);
        if (m.node != NULL && pick_below(m.node, &m.place) != POISON_RULE_NONE)
            return m;
    }
    m.node = NULL;
    return m;
}

/* An answer on its way. */
struct answer {
    const struct wire_question *question;
    struct wire_writer writer;
    const uint8_t *name; /* where the chain has come to */
    size_t name_len;
    struct match match;
    uint8_t *packed;
    size_t cap;
    struct poison_result *result;
};

static enum poison_verdict finish(struct answer *a, uint16_t rcode, enum poison_verdict verdict)
{
    struct poison_result *result = a->result;

    result->packed_len =
        wire_writer_finish(&a->writer, (uint16_t)(WIRE_AA | rcode), a->packed, a->cap);
    if (result->packed_len > 0)
        return verdict;

    uint8_t nothing[1];
    wire_writer_start(
        &a->writer, a->question->name, a->question->name_len, nothing, sizeof nothing);
    result->packed_len = wire_writer_finish(&a->writer, WIRE_SERVFAIL, a->packed, a->cap);
    result->blocked = false;
    result->passed = false;
    return POISON_ANSWER;
}

static enum poison_verdict fail(struct answer *a)
{
    a->writer.failed = true;
    return finish(a, WIRE_SERVFAIL, POISON_ANSWER);
}

static void put(struct answer *a, const struct record *r)
{
    struct wire_record record = {
        .owner = a->name,
        .owner_len = a->name_len,
        .type = r->type,
        .class = WIRE_CLASS_IN,
        .ttl_s = r->ttl_s,
        .rdata = r->rdata,
        .rdata_len = r->rdata_len,
    };

    wire_put_record(&a->writer, WIRE_SECTION_ANSWER, &record);
}

/* Writes the records of the asked type. Returns how many there were. */
static size_t put_asked(struct answer *a)
{
    size_t n = 0;

    for (const struct record *r = a->match.node->records; r != NULL; r = r->next) {
        if (r->place != a->match.place || r->type != a->question->type)
            continue;
        put(a, r);
        n++;
    }
    return n;
}

/* RFC 2308 2: the SOA says how long it may be believed. */
static enum poison_verdict deny(struct answer *a, uint16_t rcode)
{
    struct wire_record soa = {
        .owner = a->match.node->name,
        .owner_len = a->match.node->name_len,
        .type = WIRE_TYPE_SOA,
        .class = WIRE_CLASS_IN,
        .ttl_s = POISON_TTL_DEFAULT,
        .rdata = soa_rdata,
        .rdata_len = SOA_RDATA_LEN,
    };

    wire_put_record(&a->writer, WIRE_SECTION_AUTHORITY, &soa);
    return finish(a, rcode, POISON_ANSWER);
}

static enum poison_verdict obey(struct answer *a, enum poison_rule verdict)
{
    a->result->blocked = verdict != POISON_RULE_DROP;
    switch (verdict) {
    case POISON_RULE_REFUSED:
        return POISON_REFUSED;
    case POISON_RULE_DROP:
        return POISON_DROP;
    case POISON_RULE_NXDOMAIN:
        return deny(a, a->match.denied ? WIRE_NXDOMAIN : WIRE_NOERROR);
    default:
        return deny(a, WIRE_NOERROR);
    }
}

static enum poison_verdict chase(struct answer *a, bool passed)
{
    a->result->passed = passed;
    memcpy(a->result->target, a->name, a->name_len);
    a->result->target_len = a->name_len;
    return finish(a, WIRE_NOERROR, POISON_CHASE);
}

/* Goes over to a CNAME's target. */
static void follow(const struct poison *p, struct answer *a, const struct record *cname)
{
    uint8_t name[WIRE_NAME_MAX];

    put(a, cname);
    a->name = cname->rdata;
    a->name_len = cname->rdata_len;
    wire_name_lower(a->name, a->name_len, name);
    a->match = match_find(p, name, a->name_len);
}

/* One step of the chain: true when *verdict is the end of it. */
static bool step(
    const struct poison *p, struct answer *a, unsigned hops, enum poison_verdict *verdict)
{
    enum poison_rule rule = match_rule(&a->match);
    const struct record *cname;

    if (rule == POISON_RULE_NONE || rule == POISON_RULE_PASS) {
        *verdict = chase(a, rule == POISON_RULE_PASS);
        return true;
    }
    if (rule != POISON_RULE_RECORDS) {
        *verdict = obey(a, rule);
        return true;
    }
    if (put_asked(a) > 0) {
        *verdict = finish(a, WIRE_NOERROR, POISON_ANSWER);
        return true;
    }
    cname = record_of(a->match.node, a->match.place, WIRE_TYPE_CNAME);
    if (cname == NULL) {
        *verdict = deny(a, WIRE_NOERROR);
        return true;
    }
    if (hops == POISON_CHAIN_MAX) {
        *verdict = fail(a);
        return true;
    }
    follow(p, a, cname);
    return false;
}

static enum poison_verdict answer(const struct poison *p, struct answer *a)
{
    uint8_t scratch[WIRE_MESSAGE_MAX];
    enum poison_verdict verdict = POISON_NONE;

    wire_writer_start(&a->writer, a->name, a->name_len, scratch, sizeof scratch);
    for (unsigned hops = 0; !step(p, a, hops, &verdict); hops++)
        ;
    return verdict;
}

enum poison_verdict poison_lookup(const struct poison *p, const struct wire_question *question,
    uint8_t *packed, size_t cap, struct poison_result *result)
{
    uint8_t name[WIRE_NAME_MAX];
    struct match match;
    struct answer a; /* its writer is large and clears itself */
    enum poison_rule rule;

    result->packed_len = 0;
    result->blocked = false;
    result->target_len = 0;
    if (p == NULL || p->nodes == NULL || question->class != WIRE_CLASS_IN)
        return POISON_NONE;
    wire_name_lower(question->name, question->name_len, name);
    match = match_find(p, name, question->name_len);
    rule = match_rule(&match);
    if (rule == POISON_RULE_NONE)
        return POISON_NONE;
    if (rule == POISON_RULE_PASS)
        return POISON_PASS;
    a.question = question;
    a.name = question->name;
    a.name_len = question->name_len;
    a.match = match;
    a.packed = packed;
    a.cap = cap;
    a.result = result;
    return answer(p, &a);
}

/* ---- check ----------------------------------------------------------------------------------- */

static const char *check_records(const struct node *node)
{
    for (const struct record *r = node->records; r != NULL; r = r->next) {
        if (r->place >= POISON_PLACES || node->rules[r->place] != POISON_RULE_RECORDS)
            return "a record where its owner has no records";
        if (poison_is_meta_type(r->type))
            return "a record of a type that is no data";
        if (r->implied && (r->place != POISON_NAME || r->type != WIRE_TYPE_PTR))
            return "an implied record that is no PTR";
        if (r->type == WIRE_TYPE_CNAME && wire_name_len(r->rdata, r->rdata_len) != r->rdata_len)
            return "a CNAME whose target is no name";
        for (const struct record *o = r->next; o != NULL; o = o->next) {
            if (o->place != r->place)
                continue;
            if (record_equal(o, r))
                return "a record twice";
            if (cname_clash(r, o->type) != NULL)
                return "a CNAME beside others";
            if (o->type == r->type && o->ttl_s != r->ttl_s)
                return "an RRset with two TTLs";
        }
    }
    return NULL;
}

static const char *check_node(const struct poison *p, const struct node *node)
{
    uint8_t name[WIRE_NAME_MAX];
    unsigned depth;

    if (wire_name_len(node->name, node->name_len) != node->name_len)
        return "a name that is none";
    wire_name_lower(node->name, node->name_len, name);
    if (memcmp(name, node->name, node->name_len) != 0)
        return "a name in capitals";
    depth = wire_name_labels(node->name, node->name_len);
    if (node_at(p, node->name, node->name_len, depth) != node)
        return "a name that is not found";
    for (enum poison_place place = 0; place < POISON_PLACES; place++) {
        if (node->rules[place] > POISON_RULE_PASS)
            return "a rule that is none";
        if (node->rules[place] == POISON_RULE_RECORDS && !has_records(node, place))
            return "an owner of records without any";
    }
    return check_records(node);
}

const char *poison_check(const struct poison *p)
{
    size_t n_rules = 0, n_denying = 0, n_nodes = 0, n_depths = 0;

    if (p == NULL)
        return NULL;
    for (const struct node *node = p->nodes; node != NULL; node = node->hh.next) {
        const char *broken = check_node(p, node);
        if (broken != NULL)
            return broken;
        n_nodes++;
        for (enum poison_place place = 0; place < POISON_PLACES; place++) {
            n_rules += node->rules[place] != POISON_RULE_NONE;
            n_denying += is_pattern(place) && node->rules[place] == POISON_RULE_NXDOMAIN;
        }
    }
    for (unsigned depth = 0; depth < LABELS_MAX; depth++)
        n_depths += p->n_at_depth[depth];
    if (n_nodes != HASH_COUNT(p->nodes) || n_nodes != n_depths)
        return "a wrong number of names";
    return n_rules == p->n_rules && n_denying == p->n_denying ? NULL : "a wrong number of rules";
}
