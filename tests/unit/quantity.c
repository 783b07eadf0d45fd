/* quantity.c: knows what people write for a number with a unit, and what it comes to.
 * Never looks at how it is read. */
#include "quantity.h"

#include <check.h>
#include <stdlib.h>

#define UNTOUCHED 77

static uint64_t read_any(enum quantity_kind kind, const char *text)
{
    uint64_t out = UNTOUCHED;
    ck_assert_msg(quantity_read(kind, text, 0, UINT64_MAX, &out), "'%s'", text);
    return out;
}

static void refuse(enum quantity_kind kind, const char *text, uint64_t min, uint64_t max)
{
    uint64_t out = UNTOUCHED;
    ck_assert_msg(!quantity_read(kind, text, min, max, &out), "'%s'", text);
    ck_assert_uint_eq(out, UNTOUCHED);
}

START_TEST(units_come_to_milliseconds_bytes_and_percent)
{
    ck_assert_uint_eq(read_any(QUANTITY_COUNT, "0"), 0);
    ck_assert_uint_eq(read_any(QUANTITY_COUNT, "007"), 7);
    ck_assert_uint_eq(read_any(QUANTITY_PERCENT, "12"), 12);
    ck_assert_uint_eq(read_any(QUANTITY_PERCENT, "12%"), 12);
    ck_assert_uint_eq(read_any(QUANTITY_PERIOD, "2"), 2000);
    ck_assert_uint_eq(read_any(QUANTITY_PERIOD, "2s"), 2000);
    ck_assert_uint_eq(read_any(QUANTITY_PERIOD, "500ms"), 500);
    ck_assert_uint_eq(read_any(QUANTITY_PERIOD, "15m"), 900000);
    ck_assert_uint_eq(read_any(QUANTITY_PERIOD, "2h"), 7200000);
    ck_assert_uint_eq(read_any(QUANTITY_PERIOD, "7d"), 604800000);
    ck_assert_uint_eq(read_any(QUANTITY_SIZE, "9"), 9);
    ck_assert_uint_eq(read_any(QUANTITY_SIZE, "3k"), 3072);
    ck_assert_uint_eq(read_any(QUANTITY_SIZE, "64M"), 67108864);
    ck_assert_uint_eq(read_any(QUANTITY_SIZE, "4g"), UINT64_C(4294967296));
}
END_TEST

START_TEST(what_is_no_number_with_its_unit_is_refused)
{
    static const char *const texts[] = {"", " ", "-1", "+1", " 1", "1 ", "1 s", "1.5", "1e3", "0x1",
        "s", "ms", "1S", "1w", "1ss", "1s1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        for (int kind = QUANTITY_COUNT; kind <= QUANTITY_SIZE; kind++)
            refuse((enum quantity_kind)kind, texts[i], 0, UINT64_MAX);
    refuse(QUANTITY_COUNT, "1s", 0, UINT64_MAX);
    refuse(QUANTITY_PERIOD, "1%", 0, UINT64_MAX);
    refuse(QUANTITY_PERCENT, "1K", 0, UINT64_MAX);
    refuse(QUANTITY_SIZE, "1ms", 0, UINT64_MAX);
}
END_TEST

START_TEST(bounds_hold_after_the_unit)
{
    ck_assert_uint_eq(read_any(QUANTITY_COUNT, "18446744073709551615"), UINT64_MAX);
    refuse(QUANTITY_COUNT, "18446744073709551616", 0, UINT64_MAX);
    refuse(QUANTITY_COUNT, "99999999999999999999", 0, UINT64_MAX);
    refuse(QUANTITY_PERIOD, "18446744073709552", 0, UINT64_MAX); /* s: would wrap round */
    refuse(QUANTITY_PERIOD, "10", 0, 9999);
    refuse(QUANTITY_PERIOD, "9ms", 10, 9999);
    uint64_t out;
    ck_assert(quantity_read(QUANTITY_PERIOD, "10ms", 10, 9999, &out));
    ck_assert(quantity_read(QUANTITY_PERIOD, "9999ms", 10, 9999, &out));
    ck_assert_uint_eq(out, 9999);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantity");
    TCase *tc = tcase_create("quantity");
    tcase_add_test(tc, units_come_to_milliseconds_bytes_and_percent);
    tcase_add_test(tc, what_is_no_number_with_its_unit_is_refused);
    tcase_add_test(tc, bounds_hold_after_the_unit);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
