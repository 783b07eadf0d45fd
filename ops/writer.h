/* writer.h: a process of its own for what has to wait for the disk.
 * Knows processes; never what is written. */
#ifndef DNSD_OPS_WRITER_H
#define DNSD_OPS_WRITER_H

#include <stdbool.h>
#include <sys/types.h>

/* Calls write(ctx) in a new process, which sees all memory as it is now and keeps nobody waiting.
 * write returns 0, or -1 with errno; that is the exit status. Returns the pid for the caller to
 * wait for, or -1 with errno. */
pid_t writer_start(int (*write)(const void *ctx), const void *ctx);

/* Whether it has ended; then *status is that of waitpid. One that nobody can wait for any more has
 * ended, with ECHILD. */
bool writer_has_ended(pid_t pid, int *status);

/* Waits for that, and no longer than wait_ms: the disk may never answer. */
bool writer_await(pid_t pid, int *status, unsigned wait_ms);

#endif
