/* privilege.c: knows users, groups and capabilities, and how to be rid of them.
 * Never knows what the process does with what it opened before. */
#include "ops/privilege.h"

#include "ops/log.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what)
{
    log_error("cannot give up root: %s: %s", what, strerror(errno));
    return -1;
}

static const struct passwd *find_user(const char *user)
{
    if (user[0] != '\0') {
        const struct passwd *named = getpwnam(user);
        if (named == NULL)
            log_error("-user %s: there is no such user", user);
        return named;
    }
    const struct passwd *own = getpwnam("dnsd");
    if (own == NULL)
        own = getpwnam("nobody");
    if (own == NULL)
        log_error("cannot give up root: there is neither a user dnsd nor nobody (see -user)");
    return own;
}

/* What the bounding set lacks cannot be gained again by any exec. The kernel may know more
 * capabilities than the headers: EINVAL ends the list. A container's root may not be allowed to
 * (EPERM); no_new_privs says the same once more. */
static int empty_bounding_set(void)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EPERM)
            return fail("PR_CAPBSET_DROP");
    return 0;
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* capset below clears it too */
    if (syscall(SYS_capset, &header, none) != 0)
        return fail("capset");
    return 0;
}

static int become(const struct passwd *to)
{
    if (initgroups(to->pw_name, to->pw_gid) != 0)
        return fail("initgroups");
    if (setresgid(to->pw_gid, to->pw_gid, to->pw_gid) != 0)
        return fail("setresgid");
    if (setresuid(to->pw_uid, to->pw_uid, to->pw_uid) != 0)
        return fail("setresuid");
    return 0;
}

/* Asks the kernel, and tries the door. */
static bool has_way_back(uid_t uid, gid_t gid)
{
    uid_t ruid = 0, euid = 0, suid = 0;
    gid_t rgid = 0, egid = 0, sgid = 0;
    if (getresuid(&ruid, &euid, &suid) != 0 || getresgid(&rgid, &egid, &sgid) != 0)
        return true;
    if (ruid != uid || euid != uid || suid != uid || rgid != gid || egid != gid || sgid != gid)
        return true;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capget, &header, held) != 0)
        return true;
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        if ((held[i].effective | held[i].permitted | held[i].inheritable) != 0)
            return true;
    return setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0;
}

static int drop_root(const char *user)
{
    const struct passwd *to = find_user(user);
    if (to == NULL)
        return -1;
    uid_t uid = to->pw_uid;
    gid_t gid = to->pw_gid;
    if (uid == 0) {
        log_error("-user %s: that is root again; name a user without rights of its own", user);
        return -1;
    }
    if (empty_bounding_set() != 0 || become(to) != 0 || drop_capabilities() != 0)
        return -1;
    if (has_way_back(uid, gid)) {
        log_error("cannot give up root: there is a way back to it");
        return -1;
    }
    log_debug(
        "gave up root: now user %s (%u), group %u", to->pw_name, (unsigned)uid, (unsigned)gid);
    return 0;
}

static int stay(const char *user)
{
    if (user[0] != '\0') {
        const struct passwd *to = find_user(user);
        if (to == NULL)
            return -1;
        if (to->pw_uid != geteuid()) {
            log_error("-user %s: only root can become another user", user);
            return -1;
        }
    }
    return drop_capabilities();
}

bool privilege_has_user(const char *user)
{
    return getpwnam(user) != NULL;
}

int privilege_drop(const char *user)
{
    bool root = getuid() == 0 || geteuid() == 0;
    if (root ? drop_root(user) != 0 : stay(user) != 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail("PR_SET_NO_NEW_PRIVS");
    return 0;
}
