/* tree.c: knows the form of TREE files, and what is reported of those that are wrong.
 * Never looks at how they are read. */
#include "tools/tree.h"

#include "tests/unit/scarce.h"
#include "tools/hostname.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what was reported, as "LINE: WHY\n" ----------------------------------------------------- */

static char reported[16384];

static void note(void *ctx, size_t line, const char *why)
{
    size_t len = strlen(reported);
    ck_assert_ptr_eq(ctx, reported);
    snprintf(reported + len, sizeof(reported) - len, "%zu: %s\n", line, why);
}

static struct tree *read_text(const char *text, size_t len)
{
    /* Exactly as many bytes as there are: the sanitizers see one too many. */
    char *copy = malloc(len + (len == 0));
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, len);
    reported[0] = '\0';
    struct tree *t = tree_read(copy, len, note, reported);
    free(copy);
    ck_assert_msg((t == NULL) == (reported[0] != '\0'), "%s", reported);
    return t;
}

static struct tree *read_good(const char *text)
{
    struct tree *t = read_text(text, strlen(text));
    ck_assert_msg(t != NULL, "%s", reported);
    return t;
}

static void refuse(const char *text, const char *expected)
{
    ck_assert_ptr_null(read_text(text, strlen(text)));
    ck_assert_str_eq(reported, expected);
}

static const char *name_of(const struct tree_node *node)
{
    static char text[WIRE_NAME_TEXT_MAX];
    wire_name_text(node->name, node->name_len, text);
    return text;
}

static const struct tree_node *node_of(const struct tree *t, const char *name)
{
    size_t n;
    const struct tree_node *nodes = tree_nodes(t, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(name_of(&nodes[i]), name) == 0)
            return &nodes[i];
    ck_abort_msg("no node %s", name);
}

/* The names of a list of siblings, with a blank between them. */
static void assert_siblings(const struct tree *t, size_t first, const char *expected)
{
    char text[1024] = "";
    size_t n;
    const struct tree_node *nodes = tree_nodes(t, &n);
    for (size_t at = first; at != TREE_NONE; at = nodes[at].next_sibling) {
        ck_assert_uint_lt(at, n);
        strcat(text, text[0] != '\0' ? " " : "");
        strcat(text, name_of(&nodes[at]));
    }
    ck_assert_str_eq(text, expected);
}

/* ---- good files ------------------------------------------------------------------------------ */

START_TEST(a_page_is_read_with_its_parents_and_delays)
{
    struct tree *t = read_good("# a page\n"
                               "www.a.example\t-\t-\n"
                               "\n"
                               "cdn.a.example\twww.a.example\t-12\n"
                               "ads.example\twww.a.example\t250\n"
                               "  # indented\n"
                               "img.ads.example\tads.example\t0\n");
    size_t n;
    const struct tree_node *nodes = tree_nodes(t, &n);
    ck_assert_uint_eq(n, 4);
    ck_assert_uint_eq(nodes[0].line, 2);
    ck_assert_uint_eq(nodes[3].line, 7);
    ck_assert_uint_eq(nodes[0].parent, TREE_NONE);
    ck_assert_uint_eq(nodes[3].parent, 2);
    ck_assert_int_eq(nodes[0].delay_ms, 0);
    ck_assert_int_eq(nodes[1].delay_ms, -12);
    ck_assert_int_eq(nodes[2].delay_ms, 250);
    assert_siblings(t, tree_first(t), "www.a.example");
    assert_siblings(t, nodes[0].first_child, "cdn.a.example ads.example");
    assert_siblings(t, nodes[1].first_child, "");
    assert_siblings(t, nodes[2].first_child, "img.ads.example");
    tree_free(t);
}
END_TEST

START_TEST(parents_may_stand_below_and_be_spelled_otherwise)
{
    struct tree *t = read_good("c.example b.EXAMPLE. 3\nb.example a.example 2\nA.example - -\n");
    ck_assert_uint_eq(tree_first(t), 2);
    ck_assert_uint_eq(node_of(t, "c.example")->parent, 1);
    ck_assert_uint_eq(node_of(t, "b.example")->parent, 2);
    ck_assert_str_eq(name_of(node_of(t, "A.example")), "A.example");
    tree_free(t);
}
END_TEST

START_TEST(several_names_may_have_no_parent)
{
    struct tree *t = read_good("a.example - -\nb.example - 500\nc.example b.example 1\n"
                               "d.example - 0\n");
    assert_siblings(t, tree_first(t), "a.example b.example d.example");
    ck_assert_int_eq(node_of(t, "b.example")->delay_ms, 500);
    tree_free(t);
}
END_TEST

START_TEST(lines_may_end_as_on_windows_or_not_at_all)
{
    struct tree *t = read_good("a.example - -\r\nb.example   a.example \t 7  ");
    ck_assert_int_eq(node_of(t, "b.example")->delay_ms, 7);
    tree_free(t);
}
END_TEST

START_TEST(delays_reach_their_bounds)
{
    struct tree *t = read_good("a.example - 600000\nb.example a.example 600000\n"
                               "c.example a.example -600000\nd.example a.example -0\n");
    ck_assert_int_eq(node_of(t, "a.example")->delay_ms, 600000);
    ck_assert_int_eq(node_of(t, "c.example")->delay_ms, -600000);
    ck_assert_int_eq(node_of(t, "d.example")->delay_ms, 0);
    tree_free(t);
}
END_TEST

/* ---- mistakes -------------------------------------------------------------------------------- */

START_TEST(an_unknown_parent_is_told_with_its_line)
{
    refuse("a.example - -\nb.example c.example 1\n",
        "2: \"c.example\" is the parent of this line, but has no line\n");
}
END_TEST

START_TEST(a_cycle_is_told_once)
{
    refuse("a.example - -\nb.example d.example 1\nc.example b.example 1\nd.example c.example 1\n"
           "e.example d.example 1\n",
        "2: \"b.example\" is in a cycle: its parents lead back to it\n");
    refuse("a.example b.example 1\nb.example a.example 1\nc.example d.example 1\n"
           "d.example c.example 1\n",
        "1: \"a.example\" is in a cycle: its parents lead back to it\n"
        "3: \"c.example\" is in a cycle: its parents lead back to it\n");
    /* A walk that comes from outside names a node of the cycle, and not itself. */
    refuse("a.example b.example 1\nb.example c.example 1\nc.example b.example 1\n",
        "2: \"b.example\" is in a cycle: its parents lead back to it\n");
    refuse("a.example a.example 1\n", "1: \"a.example\" is its own parent\n");
}
END_TEST

START_TEST(a_name_given_twice_is_told_with_both_lines)
{
    refuse("a.example - -\nb.example a.example 1\nB.Example. a.example 2\nA.example - -\n"
           "b.example a.example 3\n",
        "4: \"A.example\" is in line 1 already\n"
        "3: \"B.Example.\" is in line 2 already\n"
        "5: \"b.example\" is in line 3 already\n");
}
END_TEST

START_TEST(numbers_that_are_none_are_told)
{
    static const char *const bad[] = {"x", "1.5", "+1", "--1", "1ms", "0x10", "-", "600001",
        "-600001", "99999999999999999999", "1-"};
    char text[128], expected[256];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "a.example - -\nb.example a.example %s\n", bad[i]);
        snprintf(expected, sizeof(expected),
            "2: \"%s\" is not a delay: expected milliseconds from -600000 to 600000\n", bad[i]);
        refuse(text, expected);
    }
    refuse("a.example - now\n",
        "1: \"now\" is not a delay: expected milliseconds from 0 to 600000, or -\n");
    refuse("a.example - -5\n", "1: \"-5\" is before the start of the visit: a name without a "
                               "parent takes 0 or more, or -\n");
}
END_TEST

START_TEST(lines_with_other_than_three_fields_are_told)
{
    refuse("a.example - - -\nb.example\nc.example a.example\n",
        "1: expected three fields: name, parent or -, milliseconds\n"
        "2: expected three fields: name, parent or -, milliseconds\n"
        "3: expected three fields: name, parent or -, milliseconds\n");
}
END_TEST

/* One mistake must not look like many: children of a line that was not read are not told. */
START_TEST(a_line_that_is_not_read_has_no_orphans)
{
    refuse("a..example - -\nb.example a..example 1\nc.example d.example x\n",
        "1: \"a..example\" is not a name\n"
        "3: \"x\" is not a delay: expected milliseconds from -600000 to 600000\n"
        "2: \"a..example\" is not a name\n");
    refuse("a.example -\nb.example a.example 1\n",
        "1: expected three fields: name, parent or -, milliseconds\n");
}
END_TEST

START_TEST(nothing_to_ask_is_a_mistake)
{
    static const char *const why =
        "0: no names: expected lines of name, parent or -, milliseconds\n";
    refuse("", why);
    refuse("# only\n\n \t\r\n# comments", why);
}
END_TEST

START_TEST(what_a_message_repeats_is_safe_and_short)
{
    char text[400];
    refuse("a.example - -\nb.example \x1b[2J 1\n", "2: \"?[2J\" is not a name\n");
    memset(text, 'x', 300);
    strcpy(text + 300, " - -\n");
    ck_assert_ptr_null(read_text(text, strlen(text)));
    ck_assert_uint_eq(strlen(reported), strlen("1: \"") + 68 + strlen("...\" is not a name\n"));
    ck_assert_ptr_null(read_text("a.example - -\0\n", 15));
    ck_assert_str_eq(
        reported, "1: \"-?\" is not a delay: expected milliseconds from 0 to 600000, or -\n");
}
END_TEST

START_TEST(too_many_names_are_told_once)
{
    size_t len = 0, cap = (TREE_NAMES_MAX + 9) * 24;
    char *text = malloc(cap);
    ck_assert_ptr_nonnull(text);
    for (unsigned i = 0; i < TREE_NAMES_MAX; i++)
        len += (size_t)snprintf(text + len, cap - len, "n%u.example - -\n", i);
    struct tree *t = read_text(text, len);
    ck_assert_ptr_nonnull(t);
    size_t n;
    tree_nodes(t, &n);
    ck_assert_uint_eq(n, TREE_NAMES_MAX);
    tree_free(t);
    for (unsigned i = 0; i < 4; i++)
        len += (size_t)snprintf(text + len, cap - len, "m%u.example - -\n", i);
    ck_assert_ptr_null(read_text(text, len));
    ck_assert_str_eq(reported, "4097: more than 4096 names\n");
    free(text);
}
END_TEST

/* Cut anywhere and with any byte changed, a file is read or refused; the sanitizers watch. */
START_TEST(a_bent_file_is_read_or_refused)
{
    static const char text[] = "# x\na.example - -\nb\\046.example a.example -1\nc. b\\046.example "
                               "23\n";
    char bent[sizeof(text)];
    for (size_t len = 0; len < sizeof(text); len++)
        tree_free(read_text(text, len));
    for (size_t at = 0; at < sizeof(text) - 1; at++) {
        for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
            memcpy(bent, text, sizeof(text));
            bent[at] = (char)byte;
            tree_free(read_text(bent, sizeof(text) - 1));
        }
    }
}
END_TEST

/* ---- names ----------------------------------------------------------------------------------- */

static size_t read_name(const char *text, uint8_t out[WIRE_NAME_MAX])
{
    return hostname_read(text, strlen(text), out);
}

/* Check's assertions need memory themselves. */
static void note_plainly(void *ctx, size_t line, const char *why)
{
    size_t len = strlen(ctx);
    snprintf((char *)ctx + len, sizeof(reported) - len, "%zu: %s\n", line, why);
}

START_TEST(memory_that_runs_out_is_told)
{
    static char text[100 * 32];
    unsigned n = 0, taken;
    size_t len = 0;
    for (unsigned i = 0; i < 100; i++) /* more than there is room for at first */
        len += (size_t)snprintf(text + len, sizeof(text) - len, "n%u.example - -\n", i);
    do {
        reported[0] = '\0';
        scarce_begin(++n, SCARCE_FOR_EVER);
        struct tree *t = tree_read(text, len, note_plainly, reported);
        taken = scarce_end();
        ck_assert_int_eq(t == NULL, taken >= n);
        ck_assert_int_eq(strstr(reported, ": out of memory\n") == NULL, taken < n);
        tree_free(t);
    } while (taken >= n);
    ck_assert_uint_ge(n, 5);
}
END_TEST

START_TEST(names_become_labels)
{
    static const uint8_t expected[] = "\3www\7example";
    uint8_t name[WIRE_NAME_MAX];
    ck_assert_uint_eq(read_name("www.example", name), sizeof(expected));
    ck_assert_mem_eq(name, expected, sizeof(expected));
    ck_assert_uint_eq(read_name("www.example.", name), sizeof(expected));
    ck_assert_uint_eq(read_name(".", name), 1);
    ck_assert_uint_eq(name[0], 0);
    ck_assert_uint_eq(read_name("_dmarc.a-b.example", name), 20);
}
END_TEST

START_TEST(escapes_are_read_as_wire_name_text_writes_them)
{
    uint8_t name[WIRE_NAME_MAX], again[WIRE_NAME_MAX];
    char text[WIRE_NAME_TEXT_MAX];
    for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
        name[0] = 1;
        name[1] = (uint8_t)byte;
        name[2] = 0;
        wire_name_text(name, 3, text);
        ck_assert_msg(read_name(text, again) == 3, "'%s'", text);
        ck_assert_mem_eq(name, again, 3);
    }
    ck_assert_uint_eq(read_name("a\\.b", name), 5);
    ck_assert_mem_eq(name, "\3a.b", 5);
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
    static const char *const bad[] = {"", "..", ".a", "a..b", "a..", "a b", "a\tb", "a\\", "a\\1",
        "a\\12", "a\\256", "a\\1x3", "\x80", "a\x7f"};
    uint8_t name[WIRE_NAME_MAX];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(read_name(bad[i], name) == 0, "'%s'", bad[i]);
}
END_TEST

/* Labels of `labels` letters; as long a name as a name can be, or one byte more. */
START_TEST(labels_and_names_reach_their_bounds)
{
    char label[65], text[400];
    uint8_t name[WIRE_NAME_MAX];
    memset(label, 'a', 64);
    label[63] = '\0';
    ck_assert_uint_eq(read_name(label, name), 65);
    label[63] = 'a';
    label[64] = '\0';
    ck_assert_uint_eq(read_name(label, name), 0);

    snprintf(text, sizeof(text), "%.63s.%.63s.%.63s.%.61s", label, label, label, label);
    ck_assert_uint_eq(read_name(text, name), WIRE_NAME_MAX);
    strcat(text, ".");
    ck_assert_uint_eq(read_name(text, name), WIRE_NAME_MAX);
    strcat(text, "a");
    ck_assert_uint_eq(read_name(text, name), 0);
    snprintf(text, sizeof(text), "%.63s.%.63s.%.63s.%.62s", label, label, label, label);
    ck_assert_uint_eq(read_name(text, name), 0);
    for (unsigned i = 0; i < 127; i++)
        memcpy(text + i * 2, "a.", 3);
    ck_assert_uint_eq(read_name(text, name), WIRE_NAME_MAX);
    strcat(text, "a");
    ck_assert_uint_eq(read_name(text, name), 0);
}
END_TEST

static void add_good_files(Suite *suite)
{
    TCase *tc = tcase_create("good files");
    tcase_add_test(tc, a_page_is_read_with_its_parents_and_delays);
    tcase_add_test(tc, parents_may_stand_below_and_be_spelled_otherwise);
    tcase_add_test(tc, several_names_may_have_no_parent);
    tcase_add_test(tc, lines_may_end_as_on_windows_or_not_at_all);
    tcase_add_test(tc, delays_reach_their_bounds);
    suite_add_tcase(suite, tc);
}

static void add_mistakes(Suite *suite)
{
    TCase *tc = tcase_create("mistakes");
    tcase_add_test(tc, an_unknown_parent_is_told_with_its_line);
    tcase_add_test(tc, a_cycle_is_told_once);
    tcase_add_test(tc, a_name_given_twice_is_told_with_both_lines);
    tcase_add_test(tc, numbers_that_are_none_are_told);
    tcase_add_test(tc, lines_with_other_than_three_fields_are_told);
    tcase_add_test(tc, a_line_that_is_not_read_has_no_orphans);
    tcase_add_test(tc, nothing_to_ask_is_a_mistake);
    tcase_add_test(tc, what_a_message_repeats_is_safe_and_short);
    tcase_add_test(tc, too_many_names_are_told_once);
    tcase_add_test(tc, a_bent_file_is_read_or_refused);
    tcase_add_test(tc, memory_that_runs_out_is_told);
    suite_add_tcase(suite, tc);
}

static void add_names(Suite *suite)
{
    TCase *tc = tcase_create("names");
    tcase_add_test(tc, names_become_labels);
    tcase_add_test(tc, escapes_are_read_as_wire_name_text_writes_them);
    tcase_add_test(tc, what_is_no_name_is_refused);
    tcase_add_test(tc, labels_and_names_reach_their_bounds);
    suite_add_tcase(suite, tc);
}

int main(void)
{
    Suite *suite = suite_create("tree");
    add_good_files(suite);
    add_mistakes(suite);
    add_names(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
