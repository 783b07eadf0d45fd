/* ttls.c: knows names and their TTLs, sorted so that a name is found fast.
 * Never knows who answers with them. */
#include "tools/ttls.h"

#include "tools/field.h"
#include "tools/hostname.h"

#include <stdio.h>
#include <stdlib.h>

#define FIRST_CAP 256
#define WHY_MAX   256

struct row {
    uint8_t name[WIRE_NAME_MAX];
    size_t len;
    size_t line;
    uint32_t ttl_s;
};

struct ttls {
    struct row *rows;
    size_t n;
    size_t cap;
};

struct reading {
    struct ttls *table;
    ttls_report *report;
    void *ctx;
    bool failed;
};

static void mistake(struct reading *r, size_t line, const char *why)
{
    r->failed = true;
    r->report(r->ctx, line, why);
}

static void mistake_in(struct reading *r, size_t line, struct field f, const char *what)
{
    char shown[FIELD_SHOWN_MAX], why[WHY_MAX];
    snprintf(why, sizeof(why), "\"%s\" %s", field_show(f, shown), what);
    mistake(r, line, why);
}

static bool grow(struct ttls *t)
{
    size_t cap = t->cap == 0 ? FIRST_CAP : t->cap * 2;
    struct row *rows = realloc(t->rows, cap * sizeof(*rows));
    if (rows == NULL)
        return false;
    t->rows = rows;
    t->cap = cap;
    return true;
}

static void read_row(struct reading *r, size_t line, struct field rest)
{
    struct ttls *t = r->table;
    struct field name = field_next(&rest), seconds = field_next(&rest);
    uint64_t ttl_s;

    if (seconds.len == 0 || field_next(&rest).len > 0) {
        mistake(r, line, "expected two fields: name, seconds");
        return;
    }
    if (t->n == t->cap && !grow(t)) {
        mistake(r, line, "out of memory");
        return;
    }
    struct row *row = &t->rows[t->n];
    row->line = line;
    row->len = hostname_read(name.at, name.len, row->name);
    if (row->len == 0) {
        mistake_in(r, line, name, "is not a name");
    } else if (!field_number(seconds, TTLS_MAX_S, &ttl_s)) {
        mistake_in(r, line, seconds, "is not a TTL: expected seconds from 0 to 604800");
    } else {
        row->ttl_s = (uint32_t)ttl_s;
        t->n++;
    }
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = hostname_compare(x->name, x->len, y->name, y->len);
    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static void sort_rows(struct reading *r)
{
    struct ttls *t = r->table;
    if (t->n == 0)
        return;
    qsort(t->rows, t->n, sizeof(*t->rows), compare_rows);
    for (size_t i = 1; i < t->n; i++) {
        const struct row *a = &t->rows[i - 1], *b = &t->rows[i];
        char why[WHY_MAX];
        if (hostname_compare(a->name, a->len, b->name, b->len) != 0)
            continue;
        snprintf(why, sizeof(why), "this name is in line %zu already", a->line);
        mistake(r, b->line, why);
    }
}

struct ttls *ttls_read(const char *text, size_t len, ttls_report *report, void *ctx)
{
    struct reading r = {.table = calloc(1, sizeof(struct ttls)), .report = report, .ctx = ctx};
    struct field_lines lines = field_lines_start(text, len);
    struct field line;

    if (r.table == NULL) {
        report(ctx, 0, "out of memory");
        return NULL;
    }
    while (field_next_line(&lines, &line))
        read_row(&r, lines.number, line);
    sort_rows(&r);
    if (!r.failed)
        return r.table;
    ttls_free(r.table);
    return NULL;
}

void ttls_free(struct ttls *t)
{
    if (t == NULL)
        return;
    free(t->rows);
    free(t);
}

bool ttls_get(const struct ttls *t, const uint8_t *name, size_t len, uint32_t *ttl_s)
{
    size_t low = 0, high = t != NULL ? t->n : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct row *row = &t->rows[middle];
        int order = hostname_compare(name, len, row->name, row->len);
        if (order == 0) {
            *ttl_s = row->ttl_s;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
