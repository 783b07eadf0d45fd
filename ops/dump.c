/* dump.c: knows how learned dependencies read as text.
 * Never knows when they are wanted, and never changes them. */
#include "ops/dump.h"

#include "ops/savefile.h"
#include "ops/writer.h"
#include "rrtype.h"
#include "wire.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define CLASS_IN       1
#define SCORE_UNSURE   1   /* or less brings nothing in alone: a dotted line */
#define LINE_WIDTH_MIN 0.5 /* of score 0: thin, but seen */
#define LINE_WIDTH_MAX 5

/* A name of \DDD is twice as long in a graph, where a backslash takes another one. */
static void put_name(FILE *f, const uint8_t *name, size_t len, const char *backslash)
{
    char text[WIRE_NAME_TEXT_MAX];

    wire_name_text(name, len, text);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\\')
            fputs(backslash, f);
        else
            fputc(*c, f);
    }
}

/* Keys that came from a predict-file can be any bytes. */
static void put_bytes(FILE *f, const uint8_t *bytes, size_t len, const char *backslash)
{
    for (size_t i = 0; i < len; i++)
        fprintf(f, "%s%03u", backslash, (unsigned)bytes[i]);
}

static void put_question(FILE *f, const uint8_t *key, size_t len, const char *backslash)
{
    struct wire_question q;
    unsigned flags;

    if (wire_key_read(key, len, &q, &flags) < 0) {
        put_bytes(f, key, len, backslash);
        return;
    }
    put_name(f, q.name, q.name_len, backslash);
    if (rrtype_name(q.type) != NULL)
        fprintf(f, " %s", rrtype_name(q.type));
    else
        fprintf(f, " TYPE%u", (unsigned)q.type);
    if (q.class != CLASS_IN)
        fprintf(f, " CLASS%u", (unsigned)q.class);
    if ((flags & WIRE_KEY_DO) != 0)
        fputs(" DO", f);
    if ((flags & WIRE_KEY_CD) != 0)
        fputs(" CD", f);
}

/* ---- the two forms --------------------------------------------------------------------------- */

static bool put_line(void *ctx, const struct predict_pair *pair)
{
    FILE *f = ctx;

    put_question(f, pair->trigger, pair->trigger_len, "\\");
    fputc('\t', f);
    put_question(f, pair->follower, pair->follower_len, "\\");
    fprintf(f, "\t%u\t%u\t%u\t%u\t%u\n", pair->score, pair->windows, pair->seen, pair->lag_ms,
        pair->clients);
    return ferror(f) == 0;
}

static void put_table(FILE *f, const struct predict *p)
{
    fputs("trigger\tdependency\tscore\twindows\tseen\tlag_ms\tclients\n", f);
    predict_walk(p, put_line, f);
}

static double line_width(unsigned score)
{
    if (score == 0)
        return LINE_WIDTH_MIN;
    return score < LINE_WIDTH_MAX ? score : LINE_WIDTH_MAX;
}

static bool put_edge(void *ctx, const struct predict_pair *pair)
{
    FILE *f = ctx;

    fputs("    \"", f);
    put_question(f, pair->trigger, pair->trigger_len, "\\\\");
    fputs("\" -> \"", f);
    put_question(f, pair->follower, pair->follower_len, "\\\\");
    fprintf(f, "\" [label=\"%u, %u ms\", penwidth=%.3g%s];\n", pair->score, pair->lag_ms,
        line_width(pair->score), pair->score <= SCORE_UNSURE ? ", style=dotted" : "");
    return ferror(f) == 0;
}

/* An arrow is labelled with score and lag, and the thicker the higher the score. */
static void put_graph(FILE *f, const struct predict *p)
{
    fputs("digraph dnsd {\n    rankdir=LR;\n    node [shape=box];\n", f);
    predict_walk(p, put_edge, f);
    fputs("}\n", f);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int write_one(
    const struct predict *p, const char *path, void (*put)(FILE *f, const struct predict *p))
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    int result = -1, saved = ENOMEM;

    if (f == NULL)
        return -1;
    put(f, p);
    bool whole = ferror(f) == 0;
    if (fclose(f) == 0 && whole) {
        result = savefile_write(path, (const uint8_t *)text, len);
        saved = errno;
    }
    free(text);
    if (result < 0)
        errno = saved;
    return result;
}

int dump_write(const struct predict *p, const char *path)
{
    char table[PATH_MAX];
    int n = snprintf(table, sizeof table, "%s.tsv", path);

    if (n < 0 || (size_t)n >= sizeof table) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (write_one(p, table, put_table) < 0)
        return -1;
    return write_one(p, path, put_graph);
}

struct job {
    const struct predict *predict;
    const char *path;
};

static int write_job(const void *ctx)
{
    const struct job *job = ctx;

    return dump_write(job->predict, job->path);
}

pid_t dump_start(const struct predict *p, const char *path)
{
    const struct job job = {p, path};

    return writer_start(write_job, &job);
}
