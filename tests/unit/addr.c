/* tests/unit/addr.c: what addresses and networks are as text, and which are whose.
 * Knows addr.h and numbers worked by hand; never how the text is read. */
#include "addr.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct addr parsed(const char *text)
{
    struct addr a;

    ck_assert_msg(addr_parse(text, 53, &a) == 0, "%s", text);
    return a;
}

static struct addr_net net(const char *text)
{
    struct addr_net n;

    ck_assert_msg(addr_net_parse(text, &n) == 0, "%s", text);
    return n;
}

START_TEST(every_documented_form_is_read_and_written_back)
{
    static const struct {
        const char *in, *out, *ip;
    } forms[] = {
        {"9.9.9.9", "9.9.9.9:53", "9.9.9.9"},
        {"9.9.9.9:5353", "9.9.9.9:5353", "9.9.9.9"},
        {"9.9.9.9@5353", "9.9.9.9:5353", "9.9.9.9"},
        {"2620:fe::fe", "[2620:fe::fe]:53", "2620:fe::fe"},
        {"2620:fe::fe@53", "[2620:fe::fe]:53", "2620:fe::fe"},
        {"[2620:fe::fe]:54", "[2620:fe::fe]:54", "2620:fe::fe"},
        {"[2620:FE::FE]", "[2620:fe::fe]:53", "2620:fe::fe"},
        {"fe80::1%2", "[fe80::1%2]:53", "fe80::1%2"},
        {"fe80::1%2@5300", "[fe80::1%2]:5300", "fe80::1%2"},
        {"[fe80::1%4294967295]:65535", "[fe80::1%4294967295]:65535", "fe80::1%4294967295"},
        {"fe80::1", "[fe80::1]:53", "fe80::1"},
        {"::1", "[::1]:53", "::1"},
        {"::", "[::]:53", "::"},
        {"0.0.0.0:1", "0.0.0.0:1", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255:53", "255.255.255.255"},
        {"2001::1:53", "[2001::1:53]:53", "2001::1:53"},
        {"::ffff:1.2.3.4", "1.2.3.4:53", "1.2.3.4"},
        {"1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]:53", "1:2:3:4:5:6:7:8"},
    };

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct addr a = parsed(forms[i].in);
        struct addr again;
        char text[ADDR_TEXT_MAX];

        ck_assert_uint_eq(addr_format(&a, text), strlen(forms[i].out));
        ck_assert_str_eq(text, forms[i].out);
        again = parsed(text);
        ck_assert(addr_equal(&a, &again));
        ck_assert_uint_eq(addr_format_ip(&a, text), strlen(forms[i].ip));
        ck_assert_str_eq(text, forms[i].ip);
    }
}
END_TEST

START_TEST(the_bytes_are_in_network_order)
{
    static const uint8_t v4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1};
    static const uint8_t v6[16] = {0x26, 0x20, 0, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};
    struct addr a = parsed("192.0.2.1:5353");

    ck_assert_mem_eq(a.ip, v4, 16);
    ck_assert_uint_eq(a.port, 5353);
    ck_assert_uint_eq(a.scope, 0);
    a = parsed("2620:fe::9");
    ck_assert_mem_eq(a.ip, v6, 16);
    ck_assert_uint_eq(a.port, 53);
    a = parsed("fe80::1%17");
    ck_assert_uint_eq(a.scope, 17);
}
END_TEST

START_TEST(the_longest_text_fits)
{
    struct addr a;
    char text[ADDR_TEXT_MAX];

    memset(a.ip, 0xff, sizeof a.ip);
    a.scope = UINT32_MAX;
    a.port = UINT16_MAX;
    ck_assert_uint_eq(addr_format(&a, text), 1 + 39 + 11 + 1 + 6);
    ck_assert_str_eq(text, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
}
END_TEST

START_TEST(what_is_no_address_is_refused_and_changes_nothing)
{
    static const char *const bad[] = {"", " ", "9.9.9", "9.9.9.9.9", "256.1.1.1", "1.2.3.4 ",
        " 1.2.3.4", "9.9.9.9:", "9.9.9.9@", "9.9.9.9:0", "9.9.9.9@0", "9.9.9.9:65536", "9.9.9.9:-1",
        "9.9.9.9:+1", "9.9.9.9:5x", "9.9.9.9: 5", "9.9.9.9:99999999999",
        "9.9.9.9:18446744073709551669", "9.9.9.9:53@53", "9.9.9.9@53:53", "@53", ":53", "[", "]",
        "[]", "[]:53", "[::1", "::1]", "[::1]53", "[::1]:", "[::1]:0", "[::1]:x", "[::1]@53",
        "[::1]]:53", "[[::1]]:53", "[9.9.9.9]:53", "[9.9.9.9]", "fe80::1%", "fe80::1%eth0",
        "fe80::1%0", "fe80::1%-1", "fe80::1%4294967296", "fe80::1%1%1", "2620:fe::fe%2",
        "9.9.9.9%2", "::ffff:9.9.9.9%2", "%2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        ":::", "12345::", "localhost", "dns.example:53",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
        "1.1.1.1111111111111111111111111111111111111111111111111111111111111111"};
    struct addr a;
    struct addr before;

    memset(&a, 0x5a, sizeof a);
    before = a;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(addr_parse(bad[i], 53, &a) == -1, "\"%s\" was taken", bad[i]);
        ck_assert_msg(memcmp(&a, &before, sizeof a) == 0, "\"%s\" left a trace", bad[i]);
    }
}
END_TEST

START_TEST(port_zero_is_for_those_who_ask_for_it)
{
    struct addr a;

    ck_assert_int_eq(addr_parse("127.0.0.1", 0, &a), 0);
    ck_assert_uint_eq(a.port, 0);
    ck_assert_int_eq(addr_parse("127.0.0.1:0", 0, &a), 0);
    ck_assert_uint_eq(a.port, 0);
    ck_assert_int_eq(addr_parse("[::1]:7", 0, &a), 0);
    ck_assert_uint_eq(a.port, 7);
    ck_assert_int_eq(addr_parse("127.0.0.1:0", 1, &a), -1);
}
END_TEST

START_TEST(addresses_differ_by_ip_scope_and_port)
{
    struct addr a = parsed("fe80::1%2@53");
    struct addr same = parsed("[FE80:0::1%2]:53");
    struct addr port = parsed("fe80::1%2@54");
    struct addr scope = parsed("fe80::1%3@53");
    struct addr ip = parsed("fe80::2%2@53");

    ck_assert(addr_equal(&a, &same));
    ck_assert(!addr_equal(&a, &port));
    ck_assert(!addr_equal(&a, &scope));
    ck_assert(!addr_equal(&a, &ip));
}
END_TEST

enum { IPV4 = 1, LOOPBACK = 2, ANY = 4, LOCAL = 8 };

START_TEST(each_range_ends_where_its_rfc_says)
{
    static const struct {
        const char *text;
        int what;
    } known[] = {
        {"127.0.0.1", IPV4 | LOOPBACK | LOCAL},
        {"127.255.255.255", IPV4 | LOOPBACK | LOCAL},
        {"126.255.255.255", IPV4},
        {"128.0.0.0", IPV4},
        {"::1", LOOPBACK | LOCAL},
        {"::2", 0},
        {"0.0.0.0", IPV4 | ANY},
        {"0.0.0.1", IPV4},
        {"::", ANY},
        {"9.255.255.255", IPV4},
        {"10.0.0.0", IPV4 | LOCAL},
        {"10.255.255.255", IPV4 | LOCAL},
        {"11.0.0.0", IPV4},
        {"172.15.255.255", IPV4},
        {"172.16.0.0", IPV4 | LOCAL},
        {"172.31.255.255", IPV4 | LOCAL},
        {"172.32.0.0", IPV4},
        {"192.167.255.255", IPV4},
        {"192.168.0.0", IPV4 | LOCAL},
        {"192.168.255.255", IPV4 | LOCAL},
        {"192.169.0.0", IPV4},
        {"169.253.255.255", IPV4},
        {"169.254.0.0", IPV4 | LOCAL},
        {"169.255.0.0", IPV4},
        {"100.63.255.255", IPV4},
        {"100.64.0.0", IPV4 | LOCAL},
        {"100.127.255.255", IPV4 | LOCAL},
        {"100.128.0.0", IPV4},
        {"fbff:ffff::", 0},
        {"fc00::", LOCAL},
        {"fdff:ffff::1", LOCAL},
        {"fe00::", 0},
        {"fe7f::1", 0},
        {"fe80::", LOCAL},
        {"febf::1", LOCAL},
        {"fec0::1", 0},
        {"::10.0.0.1", 0}, /* the old IPv4-compatible form is not IPv4 */
        {"2001:db8::1", 0},
        {"8.8.8.8", IPV4},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct addr a = parsed(known[i].text);
        int what = known[i].what;

        ck_assert_msg(addr_is_ipv4(&a) == !!(what & IPV4), "%s", known[i].text);
        ck_assert_msg(addr_is_loopback(&a) == !!(what & LOOPBACK), "%s", known[i].text);
        ck_assert_msg(addr_is_unspecified(&a) == !!(what & ANY), "%s", known[i].text);
        ck_assert_msg(addr_is_local(&a) == !!(what & LOCAL), "%s", known[i].text);
    }
}
END_TEST

START_TEST(a_network_holds_its_first_and_last_address_and_no_other)
{
    static const struct {
        const char *net, *inside_first, *inside_last, *below, *above;
    } known[] = {
        {"192.168.0.0/16", "192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"},
        {"10.0.0.0/9", "10.0.0.0", "10.127.255.255", "9.255.255.255", "10.128.0.0"},
        {"10.1.2.3", "10.1.2.3", "10.1.2.3", "10.1.2.2", "10.1.2.4"},
        {"10.1.2.2/31", "10.1.2.2", "10.1.2.3", "10.1.2.1", "10.1.2.4"},
        {"fd00::/8", "fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fcff::", "fe00::"},
        {"2001:db8::1", "2001:db8::1", "2001:db8::1", "2001:db8::", "2001:db8::2"},
        {"2001:db8::/33", "2001:db8::", "2001:db8:7fff::1", "2001:db7::", "2001:db8:8000::"},
        {"::ffff:10.0.0.0/104", "10.0.0.0", "10.255.255.255", "9.0.0.0", "11.0.0.0"},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct addr_net n = net(known[i].net);
        struct addr first = parsed(known[i].inside_first);
        struct addr last = parsed(known[i].inside_last);
        struct addr below = parsed(known[i].below);
        struct addr above = parsed(known[i].above);

        ck_assert_msg(addr_net_contains(&n, &first), "%s", known[i].net);
        ck_assert_msg(addr_net_contains(&n, &last), "%s", known[i].net);
        ck_assert_msg(!addr_net_contains(&n, &below), "%s", known[i].net);
        ck_assert_msg(!addr_net_contains(&n, &above), "%s", known[i].net);
    }
}
END_TEST

START_TEST(all_of_ipv6_lets_no_ipv4_in)
{
    struct addr_net all6 = net("::/0");
    struct addr_net all4 = net("0.0.0.0/0");
    struct addr_net mapped = net("::ffff:0:0/96");
    struct addr_net low = net("::/64");
    struct addr v4 = parsed("203.0.113.1");
    struct addr v6 = parsed("2001:db8::1");
    struct addr loopback = parsed("::1");

    ck_assert_uint_eq(all4.prefix_len, 96);
    ck_assert(addr_net_contains(&all4, &v4) && !addr_net_contains(&all4, &v6));
    ck_assert(addr_net_contains(&mapped, &v4) && !addr_net_contains(&mapped, &v6));
    ck_assert(!addr_net_contains(&all6, &v4) && addr_net_contains(&all6, &v6));
    ck_assert(!addr_net_contains(&low, &v4) && addr_net_contains(&low, &loopback));
}
END_TEST

START_TEST(what_is_no_network_is_refused_and_changes_nothing)
{
    static const char *const bad[] = {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
        "10.0.0.0/8/8", "10.0.0.0/8 ", "10.0.0.0/255.0.0.0", "10.0.0.1/8", "10.0.0.1/31", "10/8",
        "fd00::/129", "fd00::1/8", "fd00::/7x", "fe80::%2/64", "::ffff:10.0.0.0/8", "[fd00::]/8",
        "10.0.0.0:53", "example/8", "10.0.0.0/4294967304"};
    struct addr_net n;
    struct addr_net before;

    memset(&n, 0x5a, sizeof n);
    before = n;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(addr_net_parse(bad[i], &n) == -1, "\"%s\" was taken", bad[i]);
        ck_assert_msg(memcmp(&n, &before, sizeof n) == 0, "\"%s\" left a trace", bad[i]);
    }
}
END_TEST

START_TEST(one_client_is_an_ipv4_address_or_a_slash_64)
{
    static const uint8_t zero[8];
    struct addr v4 = parsed("192.0.2.1:1");
    struct addr v4_other_port = parsed("192.0.2.1:2");
    struct addr v4_neighbour = parsed("192.0.2.2:1");
    struct addr v6 = parsed("2001:db8:1:2:3:4:5:6");
    struct addr v6_same_64 = parsed("2001:db8:1:2:ffff::");
    struct addr v6_next_64 = parsed("2001:db8:1:3:3:4:5:6");
    uint8_t a[16];
    uint8_t b[16];

    memset(a, 0x5a, sizeof a);
    addr_client_id(&v4, a);
    ck_assert_mem_eq(a, v4.ip, 16);
    addr_client_id(&v4_other_port, b);
    ck_assert_mem_eq(a, b, 16);
    addr_client_id(&v4_neighbour, b);
    ck_assert_mem_ne(a, b, 16);
    addr_client_id(&v6, a);
    ck_assert_mem_eq(a, v6.ip, 8);
    ck_assert_mem_eq(a + 8, zero, 8);
    addr_client_id(&v6_same_64, b);
    ck_assert_mem_eq(a, b, 16);
    addr_client_id(&v6_next_64, b);
    ck_assert_mem_ne(a, b, 16);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("addr");
    TCase *text = tcase_create("text");
    TCase *ranges = tcase_create("ranges");
    SRunner *runner;
    int failed;

    tcase_add_test(text, every_documented_form_is_read_and_written_back);
    tcase_add_test(text, the_bytes_are_in_network_order);
    tcase_add_test(text, the_longest_text_fits);
    tcase_add_test(text, what_is_no_address_is_refused_and_changes_nothing);
    tcase_add_test(text, port_zero_is_for_those_who_ask_for_it);
    tcase_add_test(ranges, addresses_differ_by_ip_scope_and_port);
    tcase_add_test(ranges, each_range_ends_where_its_rfc_says);
    tcase_add_test(ranges, a_network_holds_its_first_and_last_address_and_no_other);
    tcase_add_test(ranges, all_of_ipv6_lets_no_ipv4_in);
    tcase_add_test(ranges, what_is_no_network_is_refused_and_changes_nothing);
    tcase_add_test(ranges, one_client_is_an_ipv4_address_or_a_slash_64);
    suite_add_tcase(suite, text);
    suite_add_tcase(suite, ranges);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
