/* eviction.c: hit ratios of cache.c against SIEVE, CLOCK, LRU and FIFO with the same bytes, on
 * questions as they were asked and on mixes that are drawn.
 * Knows the cache by its door, and lists of questions; never how the cache decides.
 *
 *   eviction [TRACE.tsv ...]
 *
 * A trace has lines of ms, client, name, type (../shared/traces). Nothing expires here. All have
 * the same bytes. The others are ideal: a record and its slot cost them what they cost cache.c,
 * and they have all of the region for them; cache.c has ghosts, an index of a fixed size and two
 * rings in it. Output is a Markdown table. */
#define HASH_NONFATAL_OOM 1
#include "cache.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#define ENTRY_BYTES  96 /* in a large cache: what an answer of one record costs */
#define RECORD_BYTES 24
#define SLOT_BYTES   10 /* 8, and one of five is empty */
#define DRAWN        2000000
#define DRAWN_NAMES  100000
#define SCAN_FROM    1000000000U /* numbers of names that are asked once */
#define KEY_LEN      sizeof(uint32_t)
#define LINE_MAX_LEN 1024

/* Questions as numbers of names; what counts is the hit ratio of those below SCAN_FROM. */
struct stream {
    uint32_t *names;
    size_t n, cap;
    uint32_t distinct;
};

struct entry {
    uint32_t name;
    UT_hash_handle hh;
    struct entry *prev, *next;
    bool visited; /* since the hand came by */
};

enum policy { SIEVE, CLOCK, LRU, FIFO, N_POLICIES };

struct score {
    size_t hits, asked;
};

static void *need(void *p)
{
    if (p == NULL) {
        fputs("eviction: out of memory\n", stderr);
        exit(4);
    }
    return p;
}

static void add(struct stream *s, uint32_t name)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 65536;
        s->names = need(realloc(s->names, s->cap * sizeof *s->names));
    }
    s->names[s->n++] = name;
}

/* ---- the policies ---------------------------------------------------------------------------- */

static size_t region_for(size_t entries)
{
    return entries * ENTRY_BYTES > CACHE_BYTES_MIN ? entries * ENTRY_BYTES : CACHE_BYTES_MIN;
}

/* What makes so many records and slots as large as the region, in steps of 8. */
static size_t value_len_for(size_t entries)
{
    size_t record = (region_for(entries) / entries - SLOT_BYTES) / 8 * 8;
    return record - RECORD_BYTES - KEY_LEN;
}

static struct score run_cache(const struct stream *s, size_t entries)
{
    static const uint8_t seed[CACHE_SEED_LEN] = {3};
    struct score score = {0};
    struct cache *c = need(cache_create(region_for(entries), seed));
    uint8_t *value = need(calloc(1, value_len_for(entries)));
    for (size_t i = 0; i < s->n; i++) {
        struct cache_view v;
        struct cache_item item = {.key = (const uint8_t *)&s->names[i],
            .key_len = KEY_LEN,
            .value = value,
            .value_len = value_len_for(entries),
            .fresh_ms = 86400000};
        int hit = cache_get(c, item.key, item.key_len, 1, &v) == CACHE_FRESH;
        score.hits += hit && s->names[i] < SCAN_FROM;
        score.asked += s->names[i] < SCAN_FROM;
        if (!hit)
            cache_put(c, &item, 1);
    }
    cache_free(c);
    free(value);
    return score;
}

static void forget(struct entry **table, struct entry **list, struct entry *e)
{
    HASH_DEL(*table, e);
    DL_DELETE(*list, e);
    free(e);
}

static void move_to_end(struct entry **list, struct entry *e)
{
    DL_DELETE(*list, e);
    DL_APPEND(*list, e);
}

/* Which one goes. The list begins with the oldest. SIEVE ("SIEVE is simpler than LRU", NSDI 2024)
 * leaves what was visited where it is; CLOCK gives it another round. */
static struct entry *victim(struct entry **list, struct entry **hand, enum policy policy)
{
    struct entry *e = *list;
    if (policy == SIEVE) {
        for (e = *hand != NULL ? *hand : e; e->visited; e = e->next != NULL ? e->next : *list)
            e->visited = false;
        *hand = e->next;
        return e;
    }
    for (; policy == CLOCK && e->visited; e = *list) {
        e->visited = false;
        move_to_end(list, e);
    }
    return e;
}

static struct score run_list(const struct stream *s, size_t entries, enum policy policy)
{
    struct score score = {0};
    struct entry *table = NULL, *list = NULL, *hand = NULL, *e;
    for (size_t i = 0; i < s->n; i++) {
        HASH_FIND(hh, table, &s->names[i], KEY_LEN, e);
        score.hits += e != NULL && s->names[i] < SCAN_FROM;
        score.asked += s->names[i] < SCAN_FROM;
        if (e != NULL) {
            e->visited = true;
            if (policy == LRU)
                move_to_end(&list, e);
            continue;
        }
        if (HASH_COUNT(table) >= entries)
            forget(&table, &list, victim(&list, &hand, policy));
        e = need(calloc(1, sizeof *e));
        e->name = s->names[i];
        HASH_ADD(hh, table, name, KEY_LEN, e);
        DL_APPEND(list, e);
    }
    while (list != NULL)
        forget(&table, &list, list);
    return score;
}

/* ---- questions that are drawn ---------------------------------------------------------------- */

static uint64_t state = 42;

/* xorshift64*, 0 to 1 */
static double draw(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (double)(state * 2685821657736338717U >> 11) / 9007199254740992.0;
}

static double *zipf(double alpha, size_t n)
{
    double *sums = need(malloc(n * sizeof *sums));
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sums[i] = sum += 1 / pow((double)(i + 1), alpha);
    for (size_t i = 0; i < n; i++)
        sums[i] /= sum;
    return sums;
}

static uint32_t draw_zipf(const double *sums, uint32_t n)
{
    double x = draw();
    uint32_t low = 0, high = n - 1;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (sums[mid] < x)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Zipf, with so many percent of names that nobody asks for again. */
static struct stream drawn(double alpha, int scan_percent)
{
    struct stream s = {.distinct = DRAWN_NAMES};
    double *sums = zipf(alpha, DRAWN_NAMES);
    uint32_t once = SCAN_FROM;
    for (size_t i = 0; i < DRAWN; i++)
        add(&s, draw() * 100 < scan_percent ? once++ : draw_zipf(sums, DRAWN_NAMES));
    free(sums);
    return s;
}

/* A thousand names that are asked for in turn, and after a while a scan that asks for twenty others
 * between two of them. The first thousand questions miss, whatever the policy: 99 % is the most. */
static struct stream flooded(void)
{
    struct stream s = {.distinct = 1000};
    uint32_t once = SCAN_FROM;
    for (uint32_t i = 0; i < 100000; i++) {
        add(&s, i % 1000);
        for (int k = 0; k < 20 && i >= 5000; k++)
            add(&s, once++);
    }
    return s;
}

/* Half a trace, half a Zipf mix: others ask as well. */
static struct stream mixed(const struct stream *trace)
{
    struct stream s = {.distinct = trace->distinct + DRAWN_NAMES};
    double *sums = zipf(.9, DRAWN_NAMES);
    for (size_t i = 0; i < trace->n; i++) {
        add(&s, trace->names[i]);
        add(&s, trace->distinct + draw_zipf(sums, DRAWN_NAMES));
    }
    free(sums);
    return s;
}

/* ---- questions that were asked --------------------------------------------------------------- */

struct known {
    uint32_t number;
    UT_hash_handle hh;
    char text[];
};

static uint32_t number_of(struct known **known, const char *text)
{
    struct known *k;
    HASH_FIND_STR(*known, text, k);
    if (k != NULL)
        return k->number;
    size_t len = strlen(text);
    k = need(malloc(sizeof *k + len + 1));
    memcpy(k->text, text, len + 1);
    k->number = HASH_COUNT(*known);
    HASH_ADD_KEYPTR(hh, *known, k->text, len, k);
    return k->number;
}

static int read_trace(const char *path, struct stream *s)
{
    char line[LINE_MAX_LEN], name[512], type[32];
    struct known *known = NULL, *k, *next;
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return -1;
    while (fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "%*s %*s %480s %30s", name, type) != 2)
            continue;
        strcat(name, type);
        add(s, number_of(&known, name));
    }
    s->distinct = HASH_COUNT(known);
    HASH_ITER(hh, known, k, next)
    {
        HASH_DEL(known, k);
        free(k);
    }
    return fclose(f);
}

/* ---- the table ------------------------------------------------------------------------------- */

static double percent(struct score s)
{
    return s.asked > 0 ? 100.0 * (double)s.hits / (double)s.asked : 0;
}

static void row(const char *what, const struct stream *s, size_t entries)
{
    if (entries < 64)
        return;
    printf("| %s | %zu | %u | %zu | %.2f |", what, s->n, s->distinct, entries,
        percent(run_cache(s, entries)));
    for (enum policy policy = SIEVE; policy < N_POLICIES; policy++)
        printf(" %.2f |", percent(run_list(s, entries, policy)));
    putchar('\n');
    fflush(stdout);
}

static void rows(const char *what, struct stream *s)
{
    row(what, s, s->distinct / 100);
    row(what, s, s->distinct / 20);
    row(what, s, s->distinct / 10);
    row(what, s, s->distinct / 4);
}

static void trace_rows(const char *path)
{
    struct stream s = {0};
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    char what[256];
    if (read_trace(path, &s) != 0) {
        perror(path);
        exit(3);
    }
    rows(name, &s);
    struct stream m = mixed(&s);
    snprintf(what, sizeof what, "%s and Zipf 0.9, half each", name);
    rows(what, &m);
    free(m.names);
    free(s.names);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *what;
        double alpha;
        int scan_percent;
    } mixes[] = {{"Zipf 0.7", .7, 0}, {"Zipf 0.9", .9, 0}, {"Zipf 1.1", 1.1, 0},
        {"Zipf 0.9, a tenth asked once", .9, 10}, {"Zipf 0.9, half asked once", .9, 50}};
    puts(
        "| questions | asked | names | entries | cache.c % | SIEVE % | CLOCK % | LRU % | FIFO % |");
    puts("|---|---|---|---|---|---|---|---|---|");
    for (int i = 1; i < argc; i++)
        trace_rows(argv[i]);
    for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++) {
        struct stream s = drawn(mixes[i].alpha, mixes[i].scan_percent);
        rows(mixes[i].what, &s);
        free(s.names);
    }
    struct stream flood = flooded();
    row("1,000 in turn, 20 others between two", &flood, 4000);
    row("the same", &flood, 1500);
    free(flood.names);
    return 0;
}
