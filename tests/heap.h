/* heap.h: what malloc has given out, for tests that weigh it. Knows glibc's malloc. */
#ifndef DNSD_TESTS_HEAP_H
#define DNSD_TESTS_HEAP_H

#include <malloc.h>
#include <stddef.h>

/* In bytes; always the same where another malloc is in its place (sanitizers). */
static inline size_t memory_in_use(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

#endif
