/* tests/replay/query_check.c: what core_check says of waiting queries that are damaged on purpose:
 * the fuzzers and the other replay tests rely on it. Knows the desk from inside; never its gates.
 */
#include "../../query.c" /* not the one beside this file */

#include "tests/damage.h"
#include "tests/replay/world.h"

#include <check.h>

static struct world *w;
static struct query_desk *desk;

static void silent(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)s;
    (void)ctx;
}

/* Two clients wait, one of them for two answers, one of which is behind a chain. */
static void set_up(void)
{
    w = world_create();
    world_start(w, 1);
    world_poison(w, "chain.example CNAME target.example.\n");
    w->server = silent;
    desk = core_desk(w->core);
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_ask(w, 1, "chain.example", WIRE_TYPE_A);
    world_ask(w, 2, "b.example", WIRE_TYPE_A);
    ck_assert_uint_eq(desk->counts.waiting, 3);
    ck_assert_uint_gt(desk->prefix_bytes, 0);
}

static void tear_down(void)
{
    ck_assert_pstr_eq(core_check(w->core), NULL);
    world_free(w);
}

#define IS_TOLD(object, damage, what) DAMAGE_IS_TOLD(core_check(w->core), object, damage, what)

START_TEST(a_waiting_query_that_is_damaged)
{
    struct query *first = desk->waiting, *last = first->next->next;
    const char *counted = "a waiting query is not counted for its client";
    IS_TOLD(last, last->prev = first, "the list of waiting queries is torn");
    IS_TOLD(first, first->desk = NULL, counted);
    IS_TOLD(first, first->asker = NULL, counted);
    IS_TOLD(first->asker, first->asker->n_waiting = 0, counted);
    IS_TOLD(last, last->q.question.name++, "a waiting query points into a message that is gone");
}
END_TEST

START_TEST(what_is_counted_wrong)
{
    struct query *last = desk->waiting->next->next;
    const char *queries = "waiting queries are counted wrong";
    const char *bytes = "the bytes of chains are counted wrong, or too many";
    IS_TOLD(desk, desk->counts.waiting++, queries);
    IS_TOLD(desk->askers, desk->askers->n_waiting++, queries);
    IS_TOLD(desk, desk->prefix_bytes++, bytes);
    last->prefix_len += PREFIXES_MAX;
    desk->prefix_bytes += PREFIXES_MAX;
    ck_assert_pstr_eq(core_check(w->core), bytes);
    last->prefix_len -= PREFIXES_MAX;
    desk->prefix_bytes -= PREFIXES_MAX;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("replay/query_check");
    TCase *t = tcase_create("damage is told");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, a_waiting_query_that_is_damaged);
    tcase_add_test(t, what_is_counted_wrong);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
