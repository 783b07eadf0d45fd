/* privilege.c: knows what must be gone after root was given up, as root and as anybody else.
 * Each test is a process of its own. */
#include "ops/privilege.h"

#include <cap-ng.h>
#include <check.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
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

/* ---- a system that does not let go ------------------------------------------------------------
 */

/* Which of the calls on the way down fails, or does nothing and says that all is well. */
static enum {
    NOTHING,
    INITGROUPS,
    SETRESGID,
    SETRESUID,
    CAPABILITIES,
    NO_NEW_PRIVS,
    ASKING_UID,
    ASKING_GID,
    CAPABILITIES_STAY,
    GROUP_STAYS,
    USER_STAYS,
    DOOR_OPENS,
    GROUP_DOOR_OPENS,
} trouble;
static const char *missing_user; /* that there is no such user; "*": none at all */

static int fails(void)
{
    errno = EPERM;
    return -1;
}

int __real_initgroups(const char *user, gid_t group);
int __wrap_initgroups(const char *user, gid_t group);
int __real_setresgid(gid_t r, gid_t e, gid_t s);
int __wrap_setresgid(gid_t r, gid_t e, gid_t s);
int __real_setresuid(uid_t r, uid_t e, uid_t s);
int __wrap_setresuid(uid_t r, uid_t e, uid_t s);
int __real_getresuid(uid_t *r, uid_t *e, uid_t *s);
int __wrap_getresuid(uid_t *r, uid_t *e, uid_t *s);
int __real_getresgid(gid_t *r, gid_t *e, gid_t *s);
int __wrap_getresgid(gid_t *r, gid_t *e, gid_t *s);
int __real_capng_apply(capng_select_t set);
int __wrap_capng_apply(capng_select_t set);
int __real_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
struct passwd *__real_getpwnam(const char *name);
struct passwd *__wrap_getpwnam(const char *name);

int __wrap_initgroups(const char *user, gid_t group)
{
    return trouble == INITGROUPS ? fails() : __real_initgroups(user, group);
}

int __wrap_setresgid(gid_t r, gid_t e, gid_t s)
{
    if (trouble == SETRESGID)
        return fails();
    bool pretends = trouble == GROUP_STAYS || (trouble == GROUP_DOOR_OPENS && r == 0);
    return pretends ? 0 : __real_setresgid(r, e, s);
}

int __wrap_setresuid(uid_t r, uid_t e, uid_t s)
{
    if (trouble == SETRESUID)
        return fails();
    bool pretends = trouble == USER_STAYS || (trouble == DOOR_OPENS && r == 0);
    return pretends ? 0 : __real_setresuid(r, e, s);
}

int __wrap_getresuid(uid_t *r, uid_t *e, uid_t *s)
{
    return trouble == ASKING_UID ? fails() : __real_getresuid(r, e, s);
}

int __wrap_getresgid(gid_t *r, gid_t *e, gid_t *s)
{
    return trouble == ASKING_GID ? fails() : __real_getresgid(r, e, s);
}

int __wrap_capng_apply(capng_select_t set)
{
    if (trouble == CAPABILITIES && set == CAPNG_SELECT_CAPS)
        return fails();
    return trouble == CAPABILITIES_STAY ? 0 : __real_capng_apply(set);
}

int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    if (trouble == NO_NEW_PRIVS && option == PR_SET_NO_NEW_PRIVS)
        return fails();
    return __real_prctl(option, a, b, c, d);
}

struct passwd *__wrap_getpwnam(const char *name)
{
    if (missing_user != NULL && (strcmp(missing_user, name) == 0 || missing_user[0] == '*'))
        return NULL;
    return __real_getpwnam(name);
}

/* ---- dropping -------------------------------------------------------------------------------- */

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
    ck_assert_int_eq(privilege_drop("no-such-user-here"), -1);
}
END_TEST

/* In a process of its own, as it may be half way down: whether it says that it is there. */
static bool drops(const char *user)
{
    int status;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0 && trouble == CAPABILITIES_STAY) /* over the change of the user, too */
        ck_assert_int_eq(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
    if (pid == 0)
        _exit(privilege_drop(user) == 0 ? 0 : 1);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

START_TEST(root_that_cannot_give_up_a_part_of_it_does_not_go_on)
{
    if (geteuid() != 0)
        return;
    for (trouble = INITGROUPS; trouble <= NO_NEW_PRIVS; trouble++)
        ck_assert_msg(!drops("nobody"), "goes on after trouble %d", (int)trouble);
}
END_TEST

START_TEST(root_that_finds_a_way_back_does_not_go_on)
{
    if (geteuid() != 0)
        return;
    for (trouble = ASKING_UID; trouble <= GROUP_DOOR_OPENS; trouble++)
        ck_assert_msg(!drops("nobody"), "goes on after trouble %d", (int)trouble);
}
END_TEST

START_TEST(others_that_keep_a_capability_or_may_gain_one_do_not_go_on)
{
    be_nobody();
    trouble = CAPABILITIES;
    ck_assert(!drops(""));
    trouble = NO_NEW_PRIVS;
    ck_assert(!drops(""));
}
END_TEST

/* A program whose file has the setuid bit. */
START_TEST(who_is_root_by_the_files_mode_only_is_so_no_more)
{
    if (geteuid() != 0)
        return;
    uid_t uid = nobody()->pw_uid;
    ck_assert_int_eq(setresuid(uid, 0, 0), 0);
    ck_assert_int_eq(privilege_drop("nobody"), 0);
    ck_assert_uint_eq(geteuid(), uid);
    assert_nothing_kept();
}
END_TEST

START_TEST(root_without_a_name_takes_nobody_where_there_is_no_dnsd)
{
    if (geteuid() != 0)
        return;
    missing_user = "dnsd";
    uid_t uid = nobody()->pw_uid;
    ck_assert_int_eq(privilege_drop(""), 0);
    ck_assert_uint_eq(geteuid(), uid);
    assert_nothing_kept();
}
END_TEST

START_TEST(root_does_not_stay_root_where_there_is_nobody_else)
{
    if (geteuid() != 0)
        return;
    missing_user = "*";
    ck_assert(!drops(""));
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
    tcase_add_test(dropping, root_that_cannot_give_up_a_part_of_it_does_not_go_on);
    tcase_add_test(dropping, root_that_finds_a_way_back_does_not_go_on);
    tcase_add_test(dropping, others_that_keep_a_capability_or_may_gain_one_do_not_go_on);
    tcase_add_test(dropping, who_is_root_by_the_files_mode_only_is_so_no_more);
    tcase_add_test(dropping, root_without_a_name_takes_nobody_where_there_is_no_dnsd);
    tcase_add_test(dropping, root_does_not_stay_root_where_there_is_nobody_else);
    suite_add_tcase(suite, dropping);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK); /* each gives up what the next needs */
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
