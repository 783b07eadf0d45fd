/* turn.h: one turn of the event loop: the clock is read once as it begins, what fell due is done,
 * and before the loop sleeps the ends of the turn are called in order. Knows libev; never what is
 * due or what an end does. */
#ifndef DNSD_NET_TURN_H
#define DNSD_NET_TURN_H

#include <ev.h>
#include <stdint.h>

struct turn;

/* NULL when memory is out. */
struct turn *turn_create(struct ev_loop *loop);
void turn_free(struct turn *t);

/* Time as this turn began. */
uint64_t turn_now_ms(const struct turn *t);

/* Something that falls due: due tells when (UINT64_MAX: never) and is asked each time before the
 * loop sleeps; tick is called at the beginning of a turn in which due has passed. At most 8 of
 * them. */
void turn_add_due(struct turn *t, uint64_t (*due)(void *ctx),
    void (*tick)(void *ctx, uint64_t now_ms), void *ctx);

/* Called at the start of every turn with its time, before anything else. At most 8. */
void turn_add_start(struct turn *t, void (*start)(void *ctx, uint64_t now_ms), void *ctx);

/* Called at the end of every turn, in the order in which they were added. At most 8. */
void turn_add_end(struct turn *t, void (*end)(void *ctx, uint64_t now_ms), void *ctx);

#endif
