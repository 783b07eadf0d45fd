/* upstream.c: dnsd against servers that are slow, silent, gone or lying: the real program on real
 * sockets. Knows a script for each server; never dnsd's insides. */
#include "peers.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOW_MS   200
#define RIGHT     "192.0.2.1"
#define FORGED    "192.0.2.66"
#define GIVEN_UP  10000 /* a client must know by then */
#define STALE_TTL 30    /* RFC 8767 4 */

static struct responder *server;

static void answer_at_once(const struct asked *q, void *ctx)
{
    (void)ctx;
    reply_a(q, 0, 300, RIGHT);
}

static void answer_slowly(const struct asked *q, void *ctx)
{
    (void)ctx;
    reply_a(q, SLOW_MS, 300, RIGHT);
}

static void stay_silent(const struct asked *q, void *ctx)
{
    (void)q, (void)ctx;
}

static struct dnsd *forward_to(responder_script *script, void *ctx)
{
    server = responder_start(script, ctx);
    return dnsd_start("-forward %s", responder_at(server));
}

static void must_be_right(const struct reply *r)
{
    ck_assert(r->came);
    ck_assert_uint_eq(r->rcode, NOERROR);
    ck_assert_str_eq(r->address, RIGHT);
}

/* ---- one question ---------------------------------------------------------------------------- */

START_TEST(two_hundred_clients_with_one_new_name_make_one_question)
{
    struct dnsd *d = forward_to(answer_slowly, NULL);
    struct question q[200];
    for (int i = 0; i < 200; i++)
        q[i] = ask(d, "new.example.com", TYPE_A);
    for (int i = 0; i < 200; i++) {
        struct reply r = receive(q[i], WAIT_MS);
        must_be_right(&r);
    }
    ck_assert_uint_eq(responder_asked(server, NULL), 1);
    responder_stop(server);
}
END_TEST

static void truncate_over_udp(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX], rdata[201] = {200};
    size_t len = reply_start(q, NOERROR, msg);
    (void)ctx;
    if (!q->tcp)
        msg[2] |= 2; /* TC */
    for (int i = 0; q->tcp && i < 10; i++) {
        rdata[1] = (uint8_t)('a' + i);
        len = reply_add(msg, len, TYPE_TXT, 300, rdata, sizeof rdata);
    }
    reply_send(q, 0, msg, len);
}

START_TEST(a_truncated_reply_makes_one_question_over_tcp_that_is_cached)
{
    struct dnsd *d = forward_to(truncate_over_udp, NULL);
    for (int i = 0; i < 3; i++) {
        struct reply r = resolve(d, "long.example.com", TYPE_TXT);
        ck_assert(r.truncated); /* 2 KiB are too much for this client, too */
        struct output o = run("dig @%s -p %u +tcp +noall +comments long.example.com TXT",
            d->address, (unsigned)d->port);
        must_have(o.text, "ANSWER: 10");
    }
    ck_assert_uint_eq(responder_asked_tcp(server, NULL), 1);
    ck_assert_uint_eq(responder_asked(server, NULL), 2);
    responder_stop(server);
}
END_TEST

static void reset_over_tcp(const struct asked *q, void *ctx)
{
    if (q->tcp)
        reply_reset(q, 0);
    else
        truncate_over_udp(q, ctx);
}

START_TEST(a_reset_stream_is_a_failure_and_not_the_end)
{
    struct dnsd *d = forward_to(reset_over_tcp, NULL);
    struct reply r = resolve(d, "long.example.com", TYPE_TXT);
    ck_assert_uint_eq(r.rcode, SERVFAIL);
    ck_assert_uint_lt(r.took_ms, GIVEN_UP);
    ck_assert_uint_eq(responder_asked_tcp(server, NULL), 1);
    responder_stop(server);
}
END_TEST

static void truncate_after_a_moment(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX];
    size_t len = reply_start(q, NOERROR, msg);
    (void)ctx;
    if (q->tcp) {
        reply_a(q, 20, 300, RIGHT);
        return;
    }
    msg[2] |= 2; /* TC */
    reply_send(q, 0, msg, len);
}

START_TEST(questions_over_tcp_share_a_connection)
{
    struct dnsd *d = forward_to(truncate_after_a_moment, NULL);
    struct question q[30];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 30; i++)
            q[i] = ask(d, text("n%d-%d.example.com", round, i), TYPE_A);
        for (int i = 0; i < 30; i++) {
            struct reply r = receive(q[i], WAIT_MS);
            must_be_right(&r);
        }
    }
    ck_assert_uint_eq(responder_asked_tcp(server, NULL), 60);
    const char *sockets = dnsd_statistic(d, "upstream sockets: ");
    must_have(sockets, "; 1 connections over TCP, 1 open;");
    responder_stop(server);
}
END_TEST

/* ---- what an attacker would have to guess ---------------------------------------------------- */

#define N_GUESSES 200

struct sightings {
    unsigned port[N_GUESSES];
    unsigned id[N_GUESSES];
    unsigned n;
    unsigned n_upper;
};

static void look_at(const struct asked *q, void *ctx)
{
    struct sightings *s = ctx;
    if (s->n < N_GUESSES) {
        s->port[s->n] = ntohs(q->from.sin_port);
        s->id[s->n++] = (unsigned)q->msg[0] << 8 | q->msg[1];
    }
    for (size_t i = 12; i < q->len && q->msg[i] != 0; i++)
        s->n_upper += isupper(q->msg[i]) != 0;
    reply_a(q, 0, 300, RIGHT);
}

static int compare(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static unsigned n_distinct(unsigned *list, unsigned n)
{
    unsigned distinct = n > 0;
    qsort(list, n, sizeof *list, compare);
    for (unsigned i = 1; i < n; i++)
        distinct += list[i] != list[i - 1];
    return distinct;
}

START_TEST(ports_ids_and_spelling_differ_from_question_to_question)
{
    static struct sightings s;
    struct dnsd *d = forward_to(look_at, &s);
    for (int i = 0; i < N_GUESSES; i++) {
        struct reply r = resolve(d, text("name%d.example.com", i), TYPE_A);
        must_be_right(&r);
    }
    responder_stop(server);
    ck_assert_uint_eq(s.n, N_GUESSES);
    ck_assert_uint_ge(n_distinct(s.port, s.n), N_GUESSES * 96 / 100);
    ck_assert_uint_ge(n_distinct(s.id, s.n), N_GUESSES * 96 / 100);
    ck_assert_uint_gt(s.n_upper, N_GUESSES * 14 * 4 / 10); /* half of at least 14 letters */
}
END_TEST

/* ---- lies ------------------------------------------------------------------------------------ */

/* What comes before the right reply. */
static const char *const lies[] = {"wrong ID", "wrong port", "wrong name", "wrong type",
    "wrong class", "wrong case", "no question", "two questions", "the question itself",
    "wrong opcode", "nothing", "five bytes", "cut short", "a name that runs in circles",
    "more records than bytes", "larger than was offered"};
#define N_LIES ((int)(sizeof lies / sizeof lies[0]))

static void bend_case(uint8_t *msg)
{
    for (size_t i = 13; i < 20; i++)
        if (isalpha(msg[i]))
            msg[i] ^= 0x20;
}

/* Makes the lie of a reply that would do. Returns its length. */
static size_t bend(const struct asked *q, const char *lie, uint8_t *msg, size_t len, size_t type_at)
{
    if (strcmp(lie, "wrong ID") == 0)
        msg[1] ^= 1;
    else if (strcmp(lie, "wrong name") == 0)
        msg[13] = msg[13] == 'x' ? 'y' : 'x';
    else if (strcmp(lie, "wrong type") == 0)
        msg[type_at + 1] = TYPE_AAAA;
    else if (strcmp(lie, "wrong class") == 0)
        msg[type_at + 3] = 3;
    else if (strcmp(lie, "wrong case") == 0)
        bend_case(msg);
    else if (strcmp(lie, "no question") == 0)
        msg[5] = 0;
    else if (strcmp(lie, "two questions") == 0)
        msg[5] = 2;
    else if (strcmp(lie, "the question itself") == 0)
        memcpy(msg, q->msg, len = q->len);
    else if (strcmp(lie, "wrong opcode") == 0)
        msg[2] |= 5 << 3;
    else if (strcmp(lie, "nothing") == 0)
        return 0;
    else if (strcmp(lie, "five bytes") == 0)
        return 5;
    else if (strcmp(lie, "cut short") == 0)
        return len - 3;
    else if (strcmp(lie, "a name that runs in circles") == 0)
        msg[type_at + 5] = (uint8_t)(type_at + 4); /* the owner points to itself */
    else if (strcmp(lie, "more records than bytes") == 0)
        msg[6] = 0xff;
    else if (strcmp(lie, "larger than was offered") == 0)
        return MESSAGE_MAX;
    return len;
}

static void lie_first(const struct asked *q, void *ctx)
{
    static const uint8_t forged[] = {192, 0, 2, 66};
    const char *lie = ctx;
    uint8_t msg[MESSAGE_MAX] = {0};
    size_t type_at = reply_start(q, NOERROR, msg) - 4;
    size_t len = reply_add(msg, type_at + 4, TYPE_A, 300, forged, sizeof forged);
    if (!q->tcp && strcmp(lie, "wrong port") == 0)
        reply_send_from_elsewhere(q, msg, len);
    else if (!q->tcp)
        reply_send(q, 0, msg, bend(q, lie, msg, len, type_at));
    reply_a(q, 40, 300, RIGHT);
}

START_TEST(a_lie_is_ignored_and_the_right_reply_that_follows_counts)
{
    char lie[64];
    strcpy(lie, lies[_i]);
    struct dnsd *d = forward_to(lie_first, lie);
    for (int i = 0; i < 2; i++) {
        struct reply r = resolve(d, "www.example.com", TYPE_A);
        ck_assert_msg(r.rcode == NOERROR && strcmp(r.address, RIGHT) == 0, "%s: rcode %u, %s", lie,
            r.rcode, r.address);
    }
    responder_stop(server);
}
END_TEST

static void guess_ids(const struct asked *q, void *ctx)
{
    static const uint8_t forged[] = {192, 0, 2, 66};
    uint8_t msg[MESSAGE_MAX];
    (void)ctx;
    for (int i = 0; i < 5 && !q->tcp; i++) {
        size_t len = reply_start(q, NOERROR, msg);
        msg[0] = (uint8_t)(msg[0] + i + 1);
        reply_send(q, 0, msg, reply_add(msg, len, TYPE_A, 300, forged, sizeof forged));
    }
    reply_a(q, 40, 300, q->tcp ? RIGHT : FORGED); /* the last guess hits */
}

START_TEST(who_guesses_ids_drives_the_question_to_tcp)
{
    struct dnsd *d = forward_to(guess_ids, NULL);
    struct reply r = resolve(d, "www.example.com", TYPE_A);
    must_be_right(&r);
    ck_assert_uint_eq(responder_asked_tcp(server, NULL), 1);
    responder_stop(server);
}
END_TEST

/* ---- silence and failure --------------------------------------------------------------------- */

/* Answers names that begin with "once" the first time only, and others never. */
static void answer_once(const struct asked *q, void *ctx)
{
    (void)ctx;
    if (strncmp(q->name, "once", 4) == 0 && q->nth == 1)
        reply_a(q, 0, 1, RIGHT);
}

/* Two that forward to each other. */
static void start_loop(struct dnsd **a, struct dnsd **b)
{
    unsigned port = free_port(own_address());
    *b = dnsd_start("-forward %s:%u -stale-ttl 0", own_address(), port);
    *a = dnsd_start("-forward %s:%u -stale-ttl 0 -listen %s:%u", (*b)->address,
        (unsigned)(*b)->port, own_address(), port);
    (*a)->port = (uint16_t)port;
}

/* What waits for deadlines waits side by side. */
START_TEST(silence_brings_servfail_in_time_or_what_is_stale)
{
    struct dnsd *loop_a, *loop_b;
    struct dnsd *d = forward_to(answer_once, NULL);
    struct dnsd *plain = dnsd_start("-forward %s -stale-ttl 0", responder_at(server));
    start_loop(&loop_a, &loop_b);
    struct reply r = resolve(d, "once.example.com", TYPE_A);
    must_be_right(&r);
    r = resolve(plain, "once-plain.example.com", TYPE_A);
    must_be_right(&r);
    pause_ms(1100); /* its TTL */

    struct question dead = ask(d, "dead.example.com", TYPE_A);
    struct question stale = ask(d, "once.example.com", TYPE_A);
    struct question none = ask(plain, "once-plain.example.com", TYPE_A);
    struct question loop = ask(loop_a, "loop.example.com", TYPE_A);
    r = receive(stale, WAIT_MS);
    must_be_right(&r);
    ck_assert_uint_eq(r.ttl_s, STALE_TTL);
    /* After 1.8 s, and what a busy machine takes; replay/flight knows it to the millisecond. */
    ck_assert_uint_lt(r.took_ms, 2300 + (harness_slow() ? 1000 : 0));
    struct reply failed[] = {
        receive(dead, GIVEN_UP), receive(none, GIVEN_UP), receive(loop, GIVEN_UP)};
    for (size_t i = 0; i < sizeof failed / sizeof failed[0]; i++) {
        ck_assert_msg(failed[i].came && failed[i].rcode == SERVFAIL, "%zu: came %d, rcode %u", i,
            failed[i].came, failed[i].rcode);
    }
    ck_assert_uint_le(responder_asked(server, "dead.example.com"), 4);
    ck_assert_uint_le(dnsd_figure(loop_b, "upstream messages: "), 4);
    ck_assert_uint_le(dnsd_figure(loop_a, "upstream messages: "), 4);
    responder_stop(server);
}
END_TEST

START_TEST(a_failure_is_remembered_for_a_moment)
{
    struct dnsd *d = dnsd_start("-forward 127.0.0.1:%u", (unsigned)free_port("127.0.0.1"));
    struct reply r = resolve(d, "www.example.com", TYPE_A);
    ck_assert_uint_eq(r.rcode, SERVFAIL);
    unsigned long sent = dnsd_figure(d, "upstream messages: ");
    r = resolve(d, "www.example.com", TYPE_A);
    ck_assert_uint_eq(r.rcode, SERVFAIL);
    ck_assert_uint_eq(dnsd_figure(d, "upstream messages: "), sent);
}
END_TEST

START_TEST(the_next_server_is_asked_where_one_is_silent)
{
    struct responder *mute = responder_start(stay_silent, NULL);
    server = responder_start(answer_at_once, NULL);
    struct dnsd *d =
        dnsd_start("-forward %s -forward %s", responder_at(mute), responder_at(server));
    for (int i = 0; i < 4; i++) {
        struct reply r = resolve(d, text("n%d.example.com", i), TYPE_A);
        must_be_right(&r);
    }
    ck_assert_uint_ge(responder_asked(server, NULL), 4);
    responder_stop(mute);
    responder_stop(server);
}
END_TEST

static void fail_with(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX];
    reply_send(q, 0, msg, reply_start(q, *(const enum rcode *)ctx, msg));
}

START_TEST(the_next_server_is_asked_where_one_refuses_or_fails)
{
    enum rcode rcodes[] = {REFUSED, SERVFAIL};
    struct responder *refuses = responder_start(fail_with, &rcodes[0]);
    struct responder *fails = responder_start(fail_with, &rcodes[1]);
    server = responder_start(answer_at_once, NULL);
    struct dnsd *d = dnsd_start("-forward %s -forward %s -forward %s", responder_at(refuses),
        responder_at(fails), responder_at(server));
    for (int i = 0; i < 4; i++) {
        struct reply r = resolve(d, text("n%d.example.com", i), TYPE_A);
        must_be_right(&r);
    }
    responder_stop(refuses);
    responder_stop(fails);
    responder_stop(server);
}
END_TEST

/* ---- the end --------------------------------------------------------------------------------- */

/* SIGTERM once the question is upstream; returns the reply. */
static struct reply stop_amid(struct dnsd *d, const char *name)
{
    int code;
    struct question q = ask(d, name, TYPE_A);
    while (responder_asked(server, name) == 0)
        pause_ms(1);
    ck_assert_int_eq(kill(d->pid, SIGTERM), 0);
    dnsd_await_notice(d, "STOPPING=1");
    struct reply r = receive(q, WAIT_MS);
    dnsd_wait_end(d, &code);
    ck_assert_int_eq(code, 0);
    return r;
}

START_TEST(sigterm_answers_what_is_under_way)
{
    struct dnsd *d = forward_to(answer_slowly, NULL);
    struct reply r = stop_amid(d, "www.example.com");
    must_be_right(&r);
    responder_stop(server);
}
END_TEST

START_TEST(sigterm_does_not_wait_for_a_silent_server)
{
    struct dnsd *d = forward_to(stay_silent, NULL);
    uint64_t started_ms = now_ms();
    struct reply r = stop_amid(d, "www.example.com");
    ck_assert(r.came);
    ck_assert_uint_eq(r.rcode, SERVFAIL);
    ck_assert_uint_lt(now_ms() - started_ms, 3000 + (harness_slow() ? 5000 : 0));
    responder_stop(server);
}
END_TEST

/* Nobody waits for what such a peer may still say. */
START_TEST(sigterm_does_not_wait_for_idle_connections)
{
    struct dnsd *d = forward_to(answer_at_once, NULL);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(d->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, d->address, &to.sin_addr);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    ck_assert_int_eq(send(fd, "\0\x20half", 6, 0), 6);
    ck_assert_uint_eq(resolve(d, "www.example.com", TYPE_A).rcode, NOERROR);
    uint64_t started_ms = now_ms();
    ck_assert_int_eq(dnsd_stop(d), 0);
    ck_assert_uint_lt(now_ms() - started_ms, 1500 + (harness_slow() ? 5000 : 0));
    close(fd);
    responder_stop(server);
}
END_TEST

START_TEST(a_second_sigterm_ends_the_wait)
{
    int code;
    struct dnsd *d = forward_to(stay_silent, NULL);
    struct question q = ask(d, "www.example.com", TYPE_A);
    while (responder_asked(server, NULL) == 0)
        pause_ms(1);
    uint64_t started_ms = now_ms();
    ck_assert_int_eq(kill(d->pid, SIGTERM), 0);
    dnsd_await_notice(d, "STOPPING=1");
    ck_assert_int_eq(kill(d->pid, SIGTERM), 0);
    dnsd_wait_end(d, &code);
    ck_assert_int_eq(code, 0);
    ck_assert_uint_lt(now_ms() - started_ms, 1500 + (harness_slow() ? 5000 : 0));
    ck_assert_uint_eq(receive(q, WAIT_MS).rcode, SERVFAIL);
    responder_stop(server);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/upstream");
    TCase *c = harness_case(s, "upstream");
    tcase_add_test(c, two_hundred_clients_with_one_new_name_make_one_question);
    tcase_add_test(c, a_truncated_reply_makes_one_question_over_tcp_that_is_cached);
    tcase_add_test(c, a_reset_stream_is_a_failure_and_not_the_end);
    tcase_add_test(c, questions_over_tcp_share_a_connection);
    tcase_add_test(c, ports_ids_and_spelling_differ_from_question_to_question);
    tcase_add_loop_test(c, a_lie_is_ignored_and_the_right_reply_that_follows_counts, 0, N_LIES);
    tcase_add_test(c, who_guesses_ids_drives_the_question_to_tcp);
    tcase_add_test(c, silence_brings_servfail_in_time_or_what_is_stale);
    tcase_add_test(c, a_failure_is_remembered_for_a_moment);
    tcase_add_test(c, the_next_server_is_asked_where_one_is_silent);
    tcase_add_test(c, the_next_server_is_asked_where_one_refuses_or_fails);
    tcase_add_test(c, sigterm_answers_what_is_under_way);
    tcase_add_test(c, sigterm_does_not_wait_for_a_silent_server);
    tcase_add_test(c, sigterm_does_not_wait_for_idle_connections);
    tcase_add_test(c, a_second_sigterm_ends_the_wait);
    return harness_run(s);
}
