/* report.h: visits as a table with bars for people, and as JSON for programs.
 * Knows numbers and columns; never how they were measured. */
#ifndef DNSD_TOOLS_REPORT_H
#define DNSD_TOOLS_REPORT_H

#include "tools/visit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct report_plan {
    const char *server;       /* "127.0.0.1:53" */
    const char *const *trees; /* names of files */
    size_t n_trees;
    bool bars;
    size_t columns; /* of the terminal */
};

struct report; /* keeps a copy of each visit's results, for the JSON */

/* What the plan points to must last. NULL when memory is out. */
struct report *report_create(const struct report_plan *plan);
void report_free(struct report *r);

/* Adds a visit: a result of each tree. 0, or -1 when memory is out. */
int report_add(struct report *r, const struct visit_result *results);

/* Prints the row of the visit that was added last; above the first one, the head of the table. */
void report_print_row(const struct report *r, FILE *out);

/* All visits. 0, or -1 when memory is out or writing failed. */
int report_print_json(const struct report *r, FILE *out);

struct report_spread {
    double min, median, max;
};

/* Of n values, at least one; sorts them. The median of an even number is the mean of the middle
 * two. */
struct report_spread report_spread(double *values, size_t n);

#endif
