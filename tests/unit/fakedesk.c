/* fakedesk.c: knows how to obey a question. Never knows what is tested with it. */
#include "tests/unit/fakedesk.h"

#include "net/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct query_desk fakedesk;
uint64_t fake_now_ms;
struct ev_loop *loop;
struct turn *turn;

uint64_t clock_now_ms(void)
{
    return fake_now_ms;
}

bool query_allows(const struct query_desk *d, const struct addr *peer)
{
    (void)peer;
    return !d->refuses;
}

uint16_t fake_id(const uint8_t *msg)
{
    return (uint16_t)(msg[0] << 8 | msg[1]);
}

size_t fake_question(uint8_t *out, uint16_t id, enum fake_order order, size_t len)
{
    memset(out, 0x5a, len);
    out[0] = (uint8_t)(id >> 8);
    out[1] = (uint8_t)id;
    out[2] = 0;
    out[12] = (uint8_t)order;
    return len;
}

/* Every byte behind the ID depends on it and on its place, so that a mixed-up stream shows. */
static size_t fill(uint8_t *out, uint16_t id, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(id + i);
    out[0] = (uint8_t)(id >> 8);
    out[1] = (uint8_t)id;
    return len;
}

static enum query_verdict obey(struct query_desk *d, const struct client *client,
    const uint8_t *msg, uint8_t *out, size_t *reply_len)
{
    switch (msg[12]) {
    case FAKE_BIG:
        *reply_len = fill(out, fake_id(msg), d->big);
        return QUERY_REPLY;
    case FAKE_LATER:
        if (d->n_later == FAKE_LATER_MAX)
            abort();
        d->later[d->n_later].client = *client;
        d->later[d->n_later++].id = fake_id(msg);
        return QUERY_LATER;
    case FAKE_INSIDE: {
        struct client copy = *client;
        copy.ops->reply(&copy, msg, 12);
        return QUERY_LATER;
    }
    default:
        return QUERY_NONE;
    }
}

enum query_verdict query_accept(struct query_desk *d, const struct client *client,
    const uint8_t *msg, size_t len, uint64_t now_ms, uint8_t *out, size_t cap, size_t *reply_len)
{
    if (now_ms != fake_now_ms || cap < WIRE_UDP_MAX || len < WIRE_HEADER_LEN)
        abort();
    d->n_seen++;
    d->last_len = len;
    d->last = *client;
    if (len > WIRE_HEADER_LEN && msg[12] != FAKE_ECHO)
        return obey(d, client, msg, out, reply_len);
    memcpy(out, msg, len);
    out[2] |= 0x80;
    if (len == WIRE_HEADER_LEN)
        out[3] = 1;
    *reply_len = len;
    return QUERY_REPLY;
}

void fake_reply(size_t i, size_t len)
{
    /* Of exactly this size, for the sanitizers to see beyond it; not by malloc, which a test may
     * have made to fail. */
    uint8_t *msg = reallocarray(NULL, len, 1);
    if (msg == NULL)
        abort();
    const struct client *c = &fakedesk.later[i].client;
    c->ops->reply(c, msg, fill(msg, fakedesk.later[i].id, len));
    free(msg);
}

void fake_drop(size_t i)
{
    const struct client *c = &fakedesk.later[i].client;
    c->ops->drop(c);
}

void fake_turns(int n)
{
    while (n-- > 0)
        ev_run(loop, EVRUN_NOWAIT);
}

static void overslept(struct ev_loop *l, struct ev_timer *w, int events)
{
    (void)l;
    (void)events;
    *(bool *)w->data = true;
}

/* Whether nothing wakes the loop for so long. */
static bool sleeps_for(double s)
{
    bool late = false;
    struct ev_timer limit;
    ev_now_update(loop);
    ev_timer_init(&limit, overslept, s, 0.);
    limit.data = &late;
    ev_timer_start(loop, &limit);
    ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &limit);
    return late;
}

bool fake_wakes(void)
{
    return !sleeps_for(1);
}

bool fake_sleeps(void)
{
    return sleeps_for(.02);
}

bool fake_readable(int fd)
{
    for (int i = 0; i < 5000; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        fake_turns(2);
        if (poll(&p, 1, i == 0 ? 0 : 1) > 0)
            return true;
    }
    return false;
}

void fake_pass(uint64_t ms)
{
    fake_turns(3);
    fake_now_ms += ms;
    fake_turns(3);
}

void fake_start(void)
{
    memset(&fakedesk, 0, sizeof fakedesk);
    fake_now_ms = 1000000;
    loop = ev_loop_new(EVFLAG_AUTO);
    if (loop == NULL)
        abort();
    turn = turn_create(loop);
    if (turn == NULL)
        abort();
}

void fake_end(void)
{
    turn_free(turn);
    ev_loop_destroy(loop);
}
