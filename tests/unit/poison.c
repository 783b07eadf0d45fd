/* Tests of poison.c: files to answers, mistakes to words, and memory that runs out.
 * Answers are read back through wire_write_reply and a cursor, as a client would see them. */
#include "poison.h"

#include <check.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libzscanner/scanner.h>

#define DUMP_MAX   (256 * 1024)
#define MISTAKES   64
#define PACKED_MAX WIRE_PACKED_MAX

static const uint8_t seed[POISON_SEED_LEN] = "0123456789abcdef";

/* ---- memory that runs out (linked with --wrap) ----------------------------------------------- */

static long allocations;  /* since the count was started */
static long fail_at = -1; /* which of them fails; -1: none */
static size_t bytes_in_use;

static bool must_fail(void)
{
    return allocations++ == fail_at;
}

void *__real_malloc(size_t len);
void *__wrap_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__wrap_calloc(size_t n, size_t len);
void __real_free(void *p);
void __wrap_free(void *p);
int __real_zs_init(zs_scanner_t *s, const char *origin, const uint16_t class, const uint32_t ttl);
int __wrap_zs_init(zs_scanner_t *s, const char *origin, const uint16_t class, const uint32_t ttl);

void *__wrap_malloc(size_t len)
{
    void *p = must_fail() ? NULL : __real_malloc(len);

    bytes_in_use += p == NULL ? 0 : malloc_usable_size(p);
    return p;
}

void *__wrap_calloc(size_t n, size_t len)
{
    void *p = must_fail() ? NULL : __real_calloc(n, len);

    bytes_in_use += p == NULL ? 0 : malloc_usable_size(p);
    return p;
}

void __wrap_free(void *p)
{
    bytes_in_use -= p == NULL ? 0 : malloc_usable_size(p);
    __real_free(p);
}

/* The scanner allocates out of our sight; what we see is that it could not be set up. */
int __wrap_zs_init(zs_scanner_t *s, const char *origin, const uint16_t class, const uint32_t ttl)
{
    return must_fail() ? -1 : __real_zs_init(s, origin, class, ttl);
}

/* ---- loading --------------------------------------------------------------------------------- */

static char mistakes[MISTAKES][512];
static size_t n_mistakes;

static void note(void *ctx, size_t line, const char *what, const char *why)
{
    /* No assertion: Check allocates, and allocations are counted. */
    if (ctx != mistakes || what == NULL || why == NULL)
        abort();
    if (n_mistakes < MISTAKES)
        snprintf(mistakes[n_mistakes], sizeof mistakes[0], "%zu|%s|%s", line, what, why);
    n_mistakes++;
}

static struct poison *load_bytes(const char *text, size_t len)
{
    /* A copy without anything behind it: reading on is seen by the sanitizers. */
    char *copy = malloc(len > 0 ? len : 1);
    struct poison *p;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, len);
    n_mistakes = 0;
    p = poison_load(copy, len, seed, note, mistakes);
    free(copy);
    if (p != NULL) {
        const char *broken = poison_check(p);
        ck_assert_msg(broken == NULL, "poison_check: %s", broken);
    }
    return p;
}

static struct poison *load(const char *text)
{
    struct poison *p = load_bytes(text, strlen(text));

    ck_assert_msg(p != NULL, "first mistake of %zu: %s", n_mistakes, mistakes[0]);
    ck_assert_uint_eq(n_mistakes, 0);
    return p;
}

/* text has exactly this mistake: "line|what|why", of which the end may be left out. */
static void ck_mistake(const char *text, const char *expected)
{
    struct poison *p = load_bytes(text, strlen(text));

    ck_assert_msg(p == NULL, "no mistake seen in: %s", text);
    ck_assert_msg(n_mistakes == 1, "%s\n  gave %s\n  and  %s", text, mistakes[0], mistakes[1]);
    ck_assert_msg(strncmp(mistakes[0], expected, strlen(expected)) == 0, "%s\n  gave %s\n  not  %s",
        text, mistakes[0], expected);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* "a.b" as a wire name; \X is X without its meaning. */
static size_t wire_name(const char *text, uint8_t out[WIRE_NAME_MAX])
{
    size_t start = 0, at = 1;

    if (strcmp(text, ".") == 0)
        text = "";
    for (; *text != '\0'; text++) {
        if (*text == '.') {
            out[start] = (uint8_t)(at - start - 1);
            start = at++;
            continue;
        }
        if (*text == '\\')
            text++;
        ck_assert_uint_lt(at, WIRE_NAME_MAX);
        out[at++] = (uint8_t)*text;
    }
    out[start] = (uint8_t)(at - start - 1);
    if (out[start] != 0)
        out[at++] = 0;
    return at;
}

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

static char *add_name(char *at, const char *end, const uint8_t *msg, size_t len, size_t name_at)
{
    uint8_t name[WIRE_NAME_MAX];
    char text[WIRE_NAME_TEXT_MAX];
    size_t name_end, name_len = wire_name_expand(msg, len, name_at, name, &name_end);

    ck_assert_uint_gt(name_len, 0);
    wire_name_text(name, name_len, text);
    return add(at, end, "%s", text);
}

static char *add_record(
    char *at, const char *end, const uint8_t *msg, size_t len, const struct wire_view *v)
{
    static const char *const sections[] = {"an", "ns", "ar"};

    ck_assert_int_eq(v->class, WIRE_CLASS_IN);
    at = add(at, end, " %s:", sections[v->section]);
    at = add_name(at, end, msg, len, v->owner_at);
    at = add(at, end, ",%u,%u,", v->ttl_s, v->type);
    if (v->type == WIRE_TYPE_CNAME || v->type == WIRE_TYPE_PTR)
        return add_name(at, end, msg, len, v->rdata_at);
    for (size_t i = 0; i < v->rdata_len && v->type != WIRE_TYPE_SOA; i++)
        at = add(at, end, "%02x", msg[v->rdata_at + i]);
    return at;
}

static uint8_t packed[PACKED_MAX];
static struct poison_result result;
static uint8_t reply[WIRE_MESSAGE_MAX];
static size_t reply_len;

/* The answer as text: "0 an:name,ttl,type,hex ns:name,ttl,6,". */
static const char *packed_text(const struct wire_question *question)
{
    static char text[DUMP_MAX];
    char *at = text, *end = text + sizeof text;
    struct wire_query query = {.id = 7, .flags = WIRE_RD, .question = *question};
    struct wire_reply r = {
        .query = &query,
        .packed = packed,
        .packed_len = result.packed_len,
        .fixed_ttl_s = WIRE_TTL_AS_IS,
        .ede = WIRE_EDE_NONE,
        .limit = sizeof reply,
    };
    struct wire_cursor c;
    struct wire_view v;
    int more;

    reply_len = wire_write_reply(&r, reply, sizeof reply);
    ck_assert_int_eq(wire_cursor_start(&c, reply, reply_len), 0);
    at = add(at, end, "%u", reply[3] & 15u);
    ck_assert_uint_eq(wire_packed_rcode(packed, result.packed_len), reply[3] & 15u);
    /* Authoritative, but for a SERVFAIL. */
    ck_assert_int_eq((reply[2] & 4) != 0, (reply[3] & 15) != WIRE_SERVFAIL);
    while ((more = wire_cursor_next(&c, &v)) == 1)
        at = add_record(at, end, reply, reply_len, &v);
    ck_assert_int_eq(more, 0);
    return text;
}

/* What is said to a question, as text: NONE, PASS, REFUSED, DROP, the answer as packed_text gives
 * it, or "CHASE target answer"; "!" behind it for what a verdict word made. */
static const char *ask_class(
    const struct poison *p, const char *name_text, uint16_t type, uint16_t class)
{
    static char text[DUMP_MAX + 512];
    char target[WIRE_NAME_TEXT_MAX];
    uint8_t name[WIRE_NAME_MAX];
    struct wire_question q = {.name = name, .type = type, .class = class};
    const char *mark;

    q.name_len = wire_name(name_text, name);
    memset(&result, 0xee, sizeof result);
    enum poison_verdict verdict = poison_lookup(p, &q, packed, sizeof packed, &result);
    mark = result.blocked ? "!" : "";
    switch (verdict) {
    case POISON_NONE:
    case POISON_PASS:
        ck_assert_uint_eq(result.packed_len, 0);
        return verdict == POISON_NONE ? "NONE" : "PASS";
    case POISON_REFUSED:
        ck_assert(result.blocked);
        return "REFUSED";
    case POISON_DROP:
        return "DROP";
    case POISON_CHASE:
        wire_name_text(result.target, result.target_len, target);
        snprintf(text, sizeof text, "CHASE %s %s%s", target, packed_text(&q), mark);
        return text;
    default:
        snprintf(text, sizeof text, "%s%s", packed_text(&q), mark);
        return text;
    }
}

static const char *ask(const struct poison *p, const char *name, uint16_t type)
{
    return ask_class(p, name, type, WIRE_CLASS_IN);
}

#define A     WIRE_TYPE_A
#define AAAA  WIRE_TYPE_AAAA
#define CNAME WIRE_TYPE_CNAME
#define MX    WIRE_TYPE_MX
#define PTR   WIRE_TYPE_PTR
#define TXT   WIRE_TYPE_TXT

/* ---- records --------------------------------------------------------------------------------- */

START_TEST(record_is_answered_byte_for_byte)
{
    struct poison *p = load("router.lan A 192.168.1.1\n");
    static const uint8_t want[] = {
        0, 7, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0,                         /* header */
        6, 'r', 'O', 'u', 't', 'e', 'r', 3, 'l', 'a', 'n', 0, 0, 1, 0, 1, /* question */
        0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 168, 1, 1,        /* answer */
    };

    ck_assert_str_eq(ask(p, "rOuter.lan", A), "0 an:rOuter.lan,300,1,c0a80101");
    ck_assert_uint_eq(reply_len, sizeof want);
    ck_assert_mem_eq(reply, want, sizeof want);
    poison_free(p);
}
END_TEST

START_TEST(nodata_has_a_soa_byte_for_byte)
{
    struct poison *p = load("a.lan A 192.168.1.1\n");
    static const uint8_t want[] = {
        0, 7, 0x85, 0x80, 0, 1, 0, 0, 0, 1, 0, 0,                                 /* header */
        1, 'a', 3, 'l', 'a', 'n', 0, 0, 28, 0, 1,                                 /* question */
        0xc0, 0x0c, 0, 6, 0, 1, 0, 0, 1, 44, 0, 47,                               /* SOA */
        9, 'l', 'o', 'c', 'a', 'l', 'h', 'o', 's', 't', 0,                        /* mname */
        6, 'n', 'o', 'b', 'o', 'd', 'y', 7, 'i', 'n', 'v', 'a', 'l', 'i', 'd', 0, /* rname */
        0, 0, 0, 1,                                                               /* serial */
        0, 0, 0x0e, 0x10,                                                         /* 3600 */
        0, 0, 0x04, 0xb0,                                                         /* 1200 */
        0, 9, 0x3a, 0x80,                                                         /* 604800 */
        0, 0, 0x01, 0x2c,                                                         /* 300 */
    };

    ck_assert_str_eq(ask(p, "a.lan", AAAA), "0 ns:a.lan,300,6,");
    ck_assert_uint_eq(reply_len, sizeof want);
    ck_assert_mem_eq(reply, want, sizeof want);
    poison_free(p);
}
END_TEST

START_TEST(ttl_and_class_are_optional_in_either_order)
{
    struct poison *p = load("a.lan 60 IN A 1.2.3.4\n"
                            "b.lan IN 1h30m A 1.2.3.4\n"
                            "c.lan in a 1.2.3.4\n"
                            "d.lan 0 A 1.2.3.4\n"
                            "e.lan 2147483647 A 1.2.3.4\n"
                            "f.lan 7 1.2.3.4\n"
                            "g.lan IN 8 1.2.3.4\n");

    ck_assert_str_eq(ask(p, "a.lan", A), "0 an:a.lan,60,1,01020304");
    ck_assert_str_eq(ask(p, "b.lan", A), "0 an:b.lan,5400,1,01020304");
    ck_assert_str_eq(ask(p, "c.lan", A), "0 an:c.lan,300,1,01020304");
    ck_assert_str_eq(ask(p, "d.lan", A), "0 an:d.lan,0,1,01020304");
    ck_assert_str_eq(ask(p, "e.lan", A), "0 an:e.lan,2147483647,1,01020304");
    ck_assert_str_eq(ask(p, "f.lan", A), "0 an:f.lan,7,1,01020304");
    ck_assert_str_eq(ask(p, "g.lan", A), "0 an:g.lan,8,1,01020304");
    poison_free(p);
}
END_TEST

START_TEST(types_of_all_kinds)
{
    struct poison *p = load("x.lan MX 10 mail.lan\n"
                            "x.lan TXT \"a b\" c\n"
                            "x.lan TYPE65280 \\# 4 0A000001\n"
                            "x.lan A \\# 4 01020304\n"
                            "x.lan HTTPS 1 . alpn=h2\n"
                            "x.lan DS 1 8 2 0102\n"
                            "x.lan SOA a. b. ( 1 2 3 4 5 )\n"
                            "x.lan TYPE1234 \\# 0\n"
                            "x.lan NS ns.lan\n");

    ck_assert_str_eq(ask(p, "x.lan", MX), "0 an:x.lan,300,15,000a046d61696c036c616e00");
    ck_assert_str_eq(ask(p, "x.lan", TXT), "0 an:x.lan,300,16,036120620163");
    ck_assert_str_eq(ask(p, "x.lan", 65280), "0 an:x.lan,300,65280,0a000001");
    ck_assert_str_eq(ask(p, "x.lan", A), "0 an:x.lan,300,1,01020304");
    ck_assert_str_eq(ask(p, "x.lan", 65), "0 an:x.lan,300,65,0001000001000302"
                                          "6832");
    ck_assert_str_eq(ask(p, "x.lan", 43), "0 an:x.lan,300,43,000108020102");
    ck_assert_str_eq(ask(p, "x.lan", 6), "0 an:x.lan,300,6,");
    ck_assert_str_eq(ask(p, "x.lan", 1234), "0 an:x.lan,300,1234,");
    ck_assert_str_eq(ask(p, "x.lan", 2), "0 an:x.lan,300,2,026e73036c616e00");
    ck_assert_str_eq(ask(p, "x.lan", AAAA), "0 ns:x.lan,300,6,");
    ck_assert_str_eq(ask(p, "x.lan", WIRE_TYPE_ANY), "0 ns:x.lan,300,6,");
    ck_assert_uint_eq(poison_count(p), 1);
    poison_free(p);
}
END_TEST

START_TEST(records_of_a_type_come_in_the_files_order)
{
    struct poison *p = load("x.lan A 1.1.1.1\n"
                            "x.lan AAAA ::5\n"
                            "x.lan A 9.9.9.9\n"
                            "x.lan A 2.2.2.2\n");

    ck_assert_str_eq(ask(p, "x.lan", A),
        "0 an:x.lan,300,1,01010101 an:x.lan,300,1,09090909 an:x.lan,300,1,02020202");
    poison_free(p);
}
END_TEST

START_TEST(rrset_has_its_lowest_ttl)
{
    struct poison *p = load("x.lan 90 A 1.1.1.1\nx.lan 30 A 2.2.2.2\nx.lan 60 A 3.3.3.3\n"
                            "x.lan 600 TXT a\n"
                            "y.lan 90 A 1.1.1.1\ny.lan 30 A 1.1.1.1\n");

    ck_assert_str_eq(ask(p, "x.lan", A),
        "0 an:x.lan,30,1,01010101 an:x.lan,30,1,02020202 an:x.lan,30,1,03030303");
    ck_assert_str_eq(ask(p, "x.lan", TXT), "0 an:x.lan,600,16,0161");
    ck_assert_str_eq(ask(p, "y.lan", A), "0 an:y.lan,30,1,01010101");
    poison_free(p);
}
END_TEST

START_TEST(saying_the_same_twice_is_no_mistake)
{
    struct poison *p = load("x.lan A 1.1.1.1\nX.LAN. A 1.1.1.1\n"
                            "y.lan nxdomain\ny.lan NXDOMAIN\n"
                            "z.lan CNAME x.lan\nz.lan CNAME x.lan\n");

    ck_assert_str_eq(ask(p, "x.lan", A), "0 an:x.lan,300,1,01010101");
    ck_assert_uint_eq(poison_count(p), 3);
    poison_free(p);
}
END_TEST

START_TEST(names_are_absolute_and_their_case_does_not_count)
{
    struct poison *p = load("Router.LAN. A 1.2.3.4\nalias.lan CNAME Router.Lan\n. TXT root\n");

    ck_assert_str_eq(ask(p, "ROUTER.lan", A), "0 an:ROUTER.lan,300,1,01020304");
    ck_assert_str_eq(
        ask(p, "alias.lan", A), "0 an:alias.lan,300,5,Router.Lan an:Router.lan,300,1,01020304");
    ck_assert_str_eq(ask(p, ".", TXT), "0 an:.,300,16,04726f6f74");
    ck_assert_str_eq(ask(p, "lan", A), "NONE");
    ck_assert_str_eq(ask(p, "x.router.lan", A), "NONE");
    poison_free(p);
}
END_TEST

START_TEST(escapes_in_owners)
{
    struct poison *p = load("a\\.b.lan A 1.2.3.4\n"
                            "\\*.lan A 1.2.3.5\n"
                            "\\035x.lan A 1.2.3.6\n"
                            "a\\;b.lan A 1.2.3.7\n"
                            "_sip._tcp.lan A 1.2.3.8\n"
                            "1/2.lan A 1.2.3.9\n"
                            "x\\\\.lan A 1.2.3.10\n"
                            "sp\\ ace.lan A 1.2.3.11\n");

    ck_assert_str_eq(ask(p, "a\\.b.lan", A), "0 an:a\\046b.lan,300,1,01020304");
    ck_assert_str_eq(ask(p, "*.lan", A), "0 an:\\042.lan,300,1,01020305");
    ck_assert_str_eq(ask(p, "z.lan", A), "NONE");
    ck_assert_str_eq(ask(p, "#x.lan", A), "0 an:\\035x.lan,300,1,01020306");
    ck_assert_str_eq(ask(p, "a;b.lan", A), "0 an:a\\059b.lan,300,1,01020307");
    ck_assert_str_eq(ask(p, "_sip._tcp.lan", A), "0 an:_sip._tcp.lan,300,1,01020308");
    ck_assert_str_eq(ask(p, "1/2.lan", A), "0 an:1\\0472.lan,300,1,01020309");
    ck_assert_str_eq(ask(p, "x\\\\.lan", A), "0 an:x\\092.lan,300,1,0102030a");
    ck_assert_str_eq(ask(p, "sp ace.lan", A), "0 an:sp\\032ace.lan,300,1,0102030b");
    poison_free(p);
}
END_TEST

START_TEST(longest_names_and_deepest_names)
{
    char text[700] = "", name[300] = "";
    struct poison *p;

    for (int i = 0; i < 126; i++)
        strcat(name, "a.");
    strcat(name, "b"); /* 127 labels of one byte: 255 bytes on the wire */
    snprintf(text, sizeof text, "%s A 1.2.3.4\n*.%s A 1.2.3.5\n", name, name + 2);
    p = load(text);
    ck_assert_ptr_nonnull(strstr(ask(p, name, A), ",300,1,01020304"));
    name[0] = 'c';
    ck_assert_ptr_nonnull(strstr(ask(p, name, A), ",300,1,01020305"));
    ck_assert_str_eq(ask(p, name + 2, A), "NONE");
    poison_free(p);
    snprintf(text, sizeof text, "a.%s A 1.2.3.4\n", name);
    ck_mistake(text, "1|a.c.a.a.a.");
    ck_assert_ptr_nonnull(strstr(mistakes[0], "...|a name is longer than 255 bytes"));
}
END_TEST

START_TEST(continued_lines_go_on_with_the_name)
{
    struct poison *p = load("x.lan A 1.1.1.1\n"
                            "      AAAA ::1\n"
                            "\n"
                            "; comment\n"
                            "\t60 IN TXT a\n"
                            "  1.1.1.2\n"
                            ".y.lan A 2.2.2.2\n"
                            "  A 2.2.2.3\n"
                            "z.lan\tA\t3.3.3.3");

    ck_assert_str_eq(ask(p, "x.lan", AAAA), "0 an:x.lan,300,28,00000000000000000000000000000001");
    ck_assert_str_eq(ask(p, "x.lan", TXT), "0 an:x.lan,60,16,0161");
    ck_assert_str_eq(ask(p, "x.lan", A), "0 an:x.lan,300,1,01010101 an:x.lan,300,1,01010102");
    ck_assert_str_eq(ask(p, "q.y.lan", A), "0 an:q.y.lan,300,1,02020202 an:q.y.lan,300,1,02020203");
    ck_assert_str_eq(ask(p, "z.lan", A), "0 an:z.lan,300,1,03030303");
    poison_free(p);
}
END_TEST

START_TEST(comments_quotes_and_line_ends)
{
    struct poison *p = load("\357\273\277; a byte order mark, and UTF-8 in a comment: \303\274\r\n"
                            "# hash\r\n"
                            "   # hash after blanks\r\n"
                            "\r\n"
                            "a.lan A 1.2.3.4;no blank before\r\n"
                            "b.lan A 1.2.3.5 # hash\r\n"
                            "c.lan TXT \"a#b;c\" d#e ; comment \"with a quote\r\n"
                            "d.lan TXT \"\\\"; #\" # ( open\r\n"
                            "e.lan TYPE65280 \\# 1 23\r\n"
                            "f.lan TXT \\; \\# \"\" ; no end of line");

    ck_assert_str_eq(ask(p, "a.lan", A), "0 an:a.lan,300,1,01020304");
    ck_assert_str_eq(ask(p, "b.lan", A), "0 an:b.lan,300,1,01020305");
    ck_assert_str_eq(ask(p, "c.lan", TXT), "0 an:c.lan,300,16,056123623b6303642365");
    ck_assert_str_eq(ask(p, "d.lan", TXT), "0 an:d.lan,300,16,04223b2023");
    ck_assert_str_eq(ask(p, "e.lan", 65280), "0 an:e.lan,300,65280,23");
    ck_assert_str_eq(ask(p, "f.lan", TXT), "0 an:f.lan,300,16,013b012300");
    ck_assert_uint_eq(poison_count(p), 6);
    poison_free(p);
}
END_TEST

START_TEST(nothing_in_the_file)
{
    static const char *const texts[] = {"", "\n", "\r\n\r\n", "; x", "# x\n", " \t \n", "\r"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct poison *p = load(texts[i]);
        ck_assert_uint_eq(poison_count(p), 0);
        ck_assert_str_eq(ask(p, "x.lan", A), "NONE");
        ck_assert_str_eq(ask(p, ".", A), "NONE");
        poison_free(p);
    }
    ck_assert_str_eq(ask(NULL, "x.lan", A), "NONE");
    poison_free(NULL);
}
END_TEST

/* ---- the short form -------------------------------------------------------------------------- */

START_TEST(addresses_make_a_aaaa_and_ptr)
{
    struct poison *p = load("Printer.lan 77 192.168.1.9 fe80::9 192.168.1.10\n");

    ck_assert_str_eq(
        ask(p, "printer.lan", A), "0 an:printer.lan,77,1,c0a80109 an:printer.lan,77,1,c0a8010a");
    ck_assert_str_eq(
        ask(p, "printer.lan", AAAA), "0 an:printer.lan,77,28,fe800000000000000000000000000009");
    ck_assert_str_eq(
        ask(p, "9.1.168.192.in-addr.arpa", PTR), "0 an:9.1.168.192.in-addr.arpa,77,12,Printer.lan");
    ck_assert_str_eq(ask(p, "10.1.168.192.in-addr.arpa", PTR),
        "0 an:10.1.168.192.in-addr.arpa,77,12,Printer.lan");
    ck_assert_str_eq(
        ask(p, "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa", PTR),
        "0 an:9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa,77,12,"
        "Printer.lan");
    ck_assert_str_eq(ask(p, "9.1.168.192.in-addr.arpa", A), "0 ns:9.1.168.192.in-addr.arpa,300,6,");
    ck_assert_str_eq(ask(p, "1.168.192.in-addr.arpa", PTR), "NONE");
    ck_assert_uint_eq(poison_count(p), 4);
    poison_free(p);
}
END_TEST

START_TEST(first_name_of_an_address_gets_the_ptr)
{
    struct poison *p = load("a.lan 10.0.0.1\nb.lan 10.0.0.1\na.lan 10.0.0.1\n");

    ck_assert_str_eq(
        ask(p, "1.0.0.10.in-addr.arpa", PTR), "0 an:1.0.0.10.in-addr.arpa,300,12,a.lan");
    poison_free(p);
}
END_TEST

START_TEST(what_is_written_for_a_reverse_name_wins_before_and_after)
{
    static const char address[] = "a.lan 10.0.0.1\n";
    static const struct {
        const char *line;
        const char *answer;
    } cases[] = {
        {"1.0.0.10.in-addr.arpa PTR x.lan.\n", "0 an:1.0.0.10.in-addr.arpa,300,12,x.lan"},
        {"1.0.0.10.in-addr.arpa 9 PTR a.lan.\n", "0 an:1.0.0.10.in-addr.arpa,9,12,a.lan"},
        {"1.0.0.10.in-addr.arpa nxdomain\n", "3 ns:1.0.0.10.in-addr.arpa,300,6,!"},
        {"1.0.0.10.in-addr.arpa pass\n", "PASS"},
        {"1.0.0.10.in-addr.arpa CNAME 1.0-8.example.\n",
            "CHASE 1.0-8.example 0 an:1.0.0.10.in-addr.arpa,300,5,1.0-8.example"},
        /* These say nothing about the PTR. */
        {"1.0.0.10.in-addr.arpa TXT a\n", "0 an:1.0.0.10.in-addr.arpa,300,12,a.lan"},
        {".10.in-addr.arpa nxdomain\n", "0 an:1.0.0.10.in-addr.arpa,300,12,a.lan"},
        {"*.0.0.10.in-addr.arpa PTR x.lan\n", "0 an:1.0.0.10.in-addr.arpa,300,12,a.lan"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        for (int first = 0; first < 2; first++) {
            snprintf(text, sizeof text, "%s%s", first ? cases[i].line : address,
                first ? address : cases[i].line);
            struct poison *p = load(text);
            ck_assert_str_eq(ask(p, "1.0.0.10.in-addr.arpa", PTR), cases[i].answer);
            poison_free(p);
        }
    }
}
END_TEST

START_TEST(addresses_of_nobody_and_of_patterns_make_no_ptr)
{
    struct poison *p = load("ads.lan 0.0.0.0 ::\nads2.lan 127.0.0.1 ::1\n"
                            "*.w.lan 10.0.0.1\n.t.lan 10.0.0.2\n");

    ck_assert_str_eq(ask(p, "ads.lan", A), "0 an:ads.lan,300,1,00000000");
    ck_assert_str_eq(ask(p, "0.0.0.0.in-addr.arpa", PTR), "NONE");
    ck_assert_str_eq(ask(p, "1.0.0.127.in-addr.arpa", PTR), "NONE");
    ck_assert_str_eq(ask(p, "1.0.0.10.in-addr.arpa", PTR), "NONE");
    ck_assert_str_eq(ask(p, "2.0.0.10.in-addr.arpa", PTR), "NONE");
    ck_assert_str_eq(ask(p, "x.w.lan", A), "0 an:x.w.lan,300,1,0a000001");
    ck_assert_str_eq(ask(p, "t.lan", A), "0 an:t.lan,300,1,0a000002");
    ck_assert_uint_eq(poison_count(p), 4);
    poison_free(p);
}
END_TEST

/* ---- patterns and verdicts ------------------------------------------------------------------- */

START_TEST(wildcard_is_below_and_dot_is_both)
{
    struct poison *p = load("*.dev.lan A 127.0.0.1\n.ads.example nxdomain\n");

    ck_assert_str_eq(ask(p, "a.dev.lan", A), "0 an:a.dev.lan,300,1,7f000001");
    ck_assert_str_eq(ask(p, "c.b.A.Dev.Lan", A), "0 an:c.b.A.Dev.Lan,300,1,7f000001");
    ck_assert_str_eq(ask(p, "*.dev.lan", A), "0 an:\\042.dev.lan,300,1,7f000001");
    ck_assert_str_eq(ask(p, "dev.lan", A), "NONE");
    ck_assert_str_eq(ask(p, "xdev.lan", A), "NONE");
    ck_assert_str_eq(ask(p, "a.dev.lan", AAAA), "0 ns:dev.lan,300,6,");
    ck_assert_str_eq(ask(p, "ads.example", A), "3 ns:ads.example,300,6,!");
    ck_assert_str_eq(ask(p, "x.y.ads.example", A), "3 ns:ads.example,300,6,!");
    ck_assert_str_eq(ask(p, "bads.example", A), "NONE");
    ck_assert_str_eq(ask(p, "example", A), "NONE");
    poison_free(p);
}
END_TEST

START_TEST(verdicts_on_every_kind_of_owner)
{
    struct poison *p = load("a.x nxdomain\nb.x nodata\nc.x refused\nd.x drop\ne.x pass\n"
                            "*.a.y NXDOMAIN\n*.b.y NoData\n*.c.y Refused\n*.d.y DROP\n*.e.y Pass\n"
                            ".a.z nxdomain\n.b.z nodata\n.c.z refused\n.d.z drop\n.e.z pass\n");

    ck_assert_str_eq(ask(p, "a.x", A), "3 ns:a.x,300,6,!");
    ck_assert_str_eq(ask(p, "b.x", A), "0 ns:b.x,300,6,!");
    ck_assert_str_eq(ask(p, "c.x", A), "REFUSED");
    ck_assert_str_eq(ask(p, "d.x", A), "DROP");
    ck_assert_str_eq(ask(p, "e.x", A), "PASS");
    ck_assert_str_eq(ask(p, "w.a.x", A), "NONE");
    ck_assert_str_eq(ask(p, "w.a.y", MX), "3 ns:a.y,300,6,!");
    ck_assert_str_eq(ask(p, "w.b.y", A), "0 ns:b.y,300,6,!");
    ck_assert_str_eq(ask(p, "w.c.y", A), "REFUSED");
    ck_assert_str_eq(ask(p, "w.d.y", A), "DROP");
    ck_assert_str_eq(ask(p, "w.e.y", A), "PASS");
    ck_assert_str_eq(ask(p, "a.y", A), "NONE");
    ck_assert_str_eq(ask(p, "a.z", A), "3 ns:a.z,300,6,!");
    ck_assert_str_eq(ask(p, "w.b.z", A), "0 ns:b.z,300,6,!");
    ck_assert_str_eq(ask(p, "c.z", A), "REFUSED");
    ck_assert_str_eq(ask(p, "w.d.z", A), "DROP");
    ck_assert_str_eq(ask(p, "e.z", A), "PASS");
    poison_free(p);
}
END_TEST

START_TEST(exact_beats_pattern_and_longest_pattern_wins)
{
    struct poison *p = load("* A 9.9.9.9\n"
                            "*.lan A 1.0.0.0\n"
                            ".b.lan A 2.0.0.0\n"
                            "*.b.lan A 2.5.0.0\n"
                            "*.c.b.lan A 3.0.0.0\n"
                            "x.c.b.lan A 4.0.0.0\n"
                            "b.lan TXT a\n");

    ck_assert_str_eq(ask(p, "org", A), "0 an:org,300,1,09090909");
    ck_assert_str_eq(ask(p, "a.lan", A), "0 an:a.lan,300,1,01000000");
    ck_assert_str_eq(ask(p, "b.lan", A), "0 ns:b.lan,300,6,");
    ck_assert_str_eq(ask(p, "a.b.lan", A), "0 an:a.b.lan,300,1,02050000");
    ck_assert_str_eq(ask(p, "c.b.lan", A), "0 an:c.b.lan,300,1,02050000");
    ck_assert_str_eq(ask(p, "y.c.b.lan", A), "0 an:y.c.b.lan,300,1,03000000");
    ck_assert_str_eq(ask(p, "x.c.b.lan", A), "0 an:x.c.b.lan,300,1,04000000");
    /* Overrides are no zone: the pattern goes on below an exact name (unlike RFC 4592 2.2.1). */
    ck_assert_str_eq(ask(p, "z.x.c.b.lan", A), "0 an:z.x.c.b.lan,300,1,03000000");
    ck_assert_str_eq(ask(p, ".", A), "NONE");
    poison_free(p);
}
END_TEST

START_TEST(pass_beats_everything_at_its_level)
{
    struct poison *p = load(".ads.example nxdomain\n"
                            "good.ads.example pass\n"
                            "*.cdn.ads.example pass\n"
                            "bad.cdn.ads.example refused\n"
                            /* same owner, in both orders */
                            ".a.example pass\n.a.example nxdomain\n"
                            ".b.example A 1.2.3.4\n.b.example pass\n"
                            "c.example pass\nc.example CNAME d.example\n"
                            /* same level, other way to write it */
                            "*.e.example nxdomain\n.e.example pass\n"
                            ".f.example nxdomain\n*.f.example pass\n"
                            /* but an exact name is a level of its own */
                            ".g.example pass\ng.example A 1.2.3.4\n");

    ck_assert_str_eq(ask(p, "good.ads.example", A), "PASS");
    ck_assert_str_eq(ask(p, "x.good.ads.example", A), "3 ns:ads.example,300,6,!");
    ck_assert_str_eq(ask(p, "x.cdn.ads.example", A), "PASS");
    ck_assert_str_eq(ask(p, "bad.cdn.ads.example", A), "REFUSED");
    ck_assert_str_eq(ask(p, "a.example", A), "PASS");
    ck_assert_str_eq(ask(p, "x.b.example", A), "PASS");
    ck_assert_str_eq(ask(p, "c.example", A), "PASS");
    ck_assert_str_eq(ask(p, "x.e.example", A), "PASS");
    ck_assert_str_eq(ask(p, "x.f.example", A), "PASS");
    ck_assert_str_eq(ask(p, "f.example", A), "0 ns:f.example,300,6,!");
    ck_assert_str_eq(ask(p, "g.example", A), "0 an:g.example,300,1,01020304");
    ck_assert_str_eq(ask(p, "x.g.example", A), "PASS");
    poison_free(p);
}
END_TEST

START_TEST(name_above_an_override_is_not_denied_by_a_pattern)
{
    struct poison *p = load(".x.example nxdomain\n"
                            "w.v.u.x.example A 1.2.3.4\n"
                            "*.t.x.example nodata\n"
                            "good.s.x.example pass\n"
                            "gone.r.x.example nxdomain\n"
                            ".d.q.x.example refused\n"
                            "*.y.example nxdomain\n"
                            "a.b.y.example A 1.2.3.4\n"
                            "z.example nxdomain\n"
                            "a.z.example A 1.2.3.4\n");

    ck_assert_str_eq(ask(p, "x.example", A), "0 ns:x.example,300,6,!");
    ck_assert_str_eq(ask(p, "u.x.example", A), "0 ns:x.example,300,6,!");
    ck_assert_str_eq(ask(p, "v.u.x.example", A), "0 ns:x.example,300,6,!");
    ck_assert_str_eq(ask(p, "w.v.u.x.example", A), "0 an:w.v.u.x.example,300,1,01020304");
    ck_assert_str_eq(ask(p, "a.w.v.u.x.example", A), "3 ns:x.example,300,6,!");
    ck_assert_str_eq(ask(p, "o.u.x.example", A), "3 ns:x.example,300,6,!");
    ck_assert_str_eq(ask(p, "t.x.example", A), "0 ns:x.example,300,6,!");
    ck_assert_str_eq(ask(p, "s.x.example", A), "0 ns:x.example,300,6,!");
    ck_assert_str_eq(ask(p, "r.x.example", A), "3 ns:x.example,300,6,!");
    ck_assert_str_eq(ask(p, "q.x.example", A), "0 ns:x.example,300,6,!");
    ck_assert_str_eq(ask(p, "b.y.example", A), "0 ns:y.example,300,6,!");
    ck_assert_str_eq(ask(p, "y.example", A), "NONE");
    /* An exact name is denied if the file says so. */
    ck_assert_str_eq(ask(p, "z.example", A), "3 ns:z.example,300,6,!");
    poison_free(p);
}
END_TEST

START_TEST(name_above_an_override_that_only_an_order_would_show)
{
    /* The names in between are made while the marks are set, whatever the order of the lines. */
    struct poison *p = load("a.b.c.d.e A 1.2.3.4\nb.c.d.e A 1.2.3.4\n*.e nxdomain\n");

    ck_assert_str_eq(ask(p, "c.d.e", A), "0 ns:e,300,6,!");
    ck_assert_str_eq(ask(p, "d.e", A), "0 ns:e,300,6,!");
    ck_assert_str_eq(ask(p, "x.d.e", A), "3 ns:e,300,6,!");
    ck_assert_uint_eq(poison_count(p), 3);
    poison_free(p);
}
END_TEST

START_TEST(other_classes_are_not_ours)
{
    struct poison *p = load("x.lan A 1.2.3.4\n");

    ck_assert_str_eq(ask_class(p, "x.lan", A, WIRE_CLASS_CH), "NONE");
    ck_assert_str_eq(ask_class(p, "x.lan", A, WIRE_CLASS_ANY), "NONE");
    poison_free(p);
}
END_TEST

/* ---- the rules against a plain reading of them ----------------------------------------------- */

#define MODEL_RULES 24

struct model_rule {
    char prefix[4]; /* "", "*." or "." */
    char name[16];
    const char *said; /* with pass before everything else */
};

static uint32_t model_state;

static unsigned model_random(unsigned bound)
{
    model_state = model_state * 1664525u + 1013904223u;
    return (model_state >> 16) % bound;
}

/* One to four labels of "a" and "b". */
static void model_name(char out[16])
{
    size_t len = 0;

    for (unsigned n = 1 + model_random(4); n > 0; n--) {
        out[len++] = (char)('a' + model_random(2));
        out[len++] = '.';
    }
    out[len - 1] = '\0';
}

static const struct model_rule *model_find(
    const struct model_rule *rules, size_t n, const char *prefix, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rules[i].prefix, prefix) == 0 && strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

static bool model_below(const char *name, const char *parent)
{
    size_t len = strlen(name), parent_len = strlen(parent);

    return len > parent_len && strcmp(name + len - parent_len, parent) == 0 &&
           name[len - parent_len - 1] == '.';
}

static const char *model_answer(const struct model_rule *rules, size_t n, const char *name)
{
    const struct model_rule *found = model_find(rules, n, "", name);

    if (found != NULL)
        return found->said;
    for (const char *base = name; found == NULL && base != NULL;) {
        const struct model_rule *tree = model_find(rules, n, ".", base);
        const struct model_rule *below = base == name ? NULL : model_find(rules, n, "*.", base);
        found = below != NULL ? below : tree;
        if (tree != NULL && strcmp(tree->said, "pass") == 0)
            found = tree;
        base = strchr(base, '.');
        base = base == NULL ? NULL : base + 1;
    }
    if (found == NULL || strcmp(found->said, "nxdomain") != 0)
        return found == NULL ? "none" : found->said;
    for (size_t i = 0; i < n; i++)
        if (strcmp(rules[i].said, "nxdomain") != 0 &&
            (model_below(rules[i].name, name) ||
                (rules[i].prefix[0] == '*' && strcmp(rules[i].name, name) == 0)))
            return "nodata";
    return "nxdomain";
}

/* What poison_lookup says, in the words of the file. */
static const char *model_word(const struct poison *p, const char *name)
{
    const char *said = ask(p, name, A);

    if (strcmp(said, "NONE") == 0)
        return "none";
    if (strcmp(said, "PASS") == 0)
        return "pass";
    if (strcmp(said, "REFUSED") == 0)
        return "refused";
    if (strcmp(said, "DROP") == 0)
        return "drop";
    if (said[0] == '3')
        return "nxdomain";
    return strstr(said, "an:") != NULL ? "A 1.2.3.4" : "nodata";
}

/* Makes rules for distinct owners and their file, in which a pass may follow another rule. */
static size_t model_make(struct model_rule rules[MODEL_RULES], char *text, const char *end)
{
    static const char *const prefixes[] = {"", "*.", "."};
    static const char *const words[] = {
        "nxdomain", "nxdomain", "nxdomain", "nodata", "refused", "drop", "pass", "A 1.2.3.4"};
    size_t n = 0;

    for (unsigned i = 1 + model_random(MODEL_RULES); i > 0; i--) {
        struct model_rule *r = &rules[n];
        strcpy(r->prefix, prefixes[model_random(3)]);
        model_name(r->name);
        if (model_find(rules, n, r->prefix, r->name) != NULL)
            continue;
        r->said = words[model_random(8)];
        text = add(text, end, "%s%s %s\n", r->prefix, r->name, r->said);
        if (model_random(8) == 0) {
            r->said = "pass";
            text = add(text, end, "%s%s pass\n", r->prefix, r->name);
        }
        n++;
    }
    return n;
}

START_TEST(random_sets_say_what_a_plain_reading_of_the_rules_says)
{
    static struct model_rule rules[MODEL_RULES];
    static char text[MODEL_RULES * 64];
    char name[16];

    for (model_state = 1; model_state < 3000; model_state++) {
        uint32_t start = model_state;
        size_t n = model_make(rules, text, text + sizeof text);
        struct poison *p = load(text);
        for (int i = 0; i < 30; i++) {
            model_name(name);
            ck_assert_msg(strcmp(model_word(p, name), model_answer(rules, n, name)) == 0,
                "%s is %s, not %s in:\n%s", name, model_word(p, name), model_answer(rules, n, name),
                text);
        }
        poison_free(p);
        model_state = start;
    }
}
END_TEST

/* ---- CNAME ----------------------------------------------------------------------------------- */

START_TEST(cname_is_followed_inside_the_set)
{
    struct poison *p = load("a.lan 10 CNAME b.lan.\nb.lan 20 CNAME c.dev.lan.\n"
                            "*.dev.lan 30 A 127.0.0.1\n");

    ck_assert_str_eq(ask(p, "a.lan", A),
        "0 an:a.lan,10,5,b.lan an:b.lan,20,5,c.dev.lan an:c.dev.lan,30,1,7f000001");
    ck_assert_str_eq(
        ask(p, "a.lan", AAAA), "0 an:a.lan,10,5,b.lan an:b.lan,20,5,c.dev.lan ns:dev.lan,300,6,");
    ck_assert_str_eq(ask(p, "a.lan", CNAME), "0 an:a.lan,10,5,b.lan");
    poison_free(p);
}
END_TEST

START_TEST(cname_of_a_wildcard_is_owned_by_the_asked_name)
{
    struct poison *p = load("*.w.lan CNAME x.lan\nx.lan A 1.2.3.4\n.t.lan CNAME out.example.\n");

    ck_assert_str_eq(ask(p, "q.w.lan", A), "0 an:q.w.lan,300,5,x.lan an:x.lan,300,1,01020304");
    ck_assert_str_eq(ask(p, "q.t.lan", A), "CHASE out.example 0 an:q.t.lan,300,5,out.example");
    ck_assert_str_eq(ask(p, "t.lan", AAAA), "CHASE out.example 0 an:t.lan,300,5,out.example");
    poison_free(p);
}
END_TEST

START_TEST(cname_target_outside_is_chased)
{
    struct poison *p = load("a.lan CNAME b.lan\nb.lan CNAME New.Example.NET.\n");

    ck_assert_str_eq(ask(p, "a.lan", MX),
        "CHASE New.Example.NET 0 an:a.lan,300,5,b.lan an:b.lan,300,5,New.Example.NET");
    ck_assert_uint_eq(result.target_len, 17);
    ck_assert_mem_eq(result.target, "\003New\007Example\003NET", 17);
    poison_free(p);
}
END_TEST

START_TEST(cname_target_with_a_verdict)
{
    struct poison *p = load("a.lan CNAME x.a\nb.lan CNAME x.b\nc.lan CNAME x.c\nd.lan CNAME x.d\n"
                            "e.lan CNAME x.e\n"
                            ".a nxdomain\n.b nodata\n.c refused\n.d drop\n.e pass\n");

    ck_assert_str_eq(ask(p, "a.lan", A), "3 an:a.lan,300,5,x.a ns:a,300,6,!");
    ck_assert_str_eq(ask(p, "b.lan", A), "0 an:b.lan,300,5,x.b ns:b,300,6,!");
    ck_assert_str_eq(ask(p, "c.lan", A), "REFUSED");
    ck_assert_str_eq(ask(p, "d.lan", A), "DROP");
    ck_assert_str_eq(ask(p, "e.lan", A), "CHASE x.e 0 an:e.lan,300,5,x.e");
    poison_free(p);
}
END_TEST

START_TEST(cname_chain_has_eight_links_and_no_more)
{
    struct poison *p = load("a1.l CNAME a2.l\na2.l CNAME a3.l\na3.l CNAME a4.l\na4.l CNAME a5.l\n"
                            "a5.l CNAME a6.l\na6.l CNAME a7.l\na7.l CNAME a8.l\na8.l CNAME a9.l\n"
                            "a9.l A 1.2.3.4\n"
                            "b0.l CNAME a1.l\n");

    ck_assert_str_eq(ask(p, "a1.l", A),
        "0 an:a1.l,300,5,a2.l an:a2.l,300,5,a3.l an:a3.l,300,5,a4.l an:a4.l,300,5,a5.l "
        "an:a5.l,300,5,a6.l an:a6.l,300,5,a7.l an:a7.l,300,5,a8.l an:a8.l,300,5,a9.l "
        "an:a9.l,300,1,01020304");
    ck_assert_str_eq(ask(p, "b0.l", A), "2");
    poison_free(p);
}
END_TEST

START_TEST(cname_loops_end_in_servfail)
{
    struct poison *p = load("a.lan CNAME b.lan\nb.lan CNAME a.lan\n"
                            "s.lan CNAME s.lan\n*.w.lan CNAME x.w.lan\n");

    ck_assert_str_eq(ask(p, "a.lan", A), "2");
    ck_assert_str_eq(ask(p, "s.lan", A), "2");
    ck_assert_str_eq(ask(p, "q.w.lan", AAAA), "2");
    ck_assert_str_eq(ask(p, "a.lan", CNAME), "0 an:a.lan,300,5,b.lan");
    poison_free(p);
}
END_TEST

START_TEST(cname_may_stand_beside_its_signature)
{
    struct poison *p = load("a.lan RRSIG CNAME 8 2 60 20300101000000 20200101000000 1 lan. AAAA\n"
                            "a.lan CNAME b.lan\n"
                            "a.lan NSEC b.lan CNAME\n"
                            "b.lan A 1.2.3.4\n");

    ck_assert_str_eq(ask(p, "a.lan", A), "0 an:a.lan,300,5,b.lan an:b.lan,300,1,01020304");
    ck_assert_ptr_nonnull(strstr(ask(p, "a.lan", 46), "0 an:a.lan,300,46,0005"));
    poison_free(p);
}
END_TEST

/* ---- room ------------------------------------------------------------------------------------ */

START_TEST(answer_that_does_not_fit_is_servfail)
{
    struct poison *p = load("x.lan TXT \"0123456789012345678901234567890123456789\"\n"
                            "y.lan CNAME x.lan\ny2.lan CNAME out.example\nz.lan nxdomain\n");
    static const char *const names[] = {"x.lan", "y.lan", "y2.lan", "z.lan"};
    uint8_t name[WIRE_NAME_MAX], small[100];
    struct wire_question q = {.name = name, .type = TXT, .class = WIRE_CLASS_IN};

    for (size_t i = 0; i < 4; i++) {
        q.name_len = wire_name(names[i], name);
        for (size_t cap = 10; cap < 30; cap++) {
            memset(small, 0xaa, sizeof small);
            ck_assert_int_eq(poison_lookup(p, &q, small, cap, &result), POISON_ANSWER);
            ck_assert_uint_eq(wire_packed_rcode(small, result.packed_len), WIRE_SERVFAIL);
            ck_assert_uint_le(result.packed_len, cap);
            ck_assert_uint_eq(small[cap], 0xaa);
            ck_assert(!result.blocked);
        }
    }
    poison_free(p);
}
END_TEST

START_TEST(as_many_records_as_an_answer_can_hold)
{
    static char text[64 * 600];
    char *at = text;
    struct poison *p;

    for (int i = 0; i < POISON_RECORDS_MAX; i++)
        at = add(at, text + sizeof text, "x.lan A 10.0.%d.%d\n", i / 256, i % 256);
    p = load(text);
    ck_assert_ptr_nonnull(strstr(ask(p, "x.lan", A), ",0a0001ff"));
    ck_assert_uint_eq((unsigned)(reply[6] << 8 | reply[7]), POISON_RECORDS_MAX);
    poison_free(p);
    add(at, text + sizeof text, "x.lan A 10.1.1.1\n");
    ck_mistake(text, "513|x.lan|has 512 records already");
}
END_TEST

START_TEST(as_much_data_as_an_answer_can_hold)
{
    enum { RDATA = 29000 };
    static char text[3 * (2 * RDATA + 60)];
    char *at = text, *end = text + sizeof text;
    struct poison *p;

    for (int i = 1; i <= 3; i++) {
        at = add(at, end, "x.lan TYPE65280 \\# %d ", RDATA);
        for (int j = 0; j < RDATA; j++)
            at = add(at, end, "0%d", i);
        at = add(at, end, "\n");
        if (i == 2) {
            p = load(text);
            ask(p, "x.lan", 65280);
            ck_assert_uint_eq(reply_len, 12 + 11 + 2 * (12 + RDATA));
            poison_free(p);
        }
    }
    ck_mistake(text, "3|x.lan|has more data of this type than fits");
}
END_TEST

/* ---- mistakes -------------------------------------------------------------------------------- */

#define WORDS "expected a type, an address or one of nxdomain, nodata, refused, drop, pass"

START_TEST(mistakes_are_named)
{
    static const struct {
        const char *text;
        const char *mistake;
    } cases[] = {
        /* what stands behind the name */
        {"x.lan\n", "1|x.lan|" WORDS},
        {"x.lan 300\n", "1|300|" WORDS},
        {"x.lan 300 IN", "1|IN|" WORDS},
        {"x.lan nxdomian\n", "1|nxdomian|" WORDS},
        {"x.lan 60 FOO bar\n", "1|FOO|" WORDS},
        {"y.lan A 1.2.3.4\nx.lan foo\n", "2|foo|" WORDS},
        {"x.lan T\n", "1|T|" WORDS},
        {"x.lan AX\n", "1|AX|" WORDS},
        {"x.lan TYPE\n", "1|TYPE|" WORDS},
        {"x.lan foo A 1.2.3.4\n", "1|foo|" WORDS},
        {"x.lan \"A\" 1.2.3.4\n", "1|\"A\"|" WORDS},
        {"x.lan TYPE65536 \\# 0\n", "1|TYPE65536|" WORDS},
        {"x.lan 60 60 A 1.2.3.4\n", "1|60|"},
        {"x.lan nxdomain too\n", "1|too|nothing may follow a verdict"},
        {"x.lan 60 nxdomain\n", "1|60|a verdict has no TTL and no class"},
        {"x.lan IN pass\n", "1|IN|a verdict has no TTL and no class"},
        {"x.lan CH TXT a\n", "1|CH|overrides are of class IN only"},
        {"x.lan CLASS3 TXT a\n", "1|CLASS3|overrides are of class IN only"},
        {"x.lan hs TXT a\n", "1|hs|overrides are of class IN only"},
        {"x.lan CS TXT a\n", "1|CS|overrides are of class IN only"},
        {"x.lan classic TXT a\n", "1|classic|" WORDS},
        {"x.lan 4294967296 A 1.2.3.4\n", "1|4294967296|expected a number up to 4294967295"},
        {"x.lan 2147483648 A 1.2.3.4\n", "1|x.lan|its TTL is above 2147483647"},
        {"x.lan 2147483648 1.2.3.4\n", "1|x.lan|its TTL is above 2147483647"},
        {"x.lan 4294967296 1.2.3.4 1.2.3.5\n", "1|4294967296|expected a number up to 4294967295"},
        /* addresses */
        {"x.lan 192.168.1.256\n", "1|192.168.1.256|not an IPv4 address"},
        {"x.lan 192.168.1\n", "1|192.168.1|not an IPv4 address"},
        {"x.lan 192.168.1.0/24\n", "1|192.168.1.0/24|not an IPv4 address"},
        {"x.lan 1.2.3.4 1.2.3.4.5\n", "1|1.2.3.4.5|not an IPv4 address"},
        {"x.lan 1.2.3.4 foo\n", "1|foo|expected an address"},
        {"x.lan fe80::1%eth0\n", "1|fe80::1%eth0|not an IPv6 address"},
        {"x.lan fe80:::1\n", "1|fe80:::1|not an IPv6 address"},
        {"x.lan ::1 1.2.3.4,\n", "1|1.2.3.4,|not an IPv4 address"},
        {"x.lan A 192.168.1.999\n", "1|192.168.1.999|not an IPv4 address"},
        {"x.lan A foo\n", "1|foo|not an IPv4 address"},
        {"x.lan A ::1\n", "1|::1|not an IPv4 address"},
        {"x.lan AAAA 1.2.3.4\n", "1|1.2.3.4|not an IPv6 address"},
        {"x.lan AAAA ::g\n", "1|::g|not an IPv6 address"},
        {"x.lan A 1.2.3.4 1.2.3.5\n", "1|1.2.3.5|more than this type takes"},
        {"127.0.0.1 localhost\n", "1|127.0.0.1|the name comes first, then its addresses"},
        {"::1 localhost\n", "1|::1|the name comes first, then its addresses"},
        /* data */
        {"x.lan A\n", "1|A|its data is missing"},
        {"x.lan TXT ; nothing\n", "1|TXT|its data is missing"},
        {"x.lan MX mail.lan\n", "1|mail.lan|expected a number"},
        {"x.lan MX 70000 mail.lan\n", "1|70000|expected a number up to 65535"},
        {"x.lan MX 10\n", "1|10|"},
        {"x.lan CNAME a..b\n", "1|a..b|not a name"},
        {"x.lan CNAME a b\n", "1|b|more than this type takes"},
        {"x.lan TYPE65280 \\# 4 0A0000\n", "1|0A0000|the data is not as long as was said"},
        {"x.lan TYPE65280 \\# 2 0A0\n", "1|0A0|"},
        {"x.lan TYPE65280 \\# 1 xy\n", "1|xy|"},
        {"x.lan A \\# 3 010203\n", "1|x.lan|an A record has 4 bytes of data"},
        {"x.lan AAAA \\# 3 010203\n", "1|x.lan|an AAAA record has 16 bytes of data"},
        {"x.lan CNAME \\# 3 010203\n", "1|x.lan|the data of this type is one whole name"},
        {"x.lan CNAME \\# 0\n", "1|0|"},
        {"x.lan PTR \\# 2 c000\n", "1|x.lan|the data of this type is one whole name"},
        {"x.lan NS \\# 4 01610000\n", "1|x.lan|the data of this type is one whole name"},
        {"x.lan HTTPS 1 . foo=h2\n", "1|foo=h2|not a parameter"},
        {"x.lan HTTPS 1 . alpn=h2 alpn=h3\n", "1|alpn=h3|the same parameter twice"},
        {"x.lan SOA a. b. 1 2 3 4\n", "1|4|"},
        {"x.lan RRSIG A 8 2 60 2030x 2020 1 a. AAAA\n", "1|"},
        {"x.lan DNSKEY 257 3 8 !!!\n", "1|!!!|"},
        /* types that are no data */
        {"x.lan OPT \\# 0\n", "1|OPT|" WORDS},
        {"x.lan AXFR\n", "1|AXFR|" WORDS},
        {"x.lan ANY a\n", "1|ANY|" WORDS},
        {"x.lan TYPE0 \\# 0\n", "1|TYPE0|a type that is no data"},
        {"x.lan TYPE41 \\# 0\n", "1|TYPE41|a type that is no data"},
        {"x.lan TYPE128 \\# 0\n", "1|TYPE128|a type that is no data"},
        {"x.lan TYPE249 \\# 0\n", "1|TYPE249|a type that is no data"},
        {"x.lan TYPE250 \\# 0\n", "1|TYPE250|a type that is no data"},
        {"x.lan TYPE251 \\# 0\n", "1|TYPE251|a type that is no data"},
        {"x.lan TYPE252 \\# 0\n", "1|TYPE252|a type that is no data"},
        {"x.lan TYPE255 \\# 0\n", "1|TYPE255|a type that is no data"},
        {"x.lan TYPE65535 \\# 0\n", "1|TYPE65535|a type that is no data"},
        /* names */
        {"a..b A 1.2.3.4\n", "1|a..b|not a name"},
        {"..b nxdomain\n", "1|..b|not a name"},
        {"*..b nxdomain\n", "1|*..b|not a name"},
        {".*.b nxdomain\n", "1|.*.b|an asterisk stands for whole names"},
        {"ads*.b nxdomain\n", "1|ads*.b|an asterisk stands for whole names"},
        {"a.*.b nxdomain\n", "1|a.*.b|an asterisk stands for whole names"},
        {"*a.b nxdomain\n", "1|*a.b|an asterisk stands for whole names"},
        {"@ A 1.2.3.4\n", "1|@|there is no origin"},
        {"(x.lan) A 1.2.3.4\n", "1|(x.lan)|expected a name"},
        {"\"x.lan\" A 1.2.3.4\n", "1|\"x.lan\"|not a name"},
        {"a,b A 1.2.3.4\n", "1|a,b|not a name"},
        {"a0123456789012345678901234567890123456789012345678901234567890123.lan nxdomain\n",
            "1|a0123456789012345678901234567890123456789012345678901234567890123.lan|a label of a "
            "name is longer than 63 bytes"},
        {"a\\256.lan nxdomain\n", "1|a\\256.lan|expected a character or three digits"},
        {"a\\12.lan nxdomain\n", "1|a\\12.lan|expected a character or three digits"},
        {"x.lan TXT \\999\n", "1|\\999|expected a character or three digits"},
        {"x.lan TXT a\\", "1|a\\|expected a character or three digits"},
        {"m\303\274ller.lan A 1.2.3.4\n", "1|m\\195\\188ller.lan|only ASCII"},
        {"x.lan TXT \"\303\274\"\n", "1|\"\\195\\188\"|only ASCII"},
        {"x.lan\fA 1.2.3.4\n", "1|x.lan\\012A|only ASCII"},
        {"x.lan A 1.2.3.4\rx\n", "1|1.2.3.4\\013x|only ASCII"},
        {"x.lan A 1.2.3.4\177\n", "1|1.2.3.4\\127|only ASCII"},
        {"  A 1.2.3.4\n", "1|A|the line starts with a blank, and there is no name"},
        /* zone files */
        {"$ORIGIN lan.\n", "1|$ORIGIN|directives of zone files"},
        {"$TTL 60\n", "1|$TTL|directives"},
        {"$INCLUDE /etc/passwd\n", "1|$INCLUDE|directives"},
        {"$GENERATE 1-1000000 a$.lan A 10.0.0.$\n", "1|$GENERATE|directives"},
        {"x.lan SOA a. b. ( 1 2 3\n", "1|(|the parenthesis is not closed"},
        {"x.lan SOA a. b. 1 2 3 4 5 )\n", "1|)|a parenthesis that was not opened"},
        {"x.lan TXT \"a b\n", "1|\"a\\032b|the quote is not closed"},
        {"x.lan TXT a \"\n", "1|\"|the quote is not closed"},
        /* contradictions */
        {"x.lan A 1.2.3.4\nx.lan nxdomain\n", "2|x.lan|has records on a line before"},
        {"x.lan nxdomain\nx.lan A 1.2.3.4\n", "2|x.lan|has a verdict on a line before"},
        {"x.lan nxdomain\nX.lan. 1.2.3.4\n", "2|X.lan.|has a verdict on a line before"},
        {"*.x nxdomain\n*.x nodata\n", "2|*.x|has another verdict on a line before"},
        {".x drop\n.x refused\n", "2|.x|has another verdict on a line before"},
        {"x.lan CNAME a\nx.lan CNAME b\n", "2|x.lan|has another CNAME"},
        {"x.lan CNAME a\nx.lan A 1.2.3.4\n", "2|x.lan|has a CNAME on a line before"},
        {"x.lan A 1.2.3.4\nx.lan CNAME a\n", "2|x.lan|has other records on a line before"},
        {"x.lan A 1.2.3.4\n  CNAME a\n", "2|x.lan|has other records on a line before"},
        {"x.lan CNAME a\nx.lan RRSIG A 8 2 60 20300101000000 20200101000000 1 a. AAAA\n"
         "x.lan MX 1 a\n",
            "3|x.lan|has a CNAME on a line before"},
        {"1.0.0.10.in-addr.arpa PTR a\nx.lan 10.0.0.1\n1.0.0.10.in-addr.arpa drop\n",
            "3|1.0.0.10.in-addr.arpa|has records on a line before"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_mistake(cases[i].text, cases[i].mistake);
}
END_TEST

START_TEST(rules_of_other_places_are_no_contradiction)
{
    struct poison *p = load("x.lan A 1.2.3.4\n*.x.lan nxdomain\n.x.lan CNAME a.lan\n");

    ck_assert_uint_eq(poison_count(p), 3);
    poison_free(p);
}
END_TEST

START_TEST(all_mistakes_are_reported_with_their_lines)
{
    static const char text[] = "a..lan A 1.2.3.4\n"
                               "   AAAA ::g\n"
                               "b.lan A 1.2.3.4\n"
                               "b.lan foo\n"
                               "; fine\n"
                               "$TTL 5\r\n"
                               "c.lan 1.2.3.999 1.2.3.4 ::x\n"
                               "d.lan A 1";

    ck_assert_ptr_null(load_bytes(text, sizeof text - 1));
    ck_assert_uint_eq(n_mistakes, 7);
    ck_assert_str_eq(mistakes[1], "2|::g|not an IPv6 address");
    ck_assert_str_eq(mistakes[2], "4|foo|" WORDS);
    ck_assert_ptr_nonnull(strstr(mistakes[3], "6|$TTL|"));
    ck_assert_str_eq(mistakes[4], "7|1.2.3.999|not an IPv4 address");
    ck_assert_str_eq(mistakes[5], "7|::x|not an IPv6 address");
    ck_assert_str_eq(mistakes[6], "8|1|not an IPv4 address");
}
END_TEST

START_TEST(line_of_ten_megabytes)
{
    size_t len = 10 * 1024 * 1024;
    char *text = malloc(len);

    ck_assert_ptr_nonnull(text);
    memset(text, 'a', len);
    ck_assert_ptr_null(load_bytes(text, len));
    ck_assert_uint_eq(n_mistakes, 1);
    ck_assert_ptr_nonnull(strstr(mistakes[0], "aaa...|the line is longer than 65535 bytes"));
    free(text);
}
END_TEST

START_TEST(line_as_long_as_it_may_be)
{
    static char text[POISON_LINE_MAX + 2];
    struct poison *p;

    memset(text, ' ', POISON_LINE_MAX + 1);
    memcpy(text, "x.lan", 5);
    memcpy(text + POISON_LINE_MAX - 7, "1.2.3.4", 7);
    p = load_bytes(text, POISON_LINE_MAX);
    ck_assert_ptr_nonnull(p);
    ck_assert_str_eq(ask(p, "x.lan", A), "0 an:x.lan,300,1,01020304");
    poison_free(p);
    ck_assert_ptr_null(load_bytes(text, POISON_LINE_MAX + 1));
    memset(text, 'a', POISON_LINE_MAX);
    ck_assert_ptr_null(load_bytes(text, POISON_LINE_MAX));
}
END_TEST

START_TEST(bytes_that_are_no_text)
{
    static const char nul[] = "x.lan A 1.2.3.4\n; a comment \0 with a NUL\ny.lan\0 A 1.2.3.4\n";
    char byte[1];

    ck_assert_ptr_null(load_bytes(nul, sizeof nul - 1));
    ck_assert_uint_eq(n_mistakes, 2);
    ck_assert_ptr_nonnull(strstr(mistakes[0], "2|;|the line has a NUL byte"));
    ck_assert_ptr_nonnull(strstr(mistakes[1], "3|y.lan\\000|the line has a NUL byte"));
    for (int c = 0; c < 256; c++) {
        byte[0] = (char)c;
        struct poison *p = load_bytes(byte, 1);
        ck_assert_int_eq(p != NULL, strchr(" \t\r\n;#", c) != NULL && c != 0);
        poison_free(p);
    }
}
END_TEST

START_TEST(files_cut_and_damaged_anywhere)
{
    static const char whole[] = "router.lan 60 IN A 192.168.1.1 ; c\n"
                                "printer.lan 192.168.1.9 fe80::9\r\n"
                                "  TXT \"a;b\" \\# ( x )\n"
                                "*.dev.lan CNAME \\100.x.\n"
                                ".ads.example nxdomain # d\n"
                                "s.lan HTTPS 1 . alpn=\"h2,h3\" ipv4hint=1.2.3.4\n"
                                "t.lan TYPE65280 \\# 4 0A000001\n";
    static const uint8_t bytes[] = {
        0, '\n', ' ', '"', '\\', '(', ')', '*', '.', '#', ';', 0xff, '9'};
    char text[sizeof whole];

    for (size_t len = 0; len < sizeof whole; len++)
        poison_free(load_bytes(whole, len));
    for (size_t i = 0; i < sizeof whole - 1; i++) {
        for (size_t b = 0; b < sizeof bytes; b++) {
            memcpy(text, whole, sizeof whole);
            text[i] = (char)bytes[b];
            poison_free(load_bytes(text, sizeof whole - 1));
        }
    }
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

/* Loads with every allocation failing in turn, until none does. Returns how many there were. */
static long load_with_failures(const char *text, size_t len)
{
    struct poison *p;
    long k = 0;

    for (;; k++) {
        size_t before = bytes_in_use;
        n_mistakes = 0;
        allocations = 0;
        fail_at = k;
        p = poison_load(text, len, seed, note, mistakes);
        fail_at = -1;
        if (p != NULL)
            break;
        size_t after = bytes_in_use;
        ck_assert_uint_eq(after, before);
        ck_assert_uint_eq(n_mistakes, 1);
        ck_assert_str_eq(mistakes[0], "0||memory is out");
    }
    ck_assert_uint_eq(n_mistakes, 0);
    ck_assert_ptr_null(poison_check(p));
    poison_free(p);
    return k;
}

START_TEST(memory_runs_out_at_every_allocation)
{
    static const char text[] = "a.lan 1.2.3.4 ::5\nb.lan nxdomain\n*.c.lan TXT a\n.lan nxdomain\n"
                               "x.y.z.lan CNAME a.lan\n";

    ck_assert_int_gt(load_with_failures(text, sizeof text - 1), 15);
}
END_TEST

START_TEST(memory_runs_out_as_the_table_grows)
{
    static char text[400 * 24];
    char *at = text;

    for (int i = 0; i < 400; i++)
        at = add(at, text + sizeof text, ".n%d.example drop\n", i);
    ck_assert_int_gt(load_with_failures(text, (size_t)(at - text)), 405);
}
END_TEST

START_TEST(memory_runs_out_after_a_mistake)
{
    /* The scanner is set up anew behind a mistake: its second set-up is the allocation that fails.
     */
    static const char text[] = "a.lan bogus\nb.lan nxdomain\n";

    n_mistakes = 0;
    allocations = 0;
    fail_at = 3;
    struct poison *p = poison_load(text, sizeof text - 1, seed, note, mistakes);
    fail_at = -1;
    ck_assert_ptr_null(p);
    ck_assert_uint_eq(n_mistakes, 2);
    ck_assert_str_eq(mistakes[1], "0||memory is out");
}
END_TEST

/* Its first line is wrong. */
static void load_a_mistake_with_failures(const char *text, size_t len)
{
    bool reached = true;

    for (long k = 0; reached; k++) {
        size_t before = bytes_in_use;
        n_mistakes = 0;
        allocations = 0;
        fail_at = k;
        struct poison *p = poison_load(text, len, seed, note, mistakes);
        reached = allocations > k;
        fail_at = -1;
        size_t after = bytes_in_use;
        ck_assert_ptr_null(p);
        ck_assert_uint_eq(after, before);
        ck_assert_uint_ge(n_mistakes, 1);
        ck_assert_uint_le(n_mistakes, 2);
        if (n_mistakes == 2 || !reached)
            ck_assert_msg(
                mistakes[0][0] == '1' && strstr(mistakes[0], "bogus|") != NULL, "%s", mistakes[0]);
        if (reached)
            ck_assert_str_eq(mistakes[n_mistakes - 1], "0||memory is out");
    }
}

/* And nothing is made up about the lines behind it, of whatever kind. */
START_TEST(memory_that_runs_out_behind_a_mistake_is_no_mistake_of_the_file)
{
    static const char *const files[] = {"a.lan bogus\nb.lan A 1.2.3.4\n",
        "a.lan A bogus\n  A 1.2.3.4\n", "a.lan 1.2.3.bogus 1.2.3.4 ::1\n",
        "a.lan bogus\n  nodata\nb.lan nodata\n"};

    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        load_a_mistake_with_failures(files[i], strlen(files[i]));
}
END_TEST

START_TEST(lookup_allocates_nothing)
{
    struct poison *p = load("a.lan CNAME b.lan\nb.lan 1.2.3.4\n.c nxdomain\nd CNAME x.y\n");
    static const char *const names[] = {"a.lan", "x.c", "d", "none"};
    uint8_t name[WIRE_NAME_MAX];
    struct wire_question q = {.name = name, .type = A, .class = WIRE_CLASS_IN};
    long seen;

    for (size_t i = 0; i < 4; i++) {
        q.name_len = wire_name(names[i], name);
        allocations = 0;
        poison_lookup(p, &q, packed, sizeof packed, &result);
        seen = allocations;
        ck_assert_int_eq(seen, 0);
    }
    poison_free(p);
}
END_TEST

START_TEST(hundred_thousand_names_are_small)
{
    enum { N = 100000 };
    size_t cap = (size_t)N * 32, before;
    char *text = malloc(cap), *at = text, name[32];
    struct poison *p;

    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < N; i++)
        at = add(at, text + cap, ".ads%d.example nxdomain\n", i);
    before = bytes_in_use;
    p = poison_load(text, (size_t)(at - text), seed, note, mistakes);
    size_t in_use = bytes_in_use - before;
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(poison_count(p), N);
    ck_assert_uint_lt(in_use / N, 160);
    ck_assert_ptr_null(poison_check(p));
    for (int i = 0; i < N; i += 997) {
        snprintf(name, sizeof name, "x.ads%d.example", i);
        ck_assert_int_eq(ask(p, name, A)[0], '3');
    }
    ck_assert_str_eq(ask(p, "x.ads100000.example", A), "NONE");
    poison_free(p);
    free(text);
}
END_TEST

/* ---- the example ----------------------------------------------------------------------------- */

START_TEST(example_file_says_what_its_comments_say)
{
    static char text[64 * 1024];
    FILE *f = fopen("poison.conf", "rb");
    struct poison *p;
    size_t len;

    ck_assert_msg(f != NULL, "poison.conf not found: run the tests from the top of the tree");
    len = fread(text, 1, sizeof text, f);
    fclose(f);
    p = load_bytes(text, len);
    ck_assert_msg(p != NULL, "%s", mistakes[0]);
    ck_assert_str_eq(ask(p, "router.lan", A), "0 an:router.lan,300,1,c0a80101");
    ck_assert_str_eq(
        ask(p, "printer.lan", AAAA), "0 an:printer.lan,300,28,fd000001000000000000000000000009");
    ck_assert_str_eq(ask(p, "9.1.168.192.in-addr.arpa", PTR),
        "0 an:9.1.168.192.in-addr.arpa,300,12,printer.lan");
    ck_assert_str_eq(ask(p, "20.1.168.192.in-addr.arpa", PTR),
        "0 an:20.1.168.192.in-addr.arpa,300,12,storage.lan");
    ck_assert_str_eq(ask(p, "sensor.lan", 65280), "0 an:sensor.lan,300,65280,0a000001");
    ck_assert_str_eq(ask(p, "any.dev.lan", A), "0 an:any.dev.lan,300,1,7f000001");
    ck_assert_str_eq(ask(p, "db.dev.lan", A), "0 an:db.dev.lan,300,1,c0a8011e");
    ck_assert_str_eq(ask(p, "x.shop.dev.lan", A),
        "0 an:x.shop.dev.lan,300,5,router.lan an:router.lan,300,1,c0a80101");
    ck_assert_str_eq(ask(p, "www.lan", A), "0 an:www.lan,300,5,nas.lan an:nas.lan,3600,1,c0a80114");
    ck_assert_str_eq(
        ask(p, "old.example", A), "CHASE www.example.net 0 an:old.example,300,5,www.example.net");
    ck_assert_str_eq(ask(p, "x.ads.example", A), "3 ns:ads.example,300,6,!");
    ck_assert_str_eq(ask(p, "good.ads.example", A), "PASS");
    ck_assert_str_eq(ask(p, "x.telemetry.example", A), "0 ns:telemetry.example,300,6,!");
    ck_assert_str_eq(ask(p, "scanner.example", A), "DROP");
    ck_assert_str_eq(ask(p, "intern.example", A), "REFUSED");
    poison_free(p);
}
END_TEST

/* The manual's EXAMPLES, each a file of its own. */
START_TEST(examples_of_the_manual_have_no_mistakes)
{
    static char text[16 * 1024];
    char line[512], *at = text;
    bool in_examples = false, in_literal = false;
    int n = 0;
    FILE *f = fopen("man/poison.conf.5", "r");

    ck_assert_msg(f != NULL, "man/poison.conf.5 not found: run the tests from the top of the tree");
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, ".Sh ", 4) == 0)
            in_examples = strcmp(line, ".Sh EXAMPLES\n") == 0;
        if (in_literal && strcmp(line, ".Ed\n") == 0) {
            struct poison *p = load_bytes(text, (size_t)(at - text));
            ck_assert_msg(p != NULL, "%s\n%s", mistakes[0], text);
            poison_free(p);
            n++;
            in_literal = false;
        }
        if (in_literal)
            at = add(at, text + sizeof text, "%s", line + (line[0] == '\\' ? 2 : 0));
        if (in_examples && strncmp(line, ".Bd -literal", 12) == 0) {
            in_literal = true;
            at = text;
        }
    }
    fclose(f);
    ck_assert_int_eq(n, 4);
}
END_TEST

static void add_tests(Suite *suite, const char *name, const TTest *const *tests, size_t n)
{
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, 60);
    for (size_t i = 0; i < n; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
}

#define ADD(suite, name, ...)                                                                      \
    do {                                                                                           \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        add_tests(suite, name, tests, sizeof tests / sizeof *tests);                               \
    } while (0)

int main(void)
{
    Suite *suite = suite_create("poison");
    SRunner *runner;
    int failed;

    ADD(suite, "records", record_is_answered_byte_for_byte, nodata_has_a_soa_byte_for_byte,
        ttl_and_class_are_optional_in_either_order, types_of_all_kinds,
        records_of_a_type_come_in_the_files_order, rrset_has_its_lowest_ttl,
        saying_the_same_twice_is_no_mistake, names_are_absolute_and_their_case_does_not_count,
        escapes_in_owners, longest_names_and_deepest_names, continued_lines_go_on_with_the_name,
        comments_quotes_and_line_ends, nothing_in_the_file);
    ADD(suite, "the short form", addresses_make_a_aaaa_and_ptr,
        first_name_of_an_address_gets_the_ptr,
        what_is_written_for_a_reverse_name_wins_before_and_after,
        addresses_of_nobody_and_of_patterns_make_no_ptr);
    ADD(suite, "patterns and verdicts", wildcard_is_below_and_dot_is_both,
        verdicts_on_every_kind_of_owner, exact_beats_pattern_and_longest_pattern_wins,
        pass_beats_everything_at_its_level, name_above_an_override_is_not_denied_by_a_pattern,
        name_above_an_override_that_only_an_order_would_show, other_classes_are_not_ours);
    ADD(suite, "the model", random_sets_say_what_a_plain_reading_of_the_rules_says);
    ADD(suite, "CNAME", cname_is_followed_inside_the_set,
        cname_of_a_wildcard_is_owned_by_the_asked_name, cname_target_outside_is_chased,
        cname_target_with_a_verdict, cname_chain_has_eight_links_and_no_more,
        cname_loops_end_in_servfail, cname_may_stand_beside_its_signature);
    ADD(suite, "room", answer_that_does_not_fit_is_servfail, as_many_records_as_an_answer_can_hold,
        as_much_data_as_an_answer_can_hold);
    ADD(suite, "mistakes", mistakes_are_named, rules_of_other_places_are_no_contradiction,
        all_mistakes_are_reported_with_their_lines, line_of_ten_megabytes,
        line_as_long_as_it_may_be, bytes_that_are_no_text, files_cut_and_damaged_anywhere);
    ADD(suite, "memory", memory_runs_out_at_every_allocation, memory_runs_out_as_the_table_grows,
        memory_runs_out_after_a_mistake,
        memory_that_runs_out_behind_a_mistake_is_no_mistake_of_the_file, lookup_allocates_nothing,
        hundred_thousand_names_are_small);
    ADD(suite, "the examples", example_file_says_what_its_comments_say,
        examples_of_the_manual_have_no_mistakes);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
