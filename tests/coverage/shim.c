/* shim.c: knows how a program built for `make coverage` gets its counters out: of a sandbox, and of
 * a child that ends by _exit. Never knows what is counted. */
#define _GNU_SOURCE /* O_PATH, RTLD_DEFAULT */
#include <dlfcn.h>
#include <fcntl.h>
#include <gcov.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linked into every program of that build, with --wrap for what is below, and its syscall() in
 * place of the C library's. The weak ones are missing from programs without a sandbox. */
extern scmp_filter_ctx __real_seccomp_init(uint32_t action) __attribute__((weak));
extern int seccomp_rule_add_array(
    scmp_filter_ctx, uint32_t, int, unsigned, const struct scmp_arg_cmp *) __attribute__((weak));
void __real__exit(int status) __attribute__((noreturn));

scmp_filter_ctx __wrap_seccomp_init(uint32_t action);
void __wrap__exit(int status) __attribute__((noreturn));

static long (*real_syscall)(long number, ...);
static void (*end_faults)(void);

/* gcov's runtime takes memory for granted, and system/faults takes it away. */
__attribute__((constructor)) static void find(void)
{
    void *found = dlsym(RTLD_NEXT, "syscall");
    memcpy(&real_syscall, &found, sizeof found);
    found = dlsym(RTLD_DEFAULT, "faults_end");
    memcpy(&end_faults, &found, sizeof found);
}

static void allow_fcntl(scmp_filter_ctx filter, int command)
{
    const struct scmp_arg_cmp is = SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)command);
    (void)seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, &is);
}

/* The runtime opens its files O_RDWR | O_CREAT and locks them. Nothing that dnsd must not do gets
 * possible: the tests of the sandbox hold in this build too. */
scmp_filter_ctx __wrap_seccomp_init(uint32_t action)
{
    const struct scmp_arg_cmp how = SCMP_A2(SCMP_CMP_MASKED_EQ,
        (scmp_datum_t)(O_CREAT | O_EXCL | O_ACCMODE), (scmp_datum_t)(O_CREAT | O_RDWR));
    scmp_filter_ctx filter = __real_seccomp_init(action);
    if (filter == NULL)
        return NULL;
    (void)seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, &how);
    allow_fcntl(filter, F_SETLKW);
    allow_fcntl(filter, F_GETFL);
    return filter;
}

static void allow_counters(int ruleset)
{
    struct landlock_path_beneath_attr rule = {
        .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE,
        .parent_fd = open(COVERAGE_DIR, O_PATH | O_CLOEXEC),
    };
    if (rule.parent_fd < 0)
        return;
    (void)real_syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
}

/* Where it cannot, the runtime would complain, in the middle of what a test reads. */
static void write_counters(void)
{
    if (end_faults != NULL)
        end_faults();
    int fd = open(COVERAGE_DIR "/probe", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    close(fd);
    __gcov_dump();
}

/* A process that made a forbidden call is killed at its next one, which ops/sandbox.c makes. */
long syscall(long number, ...)
{
    long arg[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arg[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_landlock_restrict_self)
        allow_counters((int)arg[0]);
    if (number == SYS_vhangup)
        write_counters();
    return real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

void __wrap__exit(int status)
{
    write_counters();
    __real__exit(status);
}
