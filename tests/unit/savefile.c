/* savefile.c: knows what a file must look like after it was written, and after it could not be.
 * Never looks at how that is done. */
#include "ops/savefile.h"
#include "tests/unit/lose.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_BOUND ((size_t)1 << 30)

static char directory[256];

/* What was done for a file to last, in order: f a file synced, r renamed, d a directory synced. */
static char lasting[16];

static void note(char letter)
{
    size_t n = strlen(lasting);
    ck_assert_uint_lt(n, sizeof lasting - 1);
    lasting[n] = letter;
}

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat st;
    ck_assert_int_eq(fstat(fd, &st), 0);
    note(S_ISDIR(st.st_mode) ? 'd' : 'f');
    return 0;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    note('r');
    return __real_rename(from, to);
}

/* Which call fails, with which error, and how often; 0: none. */
enum { NOTHING, WRITE, FCHMOD, CLOSE, UNLINK, OPEN_DIRECTORY, REALLOC };
static size_t write_at_most; /* bytes a call; 0: all */

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
void *__real_realloc(void *old, size_t len);
void *__wrap_realloc(void *old, size_t len);

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    if (loses(WRITE))
        return -1;
    return __real_write(fd, bytes, write_at_most != 0 && len > write_at_most ? write_at_most : len);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    return loses(FCHMOD) ? -1 : __real_fchmod(fd, mode);
}

/* As Linux does: closed it is. */
int __wrap_close(int fd)
{
    int result = __real_close(fd);
    return loses(CLOSE) ? -1 : result;
}

int __wrap_unlink(const char *path)
{
    return loses(UNLINK) ? -1 : __real_unlink(path);
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return (flags & O_DIRECTORY) != 0 && loses(OPEN_DIRECTORY) ? -1
                                                               : __real_open(path, flags, mode);
}

void *__wrap_realloc(void *old, size_t len)
{
    return loses(REALLOC) ? NULL : __real_realloc(old, len);
}

/* A path in the directory of this test; in one of four buffers in turn. */
static const char *in_directory(const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static void make_directory(void)
{
    memset(lasting, 0, sizeof lasting);
    const char *tmp = getenv("TMPDIR");
    snprintf(directory, sizeof(directory), "%s/dnsd-savefile-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void remove_directory(void)
{
    DIR *d = opendir(directory);
    ck_assert_ptr_nonnull(d);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        if (e->d_name[0] != '.')
            ck_assert_int_eq(remove(in_directory(e->d_name)), 0);
    closedir(d);
    ck_assert_int_eq(rmdir(directory), 0);
}

static int files_in_directory(void)
{
    int n = 0;
    DIR *d = opendir(directory);
    ck_assert_ptr_nonnull(d);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static int write_text(const char *path, const char *text)
{
    return savefile_write(path, (const uint8_t *)text, strlen(text));
}

static void assert_holds(const char *path, const char *text)
{
    uint8_t *bytes;
    size_t len;
    ck_assert_int_eq(savefile_read(path, NO_BOUND, &bytes, &len), 0);
    ck_assert_uint_eq(len, strlen(text));
    ck_assert_str_eq((const char *)bytes, text); /* and so the NUL behind them is there */
    free(bytes);
}

/* ---- writing --------------------------------------------------------------------------------- */

START_TEST(what_was_written_is_read_back)
{
    size_t len = 300000; /* more than one read of any size */
    uint8_t *bytes = malloc(len);
    uint8_t *back;
    size_t back_len;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    ck_assert_int_eq(savefile_write(in_directory("f"), bytes, len), 0);
    ck_assert_int_eq(savefile_read(in_directory("f"), len, &back, &back_len), 0);
    ck_assert_uint_eq(back_len, len);
    ck_assert_mem_eq(back, bytes, len);
    ck_assert_uint_eq(back[len], 0);
    free(back);
    free(bytes);
}
END_TEST

START_TEST(where_a_file_could_be_written_is_told_without_writing)
{
    ck_assert_int_eq(savefile_check(in_directory("new")), 0);
    ck_assert_int_eq(files_in_directory(), 0);
    ck_assert_int_eq(savefile_check(in_directory("no/new")), -1);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(savefile_check("/new.file/"), -1);
    ck_assert_int_eq(savefile_check("/proc/version/new"), -1);
}
END_TEST

/* Or a power cut could leave the new name without its bytes, or neither name. */
START_TEST(a_file_is_on_the_disk_before_it_has_its_name_and_the_name_after_that)
{
    ck_assert_int_eq(savefile_write(in_directory("file"), (const uint8_t *)"x", 1), 0);
    ck_assert_str_eq(lasting, "frd");
}
END_TEST

START_TEST(an_empty_file_is_a_file)
{
    ck_assert_int_eq(savefile_write(in_directory("f"), NULL, 0), 0);
    assert_holds(in_directory("f"), "");
}
END_TEST

START_TEST(a_shorter_file_keeps_nothing_of_the_longer_one)
{
    ck_assert_int_eq(write_text(in_directory("f"), "a long text"), 0);
    ck_assert_int_eq(write_text(in_directory("f"), "short"), 0);
    assert_holds(in_directory("f"), "short");
    ck_assert_int_eq(files_in_directory(), 1);
}
END_TEST

START_TEST(what_a_killed_writer_left_does_not_add_up)
{
    char left[512];
    snprintf(left, sizeof left, "%s%s", in_directory("f"), SAVEFILE_BESIDE);
    FILE *f = fopen(left, "w");
    ck_assert_ptr_nonnull(f);
    fputs("half a fi", f);
    fclose(f);
    ck_assert_int_eq(chmod(left, 0), 0);
    ck_assert_int_eq(write_text(in_directory("f"), "whole"), 0);
    assert_holds(in_directory("f"), "whole");
    ck_assert_int_eq(files_in_directory(), 1);
}
END_TEST

START_TEST(a_link_in_the_place_of_the_unfinished_file_is_not_followed)
{
    char left[512];
    snprintf(left, sizeof left, "%s%s", in_directory("f"), SAVEFILE_BESIDE);
    ck_assert_int_eq(write_text(in_directory("other"), "other"), 0);
    ck_assert_int_eq(symlink(in_directory("other"), left), 0);
    ck_assert_int_eq(write_text(in_directory("f"), "whole"), 0);
    assert_holds(in_directory("f"), "whole");
    assert_holds(in_directory("other"), "other");
    ck_assert_int_eq(files_in_directory(), 2);
}
END_TEST

START_TEST(nobody_else_may_read_it_whatever_the_umask_and_the_old_mode)
{
    struct stat st;
    mode_t old = umask(0);
    ck_assert_int_eq(write_text(in_directory("f"), "one"), 0);
    ck_assert_int_eq(stat(in_directory("f"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(chmod(in_directory("f"), 0666), 0);
    umask(0277);
    ck_assert_int_eq(write_text(in_directory("f"), "two"), 0);
    umask(old);
    ck_assert_int_eq(stat(in_directory("f"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(a_link_is_replaced_and_what_it_points_to_is_left_alone)
{
    struct stat st;
    ck_assert_int_eq(write_text(in_directory("target"), "precious"), 0);
    ck_assert_int_eq(symlink(in_directory("target"), in_directory("link")), 0);
    ck_assert_int_eq(write_text(in_directory("link"), "new"), 0);
    assert_holds(in_directory("target"), "precious");
    assert_holds(in_directory("link"), "new");
    ck_assert_int_eq(lstat(in_directory("link"), &st), 0);
    ck_assert(S_ISREG(st.st_mode));
}
END_TEST

START_TEST(a_path_without_a_slash_is_in_the_working_directory)
{
    ck_assert_int_eq(chdir(directory), 0);
    ck_assert_int_eq(write_text("f", "here"), 0);
    assert_holds(in_directory("f"), "here");
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(a_full_disk_leaves_the_old_file_and_nothing_beside_it)
{
    const struct rlimit small = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
    const struct rlimit all = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    static uint8_t bytes[10000];
    ck_assert_int_eq(write_text(in_directory("f"), "old"), 0);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    errno = 0;
    int result = savefile_write(in_directory("f"), bytes, sizeof(bytes));
    int why = errno;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
    ck_assert_int_eq(result, -1);
    ck_assert_int_eq(why, EFBIG); /* what the limit says where a disk says ENOSPC */
    assert_holds(in_directory("f"), "old");
    ck_assert_int_eq(files_in_directory(), 1);
}
END_TEST

START_TEST(a_missing_directory_is_told)
{
    errno = 0;
    ck_assert_int_eq(write_text(in_directory("no/f"), "x"), -1);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(files_in_directory(), 0);
}
END_TEST

START_TEST(a_directory_in_its_place_is_told_and_nothing_stays_beside_it)
{
    ck_assert_int_eq(mkdir(in_directory("d"), 0700), 0);
    errno = 0;
    ck_assert_int_eq(write_text(in_directory("d"), "x"), -1);
    ck_assert_int_eq(errno, EISDIR);
    ck_assert_int_eq(files_in_directory(), 1);
}
END_TEST

START_TEST(a_path_too_long_is_told)
{
    char path[5000];
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    errno = 0;
    ck_assert_int_eq(write_text(path, "x"), -1);
    ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

/* A file that is not whole never gets the name. */
START_TEST(a_step_that_fails_leaves_the_old_file_and_nothing_beside_it)
{
    static const struct {
        unsigned what;
        int error;
    } steps[] = {{WRITE, ENOSPC}, {FCHMOD, EPERM}, {CLOSE, EIO}, {UNLINK, EROFS}};
    ck_assert_int_eq(write_text(in_directory("f"), "old"), 0);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        lose(steps[i].what, steps[i].error, 1);
        errno = 0;
        ck_assert_int_eq(write_text(in_directory("f"), "new"), -1);
        ck_assert_int_eq(errno, steps[i].error);
        assert_holds(in_directory("f"), "old");
        ck_assert_int_eq(files_in_directory(), 1);
    }
}
END_TEST

START_TEST(writing_that_is_interrupted_or_comes_in_pieces_is_whole_in_the_end)
{
    write_at_most = 3;
    lose(WRITE, EINTR, 2);
    ck_assert_int_eq(write_text(in_directory("f"), "all of it"), 0);
    ck_assert_int_eq(lost.n_times, 0);
    assert_holds(in_directory("f"), "all of it");
}
END_TEST

/* The file is in place, and that is what was asked for. */
START_TEST(a_directory_that_cannot_be_synced_is_no_failure)
{
    lose(OPEN_DIRECTORY, EACCES, 1);
    ck_assert_int_eq(write_text(in_directory("f"), "new"), 0);
    ck_assert_int_eq(lost.n_times, 0);
    assert_holds(in_directory("f"), "new");
}
END_TEST

START_TEST(a_file_at_the_top_is_in_the_root)
{
    int expected = access("/", W_OK | X_OK);
    ck_assert_int_eq(savefile_check("/dnsd-of-nobody"), expected);
}
END_TEST

/* ---- reading --------------------------------------------------------------------------------- */

static void assert_not_read(const char *path, size_t max, int why)
{
    uint8_t *bytes = NULL;
    size_t len = 77;
    errno = 0;
    ck_assert_int_eq(savefile_read(path, max, &bytes, &len), -1);
    ck_assert_int_eq(errno, why);
    ck_assert_ptr_null(bytes);
    ck_assert_uint_eq(len, 77);
}

START_TEST(the_bound_holds_to_the_byte)
{
    uint8_t *bytes;
    size_t len;
    ck_assert_int_eq(write_text(in_directory("f"), "12345"), 0);
    assert_not_read(in_directory("f"), 4, EFBIG);
    assert_not_read(in_directory("f"), 0, EFBIG);
    ck_assert_int_eq(savefile_read(in_directory("f"), 5, &bytes, &len), 0);
    ck_assert_uint_eq(len, 5);
    free(bytes);
}
END_TEST

START_TEST(a_file_that_tells_no_size_is_read_and_bounded)
{
    uint8_t *bytes;
    size_t len;
    assert_not_read("/dev/zero", 1000000, EFBIG);
    ck_assert_int_eq(savefile_read("/dev/null", 10, &bytes, &len), 0);
    ck_assert_uint_eq(len, 0);
    free(bytes);
    ck_assert_int_eq(savefile_read("/proc/self/status", NO_BOUND, &bytes, &len), 0);
    ck_assert_uint_gt(len, 0);
    free(bytes);
}
END_TEST

START_TEST(no_bound_at_all_does_not_overflow)
{
    uint8_t *bytes;
    size_t len;
    ck_assert_int_eq(write_text(in_directory("f"), "x"), 0);
    ck_assert_int_eq(savefile_read(in_directory("f"), SIZE_MAX, &bytes, &len), 0);
    ck_assert_uint_eq(len, 1);
    free(bytes);
}
END_TEST

START_TEST(a_file_that_grows_beyond_memory_is_told_and_nothing_leaks)
{
    lose(REALLOC, ENOMEM, 1);
    assert_not_read("/dev/zero", 1000000, ENOMEM);
    ck_assert_int_eq(lost.n_times, 0);
}
END_TEST

START_TEST(what_could_make_us_wait_is_refused)
{
    ck_assert_int_eq(mkfifo(in_directory("pipe"), 0600), 0);
    assert_not_read(in_directory("pipe"), 100, EINVAL);
    assert_not_read(directory, 100, EISDIR);
    assert_not_read(in_directory("none"), 100, ENOENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("savefile");
    TCase *writing = tcase_create("writing");
    TCase *reading = tcase_create("reading");
    tcase_add_checked_fixture(writing, make_directory, remove_directory);
    tcase_add_checked_fixture(reading, make_directory, remove_directory);
    tcase_add_test(writing, what_was_written_is_read_back);
    tcase_add_test(writing, where_a_file_could_be_written_is_told_without_writing);
    tcase_add_test(writing, a_file_is_on_the_disk_before_it_has_its_name_and_the_name_after_that);
    tcase_add_test(writing, an_empty_file_is_a_file);
    tcase_add_test(writing, a_shorter_file_keeps_nothing_of_the_longer_one);
    tcase_add_test(writing, what_a_killed_writer_left_does_not_add_up);
    tcase_add_test(writing, a_link_in_the_place_of_the_unfinished_file_is_not_followed);
    tcase_add_test(writing, nobody_else_may_read_it_whatever_the_umask_and_the_old_mode);
    tcase_add_test(writing, a_link_is_replaced_and_what_it_points_to_is_left_alone);
    tcase_add_test(writing, a_path_without_a_slash_is_in_the_working_directory);
    tcase_add_test(writing, a_full_disk_leaves_the_old_file_and_nothing_beside_it);
    tcase_add_test(writing, a_missing_directory_is_told);
    tcase_add_test(writing, a_directory_in_its_place_is_told_and_nothing_stays_beside_it);
    tcase_add_test(writing, a_path_too_long_is_told);
    tcase_add_test(writing, a_step_that_fails_leaves_the_old_file_and_nothing_beside_it);
    tcase_add_test(writing, writing_that_is_interrupted_or_comes_in_pieces_is_whole_in_the_end);
    tcase_add_test(writing, a_directory_that_cannot_be_synced_is_no_failure);
    tcase_add_test(writing, a_file_at_the_top_is_in_the_root);
    tcase_add_test(reading, the_bound_holds_to_the_byte);
    tcase_add_test(reading, a_file_that_tells_no_size_is_read_and_bounded);
    tcase_add_test(reading, no_bound_at_all_does_not_overflow);
    tcase_add_test(reading, what_could_make_us_wait_is_refused);
    tcase_add_test(reading, a_file_that_grows_beyond_memory_is_told_and_nothing_leaks);
    suite_add_tcase(suite, writing);
    suite_add_tcase(suite, reading);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
