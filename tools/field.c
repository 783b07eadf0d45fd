/* field.c: knows where lines and fields end, and how to show a part of a file that may be anything.
 * Never knows what a field means. */
#include "tools/field.h"

#include "quantity.h"

#include <string.h>

#define CUT        "..."
#define NUMBER_MAX 24 /* more digits than any number here */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

struct field_lines field_lines_start(const char *text, size_t len)
{
    return (struct field_lines){.at = text, .end = text + len};
}

bool field_next_line(struct field_lines *lines, struct field *line)
{
    while (lines->at < lines->end) {
        size_t left = (size_t)(lines->end - lines->at);
        const char *newline = memchr(lines->at, '\n', left);
        line->at = lines->at;
        line->len = newline != NULL ? (size_t)(newline - lines->at) : left;
        lines->at += line->len + (newline != NULL);
        lines->number++;
        struct field rest = *line, first = field_next(&rest);
        if (first.len > 0 && first.at[0] != '#')
            return true;
    }
    return false;
}

struct field field_next(struct field *line)
{
    const char *at = line->at, *end = line->at + line->len;
    while (at < end && is_blank(*at))
        at++;
    struct field f = {.at = at};
    while (at < end && !is_blank(*at))
        at++;
    f.len = (size_t)(at - f.at);
    *line = (struct field){.at = at, .len = (size_t)(end - at)};
    return f;
}

bool field_equal(struct field f, const char *text)
{
    return f.len == strlen(text) && memcmp(f.at, text, f.len) == 0;
}

bool field_number(struct field f, uint64_t max, uint64_t *out)
{
    char digits[NUMBER_MAX];
    if (f.len >= sizeof(digits) || memchr(f.at, '\0', f.len) != NULL)
        return false;
    memcpy(digits, f.at, f.len);
    digits[f.len] = '\0';
    return quantity_read(QUANTITY_COUNT, digits, 0, max, out);
}

const char *field_show(struct field f, char out[FIELD_SHOWN_MAX])
{
    size_t room = FIELD_SHOWN_MAX - sizeof(CUT);
    size_t n = f.len < room ? f.len : room;
    for (size_t i = 0; i < n; i++)
        out[i] = f.at[i] >= ' ' && f.at[i] <= '~' ? f.at[i] : '?';
    out[n] = '\0';
    if (f.len > n)
        memcpy(out + n, CUT, sizeof(CUT));
    return out;
}
