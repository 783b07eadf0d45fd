/* tree.c: knows the form of a TREE file and everything that can be wrong with one.
 * Never knows who asks the names, when, or where the text comes from. */
#include "tools/tree.h"

#include "tools/field.h"
#include "tools/hostname.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_MAX 1024

struct tree {
    size_t n;
    size_t first;
    struct tree_node nodes[];
};

struct line {
    size_t number;
    struct field name, parent, delay;
};

struct reading {
    tree_report *report;
    void *ctx;
    bool failed;
    bool skipped; /* a line is missing from the nodes: a parent may be in it */
    struct tree *tree;
    struct line *lines; /* of each node */
    size_t cap;
    size_t *by_name; /* nodes, sorted by name and line */
};

/* ---- mistakes -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void mistake(
    struct reading *r, size_t line, const char *format, ...)
{
    char why[WHY_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    r->failed = true;
    r->report(r->ctx, line, why);
}

static void mistake_in(struct reading *r, size_t line, struct field f, const char *what)
{
    char shown[FIELD_SHOWN_MAX];
    mistake(r, line, "\"%s\" %s", field_show(f, shown), what);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static bool is_dash(struct field f)
{
    return field_equal(f, "-");
}

/* Digits, with a minus before them or not. */
static bool read_delay(struct field f, int32_t *out)
{
    bool negative = f.at[0] == '-'; /* no field is empty */
    uint64_t n;
    if (!field_number(
            (struct field){.at = f.at + negative, .len = f.len - negative}, TREE_DELAY_MAX_MS, &n))
        return false;
    *out = negative ? -(int32_t)n : (int32_t)n;
    return true;
}

/* Doubles the room for nodes and lines. */
static bool grow(struct reading *r)
{
    size_t cap = r->cap == 0 ? 64 : r->cap * 2;
    struct tree *tree = realloc(r->tree, sizeof(struct tree) + cap * sizeof(struct tree_node));
    if (tree == NULL)
        return false;
    if (r->tree == NULL)
        *tree = (struct tree){.n = 0};
    r->tree = tree;
    struct line *lines = realloc(r->lines, cap * sizeof(*lines));
    if (lines == NULL)
        return false;
    r->lines = lines;
    r->cap = cap;
    return true;
}

static void check_delay(struct reading *r, const struct line *l, struct tree_node *node)
{
    bool top = is_dash(l->parent);
    if (top && is_dash(l->delay))
        return;
    if (!read_delay(l->delay, &node->delay_ms))
        mistake_in(r, l->number, l->delay,
            top ? "is not a delay: expected milliseconds from 0 to 600000, or -"
                : "is not a delay: expected milliseconds from -600000 to 600000");
    else if (top && node->delay_ms < 0)
        mistake_in(r, l->number, l->delay,
            "is before the start of the visit: a name without a parent takes 0 or more, or -");
}

/* Returns false when the line holds a node that could not be added. */
static bool read_line(struct reading *r, size_t number, struct field rest)
{
    struct line l = {.number = number, .name = field_next(&rest)};
    l.parent = field_next(&rest);
    l.delay = field_next(&rest);
    if (l.delay.len == 0 || field_next(&rest).len > 0) {
        mistake(r, number, "expected three fields: name, parent or -, milliseconds");
        return false;
    }
    if (r->tree != NULL && r->tree->n == TREE_NAMES_MAX) {
        mistake(r, number, "more than %d names", TREE_NAMES_MAX);
        return false;
    }
    if ((r->tree == NULL || r->tree->n == r->cap) && !grow(r)) {
        mistake(r, number, "out of memory");
        return false;
    }
    struct tree_node *node = &r->tree->nodes[r->tree->n];
    *node = (struct tree_node){
        .line = number, .parent = TREE_NONE, .first_child = TREE_NONE, .next_sibling = TREE_NONE};
    check_delay(r, &l, node);
    node->name_len = hostname_read(l.name.at, l.name.len, node->name);
    if (node->name_len == 0) {
        mistake_in(r, number, l.name, "is not a name");
        return false;
    }
    r->lines[r->tree->n++] = l;
    return true;
}

/* Stops where going on would only repeat one and the same mistake. */
static void read_lines(struct reading *r, const char *text, size_t len)
{
    struct field_lines lines = field_lines_start(text, len);
    struct field line;
    while (field_next_line(&lines, &line)) {
        if (!read_line(r, lines.number, line))
            r->skipped = true;
        if (r->skipped && r->tree != NULL && r->tree->n == TREE_NAMES_MAX)
            return;
    }
}

/* ---- parents --------------------------------------------------------------------------------- */

static int compare_nodes(const void *a, const void *b, void *nodes)
{
    const struct tree_node *x = (const struct tree_node *)nodes + *(const size_t *)a;
    const struct tree_node *y = (const struct tree_node *)nodes + *(const size_t *)b;
    int order = hostname_compare(x->name, x->name_len, y->name, y->name_len);
    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

/* Sorts the nodes by name, and reports those whose name came before. */
static bool sort_names(struct reading *r)
{
    struct tree *t = r->tree;
    r->by_name = malloc(t->n * sizeof(*r->by_name));
    if (r->by_name == NULL) {
        mistake(r, 0, "out of memory");
        return false;
    }
    for (size_t i = 0; i < t->n; i++)
        r->by_name[i] = i;
    qsort_r(r->by_name, t->n, sizeof(*r->by_name), compare_nodes, t->nodes);
    for (size_t i = 1; i < t->n; i++) {
        size_t before = r->by_name[i - 1], node = r->by_name[i];
        const struct tree_node *a = &t->nodes[before], *b = &t->nodes[node];
        if (wire_name_equal(a->name, a->name_len, b->name, b->name_len)) {
            char shown[FIELD_SHOWN_MAX];
            mistake(r, b->line, "\"%s\" is in line %zu already",
                field_show(r->lines[node].name, shown), a->line);
        }
    }
    return true;
}

static size_t find_name(const struct reading *r, const uint8_t *name, size_t len)
{
    size_t low = 0, high = r->tree->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct tree_node *node = &r->tree->nodes[r->by_name[middle]];
        int order = hostname_compare(name, len, node->name, node->name_len);
        if (order == 0)
            return r->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return TREE_NONE;
}

static void find_parents(struct reading *r)
{
    uint8_t name[WIRE_NAME_MAX];
    for (size_t i = 0; i < r->tree->n; i++) {
        const struct line *l = &r->lines[i];
        if (is_dash(l->parent))
            continue;
        size_t len = hostname_read(l->parent.at, l->parent.len, name);
        if (len == 0) {
            mistake_in(r, l->number, l->parent, "is not a name");
            continue;
        }
        r->tree->nodes[i].parent = find_name(r, name, len);
        if (r->tree->nodes[i].parent == TREE_NONE && !r->skipped)
            mistake_in(r, l->number, l->parent, "is the parent of this line, but has no line");
    }
}

/* Walks up from each node. A walk that meets its own mark has found a cycle, one that meets an
 * older mark goes where another has been: each node is marked once. */
static bool find_cycles(struct reading *r)
{
    struct tree_node *nodes = r->tree->nodes;
    size_t n = r->tree->n;
    size_t *mark = calloc(n, sizeof(*mark));
    if (mark == NULL) {
        mistake(r, 0, "out of memory");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        while (at != TREE_NONE && mark[at] == 0) {
            mark[at] = i + 1;
            at = nodes[at].parent;
        }
        if (at != TREE_NONE && mark[at] == i + 1)
            mistake_in(r, nodes[at].line, r->lines[at].name,
                nodes[at].parent == at ? "is its own parent"
                                       : "is in a cycle: its parents lead back to it");
    }
    free(mark);
    return true;
}

/* Backwards, so that siblings stand in the order of their lines. */
static void link_children(struct tree *t)
{
    t->first = TREE_NONE;
    for (size_t i = t->n; i-- > 0;) {
        struct tree_node *node = &t->nodes[i];
        size_t *list = node->parent == TREE_NONE ? &t->first : &t->nodes[node->parent].first_child;
        node->next_sibling = *list;
        *list = i;
    }
}

/* ---- the file -------------------------------------------------------------------------------- */

struct tree *tree_read(const char *text, size_t len, tree_report *report, void *ctx)
{
    struct reading r = {.report = report, .ctx = ctx};

    read_lines(&r, text, len);
    if (!r.failed && r.tree == NULL)
        mistake(&r, 0, "no names: expected lines of name, parent or -, milliseconds");
    if (r.tree != NULL && r.tree->n > 0 && sort_names(&r)) {
        find_parents(&r);
        find_cycles(&r);
    }
    if (!r.failed)
        link_children(r.tree);
    else
        free(r.tree);
    free(r.lines);
    free(r.by_name);
    return r.failed ? NULL : r.tree;
}

void tree_free(struct tree *t)
{
    free(t);
}

const struct tree_node *tree_nodes(const struct tree *t, size_t *n)
{
    *n = t->n;
    return t->nodes;
}

size_t tree_first(const struct tree *t)
{
    return t->first;
}
