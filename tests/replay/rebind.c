/* rebind.c: what becomes of answers from upstream that give private addresses, on virtual time.
 * Knows the core by the replay world; never sockets. */
#include "tests/replay/world.h"

#include <check.h>
#include <string.h>

#define BLOCKED 15 /* RFC 8914 4.16 */

static struct world *w;
static struct rebind_name allowed[1];

/* A answers with 192.168.1.1, AAAA with fd00::1 behind a public one, HTTPS with a hint, MX with an
 * address of its target in the additional section. */
static void rebinding_server(struct world *world, struct sent *s, void *ctx)
{
    static const uint8_t inner[4] = {192, 168, 1, 1};
    static const uint8_t outer6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, inner6[16] = {0xfd};
    static const uint8_t https[] = {0, 1, 0, 0, 4, 0, 4, 10, 0, 0, 1};
    uint8_t out[WIRE_MESSAGE_MAX], mx[WIRE_NAME_MAX + 2] = {0, 10};
    (void)ctx;
    size_t len = world_reply_start(s, 0, out);
    switch (s->type) {
    case WIRE_TYPE_A:
        len = world_add(out, len, 0, s->name, WIRE_TYPE_A, world->ttl_s, inner, 4);
        break;
    case WIRE_TYPE_AAAA:
        len = world_add(out, len, 0, s->name, WIRE_TYPE_AAAA, world->ttl_s, outer6, 16);
        len = world_add(out, len, 0, s->name, WIRE_TYPE_AAAA, world->ttl_s, inner6, 16);
        break;
    case WIRE_TYPE_HTTPS:
        len = world_add(out, len, 0, s->name, s->type, world->ttl_s, https, sizeof https);
        break;
    default:
        len = world_add(out, len, 0, s->name, WIRE_TYPE_MX, world->ttl_s, mx,
            2 + world_name("mail.example", mx + 2));
        len = world_add(out, len, 2, "mail.example", WIRE_TYPE_A, world->ttl_s, inner, 4);
    }
    world_plan(s, world->rtt_ms, UPSTREAM_REPLY, out, len);
}

static void setup(void)
{
    w = world_create();
    w->conf.flight.rebind = (struct rebind_conf){.on = true, .allow = allowed};
    world_start(w, 1);
    w->server = rebinding_server;
}

static void teardown(void)
{
    world_free(w);
}

static struct asked *ask(const char *name, uint16_t type)
{
    struct asked *a = world_ask(w, 1, name, type);
    world_run_for(w, 100);
    return a;
}

static void is_refused(const struct asked *a)
{
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    ck_assert_uint_eq(asked_answers(a), 0);
    ck_assert_int_eq(asked_ede(a), BLOCKED);
}

START_TEST(a_private_address_is_refused_with_all_that_came_with_it)
{
    static const uint16_t types[] = {WIRE_TYPE_A, WIRE_TYPE_AAAA, WIRE_TYPE_HTTPS, WIRE_TYPE_MX};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const struct asked *a = ask("evil.example", types[i]);
        is_refused(a);
        ck_assert(a->flight.rebound);
        ck_assert_uint_eq(asked_took(a), 40);
    }
    struct flight_counts c;
    flight_count(core_flights(w->core), &c);
    ck_assert_uint_eq(c.rebound, 4);
}
END_TEST

START_TEST(a_refusal_is_kept_as_long_as_the_answer_would_have_been)
{
    is_refused(ask("evil.example", WIRE_TYPE_A));
    const struct asked *again = ask("evil.example", WIRE_TYPE_A);
    is_refused(again);
    ck_assert_uint_eq(asked_took(again), 0);
    world_run_for(w, 60000);
    is_refused(ask("evil.example", WIRE_TYPE_A));
    ck_assert_uint_eq(w->n_sent, 2);
}
END_TEST

START_TEST(a_short_ttl_does_not_slip_through)
{
    w->ttl_s = 0;
    is_refused(ask("evil.example", WIRE_TYPE_A));
    is_refused(ask("evil.example", WIRE_TYPE_A));
    ck_assert_uint_eq(w->n_sent, 2);
}
END_TEST

static void allow_the_office(void)
{
    ck_assert_int_eq(rebind_name_parse("office.example", &allowed[0]), 0);
    w->conf.flight.rebind.n_allow = 1;
    core_reconfigure(w->core, &w->conf);
}

START_TEST(names_that_are_listed_may_have_private_addresses)
{
    allow_the_office();
    ck_assert_uint_eq(asked_answers(ask("office.example", WIRE_TYPE_A)), 1);
    ck_assert_uint_eq(asked_answers(ask("deep.in.OFFICE.example", WIRE_TYPE_A)), 1);
    is_refused(ask("myoffice.example", WIRE_TYPE_A));
    is_refused(ask("office.example.net", WIRE_TYPE_A));
}
END_TEST

/* The name is led to x.office.example. */
static void cname_server(struct world *world, struct sent *s, void *ctx)
{
    static const uint8_t inner[4] = {192, 168, 1, 1};
    uint8_t out[WIRE_MESSAGE_MAX], target[WIRE_NAME_MAX];
    (void)ctx;
    size_t len = world_reply_start(s, 0, out);
    len = world_add(out, len, 0, s->name, WIRE_TYPE_CNAME, world->ttl_s, target,
        world_name("x.office.example", target));
    len = world_add(out, len, 0, "x.office.example", WIRE_TYPE_A, world->ttl_s, inner, 4);
    world_plan(s, world->rtt_ms, UPSTREAM_REPLY, out, len);
}

START_TEST(a_cname_to_a_listed_name_does_not_lend_its_right)
{
    allow_the_office();
    w->server = cname_server;
    is_refused(ask("evil.example", WIRE_TYPE_A));
    ck_assert_uint_eq(asked_answers(ask("www.office.example", WIRE_TYPE_A)), 2);
}
END_TEST

START_TEST(an_override_may_lead_to_a_listed_name)
{
    allow_the_office();
    world_poison(w, "own.example CNAME x.office.example.\n");
    /* An override is its owner's word: the target is asked for under its own name. */
    ck_assert_uint_eq(asked_answers(ask("own.example", WIRE_TYPE_A)), 2);
}
END_TEST

START_TEST(overrides_may_have_private_addresses)
{
    world_poison(w, "router.example A 192.168.1.1\n");
    const struct asked *a = ask("router.example", WIRE_TYPE_A);
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

START_TEST(a_reload_with_another_rule_forgets_what_the_old_one_let_in)
{
    w->conf.flight.rebind.on = false;
    core_reconfigure(w->core, &w->conf);
    ck_assert_uint_eq(asked_answers(ask("evil.example", WIRE_TYPE_A)), 1);
    w->conf.flight.rebind.on = true;
    core_reconfigure(w->core, &w->conf);
    is_refused(ask("evil.example", WIRE_TYPE_A));
    ck_assert_uint_eq(w->n_sent, 2);
}
END_TEST

START_TEST(a_reload_with_the_same_rule_keeps_the_cache)
{
    is_refused(ask("evil.example", WIRE_TYPE_A));
    core_reconfigure(w->core, &w->conf);
    is_refused(ask("evil.example", WIRE_TYPE_A));
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

START_TEST(what_is_fetched_ahead_is_refused_too)
{
    uint8_t key[WIRE_KEY_MAX], name[WIRE_NAME_MAX];
    struct wire_question q = {.name = name, .type = WIRE_TYPE_A, .class = WIRE_CLASS_IN};
    q.name_len = world_name("evil.example", name);
    world_begin(w);
    ck_assert(flight_prefetch(core_flights(w->core), key, wire_key_write(&q, 0, key)));
    world_end(w);
    world_run_for(w, 100);
    const struct asked *a = ask("evil.example", WIRE_TYPE_A);
    is_refused(a);
    ck_assert_uint_eq(asked_took(a), 0);
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

START_TEST(the_error_is_told_to_those_with_edns_only)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 1, CLIENT_UDP);
    world_begin(w);
    struct asked *a = world_ask_raw(w, &c, msg,
        world_question(msg, 1, "evil.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, 0, false));
    world_end(w);
    world_run_for(w, 100);
    struct wire_view opt;
    ck_assert(!asked_opt(a, &opt));
    ck_assert_uint_eq(asked_answers(a), 0);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    ck_assert_uint_eq(a->reply[3] & WIRE_Z, 0); /* the mark stays here */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("replay/rebind");
    TCase *t = tcase_create("rebind");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_private_address_is_refused_with_all_that_came_with_it);
    tcase_add_test(t, a_refusal_is_kept_as_long_as_the_answer_would_have_been);
    tcase_add_test(t, a_short_ttl_does_not_slip_through);
    tcase_add_test(t, names_that_are_listed_may_have_private_addresses);
    tcase_add_test(t, a_cname_to_a_listed_name_does_not_lend_its_right);
    tcase_add_test(t, an_override_may_lead_to_a_listed_name);
    tcase_add_test(t, overrides_may_have_private_addresses);
    tcase_add_test(t, a_reload_with_another_rule_forgets_what_the_old_one_let_in);
    tcase_add_test(t, a_reload_with_the_same_rule_keeps_the_cache);
    tcase_add_test(t, what_is_fetched_ahead_is_refused_too);
    tcase_add_test(t, the_error_is_told_to_those_with_edns_only);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
