/* hostile.c: everything that a liar can send, on virtual time: what is not the reply must change
 * nothing. The same forgeries go over real sockets in tests/system/hostile_upstream.c. */
#include "tests/replay/world.h"
#include "tests/system/forgery.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define RIGHT_MS  50
#define N_LAYOUTS 5
#define NAME_MAX_ (FORGERY_NAME_MAX + 16)

static struct world *w;

/* Of so many servers the first so many lie. */
struct layout {
    unsigned liars, servers;
};
static const struct layout layouts[N_LAYOUTS] = {{1, 1}, {1, 2}, {1, 3}, {2, 2}, {3, 3}};
static const struct layout *layout;
static bool right_follows;

static void serve(struct world *world, struct sent *s, void *ctx);

static void start(int i)
{
    layout = &layouts[i];
    w = world_create();
    world_start(w, layout->servers);
    w->server = serve;
}

static void plan_forgery(struct sent *s)
{
    static uint8_t out[FORGERY_MAX];
    char label[FORGERY_NAME_MAX];
    enum forgery_fate fate;
    snprintf(label, sizeof label, "%.*s", (int)strcspn(s->name, "."), s->name);
    int len = forgery_make(label, s->msg, s->len, out, &fate);
    if (len >= 0 && (fate != FORGERY_CASE || s->transport == UPSTREAM_UDP))
        world_plan(s, 10, UPSTREAM_REPLY, out, (size_t)len);
}

/* Forgeries are an off-path attacker's: over TCP nobody but the server can speak. */
static void serve(struct world *world, struct sent *s, void *ctx)
{
    (void)world;
    (void)ctx;
    bool lies = s->server.ip[15] <= layout->liars;
    if (lies && (s->transport == UPSTREAM_UDP || !right_follows))
        plan_forgery(s);
    if (!lies || right_follows)
        world_answer_after(s, RIGHT_MS);
}

static bool has_forged_address(const struct asked *a)
{
    for (size_t i = 0; i + 4 <= a->len; i++)
        if (memcmp(a->reply + i, forgery_forged, 4) == 0)
            return true;
    return false;
}

static size_t sent_for(const char *name, enum upstream_transport transport)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_sent; i++)
        n += w->sent[i]->transport == transport && strcmp(w->sent[i]->name, name) == 0;
    return n;
}

static const char *name_of(size_t i, char name[NAME_MAX_])
{
    char label[FORGERY_NAME_MAX];
    if (forgery_name(i, label) == NULL)
        return NULL;
    snprintf(name, NAME_MAX_, "%s.example", label);
    return name;
}

static enum forgery_fate fate_of(size_t i)
{
    static uint8_t out[FORGERY_MAX], msg[WIRE_QUERY_MAX];
    char label[FORGERY_NAME_MAX];
    enum forgery_fate fate = FORGERY_THROWN_AWAY;
    forgery_name(i, label);
    size_t len = world_question(msg, 1, "a.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, 0, false);
    ck_assert_int_ge(forgery_make(label, msg, len, out, &fate), 0);
    return fate;
}

static void check_servers(void)
{
    struct server_state state;
    for (size_t i = 0; i < layout->servers; i++) {
        ck_assert_int_eq(servers_state(core_servers(w->core), i, w->now_ms, &state), 0);
        ck_assert(!state.left_alone);
        ck_assert_uint_eq(state.silent + state.refused, 0);
    }
}

static void check_limits(const char *name)
{
    size_t udp = sent_for(name, UPSTREAM_UDP), tcp = sent_for(name, UPSTREAM_TCP);
    ck_assert_msg(udp <= FLIGHT_UDP_MAX && tcp <= FLIGHT_TCP_MAX, "%s: %zu over UDP, %zu over TCP",
        name, udp, tcp);
}

static void check_flights(void)
{
    struct flight_counts n;
    flight_count(core_flights(w->core), &n);
    ck_assert_uint_eq(n.under_way, 0);
}

/* ---- the forgeries themselves ---------------------------------------------------------------- */

START_TEST(a_real_answer_is_cut_at_every_byte)
{
    static uint8_t out[FORGERY_MAX];
    uint8_t msg[WIRE_QUERY_MAX];
    char label[FORGERY_NAME_MAX];
    enum forgery_fate fate;
    bool seen[512] = {false};
    size_t longest = 0;
    size_t len =
        world_question(msg, 1, "cut.example", WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, 1232, false);
    for (size_t i = 0; forgery_name(i, label) != NULL; i++) {
        int cut = forgery_make(label, msg, len, out, &fate);
        ck_assert_msg(cut >= 0, "%s", label);
        if (strncmp(label, "cut-", 4) != 0)
            continue;
        seen[cut] = true;
        longest = (size_t)cut > longest ? (size_t)cut : longest;
    }
    for (size_t i = 0; i <= longest; i++)
        ck_assert(seen[i]);
    ck_assert_uint_gt(longest, len + 40); /* records too */
}
END_TEST

/* ---- the right answer follows ---------------------------------------------------------------- */

START_TEST(forgery_before_the_right_reply_changes_nothing)
{
    char name[NAME_MAX_];
    start(_i);
    right_follows = true;
    for (size_t i = 0; name_of(i, name) != NULL; i++) {
        enum forgery_fate fate = fate_of(i);
        uint64_t least_ms = fate == FORGERY_HARMLESS ? 10 : RIGHT_MS;
        struct asked *a = world_ask(w, 1, name, WIRE_TYPE_A);
        world_run_for(w, 500);
        ck_assert_msg(a->answered, "%s: no reply", name);
        ck_assert_msg(asked_took(a) >= least_ms && asked_took(a) <= RIGHT_MS + 10 &&
                          asked_answers(a) == 1 && !has_forged_address(a),
            "%s: %zu answers after %d ms", name, asked_answers(a), (int)asked_took(a));
        ck_assert_uint_eq(sent_for(name, UPSTREAM_UDP), 1);
        ck_assert_uint_eq(sent_for(name, UPSTREAM_TCP), fate == FORGERY_CASE);
        ck_assert_uint_eq(asked_took(world_ask(w, 1, name, WIRE_TYPE_A)), 0); /* cached */
    }
    check_servers();
    world_free(w);
}
END_TEST

static bool prefetch(const char *name)
{
    uint8_t msg[WIRE_QUERY_MAX], key[WIRE_KEY_MAX];
    struct wire_query q;
    size_t len = world_question(msg, 1, name, WIRE_TYPE_A, WIRE_CLASS_IN, WIRE_RD, 0, false);
    ck_assert_int_eq(wire_parse_query(msg, len, &q), WIRE_QUERY_OK);
    world_begin(w);
    bool sent = flight_prefetch(core_flights(w->core), key, wire_key_write(&q.question, 0, key));
    world_end(w);
    return sent;
}

START_TEST(forgery_before_the_reply_to_a_prefetch_changes_nothing)
{
    char name[NAME_MAX_];
    start(_i);
    right_follows = true;
    for (size_t i = 0; name_of(i, name) != NULL; i++) {
        bool lost = fate_of(i) == FORGERY_CASE; /* a prefetch is not worth a proof over TCP */
        ck_assert(prefetch(name));
        world_run_for(w, 5000);
        struct asked *a = world_ask(w, 1, name, WIRE_TYPE_A);
        world_run_for(w, 500);
        ck_assert_msg(asked_took(a) == 0 || lost, "%s: not cached", name);
        ck_assert_msg(asked_answers(a) == 1 && !has_forged_address(a), "%s", name);
    }
    check_servers();
    check_flights();
    world_free(w);
}
END_TEST

/* ---- nothing but forgeries ------------------------------------------------------------------- */

START_TEST(nothing_but_forgeries_is_silence)
{
    char name[NAME_MAX_];
    right_follows = false;
    for (size_t i = 0; forgery_name(i, name) != NULL; i++) {
        start(_i);
        name_of(i, name);
        enum forgery_fate fate = fate_of(i);
        bool answered = layout->liars < layout->servers;
        uint64_t most_ms = !answered ? 5000 : fate == FORGERY_CASE ? 2000 : 1000;
        struct asked *a = world_ask(w, 1, name, WIRE_TYPE_A);
        world_run_for(w, 6000);
        ck_assert_msg(a->answered && !has_forged_address(a), "%s", name);
        answered |= fate == FORGERY_HARMLESS && asked_rcode(a) == WIRE_NOERROR;
        ck_assert_msg(asked_rcode(a) == (answered ? WIRE_NOERROR : WIRE_SERVFAIL), "%s: rcode %u",
            name, asked_rcode(a));
        ck_assert_uint_eq(asked_answers(a), answered);
        ck_assert_uint_le(asked_took(a), most_ms);
        check_limits(name);
        check_flights();
        world_free(w);
    }
}
END_TEST

START_TEST(nothing_but_forgeries_leaves_the_stale_answer)
{
    char name[NAME_MAX_];
    for (size_t i = 0; forgery_name(i, name) != NULL; i++) {
        if (fate_of(i) == FORGERY_HARMLESS)
            continue;
        start(_i);
        name_of(i, name);
        layout = &(struct layout){0, 1};
        world_ask(w, 1, name, WIRE_TYPE_A);
        world_run_for(w, 70000);
        layout = &(struct layout){SERVERS_MAX, SERVERS_MAX};
        right_follows = false;
        for (int k = 0; k < 2; k++) {
            struct asked *a = world_ask(w, 1, name, WIRE_TYPE_A);
            world_run_for(w, 6000);
            ck_assert_msg(asked_answers(a) == 1 && !has_forged_address(a), "%s", name);
            ck_assert_uint_eq(asked_ttl(a), QUERY_STALE_TTL_S);
            ck_assert_uint_le(asked_took(a), FLIGHT_STALE_MS);
        }
        world_free(w);
    }
}
END_TEST

static void add_tests(TCase *t)
{
    tcase_add_test(t, a_real_answer_is_cut_at_every_byte);
    tcase_add_loop_test(t, forgery_before_the_right_reply_changes_nothing, 0, N_LAYOUTS);
    tcase_add_loop_test(t, forgery_before_the_reply_to_a_prefetch_changes_nothing, 0, N_LAYOUTS);
    tcase_add_loop_test(t, nothing_but_forgeries_is_silence, 0, N_LAYOUTS);
    tcase_add_loop_test(t, nothing_but_forgeries_leaves_the_stale_answer, 0, N_LAYOUTS);
}

int main(void)
{
    Suite *s = suite_create("replay/hostile");
    TCase *t = tcase_create("hostile");
    add_tests(t);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
