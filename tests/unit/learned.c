/* learned.c: knows what is told of files that are loaded, written or stuck, and that no two
 * processes write the same. The predictor and its dump are played here; the disk hangs on request.
 */
#include "ops/learned.h"

#include "ops/dump.h"
#include "ops/log.h"
#include "ops/savefile.h"
#include "ops/writer.h"

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

#define AWAIT_MS 10000

/* ---- the predictor and the disk, played ------------------------------------------------------ */

static bool hangs;       /* a process that writes never comes to an end */
static int write_error;  /* 0: it writes */
static const char *flaw; /* of a file that is loaded; NULL: there is none */

int predict_save(const struct predict *p, uint8_t **bytes, size_t *len)
{
    (void)p;
    while (hangs)
        pause();
    if (write_error == ENOMEM || (*bytes = malloc(4)) == NULL)
        return -1;
    memcpy(*bytes, "new", 4);
    *len = 3;
    return 0;
}

const char *predict_load(struct predict *p, const uint8_t *bytes, size_t len)
{
    (void)p;
    (void)bytes;
    (void)len;
    return flaw;
}

void predict_count(const struct predict *p, struct predict_counts *out)
{
    (void)p;
    *out = (struct predict_counts){.pairs = 12, .triggers = 5};
}

static int dump(const void *ctx)
{
    (void)ctx;
    while (hangs)
        pause();
    errno = write_error;
    return write_error != 0 ? -1 : 0;
}

pid_t dump_start(const struct predict *p, const char *path)
{
    (void)p;
    (void)path;
    return writer_start(dump, NULL);
}

static struct predict *predictor(void)
{
    static int it;
    return (struct predict *)(void *)&it; /* the played one looks at nothing */
}

/* ---- files ----------------------------------------------------------------------------------- */

static char directory[128], path[160], log_path[160], text[4096];
static struct learned learned;

static void set_up(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%.90s/dnsd-learned-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/learned", directory);
    snprintf(log_path, sizeof log_path, "%s/log", directory);
    int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
    log_open(true);
}

static void tear_down(void)
{
    unlink(path);
    unlink(log_path);
    ck_assert_int_eq(rmdir(directory), 0); /* nothing else lies there */
}

static const char *read_back(const char *file)
{
    FILE *f = fopen(file, "r");
    size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f != NULL)
        fclose(f);
    text[n] = '\0';
    return text;
}

static void must_say(const char *what)
{
    ck_assert_msg(strstr(read_back(log_path), what) != NULL, "\"%s\" is not in:\n%s", what, text);
}

static void must_not_say(const char *what)
{
    ck_assert_msg(strstr(read_back(log_path), what) == NULL, "\"%s\" is in:\n%s", what, text);
}

/* Until the process has ended, without taking its end away. */
static void await_end(pid_t pid)
{
    siginfo_t info;
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

/* ---- loading --------------------------------------------------------------------------------- */

static void load(int fd, int error)
{
    errno = error;
    learned_load(predictor(), path, fd);
}

START_TEST(what_was_loaded_is_told_and_a_first_start_is_no_trouble)
{
    load(-1, ENOENT);
    ck_assert_str_eq(read_back(log_path), "");
    ck_assert_int_eq(savefile_write(path, (const uint8_t *)"x", 1), 0);
    load(open(path, O_RDONLY | O_CLOEXEC), 0);
    must_say("debug: 12 dependencies of 5 triggers loaded from ");
}
END_TEST

START_TEST(a_file_that_cannot_be_read_or_understood_is_told_and_ignored)
{
    load(-1, EACCES);
    must_say("Permission denied; nothing is known at first");
    load(open(directory, O_RDONLY | O_CLOEXEC), 0);
    must_say("Is a directory; nothing is known at first");
    ck_assert_int_eq(savefile_write(path, (const uint8_t *)"x", 1), 0);
    flaw = "its checksum is wrong";
    load(open(path, O_RDONLY | O_CLOEXEC), 0);
    must_say("its checksum is wrong; it is ignored");
    must_not_say("loaded from");
}
END_TEST

START_TEST(a_file_that_could_not_be_written_at_the_end_is_told_at_the_start)
{
    learned_check("");
    learned_check(path);
    ck_assert_str_eq(read_back(log_path), "");
    learned_check("/proc/version/learned");
    must_say("/proc/version/learned: cannot be written: ");
}
END_TEST

/* ---- writing --------------------------------------------------------------------------------- */

START_TEST(without_prediction_or_a_path_nothing_is_written)
{
    learned_save(&learned, NULL, path);
    learned_save(&learned, predictor(), "");
    learned_dump(&learned, NULL, path);
    learned_dump(&learned, predictor(), "");
    learned_save_last(&learned, NULL, path, AWAIT_MS);
    learned_save_last(&learned, predictor(), "", AWAIT_MS);
    learned_await(&learned);
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_str_eq(read_back(log_path), "");
}
END_TEST

START_TEST(what_was_saved_or_dumped_is_told_once_it_is_there)
{
    learned_save(&learned, predictor(), path);
    await_end(learned.save.pid);
    learned_dump(&learned, predictor(), "elsewhere");
    await_end(learned.dump.pid);
    learned_await(&learned);
    must_say("saved to ");
    must_say("was dumped to elsewhere and elsewhere.tsv");
    ck_assert_str_eq(read_back(path), "new");
    ck_assert_int_eq(learned.save.pid + learned.dump.pid, 0);
}
END_TEST

START_TEST(a_writer_that_fails_is_told_and_there_is_another_one)
{
    write_error = ENOMEM;
    learned_save(&learned, predictor(), path);
    await_end(learned.save.pid);
    write_error = ENOSPC;
    learned_dump(&learned, predictor(), path);
    await_end(learned.dump.pid);
    learned_await(&learned);
    must_say("learned: not written: Cannot allocate memory");
    must_say("was not dumped: No space left on device");
    write_error = 0;
    learned_save(&learned, predictor(), path);
    await_end(learned.save.pid);
    learned_await(&learned);
    ck_assert_str_eq(read_back(path), "new");
}
END_TEST

/* A disk that does not answer holds up one process, and not one more each hour. */
START_TEST(while_the_disk_hangs_there_is_no_second_writer)
{
    hangs = true;
    learned_save(&learned, predictor(), path);
    learned_dump(&learned, predictor(), path);
    pid_t save = learned.save.pid, dumping = learned.dump.pid;
    learned_await(&learned);
    learned_save(&learned, predictor(), path);
    learned_dump(&learned, predictor(), path);
    ck_assert_int_eq(learned.save.pid, save);
    ck_assert_int_eq(learned.dump.pid, dumping);
    must_say("not written: the dump before is still under way");
    ck_assert_int_eq(kill(save, SIGKILL), 0);
    ck_assert_int_eq(kill(dumping, SIGKILL), 0);
    await_end(save);
    await_end(dumping);
    learned_await(&learned);
    must_say("learned: not written: the writer was killed");
    must_say("was not dumped: the writer was killed");
    ck_assert_int_eq(learned.save.pid + learned.dump.pid, 0);
}
END_TEST

/* dnsd ends in time, and does not write what another one may still write. */
START_TEST(at_the_end_a_disk_that_hangs_is_given_up)
{
    hangs = true;
    learned_save(&learned, predictor(), path);
    hangs = false;
    learned_save_last(&learned, predictor(), path, 50);
    must_say("not written: the disk has not taken what was written before");
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(kill(learned.save.pid, SIGKILL), 0);
    await_end(learned.save.pid);
    learned_save_last(&learned, predictor(), path, AWAIT_MS);
    must_say("debug: 12 dependencies of 5 triggers saved to ");
    ck_assert_str_eq(read_back(path), "new");
}
END_TEST

START_TEST(at_the_end_a_disk_that_fails_is_told)
{
    write_error = ENOMEM;
    learned_save_last(&learned, predictor(), path, AWAIT_MS);
    must_say("learned: not written: Cannot allocate memory");
    write_error = 0;
    learned_save_last(&learned, predictor(), "/proc/version/learned", AWAIT_MS);
    must_say("/proc/version/learned: not written: Not a directory");
    must_not_say("saved to");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("learned");
    TCase *c = tcase_create("learned");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, what_was_loaded_is_told_and_a_first_start_is_no_trouble);
    tcase_add_test(c, a_file_that_cannot_be_read_or_understood_is_told_and_ignored);
    tcase_add_test(c, a_file_that_could_not_be_written_at_the_end_is_told_at_the_start);
    tcase_add_test(c, without_prediction_or_a_path_nothing_is_written);
    tcase_add_test(c, what_was_saved_or_dumped_is_told_once_it_is_there);
    tcase_add_test(c, a_writer_that_fails_is_told_and_there_is_another_one);
    tcase_add_test(c, while_the_disk_hangs_there_is_no_second_writer);
    tcase_add_test(c, at_the_end_a_disk_that_hangs_is_given_up);
    tcase_add_test(c, at_the_end_a_disk_that_fails_is_told);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
