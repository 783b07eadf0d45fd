/* sandbox.h: what a process gives up for good once it has opened what it needs: every system call
 * but those on a list (seccomp), every file but those it writes (Landlock), being traced.
 * Capabilities and root are privilege.h's, and no_new_privs must be set by then. */
#ifndef DNSD_OPS_SANDBOX_H
#define DNSD_OPS_SANDBOX_H

#include <limits.h>
#include <stdbool.h>

enum sandbox_role {
    SANDBOX_SERVER, /* talks to the network; opens nothing to read (reader.h does that for it) */
    SANDBOX_READER, /* opens files to read, and talks to the server on one descriptor */
};

/* Files that the server writes; "" for none. A file is replaced by another one in its directory
 * (savefile.h) and logs are made anew when they were rotated, so the rules are on directories. */
struct sandbox_files {
    char replaced[2][PATH_MAX];
    char appended[PATH_MAX]; /* "-" is a descriptor that is open already */
};

/* Enters it: there is no way out. files is NULL for the reader. A call that is not on the list ends
 * the process with SIGSYS, after a line in the log that names it. A kernel that lacks a part gets a
 * warning, and the others hold. Two children come and go meanwhile (SIGCHLD): they make the filter.
 * 0, or -1 after logging why, with errno. */
int sandbox_enter(enum sandbox_role role, const struct sandbox_files *files);

/* Whether a file at this path could be replaced by one who entered with these files. */
bool sandbox_covers(const struct sandbox_files *files, const char *path);

/* Whether one who entered with these files could write the file at this path, or another in its
 * place: it is in one of their directories or below, by its name or by where that leads. To be
 * asked before entering. */
bool sandbox_exposes(const struct sandbox_files *files, const char *path);

#endif
