/* cache.h: key to value with an expiry, inside a budget of bytes. Records of variable size in one
 * flat region that is addressed by offsets, an index of small slots with a keyed hash, and eviction
 * that resists scans. Knows no DNS: keys and values are bytes. Knows no clock and no file. */
#ifndef DNSD_CACHE_H
#define DNSD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_SEED_LEN  16
#define CACHE_BYTES_MIN (256 * 1024)
#define CACHE_BYTES_MAX ((size_t)UINT32_MAX * 8) /* what 32 bits reach in steps of 8 */
#define CACHE_KEY_MAX   511
#define CACHE_VALUE_MAX 262143

struct cache;

enum cache_kind {
    CACHE_POSITIVE,
    CACHE_NEGATIVE,
    CACHE_FAILURE, /* the question failed (RFC 9520); the value may be anything, also empty */
    CACHE_ONCE,    /* serves one cache_get and is gone: a prefetched answer with TTL 0 */
};

enum cache_found {
    CACHE_MISS,
    CACHE_FRESH,
    CACHE_STALE, /* expired, but kept for a while (RFC 8767) */
};

struct cache_view {
    const uint8_t *value; /* inside the region: valid until the cache is changed or asked again */
    size_t len;
    enum cache_kind kind;
    uint64_t stored_ms;
    uint64_t expires_ms;
    bool held; /* STALE: asking upstream failed a short while ago; do not ask yet (cache_hold) */
};

struct cache_item {
    const uint8_t *key;
    size_t key_len;
    const uint8_t *value;
    size_t value_len;
    enum cache_kind kind;
    uint64_t fresh_ms; /* from now; 0 is legal only for tests of expiry */
    uint64_t stale_ms; /* how long it is kept after expiry, from its first expiry on */
                       /* both are cut to 2^32-1 ms, 49 days */
};

struct cache_counts {
    uint64_t hits;   /* cache_get that gave FRESH */
    uint64_t misses; /* cache_get that gave MISS or STALE */
    uint64_t insertions;
    uint64_t evictions; /* live records that had to go for room */
    uint64_t moves;     /* records copied to where they are kept longer */
    size_t entries;     /* records now, expired ones that were not yet swept included */
    size_t bytes_used;  /* of bytes_budget: records, dead ones not yet swept included, and index */
    size_t bytes_budget;
};

/* One region of `bytes` for records and index together (less than CACHE_BYTES_MIN is raised to it).
 * The seed keys the hash. NULL when memory is out or bytes is above CACHE_BYTES_MAX. The region is
 * mapped, so untouched pages cost nothing. Time is in milliseconds of any monotonic clock, the same
 * one in every call. */
struct cache *cache_create(size_t bytes, const uint8_t seed[CACHE_SEED_LEN]);
void cache_free(struct cache *c);

/* Looks a key up. FRESH and STALE fill the view. A CACHE_ONCE record is taken out by it. */
enum cache_found cache_get(
    struct cache *c, const uint8_t *key, size_t key_len, uint64_t now_ms, struct cache_view *view);

/* As cache_get, but leaves no trace: no count, no mark for eviction, CACHE_ONCE stays. */
enum cache_found cache_peek(const struct cache *c, const uint8_t *key, size_t key_len,
    uint64_t now_ms, struct cache_view *view);

/* Stores a copy and replaces what was there under the key; whatever the kind, a real answer
 * replaces a stale one at once. Key and value must not be views of this cache. Returns 0, or -1 if
 * they are larger than a thirty-second of the budget together, or than CACHE_KEY_MAX or
 * CACHE_VALUE_MAX (then what was there is gone too). Others are evicted for room, which is made
 * where the oldest records are: expired ones go there first, then by the policy. */
int cache_put(struct cache *c, const struct cache_item *item, uint64_t now_ms);

/* Notes that asking failed. A record that is still useful, fresh or stale, stays as it is, no
 * longer than it would have, and is marked held until now_ms + hold_ms (which shows once it is
 * stale); where there is none, or only an earlier failure, `failure` (kind CACHE_FAILURE) is
 * stored. Returns as cache_put. */
int cache_hold(
    struct cache *c, const struct cache_item *failure, uint64_t hold_ms, uint64_t now_ms);

/* Returns whether there was something to forget. */
bool cache_forget(struct cache *c, const uint8_t *key, size_t key_len);

void cache_flush(struct cache *c);

void cache_count(const struct cache *c, struct cache_counts *out);

/* Walks every invariant of region and index; returns NULL, or what is broken. For tests and
 * fuzzers. */
const char *cache_check(const struct cache *c);

#endif
