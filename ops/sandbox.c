/* sandbox.c: knows which system calls each of dnsd's processes needs, and how the kernel is told.
 * Never knows what they are needed for, and never gives anything back. */
#include "ops/sandbox_parts.h"

#include "ops/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAKE_CPU_S  2                  /* of the processor, for what takes a few milliseconds */
#define MAKE_BYTES  ((size_t)4 << 20)  /* several times what it takes */
#define PROGRAM_MAX (BPF_MAXINSNS + 1) /* one more than the kernel takes tells of an excess */

void sandbox_warn(enum sandbox_role role, const char *what, int why)
{
    if (role == SANDBOX_SERVER)
        log_warning("%s: %s", what, strerror(why));
}

/* ---- a forbidden call ------------------------------------------------------------------------ */

/* SCMP_ACT_KILL_PROCESS tells the kernel's audit log at best, where the users of a desktop never
 * look and containers have none. So a forbidden call traps: it is not made, and the handler says in
 * our own log which one it was. The filter lets nobody put another handler in its place. */

#define CALLS_MAX 512 /* above the numbers of every architecture but x32 and MIPS */
#define NAME_MAX_ 24

static char call_names[CALLS_MAX][NAME_MAX_]; /* made before: a signal handler cannot ask */

static void name_calls(void)
{
    for (int nr = 0; nr < CALLS_MAX; nr++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
        snprintf(call_names[nr], NAME_MAX_, "%s", name != NULL ? name : "one without a name");
        free(name);
    }
}

/* Another forbidden call while the signal is blocked: the kernel lets nobody survive that. */
static void on_forbidden(int signal_number, siginfo_t *info, void *context)
{
    int nr = info->si_syscall;
    (void)signal_number;
    (void)context;
    log_from_handler("the sandbox ends dnsd: forbidden system call ", nr,
        nr >= 0 && nr < CALLS_MAX ? call_names[nr] : "one without a name");
    syscall(SYS_vhangup);
    _exit(128 + SIGSYS);
}

static int watch_for_forbidden(void)
{
    struct sigaction action = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO};
    sigset_t only;
    sigfillset(&action.sa_mask);
    sigemptyset(&only);
    sigaddset(&only, SIGSYS);
    name_calls();
    if (sigaction(SIGSYS, &action, NULL) != 0)
        return -1;
    return sigprocmask(SIG_UNBLOCK, &only, NULL);
}

/* ---- system calls ---------------------------------------------------------------------------- */

/* What both processes may do, whatever the arguments: memory, time, signals, and what the C library
 * does on the way to abort(). */
static const int any_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(close),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(lseek),
    SCMP_SYS(writev),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime), /* where the vDSO cannot tell */
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(sysinfo),           /* qsort asks how much it may allocate */
    SCMP_SYS(sched_getaffinity), /* newer C libraries, in getrandom */
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    /* on machines of 32 bits */
    SCMP_SYS(_llseek),
    SCMP_SYS(clock_gettime64),
    SCMP_SYS(fstat64),
    SCMP_SYS(fstatat64),
    SCMP_SYS(futex_time64),
    SCMP_SYS(ppoll_time64),
    SCMP_SYS(recv),
    SCMP_SYS(send),
    SCMP_SYS(sigreturn),
};

static const int server_calls[] = {
    SCMP_SYS(recvmmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(accept4),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(shutdown),
    SCMP_SYS(eventfd2),
    /* libev makes them anew after an error */
    SCMP_SYS(epoll_create1),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    /* watching resolv.conf */
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statfs),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(access), /* realpath, where a path has ".." */
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(inotify_init1),
    SCMP_SYS(inotify_add_watch),
    SCMP_SYS(inotify_rm_watch),
    SCMP_SYS(uname), /* and hostname.bind */
    /* who tells the service manager */
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    /* replacing a file */
    SCMP_SYS(fsync),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    /* a dump's process (dump.h) */
    SCMP_SYS(wait4),
    SCMP_SYS(close_range),
    SCMP_SYS(set_robust_list),
    /* on machines of 32 bits */
    SCMP_SYS(getegid32),
    SCMP_SYS(geteuid32),
    SCMP_SYS(getgid32),
    SCMP_SYS(getuid32),
    SCMP_SYS(lstat64),
    SCMP_SYS(recvmmsg_time64),
    SCMP_SYS(stat64),
    SCMP_SYS(statfs64),
};

static const int reader_calls[] = {
    SCMP_SYS(dup),
};

/* Besides, anything may be mapped, opened to read, and cloned. */
static const int sanitizer_calls[] = {
    SCMP_SYS(access),
    SCMP_SYS(arch_prctl),
    SCMP_SYS(capget),
    SCMP_SYS(capset),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clone),
    SCMP_SYS(clone3),
    SCMP_SYS(getdents),
    SCMP_SYS(getdents64),
    SCMP_SYS(getppid),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage),
    SCMP_SYS(getuid),
    SCMP_SYS(kill),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(nanosleep),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(pipe2),
    SCMP_SYS(prctl),
    SCMP_SYS(pread64),
    SCMP_SYS(prlimit64),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(ptrace),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(stat),
    SCMP_SYS(tgkill),
    SCMP_SYS(wait4),
};

/* A call that is allowed for some values of one or two arguments: argument & mask == value. */
struct some {
    int call;
    unsigned n;
    struct scmp_arg_cmp arg[3];
};

#define ARG(number, mask, value)                                                                   \
    {                                                                                              \
        (number), SCMP_CMP_MASKED_EQ, (scmp_datum_t)(mask), (scmp_datum_t)(value)                  \
    }

/* As fork() passes them: a process that writes, and no thread, namespace or child of another. */
#define CLONE_FORK (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD)
/* On s390 the kernel takes the stack first (CONFIG_CLONE_BACKWARDS2). */
#if defined(__s390__)
#define CLONE_FLAGS_AT 1
#else
#define CLONE_FLAGS_AT 0
#endif
#define FILE_MODE (S_IRUSR | S_IWUSR)
#define SOCK_TYPE 0xf

/* Of the protocol that is the family's own for the type: UDP or TCP, and no SCTP or MPTCP. */
#define SOCKET(family, type)                                                                       \
    {                                                                                              \
        SCMP_SYS(socket), 3,                                                                       \
        {                                                                                          \
            ARG(0, UINT32_MAX, family), ARG(1, SOCK_TYPE, type), ARG(2, UINT32_MAX, 0)             \
        }                                                                                          \
    }

static const struct some any_some[] = {
    {SCMP_SYS(mmap), 1, {ARG(2, PROT_EXEC, 0)}},
    {SCMP_SYS(mmap2), 1, {ARG(2, PROT_EXEC, 0)}},
};

#define MADE_ANEW (O_CREAT | O_EXCL)
#define APPENDED  (O_CREAT | O_ACCMODE)
#define DIRECTORY (O_DIRECTORY | O_CREAT | O_ACCMODE)
#define READ      (O_CREAT | O_TRUNC | O_ACCMODE)

/* Nothing is opened to be read: it is made anew beside what it replaces (savefile.c), appended
 * to (the query log), or a directory whose content is to be synced. */
static const struct some server_some[] = {
    {SCMP_SYS(openat), 2, {ARG(2, MADE_ANEW, MADE_ANEW), ARG(3, UINT32_MAX, FILE_MODE)}},
    {SCMP_SYS(openat), 2, {ARG(2, APPENDED, O_CREAT | O_WRONLY), ARG(3, UINT32_MAX, FILE_MODE)}},
    {SCMP_SYS(openat), 1, {ARG(2, DIRECTORY, O_DIRECTORY)}},
    {SCMP_SYS(open), 2, {ARG(1, MADE_ANEW, MADE_ANEW), ARG(2, UINT32_MAX, FILE_MODE)}},
    {SCMP_SYS(open), 2, {ARG(1, APPENDED, O_CREAT | O_WRONLY), ARG(2, UINT32_MAX, FILE_MODE)}},
    {SCMP_SYS(open), 1, {ARG(1, DIRECTORY, O_DIRECTORY)}},
    {SCMP_SYS(fchmod), 1, {ARG(1, UINT32_MAX, FILE_MODE)}},
    SOCKET(AF_INET, SOCK_DGRAM),
    SOCKET(AF_INET, SOCK_STREAM),
    SOCKET(AF_INET6, SOCK_DGRAM),
    SOCKET(AF_INET6, SOCK_STREAM),
    SOCKET(AF_UNIX, SOCK_DGRAM), /* readiness; the numbers of interfaces */
    {SCMP_SYS(ioctl), 1, {ARG(1, UINT32_MAX, SIOCGIFINDEX)}},
    /* nothing that sends signals, or locks */
    {SCMP_SYS(fcntl64), 1, {ARG(1, UINT32_MAX, F_GETFD)}},
    {SCMP_SYS(fcntl64), 1, {ARG(1, UINT32_MAX, F_SETFD)}},
    {SCMP_SYS(fcntl64), 1, {ARG(1, UINT32_MAX, F_GETFL)}},
    {SCMP_SYS(fcntl64), 1, {ARG(1, UINT32_MAX, F_SETFL)}},
    {SCMP_SYS(fcntl64), 1, {ARG(1, UINT32_MAX, F_DUPFD_CLOEXEC)}},
    {SCMP_SYS(fcntl), 1, {ARG(1, UINT32_MAX, F_GETFD)}},
    {SCMP_SYS(fcntl), 1, {ARG(1, UINT32_MAX, F_SETFD)}},
    {SCMP_SYS(fcntl), 1, {ARG(1, UINT32_MAX, F_GETFL)}},
    {SCMP_SYS(fcntl), 1, {ARG(1, UINT32_MAX, F_SETFL)}},
    {SCMP_SYS(fcntl), 1, {ARG(1, UINT32_MAX, F_DUPFD_CLOEXEC)}},
    {SCMP_SYS(clone), 1, {ARG(CLONE_FLAGS_AT, UINT32_MAX, CLONE_FORK)}},
};

static const struct some reader_some[] = {
    {SCMP_SYS(openat), 1, {ARG(2, READ, O_RDONLY)}},
    {SCMP_SYS(open), 1, {ARG(1, READ, O_RDONLY)}},
};

static int allow_all(scmp_filter_ctx filter, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
        if (failed != 0 && failed != -EEXIST)
            return failed;
    }
    return 0;
}

static int allow_some(scmp_filter_ctx filter, const struct some *rules, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int failed =
            seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].call, rules[i].n, rules[i].arg);
        if (failed != 0 && failed != -EEXIST)
            return failed;
    }
    return 0;
}

/* abort() puts back what SIGABRT does, and signals itself: a process that was forked off has
 * another number, and dies of the call instead. No other handler changes, that of SIGSYS least of
 * all. */
static int allow_abort(scmp_filter_ctx filter, pid_t self_pid)
{
    const struct scmp_arg_cmp self = ARG(0, UINT32_MAX, self_pid);
    const struct scmp_arg_cmp abrt = ARG(0, UINT64_MAX, SIGABRT);
    int failed = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &self);
    if (failed != 0 && failed != -EEXIST)
        return failed;
    failed = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(rt_sigaction), 1, &abrt);
    return failed != -EEXIST ? failed : 0;
}

/* A C library that tries clone3 finds it missing and takes clone, whose flags a filter can see. */
static int fill_server(scmp_filter_ctx filter)
{
    int failed = allow_all(filter, server_calls, COUNT_OF(server_calls));
    if (failed == 0)
        failed = allow_some(filter, server_some, COUNT_OF(server_some));
    if (failed == 0 && !SANITIZED)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return failed;
}

static int fill_reader(scmp_filter_ctx filter)
{
    int failed = allow_all(filter, reader_calls, COUNT_OF(reader_calls));
    return failed != 0 ? failed : allow_some(filter, reader_some, COUNT_OF(reader_some));
}

/* A sanitizer's calls go first: what is allowed whatever the arguments stays so. */
static int fill(scmp_filter_ctx filter, enum sandbox_role role, pid_t self)
{
    int failed = 0;
    if (SANITIZED)
        failed = allow_all(filter, sanitizer_calls, COUNT_OF(sanitizer_calls));
    if (failed == 0)
        failed = allow_all(filter, any_calls, COUNT_OF(any_calls));
    if (failed == 0)
        failed = allow_some(filter, any_some, COUNT_OF(any_some));
    if (failed == 0)
        failed = allow_abort(filter, self);
    if (failed != 0)
        return failed;
    return role == SANDBOX_SERVER ? fill_server(filter) : fill_reader(filter);
}

/* Writes the program for process self to fd. Calls by another architecture's numbers end the
 * process too, without a word. 0, or an errno below 0. */
static int make_program(enum sandbox_role role, pid_t self, int fd)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    if (filter == NULL)
        return -ENOMEM;
    (void)seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    int failed = fill(filter, role, self);
    if (failed == 0)
        failed = seccomp_export_bpf(filter, fd);
    seccomp_release(filter);
    return failed;
}

/* Where an allocation fails, libseccomp may crash, loop for ever, or leave out a part of the
 * program without a word: so there is memory before it begins, its time is limited, and
 * make_filter() has it made twice. -EFAULT is what it calls a failure of its own. What is sent to
 * all processes of dnsd is for the one that waits. */
static void make_as_child(enum sandbox_role role, pid_t self, int fd)
{
    const struct itimerval limit = {.it_value = {.tv_sec = MAKE_CPU_S}};
    sigset_t others;
    sigfillset(&others);
    sigdelset(&others, SIGVTALRM);
    signal(SIGVTALRM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &others, NULL);
    setitimer(ITIMER_VIRTUAL, &limit, NULL);
    void *volatile room = malloc(MAKE_BYTES); /* or the compiler takes it for granted */
    int failed = room != NULL ? 0 : -ENOMEM;
    free(room);
    if (failed == 0)
        failed = make_program(role, self, fd);
    _exit(failed == -EFAULT ? ENOMEM : -failed);
}

/* 0, or an errno below 0. */
static int end_of(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -ENOMEM;
}

/* Reads until the end. Returns the length, or an errno below 0. */
static ssize_t read_program(int fd, void *program, size_t max)
{
    size_t len = 0;
    while (len < max) {
        ssize_t n = read(fd, (char *)program + len, max - len);
        if (n == 0)
            return (ssize_t)len;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            len += (size_t)n;
    }
    return -E2BIG;
}

/* A process of its own makes the program, for the sake of what may happen there. */
static ssize_t get_program(enum sandbox_role role, void *program, size_t max)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    const pid_t self = getpid();
    pid_t child = fork();
    int why = errno;
    if (child == 0)
        make_as_child(role, self, fds[1]);
    close(fds[1]);
    ssize_t len = child < 0 ? -why : read_program(fds[0], program, max);
    close(fds[0]);
    int failed = child < 0 ? 0 : end_of(child);
    return failed != 0 ? failed : len;
}

/* What two of them agree upon. 0, or an errno. */
static int make_filter(
    enum sandbox_role role, struct sock_filter program[PROGRAM_MAX], struct sock_fprog *filter)
{
    struct sock_filter again[PROGRAM_MAX];
    ssize_t len = get_program(role, program, sizeof again);
    if (len < 0)
        return (int)-len;
    if (get_program(role, again, sizeof again) != len || memcmp(program, again, (size_t)len) != 0)
        return ENOMEM;
    *filter = (struct sock_fprog){
        .len = (unsigned short)((size_t)len / sizeof program[0]), .filter = program};
    return 0;
}

/* 0, or the kernel's errno. */
static int load(const struct sock_fprog *filter)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter) < 0)
        return errno;
    return 0;
}

/* Why there are no filters at all, 0 where there are: then the kernel looks for one at NULL. */
static int lack(void)
{
    bool there = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 &&
                 (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) == 0 || errno == EFAULT);
    return there ? 0 : errno;
}

/* A container or service manager that does not allow more of it. */
static bool is_refusal(int error)
{
    return error == ENOSYS || error == EPERM || error == EACCES;
}

static int tell_failure(int error)
{
    log_error("sandbox: system calls cannot be filtered: %s", strerror(error));
    errno = error;
    return -1;
}

static int forbid_calls(enum sandbox_role role)
{
    struct sock_filter program[PROGRAM_MAX];
    struct sock_fprog filter;
    if (watch_for_forbidden() != 0) {
        log_error("sandbox: SIGSYS: %s", strerror(errno));
        return -1;
    }
    int refusal = lack();
    if (refusal == 0) {
        int failed = make_filter(role, program, &filter);
        if (failed != 0)
            return tell_failure(failed); /* whatever it says: the kernel was not asked yet */
        refusal = load(&filter);
        if (refusal != 0 && !is_refusal(refusal))
            return tell_failure(refusal);
    }
    if (refusal != 0)
        sandbox_warn(role, "system calls stay allowed, as there is no seccomp here", refusal);
    return 0;
}

/* ---- in -------------------------------------------------------------------------------------- */

int sandbox_enter(enum sandbox_role role, const struct sandbox_files *files)
{
    if (!SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        log_error("sandbox: PR_SET_DUMPABLE: %s", strerror(errno));
        return -1;
    }
    if (sandbox_forbid_files(role, files) != 0)
        return -1;
    return forbid_calls(role);
}
