/* tests/unit/cache.c: what the cache gives back, when, for how long, and at what price in bytes.
 * Knows cache.h, virtual time and a simple model; never how records and slots are kept. */
#include "cache.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define KEY_LEN  27 /* of name_key */
#define A_LEN    28 /* a packed answer with one address */
#define DAY_MS   UINT64_C(86400000)
#define ITEM_MAX (CACHE_BYTES_MIN / 32) /* key and value in the smallest cache */

static const uint8_t seed[CACHE_SEED_LEN] = "an unguessed key";
static uint8_t filler[CACHE_VALUE_MAX + 2];

static uint64_t chance_state;

/* SplitMix64: the same numbers in every run. */
static uint64_t chance(void)
{
    uint64_t x = chance_state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static size_t chance_below(size_t bound)
{
    return (size_t)(chance() % bound);
}

static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");

    return preload && strstr(preload, "vgpreload");
}

/* How often to do what is done very often: less where each step is fifty times slower. */
static size_t often(size_t n)
{
    return under_valgrind() ? n / 20 : n;
}

static struct cache *new_cache(size_t bytes)
{
    struct cache *c = cache_create(bytes, seed);

    ck_assert_ptr_nonnull(c);
    return c;
}

static void sound(const struct cache *c)
{
    const char *broken = cache_check(c);

    ck_assert_msg(broken == NULL, "%s", broken);
}

static struct cache_counts counts(const struct cache *c)
{
    struct cache_counts n;

    cache_count(c, &n);
    return n;
}

/* The key of "x1234567.example.com A IN": as realistic as a key can be that a test can count. */
static const uint8_t *name_key(char letter, size_t number, uint8_t key[KEY_LEN])
{
    memcpy(key, "\010x0000000\007example\003com\0\0\001\0\001\0", KEY_LEN);
    key[1] = (uint8_t)letter;
    for (size_t i = 8; i > 1; i--, number /= 10)
        key[i] = (uint8_t)('0' + number % 10);
    return key;
}

static int put_sized_name(
    struct cache *c, char letter, size_t number, size_t len, uint64_t fresh_ms, uint64_t now_ms)
{
    uint8_t key[KEY_LEN];
    struct cache_item item = {
        .key = name_key(letter, number, key),
        .key_len = KEY_LEN,
        .value = filler,
        .value_len = len,
        .kind = CACHE_POSITIVE,
        .fresh_ms = fresh_ms,
    };

    return cache_put(c, &item, now_ms);
}

static int put_name(struct cache *c, char letter, size_t number, uint64_t fresh_ms, uint64_t now_ms)
{
    return put_sized_name(c, letter, number, A_LEN, fresh_ms, now_ms);
}

static enum cache_found get_name(struct cache *c, char letter, size_t number, uint64_t now_ms)
{
    uint8_t key[KEY_LEN];
    struct cache_view view;

    return cache_get(c, name_key(letter, number, key), KEY_LEN, now_ms, &view);
}

/* Short keys and values as text. */
static struct cache_item text_item(const char *key, const char *value)
{
    return (struct cache_item){
        .key = (const uint8_t *)key,
        .key_len = strlen(key),
        .value = (const uint8_t *)value,
        .value_len = strlen(value),
        .kind = CACHE_POSITIVE,
        .fresh_ms = 1000,
    };
}

static int put_text(struct cache *c, const char *key, const char *value, uint64_t now_ms)
{
    struct cache_item item = text_item(key, value);

    return cache_put(c, &item, now_ms);
}

static enum cache_found get_text(
    struct cache *c, const char *key, uint64_t now_ms, struct cache_view *view)
{
    return cache_get(c, (const uint8_t *)key, strlen(key), now_ms, view);
}

static enum cache_found peek_text(
    const struct cache *c, const char *key, uint64_t now_ms, struct cache_view *view)
{
    return cache_peek(c, (const uint8_t *)key, strlen(key), now_ms, view);
}

static void has_text(struct cache *c, const char *key, const char *value, uint64_t now_ms)
{
    struct cache_view view;

    ck_assert_int_eq(get_text(c, key, now_ms, &view), CACHE_FRESH);
    ck_assert_uint_eq(view.len, strlen(value));
    ck_assert_mem_eq(view.value, value, view.len);
}

/* ---- what comes back ------------------------------------------------------------------------- */

START_TEST(every_kind_comes_back_as_it_was_put)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    const char *const keys[] = {"positive", "negative", "failure", "once"};
    struct cache_view view;

    for (int kind = CACHE_POSITIVE; kind <= CACHE_ONCE; kind++) {
        struct cache_item item = text_item(keys[kind], keys[3 - kind]);

        item.kind = (enum cache_kind)kind;
        item.fresh_ms = 500;
        ck_assert_int_eq(cache_put(c, &item, 7000), 0);
    }
    for (int kind = CACHE_POSITIVE; kind <= CACHE_ONCE; kind++) {
        ck_assert_int_eq(get_text(c, keys[kind], 7100, &view), CACHE_FRESH);
        ck_assert_int_eq(view.kind, kind);
        ck_assert_uint_eq(view.len, strlen(keys[3 - kind]));
        ck_assert_mem_eq(view.value, keys[3 - kind], view.len);
        ck_assert_uint_eq(view.stored_ms, 7000);
        ck_assert_uint_eq(view.expires_ms, 7500);
        ck_assert(!view.held);
    }
    ck_assert_int_eq(get_text(c, "other", 7100, &view), CACHE_MISS);
    sound(c);
    cache_free(c);
}
END_TEST

START_TEST(keys_are_told_apart_to_the_last_byte)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    static const uint8_t zeros[4];
    struct cache_item item = {.key = zeros, .fresh_ms = 10, .value = zeros};
    struct cache_view view;

    for (item.key_len = 0; item.key_len <= 4; item.key_len++) {
        item.value_len = 4 - item.key_len;
        ck_assert_int_eq(cache_put(c, &item, 0), 0);
    }
    for (size_t len = 0; len <= 4; len++) {
        ck_assert_int_eq(cache_get(c, zeros, len, 0, &view), CACHE_FRESH);
        ck_assert_uint_eq(view.len, 4 - len);
    }
    put_text(c, "name.a", "1", 0);
    put_text(c, "name.b", "2", 0);
    has_text(c, "name.a", "1", 0);
    has_text(c, "name.b", "2", 0);
    sound(c);
    cache_free(c);
}
END_TEST

START_TEST(expiry_is_to_the_millisecond)
{
    static const uint64_t starts[] = {0, 1, UINT32_MAX - UINT64_C(5), UINT64_C(1) << 32,
        UINT64_C(123456789012), (UINT64_C(1) << 48) - 1000000};
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_view view;

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        uint64_t t = starts[i];
        struct cache_item item = text_item("key", "value");

        item.fresh_ms = 10;
        item.stale_ms = 20;
        ck_assert_int_eq(cache_put(c, &item, t), 0);
        ck_assert_int_eq(get_text(c, "key", t, &view), CACHE_FRESH);
        ck_assert_int_eq(get_text(c, "key", t + 9, &view), CACHE_FRESH);
        ck_assert_int_eq(get_text(c, "key", t + 10, &view), CACHE_STALE);
        ck_assert_uint_eq(view.stored_ms, t);
        ck_assert_uint_eq(view.expires_ms, t + 10);
        ck_assert_mem_eq(view.value, "value", 5);
        ck_assert_int_eq(get_text(c, "key", t + 29, &view), CACHE_STALE);
        ck_assert_int_eq(get_text(c, "key", t + 30, &view), CACHE_MISS);
        ck_assert_int_eq(peek_text(c, "key", t + 30, &view), CACHE_MISS);
        ck_assert_int_eq(get_text(c, "key", t + 40 * DAY_MS, &view), CACHE_MISS);
    }
    cache_free(c);
}
END_TEST

START_TEST(no_fresh_life_is_stale_or_gone_at_once)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_item item = text_item("key", "value");
    struct cache_view view;

    item.fresh_ms = 0;
    ck_assert_int_eq(cache_put(c, &item, 5), 0);
    ck_assert_int_eq(get_text(c, "key", 5, &view), CACHE_MISS);
    item.stale_ms = 1;
    ck_assert_int_eq(cache_put(c, &item, 5), 0);
    ck_assert_int_eq(get_text(c, "key", 5, &view), CACHE_STALE);
    ck_assert_int_eq(get_text(c, "key", 6, &view), CACHE_MISS);
    cache_free(c);
}
END_TEST

START_TEST(a_life_of_ages_is_cut_and_does_not_wrap)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_item item = text_item("key", "value");
    struct cache_view view;

    item.fresh_ms = UINT64_MAX;
    item.stale_ms = UINT64_MAX;
    ck_assert_int_eq(cache_put(c, &item, 1000), 0);
    ck_assert_int_eq(get_text(c, "key", 1000 + 49 * DAY_MS, &view), CACHE_FRESH);
    ck_assert_int_eq(get_text(c, "key", 1000 + UINT64_C(0xffffffff), &view), CACHE_STALE);
    ck_assert_int_eq(get_text(c, "key", 1000 + 98 * DAY_MS, &view), CACHE_STALE);
    ck_assert_int_eq(get_text(c, "key", 1000 + 2 * UINT64_C(0xffffffff), &view), CACHE_MISS);
    item.fresh_ms = UINT64_C(1) << 32; /* would be 0 if it were cut off instead of cut */
    ck_assert_int_eq(cache_put(c, &item, 1000), 0);
    ck_assert_int_eq(get_text(c, "key", 2000, &view), CACHE_FRESH);
    cache_free(c);
}
END_TEST

START_TEST(once_serves_once)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_item item = text_item("key", "value");
    struct cache_view view;

    item.kind = CACHE_ONCE;
    ck_assert_int_eq(cache_put(c, &item, 0), 0);
    ck_assert_int_eq(peek_text(c, "key", 1, &view), CACHE_FRESH);
    ck_assert_int_eq(peek_text(c, "key", 1, &view), CACHE_FRESH);
    ck_assert_int_eq(get_text(c, "key", 1, &view), CACHE_FRESH);
    ck_assert_int_eq(view.kind, CACHE_ONCE);
    ck_assert_mem_eq(view.value, "value", 5); /* the view outlives the record */
    ck_assert_int_eq(get_text(c, "key", 1, &view), CACHE_MISS);
    ck_assert_int_eq(peek_text(c, "key", 1, &view), CACHE_MISS);
    ck_assert_uint_eq(counts(c).entries, 0);
    sound(c);

    ck_assert_int_eq(cache_put(c, &item, 0), 0);
    ck_assert_int_eq(get_text(c, "key", item.fresh_ms, &view), CACHE_MISS);
    ck_assert_int_eq(cache_put(c, &item, 2000), 0);
    ck_assert_int_eq(get_text(c, "key", 2001, &view), CACHE_FRESH);
    ck_assert_int_eq(get_text(c, "key", 2001, &view), CACHE_MISS);
    item.kind = CACHE_POSITIVE;
    ck_assert_int_eq(cache_put(c, &item, 3000), 0);
    ck_assert_int_eq(get_text(c, "key", 3000, &view), CACHE_FRESH);
    ck_assert_int_eq(get_text(c, "key", 3000, &view), CACHE_FRESH);
    sound(c);
    cache_free(c);
}
END_TEST

START_TEST(a_new_answer_replaces_a_stale_one_at_once_whatever_its_kind)
{
    for (int kind = CACHE_POSITIVE; kind <= CACHE_ONCE; kind++) {
        struct cache *c = new_cache(CACHE_BYTES_MIN);
        struct cache_item item = text_item("key", "old");
        struct cache_view view;

        item.stale_ms = 100000;
        ck_assert_int_eq(cache_put(c, &item, 0), 0);
        ck_assert_int_eq(cache_hold(c, &item, 30000, 2000), 0);
        ck_assert_int_eq(get_text(c, "key", 2000, &view), CACHE_STALE);
        item = text_item("key", "new");
        item.kind = (enum cache_kind)kind;
        ck_assert_int_eq(cache_put(c, &item, 2001), 0);
        ck_assert_int_eq(peek_text(c, "key", 2001, &view), CACHE_FRESH);
        ck_assert_int_eq(view.kind, kind);
        ck_assert_mem_eq(view.value, "new", 3);
        ck_assert_int_eq(get_text(c, "key", 3001, &view), CACHE_MISS);
        ck_assert_uint_eq(counts(c).entries, 1);
        cache_free(c);
    }
}
END_TEST

START_TEST(values_may_grow_and_shrink_in_place_of_each_other)
{
    static const size_t lens[] = {28, 29, 32, 33, 200, 28, 27, 0, 8000, 0, 1, 4000, 3999, 28, 28};
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_view view;

    put_text(c, "before", "b", 0);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct cache_item item = text_item("key", "");

        memset(filler, (int)('a' + i), sizeof filler);
        item.value = lens[i] ? filler : NULL;
        item.value_len = lens[i];
        ck_assert_int_eq(cache_put(c, &item, 0), 0);
        if (i == 0)
            put_text(c, "after", "a", 0);
        ck_assert_int_eq(get_text(c, "key", 0, &view), CACHE_FRESH);
        ck_assert_uint_eq(view.len, lens[i]);
        ck_assert_mem_eq(view.value, filler, view.len);
        has_text(c, "before", "b", 0);
        has_text(c, "after", "a", 0);
        ck_assert_uint_eq(counts(c).entries, 3);
        sound(c);
    }
    cache_free(c);
}
END_TEST

START_TEST(refreshing_with_values_of_changing_size_does_not_fill_the_region)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);

    for (size_t i = 0; i < 100000; i++) {
        struct cache_item item = text_item("rotating.example", "");

        item.value = filler;
        item.value_len = 28 + i % 4 * 16;
        ck_assert_int_eq(cache_put(c, &item, 0), 0);
    }
    ck_assert_uint_lt(counts(c).bytes_used, 10000);
    sound(c);
    cache_free(c);
}
END_TEST

START_TEST(the_largest_item_fits_and_one_byte_more_does_not)
{
    struct cache *c = new_cache(1); /* raised to the smallest */
    struct cache_item item = text_item("key", "small");
    struct cache_view view;

    ck_assert_uint_eq(counts(c).bytes_budget, CACHE_BYTES_MIN);
    item.value = filler;
    item.value_len = ITEM_MAX - item.key_len;
    for (int i = 0; i < 100; i++) {
        uint8_t key[4] = {'k', 'e', 'y', (uint8_t)i};

        ck_assert_int_eq(cache_put(c, &item, 0), 0);
        ck_assert_int_eq(get_text(c, "key", 0, &view), CACHE_FRESH);
        ck_assert_uint_eq(view.len, item.value_len);
        item.key = key; /* and many as large, so that both rings wrap */
        item.key_len = 4;
        item.value_len = ITEM_MAX - 4;
        ck_assert_int_eq(cache_put(c, &item, 0), 0);
        ck_assert_int_eq(cache_get(c, key, 4, 0, &view), CACHE_FRESH);
        sound(c);
        item.key = (const uint8_t *)"key";
        item.key_len = 3;
        item.value_len = ITEM_MAX - 3;
    }
    ck_assert_int_eq(cache_put(c, &item, 0), 0);
    item.value_len++;
    ck_assert_int_eq(cache_put(c, &item, 0), -1);
    ck_assert_int_eq(get_text(c, "key", 0, &view), CACHE_MISS);
    ck_assert_int_eq(cache_put(c, &item, 0), -1);
    sound(c);
    cache_free(c);
}
END_TEST

START_TEST(lengths_beyond_their_limits_are_refused_in_a_large_cache_too)
{
    struct cache *c = new_cache((size_t)64 << 20);
    struct cache_item item = {.key = filler, .value = filler, .fresh_ms = 1};
    struct cache_view view;

    item.key_len = CACHE_KEY_MAX;
    item.value_len = CACHE_VALUE_MAX;
    for (size_t i = 0; i < sizeof filler; i++)
        filler[i] = (uint8_t)(i * 7);
    ck_assert_int_eq(cache_put(c, &item, 0), 0);
    ck_assert_int_eq(cache_get(c, filler, CACHE_KEY_MAX, 0, &view), CACHE_FRESH);
    ck_assert_uint_eq(view.len, CACHE_VALUE_MAX);
    ck_assert_mem_eq(view.value, filler, CACHE_VALUE_MAX);
    item.value_len++;
    ck_assert_int_eq(cache_put(c, &item, 0), -1);
    ck_assert_int_eq(cache_get(c, filler, CACHE_KEY_MAX, 0, &view), CACHE_MISS);
    item.value_len = 1;
    item.key_len++;
    ck_assert_int_eq(cache_put(c, &item, 0), -1);
    ck_assert_int_eq(cache_get(c, filler, item.key_len, 0, &view), CACHE_MISS);
    item.value_len = SIZE_MAX;
    ck_assert_int_eq(cache_put(c, &item, 0), -1);
    ck_assert_uint_eq(counts(c).entries, 0);
    sound(c);
    cache_free(c);
}
END_TEST

START_TEST(forgetting_tells_whether_there_was_something)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_view view;

    ck_assert(!cache_forget(c, (const uint8_t *)"key", 3));
    put_text(c, "key", "value", 0);
    put_text(c, "other", "value", 0);
    ck_assert(cache_forget(c, (const uint8_t *)"key", 3));
    ck_assert(!cache_forget(c, (const uint8_t *)"key", 3));
    ck_assert_int_eq(get_text(c, "key", 0, &view), CACHE_MISS);
    has_text(c, "other", "value", 0);
    ck_assert_uint_eq(counts(c).entries, 1);
    sound(c);
    cache_free(c);
}
END_TEST

START_TEST(a_flushed_cache_is_as_new)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_counts fresh = counts(c);

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 5000; i++)
            put_name(c, 'a', i, 1000, 0);
        cache_flush(c);
        sound(c);
        ck_assert_uint_eq(counts(c).entries, 0);
        ck_assert_uint_eq(counts(c).bytes_used, fresh.bytes_used);
        for (size_t i = 0; i < 5000; i++)
            ck_assert_int_eq(get_name(c, 'a', i, 0), CACHE_MISS);
    }
    cache_free(c);
}
END_TEST

/* Pages that are locked cannot be given back. Where a test may not lock any, this tests nothing. */
START_TEST(locked_memory_is_flushed_too)
{
    struct cache *c;

    if (mlockall(MCL_FUTURE))
        return;
    c = cache_create(CACHE_BYTES_MIN, seed);
    if (!c) {
        munlockall();
        return;
    }
    for (size_t i = 0; i < 5000; i++)
        put_name(c, 'a', i, 1000, 0);
    cache_flush(c);
    sound(c);
    for (size_t i = 0; i < 5000; i++)
        ck_assert_int_eq(get_name(c, 'a', i, 0), CACHE_MISS);
    cache_free(c);
    ck_assert_int_eq(munlockall(), 0);
}
END_TEST

START_TEST(counts_count)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_item item = text_item("key", "value");
    struct cache_view view;
    struct cache_counts n = counts(c);

    ck_assert_uint_eq(n.hits + n.misses + n.insertions + n.evictions + n.moves + n.entries, 0);
    item.stale_ms = 1000;
    cache_put(c, &item, 0);
    get_text(c, "key", 0, &view);
    get_text(c, "key", 1, &view);
    get_text(c, "key", 1000, &view);
    get_text(c, "key", 2000, &view);
    get_text(c, "absent", 0, &view);
    peek_text(c, "key", 0, &view);
    peek_text(c, "absent", 0, &view);
    cache_put(c, &item, 0);
    item.value_len = CACHE_BYTES_MIN;
    cache_put(c, &item, 0);
    n = counts(c);
    ck_assert_uint_eq(n.hits, 2);
    ck_assert_uint_eq(n.misses, 3);
    ck_assert_uint_eq(n.insertions, 2);
    ck_assert_uint_eq(n.evictions, 0);
    ck_assert_uint_eq(n.entries, 0);
    cache_free(c);
}
END_TEST

/* ---- failures that are held ------------------------------------------------------------------ */

static struct cache_item failure_of(const char *key)
{
    struct cache_item item = text_item(key, "");

    item.kind = CACHE_FAILURE;
    item.value = NULL;
    item.fresh_ms = 5000;
    return item;
}

START_TEST(a_stale_answer_is_held_until_the_time_is_over)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_item item = text_item("key", "value");
    struct cache_item failure = failure_of("key");
    struct cache_view view;

    item.stale_ms = 100000;
    cache_put(c, &item, 0); /* fresh until 1000, stale until 101000 */
    ck_assert_int_eq(get_text(c, "key", 2000, &view), CACHE_STALE);
    ck_assert(!view.held);
    ck_assert_int_eq(cache_hold(c, &failure, 30000, 2000), 0);
    ck_assert_int_eq(get_text(c, "key", 2000, &view), CACHE_STALE);
    ck_assert(view.held);
    ck_assert_int_eq(view.kind, CACHE_POSITIVE);
    ck_assert_mem_eq(view.value, "value", 5);
    ck_assert_uint_eq(view.stored_ms, 0);
    ck_assert_uint_eq(view.expires_ms, 1000);
    ck_assert_int_eq(peek_text(c, "key", 31999, &view), CACHE_STALE);
    ck_assert(view.held);
    ck_assert_int_eq(get_text(c, "key", 32000, &view), CACHE_STALE);
    ck_assert(!view.held);
    ck_assert_int_eq(cache_hold(c, &failure, 30000, 32000), 0);
    ck_assert_int_eq(get_text(c, "key", 61999, &view), CACHE_STALE);
    ck_assert(view.held);
    sound(c);
    cache_free(c);
}
END_TEST

/* A record that failures keep alive would serve a name that was taken down long ago (the "Phoenix
 * domain" attack): stale life counts from the first expiry. */
START_TEST(failures_do_not_prolong_a_stale_life)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_item item = text_item("key", "value");
    struct cache_item failure = failure_of("key");
    struct cache_view view;

    item.stale_ms = 100000;
    cache_put(c, &item, 0);
    for (uint64_t t = 1000; t < 101000; t += 1000) {
        ck_assert_int_eq(cache_hold(c, &failure, 30000, t), 0);
        ck_assert_int_eq(get_text(c, "key", t, &view), CACHE_STALE);
    }
    ck_assert_int_eq(get_text(c, "key", 100999, &view), CACHE_STALE);
    ck_assert_int_eq(get_text(c, "key", 101000, &view), CACHE_MISS);
    ck_assert_int_eq(cache_hold(c, &failure, 30000, 101000), 0);
    ck_assert_int_eq(get_text(c, "key", 101000, &view), CACHE_FRESH);
    ck_assert_int_eq(view.kind, CACHE_FAILURE);
    ck_assert_uint_eq(view.len, 0);
    ck_assert_uint_eq(view.expires_ms, 106000);
    sound(c);
    cache_free(c);
}
END_TEST

START_TEST(a_failure_is_stored_where_nothing_useful_is_and_renewed)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_item failure = failure_of("key");
    struct cache_view view;

    failure.stale_ms = 50000; /* even so it is no stale answer to keep */
    ck_assert_int_eq(cache_hold(c, &failure, 30000, 0), 0);
    ck_assert_int_eq(get_text(c, "key", 4999, &view), CACHE_FRESH);
    ck_assert_int_eq(view.kind, CACHE_FAILURE);
    ck_assert_int_eq(cache_hold(c, &failure, 30000, 4000), 0);
    ck_assert_int_eq(get_text(c, "key", 8999, &view), CACHE_FRESH);
    ck_assert_int_eq(cache_hold(c, &failure, 30000, 10000), 0);
    ck_assert_int_eq(get_text(c, "key", 14999, &view), CACHE_FRESH);
    ck_assert_uint_eq(counts(c).entries, 1);
    sound(c);
    cache_free(c);
}
END_TEST

START_TEST(a_fresh_answer_stays_and_is_held_once_it_is_stale)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_item item = text_item("key", "value");
    struct cache_item failure = failure_of("key");
    struct cache_view view;

    item.stale_ms = 5000;
    cache_put(c, &item, 0);
    ck_assert_int_eq(cache_hold(c, &failure, 300, 900), 0);
    ck_assert_int_eq(get_text(c, "key", 999, &view), CACHE_FRESH);
    ck_assert_int_eq(view.kind, CACHE_POSITIVE);
    ck_assert(!view.held);
    ck_assert_int_eq(get_text(c, "key", 1199, &view), CACHE_STALE);
    ck_assert(view.held);
    ck_assert_int_eq(get_text(c, "key", 1200, &view), CACHE_STALE);
    ck_assert(!view.held);
    cache_put(c, &item, 2000);
    ck_assert_int_eq(cache_hold(c, &failure, 300, 2100), 0); /* over before it expires */
    ck_assert_int_eq(get_text(c, "key", 3000, &view), CACHE_STALE);
    ck_assert(!view.held);
    ck_assert_int_eq(cache_hold(c, &failure, UINT64_MAX / 2, 3000), 0);
    ck_assert_int_eq(get_text(c, "key", 7999, &view), CACHE_STALE);
    ck_assert(view.held);
    ck_assert_int_eq(get_text(c, "key", 8000, &view), CACHE_MISS);
    sound(c);
    cache_free(c);
}
END_TEST

/* ---- against a model ------------------------------------------------------------------------- */

struct model {
    bool there;
    unsigned version;
    size_t len;
    enum cache_kind kind;
    uint64_t stored_ms, fresh_ms, stale_ms, held_until_ms;
};

/* Keys of 4 to 34 bytes, so that records have all sizes. */
static size_t model_key(size_t id, uint8_t key[40])
{
    size_t len = 4 + id % 31;

    memset(key, (int)(id % 7), len);
    memcpy(key, &(uint32_t){(uint32_t)id}, 4);
    return len;
}

static uint8_t model_byte(size_t id, unsigned version, size_t at)
{
    return (uint8_t)(id * 31 + version * 17 + at);
}

static void fill_item(size_t id, struct model *m, uint8_t *key, struct cache_item *item)
{
    static uint8_t value[ITEM_MAX];

    m->there = true;
    m->version++;
    for (size_t i = 0; i < m->len; i++)
        value[i] = model_byte(id, m->version, i);
    *item = (struct cache_item){.key = key,
        .key_len = model_key(id, key),
        .value = value,
        .value_len = m->len,
        .kind = m->kind,
        .fresh_ms = m->fresh_ms,
        .stale_ms = m->stale_ms};
}

static void model_put(struct cache *c, size_t id, struct model *m, size_t len_max, uint64_t now_ms)
{
    struct cache_item item;
    uint8_t key[40];

    m->len = chance_below(chance_below(20) ? 60 : len_max);
    m->kind = (enum cache_kind)chance_below(4);
    m->stored_ms = now_ms;
    m->fresh_ms = chance_below(5000);
    m->stale_ms = chance_below(2) ? chance_below(5000) : 0;
    m->held_until_ms = 0;
    fill_item(id, m, key, &item);
    ck_assert_int_eq(cache_put(c, &item, now_ms), 0);
}

static enum cache_found model_life(const struct model *m, uint64_t now_ms)
{
    if (!m->there || now_ms >= m->stored_ms + m->fresh_ms + m->stale_ms)
        return CACHE_MISS;
    return now_ms < m->stored_ms + m->fresh_ms ? CACHE_FRESH : CACHE_STALE;
}

static void model_hold(struct cache *c, size_t id, struct model *m, uint64_t now_ms)
{
    struct model failed = *m;
    struct cache_item item;
    uint8_t key[40];
    uint64_t hold_ms = chance_below(3000);
    struct cache_view view;
    size_t key_len = model_key(id, key);

    if (cache_peek(c, key, key_len, now_ms, &view) != CACHE_MISS && m->kind != CACHE_FAILURE) {
        failed.len = 0;
        failed.kind = CACHE_FAILURE;
        fill_item(id, &failed, key, &item);
        ck_assert_int_eq(cache_hold(c, &item, hold_ms, now_ms), 0);
        m->held_until_ms = now_ms + hold_ms;
        return;
    }
    *m = (struct model){.version = m->version,
        .kind = CACHE_FAILURE,
        .stored_ms = now_ms,
        .fresh_ms = chance_below(2000)};
    fill_item(id, m, key, &item);
    ck_assert_int_eq(cache_hold(c, &item, hold_ms, now_ms), 0);
}

/* Whatever comes back must be the last that was put; that nothing does is an eviction, counted. */
static void model_look(
    struct cache *c, size_t id, struct model *m, uint64_t now_ms, bool peek, size_t *lost)
{
    struct cache_view view;
    uint8_t key[40];
    size_t key_len = model_key(id, key);
    enum cache_found expected = model_life(m, now_ms);
    enum cache_found found = peek ? cache_peek(c, key, key_len, now_ms, &view)
                                  : cache_get(c, key, key_len, now_ms, &view);

    if (found == CACHE_MISS) {
        *lost += expected != CACHE_MISS;
        m->there = m->there && expected == CACHE_MISS;
        return;
    }
    ck_assert_int_eq(found, expected);
    ck_assert_int_eq(view.kind, m->kind);
    ck_assert_uint_eq(view.stored_ms, m->stored_ms);
    ck_assert_uint_eq(view.expires_ms, m->stored_ms + m->fresh_ms);
    ck_assert_int_eq(view.held, found == CACHE_STALE && now_ms < m->held_until_ms);
    ck_assert_uint_eq(view.len, m->len);
    for (size_t i = 0; i < view.len; i++)
        ck_assert_uint_eq(view.value[i], model_byte(id, m->version, i));
    if (!peek && m->kind == CACHE_ONCE)
        m->there = false;
}

/* One random step on one of n_keys keys. */
static void model_step(struct cache *c, struct model *models, size_t n_keys, size_t len_max,
    uint64_t now_ms, size_t *lost)
{
    size_t id = chance_below(2) ? chance_below(n_keys) : chance_below(n_keys / 10);
    struct model *m = &models[id];
    size_t what = chance_below(100);
    uint8_t key[40];

    if (what < 40) {
        model_put(c, id, m, len_max, now_ms);
    } else if (what < 75) {
        model_look(c, id, m, now_ms, false, lost);
    } else if (what < 85) {
        model_look(c, id, m, now_ms, true, lost);
    } else if (what < 95) {
        model_hold(c, id, m, now_ms);
    } else {
        bool there = cache_forget(c, key, model_key(id, key));

        ck_assert(m->there || !there);
        m->there = false;
    }
}

/* Runs steps on a cache of the smallest size; the whole is checked every so many steps. */
static struct cache_counts model_run(
    uint64_t run, size_t n_keys, size_t len_max, size_t steps, size_t check_every, size_t *lost)
{
    struct model *models = calloc(n_keys, sizeof *models);
    uint8_t run_seed[CACHE_SEED_LEN] = {(uint8_t)run};
    struct cache *c = cache_create(CACHE_BYTES_MIN, run_seed);
    struct cache_counts n;
    uint64_t now_ms = 0;

    ck_assert_ptr_nonnull(models);
    ck_assert_ptr_nonnull(c);
    chance_state = run;
    *lost = 0;
    for (size_t i = 0; i < steps; i++) {
        now_ms += chance_below(5);
        model_step(c, models, n_keys, len_max, now_ms, lost);
        if (i % check_every == 0)
            sound(c);
        if (chance_below(50000) == 0) {
            cache_flush(c);
            for (size_t k = 0; k < n_keys; k++)
                models[k].there = false;
        }
    }
    sound(c);
    n = counts(c);
    ck_assert_uint_le(n.bytes_used, n.bytes_budget);
    cache_free(c);
    free(models);
    return n;
}

START_TEST(under_pressure_whatever_comes_back_is_the_last_that_was_put)
{
    for (uint64_t run = 1; run <= 4; run++) {
        size_t lost;
        struct cache_counts n = model_run(run, 20000, ITEM_MAX - 40, often(100000), 997, &lost);

        ck_assert_uint_gt(n.evictions, often(1000));
        ck_assert_uint_le(lost, n.evictions);
    }
}
END_TEST

/* After every step of few large records, and every seventh of many small ones: what breaks does not
 * mend itself. */
START_TEST(under_pressure_the_whole_stays_sound)
{
    size_t lost;

    model_run(11, 5000, ITEM_MAX - 40, often(10000), 1, &lost);
    model_run(12, 5000, 100, often(10000), 7, &lost);
}
END_TEST

START_TEST(without_pressure_nothing_is_lost)
{
    size_t lost;
    struct cache_counts n = model_run(21, 500, 100, often(100000), 997, &lost);

    ck_assert_uint_eq(n.evictions, 0);
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(the_index_grows_without_losing_a_name)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN * 4);

    for (size_t i = 0; i < 8000; i++) {
        ck_assert_int_eq(put_name(c, 'g', i, 1000, 0), 0);
        if (i < 1500 || i % 100 == 0)
            sound(c);
        if (i % 3 == 2) { /* take some out in the middle of growing */
            uint8_t key[KEY_LEN];

            ck_assert(cache_forget(c, name_key('g', i - 1, key), KEY_LEN));
        }
    }
    for (size_t i = 0; i < 8000; i++)
        ck_assert_int_eq(get_name(c, 'g', i, 0), i % 3 == 1 && i < 7999 ? CACHE_MISS : CACHE_FRESH);
    ck_assert_uint_eq(counts(c).evictions, 0);
    sound(c);
    cache_free(c);
}
END_TEST

/* ---- eviction -------------------------------------------------------------------------------- */

struct flood {
    size_t bytes;
    size_t n_hot;
    size_t unique_min, unique_max; /* junk names between two questions for hot ones */
    size_t n_unique;               /* junk names in all */
    uint64_t hot_fresh_ms;
    size_t hot_extra; /* answers for hot names vary by so many bytes */
};

/* Hot names are known and asked for, then junk begins. A hot name that is not there is asked
 * upstream and stored again, as dnsd does. Returns the share of hot questions that were answered,
 * in percent; those that missed since the TTL was over (known from the model of it) are left out.
 */
static double hot_hit_rate(const struct flood *f)
{
    struct cache *c = new_cache(f->bytes);
    uint64_t *stored_ms = calloc(f->n_hot, sizeof *stored_ms);
    size_t hits = 0;
    size_t asked = 0;
    size_t n_unique = 0;
    uint64_t now_ms = 0;

    ck_assert_ptr_nonnull(stored_ms);
    chance_state = 5;
    for (size_t i = 0; i < f->n_hot; i++)
        put_name(c, 'h', i, f->hot_fresh_ms, 0);
    for (size_t i = 0; i < f->n_hot; i++)
        ck_assert_int_eq(get_name(c, 'h', i, 0), CACHE_FRESH);
    while (n_unique < f->n_unique) {
        size_t burst = f->unique_min + chance_below(f->unique_max - f->unique_min + 1);
        size_t hot = chance_below(f->n_hot);
        bool expired;

        for (; burst; burst--) {
            get_name(c, 'u', n_unique, now_ms);
            put_name(c, 'u', n_unique++, DAY_MS, now_ms);
        }
        now_ms += 10;
        expired = now_ms >= stored_ms[hot] + f->hot_fresh_ms;
        asked += !expired;
        if (get_name(c, 'h', hot, now_ms) == CACHE_FRESH) {
            hits += !expired;
            continue;
        }
        put_sized_name(
            c, 'h', hot, A_LEN + chance_below(f->hot_extra + 1), f->hot_fresh_ms, now_ms);
        stored_ms[hot] = now_ms;
    }
    sound(c);
    ck_assert_uint_le(counts(c).bytes_used, f->bytes);
    cache_free(c);
    free(stored_ms);
    ck_assert_uint_gt(asked, 500);
    return 100.0 * (double)hits / (double)asked;
}

START_TEST(a_million_random_names_do_not_push_out_the_hot_ones)
{
    struct flood f = {CACHE_BYTES_MIN, 1000, 10, 100, often(1000000), DAY_MS, 0};

    ck_assert_double_ge(hot_hit_rate(&f), 99.0);
}
END_TEST

START_TEST(hot_names_that_expire_and_come_back_keep_their_place_in_a_flood)
{
    struct flood f = {CACHE_BYTES_MIN, 1000, 10, 100, often(1000000), 20000, 0};

    ck_assert_double_ge(hot_hit_rate(&f), 99.0);
}
END_TEST

/* They need a fifth of the cache. Each is asked for once in 10 s and lives for 10 s; whatever is
 * not asked for in one lap of its ring while others press is lost to the flood. */
START_TEST(hot_names_that_change_with_each_refresh_keep_their_place_in_a_flood)
{
    struct flood f = {CACHE_BYTES_MIN * 4, 1000, 10, 100, often(1000000), 10000, 200};

    ck_assert_double_ge(hot_hit_rate(&f), 99.0);
}
END_TEST

START_TEST(hot_names_that_come_after_a_flood_find_a_place)
{
    const size_t n_hot = 1000;
    struct cache *c = new_cache((size_t)4 << 20);
    size_t unique = 0;
    size_t hits = 0;

    while (unique < 100000)
        put_name(c, 'u', unique++, DAY_MS, 0);
    for (size_t round = 0; round < 10; round++) {
        for (size_t hot = 0; hot < n_hot; hot++) {
            for (int i = 0; i < 10; i++)
                put_name(c, 'u', unique++, DAY_MS, 0);
            if (get_name(c, 'h', hot, 0) == CACHE_FRESH)
                hits += round >= 4;
            else
                put_name(c, 'h', hot, DAY_MS, 0);
        }
    }
    ck_assert_uint_ge(hits, n_hot * 6 * 99 / 100);
    sound(c);
    cache_free(c);
}
END_TEST

START_TEST(expired_records_go_before_live_ones)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    size_t n = 0;

    while (counts(c).evictions == 0)
        put_name(c, 'o', n++, 100, 0);
    ck_assert_uint_gt(n, 2000);
    for (size_t i = 0; i < n / 2; i++) {
        ck_assert_int_eq(put_name(c, 'n', i, 1000, 100), 0);
        sound(c);
    }
    ck_assert_uint_eq(counts(c).evictions, 1);
    for (size_t i = 0; i < n / 2; i++)
        ck_assert_int_eq(get_name(c, 'n', i, 200), CACHE_FRESH);
    cache_free(c);
}
END_TEST

START_TEST(peeking_does_not_keep_a_record)
{
    struct cache *asked = new_cache(CACHE_BYTES_MIN);
    struct cache *peeked = new_cache(CACHE_BYTES_MIN);
    struct cache *left = new_cache(CACHE_BYTES_MIN);
    struct cache *const all[] = {asked, peeked, left};
    uint8_t key[KEY_LEN];
    struct cache_view view;
    size_t there[3] = {0};

    for (size_t n = 0; n < 20000; n++) {
        for (size_t i = 0; i < 3; i++)
            put_name(all[i], 'p', n, 1000, 0);
        if (n % 100 != 0)
            continue;
        cache_get(asked, name_key('p', n, key), KEY_LEN, 0, &view);
        cache_peek(peeked, name_key('p', n, key), KEY_LEN, 0, &view);
    }
    for (size_t n = 0; n < 10000; n += 100)
        for (size_t i = 0; i < 3; i++)
            there[i] += cache_peek(all[i], name_key('p', n, key), KEY_LEN, 0, &view) != CACHE_MISS;
    ck_assert_uint_eq(there[1], there[2]);
    ck_assert_uint_gt(there[0], there[1] + 50);
    for (size_t i = 0; i < 3; i++)
        cache_free(all[i]);
}
END_TEST

/* Where all records were asked for, looking for one that was not would carry all of them around. */
START_TEST(a_put_moves_a_few_records_at_most)
{
    struct cache *c = new_cache((size_t)4 << 20);
    size_t n = 0;
    uint64_t most = 0;

    while (counts(c).evictions == 0)
        put_name(c, 'v', n++, 1000, 0);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < n; i++)
            get_name(c, 'v', i, 0);
    for (size_t i = 0; i < 20000; i++) {
        struct cache_counts before = counts(c);
        struct cache_counts after;

        put_name(c, 'w', i, 1000, 0);
        get_name(c, 'w', i, 0);
        after = counts(c);
        if (after.moves - before.moves > most)
            most = after.moves - before.moves;
        ck_assert_uint_le(after.evictions - before.evictions, 100);
    }
    ck_assert_uint_gt(most, 1);
    ck_assert_uint_le(most, 4096 / 80);
    sound(c);
    cache_free(c);
}
END_TEST

/* Records so small that slots are used up before bytes are. */
START_TEST(a_full_index_evicts_as_a_full_region_does)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_view view;
    size_t hits = 0;

    for (uint32_t i = 0; i < 500; i++) {
        struct cache_item item = {.key = (const uint8_t *)&i, .key_len = 4, .fresh_ms = 1000};

        cache_put(c, &item, 0);
        cache_get(c, item.key, 4, 0, &view);
    }
    for (uint32_t i = 1000; i < 51000; i++) {
        struct cache_item item = {.key = (const uint8_t *)&i, .key_len = 4, .fresh_ms = 1000};

        ck_assert_int_eq(cache_put(c, &item, 0), 0);
        ck_assert_int_eq(cache_peek(c, item.key, 4, 0, &view), CACHE_FRESH);
        if (i % 100 == 0)
            sound(c);
    }
    ck_assert_uint_lt(counts(c).bytes_used, CACHE_BYTES_MIN * 3 / 4);
    for (uint32_t i = 0; i < 500; i++)
        hits += cache_get(c, (const uint8_t *)&i, 4, 0, &view) == CACHE_FRESH;
    ck_assert_uint_ge(hits, 495);
    cache_free(c);
}
END_TEST

static int put_number(struct cache *c, uint32_t number)
{
    struct cache_item item = {.key = (const uint8_t *)&number, .key_len = 4, .fresh_ms = 1000};

    return cache_put(c, &item, 0);
}

static bool has_number(const struct cache *c, uint32_t number)
{
    struct cache_view view;

    return cache_peek(c, (const uint8_t *)&number, 4, 0, &view) == CACHE_FRESH;
}

/* Nobody can choose such keys without the seed; a test can. Their hashes all begin with the same
 * bits, the highest or the lowest there are, in an index that is empty or nearly full. */
START_TEST(keys_that_crowd_cost_records_but_nothing_else)
{
    const uint32_t others = _i & 2 ? 3000 : 0;
    const uint8_t first_byte = _i & 1 ? 0xff : 0;
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    uint32_t n = others;
    uint32_t there = 0;

    for (uint32_t i = 0; i < others; i++)
        put_number(c, i);
    for (uint32_t i = others; i < often(200000); i++) {
        uint8_t hash[8];

        crypto_shorthash(hash, (const uint8_t *)&i, 4, seed);
        if (hash[7] != first_byte)
            continue;
        n++;
        ck_assert_int_eq(put_number(c, i), 0);
        ck_assert(has_number(c, i));
        if (n % 50 == 0)
            sound(c);
    }
    sound(c);
    for (uint32_t i = 0; i < often(200000); i++)
        there += has_number(c, i);
    ck_assert_uint_eq(there, counts(c).entries);
    ck_assert_uint_eq(there + counts(c).evictions, n);
    cache_free(c);
}
END_TEST

/* The oldest records give no slot, as they were forgotten. */
START_TEST(a_full_index_behind_dead_records_still_takes_new_ones)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    uint32_t n = 0;
    size_t full;

    while (counts(c).evictions == 0)
        put_number(c, n++);
    full = counts(c).entries;
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = n - 2000; i < n - 500; i++)
            cache_forget(c, (const uint8_t *)&i, 4);
        while (counts(c).entries < full)
            put_number(c, n++);
        for (uint32_t i = 0; i < 200; i++) {
            ck_assert_int_eq(put_number(c, n), 0);
            ck_assert(has_number(c, n++));
        }
        ck_assert_uint_le(counts(c).entries, full + 1);
        sound(c);
    }
    cache_free(c);
}
END_TEST

static enum cache_found get_number(struct cache *c, uint32_t number)
{
    struct cache_view view;

    return cache_get(c, (const uint8_t *)&number, 4, 0, &view);
}

/* A large answer that is asked for is too large to be carried on for a small one. */
START_TEST(a_full_index_takes_new_ones_behind_a_large_record_that_is_asked_for)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    uint32_t n = 1;

    put_sized_name(c, 'l', 0, 6000, 1000, 0);
    ck_assert_int_eq(get_name(c, 'l', 0, 0), CACHE_FRESH);
    while (counts(c).evictions == 0)
        ck_assert_int_eq(put_number(c, n++), 0);
    for (uint32_t i = 0; i < 1000; i++, n++) {
        ck_assert_int_eq(put_number(c, n), 0);
        ck_assert(has_number(c, n));
    }
    ck_assert_int_eq(get_name(c, 'l', 0, 0), CACHE_FRESH);
    sound(c);
    cache_free(c);
}
END_TEST

/* Nobody at the tails gives a slot back, since all are asked for: then a neighbour goes. Hashes
 * above all others have it on one side only. */
START_TEST(a_full_index_where_all_are_asked_for_takes_new_ones)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    uint32_t taken = 0;
    size_t full = 0;

    for (uint32_t i = 0; taken < 6000; i++) {
        uint8_t hash[8];

        crypto_shorthash(hash, (const uint8_t *)&i, 4, seed);
        if (_i == 1 && (full == 0 ? hash[7] >= 0xf0 : hash[7] < 0xf8))
            continue;
        taken++;
        ck_assert_int_eq(put_number(c, i), 0);
        for (int visits = 0; visits < 3; visits++)
            ck_assert_int_eq(get_number(c, i), CACHE_FRESH);
        if (full == 0 && counts(c).evictions > 0)
            full = counts(c).entries;
        if (taken % 100 == 0)
            sound(c);
    }
    ck_assert_uint_gt(full, 0);
    ck_assert_uint_le(counts(c).entries, full + 1);
    sound(c);
    cache_free(c);
}
END_TEST

/* A run of thousands is not moved for one: its neighbour goes. */
START_TEST(keys_that_crowd_by_the_thousand_cost_one_record_each)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN * 8);
    uint32_t n = 0;

    for (uint32_t i = 0; n < 6000; i++) {
        uint8_t hash[8];

        crypto_shorthash(hash, (const uint8_t *)&i, 4, seed);
        if (hash[7] >= 8)
            continue;
        n++;
        ck_assert_int_eq(put_number(c, i), 0);
        ck_assert(has_number(c, i));
        if (n % 500 == 0)
            sound(c);
    }
    ck_assert_uint_gt(counts(c).evictions, 0);
    ck_assert_uint_eq(counts(c).entries + counts(c).evictions, n);
    cache_free(c);
}
END_TEST

START_TEST(large_records_among_small_ones_empty_a_ring_and_no_more)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    size_t n = 0;

    chance_state = 4;
    while (counts(c).evictions == 0)
        put_name(c, 's', n++, 1000, 0);
    for (uint32_t i = 0; i < 300; i++) {
        struct cache_item item = {.key = (const uint8_t *)&i,
            .key_len = 4,
            .value = filler,
            .value_len = ITEM_MAX - 4 - chance_below(2500),
            .fresh_ms = 1000};

        ck_assert_int_eq(cache_put(c, &item, 0), 0);
        ck_assert(has_number(c, i));
        sound(c);
    }
    ck_assert_uint_gt(counts(c).entries, n * 8 / 10);
    cache_free(c);
}
END_TEST

START_TEST(changing_sizes_of_many_names_cost_no_live_ones)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    const uint32_t names = 1000;

    chance_state = 3;
    for (size_t n = 0; n < often(200000); n++) {
        uint32_t i = (uint32_t)chance_below(names);
        struct cache_item item = {.key = (const uint8_t *)&i,
            .key_len = 4,
            .value = filler,
            .value_len = chance_below(10) ? 28 : 100 + chance_below(300),
            .fresh_ms = 1000};

        ck_assert_int_eq(cache_put(c, &item, 0), 0);
    }
    ck_assert_uint_eq(counts(c).entries, names);
    ck_assert_uint_eq(counts(c).evictions, 0);
    sound(c);
    cache_free(c);
}
END_TEST

/* ---- bytes ----------------------------------------------------------------------------------- */

/* statm is off by some pages for each processor, as the kernel sums up lazily; smaps_rollup is not.
 */
static size_t resident_bytes(void)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    unsigned long kilobytes = 0;

    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "Rss: %lu kB", &kilobytes) == 1)
            break;
    fclose(f);
    ck_assert_uint_gt(kilobytes, 0);
    return (size_t)kilobytes * 1024;
}

/* Reading the file needs memory for the first time, too. */
static size_t baseline_bytes(void)
{
    resident_bytes();
    return resident_bytes();
}

/* By how much it has grown since then; nothing to go by where valgrind keeps books. */
static size_t grown_bytes(size_t before)
{
    size_t now = resident_bytes();

    return under_valgrind() || now < before ? 0 : now - before;
}

START_TEST(an_empty_cache_costs_almost_nothing)
{
    struct cache *c = new_cache(CACHE_BYTES_MIN);
    struct cache_view view;
    size_t before;

    put_text(c, "key", "value", 0); /* what the libraries need for the first time is not meant */
    cache_free(c);
    before = baseline_bytes();
    c = new_cache((size_t)1 << 30);
    ck_assert_int_eq(get_text(c, "key", 0, &view), CACHE_MISS);
    put_text(c, "key", "value", 0);
    ck_assert_uint_le(grown_bytes(before), 64 * 1024);
    cache_free(c);
}
END_TEST

START_TEST(an_answer_costs_a_hundred_bytes_in_caches_of_any_size)
{
    const size_t sizes[] = {(size_t)24 << 20, (size_t)64 << 20, (size_t)1 << 30};
    const size_t n = 200000;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t before = baseline_bytes();
        struct cache *c = new_cache(sizes[i]);

        for (size_t k = 0; k < n; k++)
            put_name(c, 'b', k, 1000, 0);
        ck_assert_uint_eq(counts(c).entries, n);
        ck_assert_uint_le(counts(c).bytes_used, 100 * n);
        ck_assert_uint_le(grown_bytes(before), 100 * n);
        cache_free(c);
    }
}
END_TEST

START_TEST(sixty_four_megabytes_hold_650000_answers)
{
    struct cache *c = new_cache((size_t)64 << 20);
    size_t before = baseline_bytes();
    size_t n = 0;

    while (counts(c).evictions == 0 && n < 2000000) {
        put_name(c, 'b', n++, 1000, 0);
        if (n % 200 == 0) { /* a few that go by themselves must not cost the room of many */
            uint8_t key[KEY_LEN];

            ck_assert(cache_forget(c, name_key('b', n - 1, key), KEY_LEN));
        }
    }
    ck_assert_uint_ge(counts(c).entries, 650000);
    for (size_t more = 0; more < often(1000000); more++)
        put_name(c, 'c', more, 1000, 0);
    ck_assert_uint_ge(counts(c).entries, 650000);
    ck_assert_uint_le(counts(c).bytes_used, (size_t)64 << 20);
    ck_assert_uint_le(grown_bytes(before), (size_t)65 << 20);
    cache_free(c);
}
END_TEST

START_TEST(flushing_gives_memory_back)
{
    struct cache *c = new_cache((size_t)64 << 20);
    size_t before;

    put_name(c, 'b', 0, 1000, 0);
    before = baseline_bytes();
    for (size_t n = 0; n < 100000; n++)
        put_name(c, 'b', n, 1000, 0);
    cache_flush(c);
    ck_assert_uint_le(grown_bytes(before), 65536);
    cache_free(c);
}
END_TEST

/* The address sanitizer cannot live with a limit on addresses. */
extern void __asan_init(void) __attribute__((weak));

START_TEST(memory_that_is_refused_is_told)
{
    struct rlimit limit;
    rlim_t before;

    ck_assert_ptr_null(cache_create(SIZE_MAX, seed));
    ck_assert_ptr_null(cache_create(CACHE_BYTES_MAX + 1, seed));
    cache_free(NULL);
    if (__asan_init)
        return;
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
    before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)1 << 30;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    ck_assert_ptr_null(cache_create((size_t)2 << 30, seed));
    limit.rlim_cur = before;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}
END_TEST

static TCase *what_comes_back(void)
{
    TCase *t = tcase_create("what comes back");

    tcase_add_test(t, every_kind_comes_back_as_it_was_put);
    tcase_add_test(t, keys_are_told_apart_to_the_last_byte);
    tcase_add_test(t, expiry_is_to_the_millisecond);
    tcase_add_test(t, no_fresh_life_is_stale_or_gone_at_once);
    tcase_add_test(t, a_life_of_ages_is_cut_and_does_not_wrap);
    tcase_add_test(t, once_serves_once);
    tcase_add_test(t, a_new_answer_replaces_a_stale_one_at_once_whatever_its_kind);
    tcase_add_test(t, values_may_grow_and_shrink_in_place_of_each_other);
    tcase_add_test(t, refreshing_with_values_of_changing_size_does_not_fill_the_region);
    tcase_add_test(t, the_largest_item_fits_and_one_byte_more_does_not);
    tcase_add_test(t, lengths_beyond_their_limits_are_refused_in_a_large_cache_too);
    tcase_add_test(t, forgetting_tells_whether_there_was_something);
    tcase_add_test(t, a_flushed_cache_is_as_new);
    tcase_add_test(t, locked_memory_is_flushed_too);
    tcase_add_test(t, counts_count);
    return t;
}

static TCase *holding(void)
{
    TCase *t = tcase_create("holding");

    tcase_add_test(t, a_stale_answer_is_held_until_the_time_is_over);
    tcase_add_test(t, failures_do_not_prolong_a_stale_life);
    tcase_add_test(t, a_failure_is_stored_where_nothing_useful_is_and_renewed);
    tcase_add_test(t, a_fresh_answer_stays_and_is_held_once_it_is_stale);
    return t;
}

static TCase *against_a_model(void)
{
    TCase *t = tcase_create("against a model");

    tcase_add_test(t, under_pressure_whatever_comes_back_is_the_last_that_was_put);
    tcase_add_test(t, under_pressure_the_whole_stays_sound);
    tcase_add_test(t, without_pressure_nothing_is_lost);
    tcase_add_test(t, the_index_grows_without_losing_a_name);
    return t;
}

static TCase *eviction(void)
{
    TCase *t = tcase_create("eviction");

    tcase_add_test(t, a_million_random_names_do_not_push_out_the_hot_ones);
    tcase_add_test(t, hot_names_that_expire_and_come_back_keep_their_place_in_a_flood);
    tcase_add_test(t, hot_names_that_change_with_each_refresh_keep_their_place_in_a_flood);
    tcase_add_test(t, hot_names_that_come_after_a_flood_find_a_place);
    tcase_add_test(t, expired_records_go_before_live_ones);
    tcase_add_test(t, peeking_does_not_keep_a_record);
    tcase_add_test(t, a_put_moves_a_few_records_at_most);
    tcase_add_test(t, a_full_index_evicts_as_a_full_region_does);
    tcase_add_test(t, a_full_index_behind_dead_records_still_takes_new_ones);
    tcase_add_test(t, a_full_index_takes_new_ones_behind_a_large_record_that_is_asked_for);
    tcase_add_loop_test(t, a_full_index_where_all_are_asked_for_takes_new_ones, 0, 2);
    tcase_add_test(t, keys_that_crowd_by_the_thousand_cost_one_record_each);
    tcase_add_loop_test(t, keys_that_crowd_cost_records_but_nothing_else, 0, 4);
    tcase_add_test(t, large_records_among_small_ones_empty_a_ring_and_no_more);
    tcase_add_test(t, changing_sizes_of_many_names_cost_no_live_ones);
    return t;
}

static TCase *bytes(void)
{
    TCase *t = tcase_create("bytes");

    tcase_add_test(t, an_empty_cache_costs_almost_nothing);
    tcase_add_test(t, an_answer_costs_a_hundred_bytes_in_caches_of_any_size);
    tcase_add_test(t, sixty_four_megabytes_hold_650000_answers);
    tcase_add_test(t, flushing_gives_memory_back);
    tcase_add_test(t, memory_that_is_refused_is_told);
    return t;
}

int main(void)
{
    TCase *cases[] = {what_comes_back(), holding(), against_a_model(), eviction(), bytes()};
    Suite *suite = suite_create("cache");
    SRunner *runner;
    int failed;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tcase_set_timeout(cases[i], 60);
        suite_add_tcase(suite, cases[i]);
    }
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
