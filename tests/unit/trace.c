/* tests/unit/trace.c: traces as text and as logs, files that are something else, and the store.
 * Knows trace.h only. */
#include "tests/unit/reading.h"
#include "tests/unit/scarce.h"

#include <errno.h>
#include <sodium.h>
#include <unistd.h>

/* ---- the C library, at its limits ------------------------------------------------------------ */

static bool no_line;         /* getline finds no memory */
static const char *tmp_path; /* where temporary files go; NULL: where they belong */

ssize_t __real___getdelim(char **line, size_t *cap, int end, FILE *file);
ssize_t __wrap___getdelim(char **line, size_t *cap, int end, FILE *file);
ssize_t __wrap_getline(char **line, size_t *cap, FILE *file);
FILE *__real_tmpfile(void);
FILE *__wrap_tmpfile(void);

ssize_t __wrap___getdelim(char **line, size_t *cap, int end_of_line, FILE *file)
{
    if (!no_line)
        return __real___getdelim(line, cap, end_of_line, file);
    errno = ENOMEM;
    return -1;
}

/* With optimization it is what the C library's header makes of it. */
ssize_t __wrap_getline(char **line, size_t *cap, FILE *file)
{
    return __wrap___getdelim(line, cap, '\n', file);
}

FILE *__wrap_tmpfile(void)
{
    return tmp_path == NULL ? __real_tmpfile() : fopen(tmp_path, "w+");
}

/* ---- text ------------------------------------------------------------------------------------ */

START_TEST(a_text_trace)
{
    struct reading r;
    read_text(&r, "# two clients\r\n\n10\tU1\ta.example\tA\r\n10\tU2\tA.EXAMPLE\tA\n"
                  "25\tU1\ta.example\tAAAA");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_str_eq(r.said, "");
    ck_assert_uint_eq(trace_n_events(r.t), 3);
    ck_assert_uint_eq(trace_n_clients(r.t), 2);
    ck_assert_uint_eq(trace_n_questions(r.t), 2);
    ck_assert_uint_eq(event(&r, 0)->question, event(&r, 1)->question);
    ck_assert_uint_ne(event(&r, 0)->client, event(&r, 1)->client);
    ck_assert_uint_eq(event(&r, 0)->client, event(&r, 2)->client);
    ck_assert_uint_eq(event(&r, 2)->at_ms, 25);
    ck_assert_int_eq(trace_counts(r.t)->form, TRACE_TEXT);
    ck_assert_uint_eq(trace_counts(r.t)->places, 5);
    ck_assert_uint_eq(trace_counts(r.t)->other, 2);
    end(&r);
}
END_TEST

START_TEST(questions_that_dnsd_answers_itself_are_no_events)
{
    struct reading r;
    read_text(&r, "1 U1 printer A\n2 U1 a.local A\n3 U1 1.0.168.192.in-addr.arpa PTR\n"
                  "4 U1 a.example ANY\n5 U1 a.example AXFR\n6 U1 a.example A\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 1);
    ck_assert_uint_eq(trace_counts(r.t)->local, 5);
    end(&r);
}
END_TEST

START_TEST(every_bad_line_of_a_text_is_told_up_to_ten)
{
    struct reading r;
    char text[1024] = "1 U1 a.example A\n";
    read_text(&r, "x\n1 U1 a.example A\n2 U1 b.example\n3 U1 c.example A\n");
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_str_eq(r.said, "1: expected four fields: milliseconds, client, name, type\n"
                             "3: expected four fields: milliseconds, client, name, type\n");
    end(&r);
    for (int i = 0; i < 30; i++)
        strcat(text, "2 U1 a..b A\n");
    read_text(&r, text);
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_ptr_nonnull(strstr(r.said, "10: \"a..b\" is not a name\n11: and more mistakes"));
    ck_assert_ptr_null(strstr(r.said, "12:"));
    end(&r);
}
END_TEST

START_TEST(a_text_whose_time_goes_back)
{
    struct reading r;
    read_text(&r, "10 U1 a.example A\n9 U1 b.example A\n");
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_str_eq(
        r.said, "2: the time goes back: lines have to be in the order of their times\n");
    end(&r);
}
END_TEST

START_TEST(an_empty_file)
{
    struct reading r;
    read_text(&r, "");
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_str_eq(r.said, "0: is empty\n");
    end(&r);
    read_text(&r, "\n\r\n");
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_str_eq(r.said, "0: is empty\n");
    end(&r);
}
END_TEST

START_TEST(a_file_that_is_no_trace)
{
    static const uint8_t bytes[] = {0x7f, 'E', 'L', 'F', 0, 0, '\n', 0, 0xff};
    struct reading r;
    read_text(&r, "\nDear diary,\ntoday nothing happened.\n");
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_int_eq(strncmp(r.said, "2: this is no trace: expected ", 30), 0);
    end(&r);
    start(&r);
    read_bytes(&r, bytes, sizeof bytes);
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_int_eq(strncmp(r.said, "1: this is no trace: expected ", 30), 0);
    end(&r);
}
END_TEST

START_TEST(a_form_that_was_asked_for_is_not_guessed)
{
    struct reading r;
    start(&r);
    r.source.form = TRACE_UNBOUND;
    read_bytes(&r, "1 U1 a.example A\n", 17);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 0);
    ck_assert_uint_eq(trace_counts(r.t)->other, 1);
    end(&r);
    start(&r);
    r.source.form = TRACE_PCAP;
    read_bytes(&r, "1 U1 a.example A\n", 17);
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_str_ne(r.said, "");
    end(&r);
}
END_TEST

START_TEST(a_trace_that_comes_through_a_pipe)
{
    static const char text[] = "10 U1 a.example A\n";
    struct reading r;
    int ends[2];
    FILE *f;
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(ends[1]);
    f = fdopen(ends[0], "r");
    ck_assert_ptr_nonnull(f);
    start(&r);
    ck_assert_int_eq(trace_read(r.t, &f, &r.source), TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 1);
    fclose(f);
    end(&r);
}
END_TEST

/* Through a pipe of len bytes, and a directory for temporary files that is full, or not there. */
static void read_through_pipe(const char *tmp, size_t len, int why)
{
    struct reading r;
    int ends[2];
    FILE *f;
    start(&r);
    ck_assert_int_eq(pipe(ends), 0);
    for (size_t i = 0; i < len; i += 16)
        ck_assert_int_eq(write(ends[1], "1 U1 a.example A", 16), 16);
    close(ends[1]);
    f = fdopen(ends[0], "r");
    ck_assert_ptr_nonnull(f);
    tmp_path = tmp;
    errno = 0;
    ck_assert_int_eq(trace_read(r.t, &f, &r.source), TRACE_UNREADABLE);
    ck_assert_int_eq(errno, why);
    tmp_path = NULL;
    ck_assert_uint_eq(trace_n_events(r.t), 0);
    fclose(f);
    end(&r);
}

START_TEST(a_pipe_and_no_room_for_a_copy)
{
    read_through_pipe("/nonexistent/file", 16, ENOENT);
    if (access("/dev/full", W_OK) != 0)
        return;
    read_through_pipe("/dev/full", 16, ENOSPC);
    read_through_pipe("/dev/full", 65536, ENOSPC); /* in the midst of it */
}
END_TEST

START_TEST(a_file_whose_bytes_cannot_be_had)
{
    static const enum trace_form forms[] = {TRACE_UNKNOWN, TRACE_TEXT};
    char path[] = "/tmp/dnsd-trace-XXXXXX";
    int fd = mkstemp(path);
    struct reading r;
    FILE *f;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "1 U1 a.example A\n", 17), 17);
    close(fd);
    for (size_t i = 0; i < 2; i++) {
        f = fopen(path, "a"); /* reading fails, as from a disk that does */
        ck_assert_ptr_nonnull(f);
        start(&r);
        r.source.form = forms[i];
        ck_assert_int_eq(trace_read(r.t, &f, &r.source), TRACE_UNREADABLE);
        ck_assert_uint_eq(trace_n_events(r.t), 0);
        fclose(f);
        end(&r);
    }
    unlink(path);
    f = fmemopen(NULL, 16, "r"); /* no descriptor */
    ck_assert_ptr_nonnull(f);
    start(&r);
    ck_assert_int_eq(trace_read(r.t, &f, &r.source), TRACE_UNREADABLE);
    fclose(f);
    end(&r);
}
END_TEST

START_TEST(memory_that_runs_out_is_told_whatever_the_form)
{
    static const char text[] = "1 U1 a.example A\n2 U2 b.example AAAA\n";
    unsigned n = 0, taken;
    do {
        struct reading r = {.source = {.port = 53, .ctx = &r, .report = say}};
        FILE *f = tmpfile();
        ck_assert_ptr_nonnull(f);
        ck_assert_int_gt(fputs(text, f), 0);
        rewind(f);
        scarce_begin(++n, 1);
        r.t = trace_create();
        r.result = r.t != NULL ? trace_read(r.t, &f, &r.source) : TRACE_MEMORY;
        taken = scarce_end();
        ck_assert_int_eq(r.result, taken < n ? TRACE_OK : TRACE_MEMORY);
        ck_assert_str_eq(r.said, "");
        fclose(f);
        end(&r);
    } while (taken >= n);
    ck_assert_uint_gt(n, 8);
}
END_TEST

START_TEST(a_line_that_memory_has_no_room_for)
{
    static const enum trace_form forms[] = {TRACE_TEXT, TRACE_UNKNOWN};
    for (size_t i = 0; i < 2; i++) {
        struct reading r;
        start(&r);
        r.source.form = forms[i];
        no_line = true;
        read_bytes(&r, "1 U1 a.example A\n", 17);
        no_line = false;
        ck_assert_int_eq(r.result, TRACE_MEMORY);
        ck_assert_str_eq(r.said, ""); /* above all, not that the file is empty */
        end(&r);
    }
}
END_TEST

START_TEST(a_directory_is_no_trace)
{
    struct reading r;
    FILE *f = fopen("/", "r");
    if (f == NULL)
        return;
    start(&r);
    ck_assert_int_eq(trace_read(r.t, &f, &r.source), TRACE_UNREADABLE);
    fclose(f);
    end(&r);
}
END_TEST

/* ---- logs ------------------------------------------------------------------------------------ */

START_TEST(a_log_among_other_lines_whose_seconds_are_spread)
{
    struct reading r;
    read_text(&r, "Nov 21 00:00:00 host kernel: something else\n"
                  "Nov 21 00:00:01 host dnsmasq[1]: query[A] a.example from 10.0.0.1\n"
                  "Nov 21 00:00:01 host dnsmasq[1]: forwarded a.example to 9.9.9.9\n"
                  "Nov 21 00:00:01 host dnsmasq[1]: query[A] b.example from 10.0.0.1\n"
                  "Nov 21 00:00:01 host dnsmasq[1]: query[A] c.example from 10.0.0.1\n"
                  "Nov 21 00:00:01 host dnsmasq[1]: query[A] d.example from 10.0.0.1\n"
                  "Nov 21 00:00:02 host dnsmasq[1]: query[A] e.example from 10.0.0.1\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_int_eq(trace_counts(r.t)->form, TRACE_DNSMASQ);
    ck_assert_uint_eq(trace_counts(r.t)->other, 2);
    ck_assert_int_eq(trace_counts(r.t)->whole_seconds, true);
    for (size_t i = 0; i < 5; i++)
        ck_assert_uint_eq(event(&r, i)->at_ms - event(&r, 0)->at_ms, i * 250);
    end(&r);
}
END_TEST

START_TEST(a_log_with_parts_of_seconds_is_taken_at_its_word)
{
    struct reading r;
    read_text(&r, "[1700000000.000] unbound[1:0] info: 10.0.0.1 a.example. A IN\n"
                  "[1700000000.000] unbound[1:0] info: 10.0.0.1 b.example. A IN\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_int_eq(trace_counts(r.t)->form, TRACE_UNBOUND);
    ck_assert_int_eq(trace_counts(r.t)->whole_seconds, false);
    ck_assert_uint_eq(event(&r, 1)->at_ms, event(&r, 0)->at_ms);
    end(&r);
}
END_TEST

START_TEST(a_log_across_new_year)
{
    struct reading r;
    read_text(&r, "Dec 31 23:59:59 dnsmasq[1]: query[A] a.example from 10.0.0.1\n"
                  "Jan  1 00:00:01 dnsmasq[1]: query[A] b.example from 10.0.0.1\n"
                  "Dec 31 23:59:59 dnsmasq[1]: query[A] c.example from 10.0.0.1\n"
                  "Jan  1 00:00:01 dnsmasq[1]: query[A] d.example from 10.0.0.1\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_counts(r.t)->back, 0);
    ck_assert_uint_eq(event(&r, 1)->at_ms - event(&r, 0)->at_ms, 2000);
    ck_assert_uint_eq(event(&r, 3)->at_ms - event(&r, 2)->at_ms, 2000);
    end(&r);
}
END_TEST

START_TEST(a_log_whose_clock_was_set_back_goes_on_from_there)
{
    struct reading r;
    read_text(&r, "Oct 25 02:59:59 dnsmasq[1]: query[A] a.example from 10.0.0.1\n"
                  "Oct 25 02:00:00 dnsmasq[1]: query[A] b.example from 10.0.0.1\n"
                  "Oct 25 02:00:07 dnsmasq[1]: query[A] c.example from 10.0.0.1\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_counts(r.t)->back, 1);
    ck_assert_uint_eq(trace_counts(r.t)->first_back, 2);
    ck_assert_uint_eq(trace_counts(r.t)->back_ms, 3599000);
    ck_assert_uint_eq(event(&r, 2)->at_ms - event(&r, 1)->at_ms, 6500); /* spread */
    end(&r);
}
END_TEST

START_TEST(packets_that_overtook_each_other_stand_still)
{
    struct reading r;
    read_text(&r, "[1700000000.5] unbound[1:0] info: 10.0.0.1 a.example. A IN\n"
                  "[1700000000.4] unbound[1:0] info: 10.0.0.1 b.example. A IN\n"
                  "[1700000000.6] unbound[1:0] info: 10.0.0.1 c.example. A IN\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_counts(r.t)->back, 1);
    ck_assert_uint_eq(event(&r, 1)->at_ms, event(&r, 0)->at_ms);
    ck_assert_uint_eq(event(&r, 2)->at_ms - event(&r, 0)->at_ms, 100);
    end(&r);
}
END_TEST

/* Asked: a at .000, b at .010, c at .010, d at .100. A clock that was set back is seen in the times
 * at which lines were written, which a slow question does not turn around. */
START_TEST(a_log_of_dnsd_comes_into_the_order_of_asking)
{
    static const char *const names[] = {"a.example", "b.example", "c.example", "d.example"};
    static const uint64_t at_ms[] = {0, 10, 10, 100};
    struct reading r;
    read_text(&r, "2026-03-01T12:00:00.000Z 10.0.0.1 udp x A special NXDOMAIN 80 0\n"
                  "2026-03-01T12:00:00.010Z 10.0.0.1 udp b.example A cache NOERROR 56 0\n"
                  "2026-03-01T12:00:00.030Z 10.0.0.1 udp c.example A upstream NOERROR 56 20\n"
                  "2026-03-01T12:00:00.100Z 10.0.0.1 tcp d.example A cache NOERROR 56 0\n"
                  "2026-03-01T12:00:04.500Z 10.0.0.1 udp a.example A failed SERVFAIL 56 4500\n"
                  "2026-03-01T12:00:04.600Z 10.0.0.1 udp - - dropped - 0 0\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_int_eq(trace_counts(r.t)->form, TRACE_DNSD);
    ck_assert_uint_eq(trace_counts(r.t)->local, 2);
    ck_assert_uint_eq(trace_counts(r.t)->back, 0);
    ck_assert_int_eq(trace_counts(r.t)->whole_seconds, false);
    ck_assert_uint_eq(trace_n_events(r.t), 4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_str_eq(name_of(&r, i), names[i]);
        ck_assert_uint_eq(event(&r, i)->at_ms - event(&r, 0)->at_ms, at_ms[i]);
    }
    end(&r);
}
END_TEST

START_TEST(a_log_of_dnsd_whose_clock_was_set_back)
{
    struct reading r;
    read_text(&r, "2026-03-01T12:00:00.000Z 10.0.0.1 udp a.example A cache NOERROR 56 0\n"
                  "2026-03-01T11:00:00.000Z 10.0.0.1 udp b.example A upstream NOERROR 56 5\n"
                  "2026-03-01T11:00:01.000Z 10.0.0.1 udp c.example A cache NOERROR 56 0\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_counts(r.t)->back, 1);
    ck_assert_uint_eq(trace_counts(r.t)->back_ms, 3600000);
    ck_assert_str_eq(name_of(&r, 0), "b.example");
    ck_assert_uint_eq(event(&r, 2)->at_ms - event(&r, 1)->at_ms, 1000);
    end(&r);
}
END_TEST

START_TEST(a_time_that_is_shorter_than_what_a_question_took)
{
    struct reading r;
    read_text(&r, "1970-01-01T00:00:00.005Z 10.0.0.1 udp a.example A upstream NOERROR 56 6\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(event(&r, 0)->at_ms, 0);
    end(&r);
}
END_TEST

START_TEST(a_bad_question_in_a_log_is_told_with_its_line)
{
    struct reading r;
    read_text(&r, "Nov 21 00:00:00 host kernel: something else\n"
                  "Nov 21 00:00:01 dnsmasq[1]: query[A] a.example from nowhere\n");
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_str_eq(r.said, "2: \"nowhere\" is not an address\n");
    end(&r);
}
END_TEST

/* ---- the store ------------------------------------------------------------------------------- */

START_TEST(many_clients_and_questions_are_each_known_once)
{
    struct trace *t = trace_create();
    uint8_t name[] = "\4aaaa\7example", key[WIRE_KEY_MAX];
    struct trace_arrival a = {.has_year = true,
        .question = {
            .name = name, .name_len = sizeof name, .type = WIRE_TYPE_A, .class = WIRE_CLASS_IN}};
    ck_assert_ptr_nonnull(t);
    for (unsigned i = 0; i < 40000; i++) {
        a.at_ms = i;
        a.client[0] = (uint8_t)i;
        a.client[1] = (uint8_t)(i / 256 % 16);
        name[1] = (uint8_t)('a' + i % 20);
        name[2] = (uint8_t)('a' + i / 20 % 20);
        name[3] = (uint8_t)('a' + i / 400 % 20);
        ck_assert_int_eq(trace_add(t, &a), 0);
    }
    ck_assert_uint_eq(trace_n_events(t), 40000);
    ck_assert_uint_eq(trace_n_clients(t), 4096);
    ck_assert_uint_eq(trace_n_questions(t), 8000);
    for (uint32_t i = 0; i < 8000; i++)
        ck_assert_uint_eq(
            trace_find(t, trace_question(t, i)->key, trace_question(t, i)->key_len), i);
    name[4] = 'z';
    size_t len = wire_key_write(&a.question, 0, key);
    ck_assert_uint_eq(trace_find(t, key, len), TRACE_NONE);
    trace_free(t);
}
END_TEST

static TCase *text_case(void)
{
    TCase *tc = tcase_create("text");
    tcase_add_test(tc, a_text_trace);
    tcase_add_test(tc, questions_that_dnsd_answers_itself_are_no_events);
    tcase_add_test(tc, every_bad_line_of_a_text_is_told_up_to_ten);
    tcase_add_test(tc, a_text_whose_time_goes_back);
    tcase_add_test(tc, an_empty_file);
    tcase_add_test(tc, a_file_that_is_no_trace);
    tcase_add_test(tc, a_form_that_was_asked_for_is_not_guessed);
    tcase_add_test(tc, a_trace_that_comes_through_a_pipe);
    tcase_add_test(tc, a_directory_is_no_trace);
    tcase_add_test(tc, a_pipe_and_no_room_for_a_copy);
    tcase_add_test(tc, a_file_whose_bytes_cannot_be_had);
    tcase_add_test(tc, memory_that_runs_out_is_told_whatever_the_form);
    tcase_add_test(tc, a_line_that_memory_has_no_room_for);
    tcase_add_test(tc, a_log_among_other_lines_whose_seconds_are_spread);
    tcase_add_test(tc, a_log_with_parts_of_seconds_is_taken_at_its_word);
    tcase_add_test(tc, a_log_across_new_year);
    tcase_add_test(tc, a_log_whose_clock_was_set_back_goes_on_from_there);
    tcase_add_test(tc, packets_that_overtook_each_other_stand_still);
    tcase_add_test(tc, a_log_of_dnsd_comes_into_the_order_of_asking);
    tcase_add_test(tc, a_log_of_dnsd_whose_clock_was_set_back);
    tcase_add_test(tc, a_time_that_is_shorter_than_what_a_question_took);
    tcase_add_test(tc, a_bad_question_in_a_log_is_told_with_its_line);
    tcase_add_test(tc, many_clients_and_questions_are_each_known_once);
    return tc;
}

int main(void)
{
    Suite *s = suite_create("trace");
    SRunner *runner;
    int failed;

    if (sodium_init() < 0)
        return EXIT_FAILURE;
    suite_add_tcase(s, text_case());
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
