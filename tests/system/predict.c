/* predict.c: what prediction gains in real time: a client that resolves one name after the other,
 * each a round trip away, and does so again. Knows names, milliseconds and -predict-* options;
 * never dnsd's insides.
 *
 * A machine that is busy with something else can only make a visit longer. So what a visit must
 * last at least is asked of every try, what it may last at most of one of three. */
#include "peers.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_NAMES  6
#define N_VISITS 5
#define TRIES    3
#define GAP_MS   2000 /* between visits: twice the windows of 1 s, far less than the default ones */

static struct responder *server;

static unsigned rtt_ms(void)
{
    return harness_slow() ? 100 : 40;
}

/* TTL 1 for names that say so, 0 for others. */
static void answer_after_rtt(const struct asked *q, void *ctx)
{
    (void)ctx;
    reply_a(q, rtt_ms(), strstr(q->name, "ttl1") != NULL ? 1 : 0, "192.0.2.1");
}

/* One after the other, as a page's names are found in what came before. Returns what it took. */
static uint64_t visit(const struct dnsd *d, const char *domain)
{
    uint64_t started_ms = now_ms();
    for (int i = 0; i < N_NAMES; i++) {
        struct reply r = resolve(d, text("s%d.%s", i, domain), TYPE_A);
        ck_assert_uint_eq(r.rcode, NOERROR);
        ck_assert_str_eq(r.address, "192.0.2.1");
    }
    return now_ms() - started_ms;
}

/* The clock counts whole milliseconds: each name may seem to have come one too early. */
static void must_take_all_round_trips(uint64_t took_ms, const char *what)
{
    ck_assert_msg(took_ms >= N_NAMES * (rtt_ms() - 1), "%s: %u ms", what, (unsigned)took_ms);
}

static bool is_one_and_a_bit(uint64_t took_ms)
{
    return 2 * took_ms <= 3 * rtt_ms();
}

/* ---- five visits ----------------------------------------------------------------------------- */

struct variant {
    const char *domain;
    const char *options;
    int gains_from;    /* this visit on; 0: never */
    int may_gain_from; /* this one */
    struct dnsd *d;
    uint64_t next_ms; /* visit */
};

static struct variant variants[] = {
    {"off.example.com", "-stale-ttl 0", 0, 9, NULL, 0},
    {"seed.example.com", "-predict-rules seed -predict-window 1", 3, 3, NULL, 0},
    {"seed.ttl1.example.com", "-predict-rules seed -predict-window 1", 3, 3, NULL, 0},
    {"default.example.com", "-predict", 3, 2, NULL, 0},
    {"default.ttl1.example.com", "-predict", 3, 2, NULL, 0},
    {"short.example.com", "-predict-window 1", 2, 2, NULL, 0},
};
#define N_VARIANTS (sizeof variants / sizeof variants[0])

/* Whether the visit was as fast as it must be. */
static bool visit_variant(struct variant *v, int nth)
{
    uint64_t now = now_ms();
    if (now < v->next_ms)
        pause_ms(v->next_ms - now);
    uint64_t took_ms = visit(v->d, v->domain);
    bool gains = v->gains_from > 0 && nth >= v->gains_from;
    v->next_ms = now_ms() + GAP_MS;
    printf("%-26s visit %d: %3u ms\n", v->domain, nth, (unsigned)took_ms);
    if (nth < v->may_gain_from)
        must_take_all_round_trips(took_ms, v->domain);
    return !gains || is_one_and_a_bit(took_ms);
}

/* All variants a visit, then all the next one. */
static bool all_visits(void)
{
    bool fast = true;
    for (int nth = 1; nth <= N_VISITS; nth++)
        for (size_t i = 0; i < N_VARIANTS; i++)
            fast &= visit_variant(&variants[i], nth);
    return fast;
}

/* Prediction asked what the clients asked anyway, and nothing else. */
static void must_ask_nothing_more(const struct variant *v)
{
    for (int i = 0; i < N_NAMES; i++)
        ck_assert_uint_eq(responder_asked(server, text("s%d.%s", i, v->domain)), N_VISITS);
}

START_TEST(six_names_in_a_chain_take_one_round_trip_from_the_third_visit_on)
{
    bool fast = false;
    for (int i = 0; i < TRIES && !fast; i++) {
        server = responder_start(answer_after_rtt, NULL);
        for (size_t v = 0; v < N_VARIANTS; v++)
            variants[v].d = dnsd_start("-forward %s %s", responder_at(server), variants[v].options);
        fast = all_visits();
        for (size_t v = 0; fast && v < N_VARIANTS; v++)
            must_ask_nothing_more(&variants[v]);
        for (size_t v = 0; v < N_VARIANTS; v++)
            ck_assert_int_eq(dnsd_stop(variants[v].d), 0);
        responder_stop(server);
    }
    ck_assert_msg(fast, "a visit after the second took more than one and a half round trips");
}
END_TEST

/* ---- over a restart -------------------------------------------------------------------------- */

/* Two visits, and the end. Returns the file that was written. */
static const char *learn(const char *name)
{
    const char *path = path_of(name);
    unsigned window_ms = 12 * rtt_ms();
    struct dnsd *d = dnsd_start(
        "-forward %s -predict-window %ums -predict-file %s", responder_at(server), window_ms, path);
    for (int i = 0; i < 2; i++) {
        visit(d, "tree.example.com");
        pause_ms(window_ms + 50);
    }
    ck_assert_int_eq(dnsd_stop(d), 0);
    return path;
}

START_TEST(what_was_learned_survives_a_restart)
{
    struct stat st;
    bool fast = false;
    server = responder_start(answer_after_rtt, NULL);
    const char *path = learn("learned");
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_gt(st.st_size, 0);
    for (int i = 0; i < TRIES && !fast; i++) {
        struct dnsd *d = dnsd_start(
            "-forward %s -predict-window 1 -predict-file %s", responder_at(server), path);
        resolve(d, "warm.example.com", TYPE_A); /* the first question takes valgrind long */
        uint64_t took_ms = visit(d, "tree.example.com");
        printf("after a restart: %u ms\n", (unsigned)took_ms);
        fast = is_one_and_a_bit(took_ms);
        ck_assert_int_eq(dnsd_stop(d), 0);
    }
    ck_assert(fast);
    responder_stop(server);
}
END_TEST

START_TEST(what_was_learned_survives_a_death_too)
{
    int code;
    server = responder_start(answer_after_rtt, NULL);
    const char *path = path_of("learned");
    struct dnsd *d = dnsd_start("-forward %s -predict-window 1 -predict-file %s -predict-save 1 "
                                "-verbose",
        responder_at(server), path);
    for (int i = 0; i < 2; i++) {
        visit(d, "tree.example.com");
        pause_ms(1100);
    }
    dnsd_await(d, text("saved to %s", path));
    dnsd_await(d, text("saved to %s", path));
    dnsd_await(d, text("saved to %s", path)); /* begun after the second window had closed */
    ck_assert_int_eq(kill(d->pid, SIGKILL), 0);
    dnsd_wait_end(d, &code);
    d = dnsd_start(
        "-forward %s -predict-window 1 -predict-file %s -verbose", responder_at(server), path);
    const char *line = dnsd_await(d, "loaded from");
    must_lack(line, " 0 dependencies");
    responder_stop(server);
}
END_TEST

/* Writes the bytes of a good file, changed or cut. */
static void write_bytes(const char *path, const uint8_t *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static void must_be_ignored(const char *path)
{
    struct dnsd *d =
        dnsd_start("-forward %s -predict-window 1 -predict-file %s", responder_at(server), path);
    dnsd_await(d, text("%s: ", path));
    must_have(read_file(d->log), "it is ignored");
    ck_assert_uint_eq(resolve(d, "s0.tree.example.com", TYPE_A).rcode, NOERROR);
    ck_assert_int_eq(dnsd_stop(d), 0);
}

START_TEST(a_damaged_file_is_reported_and_ignored)
{
    uint8_t good[65536], bad[65536];
    server = responder_start(answer_after_rtt, NULL);
    int fd = open(learn("learned"), O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, good, sizeof good);
    close(fd);
    ck_assert_int_gt(n, 16);
    size_t len = (size_t)n;
    const char *path = path_of("damaged");
    memcpy(bad, good, len);
    bad[len / 2] ^= 4;
    write_bytes(path, bad, len); /* a bit */
    must_be_ignored(path);
    write_bytes(path, good, len - 7); /* cut short */
    must_be_ignored(path);
    write_bytes(path, (const uint8_t *)"hello\n", 6); /* something else */
    must_be_ignored(path);
    responder_stop(server);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_no_trouble_until_the_end)
{
    server = responder_start(answer_after_rtt, NULL);
    struct dnsd *d = dnsd_start("-forward %s -predict-window 1 -predict-file %s",
        responder_at(server), path_of("none/learned"));
    ck_assert_uint_eq(resolve(d, "www.example.com", TYPE_A).rcode, NOERROR);
    ck_assert_int_eq(dnsd_stop(d), 0);
    must_have(read_file(d->log), "none/learned: not written: No such file or directory");
    responder_stop(server);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/predict");
    TCase *c = harness_case(s, "predict");
    tcase_add_test(c, six_names_in_a_chain_take_one_round_trip_from_the_third_visit_on);
    tcase_add_test(c, what_was_learned_survives_a_restart);
    tcase_add_test(c, what_was_learned_survives_a_death_too);
    tcase_add_test(c, a_damaged_file_is_reported_and_ignored);
    tcase_add_test(c, a_file_that_cannot_be_written_is_no_trouble_until_the_end);
    return harness_run(s);
}
