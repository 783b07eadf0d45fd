/* querylog.c: knows how a line must read, and what must become of lines when the file is full, its
 * reader slow, or it was moved away. Never looks at the buffer. */
#include "ops/querylog.h"

#include "ops/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[200], log_path[256], moved_path[256], stderr_path[256];
static char text[1 << 20]; /* of the file that was read last */

static void make_directory(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(directory, sizeof(directory), "%s/dnsd-querylog-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(log_path, sizeof(log_path), "%s/log", directory);
    snprintf(moved_path, sizeof(moved_path), "%s/log.1", directory);
    snprintf(stderr_path, sizeof(stderr_path), "%s/stderr", directory);
    int fd = open(stderr_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
    log_open(false);
}

static void remove_directory(void)
{
    unlink(log_path);
    unlink(moved_path);
    unlink(stderr_path);
    ck_assert_int_eq(rmdir(directory), 0);
}

static const char *read_text(const char *path)
{
    FILE *f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    return text;
}

static void assert_matches(const char *line, const char *pattern)
{
    regex_t compiled;
    ck_assert_int_eq(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    ck_assert_msg(regexec(&compiled, line, 0, NULL, 0) == 0, "\"%s\" is not \"%s\"", line, pattern);
    regfree(&compiled);
}

static size_t count(const char *where, const char *what)
{
    size_t n = 0;
    for (const char *at = where; (at = strstr(at, what)) != NULL; at += strlen(what))
        n++;
    return n;
}

/* ---- queries --------------------------------------------------------------------------------- */

#define TIME "^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z "

static const uint8_t example[] = "\7eXample\3com";
static struct client client;
static struct wire_question question;
static struct query_end end;

static void make_query(void)
{
    ck_assert_int_eq(addr_parse("192.168.1.7:40000", 53, &client.peer), 0);
    client.transport = CLIENT_UDP;
    question = (struct wire_question){
        .name = example, .name_len = sizeof(example), .type = WIRE_TYPE_A, .class = WIRE_CLASS_IN};
    end = (struct query_end){.client = &client,
        .question = &question,
        .source = QUERY_UPSTREAM,
        .rcode = WIRE_NOERROR,
        .reply_len = 56,
        .took_ms = 23};
}

/* The line of `end` as the file has it. */
static const char *line_of_end(void)
{
    struct querylog *q = querylog_open(log_path);
    ck_assert_ptr_nonnull(q);
    querylog_write(q, &end);
    querylog_close(q);
    return read_text(log_path);
}

START_TEST(a_line_has_the_nine_fields)
{
    assert_matches(line_of_end(), TIME "192\\.168\\.1\\.7 udp eXample\\.com A upstream NOERROR "
                                       "56 23\n$");
}
END_TEST

START_TEST(tcp_over_ipv6_with_types_and_rcodes_without_a_name)
{
    ck_assert_int_eq(addr_parse("[2001:db8::1]:40000", 53, &client.peer), 0);
    client.transport = CLIENT_TCP;
    question.type = 65280;
    end.rcode = 12;
    end.source = QUERY_CACHE;
    assert_matches(line_of_end(), TIME "2001:db8::1 tcp eXample\\.com TYPE65280 cache RCODE12 "
                                       "56 23\n$");
}
END_TEST

START_TEST(known_types_and_rcodes_have_their_names)
{
    question.type = WIRE_TYPE_HTTPS;
    end.rcode = WIRE_BADCOOKIE;
    end.source = QUERY_FAILED;
    assert_matches(line_of_end(), " HTTPS failed BADCOOKIE 56 23\n$");
}
END_TEST

START_TEST(what_did_not_parse_and_was_not_answered_keeps_its_fields)
{
    question.name = NULL;
    end.source = QUERY_DROPPED;
    end.reply_len = 0;
    end.took_ms = 0;
    assert_matches(line_of_end(), TIME "192\\.168\\.1\\.7 udp - - dropped - 0 0\n$");
}
END_TEST

START_TEST(a_hostile_name_cannot_end_the_line_or_add_a_field)
{
    static const uint8_t hostile[] = "\5a\n \33\\\1.";
    question.name = hostile;
    question.name_len = sizeof(hostile);
    assert_matches(line_of_end(), " udp a\\\\010\\\\032\\\\027\\\\092\\.\\\\046 A upstream ");
    ck_assert_uint_eq(count(text, "\n"), 1);
}
END_TEST

START_TEST(the_longest_name_fits)
{
    static uint8_t longest[WIRE_NAME_MAX];
    for (size_t i = 0; i < 4; i++)
        longest[i * 64] = i < 3 ? 63 : 61;
    question.name = longest;
    question.name_len = sizeof(longest);
    line_of_end();
    ck_assert_uint_eq(count(text, "\\000"), 63 * 3 + 61);
    assert_matches(text, " A upstream NOERROR 56 23\n$");
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

static void assert_whole_lines(const char *lines, size_t n)
{
    ck_assert_uint_eq(count(lines, "\n"), n);
    ck_assert_uint_eq(count(lines, " udp eXample.com A upstream NOERROR 56 23\n"), n);
}

START_TEST(nobody_else_may_read_who_asked_what)
{
    struct stat st;
    line_of_end();
    ck_assert_int_eq(stat(log_path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(what_was_there_stays)
{
    line_of_end();
    line_of_end();
    assert_whole_lines(text, 2);
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_is_told)
{
    ck_assert_ptr_null(querylog_open(directory));
    assert_matches(read_text(stderr_path), "error: query log .*: Is a directory\n$");
    querylog_write(NULL, &end);
    querylog_flush(NULL);
    querylog_close(NULL);
    ck_assert_int_eq(querylog_reopen(NULL), 0);
}
END_TEST

START_TEST(after_rotation_lines_go_to_the_new_file)
{
    struct querylog *q = querylog_open(log_path);
    querylog_write(q, &end);
    ck_assert_int_eq(rename(log_path, moved_path), 0);
    querylog_write(q, &end); /* still to the file that was moved */
    ck_assert_int_eq(querylog_reopen(q), 0);
    querylog_write(q, &end);
    querylog_close(q);
    assert_whole_lines(read_text(moved_path), 2);
    assert_whole_lines(read_text(log_path), 1);
}
END_TEST

START_TEST(where_reopening_fails_lines_go_on_to_the_old_file)
{
    struct querylog *q = querylog_open(log_path);
    ck_assert_int_eq(rename(log_path, moved_path), 0);
    ck_assert_int_eq(mkdir(log_path, 0700), 0);
    ck_assert_int_eq(querylog_reopen(q), -1);
    read_text(stderr_path);
    assert_matches(
        text, "error: query log [^:]+: [A-Z][a-z ]+; lines go on to the one that is open");
    querylog_write(q, &end);
    querylog_close(q);
    ck_assert_int_eq(rmdir(log_path), 0);
    assert_whole_lines(read_text(moved_path), 1);
}
END_TEST

/* A dash is standard output; with a file behind it here. */
START_TEST(standard_output_takes_lines_and_stays_open)
{
    int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int before = dup(STDOUT_FILENO);
    ck_assert_int_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    close(fd);
    struct querylog *q = querylog_open("-");
    querylog_write(q, &end);
    ck_assert_int_eq(querylog_reopen(q), 0);
    querylog_write(q, &end);
    querylog_close(q);
    ck_assert_int_ge(fcntl(STDOUT_FILENO, F_GETFD), 0);
    ck_assert_int_eq(dup2(before, STDOUT_FILENO), STDOUT_FILENO);
    close(before);
    assert_whole_lines(read_text(log_path), 2);
}
END_TEST

START_TEST(a_closed_standard_output_is_told)
{
    int before = dup(STDOUT_FILENO);
    close(STDOUT_FILENO);
    struct querylog *q = querylog_open("-");
    ck_assert_int_eq(dup2(before, STDOUT_FILENO), STDOUT_FILENO);
    close(before);
    ck_assert_ptr_null(q);
    ck_assert_uint_eq(count(read_text(stderr_path), "query log -: Bad file descriptor"), 1);
}
END_TEST

START_TEST(a_full_disk_leaves_whole_lines_out_and_tells_how_many)
{
    const struct rlimit small = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
    const struct rlimit all = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    const size_t n = 3000; /* of about 80 bytes: many times what is kept in memory */
    unsigned long left_out = 0;
    struct querylog *q = querylog_open(log_path);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (size_t i = 0; i < n; i++)
        querylog_write(q, &end);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
    querylog_close(q);
    read_text(stderr_path);
    ck_assert_uint_eq(count(text, "\n"), 2); /* once that it begins, once that it is over */
    ck_assert_uint_eq(count(text, "File too large"), 1);
    const char *told = strstr(text, "writing goes on; ");
    ck_assert_ptr_nonnull(told);
    ck_assert_int_eq(sscanf(told, "writing goes on; %lu lines were left out", &left_out), 1);
    ck_assert_uint_gt(left_out, 0);
    assert_whole_lines(read_text(log_path), n - left_out);
}
END_TEST

START_TEST(a_reader_that_does_not_read_is_not_waited_for)
{
    const size_t n = 5000;
    ck_assert_int_eq(mkfifo(log_path, 0600), 0);
    int reader = open(log_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(reader, 0);
    struct querylog *q = querylog_open(log_path);
    ck_assert_ptr_nonnull(q);
    for (size_t i = 0; i < n; i++)
        querylog_write(q, &end); /* would block here for ever */
    size_t len = 0;
    for (int more = 1; more;) {
        ssize_t got = read(reader, text + len, sizeof(text) - 1 - len);
        len += got > 0 ? (size_t)got : 0;
        querylog_flush(q);
        more = got > 0;
    }
    text[len] = '\0';
    size_t lines = count(text, "\n");
    ck_assert_uint_lt(lines, n);
    assert_whole_lines(text, lines);
    ck_assert_uint_eq((unsigned char)text[len - 1], '\n');
    querylog_close(q);
    close(reader);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("querylog");
    TCase *lines = tcase_create("lines");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(lines, make_directory, remove_directory);
    tcase_add_checked_fixture(lines, make_query, NULL);
    tcase_add_checked_fixture(files, make_directory, remove_directory);
    tcase_add_checked_fixture(files, make_query, NULL);
    tcase_add_test(lines, a_line_has_the_nine_fields);
    tcase_add_test(lines, tcp_over_ipv6_with_types_and_rcodes_without_a_name);
    tcase_add_test(lines, known_types_and_rcodes_have_their_names);
    tcase_add_test(lines, what_did_not_parse_and_was_not_answered_keeps_its_fields);
    tcase_add_test(lines, a_hostile_name_cannot_end_the_line_or_add_a_field);
    tcase_add_test(lines, the_longest_name_fits);
    tcase_add_test(files, nobody_else_may_read_who_asked_what);
    tcase_add_test(files, what_was_there_stays);
    tcase_add_test(files, a_file_that_cannot_be_opened_is_told);
    tcase_add_test(files, after_rotation_lines_go_to_the_new_file);
    tcase_add_test(files, where_reopening_fails_lines_go_on_to_the_old_file);
    tcase_add_test(files, standard_output_takes_lines_and_stays_open);
    tcase_add_test(files, a_closed_standard_output_is_told);
    tcase_add_test(files, a_full_disk_leaves_whole_lines_out_and_tells_how_many);
    tcase_add_test(files, a_reader_that_does_not_read_is_not_waited_for);
    suite_add_tcase(suite, lines);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
