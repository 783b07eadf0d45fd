/* conf_parts.h: what conf*.c share: the rows of the table as they are inside, and values of each
 * kind. Knows text and struct conf; never who gave an option, or mistakes. */
#ifndef DNSD_CONF_PARTS_H
#define DNSD_CONF_PARTS_H

#include "conf.h"

/* What an option takes. Its field in struct conf has the type conf_KIND; conf_table.c holds each
 * row to that. */
enum conf_kind {
    SWITCH,
    COUNT,
    PERCENT,
    PORT,
    PERIOD,
    LIFETIME, /* whole seconds; bounds in milliseconds */
    SIZE,
    WORD, /* an enum whose values are the places in `words` */
    PATH,
    USER,
    SERVERS, /* the lists: their fields are named in conf_value.c */
    LISTEN,
    NETS,
    NAMES,
};
typedef bool conf_SWITCH;
typedef unsigned conf_COUNT;
typedef unsigned conf_PERCENT;
typedef uint16_t conf_PORT;
typedef uint64_t conf_PERIOD; /* milliseconds */
typedef uint32_t conf_LIFETIME;
typedef uint64_t conf_SIZE; /* bytes */
typedef unsigned conf_WORD; /* as large as the enums are */
typedef char conf_PATH[CONF_PATH_MAX];
typedef char conf_USER[sizeof(((struct conf *)NULL)->user)];

struct conf_option {
    struct conf_row shown;
    enum conf_kind kind;
    size_t offset; /* of the field in struct conf; not used by lists */
    uint64_t min, max;
};

/* i < conf_n_rows(). */
const struct conf_option *conf_option(size_t i);
size_t conf_option_place(const struct conf_option *o); /* its i */

/* NULL if there is none. */
const struct conf_option *conf_option_named(const char *name, size_t len);

/* A value that was read and found right, before anybody keeps it. */
struct conf_value {
    uint64_t number;  /* of all kinds that are numbers, switches and words */
    const char *text; /* as written; NULL where an optional one is missing */
    struct addr addr;
    struct addr_net net;
    struct rebind_name name;
};

/* Reads text as the option's kind wants it; false when it is not what the option expects. */
bool conf_value_read(const struct conf_option *row, const char *text, struct conf_value *v);

/* Puts a value that conf_value_read found right where it belongs. NULL, or why it cannot. */
const char *conf_value_store(
    const struct conf_option *row, const struct conf_value *v, struct conf *c);

/* Whether two configurations have the same value for it. */
bool conf_value_same(const struct conf_option *row, const struct conf *a, const struct conf *b);

#endif
