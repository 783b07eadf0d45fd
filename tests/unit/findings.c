/* tests/unit/findings.c: findings that are made by hand, and what their table and JSON must say.
 * Never looks at how they come about. */
#include "tools/findings.h"

#include "tests/unit/scarce.h"

#include <check.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* ---- findings -------------------------------------------------------------------------------- */

struct stage {
    struct rehearsal_conf conf;
    struct rehearsal result;
    struct grid_point points[3];
    struct grid grid;
    struct findings f;
};

/* n questions of n_clients clients, spread evenly over span_ms. */
static struct trace *make_trace(unsigned n, unsigned n_clients, uint64_t span_ms)
{
    uint8_t name[] = "\1a\7example";
    struct trace *t = trace_create();
    ck_assert_ptr_nonnull(t);
    for (unsigned i = 0; i < n; i++) {
        struct trace_arrival a = {.at_ms = n > 1 ? span_ms * i / (n - 1) : 0,
            .has_year = true,
            .client = {(uint8_t)(i % n_clients)},
            .question = {.name = name,
                .name_len = sizeof name,
                .type = WIRE_TYPE_A,
                .class = WIRE_CLASS_IN}};
        ck_assert_int_eq(trace_add(t, &a), 0);
    }
    trace_counts(t)->form = TRACE_TEXT;
    return t;
}

/* Half of what two clients waited is saved: 10 waits of 30 ms. */
static void start(struct stage *s)
{
    memset(s, 0, sizeof *s);
    s->conf = (struct rehearsal_conf){
        .rtt_ms = 30, .prediction = {.window_ms = 2000, .score = 2, .confidence_percent = 66}};
    s->result = (struct rehearsal){.queries = 40,
        .upstream = 20,
        .upstream_predicted = 21,
        .waits = 10,
        .saved_ms = 150,
        .prefetches = 8,
        .in_window = 6,
        .pairs_peak = 12,
        .bytes_peak = 4096};
    s->points[0] = (struct grid_point){
        .window_ms = 60000, .score = 2, .confidence_percent = 50, .saved = .75, .extra = .25};
    s->points[1] = (struct grid_point){
        .window_ms = 1500, .score = 2, .confidence_percent = 70, .saved = .5, .extra = -.01};
    s->points[2] = (struct grid_point){
        .window_ms = 1500, .score = 2, .confidence_percent = 80, .saved = .4, .extra = .01};
    s->points[0].frontier = s->points[1].frontier = true;
    s->points[1].result = (struct rehearsal){.prefetches = 7, .in_window = 7, .pairs_peak = 9};
    s->grid = (struct grid){.points = s->points, .n = 3, .best = 1};
    s->f = (struct findings){.path = "day.log",
        .trace = make_trace(40, 2, 90000),
        .conf = &s->conf,
        .result = &s->result,
        .extra_max = .08};
}

static void end(struct stage *s)
{
    trace_free(s->f.trace);
}

/* To be freed. */
static char *text_of(const struct stage *s)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(findings_print(&s->f, out), 0);
    fclose(out);
    return text;
}

static void must_say(const struct stage *s, const char *line)
{
    char *text = text_of(s);
    ck_assert_msg(strstr(text, line) != NULL, "\"%s\" is not in\n%s", line, text);
    free(text);
}

static void must_not_say(const struct stage *s, const char *line)
{
    char *text = text_of(s);
    ck_assert_msg(strstr(text, line) == NULL, "\"%s\" is in\n%s", line, text);
    free(text);
}

/* ---- the table ------------------------------------------------------------------------------- */

START_TEST(the_table_is_what_was_counted)
{
    static const char expected[] =
        "day.log: 40 questions of 2 clients in 90.0 seconds\n"
        "\n"
        "-predict-window 2s -predict-score 2 -predict-confidence 66%\n"
        "\n"
        "queries                  40    \n"
        "upstream                 20    without prediction\n"
        "waits                    10    of these, but for the first after 5 s of silence\n"
        "saved                 50.00 %  of the waiting\n"
        "prefetches                8    \n"
        "precision             75.00 %  asked for within the window\n"
        "extra                 +5.00 %  upstream\n"
        "pairs                    12    at the peak\n"
        "bytes                  4096    at the peak\n"
        "time saved             15.0 ms of the 30 ms that a wait takes\n"
        "                        0.1 s  in all, 0.1 s for a client\n";
    struct stage s;
    start(&s);
    s.result.saved_ms = 150;
    char *text = text_of(&s);
    ck_assert_str_eq(text, expected);
    free(text);
    end(&s);
}
END_TEST

START_TEST(what_was_left_out_is_told_and_what_was_not_is_not)
{
    static const char *const rows[] = {"  11 packets hold no question\n",
        "  12 questions are left out: dnsd answers or refuses them itself\n",
        "  13 questions are left out: retransmissions\n",
        "  14 packets are left out: cut short, or not DNS\n",
        "  15 TCP streams are left out from where a segment is missing\n",
        "  times are whole seconds: questions of one second are spread over it\n",
        "shed                     16    prefetches, for want of budget or room\n",
        "unlisted                 17    queries not learned from, for want of room\n",
        "evictions                18    of fresh answers, for want of room\n"};
    struct stage s;
    start(&s);
    must_not_say(&s, "left out");
    must_not_say(&s, "hold no question");
    must_not_say(&s, "for want of");
    must_not_say(&s, "whole seconds");
    struct trace_counts *n = trace_counts(s.f.trace);
    *n = (struct trace_counts){.form = TRACE_PCAP,
        .other = 11,
        .local = 12,
        .repeats = 13,
        .cut = 14,
        .torn = 15,
        .whole_seconds = true};
    s.result.shed = 16;
    s.result.unlisted = 17;
    s.result.evictions = 18;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        must_say(&s, rows[i]);
    n->form = TRACE_DNSMASQ;
    must_say(&s, "  11 lines hold no question\n");
    end(&s);
}
END_TEST

START_TEST(a_span_has_the_unit_that_people_use)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } spans[] = {{0, "in 0.0 seconds\n"}, {119900, "in 119.9 seconds\n"},
        {120000, "in 2.0 minutes\n"}, {5400000, "in 90.0 minutes\n"}, {7200000, "in 2.0 hours\n"},
        {86400000, "in 24.0 hours\n"}, {172800000, "in 2.0 days\n"},
        {UINT64_C(31536000000), "in 365.0 days\n"}};
    struct stage s;
    start(&s);
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        trace_free(s.f.trace);
        s.f.trace = make_trace(2, 2, spans[i].ms);
        must_say(&s, spans[i].text);
    }
    end(&s);
}
END_TEST

START_TEST(a_single_question_that_nobody_waited_for)
{
    struct stage s;
    start(&s);
    trace_free(s.f.trace);
    s.f.trace = make_trace(1, 1, 0);
    s.result = (struct rehearsal){.queries = 1, .upstream = 1, .upstream_predicted = 1};
    must_say(&s, "day.log: 1 question of 1 client in 0.0 seconds\n");
    must_say(&s, "time saved              0.0 ms of the 30 ms");
    must_say(&s, "extra                 +0.00 %");
    must_not_say(&s, "nan");
    end(&s);
}
END_TEST

START_TEST(the_grid_shows_what_is_worth_having_the_cheapest_first)
{
    static const char expected[] =
        "\nOf 3 settings 2 are worth having: none saves more for as little.\n\n"
        "   window  score  confidence      saved      extra  precision  prefetches      pairs\n"
        ">  1500ms      2         70%    50.00 %    -1.00 %   100.00 %           7          9\n"
        "       1m      2         50%    75.00 %   +25.00 %     0.00 %           0          0\n"
        "\nrecommended within +8 %:\n"
        "    -predict-window 1500ms -predict-score 2 -predict-confidence 70%\n"
        "    saves 50.00 % for -1.00 %\n";
    struct stage s;
    start(&s);
    must_not_say(&s, "worth having");
    s.f.grid = &s.grid;
    char *text = text_of(&s);
    const char *at = strstr(text, "\nOf 3");
    ck_assert_ptr_nonnull(at);
    ck_assert_str_eq(at, expected);
    free(text);
    end(&s);
}
END_TEST

START_TEST(a_grid_that_recommends_nothing_says_so)
{
    struct stage s;
    start(&s);
    s.f.grid = &s.grid;
    s.points[0].frontier = false;
    must_say(&s, "\nOf 3 settings 1 is worth having: ");
    s.grid.best = GRID_NONE;
    s.f.extra_max = 0;
    must_say(&s, "\nno setting saves anything within +0 %\n");
    must_not_say(&s, "recommended");
    must_not_say(&s, "\n>");
    end(&s);
}
END_TEST

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *json_of(const struct stage *s)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(findings_print_json(&s->f, out), 0);
    fclose(out);
    json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(all);
    free(text);
    return all;
}

static double number(const json_t *all, const char *group, const char *member)
{
    const json_t *at = json_object_get(json_object_get(all, group), member);
    ck_assert_msg(json_is_number(at), "%s.%s", group, member);
    return json_number_value(at);
}

START_TEST(json_is_what_was_counted)
{
    struct stage s;
    start(&s);
    trace_counts(s.f.trace)->torn = 5;
    json_t *all = json_of(&s);
    ck_assert_str_eq(
        json_string_value(json_object_get(json_object_get(all, "trace"), "file")), "day.log");
    ck_assert(number(all, "trace", "questions") == 40);
    ck_assert(number(all, "trace", "clients") == 2);
    ck_assert(number(all, "trace", "span_ms") == 90000);
    ck_assert(number(all, "trace", "torn") == 5);
    ck_assert(number(all, "setting", "confidence_percent") == 66);
    ck_assert(number(all, "result", "saved") == .5);
    ck_assert(number(all, "result", "precision") == .75);
    ck_assert(json_number_value(json_object_get(all, "rtt_ms")) == 30);
    ck_assert_ptr_null(json_object_get(all, "grid"));
    ck_assert_ptr_null(json_object_get(all, "recommended"));
    json_decref(all);
    end(&s);
}
END_TEST

START_TEST(json_names_the_form_as_the_option_does)
{
    static const char *const names[] = {[TRACE_TEXT] = "text",
        [TRACE_DNSMASQ] = "dnsmasq",
        [TRACE_UNBOUND] = "unbound",
        [TRACE_DNSD] = "dnsd",
        [TRACE_PCAP] = "pcap"};
    struct stage s;
    start(&s);
    for (enum trace_form form = TRACE_TEXT; form <= TRACE_PCAP; form++) {
        trace_counts(s.f.trace)->form = form;
        json_t *all = json_of(&s);
        ck_assert_str_eq(
            json_string_value(json_object_get(json_object_get(all, "trace"), "form")), names[form]);
        json_decref(all);
    }
    end(&s);
}
END_TEST

START_TEST(json_has_every_setting_and_null_where_none_is_recommended)
{
    struct stage s;
    start(&s);
    s.f.grid = &s.grid;
    s.points[1].result.unlisted = 4;
    json_t *all = json_of(&s);
    ck_assert_uint_eq(json_array_size(json_object_get(all, "grid")), 3);
    const json_t *best = json_object_get(all, "recommended");
    ck_assert(number(best, "setting", "window_ms") == 1500);
    ck_assert(number(best, "result", "prefetches") == 7);
    ck_assert(number(best, "result", "unlisted") == 4);
    ck_assert(json_is_true(json_object_get(best, "frontier")));
    ck_assert(json_number_value(json_object_get(all, "extra_max")) == .08);
    json_decref(all);
    s.grid.best = GRID_NONE;
    all = json_of(&s);
    ck_assert(json_is_null(json_object_get(all, "recommended")));
    json_decref(all);
    end(&s);
}
END_TEST

/* ---- memory that runs out -------------------------------------------------------------------- */

START_TEST(memory_that_runs_out_is_told_and_never_half_a_table)
{
    FILE *nowhere = fopen("/dev/null", "w");
    struct stage s;
    ck_assert_ptr_nonnull(nowhere);
    start(&s);
    s.f.grid = &s.grid;
    scarce_begin(1, 1);
    int failed = findings_print(&s.f, nowhere);
    ck_assert_uint_ge(scarce_end(), 1);
    ck_assert_int_eq(failed, -1);
    fclose(nowhere);
    end(&s);
}
END_TEST

/* Each of jansson's allocations in turn: a whole object, or none. Only the file's name may be
 * missing, as one is that is no text. */
START_TEST(memory_that_runs_out_leaves_no_half_object)
{
    unsigned n = 0, taken, without_name = 0;
    struct stage s;
    start(&s);
    s.f.grid = &s.grid;
    json_set_alloc_funcs(scarce_malloc, free);
    do {
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);
        ck_assert_ptr_nonnull(out);
        scarce_begin(++n, 1);
        int failed = findings_print_json(&s.f, out);
        taken = scarce_end();
        fclose(out);
        ck_assert_int_eq(len > 0, failed == 0);
        without_name += failed == 0 && strstr(text, "\"file\"") == NULL;
        ck_assert_msg(failed < 0 || taken < n || strstr(text, "\"file\"") == NULL,
            "allocation %u of %u: %s", n, taken, text);
        free(text);
    } while (taken >= n);
    ck_assert_uint_gt(n, 50);
    ck_assert_uint_le(without_name, 2);
    end(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("findings");
    TCase *tc = tcase_create("findings");
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    tcase_add_test(tc, the_table_is_what_was_counted);
    tcase_add_test(tc, what_was_left_out_is_told_and_what_was_not_is_not);
    tcase_add_test(tc, a_span_has_the_unit_that_people_use);
    tcase_add_test(tc, a_single_question_that_nobody_waited_for);
    tcase_add_test(tc, the_grid_shows_what_is_worth_having_the_cheapest_first);
    tcase_add_test(tc, a_grid_that_recommends_nothing_says_so);
    tcase_add_test(tc, json_is_what_was_counted);
    tcase_add_test(tc, json_names_the_form_as_the_option_does);
    tcase_add_test(tc, json_has_every_setting_and_null_where_none_is_recommended);
    tcase_add_test(tc, memory_that_runs_out_is_told_and_never_half_a_table);
    tcase_add_test(tc, memory_that_runs_out_leaves_no_half_object);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
