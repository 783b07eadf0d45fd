/* dump.c: knows how a learned dependency must read, as a table and as a graph. The predictor is
 * played here; never the real one. */
#include "ops/dump.h"

#include "wire.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the predictor, played ------------------------------------------------------------------- */

struct question {
    uint8_t key[WIRE_KEY_MAX];
    size_t len;
};

static struct question questions[4];
static struct predict_pair pairs[4];
static size_t n_pairs;

static int must_be_closed = -1;

static bool is_as_it_must_be(void)
{
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    return fcntl(must_be_closed, F_GETFD) == -1 && sigismember(&blocked, SIGTERM) == 1;
}

bool predict_walk(const struct predict *p, predict_visit *visit, void *ctx)
{
    (void)p;
    if (must_be_closed >= 0 && !is_as_it_must_be())
        return false;
    for (size_t i = 0; i < n_pairs; i++)
        if (!visit(ctx, &pairs[i]))
            return false;
    return true;
}

static const struct predict *the_predictor(void)
{
    return (const struct predict *)questions; /* the played one looks at no pointer */
}

static void set_question(
    size_t i, const char *name, size_t name_len, uint16_t type, uint16_t class, unsigned flags)
{
    struct wire_question q = {
        .name = (const uint8_t *)name, .name_len = name_len, .type = type, .class = class};
    questions[i].len = wire_key_write(&q, flags, questions[i].key);
}

#define NAME(literal) literal, sizeof(literal) /* the NUL is the root */

static void add_pair(size_t trigger, size_t follower, unsigned score, unsigned lag_ms)
{
    pairs[n_pairs++] = (struct predict_pair){
        .trigger = questions[trigger].key,
        .trigger_len = questions[trigger].len,
        .follower = questions[follower].key,
        .follower_len = questions[follower].len,
        .score = score,
        .windows = 9,
        .seen = 7,
        .lag_ms = lag_ms,
        .clients = 2,
    };
}

/* ---- files ----------------------------------------------------------------------------------- */

static char dir[64], path[96], table_path[104], text[1 << 16];

static void set_up(void)
{
    snprintf(dir, sizeof dir, "%s/dnsd-dump-XXXXXX",
        getenv("TMPDIR") != NULL && strlen(getenv("TMPDIR")) < 40 ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/learned.dot", dir);
    snprintf(table_path, sizeof table_path, "%s.tsv", path);
    n_pairs = 0;
    set_question(0, NAME("\3www\7example\3com"), 1, 1, 0);
    set_question(1, NAME("\3cdn\7example\3net"), 28, 1, WIRE_KEY_DO | WIRE_KEY_CD);
    set_question(2, NAME("\4a\"\\\n\7example"), 65280, 3, 0);
    set_question(3, NAME(""), 65, 1, WIRE_KEY_CD);
}

static void tear_down(void)
{
    unlink(path);
    unlink(table_path);
    ck_assert_int_eq(rmdir(dir), 0); /* nothing else lies there */
}

static const char *read_back(const char *file)
{
    FILE *f = fopen(file, "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

/* What a command prints of a file. */
static const char *run(const char *command, const char *file)
{
    char line[512];
    snprintf(line, sizeof line, command, file);
    FILE *f = popen(line, "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    ck_assert_int_eq(pclose(f), 0);
    return text;
}

static void dump(void)
{
    ck_assert_int_eq(dump_write(the_predictor(), path), 0);
}

START_TEST(nothing_learned_is_a_line_of_headings_and_an_empty_graph)
{
    dump();
    ck_assert_str_eq(
        read_back(table_path), "trigger\tdependency\tscore\twindows\tseen\tlag_ms\tclients\n");
    ck_assert_str_eq(
        read_back(path), "digraph dnsd {\n    rankdir=LR;\n    node [shape=box];\n}\n");
}
END_TEST

START_TEST(a_dependency_is_a_line_and_an_arrow)
{
    add_pair(0, 1, 6, 40);
    add_pair(1, 0, 1, 65535);
    dump();
    ck_assert_str_eq(read_back(table_path),
        "trigger\tdependency\tscore\twindows\tseen\tlag_ms\tclients\n"
        "www.example.com A\tcdn.example.net AAAA DO CD\t6\t9\t7\t40\t2\n"
        "cdn.example.net AAAA DO CD\twww.example.com A\t1\t9\t7\t65535\t2\n");
    ck_assert_str_eq(read_back(path), "digraph dnsd {\n    rankdir=LR;\n    node [shape=box];\n"
                                      "    \"www.example.com A\" -> \"cdn.example.net AAAA DO CD\" "
                                      "[label=\"6, 40 ms\", penwidth=5];\n"
                                      "    \"cdn.example.net AAAA DO CD\" -> \"www.example.com A\" "
                                      "[label=\"1, 65535 ms\", penwidth=1, style=dotted];\n}\n");
}
END_TEST

START_TEST(names_cannot_break_out_of_their_place)
{
    add_pair(2, 3, 2, 0);
    dump();
    ck_assert_ptr_nonnull(
        strstr(read_back(table_path), "\na\\034\\092\\010.example TYPE65280 CLASS3\t. HTTPS CD\t"));
    ck_assert_ptr_nonnull(strstr(read_back(path),
        "\"a\\\\034\\\\092\\\\010.example TYPE65280 CLASS3\" -> \". HTTPS CD\" ["));
}
END_TEST

/* A predict-file that somebody wrote by hand may name anything. */
START_TEST(a_key_that_is_no_question_is_shown_as_bytes)
{
    static const uint8_t junk[PREDICT_KEY_MAX] = {'"', '\n', 255};
    add_pair(0, 1, 2, 0);
    pairs[0].trigger = junk;
    pairs[0].trigger_len = 3;
    dump();
    ck_assert_ptr_nonnull(strstr(read_back(table_path), "\n\\034\\010\\255\tcdn"));
    ck_assert_ptr_nonnull(strstr(read_back(path), "\"\\\\034\\\\010\\\\255\" -> \"cdn"));
    pairs[0].trigger_len = sizeof junk;
    dump();
    ck_assert_uint_gt(strlen(read_back(table_path)), 4 * sizeof junk);
}
END_TEST

static void add_all(void)
{
    add_pair(0, 1, 6, 40);
    add_pair(0, 2, 3, 70);
    add_pair(2, 3, 2, 10);
    add_pair(3, 0, 1, 65535);
}

START_TEST(awk_reads_the_table)
{
    add_all();
    dump();
    ck_assert_str_eq(run("awk -F'\\t' 'NR > 1 && NF == 7 { n++; score += $3; lag += $6 } "
                         "END { print n, score, lag }' '%s'",
                         table_path),
        "4 12 65655\n");
    ck_assert_str_eq(run("awk -F'\\t' '$1 == \"www.example.com A\" { print $2 }' '%s'", table_path),
        "cdn.example.net AAAA DO CD\na\\034\\092\\010.example TYPE65280 CLASS3\n");
}
END_TEST

/* A width of 0 would be no line at all. */
START_TEST(a_score_of_0_is_a_line_that_is_seen)
{
    add_pair(0, 1, 0, 40);
    dump();
    ck_assert_ptr_nonnull(
        strstr(read_back(path), "[label=\"0, 40 ms\", penwidth=0.5, style=dotted];\n"));
}
END_TEST

/* Where Graphviz is installed. */
START_TEST(dot_draws_the_graph)
{
    if (system("command -v dot >/dev/null 2>&1") != 0)
        return;
    add_all();
    dump();
    run("dot -Tsvg '%s' 2>&1", path);
    ck_assert_ptr_nonnull(strstr(text, "</svg>"));
    ck_assert_ptr_nonnull(strstr(text, "cdn.example.net AAAA DO CD"));
    ck_assert_ptr_nonnull(strstr(text, "a\\034\\092\\010.example TYPE65280 CLASS3"));
    ck_assert_ptr_null(strstr(text, "Error"));
}
END_TEST

START_TEST(the_files_are_for_their_owner_alone_and_are_replaced)
{
    struct stat st;
    umask(0);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fclose(f);
    dump();
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(stat(table_path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(a_path_that_cannot_be_written_says_why)
{
    static char long_path[5000];
    char missing[128];
    snprintf(missing, sizeof missing, "%s/none/x", dir);
    ck_assert_int_eq(dump_write(the_predictor(), missing), -1);
    ck_assert_int_eq(errno, ENOENT);
    memset(long_path, 'x', sizeof long_path - 1);
    ck_assert_int_eq(dump_write(the_predictor(), long_path), -1);
    ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

/* ---- a process of its own -------------------------------------------------------------------- */

START_TEST(a_dump_is_written_by_a_process_of_its_own)
{
    int status;
    add_all();
    pid_t pid = dump_start(the_predictor(), path);
    ck_assert_int_gt(pid, 0);
    n_pairs = 0; /* the child sees what was there when it began */
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_str_eq(run("wc -l < '%s'", table_path), "5\n");
}
END_TEST

/* The played predictor looks around where it is asked, and shows a pair if all is well. */
START_TEST(that_process_holds_no_descriptor_of_ours_and_hears_no_signal)
{
    int status, ends[2];
    add_all();
    ck_assert_int_eq(pipe(ends), 0);
    must_be_closed = ends[1];
    pid_t pid = dump_start(the_predictor(), path);
    must_be_closed = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_str_eq(run("wc -l < '%s'", table_path), "5\n");
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_dump_that_fails_tells_its_errno)
{
    int status;
    strcat(path, "/none");
    pid_t pid = dump_start(the_predictor(), path);
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), ENOENT);
}
END_TEST

START_TEST(starting_a_dump_leaves_the_signals_as_they_were)
{
    sigset_t before, after;
    int status;
    sigprocmask(SIG_SETMASK, NULL, &before);
    pid_t pid = dump_start(the_predictor(), path);
    sigprocmask(SIG_SETMASK, NULL, &after);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    for (int i = 1; i < 32; i++)
        ck_assert_int_eq(sigismember(&before, i), sigismember(&after, i));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dump");
    TCase *files = tcase_create("files"), *process = tcase_create("process");
    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_add_test(files, nothing_learned_is_a_line_of_headings_and_an_empty_graph);
    tcase_add_test(files, a_dependency_is_a_line_and_an_arrow);
    tcase_add_test(files, names_cannot_break_out_of_their_place);
    tcase_add_test(files, a_key_that_is_no_question_is_shown_as_bytes);
    tcase_add_test(files, awk_reads_the_table);
    tcase_add_test(files, a_score_of_0_is_a_line_that_is_seen);
    tcase_add_test(files, dot_draws_the_graph);
    tcase_add_test(files, the_files_are_for_their_owner_alone_and_are_replaced);
    tcase_add_test(files, a_path_that_cannot_be_written_says_why);
    suite_add_tcase(suite, files);
    tcase_add_checked_fixture(process, set_up, tear_down);
    tcase_add_test(process, a_dump_is_written_by_a_process_of_its_own);
    tcase_add_test(process, that_process_holds_no_descriptor_of_ours_and_hears_no_signal);
    tcase_add_test(process, a_dump_that_fails_tells_its_errno);
    tcase_add_test(process, starting_a_dump_leaves_the_signals_as_they_were);
    suite_add_tcase(suite, process);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
