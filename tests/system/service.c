/* service.c: the rest of what users of a running dnsd see: overrides, addresses, who is served, the
 * query log, statistics, and that root is gone.
 * Knows dig's output and /proc; never dnsd's insides. */
#include "peers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct responder *server;

static void answer(const struct asked *q, void *ctx)
{
    (void)ctx;
    reply_a(q, strstr(q->name, "slow") != NULL ? 300 : 0, 300, "192.0.2.1");
}

/* What dig prints, with options and question as one text. */
static const char *dig(const struct dnsd *d, const char *what)
{
    return run("dig @%s -p %u %s", d->address, (unsigned)d->port, what).text;
}

/* ---- overrides ------------------------------------------------------------------------------- */

static const char overrides[] = "router.lan A 192.168.1.1\n"
                                "           TXT \"second floor; left\"\n"
                                "printer.lan 192.168.1.9 fe80::9\n"
                                "*.dev.lan A 127.0.0.1\n"
                                "db.dev.lan A 192.168.1.30\n"
                                "sensor.lan TYPE65280 \\# 4 0A000001\n"
                                "www.lan CNAME router.lan.\n"
                                "old.example CNAME www.example.net.\n"
                                ".ads.example nxdomain\n"
                                "good.ads.example pass\n"
                                "*.telemetry.example nodata\n"
                                "intern.example refused\n"
                                ".scanner.example drop\n";

static const struct {
    const char *question;
    const char *wanted;
} overridden[] = {
    {"+short router.lan A", "192.168.1.1\n"},
    {"+short ROUTER.Lan A", "192.168.1.1\n"},
    {"+short router.lan TXT", "\"second floor; left\"\n"},
    {"router.lan AAAA", "ANSWER: 0, AUTHORITY: 1"},
    {"+short printer.lan AAAA", "fe80::9\n"},
    {"+short -x 192.168.1.9", "printer.lan.\n"},
    {"+short any.thing.dev.lan A", "127.0.0.1\n"},
    {"+short db.dev.lan A", "192.168.1.30\n"},
    {"+short sensor.lan TYPE65280", "\\# 4 0A000001\n"},
    {"+short www.lan A", "router.lan.\n192.168.1.1\n"},
    {"+short old.example A", "www.example.net.\n192.0.2.1\n"},
    {"tracker.ads.example A", "status: NXDOMAIN"},
    {"+short good.ads.example A", "192.0.2.1\n"},
    {"a.telemetry.example A", "status: NOERROR"},
    {"a.telemetry.example A", "ANSWER: 0, AUTHORITY: 1"},
    {"intern.example A", "status: REFUSED"},
    {"+short www.example.com A", "192.0.2.1\n"},
};

START_TEST(overrides_answer_and_the_rest_is_forwarded)
{
    server = responder_start(answer, NULL);
    struct dnsd *d = dnsd_start(
        "-forward %s -poison %s", responder_at(server), write_file("poison.conf", "%s", overrides));
    for (size_t i = 0; i < sizeof overridden / sizeof overridden[0]; i++)
        must_have(dig(d, overridden[i].question), overridden[i].wanted);
    ck_assert(!receive(ask(d, "x.scanner.example", TYPE_A), 200).came);
    ck_assert_uint_eq(responder_asked(server, "www.example.net"), 1);
    ck_assert_uint_eq(responder_asked(server, "good.ads.example"), 1);
    ck_assert_uint_eq(responder_asked(server, NULL), 3);
    responder_stop(server);
}
END_TEST

START_TEST(with_overrides_alone_the_rest_is_refused)
{
    struct dnsd *d = dnsd_start("-poison %s", write_file("poison.conf", "%s", overrides));
    must_have(dig(d, "+short router.lan"), "192.168.1.1\n");
    must_have(dig(d, "www.example.com"), "status: REFUSED");
    must_have(dig(d, "old.example A"), "www.example.net."); /* as far as it is known here */
}
END_TEST

START_TEST(names_of_this_machine_and_network_are_not_forwarded)
{
    static const char *const names[] = {"localhost", "a.localhost", "printer", "nas.local",
        "abc.onion", "x.invalid", "y.test", "fritz.home.arpa", "4.3.2.10.in-addr.arpa"};
    server = responder_start(answer, NULL);
    struct dnsd *d = dnsd_start("-forward %s", responder_at(server));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert(resolve(d, names[i], TYPE_A).came);
    ck_assert_uint_eq(responder_asked(server, NULL), 0);
    must_have(dig(d, "+short localhost"), "127.0.0.1\n");
    responder_stop(server);
}
END_TEST

/* ---- addresses ------------------------------------------------------------------------------- */

START_TEST(a_reply_leaves_from_the_address_that_was_asked)
{
    server = responder_start(answer, NULL);
    struct dnsd *d = dnsd_start("-forward %s -listen 0.0.0.0", responder_at(server));
    const char *const asked[] = {"127.0.0.2", "127.0.0.1", d->address};
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        for (int tcp = 0; tcp < 2; tcp++) {
            struct output o = run("dig @%s -p %u %s a%zu.example.com", asked[i], (unsigned)d->port,
                tcp ? "+tcp" : "", i);
            must_have(o.text, "192.0.2.1\n");
            must_have(o.text, text("SERVER: %s#%u", asked[i], (unsigned)d->port));
        }
    }
    responder_stop(server);
}
END_TEST

static bool has_ipv6(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return has;
}

START_TEST(ipv6_is_served)
{
    if (!has_ipv6()) {
        printf("skipped: this machine has no IPv6\n");
        return;
    }
    server = responder_start(answer, NULL);
    const char *at[] = {"-listen ::1", "-listen ::", "-listen :: -listen 0.0.0.0"};
    for (size_t i = 0; i < 3; i++) {
        struct dnsd *d = dnsd_start("-forward %s %s", responder_at(server), at[i]);
        const char *port = text("-p %u", (unsigned)d->port);
        must_have(run("dig @::1 %s www.example.com", port).text, "192.0.2.1\n");
        must_have(run("dig @::1 %s +tcp www.example.com", port).text, "192.0.2.1\n");
        struct output o = run("dig @127.0.0.1 %s +tries=1 +time=1 www.example.com", port);
        if (i == 2)
            must_have(o.text, "192.0.2.1\n");
        else
            must_lack(o.text, "status:"); /* :: is all IPv6 addresses, and no others */
    }
    responder_stop(server);
}
END_TEST

START_TEST(who_is_not_allowed_gets_no_answer)
{
    server = responder_start(answer, NULL);
    struct dnsd *d = dnsd_start(
        "-forward %s -listen 0.0.0.0 -allow 127.0.0.5/32 -verbose", responder_at(server));
    for (int tcp = 0; tcp < 2; tcp++) {
        const char *how = text("%s +tries=1 +time=1 -p %u", tcp ? "+tcp" : "", (unsigned)d->port);
        struct output o = run("dig -b 127.0.0.5 @127.0.0.1 %s www.example.com", how);
        must_have(o.text, "192.0.2.1\n");
        o = run("dig -b 127.0.0.1 @127.0.0.1 %s www.example.com", how);
        must_lack(o.text, "status:");
        ck_assert_int_ne(o.code, 0);
    }
    dnsd_await(d, "debug: 127.0.0.1 is not served (-allow)");
    dnsd_await(d, "debug: refused a TCP connection from 127.0.0.1: it is not served (-allow)");
    responder_stop(server);
}
END_TEST

/* ---- streams --------------------------------------------------------------------------------- */

static size_t put_framed(uint8_t *at, uint8_t id, const char *label)
{
    const uint8_t header[] = {0, 0, 0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    const uint8_t tail[] = {3, 'l', 'a', 'b', 0, 0, 1, 0, 1};
    size_t n = strlen(label), len = sizeof header;
    memcpy(at, header, len);
    at[len++] = (uint8_t)n;
    memcpy(at + len, label, n);
    memcpy(at + len + n, tail, sizeof tail);
    len += n + sizeof tail;
    at[1] = (uint8_t)(len - 2);
    return len;
}

static void read_whole(int fd, uint8_t *at, size_t len)
{
    ck_assert_int_eq(recv(fd, at, len, MSG_WAITALL), (ssize_t)len);
}

/* RFC 7766 6.2.1.1: what is ready first leaves first. */
START_TEST(pipelined_questions_are_answered_as_answers_come)
{
    uint8_t out[256], in[512];
    struct sockaddr_in to = {.sin_family = AF_INET};
    server = responder_start(answer, NULL);
    struct dnsd *d = dnsd_start("-forward %s", responder_at(server));
    to.sin_port = htons(d->port);
    inet_pton(AF_INET, d->address, &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    size_t len = put_framed(out, 1, "slow");
    len += put_framed(out + len, 2, "fast");
    ck_assert_int_eq(send(fd, out, len, 0), (ssize_t)len);
    for (uint8_t expected = 2; expected >= 1; expected--) {
        read_whole(fd, in, 2);
        read_whole(fd, in + 2, (size_t)in[0] << 8 | in[1]);
        ck_assert_uint_eq(in[3], expected);
        ck_assert_uint_eq(in[5] & 15, NOERROR);
    }
    close(fd);
    responder_stop(server);
}
END_TEST

/* ---- query log and statistics ---------------------------------------------------------------- */

START_TEST(the_query_log_has_a_line_for_each_question)
{
    struct stat st;
    const char *log = path_of("queries");
    server = responder_start(answer, NULL);
    struct dnsd *d = dnsd_start("-forward %s -poison %s -query-log %s", responder_at(server),
        write_file("poison.conf", "%s", overrides), log);
    resolve(d, "www.example.com", TYPE_A);
    resolve(d, "WWW.example.com", TYPE_A);
    resolve(d, "www.example.com", TYPE_AAAA);
    resolve(d, "router.lan", TYPE_A);
    resolve(d, "localhost", TYPE_A);
    resolve(d, "a b\n\\c.example.com", TYPE_A);
    dig(d, "+tcp www.example.com TYPE65280");
    dig(d, "ch txt version.bind");
    dig(d, "+norecurse www.example.com");
    ck_assert_int_eq(dnsd_stop(d), 0);
    const char *lines = read_file(log);
    const char *from = "127.0.0.1";
    must_have(lines, text("Z %s udp www.example.com A upstream NOERROR ", from));
    must_have(lines, text("Z %s udp WWW.example.com A cache NOERROR ", from));
    must_have(lines, text("Z %s udp www.example.com AAAA upstream NOERROR ", from));
    must_have(lines, text("Z %s udp router.lan A override NOERROR ", from));
    must_have(lines, text("Z %s udp localhost A special NOERROR ", from));
    must_have(lines, text("Z %s udp a\\032b\\010\\092c.example.com A upstream NOERROR ", from));
    must_have(lines, text("Z %s tcp www.example.com TYPE65280 upstream NOERROR ", from));
    must_have(lines, text("Z %s udp version.bind TXT chaos NOERROR ", from));
    must_have(lines, text("Z %s udp www.example.com A rejected REFUSED ", from));
    ck_assert_uint_eq(count_of(lines, "\n"), 9);
    ck_assert_int_eq(stat(log, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    responder_stop(server);
}
END_TEST

START_TEST(the_query_log_can_be_rotated)
{
    const char *log = path_of("queries"), *old = path_of("queries.1");
    struct dnsd *d = dnsd_start_as_root("-poison %s -query-log %s",
        write_file("poison.conf", "a.lan A 192.0.2.1\nb.lan A 192.0.2.1\n"), log);
    resolve(d, "a.lan", TYPE_A);
    ck_assert_int_eq(rename(log, old), 0);
    dnsd_reload(d);
    resolve(d, "b.lan", TYPE_A);
    ck_assert_int_eq(dnsd_stop(d), 0);
    must_have(read_file(old), " a.lan ");
    must_lack(read_file(old), " b.lan ");
    must_have(read_file(log), " b.lan ");
}
END_TEST

/* SIGPIPE would be the end of dnsd, too. */
START_TEST(a_reader_of_the_query_log_that_goes_costs_lines_and_nothing_else)
{
    const char *log = path_of("pipe");
    ck_assert_int_eq(mkfifo(log, 0600), 0);
    ck_assert_int_eq(chmod(log, 0666), 0);
    int reader = open(log, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(reader, 0);
    struct dnsd *d = dnsd_start(
        "-poison %s -query-log %s", write_file("poison.conf", "a.lan A 192.0.2.1\n"), log);
    ck_assert(resolve(d, "a.lan", TYPE_A).came);
    close(reader);
    ck_assert(resolve(d, "a.lan", TYPE_A).came);
    dnsd_await(d, "Broken pipe; lines are left out until that is over");
    ck_assert(resolve(d, "a.lan", TYPE_A).came);
}
END_TEST

START_TEST(sigusr1_logs_the_statistics)
{
    server = responder_start(answer, NULL);
    struct dnsd *d = dnsd_start("-forward %s -predict", responder_at(server));
    resolve(d, "www.example.com", TYPE_A);
    resolve(d, "www.example.com", TYPE_A);
    dig(d, "+tcp www.example.com");
    const char *line = dnsd_statistic(d, "questions: ");
    must_have(line, "questions: 2 over UDP, 1 over TCP; 0 waiting");
    must_have(dnsd_await(d, "answered from: "), "cache 2, stale 0, upstream 1");
    must_have(dnsd_await(d, "cache: "), "cache: 1 answers");
    must_have(dnsd_await(d, "upstream: "), "upstream: 1 questions, 0 of them prefetches");
    must_have(dnsd_await(d, "upstream messages: "), "1 over UDP, 0 over TCP");
    must_have(
        dnsd_await(d, "server "), text("server %s: 1 asked, 1 answered", responder_at(server)));
    must_have(dnsd_await(d, "prediction: "), "prediction: 0 prefetches for 3 questions");
    responder_stop(server);
}
END_TEST

START_TEST(class_ch_tells_this_machine_about_dnsd)
{
    char host[256] = "";
    server = responder_start(answer, NULL);
    struct dnsd *d = dnsd_start("-forward %s", responder_at(server));
    resolve(d, "www.example.com", TYPE_A);
    resolve(d, "www.example.com", TYPE_A);
    must_have(dig(d, "+short ch txt version.bind"), "\"dnsd ");
    ck_assert_int_eq(gethostname(host, sizeof host - 1), 0);
    must_have(dig(d, "+short ch txt hostname.bind"), host);
    must_have(dig(d, "+short ch txt hits.bind"), "\"1\"");
    must_have(dig(d, "+short ch txt misses.bind"), "\"1\"");
    must_have(dig(d, "+short ch txt insertions.bind"), "\"1\"");
    must_have(dig(d, "+short ch txt evictions.bind"), "\"0\"");
    must_have(dig(d, "+short ch txt cachesize.bind"), "\"67108864\"");
    must_have(dig(d, "ch txt nothing.bind"), "status: REFUSED");
    ck_assert_uint_eq(responder_asked(server, NULL), 1);
    responder_stop(server);
}
END_TEST

/* An address of this machine that is not loopback, or NULL. */
static const char *outer_address(void)
{
    struct ifaddrs *list;
    const char *found = NULL;
    char shown[INET_ADDRSTRLEN];
    if (getifaddrs(&list) != 0)
        return NULL;
    for (const struct ifaddrs *i = list; i != NULL && found == NULL; i = i->ifa_next) {
        if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET)
            continue;
        struct sockaddr_in a;
        memcpy(&a, i->ifa_addr, sizeof a);
        if (ntohl(a.sin_addr.s_addr) >> 24 != 127)
            found = text("%s", inet_ntop(AF_INET, &a.sin_addr, shown, sizeof shown));
    }
    freeifaddrs(list);
    return found;
}

START_TEST(class_ch_tells_others_nothing)
{
    const char *address = outer_address();
    if (address == NULL) {
        printf("skipped: this machine has no address but loopback\n");
        return;
    }
    server = responder_start(answer, NULL);
    struct dnsd *d =
        dnsd_start("-forward %s -listen 0.0.0.0 -allow 0.0.0.0/0", responder_at(server));
    d->address = address;
    must_have(dig(d, "www.example.com"), "192.0.2.1\n");
    must_have(dig(d, "ch txt version.bind"), "status: REFUSED");
    responder_stop(server);
}
END_TEST

/* ---- what is told of trouble ----------------------------------------------------------------- */

static _Atomic bool mute;

static void answer_unless_mute(const struct asked *q, void *ctx)
{
    if (!mute)
        answer(q, ctx);
}

static void ask_four(const struct dnsd *d, const char *label)
{
    struct question q[4];
    for (unsigned i = 0; i < 4; i++)
        q[i] = ask(d, text("%s%u.example.com", label, i), TYPE_A);
    for (unsigned i = 0; i < 4; i++)
        receive(q[i], WAIT_MS);
}

START_TEST(a_dead_server_is_logged_once_and_so_is_its_return)
{
    mute = true;
    server = responder_start(answer_unless_mute, NULL);
    struct dnsd *d = dnsd_start("-forward %s", responder_at(server));
    ask_four(d, "dead");
    dnsd_await(d, text("warning: server %s does not answer (4 questions in a row); it is left "
                       "alone and probed",
                      responder_at(server)));
    ask_four(d, "still");
    mute = false;
    ask_four(d, "again");
    dnsd_await(d, text("server %s answers again", responder_at(server)));
    ask_four(d, "well");
    ck_assert_int_eq(dnsd_stop(d), 0);
    ck_assert_uint_eq(count_of(read_file(d->log), " does not answer "), 1);
    ck_assert_uint_eq(count_of(read_file(d->log), " answers again"), 1);
    must_lack(read_file(d->log), "example.com"); /* names are nobody's business */
    responder_stop(server);
}
END_TEST

START_TEST(where_no_server_is_the_log_says_so_and_verbose_says_for_whom)
{
    unsigned port = free_port("127.0.0.1");
    struct dnsd *d = dnsd_start("-forward 127.0.0.1:%u -verbose", port);
    ck_assert_uint_eq(resolve(d, "www.example.com", TYPE_A).rcode, SERVFAIL);
    ck_assert_int_eq(dnsd_stop(d), 0);
    const char *log = read_file(d->log);
    must_have(
        log, text("warning: server 127.0.0.1:%u: nobody is there (connection refused)", port));
    must_have(log, "debug: 127.0.0.1 asked www.example.com A: SERVFAIL after ");
    must_have(log, text("refused by the network or by server 127.0.0.1:%u", port));
}
END_TEST

static void answer_from_within(const struct asked *q, void *ctx)
{
    (void)ctx;
    reply_a(q, 0, 300, "192.168.1.1");
}

START_TEST(an_answer_with_a_private_address_is_refused_and_logged)
{
    server = responder_start(answer_from_within, NULL);
    struct dnsd *d = dnsd_start("-forward %s -rebind-protect -rebind-allow office.example.com "
                                "-verbose",
        responder_at(server));
    const char *evil = dig(d, "evil.example.com A");
    must_have(evil, "status: NOERROR");
    must_have(evil, "ANSWER: 0");
    must_have(evil, "EDE: 15 (Blocked)");
    dnsd_await(d, "warning: an answer with private addresses was refused");
    dnsd_await(d, "evil.example.com A: its answer gave private addresses");
    must_have(dig(d, "+short www.office.example.com A"), "192.168.1.1\n");
    responder_stop(server);
}
END_TEST

#define CIRCLES 3

/* Two that forward to each other: one asks once, and the other three times. */
START_TEST(a_loop_of_forwarders_ends_in_time_in_four_messages_and_is_logged)
{
    uint16_t port = free_port("127.0.0.1");
    struct dnsd *a = dnsd_start("-forward 127.0.0.1:%u", (unsigned)port);
    struct dnsd *b = dnsd_start(
        "-listen 127.0.0.1:%u -forward %s:%u", (unsigned)port, a->address, (unsigned)a->port);
    struct question q[CIRCLES];
    for (unsigned i = 0; i < CIRCLES; i++)
        q[i] = ask(a, text("www%u.example.com", i), TYPE_A);
    for (unsigned i = 0; i < CIRCLES; i++) {
        struct reply r = receive(q[i], WAIT_MS);
        ck_assert(r.came);
        ck_assert_uint_eq(r.rcode, SERVFAIL);
        ck_assert_uint_le(r.took_ms, harness_slow() ? 8000 : 5000);
    }
    dnsd_await(a, text("warning: server 127.0.0.1:%u seems to forward to dnsd", (unsigned)port));
    unsigned long n_a = dnsd_figure(a, "upstream messages: ");
    unsigned long n_b = dnsd_figure(b, "upstream messages: ");
    must_have(dnsd_statistic(a, "upstream messages: "), " over UDP, 0 over TCP");
    must_have(dnsd_statistic(b, "upstream messages: "), " over UDP, 0 over TCP");
    ck_assert_uint_ge(n_b, CIRCLES);
    ck_assert_uint_le(n_a + n_b, CIRCLES * (harness_slow() ? 6 : 4));
    ck_assert_int_eq(dnsd_stop(a), 0);
    ck_assert_int_eq(dnsd_stop(b), 0);
}
END_TEST

START_TEST(listeners_side_by_side_share_a_port)
{
    unsigned port = free_port("0.0.0.0");
    struct dnsd *d = dnsd_start("-forward 192.0.2.1 -listen %s:%u -listen 127.0.0.1:%u "
                                "-port %u",
        own_address(), port, port, port);
    dnsd_await(d, text("listening on 127.0.0.1:%u", port));
}
END_TEST

START_TEST(verbose_tells_which_files_and_servers_and_who_it_became)
{
    const char *learned = path_of("learned"), *resolv = path_of("resolv.conf");
    write_file("resolv.conf", "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
    for (int start = 0; start < 2; start++) {
        struct dnsd *d = dnsd_start_as_root(
            "-forward -resolv-file %s -predict-file %s -predict -verbose", resolv, learned);
        ck_assert_int_eq(dnsd_stop(d), 0);
        const char *log = read_file(d->log);
        must_have(log, text("debug: %s read: 2 servers", resolv));
        must_have(log, text("debug: 0 dependencies of 0 triggers saved to %s", learned));
        if (start == 1)
            must_have(log, text("debug: 0 dependencies of 0 triggers loaded from %s", learned));
        if (getuid() == 0)
            must_have(log, "debug: gave up root: now user ");
    }
}
END_TEST

START_TEST(a_dump_is_told_with_its_file)
{
    const char *path = path_of("learned.dot");
    struct dnsd *d = dnsd_start("-forward 192.0.2.1 -predict -predict-dump %s", path);
    dnsd_statistic(d, "questions: ");
    dnsd_await(d, text("dumped to %s and %s.tsv", path, path));
}
END_TEST

/* As some supervisors start their programs. */
START_TEST(a_dump_follows_a_dump_where_sigchld_came_ignored)
{
    const char *path = path_of("learned.dot");
    signal(SIGCHLD, SIG_IGN);
    struct dnsd *d = dnsd_start("-forward 192.0.2.1 -predict -predict-dump %s", path);
    signal(SIGCHLD, SIG_DFL);
    for (int i = 0; i < 2; i++) {
        dnsd_statistic(d, "questions: ");
        dnsd_await(d, text("dumped to %s", path));
    }
}
END_TEST

/* ---- root ------------------------------------------------------------------------------------ */

START_TEST(root_is_given_up_for_good)
{
    server = responder_start(answer, NULL);
    const char *address = own_address();
    struct dnsd *d = getuid() == 0 ? dnsd_start_as_root(
                                         "-forward %s -listen %s:53", responder_at(server), address)
                                   : dnsd_start("-forward %s", responder_at(server));
    const char *status = read_file(text("/proc/%d/status", (int)d->pid));
    must_lack(status, "\nUid:\t0\t");
    must_lack(status, "\nGid:\t0\t");
    must_have(status, "\nCapEff:\t0000000000000000\n");
    must_have(status, "\nCapPrm:\t0000000000000000\n");
    must_have(status, "\nCapInh:\t0000000000000000\n");
    must_have(status, "\nCapAmb:\t0000000000000000\n");
    must_have(status, "\nNoNewPrivs:\t1\n");
    if (getuid() == 0)
        d->port = 53;
    ck_assert_uint_eq(resolve(d, "www.example.com", TYPE_A).rcode, NOERROR);
    dnsd_reload(d);
    ck_assert_uint_eq(resolve(d, "new.example.com", TYPE_A).rcode, NOERROR);
    responder_stop(server);
}
END_TEST

START_TEST(a_file_that_only_root_may_read_stays_as_it_was_at_the_start)
{
    if (getuid() != 0) {
        printf("skipped: this is for root\n");
        return;
    }
    const char *poison = write_file("poison.conf", "a.lan A 192.0.2.1\n");
    ck_assert_int_eq(chmod(poison, 0600), 0);
    struct dnsd *d = dnsd_start_as_root("-poison %s", poison);
    write_file("poison.conf", "a.lan A 192.0.2.2\n");
    dnsd_reload(d);
    dnsd_await(d, text("%s: Permission denied", poison));
    dnsd_await(d, "nothing was changed");
    ck_assert_str_eq(resolve(d, "a.lan", TYPE_A).address, "192.0.2.1");
}
END_TEST

/* Whoever may write it must not be able to feed root. */
START_TEST(the_predict_file_is_read_by_the_user_and_not_by_root)
{
    if (getuid() != 0) {
        printf("skipped: this is for root\n");
        return;
    }
    const char *learned = write_file("learned", "nothing that was saved");
    ck_assert_int_eq(chmod(learned, 0600), 0);
    struct dnsd *d = dnsd_start_as_root("-forward 192.0.2.1 -predict -predict-file %s", learned);
    dnsd_await(d, text("%s: Permission denied; nothing is known at first", learned));
}
END_TEST

START_TEST(a_user_that_does_not_exist_is_named)
{
    struct output o = run_dnsd("-forward 192.0.2.1 -user no-such-user -listen %s -port %u",
        own_address(), (unsigned)free_port(own_address()));
    must_have(o.text, "-user no-such-user: there is no such user");
    ck_assert_int_eq(o.code, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/service");
    TCase *c = harness_case(s, "service");
    tcase_add_test(c, overrides_answer_and_the_rest_is_forwarded);
    tcase_add_test(c, with_overrides_alone_the_rest_is_refused);
    tcase_add_test(c, names_of_this_machine_and_network_are_not_forwarded);
    tcase_add_test(c, a_reply_leaves_from_the_address_that_was_asked);
    tcase_add_test(c, ipv6_is_served);
    tcase_add_test(c, who_is_not_allowed_gets_no_answer);
    tcase_add_test(c, pipelined_questions_are_answered_as_answers_come);
    tcase_add_test(c, the_query_log_has_a_line_for_each_question);
    tcase_add_test(c, the_query_log_can_be_rotated);
    tcase_add_test(c, a_reader_of_the_query_log_that_goes_costs_lines_and_nothing_else);
    tcase_add_test(c, sigusr1_logs_the_statistics);
    tcase_add_test(c, class_ch_tells_this_machine_about_dnsd);
    tcase_add_test(c, class_ch_tells_others_nothing);
    tcase_add_test(c, a_dead_server_is_logged_once_and_so_is_its_return);
    tcase_add_test(c, where_no_server_is_the_log_says_so_and_verbose_says_for_whom);
    tcase_add_test(c, an_answer_with_a_private_address_is_refused_and_logged);
    tcase_add_test(c, a_loop_of_forwarders_ends_in_time_in_four_messages_and_is_logged);
    tcase_add_test(c, listeners_side_by_side_share_a_port);
    tcase_add_test(c, verbose_tells_which_files_and_servers_and_who_it_became);
    tcase_add_test(c, a_dump_is_told_with_its_file);
    tcase_add_test(c, a_dump_follows_a_dump_where_sigchld_came_ignored);
    tcase_add_test(c, root_is_given_up_for_good);
    tcase_add_test(c, a_file_that_only_root_may_read_stays_as_it_was_at_the_start);
    tcase_add_test(c, the_predict_file_is_read_by_the_user_and_not_by_root);
    tcase_add_test(c, a_user_that_does_not_exist_is_named);
    return harness_run(s);
}
