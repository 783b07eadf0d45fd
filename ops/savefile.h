/* savefile.h: whole files in and out of memory: written beside, synced, renamed; mode 0600. */
#ifndef DNSD_OPS_SAVEFILE_H
#define DNSD_OPS_SAVEFILE_H

#include <stddef.h>
#include <stdint.h>

/* Behind the name of the file under which the new one is written. */
#define SAVEFILE_BESIDE ".unfinished"

/* Largest that dnsd reads: a table of overrides, what was learned. */
#define SAVEFILE_MAX ((size_t)512 << 20)

/* Replaces path as one step. A symbolic link at path is replaced, never followed. 0, or -1 with
 * errno: then path is as it was and nothing lies beside it. Who is killed meanwhile leaves path
 * with SAVEFILE_BESIDE behind it, and the next one removes that: there can be one writer of a path
 * at a time. Waits for the disk: for start, reload and end, not for the life of a query. */
int savefile_write(const char *path, const uint8_t *bytes, size_t len);

/* Whether a file could be written there by who we are now: its directory exists and lets us. 0, or
 * -1 with errno. */
int savefile_check(const char *path);

/* Reads all of path, at most max bytes. *out is malloc'ed for the caller to free and has a NUL
 * behind its last byte. 0, or -1 with errno (EFBIG: larger than max; EISDIR: a directory; EINVAL: a
 * pipe or a socket, which could make us wait); then *out and *len are untouched. */
int savefile_read(const char *path, size_t max, uint8_t **out, size_t *len);

/* The same in two steps, which may be two processes'. A descriptor, or -1 with errno. */
int savefile_open(const char *path);
/* Closes fd. */
int savefile_read_open(int fd, size_t max, uint8_t **out, size_t *len);

#endif
