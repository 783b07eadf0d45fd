/* sandbox.c: the real program in its sandbox: what it holds, what still works there, and what it
 * says of what does not. Knows /proc and signals; never how the sandbox is made (tests/unit does).
 */
#include "peers.h"

#include <dirent.h>
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Valgrind's own calls would be forbidden: the harness turns the sandbox off there. */
static bool has_sandbox(void)
{
    const char *wrap = getenv("DNSD_WRAP"), *options = getenv("DNSD_OPTIONS");
    return (wrap == NULL || wrap[0] == '\0') &&
           (options == NULL || strstr(options, "sandbox") == NULL);
}

static struct responder *server;

/* Names with "tcp" in them need TCP. */
static void answer(const struct asked *q, void *ctx)
{
    (void)ctx;
    if (strstr(q->name, "tcp") != NULL && !q->tcp) {
        uint8_t msg[MESSAGE_MAX];
        size_t len = reply_start(q, NOERROR, msg);
        msg[2] |= 2; /* TC */
        reply_send(q, 0, msg, len);
        return;
    }
    reply_a(q, 0, 60, "192.0.2.1");
}

static const char *address_of(const struct dnsd *d, const char *name)
{
    struct reply r = resolve(d, name, TYPE_A);
    return text("%s", r.address);
}

/* ---- processes ------------------------------------------------------------------------------- */

static const char *status_of(pid_t pid)
{
    return read_file(text("/proc/%d/status", (int)pid));
}

static bool is_child_of(pid_t pid, pid_t parent)
{
    return strstr(status_of(pid), text("\nPPid:\t%d\n", (int)parent)) != NULL;
}

/* The process that opens dnsd's files; 0: there is none. */
static pid_t reader_of(const struct dnsd *d)
{
    pid_t found = 0;
    const struct dirent *e;
    DIR *dir = opendir("/proc");
    ck_assert_ptr_nonnull(dir);
    while (found == 0 && (e = readdir(dir)) != NULL) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid > 0 && is_child_of(pid, d->pid))
            found = pid;
    }
    closedir(dir);
    return found;
}

static void must_hold_nothing(pid_t pid)
{
    const char *status = status_of(pid);
    must_lack(status, "\nUid:\t0\t");
    must_lack(status, "\nGid:\t0\t");
    must_have(status, "\nCapInh:\t0000000000000000\n");
    must_have(status, "\nCapPrm:\t0000000000000000\n");
    must_have(status, "\nCapEff:\t0000000000000000\n");
    must_have(status, "\nCapAmb:\t0000000000000000\n");
    if (getuid() == 0)
        must_have(status, "\nCapBnd:\t0000000000000000\n");
    must_have(status, "\nNoNewPrivs:\t1\n");
    must_have(status, "\nSeccomp:\t2\n");
}

START_TEST(both_processes_hold_no_root_no_capability_and_have_a_filter)
{
    if (!has_sandbox())
        return;
    struct dnsd *d = dnsd_start_as_root("-forward 192.0.2.1");
    pid_t reader = reader_of(d);
    ck_assert_int_gt(reader, 0);
    must_hold_nothing(d->pid);
    must_hold_nothing(reader);
    must_have(status_of(reader), "Name:\tdnsd-reader\n");
}
END_TEST

/* What belongs to root in /proc cannot be traced, and leaves no core: also of who never was root,
 * and whom the kernel does not guard for having given it up. A sanitizer wants to trace. */
START_TEST(neither_process_can_be_traced_by_its_own_user)
{
    struct stat st;
    if (!has_sandbox() || harness_slow())
        return;
    struct dnsd *d = dnsd_start("-forward 192.0.2.1");
    ck_assert_int_eq(stat(text("/proc/%d/mem", (int)d->pid), &st), 0);
    ck_assert_uint_eq(st.st_uid, 0);
    ck_assert_int_eq(stat(text("/proc/%d/mem", (int)reader_of(d)), &st), 0);
    ck_assert_uint_eq(st.st_uid, 0);
}
END_TEST

START_TEST(sandbox_off_is_one_process_without_a_filter)
{
    struct dnsd *d = dnsd_start("-forward 192.0.2.1 -sandbox off");
    ck_assert_int_eq(reader_of(d), 0);
    must_have(status_of(d->pid), "\nSeccomp:\t0\n");
    must_have(status_of(d->pid), "\nNoNewPrivs:\t1\n");
}
END_TEST

START_TEST(the_reader_ends_with_dnsd)
{
    if (!has_sandbox())
        return;
    struct dnsd *d = dnsd_start("-forward 192.0.2.1");
    pid_t reader = reader_of(d);
    ck_assert_int_eq(dnsd_stop(d), 0);
    for (uint64_t end_ms = now_ms() + WAIT_MS; kill(reader, 0) == 0; pause_ms(2)) {
        ck_assert_uint_lt(now_ms(), end_ms);
        if (strstr(status_of(reader), "State:\tZ") != NULL)
            break; /* nobody here is its init */
    }
}
END_TEST

/* ---- what works inside ----------------------------------------------------------------------- */

/* One life with everything that touches a file, a process or the network. */
START_TEST(all_that_dnsd_does_works_inside)
{
    server = responder_start(answer, NULL);
    const char *poison = write_file("poison.conf", "a.lan A 192.0.2.1\n");
    const char *learned = path_of("learned"), *dump = path_of("learned.dot");
    const char *log = path_of("queries"), *old = path_of("queries.1");
    const char *conf =
        write_file("dnsd.conf", "forward %s\npoison %s\n", responder_at(server), poison);
    struct dnsd *d = dnsd_start("-config %s -predict -predict-file %s -predict-dump %s "
                                "-query-log %s -verbose",
        conf, learned, dump, log);
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.1");
    ck_assert_str_eq(address_of(d, "udp.example.com"), "192.0.2.1");
    ck_assert_str_eq(address_of(d, "tcp.example.com"), "192.0.2.1");
    ck_assert_uint_eq(responder_asked_tcp(server, "tcp.example.com"), 1);
    struct output o =
        run("dig +tcp +short -p %u @%s tcp.example.com", (unsigned)d->port, d->address);
    ck_assert_str_eq(o.text, "192.0.2.1\n");
    o = run("dig +short -p %u @%s ch txt hostname.bind", (unsigned)d->port, d->address);
    ck_assert_int_eq(o.code, 0);
    dnsd_statistic(d, "questions: ");
    dnsd_await(d, "was dumped to");
    must_have(read_file(dump), "digraph");
    ck_assert_int_eq(rename(log, old), 0);
    write_file("poison.conf", "a.lan A 192.0.2.2\n");
    dnsd_reload(d);
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.2");
    ck_assert_int_eq(dnsd_stop(d), 0);
    must_have(read_file(old), " udp.example.com ");
    must_have(read_file(log), " a.lan ");
    struct stat st;
    ck_assert_int_eq(stat(learned, &st), 0);
    must_lack(read_file(d->log), "the sandbox");
    must_lack(read_file(d->log), "no seccomp");
    responder_stop(server);
}
END_TEST

/* Lines for the journal have no time of their own: that of the query log is the first. The C
 * library reads /etc/localtime once, for UTC too. */
START_TEST(with_the_journal_the_query_log_is_no_end)
{
    struct stat st;
    const char *poison = write_file("poison.conf", "a.lan A 192.0.2.1\n");
    const char *stderr_file = write_file("dnsd-1.log", "%s", ""); /* as the harness names it */
    ck_assert_int_eq(stat(stderr_file, &st), 0);
    setenv("JOURNAL_STREAM", text("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino), 1);
    unsetenv("TZ");
    struct dnsd *d = dnsd_start("-poison %s -query-log %s", poison, path_of("queries"));
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.1");
    ck_assert_int_eq(dnsd_stop(d), 0);
    must_have(read_file(path_of("queries")), " a.lan ");
    must_have(read_file(d->log), "<6>dnsd ");
}
END_TEST

/* The first reload of most installations: the line was there as a comment. */
START_TEST(a_reload_may_name_other_files_to_read)
{
    const char *first = write_file("first.conf", "a.lan A 192.0.2.1\n");
    const char *second = write_file("second.conf", "a.lan A 192.0.2.2\n");
    const char *conf = write_file("dnsd.conf", "forward 192.0.2.1\n");
    struct dnsd *d = dnsd_start("-config %s", conf);
    write_file("dnsd.conf", "forward 192.0.2.1\npoison %s\n", first);
    dnsd_reload(d);
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.1");
    write_file("beside.conf", "poison %s\n", second);
    ck_assert_int_eq(rename(path_of("beside.conf"), conf), 0);
    dnsd_reload(d);
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.2");
}
END_TEST

START_TEST(another_resolv_conf_at_a_reload_is_read_and_watched)
{
    server = responder_start(answer, NULL);
    struct responder *other = responder_start(answer, NULL);
    const char *resolv = write_file("other-resolv", "nameserver %s\n", responder_at(server));
    const char *conf = write_file("dnsd.conf", "forward 192.0.2.1\n");
    struct dnsd *d = dnsd_start("-config %s", conf);
    write_file("dnsd.conf", "forward\nresolv-file %s\n", resolv);
    dnsd_reload(d);
    ck_assert_str_eq(address_of(d, "udp.example.com"), "192.0.2.1");
    write_file("beside", "nameserver %s\n", responder_at(other));
    ck_assert_int_eq(rename(path_of("beside"), resolv), 0);
    dnsd_await(d, text("forwarding to %s", responder_at(other)));
    responder_stop(server);
    responder_stop(other);
}
END_TEST

/* Where a path leads is looked up anew with each change, from inside. */
START_TEST(a_resolv_conf_whose_path_goes_up_again_is_watched)
{
    server = responder_start(answer, NULL);
    struct responder *other = responder_start(answer, NULL);
    ck_assert_int_eq(mkdir(path_of("below"), 0777), 0);
    const char *resolv = write_file("upper-resolv", "nameserver %s\n", responder_at(server));
    struct dnsd *d = dnsd_start("-forward -resolv-file %s", path_of("below/../upper-resolv"));
    ck_assert_str_eq(address_of(d, "udp.example.com"), "192.0.2.1");
    write_file("beside", "nameserver %s\n", responder_at(other));
    ck_assert_int_eq(rename(path_of("beside"), resolv), 0);
    dnsd_await(d, text("forwarding to %s", responder_at(other)));
    responder_stop(server);
    responder_stop(other);
}
END_TEST

START_TEST(another_directory_to_write_in_takes_a_restart_and_says_so)
{
    if (!has_sandbox())
        return;
    const char *conf = write_file("dnsd.conf", "predict\npredict-file %s\n", path_of("learned"));
    struct dnsd *d = dnsd_start("-config %s -forward 192.0.2.1", conf);
    write_file("dnsd.conf", "predict\npredict-file %s\n", path_of("renamed"));
    dnsd_reload(d);
    dnsd_await(d, "reloaded");
    must_lack(read_file(d->log), "takes a restart");
    ck_assert_int_eq(mkdir(path_of("below"), 0777), 0);
    write_file("dnsd.conf", "predict\npredict-file %s\n", path_of("below/learned"));
    dnsd_reload(d);
    dnsd_await(d, "the new -predict-file takes a restart");
}
END_TEST

/* The reader opens what the file of -config names, so that file should be safe from dnsd. */
START_TEST(a_configuration_where_dnsd_writes_is_warned_of)
{
    if (!has_sandbox())
        return;
    ck_assert_int_eq(mkdir(path_of("state"), 0777), 0);
    ck_assert_int_eq(chmod(path_of("state"), 0777), 0);
    const char *conf = write_file("dnsd.conf", "forward 192.0.2.1\n");
    struct dnsd *d =
        dnsd_start("-config %s -predict -predict-file %s", conf, path_of("state/learned"));
    must_lack(read_file(d->log), "is where dnsd writes");
    ck_assert_int_eq(dnsd_stop(d), 0);
    d = dnsd_start("-config %s -predict -predict-file %s", conf, path_of("learned"));
    must_have(read_file(d->log), text("warning: %s is where dnsd writes", conf));
}
END_TEST

START_TEST(without_its_reader_dnsd_goes_on_and_a_reload_changes_nothing)
{
    if (!has_sandbox())
        return;
    const char *poison = write_file("poison.conf", "a.lan A 192.0.2.1\n");
    struct dnsd *d = dnsd_start("-poison %s", poison);
    ck_assert_int_eq(kill(reader_of(d), SIGKILL), 0);
    dnsd_reload(d);
    dnsd_await(d, "nothing was changed");
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.1");
}
END_TEST

/* An update of a package, memory that is out, somebody with kill: it must not end the Internet. */
START_TEST(without_its_reader_dnsd_says_so_once_and_keeps_its_servers)
{
    if (!has_sandbox())
        return;
    server = responder_start(answer, NULL);
    const char *resolv = write_file("resolv", "nameserver %s\n", responder_at(server));
    struct dnsd *d = dnsd_start("-forward -resolv-file %s", resolv);
    pid_t reader = reader_of(d);
    ck_assert_int_eq(kill(reader, SIGKILL), 0);
    dnsd_await(d, "error: the process that reads files has ended (signal 9)");
    ck_assert_int_eq(kill(reader, 0), -1); /* no zombie */
    dnsd_reload(d);
    dnsd_await(d, "the servers stay as they are");
    ck_assert_str_eq(address_of(d, "one.example.com"), "192.0.2.1");
    write_file("beside", "nameserver 192.0.2.9\n");
    ck_assert_int_eq(rename(path_of("beside"), resolv), 0);
    dnsd_await(d, "has changed");
    ck_assert_str_eq(address_of(d, "two.example.com"), "192.0.2.1");
    const char *log = read_file(d->log);
    ck_assert_uint_eq(count_of(log, "the process that reads files"), 1);
    ck_assert_uint_eq(count_of(log, "the servers stay as they are"), 1);
    must_lack(log, "there is no server to forward to");
    responder_stop(server);
}
END_TEST

START_TEST(while_its_reader_is_slow_dnsd_keeps_its_servers_and_tries_again)
{
    if (!has_sandbox())
        return;
    server = responder_start(answer, NULL);
    const char *resolv = write_file("resolv", "nameserver %s\n", responder_at(server));
    struct dnsd *d = dnsd_start("-forward -resolv-file %s", resolv);
    pid_t reader = reader_of(d);
    ck_assert_int_eq(kill(reader, SIGSTOP), 0);
    write_file("beside", "nameserver 192.0.2.9\n");
    ck_assert_int_eq(rename(path_of("beside"), resolv), 0);
    dnsd_await(d, "timed out; the servers stay as they are");
    ck_assert_str_eq(address_of(d, "one.example.com"), "192.0.2.1");
    ck_assert_int_eq(kill(reader, SIGCONT), 0);
    dnsd_await(d, "forwarding to 192.0.2.9");
    must_lack(read_file(d->log), "error: ");
    responder_stop(server);
}
END_TEST

/* ---- what is the end ------------------------------------------------------------------------- */

/* As the calls are named; a sanitizer's build may do the first three (ops/sandbox.c). */
static const char *const betrayals[] = {"openat", "ptrace", "mmap", "execve", "socket", "setuid"};
#define N_BETRAYALS  ((int)(sizeof betrayals / sizeof betrayals[0]))
#define N_FOR_OTHERS 3

static struct dnsd *start_with_traitor(const char *how, const char *options)
{
    setenv("ASAN_OPTIONS", "exitcode=99:verify_asan_link_order=0", 1);
    setenv("LD_PRELOAD", place_file("faults/traitor.so"), 1);
    setenv("DNSD_TRAITOR", how, 1);
    struct dnsd *d = dnsd_start("%s", options);
    unsetenv("LD_PRELOAD");
    unsetenv("DNSD_TRAITOR");
    return d;
}

/* openat is that of /etc/passwd. */
START_TEST(who_gets_into_dnsd_and_tries_more_is_killed_and_logged)
{
    int code;
    const char *how = betrayals[_i];
    if (!has_sandbox() || (harness_slow() && _i < N_FOR_OTHERS))
        return;
    struct dnsd *d = start_with_traitor(how, "-forward 192.0.2.1");
    run("dig +tries=1 +time=1 -p %u @%s ch txt hostname.bind", (unsigned)d->port, d->address);
    dnsd_wait_end(d, &code);
    ck_assert_int_eq(code, 128 + SIGSYS);
    const char *log = read_file(d->log);
    must_have(log, "error: the sandbox ends dnsd: forbidden system call ");
    must_have(log, text(" (%s)\n", how));
}
END_TEST

START_TEST(without_the_sandbox_nobody_is_killed)
{
    struct dnsd *d = start_with_traitor("openat", "-forward 192.0.2.1 -sandbox off");
    struct output o =
        run("dig +short -p %u @%s ch txt hostname.bind", (unsigned)d->port, d->address);
    must_have(o.text, "traitor");
}
END_TEST

/* ---- kernels that lack something ------------------------------------------------------------- */

/* For this process and those that it starts, the kernel has neither, and is as old as that. */
static void take_sandbox_from_kernel(void)
{
    static const int calls[] = {SCMP_SYS(seccomp), SCMP_SYS(landlock_create_ruleset),
        SCMP_SYS(landlock_add_rule), SCMP_SYS(landlock_restrict_self), SCMP_SYS(close_range)};
    const struct scmp_arg_cmp get = {0, SCMP_CMP_EQ, PR_GET_SECCOMP, 0};
    const struct scmp_arg_cmp set = {0, SCMP_CMP_EQ, PR_SET_SECCOMP, 0};
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    ck_assert_ptr_nonnull(f);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        ck_assert_int_eq(seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), calls[i], 0), 0);
    ck_assert_int_eq(
        seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1, &get), 0);
    ck_assert_int_eq(
        seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1, &set), 0);
    ck_assert_int_eq(seccomp_load(f), 0);
    seccomp_release(f);
}

START_TEST(a_kernel_without_either_is_told_of_once_and_dnsd_serves)
{
    if (!has_sandbox())
        return;
    const char *poison = write_file("poison.conf", "a.lan A 192.0.2.1\n");
    take_sandbox_from_kernel();
    struct dnsd *d = dnsd_start("-poison %s", poison);
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.1");
    write_file("poison.conf", "a.lan A 192.0.2.2\n");
    dnsd_reload(d);
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.2");
    ck_assert_int_eq(dnsd_stop(d), 0);
    ck_assert_uint_eq(count_of(read_file(d->log), "no Landlock"), 1);
    ck_assert_uint_eq(count_of(read_file(d->log), "no seccomp"), 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/sandbox");
    TCase *c = harness_case(s, "sandbox");
    tcase_add_test(c, both_processes_hold_no_root_no_capability_and_have_a_filter);
    tcase_add_test(c, neither_process_can_be_traced_by_its_own_user);
    tcase_add_test(c, sandbox_off_is_one_process_without_a_filter);
    tcase_add_test(c, the_reader_ends_with_dnsd);
    tcase_add_test(c, all_that_dnsd_does_works_inside);
    tcase_add_test(c, with_the_journal_the_query_log_is_no_end);
    tcase_add_test(c, a_reload_may_name_other_files_to_read);
    tcase_add_test(c, another_resolv_conf_at_a_reload_is_read_and_watched);
    tcase_add_test(c, a_resolv_conf_whose_path_goes_up_again_is_watched);
    tcase_add_test(c, another_directory_to_write_in_takes_a_restart_and_says_so);
    tcase_add_test(c, a_configuration_where_dnsd_writes_is_warned_of);
    tcase_add_test(c, without_its_reader_dnsd_goes_on_and_a_reload_changes_nothing);
    tcase_add_test(c, without_its_reader_dnsd_says_so_once_and_keeps_its_servers);
    tcase_add_test(c, while_its_reader_is_slow_dnsd_keeps_its_servers_and_tries_again);
    tcase_add_loop_test(c, who_gets_into_dnsd_and_tries_more_is_killed_and_logged, 0, N_BETRAYALS);
    tcase_add_test(c, without_the_sandbox_nobody_is_killed);
    tcase_add_test(c, a_kernel_without_either_is_told_of_once_and_dnsd_serves);
    return harness_run(s);
}
