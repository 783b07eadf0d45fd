/* tests/unit/predict.c: every sentence of the rule with numbers worked by hand, the bounds under
 * floods, the saved table cut and bent, and the rule of 2007 against its reference on real page
 * loads. Knows predict.h; of what lies behind it only what a saved table looks like. */
#include "predict.h"

#include <check.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#define W      2000 /* the window of nearly all tests, in ms */
#define SECOND 1000

/* ---- a world of questions with names of one letter ------------------------------------------- */

struct stage {
    struct predict *p;
    struct predict_conf conf;
    enum predict_copy copy[256]; /* by the first letter */
    uint64_t fresh_ms[256];      /* how long what lands is fresh */
    char sent[4096];             /* the first letters of what was prefetched */
    size_t n_sent;
    bool refuse;
};

static enum predict_copy stage_copy(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    const struct stage *s = ctx;

    (void)key_len;
    (void)now_ms;
    return s->copy[key[0]];
}

static bool stage_prefetch(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    struct stage *s = ctx;

    (void)key_len;
    (void)now_ms;
    if (s->refuse || s->n_sent + 1 == sizeof s->sent)
        return false;
    s->sent[s->n_sent++] = (char)key[0];
    s->sent[s->n_sent] = '\0';
    return true;
}

static uint64_t stage_fresh_until(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    const struct stage *s = ctx;

    (void)key_len;
    return now_ms + s->fresh_ms[key[0]];
}

static struct predict_world world_of(struct stage *s)
{
    return (struct predict_world){.ctx = s,
        .copy = stage_copy,
        .prefetch = stage_prefetch,
        .fresh_until_ms = stage_fresh_until};
}

static const uint8_t seed_one[PREDICT_SEED_LEN] = {1};
static const uint8_t seed_two[PREDICT_SEED_LEN] = {2};

static void stage_open(struct stage *s, const struct predict_conf *conf)
{
    struct predict_world world;

    memset(s, 0, sizeof *s);
    world = world_of(s);
    s->conf = *conf;
    s->p = predict_create(conf, &world, seed_one);
    ck_assert_ptr_nonnull(s->p);
}

/* The rule of 2007, told to the single client apart from sharing; tests set what they look at. */
static struct predict_conf plain(void)
{
    struct predict_conf c;

    predict_conf_default(&c);
    c.rule = PREDICT_RULE_2007;
    c.window_ms = W;
    c.confidence_percent = 0;
    c.share = 1;
    c.budget_percent = 0;
    c.dependencies_max = 64;
    c.prefetches_max = 32;
    return c;
}

/* The default rule, with windows of 2 s, no limit to waste, and what one client shows for all. */
static struct predict_conf voting(void)
{
    struct predict_conf c;

    predict_conf_default(&c);
    c.window_ms = W;
    c.share = 1;
    c.budget_percent = 0;
    return c;
}

static void stage_start(struct stage *s)
{
    struct predict_conf c = plain();

    stage_open(s, &c);
}

static void stage_close(struct stage *s)
{
    ck_assert_pstr_eq(predict_check(s->p), NULL);
    predict_free(s->p);
}

static void client_id(unsigned client, uint8_t id[PREDICT_CLIENT_LEN])
{
    memset(id, 0, PREDICT_CLIENT_LEN);
    memcpy(id, &client, sizeof client);
}

static void observe(struct stage *s, unsigned client, const char *name, bool answered, uint64_t at)
{
    uint8_t id[PREDICT_CLIENT_LEN];
    struct predict_request r = {id, (const uint8_t *)name, strlen(name), answered};

    client_id(client, id);
    predict_observe(s->p, &r, 1, at);
}

static void land(struct stage *s, const char *name, bool ok, uint64_t at)
{
    predict_landed(s->p, (const uint8_t *)name, strlen(name), ok, at);
}

/* A client asks; what is fresh is a hit, else the answer lands at once. Nothing becomes fresh by
 * it, as with TTL 0. */
static void ask(struct stage *s, unsigned client, const char *name, uint64_t at)
{
    bool answered = s->copy[(uint8_t)name[0]] == PREDICT_FRESH;

    observe(s, client, name, answered, at);
    if (!answered)
        land(s, name, true, at);
}

/* Each letter is a question, 10 ms apart. */
static void visit(struct stage *s, unsigned client, const char *letters, uint64_t at)
{
    char name[2] = "";

    for (; *letters != '\0'; letters++, at += 10) {
        name[0] = *letters;
        ask(s, client, name, at);
    }
}

static void tick(struct stage *s, uint64_t now_ms)
{
    while (predict_due_ms(s->p) <= now_ms)
        predict_tick(s->p, now_ms);
}

static unsigned score(const struct stage *s, const char *trigger, const char *follower)
{
    return predict_score(s->p, (const uint8_t *)trigger, strlen(trigger), (const uint8_t *)follower,
        strlen(follower));
}

static struct predict_counts counts(const struct stage *s)
{
    struct predict_counts n;

    predict_count(s->p, &n);
    return n;
}

/* n questions that were never asked before. */
static void flood(struct stage *s, unsigned client, unsigned n, uint64_t at)
{
    static unsigned serial;
    char name[24];

    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof name, "~%u", ++serial);
        ask(s, client, name, at);
    }
}

/* What is prefetched when a client asks for name now. */
static const char *brings(struct stage *s, unsigned client, const char *name, uint64_t at)
{
    s->n_sent = 0;
    s->sent[0] = '\0';
    ask(s, client, name, at);
    return s->sent;
}

/* Lets every prefetch that was sent land at `at`. */
static void land_all(struct stage *s, uint64_t at)
{
    char name[2] = "";

    for (size_t i = 0; i < s->n_sent; i++) {
        name[0] = s->sent[i];
        land(s, name, true, at);
    }
}

/* ---- the rule of 2007 ------------------------------------------------------------------------ */

START_TEST(a_chain_is_scored_when_each_window_closes)
{
    struct stage s;

    stage_start(&s);
    ask(&s, 1, "a", 0);
    ask(&s, 1, "b", 10);
    ask(&s, 1, "c", 20);
    tick(&s, 1999);
    ck_assert_uint_eq(counts(&s).pairs, 0);
    tick(&s, 2000);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    ck_assert_uint_eq(score(&s, "a", "c"), 1);
    ck_assert_uint_eq(score(&s, "b", "c"), 0);
    tick(&s, 2010);
    ck_assert_uint_eq(score(&s, "b", "c"), 1);
    tick(&s, 2020);
    ck_assert_uint_eq(counts(&s).pairs, 3);
    ck_assert_uint_eq(counts(&s).triggers, 2);
    ck_assert_uint_eq(counts(&s).windows_open, 0);
    ck_assert_uint_eq(score(&s, "c", "a"), 0);
    stage_close(&s);
}
END_TEST

START_TEST(the_third_visit_brings_the_whole_chain)
{
    struct stage s;

    stage_start(&s);
    visit(&s, 1, "abcdef", 0);
    ck_assert_str_eq(brings(&s, 1, "a", 10 * SECOND), "");
    visit(&s, 1, "bcdef", 10 * SECOND + 10);
    tick(&s, 15 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "f"), 2);
    ck_assert_uint_eq(score(&s, "e", "f"), 2);
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND), "bcdef");
    stage_close(&s);
}
END_TEST

START_TEST(a_request_when_the_window_is_due_is_not_seen)
{
    struct stage s;

    stage_start(&s);
    ask(&s, 1, "a", 0);
    ask(&s, 1, "b", 1999);
    ask(&s, 1, "c", 2000);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    ck_assert_uint_eq(score(&s, "a", "c"), 0);
    tick(&s, 5000);
    ck_assert_uint_eq(score(&s, "a", "c"), 0);
    ck_assert_uint_eq(score(&s, "b", "c"), 1);
    stage_close(&s);
}
END_TEST

START_TEST(what_was_not_seen_loses_1_and_is_forgotten_at_0)
{
    struct stage s;

    stage_start(&s);
    visit(&s, 1, "ab", 0);
    visit(&s, 1, "ab", 10 * SECOND);
    visit(&s, 1, "ac", 20 * SECOND);
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    ck_assert_uint_eq(score(&s, "a", "c"), 1);
    visit(&s, 1, "a", 30 * SECOND);
    tick(&s, 35 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 0);
    ck_assert_uint_eq(score(&s, "a", "c"), 0);
    ck_assert_uint_eq(counts(&s).pairs, 0);
    ck_assert_uint_eq(counts(&s).triggers, 0);
    visit(&s, 1, "ab", 40 * SECOND); /* forgotten: it starts at 1 again */
    tick(&s, 45 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    stage_close(&s);
}
END_TEST

START_TEST(a_trigger_that_was_not_asked_keeps_its_scores)
{
    struct stage s;

    stage_start(&s);
    visit(&s, 1, "abc", 0);
    visit(&s, 1, "abc", 10 * SECOND);
    visit(&s, 1, "a", 20 * SECOND);
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    ck_assert_uint_eq(score(&s, "a", "c"), 1);
    ck_assert_uint_eq(score(&s, "b", "c"), 2);
    stage_close(&s);
}
END_TEST

START_TEST(nothing_is_fetched_that_is_fresh_or_under_way_or_failed)
{
    struct stage s;

    stage_start(&s);
    visit(&s, 1, "abcde", 0);
    visit(&s, 1, "abcde", 10 * SECOND);
    tick(&s, 15 * SECOND);
    s.copy['b'] = PREDICT_FRESH;
    s.copy['c'] = PREDICT_UNDER_WAY;
    s.copy['d'] = PREDICT_FAILED;
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND), "e");
    ck_assert_uint_eq(counts(&s).shed, 0);
    stage_close(&s);
}
END_TEST

START_TEST(the_score_asked_for_is_an_option)
{
    struct predict_conf c = plain();
    struct stage s;

    c.score = 3;
    stage_open(&s, &c);
    visit(&s, 1, "ab", 0);
    visit(&s, 1, "ab", 10 * SECOND);
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND), "");
    ask(&s, 1, "b", 20 * SECOND + 10);
    ck_assert_str_eq(brings(&s, 1, "a", 30 * SECOND), "b");
    stage_close(&s);
}
END_TEST

/* ---- what the words leave open --------------------------------------------------------------- */

START_TEST(a_follower_counts_once_in_a_window)
{
    struct stage s;

    stage_start(&s);
    visit(&s, 1, "abbb", 0);
    tick(&s, 5 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    visit(&s, 1, "abbb", 10 * SECOND);
    tick(&s, 15 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    ck_assert_uint_eq(score(&s, "b", "b"), 0);
    stage_close(&s);
}
END_TEST

START_TEST(a_repeat_in_an_open_window_opens_none_but_is_seen)
{
    struct stage s;

    stage_start(&s);
    ask(&s, 1, "a", 0);
    ask(&s, 1, "b", 10);
    ask(&s, 1, "a", 1000);
    ck_assert_uint_eq(counts(&s).windows_open, 2);
    tick(&s, 2000);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    tick(&s, 5000); /* a window of the second a would have unlearned it */
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    ck_assert_uint_eq(score(&s, "b", "a"), 1);
    ask(&s, 1, "a", 6000);
    ck_assert_uint_eq(counts(&s).windows_open, 1);
    ask(&s, 1, "a", 8000); /* the first one is due by now */
    ck_assert_uint_eq(counts(&s).windows_open, 1);
    tick(&s, 9999);
    ck_assert_uint_eq(counts(&s).windows_open, 1);
    stage_close(&s);
}
END_TEST

START_TEST(a_repeat_opens_a_window_where_2007_is_wanted_to_the_letter)
{
    struct predict_conf c = plain();
    struct stage s;

    c.reopen = true;
    stage_open(&s, &c);
    ask(&s, 1, "a", 0);
    ask(&s, 1, "b", 10);
    ask(&s, 1, "a", 1000);
    ck_assert_uint_eq(counts(&s).windows_open, 3);
    tick(&s, 2999);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    tick(&s, 3000);
    ck_assert_uint_eq(score(&s, "a", "b"), 0);
    stage_close(&s);
}
END_TEST

START_TEST(every_client_has_a_window_of_its_own_for_the_same_question)
{
    struct stage s;

    stage_start(&s);
    ask(&s, 1, "a", 0);
    ask(&s, 2, "a", 1);
    ask(&s, 3, "a", 2);
    ask(&s, 1, "a", 3);
    ask(&s, 2, "a", 4);
    ck_assert_uint_eq(counts(&s).windows_open, 3);
    ask(&s, 2, "b", 5);
    tick(&s, 2000); /* client 1 did not ask for b, client 2 did, and client 3 costs it 1 */
    ck_assert_uint_eq(score(&s, "a", "b"), 0);
    tick(&s, 2001);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    tick(&s, 2002);
    ck_assert_uint_eq(score(&s, "a", "b"), 0);
    stage_close(&s);
}
END_TEST

START_TEST(a_question_has_32_windows_open_at_most)
{
    struct stage s;

    stage_start(&s);
    for (unsigned client = 0; client < 40; client++)
        ask(&s, client, "a", client);
    ck_assert_uint_eq(counts(&s).windows_open, 32);
    ck_assert_uint_eq(counts(&s).unlisted, 0);
    stage_close(&s);
}
END_TEST

START_TEST(with_scope_client_only_requests_of_one_client_follow_each_other)
{
    struct stage s;

    stage_start(&s);
    ask(&s, 1, "a", 0);
    ask(&s, 2, "x", 5);
    ask(&s, 1, "b", 10);
    ask(&s, 2, "y", 15);
    tick(&s, 5000);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    ck_assert_uint_eq(score(&s, "x", "y"), 1);
    ck_assert_uint_eq(counts(&s).pairs, 2);
    ask(&s, 3, "a", 6000); /* the scores are common */
    ask(&s, 3, "b", 6010);
    tick(&s, 9000);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    stage_close(&s);
}
END_TEST

START_TEST(with_scope_global_all_requests_follow_each_other)
{
    struct predict_conf c = plain();
    struct stage s;

    c.scope = PREDICT_SCOPE_GLOBAL;
    stage_open(&s, &c);
    ask(&s, 1, "a", 0);
    ask(&s, 2, "x", 5);
    ask(&s, 1, "b", 10);
    tick(&s, 5000);
    ck_assert_uint_eq(score(&s, "a", "x"), 1);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    ck_assert_uint_eq(score(&s, "x", "b"), 1);
    stage_close(&s);
}
END_TEST

START_TEST(a_fresh_copy_may_hide_a_follower_which_then_loses_nothing)
{
    struct stage s;

    stage_start(&s);
    visit(&s, 1, "ab", 0);
    visit(&s, 1, "ab", 10 * SECOND);
    tick(&s, 15 * SECOND);
    s.copy['b'] = PREDICT_FRESH;
    ask(&s, 1, "a", 20 * SECOND);
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    s.copy['b'] = PREDICT_ABSENT; /* at the end of the window */
    s.refuse = true;
    ask(&s, 1, "a", 30 * SECOND);
    tick(&s, 35 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    stage_close(&s);
}
END_TEST

START_TEST(a_copy_that_is_fresh_by_an_unused_prefetch_hides_nothing)
{
    struct stage s;

    stage_start(&s);
    visit(&s, 1, "ab", 0);
    visit(&s, 1, "ab", 10 * SECOND);
    tick(&s, 15 * SECOND);
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND), "b");
    land(&s, "b", true, 20 * SECOND + 40);
    s.copy['b'] = PREDICT_FRESH;
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    ck_assert_uint_eq(counts(&s).unused, 0); /* it is fresh yet and may still be asked for */
    stage_close(&s);
}
END_TEST

START_TEST(a_copy_of_a_used_prefetch_hides_like_any_other)
{
    struct stage s;

    stage_start(&s);
    visit(&s, 1, "ab", 0);
    visit(&s, 1, "ab", 10 * SECOND);
    tick(&s, 15 * SECOND);
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND), "b");
    land(&s, "b", true, 20 * SECOND + 40);
    s.copy['b'] = PREDICT_FRESH;
    ask(&s, 1, "b", 20 * SECOND + 50);
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 3);
    ask(&s, 1, "a", 30 * SECOND);
    tick(&s, 35 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 3);
    stage_close(&s);
}
END_TEST

START_TEST(always_subtract_takes_1_even_from_what_is_fresh)
{
    struct predict_conf c = plain();
    struct stage s;

    c.always_subtract = true;
    stage_open(&s, &c);
    visit(&s, 1, "ab", 0);
    visit(&s, 1, "ab", 10 * SECOND);
    tick(&s, 15 * SECOND);
    s.copy['b'] = PREDICT_FRESH;
    ask(&s, 1, "a", 20 * SECOND);
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    stage_close(&s);
}
END_TEST

START_TEST(a_score_stops_at_the_cap_and_falls_from_there)
{
    struct predict_conf c = plain();
    struct stage s;

    c.cap = 3;
    stage_open(&s, &c);
    s.refuse = true;
    for (unsigned i = 0; i < 7; i++)
        visit(&s, 1, "ab", i * 10 * SECOND);
    tick(&s, 75 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(score(&s, "a", "b"), 3 - i);
        ask(&s, 1, "a", 100 * SECOND + i * 10 * SECOND);
        tick(&s, 105 * SECOND + i * 10 * SECOND);
    }
    ck_assert_uint_eq(counts(&s).pairs, 0);
    stage_close(&s);
}
END_TEST

START_TEST(without_a_cap_a_score_goes_on)
{
    struct predict_conf c = plain();
    struct stage s;

    c.cap = 0;
    stage_open(&s, &c);
    for (unsigned i = 0; i < 300; i++)
        visit(&s, 1, "ab", i * 10 * SECOND);
    tick(&s, 4000 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 300);
    stage_close(&s);
}
END_TEST

/* Seen in 3 of 4 windows: score 1, 2, 1, 2. */
static void see_3_of_4(struct stage *s, const struct predict_conf *c)
{
    stage_open(s, c);
    visit(s, 1, "ab", 0);
    visit(s, 1, "ab", 10 * SECOND);
    s->refuse = true;
    visit(s, 1, "ac", 20 * SECOND);
    visit(s, 1, "ab", 30 * SECOND);
    tick(s, 35 * SECOND);
    s->refuse = false;
    ck_assert_uint_eq(score(s, "a", "b"), 2);
}

START_TEST(confidence_is_the_share_of_windows_that_saw_the_follower)
{
    struct predict_conf c = plain();
    struct stage s;

    c.confidence_percent = 75;
    see_3_of_4(&s, &c);
    ck_assert_str_eq(brings(&s, 1, "a", 40 * SECOND), "b");
    stage_close(&s);
    c.confidence_percent = 76;
    see_3_of_4(&s, &c);
    ck_assert_str_eq(brings(&s, 1, "a", 40 * SECOND), "");
    stage_close(&s);
}
END_TEST

START_TEST(windows_before_the_first_sight_of_a_follower_count_against_it)
{
    struct predict_conf c = plain();
    struct stage s;

    c.confidence_percent = 50;
    stage_open(&s, &c);
    for (unsigned i = 0; i < 3; i++)
        visit(&s, 1, "ac", i * 10 * SECOND);
    for (unsigned i = 3; i < 5; i++)
        visit(&s, 1, "acb", i * 10 * SECOND);
    tick(&s, 45 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    ck_assert_str_eq(brings(&s, 1, "a", 50 * SECOND), "c"); /* b: 2 of 5 */
    ask(&s, 1, "b", 50 * SECOND + 10);
    ask(&s, 1, "c", 50 * SECOND + 20);
    tick(&s, 55 * SECOND);
    ck_assert_str_eq(brings(&s, 1, "a", 60 * SECOND), "cb"); /* 3 of 6 */
    stage_close(&s);
}
END_TEST

START_TEST(a_window_that_says_nothing_does_not_count_for_confidence)
{
    struct predict_conf c = plain();
    struct stage s;

    c.confidence_percent = 100;
    stage_open(&s, &c);
    visit(&s, 1, "ab", 0);
    visit(&s, 1, "ab", 10 * SECOND);
    tick(&s, 15 * SECOND);
    s.copy['b'] = PREDICT_FRESH;
    visit(&s, 1, "ac", 20 * SECOND);
    tick(&s, 25 * SECOND);
    s.copy['b'] = PREDICT_ABSENT;
    ck_assert_str_eq(brings(&s, 1, "a", 30 * SECOND), "b");
    stage_close(&s);
}
END_TEST

START_TEST(confidence_follows_the_times)
{
    struct predict_conf c = plain();
    struct stage s;
    unsigned i;

    c.confidence_percent = 50;
    c.cap = 0;
    stage_open(&s, &c);
    s.refuse = true;
    for (i = 0; i < 15; i++)
        visit(&s, 1, "abc", i * 10 * SECOND);
    for (; i < 16; i++) /* the 16th window halves: b 15 of 16 becomes 8 of 8 */
        visit(&s, 1, "ac", i * 10 * SECOND);
    for (; i < 24; i++) /* and these make it 8 of 16, which becomes 4 of 8 */
        visit(&s, 1, "ac", i * 10 * SECOND);
    tick(&s, i * 10 * SECOND - 1);
    ck_assert_uint_eq(score(&s, "a", "b"), 6); /* 15 - 9 */
    s.refuse = false;
    ck_assert_str_eq(brings(&s, 1, "a", i * 10 * SECOND), "cb");
    tick(&s, i * 10 * SECOND + 5000); /* 4 of 9 */
    ck_assert_str_eq(brings(&s, 1, "a", ++i * 10 * SECOND), "c");
    stage_close(&s);
}
END_TEST

START_TEST(a_pair_serves_only_the_client_that_showed_it_until_another_did)
{
    struct predict_conf c = plain();
    struct stage s;

    c.share = 2;
    stage_open(&s, &c);
    visit(&s, 1, "ab", 0);
    visit(&s, 1, "ab", 10 * SECOND);
    visit(&s, 1, "ab", 20 * SECOND);
    tick(&s, 25 * SECOND);
    ck_assert_str_eq(brings(&s, 2, "a", 30 * SECOND), "");
    tick(&s, 35 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    ck_assert_str_eq(brings(&s, 1, "a", 40 * SECOND), "b");
    ask(&s, 1, "b", 40 * SECOND + 10);
    visit(&s, 2, "ab", 50 * SECOND);
    tick(&s, 55 * SECOND);
    ck_assert_str_eq(brings(&s, 3, "a", 60 * SECOND), "b");
    stage_close(&s);
}
END_TEST

START_TEST(share_can_ask_for_up_to_four_clients)
{
    struct predict_conf c = plain();
    struct stage s;

    for (unsigned share = 1; share <= PREDICT_SHARE_MAX; share++) {
        c.share = share;
        stage_open(&s, &c);
        for (unsigned client = 1; client < share; client++)
            visit(&s, client, "ab", client * 10 * SECOND);
        visit(&s, 1, "ab", 80 * SECOND);
        visit(&s, 1, "ab", 90 * SECOND);
        tick(&s, 95 * SECOND);
        s.refuse = true;
        ck_assert_uint_eq(counts(&s).shed, 0);
        ask(&s, 9, "a", 100 * SECOND);
        ck_assert_uint_eq(counts(&s).shed, share == 1);
        for (unsigned client = 1; client < share; client++) {
            ask(&s, client, "a", 100 * SECOND + client);
            ck_assert_uint_eq(counts(&s).shed, client);
        }
        ask(&s, 9, "b", 100 * SECOND + 20);
        tick(&s, 105 * SECOND);
        stage_close(&s);
    }
}
END_TEST

START_TEST(with_scope_global_the_asker_of_the_follower_showed_the_pair)
{
    struct predict_conf c = plain();
    struct stage s;

    c.share = 2;
    c.scope = PREDICT_SCOPE_GLOBAL;
    stage_open(&s, &c);
    for (unsigned i = 0; i < 3; i++) { /* 1 asks a, and 2 has junk follow it */
        ask(&s, 1, "a", i * 10 * SECOND);
        ask(&s, 2, "j", i * 10 * SECOND + 10);
    }
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "j"), 3);
    ck_assert_str_eq(brings(&s, 1, "a", 30 * SECOND), "");
    tick(&s, 35 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "j"), 2);
    ck_assert_str_eq(brings(&s, 2, "a", 40 * SECOND), "j");
    stage_close(&s);
}
END_TEST

START_TEST(a_prefetch_leads_to_no_other)
{
    struct stage s;

    stage_start(&s);
    for (unsigned i = 0; i < 4; i++) /* a>b and b>c, never together */
        visit(&s, 1, i < 2 ? "ab" : "bc", i * 10 * SECOND);
    tick(&s, 65 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    ck_assert_uint_eq(score(&s, "b", "c"), 2);
    ck_assert_uint_eq(score(&s, "a", "c"), 0);
    ck_assert_str_eq(brings(&s, 1, "a", 70 * SECOND), "b");
    ck_assert_uint_eq(counts(&s).windows_open, 1);
    land(&s, "b", true, 70 * SECOND + 40);
    ck_assert_str_eq(s.sent, "b");
    tick(&s, 75 * SECOND);
    ck_assert_uint_eq(counts(&s).windows_open, 0);
    stage_close(&s);
}
END_TEST

START_TEST(what_was_never_answered_is_not_prefetched)
{
    struct stage s;

    stage_start(&s);
    for (unsigned i = 0; i < 2; i++) {
        ask(&s, 1, "a", i * 10 * SECOND);
        observe(&s, 1, "b", false, i * 10 * SECOND + 10);
        ask(&s, 1, "c", i * 10 * SECOND + 20);
    }
    tick(&s, 15 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND), "c");
    land(&s, "b", true, 20 * SECOND + 5);
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND + 10), "bc");
    stage_close(&s);
}
END_TEST

START_TEST(a_failure_ends_prefetching_until_the_next_answer)
{
    struct stage s;

    stage_start(&s);
    visit(&s, 1, "ab", 0);
    visit(&s, 1, "ab", 10 * SECOND);
    tick(&s, 15 * SECOND);
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND), "b");
    land(&s, "b", false, 20 * SECOND + 40);
    ck_assert_uint_eq(counts(&s).unused, 1);
    ck_assert_uint_eq(counts(&s).outstanding, 0);
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND + 50), "");
    observe(&s, 1, "b", true, 20 * SECOND + 60);
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND + 70), "b");
    stage_close(&s);
}
END_TEST

static size_t n_brought(struct stage *s, const char *name, uint64_t at)
{
    return strlen(brings(s, 1, name, at));
}

/* ---- what became of prefetches --------------------------------------------------------------- */

static void train_ab(struct stage *s, const struct predict_conf *c)
{
    stage_open(s, c);
    visit(s, 1, "ab", 0);
    visit(s, 1, "ab", 10 * SECOND);
    tick(s, 15 * SECOND);
}

START_TEST(a_prefetch_that_landed_saves_a_round_trip)
{
    struct predict_conf c = plain();
    struct stage s;

    train_ab(&s, &c);
    ck_assert_str_eq(brings(&s, 1, "a", 20000), "b");
    land(&s, "b", true, 20040);
    ck_assert_uint_eq(counts(&s).outstanding, 1);
    observe(&s, 1, "b", true, 20500);
    ck_assert_uint_eq(counts(&s).prefetches, 1);
    ck_assert_uint_eq(counts(&s).used, 1);
    ck_assert_uint_eq(counts(&s).used_late, 0);
    ck_assert_uint_eq(counts(&s).saved_ms, 40);
    ck_assert_uint_eq(counts(&s).outstanding, 0);
    observe(&s, 1, "b", true, 20600); /* it is used once */
    ck_assert_uint_eq(counts(&s).used, 1);
    ck_assert_uint_eq(counts(&s).saved_ms, 40);
    stage_close(&s);
}
END_TEST

START_TEST(a_prefetch_under_way_saves_what_had_gone_by)
{
    struct predict_conf c = plain();
    struct stage s;

    train_ab(&s, &c);
    ck_assert_str_eq(brings(&s, 1, "a", 20000), "b");
    observe(&s, 1, "b", false, 20015);
    land(&s, "b", true, 20040);
    ck_assert_uint_eq(counts(&s).used, 0);
    ck_assert_uint_eq(counts(&s).used_late, 1);
    ck_assert_uint_eq(counts(&s).saved_ms, 15);
    stage_close(&s);
}
END_TEST

START_TEST(a_prefetch_that_expired_before_its_client_came_is_unused)
{
    struct predict_conf c = plain();
    struct stage s;

    train_ab(&s, &c);
    ck_assert_str_eq(brings(&s, 1, "a", 20000), "b");
    land(&s, "b", true, 20040);
    observe(&s, 1, "b", false, 21500); /* a miss, though it had landed */
    ck_assert_uint_eq(counts(&s).unused, 1);
    ck_assert_uint_eq(counts(&s).used, 0);
    ck_assert_uint_eq(counts(&s).saved_ms, 0);
    stage_close(&s);
}
END_TEST

START_TEST(a_prefetch_nobody_asks_for_is_unused_when_the_window_closes_without_a_copy)
{
    struct predict_conf c = plain();
    struct stage s;

    train_ab(&s, &c);
    ck_assert_str_eq(brings(&s, 1, "a", 20000), "b");
    land(&s, "b", true, 20040);
    tick(&s, 21999);
    ck_assert_uint_eq(counts(&s).unused, 0);
    tick(&s, 22000);
    ck_assert_uint_eq(counts(&s).unused, 1);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    stage_close(&s);
}
END_TEST

START_TEST(a_prefetch_that_is_sent_again_makes_the_first_one_unused)
{
    struct predict_conf c = plain();
    struct stage s;

    train_ab(&s, &c);
    ck_assert_str_eq(brings(&s, 1, "a", 20000), "b");
    land(&s, "b", true, 20040);
    ck_assert_str_eq(brings(&s, 1, "a", 21000), "b"); /* the copy has gone */
    ck_assert_uint_eq(counts(&s).prefetches, 2);
    ck_assert_uint_eq(counts(&s).unused, 1);
    ck_assert_uint_eq(counts(&s).outstanding, 1);
    stage_close(&s);
}
END_TEST

START_TEST(an_unused_prefetch_is_found_by_the_sweep_when_its_copy_has_gone)
{
    struct predict_conf c = plain();
    struct stage s;

    train_ab(&s, &c);
    ck_assert_str_eq(brings(&s, 1, "a", 20000), "b");
    land(&s, "b", true, 20040);
    s.copy['b'] = PREDICT_FRESH;
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(counts(&s).outstanding, 1);
    s.copy['b'] = PREDICT_ABSENT;
    ask(&s, 1, "x", 30 * SECOND); /* any window that closes */
    tick(&s, 35 * SECOND);
    ck_assert_uint_eq(counts(&s).outstanding, 0);
    ck_assert_uint_eq(counts(&s).unused, 1);
    stage_close(&s);
}
END_TEST

START_TEST(a_prefetch_lands_once)
{
    struct predict_conf c = plain();
    struct stage s;

    train_ab(&s, &c);
    ck_assert_str_eq(brings(&s, 1, "a", 20000), "b");
    land(&s, "b", true, 20040);
    land(&s, "b", true, 20900); /* somebody else's refresh */
    land(&s, "b", false, 20950);
    ck_assert_uint_eq(counts(&s).outstanding, 1);
    observe(&s, 1, "b", true, 20960);
    ck_assert_uint_eq(counts(&s).saved_ms, 40);
    stage_close(&s);
}
END_TEST

START_TEST(of_more_than_1024_unused_prefetches_the_number_stays)
{
    struct predict_conf c = plain();
    struct stage s;
    char name[8];
    uint64_t at = 0;

    c.dependencies_max = 0;
    stage_open(&s, &c);
    for (unsigned t = 0; t < 40; t++) { /* 40 triggers of 30 followers each */
        for (unsigned i = 0; i < 2; i++, at += 5 * SECOND) {
            snprintf(name, sizeof name, "t%02u", t);
            ask(&s, 1, name, at);
            for (unsigned k = 0; k < 30; k++) {
                snprintf(name, sizeof name, "x%02u%02u", t, k);
                observe(&s, 1, name, true, at);
            }
        }
    }
    tick(&s, at);
    for (unsigned t = 0; t < 40; t++) {
        snprintf(name, sizeof name, "t%02u", t);
        ck_assert_uint_eq(n_brought(&s, name, at), 30);
        ck_assert_pstr_eq(predict_check(s.p), NULL);
    }
    ck_assert_uint_eq(counts(&s).prefetches, 1200);
    ck_assert_uint_eq(counts(&s).outstanding, 1024);
    ck_assert_uint_eq(counts(&s).unused, 176);
    stage_close(&s);
}
END_TEST

START_TEST(a_prefetch_that_is_refused_was_not_sent)
{
    struct predict_conf c = plain();
    struct stage s;

    train_ab(&s, &c);
    s.refuse = true;
    ck_assert_str_eq(brings(&s, 1, "a", 20000), "");
    ck_assert_uint_eq(counts(&s).prefetches, 0);
    ck_assert_uint_eq(counts(&s).shed, 1);
    ck_assert_uint_eq(counts(&s).outstanding, 0);
    stage_close(&s);
}
END_TEST

/* ---- budget and bounds of prefetching -------------------------------------------------------- */

/* t and 40 followers x00 to x39, each with a score of 2. */
static void train_many(struct stage *s, const struct predict_conf *c)
{
    char name[8];

    stage_open(s, c);
    for (unsigned i = 0; i < 2; i++) {
        ask(s, 1, "t", i * 10 * SECOND);
        for (unsigned k = 0; k < 40; k++) {
            snprintf(name, sizeof name, "x%02u", k);
            ask(s, 1, name, i * 10 * SECOND + 10 + k);
        }
    }
    tick(s, 15 * SECOND);
    ck_assert_uint_eq(score(s, "t", "x39"), 2);
    s->copy['t'] = PREDICT_FRESH; /* to ask for it earns nothing */
}

START_TEST(a_request_brings_32_followers_at_most)
{
    struct predict_conf c = plain();
    struct stage s;

    train_many(&s, &c);
    ck_assert_uint_eq(n_brought(&s, "t", 20 * SECOND), 32);
    stage_close(&s);
    c.prefetches_max = 5;
    train_many(&s, &c);
    ck_assert_uint_eq(n_brought(&s, "t", 20 * SECOND), 5);
    stage_close(&s);
    c.prefetches_max = 0;
    train_many(&s, &c);
    ck_assert_uint_eq(n_brought(&s, "t", 20 * SECOND), 40);
    stage_close(&s);
}
END_TEST

/* a has seen c in 1 of 2 windows, 10 ms later; b in 1 of 1. Where both speak of c, the mean is (1/2
 * + 1) / 2 = .75, the best b's (1 + .375) / 1.5 = .917, the likelihood .89. Where a says nothing:
 * mean .5, best (1 + .25) / 1.5 = .83, likelihood .78. */
static const char *brought_late(struct stage *s, uint64_t after_ms)
{
    struct predict_conf c = voting();

    c.confidence_percent = 85;
    stage_open(s, &c);
    visit(s, 1, "ac", 0);
    visit(s, 1, "a", 10 * SECOND);
    visit(s, 1, "bc", 20 * SECOND);
    ask(s, 1, "a", 30 * SECOND);
    return brings(s, 1, "b", 30 * SECOND + after_ms);
}

START_TEST(a_trigger_says_nothing_of_what_is_overdue)
{
    struct stage s;

    ck_assert_str_eq(brought_late(&s, 2 * 10 + 500), "c");
    stage_close(&s);
    ck_assert_str_eq(brought_late(&s, 2 * 10 + 500 + 1), "");
    stage_close(&s);
}
END_TEST

START_TEST(what_is_asked_in_the_same_turn_is_not_fetched)
{
    uint8_t id[PREDICT_CLIENT_LEN];
    struct predict_request turn[] = {
        {id, (const uint8_t *)"a", 1, false},
        {id, (const uint8_t *)"c", 1, false},
    };
    struct predict_conf c = voting();
    struct stage s;

    client_id(1, id);
    stage_open(&s, &c);
    visit(&s, 1, "ac", 0);
    predict_observe(s.p, turn, 2, 10 * SECOND);
    ck_assert_str_eq(s.sent, "");
    predict_observe(s.p, turn, 1, 20 * SECOND);
    ck_assert_str_eq(s.sent, "c");
    stage_close(&s);
}
END_TEST

START_TEST(the_strongest_followers_come_first)
{
    struct predict_conf c = plain();
    struct stage s;

    c.prefetches_max = 3;
    stage_open(&s, &c);
    s.refuse = true;
    visit(&s, 1, "abcde", 0);
    visit(&s, 1, "abcde", 10 * SECOND);
    visit(&s, 1, "acde", 20 * SECOND); /* b 1, c 3, d 3, e 3 */
    visit(&s, 1, "abde", 30 * SECOND); /* b 2, c 2, d 4, e 4 */
    visit(&s, 1, "abce", 40 * SECOND); /* b 3, c 3, d 3, e 5 */
    tick(&s, 45 * SECOND);
    s.refuse = false;
    ck_assert_str_eq(brings(&s, 1, "a", 50 * SECOND), "ebc");
    stage_close(&s);
}
END_TEST

START_TEST(waste_is_bounded_by_a_bucket_of_256_tokens)
{
    struct predict_conf c = plain();
    struct stage s;
    char name[8];

    c.budget_percent = 10;
    train_many(&s, &c);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(n_brought(&s, "t", 20 * SECOND + i), 32);
    ck_assert_uint_eq(n_brought(&s, "t", 20 * SECOND + 8), 0);
    ck_assert_uint_eq(counts(&s).shed, 32);
    for (unsigned i = 0; i < 100; i++) /* what the cache answers earns nothing */
        observe(&s, 1, "h", true, 20 * SECOND + 9);
    ck_assert_uint_eq(n_brought(&s, "t", 20 * SECOND + 10), 0);
    for (unsigned i = 0; i < 10; i++) { /* ten questions upstream earn 1 */
        snprintf(name, sizeof name, "l%u", i);
        ask(&s, 1, name, 20 * SECOND + 10);
    }
    ck_assert_str_eq(brings(&s, 1, "t", 20 * SECOND + 10), "x");

    s.copy['x'] = PREDICT_UNDER_WAY;
    ask(&s, 1, "x00", 20 * SECOND + 11); /* it is used: 1 back, and 0.1 as a question upstream */
    ck_assert_uint_eq(counts(&s).used_late, 1);
    s.copy['x'] = PREDICT_ABSENT;
    ck_assert_uint_eq(n_brought(&s, "t", 20 * SECOND + 12), 1);
    for (unsigned i = 0; i < 8; i++) { /* 0.9 */
        snprintf(name, sizeof name, "m%u", i);
        ask(&s, 1, name, 20 * SECOND + 13);
    }
    ck_assert_uint_eq(n_brought(&s, "t", 20 * SECOND + 14), 0);
    observe(&s, 1, "n", false, 20 * SECOND + 15); /* 1.0 */
    ck_assert_uint_eq(n_brought(&s, "t", 20 * SECOND + 16), 1);
    for (unsigned i = 0; i < 100; i++) /* those that join a question under way earn nothing */
        observe(&s, 2 + i, "n", false, 20 * SECOND + 17);
    ck_assert_uint_eq(n_brought(&s, "t", 20 * SECOND + 18), 0);
    stage_close(&s);
}
END_TEST

START_TEST(a_prefetch_in_time_gives_its_token_back)
{
    struct predict_conf c = plain();
    struct stage s;

    c.budget_percent = 10;
    train_ab(&s, &c);
    for (unsigned i = 0; i < 1000; i++) { /* used every time: the bucket never runs dry */
        uint64_t at = 20000 + i * 5000;

        s.copy['a'] = PREDICT_FRESH;
        s.copy['b'] = PREDICT_ABSENT;
        ck_assert_str_eq(brings(&s, 1, "a", at), "b");
        land(&s, "b", true, at + 40);
        s.copy['b'] = PREDICT_FRESH;
        ask(&s, 1, "b", at + 50);
    }
    ck_assert_uint_eq(counts(&s).used, 1000);
    ck_assert_uint_eq(counts(&s).shed, 0);
    stage_close(&s);
}
END_TEST

/* One token is left when a brings b, whose copy is fresh from 20040 to 21040 and used at 20900:
 * its client's own copy would land at 20940 and live until 21940. That leaves 1.1 tokens. */
static void use_b_ahead(struct stage *s)
{
    struct predict_conf c = plain();

    c.budget_percent = 10;
    train_ab(s, &c);
    s->copy['a'] = PREDICT_FRESH; /* to ask for it earns nothing */
    s->fresh_ms['b'] = 1000;
    for (unsigned i = 0; i < 255; i++)
        ck_assert_uint_eq(n_brought(s, "a", 20000), 1);
    ck_assert_uint_eq(n_brought(s, "a", 20000), 1);
    land(s, "b", true, 20040);
    s->copy['b'] = PREDICT_FRESH;
    ask(s, 1, "b", 20900);
    ck_assert_uint_eq(counts(s).used, 1);
    s->copy['b'] = PREDICT_ABSENT;
}

START_TEST(what_expired_early_since_it_was_fetched_ahead_costs_a_token)
{
    struct stage s;

    use_b_ahead(&s);
    ask(&s, 1, "b", 21939);
    ck_assert_uint_eq(n_brought(&s, "a", 21939), 0);
    stage_close(&s);
    use_b_ahead(&s);
    ask(&s, 1, "b", 21940);
    ck_assert_uint_eq(n_brought(&s, "a", 21940), 1);
    stage_close(&s);
}
END_TEST

START_TEST(a_prefetch_that_its_client_would_not_have_needed_gives_nothing_back)
{
    struct stage s;

    use_b_ahead(&s);
    ck_assert_uint_eq(n_brought(&s, "a", 21100), 1);
    land(&s, "b", true, 21140);
    s.copy['b'] = PREDICT_FRESH;
    ask(&s, 1, "b", 21899);
    ck_assert_uint_eq(counts(&s).used, 2);
    ck_assert_uint_eq(counts(&s).saved_ms, 40);
    s.copy['b'] = PREDICT_ABSENT;
    ck_assert_uint_eq(n_brought(&s, "a", 21899), 0);
    stage_close(&s);
}
END_TEST

/* Sent at 20000, joined at 20015, landed at 20040 and fresh until 21040: its own would be until
 * 21055. */
START_TEST(a_prefetch_that_was_joined_expires_early_too)
{
    for (uint64_t at = 21054; at <= 21055; at++) {
        struct predict_conf c = plain();
        struct stage s;

        c.budget_percent = 10;
        train_ab(&s, &c);
        s.copy['a'] = PREDICT_FRESH;
        s.fresh_ms['b'] = 1000;
        for (unsigned i = 0; i < 256; i++)
            ck_assert_uint_eq(n_brought(&s, "a", 20000), 1);
        observe(&s, 1, "b", false, 20015);
        land(&s, "b", true, 20040);
        ck_assert_uint_eq(counts(&s).used_late, 1);
        ask(&s, 1, "b", at);
        ck_assert_uint_eq(n_brought(&s, "a", at), at == 21055);
        stage_close(&s);
    }
}
END_TEST

/* The followers of 8 triggers: trigger t is followed by x of 30t to 30t + 29. */
enum { LOT = 240, LOT_TRIGGERS = 8, LOTS = 4 };

static void ask_lot(struct stage *s, unsigned lot, uint64_t at)
{
    char name[16];

    for (unsigned i = 0; i < LOT; i++) {
        snprintf(name, sizeof name, "x%u", lot * LOT + i);
        ask(s, 1, name, at);
    }
}

static void land_lot(struct stage *s, unsigned lot, uint64_t at)
{
    char name[16];

    for (unsigned i = 0; i < LOT; i++) {
        snprintf(name, sizeof name, "x%u", lot * LOT + i);
        land(s, name, true, at);
    }
}

static void train_lots(struct stage *s, const struct predict_conf *c)
{
    uint64_t at = 0;
    char name[16];

    stage_open(s, c);
    for (unsigned i = 0; i < 2 * LOTS * LOT_TRIGGERS; i++, at += 10 * SECOND) {
        unsigned trigger = i / 2;

        snprintf(name, sizeof name, "t%u", trigger);
        ask(s, 1, name, at);
        for (unsigned k = 0; k < 30; k++) {
            snprintf(name, sizeof name, "x%u", trigger * 30 + k);
            ask(s, 1, name, at + 10 + k);
        }
    }
    tick(s, at);
}

/* 960 copies that were used late all expire early: what they cost is forgiven but for a bucketful,
 * else one bad afternoon would end prediction for days. */
START_TEST(a_debt_is_never_more_than_a_bucketful)
{
    const uint64_t start = 1000 * SECOND;
    struct predict_conf c = plain();
    struct stage s;
    char name[16];

    c.budget_percent = 10;
    train_lots(&s, &c);
    s.copy['t'] = PREDICT_FRESH; /* to ask for it earns nothing */
    s.fresh_ms['x'] = 4000;
    for (unsigned lot = 0; lot < LOTS; lot++) {
        uint64_t at = start + lot * SECOND;

        s.copy['x'] = PREDICT_ABSENT;
        for (unsigned i = 0; i < LOT_TRIGGERS; i++) {
            snprintf(name, sizeof name, "t%u", lot * LOT_TRIGGERS + i);
            ck_assert_uint_eq(n_brought(&s, name, at), 30);
        }
        land_lot(&s, lot, at + 40);
        s.copy['x'] = PREDICT_FRESH;
        ask_lot(&s, lot, at + 990);
    }
    ck_assert_uint_eq(counts(&s).used, LOTS * LOT);
    s.copy['x'] = PREDICT_ABSENT;
    for (unsigned lot = 0; lot < LOTS; lot++)
        ask_lot(&s, lot, start + lot * SECOND + 4500);
    ck_assert_uint_eq(counts(&s).early, LOTS * LOT);
    for (unsigned i = 0; i < 256; i++) /* ten questions earn a token: 0 are left */
        flood(&s, 2 + i % 8, 10, start + 20 * SECOND + i);
    ck_assert_uint_eq(n_brought(&s, "t0", start + 21 * SECOND), 0);
    flood(&s, 2, 20, start + 22 * SECOND);
    ck_assert_uint_eq(
        n_brought(&s, "t0", start + 23 * SECOND), 0); /* others asked, and earned it */
    tick(&s, start + 33 * SECOND);                    /* the others have gone */
    ck_assert_uint_eq(n_brought(&s, "t1", start + 33 * SECOND), 2);
    stage_close(&s);
}
END_TEST

START_TEST(budget_0_is_no_limit)
{
    struct predict_conf c = plain();
    struct stage s;

    c.budget_percent = 0;
    train_many(&s, &c);
    for (unsigned i = 0; i < 20; i++)
        ck_assert_uint_eq(n_brought(&s, "t", 20 * SECOND + i), 32);
    ck_assert_uint_eq(counts(&s).shed, 0);
    stage_close(&s);
}
END_TEST

/* A rule whose prefetches go unused is switched off by its own score. */
START_TEST(junk_is_unlearned_as_fast_as_it_was_learned)
{
    struct predict_conf c = plain();
    struct stage s;
    unsigned wasted = 0;

    c.cap = 5;
    stage_open(&s, &c);
    s.refuse = true;
    for (unsigned i = 0; i < 50; i++)
        visit(&s, 1, "aj", i * 10 * SECOND);
    tick(&s, 500 * SECOND);
    s.refuse = false;
    for (unsigned i = 50; i < 100; i++) {
        wasted += *brings(&s, 1, "a", i * 10 * SECOND) == 'j';
        land_all(&s, i * 10 * SECOND + 40);
        s.copy['j'] = PREDICT_FRESH; /* the client's cache is not the reason */
        tick(&s, i * 10 * SECOND + 5000);
        s.copy['j'] = PREDICT_ABSENT;
    }
    ck_assert_uint_eq(wasted, 4); /* at 5, 4, 3 and 2 */
    ck_assert_uint_eq(counts(&s).unused + counts(&s).outstanding, 4);
    stage_close(&s);
}
END_TEST

START_TEST(looks_at_the_cache_are_bounded)
{
    struct predict_conf c = plain();
    struct stage s;

    c.looks_per_ms = 1; /* and 1000 in reserve */
    train_many(&s, &c);
    s.copy['x'] = PREDICT_FRESH;
    for (unsigned i = 0; i < 32; i++) /* 32 looks each: 992, then 8 and the rest of that one */
        ask(&s, 1, "t", 20 * SECOND);
    ck_assert_uint_eq(counts(&s).shed, 0);
    ask(&s, 1, "t", 20 * SECOND);
    ck_assert_uint_eq(counts(&s).shed, 1);
    ask(&s, 1, "t", 20 * SECOND + 1);
    ck_assert_uint_eq(counts(&s).shed, 1);
    ask(&s, 1, "t", 20 * SECOND + 1);
    ck_assert_uint_eq(counts(&s).shed, 2);
    stage_close(&s);
}
END_TEST

/* ---- bounds of learning ---------------------------------------------------------------------- */

START_TEST(when_a_trigger_is_full_the_weakest_goes)
{
    struct predict_conf c = plain();
    struct stage s;

    c.dependencies_max = 2;
    stage_open(&s, &c);
    s.refuse = true;
    visit(&s, 1, "abcd", 0); /* the nearest ones stay */
    tick(&s, 5 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    ck_assert_uint_eq(score(&s, "a", "c"), 1);
    ck_assert_uint_eq(score(&s, "a", "d"), 0);
    visit(&s, 1, "abcd", 10 * SECOND); /* b and c are stronger than a new one */
    tick(&s, 15 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "c"), 2);
    ck_assert_uint_eq(score(&s, "a", "d"), 0);
    visit(&s, 1, "abd", 20 * SECOND); /* b 3, c 1: d takes its place */
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 3);
    ck_assert_uint_eq(score(&s, "a", "c"), 0);
    ck_assert_uint_eq(score(&s, "a", "d"), 1);
    stage_close(&s);
}
END_TEST

/* A window need not be looked at to its end; but never less than until all that is known was seen.
 */
START_TEST(what_is_known_is_seen_behind_new_ones)
{
    struct predict_conf c = plain();
    struct stage s;

    c.dependencies_max = 2;
    stage_open(&s, &c);
    s.refuse = true;
    visit(&s, 1, "abc", 0);
    tick(&s, 5 * SECOND);
    visit(&s, 1, "axyzbc", 10 * SECOND);
    tick(&s, 15 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    ck_assert_uint_eq(score(&s, "a", "c"), 2);
    ck_assert_uint_eq(score(&s, "a", "x"), 0);
    visit(&s, 1, "axyzb", 20 * SECOND); /* c falls to 1: x takes its place */
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 3);
    ck_assert_uint_eq(score(&s, "a", "c"), 0);
    ck_assert_uint_eq(score(&s, "a", "x"), 1);
    ck_assert_uint_eq(score(&s, "a", "y"), 0);
    stage_close(&s);
}
END_TEST

START_TEST(a_window_looks_at_so_many_requests_and_takes_nothing_for_the_rest)
{
    struct predict_conf c = plain();
    struct stage s;

    c.seen_max = 2;
    stage_open(&s, &c);
    visit(&s, 1, "ab", 0);
    visit(&s, 1, "acdb", 10 * SECOND);
    tick(&s, 15 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    ck_assert_uint_eq(score(&s, "a", "c"), 1);
    ck_assert_uint_eq(score(&s, "a", "d"), 1);
    visit(&s, 1, "ac", 20 * SECOND);
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 0);
    stage_close(&s);
}
END_TEST

START_TEST(a_window_that_missed_a_request_for_want_of_room_subtracts_nothing)
{
    struct predict_conf c = plain();
    struct stage s;

    c.bytes_max = PREDICT_BYTES_MIN; /* 512 requests are listed, 128 of one client */
    train_ab(&s, &c);
    s.refuse = true;
    ask(&s, 1, "a", 20 * SECOND);
    flood(&s, 1, 127, 20 * SECOND + 10);
    ck_assert_uint_eq(counts(&s).unlisted, 0);
    flood(&s, 1, 1, 20 * SECOND + 20);
    ck_assert_uint_eq(counts(&s).unlisted, 1);
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    visit(&s, 1, "ab", 30 * SECOND); /* it still adds */
    flood(&s, 1, 130, 30 * SECOND + 20);
    tick(&s, 35 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 3);
    ask(&s, 1, "a", 40 * SECOND);
    tick(&s, 45 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    stage_close(&s);
}
END_TEST

START_TEST(with_scope_global_a_missed_request_concerns_all_windows)
{
    struct predict_conf c = plain();
    struct stage s;

    c.bytes_max = PREDICT_BYTES_MIN;
    c.scope = PREDICT_SCOPE_GLOBAL;
    train_ab(&s, &c);
    s.refuse = true;
    ask(&s, 1, "a", 20 * SECOND);
    flood(&s, 2, 129, 20 * SECOND + 10);
    ck_assert_uint_eq(counts(&s).unlisted, 1);
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    stage_close(&s);
}
END_TEST

START_TEST(one_client_that_asks_too_much_does_not_stop_others_from_learning)
{
    struct predict_conf c = plain();
    struct stage s;

    c.bytes_max = PREDICT_BYTES_MIN;
    stage_open(&s, &c);
    for (unsigned i = 0; i < 3; i++) {
        flood(&s, 2, 1000, i * 10 * SECOND);
        visit(&s, 1, "ab", i * 10 * SECOND);
        flood(&s, 2, 1000, i * 10 * SECOND + 20);
    }
    tick(&s, 35 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 3);
    ask(&s, 1, "a", 40 * SECOND); /* and does not keep them from unlearning */
    flood(&s, 2, 1000, 40 * SECOND);
    tick(&s, 45 * SECOND);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    stage_close(&s);
}
END_TEST

static void check_bytes(const struct stage *s)
{
    struct predict_counts n = counts(s);

    ck_assert_uint_le(
        n.bytes, s->conf.bytes_max < PREDICT_BYTES_MIN ? PREDICT_BYTES_MIN : s->conf.bytes_max);
}

START_TEST(a_flood_of_new_names_costs_fixed_memory_and_takes_nothing_proven)
{
    struct predict_conf c = plain();
    struct stage s;
    char name[2][8];

    c.bytes_max = PREDICT_BYTES_MIN;
    stage_open(&s, &c);
    s.refuse = true;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name[0], sizeof name[0], "t%02u", i);
        snprintf(name[1], sizeof name[1], "f%02u", i);
        for (unsigned k = 0; k < 2; k++) {
            ask(&s, 1, name[0], i * 10 * SECOND + k * 5 * SECOND);
            ask(&s, 1, name[1], i * 10 * SECOND + k * 5 * SECOND);
        }
    }
    for (uint64_t at = 1100 * SECOND; at < 3100 * SECOND; at += 500) {
        flood(&s, (unsigned)(at / 1000 % 7) + 2, 25, at); /* 100,000 names in all */
        check_bytes(&s);
    }
    ck_assert_pstr_eq(predict_check(s.p), NULL);
    ck_assert_uint_gt(counts(&s).triggers, 200);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name[0], sizeof name[0], "t%02u", i);
        snprintf(name[1], sizeof name[1], "f%02u", i);
        ck_assert_uint_eq(score(&s, name[0], name[1]), 2);
    }
    stage_close(&s);
}
END_TEST

START_TEST(a_flood_of_client_addresses_costs_fixed_memory)
{
    struct predict_conf c = plain();
    struct stage s;
    char name[24];

    c.bytes_max = PREDICT_BYTES_MIN;
    c.scope = PREDICT_SCOPE_CLIENT;
    train_ab(&s, &c);
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "~%u", i);
        ask(&s, 10 + i, name, 20 * SECOND + i);
        check_bytes(&s);
    }
    ck_assert_uint_gt(counts(&s).unlisted, 0);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    ck_assert_pstr_eq(predict_check(s.p), NULL);
    stage_close(&s);
}
END_TEST

START_TEST(among_the_proven_the_least_recently_asked_go_first)
{
    struct predict_conf c = plain();
    struct stage s;
    char name[2][24];
    uint64_t at = 20 * SECOND;

    c.bytes_max = PREDICT_BYTES_MIN;
    train_ab(&s, &c);
    s.refuse = true;
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(name[0], sizeof name[0], "t%u", i);
        snprintf(name[1], sizeof name[1], "f%u", i);
        for (unsigned k = 0; k < 2; k++, at += 3000) {
            ask(&s, 1, name[0], at);
            ask(&s, 1, name[1], at);
        }
        if (i % 100 == 0)
            visit(&s, 1, "ab", at - 1000);
        check_bytes(&s);
    }
    ck_assert_uint_ge(score(&s, "a", "b"), 2);
    ck_assert_uint_ge(score(&s, "t19990", "f19990"), 2);
    ck_assert_uint_eq(score(&s, "t1", "f1"), 0);
    ck_assert_uint_gt(counts(&s).triggers, 1000);
    stage_close(&s);
}
END_TEST

/* A client that trains junk adds nothing to another client's questions. */
START_TEST(a_client_that_trains_junk_changes_nothing_for_others)
{
    struct predict_conf c = plain();
    struct stage s;

    c.share = 2;
    stage_open(&s, &c);
    for (unsigned i = 0; i < 20; i++) {
        visit(&s, 1, "abc", i * 10 * SECOND);
        visit(&s, 2, "ajkl", i * 10 * SECOND + 3000);
    }
    tick(&s, 205 * SECOND);
    ck_assert_uint_ge(score(&s, "a", "j") + score(&s, "a", "k") + score(&s, "a", "l"), 1);
    ck_assert_ptr_null(strpbrk(brings(&s, 1, "a", 210 * SECOND), "jkl"));
    ck_assert_ptr_null(strpbrk(brings(&s, 3, "a", 211 * SECOND), "bcjkl"));
    stage_close(&s);
}
END_TEST

/* ---- time and settings ----------------------------------------------------------------------- */

START_TEST(the_due_time_is_that_of_the_oldest_window)
{
    struct stage s;

    stage_start(&s);
    ck_assert_uint_eq(predict_due_ms(s.p), PREDICT_NEVER_MS);
    ask(&s, 1, "a", 100);
    ask(&s, 2, "b", 300);
    ck_assert_uint_eq(predict_due_ms(s.p), 2100);
    predict_tick(s.p, 2099);
    ck_assert_uint_eq(predict_due_ms(s.p), 2100);
    predict_tick(s.p, 2100);
    ck_assert_uint_eq(predict_due_ms(s.p), 2300);
    predict_tick(s.p, 2300);
    ck_assert_uint_eq(predict_due_ms(s.p), PREDICT_NEVER_MS);
    stage_close(&s);
}
END_TEST

START_TEST(many_windows_due_at_once_close_in_several_calls)
{
    struct stage s;
    unsigned n;

    stage_start(&s);
    flood(&s, 1, 1000, 0);
    for (n = 0; predict_due_ms(s.p) <= 2000; n++)
        predict_tick(s.p, 2000);
    ck_assert_uint_gt(n, 1);
    ck_assert_uint_eq(counts(&s).windows_open, 0);
    ck_assert_uint_eq(predict_due_ms(s.p), PREDICT_NEVER_MS);
    stage_close(&s);
}
END_TEST

START_TEST(a_window_that_closes_late_sees_no_more_than_one_in_time)
{
    struct stage s;

    stage_start(&s);
    flood(&s, 1, 1000, 0);
    ask(&s, 1, "a", 1);
    ask(&s, 1, "b", 2);
    observe(&s, 1, "c", true, 9000); /* closes some of those before a */
    ck_assert_uint_gt(counts(&s).windows_open, 900);
    tick(&s, 9000);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    ck_assert_uint_eq(score(&s, "a", "c"), 0);
    stage_close(&s);
}
END_TEST

START_TEST(time_that_runs_backwards_stands_still)
{
    struct stage s;

    stage_start(&s);
    ask(&s, 1, "a", 5000);
    ask(&s, 1, "b", 10);
    ck_assert_pstr_eq(predict_check(s.p), NULL);
    ck_assert_uint_eq(predict_due_ms(s.p), 7000);
    predict_tick(s.p, 0);
    tick(&s, 7000);
    ck_assert_uint_eq(score(&s, "a", "b"), 1);
    stage_close(&s);
}
END_TEST

START_TEST(new_settings_keep_what_was_learned)
{
    struct predict_conf c = plain();
    struct stage s;

    train_ab(&s, &c);
    c.score = 3;
    predict_reconfigure(s.p, &c);
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND), "");
    c.score = 2;
    c.window_ms = 500;
    c.bytes_max = 0; /* is not changed */
    predict_reconfigure(s.p, &c);
    ck_assert_uint_eq(predict_due_ms(s.p), 20 * SECOND + 500);
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND + 100), "b");
    c.scope = PREDICT_SCOPE_GLOBAL;
    predict_reconfigure(s.p, &c);
    ck_assert_uint_eq(counts(&s).windows_open, 0);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    stage_close(&s);
}
END_TEST

START_TEST(the_seed_rules_set_all_back_to_2007)
{
    struct predict_conf c;

    predict_conf_seed(&c);
    ck_assert_uint_eq(c.window_ms, 2000);
    ck_assert_uint_eq(c.score, 2);
    ck_assert_int_eq(c.scope, PREDICT_SCOPE_GLOBAL);
    ck_assert_uint_eq(c.cap, 0);
    ck_assert_uint_eq(c.confidence_percent, 0);
    ck_assert_uint_eq(c.share, 1);
    ck_assert_uint_eq(c.budget_percent, 0);
    ck_assert(c.always_subtract);
    ck_assert(c.reopen);
    predict_conf_default(&c);
    ck_assert_uint_eq(c.score, 2);
    ck_assert_int_eq(c.scope, PREDICT_SCOPE_CLIENT);
    ck_assert_uint_eq(c.share, 2);
    ck_assert_uint_eq(c.budget_percent, 20);
    ck_assert_uint_eq(c.prefetches_max, PREDICT_PREFETCHES_MAX);
    ck_assert(!c.always_subtract);
    ck_assert(!c.reopen);
}
END_TEST

START_TEST(keys_that_are_empty_or_too_long_are_left_alone)
{
    static uint8_t key[PREDICT_KEY_MAX + 1];
    uint8_t id[PREDICT_CLIENT_LEN] = {0};
    struct predict_request r = {id, key, 0, true};
    struct stage s;

    stage_start(&s);
    predict_observe(s.p, &r, 1, 0);
    r.key_len = sizeof key;
    predict_observe(s.p, &r, 1, 0);
    ck_assert_uint_eq(counts(&s).requests, 0);
    r.key_len = PREDICT_KEY_MAX;
    predict_observe(s.p, &r, 1, 0);
    ck_assert_uint_eq(counts(&s).requests, 1);
    predict_landed(s.p, key, 0, true, 1);
    predict_landed(s.p, key, sizeof key, true, 1);
    stage_close(&s);
    predict_free(NULL);
}
END_TEST

/* ---- chance ---------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void random_step(struct stage *s, uint64_t *state, uint64_t *now_ms)
{
    static const enum predict_copy copies[] = {
        PREDICT_ABSENT, PREDICT_ABSENT, PREDICT_FRESH, PREDICT_UNDER_WAY, PREDICT_FAILED};
    uint64_t x = next_random(state);
    char name[3] = {(char)('a' + x % 26), (char)('a' + (x >> 8) % 3), '\0'};

    *now_ms += (x >> 16) % 200;
    s->n_sent = 0;
    s->refuse = (x >> 24) % 16 == 0;
    switch ((x >> 32) % 16) {
    case 0:
        predict_tick(s->p, *now_ms);
        break;
    case 1:
        s->copy[(uint8_t)name[0]] = copies[(x >> 40) % 5];
        break;
    case 2:
    case 3:
        land(s, name, (x >> 40) % 4 != 0, *now_ms);
        break;
    case 4:
        flood(s, (unsigned)(x >> 40) % 4, 20, *now_ms);
        break;
    case 5:
        if ((x >> 40) % 8 == 0)
            s->conf.scope = (x >> 48) % 2 ? PREDICT_SCOPE_CLIENT : PREDICT_SCOPE_GLOBAL;
        if ((x >> 43) % 4 == 0)
            s->conf.rule = (x >> 45) % 2 ? PREDICT_RULE_VOTE : PREDICT_RULE_2007;
        s->conf.reopen = (x >> 49) % 2;
        s->conf.share = (unsigned)(x >> 50) % 5;
        s->conf.cap = (unsigned)(x >> 53) % 5;
        s->conf.dependencies_max = (unsigned)(x >> 56) % 4 * 8;
        s->conf.control_percent = (unsigned)(x >> 58) % 3 * 25;
        predict_reconfigure(s->p, &s->conf);
        break;
    default:
        observe(
            s, (unsigned)(x >> 40) % 4, name, s->copy[(uint8_t)name[0]] == PREDICT_FRESH, *now_ms);
    }
}

START_TEST(every_invariant_holds_after_every_step_of_chance)
{
    struct predict_conf c = plain();
    struct stage s;
    uint64_t state = 88172645463325252u + (uint64_t)_i, now_ms = 0;

    c.bytes_max = PREDICT_BYTES_MIN;
    c.budget_percent = 10;
    stage_open(&s, &c);
    for (unsigned i = 0; i < 3000; i++) {
        random_step(&s, &state, &now_ms);
        ck_assert_pstr_eq(predict_check(s.p), NULL);
        check_bytes(&s);
    }
    ck_assert_uint_gt(counts(&s).prefetches, 100);
    stage_close(&s);
}
END_TEST

/* ---- the worst that clients can do ----------------------------------------------------------- */

#define WORST_NAMES 8
#define WORST_STEPS 24

/* A pattern of requests that is repeated, with a cache beside it that knows no prediction. */
struct pattern {
    unsigned ttl_ms[WORST_NAMES];
    unsigned n_steps;
    struct {
        unsigned gap_ms, client, name;
    } step[WORST_STEPS];
};

struct worst {
    const struct pattern *pattern;
    uint64_t plain_until_ms[WORST_NAMES], cache_until_ms[WORST_NAMES];
    uint64_t upstream, upstream_predicted;
    uint8_t landing[64];
    size_t n_landing;
};

static enum predict_copy worst_copy(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    const struct worst *w = ctx;

    (void)key_len;
    return w->cache_until_ms[key[0]] > now_ms ? PREDICT_FRESH : PREDICT_ABSENT;
}

/* TTL 0 is held for the window and serves one question. */
static bool worst_prefetch(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    struct worst *w = ctx;
    unsigned ttl_ms = w->pattern->ttl_ms[key[0]];

    (void)key_len;
    w->upstream_predicted++;
    w->cache_until_ms[key[0]] = now_ms + (ttl_ms > 0 ? ttl_ms : W);
    w->landing[w->n_landing++] = key[0];
    return true;
}

static uint64_t worst_fresh_until(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    const struct worst *w = ctx;

    (void)key_len;
    return w->pattern->ttl_ms[key[0]] > 0 ? w->cache_until_ms[key[0]] : now_ms;
}

static void worst_request(
    struct worst *w, struct predict *p, unsigned client, uint8_t name, uint64_t now_ms)
{
    unsigned ttl_ms = w->pattern->ttl_ms[name];
    uint8_t id[PREDICT_CLIENT_LEN] = {(uint8_t)client};
    struct predict_request r = {id, &name, 1, w->cache_until_ms[name] > now_ms};

    if (w->plain_until_ms[name] <= now_ms) {
        w->plain_until_ms[name] = now_ms + ttl_ms;
        w->upstream++;
    }
    if (!r.answered) {
        w->cache_until_ms[name] = now_ms + ttl_ms;
        w->upstream_predicted++;
    } else if (ttl_ms == 0) {
        w->cache_until_ms[name] = 0;
    }
    predict_observe(p, &r, 1, now_ms);
    if (!r.answered)
        predict_landed(p, &name, 1, true, now_ms);
    for (size_t i = 0; i < w->n_landing; i++)
        predict_landed(p, &w->landing[i], 1, true, now_ms);
    w->n_landing = 0;
}

/* What goes upstream, less the bucket of 256, as a share of what would without prediction. */
static double worst_share(
    const struct pattern *pattern, unsigned n, const struct predict_conf *conf)
{
    struct worst w = {.pattern = pattern};
    struct predict_world world = {.ctx = &w,
        .copy = worst_copy,
        .prefetch = worst_prefetch,
        .fresh_until_ms = worst_fresh_until};
    struct predict *p = predict_create(conf, &world, seed_one);
    uint64_t now_ms = 1000;

    ck_assert_ptr_nonnull(p);
    for (unsigned i = 0; i < n; i++) {
        unsigned at = i % pattern->n_steps;

        now_ms += pattern->step[at].gap_ms;
        worst_request(&w, p, pattern->step[at].client, (uint8_t)pattern->step[at].name, now_ms);
    }
    ck_assert_pstr_eq(predict_check(p), NULL);
    predict_free(p);
    return ((double)w.upstream_predicted - PREDICT_TOKENS_MAX) / (double)w.upstream;
}

static void search_for_worst(const struct predict_conf *c)
{
    static const unsigned ttls_ms[] = {0, 500, 1000, 2000, 3000, 5000, 60000};
    static const unsigned gaps_ms[] = {0, 1, 10, 100, 500, 900, 1500, 1900, 2000, 2100, 3000, 5000};
    uint64_t x = 88172645463325252u;
    struct pattern pattern;

    for (unsigned i = 0; i < 300; i++) {
        pattern.n_steps = 2 + (unsigned)(next_random(&x) % (WORST_STEPS - 1));
        for (unsigned k = 0; k < WORST_NAMES; k++)
            pattern.ttl_ms[k] = ttls_ms[next_random(&x) % 7];
        for (unsigned k = 0; k < pattern.n_steps; k++) {
            pattern.step[k].name = (unsigned)(next_random(&x) % WORST_NAMES);
            pattern.step[k].gap_ms = gaps_ms[next_random(&x) % 12];
            pattern.step[k].client = next_random(&x) % 8 == 0;
        }
        ck_assert_double_le(worst_share(&pattern, 4000, c), 1.25);
    }
}

/* By 2007's rule, and by the default one at the default budget, sure of what it fetches or not. */
START_TEST(questions_upstream_stay_below_1_25_of_what_clients_cause_alone)
{
    struct predict_conf c = plain();

    c.budget_percent = 20;
    search_for_worst(&c);
    predict_conf_default(&c);
    c.share = 1;
    search_for_worst(&c);
    c.window_ms = W;
    search_for_worst(&c);
    c.confidence_percent = 0;
    search_for_worst(&c);
}
END_TEST

/* c is fetched ahead by g, used just before it expires, and asked for again just after: 1.89 where
 * only unused prefetches are counted. */
START_TEST(a_copy_that_always_expires_just_too_early_does_not_double_the_questions)
{
    static const struct pattern pattern = {
        .ttl_ms = {2000, 60000}, .n_steps = 3, .step = {{900, 0, 0}, {3000, 0, 1}, {1500, 0, 0}}};
    struct predict_conf c = plain();

    c.budget_percent = 20;
    ck_assert_double_le(worst_share(&pattern, 20000, &c), 1.25);
    predict_conf_default(&c);
    c.share = 1;
    c.confidence_percent = 0;
    ck_assert_double_le(worst_share(&pattern, 20000, &c), 1.25);
}
END_TEST

/* ---- memory that is out ---------------------------------------------------------------------- */

/* Linked with --wrap: allocations are counted, and from one on n_failing of them fail. Check's own
 * count too, so nothing is asserted while they do. */
static unsigned long allocations, failing_from, n_failing;

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);

static bool fails(void)
{
    unsigned long k = allocations++;

    return k >= failing_from && k - failing_from < n_failing;
}

void *__wrap_malloc(size_t len)
{
    return fails() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
    return fails() ? NULL : __real_calloc(n, len);
}

static void check_without_failures(const struct predict *p)
{
    unsigned long kept = n_failing;

    n_failing = 0;
    ck_assert_pstr_eq(predict_check(p), NULL);
    n_failing = kept;
}

/* Enough for every table to grow. Of as many clients, since what follows each other costs much more
 * to learn and takes no other allocations. */
static void fill_tables(struct stage *s, uint64_t at)
{
    for (unsigned i = 0; i < 80; i++)
        flood(s, 100 + i, 1, at);
}

static void learn_and_save(struct stage *s, struct stage *other)
{
    uint8_t *bytes = NULL;
    size_t len;
    const char *why;

    fill_tables(s, 0);
    for (unsigned i = 0; i < 4; i++) {
        visit(s, 1, "abcdefgh", i * 10 * SECOND);
        visit(s, 2, "axyz", i * 10 * SECOND);
        flood(s, 3, 16, i * 10 * SECOND);
        tick(s, i * 10 * SECOND + 5000);
        check_without_failures(s->p);
    }
    if (predict_save(s->p, &bytes, &len) < 0)
        return;
    why = predict_load(other->p, bytes, len);
    n_failing = 0;
    ck_assert_pstr_eq(predict_check(other->p), NULL);
    if (why != NULL) {
        ck_assert_str_eq(why, "memory is out");
        ck_assert_uint_eq(counts(other).pairs, 0);
    } else {
        ck_assert_uint_eq(counts(other).pairs, counts(s).pairs);
    }
    free(bytes);
}

/* Returns whether the k-th allocation, and n - 1 after it, were reached. */
static bool live_without(unsigned long k, unsigned long n)
{
    struct predict_conf c = voting();
    struct stage s = {.conf = c}, other = {.conf = c};
    struct predict_world world = world_of(&s);
    bool reached;

    allocations = 0;
    failing_from = k;
    n_failing = n;
    s.p = predict_create(&c, &world, seed_one);
    other.p = predict_create(&c, &world, seed_two);
    if (s.p != NULL && other.p != NULL)
        learn_and_save(&s, &other);
    reached = allocations > k;
    n_failing = 0;
    if (s.p != NULL) { /* and it goes on */
        visit(&s, 1, "ab", 1000 * SECOND);
        tick(&s, 1100 * SECOND);
        ck_assert_uint_ge(score(&s, "a", "b"), 1);
        ck_assert_pstr_eq(predict_check(s.p), NULL);
    }
    predict_free(s.p);
    predict_free(other.p);
    return reached;
}

START_TEST(any_allocation_may_fail)
{
    unsigned long k;

    for (k = 0; live_without(k, 1); k++)
        ;
    ck_assert_uint_gt(k, 500);
}
END_TEST

START_TEST(all_allocations_may_fail_from_any_on)
{
    for (unsigned long k = 0; k < 1000 && live_without(k, 1000000); k += 7)
        ;
}
END_TEST

/* ---- the saved table ------------------------------------------------------------------------- */

#define CHECKSUM_LEN 32

static void save(const struct stage *s, uint8_t **bytes, size_t *len)
{
    ck_assert_int_eq(predict_save(s->p, bytes, len), 0);
}

/* Another predictor, as after a restart: with another seed. */
static void restart(struct stage *s, const struct predict_conf *conf)
{
    struct predict_world world;

    memset(s, 0, sizeof *s);
    world = world_of(s);
    s->conf = *conf;
    s->p = predict_create(conf, &world, seed_two);
    ck_assert_ptr_nonnull(s->p);
}

static struct predict_conf shared_by_two(void)
{
    struct predict_conf c = plain();

    c.share = 2;
    return c;
}

/* By the vote x and y become triggers of client 2's and 3's own too. */
static void train_by(struct stage *s, const struct predict_conf *c)
{
    stage_open(s, c);
    visit(s, 1, "abc", 0);
    visit(s, 1, "abc", 10 * SECOND);
    visit(s, 2, "xyz", 20 * SECOND);
    visit(s, 2, "xyz", 30 * SECOND);
    visit(s, 3, "xy", 40 * SECOND);
    tick(s, 45 * SECOND);
    land(s, "c", false, 46 * SECOND);
}

static void train_some(struct stage *s)
{
    struct predict_conf c = shared_by_two();

    train_by(s, &c);
}

static struct predict_conf by_either_rule(int i)
{
    return i == 0 ? plain() : voting();
}

START_TEST(what_was_learned_survives_a_restart)
{
    struct predict_conf c = shared_by_two();
    struct stage s, t;
    uint8_t *bytes, *again;
    size_t len, len_again;

    train_some(&s);
    save(&s, &bytes, &len);
    restart(&t, &c);
    ck_assert_pstr_eq(predict_load(t.p, bytes, len), NULL);
    ck_assert_pstr_eq(predict_check(t.p), NULL);
    ck_assert_uint_eq(counts(&t).pairs, counts(&s).pairs);
    ck_assert_uint_eq(counts(&t).triggers, counts(&s).triggers);
    ck_assert_uint_eq(score(&t, "a", "b"), 2);
    ck_assert_uint_eq(score(&t, "x", "y"), 3);
    ck_assert_uint_eq(score(&t, "x", "z"), 1);
    save(&t, &again, &len_again);
    ck_assert_mem_eq(bytes, again, len);
    ck_assert_uint_eq(len, len_again);

    ck_assert_str_eq(brings(&t, 2, "a", 100), "");
    ck_assert_str_eq(brings(&t, 1, "a", 100), "b"); /* c had failed */
    ck_assert_str_eq(brings(&t, 9, "x", 100), "y");
    free(bytes);
    free(again);
    stage_close(&s);
    stage_close(&t);
}
END_TEST

START_TEST(an_empty_table_can_be_saved_and_read)
{
    struct predict_conf c = plain();
    struct stage s, t;
    uint8_t *bytes;
    size_t len;

    stage_start(&s);
    save(&s, &bytes, &len);
    restart(&t, &c);
    ck_assert_pstr_eq(predict_load(t.p, bytes, len), NULL);
    ck_assert_uint_eq(counts(&t).pairs, 0);
    free(bytes);
    stage_close(&s);
    stage_close(&t);
}
END_TEST

/* Nobody has asked yet, but the table is there. */
START_TEST(a_table_is_not_read_twice)
{
    struct stage s, t;
    uint8_t *bytes;
    size_t len;

    train_some(&s);
    save(&s, &bytes, &len);
    restart(&t, &s.conf);
    ck_assert_pstr_eq(predict_load(t.p, bytes, len), NULL);
    ck_assert_str_eq(predict_load(t.p, bytes, len), "something was learned before it was read");
    ck_assert_uint_eq(counts(&t).pairs, counts(&s).pairs);
    free(bytes);
    stage_close(&s);
    stage_close(&t);
}
END_TEST

START_TEST(confidence_survives_a_restart)
{
    struct predict_conf c = plain();
    struct stage s, t;
    uint8_t *bytes;
    size_t len;

    c.confidence_percent = 75;
    see_3_of_4(&s, &c);
    save(&s, &bytes, &len);
    restart(&t, &c);
    ck_assert_pstr_eq(predict_load(t.p, bytes, len), NULL);
    ck_assert_str_eq(brings(&t, 1, "a", 0), "b");
    stage_close(&t);
    c.confidence_percent = 76;
    restart(&t, &c);
    ck_assert_pstr_eq(predict_load(t.p, bytes, len), NULL);
    ck_assert_str_eq(brings(&t, 1, "a", 0), "");
    stage_close(&t);
    free(bytes);
    stage_close(&s);
}
END_TEST

static void check_refused(struct stage *t, const uint8_t *bytes, size_t len)
{
    ck_assert_ptr_nonnull(predict_load(t->p, bytes, len));
    ck_assert_uint_eq(counts(t).pairs, 0);
    ck_assert_uint_eq(counts(t).triggers, 0);
}

START_TEST(a_table_cut_anywhere_is_refused)
{
    struct predict_conf c = by_either_rule(_i);
    struct stage s, t;
    uint8_t *bytes, *cut;
    size_t len;

    train_by(&s, &c);
    save(&s, &bytes, &len);
    restart(&t, &c);
    for (size_t n = 0; n < len; n++) {
        cut = malloc(n + 1); /* so that a sanitizer sees a byte too far */
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, bytes, n);
        check_refused(&t, cut, n);
        free(cut);
    }
    ck_assert_pstr_eq(predict_check(t.p), NULL);
    free(bytes);
    stage_close(&s);
    stage_close(&t);
}
END_TEST

START_TEST(a_table_with_any_bit_flipped_or_a_byte_added_is_refused)
{
    struct predict_conf c = by_either_rule(_i);
    struct stage s, t;
    uint8_t *bytes, *longer;
    size_t len;

    train_by(&s, &c);
    save(&s, &bytes, &len);
    restart(&t, &c);
    for (size_t i = 0; i < len * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        check_refused(&t, bytes, len);
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    longer = calloc(1, len + 1);
    ck_assert_ptr_nonnull(longer);
    memcpy(longer, bytes, len);
    check_refused(&t, longer, len + 1);
    ck_assert_pstr_eq(predict_load(t.p, bytes, len), NULL);
    free(longer);
    free(bytes);
    stage_close(&s);
    stage_close(&t);
}
END_TEST

/* Whoever can write the checksum too must still not break anything. */
START_TEST(a_table_bent_with_a_right_checksum_breaks_nothing)
{
    static const uint8_t values[] = {0, 1, 2, 3, 4, 0x40, 0x7f, 0x80, 0xff};
    struct stage s, t;
    uint8_t *bytes, kept;
    size_t len, n_taken = 0;
    struct predict_conf c = by_either_rule(_i);

    train_by(&s, &c);
    save(&s, &bytes, &len);
    for (size_t i = 0; i < (len - CHECKSUM_LEN) * sizeof values; i++) {
        kept = bytes[i / sizeof values];
        bytes[i / sizeof values] = values[i % sizeof values];
        crypto_generichash(
            bytes + len - CHECKSUM_LEN, CHECKSUM_LEN, bytes, len - CHECKSUM_LEN, NULL, 0);
        restart(&t, &c);
        if (predict_load(t.p, bytes, len) == NULL)
            n_taken++;
        else
            ck_assert_uint_eq(counts(&t).pairs, 0);
        ck_assert_pstr_eq(predict_check(t.p), NULL);
        visit(&t, 1, "abcxyz", 0);
        stage_close(&t);
        bytes[i / sizeof values] = kept;
    }
    ck_assert_uint_gt(n_taken, 0);
    ck_assert_uint_lt(n_taken, (len - CHECKSUM_LEN) * sizeof values);
    free(bytes);
    stage_close(&s);
}
END_TEST

/* With 16 they are halved. */
START_TEST(a_table_whose_trigger_had_16_windows_is_refused)
{
    struct predict_conf c = voting();
    struct stage s, t;
    uint8_t *bytes;
    size_t len, at;

    stage_open(&s, &c);
    visit(&s, 1, "ab", 0);
    tick(&s, 5 * SECOND);
    save(&s, &bytes, &len);
    at =
        8 + 4 * 4 + PREDICT_SEED_LEN + 2 * 4 + 3 * 4; /* header, two questions, the trigger's ids */
    ck_assert_uint_eq(bytes[at], 1);
    for (unsigned windows = 15; windows <= 16; windows++) {
        bytes[at] = (uint8_t)windows;
        crypto_generichash(
            bytes + len - CHECKSUM_LEN, CHECKSUM_LEN, bytes, len - CHECKSUM_LEN, NULL, 0);
        restart(&t, &c);
        ck_assert_pstr_eq(
            predict_load(t.p, bytes, len), windows == 15 ? NULL : "it contradicts itself");
        visit(&t, 1, "ab", 0);
        tick(&t, 5 * SECOND);
        stage_close(&t);
    }
    free(bytes);
    stage_close(&s);
}
END_TEST

START_TEST(a_table_of_another_version_is_refused_by_that_name)
{
    struct predict_conf c = plain();
    struct stage s, t;
    uint8_t *bytes;
    size_t len;

    train_some(&s);
    save(&s, &bytes, &len);
    bytes[11] = 4;
    restart(&t, &c);
    ck_assert_str_eq(predict_load(t.p, bytes, len), "it was written by a newer version");
    bytes[11] = 1;
    ck_assert_str_eq(predict_load(t.p, bytes, len), "it was written by an older version");
    bytes[0] = 'D';
    ck_assert_str_eq(predict_load(t.p, bytes, len), "it is not a table of predictions");
    free(bytes);
    stage_close(&s);
    stage_close(&t);
}
END_TEST

START_TEST(a_table_is_not_read_into_what_has_begun_to_learn)
{
    struct stage s, t;
    uint8_t *bytes;
    size_t len;

    train_some(&s);
    save(&s, &bytes, &len);
    stage_start(&t);
    ask(&t, 1, "a", 0);
    check_refused(&t, bytes, len);
    free(bytes);
    stage_close(&s);
    stage_close(&t);
}
END_TEST

START_TEST(a_table_too_large_for_memory_loses_the_least_recently_asked)
{
    struct predict_conf c = plain();
    struct stage s, t;
    uint8_t *bytes;
    size_t len;
    char name[2][24];

    stage_open(&s, &c);
    s.refuse = true;
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(name[0], sizeof name[0], "t%u", i);
        snprintf(name[1], sizeof name[1], "f%u", i);
        for (unsigned k = 0; k < 2; k++) {
            ask(&s, 1, name[0], i * 6000 + k * 3000);
            ask(&s, 1, name[1], i * 6000 + k * 3000);
        }
    }
    tick(&s, 100000 * SECOND);
    ck_assert_uint_eq(counts(&s).pairs, 10000);
    save(&s, &bytes, &len);
    c.bytes_max = PREDICT_BYTES_MIN;
    restart(&t, &c);
    ck_assert_pstr_eq(predict_load(t.p, bytes, len), NULL);
    check_bytes(&t);
    ck_assert_uint_gt(counts(&t).pairs, 1000);
    ck_assert_uint_lt(counts(&t).pairs, 10000);
    ck_assert_uint_eq(score(&t, "t9999", "f9999"), 2);
    ck_assert_uint_eq(score(&t, "t0", "f0"), 0);
    free(bytes);
    stage_close(&s);
    stage_close(&t);
}
END_TEST

/* ---- what prediction adds upstream ----------------------------------------------------------- */

/* The copy of b that was fetched ahead is fresh until 21040; b's own would be until 21900. */
START_TEST(extra_questions_are_told_from_the_clients_own)
{
    struct stage s;

    use_b_ahead(&s);
    ck_assert_uint_eq(counts(&s).own, 5); /* a, b, a, b and the b that a prefetch asked for */
    ck_assert_uint_eq(counts(&s).early, 0);
    ask(&s, 1, "b", 21899);
    ck_assert_uint_eq(counts(&s).own, 5);
    ck_assert_uint_eq(counts(&s).early, 1);
    ask(&s, 1, "b", 21950);
    ck_assert_uint_eq(counts(&s).own, 6);
    ck_assert_uint_eq(counts(&s).early, 1);
    stage_close(&s);

    use_b_ahead(&s); /* a second prefetch, for which a copy of its own was still fresh */
    ck_assert_uint_eq(n_brought(&s, "a", 21100), 1);
    land(&s, "b", true, 21140);
    s.copy['b'] = PREDICT_FRESH;
    ask(&s, 1, "b", 21899);
    ck_assert_uint_eq(counts(&s).own, 5);
    ck_assert_uint_eq(counts(&s).early, 1);
    stage_close(&s);
}
END_TEST

/* ---- bursts, the control group and waiting --------------------------------------------------- */

static struct predict_waits waits(const struct stage *s, enum predict_group group)
{
    return counts(s).waits[group];
}

static void check_waits(const struct stage *s, enum predict_group group, uint64_t n_questions,
    uint64_t n_waits, uint64_t waiting_ms)
{
    struct predict_waits w = waits(s, group);

    ck_assert_uint_eq(w.questions, n_questions);
    ck_assert_uint_eq(w.waits, n_waits);
    ck_assert_uint_eq(w.waiting_ms, waiting_ms);
}

START_TEST(a_burst_ends_when_its_client_is_silent_for_more_than_5_seconds)
{
    struct stage s;

    stage_start(&s);
    ask(&s, 1, "a", 0);
    ask(&s, 1, "b", 5000);
    ck_assert_uint_eq(waits(&s, PREDICT_TREATED).bursts, 1);
    ask(&s, 1, "c", 10001);
    ck_assert_uint_eq(waits(&s, PREDICT_TREATED).bursts, 2);
    ask(&s, 2, "c", 10001);
    ck_assert_uint_eq(waits(&s, PREDICT_TREATED).bursts, 3);
    check_waits(&s, PREDICT_TREATED, 1, 1, 0); /* the first of a burst is not counted */
    check_waits(&s, PREDICT_CONTROL, 0, 0, 0);
    stage_close(&s);
}
END_TEST

START_TEST(a_miss_waits_until_it_lands_and_a_hit_does_not_wait)
{
    struct stage s;

    stage_start(&s);
    observe(&s, 1, "a", false, 0);
    observe(&s, 1, "b", false, 10);
    observe(&s, 1, "c", true, 20);
    check_waits(&s, PREDICT_TREATED, 1, 0, 0);
    land(&s, "a", true, 40);
    check_waits(&s, PREDICT_TREATED, 1, 0, 0);
    land(&s, "b", true, 50);
    check_waits(&s, PREDICT_TREATED, 2, 1, 40);
    land(&s, "b", true, 90);
    check_waits(&s, PREDICT_TREATED, 2, 1, 40);
    stage_close(&s);
}
END_TEST

START_TEST(everyone_who_waits_for_an_answer_is_counted)
{
    struct stage s;

    stage_start(&s);
    visit(&s, 1, "x", 0);
    visit(&s, 2, "x", 0);
    observe(&s, 1, "a", false, 100);
    observe(&s, 2, "a", false, 115);
    observe(&s, 1, "b", false, 120);
    land(&s, "a", true, 140);
    check_waits(&s, PREDICT_TREATED, 2, 2, 40 + 25);
    land(&s, "b", true, 160);
    check_waits(&s, PREDICT_TREATED, 3, 3, 40 + 25 + 40);
    stage_close(&s);
}
END_TEST

START_TEST(who_joins_a_prefetch_waits_for_what_is_left_of_it)
{
    struct predict_conf c = plain();
    struct stage s;

    train_ab(&s, &c);
    check_waits(&s, PREDICT_TREATED, 2, 2, 0);
    ck_assert_str_eq(brings(&s, 1, "a", 20000), "b");
    observe(&s, 1, "b", false, 20015);
    land(&s, "b", true, 20040);
    check_waits(&s, PREDICT_TREATED, 3, 3, 25);
    ck_assert_uint_eq(counts(&s).saved_ms, 15);
    stage_close(&s);
}
END_TEST

START_TEST(what_failed_or_never_landed_is_not_counted)
{
    struct stage s;

    stage_start(&s);
    ask(&s, 1, "a", 0);
    observe(&s, 1, "b", false, 10);
    observe(&s, 1, "c", false, 10);
    observe(&s, 1, "d", false, 10);
    land(&s, "b", false, 50);
    land(&s, "c", true, 10010);
    land(&s, "d", true, 10011);
    check_waits(&s, PREDICT_TREATED, 1, 1, 10000);
    stage_close(&s);
}
END_TEST

/* The prefetch it joined landed between its arrival and the end of that turn. */
START_TEST(a_miss_whose_answer_came_in_the_same_turn_does_not_wait)
{
    struct stage s;

    stage_start(&s);
    ask(&s, 1, "a", 0);
    s.copy['b'] = PREDICT_FRESH;
    observe(&s, 1, "b", false, 10);
    land(&s, "b", true, 500);
    check_waits(&s, PREDICT_TREATED, 1, 0, 0);
    stage_close(&s);
}
END_TEST

START_TEST(the_question_of_a_wait_stays_known_when_its_window_has_closed)
{
    struct stage s;

    stage_start(&s);
    ask(&s, 1, "a", 0);
    observe(&s, 1, "b", false, 10);
    tick(&s, 4000);
    ck_assert_uint_eq(counts(&s).windows_open, 0);
    land(&s, "b", true, 4510);
    check_waits(&s, PREDICT_TREATED, 1, 1, 4500);
    stage_close(&s);
}
END_TEST

/* Asks for n questions of two bytes, the first of which is `kind`; returns the last one. */
static void ask_many(struct stage *s, char kind, unsigned n, bool answered, uint64_t at)
{
    for (unsigned i = 0; i < n; i++) {
        char name[4] = {kind, (char)(1 + i / 100), (char)(1 + i % 100), '\0'};
        observe(s, 1, name, answered, at);
    }
}

START_TEST(while_1024_questions_wait_nothing_is_counted_hits_neither)
{
    struct stage s;

    stage_start(&s);
    ask(&s, 1, "a", 0);
    ask_many(&s, 'm', 1024, false, 10);
    check_waits(&s, PREDICT_TREATED, 0, 0, 0);
    observe(&s, 1, "h", true, 20);
    observe(&s, 1, "n", false, 20);
    check_waits(&s, PREDICT_TREATED, 0, 0, 0);
    land(&s, "m\001\001", true, 30);
    check_waits(&s, PREDICT_TREATED, 1, 1, 20);
    observe(&s, 1, "h", true, 40);
    check_waits(&s, PREDICT_TREATED, 2, 1, 20);
    ck_assert_pstr_eq(predict_check(s.p), NULL);
    stage_close(&s);
}
END_TEST

START_TEST(waits_whose_end_nobody_tells_make_room_again)
{
    struct stage s;

    stage_start(&s);
    ask(&s, 1, "a", 0);
    ask_many(&s, 'm', 1024, false, 10);
    for (unsigned i = 0; i < 1024; i++)
        observe(&s, 1, "h", true, 10011 + i);
    ck_assert_pstr_eq(predict_check(s.p), NULL);
    observe(&s, 1, "n", false, 12000);
    land(&s, "n", true, 12030);
    ck_assert_uint_eq(waits(&s, PREDICT_TREATED).waits, 1);
    ck_assert_uint_eq(waits(&s, PREDICT_TREATED).waiting_ms, 30);
    stage_close(&s);
}
END_TEST

START_TEST(clients_beyond_room_are_served_and_not_counted)
{
    struct predict_conf c = plain();
    struct stage s;

    c.bytes_max = PREDICT_BYTES_MIN; /* room for 256 */
    c.control_percent = 100;
    stage_open(&s, &c);
    for (unsigned i = 0; i < 1000; i++)
        ask(&s, i, "a", i);
    ck_assert_uint_eq(waits(&s, PREDICT_CONTROL).bursts, 256);
    ck_assert_uint_eq(waits(&s, PREDICT_TREATED).bursts, 0);
    for (unsigned i = 0; i < 256; i++)
        ask(&s, 2000 + i, "a", 10 * SECOND);
    ck_assert_uint_eq(waits(&s, PREDICT_CONTROL).bursts, 512);
    stage_close(&s);
}
END_TEST

START_TEST(a_control_burst_brings_nothing_and_learns)
{
    struct predict_conf c = plain();
    struct stage s;

    c.control_percent = 100;
    train_ab(&s, &c);
    ck_assert_uint_eq(score(&s, "a", "b"), 2);
    ck_assert_str_eq(brings(&s, 1, "a", 20000), "");
    observe(&s, 1, "b", false, 20010);
    land(&s, "b", true, 20050);
    tick(&s, 24000);
    ck_assert_uint_eq(score(&s, "a", "b"), 3);
    ck_assert_uint_eq(counts(&s).prefetches, 0);
    ck_assert_uint_eq(counts(&s).shed, 0);
    check_waits(&s, PREDICT_CONTROL, 3, 3, 40);
    ck_assert_uint_eq(waits(&s, PREDICT_CONTROL).bursts, 3);
    ck_assert_uint_eq(waits(&s, PREDICT_TREATED).bursts, 0);
    ck_assert_int_eq(counts(&s).measured_ms, 0); /* there is nothing to compare with */
    stage_close(&s);
}
END_TEST

START_TEST(a_burst_keeps_its_group_to_its_end)
{
    struct predict_conf c = plain();
    struct stage s;

    c.control_percent = 100;
    train_ab(&s, &c);
    ask(&s, 1, "x", 20000);
    c.control_percent = 0;
    predict_reconfigure(s.p, &c);
    ck_assert_str_eq(brings(&s, 1, "a", 23000), "");
    ck_assert_str_eq(brings(&s, 2, "a", 23000), "b");
    ask(&s, 1, "b", 23010);
    ck_assert_str_eq(brings(&s, 1, "a", 28011), "b");
    stage_close(&s);
}
END_TEST

/* A thousand bursts of a client that asks a and then b, which is a hit where a brought it and takes
 * 40 ms where it did not. groups gets a letter for each burst. */
static void live_in_two_groups(struct stage *s, const uint8_t seed[PREDICT_SEED_LEN], char *groups)
{
    struct predict_conf c = plain();
    struct predict_world world;

    c.control_percent = 20;
    stage_open(s, &c);
    predict_free(s->p);
    world = world_of(s);
    s->p = predict_create(&c, &world, seed);
    ck_assert_ptr_nonnull(s->p);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t at = (uint64_t)i * 10 * SECOND, n_control = waits(s, PREDICT_CONTROL).bursts;
        bool brought = brings(s, 1, "a", at)[0] != '\0';

        groups[i] = waits(s, PREDICT_CONTROL).bursts > n_control ? 'c' : 't';
        ck_assert(!brought || groups[i] == 't');
        if (brought)
            land(s, "b", true, at + 40);
        s->copy['b'] = brought ? PREDICT_FRESH : PREDICT_ABSENT;
        observe(s, 1, "b", brought, at + 60);
        if (!brought)
            land(s, "b", true, at + 100);
        s->copy['b'] = PREDICT_ABSENT;
    }
}

/* 20 % of a thousand are 200, with a standard deviation of 12.6. */
START_TEST(a_random_share_of_bursts_is_control_and_the_saving_is_measured_against_it)
{
    static char groups[3][1001];
    struct predict_counts n;
    struct stage s;
    uint64_t learning;

    live_in_two_groups(&s, seed_one, groups[0]);
    n = counts(&s);
    ck_assert_uint_ge(n.waits[PREDICT_CONTROL].bursts, 150);
    ck_assert_uint_le(n.waits[PREDICT_CONTROL].bursts, 250);
    ck_assert_uint_eq(n.waits[PREDICT_CONTROL].bursts + n.waits[PREDICT_TREATED].bursts, 1000);
    ck_assert_uint_eq(n.waits[PREDICT_CONTROL].questions, n.waits[PREDICT_CONTROL].bursts);
    ck_assert_uint_eq(n.waits[PREDICT_CONTROL].waiting_ms, 40 * n.waits[PREDICT_CONTROL].waits);
    learning = n.waits[PREDICT_TREATED].waits; /* the first two visits, unless they were control */
    ck_assert_uint_le(learning, 2);
    ck_assert_uint_eq(n.waits[PREDICT_TREATED].questions - learning, n.used);
    ck_assert_uint_eq(n.saved_ms, 40 * n.used);
    ck_assert_int_eq(n.measured_ms, (int64_t)(40 * n.used)); /* both agree, as nothing interferes */
    stage_close(&s);

    live_in_two_groups(&s, seed_one, groups[1]);
    ck_assert_str_eq(groups[1], groups[0]);
    stage_close(&s);
    live_in_two_groups(&s, seed_two, groups[2]);
    ck_assert_str_ne(groups[2], groups[0]);
    ck_assert_ptr_nonnull(strstr(groups[2], "cc")); /* not every fifth */
    stage_close(&s);
}
END_TEST

START_TEST(where_prefetching_makes_waits_longer_the_measured_saving_is_negative)
{
    struct predict_conf c = plain();
    struct stage s;

    c.control_percent = 100;
    stage_open(&s, &c);
    ask(&s, 1, "a", 0);
    observe(&s, 1, "b", false, 0);
    land(&s, "b", true, 30);
    observe(&s, 1, "c", true, 40);
    c.control_percent = 0;
    predict_reconfigure(s.p, &c);
    ask(&s, 2, "a", 100);
    for (unsigned i = 0; i < 3; i++) {
        observe(&s, 2, "b", false, 100 + 100 * i);
        land(&s, "b", true, 120 + 100 * i);
    }
    check_waits(&s, PREDICT_CONTROL, 2, 1, 30);
    check_waits(&s, PREDICT_TREATED, 3, 3, 60);
    ck_assert_int_eq(counts(&s).measured_ms, -15); /* 30 / 2 * 3 - 60 */
    stage_close(&s);
}
END_TEST

/* ---- lags, and walking what was learned ------------------------------------------------------ */

struct walked {
    struct predict_pair pairs[16];
    size_t n, stop_at;
    char text[64]; /* "a>b " for each */
};

static bool note_pair(void *ctx, const struct predict_pair *pair)
{
    struct walked *w = ctx;
    size_t len = strlen(w->text);

    ck_assert_uint_lt(w->n, 16);
    w->pairs[w->n++] = *pair;
    snprintf(w->text + len, sizeof w->text - len, "%.*s>%.*s ", (int)pair->trigger_len,
        (const char *)pair->trigger, (int)pair->follower_len, (const char *)pair->follower);
    return w->n != w->stop_at;
}

static unsigned lag_ab(const struct stage *s)
{
    struct walked w = {0};

    predict_walk(s->p, note_pair, &w);
    for (size_t i = 0; i < w.n; i++)
        if (w.pairs[i].trigger[0] == 'a' && w.pairs[i].follower[0] == 'b')
            return w.pairs[i].lag_ms;
    return UINT_MAX;
}

/* b follows a after each of the lags, in visits 10 s apart. */
static unsigned lag_after(struct stage *s, const unsigned *lags_ms, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ask(s, 1, "a", i * 10 * SECOND);
        ask(s, 1, "b", i * 10 * SECOND + lags_ms[i]);
        tick(s, i * 10 * SECOND + 5000);
    }
    return lag_ab(s);
}

/* Steps: (100 + 16) / 2 = 58 to 158, (158 + 16) / 3 = 58 back to 100, and 100 is not passed. */
START_TEST(the_lag_of_a_pair_moves_towards_each_new_one)
{
    static const unsigned lags_ms[] = {100, 300, 90, 90, 5};
    static const unsigned expected[] = {100, 158, 100, 90, 69}; /* (90 + 16) / 5 = 21 */

    for (size_t n = 1; n <= 5; n++) {
        struct stage s;

        stage_start(&s);
        ck_assert_uint_eq(lag_after(&s, lags_ms, n), expected[n - 1]);
        stage_close(&s);
    }
}
END_TEST

START_TEST(a_lag_comes_to_rest_near_the_median_and_follows_the_times)
{
    unsigned lags_ms[400];
    uint64_t x = 88172645463325252u;
    struct stage s;

    for (unsigned i = 0; i < 400; i++) /* three of four between 50 and 150, one far away */
        lags_ms[i] = (unsigned)(i % 4 != 0 ? 50 + next_random(&x) % 101 : 1900);
    stage_start(&s); /* the median: two thirds of 50 to 150, 117 */
    ck_assert_uint_ge(lag_after(&s, lags_ms, 400), 90);
    ck_assert_uint_le(lag_ab(&s), 150);
    stage_close(&s);
    for (unsigned i = 0; i < 400; i++)
        lags_ms[i] = i < 200 ? 1500 : 0;
    stage_start(&s);
    ck_assert_uint_eq(lag_after(&s, lags_ms, 400), 0);
    stage_close(&s);
    for (unsigned i = 0; i < 400; i++)
        lags_ms[i] = i < 200 ? 0 : 1500;
    stage_start(&s);
    ck_assert_uint_eq(lag_after(&s, lags_ms, 400), 1500);
    stage_close(&s);
}
END_TEST

START_TEST(a_lag_is_from_the_trigger_to_the_first_sight_in_its_window)
{
    struct predict_conf c = plain();
    struct walked w = {0};
    struct stage s;

    c.window_ms = 100 * SECOND;
    stage_open(&s, &c);
    ask(&s, 1, "a", 0);
    ask(&s, 1, "b", 30);
    ask(&s, 1, "b", 90);
    ask(&s, 1, "c", 70000);
    tick(&s, 200 * SECOND);
    ck_assert(predict_walk(s.p, note_pair, &w));
    ck_assert_str_eq(w.text, "b>c a>b a>c ");
    ck_assert_uint_eq(w.pairs[0].lag_ms, PREDICT_LAG_MAX_MS); /* 69970, or more than can be told */
    ck_assert_uint_eq(w.pairs[1].lag_ms, 30);
    ck_assert_uint_eq(w.pairs[2].lag_ms, PREDICT_LAG_MAX_MS);
    stage_close(&s);
}
END_TEST

START_TEST(a_walk_shows_every_pair_the_proven_and_the_recent_first)
{
    struct walked w = {0}, cut = {.stop_at = 2};
    struct stage s;

    train_some(&s);
    ck_assert(predict_walk(s.p, note_pair, &w));
    ck_assert_uint_eq(w.n, counts(&s).pairs);
    ck_assert_str_eq(w.text, "x>y x>z b>c a>b a>c y>z ");
    ck_assert_uint_eq(w.pairs[0].score, 3);
    ck_assert_uint_eq(w.pairs[0].seen, 3);
    ck_assert_uint_eq(w.pairs[0].windows, 3);
    ck_assert_uint_eq(w.pairs[0].clients, 2);
    ck_assert_uint_eq(w.pairs[0].lag_ms, 10);
    ck_assert_uint_eq(w.pairs[1].score, 1); /* client 3 did not ask z */
    ck_assert_uint_eq(w.pairs[1].seen, 2);
    ck_assert_uint_eq(w.pairs[1].windows, 3);
    ck_assert_uint_eq(w.pairs[1].lag_ms, 20);
    ck_assert(!predict_walk(s.p, note_pair, &cut));
    ck_assert_uint_eq(cut.n, 2);
    stage_close(&s);
    stage_start(&s);
    ck_assert(predict_walk(s.p, note_pair, &cut));
    ck_assert_uint_eq(cut.n, 2);
    stage_close(&s);
}
END_TEST

/* ---- the vote -------------------------------------------------------------------------------- */

static void start_vote(struct stage *s)
{
    struct predict_conf c = voting();

    stage_open(s, &c);
}

/* Windows of the trigger that could tell, and those of them that saw the follower. */
struct shown {
    char trigger, follower;
    unsigned windows, seen, n;
};

static bool note_shown(void *ctx, const struct predict_pair *pair)
{
    struct shown *shown = ctx;

    if (pair->trigger[0] != shown->trigger || pair->follower[0] != shown->follower)
        return true;
    shown->windows = pair->windows;
    shown->seen = pair->seen;
    shown->n++;
    return true;
}

static void check_shown(
    const struct stage *s, char trigger, char follower, unsigned seen, unsigned windows)
{
    struct shown shown = {.trigger = trigger, .follower = follower};

    predict_walk(s->p, note_shown, &shown);
    ck_assert_uint_eq(shown.n, windows > 0);
    ck_assert_uint_eq(shown.seen, seen);
    ck_assert_uint_eq(shown.windows, windows);
}

START_TEST(a_trigger_that_votes_alone_brings_what_it_saw_once)
{
    struct stage s;

    start_vote(&s);
    visit(&s, 1, "abc", 0);
    ck_assert_str_eq(brings(&s, 1, "a", 10 * SECOND), "bc");
    stage_close(&s);
}
END_TEST

/* The example in predict.c: a saw c in 3 of 4 windows, b in the only one it had. */
static void train_example(struct stage *s)
{
    start_vote(s);
    s->refuse = true;
    visit(s, 1, "ac", 0);
    visit(s, 1, "ac", 10 * SECOND);
    visit(s, 1, "ac", 20 * SECOND);
    visit(s, 1, "a", 30 * SECOND);
    visit(s, 1, "bc", 40 * SECOND);
    tick(s, 45 * SECOND);
    s->refuse = false;
    check_shown(s, 'a', 'c', 3, 4);
    check_shown(s, 'b', 'c', 1, 1);
}

START_TEST(the_share_of_windows_is_the_vote)
{
    struct stage s;

    train_example(&s);
    ck_assert_str_eq(brings(&s, 1, "a", 50 * SECOND), "c"); /* .75 */
    stage_close(&s);
    train_example(&s);
    visit(&s, 1, "a", 50 * SECOND); /* 3 of 5 */
    ck_assert_str_eq(brings(&s, 1, "a", 60 * SECOND), "");
    stage_close(&s);
}
END_TEST

START_TEST(a_trigger_that_knows_nothing_of_a_follower_votes_against_it)
{
    struct stage s;

    train_example(&s);
    ck_assert_str_eq(brings(&s, 1, "x", 50 * SECOND), "");
    ck_assert_str_eq(brings(&s, 1, "a", 50 * SECOND + 10), ""); /* .653 */
    stage_close(&s);
}
END_TEST

START_TEST(triggers_that_agree_bring_what_one_alone_would_not)
{
    struct stage s;

    train_example(&s);
    visit(&s, 1, "xa", 50 * SECOND);
    ck_assert_str_eq(brings(&s, 1, "b", 50 * SECOND + 20), "c"); /* .815 */
    stage_close(&s);
}
END_TEST

START_TEST(a_trigger_votes_as_long_as_its_window_lasts)
{
    struct stage s;

    train_example(&s);
    visit(&s, 1, "x", 50 * SECOND);
    ck_assert_str_eq(brings(&s, 1, "a", 50 * SECOND + W - 1), "");
    stage_close(&s);
    train_example(&s);
    visit(&s, 1, "x", 50 * SECOND);
    ck_assert_str_eq(brings(&s, 1, "a", 50 * SECOND + W), "c");
    stage_close(&s);
}
END_TEST

START_TEST(the_newest_16_triggers_vote_each_once)
{
    static const char silent[] = "ghijklmnopqrstu"; /* 15 that know nothing */
    struct stage s;

    for (unsigned first = 0; first < 2; first++) {
        train_example(&s);
        s.conf.confidence_percent = 60;
        predict_reconfigure(s.p, &s.conf);
        s.refuse = true;
        visit(&s, 1, "b", 50 * SECOND);
        visit(&s, 1, silent + first, 50 * SECOND + 10);
        visit(&s, 1, "uuuuu", 50 * SECOND + 160);
        s.refuse = false;
        /* As the 16th b makes it .604, and as the 17th it would .601. a alone of 16 has .568. */
        ck_assert_str_eq(brings(&s, 1, "a", 50 * SECOND + 210), first == 1 ? "c" : "");
        stage_close(&s);
    }
}
END_TEST

START_TEST(what_was_asked_since_the_trigger_is_not_brought_by_it)
{
    struct stage s;

    start_vote(&s);
    visit(&s, 1, "ab", 0);
    ck_assert_str_eq(brings(&s, 1, "a", 10 * SECOND), "b");
    ck_assert_str_eq(brings(&s, 1, "b", 10 * SECOND + 10), "");
    ck_assert_str_eq(brings(&s, 1, "c", 10 * SECOND + 20), ""); /* else b, with .70 */
    stage_close(&s);
}
END_TEST

START_TEST(other_clients_triggers_do_not_vote)
{
    struct stage s;

    train_example(&s);
    visit(&s, 2, "x", 50 * SECOND);
    ck_assert_str_eq(brings(&s, 1, "a", 50 * SECOND + 10), "c");
    stage_close(&s);
}
END_TEST

/* Client 1 always asks b after a, the others never: 4 of 8 windows. */
START_TEST(a_clients_own_windows_outweigh_those_of_all)
{
    struct stage s;

    start_vote(&s);
    s.refuse = true;
    for (unsigned i = 0; i < 4; i++) {
        visit(&s, 1, "ab", i * 20 * SECOND);
        visit(&s, 2 + i, "a", (i * 20 + 10) * SECOND);
    }
    tick(&s, 79 * SECOND);
    s.refuse = false;
    check_shown(&s, 'a', 'b', 4, 8);
    ck_assert_str_eq(brings(&s, 2, "a", 80 * SECOND), "");
    ck_assert_str_eq(brings(&s, 1, "a", 80 * SECOND), "b"); /* half of 4/4 and half of 4/8 */
    stage_close(&s);
}
END_TEST

START_TEST(with_scope_global_no_trigger_is_a_clients_own)
{
    struct predict_conf c = voting();
    struct stage s;

    c.scope = PREDICT_SCOPE_GLOBAL;
    stage_open(&s, &c);
    s.refuse = true;
    for (unsigned i = 0; i < 4; i++) {
        visit(&s, 1, "ab", i * 20 * SECOND);
        visit(&s, 2 + i, "a", (i * 20 + 10) * SECOND);
    }
    tick(&s, 79 * SECOND);
    s.refuse = false;
    check_shown(&s, 'a', 'b', 4, 8);
    ck_assert_uint_eq(counts(&s).triggers, 1);
    ck_assert_str_eq(brings(&s, 1, "a", 80 * SECOND), "");
    stage_close(&s);
}
END_TEST

START_TEST(counts_are_halved_every_16_windows)
{
    struct stage s;

    start_vote(&s);
    for (unsigned i = 0; i < 15; i++)
        visit(&s, 1, i % 4 == 0 ? "ab" : "abc", i * 10 * SECOND);
    tick(&s, 149 * SECOND);
    check_shown(&s, 'a', 'b', 15, 15);
    check_shown(&s, 'a', 'c', 11, 15);
    visit(&s, 1, "ab", 150 * SECOND);
    tick(&s, 159 * SECOND);
    check_shown(&s, 'a', 'b', 8, 8);
    check_shown(&s, 'a', 'c', 6, 8); /* 11 of 16: halves are rounded up */
    visit(&s, 1, "abc", 160 * SECOND);
    tick(&s, 169 * SECOND);
    check_shown(&s, 'a', 'b', 9, 9);
    check_shown(&s, 'a', 'c', 7, 9);
    stage_close(&s);
}
END_TEST

START_TEST(a_trigger_is_a_clients_own_only_where_others_showed_it_too)
{
    struct stage s;

    start_vote(&s);
    visit(&s, 1, "ab", 0);
    visit(&s, 1, "ab", 10 * SECOND);
    tick(&s, 15 * SECOND);
    ck_assert_uint_eq(counts(&s).triggers, 1);
    visit(&s, 2, "ac", 20 * SECOND);
    tick(&s, 25 * SECOND);
    ck_assert_uint_eq(counts(&s).triggers, 3); /* of all: b, c; of 1: b; of 2: c */
    ck_assert_uint_eq(counts(&s).pairs, 4);
    stage_close(&s);
}
END_TEST

START_TEST(a_question_is_a_trigger_of_32_clients_at_most_besides_of_all)
{
    struct stage s;

    start_vote(&s);
    for (unsigned i = 0; i < 100; i++) {
        visit(&s, i, "ab", i * 10 * SECOND);
        tick(&s, i * 10 * SECOND + 5000);
        ck_assert_uint_le(counts(&s).triggers, 33);
        ck_assert_pstr_eq(predict_check(s.p), NULL);
    }
    ck_assert_uint_eq(counts(&s).triggers, 33);
    stage_close(&s);
}
END_TEST

/* Clients 1 and 2 always ask b after a, up to 31 others in a third of their windows. Client 1
 * learned after all but the last of them. */
static void crowd(struct stage *s, unsigned n_clients)
{
    uint64_t at = 0;

    start_vote(s);
    s->refuse = true;
    for (unsigned i = 0; i < 16; i++, at += 10 * SECOND)
        visit(s, 1 + i / 8, "ab", at);
    for (unsigned i = 3; i <= n_clients; i++, at += 30 * SECOND) {
        if (i == 33)
            visit(s, 1, "ab", at - 5 * SECOND);
        visit(s, i, "ab", at);
        visit(s, i, "ac", at + 10 * SECOND);
        visit(s, i, "ad", at + 20 * SECOND);
    }
    tick(s, at);
    s->refuse = false;
}

START_TEST(of_more_than_32_clients_the_one_that_learned_longest_ago_goes)
{
    struct stage s;

    crowd(&s, 32);
    ck_assert_str_eq(brings(&s, 1, "a", 2000 * SECOND), "b");
    ck_assert_str_eq(brings(&s, 2, "a", 2000 * SECOND), "b");
    stage_close(&s);
    crowd(&s, 33);
    ck_assert_str_eq(brings(&s, 1, "a", 2000 * SECOND), "b");
    ck_assert_str_eq(brings(&s, 2, "a", 2000 * SECOND), "");
    stage_close(&s);
}
END_TEST

START_TEST(what_one_client_showed_votes_for_that_client_only)
{
    struct predict_conf c = voting();
    struct stage s;

    c.share = 2;
    stage_open(&s, &c);
    visit(&s, 1, "ab", 0);
    visit(&s, 2, "a", 5 * SECOND);
    ck_assert_str_eq(brings(&s, 2, "a", 10 * SECOND), "");
    ck_assert_str_eq(brings(&s, 1, "a", 20 * SECOND), "");
    visit(&s, 1, "ab", 30 * SECOND);
    visit(&s, 1, "ab", 40 * SECOND);
    visit(&s, 1, "ab", 50 * SECOND); /* own: 4 of 5; of all: 4 of 7 */
    ck_assert_str_eq(brings(&s, 1, "a", 60 * SECOND), "b");
    ck_assert_str_eq(brings(&s, 3, "a", 60 * SECOND), "");
    stage_close(&s);
}
END_TEST

START_TEST(a_client_that_trains_junk_does_not_vote_for_others)
{
    struct predict_conf c = voting();
    struct stage s;

    c.share = 2;
    stage_open(&s, &c);
    for (unsigned i = 0; i < 20; i++) {
        visit(&s, 1, "abc", i * 10 * SECOND);
        visit(&s, 2, "ajkl", i * 10 * SECOND + 3000);
    }
    ck_assert_str_eq(brings(&s, 1, "a", 210 * SECOND), "bc");
    ck_assert_str_eq(brings(&s, 2, "a", 210 * SECOND), "jkl");
    ck_assert_str_eq(brings(&s, 3, "a", 211 * SECOND), "");
    stage_close(&s);
}
END_TEST

START_TEST(what_expires_before_it_is_asked_for_is_not_seen)
{
    static const struct {
        uint64_t fresh_ms, lag_ms;
        bool seen;
    } cases[] = {{3000, 2999, true}, {3000, 3000, false}, {0, 1999, true}, {0, 2000, false},
        {UINT64_C(1) << 32, 9999, true}}; /* 2^32 ms are no 0 */
    struct predict_conf c = voting();
    struct stage s;

    c.window_ms = 10000;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        stage_open(&s, &c);
        s.fresh_ms['b'] = cases[i].fresh_ms; /* with TTL 0 it is held for 2 s */
        ask(&s, 1, "a", 0);
        ask(&s, 1, "b", cases[i].lag_ms);
        tick(&s, 20 * SECOND);
        ck_assert_uint_eq(counts(&s).pairs, cases[i].seen);
        stage_close(&s);
    }
}
END_TEST

START_TEST(a_trigger_asked_again_closes_its_window_after_a_second)
{
    struct predict_conf c = voting();
    struct stage s;

    c.window_ms = 15000;
    stage_open(&s, &c);
    visit(&s, 1, "ab", 0);
    ck_assert_str_eq(brings(&s, 1, "a", 999), "");
    ck_assert_uint_eq(counts(&s).windows_open, 2);
    ck_assert_str_eq(brings(&s, 1, "a", 1000), "b"); /* b against it: .78 */
    ck_assert_uint_eq(counts(&s).windows_open, 2);
    ck_assert_uint_eq(counts(&s).pairs, 1);
    ck_assert_str_eq(brings(&s, 2, "a", 5000), "b");
    ck_assert_uint_eq(counts(&s).windows_open, 3); /* other clients' stay open */
    stage_close(&s);
}
END_TEST

START_TEST(a_window_that_closes_early_subtracts_nothing)
{
    struct stage s;

    start_vote(&s);
    visit(&s, 1, "ab", 0);
    ask(&s, 1, "a", 10 * SECOND);
    ask(&s, 1, "a", 11 * SECOND);
    check_shown(&s, 'a', 'b', 1, 1);
    tick(&s, 20 * SECOND);
    check_shown(&s, 'a', 'b', 1, 2);
    stage_close(&s);
}
END_TEST

START_TEST(what_is_seen_in_less_than_a_tenth_of_windows_is_forgotten)
{
    struct stage s;

    start_vote(&s);
    s.refuse = true;
    visit(&s, 1, "ab", 0);
    for (unsigned i = 1; i < 10; i++)
        ask(&s, 1, "a", i * 10 * SECOND);
    tick(&s, 95 * SECOND);
    check_shown(&s, 'a', 'b', 1, 10);
    ask(&s, 1, "a", 100 * SECOND);
    tick(&s, 105 * SECOND);
    check_shown(&s, 'a', 'b', 0, 0);
    stage_close(&s);
}
END_TEST

START_TEST(a_score_of_2_is_what_confidence_asks_for)
{
    struct predict_conf c = voting();
    struct stage s;

    c.confidence_percent = 75;
    for (unsigned i = 1; i <= 3; i++) {
        train_example(&s);
        ck_assert_uint_eq(score(&s, "a", "unknown"), 0);
        ck_assert_uint_eq(score(&s, "a", "c"), 2); /* .75 / .67, times 2: 2.2 */
        c.score = i;
        predict_reconfigure(s.p, &c);
        ck_assert_uint_eq(score(&s, "a", "c"), 2);
        ck_assert_uint_eq(score(&s, "b", "c"), 2); /* 2.7 */
        ck_assert_str_eq(brings(&s, 1, "a", 50 * SECOND), i <= 2 ? "c" : "");
        stage_close(&s);
    }
    train_example(&s);
    c.confidence_percent = 0; /* whatever was seen once is enough */
    predict_reconfigure(s.p, &c);
    ck_assert_uint_eq(score(&s, "a", "c"), UINT16_MAX);
    stage_close(&s);
}
END_TEST

START_TEST(the_likeliest_followers_come_first)
{
    struct predict_conf c = voting();
    struct stage s;

    c.prefetches_max = 2;
    stage_open(&s, &c);
    s.refuse = true;
    visit(&s, 1, "abcd", 0);
    visit(&s, 1, "acd", 10 * SECOND);
    visit(&s, 1, "abd", 20 * SECOND);
    visit(&s, 1, "abcd", 30 * SECOND); /* b 3, c 3, d 4 of 4 */
    tick(&s, 35 * SECOND);
    s.refuse = false;
    ck_assert_str_eq(brings(&s, 1, "a", 40 * SECOND), "db");
    stage_close(&s);
}
END_TEST

START_TEST(votes_are_bounded)
{
    struct predict_conf c = voting();
    struct stage s;
    char name[8];

    c.dependencies_max = c.seen_max = 0;
    stage_open(&s, &c);
    ask(&s, 1, "t", 0);
    ask(&s, 1, "u", 0);
    for (unsigned k = 0; k < 1100; k++) {
        snprintf(name, sizeof name, "x%04u", k);
        ask(&s, 1, name, 10);
    }
    tick(&s, 5 * SECOND);
    ck_assert_uint_eq(n_brought(&s, "t", 10 * SECOND), PREDICT_PREFETCHES_MAX);
    ck_assert_uint_eq(n_brought(&s, "u", 10 * SECOND), PREDICT_PREFETCHES_MAX);
    stage_close(&s);
}
END_TEST

START_TEST(hearing_voters_takes_looks)
{
    struct predict_conf c = voting();
    struct stage s;

    c.looks_per_ms = 1; /* and 1000 in reserve */
    train_many(&s, &c);
    s.copy['x'] = PREDICT_FRESH;
    for (unsigned i = 0; counts(&s).shed == 0 && i < 1000; i++)
        ask(&s, 1, "t", 20 * SECOND);
    /* 40 looks at copies each, one for 40 votes, and one for 8 requests looked through */
    ck_assert_uint_eq(counts(&s).requests, 82 + 25);
    stage_close(&s);
}
END_TEST

/* A look for each 8 of the last 64 requests: the first 64 take 232, each that follows 8. */
START_TEST(a_client_that_repeats_a_name_has_its_last_64_requests_looked_through)
{
    struct predict_conf c = voting();
    struct stage s;

    c.looks_per_ms = 1; /* and 1000 in reserve */
    stage_open(&s, &c);
    for (unsigned i = 0; i < 64 + 96; i++)
        ask(&s, 1, "a", 1);
    ck_assert_uint_eq(counts(&s).shed, 0);
    ask(&s, 1, "a", 1);
    ck_assert_uint_eq(counts(&s).shed, 1);
    stage_close(&s);
}
END_TEST

static void observe_turn(struct stage *s, unsigned client, const char *name, size_t n, uint64_t at)
{
    struct predict_request turn[256];
    uint8_t id[PREDICT_CLIENT_LEN];

    client_id(client, id);
    for (size_t i = 0; i < n; i++)
        turn[i] = (struct predict_request){id, (const uint8_t *)name, strlen(name), true};
    predict_observe(s->p, turn, n, at);
}

START_TEST(a_client_that_repeats_a_name_in_one_turn_is_heard_once)
{
    struct predict_conf c = voting();
    struct stage s;

    c.looks_per_ms = 1;
    stage_open(&s, &c);
    for (unsigned i = 0; i < 25; i++) /* 8 looks each */
        observe_turn(&s, 1, "a", 64, 1);
    for (unsigned i = 0; i < 100; i++) /* and 8 each */
        ask(&s, 1, "a", 1);
    ck_assert_uint_eq(counts(&s).shed, 0);
    ask(&s, 1, "a", 1);
    ck_assert_uint_eq(counts(&s).shed, 1);
    stage_close(&s);
}
END_TEST

START_TEST(a_request_that_is_not_listed_has_nobody_heard)
{
    struct predict_conf c = voting();
    struct stage s;

    c.looks_per_ms = 1;
    c.bytes_max = PREDICT_BYTES_MIN; /* 128 requests of one client are listed */
    stage_open(&s, &c);
    for (unsigned i = 0; i < 128; i++) /* 232 + 64 * 8 looks */
        ask(&s, 1, "a", 1);
    for (unsigned i = 0; i < 100; i++)
        observe_turn(&s, 1, "a", 256, 1);
    ck_assert_uint_eq(counts(&s).unlisted, 25600);
    ck_assert_uint_eq(counts(&s).shed, 0);
    stage_close(&s);
}
END_TEST

/* What the first showed serves nobody else: it is brought if the vote is held for each. */
START_TEST(with_scope_global_each_clients_newest_of_a_turn_is_heard)
{
    uint8_t one[PREDICT_CLIENT_LEN], two[PREDICT_CLIENT_LEN];
    struct predict_request turn[] = {
        {one, (const uint8_t *)"a", 1, false},
        {two, (const uint8_t *)"x", 1, false},
    };
    struct predict_conf c = voting();
    struct stage s;

    client_id(1, one);
    client_id(2, two);
    c.scope = PREDICT_SCOPE_GLOBAL;
    c.share = 2;
    stage_open(&s, &c);
    visit(&s, 1, "ab", 0);
    tick(&s, 5 * SECOND);
    predict_observe(s.p, turn, 2, 10 * SECOND);
    ck_assert_str_eq(s.sent, "b"); /* 1/1 and 0: .777 */
    stage_close(&s);
}
END_TEST

START_TEST(what_clients_have_of_their_own_survives_a_restart)
{
    struct predict_conf c = voting();
    struct stage s, t;
    uint8_t *bytes, *again;
    size_t len, len_again;

    stage_open(&s, &c);
    s.refuse = true;
    for (unsigned i = 0; i < 4; i++) {
        visit(&s, 1, "ab", i * 20 * SECOND);
        visit(&s, 2 + i, "a", (i * 20 + 10) * SECOND);
    }
    tick(&s, 79 * SECOND);
    save(&s, &bytes, &len);
    restart(&t, &c);
    ck_assert_pstr_eq(predict_load(t.p, bytes, len), NULL);
    ck_assert_pstr_eq(predict_check(t.p), NULL);
    save(&t, &again, &len_again);
    ck_assert_uint_eq(len, len_again);
    ck_assert_mem_eq(bytes, again, len);
    ck_assert_uint_eq(counts(&t).pairs, 2);
    ck_assert_str_eq(brings(&t, 2, "a", 100), "");
    ck_assert_str_eq(brings(&t, 1, "a", 100), "b");
    free(bytes);
    free(again);
    stage_close(&s);
    stage_close(&t);
}
END_TEST

/* ---- the rule of 2007 on real page loads ----------------------------------------------------- */

#define TRACE  "../shared/traces/pages.tsv"
#define TTLS   "../shared/traces/ttl.tsv"
#define RTT_MS 30

/* A question of the trace, with the model's caches: with prediction and without. */
struct traced {
    UT_hash_handle hh;
    uint64_t ttl_ms, plain_until_ms, cache_until_ms, sent_ms;
    bool sent;
    char key[]; /* name, tab, type; in the list of TTLs the name */
};

struct replay {
    struct traced *ttls, *questions;
    struct predict *p;
    uint64_t window_ms, last_ms[16];
    char client[16][8];
    const char *landing[4096];
    size_t n_landing;
    uint64_t n, upstream, upstream_predicted, waits, prefetches, in_window;
    double saved;
};

static struct traced *find_traced(struct traced **table, const char *key)
{
    struct traced *q;

    HASH_FIND_STR(*table, key, q);
    if (q != NULL)
        return q;
    q = calloc(1, sizeof *q + strlen(key) + 1);
    ck_assert_ptr_nonnull(q);
    strcpy(q->key, key);
    HASH_ADD_STR(*table, key, q);
    return q;
}

static void free_traced(struct traced **table)
{
    struct traced *q, *next;

    HASH_ITER(hh, *table, q, next)
    {
        HASH_DEL(*table, q);
        free(q);
    }
}

static enum predict_copy replay_copy(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    struct replay *r = ctx;
    struct traced *q;

    HASH_FIND(hh, r->questions, key, key_len, q);
    return q != NULL && q->cache_until_ms > now_ms ? PREDICT_FRESH : PREDICT_ABSENT;
}

static bool replay_prefetch(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    struct replay *r = ctx;
    struct traced *q;

    HASH_FIND(hh, r->questions, key, key_len, q);
    r->prefetches++;
    r->upstream_predicted++;
    q->cache_until_ms = now_ms + q->ttl_ms;
    q->sent_ms = now_ms;
    q->sent = true;
    ck_assert_uint_lt(r->n_landing, 4096);
    r->landing[r->n_landing++] = q->key;
    return true;
}

static void read_ttls(struct replay *r)
{
    char line[512], name[300];
    unsigned long ttl_s;
    FILE *f = fopen(TTLS, "r");

    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "%299s %lu", name, &ttl_s) == 2)
            find_traced(&r->ttls, name)->ttl_ms = (ttl_s > 0 ? ttl_s : 1) * 1000;
    fclose(f);
}

static unsigned client_number(struct replay *r, const char *client)
{
    unsigned i;

    for (i = 0; i < 16 && r->client[i][0] != '\0'; i++)
        if (strcmp(r->client[i], client) == 0)
            return i;
    ck_assert_uint_lt(i, 16);
    /* cppcheck-suppress arrayIndexOutOfBounds ; the assertion does not return */
    snprintf(r->client[i], sizeof r->client[i], "%s", client);
    return i;
}

/* What the model counts for a request. Returns whether the cache has an answer. */
static bool replay_caches(struct replay *r, struct traced *q, bool first, uint64_t now_ms)
{
    bool miss = q->plain_until_ms <= now_ms, hit = q->cache_until_ms > now_ms;
    uint64_t lead_ms = q->sent ? now_ms - q->sent_ms : RTT_MS;

    r->n++;
    if (miss) {
        q->plain_until_ms = now_ms + q->ttl_ms;
        r->upstream++;
    }
    r->in_window += q->sent && lead_ms <= r->window_ms;
    q->sent = false;
    if (!hit) {
        q->cache_until_ms = now_ms + q->ttl_ms;
        r->upstream_predicted++;
    } else if (miss && !first) {
        r->saved += (double)(lead_ms < RTT_MS ? lead_ms : RTT_MS) / RTT_MS;
    }
    r->waits += miss && !first;
    return hit;
}

static void replay_line(struct replay *r, const char *line)
{
    char client[8], name[300], type[16], key[320];
    unsigned long now_ms;
    struct traced *q, *ttl;
    uint8_t id[PREDICT_CLIENT_LEN] = {0};
    struct predict_request request = {.client = id};
    bool first;

    ck_assert_int_eq(sscanf(line, "%lu %7s %299s %15s", &now_ms, client, name, type), 4);
    snprintf(key, sizeof key, "%s\t%s", name, type);
    q = find_traced(&r->questions, key);
    if (q->ttl_ms == 0) {
        HASH_FIND_STR(r->ttls, name, ttl);
        q->ttl_ms = ttl != NULL ? ttl->ttl_ms : 60000;
    }
    id[0] = (uint8_t)client_number(r, client);
    first = r->last_ms[id[0]] == 0 || now_ms - r->last_ms[id[0]] > 5000;
    r->last_ms[id[0]] = now_ms;
    request.key = (const uint8_t *)q->key;
    request.key_len = strlen(q->key);
    request.answered = replay_caches(r, q, first, now_ms);
    while (predict_due_ms(r->p) <= now_ms)
        predict_tick(r->p, now_ms);
    predict_observe(r->p, &request, 1, now_ms);
    predict_landed(r->p, request.key, request.key_len, true, now_ms);
    for (size_t i = 0; i < r->n_landing; i++)
        predict_landed(r->p, (const uint8_t *)r->landing[i], strlen(r->landing[i]), true, now_ms);
    r->n_landing = 0;
}

/* What reference.py prints for pages.tsv with a window of 2 and 4 seconds. */
static const struct {
    uint64_t window_ms;
    const char *line;
} reference[] = {
    {2000, "queries 98094 upstream 77023 waits 73828 saved 0.8117 prefetches 74594 "
           "precision 0.5929 extra +0.1831 pairs 24095"},
    {4000, "queries 98094 upstream 77023 waits 73828 saved 0.8742 prefetches 86034 "
           "precision 0.5769 extra +0.2739 pairs 36585"},
};

START_TEST(the_seed_rule_equals_its_reference_number_for_number)
{
    struct replay *r = calloc(1, sizeof *r);
    struct predict_world world = {.ctx = r, .copy = replay_copy, .prefetch = replay_prefetch};
    struct predict_conf c;
    struct predict_counts n;
    char line[512];
    FILE *f = fopen(TRACE, "r");

    ck_assert_ptr_nonnull(r);
    if (f == NULL) { /* the traces are not part of the project */
        free(r);
        return;
    }
    predict_conf_seed(&c);
    c.window_ms = r->window_ms = reference[_i].window_ms;
    r->p = predict_create(&c, &world, seed_one);
    ck_assert_ptr_nonnull(r->p);
    read_ttls(r);
    while (fgets(line, sizeof line, f) != NULL)
        replay_line(r, line);
    fclose(f);
    predict_count(r->p, &n);
    snprintf(line, sizeof line,
        "queries %lu upstream %lu waits %lu saved %.4f prefetches %lu precision %.4f "
        "extra %+.4f pairs %zu",
        (unsigned long)r->n, (unsigned long)r->upstream, (unsigned long)r->waits,
        r->saved / (double)r->waits, (unsigned long)r->prefetches,
        (double)r->in_window / (double)r->prefetches,
        (double)r->upstream_predicted / (double)r->upstream - 1, n.pairs_peak);
    ck_assert_str_eq(line, reference[_i].line);
    ck_assert_uint_eq(n.unlisted, 0);
    ck_assert_uint_eq(n.prefetches, r->prefetches);
    ck_assert_pstr_eq(predict_check(r->p), NULL);
    predict_free(r->p);
    free_traced(&r->ttls);
    free_traced(&r->questions);
    free(r);
}
END_TEST

static TCase *the_rule_of_2007_case(void)
{
    TCase *tc = tcase_create("the rule of 2007");

    tcase_add_test(tc, a_chain_is_scored_when_each_window_closes);
    tcase_add_test(tc, the_third_visit_brings_the_whole_chain);
    tcase_add_test(tc, a_request_when_the_window_is_due_is_not_seen);
    tcase_add_test(tc, what_was_not_seen_loses_1_and_is_forgotten_at_0);
    tcase_add_test(tc, a_trigger_that_was_not_asked_keeps_its_scores);
    tcase_add_test(tc, nothing_is_fetched_that_is_fresh_or_under_way_or_failed);
    tcase_add_test(tc, the_score_asked_for_is_an_option);
    return tc;
}

static TCase *the_vote_case(void)
{
    TCase *tc = tcase_create("the vote");

    tcase_add_test(tc, a_trigger_that_votes_alone_brings_what_it_saw_once);
    tcase_add_test(tc, the_share_of_windows_is_the_vote);
    tcase_add_test(tc, a_trigger_that_knows_nothing_of_a_follower_votes_against_it);
    tcase_add_test(tc, triggers_that_agree_bring_what_one_alone_would_not);
    tcase_add_test(tc, a_trigger_votes_as_long_as_its_window_lasts);
    tcase_add_test(tc, the_newest_16_triggers_vote_each_once);
    tcase_add_test(tc, what_was_asked_since_the_trigger_is_not_brought_by_it);
    tcase_add_test(tc, other_clients_triggers_do_not_vote);
    tcase_add_test(tc, a_clients_own_windows_outweigh_those_of_all);
    tcase_add_test(tc, with_scope_global_no_trigger_is_a_clients_own);
    tcase_add_test(tc, counts_are_halved_every_16_windows);
    tcase_add_test(tc, a_trigger_is_a_clients_own_only_where_others_showed_it_too);
    tcase_add_test(tc, a_question_is_a_trigger_of_32_clients_at_most_besides_of_all);
    tcase_add_test(tc, of_more_than_32_clients_the_one_that_learned_longest_ago_goes);
    tcase_add_test(tc, what_one_client_showed_votes_for_that_client_only);
    tcase_add_test(tc, a_client_that_trains_junk_does_not_vote_for_others);
    tcase_add_test(tc, what_expires_before_it_is_asked_for_is_not_seen);
    tcase_add_test(tc, a_trigger_asked_again_closes_its_window_after_a_second);
    tcase_add_test(tc, a_window_that_closes_early_subtracts_nothing);
    tcase_add_test(tc, what_is_seen_in_less_than_a_tenth_of_windows_is_forgotten);
    tcase_add_test(tc, a_score_of_2_is_what_confidence_asks_for);
    tcase_add_test(tc, the_likeliest_followers_come_first);
    tcase_add_test(tc, votes_are_bounded);
    tcase_add_test(tc, hearing_voters_takes_looks);
    tcase_add_test(tc, a_client_that_repeats_a_name_has_its_last_64_requests_looked_through);
    tcase_add_test(tc, a_client_that_repeats_a_name_in_one_turn_is_heard_once);
    tcase_add_test(tc, a_request_that_is_not_listed_has_nobody_heard);
    tcase_add_test(tc, with_scope_global_each_clients_newest_of_a_turn_is_heard);
    tcase_add_test(tc, what_clients_have_of_their_own_survives_a_restart);
    return tc;
}

static TCase *what_the_words_leave_open_case(void)
{
    TCase *tc = tcase_create("what the words leave open");

    tcase_add_test(tc, a_follower_counts_once_in_a_window);
    tcase_add_test(tc, a_repeat_in_an_open_window_opens_none_but_is_seen);
    tcase_add_test(tc, a_repeat_opens_a_window_where_2007_is_wanted_to_the_letter);
    tcase_add_test(tc, every_client_has_a_window_of_its_own_for_the_same_question);
    tcase_add_test(tc, a_question_has_32_windows_open_at_most);
    tcase_add_test(tc, with_scope_client_only_requests_of_one_client_follow_each_other);
    tcase_add_test(tc, with_scope_global_all_requests_follow_each_other);
    tcase_add_test(tc, a_fresh_copy_may_hide_a_follower_which_then_loses_nothing);
    tcase_add_test(tc, a_copy_that_is_fresh_by_an_unused_prefetch_hides_nothing);
    tcase_add_test(tc, a_copy_of_a_used_prefetch_hides_like_any_other);
    tcase_add_test(tc, always_subtract_takes_1_even_from_what_is_fresh);
    tcase_add_test(tc, a_score_stops_at_the_cap_and_falls_from_there);
    tcase_add_test(tc, without_a_cap_a_score_goes_on);
    tcase_add_test(tc, confidence_is_the_share_of_windows_that_saw_the_follower);
    tcase_add_test(tc, windows_before_the_first_sight_of_a_follower_count_against_it);
    tcase_add_test(tc, a_window_that_says_nothing_does_not_count_for_confidence);
    tcase_add_test(tc, confidence_follows_the_times);
    tcase_add_test(tc, a_pair_serves_only_the_client_that_showed_it_until_another_did);
    tcase_add_test(tc, share_can_ask_for_up_to_four_clients);
    tcase_add_test(tc, with_scope_global_the_asker_of_the_follower_showed_the_pair);
    tcase_add_test(tc, a_prefetch_leads_to_no_other);
    tcase_add_test(tc, what_was_never_answered_is_not_prefetched);
    tcase_add_test(tc, a_failure_ends_prefetching_until_the_next_answer);
    return tc;
}

static TCase *what_became_of_prefetches_case(void)
{
    TCase *tc = tcase_create("what became of prefetches");

    tcase_add_test(tc, a_prefetch_that_landed_saves_a_round_trip);
    tcase_add_test(tc, a_prefetch_under_way_saves_what_had_gone_by);
    tcase_add_test(tc, a_prefetch_that_expired_before_its_client_came_is_unused);
    tcase_add_test(tc, a_prefetch_nobody_asks_for_is_unused_when_the_window_closes_without_a_copy);
    tcase_add_test(tc, a_prefetch_that_is_sent_again_makes_the_first_one_unused);
    tcase_add_test(tc, an_unused_prefetch_is_found_by_the_sweep_when_its_copy_has_gone);
    tcase_add_test(tc, a_prefetch_lands_once);
    tcase_add_test(tc, of_more_than_1024_unused_prefetches_the_number_stays);
    tcase_add_test(tc, a_prefetch_that_is_refused_was_not_sent);
    return tc;
}

static TCase *budget_and_bounds_of_prefetching_case(void)
{
    TCase *tc = tcase_create("budget and bounds of prefetching");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_request_brings_32_followers_at_most);
    tcase_add_test(tc, a_trigger_says_nothing_of_what_is_overdue);
    tcase_add_test(tc, what_is_asked_in_the_same_turn_is_not_fetched);
    tcase_add_test(tc, the_strongest_followers_come_first);
    tcase_add_test(tc, waste_is_bounded_by_a_bucket_of_256_tokens);
    tcase_add_test(tc, a_prefetch_in_time_gives_its_token_back);
    tcase_add_test(tc, what_expired_early_since_it_was_fetched_ahead_costs_a_token);
    tcase_add_test(tc, a_prefetch_that_its_client_would_not_have_needed_gives_nothing_back);
    tcase_add_test(tc, a_prefetch_that_was_joined_expires_early_too);
    tcase_add_test(tc, a_debt_is_never_more_than_a_bucketful);
    tcase_add_test(tc, budget_0_is_no_limit);
    tcase_add_test(tc, junk_is_unlearned_as_fast_as_it_was_learned);
    tcase_add_test(tc, looks_at_the_cache_are_bounded);
    return tc;
}

static TCase *bounds_of_learning_case(void)
{
    TCase *tc = tcase_create("bounds of learning");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, when_a_trigger_is_full_the_weakest_goes);
    tcase_add_test(tc, what_is_known_is_seen_behind_new_ones);
    tcase_add_test(tc, a_window_looks_at_so_many_requests_and_takes_nothing_for_the_rest);
    tcase_add_test(tc, a_window_that_missed_a_request_for_want_of_room_subtracts_nothing);
    tcase_add_test(tc, with_scope_global_a_missed_request_concerns_all_windows);
    tcase_add_test(tc, one_client_that_asks_too_much_does_not_stop_others_from_learning);
    tcase_add_test(tc, a_flood_of_new_names_costs_fixed_memory_and_takes_nothing_proven);
    tcase_add_test(tc, a_flood_of_client_addresses_costs_fixed_memory);
    tcase_add_test(tc, among_the_proven_the_least_recently_asked_go_first);
    tcase_add_test(tc, a_client_that_trains_junk_changes_nothing_for_others);
    return tc;
}

static TCase *bursts_and_waiting_case(void)
{
    TCase *tc = tcase_create("what prediction adds, bursts and waiting");

    tcase_add_test(tc, extra_questions_are_told_from_the_clients_own);
    tcase_add_test(tc, a_burst_ends_when_its_client_is_silent_for_more_than_5_seconds);
    tcase_add_test(tc, a_miss_waits_until_it_lands_and_a_hit_does_not_wait);
    tcase_add_test(tc, everyone_who_waits_for_an_answer_is_counted);
    tcase_add_test(tc, who_joins_a_prefetch_waits_for_what_is_left_of_it);
    tcase_add_test(tc, what_failed_or_never_landed_is_not_counted);
    tcase_add_test(tc, a_miss_whose_answer_came_in_the_same_turn_does_not_wait);
    tcase_add_test(tc, the_question_of_a_wait_stays_known_when_its_window_has_closed);
    tcase_add_test(tc, while_1024_questions_wait_nothing_is_counted_hits_neither);
    tcase_add_test(tc, waits_whose_end_nobody_tells_make_room_again);
    tcase_add_test(tc, clients_beyond_room_are_served_and_not_counted);
    tcase_add_test(tc, a_control_burst_brings_nothing_and_learns);
    tcase_add_test(tc, a_burst_keeps_its_group_to_its_end);
    tcase_add_test(tc, a_random_share_of_bursts_is_control_and_the_saving_is_measured_against_it);
    tcase_add_test(tc, where_prefetching_makes_waits_longer_the_measured_saving_is_negative);
    return tc;
}

static TCase *lags_and_walking_case(void)
{
    TCase *tc = tcase_create("lags and walking");

    tcase_add_test(tc, the_lag_of_a_pair_moves_towards_each_new_one);
    tcase_add_test(tc, a_lag_comes_to_rest_near_the_median_and_follows_the_times);
    tcase_add_test(tc, a_lag_is_from_the_trigger_to_the_first_sight_in_its_window);
    tcase_add_test(tc, a_walk_shows_every_pair_the_proven_and_the_recent_first);
    return tc;
}

static TCase *time_and_settings_case(void)
{
    TCase *tc = tcase_create("time and settings");

    tcase_add_test(tc, the_due_time_is_that_of_the_oldest_window);
    tcase_add_test(tc, many_windows_due_at_once_close_in_several_calls);
    tcase_add_test(tc, a_window_that_closes_late_sees_no_more_than_one_in_time);
    tcase_add_test(tc, time_that_runs_backwards_stands_still);
    tcase_add_test(tc, new_settings_keep_what_was_learned);
    tcase_add_test(tc, the_seed_rules_set_all_back_to_2007);
    tcase_add_test(tc, keys_that_are_empty_or_too_long_are_left_alone);
    return tc;
}

static TCase *chance_case(void)
{
    TCase *tc = tcase_create("chance");

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, every_invariant_holds_after_every_step_of_chance, 0, 8);
    return tc;
}

static TCase *the_worst_that_clients_can_do_case(void)
{
    TCase *tc = tcase_create("the worst that clients can do");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, questions_upstream_stay_below_1_25_of_what_clients_cause_alone);
    tcase_add_test(tc, a_copy_that_always_expires_just_too_early_does_not_double_the_questions);
    return tc;
}

static TCase *memory_that_is_out_case(void)
{
    TCase *tc = tcase_create("memory that is out");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, any_allocation_may_fail);
    tcase_add_test(tc, all_allocations_may_fail_from_any_on);
    return tc;
}

static TCase *the_saved_table_case(void)
{
    TCase *tc = tcase_create("the saved table");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, what_was_learned_survives_a_restart);
    tcase_add_test(tc, an_empty_table_can_be_saved_and_read);
    tcase_add_test(tc, confidence_survives_a_restart);
    tcase_add_loop_test(tc, a_table_cut_anywhere_is_refused, 0, 2);
    tcase_add_loop_test(tc, a_table_with_any_bit_flipped_or_a_byte_added_is_refused, 0, 2);
    tcase_add_loop_test(tc, a_table_bent_with_a_right_checksum_breaks_nothing, 0, 2);
    tcase_add_test(tc, a_table_whose_trigger_had_16_windows_is_refused);
    tcase_add_test(tc, a_table_of_another_version_is_refused_by_that_name);
    tcase_add_test(tc, a_table_is_not_read_into_what_has_begun_to_learn);
    tcase_add_test(tc, a_table_is_not_read_twice);
    tcase_add_test(tc, a_table_too_large_for_memory_loses_the_least_recently_asked);
    return tc;
}

static TCase *the_rule_of_2007_on_real_page_loads_case(void)
{
    TCase *tc = tcase_create("the rule of 2007 on real page loads");

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, the_seed_rule_equals_its_reference_number_for_number, 0, 2);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("predict");
    SRunner *runner;
    int failed;

    suite_add_tcase(suite, the_rule_of_2007_case());
    suite_add_tcase(suite, what_the_words_leave_open_case());
    suite_add_tcase(suite, the_vote_case());
    suite_add_tcase(suite, what_became_of_prefetches_case());
    suite_add_tcase(suite, budget_and_bounds_of_prefetching_case());
    suite_add_tcase(suite, bounds_of_learning_case());
    suite_add_tcase(suite, bursts_and_waiting_case());
    suite_add_tcase(suite, lags_and_walking_case());
    suite_add_tcase(suite, time_and_settings_case());
    suite_add_tcase(suite, chance_case());
    suite_add_tcase(suite, the_worst_that_clients_can_do_case());
    suite_add_tcase(suite, memory_that_is_out_case());
    suite_add_tcase(suite, the_saved_table_case());
    suite_add_tcase(suite, the_rule_of_2007_on_real_page_loads_case());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
