/* reader.c: knows what the process that opens files must open, and for whom it must not. */
#include "ops/reader.h"
#include "ops/log.h"
#include "ops/sandbox.h"
#include "ops/savefile.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGS_MAX 8

static char directory[128];
static const char *argv[ARGS_MAX];
static int argc;
static struct conf_set *conf;
static struct reader *reader;

/* ---- what the system does not grant ---------------------------------------------------------- */

/* What of it fails from now on, with which error; as it is when the reader starts, in both
 * processes. */
static enum {
    NOTHING,
    SOCKETPAIR,
    FORK,
    DUP2,
    SANDBOX,
    DEATH_IN_SANDBOX,
    CONF_CREATE,
    SENDING,   /* twice */
    RECEIVING, /* twice */
} lost;
static int lost_error;
static unsigned n_lost;
static const char *no_copy; /* of this text, for lack of memory */

static bool loses(unsigned what)
{
    if ((unsigned)lost != what || (lost >= SENDING && n_lost == 2))
        return false;
    n_lost++;
    errno = lost_error;
    return true;
}

int __real_socketpair(int domain, int type, int protocol, int fds[2]);
int __wrap_socketpair(int domain, int type, int protocol, int fds[2]);
pid_t __real_fork(void);
pid_t __wrap_fork(void);
int __real_dup2(int from, int to);
int __wrap_dup2(int from, int to);
int __real_sandbox_enter(enum sandbox_role role, const struct sandbox_files *files);
int __wrap_sandbox_enter(enum sandbox_role role, const struct sandbox_files *files);
struct conf_set *__real_conf_create(void);
struct conf_set *__wrap_conf_create(void);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __real_recv(int fd, void *to, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t len, int flags);

int __wrap_socketpair(int domain, int type, int protocol, int fds[2])
{
    return loses(SOCKETPAIR) ? -1 : __real_socketpair(domain, type, protocol, fds);
}

pid_t __wrap_fork(void)
{
    return loses(FORK) ? -1 : __real_fork();
}

int __wrap_dup2(int from, int to)
{
    return loses(DUP2) ? -1 : __real_dup2(from, to);
}

int __wrap_sandbox_enter(enum sandbox_role role, const struct sandbox_files *files)
{
    if (lost == DEATH_IN_SANDBOX)
        raise(SIGKILL);
    return loses(SANDBOX) ? -1 : __real_sandbox_enter(role, files);
}

struct conf_set *__wrap_conf_create(void)
{
    return loses(CONF_CREATE) ? NULL : __real_conf_create();
}

char *__wrap_strdup(const char *text)
{
    if (no_copy == NULL || strcmp(text, no_copy) != 0)
        return __real_strdup(text);
    errno = ENOMEM;
    return NULL;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
    return loses(SENDING) ? -1 : __real_sendmsg(fd, m, flags);
}

ssize_t __wrap_recv(int fd, void *to, size_t len, int flags)
{
    return loses(RECEIVING) ? -1 : __real_recv(fd, to, len, flags);
}

/* ---- files and options ----------------------------------------------------------------------- */

static const char *path_of(const char *name)
{
    static char paths[4][256];
    static size_t n;
    char *path = paths[n++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

__attribute__((format(printf, 2, 3))) static const char *write_file(
    const char *name, const char *format, ...)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");
    va_list args;
    ck_assert_ptr_nonnull(f);
    va_start(args, format);
    vfprintf(f, format, args);
    va_end(args);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(chmod(path, 0644), 0);
    return path;
}

static void refuse(void *ctx, size_t line, const char *option, const char *value, const char *why)
{
    (void)ctx;
    ck_abort_msg("line %zu: %s %s: %s", line, option, value, why);
}

/* As main does: the command line, then the file. What fails does so from the start of the reader
 * on.
 */
static void start_without(unsigned what, int error, const char *config)
{
    uint8_t *text;
    size_t len;
    argv[argc++] = "dnsd";
    argv[argc++] = "-forward";
    argv[argc++] = "-config";
    argv[argc++] = config;
    conf = conf_create();
    ck_assert_ptr_nonnull(conf);
    ck_assert_int_eq(conf_read_args(conf, argc, argv, refuse, NULL), 0);
    ck_assert_int_eq(savefile_read(config, 1 << 20, &text, &len), 0);
    ck_assert_int_eq(conf_read_text(conf, (const char *)text, len, refuse, NULL), 0);
    free(text);
    ck_assert_int_eq(conf_finish(conf, refuse, NULL), 0);
    lost = what;
    lost_error = error;
    reader = reader_start(argc, argv, conf_values(conf));
}

static void start(const char *config)
{
    start_without(NOTHING, 0, config);
}

static void reads(const char *path, const char *expected)
{
    uint8_t *text;
    size_t len;
    int fd = reader_open(reader, path);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(savefile_read_open(fd, 1 << 20, &text, &len), 0);
    ck_assert_str_eq((const char *)text, expected);
    free(text);
}

static void refuses(const char *path, int why)
{
    errno = 0;
    ck_assert_int_eq(reader_open(reader, path), -1);
    ck_assert_msg(errno == why, "%s: %s", path, strerror(errno));
}

/* ---- what it opens --------------------------------------------------------------------------- */

START_TEST(what_the_configuration_names_is_opened)
{
    const char *poison = write_file("poison", "a.example 192.0.2.1\n");
    const char *resolv = write_file("resolv", "nameserver 192.0.2.2\n");
    char text[1024];
    snprintf(text, sizeof text, "poison %s\nresolv-file %s\npredict-file %s\n", poison, resolv,
        path_of("learned"));
    start(write_file("conf", "%s", text));
    ck_assert_ptr_nonnull(reader);
    reads(path_of("conf"), text);
    reads(path_of("conf"), text); /* from its beginning each time */
    reads(path_of("poison"), "a.example 192.0.2.1\n");
    reads(path_of("resolv"), "nameserver 192.0.2.2\n");
    refuses(path_of("learned"), ENOENT);
    write_file("learned", "x");
    reads(path_of("learned"), "x");
}
END_TEST

START_TEST(nothing_else_is_opened)
{
    write_file("else", "x");
    start(write_file("conf", "poison %s\n", path_of("poison")));
    refuses("/etc/passwd", EPERM);
    refuses(path_of("else"), EPERM);
    refuses(path_of("../etc/passwd"), EPERM);
    refuses(path_of("./poison"), EPERM); /* another name for it is another name */
    refuses(directory, EPERM);
    refuses("", ENOENT);
    char long_path[CONF_PATH_MAX + 2];
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    refuses(long_path, ENAMETOOLONG);
    refuses(path_of("poison"), ENOENT); /* it has lost nothing over all that */
}
END_TEST

START_TEST(a_file_that_a_new_configuration_names_is_opened_once_that_was_read)
{
    write_file("new", "new");
    start(write_file("conf", "poison %s\n", path_of("poison")));
    refuses(path_of("new"), EPERM);
    write_file("conf", "poison %s\n", path_of("new"));
    refuses(path_of("new"), EPERM); /* nobody has asked for the configuration yet */
    close(reader_open(reader, path_of("conf")));
    reads(path_of("new"), "new");
    refuses(path_of("poison"), ENOENT); /* the reload may yet fail, and the old one stay */
}
END_TEST

START_TEST(a_configuration_with_a_mistake_names_nothing)
{
    write_file("new", "new");
    start(write_file("conf", "poison %s\n", path_of("poison")));
    write_file("conf", "poison %s\nport none\n", path_of("new"));
    close(reader_open(reader, path_of("conf")));
    refuses(path_of("new"), EPERM);
}
END_TEST

START_TEST(a_configuration_that_is_replaced_is_the_new_one)
{
    write_file("new", "new");
    start(write_file("conf", "poison %s\n", path_of("poison")));
    write_file("beside", "poison %s\n", path_of("new"));
    ck_assert_int_eq(rename(path_of("beside"), path_of("conf")), 0);
    close(reader_open(reader, path_of("conf")));
    reads(path_of("new"), "new");
}
END_TEST

START_TEST(many_reloads_forget_the_oldest_names_only)
{
    start(write_file("conf", "poison %s\n", path_of("poison")));
    for (int i = 0; i < 100; i++) {
        write_file("conf", "poison %s/p-%d\n", directory, i);
        close(reader_open(reader, path_of("conf")));
    }
    refuses(path_of("p-99"), ENOENT);
    refuses(path_of("p-90"), ENOENT);
    refuses(path_of("p-1"), EPERM);
}
END_TEST

START_TEST(a_pipe_in_the_place_of_a_file_keeps_nobody_waiting)
{
    start(write_file("conf", "poison %s\n", path_of("poison")));
    ck_assert_int_eq(unlink(path_of("conf")), 0);
    ck_assert_int_eq(mkfifo(path_of("conf"), 0644), 0);
    int fd = reader_open(reader, path_of("conf"));
    ck_assert_int_ge(fd, 0);
    close(fd);
}
END_TEST

START_TEST(a_file_that_the_user_may_not_read_is_refused)
{
    if (geteuid() != 0)
        return;
    start(write_file("conf", "poison %s\n", write_file("poison", "x")));
    ck_assert_int_eq(chmod(path_of("poison"), 0600), 0);
    refuses(path_of("poison"), EACCES);
}
END_TEST

/* ---- its life -------------------------------------------------------------------------------- */

START_TEST(it_ends_when_it_is_not_needed_any_more)
{
    int status;
    start(write_file("conf", "verbose\n"));
    reader_stop(reader);
    reader = NULL;
    ck_assert_int_gt(wait(&status), 0);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* Such as a terminal and a service manager send to all processes. */
START_TEST(signals_for_the_server_leave_it_alone)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    setpgid(0, 0);
    start(write_file("conf", "verbose\n"));
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        signal(signals[i], SIG_IGN);
        ck_assert_int_eq(kill(0, signals[i]), 0);
    }
    reads(path_of("conf"), "verbose\n");
}
END_TEST

START_TEST(when_it_is_gone_that_is_said_each_time)
{
    setpgid(0, 0);
    start(write_file("conf", "verbose\n"));
    signal(SIGVTALRM, SIG_IGN); /* by which nobody else ends */
    ck_assert_int_eq(kill(0, SIGVTALRM), 0);
    ck_assert_int_gt(wait(NULL), 0);
    refuses(path_of("conf"), EPIPE);
    refuses(path_of("conf"), EPIPE);
}
END_TEST

static unsigned long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (unsigned long)t.tv_sec * 1000 + (unsigned long)t.tv_nsec / 1000000;
}

/* The signals that stop and continue can be neither blocked nor ignored: to its pid. */
static pid_t pid_of_reader(void)
{
    char path[64], text[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(text, sizeof text, f));
    fclose(f);
    return (pid_t)strtol(text, NULL, 10);
}

START_TEST(one_that_is_slow_is_waited_for_once_and_its_late_answer_is_nobodys)
{
    siginfo_t info;
    start(write_file("conf", "poison %s\n", write_file("poison", "x")));
    pid_t pid = pid_of_reader();
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0);
    unsigned long start_ms = now_ms();
    reader_begin(reader);
    refuses(path_of("conf"), ETIMEDOUT);
    for (int i = 0; i < 20; i++)
        refuses(path_of("poison"), ETIMEDOUT); /* and not three seconds each */
    reader_begin(reader);
    refuses(path_of("poison"), ETIMEDOUT);
    ck_assert_uint_ge(now_ms() - start_ms, 2900);
    ck_assert_uint_lt(now_ms() - start_ms, 5900);
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    int fd;
    while ((fd = reader_open(reader, path_of("poison"))) < 0 && errno == ETIMEDOUT)
        ck_assert_uint_lt(now_ms() - start_ms, 20000);
    ck_assert_int_ge(fd, 0);
    close(fd);
    reads(path_of("poison"), "x");
    refuses(path_of("else"), EPERM);
}
END_TEST

START_TEST(one_that_has_ended_is_reaped)
{
    siginfo_t info;
    setpgid(0, 0);
    start(write_file("conf", "verbose\n"));
    reader_look(reader);
    reads(path_of("conf"), "verbose\n"); /* it is still there */
    signal(SIGVTALRM, SIG_IGN);
    ck_assert_int_eq(kill(0, SIGVTALRM), 0);
    ck_assert_int_eq(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
    reader_look(reader);
    errno = 0;
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    reader_look(reader); /* nothing is there to be told of again */
    reader_look(NULL);
}
END_TEST

START_TEST(a_user_that_is_not_there_is_told_and_nothing_starts)
{
    start(write_file("conf", "user no-such-user-here\n"));
    ck_assert_ptr_null(reader);
}
END_TEST

START_TEST(without_a_descriptor_left_the_next_open_works_again)
{
    int held[512];
    size_t n = 0;
    struct rlimit limit = {.rlim_cur = 256, .rlim_max = 256};
    start(write_file("conf", "verbose\n"));
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (n < 512 && (held[n] = dup(STDERR_FILENO)) >= 0)
        n++;
    refuses(path_of("conf"), EMFILE);
    close(held[0]);
    reads(path_of("conf"), "verbose\n");
}
END_TEST

/* ---- where the system does not grant it ------------------------------------------------------ */

static void does_not_start(unsigned what, int error, int why)
{
    start_without(what, error, write_file("conf", "verbose\n"));
    int said = errno;
    ck_assert_ptr_null(reader);
    ck_assert_msg(said == why, "%s", strerror(said));
    errno = 0;
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
    ck_assert_int_eq(errno, ECHILD);
}

START_TEST(without_a_socket_it_does_not_start)
{
    does_not_start(SOCKETPAIR, EMFILE, EMFILE);
}
END_TEST

START_TEST(without_a_process_it_does_not_start)
{
    does_not_start(FORK, EAGAIN, EAGAIN);
}
END_TEST

START_TEST(without_a_descriptor_it_does_not_start)
{
    does_not_start(DUP2, EBUSY, EBUSY);
}
END_TEST

START_TEST(without_a_sandbox_it_does_not_start)
{
    does_not_start(SANDBOX, EPERM, EPERM);
}
END_TEST

START_TEST(one_that_is_killed_at_its_start_is_noticed)
{
    does_not_start(DEATH_IN_SANDBOX, 0, EPIPE);
}
END_TEST

START_TEST(without_memory_for_its_own_file_it_does_not_start)
{
    no_copy = path_of("conf");
    does_not_start(NOTHING, 0, ENOMEM);
}
END_TEST

/* As good as not named: and not anybody's file instead. */
START_TEST(a_name_that_memory_is_out_for_stays_closed)
{
    char poison[256];
    snprintf(poison, sizeof poison, "%s", write_file("poison", "x"));
    no_copy = poison;
    start(write_file("conf", "poison %s\nresolv-file %s\n", poison, write_file("resolv", "y")));
    refuses(poison, EPERM);
    reads(path_of("resolv"), "y");
    close(reader_open(reader, path_of("conf"))); /* which names it again, and in vain again */
    refuses(poison, EPERM);
}
END_TEST

START_TEST(a_configuration_that_memory_is_out_for_names_nothing_new)
{
    start_without(CONF_CREATE, ENOMEM, write_file("conf", "poison %s\n", path_of("poison")));
    write_file("new", "new");
    write_file("conf", "poison %s\n", path_of("new"));
    close(reader_open(reader, path_of("conf")));
    refuses(path_of("new"), EPERM);
    refuses(path_of("poison"), ENOENT);
}
END_TEST

START_TEST(an_answer_that_the_kernel_has_no_room_for_is_said_again)
{
    start_without(SENDING, ENOBUFS, write_file("conf", "verbose\n"));
    ck_assert_ptr_nonnull(reader);
    reads(path_of("conf"), "verbose\n");
}
END_TEST

START_TEST(a_question_that_is_interrupted_is_heard)
{
    start_without(RECEIVING, EINTR, write_file("conf", "verbose\n"));
    reads(path_of("conf"), "verbose\n");
}
END_TEST

START_TEST(one_whose_socket_is_gone_ends)
{
    start_without(RECEIVING, ECONNRESET, write_file("conf", "verbose\n"));
    siginfo_t info;
    ck_assert_int_eq(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(info.si_code, CLD_EXITED);
    ck_assert_int_eq(info.si_status, 0);
    reader_look(reader);
    refuses(path_of("conf"), EPIPE);
}
END_TEST

START_TEST(one_that_nobody_listens_to_at_its_start_ends)
{
    does_not_start(SENDING, EPIPE, EPIPE);
}
END_TEST

/* ---- fixtures -------------------------------------------------------------------------------- */

static void setup(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%.100s/dnsd-reader-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chmod(directory, 0755), 0);
    log_open(false);
}

static void teardown(void)
{
    static const char *const left[] = {"conf", "poison", "resolv", "learned", "else", "new"};
    reader_stop(reader);
    conf_free(conf);
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
        (void)unlink(path_of(left[i]));
    ck_assert_int_eq(rmdir(directory), 0);
}

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *c = tcase_create(name);
    tcase_add_checked_fixture(c, setup, teardown);
    suite_add_tcase(suite, c);
    return c;
}

static void add_tests(Suite *suite)
{
    TCase *c = add_case(suite, "what it opens");
    tcase_add_test(c, what_the_configuration_names_is_opened);
    tcase_add_test(c, nothing_else_is_opened);
    tcase_add_test(c, a_file_that_a_new_configuration_names_is_opened_once_that_was_read);
    tcase_add_test(c, a_configuration_with_a_mistake_names_nothing);
    tcase_add_test(c, a_configuration_that_is_replaced_is_the_new_one);
    tcase_add_test(c, many_reloads_forget_the_oldest_names_only);
    tcase_add_test(c, a_pipe_in_the_place_of_a_file_keeps_nobody_waiting);
    tcase_add_test(c, a_file_that_the_user_may_not_read_is_refused);
    c = add_case(suite, "its life");
    tcase_set_timeout(c, 30);
    tcase_add_test(c, it_ends_when_it_is_not_needed_any_more);
    tcase_add_test(c, signals_for_the_server_leave_it_alone);
    tcase_add_test(c, when_it_is_gone_that_is_said_each_time);
    tcase_add_test(c, one_that_is_slow_is_waited_for_once_and_its_late_answer_is_nobodys);
    tcase_add_test(c, one_that_has_ended_is_reaped);
    tcase_add_test(c, a_user_that_is_not_there_is_told_and_nothing_starts);
    tcase_add_test(c, without_a_descriptor_left_the_next_open_works_again);
    c = add_case(suite, "where the system does not grant it");
    tcase_add_test(c, without_a_socket_it_does_not_start);
    tcase_add_test(c, without_a_process_it_does_not_start);
    tcase_add_test(c, without_a_descriptor_it_does_not_start);
    tcase_add_test(c, without_a_sandbox_it_does_not_start);
    tcase_add_test(c, one_that_is_killed_at_its_start_is_noticed);
    tcase_add_test(c, without_memory_for_its_own_file_it_does_not_start);
    tcase_add_test(c, a_name_that_memory_is_out_for_stays_closed);
    tcase_add_test(c, a_configuration_that_memory_is_out_for_names_nothing_new);
    tcase_add_test(c, an_answer_that_the_kernel_has_no_room_for_is_said_again);
    tcase_add_test(c, a_question_that_is_interrupted_is_heard);
    tcase_add_test(c, one_whose_socket_is_gone_ends);
    tcase_add_test(c, one_that_nobody_listens_to_at_its_start_ends);
}

int main(void)
{
    Suite *suite = suite_create("reader");
    const char *wrap = getenv("TEST_WRAP");
    if (wrap == NULL || wrap[0] == '\0')
        add_tests(suite);
    else
        printf("skipped: the wrapper's own calls would be forbidden\n");
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
