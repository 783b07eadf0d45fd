/* tests/unit/scarce.c: knows how the linker puts functions before those of the C library (--wrap).
 * Never knows who allocates. */
#include "tests/unit/scarce.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Counted only in between: Check allocates too. */
static atomic_uint n_allocations;
static unsigned fail_from, n_fail;
static atomic_bool counting;

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *old, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *old, size_t len);

static bool fails(void)
{
    if (!counting)
        return false;
    unsigned nth = ++n_allocations;
    return nth >= fail_from && nth - fail_from < n_fail;
}

void *__wrap_malloc(size_t len)
{
    return fails() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
    return fails() ? NULL : __real_calloc(n, len);
}

void *__wrap_realloc(void *old, size_t len)
{
    return fails() ? NULL : __real_realloc(old, len);
}

void *scarce_malloc(size_t len)
{
    return __wrap_malloc(len);
}

void scarce_begin(unsigned nth, unsigned n)
{
    n_allocations = 0;
    fail_from = nth;
    n_fail = n;
    counting = true;
}

void scarce_resume(void)
{
    counting = true;
}

unsigned scarce_end(void)
{
    counting = false;
    return n_allocations;
}
