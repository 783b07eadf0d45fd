/* tests/replay/flight_check.c: what core_check says of flights that are damaged on purpose: the
 * fuzzers and the other replay tests rely on it. Knows flights from inside; never what they are
 * for. */
#include "../../flight.c" /* not the one beside this file */

#include "tests/damage.h"
#include "tests/replay/world.h"

#include <check.h>

static struct world *w;
static struct flights *all;

static void silent(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)s;
    (void)ctx;
}

static struct flight *flight_of(const char *name)
{
    uint8_t wire[WIRE_NAME_MAX], key[WIRE_KEY_MAX];
    struct wire_question q = {.name = wire,
        .name_len = world_name(name, wire),
        .type = WIRE_TYPE_A,
        .class = WIRE_CLASS_IN};
    struct flight *f = find(all, key, wire_key_write(&q, 0, key));
    ck_assert_ptr_nonnull(f);
    return f;
}

/* Two wait for a.example, one for b.example, and nobody for p.example. */
static void set_up(void)
{
    w = world_create();
    world_start(w, 1);
    w->server = silent;
    all = core_flights(w->core);
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_ask(w, 2, "a.example", WIRE_TYPE_A);
    world_run_for(w, 5);
    world_ask(w, 1, "b.example", WIRE_TYPE_A);
    struct flight *a = flight_of("a.example");
    uint8_t key[WIRE_KEY_MAX];
    memcpy(key, a->key, a->key_len);
    key[1] = 'p';
    ck_assert(flight_prefetch(all, key, a->key_len));
    ck_assert_pstr_eq(core_check(w->core), NULL);
}

static void tear_down(void)
{
    ck_assert_pstr_eq(core_check(w->core), NULL);
    world_free(w);
}

#define IS_TOLD(object, damage, what) DAMAGE_IS_TOLD(core_check(w->core), object, damage, what)

START_TEST(a_heap_that_is_damaged)
{
    struct flight *last = all->heap[all->n - 1];
    IS_TOLD(last, last->heap_at = 0, "a flight does not know its place in the heap");
    IS_TOLD(last, last->give_up_ms = 0, "the heap is out of order");
    IS_TOLD(all, all->n--, "table and heap differ in number");
}
END_TEST

START_TEST(a_flight_that_is_damaged)
{
    struct flight *a = flight_of("a.example"), *b = flight_of("b.example");
    const char *sent = "a flight sent more than it may";
    IS_TOLD(&a->key[1], a->key[1] = 'z', "a flight is not found under its key");
    IS_TOLD(a, a->udp_sent = FLIGHT_UDP_MAX + 1, sent);
    IS_TOLD(a, a->tcp_sent = FLIGHT_TCP_MAX + 1, sent);
    IS_TOLD(a, a->speculative = true, "a prefetch has waiters");
    IS_TOLD(a, a->attempt[FIRST].flight = b, "an attempt belongs to another flight");
    IS_TOLD(a, a->waiters_end = &a->waiters, "the end of the waiters is not at their end");
}
END_TEST

START_TEST(what_is_counted_wrong)
{
    struct flight *a = flight_of("a.example");
    const char *aside = "what is set aside is counted wrong, or too much";
    uint8_t spare[1];
    IS_TOLD(all, all->counts.speculative = 0, "prefetches are counted wrong");
    IS_TOLD(all, all->spare_bytes++, aside);
    a->spare = spare;
    a->spare_answer.packed_len = all->spare_bytes = SPARES_MAX + 1;
    ck_assert_pstr_eq(core_check(w->core), aside);
    a->spare = NULL;
    all->spare_bytes = 0;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("replay/flight_check");
    TCase *t = tcase_create("damage is told");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, a_heap_that_is_damaged);
    tcase_add_test(t, a_flight_that_is_damaged);
    tcase_add_test(t, what_is_counted_wrong);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
