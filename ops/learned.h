/* learned.h: what prediction has learned, as files: the predict-file, over a restart, and dumps.
 * Knows paths, and processes that write; never what a score means. */
#ifndef DNSD_OPS_LEARNED_H
#define DNSD_OPS_LEARNED_H

#include "conf.h"
#include "predict.h"

#include <stdbool.h>
#include <sys/types.h>

/* A process that writes; a reload may change the path meanwhile. */
struct learned_writing {
    pid_t pid; /* 0: there is none */
    char path[CONF_PATH_MAX];
};

/* Zero at first. */
struct learned {
    struct learned_writing save, dump;
};

/* Takes over the file at path, which was opened for it; fd -1: it could not be, with errno. Closes
 * fd. */
void learned_load(struct predict *p, const char *path, int fd);

/* Says at the start what would otherwise be noticed at the end, when it is lost: that path cannot
 * be written. */
void learned_check(const char *path);

/* In each of the following p may be NULL and path "": then nothing is done. What goes wrong is
 * logged. */

/* Has a process of its own write the predict-file, so that the loop does not wait for the disk;
 * or the dump. One at a time: while the one before is under way there is no other. */
void learned_save(struct learned *l, const struct predict *p, const char *path);
void learned_dump(struct learned *l, const struct predict *p, const char *path);

/* Tells of those that have ended. To be called after SIGCHLD. */
void learned_await(struct learned *l);

/* Writes the predict-file itself and waits for the disk: for the end, when there is nobody any more
 * to keep waiting. One that a process of its own still writes may take wait_ms to end, else the
 * disk is given up. */
void learned_save_last(
    struct learned *l, const struct predict *p, const char *path, unsigned wait_ms);

#endif
