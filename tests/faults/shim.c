/* shim.c: preloaded into dnsd: hands each call on to the C library, or fails it by the plan that it
 * shares with a test. Knows nothing of dnsd.
 *
 * What the C library calls within itself is not seen, but for malloc and its kin. */
#include "tests/faults/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

typedef int main_call(int, char **, char **);

static struct fault_plan *plan; /* NULL until main begins, and once it is over */

static void *next(const char *name)
{
    void *call = dlsym(RTLD_NEXT, name);
    if (call == NULL)
        abort();
    return call;
}

/* ISO C has no conversion from a pointer to an object into one to a function. */
#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (real == NULL) {                                                                            \
        void *found = next(#name);                                                                 \
        memcpy(&real, &found, sizeof real);                                                        \
    }

/* xorshift: the same seed and the same calls give the same faults. */
static bool strikes_by_chance(enum fault kind)
{
    unsigned long x = plan->chance;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    plan->chance = x;
    if (plan->errors[kind] == 0 || x % (unsigned long)plan->left != 0)
        return false;
    plan->n_failed++;
    errno = plan->errors[kind];
    return true;
}

static bool strikes(enum fault kind)
{
    if (plan == NULL)
        return false;
    plan->n_calls[kind]++;
    if ((plan->mask & 1ULL << kind) == 0)
        return false;
    if (plan->deed == FAULT_NOW_AND_THEN)
        return strikes_by_chance(kind);
    long left = --plan->left;
    if (left > 0 || (left < 0 && !plan->forever))
        return false;
    plan->n_failed++;
    if (plan->deed == FAULT_KILL)
        kill(getpid(), SIGKILL);
    if (plan->deed == FAULT_STOP)
        return raise(SIGSTOP) != 0;
    errno = plan->error;
    return true;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* For what dlsym itself may allocate before it has found malloc. Never given back. */
static _Alignas(16) unsigned char early[4096];
static size_t n_early;
static bool looking;

static void *early_memory(size_t len)
{
    void *at = early + n_early;
    n_early += (len + 15) & ~(size_t)15;
    return n_early <= sizeof early ? at : NULL;
}

static bool is_early(const void *ptr)
{
    return (const unsigned char *)ptr >= early && (const unsigned char *)ptr < early + sizeof early;
}

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
} heap;

#define FIND(name)                                                                                 \
    do {                                                                                           \
        void *found = next(#name);                                                                 \
        memcpy(&heap.name, &found, sizeof heap.name);                                              \
    } while (0)

static bool heap_ready(void)
{
    if (heap.free != NULL)
        return true;
    if (looking)
        return false;
    looking = true;
    FIND(malloc);
    FIND(calloc);
    FIND(realloc);
    FIND(free);
    looking = false;
    return true;
}

void *malloc(size_t len)
{
    if (!heap_ready())
        return early_memory(len);
    return strikes(FAULT_ALLOC) ? NULL : heap.malloc(len);
}

void *calloc(size_t n, size_t len)
{
    if (!heap_ready())
        return early_memory(n * len);
    return strikes(FAULT_ALLOC) ? NULL : heap.calloc(n, len);
}

void *realloc(void *ptr, size_t len)
{
    if (!heap_ready() || is_early(ptr))
        abort();
    return len > 0 && strikes(FAULT_ALLOC) ? NULL : heap.realloc(ptr, len);
}

void free(void *ptr)
{
    if (!is_early(ptr) && heap_ready())
        heap.free(ptr);
}

int posix_memalign(void **out, size_t align, size_t len)
{
    REAL(posix_memalign)
    return strikes(FAULT_ALLOC) ? ENOMEM : real(out, align, len);
}

void *aligned_alloc(size_t align, size_t len)
{
    REAL(aligned_alloc)
    return strikes(FAULT_ALLOC) ? NULL : real(align, len);
}

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    REAL(mmap)
    return strikes(FAULT_MMAP) ? MAP_FAILED : real(at, len, protection, flags, fd, offset);
}

/* ---- system calls ---------------------------------------------------------------------------- */

#define WRAP(kind, type, name, parameters, arguments)                                              \
    type name parameters                                                                           \
    {                                                                                              \
        REAL(name)                                                                                 \
        return strikes(FAULT_##kind) ? -1 : real arguments;                                        \
    }

WRAP(SOCKET, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(BIND, int, bind, (int fd, __CONST_SOCKADDR_ARG a, socklen_t len), (fd, a, len))
WRAP(CONNECT, int, connect, (int fd, __CONST_SOCKADDR_ARG a, socklen_t len), (fd, a, len))
WRAP(LISTEN, int, listen, (int fd, int n), (fd, n))
WRAP(ACCEPT, int, accept4, (int fd, __SOCKADDR_ARG a, socklen_t *len, int flags),
    (fd, a, len, flags))
WRAP(SETSOCKOPT, int, setsockopt, (int fd, int level, int name, const void *v, socklen_t len),
    (fd, level, name, v, len))
WRAP(GETSOCKNAME, int, getsockname, (int fd, __SOCKADDR_ARG a, socklen_t *len), (fd, a, len))
WRAP(SHUTDOWN, int, shutdown, (int fd, int how), (fd, how))
WRAP(SEND, ssize_t, send, (int fd, const void *m, size_t len, int flags), (fd, m, len, flags))
WRAP(SEND, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
WRAP(SEND, int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags), (fd, m, n, flags))
WRAP(RECV, ssize_t, recv, (int fd, void *m, size_t len, int flags), (fd, m, len, flags))
WRAP(RECV, ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
WRAP(RECV, int, recvmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t),
    (fd, m, n, flags, t))
WRAP(EPOLL_CREATE, int, epoll_create, (int n), (n))
WRAP(EPOLL_CREATE, int, epoll_create1, (int flags), (flags))
WRAP(EPOLL_CTL, int, epoll_ctl, (int fd, int op, int of, struct epoll_event *e), (fd, op, of, e))
WRAP(EPOLL_WAIT, int, epoll_wait, (int fd, struct epoll_event *e, int n, int ms), (fd, e, n, ms))

int eventfd(unsigned, int);
int signalfd(int, const sigset_t *, int);
int timerfd_create(int, int);
int inotify_init(void);
int inotify_init1(int);
int inotify_add_watch(int, const char *, unsigned);
int poll(void *, unsigned long, int);
WRAP(EVENTFD, int, eventfd, (unsigned value, int flags), (value, flags))
WRAP(SIGNALFD, int, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags))
WRAP(TIMERFD, int, timerfd_create, (int clock, int flags), (clock, flags))
WRAP(INOTIFY, int, inotify_init, (void), ())
WRAP(INOTIFY, int, inotify_init1, (int flags), (flags))
WRAP(INOTIFY, int, inotify_add_watch, (int fd, const char *path, unsigned mask), (fd, path, mask))
WRAP(PIPE, int, pipe, (int fds[2]), (fds))
WRAP(PIPE, int, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(POLL, int, poll, (void *fds, unsigned long n, int ms), (fds, n, ms))

WRAP(STAT, int, stat, (const char *path, struct stat *st), (path, st))
WRAP(STAT, int, lstat, (const char *path, struct stat *st), (path, st))
WRAP(STAT, int, fstat, (int fd, struct stat *st), (fd, st))
WRAP(ACCESS, int, access, (const char *path, int mode), (path, mode))
WRAP(FSYNC, int, fsync, (int fd), (fd))
WRAP(FCHMOD, int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(RENAME, int, rename, (const char *from, const char *to), (from, to))
WRAP(UNLINK, int, unlink, (const char *path), (path))
WRAP(OPEN, int, mkostemp, (char *path, int flags), (path, flags))
WRAP(FORK, pid_t, fork, (void), ())
WRAP(RLIMIT, int, getrlimit, (__rlimit_resource_t what, struct rlimit *l), (what, l))
WRAP(RLIMIT, int, setrlimit, (__rlimit_resource_t what, const struct rlimit *l), (what, l))
ssize_t getrandom(void *, size_t, unsigned);
WRAP(GETRANDOM, ssize_t, getrandom, (void *to, size_t len, unsigned flags), (to, len, flags))

/* What wakes a loop up (eventfd, timerfd, inotify) has no file behind it that could fail. */
static bool is_file(int fd)
{
    struct stat st;
    return syscall(SYS_fstat, fd, &st) == 0 && (st.st_mode & S_IFMT) != 0;
}

ssize_t read(int fd, void *to, size_t len)
{
    REAL(read)
    return plan != NULL && is_file(fd) && strikes(FAULT_READ) ? -1 : real(fd, to, len);
}

ssize_t write(int fd, const void *from, size_t len)
{
    REAL(write)
    return plan != NULL && is_file(fd) && strikes(FAULT_WRITE) ? -1 : real(fd, from, len);
}

/* Linux has closed the descriptor also where close returns an error. */
int close(int fd)
{
    REAL(close)
    bool struck = strikes(FAULT_CLOSE);
    int saved = errno;
    int result = real(fd);
    if (!struck)
        return result;
    errno = saved;
    return -1;
}

int open(const char *path, int flags, ...)
{
    REAL(open)
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return strikes(FAULT_OPEN) ? -1 : real(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    REAL(open64)
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return strikes(FAULT_OPEN) ? -1 : real(path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
    REAL(fcntl)
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return strikes(FAULT_FCNTL) ? -1 : real(fd, command, argument);
}

int prctl(int option, ...);
int prctl(int option, ...)
{
    REAL(prctl)
    unsigned long a[4];
    va_list args;
    va_start(args, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(args, unsigned long);
    va_end(args);
    return strikes(FAULT_PRCTL) ? -1 : real(option, a[0], a[1], a[2], a[3]);
}

/* ---- main ------------------------------------------------------------------------------------ */

/* What comes behind main is not dnsd's, as the writing of the counters of `make coverage`, which
 * calls this too (tests/coverage/shim.c). */
void faults_end(void);
void faults_end(void)
{
    plan = NULL;
}

static main_call *real_main;

static int counted_main(int argc, char **argv, char **environment)
{
    const char *path = getenv(FAULT_VARIABLE);
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = MAP_FAILED;
    if (fd >= 0)
        at = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        abort();
    close(fd);
    plan = at;
    int code = real_main(argc, argv, environment);
    faults_end();
    return code;
}

int __libc_start_main(
    main_call *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
int __libc_start_main(main_call *m, int argc, char **argv, void (*init)(void), void (*finish)(void),
    void (*loader_finish)(void), void *stack_end)
{
    REAL(__libc_start_main)
    real_main = m;
    return real(counted_main, argc, argv, init, finish, loader_finish, stack_end);
}
