/* field.h: lines of text, and their fields between tabs or blanks: the form of the files that the
 * tools read. Knows no meaning of a field. */
#ifndef DNSD_TOOLS_FIELD_H
#define DNSD_TOOLS_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of a text; not NUL-ended. */
struct field {
    const char *at;
    size_t len;
};

struct field_lines {
    const char *at;
    const char *end;
    size_t number; /* of the line that was taken last, from 1 */
};

struct field_lines field_lines_start(const char *text, size_t len);

/* Takes the next line that is not empty and does not begin with #. False at the end. */
bool field_next_line(struct field_lines *lines, struct field *line);

/* Takes the first field off the line; an empty one when there is none. Tabs, blanks and carriage
 * returns lie between fields. */
struct field field_next(struct field *line);

bool field_equal(struct field f, const char *text);

/* Reads digits. False, and *out untouched, when it is something else or above max. */
bool field_number(struct field f, uint64_t max, uint64_t *out);

#define FIELD_SHOWN_MAX 72

/* The field as a message can repeat it: cut, and without what a terminal obeys. Returns out. */
const char *field_show(struct field f, char out[FIELD_SHOWN_MAX]);

#endif
