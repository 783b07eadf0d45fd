/* stub.c: plays its server on loopback: lies, errors, truncation and hanging up.
 * Knows messages as bytes; never looks at how they are read. */
#include "tools/stub.h"

#include "net/sockaddr.h"
#include "tests/unit/scarce.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define QR      0x80
#define TC      0x02
#define REPLIES 16

/* One question, and the server that it goes to. */
static struct ev_loop *loop;
static struct stub *stub;
static int udp, tcp;
static struct sockaddr_storage client;
static socklen_t client_len;
static uint8_t query[WIRE_QUERY_MAX];
static size_t query_len;
static int n_done;
static enum stub_outcome outcome;

static const uint8_t name[] = "\1a\7example";
static const struct wire_question question = {
    .name = name, .name_len = sizeof(name), .type = WIRE_TYPE_A, .class = WIRE_CLASS_IN};

/* ---- the system, as the tests want it -------------------------------------------------------- */

static int no_socket; /* so many more of refused_type cannot be had */
static int refused_type;
static bool interrupted;      /* a signal comes in between */
static struct ev_timer *wait; /* the one that is being waited for */

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
ssize_t __real_getrandom(void *out, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags);
void __real_ev_timer_again(struct ev_loop *in, struct ev_timer *timer);
void __wrap_ev_timer_again(struct ev_loop *in, struct ev_timer *timer);

int __wrap_socket(int domain, int type, int protocol)
{
    if (no_socket == 0 || (type & 0xff) != refused_type)
        return __real_socket(domain, type, protocol);
    no_socket--;
    errno = EMFILE;
    return -1;
}

ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags)
{
    if (!interrupted)
        return __real_getrandom(out, len, flags);
    interrupted = false;
    errno = EINTR;
    return -1;
}

void __wrap_ev_timer_again(struct ev_loop *in, struct ev_timer *timer)
{
    wait = timer;
    __real_ev_timer_again(in, timer);
}

static int bind_socket(int type, const struct addr *at, struct addr *bound)
{
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    if (sockaddr_bind(fd, at, bound) == 0)
        return fd;
    close(fd);
    return -1;
}

static void set_up(void)
{
    struct addr any, bound, tcp_bound;
    addr_parse("127.0.0.1", 0, &any);
    for (tcp = -1; tcp < 0;) { /* a port that is free for both */
        udp = bind_socket(SOCK_DGRAM, &any, &bound);
        ck_assert_int_ge(udp, 0);
        tcp = bind_socket(SOCK_STREAM, &bound, &tcp_bound);
        if (tcp < 0)
            close(udp);
    }
    loop = ev_loop_new(0);
    stub = stub_create(loop, &bound);
    ck_assert(loop != NULL && stub != NULL);
    n_done = 0;
}

static void tear_down(void)
{
    stub_free(stub);
    ev_loop_destroy(loop);
    close(udp);
    close(tcp);
}

static void on_done(void *ctx, enum stub_outcome o)
{
    ck_assert_ptr_eq(ctx, &outcome);
    outcome = o;
    n_done++;
}

/* Asks, and receives the question at the server. */
static void ask_from(const struct addr *source)
{
    ck_assert_int_eq(stub_ask(stub, source, &question, on_done, &outcome), 0);
    client_len = sizeof(client);
    ssize_t n = recvfrom(udp, query, sizeof(query), 0, (struct sockaddr *)&client, &client_len);
    ck_assert_int_gt(n, WIRE_HEADER_LEN + (ssize_t)sizeof(name));
    query_len = (size_t)n;
    ck_assert_mem_eq(query + WIRE_HEADER_LEN, name, sizeof(name));
}

/* A reply to the question: its header and question (no OPT), with these flags and rcode. */
static size_t make_reply(uint8_t *out, uint8_t flags, uint8_t rcode)
{
    memcpy(out, query, WIRE_HEADER_LEN + sizeof(name) + 4);
    out[2] = (uint8_t)(QR | flags);
    out[3] = rcode;
    out[11] = 0;
    return WIRE_HEADER_LEN + sizeof(name) + 4;
}

static void send_back(const uint8_t *bytes, size_t len)
{
    ck_assert_int_eq(
        sendto(udp, bytes, len, 0, (struct sockaddr *)&client, client_len), (ssize_t)len);
}

/* Lets the stub read what was sent: it is in its socket already. */
static void turn(void)
{
    for (int i = 0; i < REPLIES; i++)
        ev_run(loop, EVRUN_NOWAIT);
}

/* The time that is waited for has passed. */
static void pass(void)
{
    ev_feed_event(loop, wait, EV_TIMER);
    turn();
}

/* Whether a question is in the server's socket; it is taken out. */
static bool has_arrived(void)
{
    client_len = sizeof(client);
    ssize_t n =
        recvfrom(udp, query, sizeof(query), MSG_DONTWAIT, (struct sockaddr *)&client, &client_len);
    if (n > 0)
        query_len = (size_t)n;
    return n > 0;
}

static void send_reply(uint8_t flags, uint8_t rcode)
{
    uint8_t reply[WIRE_QUERY_MAX];
    send_back(reply, make_reply(reply, flags, rcode));
    turn();
}

static void assert_done(enum stub_outcome expected)
{
    ck_assert_int_eq(n_done, 1);
    ck_assert_int_eq(outcome, expected);
}

/* ---- over UDP -------------------------------------------------------------------------------- */

START_TEST(answers_and_negative_answers_are_answers)
{
    ask_from(NULL);
    send_reply(0, WIRE_NXDOMAIN);
    assert_done(STUB_ANSWERED);
    n_done = 0;
    ask_from(NULL);
    send_reply(0, WIRE_NOERROR);
    assert_done(STUB_ANSWERED);
}
END_TEST

START_TEST(errors_are_failures)
{
    static const uint8_t rcodes[] = {WIRE_FORMERR, WIRE_SERVFAIL, WIRE_NOTIMP, WIRE_REFUSED, 9};
    for (size_t i = 0; i < sizeof(rcodes); i++) {
        n_done = 0;
        ask_from(NULL);
        send_reply(0, rcodes[i]);
        assert_done(STUB_FAILED);
    }
}
END_TEST

START_TEST(what_does_not_match_is_thrown_away_and_the_wait_goes_on)
{
    uint8_t reply[WIRE_QUERY_MAX];
    ask_from(NULL);
    size_t len = make_reply(reply, 0, 0);
    static const size_t bent[] = {0, 1, 5, WIRE_HEADER_LEN + 1, WIRE_HEADER_LEN + sizeof(name) + 1,
        WIRE_HEADER_LEN + sizeof(name) + 3};
    for (size_t i = 0; i < sizeof(bent) / sizeof(bent[0]); i++) {
        reply[bent[i]] ^= 0x20; /* ID, QDCOUNT, the case of the name, type, class */
        send_back(reply, len);
        reply[bent[i]] ^= 0x20;
    }
    send_back(query, query_len); /* itself */
    send_back(reply, 11);
    send_back(reply, 0);
    turn();
    ck_assert_int_eq(n_done, 0);
    send_back(reply, len);
    turn();
    assert_done(STUB_ANSWERED);
}
END_TEST

START_TEST(a_reply_that_does_not_parse_is_a_failure)
{
    uint8_t reply[WIRE_QUERY_MAX];
    ask_from(NULL);
    size_t len = make_reply(reply, 0, 0);
    reply[7] = 3; /* answers that are not there */
    send_back(reply, len);
    turn();
    assert_done(STUB_FAILED);
}
END_TEST

START_TEST(a_bare_header_with_an_error_is_a_failure)
{
    uint8_t reply[WIRE_QUERY_MAX];
    ask_from(NULL);
    make_reply(reply, 0, WIRE_FORMERR);
    reply[5] = 0;
    send_back(reply, WIRE_HEADER_LEN);
    turn();
    assert_done(STUB_FAILED);
}
END_TEST

START_TEST(each_question_has_its_own_port_and_the_source_it_was_given)
{
    struct addr source, from[2];
    addr_parse("127.0.0.77", 9999, &source);
    for (int i = 0; i < 2; i++) {
        n_done = 0;
        ask_from(&source);
        ck_assert_int_eq(sockaddr_to_addr(&client, &from[i]), 0);
        ck_assert_int_eq(from[i].ip[15], 77);
        send_reply(0, 0);
        assert_done(STUB_ANSWERED);
    }
    ck_assert_int_ne(from[0].port, 9999);
}
END_TEST

START_TEST(silence_is_asked_three_times)
{
    uint8_t first[WIRE_QUERY_MAX];
    ask_from(NULL);
    memcpy(first, query, query_len);
    for (int i = 1; i < STUB_TRIES; i++) {
        ck_assert_int_eq(has_arrived(), false);
        pass();
        ck_assert_int_eq(has_arrived(), true);
        ck_assert_mem_eq(query, first, query_len); /* the same question, from the same socket */
        ck_assert_int_eq(n_done, 0);
    }
    pass();
    assert_done(STUB_SILENT);
    ck_assert_int_eq(has_arrived(), false);
}
END_TEST

START_TEST(a_socket_that_could_not_be_had_is_tried_again)
{
    no_socket = 1;
    refused_type = SOCK_DGRAM;
    ck_assert_int_eq(stub_ask(stub, NULL, &question, on_done, &outcome), 0);
    ck_assert_int_eq(has_arrived(), false);
    pass();
    ck_assert_int_eq(has_arrived(), true);
    send_reply(0, 0);
    assert_done(STUB_ANSWERED);
}
END_TEST

START_TEST(no_socket_at_all_is_silence)
{
    struct addr not_ours;
    for (int i = 0; i < 2; i++) {
        n_done = 0;
        no_socket = i == 0 ? STUB_TRIES : 0;
        refused_type = SOCK_DGRAM;
        addr_parse("192.0.2.1", 0, &not_ours); /* which no socket can be bound to */
        ck_assert_int_eq(
            stub_ask(stub, i == 0 ? NULL : &not_ours, &question, on_done, &outcome), 0);
        for (int n = 0; n < STUB_TRIES; n++) {
            ck_assert_int_eq(n_done, 0);
            pass();
        }
        assert_done(STUB_SILENT);
        ck_assert_int_eq(has_arrived(), false);
    }
}
END_TEST

START_TEST(a_server_that_nothing_leads_to_is_silence)
{
    struct addr broadcast;
    struct stub *other;
    addr_parse("255.255.255.255", 53, &broadcast); /* which connect refuses */
    other = stub_create(loop, &broadcast);
    ck_assert_ptr_nonnull(other);
    ck_assert_int_eq(stub_ask(other, NULL, &question, on_done, &outcome), 0);
    for (int n = 0; n < STUB_TRIES; n++)
        pass();
    assert_done(STUB_SILENT);
    stub_free(other);
}
END_TEST

START_TEST(memory_that_runs_out_is_told_before_anything_is_asked)
{
    struct addr at;
    addr_parse("127.0.0.1", 53, &at);
    scarce_begin(1, 1);
    struct stub *none = stub_create(loop, &at);
    scarce_end();
    ck_assert_ptr_null(none);
    scarce_begin(1, 1);
    int failed = stub_ask(stub, NULL, &question, on_done, &outcome);
    scarce_end();
    ck_assert_int_eq(failed, -1);
    turn();
    ck_assert_int_eq(n_done, 0);
    ck_assert_int_eq(has_arrived(), false);
}
END_TEST

START_TEST(a_signal_leaves_no_id_that_can_be_guessed)
{
    unsigned zero = 0;
    for (int i = 0; i < 4; i++) {
        n_done = 0;
        interrupted = true;
        ask_from(NULL);
        zero += query[0] == 0 && query[1] == 0;
        send_reply(0, 0);
        assert_done(STUB_ANSWERED);
    }
    ck_assert_uint_lt(zero, 4);
}
END_TEST

/* ---- over TCP -------------------------------------------------------------------------------- */

/* Truncates, and takes the connection with the question in it. */
static int accept_question(void)
{
    uint8_t framed[2 + WIRE_QUERY_MAX];
    ck_assert_int_eq(listen(tcp, 1), 0);
    ask_from(NULL);
    send_reply(TC, 0);
    ck_assert_int_eq(n_done, 0);
    int fd = accept(tcp, NULL, NULL);
    ck_assert_int_ge(fd, 0);
    turn();
    ssize_t n = recv(fd, framed, sizeof(framed), 0);
    ck_assert_int_eq(n, (ssize_t)query_len + 2);
    ck_assert_int_eq(wire_frame_len(framed, (size_t)n), (int)query_len);
    ck_assert_mem_eq(framed + 2, query, query_len);
    return fd;
}

START_TEST(a_truncated_answer_is_asked_again_over_tcp)
{
    uint8_t framed[2 + WIRE_QUERY_MAX];
    int fd = accept_question();
    size_t len = make_reply(framed + 2, 0, 0);
    wire_frame_write(framed, len);
    for (size_t i = 0; i < len + 2; i++) { /* byte by byte */
        ck_assert_int_eq(n_done, 0);
        ck_assert_int_eq(send(fd, framed + i, 1, MSG_NOSIGNAL), 1);
        turn();
    }
    assert_done(STUB_ANSWERED);
    close(fd);
}
END_TEST

START_TEST(a_connection_that_ends_or_lies_is_a_failure)
{
    uint8_t framed[2 + WIRE_QUERY_MAX];
    int fd = accept_question();
    close(fd);
    turn();
    assert_done(STUB_FAILED);

    n_done = 0;
    fd = accept_question();
    size_t len = make_reply(framed + 2, 0, 0);
    framed[2] ^= 1; /* ID */
    wire_frame_write(framed, len);
    ck_assert_int_eq(send(fd, framed, len + 2, MSG_NOSIGNAL), (ssize_t)len + 2);
    turn();
    assert_done(STUB_FAILED);
    close(fd);

    n_done = 0;
    fd = accept_question();
    len = make_reply(framed + 2, TC, 0); /* truncated for ever */
    wire_frame_write(framed, len);
    ck_assert_int_eq(send(fd, framed, len + 2, MSG_NOSIGNAL), (ssize_t)len + 2);
    turn();
    assert_done(STUB_FAILED);
    close(fd);

    n_done = 0;
    fd = accept_question();
    ck_assert_int_eq(send(fd, "\0\0", 2, MSG_NOSIGNAL), 2); /* an empty message */
    turn();
    assert_done(STUB_FAILED);
    close(fd);
}
END_TEST

START_TEST(a_connection_that_is_reset_is_a_failure)
{
    struct linger at_once = {.l_onoff = 1};
    int fd = accept_question();
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(fd);
    turn();
    assert_done(STUB_FAILED);
}
END_TEST

/* A kernel may say that there is something to read, and then there is nothing. */
START_TEST(a_connection_that_says_nothing_is_silence)
{
    int fd = accept_question();
    for (int i = 0; i < 64; i++)
        ev_feed_fd_event(loop, i, EV_READ);
    turn();
    ck_assert_int_eq(n_done, 0);
    pass();
    assert_done(STUB_SILENT);
    close(fd);
}
END_TEST

START_TEST(no_socket_and_no_memory_for_tcp_are_failures)
{
    ask_from(NULL);
    no_socket = 1;
    refused_type = SOCK_STREAM;
    send_reply(TC, 0);
    assert_done(STUB_FAILED);
    n_done = 0;
    ask_from(NULL);
    uint8_t reply[WIRE_QUERY_MAX];
    send_back(reply, make_reply(reply, TC, 0));
    scarce_begin(1, 1);
    turn();
    scarce_end();
    assert_done(STUB_FAILED);
}
END_TEST

START_TEST(a_connection_that_is_refused_is_a_failure)
{
    ask_from(NULL);
    send_reply(TC, 0); /* nobody listens */
    assert_done(STUB_FAILED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stub");
    TCase *tc = tcase_create("stub");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, answers_and_negative_answers_are_answers);
    tcase_add_test(tc, errors_are_failures);
    tcase_add_test(tc, what_does_not_match_is_thrown_away_and_the_wait_goes_on);
    tcase_add_test(tc, a_reply_that_does_not_parse_is_a_failure);
    tcase_add_test(tc, a_bare_header_with_an_error_is_a_failure);
    tcase_add_test(tc, each_question_has_its_own_port_and_the_source_it_was_given);
    tcase_add_test(tc, silence_is_asked_three_times);
    tcase_add_test(tc, a_socket_that_could_not_be_had_is_tried_again);
    tcase_add_test(tc, no_socket_at_all_is_silence);
    tcase_add_test(tc, a_server_that_nothing_leads_to_is_silence);
    tcase_add_test(tc, memory_that_runs_out_is_told_before_anything_is_asked);
    tcase_add_test(tc, a_signal_leaves_no_id_that_can_be_guessed);
    tcase_add_test(tc, a_truncated_answer_is_asked_again_over_tcp);
    tcase_add_test(tc, a_connection_that_ends_or_lies_is_a_failure);
    tcase_add_test(tc, a_connection_that_is_reset_is_a_failure);
    tcase_add_test(tc, a_connection_that_says_nothing_is_silence);
    tcase_add_test(tc, no_socket_and_no_memory_for_tcp_are_failures);
    tcase_add_test(tc, a_connection_that_is_refused_is_a_failure);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
