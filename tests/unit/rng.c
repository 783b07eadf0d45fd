/* tests/unit/rng.c: the stream of a known seed, that it forgets its past, and that it is even.
 * Knows rng.h and a published keystream; never how the bytes are buffered. */
#include "rng.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t zero_seed[RNG_SEED_LEN];

START_TEST(the_stream_of_the_zero_seed_is_chacha20_behind_the_next_key)
{
    /* ChaCha20, key and nonce zero: bytes 32 to 63 of block 0 (RFC 8439 A.1, test vector 1). */
    static const uint8_t expected[32] = {0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d, 0x77, 0x24,
        0xe0, 0x3f, 0xb8, 0xd8, 0x4a, 0x37, 0x6a, 0x43, 0xb8, 0xf4, 0x15, 0x18, 0xa1, 0x1c, 0xc3,
        0x87, 0xb6, 0x69, 0xb2, 0xee, 0x65, 0x86};
    struct rng *r = rng_create(zero_seed);
    uint8_t out[32];

    ck_assert_ptr_nonnull(r);
    rng_bytes(r, out, sizeof out);
    ck_assert_mem_eq(out, expected, sizeof out);
    rng_free(r);
}
END_TEST

START_TEST(each_refill_replaces_the_key_by_its_first_bytes)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    struct rng *r = rng_create(zero_seed);
    uint8_t key[32] = {0};
    uint8_t block[512];
    uint8_t out[480];

    ck_assert_ptr_nonnull(r);
    for (int i = 0; i < 5; i++) {
        crypto_stream_chacha20(block, sizeof block, nonce, key);
        memcpy(key, block, sizeof key);
        rng_bytes(r, out, sizeof out);
        ck_assert_mem_eq(out, block + 32, sizeof out);
    }
    rng_free(r);
}
END_TEST

START_TEST(the_stream_does_not_depend_on_how_it_is_read)
{
    enum { TOTAL = 5000 };
    static uint8_t whole[TOTAL];
    static uint8_t pieces[TOTAL];
    struct rng *a = rng_create(zero_seed);
    struct rng *b = rng_create(zero_seed);
    size_t at = 0;

    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(b);
    rng_bytes(a, whole, TOTAL);
    for (size_t n = 0; at < TOTAL; n = (n + 1) % 61) {
        size_t take = n < TOTAL - at ? n : TOTAL - at;

        rng_bytes(b, pieces + at, take);
        at += take;
    }
    ck_assert_mem_eq(whole, pieces, TOTAL);
    rng_free(a);
    rng_free(b);
}
END_TEST

/* The memory of a generator is looked for what it gave out: struct rng is one block of malloc's. */
START_TEST(nothing_that_was_given_out_stays_in_memory)
{
    enum { STATE = 520 };
    struct rng *r = rng_create(zero_seed);
    uint8_t out[96];

    ck_assert_ptr_nonnull(r);
    for (int i = 0; i < 50; i++) {
        rng_bytes(r, out, sizeof out);
        for (size_t piece = 0; piece + 8 <= sizeof out; piece += 8)
            for (size_t at = 0; at + 8 <= STATE; at++)
                ck_assert_mem_ne((const uint8_t *)r + at, out + piece, 8);
    }
    rng_free(r);
}
END_TEST

START_TEST(another_seed_is_another_stream)
{
    uint8_t seed[RNG_SEED_LEN] = {0};
    struct rng *a = rng_create(seed);
    struct rng *b;
    uint8_t out_a[32];
    uint8_t out_b[32];

    seed[31] = 1;
    b = rng_create(seed);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(b);
    rng_bytes(a, out_a, sizeof out_a);
    rng_bytes(b, out_b, sizeof out_b);
    ck_assert_mem_ne(out_a, out_b, sizeof out_a);
    rng_free(a);
    rng_free(b);
}
END_TEST

/* Chi-squared with k-1 degrees of freedom; the seed is fixed, so this passes always or never. */
static double chi_squared(const unsigned *seen, size_t k, unsigned draws)
{
    double expected = (double)draws / (double)k;
    double sum = 0;

    for (size_t i = 0; i < k; i++)
        sum += ((double)seen[i] - expected) * ((double)seen[i] - expected) / expected;
    return sum;
}

START_TEST(every_number_below_the_bound_is_as_likely)
{
    enum { DRAWS = 1000000 };
    static const uint32_t bounds[] = {2, 3, 7, 10, 100};
    static const double limits[] = {15.1, 18.4, 27.9, 33.7, 161.3}; /* 99.99 % quantiles */
    struct rng *r = rng_create(zero_seed);

    ck_assert_ptr_nonnull(r);
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        unsigned seen[100] = {0};

        for (int n = 0; n < DRAWS; n++) {
            uint32_t x = rng_below(r, bounds[i]);

            ck_assert_uint_lt(x, bounds[i]);
            seen[x]++;
        }
        ck_assert_double_lt(chi_squared(seen, bounds[i], DRAWS), limits[i]);
    }
    rng_free(r);
}
END_TEST

/* With 3/4 of 2^32 as the bound, taking the upper half alone would make every third number twice
 * as likely as its neighbours. */
START_TEST(a_bound_that_does_not_divide_2_to_the_32_gives_no_bias)
{
    enum { DRAWS = 600000 };
    const uint32_t bound = UINT32_C(3) << 30;
    struct rng *r = rng_create(zero_seed);
    unsigned seen[3] = {0};

    ck_assert_ptr_nonnull(r);
    for (int n = 0; n < DRAWS; n++) {
        uint32_t x = rng_below(r, bound);

        ck_assert_uint_lt(x, bound);
        seen[x % 3]++;
    }
    ck_assert_double_lt(chi_squared(seen, 3, DRAWS), 18.4);
    rng_free(r);
}
END_TEST

START_TEST(the_smallest_and_the_largest_bound_work)
{
    struct rng *r = rng_create(zero_seed);
    uint32_t high = 0;

    ck_assert_ptr_nonnull(r);
    for (int n = 0; n < 1000; n++) {
        uint32_t x = rng_below(r, UINT32_MAX);

        ck_assert_uint_eq(rng_below(r, 1), 0);
        ck_assert_uint_lt(x, UINT32_MAX);
        high |= x;
    }
    ck_assert_uint_eq(high, UINT32_MAX);
    rng_free(r);
}
END_TEST

START_TEST(sixteen_bits_reach_every_value)
{
    static uint8_t seen[65536];
    struct rng *r = rng_create(zero_seed);
    unsigned distinct = 0;

    ck_assert_ptr_nonnull(r);
    for (int n = 0; n < 2000000; n++) {
        uint16_t x = rng_u16(r);

        distinct += !seen[x];
        seen[x] = 1;
    }
    ck_assert_uint_eq(distinct, 65536); /* each is missed with e^-30 */
    rng_free(r);
}
END_TEST

START_TEST(freeing_nothing_is_fine)
{
    rng_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rng");
    TCase *tcase = tcase_create("rng");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_stream_of_the_zero_seed_is_chacha20_behind_the_next_key);
    tcase_add_test(tcase, each_refill_replaces_the_key_by_its_first_bytes);
    tcase_add_test(tcase, the_stream_does_not_depend_on_how_it_is_read);
    tcase_add_test(tcase, nothing_that_was_given_out_stays_in_memory);
    tcase_add_test(tcase, another_seed_is_another_stream);
    tcase_add_test(tcase, every_number_below_the_bound_is_as_likely);
    tcase_add_test(tcase, a_bound_that_does_not_divide_2_to_the_32_gives_no_bias);
    tcase_add_test(tcase, the_smallest_and_the_largest_bound_work);
    tcase_add_test(tcase, sixteen_bits_reach_every_value);
    tcase_add_test(tcase, freeing_nothing_is_fine);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
