/* conf.h: one table of options: command line, dnsd.conf, help, defaults, bounds and errors.
 * Knows text and the struct it fills in; never files, the running modules or how errors are shown.
 */
#ifndef DNSD_CONF_H
#define DNSD_CONF_H

#include "addr.h"
#include "rebind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONF_LIST_MAX    64 /* values of one repeatable option */
#define CONF_SERVERS_MAX 16 /* values of -forward: what server.h takes */
#define CONF_PATH_MAX    4096
#define CONF_LINE_MAX    (CONF_PATH_MAX + 256) /* bytes of a line of dnsd.conf */

enum conf_rules { CONF_RULES_DEFAULT, CONF_RULES_SEED };
enum conf_scope { CONF_SCOPE_CLIENT, CONF_SCOPE_GLOBAL };
enum conf_ttl0 { CONF_TTL0_HOLD, CONF_TTL0_STRICT };
enum conf_sandbox { CONF_SANDBOX_ON, CONF_SANDBOX_OFF };

/* All values, in the units of their names. Strings are never NULL ("" for none). */
struct conf {
    /* modes */
    bool forward; /* -forward, -predict or -predict-window was given (after conf_finish) */
    struct addr servers[CONF_SERVERS_MAX]; /* none: those of resolv.conf */
    size_t n_servers;
    char poison[CONF_PATH_MAX]; /* -poison FILE */
    bool predict;

    /* listening */
    uint16_t port;
    struct addr listen[CONF_LIST_MAX]; /* port 0: the one of -port; never empty after conf_finish */
    size_t n_listen;
    bool listen_default; /* none was named: ::1 may be missing on this machine */
    struct addr_net allow[CONF_LIST_MAX];
    size_t n_allow;

    /* prediction */
    uint64_t predict_window_ms;
    unsigned predict_score;
    unsigned predict_confidence_percent;
    enum conf_scope predict_scope;
    unsigned predict_cap;
    enum conf_rules predict_rules;
    enum conf_ttl0 predict_ttl0;
    unsigned predict_share;
    unsigned predict_budget_percent;
    char predict_file[CONF_PATH_MAX];
    unsigned predict_control_percent;
    uint64_t predict_save_ms;
    char predict_dump[CONF_PATH_MAX];

    /* cache */
    uint64_t cache_size_bytes;
    uint32_t max_ttl_s;
    uint32_t min_ttl_s;
    uint64_t stale_ttl_ms;

    /* upstream */
    char resolv_file[CONF_PATH_MAX];
    bool trust_ad;
    bool rebind_protect;
    struct rebind_name rebind_allow[CONF_LIST_MAX];
    size_t n_rebind_allow;

    /* operation */
    char user[64];
    enum conf_sandbox sandbox;
    char config[CONF_PATH_MAX];
    char query_log[CONF_PATH_MAX];
    bool verbose;
    bool check_config;
    bool version;
    bool help;
};

/* Called for each mistake: line (from 1; 0 on the command line), the option as written (escaped,
 * with its dashes on the command line, "" where a line has none), the value (escaped, cut where it
 * is long; "" for none), and what is wrong and was expected. The texts are valid during the call
 * only. */
typedef void conf_report(
    void *ctx, size_t line, const char *option, const char *value, const char *why);

struct conf_set; /* a struct conf being filled in, with who set what */

/* Defaults. NULL when memory is out. */
struct conf_set *conf_create(void);
void conf_free(struct conf_set *s);

/* Reads the command line (argv[0] is skipped) or a dnsd.conf. The command line is read first and
 * wins: an option given there ignores the file's values, lists included (they are still checked).
 * Twice on the command line, the last one counts; twice in the file is a mistake. Return 0, or -1
 * when there was a mistake; all are reported. */
int conf_read_args(
    struct conf_set *s, int argc, const char *const *argv, conf_report *report, void *ctx);
int conf_read_text(
    struct conf_set *s, const char *text, size_t len, conf_report *report, void *ctx);

/* Fills in what follows from other options (rules, -predict implies -forward, listen addresses) and
 * checks what no single option can. 0 or -1. A mode is not among it: whether there is one is told
 * by forward and poison. */
int conf_finish(struct conf_set *s, conf_report *report, void *ctx);

/* The values; owned by the set. */
const struct conf *conf_values(const struct conf_set *s);

/* The i-th address to listen at, with its port. */
struct addr conf_listen_addr(const struct conf *c, size_t i);

/* One row of the table, for help, manual and completion. */
struct conf_row {
    const char *name;     /* without dash */
    const char *argument; /* "FILE", "[SERVER]", "SECONDS"; NULL for a switch */
    const char *fallback; /* the default as text, NULL for none */
    const char *group;    /* a heading; rows of a group stand together */
    const char *help;     /* one line, a phrase in small letters without a full stop */
    const char *manual;   /* sentences for the manual; plain text */
    const char *expected; /* what a value must be: "a port from 1 to 65535"; NULL for a switch */
    bool repeatable;
    bool command_line_only;
    bool at_start_only;       /* a reload does not change it */
    const char *const *words; /* the values it takes if it takes words, NULL-ended; else NULL */
};

size_t conf_n_rows(void);
const struct conf_row *conf_row(size_t i);

/* Whether the option of row i has another value in b than in a. */
bool conf_differs(size_t i, const struct conf *a, const struct conf *b);

#endif
