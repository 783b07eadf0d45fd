/* fakedesk.h: what the tests of the listeners put in the place of query.c and of the clock: a desk
 * that does what the question says, and a time that stands still until a test moves it.
 * Knows no DNS; never waits but on a socket, and there 5 s at most. */
#ifndef DNSD_TESTS_FAKEDESK_H
#define DNSD_TESTS_FAKEDESK_H

#include "net/turn.h"
#include "query.h"

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What byte 12 of a question makes the desk do. A question of 12 bytes gets them back with rcode
 * 1. */
enum fake_order {
    FAKE_ECHO = 'e',  /* at once, the same bytes with QR set */
    FAKE_BIG = 'b',   /* at once, fakedesk.big bytes that begin with the ID */
    FAKE_LATER = 'l', /* kept in fakedesk.later */
    FAKE_NONE = 'n',
    FAKE_INSIDE = 'i', /* by its operation, but before query_accept returns QUERY_LATER */
};

#define FAKE_LATER_MAX 4096

struct fake_later {
    struct client client;
    uint16_t id;
};

struct query_desk {
    bool refuses;
    size_t big;
    size_t n_seen;
    size_t last_len;
    struct client last;
    struct fake_later later[FAKE_LATER_MAX];
    size_t n_later;
};

extern struct query_desk fakedesk;
extern uint64_t fake_now_ms;
extern struct ev_loop *loop;
extern struct turn *turn;

/* A loop, a turn and an empty desk; and away with them. */
void fake_start(void);
void fake_end(void);

/* Writes a question of len bytes (13 or more); returns len. */
size_t fake_question(uint8_t *out, uint16_t id, enum fake_order order, size_t len);
uint16_t fake_id(const uint8_t *msg);

/* Replies to the i-th kept question with len bytes that begin with its ID, or drops it. */
void fake_reply(size_t i, size_t len);
void fake_drop(size_t i);

/* Runs n turns that do not wait. */
void fake_turns(int n);

/* Lets the loop sleep; whether anything woke it before a second was over. */
bool fake_wakes(void);

/* Lets the loop sleep; whether nothing woke it for 20 ms. */
bool fake_sleeps(void);

/* Runs turns until fd can be read (or has hung up); false after 5 s. */
bool fake_readable(int fd);

/* Moves the time and lets what is due be done. */
void fake_pass(uint64_t ms);

#endif
