/* cache.c: fuzzes the cache: what is found must be what was put last, neither too late nor twice,
 * whatever was evicted meanwhile. Knows cache.h, and remembers what it put. */
#include "cache.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define KEYS      1024
#define STEPS_MAX 1500
#define CHECK_ODD 16 /* steps between walks over all of it */
#define VALUE_MAX 9000

/* What was put under a key. */
struct put {
    uint32_t version; /* 0: nothing, or it was forgotten */
    size_t len;
    enum cache_kind kind;
    uint64_t stored_ms, fresh_until_ms, stale_until_ms;
};

static struct put kept[KEYS];
static struct cache *cache;
static uint64_t now_ms;
static uint32_t version;

/* Keys are of different lengths, some of them with much in common. */
static size_t key_of(unsigned number, uint8_t key[CACHE_KEY_MAX])
{
    size_t len = 4 + number % 7 + (number % 50 == 0 ? 400 : 0);
    memset(key, 'k', len);
    key[len - 1] = (uint8_t)number;
    key[len - 2] = (uint8_t)(number >> 8);
    return len;
}

static void fill(uint8_t *value, size_t len, unsigned number, uint32_t v)
{
    for (size_t i = 0; i < len; i++)
        value[i] = (uint8_t)(number * 7 + v * 13 + i);
}

static void put_one(struct fuzz_input *in, unsigned number, bool hold)
{
    static uint8_t value[VALUE_MAX];
    static const uint64_t lives_ms[] = {0, 1, 1000, 30000, 60000, 3600000, 86400000, 5000000000};
    uint8_t key[CACHE_KEY_MAX], how = fuzz_u8(in), size = fuzz_u8(in);
    size_t key_len = key_of(number, key);
    struct put *p = &kept[number];
    struct cache_item item = {.key = key, .key_len = key_len, .value = value};
    item.value_len = size < 200 ? size : (size - 200u) * 160;
    item.kind = hold ? CACHE_FAILURE : (enum cache_kind)(how & 3);
    item.fresh_ms = lives_ms[how >> 2 & 7];
    item.stale_ms = how & 32 ? lives_ms[how >> 6 | 4] : 0;
    fill(value, item.value_len, number, ++version);
    struct cache_view v;
    bool useful =
        cache_peek(cache, key, key_len, now_ms, &v) != CACHE_MISS && v.kind != CACHE_FAILURE;
    int result = hold ? cache_hold(cache, &item, 5000, now_ms) : cache_put(cache, &item, now_ms);
    if (hold && useful)
        return;
    *p = (struct put){0};
    if (result < 0)
        return;
    *p = (struct put){.version = version, .len = item.value_len, .kind = item.kind};
    p->stored_ms = now_ms;
    p->fresh_until_ms = now_ms + (item.fresh_ms < UINT32_MAX ? item.fresh_ms : UINT32_MAX);
    p->stale_until_ms = p->fresh_until_ms + item.stale_ms;
}

static void view_is_sound(unsigned number, enum cache_found found, const struct cache_view *v)
{
    static uint8_t value[VALUE_MAX];
    const struct put *p = &kept[number];
    if (found == CACHE_MISS)
        return;
    FUZZ_MUST(p->version > 0 && v->len == p->len && v->kind == p->kind);
    fill(value, p->len, number, p->version);
    FUZZ_MUST(memcmp(value, v->value, p->len) == 0);
    FUZZ_MUST(v->stored_ms == p->stored_ms);
    if (found == CACHE_FRESH)
        FUZZ_MUST(now_ms < p->fresh_until_ms || now_ms == p->stored_ms);
    else
        FUZZ_MUST(now_ms >= p->fresh_until_ms && now_ms < p->stale_until_ms + 2);
}

static void get_one(unsigned number, bool peek)
{
    uint8_t key[CACHE_KEY_MAX];
    struct cache_view v;
    size_t len = key_of(number, key);
    enum cache_found found =
        peek ? cache_peek(cache, key, len, now_ms, &v) : cache_get(cache, key, len, now_ms, &v);
    view_is_sound(number, found, &v);
    if (!peek && found != CACHE_MISS && v.kind == CACHE_ONCE)
        kept[number].version = 0;
}

static void forget_one(unsigned number)
{
    uint8_t key[CACHE_KEY_MAX];
    size_t len = key_of(number, key);
    cache_forget(cache, key, len);
    kept[number].version = 0;
}

static void step(struct fuzz_input *in)
{
    static const uint64_t steps_ms[] = {1, 999, 1000, 30000, 60000, 3600000, 86400000, 4294967296};
    uint8_t what = fuzz_u8(in);
    unsigned number = (fuzz_u8(in) | (what & 0x30u) << 4) % KEYS;
    switch (what & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
        put_one(in, number, false);
        break;
    case 4: /* many of one kind */
        for (unsigned n = 0; n < 64; n++) {
            struct fuzz_input same = *in;
            put_one(&same, (number + n) % KEYS, false);
        }
        break;
    case 5:
        put_one(in, number, true);
        break;
    case 6:
        forget_one(number);
        break;
    case 7:
        now_ms += steps_ms[number & 7];
        break;
    case 8:
        if (number == 7) {
            cache_flush(cache);
            memset(kept, 0, sizeof kept);
        }
        break;
    case 9:
        get_one(number, true);
        break;
    default:
        for (unsigned n = 0; n <= (what & 64u); n++)
            get_one((number + n) % KEYS, false);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[CACHE_SEED_LEN] = {5};
    struct fuzz_input in = {data, size};
    struct cache_counts counts;
    memset(kept, 0, sizeof kept);
    now_ms = 1000;
    version = 0;
    cache = cache_create(CACHE_BYTES_MIN, seed);
    FUZZ_MUST(cache != NULL);
    for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++) {
        step(&in);
        if (i % CHECK_ODD == 0)
            FUZZ_SOUND(cache_check(cache));
    }
    FUZZ_SOUND(cache_check(cache));
    cache_count(cache, &counts);
    FUZZ_MUST(counts.bytes_used <= counts.bytes_budget);
    cache_free(cache);
    return 0;
}

void fuzz_seeds(void)
{
    static const char few[] = "\0\1\x0c\x20\x0a\1\1\2\x2d\x40\x07\3\x0a\2\x09\1\6\1\x0a\1";
    static const char once[] = "\0\5\x0f\x10\x09\5\x0a\5\x0a\5\5\5\x0c\4\x0a\5";
    static const char full[] = "\4\0\x18\x64\x14\0\x18\xe0\x24\x40\x38\xe8\x4a\0\x34\x80\x18\xf0\4"
                               "\x80\x18\xc7\x4a\0\x4a\x40";
    fuzz_seed("few", few, sizeof few - 1);
    fuzz_seed("once", once, sizeof once - 1);
    fuzz_seed("full", full, sizeof full - 1);
}
