/* reading.h: what the targets share that read traces: any bytes as a file, and what must hold of
 * the trace that comes of it. Knows tools/trace.h; no form of a trace. */
#ifndef DNSD_TESTS_FUZZ_READING_H
#define DNSD_TESTS_FUZZ_READING_H

#include "tests/fuzz/text.h"
#include "tools/trace.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static inline void reading_mistake(void *ctx, size_t place, const char *why)
{
    (void)place;
    text_is_plain(why, 2048);
    ++*(size_t *)ctx;
}

static inline void trace_is_sound(struct trace *t)
{
    const struct trace_event *events = trace_events(t);
    for (size_t i = 0; i < trace_n_events(t); i++) {
        FUZZ_MUST(events[i].question < trace_n_questions(t));
        FUZZ_MUST(events[i].client < trace_n_clients(t));
        FUZZ_MUST(i == 0 || events[i].at_ms >= events[i - 1].at_ms);
    }
    for (uint32_t i = 0; i < trace_n_questions(t); i++) {
        const struct trace_question *q = trace_question(t, i);
        struct wire_question w;
        unsigned flags;
        FUZZ_MUST(wire_key_read(q->key, q->key_len, &w, &flags) == 0);
        FUZZ_MUST(trace_find(t, q->key, q->key_len) == i);
    }
}

/* Reads bytes as a file, in a form or in the one that they seem to have. */
static inline enum trace_result read_as_file(
    const uint8_t *bytes, size_t len, enum trace_form form, const char *filter)
{
    size_t mistakes = 0;
    struct trace_source source = {
        .form = form, .port = 53, .filter = filter, .ctx = &mistakes, .report = reading_mistake};
    FILE *f = fdopen(memfd_create("trace", MFD_CLOEXEC), "r+");
    struct trace *t = trace_create();
    FUZZ_MUST(f != NULL && t != NULL);
    FUZZ_MUST(fwrite(bytes, 1, len, f) == len && fflush(f) == 0);
    rewind(f);
    enum trace_result result = trace_read(t, &f, &source);
    FUZZ_MUST(result == TRACE_OK || result == TRACE_BAD);
    FUZZ_MUST((result == TRACE_BAD) == (mistakes > 0));
    if (result == TRACE_OK) /* else nobody looks at it */
        trace_is_sound(t);
    trace_free(t);
    if (f != NULL)
        fclose(f);
    return result;
}

#endif
