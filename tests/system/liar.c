/* liar.c: knows how each fault looks on the wire and when it is sent.
 * Never knows dnsd, or what comes of it. */
#include "tests/system/liar.h"

#include "tests/system/forgery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TTL_S 300

static bool follows_right(const struct asked *q)
{
    return strstr(q->name, "." LIAR_THEN_RIGHT ".") != NULL;
}

const char *liar_right(const char *name, char out[16])
{
    unsigned n = 0;
    sscanf(name, "reordered-%u", &n);
    snprintf(out, 16, "192.0.2.%u", n == 0 ? 1 : 100 + n % 100);
    return out;
}

static void right(const struct asked *q, unsigned delay_ms)
{
    char address[16];
    reply_a(q, delay_ms, TTL_S, liar_right(q->name, address));
}

void honest_play(const struct asked *q, void *ctx)
{
    (void)ctx;
    right(q, HONEST_MS);
}

static void start(struct draft *d, const struct asked *q, unsigned rcode, uint8_t *msg)
{
    draft_start(d, q->msg, q->len, rcode, msg);
}

static void send_draft(const struct asked *q, unsigned delay_ms, const struct draft *d)
{
    reply_send(q, delay_ms, d->msg, d->len);
}

/* ---- forgeries that are more than bytes ------------------------------------------------------ */

/* What is wrong with them is found in datagrams only. */
static bool is_over(const struct asked *q)
{
    if (follows_right(q))
        right(q, LIAR_RIGHT_MS);
    return q->tcp;
}

static void forge(const struct asked *q, struct draft *d, uint8_t *msg)
{
    start(d, q, NOERROR, msg);
    draft_add_a(d, forgery_forged);
}

static void wrong_port(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX];
    struct draft d;
    (void)ctx;
    if (is_over(q))
        return;
    forge(q, &d, msg);
    reply_send_from_elsewhere(q, d.msg, d.len);
}

static void wrong_address(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX];
    struct draft d;
    (void)ctx;
    if (is_over(q))
        return;
    forge(q, &d, msg);
    reply_send_from_stranger(q, d.msg, d.len);
}

static void three_wrong_ids(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX];
    struct draft d;
    (void)ctx;
    if (is_over(q))
        return;
    for (unsigned i = 1; i <= 3; i++) {
        forge(q, &d, msg);
        msg[1] = (uint8_t)(msg[1] + i);
        send_draft(q, 0, &d);
    }
}

/* Sound, but larger than dnsd offered to take. */
static void send_large(const struct asked *q, size_t len)
{
    static const uint8_t filling[1024];
    uint8_t msg[65535 + 2048];
    struct draft d;
    if (is_over(q))
        return;
    forge(q, &d, msg);
    while (len - d.len >= 12) {
        size_t room = len - d.len - 12;
        draft_add(&d, ADDITIONAL, NULL, 65280, TTL_S, filling,
            room > sizeof filling + 12 ? sizeof filling
            : room > 1000              ? room / 2
                                       : room);
    }
    send_draft(q, 0, &d);
}

static void one_byte_too_large(const struct asked *q, void *ctx)
{
    (void)ctx;
    send_large(q, 1233);
}

static void as_large_as_udp_takes(const struct asked *q, void *ctx)
{
    (void)ctx;
    send_large(q, 65507);
}

static void play_forgery(const struct asked *q, const char *label)
{
    uint8_t msg[FORGERY_MAX];
    enum forgery_fate fate;
    int len = forgery_make(label, q->msg, q->len, msg, &fate);
    /* Who reads a stream is who was asked: neither case nor cookie is looked at there. */
    bool shows_over_tcp = fate != FORGERY_CASE && strncmp(label, "cookie-of-another", 17) != 0;
    bool sends = !q->tcp || (!follows_right(q) && shows_over_tcp);
    if (len >= 0 && sends)
        reply_send(q, 0, msg, (size_t)len);
    if (len < 0 || follows_right(q))
        right(q, LIAR_RIGHT_MS);
}

/* ---- content --------------------------------------------------------------------------------- */

static void smuggle(struct draft *d, enum section section)
{
    char victim[256], zone[256];
    draft_name(FORGERY_VICTIM, victim);
    draft_name("example", zone);
    draft_add(d, section, victim, TYPE_A, TTL_S, forgery_forged, 4);
    draft_add(d, section, zone, 2, TTL_S, victim, strlen(FORGERY_VICTIM) + 2); /* NS */
}

static void others_in_answer(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX];
    struct draft d;
    (void)ctx;
    start(&d, q, NOERROR, msg);
    smuggle(&d, ANSWER);
    draft_add_a(&d, forgery_right);
    smuggle(&d, ANSWER);
    send_draft(q, 0, &d);
}

static void others_behind(const struct asked *q, enum section section)
{
    uint8_t msg[MESSAGE_MAX];
    struct draft d;
    start(&d, q, NOERROR, msg);
    draft_add_a(&d, forgery_right);
    smuggle(&d, section);
    send_draft(q, 0, &d);
}

static void others_in_authority(const struct asked *q, void *ctx)
{
    (void)ctx;
    others_behind(q, AUTHORITY);
}

static void others_in_additional(const struct asked *q, void *ctx)
{
    (void)ctx;
    others_behind(q, ADDITIONAL);
}

static void only_others(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX];
    struct draft d;
    (void)ctx;
    start(&d, q, NOERROR, msg);
    smuggle(&d, ANSWER);
    send_draft(q, 0, &d);
}

static void cname_to_victim(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX];
    char victim[256];
    struct draft d;
    (void)ctx;
    size_t len = draft_name(FORGERY_VICTIM, victim);
    start(&d, q, NOERROR, msg);
    draft_add(&d, ANSWER, NULL, TYPE_CNAME, TTL_S, victim, len);
    smuggle(&d, ANSWER);
    send_draft(q, 0, &d);
}

/* zone is NULL for none. */
static void negative(const struct asked *q, enum rcode rcode, const char *zone)
{
    static const uint8_t soa[22] = {[18] = 0, 0, 1, 44};
    uint8_t msg[MESSAGE_MAX];
    char owner[256];
    struct draft d;
    start(&d, q, rcode, msg);
    if (zone != NULL) {
        draft_name(zone, owner);
        draft_add(&d, AUTHORITY, owner, TYPE_SOA, TTL_S, soa, sizeof soa);
    }
    send_draft(q, 0, &d);
}

static void nxdomain_without_soa(const struct asked *q, void *ctx)
{
    (void)ctx;
    negative(q, NXDOMAIN, NULL);
}

static void nodata_without_soa(const struct asked *q, void *ctx)
{
    (void)ctx;
    negative(q, NOERROR, NULL);
}

static void nxdomain_of_other_zone(const struct asked *q, void *ctx)
{
    (void)ctx;
    negative(q, NXDOMAIN, "other.example");
}

static void nodata_of_other_zone(const struct asked *q, void *ctx)
{
    (void)ctx;
    negative(q, NOERROR, "other.example");
}

static void nxdomain_of_zone_below(const struct asked *q, void *ctx)
{
    char below[300];
    (void)ctx;
    snprintf(below, sizeof below, "below.%.200s", q->name);
    negative(q, NXDOMAIN, below);
}

static void with_ttl(const struct asked *q, uint32_t ttl_s)
{
    uint8_t msg[MESSAGE_MAX];
    struct draft d;
    start(&d, q, NOERROR, msg);
    draft_add(&d, ANSWER, NULL, TYPE_A, ttl_s, forgery_right, 4);
    send_draft(q, 0, &d);
}

static void ttl_with_top_bit(const struct asked *q, void *ctx)
{
    (void)ctx;
    with_ttl(q, UINT32_C(1) << 31);
}

static void ttl_of_all_bits(const struct asked *q, void *ctx)
{
    (void)ctx;
    with_ttl(q, UINT32_MAX);
}

static void ttl_of_68_years(const struct asked *q, void *ctx)
{
    (void)ctx;
    with_ttl(q, INT32_MAX);
}

static void duplicated(const struct asked *q, void *ctx)
{
    (void)ctx;
    for (unsigned i = 0; i < 5; i++)
        right(q, i / 2);
}

/* Ten questions, answered from the last to the first. */
static void reordered(const struct asked *q, void *ctx)
{
    unsigned n = 0;
    (void)ctx;
    sscanf(q->name, "reordered-%u", &n);
    right(q, 10 * (20 - n % 20));
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void fail_with(const struct asked *q, unsigned rcode)
{
    uint8_t msg[MESSAGE_MAX];
    struct draft d;
    start(&d, q, rcode, msg);
    send_draft(q, 0, &d);
}

static void refused(const struct asked *q, void *ctx)
{
    (void)ctx;
    fail_with(q, REFUSED);
}

static void servfail(const struct asked *q, void *ctx)
{
    (void)ctx;
    fail_with(q, SERVFAIL);
}

static void formerr(const struct asked *q, void *ctx)
{
    (void)ctx;
    fail_with(q, FORMERR);
}

static void notimp(const struct asked *q, void *ctx)
{
    (void)ctx;
    fail_with(q, NOTIMP);
}

static void rcode_15(const struct asked *q, void *ctx)
{
    (void)ctx;
    fail_with(q, 15);
}

static void error_header_only(const struct asked *q, unsigned rcode, unsigned delay_ms)
{
    uint8_t msg[MESSAGE_MAX];
    struct draft d;
    start(&d, q, rcode, msg);
    msg[5] = 0;
    d.len = 12;
    send_draft(q, delay_ms, &d);
}

static void formerr_header_only(const struct asked *q, void *ctx)
{
    (void)ctx;
    error_header_only(q, FORMERR, 0);
}

static void badvers(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX];
    struct draft d;
    (void)ctx;
    start(&d, q, NOERROR, msg);
    draft_add_opt(&d);
    msg[d.len - 6] = 1; /* 1 << 4 is BADVERS */
    send_draft(q, 0, &d);
}

/* ---- no EDNS --------------------------------------------------------------------------------- */

#define NO_EDNS_MS 30 /* so that all questions are under way when the first one finds out */

static bool has_opt(const struct asked *q)
{
    return q->msg[11] != 0;
}

static void without_edns(const struct asked *q, unsigned rcode, bool header_only)
{
    uint8_t msg[MESSAGE_MAX];
    struct draft d;
    if (!has_opt(q)) {
        right(q, 0);
    } else if (header_only) {
        error_header_only(q, rcode, NO_EDNS_MS);
    } else {
        start(&d, q, rcode, msg);
        send_draft(q, NO_EDNS_MS, &d);
    }
}

static void formerr_to_edns(const struct asked *q, void *ctx)
{
    (void)ctx;
    without_edns(q, FORMERR, false);
}

static void formerr_header_to_edns(const struct asked *q, void *ctx)
{
    (void)ctx;
    without_edns(q, FORMERR, true);
}

static void notimp_to_edns(const struct asked *q, void *ctx)
{
    (void)ctx;
    without_edns(q, NOTIMP, false);
}

static void notimp_header_to_edns(const struct asked *q, void *ctx)
{
    (void)ctx;
    without_edns(q, NOTIMP, true);
}

/* ---- late, or never -------------------------------------------------------------------------- */

static void silence(const struct asked *q, void *ctx)
{
    (void)q, (void)ctx;
}

static void late(const struct asked *q, void *ctx)
{
    unsigned ms = 0;
    (void)ctx;
    sscanf(q->name, "late-%u", &ms);
    right(q, ms);
}

static void flapping(const struct asked *q, void *ctx)
{
    struct liar_memory *m = ctx;
    unsigned n = 0;
    sscanf(q->name, "flapping-%u", &n);
    if (now_ms() / 1000 % 2 == 0)
        return;
    right(q, 0);
    m->gave[n % LIAR_FLAPS_MAX] = true;
}

/* ---- streams --------------------------------------------------------------------------------- */

static void truncated(const struct asked *q)
{
    uint8_t msg[MESSAGE_MAX];
    struct draft d;
    start(&d, q, NOERROR, msg);
    msg[2] |= 2; /* TC */
    send_draft(q, 0, &d);
}

static bool is_datagram(const struct asked *q)
{
    if (!q->tcp)
        truncated(q);
    return !q->tcp;
}

static void tcp_truncated(const struct asked *q, void *ctx)
{
    (void)ctx;
    truncated(q);
}

/* The right reply with its length. */
static size_t frame(const struct asked *q, uint8_t bytes[MESSAGE_MAX])
{
    struct draft d;
    start(&d, q, NOERROR, bytes + 2);
    draft_add_a(&d, forgery_right);
    bytes[0] = (uint8_t)(d.len >> 8);
    bytes[1] = (uint8_t)d.len;
    return d.len + 2;
}

static void tcp_65535_bytes(const struct asked *q, void *ctx)
{
    uint8_t msg[65535], rdata[256];
    struct draft d;
    (void)ctx;
    if (is_datagram(q))
        return;
    start(&d, q, NOERROR, msg);
    memset(rdata, 'x', sizeof rdata);
    while (d.len < sizeof msg) { /* no rest is shorter than a record */
        size_t room = sizeof msg - d.len - 12;
        size_t len = room >= 2 * sizeof rdata ? sizeof rdata : room > sizeof rdata ? 128 : room;
        rdata[0] = (uint8_t)(len - 1);
        draft_add(&d, ANSWER, NULL, TYPE_TXT, TTL_S, rdata, len);
    }
    send_draft(q, 0, &d);
}

static void tcp_two_in_one_segment(const struct asked *q, void *ctx)
{
    struct liar_memory *m = ctx;
    uint8_t bytes[2 * MESSAGE_MAX];
    if (is_datagram(q))
        return;
    if (!m->holds) {
        m->held = *q;
        m->holds = true;
        return;
    }
    size_t len = frame(q, bytes);
    len += frame(&m->held, bytes + len);
    m->holds = false;
    reply_send_bytes(q, 0, bytes, len);
}

static void tcp_byte_by_byte(const struct asked *q, void *ctx)
{
    uint8_t bytes[MESSAGE_MAX];
    (void)ctx;
    if (is_datagram(q))
        return;
    size_t len = frame(q, bytes);
    for (unsigned i = 0; i < len; i++)
        reply_send_bytes(q, i, bytes + i, 1);
}

static void tcp_reset(const struct asked *q, void *ctx)
{
    (void)ctx;
    if (!is_datagram(q))
        reply_reset(q, 0);
}

static void tcp_closed(const struct asked *q, void *ctx)
{
    (void)ctx;
    if (!is_datagram(q))
        reply_hang_up(q, 0);
}

static void send_half(const struct asked *q)
{
    uint8_t bytes[MESSAGE_MAX];
    reply_send_bytes(q, 0, bytes, frame(q, bytes) / 2);
}

static void tcp_reset_midway(const struct asked *q, void *ctx)
{
    (void)ctx;
    if (is_datagram(q))
        return;
    send_half(q);
    reply_reset(q, 5);
}

static void tcp_closed_midway(const struct asked *q, void *ctx)
{
    (void)ctx;
    if (is_datagram(q))
        return;
    send_half(q);
    reply_hang_up(q, 5);
}

static void tcp_half_then_silence(const struct asked *q, void *ctx)
{
    (void)ctx;
    if (!is_datagram(q))
        send_half(q);
}

static void tcp_silence(const struct asked *q, void *ctx)
{
    (void)ctx;
    (void)is_datagram(q);
}

static void tcp_late_4000(const struct asked *q, void *ctx)
{
    (void)ctx;
    if (!is_datagram(q))
        right(q, 4000);
}

static void tcp_length_0(const struct asked *q, void *ctx)
{
    (void)ctx;
    if (!is_datagram(q))
        reply_send_bytes(q, 0, (const uint8_t *)"\0", 2);
}

static void tcp_length_11(const struct asked *q, void *ctx)
{
    uint8_t bytes[MESSAGE_MAX];
    (void)ctx;
    if (is_datagram(q))
        return;
    (void)frame(q, bytes);
    bytes[0] = 0;
    bytes[1] = 11;
    reply_send_bytes(q, 0, bytes, 13);
}

static void tcp_garbage(const struct asked *q, void *ctx)
{
    uint8_t bytes[MESSAGE_MAX];
    (void)ctx;
    if (is_datagram(q))
        return;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 167 + 13);
    bytes[0] = 0;
    bytes[1] = 100;
    reply_send_bytes(q, 0, bytes, sizeof bytes);
    for (int i = 0; i < 60; i++) { /* whole messages that nobody awaits */
        (void)frame(q, bytes);
        bytes[2] ^= 0x55;
        reply_send(q, 0, bytes + 2, (size_t)bytes[0] << 8 | bytes[1]);
    }
}

/* A forgery over TCP, and the right reply behind it. */
static void tcp_lie_then_right(const struct asked *q, const char *forgery)
{
    uint8_t msg[FORGERY_MAX];
    enum forgery_fate fate;
    if (is_datagram(q))
        return;
    int len = forgery_make(forgery, q->msg, q->len, msg, &fate);
    reply_send(q, 0, msg, len > 0 ? (size_t)len : 0);
    right(q, LIAR_RIGHT_MS);
}

static void tcp_wrong_id(const struct asked *q, void *ctx)
{
    (void)ctx;
    tcp_lie_then_right(q, "wrong-id-0");
}

static void tcp_wrong_name(const struct asked *q, void *ctx)
{
    (void)ctx;
    tcp_lie_then_right(q, "wrong-name-0");
}

static void tcp_cut(const struct asked *q, void *ctx)
{
    (void)ctx;
    tcp_lie_then_right(q, "cut-60");
}

static void tcp_circle(const struct asked *q, void *ctx)
{
    (void)ctx;
    tcp_lie_then_right(q, "pointers-in-a-circle-0");
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct lie lies[] = {
    {"wrong-port", wrong_port, LIE_FORGERY, LIE_FAILS, 0, false},
    {"wrong-address", wrong_address, LIE_FORGERY, LIE_FAILS, 0, false},
    {"three-wrong-ids", three_wrong_ids, LIE_FORGERY, LIE_FAILS, 0, false},
    {"1233-bytes", one_byte_too_large, LIE_FORGERY, LIE_FAILS, 0, false},
    {"65507-bytes", as_large_as_udp_takes, LIE_FORGERY, LIE_FAILS, 0, false},

    {"others-in-answer", others_in_answer, LIE_CONTENT, LIE_RIGHT, 0, false},
    {"others-in-authority", others_in_authority, LIE_CONTENT, LIE_RIGHT, 0, false},
    {"others-in-additional", others_in_additional, LIE_CONTENT, LIE_RIGHT, 0, false},
    {"only-others", only_others, LIE_CONTENT, LIE_FAILS, 0, false},
    {"cname-to-victim", cname_to_victim, LIE_CONTENT, LIE_TAKEN, 0, false},
    {"nxdomain-without-soa", nxdomain_without_soa, LIE_CONTENT, LIE_RCODE, NXDOMAIN, false},
    {"nodata-without-soa", nodata_without_soa, LIE_CONTENT, LIE_RCODE, NOERROR, false},
    {"nxdomain-of-other-zone", nxdomain_of_other_zone, LIE_CONTENT, LIE_RCODE, NXDOMAIN, false},
    {"nodata-of-other-zone", nodata_of_other_zone, LIE_CONTENT, LIE_RCODE, NOERROR, false},
    {"nxdomain-of-zone-below", nxdomain_of_zone_below, LIE_CONTENT, LIE_RCODE, NXDOMAIN, false},
    {"ttl-with-top-bit", ttl_with_top_bit, LIE_CONTENT, LIE_TTL_0, 0, false},
    {"ttl-of-all-bits", ttl_of_all_bits, LIE_CONTENT, LIE_TTL_0, 0, false},
    {"ttl-of-68-years", ttl_of_68_years, LIE_CONTENT, LIE_RIGHT, 0, false},
    {"duplicated", duplicated, LIE_CONTENT, LIE_RIGHT, 0, false},
    {"reordered-1", reordered, LIE_CONTENT, LIE_RIGHT, 0, false},
    {"reordered-2", reordered, LIE_CONTENT, LIE_RIGHT, 0, false},
    {"reordered-3", reordered, LIE_CONTENT, LIE_RIGHT, 0, false},
    {"reordered-4", reordered, LIE_CONTENT, LIE_RIGHT, 0, false},
    {"reordered-5", reordered, LIE_CONTENT, LIE_RIGHT, 0, false},
    {"reordered-6", reordered, LIE_CONTENT, LIE_RIGHT, 0, false},
    {"reordered-7", reordered, LIE_CONTENT, LIE_RIGHT, 0, false},
    {"reordered-8", reordered, LIE_CONTENT, LIE_RIGHT, 0, false},

    {"refused", refused, LIE_ERROR, LIE_RCODE, REFUSED, false},
    {"servfail", servfail, LIE_ERROR, LIE_RCODE, SERVFAIL, false},
    {"formerr", formerr, LIE_ERROR, LIE_RCODE, FORMERR, false},
    {"formerr-header-only", formerr_header_only, LIE_ERROR, LIE_RCODE, FORMERR, false},
    {"notimp", notimp, LIE_ERROR, LIE_RCODE, NOTIMP, false},
    {"rcode-15", rcode_15, LIE_ERROR, LIE_RCODE, 15, false},
    {"badvers", badvers, LIE_ERROR, LIE_RCODE, SERVFAIL, false},

    {"formerr-to-edns", formerr_to_edns, LIE_EDNS, LIE_RIGHT, 0, false},
    {"formerr-header-to-edns", formerr_header_to_edns, LIE_EDNS, LIE_RIGHT, 0, false},
    {"notimp-to-edns", notimp_to_edns, LIE_EDNS, LIE_RIGHT, 0, false},
    {"notimp-header-to-edns", notimp_header_to_edns, LIE_EDNS, LIE_RIGHT, 0, false},

    {"silence", silence, LIE_LATE, LIE_FAILS, 0, false},
    {"late-500", late, LIE_LATE, LIE_RIGHT, 0, false},
    {"late-900-after-the-retry", late, LIE_LATE, LIE_RIGHT, 0, false},
    {"late-1900", late, LIE_LATE, LIE_RIGHT, 0, false},
    {"late-4000", late, LIE_LATE, LIE_RIGHT, 0, false},
    {"late-9000", late, LIE_LATE, LIE_FAILS, 0, false},

    {"tcp-truncated", tcp_truncated, LIE_STREAM, LIE_FAILS, 0, false},
    {"tcp-refused", tcp_silence, LIE_STREAM, LIE_FAILS, 0, true},
    {"tcp-65535-bytes", tcp_65535_bytes, LIE_STREAM, LIE_RIGHT, 0, false},
    {"tcp-two-in-one-segment", tcp_two_in_one_segment, LIE_STREAM, LIE_RIGHT, 0, false},
    {"tcp-byte-by-byte", tcp_byte_by_byte, LIE_STREAM, LIE_RIGHT, 0, false},
    {"tcp-reset", tcp_reset, LIE_STREAM, LIE_FAILS, 0, false},
    {"tcp-closed", tcp_closed, LIE_STREAM, LIE_FAILS, 0, false},
    {"tcp-reset-midway", tcp_reset_midway, LIE_STREAM, LIE_FAILS, 0, false},
    {"tcp-closed-midway", tcp_closed_midway, LIE_STREAM, LIE_FAILS, 0, false},
    {"tcp-length-0", tcp_length_0, LIE_STREAM, LIE_FAILS, 0, false},
    {"tcp-length-11", tcp_length_11, LIE_STREAM, LIE_FAILS, 0, false},
    {"tcp-garbage", tcp_garbage, LIE_STREAM_SLOW, LIE_FAILS, 0, false},
    {"tcp-wrong-id", tcp_wrong_id, LIE_STREAM, LIE_RIGHT, 0, false},
    {"tcp-wrong-name", tcp_wrong_name, LIE_STREAM, LIE_RIGHT, 0, false},
    {"tcp-cut", tcp_cut, LIE_STREAM, LIE_RIGHT, 0, false},
    {"tcp-circle", tcp_circle, LIE_STREAM, LIE_RIGHT, 0, false},

    {"tcp-silence", tcp_silence, LIE_STREAM_SLOW, LIE_FAILS, 0, false},
    {"tcp-half-then-silence", tcp_half_then_silence, LIE_STREAM_SLOW, LIE_FAILS, 0, false},
    {"tcp-late-4000", tcp_late_4000, LIE_STREAM_SLOW, LIE_RIGHT, 0, false},

    {"flapping", flapping, LIE_FLAPPING, LIE_RIGHT, 0, false},
};
#define N_LIES (sizeof lies / sizeof lies[0])

const struct lie *liar_lie(size_t i)
{
    return i < N_LIES ? &lies[i] : NULL;
}

void liar_play(const struct asked *q, void *ctx)
{
    char label[64];
    snprintf(label, sizeof label, "%.*s", (int)strcspn(q->name, "."), q->name);
    for (size_t i = 0; i < N_LIES; i++) {
        bool flaps = lies[i].group == LIE_FLAPPING && strncmp(label, "flapping-", 9) == 0;
        if (flaps || strcmp(label, lies[i].name) == 0) {
            lies[i].play(q, ctx);
            return;
        }
    }
    play_forgery(q, label);
}
