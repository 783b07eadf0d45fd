/* tests/unit/capture.c: captures that are made here, packet by packet: whole, torn, bent, or of
 * what is no question. Knows trace.h, and packets as they lie in files. */
#include "tests/unit/reading.h"
#include "tests/unit/scarce.h"

#include <sodium.h>

/* ---- making captures ------------------------------------------------------------------------- */

struct capture {
    uint8_t bytes[32768];
    size_t len;
    size_t packet_at; /* of the packet that is being written */
    uint32_t at_ms;
    uint16_t snap; /* 0: packets are captured whole */
};

static void put(struct capture *c, const void *bytes, size_t len)
{
    ck_assert_uint_le(c->len + len, sizeof c->bytes);
    memcpy(c->bytes + c->len, bytes, len);
    c->len += len;
}

static void put_u8(struct capture *c, unsigned v)
{
    uint8_t b = (uint8_t)v;
    put(c, &b, 1);
}

static void put_u16(struct capture *c, unsigned v) /* network order */
{
    put_u8(c, v >> 8 & 255);
    put_u8(c, v & 255);
}

static void put_u32(struct capture *c, uint32_t v)
{
    put_u16(c, v >> 16);
    put_u16(c, v & 65535);
}

static void start_capture(struct capture *c, uint32_t link)
{
    memset(c, 0, sizeof *c);
    put_u32(c, 0xa1b2c3d4);
    put_u16(c, 2);
    put_u16(c, 4);
    put_u32(c, 0);
    put_u32(c, 0);
    put_u32(c, 65535);
    put_u32(c, link);
}

static void start_packet(struct capture *c)
{
    put_u32(c, 1700000000 + c->at_ms / 1000);
    put_u32(c, c->at_ms % 1000 * 1000);
    put_u32(c, 0);
    put_u32(c, 0);
    c->packet_at = c->len;
}

static void set_u32(uint8_t *at, size_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void end_packet(struct capture *c)
{
    size_t len = c->len - c->packet_at;
    set_u32(c->bytes + c->packet_at - 4, len);
    if (c->snap > 0 && len > c->snap) {
        c->len -= len - c->snap;
        len = c->snap;
    }
    set_u32(c->bytes + c->packet_at - 8, len);
}

static void put_ethernet(struct capture *c, unsigned type)
{
    put(c, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
    put_u16(c, type);
}

/* From 10.0.0.HOST to 10.9.9.9, or back. */
static void put_ipv4(struct capture *c, unsigned protocol, unsigned host, bool back, size_t len)
{
    const uint8_t client[4] = {10, 0, 0, (uint8_t)host}, server[4] = {10, 9, 9, 9};
    put_u16(c, 0x4500);
    put_u16(c, (unsigned)(20 + len));
    put_u32(c, 0);
    put_u8(c, 64);
    put_u8(c, protocol);
    put_u16(c, 0);
    put(c, back ? server : client, 4);
    put(c, back ? client : server, 4);
}

static void put_ipv6(struct capture *c, unsigned next, unsigned host, size_t len)
{
    const uint8_t client[16] = {0xfd, [7] = (uint8_t)host, [15] = 1};
    const uint8_t server[16] = {0xfd, [15] = 9};
    put_u32(c, 0x60000000);
    put_u16(c, (unsigned)len);
    put_u8(c, next);
    put_u8(c, 64);
    put(c, client, 16);
    put(c, server, 16);
}

static void put_udp(struct capture *c, unsigned from, unsigned to, const uint8_t *msg, size_t len)
{
    put_u16(c, from);
    put_u16(c, to);
    put_u16(c, (unsigned)(8 + len));
    put_u16(c, 0);
    put(c, msg, len);
}

/* A question for NAME.example, with the ID. */
static size_t make_query(uint8_t *msg, const char *name, unsigned id)
{
    size_t len = 12, n = strlen(name);
    memset(msg, 0, 12);
    msg[0] = (uint8_t)(id >> 8);
    msg[1] = (uint8_t)id;
    msg[2] = 1; /* RD */
    msg[5] = 1;
    msg[len++] = (uint8_t)n;
    memcpy(msg + len, name, n);
    len += n;
    memcpy(msg + len, "\7example\0\0\1\0\1", 13);
    return len + 13;
}

/* The answer to it, with one address that is fresh for ttl_s. */
static size_t make_reply(uint8_t *msg, const char *name, unsigned id, unsigned ttl_s)
{
    size_t len = make_query(msg, name, id);
    msg[2] = 0x81;
    msg[3] = 0x80;
    msg[7] = 1;
    memcpy(msg + len, "\xc0\x0c\0\1\0\1\0\0", 8);
    msg[len + 8] = (uint8_t)(ttl_s >> 8);
    msg[len + 9] = (uint8_t)ttl_s;
    memcpy(msg + len + 10, "\0\4\300\0\2\1", 6);
    return len + 16;
}

/* A query over UDP and IPv4 in Ethernet. */
static void add_query(struct capture *c, unsigned host, const char *name, unsigned id)
{
    uint8_t msg[128];
    size_t len = make_query(msg, name, id);
    start_packet(c);
    put_ethernet(c, 0x0800);
    put_ipv4(c, 17, host, false, 8 + len);
    put_udp(c, 40000, 53, msg, len);
    end_packet(c);
}

static void add_reply(struct capture *c, unsigned host, const char *name, unsigned ttl_s)
{
    uint8_t msg[128];
    size_t len = make_reply(msg, name, 1, ttl_s);
    start_packet(c);
    put_ethernet(c, 0x0800);
    put_ipv4(c, 17, host, true, 8 + len);
    put_udp(c, 53, 40000, msg, len);
    end_packet(c);
}

static void read_capture(struct reading *r, const struct capture *c)
{
    start(r);
    read_bytes(r, c->bytes, c->len);
}

/* ---- captures -------------------------------------------------------------------------------- */

START_TEST(a_capture_of_datagrams)
{
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    add_query(&c, 1, "a", 1);
    c.at_ms = 40;
    add_query(&c, 2, "a", 1);
    add_query(&c, 1, "b", 2);
    read_capture(&r, &c);
    ck_assert_str_eq(r.said, "");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_int_eq(trace_counts(r.t)->form, TRACE_PCAP);
    ck_assert_uint_eq(trace_n_events(r.t), 3);
    ck_assert_uint_eq(trace_n_clients(r.t), 2);
    ck_assert_uint_eq(event(&r, 0)->at_ms, 1700000000000);
    ck_assert_uint_eq(event(&r, 1)->at_ms, 1700000000040);
    ck_assert_str_eq(name_of(&r, 2), "b.example");
    end(&r);
}
END_TEST

START_TEST(a_retransmission_is_no_event_and_a_new_question_is)
{
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    add_query(&c, 1, "a", 7);
    c.at_ms = 1000;
    add_query(&c, 1, "a", 7);
    add_query(&c, 1, "a", 8);
    c.at_ms = 7000;
    add_query(&c, 1, "a", 7);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 3);
    ck_assert_uint_eq(trace_counts(r.t)->repeats, 1);
    end(&r);
}
END_TEST

START_TEST(ttls_are_the_longest_of_the_replies)
{
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    add_query(&c, 1, "a", 1);
    add_reply(&c, 1, "a", 120);
    add_reply(&c, 1, "a", 300);
    add_reply(&c, 1, "a", 7);
    add_query(&c, 1, "b", 2);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 2);
    ck_assert_int_eq(trace_question(r.t, event(&r, 0)->question)->has_ttl, true);
    ck_assert_uint_eq(trace_question(r.t, event(&r, 0)->question)->ttl_s, 300);
    ck_assert_int_eq(trace_question(r.t, event(&r, 1)->question)->has_ttl, false);
    end(&r);
}
END_TEST

START_TEST(every_link_layer_that_is_known)
{
    static const struct {
        uint32_t link;
        const char *head;
        size_t len;
    } links[] = {
        {1, "\2\0\0\0\0\1\2\0\0\0\0\2\x81\0\0\7\x88\xa8\0\7\x08\0", 22}, /* two VLANs */
        {1, "\2\0\0\0\0\1\2\0\0\0\0\2\x88\x64\x11\0\0\1\0\4\0\x21", 22}, /* PPPoE */
        {113, "\0\0\0\1\0\6\2\0\0\0\0\1\0\0\x08\0", 16},                 /* Linux cooked */
        {276, "\x08\0\0\0\0\0\0\2\0\1\0\6\2\0\0\0\0\1\0\0", 20},         /* and its second form */
        {0, "\2\0\0\0", 4},                                              /* loopback of BSD */
        {108, "\0\0\0\2", 4},                                            /* and of OpenBSD */
        {101, "", 0},                                                    /* raw */
        {228, "", 0},
    };
    uint8_t msg[128];
    size_t len = make_query(msg, "a", 1);
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        struct capture c;
        struct reading r;
        start_capture(&c, links[i].link);
        start_packet(&c);
        put(&c, links[i].head, links[i].len);
        put_ipv4(&c, 17, 1, false, 8 + len);
        put_udp(&c, 40000, 53, msg, len);
        end_packet(&c);
        read_capture(&r, &c);
        ck_assert_int_eq(r.result, TRACE_OK);
        ck_assert_msg(trace_n_events(r.t) == 1, "link %zu", i);
        end(&r);
    }
}
END_TEST

START_TEST(a_link_layer_that_is_not_known)
{
    struct capture c;
    struct reading r;
    start_capture(&c, 105);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_int_eq(strncmp(r.said, "0: packets of link type 105 (", 29), 0);
    end(&r);
}
END_TEST

START_TEST(ipv6_with_extension_headers)
{
    uint8_t msg[128];
    size_t len = make_query(msg, "a", 1);
    struct capture c;
    struct reading r;
    start_capture(&c, 101);
    start_packet(&c);
    put_ipv6(&c, 0, 1, 24 + 8 + len);
    put(&c, "\x3c\0\0\0\0\0\0\0", 8); /* hop by hop, then options for the destination */
    put(&c, "\x2c\0\0\0\0\0\0\0", 8); /* then a fragment that is the whole */
    put(&c, "\x11\0\0\0\0\0\0\1", 8);
    put_udp(&c, 40000, 53, msg, len);
    end_packet(&c);
    start_packet(&c);
    put_ipv6(&c, 44, 2, 8 + 8 + len);
    put(&c, "\x11\0\0\1\0\0\0\1", 8); /* more of it to come */
    put_udp(&c, 40000, 53, msg, len);
    end_packet(&c);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 1);
    ck_assert_uint_eq(trace_counts(r.t)->other, 1);
    end(&r);
}
END_TEST

START_TEST(packets_that_hold_no_question)
{
    static const uint8_t junk[16] = {1, 2, 3};
    uint8_t msg[128];
    size_t len = make_query(msg, "a", 1);
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    start_packet(&c); /* ARP */
    put_ethernet(&c, 0x0806);
    put(&c, junk, sizeof junk);
    end_packet(&c);
    start_packet(&c); /* another port */
    put_ethernet(&c, 0x0800);
    put_ipv4(&c, 17, 1, false, 8 + len);
    put_udp(&c, 40000, 5353, msg, len);
    end_packet(&c);
    start_packet(&c); /* not DNS, though it is the port */
    put_ethernet(&c, 0x0800);
    put_ipv4(&c, 17, 1, false, 8 + sizeof junk);
    put_udp(&c, 40000, 53, junk, sizeof junk);
    end_packet(&c);
    msg[2] = 0; /* not for a forwarder: RD=0 */
    start_packet(&c);
    put_ethernet(&c, 0x0800);
    put_ipv4(&c, 17, 1, false, 8 + len);
    put_udp(&c, 40000, 53, msg, len);
    end_packet(&c);
    start_packet(&c); /* nothing */
    end_packet(&c);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 0);
    ck_assert_uint_eq(trace_counts(r.t)->places, 5);
    ck_assert_uint_eq(trace_counts(r.t)->other, 3);
    ck_assert_uint_eq(trace_counts(r.t)->cut, 1);
    ck_assert_uint_eq(trace_counts(r.t)->local, 1);
    end(&r);
}
END_TEST

START_TEST(packets_that_were_captured_in_part)
{
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    c.snap = 60;
    add_query(&c, 1, "a-long-name-that-is-cut", 1);
    c.snap = 0;
    add_query(&c, 1, "a", 2);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 1);
    ck_assert_uint_eq(trace_counts(r.t)->cut, 1);
    ck_assert_uint_eq(trace_counts(r.t)->other, 0);
    end(&r);
}
END_TEST

/* A packet that is cut is told as such only where it may have held a question. */
START_TEST(other_traffic_that_was_captured_in_part_is_other_traffic)
{
    static const uint8_t page[200];
    struct capture c;
    struct reading r;
    start_capture(&c, 101);
    c.snap = 60;
    for (unsigned protocol = 6; protocol <= 17; protocol += 11) {
        start_packet(&c);
        put_ipv4(&c, protocol, 1, false, 20 + sizeof page);
        put_u16(&c, 40000);
        put_u16(&c, 443);
        put(&c, page, sizeof page);
        end_packet(&c);
    }
    start_packet(&c);
    put_ipv4(&c, 1, 1, false, sizeof page); /* ICMP */
    put(&c, page, sizeof page);
    end_packet(&c);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_counts(r.t)->other, 3);
    ck_assert_uint_eq(trace_counts(r.t)->cut, 0);
    end(&r);
}
END_TEST

/* Whatever ends where: nothing is read beyond it, and what is whole still counts. */
START_TEST(a_packet_cut_at_any_byte_is_left_out)
{
    uint8_t msg[128];
    size_t len = make_query(msg, "a", 1);
    static const struct {
        uint32_t link;
        size_t len;
        const char *head;
    } links[] = {{1, 14, "\2\0\0\0\0\1\2\0\0\0\0\2\x86\xdd"},
        {1, 22, "\2\0\0\0\0\1\2\0\0\0\0\2\x91\0\0\7\x81\0\0\7\x86\xdd"},
        {1, 22, "\2\0\0\0\0\1\2\0\0\0\0\2\x88\x64\x11\0\0\1\0\4\0\x57"},
        {113, 16, "\0\0\0\1\0\6\2\0\0\0\0\1\0\0\x86\xdd"},
        {276, 20, "\x86\xdd\0\0\0\0\0\2\0\1\0\6\2\0\0\0\0\1\0\0"}, {0, 4, "\x0a\0\0\0"},
        {229, 0, ""}};
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        size_t whole = links[i].len + 40 + 8 + 8 + len;
        for (size_t snap = 1; snap <= whole; snap++) {
            struct capture c;
            struct reading r;
            start_capture(&c, links[i].link);
            c.snap = (uint16_t)snap;
            start_packet(&c);
            put(&c, links[i].head, links[i].len);
            put_ipv6(&c, 43, 1, 8 + 8 + len);
            put(&c, "\x11\0\0\0\0\0\0\0", 8); /* routing */
            put_udp(&c, 40000, 53, msg, len);
            end_packet(&c);
            read_capture(&r, &c);
            ck_assert_int_eq(r.result, TRACE_OK);
            ck_assert_uint_eq(trace_n_events(r.t), snap == whole);
            ck_assert_uint_eq(trace_counts(r.t)->cut + trace_counts(r.t)->other, snap < whole);
            end(&r);
        }
    }
}
END_TEST

START_TEST(another_port_and_a_filter)
{
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    add_query(&c, 1, "a", 1);
    add_query(&c, 2, "b", 1);
    start(&r);
    r.source.filter = "src host 10.0.0.2";
    read_bytes(&r, c.bytes, c.len);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 1);
    ck_assert_str_eq(name_of(&r, 0), "b.example");
    end(&r);
    start(&r);
    r.source.port = 5353;
    read_bytes(&r, c.bytes, c.len);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 0);
    end(&r);
    start(&r);
    r.source.filter = "src hostess";
    read_bytes(&r, c.bytes, c.len);
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_int_eq(strncmp(r.said, "0: ", 3), 0);
    end(&r);
}
END_TEST

/* ---- what a question is ---------------------------------------------------------------------- */

static void add_message(struct capture *c, bool back, const uint8_t *msg, size_t len)
{
    start_packet(c);
    put_ethernet(c, 0x0800);
    put_ipv4(c, 17, 1, back, 8 + len);
    put_udp(c, back ? 53 : 40000, back ? 40000 : 53, msg, len);
    end_packet(c);
}

/* With DO set, as a validating stub asks. */
static size_t add_do(uint8_t *msg, size_t len)
{
    memcpy(msg + len, "\0\0\x29\4\xd0\0\0\x80\0\0\0", 11);
    msg[11]++;
    return len + 11;
}

START_TEST(do_and_cd_make_another_question_with_a_ttl_of_its_own)
{
    uint8_t msg[128];
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    size_t len = make_query(msg, "a", 1);
    add_message(&c, false, msg, len);
    add_message(&c, false, msg, add_do(msg, len));
    len = make_query(msg, "a", 3);
    msg[3] = 0x10; /* CD */
    add_message(&c, false, msg, len);
    len = make_reply(msg, "a", 1, 60);
    add_message(&c, true, msg, add_do(msg, len));
    len = make_reply(msg, "a", 1, 70);
    msg[3] |= 0x10;
    add_message(&c, true, msg, len);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_questions(r.t), 3);
    ck_assert_int_eq(trace_question(r.t, 0)->has_ttl, false);
    ck_assert_uint_eq(trace_question(r.t, 1)->ttl_s, 60);
    ck_assert_uint_eq(trace_question(r.t, 2)->ttl_s, 70);
    end(&r);
}
END_TEST

START_TEST(a_reply_that_says_nothing_of_freshness_changes_nothing)
{
    uint8_t msg[128];
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    add_query(&c, 1, "a", 1);
    size_t len = make_reply(msg, "a", 1, 60);
    for (size_t cut = 3; cut < len; cut++)
        add_message(&c, true, msg, cut);
    msg[5] = 2; /* two questions */
    add_message(&c, true, msg, len);
    msg[5] = 1;
    msg[3] |= 2; /* SERVFAIL */
    add_message(&c, true, msg, len);
    len = make_reply(msg, "a", 1, 60);
    msg[2] |= 2; /* truncated */
    add_message(&c, true, msg, len);
    len = make_reply(msg, "a", 1, 60);
    msg[12] = 0xc0; /* a pointer to nowhere in place of the name */
    add_message(&c, true, msg, len);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 1);
    ck_assert_uint_eq(trace_n_questions(r.t), 1);
    ck_assert_int_eq(trace_question(r.t, 0)->has_ttl, false);
    end(&r);
}
END_TEST

START_TEST(messages_that_go_the_wrong_way_are_none)
{
    uint8_t msg[128];
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    size_t len = make_query(msg, "a", 1);
    add_message(&c, true, msg, len);
    len = make_reply(msg, "a", 1, 60);
    add_message(&c, false, msg, len);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_questions(r.t), 0);
    ck_assert_uint_eq(trace_counts(r.t)->other, 2);
    end(&r);
}
END_TEST

/* ---- IP that is bent ------------------------------------------------------------------------- */

/* A question in raw IP whose bytes from `at` on are `bytes` instead. */
static void add_bent_ipv4(struct capture *c, size_t at, const char *bytes, size_t n)
{
    uint8_t msg[128];
    size_t len = make_query(msg, "a", 1);
    start_packet(c);
    put_ipv4(c, 17, 1, false, 8 + len);
    put_udp(c, 40000, 53, msg, len);
    memcpy(c->bytes + c->packet_at + at, bytes, n);
    end_packet(c);
}

static void read_bent_ipv4(size_t at, const char *bytes, size_t n, size_t events)
{
    struct capture c;
    struct reading r;
    start_capture(&c, 101);
    add_bent_ipv4(&c, at, bytes, n);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_msg(trace_n_events(r.t) == events, "%02x at %zu: %zu questions", (uint8_t)bytes[0],
        at, trace_n_events(r.t));
    end(&r);
}

START_TEST(an_ipv4_header_that_lies_about_lengths)
{
    read_bent_ipv4(0, "\x45", 1, 1);
    read_bent_ipv4(0, "\x44", 1, 0);   /* shorter than it can be */
    read_bent_ipv4(0, "\x75", 1, 0);   /* neither 4 nor 6 */
    read_bent_ipv4(2, "\0\0", 2, 1);   /* left to the network card (TSO) */
    read_bent_ipv4(2, "\xff\0", 2, 1); /* longer than was captured: the message is whole */
    read_bent_ipv4(2, "\0\x18", 2, 0); /* shorter than a header of UDP */
    read_bent_ipv4(24, "\0\0", 2, 1);  /* a datagram of any length (RFC 2675) */
    read_bent_ipv4(24, "\0\x20", 2, 0);
}
END_TEST

START_TEST(fragments_of_ipv4_are_left_out)
{
    read_bent_ipv4(6, "\x40\0", 2, 1); /* DF is none */
    read_bent_ipv4(6, "\x20\0", 2, 0);
    read_bent_ipv4(6, "\0\1", 2, 0);
}
END_TEST

/* Options before UDP, or as many as the header claims and the packet lacks. */
START_TEST(an_ipv4_header_with_options)
{
    uint8_t msg[128];
    size_t len = make_query(msg, "a", 1);
    struct capture c;
    struct reading r;
    start_capture(&c, 101);
    start_packet(&c);
    put_ipv4(&c, 17, 1, false, 4 + 8 + len);
    c.bytes[c.packet_at] = 0x46;
    put_u32(&c, 0x01010100);
    put_udp(&c, 40000, 53, msg, len);
    end_packet(&c);
    start_packet(&c);
    put_ipv4(&c, 17, 1, false, 8);
    c.bytes[c.packet_at] = 0x4f;
    put(&c, msg, 8);
    end_packet(&c);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 1);
    ck_assert_uint_eq(trace_counts(r.t)->other, 1);
    end(&r);
}
END_TEST

/* n_headers of 8 bytes before UDP. The first is of type `first`, the others of `next`. */
static size_t events_behind(unsigned first, unsigned next, unsigned n_headers)
{
    uint8_t msg[128];
    size_t len = make_query(msg, "a", 1);
    struct capture c;
    struct reading r;
    start_capture(&c, 101);
    start_packet(&c);
    put_ipv6(&c, first, 1, n_headers * 8 + 8 + len);
    for (unsigned i = 1; i <= n_headers; i++) {
        put_u8(&c, i < n_headers ? next : 17);
        put(&c, "\0\0\0\0\0\0\0", 7);
    }
    put_udp(&c, 40000, 53, msg, len);
    end_packet(&c);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    size_t n = trace_n_events(r.t);
    end(&r);
    return n;
}

START_TEST(every_extension_header_of_ipv6_is_skipped)
{
    static const unsigned headers[] = {0, 43, 44, 51, 60};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        ck_assert_msg(events_behind(headers[i], 0, 1) == 1, "header %u", headers[i]);
    ck_assert_uint_eq(events_behind(59, 59, 1), 0); /* nothing comes behind it */
}
END_TEST

START_TEST(a_chain_of_extension_headers_without_end_is_given_up)
{
    ck_assert_uint_eq(events_behind(0, 60, 7), 1);
    ck_assert_uint_eq(events_behind(0, 60, 8), 0);
    ck_assert_uint_eq(events_behind(0, 60, 200), 0);
}
END_TEST

START_TEST(an_ipv6_header_that_lies_about_lengths)
{
    uint8_t msg[128];
    size_t len = make_query(msg, "a", 1);
    struct capture c;
    struct reading r;
    start_capture(&c, 101);
    start_packet(&c); /* left to the network card, or a jumbogram (RFC 2675) */
    put_ipv6(&c, 17, 1, 0);
    put_udp(&c, 40000, 53, msg, len);
    end_packet(&c);
    start_packet(&c);
    put_ipv6(&c, 60, 2, 8 + 8 + len);
    put(&c, "\x11\xff\0\0\0\0\0\0", 8); /* options of 2,048 bytes */
    put_udp(&c, 40000, 53, msg, len);
    end_packet(&c);
    start_packet(&c);
    put_ipv6(&c, 0, 3, 4);
    put(&c, "\x11\0\0\0", 4);
    end_packet(&c);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 1);
    ck_assert_uint_eq(trace_counts(r.t)->other, 2);
    end(&r);
}
END_TEST

/* More tags than anybody has are no way to a question, and no loop. */
START_TEST(vlans_in_vlans)
{
    uint8_t msg[128];
    size_t len = make_query(msg, "a", 1);
    for (unsigned n = 0; n <= 6; n++) {
        struct capture c;
        struct reading r;
        start_capture(&c, 1);
        start_packet(&c);
        put_ethernet(&c, n > 0 ? 0x9100 : 0x0800);
        for (unsigned i = 1; i <= n; i++) {
            put_u16(&c, 7);
            put_u16(&c, i < n ? 0x9100 : 0x0800);
        }
        put_ipv4(&c, 17, 1, false, 8 + len);
        put_udp(&c, 40000, 53, msg, len);
        end_packet(&c);
        read_capture(&r, &c);
        ck_assert_int_eq(r.result, TRACE_OK);
        ck_assert_uint_eq(trace_n_events(r.t), n <= 4);
        end(&r);
    }
}
END_TEST

/* ---- TCP ------------------------------------------------------------------------------------- */

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };
static const uint8_t nothing[1];

static void add_segment(
    struct capture *c, unsigned flags, uint32_t seq, const uint8_t *data, size_t len)
{
    start_packet(c);
    put_ethernet(c, 0x0800);
    put_ipv4(c, 6, 1, false, 24 + len);
    put_u16(c, 40000);
    put_u16(c, 53);
    put_u32(c, seq);
    put_u32(c, 0);
    put_u8(c, 0x60); /* with an option */
    put_u8(c, flags);
    put_u32(c, 0);
    put_u16(c, 0);
    put_u32(c, 0x01010101);
    put(c, data, len);
    end_packet(c);
}

/* Three questions with their length bytes in one stream. */
static size_t make_stream(uint8_t *out)
{
    static const char *const names[] = {"a", "bb", "ccc"};
    size_t at = 0;
    for (unsigned i = 0; i < 3; i++) {
        size_t len = make_query(out + at + 2, names[i], i);
        wire_frame_write(out + at, len);
        at += 2 + len;
    }
    return at;
}

START_TEST(a_stream_cut_into_segments_anywhere)
{
    uint8_t stream[256];
    size_t len = make_stream(stream);
    const uint32_t seq = UINT32_MAX - 30; /* it goes around */
    for (size_t cut = 0; cut <= len; cut++) {
        struct capture c;
        struct reading r;
        start_capture(&c, 1);
        add_segment(&c, SYN, seq, nothing, 0);
        add_segment(&c, ACK, seq + 1, stream, cut);
        add_segment(&c, ACK | FIN, seq + 1 + (uint32_t)cut, stream + cut, len - cut);
        read_capture(&r, &c);
        ck_assert_int_eq(r.result, TRACE_OK);
        ck_assert_uint_eq(trace_n_events(r.t), 3);
        ck_assert_str_eq(name_of(&r, 2), "ccc.example");
        end(&r);
    }
}
END_TEST

START_TEST(segments_that_come_twice_or_overlap)
{
    uint8_t stream[256];
    size_t len = make_stream(stream);
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    add_segment(&c, SYN, 99, nothing, 0);
    add_segment(&c, ACK, 100, stream, 20);
    add_segment(&c, ACK, 100, stream, 20);
    add_segment(&c, ACK, 110, stream + 10, len - 10);
    add_segment(&c, ACK, 100, stream, 20);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 3);
    ck_assert_uint_eq(trace_counts(r.t)->torn, 0);
    end(&r);
}
END_TEST

START_TEST(a_stream_with_a_gap_is_given_up_there)
{
    uint8_t stream[256];
    size_t len = make_stream(stream);
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    add_segment(&c, SYN, 99, nothing, 0);
    add_segment(&c, ACK, 100, stream, 40);
    add_segment(&c, ACK, 150, stream + 50, len - 50);
    add_segment(&c, ACK, 140, stream + 40, len - 40);
    add_segment(&c, SYN, 999, nothing, 0); /* and a new one from the same port is whole */
    add_segment(&c, ACK, 1000, stream, len);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_counts(r.t)->torn, 1);
    ck_assert_uint_eq(trace_n_events(r.t), 4);
    end(&r);
}
END_TEST

START_TEST(a_stream_whose_start_was_missed_or_that_was_reset)
{
    uint8_t stream[256];
    size_t len = make_stream(stream);
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    add_segment(&c, ACK, 100, stream, len);
    add_segment(&c, SYN, 199, nothing, 0);
    add_segment(&c, RST, 200, nothing, 0);
    add_segment(&c, ACK, 200, stream, len);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 0);
    end(&r);
}
END_TEST

/* TCP Fast Open (RFC 7413). Where the server did not take it, the same bytes come again. */
START_TEST(a_stream_whose_first_segment_brings_data)
{
    uint8_t stream[256];
    size_t len = make_stream(stream);
    for (int again = 0; again <= 1; again++) {
        struct capture c;
        struct reading r;
        start_capture(&c, 1);
        add_segment(&c, SYN, 99, stream, 40);
        add_segment(&c, ACK, again ? 100 : 140, stream + (again ? 0 : 40), len - (again ? 0 : 40));
        read_capture(&r, &c);
        ck_assert_int_eq(r.result, TRACE_OK);
        ck_assert_uint_eq(trace_counts(r.t)->torn, 0);
        ck_assert_uint_eq(trace_n_events(r.t), 3);
        end(&r);
    }
}
END_TEST

START_TEST(a_reply_over_tcp_tells_its_ttl)
{
    uint8_t stream[256];
    struct capture c;
    struct reading r;
    size_t len = make_reply(stream + 2, "a", 1, 90);
    wire_frame_write(stream, len);
    start_capture(&c, 1);
    add_query(&c, 1, "a", 1);
    for (unsigned i = 0; i < 2; i++) {
        start_packet(&c);
        put_ethernet(&c, 0x0800);
        put_ipv4(&c, 6, 1, true, 20 + (i == 0 ? 0 : 2 + len));
        put_u16(&c, 53);
        put_u16(&c, 40000);
        put_u32(&c, 99 + i);
        put_u32(&c, 0);
        put_u8(&c, 0x50);
        put_u8(&c, i == 0 ? SYN | ACK : ACK);
        put_u32(&c, 0);
        put_u16(&c, 0);
        put(&c, stream, i == 0 ? 0 : 2 + len);
        end_packet(&c);
    }
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 1);
    ck_assert_uint_eq(trace_question(r.t, 0)->ttl_s, 90);
    end(&r);
}
END_TEST

/* A segment that the capture cut leaves a hole: what comes behind would be read from its middle. */
START_TEST(a_segment_captured_in_part_ends_its_stream)
{
    uint8_t stream[256];
    size_t len = make_stream(stream);
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    add_segment(&c, SYN, 99, nothing, 0);
    c.snap = 14 + 20 + 24 + 30;
    add_segment(&c, ACK, 100, stream, len);
    c.snap = 0;
    add_segment(&c, ACK, 100 + (uint32_t)len, stream, len);
    c.snap = 14 + 20 + 10; /* not even its header */
    add_segment(&c, ACK, 100, stream, len);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 0);
    ck_assert_uint_eq(trace_counts(r.t)->torn, 1);
    ck_assert_uint_eq(trace_counts(r.t)->cut, 2);
    end(&r);
}
END_TEST

START_TEST(a_tcp_header_that_lies_about_its_length)
{
    static const unsigned lengths[] = {0x00, 0x40, 0xf0};
    uint8_t stream[256];
    size_t len = make_stream(stream);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct capture c;
        struct reading r;
        start_capture(&c, 1);
        add_segment(&c, SYN, 99, nothing, 0);
        add_segment(&c, ACK, 100, stream, lengths[i] == 0xf0 ? 8 : len);
        c.bytes[c.packet_at + 14 + 20 + 12] = (uint8_t)lengths[i];
        read_capture(&r, &c);
        ck_assert_int_eq(r.result, TRACE_OK);
        ck_assert_uint_eq(trace_n_events(r.t), 0);
        ck_assert_uint_eq(trace_counts(r.t)->other, 1);
        end(&r);
    }
}
END_TEST

/* Writes the last packet for n clients, each with an address of its own. */
static void write_for_clients(FILE *f, struct capture *c, uint32_t first, uint32_t n)
{
    size_t head_at = c->packet_at - 16, len = c->len - head_at;
    bool failed = false;
    for (uint32_t i = first; i < first + n; i++) {
        set_u32(c->bytes + c->packet_at + 14 + 12, 0x0b000000 + i);
        failed |= fwrite(c->bytes + head_at, 1, len, f) != len;
    }
    ck_assert_int_eq(failed, false);
}

static void count_calls(void *ctx, size_t n_events)
{
    struct reading *r = ctx;
    r->said[0]++;
    ck_assert_uint_eq(n_events, 0);
}

/* A capture may hold more connections at a time than memory would: the oldest is given up. */
START_TEST(more_streams_than_are_kept)
{
    enum { KEPT = 65536 };
    uint8_t stream[256];
    size_t len = make_stream(stream);
    struct capture c;
    struct reading r;
    FILE *f = tmpfile();
    ck_assert_ptr_nonnull(f);
    start(&r);
    r.source.progress = count_calls;
    start_capture(&c, 1);
    ck_assert_uint_eq(fwrite(c.bytes, 1, c.len, f), c.len);
    add_segment(&c, SYN, 99, nothing, 0);
    write_for_clients(f, &c, 0, KEPT + 1);
    add_segment(&c, ACK, 100, stream, len);
    write_for_clients(f, &c, 0, 1);
    write_for_clients(f, &c, KEPT, 1);
    rewind(f);
    ck_assert_int_eq(trace_read(r.t, &f, &r.source), TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 3);
    ck_assert_uint_eq(trace_n_clients(r.t), 1);
    ck_assert_uint_eq(trace_client(r.t, 0)[13], 1); /* the last one, not the first */
    ck_assert_int_eq(r.said[0], 1);                 /* once in 65,536 packets */
    end(&r);
}
END_TEST

START_TEST(a_stream_of_empty_and_of_huge_messages)
{
    static const uint8_t zeros[1024], huge[1024] = {0xff, 0xff};
    struct capture c;
    struct reading r;
    start_capture(&c, 1);
    add_segment(&c, SYN, 0, nothing, 0);
    add_segment(&c, ACK, 1, zeros, sizeof zeros);
    for (uint32_t i = 0; i < 12; i++)
        add_segment(&c, ACK, 1025 + i * 1024, huge, sizeof huge);
    read_capture(&r, &c);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 0);
    end(&r);
}
END_TEST

/* ---- memory that runs out -------------------------------------------------------------------- */

/* The nth allocation fails, for every n: it is told as such, and never as a trace of less. */
static unsigned run_out(const struct capture *c)
{
    unsigned n = 0, taken;
    do {
        struct reading r;
        FILE *f = tmpfile();
        ck_assert_ptr_nonnull(f);
        ck_assert_uint_eq(fwrite(c->bytes, 1, c->len, f), c->len);
        rewind(f);
        start(&r);
        scarce_begin(++n, 1);
        r.result = trace_read(r.t, &f, &r.source);
        taken = scarce_end();
        ck_assert_ptr_null(f);
        ck_assert_int_eq(r.result, taken < n ? TRACE_OK : TRACE_MEMORY);
        ck_assert_str_eq(r.said, "");
        end(&r);
    } while (taken >= n);
    return n;
}

START_TEST(memory_that_runs_out_while_tables_grow_is_told)
{
    enum { CLIENTS = 250 }; /* the tables double */
    struct capture c;
    start_capture(&c, 1);
    for (unsigned i = 1; i <= CLIENTS; i++) {
        start_packet(&c);
        put_ethernet(&c, 0x0800);
        put_ipv4(&c, 6, i, false, 20);
        put(&c, "\x9c\x40\0\x35\0\0\0\0\0\0\0\0\x50\2\0\0\0\0\0\0", 20); /* SYN */
        end_packet(&c);
    }
    ck_assert_uint_gt(run_out(&c), CLIENTS);
    start_capture(&c, 1);
    for (unsigned i = 1; i <= CLIENTS; i++)
        add_query(&c, i, "a", 1);
    ck_assert_uint_gt(run_out(&c), CLIENTS);
}
END_TEST

START_TEST(memory_that_runs_out_anywhere_is_told)
{
    uint8_t stream[256];
    size_t len = make_stream(stream);
    struct capture c;
    start_capture(&c, 1);
    add_query(&c, 1, "a", 1);
    add_reply(&c, 1, "b", 60);
    add_segment(&c, SYN, 99, nothing, 0);
    add_segment(&c, ACK, 100, stream, len);
    ck_assert_uint_gt(run_out(&c), 10);
}
END_TEST

/* ---- captures torn, bent, or of the next generation ------------------------------------------ */

START_TEST(a_capture_torn_anywhere_is_told_with_its_packet)
{
    struct capture c;
    start_capture(&c, 1);
    add_query(&c, 1, "a", 1);
    size_t one = c.len;
    add_query(&c, 1, "b", 2);
    for (size_t len = 4; len < c.len; len++) {
        struct reading r;
        start(&r);
        read_bytes(&r, c.bytes, len);
        bool whole = len == 24 || len == one;
        ck_assert_msg(r.result == (whole ? TRACE_OK : TRACE_BAD), "%zu bytes", len);
        const char *place = len < 24 ? "0: " : len < one ? "1: " : "2: ";
        ck_assert_msg(whole || strncmp(r.said, place, 3) == 0, "%zu bytes: %s", len, r.said);
        end(&r);
    }
}
END_TEST

START_TEST(a_capture_with_any_byte_changed_breaks_nothing)
{
    uint8_t stream[256];
    size_t len = make_stream(stream);
    struct capture c;
    start_capture(&c, 1);
    add_query(&c, 1, "a", 1);
    add_reply(&c, 1, "a", 60);
    add_segment(&c, SYN, 99, nothing, 0);
    add_segment(&c, ACK, 100, stream, len);
    for (size_t i = 0; i < c.len; i++) {
        static const uint8_t changes[] = {0x01, 0x80, 0xff};
        for (size_t j = 0; j < sizeof changes; j++) {
            struct reading r;
            c.bytes[i] ^= changes[j];
            start(&r);
            r.source.form = TRACE_PCAP;
            read_bytes(&r, c.bytes, c.len);
            c.bytes[i] ^= changes[j];
            end(&r);
        }
    }
}
END_TEST

static void put_block(struct capture *c, uint32_t type, const uint8_t *body, size_t len)
{
    put_u32(c, type);
    put_u32(c, (uint32_t)(12 + len));
    put(c, body, len);
    put_u32(c, (uint32_t)(12 + len));
}

START_TEST(a_capture_of_the_next_generation)
{
    struct capture c = {.len = 0}, body = {.len = 0}, packet = {.len = 0};
    struct reading r;
    uint8_t msg[128];
    size_t len = make_query(msg, "a", 1);
    put_ipv4(&packet, 17, 1, false, 8 + len);
    put_udp(&packet, 40000, 53, msg, len);
    put_u32(&body, 0x1a2b3c4d);
    put_u32(&body, 0x00010000);
    put_u32(&body, UINT32_MAX);
    put_u32(&body, UINT32_MAX);
    put_block(&c, 0x0a0d0d0a, body.bytes, body.len);
    put_block(&c, 1, (const uint8_t *)"\0\x65\0\0\0\0\0\0", 8); /* raw IP */
    uint64_t us = UINT64_C(1700000000123456);
    body.len = 0;
    put_u32(&body, 0);
    put_u32(&body, (uint32_t)(us >> 32));
    put_u32(&body, (uint32_t)us);
    put_u32(&body, (uint32_t)packet.len);
    put_u32(&body, (uint32_t)packet.len);
    put(&body, packet.bytes, packet.len);
    while (body.len % 4 != 0)
        put_u8(&body, 0);
    put_block(&c, 6, body.bytes, body.len);
    read_capture(&r, &c);
    ck_assert_str_eq(r.said, "");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 1);
    ck_assert_uint_eq(event(&r, 0)->at_ms, 1700000000123);
    ck_assert_str_eq(name_of(&r, 0), "a.example");
    end(&r);
}
END_TEST

/* Blocks of an Enhanced Packet whose time is in seconds (if_tsresol 0). */
static void read_at_second(struct reading *r, uint64_t second)
{
    struct capture c = {.len = 0}, body = {.len = 0};
    put_u32(&body, 0x1a2b3c4d);
    put_u32(&body, 0x00010000);
    put_u32(&body, UINT32_MAX);
    put_u32(&body, UINT32_MAX);
    put_block(&c, 0x0a0d0d0a, body.bytes, body.len);
    put_block(&c, 1, (const uint8_t *)"\0\x65\0\0\0\0\0\0\0\x09\0\1\0\0\0\0\0\0\0\0", 20);
    body.len = 0;
    put_u32(&body, 0);
    put_u32(&body, (uint32_t)(second >> 32));
    put_u32(&body, (uint32_t)second);
    put_u32(&body, 0);
    put_u32(&body, 0);
    put_block(&c, 6, body.bytes, body.len);
    read_capture(r, &c);
}

START_TEST(a_packet_of_a_time_that_no_clock_shows)
{
    static const uint64_t seconds[] = {UINT64_C(253402300800), UINT64_C(1) << 63, UINT64_MAX};
    struct reading r;
    read_at_second(&r, UINT64_C(253402300799));
    ck_assert_int_eq(r.result, TRACE_OK);
    end(&r);
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        read_at_second(&r, seconds[i]);
        ck_assert_int_eq(r.result, TRACE_BAD);
        ck_assert_str_eq(r.said, "1: its time is out of range\n");
        end(&r);
    }
}
END_TEST

/* The same seeds each time: which allocation doubles a table is no matter of chance here. */
static void fill(void *out, size_t len)
{
    memset(out, 7, len);
}

static uint32_t seven(void)
{
    return 7;
}

static const char *name_of_seven(void)
{
    return "seven";
}

static TCase *capture_case(void)
{
    TCase *tc = tcase_create("captures");
    tcase_add_test(tc, a_capture_of_datagrams);
    tcase_add_test(tc, a_retransmission_is_no_event_and_a_new_question_is);
    tcase_add_test(tc, ttls_are_the_longest_of_the_replies);
    tcase_add_test(tc, every_link_layer_that_is_known);
    tcase_add_test(tc, a_link_layer_that_is_not_known);
    tcase_add_test(tc, ipv6_with_extension_headers);
    tcase_add_test(tc, packets_that_hold_no_question);
    tcase_add_test(tc, packets_that_were_captured_in_part);
    tcase_add_test(tc, other_traffic_that_was_captured_in_part_is_other_traffic);
    tcase_add_test(tc, a_packet_cut_at_any_byte_is_left_out);
    tcase_add_test(tc, another_port_and_a_filter);
    tcase_add_test(tc, do_and_cd_make_another_question_with_a_ttl_of_its_own);
    tcase_add_test(tc, a_reply_that_says_nothing_of_freshness_changes_nothing);
    tcase_add_test(tc, messages_that_go_the_wrong_way_are_none);
    tcase_add_test(tc, an_ipv4_header_that_lies_about_lengths);
    tcase_add_test(tc, fragments_of_ipv4_are_left_out);
    tcase_add_test(tc, an_ipv4_header_with_options);
    tcase_add_test(tc, every_extension_header_of_ipv6_is_skipped);
    tcase_add_test(tc, a_chain_of_extension_headers_without_end_is_given_up);
    tcase_add_test(tc, an_ipv6_header_that_lies_about_lengths);
    tcase_add_test(tc, vlans_in_vlans);
    tcase_add_test(tc, a_stream_cut_into_segments_anywhere);
    tcase_add_test(tc, segments_that_come_twice_or_overlap);
    tcase_add_test(tc, a_stream_with_a_gap_is_given_up_there);
    tcase_add_test(tc, a_stream_whose_start_was_missed_or_that_was_reset);
    tcase_add_test(tc, a_stream_whose_first_segment_brings_data);
    tcase_add_test(tc, a_reply_over_tcp_tells_its_ttl);
    tcase_add_test(tc, a_segment_captured_in_part_ends_its_stream);
    tcase_add_test(tc, a_tcp_header_that_lies_about_its_length);
    tcase_add_test(tc, more_streams_than_are_kept);
    tcase_add_test(tc, a_stream_of_empty_and_of_huge_messages);
    tcase_add_test(tc, memory_that_runs_out_anywhere_is_told);
    tcase_add_test(tc, memory_that_runs_out_while_tables_grow_is_told);
    tcase_add_test(tc, a_capture_torn_anywhere_is_told_with_its_packet);
    tcase_add_test(tc, a_capture_with_any_byte_changed_breaks_nothing);
    tcase_add_test(tc, a_capture_of_the_next_generation);
    tcase_add_test(tc, a_packet_of_a_time_that_no_clock_shows);
    return tc;
}

int main(void)
{
    Suite *s = suite_create("capture");
    SRunner *runner;
    randombytes_implementation seeds = {
        .implementation_name = name_of_seven, .random = seven, .buf = fill};
    int failed;

    randombytes_set_implementation(&seeds);
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    suite_add_tcase(s, capture_case());
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
