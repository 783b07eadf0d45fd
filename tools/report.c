/* report.c: knows how visits are summed up over trees, and how the sums look.
 * Never knows servers, sockets or time. */
#include "tools/report.h"

#include <jansson.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>

#define BAR_MAX 60 /* longer bars say no more */

struct report {
    struct report_plan plan;
    struct visit_result *results; /* n_visits rows of n_trees */
    size_t n_visits;
    double *values;  /* room for one value of each tree */
    double scale_ms; /* what a bar of full length stands for: the first visit */
};

/* A visit over all trees. */
struct sums {
    struct report_spread wall_ms, dns_ms;
    size_t questions, failures;
};

struct report *report_create(const struct report_plan *plan)
{
    struct report *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->plan = *plan;
    r->values = malloc(plan->n_trees * sizeof(*r->values));
    if (r->values != NULL)
        return r;
    free(r);
    return NULL;
}

void report_free(struct report *r)
{
    if (r == NULL)
        return;
    free(r->results);
    free(r->values);
    free(r);
}

/* ---- sums ------------------------------------------------------------------------------------ */

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct report_spread report_spread(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare_values);
    return (struct report_spread){.min = values[0],
        .median = (values[(n - 1) / 2] + values[n / 2]) / 2.,
        .max = values[n - 1]};
}

static struct sums sum_up(const struct report *r, size_t visit)
{
    const struct visit_result *row = r->results + visit * r->plan.n_trees;
    struct sums s = {.questions = 0};
    size_t n = r->plan.n_trees;
    for (size_t i = 0; i < n; i++) {
        s.questions += row[i].questions;
        s.failures += row[i].failures;
        r->values[i] = row[i].wall_ms;
    }
    s.wall_ms = report_spread(r->values, n);
    for (size_t i = 0; i < n; i++)
        r->values[i] = row[i].dns_ms;
    s.dns_ms = report_spread(r->values, n);
    return s;
}

int report_add(struct report *r, const struct visit_result *results)
{
    size_t n = r->plan.n_trees;
    struct visit_result *grown = realloc(r->results, (r->n_visits + 1) * n * sizeof(*grown));
    if (grown == NULL)
        return -1;
    r->results = grown;
    memcpy(grown + r->n_visits * n, results, n * sizeof(*grown));
    if (r->n_visits++ == 0)
        r->scale_ms = sum_up(r, 0).wall_ms.median;
    return 0;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const char head_one[] = "visit  wall, ms   DNS, ms  asked  failed\n";
static const char head_many[] =
    "                    wall, ms     waiting for DNS, ms\n"
    "visit     min  median     max     min  median     max  asked  failed\n";

#define COLUMNS_ONE  40 /* of a row without its bar */
#define COLUMNS_MANY 68

static void print_cells(size_t n, const char *cell, FILE *out)
{
    while (n-- > 0)
        fputs(cell, out);
}

static size_t cells_of(double ms, double scale_ms, size_t room)
{
    double cells = scale_ms > 0. ? ms / scale_ms * (double)room + .5 : 0.;
    return cells < (double)room ? (size_t)cells : room;
}

/* Waiting for DNS, then the rest of the visit; a full line is the first visit. */
static void print_bar(const struct report *r, const struct sums *s, FILE *out)
{
    bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    size_t used = r->plan.n_trees == 1 ? COLUMNS_ONE : COLUMNS_MANY;
    size_t room = r->plan.columns > used + 2 ? r->plan.columns - used - 2 : 0;
    if (room > BAR_MAX)
        room = BAR_MAX;
    size_t all = cells_of(s->wall_ms.median, r->scale_ms, room);
    size_t dns = cells_of(s->dns_ms.median, r->scale_ms, room);
    if (dns > all)
        dns = all;
    fputs("  ", out);
    print_cells(dns, utf8 ? "\xe2\x96\x88" : "#", out);
    print_cells(all - dns, utf8 ? "\xe2\x96\x91" : ".", out);
}

void report_print_row(const struct report *r, FILE *out)
{
    struct sums s = sum_up(r, r->n_visits - 1);
    if (r->n_visits == 1)
        fputs(r->plan.n_trees == 1 ? head_one : head_many, out);
    if (r->plan.n_trees == 1)
        fprintf(out, "%5zu%10.1f%10.1f", r->n_visits, s.wall_ms.median, s.dns_ms.median);
    else
        fprintf(out, "%5zu%8.1f%8.1f%8.1f%8.1f%8.1f%8.1f", r->n_visits, s.wall_ms.min,
            s.wall_ms.median, s.wall_ms.max, s.dns_ms.min, s.dns_ms.median, s.dns_ms.max);
    fprintf(out, "%7zu%8zu", s.questions, s.failures);
    if (r->plan.bars)
        print_bar(r, &s, out);
    fputc('\n', out);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Thousandths of a millisecond are what can be measured. */
static json_t *json_ms(double ms)
{
    return json_real((double)(long long)(ms * 1000. + .5) / 1000.);
}

static json_t *json_spread(const struct report_spread *s)
{
    return json_pack("{s:o, s:o, s:o}", "min", json_ms(s->min), "median", json_ms(s->median), "max",
        json_ms(s->max));
}

/* A file may have any name; JSON is UTF-8. */
static json_t *json_path(const char *path)
{
    json_t *whole = json_string(path);
    char *plain = whole == NULL ? strdup(path) : NULL;
    if (plain == NULL)
        return whole;
    for (char *c = plain; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    whole = json_string(plain);
    free(plain);
    return whole;
}

static json_t *json_trees(const struct report *r, size_t visit)
{
    json_t *trees = json_array();
    for (size_t i = 0; trees != NULL && i < r->plan.n_trees; i++) {
        const struct visit_result *one = &r->results[visit * r->plan.n_trees + i];
        json_t *tree = json_pack("{s:o, s:o, s:o, s:I, s:I}", "tree", json_path(r->plan.trees[i]),
            "wall_ms", json_ms(one->wall_ms), "dns_ms", json_ms(one->dns_ms), "questions",
            (json_int_t)one->questions, "failures", (json_int_t)one->failures);
        if (json_array_append_new(trees, tree) != 0) {
            json_decref(trees);
            return NULL;
        }
    }
    return trees;
}

static json_t *json_visits(const struct report *r)
{
    json_t *visits = json_array();
    for (size_t i = 0; visits != NULL && i < r->n_visits; i++) {
        struct sums s = sum_up(r, i);
        json_t *visit = json_pack("{s:I, s:o, s:o, s:I, s:I, s:o}", "visit", (json_int_t)i + 1,
            "wall_ms", json_spread(&s.wall_ms), "dns_ms", json_spread(&s.dns_ms), "questions",
            (json_int_t)s.questions, "failures", (json_int_t)s.failures, "trees", json_trees(r, i));
        if (json_array_append_new(visits, visit) != 0) {
            json_decref(visits);
            return NULL;
        }
    }
    return visits;
}

int report_print_json(const struct report *r, FILE *out)
{
    json_t *all = json_pack("{s:s, s:o}", "server", r->plan.server, "visits", json_visits(r));
    if (all == NULL)
        return -1;
    int rc = json_dumpf(all, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    fputc('\n', out);
    json_decref(all);
    fflush(out);
    return rc == 0 && !ferror(out) ? 0 : -1;
}
