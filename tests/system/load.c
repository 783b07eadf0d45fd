/* load.c: a hundred thousand names through dnsd and nsd, and reloads while questions pour in.
 * Knows dnsperf's report and the statistics in the log; never dnsd's insides. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_NAMES      100000
#define N_NAMES_SLOW 20000

/* A file with a line a name, behind what it starts with. */
static const char *write_names(const char *file, const char *start, const char *line, unsigned n)
{
    const char *path = write_file(file, "%s", start);
    FILE *f = fopen(path, "a");
    ck_assert_ptr_nonnull(f);
    for (unsigned i = 0; i < n; i++)
        fprintf(f, "n%u.example.org%s", i, line);
    ck_assert_int_eq(fclose(f), 0);
    return path;
}

static struct nsd *serve_names(unsigned n)
{
    return nsd_start("example.org",
        write_names("zone",
            "$TTL 3600\n"
            "example.org. SOA ns.example.org. host.example.org. 1 3600 600 86400 60\n"
            "example.org. NS ns.example.org.\nns.example.org. A 192.0.2.53\n"
            "$ORIGIN .\n",
            " A 192.0.2.1\n", n));
}

static struct output load(const struct dnsd *d, const char *questions, const char *options)
{
    return run("dnsperf -s %s -p %u -d %s %s", d->address, (unsigned)d->port, questions, options);
}

static void must_be_complete(const struct output *o, unsigned n)
{
    must_have(o->text, "Queries lost:         0");
    must_have(o->text, text("NOERROR %u (100.00%%)", n));
}

START_TEST(a_hundred_thousand_names_twice_and_the_second_pass_asks_nobody)
{
    unsigned n = harness_slow() ? N_NAMES_SLOW : N_NAMES;
    const struct nsd *nsd = serve_names(n);
    const char *questions = write_names("questions", "", " A\n", n);
    struct dnsd *d = dnsd_start("-forward %s:%u", nsd->address, (unsigned)nsd->port);

    struct output o = load(d, questions, "-n 1");
    must_be_complete(&o, n);
    const char *asked = dnsd_statistic(d, "upstream messages: ");
    ck_assert_uint_ge(strtoul(asked + strlen("upstream messages: "), NULL, 10), n);

    o = load(d, questions, "-n 1");
    must_be_complete(&o, n);
    ck_assert_str_eq(dnsd_statistic(d, "upstream messages: "), asked);
    ck_assert_uint_ge(dnsd_figure(d, "answered from: cache "), n);
}
END_TEST

START_TEST(twenty_reloads_under_load_lose_no_answer)
{
    const struct nsd *nsd = serve_names(1000);
    const char *questions = write_names("questions", "", " A\n", 1000);
    const char *poison = write_file("poison", "n1.example.org A 192.0.2.9\n");
    struct dnsd *d =
        dnsd_start("-forward %s:%u -poison %s -predict", nsd->address, (unsigned)nsd->port, poison);
    struct running udp = run_start(
        "dnsperf -s %s -p %u -d %s -l 2 -Q 5000 -q 50", d->address, (unsigned)d->port, questions);
    struct running tcp = run_start("dnsperf -m tcp -s %s -p %u -d %s -l 2 -Q 2000 -q 50 -c 5",
        d->address, (unsigned)d->port, questions);
    for (int i = 0; i < 20; i++) {
        write_file("poison", "n1.example.org A 192.0.2.%d\n%s", 100 + i, i % 5 == 4 ? "?\n" : "");
        dnsd_reload(d);
        pause_ms(50);
    }
    must_have(run_finish(udp).text, "Queries lost:         0");
    must_have(run_finish(tcp).text, "Queries lost:         0");
    ck_assert_uint_eq(count_of(read_file(d->log), " reloaded\n"), 16);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/load");
    TCase *c = harness_case(s, "load");
    tcase_add_test(c, a_hundred_thousand_names_twice_and_the_second_pass_asks_nobody);
    tcase_add_test(c, twenty_reloads_under_load_lose_no_answer);
    return harness_run(s);
}
