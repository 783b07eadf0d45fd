/* forgery.c: knows every way in which a datagram can fail to be the reply.
 * Never knows how it gets to dnsd, or what comes of it. */
#include "tests/system/forgery.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_LEN 12
#define TTL_S      300
#define CUTS       140 /* more than the answer that is cut has bytes */

enum { T_A = 1, T_NS = 2, T_CNAME = 5, T_SOA = 6, T_TXT = 16, T_OPT = 41, T_PRIVATE = 65280 };

const uint8_t forgery_right[4] = {192, 0, 2, 1};
const uint8_t forgery_forged[4] = {192, 0, 2, 66};

/* ---- drafts ---------------------------------------------------------------------------------- */

static void put_u8(struct draft *d, unsigned v)
{
    d->msg[d->len++] = (uint8_t)v;
}

static void put_u16(struct draft *d, unsigned v)
{
    put_u8(d, v >> 8 & 255);
    put_u8(d, v & 255);
}

static void put(struct draft *d, const void *bytes, size_t len)
{
    memcpy(d->msg + d->len, bytes, len);
    d->len += len;
}

static void add_to_count(struct draft *d, enum section section, unsigned n)
{
    uint8_t *at = d->msg + 6 + 2 * section;
    unsigned v = ((unsigned)at[0] << 8 | at[1]) + n;
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

/* Behind an owner that is there already. */
static void put_tail(struct draft *d, enum section section, unsigned type, uint32_t ttl_s,
    const void *rdata, size_t rdata_len)
{
    put_u16(d, type);
    put_u16(d, 1);
    put_u16(d, ttl_s >> 16);
    put_u16(d, ttl_s & 0xffff);
    put_u16(d, (unsigned)rdata_len);
    put(d, rdata, rdata_len);
    add_to_count(d, section, 1);
}

static size_t name_len(const void *name)
{
    const uint8_t *at = name;
    size_t len = 0;
    while (at[len] != 0)
        len += at[len] + 1U;
    return len + 1;
}

void draft_start(
    struct draft *d, const uint8_t *query, size_t query_len, unsigned rcode, uint8_t *out)
{
    *d = (struct draft){.query = query, .query_len = query_len, .msg = out};
    d->len = d->question_end = HEADER_LEN + name_len(query + HEADER_LEN) + 4;
    memcpy(out, query, d->len);
    out[2] = 0x81; /* QR, RD */
    out[3] = (uint8_t)(0x80 | rcode);
    memset(out + 6, 0, 6);
}

void draft_add(struct draft *d, enum section section, const char *owner, unsigned type,
    uint32_t ttl_s, const void *rdata, size_t rdata_len)
{
    if (owner == NULL)
        put_u16(d, 0xc000 | HEADER_LEN);
    else
        put(d, owner, name_len(owner));
    put_tail(d, section, type, ttl_s, rdata, rdata_len);
}

void draft_add_a(struct draft *d, const uint8_t address[4])
{
    draft_add(d, ANSWER, NULL, T_A, TTL_S, address, 4);
}

/* An OPT record with one option; none where its length is 0. */
static void add_opt(struct draft *d, unsigned code, const void *option, size_t option_len)
{
    put_u8(d, 0);
    put_u16(d, T_OPT);
    put_u16(d, 1232);
    put_u16(d, 0);
    put_u16(d, 0);
    put_u16(d, option_len > 0 ? 4 + (unsigned)option_len : 0);
    if (option_len > 0) {
        put_u16(d, code);
        put_u16(d, (unsigned)option_len);
        put(d, option, option_len);
    }
    add_to_count(d, ADDITIONAL, 1);
}

void draft_add_opt(struct draft *d)
{
    add_opt(d, 0, NULL, 0);
}

size_t draft_name(const char *text, char out[256])
{
    size_t len = 0;
    while (*text != '\0') {
        size_t label = strcspn(text, ".");
        out[len++] = (char)label;
        memcpy(out + len, text, label);
        len += label;
        text += label + (text[label] == '.');
    }
    out[len++] = '\0';
    return len;
}

/* What an attacker would send if he had all right. */
static void forged(struct draft *d)
{
    draft_add_a(d, forgery_forged);
}

/* ---- header and question --------------------------------------------------------------------- */

static void wrong_id(struct draft *d)
{
    forged(d);
    d->msg[1] ^= 1;
}

static void not_a_reply(struct draft *d)
{
    forged(d);
    d->msg[2] &= 0x7f;
}

static void the_query_itself(struct draft *d)
{
    memcpy(d->msg, d->query, d->len = d->query_len);
}

static void wrong_opcode(struct draft *d)
{
    forged(d);
    d->msg[2] |= (uint8_t)(d->number << 3);
}

static void wrong_name(struct draft *d)
{
    forged(d);
    d->msg[HEADER_LEN + 1] = tolower(d->msg[HEADER_LEN + 1]) == 'x' ? 'y' : 'x';
}

/* The same bytes, but the first dot is in the name. */
static void wrong_labels(struct draft *d)
{
    uint8_t *first = d->msg + HEADER_LEN;
    uint8_t *second = first + *first + 1;
    forged(d);
    *first = (uint8_t)(*first + *second + 1);
    *second = '.';
}

static void wrong_type(struct draft *d)
{
    forged(d);
    d->msg[d->question_end - 3] ^= (uint8_t)d->number;
}

static void wrong_class(struct draft *d)
{
    forged(d);
    d->msg[d->question_end - 1] ^= (uint8_t)d->number;
}

static void wrong_case(struct draft *d)
{
    forged(d);
    for (size_t i = HEADER_LEN; i < d->question_end - 4; i++)
        if (isalpha(d->msg[i]))
            d->msg[i] ^= 0x20;
}

/* The question is left out, and what points to it too. */
static void no_question(struct draft *d)
{
    d->msg[5] = 0;
    d->len = HEADER_LEN;
    draft_add(d, ANSWER, (const char *)d->query + HEADER_LEN, T_A, TTL_S, forgery_forged, 4);
}

/* It is there, but not counted. */
static void question_not_counted(struct draft *d)
{
    forged(d);
    d->msg[5] = 0;
}

static void header_only(struct draft *d)
{
    d->msg[5] = 0;
    d->len = HEADER_LEN;
}

static void two_questions(struct draft *d)
{
    d->msg[5] = 2;
    put(d, d->query + HEADER_LEN, d->question_end - HEADER_LEN);
    forged(d);
}

static void many_questions(struct draft *d)
{
    forged(d);
    d->msg[4] = d->msg[5] = 255;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void random_bytes(struct draft *d)
{
    uint32_t state = d->number * 2654435761U + 1;
    d->len = 0;
    while (d->len < d->number) {
        state = state * 1664525 + 1013904223;
        put_u8(d, state >> 24);
    }
    if (d->len >= 2) { /* chance must not make it right */
        d->msg[0] = d->query[0] ^ 0x55;
        d->msg[1] = d->query[1];
    }
}

static void random_behind_id(struct draft *d)
{
    random_bytes(d);
    d->msg[0] = d->query[0];
    d->msg[2] |= 0x80;
    d->msg[3] &= 0xf0; /* no error that would be believed */
}

static void zeros_behind_question(struct draft *d)
{
    add_to_count(d, ANSWER, 3);
    memset(d->msg + d->len, 0, d->number);
    d->len += d->number;
}

/* A real answer with all that belongs to one, cut after so many bytes. */
static void cut(struct draft *d)
{
    static const char alias[] = "\5alias\300\14";
    static const uint8_t cookie[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    draft_add(d, ANSWER, NULL, T_CNAME, TTL_S, alias, sizeof alias - 1);
    size_t alias_at = d->len - (sizeof alias - 1);
    put_u16(d, 0xc000 | (unsigned)alias_at);
    put_tail(d, ANSWER, T_A, TTL_S, forgery_forged, 4);
    add_opt(d, 10, cookie, sizeof cookie);
    d->len = d->number < d->len ? d->number : d->len - 1;
}

static void count_too_large(struct draft *d)
{
    forged(d);
    add_to_count(d, (enum section)d->number, 1);
}

static void count_far_too_large(struct draft *d)
{
    forged(d);
    d->msg[6 + 2 * d->number] = d->msg[7 + 2 * d->number] = 255;
}

static void rdlength_beyond_end(struct draft *d)
{
    forged(d);
    d->msg[d->len - 5] = (uint8_t)(4 + d->number);
}

static void rdlength_65535(struct draft *d)
{
    forged(d);
    d->msg[d->len - 6] = d->msg[d->len - 5] = 255;
}

/* An A record of another length than 4, whole in the message. */
static void rdlength_not_four(struct draft *d)
{
    static const uint8_t rdata[16] = {192, 0, 2, 66};
    draft_add(d, ANSWER, NULL, T_A, TTL_S, rdata, d->number);
}

/* Of two records: what the first keeps back is taken for the second. */
static void rdlength_too_short(struct draft *d)
{
    static const char target[] = "\6target\7example";
    draft_add(d, ANSWER, NULL, T_CNAME, TTL_S, target, sizeof target);
    d->msg[d->len - sizeof target - 1] = (uint8_t)(sizeof target - d->number);
    draft_add(d, ANSWER, target, T_A, TTL_S, forgery_forged, 4);
}

/* A SOA whose names fit and whose numbers do not. */
static void soa_too_short(struct draft *d)
{
    static const uint8_t soa[22] = {0};
    d->msg[3] |= 3;
    draft_add(d, AUTHORITY, NULL, T_SOA, TTL_S, soa, 21);
}

/* ---- names that lead astray ------------------------------------------------------------------ */

static void owner_points_to(struct draft *d, size_t at)
{
    put_u16(d, 0xc000 | (unsigned)at);
    put_tail(d, ANSWER, T_A, TTL_S, forgery_forged, 4);
}

static void pointer_to_itself(struct draft *d)
{
    owner_points_to(d, d->len);
}

static void pointer_forward(struct draft *d)
{
    size_t own_len = d->question_end - 4 - HEADER_LEN;
    owner_points_to(d, d->len + 16 + 2 + 10);
    draft_add(d, ANSWER, NULL, T_CNAME, TTL_S, d->query + HEADER_LEN, own_len);
}

static void pointer_beyond_end(struct draft *d)
{
    owner_points_to(d, 0x3fff);
}

static void pointer_into_header(struct draft *d)
{
    owner_points_to(d, d->number);
}

/* The first byte of a pointer is the last one of the message. */
static void half_a_pointer(struct draft *d)
{
    add_to_count(d, ANSWER, 1);
    put_u8(d, 0xc0);
}

static void pointers_in_a_circle(struct draft *d)
{
    size_t first = d->len;
    owner_points_to(d, first + 16);
    owner_points_to(d, first);
}

/* The right answer, whose owner is found through so many pointers, each to the one before. */
static void pointer_chain(struct draft *d)
{
    uint8_t chain[2 * 127];
    size_t base = d->len + 2 + 10;
    size_t to = HEADER_LEN;
    for (size_t i = 0; i < d->number; i++) {
        chain[2 * i] = (uint8_t)(0xc0 | to >> 8);
        chain[2 * i + 1] = (uint8_t)to;
        to = base + 2 * i;
    }
    draft_add(d, ANSWER, NULL, T_PRIVATE, TTL_S, chain, 2 * d->number);
    put_u16(d, 0xc000 | (unsigned)to);
    put_tail(d, ANSWER, T_A, TTL_S, forgery_right, 4);
}

/* The right answer, and many records whose owner is a label before the owner before: their lengths
 * sum up to squares. */
static void pointer_stairs(struct draft *d)
{
    size_t to = HEADER_LEN;
    draft_add_a(d, forgery_right);
    for (unsigned i = 0; i < d->number; i++) {
        size_t at = d->len;
        put_u8(d, 1);
        put_u8(d, 'a');
        owner_points_to(d, to);
        to = at;
    }
}

static void label_of_unknown_kind(struct draft *d)
{
    put_u8(d, d->number);
    put_u8(d, 0);
    put_tail(d, ANSWER, T_A, TTL_S, forgery_forged, 4);
}

static void owner_of_320_bytes(struct draft *d)
{
    for (int i = 0; i < 5; i++) {
        put_u8(d, 63);
        memset(d->msg + d->len, 'a', 63);
        d->len += 63;
    }
    put_u8(d, 0);
    put_tail(d, ANSWER, T_A, TTL_S, forgery_forged, 4);
}

static void cname_in_a_circle_of_bytes(struct draft *d)
{
    uint8_t target[2];
    size_t at = d->len + 2 + 10;
    target[0] = (uint8_t)(0xc0 | at >> 8);
    target[1] = (uint8_t)at;
    draft_add(d, ANSWER, NULL, T_CNAME, TTL_S, target, sizeof target);
}

/* ---- EDNS ------------------------------------------------------------------------------------ */

static void two_opts(struct draft *d)
{
    forged(d);
    draft_add_opt(d);
    draft_add_opt(d);
}

static void opt_among_answers(struct draft *d)
{
    forged(d);
    draft_add_opt(d);
    add_to_count(d, ANSWER, 1);
    d->msg[11] = 0;
}

static void opt_with_a_name(struct draft *d)
{
    forged(d);
    draft_add(d, ADDITIONAL, NULL, T_OPT, 0, "", 0);
}

static void option_too_long(struct draft *d)
{
    forged(d);
    add_opt(d, 10, "12345678", 8);
    d->msg[d->len - 9]++;
}

static void cookie_of_another(struct draft *d)
{
    static const uint8_t cookie[16] = {0xba, 0xad};
    forged(d);
    add_opt(d, 10, cookie, sizeof cookie);
}

static void cookie_of_bad_length(struct draft *d)
{
    forged(d);
    add_opt(d, 10, "12345678", d->number);
}

/* ---- the table ------------------------------------------------------------------------------- */

struct forgery {
    const char *name;
    void (*make)(struct draft *d);
    unsigned first, last; /* number behind the name */
    enum forgery_fate fate;
};

static const struct forgery forgeries[] = {
    {"wrong-id", wrong_id, 0, 0, FORGERY_GUESSED},
    {"not-a-reply", not_a_reply, 0, 0, FORGERY_THROWN_AWAY},
    {"the-query-itself", the_query_itself, 0, 0, FORGERY_THROWN_AWAY},
    {"wrong-opcode", wrong_opcode, 1, 15, FORGERY_THROWN_AWAY},
    {"wrong-name", wrong_name, 0, 0, FORGERY_THROWN_AWAY},
    {"wrong-labels", wrong_labels, 0, 0, FORGERY_THROWN_AWAY},
    {"wrong-type", wrong_type, 1, 4, FORGERY_THROWN_AWAY},
    {"wrong-class", wrong_class, 1, 3, FORGERY_THROWN_AWAY},
    {"wrong-case", wrong_case, 0, 0, FORGERY_CASE},
    {"no-question", no_question, 0, 0, FORGERY_THROWN_AWAY},
    {"question-not-counted", question_not_counted, 0, 0, FORGERY_THROWN_AWAY},
    {"header-only", header_only, 0, 0, FORGERY_THROWN_AWAY},
    {"two-questions", two_questions, 0, 0, FORGERY_THROWN_AWAY},
    {"many-questions", many_questions, 0, 0, FORGERY_THROWN_AWAY},
    {"random", random_bytes, 0, 1, FORGERY_THROWN_AWAY},
    {"random", random_bytes, 5, 5, FORGERY_THROWN_AWAY},
    {"random", random_bytes, 11, 11, FORGERY_THROWN_AWAY},
    {"random", random_bytes, 12, 12, FORGERY_GUESSED},
    {"random", random_bytes, 200, 200, FORGERY_GUESSED},
    {"random-behind-id", random_behind_id, 12, 12, FORGERY_THROWN_AWAY},
    {"random-behind-id", random_behind_id, 200, 200, FORGERY_THROWN_AWAY},
    {"zeros-behind-question", zeros_behind_question, 30, 30, FORGERY_THROWN_AWAY},
    {"cut", cut, 0, CUTS, FORGERY_THROWN_AWAY},
    {"count-too-large", count_too_large, 0, 2, FORGERY_THROWN_AWAY},
    {"count-far-too-large", count_far_too_large, 0, 2, FORGERY_THROWN_AWAY},
    {"rdlength-beyond-end", rdlength_beyond_end, 1, 2, FORGERY_THROWN_AWAY},
    {"rdlength-65535", rdlength_65535, 0, 0, FORGERY_THROWN_AWAY},
    {"rdlength-not-four", rdlength_not_four, 0, 3, FORGERY_THROWN_AWAY},
    {"rdlength-not-four", rdlength_not_four, 5, 5, FORGERY_THROWN_AWAY},
    {"rdlength-not-four", rdlength_not_four, 16, 16, FORGERY_THROWN_AWAY},
    {"rdlength-too-short", rdlength_too_short, 1, 8, FORGERY_THROWN_AWAY},
    {"soa-too-short", soa_too_short, 0, 0, FORGERY_THROWN_AWAY},
    {"pointer-to-itself", pointer_to_itself, 0, 0, FORGERY_THROWN_AWAY},
    {"pointer-forward", pointer_forward, 0, 0, FORGERY_THROWN_AWAY},
    {"pointer-beyond-end", pointer_beyond_end, 0, 0, FORGERY_THROWN_AWAY},
    {"pointer-into-header", pointer_into_header, 2, 3, FORGERY_THROWN_AWAY},
    {"half-a-pointer", half_a_pointer, 0, 0, FORGERY_THROWN_AWAY},
    {"pointers-in-a-circle", pointers_in_a_circle, 0, 0, FORGERY_THROWN_AWAY},
    {"pointer-chain", pointer_chain, 126, 127, FORGERY_HARMLESS},
    {"pointer-stairs", pointer_stairs, 60, 60, FORGERY_HARMLESS},
    {"unknown-label", label_of_unknown_kind, 0x40, 0x40, FORGERY_THROWN_AWAY},
    {"unknown-label", label_of_unknown_kind, 0x80, 0x80, FORGERY_THROWN_AWAY},
    {"owner-of-320-bytes", owner_of_320_bytes, 0, 0, FORGERY_THROWN_AWAY},
    {"cname-points-to-itself", cname_in_a_circle_of_bytes, 0, 0, FORGERY_THROWN_AWAY},
    {"two-opts", two_opts, 0, 0, FORGERY_THROWN_AWAY},
    {"opt-among-answers", opt_among_answers, 0, 0, FORGERY_THROWN_AWAY},
    {"opt-with-a-name", opt_with_a_name, 0, 0, FORGERY_THROWN_AWAY},
    {"option-too-long", option_too_long, 0, 0, FORGERY_THROWN_AWAY},
    {"cookie-of-another", cookie_of_another, 0, 0, FORGERY_THROWN_AWAY},
    {"cookie-of-bad-length", cookie_of_bad_length, 1, 1, FORGERY_THROWN_AWAY},
    {"cookie-of-bad-length", cookie_of_bad_length, 7, 7, FORGERY_THROWN_AWAY},
};
#define N_FORGERIES (sizeof forgeries / sizeof forgeries[0])

const char *forgery_name(size_t i, char name[FORGERY_NAME_MAX])
{
    for (size_t k = 0; k < N_FORGERIES; k++) {
        const struct forgery *f = &forgeries[k];
        size_t n = f->last - f->first + 1;
        if (i < n) {
            snprintf(name, FORGERY_NAME_MAX, "%.23s-%u", f->name, f->first + (unsigned)i);
            return name;
        }
        i -= n;
    }
    return NULL;
}

static const struct forgery *find(const char *name, size_t len, unsigned number)
{
    for (size_t k = 0; k < N_FORGERIES; k++) {
        const struct forgery *f = &forgeries[k];
        if (strlen(f->name) == len && memcmp(f->name, name, len) == 0 && f->first <= number &&
            number <= f->last)
            return f;
    }
    return NULL;
}

int forgery_make(
    const char *name, const uint8_t *query, size_t query_len, uint8_t *out, enum forgery_fate *fate)
{
    struct draft d;
    const char *dash = strrchr(name, '-');
    if (dash == NULL)
        return -1;
    unsigned number = (unsigned)strtoul(dash + 1, NULL, 10);
    const struct forgery *f = find(name, (size_t)(dash - name), number);
    if (f == NULL)
        return -1;
    draft_start(&d, query, query_len, 0, out);
    d.number = number;
    f->make(&d);
    *fate = f->fate;
    return (int)d.len;
}
