/* conf.c (tests): every option in every form, every bound, every message; files that are none.
 * Knows conf.h only; the example dnsd.conf is read from the working directory. */
#include "conf.h"

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what was reported ----------------------------------------------------------------------- */

#define HEARD_MAX 80

struct mistake {
    size_t line;
    char option[300];
    char value[1100];
    char why[600];
};

static struct {
    size_t n;
    struct mistake mistake[HEARD_MAX];
} heard;

static void copy_text(char *out, size_t cap, const char *text)
{
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_lt(strlen(text), cap);
    memcpy(out, text, strlen(text) + 1);
}

static void hear(void *ctx, size_t line, const char *option, const char *value, const char *why)
{
    ck_assert_ptr_eq(ctx, &heard);
    if (heard.n == HEARD_MAX)
        return;
    struct mistake *m = &heard.mistake[heard.n++];
    m->line = line;
    copy_text(m->option, sizeof(m->option), option);
    copy_text(m->value, sizeof(m->value), value);
    copy_text(m->why, sizeof(m->why), why);
}

/* The i-th mistake must be this one. */
static void check_mistake(
    size_t i, size_t line, const char *option, const char *value, const char *why)
{
    ck_assert_uint_lt(i, heard.n);
    ck_assert_uint_eq(heard.mistake[i].line, line);
    ck_assert_str_eq(heard.mistake[i].option, option);
    ck_assert_str_eq(heard.mistake[i].value, value);
    ck_assert_str_eq(heard.mistake[i].why, why);
}

/* ---- reading --------------------------------------------------------------------------------- */

static struct conf_set *set;
static const struct conf *values;

static void start(void)
{
    heard.n = 0;
    set = conf_create();
    ck_assert_ptr_nonnull(set);
    values = conf_values(set);
    ck_assert_ptr_nonnull(values);
}

static void end(void)
{
    conf_free(set);
    set = NULL;
}

static void restart(void)
{
    end();
    start();
}

static int read_args_n(int argc, const char *const *argv)
{
    return conf_read_args(set, argc, argv, hear, &heard);
}

#define READ_ARGS(...)                                                                             \
    read_args_n((int)(sizeof((const char *[]){"dnsd", __VA_ARGS__}) / sizeof(char *)),             \
        (const char *[]){"dnsd", __VA_ARGS__})

static int read_text(const char *text)
{
    return conf_read_text(set, text, strlen(text), hear, &heard);
}

static int finish(void)
{
    return conf_finish(set, hear, &heard);
}

static const struct conf_row *row_of(const char *name)
{
    for (size_t i = 0; i < conf_n_rows(); i++)
        if (strcmp(conf_row(i)->name, name) == 0)
            return conf_row(i);
    ck_abort_msg("no row %s", name);
    return NULL;
}

static struct addr address(const char *text, uint16_t port)
{
    struct addr a;
    ck_assert_int_eq(addr_parse(text, port, &a), 0);
    return a;
}

/* ---- the table ------------------------------------------------------------------------------- */

START_TEST(table_is_complete_and_fit_for_help_and_manual)
{
    for (size_t i = 0; i < conf_n_rows(); i++) {
        const struct conf_row *r = conf_row(i);
        ck_assert_msg(r->help[0] != '\0' && r->help[strlen(r->help) - 1] != '.', "%s", r->name);
        ck_assert_msg(!isupper((unsigned char)r->help[0]), "%s: help", r->name);
        ck_assert_msg(r->manual[strlen(r->manual) - 1] == '.', "%s: manual", r->name);
        ck_assert_msg(strstr(r->manual, "  ") == NULL, "%s: two blanks", r->name);
        ck_assert_msg(r->argument == NULL || r->expected != NULL, "%s: expected", r->name);
        ck_assert_msg(r->argument != NULL || r->words != NULL, "%s: a switch has words", r->name);
        for (size_t j = 0; j < i; j++) {
            bool same_group = strcmp(conf_row(j)->group, r->group) == 0;
            ck_assert_str_ne(conf_row(j)->name, r->name);
            ck_assert_msg(!same_group || strcmp(conf_row(i - 1)->group, r->group) == 0,
                "%s: its group is in two pieces", r->name);
        }
    }
    ck_assert_ptr_null(conf_row(conf_n_rows()));
    ck_assert_ptr_null(conf_row(SIZE_MAX));
}
END_TEST

/* -help has the option in 33 columns, then the phrase and the default. */
START_TEST(a_line_of_help_fits_a_terminal)
{
    for (size_t i = 0; i < conf_n_rows(); i++) {
        const struct conf_row *r = conf_row(i);
        size_t left = strlen(r->name) + (r->argument != NULL ? strlen(r->argument) + 1 : 0) + 1;
        size_t right = strlen(r->help) + (r->fallback != NULL ? strlen(r->fallback) + 3 : 0);
        ck_assert_msg(left <= 30 && right <= 47, "%s: %zu and %zu", r->name, left, right);
    }
}
END_TEST

START_TEST(words_are_named_in_what_is_expected)
{
    for (size_t i = 0; i < conf_n_rows(); i++) {
        const struct conf_row *r = conf_row(i);
        for (size_t w = 0; r->argument != NULL && r->words != NULL && r->words[w] != NULL; w++) {
            ck_assert_ptr_nonnull(strstr(r->expected, r->words[w]));
            ck_assert_ptr_nonnull(strstr(r->argument, r->words[w]));
        }
    }
}
END_TEST

START_TEST(defaults_are_those_of_the_design)
{
    ck_assert(!values->forward && !values->predict);
    ck_assert_uint_eq(values->n_servers, 0);
    ck_assert_uint_eq(values->n_listen, 0);
    ck_assert_uint_eq(values->n_allow, 0);
    ck_assert_str_eq(values->poison, "");
    ck_assert_uint_eq(values->port, 53);
    ck_assert_uint_eq(values->predict_window_ms, 15000);
    ck_assert_uint_eq(values->predict_score, 2);
    ck_assert_uint_eq(values->predict_confidence_percent, 68);
    ck_assert_int_eq(values->predict_scope, CONF_SCOPE_CLIENT);
    ck_assert_uint_eq(values->predict_cap, 8);
    ck_assert_uint_eq(values->predict_share, 2);
    ck_assert_uint_eq(values->predict_budget_percent, 20);
    ck_assert_int_eq(values->predict_ttl0, CONF_TTL0_HOLD);
    ck_assert_int_eq(values->predict_rules, CONF_RULES_DEFAULT);
    ck_assert_str_eq(values->predict_file, "");
    ck_assert_uint_eq(values->predict_save_ms, 3600000);
    ck_assert_uint_eq(values->predict_control_percent, 0);
    ck_assert_str_eq(values->predict_dump, "");
    ck_assert_uint_eq(values->cache_size_bytes, 64 * 1024 * 1024);
    ck_assert_uint_eq(values->max_ttl_s, 86400);
    ck_assert_uint_eq(values->min_ttl_s, 0);
    ck_assert_uint_eq(values->stale_ttl_ms, 86400000);
    ck_assert_str_eq(values->resolv_file, "/etc/resolv.conf");
    ck_assert(!values->trust_ad && !values->verbose && !values->check_config);
    ck_assert(!values->version && !values->help);
    ck_assert_str_eq(values->user, "");
    ck_assert_str_eq(values->config, "");
    ck_assert_str_eq(values->query_log, "");
}
END_TEST

START_TEST(nothing_said_listens_at_loopback_only_and_has_no_mode)
{
    ck_assert_int_eq(read_args_n(1, (const char *[]){"dnsd"}), 0);
    ck_assert_int_eq(read_args_n(0, NULL), 0);
    ck_assert_int_eq(read_text(""), 0);
    ck_assert_int_eq(finish(), 0);
    struct addr four = address("127.0.0.1", 0), six = address("::1", 0);
    ck_assert_uint_eq(values->n_listen, 2);
    ck_assert(values->listen_default);
    ck_assert(addr_equal(&values->listen[0], &four));
    ck_assert(addr_equal(&values->listen[1], &six));
    ck_assert(!values->forward);
    ck_assert_str_eq(values->poison, "");
    ck_assert_uint_eq(heard.n, 0);
}
END_TEST

/* ---- forms ----------------------------------------------------------------------------------- */

/* A value of each option that is not its default; NULL: a switch. */
static const struct {
    const char *name;
    const char *value;
} samples[] = {
    {"forward", "9.9.9.9"},
    {"poison", "/etc/poison.conf"},
    {"predict", NULL},
    {"port", "5353"},
    {"listen", "192.168.1.1:53"},
    {"allow", "10.0.0.0/8"},
    {"predict-window", "500ms"},
    {"predict-score", "3"},
    {"predict-confidence", "75%"},
    {"predict-scope", "global"},
    {"predict-cap", "16"},
    {"predict-share", "1"},
    {"predict-budget", "30"},
    {"predict-ttl0", "strict"},
    {"predict-rules", "seed"},
    {"predict-file", "/var/lib/dnsd/predict"},
    {"predict-save", "10m"},
    {"predict-control", "5%"},
    {"predict-dump", "/var/lib/dnsd/learned.dot"},
    {"cache-size", "1G"},
    {"max-ttl", "2h"},
    {"min-ttl", "5"},
    {"stale-ttl", "3d"},
    {"resolv-file", "/run/resolv.conf"},
    {"trust-ad", NULL},
    {"rebind-protect", NULL},
    {"rebind-allow", "office.example"},
    {"config", "dnsd.conf"},
    {"check-config", NULL},
    {"user", "nobody"},
    {"sandbox", "off"},
    {"query-log", "-"},
    {"verbose", NULL},
    {"version", NULL},
    {"help", NULL},
};

#define N_SAMPLES ((int)(sizeof(samples) / sizeof(samples[0])))

/* A copy that can be compared byte by byte: padding in addresses is 0. */
static void copy_values(struct conf *out)
{
    memcpy(out, values, sizeof(*out));
    memset(out->servers, 0, sizeof(out->servers));
    memset(out->listen, 0, sizeof(out->listen));
    for (size_t i = 0; i < values->n_servers; i++) {
        memcpy(out->servers[i].ip, values->servers[i].ip, sizeof(out->servers[i].ip));
        out->servers[i].port = values->servers[i].port;
    }
    for (size_t i = 0; i < values->n_listen; i++) {
        memcpy(out->listen[i].ip, values->listen[i].ip, sizeof(out->listen[i].ip));
        out->listen[i].port = values->listen[i].port;
    }
}

/* Whether this text, as one argument or as a line, gives the wanted values. */
static void check_form(const struct conf *wanted, const char *form, const char *next, bool in_file)
{
    restart();
    if (in_file)
        ck_assert_msg(read_text(form) == 0, "%s: %s", form, heard.mistake[0].why);
    else if (next != NULL)
        ck_assert_msg(READ_ARGS(form, next) == 0, "%s %s", form, next);
    else
        ck_assert_msg(READ_ARGS(form) == 0, "%s", form);
    ck_assert_uint_eq(heard.n, 0);
    static struct conf got;
    copy_values(&got);
    ck_assert_msg(memcmp(&got, wanted, sizeof(got)) == 0, "%s", form);
}

START_TEST(option_is_read_in_every_form)
{
    const char *name = samples[_i].name, *value = samples[_i].value;
    bool in_file = !row_of(name)->command_line_only;
    static struct conf wanted, fallback;
    char form[200];

    copy_values(&fallback);
    snprintf(form, sizeof(form), "-%s%s%s", name, value != NULL ? "=" : "", value ? value : "");
    ck_assert_int_eq(READ_ARGS(form), 0);
    copy_values(&wanted);
    ck_assert_msg(memcmp(&wanted, &fallback, sizeof(wanted)) != 0, "%s changes nothing", form);

    const char *formats[] = {"-%s", "--%s"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(form, sizeof(form), formats[i], name);
        check_form(&wanted, form, value, false);
        snprintf(form, sizeof(form), i == 0 ? "-%s=%s" : "--%s=%s", name, value ? value : "yes");
        check_form(&wanted, form, NULL, false);
    }
    const char *lines[] = {"%s %s", "%s %s\n", "%s %s\r\n", "\t %s \t %s \t\r\n", "%s \"%s\"\n",
        "%s %s # comment", "%s %s ;comment\n", "\n\n%s \"%s\" ; \"\n"};
    for (size_t i = 0; in_file && i < sizeof(lines) / sizeof(lines[0]); i++) {
        snprintf(form, sizeof(form), lines[i], name, value != NULL ? value : "yes");
        check_form(&wanted, form, NULL, true);
    }
    if (in_file && value == NULL) {
        check_form(&wanted, name, NULL, true);
        snprintf(form, sizeof(form), "%s # said", name);
        check_form(&wanted, form, NULL, true);
    }
}
END_TEST

START_TEST(every_option_has_a_sample_here)
{
    ck_assert_uint_eq(conf_n_rows(), N_SAMPLES);
    for (int i = 0; i < N_SAMPLES; i++)
        ck_assert_int_eq(row_of(samples[i].name)->argument == NULL, samples[i].value == NULL);
}
END_TEST

/* What a reload goes by. */
START_TEST(a_changed_option_is_seen_and_no_other)
{
    const char *name = samples[_i].name, *value = samples[_i].value;
    static struct conf before, after;
    char form[200];

    memcpy(&before, values, sizeof(before));
    snprintf(form, sizeof(form), "-%s=%s", name, value != NULL ? value : "yes");
    ck_assert_int_eq(READ_ARGS(form), 0);
    memcpy(&after, values, sizeof(after));
    for (size_t i = 0; i < conf_n_rows(); i++) {
        bool is_it = strcmp(conf_row(i)->name, name) == 0;
        ck_assert_msg(
            conf_differs(i, &before, &after) == is_it, "%s and %s", name, conf_row(i)->name);
        ck_assert(!conf_differs(i, &after, &after));
    }
}
END_TEST

START_TEST(a_list_with_another_value_differs)
{
    static const char *const lists[][3] = {
        {"forward", "-forward=9.9.9.9", "-forward=9.9.9.9:54"},
        {"listen", "-listen=192.168.1.1", "-listen=192.168.1.2"},
        {"allow", "-allow=10.0.0.0/8", "-allow=10.0.0.0/9"},
        {"allow", "-allow=10.0.0.0/8", "-allow=11.0.0.0/8"},
        {"rebind-allow", "-rebind-allow=a.example", "-rebind-allow=b.example"},
        {"rebind-allow", "-rebind-allow=a.example", "-rebind-allow=aa.example"},
    };
    static struct conf a;
    size_t i = 0;

    ck_assert_int_eq(READ_ARGS(lists[_i][1]), 0);
    memcpy(&a, values, sizeof(a));
    restart();
    ck_assert_int_eq(READ_ARGS(lists[_i][2]), 0);
    while (strcmp(conf_row(i)->name, lists[_i][0]) != 0)
        i++;
    ck_assert(conf_differs(i, &a, values));
    restart();
    ck_assert_int_eq(READ_ARGS(lists[_i][1]), 0);
    ck_assert(!conf_differs(i, &a, values));
}
END_TEST

START_TEST(values_arrive_where_they_belong)
{
    ck_assert_int_eq(
        READ_ARGS("-forward", "9.9.9.9", "-forward", "[2620:fe::fe]:5353", "-poison", "p.conf",
            "-port", "5353", "-listen", "0.0.0.0", "-listen", "::1@54", "-allow", "fd00::/8",
            "-predict-window", "4", "-predict-score", "3", "-predict-confidence", "65",
            "-predict-cap", "9", "-predict-share", "1", "-predict-budget=5%", "-predict-file", "f",
            "-predict-save", "5m", "-predict-control", "6%", "-predict-dump", "g", "-cache-size",
            "512K", "-max-ttl", "2h", "-min-ttl", "1m", "-stale-ttl", "1500ms", "-trust-ad",
            "-user", "dns", "-query-log", "-", "-verbose", "-check-config"),
        0);
    ck_assert_int_eq(finish(), 0);
    struct addr quad9 = address("9.9.9.9", 53), six = address("2620:fe::fe@5353", 53);
    ck_assert_uint_eq(values->n_servers, 2);
    ck_assert(addr_equal(&values->servers[0], &quad9));
    ck_assert(addr_equal(&values->servers[1], &six));
    ck_assert_uint_eq(values->n_listen, 2);
    ck_assert(!values->listen_default);
    ck_assert(addr_is_unspecified(&values->listen[0]));
    ck_assert_uint_eq(values->listen[0].port, 0);
    ck_assert_uint_eq(values->listen[1].port, 54);
    ck_assert_uint_eq(values->n_allow, 1);
    ck_assert_uint_eq(values->allow[0].prefix_len, 8);
    ck_assert_uint_eq(values->port, 5353);
    ck_assert(values->predict && values->forward && values->trust_ad && values->verbose);
    ck_assert_uint_eq(values->predict_window_ms, 4000);
    ck_assert_uint_eq(values->predict_score, 3);
    ck_assert_uint_eq(values->predict_confidence_percent, 65);
    ck_assert_uint_eq(values->predict_cap, 9);
    ck_assert_uint_eq(values->predict_share, 1);
    ck_assert_uint_eq(values->predict_budget_percent, 5);
    ck_assert_uint_eq(values->cache_size_bytes, 512 * 1024);
    ck_assert_uint_eq(values->max_ttl_s, 7200);
    ck_assert_uint_eq(values->min_ttl_s, 60);
    ck_assert_uint_eq(values->stale_ttl_ms, 1500);
    ck_assert_str_eq(values->poison, "p.conf");
    ck_assert_str_eq(values->predict_file, "f");
    ck_assert_uint_eq(values->predict_save_ms, 300000);
    ck_assert_uint_eq(values->predict_control_percent, 6);
    ck_assert_str_eq(values->predict_dump, "g");
    ck_assert_str_eq(values->user, "dns");
    ck_assert_str_eq(values->query_log, "-");
    ck_assert(values->check_config && !values->help && !values->version);
}
END_TEST

START_TEST(forward_takes_the_next_argument_unless_it_is_an_option)
{
    ck_assert_int_eq(READ_ARGS("-forward"), 0);
    ck_assert(values->forward);
    ck_assert_uint_eq(values->n_servers, 0);
    restart();
    ck_assert_int_eq(READ_ARGS("-forward", "-verbose", "-forward", "1.1.1.1", "-forward"), 0);
    ck_assert(values->forward && values->verbose);
    ck_assert_uint_eq(values->n_servers, 1);
    restart();
    ck_assert_int_eq(read_text("forward\nforward 1.1.1.1 # one\nforward\n"), 0);
    ck_assert(values->forward);
    ck_assert_uint_eq(values->n_servers, 1);
    restart();
    ck_assert_int_eq(READ_ARGS("-forward", "-"), -1);
    ck_assert_uint_eq(heard.n, 1);
    check_mistake(0, 0, "-", "", "not an option: expected a dash and a name, such as -forward");
}
END_TEST

START_TEST(switches_can_be_turned_off_again)
{
    ck_assert_int_eq(READ_ARGS("-verbose=no", "-trust-ad=yes"), 0);
    ck_assert(!values->verbose && values->trust_ad);
    ck_assert_int_eq(read_text("verbose\ntrust-ad no\npredict no\n"), 0);
    ck_assert(!values->verbose && values->trust_ad && !values->predict);
    ck_assert_int_eq(finish(), 0);
    ck_assert(!values->forward);
    restart();
    ck_assert_int_eq(READ_ARGS("-verbose=maybe", "-verbose="), -1);
    check_mistake(0, 0, "-verbose", "maybe", "expected yes, no or nothing");
    check_mistake(1, 0, "-verbose", "", "expected yes, no or nothing");
}
END_TEST

START_TEST(switches_do_not_swallow_the_next_argument)
{
    ck_assert_int_eq(READ_ARGS("-verbose", "no"), -1);
    ck_assert(values->verbose);
    ck_assert_uint_eq(heard.n, 1);
    check_mistake(0, 0, "no", "", "not an option: expected a dash and a name, such as -forward");
}
END_TEST

START_TEST(last_one_on_the_command_line_counts)
{
    ck_assert_int_eq(READ_ARGS("-port", "54", "-port", "55", "-verbose", "-verbose=no"), 0);
    ck_assert_uint_eq(values->port, 55);
    ck_assert(!values->verbose);
}
END_TEST

/* ---- bounds ---------------------------------------------------------------------------------- */

/* Just outside and just inside; NULL where there is nothing below. */
static const struct {
    const char *name;
    const char *below, *low, *high, *above;
} bounds[] = {
    {"port", "0", "1", "65535", "65536"},
    {"predict-window", "9ms", "10ms", "1h", "3600001ms"},
    {"predict-score", "0", "1", "1000", "1001"},
    {"predict-confidence", NULL, "0%", "100%", "101%"},
    {"predict-cap", NULL, "0", "1000", "1001"},
    {"predict-share", "0", "1", "4", "5"},
    {"predict-budget", NULL, "0%", "100%", "101%"},
    {"predict-save", "999ms", "1s", "7d", "604800001ms"},
    {"predict-control", NULL, "0%", "100%", "101%"},
    {"cache-size", "262143", "256K", "64G", "68719476737"},
    {"max-ttl", "0", "1s", "7d", "604801"},
    {"min-ttl", NULL, "0", "1h", "3601"},
    {"stale-ttl", NULL, "0", "7d", "604800001ms"},
};

#define N_BOUNDS ((int)(sizeof(bounds) / sizeof(bounds[0])))

static void check_refused(const char *name, const char *value)
{
    char form[400], why[400], option[100];

    restart();
    snprintf(form, sizeof(form), "-%s=%s", name, value);
    snprintf(why, sizeof(why), "expected %s", row_of(name)->expected);
    snprintf(option, sizeof(option), "-%s", name);
    ck_assert_msg(READ_ARGS(form) == -1, "%s was taken", form);
    ck_assert_uint_eq(heard.n, 1);
    check_mistake(0, 0, option, value, why);
}

static void check_taken(const char *name, const char *value)
{
    char form[400];

    restart();
    snprintf(form, sizeof(form), "-%s=%s", name, value);
    ck_assert_msg(READ_ARGS(form) == 0, "%s: %s", form, heard.mistake[0].why);
}

START_TEST(bounds_hold_and_are_told)
{
    const char *name = bounds[_i].name;
    char range[100];

    if (bounds[_i].below != NULL)
        check_refused(name, bounds[_i].below);
    check_taken(name, bounds[_i].low);
    check_taken(name, bounds[_i].high);
    check_refused(name, bounds[_i].above);
    snprintf(range, sizeof(range), " from %s to %s", bounds[_i].low, bounds[_i].high);
    ck_assert_msg(strstr(row_of(name)->expected, range) != NULL, "%s: not%s", name, range);
}
END_TEST

START_TEST(every_option_with_bounds_is_tested_for_them)
{
    int n = 0;
    for (size_t i = 0; i < conf_n_rows(); i++)
        n += conf_row(i)->expected != NULL && strstr(conf_row(i)->expected, " from ") != NULL;
    ck_assert_int_eq(n, N_BOUNDS);
}
END_TEST

START_TEST(values_at_their_bounds_are_exact)
{
    ck_assert_int_eq(READ_ARGS("-predict-window=1h", "-cache-size=64G", "-max-ttl=7d",
                         "-min-ttl=1h", "-stale-ttl=7d", "-port=65535"),
        0);
    ck_assert_uint_eq(values->predict_window_ms, 3600000);
    ck_assert_uint_eq(values->cache_size_bytes, UINT64_C(68719476736));
    ck_assert_uint_eq(values->max_ttl_s, 604800);
    ck_assert_uint_eq(values->min_ttl_s, 3600);
    ck_assert_uint_eq(values->stale_ttl_ms, 604800000);
    ck_assert_uint_eq(values->port, 65535);
}
END_TEST

START_TEST(units_mean_what_they_say)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } periods[] = {{"2", 2000}, {"500ms", 500}, {"2s", 2000}, {"15m", 900000}, {"1h", 3600000},
        {"007", 7000}, {"60m", 3600000}, {"3600", 3600000}};
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {{"262144", 262144}, {"512K", 524288}, {"512k", 524288}, {"64M", 67108864},
        {"64m", 67108864}, {"1G", 1073741824}, {"1g", 1073741824}};
    char form[100];

    for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
        snprintf(form, sizeof(form), "-predict-window=%s", periods[i].text);
        ck_assert_int_eq(READ_ARGS(form), 0);
        ck_assert_uint_eq(values->predict_window_ms, periods[i].ms);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        snprintf(form, sizeof(form), "-cache-size=%s", sizes[i].text);
        ck_assert_int_eq(READ_ARGS(form), 0);
        ck_assert_uint_eq(values->cache_size_bytes, sizes[i].bytes);
    }
    ck_assert_int_eq(READ_ARGS("-stale-ttl", "2d", "-max-ttl", "1d", "-predict-budget", "7"), 0);
    ck_assert_uint_eq(values->stale_ttl_ms, 172800000);
    ck_assert_uint_eq(values->max_ttl_s, 86400);
    ck_assert_uint_eq(values->predict_budget_percent, 7);
}
END_TEST

START_TEST(numbers_that_are_none_are_refused)
{
    static const char *const wrong[] = {"", "x", "-1", "+1", "1.5", " 1", "1 ", "0x10", "1e3", "1,",
        "ms", "1sm", "1S", "1msx", "1 s", "%", "18446744073709551615", "18446744073709551616",
        "18446744073709551617", "99999999999999999999999999999999", "\xd9\xa1", "1\n"};
    static const char *const names[] = {"port", "predict-window", "predict-score",
        "predict-confidence", "cache-size", "max-ttl", "stale-ttl"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (size_t j = 0; j < sizeof(wrong) / sizeof(wrong[0]); j++) {
            char form[100];
            restart();
            snprintf(form, sizeof(form), "-%s=%s", names[i], wrong[j]);
            ck_assert_msg(READ_ARGS(form) == -1, "%s was taken", form);
            ck_assert_uint_eq(heard.n, 1);
        }
    }
    check_refused("port", "53s");
    check_refused("port", "1K");
    check_refused("predict-score", "2%");
    check_refused("predict-confidence", "50%%");
    check_refused("cache-size", "64MB");
    check_refused("cache-size", "64MiB");
    check_refused("cache-size", "1T");
    check_refused("predict-window", "1d");
    check_refused("predict-window", "1w");
    check_refused("predict-window", "5124095576031h"); /* 2^64 ms and a little more */
    check_refused("cache-size", "17179869185G");       /* 2^64 + 1 G */
}
END_TEST

START_TEST(a_ttl_has_whole_seconds)
{
    check_refused("max-ttl", "1500ms");
    check_refused("min-ttl", "1ms");
    check_taken("max-ttl", "2000ms");
    ck_assert_uint_eq(values->max_ttl_s, 2);
}
END_TEST

START_TEST(texts_that_do_not_fit_are_refused)
{
    static char path[CONF_PATH_MAX + 16], user[80];
    static const char *const paths[] = {
        "poison", "predict-file", "predict-dump", "config", "query-log"};

    memset(path, 'p', CONF_PATH_MAX - 1);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char option[40];
        snprintf(option, sizeof(option), "-%s", paths[i]);
        restart();
        path[CONF_PATH_MAX - 1] = '\0';
        ck_assert_int_eq(READ_ARGS(option, path), 0);
        path[CONF_PATH_MAX - 1] = 'p';
        ck_assert_int_eq(READ_ARGS(option, path), -1);
        ck_assert_uint_eq(heard.n, 1);
        ck_assert_ptr_nonnull(strstr(heard.mistake[0].why, "shorter than 4096 bytes"));
        /* The message repeats 256 bytes of it. */
        ck_assert_uint_eq(strlen(heard.mistake[0].value), 256 + 3);
        check_refused(paths[i], "");
    }
    memset(user, 'u', 63);
    check_taken("user", user);
    ck_assert_str_eq(values->user, user);
    user[63] = 'u';
    check_refused("user", user);
}
END_TEST

START_TEST(the_sandbox_is_on_unless_it_is_said_to_be_off)
{
    ck_assert_int_eq(values->sandbox, CONF_SANDBOX_ON);
    check_taken("sandbox", "off");
    ck_assert_int_eq(values->sandbox, CONF_SANDBOX_OFF);
    check_taken("sandbox", "on");
    ck_assert_int_eq(values->sandbox, CONF_SANDBOX_ON);
    check_refused("sandbox", "no");
}
END_TEST

START_TEST(users_that_cannot_be_are_refused)
{
    static const char *const wrong[] = {"", "-", "-x", "a b", "a:b", "/root"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        check_refused("user", wrong[i]);
    check_taken("user", "_dnsd");
    check_taken("user", "dnsd-1.x$");
}
END_TEST

/* ---- lists ----------------------------------------------------------------------------------- */

START_TEST(addresses_that_are_none_are_refused)
{
    static const char *const wrong[] = {"", "x", "localhost", "9.9.9", "9.9.9.9:", "9.9.9.9:0",
        "9.9.9.9:65536", "[::1", "0.0.0.0", "::", "9.9.9.9 8.8.8.8", "9.9.9.9,8.8.8.8"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        check_refused("forward", wrong[i]);
    check_refused("listen", "lo");
    check_refused("listen", "127.0.0.1:65536");
    check_refused("allow", "10.0.0.1/8");
    check_refused("allow", "10.0.0.0/33");
    check_refused("allow", "any");
    check_taken("listen", "0.0.0.0");
    check_taken("listen", "[::]:53");
    check_taken("allow", "::/0");
    check_taken("allow", "192.168.1.7");
}
END_TEST

START_TEST(a_value_given_twice_in_a_list_is_a_mistake)
{
    ck_assert_int_eq(READ_ARGS("-forward", "9.9.9.9", "-forward", "9.9.9.9@53"), -1);
    check_mistake(0, 0, "-forward", "9.9.9.9@53", "this address is in the list already");
    ck_assert_uint_eq(values->n_servers, 1);
    ck_assert_int_eq(read_text("listen ::1\nlisten 127.0.0.1\nlisten ::1\n"), -1);
    check_mistake(1, 3, "listen", "::1", "this address is in the list already");
    ck_assert_int_eq(READ_ARGS("-allow", "fd00::/8", "-allow=fd00::/7", "-allow", "fd00::/8"), -1);
    ck_assert_uint_eq(heard.n, 4); /* fd00::/7 has a bit behind its prefix */
    check_mistake(3, 0, "-allow", "fd00::/8", "this network is in the list already");
}
END_TEST

START_TEST(names_that_are_none_are_refused)
{
    static const char *const wrong[] = {"", ".", "a..b", "*.lan", "a b", "a.example;"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        check_refused("rebind-allow", wrong[i]);
    check_taken("rebind-allow", "lan");
    ck_assert_uint_eq(values->n_rebind_allow, 1);
    ck_assert_uint_eq(values->rebind_allow[0].len, 5);
    ck_assert_mem_eq(values->rebind_allow[0].wire, "\3lan", 5);
    restart();
    ck_assert_int_eq(read_text("rebind-allow a.b\nrebind-allow A.B.\n"), -1);
    check_mistake(heard.n - 1, 2, "rebind-allow", "A.B.", "this name is in the list already");
}
END_TEST

START_TEST(lists_end_where_they_are_full)
{
    char line[100];

    for (int i = 0; i < CONF_LIST_MAX; i++) {
        snprintf(line, sizeof(line),
            "listen 10.0.0.%d\nallow 10.0.%d.0/24\nrebind-allow n%d.example\n", i, i, i);
        ck_assert_int_eq(read_text(line), 0);
    }
    for (int i = 0; i < CONF_SERVERS_MAX; i++) {
        snprintf(line, sizeof(line), "forward 10.1.0.%d\n", i);
        ck_assert_int_eq(read_text(line), 0);
    }
    ck_assert_int_eq(read_text("listen 9.9.9.9\nallow 9.9.9.9\nforward 9.9.9.9\n"
                               "rebind-allow n.example"),
        -1);
    ck_assert_uint_eq(heard.n, 4);
    check_mistake(3, 4, "rebind-allow", "n.example", "too many: expected at most 64 names");
    check_mistake(0, 1, "listen", "9.9.9.9", "too many: expected at most 64 addresses");
    check_mistake(1, 2, "allow", "9.9.9.9", "too many: expected at most 64 networks");
    check_mistake(2, 3, "forward", "9.9.9.9", "too many: expected at most 16 servers");
    ck_assert_uint_eq(values->n_listen, CONF_LIST_MAX);
    ck_assert_uint_eq(values->n_allow, CONF_LIST_MAX);
    ck_assert_uint_eq(values->n_servers, CONF_SERVERS_MAX);
    ck_assert_int_eq(finish(), 0);
}
END_TEST

/* ---- messages -------------------------------------------------------------------------------- */

START_TEST(a_missing_value_is_told)
{
    ck_assert_int_eq(READ_ARGS("-poison", "-verbose", "-predict-window"), -1);
    ck_assert_uint_eq(heard.n, 2);
    check_mistake(
        0, 0, "-poison", "", "no value: expected the name of a file, shorter than 4096 bytes");
    check_mistake(1, 0, "-predict-window", "",
        "no value: expected a duration from 10ms to 1h, such as 2, 500ms or 15m");
    ck_assert(values->verbose);
    restart();
    ck_assert_int_eq(read_text("port\nlisten # here\nuser \"\"\n"), -1);
    ck_assert_uint_eq(heard.n, 3);
    check_mistake(0, 1, "port", "", "no value: expected a port from 1 to 65535");
    ck_assert_uint_eq(heard.mistake[1].line, 2);
    check_mistake(2, 3, "user", "", "expected the name of a user, shorter than 64 bytes");
}
END_TEST

START_TEST(an_unknown_option_is_answered_with_the_nearest_one)
{
    static const struct {
        const char *given, *meant;
    } pairs[] = {{"predict-windw", "predict-window"}, {"predictwindow", "predict-window"},
        {"predict-widnow", "predict-window"}, {"prot", "port"}, {"Port", "port"},
        {"cache", "cache-size"}, {"cache_size", "cache-size"}, {"listne", "listen"},
        {"forwards", "forward"}, {"foward", "forward"}, {"h", "help"},
        {"predict-bud", "predict-budget"}, {"maxttl", "max-ttl"}, {"max-tll", "max-ttl"},
        {"querylog", "query-log"}, {"ver", NULL}, {"v", NULL}, {"x", NULL}, {"servers-file", NULL},
        {"p", NULL}, {"predict-", NULL}, {"predict-windowpredict-windowpredict-window", NULL}};

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char form[100], why[100], line[100];
        const char *given = pairs[i].given, *meant = pairs[i].meant;
        bool guessed;
        restart();
        snprintf(form, sizeof(form), "--%s=4", given);
        snprintf(line, sizeof(line), "\n%s 4\n", given);
        ck_assert_int_eq(READ_ARGS(form), -1);
        ck_assert_int_eq(read_text(line), -1);
        ck_assert_uint_eq(heard.n, 2);
        form[strlen(form) - 2] = '\0';
        guessed = strstr(heard.mistake[0].why, "did you mean") != NULL;
        if (meant == NULL && guessed && strncmp(given, "predict-", 9) == 0)
            continue; /* several are as near */
        snprintf(why, sizeof(why), "no such option; did you mean -%s?", meant != NULL ? meant : "");
        check_mistake(
            0, 0, form, "4", meant != NULL ? why : "no such option; dnsd -help lists them all");
        snprintf(why, sizeof(why), "no such option; did you mean %s?", meant != NULL ? meant : "");
        check_mistake(
            1, 2, given, "4", meant != NULL ? why : "no such option; dnsd -help lists them all");
    }
}
END_TEST

START_TEST(the_value_of_an_unknown_option_is_no_second_mistake)
{
    ck_assert_int_eq(READ_ARGS("-predict-windw", "4", "-bogus", "-verbose", "-x"), -1);
    ck_assert_uint_eq(heard.n, 3);
    check_mistake(0, 0, "-predict-windw", "4", "no such option; did you mean -predict-window?");
    check_mistake(1, 0, "-bogus", "", "no such option; dnsd -help lists them all");
    check_mistake(2, 0, "-x", "", "no such option; dnsd -help lists them all");
    ck_assert(values->verbose);
}
END_TEST

START_TEST(arguments_that_are_no_options_are_told)
{
    static const char *const wrong[] = {"9.9.9.9", "", "-", "--", "a=b"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        restart();
        ck_assert_int_eq(READ_ARGS(wrong[i]), -1);
        ck_assert_uint_eq(heard.n, 1);
        check_mistake(
            0, 0, wrong[i], "", "not an option: expected a dash and a name, such as -forward");
    }
    restart();
    ck_assert_int_eq(READ_ARGS("-=x", "---port", "5"), -1);
    check_mistake(0, 0, "-", "x", "no such option; dnsd -help lists them all");
    check_mistake(1, 0, "---port", "5", "no such option; did you mean -port?");
}
END_TEST

START_TEST(every_mistake_is_reported_with_its_line)
{
    ck_assert_int_eq(read_text("port 99999\n"
                               "# port 1\n"
                               "predict-scope clients\r\n"
                               "\n"
                               "forward 9.9.9.9 8.8.8.8\n"
                               "verbose perhaps\n"
                               "predict-rules Seed\n"
                               "predict-ttl0 off"),
        -1);
    ck_assert_uint_eq(heard.n, 6);
    check_mistake(0, 1, "port", "99999", "expected a port from 1 to 65535");
    check_mistake(1, 3, "predict-scope", "clients", "expected client or global");
    check_mistake(2, 5, "forward", "9.9.9.9",
        "more than one value; one a line, and quotes around one with blanks");
    check_mistake(3, 6, "verbose", "perhaps", "expected yes, no or nothing");
    check_mistake(4, 7, "predict-rules", "Seed", "expected default or seed");
    check_mistake(5, 8, "predict-ttl0", "off", "expected hold or strict");
}
END_TEST

START_TEST(what_is_not_printable_is_escaped)
{
    ck_assert_int_eq(READ_ARGS("-\x1b[31m\\=\xff\n"), -1);
    check_mistake(
        0, 0, "-\\027[31m\\092", "\\255\\010", "no such option; dnsd -help lists them all");
    ck_assert_int_eq(read_text("port \x07\x7f\n"), -1);
    check_mistake(1, 1, "port", "\\007\\127", "expected a port from 1 to 65535");
}
END_TEST

START_TEST(a_long_option_or_value_is_cut_in_the_message)
{
    static char arg[2000];
    arg[0] = '-';
    memset(arg + 1, '\x01', 1000);
    arg[1001] = '=';
    memset(arg + 1002, '\x02', 900);
    ck_assert_int_eq(READ_ARGS(arg), -1);
    ck_assert_uint_eq(strlen(heard.mistake[0].option), 1 + 63 * 4 + 3);
    ck_assert_uint_eq(strlen(heard.mistake[0].value), 256 * 4 + 3);
    ck_assert_str_eq(heard.mistake[0].value + 256 * 4, "...");
}
END_TEST

/* ---- the file -------------------------------------------------------------------------------- */

START_TEST(comments_blanks_and_line_ends_mean_nothing)
{
    ck_assert_int_eq(read_text("# port 1\n;port 2\n   # port 3\n\t;\n\r\n \t \r\n\n"
                               "port 54# no comment\n"),
        -1);
    ck_assert_uint_eq(heard.n, 1);
    check_mistake(
        0, 8, "port", "54#", "more than one value; one a line, and quotes around one with blanks");
    restart();
    ck_assert_int_eq(read_text("poison a#b;c # d\nuser\tx\t;\nverbose\t# on\n;"), 0);
    ck_assert_str_eq(values->poison, "a#b;c");
    ck_assert_str_eq(values->user, "x");
    ck_assert(values->verbose);
    ck_assert_uint_eq(values->port, 53);
}
END_TEST

START_TEST(quotes_hold_blanks_and_comment_signs)
{
    ck_assert_int_eq(
        read_text(
            "poison \" a # b ; c\"\nquery-log \"x\"# comment\npredict-file \"\xc3\xa4 \\\"\n"),
        0);
    ck_assert_str_eq(values->poison, " a # b ; c");
    ck_assert_str_eq(values->query_log, "x");
    ck_assert_str_eq(values->predict_file, "\xc3\xa4 \\");
    restart();
    ck_assert_int_eq(read_text("poison \"a\npoison \"\npoison \"a\"b\npoison \"a\" b\n"), -1);
    ck_assert_uint_eq(heard.n, 4);
    check_mistake(0, 1, "poison", "\"a", "a quote that does not end in its line");
    check_mistake(1, 2, "poison", "\"", "a quote that does not end in its line");
    check_mistake(
        2, 3, "poison", "a", "more than one value; one a line, and quotes around one with blanks");
    check_mistake(
        3, 4, "poison", "a", "more than one value; one a line, and quotes around one with blanks");
    ck_assert_str_eq(values->poison, "");
}
END_TEST

START_TEST(an_equals_sign_in_the_file_is_told)
{
    ck_assert_int_eq(read_text("port=53\nport = 53\nport =53\npoison a=b\n"), -1);
    ck_assert_uint_eq(heard.n, 3);
    check_mistake(0, 1, "port=53", "", "expected a name, a blank and a value, without =");
    check_mistake(1, 2, "port", "", "expected a name, a blank and a value, without =");
    check_mistake(2, 3, "port", "", "expected a name, a blank and a value, without =");
    ck_assert_str_eq(values->poison, "a=b");
}
END_TEST

START_TEST(a_dash_in_the_file_is_told)
{
    ck_assert_int_eq(read_text("-port 54\n"), -1);
    check_mistake(0, 1, "-port", "54", "no such option; did you mean port?");
}
END_TEST

START_TEST(the_same_option_twice_in_the_file_names_the_first_line)
{
    ck_assert_int_eq(read_text("\nport 54\nverbose\nport 55\nverbose no\nport 56\n"), -1);
    ck_assert_uint_eq(heard.n, 3);
    check_mistake(0, 4, "port", "55", "given already in line 2");
    check_mistake(1, 5, "verbose", "no", "given already in line 3");
    check_mistake(2, 6, "port", "56", "given already in line 2");
    ck_assert_uint_eq(values->port, 54);
    ck_assert(values->verbose);
}
END_TEST

START_TEST(options_for_the_command_line_only_are_told)
{
    ck_assert_int_eq(read_text("config x\ncheck-config\nhelp\nversion yes\n"), -1);
    ck_assert_uint_eq(heard.n, 4);
    check_mistake(0, 1, "config", "x", "an option for the command line only");
    check_mistake(1, 2, "check-config", "", "an option for the command line only");
    check_mistake(2, 3, "help", "", "an option for the command line only");
    check_mistake(3, 4, "version", "yes", "an option for the command line only");
    ck_assert(!values->help && !values->version && !values->check_config);
    ck_assert_str_eq(values->config, "");
}
END_TEST

START_TEST(a_file_that_is_no_text_is_told)
{
    static const char bytes[] = "port 54\nuser a\0b\n\0\nverbose\n# \0\n";
    ck_assert_int_eq(conf_read_text(set, bytes, sizeof(bytes) - 1, hear, &heard), -1);
    ck_assert_uint_eq(heard.n, 3);
    check_mistake(0, 2, "", "", "a NUL byte; expected text");
    check_mistake(1, 3, "", "", "a NUL byte; expected text");
    check_mistake(2, 5, "", "", "a NUL byte; expected text");
    ck_assert_uint_eq(values->port, 54);
    ck_assert(values->verbose);
}
END_TEST

START_TEST(a_line_that_is_too_long_is_told_and_the_next_one_read)
{
    static char text[3 * CONF_LINE_MAX];
    size_t len = CONF_LINE_MAX;

    ck_assert_uint_eq(CONF_LINE_MAX, 4352); /* the message says so */
    memset(text, ' ', len);
    memcpy(text, "port 54", 7);
    strcpy(text + len, "\nverbose\n");
    ck_assert_int_eq(read_text(text), 0);
    ck_assert_uint_eq(values->port, 54);
    restart();
    memset(text, ' ', len + 1);
    memcpy(text, "port 54", 7);
    strcpy(text + len + 1, "\nverbose\n");
    ck_assert_int_eq(read_text(text), -1);
    ck_assert_uint_eq(heard.n, 1);
    check_mistake(0, 1, "", "", "a line of more than 4352 bytes");
    ck_assert_uint_eq(values->port, 53);
    ck_assert(values->verbose);
}
END_TEST

START_TEST(a_path_in_the_file_may_be_as_long_as_any)
{
    static char text[CONF_LINE_MAX];
    size_t at = strlen("query-log \"");

    strcpy(text, "query-log \"");
    memset(text + at, 'q', CONF_PATH_MAX - 1);
    strcpy(text + at + CONF_PATH_MAX - 1, "\" ; long");
    ck_assert_int_eq(read_text(text), 0);
    ck_assert_uint_eq(strlen(values->query_log), CONF_PATH_MAX - 1);
}
END_TEST

/* ---- who wins -------------------------------------------------------------------------------- */

START_TEST(the_command_line_wins_over_the_file)
{
    ck_assert_int_eq(READ_ARGS("-port", "54", "-poison", "mine", "-forward", "9.9.9.9", "-listen",
                         "127.0.0.1", "-allow", "10.0.0.0/8"),
        0);
    ck_assert_int_eq(
        read_text("port 55\npoison theirs\nforward 1.1.1.1\nforward 8.8.8.8\nlisten ::1\n"
                  "allow fd00::/8\nuser theirs\nmax-ttl 1h\n"),
        0);
    ck_assert_int_eq(finish(), 0);
    ck_assert_uint_eq(values->port, 54);
    ck_assert_str_eq(values->poison, "mine");
    ck_assert_uint_eq(values->n_servers, 1);
    ck_assert_uint_eq(values->n_listen, 1);
    ck_assert(addr_is_ipv4(&values->listen[0]));
    ck_assert_uint_eq(values->n_allow, 1);
    ck_assert_uint_eq(values->allow[0].prefix_len, 96 + 8);
    ck_assert_str_eq(values->user, "theirs");
    ck_assert_uint_eq(values->max_ttl_s, 3600);
}
END_TEST

START_TEST(a_bare_forward_on_the_command_line_leaves_out_the_files_servers)
{
    ck_assert_int_eq(READ_ARGS("-forward"), 0);
    ck_assert_int_eq(read_text("forward 1.1.1.1\n"), 0);
    ck_assert(values->forward);
    ck_assert_uint_eq(values->n_servers, 0);
}
END_TEST

START_TEST(what_the_command_line_outweighs_is_still_checked)
{
    ck_assert_int_eq(READ_ARGS("-port", "54"), 0);
    ck_assert_int_eq(read_text("port x\nport 55\n"), -1);
    ck_assert_uint_eq(heard.n, 2);
    check_mistake(0, 1, "port", "x", "expected a port from 1 to 65535");
    check_mistake(1, 2, "port", "55", "given already in line 1");
    ck_assert_uint_eq(values->port, 54);
}
END_TEST

/* ---- what follows from what ------------------------------------------------------------------ */

START_TEST(prediction_implies_forwarding)
{
    ck_assert_int_eq(READ_ARGS("-predict"), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert(values->predict && values->forward);
    ck_assert_uint_eq(values->n_servers, 0);
    restart();
    ck_assert_int_eq(READ_ARGS("-port", "5353", "-predict-window", "2"), 0);
    ck_assert(!values->predict && !values->forward);
    ck_assert_int_eq(finish(), 0);
    ck_assert(values->predict && values->forward);
    ck_assert_uint_eq(values->port, 5353);
    restart();
    ck_assert_int_eq(read_text("predict-window 2\n"), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert(values->predict && values->forward);
    restart();
    ck_assert_int_eq(read_text("predict-score 1\npredict-cap 4\n"), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert(!values->predict && !values->forward);
}
END_TEST

START_TEST(a_no_to_prediction_outweighs_the_window_of_the_same_place)
{
    ck_assert_int_eq(read_text("predict no\npredict-window 2\n"), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert(!values->predict && !values->forward);
    restart();
    ck_assert_int_eq(READ_ARGS("-predict-window", "2", "-predict=no"), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert(!values->predict && !values->forward);
    restart();
    ck_assert_int_eq(READ_ARGS("-predict=no"), 0);
    ck_assert_int_eq(read_text("predict-window 2\n"), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert(!values->predict);
    restart();
    ck_assert_int_eq(READ_ARGS("-predict-window", "2"), 0);
    ck_assert_int_eq(read_text("predict no\n"), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert(values->predict && values->forward);
}
END_TEST

START_TEST(seed_rules_are_those_of_2007)
{
    ck_assert_int_eq(READ_ARGS("-predict-rules", "seed"), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert_int_eq(values->predict_rules, CONF_RULES_SEED);
    ck_assert_int_eq(values->predict_scope, CONF_SCOPE_GLOBAL);
    ck_assert_uint_eq(values->predict_cap, 0);
    ck_assert_uint_eq(values->predict_confidence_percent, 0);
    ck_assert_uint_eq(values->predict_share, 1);
    ck_assert_uint_eq(values->predict_budget_percent, 0);
    ck_assert_uint_eq(values->predict_score, 2);
    ck_assert_uint_eq(values->predict_window_ms, 2000);
    ck_assert(!values->predict);
}
END_TEST

START_TEST(what_was_given_explicitly_outweighs_the_seed_rules)
{
    ck_assert_int_eq(READ_ARGS("-predict-cap", "8", "-predict-rules", "seed"), 0);
    ck_assert_int_eq(read_text("predict-scope client\npredict-share 2\n"), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert_uint_eq(values->predict_cap, 8);
    ck_assert_int_eq(values->predict_scope, CONF_SCOPE_CLIENT);
    ck_assert_uint_eq(values->predict_share, 2);
    ck_assert_uint_eq(values->predict_budget_percent, 0);
    restart();
    ck_assert_int_eq(read_text("predict-confidence 80\npredict-budget 3\npredict-rules seed\n"), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert_uint_eq(values->predict_confidence_percent, 80);
    ck_assert_uint_eq(values->predict_budget_percent, 3);
    ck_assert_uint_eq(values->predict_cap, 0);
    restart();
    ck_assert_int_eq(READ_ARGS("-predict-rules", "default"), 0);
    ck_assert_int_eq(read_text("predict-rules seed\n"), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert_uint_eq(values->predict_cap, 8);
}
END_TEST

START_TEST(forwarding_to_an_own_address_is_a_mistake)
{
    ck_assert_int_eq(READ_ARGS("-forward", "127.0.0.1@5353", "-forward", "127.0.0.1"), 0);
    ck_assert_int_eq(read_text("\nport 5353\n"), 0);
    ck_assert_int_eq(finish(), -1);
    ck_assert_uint_eq(heard.n, 1);
    check_mistake(0, 0, "-forward", "127.0.0.1:5353", "dnsd itself listens there");
    restart();
    ck_assert_int_eq(READ_ARGS("-forward", "127.0.0.1", "-listen", "127.0.0.1:54"), 0);
    ck_assert_int_eq(finish(), 0);
}
END_TEST

START_TEST(listeners_in_each_others_way_are_a_mistake)
{
    static const char *const ways[][3] = {{"127.0.0.1:54", "0.0.0.0:54", "0.0.0.0:54"},
        {"0.0.0.0:54", "127.0.0.1:54", "127.0.0.1:54"}, {"::1", "::", "[::]:53"},
        {"192.0.2.1", "192.0.2.1:53", "192.0.2.1:53"}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        ck_assert_int_eq(
            READ_ARGS("-poison", "p", "-listen", ways[i][0], "-listen", ways[i][1]), 0);
        ck_assert_int_eq(finish(), -1);
        ck_assert_uint_eq(heard.n, 1);
        check_mistake(0, 0, "-listen", ways[i][2],
            "this and another -listen are in each other's way; one is enough");
        restart();
    }
    ck_assert_int_eq(READ_ARGS("-poison", "p", "-listen", "0.0.0.0", "-listen", "::", "-listen",
                         "127.0.0.1:54", "-listen", "127.0.0.2:54"),
        0);
    ck_assert_int_eq(finish(), 0);
}
END_TEST

START_TEST(a_byte_order_mark_is_skipped)
{
    ck_assert_int_eq(read_text("\xef\xbb\xbfport 54\nprot 54"), -1);
    ck_assert_uint_eq(values->port, 54);
    ck_assert_uint_eq(heard.n, 1);
    ck_assert_uint_eq(heard.mistake[0].line, 2);
}
END_TEST

START_TEST(a_min_ttl_above_the_max_ttl_is_a_mistake)
{
    ck_assert_int_eq(READ_ARGS("-min-ttl", "30", "-max-ttl", "30"), 0);
    ck_assert_int_eq(finish(), 0);
    restart();
    ck_assert_int_eq(READ_ARGS("-max-ttl", "59"), 0);
    ck_assert_int_eq(read_text("\nmin-ttl 1m\n"), 0);
    ck_assert_int_eq(finish(), -1);
    ck_assert_uint_eq(heard.n, 1);
    check_mistake(0, 2, "min-ttl", "1m", "expected no more than max-ttl");
    restart();
    ck_assert_int_eq(READ_ARGS("-min-ttl", "1m"), 0);
    ck_assert_int_eq(read_text("max-ttl 59\nmin-ttl 1s\n"), 0);
    ck_assert_int_eq(finish(), -1);
    check_mistake(0, 0, "-min-ttl", "1m", "expected no more than max-ttl");
}
END_TEST

START_TEST(a_score_that_cannot_be_reached_is_a_mistake)
{
    ck_assert_int_eq(read_text("predict-rules seed\npredict-score 9\npredict-cap 8\n"), 0);
    ck_assert_int_eq(finish(), -1);
    check_mistake(
        0, 2, "predict-score", "9", "expected no more than predict-cap: no score could reach it");
    restart();
    ck_assert_int_eq(READ_ARGS("-predict-rules", "seed", "-predict-cap", "1"), 0);
    ck_assert_int_eq(finish(), -1);
    check_mistake(0, 0, "-predict-cap", "1",
        "expected no less than predict-score, or 0: no score could reach it");
    restart();
    ck_assert_int_eq(
        READ_ARGS("-predict-rules", "seed", "-predict-cap", "0", "-predict-score", "9"), 0);
    ck_assert_int_eq(finish(), 0);
    restart();
    ck_assert_int_eq(READ_ARGS("-predict-rules", "seed", "-predict-score", "9"), 0);
    ck_assert_int_eq(finish(), 0);
}
END_TEST

/* By the default rules a score has no cap, but a follower cannot be more likely than certain. */
START_TEST(a_likelihood_above_certainty_is_a_mistake)
{
    ck_assert_int_eq(READ_ARGS("-predict-cap", "1"), 0);
    ck_assert_int_eq(finish(), 0);
    restart();
    ck_assert_int_eq(READ_ARGS("-predict-confidence", "100%"), 0);
    ck_assert_int_eq(finish(), 0);
    restart();
    ck_assert_int_eq(read_text("predict-score 3\n"), 0); /* 3 / 2 of 68 % */
    ck_assert_int_eq(finish(), -1);
    check_mistake(0, 1, "predict-score", "3",
        "expected no more than 200% / predict-confidence: no follower could reach it");
    restart();
    ck_assert_int_eq(READ_ARGS("-predict-score", "3", "-predict-confidence", "66%"), 0);
    ck_assert_int_eq(finish(), 0);
}
END_TEST

START_TEST(a_dump_does_not_replace_what_was_learned)
{
    ck_assert_int_eq(READ_ARGS("-predict-file", "x", "-predict-dump", "x"), 0);
    ck_assert_int_eq(finish(), -1);
    check_mistake(0, 0, "-predict-dump", "x", "expected another file than predict-file");
    restart();
    ck_assert_int_eq(read_text("predict-file /x.tsv\npredict-dump /x\n"), 0);
    ck_assert_int_eq(finish(), -1);
    check_mistake(0, 2, "predict-dump", "/x", "expected another file than predict-file");
    restart();
    ck_assert_int_eq(READ_ARGS("-predict-file", "x.tsvb", "-predict-dump", "x"), 0);
    ck_assert_int_eq(finish(), 0);
    restart();
    ck_assert_int_eq(READ_ARGS("-predict-file", "x"), 0);
    ck_assert_int_eq(finish(), 0);
}
END_TEST

/* ---- the example, and noise ------------------------------------------------------------------ */

static char *example(size_t *len)
{
    FILE *f = fopen("dnsd.conf", "rb");
    char *text = malloc(65536);
    ck_assert_msg(f != NULL, "no dnsd.conf: run me in the project's directory");
    ck_assert_ptr_nonnull(text);
    *len = fread(text, 1, 65535, f);
    fclose(f);
    text[*len] = '\0';
    return text;
}

START_TEST(the_example_file_has_no_mistake)
{
    size_t len;
    char *text = example(&len);
    ck_assert_int_eq(conf_read_text(set, text, len, hear, &heard), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert_uint_eq(heard.n, 0);
    ck_assert(values->forward && values->predict);
    ck_assert_uint_eq(values->n_servers, 0);
    free(text);
}
END_TEST

START_TEST(the_example_file_shows_every_option_and_its_default)
{
    size_t len;
    char *text = example(&len);
    static struct conf fallback;

    memcpy(&fallback, values, sizeof(fallback));
    for (char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (line[0] == '#' && islower((unsigned char)line[1]))
            line[0] = ' ';
    }
    ck_assert_msg(read_text(text) == 0, "line %zu: %s: %s", heard.mistake[0].line,
        heard.mistake[0].option, heard.mistake[0].why);
    for (size_t i = 0; i < conf_n_rows(); i++) {
        char hidden[60], plain[60];
        snprintf(hidden, sizeof(hidden), "\n %s ", conf_row(i)->name);
        snprintf(plain, sizeof(plain), "\n%s ", conf_row(i)->name);
        bool shown = strstr(text, hidden) != NULL || strstr(text, plain) != NULL;
        ck_assert_msg(shown != conf_row(i)->command_line_only, "%s", conf_row(i)->name);
    }
    ck_assert_uint_eq(values->port, fallback.port);
    ck_assert_uint_eq(values->predict_window_ms, fallback.predict_window_ms);
    ck_assert_uint_eq(values->predict_score, fallback.predict_score);
    ck_assert_uint_eq(values->predict_confidence_percent, fallback.predict_confidence_percent);
    ck_assert_int_eq(values->predict_scope, fallback.predict_scope);
    ck_assert_uint_eq(values->predict_cap, fallback.predict_cap);
    ck_assert_int_eq(values->predict_rules, fallback.predict_rules);
    ck_assert_int_eq(values->predict_ttl0, fallback.predict_ttl0);
    ck_assert_uint_eq(values->predict_share, fallback.predict_share);
    ck_assert_uint_eq(values->predict_budget_percent, fallback.predict_budget_percent);
    ck_assert_uint_eq(values->cache_size_bytes, fallback.cache_size_bytes);
    ck_assert_uint_eq(values->max_ttl_s, fallback.max_ttl_s);
    ck_assert_uint_eq(values->min_ttl_s, fallback.min_ttl_s);
    ck_assert_uint_eq(values->stale_ttl_ms, fallback.stale_ttl_ms);
    ck_assert_str_eq(values->resolv_file, fallback.resolv_file);
    ck_assert(!values->trust_ad && !values->verbose);
    free(text);
}
END_TEST

/* Repeatable noise (xorshift64*). */
static uint64_t noise_state;

static uint64_t noise(void)
{
    noise_state ^= noise_state >> 12;
    noise_state ^= noise_state << 25;
    noise_state ^= noise_state >> 27;
    return noise_state * UINT64_C(2685821657736338717);
}

static size_t n_reports;

static void count_report(
    void *ctx, size_t line, const char *option, const char *value, const char *why)
{
    (void)ctx, (void)line;
    ck_assert_uint_lt(strlen(option), 300);
    ck_assert_uint_lt(strlen(value), 1100);
    ck_assert_uint_gt(strlen(why), 0);
    n_reports++;
}

/* What is true of any set, whatever was read. */
static void check_values(void)
{
    ck_assert_uint_le(values->n_servers, CONF_SERVERS_MAX);
    ck_assert_uint_le(values->n_listen, CONF_LIST_MAX);
    ck_assert_uint_le(values->n_allow, CONF_LIST_MAX);
    ck_assert_uint_ge(values->port, 1);
    ck_assert(values->predict_window_ms >= 10 && values->predict_window_ms <= 3600000);
    ck_assert_uint_ge(values->cache_size_bytes, 256 * 1024);
    ck_assert_uint_le(values->max_ttl_s, 604800);
    ck_assert_ptr_nonnull(memchr(values->poison, '\0', CONF_PATH_MAX));
    ck_assert_ptr_nonnull(memchr(values->user, '\0', sizeof(values->user)));
}

/* Words of the file's own kind, so that noise gets past the first check. */
static size_t put_noise(char *out, size_t cap)
{
    static const char *const pieces[] = {" ", "\n", "\r\n", "\t", "#", ";", "\"", "=", "-",
        "9.9.9.9", "::1", "/8", "10ms", "1G", "50%", "yes", "no", "seed", "client", "4294967296"};
    size_t n = noise() % 40, len = 0;

    for (size_t i = 0; i < n && len + 40 < cap; i++) {
        uint64_t kind = noise() % 8;
        if (kind == 0) {
            out[len++] = (char)noise();
        } else {
            const char *piece = kind < 3 ? conf_row(noise() % conf_n_rows())->name
                                         : pieces[noise() % (sizeof(pieces) / sizeof(*pieces))];
            memcpy(out + len, piece, strlen(piece));
            len += strlen(piece);
        }
        if (kind == 1)
            out[len++] = ' ';
    }
    return len;
}

START_TEST(noise_in_the_file_does_no_harm)
{
    noise_state = 42;
    n_reports = 0;
    for (int i = 0; i < 20000; i++) {
        char buf[2000];
        size_t len = put_noise(buf, sizeof(buf));
        /* In a block of its own length, so that reading behind it is noticed. */
        char *text = malloc(len > 0 ? len : 1);
        ck_assert_ptr_nonnull(text);
        memcpy(text, buf, len);
        restart();
        size_t before = n_reports;
        int result = conf_read_text(set, text, len, count_report, NULL);
        ck_assert_int_eq(result, n_reports > before ? -1 : 0);
        conf_finish(set, count_report, NULL);
        check_values();
        free(text);
    }
    ck_assert_uint_gt(n_reports, 20000);
}
END_TEST

START_TEST(any_bytes_as_a_file_do_no_harm)
{
    noise_state = 7;
    for (int i = 0; i < 200; i++) {
        size_t len = noise() % 20000;
        char *text = malloc(len + 1);
        ck_assert_ptr_nonnull(text);
        for (size_t j = 0; j < len; j++)
            text[j] = (char)(noise() >> 32);
        restart();
        n_reports = 0;
        int result = conf_read_text(set, text, len, count_report, NULL);
        ck_assert_int_eq(result, n_reports > 0 ? -1 : 0);
        check_values();
        free(text);
    }
}
END_TEST

START_TEST(noise_on_the_command_line_does_no_harm)
{
    noise_state = 99;
    for (int i = 0; i < 5000; i++) {
        char args[6][2000];
        const char *argv[7] = {"dnsd"};
        for (size_t j = 0; j < 6; j++) {
            size_t len = put_noise(args[j] + 1, sizeof(args[j]) - 2);
            args[j][0] = '-';
            args[j][len + 1] = '\0';
            argv[j + 1] = args[j] + noise() % 2;
        }
        restart();
        n_reports = 0;
        int result = conf_read_args(set, 7, argv, count_report, NULL);
        ck_assert_int_eq(result, n_reports > 0 ? -1 : 0);
        check_values();
    }
}
END_TEST

/* ---- suite ----------------------------------------------------------------------------------- */

static TCase *add_case(Suite *s, const char *name)
{
    TCase *t = tcase_create(name);
    tcase_add_checked_fixture(t, start, end);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return t;
}

static void add_reading(Suite *s)
{
    TCase *t = add_case(s, "forms");
    tcase_add_test(t, table_is_complete_and_fit_for_help_and_manual);
    tcase_add_test(t, a_line_of_help_fits_a_terminal);
    tcase_add_test(t, words_are_named_in_what_is_expected);
    tcase_add_test(t, defaults_are_those_of_the_design);
    tcase_add_test(t, nothing_said_listens_at_loopback_only_and_has_no_mode);
    tcase_add_loop_test(t, option_is_read_in_every_form, 0, N_SAMPLES);
    tcase_add_test(t, every_option_has_a_sample_here);
    tcase_add_loop_test(t, a_changed_option_is_seen_and_no_other, 0, N_SAMPLES);
    tcase_add_loop_test(t, a_list_with_another_value_differs, 0, 6);
    tcase_add_test(t, values_arrive_where_they_belong);
    tcase_add_test(t, forward_takes_the_next_argument_unless_it_is_an_option);
    tcase_add_test(t, switches_can_be_turned_off_again);
    tcase_add_test(t, switches_do_not_swallow_the_next_argument);
    tcase_add_test(t, last_one_on_the_command_line_counts);

    t = add_case(s, "values");
    tcase_add_loop_test(t, bounds_hold_and_are_told, 0, N_BOUNDS);
    tcase_add_test(t, every_option_with_bounds_is_tested_for_them);
    tcase_add_test(t, values_at_their_bounds_are_exact);
    tcase_add_test(t, units_mean_what_they_say);
    tcase_add_test(t, numbers_that_are_none_are_refused);
    tcase_add_test(t, a_ttl_has_whole_seconds);
    tcase_add_test(t, texts_that_do_not_fit_are_refused);
    tcase_add_test(t, users_that_cannot_be_are_refused);
    tcase_add_test(t, the_sandbox_is_on_unless_it_is_said_to_be_off);
    tcase_add_test(t, addresses_that_are_none_are_refused);
    tcase_add_test(t, a_value_given_twice_in_a_list_is_a_mistake);
    tcase_add_test(t, names_that_are_none_are_refused);
    tcase_add_test(t, lists_end_where_they_are_full);
}

static void add_mistakes(Suite *s)
{
    TCase *t = add_case(s, "messages");
    tcase_add_test(t, a_missing_value_is_told);
    tcase_add_test(t, an_unknown_option_is_answered_with_the_nearest_one);
    tcase_add_test(t, the_value_of_an_unknown_option_is_no_second_mistake);
    tcase_add_test(t, arguments_that_are_no_options_are_told);
    tcase_add_test(t, every_mistake_is_reported_with_its_line);
    tcase_add_test(t, what_is_not_printable_is_escaped);
    tcase_add_test(t, a_long_option_or_value_is_cut_in_the_message);

    t = add_case(s, "file");
    tcase_add_test(t, comments_blanks_and_line_ends_mean_nothing);
    tcase_add_test(t, quotes_hold_blanks_and_comment_signs);
    tcase_add_test(t, an_equals_sign_in_the_file_is_told);
    tcase_add_test(t, a_dash_in_the_file_is_told);
    tcase_add_test(t, the_same_option_twice_in_the_file_names_the_first_line);
    tcase_add_test(t, options_for_the_command_line_only_are_told);
    tcase_add_test(t, a_file_that_is_no_text_is_told);
    tcase_add_test(t, a_line_that_is_too_long_is_told_and_the_next_one_read);
    tcase_add_test(t, a_path_in_the_file_may_be_as_long_as_any);
}

static void add_together(Suite *s)
{
    TCase *t = add_case(s, "together");
    tcase_add_test(t, the_command_line_wins_over_the_file);
    tcase_add_test(t, a_bare_forward_on_the_command_line_leaves_out_the_files_servers);
    tcase_add_test(t, what_the_command_line_outweighs_is_still_checked);
    tcase_add_test(t, prediction_implies_forwarding);
    tcase_add_test(t, a_no_to_prediction_outweighs_the_window_of_the_same_place);
    tcase_add_test(t, seed_rules_are_those_of_2007);
    tcase_add_test(t, what_was_given_explicitly_outweighs_the_seed_rules);
    tcase_add_test(t, listeners_in_each_others_way_are_a_mistake);
    tcase_add_test(t, forwarding_to_an_own_address_is_a_mistake);
    tcase_add_test(t, a_byte_order_mark_is_skipped);
    tcase_add_test(t, a_min_ttl_above_the_max_ttl_is_a_mistake);
    tcase_add_test(t, a_score_that_cannot_be_reached_is_a_mistake);
    tcase_add_test(t, a_likelihood_above_certainty_is_a_mistake);
    tcase_add_test(t, a_dump_does_not_replace_what_was_learned);

    t = add_case(s, "example and noise");
    tcase_add_test(t, the_example_file_has_no_mistake);
    tcase_add_test(t, the_example_file_shows_every_option_and_its_default);
    tcase_add_test(t, noise_in_the_file_does_no_harm);
    tcase_add_test(t, any_bytes_as_a_file_do_no_harm);
    tcase_add_test(t, noise_on_the_command_line_does_no_harm);
}

int main(void)
{
    Suite *s = suite_create("conf");
    SRunner *runner = srunner_create(s);
    int failed;

    add_reading(s);
    add_mistakes(s);
    add_together(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
