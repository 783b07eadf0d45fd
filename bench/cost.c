/* cost.c: the pure core at work on one path, for callgrind to count its instructions: no socket, no
 * clock, no chance, so that the same program gives the same figure each time.
 * Knows the doors of the core, and is what is behind them; never how a figure is judged.
 *
 *   cost hit|miss|predict|repeat|learn
 *
 * hit: questions that the cache answers. miss: new names, each sent upstream, answered, stored and
 * replied. predict: hits with prediction on, while windows open and close. repeat: the same, where
 * a few clients repeat a few names, more often than prediction lists. learn: the same, where one
 * client asks so slowly that all is listed, and so fast that its windows see more than is kept of
 * them. What is to be counted is inside measured_turn(); output is the number of questions in it.
 */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURN        64 /* questions, as net/udp.c takes them */
#define TURNS_WARM  32
#define TURNS       256
#define NAMES       (TURN * TURNS_WARM)
#define TURN_MS     20 /* so that windows of prediction close */
#define LEARN_MS    512
#define CACHE_BYTES ((size_t)16 << 20)
#define CLIENTS     50
#define REPEATERS   4 /* clients, and the names they repeat */
#define REPEATED    8

struct upstream_ask {
    upstream_done *done;
    void *ctx;
    size_t len;
    uint8_t msg[WIRE_QUERY_MAX + 16];
};

/* Behind upstream.h: what was asked in this turn, with room for asks of prefetches. */
struct upstream {
    struct upstream_ask asks[4 * TURN];
    size_t n;
    uint16_t id;
};

struct question {
    size_t len;
    uint8_t msg[64];
};

struct bench {
    struct core *core;
    struct upstream upstream;
    uint64_t now_ms;
    unsigned turn_ms;
    unsigned long n_replies;
    unsigned n_clients;
    struct question questions[TURN];
    struct client clients[CLIENTS];
    uint8_t out[WIRE_UDP_MAX];
};

/* ---- behind the doors ------------------------------------------------------------------------ */

struct upstream_ask *upstream_ask(struct upstream *u, const struct addr *server,
    enum upstream_transport transport, const uint8_t *msg, size_t len, upstream_done *done,
    void *ctx)
{
    (void)server;
    (void)transport;
    if (u->n == sizeof u->asks / sizeof u->asks[0] || len > WIRE_QUERY_MAX)
        return NULL;
    struct upstream_ask *a = &u->asks[u->n++];
    a->done = done;
    a->ctx = ctx;
    a->len = len;
    memcpy(a->msg, msg, len);
    u->id++;
    memcpy(a->msg, &u->id, sizeof u->id);
    return a;
}

int upstream_source(struct upstream *u, const struct addr *server, struct addr *source)
{
    (void)u;
    *source = *server;
    return 0;
}

void upstream_cancel(struct upstream_ask *a)
{
    if (a != NULL)
        a->done = NULL;
}

/* The question as it was sent, case and all, and one address. */
static void answer(struct upstream_ask *a)
{
    static const uint8_t record[16] = {
        0xc0, 0x0c, 0, 1, 0, 1, 0, 1, 0x51, 0x80, 0, 4, 192, 0, 2, 1};
    size_t end = WIRE_HEADER_LEN + wire_name_len(a->msg + WIRE_HEADER_LEN, a->len) + 4;
    if (a->done == NULL)
        return;
    a->msg[2] |= 0x80;
    a->msg[3] |= 0x80;
    a->msg[7] = 1;
    a->msg[11] = 0;
    memcpy(a->msg + end, record, sizeof record);
    a->done(a->ctx, UPSTREAM_REPLY, a->msg, end + sizeof record);
}

static void on_reply(const struct client *c, const uint8_t *msg, size_t len)
{
    struct bench *b = c->owner;
    (void)msg;
    b->n_replies += len > 0;
}

static void on_drop(const struct client *c)
{
    (void)c;
}

static const struct client_ops OPS = {.reply = on_reply, .drop = on_drop};

/* ---- turns ----------------------------------------------------------------------------------- */

/* A question for "n0000000.bench.example", type A, with EDNS. */
static void write_question(struct question *q, unsigned long number)
{
    static const uint8_t head[12] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1};
    static const uint8_t tail[] = "\5bench\7example\0\0\1\0\1\0\0\x29\4\xd0\0\0\0\0\0";
    char label[10];
    snprintf(label, sizeof label, "\10n%07lu", number % 10000000);
    memcpy(q->msg, head, sizeof head);
    q->msg[0] = (uint8_t)(number >> 8);
    q->msg[1] = (uint8_t)number;
    memcpy(q->msg + 12, label, 9);
    memcpy(q->msg + 21, tail, sizeof tail);
    q->len = 21 + sizeof tail;
}

/* A turn of the loop as net/ would have it, and one for what comes back. */
static void go(struct bench *b)
{
    size_t len;
    core_begin(b->core, b->now_ms);
    if (core_due_ms(b->core) <= b->now_ms)
        core_tick(b->core, b->now_ms);
    for (size_t i = 0; i < TURN; i++) {
        const struct question *q = &b->questions[i];
        enum query_verdict v = query_accept(core_desk(b->core), &b->clients[i % b->n_clients],
            q->msg, q->len, b->now_ms, b->out, sizeof b->out, &len);
        b->n_replies += v == QUERY_REPLY && len > 0;
    }
    core_end_turn(b->core, b->now_ms);
    for (size_t i = 0; i < b->upstream.n; i++)
        answer(&b->upstream.asks[i]);
    b->upstream.n = 0;
}

/* callgrind looks here and nowhere else. */
static void measured_turn(struct bench *b) __attribute__((noinline));
static void measured_turn(struct bench *b)
{
    go(b);
    b->now_ms += b->turn_ms;
}

static void write_questions(struct bench *b, unsigned long first)
{
    for (size_t i = 0; i < TURN; i++)
        write_question(&b->questions[i], first + i);
}

/* Each client asks for each of the names in turn. */
static void write_repeated(struct bench *b)
{
    for (size_t i = 0; i < TURN; i++)
        write_question(&b->questions[i], i / REPEATERS % REPEATED);
}

static int start(struct bench *b, bool predict)
{
    static const uint8_t seed[RNG_SEED_LEN] = {7};
    struct server_conf server = {.addr = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 53}, .port = 53}};
    struct core_conf conf = {
        .cache_bytes = CACHE_BYTES,
        .flight = {.ttl = {.max_s = 86400},
            .stale_ms = 86400000,
            .flights_max = 16384,
            .prefetches_max = 256},
        .query = {.forward = true, .queries_max = 16384, .keepalive_ds = 100},
        .predict = predict,
    };
    predict_conf_default(&conf.prediction);
    struct core_world world = {.upstream = &b->upstream, .rng = rng_create(seed)};
    if (world.rng == NULL)
        return -1;
    b->now_ms = 1000000;
    b->core = core_create(&conf, &world, b->now_ms);
    if (b->core == NULL)
        return -1;
    servers_set(core_servers(b->core), &server, 1, b->now_ms);
    for (unsigned i = 0; i < CLIENTS; i++) {
        b->clients[i] = (struct client){.ops = &OPS, .owner = b};
        b->clients[i].peer = (struct addr){
            .ip = {[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)i}, .port = (uint16_t)(10000 + i)};
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct bench b;
    const char *path = argc == 2 ? argv[1] : "";
    bool miss = strcmp(path, "miss") == 0, predict = strcmp(path, "predict") == 0;
    bool repeat = strcmp(path, "repeat") == 0, learn = strcmp(path, "learn") == 0;
    if (!miss && !predict && !repeat && !learn && strcmp(path, "hit") != 0) {
        fputs("usage: cost hit|miss|predict|repeat|learn\n", stderr);
        return 2;
    }
    if (start(&b, predict || repeat || learn) != 0)
        return 1;
    b.turn_ms = learn ? LEARN_MS : TURN_MS;
    b.n_clients = learn ? 1 : repeat ? REPEATERS : CLIENTS;
    for (unsigned long i = 0; i < TURNS_WARM; i++) {
        write_questions(&b, i * TURN);
        go(&b);
        b.now_ms += b.turn_ms;
    }
    b.n_replies = 0;
    for (unsigned long i = 0; i < TURNS; i++) {
        if (repeat)
            write_repeated(&b);
        else
            write_questions(&b, miss ? NAMES + i * TURN : i % TURNS_WARM * TURN);
        measured_turn(&b);
    }
    const char *broken = core_check(b.core);
    if (broken != NULL || b.n_replies != (unsigned long)TURNS * TURN) {
        fprintf(stderr, "cost: %s: %lu replies to %d questions; %s\n", path, b.n_replies,
            TURNS * TURN, broken != NULL ? broken : "the core is sound");
        return 1;
    }
    printf("%d\n", TURNS * TURN);
    return 0;
}
