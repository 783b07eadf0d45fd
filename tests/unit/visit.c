/* visit.c: visits a few names, with a stub that answers when the test says so.
 * Knows which questions must be asked by then; never how they are sent. */
#include "tools/visit.h"

#include "tests/unit/scarce.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ASKED_MAX 32

/* ---- the stub -------------------------------------------------------------------------------- */

struct asked {
    char name[WIRE_NAME_TEXT_MAX];
    stub_done *done;
    void *ctx;
};

static struct asked asked[ASKED_MAX];
static size_t n_asked;
static bool no_way; /* nothing can be asked */

int stub_ask(struct stub *s, const struct addr *source, const struct wire_question *question,
    stub_done *done, void *ctx)
{
    (void)s;
    (void)source;
    if (no_way)
        return -1;
    ck_assert_uint_lt(n_asked, ASKED_MAX);
    wire_name_text(question->name, question->name_len, asked[n_asked].name);
    asked[n_asked].done = done;
    asked[n_asked].ctx = ctx;
    n_asked++;
    return 0;
}

/* ---- a visit --------------------------------------------------------------------------------- */

static struct ev_loop *loop;
static struct visit_result result;
static int n_done;

static void set_up(void)
{
    loop = ev_loop_new(0);
    ck_assert_ptr_nonnull(loop);
    n_asked = 0;
    n_done = 0;
    no_way = false;
}

static void tear_down(void)
{
    ev_loop_destroy(loop);
}

static void on_done(void *ctx, const struct visit_result *r)
{
    (void)ctx;
    result = *r;
    n_done++;
}

static void never(void *ctx, size_t line, const char *why)
{
    (void)ctx;
    ck_abort_msg("%zu: %s", line, why);
}

static struct tree *tree_of(const char *text)
{
    struct tree *t = tree_read(text, strlen(text), never, NULL);
    ck_assert_ptr_nonnull(t);
    return t;
}

static struct visit *start(const struct tree *t, size_t n_types)
{
    static const uint16_t types[] = {WIRE_TYPE_A, WIRE_TYPE_AAAA};
    struct visit_plan plan = {.loop = loop, .tree = t, .types = types, .n_types = n_types};
    return visit_start(&plan, on_done, NULL);
}

static void answer(size_t i, enum stub_outcome outcome)
{
    ck_assert_uint_lt(i, n_asked);
    asked[i].done(asked[i].ctx, outcome);
}

START_TEST(a_child_is_asked_when_all_types_of_its_parent_have_their_end)
{
    struct tree *t = tree_of("www.example - -\nimg.www.example www.example 0\n");
    struct visit *v = start(t, 2);
    ck_assert_ptr_nonnull(v);
    ck_assert_uint_eq(n_asked, 2);
    answer(0, STUB_ANSWERED);
    ck_assert_uint_eq(n_asked, 2);
    answer(1, STUB_FAILED); /* asked all the same: visits have equally many questions */
    ck_assert_uint_eq(n_asked, 4);
    ck_assert_str_eq(asked[2].name, "img.www.example");
    answer(3, STUB_SILENT);
    ck_assert_int_eq(n_done, 0);
    answer(2, STUB_ANSWERED);
    ck_assert_int_eq(n_done, 1);
    ck_assert_uint_eq(result.questions, 4);
    ck_assert_uint_eq(result.failures, 2);
    ck_assert(result.wall_ms >= result.dns_ms && result.dns_ms >= 0);
    visit_free(v);
    tree_free(t);
}
END_TEST

/* Where no question can be asked, each one has failed, and the visit still comes to its end. */
START_TEST(questions_that_cannot_be_asked_are_failures)
{
    struct tree *t = tree_of("a.example - -\nb.example a.example -3\nc.example b.example 1\n");
    no_way = true;
    struct visit *v = start(t, 2);
    ck_assert_ptr_nonnull(v);
    ck_assert_int_eq(n_done, 0); /* not from within the start */
    ev_run(loop, 0);
    ck_assert_int_eq(n_done, 1);
    ck_assert_uint_eq(n_asked, 0);
    ck_assert_uint_eq(result.questions, 6);
    ck_assert_uint_eq(result.failures, 6);
    visit_free(v);
    tree_free(t);
}
END_TEST

START_TEST(memory_that_runs_out_is_told)
{
    struct tree *t = tree_of("a.example - -\n");
    scarce_begin(1, 1);
    struct visit *v = start(t, 1);
    scarce_end();
    ck_assert_ptr_null(v);
    ck_assert_uint_eq(n_asked, 0);
    tree_free(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("visit");
    TCase *tc = tcase_create("visit");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_child_is_asked_when_all_types_of_its_parent_have_their_end);
    tcase_add_test(tc, questions_that_cannot_be_asked_are_failures);
    tcase_add_test(tc, memory_that_runs_out_is_told);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
