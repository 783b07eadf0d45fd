/* conf_parts.h: what conf*.c share: the rows of the table as they are inside, and values of each
 * kind. Knows text and struct conf; never who gave an option, or mistakes. */
#ifndef DNSD_CONF_PARTS_H
#define DNSD_CONF_PARTS_H

#include "conf.h"

/* What an option takes, and what its field in struct conf is. */
enum conf_kind {
    SWITCH,   /* bool */
    COUNT,    /* unsigned */
    PERCENT,  /* unsigned */
    PORT,     /* uint16_t */
    PERIOD,   /* uint64_t in milliseconds */
    LIFETIME, /* uint32_t in seconds; bounds in milliseconds */
    SIZE,     /* uint64_t in bytes */
    WORD,     /* an enum whose values are the places in `words` */
    PATH,     /* char[CONF_PATH_MAX] */
    USER,     /* char[sizeof(conf.user)] */
    SERVERS,  /* the lists: their fields are named in conf_value_store */
    LISTEN,
    NETS,
    NAMES,
};

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

#endif
