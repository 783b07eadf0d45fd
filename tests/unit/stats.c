/* stats.c: knows which figure must stand in which text. The modules that are asked for figures are
 * played here; never the real ones. */
#include "ops/stats.h"

#include "ops/log.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the modules, played --------------------------------------------------------------------- */

static struct cache_counts cache_figures;
static struct flight_counts flight_figures;
static struct predict_counts predict_figures;
static struct query_counts query_figures;
static struct exchange_counts exchange_figures;
static struct server_state server_figures[SERVERS_MAX];
static size_t n_servers;
static char logged[1 << 16];

void cache_count(const struct cache *c, struct cache_counts *out)
{
    (void)c;
    *out = cache_figures;
}

void flight_count(const struct flights *f, struct flight_counts *out)
{
    (void)f;
    *out = flight_figures;
}

void predict_count(const struct predict *p, struct predict_counts *out)
{
    (void)p;
    *out = predict_figures;
}

void query_count(const struct query_desk *d, struct query_counts *out)
{
    (void)d;
    *out = query_figures;
}

void exchange_count(const struct upstream *u, struct exchange_counts *out)
{
    (void)u;
    *out = exchange_figures;
}

int servers_state(const struct servers *s, size_t i, uint64_t now_ms, struct server_state *out)
{
    (void)s, (void)now_ms;
    if (i >= n_servers)
        return -1;
    *out = server_figures[i];
    return 0;
}

void log_info(const char *format, ...)
{
    size_t len = strlen(logged);
    va_list args;
    va_start(args, format);
    vsnprintf(logged + len, sizeof(logged) - len - 1, format, args);
    va_end(args);
    strcat(logged, "\n");
}

/* The played modules look at no pointer, so that any will do. */
static char anything;
static struct stats_sources sources;

static void set_up(void)
{
    void *p = &anything;
    sources = (struct stats_sources){
        .cache = p, .flights = p, .predict = p, .desk = p, .servers = p, .upstream = p};
    logged[0] = '\0';
    n_servers = 0;
}

static void add_server(const char *address, uint64_t asked, uint64_t silent, uint64_t refused)
{
    struct server_state *s = &server_figures[n_servers++];
    *s = (struct server_state){
        .asked = asked, .answered = 7, .silent = silent, .refused = refused, .srtt_ms = 21};
    ck_assert_int_eq(addr_parse(address, 53, &s->addr), 0);
}

static const char *chaos(const char *wire_name, size_t len)
{
    return stats_chaos(&sources, (const uint8_t *)wire_name, len, 0);
}

#define CHAOS(literal) chaos(literal, sizeof(literal)) /* the NUL is the root */

/* ---- CH TXT ---------------------------------------------------------------------------------- */

START_TEST(the_version_has_our_name)
{
    ck_assert_str_eq(CHAOS("\7version\4bind"), "dnsd " DNSD_VERSION);
    ck_assert_str_eq(CHAOS("\7version\6server"), "dnsd " DNSD_VERSION);
    ck_assert_str_eq(CHAOS("\7VERSION\4BiNd"), "dnsd " DNSD_VERSION);
}
END_TEST

START_TEST(the_host_tells_its_name)
{
    char name[256] = "";
    ck_assert_int_eq(gethostname(name, sizeof(name) - 1), 0);
    ck_assert_str_eq(CHAOS("\2id\6server"), name);
    ck_assert_str_eq(CHAOS("\10hostname\4bind"), name);
}
END_TEST

START_TEST(other_names_have_no_text)
{
    static const uint8_t too_long[300];
    ck_assert_ptr_null(CHAOS("\7version"));
    ck_assert_ptr_null(CHAOS("\14version.bind"));
    ck_assert_ptr_null(CHAOS("\1x\7version\4bind"));
    ck_assert_ptr_null(CHAOS(""));
    ck_assert_ptr_null(stats_chaos(&sources, too_long, sizeof(too_long), 0));
}
END_TEST

START_TEST(each_figure_of_the_cache_has_its_name)
{
    cache_figures = (struct cache_counts){
        .hits = 1, .misses = UINT64_MAX, .insertions = 3, .evictions = 4, .bytes_budget = 67108864};
    ck_assert_str_eq(CHAOS("\4hits\4bind"), "1");
    ck_assert_str_eq(CHAOS("\6misses\4bind"), "18446744073709551615");
    ck_assert_str_eq(CHAOS("\12insertions\4bind"), "3");
    ck_assert_str_eq(CHAOS("\11evictions\4bind"), "4");
    ck_assert_str_eq(CHAOS("\11cachesize\4bind"), "67108864");
}
END_TEST

START_TEST(servers_are_told_one_by_one)
{
    add_server("9.9.9.9", 10, 2, 1);
    add_server("[2620:fe::fe]:5353", 4, 0, 0);
    ck_assert_str_eq(CHAOS("\7servers\4bind"), "9.9.9.9#53 10 3, 2620:fe::fe#5353 4 0");
}
END_TEST

START_TEST(many_servers_are_cut_between_two)
{
    for (int i = 0; i < SERVERS_MAX; i++)
        add_server("[2001:db8:1111:2222:3333:4444:5555:6666]:53", 1000000, 500, 500);
    const char *text = CHAOS("\7servers\4bind");
    ck_assert_uint_le(strlen(text), STATS_TEXT_MAX);
    ck_assert_uint_gt(strlen(text), 100);
    ck_assert_str_eq(text + strlen(text) - strlen("#53 1000000 1000"), "#53 1000000 1000");
}
END_TEST

START_TEST(prediction_fits_into_one_string_whatever_the_figures)
{
    predict_figures = (struct predict_counts){.prefetches = 5,
        .used = 3,
        .used_late = 1,
        .unused = 1,
        .early = 2,
        .own = 80,
        .saved_ms = 120,
        .measured_ms = -7,
        .pairs = 6,
        .bytes = 900};
    ck_assert_str_eq(CHAOS("\7predict\4bind"),
        "prefetches 5, used 3, late 1, unused 1, saved 120 ms, pairs 6, bytes 900, extra 3.8 %");
    predict_figures.waits[PREDICT_CONTROL].bursts = 1;
    ck_assert_str_eq(CHAOS("\7predict\4bind"),
        "prefetches 5, used 3, late 1, unused 1, saved 120 ms, pairs 6, bytes 900, extra 3.8 %, "
        "measured -7 ms");
    memset(&predict_figures, 0xff, sizeof(predict_figures));
    ck_assert_uint_le(strlen(CHAOS("\7predict\4bind")), STATS_TEXT_MAX);
    ck_assert_ptr_nonnull(strstr(CHAOS("\7predict\4bind"), "bytes 18446744073709551615"));
    predict_figures.own = 1;
    ck_assert_uint_le(strlen(CHAOS("\7predict\4bind")), STATS_TEXT_MAX);
    ck_assert_ptr_nonnull(strstr(CHAOS("\7predict\4bind"), "bytes 18446744073709551615"));
}
END_TEST

START_TEST(what_does_not_run_has_figures_too)
{
    sources = (struct stats_sources){0};
    ck_assert_str_eq(CHAOS("\4hits\4bind"), "0");
    ck_assert_str_eq(CHAOS("\7servers\4bind"), "");
    ck_assert_str_eq(CHAOS("\7predict\4bind"), "off");
    stats_log(&sources, 0);
    ck_assert_str_eq(logged, "");
}
END_TEST

/* ---- the log --------------------------------------------------------------------------------- */

START_TEST(the_log_has_a_line_a_subject)
{
    cache_figures = (struct cache_counts){.hits = 3, .misses = 1, .entries = 2};
    query_figures = (struct query_counts){.udp = 11, .tcp = 12, .waiting = 13};
    query_figures.by_source[QUERY_OVERRIDE] = 14;
    predict_figures = (struct predict_counts){.prefetches = 5, .requests = 6};
    add_server("9.9.9.9", 10, 2, 1);
    server_figures[0].left_alone = true;
    stats_log(&sources, 0);
    ck_assert_ptr_nonnull(strstr(logged, "questions: 11 over UDP, 12 over TCP; 13 waiting"));
    ck_assert_ptr_nonnull(strstr(logged, "overrides 14,"));
    ck_assert_ptr_nonnull(strstr(logged, "cache: 2 answers"));
    ck_assert_ptr_nonnull(strstr(logged, "3 hits, 1 misses (75 % hits)"));
    ck_assert_ptr_nonnull(strstr(logged, "server 9.9.9.9:53: 10 asked, 7 answered, 2 silent, "
                                         "1 refused; 21 ms; left alone for now\n"));
    ck_assert_ptr_nonnull(strstr(logged, "prediction: 5 prefetches for 6 questions"));
}
END_TEST

START_TEST(prediction_tells_what_it_costs_and_what_it_saves)
{
    predict_figures = (struct predict_counts){.prefetches = 50,
        .requests = 600,
        .used = 30,
        .used_late = 10,
        .unused = 8,
        .early = 4,
        .own = 200,
        .shed = 3,
        .saved_ms = 1500,
        .measured_ms = 1260,
        .unlisted = 70,
        .waits[PREDICT_TREATED] = {
            .bursts = 20, .questions = 160, .waits = 40, .waiting_ms = 1300}};
    stats_log(&sources, 0);
    ck_assert_ptr_nonnull(strstr(logged, "30 used in time, 10 used late, 8 unused, 3 not sent; "
                                         "1500 ms of waiting saved\n"));
    ck_assert_ptr_nonnull(strstr(logged, "costs: 6.0 % more questions upstream than the clients' "
                                         "own 200: 8 unused, 4 where"));
    ck_assert_ptr_nonnull(strstr(logged, "bursts with prefetch: 160 questions after the first, in "
                                         "20 bursts; 40 of them waited (25 %), 8.1 ms a "
                                         "question\n"));
    ck_assert_ptr_null(strstr(logged, "control"));
    ck_assert_ptr_nonnull(strstr(logged, "bytes; 70 questions not learned from\n"));
    predict_figures.waits[PREDICT_CONTROL] =
        (struct predict_waits){.bursts = 1, .questions = 10, .waits = 6, .waiting_ms = 160};
    stats_log(&sources, 0);
    ck_assert_ptr_nonnull(strstr(logged, "control bursts without: 10 questions after the first, in "
                                         "1 bursts; 6 of them waited (60 %), 16.0 ms a "
                                         "question\n"));
    ck_assert_ptr_nonnull(
        strstr(logged, "measured against the control bursts: 1260 ms of waiting saved\n"));
}
END_TEST

START_TEST(no_question_yet_is_no_division_by_zero)
{
    cache_figures = (struct cache_counts){0};
    predict_figures = (struct predict_counts){.waits[PREDICT_CONTROL] = {.bursts = 1}};
    stats_log(&sources, 0);
    ck_assert_ptr_nonnull(strstr(logged, "(0 % hits)"));
    ck_assert_ptr_nonnull(strstr(logged, "costs: 0.0 % more"));
    ck_assert_ptr_nonnull(strstr(logged, "0.0 ms a question"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stats");
    TCase *texts = tcase_create("texts");
    tcase_add_checked_fixture(texts, set_up, NULL);
    tcase_add_test(texts, the_version_has_our_name);
    tcase_add_test(texts, the_host_tells_its_name);
    tcase_add_test(texts, other_names_have_no_text);
    tcase_add_test(texts, each_figure_of_the_cache_has_its_name);
    tcase_add_test(texts, servers_are_told_one_by_one);
    tcase_add_test(texts, many_servers_are_cut_between_two);
    tcase_add_test(texts, prediction_fits_into_one_string_whatever_the_figures);
    tcase_add_test(texts, what_does_not_run_has_figures_too);
    tcase_add_test(texts, the_log_has_a_line_a_subject);
    tcase_add_test(texts, prediction_tells_what_it_costs_and_what_it_saves);
    tcase_add_test(texts, no_question_yet_is_no_division_by_zero);
    suite_add_tcase(suite, texts);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
