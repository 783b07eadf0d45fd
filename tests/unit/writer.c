/* writer.c: knows how a process that writes must begin and may end.
 * Never knows what is written (tests/unit/dump.c does). */
#include "ops/writer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAR_FD 200

static bool kernel_is_old;
int __real_close_range(unsigned first, unsigned last, int flags);
int __wrap_close_range(unsigned first, unsigned last, int flags);

int __wrap_close_range(unsigned first, unsigned last, int flags)
{
    if (!kernel_is_old)
        return __real_close_range(first, last, flags);
    errno = ENOSYS;
    return -1;
}

static int write_nothing(const void *ctx)
{
    (void)ctx;
    return 0;
}

static int fail_with_nospc(const void *ctx)
{
    (void)ctx;
    errno = ENOSPC;
    return -1;
}

/* As one whose disk does not answer. */
static int hang(const void *ctx)
{
    (void)ctx;
    while (pause() < 0)
        continue;
    return 0;
}

static int find_far_fd_closed(const void *ctx)
{
    (void)ctx;
    if (fcntl(FAR_FD, F_GETFD) < 0 && errno == EBADF)
        return 0;
    errno = EEXIST;
    return -1;
}

START_TEST(it_closes_what_is_not_its_own_on_old_kernels_too)
{
    int status = -1;
    kernel_is_old = _i == 1;
    ck_assert_int_eq(dup2(STDERR_FILENO, FAR_FD), FAR_FD);
    ck_assert(writer_await(writer_start(find_far_fd_closed, NULL), &status, 10000));
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(its_errno_is_its_exit_status)
{
    int status = -1;
    ck_assert(writer_await(writer_start(write_nothing, NULL), &status, 10000));
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert(writer_await(writer_start(fail_with_nospc, NULL), &status, 10000));
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == ENOSPC);
}
END_TEST

START_TEST(one_that_hangs_is_not_waited_for_without_end)
{
    int status;
    pid_t pid = writer_start(hang, NULL);
    ck_assert_int_gt(pid, 0);
    ck_assert(!writer_has_ended(pid, &status));
    ck_assert(!writer_await(pid, &status, 50));
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert(writer_await(pid, &status, 10000));
    ck_assert(WIFSIGNALED(status));
}
END_TEST

START_TEST(one_that_nobody_can_wait_for_has_ended)
{
    int status = 0;
    pid_t pid = writer_start(write_nothing, NULL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert(writer_has_ended(pid, &status));
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == ECHILD);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("writer");
    TCase *c = tcase_create("writer");
    tcase_add_loop_test(c, it_closes_what_is_not_its_own_on_old_kernels_too, 0, 2);
    tcase_add_test(c, its_errno_is_its_exit_status);
    tcase_add_test(c, one_that_hangs_is_not_waited_for_without_end);
    tcase_add_test(c, one_that_nobody_can_wait_for_has_ended);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
