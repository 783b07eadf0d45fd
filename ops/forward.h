/* forward.h: which servers are asked: those of -forward, else those of resolv.conf as it is now.
 * Knows where their addresses stand, and tells of them; never how they are asked. */
#ifndef DNSD_OPS_FORWARD_H
#define DNSD_OPS_FORWARD_H

#include "conf.h"
#include "net/resolvconf.h"
#include "net/turn.h"
#include "ops/config.h"
#include "server.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

/* The first group is filled in, the rest zero at first. */
struct forward {
    struct ev_loop *loop;
    struct turn *turn;
    struct servers *servers;     /* which are set here */
    const struct config *config; /* opens resolv.conf */
    void *ctx;
    bool (*is_self)(void *ctx, const struct addr *server); /* asking it would be asking ourselves */

    const struct conf *conf;
    struct resolvconf_watch *watch;
    uint64_t due_ms; /* when resolv.conf is read again; UINT64_MAX: once it changes */
    int error;       /* why it could not be, as it was told; 0: nothing was told of this conf */
};

/* Finds the servers of this configuration, now and each time resolv.conf changes; conf must stay
 * until the next one is used or forward_close. What is left out, and where none is left, is
 * logged. Where resolv.conf cannot be read for now, the servers stay as they are. */
void forward_use(struct forward *f, const struct conf *conf);

/* When it is tried again, and trying; as turn_add_due wants them, for a struct forward. */
uint64_t forward_due_ms(void *ctx);
void forward_again(void *ctx, uint64_t now_ms);

/* Nothing is watched any more. */
void forward_close(struct forward *f);

#endif
