/* trace.c: knows each client and question once, what happened in its order, and how to tell the
 * forms of a trace apart. Never knows caches or prediction. */
#include "tools/trace.h"

#include "special.h"
#include "tools/capture.h"
#include "tools/logline.h"
#include "tools/timestamp.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define FIRST_CAP      1024
#define MISTAKES_MAX   10
#define PROGRESS_EVERY 65536
#define JITTER_MS      1000
#define PACKED_MAX     512

/* A client or a question, by its bytes. */
struct known {
    UT_hash_handle hh;
    uint32_t number;
    uint8_t bytes[];
};

struct trace {
    uint8_t seed[crypto_shorthash_KEYBYTES];
    struct known *questions_by_key, *clients_by_id;
    struct trace_question *questions;
    struct known **clients;
    struct trace_event *events;
    size_t n_questions, n_clients, n_events;
    size_t questions_cap, clients_cap, events_cap;
    uint64_t last_ms;
    uint64_t ahead_ms; /* added to the times that come in, since clocks were set back */
    struct trace_counts counts;
};

struct trace *trace_create(void)
{
    struct trace *t = calloc(1, sizeof *t);
    if (t != NULL)
        randombytes_buf(t->seed, sizeof t->seed);
    return t;
}

static void free_known(struct known **table)
{
    struct known *k, *next;
    HASH_ITER(hh, *table, k, next)
    {
        HASH_DEL(*table, k);
        free(k);
    }
}

void trace_free(struct trace *t)
{
    if (t == NULL)
        return;
    free_known(&t->questions_by_key);
    free_known(&t->clients_by_id);
    free(t->questions);
    free(t->clients);
    free(t->events);
    free(t);
}

size_t trace_n_events(const struct trace *t)
{
    return t->n_events;
}

const struct trace_event *trace_events(const struct trace *t)
{
    return t->events;
}

size_t trace_n_questions(const struct trace *t)
{
    return t->n_questions;
}

const struct trace_question *trace_question(const struct trace *t, uint32_t question)
{
    return &t->questions[question];
}

size_t trace_n_clients(const struct trace *t)
{
    return t->n_clients;
}

const uint8_t *trace_client(const struct trace *t, uint32_t client)
{
    return t->clients[client]->bytes;
}

struct trace_counts *trace_counts(struct trace *t)
{
    return &t->counts;
}

/* ---- each client and question once ----------------------------------------------------------- */

/* Makes room for one more of `size` bytes. Returns the array, moved or not, or NULL. */
static void *room(void *array, size_t n, size_t *cap, size_t size)
{
    size_t more = *cap == 0 ? FIRST_CAP : *cap * 2;
    void *grown;
    if (n < *cap)
        return array;
    if (more > TRACE_NONE || (grown = realloc(array, more * size)) == NULL)
        return NULL;
    *cap = more;
    return grown;
}

static unsigned hash_of(const struct trace *t, const uint8_t *bytes, size_t len)
{
    uint8_t hash[crypto_shorthash_BYTES];
    unsigned value;
    crypto_shorthash(hash, bytes, len, t->seed);
    memcpy(&value, hash, sizeof value);
    return value;
}

static struct known *find(struct known *table, const uint8_t *bytes, size_t len, unsigned hash)
{
    struct known *k;
    HASH_FIND_BYHASHVALUE(hh, table, bytes, len, hash, k);
    return k;
}

static struct known *learn(
    struct known **table, const uint8_t *bytes, size_t len, unsigned hash, size_t number)
{
    struct known *k = calloc(1, sizeof *k + len);
    if (k == NULL)
        return NULL;
    k->number = (uint32_t)number;
    memcpy(k->bytes, bytes, len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, *table, k->bytes, len, hash, k);
    if (k->hh.tbl != NULL)
        return k;
    free(k);
    return NULL;
}

static struct trace_question *take_question(struct trace *t, const uint8_t *key, size_t len)
{
    unsigned hash = hash_of(t, key, len);
    struct known *k = find(t->questions_by_key, key, len, hash);
    void *grown;
    if (k != NULL)
        return &t->questions[k->number];
    grown = room(t->questions, t->n_questions, &t->questions_cap, sizeof *t->questions);
    if (grown == NULL)
        return NULL;
    t->questions = grown;
    k = learn(&t->questions_by_key, key, len, hash, t->n_questions);
    if (k == NULL)
        return NULL;
    struct trace_question *q = &t->questions[t->n_questions++];
    *q = (struct trace_question){.key = k->bytes, .key_len = (uint16_t)len};
    return q;
}

static uint32_t take_client(struct trace *t, const uint8_t id[TRACE_CLIENT_LEN])
{
    unsigned hash = hash_of(t, id, TRACE_CLIENT_LEN);
    struct known *k = find(t->clients_by_id, id, TRACE_CLIENT_LEN, hash);
    void *grown;
    if (k != NULL)
        return k->number;
    grown = room(t->clients, t->n_clients, &t->clients_cap, sizeof(struct known *));
    if (grown == NULL)
        return TRACE_NONE;
    t->clients = grown;
    k = learn(&t->clients_by_id, id, TRACE_CLIENT_LEN, hash, t->n_clients);
    if (k == NULL)
        return TRACE_NONE;
    t->clients[t->n_clients++] = k;
    return k->number;
}

uint32_t trace_find(const struct trace *t, const uint8_t *key, size_t key_len)
{
    const struct known *k = find(t->questions_by_key, key, key_len, hash_of(t, key, key_len));
    return k != NULL ? k->number : TRACE_NONE;
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Whether dnsd answers it without asking anybody, or refuses it. */
static bool is_local(const struct wire_question *q)
{
    uint8_t packed[PACKED_MAX];
    size_t len;
    if (q->class != WIRE_CLASS_IN || (q->type >= WIRE_TYPE_TKEY && q->type <= WIRE_TYPE_ANY))
        return true;
    return special_lookup(q, packed, sizeof packed, &len) != SPECIAL_NONE;
}

static void note_back(struct trace *t, size_t place, uint64_t back_ms)
{
    if (t->counts.back++ > 0)
        return;
    t->counts.first_back = place;
    t->counts.back_ms = back_ms;
}

/* Puts a time behind those before it. */
static uint64_t in_order(struct trace *t, const struct trace_arrival *a)
{
    uint64_t at_ms = a->at_ms + t->ahead_ms, back_ms;
    if (at_ms >= t->last_ms)
        return at_ms;
    back_ms = t->last_ms - at_ms;
    if (!a->has_year && back_ms > TIMESTAMP_YEAR_MS / 2) {
        t->ahead_ms += TIMESTAMP_YEAR_MS;
        return in_order(t, a);
    }
    note_back(t, a->place, back_ms);
    if (back_ms > JITTER_MS)
        t->ahead_ms += back_ms;
    return t->last_ms;
}

int trace_add(struct trace *t, const struct trace_arrival *a)
{
    uint8_t key[WIRE_KEY_MAX];
    if (is_local(&a->question)) {
        t->counts.local++;
        return 0;
    }
    size_t len = wire_key_write(&a->question, a->key_flags, key);
    const struct trace_question *q = take_question(t, key, len);
    uint32_t client = take_client(t, a->client);
    void *grown = room(t->events, t->n_events, &t->events_cap, sizeof *t->events);
    if (grown != NULL)
        t->events = grown;
    if (q == NULL || client == TRACE_NONE || grown == NULL)
        return -1;
    uint64_t at_ms = in_order(t, a);
    uint64_t took_ms = a->took_ms < at_ms ? a->took_ms : at_ms;
    t->events[t->n_events++] = (struct trace_event){
        .at_ms = at_ms - took_ms, .client = client, .question = (uint32_t)(q - t->questions)};
    t->last_ms = at_ms;
    return 0;
}

/* By insertion: only what took long has to move, and not far. */
void trace_sort(struct trace *t)
{
    for (size_t i = 1; i < t->n_events; i++) {
        struct trace_event e = t->events[i];
        size_t to = i;
        for (; to > 0 && t->events[to - 1].at_ms > e.at_ms; to--)
            t->events[to] = t->events[to - 1];
        t->events[to] = e;
    }
}

int trace_answer(
    struct trace *t, const struct wire_question *question, unsigned key_flags, uint32_t ttl_s)
{
    uint8_t key[WIRE_KEY_MAX];
    size_t len = wire_key_write(question, key_flags, key);
    struct trace_question *q = take_question(t, key, len);
    if (q == NULL)
        return -1;
    if (!q->has_ttl || ttl_s > q->ttl_s)
        q->ttl_s = ttl_s;
    q->has_ttl = true;
    return 0;
}

/* ---- lines ----------------------------------------------------------------------------------- */

struct reading {
    struct trace *trace;
    const struct trace_source *source;
    FILE *file;
    char *line;
    size_t cap;
    size_t number; /* of the line */
    size_t first;  /* the first one that is not empty */
    size_t mistakes;
    bool has_fraction; /* any of the times */
    struct logline read;
};

static void mistake(struct reading *r, size_t line, const char *why)
{
    r->mistakes++;
    if (r->mistakes < MISTAKES_MAX)
        r->source->report(r->source->ctx, line, why);
    else if (r->mistakes == MISTAKES_MAX)
        r->source->report(r->source->ctx, line, "and more mistakes like these");
}

/* Reads a line without its end into r->line. Its length, or -1 at the end of the file. */
static ssize_t next_line(struct reading *r)
{
    ssize_t len = getline(&r->line, &r->cap, r->file);
    if (len < 0)
        return -1;
    r->number++;
    while (len > 0 && (r->line[len - 1] == '\n' || r->line[len - 1] == '\r'))
        len--;
    if (r->first == 0 && len > 0)
        r->first = r->number;
    return len;
}

static enum trace_form form_of_line(const char *line, size_t len)
{
    struct logline read;
    if (logline_read(LOGLINE_DNSMASQ, line, len, &read) != LOGLINE_OTHER)
        return TRACE_DNSMASQ;
    if (logline_read(LOGLINE_UNBOUND, line, len, &read) != LOGLINE_OTHER)
        return TRACE_UNBOUND;
    if (logline_read(LOGLINE_DNSD, line, len, &read) != LOGLINE_OTHER)
        return TRACE_DNSD;
    if (logline_read(LOGLINE_TEXT, line, len, &read) == LOGLINE_QUESTION)
        return TRACE_TEXT;
    return TRACE_UNKNOWN;
}

/* The first line that has one tells the form. */
static enum trace_form find_form(struct reading *r)
{
    enum trace_form form = TRACE_UNKNOWN;
    ssize_t len;
    while (form == TRACE_UNKNOWN && (len = next_line(r)) >= 0)
        form = form_of_line(r->line, (size_t)len);
    if (form == TRACE_UNKNOWN)
        return TRACE_UNKNOWN;
    rewind(r->file);
    r->number = 0;
    return form;
}

static int add_line(struct reading *r)
{
    struct trace_arrival a = {.at_ms = r->read.at_ms,
        .took_ms = r->read.took_ms,
        .has_year = r->read.has_year,
        .question = {.name = r->read.name,
            .name_len = r->read.name_len,
            .type = r->read.type,
            .class = r->read.class},
        .place = r->number};
    memcpy(a.client, r->read.client, sizeof a.client);
    if (r->read.has_fraction)
        r->has_fraction = true;
    return trace_add(r->trace, &a);
}

/* 0, or -1: memory is out. */
static int take_line(struct reading *r, enum trace_form form, size_t len)
{
    static const enum logline_form forms[] = {[TRACE_TEXT] = LOGLINE_TEXT,
        [TRACE_DNSMASQ] = LOGLINE_DNSMASQ,
        [TRACE_UNBOUND] = LOGLINE_UNBOUND,
        [TRACE_DNSD] = LOGLINE_DNSD};
    size_t back = r->trace->counts.back;
    switch (logline_read(forms[form], r->line, len, &r->read)) {
    case LOGLINE_OTHER:
        r->trace->counts.other++;
        return 0;
    case LOGLINE_LOCAL:
        r->trace->counts.local++;
        return 0;
    case LOGLINE_BAD:
        mistake(r, r->number, r->read.why);
        return 0;
    case LOGLINE_QUESTION:
        break;
    }
    if (add_line(r) < 0)
        return -1;
    if (form == TRACE_TEXT && r->trace->counts.back > back)
        mistake(r, r->number, "the time goes back: lines have to be in the order of their times");
    return 0;
}

/* Questions of one second are spread over it: they were not all asked at its start. */
static void spread(struct trace *t)
{
    for (size_t i = 0, n; i < t->n_events; i += n) {
        for (n = 1; i + n < t->n_events && t->events[i + n].at_ms == t->events[i].at_ms;)
            n++;
        for (size_t j = 1; j < n; j++)
            t->events[i + j].at_ms += j * 1000 / n;
    }
    t->counts.whole_seconds = true;
}

static enum trace_result read_lines(struct reading *r, enum trace_form form)
{
    struct trace *t = r->trace;
    ssize_t len;
    errno = 0;
    while ((len = next_line(r)) >= 0) {
        if (take_line(r, form, (size_t)len) < 0)
            return TRACE_MEMORY;
        if (r->source->progress != NULL && r->number % PROGRESS_EVERY == 0)
            r->source->progress(r->source->ctx, t->n_events);
    }
    t->counts.places = r->number;
    if (ferror(r->file))
        return TRACE_UNREADABLE;
    if (!feof(r->file))
        return TRACE_MEMORY;
    if (r->mistakes > 0)
        return TRACE_BAD;
    if (form != TRACE_TEXT && !r->has_fraction)
        spread(t);
    if (form == TRACE_DNSD)
        trace_sort(t);
    return TRACE_OK;
}

static enum trace_result read_text(struct trace *t, FILE *file, const struct trace_source *source)
{
    struct reading r = {.trace = t, .source = source, .file = file};
    enum trace_form form = source->form;
    enum trace_result result = TRACE_BAD;
    if (form == TRACE_UNKNOWN)
        form = find_form(&r);
    t->counts.form = form;
    if (form != TRACE_UNKNOWN)
        result = read_lines(&r, form);
    else if (ferror(file))
        result = TRACE_UNREADABLE;
    else if (!feof(file)) /* a line that there was no room for */
        result = TRACE_MEMORY;
    else if (r.first == 0)
        mistake(&r, 0, "is empty");
    else
        mistake(&r, r.first,
            "this is no trace: expected a capture (pcap or pcapng), lines of milliseconds, client, "
            "name and type, or a query log of dnsd, dnsmasq or unbound");
    free(r.line);
    return result;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool is_capture(FILE *file)
{
    static const uint8_t magic[][4] = {{0xa1, 0xb2, 0xc3, 0xd4}, {0xd4, 0xc3, 0xb2, 0xa1},
        {0xa1, 0xb2, 0x3c, 0x4d}, {0x4d, 0x3c, 0xb2, 0xa1}, {0x0a, 0x0d, 0x0d, 0x0a}};
    uint8_t head[4] = {0};
    size_t n = fread(head, 1, sizeof head, file);
    rewind(file);
    for (size_t i = 0; n == sizeof head && i < sizeof magic / sizeof magic[0]; i++)
        if (memcmp(head, magic[i], sizeof head) == 0)
            return true;
    return false;
}

/* Copies what can be read only once to where it can be read again. */
static int make_seekable(FILE **file)
{
    struct stat st;
    char block[65536];
    size_t n;
    if (fstat(fileno(*file), &st) < 0)
        return -1;
    if (S_ISREG(st.st_mode))
        return 0;
    FILE *copy = tmpfile();
    if (copy == NULL)
        return -1;
    while ((n = fread(block, 1, sizeof block, *file)) > 0 && fwrite(block, 1, n, copy) == n)
        ;
    if (ferror(*file) || ferror(copy) || fflush(copy) != 0) {
        int why = errno;
        fclose(copy);
        errno = why;
        return -1;
    }
    fclose(*file);
    rewind(copy);
    *file = copy;
    return 0;
}

enum trace_result trace_read(struct trace *t, FILE **file, const struct trace_source *source)
{
    if (make_seekable(file) < 0)
        return TRACE_UNREADABLE;
    if (source->form != TRACE_PCAP && (source->form != TRACE_UNKNOWN || !is_capture(*file)))
        return read_text(t, *file, source);
    FILE *capture = *file;
    *file = NULL;
    t->counts.form = TRACE_PCAP;
    return capture_read(t, capture, source);
}
