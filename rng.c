/* rng.c: unpredictable bytes from a seed: a ChaCha20 stream that replaces its own key.
 * Knows no entropy source: the seed comes from outside, so that a test can repeat a run. */
#include "rng.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Fast key erasure ("Fast-key-erasure random-number generators", 2017): each refill makes
 * BUFFER_LEN bytes of keystream from the key, and the first of them are the next key. What was
 * handed out is wiped, so whoever reads this memory learns nothing of the past. As no key is used
 * twice, the nonce can stay zero. The buffer starts with the key: a refill is one call. */
#define BUFFER_LEN 512
#define KEY_LEN    crypto_stream_chacha20_KEYBYTES

struct rng {
    uint8_t buffer[BUFFER_LEN]; /* the key, then bytes to hand out; those before at are wiped */
    size_t at;
};

_Static_assert(RNG_SEED_LEN == KEY_LEN, "the seed is the first key");

struct rng *rng_create(const uint8_t seed[RNG_SEED_LEN])
{
    struct rng *r = malloc(sizeof *r);

    if (!r)
        return NULL;
    memset(r->buffer, 0, sizeof r->buffer);
    memcpy(r->buffer, seed, KEY_LEN);
    r->at = BUFFER_LEN;
    return r;
}

void rng_free(struct rng *r)
{
    if (!r)
        return;
    sodium_memzero(r, sizeof *r);
    free(r);
}

static void refill(struct rng *r)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    uint8_t key[KEY_LEN];

    memcpy(key, r->buffer, KEY_LEN);
    crypto_stream_chacha20(r->buffer, BUFFER_LEN, nonce, key);
    sodium_memzero(key, sizeof key);
    r->at = KEY_LEN;
}

void rng_bytes(struct rng *r, void *out, size_t len)
{
    uint8_t *to = out;

    while (len) {
        size_t n;

        if (r->at == BUFFER_LEN)
            refill(r);
        n = BUFFER_LEN - r->at;
        if (n > len)
            n = len;
        memcpy(to, r->buffer + r->at, n);
        sodium_memzero(r->buffer + r->at, n);
        r->at += n;
        to += n;
        len -= n;
    }
}

static uint32_t next_u32(struct rng *r)
{
    uint8_t b[4];

    rng_bytes(r, b, sizeof b);
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint16_t rng_u16(struct rng *r)
{
    uint8_t b[2];

    rng_bytes(r, b, sizeof b);
    return (uint16_t)(b[0] | b[1] << 8);
}

/* "Fast random integer generation in an interval" (ACM TOMACS 29, 2019): the upper half of x *
 * bound is the number; the 2^32 mod bound lowest values of the lower half are what would make some
 * numbers likelier than others, and are drawn again. */
uint32_t rng_below(struct rng *r, uint32_t bound)
{
    uint32_t surplus = (uint32_t)(0 - bound) % bound;
    uint64_t product;

    do
        product = (uint64_t)next_u32(r) * bound;
    while ((uint32_t)product < surplus);
    return (uint32_t)(product >> 32);
}
