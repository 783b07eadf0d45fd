/* trouble.c: which line stands for which trouble, and how often.
 * The log and the desk are played here. */
#include "ops/trouble.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char logged[1 << 14];
static bool served;
static struct trouble trouble;

static void add(const char *level, const char *format, va_list args)
{
    size_t len = strlen(logged);
    len += (size_t)snprintf(logged + len, sizeof logged - len, "%s: ", level);
    len += (size_t)vsnprintf(logged + len, sizeof logged - len, format, args);
    snprintf(logged + len, sizeof logged - len, "\n");
}

#define PLAY(name, level)                                                                          \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        add(level, format, args);                                                                  \
        va_end(args);                                                                              \
    }
PLAY(log_error, "error")
PLAY(log_warning, "warning")
PLAY(log_info, "info")
PLAY(log_debug, "debug")

#define PLAY_LIMITED(name, level)                                                                  \
    void name(struct log_limit *limit, unsigned long long now_ms, const char *format, ...)         \
    {                                                                                              \
        va_list args;                                                                              \
        if (limit->last_ms != 0 && now_ms < limit->last_ms + limit->every_ms)                      \
            return;                                                                                \
        limit->last_ms = now_ms;                                                                   \
        va_start(args, format);                                                                    \
        add(level, format, args);                                                                  \
        va_end(args);                                                                              \
    }
PLAY_LIMITED(log_warning_limited, "warning")
PLAY_LIMITED(log_debug_limited, "debug")

bool query_allows(const struct query_desk *d, const struct addr *peer)
{
    (void)d;
    (void)peer;
    return served;
}

static const struct addr at = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 1}, .port = 53};
static struct client client;
static struct wire_question question;
static struct flight_result result;
static struct query_end end;

static void setup(void)
{
    static const uint8_t name[] = "\5a\n \33\\\1b";
    logged[0] = '\0';
    served = true;
    trouble = (struct trouble){0};
    client = (struct client){.peer = {.ip = {[10] = 0xff, 0xff, 10, 0, 0, 7}, .port = 999}};
    question = (struct wire_question){.name = name, .name_len = sizeof name, .type = 1, .class = 1};
    result = (struct flight_result){
        .outcome = FLIGHT_FAILED, .why = FLIGHT_WHY_SILENT, .server = &at, .tcp_server = &at};
    end = (struct query_end){.client = &client,
        .question = &question,
        .source = QUERY_FAILED,
        .rcode = WIRE_SERVFAIL,
        .took_ms = 4500,
        .flight = &result};
}

static void expect(const char *line)
{
    trouble_of_query(&trouble, NULL, &end, 1000);
    ck_assert_str_eq(logged, line);
    logged[0] = '\0';
}

#define ASKED "debug: 10.0.0.7 asked a\\010\\032\\027\\092.b A: "

START_TEST(failures_have_their_reasons)
{
    expect(ASKED "SERVFAIL after 4500 ms: no reply in time from server 192.0.2.1:53\n");
    result.why = FLIGHT_WHY_REFUSED;
    expect(ASKED "SERVFAIL after 4500 ms: refused by the network or by server 192.0.2.1:53\n");
    result.why = FLIGHT_WHY_UNSENT;
    expect(ASKED "SERVFAIL after 4500 ms: this machine could not send to server 192.0.2.1:53\n");
    result.why = FLIGHT_WHY_RCODE;
    end.rcode = WIRE_REFUSED;
    expect(ASKED "REFUSED after 4500 ms: so says server 192.0.2.1:53\n");
    end.rcode = 4000;
    result.why = FLIGHT_WHY_NONE;
    result.server = NULL;
    expect(ASKED "RCODE4000 after 4500 ms: no usable answer came\n");
}
END_TEST

START_TEST(a_failure_without_asking_anyone_is_told)
{
    end.flight = NULL;
    end.took_ms = 0;
    expect(ASKED "SERVFAIL after 0 ms: it failed a short while ago, or there is no server or no "
                 "room to ask\n");
}
END_TEST

START_TEST(an_expired_answer_is_told_with_the_reason)
{
    end.source = QUERY_STALE;
    end.rcode = WIRE_NOERROR;
    expect(ASKED "NOERROR (an expired answer) after 4500 ms: no reply in time from server "
                 "192.0.2.1:53\n");
    end.flight = NULL;
    expect("");
}
END_TEST

START_TEST(what_went_well_is_no_line)
{
    end.source = QUERY_UPSTREAM;
    result.why = FLIGHT_WHY_NONE;
    expect("");
    end.source = QUERY_CACHE;
    end.flight = NULL;
    expect("");
}
END_TEST

START_TEST(tcp_is_told_with_its_cause)
{
    static const char *const causes[] = {[FLIGHT_TCP_TRUNCATED] = "the reply was truncated",
        [FLIGHT_TCP_SUSPECT] = "somebody guesses IDs, or a cookie was missing",
        [FLIGHT_TCP_CASE] = "the reply had lost the case of the name"};
    end.source = QUERY_UPSTREAM;
    question.type = 65280;
    for (enum flight_tcp tcp = FLIGHT_TCP_TRUNCATED; tcp <= FLIGHT_TCP_CASE; tcp++) {
        char line[200];
        result.tcp = tcp;
        snprintf(line, sizeof line,
            "debug: a\\010\\032\\027\\092.b TYPE65280 went over to TCP with server 192.0.2.1:53: "
            "%s\n",
            causes[tcp]);
        expect(line);
    }
}
END_TEST

START_TEST(who_is_not_served_is_told_once_a_minute)
{
    end.source = QUERY_DROPPED;
    end.flight = NULL;
    expect(""); /* dropped for another reason */
    served = false;
    expect("debug: 10.0.0.7 is not served (-allow)\n");
    client.peer.port++;
    expect("");
    trouble_of_query(&trouble, NULL, &end, 61000);
    ck_assert_str_eq(logged, "debug: 10.0.0.7 is not served (-allow)\n");
}
END_TEST

START_TEST(a_loop_is_a_warning_once_a_minute_and_without_the_name)
{
    struct addr looping;
    trouble_of_loop(&trouble, &end, 1000);
    ck_assert_str_eq(logged, "");
    addr_parse("192.0.2.7", 53, &looping);
    result.looped = &looping; /* another one than failed last */
    trouble_of_loop(&trouble, &end, 1000);
    trouble_of_loop(&trouble, &end, 60999);
    ck_assert_str_eq(logged,
        "warning: server 192.0.2.7:53 seems to forward to dnsd, which forwards to it: what is "
        "asked of one comes back to it and fails\n");
    logged[0] = '\0';
    trouble_of_loop(&trouble, &end, 61000);
    ck_assert(logged[0] != '\0');
}
END_TEST

START_TEST(a_refused_answer_is_a_warning_once_a_minute_and_with_verbose_its_name)
{
    static const char line[] =
        "warning: an answer with private addresses was refused (-rebind-protect): an attempt at "
        "DNS rebinding, or a name for -rebind-allow; -verbose tells which\n";
    end.source = QUERY_UPSTREAM;
    result.outcome = FLIGHT_ANSWERED;
    trouble_of_rebind(&trouble, &end, 1000);
    ck_assert_str_eq(logged, "");
    result.rebound = true;
    trouble_of_rebind(&trouble, &end, 1000);
    ck_assert_str_eq(logged, line);
    trouble_of_rebind(&trouble, &end, 60999);
    ck_assert_str_eq(logged, line);
    logged[0] = '\0';
    trouble_of_rebind(&trouble, &end, 61000);
    ck_assert_str_eq(logged, line);
    logged[0] = '\0';
    expect("debug: a\\010\\032\\027\\092.b A: its answer gave private addresses and was refused\n");
}
END_TEST

START_TEST(servers_are_told_as_they_go_and_come)
{
    static const uint8_t seed[SERVER_SEED_LEN];
    struct server_conf conf = {.addr = at};
    struct servers *s = servers_create(seed);
    ck_assert_ptr_nonnull(s);
    servers_set(s, &conf, 1, 1000);
    int server = servers_pick(s, 0, 1000);
    for (int i = 0; i < 4; i++)
        server_silent(s, server, 1000);
    trouble_of_servers(s, 1000);
    server_answered(s, server, 20, 20000);
    trouble_of_servers(s, 20000);
    server_refused(s, server, 40000);
    server_loses_case(s, server, 40000);
    trouble_of_servers(s, 40000);
    trouble_of_servers(s, 90000);
    ck_assert_str_eq(logged,
        "warning: server 192.0.2.1:53 does not answer (4 questions in a row); it is left alone "
        "and probed\n"
        "info: server 192.0.2.1:53 answers again\n"
        "debug: server 192.0.2.1:53 is asked in small letters for an hour: it does not keep the "
        "case of names\n"
        "warning: server 192.0.2.1:53: nobody is there (connection refused); it is left alone and "
        "probed\n");
    servers_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trouble");
    TCase *t = tcase_create("lines");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, failures_have_their_reasons);
    tcase_add_test(t, a_failure_without_asking_anyone_is_told);
    tcase_add_test(t, an_expired_answer_is_told_with_the_reason);
    tcase_add_test(t, what_went_well_is_no_line);
    tcase_add_test(t, tcp_is_told_with_its_cause);
    tcase_add_test(t, who_is_not_served_is_told_once_a_minute);
    tcase_add_test(t, a_loop_is_a_warning_once_a_minute_and_without_the_name);
    tcase_add_test(t, a_refused_answer_is_a_warning_once_a_minute_and_with_verbose_its_name);
    tcase_add_test(t, servers_are_told_as_they_go_and_come);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
