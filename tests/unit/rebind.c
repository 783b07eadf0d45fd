/* Tests of rebind.c: each range's first and last address and their neighbours, each place of an
 * answer that has addresses, and names. */
#include "rebind.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

/* ---- addresses ------------------------------------------------------------------------------- */

static bool is_private(const char *text)
{
    uint8_t ip[16];
    bool six = strchr(text, ':') != NULL;
    ck_assert_int_eq(inet_pton(six ? AF_INET6 : AF_INET, text, ip), 1);
    return rebind_is_private(ip, six ? 16 : 4);
}

START_TEST(each_range_of_ipv4_ends_where_its_rfc_says)
{
    static const char *const ours[] = {"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255",
        "100.64.0.0", "100.127.255.255", "127.0.0.0", "127.255.255.255", "169.254.0.0",
        "169.254.255.255", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.127",
        "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "240.0.0.0",
        "255.255.255.255"};
    static const char *const theirs[] = {"1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255",
        "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0",
        "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.0.170", "192.0.1.0", "192.0.2.1",
        "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "239.255.255.255"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        ck_assert_msg(is_private(ours[i]), "%s", ours[i]);
    for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
        ck_assert_msg(!is_private(theirs[i]), "%s", theirs[i]);
}
END_TEST

START_TEST(each_range_of_ipv6_ends_where_its_rfc_says)
{
    static const char *const ours[] = {"::", "::1",
        "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::1", "febf::1", "fec0::1",
        "feff::1", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"};
    static const char *const theirs[] = {"::1:0:0", "2001:db8::1", "2620:fe::fe",
        "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::1", "fe7f:ffff::1", "ff02::1",
        "64:ff9b:0:ffff::", "64:ff9b:2::"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        ck_assert_msg(is_private(ours[i]), "%s", ours[i]);
    for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
        ck_assert_msg(!is_private(theirs[i]), "%s", theirs[i]);
}
END_TEST

START_TEST(ipv4_in_the_clothes_of_ipv6_is_seen)
{
    static const char *const ours[] = {"::192.168.1.1", "::ffff:192.168.1.1", "::ffff:127.0.0.1",
        "::ffff:0:192.168.1.1", "64:ff9b::10.0.0.1", "64:ff9b:1::192.0.2.1", "2002:c0a8:101::1",
        "2002:7f00:1::"};
    static const char *const theirs[] = {"::ffff:192.0.2.1", "::192.0.2.1", "::ffff:0:192.0.2.1",
        "64:ff9b::192.0.2.1", "64:ff9b::192.0.0.170", "64:ff9b:2::10.0.0.1", "::fffe:192.168.1.1",
        "64:ff9b::1:a00:1", "2002:c000:201::192.168.1.1", "2003:c0a8:101::1"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        ck_assert_msg(is_private(ours[i]), "%s", ours[i]);
    for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
        ck_assert_msg(!is_private(theirs[i]), "%s", theirs[i]);
}
END_TEST

START_TEST(an_address_of_another_length_is_none)
{
    static const uint8_t zeros[16] = {0};
    for (size_t len = 0; len <= 16; len++)
        ck_assert_int_eq(rebind_is_private(zeros, len), len == 4 || len == 16);
}
END_TEST

/* ---- answers --------------------------------------------------------------------------------- */

static const uint8_t qname[] = "\1a\7example";
static const uint8_t private4[4] = {192, 168, 1, 1}, public4[4] = {192, 0, 2, 1};

static struct rebind_name allowed[2];
static struct rebind_conf conf;

static void setup(void)
{
    conf = (struct rebind_conf){.on = true, .allow = allowed};
}

static void put(struct wire_writer *w, enum wire_section section, uint16_t type,
    const uint8_t *rdata, size_t len)
{
    struct wire_record r = {.owner = qname,
        .owner_len = sizeof qname,
        .type = type,
        .class = WIRE_CLASS_IN,
        .ttl_s = 60,
        .rdata = rdata,
        .rdata_len = len};
    wire_put_record(w, section, &r);
}

/* Whether an answer with a public address, and behind it this record, is refused. */
static bool refused(enum wire_section section, uint16_t type, const void *rdata, size_t len)
{
    static uint8_t scratch[WIRE_MESSAGE_MAX], packed[WIRE_PACKED_MAX];
    struct wire_writer w;
    wire_writer_start(&w, qname, sizeof qname, scratch, sizeof scratch);
    put(&w, WIRE_SECTION_ANSWER, WIRE_TYPE_A, public4, 4);
    put(&w, section, type, rdata, len);
    size_t packed_len = wire_writer_finish(&w, 0, packed, sizeof packed);
    ck_assert_uint_gt(packed_len, 0);
    /* What is read beyond its end is seen by the sanitizers. */
    uint8_t *exact = malloc(packed_len);
    memcpy(exact, packed, packed_len);
    bool said = rebind_refuses(&conf, qname, sizeof qname, exact, packed_len);
    for (size_t cut = 0; cut < packed_len; cut++) {
        uint8_t *part = malloc(cut + 1);
        memcpy(part, packed, cut);
        rebind_refuses(&conf, qname, sizeof qname, part, cut);
        free(part);
    }
    free(exact);
    return said;
}

START_TEST(a_private_address_is_found_in_every_section)
{
    static const uint8_t six[16] = {0xfd, [15] = 1};
    for (int s = WIRE_SECTION_ANSWER; s <= WIRE_SECTION_ADDITIONAL; s++) {
        ck_assert(refused((enum wire_section)s, WIRE_TYPE_A, private4, 4));
        ck_assert(refused((enum wire_section)s, WIRE_TYPE_AAAA, six, 16));
        ck_assert(!refused((enum wire_section)s, WIRE_TYPE_A, public4, 4));
        ck_assert(!refused((enum wire_section)s, WIRE_TYPE_TXT, private4, 4));
    }
}
END_TEST

#define HINT4              "\0\4\0\10\300\0\2\1\300\250\1\1" /* 192.0.2.1 192.168.1.1 */
#define HINT6_PRIVATE      "\0\6\0\20\375\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
#define ALPN               "\0\1\0\3\2h2"
#define REFUSED_SVCB(text) refused(WIRE_SECTION_ANSWER, WIRE_TYPE_HTTPS, text, sizeof(text) - 1)

START_TEST(hints_of_services_are_addresses_too)
{
    ck_assert(REFUSED_SVCB("\0\1\0" HINT4));
    ck_assert(REFUSED_SVCB("\0\1\0" ALPN HINT6_PRIVATE));
    ck_assert(REFUSED_SVCB("\0\1\1b\7example\0" ALPN HINT4));
    ck_assert(refused(WIRE_SECTION_ANSWER, WIRE_TYPE_SVCB, "\0\1\0" HINT4, 15));
    ck_assert(!REFUSED_SVCB("\0\1\0" ALPN));
    ck_assert(!REFUSED_SVCB("\0\1\0\0\4\0\4\300\0\2\1"));
    ck_assert(!REFUSED_SVCB("\0\1\0\0\6\0\20\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1"));
    /* The same bytes under another key are no addresses. */
    ck_assert(!REFUSED_SVCB("\0\1\0\0\5\0\4\300\250\1\1"));
}
END_TEST

START_TEST(a_target_that_is_compressed_against_the_rules_hides_nothing)
{
    ck_assert(REFUSED_SVCB("\0\1\300\14" HINT4));
    ck_assert(REFUSED_SVCB("\0\1\1b\300\14" HINT4));
}
END_TEST

START_TEST(services_that_are_cut_short_are_read_to_their_end_and_no_further)
{
    static const char whole[] = "\0\1\1b\7example\0" ALPN HINT4;
    /* Every cut, and a length that claims more than there is. */
    for (size_t len = 0; len < sizeof whole - 1; len++)
        ck_assert(!refused(WIRE_SECTION_ANSWER, WIRE_TYPE_HTTPS, whole, len));
    ck_assert(refused(WIRE_SECTION_ANSWER, WIRE_TYPE_HTTPS, whole, sizeof whole - 1));
    ck_assert(!REFUSED_SVCB("\0\1\0\0\4\377\377\300\250\1\1"));
    ck_assert(!REFUSED_SVCB("\0\1\77"));
}
END_TEST

START_TEST(off_means_off)
{
    conf.on = false;
    ck_assert(!refused(WIRE_SECTION_ANSWER, WIRE_TYPE_A, private4, 4));
}
END_TEST

/* ---- names ----------------------------------------------------------------------------------- */

static void allow(const char *text)
{
    ck_assert_int_eq(rebind_name_parse(text, &allowed[conf.n_allow]), 0);
    conf.n_allow++;
}

START_TEST(a_name_that_is_listed_and_those_below_it_are_let_through)
{
    allow("other.example");
    ck_assert(refused(WIRE_SECTION_ANSWER, WIRE_TYPE_A, private4, 4));
    allow("EXAMPLE.");
    ck_assert(!refused(WIRE_SECTION_ANSWER, WIRE_TYPE_A, private4, 4));
    conf.n_allow = 0;
    allow("a.example");
    ck_assert(!refused(WIRE_SECTION_ANSWER, WIRE_TYPE_A, private4, 4));
    conf.n_allow = 0;
    allow("b.a.example");
    allow("xample");
    ck_assert(refused(WIRE_SECTION_ANSWER, WIRE_TYPE_A, private4, 4));
}
END_TEST

START_TEST(names_are_read_or_refused)
{
    static const char *const wrong[] = {
        "", ".", "..", "a..b", ".a", "a b", "a..", "*.a", "a\\046b", "\xc3\xa4", "a:b"};
    struct rebind_name name;
    char text[300];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(rebind_name_parse(wrong[i], &name) == -1, "%s", wrong[i]);
    ck_assert_int_eq(rebind_name_parse("_Sub-1.Example.", &name), 0);
    ck_assert_uint_eq(name.len, 16);
    ck_assert_mem_eq(name.wire, "\6_sub-1\7example", 16);
    memset(text, 'a', sizeof text);
    text[WIRE_LABEL_MAX] = '\0';
    ck_assert_int_eq(rebind_name_parse(text, &name), 0);
    text[WIRE_LABEL_MAX] = 'a';
    text[WIRE_LABEL_MAX + 1] = '\0';
    ck_assert_int_eq(rebind_name_parse(text, &name), -1);
}
END_TEST

START_TEST(the_longest_name_is_read_and_no_longer_one)
{
    struct rebind_name name;
    char text[300];
    memset(text, 'a', sizeof text);
    text[63] = text[127] = text[191] = '.';
    text[253] = '\0'; /* 64 + 64 + 64 + 62 bytes, and the root */
    ck_assert_int_eq(rebind_name_parse(text, &name), 0);
    ck_assert_uint_eq(name.len, WIRE_NAME_MAX);
    ck_assert_uint_eq(wire_name_len(name.wire, name.len), WIRE_NAME_MAX);
    text[253] = '.';
    text[254] = '\0';
    ck_assert_int_eq(rebind_name_parse(text, &name), 0);
    text[253] = 'a';
    ck_assert_int_eq(rebind_name_parse(text, &name), -1);
    for (size_t len = 1; len < 253; len++) {
        char *cut = strndup(text, len);
        if (rebind_name_parse(cut, &name) == 0)
            ck_assert_uint_eq(wire_name_len(name.wire, name.len), name.len);
        free(cut);
    }
}
END_TEST

START_TEST(two_rules_are_the_same_if_they_let_the_same_pass)
{
    struct rebind_name other[2];
    struct rebind_conf b = {.on = true, .allow = other};
    ck_assert(rebind_same(&conf, &b));
    b.on = false;
    ck_assert(!rebind_same(&conf, &b));
    b.on = true;
    allow("a.example");
    ck_assert(!rebind_same(&conf, &b));
    ck_assert_int_eq(rebind_name_parse("A.example.", &other[0]), 0);
    b.n_allow = 1;
    ck_assert(rebind_same(&conf, &b));
    ck_assert_int_eq(rebind_name_parse("b.example", &other[0]), 0);
    ck_assert(!rebind_same(&conf, &b));
    ck_assert_int_eq(rebind_name_parse("longer.example", &other[0]), 0);
    ck_assert(!rebind_same(&conf, &b));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("unit/rebind");
    TCase *t = tcase_create("rebind");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, each_range_of_ipv4_ends_where_its_rfc_says);
    tcase_add_test(t, each_range_of_ipv6_ends_where_its_rfc_says);
    tcase_add_test(t, ipv4_in_the_clothes_of_ipv6_is_seen);
    tcase_add_test(t, an_address_of_another_length_is_none);
    tcase_add_test(t, a_private_address_is_found_in_every_section);
    tcase_add_test(t, hints_of_services_are_addresses_too);
    tcase_add_test(t, a_target_that_is_compressed_against_the_rules_hides_nothing);
    tcase_add_test(t, services_that_are_cut_short_are_read_to_their_end_and_no_further);
    tcase_add_test(t, off_means_off);
    tcase_add_test(t, a_name_that_is_listed_and_those_below_it_are_let_through);
    tcase_add_test(t, names_are_read_or_refused);
    tcase_add_test(t, the_longest_name_is_read_and_no_longer_one);
    tcase_add_test(t, two_rules_are_the_same_if_they_let_the_same_pass);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
