/* signals.h: signals as events of the loop.
 * Knows which have come; never what they mean. */
#ifndef DNSD_NET_SIGNALS_H
#define DNSD_NET_SIGNALS_H

#include "net/turn.h"

struct signals;

/* Blocks these signals (numbers, ended by 0) for the whole process, and calls heard for each that
 * comes from then on. NULL with errno when descriptors or memory are out. Not ev_signal: where the
 * kernel refuses to watch libev's own pipe, no signal would ever be heard. */
struct signals *signals_open(struct ev_loop *loop, struct turn *turn, const int *numbers,
    void (*heard)(void *ctx, int number), void *ctx);

/* To be called while the turn still lives. The signals stay blocked. NULL is fine. */
void signals_close(struct signals *s);

#endif
