/* resolvconf.h: the servers of resolv.conf(5), read and watched. */
#ifndef DNSD_NET_RESOLVCONF_H
#define DNSD_NET_RESOLVCONF_H

#include "addr.h"

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#define RESOLVCONF_MAX 16

struct resolvconf_servers {
    struct addr addr[RESOLVCONF_MAX];
    size_t n;
    bool trust_ad; /* "options trust-ad" */
};

/* Told of each line that cannot be used: its number from 1, the word at fault, and why. */
typedef void resolvconf_report(void *ctx, size_t line, const char *word, const char *why);

/* Reads text (any bytes). Lines that are not for us are skipped without a word, as resolv.conf is
 * shared with others; a nameserver that is not an address is reported and skipped. Pure. */
void resolvconf_parse(const char *text, size_t len, struct resolvconf_servers *out,
    resolvconf_report *report, void *ctx);

/* Reads the file; 0, or -1 with errno (out is empty then). */
int resolvconf_read(
    const char *path, struct resolvconf_servers *out, resolvconf_report *report, void *ctx);

struct resolvconf_watch;

/* Calls changed some time after the file was changed, replaced, removed or made. NULL when memory
 * is out. */
struct resolvconf_watch *resolvconf_watch(
    struct ev_loop *loop, const char *path, void (*changed)(void *ctx), void *ctx);
void resolvconf_unwatch(struct resolvconf_watch *w);

#endif
