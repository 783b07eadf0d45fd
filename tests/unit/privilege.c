/* privilege.c: knows what must be gone after root was given up, as root and as anybody else.
 * Each test is a process of its own. */
#include "ops/privilege.h"

#include <check.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

/* The value of a line of /proc/self/status, such as "CapEff". */
static unsigned long long status(const char *name)
{
    char line[256];
    unsigned long long value = 99;
    FILE *f = fopen("/proc/self/status", "re");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            value = strtoull(line + strlen(name) + 1, NULL, 16);
    fclose(f);
    return value;
}

static void assert_nothing_kept(void)
{
    /* Who changes its user can no longer be traced; the leak sanitizer wants to, at the end. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    ck_assert_uint_eq(status("CapEff"), 0);
    ck_assert_uint_eq(status("CapPrm"), 0);
    ck_assert_uint_eq(status("CapInh"), 0);
    ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    ck_assert_int_ne(setuid(0), 0);
    ck_assert_int_ne(setgid(0), 0);
}

static const struct passwd *nobody(void)
{
    const struct passwd *p = getpwnam("nobody");
    ck_assert_ptr_nonnull(p);
    return p;
}

START_TEST(root_becomes_the_user_and_cannot_come_back)
{
    gid_t groups[8];
    if (geteuid() != 0)
        return;
    uid_t uid = nobody()->pw_uid;
    gid_t gid = nobody()->pw_gid;
    ck_assert_int_eq(privilege_drop("nobody"), 0);
    ck_assert_uint_eq(getuid(), uid);
    ck_assert_uint_eq(geteuid(), uid);
    ck_assert_uint_eq(getegid(), gid);
    int n = getgroups(8, groups);
    for (int i = 0; i < n; i++)
        ck_assert_uint_eq(groups[i], gid);
    assert_nothing_kept();
}
END_TEST

START_TEST(root_without_a_name_becomes_somebody_else)
{
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(privilege_drop(""), 0);
    ck_assert_uint_ne(geteuid(), 0);
    assert_nothing_kept();
}
END_TEST

START_TEST(root_does_not_stay_root_by_name)
{
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(privilege_drop("root"), -1);
}
END_TEST

START_TEST(a_user_that_is_not_there_is_refused)
{
    ck_assert_int_eq(privilege_drop("no-such-user-here"), -1);
}
END_TEST

/* Root plays somebody else first. */
static void be_nobody(void)
{
    if (geteuid() != 0)
        return;
    gid_t gid = nobody()->pw_gid;
    uid_t uid = nobody()->pw_uid;
    ck_assert_int_eq(setgroups(0, NULL), 0);
    ck_assert_int_eq(setgid(gid), 0);
    ck_assert_int_eq(setuid(uid), 0);
}

START_TEST(others_stay_who_they_are)
{
    be_nobody();
    uid_t uid = geteuid();
    ck_assert_int_eq(privilege_drop(""), 0);
    ck_assert_uint_eq(geteuid(), uid);
    assert_nothing_kept();
}
END_TEST

START_TEST(others_may_name_themselves)
{
    be_nobody();
    const struct passwd *own = getpwuid(geteuid());
    if (own == NULL)
        return; /* a number without a name */
    ck_assert_int_eq(privilege_drop(own->pw_name), 0);
    assert_nothing_kept();
}
END_TEST

START_TEST(others_cannot_become_somebody_else)
{
    be_nobody();
    ck_assert_int_eq(privilege_drop("root"), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("privilege");
    TCase *dropping = tcase_create("dropping");
    tcase_add_test(dropping, root_becomes_the_user_and_cannot_come_back);
    tcase_add_test(dropping, root_without_a_name_becomes_somebody_else);
    tcase_add_test(dropping, root_does_not_stay_root_by_name);
    tcase_add_test(dropping, a_user_that_is_not_there_is_refused);
    tcase_add_test(dropping, others_stay_who_they_are);
    tcase_add_test(dropping, others_may_name_themselves);
    tcase_add_test(dropping, others_cannot_become_somebody_else);
    suite_add_tcase(suite, dropping);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK); /* each gives up what the next needs */
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
