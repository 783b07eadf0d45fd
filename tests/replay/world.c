/* world.c: the whole core on virtual time, with a scripted upstream at the link seam of upstream.h.
 * Knows the doors of the core; never a socket, a clock or a file. */
#include "tests/replay/world.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct plan {
    struct plan *next;
    uint64_t at_ms;
    struct sent *to;
    enum upstream_event event;
    size_t len;
    uint8_t msg[];
};

/* The world is called from the core: returns what in_core is to be at the end. */
static bool outside(struct world *w)
{
    bool in_core = w->in_core;
    w->in_core = false;
    return in_core;
}

/* Where a test lets malloc and calloc fail, the world itself goes on. */
static void *world_alloc(size_t len)
{
    void *p = realloc(NULL, len);
    ck_assert_ptr_nonnull(p);
    return p;
}

/* ---- upstream.h ------------------------------------------------------------------------------ */

struct upstream {
    struct world *w;
};

struct upstream_ask {
    struct sent sent;
};

static struct upstream the_upstream;

static void read_question(struct sent *s)
{
    struct wire_query q;
    uint8_t name[WIRE_NAME_MAX];
    ck_assert_int_eq(wire_parse_query(s->msg, s->len, &q), WIRE_QUERY_OK);
    wire_name_lower(q.question.name, q.question.name_len, name);
    wire_name_text(name, q.question.name_len, s->name);
    s->type = q.question.type;
    s->flags = q.flags;
    s->dnssec_ok = q.edns.dnssec_ok;
}

struct upstream_ask *upstream_ask(struct upstream *u, const struct addr *server,
    enum upstream_transport transport, const uint8_t *msg, size_t len, upstream_done *done,
    void *ctx)
{
    struct world *w = u->w;
    struct upstream_ask *a = w->door_shut ? NULL : calloc(1, sizeof *a);
    if (a == NULL) /* a test lets memory run out */
        return NULL;
    w->in_core = false;
    ck_assert_uint_lt(w->n_sent, WORLD_SENT_MAX);
    ck_assert_uint_le(len, WIRE_QUERY_MAX);
    struct sent *s = &a->sent;
    w->sent[w->n_sent++] = s;
    s->w = w;
    s->server = *server;
    s->transport = transport;
    s->sent_ms = w->now_ms;
    memcpy(s->msg, msg, len);
    s->len = len;
    uint16_t id = rng_u16(w->rng);
    s->msg[0] = (uint8_t)(id >> 8);
    s->msg[1] = (uint8_t)id;
    s->open = true;
    s->done = done;
    s->ctx = ctx;
    read_question(s);
    w->server(w, s, w->server_ctx);
    w->in_core = true;
    return a;
}

int upstream_source(struct upstream *u, const struct addr *server, struct addr *source)
{
    (void)server;
    *source = u->w->source;
    return u->w->no_source ? -1 : 0;
}

void upstream_cancel(struct upstream_ask *a)
{
    if (a == NULL)
        return;
    bool in_core = outside(a->sent.w);
    ck_assert_msg(a->sent.open, "an ask is cancelled that was over");
    a->sent.open = false;
    a->sent.w->in_core = in_core;
}

/* As the exchange does: what does not match is thrown away, what matches is offered. */
static void deliver(struct plan *p)
{
    struct sent *s = p->to;
    enum upstream_event event = p->event;
    if (!s->open)
        return;
    if (event == UPSTREAM_REPLY) {
        enum wire_match m = wire_match_reply(s->msg, s->len, p->msg, p->len);
        if (m == WIRE_MATCH_BUT_CASE && s->transport == UPSTREAM_TCP)
            m = WIRE_MATCH;
        if (m == WIRE_MATCH_BUT_CASE)
            event = UPSTREAM_CASE_LOST;
        else if (m == WIRE_MATCH_BARE_ERROR)
            event = UPSTREAM_FORMERR;
        else if (m != WIRE_MATCH)
            return;
    }
    bool *told = event == UPSTREAM_SUSPECT     ? &s->suspected
                 : event == UPSTREAM_CASE_LOST ? &s->case_lost
                                               : NULL;
    if (told != NULL && *told)
        return;
    bool lives_on = told != NULL;
    if (lives_on)
        *told = true;
    bool is_reply = event == UPSTREAM_REPLY;
    s->open = lives_on;
    s->w->in_core = true;
    bool taken = s->done(s->ctx, event, is_reply ? p->msg : NULL, is_reply ? p->len : 0);
    s->w->in_core = false;
    if (is_reply && !taken)
        s->open = true;
}

/* ---- clients --------------------------------------------------------------------------------- */

static void take_reply(struct asked *a, const uint8_t *msg, size_t len)
{
    a->answered = true;
    a->answered_ms = a->w->now_ms;
    a->n_replies++;
    ck_assert_uint_eq(a->n_replies, 1);
    a->reply = world_alloc(len);
    memcpy(a->reply, msg, len);
    a->len = len;
}

static void on_reply(const struct client *c, const uint8_t *msg, size_t len)
{
    struct asked *a = c->owner;
    bool in_core = outside(a->w);
    take_reply(a, msg, len);
    a->w->in_core = in_core;
}

static void on_drop(const struct client *c)
{
    ((struct asked *)c->owner)->dropped = true;
}

static const struct client_ops ops = {.reply = on_reply, .drop = on_drop};

struct client world_client(struct world *w, unsigned client, enum client_transport transport)
{
    (void)w;
    struct client c = {.ops = &ops, .transport = transport};
    c.peer.ip[10] = c.peer.ip[11] = 0xff;
    c.peer.ip[12] = 10;
    c.peer.ip[14] = (uint8_t)(client >> 8);
    c.peer.ip[15] = (uint8_t)client;
    c.peer.port = (uint16_t)(10000 + client);
    c.local = c.peer;
    c.local.port = 53;
    return c;
}

size_t world_name(const char *text, uint8_t out[WIRE_NAME_MAX])
{
    size_t len = 0;
    while (*text != '\0') {
        size_t label = strcspn(text, ".");
        out[len++] = (uint8_t)label;
        memcpy(out + len, text, label);
        len += label;
        text += label + (text[label] == '.');
    }
    out[len++] = 0;
    return len;
}

static size_t put16(uint8_t *out, size_t len, unsigned value)
{
    out[len] = (uint8_t)(value >> 8);
    out[len + 1] = (uint8_t)value;
    return len + 2;
}

size_t world_question(uint8_t *out, uint16_t id, const char *name, uint16_t type, uint16_t class,
    uint16_t flags, uint16_t edns_size, bool dnssec_ok)
{
    size_t len = put16(out, 0, id);
    len = put16(out, len, flags);
    len = put16(out, len, 1);
    len = put16(out, len, 0);
    len = put16(out, len, 0);
    len = put16(out, len, edns_size > 0);
    len += world_name(name, out + len);
    len = put16(out, len, type);
    len = put16(out, len, class);
    if (edns_size == 0)
        return len;
    out[len++] = 0;
    len = put16(out, len, WIRE_TYPE_OPT);
    len = put16(out, len, edns_size);
    len = put16(out, len, 0);
    len = put16(out, len, dnssec_ok ? 0x8000 : 0);
    return put16(out, len, 0);
}

struct asked *world_ask_raw(
    struct world *w, const struct client *from, const uint8_t *msg, size_t len)
{
    static uint8_t out[WIRE_MESSAGE_MAX];
    struct client c = *from;
    size_t reply_len = 0;
    ck_assert_uint_lt(w->n_asked, WORLD_ASKED_MAX);
    struct asked *a = &w->asked[w->n_asked++];
    a->w = w;
    a->asked_ms = w->now_ms;
    c.owner = a;
    size_t cap = c.transport == CLIENT_UDP ? WIRE_UDP_MAX : sizeof out;
    w->in_core = true;
    enum query_verdict v =
        query_accept(core_desk(w->core), &c, msg, len, w->now_ms, out, cap, &reply_len);
    w->in_core = false;
    if (v == QUERY_REPLY)
        take_reply(a, out, reply_len);
    else if (v == QUERY_NONE)
        a->dropped = true;
    return a;
}

struct asked *world_ask_more(struct world *w, unsigned client, const char *name, uint16_t type)
{
    uint8_t msg[WIRE_QUERY_MAX];
    struct client c = world_client(w, client, CLIENT_UDP);
    size_t len = world_question(
        msg, (uint16_t)(w->n_asked + 1), name, type, WIRE_CLASS_IN, WIRE_RD, WIRE_UDP_MAX, false);
    return world_ask_raw(w, &c, msg, len);
}

struct asked *world_ask(struct world *w, unsigned client, const char *name, uint16_t type)
{
    world_begin(w);
    struct asked *a = world_ask_more(w, client, name, type);
    world_end(w);
    return a;
}

/* ---- time ------------------------------------------------------------------------------------ */

static void check(const struct world *w)
{
    const char *broken = w->unchecked ? NULL : core_check(w->core);
    ck_assert_msg(broken == NULL, "%s", broken);
}

void world_begin(struct world *w)
{
    core_begin(w->core, w->now_ms);
    w->in_core = true;
    if (core_due_ms(w->core) <= w->now_ms)
        core_tick(w->core, w->now_ms);
    w->in_core = false;
}

void world_end(struct world *w)
{
    w->in_core = true;
    core_end_turn(w->core, w->now_ms);
    w->in_core = false;
    check(w);
}

void world_deliver(struct world *w)
{
    while (w->plans != NULL && w->plans->at_ms <= w->now_ms) {
        struct plan *p = w->plans;
        w->plans = p->next;
        deliver(p);
        free(p);
    }
}

static void turn_at(struct world *w, uint64_t ms)
{
    w->now_ms = ms;
    world_begin(w);
    world_deliver(w);
    world_end(w);
}

void world_run_to(struct world *w, uint64_t ms)
{
    for (;;) {
        uint64_t next = core_due_ms(w->core);
        if (w->plans != NULL && w->plans->at_ms < next)
            next = w->plans->at_ms;
        if (next > ms)
            break;
        turn_at(w, next > w->now_ms ? next : w->now_ms);
    }
    w->now_ms = ms;
}

void world_run_for(struct world *w, uint64_t ms)
{
    world_run_to(w, w->now_ms + ms);
}

/* ---- servers --------------------------------------------------------------------------------- */

void world_plan(
    struct sent *s, uint64_t delay_ms, enum upstream_event event, const uint8_t *msg, size_t len)
{
    struct world *w = s->w;
    struct plan *p = world_alloc(sizeof *p + len);
    p->at_ms = w->now_ms + delay_ms;
    p->to = s;
    p->event = event;
    p->len = len;
    if (len > 0)
        memcpy(p->msg, msg, len);
    struct plan **at = &w->plans;
    while (*at != NULL && (*at)->at_ms <= p->at_ms)
        at = &(*at)->next;
    p->next = *at;
    *at = p;
}

size_t world_reply_start(const struct sent *s, uint16_t flags, uint8_t out[WIRE_MESSAGE_MAX])
{
    struct wire_query q;
    ck_assert_int_eq(wire_parse_query(s->msg, s->len, &q), WIRE_QUERY_OK);
    size_t len = WIRE_HEADER_LEN + q.question.name_len + 4;
    memcpy(out, s->msg, len);
    put16(out, 2, WIRE_QR | WIRE_RA | WIRE_RD | flags);
    put16(out, 10, 0);
    return len;
}

size_t world_add(uint8_t *out, size_t len, unsigned section, const char *owner, uint16_t type,
    uint32_t ttl_s, const uint8_t *rdata, size_t rdata_len)
{
    size_t count_at = 6 + 2 * section;
    len += world_name(owner, out + len);
    len = put16(out, len, type);
    len = put16(out, len, WIRE_CLASS_IN);
    len = put16(out, len, ttl_s >> 16);
    len = put16(out, len, ttl_s & 0xffff);
    len = put16(out, len, (unsigned)rdata_len);
    memcpy(out + len, rdata, rdata_len);
    put16(out, count_at, (unsigned)(out[count_at] << 8 | out[count_at + 1]) + 1);
    return len + rdata_len;
}

size_t world_add_soa(
    uint8_t *out, size_t len, const char *owner, uint32_t ttl_s, uint32_t minimum_s)
{
    uint8_t rdata[22] = {0, 0};
    rdata[18] = (uint8_t)(minimum_s >> 24);
    rdata[19] = (uint8_t)(minimum_s >> 16);
    rdata[20] = (uint8_t)(minimum_s >> 8);
    rdata[21] = (uint8_t)minimum_s;
    return world_add(out, len, 1, owner, WIRE_TYPE_SOA, ttl_s, rdata, sizeof rdata);
}

void world_answer_after(struct sent *s, uint64_t delay_ms)
{
    static const uint8_t a[4] = {192, 0, 2, 77}, aaaa[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 77};
    uint8_t out[WIRE_MESSAGE_MAX];
    size_t len = world_reply_start(s, 0, out);
    if (s->type == WIRE_TYPE_A)
        len = world_add(out, len, 0, s->name, WIRE_TYPE_A, s->w->ttl_s, a, sizeof a);
    else if (s->type == WIRE_TYPE_AAAA)
        len = world_add(out, len, 0, s->name, WIRE_TYPE_AAAA, s->w->ttl_s, aaaa, sizeof aaaa);
    else
        len = world_add_soa(out, len, s->name, s->w->ttl_s, s->w->ttl_s);
    world_plan(s, delay_ms, UPSTREAM_REPLY, out, len);
}

void world_answer(struct sent *s)
{
    world_answer_after(s, s->w->rtt_ms);
}

void world_answer_rcode(struct sent *s, uint16_t rcode)
{
    uint8_t out[WIRE_MESSAGE_MAX];
    size_t len = world_reply_start(s, rcode, out);
    world_plan(s, s->w->rtt_ms, UPSTREAM_REPLY, out, len);
}

static void ordinary_server(struct world *w, struct sent *s, void *ctx)
{
    (void)w;
    (void)ctx;
    world_answer(s);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void keep_flight(struct asked *a, const struct flight_result *r)
{
    if (r == NULL)
        return;
    a->flight = *r;
    if (r->server != NULL)
        a->server = *r->server;
    if (r->tcp_server != NULL)
        a->tcp_server = *r->tcp_server;
}

static void on_ended(void *ctx, const struct query_end *e)
{
    struct world *w = ctx;
    struct asked *a = e->client->owner;
    bool in_core = outside(w);
    w->ended[e->source]++;
    a->n_ended++;
    a->end = *e;
    keep_flight(a, e->flight);
    ck_assert_uint_eq(a->n_ended, 1);
    w->in_core = in_core;
}

static const char *on_chaos(void *ctx, const uint8_t *name, size_t name_len)
{
    static const uint8_t version[] = "\7version\4bind";
    (void)ctx;
    return wire_name_equal(name, name_len, version, sizeof version) ? "of the test" : NULL;
}

static uint32_t on_wall(void *ctx)
{
    const struct world *w = ctx;
    return w->wall_s + (uint32_t)(w->now_ms / 1000);
}

struct world *world_create(void)
{
    static const uint8_t seed[RNG_SEED_LEN] = {42};
    struct world *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->rng = rng_create(seed);
    ck_assert_ptr_nonnull(w->rng);
    w->now_ms = 1000000;
    w->wall_s = 1559731985;
    w->rtt_ms = 40;
    w->ttl_s = 60;
    w->server = ordinary_server;
    w->conf.cache_bytes = 1 << 20;
    w->conf.flight = (struct flight_conf){
        .ttl = {.min_s = 0, .max_s = 86400},
        .stale_ms = 86400 * 1000,
        .flights_max = 2000,
        .prefetches_max = 64,
    };
    w->conf.query = (struct query_conf){
        .serve_stale = true, .forward = true, .queries_max = 2000, .keepalive_ds = 100};
    predict_conf_default(&w->conf.prediction);
    return w;
}

void world_start(struct world *w, size_t n_servers)
{
    struct server_conf servers[SERVERS_MAX] = {0};
    the_upstream.w = w;
    struct core_world world = {.upstream = &the_upstream,
        .rng = w->rng,
        .ctx = w,
        .ended = on_ended,
        .chaos = on_chaos,
        .wall_s = on_wall};
    w->core = core_create(&w->conf, &world, w->now_ms);
    ck_assert_ptr_nonnull(w->core);
    for (size_t i = 0; i < n_servers; i++) {
        servers[i].addr =
            (struct addr){.ip = {[10] = 0xff, 0xff, 192, 0, 2, (uint8_t)(i + 1)}, .port = 53};
        servers[i].trust_ad = w->trust_ad;
    }
    servers_set(core_servers(w->core), servers, n_servers, w->now_ms);
}

static void on_mistake(void *ctx, size_t line, const char *what, const char *why)
{
    (void)ctx;
    ck_abort_msg("override %zu: %s: %s", line, what, why);
}

void world_poison(struct world *w, const char *text)
{
    static const uint8_t seed[POISON_SEED_LEN] = {1};
    struct poison *old = w->poison;
    w->poison = poison_load(text, strlen(text), seed, on_mistake, NULL);
    ck_assert_ptr_nonnull(w->poison);
    query_set_poison(core_desk(w->core), w->poison);
    poison_free(old);
}

/* Every question has had its one end: a reply, or word that there will be none. */
static void forget_asked(struct world *w)
{
    for (size_t i = 0; i < w->n_asked; i++) {
        const struct asked *a = &w->asked[i];
        ck_assert_msg(a->n_ended == 1, "question %zu ended %u times", i, a->n_ended);
        ck_assert(a->answered != a->dropped);
        ck_assert_uint_eq(a->end.reply_len, a->len);
        free(a->reply);
    }
    memset(w->asked, 0, w->n_asked * sizeof *w->asked);
    w->n_asked = 0;
}

void world_forget(struct world *w)
{
    forget_asked(w);
    while (w->plans != NULL) {
        struct plan *p = w->plans;
        w->plans = p->next;
        free(p);
    }
    for (size_t i = 0; i < w->n_sent; i++) {
        ck_assert(!w->sent[i]->open);
        free(w->sent[i]);
    }
    w->n_sent = 0;
}

void world_free(struct world *w)
{
    core_free(w->core, w->now_ms);
    poison_free(w->poison);
    rng_free(w->rng);
    world_forget(w);
    free(w);
}

/* ---- looking --------------------------------------------------------------------------------- */

static unsigned reply16(const struct asked *a, size_t at)
{
    ck_assert(a->answered);
    ck_assert_uint_ge(a->len, at + 2);
    return (unsigned)(a->reply[at] << 8 | a->reply[at + 1]);
}

uint16_t asked_rcode(const struct asked *a)
{
    return (uint16_t)(reply16(a, 2) & WIRE_RCODE);
}

bool asked_truncated(const struct asked *a)
{
    return (reply16(a, 2) & WIRE_TC) != 0;
}

size_t asked_answers(const struct asked *a)
{
    return reply16(a, 6);
}

uint32_t asked_ttl(const struct asked *a)
{
    struct wire_cursor c;
    struct wire_view v;
    ck_assert_int_eq(wire_cursor_start(&c, a->reply, a->len), 0);
    ck_assert_int_eq(wire_cursor_next(&c, &v), 1);
    return v.ttl_s;
}

bool asked_opt(const struct asked *a, struct wire_view *opt)
{
    struct wire_cursor c;
    ck_assert(a->answered);
    ck_assert_int_eq(wire_cursor_start(&c, a->reply, a->len), 0);
    while (wire_cursor_next(&c, opt) == 1)
        if (opt->type == WIRE_TYPE_OPT)
            return true;
    return false;
}

int asked_ede(const struct asked *a)
{
    struct wire_view opt;
    if (!asked_opt(a, &opt))
        return -1;
    for (size_t at = opt.rdata_at; at + 4 <= opt.rdata_at + opt.rdata_len;
         at += 4 + reply16(a, at + 2))
        if (reply16(a, at) == 15)
            return (int)reply16(a, at + 4);
    return -1;
}

uint64_t asked_took(const struct asked *a)
{
    ck_assert_msg(a->answered, "there is no reply");
    return a->answered_ms - a->asked_ms;
}

size_t sent_count(const struct world *w, const char *name, uint16_t type)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_sent; i++)
        n += w->sent[i]->type == type && strcmp(w->sent[i]->name, name) == 0;
    return n;
}

size_t sent_to(const struct world *w, unsigned server)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_sent; i++)
        n += w->sent[i]->server.ip[15] == server;
    return n;
}

size_t sent_over(const struct world *w, enum upstream_transport transport)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_sent; i++)
        n += w->sent[i]->transport == transport;
    return n;
}
