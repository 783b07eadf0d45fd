/* log.c: knows how a line must read on each kind of stderr, and that nobody may be waited for.
 * Never looks at how lines are made. */
#include "ops/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char text[1 << 20];
static int reader = -1; /* of a stderr that is a pipe */

/* stderr becomes a file that has no name any more; what it holds is read through the same
 * descriptor. */
static void stderr_to_file(void)
{
    char path[256];
    const char *tmp = getenv("TMPDIR");
    snprintf(path, sizeof(path), "%s/dnsd-log-XXXXXX", tmp != NULL ? tmp : "/tmp");
    int fd = mkostemp(path, O_CLOEXEC | O_APPEND);
    ck_assert_int_ge(fd, 0);
    unlink(path);
    ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
    unsetenv("JOURNAL_STREAM");
    log_open(false);
}

static const char *logged(void)
{
    ssize_t n = pread(STDERR_FILENO, text, sizeof(text) - 1, 0);
    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    return text;
}

static void stderr_to_pipe(void)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0); /* blocking, as a shell's pipes are */
    ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    reader = ends[0];
    ck_assert_int_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
}

static const char *piped(void)
{
    size_t len = 0;
    for (ssize_t n = 1; n > 0; len += n > 0 ? (size_t)n : 0)
        n = read(reader, text + len, sizeof(text) - 1 - len);
    text[len] = '\0';
    return text;
}

static void assert_matches(const char *lines, const char *pattern)
{
    regex_t compiled;
    ck_assert_int_eq(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    ck_assert_msg(
        regexec(&compiled, lines, 0, NULL, 0) == 0, "\"%s\" is not \"%s\"", lines, pattern);
    regfree(&compiled);
}

static size_t count(const char *where, const char *what)
{
    size_t n = 0;
    for (const char *at = where; (at = strstr(at, what)) != NULL; at += strlen(what))
        n++;
    return n;
}

#define TIME "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z "

START_TEST(a_file_gets_time_and_level)
{
    log_error("one %d", 1);
    log_warning("two");
    log_info("three");
    log_debug("not shown");
    assert_matches(logged(), "^" TIME "error: one 1\n" TIME "warning: two\n" TIME "three\n$");
}
END_TEST

START_TEST(verbose_shows_debug)
{
    log_open(true);
    log_debug("shown");
    assert_matches(logged(), "^" TIME "debug: shown\n$");
}
END_TEST

START_TEST(the_journal_gets_levels_and_makes_the_time_itself)
{
    struct stat st;
    char stream[64];
    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open(true);
    log_error("one");
    log_warning("two");
    log_info("three");
    log_debug("four");
    ck_assert_str_eq(logged(), "<3>one\n<4>two\n<6>three\n<7>four\n");
}
END_TEST

START_TEST(the_variable_of_another_stderr_says_nothing)
{
    setenv("JOURNAL_STREAM", "8:1", 1);
    log_open(false);
    log_info("one");
    assert_matches(logged(), "^" TIME "one\n$");
}
END_TEST

START_TEST(control_characters_cannot_feign_a_line)
{
    log_info("a\nb\033[2J\x7f");
    assert_matches(logged(), "^" TIME "a\\?b\\?\\[2J\\?\n$");
}
END_TEST

START_TEST(a_long_line_is_cut_and_shows_it)
{
    static char longest[5000];
    memset(longest, 'x', sizeof(longest) - 1);
    log_info("%s", longest);
    assert_matches(logged(), "^" TIME "x+\\.\\.\\.\n$");
    ck_assert_uint_eq(strlen(text), 1024);
}
END_TEST

START_TEST(errno_stays_for_the_caller)
{
    errno = ENOENT;
    log_error("x");
    ck_assert_int_eq(errno, ENOENT);
    close(STDERR_FILENO);
    log_error("x");
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(a_closed_stderr_is_never_a_socket)
{
    close(STDIN_FILENO);
    close(STDERR_FILENO);
    log_open(false);
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_gt(next, STDERR_FILENO);
    log_error("to nobody");
    close(next);
}
END_TEST

START_TEST(a_reader_that_sleeps_is_not_waited_for_and_learns_what_it_missed)
{
    unsigned long missed = 0;
    stderr_to_pipe();
    for (int i = 0; i < 5000; i++)
        log_info("a line of the log"); /* would block here for ever */
    size_t taken = count(piped(), "a line of the log\n");
    ck_assert_uint_lt(taken, 5000);
    log_info("awake");
    piped();
    ck_assert_int_eq(sscanf(text, "%*s warning: %lu lines", &missed), 1);
    ck_assert_uint_eq(missed + taken, 5000);
    ck_assert_uint_eq(count(text, "awake\n"), 1);
    log_info("again");
    ck_assert_uint_eq(count(piped(), "\n"), 1);
}
END_TEST

START_TEST(a_reader_that_has_gone_costs_nothing)
{
    signal(SIGPIPE, SIG_IGN); /* as dnsd has it */
    stderr_to_pipe();
    close(reader);
    log_error("x");
    log_error("y");
}
END_TEST

static struct log_limit limit;

START_TEST(a_flood_of_warnings_is_one_a_second)
{
    for (unsigned i = 0; i < 100; i++)
        log_warning_limited(&limit, 5000 + i, "flood %u", i);
    assert_matches(logged(), "^" TIME "warning: flood 0\n$");
    log_warning_limited(&limit, 5999, "flood");
    log_warning_limited(&limit, 6000, "later");
    assert_matches(
        logged(), "^" TIME "warning: flood 0\n" TIME "warning: 100 .*\n" TIME "warning: later\n$");
}
END_TEST

START_TEST(the_first_warning_goes_out_also_at_time_zero)
{
    struct log_limit early = {0};
    log_warning_limited(&early, 0, "one");
    log_warning_limited(&early, 0, "two");
    ck_assert_uint_eq(count(logged(), "\n"), 1);
}
END_TEST

START_TEST(a_limit_may_be_longer_than_a_second)
{
    struct log_limit slow = {.every_ms = 10000};
    log_warning_limited(&slow, 5000, "one");
    log_warning_limited(&slow, 14999, "two");
    log_warning_limited(&slow, 15000, "three");
    assert_matches(
        logged(), "^" TIME "warning: one\n" TIME "warning: 1 .*\n" TIME "warning: three\n$");
}
END_TEST

START_TEST(limited_details_are_for_verbose_only)
{
    struct log_limit details = {0};
    log_debug_limited(&details, 5000, "hidden");
    log_open(true);
    log_debug_limited(&details, 5001, "one");
    log_debug_limited(&details, 5002, "two");
    assert_matches(logged(), "^" TIME "debug: one\n$");
}
END_TEST

START_TEST(details_that_were_left_out_are_counted_too)
{
    struct log_limit details = {0};
    log_open(true);
    for (unsigned i = 0; i < 5; i++)
        log_debug_limited(&details, 5000 + i, "flood");
    log_debug_limited(&details, 6000, "later");
    assert_matches(
        logged(), "^" TIME "debug: flood\n" TIME "debug: 4 lines .*\n" TIME "debug: later\n$");
}
END_TEST

/* Without a time, as nothing that makes one may be called there. */
START_TEST(a_signal_handler_tells_number_and_name)
{
    log_from_handler("forbidden system call ", 59, "execve");
    log_from_handler("forbidden system call ", 0, "read\n\033[1m");
    log_from_handler("forbidden system call ", -1, "one without a name");
    ck_assert_str_eq(logged(), "error: forbidden system call 59 (execve)\n"
                               "error: forbidden system call 0 (read?\?[1m)\n"
                               "error: forbidden system call 0 (one without a name)\n");
}
END_TEST

START_TEST(a_signal_handler_tells_the_journal_too_and_no_more_than_a_line)
{
    struct stat st;
    char stream[64], name[1000];
    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open(false);
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    log_from_handler("call ", 7, name);
    ck_assert_uint_eq(strlen(logged()), 256);
    ck_assert_int_eq(strncmp(text, "<3>call 7 (xxx", 14), 0);
    ck_assert_int_eq(text[255], '\n');
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *lines = tcase_create("lines");
    tcase_add_checked_fixture(lines, stderr_to_file, NULL);
    tcase_add_test(lines, a_file_gets_time_and_level);
    tcase_add_test(lines, verbose_shows_debug);
    tcase_add_test(lines, the_journal_gets_levels_and_makes_the_time_itself);
    tcase_add_test(lines, the_variable_of_another_stderr_says_nothing);
    tcase_add_test(lines, control_characters_cannot_feign_a_line);
    tcase_add_test(lines, a_long_line_is_cut_and_shows_it);
    tcase_add_test(lines, errno_stays_for_the_caller);
    tcase_add_test(lines, a_closed_stderr_is_never_a_socket);
    tcase_add_test(lines, a_reader_that_sleeps_is_not_waited_for_and_learns_what_it_missed);
    tcase_add_test(lines, a_reader_that_has_gone_costs_nothing);
    tcase_add_test(lines, a_flood_of_warnings_is_one_a_second);
    tcase_add_test(lines, the_first_warning_goes_out_also_at_time_zero);
    tcase_add_test(lines, a_limit_may_be_longer_than_a_second);
    tcase_add_test(lines, limited_details_are_for_verbose_only);
    tcase_add_test(lines, details_that_were_left_out_are_counted_too);
    tcase_add_test(lines, a_signal_handler_tells_number_and_name);
    tcase_add_test(lines, a_signal_handler_tells_the_journal_too_and_no_more_than_a_line);
    suite_add_tcase(suite, lines);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
