/* tests/unit/trace.c: traces in every form, and files that are torn, bent, or something else. The
 * captures are made here, packet by packet. Knows trace.h only. */
#include "tools/trace.h"

#include "addr.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- reading --------------------------------------------------------------------------------- */

struct reading {
    struct trace *t;
    struct trace_source source;
    enum trace_result result;
    char said[2048]; /* mistakes: PLACE: WHY, one a line */
};

static void say(void *ctx, size_t place, const char *why)
{
    struct reading *r = ctx;
    size_t len = strlen(r->said);
    snprintf(r->said + len, sizeof r->said - len, "%zu: %s\n", place, why);
}

static void start(struct reading *r)
{
    memset(r, 0, sizeof *r);
    r->source = (struct trace_source){.port = 53, .ctx = r, .report = say};
    r->t = trace_create();
    ck_assert_ptr_nonnull(r->t);
}

static void read_bytes(struct reading *r, const void *bytes, size_t len)
{
    FILE *f = tmpfile();
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
    rewind(f);
    r->result = trace_read(r->t, &f, &r->source);
    if (f != NULL)
        fclose(f);
}

static void read_text(struct reading *r, const char *text)
{
    start(r);
    read_bytes(r, text, strlen(text));
}

static const struct trace_event *event(const struct reading *r, size_t i)
{
    ck_assert_uint_lt(i, trace_n_events(r->t));
    return &trace_events(r->t)[i];
}

static const char *name_of(const struct reading *r, size_t i)
{
    static char text[WIRE_NAME_TEXT_MAX];
    const struct trace_question *q = trace_question(r->t, event(r, i)->question);
    struct wire_question w;
    unsigned flags;
    ck_assert_int_eq(wire_key_read(q->key, q->key_len, &w, &flags), 0);
    wire_name_text(w.name, w.name_len, text);
    return text;
}

static void end(struct reading *r)
{
    trace_free(r->t);
}

/* ---- text ------------------------------------------------------------------------------------ */

START_TEST(a_text_trace)
{
    struct reading r;
    read_text(&r, "# two clients\r\n\n10\tU1\ta.example\tA\r\n10\tU2\tA.EXAMPLE\tA\n"
                  "25\tU1\ta.example\tAAAA");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_str_eq(r.said, "");
    ck_assert_uint_eq(trace_n_events(r.t), 3);
    ck_assert_uint_eq(trace_n_clients(r.t), 2);
    ck_assert_uint_eq(trace_n_questions(r.t), 2);
    ck_assert_uint_eq(event(&r, 0)->question, event(&r, 1)->question);
    ck_assert_uint_ne(event(&r, 0)->client, event(&r, 1)->client);
    ck_assert_uint_eq(event(&r, 0)->client, event(&r, 2)->client);
    ck_assert_uint_eq(event(&r, 2)->at_ms, 25);
    ck_assert_int_eq(trace_counts(r.t)->form, TRACE_TEXT);
    ck_assert_uint_eq(trace_counts(r.t)->places, 5);
    ck_assert_uint_eq(trace_counts(r.t)->other, 2);
    end(&r);
}
END_TEST

START_TEST(questions_that_dnsd_answers_itself_are_no_events)
{
    struct reading r;
    read_text(&r, "1 U1 printer A\n2 U1 a.local A\n3 U1 1.0.168.192.in-addr.arpa PTR\n"
                  "4 U1 a.example ANY\n5 U1 a.example AXFR\n6 U1 a.example A\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 1);
    ck_assert_uint_eq(trace_counts(r.t)->local, 5);
    end(&r);
}
END_TEST

START_TEST(every_bad_line_of_a_text_is_told_up_to_ten)
{
    struct reading r;
    char text[1024] = "1 U1 a.example A\n";
    read_text(&r, "x\n1 U1 a.example A\n2 U1 b.example\n3 U1 c.example A\n");
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_str_eq(r.said, "1: expected four fields: milliseconds, client, name, type\n"
                             "3: expected four fields: milliseconds, client, name, type\n");
    end(&r);
    for (int i = 0; i < 30; i++)
        strcat(text, "2 U1 a..b A\n");
    read_text(&r, text);
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_ptr_nonnull(strstr(r.said, "10: \"a..b\" is not a name\n11: and more mistakes"));
    ck_assert_ptr_null(strstr(r.said, "12:"));
    end(&r);
}
END_TEST

START_TEST(a_text_whose_time_goes_back)
{
    struct reading r;
    read_text(&r, "10 U1 a.example A\n9 U1 b.example A\n");
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_str_eq(
        r.said, "2: the time goes back: lines have to be in the order of their times\n");
    end(&r);
}
END_TEST

START_TEST(an_empty_file)
{
    struct reading r;
    read_text(&r, "");
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_str_eq(r.said, "0: is empty\n");
    end(&r);
    read_text(&r, "\n\r\n");
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_str_eq(r.said, "0: is empty\n");
    end(&r);
}
END_TEST

START_TEST(a_file_that_is_no_trace)
{
    static const uint8_t bytes[] = {0x7f, 'E', 'L', 'F', 0, 0, '\n', 0, 0xff};
    struct reading r;
    read_text(&r, "\nDear diary,\ntoday nothing happened.\n");
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_int_eq(strncmp(r.said, "2: this is no trace: expected ", 30), 0);
    end(&r);
    start(&r);
    read_bytes(&r, bytes, sizeof bytes);
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_int_eq(strncmp(r.said, "1: this is no trace: expected ", 30), 0);
    end(&r);
}
END_TEST

START_TEST(a_form_that_was_asked_for_is_not_guessed)
{
    struct reading r;
    start(&r);
    r.source.form = TRACE_UNBOUND;
    read_bytes(&r, "1 U1 a.example A\n", 17);
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 0);
    ck_assert_uint_eq(trace_counts(r.t)->other, 1);
    end(&r);
    start(&r);
    r.source.form = TRACE_PCAP;
    read_bytes(&r, "1 U1 a.example A\n", 17);
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_str_ne(r.said, "");
    end(&r);
}
END_TEST

START_TEST(a_trace_that_comes_through_a_pipe)
{
    static const char text[] = "10 U1 a.example A\n";
    struct reading r;
    int ends[2];
    FILE *f;
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(ends[1]);
    f = fdopen(ends[0], "r");
    ck_assert_ptr_nonnull(f);
    start(&r);
    ck_assert_int_eq(trace_read(r.t, &f, &r.source), TRACE_OK);
    ck_assert_uint_eq(trace_n_events(r.t), 1);
    fclose(f);
    end(&r);
}
END_TEST

START_TEST(a_directory_is_no_trace)
{
    struct reading r;
    FILE *f = fopen("/", "r");
    if (f == NULL)
        return;
    start(&r);
    ck_assert_int_eq(trace_read(r.t, &f, &r.source), TRACE_UNREADABLE);
    fclose(f);
    end(&r);
}
END_TEST

/* ---- logs ------------------------------------------------------------------------------------ */

START_TEST(a_log_among_other_lines_whose_seconds_are_spread)
{
    struct reading r;
    read_text(&r, "Nov 21 00:00:00 host kernel: something else\n"
                  "Nov 21 00:00:01 host dnsmasq[1]: query[A] a.example from 10.0.0.1\n"
                  "Nov 21 00:00:01 host dnsmasq[1]: forwarded a.example to 9.9.9.9\n"
                  "Nov 21 00:00:01 host dnsmasq[1]: query[A] b.example from 10.0.0.1\n"
                  "Nov 21 00:00:01 host dnsmasq[1]: query[A] c.example from 10.0.0.1\n"
                  "Nov 21 00:00:01 host dnsmasq[1]: query[A] d.example from 10.0.0.1\n"
                  "Nov 21 00:00:02 host dnsmasq[1]: query[A] e.example from 10.0.0.1\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_int_eq(trace_counts(r.t)->form, TRACE_DNSMASQ);
    ck_assert_uint_eq(trace_counts(r.t)->other, 2);
    ck_assert_int_eq(trace_counts(r.t)->whole_seconds, true);
    for (size_t i = 0; i < 5; i++)
        ck_assert_uint_eq(event(&r, i)->at_ms - event(&r, 0)->at_ms, i * 250);
    end(&r);
}
END_TEST

START_TEST(a_log_with_parts_of_seconds_is_taken_at_its_word)
{
    struct reading r;
    read_text(&r, "[1700000000.000] unbound[1:0] info: 10.0.0.1 a.example. A IN\n"
                  "[1700000000.000] unbound[1:0] info: 10.0.0.1 b.example. A IN\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_int_eq(trace_counts(r.t)->form, TRACE_UNBOUND);
    ck_assert_int_eq(trace_counts(r.t)->whole_seconds, false);
    ck_assert_uint_eq(event(&r, 1)->at_ms, event(&r, 0)->at_ms);
    end(&r);
}
END_TEST

START_TEST(a_log_across_new_year)
{
    struct reading r;
    read_text(&r, "Dec 31 23:59:59 dnsmasq[1]: query[A] a.example from 10.0.0.1\n"
                  "Jan  1 00:00:01 dnsmasq[1]: query[A] b.example from 10.0.0.1\n"
                  "Dec 31 23:59:59 dnsmasq[1]: query[A] c.example from 10.0.0.1\n"
                  "Jan  1 00:00:01 dnsmasq[1]: query[A] d.example from 10.0.0.1\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_counts(r.t)->back, 0);
    ck_assert_uint_eq(event(&r, 1)->at_ms - event(&r, 0)->at_ms, 2000);
    ck_assert_uint_eq(event(&r, 3)->at_ms - event(&r, 2)->at_ms, 2000);
    end(&r);
}
END_TEST

START_TEST(a_log_whose_clock_was_set_back_goes_on_from_there)
{
    struct reading r;
    read_text(&r, "Oct 25 02:59:59 dnsmasq[1]: query[A] a.example from 10.0.0.1\n"
                  "Oct 25 02:00:00 dnsmasq[1]: query[A] b.example from 10.0.0.1\n"
                  "Oct 25 02:00:07 dnsmasq[1]: query[A] c.example from 10.0.0.1\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_counts(r.t)->back, 1);
    ck_assert_uint_eq(trace_counts(r.t)->first_back, 2);
    ck_assert_uint_eq(trace_counts(r.t)->back_ms, 3599000);
    ck_assert_uint_eq(event(&r, 2)->at_ms - event(&r, 1)->at_ms, 6500); /* spread */
    end(&r);
}
END_TEST

START_TEST(packets_that_overtook_each_other_stand_still)
{
    struct reading r;
    read_text(&r, "[1700000000.5] unbound[1:0] info: 10.0.0.1 a.example. A IN\n"
                  "[1700000000.4] unbound[1:0] info: 10.0.0.1 b.example. A IN\n"
                  "[1700000000.6] unbound[1:0] info: 10.0.0.1 c.example. A IN\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_counts(r.t)->back, 1);
    ck_assert_uint_eq(event(&r, 1)->at_ms, event(&r, 0)->at_ms);
    ck_assert_uint_eq(event(&r, 2)->at_ms - event(&r, 0)->at_ms, 100);
    end(&r);
}
END_TEST

/* Asked: a at .000, b at .010, c at .010, d at .100. A clock that was set back is seen in the times
 * at which lines were written, which a slow question does not turn around. */
START_TEST(a_log_of_dnsd_comes_into_the_order_of_asking)
{
    static const char *const names[] = {"a.example", "b.example", "c.example", "d.example"};
    static const uint64_t at_ms[] = {0, 10, 10, 100};
    struct reading r;
    read_text(&r, "2026-03-01T12:00:00.000Z 10.0.0.1 udp x A special NXDOMAIN 80 0\n"
                  "2026-03-01T12:00:00.010Z 10.0.0.1 udp b.example A cache NOERROR 56 0\n"
                  "2026-03-01T12:00:00.030Z 10.0.0.1 udp c.example A upstream NOERROR 56 20\n"
                  "2026-03-01T12:00:00.100Z 10.0.0.1 tcp d.example A cache NOERROR 56 0\n"
                  "2026-03-01T12:00:04.500Z 10.0.0.1 udp a.example A failed SERVFAIL 56 4500\n"
                  "2026-03-01T12:00:04.600Z 10.0.0.1 udp - - dropped - 0 0\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_int_eq(trace_counts(r.t)->form, TRACE_DNSD);
    ck_assert_uint_eq(trace_counts(r.t)->local, 2);
    ck_assert_uint_eq(trace_counts(r.t)->back, 0);
    ck_assert_int_eq(trace_counts(r.t)->whole_seconds, false);
    ck_assert_uint_eq(trace_n_events(r.t), 4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_str_eq(name_of(&r, i), names[i]);
        ck_assert_uint_eq(event(&r, i)->at_ms - event(&r, 0)->at_ms, at_ms[i]);
    }
    end(&r);
}
END_TEST

START_TEST(a_log_of_dnsd_whose_clock_was_set_back)
{
    struct reading r;
    read_text(&r, "2026-03-01T12:00:00.000Z 10.0.0.1 udp a.example A cache NOERROR 56 0\n"
                  "2026-03-01T11:00:00.000Z 10.0.0.1 udp b.example A upstream NOERROR 56 5\n"
                  "2026-03-01T11:00:01.000Z 10.0.0.1 udp c.example A cache NOERROR 56 0\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(trace_counts(r.t)->back, 1);
    ck_assert_uint_eq(trace_counts(r.t)->back_ms, 3600000);
    ck_assert_str_eq(name_of(&r, 0), "b.example");
    ck_assert_uint_eq(event(&r, 2)->at_ms - event(&r, 1)->at_ms, 1000);
    end(&r);
}
END_TEST

START_TEST(a_time_that_is_shorter_than_what_a_question_took)
{
    struct reading r;
    read_text(&r, "1970-01-01T00:00:00.005Z 10.0.0.1 udp a.example A upstream NOERROR 56 6\n");
    ck_assert_int_eq(r.result, TRACE_OK);
    ck_assert_uint_eq(event(&r, 0)->at_ms, 0);
    end(&r);
}
END_TEST

START_TEST(a_bad_question_in_a_log_is_told_with_its_line)
{
    struct reading r;
    read_text(&r, "Nov 21 00:00:00 host kernel: something else\n"
                  "Nov 21 00:00:01 dnsmasq[1]: query[A] a.example from nowhere\n");
    ck_assert_int_eq(r.result, TRACE_BAD);
    ck_assert_str_eq(r.said, "2: \"nowhere\" is not an address\n");
    end(&r);
}
END_TEST

/* ---- making captures ------------------------------------------------------------------------- */

struct capture {
    uint8_t bytes[16384];
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
    ck_assert_uint_ge(trace_counts(r.t)->cut, 1);
    end(&r);
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

/* ---- the store ------------------------------------------------------------------------------- */

START_TEST(many_clients_and_questions_are_each_known_once)
{
    struct trace *t = trace_create();
    uint8_t name[] = "\4aaaa\7example", key[WIRE_KEY_MAX];
    struct trace_arrival a = {.has_year = true,
        .question = {
            .name = name, .name_len = sizeof name, .type = WIRE_TYPE_A, .class = WIRE_CLASS_IN}};
    ck_assert_ptr_nonnull(t);
    for (unsigned i = 0; i < 40000; i++) {
        a.at_ms = i;
        a.client[0] = (uint8_t)i;
        a.client[1] = (uint8_t)(i / 256 % 16);
        name[1] = (uint8_t)('a' + i % 20);
        name[2] = (uint8_t)('a' + i / 20 % 20);
        name[3] = (uint8_t)('a' + i / 400 % 20);
        ck_assert_int_eq(trace_add(t, &a), 0);
    }
    ck_assert_uint_eq(trace_n_events(t), 40000);
    ck_assert_uint_eq(trace_n_clients(t), 4096);
    ck_assert_uint_eq(trace_n_questions(t), 8000);
    for (uint32_t i = 0; i < 8000; i++)
        ck_assert_uint_eq(
            trace_find(t, trace_question(t, i)->key, trace_question(t, i)->key_len), i);
    name[4] = 'z';
    size_t len = wire_key_write(&a.question, 0, key);
    ck_assert_uint_eq(trace_find(t, key, len), TRACE_NONE);
    trace_free(t);
}
END_TEST

static TCase *text_case(void)
{
    TCase *tc = tcase_create("text");
    tcase_add_test(tc, a_text_trace);
    tcase_add_test(tc, questions_that_dnsd_answers_itself_are_no_events);
    tcase_add_test(tc, every_bad_line_of_a_text_is_told_up_to_ten);
    tcase_add_test(tc, a_text_whose_time_goes_back);
    tcase_add_test(tc, an_empty_file);
    tcase_add_test(tc, a_file_that_is_no_trace);
    tcase_add_test(tc, a_form_that_was_asked_for_is_not_guessed);
    tcase_add_test(tc, a_trace_that_comes_through_a_pipe);
    tcase_add_test(tc, a_directory_is_no_trace);
    tcase_add_test(tc, a_log_among_other_lines_whose_seconds_are_spread);
    tcase_add_test(tc, a_log_with_parts_of_seconds_is_taken_at_its_word);
    tcase_add_test(tc, a_log_across_new_year);
    tcase_add_test(tc, a_log_whose_clock_was_set_back_goes_on_from_there);
    tcase_add_test(tc, packets_that_overtook_each_other_stand_still);
    tcase_add_test(tc, a_log_of_dnsd_comes_into_the_order_of_asking);
    tcase_add_test(tc, a_log_of_dnsd_whose_clock_was_set_back);
    tcase_add_test(tc, a_time_that_is_shorter_than_what_a_question_took);
    tcase_add_test(tc, a_bad_question_in_a_log_is_told_with_its_line);
    tcase_add_test(tc, many_clients_and_questions_are_each_known_once);
    return tc;
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
    tcase_add_test(tc, another_port_and_a_filter);
    tcase_add_test(tc, a_stream_cut_into_segments_anywhere);
    tcase_add_test(tc, segments_that_come_twice_or_overlap);
    tcase_add_test(tc, a_stream_with_a_gap_is_given_up_there);
    tcase_add_test(tc, a_stream_whose_start_was_missed_or_that_was_reset);
    tcase_add_test(tc, a_stream_of_empty_and_of_huge_messages);
    tcase_add_test(tc, a_capture_torn_anywhere_is_told_with_its_packet);
    tcase_add_test(tc, a_capture_with_any_byte_changed_breaks_nothing);
    tcase_add_test(tc, a_capture_of_the_next_generation);
    return tc;
}

int main(void)
{
    Suite *s = suite_create("trace");
    SRunner *runner;
    int failed;

    if (sodium_init() < 0)
        return EXIT_FAILURE;
    suite_add_tcase(s, text_case());
    suite_add_tcase(s, capture_case());
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
