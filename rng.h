/* rng.h: unpredictable bytes from a seed: a ChaCha20 stream that replaces its own key.
 * Knows no entropy source: the seed comes from outside, so that a test can repeat a run. */
#ifndef DNSD_RNG_H
#define DNSD_RNG_H

#include <stddef.h>
#include <stdint.h>

#define RNG_SEED_LEN 32

struct rng;

/* Returns NULL when memory is out. The seed is copied. Free with rng_free (NULL is fine). */
struct rng *rng_create(const uint8_t seed[RNG_SEED_LEN]);
void rng_free(struct rng *r);

/* Fills out with len bytes. Past output cannot be told from a later state (the key is replaced with
 * each refill). */
void rng_bytes(struct rng *r, void *out, size_t len);
uint16_t rng_u16(struct rng *r);

/* A number in 0..bound-1, without bias. bound is at least 1. */
uint32_t rng_below(struct rng *r, uint32_t bound);

#endif
