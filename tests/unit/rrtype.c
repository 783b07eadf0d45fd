/* rrtype.c: knows a few rows of the registry, by number and by name.
 * Never looks at the table. */
#include "rrtype.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define UNTOUCHED 77

static uint16_t read_type(const char *text)
{
    uint16_t type = UNTOUCHED;
    ck_assert_msg(rrtype_read(text, strlen(text), &type), "'%s'", text);
    return type;
}

START_TEST(types_have_their_mnemonics)
{
    ck_assert_str_eq(rrtype_name(1), "A");
    ck_assert_str_eq(rrtype_name(28), "AAAA");
    ck_assert_str_eq(rrtype_name(65), "HTTPS");
    ck_assert_str_eq(rrtype_name(257), "CAA");
    ck_assert_ptr_null(rrtype_name(0));
    ck_assert_ptr_null(rrtype_name(65280));
}
END_TEST

START_TEST(what_is_written_is_read_again)
{
    unsigned n = 0;
    for (unsigned type = 0; type <= UINT16_MAX; type++) {
        const char *name = rrtype_name((uint16_t)type);
        if (name == NULL)
            continue;
        ck_assert_uint_lt(strlen(name), RRTYPE_TEXT_MAX);
        ck_assert_uint_eq(read_type(name), type);
        n++;
    }
    ck_assert_uint_gt(n, 40);
}
END_TEST

START_TEST(numbers_and_either_case_are_read)
{
    ck_assert_uint_eq(read_type("aaaa"), 28);
    ck_assert_uint_eq(read_type("Nsec3Param"), 51);
    ck_assert_uint_eq(read_type("TYPE0"), 0);
    ck_assert_uint_eq(read_type("type65"), 65);
    ck_assert_uint_eq(read_type("TYPE65535"), 65535);
}
END_TEST

START_TEST(what_is_no_type_is_refused)
{
    static const char *const texts[] = {"", "AA", "A ", "AAAAA", "TYPE", "TYPE-1", "TYPE65536",
        "TYPE1x", "NSEC3PARAMS", "TYPE00000000000001"};
    uint16_t type = UNTOUCHED;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        ck_assert_msg(!rrtype_read(texts[i], strlen(texts[i]), &type), "'%s'", texts[i]);
    ck_assert(!rrtype_read("A\0A", 3, &type));
    ck_assert_uint_eq(type, UNTOUCHED);
    ck_assert(rrtype_read("MX,TXT", 2, &type)); /* only so many bytes are looked at */
    ck_assert_uint_eq(type, 15);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rrtype");
    TCase *tc = tcase_create("rrtype");
    tcase_add_test(tc, types_have_their_mnemonics);
    tcase_add_test(tc, what_is_written_is_read_again);
    tcase_add_test(tc, numbers_and_either_case_are_read);
    tcase_add_test(tc, what_is_no_type_is_refused);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
