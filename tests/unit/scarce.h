/* tests/unit/scarce.h: memory that runs out, for programs that are linked with $(SCARCE).
 * Knows allocations by their number; never what they are for. */
#ifndef DNSD_TESTS_SCARCE_H
#define DNSD_TESTS_SCARCE_H

#include <stddef.h>

#define SCARCE_FOR_EVER 0x7fffffffU

/* From now on the nth allocation (from 1) fails, and n - 1 after it. Any thread's count. */
void scarce_begin(unsigned nth, unsigned n);

/* Goes on counting where scarce_end left off. */
void scarce_resume(void);

/* No more do, for now. Returns how many allocations there were: fewer than nth, and none has
 * failed. */
unsigned scarce_end(void);

/* For libraries that let one choose, such as jansson. */
void *scarce_malloc(size_t len);

#endif
