/* cookie.c: clients that send DNS cookies, and what they get back, on virtual time.
 * Knows the core by the replay world; never sockets. */
#include "cookie.h"
#include "tests/replay/world.h"

#include <check.h>
#include <string.h>

#define OPTION_COOKIE 10

static struct world *w;

static uint8_t sent_cookie[40] = {0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57, 1};

static void setup(void)
{
    w = world_create();
    world_start(w, 1);
}

static void teardown(void)
{
    world_free(w);
}

/* Adds a COOKIE option to a question with EDNS. Returns its length. */
static size_t add_cookie(uint8_t *msg, size_t len, size_t cookie_len)
{
    msg[len - 1] = (uint8_t)(4 + cookie_len); /* RDLENGTH */
    msg[len++] = 0;
    msg[len++] = OPTION_COOKIE;
    msg[len++] = 0;
    msg[len++] = (uint8_t)cookie_len;
    memcpy(msg + len, sent_cookie, cookie_len);
    return len + cookie_len;
}

static struct asked *ask(unsigned client, enum client_transport transport, const char *name,
    uint16_t edns, size_t cookie_len)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, client, transport);
    size_t len = world_question(
        msg, (uint16_t)(w->n_asked + 1), name, WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, edns, false);
    if (cookie_len > 0)
        len = add_cookie(msg, len, cookie_len);
    world_begin(w);
    struct asked *a = world_ask_raw(w, &c, msg, len);
    world_end(w);
    return a;
}

/* The COOKIE option of a reply; NULL: none. */
static const uint8_t *cookie_of(const struct asked *a)
{
    struct wire_view opt;
    if (!asked_opt(a, &opt))
        return NULL;
    const uint8_t *at = a->reply + opt.rdata_at, *end = at + opt.rdata_len;
    while (at < end && at[1] != OPTION_COOKIE)
        at += 4 + at[3];
    if (at >= end)
        return NULL;
    ck_assert_uint_eq(at[3], COOKIE_LEN);
    return at + 4;
}

static void has_cookie(const struct asked *a)
{
    const uint8_t *cookie = cookie_of(a);
    ck_assert_ptr_nonnull(cookie);
    ck_assert_mem_eq(cookie, sent_cookie, COOKIE_CLIENT_LEN);
    ck_assert_uint_eq(cookie[8], 1); /* version */
    uint32_t then_s = (uint32_t)cookie[12] << 24 | (uint32_t)cookie[13] << 16 |
                      (uint32_t)cookie[14] << 8 | cookie[15];
    ck_assert_uint_eq(then_s, (uint32_t)(w->wall_s + a->answered_ms / 1000));
}

START_TEST(a_cookie_comes_back_with_ours_however_the_question_is_answered)
{
    world_poison(w, "own.example A 192.0.2.9\nno.example refused\n");
    static const char *const names[] = {
        "new.example", "new.example", "own.example", "no.example", "localhost"};
    for (int transport = CLIENT_UDP; transport <= CLIENT_TCP; transport++) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            struct asked *a = ask(1, (enum client_transport)transport, names[i], 1232, 8);
            world_run_for(w, 1500);
            has_cookie(a);
        }
    }
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

START_TEST(without_a_cookie_none_comes_back)
{
    for (int i = 0; i < 2; i++) {
        struct asked *a = ask(1, CLIENT_UDP, "new.example", 1232, 0);
        world_run_for(w, 100);
        ck_assert_uint_eq(asked_answers(a), 1);
        ck_assert_ptr_null(cookie_of(a));
    }
}
END_TEST

START_TEST(a_server_cookie_of_anybody_gets_the_answer_and_a_fresh_one)
{
    static const size_t lengths[] = {16, 24, 40};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct asked *a = ask(1, CLIENT_UDP, "new.example", 1232, lengths[i]);
        world_run_for(w, 100);
        ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
        ck_assert_uint_eq(asked_answers(a), 1);
        has_cookie(a);
    }
}
END_TEST

/* RFC 9018 4.3: seconds since 1970. Of our own clock, which runs since the machine was started,
 * nobody hears (has_cookie compares). */
START_TEST(a_cookie_is_of_the_time_of_day)
{
    has_cookie(ask(1, CLIENT_UDP, "localhost", 1232, 8));
    world_run_for(w, 90 * 1000);
    has_cookie(ask(1, CLIENT_UDP, "localhost", 1232, 8));
    w->wall_s = UINT32_MAX - 1100; /* in 2106 the number begins again */
    has_cookie(ask(1, CLIENT_UDP, "localhost", 1232, 8));
    world_run_for(w, 20 * 1000);
    has_cookie(ask(1, CLIENT_UDP, "localhost", 1232, 8));
}
END_TEST

/* RFC 9018 4.3 lets a server take cookies that are up to an hour old and 5 minutes ahead: here who
 * shows one gets the answer with any, across each jump of the clock, and a new one. */
START_TEST(a_clock_that_jumps_costs_nobody_an_answer)
{
    static const int jumps_s[] = {300, 301, 3600, 3601, 86400, -300, -301, -86400, INT32_MAX};
    for (size_t i = 0; i < sizeof jumps_s / sizeof jumps_s[0]; i++) {
        struct asked *before = ask(1, CLIENT_UDP, "own.example", 1232, 8);
        world_run_for(w, 100);
        has_cookie(before);
        memcpy(sent_cookie, cookie_of(before), COOKIE_LEN);
        w->wall_s += (uint32_t)jumps_s[i];
        struct asked *a = ask(1, CLIENT_UDP, "own.example", 1232, COOKIE_LEN);
        ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
        ck_assert_uint_eq(asked_answers(a), 1);
        has_cookie(a);
        ck_assert_mem_ne(cookie_of(a), sent_cookie, COOKIE_LEN);
    }
}
END_TEST

/* The seed of the cookies is another one then. */
START_TEST(a_restart_costs_nobody_an_answer)
{
    struct asked *before = ask(1, CLIENT_UDP, "own.example", 1232, 8);
    world_run_for(w, 100);
    memcpy(sent_cookie, cookie_of(before), COOKIE_LEN);
    core_free(w->core, w->now_ms);
    world_start(w, 1);
    struct asked *a = ask(1, CLIENT_UDP, "own.example", 1232, COOKIE_LEN);
    world_run_for(w, 100);
    ck_assert_uint_eq(asked_answers(a), 1);
    has_cookie(a);
    ck_assert_mem_ne(cookie_of(a) + 16, sent_cookie + 16, 8);
}
END_TEST

START_TEST(a_cookie_of_another_length_is_formerr)
{
    static const size_t lengths[] = {1, 7, 9, 15, 41};
    uint8_t msg[WIRE_QUERY_MAX];
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (int transport = CLIENT_UDP; transport <= CLIENT_TCP; transport++) {
            struct client c = world_client(w, 1, (enum client_transport)transport);
            size_t len = world_question(
                msg, 1, "a.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, 1232, false);
            msg[len] = 0; /* the byte behind the longest cookie */
            len = add_cookie(msg, len, lengths[i] > 40 ? 40 : lengths[i]);
            if (lengths[i] > 40) {
                msg[len - 40 - 1]++; /* OPTION-LENGTH, RDLENGTH */
                msg[len - 40 - 5]++;
                msg[len++] = 0;
            }
            world_begin(w);
            struct asked *a = world_ask_raw(w, &c, msg, len);
            world_end(w);
            ck_assert_uint_eq(asked_rcode(a), WIRE_FORMERR);
            struct wire_view opt;
            ck_assert(!asked_opt(a, &opt));
        }
    }
}
END_TEST

START_TEST(clients_have_cookies_of_their_own)
{
    struct asked *one = ask(1, CLIENT_UDP, "new.example", 1232, 8);
    struct asked *two = ask(2, CLIENT_UDP, "new.example", 1232, 8);
    world_run_for(w, 100);
    has_cookie(one);
    has_cookie(two);
    ck_assert_mem_ne(cookie_of(one) + 16, cookie_of(two) + 16, 8);
    struct asked *again = ask(1, CLIENT_UDP, "new.example", 1232, 8);
    ck_assert_mem_eq(cookie_of(one), cookie_of(again), COOKIE_LEN);
}
END_TEST

START_TEST(a_client_that_asks_nothing_but_a_cookie_gets_one)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 1, CLIENT_UDP);
    size_t len = world_question(msg, 0x1234, "", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, 1232, false);
    memmove(msg + WIRE_HEADER_LEN, msg + WIRE_HEADER_LEN + 5, len - WIRE_HEADER_LEN - 5);
    msg[5] = 0; /* QDCOUNT */
    len -= 5;
    world_begin(w);
    struct asked *without = world_ask_raw(w, &c, msg, len);
    struct asked *a = world_ask_raw(w, &c, msg, add_cookie(msg, len, 8));
    world_end(w);
    ck_assert_uint_eq(asked_rcode(without), WIRE_FORMERR);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    has_cookie(a);
    ck_assert_uint_eq(a->len, WIRE_HEADER_LEN + 11 + 4 + COOKIE_LEN);
    ck_assert_mem_eq(a->reply + 4, "\0\0\0\0\0\0\0\1", 8);
}
END_TEST

/* An answer of so many records. */
static void large_server(struct world *world, struct sent *s, void *ctx)
{
    static const uint8_t ip[4] = {192, 0, 2, 1};
    uint8_t out[WIRE_MESSAGE_MAX];
    size_t len = world_reply_start(s, 0, out);
    for (unsigned i = *(const unsigned *)ctx; i > 0; i--)
        len = world_add(out, len, 0, s->name, WIRE_TYPE_A, world->ttl_s, ip, 4);
    world_plan(s, world->rtt_ms, UPSTREAM_REPLY, out, len);
}

START_TEST(a_cookie_is_never_left_out_for_want_of_room)
{
    /* Header and question 27 bytes, 18 records of 25, OPT 11: 488 of 512. */
    static unsigned n_records = 18;
    w->server = large_server;
    w->server_ctx = &n_records;
    struct asked *plain = ask(1, CLIENT_UDP, "a.example", 512, 0);
    world_run_for(w, 100);
    ck_assert(!asked_truncated(plain));
    ck_assert_uint_gt(plain->len + 4 + COOKIE_LEN, 512);
    struct asked *a = ask(1, CLIENT_UDP, "a.example", 512, 8);
    ck_assert(asked_truncated(a));
    has_cookie(a);
    struct asked *tcp = ask(1, CLIENT_TCP, "a.example", 512, 8);
    ck_assert(!asked_truncated(tcp));
    has_cookie(tcp);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("replay/cookie");
    TCase *t = tcase_create("cookie");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_cookie_comes_back_with_ours_however_the_question_is_answered);
    tcase_add_test(t, without_a_cookie_none_comes_back);
    tcase_add_test(t, a_server_cookie_of_anybody_gets_the_answer_and_a_fresh_one);
    tcase_add_test(t, a_cookie_is_of_the_time_of_day);
    tcase_add_test(t, a_clock_that_jumps_costs_nobody_an_answer);
    tcase_add_test(t, a_restart_costs_nobody_an_answer);
    tcase_add_test(t, a_cookie_of_another_length_is_formerr);
    tcase_add_test(t, clients_have_cookies_of_their_own);
    tcase_add_test(t, a_client_that_asks_nothing_but_a_cookie_gets_one);
    tcase_add_test(t, a_cookie_is_never_left_out_for_want_of_room);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
