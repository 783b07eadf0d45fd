/* lose.h: for programs that wrap calls of the system: which of them fails next, with which error,
 * and how often. The program gives each call a number from 1 on; 0 is none. */
#ifndef DNSD_TESTS_UNIT_LOSE_H
#define DNSD_TESTS_UNIT_LOSE_H

#include <errno.h>
#include <stdbool.h>

static struct {
    unsigned what;
    int error, n_times;
} lost;

/* From now on the next n_times calls of that kind fail. */
static void lose(unsigned what, int error, int n_times)
{
    lost.what = what;
    lost.error = error;
    lost.n_times = n_times;
}

/* Whether this call fails; then errno says why. */
static bool loses(unsigned what)
{
    if (lost.what != what || lost.n_times == 0)
        return false;
    lost.n_times--;
    errno = lost.error;
    return true;
}

#endif
