/* tests/unit/wire.c: wire against messages made by hand, cut short, bent and taken from others.
 * Knows wire.h and the RFCs; never wire's own parts. */
#include "wire_build.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define AN WIRE_SECTION_ANSWER
#define NS WIRE_SECTION_AUTHORITY
#define AR WIRE_SECTION_ADDITIONAL

static const struct wire_ttl_bounds wide = {0, 86400};

static struct msg m;

/* Text to a wire name, in one of a few buffers. */
static const uint8_t *name_of(const char *text, size_t *len)
{
    static struct msg buffers[4];
    static unsigned turn;
    struct msg *b = &buffers[turn++ % 4];

    b->len = 0;
    m_name(b, text);
    *len = b->len;
    return b->bytes;
}

/* ---- names ----------------------------------------------------------------------------------- */

START_TEST(a_name_has_a_length_or_is_none)
{
    static const uint8_t www[] = "\3www\7example\3com";
    uint8_t longest[256];

    ck_assert_uint_eq(wire_name_len(www, sizeof www), 17);
    ck_assert_uint_eq(wire_name_len(www, 16), 0); /* the root byte is missing */
    ck_assert_uint_eq(wire_name_len(www, 3), 0);
    ck_assert_uint_eq(wire_name_len(www, 0), 0);
    ck_assert_uint_eq(wire_name_len((const uint8_t *)"", 1), 1);
    ck_assert_uint_eq(wire_name_len((const uint8_t *)"\xc0\x0c", 3), 0);
    ck_assert_uint_eq(wire_name_len((const uint8_t *)"\x40", 255), 0); /* RFC 6891 5: 01 is gone */
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = i % 2 ? 'a' : 1;
    longest[254] = 0;
    ck_assert_uint_eq(wire_name_len(longest, sizeof longest), 255); /* 127 labels and the root */
    longest[254] = 1;
    longest[255] = 0;
    ck_assert_uint_eq(wire_name_len(longest, sizeof longest), 0);
    memset(longest, 'b', sizeof longest);
    longest[0] = longest[64] = longest[128] = 63;
    longest[192] = 61;
    longest[254] = 0;
    ck_assert_uint_eq(wire_name_len(longest, sizeof longest), 255);
    longest[192] = 62;
    longest[255] = 0;
    ck_assert_uint_eq(wire_name_len(longest, sizeof longest), 0);
}
END_TEST

START_TEST(only_ascii_letters_have_case)
{
    uint8_t all[256], low[256];

    for (unsigned i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    for (size_t len = 0; len <= 256; len++) { /* each way to be cut in eights */
        memset(low, 0xee, sizeof low);
        wire_name_lower(all, len, low);
        for (unsigned i = 0; i < 256; i++) {
            unsigned want = i >= 'A' && i <= 'Z' ? i + 32 : i;
            ck_assert_uint_eq(low[i], i < len ? want : 0xee);
        }
    }
    for (unsigned i = 0; i < 256; i++)
        for (unsigned j = 0; j < 256; j++) {
            uint8_t a[9] = {0}, b[9] = {0};
            a[i % 9] = (uint8_t)i;
            b[i % 9] = (uint8_t)j;
            unsigned x = i >= 'A' && i <= 'Z' ? i + 32 : i;
            unsigned y = j >= 'A' && j <= 'Z' ? j + 32 : j;
            ck_assert_int_eq(wire_name_equal(a, 9, b, 9), x == y);
        }
    ck_assert(!wire_name_equal(all, 3, all, 4));
}
END_TEST

START_TEST(below_means_whole_labels)
{
    static const struct {
        const char *name, *parent;
        bool below;
    } rows[] = {
        {"www.example.com", "example.com", true},
        {"www.EXAMPLE.com", "example.COM", true},
        {"example.com", "example.com", true},
        {"example.com", "www.example.com", false},
        {"badexample.com", "example.com", false},
        {"example.com", ".", true},
        {".", ".", true},
        {".", "com", false},
        {"com", "net", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t a_len, b_len;
        const uint8_t *a = name_of(rows[i].name, &a_len);
        const uint8_t *b = name_of(rows[i].parent, &b_len);
        ck_assert_msg(wire_name_below(a, a_len, b, b_len) == rows[i].below, "%s below %s",
            rows[i].name, rows[i].parent);
    }
    /* A label whose bytes look like the parent: "x\3com" is one label of five bytes. */
    static const uint8_t sly[] = "\5x\3com";
    static const uint8_t com[] = "\3com";
    ck_assert(!wire_name_below(sly, sizeof sly, com, sizeof com));
}
END_TEST

START_TEST(labels_are_counted_without_the_root)
{
    size_t len;
    const uint8_t *name = name_of("a.b.c", &len);

    ck_assert_uint_eq(wire_name_labels(name, len), 3);
    ck_assert_uint_eq(wire_name_labels((const uint8_t *)"", 1), 0);
    ck_assert_uint_eq(wire_name_labels((const uint8_t *)"\5ab", 3), 1);
}
END_TEST

START_TEST(text_is_safe_in_a_log)
{
    static const uint8_t odd[] = "\6a.b\\\n\xff\5_-Z9*\3com";
    char text[WIRE_NAME_TEXT_MAX];
    uint8_t worst[255], longer[300];

    ck_assert_uint_eq(wire_name_text(odd, sizeof odd, text), strlen(text));
    ck_assert_str_eq(text, "a\\046b\\092\\010\\255._-Z9\\042.com");
    ck_assert_uint_eq(wire_name_text((const uint8_t *)"", 1, text), 1);
    ck_assert_str_eq(text, ".");
    memset(worst, 0x07, sizeof worst);
    worst[0] = worst[64] = worst[128] = 63;
    worst[192] = 61;
    worst[254] = 0;
    ck_assert_uint_eq(wire_name_text(worst, sizeof worst, text), 4 * 250 + 3);
    worst[254] = 0x07; /* a label more, which no name has room for */
    memcpy(longer, worst, sizeof worst);
    memset(longer + sizeof worst, 0x07, sizeof longer - sizeof worst);
    ck_assert_uint_lt(wire_name_text(longer, sizeof longer, text), sizeof text);
    /* What is no name is cut, not followed. */
    ck_assert_uint_eq(wire_name_text((const uint8_t *)"\77a", 2, text), 1);
    ck_assert_str_eq(text, "a");
}
END_TEST

START_TEST(case_is_chosen_by_the_bits_and_nothing_else_changes)
{
    uint8_t name[] = "\4aB-c\3x1Z";
    static const uint8_t ones[] = {0xff, 0xff};
    static const uint8_t zeros[2] = {0};
    static const uint8_t mixed[] = {0x52, 0}; /* bytes 1, 4 and 6 */

    wire_name_randomise_case(name, sizeof name, ones);
    ck_assert_mem_eq(name, "\4ab-c\3x1z", sizeof name);
    wire_name_randomise_case(name, sizeof name, zeros);
    ck_assert_mem_eq(name, "\4AB-C\3X1Z", sizeof name);
    wire_name_randomise_case(name, sizeof name, mixed);
    ck_assert_mem_eq(name, "\4aB-c\3x1Z", sizeof name);
}
END_TEST

/* RFC 1035 4.1.4: F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40, ARPA at 64, the root at 92. */
START_TEST(the_example_of_rfc_1035_expands)
{
    uint8_t msg[93] = {0};
    uint8_t name[WIRE_NAME_MAX];
    size_t end = 0;

    memcpy(msg + 20, "\1F\3ISI\4ARPA", 12);
    memcpy(msg + 40, "\3FOO\xc0\x14", 6);
    memcpy(msg + 64, "\xc0\x1a", 2);
    ck_assert_uint_eq(wire_name_expand(msg, sizeof msg, 20, name, &end), 12);
    ck_assert_uint_eq(end, 32);
    ck_assert_uint_eq(wire_name_expand(msg, sizeof msg, 40, name, &end), 16);
    ck_assert_mem_eq(name, "\3FOO\1F\3ISI\4ARPA", 16);
    ck_assert_uint_eq(end, 46);
    ck_assert_uint_eq(wire_name_expand(msg, sizeof msg, 64, name, &end), 6);
    ck_assert_mem_eq(name, "\4ARPA", 6);
    ck_assert_uint_eq(end, 66);
    ck_assert_uint_eq(wire_name_expand(msg, sizeof msg, 92, name, &end), 1);
    ck_assert_uint_eq(wire_name_expand(msg, sizeof msg, 92, name, NULL), 1);
    ck_assert_uint_eq(end, 93);
    ck_assert_uint_eq(wire_name_expand(msg, sizeof msg, 93, name, &end), 0);
    ck_assert_uint_eq(wire_name_expand(msg, sizeof msg, SIZE_MAX, name, &end), 0);
}
END_TEST

START_TEST(pointers_go_strictly_backwards)
{
    uint8_t msg[64] = {0};
    uint8_t name[WIRE_NAME_MAX];
    size_t end;

    memcpy(msg + 20, "\xc0\x14", 2); /* itself */
    ck_assert_uint_eq(wire_name_expand(msg, 64, 20, name, &end), 0);
    memcpy(msg + 20, "\xc0\x1e", 2); /* forward, to a root */
    ck_assert_uint_eq(wire_name_expand(msg, 64, 20, name, &end), 0);
    memcpy(msg + 20, "\1a\xc0\x14", 4); /* into its own label run */
    ck_assert_uint_eq(wire_name_expand(msg, 64, 20, name, &end), 0);
    memcpy(msg + 20, "\1a\xc0\x18\xc0\x14", 6); /* two that point at each other */
    ck_assert_uint_eq(wire_name_expand(msg, 64, 24, name, &end), 0);
    memcpy(msg + 20, "\xc0\x0b", 2); /* into the header */
    ck_assert_uint_eq(wire_name_expand(msg, 64, 20, name, &end), 0);
    memcpy(msg + 20, "\xc0\x0c", 2);
    ck_assert_uint_eq(wire_name_expand(msg, 64, 20, name, &end), 1);
    ck_assert_uint_eq(wire_name_expand(msg, 21, 20, name, &end), 0); /* half a pointer */
    memcpy(msg + 20, "\x80\x0c", 2);
    ck_assert_uint_eq(wire_name_expand(msg, 64, 20, name, &end), 0);
}
END_TEST

START_TEST(a_name_may_have_a_pointer_behind_each_of_its_127_labels_and_no_more)
{
    uint8_t name[WIRE_NAME_MAX];
    size_t end;

    m_start(&m, WIRE_QR, ".", WIRE_TYPE_A);
    size_t last = m.len;
    m_name(&m, "a.@12");
    for (int i = 1; i < 127; i++) {
        size_t at = m.len;
        m_raw(&m, "\1a", 2);
        m_u16(&m, 0xc000 | (unsigned)last);
        last = at;
    }
    ck_assert_uint_eq(wire_name_expand(m.bytes, m.len, last, name, &end), 255);
    size_t longer = m.len;
    m_raw(&m, "\1a", 2);
    m_u16(&m, 0xc000 | (unsigned)last);
    ck_assert_uint_eq(wire_name_expand(m.bytes, m.len, longer, name, &end), 0);

    /* Pointers to pointers are legal, but no name needs more than 127 of them. */
    m_start(&m, WIRE_QR, ".", WIRE_TYPE_A);
    last = 12;
    for (int i = 0; i < 127; i++) {
        size_t at = m.len;
        m_u16(&m, 0xc000 | (unsigned)last);
        last = at;
    }
    ck_assert_uint_eq(wire_name_expand(m.bytes, m.len, last, name, &end), 1);
    m_u16(&m, 0xc000 | (unsigned)last);
    ck_assert_uint_eq(wire_name_expand(m.bytes, m.len, m.len - 2, name, &end), 0);
}
END_TEST

/* ---- queries --------------------------------------------------------------------------------- */

static uint8_t *parsed; /* the last query parsed, of exactly its size */

static enum wire_query_verdict parse(const struct msg *query, struct wire_query *q)
{
    free(parsed);
    parsed = exact(query->bytes, query->len);
    return wire_parse_query(parsed, query->len, q);
}

static enum wire_query_verdict verdict_of(const struct msg *query)
{
    struct wire_query q;
    return parse(query, &q);
}

START_TEST(an_ordinary_query_is_read)
{
    /* dig www.Example.com, as it stands on the wire */
    static const uint8_t dig[] = {0xbe, 0xef, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1, 3, 'w', 'w', 'w',
        7, 'E', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'c', 'o', 'm', 0, 0, 1, 0, 1, 0, 0, 41, 0x10, 0, 0,
        0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
    struct wire_query q;

    ck_assert_int_eq(wire_parse_query(dig, sizeof dig, &q), WIRE_QUERY_OK);
    ck_assert_uint_eq(q.id, 0xbeef);
    ck_assert_uint_eq(q.flags, WIRE_RD | WIRE_AD);
    ck_assert_ptr_eq(q.question.name, dig + 12);
    ck_assert_uint_eq(q.question.name_len, 17);
    ck_assert_uint_eq(q.question.type, WIRE_TYPE_A);
    ck_assert_uint_eq(q.question.class, WIRE_CLASS_IN);
    ck_assert(q.edns.present && !q.edns.dnssec_ok && !q.edns.keepalive);
    ck_assert_uint_eq(q.edns.udp_size, 4096);
    ck_assert_uint_eq(q.edns.cookie_len, 8);
    ck_assert_mem_eq(q.edns.cookie, "\1\2\3\4\5\6\7\10", 8);
    ck_assert_uint_eq(wire_udp_limit(&q), 1232);
    for (size_t len = 0; len < sizeof dig; len++) {
        uint8_t *cut = exact(dig, len);
        ck_assert_int_eq(
            wire_parse_query(cut, len, &q), len < 12 ? WIRE_QUERY_DROP : WIRE_QUERY_FORMERR);
        if (len >= 12) {
            ck_assert_int_eq(q.question.name != NULL, len >= 33);
            ck_assert(!q.edns.present);
        }
        free(cut);
    }
}
END_TEST

START_TEST(a_query_without_edns_takes_512_bytes)
{
    struct wire_query q;

    m_start(&m, WIRE_RD, "example", WIRE_TYPE_AAAA);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_OK);
    ck_assert(!q.edns.present);
    ck_assert_uint_eq(q.edns.udp_size, 512);
    ck_assert_uint_eq(wire_udp_limit(&q), 512);
    m_opt(&m, 511, 0x8000);
    m_close(&m);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_OK);
    ck_assert(q.edns.dnssec_ok);
    ck_assert_uint_eq(q.edns.udp_size, 512);
    ck_assert_uint_eq(wire_udp_limit(&q), 512);
    m_set_u16(&m, m.rdata_at - 8, 1000);
    parse(&m, &q);
    ck_assert_uint_eq(wire_udp_limit(&q), 1000);
}
END_TEST

START_TEST(replies_are_never_answered)
{
    m_start(&m, WIRE_QR | WIRE_RD, "example", WIRE_TYPE_A);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_DROP);
    m_start(&m, WIRE_QR | 5 << 11, "example", WIRE_TYPE_A);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_DROP);
}
END_TEST

START_TEST(other_opcodes_are_not_implemented_whatever_else_is_wrong)
{
    struct wire_query q;

    for (unsigned opcode = 1; opcode < 16; opcode++) {
        m_start(&m, opcode << 11, "example", WIRE_TYPE_SOA);
        ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_NOTIMP);
        ck_assert_ptr_nonnull(q.question.name);
        m_u8(&m, 0);
        m_set_u16(&m, 8, 7);
        ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_NOTIMP);
    }
    m.len = 12; /* RFC 8906 8.1.4: a header only */
    m_set_u16(&m, 4, 0);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_NOTIMP);
    ck_assert_ptr_null(q.question.name);
}
END_TEST

START_TEST(there_is_exactly_one_question)
{
    struct wire_query q;

    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_set_u16(&m, 4, 0);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_FORMERR);
    ck_assert_ptr_null(q.question.name);
    m.len = 12;
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_name(&m, "example");
    m_u32(&m, 0x00010001);
    m_set_u16(&m, 4, 2);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_FORMERR);
    ck_assert_ptr_null(q.question.name);
}
END_TEST

START_TEST(a_question_is_not_compressed)
{
    struct wire_query q;

    m_start(&m, WIRE_RD, "www.@", WIRE_TYPE_A);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_FORMERR);
    ck_assert_ptr_null(q.question.name);
}
END_TEST

START_TEST(a_query_has_no_answers)
{
    struct wire_query q;

    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_a(&m, AN, "@", 1, 1);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_FORMERR);
    ck_assert_ptr_nonnull(q.question.name); /* the question goes back with it */
    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_soa(&m, NS, "@", 1, 1);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
    m_start(&m, WIRE_RD, "example", WIRE_TYPE_IXFR); /* RFC 1995 3 */
    m_soa(&m, NS, "@", 1, 1);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_OK);
    m_soa(&m, NS, "@", 1, 1);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
}
END_TEST

START_TEST(counts_that_cannot_be_true_are_refused)
{
    m_start(&m, WIRE_RD, ".", WIRE_TYPE_A);
    m_opt(&m, 1232, 0);
    m_close(&m);
    ck_assert_uint_eq(m.len, 12 + 5 + 11);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_OK);
    m_set_u16(&m, 10, 2);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
    m_set_u16(&m, 10, 0xffff);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
    struct wire_cursor c; /* before a record is looked at */
    ck_assert_int_eq(wire_cursor_start(&c, m.bytes, m.len), -1);
    m_set_u16(&m, 10, 1);
    ck_assert_int_eq(wire_cursor_start(&c, m.bytes, m.len), 0);
    m_set_u16(&m, 10, 0); /* and one too few leaves bytes over */
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
}
END_TEST

START_TEST(bytes_behind_a_query_are_refused)
{
    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_u8(&m, 0);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_opt(&m, 1232, 0);
    m_close(&m);
    m_raw(&m, "trailing bytes", 14);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
}
END_TEST

START_TEST(other_records_in_additional_are_passed_over)
{
    struct wire_query q;

    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_a(&m, AR, "@", 1, 1);
    m_opt(&m, 2000, 0);
    m_close(&m);
    m_a(&m, AR, "ns.@", 1, 1);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_OK);
    ck_assert(q.edns.present);
    ck_assert_uint_eq(q.edns.udp_size, 2000);
    m.bytes[m.len - 5]++; /* RDLENGTH runs over the end */
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_FORMERR);
    ck_assert(!q.edns.present);
}
END_TEST

START_TEST(a_second_opt_is_refused)
{
    struct wire_query q;

    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_opt(&m, 1232, 0);
    m_close(&m);
    m_opt(&m, 1232, 0);
    m_close(&m);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_FORMERR);
    ck_assert(!q.edns.present);
}
END_TEST

START_TEST(an_opt_stands_in_additional_and_belongs_to_the_root)
{
    m_start(&m, WIRE_RD, "example", WIRE_TYPE_IXFR);
    m_open(&m, NS, ".", WIRE_TYPE_OPT, 0);
    m_close(&m);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_open(&m, AR, "example", WIRE_TYPE_OPT, 0);
    m_close(&m);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
}
END_TEST

START_TEST(options_must_fill_their_record)
{
    static const size_t wrong[] = {1, 2, 3};

    for (size_t i = 0; i < 3; i++) { /* half an option's head */
        m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
        m_opt(&m, 1232, 0);
        m_raw(&m, "\0\3\0\0", wrong[i]);
        m_close(&m);
        ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
    }
    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_opt(&m, 1232, 0);
    m_u32(&m, 0x00030005); /* five bytes of which four are there */
    m_u32(&m, 0);
    m_close(&m);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
}
END_TEST

START_TEST(thirty_two_options_are_enough)
{
    for (unsigned n = 32; n <= 33; n++) {
        m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
        m_opt(&m, 1232, 0);
        for (unsigned i = 0; i < n; i++)
            m_option(&m, 65001 + i, "x", 1);
        m_close(&m);
        ck_assert_int_eq(verdict_of(&m), n == 32 ? WIRE_QUERY_OK : WIRE_QUERY_FORMERR);
    }
}
END_TEST

START_TEST(a_cookie_has_8_or_16_to_40_bytes)
{
    uint8_t cookie[64] = {0};
    struct wire_query q;

    for (size_t len = 0; len < sizeof cookie; len++) {
        bool fits = len == 8 || (len >= 16 && len <= 40);
        m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
        m_opt(&m, 1232, 0);
        m_option(&m, 10, cookie, len);
        m_close(&m);
        ck_assert_int_eq(parse(&m, &q), fits ? WIRE_QUERY_OK : WIRE_QUERY_FORMERR);
        ck_assert_uint_eq(q.edns.cookie_len, fits ? len : 0);
    }
}
END_TEST

START_TEST(the_first_cookie_counts)
{
    struct wire_query q;

    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_opt(&m, 1232, 0);
    m_option(&m, 10, "12345678", 8);
    m_option(&m, 11, "", 0);
    m_option(&m, 10, "bad", 3);
    m_close(&m);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_OK);
    ck_assert_mem_eq(q.edns.cookie, "12345678", 8);
    ck_assert(q.edns.keepalive);
}
END_TEST

START_TEST(a_newer_edns_is_told_so_and_its_options_are_not_read)
{
    struct wire_query q;

    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_opt(&m, 1232, 0x00018000);
    m_option(&m, 10, "bad", 3);
    m_close(&m);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_BADVERS);
    ck_assert(q.edns.present && q.edns.dnssec_ok);
    ck_assert_uint_eq(q.edns.version, 1);
    m_u8(&m, 0); /* but it must be well formed */
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
}
END_TEST

START_TEST(signed_queries_are_known_as_such)
{
    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_opt(&m, 1232, 0);
    m_close(&m);
    m_open(&m, AR, "key.example", WIRE_TYPE_TSIG, 0);
    m_raw(&m, "anything", 8);
    m_close(&m);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_SIGNED);
    m_a(&m, AR, "@", 1, 1); /* RFC 8945 5.1: it is the last record */
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_open(&m, AR, ".", WIRE_TYPE_SIG, 0);
    m_u16(&m, 0);
    m_close(&m);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_SIGNED);
    m.bytes[m.len - 1] = 1; /* covers A: a record like any other */
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_OK);
    m.len--; /* covers nobody knows what */
    m_close(&m);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_OK);
    m_start(&m, WIRE_RD, "example", WIRE_TYPE_A);
    m_opt(&m, 1232, 0x00ff0000);
    m_close(&m);
    m_open(&m, AR, ".", WIRE_TYPE_TSIG, 0);
    m_close(&m);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_BADVERS);
    m_start(&m, WIRE_RD, "example", WIRE_TYPE_IXFR);
    m_open(&m, NS, ".", WIRE_TYPE_TSIG, 0);
    m_close(&m);
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_FORMERR);
}
END_TEST

START_TEST(a_query_full_of_records_is_read_to_its_end)
{
    m_start(&m, WIRE_RD, ".", WIRE_TYPE_A);
    while (m.len + 12 <= WIRE_MESSAGE_MAX) {
        m_open(&m, AR, "@", 4711, 0);
        m_close(&m);
    }
    ck_assert_int_eq(verdict_of(&m), WIRE_QUERY_OK);
}
END_TEST

/* ---- keys ------------------------------------------------------------------------------------ */

START_TEST(a_key_comes_back_as_it_went)
{
    uint8_t key[WIRE_KEY_MAX];
    struct wire_question q, back;
    unsigned flags;

    q.name = name_of("Www.EXAMPLE.com", &q.name_len);
    q.type = 0x0102;
    q.class = 0x0304;
    size_t len = wire_key_write(&q, WIRE_KEY_CD, key);
    ck_assert_uint_eq(len, 22);
    ck_assert_mem_eq(key, "\3www\7example\3com\0\1\2\3\4\2", 22);
    ck_assert_int_eq(wire_key_read(key, len, &back, &flags), 0);
    ck_assert_ptr_eq(back.name, key);
    ck_assert_uint_eq(back.name_len, 17);
    ck_assert_uint_eq(back.type, 0x0102);
    ck_assert_uint_eq(back.class, 0x0304);
    ck_assert_uint_eq(flags, WIRE_KEY_CD);
    for (size_t cut = 0; cut < len; cut++)
        ck_assert_int_eq(wire_key_read(key, cut, &back, &flags), -1);
    ck_assert_int_eq(wire_key_read(key, len + 1, &back, &flags), -1);
    key[0] = 0xc0;
    ck_assert_int_eq(wire_key_read(key, len, &back, &flags), -1);
}
END_TEST

START_TEST(the_longest_name_has_a_key)
{
    uint8_t name[255], key[WIRE_KEY_MAX];
    struct wire_question q = {name, 255, 1, 1}, back;
    unsigned flags;

    for (size_t i = 0; i < 255; i++)
        name[i] = i % 2 ? 'A' : 1;
    name[254] = 0;
    ck_assert_uint_eq(wire_key_write(&q, WIRE_KEY_DO | WIRE_KEY_CD, key), WIRE_KEY_MAX);
    ck_assert_int_eq(wire_key_read(key, WIRE_KEY_MAX, &back, &flags), 0);
    ck_assert_uint_eq(flags, 3);
}
END_TEST

/* ---- asking upstream ------------------------------------------------------------------------- */

START_TEST(a_plain_query_is_header_and_question)
{
    uint8_t out[WIRE_QUERY_MAX];
    struct wire_ask ask = {.question = {.type = 28, .class = 1}};

    ask.question.name = name_of("eXample", &ask.question.name_len);
    ck_assert_uint_eq(wire_write_query(&ask, out), 25);
    ck_assert_mem_eq(out, "\0\0\1\0\0\1\0\0\0\0\0\0\7eXample\0\0\34\0\1", 25);
    ask.checking_disabled = ask.authentic_data = true;
    wire_write_query(&ask, out);
    ck_assert_mem_eq(out + 2, "\1\x30", 2);
}
END_TEST

START_TEST(a_query_with_edns_is_what_we_read_ourselves)
{
    uint8_t out[WIRE_QUERY_MAX], cookie[40], name[255];
    struct wire_ask ask = {.question = {name, 255, 1, 1}, .edns = true, .dnssec_ok = true};
    struct wire_query q;

    for (size_t i = 0; i < 255; i++)
        name[i] = i % 2 ? 'A' : 1;
    name[254] = 0;
    memset(cookie, 7, sizeof cookie);
    ask.cookie = cookie;
    ask.cookie_len = sizeof cookie;
    size_t len = wire_write_query(&ask, out);
    ck_assert_uint_eq(len, 12 + 259 + 11 + 44);
    ck_assert_int_eq(wire_parse_query(out, len, &q), WIRE_QUERY_OK);
    ck_assert_uint_eq(q.edns.udp_size, 1232);
    ck_assert(q.edns.dnssec_ok);
    ck_assert_uint_eq(q.edns.cookie_len, 40);
    ask.dnssec_ok = false;
    ask.cookie = NULL;
    len = wire_write_query(&ask, out);
    ck_assert_uint_eq(len, 12 + 259 + 11);
    ck_assert_mem_eq(out + len - 11, "\0\0\51\4\xd0\0\0\0\0\0\0", 11);
}
END_TEST

static enum wire_match match(const struct msg *query, const struct msg *reply)
{
    uint8_t *q = exact(query->bytes, query->len);
    uint8_t *r = exact(reply->bytes, reply->len);
    enum wire_match result = wire_match_reply(q, query->len, r, reply->len);
    free(q);
    free(r);
    return result;
}

START_TEST(only_the_awaited_reply_matches)
{
    static struct msg query;

    m_start(&query, WIRE_RD, "eXample.com", WIRE_TYPE_A);
    m_start(&m, WIRE_QR | WIRE_RD | WIRE_RA | WIRE_NXDOMAIN, "eXample.com", WIRE_TYPE_A);
    ck_assert_int_eq(match(&query, &m), WIRE_MATCH);
    m_raw(&m, "garbage behind it is looked at later", 10);
    ck_assert_int_eq(match(&query, &m), WIRE_MATCH);
    m_set_u16(&m, 0, 0x1235);
    ck_assert_int_eq(match(&query, &m), WIRE_MISMATCH_ID);
    ck_assert_int_eq(match(&query, &query), WIRE_MISMATCH); /* reflected */
    m_start(&m, WIRE_QR | 1 << 11, "eXample.com", WIRE_TYPE_A);
    ck_assert_int_eq(match(&query, &m), WIRE_MISMATCH);
    m_start(&m, WIRE_QR, "example.com", WIRE_TYPE_A);
    ck_assert_int_eq(match(&query, &m), WIRE_MATCH_BUT_CASE);
    m_start(&m, WIRE_QR, "eXample.con", WIRE_TYPE_A);
    ck_assert_int_eq(match(&query, &m), WIRE_MISMATCH);
    m_start(&m, WIRE_QR, "eXample", WIRE_TYPE_A);
    ck_assert_int_eq(match(&query, &m), WIRE_MISMATCH);
    m_start(&m, WIRE_QR, "eXample.com", WIRE_TYPE_AAAA);
    ck_assert_int_eq(match(&query, &m), WIRE_MISMATCH);
    m_start(&m, WIRE_QR, "eXample.com", WIRE_TYPE_A);
    m_set_u16(&m, m.len - 2, WIRE_CLASS_CH);
    ck_assert_int_eq(match(&query, &m), WIRE_MISMATCH);
    m_start(&m, WIRE_QR, "eXample.com", WIRE_TYPE_A);
    for (unsigned n = 0; n < 4; n++) {
        m_set_u16(&m, 4, n);
        ck_assert_int_eq(match(&query, &m), n == 1 ? WIRE_MATCH : WIRE_MISMATCH);
    }
    m_start(&m, WIRE_QR, "eXample.@", WIRE_TYPE_A);
    ck_assert_int_eq(match(&query, &m), WIRE_MISMATCH);
}
END_TEST

START_TEST(a_reply_cut_short_matches_nothing)
{
    static struct msg query;

    m_start(&query, WIRE_RD, "example", WIRE_TYPE_A);
    m_start(&m, WIRE_QR, "example", WIRE_TYPE_A);
    for (size_t len = m.len; len-- > 0;) {
        m.len = len;
        ck_assert_int_eq(match(&query, &m), WIRE_MISMATCH);
    }
    m_start(&m, WIRE_QR, "example", WIRE_TYPE_A);
    query.len = 11;
    ck_assert_int_eq(match(&query, &m), WIRE_MISMATCH);
}
END_TEST

START_TEST(a_bare_header_is_an_error_of_a_server_without_edns)
{
    static struct msg query;

    m_start(&query, WIRE_RD, "example", WIRE_TYPE_A);
    for (unsigned rcode = 0; rcode < 16; rcode++) {
        m_start(&m, WIRE_QR | rcode, "example", WIRE_TYPE_A);
        m_set_u16(&m, 4, 0);
        ck_assert_int_eq(match(&query, &m), WIRE_MISMATCH);
        m.len = 12;
        bool bare = rcode == WIRE_FORMERR || rcode == WIRE_NOTIMP;
        ck_assert_int_eq(match(&query, &m), bare ? WIRE_MATCH_BARE_ERROR : WIRE_MISMATCH);
        m_set_u16(&m, 0, 1);
        ck_assert_int_eq(match(&query, &m), WIRE_MISMATCH_ID);
    }
}
END_TEST

/* ---- packing answers ------------------------------------------------------------------------- */

static struct {
    uint8_t *reply; /* what was packed, of exactly its size */
    uint8_t *bytes;
    struct wire_answer a;
} packed;

static enum wire_answer_kind pack_with(
    const struct msg *reply, bool dnssec_ok, bool keep_ad, const struct wire_ttl_bounds *bounds)
{
    static uint8_t out[WIRE_PACKED_MAX];
    uint8_t lower[WIRE_NAME_MAX];
    struct wire_question asked = {.name = lower};

    asked.name_len = wire_name_len(reply->bytes + 12, reply->len - 12);
    ck_assert_uint_gt(asked.name_len, 0);
    wire_name_lower(reply->bytes + 12, asked.name_len, lower);
    const uint8_t *rest = reply->bytes + 12 + asked.name_len;
    asked.type = (uint16_t)(rest[0] << 8 | rest[1]);
    asked.class = (uint16_t)(rest[2] << 8 | rest[3]);
    free(packed.reply);
    free(packed.bytes);
    packed.reply = exact(reply->bytes, reply->len);
    memset(out, 0xee, sizeof out);
    enum wire_answer_kind kind = wire_pack_answer(
        packed.reply, reply->len, &asked, dnssec_ok, keep_ad, bounds, out, sizeof out, &packed.a);
    ck_assert_int_eq(kind, packed.a.kind);
    packed.bytes = exact(out, packed.a.packed_len);
    return kind;
}

static enum wire_answer_kind pack(const struct msg *reply)
{
    return pack_with(reply, false, false, &wide);
}

static enum wire_answer_kind pack_do(const struct msg *reply)
{
    return pack_with(reply, true, false, &wide);
}

/* The reply that a client gets from what was packed, in exactly its size; ends in NUL bytes never
 * written. */
static struct msg served_msg;

static const char *served_to(const struct msg *query, struct wire_reply *r)
{
    static struct wire_query q;

    ck_assert_int_eq(parse(query, &q), WIRE_QUERY_OK);
    r->query = &q;
    r->packed = packed.bytes;
    r->packed_len = packed.a.packed_len;
    uint8_t *out = malloc(r->limit);
    ck_assert_ptr_nonnull(out);
    served_msg.len = wire_write_reply(r, out, r->limit);
    ck_assert_uint_le(served_msg.len, r->limit);
    memcpy(served_msg.bytes, out, served_msg.len);
    free(out);
    return m_text(served_msg.bytes, served_msg.len);
}

/* To a client that asked the same question. */
static const char *served(void)
{
    static struct msg query;
    struct wire_reply r = {
        .fixed_ttl_s = WIRE_TTL_AS_IS, .ede = WIRE_EDE_NONE, .limit = WIRE_MESSAGE_MAX};
    size_t name_len = wire_name_len(packed.reply + 12, WIRE_NAME_MAX);

    query.len = 0;
    m_raw(&query, packed.reply, 12);
    m_set_u16(&query, 2, WIRE_RD);
    m_set_u16(&query, 6, 0);
    m_set_u16(&query, 8, 0);
    m_set_u16(&query, 10, 0);
    m_raw(&query, packed.reply + 12, name_len + 4);
    return served_to(&query, &r);
}

START_TEST(a_positive_answer_is_kept_and_the_rest_is_not)
{
    m_start(&m, WIRE_QR | WIRE_AA, "www.example", WIRE_TYPE_A);
    m_a(&m, AN, "@", 300, 0xc0000201);
    m_a(&m, AN, "@", 200, 0xc0000202);
    m_to(&m, NS, "@16", WIRE_TYPE_NS, 100, "ns.@16");
    m_a(&m, AR, "ns.@16", 50, 0xc0000235);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.a.ttl_s, 200);
    ck_assert_uint_eq(packed.a.rcode, 0);
    ck_assert(!packed.a.authentic);
    ck_assert_uint_eq(packed.a.packed_len, 10 + 4 + 32);
    ck_assert_mem_eq(packed.bytes, "\0\0\0\2\0\0\0\0\0\2\0\6\0\26", 14); /* AA is not ours */
    ck_assert_mem_eq(packed.bytes + 14, "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\1", 16);
    ck_assert_str_eq(served(), "an www.example 1 300 c0000201\nan www.example 1 200 c0000202\n");
    ck_assert_uint_eq(wire_packed_rcode(packed.bytes, packed.a.packed_len), 0);
}
END_TEST

START_TEST(another_spelling_of_the_question_is_no_other_question)
{
    m_start(&m, WIRE_QR, "wWw.eXample", WIRE_TYPE_A);
    m_a(&m, AN, "WWW.EXAMPLE", 300, 1);
    m_a(&m, AN, "www.@16", 300, 2);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(), "an WWW.EXAMPLE 1 300 00000001\nan www.eXample 1 300 00000002\n");
}
END_TEST

START_TEST(records_off_the_chain_are_dropped)
{
    m_start(&m, WIRE_QR, "www.example", WIRE_TYPE_A);
    m_a(&m, AN, "evil.example", 300, 6);
    m_a(&m, AN, "@", 300, 1);
    m_to(&m, AN, "@16", WIRE_TYPE_CNAME, 300, "evil.example");
    m_open(&m, AN, "@", WIRE_TYPE_TXT, 10);
    m_raw(&m, "\1x", 2);
    m_close(&m);
    m_a(&m, AN, "@", 300, 2);
    m_open(&m, AN, "@", WIRE_TYPE_A, 5); /* another class */
    m_set_u16(&m, m.rdata_at - 8, WIRE_CLASS_CH);
    m_u32(&m, 3);
    m_close(&m);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.a.ttl_s, 300);
    ck_assert_str_eq(served(), "an www.example 1 300 00000001\nan www.example 1 300 00000002\n");
}
END_TEST

START_TEST(a_chain_is_followed)
{
    m_start(&m, WIRE_QR, "www.example", WIRE_TYPE_A);
    size_t x = m_to(&m, AN, "@", WIRE_TYPE_CNAME, 60, "x.cdn");
    char owner[8];
    snprintf(owner, sizeof owner, "@%zu", x);
    size_t y = m_to(&m, AN, owner, WIRE_TYPE_CNAME, 30, "y.cdn");
    snprintf(owner, sizeof owner, "@%zu", y);
    m_a(&m, AN, owner, 90, 1);
    m_a(&m, AN, "Y.CDN", 90, 2);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.a.ttl_s, 30);
    ck_assert_str_eq(served(), "an www.example 5 60 x.cdn\nan x.cdn 5 30 y.cdn\n"
                               "an y.cdn 1 90 00000001\nan Y.CDN 1 90 00000002\n");
}
END_TEST

START_TEST(a_chain_may_come_in_any_order)
{
    m_start(&m, WIRE_QR, "a.example", WIRE_TYPE_A);
    m_a(&m, AN, "d.example", 40, 1);
    m_to(&m, AN, "c.example", WIRE_TYPE_CNAME, 30, "d.example");
    m_to(&m, AN, "b.example", WIRE_TYPE_CNAME, 20, "c.example");
    m_to(&m, AN, "a.example", WIRE_TYPE_CNAME, 10, "b.example");
    m_a(&m, AN, "c.example", 1, 6); /* a name of the chain, but not its end */
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.a.ttl_s, 10);
    ck_assert_str_eq(served(), "an d.example 1 40 00000001\nan c.example 5 30 d.example\n"
                               "an b.example 5 20 c.example\nan a.example 5 10 b.example\n");
}
END_TEST

START_TEST(a_chain_may_lead_on)
{
    m_start(&m, WIRE_QR, "a.example", WIRE_TYPE_A);
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 10, "b.example");
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(), "an a.example 5 10 b.example\n");
}
END_TEST

START_TEST(a_chain_that_bites_its_tail_ends)
{
    m_start(&m, WIRE_QR, "a.example", WIRE_TYPE_A);
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 10, "@");
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(), "an a.example 5 10 a.example\n");
    m_start(&m, WIRE_QR, "a.example", WIRE_TYPE_A);
    m_to(&m, AN, "b.example", WIRE_TYPE_CNAME, 10, "A.EXAMPLE");
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 10, "b.example");
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(), "an b.example 5 10 A.EXAMPLE\nan a.example 5 10 b.example\n");
}
END_TEST

START_TEST(of_two_cnames_the_first_leads)
{
    m_start(&m, WIRE_QR, "a.example", WIRE_TYPE_A);
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 10, "b.example");
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 10, "c.example");
    m_a(&m, AN, "c.example", 40, 6);
    m_a(&m, AN, "b.example", 40, 1);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(), "an a.example 5 10 b.example\nan b.example 1 40 00000001\n");
}
END_TEST

/* Links of a chain: n0 leads to n1 and so on, with an address at the end. */
static void long_chain(unsigned links)
{
    char owner[16], target[16];

    m_start(&m, WIRE_QR, "n0", WIRE_TYPE_A);
    for (unsigned i = 0; i < links; i++) {
        snprintf(owner, sizeof owner, "n%u", i);
        snprintf(target, sizeof target, "n%u", i + 1);
        m_to(&m, AN, owner, WIRE_TYPE_CNAME, 10, target);
    }
    snprintf(owner, sizeof owner, "n%u", links);
    m_a(&m, AN, owner, 10, 1);
}

START_TEST(sixteen_links_are_followed)
{
    long_chain(16);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_ptr_nonnull(strstr(served(), "an n16 1 10 00000001\n"));
    long_chain(17);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE); /* what leads on, without the end */
    ck_assert_ptr_nonnull(strstr(served(), "an n16 5 10 n17\n"));
    ck_assert_ptr_null(strstr(served(), "an n17"));
    long_chain(2000);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_ptr_null(strstr(served(), "an n17"));
}
END_TEST

START_TEST(a_question_for_cname_or_any_is_not_led_on)
{
    m_start(&m, WIRE_QR, "a.example", WIRE_TYPE_CNAME);
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 10, "b.example");
    m_to(&m, AN, "b.example", WIRE_TYPE_CNAME, 10, "c.example");
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(), "an a.example 5 10 b.example\n");
    m_start(&m, WIRE_QR, "a.example", WIRE_TYPE_ANY);
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 10, "b.example");
    m_rrsig(&m, AN, "@", 10, WIRE_TYPE_CNAME);
    m_a(&m, AN, "b.example", 10, 1);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.bytes[3], 2);
}
END_TEST

START_TEST(a_dname_is_kept_with_the_cname_that_it_made)
{
    m_start(&m, WIRE_QR, "www.old.example", WIRE_TYPE_A);
    m_to(&m, AN, "@16", WIRE_TYPE_DNAME, 100, "new.example");
    m_rrsig(&m, AN, "@16", 100, WIRE_TYPE_DNAME);
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 100, "www.new.example");
    m_to(&m, AN, "other", WIRE_TYPE_DNAME, 100, "new.example");
    m_to(&m, AN, "x.@", WIRE_TYPE_DNAME, 100, "new.example");
    m_a(&m, AN, "www.new.example", 70, 1);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(),
        "an old.example 39 100 new.example\nan www.old.example 5 100 www.new.example\n"
        "an www.new.example 1 70 00000001\n");
    ck_assert_int_eq(pack_do(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_ptr_nonnull(strstr(served(), "an old.example 46 100 0027"));
    /* it proves the links above it also where one of them leads back to its owner */
    m_start(&m, WIRE_QR, "www.old.example", WIRE_TYPE_A);
    m_to(&m, AN, "@16", WIRE_TYPE_DNAME, 100, "new.example");
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 100, "www.new.example");
    m_to(&m, AN, "www.new.example", WIRE_TYPE_CNAME, 100, "@16");
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.bytes[3], 3);
    /* and says nothing of its owner (RFC 6672 2.3) */
    m_start(&m, WIRE_QR, "old.example", WIRE_TYPE_A);
    m_to(&m, AN, "@", WIRE_TYPE_DNAME, 100, "new.example");
    m_a(&m, AN, "@", 70, 1);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(), "an old.example 1 70 00000001\n");
    m_start(&m, WIRE_QR, "old.example", WIRE_TYPE_DNAME);
    m_to(&m, AN, "@", WIRE_TYPE_DNAME, 100, "new.example");
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(), "an old.example 39 100 new.example\n");
}
END_TEST

START_TEST(signatures_go_to_those_who_asked_for_them)
{
    m_start(&m, WIRE_QR | WIRE_AD, "a.example", WIRE_TYPE_A);
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 60, "b.example");
    m_rrsig(&m, AN, "@", 60, WIRE_TYPE_CNAME);
    m_a(&m, AN, "b.example", 60, 1);
    m_rrsig(&m, AN, "b.example", 60, WIRE_TYPE_A);
    m_rrsig(&m, AN, "b.example", 60, WIRE_TYPE_AAAA);
    m_rrsig(&m, AN, "c.example", 60, WIRE_TYPE_A);
    m_rrsig(&m, AN, "b.example", 60, WIRE_TYPE_OPT); /* what is never signed */
    m_rrsig(&m, AN, "b.example", 60, 0);
    m_open(&m, NS, "x.example", WIRE_TYPE_NSEC, 20);
    m_name(&m, "z.example");
    m_raw(&m, "\0\1\2", 3);
    m_close(&m);
    m_rrsig(&m, NS, "x.example", 20, WIRE_TYPE_NSEC);
    m_rrsig(&m, NS, "example", 20, WIRE_TYPE_NS);
    m_to(&m, NS, "example", WIRE_TYPE_NS, 5, "ns.example");
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.a.ttl_s, 60);
    ck_assert_str_eq(served(), "an a.example 5 60 b.example\nan b.example 1 60 00000001\n");
    ck_assert_int_eq(pack_do(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.a.ttl_s, 20);
    ck_assert_mem_eq(packed.bytes + 2, "\0\4\0\2\0\0\0\6", 8);
    ck_assert(packed.a.authentic);
    ck_assert_uint_eq(packed.bytes[1], 0); /* AD only where keep_ad */
    pack_with(&m, true, true, &wide);
    ck_assert_uint_eq(packed.bytes[1], WIRE_AD);
    m_start(&m, WIRE_QR, "a.example", WIRE_TYPE_RRSIG);
    m_rrsig(&m, AN, "@", 60, WIRE_TYPE_A);
    m_rrsig(&m, AN, "@", 60, WIRE_TYPE_TXT);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.bytes[3], 2);
}
END_TEST

START_TEST(nodata_needs_a_soa_of_the_name_or_above)
{
    static const struct {
        const char *owner;
        enum wire_answer_kind kind;
    } rows[] = {
        {"www.example", WIRE_ANSWER_NODATA},
        {"EXAMPLE", WIRE_ANSWER_NODATA},
        {".", WIRE_ANSWER_NODATA},
        {"x.www.example", WIRE_ANSWER_NO_SOA},
        {"other", WIRE_ANSWER_NO_SOA},
        {"ww.example", WIRE_ANSWER_NO_SOA},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        m_start(&m, WIRE_QR, "www.example", WIRE_TYPE_A);
        m_soa(&m, NS, rows[i].owner, 900, 60);
        ck_assert_int_eq(pack(&m), rows[i].kind);
        ck_assert_uint_eq(packed.a.ttl_s, rows[i].kind == WIRE_ANSWER_NODATA ? 60 : 0);
        ck_assert_uint_eq(packed.bytes[5], rows[i].kind == WIRE_ANSWER_NODATA);
    }
}
END_TEST

START_TEST(a_negative_answer_lives_as_long_as_rfc_2308_says)
{
    static const struct {
        uint32_t soa_s, minimum_s, min_s, max_s, want_s;
    } rows[] = {
        {900, 60, 0, 86400, 60},
        {60, 900, 0, 86400, 60},
        {86400, 86400, 0, 86400, 10800},
        {86400, 86400, 20000, 86400, 10800},
        {86400, 86400, 0, 300, 300},
        {5, 5, 30, 86400, 30},
        {5, 5, 30, 10, 10},
        {900, 0, 0, 86400, 0},
        {0x80000000, 900, 0, 86400, 0}, /* RFC 2181 8 */
        {900, 0xffffffff, 0, 86400, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_ttl_bounds bounds = {rows[i].min_s, rows[i].max_s};
        char want[128];
        for (int scattered = 0; scattered < 2; scattered++) {
            m_start(&m, WIRE_QR | WIRE_NXDOMAIN, "www.example", WIRE_TYPE_A);
            if (scattered)
                m_to(&m, NS, "example", WIRE_TYPE_NS, 1, "ns.example");
            m_soa(&m, NS, "@16", rows[i].soa_s, rows[i].minimum_s);
            ck_assert_int_eq(pack_with(&m, false, false, &bounds), WIRE_ANSWER_NXDOMAIN);
            ck_assert_uint_eq(packed.a.ttl_s, rows[i].want_s);
            ck_assert_uint_eq(wire_packed_rcode(packed.bytes, packed.a.packed_len), 3);
            snprintf(want, sizeof want, "ns example 6 %u ns.example root.example 00000001",
                (unsigned)rows[i].want_s);
            ck_assert_int_eq(strncmp(served(), want, strlen(want)), 0);
        }
    }
}
END_TEST

START_TEST(a_chain_may_end_in_nothing)
{
    for (unsigned rcode = 0; rcode <= 3; rcode += 3) {
        m_start(&m, WIRE_QR | rcode, "a.example", WIRE_TYPE_A);
        m_to(&m, AN, "@", WIRE_TYPE_CNAME, 20, "b.other");
        m_soa(&m, NS, "example", 900, 60); /* of the wrong end */
        m_soa(&m, NS, "other", 900, 90);
        m_soa(&m, NS, "b.other", 900, 30); /* the first counts */
        ck_assert_int_eq(pack(&m), rcode ? WIRE_ANSWER_NXDOMAIN : WIRE_ANSWER_NODATA);
        ck_assert_uint_eq(packed.a.ttl_s, 20);
        const char *text = served();
        ck_assert_ptr_eq(strstr(text, "an a.example 5 20 b.other\nns other 6 90 "), text);
        ck_assert_uint_eq(packed.bytes[5], 1);
    }
    m_start(&m, WIRE_QR | WIRE_NXDOMAIN, "a.example", WIRE_TYPE_A);
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 20, "b.other");
    m_soa(&m, NS, "example", 900, 60);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_NO_SOA);
    ck_assert_str_eq(served(), "an a.example 5 20 b.other\n");
}
END_TEST

START_TEST(what_nxdomain_denies_is_not_served)
{
    m_start(&m, WIRE_QR | WIRE_NXDOMAIN, "a.example", WIRE_TYPE_A);
    m_a(&m, AN, "@", 20, 1);
    m_soa(&m, NS, "example", 900, 60);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_NXDOMAIN);
    ck_assert_ptr_eq(
        strstr(served(), "ns example 6 60 "), m_text(served_msg.bytes, served_msg.len));
}
END_TEST

START_TEST(a_negative_answer_keeps_its_proof_for_those_who_check_it)
{
    m_start(&m, WIRE_QR | WIRE_NXDOMAIN, "a.example", WIRE_TYPE_A);
    m_rrsig(&m, NS, "@14", 900, WIRE_TYPE_SOA);
    m_soa(&m, NS, "@14", 900, 60);
    m_open(&m, NS, "abcdefgh.@14", WIRE_TYPE_NSEC3, 60);
    m_raw(&m, "\1\0\0\0\0\1x\0\1\2", 10);
    m_close(&m);
    m_rrsig(&m, NS, "abcdefgh.@14", 60, WIRE_TYPE_NSEC3);
    ck_assert_int_eq(pack_do(&m), WIRE_ANSWER_NXDOMAIN);
    ck_assert_mem_eq(packed.bytes + 2, "\0\0\0\4\0\0\0\4", 8);
    ck_assert_uint_eq(packed.a.ttl_s, 60);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_NXDOMAIN);
    ck_assert_mem_eq(packed.bytes + 2, "\0\0\0\1\0\0\0\1", 8);
}
END_TEST

START_TEST(a_referral_is_no_answer)
{
    m_start(&m, WIRE_QR, "www.example", WIRE_TYPE_A);
    m_to(&m, NS, "example", WIRE_TYPE_NS, 100, "ns.example");
    m_a(&m, AR, "ns.example", 100, 1);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_NO_SOA);
    ck_assert_uint_eq(packed.a.ttl_s, 0);
    ck_assert_uint_eq(packed.a.packed_len, 10);
    ck_assert_str_eq(served(), "");
}
END_TEST

START_TEST(an_answer_to_nothing_but_other_names_is_an_error)
{
    for (int soa = 0; soa < 2; soa++) {
        m_start(&m, WIRE_QR, "www.example", WIRE_TYPE_A);
        m_a(&m, AN, "other.example", 100, 1);
        m_to(&m, AN, "other.example", WIRE_TYPE_CNAME, 100, "www.example");
        m_to(&m, AN, "elsewhere", WIRE_TYPE_DNAME, 100, "example");
        if (soa)
            m_soa(&m, NS, "example", 900, 60);
        ck_assert_int_eq(pack(&m), soa ? WIRE_ANSWER_NODATA : WIRE_ANSWER_ERROR);
        ck_assert_uint_eq(packed.a.rcode, soa ? WIRE_NOERROR : WIRE_SERVFAIL);
    }
    m_start(&m, WIRE_QR, "www.example", WIRE_TYPE_A);
    m_a(&m, AN, "other.example", 100, 1);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_ERROR);
    ck_assert_uint_eq(packed.a.ttl_s, 0);
    ck_assert_uint_eq(packed.a.packed_len, 10);
    ck_assert_str_eq(served(), "");
}
END_TEST

START_TEST(a_denial_with_records_of_the_name_or_of_others_stays_one)
{
    m_start(&m, WIRE_QR | WIRE_NXDOMAIN, "www.example", WIRE_TYPE_A);
    m_a(&m, AN, "other.example", 100, 1);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_NO_SOA);
    m_start(&m, WIRE_QR, "www.example", WIRE_TYPE_A);
    m_rrsig(&m, AN, "@", 100, WIRE_TYPE_A);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_NO_SOA);
    m_start(&m, WIRE_QR, "www.example", WIRE_TYPE_A);
    m_a(&m, AN, "other.example", 100, 1);
    m_to(&m, AN, "example", WIRE_TYPE_DNAME, 100, "elsewhere");
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_NO_SOA);
}
END_TEST

START_TEST(addresses_of_targets_come_along)
{
    m_start(&m, WIRE_QR, "_s._tcp.example", WIRE_TYPE_SRV);
    m_open(&m, AN, "@", WIRE_TYPE_SRV, 100);
    m_raw(&m, "\0\1\0\2\0\3", 6);
    size_t target = m_name(&m, "h.example");
    m_close(&m);
    char at[8];
    snprintf(at, sizeof at, "@%zu", target);
    m_opt(&m, 1232, 0);
    m_close(&m);
    m_a(&m, AR, at, 50, 1);
    m_a(&m, AR, "H.Example", 60, 2);
    m_a(&m, AR, "g.example", 10, 6);
    m_rrsig(&m, AR, at, 50, WIRE_TYPE_A);
    m_to(&m, AR, at, WIRE_TYPE_CNAME, 10, "g.example");
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert(packed.a.edns.present);
    ck_assert_uint_eq(packed.a.ttl_s, 50);
    ck_assert_str_eq(served(), "an _s._tcp.example 33 100 000100020003 h.example\n"
                               "ar h.example 1 50 00000001\nar h.example 1 60 00000002\n");
    ck_assert_int_eq(pack_do(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.bytes[7], 3);
}
END_TEST

START_TEST(services_lead_to_their_target_or_to_themselves)
{
    for (unsigned type = WIRE_TYPE_SVCB; type <= WIRE_TYPE_HTTPS; type++) {
        m_start(&m, WIRE_QR, "s.example", type);
        m_open(&m, AN, "@", type, 100);
        m_u16(&m, 1);
        m_name(&m, ".");
        m_close(&m);
        m_open(&m, AN, "@", type, 100);
        m_u16(&m, 2);
        m_name(&m, "t.example");
        m_raw(&m, "\0\3\0\2\x20\xfb", 6);
        m_close(&m);
        m_open(&m, AN, "@", type, 100); /* too short to have a target */
        m_u8(&m, 2);
        m_close(&m);
        m_a(&m, AR, "@", 50, 1);
        m_a(&m, AR, "t.example", 50, 2);
        m_a(&m, AR, "u.example", 50, 3);
        ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
        ck_assert_mem_eq(packed.bytes + 2, "\0\3\0\0\0\2\0\5", 8);
    }
    m_start(&m, WIRE_QR, "example", WIRE_TYPE_MX);
    m_open(&m, AN, "@", WIRE_TYPE_MX, 100);
    m_u16(&m, 10);
    m_name(&m, "mx.@");
    m_close(&m);
    m_to(&m, NS, "@", WIRE_TYPE_NS, 100, "ns.@");
    m_a(&m, AR, "mx.@", 50, 1);
    m_a(&m, AR, "ns.@", 50, 2);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(), "an example 15 100 000a mx.example\nar mx.example 1 50 00000001\n");
    m_start(&m, WIRE_QR, "example", WIRE_TYPE_NS);
    m_to(&m, AN, "@", WIRE_TYPE_NS, 100, "ns.@");
    m_a(&m, AR, "ns.@", 50, 2);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(), "an example 2 100 ns.example\nar ns.example 1 50 00000002\n");
}
END_TEST

START_TEST(thousands_of_targets_cost_no_more_than_some)
{
    char name[16];

    m_start(&m, WIRE_QR, "e", WIRE_TYPE_NS);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "n%u.@", i);
        m_to(&m, AN, "@", WIRE_TYPE_NS, 100, name);
    }
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "n%u.@", i);
        m_a(&m, AR, name, 100, i);
    }
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_mem_eq(packed.bytes + 2, "\3\xe8\0\0\0\40", 6);
}
END_TEST

START_TEST(ttls_are_read_and_bounded)
{
    static const struct {
        uint32_t ttl_s, min_s, max_s, want_s;
    } rows[] = {
        {0x7fffffff, 0, 86400, 86400},
        {0x80000000, 0, 86400, 0},
        {0xffffffff, 0, 86400, 0},
        {0xffffffff, 30, 86400, 30},
        {0x7fffffff, 0, UINT32_MAX, 0x7fffffff},
        {5, 30, 86400, 30},
        {5, 30, 20, 20},
        {31, 30, 86400, 31},
        {0, 0, 0, 0},
        {100, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_ttl_bounds bounds = {rows[i].min_s, rows[i].max_s};
        for (int scattered = 0; scattered < 2; scattered++) {
            char want[64];
            m_start(&m, WIRE_QR, "a", WIRE_TYPE_A);
            if (scattered)
                m_a(&m, AN, "b", 1, 6);
            m_a(&m, AN, "@", rows[i].ttl_s, 1);
            ck_assert_int_eq(pack_with(&m, false, false, &bounds), WIRE_ANSWER_POSITIVE);
            ck_assert_uint_eq(packed.a.ttl_s, rows[i].want_s);
            snprintf(want, sizeof want, "an a 1 %u 00000001\n", (unsigned)rows[i].want_s);
            ck_assert_str_eq(served(), want);
        }
    }
}
END_TEST

START_TEST(a_truncated_reply_is_not_packed_even_where_it_breaks_off)
{
    m_start(&m, WIRE_QR | WIRE_TC, "a", WIRE_TYPE_A);
    m_a(&m, AN, "@", 1, 1);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_TRUNCATED);
    ck_assert_uint_eq(packed.a.packed_len, 0);
    m.len -= 3;
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_TRUNCATED);
}
END_TEST

START_TEST(errors_carry_their_rcode)
{
    for (unsigned rcode = 1; rcode < 16; rcode++) {
        if (rcode == WIRE_NXDOMAIN)
            continue;
        m_start(&m, WIRE_QR | rcode, "a", WIRE_TYPE_A);
        m_a(&m, AN, "@", 1, 1);
        ck_assert_int_eq(pack(&m), WIRE_ANSWER_ERROR);
        ck_assert_uint_eq(packed.a.rcode, rcode);
        ck_assert_uint_eq(packed.a.packed_len, 10);
        ck_assert_uint_eq(wire_packed_rcode(packed.bytes, 10), rcode);
        ck_assert_str_eq(served(), "");
    }
    m_start(&m, WIRE_QR, "a", WIRE_TYPE_A);
    m_opt(&m, 1232, 0x01000000);
    m_option(&m, 10, "12345678abcdefgh", 16);
    m_close(&m);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_ERROR);
    ck_assert_uint_eq(packed.a.rcode, WIRE_BADVERS);
    ck_assert_uint_eq(packed.a.packed_len, 0);
    ck_assert_uint_eq(packed.a.edns.cookie_len, 16);
    ck_assert_mem_eq(packed.a.edns.cookie, "12345678abcdefgh", 16);
}
END_TEST

START_TEST(bytes_behind_a_reply_are_ignored)
{
    m_start(&m, WIRE_QR, "a", WIRE_TYPE_A);
    m_a(&m, AN, "@", 1, 1);
    m_raw(&m, "padding of some middlebox", 25);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(), "an a 1 1 00000001\n");
}
END_TEST

START_TEST(a_reply_to_another_question_is_not_packed)
{
    static uint8_t out[WIRE_PACKED_MAX];
    struct wire_question asked = {.type = WIRE_TYPE_A, .class = WIRE_CLASS_IN};
    struct wire_answer a;

    m_start(&m, WIRE_QR, "b", WIRE_TYPE_A);
    m_a(&m, AN, "@", 1, 1);
    asked.name = name_of("a", &asked.name_len);
    ck_assert_int_eq(wire_pack_answer(m.bytes, m.len, &asked, 0, 0, &wide, out, sizeof out, &a),
        WIRE_ANSWER_MALFORMED);
    asked.name = name_of("b", &asked.name_len);
    asked.type = WIRE_TYPE_AAAA;
    ck_assert_int_eq(wire_pack_answer(m.bytes, m.len, &asked, 0, 0, &wide, out, sizeof out, &a),
        WIRE_ANSWER_MALFORMED);
    asked.type = WIRE_TYPE_A;
    m_set_u16(&m, 4, 0);
    ck_assert_int_eq(wire_pack_answer(m.bytes, m.len, &asked, 0, 0, &wide, out, sizeof out, &a),
        WIRE_ANSWER_MALFORMED);
    m_set_u16(&m, 4, 1);
    asked.class = WIRE_CLASS_CH;
    ck_assert_int_eq(wire_pack_answer(m.bytes, m.len, &asked, 0, 0, &wide, out, sizeof out, &a),
        WIRE_ANSWER_MALFORMED);
}
END_TEST

/* A positive answer, a denial and an error, by turns. */
static enum wire_answer_kind make_reply(int i)
{
    m_start(&m, WIRE_QR | (i == 2 ? WIRE_REFUSED : 0U), "b", WIRE_TYPE_A);
    if (i == 0)
        m_a(&m, AN, "@", 1, 1);
    if (i == 1)
        m_soa(&m, NS, "@", 60, 60);
    return i == 0 ? WIRE_ANSWER_POSITIVE : i == 1 ? WIRE_ANSWER_NODATA : WIRE_ANSWER_ERROR;
}

/* No byte is written beyond the room: the sanitizers see that. */
START_TEST(a_reply_that_has_no_room_is_not_packed)
{
    struct wire_question asked = {.type = WIRE_TYPE_A, .class = WIRE_CLASS_IN};
    enum wire_answer_kind kind = make_reply(_i);
    struct wire_answer a;

    asked.name = name_of("b", &asked.name_len);
    ck_assert_int_eq(pack(&m), kind);
    for (size_t cap = 0; cap <= packed.a.packed_len; cap++) {
        uint8_t *small = malloc(cap ? cap : 1);
        bool fits = cap == packed.a.packed_len;
        ck_assert_int_eq(wire_pack_answer(m.bytes, m.len, &asked, 0, 0, &wide, small, cap, &a),
            fits || kind == WIRE_ANSWER_ERROR ? kind : WIRE_ANSWER_MALFORMED);
        ck_assert_uint_eq(a.packed_len, fits ? cap : 0);
        free(small);
    }
}
END_TEST

/* Whoever passes it on unmatched must not be told what was never there: no rcode, no TC. */
START_TEST(a_reply_cut_before_its_records_is_malformed)
{
    struct wire_question asked = {.type = WIRE_TYPE_A, .class = WIRE_CLASS_IN};
    static uint8_t out[WIRE_PACKED_MAX];
    struct wire_answer a;

    asked.name = name_of("example", &asked.name_len);
    m_start(&m, WIRE_QR, "example", WIRE_TYPE_A);
    for (size_t len = 0; len < m.len; len++) {
        uint8_t *cut = exact(m.bytes, len);
        ck_assert_int_eq(wire_pack_answer(cut, len, &asked, 0, 0, &wide, out, sizeof out, &a),
            WIRE_ANSWER_MALFORMED);
        ck_assert_uint_eq(a.rcode, 0);
        free(cut);
    }
}
END_TEST

/* Opens an answer record of a type, writes RDATA and a length that may be wrong by `wrong`. */
static enum wire_answer_kind with_rdata(unsigned type, const void *rdata, size_t len, int wrong)
{
    m_start(&m, WIRE_QR, "example", type);
    m_open(&m, AN, "@", type, 60);
    m_raw(&m, rdata, len);
    m_close(&m);
    m_set_u16(&m, m.rdata_at - 2, (unsigned)((int)len + wrong));
    m_raw(&m, "\0\0\0\0\0\0\0\0", 8); /* so that what is read too far is there */
    return pack(&m);
}

START_TEST(names_end_where_rdlength_says)
{
    static const struct {
        unsigned type;
        const char *rdata;
        size_t len;
        bool open;
    } rows[] = {
        {1, "\1\2\3\4", 4, false},
        {28, "0123456789abcdef", 16, false},
        {2, "\2ns\xc0\x0c", 5, false},
        {5, "\2ns\xc0\x0c", 5, false},
        {6,
            "\2ns\xc0\x0c\xc0\x0c"
            "0123456789abcdefghij",
            27, false},
        {12, "\2ns\0", 4, false},
        {14, "\xc0\x0c\xc0\x0c", 4, false},
        {15, "\0\12\xc0\x0c", 4, false},
        {17, "\xc0\x0c\0", 3, false},
        {18, "\0\1\xc0\x0c", 4, false},
        {21, "\0\1\0", 3, false},
        {26, "\0\1\0\0", 4, false},
        {33, "\0\1\0\2\0\3\xc0\x0c", 8, false},
        {35, "\0\1\0\2\1S\3SIP\0\xc0\x0c", 13, false},
        {36, "\0\1\xc0\x0c", 4, false},
        {39, "\1x\0", 3, false},
        {24, "\0\1\5\2....--------\0\7\xc0\x0csig", 23, true},
        {30, "\xc0\x0c\x40", 3, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned type = rows[i].type;
        ck_assert_msg(
            with_rdata(type, rows[i].rdata, rows[i].len, 0) == WIRE_ANSWER_POSITIVE, "%u", type);
        served();
        ck_assert_msg(with_rdata(type, rows[i].rdata, rows[i].len, 1) ==
                          (rows[i].open ? WIRE_ANSWER_POSITIVE : WIRE_ANSWER_MALFORMED),
            "%u and a byte", type);
        int least = type == 24 ? 20 : type == 30 ? 2 : (int)rows[i].len;
        for (int len = least - 1; len >= 0; len--)
            ck_assert_msg(with_rdata(type, rows[i].rdata, rows[i].len, len - (int)rows[i].len) ==
                              WIRE_ANSWER_MALFORMED,
                "%u in %d bytes", type, len);
    }
    ck_assert_int_eq(with_rdata(46, "0123456789abcdefgh\0", 19, 0), WIRE_ANSWER_POSITIVE);
    ck_assert_int_eq(with_rdata(46, "0123456789abcdefgh", 18, 0), WIRE_ANSWER_MALFORMED);
    ck_assert_int_eq(with_rdata(4711, "", 0, 0), WIRE_ANSWER_POSITIVE);
}
END_TEST

START_TEST(a_reply_has_one_opt_and_it_stands_in_additional)
{
    for (int section = AN; section <= AR; section++) {
        m_start(&m, WIRE_QR, "example", WIRE_TYPE_A);
        m_open(&m, (enum wire_section)section, ".", WIRE_TYPE_OPT, 0);
        m_close(&m);
        ck_assert_int_eq(pack(&m), section == AR ? WIRE_ANSWER_NO_SOA : WIRE_ANSWER_MALFORMED);
    }
    m_opt(&m, 1232, 0);
    m_close(&m);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_MALFORMED);
    m_start(&m, WIRE_QR, "example", WIRE_TYPE_A);
    m_open(&m, AR, "@", WIRE_TYPE_OPT, 0);
    m_close(&m);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_MALFORMED);
    m_start(&m, WIRE_QR, "example", WIRE_TYPE_A);
    m_opt(&m, 1232, 0);
    m_option(&m, 10, "123", 3);
    m_close(&m);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_MALFORMED);
}
END_TEST

START_TEST(names_in_rdata_survive_the_loss_of_what_they_pointed_to)
{
    char at[16];

    m_start(&m, WIRE_QR, "example", WIRE_TYPE_MX);
    m_a(&m, AN, "mail.off.chain", 60, 6);
    snprintf(at, sizeof at, "a.@%d", 12 + 9 + 4); /* mail.off.chain */
    for (unsigned i = 0; i < 3; i++) {
        m_open(&m, AN, i == 1 ? "EXAMPLE" : "@", WIRE_TYPE_MX, 60);
        m_u16(&m, i);
        m_name(&m, i == 2 ? "b.@30" : at); /* b.off.chain */
        m_close(&m);
    }
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_str_eq(served(), "an example 15 60 0000 a.mail.off.chain\n"
                               "an example 15 60 0001 a.mail.off.chain\n"
                               "an example 15 60 0002 b.off.chain\n");
    /* compressed anew: 18 bytes in full, then 2, then 4; owners 2 bytes each */
    ck_assert_uint_eq(packed.a.packed_len, 10 + 6 + 3 * 14 + 18 + 2 + 4);
}
END_TEST

START_TEST(rdata_of_newer_types_is_never_compressed_anew)
{
    m_start(&m, WIRE_QR, "s.example", WIRE_TYPE_SRV);
    m_a(&m, AN, "h.example", 60, 6);
    for (unsigned i = 0; i < 2; i++) {
        m_open(&m, AN, "@", WIRE_TYPE_SRV, 60);
        m_raw(&m, "\0\1\0\2\0\3", 6);
        m_name(&m, "h.@14"); /* some do compress it */
        m_close(&m);
    }
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.a.packed_len, 10 + 4 + 2 * (12 + 6 + 11));
    ck_assert_str_eq(served(), "an s.example 33 60 000100020003 h.example\n"
                               "an s.example 33 60 000100020003 h.example\n");
}
END_TEST

/* A pointer into a TTL would be another name as soon as the TTL has aged. */
START_TEST(names_do_not_change_with_the_age_of_an_answer)
{
    struct wire_reply r = {.fixed_ttl_s = WIRE_TTL_AS_IS,
        .ede = WIRE_EDE_NONE,
        .age_s = 100,
        .limit = WIRE_MESSAGE_MAX};
    static struct msg query;

    m_start(&m, WIRE_QR, "a", WIRE_TYPE_NS);
    m_to(&m, AN, "@", WIRE_TYPE_NS, 0x00016200, "x"); /* its TTL reads "\1b" and the root */
    char at[16];
    snprintf(at, sizeof at, "y.@%zu", m.rdata_at - 5);
    m_to(&m, AN, "@", WIRE_TYPE_NS, 86400, at);
    struct wire_ttl_bounds none = {0, UINT32_MAX};
    ck_assert_int_eq(pack_with(&m, false, false, &none), WIRE_ANSWER_POSITIVE);
    m_start(&query, WIRE_RD, "a", WIRE_TYPE_NS);
    ck_assert_str_eq(served_to(&query, &r), "an a 2 90524 x\nan a 2 86300 y.b\n");
}
END_TEST

START_TEST(a_message_of_thousands_of_addresses_is_packed)
{
    m_start(&m, WIRE_QR, "a", WIRE_TYPE_A);
    unsigned n = 0;
    for (; m.len + 16 <= WIRE_MESSAGE_MAX; n++)
        m_a(&m, AN, "@", 60, n);
    ck_assert_uint_eq(n, 4094);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.a.packed_len, 10 + 18 * n);
    served();
    ck_assert_mem_eq(served_msg.bytes + 4, m.bytes + 4, m.len - 4); /* just as it came */
    m_start(&m, WIRE_QR, "a", WIRE_TYPE_A);
    m_a(&m, AN, "b", 60, 6); /* with one to be left out */
    for (n = 0; m.len + 16 <= WIRE_MESSAGE_MAX; n++)
        m_a(&m, AN, "@", 60, n);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.a.packed_len, 10 + 18 * n);
    served();
}
END_TEST

/* Records of 12 bytes, each with a name of 253 bytes and 127 pointers: 5,000 of them would cost two
 * million steps. */
START_TEST(a_bomb_of_pointers_is_refused)
{
    m_start(&m, WIRE_QR, "a", WIRE_TYPE_A);
    m_open(&m, AN, "@", 4711, 60);
    size_t last = WIRE_HEADER_LEN + 1 + 1; /* the root of "a" */
    for (int i = 0; i < 126; i++) {
        size_t at = m_name(&m, "b");
        m.len--;
        m_u16(&m, 0xc000 | (unsigned)last);
        last = at;
    }
    m_close(&m);
    size_t head = m.len;
    for (int n = 0; n < 2; n++) {
        char owner[16];
        snprintf(owner, sizeof owner, "@%zu", last);
        m.len = head;
        m_set_u16(&m, 6, 1);
        while (m.len + 12 <= (n ? WIRE_MESSAGE_MAX : head + 120)) {
            m_open(&m, AN, owner, 4711, 60);
            m_close(&m);
        }
        ck_assert_int_eq(pack(&m), n ? WIRE_ANSWER_MALFORMED : WIRE_ANSWER_NO_SOA);
    }
}
END_TEST

/* Old servers compress the targets of SRV. Once a record between them is gone they are written in
 * full, and may be too many for a message. */
START_TEST(what_cannot_be_rebuilt_within_a_message_is_refused)
{
    char label[64], name[256];

    memset(label, 'a', 63);
    label[63] = '\0';
    snprintf(name, sizeof name, "%s.%s.%s", label, label, label);
    for (int n = 200; n <= 2000; n += 1800) {
        m_start(&m, WIRE_QR, "s", WIRE_TYPE_SRV);
        m_to(&m, AN, "off.chain", WIRE_TYPE_PTR, 60, name);
        char target[16];
        snprintf(target, sizeof target, "@%zu", m.rdata_at);
        for (int i = 0; i < n; i++) {
            m_open(&m, AN, "@", WIRE_TYPE_SRV, 60);
            m_raw(&m, "\0\1\0\2\0\3", 6);
            m_name(&m, target);
            m_close(&m);
        }
        ck_assert_int_eq(pack(&m), n == 200 ? WIRE_ANSWER_POSITIVE : WIRE_ANSWER_MALFORMED);
        ck_assert_uint_eq(packed.a.packed_len, n == 200 ? 10 + 200 * (2 + 12 + 6 + 193) : 0);
    }
}
END_TEST

START_TEST(long_names_in_great_numbers_are_no_bomb)
{
    char label[64], name[256];

    memset(label, 'a', 63);
    label[63] = '\0';
    snprintf(name, sizeof name, "%s.%s.%s", label, label, label);
    m_start(&m, WIRE_QR, name, WIRE_TYPE_A);
    while (m.len + 16 <= WIRE_MESSAGE_MAX)
        m_a(&m, AN, "@", 60, 1);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    m_start(&m, WIRE_QR, "x", WIRE_TYPE_PTR);
    m_to(&m, AN, "@", WIRE_TYPE_PTR, 60, name);
    while (m.len + 16 <= WIRE_MESSAGE_MAX)
        m_to(&m, AN, "@", WIRE_TYPE_PTR, 60, "bc.@27");
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
}
END_TEST

/* ---- replying -------------------------------------------------------------------------------- */

static void pack_two_addresses(void)
{
    m_start(&m, WIRE_QR | WIRE_AD, "www.example", WIRE_TYPE_A);
    m_a(&m, AN, "@", 300, 1);
    m_a(&m, AN, "@", 20, 2);
    ck_assert_int_eq(pack_with(&m, false, true, &wide), WIRE_ANSWER_POSITIVE);
}

START_TEST(a_reply_has_the_clients_id_flags_and_spelling)
{
    static struct msg query;
    struct wire_reply r = {.fixed_ttl_s = WIRE_TTL_AS_IS, .ede = WIRE_EDE_NONE, .limit = 512};

    pack_two_addresses();
    m_start(&query, WIRE_RD | WIRE_CD | WIRE_Z | WIRE_RA | WIRE_TC, "wWw.eXaMple", WIRE_TYPE_A);
    m_set_u16(&query, 0, 0xabcd);
    ck_assert_str_eq(
        served_to(&query, &r), "an wWw.eXaMple 1 300 00000001\nan wWw.eXaMple 1 20 00000002\n");
    ck_assert_mem_eq(served_msg.bytes, "\xab\xcd\x81\x90\0\1\0\2\0\0\0\0", 12);
    ck_assert_mem_eq(served_msg.bytes + 12, query.bytes + 12, query.len - 12);
    ck_assert_uint_eq(served_msg.len, query.len + 32); /* no OPT where none was */
}
END_TEST

START_TEST(ad_goes_to_those_who_understand_it)
{
    static struct msg query;
    struct wire_reply r = {.fixed_ttl_s = WIRE_TTL_AS_IS, .ede = WIRE_EDE_NONE, .limit = 512};

    pack_two_addresses();
    m_start(&query, 0, "www.example", WIRE_TYPE_A);
    served_to(&query, &r);
    ck_assert_uint_eq(served_msg.bytes[3], 0x80);
    m_start(&query, WIRE_AD, "www.example", WIRE_TYPE_A);
    served_to(&query, &r);
    ck_assert_uint_eq(served_msg.bytes[3], 0xa0);
    m_start(&query, 0, "www.example", WIRE_TYPE_A);
    m_opt(&query, 1232, 0x8000);
    m_close(&query);
    served_to(&query, &r);
    ck_assert_uint_eq(served_msg.bytes[3], 0xa0);
    ck_assert_mem_eq(served_msg.bytes + served_msg.len - 11, "\0\0\51\4\xd0\0\0\x80\0\0\0", 11);
    ck_assert_uint_eq(served_msg.bytes[11], 1);
}
END_TEST

START_TEST(ttls_age_down_to_nothing)
{
    static struct msg query;
    struct wire_reply r = {.fixed_ttl_s = WIRE_TTL_AS_IS, .ede = WIRE_EDE_NONE, .limit = 512};
    static const struct {
        uint32_t age_s, fixed_s, first_s, second_s;
    } rows[] = {
        {0, WIRE_TTL_AS_IS, 300, 20},
        {19, WIRE_TTL_AS_IS, 281, 1},
        {20, WIRE_TTL_AS_IS, 280, 0},
        {21, WIRE_TTL_AS_IS, 279, 0},
        {UINT32_MAX, WIRE_TTL_AS_IS, 0, 0},
        {0, 30, 30, 30},
        {5000, 30, 30, 30}, /* stale: age means nothing any more */
        {0, 0, 0, 0},
    };
    pack_two_addresses();
    m_start(&query, 0, "www.example", WIRE_TYPE_A);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char want[128];
        r.age_s = rows[i].age_s;
        r.fixed_ttl_s = rows[i].fixed_s;
        snprintf(want, sizeof want, "an www.example 1 %u 00000001\nan www.example 1 %u 00000002\n",
            (unsigned)rows[i].first_s, (unsigned)rows[i].second_s);
        ck_assert_str_eq(served_to(&query, &r), want);
    }
}
END_TEST

START_TEST(what_a_client_cannot_take_is_truncated)
{
    static struct msg query;
    struct wire_reply r = {.fixed_ttl_s = WIRE_TTL_AS_IS, .ede = WIRE_EDE_NONE};
    size_t whole = 12 + 17 + 32;

    pack_two_addresses();
    m_start(&query, WIRE_RD, "www.example", WIRE_TYPE_A);
    for (r.limit = 12; r.limit < 80; r.limit++) {
        served_to(&query, &r);
        bool tc = served_msg.bytes[2] & 2;
        ck_assert_int_eq(tc, r.limit < whole && r.limit >= 29);
        size_t want = r.limit >= whole ? whole : r.limit >= 29 ? 29 : 12;
        ck_assert_uint_eq(served_msg.len, want);
    }
    m_opt(&query, 1232, 0);
    m_close(&query);
    for (r.limit = 29; r.limit < 80; r.limit++) {
        served_to(&query, &r);
        bool tc = served_msg.bytes[2] & 2;
        ck_assert_int_eq(tc, r.limit < 40 ? 1 : r.limit < whole + 11);
        size_t want = r.limit >= whole + 11 ? whole + 11 : r.limit >= 40 ? 40 : 29;
        ck_assert_uint_eq(served_msg.len, want);
    }
    r.truncate = true;
    ck_assert_str_eq(served_to(&query, &r), "");
    ck_assert(served_msg.bytes[2] & 2);
    ck_assert_uint_eq(served_msg.len, 40);
}
END_TEST

START_TEST(options_are_told_where_there_is_edns_and_room)
{
    static struct msg query;
    struct wire_reply r = {
        .fixed_ttl_s = WIRE_TTL_AS_IS, .ede = WIRE_EDE_STALE, .keepalive_ds = 300, .limit = 512};

    pack_two_addresses();
    m_start(&query, 0, "www.example", WIRE_TYPE_A);
    served_to(&query, &r);
    ck_assert_uint_eq(served_msg.len, 61); /* no EDNS, no options */
    m_opt(&query, 1232, 0);
    m_close(&query);
    served_to(&query, &r);
    ck_assert_uint_eq(served_msg.len, 61 + 11 + 12);
    ck_assert_mem_eq(served_msg.bytes + 61 + 9, "\0\14\0\13\0\2\1\54\0\17\0\2\0\3", 14);
    r.limit = 61 + 11 + 11;
    served_to(&query, &r);
    ck_assert_uint_eq(served_msg.len, 61 + 11 + 6);
    r.limit = 61 + 11 + 5;
    ck_assert_str_ne(served_to(&query, &r), ""); /* records before options */
    ck_assert_uint_eq(served_msg.len, 61 + 11);
    r.limit = 512;
    r.keepalive_ds = 0;
    r.ede = WIRE_EDE_NETWORK_ERROR;
    served_to(&query, &r);
    ck_assert_mem_eq(served_msg.bytes + 61 + 9, "\0\6\0\17\0\2\0\27", 8);
}
END_TEST

START_TEST(a_reply_without_records_has_the_rcode)
{
    struct wire_query q;
    struct wire_reply r = {.query = &q, .ede = WIRE_EDE_NONE, .limit = 512};
    uint8_t out[512];

    m_start(&m, WIRE_RD | 4 << 11, "a", WIRE_TYPE_SOA);
    parse(&m, &q);
    r.rcode = WIRE_NOTIMP;
    ck_assert_uint_eq(wire_write_reply(&r, out, sizeof out), m.len);
    ck_assert_mem_eq(out, "\x12\x34\xa1\x84\0\1", 6); /* the opcode goes back (RFC 1035 4.1.1) */
    m_start(&m, 0, "a.@", WIRE_TYPE_SOA);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_FORMERR);
    r.rcode = WIRE_FORMERR;
    ck_assert_uint_eq(wire_write_reply(&r, out, sizeof out), 12);
    ck_assert_mem_eq(out, "\x12\x34\x80\x81\0\0\0\0\0\0\0\0", 12);
    m_start(&m, 0, "a", WIRE_TYPE_SOA);
    m_opt(&m, 1232, 0x00010000);
    m_close(&m);
    ck_assert_int_eq(parse(&m, &q), WIRE_QUERY_BADVERS);
    r.rcode = WIRE_BADVERS;
    ck_assert_uint_eq(wire_write_reply(&r, out, sizeof out), m.len);
    ck_assert_mem_eq(out + 2, "\x80\x80\0\1\0\0\0\0\0\1", 10);
    ck_assert_mem_eq(out + m.len - 11, "\0\0\51\4\xd0\1\0\0\0\0\0", 11); /* 16 >> 4, version 0 */
    r.limit = 0; /* no caller asks for it, and it is a header all the same */
    ck_assert_uint_eq(wire_write_reply(&r, out, sizeof out), 12);
    r.limit = 512;
    q.edns.present = false; /* nowhere to say it */
    wire_write_reply(&r, out, sizeof out);
    ck_assert_uint_eq(out[3] & 15, WIRE_SERVFAIL);
    r.truncate = true;
    r.rcode = 0;
    wire_write_reply(&r, out, sizeof out);
    ck_assert_uint_eq(out[2] & 2, 2);
}
END_TEST

START_TEST(a_packed_answer_that_is_broken_is_a_servfail)
{
    struct wire_query q;
    struct wire_reply r = {
        .query = &q, .fixed_ttl_s = WIRE_TTL_AS_IS, .ede = WIRE_EDE_NONE, .limit = 512};
    uint8_t out[512];

    pack_two_addresses();
    m_start(&m, 0, "www.example", WIRE_TYPE_A);
    m_opt(&m, 1232, 0);
    m_close(&m);
    parse(&m, &q);
    for (size_t len = 0; len < packed.a.packed_len; len++) {
        uint8_t *cut = exact(packed.bytes, len);
        r.packed = cut;
        r.packed_len = len;
        size_t n = wire_write_reply(&r, out, sizeof out);
        if (len < 14 + 26) { /* the last TTL */
            ck_assert_uint_eq(n, m.len);
            ck_assert_uint_eq(out[3] & 15, WIRE_SERVFAIL);
            ck_assert_mem_eq(out + 6, "\0\0\0\0\0\1", 6);
        }
        free(cut);
    }
    r.packed = packed.bytes;
    r.packed_len = packed.a.packed_len;
    q.question.name = NULL; /* its pointers would point nowhere */
    wire_write_reply(&r, out, sizeof out);
    ck_assert_uint_eq(out[3] & 15, WIRE_SERVFAIL);
    ck_assert_uint_eq(wire_packed_rcode(packed.bytes, 9), WIRE_SERVFAIL);
}
END_TEST

/* ---- made answers ---------------------------------------------------------------------------- */

static struct wire_writer w;
static uint8_t scratch[WIRE_MESSAGE_MAX];

static void put(enum wire_section section, const char *owner, unsigned type, uint32_t ttl_s,
    const void *rdata, size_t rdata_len)
{
    struct wire_record record = {.type = (uint16_t)type,
        .class = WIRE_CLASS_IN,
        .ttl_s = ttl_s,
        .rdata = rdata,
        .rdata_len = rdata_len};

    record.owner = name_of(owner, &record.owner_len);
    wire_put_record(&w, section, &record);
}

static void write_for(const char *question, size_t cap)
{
    static uint8_t name[WIRE_NAME_MAX];
    size_t len;
    const uint8_t *wire = name_of(question, &len);

    memcpy(name, wire, len);
    wire_writer_start(&w, name, len, scratch, cap);
    /* what served() takes the question from */
    m_start(&m, WIRE_QR, question, WIRE_TYPE_A);
    free(packed.reply);
    packed.reply = exact(m.bytes, m.len);
}

static size_t finish(uint16_t flags)
{
    static uint8_t out[WIRE_PACKED_MAX];

    packed.a.packed_len = wire_writer_finish(&w, flags, out, sizeof out);
    free(packed.bytes);
    packed.bytes = exact(out, packed.a.packed_len);
    return packed.a.packed_len;
}

START_TEST(records_are_written_with_owners_compressed)
{
    write_for("www.example", sizeof scratch);
    put(AN, "www.example", 1, 60, "\1\2\3\4", 4);
    put(AN, "WWW.Example", 1, 60, "\1\2\3\5", 4);
    put(AN, "x.example", 1, 60, "\1\2\3\6", 4);
    put(NS, "y.x.example", 1, 60, "\1\2\3\7", 4);
    put(AR, "y.X.example", 1, 0xffffffff, "\1\2\3\10", 4);
    put(AR, ".", 1, 60, "\1\2\3\11", 4);
    put(AR, "new.name", 1, 60, "\1\2\3\12", 4);
    put(AR, "name", 1, 60, "", 0);
    ck_assert_uint_eq(finish(WIRE_AA | WIRE_AD | WIRE_NXDOMAIN | WIRE_TC | WIRE_QR),
        10 + 16 + 16 * 2 + 18 * 2 + 16 + 15 + 24 + 12);
    ck_assert_mem_eq(packed.bytes, "\4\x23\0\3\0\1\0\4\0\10", 10);
    ck_assert_str_eq(served(),
        "an www.example 1 60 01020304\nan www.example 1 60 01020305\nan x.example 1 60 01020306\n"
        "ns y.x.example 1 60 01020307\nar y.x.example 1 4294967295 01020308\n"
        "ar . 1 60 01020309\nar new.name 1 60 0102030a\nar name 1 60\n");
    ck_assert_uint_eq(served_msg.bytes[2], 0x85);
}
END_TEST

START_TEST(an_empty_answer_is_ten_bytes)
{
    write_for("www.example", 0);
    ck_assert_uint_eq(finish(WIRE_NXDOMAIN), 10);
    ck_assert_mem_eq(packed.bytes, "\0\3\0\0\0\0\0\0\0\0", 10);
}
END_TEST

START_TEST(a_writer_that_failed_once_stays_failed)
{
    write_for("www.example", sizeof scratch);
    put(NS, "www.example", 1, 60, "\1\2\3\4", 4);
    put(AN, "www.example", 1, 60, "\1\2\3\4", 4); /* backwards */
    put(AR, "www.example", 1, 60, "\1\2\3\4", 4);
    ck_assert_uint_eq(finish(0), 0);
    for (size_t cap = 0; cap < 34; cap++) {
        uint8_t *small = malloc(cap ? cap : 1);
        write_for("www.example", cap);
        w.body = small;
        put(AN, "www.example", 1, 60, "\1\2\3\4", 4);
        put(AN, "x.example", 1, 60, "\1\2\3\4", 4);
        ck_assert_uint_eq(finish(0), 0);
        free(small);
    }
    write_for("www.example", 34);
    put(AN, "www.example", 1, 60, "\1\2\3\4", 4);
    put(AN, "x.example", 1, 60, "\1\2\3\4", 4);
    ck_assert_uint_eq(finish(0), 10 + 4 + 34);
    uint8_t out[47];
    ck_assert_uint_eq(wire_writer_finish(&w, 0, out, sizeof out), 0);
    write_for("www.example", sizeof scratch);
    put(AN, "www.example", 16, 60, scratch, 65536);
    ck_assert_uint_eq(finish(0), 0);
    write_for("www.example", sizeof scratch); /* would not fit a message */
    put(AN, "www.example", 16, 60, m.bytes, 65535 - 29 - 12 + 1);
    ck_assert_uint_eq(finish(0), 0);
    write_for("www.example", sizeof scratch);
    put(AN, "www.example", 16, 60, m.bytes, 65535 - 29 - 12);
    ck_assert_uint_gt(finish(0), 0);
    served();
    ck_assert_uint_eq(served_msg.len, 65535);
}
END_TEST

START_TEST(five_hundred_and_twelve_records_can_be_written)
{
    for (unsigned n = 512; n <= 513; n++) {
        write_for("www.example", sizeof scratch);
        for (unsigned i = 0; i < n; i++) {
            char owner[16];
            snprintf(owner, sizeof owner, "h%u.example", i % 300); /* more than are remembered */
            put(AN, owner, 1, 60, "\1\2\3\4", 4);
        }
        size_t len = finish(0);
        ck_assert_int_eq(len > 0, n == 512);
    }
    write_for("www.example", sizeof scratch);
    for (unsigned i = 0; i < 512; i++) {
        char owner[16];
        snprintf(owner, sizeof owner, "h%u.example", i);
        put(AN, owner, 1, 60, "\1\2\3\4", 4);
    }
    finish(0);
    const char *text = served();
    for (unsigned i = 0; i < 512; i++) {
        char line[64];
        int n = snprintf(line, sizeof line, "an h%u.example 1 60 01020304\n", i);
        ck_assert_int_eq(strncmp(text, line, (size_t)n), 0);
        text += n;
    }
}
END_TEST

START_TEST(nothing_points_beyond_what_14_bits_can_say)
{
    write_for("www.example", sizeof scratch);
    put(AN, "www.example", 16, 60, m.bytes, 0x3ffe - 29 - 12); /* the next owner: 0x3ffe */
    put(AN, "a.far.away", 1, 60, "\1\2\3\4", 4);
    put(AN, "a.far.away", 1, 60, "\1\2\3\4", 4);
    put(AN, "b.far.away", 1, 60, "\1\2\3\4", 4);
    ck_assert_uint_gt(finish(0), 0);
    const char *text = served();
    ck_assert_ptr_nonnull(strstr(text, "an a.far.away 1 60 01020304\nan a.far.away 1 60 01020304\n"
                                       "an b.far.away 1 60 01020304\n"));
}
END_TEST

/* The answer of one question put behind a CNAME to it: an override that leads outside. */
START_TEST(another_answer_comes_over_with_its_names)
{
    static uint8_t other[WIRE_PACKED_MAX];
    size_t other_len, name_len;

    m_start(&m, WIRE_QR, "target.net", WIRE_TYPE_MX);
    m_open(&m, AN, "@", WIRE_TYPE_MX, 100);
    m_u16(&m, 10);
    m_name(&m, "mx.@");
    m_close(&m);
    m_open(&m, AN, "@", WIRE_TYPE_MX, 5);
    m_u16(&m, 20);
    m_name(&m, "mx2.@19");
    m_close(&m);
    m_a(&m, AR, "mx.@", 50, 1);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    memcpy(other, packed.bytes, other_len = packed.a.packed_len);
    write_for("a.longer.example", sizeof scratch);
    put(AN, "a.longer.example", 5, 300, "\6target\3net", 12);
    const uint8_t *name = name_of("target.net", &name_len);
    wire_put_packed(&w, other, other_len, name, name_len, 10);
    ck_assert_uint_gt(finish(WIRE_AA), 0);
    ck_assert_str_eq(served(), "an a.longer.example 5 300 target.net\n"
                               "an target.net 15 90 000a mx.target.net\n"
                               "an target.net 15 0 0014 mx2.net\n");
    for (size_t cut = 0; cut < other_len - 16; cut++) { /* less the additional record */
        uint8_t *half = exact(other, cut);
        write_for("a.longer.example", sizeof scratch);
        wire_put_packed(&w, half, cut, name, name_len, 10);
        if (cut < other_len - 4 - 16 - 3) /* its own name "mx" */
            ck_assert_uint_eq(finish(0), 0);
        free(half);
    }
}
END_TEST

/* Bounds of the record that comes over are those of the room, byte by byte. */
START_TEST(an_answer_that_has_no_room_does_not_come_over)
{
    static const uint8_t name[] = "\6target\3net";
    static uint8_t other[WIRE_PACKED_MAX];
    size_t other_len, needed;

    m_start(&m, WIRE_QR, "target.net", WIRE_TYPE_MX);
    m_open(&m, AN, "@", WIRE_TYPE_MX, 100);
    m_u16(&m, 10);
    m_name(&m, "mx.@");
    m_close(&m);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_POSITIVE);
    memcpy(other, packed.bytes, other_len = packed.a.packed_len);
    write_for("www.example", sizeof scratch);
    wire_put_packed(&w, other, other_len, name, sizeof name, 0);
    needed = w.len;
    ck_assert_uint_gt(finish(0), 0);
    for (size_t room = 0; room <= needed; room++) {
        write_for("www.example", room);
        wire_put_packed(&w, other, other_len, name, sizeof name, 0);
        ck_assert_uint_le(w.len, room);
        ck_assert_int_eq(finish(0) > 0, room == needed);
    }
}
END_TEST

/* A body that points into the header, where no name can be. */
START_TEST(an_answer_whose_names_lie_in_the_header_does_not_come_over)
{
    static const uint8_t other[] = "\0\0\0\1\0\0\0\0\0\1\0\6"
                                   "\xc0\4\0\1\0\1\0\0\0\74\0\4\1\2\3\4";
    size_t name_len;
    const uint8_t *name = name_of("target.net", &name_len);

    write_for("www.example", sizeof scratch);
    wire_put_packed(&w, other, sizeof other - 1, name, name_len, 0);
    ck_assert_uint_eq(finish(0), 0);
}
END_TEST

START_TEST(a_negative_answer_comes_over_with_its_soa)
{
    static uint8_t other[WIRE_PACKED_MAX];
    size_t name_len;

    m_start(&m, WIRE_QR | WIRE_NXDOMAIN, "target.net", WIRE_TYPE_A);
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 100, "gone.net");
    m_soa(&m, NS, "@19", 100, 50);
    ck_assert_int_eq(pack(&m), WIRE_ANSWER_NXDOMAIN);
    size_t len = packed.a.packed_len;
    memcpy(other, packed.bytes, len);
    write_for("www.example", sizeof scratch);
    const uint8_t *name = name_of("target.net", &name_len);
    wire_put_packed(&w, other, len, name, name_len, 0);
    finish(wire_packed_rcode(other, len));
    const char *text = served();
    ck_assert_ptr_eq(
        strstr(text, "an target.net 5 100 gone.net\nns net 6 50 ns.example root.example "), text);
    ck_assert_uint_eq(served_msg.bytes[3] & 15, 3);
    /* a positive one leaves its authority behind */
    m_start(&m, WIRE_QR, "target.net", WIRE_TYPE_A);
    m_a(&m, AN, "@", 60, 1);
    m_open(&m, NS, "@", WIRE_TYPE_NSEC, 60);
    m_raw(&m, "\0\0\1\2", 4);
    m_close(&m);
    ck_assert_int_eq(pack_do(&m), WIRE_ANSWER_POSITIVE);
    ck_assert_uint_eq(packed.bytes[5], 1);
    len = packed.a.packed_len;
    memcpy(other, packed.bytes, len);
    write_for("www.example", sizeof scratch);
    wire_put_packed(&w, other, len, name, name_len, 0);
    finish(0);
    ck_assert_str_eq(served(), "an target.net 1 60 00000001\n");
}
END_TEST

/* ---- walking and framing --------------------------------------------------------------------- */

START_TEST(a_cursor_walks_all_sections)
{
    struct wire_cursor c;
    struct wire_view v;

    m_start(&m, WIRE_QR, "a", WIRE_TYPE_A);
    m_a(&m, AN, "@", 0xfffefdfc, 1);
    m_to(&m, AR, "b", WIRE_TYPE_NS, 2, "@");
    ck_assert_int_eq(wire_cursor_start(&c, m.bytes, m.len), 0);
    ck_assert_int_eq(wire_cursor_next(&c, &v), 1);
    ck_assert_int_eq(v.section, AN);
    ck_assert_uint_eq(v.owner_at, 19);
    ck_assert_uint_eq(v.type, 1);
    ck_assert_uint_eq(v.class, 1);
    ck_assert_uint_eq(v.ttl_s, 0xfffefdfc);
    ck_assert_uint_eq(v.ttl_at, 25);
    ck_assert_uint_eq(v.rdata_at, 31);
    ck_assert_uint_eq(v.rdata_len, 4);
    ck_assert_int_eq(wire_cursor_next(&c, &v), 1);
    ck_assert_int_eq(v.section, AR);
    ck_assert_int_eq(wire_cursor_next(&c, &v), 0);
    ck_assert_int_eq(wire_cursor_next(&c, &v), 0);
    ck_assert_uint_eq(c.at, m.len);
    for (size_t len = 0; len < m.len; len++) {
        uint8_t *cut = exact(m.bytes, len);
        int more = wire_cursor_start(&c, cut, len);
        while (more >= 0 && (more = wire_cursor_next(&c, &v)) == 1)
            ;
        ck_assert_int_eq(more, -1);
        free(cut);
    }
    m_start(&m, WIRE_QR, "a.longer.name", WIRE_TYPE_A);
    for (size_t len = 0; len < m.len; len++) {
        uint8_t *cut = exact(m.bytes, len);
        ck_assert_int_eq(wire_cursor_start(&c, cut, len), -1);
        free(cut);
    }
    m_start(&m, WIRE_QR, "a", WIRE_TYPE_A);
    m_name(&m, "b.@");
    m_u32(&m, 0);
    m_set_u16(&m, 4, 2);
    ck_assert_int_eq(wire_cursor_start(&c, m.bytes, m.len), 0);
    m_set_u16(&m, 4, 0xffff);
    ck_assert_int_eq(wire_cursor_start(&c, m.bytes, m.len), -1);
}
END_TEST

START_TEST(frames_say_their_length)
{
    uint8_t frame[2];

    for (size_t len = 0; len <= 65535; len += 257) {
        wire_frame_write(frame, len);
        ck_assert_int_eq(wire_frame_len(frame, 2), (int)len);
    }
    ck_assert_int_eq(wire_frame_len(frame, 1), -1);
    ck_assert_int_eq(wire_frame_len(frame, 0), -1);
    ck_assert_int_eq(wire_frame_len((const uint8_t *)"\1\2\3", 3), 258);
}
END_TEST

/* ---- hostile input --------------------------------------------------------------------------- */

/* Everything that takes a message takes this one, and what is packed can be served, also when it is
 * a thousand seconds old, and read to its end; and put into another answer. Returns what kind of
 * answer it is. */
static enum wire_answer_kind try_all(const uint8_t *bytes, size_t len)
{
    static uint8_t out[WIRE_PACKED_MAX];
    static struct msg query;
    uint8_t *msg = exact(bytes, len);
    struct wire_question asked = {.type = 1, .class = 1};
    struct wire_query q;
    struct wire_answer a = {.kind = WIRE_ANSWER_MALFORMED};
    struct wire_cursor c;
    struct wire_view v;

    wire_parse_query(msg, len, &q);
    if (wire_cursor_start(&c, msg, len) == 0)
        while (wire_cursor_next(&c, &v) == 1)
            ;
    wire_match_reply(msg, len, msg, len);
    if (len < 12)
        goto done;
    asked.name = msg + 12;
    asked.name_len = wire_name_len(asked.name, len - 12);
    if (asked.name_len == 0 || len < 12 + asked.name_len + 4)
        goto done;
    asked.type = (uint16_t)(asked.name[asked.name_len] << 8 | asked.name[asked.name_len + 1]);
    asked.class = (uint16_t)(asked.name[asked.name_len + 2] << 8 | asked.name[asked.name_len + 3]);
    for (int dnssec_ok = 0; dnssec_ok < 2; dnssec_ok++) {
        wire_pack_answer(msg, len, &asked, dnssec_ok, true, &wide, out, sizeof out, &a);
        if (a.packed_len == 0)
            continue;
        uint8_t *p = exact(out, a.packed_len);
        struct wire_reply r = {.query = &q,
            .packed = p,
            .packed_len = a.packed_len,
            .age_s = dnssec_ok ? 1000 : 0,
            .fixed_ttl_s = WIRE_TTL_AS_IS,
            .ede = WIRE_EDE_STALE,
            .limit = WIRE_MESSAGE_MAX};
        query.len = 0;
        m_raw(&query, "\0\1\1\0\0\1\0\0\0\0\0\0", 12);
        m_raw(&query, asked.name, asked.name_len + 4);
        ck_assert_int_eq(wire_parse_query(query.bytes, query.len, &q), WIRE_QUERY_OK);
        served_msg.len = wire_write_reply(&r, served_msg.bytes, WIRE_MESSAGE_MAX);
        ck_assert_uint_eq(served_msg.bytes[3] & 15, out[1] & 15);
        ck_assert_uint_eq(served_msg.bytes[2] & 2, 0);
        m_text(served_msg.bytes, served_msg.len);
        write_for("another.question.example", sizeof scratch);
        wire_put_packed(&w, p, a.packed_len, asked.name, asked.name_len, 7);
        if (finish(0) > 0)
            served();
        free(p);
    }
done:
    free(msg);
    return a.kind;
}

/* A reply with nearly everything in it. */
static void rich_reply(void)
{
    m_start(&m, WIRE_QR | WIRE_RD | WIRE_RA, "www.example.com", WIRE_TYPE_SRV);
    m_to(&m, AN, "@16", WIRE_TYPE_DNAME, 100, "example.net");
    m_to(&m, AN, "@", WIRE_TYPE_CNAME, 100, "www.example.net");
    m_rrsig(&m, AN, "@", 100, WIRE_TYPE_CNAME);
    m_open(&m, AN, "www.example.net", WIRE_TYPE_SRV, 100);
    m_raw(&m, "\0\1\0\2\0\3", 6);
    m_name(&m, "h.example.net");
    m_close(&m);
    m_open(&m, NS, "example.net", WIRE_TYPE_NSEC, 20);
    m_name(&m, "a.example.net");
    m_raw(&m, "\0\1\2", 3);
    m_close(&m);
    m_to(&m, NS, "example.net", WIRE_TYPE_NS, 100, "ns.@16");
    m_soa(&m, NS, "net", 100, 50);
    m_opt(&m, 1232, 0x8000);
    m_option(&m, 10, "12345678abcdefgh", 16);
    m_close(&m);
    m_a(&m, AR, "h.example.net", 100, 1);
}

START_TEST(a_reply_cut_anywhere_is_refused)
{
    rich_reply();
    ck_assert_int_eq(try_all(m.bytes, m.len), WIRE_ANSWER_POSITIVE);
    rich_reply();
    size_t whole = m.len;
    for (size_t len = 0; len < whole; len++) {
        rich_reply();
        ck_assert_int_eq(try_all(m.bytes, len), WIRE_ANSWER_MALFORMED);
    }
}
END_TEST

START_TEST(a_reply_with_any_bit_flipped_does_no_harm)
{
    static uint8_t bent[1024];

    rich_reply();
    size_t len = m.len;
    memcpy(bent, m.bytes, len);
    for (size_t bit = 0; bit < len * 8; bit++) {
        bent[bit / 8] ^= (uint8_t)(1 << bit % 8);
        try_all(bent, len);
        bent[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}
END_TEST

START_TEST(a_reply_with_any_two_bytes_made_a_pointer_does_no_harm)
{
    static uint8_t bent[1024];

    rich_reply();
    size_t len = m.len;
    for (size_t at = 12; at + 1 < len; at++) {
        for (size_t target = 0; target < len; target += 31) {
            rich_reply();
            memcpy(bent, m.bytes, len);
            bent[at] = (uint8_t)(0xc0 | target >> 8);
            bent[at + 1] = (uint8_t)target;
            try_all(bent, len);
        }
    }
}
END_TEST

START_TEST(random_bytes_do_no_harm)
{
    static uint8_t bytes[300];
    uint32_t x = 1;

    for (int round = 0; round < 2000; round++) {
        size_t len = 0;
        for (; len < sizeof bytes; len++) {
            x = x * 1664525 + 1013904223;
            bytes[len] = (uint8_t)(x >> 24 & (x >> 16 & 1 ? 0xff : 0x03));
        }
        memcpy(bytes + 4, "\0\1\0", 3); /* one question and a few records, so that more is read */
        bytes[8] = bytes[10] = 0;
        bytes[7] &= 7;
        try_all(bytes, x % (sizeof bytes + 1));
    }
}
END_TEST

/* Packed answers are our own, but what they hold is not: a bent one may spoil an answer and no
 * more. */
START_TEST(a_packed_answer_with_any_bit_flipped_does_no_harm)
{
    static struct msg query;
    static uint8_t out[WIRE_MESSAGE_MAX];
    size_t name_len;
    const uint8_t *text = name_of("www.example.com", &name_len);
    uint8_t *name = exact(text, name_len);
    struct wire_query q;
    struct wire_reply r = {.query = &q, .ede = WIRE_EDE_NONE, .age_s = 50};

    rich_reply();
    ck_assert_int_eq(pack_do(&m), WIRE_ANSWER_POSITIVE);
    size_t len = packed.a.packed_len;
    uint8_t *bent = exact(packed.bytes, len);
    m_start(&query, WIRE_RD, "www.example.com", WIRE_TYPE_SRV);
    ck_assert_int_eq(parse(&query, &q), WIRE_QUERY_OK);
    r.packed = bent;
    r.packed_len = len;
    r.fixed_ttl_s = WIRE_TTL_AS_IS;
    r.limit = SIZE_MAX;
    for (size_t bit = 0; bit < len * 8; bit++) {
        bent[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_uint_le(wire_write_reply(&r, out, SIZE_MAX), query.len + len);
        write_for("x.example", sizeof scratch);
        wire_put_packed(&w, bent, len, name, name_len, 7);
        finish(0);
        bent[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(bent);
    free(name);
}
END_TEST

static unsigned n_tried, n_packed;

static void try_tree(const char *path, int depth)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) && depth < 6) {
        char name[PATH_MAX];
        static uint8_t bytes[WIRE_MESSAGE_MAX];
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(name, sizeof name, "%s/%s", path, entry->d_name) >= (int)sizeof name)
            continue;
        FILE *file = fopen(name, "rb");
        size_t len = file ? fread(bytes, 1, sizeof bytes, file) : 0;
        if (file)
            fclose(file);
        if (len > 0) {
            enum wire_answer_kind kind = try_all(bytes, len);
            n_packed += kind < WIRE_ANSWER_TRUNCATED;
            n_tried++;
        }
        try_tree(name, depth + 1);
    }
    if (dir)
        closedir(dir);
}

/* Messages of other projects, where they are at hand. */
START_TEST(messages_made_by_others_do_no_harm)
{
    try_tree("../shared/corpora", 0);
    if (n_tried > 0)
        ck_assert_uint_gt(n_packed, n_tried / 10);
}
END_TEST

static void add_names(Suite *suite)
{
    TCase *names = tcase_create("names");

    tcase_add_test(names, a_name_has_a_length_or_is_none);
    tcase_add_test(names, only_ascii_letters_have_case);
    tcase_add_test(names, below_means_whole_labels);
    tcase_add_test(names, labels_are_counted_without_the_root);
    tcase_add_test(names, text_is_safe_in_a_log);
    tcase_add_test(names, case_is_chosen_by_the_bits_and_nothing_else_changes);
    tcase_add_test(names, the_example_of_rfc_1035_expands);
    tcase_add_test(names, pointers_go_strictly_backwards);
    tcase_add_test(names, a_name_may_have_a_pointer_behind_each_of_its_127_labels_and_no_more);
    suite_add_tcase(suite, names);
}

static void add_queries(Suite *suite)
{
    TCase *queries = tcase_create("queries");

    tcase_add_test(queries, an_ordinary_query_is_read);
    tcase_add_test(queries, a_query_without_edns_takes_512_bytes);
    tcase_add_test(queries, replies_are_never_answered);
    tcase_add_test(queries, other_opcodes_are_not_implemented_whatever_else_is_wrong);
    tcase_add_test(queries, there_is_exactly_one_question);
    tcase_add_test(queries, a_question_is_not_compressed);
    tcase_add_test(queries, a_query_has_no_answers);
    tcase_add_test(queries, counts_that_cannot_be_true_are_refused);
    tcase_add_test(queries, bytes_behind_a_query_are_refused);
    tcase_add_test(queries, other_records_in_additional_are_passed_over);
    tcase_add_test(queries, a_second_opt_is_refused);
    tcase_add_test(queries, an_opt_stands_in_additional_and_belongs_to_the_root);
    tcase_add_test(queries, options_must_fill_their_record);
    tcase_add_test(queries, thirty_two_options_are_enough);
    tcase_add_test(queries, a_cookie_has_8_or_16_to_40_bytes);
    tcase_add_test(queries, the_first_cookie_counts);
    tcase_add_test(queries, a_newer_edns_is_told_so_and_its_options_are_not_read);
    tcase_add_test(queries, signed_queries_are_known_as_such);
    tcase_add_test(queries, a_query_full_of_records_is_read_to_its_end);
    tcase_add_test(queries, a_key_comes_back_as_it_went);
    tcase_add_test(queries, the_longest_name_has_a_key);
    tcase_add_test(queries, a_plain_query_is_header_and_question);
    tcase_add_test(queries, a_query_with_edns_is_what_we_read_ourselves);
    tcase_add_test(queries, only_the_awaited_reply_matches);
    tcase_add_test(queries, a_reply_cut_short_matches_nothing);
    tcase_add_test(queries, a_bare_header_is_an_error_of_a_server_without_edns);
    suite_add_tcase(suite, queries);
}

static void add_answers(Suite *suite)
{
    TCase *answers = tcase_create("answers");

    tcase_add_test(answers, a_positive_answer_is_kept_and_the_rest_is_not);
    tcase_add_test(answers, another_spelling_of_the_question_is_no_other_question);
    tcase_add_test(answers, records_off_the_chain_are_dropped);
    tcase_add_test(answers, a_chain_is_followed);
    tcase_add_test(answers, a_chain_may_come_in_any_order);
    tcase_add_test(answers, a_chain_may_lead_on);
    tcase_add_test(answers, a_chain_that_bites_its_tail_ends);
    tcase_add_test(answers, of_two_cnames_the_first_leads);
    tcase_add_test(answers, sixteen_links_are_followed);
    tcase_add_test(answers, a_question_for_cname_or_any_is_not_led_on);
    tcase_add_test(answers, a_dname_is_kept_with_the_cname_that_it_made);
    tcase_add_test(answers, signatures_go_to_those_who_asked_for_them);
    tcase_add_test(answers, nodata_needs_a_soa_of_the_name_or_above);
    tcase_add_test(answers, a_negative_answer_lives_as_long_as_rfc_2308_says);
    tcase_add_test(answers, a_chain_may_end_in_nothing);
    tcase_add_test(answers, what_nxdomain_denies_is_not_served);
    tcase_add_test(answers, a_negative_answer_keeps_its_proof_for_those_who_check_it);
    tcase_add_test(answers, a_referral_is_no_answer);
    tcase_add_test(answers, an_answer_to_nothing_but_other_names_is_an_error);
    tcase_add_test(answers, a_denial_with_records_of_the_name_or_of_others_stays_one);
    tcase_add_test(answers, addresses_of_targets_come_along);
    tcase_add_test(answers, services_lead_to_their_target_or_to_themselves);
    tcase_add_test(answers, thousands_of_targets_cost_no_more_than_some);
    tcase_add_test(answers, ttls_are_read_and_bounded);
    tcase_add_test(answers, a_truncated_reply_is_not_packed_even_where_it_breaks_off);
    tcase_add_test(answers, errors_carry_their_rcode);
    tcase_add_test(answers, bytes_behind_a_reply_are_ignored);
    tcase_add_test(answers, a_reply_to_another_question_is_not_packed);
    tcase_add_loop_test(answers, a_reply_that_has_no_room_is_not_packed, 0, 3);
    tcase_add_test(answers, a_reply_cut_before_its_records_is_malformed);
    tcase_add_test(answers, names_end_where_rdlength_says);
    tcase_add_test(answers, a_reply_has_one_opt_and_it_stands_in_additional);
    tcase_add_test(answers, names_in_rdata_survive_the_loss_of_what_they_pointed_to);
    tcase_add_test(answers, rdata_of_newer_types_is_never_compressed_anew);
    tcase_add_test(answers, names_do_not_change_with_the_age_of_an_answer);
    tcase_add_test(answers, a_message_of_thousands_of_addresses_is_packed);
    tcase_add_test(answers, a_bomb_of_pointers_is_refused);
    tcase_add_test(answers, what_cannot_be_rebuilt_within_a_message_is_refused);
    tcase_add_test(answers, long_names_in_great_numbers_are_no_bomb);
    suite_add_tcase(suite, answers);
}

static void add_replies(Suite *suite)
{
    TCase *replies = tcase_create("replies");

    tcase_add_test(replies, a_reply_has_the_clients_id_flags_and_spelling);
    tcase_add_test(replies, ad_goes_to_those_who_understand_it);
    tcase_add_test(replies, ttls_age_down_to_nothing);
    tcase_add_test(replies, what_a_client_cannot_take_is_truncated);
    tcase_add_test(replies, options_are_told_where_there_is_edns_and_room);
    tcase_add_test(replies, a_reply_without_records_has_the_rcode);
    tcase_add_test(replies, a_packed_answer_that_is_broken_is_a_servfail);
    tcase_add_test(replies, records_are_written_with_owners_compressed);
    tcase_add_test(replies, an_empty_answer_is_ten_bytes);
    tcase_add_test(replies, a_writer_that_failed_once_stays_failed);
    tcase_add_test(replies, five_hundred_and_twelve_records_can_be_written);
    tcase_add_test(replies, nothing_points_beyond_what_14_bits_can_say);
    tcase_add_test(replies, another_answer_comes_over_with_its_names);
    tcase_add_test(replies, an_answer_that_has_no_room_does_not_come_over);
    tcase_add_test(replies, an_answer_whose_names_lie_in_the_header_does_not_come_over);
    tcase_add_test(replies, a_negative_answer_comes_over_with_its_soa);
    tcase_add_test(replies, a_cursor_walks_all_sections);
    tcase_add_test(replies, frames_say_their_length);
    suite_add_tcase(suite, replies);
}

static void add_hostile(Suite *suite)
{
    TCase *hostile = tcase_create("hostile");

    tcase_set_timeout(hostile, 120); /* under valgrind */
    tcase_add_test(hostile, a_reply_cut_anywhere_is_refused);
    tcase_add_test(hostile, a_reply_with_any_bit_flipped_does_no_harm);
    tcase_add_test(hostile, a_reply_with_any_two_bytes_made_a_pointer_does_no_harm);
    tcase_add_test(hostile, a_packed_answer_with_any_bit_flipped_does_no_harm);
    tcase_add_test(hostile, random_bytes_do_no_harm);
    tcase_add_test(hostile, messages_made_by_others_do_no_harm);
    suite_add_tcase(suite, hostile);
}

int main(void)
{
    Suite *suite = suite_create("wire");
    add_names(suite);
    add_queries(suite);
    add_answers(suite);
    add_replies(suite);
    add_hostile(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
