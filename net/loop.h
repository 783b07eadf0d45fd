/* loop.h: what libev is given so that it never calls abort: memory, and patience with the kernel.
 * Knows its hooks for the whole process; never what is watched. */
#ifndef DNSD_NET_LOOP_H
#define DNSD_NET_LOOP_H

#include <stddef.h>

/* Bytes of the reserve. It is not touched, and so costs nothing, until memory is out. libev's
 * tables have a place of at most 48 bytes for each descriptor and double as they grow: this is
 * enough for the 65,536 descriptors that dnsd takes at most. */
#define LOOP_RESERVE ((size_t)8 << 20)

/* For ev_set_allocator, before there is a loop: as realloc, where a size of 0 frees. Where memory
 * is out it gives from the reserve; NULL only when that is used up too. There is one for the
 * process, since libev hands no context to it. */
void *loop_memory(void *ptr, long size);

/* For ev_set_syserr_cb: tells the log what has failed, and waits a little. libev then tries again:
 * it asks for a new epoll descriptor while it runs, where events came for a descriptor that only a
 * child has any more, and can do nothing before it has one. */
void loop_trouble(const char *what);

#endif
