/* tests/unit/predict_parts.c: what the predictor's parts do where their room ends: the table at
 * every size of its budget, ids, pairs, requests, votes. Knows their internal headers; never the
 * rule. */
#include "predict_burst.h"
#include "predict_sequence.h"
#include "predict_vote.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t seed[PREDICT_SEED_LEN] = {1};

/* ---- the table ------------------------------------------------------------------------------- */

static struct graph_question *add(struct graph *g, uint32_t number)
{
    uint8_t key[sizeof number];

    memcpy(key, &number, sizeof number);
    return graph_add(g, key, sizeof key, graph_hash(g, key, sizeof key));
}

static void is_whole(const struct graph *g)
{
    uint32_t *none = calloc((size_t)g->n_slots + 1, sizeof *none);

    ck_assert_ptr_nonnull(none);
    ck_assert_pstr_eq(graph_check(g, none), NULL);
    free(none);
}

static struct graph_pair *pair_up(
    struct graph *g, struct graph_trigger *t, struct graph_question *follower)
{
    struct graph_pair *pair = graph_add_pair(g, t, follower, 0, 0);

    t->windows = 1; /* which saw them all */
    if (pair != NULL)
        graph_show(pair, 1);
    return pair;
}

/* The client showed that `to` follows `from`, and what all know is the client's own too. */
static void learn(
    struct graph *g, struct graph_question *from, struct graph_question *to, uint32_t client)
{
    struct graph_trigger *t = graph_begin(g, from, GRAPH_ALL);

    if (t == NULL)
        return;
    pair_up(g, t, to);
    if (t->n_pairs > 0)
        graph_copy(g, t, client);
    graph_end(g, t);
}

static void learn_number(struct graph *g, uint32_t i)
{
    struct graph_question *from = add(g, 2 * i), *to = from == NULL ? NULL : add(g, 2 * i + 1);

    if (to != NULL) {
        learn(g, from, to, i + 1);
        graph_unref(g, to);
    }
    if (from != NULL)
        graph_unref(g, from);
}

START_TEST(whatever_the_budget_it_is_kept_and_given_back)
{
    size_t before = 0;
    struct graph g;

    for (size_t bytes_max = 64; bytes_max < 30000; bytes_max += 40) {
        graph_init(&g, bytes_max, 8, seed);
        size_t empty = g.bytes;
        for (uint32_t i = 0; i < 150; i++) {
            learn_number(&g, i);
            ck_assert_uint_le(g.bytes, bytes_max);
        }
        is_whole(&g);
        before = g.n_pairs;
        graph_clear(&g);
        graph_close(&g);
        ck_assert_uint_eq(g.bytes, empty);
    }
    ck_assert_uint_gt(before, 50);
}
END_TEST

START_TEST(what_is_larger_than_the_budget_is_refused_and_nothing_forgotten_for_it)
{
    struct graph g;

    graph_init(&g, 100000, 8, seed);
    learn_number(&g, 1);
    ck_assert(!graph_room(&g, 100001));
    ck_assert_ptr_null(graph_alloc(&g, 100001));
    ck_assert_uint_eq(g.n_pairs, 2);
    graph_clear(&g);
    graph_close(&g);
}
END_TEST

START_TEST(ids_end_where_a_pair_cannot_hold_them_any_more)
{
    struct graph g;

    graph_init(&g, SIZE_MAX, 8, seed);
    g.n_slots = g.slots_cap = GRAPH_ID_MAX + 1u; /* all are taken */
    ck_assert_ptr_null(add(&g, 1));
    ck_assert_ptr_null(g.questions);
}
END_TEST

/* As with the rule of 2007, which sets no bound. */
START_TEST(a_trigger_leads_to_no_more_than_16_bits_can_count)
{
    struct graph_question *from, *to;
    struct graph_trigger *t;
    struct graph g;
    uint32_t i = 1;

    graph_init(&g, (size_t)64 << 20, 8, seed);
    from = add(&g, 0);
    t = graph_begin(&g, from, GRAPH_ALL);
    for (bool more = true; more; i++) {
        ck_assert_uint_lt(i, 100000);
        to = add(&g, i);
        ck_assert_ptr_nonnull(to);
        more = pair_up(&g, t, to) != NULL;
        graph_unref(&g, to);
    }
    ck_assert_uint_gt(t->n_pairs, 40000);
    graph_end(&g, t);
    graph_unref(&g, from);
    is_whole(&g);
    graph_clear(&g);
    graph_close(&g);
}
END_TEST

/* Else the one that is being changed would go for the 33rd. */
START_TEST(a_trigger_that_is_open_does_not_go_for_another_client)
{
    struct graph_question *from, *to;
    struct graph_trigger *open, *all, *t;
    struct graph g;

    graph_init(&g, 1 << 20, 8, seed);
    from = add(&g, 1);
    to = add(&g, 2);
    all = graph_begin(&g, from, GRAPH_ALL);
    pair_up(&g, all, to);
    open = graph_begin(&g, from, 1);
    pair_up(&g, open, to);
    graph_touch(&g, open); /* which is listed nowhere yet */
    for (uint32_t client = 2; client < 3 * GRAPH_OWN_MAX; client++) {
        t = graph_begin(&g, from, client);
        pair_up(&g, t, to);
        graph_end(&g, t);
    }
    ck_assert_ptr_eq(graph_trigger(from, 1), open);
    graph_end(&g, open);
    graph_end(&g, all);
    ck_assert_ptr_null(graph_trigger(from, 2));
    ck_assert_ptr_nonnull(graph_trigger(from, 3 * GRAPH_OWN_MAX - 1));
    graph_clear(&g);
    graph_unref(&g, from);
    graph_unref(&g, to);
    graph_close(&g);
}
END_TEST

/* ---- requests and bursts --------------------------------------------------------------------- */

START_TEST(requests_are_listed_within_whatever_budget_and_the_rest_is_torn)
{
    size_t most = 0;

    for (size_t bytes_max = 64; bytes_max < 60000; bytes_max += 100) {
        struct sequence s;
        struct graph g;
        size_t n = 0;

        graph_init(&g, bytes_max, 8, seed);
        size_t empty = g.bytes;
        sequence_init(&s, 512, PREDICT_SCOPE_CLIENT);
        for (uint32_t i = 0; i < 200; i++) {
            const uint8_t client[PREDICT_CLIENT_LEN] = {(uint8_t)(i % 40)};
            struct predict_request r = {
                .client = client, .key = (const uint8_t *)&i, .key_len = sizeof i};
            unsigned hash = graph_hash(&g, r.key, r.key_len);

            n += sequence_list(&s, &g, &r, NULL, hash, i, 1000, false) != NULL;
            ck_assert_uint_le(g.bytes, bytes_max);
        }
        ck_assert_uint_eq(n, s.end - s.front);
        most = n > most ? n : most;
        sequence_clear(&s, &g);
        graph_close(&g);
        ck_assert_uint_eq(g.bytes, empty);
    }
    ck_assert_uint_eq(most, 200);
}
END_TEST

START_TEST(clients_for_whom_the_budget_has_no_room_are_served_and_not_counted)
{
    static struct bursts b;
    size_t most = 0;

    for (size_t bytes_max = 64; bytes_max < 30000; bytes_max += 100) {
        struct graph g;
        size_t counted = 0;

        graph_init(&g, bytes_max, 8, seed);
        size_t empty = g.bytes;
        burst_init(&b, (size_t)16 << 20, seed);
        for (unsigned i = 0; i < 200; i++) {
            const uint8_t client[PREDICT_CLIENT_LEN] = {(uint8_t)(i % 100)};
            struct burst_place place = burst_ask(&b, &g, client, 0, i);

            ck_assert_int_eq(place.group, PREDICT_TREATED);
            counted += place.counted;
            ck_assert_uint_le(g.bytes, bytes_max);
        }
        most = counted > most ? counted : most;
        burst_clear(&b, &g);
        ck_assert_uint_eq(g.bytes, empty);
    }
    ck_assert_uint_eq(most, 100);
}
END_TEST

/* ---- the vote -------------------------------------------------------------------------------- */

#define N_QUESTIONS (2 * TALLIES_MAX + 64)

/* A client whose newest requests vote, in a table of many questions with numbers for ids. */
static struct hall {
    struct graph g;
    struct sequence s;
    struct graph_question *questions[N_QUESTIONS];
    struct predict_conf conf;
    struct poll poll;
    uint8_t client[PREDICT_CLIENT_LEN];
} hall;

static void open_hall(void)
{
    memset(&hall, 0, sizeof hall);
    predict_conf_seed(&hall.conf); /* share 1 */
    graph_init(&hall.g, (size_t)64 << 20, 8, seed);
    sequence_init(&hall.s, 512, PREDICT_SCOPE_CLIENT);
    for (uint32_t i = 0; i < N_QUESTIONS; i++) {
        hall.questions[i] = add(&hall.g, i);
        ck_assert_uint_eq(hall.questions[i]->id, i);
    }
}

static void close_hall(void)
{
    sequence_clear(&hall.s, &hall.g);
    graph_clear(&hall.g);
    for (uint32_t i = 0; i < N_QUESTIONS; i++)
        graph_unref(&hall.g, hall.questions[i]);
    graph_close(&hall.g);
}

/* All, or the client, showed that so many questions follow the voter, from `first` on with steps
 * between their ids. */
static void teach(uint32_t voter, uint32_t client, uint32_t first, uint32_t n, uint32_t step)
{
    struct graph_trigger *t = graph_begin(&hall.g, hall.questions[voter], client);

    for (uint32_t i = 0; i < n; i++)
        ck_assert_ptr_nonnull(pair_up(&hall.g, t, hall.questions[first + i * step]));
    graph_end(&hall.g, t);
}

static void asks(uint32_t voter)
{
    struct predict_request r = {
        .client = hall.client, .key = hall.questions[voter]->key, .key_len = sizeof voter};

    ck_assert_ptr_nonnull(sequence_list(
        &hall.s, &hall.g, &r, hall.questions[voter], hall.questions[voter]->hh.hashv, 1, 1000, 0));
}

static uint32_t fingerprint(void)
{
    return graph_fingerprint(&hall.g, hall.client);
}

static void hold(void)
{
    const struct electorate e = {.graph = &hall.g,
        .sequence = &hall.s,
        .conf = &hall.conf,
        .client = hall.client,
        .fingerprint = fingerprint(),
        .now_ms = 1};

    vote_hold(&hall.poll, &e);
}

/* Both belong to the last place there is for tallies. */
START_TEST(followers_that_fall_together_are_told_apart)
{
    teach(0, GRAPH_ALL, TALLIES_MAX - 1, 2, TALLIES_MAX);
    teach(1, GRAPH_ALL, TALLIES_MAX - 1, 1, TALLIES_MAX);
    asks(0);
    asks(1);
    hold();
    ck_assert_uint_eq(hall.poll.n_votes, 3);
    ck_assert_uint_eq(hall.poll.order[0]->question, TALLIES_MAX - 1);
    ck_assert_uint_eq(hall.poll.order[2]->question, 2 * TALLIES_MAX - 1);
    ck_assert_ptr_eq(hall.poll.order[2], hall.poll.tallies);
    ck_assert(vote_likelihood(hall.poll.order[0]) > vote_likelihood(hall.poll.order[2]));
}
END_TEST

START_TEST(voters_that_name_the_same_hundred_are_counted_up_to_a_bound)
{
    for (uint32_t voter = 0; voter < 16; voter++) {
        teach(voter, GRAPH_ALL, 100, 100, 1);
        asks(voter);
    }
    hold();
    ck_assert_uint_eq(hall.poll.n_votes, VOTES_MAX);
    ck_assert_uint_eq(hall.poll.n_tallies, 100 + 16); /* and the voters themselves */
}
END_TEST

START_TEST(followers_beyond_those_that_can_be_named_are_not_heard)
{
    uint32_t own = fingerprint();

    teach(0, GRAPH_ALL, 100, VOTES_MAX + 100, 1);
    teach(0, own, 100, VOTES_MAX + 100, 1);
    asks(0);
    hold();
    ck_assert_uint_eq(hall.poll.n_tallies, VOTES_MAX);
    ck_assert_uint_eq(hall.poll.n_votes, VOTES_MAX);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("predict_parts");
    TCase *room = tcase_create("room"), *votes = tcase_create("votes");
    SRunner *r;
    int failed;

    tcase_add_test(room, whatever_the_budget_it_is_kept_and_given_back);
    tcase_add_test(room, what_is_larger_than_the_budget_is_refused_and_nothing_forgotten_for_it);
    tcase_add_test(room, ids_end_where_a_pair_cannot_hold_them_any_more);
    tcase_add_test(room, a_trigger_leads_to_no_more_than_16_bits_can_count);
    tcase_add_test(room, a_trigger_that_is_open_does_not_go_for_another_client);
    tcase_add_test(room, requests_are_listed_within_whatever_budget_and_the_rest_is_torn);
    tcase_add_test(room, clients_for_whom_the_budget_has_no_room_are_served_and_not_counted);
    suite_add_tcase(s, room);
    tcase_add_checked_fixture(votes, open_hall, close_hall);
    tcase_add_test(votes, followers_that_fall_together_are_told_apart);
    tcase_add_test(votes, voters_that_name_the_same_hundred_are_counted_up_to_a_bound);
    tcase_add_test(votes, followers_beyond_those_that_can_be_named_are_not_heard);
    suite_add_tcase(s, votes);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
