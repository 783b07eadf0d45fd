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

static unsigned window_ms(void)
{
    return 12 * rtt_ms();
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
    bool wastes;      /* it fetches ahead what it may not keep */
};

static struct variant variants[] = {
    {"off.example.com", "-stale-ttl 0", 0, 9, NULL, 0, false},
    {"seed.example.com", "-predict-rules seed -predict-window 1", 3, 3, NULL, 0, false},
    {"seed.ttl1.example.com", "-predict-rules seed -predict-window 1", 3, 3, NULL, 0, false},
    {"default.example.com", "-predict", 3, 2, NULL, 0, false},
    {"default.ttl1.example.com", "-predict", 3, 2, NULL, 0, false},
    {"short.example.com", "-predict-window 1", 2, 2, NULL, 0, false},
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
    for (int i = 0; i < N_NAMES && !v->wastes; i++)
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
    struct dnsd *d = dnsd_start("-forward %s -predict-window %ums -predict-file %s",
        responder_at(server), window_ms(), path);
    for (int i = 0; i < 2; i++) {
        visit(d, "tree.example.com");
        pause_ms(window_ms() + 50);
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

/* Neither that something follows nor that it was fetched: not with -verbose, not in the statistics,
 * and not in the query log, which is of what clients asked. */
START_TEST(what_was_learned_is_in_no_log)
{
    server = responder_start(answer_after_rtt, NULL);
    const char *path = learn("learned"), *queries = path_of("queries");
    struct dnsd *d = dnsd_start("-forward %s -predict-window 1 -predict-file %s -verbose "
                                "-query-log %s",
        responder_at(server), path, queries);
    size_t before = responder_asked(server, "s1.tree.example.com");
    resolve(d, "s0.tree.example.com", TYPE_A);
    uint64_t end_ms = now_ms() + WAIT_MS;
    while (responder_asked(server, "s1.tree.example.com") == before && now_ms() < end_ms)
        pause_ms(5);
    ck_assert_uint_gt(responder_asked(server, "s1.tree.example.com"), before);
    dnsd_reload(d);
    must_lack(dnsd_statistic(d, "prediction: "), " 0 prefetches");
    ck_assert_int_eq(dnsd_stop(d), 0);
    must_lack(read_file(d->log), "example.com");
    must_have(read_file(queries), " s0.tree.example.com A ");
    ck_assert_uint_eq(count_of(read_file(queries), "example.com"), 1);
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

/* ---- seen live ------------------------------------------------------------------------------- */

static const char *predict_bind(const struct dnsd *d)
{
    return run("dig @%s -p %u +short ch txt predict.bind", d->address, (unsigned)d->port).text;
}

static unsigned long figure_in(const char *shown, const char *words)
{
    must_have(shown, words);
    return strtoul(strstr(shown, words) + strlen(words), NULL, 10);
}

/* Until the server was asked so often for the name. */
static void await_asked(const char *name, size_t times)
{
    for (uint64_t end_ms = now_ms() + WAIT_MS; responder_asked(server, name) < times; pause_ms(1))
        ck_assert_msg(now_ms() < end_ms, "%s was not asked for", name);
}

enum outcome { NOTHING_KNOWN, IN_TIME, LATE, NEVER };

/* A visit of page.example.com, with what becomes of the prefetch of its style.example.com; then its
 * window closes. */
static void live_through(const struct dnsd *d, enum outcome outcome)
{
    size_t before = responder_asked(server, "style.example.com");
    struct question page = ask(d, "page.example.com", TYPE_A);
    if (outcome != NOTHING_KNOWN)
        await_asked("style.example.com", before + 1);
    if (outcome == LATE)
        resolve(d, "style.example.com", TYPE_A);
    ck_assert(receive(page, WAIT_MS).came);
    if (outcome == IN_TIME)
        pause_ms(2 * rtt_ms());
    if (outcome == NOTHING_KNOWN || outcome == IN_TIME)
        resolve(d, "style.example.com", TYPE_A);
    pause_ms(window_ms() + 50);
}

/* One of each. That the last prefetch is unused is found when the next window closes. */
static void live_through_all(const struct dnsd *d)
{
    uint64_t end_ms = now_ms() + WAIT_MS;
    for (enum outcome o = NOTHING_KNOWN; o <= NEVER; o++)
        live_through(d, o);
    resolve(d, "other.example.com", TYPE_A);
    while (strstr(predict_bind(d), "unused 1,") == NULL && now_ms() < end_ms)
        pause_ms(10);
}

/* The clients' own are 4 times the page, 3 times its style and the other one: 8, to which 1 in vain
 * was added. */
static void must_tell_every_figure(struct dnsd *d)
{
    const char *shown = predict_bind(d);
    must_have(shown, "\"prefetches 3, used 1, late 1, unused 1, saved ");
    must_have(shown, " ms, pairs 1, bytes ");
    must_have(shown, ", extra 12.5 %\"");
    unsigned long saved_ms = figure_in(shown, "saved ");
    ck_assert_uint_ge(saved_ms, rtt_ms() - 1);
    unsigned long bytes = figure_in(shown, "bytes ");
    ck_assert_uint_gt(bytes, 0);
    must_have(dnsd_statistic(d, "prediction: "),
        text("prediction: 3 prefetches for 8 questions: 1 used in time, 1 used late, 1 unused, 0 "
             "not sent; %lu ms of waiting saved",
            saved_ms));
    must_have(dnsd_await(d, "prediction costs: "),
        "costs: 12.5 % more questions upstream than the clients' own 8: 1 unused, 0 where");
    must_have(dnsd_await(d, "prediction knows: "),
        text("knows: 1 dependencies of 1 triggers, 0 windows open, %lu bytes", bytes));
}

/* Seen in 3 windows of 4: 2 * .75 / .68 is above 2. */
static void must_be_the_table(const char *table)
{
    static const char start[] = "trigger\tdependency\tscore\twindows\tseen\tlag_ms\tclients\n"
                                "page.example.com A\tstyle.example.com A\t2\t4\t3\t";
    must_have(table, start);
    char *end;
    unsigned long lag_ms = strtoul(strstr(table, start) + strlen(start), &end, 10);
    ck_assert_uint_gt(lag_ms, 0);
    ck_assert_uint_lt(lag_ms, window_ms());
    ck_assert_str_eq(end, "\t1\n");
}

static void must_be_the_graph(const char *path)
{
    const char *graph = read_file(path);
    must_have(graph, "digraph dnsd {\n");
    must_have(graph, "    \"page.example.com A\" -> \"style.example.com A\" [label=\"2, ");
    must_have(graph, " ms\", penwidth=2];\n}\n");
    if (!have_program("dot")) {
        printf("no dot here: the graph is not drawn\n");
        return;
    }
    struct output o = run("dot -Tplain %s", path);
    ck_assert_int_eq(o.code, 0);
    must_have(o.text, "\nedge \"page.example.com A\" \"style.example.com A\" ");
    must_lack(o.text, "rror");
}

START_TEST(what_prediction_did_is_told_and_what_it_learned_is_drawn)
{
    const char *path = path_of("learned.dot");
    server = responder_start(answer_after_rtt, NULL);
    struct dnsd *d = dnsd_start("-forward %s -predict-window %ums -predict-dump %s",
        responder_at(server), window_ms(), path);
    live_through_all(d);
    must_tell_every_figure(d);
    dnsd_await(d, text("dumped to %s and %s.tsv", path, path));
    must_be_the_table(read_file(text("%s.tsv", path)));
    must_be_the_graph(path);
    responder_stop(server);
}
END_TEST

/* A client at its own address, so that another burst begins without 5 s of silence. */
static void resolve_from(const char *client, const struct dnsd *d, const char *name)
{
    struct output o =
        run("dig -b %s @%s -p %u +short %s", client, d->address, (unsigned)d->port, name);
    ck_assert_str_eq(o.text, "192.0.2.1\n");
}

START_TEST(what_is_saved_is_measured_against_the_control_bursts_and_told)
{
    server = responder_start(answer_after_rtt, NULL);
    const char *options = text("forward %s\npredict-window %ums\npredict-share 1\npredict-control ",
        responder_at(server), window_ms());
    struct dnsd *d = dnsd_start("-config %s", write_file("dnsd.conf", "%s100%%\n", options));
    for (int i = 0; i < 2; i++)
        live_through(d, NOTHING_KNOWN);
    must_have(predict_bind(d), "prefetches 0,");
    must_have(predict_bind(d), ", measured 0 ms\"");
    dnsd_statistic(d, "prediction: 0 prefetches for 4 questions");
    must_have(dnsd_await(d, "control bursts without: "),
        "without: 3 questions after the first, in 1 bursts; 3 of them waited (100 %), ");
    write_file("dnsd.conf", "%s0%%\n", options);
    dnsd_reload(d);
    resolve_from("127.0.0.77", d, "page.example.com");
    pause_ms(2 * rtt_ms());
    resolve_from("127.0.0.77", d, "style.example.com");
    unsigned long ms = figure_in(predict_bind(d), ", measured ");
    ck_assert_uint_ge(ms, rtt_ms() - 1); /* what one question has waited in the control burst */
    must_have(dnsd_statistic(d, "bursts with prefetch: "),
        "prefetch: 1 questions after the first, in 1 bursts; 0 of them waited (0 %), 0.0 ms");
    must_have(dnsd_await(d, "measured against the control bursts: "),
        text("bursts: %lu ms of waiting saved", ms));
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
    tcase_add_test(c, what_was_learned_is_in_no_log);
    tcase_add_test(c, a_damaged_file_is_reported_and_ignored);
    tcase_add_test(c, a_file_that_cannot_be_written_is_no_trouble_until_the_end);
    tcase_add_test(c, what_prediction_did_is_told_and_what_it_learned_is_drawn);
    tcase_add_test(c, what_is_saved_is_measured_against_the_control_bursts_and_told);
    return harness_run(s);
}
