/* privilege.c: knows users, groups and capabilities, and how to be rid of them.
 * Never knows what the process does with what it opened before. */
#include "ops/privilege.h"

#include "ops/log.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
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

/* What the bounding set lacks cannot be gained again by any exec. A container's root may not be
 * allowed to empty it; no_new_privs says the same once more. */
static void empty_bounding_set(void)
{
    capng_clear(CAPNG_SELECT_BOTH);
    (void)capng_apply(CAPNG_SELECT_BOUNDS);
}

static int drop_capabilities(void)
{
    capng_clear(CAPNG_SELECT_ALL);
    (void)capng_apply(CAPNG_SELECT_AMBIENT); /* the kernel clears them with the others, too */
    if (capng_apply(CAPNG_SELECT_CAPS) != 0)
        return fail("capabilities");
    return 0;
}

/* Asked one by one: the library's answer for all of them looks at the effective set alone, and what
 * is permitted is effective in one call. */
static bool has_capabilities(void)
{
    if (capng_get_caps_process() != 0)
        return true;
    for (unsigned capability = 0; capability <= CAP_LAST_CAP; capability++)
        if (capng_have_capability(CAPNG_PERMITTED, capability))
            return true;
    return false;
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
    if (has_capabilities())
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
    empty_bounding_set();
    if (become(to) != 0 || drop_capabilities() != 0)
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
