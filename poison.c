/* poison.c: poison.conf's lines into a table of names, and questions answered from it.
 * Knows owners, patterns and verdicts; never files, sockets or where an answer goes. */
#include "poison.h"

#include <libzscanner/scanner.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define LABELS_MAX     128   /* 127 labels and the root */
#define RRSET_MAX      60000 /* bytes of one RRset in an answer: leaves room for a CNAME chain */
#define TTL_MAX        INT32_MAX /* RFC 2181 8 */
#define WHAT_MAX       80
#define TYPE_META_LOW  128 /* RFC 6895 3.1: 128 to 255 are QTYPEs and Meta-TYPEs */
#define TYPE_META_HIGH 255

/* Which names a rule is for, by how its owner is written: x, *.x, .x */
enum place { PLACE_NAME, PLACE_BELOW, PLACE_TREE, PLACES };

enum rule {
    RULE_NONE,
    RULE_RECORDS,
    RULE_NXDOMAIN,
    RULE_NODATA,
    RULE_REFUSED,
    RULE_DROP,
    RULE_PASS,
};

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
    uint8_t rules[PLACES];
    bool has_below; /* a pattern may not deny this name: a rule below it says that something is */
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

static bool is_pattern(enum place place)
{
    return place != PLACE_NAME;
}

/* ---- the table of names ------------------------------------------------------------------------
 */

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

static void rule_set(struct poison *p, struct node *node, enum place place, enum rule rule)
{
    enum rule old = node->rules[place];

    p->n_rules += (rule != RULE_NONE);
    p->n_rules -= (old != RULE_NONE);
    if (is_pattern(place)) {
        p->n_denying += (rule == RULE_NXDOMAIN);
        p->n_denying -= (old == RULE_NXDOMAIN);
    }
    node->rules[place] = (uint8_t)rule;
}

static const struct record *record_of(const struct node *node, enum place place, uint16_t type)
{
    for (const struct record *r = node->records; r != NULL; r = r->next)
        if (r->place == place && r->type == type)
            return r;
    return NULL;
}

/* Frees the records of a place, or the implied ones of it only. */
static void records_drop(struct node *node, enum place place, bool implied_only)
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

static bool has_records(const struct node *node, enum place place)
{
    for (const struct record *r = node->records; r != NULL; r = r->next)
        if (r->place == place)
            return true;
    return false;
}

/* Takes back what addresses made for this name, since the file now says something itself. */
static void implied_drop(struct poison *p, struct node *node)
{
    records_drop(node, PLACE_NAME, true);
    if (node->rules[PLACE_NAME] == RULE_RECORDS && !has_records(node, PLACE_NAME))
        rule_set(p, node, PLACE_NAME, RULE_NONE);
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

static const char out_of_memory[] = "memory is out";

static const char *verdict_add(
    struct poison *p, struct node *node, enum place place, enum rule verdict)
{
    enum rule old;

    if (place == PLACE_NAME)
        implied_drop(p, node);
    old = node->rules[place];
    if (old == verdict || old == RULE_PASS)
        return NULL;
    if (verdict == RULE_PASS)
        records_drop(node, place, false);
    else if (old == RULE_RECORDS)
        return "has records on a line before: a name has either records or a verdict";
    else if (old != RULE_NONE)
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
static void rrset_level(struct node *node, enum place place, uint16_t type)
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
    enum place place = r->place;
    uint16_t type = r->type;
    const char *why = NULL;
    struct record *same;

    if (place == PLACE_NAME && (type == WIRE_TYPE_PTR || type == WIRE_TYPE_CNAME))
        implied_drop(p, node);
    same = record_same(node, r);
    if (same != NULL) {
        if (same->ttl_s > r->ttl_s)
            same->ttl_s = r->ttl_s;
        rrset_level(node, place, type);
        goto done;
    }
    if (node->rules[place] == RULE_PASS)
        goto done;
    if (node->rules[place] != RULE_NONE && node->rules[place] != RULE_RECORDS)
        why = "has a verdict on a line before: a name has either records or a verdict";
    else
        why = record_unfit(node, r);
    if (why != NULL)
        goto done;
    record_append(node, r);
    rrset_level(node, place, type);
    rule_set(p, node, place, RULE_RECORDS);
    return NULL;

done:
    free(r);
    return why;
}

static struct record *record_make(
    enum place place, uint16_t type, uint32_t ttl_s, const uint8_t *rdata, size_t len)
{
    struct record *r = malloc(sizeof *r + len);

    if (r == NULL)
        return NULL;
    r->next = NULL;
    r->ttl_s = ttl_s;
    r->type = type;
    r->rdata_len = (uint16_t)len;
    r->place = (uint8_t)place;
    r->implied = false;
    memcpy(r->rdata, rdata, len);
    return r;
}

/* ---- PTR from addresses ------------------------------------------------------------------------
 */

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

/* Adds the PTR that an address of `owner` implies, unless something is said for it already. */
static const char *ptr_imply(struct poison *p, const uint8_t *ip, size_t ip_len,
    const uint8_t *owner, size_t owner_len, uint32_t ttl_s)
{
    uint8_t name[WIRE_NAME_MAX];
    size_t len = reverse_name(ip, ip_len, name);
    struct node *node = node_make(p, name, len);
    struct record *r;

    if (node == NULL)
        return out_of_memory;
    if (node->rules[PLACE_NAME] != RULE_NONE && node->rules[PLACE_NAME] != RULE_RECORDS)
        return NULL;
    if (record_of(node, PLACE_NAME, WIRE_TYPE_PTR) != NULL ||
        record_of(node, PLACE_NAME, WIRE_TYPE_CNAME) != NULL)
        return NULL;
    r = record_make(PLACE_NAME, WIRE_TYPE_PTR, ttl_s, owner, owner_len);
    if (r == NULL)
        return out_of_memory;
    r->implied = true;
    r->next = node->records;
    node->records = r;
    rule_set(p, node, PLACE_NAME, RULE_RECORDS);
    return NULL;
}

/* ---- reading lines -----------------------------------------------------------------------------
 */

struct span {
    const char *text;
    size_t len;
};

struct owner {
    struct span word; /* as written, for reports */
    enum place place;
    bool usable; /* else its lines are checked, but not kept */
    uint8_t name[WIRE_NAME_MAX];
    size_t len;
};

/* The words of a line that starts with a name. */
struct entry {
    struct span rest;  /* all behind the owner */
    struct span extra; /* TTL or class before the word, empty if none */
    struct span word;  /* type, address or verdict */
    struct span after; /* what follows the word */
};

struct loader {
    struct poison *set;
    poison_report *report;
    void *ctx;
    size_t line;
    bool mistaken;
    bool oom;
    struct owner owner;   /* of the last line that had one */
    bool scanner_open;    /* zs_init was called: zs_deinit is due */
    bool scanner_spoiled; /* it met a mistake, and is not to be used again as it is */
    zs_scanner_t scanner;
    size_t len;                      /* of text */
    char text[POISON_LINE_MAX + 32]; /* what the scanner is given: one record and a newline */
};

static const char expected[] =
    "expected a type, an address or one of nxdomain, nodata, refused, drop, pass";

static void mistake(struct loader *l, struct span what, const char *why)
{
    char text[WHAT_MAX * 4 + 4];
    size_t len = 0;

    l->mistaken = true;
    for (size_t i = 0; i < what.len && i < WHAT_MAX; i++) {
        unsigned char c = (unsigned char)what.text[i];
        if (c > ' ' && c < 0x7f) {
            text[len++] = (char)c;
            continue;
        }
        text[len++] = '\\';
        text[len++] = (char)('0' + c / 100);
        text[len++] = (char)('0' + c / 10 % 10);
        text[len++] = (char)('0' + c % 10);
    }
    if (what.len > WHAT_MAX) {
        memcpy(text + len, "...", 3);
        len += 3;
    }
    text[len] = '\0';
    l->report(l->ctx, l->line, text, why);
}

/* For functions that return what is wrong. */
static void complain(struct loader *l, struct span what, const char *why)
{
    if (why == out_of_memory)
        l->oom = true;
    else if (why != NULL)
        mistake(l, what, why);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool span_is(struct span s, const char *word)
{
    for (size_t i = 0; i < s.len; i++)
        if (word[i] == '\0' || lower(s.text[i]) != lower(word[i]))
            return false;
    return word[s.len] == '\0';
}

/* The first of rest's words, which is taken off; empty at the end. Quotes and escapes hold a word
 * together. */
static struct span next_word(struct span *rest)
{
    size_t at = 0, start;
    bool quoted = false;

    while (at < rest->len && is_blank(rest->text[at]))
        at++;
    start = at;
    for (; at < rest->len && (quoted || !is_blank(rest->text[at])); at++) {
        if (rest->text[at] == '"')
            quoted = !quoted;
        else if (rest->text[at] == '\\' && at + 1 < rest->len)
            at++;
    }
    struct span word = {rest->text + start, at - start};
    rest->text += at;
    rest->len -= at;
    return word;
}

/* Length of an escape at the start of s (RFC 1035 5.1), which starts with a backslash: \X or \DDD;
 * 0 if it is none. */
static size_t escape_len(struct span s)
{
    if (s.len < 2)
        return 0;
    if (!is_digit(s.text[1]))
        return 2;
    if (s.len < 4 || !is_digit(s.text[2]) || !is_digit(s.text[3]))
        return 0;
    unsigned value = (unsigned)(s.text[1] - '0') * 100 + (unsigned)(s.text[2] - '0') * 10 +
                     (unsigned)(s.text[3] - '0');
    return value <= 255 ? 4 : 0;
}

/* Whether a comment starts at s.text[at]: `;` anywhere, `#` only where a word could start, for
 * `\#` and names or strings with a `#` in them mean themselves. */
static bool starts_comment(struct span s, size_t at)
{
    return s.text[at] == ';' || (s.text[at] == '#' && (at == 0 || is_blank(s.text[at - 1])));
}

/* Where quotes and parentheses stand in a line. */
struct nesting {
    bool quoted;
    size_t quote_at;
    size_t depth;
    size_t open_at;
};

static const char *nest(struct nesting *n, char c, size_t at)
{
    if (c == '"') {
        n->quoted = !n->quoted;
        n->quote_at = at;
    } else if (c == '(' && !n->quoted) {
        n->depth++;
        n->open_at = at;
    } else if (c == ')' && !n->quoted) {
        if (n->depth == 0)
            return "a parenthesis that was not opened";
        n->depth--;
    }
    return NULL;
}

/* Cuts the comment off line. NULL, or what is wrong with the line, at line->text[*at]. */
static const char *line_scan(struct span *line, size_t *at)
{
    struct nesting n = {0};
    size_t i, step;

    for (i = 0; i < line->len; i += step) {
        char c = line->text[i];
        const char *why = NULL;
        step = 1;
        *at = i;
        if (!n.quoted && starts_comment(*line, i))
            break;
        if ((c < ' ' && c != '\t') || c > '~') /* char may be signed */
            return "only ASCII is allowed outside comments: write other bytes as \\DDD and names "
                   "in their xn-- form";
        if (c == '\\') {
            step = escape_len((struct span){line->text + i, line->len - i});
            if (step == 0)
                return "expected a character or three digits up to 255 behind the backslash";
        } else {
            why = nest(&n, c, i);
        }
        if (why != NULL)
            return why;
    }
    line->len = i;
    *at = n.quoted ? n.quote_at : n.open_at;
    if (n.quoted)
        return "the quote is not closed";
    if (n.depth > 0)
        return "the parenthesis is not closed: a record ends with its line";
    return NULL;
}

/* The word that holds line.text[at], or else the last before it. */
static struct span word_at(struct span line, size_t at)
{
    const char *there = line.text + at;
    struct span found = {line.text, 0};

    for (;;) {
        struct span word = next_word(&line);
        if (word.len == 0 || word.text > there)
            return found;
        found = word;
    }
}

/* ---- the zone scanner --------------------------------------------------------------------------
 */

static void text_start(struct loader *l)
{
    l->len = 0;
}

static void text_put(struct loader *l, const char *text, size_t len)
{
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

static void scanner_close(struct loader *l)
{
    if (l->scanner_open)
        zs_deinit(&l->scanner);
    l->scanner_open = false;
    l->scanner_spoiled = false;
}

/* Scans l->text as one record; the result is in l->scanner. 0, or -1: not a record, or memory is
 * out (l->oom). Setting a scanner up clears 200 KiB, so one goes on until it meets a mistake. */
static int scan(struct loader *l)
{
    text_put(l, "\n", 1);
    if (l->scanner_spoiled)
        scanner_close(l);
    if (!l->scanner_open) {
        l->scanner_open = zs_init(&l->scanner, ".", WIRE_CLASS_IN, POISON_TTL_DEFAULT) == 0;
        l->oom |= !l->scanner_open;
    }
    l->scanner.r_type = 0; /* tells afterwards whether a type was recognised */
    if (l->oom || zs_set_input_string(&l->scanner, l->text, l->len) != 0 ||
        zs_parse_record(&l->scanner) != 0) {
        l->oom = true;
        return -1;
    }
    l->scanner_spoiled = l->scanner.state != ZS_STATE_DATA;
    return l->scanner_spoiled ? -1 : 0;
}

/* Where in l->text the scanner gave up: it keeps what was left of the line, and a NUL. */
static size_t scan_fault_at(const struct loader *l)
{
    size_t left = l->scanner.buffer_length;

    return left > l->len ? 0 : l->len - left;
}

struct scan_error {
    int code;
    const char *why;
};

static const struct scan_error scan_errors[] = {
    {ZS_UNSUPPORTED_TYPE, "not a type"},
    {ZS_BAD_ADDRESS_CHAR, "not an address"},
    {ZS_BAD_IPV4, "not an IPv4 address"},
    {ZS_BAD_IPV6, "not an IPv6 address"},
    {ZS_BAD_DNAME_CHAR,
        "not a name: an empty label, or a character that is to be written as \\DDD"},
    {ZS_BAD_OWNER, "not a name: a character that is to be written as \\DDD"},
    {ZS_LABEL_OVERFLOW, "a label of a name is longer than 63 bytes"},
    {ZS_DNAME_OVERFLOW, "a name is longer than 255 bytes"},
    {ZS_BAD_NUMBER, "expected a number"},
    {ZS_NUMBER8_OVERFLOW, "expected a number up to 255"},
    {ZS_NUMBER16_OVERFLOW, "expected a number up to 65535"},
    {ZS_NUMBER32_OVERFLOW, "expected a number up to 4294967295"},
    {ZS_NUMBER64_OVERFLOW, "the number is too large"},
    {ZS_BAD_TIME_UNIT, "expected a number of seconds, or numbers with s, m, h, d or w"},
    {ZS_RDATA_OVERFLOW, "the data is longer than 65535 bytes"},
    {ZS_BAD_RDATA_LENGTH, "the data is not as long as was said behind \\#"},
    {ZS_BAD_HEX_CHAR, "not hexadecimal"},
    {ZS_BAD_HEX_RDATA, "expected an even number of hexadecimal digits"},
    {ZS_BAD_BASE64_CHAR, "not base64"},
    {ZS_BAD_BASE32HEX_CHAR, "not base32hex"},
    {ZS_BAD_REST, "more than this type takes"},
    {ZS_TEXT_OVERFLOW, "a string is longer than 255 bytes"},
    {ZS_BAD_TEXT, "not a string"},
    {ZS_BAD_TEXT_CHAR, "not a string"},
    {ZS_BAD_TIMESTAMP, "expected a time as YYYYMMDDHHMMSS or seconds since 1970"},
    {ZS_BAD_TIMESTAMP_CHAR, "expected a time as YYYYMMDDHHMMSS or seconds since 1970"},
    {ZS_BAD_TIMESTAMP_LENGTH, "expected a time as YYYYMMDDHHMMSS or seconds since 1970"},
    {ZS_BAD_BITMAP, "expected types"},
    {ZS_BAD_ALGORITHM, "not a DNSSEC algorithm"},
    {ZS_BAD_SVCB_PARAM, "not a parameter (key=value) of SVCB and HTTPS"},
    {ZS_DUPLICATE_SVCB_KEY, "the same parameter twice"},
    {ZS_BAD_RDATA, "not what this type takes"},
};

static const char *scan_why(int code)
{
    for (size_t i = 0; i < sizeof scan_errors / sizeof *scan_errors; i++)
        if (scan_errors[i].code == code)
            return scan_errors[i].why;
    return zs_strerror(code);
}

/* ---- owners ------------------------------------------------------------------------------------
 */

static bool looks_like_ipv4(struct span s)
{
    return s.len > 0 && is_digit(s.text[0]) && memchr(s.text, '.', s.len) != NULL;
}

static bool looks_like_ipv6(struct span s)
{
    return memchr(s.text, ':', s.len) != NULL && memchr(s.text, '"', s.len) == NULL;
}

/* Splits what marks a pattern off the owner's text. NULL, or what is wrong. */
static const char *owner_split(struct span *text, enum place *place)
{
    *place = PLACE_NAME;
    if (text->text[0] == '*' && (text->len == 1 || text->text[1] == '.')) {
        *place = PLACE_BELOW;
        *text =
            text->len <= 2 ? (struct span){".", 1} : (struct span){text->text + 2, text->len - 2};
    } else if (text->text[0] == '.' && text->len > 1) {
        *place = PLACE_TREE;
        *text = (struct span){text->text + 1, text->len - 1};
    }
    for (size_t i = 0; i < text->len; i++) {
        char c = text->text[i];
        if (c == '\\')
            i++;
        else if (c == '*')
            return "an asterisk stands for whole names, as the first label only";
        else if (c == '(' || c == ')')
            return "expected a name";
    }
    return NULL;
}

/* Reads the first word of a line into l->owner. */
static void owner_read(struct loader *l, struct span word)
{
    struct owner *owner = &l->owner;
    struct span text = word;
    const char *why = NULL;

    owner->word = word;
    owner->usable = false;
    if (span_is(word, "@"))
        why = "there is no origin that it could stand for: write the name";
    else
        why = owner_split(&text, &owner->place);
    if (why != NULL) {
        mistake(l, word, why);
        return;
    }
    text_start(l);
    text_put(l, text.text, text.len);
    text_put(l, " A 0.0.0.0", 10);
    if (scan(l) != 0) {
        complain(l, word, l->oom ? out_of_memory : scan_why(l->scanner.error.code));
        return;
    }
    owner->len = l->scanner.r_owner_length;
    memcpy(owner->name, l->scanner.r_owner, owner->len);
    owner->usable = true;
}

/* The node of the line's owner, NULL (and l->oom) when memory is out. */
static struct node *owner_node(struct loader *l)
{
    uint8_t name[WIRE_NAME_MAX];
    struct node *node;

    wire_name_lower(l->owner.name, l->owner.len, name);
    node = node_make(l->set, name, l->owner.len);
    l->oom |= (node == NULL);
    return node;
}

/* ---- what is said about them -------------------------------------------------------------------
 */

struct verdict_word {
    const char *word;
    enum rule rule;
};

static enum rule verdict_of(struct span word)
{
    static const struct verdict_word words[] = {
        {"nxdomain", RULE_NXDOMAIN},
        {"nodata", RULE_NODATA},
        {"refused", RULE_REFUSED},
        {"drop", RULE_DROP},
        {"pass", RULE_PASS},
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_is(word, words[i].word))
            return words[i].rule;
    return RULE_NONE;
}

static void verdict_line(struct loader *l, const struct entry *e, enum rule verdict)
{
    struct span after = e->after;
    struct span more = next_word(&after);
    struct node *node;

    if (e->extra.len > 0) {
        mistake(l, e->extra, "a verdict has no TTL and no class");
        return;
    }
    if (more.len > 0) {
        mistake(l, more, "nothing may follow a verdict");
        return;
    }
    if (!l->owner.usable)
        return;
    node = owner_node(l);
    if (node != NULL)
        complain(l, l->owner.word, verdict_add(l->set, node, l->owner.place, verdict));
}

/* Types that are never data: reserved ones, OPT, and the QTYPEs and Meta-TYPEs (RFC 6895 3.1). */
static bool is_meta_type(uint16_t type)
{
    return type == 0 || type == UINT16_MAX || type == WIRE_TYPE_OPT ||
           (type >= TYPE_META_LOW && type <= TYPE_META_HIGH);
}

/* RFC 3597's form lets any bytes be written for a known type. */
static const char *shape_wrong(const zs_scanner_t *s)
{
    switch (s->r_type) {
    case WIRE_TYPE_A:
        return s->r_data_length == 4 ? NULL : "an A record has 4 bytes of data";
    case WIRE_TYPE_AAAA:
        return s->r_data_length == 16 ? NULL : "an AAAA record has 16 bytes of data";
    case WIRE_TYPE_CNAME:
    case WIRE_TYPE_DNAME:
    case WIRE_TYPE_NS:
    case WIRE_TYPE_PTR:
        if (s->r_data_length > 0 && wire_name_len(s->r_data, s->r_data_length) == s->r_data_length)
            return NULL;
        return "the data of this type is one whole name";
    default:
        return NULL;
    }
}

/* Keeps what the scanner has read, for the line's owner. */
static const char *record_keep(struct loader *l)
{
    const zs_scanner_t *s = &l->scanner;
    const char *why = shape_wrong(s);
    struct node *node;
    struct record *r;

    if (is_meta_type(s->r_type))
        return "a type that is no data and cannot be an override";
    if (s->r_ttl > TTL_MAX)
        return "its TTL is above 2147483647";
    if (why != NULL || !l->owner.usable)
        return why;
    r = record_make(l->owner.place, s->r_type, s->r_ttl, s->r_data, s->r_data_length);
    if (r == NULL)
        return out_of_memory;
    node = owner_node(l);
    if (node == NULL) {
        free(r);
        return out_of_memory;
    }
    return record_add(l->set, node, r);
}

/* Says what the scanner disliked of ". EXTRA TYPE DATA"; type_at is where TYPE starts. */
static void record_fault(struct loader *l, const struct entry *e, size_t type_at)
{
    int code = l->scanner.error.code;
    struct span text = {l->text, l->len - 1};
    struct span word = word_at(text, scan_fault_at(l));
    struct span after = e->after;

    if (l->oom)
        return;
    if (word.text > l->text + type_at && code == ZS_BAD_ADDRESS_CHAR && span_is(e->word, "A"))
        mistake(l, word, "not an IPv4 address");
    else if (word.text > l->text + type_at && code == ZS_BAD_ADDRESS_CHAR &&
             span_is(e->word, "AAAA"))
        mistake(l, word, "not an IPv6 address");
    else if (word.text > l->text + type_at || (word.text < l->text + type_at && e->extra.len > 0))
        mistake(l, word, scan_why(code));
    else if (l->scanner.r_type != 0 && next_word(&after).len == 0)
        mistake(l, e->word, "its data is missing");
    else if (looks_like_ipv4(l->owner.word))
        mistake(l, l->owner.word, "the name comes first, then its addresses");
    else
        mistake(l, e->word, expected);
}

static void record_line(struct loader *l, const struct entry *e)
{
    size_t type_at = 1 + (size_t)(e->word.text - e->rest.text);

    text_start(l);
    text_put(l, ".", 1);
    text_put(l, e->rest.text, e->rest.len);
    if (scan(l) != 0)
        record_fault(l, e, type_at);
    else
        complain(l,
            l->scanner.r_type == 0 || is_meta_type(l->scanner.r_type) ? e->word : l->owner.word,
            record_keep(l));
}

/* One address of the short form. 0, or -1 when going on would only repeat the mistake. */
static int address_add(struct loader *l, const struct entry *e, struct span address)
{
    bool ipv4 = !looks_like_ipv6(address);
    struct span extra = {e->rest.text, (size_t)(e->word.text - e->rest.text)};
    const char *why;
    uint8_t ip[16];
    size_t ip_len, address_at;
    uint32_t ttl_s;

    if (ipv4 && !looks_like_ipv4(address)) {
        mistake(l, address, "expected an address");
        return 0;
    }
    text_start(l);
    text_put(l, ".", 1);
    text_put(l, extra.text, extra.len);
    text_put(l, ipv4 ? "A " : "AAAA ", ipv4 ? 2 : 5);
    address_at = l->len;
    text_put(l, address.text, address.len);
    if (scan(l) != 0) {
        if (l->oom)
            return -1;
        if (scan_fault_at(l) < address_at) {
            mistake(l, e->extra, scan_why(l->scanner.error.code));
            return -1;
        }
        mistake(l, address, ipv4 ? "not an IPv4 address" : "not an IPv6 address");
        return 0;
    }
    ip_len = l->scanner.r_data_length;
    memcpy(ip, l->scanner.r_data, ip_len <= sizeof ip ? ip_len : 0);
    ttl_s = l->scanner.r_ttl;
    why = record_keep(l);
    if (why == NULL && l->owner.usable && !is_pattern(l->owner.place) && !is_nobodys(ip, ip_len))
        why = ptr_imply(l->set, ip, ip_len, l->owner.name, l->owner.len, ttl_s);
    complain(l, l->owner.word, why);
    return why == NULL ? 0 : -1;
}

static void address_line(struct loader *l, const struct entry *e)
{
    struct span after = e->after;
    struct span word = e->word;

    for (; word.len > 0; word = next_word(&after))
        if (address_add(l, e, word) != 0)
            return;
}

/* ---- lines -------------------------------------------------------------------------------------
 */

static bool is_ttl(struct span word)
{
    for (size_t i = 0; i < word.len; i++)
        if (!is_digit(word.text[i]) && memchr("smhdw", lower(word.text[i]), 5) == NULL)
            return false;
    return word.len > 0 && is_digit(word.text[0]);
}

static bool is_class(struct span word)
{
    struct span stem = {word.text, 5};

    if (span_is(word, "IN") || span_is(word, "CS") || span_is(word, "CH") || span_is(word, "HS"))
        return true;
    return word.len > 5 && span_is(stem, "class") && is_digit(word.text[5]);
}

/* Finds the words behind the owner; a TTL and a class may stand before the one that matters, in
 * either order (RFC 1035 5.1). 0, or -1 after a mistake. */
static int entry_read(struct loader *l, struct span rest, struct entry *e)
{
    struct span none = {rest.text, 0};

    e->rest = rest;
    e->extra = none;
    e->after = rest;
    for (unsigned n = 0;; n++) {
        e->word = next_word(&e->after);
        if (e->word.len == 0) {
            mistake(l, n == 0 ? l->owner.word : e->extra, expected);
            return -1;
        }
        if (n == 2 || (!is_ttl(e->word) && !is_class(e->word)))
            return 0;
        if (is_class(e->word) && !span_is(e->word, "IN")) {
            mistake(l, e->word, "overrides are of class IN only");
            return -1;
        }
        e->extra = e->word;
    }
}

static void entry_add(struct loader *l, const struct entry *e)
{
    enum rule verdict = verdict_of(e->word);

    if (verdict != RULE_NONE)
        verdict_line(l, e, verdict);
    else if (looks_like_ipv4(e->word) || looks_like_ipv6(e->word))
        address_line(l, e);
    else
        record_line(l, e);
}

/* A line without its end. */
static void line_read(struct loader *l, struct span line)
{
    struct span first = line, whole = line, rest;
    struct entry e;
    size_t at = 0;
    const char *why;

    first = next_word(&whole);
    if (line.len > POISON_LINE_MAX) {
        mistake(l, first, "the line is longer than 65535 bytes");
        return;
    }
    if (line.len > 0 && memchr(line.text, '\0', line.len) != NULL) {
        mistake(l, first, "the line has a NUL byte: is this a text file?");
        return;
    }
    whole = line;
    why = line_scan(&line, &at);
    if (why != NULL) {
        mistake(l, word_at(whole, at), why);
        return;
    }
    rest = line;
    first = next_word(&rest);
    if (first.len == 0)
        return;
    if (first.text[0] == '$') {
        mistake(l, first,
            "directives of zone files are not supported: write names in full, and "
            "each TTL with its record");
        return;
    }
    /* RFC 1035 5.1: a line that starts with a blank goes on with the name before. */
    if (first.text == line.text && looks_like_ipv6(first)) {
        mistake(l, first, "the name comes first, then its addresses");
        return;
    }
    if (first.text == line.text)
        owner_read(l, first);
    else if (l->owner.word.len > 0)
        rest = line;
    else {
        mistake(l, first, "the line starts with a blank, and there is no name before it");
        return;
    }
    if (!l->oom && entry_read(l, rest, &e) == 0)
        entry_add(l, &e);
}

static void text_read(struct loader *l, struct span text)
{
    static const char byte_order_mark[] = "\357\273\277";

    if (text.len >= 3 && memcmp(text.text, byte_order_mark, 3) == 0)
        text = (struct span){text.text + 3, text.len - 3};
    while (text.len > 0 && !l->oom) {
        const char *end = memchr(text.text, '\n', text.len);
        struct span line = {text.text, end == NULL ? text.len : (size_t)(end - text.text)};
        size_t step = line.len + (end != NULL);

        l->line++;
        if (line.len > 0 && line.text[line.len - 1] == '\r')
            line.len--;
        line_read(l, line);
        text.text += step;
        text.len -= step;
    }
}

/* ---- names that are there because of names below them ------------------------------------------
 */

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

static bool denies(const struct node *node, enum place place)
{
    return node != NULL && node->rules[place] == RULE_NXDOMAIN;
}

/* Marks the names above `name` (from label `first` on) that a pattern with nxdomain covers. 0, or
 * -1 when memory is out. */
static int mark_above(struct poison *p, const uint8_t *name, size_t len, unsigned first)
{
    uint8_t offsets[LABELS_MAX];
    unsigned n = label_offsets(name, len, offsets);
    bool covered = false;

    for (unsigned i = n; i-- > first;) {
        const uint8_t *above = name + offsets[i];
        size_t above_len = len - offsets[i];
        struct node *node = node_at(p, above, above_len, n - 1 - i);
        bool below_covered = covered || denies(node, PLACE_BELOW) || denies(node, PLACE_TREE);

        if (covered || denies(node, PLACE_TREE)) {
            node = node_make(p, above, above_len);
            if (node == NULL)
                return -1;
            node->has_below = true;
        }
        covered = below_covered;
    }
    return 0;
}

/* Whether a rule says that its names are something else than absent. */
static bool may_exist(enum rule rule)
{
    return rule != RULE_NONE && rule != RULE_NXDOMAIN;
}

/* RFC 8020 2: who hears NXDOMAIN for a name takes all below it for absent. */
static int mark_all(struct poison *p)
{
    if (p->n_denying == 0)
        return 0;
    /* Nodes made on the way come last in the list and have no rules. */
    for (struct node *node = p->nodes; node != NULL; node = node->hh.next) {
        for (enum place place = 0; place < PLACES; place++) {
            if (!may_exist(node->rules[place]))
                continue;
            if (mark_above(p, node->name, node->name_len, is_pattern(place) ? 0 : 1) != 0)
                return -1;
        }
    }
    return 0;
}

static void loader_free(struct loader *l)
{
    if (l == NULL)
        return;
    scanner_close(l);
    free(l);
}

struct poison *poison_load(const char *text, size_t len, const uint8_t seed[POISON_SEED_LEN],
    poison_report *report, void *ctx)
{
    struct loader *l = calloc(1, sizeof *l);
    struct poison *set = calloc(1, sizeof *set);
    bool oom = true, mistaken = false;

    if (l == NULL || set == NULL)
        goto done;
    memcpy(set->seed, seed, POISON_SEED_LEN);
    l->set = set;
    l->report = report;
    l->ctx = ctx;
    text_read(l, (struct span){text, len});
    oom = l->oom || (!l->mistaken && mark_all(set) != 0);
    mistaken = l->mistaken;

done:
    loader_free(l);
    if (oom)
        report(ctx, 0, "", out_of_memory);
    if (oom || mistaken) {
        poison_free(set);
        return NULL;
    }
    return set;
}

/* ---- questions ---------------------------------------------------------------------------------
 */

/* The rule that a name is under. */
struct match {
    const struct node *node; /* whose it is, NULL for none */
    enum place place;
    bool denied; /* NXDOMAIN may be said: nothing is known below the name */
};

static enum rule match_rule(const struct match *m)
{
    return m->node == NULL ? RULE_NONE : m->node->rules[m->place];
}

/* Which rule of x holds for names below it. */
static enum rule pick_below(const struct node *node, enum place *place)
{
    enum rule below = node->rules[PLACE_BELOW];

    *place = PLACE_BELOW;
    if (below == RULE_NONE || (below != RULE_PASS && node->rules[PLACE_TREE] == RULE_PASS))
        *place = PLACE_TREE;
    return node->rules[*place];
}

/* name is in lower case. */
static struct match match_find(const struct poison *p, const uint8_t *name, size_t len)
{
    unsigned depth = wire_name_labels(name, len);
    const struct node *node = node_at(p, name, len, depth);
    struct match m = {.node = node, .place = PLACE_NAME, .denied = true};

    if (node != NULL && node->rules[PLACE_NAME] != RULE_NONE)
        return m;
    if (node != NULL) {
        m.denied = !node->has_below;
        m.place = PLACE_TREE;
        if (node->rules[PLACE_TREE] != RULE_NONE)
            return m;
    }
    while (depth > 0) {
        size_t label_len = 1 + (size_t)name[0];
        name += label_len;
        len -= label_len;
        depth--;
        m.node = node_at(p, name, len, depth);
        if (m.node != NULL && pick_below(m.node, &m.place) != RULE_NONE)
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

static enum poison_verdict obey(struct answer *a, enum rule verdict)
{
    a->result->blocked = verdict != RULE_DROP;
    switch (verdict) {
    case RULE_REFUSED:
        return POISON_REFUSED;
    case RULE_DROP:
        return POISON_DROP;
    case RULE_NXDOMAIN:
        return deny(a, a->match.denied ? WIRE_NXDOMAIN : WIRE_NOERROR);
    default:
        return deny(a, WIRE_NOERROR);
    }
}

static enum poison_verdict chase(struct answer *a)
{
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
    enum rule rule = match_rule(&a->match);
    const struct record *cname;

    if (rule == RULE_NONE || rule == RULE_PASS) {
        *verdict = chase(a);
        return true;
    }
    if (rule != RULE_RECORDS) {
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
    enum rule rule;

    result->packed_len = 0;
    result->blocked = false;
    result->target_len = 0;
    if (p == NULL || p->nodes == NULL || question->class != WIRE_CLASS_IN)
        return POISON_NONE;
    wire_name_lower(question->name, question->name_len, name);
    match = match_find(p, name, question->name_len);
    rule = match_rule(&match);
    if (rule == RULE_NONE)
        return POISON_NONE;
    if (rule == RULE_PASS)
        return POISON_PASS;
    struct answer a = {
        .question = question,
        .name = question->name,
        .name_len = question->name_len,
        .match = match,
        .packed = packed,
        .cap = cap,
        .result = result,
    };
    return answer(p, &a);
}

/* ---- check -------------------------------------------------------------------------------------
 */

static const char *check_records(const struct node *node)
{
    for (const struct record *r = node->records; r != NULL; r = r->next) {
        if (r->place >= PLACES || node->rules[r->place] != RULE_RECORDS)
            return "a record where its owner has no records";
        if (is_meta_type(r->type))
            return "a record of a type that is no data";
        if (r->implied && (r->place != PLACE_NAME || r->type != WIRE_TYPE_PTR))
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
    for (enum place place = 0; place < PLACES; place++) {
        if (node->rules[place] > RULE_PASS)
            return "a rule that is none";
        if (node->rules[place] == RULE_RECORDS && !has_records(node, place))
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
        for (enum place place = 0; place < PLACES; place++) {
            n_rules += node->rules[place] != RULE_NONE;
            n_denying += is_pattern(place) && node->rules[place] == RULE_NXDOMAIN;
        }
    }
    for (unsigned depth = 0; depth < LABELS_MAX; depth++)
        n_depths += p->n_at_depth[depth];
    if (n_nodes != HASH_COUNT(p->nodes) || n_nodes != n_depths)
        return "a wrong number of names";
    return n_rules == p->n_rules && n_denying == p->n_denying ? NULL : "a wrong number of rules";
}
