/* shim.h: what a test and the preloaded shim in dnsd share: which calls fail, and how many there
 * were. Knows calls of the C library; never what dnsd makes of them. */
#ifndef DNSD_TESTS_FAULTS_SHIM_H
#define DNSD_TESTS_FAULTS_SHIM_H

#include <stdatomic.h>

/* The kinds of calls that can be made to fail. */
#define FAULT_KINDS(X)                                                                             \
    X(ALLOC)                                                                                       \
    X(MMAP)                                                                                        \
    X(SOCKET)                                                                                      \
    X(BIND)                                                                                        \
    X(CONNECT)                                                                                     \
    X(LISTEN)                                                                                      \
    X(ACCEPT)                                                                                      \
    X(SETSOCKOPT)                                                                                  \
    X(GETSOCKNAME)                                                                                 \
    X(SHUTDOWN)                                                                                    \
    X(SEND)                                                                                        \
    X(RECV)                                                                                        \
    X(EPOLL_CREATE)                                                                                \
    X(EPOLL_CTL)                                                                                   \
    X(EPOLL_WAIT)                                                                                  \
    X(EVENTFD)                                                                                     \
    X(TIMERFD)                                                                                     \
    X(INOTIFY)                                                                                     \
    X(PIPE)                                                                                        \
    X(POLL)                                                                                        \
    X(FCNTL)                                                                                       \
    X(OPEN)                                                                                        \
    X(STAT)                                                                                        \
    X(ACCESS)                                                                                      \
    X(READ)                                                                                        \
    X(WRITE)                                                                                       \
    X(FSYNC)                                                                                       \
    X(FCHMOD)                                                                                      \
    X(RENAME)                                                                                      \
    X(UNLINK)                                                                                      \
    X(CLOSE)                                                                                       \
    X(FORK)                                                                                        \
    X(GETRANDOM)                                                                                   \
    X(RLIMIT)                                                                                      \
    X(PRCTL)                                                                                       \
    X(SIGNALFD)

#define FAULT_ENUM(name) FAULT_##name,
enum fault { FAULT_KINDS(FAULT_ENUM) N_FAULTS };
#undef FAULT_ENUM

#define FAULT_BIT(name) (1ULL << FAULT_##name)

/* The shim maps the file that this variable names, and counts from main on. */
#define FAULT_VARIABLE "DNSD_TEST_FAULTS"

enum fault_deed {
    FAULT_FAIL,         /* the call returns an error */
    FAULT_KILL,         /* the process dies by SIGKILL before the call */
    FAULT_STOP,         /* it stops before the call, which then is made, until somebody wakes it */
    FAULT_NOW_AND_THEN, /* one call in `left` returns the error of its kind, by chance */
};

/* Of the calls of the kinds in mask, the one that takes `left` to 0 fails, and if `forever` all
 * behind it. */
struct fault_plan {
    _Atomic unsigned long long mask; /* written last */
    atomic_long left;
    atomic_int forever;
    atomic_int error;
    atomic_int deed;
    atomic_int errors[N_FAULTS]; /* for FAULT_NOW_AND_THEN; 0: this kind does not fail */
    atomic_ulong chance;         /* what it goes on from; not 0 */
    atomic_ulong n_failed;
    atomic_ulong n_calls[N_FAULTS];
};

#endif
