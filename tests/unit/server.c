/* server.c: which server is asked, after what it did. */
#include "server.h"

#include <check.h>
#include <string.h>

static const uint8_t seed[SERVER_SEED_LEN] = {7};
static struct servers *s;
static uint64_t now;

static struct server_conf conf_of(unsigned n)
{
    return (struct server_conf){
        .addr = {.ip = {[10] = 0xff, 0xff, 192, 0, (uint8_t)(n >> 8), (uint8_t)n}, .port = 53}};
}

static void set(unsigned first, unsigned n)
{
    struct server_conf list[40] = {0};
    for (unsigned i = 0; i < n; i++)
        list[i] = conf_of(first + i);
    servers_set(s, list, n, now);
}

static void setup(void)
{
    now = 100000;
    s = servers_create(seed);
    ck_assert_ptr_nonnull(s);
    set(1, 3);
}

static void teardown(void)
{
    servers_free(s);
}

static unsigned number_of(int server)
{
    return server_addr(s, server)->ip[15];
}

/* Whether one server at least is not left alone. */
static bool any_sound(uint64_t now_ms)
{
    struct server_state state;
    for (size_t i = 0; servers_state(s, i, now_ms, &state) == 0; i++)
        if (!state.left_alone)
            return true;
    return false;
}

START_TEST(without_servers_there_is_none_to_pick)
{
    set(1, 0);
    ck_assert_uint_eq(servers_count(s), 0);
    ck_assert_int_eq(servers_pick(s, 0, now), -1);
    ck_assert(!any_sound(now));
}
END_TEST

START_TEST(unknown_servers_are_asked_in_their_order)
{
    int a = servers_pick(s, 0, now);
    int b = servers_pick(s, 1U << a, now);
    int c = servers_pick(s, 1U << a | 1U << b, now);
    ck_assert_uint_eq(number_of(a), 1);
    ck_assert_uint_eq(number_of(b), 2);
    ck_assert_uint_eq(number_of(c), 3);
    ck_assert_int_eq(servers_pick(s, 1U << a | 1U << b | 1U << c, now), a);
}
END_TEST

START_TEST(the_fastest_is_asked)
{
    int a = servers_pick(s, 0, now), b = servers_pick(s, 1U << a, now);
    server_answered(s, a, 90, now);
    server_answered(s, b, 20, now);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(servers_pick(s, 0, now), b);
}
END_TEST

START_TEST(now_and_then_another_is_tried)
{
    int a = servers_pick(s, 0, now);
    unsigned others = 0;
    server_answered(s, a, 5, now);
    for (int i = 0; i < 1000; i++)
        others += servers_pick(s, 0, now) != a;
    ck_assert_uint_eq(others, 10);
}
END_TEST

/* RFC 6298 2 by hand: first sample 100: SRTT 100, RTTVAR 50, timeout 300. Second sample 200:
 * RTTVAR 3/4 * 50 + 1/4 * 100 = 62.5, SRTT 7/8 * 100 + 1/8 * 200 = 112.5: 112 + 250 = 362. */
START_TEST(timeout_is_smoothed_round_trip_and_variation)
{
    int a = servers_pick(s, 0, now);
    ck_assert_uint_eq(server_timeout_ms(s, a), 600);
    server_answered(s, a, 100, now);
    ck_assert_uint_eq(server_timeout_ms(s, a), 300);
    server_answered(s, a, 200, now);
    ck_assert_uint_eq(server_timeout_ms(s, a), 362);
}
END_TEST

START_TEST(timeout_stays_within_its_bounds)
{
    int a = servers_pick(s, 0, now);
    for (int i = 0; i < 100; i++)
        server_answered(s, a, 0, now);
    ck_assert_uint_eq(server_timeout_ms(s, a), 300);
    for (int i = 0; i < 100; i++)
        server_answered(s, a, UINT64_MAX, now);
    ck_assert_uint_eq(server_timeout_ms(s, a), 1500);
}
END_TEST

START_TEST(silent_server_loses_its_place_and_is_left_alone_and_probed_once)
{
    int a = servers_pick(s, 0, now), b = servers_pick(s, 1U << a, now);
    server_answered(s, a, 10, now);
    server_answered(s, b, 20, now);
    server_silent(s, a, now);
    ck_assert_int_eq(servers_pick(s, 0, now), b);
    for (int i = 0; i < 3; i++)
        server_silent(s, a, now);
    struct server_state state;
    ck_assert_int_eq(servers_state(s, 0, now, &state), 0);
    ck_assert(state.left_alone);
    ck_assert_uint_eq(state.silent, 4);
    ck_assert_int_eq(servers_state(s, 0, now + 1000, &state), 0);
    ck_assert(!state.left_alone);
    now += 1000;
    server_silent(s, b, now);
    for (int i = 0; i < 3; i++)
        server_silent(s, b, now);
    int c = servers_pick(s, 1U << b, now); /* the third server and the one whose time is over */
    ck_assert_int_ne(c, b);
}
END_TEST

START_TEST(sound_is_who_has_answered_and_is_not_left_alone)
{
    int a = servers_pick(s, 0, now);
    ck_assert(!server_is_sound(s, a));
    server_answered(s, a, 20, now);
    for (unsigned i = 1; i < SERVER_SILENCES_MAX; i++)
        server_silent(s, a, now);
    ck_assert(server_is_sound(s, a));
    server_silent(s, a, now);
    ck_assert(!server_is_sound(s, a));
    server_answered(s, a, 20, now + 60000);
    ck_assert(server_is_sound(s, a));
}
END_TEST

START_TEST(time_alone_doubles_up_to_a_minute)
{
    static const uint64_t alone_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    set(1, 1);
    int a = servers_pick(s, 0, now);
    for (size_t i = 0; i < sizeof alone_ms / sizeof alone_ms[0]; i++) {
        server_refused(s, a, now);
        ck_assert(!any_sound(now + alone_ms[i] - 1));
        ck_assert(any_sound(now + alone_ms[i]));
        now += alone_ms[i];
        ck_assert_int_eq(servers_pick(s, 0, now), a); /* the probe */
    }
    server_answered(s, a, 10, now);
    ck_assert(any_sound(now));
    server_refused(s, a, now);
    ck_assert(any_sound(now + 1000));
}
END_TEST

START_TEST(many_silences_at_once_count_as_one_period)
{
    int a = servers_pick(s, 0, now);
    for (int i = 0; i < 500; i++)
        server_silent(s, a, now);
    struct server_state state;
    ck_assert_int_eq(servers_state(s, 0, now + 1000, &state), 0);
    ck_assert(!state.left_alone);
}
END_TEST

START_TEST(all_left_alone_are_still_asked)
{
    for (int i = 0; i < 3; i++)
        server_refused(s, servers_pick(s, 0, now), now);
    ck_assert(!any_sound(now));
    ck_assert_int_ge(servers_pick(s, 0, now), 0);
}
END_TEST

START_TEST(a_reload_keeps_what_is_known)
{
    int b = servers_pick(s, 1, now);
    server_answered(s, b, 20, now);
    set(2, 3); /* 2, 3, 4 */
    ck_assert_uint_eq(servers_count(s), 3);
    int best = servers_pick(s, 0, now);
    ck_assert_int_eq(best, b);
    ck_assert_uint_eq(number_of(best), 2);
}
END_TEST

START_TEST(a_number_is_not_given_away_while_it_may_be_held)
{
    int a = servers_pick(s, 0, now);
    set(11, 16);
    set(41, 16);
    ck_assert_uint_eq(number_of(a), 1);
    now += SERVER_KEPT_MS;
    set(71, 16);
    ck_assert_uint_eq(servers_count(s), 16);
}
END_TEST

START_TEST(named_twice_is_one_and_too_many_are_cut)
{
    struct server_conf twice[2] = {conf_of(9), conf_of(9)};
    servers_set(s, twice, 2, now);
    ck_assert_uint_eq(servers_count(s), 1);
    set(100, 30);
    ck_assert_uint_eq(servers_count(s), SERVERS_MAX);
}
END_TEST

START_TEST(a_prefetch_never_probes)
{
    set(1, 2);
    int a = servers_pick_sound(s, now), b;
    ck_assert_uint_eq(number_of(a), 1);
    server_refused(s, a, now);
    b = servers_pick_sound(s, now);
    ck_assert_uint_eq(number_of(b), 2);
    server_refused(s, b, now);
    ck_assert_int_eq(servers_pick_sound(s, now), -1);
    ck_assert_int_eq(servers_pick_sound(s, now + 60000), -1); /* until a client's question did */
    server_answered(s, b, 10, now + 60000);
    ck_assert_int_eq(servers_pick_sound(s, now + 60000), b);
}
END_TEST

START_TEST(a_server_with_edns_does_not_lose_it_to_one_odd_answer)
{
    int a = servers_pick(s, 0, now);
    ck_assert(!server_has_edns(s, a));
    server_note_edns(s, a);
    server_lacks_edns(s, a, now);
    ck_assert(server_has_edns(s, a) && server_takes_edns(s, a, now));
}
END_TEST

START_TEST(lost_abilities_are_tried_again_after_an_hour)
{
    int a = servers_pick(s, 0, now);
    ck_assert(server_takes_edns(s, a, now) && server_keeps_case(s, a, now));
    server_lacks_edns(s, a, now);
    server_loses_case(s, a, now);
    ck_assert(!server_takes_edns(s, a, now + 3599999));
    ck_assert(!server_keeps_case(s, a, now + 3599999));
    ck_assert(server_takes_edns(s, a, now + 3600000));
    ck_assert(server_keeps_case(s, a, now + 3600000));
}
END_TEST

START_TEST(cookies_are_sent_back_and_checked)
{
    uint8_t sent[SERVER_COOKIE_MAX], other[SERVER_COOKIE_MAX], full[40];
    int a = servers_pick(s, 0, now), b = servers_pick(s, 1U << a, now);
    ck_assert_uint_eq(server_cookie(s, a, sent), 8);
    ck_assert_uint_eq(server_cookie(s, b, other), 8);
    ck_assert(memcmp(sent, other, 8) != 0);
    ck_assert_int_eq(server_check_cookie(s, a, NULL, 0), SERVER_COOKIE_FINE);
    ck_assert_int_eq(server_check_cookie(s, a, other, 8), SERVER_COOKIE_WRONG);
    ck_assert_int_eq(server_check_cookie(s, a, sent, 7), SERVER_COOKIE_WRONG);

    memcpy(full, sent, 8);
    memset(full + 8, 0xaa, 32);
    ck_assert_int_eq(server_check_cookie(s, a, full, 40), SERVER_COOKIE_FINE);
    server_note_cookie(s, a, full, 40);
    ck_assert_uint_eq(server_cookie(s, a, sent), 40);
    ck_assert_mem_eq(sent, full, 40);
    ck_assert_int_eq(server_check_cookie(s, a, NULL, 0), SERVER_COOKIE_MISSING);
    ck_assert_int_eq(server_check_cookie(s, a, full, 24), SERVER_COOKIE_FINE);

    server_note_cookie(s, a, NULL, 0); /* it has stopped, as was learned over TCP */
    ck_assert_int_eq(server_check_cookie(s, a, NULL, 0), SERVER_COOKIE_FINE);
    ck_assert_uint_eq(server_cookie(s, a, sent), 8);
}
END_TEST

/* Else its replies without one would not count. */
START_TEST(a_server_that_adds_nothing_to_our_cookie_gives_none)
{
    uint8_t sent[SERVER_COOKIE_MAX], long_one[SERVER_COOKIE_MAX + 1] = {0};
    int a = servers_pick(s, 0, now);
    server_cookie(s, a, sent);
    server_note_cookie(s, a, sent, 8);
    ck_assert_int_eq(server_check_cookie(s, a, NULL, 0), SERVER_COOKIE_FINE);
    server_note_cookie(s, a, long_one, sizeof long_one); /* more than RFC 7873 allows for */
    ck_assert_uint_eq(server_cookie(s, a, sent), 8);
}
END_TEST

START_TEST(another_network_sees_another_cookie)
{
    uint8_t first[SERVER_COOKIE_MAX], second[SERVER_COOKIE_MAX], third[SERVER_COOKIE_MAX];
    uint8_t full[16] = {0};
    struct addr home = {.ip = {[10] = 0xff, 0xff, 192, 168, 1, 2}}, away = {.ip = {0xfd}};
    int a = servers_pick(s, 0, now);
    ck_assert(server_source_is_due(s, a, now));
    server_note_source(s, a, &home, now);
    ck_assert(!server_source_is_due(s, a, now + SERVER_SOURCE_MS - 1));
    ck_assert(server_source_is_due(s, a, now + SERVER_SOURCE_MS));
    server_cookie(s, a, first);
    memcpy(full, first, 8);
    server_note_cookie(s, a, full, 16);
    home.port = 77; /* is another one each time */
    server_note_source(s, a, &home, now + 1000);
    ck_assert_uint_eq(server_cookie(s, a, second), 16);
    ck_assert_mem_eq(first, second, 8);

    server_note_source(s, a, &away, now + 2000);
    ck_assert_uint_eq(server_cookie(s, a, second), 8);
    ck_assert_mem_ne(first, second, 8);
    /* The server's part was that of another, perhaps. */
    ck_assert_int_eq(server_check_cookie(s, a, NULL, 0), SERVER_COOKIE_FINE);
    ck_assert_int_eq(server_check_cookie(s, a, full, 16), SERVER_COOKIE_WRONG);
    server_note_source(s, a, &home, now + 3000);
    server_cookie(s, a, third);
    ck_assert_mem_ne(first, third, 8);
    ck_assert_mem_ne(second, third, 8);
}
END_TEST

START_TEST(states_come_in_the_order_of_the_list)
{
    struct server_state state;
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(servers_state(s, i, now, &state), 0);
        ck_assert_uint_eq(state.addr.ip[15], i + 1);
    }
    ck_assert_int_eq(servers_state(s, 3, now, &state), -1);
}
END_TEST

/* ---- what is told ---------------------------------------------------------------------------- */

/* The next piece of news must be this, of server n. */
static void told(enum server_news_kind kind, unsigned n)
{
    struct server_news news;
    ck_assert_uint_le(servers_news_ms(s), now);
    ck_assert(servers_news(s, now, &news));
    ck_assert_int_eq(news.kind, kind);
    ck_assert_uint_eq(news.addr.ip[15], n);
}

static void nothing_told(void)
{
    struct server_news news;
    ck_assert(!servers_news(s, now, &news));
    ck_assert_uint_gt(servers_news_ms(s), now);
}

START_TEST(a_server_that_falls_silent_is_told_once_and_its_return_once)
{
    nothing_told();
    ck_assert_uint_eq(servers_news_ms(s), SERVER_NO_NEWS);
    int a = servers_pick(s, 0, now);
    for (int i = 0; i < 3; i++)
        server_silent(s, a, now);
    nothing_told();
    server_silent(s, a, now);
    told(SERVER_FELL_SILENT, 1);
    nothing_told();
    for (int hour = 0; hour < 60; hour++) { /* each probe is silent too */
        now += 60000;
        ck_assert_int_eq(servers_pick(s, 6, now), a);
        server_silent(s, a, now);
        nothing_told();
    }
    server_answered(s, a, 20, now);
    told(SERVER_CAME_BACK, 1);
    server_answered(s, a, 20, now);
    nothing_told();
    ck_assert_uint_eq(servers_news_ms(s), SERVER_NO_NEWS);
}
END_TEST

START_TEST(where_nobody_is_that_is_told)
{
    int a = servers_pick(s, 0, now), b = servers_pick(s, 1U << a, now);
    server_refused(s, a, now);
    for (int i = 0; i < 4; i++)
        server_silent(s, b, now);
    told(SERVER_NOBODY_THERE, 1);
    told(SERVER_FELL_SILENT, 2);
    nothing_told();
}
END_TEST

START_TEST(a_server_that_flaps_is_told_gone_and_back_once_in_ten_seconds)
{
    unsigned lines = 0;
    uint64_t start = now;
    set(1, 1);
    int a = servers_pick(s, 0, now);
    for (; now < start + 100000; now += 500) {
        struct server_news news;
        if (now / 500 % 2 == 0)
            server_refused(s, a, now);
        else
            server_answered(s, a, 20, now);
        lines += servers_news(s, now, &news);
    }
    ck_assert_uint_eq(lines, 20); /* gone and back */
}
END_TEST

START_TEST(a_going_held_back_is_told_when_its_time_has_come)
{
    set(1, 1);
    int a = servers_pick(s, 0, now);
    server_refused(s, a, now);
    told(SERVER_NOBODY_THERE, 1);
    now += 1;
    server_answered(s, a, 20, now);
    told(SERVER_CAME_BACK, 1);
    server_refused(s, a, now);
    nothing_told();
    ck_assert_uint_eq(servers_news_ms(s), now + 9999);
    now += 9999;
    told(SERVER_NOBODY_THERE, 1);
    server_answered(s, a, 20, now);
    told(SERVER_CAME_BACK, 1);

    now += 1000; /* gone and back while held back: as it was last told */
    server_refused(s, a, now);
    nothing_told();
    server_answered(s, a, 20, now);
    now += 9000;
    nothing_told();
    ck_assert_uint_eq(servers_news_ms(s), SERVER_NO_NEWS);
}
END_TEST

START_TEST(a_server_off_the_list_is_not_told)
{
    int a = servers_pick(s, 0, now);
    server_refused(s, a, now);
    set(2, 2);
    nothing_told();
    set(1, 3); /* back within the time that it is kept */
    told(SERVER_NOBODY_THERE, 1);
    nothing_told();
}
END_TEST

START_TEST(a_lost_ability_is_told_once_until_it_is_tried_again)
{
    int a = servers_pick(s, 0, now);
    server_lacks_edns(s, a, now);
    server_lacks_edns(s, a, now);
    server_loses_case(s, a, now);
    told(SERVER_WITHOUT_EDNS, 1);
    told(SERVER_WITHOUT_CASE, 1);
    nothing_told();
    server_loses_case(s, a, now + 1);
    nothing_told();
    now += 3600000;
    server_lacks_edns(s, a, now);
    told(SERVER_WITHOUT_EDNS, 1);
    nothing_told();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server");
    TCase *t = tcase_create("server");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, without_servers_there_is_none_to_pick);
    tcase_add_test(t, unknown_servers_are_asked_in_their_order);
    tcase_add_test(t, the_fastest_is_asked);
    tcase_add_test(t, now_and_then_another_is_tried);
    tcase_add_test(t, timeout_is_smoothed_round_trip_and_variation);
    tcase_add_test(t, timeout_stays_within_its_bounds);
    tcase_add_test(t, silent_server_loses_its_place_and_is_left_alone_and_probed_once);
    tcase_add_test(t, sound_is_who_has_answered_and_is_not_left_alone);
    tcase_add_test(t, time_alone_doubles_up_to_a_minute);
    tcase_add_test(t, many_silences_at_once_count_as_one_period);
    tcase_add_test(t, all_left_alone_are_still_asked);
    tcase_add_test(t, a_reload_keeps_what_is_known);
    tcase_add_test(t, a_number_is_not_given_away_while_it_may_be_held);
    tcase_add_test(t, named_twice_is_one_and_too_many_are_cut);
    tcase_add_test(t, a_prefetch_never_probes);
    tcase_add_test(t, a_server_with_edns_does_not_lose_it_to_one_odd_answer);
    tcase_add_test(t, lost_abilities_are_tried_again_after_an_hour);
    tcase_add_test(t, cookies_are_sent_back_and_checked);
    tcase_add_test(t, a_server_that_adds_nothing_to_our_cookie_gives_none);
    tcase_add_test(t, another_network_sees_another_cookie);
    tcase_add_test(t, states_come_in_the_order_of_the_list);
    tcase_add_test(t, a_server_that_falls_silent_is_told_once_and_its_return_once);
    tcase_add_test(t, where_nobody_is_that_is_told);
    tcase_add_test(t, a_server_that_flaps_is_told_gone_and_back_once_in_ten_seconds);
    tcase_add_test(t, a_going_held_back_is_told_when_its_time_has_come);
    tcase_add_test(t, a_server_off_the_list_is_not_told);
    tcase_add_test(t, a_lost_ability_is_told_once_until_it_is_tried_again);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
