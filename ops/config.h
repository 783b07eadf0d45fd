/* config.h: the files that the administrator writes, dnsd.conf and poison.conf, read and complained
 * of. Knows paths, where a mistake stands, and how to exit for it; never what an option does. */
#ifndef DNSD_OPS_CONFIG_H
#define DNSD_OPS_CONFIG_H

#include "conf.h"
#include "ops/exit.h"
#include "ops/reader.h"
#include "poison.h"

struct config {
    int argc;
    const char *const *argv;
    bool running;          /* mistakes go to the log, not to the terminal */
    struct reader *reader; /* opens what is read, in the sandbox; NULL: we do */
};

/* A descriptor as of savefile_open, or -1 with errno. */
int config_open(const struct config *c, const char *path);

/* Tells what is wrong; what may be "". */
void config_complain(const struct config *c, const char *what, const char *why);

/* Reads the command line, then the file that it names. NULL after telling what is wrong; *code says
 * how to exit. */
struct conf_set *config_read(const struct config *c, enum exit_code *code);

/* The overrides of this configuration, NULL in *out where there are none. 0; -1 after telling what
 * is wrong, and *code says how to exit. */
int config_read_poison(const struct config *c, const struct conf *conf,
    const uint8_t seed[POISON_SEED_LEN], struct poison **out, enum exit_code *code);

/* What -check-config looks at besides what the files say: directories, user, resolv.conf. Tells on
 * the terminal. */
enum exit_code config_check(const struct config *c, const struct conf *conf);

#endif
