/* predict_file.c: the learned graph as bytes and back.
 * Knows the format and the graph; never files, paths or time.
 *
 * All numbers are in network order:
 *
 *     "dnsdpred" | version (4) | n_questions (4) | n_triggers (4) | n_pairs (4) | key of the
 *     fingerprints (16) | questions | triggers | BLAKE2b-256 of all that precedes (32)
 *     question: key_len (2) | answered (1) | key; sorted by key, so that none is there twice
 *     trigger:  question (4) | client (4) | sole (4) | windows (1) | n_pairs (2) | pairs; the least
 *               recently asked first, those with nothing proven before the others
 *     pair:     question (4) | score (2) | seen (1) | windows (1) | lag_ms (2) | n_shown (1) |
 *               fingerprints (2 each, at most GRAPH_SHOWN_MAX)
 *
 * A question is told by its place among the questions. */
#include "predict_graph.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define VERSION       3
#define MAGIC         "dnsdpred"
#define MAGIC_LEN     8
#define HEADER_LEN    (MAGIC_LEN + 16 + PREDICT_SEED_LEN)
#define CHECKSUM_LEN  32
#define CONTRADICTION "it contradicts itself"
#define QUESTION_MIN  4 /* shortest records in the file */
#define TRIGGER_LEN   15
#define PAIR_MIN      11

/* ---- writing --------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *out, uint32_t number, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        out[i] = (uint8_t)(number >> (8 * (len - 1 - i)));
    return out + len;
}

static int by_key(const void *a, const void *b)
{
    const struct graph_question *x = *(struct graph_question *const *)a;
    const struct graph_question *y = *(struct graph_question *const *)b;
    size_t len = x->key_len < y->key_len ? x->key_len : y->key_len;
    int order = memcmp(x->key, y->key, len);

    return order != 0 ? order : (int)x->key_len - (int)y->key_len;
}

static unsigned n_fingerprints(unsigned n_shown)
{
    return n_shown < GRAPH_SHOWN_MAX ? n_shown : GRAPH_SHOWN_MAX;
}

/* The questions that triggers and dependencies are made of, once each, and by id their place + 1.
 */
struct saving {
    const struct graph *g;
    struct graph_question **questions;
    uint32_t n_questions;
    uint32_t *place;
};

static void collect(struct saving *s, uint32_t id)
{
    if (s->place[id] != 0)
        return;
    s->place[id] = 1;
    s->questions[s->n_questions++] = graph_question(s->g, id);
}

static size_t collect_all(struct saving *s)
{
    const struct graph_trigger *t;
    size_t len = HEADER_LEN + CHECKSUM_LEN;

    for (int proven = 0; proven < 2; proven++) {
        for (t = s->g->triggers[proven]; t != NULL; t = t->next) {
            collect(s, t->question);
            len += TRIGGER_LEN;
            for (size_t i = 0; i < t->n_pairs; i++) {
                collect(s, t->pairs[i].follower);
                len += PAIR_MIN + 2 * (size_t)n_fingerprints(t->pairs[i].n_shown);
            }
        }
    }
    if (s->n_questions > 0)
        qsort(s->questions, s->n_questions, sizeof(struct graph_question *), by_key);
    for (uint32_t i = 0; i < s->n_questions; i++) {
        s->place[s->questions[i]->id] = i;
        len += 3u + s->questions[i]->key_len;
    }
    return len;
}

static uint8_t *put_trigger(const struct saving *s, const struct graph_trigger *t, uint8_t *at)
{
    at = put(at, s->place[t->question], 4);
    at = put(at, t->client, 4);
    at = put(at, t->sole, 4);
    at = put(at, t->windows, 1);
    at = put(at, t->n_pairs, 2);
    for (size_t i = 0; i < t->n_pairs; i++) {
        const struct graph_pair *pair = &t->pairs[i];

        at = put(at, s->place[pair->follower], 4);
        at = put(at, pair->score, 2);
        at = put(at, pair->seen, 1);
        at = put(at, pair->windows, 1);
        at = put(at, pair->lag_ms, 2);
        at = put(at, pair->n_shown, 1);
        for (unsigned k = 0; k < n_fingerprints(pair->n_shown); k++)
            at = put(at, pair->shown[k], 2);
    }
    return at;
}

static void put_all(const struct saving *s, uint8_t *out, size_t len)
{
    const struct graph *g = s->g;
    const struct graph_trigger *t;
    uint8_t *at = out;

    memcpy(at, MAGIC, MAGIC_LEN);
    at = put(at + MAGIC_LEN, VERSION, 4);
    at = put(at, s->n_questions, 4);
    at = put(at, (uint32_t)(g->n_triggers[false] + g->n_triggers[true]), 4);
    at = put(at, (uint32_t)g->n_pairs, 4);
    memcpy(at, g->shown_key, PREDICT_SEED_LEN);
    at += PREDICT_SEED_LEN;
    for (uint32_t i = 0; i < s->n_questions; i++) {
        const struct graph_question *q = s->questions[i];

        at = put(at, q->key_len, 2);
        at = put(at, q->answered, 1);
        memcpy(at, q->key, q->key_len);
        at += q->key_len;
    }
    for (int proven = 0; proven < 2; proven++)
        for (t = g->triggers[proven]; t != NULL; t = t->next)
            at = put_trigger(s, t, at);
    crypto_generichash(at, CHECKSUM_LEN, out, len - CHECKSUM_LEN, NULL, 0);
}

int graph_save(const struct graph *g, uint8_t **out, size_t *len)
{
    struct saving s = {.g = g};
    size_t n = (size_t)g->n_slots + 1; /* malloc(0) may give NULL */
    int result = -1;

    s.questions = malloc(n * sizeof(struct graph_question *));
    s.place = malloc(n * sizeof *s.place);
    if (s.questions == NULL || s.place == NULL)
        goto done;
    memset(s.place, 0, n * sizeof *s.place);
    *len = collect_all(&s);
    *out = malloc(*len);
    if (*out == NULL)
        goto done;
    put_all(&s, *out, *len);
    result = 0;
done:
    free(s.questions);
    free(s.place);
    return result;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Reads up to len and no further. Once something was missing, everything reads as 0. */
struct reader {
    const uint8_t *bytes;
    size_t len;
    size_t at;
    bool failed;
};

static const uint8_t *take(struct reader *r, size_t len)
{
    const uint8_t *bytes = r->bytes + r->at;

    if (r->failed || len > r->len - r->at) {
        r->failed = true;
        return NULL;
    }
    r->at += len;
    return bytes;
}

static uint32_t take_number(struct reader *r, unsigned len)
{
    const uint8_t *bytes = take(r, len);
    uint32_t number = 0;

    for (unsigned i = 0; bytes != NULL && i < len; i++)
        number = number << 8 | bytes[i];
    return number;
}

struct loading {
    struct graph *g;
    struct reader r;
    uint32_t n_questions, n_triggers, n_pairs;
    const uint8_t *shown_key;
    uint32_t *question_at; /* offset of each question's record */
    uint32_t *met_in;      /* of each question: 1 + the trigger that it was met in last */
};

/* Reads the question records. They must ascend. */
static bool read_questions(struct loading *l)
{
    const uint8_t *last = NULL, *key;
    size_t last_len = 0, key_len;
    int order;

    for (uint32_t i = 0; i < l->n_questions; i++) {
        l->question_at[i] = (uint32_t)l->r.at;
        key_len = take_number(&l->r, 2);
        if (take_number(&l->r, 1) > 1 || key_len == 0 || key_len > PREDICT_KEY_MAX)
            return false;
        key = take(&l->r, key_len);
        if (key == NULL)
            return false;
        order = last == NULL ? -1 : memcmp(last, key, last_len < key_len ? last_len : key_len);
        if (order > 0 || (order == 0 && last_len >= key_len))
            return false;
        last = key;
        last_len = key_len;
    }
    return true;
}

/* Its follower is a place, here. */
static bool read_pair(struct reader *r, struct graph_pair *pair)
{
    uint32_t place, n_shown;

    memset(pair, 0, sizeof *pair);
    place = take_number(r, 4);
    pair->score = (uint16_t)take_number(r, 2);
    pair->seen = (uint8_t)take_number(r, 1);
    pair->windows = (uint8_t)take_number(r, 1);
    pair->lag_ms = (uint16_t)take_number(r, 2);
    n_shown = take_number(r, 1);
    if (place > GRAPH_ID_MAX || n_shown > PREDICT_SHARE_MAX)
        return false;
    pair->follower = place & GRAPH_ID_MAX;
    pair->n_shown = n_shown & 7;
    for (unsigned i = 0; i < n_fingerprints(pair->n_shown); i++)
        pair->shown[i] = (uint16_t)take_number(r, 2);
    return !r->failed && pair->score > 0 && pair->seen > 0 && pair->seen <= pair->windows;
}

/* A trigger as it stands in the file; its question is a place. */
static bool read_trigger(struct loading *l, struct reader *r, struct graph_trigger *t)
{
    memset(t, 0, sizeof *t);
    t->question = take_number(r, 4);
    t->client = take_number(r, 4);
    t->sole = take_number(r, 4);
    t->windows = (uint8_t)take_number(r, 1);
    t->n_pairs = (uint16_t)take_number(r, 2);
    return !r->failed && t->question < l->n_questions && t->n_pairs > 0 &&
           t->windows < GRAPH_WINDOWS_MAX && (t->client == GRAPH_ALL || t->sole == 0);
}

/* Looks through the triggers, without keeping anything. */
static bool check_triggers(struct loading *l)
{
    struct reader r = l->r;
    uint32_t n_left = l->n_pairs;
    struct graph_trigger t;
    struct graph_pair pair;

    for (uint32_t i = 0; i < l->n_triggers; i++) {
        if (!read_trigger(l, &r, &t) || t.n_pairs > n_left)
            return false;
        l->met_in[t.question] = i + 1;
        n_left -= t.n_pairs;
        for (unsigned k = 0; k < t.n_pairs; k++) {
            if (!read_pair(&r, &pair) || pair.follower >= l->n_questions ||
                pair.windows > t.windows || l->met_in[pair.follower] == i + 1)
                return false;
            l->met_in[pair.follower] = i + 1;
        }
    }
    return n_left == 0 && r.at == r.len;
}

/* With a reference for the caller. */
static struct graph_question *find_or_add(struct loading *l, uint32_t place)
{
    struct reader r = {.bytes = l->r.bytes, .len = l->r.len, .at = l->question_at[place]};
    size_t key_len = take_number(&r, 2);
    bool answered = take_number(&r, 1) != 0;
    const uint8_t *key = take(&r, key_len);
    unsigned hash = graph_hash(l->g, key, key_len);
    struct graph_question *q = graph_find(l->g, key, key_len, hash);

    if (q != NULL)
        graph_ref(q);
    else
        q = graph_add(l->g, key, key_len, hash);
    if (q != NULL)
        q->answered = answered;
    return q;
}

static bool add_pair(struct loading *l, struct graph_trigger *trigger)
{
    struct graph_pair read, *pair;
    struct graph_question *follower;
    uint32_t id;

    read_pair(&l->r, &read);
    follower = find_or_add(l, read.follower);
    if (follower == NULL)
        return false;
    pair = graph_add_pair(l->g, trigger, follower, 0, 0);
    id = follower->id;
    graph_unref(l->g, follower);
    if (pair == NULL)
        return false;
    *pair = read;
    pair->follower = id & GRAPH_ID_MAX;
    return true;
}

/* Returns NULL, or why not. */
static const char *add_trigger(struct loading *l)
{
    struct graph_trigger read, *trigger;
    struct graph_question *q;
    bool ok = true;

    read_trigger(l, &l->r, &read);
    q = find_or_add(l, read.question);
    if (q == NULL)
        return "memory is out";
    if (graph_trigger(q, read.client) != NULL) {
        graph_unref(l->g, q);
        return CONTRADICTION;
    }
    trigger = graph_begin(l->g, q, read.client);
    graph_unref(l->g, q);
    if (trigger == NULL)
        return "memory is out";
    trigger->sole = read.sole;
    trigger->windows = read.windows;
    for (unsigned i = 0; i < read.n_pairs && ok; i++)
        ok = add_pair(l, trigger);
    graph_end(l->g, trigger);
    return ok ? NULL : "memory is out";
}

static const char *add_triggers(struct loading *l)
{
    const char *why = NULL;

    for (uint32_t i = 0; i < l->n_triggers && why == NULL; i++)
        why = add_trigger(l);
    return why;
}

static const char *read_header(struct loading *l)
{
    uint8_t checksum[CHECKSUM_LEN];
    const uint8_t *magic = take(&l->r, MAGIC_LEN);
    uint32_t version = take_number(&l->r, 4);
    size_t left;

    if (l->r.failed || memcmp(magic, MAGIC, MAGIC_LEN) != 0)
        return "it is not a table of predictions";
    if (version > VERSION)
        return "it was written by a newer version";
    if (version < VERSION)
        return "it was written by an older version";
    l->n_questions = take_number(&l->r, 4);
    l->n_triggers = take_number(&l->r, 4);
    l->n_pairs = take_number(&l->r, 4);
    l->shown_key = take(&l->r, PREDICT_SEED_LEN);
    if (l->r.failed || l->r.len - l->r.at < CHECKSUM_LEN || l->r.len > UINT32_MAX)
        return "it is cut short or too long";
    l->r.len -= CHECKSUM_LEN;
    crypto_generichash(checksum, sizeof checksum, l->r.bytes, l->r.len, NULL, 0);
    if (memcmp(checksum, l->r.bytes + l->r.len, sizeof checksum) != 0)
        return "its checksum is wrong";
    left = l->r.len - l->r.at;
    if (l->n_questions > left / QUESTION_MIN || l->n_triggers > left / TRIGGER_LEN ||
        l->n_pairs > left / PAIR_MIN)
        return CONTRADICTION;
    return NULL;
}

static const char *read_all(struct loading *l)
{
    const char *why;

    if (!read_questions(l) || !check_triggers(l))
        return CONTRADICTION;
    why = add_triggers(l);
    if (why != NULL) {
        graph_clear(l->g);
        return why;
    }
    memcpy(l->g->shown_key, l->shown_key, PREDICT_SEED_LEN);
    return NULL;
}

const char *graph_load(struct graph *g, const uint8_t *bytes, size_t len)
{
    struct loading l = {.g = g, .r = {.bytes = bytes, .len = len}};
    const char *why = read_header(&l);
    size_t n;

    if (why != NULL)
        return why;
    n = (size_t)l.n_questions + 1;
    l.question_at = malloc(n * sizeof *l.question_at);
    l.met_in = calloc(n, sizeof *l.met_in);
    if (l.question_at == NULL || l.met_in == NULL)
        why = "memory is out";
    else
        why = read_all(&l);
    free(l.question_at);
    free(l.met_in);
    return why;
}
