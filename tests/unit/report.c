/* report.c: knows a few visits and what their table and JSON must say.
 * Never looks at how they are summed up. */
#include "tools/report.h"

#include "tests/unit/scarce.h"

#include <check.h>
#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static const char *const paths[] = {"a.tree", "b.tree", "c.tree", "d.tree"};

static struct report *create(size_t n_trees, bool bars, size_t columns)
{
    struct report_plan plan = {.server = "127.0.0.1:53",
        .trees = paths,
        .n_trees = n_trees,
        .bars = bars,
        .columns = columns};
    struct report *r = report_create(&plan);
    ck_assert_ptr_nonnull(r);
    return r;
}

/* The row of a visit, added and printed; to be freed. */
static char *row_of(struct report *r, const struct visit_result *results)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(report_add(r, results), 0);
    report_print_row(r, out);
    fclose(out);
    return text;
}

static void assert_row(struct report *r, const struct visit_result *results, const char *expected)
{
    char *row = row_of(r, results);
    ck_assert_str_eq(row, expected);
    free(row);
}

START_TEST(spreads_are_those_worked_out_by_hand)
{
    double one[] = {7}, two[] = {4, 1}, three[] = {9, 1, 2}, four[] = {8, 1, 4, 2};
    struct report_spread s = report_spread(one, 1);
    ck_assert(s.min == 7 && s.median == 7 && s.max == 7);
    s = report_spread(two, 2);
    ck_assert(s.min == 1 && s.median == 2.5 && s.max == 4);
    s = report_spread(three, 3);
    ck_assert(s.min == 1 && s.median == 2 && s.max == 9);
    s = report_spread(four, 4);
    ck_assert(s.min == 1 && s.median == 3 && s.max == 8);
}
END_TEST

START_TEST(one_tree_has_a_row_of_four_columns)
{
    struct report *r = create(1, false, 80);
    struct visit_result first = {.wall_ms = 241.44, .dns_ms = 240, .questions = 18};
    struct visit_result second = {.wall_ms = 40.96, .dns_ms = 40.5, .questions = 18, .failures = 2};
    assert_row(r, &first,
        "visit  wall, ms   DNS, ms  asked  failed\n"
        "    1     241.4     240.0     18       0\n");
    assert_row(r, &second, "    2      41.0      40.5     18       2\n");
    report_free(r);
}
END_TEST

START_TEST(several_trees_are_summed_up)
{
    struct report *r = create(3, false, 80);
    struct visit_result results[] = {{.wall_ms = 300, .dns_ms = 30, .questions = 3},
        {.wall_ms = 100, .dns_ms = 90, .questions = 4, .failures = 1},
        {.wall_ms = 200, .dns_ms = 60, .questions = 5, .failures = 1}};
    assert_row(r, results,
        "                    wall, ms     waiting for DNS, ms\n"
        "visit     min  median     max     min  median     max  asked  failed\n"
        "    1   100.0   200.0   300.0    30.0    60.0    90.0     12       2\n");
    report_free(r);
}
END_TEST

/* 52 columns: 40 for the numbers, 2 between, 10 for the bar. */
START_TEST(a_full_bar_is_the_first_visit)
{
    struct report *r = create(1, true, 52);
    struct visit_result results[] = {{.wall_ms = 200, .dns_ms = 100},
        {.wall_ms = 100, .dns_ms = 100}, {.wall_ms = 40, .dns_ms = 0},
        {.wall_ms = 9000, .dns_ms = 20}, {.wall_ms = 0}};
    static const char *const bars[] = {
        "  #####.....\n", "  #####\n", "  ..\n", "  #.........\n", "  \n"};
    setlocale(LC_CTYPE, "C");
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        char *row = row_of(r, &results[i]);
        const char *bar = strrchr(row, '0');
        ck_assert_str_eq(bar + 1, bars[i]);
        free(row);
    }
    report_free(r);
}
END_TEST

/* 92 columns: 68 for the numbers, 2 between, 22 for the bar; and however wide, 60 at most. */
START_TEST(a_bar_of_several_trees_and_of_a_wide_terminal)
{
    struct visit_result results[] = {{.wall_ms = 100, .dns_ms = 50}, {.wall_ms = 100}};
    struct report *r = create(2, true, 92);
    char *row = row_of(r, results);
    ck_assert_ptr_nonnull(strstr(row, "0  ######................\n"));
    free(row);
    report_free(r);
    r = create(1, true, 200);
    row = row_of(r, results);
    ck_assert_uint_eq(strlen(strstr(row, "0  ###") + 3), 60 + 1);
    free(row);
    report_free(r);
}
END_TEST

/* Two medians need not be of the same tree: what was waited for DNS can be the more. */
START_TEST(a_bar_is_never_longer_than_its_visit)
{
    struct visit_result results[] = {{.wall_ms = 100, .dns_ms = 100},
        {.wall_ms = 100, .dns_ms = 100}, {.wall_ms = 100, .dns_ms = 100}};
    struct report *r = create(3, true, 80);
    free(row_of(r, results));
    results[0].wall_ms = results[1].wall_ms = 50;
    char *row = row_of(r, results);
    ck_assert_ptr_nonnull(strstr(row, "0  #####\n"));
    free(row);
    report_free(r);
}
END_TEST

START_TEST(bars_of_a_utf8_terminal_are_blocks)
{
    struct visit_result first = {.wall_ms = 100, .dns_ms = 50};
    struct report *r;
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        return;
    r = create(1, true, 44);
    char *row = row_of(r, &first);
    ck_assert_ptr_nonnull(strstr(row, "0  \xe2\x96\x88\xe2\x96\x91\n"));
    free(row);
    report_free(r);
}
END_TEST

START_TEST(no_time_and_no_room_make_no_bar)
{
    struct visit_result none = {.questions = 1};
    struct report *r = create(1, true, 80);
    char *row = row_of(r, &none);
    ck_assert_ptr_nonnull(strstr(row, " 0  \n"));
    free(row);
    report_free(r);
    struct visit_result some = {.wall_ms = 9, .dns_ms = 9};
    r = create(1, true, 20);
    row = row_of(r, &some);
    ck_assert_ptr_nonnull(strstr(row, " 0  \n"));
    free(row);
    report_free(r);
}
END_TEST

static double number_at(const json_t *object, const char *key, const char *inner)
{
    const json_t *at = json_object_get(object, key);
    if (inner != NULL)
        at = json_object_get(at, inner);
    ck_assert(json_is_number(at));
    return json_number_value(at);
}

START_TEST(json_has_every_visit_and_every_tree)
{
    struct report *r = create(2, false, 80);
    struct visit_result results[] = {{.wall_ms = 1.23456, .dns_ms = 1, .questions = 3},
        {.wall_ms = 3, .dns_ms = 2, .questions = 4, .failures = 1}};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(report_add(r, results), 0);
    ck_assert_int_eq(report_add(r, results), 0);
    ck_assert_int_eq(report_print_json(r, out), 0);
    fclose(out);
    json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(all);
    ck_assert_str_eq(json_string_value(json_object_get(all, "server")), "127.0.0.1:53");
    ck_assert_uint_eq(json_array_size(json_object_get(all, "visits")), 2);
    const json_t *visit = json_array_get(json_object_get(all, "visits"), 1);
    ck_assert(number_at(visit, "visit", NULL) == 2);
    ck_assert(number_at(visit, "wall_ms", "min") == 1.235);
    ck_assert(number_at(visit, "dns_ms", "median") == 1.5);
    ck_assert(number_at(visit, "dns_ms", "max") == 2);
    ck_assert(number_at(visit, "questions", NULL) == 7);
    const json_t *tree = json_array_get(json_object_get(visit, "trees"), 1);
    ck_assert_str_eq(json_string_value(json_object_get(tree, "tree")), "b.tree");
    ck_assert(number_at(tree, "failures", NULL) == 1);
    json_decref(all);
    free(text);
    report_free(r);
}
END_TEST

START_TEST(a_path_that_is_not_utf8_is_json_all_the_same)
{
    static const char *const odd[] = {"\xff\x01\x7f.tree"};
    struct report_plan plan = {.server = "s", .trees = odd, .n_trees = 1};
    struct report *r = report_create(&plan);
    struct visit_result result = {.wall_ms = 1};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ck_assert(r != NULL && out != NULL);
    ck_assert_int_eq(report_add(r, &result), 0);
    ck_assert_int_eq(report_print_json(r, out), 0);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "\"tree\": \"?\?\?.tree\""));
    free(text);
    report_free(r);
    report_free(NULL);
}
END_TEST

/* ---- memory that runs out, a disk that is full ----------------------------------------------- */

/* Two visits to two trees as JSON, in text; false when memory is out for anything. */
static bool tell_visits(FILE *out)
{
    static const char *const odd[] = {"\xff.tree", "b.tree"};
    struct report_plan plan = {.server = "s", .trees = odd, .n_trees = 2};
    struct visit_result results[] = {{.wall_ms = 1}, {.wall_ms = 2}};
    struct report *r = report_create(&plan);
    bool ok = r != NULL && report_add(r, results) == 0 && report_add(r, results) == 0 &&
              report_print_json(r, out) == 0;
    report_free(r);
    return ok;
}

START_TEST(memory_that_runs_out_is_told_and_never_less_than_all)
{
    char whole[4096] = "", text[4096];
    unsigned n = 0, taken;
    FILE *out = fmemopen(whole, sizeof whole, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(tell_visits(out), true);
    fclose(out);
    json_set_alloc_funcs(scarce_malloc, free);
    do {
        memset(text, 0, sizeof text);
        out = fmemopen(text, sizeof text, "w");
        ck_assert_ptr_nonnull(out);
        scarce_begin(++n, 1);
        bool ok = tell_visits(out);
        taken = scarce_end();
        fclose(out);
        ck_assert_msg(ok || taken >= n, "allocation %u of %u", n, taken);
        if (ok)
            ck_assert_str_eq(text, whole);
    } while (taken >= n);
    ck_assert_uint_gt(n, 20);
}
END_TEST

START_TEST(json_that_cannot_be_written_is_told)
{
    struct report *r = create(1, false, 80);
    struct visit_result result = {.wall_ms = 1};
    FILE *full = fopen("/dev/full", "w");
    if (full == NULL)
        return;
    ck_assert_int_eq(report_add(r, &result), 0);
    ck_assert_int_eq(report_print_json(r, full), -1);
    setvbuf(full, NULL, _IONBF, 0);
    ck_assert_int_eq(report_print_json(r, full), -1);
    fclose(full);
    report_free(r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *tc = tcase_create("report");
    tcase_add_test(tc, spreads_are_those_worked_out_by_hand);
    tcase_add_test(tc, one_tree_has_a_row_of_four_columns);
    tcase_add_test(tc, several_trees_are_summed_up);
    tcase_add_test(tc, a_full_bar_is_the_first_visit);
    tcase_add_test(tc, a_bar_of_several_trees_and_of_a_wide_terminal);
    tcase_add_test(tc, a_bar_is_never_longer_than_its_visit);
    tcase_add_test(tc, bars_of_a_utf8_terminal_are_blocks);
    tcase_add_test(tc, no_time_and_no_room_make_no_bar);
    tcase_add_test(tc, json_has_every_visit_and_every_tree);
    tcase_add_test(tc, a_path_that_is_not_utf8_is_json_all_the_same);
    tcase_add_test(tc, memory_that_runs_out_is_told_and_never_less_than_all);
    tcase_add_test(tc, json_that_cannot_be_written_is_told);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
