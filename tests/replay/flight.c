/* flight.c: the life of a question upstream, on virtual time: coalescing, silence, other servers,
 * TCP, forgeries, stale answers, failures. */
#include "tests/replay/world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct world *w;

static void setup(void)
{
    w = world_create();
    world_start(w, 1);
}

static void teardown(void)
{
    world_free(w);
}

static void restart(size_t n_servers)
{
    world_free(w);
    w = world_create();
    world_start(w, n_servers);
}

static void silent(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)s;
    (void)ctx;
}

static void ordinary(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    world_answer(s);
}

/* ---- one question upstream at a time --------------------------------------------------------- */

START_TEST(two_hundred_clients_one_question)
{
    struct asked *a[200];
    world_begin(w);
    for (unsigned i = 0; i < 200; i++)
        a[i] = world_ask_more(w, i, "new.example", WIRE_TYPE_A);
    world_end(w);
    world_run_for(w, 100);
    ck_assert_uint_eq(w->n_sent, 1);
    for (unsigned i = 0; i < 200; i++) {
        ck_assert_uint_eq(asked_took(a[i]), 40);
        ck_assert_uint_eq(asked_answers(a[i]), 1);
    }
}
END_TEST

START_TEST(second_question_is_from_the_cache)
{
    struct asked *first = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 1040);
    struct asked *second = world_ask(w, 2, "A.eXample", WIRE_TYPE_A);
    ck_assert_uint_eq(asked_took(first), 40);
    ck_assert_uint_eq(asked_took(second), 0);
    ck_assert_uint_eq(asked_ttl(first), 60);
    ck_assert_uint_eq(asked_ttl(second), 59);
    ck_assert_mem_eq(second->reply + 12, "\1A\7eXample", 10);
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

START_TEST(expired_is_asked_again)
{
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 40 + 59999);
    ck_assert_uint_eq(asked_took(world_ask(w, 1, "a.example", WIRE_TYPE_A)), 0);
    world_run_for(w, 1);
    struct asked *late = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 40);
    ck_assert_uint_eq(asked_took(late), 40);
    ck_assert_uint_eq(w->n_sent, 2);
}
END_TEST

START_TEST(do_and_cd_are_other_questions)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 1, CLIENT_UDP);
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_ask_raw(w, &c, msg,
        world_question(msg, 7, "a.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, 1232, true));
    world_ask_raw(w, &c, msg,
        world_question(
            msg, 8, "a.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD | WIRE_CD, 1232, false));
    world_run_for(w, 50);
    ck_assert_uint_eq(w->n_sent, 3);
    ck_assert_uint_eq(w->sent[2]->msg[3] & WIRE_CD, WIRE_CD);
    ck_assert_uint_eq(w->sent[0]->msg[3] & WIRE_CD, 0);
}
END_TEST

START_TEST(repeat_of_a_client_waits_once_and_nudges_once)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 1, CLIENT_UDP);
    w->server = silent;
    size_t len =
        world_question(msg, 7, "a.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, 1232, false);
    world_ask_raw(w, &c, msg, len);
    struct asked *again = world_ask_raw(w, &c, msg, len);
    struct asked *third = world_ask_raw(w, &c, msg, len);
    ck_assert_uint_eq(w->n_sent, 2);
    ck_assert(again->dropped && third->dropped);
    ck_assert_uint_eq(query_waiting(core_desk(w->core)), 1);
    world_run_for(w, 5000);
    ck_assert_uint_eq(w->n_sent, FLIGHT_UDP_MAX);
    ck_assert_uint_eq(asked_rcode(&w->asked[0]), WIRE_SERVFAIL);
}
END_TEST

/* ---- silence --------------------------------------------------------------------------------- */

START_TEST(silence_is_servfail_before_the_stub_gives_up)
{
    w->server = silent;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 10000);
    ck_assert_uint_eq(asked_took(a), FLIGHT_LIFE_MS);
    ck_assert_uint_eq(asked_rcode(a), WIRE_SERVFAIL);
    ck_assert_uint_eq(w->n_sent, 3);
    ck_assert_uint_eq(sent_over(w, UPSTREAM_TCP), 0);
    for (size_t i = 0; i < w->n_sent; i++)
        ck_assert(!w->sent[i]->open);
}
END_TEST

START_TEST(failure_is_remembered_longer_each_time)
{
    static const uint64_t holds_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    w->server = silent;
    for (size_t i = 0; i < sizeof holds_ms / sizeof holds_ms[0]; i++) {
        world_ask(w, 1, "a.example", WIRE_TYPE_A);
        world_run_for(w, FLIGHT_LIFE_MS + holds_ms[i] - 1);
        size_t sent = w->n_sent;
        struct asked *held = world_ask(w, 2, "a.example", WIRE_TYPE_A);
        ck_assert_uint_eq(asked_took(held), 0);
        ck_assert_uint_eq(asked_rcode(held), WIRE_SERVFAIL);
        ck_assert_uint_eq(w->n_sent, sent);
        world_run_for(w, 1);
    }
}
END_TEST

static void only_second(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    if (s->server.ip[15] == 2)
        world_answer(s);
}

START_TEST(second_server_answers_for_a_silent_first)
{
    restart(2);
    w->server = only_second;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 2000);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    ck_assert_uint_eq(asked_took(a), 640);
    size_t before = sent_to(w, 1);
    for (int i = 0; i < 20; i++) {
        char name[] = "x.example";
        name[0] = (char)('a' + i);
        world_ask(w, 1, name, WIRE_TYPE_AAAA);
        world_run_for(w, 100);
    }
    ck_assert_uint_eq(sent_to(w, 1), before); /* the one that answers is asked first from now on */
}
END_TEST

static void late(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    if (world->n_sent == 1)
        world_answer_after(s, *(uint64_t *)ctx);
}

START_TEST(late_answer_to_the_first_message_counts)
{
    uint64_t delays_ms[] = {700, 1500, 1850, 4400};
    for (size_t i = 0; i < 4; i++) {
        restart(1);
        w->server = late;
        w->server_ctx = &delays_ms[i];
        struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
        world_run_for(w, 6000);
        ck_assert_uint_eq(asked_took(a), delays_ms[i]);
        ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
        ck_assert(asked_truncated(a) == (delays_ms[i] > QUERY_LATE_MS));
        ck_assert_uint_eq(asked_answers(a), delays_ms[i] <= QUERY_LATE_MS);
        ck_assert_uint_le(w->n_sent, 3);
    }
}
END_TEST

START_TEST(at_most_two_messages_may_be_answered)
{
    w->server = silent;
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 4000);
    ck_assert_uint_eq(w->n_sent, 3);
    ck_assert(w->sent[0]->open && !w->sent[1]->open && w->sent[2]->open);
}
END_TEST

static void refusing(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    world_plan(s, 1, UPSTREAM_REFUSED, NULL, 0);
}

START_TEST(nobody_there_is_told_soon)
{
    w->server = refusing;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 5000);
    ck_assert_uint_eq(asked_rcode(a), WIRE_SERVFAIL);
    ck_assert_uint_lt(asked_took(a), 1000);
    ck_assert_uint_eq(w->n_sent, 3);
}
END_TEST

START_TEST(no_server_at_all_is_servfail_at_once)
{
    restart(0);
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    ck_assert_uint_eq(asked_took(a), 0);
    ck_assert_uint_eq(asked_rcode(a), WIRE_SERVFAIL);
}
END_TEST

/* ---- errors ---------------------------------------------------------------------------------- */

static void first_refuses(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    if (s->server.ip[15] == 1)
        world_answer_rcode(s, *(uint16_t *)ctx);
    else
        world_answer(s);
}

START_TEST(error_of_one_server_asks_the_next)
{
    uint16_t rcodes[] = {WIRE_SERVFAIL, WIRE_REFUSED, WIRE_NOTIMP};
    for (size_t i = 0; i < 3; i++) {
        restart(2);
        w->server = first_refuses;
        w->server_ctx = &rcodes[i];
        struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
        world_run_for(w, 1000);
        ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
        ck_assert_uint_le(w->n_sent, 3);
    }
}
END_TEST

START_TEST(error_of_the_only_server_is_passed_on)
{
    uint16_t refused = WIRE_REFUSED;
    w->server = first_refuses;
    w->server_ctx = &refused;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 1000);
    ck_assert_uint_eq(asked_took(a), 40);
    ck_assert_uint_eq(asked_rcode(a), WIRE_REFUSED);
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

/* The first server gives an address of another name, and nothing of what it was asked. */
static void first_talks_of_others(struct world *world, struct sent *s, void *ctx)
{
    uint8_t out[WIRE_MESSAGE_MAX];
    (void)world, (void)ctx;
    if (s->server.ip[15] != 1) {
        world_answer(s);
        return;
    }
    size_t len = world_reply_start(s, WIRE_NOERROR, out);
    len = world_add(out, len, 0, "b.example", WIRE_TYPE_A, 300, (const uint8_t *)"\300\0\2\102", 4);
    world_plan(s, 40, UPSTREAM_REPLY, out, len);
}

START_TEST(an_answer_about_other_names_asks_the_next_server)
{
    for (size_t n_servers = 1; n_servers <= 2; n_servers++) {
        restart(n_servers);
        w->server = first_talks_of_others;
        struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
        world_run_for(w, 1000);
        ck_assert_uint_eq(asked_rcode(a), n_servers == 1 ? WIRE_SERVFAIL : WIRE_NOERROR);
        ck_assert_uint_eq(a->reply[7], n_servers - 1);
        ck_assert_uint_le(w->n_sent, n_servers);
    }
}
END_TEST

static bool has_opt(const struct sent *s)
{
    return s->msg[11] == 1;
}

static void no_edns(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    uint8_t out[WIRE_MESSAGE_MAX];
    if (!has_opt(s)) {
        world_answer(s);
        return;
    }
    memset(out, 0, WIRE_HEADER_LEN);
    memcpy(out, s->msg, 2);
    out[2] = 0x80;
    out[3] = WIRE_FORMERR;
    world_plan(s, 10, UPSTREAM_REPLY, out, WIRE_HEADER_LEN);
}

START_TEST(server_without_edns_is_asked_without)
{
    w->server = no_edns;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 200);
    ck_assert_uint_eq(asked_took(a), 50);
    ck_assert_uint_eq(w->n_sent, 2);
    world_ask(w, 1, "b.example", WIRE_TYPE_A);
    world_run_for(w, 200);
    ck_assert_uint_eq(w->n_sent, 3);
    ck_assert(!has_opt(w->sent[2]));
}
END_TEST

/* ---- TCP ------------------------------------------------------------------------------------- */

static void truncating(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    uint8_t out[WIRE_MESSAGE_MAX];
    bool for_ever = ctx != NULL;
    if (s->transport == UPSTREAM_TCP && !for_ever)
        world_answer(s);
    else
        world_plan(s, 40, UPSTREAM_REPLY, out, world_reply_start(s, WIRE_TC, out));
}

START_TEST(truncated_goes_to_tcp_once_and_is_cached)
{
    w->server = truncating;
    struct asked *a = world_ask(w, 1, "big.example", WIRE_TYPE_A);
    world_run_for(w, 200);
    ck_assert_uint_eq(asked_took(a), 80);
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_uint_eq(sent_over(w, UPSTREAM_UDP), 1);
    ck_assert_uint_eq(sent_over(w, UPSTREAM_TCP), 1);
    ck_assert_uint_eq(asked_took(world_ask(w, 2, "big.example", WIRE_TYPE_A)), 0);
}
END_TEST

START_TEST(truncated_for_ever_ends)
{
    w->server = truncating;
    w->server_ctx = w;
    struct asked *a = world_ask(w, 1, "big.example", WIRE_TYPE_A);
    world_run_for(w, 6000);
    ck_assert_uint_eq(asked_rcode(a), WIRE_SERVFAIL);
    ck_assert_uint_le(sent_over(w, UPSTREAM_UDP), 3);
    ck_assert_uint_eq(sent_over(w, UPSTREAM_TCP), 1);
}
END_TEST

static void guessed_ids(struct world *world, struct sent *s, void *ctx)
{
    bool tcp_refused = ctx != NULL;
    (void)world;
    if (s->transport == UPSTREAM_TCP && tcp_refused) {
        world_plan(s, 60, UPSTREAM_REFUSED, NULL, 0);
        return;
    }
    if (s->transport == UPSTREAM_UDP)
        world_plan(s, 1, UPSTREAM_SUSPECT, NULL, 0);
    world_answer_after(s, s->transport == UPSTREAM_TCP ? 60 : 10);
}

START_TEST(guessed_ids_lead_to_tcp)
{
    w->server = guessed_ids;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 200);
    ck_assert_uint_eq(asked_took(a), 61); /* not the 10 ms of the UDP reply */
    ck_assert_uint_eq(sent_over(w, UPSTREAM_TCP), 1);
}
END_TEST

START_TEST(udp_answer_counts_once_tcp_is_refused)
{
    w->server = guessed_ids;
    w->server_ctx = w;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 200);
    ck_assert_uint_eq(asked_took(a), 61);
    ck_assert_uint_eq(asked_answers(a), 1);
    struct server_state state;
    ck_assert_int_eq(servers_state(core_servers(w->core), 0, w->now_ms, &state), 0);
    ck_assert(!state.left_alone);
}
END_TEST

static void guessed_and_refused_late(struct world *world, struct sent *s, void *ctx)
{
    (void)ctx;
    (void)world;
    if (s->transport == UPSTREAM_TCP) {
        world_plan(s, 2500, UPSTREAM_REFUSED, NULL, 0);
        return;
    }
    world_plan(s, 1, UPSTREAM_SUSPECT, NULL, 0);
    world_answer_after(s, 10);
}

START_TEST(udp_answer_that_waited_for_tcp_has_aged)
{
    w->server = guessed_and_refused_late;
    w->ttl_s = 60;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 3000);
    ck_assert_uint_ge(asked_took(a), 1010);
    ck_assert_uint_eq(asked_ttl(a), 60 - (asked_took(a) - 10) / 1000);
    world_run_for(w, a->asked_ms + 10010 - w->now_ms);
    ck_assert_uint_eq(asked_ttl(world_ask(w, 2, "a.example", WIRE_TYPE_A)), 50);
    world_run_for(w, 49999);
    ck_assert_uint_eq(asked_ttl(world_ask(w, 3, "a.example", WIRE_TYPE_A)), 1);
    ck_assert_uint_eq(sent_over(w, UPSTREAM_TCP), 1);
    world_run_for(w, 1);
    world_ask(w, 4, "a.example", WIRE_TYPE_A);
    ck_assert_uint_gt(sent_over(w, UPSTREAM_UDP), 1);
}
END_TEST

static void loses_case(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    uint8_t out[WIRE_MESSAGE_MAX];
    static const uint8_t ip[4] = {192, 0, 2, 1};
    if (s->transport == UPSTREAM_TCP && ctx != NULL) {
        world_plan(s, 5, UPSTREAM_REFUSED, NULL, 0);
        return;
    }
    size_t len = world_reply_start(s, 0, out);
    wire_name_lower(out + 12, len - 16, out + 12);
    len = world_add(out, len, 0, s->name, WIRE_TYPE_A, 60, ip, 4);
    world_plan(s, 10, UPSTREAM_REPLY, out, len);
}

START_TEST(lost_case_is_proven_over_tcp_and_remembered)
{
    w->server = loses_case;
    struct asked *a = world_ask(w, 1, "mixed.case.example", WIRE_TYPE_A);
    world_run_for(w, 1000);
    ck_assert_uint_eq(asked_took(a), 20);
    ck_assert_uint_eq(sent_over(w, UPSTREAM_TCP), 1);
    struct asked *b = world_ask(w, 1, "other.case.example", WIRE_TYPE_A);
    world_run_for(w, 1000);
    ck_assert_uint_eq(asked_took(b), 10);
    ck_assert_uint_eq(sent_over(w, UPSTREAM_TCP), 1);
}
END_TEST

START_TEST(lost_case_without_tcp_is_asked_in_small_letters)
{
    w->server = loses_case;
    w->server_ctx = w;
    struct asked *a = world_ask(w, 1, "mixed.case.example", WIRE_TYPE_A);
    world_run_for(w, 4000);
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_uint_lt(asked_took(a), 1000);
}
END_TEST

START_TEST(name_is_sent_in_mixed_case)
{
    bool capital = false, small = false;
    world_ask(w, 1, "abcdefghijklmnopqrstuvwxyz.example", WIRE_TYPE_A);
    for (size_t i = 13; i < 13 + 26; i++) {
        capital |= w->sent[0]->msg[i] >= 'A' && w->sent[0]->msg[i] <= 'Z';
        small |= w->sent[0]->msg[i] >= 'a' && w->sent[0]->msg[i] <= 'z';
    }
    ck_assert(capital && small);
}
END_TEST

/* ---- replies that do not count --------------------------------------------------------------- */

static void junk_then_right(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    uint8_t out[WIRE_MESSAGE_MAX];
    size_t question_end = world_reply_start(s, 0, out);
    size_t len = question_end;
    switch (*(int *)ctx) {
    case 0: /* wrong ID */
        out[1] ^= 1;
        break;
    case 1: /* a query */
        out[2] &= 0x7f;
        break;
    case 2: /* another opcode */
        out[2] |= 0x20;
        break;
    case 3: /* no question */
        out[5] = 0;
        len = 12;
        break;
    case 4: /* two questions */
        out[5] = 2;
        break;
    case 5: /* another name */
        out[13] ^= 3;
        break;
    case 6: /* another type */
        out[len - 3] ^= 2;
        break;
    case 7: /* another class */
        out[len - 1] ^= 2;
        break;
    case 8: /* cut short in a record */
        out[7] = 1;
        out[len++] = 0;
        break;
    case 9: /* counts too large */
        out[6] = 0xff;
        break;
    case 10: /* a pointer to itself */
        out[7] = 1;
        out[len] = 0xc0;
        out[len + 1] = (uint8_t)len;
        memset(out + len + 2, 0, 10);
        len += 12;
        break;
    case 11: /* five bytes */
        len = 5;
        break;
    case 12: /* nothing */
        len = 0;
        break;
    default: /* RDLENGTH beyond the end */
        out[7] = 1;
        memcpy(out + len, "\300\014\0\1\0\1\0\0\0\1\0\5\1\2\3\4", 16);
        len += 16;
    }
    world_plan(s, 10, UPSTREAM_REPLY, out, len);
    world_answer_after(s, 50);
}

START_TEST(what_is_not_the_reply_is_thrown_away)
{
    for (int kind = 0; kind <= 13; kind++) {
        restart(1);
        w->server = junk_then_right;
        w->server_ctx = &kind;
        struct asked *a = world_ask(w, 1, "abc.example", WIRE_TYPE_A);
        world_run_for(w, 1000);
        ck_assert_msg(a->answered, "kind %d", kind);
        ck_assert_uint_eq(asked_took(a), 50);
        ck_assert_uint_eq(asked_answers(a), 1);
        ck_assert_uint_eq(w->n_sent, 1);
    }
}
END_TEST

/* ---- stale ----------------------------------------------------------------------------------- */

static void fill_then_silence(void)
{
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 70000);
    w->server = silent;
}

START_TEST(stale_after_1800_ms_while_the_flight_goes_on)
{
    fill_then_silence();
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 2000);
    ck_assert_uint_eq(asked_took(a), FLIGHT_STALE_MS);
    ck_assert_uint_eq(asked_ttl(a), QUERY_STALE_TTL_S);
    struct flight_counts n;
    flight_count(core_flights(w->core), &n);
    ck_assert_uint_eq(n.under_way, 1);
    world_run_for(w, 4000);
    flight_count(core_flights(w->core), &n);
    ck_assert_uint_eq(n.under_way, 0);
}
END_TEST

START_TEST(stale_at_once_while_asking_would_only_fail_again)
{
    fill_then_silence();
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 6000);
    size_t sent = w->n_sent;
    struct asked *a = world_ask(w, 2, "a.example", WIRE_TYPE_A);
    ck_assert_uint_eq(asked_took(a), 0);
    ck_assert_uint_eq(asked_ttl(a), 30);
    ck_assert_uint_eq(w->n_sent, sent);
    world_run_for(w, 30000);
    world_ask(w, 2, "a.example", WIRE_TYPE_A);
    ck_assert_uint_gt(w->n_sent, sent);
}
END_TEST

START_TEST(stale_when_the_server_only_says_servfail)
{
    uint16_t servfail = WIRE_SERVFAIL;
    fill_then_silence();
    w->server = first_refuses;
    w->server_ctx = &servfail;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 100);
    ck_assert_uint_eq(asked_took(a), 40);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    ck_assert_uint_eq(asked_ttl(a), 30);
}
END_TEST

static void says_nxdomain(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    uint8_t out[WIRE_MESSAGE_MAX];
    size_t len = world_reply_start(s, WIRE_NXDOMAIN, out);
    len = world_add_soa(out, len, "example", 300, 120);
    world_plan(s, 40, UPSTREAM_REPLY, out, len);
}

START_TEST(nxdomain_replaces_the_stale_answer_at_once)
{
    fill_then_silence();
    w->server = says_nxdomain;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 100);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NXDOMAIN);
    w->server = silent;
    world_run_for(w, 119 * 1000);
    ck_assert_uint_eq(asked_took(world_ask(w, 1, "a.example", WIRE_TYPE_A)), 0);
    world_run_for(w, 2000);
    struct asked *b = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 5000);
    ck_assert_uint_eq(asked_rcode(b), WIRE_NXDOMAIN);
}
END_TEST

START_TEST(without_stale_ttl_there_is_none)
{
    world_free(w);
    w = world_create();
    w->conf.flight.stale_ms = 0;
    world_start(w, 1);
    fill_then_silence();
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 6000);
    ck_assert_uint_eq(asked_rcode(a), WIRE_SERVFAIL);
}
END_TEST

/* ---- servers that are odd, and firewalls -------------------------------------------------------
 */

static size_t opt_reply(const struct sent *s, uint16_t rcode, bool cookie, uint8_t *out)
{
    struct wire_query q;
    static const uint8_t server_cookie[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t ip[4] = {192, 0, 2, 9};
    ck_assert_int_eq(wire_parse_query(s->msg, s->len, &q), WIRE_QUERY_OK);
    size_t len = world_reply_start(s, rcode & 15, out);
    if (rcode == 0)
        len = world_add(out, len, 0, s->name, WIRE_TYPE_A, 60, ip, 4);
    const uint8_t opt[] = {0, 0, 41, 4, 208, (uint8_t)(rcode >> 4), 0, 0, 0, 0, 0};
    memcpy(out + len, opt, sizeof opt);
    len += sizeof opt;
    out[11] = 1;
    if (!cookie || q.edns.cookie == NULL)
        return len;
    const uint8_t option[] = {0, 10, 0, 16};
    out[len - 1] = 20;
    memcpy(out + len, option, 4);
    memcpy(out + len + 4, q.edns.cookie, 8);
    memcpy(out + len + 12, server_cookie, 8);
    return len + 20;
}

static void wants_cookies(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    struct wire_query q;
    uint8_t out[WIRE_MESSAGE_MAX];
    ck_assert_int_eq(wire_parse_query(s->msg, s->len, &q), WIRE_QUERY_OK);
    uint16_t rcode = q.edns.cookie_len > 8 ? WIRE_NOERROR : WIRE_BADCOOKIE;
    world_plan(s, 10, UPSTREAM_REPLY, out, opt_reply(s, rcode, true, out));
}

START_TEST(badcookie_is_mended_and_never_told_to_the_client)
{
    w->server = wants_cookies;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 1000);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    ck_assert_uint_eq(asked_took(a), 20);
    ck_assert_uint_eq(w->n_sent, 2);
}
END_TEST

/* Our cookie is never good enough over UDP. TCP is refused where there is a ctx. */
static void never_likes_cookies(struct world *world, struct sent *s, void *ctx)
{
    uint8_t out[WIRE_MESSAGE_MAX];
    (void)world;
    if (s->transport == UPSTREAM_UDP)
        world_plan(s, 10, UPSTREAM_REPLY, out, opt_reply(s, WIRE_BADCOOKIE, true, out));
    else if (ctx != NULL)
        world_plan(s, 10, UPSTREAM_REFUSED, NULL, 0);
    else
        world_answer_after(s, 10);
}

/* RFC 7873 5.3: there no cookie is needed. */
START_TEST(a_cookie_that_is_refused_again_leads_to_tcp)
{
    w->server = never_likes_cookies;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 1000);
    ck_assert_uint_eq(asked_took(a), 30);
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_uint_eq(sent_over(w, UPSTREAM_UDP), 2);
    ck_assert_uint_eq(sent_over(w, UPSTREAM_TCP), 1);
}
END_TEST

START_TEST(a_cookie_that_is_refused_for_ever_is_a_servfail)
{
    w->server = never_likes_cookies;
    w->server_ctx = w;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 6000);
    ck_assert_uint_eq(asked_rcode(a), WIRE_SERVFAIL); /* BADCOOKIE is between us and the server */
    ck_assert_uint_le(sent_over(w, UPSTREAM_UDP), FLIGHT_UDP_MAX);
    ck_assert_uint_eq(sent_over(w, UPSTREAM_TCP), 1);
}
END_TEST

START_TEST(where_our_own_address_is_not_known_questions_go_out_all_the_same)
{
    w->no_source = true;
    w->server = wants_cookies;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 1000);
    ck_assert_uint_eq(asked_answers(a), 1);
}
END_TEST

/* The client part of the cookie of the n-th message, and the length of all of it. */
static size_t cookie_sent(size_t n, uint8_t client_part[8])
{
    struct wire_query q;
    ck_assert_int_eq(wire_parse_query(w->sent[n]->msg, w->sent[n]->len, &q), WIRE_QUERY_OK);
    ck_assert_ptr_nonnull(q.edns.cookie);
    memcpy(client_part, q.edns.cookie, 8);
    return q.edns.cookie_len;
}

START_TEST(another_network_does_not_see_the_cookie_of_this_one)
{
    uint8_t home[8], away[8];
    w->server = wants_cookies;
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 2000);
    world_ask(w, 1, "b.example", WIRE_TYPE_A);
    world_run_for(w, 2000);
    ck_assert_uint_gt(cookie_sent(w->n_sent - 1, home), 8);
    w->source.ip[15] = 7;
    size_t before = w->n_sent;
    struct asked *a = world_ask(w, 1, "c.example", WIRE_TYPE_A);
    world_run_for(w, 2000);
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_uint_eq(cookie_sent(before, away), 8);
    ck_assert_mem_ne(home, away, 8);
    ck_assert_uint_gt(cookie_sent(w->n_sent - 1, home), 8);
    ck_assert_mem_eq(home, away, 8);
}
END_TEST

/* Gives cookies at first, then none; TCP is never answered. */
static void stops_cookies(struct world *world, struct sent *s, void *ctx)
{
    uint8_t out[WIRE_MESSAGE_MAX];
    (void)ctx;
    if (s->transport == UPSTREAM_UDP)
        world_plan(s, 10, UPSTREAM_REPLY, out, opt_reply(s, 0, world->n_sent == 1, out));
}

START_TEST(server_that_stops_giving_cookies_is_not_lost_behind_a_firewall)
{
    w->server = stops_cookies;
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 1000);
    struct asked *b = world_ask(w, 1, "b.example", WIRE_TYPE_A);
    world_run_for(w, 5000);
    ck_assert_uint_eq(asked_rcode(b), WIRE_NOERROR);
    struct asked *c = world_ask(w, 1, "c.example", WIRE_TYPE_A);
    world_run_for(w, 5000);
    ck_assert_uint_eq(asked_took(c), 10);
}
END_TEST

static void loses_case_and_drops_tcp(struct world *world, struct sent *s, void *ctx)
{
    if (s->transport == UPSTREAM_UDP)
        loses_case(world, s, ctx);
}

START_TEST(lost_case_behind_a_firewall_is_asked_in_small_letters)
{
    w->server = loses_case_and_drops_tcp;
    struct asked *a = world_ask(w, 1, "mixed.case.example", WIRE_TYPE_A);
    world_run_for(w, 5000);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    struct asked *b = world_ask(w, 1, "other.case.example", WIRE_TYPE_A);
    world_run_for(w, 5000);
    ck_assert_uint_eq(asked_took(b), 10);
}
END_TEST

static void only_fourth_is_reachable(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    if (s->server.ip[15] == 4)
        world_answer(s);
    else
        world_plan(s, 0, UPSTREAM_NOT_SENT, NULL, 0);
}

START_TEST(servers_without_a_route_do_not_use_up_the_messages)
{
    restart(4);
    w->server = only_fourth_is_reachable;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 1000);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    ck_assert_uint_eq(asked_took(a), 40);
    size_t before = w->n_sent;
    world_ask(w, 1, "b.example", WIRE_TYPE_A);
    world_run_for(w, 1000);
    ck_assert_uint_eq(w->n_sent, before + 1);
}
END_TEST

/* Has EDNS, but answers one name with FORMERR and nothing else. */
static void one_odd_answer(struct world *world, struct sent *s, void *ctx)
{
    uint8_t out[WIRE_MESSAGE_MAX];
    (void)world;
    (void)ctx;
    bool odd = strcmp(s->name, "odd.example") == 0 && has_opt(s);
    size_t len = odd ? world_reply_start(s, WIRE_FORMERR, out) : opt_reply(s, 0, false, out);
    if (!has_opt(s)) {
        out[11] = 0;
        len -= 11;
    }
    world_plan(s, 10, UPSTREAM_REPLY, out, len);
}

START_TEST(one_odd_answer_does_not_switch_edns_off)
{
    w->server = one_odd_answer;
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 100);
    struct asked *odd = world_ask(w, 1, "odd.example", WIRE_TYPE_A);
    world_run_for(w, 100);
    ck_assert_uint_eq(asked_rcode(odd), WIRE_NOERROR);
    world_ask(w, 1, "b.example", WIRE_TYPE_A);
    ck_assert(has_opt(w->sent[w->n_sent - 1]));
    world_run_for(w, 100);
}
END_TEST

/* It came without EDNS, and so without the signatures that its server has. */
START_TEST(what_a_server_answered_without_edns_once_is_not_kept_for_those_who_check_it)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 1, CLIENT_UDP);
    w->server = one_odd_answer;
    world_ask(w, 1, "a.example", WIRE_TYPE_A); /* it has EDNS */
    world_run_for(w, 100);
    for (uint16_t i = 0; i < 2; i++) {
        struct asked *a = world_ask_raw(w, &c, msg,
            world_question(msg, i, "odd.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, 1232, true));
        world_run_for(w, 100);
        ck_assert_uint_eq(asked_answers(a), 1);
        ck_assert_uint_eq(asked_took(a), 20);
    }
    ck_assert_uint_eq(sent_count(w, "odd.example", WIRE_TYPE_A), 4);
}
END_TEST

START_TEST(stale_when_there_is_no_server_any_more)
{
    fill_then_silence();
    servers_set(core_servers(w->core), NULL, 0, w->now_ms);
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    ck_assert_uint_eq(asked_took(a), 0);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    ck_assert_uint_eq(asked_ttl(a), 30);
}
END_TEST

START_TEST(stale_ttl_of_zero_holds_after_a_reload)
{
    fill_then_silence();
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 6000);
    w->conf.flight.stale_ms = 0;
    w->conf.query.serve_stale = false;
    ck_assert_int_eq(core_reconfigure(w->core, &w->conf), 0);
    struct asked *a = world_ask(w, 2, "a.example", WIRE_TYPE_A);
    world_run_for(w, 6000);
    ck_assert_uint_eq(asked_rcode(a), WIRE_SERVFAIL);
}
END_TEST

/* ---- what is not cached
 * -------------------------------------------------------------------------- */

static void no_soa(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    uint8_t out[WIRE_MESSAGE_MAX];
    world_plan(s, 40, UPSTREAM_REPLY, out, world_reply_start(s, WIRE_NXDOMAIN, out));
}

START_TEST(negative_without_soa_is_passed_on_and_not_cached)
{
    w->server = no_soa;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 100);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NXDOMAIN);
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 100);
    ck_assert_uint_eq(w->n_sent, 2);
}
END_TEST

static void nxdomain_without_soa(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    world_answer_rcode(s, WIRE_NXDOMAIN);
}

/* What may not be cached is not held for a client either (RFC 2308 5). */
START_TEST(a_prefetched_denial_without_soa_is_not_held)
{
    uint8_t key[WIRE_KEY_MAX], name[WIRE_NAME_MAX];
    struct wire_question q = {.name = name, .type = WIRE_TYPE_A, .class = WIRE_CLASS_IN};
    w->conf.flight.once_ms = 2000;
    ck_assert_int_eq(core_reconfigure(w->core, &w->conf), 0);
    w->server = nxdomain_without_soa;
    q.name_len = world_name("a.example", name);
    world_begin(w);
    ck_assert(flight_prefetch(core_flights(w->core), key, wire_key_write(&q, 0, key)));
    world_end(w);
    world_run_for(w, 100);
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    ck_assert_uint_eq(w->n_sent, 2);
    world_run_for(w, 100);
}
END_TEST

START_TEST(ttl_zero_is_for_those_who_wait_only)
{
    w->ttl_s = 0;
    world_begin(w);
    struct asked *a = world_ask_more(w, 1, "a.example", WIRE_TYPE_A);
    struct asked *b = world_ask_more(w, 2, "a.example", WIRE_TYPE_A);
    world_end(w);
    world_run_for(w, 40);
    ck_assert_uint_eq(asked_took(a), 40);
    ck_assert_uint_eq(asked_took(b), 40);
    world_ask(w, 1, "a.example", WIRE_TYPE_A);
    ck_assert_uint_eq(w->n_sent, 2);
}
END_TEST

/* ---- limits
 * -------------------------------------------------------------------------------------- */

START_TEST(one_client_may_wait_for_a_thousand)
{
    char name[32];
    w->server = silent;
    for (unsigned i = 0; i < QUERY_PER_CLIENT + 5; i++) {
        memcpy(name, "n0000.example", 14);
        for (unsigned k = 0, v = i; k < 4; k++, v /= 10)
            name[4 - k] = (char)('0' + v % 10);
        world_ask(w, 1, name, WIRE_TYPE_A);
    }
    ck_assert_uint_eq(query_waiting(core_desk(w->core)), QUERY_PER_CLIENT);
    struct asked *other = world_ask(w, 2, "n0001.example", WIRE_TYPE_A);
    ck_assert(!other->dropped);
    world_run_for(w, 5000);
    ck_assert_uint_eq(query_waiting(core_desk(w->core)), 0);
}
END_TEST

/* ---- what is told of it ---------------------------------------------------------------------- */

static void check_why(const struct asked *a, enum flight_why why, unsigned server)
{
    ck_assert_ptr_nonnull(a->end.flight);
    ck_assert_int_eq(a->flight.why, why);
    ck_assert_uint_eq(a->server.ip[15], server);
}

START_TEST(failures_tell_why_and_which_server)
{
    uint16_t rcode = WIRE_REFUSED;
    w->server = silent;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 5000);
    check_why(a, FLIGHT_WHY_SILENT, 1);

    restart(2);
    w->server = refusing;
    a = world_ask(w, 1, "b.example", WIRE_TYPE_A);
    world_run_for(w, 5000);
    check_why(a, FLIGHT_WHY_REFUSED, a->server.ip[15] == 1 ? 1 : 2);

    restart(1);
    w->server = first_refuses;
    w->server_ctx = &rcode;
    a = world_ask(w, 1, "c.example", WIRE_TYPE_A);
    world_run_for(w, 5000);
    check_why(a, FLIGHT_WHY_RCODE, 1);
    ck_assert_uint_eq(a->end.rcode, WIRE_REFUSED);
    struct asked *held = world_ask(w, 2, "c.example", WIRE_TYPE_A);
    ck_assert_ptr_null(held->end.flight);
}
END_TEST

static void no_route(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    world_plan(s, 0, UPSTREAM_NOT_SENT, NULL, 0);
}

START_TEST(what_this_machine_could_not_send_is_no_news_of_the_server)
{
    struct server_news news;
    w->server = no_route;
    for (unsigned i = 0; i < 8; i++)
        world_ask(w, i, "a.example", WIRE_TYPE_A);
    struct asked *a = world_ask(w, 9, "b.example", WIRE_TYPE_A);
    world_run_for(w, 5000);
    check_why(a, FLIGHT_WHY_UNSENT, 1);
    ck_assert(!servers_news(core_servers(w->core), w->now_ms, &news));
}
END_TEST

static void first_fails_second_silent(struct world *world, struct sent *s, void *ctx)
{
    if (s->server.ip[15] == 1)
        first_refuses(world, s, ctx);
}

START_TEST(an_error_of_a_server_is_told_and_not_the_silence_of_the_next)
{
    uint16_t rcode = WIRE_SERVFAIL;
    restart(2);
    w->server = first_fails_second_silent;
    w->server_ctx = &rcode;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 5000);
    check_why(a, FLIGHT_WHY_RCODE, 1);
}
END_TEST

START_TEST(going_over_to_tcp_is_told)
{
    w->server = truncating;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 500);
    ck_assert_int_eq(a->end.source, QUERY_UPSTREAM);
    ck_assert_int_eq(a->flight.why, FLIGHT_WHY_NONE);
    ck_assert_int_eq(a->flight.tcp, FLIGHT_TCP_TRUNCATED);
    ck_assert_uint_eq(a->tcp_server.ip[15], 1);
}
END_TEST

/* The server, asked by us, asks us the same. */
static struct asked *echo(unsigned delay_ms, unsigned server, bool dnssec_ok)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 9, CLIENT_UDP);
    static const uint8_t at[3] = {192, 0, 2};
    memcpy(c.peer.ip + 12, at, sizeof at);
    c.peer.ip[15] = (uint8_t)server;
    size_t len = world_question(
        msg, 99, "a.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, WIRE_UDP_MAX, dnssec_ok);
    world_run_for(w, delay_ms);
    world_begin(w);
    struct asked *a = world_ask_raw(w, &c, msg, len);
    world_end(w);
    return a;
}

/* n servers, which are clients too. */
static void start_among_servers(size_t n, world_server *server)
{
    static const struct addr_net all = {.ip = {[10] = 0xff, 0xff}, .prefix_len = 96};
    world_free(w);
    w = world_create();
    w->conf.query.allow = &all;
    w->conf.query.n_allow = 1;
    world_start(w, n);
    if (server != NULL)
        w->server = server;
}

static bool loop_told(
    world_server *server, unsigned delay_ms, unsigned from, bool dnssec_ok, bool others)
{
    start_among_servers(1, server);
    struct asked *a = others ? world_ask(w, 1, "a.example", WIRE_TYPE_A) : NULL;
    struct asked *echoed = echo(delay_ms, from, dnssec_ok);
    world_run_for(w, 5000);
    a = a != NULL ? a : echoed;
    ck_assert_ptr_nonnull(a->end.flight);
    return a->flight.looped != NULL;
}

START_TEST(server_that_asks_us_what_we_ask_it_is_a_loop)
{
    ck_assert(loop_told(silent, 5, 1, false, true));
    ck_assert(loop_told(silent, 5, 1, true, true)); /* it validates */
}
END_TEST

START_TEST(no_loop_where_another_asks_or_it_asks_late_or_is_answered)
{
    ck_assert(!loop_told(silent, 5, 2, false, true));
    ck_assert(!loop_told(silent, 250, 1, false, true));
    ck_assert(!loop_told(NULL, 5, 1, false, true));
    ck_assert(!loop_told(silent, 0, 1, true, false)); /* no echo of itself */
}
END_TEST

static void forward_to_this_machine(void)
{
    struct server_conf local = {.addr = {.ip = {[10] = 0xff, 0xff, 127, 0, 0, 53}, .port = 53}};
    servers_set(core_servers(w->core), &local, 1, w->now_ms);
}

static struct asked *ask_from_this_machine(uint16_t port, const char *name)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 9, CLIENT_UDP);
    c.peer = (struct addr){.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .port = port};
    size_t len =
        world_question(msg, 99, name, WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, WIRE_UDP_MAX, false);
    world_begin(w);
    struct asked *a = world_ask_raw(w, &c, msg, len);
    world_end(w);
    return a;
}

/* As systemd-resolved: it is asked at 127.0.0.53, and asks from 127.0.0.1. */
START_TEST(a_server_on_this_machine_may_ask_from_another_of_its_addresses)
{
    forward_to_this_machine();
    w->server = silent;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 5);
    ask_from_this_machine(4711, "a.example");
    world_run_for(w, 5000);
    ck_assert_ptr_nonnull(a->flight.looped);
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

static void deaf_to_the_first(struct world *world, struct sent *s, void *ctx)
{
    unsigned *n = ctx;
    (void)world;
    if ((*n)++ > 0)
        world_answer(s);
}

/* All of them may ask from its address. */
START_TEST(programs_beside_a_server_that_answers_are_no_loop)
{
    unsigned n = 0;
    forward_to_this_machine();
    ask_from_this_machine(4711, "known.example");
    world_run_for(w, 1000);
    w->server = deaf_to_the_first;
    w->server_ctx = &n;
    struct asked *a = ask_from_this_machine(4711, "a.example");
    world_run_for(w, 5);
    struct asked *b = ask_from_this_machine(4712, "a.example");
    world_run_for(w, 5000);
    ck_assert_uint_eq(sent_count(w, "a.example", WIRE_TYPE_A), 2);
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_uint_eq(asked_answers(b), 1);
}
END_TEST

/* The first of n servers asks us in turn, and repeats itself; all are silent. */
static struct asked *ask_in_a_circle(size_t n)
{
    start_among_servers(n, silent);
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    for (unsigned i = 0; i < 3; i++)
        echo(5, 1, false);
    world_run_for(w, 5000);
    return a;
}

START_TEST(a_server_that_waits_for_us_is_not_asked_again)
{
    struct asked *a = ask_in_a_circle(1);
    ck_assert_uint_eq(w->n_sent, 1);
    ck_assert_uint_eq(asked_rcode(a), WIRE_SERVFAIL);
    ck_assert_uint_eq(asked_took(a), FLIGHT_LIFE_MS);
    a = ask_in_a_circle(2);
    ck_assert_uint_eq(sent_to(w, 1), 1);
    ck_assert_uint_eq(sent_to(w, 2), FLIGHT_UDP_MAX - 1);
    ck_assert_uint_eq(asked_rcode(a), WIRE_SERVFAIL);
    ck_assert_uint_eq(a->flight.looped->ip[15], 1); /* and not the one that was silent last */
}
END_TEST

/* As whoever reads the warning would do. */
START_TEST(another_server_by_a_reload_is_asked_for_who_waits_in_a_circle)
{
    struct server_conf other = {.addr = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 7}, .port = 53}};
    start_among_servers(1, silent);
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    echo(5, 1, false);
    servers_set(core_servers(w->core), &other, 1, w->now_ms);
    w->server = ordinary;
    world_run_for(w, 1000);
    ck_assert_uint_eq(sent_to(w, 7), 1);
    ck_assert_uint_eq(asked_answers(a), 1);
}
END_TEST

/* It was another program at its address that asked. */
START_TEST(a_server_that_refuses_does_not_wait_for_us)
{
    start_among_servers(1, silent);
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    echo(5, 1, false);
    world_plan(w->sent[0], 5, UPSTREAM_REFUSED, NULL, 0);
    world_run_for(w, 5000);
    ck_assert_uint_eq(w->n_sent, FLIGHT_UDP_MAX);
    ck_assert_ptr_null(a->flight.looped);
}
END_TEST

/* Somebody guesses IDs, then a UDP answer of 7,000 bytes comes; TCP never answers. */
static void guessed_and_large(struct world *world, struct sent *s, void *ctx)
{
    static const uint8_t ip[4] = {192, 0, 2, 1};
    static uint8_t out[WIRE_MESSAGE_MAX];
    (void)ctx;
    if (s->transport == UPSTREAM_TCP)
        return;
    size_t len = world_reply_start(s, 0, out);
    for (int i = 0; i < 250; i++)
        len = world_add(out, len, 0, s->name, WIRE_TYPE_A, world->ttl_s, ip, 4);
    world_plan(s, 10, UPSTREAM_SUSPECT, NULL, 0);
    world_plan(s, 20, UPSTREAM_REPLY, out, len);
}

/* TCP has the last word in any case; so large a message is not kept for that long. */
static void guessed_and_huge(struct world *world, struct sent *s, void *ctx)
{
    static const uint8_t ip[4] = {192, 0, 2, 1};
    static uint8_t out[WIRE_MESSAGE_MAX];
    (void)ctx;
    if (s->transport == UPSTREAM_TCP) {
        world_plan(s, 60, UPSTREAM_REFUSED, NULL, 0);
        return;
    }
    size_t len = world_reply_start(s, 0, out);
    for (int i = 0; i < 600; i++)
        len = world_add(out, len, 0, s->name, WIRE_TYPE_A, world->ttl_s, ip, 4);
    world_plan(s, 10, UPSTREAM_SUSPECT, NULL, 0);
    world_plan(s, 20, UPSTREAM_REPLY, out, len);
}

START_TEST(what_is_too_large_to_be_set_aside_is_asked_for_again)
{
    w->server = guessed_and_huge;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 69);
    ck_assert(!a->answered);
    world_run_for(w, 6000);
    ck_assert(a->answered);
    ck_assert_uint_le(sent_over(w, UPSTREAM_UDP), FLIGHT_UDP_MAX);
    ck_assert_uint_eq(sent_over(w, UPSTREAM_TCP), 1);
    ck_assert(asked_truncated(a) || asked_rcode(a) == WIRE_SERVFAIL);
}
END_TEST

START_TEST(what_is_set_aside_is_bounded_in_all)
{
    char name[32];
    w->server = guessed_and_large;
    world_begin(w);
    for (unsigned i = 0; i < 900; i++) {
        snprintf(name, sizeof name, "n%u.example", i);
        world_ask_more(w, i % 4, name, WIRE_TYPE_A);
    }
    world_end(w);
    world_run_for(w, 100); /* core_check looks at the bytes after every turn */
    ck_assert_uint_eq(sent_over(w, UPSTREAM_TCP), 900);
    world_run_for(w, 6000);
    unsigned n_answered = 0;
    for (unsigned i = 0; i < 900; i++)
        n_answered += asked_answers(&w->asked[i]) > 0 || asked_truncated(&w->asked[i]);
    ck_assert_uint_ge(n_answered, 500); /* 4 MiB of them at least */
}
END_TEST

static void answer_with(struct sent *s, uint8_t last, uint64_t delay_ms)
{
    const uint8_t ip[4] = {192, 0, 2, last};
    uint8_t out[WIRE_MESSAGE_MAX];
    size_t len = world_reply_start(s, 0, out);
    len = world_add(out, len, 0, s->name, WIRE_TYPE_A, 60, ip, 4);
    world_plan(s, delay_ms, UPSTREAM_REPLY, out, len);
}

/* Somebody guesses IDs, and TCP refuses in the end. Meanwhile the second server answers, and then
 * the first one, which was silent so long. */
static void two_are_set_aside(struct world *world, struct sent *s, void *ctx)
{
    (void)ctx;
    if (s->transport == UPSTREAM_TCP) {
        world_plan(s, 60, UPSTREAM_REFUSED, NULL, 0);
    } else if (world->n_sent == 2) {
        world_plan(s, 1, UPSTREAM_SUSPECT, NULL, 0);
        answer_with(s, 2, 10);
        answer_with(world->sent[0], 1, 20);
    }
}

START_TEST(of_two_answers_that_wait_for_tcp_the_first_counts)
{
    restart(2);
    w->server = two_are_set_aside;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 2000);
    ck_assert_uint_eq(sent_over(w, UPSTREAM_UDP), 2);
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_uint_eq(a->answered_ms, w->sent[1]->sent_ms + 61);
    ck_assert_uint_eq(a->reply[a->len - 12], 2); /* before the OPT record */
}
END_TEST

/* ---- the way upstream is out of memory --------------------------------------------------------
 */

START_TEST(a_door_that_stays_shut_is_a_servfail_in_time)
{
    w->door_shut = true;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    ck_assert(!a->answered);
    world_run_for(w, 10000);
    ck_assert_uint_eq(asked_rcode(a), WIRE_SERVFAIL);
    ck_assert_uint_le(asked_took(a), FLIGHT_LIFE_MS);
    struct server_state state;
    ck_assert_int_eq(servers_state(core_servers(w->core), 0, w->now_ms, &state), 0);
    ck_assert_uint_eq(state.silent, 0); /* nobody asked it */
}
END_TEST

START_TEST(a_door_that_opens_again_is_tried_in_a_moment)
{
    w->door_shut = true;
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 10);
    w->door_shut = false;
    world_run_for(w, 1000);
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_uint_eq(asked_took(a), 340);
}
END_TEST

/* ---- a machine that slept -------------------------------------------------------------------- */

static void deaf_once(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    if (strcmp(s->name, "lost.example") != 0)
        world_answer(s);
}

START_TEST(an_hour_asleep_is_an_hour_for_what_is_cached_and_what_was_asked)
{
    struct server_state state;
    w->server = deaf_once;
    w->ttl_s = 7200;
    world_ask(w, 1, "long.example", WIRE_TYPE_A);
    world_run_for(w, 100);
    w->ttl_s = 60;
    world_ask(w, 1, "short.example", WIRE_TYPE_A);
    world_run_for(w, 100);
    struct asked *lost = world_ask(w, 1, "lost.example", WIRE_TYPE_A);
    w->now_ms += 3600 * 1000; /* no turn in between */
    world_begin(w);
    world_end(w);
    ck_assert(!lost->answered); /* its stub still waits, and so it is asked again */
    ck_assert_int_eq(servers_state(core_servers(w->core), 0, w->now_ms, &state), 0);
    ck_assert_uint_eq(state.silent, 0); /* that is no news of the server */
    struct asked *a = world_ask(w, 1, "long.example", WIRE_TYPE_A);
    ck_assert_uint_eq(asked_ttl(a), 3600);
    a = world_ask(w, 1, "short.example", WIRE_TYPE_A);
    struct asked *next = world_ask(w, 1, "next.example", WIRE_TYPE_A);
    world_run_for(w, 100);
    ck_assert_uint_eq(asked_took(a), 40);
    ck_assert_uint_eq(asked_ttl(a), 60);
    ck_assert_uint_eq(asked_took(next), 40);
}
END_TEST

/* An hour in which nothing runs, while CLOCK_BOOTTIME goes on. */
static void suspend(void)
{
    w->now_ms += 3600 * 1000;
    world_run_for(w, 0);
}

static void silent_at_first(struct world *world, struct sent *s, void *ctx)
{
    const uint64_t *awake_ms = ctx;
    if (world->now_ms >= *awake_ms)
        world_answer(s);
}

/* The stubs' own clocks stood still: they still wait. */
START_TEST(who_waited_before_a_suspend_is_asked_for_again)
{
    uint64_t awake_ms = w->now_ms + 1000;
    w->server = silent_at_first;
    w->server_ctx = &awake_ms;
    struct asked *a = world_ask(w, 1, "slept.example", WIRE_TYPE_A);
    struct asked *b = world_ask(w, 2, "slept.example", WIRE_TYPE_A);
    world_run_for(w, 100);
    suspend();
    ck_assert(!a->answered);
    world_run_for(w, 40);
    ck_assert(a->answered && b->answered);
    /* SECURITY 4: so late an answer has no records over UDP. The client comes by TCP, or again. */
    ck_assert(asked_truncated(a));
    struct asked *again = world_ask(w, 1, "slept.example", WIRE_TYPE_A);
    ck_assert_uint_eq(asked_took(again), 0);
    ck_assert_uint_eq(asked_answers(again), 1);
    ck_assert_uint_eq(sent_count(w, "slept.example", WIRE_TYPE_A), 2);
}
END_TEST

START_TEST(after_a_suspend_a_door_that_is_shut_is_tried_in_a_moment)
{
    uint64_t awake_ms = w->now_ms + 1000;
    w->server = silent_at_first;
    w->server_ctx = &awake_ms;
    struct asked *a = world_ask(w, 1, "slept.example", WIRE_TYPE_A);
    world_run_for(w, 100);
    w->door_shut = true;
    suspend();
    w->door_shut = false;
    world_run_for(w, 340);
    ck_assert(a->answered);
    ck_assert_uint_eq(sent_count(w, "slept.example", WIRE_TYPE_A), 2);
}
END_TEST

/* Whoever has the stale answer is not told again, though the flight begins anew. */
START_TEST(after_a_suspend_nobody_gets_the_stale_answer_twice)
{
    fill_then_silence();
    struct asked *a = world_ask(w, 1, "a.example", WIRE_TYPE_A);
    world_run_for(w, 2000);
    ck_assert_uint_eq(a->n_replies, 1);
    suspend();
    world_run_for(w, 2000);
    ck_assert_uint_eq(a->n_replies, 1);
    ck_assert_uint_gt(sent_count(w, "a.example", WIRE_TYPE_A), 2);
    struct asked *b = world_ask(w, 2, "a.example", WIRE_TYPE_A);
    world_run_for(w, 10000);
    ck_assert_uint_eq(a->n_replies, 1);
    ck_assert_uint_eq(b->n_replies, 1);
    ck_assert_uint_eq(asked_rcode(b), WIRE_NOERROR);
}
END_TEST

START_TEST(after_a_suspend_there_are_as_many_tries_as_before_and_no_more)
{
    w->server = silent;
    struct asked *a = world_ask(w, 1, "slept.example", WIRE_TYPE_A);
    world_run_for(w, 4000);
    ck_assert_uint_eq(sent_count(w, "slept.example", WIRE_TYPE_A), 3);
    suspend();
    world_run_for(w, FLIGHT_LIFE_MS);
    ck_assert_uint_eq(asked_rcode(a), WIRE_SERVFAIL);
    ck_assert_uint_eq(sent_count(w, "slept.example", WIRE_TYPE_A), 6);
}
END_TEST

START_TEST(a_suspend_ends_a_prefetch)
{
    uint8_t key[WIRE_KEY_MAX];
    uint8_t name[WIRE_NAME_MAX];
    struct wire_question q = {.name = name, .type = WIRE_TYPE_A, .class = 1};
    w->server = silent;
    q.name_len = world_name("ahead.example", name);
    size_t len = wire_key_write(&q, 0, key);
    ck_assert(flight_prefetch(core_flights(w->core), key, len));
    suspend();
    ck_assert(!flight_under_way(core_flights(w->core), key, len));
    ck_assert_uint_eq(sent_count(w, "ahead.example", WIRE_TYPE_A), 1);
}
END_TEST

static void add_tests(TCase *t)
{
    tcase_add_test(t, two_hundred_clients_one_question);
    tcase_add_test(t, second_question_is_from_the_cache);
    tcase_add_test(t, expired_is_asked_again);
    tcase_add_test(t, do_and_cd_are_other_questions);
    tcase_add_test(t, repeat_of_a_client_waits_once_and_nudges_once);
    tcase_add_test(t, silence_is_servfail_before_the_stub_gives_up);
    tcase_add_test(t, failure_is_remembered_longer_each_time);
    tcase_add_test(t, second_server_answers_for_a_silent_first);
    tcase_add_test(t, late_answer_to_the_first_message_counts);
    tcase_add_test(t, at_most_two_messages_may_be_answered);
    tcase_add_test(t, nobody_there_is_told_soon);
    tcase_add_test(t, no_server_at_all_is_servfail_at_once);
    tcase_add_test(t, error_of_one_server_asks_the_next);
    tcase_add_test(t, error_of_the_only_server_is_passed_on);
    tcase_add_test(t, an_answer_about_other_names_asks_the_next_server);
    tcase_add_test(t, server_without_edns_is_asked_without);
    tcase_add_test(t, truncated_goes_to_tcp_once_and_is_cached);
    tcase_add_test(t, truncated_for_ever_ends);
    tcase_add_test(t, guessed_ids_lead_to_tcp);
    tcase_add_test(t, udp_answer_counts_once_tcp_is_refused);
    tcase_add_test(t, udp_answer_that_waited_for_tcp_has_aged);
    tcase_add_test(t, lost_case_is_proven_over_tcp_and_remembered);
    tcase_add_test(t, lost_case_without_tcp_is_asked_in_small_letters);
    tcase_add_test(t, name_is_sent_in_mixed_case);
    tcase_add_test(t, what_is_not_the_reply_is_thrown_away);
    tcase_add_test(t, stale_after_1800_ms_while_the_flight_goes_on);
    tcase_add_test(t, stale_at_once_while_asking_would_only_fail_again);
    tcase_add_test(t, stale_when_the_server_only_says_servfail);
    tcase_add_test(t, nxdomain_replaces_the_stale_answer_at_once);
    tcase_add_test(t, without_stale_ttl_there_is_none);
    tcase_add_test(t, badcookie_is_mended_and_never_told_to_the_client);
    tcase_add_test(t, a_cookie_that_is_refused_again_leads_to_tcp);
    tcase_add_test(t, a_cookie_that_is_refused_for_ever_is_a_servfail);
    tcase_add_test(t, where_our_own_address_is_not_known_questions_go_out_all_the_same);
    tcase_add_test(t, another_network_does_not_see_the_cookie_of_this_one);
    tcase_add_test(t, server_that_stops_giving_cookies_is_not_lost_behind_a_firewall);
    tcase_add_test(t, lost_case_behind_a_firewall_is_asked_in_small_letters);
    tcase_add_test(t, servers_without_a_route_do_not_use_up_the_messages);
    tcase_add_test(t, one_odd_answer_does_not_switch_edns_off);
    tcase_add_test(t, what_a_server_answered_without_edns_once_is_not_kept_for_those_who_check_it);
    tcase_add_test(t, stale_when_there_is_no_server_any_more);
    tcase_add_test(t, stale_ttl_of_zero_holds_after_a_reload);
    tcase_add_test(t, negative_without_soa_is_passed_on_and_not_cached);
    tcase_add_test(t, a_prefetched_denial_without_soa_is_not_held);
    tcase_add_test(t, ttl_zero_is_for_those_who_wait_only);
    tcase_add_test(t, one_client_may_wait_for_a_thousand);
    tcase_add_test(t, failures_tell_why_and_which_server);
    tcase_add_test(t, what_this_machine_could_not_send_is_no_news_of_the_server);
    tcase_add_test(t, an_error_of_a_server_is_told_and_not_the_silence_of_the_next);
    tcase_add_test(t, going_over_to_tcp_is_told);
    tcase_add_test(t, server_that_asks_us_what_we_ask_it_is_a_loop);
    tcase_add_test(t, what_is_too_large_to_be_set_aside_is_asked_for_again);
    tcase_add_test(t, what_is_set_aside_is_bounded_in_all);
    tcase_add_test(t, of_two_answers_that_wait_for_tcp_the_first_counts);
    tcase_add_test(t, a_door_that_stays_shut_is_a_servfail_in_time);
    tcase_add_test(t, a_door_that_opens_again_is_tried_in_a_moment);
    tcase_add_test(t, an_hour_asleep_is_an_hour_for_what_is_cached_and_what_was_asked);
    tcase_add_test(t, a_server_on_this_machine_may_ask_from_another_of_its_addresses);
    tcase_add_test(t, programs_beside_a_server_that_answers_are_no_loop);
    tcase_add_test(t, a_server_that_waits_for_us_is_not_asked_again);
    tcase_add_test(t, another_server_by_a_reload_is_asked_for_who_waits_in_a_circle);
    tcase_add_test(t, a_server_that_refuses_does_not_wait_for_us);
    tcase_add_test(t, no_loop_where_another_asks_or_it_asks_late_or_is_answered);
    tcase_add_test(t, who_waited_before_a_suspend_is_asked_for_again);
    tcase_add_test(t, after_a_suspend_a_door_that_is_shut_is_tried_in_a_moment);
    tcase_add_test(t, after_a_suspend_nobody_gets_the_stale_answer_twice);
    tcase_add_test(t, after_a_suspend_there_are_as_many_tries_as_before_and_no_more);
    tcase_add_test(t, a_suspend_ends_a_prefetch);
}

int main(void)
{
    Suite *s = suite_create("replay/flight");
    TCase *t = tcase_create("flight");
    tcase_add_checked_fixture(t, setup, teardown);
    add_tests(t);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
