/* tests/unit/reading.h: a trace that is read from bytes, and what was said about it.
 * Knows trace.h only. */
#ifndef DNSD_TESTS_READING_H
#define DNSD_TESTS_READING_H

#include "tools/trace.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct trace *t;
    struct trace_source source;
    enum trace_result result;
    char said[2048]; /* mistakes: PLACE: WHY, one a line */
};

static inline void say(void *ctx, size_t place, const char *why)
{
    struct reading *r = ctx;
    size_t len = strlen(r->said);
    snprintf(r->said + len, sizeof r->said - len, "%zu: %s\n", place, why);
}

static inline void start(struct reading *r)
{
    memset(r, 0, sizeof *r);
    r->source = (struct trace_source){.port = 53, .ctx = r, .report = say};
    r->t = trace_create();
    ck_assert_ptr_nonnull(r->t);
}

static inline void read_bytes(struct reading *r, const void *bytes, size_t len)
{
    FILE *f = tmpfile();
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
    rewind(f);
    r->result = trace_read(r->t, &f, &r->source);
    if (f != NULL)
        fclose(f);
}

static inline void read_text(struct reading *r, const char *text)
{
    start(r);
    read_bytes(r, text, strlen(text));
}

static inline const struct trace_event *event(const struct reading *r, size_t i)
{
    ck_assert_uint_lt(i, trace_n_events(r->t));
    return &trace_events(r->t)[i];
}

static inline const char *name_of(const struct reading *r, size_t i)
{
    static char text[WIRE_NAME_TEXT_MAX];
    const struct trace_question *q = trace_question(r->t, event(r, i)->question);
    struct wire_question w;
    unsigned flags;
    ck_assert_int_eq(wire_key_read(q->key, q->key_len, &w, &flags), 0);
    wire_name_text(w.name, w.name_len, text);
    return text;
}

static inline void end(struct reading *r)
{
    trace_free(r->t);
}

#endif
