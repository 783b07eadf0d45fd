/* sandbox_files.c: knows which directories each of dnsd's processes needs, and how Landlock is
 * told; and who could come by a file in them. Never knows what is written there. */
#include "ops/sandbox_parts.h"

#include "ops/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Landlock has no library in Debian 12, and its headers are those of the oldest kernel. What later
 * ones added is named here as linux/landlock.h does now; a kernel that does not know it yet is not
 * told. */
struct ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* since ABI 4 */
    uint64_t scoped;             /* since ABI 6 */
};
#define FS_TRUNCATE         (1ULL << 14) /* since ABI 3 */
#define FS_IOCTL_DEV        (1ULL << 15) /* since ABI 5 */
#define NET_BIND_TCP        (1ULL << 0)
#define SCOPE_ABSTRACT_UNIX (1ULL << 0)
#define SCOPE_SIGNAL        (1ULL << 1)
#define FS_ALL_OF_ABI_1     ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define FS_REPLACE                                                                                 \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |                                 \
        LANDLOCK_ACCESS_FS_REMOVE_FILE | FS_MAKE_FILE)
#define FS_READ      LANDLOCK_ACCESS_FS_READ_FILE
#define FS_APPEND    LANDLOCK_ACCESS_FS_WRITE_FILE
#define FS_MAKE_FILE LANDLOCK_ACCESS_FS_MAKE_REG

static int landlock_abi(void)
{
    return (int)syscall(
        SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
}

/* All that this kernel can forbid and that nobody needs. Whether the service manager is told
 * through an abstract socket is up to it. */
static int create_ruleset(int abi)
{
    const char *notify = getenv("NOTIFY_SOCKET");
    struct ruleset r = {.handled_access_fs = FS_ALL_OF_ABI_1};
    size_t len = abi < 4   ? offsetof(struct ruleset, handled_access_net)
                 : abi < 6 ? offsetof(struct ruleset, scoped)
                           : sizeof r;
    if (abi >= 2)
        r.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        r.handled_access_fs |= FS_TRUNCATE;
    if (abi >= 5)
        r.handled_access_fs |= FS_IOCTL_DEV;
    r.handled_access_net = NET_BIND_TCP;
    r.scoped = SCOPE_SIGNAL;
    if (notify == NULL || notify[0] != '@')
        r.scoped |= SCOPE_ABSTRACT_UNIX;
    return (int)syscall(SYS_landlock_create_ruleset, &r, len, 0);
}

/* A place that is not there needs no rule: what it is wanted for fails as it would without. Nor
 * does what has no place in any directory (EBADFD), such as a pipe that /dev/stdout leads to. */
static int allow_below(int ruleset, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access};
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return 0;
    long failed = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int saved = errno;
    close(rule.parent_fd);
    errno = saved;
    return failed != 0 && saved != EBADFD ? -1 : 0;
}

static size_t directory_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
}

static int allow_directory_of(int ruleset, const char *path, uint64_t access)
{
    char directory[PATH_MAX] = ".";
    size_t len = directory_len(path);
    if (path[0] == '\0' || len >= sizeof directory)
        return 0;
    if (len > 0) {
        memcpy(directory, path, len);
        directory[len] = '\0';
    }
    return allow_below(ruleset, directory, access);
}

/* A log that is not a regular file, such as a pipe, is nothing that is made anew. */
static int allow_log(int ruleset, const char *path)
{
    struct stat st;
    if (path[0] == '\0' || strcmp(path, "-") == 0)
        return 0;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return allow_below(ruleset, path, FS_APPEND);
    char *target = realpath(path, NULL); /* somewhere else, if it is a link */
    int failed =
        allow_directory_of(ruleset, target != NULL ? target : "", FS_APPEND | FS_MAKE_FILE);
    free(target);
    return failed != 0 ? failed : allow_directory_of(ruleset, path, FS_APPEND | FS_MAKE_FILE);
}

static int allow_files(int ruleset, const struct sandbox_files *files)
{
    if (SANITIZED && allow_below(ruleset, "/", FS_READ | LANDLOCK_ACCESS_FS_READ_DIR) != 0)
        return -1;
    if (files == NULL) /* the reader, whose own rules say which */
        return allow_below(ruleset, "/", FS_READ);
    for (size_t i = 0; i < COUNT_OF(files->replaced); i++)
        if (allow_directory_of(ruleset, files->replaced[i], FS_REPLACE) != 0)
            return -1;
    return allow_log(ruleset, files->appended);
}

int sandbox_forbid_files(enum sandbox_role role, const struct sandbox_files *files)
{
    int abi = landlock_abi();
    if (abi < 1) {
        sandbox_warn(
            role, "files are guarded by their modes alone, as there is no Landlock here", errno);
        return 0;
    }
    int ruleset = create_ruleset(abi);
    if (ruleset < 0 || allow_files(ruleset, files) != 0 ||
        syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
        log_error("sandbox: Landlock: %s", strerror(errno));
        if (ruleset >= 0)
            close(ruleset);
        return -1;
    }
    close(ruleset);
    return 0;
}

/* ---- paths ----------------------------------------------------------------------------------- */

bool sandbox_covers(const struct sandbox_files *files, const char *path)
{
    size_t len = directory_len(path);
    for (size_t i = 0; i < COUNT_OF(files->replaced); i++) {
        const char *known = files->replaced[i];
        if (known[0] != '\0' && directory_len(known) == len && memcmp(known, path, len) == 0)
            return true;
    }
    return path[0] == '\0';
}

/* The directory that this path is in, as it is without links; false: there is none. */
static bool find_directory(const char *path, char directory[PATH_MAX])
{
    char own[PATH_MAX] = ".";
    size_t len = directory_len(path);
    if (path[0] == '\0' || len >= sizeof own)
        return false;
    if (len > 0)
        snprintf(own, sizeof own, "%.*s", (int)len, path);
    return realpath(own, directory) != NULL;
}

/* Both without links. */
static bool is_below(const char *directory, const char *top)
{
    size_t len = strlen(top);
    if (len > 0 && top[len - 1] == '/')
        len--; /* the root */
    return strncmp(directory, top, len) == 0 && (directory[len] == '/' || directory[len] == '\0');
}

/* Whether what can be written by way of writable is above the file at path. Either can be a link.
 */
static bool is_exposed(const char *path, const char *writable)
{
    char target[PATH_MAX], directory[PATH_MAX], top[PATH_MAX];
    if (!find_directory(writable, top))
        return false;
    if (find_directory(path, directory) && is_below(directory, top))
        return true;
    return realpath(path, target) != NULL && find_directory(target, directory) &&
           is_below(directory, top);
}

bool sandbox_exposes(const struct sandbox_files *files, const char *path)
{
    char log[PATH_MAX];
    struct stat st;
    for (size_t i = 0; i < COUNT_OF(files->replaced); i++)
        if (is_exposed(path, files->replaced[i]))
            return true;
    /* As allow_log has it. */
    if (strcmp(files->appended, "-") == 0 ||
        (stat(files->appended, &st) == 0 && !S_ISREG(st.st_mode)))
        return false;
    return is_exposed(path, files->appended) ||
           (realpath(files->appended, log) != NULL && is_exposed(path, log));
}
