/* cache.c: key to value with an expiry, inside a budget of bytes.
 * Knows no DNS: keys and values are bytes. Knows no clock and no file. */
#include "cache.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The region, from its start; all places in it are offsets in units of 8 bytes, so that 32 bits
 * reach 32 GiB:
 *
 *     index | ghosts | trial ring | kept ring
 *
 * Eviction is S3-FIFO ("FIFO queues are all you need for cache eviction", SOSP 2023). It finds more
 * than LRU, about as much as SIEVE, and no scan moves it (bench/README.md has the figures); and its
 * queues are FIFOs: one of records of any size is a ring of bytes, which has no holes to manage.
 * Records are written at a ring's head and leave at its tail; a record that was removed or replaced
 * stays as a dead one until the tail comes by.
 *
 * While there is room in the kept ring, records go there. When it is full, a new record goes on
 * trial, in a ring of a tenth of the space. At the trial ring's tail, what was asked for meanwhile
 * moves over to the kept ring; what was not is forgotten but for 16 bits of its hash, a ghost, and
 * if it comes back while the ghost is there it goes to the kept ring at once. At the kept ring's
 * tail, what was asked for goes back to the head, with one visit less (at most 3 are counted); what
 * was not goes. So a million names that are asked for once pass through the trial ring only, and
 * nothing in the kept ring moves because of them.
 *
 * Answers that change their size with each refresh must not wear the space away, nor count as
 * pressure on others. So where dead records are an eighth of the kept ring or more, its tail
 * carries all live ones to the head with their visits until there is room. Newcomers go to the kept
 * ring without trial for as long as its live records leave that eighth, or while it has thrice as
 * many unused bytes as dead ones; and what is expired (past its stale life) and was not asked for
 * since goes from its tail to make room for them.
 *
 * The work of a put is bounded. Records are dropped until the new one fits, which is at most one
 * for each 24 bytes of it, and twice that at the ring's end. Records that move cost as many bytes
 * as they have out of MOVE_BYTES; when that is used up the kept ring's tail stops at the next one
 * that would move, and what was to go to the kept ring is put on trial, or leaves with a ghost.
 * Without that, a put could have to carry a whole ring of visited records around; so the next put
 * goes on where this one stopped. */
#define UNIT         8
#define MOVE_BYTES   4096
#define VISITS_MAX   3
#define SWEEP_MAX    8 /* expired records dropped from the kept ring's tail for a newcomer */
#define DEAD_SHARE   8
#define SPARE_DEADS  3
#define SMALL_UNITS  32 /* of records whose rest may be wasted until they move */
#define INDEX_TRIES  64 /* records at tails that are asked for a slot where the index is full */
#define INDEX_SHARE  8  /* an eighth of the region */
#define GHOST_SHARE  64
#define TRIAL_SHARE  10 /* of what remains */
#define ITEM_SHARE   32
#define RECORD_BYTES sizeof(struct record)

/* The index is an ordered hash table with linear probing ("Ordered hash tables", The
 * Computer Journal 17, 1974). A slot is the upper half of the key's hash, the tag, and the record's
 * offset; 0 is an empty one. A tag's home is a line of 8 slots (a cache line), and homes rise with
 * tags: home = tag * lines / 2^32. Slots are kept in the order of their tags, each at or behind its
 * home and with no empty slot between. So a search stops at the first larger tag, and a removal
 * moves what follows back by one; there are no tombstones. A few spare lines at the end take what
 * overflows there.
 *
 * It grows in place, by a quarter when 4 of 5 slots are taken, so that a cache that is not full
 * does not pay for the index of a full one. That is spread over the puts that follow: as homes rise
 * with tags in the old size and in the new, the slots are moved from the last one down, GROW_SLOTS
 * positions with each put. Tags from `split` on have their home by the new size, those below by the
 * old; in either case homes rise with tags, so all of the above holds meanwhile. All slots from
 * `cursor` on have been moved. A growth ends before the next can begin: it takes a GROW_SLOTS'th as
 * many puts as there are slots, and the new size is full after no less than a fifth as many.
 *
 * The hash is SipHash-2-4 with a key from outside, so nobody can choose names that crowd. If slots
 * are crowded nevertheless (more than RUN_MAX to move, or the spare lines full) the new record
 * takes the slot of its neighbour, which is evicted; so it is if the index is full and no tail
 * gives one back soon. */
#define LINE_SLOTS  8
#define LINE_BYTES  (LINE_SLOTS * sizeof(uint64_t))
#define FULL_SLOTS  4 /* of 5 slots */
#define FULL_OF     5
#define LINES_MIN   64
#define LINES_SPARE 8
#define GROW_SLOTS  32
#define RUN_MAX     4096
#define NO_SLOT     UINT32_MAX
#define SPLIT_START ((uint64_t)1 << 32)

/* In the order in which it lies in the region, 8-byte aligned; key and value follow. */
struct record {
    uint32_t value_len : 18;
    uint32_t key_len : 9;
    uint32_t kind : 2; /* enum cache_kind */
    uint32_t visits : 2;
    uint32_t live : 1; /* has a slot */
    uint16_t units;    /* all of it; more than it needs where a smaller value replaced a larger */
    uint16_t stored_high_ms;
    uint32_t stored_low_ms;
    uint32_t fresh_ms; /* after stored */
    uint32_t stale_ms; /* after that */
    uint32_t held_ms;  /* also after fresh_ms; 0 where it is not held */
    uint8_t bytes[];
};

_Static_assert(sizeof(struct record) == 24, "the budget of bytes counts on it");
_Static_assert(CACHE_VALUE_MAX < 1 << 18 && CACHE_KEY_MAX < 1 << 9, "lengths fit their bits");
_Static_assert((CACHE_VALUE_MAX + CACHE_KEY_MAX) / UNIT + 4 <= UINT16_MAX, "units fit");

/* Records lie in [tail, head), or, where the head has started anew, in [tail, top) and [start,
 * head); top is 0 where it has not. */
struct ring {
    uint32_t start;
    uint32_t end;
    uint32_t head;
    uint32_t tail;
    uint32_t top;
};

enum standing { NEWCOMER, KNOWN };
enum pressure { CARRY, EVICT };

struct cache {
    uint8_t *region;
    size_t region_bytes;
    uint8_t seed[CACHE_SEED_LEN];

    uint64_t *slots;
    uint32_t n_slots; /* the last one is always empty: searches end there */
    uint32_t lines;
    uint32_t lines_before; /* growing; else as lines */
    uint32_t lines_max;
    uint64_t split; /* growing; else 0 */
    uint32_t cursor;

    uint16_t *ghosts; /* 0: none */
    uint32_t n_ghosts;
    struct ring trial;
    struct ring kept;
    uint32_t dead_units; /* of dead records in the kept ring */

    size_t entries;
    uint64_t hits;
    uint64_t misses;
    uint64_t insertions;
    uint64_t evictions;
    uint64_t moves;
};

_Static_assert(CACHE_SEED_LEN == crypto_shorthash_KEYBYTES, "the seed is the hash's key");

/* ---- hash and records ------------------------------------------------------------------------ */

static uint64_t hash_key(const struct cache *c, const uint8_t *key, size_t key_len)
{
    uint64_t hash;
    uint8_t out[crypto_shorthash_BYTES];

    crypto_shorthash(out, key, key_len, c->seed);
    memcpy(&hash, out, sizeof hash);
    return hash;
}

static uint32_t tag_of(uint64_t hash_or_slot)
{
    return (uint32_t)(hash_or_slot >> 32);
}

static uint64_t make_slot(uint32_t tag, uint32_t offset)
{
    return (uint64_t)tag << 32 | offset;
}

static struct record *record_at(const struct cache *c, uint32_t offset)
{
    return (void *)(c->region + (size_t)offset * UNIT);
}

static struct record *record_of(const struct cache *c, uint32_t slot_at)
{
    return record_at(c, (uint32_t)c->slots[slot_at]);
}

static uint32_t units_for(size_t key_len, size_t value_len)
{
    return (uint32_t)((RECORD_BYTES + key_len + value_len + UNIT - 1) / UNIT);
}

static uint64_t stored_ms(const struct record *r)
{
    return (uint64_t)r->stored_high_ms << 32 | r->stored_low_ms;
}

static uint64_t expires_ms(const struct record *r)
{
    return stored_ms(r) + r->fresh_ms;
}

/* MISS: past its stale life too. */
static enum cache_found life(const struct record *r, uint64_t now_ms)
{
    uint64_t expires = expires_ms(r);

    if (now_ms < expires)
        return CACHE_FRESH;
    return now_ms < expires + r->stale_ms ? CACHE_STALE : CACHE_MISS;
}

static uint32_t clamp_ms(uint64_t ms)
{
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* Fills in all but units, visits and live. */
static void write_record(struct record *r, const struct cache_item *item, uint64_t now_ms)
{
    r->value_len = (uint32_t)item->value_len & CACHE_VALUE_MAX;
    r->key_len = (uint32_t)item->key_len & CACHE_KEY_MAX;
    r->kind = (uint32_t)item->kind & 3;
    r->stored_high_ms = (uint16_t)(now_ms >> 32);
    r->stored_low_ms = (uint32_t)now_ms;
    r->fresh_ms = clamp_ms(item->fresh_ms);
    r->stale_ms = clamp_ms(item->stale_ms);
    r->held_ms = 0;
    memcpy(r->bytes, item->key, item->key_len);
    if (item->value_len)
        memcpy(r->bytes + item->key_len, item->value, item->value_len);
}

static void fill_view(
    const struct record *r, enum cache_found found, uint64_t now_ms, struct cache_view *view)
{
    view->value = r->bytes + r->key_len;
    view->len = r->value_len;
    view->kind = (enum cache_kind)r->kind;
    view->stored_ms = stored_ms(r);
    view->expires_ms = expires_ms(r);
    view->held = found == CACHE_STALE && now_ms < view->expires_ms + r->held_ms;
}

/* ---- index ----------------------------------------------------------------------------------- */

static uint32_t home_of(const struct cache *c, uint32_t tag)
{
    uint32_t lines = tag >= c->split ? c->lines : c->lines_before;

    return (uint32_t)((uint64_t)tag * lines >> 32) * LINE_SLOTS;
}

/* Where the key's slot is, or NO_SLOT. */
static uint32_t index_find(const struct cache *c, uint32_t tag, const uint8_t *key, size_t key_len)
{
    for (uint32_t at = home_of(c, tag); c->slots[at] && tag_of(c->slots[at]) <= tag; at++) {
        const struct record *r;

        if (tag_of(c->slots[at]) != tag)
            continue;
        r = record_of(c, at);
        if (r->key_len == key_len && memcmp(r->bytes, key, key_len) == 0)
            return at;
    }
    return NO_SLOT;
}

/* Where this very slot is, or NO_SLOT. */
static uint32_t index_find_slot(const struct cache *c, uint64_t slot)
{
    for (uint32_t at = home_of(c, tag_of(slot)); c->slots[at]; at++)
        if (c->slots[at] == slot)
            return at;
    return NO_SLOT;
}

static void index_remove(struct cache *c, uint32_t at)
{
    for (; c->slots[at + 1] && home_of(c, tag_of(c->slots[at + 1])) <= at; at++)
        c->slots[at] = c->slots[at + 1];
    c->slots[at] = 0;
}

/* The record loses its slot; its bytes stay until its ring's tail comes by. */
static void mark_dead(struct cache *c, uint32_t slot_at)
{
    struct record *r = record_of(c, slot_at);

    r->live = 0;
    if ((uint32_t)c->slots[slot_at] >= c->kept.start)
        c->dead_units += r->units;
    c->entries--;
}

static void drop_slot(struct cache *c, uint32_t at)
{
    mark_dead(c, at);
    index_remove(c, at);
}

/* Gives the slot at `at` to another record; the one that had it is evicted. */
static void index_take_over(struct cache *c, uint32_t at, uint64_t slot)
{
    mark_dead(c, at);
    c->slots[at] = slot;
    c->evictions++;
}

/* Whether so many lines have as many entries as they should. */
static bool is_full(size_t entries, uint32_t lines)
{
    return entries * FULL_OF >= (size_t)lines * LINE_SLOTS * FULL_SLOTS;
}

static bool index_is_full(const struct cache *c)
{
    return is_full(c->entries, c->lines_max);
}

static void index_insert(struct cache *c, uint64_t slot)
{
    uint32_t last = c->n_slots - 1;
    uint32_t tag = tag_of(slot);
    uint32_t at = home_of(c, tag);
    uint32_t end;

    while (c->slots[at] && tag_of(c->slots[at]) <= tag)
        at++;
    for (end = at; c->slots[end] && end - at < RUN_MAX;)
        end++;
    if (end == last || c->slots[end]) {
        index_take_over(c, at == last ? at - 1 : at, slot);
        return;
    }
    memmove(c->slots + at + 1, c->slots + at, (end - at) * sizeof *c->slots);
    c->slots[at] = slot;
    if (tag < c->split && end >= c->cursor)
        c->cursor = end + 1; /* one that has not been moved may have been pushed behind it */
}

/* Gives all slots with the tag of the one at `at`, the last of them, their home by the new size.
 * They leave and come back one by one, the last first: those that are still to go are not in the
 * way, as the new homes are not before the old ones. */
static void index_rehome(struct cache *c, uint32_t at)
{
    uint32_t tag = tag_of(c->slots[at]);
    uint32_t first = at;

    while (first && c->slots[first - 1] && tag_of(c->slots[first - 1]) == tag)
        first--;
    c->split = tag;
    for (uint32_t i = at + 1; i-- > first;) {
        uint64_t slot = c->slots[i];

        index_remove(c, i);
        index_insert(c, slot);
    }
}

static void index_start_growing(struct cache *c)
{
    uint32_t more = c->lines + c->lines / 4;

    c->lines = more < c->lines_max ? more : c->lines_max;
    c->split = SPLIT_START;
    c->cursor = c->lines_before * LINE_SLOTS;
    while (c->slots[c->cursor])
        c->cursor++;
}

static void index_grow(struct cache *c)
{
    if (!c->split) {
        if (c->lines == c->lines_max || !is_full(c->entries, c->lines))
            return;
        index_start_growing(c);
    }
    for (int n = 0; n < GROW_SLOTS && c->cursor; n++) {
        c->cursor--;
        if (c->slots[c->cursor] && tag_of(c->slots[c->cursor]) < c->split)
            index_rehome(c, c->cursor);
    }
    if (c->cursor)
        return;
    c->split = 0;
    c->lines_before = c->lines;
}

/* ---- rings ----------------------------------------------------------------------------------- */

static void ring_reset(struct ring *ring, uint32_t start, uint32_t end)
{
    *ring = (struct ring){.start = start, .end = end, .head = start, .tail = start};
}

static bool ring_is_empty(const struct ring *ring)
{
    return ring->tail == ring->head && !ring->top;
}

/* Room for a record at the head; 0 where the tail must go on first. */
static uint32_t ring_take(struct ring *ring, uint32_t units)
{
    uint32_t offset;

    if (!ring->top && ring->end - ring->head < units && ring->tail - ring->start >= units) {
        ring->top = ring->head;
        ring->head = ring->start;
    }
    if ((ring->top ? ring->tail : ring->end) - ring->head < units)
        return 0;
    offset = ring->head;
    ring->head += units;
    return offset;
}

/* The record at the tail, of so many units, is no more. */
static void ring_drop(struct ring *ring, uint32_t units)
{
    ring->tail += units;
    if (ring->tail == ring->top) {
        ring->tail = ring->start;
        ring->top = 0;
    }
    if (ring_is_empty(ring))
        ring_reset(ring, ring->start, ring->end);
}

static size_t ring_used(const struct ring *ring)
{
    if (ring->top)
        return (size_t)(ring->top - ring->tail) + (ring->head - ring->start);
    return ring->head - ring->tail;
}

/* ---- eviction -------------------------------------------------------------------------------- */

static uint16_t *ghost_place(const struct cache *c, uint64_t hash)
{
    return c->ghosts + ((hash & UINT32_MAX) * c->n_ghosts >> 32);
}

static uint16_t ghost_face(uint64_t hash)
{
    uint16_t face = (uint16_t)tag_of(hash);

    return face ? face : 1;
}

static bool ghost_was_here(const struct cache *c, uint64_t hash)
{
    return *ghost_place(c, hash) == ghost_face(hash);
}

static uint64_t hash_record(const struct cache *c, const struct record *r)
{
    return hash_key(c, r->bytes, r->key_len);
}

/* The live record at a tail goes. */
static void evict(struct cache *c, uint32_t offset, uint64_t hash, uint64_t now_ms)
{
    c->evictions += life(record_at(c, offset), now_ms) != CACHE_MISS;
    drop_slot(c, index_find_slot(c, make_slot(tag_of(hash), offset)));
}

static uint32_t needed_units(const struct record *r)
{
    return units_for(r->key_len, r->value_len);
}

/* Copies a record to where it has the units that it needs; from and to may overlap. */
static void move_record(struct cache *c, uint32_t from, uint32_t to, uint64_t hash)
{
    uint32_t at = index_find_slot(c, make_slot(tag_of(hash), from));
    uint32_t units = needed_units(record_at(c, from));

    memmove(record_at(c, to), record_at(c, from), (size_t)units * UNIT);
    record_at(c, to)->units = (uint16_t)units;
    c->slots[at] = make_slot(tag_of(hash), to);
    c->moves++;
}

/* Whether so many units more would be more than the kept ring should have in live records. */
static bool is_crowded(const struct cache *c, uint32_t units)
{
    size_t size = c->kept.end - c->kept.start;
    size_t live = ring_used(&c->kept) - c->dead_units;

    return live + units > size - size / DEAD_SHARE;
}

/* The kept ring's tail goes on by one record: it leaves, or comes back at the head, for which the
 * room that it leaves behind is enough. Returns whether it did: not if that would be too many
 * moves. */
static bool retire_kept(
    struct cache *c, enum pressure pressure, uint64_t now_ms, uint32_t *move_units)
{
    uint32_t offset = c->kept.tail;
    struct record *r = record_at(c, offset);
    uint32_t units = r->units;
    uint64_t hash = r->live ? hash_record(c, r) : 0;

    if (r->live && (r->visits || pressure == CARRY)) {
        if (units > *move_units)
            return false;
        *move_units -= units;
        if (pressure == EVICT)
            r->visits = (r->visits - 1U) & VISITS_MAX;
        ring_drop(&c->kept, units);
        move_record(c, offset, ring_take(&c->kept, needed_units(r)), hash);
        return true;
    }
    if (r->live)
        evict(c, offset, hash, now_ms);
    c->dead_units -= units;
    ring_drop(&c->kept, units);
    return true;
}

/* Room in the kept ring; 0 if it would take too many moves. */
static uint32_t take_kept(struct cache *c, uint32_t units, uint64_t now_ms, uint32_t *move_units)
{
    uint32_t offset;

    while ((offset = ring_take(&c->kept, units)) == 0)
        if (!retire_kept(c, is_crowded(c, units) ? EVICT : CARRY, now_ms, move_units))
            return 0;
    return offset;
}

/* Drops a few records at the kept ring's tail if they are dead, or past their stale life and nobody
 * asked for them since. One that was asked for keeps its place and its visits: they are the name's,
 * and its next answer is about to come. */
static void sweep_kept(struct cache *c, uint64_t now_ms, uint32_t *move_units)
{
    for (int n = 0; n < SWEEP_MAX && !ring_is_empty(&c->kept); n++) {
        const struct record *r = record_at(c, c->kept.tail);

        if (r->live && (r->visits || life(r, now_ms) != CACHE_MISS))
            return;
        retire_kept(c, EVICT, now_ms, move_units);
    }
}

/* Room in the kept ring for a newcomer, if nothing useful has to go for it; else 0. */
static uint32_t take_spare(struct cache *c, uint32_t units, uint64_t now_ms, uint32_t *move_units)
{
    size_t unused = c->kept.end - c->kept.start - ring_used(&c->kept);
    uint32_t offset = 0;

    if (unused >= (size_t)c->dead_units * SPARE_DEADS)
        offset = ring_take(&c->kept, units);
    if (offset)
        return offset;
    sweep_kept(c, now_ms, move_units);
    return is_crowded(c, units) ? 0 : take_kept(c, units, now_ms, move_units);
}

/* Moves the trial ring's tail to the kept ring, if it was asked for and may move. */
static bool promote(struct cache *c, uint64_t hash, uint64_t now_ms, uint32_t *move_units)
{
    uint32_t from = c->trial.tail;
    struct record *r = record_at(c, from);
    uint32_t to;

    if (!r->visits || r->units > *move_units)
        return false;
    *move_units -= r->units;
    to = take_kept(c, needed_units(r), now_ms, move_units);
    if (!to)
        return false;
    r->visits = 0;
    move_record(c, from, to, hash);
    return true;
}

/* The trial ring's tail goes on by one record: it leaves, or moves to the kept ring. */
static void retire_trial(struct cache *c, uint64_t now_ms, uint32_t *move_units)
{
    uint32_t offset = c->trial.tail;
    const struct record *r = record_at(c, offset);
    uint32_t units = r->units;

    if (r->live) {
        uint64_t hash = hash_record(c, r);

        if (!promote(c, hash, now_ms, move_units)) {
            *ghost_place(c, hash) = ghost_face(hash);
            evict(c, offset, hash, now_ms);
        }
    }
    ring_drop(&c->trial, units);
}

/* Room for a new record, in whichever ring it belongs to. Where slots are about to run out, a
 * newcomer goes on trial even if there are bytes left in the kept ring. */
static uint32_t take_room(
    struct cache *c, uint32_t units, enum standing standing, uint64_t now_ms, uint32_t *move_units)
{
    bool tight = is_full(c->entries + INDEX_TRIES, c->lines_max);
    uint32_t offset = 0;

    if (standing == KNOWN)
        offset = take_kept(c, units, now_ms, move_units);
    else if (!tight)
        offset = take_spare(c, units, now_ms, move_units);
    while (!offset && (offset = ring_take(&c->trial, units)) == 0)
        retire_trial(c, now_ms, move_units);
    return offset;
}

/* Makes a slot free where records are so small that slots are used up first. The kept ring gives
 * them until the trial ring has grown to its size, and then evicts for want of bytes. Dead records
 * at the tails give none; after so many the neighbour goes, whoever it is. */
static void free_a_slot(struct cache *c, uint32_t tag, uint64_t now_ms, uint32_t *move_units)
{
    uint32_t at = home_of(c, tag);

    for (int n = 0; n < INDEX_TRIES && index_is_full(c); n++) {
        if (!ring_is_empty(&c->kept) && retire_kept(c, EVICT, now_ms, move_units))
            continue;
        if (!ring_is_empty(&c->trial))
            retire_trial(c, now_ms, move_units);
    }
    if (!index_is_full(c))
        return;
    while (at < c->n_slots - 1 && !c->slots[at])
        at++;
    while (!c->slots[at])
        at--;
    c->evictions++;
    drop_slot(c, at);
}

/* ---- the contract ---------------------------------------------------------------------------- */

/* Divides the region. Rings come last: they take what is left. */
static void lay_out(struct cache *c)
{
    size_t index_bytes = c->region_bytes / INDEX_SHARE / LINE_BYTES * LINE_BYTES;
    size_t ghost_bytes = c->region_bytes / GHOST_SHARE / UNIT * UNIT;
    uint32_t start = (uint32_t)((index_bytes + ghost_bytes) / UNIT);
    uint32_t end = (uint32_t)(c->region_bytes / UNIT);
    uint32_t between = start + (end - start) / TRIAL_SHARE;

    c->slots = (void *)c->region;
    c->n_slots = (uint32_t)(index_bytes / sizeof *c->slots);
    c->lines_max = c->n_slots / LINE_SLOTS - LINES_SPARE;
    c->lines = LINES_MIN;
    c->lines_before = LINES_MIN;
    c->split = 0;
    c->cursor = 0;
    c->ghosts = (void *)(c->region + index_bytes);
    c->n_ghosts = (uint32_t)(ghost_bytes / sizeof *c->ghosts);
    ring_reset(&c->trial, start, between);
    ring_reset(&c->kept, between, end);
    c->dead_units = 0;
    c->entries = 0;
}

struct cache *cache_create(size_t bytes, const uint8_t seed[CACHE_SEED_LEN])
{
    struct cache *c;

    if (bytes < CACHE_BYTES_MIN)
        bytes = CACHE_BYTES_MIN;
    if (bytes > CACHE_BYTES_MAX)
        return NULL;
    c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->region_bytes = bytes;
    c->region = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (c->region == MAP_FAILED) {
        free(c);
        return NULL;
    }
    /* Processes that only write files have no use for it, and a fork that copies the tables of so
     * many pages would hold up the loop. */
    (void)madvise(c->region, bytes, MADV_DONTFORK);
    memcpy(c->seed, seed, sizeof c->seed);
    lay_out(c);
    return c;
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    munmap(c->region, c->region_bytes);
    free(c);
}

enum cache_found cache_peek(const struct cache *c, const uint8_t *key, size_t key_len,
    uint64_t now_ms, struct cache_view *view)
{
    uint32_t at = index_find(c, tag_of(hash_key(c, key, key_len)), key, key_len);
    enum cache_found found;

    if (at == NO_SLOT)
        return CACHE_MISS;
    found = life(record_of(c, at), now_ms);
    if (found != CACHE_MISS)
        fill_view(record_of(c, at), found, now_ms, view);
    return found;
}

/* An expired record is marked as asked for too: the name is wanted, and the answer that will
 * replace it takes over its marks and its place. */
enum cache_found cache_get(
    struct cache *c, const uint8_t *key, size_t key_len, uint64_t now_ms, struct cache_view *view)
{
    uint32_t at = index_find(c, tag_of(hash_key(c, key, key_len)), key, key_len);
    enum cache_found found = CACHE_MISS;

    if (at != NO_SLOT) {
        struct record *r = record_of(c, at);

        found = life(r, now_ms);
        if (r->visits < VISITS_MAX)
            r->visits = (r->visits + 1U) & VISITS_MAX;
        if (found != CACHE_MISS)
            fill_view(r, found, now_ms, view);
        if (found != CACHE_MISS && r->kind == CACHE_ONCE)
            drop_slot(c, at);
    }
    if (found == CACHE_FRESH)
        c->hits++;
    else
        c->misses++;
    return found;
}

static bool fits_a_record(const struct cache *c, const struct cache_item *item)
{
    return item->key_len <= CACHE_KEY_MAX && item->value_len <= CACHE_VALUE_MAX &&
           item->key_len + item->value_len <= c->region_bytes / ITEM_SHARE;
}

/* Whether the new one can take the old one's bytes without wasting many. */
static bool fits_in_place(const struct record *r, uint32_t units)
{
    return units <= r->units && (r->units <= SMALL_UNITS || r->units - units <= units);
}

int cache_put(struct cache *c, const struct cache_item *item, uint64_t now_ms)
{
    uint64_t hash = hash_key(c, item->key, item->key_len);
    uint32_t at = index_find(c, tag_of(hash), item->key, item->key_len);
    uint32_t units = units_for(item->key_len, item->value_len);
    uint32_t move_units = MOVE_BYTES / UNIT;
    enum standing standing = NEWCOMER;
    uint32_t visits = 0;
    uint32_t offset;
    struct record *r;

    if (!fits_a_record(c, item)) {
        if (at != NO_SLOT)
            drop_slot(c, at);
        return -1;
    }
    c->insertions++;
    if (at != NO_SLOT) {
        r = record_of(c, at);
        if (fits_in_place(r, units)) {
            write_record(r, item, now_ms);
            return 0;
        }
        visits = r->visits;
        if (visits || (uint32_t)c->slots[at] >= c->kept.start)
            standing = KNOWN;
        drop_slot(c, at);
    } else if (ghost_was_here(c, hash)) {
        standing = KNOWN;
    }
    index_grow(c);
    free_a_slot(c, tag_of(hash), now_ms, &move_units);
    offset = take_room(c, units, standing, now_ms, &move_units);
    r = record_at(c, offset);
    write_record(r, item, now_ms);
    r->units = (uint16_t)units;
    r->visits = visits & VISITS_MAX;
    r->live = 1;
    c->entries++;
    index_insert(c, make_slot(tag_of(hash), offset));
    return 0;
}

int cache_hold(struct cache *c, const struct cache_item *failure, uint64_t hold_ms, uint64_t now_ms)
{
    uint32_t tag = tag_of(hash_key(c, failure->key, failure->key_len));
    uint32_t at = index_find(c, tag, failure->key, failure->key_len);
    uint64_t held_until = now_ms + hold_ms;
    struct record *r;

    if (at == NO_SLOT)
        return cache_put(c, failure, now_ms);
    r = record_of(c, at);
    if (r->kind == CACHE_FAILURE || life(r, now_ms) == CACHE_MISS)
        return cache_put(c, failure, now_ms);
    r->held_ms = held_until > expires_ms(r) ? clamp_ms(held_until - expires_ms(r)) : 0;
    return 0;
}

bool cache_forget(struct cache *c, const uint8_t *key, size_t key_len)
{
    uint32_t at = index_find(c, tag_of(hash_key(c, key, key_len)), key, key_len);

    if (at == NO_SLOT)
        return false;
    drop_slot(c, at);
    return true;
}

/* Pages of a private mapping that are given back read as zero again. Where they cannot be (locked
 * memory), only the index and the ghosts have to be. */
void cache_flush(struct cache *c)
{
    if (madvise(c->region, c->region_bytes, MADV_DONTNEED))
        memset(c->region, 0, (size_t)c->trial.start * UNIT);
    lay_out(c);
}

void cache_count(const struct cache *c, struct cache_counts *out)
{
    *out = (struct cache_counts){
        .hits = c->hits,
        .misses = c->misses,
        .insertions = c->insertions,
        .evictions = c->evictions,
        .moves = c->moves,
        .entries = c->entries,
        .bytes_used = c->lines * LINE_BYTES + (ring_used(&c->trial) + ring_used(&c->kept)) * UNIT,
        .bytes_budget = c->region_bytes,
    };
}

/* ---- invariants ------------------------------------------------------------------------------ */

static const char *check_index(const struct cache *c)
{
    size_t n = 0;

    if (c->lines > c->lines_max || c->lines_before > c->lines)
        return "index: its size is not what it can be";
    if (!c->split && (c->cursor || c->lines_before != c->lines))
        return "index: growing without a split";
    if (c->slots[c->n_slots - 1])
        return "index: the last slot is not empty";
    for (uint32_t at = 0; at < c->n_slots; at++) {
        uint32_t tag = tag_of(c->slots[at]);

        if (!c->slots[at])
            continue;
        n++;
        if (home_of(c, tag) > at)
            return "index: a slot before its home";
        if (home_of(c, tag) < at && !c->slots[at - 1])
            return "index: an empty slot between a home and its slot";
        if (at && c->slots[at - 1] && tag_of(c->slots[at - 1]) > tag)
            return "index: slots out of order";
        if (c->split && at >= c->cursor && tag < c->split)
            return "index: a slot left behind in growing";
    }
    return n == c->entries ? NULL : "index: another number of slots than of entries";
}

static const char *check_record(const struct cache *c, uint32_t offset, uint32_t units_left)
{
    const struct record *r = record_at(c, offset);
    uint64_t hash;

    if (r->units > units_left || r->units < units_for(r->key_len, r->value_len))
        return "ring: a record does not fit its place";
    if (!r->live)
        return NULL;
    hash = hash_record(c, r);
    if (index_find_slot(c, make_slot(tag_of(hash), offset)) == NO_SLOT)
        return "ring: a live record without a slot";
    if (record_of(c, index_find(c, tag_of(hash), r->bytes, r->key_len)) != r)
        return "ring: two records with one key";
    return NULL;
}

struct tally {
    size_t live;
    size_t dead_units;
};

/* Records from one offset to another must tile it. Counts the live, and the dead ones' units. */
static const char *check_span(
    const struct cache *c, uint32_t from, uint32_t to, struct tally *tally)
{
    const char *broken = NULL;

    while (from < to && !broken) {
        const struct record *r = record_at(c, from);

        broken = check_record(c, from, to - from);
        tally->live += r->live;
        tally->dead_units += r->live ? 0 : r->units;
        from += r->units;
    }
    return broken;
}

static const char *check_ring(const struct cache *c, const struct ring *ring, struct tally *tally)
{
    const char *broken;

    if (ring->start > ring->tail || ring->tail > ring->end || ring->head > ring->end)
        return "ring: head or tail outside of it";
    if (!ring->top)
        return ring->tail > ring->head ? "ring: tail before head"
                                       : check_span(c, ring->tail, ring->head, tally);
    if (ring->top > ring->end || ring->tail >= ring->top || ring->head > ring->tail)
        return "ring: head and tail have crossed";
    broken = check_span(c, ring->tail, ring->top, tally);
    return broken ? broken : check_span(c, ring->start, ring->head, tally);
}

const char *cache_check(const struct cache *c)
{
    struct tally trial = {0};
    struct tally kept = {0};
    const char *broken = check_index(c);

    if (!broken)
        broken = check_ring(c, &c->trial, &trial);
    if (!broken)
        broken = check_ring(c, &c->kept, &kept);
    if (!broken && trial.live + kept.live != c->entries)
        broken = "ring: another number of live records than of entries";
    if (!broken && kept.dead_units != c->dead_units)
        broken = "ring: another number of dead bytes than were counted";
    return broken;
}
