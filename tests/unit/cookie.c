/* Tests of cookie.c: the examples of RFC 9018, which other servers are held to as well. */
#include "cookie.h"

#include <check.h>
#include <sodium.h>
#include <string.h>

static void is_cookie(
    const char *client, const char *peer, uint32_t now_s, const char *seed, const char *expected)
{
    uint8_t client_bytes[COOKIE_CLIENT_LEN], key[COOKIE_SEED_LEN], out[COOKIE_LEN];
    char hex[2 * COOKIE_LEN + 1];
    struct addr a;
    size_t len;
    ck_assert_int_eq(addr_parse(peer, 53, &a), 0);
    ck_assert_int_eq(
        sodium_hex2bin(client_bytes, sizeof client_bytes, client, strlen(client), NULL, &len, NULL),
        0);
    ck_assert_int_eq(sodium_hex2bin(key, sizeof key, seed, strlen(seed), NULL, &len, NULL), 0);
    cookie_make(client_bytes, &a, now_s, key, out);
    sodium_bin2hex(hex, sizeof hex, out, sizeof out);
    ck_assert_str_eq(hex, expected);
}

/* RFC 9018 appendix A: 1, learning a new server cookie; 2, the same client learning a renewed one;
 * 3, another client; 4, one of IPv6 with a renewed secret. */
START_TEST(cookies_are_those_of_rfc_9018)
{
    static const char seed[] = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    is_cookie("2464c4abcf10c957", "198.51.100.100", 1559731985, seed,
        "2464c4abcf10c957010000005cf79f111f8130c3eee29480");
    is_cookie("2464c4abcf10c957", "198.51.100.100", 1559734385, seed,
        "2464c4abcf10c957010000005cf7a871d4a564a1442aca77");
    is_cookie("fc93fc62807ddb86", "203.0.113.203", 1559734700, seed,
        "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e");
    is_cookie("22681ab97d52c298", "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961,
        "445536bcd2513298075a5d379663c962", "22681ab97d52c298010000005cf7c609a6bb79d16625507a");
}
END_TEST

START_TEST(another_client_address_time_or_secret_is_another_cookie)
{
    static const uint8_t client[COOKIE_CLIENT_LEN] = {1}, other[COOKIE_CLIENT_LEN] = {2};
    static const uint8_t seed[COOKIE_SEED_LEN] = {1}, other_seed[COOKIE_SEED_LEN] = {2};
    uint8_t one[COOKIE_LEN], two[5][COOKIE_LEN];
    struct addr a, b, c;
    ck_assert_int_eq(addr_parse("10.0.0.1", 53, &a), 0);
    ck_assert_int_eq(addr_parse("10.0.0.2", 53, &b), 0);
    ck_assert_int_eq(addr_parse("10.0.0.1", 54, &c), 0);
    cookie_make(client, &a, 7, seed, one);
    cookie_make(other, &a, 7, seed, two[0]);
    cookie_make(client, &b, 7, seed, two[1]);
    cookie_make(client, &a, 8, seed, two[2]);
    cookie_make(client, &a, 7, other_seed, two[3]);
    for (int i = 0; i < 4; i++)
        ck_assert_mem_ne(one + 16, two[i] + 16, 8);
    cookie_make(client, &c, 7, seed, two[4]); /* the port is another one for each question */
    ck_assert_mem_eq(one, two[4], COOKIE_LEN);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("unit/cookie");
    TCase *t = tcase_create("cookie");
    tcase_add_test(t, cookies_are_those_of_rfc_9018);
    tcase_add_test(t, another_client_address_time_or_secret_is_another_cookie);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
