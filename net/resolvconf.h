/* resolvconf.h: the servers of resolv.conf(5), read and watched.
 * Knows the file's lines; never asks a server, and never decides which of them is used. */
#ifndef DNSD_NET_RESOLVCONF_H
#define DNSD_NET_RESOLVCONF_H

#include "addr.h"

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#define RESOLVCONF_MAX      16
#define RESOLVCONF_WORD_MAX 64 /* what a report shows of a word, with its NUL */

struct resolvconf_servers {
    struct addr addr[RESOLVCONF_MAX]; /* in the order of the file, each once */
    size_t n;
    bool trust_ad; /* "options trust-ad" */
};

/* Told of each line that cannot be used: its number from 1, the word at fault (cut to
 * RESOLVCONF_WORD_MAX - 1 bytes, with "?" for what cannot be printed), and why. */
typedef void resolvconf_report(void *ctx, size_t line, const char *word, const char *why);

/* Reads text (any bytes). Lines that are not for us are skipped without a word, as resolv.conf is
 * shared with others; a nameserver that is not an address, or one too many, is reported and
 * skipped. A port may follow an address as in addr_parse; 0.0.0.0 and :: mean this machine.
 * "trust-ad" counts on any options line, as options add up in the C library. report may be NULL.
 * Asks the kernel for interface names ("fe80::1%eth0") and for nothing else. */
void resolvconf_parse(const char *text, size_t len, struct resolvconf_servers *out,
    resolvconf_report *report, void *ctx);

/* Reads the file; 0, or -1 with errno (out is empty then; EFBIG: larger than 64 KiB). */
int resolvconf_read(
    const char *path, struct resolvconf_servers *out, resolvconf_report *report, void *ctx);

/* The same from a descriptor that was opened for it (O_NONBLOCK), and closes it. */
int resolvconf_read_open(
    int fd, struct resolvconf_servers *out, resolvconf_report *report, void *ctx);

struct resolvconf_watch;

/* Calls changed once the file was changed, replaced, removed or made, directly or behind a symbolic
 * link, and has then been left alone for a quarter of a second. To be
 * started before the file is read, so that no change is lost in between. NULL when memory is out.
 */
struct resolvconf_watch *resolvconf_watch(
    struct ev_loop *loop, const char *path, void (*changed)(void *ctx), void *ctx);

/* changed is not called any more. NULL is fine. */
void resolvconf_unwatch(struct resolvconf_watch *w);

#endif
