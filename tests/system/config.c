/* config.c: what dnsd says to mistakes, how it exits, and what takes effect while it runs.
 * Knows files, options and messages; never dnsd's insides. */
#include "peers.h"

#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void answer_one(const struct asked *q, void *ctx)
{
    (void)ctx;
    reply_a(q, 0, 0, "192.0.2.1");
}

static void answer_two(const struct asked *q, void *ctx)
{
    (void)ctx;
    reply_a(q, 0, 0, "192.0.2.2");
}

static const char *address_of(const struct dnsd *d, const char *name)
{
    struct reply r = resolve(d, name, TYPE_A);
    return text("%s", r.address);
}

/* ---- mistakes -------------------------------------------------------------------------------- */

static const struct {
    const char *options;
    const char *said;
} mistakes[] = {
    {"-foo", "dnsd: -foo: no such option; dnsd -help lists them all\n"},
    {"-forwrad 192.0.2.1", "-forwrad 192.0.2.1: no such option; did you mean -forward?"},
    {"forward", "forward: not an option: expected a dash and a name"},
    {"-forward 192.0.2", "-forward 192.0.2: expected the address of a server, such as 9.9.9.9"},
    {"-forward 0.0.0.0", "-forward 0.0.0.0: expected the address of a server"},
    {"-forward -port 0", "-port 0: expected a port from 1 to 65535"},
    {"-forward -port", "-port: no value: expected a port from 1 to 65535"},
    {"-forward -listen nowhere", "-listen nowhere: expected an address to listen at"},
    {"-forward -allow 10.0.0.0/33", "-allow 10.0.0.0/33: expected a network"},
    {"-forward -cache-size 1", "-cache-size 1: expected a size from 256K to 64G"},
    {"-predict-window 5x", "-predict-window 5x: expected a duration from 10ms to 1h"},
    {"-predict -predict-scope all", "-predict-scope all: expected client or global"},
    {"-predict -predict-score 9", "-predict-score 9: expected no more than 200% / predict-conf"},
    {"-predict-rules seed -predict-score 9 -predict-cap 3",
        "-predict-score 9: expected no more than "
        "predict-cap"},
    {"-forward -min-ttl 1h -max-ttl 1m", "-min-ttl 1h: expected no more than max-ttl"},
    {"-forward -user no:such", "-user no:such: expected the name of a user"},
};
#define N_MISTAKES ((int)(sizeof mistakes / sizeof mistakes[0]))

START_TEST(a_mistake_in_an_option_names_it_and_what_was_expected)
{
    struct output o = run_dnsd("%s", mistakes[_i].options);
    must_have(o.text, mistakes[_i].said);
    ck_assert_int_eq(o.code, 1);
}
END_TEST

START_TEST(every_mistake_in_dnsd_conf_names_its_line)
{
    const char *conf = write_file("dnsd.conf", "forward 192.0.2.1\n"
                                               "port = 53\n"
                                               "bogus 1\n"
                                               "port abc\n"
                                               "# fine\n"
                                               "listen 192.0.2.1 5\n"
                                               "query-log \"abc\n"
                                               "check-config\n"
                                               "cache-size 1K\n"
                                               "min-ttl 7d\n");
    struct output o = run_dnsd("-config %s -foo", conf);
    must_have(o.text, "dnsd: -foo: no such option");
    must_have(o.text, text("dnsd: %s:2: port: expected a name, a blank and a value", conf));
    must_have(o.text, text("dnsd: %s:3: bogus 1: no such option", conf));
    must_have(o.text, text("dnsd: %s:4: port abc: expected a port from 1 to 65535", conf));
    must_have(o.text, text("dnsd: %s:6: listen 192.0.2.1: more than one value", conf));
    must_have(o.text, text("dnsd: %s:7: query-log \"abc: a quote that does not end", conf));
    must_have(o.text, text("dnsd: %s:8: check-config: an option for the command line only", conf));
    must_have(o.text, text("dnsd: %s:9: cache-size 1K: expected a size from 256K", conf));
    must_have(o.text, text("dnsd: %s:10: min-ttl 7d: expected", conf));
    must_lack(o.text, ":1:");
    must_lack(o.text, ":5:");
    ck_assert_int_eq(o.code, 1);
}
END_TEST

START_TEST(every_mistake_in_poison_conf_names_its_line)
{
    const char *poison = write_file("poison.conf", "a.lan A 192.0.2\n"
                                                   "b.lan MX x\n"
                                                   "*.*.lan A 192.0.2.1\n"
                                                   "; fine\n"
                                                   "c.lan nxdomain extra\n"
                                                   "d.lan\n"
                                                   "e.lan A 192.0.2.1\n"
                                                   "e.lan CNAME f.lan.\n");
    struct output o = run_dnsd("-poison %s", poison);
    must_have(o.text, text("dnsd: %s:1: 192.0.2: not an IPv4 address\n", poison));
    must_have(o.text, text("dnsd: %s:2: x: expected a number\n", poison));
    must_have(o.text, text("dnsd: %s:3: *.*.lan: an asterisk stands for", poison));
    must_have(o.text, text("dnsd: %s:5: extra: nothing may follow a verdict\n", poison));
    must_have(o.text, text("dnsd: %s:6: d.lan: expected a type, an address or one of", poison));
    must_have(o.text, text("dnsd: %s:8: e.lan: has other records", poison));
    ck_assert_uint_eq(count_of(o.text, "\n"), 6);
    ck_assert_int_eq(o.code, 1);
}
END_TEST

START_TEST(an_address_in_use_is_named_and_exits_with_2)
{
    struct dnsd *d = dnsd_start("-forward 192.0.2.1");
    struct output o =
        run_dnsd("-forward 192.0.2.1 -listen %s -port %u", d->address, (unsigned)d->port);
    must_have(o.text, text("cannot listen on %s:%u", d->address, (unsigned)d->port));
    must_have(o.text, "in use");
    ck_assert_int_eq(o.code, 2);
    o = run_dnsd("-forward 192.0.2.1 -listen 203.0.113.5 -port %u", (unsigned)d->port);
    must_have(o.text, text("cannot listen on 203.0.113.5:%u", (unsigned)d->port));
    ck_assert_int_eq(o.code, 2);
}
END_TEST

START_TEST(without_a_mode_it_says_so_and_exits_with_2)
{
    struct output o = run_dnsd("-port 5353");
    must_have(o.text, "nothing to do: give -forward, -predict or -poison FILE");
    ck_assert_int_eq(o.code, 2);
}
END_TEST

/* The service manager tries again after a 2. */
START_TEST(a_file_without_a_mode_exits_with_1)
{
    const char *conf = write_file("dnsd.conf", "port 5353\npredict no\n");
    struct output o = run_dnsd("-config %s", conf);
    must_have(o.text, "nothing to do: give -forward, -predict or -poison FILE");
    ck_assert_int_eq(o.code, 1);
    ck_assert_int_eq(run_dnsd("-check-config -config %s", conf).code, 1);
}
END_TEST

START_TEST(a_file_that_is_missing_is_named_and_exits_with_3)
{
    const char *none = path_of("none/file");
    struct output o = run_dnsd("-config %s", none);
    must_have(o.text, text("%s: No such file or directory", none));
    ck_assert_int_eq(o.code, 3);
    o = run_dnsd("-poison %s", none);
    must_have(o.text, text("%s: No such file or directory", none));
    ck_assert_int_eq(o.code, 3);
    o = run_dnsd("-forward 192.0.2.1 -query-log %s -listen %s -port %u", none, own_address(),
        (unsigned)free_port(own_address()));
    must_have(o.text, text("%s: No such file or directory", none));
    ck_assert_int_eq(o.code, 3);
}
END_TEST

START_TEST(a_server_that_is_dnsd_itself_is_refused)
{
    unsigned port = free_port(own_address());
    struct output o =
        run_dnsd("-listen %s:%u -forward %s:%u", own_address(), port, own_address(), port);
    must_have(o.text, "dnsd itself");
    ck_assert_int_eq(o.code, 1);
    /* Also behind a wildcard, whose port must be free at all addresses. */
    port = free_port("0.0.0.0");
    o = run_dnsd("-listen 0.0.0.0 -port %u -forward %s:%u", port, own_address(), port);
    must_have(o.text, "dnsd itself");
    ck_assert_int_eq(o.code, 1);
    /* The same port of another machine is another server. */
    struct dnsd *d = dnsd_start("-listen 0.0.0.0 -port %u -forward 192.0.2.1:%u", port, port);
    dnsd_await(d, text("forwarding to 192.0.2.1:%u", port));
}
END_TEST

/* ---- what is done without starting ----------------------------------------------------------- */

/* The examples of this tree. */
START_TEST(check_config_starts_nothing)
{
    const char *conf = write_file("example.conf", "%s", read_file("dnsd.conf"));
    const char *poison = write_file("example.poison", "%s", read_file("poison.conf"));
    struct output o = run_dnsd("-check-config -config %s -poison %s", conf, poison);
    ck_assert_msg(
        o.code == 0 && strcmp(o.text, "dnsd: no mistakes\n") == 0, "%d: %s", o.code, o.text);
    o = run_dnsd("-check-config -forward 127.0.0.1 -listen 127.0.0.1:54 -user no.such.user "
                 "-query-log /no/such/log -predict-file /no/such/file");
    must_have(o.text, "-user no.such.user: there is no such user");
    must_have(o.text, "-query-log /no/such/log: No such file or directory");
    must_have(o.text, "-predict-file /no/such/file: No such file or directory");
    ck_assert_int_eq(o.code, 1);
    o = run_dnsd("-check-config -forward -resolv-file /no/such/resolv.conf -user nobody "
                 "-query-log -");
    must_have(o.text, "/no/such/resolv.conf: No such file or directory (there would be no server");
    must_have(o.text, "dnsd: no mistakes\n");
    ck_assert_int_eq(o.code, 0);
    o = run_dnsd("-check-config -forward -poison %s", write_file("p", "a.lan\n"));
    must_have(o.text, "p:1: a.lan: expected");
    ck_assert_int_eq(o.code, 1);
}
END_TEST

START_TEST(version_and_help_are_printed)
{
    struct output o = run_dnsd("-version");
    ck_assert_int_eq(o.code, 0);
    ck_assert_int_eq(strncmp(o.text, "dnsd ", 5), 0);
    o = run_dnsd("--help");
    ck_assert_int_eq(o.code, 0);
    must_have(o.text, "usage: dnsd");
    must_have(o.text, "-predict-window");
}
END_TEST

/* ---- reload ---------------------------------------------------------------------------------- */

START_TEST(overrides_change_on_sighup)
{
    const char *poison = write_file("poison.conf", "a.lan A 192.0.2.1\n");
    struct dnsd *d = dnsd_start("-poison %s", poison);
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.1");
    write_file("poison.conf", "a.lan A 192.0.2.2\nb.lan A 192.0.2.3\n");
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.1");
    dnsd_reload(d);
    dnsd_await(d, "reloaded");
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.2");
    ck_assert_str_eq(address_of(d, "b.lan"), "192.0.2.3");
}
END_TEST

START_TEST(what_takes_a_restart_is_told_and_nothing_else)
{
    unsigned port = free_port(own_address());
    const char *conf =
        write_file("dnsd.conf", "forward 192.0.2.1\nlisten %s:%u\n", own_address(), port);
    struct dnsd *d = dnsd_start("-config %s -listen %s:%u", conf, own_address(), port);
    dnsd_reload(d);
    dnsd_await(d, "reloaded");
    must_lack(read_file(d->log), "restart");
    write_file("dnsd.conf", "forward 192.0.2.1\ncache-size 1M\nquery-log -\n");
    dnsd_reload(d);
    dnsd_await(d, "the new -cache-size takes a restart");
    dnsd_await(d, "the new -query-log takes a restart");
    must_lack(read_file(d->log), "-listen takes");
    dnsd_statistic(d, "questions: ");
    must_have(dnsd_await(d, "memory: at most "), ": cache 64.0,");
}
END_TEST

/* The listeners stand in the file alone: its name keeps the harness from adding one. */
START_TEST(all_that_takes_a_restart_is_told)
{
    if (harness_wrapped()) /* without the sandbox less takes a restart */
        return;
    const char *at = own_address();
    unsigned port = free_port(at);
    const char *conf =
        write_file("with-listen.conf", "forward 192.0.2.1\nlisten %s:%u\n", at, port);
    struct dnsd *d = dnsd_start("-config %s -port %u", conf, port);
    write_file("with-listen.conf",
        "forward 192.0.2.1\nlisten %s:%u\nuser dnsd-other\nsandbox off\npredict yes\n"
        "predict-file /elsewhere/learned\npredict-dump /elsewhere/dump\npredict-save 1m\n",
        at, port + 1);
    dnsd_reload(d);
    dnsd_await(d, "the new -listen takes a restart");
    dnsd_await(d, "the new -user takes a restart");
    dnsd_await(d, "the new -sandbox takes a restart");
    dnsd_await(d, "the new -predict-file takes a restart");
    dnsd_await(d, "the new -predict-dump takes a restart");
    write_file("with-listen.conf", "forward 192.0.2.1\nlisten %s:%u\nlisten %s:%u\n", at, port, at,
        port + 1);
    dnsd_reload(d);
    dnsd_await(d, "the new -listen takes a restart");
    d->address = at;
    d->port = (uint16_t)port;
    ck_assert_uint_eq(resolve(d, "a.local", TYPE_A).rcode, NXDOMAIN);
}
END_TEST

/* As with a hosts file, or a program, in the place of poison.conf. */
START_TEST(of_many_mistakes_in_a_file_twenty_are_told)
{
    static const char five[] = "a oops\nb oops\nc oops\nd oops\ne oops\n";
    const char *lines = text("%s%s%s%s%s", five, five, five, five, five);
    const char *path = write_file("poison.conf", "%s", lines);
    struct output o = run_dnsd("-check-config -forward 192.0.2.1 -poison %s", path);
    ck_assert_int_eq(o.code, 1);
    must_have(o.text, text("%s:20: ", path));
    must_lack(o.text, text("%s:21: ", path));
    must_have(o.text, text("%s: and 5 more mistakes\n", path));
    const char *conf = write_file("dnsd.conf", "%s", lines);
    o = run_dnsd("-check-config -config %s", conf);
    ck_assert_int_eq(o.code, 1);
    must_have(o.text, text("%s: and 5 more mistakes\n", conf));
}
END_TEST

START_TEST(a_reload_with_a_mistake_keeps_the_old_set)
{
    struct responder *one = responder_start(answer_one, NULL);
    struct responder *two = responder_start(answer_two, NULL);
    const char *poison = write_file("poison.conf", "a.lan A 192.0.2.7\n");
    const char *conf =
        write_file("dnsd.conf", "forward %s\npoison %s\n", responder_at(one), poison);
    struct dnsd *d = dnsd_start("-config %s", conf);

    write_file("poison.conf", "a.lan A 192.0.2.8\nb.lan A oops\n");
    dnsd_reload(d);
    dnsd_await(d, text("%s:2: oops: not an IPv4 address", poison));
    dnsd_await(d, "nothing was changed");
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.7");

    /* The overrides are right again, but not the rest: none of it counts. */
    write_file("poison.conf", "a.lan A 192.0.2.9\n");
    write_file("dnsd.conf", "forward %s\npoison %s\nmin-ttl x\n", responder_at(two), poison);
    dnsd_reload(d);
    dnsd_await(d, text("%s:3: min-ttl x: expected a duration", conf));
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.7");
    ck_assert_str_eq(address_of(d, "www.example.com"), "192.0.2.1");

    write_file("dnsd.conf", "forward %s\npoison %s\n", responder_at(two), poison);
    dnsd_reload(d);
    dnsd_await(d, "reloaded");
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.9");
    ck_assert_str_eq(address_of(d, "www.example.com"), "192.0.2.2");
    responder_stop(one);
    responder_stop(two);
}
END_TEST

START_TEST(a_file_that_is_gone_at_a_reload_keeps_the_old_set)
{
    const char *poison = write_file("poison.conf", "a.lan A 192.0.2.7\n");
    struct dnsd *d = dnsd_start("-poison %s", poison);
    ck_assert_int_eq(unlink(poison), 0);
    dnsd_reload(d);
    dnsd_await(d, text("%s: No such file or directory", poison));
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.7");
}
END_TEST

START_TEST(prediction_can_be_turned_on_and_off_by_a_reload)
{
    struct responder *one = responder_start(answer_one, NULL);
    const char *conf = write_file("dnsd.conf", "forward %s\n", responder_at(one));
    struct dnsd *d = dnsd_start("-config %s", conf);
    const char *ask_it =
        text("dig @%s -p %u +short ch txt predict.bind", d->address, (unsigned)d->port);
    must_have(run("%s", ask_it).text, "\"off\"");
    write_file("dnsd.conf", "forward %s\npredict yes\n", responder_at(one));
    dnsd_reload(d);
    ck_assert_str_eq(address_of(d, "www.example.com"), "192.0.2.1");
    must_have(run("%s", ask_it).text, "prefetches 0");
    write_file("dnsd.conf", "forward %s\npredict no\n", responder_at(one));
    dnsd_reload(d);
    ck_assert_str_eq(address_of(d, "www.example.com"), "192.0.2.1");
    must_have(run("%s", ask_it).text, "\"off\"");
    responder_stop(one);
}
END_TEST

/* As NetworkManager and others do it: written beside, renamed. */
static void replace_resolv_conf(const struct responder *r)
{
    const char *from = write_file("resolv.new", "search lan\nnameserver %s\n", responder_at(r));
    ck_assert_int_eq(rename(from, path_of("resolv.conf")), 0);
}

START_TEST(a_change_of_resolv_conf_counts_without_a_signal)
{
    struct responder *one = responder_start(answer_one, NULL);
    struct responder *two = responder_start(answer_two, NULL);
    replace_resolv_conf(one);
    struct dnsd *d = dnsd_start("-forward -resolv-file %s", path_of("resolv.conf"));
    ck_assert_str_eq(address_of(d, "www.example.com"), "192.0.2.1");
    replace_resolv_conf(two);
    dnsd_await(d, "resolv.conf has changed");
    dnsd_await(d, text("forwarding to %s", responder_at(two)));
    ck_assert_str_eq(address_of(d, "www.example.com"), "192.0.2.2");
    write_file("resolv.conf", "nameserver %s\n", responder_at(one)); /* in place */
    dnsd_await(d, text("forwarding to %s", responder_at(one)));
    ck_assert_str_eq(address_of(d, "www.example.com"), "192.0.2.1");
    write_file("resolv.conf", "nameserver %s:%u\nnameserver oops\n", d->address, (unsigned)d->port);
    dnsd_await(d, "oops");
    dnsd_await(d, "is dnsd itself and is left out");
    ck_assert_uint_eq(resolve(d, "www.example.com", TYPE_A).rcode, SERVFAIL);
    responder_stop(one);
    responder_stop(two);
}
END_TEST

START_TEST(a_resolv_conf_that_cannot_be_read_keeps_the_servers)
{
    struct responder *one = responder_start(answer_one, NULL);
    struct responder *two = responder_start(answer_two, NULL);
    replace_resolv_conf(one);
    struct dnsd *d = dnsd_start("-forward -resolv-file %s", path_of("resolv.conf"));
    const char *large = write_file("resolv.large", "%65600s", "#");
    ck_assert_int_eq(rename(large, path_of("resolv.conf")), 0);
    dnsd_await(d, "File too large");
    ck_assert_str_eq(address_of(d, "a.example.com"), "192.0.2.1");
    replace_resolv_conf(two);
    dnsd_await(d, text("forwarding to %s", responder_at(two)));
    ck_assert_str_eq(address_of(d, "b.example.com"), "192.0.2.2");
    responder_stop(one);
    responder_stop(two);
}
END_TEST

START_TEST(a_resolv_conf_that_cannot_be_read_at_the_start_is_told_and_waited_for)
{
    struct responder *one = responder_start(answer_one, NULL);
    const char *large = write_file("resolv.large", "%65600s", "#");
    ck_assert_int_eq(rename(large, path_of("resolv.conf")), 0);
    struct dnsd *d = dnsd_start("-forward -resolv-file %s", path_of("resolv.conf"));
    dnsd_await(d, "File too large; the servers stay as they are");
    dnsd_await(d, "there is no server to forward to");
    ck_assert_uint_eq(resolve(d, "a.example.com", TYPE_A).rcode, SERVFAIL);
    dnsd_reload(d); /* whoever does that wants to know */
    ck_assert_uint_eq(count_of(read_file(d->log), "File too large; the servers stay"), 2);
    replace_resolv_conf(one);
    dnsd_await(d, text("forwarding to %s", responder_at(one)));
    ck_assert_str_eq(address_of(d, "b.example.com"), "192.0.2.1");
    responder_stop(one);
}
END_TEST

/* As at boot, before there is a network. */
START_TEST(a_resolv_conf_that_comes_later_is_found)
{
    struct responder *one = responder_start(answer_one, NULL);
    struct dnsd *d = dnsd_start("-forward -resolv-file %s", path_of("resolv.conf"));
    dnsd_await(d, "resolv.conf: No such file or directory");
    dnsd_await(d, "there is no server to forward to");
    ck_assert_uint_eq(resolve(d, "a.example.com", TYPE_A).rcode, SERVFAIL);
    replace_resolv_conf(one);
    dnsd_await(d, text("forwarding to %s", responder_at(one)));
    ck_assert_str_eq(address_of(d, "b.example.com"), "192.0.2.1");
    responder_stop(one);
}
END_TEST

static void answer_as_validated(const struct asked *q, void *ctx)
{
    static const uint8_t rdata[] = {192, 0, 2, 1};
    uint8_t msg[MESSAGE_MAX];
    (void)ctx;
    size_t len = reply_start(q, NOERROR, msg);
    msg[3] |= 0x20; /* AD */
    reply_send(q, 0, msg, reply_add(msg, len, TYPE_A, 0, rdata, sizeof rdata));
}

/* RFC 6840 5.7: whoever asks with AD wants to know. */
START_TEST(what_a_server_validated_counts_where_resolv_conf_trusts_it)
{
    struct responder *one = responder_start(answer_as_validated, NULL);
    const char *resolv = write_file("resolv.conf", "nameserver %s\n", responder_at(one));
    struct dnsd *d = dnsd_start("-forward -resolv-file %s -verbose", resolv);
    const char *ask_it =
        text("dig @%s -p %u +adflag www.example.com", d->address, (unsigned)d->port);
    must_have(run("%s", ask_it).text, "flags: qr rd ra;");
    write_file("resolv.conf", "nameserver %s\noptions trust-ad\n", responder_at(one));
    dnsd_await(d, "1 servers, trust-ad");
    must_have(run("%s", ask_it).text, "flags: qr rd ra ad;");
    responder_stop(one);
}
END_TEST

/* ---- the machine ----------------------------------------------------------------------------- */

/* It may have twice its share of clients over TCP then. */
START_TEST(descriptors_that_it_may_have_are_taken)
{
    struct rlimit limit;
    if (harness_wrapped())
        return;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 128;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct dnsd *d = dnsd_start("-forward 192.0.2.1");
    const char *limits = read_file(text("/proc/%d/limits", (int)d->pid));
    const char *line = strstr(limits, "Max open files");
    ck_assert_ptr_nonnull(line);
    unsigned long had = strtoul(line + strlen("Max open files"), NULL, 10);
    ck_assert_uint_eq(had, limit.rlim_max < 65536 ? limit.rlim_max : 65536);
}
END_TEST

/* A network of this process alone, with loopback, and without IPv6. */
static bool leave_ipv6(void)
{
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (getuid() != 0 || unshare(CLONE_NEWNET) != 0)
        return false;
    FILE *f = fopen("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w");
    bool off = f != NULL && fputs("1", f) >= 0;
    if (f != NULL)
        off = fclose(f) == 0 && off;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    off = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &up) == 0 && off;
    if (fd >= 0)
        close(fd);
    return off;
}

/* Where nobody said where to listen, it is at both loopback addresses. All ports of this network
 * are free. */
START_TEST(without_ipv6_it_serves_ipv4)
{
    if (!leave_ipv6()) {
        printf("skipped: cannot make a network without IPv6\n");
        return;
    }
    const char *poison = write_file("not-listening.poison", "a.lan A 192.0.2.1\n");
    struct dnsd *d = dnsd_start("-poison %s -port 5311", poison);
    dnsd_await(d, "not listening on ::1: this machine has no IPv6");
    d->address = "127.0.0.1";
    d->port = 5311;
    ck_assert_str_eq(address_of(d, "a.lan"), "192.0.2.1");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/config");
    TCase *c = harness_case(s, "config");
    tcase_add_loop_test(c, a_mistake_in_an_option_names_it_and_what_was_expected, 0, N_MISTAKES);
    tcase_add_test(c, every_mistake_in_dnsd_conf_names_its_line);
    tcase_add_test(c, every_mistake_in_poison_conf_names_its_line);
    tcase_add_test(c, an_address_in_use_is_named_and_exits_with_2);
    tcase_add_test(c, without_a_mode_it_says_so_and_exits_with_2);
    tcase_add_test(c, a_file_without_a_mode_exits_with_1);
    tcase_add_test(c, a_file_that_is_missing_is_named_and_exits_with_3);
    tcase_add_test(c, a_server_that_is_dnsd_itself_is_refused);
    tcase_add_test(c, check_config_starts_nothing);
    tcase_add_test(c, version_and_help_are_printed);
    tcase_add_test(c, overrides_change_on_sighup);
    tcase_add_test(c, what_takes_a_restart_is_told_and_nothing_else);
    tcase_add_test(c, all_that_takes_a_restart_is_told);
    tcase_add_test(c, of_many_mistakes_in_a_file_twenty_are_told);
    tcase_add_test(c, a_reload_with_a_mistake_keeps_the_old_set);
    tcase_add_test(c, a_file_that_is_gone_at_a_reload_keeps_the_old_set);
    tcase_add_test(c, prediction_can_be_turned_on_and_off_by_a_reload);
    tcase_add_test(c, a_change_of_resolv_conf_counts_without_a_signal);
    tcase_add_test(c, a_resolv_conf_that_cannot_be_read_keeps_the_servers);
    tcase_add_test(c, a_resolv_conf_that_cannot_be_read_at_the_start_is_told_and_waited_for);
    tcase_add_test(c, a_resolv_conf_that_comes_later_is_found);
    tcase_add_test(c, what_a_server_validated_counts_where_resolv_conf_trusts_it);
    tcase_add_test(c, descriptors_that_it_may_have_are_taken);
    tcase_add_test(c, without_ipv6_it_serves_ipv4);
    return harness_run(s);
}
