/* learned.c: loads, saves and dumps what was learned, and tells how that went.
 * Knows one writer for each kind of file; never the bytes. */
#include "ops/learned.h"

#include "ops/dump.h"
#include "ops/log.h"
#include "ops/savefile.h"
#include "ops/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static bool has_place(const struct predict *p, const char *path)
{
    return p != NULL && path[0] != '\0';
}

static void tell_known(const struct predict *p, const char *what, const char *path)
{
    struct predict_counts c;
    predict_count(p, &c);
    log_debug("%zu dependencies of %zu triggers %s %s", c.pairs, c.triggers, what, path);
}

void learned_load(struct predict *p, const char *path, int fd)
{
    uint8_t *bytes;
    size_t len;
    if (fd < 0 || savefile_read_open(fd, SAVEFILE_MAX, &bytes, &len) < 0) {
        if (errno != ENOENT)
            log_warning("%s: %s; nothing is known at first", path, strerror(errno));
        return;
    }
    const char *why = predict_load(p, bytes, len);
    if (why != NULL)
        log_warning("%s: %s; it is ignored", path, why);
    else
        tell_known(p, "loaded from", path);
    free(bytes);
}

void learned_check(const char *path)
{
    if (path[0] != '\0' && savefile_check(path) < 0)
        log_warning("%s: cannot be written: %s", path, strerror(errno));
}

/* ---- writing --------------------------------------------------------------------------------- */

struct work {
    const struct predict *p;
    const char *path;
};

/* 0, or -1 with errno. */
static int write_table(const void *ctx)
{
    const struct work *w = ctx;
    uint8_t *bytes;
    size_t len;
    if (predict_save(w->p, &bytes, &len) < 0) {
        errno = ENOMEM;
        return -1;
    }
    int result = savefile_write(w->path, bytes, len);
    int saved = errno;
    free(bytes);
    errno = saved;
    return result;
}

static void note_writer(struct learned_writing *w, pid_t pid, const char *path)
{
    if (pid < 0) {
        log_error("%s: not written: %s", path, strerror(errno));
        return;
    }
    w->pid = pid;
    snprintf(w->path, sizeof w->path, "%s", path);
}

void learned_save(struct learned *l, const struct predict *p, const char *path)
{
    const struct work w = {p, path};
    if (!has_place(p, path) || l->save.pid != 0)
        return;
    note_writer(&l->save, writer_start(write_table, &w), path);
}

void learned_dump(struct learned *l, const struct predict *p, const char *path)
{
    if (!has_place(p, path))
        return;
    if (l->dump.pid != 0) {
        log_warning("%s: not written: the dump before is still under way", path);
        return;
    }
    note_writer(&l->dump, dump_start(p, path), path);
}

void learned_save_last(
    struct learned *l, const struct predict *p, const char *path, unsigned wait_ms)
{
    const struct work w = {p, path};
    int status;
    if (!has_place(p, path))
        return;
    if (l->save.pid != 0 && !writer_await(l->save.pid, &status, wait_ms)) {
        log_error("%s: not written: the disk has not taken what was written before", path);
        return;
    }
    if (write_table(&w) < 0)
        log_error("%s: not written: %s", path, strerror(errno));
    else
        tell_known(p, "saved to", path);
}

/* ---- what has ended -------------------------------------------------------------------------- */

/* NULL where a writer's work was done. */
static const char *what_went_wrong(int status)
{
    if (!WIFEXITED(status))
        return "the writer was killed";
    return WEXITSTATUS(status) != 0 ? strerror(WEXITSTATUS(status)) : NULL;
}

/* Whether the writer has ended, and how. */
static bool has_ended(struct learned_writing *w, int *status)
{
    if (w->pid == 0 || !writer_has_ended(w->pid, status))
        return false;
    w->pid = 0;
    return true;
}

void learned_await(struct learned *l)
{
    int status;
    const char *path, *why;
    if (has_ended(&l->dump, &status)) {
        path = l->dump.path;
        why = what_went_wrong(status);
        if (why == NULL)
            log_info("what prediction has learned was dumped to %s and %s.tsv", path, path);
        else
            log_error("%s: what prediction has learned was not dumped: %s", path, why);
    }
    if (has_ended(&l->save, &status)) {
        path = l->save.path;
        why = what_went_wrong(status);
        if (why == NULL)
            log_debug("what prediction has learned was saved to %s", path);
        else
            log_error("%s: not written: %s", path, why);
    }
}
