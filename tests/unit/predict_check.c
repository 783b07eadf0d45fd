/* tests/unit/predict_check.c: what predict_check says of a table that is damaged on purpose: the
 * fuzzers and the other tests rely on it. Knows every structure of the predictor; never the rule.
 */
#include "../../predict.c" /* not the one beside this file */

#include "tests/damage.h"
#include "tests/unit/scarce.h"

#include <check.h>

static struct predict *p;

/* ---- a table with something in each of its parts --------------------------------------------- */

static enum predict_copy no_copy(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    (void)ctx;
    (void)key;
    (void)key_len;
    (void)now_ms;
    return PREDICT_ABSENT;
}

static bool sends(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    (void)ctx;
    (void)key;
    (void)key_len;
    (void)now_ms;
    return true;
}

/* The client asks for questions of one letter, 10 ms apart. */
static void ask(unsigned client, const char *letters, uint64_t at_ms, bool lands)
{
    uint8_t id[PREDICT_CLIENT_LEN] = {(uint8_t)client};

    for (; *letters != '\0'; letters++, at_ms += 10) {
        struct predict_request r = {.client = id, .key = (const uint8_t *)letters, .key_len = 1};

        predict_observe(p, &r, 1, at_ms);
        if (lands)
            predict_landed(p, r.key, 1, true, at_ms);
    }
}

static struct graph_question *question(char letter)
{
    const uint8_t key[] = {(uint8_t)letter};
    struct graph_question *q = graph_find(&p->graph, key, 1, graph_hash(&p->graph, key, 1));

    ck_assert_ptr_nonnull(q);
    return q;
}

/* Two clients that learned a, b, c; ids that others left behind; prefetches of b and c under way;
 * the windows of a, d, e and f; and those who wait for e and f. */
static void set_up(enum predict_scope scope)
{
    static const char *const last_letters[] = {"v", "w", "x", "y", "z"};
    const uint8_t seed[PREDICT_SEED_LEN] = {1};
    const struct predict_world world = {.copy = no_copy, .prefetch = sends};
    struct predict_conf c;

    predict_conf_default(&c);
    c.window_ms = 2000;
    c.share = 1;
    c.scope = scope;
    p = predict_create(&c, &world, seed);
    ck_assert_ptr_nonnull(p);
    for (uint64_t at_ms = 10000; at_ms < 40000; at_ms += 10000) {
        ask(1, "abc", at_ms, true);
        ask(2, "abc", at_ms + 5000, true);
    }
    for (unsigned i = 0; i < 5; i++)
        ask(3 + i, last_letters[i], 38000, true);
    ask(1, "a", 45000, true);
    ask(2, "def", 45100, false);
    ck_assert_uint_ge(p->sents.n, 2);
    ck_assert_uint_ge(p->bursts.n_waits, 2);
    ck_assert_pstr_eq(predict_check(p), NULL);
}

static void by_client(void)
{
    set_up(PREDICT_SCOPE_CLIENT);
}

static void tear_down(void)
{
    ck_assert_pstr_eq(predict_check(p), NULL);
    predict_free(p);
}

#define IS_TOLD(object, damage, what) DAMAGE_IS_TOLD(predict_check(p), object, damage, what)

/* ---- numbers and prefetches ------------------------------------------------------------------ */

START_TEST(tokens_and_counts_that_do_not_add_up)
{
    const char *tokens = "there are more tokens than the bucket holds";
    const char *owed = "a client owes more tokens than the bucket holds";

    IS_TOLD(&p->tokens, p->tokens = PREDICT_TOKENS_MAX * TOKEN + 1, tokens);
    IS_TOLD(&p->tokens, p->tokens = -PREDICT_TOKENS_MAX * TOKEN - 1, tokens);
    IS_TOLD(&p->debts[0], p->debts[0] = -1, owed);
    IS_TOLD(&p->debts[DEBTORS - 1], p->debts[DEBTORS - 1] = PREDICT_TOKENS_MAX * TOKEN + 1, owed);
    IS_TOLD(&p->counts, p->counts.used++, "prefetches do not add up");
}
END_TEST

START_TEST(a_prefetch_and_its_question_that_lost_each_other)
{
    struct graph_question *b = question('b'), *d = question('d');

    ck_assert_uint_ne(b->sent_slot, 0);
    IS_TOLD(&p->sents.list[0], p->sents.list[0].question = p->graph.n_slots,
        "the question of a prefetch is out of range");
    IS_TOLD(b, b->sent_slot = 0, "a question does not lead to its prefetch");
    IS_TOLD(d, d->sent_slot = 7, "a question has a prefetch that is not listed");
}
END_TEST

/* ---- requests and windows -------------------------------------------------------------------- */

START_TEST(a_list_of_requests_that_is_out_of_bounds)
{
    struct sequence *s = &p->sequence;
    const char *room = "more requests are listed than there is room for";

    IS_TOLD(s, s->end = s->front + s->cap + 1, room);
    IS_TOLD(s, s->max = s->cap / 2, room);
    IS_TOLD(s, s->n_windows++, "the number of open windows is wrong");
}
END_TEST

START_TEST(requests_that_are_out_of_order)
{
    struct sequence *s = &p->sequence;
    struct sequence_entry *a = sequence_at(s, s->front), *d = sequence_at(s, s->front + 1);
    struct sequence_entry *f = sequence_at(s, s->front + 3);
    const char *after = "a request is followed by one that is not listed after it";

    ck_assert_uint_eq(a->question, question('a')->id);
    ck_assert_uint_eq(f->question, question('f')->id);
    IS_TOLD(a, a->opens = false, "the first request can be reached by no window");
    IS_TOLD(d, d->question = p->graph.n_slots, "a listed question is out of range");
    IS_TOLD(d, d->at_ms = a->at_ms - 1, "requests are not listed in the order of time");
    IS_TOLD(f, f->next = s->end, after);
    IS_TOLD(f, f->next = s->front + 1, after);
    IS_TOLD(a, a->next = s->front + 1, "a request is followed by another client's");
}
END_TEST

START_TEST(clients_whose_requests_are_counted_wrong)
{
    struct sequence *s = &p->sequence;
    struct sequence_client *c = s->clients;
    const char *listed = "a client has no requests listed, or too many";

    IS_TOLD(c, c->n_listed = 0, listed);
    IS_TOLD(c, c->n_listed = s->max, listed);
    IS_TOLD(c, c->lane.n++, "a client's lane has another length than what it listed");
    IS_TOLD(c, c->lane.n = ++c->n_listed, "the clients' requests do not add up");
}
END_TEST

START_TEST(a_common_lane_of_another_length)
{
    tear_down();
    set_up(PREDICT_SCOPE_GLOBAL);
    IS_TOLD(&p->sequence, p->sequence.everyone.n++, "the common lane has a wrong length");
}
END_TEST

/* ---- bursts and waits ------------------------------------------------------------------------ */

static struct burst_wait *wait_of(char letter)
{
    struct bursts *b = &p->bursts;
    uint16_t at = b->chains[question(letter)->id & (BURST_WAITS_MAX - 1)];

    ck_assert_uint_ne(at, 0);
    return &b->waits[at - 1];
}

START_TEST(waits_that_were_lost_or_are_in_the_wrong_chain)
{
    struct bursts *b = &p->bursts;
    struct burst_wait *e = wait_of('e'), *first_free = &b->waits[b->free - 1];
    const char *chain = "a chain of waits goes in circles or to one that is free";
    const char *other = "a wait is in another question's chain";

    IS_TOLD(e, e->taken = false, chain);
    IS_TOLD(e, e->next = (uint16_t)(e - b->waits + 1), chain);
    IS_TOLD(e, e->question = p->graph.n_slots, other);
    IS_TOLD(e, e->question = question('f')->id, other);
    IS_TOLD(b, b->n_waits++, "waits were lost");
    IS_TOLD(b, b->free = 0, "waits were lost");
    IS_TOLD(first_free, first_free->next = b->free, "waits were lost");
}
END_TEST

START_TEST(clients_in_a_burst_that_were_lost_or_are_out_of_order)
{
    struct bursts *b = &p->bursts;
    struct burst_client *first = b->order;
    const char *lost = "clients in a burst were lost, or are too many";

    ck_assert_ptr_nonnull(first->next);
    IS_TOLD(first, first->last_ms = first->next->last_ms + 1,
        "clients are not in the order of their last question");
    IS_TOLD(b, b->order = first->next, lost);
    IS_TOLD(b, b->clients_max = 1, lost);
}
END_TEST

/* ---- what was learned ------------------------------------------------------------------------ */

START_TEST(pairs_with_impossible_numbers)
{
    struct graph_trigger *t = graph_trigger(question('a'), GRAPH_ALL);
    struct graph_pair *pair = &t->pairs[0];
    const char *range = "a follower is out of range or the trigger itself";
    const char *windows =
        "windows that saw a follower, could tell and were had are not in this order";

    IS_TOLD(pair, pair->follower = p->graph.n_slots & GRAPH_ID_MAX, range);
    IS_TOLD(pair, pair->follower = t->question & GRAPH_ID_MAX, range);
    IS_TOLD(pair, pair->score = 0, "a score of 0 was not forgotten");
    IS_TOLD(pair, pair->seen = 0, windows);
    IS_TOLD(pair, pair->seen = (uint8_t)(pair->windows + 1), windows);
    IS_TOLD(pair, pair->windows = (uint8_t)(t->windows + 1), windows);
    IS_TOLD(pair, pair->n_shown = 7, "more clients showed a pair than are counted");
    IS_TOLD(pair, pair->score = 7, "the highest score of a trigger is wrong");
    IS_TOLD(&p->graph, p->graph.n_pairs++, "the number of pairs is wrong");
}
END_TEST

START_TEST(triggers_that_are_damaged)
{
    struct graph *g = &p->graph;
    struct graph_trigger *t = graph_trigger(question('a'), GRAPH_ALL);
    struct graph_trigger *own = question('a')->triggers;
    const char *pairs = "a trigger has no pairs, or more than it has room for";
    const char *leads = "a question does not lead to its trigger";
    const char *list = "a trigger is in the wrong list";

    if (own == t)
        own = t->other;
    ck_assert_ptr_nonnull(own);
    IS_TOLD(t, t->n_pairs = 0, pairs);
    IS_TOLD(t, t->pairs_cap = 1, pairs);
    IS_TOLD(t, t->windows = GRAPH_WINDOWS_MAX, "the windows of a trigger were not halved");
    IS_TOLD(t, t->question = g->n_slots, leads);
    IS_TOLD(t, t->question = question('b')->id, leads);
    IS_TOLD(own, own->sole = 1, "a client's own trigger has another client");
    IS_TOLD(t, t->listed = false, list);
    IS_TOLD(t, t->proven = !t->proven, list);
    IS_TOLD(t, t->top = t->proven ? 0 : GRAPH_PROVEN, list);
    IS_TOLD(g, g->n_triggers[t->proven]++, "the number of triggers is wrong");
}
END_TEST

/* Hangs n triggers of clients that nobody knows into the question's list. */
static void hang_in(
    struct graph_question *q, struct graph_trigger *t, uint32_t n, uint32_t question, bool listed)
{
    for (uint32_t i = 0; i < n; i++) {
        t[i] = (struct graph_trigger){.question = question, .client = i + 1, .other = q->triggers};
        t[i].listed = listed;
        q->triggers = &t[i];
    }
}

START_TEST(a_question_that_leads_to_triggers_that_are_not_its_own)
{
    static struct graph_trigger more[GRAPH_OWN_MAX + 1];
    struct graph_question *f = question('f');
    const char *others = "a question leads to another's trigger";

    IS_TOLD(f, hang_in(f, more, 1, f->id, false), others);
    IS_TOLD(f, hang_in(f, more, 1, question('e')->id, true), others);
    IS_TOLD(f, hang_in(f, more, 1, f->id, true), "triggers were lost");
    IS_TOLD(f, hang_in(f, more, GRAPH_OWN_MAX + 1, f->id, true),
        "a question is a trigger of too many clients");
}
END_TEST

START_TEST(a_question_that_is_not_found_or_miscounts_its_references)
{
    struct graph *g = &p->graph;
    struct graph_question *f = question('f');
    struct graph_slot *slot = &g->slots[f->id];
    const char *id = "an id does not lead to its question";
    const char *refs = "the references of a question are wrong";
    const char *key = "a question is not found under its key";

    IS_TOLD(f, f->id = g->n_slots, id);
    IS_TOLD(slot, slot->question = question('e'), id);
    IS_TOLD(f, f->refs = 0, refs);
    IS_TOLD(f, f->refs++, refs);
    IS_TOLD(&f->key[0], f->key[0] = 'g', key);
    IS_TOLD(g, g->seed[0] ^= 1, key);
}
END_TEST

START_TEST(ids_and_bytes_that_were_lost)
{
    struct graph *g = &p->graph;
    struct graph_slot *slot = &g->slots[g->free_slot - 1];
    const char *bytes = "the bytes in use are wrong or beyond their limit";

    ck_assert_uint_ne(g->free_slot, 0);
    IS_TOLD(g, g->free_slot = 0, "ids were lost");
    IS_TOLD(slot, slot->next_free = g->free_slot, "ids were lost");
    IS_TOLD(g, g->bytes = 0, bytes);
    IS_TOLD(g, g->bytes_max = g->bytes - 1, bytes);
}
END_TEST

/* Else a fuzzer that takes memory away would find a table broken that is whole, or the reverse. */
START_TEST(a_check_without_memory_says_so)
{
    const char *said[2];

    for (unsigned k = 0; k < 2; k++) {
        scarce_begin(k + 1, 1);
        said[k] = predict_check(p);
        (void)scarce_end();
    }
    ck_assert_pstr_eq(said[0], "memory is out");
    ck_assert_pstr_eq(said[1], "memory is out");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("predict_check");
    TCase *tc = tcase_create("damage is told");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(tc, by_client, tear_down);
    tcase_add_test(tc, tokens_and_counts_that_do_not_add_up);
    tcase_add_test(tc, a_prefetch_and_its_question_that_lost_each_other);
    tcase_add_test(tc, a_list_of_requests_that_is_out_of_bounds);
    tcase_add_test(tc, requests_that_are_out_of_order);
    tcase_add_test(tc, clients_whose_requests_are_counted_wrong);
    tcase_add_test(tc, a_common_lane_of_another_length);
    tcase_add_test(tc, waits_that_were_lost_or_are_in_the_wrong_chain);
    tcase_add_test(tc, clients_in_a_burst_that_were_lost_or_are_out_of_order);
    tcase_add_test(tc, pairs_with_impossible_numbers);
    tcase_add_test(tc, triggers_that_are_damaged);
    tcase_add_test(tc, a_question_that_leads_to_triggers_that_are_not_its_own);
    tcase_add_test(tc, a_question_that_is_not_found_or_miscounts_its_references);
    tcase_add_test(tc, ids_and_bytes_that_were_lost);
    tcase_add_test(tc, a_check_without_memory_says_so);
    suite_add_tcase(s, tc);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
