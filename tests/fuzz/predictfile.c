/* predictfile.c: fuzzes the predict-file: what is read must be sound, must come back the same once
 * it was written, and must be usable. The first byte says how much of an input's form is put right,
 * so that what lies behind the checksum is reached. Knows predict.h and the head of its file. */
#include "predict.h"
#include "tests/fuzz/fuzz.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define HEAD         "dnsdpred\0\0\0\3"
#define HEAD_LEN     12
#define CHECKSUM_LEN 32

enum mend { MEND_NOTHING, MEND_CHECKSUM, MEND_HEAD };

static unsigned n_landing;
static uint8_t landing[64][PREDICT_KEY_MAX];
static size_t landing_len[64];

static enum predict_copy no_copy(void *ctx, const uint8_t *key, size_t len, uint64_t now_ms)
{
    (void)ctx;
    (void)key;
    (void)now_ms;
    return len % 7 == 0 ? PREDICT_FRESH : PREDICT_ABSENT;
}

static bool prefetch(void *ctx, const uint8_t *key, size_t len, uint64_t now_ms)
{
    (void)ctx;
    (void)now_ms;
    if (n_landing == 64)
        return false;
    memcpy(landing[n_landing], key, len);
    landing_len[n_landing++] = len;
    return true;
}

static struct predict *create(bool as_2007)
{
    static const uint8_t seed[PREDICT_SEED_LEN] = {9};
    static const struct predict_world world = {.copy = no_copy, .prefetch = prefetch};
    struct predict_conf conf;
    if (as_2007)
        predict_conf_seed(&conf);
    else
        predict_conf_default(&conf);
    conf.share = 1;
    conf.bytes_max = PREDICT_BYTES_MIN;
    struct predict *p = predict_create(&conf, &world, seed);
    FUZZ_MUST(p != NULL);
    return p;
}

static void save(const struct predict *p, uint8_t **out, size_t *len)
{
    FUZZ_MUST(predict_save(p, out, len) == 0);
}

/* What was loaded comes back from its own file, byte for byte. */
static void there_and_back(const struct predict *p, bool as_2007)
{
    uint8_t *first, *second;
    size_t first_len, second_len;
    struct predict *q = create(as_2007);
    save(p, &first, &first_len);
    FUZZ_MUST(predict_load(q, first, first_len) == NULL);
    FUZZ_SOUND(predict_check(q));
    save(q, &second, &second_len);
    FUZZ_MUST(first_len == second_len && memcmp(first, second, first_len) == 0);
    free(first);
    free(second);
    predict_free(q);
}

struct seen {
    struct predict *p;
    uint8_t key[16][PREDICT_KEY_MAX];
    size_t len[16];
    size_t n;
};

static bool take_key(void *ctx, const struct predict_pair *pair)
{
    struct seen *s = ctx;
    FUZZ_MUST(pair->trigger_len <= PREDICT_KEY_MAX && pair->follower_len <= PREDICT_KEY_MAX);
    FUZZ_MUST(pair->seen <= pair->windows && pair->clients <= PREDICT_SHARE_MAX);
    memcpy(s->key[s->n], pair->trigger, pair->trigger_len);
    s->len[s->n++] = pair->trigger_len;
    return s->n < 16;
}

static void observe(struct predict *p, const uint8_t *key, size_t len, uint64_t now_ms)
{
    static const uint8_t client[PREDICT_CLIENT_LEN] = {10};
    struct predict_request r = {.client = client, .key = key, .key_len = len};
    predict_observe(p, &r, 1, now_ms);
    predict_landed(p, key, len, true, now_ms + 20);
    for (unsigned i = 0; i < n_landing; i++)
        predict_landed(p, landing[i], landing_len[i], i % 3 != 0, now_ms + 30);
    n_landing = 0;
    FUZZ_SOUND(predict_check(p));
}

/* Questions that the file knows are asked, and its windows close. */
static void use(struct predict *p)
{
    static struct seen s;
    uint64_t now_ms = 1000;
    s.n = 0;
    predict_walk(p, take_key, &s);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < s.n; i++)
            observe(p, s.key[i], s.len[i], now_ms += 100);
        now_ms += 60000;
        predict_tick(p, now_ms);
        FUZZ_SOUND(predict_check(p));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint8_t how = fuzz_u8(&in);
    enum mend mend = (enum mend)((how & 3) % 3);
    bool as_2007 = how & 4;
    uint8_t *bytes = malloc(in.left + CHECKSUM_LEN);
    size_t len = in.left;
    FUZZ_MUST(bytes != NULL);
    memcpy(bytes, in.at, len);
    if (mend == MEND_HEAD && len >= HEAD_LEN)
        memcpy(bytes, HEAD, HEAD_LEN);
    if (mend != MEND_NOTHING) {
        crypto_generichash(bytes + len, CHECKSUM_LEN, bytes, len, NULL, 0);
        len += CHECKSUM_LEN;
    }
    uint8_t *exact = fuzz_exact(bytes, len);
    struct predict *p = create(as_2007);
    const char *why = predict_load(p, exact, len);
    free(exact);
    free(bytes);
    FUZZ_SOUND(predict_check(p));
    struct predict_counts counts;
    predict_count(p, &counts);
    FUZZ_MUST(why == NULL || counts.pairs == 0);
    FUZZ_MUST(counts.bytes <= PREDICT_BYTES_MIN);
    there_and_back(p, as_2007);
    use(p);
    there_and_back(p, as_2007);
    predict_free(p);
    return 0;
}

/* ---- seeds ----------------------------------------------------------------------------------- */

/* Two clients that ask n_names names, visit after visit, as a file. */
static void seed(const char *name, bool as_2007, unsigned n_names, unsigned visits)
{
    struct predict *p = create(as_2007);
    uint64_t now_ms = 1000;
    uint8_t *bytes, key[] = "\1a\7example\0\0\1\0\1";
    size_t len;
    for (unsigned visit = 0; visit < visits; visit++, now_ms += 30000) {
        for (unsigned i = 0; i < n_names; i++) {
            uint8_t client[PREDICT_CLIENT_LEN] = {[15] = (uint8_t)(visit & 1)};
            key[1] = (uint8_t)('a' + i);
            struct predict_request r = {client, key, sizeof key, false};
            predict_observe(p, &r, 1, now_ms += 50);
            predict_landed(p, key, sizeof key, true, now_ms + 20);
        }
        predict_tick(p, now_ms + 20000);
    }
    n_landing = 0;
    save(p, &bytes, &len);
    uint8_t *out = malloc(len + 1);
    FUZZ_MUST(out != NULL);
    out[0] = (uint8_t)(MEND_CHECKSUM | (as_2007 ? 4 : 0));
    memcpy(out + 1, bytes, len);
    fuzz_seed(name, out, 1 + len - CHECKSUM_LEN);
    free(out);
    free(bytes);
    predict_free(p);
}

void fuzz_seeds(void)
{
    static const uint8_t whole[1 + HEAD_LEN + 28] = {MEND_HEAD};
    fuzz_seed("head", whole, sizeof whole);
    seed("empty", false, 0, 0);
    seed("one-visit", false, 3, 1);
    seed("some-visits", false, 5, 4);
    seed("rules-of-2007", true, 4, 4);
}
