/* findings.h: what a rehearsal has found, as a table for people and as JSON for programs.
 * Knows numbers and columns; never how they came about. */
#ifndef DNSD_TOOLS_FINDINGS_H
#define DNSD_TOOLS_FINDINGS_H

#include "tools/grid.h"

#include <stdio.h>

#define FINDINGS_PERIOD_MAX 32

struct findings {
    const char *path; /* of the trace */
    struct trace *trace;
    const struct rehearsal_conf *conf;
    const struct rehearsal *result;
    const struct grid *grid; /* NULL: none was tried */
    double extra_max;
};

/* A period as the options take it: 2s, 1500ms, 1m. Returns out. */
const char *findings_period(uint64_t ms, char out[FINDINGS_PERIOD_MAX]);

/* Both: 0, or -1 when memory is out. Whether it could be written is for ferror to say. */
int findings_print(const struct findings *f, FILE *out);
int findings_print_json(const struct findings *f, FILE *out);

#endif
