/* query.c: every gate that a client's question passes, with a question on each side of it.
 * Knows the core by the replay world; never sockets. */
#include "tests/heap.h"
#include "tests/replay/world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world *w;

static void setup(void)
{
    w = world_create();
    world_start(w, 1);
}

static void teardown(void)
{
    world_free(w);
}

static void restart(void)
{
    teardown();
    setup();
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* A question with all that can be chosen. */
struct how {
    const char *name;
    unsigned client;
    enum client_transport transport;
    uint16_t id, type, class, flags;
    uint16_t edns; /* size; 0: no OPT record */
    bool dnssec_ok;
};

static struct how plain(const char *name, uint16_t type)
{
    struct how h = {
        .name = name,
        .client = 1,
        .transport = CLIENT_UDP,
        .id = 0x1234,
        .type = type,
        .class = WIRE_CLASS_IN,
        .flags = WIRE_RD,
        .edns = WIRE_UDP_MAX,
    };
    return h;
}

static struct asked *ask(const struct how *h)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, h->client, h->transport);
    size_t len =
        world_question(msg, h->id, h->name, h->type, h->class, h->flags, h->edns, h->dnssec_ok);
    world_begin(w);
    struct asked *a = world_ask_raw(w, &c, msg, len);
    world_end(w);
    return a;
}

static struct asked *ask_a(const char *name)
{
    struct how h = plain(name, WIRE_TYPE_A);
    return ask(&h);
}

static struct asked *ask_bytes(const uint8_t *msg, size_t len)
{
    struct client c = world_client(w, 1, CLIENT_UDP);
    world_begin(w);
    struct asked *a = world_ask_raw(w, &c, msg, len);
    world_end(w);
    return a;
}

/* An ordinary question for a.example. */
static size_t ordinary(uint8_t msg[WIRE_QUERY_MAX], uint16_t edns)
{
    return world_question(
        msg, 0x1234, "a.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, edns, false);
}

static unsigned u16_at(const struct asked *a, size_t at)
{
    ck_assert(a->answered);
    ck_assert_uint_ge(a->len, at + 2);
    return (unsigned)(a->reply[at] << 8 | a->reply[at + 1]);
}

static unsigned flags_of(const struct asked *a)
{
    return u16_at(a, 2);
}

/* The reply is the header and nothing else. */
static void is_bare(const struct asked *a, uint16_t rcode)
{
    static const uint8_t none[8] = {0};
    ck_assert_uint_eq(a->len, WIRE_HEADER_LEN);
    ck_assert_uint_eq(u16_at(a, 0), 0x1234);
    ck_assert_uint_eq(asked_rcode(a), rcode);
    ck_assert_mem_eq(a->reply + 4, none, sizeof none);
    ck_assert_int_eq(a->end.source, QUERY_REJECTED);
    ck_assert_uint_eq(a->end.rcode, rcode);
}

/* Header and question, and an OPT record if there was one. */
static void is_empty(const struct asked *a, uint16_t rcode, enum query_source source)
{
    ck_assert_uint_eq(asked_rcode(a), rcode);
    ck_assert_uint_eq(u16_at(a, 4), 1);
    ck_assert_uint_eq(u16_at(a, 6), 0);
    ck_assert_uint_eq(u16_at(a, 8), 0);
    ck_assert_int_eq(a->end.source, source);
    ck_assert_uint_eq(a->end.rcode, rcode);
}

/* The i-th record of a reply. */
static struct wire_view record(const struct asked *a, unsigned i)
{
    struct wire_cursor c;
    struct wire_view v;
    ck_assert_int_eq(wire_cursor_start(&c, a->reply, a->len), 0);
    do
        ck_assert_int_eq(wire_cursor_next(&c, &v), 1);
    while (i-- > 0);
    return v;
}

static void owner_is(const struct asked *a, unsigned i, const char *name)
{
    uint8_t owner[WIRE_NAME_MAX], expected[WIRE_NAME_MAX];
    struct wire_view v = record(a, i);
    size_t end;
    size_t len = wire_name_expand(a->reply, a->len, v.owner_at, owner, &end);
    ck_assert_uint_eq(len, world_name(name, expected));
    ck_assert_mem_eq(owner, expected, len);
}

static void address_is(const struct asked *a, unsigned i, const char *bytes)
{
    struct wire_view v = record(a, i);
    ck_assert_uint_eq(v.type, WIRE_TYPE_A);
    ck_assert_uint_eq(v.rdata_len, 4);
    ck_assert_mem_eq(a->reply + v.rdata_at, bytes, 4);
}

static void silent_server(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)s;
    (void)ctx;
}

/* ---- what is no question --------------------------------------------------------------------- */

START_TEST(what_is_no_query_gets_no_reply)
{
    uint8_t msg[WIRE_QUERY_MAX];
    size_t len = ordinary(msg, 0);
    struct asked *a[5];
    a[0] = ask_bytes(msg, 0);
    a[1] = ask_bytes(msg, 1);
    a[2] = ask_bytes(msg, WIRE_HEADER_LEN - 1);
    msg[2] |= 0x80;
    a[3] = ask_bytes(msg, len);
    a[4] = ask_bytes(msg, WIRE_HEADER_LEN);
    for (size_t i = 0; i < 5; i++) {
        ck_assert(a[i]->dropped);
        ck_assert_int_eq(a[i]->end.source, QUERY_DROPPED);
        ck_assert_uint_eq(a[i]->end.reply_len, 0);
    }
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

START_TEST(formerr_is_a_bare_header_where_the_question_does_not_parse)
{
    uint8_t msg[WIRE_QUERY_MAX];
    size_t len = ordinary(msg, 0);
    is_bare(ask_bytes(msg, WIRE_HEADER_LEN), WIRE_FORMERR); /* the question is missing */
    is_bare(ask_bytes(msg, len - 1), WIRE_FORMERR);
    msg[5] = 0;
    is_bare(ask_bytes(msg, WIRE_HEADER_LEN), WIRE_FORMERR);
    is_bare(ask_bytes(msg, len), WIRE_FORMERR);
    msg[5] = 2; /* RFC 9619 */
    memcpy(msg + len, msg + WIRE_HEADER_LEN, len - WIRE_HEADER_LEN);
    is_bare(ask_bytes(msg, 2 * len - WIRE_HEADER_LEN), WIRE_FORMERR);
    msg[4] = 1;
    is_bare(ask_bytes(msg, len), WIRE_FORMERR);
    msg[4] = 0;
    msg[5] = 1;
    msg[12] = 0xc0; /* a question points nowhere */
    msg[13] = 0x0c;
    is_bare(ask_bytes(msg, len), WIRE_FORMERR);
    ck_assert_uint_eq(w->n_sent, 0);
    ck_assert_uint_eq(w->ended[QUERY_REJECTED], 7);
}
END_TEST

START_TEST(formerr_repeats_the_question_where_it_parses)
{
    static const uint8_t bad_cookie[] = {0, 10, 0, 7, 1, 2, 3, 4, 5, 6, 7};
    uint8_t msg[WIRE_QUERY_MAX];
    for (int kind = 0; kind < 6; kind++) {
        size_t len = ordinary(msg, 1232);
        switch (kind) {
        case 0: /* bytes behind the message */
            msg[len++] = 0;
            break;
        case 1: /* an answer */
            msg[7] = 1;
            msg[11] = 0;
            break;
        case 2: /* an authority record */
            msg[9] = 1;
            msg[11] = 0;
            break;
        case 3: /* two OPT records */
            memcpy(msg + len, msg + len - 11, 11);
            len += 11;
            msg[11] = 2;
            break;
        case 4: /* a cookie of a wrong length (RFC 7873 5.2.2) */
            msg[len - 1] = sizeof bad_cookie;
            memcpy(msg + len, bad_cookie, sizeof bad_cookie);
            len += sizeof bad_cookie;
            break;
        default: /* more records than there are bytes */
            msg[11] = 9;
        }
        struct asked *a = ask_bytes(msg, len);
        is_empty(a, WIRE_FORMERR, QUERY_REJECTED);
        ck_assert_uint_eq(a->len, 12 + 15);
        ck_assert_mem_eq(a->reply + 12, msg + 12, 15);
    }
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

START_TEST(other_opcodes_are_not_implemented)
{
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        struct how h = plain("a.example", WIRE_TYPE_A);
        h.flags = (uint16_t)(WIRE_RD | opcode << 11);
        struct asked *a = ask(&h);
        if (opcode == 0)
            continue;
        is_empty(a, WIRE_NOTIMP, QUERY_REJECTED);
        ck_assert_uint_eq(flags_of(a) & WIRE_OPCODE, opcode << 11);
    }
    uint8_t header[WIRE_HEADER_LEN] = {0x12, 0x34, 0x28}; /* UPDATE */
    is_bare(ask_bytes(header, sizeof header), WIRE_NOTIMP);
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

START_TEST(types_of_transfers_and_keys_are_refused)
{
    for (unsigned type = 245; type < 260; type++) {
        size_t before = w->n_sent;
        struct how h = plain("a.example", (uint16_t)type);
        struct asked *a = ask(&h);
        if (type < 249 || type > 255) {
            ck_assert_uint_eq(w->n_sent, before + 1);
            continue;
        }
        ck_assert_uint_eq(w->n_sent, before);
        if (type < 255)
            is_empty(a, WIRE_REFUSED, QUERY_REJECTED);
    }
    /* A transfer by the serial number of its authority record is one too. */
    uint8_t msg[WIRE_QUERY_MAX];
    size_t len =
        world_question(msg, 0x1234, "a.example", WIRE_TYPE_IXFR, WIRE_CLASS_IN, WIRE_RD, 0, false);
    len = world_add_soa(msg, len, "a.example", 0, 0);
    is_empty(ask_bytes(msg, len), WIRE_REFUSED, QUERY_REJECTED);
}
END_TEST

START_TEST(classes_but_in_are_refused)
{
    static const uint16_t classes[] = {0, 2, WIRE_CLASS_CH, 4, 254, WIRE_CLASS_ANY, 65535};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        struct how h = plain("a.example", WIRE_TYPE_A);
        h.class = classes[i];
        is_empty(ask(&h), WIRE_REFUSED, QUERY_REJECTED);
        h.type = WIRE_TYPE_ANY;
        is_empty(ask(&h), WIRE_REFUSED, QUERY_REJECTED);
    }
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

START_TEST(chaos_is_told_to_this_machine_only)
{
    uint8_t msg[WIRE_QUERY_MAX];
    size_t len = world_question(
        msg, 0x1234, "VERSION.bind", WIRE_TYPE_TXT, WIRE_CLASS_CH, WIRE_RD, 0, false);
    is_empty(ask_bytes(msg, len), WIRE_REFUSED, QUERY_REJECTED);
    struct client c = world_client(w, 1, CLIENT_UDP);
    c.peer.ip[12] = 127;
    struct asked *a = world_ask_raw(w, &c, msg, len);
    ck_assert_int_eq(a->end.source, QUERY_CHAOS);
    ck_assert_uint_eq(asked_answers(a), 1);
    struct wire_view v = record(a, 0);
    ck_assert_uint_eq(v.class, WIRE_CLASS_CH);
    ck_assert_uint_eq(v.ttl_s, 0);
    ck_assert_mem_eq(a->reply + v.rdata_at, "\13of the test", v.rdata_len);
    msg[len - 3] = WIRE_TYPE_ANY;
    a = world_ask_raw(w, &c, msg, len);
    ck_assert_int_eq(a->end.source, QUERY_CHAOS);
    ck_assert_uint_eq(record(a, 0).type, WIRE_TYPE_TXT);
    msg[len - 3] = WIRE_TYPE_A;
    is_empty(world_ask_raw(w, &c, msg, len), WIRE_REFUSED, QUERY_REJECTED);
    msg[len - 3] = WIRE_TYPE_TXT;
    msg[13] = 'p'; /* another name */
    is_empty(world_ask_raw(w, &c, msg, len), WIRE_REFUSED, QUERY_REJECTED);
}
END_TEST

/* RFC 6891 6.1.2 and 6.1.4, RFC 8906: what nobody knows is neither an error nor sent back or on. */
START_TEST(unknown_edns_options_and_flags_are_ignored)
{
    static const uint8_t options[] = {0, 3, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4, 0, 12, 0, 2, 0, 0, 0xfd,
        0xe9, 0, 4, 'd', 'n', 's', 'd'};
    uint8_t msg[WIRE_QUERY_MAX];
    struct wire_view opt;
    for (int i = 0; i < 2; i++) { /* asked upstream, and from the cache */
        size_t len = ordinary(msg, 1232);
        msg[len - 4] = 0x7f;
        msg[len - 3] = 0xff;
        msg[len - 1] = sizeof options;
        memcpy(msg + len, options, sizeof options);
        struct asked *a = ask_bytes(msg, len + sizeof options);
        world_run_for(w, 100);
        ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
        ck_assert_uint_eq(asked_answers(a), 1);
        ck_assert(asked_opt(a, &opt));
        ck_assert_uint_eq(opt.ttl_s, 0);
        ck_assert_uint_eq(opt.rdata_len, 0);
    }
    ck_assert_uint_eq(w->n_sent, 1);
    const struct sent *s = w->sent[0];
    ck_assert_ptr_null(memmem(s->msg, s->len, options + sizeof options - 8, 8));
    ck_assert(!s->dnssec_ok);
}
END_TEST

START_TEST(edns_above_version_0_is_badvers)
{
    uint8_t msg[WIRE_QUERY_MAX];
    for (unsigned version = 1; version < 256; version += 127) {
        struct wire_view opt;
        size_t len = ordinary(msg, 1232);
        msg[len - 5] = (uint8_t)version;
        struct asked *a = ask_bytes(msg, len);
        ck_assert_uint_eq(a->end.rcode, WIRE_BADVERS);
        ck_assert_uint_eq(asked_rcode(a), WIRE_BADVERS & 15);
        ck_assert_int_eq(a->end.source, QUERY_REJECTED);
        ck_assert(asked_opt(a, &opt));
        ck_assert_uint_eq(opt.ttl_s >> 24, WIRE_BADVERS >> 4);
        ck_assert_uint_eq(opt.ttl_s >> 16 & 0xff, 0);
    }
    ck_assert_uint_eq(w->n_sent, 0);
    ask_bytes(msg, ordinary(msg, 1232));
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

/* RFC 7871 11.1: who asks is nobody else's business, and no two clients get answers of their own.
 */
START_TEST(a_client_subnet_goes_no_further)
{
    uint8_t subnet[] = {0, 8, 0, 7, 0, 1, 24, 0, 198, 51, 0};
    uint8_t msg[WIRE_QUERY_MAX];
    struct asked *a[2];
    world_begin(w);
    for (unsigned i = 0; i < 2; i++) {
        struct client c = world_client(w, i, CLIENT_UDP);
        size_t len = ordinary(msg, 1232);
        msg[len - 1] = sizeof subnet;
        subnet[10] = (uint8_t)i;
        memcpy(msg + len, subnet, sizeof subnet);
        a[i] = world_ask_raw(w, &c, msg, len + sizeof subnet);
    }
    world_end(w);
    world_run_for(w, 100);
    ck_assert_uint_eq(w->n_sent, 1);
    ck_assert_uint_eq(asked_answers(a[0]) + asked_answers(a[1]), 2);
    const struct sent *s = w->sent[0];
    for (size_t at = 0; at + sizeof subnet <= s->len; at++)
        ck_assert(memcmp(s->msg + at, subnet, 8) != 0);
}
END_TEST

/* Messages that a gate ends, by what they are: each is a change to an ordinary question. */
static size_t gated(unsigned kind, uint8_t msg[WIRE_QUERY_MAX])
{
    size_t len = ordinary(msg, 1232);
    size_t type_at = WIRE_HEADER_LEN + 11;
    switch (kind) {
    case 0: /* two questions */
        msg[5] = 2;
        break;
    case 1: /* UPDATE */
        msg[2] |= 5 << 3;
        break;
    case 2:
        msg[type_at + 1] = WIRE_TYPE_TKEY;
        break;
    case 3:
        msg[type_at + 1] = WIRE_TYPE_AXFR;
        break;
    case 4:
        msg[type_at + 1] = WIRE_TYPE_IXFR;
        break;
    case 5:
        msg[type_at + 1] = WIRE_TYPE_ANY;
        break;
    case 6:
        msg[type_at + 3] = WIRE_CLASS_CH;
        break;
    case 7:
        msg[type_at + 3] = 4; /* HS */
        break;
    case 8: /* RD=0 */
        msg[2] = 0;
        break;
    case 9: /* EDNS version 1 */
        msg[len - 5] = 1;
        break;
    default: /* bytes behind the end */
        msg[len++] = 0;
    }
    return len;
}

START_TEST(every_gate_is_the_same_over_udp_and_tcp)
{
    for (unsigned kind = 0; kind <= 10; kind++) {
        uint8_t msg[WIRE_QUERY_MAX];
        struct asked *a[2];
        size_t len = gated(kind, msg);
        for (int transport = CLIENT_UDP; transport <= CLIENT_TCP; transport++) {
            struct client c = world_client(w, 1, (enum client_transport)transport);
            world_begin(w);
            a[transport] = world_ask_raw(w, &c, msg, len);
            world_end(w);
        }
        ck_assert_msg(a[0]->answered && a[1]->answered, "kind %u", kind);
        ck_assert_uint_eq(a[0]->len, a[1]->len);
        ck_assert_mem_eq(a[0]->reply, a[1]->reply, a[0]->len);
        ck_assert_msg(a[0]->end.rcode != WIRE_NOERROR || kind == 5, "kind %u", kind);
    }
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

START_TEST(signed_questions_are_refused)
{
    static const uint8_t tsig[] = {0, 0, WIRE_TYPE_TSIG, 0, 255, 0, 0, 0, 0, 0, 0};
    static const uint8_t sig0[] = {0, 0, WIRE_TYPE_SIG, 0, 255, 0, 0, 0, 0, 0, 2, 0, 0};
    uint8_t msg[WIRE_QUERY_MAX];
    size_t len = ordinary(msg, 0);
    msg[11] = 1;
    memcpy(msg + len, tsig, sizeof tsig);
    is_empty(ask_bytes(msg, len + sizeof tsig), WIRE_REFUSED, QUERY_REJECTED);
    memcpy(msg + len, sig0, sizeof sig0);
    is_empty(ask_bytes(msg, len + sizeof sig0), WIRE_REFUSED, QUERY_REJECTED);
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

START_TEST(types_at_the_edges)
{
    struct how h = plain("a.example", 0);
    is_empty(ask(&h), WIRE_FORMERR, QUERY_REJECTED);
    h.type = WIRE_TYPE_OPT;
    is_empty(ask(&h), WIRE_FORMERR, QUERY_REJECTED);
    ck_assert_uint_eq(w->n_sent, 0);
    h.type = 65535;
    struct asked *a = ask(&h);
    world_run_for(w, 50);
    ck_assert_int_eq(a->end.source, QUERY_UPSTREAM);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
}
END_TEST

START_TEST(any_gets_one_small_record)
{
    struct how h = plain("a.example", WIRE_TYPE_ANY);
    for (int i = 0; i < 2; i++) {
        struct asked *a = ask(&h);
        struct wire_view v = record(a, 0);
        ck_assert_uint_eq(asked_answers(a), 1);
        ck_assert_uint_eq(v.type, WIRE_TYPE_HINFO);
        ck_assert_mem_eq(a->reply + v.rdata_at, "\7RFC8482", 9);
        ck_assert_uint_eq(asked_ttl(a), 3600);
        ck_assert_int_eq(a->end.source, QUERY_SPECIAL);
        h.transport = CLIENT_TCP;
    }
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

START_TEST(names_at_the_edges)
{
    char name[300];
    struct how root = plain("", WIRE_TYPE_NS);
    ask(&root);
    ck_assert_uint_eq(sent_count(w, ".", WIRE_TYPE_NS), 1);
    memset(name, 'a', sizeof name);
    name[63] = name[127] = name[191] = '.';
    name[253] = '\0'; /* 64 + 64 + 64 + 62 + 1 = 255 bytes */
    struct asked *longest = ask_a(name);
    world_run_for(w, 50);
    ck_assert_uint_eq(asked_answers(longest), 1);
    ck_assert_uint_eq(asked_took(ask_a(name)), 0);
    name[253] = 'a';
    name[254] = '\0';
    is_bare(ask_a(name), WIRE_FORMERR);
    ck_assert_uint_eq(w->n_sent, 2);
}
END_TEST

/* ---- who is served --------------------------------------------------------------------------- */

static struct asked *ask_from(const uint8_t ip[16])
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 1, CLIENT_UDP);
    memcpy(c.peer.ip, ip, 16);
    return world_ask_raw(w, &c, msg, ordinary(msg, 1232));
}

static struct asked *ask_from_ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    uint8_t ip[16] = {[10] = 0xff, 0xff, a, b, c, d};
    return ask_from(ip);
}

START_TEST(strangers_get_nothing)
{
    static const uint8_t neighbour[16] = {0xfe, 0x80, [15] = 1};
    static const uint8_t stranger[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    ck_assert(ask_from_ipv4(8, 8, 8, 8)->dropped);
    ck_assert(ask_from_ipv4(172, 32, 0, 1)->dropped);
    ck_assert(ask_from(stranger)->dropped);
    ck_assert_uint_eq(w->n_sent, 0);
    ck_assert_uint_eq(w->ended[QUERY_DROPPED], 3);
    ck_assert(!ask_from_ipv4(172, 31, 0, 1)->dropped);
    ck_assert(!ask_from(neighbour)->dropped);
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

START_TEST(strangers_are_not_even_told_of_mistakes)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 1, CLIENT_UDP);
    size_t len = ordinary(msg, 1232);
    c.peer.ip[12] = 8;
    ck_assert(world_ask_raw(w, &c, msg, WIRE_HEADER_LEN)->dropped);
    c.transport = CLIENT_TCP;
    ck_assert(world_ask_raw(w, &c, msg, len)->dropped);
    msg[2] |= 0x28;
    ck_assert(world_ask_raw(w, &c, msg, len)->dropped);
}
END_TEST

START_TEST(allow_says_who_is_served)
{
    struct addr_net nets[2];
    ck_assert_int_eq(addr_net_parse("8.8.8.0/24", &nets[0]), 0);
    ck_assert_int_eq(addr_net_parse("127.0.0.0/8", &nets[1]), 0);
    w->conf.query.allow = nets;
    w->conf.query.n_allow = 2;
    ck_assert_int_eq(core_reconfigure(w->core, &w->conf), 0);
    ck_assert(!ask_from_ipv4(8, 8, 8, 8)->dropped);
    ck_assert(!ask_from_ipv4(127, 0, 0, 1)->dropped);
    ck_assert(ask_from_ipv4(8, 8, 9, 8)->dropped);
    ck_assert(ask_from_ipv4(10, 0, 0, 1)->dropped);
    world_run_for(w, 50);
}
END_TEST

/* ---- overrides ------------------------------------------------------------------------------- */

static const char *const overrides = "router.lan      A 192.168.1.1\n"
                                     "blocked.example nxdomain\n"
                                     "empty.example   nodata\n"
                                     "no.example      refused\n"
                                     "silent.example  drop\n"
                                     "*.dev.example   A 127.0.0.1\n"
                                     "free.local      pass\n"
                                     "mine.local      A 192.168.1.2\n"
                                     "old.example     CNAME new.example.net.\n"
                                     "older.example   CNAME old.example.\n"
                                     "home.example    CNAME localhost.\n"
                                     "nas.example     CNAME nas.local.\n"
                                     "inner.example   CNAME router.lan.\n";

START_TEST(override_with_an_address)
{
    world_poison(w, overrides);
    struct asked *a = ask_a("router.lan");
    ck_assert_int_eq(a->end.source, QUERY_OVERRIDE);
    ck_assert_uint_eq(asked_answers(a), 1);
    address_is(a, 0, "\300\250\1\1");
    ck_assert_uint_eq(asked_ttl(a), POISON_TTL_DEFAULT);
    ck_assert_int_eq(asked_ede(a), WIRE_EDE_FORGED);
    struct how h = plain("rOuTer.LAN", WIRE_TYPE_A);
    h.edns = 0;
    a = ask(&h);
    struct wire_view opt;
    ck_assert(!asked_opt(a, &opt));
    ck_assert_mem_eq(a->reply + 12, "\6rOuTer\3LAN", 12);
    address_is(a, 0, "\300\250\1\1");
    owner_is(a, 0, "rOuTer.LAN");
    h.name = "x.dev.example";
    address_is(ask(&h), 0, "\177\0\0\1");
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

START_TEST(override_of_another_type_is_nodata)
{
    world_poison(w, overrides);
    struct how h = plain("router.lan", WIRE_TYPE_AAAA);
    struct asked *a = ask(&h);
    ck_assert_int_eq(a->end.source, QUERY_OVERRIDE);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    ck_assert_uint_eq(asked_answers(a), 0);
    ck_assert_uint_eq(record(a, 0).type, WIRE_TYPE_SOA);
    ck_assert_int_eq(asked_ede(a), WIRE_EDE_FORGED);
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

START_TEST(override_verdicts)
{
    world_poison(w, overrides);
    struct asked *a = ask_a("blocked.example");
    ck_assert_uint_eq(asked_rcode(a), WIRE_NXDOMAIN);
    ck_assert_uint_eq(record(a, 0).type, WIRE_TYPE_SOA);
    ck_assert_int_eq(asked_ede(a), WIRE_EDE_BLOCKED);
    a = ask_a("empty.example");
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    ck_assert_uint_eq(asked_answers(a), 0);
    ck_assert_int_eq(asked_ede(a), WIRE_EDE_BLOCKED);
    a = ask_a("no.example");
    is_empty(a, WIRE_REFUSED, QUERY_OVERRIDE);
    ck_assert_int_eq(asked_ede(a), WIRE_EDE_BLOCKED);
    ck_assert(ask_a("silent.example")->dropped);
    ck_assert_uint_eq(w->ended[QUERY_OVERRIDE], 3);
    ck_assert_uint_eq(w->n_sent, 0);
    ask_a("unblocked.example");
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

START_TEST(overrides_come_before_special_names)
{
    world_poison(w, overrides);
    address_is(ask_a("mine.local"), 0, "\300\250\1\2");
    ck_assert_uint_eq(asked_rcode(ask_a("other.local")), WIRE_NXDOMAIN);
    ck_assert_uint_eq(w->n_sent, 0);
    struct asked *a = ask_a("free.local");
    world_run_for(w, 50);
    ck_assert_int_eq(a->end.source, QUERY_UPSTREAM);
    ck_assert_uint_eq(sent_count(w, "free.local", WIRE_TYPE_A), 1);
}
END_TEST

START_TEST(an_override_beats_what_is_cached)
{
    ask_a("router.lan");
    world_run_for(w, 50);
    ck_assert_int_eq(ask_a("router.lan")->end.source, QUERY_CACHE);
    world_poison(w, overrides);
    address_is(ask_a("router.lan"), 0, "\300\250\1\1");
}
END_TEST

/* ---- CNAMEs that lead out of the overrides --------------------------------------------------- */

static void is_chained(const struct asked *a)
{
    ck_assert_uint_eq(asked_answers(a), 2);
    ck_assert_uint_eq(record(a, 0).type, WIRE_TYPE_CNAME);
    owner_is(a, 0, "old.example");
    owner_is(a, 1, "new.example.net");
    address_is(a, 1, "\300\0\2\115");
    ck_assert_uint_eq(flags_of(a) & WIRE_AD, 0);
}

START_TEST(the_target_of_an_override_is_added_to_the_answer)
{
    world_poison(w, overrides);
    struct asked *a = ask_a("old.example");
    world_run_for(w, 50);
    ck_assert_uint_eq(asked_took(a), 40);
    is_chained(a);
    ck_assert_uint_eq(w->n_sent, 1);
    ck_assert_uint_eq(sent_count(w, "new.example.net", WIRE_TYPE_A), 1);
    world_run_for(w, 10000);
    struct asked *cached = ask_a("old.example");
    ck_assert_uint_eq(asked_took(cached), 0);
    is_chained(cached);
    ck_assert_uint_eq(record(cached, 1).ttl_s, 50);
    ck_assert_uint_eq(record(cached, 0).ttl_s, POISON_TTL_DEFAULT);
    struct asked *direct = ask_a("new.example.net"); /* the same answer */
    ck_assert_uint_eq(asked_took(direct), 0);
    ck_assert_uint_eq(w->n_sent, 1);
    struct asked *two = ask_a("older.example");
    ck_assert_uint_eq(asked_answers(two), 3);
    owner_is(two, 0, "older.example");
    owner_is(two, 2, "new.example.net");
}
END_TEST

START_TEST(clients_of_an_override_and_of_its_target_share_a_flight)
{
    world_poison(w, overrides);
    world_begin(w);
    struct asked *a = world_ask_more(w, 1, "old.example", WIRE_TYPE_A);
    struct asked *b = world_ask_more(w, 2, "new.example.net", WIRE_TYPE_A);
    world_end(w);
    world_run_for(w, 50);
    is_chained(a);
    ck_assert_uint_eq(asked_answers(b), 1);
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

static void by_ctx(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    if (ctx != NULL)
        world_answer_rcode(s, *(uint16_t *)ctx);
}

START_TEST(a_target_that_fails_is_left_alone_for_a_while)
{
    uint16_t servfail = WIRE_SERVFAIL;
    world_poison(w, overrides);
    w->server = by_ctx;
    w->server_ctx = &servfail;
    struct asked *a = ask_a("old.example");
    world_run_for(w, 50);
    ck_assert_uint_eq(asked_rcode(a), WIRE_SERVFAIL);
    ck_assert_int_eq(a->end.source, QUERY_FAILED);
    size_t sent = w->n_sent;
    struct asked *again = ask_a("old.example"); /* RFC 9520 3.2 */
    ck_assert_uint_eq(w->n_sent, sent);
    ck_assert_uint_eq(asked_rcode(again), WIRE_SERVFAIL);
    ck_assert_int_eq(asked_ede(again), WIRE_EDE_CACHED_ERROR);
    world_run_for(w, 1000);
    ask_a("old.example");
    ck_assert_uint_eq(w->n_sent, sent + 1);
    world_run_for(w, 50);
}
END_TEST

START_TEST(a_stale_target_does_for_a_server_that_is_silent)
{
    world_poison(w, overrides);
    ask_a("old.example");
    world_run_for(w, 70000);
    w->server = by_ctx; /* silent */
    struct asked *a = ask_a("old.example");
    world_run_for(w, 6000);
    ck_assert_uint_eq(asked_took(a), FLIGHT_STALE_MS);
    is_chained(a);
    ck_assert_int_eq(a->end.source, QUERY_STALE);
    ck_assert_int_eq(asked_ede(a), WIRE_EDE_STALE);
    ck_assert_uint_eq(record(a, 0).ttl_s, QUERY_STALE_TTL_S);
    ck_assert_uint_eq(record(a, 1).ttl_s, QUERY_STALE_TTL_S);
    size_t sent = w->n_sent;
    struct asked *held = ask_a("old.example"); /* RFC 8767 5: not asked again so soon */
    ck_assert_uint_eq(w->n_sent, sent);
    ck_assert_uint_eq(asked_took(held), 0);
    is_chained(held);
    ck_assert_uint_eq(record(held, 1).ttl_s, QUERY_STALE_TTL_S);
}
END_TEST

START_TEST(a_target_that_is_special_is_not_sent_upstream)
{
    world_poison(w, overrides);
    struct asked *a = ask_a("home.example");
    ck_assert_uint_eq(asked_answers(a), 2);
    address_is(a, 1, "\177\0\0\1");
    a = ask_a("nas.example");
    ck_assert_uint_eq(asked_rcode(a), WIRE_NXDOMAIN);
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_uint_eq(record(a, 1).type, WIRE_TYPE_SOA);
    ck_assert_int_eq(a->end.source, QUERY_OVERRIDE);
    a = ask_a("inner.example"); /* and one that is an override itself */
    ck_assert_uint_eq(asked_answers(a), 2);
    address_is(a, 1, "\300\250\1\1");
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

START_TEST(a_cname_itself_is_not_followed)
{
    world_poison(w, overrides);
    struct how h = plain("old.example", WIRE_TYPE_CNAME);
    struct asked *a = ask(&h);
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

START_TEST(a_target_is_asked_for_with_the_flags_of_the_client)
{
    world_poison(w, overrides);
    struct how h = plain("old.example", WIRE_TYPE_A);
    h.dnssec_ok = true;
    h.flags |= WIRE_CD;
    struct asked *a = ask(&h);
    world_run_for(w, 50);
    ck_assert(w->sent[0]->dnssec_ok);
    ck_assert_uint_ne(w->sent[0]->flags & WIRE_CD, 0);
    is_chained(a);
}
END_TEST

static void nxdomain(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    uint8_t out[WIRE_MESSAGE_MAX];
    size_t len = world_reply_start(s, WIRE_NXDOMAIN, out);
    len = world_add_soa(out, len, "net", 300, 120);
    world_plan(s, 40, UPSTREAM_REPLY, out, len);
}

START_TEST(a_target_that_does_not_exist_is_nxdomain_behind_the_chain)
{
    world_poison(w, overrides);
    w->server = nxdomain;
    for (int i = 0; i < 2; i++) {
        struct asked *a = ask_a("old.example");
        world_run_for(w, 50);
        ck_assert_uint_eq(asked_rcode(a), WIRE_NXDOMAIN);
        ck_assert_uint_eq(asked_answers(a), 1);
        struct wire_view v = record(a, 1);
        ck_assert_uint_eq(v.type, WIRE_TYPE_SOA);
        owner_is(a, 1, "net");
    }
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

/* ---- special names --------------------------------------------------------------------------- */

START_TEST(special_names_are_answered_here)
{
    static const struct {
        const char *name;
        uint16_t type, rcode;
    } names[] = {
        {"printer", WIRE_TYPE_A, WIRE_NXDOMAIN},
        {"localhost", WIRE_TYPE_A, WIRE_NOERROR},
        {"localhost", WIRE_TYPE_AAAA, WIRE_NOERROR},
        {"localhost", WIRE_TYPE_MX, WIRE_NOERROR},
        {"a.b.localhost", WIRE_TYPE_A, WIRE_NOERROR},
        {"printer.local", WIRE_TYPE_A, WIRE_NXDOMAIN},
        {"Printer.LOCAL", WIRE_TYPE_HTTPS, WIRE_NXDOMAIN},
        {"b._dns-sd._udp.local", WIRE_TYPE_PTR, WIRE_NXDOMAIN},
        {"x.onion", WIRE_TYPE_A, WIRE_NXDOMAIN},
        {"x.alt", WIRE_TYPE_A, WIRE_NXDOMAIN},
        {"x.invalid", WIRE_TYPE_A, WIRE_NXDOMAIN},
        {"x.test", WIRE_TYPE_A, WIRE_NXDOMAIN},
        {"x.home.arpa", WIRE_TYPE_A, WIRE_NXDOMAIN},
        {"home.arpa", WIRE_TYPE_A, WIRE_NOERROR},
        {"_dns.resolver.arpa", WIRE_TYPE_SVCB, WIRE_NOERROR},
        {"1.0.0.127.in-addr.arpa", WIRE_TYPE_PTR, WIRE_NOERROR},
        {"4.3.2.10.in-addr.arpa", WIRE_TYPE_PTR, WIRE_NXDOMAIN},
        {"1.1.16.172.in-addr.arpa", WIRE_TYPE_PTR, WIRE_NXDOMAIN},
        {"1.1.31.172.in-addr.arpa", WIRE_TYPE_PTR, WIRE_NXDOMAIN},
        {"1.1.168.192.in-addr.arpa", WIRE_TYPE_PTR, WIRE_NXDOMAIN},
        {"1.1.254.169.in-addr.arpa", WIRE_TYPE_PTR, WIRE_NXDOMAIN},
        {"1.1.64.100.in-addr.arpa", WIRE_TYPE_PTR, WIRE_NXDOMAIN},
        {"1.2.0.192.in-addr.arpa", WIRE_TYPE_PTR, WIRE_NXDOMAIN},
        {"1.0.0.0.d.f.ip6.arpa", WIRE_TYPE_PTR, WIRE_NXDOMAIN},
        {"1.0.0.0.8.e.f.ip6.arpa", WIRE_TYPE_PTR, WIRE_NXDOMAIN},
        {"1.8.b.d.0.1.0.0.2.ip6.arpa", WIRE_TYPE_PTR, WIRE_NXDOMAIN},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct how h = plain(names[i].name, names[i].type);
        struct asked *a = ask(&h);
        ck_assert_msg(a->answered && w->n_sent == 0, "%s", names[i].name);
        ck_assert_msg(asked_rcode(a) == names[i].rcode, "%s", names[i].name);
        ck_assert_int_eq(a->end.source, QUERY_SPECIAL);
        ck_assert_int_eq(asked_ede(a), -1);
    }
}
END_TEST

/* RFC 8020 is for those who have proof. */
START_TEST(a_single_label_that_is_denied_denies_nothing_below)
{
    struct asked *a = ask_a("example");
    ck_assert_uint_eq(asked_rcode(a), WIRE_NXDOMAIN);
    a = ask_a("www.example");
    world_run_for(w, 100);
    ck_assert_uint_eq(asked_answers(a), 1);
    struct how h = plain("example", WIRE_TYPE_DS);
    ask(&h);
    ck_assert_uint_eq(w->n_sent, 2);
}
END_TEST

START_TEST(neighbours_of_special_names_go_upstream)
{
    static const char *const names[] = {"localhost.example", "local.example", "notlocal.example",
        "1.1.32.172.in-addr.arpa", "1.1.15.172.in-addr.arpa", "1.1.128.100.in-addr.arpa",
        "8.8.8.8.in-addr.arpa", "0.0.c.f.ip6.arpa", "e164.arpa", "x.tests", "alternate.example"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct how h = plain(names[i], WIRE_TYPE_PTR);
        ask(&h);
        ck_assert_msg(w->n_sent == i + 1, "%s", names[i]);
    }
    struct how top = plain("com", WIRE_TYPE_DS);
    ask(&top);
    ck_assert_uint_eq(sent_count(w, "com", WIRE_TYPE_DS), 1);
}
END_TEST

/* ---- not to be forwarded --------------------------------------------------------------------- */

START_TEST(without_rd_only_own_names_are_answered)
{
    world_poison(w, overrides);
    ask_a("a.example");
    world_run_for(w, 50);
    struct how h = plain("a.example", WIRE_TYPE_A); /* cached: nobody's business */
    h.flags = 0;
    struct asked *a = ask(&h);
    is_empty(a, WIRE_REFUSED, QUERY_REJECTED);
    ck_assert_uint_eq(flags_of(a) & WIRE_RD, 0);
    h.name = "router.lan";
    a = ask(&h);
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_uint_eq(flags_of(a) & WIRE_RD, 0);
    h.name = "old.example"; /* no more than the chain */
    ck_assert_uint_eq(asked_answers(ask(&h)), 1);
    h.name = "localhost";
    ck_assert_int_eq(ask(&h)->end.source, QUERY_SPECIAL);
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

START_TEST(without_forward_what_is_not_overridden_is_refused)
{
    w->conf.query.forward = false;
    core_reconfigure(w->core, &w->conf);
    world_poison(w, overrides);
    is_empty(ask_a("a.example"), WIRE_REFUSED, QUERY_REJECTED);
    ck_assert_uint_eq(asked_answers(ask_a("router.lan")), 1);
    ck_assert_uint_eq(asked_answers(ask_a("old.example")), 1);
    is_empty(ask_a("free.local"), WIRE_REFUSED, QUERY_REJECTED);
    ck_assert_int_eq(ask_a("localhost")->end.source, QUERY_SPECIAL);
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

/* ---- what a reply has of its question -------------------------------------------------------- */

START_TEST(a_hit_is_the_clients_own_reply)
{
    ask_a("a.example");
    world_run_for(w, 50);
    struct how h = plain("A.eXAMPLE", WIRE_TYPE_A);
    h.id = 0xabcd;
    h.edns = 0;
    struct asked *a = ask(&h);
    struct wire_view opt;
    ck_assert_int_eq(a->end.source, QUERY_CACHE);
    ck_assert_uint_eq(u16_at(a, 0), 0xabcd);
    ck_assert_uint_eq(flags_of(a), WIRE_QR | WIRE_RD | WIRE_RA);
    ck_assert_mem_eq(a->reply + 12, "\1A\7eXAMPLE", 11);
    owner_is(a, 0, "a.example");
    ck_assert(!asked_opt(a, &opt));
    h.edns = 4096;
    a = ask(&h);
    ck_assert(asked_opt(a, &opt));
    ck_assert_uint_eq(opt.class, WIRE_UDP_MAX);
    ck_assert_uint_eq(opt.ttl_s, 0);
    ck_assert_uint_eq(opt.rdata_len, 0);
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

START_TEST(do_and_cd_are_copied)
{
    struct wire_view opt;
    struct how h = plain("a.example", WIRE_TYPE_A);
    h.flags |= WIRE_CD | WIRE_Z;
    h.dnssec_ok = true;
    for (int i = 0; i < 2; i++) {
        struct asked *a = ask(&h);
        world_run_for(w, 50);
        ck_assert_uint_eq(flags_of(a), WIRE_QR | WIRE_RD | WIRE_RA | WIRE_CD);
        ck_assert(asked_opt(a, &opt));
        ck_assert_uint_eq(opt.ttl_s, 0x8000);
    }
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

static void authentic(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    static const uint8_t ip[4] = {192, 0, 2, 1};
    uint8_t out[WIRE_MESSAGE_MAX];
    size_t len = world_reply_start(s, WIRE_AD | WIRE_AA, out);
    len = world_add(out, len, 0, s->name, WIRE_TYPE_A, 60, ip, sizeof ip);
    world_plan(s, 40, UPSTREAM_REPLY, out, len);
}

/* Asks twice, from upstream and from the cache. Returns the AD bits of both. */
static unsigned ad_of(const char *name, uint16_t flags, bool dnssec_ok)
{
    struct how h = plain(name, WIRE_TYPE_A);
    h.flags |= flags;
    h.dnssec_ok = dnssec_ok;
    struct asked *a = ask(&h);
    world_run_for(w, 50);
    struct asked *b = ask(&h);
    ck_assert_int_eq(b->end.source, QUERY_CACHE);
    ck_assert_uint_eq(flags_of(a) & (WIRE_AD | WIRE_AA), flags_of(b) & (WIRE_AD | WIRE_AA));
    ck_assert_uint_eq(flags_of(b) & WIRE_AA, 0);
    return flags_of(b) & WIRE_AD;
}

START_TEST(ad_passes_only_where_the_server_is_trusted)
{
    w->server = authentic;
    ck_assert_uint_eq(ad_of("a.example", WIRE_AD, true), 0);
    ck_assert_uint_eq(w->sent[0]->flags & WIRE_AD, 0);
}
END_TEST

START_TEST(ad_passes_only_where_it_was_asked_for)
{
    teardown();
    w = world_create();
    w->trust_ad = true;
    world_start(w, 1);
    w->server = authentic;
    ck_assert_uint_eq(ad_of("a.example", WIRE_AD, false), WIRE_AD);
    ck_assert_uint_eq(ad_of("b.example", 0, true), WIRE_AD);
    ck_assert_uint_eq(ad_of("c.example", 0, false), 0);
    ck_assert_uint_ne(w->sent[0]->flags & WIRE_AD, 0);
    world_poison(w, overrides);
    struct how h = plain("old.example", WIRE_TYPE_A);
    h.flags |= WIRE_AD;
    struct asked *a = ask(&h); /* half of it is forged */
    world_run_for(w, 50);
    ck_assert_uint_eq(asked_answers(a), 2);
    ck_assert_uint_eq(flags_of(a) & WIRE_AD, 0);
}
END_TEST

START_TEST(keepalive_is_told_over_tcp_to_those_who_ask)
{
    static const uint8_t option[] = {0, 11, 0, 0};
    uint8_t msg[WIRE_QUERY_MAX];
    struct wire_view opt;
    world_poison(w, "a.example A 192.0.2.1\n");
    for (int kind = 0; kind < 3; kind++) {
        struct client c = world_client(w, 1, kind == 0 ? CLIENT_UDP : CLIENT_TCP);
        size_t len = ordinary(msg, 1232);
        if (kind < 2) {
            msg[len - 1] = sizeof option;
            memcpy(msg + len, option, sizeof option);
            len += sizeof option;
        }
        struct asked *a = world_ask_raw(w, &c, msg, len);
        ck_assert(asked_opt(a, &opt));
        bool told =
            opt.rdata_len >= 6 && memcmp(a->reply + opt.rdata_at, "\0\13\0\2\0\144", 6) == 0;
        ck_assert(told == (kind == 1));
    }
}
END_TEST

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Answers with a TXT record that makes the reply to t.example *ctx bytes long, without OPT. */
static void sized(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    uint8_t out[WIRE_MESSAGE_MAX], rdata[WIRE_MESSAGE_MAX] = {0};
    size_t len = world_reply_start(s, 0, out);
    size_t rdata_len = *(size_t *)ctx - len - 21;
    for (size_t at = 0; at < rdata_len; at += 256)
        rdata[at] = (uint8_t)(rdata_len - at > 256 ? 255 : rdata_len - at - 1);
    len = world_add(out, len, 0, "t.example", WIRE_TYPE_TXT, 60, rdata, rdata_len);
    ck_assert_uint_eq(len, *(size_t *)ctx);
    world_plan(s, 40, UPSTREAM_REPLY, out, len);
}

static void fits(const struct how *h, size_t len)
{
    struct asked *a = ask(h);
    ck_assert_uint_eq(asked_took(a), 0);
    ck_assert(!asked_truncated(a));
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_uint_eq(a->len, len);
}

static void is_cut(const struct how *h)
{
    struct asked *a = ask(h);
    ck_assert_uint_eq(asked_took(a), 0);
    ck_assert(asked_truncated(a));
    is_empty(a, WIRE_NOERROR, QUERY_CACHE);
    ck_assert_uint_eq(a->len, 12 + 15 + (h->edns > 0 ? 11U : 0U));
}

/* A cached answer of this size, asked for with each way of EDNS. */
static void cache_sized(size_t reply_size)
{
    static size_t size; /* the server goes on */
    struct how h = plain("t.example", WIRE_TYPE_TXT);
    restart();
    size = reply_size;
    w->server = sized;
    w->server_ctx = &size;
    ask(&h);
    world_run_for(w, 50);
}

START_TEST(replies_over_udp_are_what_the_client_takes)
{
    static const struct {
        uint16_t edns;
        size_t limit;
    } ways[] = {{0, 512}, {1, 512}, {511, 512}, {512, 512}, {600, 600}, {1232, 1232}, {1233, 1232},
        {4096, 1232}, {65535, 1232}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        size_t opt = ways[i].edns > 0 ? 11 : 0;
        struct how h = plain("t.example", WIRE_TYPE_TXT);
        h.edns = ways[i].edns;
        cache_sized(ways[i].limit - opt);
        fits(&h, ways[i].limit);
        cache_sized(ways[i].limit - opt + 1);
        is_cut(&h);
        h.transport = CLIENT_TCP;
        fits(&h, ways[i].limit + 1);
    }
}
END_TEST

START_TEST(tcp_gets_the_largest_answer)
{
    struct how h = plain("t.example", WIRE_TYPE_TXT);
    h.transport = CLIENT_TCP;
    cache_sized(30000);
    fits(&h, 30011);
    h.edns = 0;
    fits(&h, 30000);
    cache_sized(WIRE_MESSAGE_MAX);
    h.edns = 0;
    struct asked *a = ask(&h); /* larger than this cache takes */
    world_run_for(w, 50);
    ck_assert_uint_eq(a->len, WIRE_MESSAGE_MAX);
    ck_assert_uint_eq(asked_answers(a), 1);
}
END_TEST

static void after_ctx(struct world *world, struct sent *s, void *ctx)
{
    if (world->n_sent == 1)
        world_answer_after(s, *(uint64_t *)ctx);
}

START_TEST(late_is_bare_over_udp_and_whole_over_tcp)
{
    uint64_t delay_ms = 2500;
    struct how h = plain("a.example", WIRE_TYPE_A);
    w->server = after_ctx;
    w->server_ctx = &delay_ms;
    struct asked *udp = ask(&h);
    h.transport = CLIENT_TCP;
    struct asked *tcp = ask(&h);
    world_run_for(w, 3000);
    ck_assert_uint_eq(asked_took(udp), 2500);
    ck_assert(asked_truncated(udp));
    is_empty(udp, WIRE_NOERROR, QUERY_UPSTREAM);
    ck_assert_uint_eq(asked_took(tcp), 2500);
    ck_assert(!asked_truncated(tcp));
    ck_assert_uint_eq(asked_answers(tcp), 1);
    h.transport = CLIENT_UDP;
    ck_assert_uint_eq(asked_answers(ask(&h)), 1); /* cached for who comes again */
    struct query_counts n;
    query_count(core_desk(w->core), &n);
    ck_assert_uint_eq(n.late, 1);
}
END_TEST

/* ---- repeats and limits ---------------------------------------------------------------------- */

START_TEST(only_the_same_id_port_and_question_is_a_repeat)
{
    struct how h = plain("a.example", WIRE_TYPE_A);
    w->server = by_ctx; /* silent */
    ask(&h);
    ck_assert(ask(&h)->dropped);
    h.name = "A.Example"; /* spelling does not matter */
    ck_assert(ask(&h)->dropped);
    struct query_counts n;
    query_count(core_desk(w->core), &n);
    ck_assert_uint_eq(n.repeats, 2);
    ck_assert_uint_eq(n.waiting, 1);
    h.id++;
    struct asked *other_id = ask(&h);
    h.client = 2;
    struct asked *other_client = ask(&h);
    h.transport = CLIENT_TCP;
    struct asked *stream = ask(&h);
    struct asked *pipelined = ask(&h); /* a stream loses nothing: it means what it says */
    ck_assert(!other_id->dropped && !other_client->dropped && !stream->dropped);
    ck_assert(!pipelined->dropped);
    ck_assert_uint_eq(query_waiting(core_desk(w->core)), 5);
    world_run_for(w, 5000);
    ck_assert_uint_eq(asked_rcode(other_id), WIRE_SERVFAIL);
    ck_assert_uint_eq(asked_rcode(pipelined), WIRE_SERVFAIL);
}
END_TEST

/* The repeat would lead to another target, which nobody asked for, or a prefetch only. */
START_TEST(a_repeat_behind_a_reload_of_the_overrides_waits_on)
{
    uint8_t msg[WIRE_QUERY_MAX], wire[WIRE_NAME_MAX], key[WIRE_KEY_MAX];
    struct client c = world_client(w, 1, CLIENT_UDP);
    struct wire_question other = {.name = wire,
        .name_len = world_name("other.example", wire),
        .type = WIRE_TYPE_A,
        .class = WIRE_CLASS_IN};
    size_t len = world_question(
        msg, 1, "chain.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, WIRE_UDP_MAX, false);
    world_poison(w, "chain.example CNAME target.example.\n");
    struct asked *first = world_ask_raw(w, &c, msg, len);
    world_poison(w, "chain.example CNAME other.example.\n");
    struct asked *second = world_ask_raw(w, &c, msg, len);
    ck_assert(flight_prefetch(core_flights(w->core), key, wire_key_write(&other, 0, key)));
    struct asked *third = world_ask_raw(w, &c, msg, len);
    ck_assert(second->dropped && third->dropped);
    ck_assert_uint_eq(query_waiting(core_desk(w->core)), 1);
    ck_assert_uint_eq(w->n_sent, 2);
    world_run_for(w, 100);
    ck_assert_uint_eq(first->n_replies, 1);
    ck_assert_uint_eq(asked_answers(first), 2);
}
END_TEST

START_TEST(after_its_end_a_question_is_no_repeat)
{
    struct how h = plain("a.example", WIRE_TYPE_A);
    w->ttl_s = 0;
    ask(&h);
    world_run_for(w, 50);
    ck_assert(!ask(&h)->dropped);
    world_run_for(w, 50);
    ck_assert_uint_eq(w->ended[QUERY_UPSTREAM], 2);
}
END_TEST

START_TEST(more_than_queries_max_do_not_wait)
{
    char name[] = "a.example";
    w->conf.query.queries_max = 3;
    core_reconfigure(w->core, &w->conf);
    for (; name[0] < 'd'; name[0]++)
        ck_assert(!ask_a(name)->answered);
    struct asked *a = ask_a(name);
    ck_assert_uint_eq(asked_took(a), 0);
    is_empty(a, WIRE_SERVFAIL, QUERY_FAILED);
    ck_assert_uint_eq(w->n_sent, 3);
    ck_assert_uint_eq(asked_answers(ask_a("localhost")), 1); /* what needs no waiting is served */
    world_run_for(w, 50);
    a = ask_a(name);
    world_run_for(w, 50);
    ck_assert_uint_eq(asked_answers(a), 1);
}
END_TEST

/* Each that waits keeps the chain of overrides that led there. */
START_TEST(chains_of_those_who_wait_are_bounded_in_all)
{
    char text[4096] = "", name[256], label[56];
    memset(label, 'a', sizeof label - 1);
    label[sizeof label - 1] = '\0';
    for (int i = 0; i < 8; i++) {
        size_t at = strlen(text);
        snprintf(name, sizeof name, "%s.%s.%s.%s", label, label, label, label);
        snprintf(text + at, sizeof text - at, "l%d.%s.example CNAME l%d.%s.%s\n", i, name, i + 1,
            name, i == 7 ? "org." : "example.");
    }
    w->conf.query.queries_max = 4000;
    ck_assert_int_eq(core_reconfigure(w->core, &w->conf), 0);
    world_poison(w, text);
    w->server = silent_server;
    snprintf(text, sizeof text, "l0.%s.example", name);
    size_t n_shed = 0;
    for (unsigned i = 0; i < 4000; i++) {
        struct how h = plain(text, WIRE_TYPE_A);
        h.client = i / 1000;
        h.id = (uint16_t)i;
        n_shed += ask(&h)->answered; /* query_check looks at the bytes after every turn */
    }
    size_t waiting = query_waiting(core_desk(w->core));
    ck_assert_uint_eq(waiting + n_shed, 4000);
    ck_assert_uint_ge(waiting, 1500);
    ck_assert_uint_ge(n_shed, 1000);
    ck_assert_uint_eq(w->n_sent, 1);
    world_run_for(w, 6000);
    ck_assert_uint_eq(query_waiting(core_desk(w->core)), 0);
}
END_TEST

/* The longest names, each asked by one client. */
START_TEST(what_waits_takes_no_more_memory_than_was_told)
{
    struct query_conf no_queries = w->conf.query;
    struct flight_conf no_flights = w->conf.flight;
    no_queries.queries_max = no_flights.flights_max = 0;
    size_t told = query_bytes_max(&w->conf.query) - query_bytes_max(&no_queries) +
                  flights_bytes_max(&w->conf.flight) - flights_bytes_max(&no_flights);
    char label[61] = "", name[256];
    memset(label, 'a', sizeof label - 1);
    w->server = silent_server;
    size_t before = memory_in_use();
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "%s.%s.%s.%.50s%04u.example", label, label, label, label, i);
        struct how h = plain(name, WIRE_TYPE_A);
        h.client = i / 100;
        ask(&h);
    }
    ck_assert_uint_eq(query_waiting(core_desk(w->core)), 2000);
    size_t taken = memory_in_use() - before;
    if (taken == 0)
        return;
    size_t of_the_world = w->n_sent * sizeof(struct sent);
    ck_assert_uint_ge(taken, of_the_world + told / 2);
    ck_assert_uint_le(taken, of_the_world + w->n_sent * 32 + told);
}
END_TEST

START_TEST(more_than_flights_max_are_not_under_way)
{
    teardown();
    w = world_create();
    w->conf.flight.flights_max = 2;
    world_start(w, 1);
    ask_a("a.example");
    ask_a("b.example");
    struct asked *c = ask_a("c.example");
    is_empty(c, WIRE_SERVFAIL, QUERY_FAILED);
    ck_assert_int_eq(asked_ede(c), WIRE_EDE_NETWORK_ERROR);
    world_run_for(w, 50);
    c = ask_a("c.example");
    world_run_for(w, 50);
    ck_assert_uint_eq(asked_answers(c), 1);
}
END_TEST

/* ---- what comes from upstream ---------------------------------------------------------------- */

START_TEST(negative_answers_age)
{
    w->server = nxdomain;
    struct how h = plain("a.example.net", WIRE_TYPE_A);
    struct asked *a = ask(&h);
    world_run_for(w, 40);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NXDOMAIN);
    ck_assert_uint_eq(asked_ttl(a), 120); /* RFC 2308 5: the smaller of TTL and MINIMUM */
    world_run_for(w, 50000);
    a = ask(&h);
    ck_assert_int_eq(a->end.source, QUERY_CACHE);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NXDOMAIN);
    ck_assert_uint_eq(asked_ttl(a), 70);
    world_run_for(w, 69999);
    ck_assert_uint_eq(asked_ttl(ask(&h)), 1);
    world_run_for(w, 1);
    ask(&h);
    ck_assert_uint_eq(w->n_sent, 2);
}
END_TEST

static void cname_to_nothing(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    uint8_t out[WIRE_MESSAGE_MAX], target[WIRE_NAME_MAX];
    size_t len = world_reply_start(s, WIRE_NXDOMAIN, out);
    size_t target_len = world_name("gone.example.net", target);
    len = world_add(out, len, 0, s->name, WIRE_TYPE_CNAME, 30, target, target_len);
    len = world_add_soa(out, len, "example.net", 300, 120);
    world_plan(s, 40, UPSTREAM_REPLY, out, len);
}

START_TEST(cname_with_nxdomain_is_passed_on_whole)
{
    w->server = cname_to_nothing;
    for (int i = 0; i < 2; i++) {
        struct asked *a = ask_a("a.example");
        world_run_for(w, 50);
        ck_assert_uint_eq(asked_rcode(a), WIRE_NXDOMAIN);
        ck_assert_uint_eq(asked_answers(a), 1);
        ck_assert_uint_eq(record(a, 0).type, WIRE_TYPE_CNAME);
        ck_assert_uint_eq(record(a, 1).type, WIRE_TYPE_SOA);
    }
    ck_assert_uint_eq(w->n_sent, 1);
    world_run_for(w, 30000); /* the smallest TTL of the answer decides */
    ask_a("a.example");
    ck_assert_uint_eq(w->n_sent, 2);
}
END_TEST

static void with_signature(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    static const uint8_t ip[4] = {192, 0, 2, 1};
    uint8_t out[WIRE_MESSAGE_MAX], sig[19 + 8] = {0, WIRE_TYPE_A, 13, 2};
    size_t len = world_reply_start(s, 0, out);
    len = world_add(out, len, 0, s->name, WIRE_TYPE_A, 60, ip, sizeof ip);
    len = world_add(out, len, 0, s->name, WIRE_TYPE_RRSIG, 60, sig, sizeof sig);
    world_plan(s, 40, UPSTREAM_REPLY, out, len);
}

START_TEST(signatures_are_for_those_who_ask_for_them)
{
    struct how h = plain("a.example", WIRE_TYPE_A);
    w->server = with_signature;
    for (unsigned i = 0; i < 4; i++) {
        h.dnssec_ok = i % 2 != 0;
        struct asked *a = ask(&h);
        world_run_for(w, 50);
        ck_assert_uint_eq(asked_answers(a), h.dnssec_ok ? 2 : 1);
    }
    ck_assert_uint_eq(w->n_sent, 2);
    ck_assert(!w->sent[0]->dnssec_ok && w->sent[1]->dnssec_ok);
}
END_TEST

static void unreachable_server(struct world *world, struct sent *s, void *ctx)
{
    (void)ctx;
    world_plan(s, world->rtt_ms, UPSTREAM_REFUSED, NULL, 0);
}

static void nxdomain_server(struct world *world, struct sent *s, void *ctx)
{
    uint8_t out[WIRE_MESSAGE_MAX];
    (void)ctx;
    size_t len = world_reply_start(s, WIRE_NXDOMAIN, out);
    len = world_add_soa(out, len, "example", world->ttl_s, world->ttl_s);
    world_plan(s, world->rtt_ms, UPSTREAM_REPLY, out, len);
}

static const struct {
    const char *name;
    uint16_t type, class, flags;
    world_server *first, *then; /* NULL: the ordinary one */
    int ede;
} errors[] = {
    {"old.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, NULL, silent_server, 3},
    {"gone.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, nxdomain_server, silent_server, 19},
    {"own.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, NULL, NULL, 4},
    {"led.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, NULL, NULL, 4},
    {"no.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, NULL, NULL, 15},
    {"ads.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, NULL, NULL, 15},
    {"a.example", WIRE_TYPE_AXFR, WIRE_CLASS_IN, WIRE_RD, NULL, NULL, 18},
    {"nothing.bind", WIRE_TYPE_TXT, WIRE_CLASS_CH, WIRE_RD, NULL, NULL, 18},
    {"a.example", WIRE_TYPE_A, WIRE_CLASS_IN, 0, NULL, NULL, 20},
    {"a.example", WIRE_TYPE_A, WIRE_CLASS_ANY, WIRE_RD, NULL, NULL, 21},
    {"a.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, silent_server, silent_server, 22},
    {"a.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, unreachable_server, unreachable_server, 23},
    {"b.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, NULL, NULL, -1},
    {"localhost", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, NULL, NULL, -1},
};

START_TEST(each_extended_error_is_told_to_those_with_edns)
{
    for (int with_edns = 1; with_edns >= 0; with_edns--) {
        restart();
        world_server *usual = w->server;
        world_poison(w, "own.example A 192.0.2.9\nled.example CNAME b.example.\n"
                        "no.example refused\n.ads.example nxdomain\n");
        struct how h = plain(errors[_i].name, errors[_i].type);
        h.class = errors[_i].class;
        h.flags = errors[_i].flags;
        h.edns = with_edns ? WIRE_UDP_MAX : 0;
        w->server = errors[_i].first != NULL ? errors[_i].first : usual;
        struct asked *a = ask(&h);
        world_run_for(w, 5000);
        if (errors[_i].then != errors[_i].first) {
            world_run_for(w, 60000);
            w->server = errors[_i].then != NULL ? errors[_i].then : usual;
            a = ask(&h);
            world_run_for(w, 5000);
        }
        struct wire_view opt;
        ck_assert_int_eq(asked_opt(a, &opt), with_edns);
        ck_assert_int_eq(asked_ede(a), with_edns ? errors[_i].ede : -1);
    }
}
END_TEST

START_TEST(each_source_is_told_once)
{
    uint16_t servfail = WIRE_SERVFAIL;
    world_poison(w, overrides);
    ask_a("silent.example");
    struct how h = plain("a.example", WIRE_TYPE_AXFR);
    ask(&h);
    ask_a("router.lan");
    ask_a("printer");
    ask_a("a.example");
    world_run_for(w, 50);
    ask_a("a.example");
    world_run_for(w, 60000);
    w->server = by_ctx;
    w->server_ctx = &servfail;
    ask_a("a.example"); /* stale */
    ask_a("b.example");
    world_run_for(w, 50);
    static const uint64_t expected[QUERY_FAILED + 1] = {[QUERY_DROPPED] = 1,
        [QUERY_REJECTED] = 1,
        [QUERY_OVERRIDE] = 1,
        [QUERY_SPECIAL] = 1,
        [QUERY_CACHE] = 1,
        [QUERY_STALE] = 1,
        [QUERY_UPSTREAM] = 1,
        [QUERY_FAILED] = 1};
    struct query_counts n;
    query_count(core_desk(w->core), &n);
    for (size_t i = 0; i <= QUERY_FAILED; i++) {
        ck_assert_uint_eq(w->ended[i], expected[i]);
        ck_assert_uint_eq(n.by_source[i], expected[i]);
    }
}
END_TEST

/* ---- memory that runs out (linked with --wrap) ----------------------------------------------- */

static struct {
    bool armed;
    unsigned n;       /* allocations since */
    unsigned fail_at; /* from 1 */
    bool for_good;    /* this one and all that follow */
    bool failed;
} memory;

static bool memory_is_out(void)
{
    if (!memory.armed || !w->in_core)
        return false;
    memory.n++;
    bool out = memory.for_good ? memory.n >= memory.fail_at : memory.n == memory.fail_at;
    memory.failed |= out;
    return out;
}

void *__real_malloc(size_t len);
void *__wrap_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__wrap_calloc(size_t n, size_t len);

void *__wrap_malloc(size_t len)
{
    return memory_is_out() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
    return memory_is_out() ? NULL : __real_calloc(n, len);
}

static void truncating(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    uint8_t out[WIRE_MESSAGE_MAX];
    if (s->transport == UPSTREAM_TCP)
        world_answer(s);
    else
        world_plan(s, 40, UPSTREAM_REPLY, out, world_reply_start(s, WIRE_TC, out));
}

static void guessed_at(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    if (s->transport == UPSTREAM_UDP)
        world_plan(s, 1, UPSTREAM_SUSPECT, NULL, 0);
    else
        world_plan(s, 60, UPSTREAM_REFUSED, NULL, 0);
    world_answer_after(s, 10);
}

static void refusing(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    world_plan(s, 1, UPSTREAM_REFUSED, NULL, 0);
}

static void one_question(void)
{
    ask_a("a.example");
}

static void over_tcp(void)
{
    struct how h = plain("a.example", WIRE_TYPE_A);
    h.transport = CLIENT_TCP;
    ask(&h);
}

static void many_questions(void)
{
    char name[] = "aa.example";
    world_begin(w);
    for (unsigned i = 0; i < 26; i++) {
        name[0] = (char)('a' + i);
        world_ask_more(w, i % 5, name, WIRE_TYPE_A);
    }
    world_end(w);
}

static void a_hit(void)
{
    one_question();
    world_run_for(w, 50);
    one_question();
}

static void joined(void)
{
    world_begin(w);
    for (unsigned i = 0; i < 3; i++)
        world_ask_more(w, i, "a.example", WIRE_TYPE_A);
    world_end(w);
}

static void repeated(void)
{
    w->server = by_ctx;
    one_question();
    one_question();
}

static void silence(void)
{
    w->server = by_ctx;
    one_question();
    world_run_for(w, 6000);
    one_question();
}

static void stale_answer(void)
{
    one_question();
    world_run_for(w, 70000);
    silence();
}

static void truncated_answer(void)
{
    w->server = truncating;
    one_question();
}

static void guessed_answer(void)
{
    w->server = guessed_at;
    one_question();
}

static void refused(void)
{
    w->server = refusing;
    one_question();
}

static void negative(void)
{
    w->server = nxdomain;
    one_question();
}

static void overridden(void)
{
    ask_a("router.lan");
    ask_a("blocked.example");
}

static void chased(void)
{
    ask_a("old.example");
}

static void chased_from_the_cache(void)
{
    ask_a("new.example.net");
    world_run_for(w, 50);
    ask_a("old.example");
}

static void chased_to_a_special_name(void)
{
    ask_a("nas.example");
}

static void special(void)
{
    ask_a("printer.local");
}

static void mistaken(void)
{
    uint8_t msg[WIRE_HEADER_LEN] = {0x12, 0x34};
    ask_bytes(msg, sizeof msg);
}

/* A visit to three names, again and again: the third brings prefetches. */
static void predicted(void)
{
    for (unsigned visit = 0; visit < 4; visit++) {
        for (char name[] = "a.visit.example"; name[0] < 'd'; name[0]++) {
            ask_a(name);
            world_run_for(w, 60);
        }
        world_run_for(w, 65000);
    }
}

static void reconfigured(void)
{
    w->in_core = true;
    w->conf.predict = true;
    core_reconfigure(w->core, &w->conf);
    w->in_core = false;
    predicted();
}

static void ended_in_mid_flight(void)
{
    many_questions();
    repeated();
}

static void (*const paths[])(void) = {one_question, over_tcp, many_questions, a_hit, joined,
    repeated, silence, stale_answer, truncated_answer, guessed_answer, refused, negative,
    overridden, chased, chased_from_the_cache, chased_to_a_special_name, special, mistaken,
    predicted, reconfigured, ended_in_mid_flight};
#define N_PATHS ((int)(sizeof paths / sizeof *paths))

static void answers_again(void)
{
    const char *broken = core_check(w->core);
    ck_assert_msg(broken == NULL, "%s", broken);
    world_run_for(w, 70000);
    ck_assert_uint_eq(query_waiting(core_desk(w->core)), 0);
    w->unchecked = false;
    w->server = truncating;
    struct asked *a = ask_a("after.example");
    world_run_for(w, 5000);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    ck_assert_uint_eq(asked_answers(a), 1);
    ck_assert_int_eq(ask_a("after.example")->end.source, QUERY_CACHE);
}

/* Walks the path with the k-th allocation failing. Returns whether there was a k-th. */
static bool walk(int path, unsigned k, bool for_good)
{
    restart();
    w->conf.predict = paths[path] != reconfigured;
    core_reconfigure(w->core, &w->conf);
    world_poison(w, overrides);
    w->unchecked = true;
    memset(&memory, 0, sizeof memory);
    memory.fail_at = k;
    memory.for_good = for_good;
    memory.armed = true;
    paths[path]();
    world_run_for(w, 50);
    memory.armed = false;
    bool failed = memory.failed;
    if (path != N_PATHS - 1) /* the last one is cut off */
        answers_again();
    return failed;
}

START_TEST(memory_runs_out_once)
{
    for (unsigned k = 1; walk(_i, k, false); k++)
        ck_assert_uint_lt(k, 2000);
}
END_TEST

START_TEST(memory_runs_out_for_good)
{
    for (unsigned k = 1; walk(_i, k, true); k++)
        ck_assert_uint_lt(k, 2000);
}
END_TEST

START_TEST(memory_runs_out_at_the_start)
{
    static const uint8_t seed[RNG_SEED_LEN] = {1};
    struct core_world world = {.rng = rng_create(seed)};
    unsigned k = 0;
    w->conf.predict = true;
    do {
        memset(&memory, 0, sizeof memory);
        memory.fail_at = ++k;
        memory.armed = w->in_core = true;
        struct core *core = core_create(&w->conf, &world, 0);
        memory.armed = w->in_core = false;
        ck_assert((core == NULL) == memory.failed);
        core_free(core, 0);
    } while (memory.failed);
    ck_assert_uint_gt(k, 5);
    rng_free(world.rng);
}
END_TEST

/* ---- all of them ----------------------------------------------------------------------------- */

START_TEST(two_overrides_with_one_target_are_two_questions)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, 1, CLIENT_UDP);
    world_poison(w, "b.lan CNAME slow.example.\nc.lan CNAME slow.example.\n");
    struct asked *b = world_ask_raw(
        w, &c, msg, world_question(msg, 7, "b.lan", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, 0, false));
    struct asked *other = world_ask_raw(
        w, &c, msg, world_question(msg, 7, "c.lan", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, 0, false));
    world_run_for(w, 1000);
    ck_assert_uint_eq(asked_answers(b), 2);
    ck_assert_uint_eq(asked_answers(other), 2);
    ck_assert_uint_eq(w->n_sent, 1);
}
END_TEST

START_TEST(pass_lifts_the_special_rules_for_a_target_too)
{
    world_poison(w, "a.lan CNAME host.test.\n.test pass\n");
    struct asked *a = world_ask(w, 1, "a.lan", WIRE_TYPE_A);
    world_run_for(w, 1000);
    ck_assert_uint_eq(asked_rcode(a), WIRE_NOERROR);
    ck_assert_uint_eq(asked_answers(a), 2);
}
END_TEST

START_TEST(verdicts_and_special_names_hold_for_any_too)
{
    world_poison(w, "blk.example nxdomain\ndrp.example drop\nref.example refused\n"
                    "own.example 192.0.2.1\n");
    ck_assert_uint_eq(asked_rcode(world_ask(w, 1, "blk.example", WIRE_TYPE_ANY)), WIRE_NXDOMAIN);
    ck_assert(world_ask(w, 1, "drp.example", WIRE_TYPE_ANY)->dropped);
    ck_assert_uint_eq(asked_rcode(world_ask(w, 1, "ref.example", WIRE_TYPE_ANY)), WIRE_REFUSED);
    ck_assert_uint_eq(asked_rcode(world_ask(w, 1, "x.onion", WIRE_TYPE_ANY)), WIRE_NXDOMAIN);
    ck_assert_uint_eq(asked_answers(world_ask(w, 1, "own.example", WIRE_TYPE_ANY)), 1);
    ck_assert_uint_eq(asked_answers(world_ask(w, 1, "www.example", WIRE_TYPE_ANY)), 1);
    ck_assert_uint_eq(w->n_sent, 0);
}
END_TEST

static void add_gates(TCase *t)
{
    tcase_add_test(t, what_is_no_query_gets_no_reply);
    tcase_add_test(t, two_overrides_with_one_target_are_two_questions);
    tcase_add_test(t, pass_lifts_the_special_rules_for_a_target_too);
    tcase_add_test(t, verdicts_and_special_names_hold_for_any_too);
    tcase_add_test(t, formerr_is_a_bare_header_where_the_question_does_not_parse);
    tcase_add_test(t, formerr_repeats_the_question_where_it_parses);
    tcase_add_test(t, other_opcodes_are_not_implemented);
    tcase_add_test(t, types_of_transfers_and_keys_are_refused);
    tcase_add_test(t, classes_but_in_are_refused);
    tcase_add_test(t, chaos_is_told_to_this_machine_only);
    tcase_add_test(t, unknown_edns_options_and_flags_are_ignored);
    tcase_add_test(t, edns_above_version_0_is_badvers);
    tcase_add_test(t, a_client_subnet_goes_no_further);
    tcase_add_test(t, every_gate_is_the_same_over_udp_and_tcp);
    tcase_add_test(t, signed_questions_are_refused);
    tcase_add_test(t, types_at_the_edges);
    tcase_add_test(t, any_gets_one_small_record);
    tcase_add_test(t, names_at_the_edges);
    tcase_add_test(t, strangers_get_nothing);
    tcase_add_test(t, strangers_are_not_even_told_of_mistakes);
    tcase_add_test(t, allow_says_who_is_served);
    tcase_add_test(t, special_names_are_answered_here);
    tcase_add_test(t, a_single_label_that_is_denied_denies_nothing_below);
    tcase_add_test(t, neighbours_of_special_names_go_upstream);
    tcase_add_test(t, without_rd_only_own_names_are_answered);
    tcase_add_test(t, without_forward_what_is_not_overridden_is_refused);
}

static void add_overrides(TCase *t)
{
    tcase_add_test(t, override_with_an_address);
    tcase_add_test(t, override_of_another_type_is_nodata);
    tcase_add_test(t, override_verdicts);
    tcase_add_test(t, overrides_come_before_special_names);
    tcase_add_test(t, an_override_beats_what_is_cached);
    tcase_add_test(t, the_target_of_an_override_is_added_to_the_answer);
    tcase_add_test(t, clients_of_an_override_and_of_its_target_share_a_flight);
    tcase_add_test(t, a_target_that_fails_is_left_alone_for_a_while);
    tcase_add_test(t, a_stale_target_does_for_a_server_that_is_silent);
    tcase_add_test(t, a_target_that_is_special_is_not_sent_upstream);
    tcase_add_test(t, a_cname_itself_is_not_followed);
    tcase_add_test(t, a_target_is_asked_for_with_the_flags_of_the_client);
    tcase_add_test(t, a_target_that_does_not_exist_is_nxdomain_behind_the_chain);
}

static void add_replies(TCase *t)
{
    tcase_add_test(t, a_hit_is_the_clients_own_reply);
    tcase_add_test(t, do_and_cd_are_copied);
    tcase_add_test(t, ad_passes_only_where_the_server_is_trusted);
    tcase_add_test(t, ad_passes_only_where_it_was_asked_for);
    tcase_add_test(t, keepalive_is_told_over_tcp_to_those_who_ask);
    tcase_add_test(t, replies_over_udp_are_what_the_client_takes);
    tcase_add_test(t, tcp_gets_the_largest_answer);
    tcase_add_test(t, late_is_bare_over_udp_and_whole_over_tcp);
    tcase_add_test(t, only_the_same_id_port_and_question_is_a_repeat);
    tcase_add_test(t, a_repeat_behind_a_reload_of_the_overrides_waits_on);
    tcase_add_test(t, after_its_end_a_question_is_no_repeat);
    tcase_add_test(t, more_than_queries_max_do_not_wait);
    tcase_add_test(t, chains_of_those_who_wait_are_bounded_in_all);
    tcase_add_test(t, what_waits_takes_no_more_memory_than_was_told);
    tcase_add_test(t, more_than_flights_max_are_not_under_way);
    tcase_add_test(t, negative_answers_age);
    tcase_add_test(t, cname_with_nxdomain_is_passed_on_whole);
    tcase_add_test(t, signatures_are_for_those_who_ask_for_them);
    tcase_add_loop_test(t, each_extended_error_is_told_to_those_with_edns, 0,
        (int)(sizeof errors / sizeof errors[0]));
    tcase_add_test(t, each_source_is_told_once);
}

static void add_memory(TCase *t)
{
    tcase_add_loop_test(t, memory_runs_out_once, 0, N_PATHS);
    tcase_add_loop_test(t, memory_runs_out_for_good, 0, N_PATHS);
    tcase_add_test(t, memory_runs_out_at_the_start);
}

static void add_case(Suite *s, const char *name, void (*add)(TCase *t))
{
    TCase *t = tcase_create(name);
    tcase_add_checked_fixture(t, setup, teardown);
    add(t);
    suite_add_tcase(s, t);
}

int main(void)
{
    Suite *s = suite_create("replay/query");
    add_case(s, "gates", add_gates);
    add_case(s, "overrides", add_overrides);
    add_case(s, "replies", add_replies);
    add_case(s, "memory", add_memory);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
