/* logline.h: one line of a trace or of a query log, to who asked what and when.
 * Knows the forms of a line; never files, or the lines before it. */
#ifndef DNSD_TOOLS_LOGLINE_H
#define DNSD_TOOLS_LOGLINE_H

#include "tools/field.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum logline_form {
    LOGLINE_TEXT,    /* ms, client, name, type; with # a comment */
    LOGLINE_DNSMASQ, /* log-queries, also log-queries=extra */
    LOGLINE_UNBOUND, /* log-queries: yes */
    LOGLINE_DNSD,    /* -query-log (ops/querylog.h) */
};

enum logline_kind {
    LOGLINE_QUESTION,
    LOGLINE_LOCAL, /* one that was answered or refused without asking anybody (dnsd's form only) */
    LOGLINE_OTHER, /* something else that such a file holds */
    LOGLINE_BAD,   /* it should be a question */
};

#define LOGLINE_CLIENT_LEN 16
#define LOGLINE_WHY_MAX    (FIELD_SHOWN_MAX + 128)

struct logline {
    uint64_t at_ms;
    uint64_t took_ms;  /* how long before at_ms it was asked; 0 but in dnsd's form */
    bool has_year;     /* else at_ms counts from the start of a year (timestamp.h) */
    bool has_fraction; /* at_ms is exact to less than a second */
    uint8_t client[LOGLINE_CLIENT_LEN];
    uint8_t name[WIRE_NAME_MAX];
    size_t name_len;
    uint16_t type;
    uint16_t class;
    char why[LOGLINE_WHY_MAX]; /* of LOGLINE_BAD: what is wrong */
};

/* Reads a line without its end. A client that is no address (text form only) gets an identity made
 * from its letters. */
enum logline_kind logline_read(
    enum logline_form form, const char *line, size_t len, struct logline *out);

#endif
