/* loop.c: knows how to have memory left for libev's tables when there is no other, and how to wait
 * for the kernel. Never knows what the loop is for.
 *
 * The tables only grow, and each doubles when it does: so what the reserve gave is not collected
 * again, and all that can be asked of it is twice the largest tables. */
#include "net/loop.h"

#include "ops/log.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TROUBLE_WAIT_MS 100

struct block {
    size_t len;
    _Alignas(16) uint8_t bytes[];
};

static struct {
    size_t used;
    _Alignas(16) uint8_t bytes[LOOP_RESERVE];
} reserve;

static bool is_of_reserve(const struct block *b)
{
    uintptr_t at = (uintptr_t)b, start = (uintptr_t)reserve.bytes;
    return at >= start && at < start + sizeof reserve.bytes;
}

static struct block *take_from_reserve(size_t len)
{
    size_t whole = (sizeof(struct block) + len + 15) & ~(size_t)15;
    if (whole > sizeof reserve.bytes - reserve.used)
        return NULL;
    struct block *b = (struct block *)(void *)(reserve.bytes + reserve.used);
    reserve.used += whole;
    return b;
}

static void give_back(struct block *b)
{
    if (b != NULL && !is_of_reserve(b))
        free(b);
}

/* Another place for the block; the old one is given back once it is copied. */
static struct block *move(struct block *old, size_t len)
{
    struct block *b = malloc(sizeof *b + len);
    if (b == NULL)
        b = take_from_reserve(len);
    if (b == NULL)
        return NULL;
    if (old != NULL)
        memcpy(b->bytes, old->bytes, old->len < len ? old->len : len);
    b->len = len;
    give_back(old);
    return b;
}

void *loop_memory(void *ptr, long size)
{
    struct block *b = ptr != NULL ? (struct block *)(void *)((uint8_t *)ptr - sizeof *b) : NULL;
    if (size <= 0) {
        give_back(b);
        return NULL;
    }
    if (b != NULL && b->len >= (size_t)size)
        return ptr;
    b = move(b, (size_t)size);
    return b != NULL ? b->bytes : NULL;
}

void loop_trouble(const char *what)
{
    log_error("%s: %s; it is tried again", what, strerror(errno));
    (void)poll(NULL, 0, TROUBLE_WAIT_MS); /* what the sandbox allows */
}
