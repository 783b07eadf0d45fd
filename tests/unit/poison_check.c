/* tests/unit/poison_check.c: what poison_check says of a set that is damaged on purpose: the
 * fuzzers and the other tests rely on it. Knows the set from inside; never questions or answers. */
#include "../../poison.c" /* not the one beside this file */

#include "tests/damage.h"

#include <check.h>

static struct poison *p;

static void no_mistake(void *ctx, size_t line, const char *what, const char *why)
{
    (void)ctx;
    ck_abort_msg("%zu: %s: %s", line, what, why);
}

static void set_up(void)
{
    static const char text[] = "a.example  A      192.0.2.1\n"
                               "a.example  A      192.0.2.2\n"
                               "a.example  TXT    \"of another length\"\n"
                               "c.example  CNAME  a.example.\n"
                               "p.example  192.0.2.9\n"
                               "*.w.example TXT   \"below\"\n"
                               "*.n.example nxdomain\n";
    const uint8_t seed[POISON_SEED_LEN] = {1};

    p = poison_load(text, sizeof text - 1, seed, no_mistake, NULL);
    ck_assert_ptr_nonnull(p);
    ck_assert_pstr_eq(poison_check(p), NULL);
}

static void tear_down(void)
{
    ck_assert_pstr_eq(poison_check(p), NULL);
    poison_free(p);
}

/* The node of LETTER.example. */
static struct node *node_of(char letter)
{
    uint8_t name[] = "\001x\007example";
    struct node *node;

    name[1] = (uint8_t)letter;
    node = node_at(p, name, sizeof name, 2);
    ck_assert_ptr_nonnull(node);
    return node;
}

#define IS_TOLD(object, damage, what) DAMAGE_IS_TOLD(poison_check(p), object, damage, what)

START_TEST(a_record_that_cannot_be_one)
{
    struct node *a = node_of('a');
    struct record *first = a->records, *cname = node_of('c')->records;
    struct record *below = node_of('w')->records;
    const char *implied = "an implied record that is no PTR";

    IS_TOLD(first, first->place = POISON_PLACES, "a record where its owner has no records");
    IS_TOLD(&a->rules[POISON_NAME], a->rules[POISON_NAME] = POISON_RULE_PASS,
        "a record where its owner has no records");
    IS_TOLD(first, first->type = TYPE_META_HIGH, "a record of a type that is no data");
    IS_TOLD(first, first->implied = true, implied);
    IS_TOLD(below, (below->implied = true, below->type = WIRE_TYPE_PTR), implied);
    IS_TOLD(cname, cname->rdata_len--, "a CNAME whose target is no name");
}
END_TEST

START_TEST(records_that_cannot_stand_together)
{
    struct record *first = node_of('a')->records, *second = first->next, *last = second->next;

    ck_assert_uint_eq(last->type, WIRE_TYPE_TXT);
    IS_TOLD(&second->rdata[3], second->rdata[3] = first->rdata[3], "a record twice");
    IS_TOLD(second, second->ttl_s++, "an RRset with two TTLs");
    IS_TOLD(last, last->next = node_of('c')->records, "a CNAME beside others");
}
END_TEST

START_TEST(a_name_that_is_damaged)
{
    struct node *a = node_of('a');

    IS_TOLD(a, a->name_len--, "a name that is none");
    IS_TOLD(&a->name[1], a->name[1] = 'A', "a name in capitals");
    IS_TOLD(&a->name[1], a->name[1] = 'z', "a name that is not found");
    IS_TOLD(p, p->seed[0] ^= 1, "a name that is not found");
    IS_TOLD(a, a->rules[POISON_TREE] = POISON_RULE_PASS + 1, "a rule that is none");
    IS_TOLD(a, a->rules[POISON_TREE] = POISON_RULE_RECORDS, "an owner of records without any");
}
END_TEST

START_TEST(names_and_rules_that_are_counted_wrong)
{
    IS_TOLD(p, p->n_at_depth[9]++, "a wrong number of names");
    IS_TOLD(p->nodes->hh.tbl, p->nodes->hh.tbl->num_items++, "a wrong number of names");
    IS_TOLD(p, p->n_rules++, "a wrong number of rules");
    IS_TOLD(p, p->n_denying++, "a wrong number of rules");
}
END_TEST

START_TEST(no_set_is_whole_and_has_no_rules)
{
    ck_assert_pstr_eq(poison_check(NULL), NULL);
    ck_assert_uint_eq(poison_count(NULL), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("poison_check");
    TCase *tc = tcase_create("damage is told");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_record_that_cannot_be_one);
    tcase_add_test(tc, records_that_cannot_stand_together);
    tcase_add_test(tc, a_name_that_is_damaged);
    tcase_add_test(tc, names_and_rules_that_are_counted_wrong);
    tcase_add_test(tc, no_set_is_whole_and_has_no_rules);
    suite_add_tcase(s, tc);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
