/* config.c: reads files whole, hands their text to who understands it, and shows each mistake with
 * its file and line. Knows what may go wrong on the way; never what the text means. */
#include "ops/config.h"

#include "net/resolvconf.h"
#include "ops/log.h"
#include "ops/privilege.h"
#include "ops/savefile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLD_MAX 20 /* mistakes of a file: of another program's, each line is one */

/* Which file a mistake is in; NULL for the command line. */
struct origin {
    const struct config *c;
    const char *file;
    size_t n_mistakes; /* with a line */
    bool memory_out;
};

static void complain(const struct origin *o, size_t line, const char *what, const char *why)
{
    char where[CONF_PATH_MAX + 32] = "";
    if (o->file != NULL && line > 0)
        snprintf(where, sizeof where, "%s:%zu: ", o->file, line);
    else if (o->file != NULL)
        snprintf(where, sizeof where, "%s: ", o->file);
    const char *colon = what[0] != '\0' ? ": " : "";
    if (o->c->running)
        log_error("%s%s%s%s", where, what, colon, why);
    else
        fprintf(stderr, "dnsd: %s%s%s%s\n", where, what, colon, why);
}

static void count_mistake(struct origin *o, size_t line, const char *what, const char *why)
{
    if (line > 0 && ++o->n_mistakes > TOLD_MAX)
        return;
    complain(o, line, what, why);
}

/* The file has been read. */
static void tell_rest(struct origin *o)
{
    char why[64];
    if (o->n_mistakes > TOLD_MAX) {
        snprintf(why, sizeof why, "and %zu more mistakes", o->n_mistakes - TOLD_MAX);
        complain(o, 0, "", why);
    }
    o->n_mistakes = 0;
}

static void on_conf_mistake(
    void *ctx, size_t line, const char *option, const char *value, const char *why)
{
    char what[512];
    snprintf(what, sizeof what, "%s%s%s", option, value[0] != '\0' ? " " : "", value);
    count_mistake(ctx, line, what, why);
}

static void on_poison_mistake(void *ctx, size_t line, const char *what, const char *why)
{
    struct origin *o = ctx;
    o->memory_out |= line == 0;
    count_mistake(o, line, what, why);
}

void config_complain(const struct config *c, const char *what, const char *why)
{
    const struct origin o = {.c = c};
    complain(&o, 0, what, why);
}

/* ---- reading --------------------------------------------------------------------------------- */

int config_open(const struct config *c, const char *path)
{
    return c->reader != NULL ? reader_open(c->reader, path) : savefile_open(path);
}

/* A mistake is reported, and *code says how to exit. */
static int read_file(
    const struct config *c, const char *path, uint8_t **text, size_t *len, enum exit_code *code)
{
    int fd = config_open(c, path);
    if (fd >= 0 && savefile_read_open(fd, SAVEFILE_MAX, text, len) == 0)
        return 0;
    *code = errno == ENOMEM ? EXIT_MEMORY : EXIT_FILE;
    config_complain(c, path, strerror(errno));
    return -1;
}

struct conf_set *config_read(const struct config *c, enum exit_code *code)
{
    struct origin o = {.c = c};
    uint8_t *text = NULL;
    size_t len;
    struct conf_set *s = conf_create();
    *code = EXIT_MEMORY;
    if (s == NULL) {
        config_complain(c, "", "memory is out");
        return NULL;
    }
    *code = EXIT_CONF;
    int bad = conf_read_args(s, c->argc, c->argv, on_conf_mistake, &o);
    const char *path = conf_values(s)->config;
    if (path[0] != '\0') {
        if (read_file(c, path, &text, &len, code) < 0)
            goto err;
        o.file = path;
        bad |= conf_read_text(s, (const char *)text, len, on_conf_mistake, &o);
        tell_rest(&o);
        o.file = NULL;
        free(text);
    }
    bad |= conf_finish(s, on_conf_mistake, &o);
    if (bad == 0)
        return s;
err:
    conf_free(s);
    return NULL;
}

int config_read_poison(const struct config *c, const struct conf *conf,
    const uint8_t seed[POISON_SEED_LEN], struct poison **out, enum exit_code *code)
{
    struct origin o = {.c = c, .file = conf->poison};
    uint8_t *text;
    size_t len;
    *out = NULL;
    if (conf->poison[0] == '\0')
        return 0;
    if (read_file(c, conf->poison, &text, &len, code) < 0)
        return -1;
    *out = poison_load((const char *)text, len, seed, on_poison_mistake, &o);
    tell_rest(&o);
    *code = o.memory_out ? EXIT_MEMORY : EXIT_CONF;
    free(text);
    return *out != NULL ? 0 : -1;
}

/* ---- -check-config --------------------------------------------------------------------------- */

/* Whether a path that is to be written lies in a directory. (Whether its user may write there shows
 * at the start.) */
static bool has_directory(const struct config *c, const char *option, const char *path)
{
    char what[CONF_PATH_MAX + 32];
    if (path[0] == '\0' || strcmp(path, "-") == 0 || savefile_check(path) == 0 || errno == EACCES)
        return true;
    snprintf(what, sizeof what, "-%s %s", option, path);
    config_complain(c, what, strerror(errno));
    return false;
}

enum exit_code config_check(const struct config *c, const struct conf *conf)
{
    struct origin o = {.c = c};
    struct resolvconf_servers r;
    bool good = has_directory(c, "predict-file", conf->predict_file);
    good &= has_directory(c, "predict-dump", conf->predict_dump);
    good &= has_directory(c, "query-log", conf->query_log);
    if (conf->user[0] != '\0' && !privilege_has_user(conf->user)) {
        on_conf_mistake(&o, 0, "-user", conf->user, "there is no such user");
        good = false;
    }
    if (conf->forward && conf->n_servers == 0 &&
        resolvconf_read(conf->resolv_file, &r, NULL, NULL) < 0)
        fprintf(stderr, "dnsd: %s: %s (there would be no server until it comes)\n",
            conf->resolv_file, strerror(errno));
    if (good)
        printf("dnsd: no mistakes\n");
    return good ? EXIT_OK : EXIT_CONF;
}
