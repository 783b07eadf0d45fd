/* tests/unit/logline.c: lines of traces and query logs as their programs write them, and lines that
 * only look like it; the times in front of them. */
#include "tools/logline.h"

#include "addr.h"
#include "tools/timestamp.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static enum logline_kind reads(enum logline_form form, const char *line, struct logline *out)
{
    memset(out, 0, sizeof *out);
    return logline_read(form, line, strlen(line), out);
}

static void ck_assert_name(const struct logline *l, const char *expected)
{
    char text[WIRE_NAME_TEXT_MAX];
    wire_name_text(l->name, l->name_len, text);
    ck_assert_str_eq(text, expected);
}

static void ck_assert_client(const struct logline *l, const char *expected)
{
    uint8_t id[LOGLINE_CLIENT_LEN];
    struct addr a;
    ck_assert_int_eq(addr_parse(expected, 0, &a), 0);
    addr_client_id(&a, id);
    ck_assert_mem_eq(l->client, id, sizeof id);
}

/* ---- times ----------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    size_t len; /* 0: no time */
    uint64_t at_ms;
    bool has_year, has_fraction;
} times[] = {
    {"1700000000 x", 10, 1700000000000, true, false},
    {"1700000000.25 x", 13, 1700000000250, true, true},
    {"[1700000000] x", 12, 1700000000000, true, false},
    {"[1700000000.123456] x", 19, 1700000000123, true, true},
    {"2023-11-14T22:13:20Z", 20, 1700000000000, true, false},
    {"2023-11-14T22:13:20.5+01:00", 27, 1699996400500, true, true},
    {"2023-11-14 22:13:20,25", 22, 1700000000250, true, true},
    {"2023-11-14T22:13:20-0130", 24, 1700005400000, true, false},
    {"2024-02-29T00:00:00", 19, 1709164800000, true, false},
    {"1970-01-01T00:00:00", 19, 0, true, false},
    {"Jan  1 00:00:00", 15, 0, false, false},
    {"Jan 01 00:00:01 h", 15, 1000, false, false},
    {"Mar  1 00:00:00.007", 19, 60 * UINT64_C(86400000) + 7, false, true},
    {"Dec 31 23:59:59", 15, 366 * UINT64_C(86400000) - 1000, false, false},
    {"", 0, 0, false, false},
    {"12345", 0, 0, false, false},
    {"[1700000000", 0, 0, false, false},
    {"17000000000000000", 0, 0, false, false},
    {"Foo  1 00:00:00", 0, 0, false, false},
    {"Jan", 0, 0, false, false},
    {"Jan  1 24:00:00", 0, 0, false, false},
    {"Jan 32 00:00:00", 0, 0, false, false},
    {"Jan  0 00:00:00", 0, 0, false, false},
    {"Janu 1 00:00:00", 0, 0, false, false},
    {"Jan  1 23:60:00", 0, 0, false, false},
    {"Jan  1 23:59:61", 0, 0, false, false},
    {"Jan  1 23:59:60", 15, UINT64_C(86400000), false, false}, /* a leap second */
    {"Jan  1 00:00", 0, 0, false, false},
    {"2023-13-01T00:00:00", 0, 0, false, false},
    {"2023-00-01T00:00:00", 0, 0, false, false},
    {"2023-01-00T00:00:00", 0, 0, false, false},
    {"2023-01-32T00:00:00", 0, 0, false, false},
    {"999999999999", 0, 0, false, false},
    {"1970-01-01T00:00:00+01:00", 25, 0, true, false}, /* there is nothing before */
    {"1969-12-31T00:00:00", 0, 0, false, false},
    {"2023-11-14", 0, 0, false, false},
};

START_TEST(a_time_in_each_of_its_forms)
{
    struct timestamp t;
    const char *text = times[_i].text;
    ck_assert_uint_eq(timestamp_read(text, strlen(text), &t), times[_i].len);
    if (times[_i].len == 0)
        return;
    ck_assert_uint_eq(t.at_ms, times[_i].at_ms);
    ck_assert_int_eq(t.has_year, times[_i].has_year);
    ck_assert_int_eq(t.has_fraction, times[_i].has_fraction);
}
END_TEST

START_TEST(a_time_that_is_cut_anywhere_is_not_read_beyond)
{
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        for (size_t n = 0; n <= strlen(times[i].text); n++) {
            struct timestamp t;
            char *exact = malloc(n + 1); /* sanitizers see a byte too far */
            ck_assert_ptr_nonnull(exact);
            memcpy(exact, times[i].text, n);
            ck_assert_uint_le(timestamp_read(exact, n, &t), n);
            free(exact);
        }
    }
}
END_TEST

/* ---- text ------------------------------------------------------------------------------------ */

START_TEST(a_line_of_text)
{
    struct logline l, m;
    ck_assert_int_eq(reads(LOGLINE_TEXT, "46762\tU1\tWww.Example.com\tAAAA", &l), LOGLINE_QUESTION);
    ck_assert_uint_eq(l.at_ms, 46762);
    ck_assert_name(&l, "Www.Example.com");
    ck_assert_uint_eq(l.type, WIRE_TYPE_AAAA);
    ck_assert_uint_eq(l.class, WIRE_CLASS_IN);
    ck_assert_int_eq(reads(LOGLINE_TEXT, "0 U2 . TYPE65", &m), LOGLINE_QUESTION);
    ck_assert_uint_eq(m.type, 65);
    ck_assert_name(&m, ".");
    ck_assert_mem_ne(l.client, m.client, sizeof l.client);
    ck_assert_int_eq(reads(LOGLINE_TEXT, "0 U1 a.example. A", &m), LOGLINE_QUESTION);
    ck_assert_mem_eq(l.client, m.client, sizeof l.client);
    ck_assert_int_eq(reads(LOGLINE_TEXT, "0 fd00::1 a A", &m), LOGLINE_QUESTION);
    ck_assert_client(&m, "fd00::2"); /* a /64 is one client */
    ck_assert_int_eq(reads(LOGLINE_TEXT, "", &m), LOGLINE_OTHER);
    ck_assert_int_eq(reads(LOGLINE_TEXT, "  # 1 U1 a A", &m), LOGLINE_OTHER);
}
END_TEST

static const struct {
    const char *line, *why;
} bad_text[] = {
    {"1 U1 a.example", "expected four fields: milliseconds, client, name, type"},
    {"1 U1 a.example A x", "expected four fields: milliseconds, client, name, type"},
    {"-1 U1 a.example A", "\"-1\" is not a time: expected milliseconds as a number"},
    {"99999999999999999999 U1 a A",
        "\"99999999999999999999\" is not a time: expected milliseconds as a number"},
    {"1 U1 a..example A", "\"a..example\" is not a name"},
    {"1 U1 a.example B", "\"B\" is not a type of record, such as AAAA or TYPE65"},
    {"1 U1 a.example TYPE65536", "\"TYPE65536\" is not a type of record, such as AAAA or TYPE65"},
};

START_TEST(a_bad_line_of_text_says_what_is_wrong)
{
    struct logline l;
    ck_assert_int_eq(reads(LOGLINE_TEXT, bad_text[_i].line, &l), LOGLINE_BAD);
    ck_assert_str_eq(l.why, bad_text[_i].why);
}
END_TEST

/* ---- dnsmasq --------------------------------------------------------------------------------- */

static const struct {
    const char *line, *client, *name;
    uint16_t type;
} dnsmasq[] = {
    {"Nov 21 00:19:01 dnsmasq[1234]: query[A] www.example.com from 192.168.1.2", "192.168.1.2",
        "www.example.com", 1},
    {"Nov 21 00:19:01 dnsmasq[1]: 15 192.168.1.2/53211 query[AAAA] a.example from 192.168.1.2",
        "192.168.1.2", "a.example", 28},
    {"Nov  1 00:19:01 router dnsmasq[1234]: query[type=65] a.example from fd00::7", "fd00::7",
        "a.example", 65},
    {"2026-11-21T00:19:01.5+01:00 router dnsmasq: query[HTTPS] a.example from 127.0.0.1",
        "127.0.0.1", "a.example", 65},
    {"[1700000000] dnsmasq[7]: query[NS] . from 127.0.0.1", "127.0.0.1", ".", 2},
};

START_TEST(a_question_in_the_log_of_dnsmasq)
{
    struct logline l;
    ck_assert_int_eq(reads(LOGLINE_DNSMASQ, dnsmasq[_i].line, &l), LOGLINE_QUESTION);
    ck_assert_name(&l, dnsmasq[_i].name);
    ck_assert_client(&l, dnsmasq[_i].client);
    ck_assert_uint_eq(l.type, dnsmasq[_i].type);
}
END_TEST

static const char *const not_dnsmasq[] = {
    "",
    "Nov 21 00:19:01 dnsmasq[1234]: forwarded www.example.com to 9.9.9.9",
    "Nov 21 00:19:01 dnsmasq[1234]: reply www.example.com is 192.0.2.1",
    "Nov 21 00:19:01 dnsmasq[1234]: 15 192.168.1.2/53211 cached a.example is 192.0.2.1",
    "Nov 21 00:19:01 dnsmasq-dhcp[1234]: query[A] a.example from 192.168.1.2",
    "Nov 21 00:19:01 dnsmasq[]: query[A] a.example from 192.168.1.2",
    "Nov 21 00:19:01 dnsmasq[12",
    "Nov 21 00:19:01 kernel: query[A] a.example from 192.168.1.2",
    "Nov 21 00:19:01 dnsmasq[1234]: auth[A] a.example from 192.168.1.2",
    "Nov 21 00:19:01 dnsmasq[1234]: 15",
};

START_TEST(other_lines_of_dnsmasq_and_of_others)
{
    struct logline l;
    ck_assert_int_eq(reads(LOGLINE_DNSMASQ, not_dnsmasq[_i], &l), LOGLINE_OTHER);
}
END_TEST

static const struct {
    const char *line, *why;
} bad_dnsmasq[] = {
    {"Nov 21 00:19:01 dnsmasq[1]: query[A] a.example", "expected query[TYPE] NAME from ADDRESS"},
    {"Nov 21 00:19:01 dnsmasq[1]: query[A a.example from 10.0.0.1",
        "expected query[TYPE] NAME from ADDRESS"},
    {"Nov 21 00:19:01 dnsmasq[1]: query[A] a b from 10.0.0.1",
        "expected query[TYPE] NAME from ADDRESS"},
    {"Nov 21 00:19:01 dnsmasq[1]: query[A] a.example from 10.0.0.1 x",
        "expected query[TYPE] NAME from ADDRESS"},
    {"Nov 21 00:19:01 dnsmasq[1]: query[A] a.example from here", "\"here\" is not an address"},
    {"Nov 21 00:19:01 dnsmasq[1]: query[Q] a.example from 10.0.0.1",
        "\"Q\" is not a type of record, such as AAAA or TYPE65"},
    {"Nov 21 00:19:01 dnsmasq[1]: query[type=65536] a.example from 10.0.0.1",
        "\"type=65536\" is not a type of record, such as AAAA or TYPE65"},
    {"Nov 21 00:19:01 dnsmasq[1]: query[A] a..b from 10.0.0.1", "\"a..b\" is not a name"},
    {"dnsmasq: query[A] a.example from 10.0.0.1",
        "a question without a time in front: nothing can be learned from it"},
};

START_TEST(a_bad_question_in_the_log_of_dnsmasq)
{
    struct logline l;
    ck_assert_int_eq(reads(LOGLINE_DNSMASQ, bad_dnsmasq[_i].line, &l), LOGLINE_BAD);
    ck_assert_str_eq(l.why, bad_dnsmasq[_i].why);
}
END_TEST

/* ---- unbound --------------------------------------------------------------------------------- */

static const char *const unbound[] = {
    "[1700000000] unbound[1234:0] info: 10.0.0.1 www.example.com. A IN",
    "Nov 21 00:19:01 unbound[1234:0] info: 10.0.0.1 www.example.com. A IN",
    "Nov 21 00:19:01 host unbound: [1234:0] info: 10.0.0.1 www.example.com. A IN",
    "2026-11-21T00:19:01.5+01:00 unbound[1234:0] query: 10.0.0.1 www.example.com. A IN",
};

START_TEST(a_question_in_the_log_of_unbound)
{
    struct logline l;
    ck_assert_int_eq(reads(LOGLINE_UNBOUND, unbound[_i], &l), LOGLINE_QUESTION);
    ck_assert_name(&l, "www.example.com");
    ck_assert_client(&l, "10.0.0.1");
    ck_assert_uint_eq(l.type, WIRE_TYPE_A);
    ck_assert_uint_eq(l.class, WIRE_CLASS_IN);
}
END_TEST

START_TEST(a_question_of_another_class_in_the_log_of_unbound)
{
    struct logline l;
    ck_assert_int_eq(
        reads(LOGLINE_UNBOUND, "[1700000000] unbound[1:0] info: ::1 version.bind. TXT CH", &l),
        LOGLINE_QUESTION);
    ck_assert_uint_eq(l.class, WIRE_CLASS_CH);
    ck_assert_int_eq(
        reads(LOGLINE_UNBOUND, "[1700000000] unbound[1:0] info: ::1 a.example. A HS", &l),
        LOGLINE_QUESTION);
    ck_assert_uint_ne(l.class, WIRE_CLASS_IN);
    ck_assert_int_eq(
        reads(LOGLINE_UNBOUND, "[1700000000] unbound[1:0] info: ::1 a.example. A ANY", &l),
        LOGLINE_QUESTION);
    ck_assert_uint_eq(l.class, WIRE_CLASS_ANY);
}
END_TEST

static const char *const not_unbound[] = {
    "",
    "[1700000000] unbound[1234:0] info: 10.0.0.1 a.example. A IN NOERROR 0.03 0 45",
    "[1700000000] unbound[1234:0] reply: 10.0.0.1 a.example. A IN NOERROR 0.03 0 45",
    "[1700000000] unbound[1234:0] info: service stopped (unbound 1.17.1).",
    "[1700000000] unbound[1234:0] info: resolving a.example. A IN",
    "[1700000000] unbound[1234:0] notice: init module 0: validator",
    "[1700000000] unbound",
};

START_TEST(other_lines_of_unbound)
{
    struct logline l;
    ck_assert_int_eq(reads(LOGLINE_UNBOUND, not_unbound[_i], &l), LOGLINE_OTHER);
}
END_TEST

static const struct {
    const char *line, *why;
} bad_unbound[] = {
    {"[1700000000] unbound[1:0] info: 10.0.0.1 a.example. A", "expected ADDRESS NAME TYPE CLASS"},
    {"unbound[1:0] info: 10.0.0.1 a.example. A IN",
        "a question without a time in front: nothing can be learned from it"},
    {"[1700000000] unbound[1:0] info: 10.0.0.1 a..example. A IN", "\"a..example.\" is not a name"},
    {"[1700000000] unbound[1:0] info: 10.0.0.1 a.example. Z IN",
        "\"Z\" is not a type of record, such as AAAA or TYPE65"},
    {"[1700000000] unbound[1:0] info: 10.0.0.1 a.example. A XX",
        "\"XX\" is not a class, such as IN"},
};

START_TEST(a_bad_question_in_the_log_of_unbound)
{
    struct logline l;
    ck_assert_int_eq(reads(LOGLINE_UNBOUND, bad_unbound[_i].line, &l), LOGLINE_BAD);
    ck_assert_str_eq(l.why, bad_unbound[_i].why);
}
END_TEST

/* ---- dnsd ------------------------------------------------------------------------------------ */

static const struct {
    const char *line, *client, *name;
    uint16_t type;
    uint64_t took_ms;
} dnsd[] = {
    {"2026-03-01T12:00:00.123Z 192.168.1.7 udp example.com A upstream NOERROR 56 23", "192.168.1.7",
        "example.com", 1, 23},
    {"2026-03-01T12:00:00.123Z fd00::7 tcp Www.Example HTTPS cache NXDOMAIN 56 0", "fd00::7",
        "Www.Example", 65, 0},
    {"2026-03-01T12:00:00.123Z fe80::1%2 udp . NS stale NOERROR 56 1800", "fe80::1%2", ".", 2,
        1800},
    {"2026-03-01T12:00:00.123Z 10.0.0.1 udp a\\032b\\.c TYPE65280 failed SERVFAIL 12 4500",
        "10.0.0.1", "a\\032b\\046c", 65280, 4500},
    {"2026-03-01T12:00:00.123Z 10.0.0.1 udp a.example A failed - 0 60000", "10.0.0.1", "a.example",
        1, 60000},
};

START_TEST(a_question_in_the_log_of_dnsd)
{
    struct logline l;
    ck_assert_int_eq(reads(LOGLINE_DNSD, dnsd[_i].line, &l), LOGLINE_QUESTION);
    ck_assert_uint_eq(l.at_ms, 1772366400123);
    ck_assert_int_eq(l.has_fraction, true);
    ck_assert_uint_eq(l.took_ms, dnsd[_i].took_ms);
    ck_assert_name(&l, dnsd[_i].name);
    ck_assert_client(&l, dnsd[_i].client);
    ck_assert_uint_eq(l.type, dnsd[_i].type);
    ck_assert_uint_eq(l.class, WIRE_CLASS_IN);
}
END_TEST

static const char *const local_dnsd[] = {
    "2026-03-01T12:00:00.123Z 10.0.0.1 udp - - dropped - 0 0",
    "2026-03-01T12:00:00.123Z 10.0.0.1 udp - - rejected FORMERR 12 0",
    "2026-03-01T12:00:00.123Z 10.0.0.1 tcp version.bind TXT chaos NOERROR 40 0",
    "2026-03-01T12:00:00.123Z 10.0.0.1 udp router.lan A override NOERROR 44 0",
    "2026-03-01T12:00:00.123Z 10.0.0.1 udp printer A special NXDOMAIN 80 0",
};

START_TEST(a_question_that_dnsd_answered_by_itself)
{
    struct logline l;
    ck_assert_int_eq(reads(LOGLINE_DNSD, local_dnsd[_i], &l), LOGLINE_LOCAL);
}
END_TEST

static const char *const not_dnsd[] = {
    "",
    "2026-03-01T12:00:00.123Z",
    "2026-03-01T12:00:00.123Z dnsd 0.1.0 starts",
    "2026-03-01T12:00:00.123Z listening on 127.0.0.1:53",
    "Nov 21 00:19:01 10.0.0.1 udp a.example A cache NOERROR 56 0",
    "10.0.0.1 udp a.example A cache NOERROR 56 0",
    "2026-03-01T12:00:00.123Z 10.0.0.1 tls a.example A cache NOERROR 56 0",
};

START_TEST(other_lines_of_dnsd)
{
    struct logline l;
    ck_assert_int_eq(reads(LOGLINE_DNSD, not_dnsd[_i], &l), LOGLINE_OTHER);
}
END_TEST

static const struct {
    const char *line, *why;
} bad_dnsd[] = {
    {"2026-03-01T12:00:00.123Z 10.0.0.1 udp", "expected the nine fields of dnsd's query log"},
    {"2026-03-01T12:00:00.123Z 10.0.0.1 udp a.example A cache NOERROR 56",
        "expected the nine fields of dnsd's query log"},
    {"2026-03-01T12:00:00.123Z 10.0.0.1 udp a.example A cache NOERROR 56 0 1",
        "expected the nine fields of dnsd's query log"},
    {"2026-03-01T12:00:00.123Z 10.0.0.1 udp a.example A cash NOERROR 56 0",
        "\"cash\" is not how a question ends, such as cache or upstream"},
    {"2026-03-01T12:00:00.123Z here udp a.example A cache NOERROR 56 0",
        "\"here\" is not an address"},
    {"2026-03-01T12:00:00.123Z 10.0.0.1 udp a..b A cache NOERROR 56 0", "\"a..b\" is not a name"},
    {"2026-03-01T12:00:00.123Z 10.0.0.1 udp a.example - cache NOERROR 56 0",
        "\"-\" is not a type of record, such as AAAA or TYPE65"},
    {"2026-03-01T12:00:00.123Z 10.0.0.1 udp a.example A cache NOERROR 56 60001",
        "\"60001\" is not a time: expected milliseconds, at most 60000"},
    {"2026-03-01T12:00:00.123Z 10.0.0.1 udp a.example A cache NOERROR 56 "
     "00000000000000000000000000000000000000000000000000000000000000000001",
        "\"00000000000000000000000000000000000000000000000000000000000000000001\" is not a time: "
        "expected milliseconds, at most 60000"},
    {"2026-03-01T12:00:00.123Z "
     "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001 "
     "udp a.example A cache NOERROR 56 1",
        "\"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:000...\" is not an "
        "address"},
    {"2026-03-01T12:00:00.123Z 10.0.0.1 udp a.example A cache NOERROR 56 -1",
        "\"-1\" is not a time: expected milliseconds, at most 60000"},
};

START_TEST(a_bad_line_in_the_log_of_dnsd)
{
    struct logline l;
    ck_assert_int_eq(reads(LOGLINE_DNSD, bad_dnsd[_i].line, &l), LOGLINE_BAD);
    ck_assert_str_eq(l.why, bad_dnsd[_i].why);
}
END_TEST

/* ---- hostile lines --------------------------------------------------------------------------- */

/* What stands behind a NUL would not be seen by who reads a string. */
START_TEST(a_nul_is_part_of_no_address_and_no_number)
{
    static const char address[] =
        "Nov 21 00:19:01 dnsmasq[1]: query[A] a.example from 10.0.0.1\0.evil";
    static const char number[] =
        "2026-03-01T12:00:00.123Z 10.0.0.1 udp a.example A cache NOERROR 56 1\0002";
    struct logline l;
    ck_assert_int_eq(logline_read(LOGLINE_DNSMASQ, address, sizeof address - 1, &l), LOGLINE_BAD);
    ck_assert_ptr_nonnull(strstr(l.why, "is not an address"));
    ck_assert_int_eq(logline_read(LOGLINE_DNSD, number, sizeof number - 1, &l), LOGLINE_BAD);
    ck_assert_ptr_nonnull(strstr(l.why, "is not a time"));
}
END_TEST

START_TEST(a_line_that_is_cut_or_bent_anywhere_is_not_read_beyond)
{
    static const char *const lines[] = {"46762\tU1\twww.example.com\tAAAA",
        "Nov 21 00:19:01 dnsmasq[1]: 15 192.168.1.2/53211 query[type=65] a.example from 10.0.0.1",
        "[1700000000] unbound[1234:0] info: 10.0.0.1 www.example.com. A IN",
        "2026-03-01T12:00:00.123Z 192.168.1.7 udp example.com A upstream NOERROR 56 23"};
    struct logline l;
    for (unsigned form = LOGLINE_TEXT; form <= LOGLINE_DNSD; form++) {
        for (size_t n = 0; n <= strlen(lines[form]); n++) {
            char *exact = malloc(n + 1);
            ck_assert_ptr_nonnull(exact);
            memcpy(exact, lines[form], n);
            logline_read((enum logline_form)form, exact, n, &l);
            if (n > 0) {
                exact[n - 1] = '\0';
                logline_read((enum logline_form)form, exact, n, &l);
                exact[n / 2] = (char)0xff;
                logline_read((enum logline_form)form, exact, n, &l);
            }
            free(exact);
        }
    }
}
END_TEST

#define N(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
    Suite *s = suite_create("logline");
    TCase *tc = tcase_create("lines");
    SRunner *runner;
    int failed;

    if (sodium_init() < 0)
        return EXIT_FAILURE;
    tcase_add_loop_test(tc, a_time_in_each_of_its_forms, 0, N(times));
    tcase_add_test(tc, a_time_that_is_cut_anywhere_is_not_read_beyond);
    tcase_add_test(tc, a_line_of_text);
    tcase_add_loop_test(tc, a_bad_line_of_text_says_what_is_wrong, 0, N(bad_text));
    tcase_add_loop_test(tc, a_question_in_the_log_of_dnsmasq, 0, N(dnsmasq));
    tcase_add_loop_test(tc, other_lines_of_dnsmasq_and_of_others, 0, N(not_dnsmasq));
    tcase_add_loop_test(tc, a_bad_question_in_the_log_of_dnsmasq, 0, N(bad_dnsmasq));
    tcase_add_loop_test(tc, a_question_in_the_log_of_unbound, 0, N(unbound));
    tcase_add_test(tc, a_question_of_another_class_in_the_log_of_unbound);
    tcase_add_loop_test(tc, other_lines_of_unbound, 0, N(not_unbound));
    tcase_add_loop_test(tc, a_bad_question_in_the_log_of_unbound, 0, N(bad_unbound));
    tcase_add_loop_test(tc, a_question_in_the_log_of_dnsd, 0, N(dnsd));
    tcase_add_loop_test(tc, a_question_that_dnsd_answered_by_itself, 0, N(local_dnsd));
    tcase_add_loop_test(tc, other_lines_of_dnsd, 0, N(not_dnsd));
    tcase_add_loop_test(tc, a_bad_line_in_the_log_of_dnsd, 0, N(bad_dnsd));
    tcase_add_test(tc, a_line_that_is_cut_or_bent_anywhere_is_not_read_beyond);
    tcase_add_test(tc, a_nul_is_part_of_no_address_and_no_number);
    suite_add_tcase(s, tc);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
