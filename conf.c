/* conf.c: the two readers that fill in struct conf by the table of options, and their messages.
 * Knows text and what follows from what; never files, printing or the running modules. */
#include "conf_parts.h"

#include <stdlib.h>
#include <string.h>

#define OPTION_SHOWN_MAX 64  /* bytes of an option's name that a message repeats */
#define VALUE_SHOWN_MAX  256 /* and of its value */
#define VALUE_KEPT       32  /* and of a value that conf_finish may still complain about */
#define WHY_MAX          512
#define NEAR_NAME_MAX    32 /* longer words are near to no option */
#define NEAR_EDITS_MAX   3

/* ---- texts of messages ----------------------------------------------------------------------- */

/* Collects a text; what does not fit is left out. Starts with "". */
struct text {
    char *buf;
    size_t cap;
    size_t len;
};

static struct text text_start(char *buf, size_t cap)
{
    buf[0] = '\0';
    return (struct text){.buf = buf, .cap = cap};
}

static void text_add_byte(struct text *t, char c)
{
    if (t->len + 1 >= t->cap)
        return;
    t->buf[t->len++] = c;
    t->buf[t->len] = '\0';
}

static void text_add(struct text *t, const char *s)
{
    for (; *s != '\0'; s++)
        text_add_byte(t, *s);
}

static void text_add_number(struct text *t, size_t n)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    text_add(t, digits + at);
}

/* Adds at most shown_max bytes of s: those that could harm a terminal or a log as \DDD. */
static void text_add_escaped(struct text *t, const char *s, size_t len, size_t shown_max)
{
    for (size_t i = 0; i < len && i < shown_max; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= ' ' && c <= '~' && c != '\\') {
            text_add_byte(t, (char)c);
            continue;
        }
        text_add_byte(t, '\\');
        text_add_byte(t, (char)('0' + c / 100));
        text_add_byte(t, (char)('0' + c / 10 % 10));
        text_add_byte(t, (char)('0' + c % 10));
    }
    if (len > shown_max)
        text_add(t, "...");
}

/* ---- the set and its mistakes ---------------------------------------------------------------- */

enum source { FROM_NOWHERE, FROM_FILE, FROM_COMMAND_LINE };

/* How an option was given. */
struct given {
    enum source by;        /* who set the value that counts */
    size_t file_line;      /* where the file gave it first; 0: it did not */
    char kept[VALUE_KEPT]; /* the value that counts, as it was written */
};

struct conf_set {
    struct conf values;
    struct given given[]; /* by the places of the options */
};

static struct given *given(struct conf_set *s, const struct conf_option *row)
{
    return &s->given[conf_option_place(row)];
}

/* One reading: who is told of mistakes, and where the reader stands. */
struct reading {
    struct conf_set *set;
    conf_report *report;
    void *ctx;
    enum source source;
    size_t line;
    const char *option; /* as written, with its dashes */
    size_t option_len;
    int result; /* -1 once there was a mistake */
};

static void mistake(struct reading *r, const char *value, const char *why)
{
    char option_buf[OPTION_SHOWN_MAX * 4 + 4], value_buf[VALUE_SHOWN_MAX * 4 + 4];
    struct text option = text_start(option_buf, sizeof(option_buf));
    struct text shown = text_start(value_buf, sizeof(value_buf));

    text_add_escaped(&option, r->option, r->option_len, OPTION_SHOWN_MAX);
    if (value != NULL)
        text_add_escaped(&shown, value, strlen(value), VALUE_SHOWN_MAX);
    r->result = -1;
    r->report(r->ctx, r->line, option_buf, value_buf, why);
}

/* ---- one option, wherever it came from ------------------------------------------------------- */

static bool takes_value(const struct conf_option *row)
{
    return row->shown.argument != NULL;
}

static bool needs_value(const struct conf_option *row)
{
    return takes_value(row) && row->shown.argument[0] != '[';
}

/* Reports "WHAT expected THIS". */
static void mistake_expected(
    struct reading *r, const struct conf_option *row, const char *value, const char *what)
{
    char why[WHY_MAX];
    struct text t = text_start(why, sizeof(why));

    text_add(&t, what);
    text_add(&t, "expected ");
    text_add(&t, takes_value(row) ? row->shown.expected : "yes, no or nothing");
    mistake(r, value, why);
}

/* Whether the file may give this option in this line; if not, that was reported. */
static bool may_stand_here(struct reading *r, const struct conf_option *row, const char *value)
{
    size_t *first = &given(r->set, row)->file_line;
    char why[WHY_MAX];
    struct text t = text_start(why, sizeof(why));

    if (r->source != FROM_FILE)
        return true;
    if (row->shown.command_line_only) {
        mistake(r, value, "an option for the command line only");
        return false;
    }
    if (*first != 0 && !row->shown.repeatable) {
        text_add(&t, "given already in line ");
        text_add_number(&t, *first);
        mistake(r, value, why);
        return false;
    }
    if (*first == 0)
        *first = r->line;
    return true;
}

/* Takes an option with its value (NULL: none was written). */
static void take_option(struct reading *r, const struct conf_option *row, const char *value)
{
    struct given *g = given(r->set, row);
    struct conf_value v = {.number = 1}; /* a switch without a value is a yes */
    const char *why;

    if (!may_stand_here(r, row, value))
        return;
    if (value == NULL && needs_value(row)) {
        mistake_expected(r, row, NULL, "no value: ");
        return;
    }
    if (value != NULL && !conf_value_read(row, value, &v)) {
        mistake_expected(r, row, value, "");
        return;
    }
    if (g->by > r->source)
        return;
    g->by = r->source;
    why = conf_value_store(row, &v, &r->set->values);
    if (why != NULL)
        mistake(r, value, why);

    struct text kept = text_start(g->kept, VALUE_KEPT);
    text_add(&kept, value != NULL ? value : "");
}

/* ---- unknown options ------------------------------------------------------------------------- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many letters must be left out, put in, changed or swapped with their neighbour to make one
 * word of the other (optimal string alignment). Both are at most NEAR_NAME_MAX long. */
static unsigned edits(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned d[NEAR_NAME_MAX + 1][NEAR_NAME_MAX + 1];

    for (size_t i = 0; i <= a_len; i++)
        d[i][0] = (unsigned)i;
    for (size_t j = 0; j <= b_len; j++)
        d[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        for (size_t j = 1; j <= b_len; j++) {
            unsigned change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = least(change, least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[a_len][b_len];
}

/* The option that was meant: the only one that begins so, else the nearest one if it is near. */
static const char *nearest_name(const char *name, size_t len)
{
    const char *nearest = NULL, *begins = NULL;
    unsigned n_begin = 0, fewest = NEAR_EDITS_MAX + 1;

    if (len == 0 || len > NEAR_NAME_MAX)
        return NULL;
    for (size_t i = 0; i < conf_n_rows(); i++) {
        const char *own = conf_option(i)->shown.name;
        unsigned n = edits(name, len, own, strlen(own));
        if (strncmp(own, name, len) == 0) {
            begins = own;
            n_begin++;
        }
        if (n < fewest && n * 2 <= len) {
            nearest = own;
            fewest = n;
        }
    }
    return n_begin == 1 ? begins : nearest;
}

static void mistake_unknown(struct reading *r, const char *name, size_t len, const char *value)
{
    char why[WHY_MAX];
    struct text t = text_start(why, sizeof(why));
    const char *nearest = nearest_name(name, len);
    const char *dash = r->source == FROM_FILE ? "" : "-";

    if (nearest == NULL) {
        mistake(r, value, "no such option; dnsd -help lists them all");
        return;
    }
    text_add(&t, "no such option; did you mean ");
    text_add(&t, dash);
    text_add(&t, nearest);
    text_add(&t, "?");
    mistake(r, value, why);
}

/* ---- the command line ------------------------------------------------------------------------ */

/* Whether the argument can be a value that stands alone; a bare dash is one (standard output). */
static bool looks_like_value(const char *arg)
{
    return arg != NULL && (arg[0] != '-' || arg[1] == '\0');
}

/* Reads the option in args[0] and returns how many arguments it took. next is NULL at the end. */
static int read_argument(struct reading *r, const char *arg, const char *next)
{
    const char *name = arg + (arg[0] == '-') + (arg[0] == '-' && arg[1] == '-');
    size_t len = strcspn(name, "=");
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    const struct conf_option *row = conf_option_named(name, len);

    r->option = arg;
    r->option_len = (size_t)(name + len - arg);
    if (name == arg || name[0] == '\0') {
        r->option_len = strlen(arg);
        mistake(r, NULL, "not an option: expected a dash and a name, such as -forward");
        return 1;
    }
    if (row == NULL) {
        bool has_value = value == NULL && looks_like_value(next);
        mistake_unknown(r, name, len, has_value ? next : value);
        return has_value ? 2 : 1;
    }
    if (value != NULL || !takes_value(row) || !looks_like_value(next)) {
        take_option(r, row, value);
        return 1;
    }
    if (!needs_value(row) && next[0] == '-') {
        take_option(r, row, NULL);
        return 1;
    }
    take_option(r, row, next);
    return 2;
}

int conf_read_args(
    struct conf_set *s, int argc, const char *const *argv, conf_report *report, void *ctx)
{
    struct reading r = {
        .set = s, .report = report, .ctx = ctx, .source = FROM_COMMAND_LINE, .option = ""};

    for (int i = 1; i < argc;)
        i += read_argument(&r, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
    return r.result;
}

/* ---- dnsd.conf ------------------------------------------------------------------------------- */

static char *skip_blanks(char *at)
{
    return at + strspn(at, " \t\r\f\v");
}

/* Nothing more, or a comment. */
static bool is_line_end(const char *at)
{
    return *at == '\0' || *at == '#' || *at == ';';
}

/* Ends the value that starts at `at`, in quotes or not, with a NUL. NULL after a mistake. */
static char *cut_value(struct reading *r, char *at)
{
    bool quoted = *at == '"';
    char *value = at + quoted;
    char *end = value + strcspn(value, quoted ? "\"" : " \t\r\f\v");
    bool closed = *end != '\0';

    if (quoted && !closed) {
        mistake(r, at, "a quote that does not end in its line");
        return NULL;
    }
    *end = '\0';
    if (closed && !is_line_end(skip_blanks(end + 1))) {
        mistake(r, value, "more than one value; one a line, and quotes around one with blanks");
        return NULL;
    }
    return value;
}

/* Reads one line of text, which it changes. */
static void read_line(struct reading *r, char *line)
{
    char *name = skip_blanks(line);
    size_t len = strcspn(name, " \t\r\f\v");
    char *after = skip_blanks(name + len);
    char *value = NULL;
    const struct conf_option *row;

    if (is_line_end(name))
        return;
    r->option = name;
    r->option_len = len;
    if (memchr(name, '=', len) != NULL || *after == '=') {
        mistake(r, NULL, "expected a name, a blank and a value, without =");
        return;
    }
    if (!is_line_end(after)) {
        value = cut_value(r, after);
        if (value == NULL)
            return;
    }
    row = conf_option_named(name, len);
    if (row == NULL)
        mistake_unknown(r, name, len, value);
    else
        take_option(r, row, value);
}

int conf_read_text(struct conf_set *s, const char *text, size_t len, conf_report *report, void *ctx)
{
    struct reading r = {.set = s, .report = report, .ctx = ctx, .source = FROM_FILE};
    char line[CONF_LINE_MAX + 1];
    size_t begin = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* a BOM */

    for (size_t at = begin; at < len;) {
        const char *start = text + at;
        const char *newline = memchr(start, '\n', len - at);
        size_t line_len = newline != NULL ? (size_t)(newline - start) : len - at;

        at += line_len + 1;
        r.line++;
        r.option = "";
        r.option_len = 0;
        if (line_len > CONF_LINE_MAX) {
            mistake(&r, NULL, "a line of more than 4352 bytes");
            continue;
        }
        if (memchr(start, '\0', line_len) != NULL) {
            mistake(&r, NULL, "a NUL byte; expected text");
            continue;
        }
        memcpy(line, start, line_len);
        line[line_len] = '\0';
        read_line(&r, line);
    }
    return r.result;
}

/* ---- what follows from what ------------------------------------------------------------------ */

static const struct given *given_as(const struct conf_set *s, const char *name)
{
    return &s->given[conf_option_place(conf_option_named(name, strlen(name)))];
}

static bool is_set(const struct conf_set *s, const char *name)
{
    return given_as(s, name)->by != FROM_NOWHERE;
}

/* Points the reading at an option that was given, for a mistake that showed only in the end. */
static const char *point_at(struct reading *r, const char *name, char option[OPTION_SHOWN_MAX])
{
    const struct given *g = given_as(r->set, name);
    struct text t = text_start(option, OPTION_SHOWN_MAX);

    r->line = g->by == FROM_FILE ? g->file_line : 0;
    text_add(&t, r->line == 0 ? "-" : "");
    text_add(&t, name);
    r->option = option;
    r->option_len = t.len;
    return g->kept;
}

/* The rules of 2007, for what was not said otherwise. */
static void apply_seed_rules(struct conf_set *s)
{
    struct conf *c = &s->values;

    if (!is_set(s, "predict-window"))
        c->predict_window_ms = 2000;
    if (!is_set(s, "predict-scope"))
        c->predict_scope = CONF_SCOPE_GLOBAL;
    if (!is_set(s, "predict-cap"))
        c->predict_cap = 0;
    if (!is_set(s, "predict-confidence"))
        c->predict_confidence_percent = 0;
    if (!is_set(s, "predict-share"))
        c->predict_share = 1;
    if (!is_set(s, "predict-budget"))
        c->predict_budget_percent = 0;
}

/* Whether the dump, or its table, would replace what was learned. */
static bool dump_hits_file(const struct conf *c)
{
    size_t len = strlen(c->predict_dump);

    return len > 0 && strncmp(c->predict_file, c->predict_dump, len) == 0 &&
           (c->predict_file[len] == '\0' || strcmp(c->predict_file + len, ".tsv") == 0);
}

struct addr conf_listen_addr(const struct conf *c, size_t i)
{
    struct addr a = c->listen[i];

    if (a.port == 0)
        a.port = c->port;
    return a;
}

/* Whether the server is one of the addresses that are listened at, as they are written. (What a
 * wildcard covers is known once it is bound.) */
static bool is_own_address(const struct conf *c, const struct addr *server)
{
    for (size_t i = 0; i < c->n_listen; i++) {
        struct addr own = conf_listen_addr(c, i);
        if (addr_equal(&own, server))
            return true;
    }
    return false;
}

/* Whether listening at one leaves no room for the other. */
static bool is_in_the_way(const struct addr *a, const struct addr *b)
{
    if (a->port != b->port || addr_is_ipv4(a) != addr_is_ipv4(b))
        return false;
    return addr_equal(a, b) || addr_is_unspecified(a) || addr_is_unspecified(b);
}

static void check_listeners(struct reading *r)
{
    const struct conf *c = &r->set->values;
    char option[OPTION_SHOWN_MAX];
    char text[ADDR_TEXT_MAX];

    for (size_t i = 1; i < c->n_listen; i++) {
        struct addr at = conf_listen_addr(c, i);
        for (size_t k = 0; k < i; k++) {
            struct addr other = conf_listen_addr(c, k);
            if (!is_in_the_way(&at, &other))
                continue;
            (void)point_at(r, "listen", option);
            addr_format(&at, text);
            mistake(r, text, "this and another -listen are in each other's way; one is enough");
            break;
        }
    }
}

/* By the rule of 2007 scores end at the cap; by the other nothing is more likely than certain, and
 * confidence is what a score of 2 stands for. */
static void check_reach(struct reading *r)
{
    const struct conf *c = &r->set->values;
    bool by_score = is_set(r->set, "predict-score");
    char option[OPTION_SHOWN_MAX];
    const char *value;

    if (c->predict_rules == CONF_RULES_SEED) {
        if (c->predict_cap == 0 || c->predict_score <= c->predict_cap)
            return;
        value = point_at(r, by_score ? "predict-score" : "predict-cap", option);
        mistake(r, value,
            by_score ? "expected no more than predict-cap: no score could reach it"
                     : "expected no less than predict-score, or 0: no score could reach it");
        return;
    }
    if (c->predict_score * c->predict_confidence_percent <= 200)
        return;
    /* The default of the score goes with every confidence. */
    value = point_at(r, "predict-score", option);
    mistake(
        r, value, "expected no more than 200% / predict-confidence: no follower could reach it");
}

static void check_together(struct reading *r)
{
    const struct conf *c = &r->set->values;
    char option[OPTION_SHOWN_MAX];
    char text[ADDR_TEXT_MAX];
    const char *value;

    if (c->min_ttl_s > c->max_ttl_s) {
        value = point_at(r, "min-ttl", option);
        mistake(r, value, "expected no more than max-ttl");
    }
    for (size_t i = 0; i < c->n_servers; i++) {
        if (!is_own_address(c, &c->servers[i]))
            continue;
        (void)point_at(r, "forward", option);
        addr_format(&c->servers[i], text);
        mistake(r, text, "dnsd itself listens there");
    }
    check_listeners(r);
    if (dump_hits_file(c)) {
        value = point_at(r, "predict-dump", option);
        mistake(r, value, "expected another file than predict-file");
    }
    check_reach(r);
}

int conf_finish(struct conf_set *s, conf_report *report, void *ctx)
{
    struct reading r = {.set = s, .report = report, .ctx = ctx, .option = ""};
    struct conf *c = &s->values;

    /* On the command line it outweighs a "predict no" in the file. */
    if (given_as(s, "predict-window")->by > given_as(s, "predict")->by)
        c->predict = true;
    if (c->predict)
        c->forward = true;
    if (c->predict_rules == CONF_RULES_SEED)
        apply_seed_rules(s);
    if (c->n_listen == 0) {
        c->listen_default = true;
        c->n_listen = 2;
        c->listen[0] = (struct addr){.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}};
        c->listen[1] = (struct addr){.ip = {[15] = 1}};
    }
    check_together(&r);
    return r.result;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct conf_set *conf_create(void)
{
    struct conf_set *s = calloc(1, sizeof(*s) + conf_n_rows() * sizeof(s->given[0]));
    struct conf_value v;

    if (s == NULL)
        return NULL;
    for (size_t i = 0; i < conf_n_rows(); i++) {
        const struct conf_option *row = conf_option(i);
        /* What a list means when it is empty is told in words. */
        if (row->shown.fallback == NULL || row->shown.repeatable)
            continue;
        if (conf_value_read(row, row->shown.fallback, &v))
            conf_value_store(row, &v, &s->values);
    }
    return s;
}

void conf_free(struct conf_set *s)
{
    free(s);
}

const struct conf *conf_values(const struct conf_set *s)
{
    return &s->values;
}

bool conf_differs(size_t i, const struct conf *a, const struct conf *b)
{
    return !conf_value_same(conf_option(i), a, b);
}
