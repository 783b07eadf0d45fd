/* dnsrehearse.c: runs a captured trace through dnsd's cache and predictor, and tells what dnsd
 * would have saved: arguments, files and progress. Never knows the form of a trace, the rule, or
 * how findings are laid out. */
#include "conf.h"
#include "ops/savefile.h"
#include "prediction.h"
#include "quantity.h"
#include "tools/findings.h"
#include "tools/grid.h"
#include "tools/plot.h"
#include "tools/rehearsal.h"
#include "tools/trace.h"
#include "tools/ttls.h"

#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TTLS_FILE_MAX ((size_t)256 << 20)
#define TTL_S         60 /* of names that nothing tells the TTL of */
#define TITLE_MAX     128
#define UNDER_WAY_MAX 256 /* prefetches at a time, as dnsd.c has it */

enum exit_code { EXIT_OK = 0, EXIT_BAD = 1, EXIT_USAGE = 2, EXIT_FILE = 3, EXIT_MEMORY = 4 };

struct options {
    const char *trace, *ttls, *plot, *filter;
    enum trace_form form;
    uint64_t rtt_ms, ttl_ms, extra_percent, port;
    bool grid, json;
    bool ttl0; /* -predict-ttl0 was given */
    const char **conf_args;
    int n_conf_args;
};

struct program {
    struct options options;
    struct conf_set *conf_set;
    struct ttls *ttls;
    uint8_t *learned;
    struct trace *trace;
    struct rehearsal_conf conf;
    struct rehearsal result;
    struct grid grid;
    bool terminal; /* progress is shown */
    atomic_size_t done;
    size_t total;
    atomic_uint percent;
};

/* ---- options --------------------------------------------------------------------------------- */

static const char usage[] =
    "usage: dnsrehearse [-predict-... VALUE ...] [-cache-size SIZE] [-min-ttl DURATION]\n"
    "                   [-max-ttl DURATION] [-rtt DURATION] [-ttl DURATION] [-ttls FILE]\n"
    "                   [-form FORM] [-port PORT] [-filter EXPRESSION] [-grid]\n"
    "                   [-extra PERCENT] [-plot FILE.svg] [-json] TRACE\n";

static const char help[] =
    "Runs a captured trace through dnsd's cache and predictor, and tells what prediction would "
    "have\n"
    "saved. Nothing is sent. TRACE is a capture or a query log; - is standard input.\n"
    "  -rtt DURATION       how long an answer takes to come from a server; 30ms\n"
    "  -ttl DURATION       the TTL of names that nothing tells it of; 60\n"
    "  -ttls FILE          read TTLs from lines with a name and seconds\n"
    "  -form FORM          text, pcap, dnsd, dnsmasq or unbound; else told by what is in it\n"
    "  -port PORT          captures: the port of DNS; 53\n"
    "  -filter EXPRESSION  captures: only the packets that match, as with tcpdump\n"
    "  -grid               try many settings, and recommend one\n"
    "  -extra PERCENT      what a recommended one may ask upstream in addition; 8%\n"
    "  -plot FILE.svg      draw the grid\n"
    "  -json               print one JSON object instead of tables\n"
    "  -help               print this\n"
    "-predict-..., -cache-size, -min-ttl and -max-ttl are as in `dnsd -help`. More: "
    "dnsrehearse(1).\n";

/* The row of an option of dnsd's that means something here; NULL for none. */
static const struct conf_row *find_row(const char *name, size_t len)
{
    for (size_t i = 0; i < conf_n_rows(); i++) {
        const struct conf_row *row = conf_row(i);
        if (strlen(row->name) == len && memcmp(row->name, name, len) == 0)
            return row;
    }
    return NULL;
}

static bool is_of_dnsd(const char *name, size_t len)
{
    static const char *const others[] = {"cache-size", "min-ttl", "max-ttl"};
    if (len >= strlen("predict") && memcmp(name, "predict", strlen("predict")) == 0)
        return true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strlen(others[i]) == len && memcmp(others[i], name, len) == 0)
            return true;
    return false;
}

/* Moves dnsd's options from argv to o->conf_args; what is left is ours. 0, or -1: memory is out. */
static int split_args(struct options *o, int *argc, char **argv)
{
    int kept = 1;
    o->conf_args = calloc((size_t)*argc + 1, sizeof(const char *));
    if (o->conf_args == NULL)
        return -1;
    o->conf_args[o->n_conf_args++] = argv[0];
    for (int i = 1; i < *argc; i++) {
        const char *name = argv[i] + strspn(argv[i], "-");
        size_t len = strcspn(name, "=");
        if (name == argv[i] || !is_of_dnsd(name, len)) {
            argv[kept++] = argv[i];
            continue;
        }
        const struct conf_row *row = find_row(name, len);
        o->conf_args[o->n_conf_args++] = argv[i];
        o->ttl0 |= len == strlen("predict-ttl0") && memcmp(name, "predict-ttl0", len) == 0;
        if (name[len] == '\0' && row != NULL && row->argument != NULL && i + 1 < *argc)
            o->conf_args[o->n_conf_args++] = argv[++i];
    }
    argv[kept] = NULL;
    *argc = kept;
    return 0;
}

static bool read_form(const char *text, enum trace_form *form)
{
    static const struct {
        const char *name;
        enum trace_form form;
    } forms[] = {{"text", TRACE_TEXT}, {"pcap", TRACE_PCAP}, {"dnsmasq", TRACE_DNSMASQ},
        {"unbound", TRACE_UNBOUND}, {"dnsd", TRACE_DNSD}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strcmp(forms[i].name, text) != 0)
            continue;
        *form = forms[i].form;
        return true;
    }
    return false;
}

/* Returns what is expected where the value is wrong; else NULL. */
static const char *read_value(int letter, const char *value, struct options *o)
{
    switch (letter) {
    case 'r':
        return quantity_read(QUANTITY_PERIOD, value, 1, QUANTITY_MINUTE_MS, &o->rtt_ms)
                   ? NULL
                   : "a duration from 1ms to 1m, such as 30ms";
    case 'T':
        return quantity_read(QUANTITY_PERIOD, value, 0, 7 * QUANTITY_DAY_MS, &o->ttl_ms) &&
                       o->ttl_ms % QUANTITY_SECOND_MS == 0
                   ? NULL
                   : "a duration of whole seconds from 0 to 7d, such as 60";
    case 'e':
        return quantity_read(QUANTITY_PERCENT, value, 0, 1000, &o->extra_percent)
                   ? NULL
                   : "a percentage from 0% to 1000%, such as 8%";
    case 'P':
        return quantity_read(QUANTITY_COUNT, value, 1, UINT16_MAX, &o->port)
                   ? NULL
                   : "a port from 1 to 65535";
    case 'f':
        return read_form(value, &o->form) ? NULL : "text, pcap, dnsd, dnsmasq or unbound";
    default:
        return NULL;
    }
}

static void take_option(int letter, const char *value, struct options *o)
{
    switch (letter) {
    case 't':
        o->ttls = value;
        break;
    case 'p':
        o->plot = value;
        break;
    case 'F':
        o->filter = value;
        break;
    case 'g':
        o->grid = true;
        break;
    case 'j':
        o->json = true;
        break;
    default:
        break;
    }
}

/* Returns EXIT_OK, or how to exit. *done: there is nothing more to do. */
static enum exit_code read_options(int argc, char **argv, struct options *o, bool *done)
{
    static const struct option names[] = {{"rtt", required_argument, NULL, 'r'},
        {"ttl", required_argument, NULL, 'T'}, {"ttls", required_argument, NULL, 't'},
        {"extra", required_argument, NULL, 'e'}, {"port", required_argument, NULL, 'P'},
        {"form", required_argument, NULL, 'f'}, {"filter", required_argument, NULL, 'F'},
        {"plot", required_argument, NULL, 'p'}, {"grid", no_argument, NULL, 'g'},
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int letter, index = 0;

    while ((letter = getopt_long_only(argc, argv, "", names, &index)) != -1) {
        const char *expected = NULL;
        if (letter == 'h') {
            fputs(usage, stdout);
            fputs(help, stdout);
            *done = true;
            return EXIT_OK;
        }
        if (letter == '?') {
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
        take_option(letter, optarg, o);
        if ((expected = read_value(letter, optarg, o)) == NULL)
            continue;
        fprintf(stderr, "dnsrehearse: -%s %s: expected %s\n", names[index].name, optarg, expected);
        return EXIT_BAD;
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "dnsrehearse: expected one TRACE, or - for standard input\n%s", usage);
        return EXIT_USAGE;
    }
    o->trace = argv[optind];
    o->grid |= o->plot != NULL;
    return EXIT_OK;
}

static void tell_option_mistake(
    void *ctx, size_t line, const char *option, const char *value, const char *why)
{
    (void)ctx;
    (void)line;
    fprintf(stderr, "dnsrehearse: %s%s%s: %s\n", option, value[0] != '\0' ? " " : "", value, why);
}

static enum exit_code read_conf(struct program *p)
{
    const struct options *o = &p->options;
    p->conf_set = conf_create();
    if (p->conf_set == NULL)
        return EXIT_MEMORY;
    int bad = conf_read_args(p->conf_set, o->n_conf_args, o->conf_args, tell_option_mistake, NULL);
    bad |= conf_finish(p->conf_set, tell_option_mistake, NULL);
    return bad == 0 ? EXIT_OK : EXIT_BAD;
}

/* ---- progress -------------------------------------------------------------------------------- */

static void clear_progress(const struct program *p)
{
    if (p->terminal)
        fputs("\r\033[K", stderr);
}

static void show_reading(void *ctx, size_t n_events)
{
    const struct program *p = ctx;
    if (p->terminal)
        fprintf(stderr, "\rreading: %zu questions", n_events);
}

/* Called from any thread; whoever reaches a new percent shows it. */
static void show_rehearsing(void *ctx, size_t n_events)
{
    struct program *p = ctx;
    size_t done = atomic_fetch_add(&p->done, n_events) + n_events;
    unsigned percent = (unsigned)(done * 100 / p->total), before = p->percent;
    if (!p->terminal)
        return;
    if (percent > before && atomic_compare_exchange_strong(&p->percent, &before, percent))
        fprintf(stderr, "\rrehearsing: %u %%", percent);
}

/* ---- files ----------------------------------------------------------------------------------- */

static enum exit_code complain_of_file(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return EXIT_FILE;
}

static void tell_ttl_mistake(void *ctx, size_t line, const char *why)
{
    const struct program *p = ctx;
    if (line > 0)
        fprintf(stderr, "%s:%zu: %s\n", p->options.ttls, line, why);
    else
        fprintf(stderr, "%s: %s\n", p->options.ttls, why);
}

static enum exit_code read_ttls(struct program *p)
{
    uint8_t *text;
    size_t len;
    if (p->options.ttls == NULL)
        return EXIT_OK;
    if (savefile_read(p->options.ttls, TTLS_FILE_MAX, &text, &len) < 0)
        return complain_of_file(p->options.ttls);
    p->ttls = ttls_read((const char *)text, len, tell_ttl_mistake, p);
    free(text);
    return p->ttls != NULL ? EXIT_OK : EXIT_BAD;
}

static const char *trace_name(const struct program *p)
{
    return strcmp(p->options.trace, "-") == 0 ? "standard input" : p->options.trace;
}

static void tell_trace_mistake(void *ctx, size_t place, const char *why)
{
    struct program *p = ctx;
    bool packet = trace_counts(p->trace)->form == TRACE_PCAP;
    clear_progress(p);
    if (place > 0)
        fprintf(
            stderr, packet ? "%s: packet %zu: %s\n" : "%s:%zu: %s\n", trace_name(p), place, why);
    else
        fprintf(stderr, "%s: %s\n", trace_name(p), why);
}

/* What is odd about a trace, but no reason to give it up. */
static void warn_of_trace(const struct program *p)
{
    const struct trace_counts *n = trace_counts(p->trace);
    char window[FINDINGS_PERIOD_MAX];
    if (n->back == 0)
        return;
    fprintf(stderr, n->form == TRACE_PCAP ? "%s: packet %zu: " : "%s:%zu: ", trace_name(p),
        n->first_back);
    fprintf(stderr, "the time goes back by %s; ", findings_period(n->back_ms, window));
    if (n->back > 1)
        fprintf(stderr, "it does so %zu times; ", n->back);
    fputs("it goes on from where it was\n", stderr);
}

static enum exit_code end_reading(struct program *p, enum trace_result result)
{
    switch (result) {
    case TRACE_BAD:
        return EXIT_BAD;
    case TRACE_UNREADABLE:
        return complain_of_file(trace_name(p));
    case TRACE_MEMORY:
        return EXIT_MEMORY;
    case TRACE_OK:
        break;
    }
    if (trace_n_events(p->trace) == 0) {
        const struct trace_counts *n = trace_counts(p->trace);
        fprintf(stderr, "%s: there is no question in it that dnsd would ask upstream (%zu %s)\n",
            trace_name(p), n->places, n->form == TRACE_PCAP ? "packets" : "lines");
        return EXIT_BAD;
    }
    warn_of_trace(p);
    return EXIT_OK;
}

static enum exit_code read_trace(struct program *p)
{
    struct trace_source source = {.form = p->options.form,
        .port = (uint16_t)p->options.port,
        .filter = p->options.filter,
        .ctx = p,
        .report = tell_trace_mistake,
        .progress = show_reading};
    bool is_stdin = strcmp(p->options.trace, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(p->options.trace, "r");
    if (file == NULL)
        return complain_of_file(p->options.trace);
    p->trace = trace_create();
    if (p->trace == NULL) {
        fclose(file);
        return EXIT_MEMORY;
    }
    enum trace_result result = trace_read(p->trace, &file, &source);
    int why = errno;
    clear_progress(p);
    if (file != NULL)
        fclose(file);
    errno = why;
    return end_reading(p, result);
}

static enum exit_code read_learned(struct program *p)
{
    const char *path = conf_values(p->conf_set)->predict_file;
    size_t len;
    if (path[0] == '\0')
        return EXIT_OK;
    if (savefile_read(path, SAVEFILE_MAX, &p->learned, &len) < 0)
        return complain_of_file(path);
    p->conf.learned = p->learned;
    p->conf.learned_len = len;
    return EXIT_OK;
}

/* ---- rehearsing ------------------------------------------------------------------------------ */

static void set_conf(struct program *p)
{
    const struct conf *c = conf_values(p->conf_set);
    p->conf = (struct rehearsal_conf){.prediction = prediction_conf(c),
        .rtt_ms = p->options.rtt_ms,
        .ttl0 = c->predict_ttl0 == CONF_TTL0_HOLD ? REHEARSAL_TTL0_HOLD : REHEARSAL_TTL0_STRICT,
        .ttls = p->ttls,
        .ttl_s = (uint32_t)(p->options.ttl_ms / QUANTITY_SECOND_MS),
        .min_ttl_s = c->min_ttl_s,
        .max_ttl_s = c->max_ttl_s,
        .cache_bytes = c->cache_size_bytes};
    if (c->predict_rules != CONF_RULES_SEED)
        p->conf.under_way_max = UNDER_WAY_MAX;
    else if (!p->options.ttl0)
        p->conf.ttl0 = REHEARSAL_TTL0_SECOND; /* as the reference of these rules has it */
}

static enum exit_code rehearse(struct program *p)
{
    size_t points = p->options.grid ? grid_size(&p->conf) : 0;
    p->total = trace_n_events(p->trace) * (points + 1);
    const char *why = rehearsal_run(p->trace, &p->conf, show_rehearsing, p, &p->result);
    if (why == NULL && p->options.grid)
        why = grid_run(p->trace, &p->conf, show_rehearsing, p, &p->grid);
    clear_progress(p);
    if (why != NULL && strcmp(why, REHEARSAL_NO_MEMORY) == 0)
        return EXIT_MEMORY;
    if (why != NULL) { /* there was a table to start with */
        fprintf(stderr, "%s: %s\n", conf_values(p->conf_set)->predict_file, why);
        return EXIT_BAD;
    }
    grid_judge(&p->grid, (double)p->options.extra_percent / 100);
    return EXIT_OK;
}

/* For everybody to read, as umask allows: a picture is no secret. */
static int write_plot(const char *path, const char *svg, size_t len)
{
    mode_t mask = umask(0);
    umask(mask);
    if (savefile_write(path, (const uint8_t *)svg, len) < 0)
        return -1;
    return chmod(path, 0666 & ~mask);
}

static enum exit_code plot(const struct program *p)
{
    const char *path = p->options.plot;
    char title[TITLE_MAX];
    struct plot picture = {.grid = &p->grid,
        .title = title,
        .extra_max = (double)p->options.extra_percent / 100,
        .given = {.saved = rehearsal_saved(&p->result, p->conf.rtt_ms),
            .extra = rehearsal_extra(&p->result)}};
    size_t len;
    if (path == NULL)
        return EXIT_OK;
    snprintf(title, sizeof title, "%s: what prediction saves, and what it costs",
        basename(trace_name(p)));
    char *svg = plot_svg(&picture, &len);
    if (svg == NULL)
        return EXIT_MEMORY;
    enum exit_code code = write_plot(path, svg, len) == 0 ? EXIT_OK : complain_of_file(path);
    free(svg);
    return code;
}

static enum exit_code print(const struct program *p)
{
    struct findings f = {.path = trace_name(p),
        .trace = p->trace,
        .conf = &p->conf,
        .result = &p->result,
        .grid = p->options.grid ? &p->grid : NULL,
        .extra_max = (double)p->options.extra_percent / 100};
    int failed = p->options.json ? findings_print_json(&f, stdout) : findings_print(&f, stdout);
    fflush(stdout);
    if (ferror(stdout) == 0)
        return failed == 0 ? EXIT_OK : EXIT_MEMORY;
    fputs("dnsrehearse: the output could not be written\n", stderr);
    return EXIT_FILE;
}

static enum exit_code run(struct program *p)
{
    enum exit_code code = read_ttls(p);
    if (code != EXIT_OK)
        return code;
    set_conf(p);
    code = read_learned(p);
    if (code == EXIT_OK)
        code = read_trace(p);
    if (code == EXIT_OK)
        code = rehearse(p);
    if (code == EXIT_OK)
        code = plot(p);
    return code == EXIT_OK ? print(p) : code;
}

int main(int argc, char **argv)
{
    static struct program p = {
        .options = {
            .rtt_ms = 30, .ttl_ms = TTL_S * QUANTITY_SECOND_MS, .extra_percent = 8, .port = 53}};
    enum exit_code code = EXIT_MEMORY;
    bool done = false;

    p.grid.best = GRID_NONE;
    p.terminal = isatty(STDERR_FILENO) == 1;
    if (sodium_init() >= 0 && split_args(&p.options, &argc, argv) == 0)
        code = read_conf(&p);
    if (code == EXIT_OK)
        code = read_options(argc, argv, &p.options, &done);
    if (code == EXIT_OK && !done)
        code = run(&p);
    if (code == EXIT_MEMORY)
        fputs("dnsrehearse: memory is out\n", stderr);
    grid_free(&p.grid);
    trace_free(p.trace);
    ttls_free(p.ttls);
    free(p.learned);
    conf_free(p.conf_set);
    free(p.options.conf_args);
    return (int)code;
}
