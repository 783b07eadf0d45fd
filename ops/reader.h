/* reader.h: a process of its own that opens the files that dnsd reads, since dnsd itself may open
 * nothing to read once it is in its sandbox (sandbox.h).
 * It opens what the administrator named and nothing else, whatever it is asked for: the file of
 * -config, and those that the command line and this file name to be read. It reads the file itself
 * each time it opens it, and so follows it over a reload. */
#ifndef DNSD_OPS_READER_H
#define DNSD_OPS_READER_H

#include "conf.h"

struct reader;

/* Starts it as the user of c, in a sandbox of its own; to be called while little memory is in use,
 * as it keeps a copy. It ends when the caller does. argv must stay. NULL after logging why, with
 * errno; EINVAL: root could not be given up. */
struct reader *reader_start(int argc, const char *const *argv, const struct conf *c);

/* Before a reload: its files together may be waited for three seconds, and no longer. NULL is
 * fine. */
void reader_begin(struct reader *r);

/* A descriptor to read this file from, as savefile_read_open wants it, or -1 with errno: that of
 * open; EPERM: nobody named this file; EPIPE: the process is gone; ETIMEDOUT: it did not answer
 * in time. What it says later counts no more, and until it has said that, every further open fails
 * so at once. */
int reader_open(struct reader *r, const char *path);

/* To be called after SIGCHLD: if it has ended, though nobody asked it to, it is reaped, and that is
 * logged once. What it opened before stays. NULL is fine. */
void reader_look(struct reader *r);

/* Ends it. NULL is fine. */
void reader_stop(struct reader *r);

#endif
