/* text.h: what the targets share that read texts: who reports mistakes must name a line that is
 * there, in words that a terminal can show. Knows no form of a text. */
#ifndef DNSD_TESTS_FUZZ_TEXT_H
#define DNSD_TESTS_FUZZ_TEXT_H

#include "tests/fuzz/fuzz.h"

#include <string.h>

/* Told of every mistake in a text. */
struct text_report {
    size_t n_lines;
    size_t n; /* mistakes so far */
};

static inline struct text_report text_report_of(const uint8_t *text, size_t len)
{
    struct text_report r = {.n_lines = 1};
    for (size_t i = 0; i < len; i++)
        r.n_lines += text[i] == '\n';
    return r;
}

static inline void text_is_plain(const char *s, size_t max)
{
    FUZZ_MUST(s != NULL && strlen(s) <= max);
    for (; *s != '\0'; s++)
        FUZZ_MUST((uint8_t)*s >= ' ' && (uint8_t)*s < 127);
}

static inline void text_mistake(struct text_report *r, size_t line, const char *why, size_t max)
{
    r->n++;
    FUZZ_MUST(line <= r->n_lines);
    FUZZ_MUST(why != NULL && *why != '\0');
    text_is_plain(why, max);
}

#endif
