/* Tests of special.c: each special name, its neighbours that are ordinary, and the answers' bytes.
 */
#include "special.h"

#include <check.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define A     WIRE_TYPE_A
#define AAAA  WIRE_TYPE_AAAA
#define NS    WIRE_TYPE_NS
#define SOA   WIRE_TYPE_SOA
#define PTR   WIRE_TYPE_PTR
#define TXT   WIRE_TYPE_TXT
#define DS    WIRE_TYPE_DS
#define SVCB  WIRE_TYPE_SVCB
#define HTTPS WIRE_TYPE_HTTPS
#define ANY   WIRE_TYPE_ANY

enum { DNSKEY = 48 };

static size_t wire_name(const char *text, uint8_t out[WIRE_NAME_MAX])
{
    size_t start = 0, at = 1;

    for (; strcmp(text, ".") != 0 && *text != '\0'; text++) {
        if (*text == '.') {
            out[start] = (uint8_t)(at - start - 1);
            start = at++;
            continue;
        }
        ck_assert_uint_lt(at, WIRE_NAME_MAX);
        out[at++] = (uint8_t)*text;
    }
    out[start] = (uint8_t)(at - start - 1);
    if (out[start] != 0)
        out[at++] = 0;
    return at;
}

static uint8_t reply[WIRE_MESSAGE_MAX];
static size_t reply_len;

static char *add(char *at, const char *end, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static char *add(char *at, const char *end, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(at, (size_t)(end - at), format, args);
    va_end(args);
    ck_assert_int_lt(n, (int)(end - at));
    return at + n;
}

static char *add_name(char *at, const char *end, size_t name_at)
{
    uint8_t name[WIRE_NAME_MAX];
    char text[WIRE_NAME_TEXT_MAX];
    size_t name_end, len = wire_name_expand(reply, reply_len, name_at, name, &name_end);

    ck_assert_uint_gt(len, 0);
    wire_name_text(name, len, text);
    return add(at, end, "%s", text);
}

static char *add_record(char *at, const char *end, const struct wire_view *v)
{
    static const char *const sections[] = {"an", "ns", "ar"};

    ck_assert_int_eq(v->class, WIRE_CLASS_IN);
    at = add(at, end, " %s:", sections[v->section]);
    at = add_name(at, end, v->owner_at);
    at = add(at, end, ",%u,%u,", v->ttl_s, v->type);
    if (v->type == PTR || v->type == NS)
        return add_name(at, end, v->rdata_at);
    for (size_t i = 0; i < v->rdata_len && v->type != SOA; i++)
        at = add(at, end, "%02x", reply[v->rdata_at + i]);
    return at;
}

/* The answer as text: "-" for an ordinary name, else "rcode section:owner,ttl,type,data". */
static const char *ask_wire(const uint8_t *name, size_t len, uint16_t type, uint16_t class)
{
    static char text[8192];
    char *at = text, *end = text + sizeof text;
    uint8_t packed[513];
    size_t packed_len = 77;
    struct wire_query query = {.flags = WIRE_RD,
        .question = {.name = name, .name_len = len, .type = type, .class = class}};
    struct wire_reply r = {.query = &query,
        .packed = packed,
        .fixed_ttl_s = WIRE_TTL_AS_IS,
        .ede = WIRE_EDE_NONE,
        .limit = sizeof reply};
    struct wire_cursor c;
    struct wire_view v;
    int more;

    packed[512] = 0xaa;
    enum special_verdict verdict = special_lookup(&query.question, packed, 512, &packed_len);
    ck_assert_uint_eq(packed[512], 0xaa);
    if (verdict == SPECIAL_NONE) {
        ck_assert_uint_eq(packed_len, 0);
        return "-";
    }
    r.packed_len = packed_len;
    reply_len = wire_write_reply(&r, reply, sizeof reply);
    ck_assert_int_eq(wire_cursor_start(&c, reply, reply_len), 0);
    ck_assert(reply[2] & 4);
    ck_assert_uint_eq(wire_packed_rcode(packed, packed_len), reply[3] & 15u);
    at = add(at, end, "%u", reply[3] & 15u);
    while ((more = wire_cursor_next(&c, &v)) == 1)
        at = add_record(at, end, &v);
    ck_assert_int_eq(more, 0);
    return text;
}

static const char *ask(const char *text, uint16_t type)
{
    uint8_t name[WIRE_NAME_MAX];
    size_t len = wire_name(text, name);

    return ask_wire(name, len, type, WIRE_CLASS_IN);
}

/* The name is denied by a zone whose top is `top`. */
static void ck_denied(const char *name, const char *top)
{
    char want[600];

    snprintf(want, sizeof want, "3 ns:%s,10800,6,", top);
    ck_assert_str_eq(ask(name, A), want);
    ck_assert_str_eq(ask(name, TXT), want);
    ck_assert_str_eq(ask(name, ANY), want);
}

/* The name is there, without data of this type. */
static void ck_nodata(const char *name, uint16_t type, const char *top)
{
    char want[600];

    snprintf(want, sizeof want, "0 ns:%s,10800,6,", top);
    ck_assert_str_eq(ask(name, type), want);
}

static void ck_ordinary(const char *name)
{
    static const uint16_t types[] = {A, AAAA, NS, SOA, PTR, TXT, DS, SVCB, HTTPS, DNSKEY, 65280};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        ck_assert_msg(strcmp(ask(name, types[i]), "-") == 0, "%s %u", name, types[i]);
}

START_TEST(denial_byte_for_byte)
{
    static const uint8_t want[] = {
        0, 0, 0x85, 0x83, 0, 1, 0, 0, 0, 1, 0, 0,                                 /* header */
        1, 'a', 4, 'T', 'e', 's', 't', 0, 0, 1, 0, 1,                             /* question */
        0xc0, 0x0e, 0, 6, 0, 1, 0, 0, 0x2a, 0x30, 0, 42,                          /* SOA, 10800 */
        4, 't', 'e', 's', 't', 0,                                                 /* mname */
        6, 'n', 'o', 'b', 'o', 'd', 'y', 7, 'i', 'n', 'v', 'a', 'l', 'i', 'd', 0, /* rname */
        0, 0, 0, 1,                                                               /* serial */
        0, 0, 0x0e, 0x10,                                                         /* 3600 */
        0, 0, 0x04, 0xb0,                                                         /* 1200 */
        0, 9, 0x3a, 0x80,                                                         /* 604800 */
        0, 0, 0x2a, 0x30,                                                         /* 10800 */
    };

    ck_assert_str_eq(ask("a.Test", A), "3 ns:Test,10800,6,");
    ck_assert_uint_eq(reply_len, sizeof want);
    ck_assert_mem_eq(reply, want, sizeof want);
}
END_TEST

START_TEST(localhost_is_this_machine)
{
    ck_assert_str_eq(ask("localhost", A), "0 an:localhost,10800,1,7f000001");
    ck_assert_str_eq(ask("LocalHost", A), "0 an:LocalHost,10800,1,7f000001");
    ck_assert_str_eq(ask("a.b.localhost", A), "0 an:a.b.localhost,10800,1,7f000001");
    ck_assert_str_eq(
        ask("localhost", AAAA), "0 an:localhost,10800,28,00000000000000000000000000000001");
    ck_assert_str_eq(
        ask("x.localhost", AAAA), "0 an:x.localhost,10800,28,00000000000000000000000000000001");
    ck_nodata("localhost", HTTPS, "localhost");
    ck_nodata("localhost", NS, "localhost");
    ck_nodata("localhost", SOA, "localhost");
    ck_nodata("localhost", ANY, "localhost");
    ck_nodata("x.localhost", DS, "localhost");
    ck_ordinary("localhost.example");
    ck_ordinary("notlocalhost.example");
}
END_TEST

START_TEST(loopback_addresses_are_localhost)
{
    ck_assert_str_eq(
        ask("1.0.0.127.in-addr.arpa", PTR), "0 an:1.0.0.127.in-addr.arpa,10800,12,localhost");
    ck_nodata("1.0.0.127.in-addr.arpa", A, "127.in-addr.arpa");
    ck_nodata("0.0.127.in-addr.arpa", PTR, "127.in-addr.arpa");
    ck_nodata("0.127.in-addr.arpa", PTR, "127.in-addr.arpa");
    ck_nodata("127.in-addr.arpa", PTR, "127.in-addr.arpa");
    ck_denied("2.0.0.127.in-addr.arpa", "127.in-addr.arpa");
    ck_denied("1.127.in-addr.arpa", "127.in-addr.arpa");
    ck_denied("1.1.0.127.in-addr.arpa", "127.in-addr.arpa");
    ck_denied("1.1.0.0.127.in-addr.arpa", "127.in-addr.arpa");
    ck_denied("x.127.in-addr.arpa", "127.in-addr.arpa");
    ck_denied("1-.127.in-addr.arpa", "127.in-addr.arpa");
}
END_TEST

#define ZEROS "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"

START_TEST(loopback_address_of_ipv6_is_localhost)
{
    static const char one[] = "1." ZEROS ".ip6.arpa";
    static const char zero[] = "0." ZEROS ".ip6.arpa";

    ck_assert_str_eq(ask(one, PTR), "0 an:1." ZEROS ".ip6.arpa,10800,12,localhost");
    ck_nodata(one, A, one);
    ck_assert_str_eq(ask(one, NS), "0 an:1." ZEROS ".ip6.arpa,10800,2,1." ZEROS ".ip6.arpa");
    ck_denied("x.1." ZEROS ".ip6.arpa", one);
    ck_nodata(zero, PTR, zero);
    ck_denied("a.0." ZEROS ".ip6.arpa", zero);
    ck_ordinary("2." ZEROS ".ip6.arpa");
    ck_ordinary(ZEROS ".ip6.arpa");
}
END_TEST

START_TEST(names_that_no_dns_server_knows)
{
    static const char *const tops[] = {"local", "onion", "alt", "invalid", "test"};
    char name[100];

    for (size_t i = 0; i < 5; i++) {
        ck_denied(tops[i], tops[i]);
        /* That local has no SOA in the DNS tells mDNS resolvers that they may use it. */
        snprintf(name, sizeof name, "3 ns:%s,10800,6,", tops[i]);
        ck_assert_str_eq(ask(tops[i], SOA), name);
        ck_assert_str_eq(ask(tops[i], NS), name);
        ck_assert_str_eq(ask(tops[i], DS), "-");
        snprintf(name, sizeof name, "a.%s", tops[i]);
        ck_denied(name, tops[i]);
        snprintf(name, sizeof name, "_x._tcp.a.b.%s", tops[i]);
        ck_denied(name, tops[i]);
        snprintf(name, sizeof name, "%s.example", tops[i]);
        ck_ordinary(name);
        snprintf(name, sizeof name, "a.x%s", tops[i]);
        ck_ordinary(name);
        snprintf(name, sizeof name, "a.%sx", tops[i]);
        ck_ordinary(name);
    }
    ck_assert_str_eq(ask("A.LOCAL", A), "3 ns:LOCAL,10800,6,");
}
END_TEST

START_TEST(home_arpa_is_an_empty_zone)
{
    ck_nodata("home.arpa", A, "home.arpa");
    ck_denied("router.home.arpa", "home.arpa");
    ck_assert_str_eq(ask("home.arpa", SOA), "0 an:home.arpa,10800,6,");
    ck_assert_str_eq(ask("home.arpa", NS), "0 an:home.arpa,10800,2,home.arpa");
    ck_assert_str_eq(ask("home.arpa", DS), "-");
    ck_assert_str_eq(ask("x.home.arpa", DS), "3 ns:home.arpa,10800,6,");
    ck_ordinary("xhome.arpa");
    ck_ordinary("home.arpa.example");
}
END_TEST

START_TEST(resolver_arpa_has_no_data)
{
    ck_nodata("_dns.resolver.arpa", SVCB, "resolver.arpa");
    ck_nodata("_dns.resolver.arpa", A, "resolver.arpa");
    ck_nodata("a.b.resolver.arpa", TXT, "resolver.arpa");
    ck_nodata("resolver.arpa", A, "resolver.arpa");
    ck_assert_str_eq(ask("resolver.arpa", DS), "-");
}
END_TEST

START_TEST(private_reverse_zones_are_empty)
{
    static const char *const tops[] = {"10.in-addr.arpa", "0.in-addr.arpa", "254.169.in-addr.arpa",
        "2.0.192.in-addr.arpa", "168.192.in-addr.arpa", "100.51.198.in-addr.arpa",
        "113.0.203.in-addr.arpa", "255.255.255.255.in-addr.arpa", "16.172.in-addr.arpa",
        "31.172.in-addr.arpa", "64.100.in-addr.arpa", "127.100.in-addr.arpa", "d.f.ip6.arpa",
        "8.e.f.ip6.arpa", "9.e.f.ip6.arpa", "a.e.f.ip6.arpa", "b.e.f.ip6.arpa",
        "8.b.d.0.1.0.0.2.ip6.arpa"};
    char name[200], want[200];

    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
        ck_nodata(tops[i], PTR, tops[i]);
        ck_nodata(tops[i], ANY, tops[i]);
        snprintf(want, sizeof want, "0 an:%s,10800,6,", tops[i]);
        ck_assert_str_eq(ask(tops[i], SOA), want);
        snprintf(want, sizeof want, "0 an:%s,10800,2,%s", tops[i], tops[i]);
        ck_assert_str_eq(ask(tops[i], NS), want);
        ck_assert_str_eq(ask(tops[i], DS), "-");
        snprintf(name, sizeof name, "1.%s", tops[i]);
        ck_denied(name, tops[i]);
        snprintf(name, sizeof name, "1.2.3.%s", tops[i]);
        ck_denied(name, tops[i]);
        snprintf(name, sizeof name, "%s.example", tops[i]);
        ck_ordinary(name);
    }
    ck_assert_str_eq(ask("1.D.F.IP6.ARPA", PTR), "3 ns:D.F.IP6.ARPA,10800,6,");
}
END_TEST

START_TEST(public_reverse_zones_are_ordinary)
{
    static const char *const names[] = {"1.1.1.1.in-addr.arpa", "in-addr.arpa", "ip6.arpa",
        "192.in-addr.arpa", "172.in-addr.arpa", "100.in-addr.arpa", "169.in-addr.arpa",
        "0.192.in-addr.arpa", "255.in-addr.arpa", "255.255.255.in-addr.arpa", "15.172.in-addr.arpa",
        "32.172.in-addr.arpa", "63.100.in-addr.arpa", "128.100.in-addr.arpa", "010.in-addr.arpa",
        "00.in-addr.arpa", "266.in-addr.arpa", "1a.in-addr.arpa", "1-.in-addr.arpa",
        "1-.168.in-addr.arpa", "1000.in-addr.arpa", "11.in-addr.arpa", "1.in-addr.arpa",
        "3.0.192.in-addr.arpa", "f.ip6.arpa", "e.f.ip6.arpa", "c.f.ip6.arpa", "c.e.f.ip6.arpa",
        "7.e.f.ip6.arpa", "dd.f.ip6.arpa", "d.ff.ip6.arpa", "2.ip6.arpa",
        "7.b.d.0.1.0.0.2.ip6.arpa", "ipv4only.arpa", "x.uri.arpa", "10.in-addr.example"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_ordinary(names[i]);
}
END_TEST

START_TEST(single_labels_stay_here_but_for_the_types_of_zones)
{
    static const uint16_t denied[] = {A, AAAA, HTTPS, SVCB, TXT, PTR, 15, 33, ANY, 65280};
    static const uint16_t let_through[] = {NS, SOA, DS, DNSKEY, 46, 47, 50, 51, 59, 60, 62, 63};

    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++) {
        ck_assert_str_eq(ask("printer", denied[i]), "3 ns:printer,300,6,");
        ck_assert_str_eq(ask("com", denied[i]), "3 ns:com,300,6,");
        ck_assert_str_eq(ask("arpa", denied[i]), "3 ns:arpa,300,6,");
    }
    for (size_t i = 0; i < sizeof let_through / sizeof *let_through; i++) {
        ck_assert_str_eq(ask("com", let_through[i]), "-");
        ck_assert_str_eq(ask("arpa", let_through[i]), "-");
    }
    ck_assert_str_eq(ask("x", A), "3 ns:x,300,6,");
}
END_TEST

START_TEST(ordinary_names_and_the_root)
{
    ck_ordinary(".");
    ck_ordinary("example.com");
    ck_ordinary("www.example.org");
    ck_ordinary("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z");
    ck_ordinary("example.arpax");
    ck_ordinary("o.il.it.at.io");
}
END_TEST

START_TEST(longest_names)
{
    uint8_t name[WIRE_NAME_MAX];
    size_t len = 0;

    while (len < 248) {
        name[len++] = 1;
        name[len++] = 'a';
    }
    memcpy(name + len, "\005local", 7);
    len += 7;
    ck_assert_uint_eq(len, 255);
    ck_assert_str_eq(ask_wire(name, len, A, WIRE_CLASS_IN), "3 ns:local,10800,6,");

    memset(name, 'a', sizeof name);
    name[0] = 63;
    name[64] = 0;
    ck_assert_ptr_nonnull(strstr(ask_wire(name, 65, A, WIRE_CLASS_IN), ",300,6,"));
}
END_TEST

START_TEST(other_classes_are_not_ours)
{
    uint8_t name[WIRE_NAME_MAX];
    size_t len = wire_name("localhost", name);

    ck_assert_str_eq(ask_wire(name, len, A, WIRE_CLASS_CH), "-");
    ck_assert_str_eq(ask_wire(name, len, A, WIRE_CLASS_ANY), "-");
}
END_TEST

START_TEST(bytes_that_are_no_name_are_no_special_name)
{
    static const uint8_t cut[] = {5, 'l', 'o', 'c', 'a', 'l'};
    static const uint8_t more[] = {5, 'l', 'o', 'c', 'a', 'l', 0, 0};
    static const uint8_t over[] = {9, 'l', 0};

    ck_assert_str_eq(ask_wire(cut, sizeof cut, A, WIRE_CLASS_IN), "-");
    ck_assert_str_eq(ask_wire(more, sizeof more, A, WIRE_CLASS_IN), "-");
    ck_assert_str_eq(ask_wire(over, sizeof over, A, WIRE_CLASS_IN), "-");
}
END_TEST

int main(void)
{
    static const TTest *const *tests[] = {&denial_byte_for_byte, &localhost_is_this_machine,
        &loopback_addresses_are_localhost, &loopback_address_of_ipv6_is_localhost,
        &names_that_no_dns_server_knows, &home_arpa_is_an_empty_zone, &resolver_arpa_has_no_data,
        &private_reverse_zones_are_empty, &public_reverse_zones_are_ordinary,
        &single_labels_stay_here_but_for_the_types_of_zones, &ordinary_names_and_the_root,
        &longest_names, &other_classes_are_not_ours, &bytes_that_are_no_name_are_no_special_name};
    Suite *suite = suite_create("special");
    TCase *tcase = tcase_create("special");
    SRunner *runner;
    int failed;

    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(tcase, *tests[i]);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
