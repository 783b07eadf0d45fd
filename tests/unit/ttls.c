/* ttls.c: knows a few names with their TTLs, and what is reported of tables that are wrong.
 * Never looks at how they are kept. */
#include "tools/ttls.h"

#include "tests/unit/scarce.h"
#include "tools/hostname.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN 77

static char reported[1024];

static void note(void *ctx, size_t line, const char *why)
{
    size_t len = strlen(reported);
    (void)ctx;
    snprintf(reported + len, sizeof(reported) - len, "%zu: %s\n", line, why);
}

static struct ttls *read_text(const char *text)
{
    reported[0] = '\0';
    struct ttls *t = ttls_read(text, strlen(text), note, NULL);
    ck_assert_msg((t == NULL) == (reported[0] != '\0'), "%s", reported);
    return t;
}

static uint32_t ttl_of(const struct ttls *t, const char *text)
{
    uint8_t name[WIRE_NAME_MAX];
    uint32_t ttl_s = UNKNOWN;
    size_t len = hostname_read(text, strlen(text), name);
    ck_assert_uint_gt(len, 0);
    bool found = ttls_get(t, name, len, &ttl_s);
    ck_assert_int_eq(found, ttl_s != UNKNOWN);
    return ttl_s;
}

START_TEST(names_have_the_ttl_of_their_line)
{
    struct ttls *t = read_text("# name\tseconds\nb.example\t60\n\nA.example 0\nc.example 604800\n");
    ck_assert_ptr_nonnull(t);
    ck_assert_uint_eq(ttl_of(t, "a.example"), 0);
    ck_assert_uint_eq(ttl_of(t, "B.Example."), 60);
    ck_assert_uint_eq(ttl_of(t, "c.example"), 604800);
    ck_assert_uint_eq(ttl_of(t, "example"), UNKNOWN);
    ck_assert_uint_eq(ttl_of(t, "d.c.example"), UNKNOWN);
    ttls_free(t);
}
END_TEST

START_TEST(memory_that_runs_out_is_told)
{
    static const char text[] = "a.example 60\nb.example 60\n";
    unsigned n = 0, taken;
    do {
        reported[0] = '\0';
        scarce_begin(++n, SCARCE_FOR_EVER);
        struct ttls *t = ttls_read(text, strlen(text), note, NULL);
        taken = scarce_end();
        ck_assert_int_eq(t == NULL, taken >= n);
        ck_assert_int_eq(strstr(reported, ": out of memory\n") == NULL, taken < n);
        ttls_free(t);
    } while (taken >= n);
    ck_assert_uint_ge(n, 3);
}
END_TEST

START_TEST(many_names_are_all_found)
{
    static char text[2000 * 24];
    char name[24];
    size_t len = 0;
    for (unsigned i = 0; i < 2000; i++)
        len += (size_t)snprintf(
            text + len, sizeof(text) - len, "n%u.example %u\n", i * 7919 % 2000, 1000 + i);
    struct ttls *t = read_text(text);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "n%u.example", i * 7919 % 2000);
        ck_assert_uint_eq(ttl_of(t, name), 1000 + i);
    }
    ttls_free(t);
}
END_TEST

START_TEST(no_table_and_an_empty_one_know_no_name)
{
    struct ttls *t = read_text("# nothing\n");
    ck_assert_ptr_nonnull(t);
    ck_assert_uint_eq(ttl_of(t, "a.example"), UNKNOWN);
    ck_assert_uint_eq(ttl_of(NULL, "a.example"), UNKNOWN);
    ttls_free(t);
    ttls_free(NULL);
}
END_TEST

START_TEST(every_mistake_is_told_with_its_line)
{
    ck_assert_ptr_null(read_text("a.example\nb.example 1 2\nc..example 1\nd.example x\n"
                                 "e.example -1\nf.example 604801\ng.example 5\nG.example 6\n"));
    ck_assert_str_eq(reported, "1: expected two fields: name, seconds\n"
                               "2: expected two fields: name, seconds\n"
                               "3: \"c..example\" is not a name\n"
                               "4: \"x\" is not a TTL: expected seconds from 0 to 604800\n"
                               "5: \"-1\" is not a TTL: expected seconds from 0 to 604800\n"
                               "6: \"604801\" is not a TTL: expected seconds from 0 to 604800\n"
                               "8: this name is in line 7 already\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ttls");
    TCase *tc = tcase_create("ttls");
    tcase_add_test(tc, names_have_the_ttl_of_their_line);
    tcase_add_test(tc, many_names_are_all_found);
    tcase_add_test(tc, memory_that_runs_out_is_told);
    tcase_add_test(tc, no_table_and_an_empty_one_know_no_name);
    tcase_add_test(tc, every_mistake_is_told_with_its_line);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
