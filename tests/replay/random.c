/* random.c: chance upon the whole core: clients that ask anything, servers that do anything, time
 * and settings that jump, with every invariant looked at after every turn. A seed gives the same
 * run each time. Knows the core by the replay world. */
#include "tests/replay/world.h"

#include <check.h>
#include <string.h>

#define EVENTS 4000
#define RUNS   12

static struct world *w;
static uint64_t state;

static uint32_t chance(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 16) % below);
}

#define ONE_OF(list) ((list)[chance((uint32_t)(sizeof(list) / sizeof *(list)))])

/* ---- servers --------------------------------------------------------------------------------- */

/* Whatever holds this address must never reach a client. */
static const uint8_t forged[4] = {6, 6, 6, 6};

static size_t forgery(const struct sent *s, uint8_t out[WIRE_MESSAGE_MAX])
{
    size_t len = world_reply_start(s, 0, out);
    return world_add(out, len, 0, s->name, WIRE_TYPE_A, 5, forged, sizeof forged);
}

/* Something that is not the awaited reply. */
static void plan_junk(struct sent *s)
{
    uint8_t out[WIRE_MESSAGE_MAX];
    size_t len = forgery(s, out);
    switch (chance(8)) {
    case 0:
        out[0] ^= 0x40;
        break;
    case 1:
        out[2] &= 0x7f;
        break;
    case 2:
        out[13] ^= 3; /* another name */
        break;
    case 3:
        out[5] = (uint8_t)(2 * chance(2));
        break;
    case 4:
        len = chance((uint32_t)len);
        break;
    case 5:
        out[7] = (uint8_t)(2 + chance(200));
        break;
    case 6:
        for (size_t i = 0; i < len; i++)
            out[i] = (uint8_t)chance(256);
        break;
    default: /* for another name, under the right question */
        len = world_reply_start(s, 0, out);
        len = world_add(out, len, 0, "victim.example", WIRE_TYPE_A, 5, forged, sizeof forged);
    }
    world_plan(s, chance(100), UPSTREAM_REPLY, out, len);
}

static void plan_negative(struct sent *s, uint64_t delay_ms)
{
    uint8_t out[WIRE_MESSAGE_MAX], target[WIRE_NAME_MAX];
    size_t len = world_reply_start(s, chance(2) == 0 ? WIRE_NXDOMAIN : 0, out);
    if (chance(3) == 0)
        len = world_add(out, len, 0, s->name, WIRE_TYPE_CNAME, chance(6), target,
            world_name("target.example", target));
    if (chance(4) != 0)
        len = world_add_soa(out, len, "example", chance(6), chance(6));
    world_plan(s, delay_ms, UPSTREAM_REPLY, out, len);
}

static void plan_header(struct sent *s, uint64_t delay_ms, uint16_t flags, bool bare)
{
    uint8_t out[WIRE_MESSAGE_MAX];
    size_t len = world_reply_start(s, flags, out);
    if (bare) {
        out[5] = 0;
        len = WIRE_HEADER_LEN;
    }
    world_plan(s, delay_ms, UPSTREAM_REPLY, out, len);
}

static void plan_small_letters(struct sent *s, uint64_t delay_ms)
{
    uint8_t out[WIRE_MESSAGE_MAX];
    size_t len = world_reply_start(s, 0, out);
    wire_name_lower(out + WIRE_HEADER_LEN, len - WIRE_HEADER_LEN - 4, out + WIRE_HEADER_LEN);
    len = world_add_soa(out, len, "example", 2, 2);
    world_plan(s, delay_ms, UPSTREAM_REPLY, out, len);
}

static void plan_trouble(struct sent *s, uint64_t delay_ms)
{
    static const uint16_t errors[] = {
        WIRE_FORMERR, WIRE_SERVFAIL, WIRE_NOTIMP, WIRE_REFUSED, 9, 15};
    switch (chance(8)) {
    case 0: /* silence */
        break;
    case 1:
        plan_header(s, delay_ms, ONE_OF(errors), false);
        break;
    case 2:
        plan_header(s, delay_ms, chance(2) == 0 ? WIRE_FORMERR : WIRE_NOTIMP, true);
        break;
    case 3:
        plan_header(s, delay_ms, WIRE_TC, false);
        break;
    case 4:
        world_plan(s, delay_ms, UPSTREAM_REFUSED, NULL, 0);
        break;
    case 5:
        world_plan(s, 0, UPSTREAM_NOT_SENT, NULL, 0);
        break;
    case 6:
        if (s->transport == UPSTREAM_UDP)
            world_plan(s, delay_ms, UPSTREAM_SUSPECT, NULL, 0);
        world_answer_after(s, delay_ms + chance(100));
        break;
    default:
        plan_small_letters(s, delay_ms);
    }
}

/* ctx: how many of a hundred messages meet trouble. */
static void moody(struct world *world, struct sent *s, void *ctx)
{
    static const uint64_t delays_ms[] = {0, 1, 20, 40, 40, 40, 300, 1000, 1799, 1801, 2500, 5000};
    uint64_t delay_ms = ONE_OF(delays_ms);
    world->ttl_s = chance(6);
    if (chance(4) == 0)
        plan_junk(s);
    if (chance(100) < *(uint32_t *)ctx)
        plan_trouble(s, delay_ms);
    else if (chance(5) == 0)
        plan_negative(s, delay_ms);
    else
        world_answer_after(s, delay_ms);
}

/* ---- clients --------------------------------------------------------------------------------- */

static const char *const overrides[] = {"", "a.example A 192.0.2.1\n.c.example nxdomain\n",
    "b.example CNAME d.example.\nd.example drop\n",
    "a.example CNAME e.example.\n*.example pass\nlocal pass\n",
    ".example refused\nb.example CNAME x.local.\n"};

/* What a client takes, and what it asked. */
struct expectation {
    size_t limit;
    uint16_t id;
    bool stream;
};

static struct expectation expected[WORLD_ASKED_MAX];

static void ask_something(void)
{
    static const char *const names[] = {"a.example", "b.example", "c.example", "d.example",
        "E.example", "e.eXample", "f.g.h.c.example", "x.local", "localhost", "single", ""};
    static const uint16_t types[] = {WIRE_TYPE_A, WIRE_TYPE_A, WIRE_TYPE_A, WIRE_TYPE_A,
        WIRE_TYPE_AAAA, WIRE_TYPE_AAAA, WIRE_TYPE_HTTPS, WIRE_TYPE_TXT, WIRE_TYPE_NS,
        WIRE_TYPE_CNAME, WIRE_TYPE_ANY, WIRE_TYPE_AXFR, WIRE_TYPE_OPT, 0, 65535};
    static const uint16_t sizes[] = {0, 1, 512, 1232, 4096, 65535};
    static const uint16_t flags[] = {WIRE_RD, WIRE_RD, WIRE_RD, WIRE_RD, WIRE_RD | WIRE_CD,
        WIRE_RD | WIRE_AD, 0, WIRE_RD | 0x2800, 0x8000};
    uint8_t msg[WIRE_QUERY_MAX];
    uint16_t edns = ONE_OF(sizes), id = (uint16_t)chance(50);
    bool stream = chance(5) == 0;
    struct client c = world_client(w, 1 + chance(6), stream ? CLIENT_TCP : CLIENT_UDP);
    size_t len = world_question(msg, id, ONE_OF(names), ONE_OF(types),
        chance(50) == 0 ? (uint16_t)chance(300) : WIRE_CLASS_IN, ONE_OF(flags), edns,
        chance(4) == 0);
    if (chance(40) == 0)
        len = chance((uint32_t)len);
    struct expectation *e = &expected[w->n_asked];
    e->stream = stream;
    e->limit = stream ? WIRE_MESSAGE_MAX : edns > WIRE_UDP_MIN ? WIRE_UDP_MAX : WIRE_UDP_MIN;
    if (chance(40) == 0) {
        msg[chance((uint32_t)len + 1)] = (uint8_t)chance(256);
        e->limit = stream ? WIRE_MESSAGE_MAX : WIRE_UDP_MAX;
    }
    e->id = (uint16_t)(msg[0] << 8 | msg[1]);
    world_ask_raw(w, &c, msg, len);
    if (chance(10) == 0) {
        expected[w->n_asked] = *e;
        world_ask_raw(w, &c, msg, len);
    }
}

static void ask_some(void)
{
    world_begin(w);
    for (uint32_t n = 1 + chance(chance(20) == 0 ? 30 : 3); n > 0; n--)
        ask_something();
    if (chance(4) == 0)
        world_deliver(w);
    world_end(w);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void set_servers(void)
{
    struct server_conf list[SERVERS_MAX] = {0};
    size_t n = chance(5);
    for (size_t i = 0; i < n; i++) {
        uint8_t host = (uint8_t)(1 + chance(6));
        list[i].addr = (struct addr){.ip = {[10] = 0xff, 0xff, 192, 0, 2, host}, .port = 53};
        list[i].trust_ad = chance(2) == 0;
    }
    servers_set(core_servers(w->core), list, n, w->now_ms);
}

static void reconfigure(void)
{
    static const uint64_t stales_ms[] = {0, 3000, 86400000}, onces_ms[] = {0, 500, 2000};
    if (chance(3) == 0)
        predict_conf_seed(&w->conf.prediction);
    else
        predict_conf_default(&w->conf.prediction);
    w->conf.prediction.share = 1 + chance(2);
    w->conf.predict = chance(6) != 0;
    w->conf.flight.stale_ms = ONE_OF(stales_ms);
    w->conf.flight.once_ms = ONE_OF(onces_ms);
    w->conf.flight.prefetches_max = chance(40);
    w->conf.query.forward = chance(10) != 0;
    w->conf.query.queries_max = chance(10) == 0 ? 3 : 2000;
    ck_assert_int_eq(core_reconfigure(w->core, &w->conf), 0);
}

static void let_time_pass(void)
{
    static const uint32_t longest_ms[] = {2, 50, 50, 50, 300, 300, 2000, 12000};
    if (chance(200) == 0)
        world_run_for(w, 3600 * 1000);
    else
        world_run_for(w, chance(ONE_OF(longest_ms)));
}

/* ---- what must hold -------------------------------------------------------------------------- */

/* The context of a message is its place in its flight, of which there are two for UDP and one for
 * TCP: no two messages may wait in one place. */
static void few_are_open(void)
{
    const struct sent *open[256];
    size_t n = 0;
    for (size_t i = 0; i < w->n_sent; i++) {
        if (!w->sent[i]->open)
            continue;
        for (size_t k = 0; k < n; k++)
            ck_assert_ptr_ne(open[k]->ctx, w->sent[i]->ctx);
        ck_assert_uint_lt(n, 256);
        open[n++] = w->sent[i];
    }
}

static void counts_fit(void)
{
    struct flight_counts n;
    flight_count(core_flights(w->core), &n);
    ck_assert_uint_le(n.udp_sent, FLIGHT_UDP_MAX * (n.started + n.prefetched));
    ck_assert_uint_le(n.tcp_sent, FLIGHT_TCP_MAX * (n.started + n.prefetched));
    ck_assert_uint_eq(n.udp_sent, sent_over(w, UPSTREAM_UDP));
    ck_assert_uint_eq(n.tcp_sent, sent_over(w, UPSTREAM_TCP));
    ck_assert_uint_eq(n.under_way, 0);
    ck_assert_uint_eq(n.speculative, 0);
}

static void reply_is_sound(const struct asked *a, const struct expectation *e)
{
    struct wire_cursor c;
    struct wire_view v;
    int more;
    ck_assert_uint_le(a->len, e->limit);
    ck_assert_int_eq(a->reply[0] << 8 | a->reply[1], e->id);
    ck_assert_int_ne(a->reply[2] & 0x80, 0);
    ck_assert_uint_le(asked_took(a), FLIGHT_LIFE_MS);
    ck_assert(e->stream || asked_took(a) <= QUERY_LATE_MS || asked_answers(a) == 0);
    ck_assert_int_eq(wire_cursor_start(&c, a->reply, a->len), 0);
    while ((more = wire_cursor_next(&c, &v)) == 1)
        ck_assert(v.type != WIRE_TYPE_A || memcmp(a->reply + v.rdata_at, forged, 4) != 0);
    ck_assert_int_eq(more, 0);
    ck_assert_uint_eq(c.at, a->len);
}

static void everything_is_over(void)
{
    world_run_for(w, 20000);
    ck_assert_uint_eq(query_waiting(core_desk(w->core)), 0);
    for (size_t i = 0; i < w->n_sent; i++)
        ck_assert(!w->sent[i]->open);
    for (size_t i = 0; i < w->n_asked; i++) {
        ck_assert_uint_eq(w->asked[i].n_ended, 1);
        if (w->asked[i].answered)
            reply_is_sound(&w->asked[i], &expected[i]);
    }
    counts_fit();
}

START_TEST(chance_finds_nothing)
{
    uint32_t trouble = 20;
    state = (uint64_t)_i * 0x9e3779b97f4a7c15 + 1;
    w = world_create();
    w->conf.predict = true;
    w->conf.flight.flights_max = 40;
    w->server = moody;
    w->server_ctx = &trouble;
    world_start(w, 2);
    for (unsigned i = 0; i < EVENTS && w->n_asked < WORLD_ASKED_MAX - 64; i++) {
        uint32_t what = chance(100);
        if (what < 50)
            ask_some();
        else if (what < 97)
            let_time_pass();
        else if (what == 97)
            world_poison(w, ONE_OF(overrides));
        else if (what == 98)
            chance(2) == 0 ? set_servers() : reconfigure();
        else
            trouble = chance(2) == 0 ? chance(100) : 0;
        few_are_open();
    }
    everything_is_over();
    ck_assert_uint_gt(w->n_sent, 300);
    for (size_t i = QUERY_REJECTED; i <= QUERY_FAILED; i++)
        ck_assert_msg(w->ended[i] > 0 || i == QUERY_CHAOS, "no question came to end %zu", i);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("replay/random");
    TCase *t = tcase_create("random");
    tcase_add_loop_test(t, chance_finds_nothing, 1, 1 + RUNS);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
