/* clock.c: knows which of the kernel's clocks counts for dnsd: the one that runs on in suspend.
 * Never knows what anybody does with the milliseconds. */
#include "net/clock.h"

#include <assert.h>
#include <time.h>

uint64_t clock_now_ms(void)
{
    struct timespec ts;
    int rc = clock_gettime(CLOCK_BOOTTIME, &ts);
    assert(rc == 0); /* Linux has had it since 2.6.39 */
    (void)rc;
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint32_t clock_wall_s(void)
{
    struct timespec ts;
    int rc = clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    assert(rc == 0);
    (void)rc;
    return (uint32_t)ts.tv_sec;
}
