/* budget.c: what prediction may cost: clients that train junk, and a search for the clients that
 * make it ask upstream most in vain. Knows the core by the replay world.
 *
 * The search. A habit is a short programme that clients go through again and again: who asks what,
 * how long after the step before, and in which rounds; with the settings of the predictor and with
 * what servers say to each name. It is run twice, with prediction and without, and what was asked
 * upstream is compared. From random habits the search climbs to worse ones, a change at a time.
 * DNSD_SEARCH=N in the environment tries N habits for each seed, not just a few, and shows the
 * worst. */
#include "tests/replay/world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS PREDICT_TOKENS_MAX /* what may be wasted before anything was earned */

static struct world *w;

static void start(bool predict)
{
    w = world_create();
    w->conf.predict = predict;
    w->conf.flight.once_ms = 2000;
    w->ttl_s = 0;
    world_start(w, 1);
}

static void setup(void)
{
    start(true);
}

static void teardown(void)
{
    world_free(w);
}

/* ---- junk ------------------------------------------------------------------------------------ */

#define TRIGGERS  30
#define FOLLOWERS 30

static void ask_number(unsigned client, char kind, unsigned trigger, unsigned follower)
{
    char name[32];
    snprintf(name, sizeof name, "%c%u-%u.example", kind, trigger, follower);
    world_ask(w, client, name, WIRE_TYPE_A);
}

/* Each trigger with all its followers. */
static void train(unsigned client)
{
    for (unsigned t = 0; t < TRIGGERS; t++) {
        ask_number(client, 't', t, 0);
        for (unsigned f = 0; f < FOLLOWERS; f++)
            ask_number(client, 'j', t, f);
        world_run_for(w, 2500);
    }
}

/* Triggers only, so that each of its prefetches is in vain. */
static void waste(unsigned client)
{
    for (unsigned t = 0; t < TRIGGERS; t++) {
        ask_number(client, 't', t, 0);
        world_run_for(w, 2500);
    }
}

static struct predict_counts counts(void)
{
    struct predict_counts n;
    predict_count(core_predict(w->core), &n);
    return n;
}

static uint64_t asked_upstream(void)
{
    struct flight_counts n;
    flight_count(core_flights(w->core), &n);
    return n.started + n.prefetched;
}

static void forget(void)
{
    world_run_for(w, 10000);
    world_forget(w);
}

START_TEST(junk_costs_no_more_than_the_budget)
{
    uint64_t asked = 0;
    w->unchecked = true;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 2; i++) {
            train(1);
            forget();
            asked += (uint64_t)TRIGGERS * (1 + FOLLOWERS);
        }
        for (int i = 0; i < 3; i++) {
            waste(1);
            forget();
            asked += TRIGGERS;
        }
        /* Nothing is cached, so what clients ask is what they would have asked upstream. */
        ck_assert_uint_le(asked_upstream(), asked + asked / 5 + TOKENS);
    }
    ck_assert_uint_gt(counts().unused, TOKENS); /* it did try */
}
END_TEST

/* What a visit of client 9 to each trigger and one name of its own sends. */
static uint64_t neighbour(void)
{
    uint64_t before = 0, sent = 0;
    for (unsigned t = 0; t < TRIGGERS; t++) {
        before = asked_upstream();
        ask_number(9, 't', t, 0);
        ask_number(9, 'o', t, 0);
        sent += asked_upstream() - before;
        world_run_for(w, 2500);
    }
    return sent;
}

START_TEST(junk_of_one_client_costs_another_nothing)
{
    w->unchecked = true;
    for (int round = 0; round < 5; round++) {
        train(1);
        forget();
        ck_assert_uint_eq(neighbour(), (uint64_t)TRIGGERS * 2);
        train(1);
        forget();
    }
    ck_assert_uint_gt(counts().prefetches, 0);
}
END_TEST

START_TEST(junk_of_clients_in_league_is_paid_from_the_budget)
{
    uint64_t asked = 0, extra = 0;
    w->unchecked = true;
    for (int round = 0; round < 5; round++) {
        for (unsigned client = 1; client <= 3; client++) {
            train(client);
            forget();
            asked += (uint64_t)TRIGGERS * (1 + FOLLOWERS);
        }
        extra += neighbour() - (uint64_t)TRIGGERS * 2;
        asked += (uint64_t)TRIGGERS * 2;
        forget();
        ck_assert_uint_le(asked_upstream(), asked + asked / 5 + TOKENS);
    }
    ck_assert_uint_le(extra, asked / 5 + TOKENS);
}
END_TEST

/* A client asks for a page of its own. Returns how much of it was there by then. */
static uint64_t visit_page(unsigned client)
{
    uint64_t before = counts().used;
    ask_number(client, 'p', 0, 0);
    world_run_for(w, 50);
    for (unsigned f = 1; f <= FOLLOWERS; f++)
        ask_number(client, 'p', 0, f);
    world_run_for(w, 20000);
    return counts().used - before;
}

START_TEST(who_wastes_leaves_tokens_for_others)
{
    w->unchecked = true;
    for (int i = 0; i < 3; i++)
        visit_page(9);
    ck_assert_uint_eq(visit_page(9), FOLLOWERS);
    for (int i = 0; i < 2; i++) {
        train(1);
        forget();
    }
    for (unsigned t = 0; t < TRIGGERS; t++) { /* each brings in junk, and another is there too */
        ask_number(9, 'o', t, 0);
        ask_number(1, 't', t, 0);
        world_run_for(w, 2500);
    }
    ck_assert_uint_gt(counts().shed, TOKENS);
    ck_assert_uint_ge(counts().unused, TOKENS / 2 - FOLLOWERS);
    ck_assert_uint_eq(visit_page(9), FOLLOWERS);
}
END_TEST

/* ---- the search ------------------------------------------------------------------------------ */

#define STEPS_MAX 24
#define NAMES     16
#define REQUESTS  2000

enum says { SAYS_ADDRESS, SAYS_TRUNCATED, SAYS_SERVFAIL, SAYS_BOTH, SAYS_NO_SOA, SAYS_NOTHING };

struct step {
    uint32_t wait_ms; /* before it */
    uint8_t client, name, every, phase;
};

struct habit {
    struct step steps[STEPS_MAX];
    unsigned n_steps;
    uint32_t ttl_s[NAMES];
    enum says says[NAMES];
    uint64_t rtt_ms, window_ms, once_ms, stale_ms;
    unsigned share, confidence_percent;
    enum predict_scope scope;
};

static uint32_t chance(uint64_t *state, uint32_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)((*state >> 16) % below);
}

#define ONE_OF(state, list) ((list)[chance(state, (uint32_t)(sizeof(list) / sizeof *(list)))])

static void change_step(struct step *s, uint64_t *state)
{
    static const uint32_t waits_ms[] = {0, 0, 0, 1, 20, 39, 41, 100, 400, 900, 999, 1001, 1500,
        1960, 1999, 2001, 2500, 5000, 15000, 60000};
    s->wait_ms = ONE_OF(state, waits_ms);
    s->client = (uint8_t)(1 + chance(state, 4));
    s->name = (uint8_t)chance(state, NAMES);
    s->every = (uint8_t)(1 + chance(state, 5));
    s->phase = (uint8_t)chance(state, s->every);
}

static void change_name(struct habit *h, unsigned name, uint64_t *state)
{
    static const uint32_t ttls_s[] = {0, 0, 1, 2, 3, 5, 10, 60};
    static const enum says all[] = {SAYS_ADDRESS, SAYS_ADDRESS, SAYS_ADDRESS, SAYS_ADDRESS,
        SAYS_ADDRESS, SAYS_ADDRESS, SAYS_TRUNCATED, SAYS_SERVFAIL, SAYS_BOTH, SAYS_NO_SOA,
        SAYS_NOTHING};
    h->ttl_s[name] = ONE_OF(state, ttls_s);
    h->says[name] = ONE_OF(state, all);
}

static void change_settings(struct habit *h, uint64_t *state)
{
    static const uint64_t rtts_ms[] = {1, 40, 300}, windows_ms[] = {500, 2000, 4000, 15000};
    static const unsigned confidences[] = {0, 60, 80};
    h->rtt_ms = ONE_OF(state, rtts_ms);
    h->window_ms = ONE_OF(state, windows_ms);
    h->once_ms = chance(state, 4) == 0 ? 0 : h->window_ms < 2000 ? h->window_ms : 2000;
    h->stale_ms = chance(state, 2) == 0 ? 0 : 86400000;
    h->share = 1 + chance(state, 2);
    h->confidence_percent = ONE_OF(state, confidences);
    h->scope = chance(state, 3) == 0 ? PREDICT_SCOPE_GLOBAL : PREDICT_SCOPE_CLIENT;
}

static void change(struct habit *h, uint64_t *state)
{
    unsigned some = chance(state, h->n_steps);
    switch (chance(state, 10)) {
    case 0:
        change_settings(h, state);
        break;
    case 1:
        change_name(h, chance(state, NAMES), state);
        break;
    case 2:
        if (h->n_steps < STEPS_MAX)
            change_step(&h->steps[h->n_steps++], state);
        break;
    case 3:
        if (h->n_steps > 2)
            h->steps[some] = h->steps[--h->n_steps];
        break;
    case 4: /* a step again, as the next one */
        if (h->n_steps < STEPS_MAX)
            h->steps[h->n_steps++] = h->steps[some];
        break;
    default:
        change_step(&h->steps[some], state);
    }
}

static void invent(struct habit *h, uint64_t *state)
{
    memset(h, 0, sizeof *h);
    h->n_steps = 2 + chance(state, STEPS_MAX - 2);
    for (unsigned i = 0; i < h->n_steps; i++)
        change_step(&h->steps[i], state);
    for (unsigned i = 0; i < NAMES; i++)
        change_name(h, i, state);
    change_settings(h, state);
}

static void says_truncated(struct sent *s)
{
    uint8_t out[WIRE_MESSAGE_MAX];
    if (s->transport == UPSTREAM_TCP)
        world_answer(s);
    else
        world_plan(s, s->w->rtt_ms, UPSTREAM_REPLY, out, world_reply_start(s, WIRE_TC, out));
}

static void by_habit(struct world *world, struct sent *s, void *ctx)
{
    const struct habit *h = ctx;
    unsigned name = (unsigned)(s->name[0] - 'a');
    world->ttl_s = h->ttl_s[name];
    switch (h->says[name]) {
    case SAYS_ADDRESS:
        world_answer(s);
        break;
    case SAYS_TRUNCATED:
        says_truncated(s);
        break;
    case SAYS_SERVFAIL:
        world_answer_rcode(s, WIRE_SERVFAIL);
        break;
    case SAYS_BOTH:
        if (world->now_ms / 7000 % 2 == 0)
            world_answer(s);
        else
            world_answer_rcode(s, WIRE_SERVFAIL);
        break;
    case SAYS_NO_SOA:
        world_answer_rcode(s, WIRE_NXDOMAIN);
        break;
    case SAYS_NOTHING:
        break;
    }
}

/* What went upstream. */
struct cost {
    uint64_t questions, messages;
};

static void follow_habit(const struct habit *h)
{
    unsigned n = 0;
    for (unsigned round = 0; n < REQUESTS && round < 20 * REQUESTS; round++) {
        for (unsigned i = 0; i < h->n_steps && n < REQUESTS; i++) {
            const struct step *s = &h->steps[i];
            char name[] = "a.example";
            world_run_for(w, s->wait_ms);
            if (round % s->every != s->phase)
                continue;
            name[0] = (char)('a' + s->name);
            world_ask(w, s->client, name, WIRE_TYPE_A);
            n++;
        }
    }
    world_run_for(w, 10000);
}

static struct cost cost_of(struct habit *h, bool predict)
{
    struct flight_counts n;
    w = world_create();
    w->unchecked = true;
    w->rtt_ms = h->rtt_ms;
    w->server = by_habit;
    w->server_ctx = h;
    w->conf.predict = predict;
    w->conf.flight.once_ms = h->once_ms;
    w->conf.flight.stale_ms = h->stale_ms;
    w->conf.prediction.window_ms = h->window_ms;
    w->conf.prediction.share = h->share;
    w->conf.prediction.scope = h->scope;
    w->conf.prediction.confidence_percent = h->confidence_percent;
    world_start(w, 1);
    follow_habit(h);
    const char *broken = core_check(w->core);
    ck_assert_msg(broken == NULL, "%s", broken);
    flight_count(core_flights(w->core), &n);
    world_free(w);
    return (struct cost){n.started + n.prefetched, n.udp_sent + n.tcp_sent};
}

struct verdict {
    struct cost alone, predicted;
    double extra; /* share of questions that prediction added, beyond the first tokens */
};

static struct verdict judge(struct habit *h)
{
    struct verdict v = {.alone = cost_of(h, false), .predicted = cost_of(h, true)};
    v.extra = ((double)v.predicted.questions - (double)v.alone.questions - TOKENS) /
              (double)v.alone.questions;
    return v;
}

/* Five quarters of what clients alone would have caused, after the first tokens. A truncated
 * answer is two messages. */
static void holds(const struct verdict *v, uint64_t seed, unsigned i)
{
    ck_assert_msg(v->predicted.questions <= v->alone.questions * 5 / 4 + TOKENS,
        "seed %u, habit %u: %u questions, %u alone", (unsigned)seed, i,
        (unsigned)v->predicted.questions, (unsigned)v->alone.questions);
    ck_assert_msg(v->predicted.messages <= v->alone.messages * 5 / 4 + 2 * TOKENS,
        "seed %u, habit %u: %u messages, %u alone", (unsigned)seed, i,
        (unsigned)v->predicted.messages, (unsigned)v->alone.messages);
}

static void show(const struct verdict *v, uint64_t seed, unsigned n)
{
    printf("seed %u, %u habits: worst is %u questions for %u alone (%+.1f %%; %+.1f %% beyond the "
           "first %d), %u messages for %u\n",
        (unsigned)seed, n, (unsigned)v->predicted.questions, (unsigned)v->alone.questions,
        100.0 * (double)v->predicted.questions / (double)v->alone.questions - 100, 100 * v->extra,
        TOKENS, (unsigned)v->predicted.messages, (unsigned)v->alone.messages);
}

static void show_habit(const struct habit *h)
{
    printf("  rtt %u window %u once %u stale %u share %u confidence %u scope %d\n",
        (unsigned)h->rtt_ms, (unsigned)h->window_ms, (unsigned)h->once_ms, (unsigned)h->stale_ms,
        h->share, h->confidence_percent, (int)h->scope);
    for (unsigned i = 0; i < h->n_steps; i++) {
        const struct step *s = &h->steps[i];
        printf("  +%u ms client %u asks %c (TTL %u, says %d) in round %u of %u\n", s->wait_ms,
            s->client, 'a' + s->name, h->ttl_s[s->name], (int)h->says[s->name], s->phase, s->every);
    }
}

/* A prefetch lands a round trip before the client's own answer would have, and expires as much
 * earlier. Who asks in between would have joined the one or been served by the other. */
START_TEST(what_a_prefetch_moves_ahead_is_paid_for)
{
    static const struct {
        uint32_t ttl_s, first_ms, second_ms;
    } ways[] = {
        {0, 400, 500},  /* landed at 300 for the first, whose own would land at 700 */
        {0, 100, 350},  /* joined by the first, whose own would land at 400 */
        {1, 400, 1600}, /* fresh until 1300, the first one's own until 1700 */
        {1, 1200, 1450},
        {1, 100, 1350},
    };
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct habit h = {
            .steps = {{.wait_ms = 20000, .client = 1, .name = 0, .every = 1},
                {.wait_ms = ways[i].first_ms, .client = 1, .name = 1, .every = 1},
                {.wait_ms = ways[i].second_ms - ways[i].first_ms,
                    .client = 2,
                    .name = 1,
                    .every = 1}},
            .n_steps = 3,
            .ttl_s = {0, ways[i].ttl_s},
            .rtt_ms = 300,
            .window_ms = 2000,
            .once_ms = 2000,
            .share = 2,
        };
        struct verdict v = judge(&h);
        holds(&v, 0, i);
        ck_assert_msg(v.extra < 0.21, "way %u costs %.3f", i, v.extra);
    }
}
END_TEST

/* Climbs from a random habit; where nothing gets worse for a while, from another one. */
static void search(uint64_t seed, unsigned n)
{
    uint64_t state = seed * 0x9e3779b97f4a7c15;
    struct habit at, tried, worst_habit = {0};
    struct verdict here = {0}, worst = {.extra = -1e9};
    unsigned in_vain = 40;
    for (unsigned i = 0; i < n; i++) {
        bool afresh = in_vain >= 40;
        if (afresh)
            invent(&tried, &state);
        else
            tried = at;
        for (uint32_t changes = afresh ? 0 : 1 + chance(&state, 3); changes > 0; changes--)
            change(&tried, &state);
        struct verdict v = judge(&tried);
        holds(&v, seed, i);
        in_vain = afresh || v.extra > here.extra ? 0 : in_vain + 1;
        if (in_vain == 0) {
            at = tried;
            here = v;
        }
        if (v.extra > worst.extra) {
            worst = v;
            worst_habit = tried;
        }
    }
    if (getenv("DNSD_SEARCH") != NULL) {
        show(&worst, seed, n);
        show_habit(&worst_habit);
    }
}

START_TEST(no_habit_costs_more_than_a_quarter)
{
    const char *n = getenv("DNSD_SEARCH");
    search((uint64_t)_i, n != NULL ? (unsigned)strtoul(n, NULL, 10) : 12);
}
END_TEST

/* ---- all of them ----------------------------------------------------------------------------- */

int main(void)
{
    Suite *s = suite_create("replay/budget");
    TCase *junk = tcase_create("junk");
    tcase_add_checked_fixture(junk, setup, teardown);
    tcase_add_test(junk, junk_costs_no_more_than_the_budget);
    tcase_add_test(junk, junk_of_one_client_costs_another_nothing);
    tcase_add_test(junk, who_wastes_leaves_tokens_for_others);
    tcase_add_test(junk, junk_of_clients_in_league_is_paid_from_the_budget);
    suite_add_tcase(s, junk);
    TCase *habits = tcase_create("habits");
    tcase_add_test(habits, what_a_prefetch_moves_ahead_is_paid_for);
    tcase_add_loop_test(habits, no_habit_costs_more_than_a_quarter, 1, 5);
    suite_add_tcase(s, habits);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
