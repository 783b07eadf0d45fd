/* sandbox.c: knows what must be impossible in the sandbox, what must work, and what a kernel may
 * lack. Each deed is done by a process of its own that gave up root and entered. */
#include "ops/sandbox.h"
#include "ops/log.h"
#include "ops/privilege.h"
#include "ops/savefile.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A sanitizer's build has a wider sandbox (ops/sandbox.c); what is wider is not tested there. */
#if defined(__SANITIZE_ADDRESS__)
#define WIDER true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WIDER true
#endif
#endif
#ifndef WIDER
#define WIDER false
#endif

#define DIED (128 + SIGSYS)
#define WELL 77 /* exit code of a deed that went well: nothing else ends with it */

static char own[128], other[128]; /* directories: the sandbox's, and one that is not */
static struct sandbox_files files;

/* ---- kernels that lack something ------------------------------------------------------------- */

static bool no_landlock, no_seccomp;
static int no_filter_loads; /* because of this errno; 0: they do */
static int old_abi;         /* of Landlock, 0: the kernel's own */
static long lost_call;      /* of Landlock, that fails with ENOMEM */
static int lost_option;     /* of prctl, that fails with EPERM; 0: none */
static bool no_handler;     /* for SIGSYS */
static int lost_rule;       /* for this system call; it is not added, */
static int lost_rule_why;   /* and this is returned; 0: all are added */
static enum { COMES_BACK, CRASHES, LOOPS, IS_TOLD_TO_END } library; /* as it comes to rules */

/* linux/landlock.h as it is now; Debian 12 has an older one. */
struct ruleset {
    uint64_t fs, net, scoped;
};

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);
int __real_seccomp_rule_add(scmp_filter_ctx filter, uint32_t action, int call, unsigned n, ...);
int __wrap_seccomp_rule_add(scmp_filter_ctx filter, uint32_t action, int call, unsigned n, ...);
int __real_seccomp_rule_add_array(
    scmp_filter_ctx filter, uint32_t action, int call, unsigned n, const struct scmp_arg_cmp *args);
int __wrap_seccomp_rule_add_array(
    scmp_filter_ctx filter, uint32_t action, int call, unsigned n, const struct scmp_arg_cmp *args);
int __real_sigaction(int number, const struct sigaction *new, struct sigaction *old);
int __wrap_sigaction(int number, const struct sigaction *new, struct sigaction *old);

/* dnsd has no arguments for this one. */
int __wrap_seccomp_rule_add(scmp_filter_ctx filter, uint32_t action, int call, unsigned n, ...)
{
    if (library == CRASHES)
        raise(SIGKILL);
    if (library == LOOPS)
        for (;;) /* no compiler may leave out one without a condition */
            ;
    if (library == IS_TOLD_TO_END)
        raise(SIGHUP);
    if (lost_rule_why != 0 && call == lost_rule)
        return lost_rule_why;
    return n == 0 ? __real_seccomp_rule_add(filter, action, call, 0) : -EINVAL;
}

int __wrap_seccomp_rule_add_array(
    scmp_filter_ctx filter, uint32_t action, int call, unsigned n, const struct scmp_arg_cmp *args)
{
    if (lost_rule_why != 0 && call == lost_rule)
        return lost_rule_why;
    return __real_seccomp_rule_add_array(filter, action, call, n, args);
}

int __wrap_sigaction(int number, const struct sigaction *new, struct sigaction *old)
{
    if (!no_handler || number != SIGSYS)
        return __real_sigaction(number, new, old);
    errno = EINVAL;
    return -1;
}

/* What a kernel of that age says to what it does not know. */
static int refused_by_old(const struct ruleset *r, size_t len)
{
    static const uint64_t fs[] = {0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff};
    const size_t known = old_abi < 4 ? sizeof r->fs : offsetof(struct ruleset, scoped);
    if (len > known)
        return E2BIG;
    return (r->fs & ~fs[old_abi]) != 0 ? EINVAL : 0;
}

long __wrap_syscall(long number, ...)
{
    long a[4];
    va_list args;
    va_start(args, number);
    for (size_t i = 0; i < sizeof a / sizeof a[0]; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (no_landlock && number == SYS_landlock_create_ruleset) {
        errno = ENOSYS;
        return -1;
    }
    if (no_filter_loads != 0 && number == SYS_seccomp) {
        errno = no_filter_loads;
        return -1;
    }
    if (old_abi != 0 && number == SYS_landlock_create_ruleset) {
        if (a[0] == 0)
            return old_abi;
        errno = refused_by_old((const struct ruleset *)a[0], (size_t)a[1]);
        if (errno != 0)
            return -1;
    }
    if (lost_call != 0 && number == lost_call &&
        (number != SYS_landlock_create_ruleset || a[0] != 0)) {
        errno = ENOMEM;
        return -1;
    }
    return __real_syscall(number, a[0], a[1], a[2], a[3]);
}

int __wrap_prctl(int option, ...)
{
    unsigned long a[4];
    va_list args;
    va_start(args, option);
    for (size_t i = 0; i < sizeof a / sizeof a[0]; i++)
        a[i] = va_arg(args, unsigned long);
    va_end(args);
    if (no_seccomp && (option == PR_GET_SECCOMP || option == PR_SET_SECCOMP)) {
        errno = EINVAL;
        return -1;
    }
    if (lost_option != 0 && option == lost_option && a[0] == 0) {
        errno = EPERM;
        return -1;
    }
    return __real_prctl(option, a[0], a[1], a[2], a[3]);
}

static bool has_landlock(int abi)
{
    return __real_syscall(SYS_landlock_create_ruleset, (void *)NULL, 0, 1) >= abi;
}

/* ---- a process in the sandbox ---------------------------------------------------------------- */

struct end {
    int code; /* as a shell tells it */
    char log[1024];
};

static void live(enum sandbox_role role, void (*deed)(void), int log)
{
    dup2(log, STDERR_FILENO);
    dup2(log, STDOUT_FILENO);
    log_open(false);
    if (privilege_drop(getuid() == 0 ? "nobody" : "") != 0 ||
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 || /* as for one who never was root */
        sandbox_enter(role, role == SANDBOX_SERVER ? &files : NULL) != 0)
        _exit(1);
    deed();
    _exit(WELL);
}

static struct end end_of(enum sandbox_role role, void (*deed)(void))
{
    struct end e = {0};
    int pipes[2], status;
    size_t len = 0;
    ssize_t n;
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        live(role, deed, pipes[1]);
    close(pipes[1]);
    while ((n = read(pipes[0], e.log + len, sizeof e.log - 1 - len)) > 0)
        len += (size_t)n;
    close(pipes[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    e.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return e;
}

/* The process is killed, and the log has one line that names the call. */
static void dies_of(enum sandbox_role role, void (*deed)(void), const char *call)
{
    struct end e = end_of(role, deed);
    char name[64];
    ck_assert_msg(e.code == DIED, "code %d: %s", e.code, e.log);
    snprintf(name, sizeof name, " (%s)\n", call);
    ck_assert_msg(strstr(e.log, "forbidden system call ") != NULL, "%s", e.log);
    ck_assert_msg(strstr(e.log, name) != NULL, "%s", e.log);
    ck_assert_ptr_eq(strchr(e.log, '\n'), e.log + strlen(e.log) - 1);
}

static void goes_well(enum sandbox_role role, void (*deed)(void))
{
    struct end e = end_of(role, deed);
    ck_assert_msg(e.code == WELL, "code %d: %s", e.code, e.log);
    ck_assert_str_eq(e.log, "");
}

/* Of a deed; Check's own way to fail would not get out of the sandbox. */
static void must(bool good, const char *what)
{
    if (good)
        return;
    dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
    _exit(1);
}

/* ---- what ends it ---------------------------------------------------------------------------- */

static void open_passwd(void)
{
    (void)open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

START_TEST(opening_etc_passwd_dies)
{
    if (!WIDER)
        dies_of(SANDBOX_SERVER, open_passwd, "openat");
}
END_TEST

static void open_own_to_read(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/learned", own);
    (void)open(path, O_RDONLY | O_CLOEXEC);
}

START_TEST(opening_even_an_own_file_to_read_dies)
{
    if (!WIDER)
        dies_of(SANDBOX_SERVER, open_own_to_read, "openat");
}
END_TEST

static void execute(void)
{
    char *const args[] = {(char[]){"true"}, NULL};
    (void)execv("/bin/true", args);
}

START_TEST(execve_dies)
{
    dies_of(SANDBOX_SERVER, execute, "execve");
    dies_of(SANDBOX_READER, execute, "execve");
}
END_TEST

static void trace(void)
{
    (void)ptrace(PTRACE_ATTACH, 1, NULL, NULL);
}

START_TEST(ptrace_dies)
{
    if (!WIDER)
        dies_of(SANDBOX_SERVER, trace, "ptrace");
}
END_TEST

static void ask_netlink(void)
{
    (void)socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static void capture_packets(void)
{
    (void)socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static void make_raw_socket(void)
{
    (void)socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
}

/* Such as that of docker, or of the message bus. */
static void make_local_stream(void)
{
    (void)socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

START_TEST(a_socket_of_another_family_or_type_dies)
{
    dies_of(SANDBOX_SERVER, ask_netlink, "socket");
    dies_of(SANDBOX_SERVER, capture_packets, "socket");
    dies_of(SANDBOX_SERVER, make_raw_socket, "socket");
    dies_of(SANDBOX_SERVER, make_local_stream, "socket");
}
END_TEST

/* What the kernel has besides TCP and UDP is old, or has its own mistakes. */
static void make_sctp(void)
{
    (void)socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);
}

static void make_mptcp(void)
{
    (void)socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
}

static void make_udplite(void)
{
    (void)socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDPLITE);
}

static void make_ping(void)
{
    (void)socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
}

START_TEST(a_socket_of_another_protocol_dies)
{
    dies_of(SANDBOX_SERVER, make_sctp, "socket");
    dies_of(SANDBOX_SERVER, make_mptcp, "socket");
    dies_of(SANDBOX_SERVER, make_udplite, "socket");
    dies_of(SANDBOX_SERVER, make_ping, "socket");
}
END_TEST

static void make_code_of_data(void)
{
    static _Alignas(4096) char page[4096];
    (void)mprotect(page, sizeof page, PROT_READ | PROT_EXEC);
}

static void map_code(void)
{
    (void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

START_TEST(making_code_dies)
{
    if (WIDER)
        return;
    dies_of(SANDBOX_SERVER, make_code_of_data, "mprotect");
    dies_of(SANDBOX_SERVER, map_code, "mmap");
    dies_of(SANDBOX_READER, map_code, "mmap");
}
END_TEST

static void be_root_again(void)
{
    (void)syscall(SYS_setuid, 0, 0, 0, 0);
}

START_TEST(setuid_back_to_root_dies)
{
    dies_of(SANDBOX_SERVER, be_root_again, "setuid");
}
END_TEST

static void kill_init(void)
{
    (void)syscall(SYS_kill, 1, 0, 0, 0);
}

START_TEST(signals_to_others_die)
{
    if (!WIDER)
        dies_of(SANDBOX_SERVER, kill_init, "kill");
}
END_TEST

static void make_thread(void)
{
    (void)syscall(SYS_clone, CLONE_VM | CLONE_FILES | SIGCHLD, 0, 0, 0);
}

static void make_vfork(void)
{
    (void)syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0);
}

static void make_untraced(void)
{
    (void)syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0);
}

/* Of the service manager, which would not know it. */
static void make_sibling(void)
{
    (void)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0);
}

static void make_namespace(void)
{
    (void)syscall(SYS_unshare, CLONE_NEWUSER, 0, 0, 0);
}

START_TEST(threads_and_namespaces_die)
{
    dies_of(SANDBOX_SERVER, make_namespace, "unshare");
    if (WIDER)
        return;
    dies_of(SANDBOX_SERVER, make_thread, "clone");
    dies_of(SANDBOX_SERVER, make_vfork, "clone");
    dies_of(SANDBOX_SERVER, make_untraced, "clone");
    dies_of(SANDBOX_SERVER, make_sibling, "clone");
}
END_TEST

static void open_to_all(void)
{
    (void)fchmod(STDERR_FILENO, 0666);
}

static void make_setuid(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/new", own);
    (void)open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 04711);
}

START_TEST(files_for_others_die)
{
    dies_of(SANDBOX_SERVER, open_to_all, "fchmod");
    if (!WIDER)
        dies_of(SANDBOX_SERVER, make_setuid, "openat");
}
END_TEST

/* The kernel would signal for us. */
static void have_signals_sent(void)
{
    (void)fcntl(STDERR_FILENO, F_SETOWN, 1);
}

START_TEST(signals_by_way_of_a_descriptor_die)
{
    dies_of(SANDBOX_SERVER, have_signals_sent, "fcntl");
}
END_TEST

static void listen_anew(void)
{
    (void)listen(STDERR_FILENO, 1);
}

START_TEST(listening_anew_dies)
{
    dies_of(SANDBOX_SERVER, listen_anew, "listen");
}
END_TEST

static void ignore_sigsys(void)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGSYS, &action, NULL);
}

/* The kernel looks at the lower half of the number only. */
static void ignore_sigsys_by_a_longer_number(void)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    (void)syscall(SYS_rt_sigaction, 0x100000000L | SIGSYS, &action, NULL, 8);
}

START_TEST(nobody_gets_round_the_end_by_a_handler)
{
    if (WIDER)
        return;
    dies_of(SANDBOX_SERVER, ignore_sigsys, "rt_sigaction");
    dies_of(SANDBOX_SERVER, ignore_sigsys_by_a_longer_number, "rt_sigaction");
}
END_TEST

static void block_sigsys(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    execute();
}

START_TEST(nobody_gets_round_the_end_by_blocking_it)
{
    ck_assert_int_eq(end_of(SANDBOX_SERVER, block_sigsys).code, DIED);
}
END_TEST

static void ask_network(void)
{
    (void)socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static void make_process(void)
{
    (void)syscall(SYS_clone, SIGCHLD, 0, 0, 0);
}

static void empty_as_reader(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/there", other);
    (void)open(path, O_RDONLY | O_TRUNC | O_CLOEXEC);
}

static void write_as_reader(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/new", own);
    (void)open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

START_TEST(the_reader_has_no_network_and_writes_nothing)
{
    dies_of(SANDBOX_READER, ask_network, "socket");
    if (WIDER)
        return;
    dies_of(SANDBOX_READER, make_process, "clone");
    dies_of(SANDBOX_READER, write_as_reader, "openat");
    dies_of(SANDBOX_READER, empty_as_reader, "openat");
}
END_TEST

/* ---- what fails ------------------------------------------------------------------------------ */

/* Where seccomp lets a call pass for its own files, Landlock knows which files those are. */
static void write_outside(void)
{
    char path[256], target[256];
    snprintf(path, sizeof path, "%s/new", other);
    must(savefile_write(path, (const uint8_t *)"x", 1) < 0 && errno == EACCES, "made outside");
    must(open(path, O_WRONLY | O_APPEND | O_CREAT, 0600) < 0 && errno == EACCES, "log outside");
    snprintf(path, sizeof path, "%s/there", other);
    must(open(path, O_WRONLY | O_APPEND | O_CREAT, 0600) < 0 && errno == EACCES, "wrote outside");
    must(unlink(path) < 0 && errno == EACCES, "removed outside");
    snprintf(target, sizeof target, "%s/moved", own);
    must(rename(path, target) < 0 && (errno == EACCES || errno == EXDEV), "moved from outside");
    must(open("/etc/passwd", O_RDWR | O_CREAT | O_EXCL, 0600) < 0, "opened /etc/passwd");
}

START_TEST(writing_a_file_outside_fails)
{
    if (!has_landlock(1))
        return;
    goes_well(SANDBOX_SERVER, write_outside);
}
END_TEST

static void read_directories(void)
{
    must(open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 && errno == EACCES, "looked at /etc");
    must(open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0, own);
}

START_TEST(directories_of_others_cannot_be_listed)
{
    if (has_landlock(1) && !WIDER)
        goes_well(SANDBOX_SERVER, read_directories);
}
END_TEST

static void bind_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(bind(udp, (struct sockaddr *)&a, sizeof a) == 0, "UDP");
    must(bind(tcp, (struct sockaddr *)&a, sizeof a) < 0 && errno == EACCES, "TCP was bound");
}

START_TEST(binding_another_tcp_port_fails)
{
    if (has_landlock(4))
        goes_well(SANDBOX_SERVER, bind_tcp);
}
END_TEST

/* Who may not be traced has files in /proc that are root's. */
static void look_at_own_memory(void)
{
    struct stat st;
    must(stat("/proc/self/mem", &st) == 0, "/proc/self/mem");
    must(st.st_uid == 0, "can be traced");
}

/* Giving up root does the same, so here it was undone (live). */
START_TEST(tracing_a_process_that_never_was_root_fails)
{
    if (WIDER)
        return;
    goes_well(SANDBOX_SERVER, look_at_own_memory);
    goes_well(SANDBOX_READER, look_at_own_memory);
}
END_TEST

static void make_process_by_clone3(void)
{
    must(syscall(SYS_clone3, NULL, 0, 0, 0) < 0 && errno == ENOSYS, "clone3");
}

START_TEST(clone3_is_missing_so_that_the_library_takes_clone)
{
    if (!WIDER)
        goes_well(SANDBOX_SERVER, make_process_by_clone3);
}
END_TEST

/* ---- what works ------------------------------------------------------------------------------ */

static void replace_own(void)
{
    for (int i = 0; i < 2; i++)
        must(savefile_write(files.replaced[0], (const uint8_t *)"x", 1) == 0, "replaced");
}

START_TEST(own_files_are_replaced)
{
    goes_well(SANDBOX_SERVER, replace_own);
}
END_TEST

static void append(void)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    must(open(files.appended, flags, 0600) >= 0, "made");
    must(open(files.appended, flags, 0600) >= 0, "appended to");
}

START_TEST(the_log_is_made_anew_after_its_rotation)
{
    goes_well(SANDBOX_SERVER, append);
}
END_TEST

START_TEST(a_log_that_is_a_pipe_is_opened_again)
{
    snprintf(files.appended, sizeof files.appended, "%s/pipe", other);
    ck_assert_int_eq(mkfifo(files.appended, 0600), 0);
    ck_assert_int_eq(chmod(files.appended, 0666), 0);
    int reader = open(files.appended, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(reader, 0);
    goes_well(SANDBOX_SERVER, append);
    close(reader);
}
END_TEST

/* The C library asks whether what is before it is a directory. */
static void resolve_upwards(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/../.", own);
    char *found = realpath(path, NULL);
    must(found != NULL, path);
    free(found);
}

START_TEST(a_path_that_goes_up_again_is_followed)
{
    goes_well(SANDBOX_SERVER, resolve_upwards);
}
END_TEST

static void fork_and_wait(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(3);
    must(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3, "fork");
}

START_TEST(a_log_that_is_a_pipe_without_a_name_is_no_trouble)
{
    strcpy(files.appended, "/dev/stdout");
    goes_well(SANDBOX_SERVER, fork_and_wait);
}
END_TEST

START_TEST(a_log_that_is_a_link_is_opened_and_made_where_it_leads)
{
    char target[256];
    snprintf(target, sizeof target, "%s/there", other);
    ck_assert_int_eq(symlink(target, files.appended), 0);
    goes_well(SANDBOX_SERVER, append);
}
END_TEST

START_TEST(a_process_for_dumps_can_be_made)
{
    goes_well(SANDBOX_SERVER, fork_and_wait);
}
END_TEST

static void use_memory(void)
{
    for (size_t len = 16; len < (size_t)64 << 20; len *= 2) {
        char *p = malloc(len);
        must(p != NULL, "malloc");
        memset(p, 1, len);
        char *bigger = realloc(p, 2 * len);
        must(bigger != NULL, "realloc");
        bigger[2 * len - 1] = 1;
        free(bigger);
    }
}

START_TEST(memory_of_any_size_comes_and_goes)
{
    goes_well(SANDBOX_SERVER, use_memory);
    goes_well(SANDBOX_READER, use_memory);
}
END_TEST

START_TEST(abort_is_still_an_abort)
{
    ck_assert_int_eq(end_of(SANDBOX_SERVER, abort).code, 128 + SIGABRT);
    ck_assert_int_eq(end_of(SANDBOX_READER, abort).code, 128 + SIGABRT);
}
END_TEST

static void read_files(void)
{
    uint8_t *bytes;
    size_t len;
    must(savefile_read("/etc/passwd", 1 << 20, &bytes, &len) == 0, "/etc/passwd");
    free(bytes);
}

START_TEST(the_reader_reads)
{
    goes_well(SANDBOX_READER, read_files);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_no_trouble)
{
    snprintf(files.replaced[0], sizeof files.replaced[0], "%s/none/learned", own);
    snprintf(files.replaced[1], sizeof files.replaced[1], "%s/learned.dot", own);
    goes_well(SANDBOX_SERVER, fork_and_wait);
}
END_TEST

START_TEST(only_the_directories_it_entered_with_are_covered)
{
    char path[256];
    snprintf(path, sizeof path, "%s/another-name", own);
    ck_assert(sandbox_covers(&files, path));
    snprintf(path, sizeof path, "%s/learned", other);
    ck_assert(!sandbox_covers(&files, path));
    snprintf(path, sizeof path, "%s/below/learned", own);
    ck_assert(!sandbox_covers(&files, path));
    ck_assert(!sandbox_covers(&files, "/learned"));
    ck_assert(!sandbox_covers(&files, "learned"));
    ck_assert(sandbox_covers(&files, ""));
}
END_TEST

static bool exposes(const char *directory, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return sandbox_exposes(&files, path);
}

START_TEST(a_file_in_or_below_a_directory_that_is_written_is_exposed)
{
    char path[256];
    ck_assert(exposes(own, "dnsd.conf"));
    ck_assert(!exposes(own, "../dnsd.conf"));
    ck_assert(!exposes(other, "there"));
    ck_assert(!sandbox_exposes(&files, "/etc/passwd"));
    ck_assert(!sandbox_exposes(&files, ""));
    snprintf(path, sizeof path, "%s/new", own);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert(exposes(own, "new/dnsd.conf"));
    ck_assert_int_eq(rmdir(path), 0);
    files.appended[0] = '\0';
    strcpy(files.replaced[0], "/learned");
    ck_assert(exposes(other, "there"));
}
END_TEST

START_TEST(a_file_that_a_link_takes_where_is_written_is_exposed)
{
    char path[256], link[256];
    snprintf(path, sizeof path, "%s/there", other);
    snprintf(link, sizeof link, "%s/new", own);
    ck_assert_int_eq(symlink(path, link), 0);
    ck_assert(exposes(own, "new"));
    ck_assert(!exposes(other, "there"));
    strcpy(files.appended, link); /* a log, and its other directory */
    ck_assert(exposes(other, "dnsd.conf"));
    strcpy(files.appended, "/dev/null");
    ck_assert(!sandbox_exposes(&files, "/dev/dnsd.conf"));
    strcpy(files.appended, "-");
    ck_assert(!exposes(".", "dnsd.conf"));
}
END_TEST

/* ---- kernels that lack something ------------------------------------------------------------- */

static void warns_once(struct end e, const char *what)
{
    ck_assert_msg(e.code == WELL, "code %d: %s", e.code, e.log);
    ck_assert_msg(strstr(e.log, what) != NULL, "%s", e.log);
    ck_assert_ptr_eq(strchr(e.log, '\n'), e.log + strlen(e.log) - 1);
}

START_TEST(without_landlock_there_is_one_warning_and_calls_are_still_filtered)
{
    no_landlock = true;
    warns_once(end_of(SANDBOX_SERVER, replace_own), "no Landlock");
    ck_assert_int_eq(end_of(SANDBOX_SERVER, execute).code, DIED);
    goes_well(SANDBOX_READER, read_files); /* the other process has told already */
}
END_TEST

static void fail_to_write_outside(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/new", other);
    must(savefile_write(path, (const uint8_t *)"x", 1) < 0, "made outside");
}

START_TEST(without_seccomp_there_is_one_warning_and_files_are_still_guarded)
{
    no_seccomp = true;
    if (has_landlock(1))
        warns_once(end_of(SANDBOX_SERVER, fail_to_write_outside), "no seccomp");
    goes_well(SANDBOX_READER, read_files);
}
END_TEST

static void nothing(void)
{
}

START_TEST(without_either_it_is_told_and_served)
{
    no_seccomp = no_landlock = true;
    struct end e = end_of(SANDBOX_SERVER, nothing);
    ck_assert_int_eq(e.code, WELL);
    ck_assert_ptr_nonnull(strstr(e.log, "no seccomp"));
    ck_assert_ptr_nonnull(strstr(e.log, "no Landlock"));
}
END_TEST

/* Of a filter that the kernel does not take: dnsd's mistake, and no reason to go without. */
START_TEST(a_filter_that_is_not_taken_is_no_lack_of_the_kernel)
{
    no_filter_loads = EINVAL;
    struct end e = end_of(SANDBOX_SERVER, nothing);
    ck_assert_msg(e.code == 1, "code %d: %s", e.code, e.log);
    ck_assert_ptr_nonnull(strstr(e.log, "system calls cannot be filtered"));
}
END_TEST

/* As some containers do: all else holds. */
START_TEST(a_filter_that_is_refused_is_told_and_files_are_still_guarded)
{
    static const int errors[] = {ENOSYS, EPERM, EACCES};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        no_filter_loads = errors[i];
        if (has_landlock(1))
            warns_once(end_of(SANDBOX_SERVER, fail_to_write_outside), "no seccomp");
        goes_well(SANDBOX_READER, read_files);
    }
}
END_TEST

static void make_call_without_a_name(void)
{
    syscall(600);
}

START_TEST(a_call_that_nobody_knows_dies_too)
{
    dies_of(SANDBOX_SERVER, make_call_without_a_name, "one without a name");
}
END_TEST

static void replace_here(void)
{
    must(savefile_write("learned", (const uint8_t *)"x", 1) == 0, "learned");
    must(savefile_write("log", (const uint8_t *)"x", 1) == 0, "log");
}

START_TEST(files_without_a_directory_are_in_the_working_directory)
{
    ck_assert_int_eq(chdir(own), 0);
    strcpy(files.replaced[0], "learned");
    strcpy(files.appended, "-");
    goes_well(SANDBOX_SERVER, replace_here);
    ck_assert(sandbox_exposes(&files, "dnsd.conf"));
    ck_assert_int_eq(chdir(other), 0);
    ck_assert_int_eq(end_of(SANDBOX_SERVER, nothing).code, WELL);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* What it knows of Landlock is used, and it is asked for no more. */
START_TEST(an_older_kernel_guards_files_all_the_same)
{
    for (old_abi = 1; old_abi <= 5 && has_landlock(old_abi); old_abi++) {
        goes_well(SANDBOX_SERVER, fail_to_write_outside);
        goes_well(SANDBOX_SERVER, replace_own);
        goes_well(SANDBOX_READER, read_files);
    }
}
END_TEST

/* Nothing was done in a sandbox with a hole in it. */
static void does_not_enter(enum sandbox_role role, const char *what)
{
    struct end e = end_of(role, nothing);
    ck_assert_msg(e.code == 1, "code %d: %s", e.code, e.log);
    ck_assert_msg(strstr(e.log, "error: sandbox: ") != NULL, "%s", e.log);
    ck_assert_msg(strstr(e.log, what) != NULL, "%s", e.log);
}

/* libseccomp may do either where memory is out while it makes the filter. */
START_TEST(a_library_that_crashes_or_loops_for_want_of_memory_is_told_of)
{
    library = CRASHES;
    does_not_enter(SANDBOX_SERVER, strerror(ENOMEM));
    does_not_enter(SANDBOX_READER, strerror(ENOMEM));
    library = LOOPS;
    does_not_enter(SANDBOX_SERVER, strerror(ENOMEM));
}
END_TEST

/* What is typed at a terminal, or sent to all processes of a service, is for the one that waits. */
START_TEST(a_signal_for_all_processes_does_not_end_the_one_that_makes_the_filter)
{
    library = IS_TOLD_TO_END;
    goes_well(SANDBOX_SERVER, nothing);
    goes_well(SANDBOX_READER, nothing);
}
END_TEST

/* Of each list one: the last one to be added, too. */
START_TEST(a_rule_that_finds_no_memory_keeps_dnsd_out)
{
    static const int for_server[] = {SCMP_SYS(read), SCMP_SYS(mmap), SCMP_SYS(tgkill),
        SCMP_SYS(rt_sigaction), SCMP_SYS(recvmmsg), SCMP_SYS(socket), SCMP_SYS(clone3)};
    static const int for_reader[] = {SCMP_SYS(read), SCMP_SYS(dup), SCMP_SYS(openat)};
    lost_rule_why = -ENOMEM;
    for (size_t i = 0; i < sizeof for_server / sizeof for_server[0]; i++) {
        lost_rule = for_server[i];
        if (!WIDER || lost_rule != SCMP_SYS(clone3))
            does_not_enter(SANDBOX_SERVER, "system calls cannot be filtered: Cannot allocate");
    }
    for (size_t i = 0; i < sizeof for_reader / sizeof for_reader[0]; i++) {
        lost_rule = for_reader[i];
        does_not_enter(SANDBOX_READER, "system calls cannot be filtered: Cannot allocate");
    }
}
END_TEST

/* It is no word of the kernel's: that would do without a filter, and so would dnsd. */
START_TEST(a_library_that_refuses_a_rule_is_no_lack_of_the_kernel)
{
    static const int errors[] = {ENOSYS, EPERM, EACCES};
    lost_rule = SCMP_SYS(read);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        lost_rule_why = -errors[i];
        does_not_enter(SANDBOX_SERVER, "system calls cannot be filtered: ");
        does_not_enter(SANDBOX_READER, "system calls cannot be filtered: ");
    }
}
END_TEST

/* Libraries differ in what they say to one that is contained in another. */
START_TEST(a_rule_that_is_there_already_is_no_trouble)
{
    static const int calls[] = {
        SCMP_SYS(restart_syscall), SCMP_SYS(mmap2), SCMP_SYS(tgkill), SCMP_SYS(rt_sigaction)};
    lost_rule_why = -EEXIST;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        lost_rule = calls[i];
        goes_well(SANDBOX_SERVER, nothing);
    }
}
END_TEST

START_TEST(landlock_that_is_there_and_fails_keeps_dnsd_out)
{
    static const long calls[] = {
        SYS_landlock_create_ruleset, SYS_landlock_add_rule, SYS_landlock_restrict_self};
    if (!has_landlock(1))
        return;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        lost_call = calls[i];
        does_not_enter(SANDBOX_SERVER, "Landlock: Cannot allocate memory");
        does_not_enter(SANDBOX_READER, "Landlock: Cannot allocate memory");
    }
}
END_TEST

START_TEST(a_process_that_could_be_traced_does_not_enter)
{
    lost_option = PR_SET_DUMPABLE;
    if (!WIDER)
        does_not_enter(SANDBOX_SERVER, "PR_SET_DUMPABLE: Operation not permitted");
}
END_TEST

START_TEST(a_death_that_nobody_would_tell_of_keeps_dnsd_out)
{
    no_handler = true;
    does_not_enter(SANDBOX_SERVER, "SIGSYS: Invalid argument");
}
END_TEST

static pid_t listener; /* an abstract name, too */

static socklen_t abstract_address(struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(out->sun_path + 1, sizeof out->sun_path - 1, "dnsd-test-%d", (int)listener);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static void reach_abstract_socket(void)
{
    struct sockaddr_un to;
    socklen_t len = abstract_address(&to);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(sendto(fd, "READY=1", 7, 0, (const struct sockaddr *)&to, len) == 7, "not reached");
}

/* Some service managers listen at a name that is in no directory. */
START_TEST(a_service_manager_at_an_abstract_socket_is_still_told)
{
    struct sockaddr_un at;
    listener = getpid();
    socklen_t len = abstract_address(&at);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, len), 0);
    setenv("NOTIFY_SOCKET", "@here", 1);
    goes_well(SANDBOX_SERVER, reach_abstract_socket);
    setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
    if (has_landlock(6))
        ck_assert_int_eq(end_of(SANDBOX_SERVER, reach_abstract_socket).code, 1);
    close(fd);
}
END_TEST

/* ---- fixtures -------------------------------------------------------------------------------- */

static void make_directory(char *path)
{
    ck_assert_ptr_nonnull(mkdtemp(path));
    ck_assert_int_eq(chmod(path, 0777), 0); /* of nobody's, too: what fails is not its mode */
}

static void setup(void)
{
    const char *tmp = getenv("TMPDIR");
    char path[256];
    snprintf(own, sizeof own, "%.100s/dnsd-own-XXXXXX", tmp != NULL ? tmp : "/tmp");
    snprintf(other, sizeof other, "%.100s/dnsd-other-XXXXXX", tmp != NULL ? tmp : "/tmp");
    make_directory(own);
    make_directory(other);
    snprintf(path, sizeof path, "%s/there", other);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(fchmod(fd, 0666), 0);
    close(fd);
    snprintf(files.replaced[0], sizeof files.replaced[0], "%s/learned", own);
    files.replaced[1][0] = '\0';
    snprintf(files.appended, sizeof files.appended, "%s/log", own);
}

static void teardown(void)
{
    const char *const left[] = {"learned", "log", "there", "pipe", "new", "moved"};
    char path[256];
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", own, left[i]);
        (void)unlink(path);
        snprintf(path, sizeof path, "%s/%s", other, left[i]);
        (void)unlink(path);
    }
    ck_assert_int_eq(rmdir(own), 0);
    ck_assert_int_eq(rmdir(other), 0);
}

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *c = tcase_create(name);
    tcase_add_checked_fixture(c, setup, teardown);
    suite_add_tcase(suite, c);
    return c;
}

static void add_deaths(Suite *suite)
{
    TCase *c = add_case(suite, "what ends it");
    tcase_add_test(c, opening_etc_passwd_dies);
    tcase_add_test(c, opening_even_an_own_file_to_read_dies);
    tcase_add_test(c, execve_dies);
    tcase_add_test(c, ptrace_dies);
    tcase_add_test(c, a_socket_of_another_family_or_type_dies);
    tcase_add_test(c, a_socket_of_another_protocol_dies);
    tcase_add_test(c, making_code_dies);
    tcase_add_test(c, setuid_back_to_root_dies);
    tcase_add_test(c, signals_to_others_die);
    tcase_add_test(c, signals_by_way_of_a_descriptor_die);
    tcase_add_test(c, threads_and_namespaces_die);
    tcase_add_test(c, files_for_others_die);
    tcase_add_test(c, listening_anew_dies);
    tcase_add_test(c, nobody_gets_round_the_end_by_a_handler);
    tcase_add_test(c, nobody_gets_round_the_end_by_blocking_it);
    tcase_add_test(c, the_reader_has_no_network_and_writes_nothing);
}

static void add_failures(Suite *suite)
{
    TCase *c = add_case(suite, "what fails");
    tcase_add_test(c, writing_a_file_outside_fails);
    tcase_add_test(c, directories_of_others_cannot_be_listed);
    tcase_add_test(c, binding_another_tcp_port_fails);
    tcase_add_test(c, tracing_a_process_that_never_was_root_fails);
    tcase_add_test(c, clone3_is_missing_so_that_the_library_takes_clone);
    c = add_case(suite, "kernels that lack something");
    tcase_add_test(c, without_landlock_there_is_one_warning_and_calls_are_still_filtered);
    tcase_add_test(c, without_seccomp_there_is_one_warning_and_files_are_still_guarded);
    tcase_add_test(c, without_either_it_is_told_and_served);
    tcase_add_test(c, a_filter_that_is_not_taken_is_no_lack_of_the_kernel);
    tcase_add_test(c, a_library_that_crashes_or_loops_for_want_of_memory_is_told_of);
    tcase_add_test(c, a_signal_for_all_processes_does_not_end_the_one_that_makes_the_filter);
    tcase_add_test(c, a_filter_that_is_refused_is_told_and_files_are_still_guarded);
    tcase_add_test(c, a_call_that_nobody_knows_dies_too);
    tcase_add_test(c, files_without_a_directory_are_in_the_working_directory);
    tcase_add_test(c, an_older_kernel_guards_files_all_the_same);
    tcase_add_test(c, a_rule_that_finds_no_memory_keeps_dnsd_out);
    tcase_add_test(c, a_library_that_refuses_a_rule_is_no_lack_of_the_kernel);
    tcase_add_test(c, a_rule_that_is_there_already_is_no_trouble);
    tcase_add_test(c, landlock_that_is_there_and_fails_keeps_dnsd_out);
    tcase_add_test(c, a_process_that_could_be_traced_does_not_enter);
    tcase_add_test(c, a_death_that_nobody_would_tell_of_keeps_dnsd_out);
    tcase_add_test(c, a_service_manager_at_an_abstract_socket_is_still_told);
}

static void add_works(Suite *suite)
{
    TCase *c = add_case(suite, "what works");
    tcase_add_test(c, own_files_are_replaced);
    tcase_add_test(c, the_log_is_made_anew_after_its_rotation);
    tcase_add_test(c, a_log_that_is_a_pipe_is_opened_again);
    tcase_add_test(c, a_log_that_is_a_pipe_without_a_name_is_no_trouble);
    tcase_add_test(c, a_log_that_is_a_link_is_opened_and_made_where_it_leads);
    tcase_add_test(c, a_path_that_goes_up_again_is_followed);
    tcase_add_test(c, a_process_for_dumps_can_be_made);
    tcase_add_test(c, memory_of_any_size_comes_and_goes);
    tcase_add_test(c, abort_is_still_an_abort);
    tcase_add_test(c, the_reader_reads);
    tcase_add_test(c, a_directory_that_is_not_there_is_no_trouble);
    tcase_add_test(c, only_the_directories_it_entered_with_are_covered);
    tcase_add_test(c, a_file_in_or_below_a_directory_that_is_written_is_exposed);
    tcase_add_test(c, a_file_that_a_link_takes_where_is_written_is_exposed);
}

int main(void)
{
    Suite *suite = suite_create("sandbox");
    const char *wrap = getenv("TEST_WRAP");
    if (wrap == NULL || wrap[0] == '\0') {
        add_deaths(suite);
        add_failures(suite);
        add_works(suite);
    } else {
        printf("skipped: the wrapper's own calls would be forbidden too\n");
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
