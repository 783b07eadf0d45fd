/* dnssequence.c: visits pages, each the tree of names that it needs, and tells how long that took:
 * arguments, files and the order of visits.
 * Never knows how a question is asked or how a bar is drawn. */
#include "addr.h"
#include "net/sockaddr.h"
#include "ops/savefile.h"
#include "quantity.h"
#include "rrtype.h"
#include "tools/report.h"
#include "tools/stub.h"
#include "tools/tree.h"
#include "tools/visit.h"

#include <errno.h>
#include <ev.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define TREE_FILE_MAX ((size_t)4 << 20)
#define TYPES_MAX     16
#define CLIENTS_MAX   254 /* 127.0.0.1 to 127.0.0.254 */
#define REPEAT_MAX    100000
#define COLUMNS_MIN   80 /* also those of a terminal that does not tell */
#define COLUMNS_MAX   200

enum exit_code { EXIT_CONF = 1, EXIT_NET = 2, EXIT_FILE = 3, EXIT_MEMORY = 4 };

struct options {
    const char *server;
    uint64_t port;
    uint64_t repeat;
    uint64_t gap_ms;
    uint64_t clients;
    uint16_t types[TYPES_MAX];
    size_t n_types;
    bool warm;
    bool json;
    bool bars;
};

struct sequence;

/* A tree, and its visit in this round. */
struct page {
    struct sequence *sequence;
    struct tree *tree;
    struct addr source;
    struct visit *visit;
};

struct sequence {
    struct options options;
    struct addr server;
    char server_text[ADDR_TEXT_MAX];
    struct ev_loop *loop;
    struct ev_timer gap;
    struct stub *stub;
    struct report *report;
    size_t n;
    const char *const *paths;
    struct page *pages;
    struct visit_result *results;
    size_t n_under_way;
    uint64_t n_rounds; /* those that are over */
    int code;
};

/* ---- options --------------------------------------------------------------------------------- */

static const char usage[] =
    "usage: dnssequence [-server ADDRESS] [-port N] [-repeat N] [-gap SECONDS]\n"
    "                   [-qtypes TYPE,...] [-clients N] [-warm] [-bars] [-json] TREE...\n";

static const char help[] =
    "Asks for the names of pages in the order in which a browser would, over and over, and prints\n"
    "how long each visit took and how much of that was waiting for DNS. A TREE is a file with "
    "lines\n"
    "of name, parent or -, and milliseconds after the parent's answer.\n"
    "  -server ADDRESS    the server to ask, with or without a port; 127.0.0.1\n"
    "  -port N            its port, where the address has none; 53\n"
    "  -repeat N          visit each tree N times; 5\n"
    "  -gap SECONDS       wait between visits: 3, 500ms, 1m; 3\n"
    "  -qtypes TYPE,...   ask each name for these types; A,AAAA,HTTPS\n"
    "  -clients N         deal the trees out to 127.0.0.1, 127.0.0.2 ...; 1\n"
    "  -warm              begin with a visit that does not count\n"
    "  -bars              print bars even if the output is not a terminal\n"
    "  -json              print one JSON object, at the end\n"
    "  -help              print this\n"
    "More: dnssequence(1).\n";

static bool read_types(const char *text, struct options *o)
{
    o->n_types = 0;
    for (;;) {
        size_t len = strcspn(text, ",");
        if (o->n_types == TYPES_MAX || !rrtype_read(text, len, &o->types[o->n_types++]))
            return false;
        if (text[len] == '\0')
            return true;
        text += len + 1;
    }
}

struct row {
    char letter;
    const char *expected; /* for the message about a wrong value */
};

static const struct row rows[] = {
    {'s', "an address, such as 127.0.0.1 or 127.0.0.1:5353"},
    {'p', "a port from 1 to 65535"},
    {'r', "a number from 1 to 100000"},
    {'g', "a duration up to 1h, such as 3, 500ms or 1m"},
    {'q', "up to 16 record types, such as A,AAAA,HTTPS"},
    {'c', "a number from 1 to 254"},
};

static bool read_option(int letter, const char *value, struct options *o)
{
    struct addr ignored;
    switch (letter) {
    case 's':
        o->server = value;
        return addr_parse(value, 53, &ignored) == 0;
    case 'p':
        return quantity_read(QUANTITY_COUNT, value, 1, UINT16_MAX, &o->port);
    case 'r':
        return quantity_read(QUANTITY_COUNT, value, 1, REPEAT_MAX, &o->repeat);
    case 'g':
        return quantity_read(QUANTITY_PERIOD, value, 0, QUANTITY_HOUR_MS, &o->gap_ms);
    case 'q':
        return read_types(value, o);
    case 'c':
        return quantity_read(QUANTITY_COUNT, value, 1, CLIENTS_MAX, &o->clients);
    case 'w':
        o->warm = true;
        return true;
    case 'b':
        o->bars = true;
        return true;
    default:
        o->json = true;
        return true;
    }
}

static void refuse_option(int letter, const char *name, const char *value)
{
    const char *expected = "";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].letter == letter)
            expected = rows[i].expected;
    fprintf(stderr, "dnssequence: -%s %s: expected %s\n", name, value, expected);
    exit(EXIT_CONF);
}

static void read_options(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {{"server", required_argument, NULL, 's'},
        {"port", required_argument, NULL, 'p'}, {"repeat", required_argument, NULL, 'r'},
        {"gap", required_argument, NULL, 'g'}, {"qtypes", required_argument, NULL, 'q'},
        {"clients", required_argument, NULL, 'c'}, {"warm", no_argument, NULL, 'w'},
        {"bars", no_argument, NULL, 'b'}, {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int letter, index;

    *o = (struct options){
        .server = "127.0.0.1", .port = 53, .repeat = 5, .gap_ms = 3000, .clients = 1};
    read_types("A,AAAA,HTTPS", o);
    while ((letter = getopt_long_only(argc, argv, "", names, &index)) != -1) {
        if (letter == 'h') {
            fputs(usage, stdout);
            fputs(help, stdout);
            exit(EXIT_SUCCESS);
        }
        if (letter == '?') {
            fputs(usage, stderr);
            exit(EXIT_NET);
        }
        if (!read_option(letter, optarg, o))
            refuse_option(letter, names[index].name, optarg);
    }
    if (optind == argc) {
        fprintf(stderr, "dnssequence: no TREE to visit\n%s", usage);
        exit(EXIT_NET);
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

static void tell_mistake(void *ctx, size_t line, const char *why)
{
    const char *const *path = ctx;
    if (line > 0)
        fprintf(stderr, "%s:%zu: %s\n", *path, line, why);
    else
        fprintf(stderr, "%s: %s\n", *path, why);
}

static int read_tree(const char *path, struct tree **out)
{
    uint8_t *text;
    size_t len;
    if (savefile_read(path, TREE_FILE_MAX, &text, &len) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return EXIT_FILE;
    }
    *out = tree_read((const char *)text, len, tell_mistake, &path);
    free(text);
    return *out != NULL ? 0 : EXIT_CONF;
}

/* All of them, so that all mistakes are told at once, and before anything is asked. */
static int read_trees(struct sequence *s)
{
    int code = 0;
    for (size_t i = 0; i < s->n; i++) {
        int one = read_tree(s->paths[i], &s->pages[i].tree);
        if (code == 0)
            code = one;
    }
    return code;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static void start_round(struct sequence *s);

/* Whether this round counts: the first of -warm does not. */
static bool is_counted(const struct sequence *s)
{
    return s->n_rounds > 0 || !s->options.warm;
}

static int finish_with(struct sequence *s, int code, const char *why)
{
    fprintf(stderr, "dnssequence: %s\n", why);
    s->code = code;
    ev_break(s->loop, EVBREAK_ALL);
    return -1;
}

/* A server that answers nothing at all is not worth the wait for the other rounds. */
static int check_answers(struct sequence *s)
{
    char why[ADDR_TEXT_MAX + 64];
    size_t questions = 0, failures = 0;
    for (size_t i = 0; i < s->n; i++) {
        questions += s->results[i].questions;
        failures += s->results[i].failures;
    }
    if (s->n_rounds > 0 || failures < questions)
        return 0;
    snprintf(why, sizeof(why), "%s answered none of %zu questions", s->server_text, questions);
    return finish_with(s, EXIT_NET, why);
}

static int take_results(struct sequence *s)
{
    if (check_answers(s) != 0)
        return -1;
    if (!is_counted(s))
        return 0;
    if (report_add(s->report, s->results) != 0)
        return finish_with(s, EXIT_MEMORY, "out of memory");
    if (s->options.json)
        return 0;
    report_print_row(s->report, stdout);
    fflush(stdout);
    return 0;
}

static void end_round(struct sequence *s)
{
    if (take_results(s) != 0)
        return;
    s->n_rounds++;
    if (s->n_rounds == s->options.repeat + s->options.warm) {
        ev_break(s->loop, EVBREAK_ALL);
        return;
    }
    ev_now_update(s->loop);
    ev_timer_set(&s->gap, (double)s->options.gap_ms / 1000., 0.);
    ev_timer_start(s->loop, &s->gap);
}

static void on_gap(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    start_round(timer->data);
}

static void on_visit(void *ctx, const struct visit_result *result)
{
    struct page *page = ctx;
    struct sequence *s = page->sequence;
    s->results[page - s->pages] = *result;
    visit_free(page->visit);
    page->visit = NULL;
    if (--s->n_under_way == 0)
        end_round(s);
}

static void start_round(struct sequence *s)
{
    s->n_under_way = s->n;
    for (size_t i = 0; i < s->n; i++) {
        struct page *page = &s->pages[i];
        struct visit_plan plan = {.loop = s->loop,
            .stub = s->stub,
            .tree = page->tree,
            .source = s->options.clients > 1 ? &page->source : NULL,
            .types = s->options.types,
            .n_types = s->options.n_types};
        page->visit = visit_start(&plan, on_visit, page);
        if (page->visit == NULL) {
            finish_with(s, EXIT_MEMORY, "out of memory");
            return;
        }
    }
}

/* ---- start ----------------------------------------------------------------------------------- */

/* Trees are dealt out to clients in turn. */
static int deal_sources(struct sequence *s)
{
    if (s->options.clients > 1 && !(addr_is_ipv4(&s->server) && addr_is_loopback(&s->server))) {
        fprintf(stderr, "dnssequence: -clients: its addresses are 127.0.0.1 and up, "
                        "from which only a server in 127.0.0.0/8 can be asked\n");
        return EXIT_CONF;
    }
    for (size_t i = 0; i < s->n; i++) {
        s->pages[i].sequence = s;
        addr_parse("127.0.0.1", 0, &s->pages[i].source);
        s->pages[i].source.ip[15] = (uint8_t)(1 + i % s->options.clients);
    }
    return 0;
}

/* Each question has a socket: all that this process may have. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static size_t terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < COLUMNS_MIN)
        return COLUMNS_MIN;
    return size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
}

static int prepare(struct sequence *s)
{
    struct report_plan plan = {.server = s->server_text,
        .trees = s->paths,
        .n_trees = s->n,
        .bars = s->options.bars || isatty(STDOUT_FILENO),
        .columns = terminal_columns()};
    raise_descriptors();
    s->loop = ev_default_loop(0);
    s->results = calloc(s->n, sizeof(*s->results));
    s->report = report_create(&plan);
    s->stub = s->loop != NULL ? stub_create(s->loop, &s->server) : NULL;
    if (s->results == NULL || s->report == NULL || s->stub == NULL) {
        fputs("dnssequence: out of memory\n", stderr);
        return EXIT_MEMORY;
    }
    ev_init(&s->gap, on_gap);
    s->gap.data = s;
    return 0;
}

static int run(struct sequence *s)
{
    start_round(s);
    if (s->code == 0) /* ev_run does not look at what ev_break said before it */
        ev_run(s->loop, 0);
    if (s->code != 0)
        return s->code;
    if (s->options.json ? report_print_json(s->report, stdout) != 0 : ferror(stdout) != 0) {
        fputs("dnssequence: the output could not be written\n", stderr);
        return EXIT_FILE;
    }
    return 0;
}

static void clean_up(struct sequence *s)
{
    for (size_t i = 0; i < s->n; i++)
        tree_free(s->pages[i].tree);
    report_free(s->report);
    stub_free(s->stub);
    free(s->pages);
    free(s->results);
    if (s->loop != NULL)
        ev_loop_destroy(s->loop);
}

int main(int argc, char **argv)
{
    struct sequence s = {.n = 0};

    setlocale(LC_CTYPE, "");
    read_options(argc, argv, &s.options);
    s.n = (size_t)(argc - optind);
    s.paths = (const char *const *)argv + optind;
    addr_parse(s.options.server, (uint16_t)s.options.port, &s.server);
    addr_format(&s.server, s.server_text);
    s.pages = calloc(s.n, sizeof(*s.pages));
    if (s.pages == NULL) {
        fputs("dnssequence: out of memory\n", stderr);
        return EXIT_MEMORY;
    }
    int code = read_trees(&s);
    if (code == 0)
        code = deal_sources(&s);
    if (code == 0)
        code = prepare(&s);
    if (code == 0)
        code = run(&s);
    clean_up(&s);
    return code;
}
