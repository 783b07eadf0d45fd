/* tests/unit/rehearsal.c: the model of a rehearsal with numbers worked by hand, and against its
 * reference on real page loads; what of a grid is worth having, and its picture. */
#include "tools/rehearsal.h"

#include "tests/unit/scarce.h"
#include "tools/findings.h"
#include "tools/grid.h"
#include "tools/plot.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RTT    30
#define SECOND 1000

/* ---- the system, at its limits --------------------------------------------------------------- */

static long n_processors;        /* 0: as many as there are */
static int threads_left = 1000;  /* then there are no more */
static const char *picture_path; /* where streams to memory go instead; "" is nowhere */

long __real_sysconf(int name);
long __wrap_sysconf(int name);
int __real_pthread_create(
    pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *ctx);
int __wrap_pthread_create(
    pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *ctx);
FILE *__real_open_memstream(char **text, size_t *len);
FILE *__wrap_open_memstream(char **text, size_t *len);

long __wrap_sysconf(int name)
{
    return name == _SC_NPROCESSORS_ONLN && n_processors != 0 ? n_processors : __real_sysconf(name);
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *ctx)
{
    return threads_left-- > 0 ? __real_pthread_create(t, attr, run, ctx) : EAGAIN;
}

FILE *__wrap_open_memstream(char **text, size_t *len)
{
    if (picture_path == NULL)
        return __real_open_memstream(text, len);
    return picture_path[0] != '\0' ? fopen(picture_path, "w") : NULL;
}

/* ---- a stage --------------------------------------------------------------------------------- */

struct stage {
    struct trace *t;
    struct rehearsal_conf conf;
    struct rehearsal r;
};

/* The rule of 2007 with windows of 2 s, a client of its own each; every TTL is 1 s. */
static void start(struct stage *s)
{
    memset(s, 0, sizeof *s);
    s->t = trace_create();
    ck_assert_ptr_nonnull(s->t);
    predict_conf_seed(&s->conf.prediction);
    s->conf.prediction.scope = PREDICT_SCOPE_CLIENT;
    s->conf.rtt_ms = RTT;
    s->conf.ttl_s = 1;
    s->conf.max_ttl_s = 86400;
    s->conf.cache_bytes = 1 << 20;
}

static void end(struct stage *s)
{
    trace_free(s->t);
}

/* The question for LETTER.example. */
static struct wire_question question(char letter, uint8_t name[16])
{
    memcpy(name, "\1?\7example", 11);
    name[1] = (uint8_t)letter;
    return (struct wire_question){
        .name = name, .name_len = 11, .type = WIRE_TYPE_A, .class = WIRE_CLASS_IN};
}

static void ask_type(struct stage *s, unsigned client, char letter, uint16_t type, uint64_t at_ms)
{
    uint8_t name[16];
    struct trace_arrival a = {.at_ms = at_ms, .has_year = true, .question = question(letter, name)};
    a.question.type = type;
    a.client[0] = (uint8_t)client;
    ck_assert_int_eq(trace_add(s->t, &a), 0);
}

static void ask(struct stage *s, char letter, uint64_t at_ms)
{
    ask_type(s, 1, letter, WIRE_TYPE_A, at_ms);
}

static void run(struct stage *s)
{
    ck_assert_pstr_eq(rehearsal_run(s->t, &s->conf, NULL, NULL, &s->r), NULL);
}

static struct ttls *ttls(const char *text)
{
    struct ttls *t = ttls_read(text, strlen(text), NULL, NULL);
    ck_assert_ptr_nonnull(t);
    return t;
}

/* Three visits, 10 s apart: a, and after lag_ms b. */
static void visit_thrice(struct stage *s, uint64_t lag_ms)
{
    for (unsigned i = 0; i < 3; i++) {
        ask(s, 'a', i * 10 * SECOND);
        ask(s, 'b', i * 10 * SECOND + lag_ms);
    }
}

/* ---- the model ------------------------------------------------------------------------------- */

START_TEST(the_third_visit_saves_its_wait)
{
    struct stage s;
    start(&s);
    visit_thrice(&s, 100);
    run(&s);
    ck_assert_uint_eq(s.r.queries, 6);
    ck_assert_uint_eq(s.r.upstream, 6);
    ck_assert_uint_eq(s.r.waits, 3); /* those for b; a came first each time */
    ck_assert_uint_eq(s.r.prefetches, 1);
    ck_assert_uint_eq(s.r.in_window, 1);
    ck_assert_uint_eq(s.r.upstream_predicted, 6);
    ck_assert_uint_eq(s.r.saved_ms, RTT);
    ck_assert_uint_eq(s.r.pairs_peak, 1);
    ck_assert_uint_gt(s.r.bytes_peak, 0);
    ck_assert_double_eq_tol(rehearsal_saved(&s.r, RTT), 1. / 3, 1e-9);
    ck_assert_double_eq_tol(rehearsal_precision(&s.r), 1, 1e-9);
    ck_assert_double_eq_tol(rehearsal_extra(&s.r), 0, 1e-9);
    end(&s);
}
END_TEST

START_TEST(a_trace_of_nothing_has_nothing_to_share)
{
    struct stage s;
    start(&s);
    run(&s);
    ck_assert_uint_eq(s.r.queries, 0);
    ck_assert(rehearsal_saved(&s.r, RTT) == 0);
    ck_assert(rehearsal_precision(&s.r) == 0);
    ck_assert(rehearsal_extra(&s.r) == 0);
    end(&s);
}
END_TEST

START_TEST(memory_that_runs_out_at_the_start_is_told)
{
    unsigned n = 0, taken, told = 0;
    struct stage s;
    start(&s);
    ask(&s, 'a', 0);
    do {
        scarce_begin(++n, 1);
        const char *why = rehearsal_run(s.t, &s.conf, NULL, NULL, &s.r);
        taken = scarce_end();
        if (why == NULL) /* the predictor does without */
            ck_assert_uint_eq(s.r.queries, 1);
        else
            ck_assert_str_eq(why, REHEARSAL_NO_MEMORY);
        told += why != NULL;
    } while (taken >= n);
    ck_assert_uint_ge(told, 5);
    end(&s);
}
END_TEST

START_TEST(a_wait_is_shortened_by_the_lead_of_the_prefetch)
{
    struct stage s;
    start(&s);
    visit_thrice(&s, 10);
    run(&s);
    ck_assert_uint_eq(s.r.saved_ms, 10);
    ck_assert_uint_eq(s.r.upstream_predicted, 6);
    end(&s);
}
END_TEST

START_TEST(a_prefetch_that_nobody_asks_for_is_extra)
{
    struct stage s;
    start(&s);
    for (unsigned i = 0; i < 2; i++) {
        ask(&s, 'a', i * 10 * SECOND);
        ask(&s, 'b', i * 10 * SECOND + 100);
    }
    ask(&s, 'a', 20 * SECOND);
    run(&s);
    ck_assert_uint_eq(s.r.upstream, 5);
    ck_assert_uint_eq(s.r.upstream_predicted, 6);
    ck_assert_double_eq_tol(rehearsal_extra(&s.r), .2, 1e-9);
    ck_assert_double_eq_tol(rehearsal_precision(&s.r), 0, 1e-9);
    end(&s);
}
END_TEST

START_TEST(a_prefetch_that_is_asked_for_behind_the_window_was_not_precise)
{
    struct stage s;
    start(&s);
    s.conf.ttl_s = 6;
    for (unsigned i = 0; i < 2; i++) {
        ask(&s, 'a', i * 10 * SECOND);
        ask(&s, 'b', i * 10 * SECOND + 100);
    }
    ask(&s, 'a', 20 * SECOND);
    ask(&s, 'b', 22 * SECOND + 1);
    run(&s);
    ck_assert_uint_eq(s.r.prefetches, 1);
    ck_assert_uint_eq(s.r.in_window, 0);
    ck_assert_uint_eq(s.r.saved_ms, RTT);
    end(&s);
}
END_TEST

START_TEST(what_is_fresh_is_not_waited_for)
{
    struct stage s;
    start(&s);
    s.conf.ttl_s = 60;
    visit_thrice(&s, 100);
    run(&s);
    ck_assert_uint_eq(s.r.upstream, 2);
    ck_assert_uint_eq(s.r.waits, 1);
    ck_assert_uint_eq(s.r.prefetches, 0);
    end(&s);
}
END_TEST

START_TEST(a_ttl_counts_from_the_moment_of_asking)
{
    struct stage s;
    start(&s);
    ask(&s, 'a', 0);
    ask(&s, 'a', 999);
    ask(&s, 'a', 1000);
    run(&s);
    ck_assert_uint_eq(s.r.upstream, 2);
    end(&s);
}
END_TEST

START_TEST(the_first_question_after_5_s_of_silence_is_no_wait)
{
    struct stage s;
    start(&s);
    ask(&s, 'a', 0);    /* first */
    ask(&s, 'b', 5000); /* not more than 5 s */
    ask(&s, 'c', 10001);
    ask_type(&s, 2, 'd', WIRE_TYPE_A, 10002); /* first of another client */
    run(&s);
    ck_assert_uint_eq(s.r.upstream, 4);
    ck_assert_uint_eq(s.r.waits, 1);
    end(&s);
}
END_TEST

START_TEST(a_second_client_profits_from_a_used_prefetch_in_full)
{
    struct stage s;
    struct ttls *t = ttls("a.example 1\nb.example 4\n");
    start(&s);
    s.conf.ttls = t;
    ask_type(&s, 2, 'b', WIRE_TYPE_A, 0);
    visit_thrice(&s, 100);
    ask_type(&s, 2, 'c', WIRE_TYPE_A, 20 * SECOND + 102);
    ask_type(&s, 2, 'b', WIRE_TYPE_A, 20 * SECOND + 105);
    run(&s);
    ck_assert_uint_eq(s.r.saved_ms, RTT); /* b is no wait for client 2: client 1 just asked it */
    end(&s);
    ttls_free(t);
}
END_TEST

START_TEST(other_types_are_neither_learned_nor_asked_ahead)
{
    struct stage s;
    start(&s);
    for (unsigned i = 0; i < 3; i++) {
        ask(&s, 'a', i * 10 * SECOND);
        ask_type(&s, 1, 'b', WIRE_TYPE_NS, i * 10 * SECOND + 100);
    }
    run(&s);
    ck_assert_uint_eq(s.r.waits, 3);
    ck_assert_uint_eq(s.r.prefetches, 0);
    ck_assert_uint_eq(s.r.pairs_peak, 0);
    end(&s);
}
END_TEST

START_TEST(no_more_prefetches_at_a_time_than_dnsd_would_send)
{
    struct stage s;
    start(&s);
    for (unsigned i = 0; i < 3; i++)
        for (char c = 'a'; c <= 'f'; c++)
            ask(&s, c, i * 10 * SECOND + (uint64_t)(c - 'a') * 100);
    s.conf.under_way_max = 2;
    run(&s);
    ck_assert_uint_gt(s.r.shed, 0);
    ck_assert_uint_ge(s.r.prefetches, 2);
    end(&s);
}
END_TEST

/* ---- TTLs ------------------------------------------------------------------------------------ */

static uint64_t upstream_with(struct stage *s)
{
    run(s);
    return s->r.upstream;
}

START_TEST(ttls_come_from_the_table_then_the_trace_then_the_option)
{
    struct stage s;
    uint8_t name[16];
    struct wire_question q = question('a', name);
    struct ttls *t = ttls("A.example 3\n");
    start(&s);
    for (unsigned i = 0; i < 12; i++)
        ask(&s, 'a', i * SECOND);
    ck_assert_uint_eq(upstream_with(&s), 12);
    s.conf.ttl_s = 2;
    ck_assert_uint_eq(upstream_with(&s), 6);
    ck_assert_int_eq(trace_answer(s.t, &q, 0, 4), 0);
    ck_assert_uint_eq(upstream_with(&s), 3);
    s.conf.ttls = t;
    ck_assert_uint_eq(upstream_with(&s), 4);
    s.conf.max_ttl_s = 1;
    ck_assert_uint_eq(upstream_with(&s), 12);
    s.conf.max_ttl_s = 86400;
    s.conf.min_ttl_s = 6;
    ck_assert_uint_eq(upstream_with(&s), 2);
    end(&s);
    ttls_free(t);
}
END_TEST

/* a is fresh for a second, b not at all. */
static void start_ttl0(struct stage *s, struct ttls **t, enum rehearsal_ttl0 ttl0)
{
    *t = ttls("a.example 1\nb.example 0\n");
    start(s);
    s->conf.ttls = *t;
    s->conf.ttl0 = ttl0;
}

START_TEST(a_ttl_of_0_counts_as_1)
{
    struct stage s;
    struct ttls *t;
    start_ttl0(&s, &t, REHEARSAL_TTL0_SECOND);
    visit_thrice(&s, 100);
    ask(&s, 'b', 20 * SECOND + 200);
    run(&s);
    ck_assert_uint_eq(s.r.upstream, 6);
    ck_assert_uint_eq(s.r.upstream_predicted, 6);
    ck_assert_uint_eq(s.r.saved_ms, RTT);
    end(&s);
    ttls_free(t);
}
END_TEST

START_TEST(an_answer_with_ttl_0_is_held_for_one_question)
{
    struct stage s;
    struct ttls *t;
    start_ttl0(&s, &t, REHEARSAL_TTL0_HOLD);
    visit_thrice(&s, 100);
    ask(&s, 'b', 20 * SECOND + 200);
    run(&s);
    ck_assert_uint_eq(s.r.upstream, 7); /* every b */
    ck_assert_uint_eq(s.r.waits, 4);
    ck_assert_uint_eq(s.r.upstream_predicted, 7);
    ck_assert_uint_eq(s.r.saved_ms, RTT);
    end(&s);
    ttls_free(t);
}
END_TEST

START_TEST(an_answer_with_ttl_0_is_held_for_2_s)
{
    struct stage s;
    struct ttls *t;
    start_ttl0(&s, &t, REHEARSAL_TTL0_HOLD);
    s.conf.prediction.window_ms = 4000;
    visit_thrice(&s, 2029); /* it lands after 30 ms */
    run(&s);
    ck_assert_uint_eq(s.r.saved_ms, RTT);
    end(&s);
    ttls_free(t);
    start_ttl0(&s, &t, REHEARSAL_TTL0_HOLD);
    s.conf.prediction.window_ms = 4000;
    visit_thrice(&s, 2030);
    run(&s);
    ck_assert_uint_eq(s.r.saved_ms, 0);
    ck_assert_uint_eq(s.r.upstream_predicted, 7);
    end(&s);
    ttls_free(t);
}
END_TEST

START_TEST(an_answer_with_ttl_0_that_a_client_joined_is_not_held)
{
    struct stage s;
    struct ttls *t;
    start_ttl0(&s, &t, REHEARSAL_TTL0_HOLD);
    visit_thrice(&s, 10);
    ask(&s, 'b', 20 * SECOND + 100);
    run(&s);
    ck_assert_uint_eq(s.r.saved_ms, 10);
    ck_assert_uint_eq(s.r.upstream, 7);
    ck_assert_uint_eq(s.r.upstream_predicted, 7);
    end(&s);
    ttls_free(t);
}
END_TEST

START_TEST(strict_keeps_no_answer_with_ttl_0)
{
    struct stage s;
    struct ttls *t;
    start_ttl0(&s, &t, REHEARSAL_TTL0_STRICT);
    visit_thrice(&s, 100);
    run(&s);
    ck_assert_uint_eq(s.r.saved_ms, 0);
    ck_assert_uint_eq(s.r.upstream_predicted, 7);
    end(&s);
    ttls_free(t);
}
END_TEST

START_TEST(questions_with_ttl_0_join_one_that_is_under_way)
{
    struct stage s;
    struct ttls *t;
    start_ttl0(&s, &t, REHEARSAL_TTL0_STRICT);
    ask(&s, 'a', 0);
    ask(&s, 'b', 10);
    ask_type(&s, 2, 'a', WIRE_TYPE_A, 20);
    ask_type(&s, 2, 'b', WIRE_TYPE_A, 25);
    ask_type(&s, 2, 'b', WIRE_TYPE_A, 40);
    run(&s);
    ck_assert_uint_eq(s.r.upstream, 3);
    ck_assert_uint_eq(s.r.upstream_predicted, 3);
    ck_assert_uint_eq(s.r.waits, 3);
    ck_assert_uint_eq(s.r.saved_ms, 0);
    end(&s);
    ttls_free(t);
}
END_TEST

/* ---- learned elsewhere ----------------------------------------------------------------------- */

static enum predict_copy absent(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    (void)ctx;
    (void)key;
    (void)key_len;
    (void)now_ms;
    return PREDICT_ABSENT;
}

static bool refuse(void *ctx, const uint8_t *key, size_t key_len, uint64_t now_ms)
{
    (void)ctx;
    (void)key;
    (void)key_len;
    (void)now_ms;
    return false;
}

/* A table in which b, and x too, follow a. */
static uint8_t *learn(const struct predict_conf *conf, size_t *len)
{
    static const uint8_t seed[PREDICT_SEED_LEN], client[PREDICT_CLIENT_LEN];
    struct predict_world world = {.copy = absent, .prefetch = refuse};
    struct predict *p = predict_create(conf, &world, seed);
    uint8_t *bytes;
    ck_assert_ptr_nonnull(p);
    for (unsigned i = 0; i < 9; i++) {
        uint8_t name[16], key[WIRE_KEY_MAX];
        struct wire_question q = question("abx"[i % 3], name);
        struct predict_request r = {.client = client, .key = key};
        uint64_t at_ms = i / 3 * UINT64_C(10000) + i % 3 * 10;
        r.key_len = wire_key_write(&q, 0, key);
        while (predict_due_ms(p) <= at_ms)
            predict_tick(p, at_ms);
        predict_observe(p, &r, 1, at_ms);
        predict_landed(p, key, r.key_len, true, at_ms);
    }
    predict_tick(p, 60 * SECOND);
    ck_assert_int_eq(predict_save(p, &bytes, len), 0);
    predict_free(p);
    return bytes;
}

START_TEST(a_learned_table_serves_from_the_first_visit)
{
    struct stage s;
    size_t len;
    start(&s);
    uint8_t *bytes = learn(&s.conf.prediction, &len);
    s.conf.learned = bytes;
    s.conf.learned_len = len;
    ask(&s, 'a', 0);
    ask(&s, 'b', 100);
    run(&s);
    ck_assert_uint_eq(s.r.prefetches, 1); /* the trace does not know x */
    ck_assert_uint_eq(s.r.saved_ms, RTT);
    bytes[len / 2] ^= 1;
    ck_assert_ptr_nonnull(rehearsal_run(s.t, &s.conf, NULL, NULL, &s.r));
    free(bytes);
    end(&s);
}
END_TEST

/* ---- against the reference ------------------------------------------------------------------- */

static void no_mistake(void *ctx, size_t place, const char *why)
{
    (void)ctx;
    ck_abort_msg("%zu: %s", place, why);
}

static void read_file(struct stage *s, FILE *f)
{
    struct trace_source source = {.port = 53, .report = no_mistake};
    ck_assert_int_eq(trace_read(s->t, &f, &source), TRACE_OK);
    fclose(f);
}

static struct ttls *read_ttls(const char *path)
{
    static char text[1 << 20];
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return ttls(text);
}

#define TRACES "../shared/traces/"

/* What reference.py prints. */
static const struct {
    const char *trace;
    uint64_t window_ms;
    const char *line;
} reference[] = {
    {TRACES "pages.tsv", 2000,
        "queries 98094 upstream 77023 waits 73828 saved 0.8117 prefetches 74594 "
        "precision 0.5929 extra +0.1831 pairs 24095"},
    {TRACES "pages.tsv", 4000,
        "queries 98094 upstream 77023 waits 73828 saved 0.8742 prefetches 86034 "
        "precision 0.5769 extra +0.2739 pairs 36585"},
    {TRACES "manysites.tsv", 2000,
        "queries 80463 upstream 64932 waits 63310 saved 0.3154 prefetches 35385 "
        "precision 0.3890 extra +0.2321 pairs 168659"},
    {TRACES "manysites.tsv", 4000,
        "queries 80463 upstream 64932 waits 63310 saved 0.3674 prefetches 45240 "
        "precision 0.3805 extra +0.3334 pairs 256898"},
};

START_TEST(the_seed_rule_equals_its_reference_number_for_number)
{
    FILE *f = fopen(reference[_i].trace, "r");
    struct stage s;
    char line[256];
    if (f == NULL) /* the traces are not part of the project */
        return;
    start(&s);
    struct ttls *t = read_ttls(TRACES "ttl.tsv");
    read_file(&s, f);
    predict_conf_seed(&s.conf.prediction);
    s.conf.prediction.window_ms = reference[_i].window_ms;
    s.conf.ttls = t;
    s.conf.ttl_s = 60;
    s.conf.cache_bytes = 64 << 20;
    run(&s);
    snprintf(line, sizeof line,
        "queries %lu upstream %lu waits %lu saved %.4f prefetches %lu precision %.4f extra %+.4f "
        "pairs %zu",
        (unsigned long)s.r.queries, (unsigned long)s.r.upstream, (unsigned long)s.r.waits,
        rehearsal_saved(&s.r, RTT), (unsigned long)s.r.prefetches, rehearsal_precision(&s.r),
        rehearsal_extra(&s.r), s.r.pairs_peak);
    ck_assert_str_eq(line, reference[_i].line);
    ck_assert_uint_eq(s.r.unlisted, 0);
    ck_assert_uint_eq(s.r.evictions, 0);
    end(&s);
    ttls_free(t);
}
END_TEST

/* ---- grids ----------------------------------------------------------------------------------- */

START_TEST(the_frontier_is_what_nothing_else_beats)
{
    struct grid_point points[] = {
        {.saved = .50, .extra = .01},
        {.saved = .50, .extra = .01}, /* the same: the first one stands for both */
        {.saved = .40, .extra = .02},
        {.saved = .70, .extra = .05},
        {.saved = .70, .extra = .06},
        {.saved = .80, .extra = .081},
        {.saved = .20, .extra = -.01},
    };
    struct grid g = {.points = points, .n = 7};
    static const bool frontier[] = {true, false, false, true, false, true, true};
    grid_judge(&g, .08);
    for (size_t i = 0; i < g.n; i++)
        ck_assert_int_eq(points[i].frontier, frontier[i]);
    ck_assert_uint_eq(g.best, 3);
    grid_judge(&g, .081);
    ck_assert_uint_eq(g.best, 5);
    grid_judge(&g, 0);
    ck_assert_uint_eq(g.best, 6);
    grid_judge(&g, -.5);
    ck_assert_uint_eq(g.best, GRID_NONE);
    points[6].saved = 0; /* not worth recommending, even for nothing */
    grid_judge(&g, 0);
    ck_assert_uint_eq(g.best, GRID_NONE);
}
END_TEST

/* A page of seven names, of which a few are missing each time. */
static void put_pages(struct stage *s)
{
    for (unsigned i = 0; i < 40; i++) {
        ask(s, 'a', i * 40 * SECOND);
        for (char c = 'b'; c < 'h'; c++)
            if ((i * 7 + (unsigned)c) % 5 != 0)
                ask(s, c, i * 40 * SECOND + (uint64_t)(c - 'a') * 700);
    }
}

static void must_be_as_run_alone(struct stage *s)
{
    struct grid g;
    size_t n_frontier = 0;
    ck_assert_pstr_eq(grid_run(s->t, &s->conf, NULL, NULL, &g), NULL);
    ck_assert_uint_eq(g.n, grid_size(&s->conf));
    grid_judge(&g, 1);
    for (size_t i = 0; i < g.n; i++) {
        s->conf.prediction.window_ms = g.points[i].window_ms;
        s->conf.prediction.score = g.points[i].score;
        s->conf.prediction.confidence_percent = g.points[i].confidence_percent;
        run(s);
        ck_assert_mem_eq(&s->r, &g.points[i].result, sizeof s->r);
        n_frontier += g.points[i].frontier;
    }
    ck_assert_uint_gt(n_frontier, 0);
    ck_assert_uint_ne(g.best, GRID_NONE);
    grid_free(&g);
}

START_TEST(a_grid_finds_for_each_point_what_a_run_of_its_own_does)
{
    struct stage s;
    start(&s);
    put_pages(&s);
    s.conf.prediction.rule = PREDICT_RULE_VOTE;
    must_be_as_run_alone(&s);
    s.conf.prediction.rule = PREDICT_RULE_2007;
    must_be_as_run_alone(&s);
    end(&s);
}
END_TEST

/* By the vote only score times confidence counts, so that other scores would try the same again. */
START_TEST(a_grid_tries_no_setting_twice_and_none_that_nothing_reaches)
{
    struct stage s;
    struct grid g;
    start(&s);
    put_pages(&s);
    s.conf.prediction.rule = PREDICT_RULE_VOTE;
    s.conf.prediction.score = 2;
    s.conf.prediction.cap = 1; /* means nothing by the vote */
    ck_assert_uint_eq(grid_size(&s.conf), 6 * 14);
    ck_assert_pstr_eq(grid_run(s.t, &s.conf, NULL, NULL, &g), NULL);
    for (size_t i = 0; i < g.n; i++) {
        ck_assert_uint_eq(g.points[i].score, 2);
        ck_assert(i == 0 || g.points[i].window_ms != g.points[i - 1].window_ms ||
                  g.points[i].confidence_percent > g.points[i - 1].confidence_percent);
    }
    grid_free(&g);
    s.conf.prediction.score = 3; /* 3 times 68 % is more than twice 100 % */
    ck_assert_uint_eq(grid_size(&s.conf), 6 * 7);
    s.conf.prediction.rule = PREDICT_RULE_2007;
    s.conf.prediction.cap = 0;
    ck_assert_uint_eq(grid_size(&s.conf), 6 * 3 * 8);
    s.conf.prediction.cap = 2; /* a score of 3 cannot be reached */
    ck_assert_uint_eq(grid_size(&s.conf), 6 * 2 * 8);
    end(&s);
}
END_TEST

START_TEST(a_grid_has_the_default_setting)
{
    struct stage s;
    struct grid g;
    size_t n = 0;
    start(&s);
    put_pages(&s);
    predict_conf_default(&s.conf.prediction);
    ck_assert_pstr_eq(grid_run(s.t, &s.conf, NULL, NULL, &g), NULL);
    for (size_t i = 0; i < g.n; i++)
        n += g.points[i].window_ms == s.conf.prediction.window_ms &&
             g.points[i].confidence_percent == s.conf.prediction.confidence_percent;
    ck_assert_uint_eq(n, 1);
    grid_free(&g);
    end(&s);
}
END_TEST

static void must_find(struct stage *s, const struct grid *expected)
{
    struct grid g;
    ck_assert_pstr_eq(grid_run(s->t, &s->conf, NULL, NULL, &g), NULL);
    ck_assert_uint_eq(g.n, expected->n);
    for (size_t i = 0; i < g.n; i++)
        ck_assert_mem_eq(&g.points[i].result, &expected->points[i].result, sizeof s->r);
    grid_free(&g);
}

START_TEST(a_grid_is_the_same_however_many_threads_there_are)
{
    static const long processors[] = {-1, 1, 2, 1000};
    struct stage s;
    struct grid expected;
    start(&s);
    put_pages(&s);
    ck_assert_pstr_eq(grid_run(s.t, &s.conf, NULL, NULL, &expected), NULL);
    for (size_t i = 0; i < sizeof processors / sizeof processors[0]; i++) {
        n_processors = processors[i];
        must_find(&s, &expected);
    }
    threads_left = 2; /* and then none for which there is room */
    must_find(&s, &expected);
    threads_left = 0;
    must_find(&s, &expected);
    grid_free(&expected);
    end(&s);
}
END_TEST

START_TEST(a_grid_that_memory_has_no_room_for_is_told)
{
    struct stage s;
    start(&s);
    put_pages(&s);
    n_processors = 1;
    for (unsigned n = 1; n <= 5; n++) {
        struct grid g;
        scarce_begin(n, 1);
        const char *why = grid_run(s.t, &s.conf, NULL, NULL, &g);
        ck_assert_uint_ge(scarce_end(), n);
        ck_assert_pstr_eq(why, REHEARSAL_NO_MEMORY);
        grid_free(&g);
    }
    end(&s);
}
END_TEST

/* ---- pictures -------------------------------------------------------------------------------- */

static void ck_assert_svg(const char *svg, size_t len)
{
    ck_assert_ptr_nonnull(svg);
    ck_assert_uint_eq(strlen(svg), len);
    ck_assert_int_eq(strncmp(svg, "<svg ", 5), 0);
    ck_assert_str_eq(svg + len - 7, "</svg>\n");
    ck_assert_ptr_null(strstr(svg, "nan"));
    ck_assert_ptr_null(strstr(svg, "inf"));
}

START_TEST(a_picture_of_hardly_anything)
{
    struct grid_point points[] = {{.window_ms = 2000, .score = 2}};
    struct grid g = {.points = points, .n = 1, .best = GRID_NONE};
    struct plot p = {.grid = &g, .title = "a <b> & \"c\" \xff\n\x7f"};
    size_t len;
    char *svg = plot_svg(&p, &len);
    ck_assert_svg(svg, len);
    ck_assert_ptr_nonnull(strstr(svg, "a &#60;b&#62; &#38; \"c\" ???"));
    ck_assert_ptr_nonnull(strstr(svg, "no setting saves anything within +0 %"));
    free(svg);
    g.n = 0;
    svg = plot_svg(&p, &len);
    ck_assert_svg(svg, len);
    free(svg);
}
END_TEST

START_TEST(a_picture_leaves_out_what_is_far_off_and_says_so)
{
    struct grid_point points[] = {
        {.window_ms = 2000, .score = 1, .saved = .5, .extra = .02},
        {.window_ms = 2000, .score = 2, .saved = .6, .extra = .05},
        {.window_ms = 4000, .score = 3, .saved = .9, .extra = 3},
    };
    struct grid g = {.points = points, .n = 3};
    struct plot p = {
        .grid = &g, .title = "t", .extra_max = .08, .given = {.saved = .4, .extra = -.01}};
    size_t len;
    grid_judge(&g, .08);
    char *svg = plot_svg(&p, &len);
    ck_assert_svg(svg, len);
    ck_assert_ptr_nonnull(
        strstr(svg, "window 2s, score 2, confidence 0%: saves 60.0 % for +5.0 %"));
    ck_assert_ptr_nonnull(strstr(svg, "1 of 3 settings cost more than +40"));
    ck_assert_ptr_null(strstr(svg, "+300"));
    free(svg);
}
END_TEST

/* The axis of costs for a grid whose dearest setting costs `extra`. */
static char *picture_up_to(double extra)
{
    struct grid_point points[] = {{.window_ms = 2000, .score = 2, .saved = .5, .extra = extra}};
    struct grid g = {.points = points, .n = 1};
    struct plot p = {.grid = &g, .title = "t", .extra_max = extra, .given = {.saved = .5}};
    size_t len;
    grid_judge(&g, 0);
    char *svg = plot_svg(&p, &len);
    ck_assert_svg(svg, len);
    return svg;
}

/* Steps of 1, 2 and 5 and their tenfold: between three and a dozen labels, whatever the span. */
START_TEST(axes_have_round_numbers_that_are_not_too_many)
{
    static const struct {
        double extra;
        const char *labels[2]; /* one that is there, one that is not */
    } axes[] = {{.08, {">+2<", ">+1<"}}, {.3, {">+5<", ">+1<"}}, {.5, {">+10<", ">+5<"}},
        {.6, {">+10<", ">+5<"}}, {.9, {">+20<", ">+10<"}}, {3.5, {">+100<", ">+50<"}}};
    for (size_t i = 0; i < sizeof axes / sizeof axes[0]; i++) {
        char *svg = picture_up_to(axes[i].extra);
        ck_assert_msg(strstr(svg, axes[i].labels[0]) != NULL, "no %s", axes[i].labels[0]);
        ck_assert_msg(strstr(svg, axes[i].labels[1]) == NULL, "%s", axes[i].labels[1]);
        free(svg);
    }
}
END_TEST

/* The line goes from the cheapest to the dearest, in whatever order they stand, and not beyond the
 * picture. */
START_TEST(a_frontier_is_drawn_in_the_order_of_its_costs)
{
    struct grid_point points[] = {
        {.window_ms = 2000, .score = 2, .saved = .6, .extra = .05},
        {.window_ms = 4000, .score = 2, .saved = .5, .extra = .02},
        {.window_ms = 8000, .score = 2, .saved = .7, .extra = .06},
    };
    struct grid g = {.points = points, .n = 3};
    struct plot p = {.grid = &g, .title = "t", .extra_max = .08, .given = {.saved = .5}};
    double x[3], y;
    size_t len;
    grid_judge(&g, .08);
    char *svg = plot_svg(&p, &len);
    const char *line = strstr(svg, "<path class=\"f\" d=\"M");
    ck_assert_ptr_nonnull(line);
    ck_assert_int_eq(
        sscanf(strchr(line, 'M'), "M%lf %lf L%lf %lf L%lf", &x[0], &y, &x[1], &y, &x[2]), 5);
    ck_assert(x[0] < x[1] && x[1] < x[2]);
    free(svg);
    for (size_t i = 0; i < 3; i++)
        points[i].extra += 5; /* all of it is beyond */
    grid_judge(&g, .08);
    svg = plot_svg(&p, &len);
    ck_assert_svg(svg, len);
    line = strstr(svg, "<path class=\"f\"");
    ck_assert_ptr_nonnull(line); /* in the legend only */
    ck_assert_ptr_null(strstr(line + 1, "<path class=\"f\""));
    ck_assert_ptr_nonnull(strstr(svg, "3 of 3 settings cost more"));
    free(svg);
}
END_TEST

START_TEST(a_picture_that_memory_has_no_room_for)
{
    struct grid g = {.best = GRID_NONE};
    struct plot p = {.grid = &g, .title = "t"};
    size_t len;
    picture_path = "";
    ck_assert_ptr_null(plot_svg(&p, &len));
    if (access("/dev/full", W_OK) != 0)
        return;
    picture_path = "/dev/full";
    ck_assert_ptr_null(plot_svg(&p, &len));
}
END_TEST

START_TEST(a_period_is_written_as_options_take_it)
{
    char out[FINDINGS_PERIOD_MAX];
    ck_assert_str_eq(findings_period(0, out), "0s");
    ck_assert_str_eq(findings_period(1500, out), "1500ms");
    ck_assert_str_eq(findings_period(2000, out), "2s");
    ck_assert_str_eq(findings_period(60000, out), "1m");
    ck_assert_str_eq(findings_period(90000, out), "90s");
}
END_TEST

static TCase *model_case(void)
{
    TCase *tc = tcase_create("the model");
    tcase_add_test(tc, the_third_visit_saves_its_wait);
    tcase_add_test(tc, a_trace_of_nothing_has_nothing_to_share);
    tcase_add_test(tc, memory_that_runs_out_at_the_start_is_told);
    tcase_add_test(tc, a_wait_is_shortened_by_the_lead_of_the_prefetch);
    tcase_add_test(tc, a_prefetch_that_nobody_asks_for_is_extra);
    tcase_add_test(tc, a_prefetch_that_is_asked_for_behind_the_window_was_not_precise);
    tcase_add_test(tc, what_is_fresh_is_not_waited_for);
    tcase_add_test(tc, a_ttl_counts_from_the_moment_of_asking);
    tcase_add_test(tc, the_first_question_after_5_s_of_silence_is_no_wait);
    tcase_add_test(tc, a_second_client_profits_from_a_used_prefetch_in_full);
    tcase_add_test(tc, other_types_are_neither_learned_nor_asked_ahead);
    tcase_add_test(tc, no_more_prefetches_at_a_time_than_dnsd_would_send);
    tcase_add_test(tc, ttls_come_from_the_table_then_the_trace_then_the_option);
    tcase_add_test(tc, a_ttl_of_0_counts_as_1);
    tcase_add_test(tc, an_answer_with_ttl_0_is_held_for_one_question);
    tcase_add_test(tc, an_answer_with_ttl_0_is_held_for_2_s);
    tcase_add_test(tc, an_answer_with_ttl_0_that_a_client_joined_is_not_held);
    tcase_add_test(tc, strict_keeps_no_answer_with_ttl_0);
    tcase_add_test(tc, questions_with_ttl_0_join_one_that_is_under_way);
    tcase_add_test(tc, a_learned_table_serves_from_the_first_visit);
    return tc;
}

static TCase *reference_case(void)
{
    TCase *tc = tcase_create("the reference");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, the_seed_rule_equals_its_reference_number_for_number, 0,
        (int)(sizeof reference / sizeof reference[0]));
    return tc;
}

static TCase *grid_case(void)
{
    TCase *tc = tcase_create("grids");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, the_frontier_is_what_nothing_else_beats);
    tcase_add_test(tc, a_grid_finds_for_each_point_what_a_run_of_its_own_does);
    tcase_add_test(tc, a_grid_tries_no_setting_twice_and_none_that_nothing_reaches);
    tcase_add_test(tc, a_grid_has_the_default_setting);
    tcase_add_test(tc, a_grid_is_the_same_however_many_threads_there_are);
    tcase_add_test(tc, a_grid_that_memory_has_no_room_for_is_told);
    tcase_add_test(tc, a_picture_of_hardly_anything);
    tcase_add_test(tc, a_picture_leaves_out_what_is_far_off_and_says_so);
    tcase_add_test(tc, axes_have_round_numbers_that_are_not_too_many);
    tcase_add_test(tc, a_frontier_is_drawn_in_the_order_of_its_costs);
    tcase_add_test(tc, a_picture_that_memory_has_no_room_for);
    tcase_add_test(tc, a_period_is_written_as_options_take_it);
    return tc;
}

int main(void)
{
    Suite *s = suite_create("rehearsal");
    SRunner *runner;
    int failed;

    if (sodium_init() < 0)
        return EXIT_FAILURE;
    suite_add_tcase(s, model_case());
    suite_add_tcase(s, reference_case());
    suite_add_tcase(s, grid_case());
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
