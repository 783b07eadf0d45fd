/* predict.c: the life of a prefetch, through the whole core on virtual time: what it saves, whom it
 * serves, what it may cost, and what must not come of it. Knows the core by the replay world. */
#include "tests/replay/world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN 6

static struct world *w;

/* With the default rules, but windows of 2 s; one server, and answers with TTL 0 after 40 ms. */
static void setup(void)
{
    w = world_create();
    w->conf.predict = true;
    w->conf.prediction.window_ms = 2000;
    w->conf.flight.once_ms = 2000;
    w->ttl_s = 0;
    world_start(w, 1);
}

static void teardown(void)
{
    world_free(w);
}

static void restart(void)
{
    teardown();
    setup();
}

/* The world as it is, with other settings from now on. */
static void reconfigure(void)
{
    ck_assert_int_eq(core_reconfigure(w->core, &w->conf), 0);
}

static void use_seed_rules(void)
{
    predict_conf_seed(&w->conf.prediction);
    reconfigure();
}

/* ---- asking ---------------------------------------------------------------------------------- */

static struct asked *ask_type(unsigned client, const char *name, uint16_t type)
{
    struct asked *a = world_ask(w, client, name, type);
    while (!a->answered)
        world_run_for(w, 1);
    return a;
}

static struct asked *ask(unsigned client, const char *name)
{
    return ask_type(client, name, WIRE_TYPE_A);
}

/* The client asks first, and second 50 ms after it has the answer; then all is quiet until windows
 * have closed and what was held has expired. */
static void visit(unsigned client, const char *first, const char *second)
{
    ask(client, first);
    world_run_for(w, 50);
    ask(client, second);
    world_run_for(w, 5000);
}

static void learn(unsigned client)
{
    visit(client, "a.example", "b.example");
    visit(client, "a.example", "b.example");
}

static size_t sent_b(void)
{
    return sent_count(w, "b.example", WIRE_TYPE_A);
}

static struct predict_counts counts(void)
{
    struct predict_counts n;
    predict_count(core_predict(w->core), &n);
    return n;
}

static size_t key_of(const char *name, uint16_t type, uint8_t key[WIRE_KEY_MAX])
{
    uint8_t wire[WIRE_NAME_MAX];
    struct wire_question q = {
        .name = wire, .name_len = world_name(name, wire), .type = type, .class = WIRE_CLASS_IN};
    return wire_key_write(&q, 0, key);
}

static unsigned score(const char *trigger, const char *follower)
{
    uint8_t from[WIRE_KEY_MAX], to[WIRE_KEY_MAX];
    size_t from_len = key_of(trigger, WIRE_TYPE_A, from);
    size_t to_len = key_of(follower, WIRE_TYPE_A, to);
    return predict_score(core_predict(w->core), from, from_len, to, to_len);
}

/* ---- what it saves --------------------------------------------------------------------------- */

/* A chain: each name is asked for when the one before has its answer. */
static uint64_t walk_chain(unsigned client)
{
    uint64_t started_ms = w->now_ms;
    for (char name[] = "0.chain.example"; name[0] < '0' + CHAIN; name[0]++)
        ask(client, name);
    return w->now_ms - started_ms;
}

/* Visit 1 is six round trips of 40 ms, visits 3 to 5 are one. Nothing is asked in vain. By the rule
 * of 2007 visit 2 is as visit 1. */
static void five_visits(uint32_t ttl_s, uint64_t pause_ms, uint64_t second_ms)
{
    uint64_t expected_ms[] = {240, second_ms, 40, 40, 40};
    w->ttl_s = ttl_s;
    for (size_t i = 0; i < 5; i++) {
        uint64_t took_ms = walk_chain(1);
        ck_assert_msg(took_ms == expected_ms[i], "visit %zu took %u ms", i + 1, (unsigned)took_ms);
        ck_assert_uint_eq(w->n_sent, CHAIN * (i + 1));
        world_run_for(w, pause_ms);
    }
    ck_assert_uint_ge(counts().used, 15);
    ck_assert_uint_eq(counts().unused, 0);
}

static void five_visits_by_the_seed_rules(uint32_t ttl_s, uint64_t pause_ms)
{
    restart();
    use_seed_rules();
    five_visits(ttl_s, pause_ms, 240);
}

static void five_visits_by_default(
    uint64_t window_ms, uint32_t ttl_s, uint64_t pause_ms, uint64_t second_ms)
{
    restart();
    w->conf.prediction.window_ms = window_ms;
    reconfigure();
    five_visits(ttl_s, pause_ms, second_ms);
}

START_TEST(chain_of_six_by_the_seed_rules)
{
    five_visits_by_the_seed_rules(0, 2000);
    five_visits_by_the_seed_rules(0, 60000);
    five_visits_by_the_seed_rules(1, 2000);
    five_visits_by_the_seed_rules(60, 61000);
}
END_TEST

START_TEST(chain_of_six_by_the_default_rules)
{
    five_visits_by_default(2000, 0, 2000, 40);
    five_visits_by_default(2000, 0, 60000, 40);
    five_visits_by_default(2000, 1, 2000, 40);
    five_visits_by_default(2000, 60, 61000, 40);
}
END_TEST

/* Visits that follow each other long before their windows would close. */
START_TEST(chain_of_six_with_the_default_window)
{
    five_visits_by_default(15000, 0, 2000, 80);
    five_visits_by_default(15000, 1, 2000, 80);
    five_visits_by_default(15000, 0, 20000, 40);
    five_visits_by_default(15000, 60, 61000, 40);
}
END_TEST

START_TEST(a_prefetch_leaves_with_the_question_that_led_to_it)
{
    w->ttl_s = 1;
    learn(1);
    size_t sent = w->n_sent;
    ask(1, "a.example");
    ck_assert_uint_eq(w->n_sent, sent + 2);
    ck_assert_str_eq(w->sent[sent]->name, "a.example"); /* first what somebody waits for */
    ck_assert_str_eq(w->sent[sent + 1]->name, "b.example");
    ck_assert_uint_eq(w->sent[sent]->sent_ms, w->sent[sent + 1]->sent_ms);
    world_run_for(w, 50);
    struct asked *b = ask(1, "b.example");
    ck_assert_uint_eq(asked_took(b), 0);
    ck_assert_int_eq(b->end.source, QUERY_CACHE);
    ck_assert_uint_eq(counts().used, 2); /* with that of the second visit */
    ck_assert_uint_eq(counts().saved_ms, 80);
}
END_TEST

START_TEST(a_hit_leads_to_prefetches_too)
{
    w->ttl_s = 60;
    visit(1, "a.example", "b.example");
    world_run_for(w, 60000);
    visit(1, "a.example", "b.example");
    world_run_for(w, 56000); /* both have expired; somebody else fetches a anew */
    ask(2, "a.example");
    world_run_for(w, 1000);
    size_t sent = w->n_sent;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    ck_assert_uint_eq(asked_took(a), 0);
    ck_assert_uint_eq(w->n_sent, sent + 1);
    ck_assert_str_eq(w->sent[sent]->name, "b.example");
    world_run_for(w, 50);
}
END_TEST

static void b_is_slow(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    world_answer_after(s, strcmp(s->name, "b.example") == 0 ? 250 : 40);
}

START_TEST(a_client_joins_a_prefetch_under_way)
{
    learn(1);
    w->server = b_is_slow;
    size_t sent = sent_b();
    ask(1, "a.example");
    struct asked *b = ask(1, "b.example");
    ck_assert_uint_eq(asked_took(b), 210);
    ck_assert_uint_eq(sent_b(), sent + 1);
    ck_assert_uint_eq(counts().used_late, 1);
    ck_assert_uint_eq(counts().saved_ms, 40 + 40);
    ck_assert_int_eq(b->end.source, QUERY_UPSTREAM);
}
END_TEST

static void only_second_b(struct world *world, struct sent *s, void *ctx)
{
    size_t *n = ctx;
    (void)world;
    if (strcmp(s->name, "b.example") != 0 || (*n)++ > 0)
        world_answer(s);
}

START_TEST(a_prefetch_that_somebody_joins_is_asked_again)
{
    size_t n = 0;
    learn(1);
    w->server = only_second_b;
    w->server_ctx = &n;
    size_t sent = sent_b();
    ask(1, "a.example");
    world_run_for(w, 1000); /* silence: a prefetch is one message */
    ck_assert_uint_eq(sent_b(), sent + 1);
    struct asked *b = ask(1, "b.example");
    ck_assert_uint_eq(sent_b(), sent + 2);
    ck_assert_uint_eq(asked_took(b), 40);
    ck_assert_uint_eq(asked_rcode(b), WIRE_NOERROR);
}
END_TEST

START_TEST(a_prefetch_that_lands_in_the_turn_of_its_question_is_used)
{
    learn(1);
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    w->now_ms += 40;
    world_begin(w);
    struct asked *b = world_ask_more(w, 1, "b.example", WIRE_TYPE_A);
    world_deliver(w);
    world_end(w);
    ck_assert_uint_eq(asked_took(b), 0);
    ck_assert_uint_eq(counts().prefetches, 2);
    ck_assert_uint_eq(counts().used_late, 1);
    ck_assert_uint_eq(counts().unused, 0);
}
END_TEST

/* ---- TTL 0 ----------------------------------------------------------------------------------- */

/* b.example is fetched ahead and lands 40 ms from now. */
static void prefetch_b(void)
{
    size_t sent = sent_b();
    learn(1);
    sent = sent_b();
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    ck_assert_uint_eq(sent_b(), sent + 1);
}

START_TEST(ttl_0_serves_one_client)
{
    prefetch_b();
    size_t sent = sent_b();
    world_run_for(w, 100);
    struct asked *first = world_ask(w, 1, "b.example", WIRE_TYPE_A);
    struct asked *second = world_ask(w, 2, "b.example", WIRE_TYPE_A);
    ck_assert_uint_eq(asked_took(first), 0);
    ck_assert_uint_eq(asked_ttl(first), 0);
    ck_assert(!second->answered);
    ck_assert_uint_eq(sent_b(), sent + 1);
    world_run_for(w, 50);
    ck_assert_uint_eq(asked_took(second), 40);
}
END_TEST

/* a, then b and c in one turn of the loop. */
static void visit_three(unsigned client)
{
    ask(client, "a.example");
    world_run_for(w, 50);
    world_begin(w);
    world_ask_more(w, client, "b.example", WIRE_TYPE_A);
    world_ask_more(w, client, "c.example", WIRE_TYPE_A);
    world_end(w);
    world_run_for(w, 5000);
}

START_TEST(what_one_turn_uses_up_is_not_fetched_again)
{
    for (int i = 0; i < 4; i++)
        visit_three(1);
    ck_assert_uint_eq(sent_b(), 4);
    ck_assert_uint_eq(sent_count(w, "c.example", WIRE_TYPE_A), 4);
    ck_assert_uint_eq(counts().used, 6); /* each from the second visit on */
    ck_assert_uint_eq(counts().unused, 0);
}
END_TEST

START_TEST(ttl_0_serves_all_who_wait_and_nobody_after)
{
    prefetch_b();
    size_t sent = sent_b();
    world_run_for(w, 20);
    struct asked *first = world_ask(w, 1, "b.example", WIRE_TYPE_A);
    struct asked *second = world_ask(w, 2, "b.example", WIRE_TYPE_A);
    world_run_for(w, 20);
    ck_assert_uint_eq(asked_took(first), 20);
    ck_assert_uint_eq(asked_took(second), 20);
    ck_assert_uint_eq(sent_b(), sent);
    ask(3, "b.example");
    ck_assert_uint_eq(sent_b(), sent + 1);
}
END_TEST

START_TEST(ttl_0_is_held_for_the_window)
{
    for (unsigned late = 0; late < 2; late++) {
        restart();
        prefetch_b();
        size_t sent = sent_b();
        world_run_for(w, 40 + 1999 + late);
        struct asked *b = ask(1, "b.example");
        ck_assert_uint_eq(asked_took(b), late ? 40 : 0);
        ck_assert_uint_eq(sent_b(), sent + late);
    }
}
END_TEST

START_TEST(ttl_0_of_an_ordinary_question_is_not_held)
{
    learn(1);
    size_t sent = sent_b();
    ask(1, "b.example");
    ask(1, "b.example");
    ck_assert_uint_eq(sent_b(), sent + 2);
}
END_TEST

START_TEST(ttl_0_strict_holds_nothing)
{
    w->conf.flight.once_ms = 0;
    reconfigure();
    prefetch_b();
    size_t sent = sent_b();
    world_run_for(w, 50);
    struct asked *b = ask(1, "b.example");
    ck_assert_uint_eq(asked_took(b), 40);
    ck_assert_uint_eq(sent_b(), sent + 1);
}
END_TEST

/* ---- whom it serves -------------------------------------------------------------------------- */

static void ask_from(const char *address, const char *name)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 1, CLIENT_UDP);
    ck_assert_int_eq(addr_parse(address, 10000, &c.peer), 0);
    size_t len = world_question(msg, 1, name, WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, 1232, false);
    world_begin(w);
    struct asked *a = world_ask_raw(w, &c, msg, len);
    world_end(w);
    while (!a->answered)
        world_run_for(w, 1);
}

static void visit_from(const char *address)
{
    ask_from(address, "a.example");
    world_run_for(w, 50);
    ask_from(address, "b.example");
    world_run_for(w, 5000);
}

/* Two addresses of one network are no two clients who have shown it, and no strangers either. */
START_TEST(addresses_of_one_slash_64_are_one_client)
{
    visit_from("fd00:1:2:3::1");
    visit_from("fd00:1:2:3:ffff::2");
    size_t sent = sent_b();
    ask_from("fd00:1:2:4::1", "a.example");
    world_run_for(w, 5000);
    ck_assert_uint_eq(sent_b(), sent);
    ask_from("fd00:1:2:3:aaaa:bbbb:cccc:3", "a.example");
    world_run_for(w, 5000);
    ck_assert_uint_eq(sent_b(), sent + 1);
}
END_TEST

START_TEST(what_one_client_showed_serves_nobody_else)
{
    learn(1);
    learn(1);
    size_t sent = sent_b();
    ask(2, "a.example"); /* sees no prefetch, and shows nothing */
    world_run_for(w, 5000);
    ck_assert_uint_eq(sent_b(), sent);
    visit(2, "a.example", "b.example"); /* shows it */
    ck_assert_uint_eq(sent_b(), sent + 1);
    ask(2, "a.example");
    world_run_for(w, 5000);
    ck_assert_uint_eq(sent_b(), sent + 2);
    visit(1, "a.example", "b.example"); /* and so that it is not forgotten */
    sent = sent_b();
    ask(3, "a.example"); /* two have shown it: it serves all */
    world_run_for(w, 5000);
    ck_assert_uint_eq(sent_b(), sent + 1);
}
END_TEST

START_TEST(share_of_one_serves_everybody)
{
    w->conf.prediction.share = 1;
    reconfigure();
    learn(1);
    size_t sent = sent_b();
    ask(2, "a.example");
    ck_assert_uint_eq(sent_b(), sent + 1);
    ck_assert_uint_eq(asked_took(ask(2, "b.example")), 0);
}
END_TEST

/* Twenty clients, each with a page of two names of its own, in another order each time. */
static struct predict_counts interleave(enum predict_scope scope)
{
    unsigned order[20];
    uint32_t chance = 1;
    restart();
    w->conf.prediction.scope = scope;
    w->conf.prediction.share = 1;
    w->conf.prediction.confidence_percent = 0;
    w->conf.prediction.budget_percent = 0;
    reconfigure();
    for (unsigned i = 0; i < 20; i++)
        order[i] = i;
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 19; i > 0; i--) {
            chance = chance * 1664525 + 1013904223;
            unsigned other = (chance >> 16) % (i + 1), swapped = order[i];
            order[i] = order[other];
            order[other] = swapped;
        }
        for (unsigned i = 0; i < 20; i++) {
            char first[] = "a.a.example", second[] = "a.b.example";
            first[0] = second[0] = (char)('a' + order[i]);
            ask(order[i] + 1, first);
            world_run_for(w, 50);
            ask(order[i] + 1, second);
        }
        world_run_for(w, 5000);
    }
    return counts();
}

START_TEST(twenty_clients_do_not_mix_in_scope_client)
{
    struct predict_counts own = interleave(PREDICT_SCOPE_CLIENT);
    ck_assert_uint_eq(own.pairs, 20);
    ck_assert_uint_eq(own.prefetches, 9 * 20); /* from the second visit on */
    ck_assert_uint_eq(own.used, 9 * 20);
    struct predict_counts mixed = interleave(PREDICT_SCOPE_GLOBAL);
    ck_assert_uint_gt(mixed.pairs, 20 * 20);
    ck_assert_uint_gt(3 * mixed.unused, mixed.prefetches);
    ck_assert_uint_gt(mixed.used, 0);
}
END_TEST

/* ---- what is not learned, not subtracted, not fetched ---------------------------------------- */

START_TEST(a_copy_that_is_fresh_hides_the_follower)
{
    for (int seed_rules = 0; seed_rules < 2; seed_rules++) {
        restart();
        if (seed_rules)
            use_seed_rules();
        w->ttl_s = 60;
        visit(1, "a.example", "b.example");
        world_run_for(w, 60000);
        visit(1, "a.example", "b.example");
        ck_assert_uint_eq(score("a.example", "b.example"), 2);
        ask(1, "a.example"); /* the client has b from just now */
        world_run_for(w, 5000);
        ck_assert_uint_eq(score("a.example", "b.example"), seed_rules ? 1 : 2);
        world_run_for(w, 60000);
        ask(1, "a.example"); /* now it has not, and leaves it */
        world_run_for(w, 5000);
        ck_assert_uint_eq(score("a.example", "b.example"), seed_rules ? 0 : 1);
    }
}
END_TEST

START_TEST(a_dependency_that_ended_is_fetched_no_more)
{
    learn(1);
    ck_assert_uint_eq(score("a.example", "b.example"), 2);
    ask(1, "a.example"); /* and not b: seen in two windows of three */
    world_run_for(w, 5000);
    ck_assert_uint_eq(score("a.example", "b.example"), 1);
    size_t sent = sent_b();
    ask(1, "a.example");
    ck_assert_uint_eq(sent_b(), sent);
}
END_TEST

START_TEST(retransmissions_are_not_requests)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 1, CLIENT_UDP);
    size_t len = world_question(
        msg, 7, "a.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, WIRE_UDP_MAX, false);
    for (int i = 0; i < 5; i++) {
        world_begin(w);
        ck_assert(world_ask_raw(w, &c, msg, len)->dropped == (i > 0));
        world_end(w);
        world_run_for(w, 5);
    }
    ck_assert_uint_eq(counts().requests, 1);
    world_run_for(w, 100);
}
END_TEST

START_TEST(what_is_answered_here_is_no_request)
{
    world_poison(w, "router.lan A 192.168.1.1\nold.example CNAME new.example.\n");
    ask(1, "router.lan");
    ask(1, "old.example");
    ask(1, "localhost");
    ask_type(1, "a.example", WIRE_TYPE_ANY);
    ask_type(1, "a.example", WIRE_TYPE_AXFR);
    ck_assert_uint_eq(counts().requests, 0);
    ask(1, "a.example");
    ck_assert_uint_eq(counts().requests, 1);
}
END_TEST

START_TEST(only_types_that_programs_connect_by_are_prefetched)
{
    static const struct {
        uint16_t type;
        bool fetched;
    } types[] = {{WIRE_TYPE_A, true}, {WIRE_TYPE_AAAA, true}, {WIRE_TYPE_HTTPS, true},
        {WIRE_TYPE_SVCB, true}, {WIRE_TYPE_SRV, true}, {WIRE_TYPE_MX, true}, {WIRE_TYPE_TXT, true},
        {WIRE_TYPE_PTR, true}, {WIRE_TYPE_NS, false}, {WIRE_TYPE_CNAME, false},
        {WIRE_TYPE_SOA, false}, {WIRE_TYPE_DS, false}, {WIRE_TYPE_ANY, false}, {65280, false}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        restart();
        w->ttl_s = 1;
        for (int visits = 0; visits < 3; visits++) {
            ask(1, "a.example");
            world_run_for(w, 50);
            ask_type(1, "b.example", types[i].type);
            world_run_for(w, 5000);
        }
        size_t sent = sent_count(w, "b.example", types[i].type);
        ask(1, "a.example");
        ck_assert_msg(
            sent_count(w, "b.example", types[i].type) == sent + (types[i].fetched ? 1 : 0),
            "type %u", types[i].type);
        world_run_for(w, 5000);
    }
}
END_TEST

/* With DO and CD as given: the client's question, twice as the follower of a.example. */
static void learn_flags(uint16_t flags, bool dnssec_ok)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 1, CLIENT_UDP);
    for (uint16_t id = 1; id < 3; id++) {
        ask(1, "a.example");
        world_begin(w);
        world_ask_raw(w, &c, msg,
            world_question(msg, id, "b.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD | flags,
                WIRE_UDP_MAX, dnssec_ok));
        world_end(w);
        world_run_for(w, 5000);
    }
}

START_TEST(a_prefetch_has_the_flags_of_the_clients_question)
{
    for (unsigned i = 0; i < 4; i++) {
        restart();
        learn_flags(i & 1 ? WIRE_CD : 0, i & 2);
        size_t sent = w->n_sent;
        ask(1, "a.example");
        ck_assert_uint_eq(w->n_sent, sent + 2);
        const struct sent *b = w->sent[sent + 1];
        ck_assert_str_eq(b->name, "b.example");
        ck_assert(((b->flags & WIRE_CD) != 0) == ((i & 1) != 0));
        ck_assert(b->dnssec_ok == ((i & 2) != 0));
    }
}
END_TEST

START_TEST(a_prefetch_leads_to_no_other)
{
    for (unsigned i = 0; i < 3; i++) { /* b in the window of a, c in that of b only */
        ask(1, "a.example");
        world_run_for(w, 1500);
        ask(1, "b.example");
        world_run_for(w, 1500);
        ask(1, "c.example");
        world_run_for(w, 5000);
    }
    ck_assert_uint_ge(score("b.example", "c.example"), 2);
    ck_assert_uint_eq(score("a.example", "c.example"), 0);
    size_t b = sent_b(), c = sent_count(w, "c.example", WIRE_TYPE_A);
    ask(1, "a.example");
    world_run_for(w, 5000);
    ck_assert_uint_eq(sent_b(), b + 1);
    ck_assert_uint_eq(sent_count(w, "c.example", WIRE_TYPE_A), c);
}
END_TEST

START_TEST(what_is_overridden_since_is_not_prefetched)
{
    static const char *const rules[] = {"b.example A 192.0.2.9\n", ".example nxdomain\n",
        "b.example drop\n", "b.example CNAME c.example.\n"};
    for (size_t i = 0; i < 4; i++) {
        restart();
        learn(1);
        world_poison(w, rules[i]);
        size_t sent = sent_b();
        ask(1, "a.example");
        world_run_for(w, 5000);
        ck_assert_uint_eq(sent_b(), sent);
        world_poison(w, "");
    }
}
END_TEST

START_TEST(special_names_are_not_prefetched)
{
    world_poison(w, "b.local pass\n");
    for (int i = 0; i < 3; i++)
        visit(1, "a.example", "b.local");
    ck_assert_uint_eq(counts().used, 2);
    size_t sent = sent_count(w, "b.local", WIRE_TYPE_A);
    world_poison(w, "");
    ask(1, "a.example");
    world_run_for(w, 5000);
    ck_assert_uint_eq(sent_count(w, "b.local", WIRE_TYPE_A), sent);
}
END_TEST

START_TEST(nothing_is_prefetched_without_forward)
{
    learn(1);
    w->ttl_s = 60;
    ask(1, "a.example");
    world_run_for(w, 5000);
    w->conf.query.forward = false;
    reconfigure();
    size_t sent = w->n_sent;
    ask(1, "a.example");
    world_run_for(w, 5000);
    ck_assert_uint_eq(w->n_sent, sent);
}
END_TEST

START_TEST(nothing_is_prefetched_once_prediction_is_off)
{
    learn(1);
    w->conf.predict = false;
    reconfigure();
    size_t sent = sent_b();
    ask(1, "a.example");
    world_run_for(w, 5000);
    ck_assert_uint_eq(sent_b(), sent);
    w->conf.predict = true; /* what was learned is still there */
    reconfigure();
    ask(1, "a.example");
    ck_assert_uint_eq(sent_b(), sent + 1);
}
END_TEST

/* ---- trouble upstream ------------------------------------------------------------------------ */

static void b_fails(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    if (strcmp(s->name, "b.example") != 0) {
        world_answer(s);
        return;
    }
    switch (*(int *)ctx) {
    case 0: /* silence */
        break;
    case 1:
        world_answer_rcode(s, WIRE_SERVFAIL);
        break;
    case 2:
        world_answer_rcode(s, WIRE_REFUSED);
        break;
    case 3:
        world_plan(s, 1, UPSTREAM_REFUSED, NULL, 0);
        break;
    default:
        world_plan(s, 1, UPSTREAM_NOT_SENT, NULL, 0);
    }
}

static void ordinary(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    world_answer(s);
}

START_TEST(nobody_notices_a_prefetch_that_fails)
{
    for (int kind = 0; kind < 5; kind++) {
        struct server_state before, after;
        restart();
        learn(1);
        w->server = b_fails;
        w->server_ctx = &kind;
        size_t sent = sent_b();
        ck_assert_int_eq(servers_state(core_servers(w->core), 0, w->now_ms, &before), 0);
        ask(1, "a.example");
        world_run_for(w, 5000);
        ck_assert_uint_eq(sent_b(), sent + 1); /* not tried again */
        ck_assert_int_eq(servers_state(core_servers(w->core), 0, w->now_ms, &after), 0);
        ck_assert_uint_eq(after.silent, before.silent);
        ck_assert_uint_eq(after.refused, before.refused);
        ck_assert(!after.left_alone);
        ck_assert_uint_eq(counts().unused, 1);
        w->server = ordinary;
        struct asked *b = ask(1, "b.example");
        ck_assert_uint_eq(asked_took(b), 40);
        ck_assert_uint_eq(asked_rcode(b), WIRE_NOERROR);
    }
}
END_TEST

START_TEST(what_failed_for_a_client_is_not_prefetched)
{
    int servfail = 1;
    learn(1);
    w->server = b_fails;
    w->server_ctx = &servfail;
    ask(2, "b.example"); /* the failure is cached for a second */
    size_t sent = sent_b();
    ask(1, "a.example");
    ck_assert_uint_eq(sent_b(), sent);
    world_run_for(w, 5000); /* the failure is gone, but the last answer was none */
    ask(1, "a.example");
    ck_assert_uint_eq(sent_b(), sent);
    world_run_for(w, 5000);
}
END_TEST

START_TEST(who_joins_a_prefetch_late_still_has_its_time)
{
    int silence = 0;
    learn(1);
    w->server = b_fails;
    w->server_ctx = &silence;
    size_t sent = sent_b();
    ask(1, "a.example");
    world_run_for(w, 4000);
    struct asked *b = ask(1, "b.example");
    ck_assert_uint_eq(asked_took(b), FLIGHT_LIFE_MS);
    ck_assert_uint_eq(asked_rcode(b), WIRE_SERVFAIL);
    ck_assert_uint_eq(sent_b(), sent + FLIGHT_UDP_MAX);
}
END_TEST

static void silent(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)s;
    (void)ctx;
}

START_TEST(nothing_is_prefetched_while_upstream_is_in_trouble)
{
    w->ttl_s = 3;
    learn(1);
    w->ttl_s = 60; /* a stays, b is too old by then */
    ask(2, "a.example");
    w->server = silent;
    world_ask(w, 2, "x.example", WIRE_TYPE_A);
    world_ask(w, 2, "y.example", WIRE_TYPE_A);
    struct server_state state = {.left_alone = false};
    for (; !state.left_alone; world_run_for(w, 1))
        ck_assert_int_eq(servers_state(core_servers(w->core), 0, w->now_ms, &state), 0);
    size_t sent = w->n_sent;
    ask(1, "a.example");
    ck_assert_uint_eq(w->n_sent, sent);
    ck_assert_uint_eq(counts().shed, 1);
    w->server = ordinary;
    ask(2, "z.example");
    ck_assert_int_eq(servers_state(core_servers(w->core), 0, w->now_ms, &state), 0);
    ck_assert(!state.left_alone);
    sent = sent_b();
    ask(1, "a.example");
    ck_assert_uint_eq(sent_b(), sent + 1);
    world_run_for(w, 5000);
}
END_TEST

START_TEST(a_prefetch_keeps_no_client_from_being_served)
{
    teardown();
    w = world_create();
    w->conf.predict = true;
    w->conf.flight.prefetches_max = 1;
    w->conf.flight.flights_max = 3;
    w->ttl_s = 0;
    world_start(w, 1);
    for (int i = 0; i < 2; i++) { /* b and c follow a */
        ask(1, "a.example");
        ask(1, "b.example");
        ask(1, "c.example");
        world_run_for(w, 5000);
    }
    uint64_t shed = counts().shed;
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    struct flight_counts n;
    flight_count(core_flights(w->core), &n);
    ck_assert_uint_eq(n.under_way, 2);
    ck_assert_uint_eq(n.speculative, 1);
    ck_assert_uint_eq(counts().shed, shed + 1);
    ck_assert_uint_eq(asked_answers(ask(2, "x.example")), 1);
    world_run_for(w, 5000);
}
END_TEST

/* ---- the control group ----------------------------------------------------------------------- */

static void set_control(unsigned percent)
{
    w->conf.prediction.control_percent = percent;
    reconfigure();
}

/* A burst by itself: the client is silent for more than 5 s behind it. */
static void burst(const char *first, const char *second)
{
    visit(1, first, second);
    world_run_for(w, 1000);
}

START_TEST(a_control_burst_is_not_prefetched_for_and_is_learned_from)
{
    set_control(100);
    burst("a.example", "b.example");
    burst("a.example", "b.example");
    ck_assert_uint_eq(score("a.example", "b.example"), 2); /* seen in 2 windows of 2 */
    size_t sent = sent_b();
    ask(1, "a.example");
    world_run_for(w, 100);
    ck_assert_uint_eq(sent_b(), sent);
    struct asked *b = ask(1, "b.example");
    ck_assert_uint_eq(asked_took(b), 40);
    world_run_for(w, 6000);
    ck_assert_uint_eq(counts().prefetches, 0);
    ck_assert_uint_eq(counts().waits[PREDICT_CONTROL].bursts, 3);
    ck_assert_uint_eq(counts().waits[PREDICT_TREATED].bursts, 0);
    ck_assert_int_eq(counts().measured_ms, 0); /* with nothing to compare with */
    set_control(0);
    ask(1, "a.example"); /* what the control bursts taught serves now */
    ck_assert_uint_eq(sent_b(), sent + 2);
    world_run_for(w, 50);
    ck_assert_uint_eq(asked_took(ask(1, "b.example")), 0);
}
END_TEST

#define N_BURSTS 200

/* Bursts of a and b, once b is known to follow: a letter for each, c where nothing was fetched
 * ahead. */
static void draw_groups(unsigned percent, char groups[N_BURSTS + 1])
{
    restart();
    learn(1);
    world_run_for(w, 1000);
    set_control(percent);
    for (unsigned i = 0; i < N_BURSTS; i++) {
        uint64_t before = counts().prefetches;
        burst("a.example", "b.example");
        groups[i] = counts().prefetches > before ? 't' : 'c';
    }
    groups[N_BURSTS] = '\0';
}

static unsigned n_control(const char *groups)
{
    unsigned n = 0;
    for (; *groups != '\0'; groups++)
        n += *groups == 'c';
    return n;
}

/* Of 200, with standard deviations of 6.1 and 7.1. */
START_TEST(the_share_of_control_bursts_is_as_drawn)
{
    static char first[N_BURSTS + 1], again[N_BURSTS + 1];
    draw_groups(25, first);
    ck_assert_uint_ge(n_control(first), 50 - 18);
    ck_assert_uint_le(n_control(first), 50 + 18);
    ck_assert_uint_eq(counts().waits[PREDICT_CONTROL].bursts, n_control(first));
    ck_assert_uint_eq(counts().used, counts().prefetches);
    draw_groups(25, again); /* the same seed draws the same */
    ck_assert_str_eq(first, again);
    draw_groups(50, again);
    ck_assert_uint_ge(n_control(again), 100 - 21);
    ck_assert_uint_le(n_control(again), 100 + 21);
    draw_groups(0, again);
    ck_assert_uint_eq(n_control(again), 0);
    draw_groups(100, again);
    ck_assert_uint_eq(n_control(again), N_BURSTS);
}
END_TEST

/* Bursts of a, b and a name that is never asked again. Behind the first question of each, a control
 * burst has two waits of 40 ms, and another one of 0 and one of 40. So a question waits 20 ms less,
 * and a burst 40. Every prefetch is used, so that what is estimated is the same. */
START_TEST(the_measured_saving_is_what_the_control_bursts_waited_more)
{
    struct predict_counts n;
    char once[] = "x000.example";
    set_control(100); /* so that no burst with prefetch has to learn first */
    burst("a.example", "b.example");
    burst("a.example", "b.example");
    set_control(50);
    for (unsigned i = 0; i < 40; i++) {
        ask(1, "a.example");
        world_run_for(w, 50);
        ask(1, "b.example");
        once[1] = (char)('0' + i / 10);
        once[2] = (char)('0' + i % 10);
        ask(1, once);
        world_run_for(w, 6000);
    }
    n = counts();
    const struct predict_waits *control = &n.waits[PREDICT_CONTROL];
    const struct predict_waits *treated = &n.waits[PREDICT_TREATED];
    ck_assert_uint_eq(control->bursts + treated->bursts, 42);
    ck_assert_uint_gt(control->bursts, 10);
    ck_assert_uint_gt(treated->bursts, 10);
    ck_assert_uint_eq(control->questions, 2 * control->bursts - 2); /* the two that taught */
    ck_assert_uint_eq(control->waits, control->questions);
    ck_assert_uint_eq(control->waiting_ms, 40 * control->questions);
    ck_assert_uint_eq(treated->questions, 2 * treated->bursts);
    ck_assert_uint_eq(treated->waits, treated->bursts);
    ck_assert_uint_eq(treated->waiting_ms, 40 * treated->bursts);
    ck_assert_int_eq(n.measured_ms, (int64_t)(40 * treated->bursts));
    ck_assert_uint_eq(n.saved_ms, 40 * treated->bursts);
    ck_assert_uint_eq(n.used, treated->bursts);
}
END_TEST

/* ---- all of them ----------------------------------------------------------------------------- */

static enum predict_copy nothing_there(
    void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    (void)ctx;
    (void)key;
    (void)key_len;
    (void)now_ms;
    return PREDICT_ABSENT;
}

static bool goes_nowhere(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    (void)ctx;
    (void)key;
    (void)key_len;
    (void)now_ms;
    return true;
}

static void observe_key(struct predict *p, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    const uint8_t client[PREDICT_CLIENT_LEN] = {1};
    struct predict_request r = {.client = client, .key = key, .key_len = key_len};
    predict_observe(p, &r, 1, now_ms);
    predict_landed(p, key, key_len, true, now_ms);
}

/* Has the core read a table by which the n keys follow a.example. */
static void load_followers(uint8_t keys[][WIRE_KEY_MAX], const size_t *lens, size_t n)
{
    static const uint8_t seed[PREDICT_SEED_LEN] = {1};
    const struct predict_world world = {.copy = nothing_there, .prefetch = goes_nowhere};
    uint8_t first[WIRE_KEY_MAX], *bytes;
    size_t first_len = key_of("a.example", WIRE_TYPE_A, first), len;
    w->conf.prediction.share = 1;
    reconfigure();
    struct predict *p = predict_create(&w->conf.prediction, &world, seed);
    ck_assert_ptr_nonnull(p);
    for (uint64_t at_ms = 1000; at_ms < 50000; at_ms += 10000) {
        observe_key(p, first, first_len, at_ms);
        for (size_t i = 0; i < n; i++)
            observe_key(p, keys[i], lens[i], at_ms + 10);
    }
    while (predict_due_ms(p) <= 60000)
        predict_tick(p, 60000);
    ck_assert_int_eq(predict_save(p, &bytes, &len), 0);
    ck_assert_pstr_eq(predict_load(core_predict(w->core), bytes, len), NULL);
    free(bytes);
    predict_free(p);
}

/* Whoever can write the file could else have anything sent. */
START_TEST(what_a_bent_predict_file_names_is_not_sent)
{
    uint8_t keys[8][WIRE_KEY_MAX] = {0};
    size_t lens[8];
    lens[0] = key_of("b.example", WIRE_TYPE_A, keys[0]); /* this one may be */
    lens[1] = key_of("any.example", WIRE_TYPE_ANY, keys[1]);
    lens[2] = key_of("axfr.example", 252, keys[2]);
    lens[3] = key_of("ds.example", 43, keys[3]);
    lens[4] = key_of("printer", WIRE_TYPE_A, keys[4]);
    lens[5] = key_of("c.example", WIRE_TYPE_A, keys[5]);
    keys[5][lens[5] - 2] = WIRE_CLASS_CH;
    lens[6] = 3; /* no key at all */
    keys[6][0] = 0xc0;
    lens[7] = key_of("d.example", WIRE_TYPE_A, keys[7]);
    keys[7][0] = 64; /* no name */
    load_followers(keys, lens, 8);
    ask(1, "a.example");
    world_run_for(w, 1000);
    ck_assert_uint_eq(sent_count(w, "a.example", WIRE_TYPE_A), 1);
    ck_assert_uint_eq(sent_b(), 1);
    ck_assert_uint_eq(w->n_sent, 2);
}
END_TEST

START_TEST(of_hundreds_of_questions_in_one_turn_each_is_learned_from)
{
    char name[32];
    world_begin(w);
    for (unsigned i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "n%u.example", i);
        world_ask_more(w, 1 + i % 200, name, WIRE_TYPE_A);
    }
    world_end(w);
    world_run_for(w, 5000);
    ck_assert_uint_eq(counts().requests, 600);
    ck_assert_uint_eq(score("n0.example", "n400.example"), 2);
    ck_assert_uint_eq(score("n199.example", "n599.example"), 2);
    ck_assert_uint_eq(score("n0.example", "n401.example"), 0);
}
END_TEST

static void add_gain(TCase *t)
{
    tcase_add_test(t, chain_of_six_by_the_seed_rules);
    tcase_add_test(t, chain_of_six_by_the_default_rules);
    tcase_add_test(t, chain_of_six_with_the_default_window);
    tcase_add_test(t, a_prefetch_leaves_with_the_question_that_led_to_it);
    tcase_add_test(t, a_hit_leads_to_prefetches_too);
    tcase_add_test(t, a_client_joins_a_prefetch_under_way);
    tcase_add_test(t, a_prefetch_that_somebody_joins_is_asked_again);
    tcase_add_test(t, a_prefetch_that_lands_in_the_turn_of_its_question_is_used);
    tcase_add_test(t, ttl_0_serves_one_client);
    tcase_add_test(t, what_one_turn_uses_up_is_not_fetched_again);
    tcase_add_test(t, ttl_0_serves_all_who_wait_and_nobody_after);
    tcase_add_test(t, ttl_0_is_held_for_the_window);
    tcase_add_test(t, ttl_0_of_an_ordinary_question_is_not_held);
    tcase_add_test(t, ttl_0_strict_holds_nothing);
    tcase_add_test(t, what_one_client_showed_serves_nobody_else);
    tcase_add_test(t, addresses_of_one_slash_64_are_one_client);
    tcase_add_test(t, share_of_one_serves_everybody);
    tcase_add_test(t, twenty_clients_do_not_mix_in_scope_client);
}

static void add_rules(TCase *t)
{
    tcase_add_test(t, a_copy_that_is_fresh_hides_the_follower);
    tcase_add_test(t, a_dependency_that_ended_is_fetched_no_more);
    tcase_add_test(t, retransmissions_are_not_requests);
    tcase_add_test(t, what_is_answered_here_is_no_request);
    tcase_add_test(t, only_types_that_programs_connect_by_are_prefetched);
    tcase_add_test(t, a_prefetch_has_the_flags_of_the_clients_question);
    tcase_add_test(t, a_prefetch_leads_to_no_other);
    tcase_add_test(t, what_is_overridden_since_is_not_prefetched);
    tcase_add_test(t, special_names_are_not_prefetched);
    tcase_add_test(t, nothing_is_prefetched_without_forward);
    tcase_add_test(t, nothing_is_prefetched_once_prediction_is_off);
    tcase_add_test(t, nobody_notices_a_prefetch_that_fails);
    tcase_add_test(t, what_failed_for_a_client_is_not_prefetched);
    tcase_add_test(t, who_joins_a_prefetch_late_still_has_its_time);
    tcase_add_test(t, nothing_is_prefetched_while_upstream_is_in_trouble);
    tcase_add_test(t, a_prefetch_keeps_no_client_from_being_served);
    tcase_add_test(t, what_a_bent_predict_file_names_is_not_sent);
    tcase_add_test(t, of_hundreds_of_questions_in_one_turn_each_is_learned_from);
}

static void add_control(TCase *t)
{
    tcase_add_test(t, a_control_burst_is_not_prefetched_for_and_is_learned_from);
    tcase_add_test(t, the_share_of_control_bursts_is_as_drawn);
    tcase_add_test(t, the_measured_saving_is_what_the_control_bursts_waited_more);
}

static void add_case(Suite *s, const char *name, void (*add)(TCase *t))
{
    TCase *t = tcase_create(name);
    tcase_add_checked_fixture(t, setup, teardown);
    add(t);
    suite_add_tcase(s, t);
}

int main(void)
{
    Suite *s = suite_create("replay/predict");
    add_case(s, "gain", add_gain);
    add_case(s, "rules", add_rules);
    add_case(s, "control", add_control);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
