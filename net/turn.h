/* turn.h: one turn of the event loop: the clock is read once as it begins, what fell due is done,
 * and before the loop sleeps the ends of the turn are called in order. Knows libev; never what is
 * due or what an end does. */
#ifndef DNSD_NET_TURN_H
#define DNSD_NET_TURN_H

#include <ev.h>
#include <stdint.h>

/* Room for an end of each of 64 listeners, and for the modules; the same for dues and starts. */
#define TURN_HOOKS_MAX 96

struct turn;

/* NULL when memory is out. The loop's priorities EV_MAXPRI and EV_MINPRI are the turn's own. */
struct turn *turn_create(struct ev_loop *loop);

/* Whatever was added must be gone by then, or never use the turn again. NULL is fine. */
void turn_free(struct turn *t);

/* Time as this turn began. */
uint64_t turn_now_ms(const struct turn *t);

/* Something that falls due: due tells when (UINT64_MAX: never) and is asked each time before the
 * loop sleeps; tick is called at the beginning of a turn in which due has passed. A due in the past
 * makes the next turn come at once; one that its own tick leaves in the past is waited for a
 * millisecond at a time. At most TURN_HOOKS_MAX of them. */
void turn_add_due(struct turn *t, uint64_t (*due)(void *ctx),
    void (*tick)(void *ctx, uint64_t now_ms), void *ctx);

/* Called at the start of every turn with its time, before anything else. At most
 * TURN_HOOKS_MAX. */
void turn_add_start(struct turn *t, void (*start)(void *ctx, uint64_t now_ms), void *ctx);

/* Called at the end of every turn, in the order in which they were added. At most
 * TURN_HOOKS_MAX. */
void turn_add_end(struct turn *t, void (*end)(void *ctx, uint64_t now_ms), void *ctx);

/* Takes out every due, start and end that was added with this ctx. Not to be called from within one
 * of them. */
void turn_remove(struct turn *t, const void *ctx);

#endif
