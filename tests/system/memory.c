/* memory.c: as many questions as can wait and as many bytes as connections can hold, at once, and
 * what dnsd takes for them. Knows what dnsd says it takes at most; never its insides. */
#include "harness.h"
#include "peers.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS         18
#define QUESTIONS       1000 /* of a client: what may wait */
#define CONNECTIONS     60   /* of a client */
#define PART            65000
#define N_CONNECTIONS   (CLIENTS * CONNECTIONS)
#define WAITING_AT_ONCE 15000

static void never_answers(const struct asked *q, void *ctx)
{
    (void)q;
    (void)ctx;
}

/* Waits for the reply to what dnsd answers by itself: then it has read all that was sent before. */
static void await_reader(int fd)
{
    static const uint8_t localhost[] = "\xff\xff\1\0\0\1\0\0\0\0\0\0\11localhost\0\0\1\0\1";
    uint8_t reply[512];
    struct timeval wait = {.tv_sec = 1};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    for (int i = 0; i < 10; i++) {
        send(fd, localhost, sizeof localhost - 1, 0);
        while (recv(fd, reply, sizeof reply, 0) > 0)
            if (reply[0] == 0xff && reply[1] == 0xff)
                return;
    }
    ck_abort_msg("dnsd does not read");
}

static void ask_all(const struct dnsd *d)
{
    uint8_t msg[QUESTION_MAX];
    char name[40];
    for (unsigned client = 0; client < CLIENTS; client++) {
        int fd = client_socket(d, client, SOCK_DGRAM);
        ck_assert_int_ge(fd, 0);
        for (unsigned i = 0; i < QUESTIONS; i++) {
            snprintf(name, sizeof name, "n%u-%u.example", client, i); /* nobody else asks it */
            send(fd, msg, write_question(msg, i, name, TYPE_A), 0);
            if (i % 50 == 49)
                await_reader(fd);
        }
        close(fd);
    }
}

static void connect_all(const struct dnsd *d, int fds[N_CONNECTIONS])
{
    static uint8_t part[PART] = {0xff, 0xff};
    for (unsigned i = 0; i < N_CONNECTIONS; i++) {
        fds[i] = client_socket(d, i % CLIENTS, SOCK_STREAM);
        ck_assert_int_ge(fds[i], 0);
        send(fds[i], part, sizeof part, MSG_NOSIGNAL); /* one too many is closed */
    }
}

/* The most memory that a process ever had, in MiB. */
static double high_water_mib(const struct dnsd *d)
{
    const char *status = read_file(text("/proc/%d/status", (int)d->pid));
    const char *line = strstr(status, "VmHWM:");
    ck_assert_ptr_nonnull(line);
    return strtod(line + 6, NULL) / 1024;
}

START_TEST(all_that_waits_at_once_takes_no_more_than_was_told)
{
    static int fds[N_CONNECTIONS];
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct responder *server = responder_start(never_answers, NULL);
    struct dnsd *d =
        dnsd_start("-forward %s -predict -cache-size 1M -stale-ttl 0", responder_at(server));
    double told_mib = strtod(dnsd_statistic(d, "memory: at most ") + 16, NULL);
    double at_start_mib = high_water_mib(d);
    connect_all(d, fds);
    ask_all(d);
    const char *line = dnsd_statistic(d, "over TCP; ");
    unsigned long waiting = strtoul(line + 10, NULL, 10);
    double most_mib = high_water_mib(d);
    for (unsigned i = 0; i < N_CONNECTIONS; i++)
        close(fds[i]);
    ck_assert_msg(most_mib <= at_start_mib + told_mib,
        "%.1f MiB at the start, %.1f told, %.1f taken", at_start_mib, told_mib, most_mib);
    /* The flood was one. */
    ck_assert_uint_ge(waiting, WAITING_AT_ONCE);
    ck_assert_msg(most_mib > at_start_mib + 60, "%.1f MiB", most_mib);
    printf("memory: %.1f MiB at the start, %.1f told, %.1f taken, %lu waiting\n", at_start_mib,
        told_mib, most_mib, waiting);
    responder_stop(server);
}
END_TEST

/* The cache, 16 MiB for prediction, 250 MiB for a flood: so says the manual. */
START_TEST(the_default_is_what_the_manual_says)
{
    struct responder *server = responder_start(never_answers, NULL);
    struct dnsd *d = dnsd_start("-forward %s -predict", responder_at(server));
    double told_mib = strtod(dnsd_statistic(d, "memory: at most ") + 16, NULL);
    ck_assert_msg(told_mib > 64 + 16 && told_mib <= 64 + 16 + 250, "%.1f MiB", told_mib);
    responder_stop(server);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/memory");
    TCase *c = harness_case(s, "memory");
    if (!harness_slow()) /* what watches memory takes some too, and the time of those who wait */
        tcase_add_test(c, all_that_waits_at_once_takes_no_more_than_was_told);
    tcase_add_test(c, the_default_is_what_the_manual_says);
    return harness_run(s);
}
