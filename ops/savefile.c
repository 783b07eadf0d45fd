/* savefile.c: knows how to replace a file in one step and how to read one within a bound.
 * Never knows what is in it. */
#include "ops/savefile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_READ ((size_t)64 * 1024) /* room for files that tell no size */

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Cuts path down to its directory, or gives that. */
static const char *directory_of(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return ".";
    if (slash == path)
        return "/";
    *slash = '\0';
    return path;
}

/* The rename is on the disk only once its directory is. There is nothing to do where that fails:
 * the new file is in place already. */
static void sync_directory_of(char *path)
{
    const char *directory = directory_of(path);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

/* Makes the new file whole and durable, under whatever name it has. Closes fd. */
static int fill(int fd, const uint8_t *bytes, size_t len)
{
    bool written =
        fchmod(fd, S_IRUSR | S_IWUSR) == 0 && write_all(fd, bytes, len) == 0 && fsync(fd) == 0;
    int saved = errno;
    bool closed = close(fd) == 0;
    if (written && closed)
        return 0;
    if (!written)
        errno = saved;
    return -1;
}

/* Always the same name: what a writer left that was killed goes with the next one, and does not add
 * up. O_EXCL: nobody's link is followed. */
static int open_beside(const char *beside)
{
    if (unlink(beside) != 0 && errno != ENOENT)
        return -1;
    return open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
}

int savefile_write(const char *path, const uint8_t *bytes, size_t len)
{
    char beside[PATH_MAX];
    int n = snprintf(beside, sizeof(beside), "%s%s", path, SAVEFILE_BESIDE);
    if (n < 0 || (size_t)n >= sizeof(beside)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = open_beside(beside);
    if (fd < 0)
        return -1;
    if (fill(fd, bytes, len) != 0 || rename(beside, path) != 0) {
        int saved = errno;
        unlink(beside);
        errno = saved;
        return -1;
    }
    sync_directory_of(beside);
    return 0;
}

/* Only what cannot make us wait: a pipe without a writer would hold up the loop on a reload, or
 * look like an empty file. */
static int check_kind(const struct stat *st)
{
    if (S_ISREG(st->st_mode) || S_ISCHR(st->st_mode))
        return 0;
    errno = S_ISDIR(st->st_mode) ? EISDIR : EINVAL;
    return -1;
}

/* Doubles the buffer, up to what max bytes, one more that tells of an excess, and the NUL take. */
static int grow(uint8_t **buffer, size_t *cap, size_t max)
{
    size_t most = max + 2;
    size_t wanted = *cap > most / 2 ? most : *cap * 2;
    uint8_t *bigger = realloc(*buffer, wanted);
    if (bigger == NULL)
        return -1;
    *buffer = bigger;
    *cap = wanted;
    return 0;
}

/* Reads to the end of the file, whose size may change meanwhile. */
static int read_all(int fd, size_t cap, size_t max, uint8_t **out, size_t *len)
{
    uint8_t *buffer = malloc(cap);
    size_t used = 0;
    if (buffer == NULL)
        return -1;
    for (;;) {
        if (used + 1 == cap && grow(&buffer, &cap, max) != 0)
            goto failed;
        ssize_t n = read(fd, buffer + used, cap - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            goto failed;
        if (n == 0)
            break;
        used += (size_t)n;
        if (used > max) {
            errno = EFBIG;
            goto failed;
        }
    }
    buffer[used] = '\0';
    *out = buffer;
    *len = used;
    return 0;
failed:;
    int saved = errno;
    free(buffer);
    errno = saved;
    return -1;
}

static int read_open(int fd, size_t max, uint8_t **out, size_t *len)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || check_kind(&st) != 0)
        return -1;
    if (st.st_size > 0 && (uintmax_t)st.st_size > max) {
        errno = EFBIG;
        return -1;
    }
    size_t cap = st.st_size > 0 ? (size_t)st.st_size + 2 : FIRST_READ;
    return read_all(fd, cap > max + 2 ? max + 2 : cap, max, out, len);
}

int savefile_check(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return -1;
    int result = access(directory_of(copy), W_OK | X_OK);
    int saved = errno;
    free(copy);
    errno = saved;
    return result;
}

int savefile_open(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

int savefile_read_open(int fd, size_t max, uint8_t **out, size_t *len)
{
    if (max > SIZE_MAX / 2)
        max = SIZE_MAX / 2;
    int result = read_open(fd, max, out, len);
    int saved = errno;
    close(fd);
    errno = saved;
    return result;
}

int savefile_read(const char *path, size_t max, uint8_t **out, size_t *len)
{
    int fd = savefile_open(path);
    return fd < 0 ? -1 : savefile_read_open(fd, max, out, len);
}
