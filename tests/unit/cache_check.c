/* tests/unit/cache_check.c: what cache_check says of a cache that is damaged on purpose: the
 * fuzzers and the other tests rely on it. Knows the cache from inside; never what it is for. */
#include "../../cache.c" /* not the one beside this file */

#include <check.h>

static struct cache *c;
static struct cache kept;
static uint8_t kept_region[CACHE_BYTES_MIN];

static int put(uint32_t number)
{
    static const uint8_t value[28];
    struct cache_item item = {.key = (const uint8_t *)&number,
        .key_len = sizeof number,
        .value = value,
        .value_len = sizeof value,
        .fresh_ms = 1000};

    return cache_put(c, &item, 0);
}

static void set_up(void)
{
    const uint8_t seed[CACHE_SEED_LEN] = {1};

    c = cache_create(CACHE_BYTES_MIN, seed);
    ck_assert_ptr_nonnull(c);
}

/* So full that its ring of newcomers has begun anew at its start, and with a dead record. */
static void set_up_full(void)
{
    uint32_t number = 0;

    set_up();
    while (!c->trial.top || c->trial.head == c->trial.start || number < 6000)
        ck_assert_int_eq(put(number++), 0);
    number--;
    ck_assert(cache_forget(c, (const uint8_t *)&number, sizeof number));
    ck_assert_pstr_eq(cache_check(c), NULL);
}

/* In the middle of growing. */
static void set_up_growing(void)
{
    uint32_t number = 0;

    set_up();
    while (!c->split || c->split == SPLIT_START)
        ck_assert_int_eq(put(number++), 0);
    ck_assert_pstr_eq(cache_check(c), NULL);
}

static void tear_down(void)
{
    ck_assert_pstr_eq(cache_check(c), NULL);
    cache_free(c);
}

static void keep(void)
{
    kept = *c;
    memcpy(kept_region, c->region, sizeof kept_region);
}

static void mend(void)
{
    *c = kept;
    memcpy(c->region, kept_region, sizeof kept_region);
}

/* Damages the cache, hears what the check says, and mends it. */
#define IS_TOLD(damage, what)                                                                      \
    do {                                                                                           \
        keep();                                                                                    \
        damage;                                                                                    \
        ck_assert_pstr_eq(cache_check(c), what);                                                   \
        mend();                                                                                    \
        ck_assert_pstr_eq(cache_check(c), NULL);                                                   \
    } while (0)

/* ---- the index ------------------------------------------------------------------------------- */

START_TEST(an_index_of_an_impossible_size)
{
    const char *size = "index: its size is not what it can be";
    const char *growing = "index: growing without a split";

    IS_TOLD(c->lines = c->lines_max + 1, size);
    IS_TOLD(c->lines_before = c->lines + 1, size);
    IS_TOLD(c->cursor = 1, growing);
    IS_TOLD(c->lines_before = c->lines - 1, growing);
    IS_TOLD(c->slots[c->n_slots - 1] = 1, "index: the last slot is not empty");
    IS_TOLD(c->entries++, "index: another number of slots than of entries");
}
END_TEST

/* A slot with another one before it, which it is pushed behind its home by, or which has the same
 * home. */
static uint32_t find_slot(bool pushed)
{
    for (uint32_t at = 1; at < c->n_slots; at++) {
        uint64_t before = c->slots[at - 1], slot = c->slots[at];

        if (!before || !slot || tag_of(before) == tag_of(slot))
            continue;
        if (pushed ? home_of(c, tag_of(slot)) < at
                   : home_of(c, tag_of(slot)) == home_of(c, tag_of(before)))
            return at;
    }
    ck_abort_msg("there is no such slot");
}

static void swap_slots(uint32_t a, uint32_t b)
{
    uint64_t slot = c->slots[a];

    c->slots[a] = c->slots[b];
    c->slots[b] = slot;
}

START_TEST(slots_where_no_search_finds_them)
{
    uint32_t pushed = find_slot(true), pair = find_slot(false);

    IS_TOLD(c->slots[pushed] |= (uint64_t)UINT32_MAX << 32, "index: a slot before its home");
    IS_TOLD(c->slots[pushed - 1] = 0, "index: an empty slot between a home and its slot");
    IS_TOLD(swap_slots(pair - 1, pair), "index: slots out of order");
}
END_TEST

START_TEST(a_slot_that_growing_forgot)
{
    IS_TOLD(c->cursor = 0, "index: a slot left behind in growing");
}
END_TEST

/* ---- the rings ------------------------------------------------------------------------------- */

static void take_slot_away(uint32_t offset)
{
    uint64_t hash = hash_record(c, record_at(c, offset));

    index_remove(c, index_find_slot(c, make_slot(tag_of(hash), offset)));
    c->entries--;
}

/* The record at `to` gets the key of the one at `from`, and a slot for that. */
static void give_key_away(uint32_t from, uint32_t to)
{
    take_slot_away(to);
    memcpy(record_at(c, to)->bytes, record_at(c, from)->bytes, sizeof(uint32_t));
    index_insert(c, make_slot(tag_of(hash_record(c, record_at(c, to))), to));
    c->entries++;
}

START_TEST(records_that_do_not_fit_their_place_or_the_index)
{
    uint32_t first = c->kept.tail, next = first + record_at(c, first)->units;
    uint32_t on_trial = c->trial.tail;
    const char *fit = "ring: a record does not fit its place";

    IS_TOLD(record_at(c, first)->units = UINT16_MAX, fit);
    IS_TOLD(record_at(c, first)->units = 0, fit);
    IS_TOLD(record_at(c, on_trial)->units = UINT16_MAX, fit);
    IS_TOLD(take_slot_away(first), "ring: a live record without a slot");
    IS_TOLD(give_key_away(first, next), "ring: two records with one key");
    IS_TOLD(record_at(c, first)->live = 0, "ring: another number of live records than of entries");
    IS_TOLD(c->dead_units++, "ring: another number of dead bytes than were counted");
}
END_TEST

START_TEST(a_ring_whose_ends_are_not_in_it)
{
    struct ring *ring = &c->kept;
    const char *outside = "ring: head or tail outside of it";
    const char *crossed = "ring: head and tail have crossed";

    IS_TOLD(ring->tail = ring->start - 1, outside);
    IS_TOLD(ring->tail = ring->end + 1, outside);
    IS_TOLD(ring->head = ring->end + 1, outside);
    IS_TOLD((ring->top = 0, ring->head = ring->start, ring->tail = ring->start + 1),
        "ring: tail before head");
    IS_TOLD(ring->top = ring->end + 1, crossed);
    IS_TOLD((ring->tail = ring->start + 9, ring->top = ring->tail), crossed);
    IS_TOLD(
        (ring->tail = ring->start, ring->top = ring->end, ring->head = ring->start + 1), crossed);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache_check");
    TCase *full = tcase_create("damage is told"), *growing = tcase_create("while it grows");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(full, set_up_full, tear_down);
    tcase_add_test(full, an_index_of_an_impossible_size);
    tcase_add_test(full, slots_where_no_search_finds_them);
    tcase_add_test(full, records_that_do_not_fit_their_place_or_the_index);
    tcase_add_test(full, a_ring_whose_ends_are_not_in_it);
    suite_add_tcase(s, full);
    tcase_add_checked_fixture(growing, set_up_growing, tear_down);
    tcase_add_test(growing, a_slot_that_growing_forgot);
    suite_add_tcase(s, growing);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
