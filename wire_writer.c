/* wire_writer.c: packed answers written record by record, with names compressed anew.
 * Knows layout and the shapes of RDATA; never where a record comes from or whether it is wanted. */
#include "wire_parts.h"

#include <assert.h>
#include <string.h>

#define LABELS_MAX 127 /* of one name */
#define PROBES     4   /* slots that are looked at for a label; then it is not remembered */

/* Well-known types whose RDATA has names (RFC 3597 4, 6895). RRSIG and NSEC have names too, but
 * those never come compressed (RFC 4034 3.1.7, 4.1.1) and so are opaque. */
static const struct wire_shape shapes[] = {
    [2] = {.names = 1, .compress = true},             /* NS */
    [3] = {.names = 1, .compress = true},             /* MD */
    [4] = {.names = 1, .compress = true},             /* MF */
    [5] = {.names = 1, .compress = true},             /* CNAME */
    [6] = {.names = 2, .tail = 20, .compress = true}, /* SOA */
    [7] = {.names = 1, .compress = true},             /* MB */
    [8] = {.names = 1, .compress = true},             /* MG */
    [9] = {.names = 1, .compress = true},             /* MR */
    [12] = {.names = 1, .compress = true},            /* PTR */
    [14] = {.names = 2, .compress = true},            /* MINFO */
    [15] = {.lead = 2, .names = 1, .compress = true}, /* MX */
    [17] = {.names = 2},                              /* RP */
    [18] = {.lead = 2, .names = 1},                   /* AFSDB */
    [21] = {.lead = 2, .names = 1},                   /* RT */
    [24] = {.lead = 18, .names = 1, .open = true},    /* SIG */
    [26] = {.lead = 2, .names = 2},                   /* PX */
    [30] = {.names = 1, .open = true},                /* NXT */
    [33] = {.lead = 6, .names = 1},                   /* SRV */
    [35] = {.lead = 4, .strings = 3, .names = 1},     /* NAPTR */
    [36] = {.lead = 2, .names = 1},                   /* KX */
    [39] = {.names = 1},                              /* DNAME */
};

const struct wire_shape *wire_shape_of(uint16_t type)
{
    if (type >= sizeof shapes / sizeof shapes[0] || shapes[type].names == 0)
        return NULL;
    return &shapes[type];
}

size_t wire_shape_names_at(
    const struct wire_source *s, const struct wire_view *v, const struct wire_shape *shape)
{
    struct wire_reader r = {wire_source_bytes(s, v->rdata_at), v->rdata_len, 0, false};

    wire_read(&r, shape->lead);
    for (unsigned i = 0; i < shape->strings; i++) {
        const uint8_t *string_len = wire_read(&r, 1);
        wire_read(&r, string_len ? *string_len : 0);
    }
    return r.failed ? 0 : v->rdata_at + r.at;
}

/* ---- compression ------------------------------------------------------------------------------
 * Names that were written form a tree that grows from the root: a slot is one label with the slot
 * of what follows it. A name is looked up from its last label on, one label compared at a time, so
 * that the cost is that of reading it, however many names there are. */

static const uint8_t *label_at(const struct wire_writer *w, size_t at)
{
    return at < w->base ? w->question_name + (at - WIRE_HEADER_LEN) : w->body + (at - w->base);
}

static size_t label_hash(const uint8_t *label, size_t parent)
{
    uint32_t hash = 2166136261u ^ (uint32_t)parent; /* FNV-1a: probes are bounded, not chance */

    for (size_t i = 0; i <= label[0]; i++) {
        uint8_t c = label[i];
        hash = (hash ^ ((uint8_t)(c - 'A') < 26 ? c + 32u : c)) * 16777619u;
    }
    return hash >> 16 ^ hash;
}

/* The slot (from 1) of a label below parent, or 0. *vacant is a slot for it, or 0. */
static size_t label_find(
    const struct wire_writer *w, const uint8_t *label, size_t parent, size_t *vacant)
{
    size_t hash = label_hash(label, parent);

    *vacant = 0;
    for (size_t i = 0; i < PROBES; i++) {
        size_t slot = (hash + i) % WIRE_WRITER_LABELS;
        if (w->labels[slot].at == 0) {
            *vacant = slot + 1;
            return 0;
        }
        const uint8_t *known = label_at(w, w->labels[slot].at);
        if (w->labels[slot].parent == parent &&
            wire_name_equal(known, known[0] + (size_t)1, label, label[0] + (size_t)1))
            return slot + 1;
    }
    return 0;
}

/* Remembers that the label for a vacant slot stands at offset `at`, below parent. Returns the slot,
 * or 0. */
static size_t label_add(struct wire_writer *w, size_t vacant, size_t parent, size_t at)
{
    if (vacant == 0 || at >= WIRE_POINTABLE)
        return 0;
    w->labels[vacant - 1].at = (uint16_t)at;
    w->labels[vacant - 1].parent = (uint16_t)parent;
    return vacant;
}

static size_t split_labels(const uint8_t *name, size_t len, uint8_t starts[LABELS_MAX])
{
    size_t n = 0;

    for (size_t at = 0; at < len && name[at] && n < LABELS_MAX; at += name[at] + (size_t)1)
        starts[n++] = (uint8_t)at;
    return n;
}

/* How many of the n labels are left when the longest known end is cut off; *parent is its slot. */
static size_t match_labels(const struct wire_writer *w, const uint8_t *name,
    const uint8_t starts[LABELS_MAX], size_t n, size_t *parent)
{
    size_t vacant;

    *parent = 0;
    while (n > 0) {
        size_t slot = label_find(w, name + starts[n - 1], *parent, &vacant);
        if (slot == 0)
            break;
        *parent = slot;
        n--;
    }
    return n;
}

/* Remembers the first n labels of a name written at offset `at`; what follows them is parent. */
static void remember_labels(struct wire_writer *w, const uint8_t *name,
    const uint8_t starts[LABELS_MAX], size_t n, size_t parent, size_t at)
{
    size_t vacant;

    for (; n > 0; n--) {
        label_find(w, name + starts[n - 1], parent, &vacant);
        parent = label_add(w, vacant, parent, at + starts[n - 1]);
        if (parent == 0)
            return;
    }
}

/* ---- records --------------------------------------------------------------------------------- */

/* The next n bytes of the body, or NULL. */
static uint8_t *grow(struct wire_writer *w, size_t n)
{
    if (w->failed || w->cap - w->len < n || w->base + w->len + n > WIRE_MESSAGE_MAX) {
        w->failed = true;
        return NULL;
    }
    uint8_t *bytes = w->body + w->len;
    w->len += n;
    return bytes;
}

static void put_bytes(struct wire_writer *w, const uint8_t *bytes, size_t len)
{
    uint8_t *out = grow(w, len);

    if (out && len > 0)
        memcpy(out, bytes, len);
}

static void put_name(struct wire_writer *w, const uint8_t *name, size_t len)
{
    uint8_t starts[LABELS_MAX];
    size_t n = split_labels(name, len, starts);
    size_t at = w->base + w->len;
    size_t parent;
    size_t n_new = match_labels(w, name, starts, n, &parent);

    if (parent == 0) {
        put_bytes(w, name, len);
    } else {
        uint8_t pointer[2];
        put_bytes(w, name, starts[n_new]); /* where the known end begins */
        wire_set_u16(pointer, (uint16_t)(0xc000 | w->labels[parent - 1].at));
        put_bytes(w, pointer, 2);
    }
    if (!w->failed)
        remember_labels(w, name, starts, n_new, parent, at);
}

/* Writes type, class, TTL and an RDLENGTH that is to be set later. Returns their place, or NULL. */
static uint8_t *put_fixed(struct wire_writer *w, uint16_t type, uint16_t class, uint32_t ttl_s)
{
    uint8_t *fixed = grow(w, WIRE_RECORD_FIXED);

    if (fixed) {
        wire_set_u16(fixed, type);
        wire_set_u16(fixed + 2, class);
        wire_set_u32(fixed + 4, ttl_s);
    }
    return fixed;
}

static void count_record(struct wire_writer *w, enum wire_section section, size_t ttl_at)
{
    if (w->n_ttls == WIRE_WRITER_TTLS)
        w->failed = true;
    if (w->failed)
        return;
    w->ttl_at[w->n_ttls++] = (uint16_t)ttl_at;
    w->counts[section]++;
}

static void enter_section(struct wire_writer *w, enum wire_section section)
{
    if (section < w->section || section > WIRE_SECTION_ADDITIONAL)
        w->failed = true;
    else
        w->section = section;
}

void wire_writer_start(
    struct wire_writer *w, const uint8_t *name, size_t name_len, uint8_t *scratch, size_t cap)
{
    uint8_t starts[LABELS_MAX];

    memset(w, 0, sizeof *w);
    w->body = scratch;
    w->cap = cap;
    w->base = WIRE_HEADER_LEN + name_len + 4;
    w->question_name = name;
    size_t n = split_labels(name, name_len, starts);
    remember_labels(w, name, starts, n, 0, WIRE_HEADER_LEN);
}

void wire_put_record(
    struct wire_writer *w, enum wire_section section, const struct wire_record *record)
{
    enter_section(w, section);
    if (w->failed || record->rdata_len > UINT16_MAX) {
        w->failed = true;
        return;
    }
    put_name(w, record->owner, record->owner_len);
    uint8_t *fixed = put_fixed(w, record->type, record->class, record->ttl_s);
    if (!fixed)
        return;
    wire_set_u16(fixed + 8, (uint16_t)record->rdata_len);
    put_bytes(w, record->rdata, record->rdata_len);
    count_record(w, section, (size_t)(fixed + 4 - w->body));
}

/* Writes RDATA that has names in it. */
static void copy_shaped(struct wire_writer *w, const struct wire_source *s,
    const struct wire_view *v, const struct wire_shape *shape)
{
    uint8_t name[WIRE_NAME_MAX];
    size_t at = wire_shape_names_at(s, v, shape);
    size_t rdata_end = v->rdata_at + v->rdata_len;

    if (at == 0) {
        w->failed = true;
        return;
    }
    put_bytes(w, wire_source_bytes(s, v->rdata_at), at - v->rdata_at);
    for (unsigned i = 0; i < shape->names && !w->failed; i++) {
        size_t len = wire_name_read(s, at, name, &at, NULL);
        if (len == 0 || at > rdata_end)
            w->failed = true;
        else if (shape->compress)
            put_name(w, name, len);
        else
            put_bytes(w, name, len);
    }
    if (!w->failed)
        put_bytes(w, wire_source_bytes(s, at), rdata_end - at);
}

size_t wire_writer_copy(
    struct wire_writer *w, const struct wire_source *s, const struct wire_view *v, uint32_t ttl_s)
{
    const struct wire_shape *shape = wire_shape_of(v->type);
    uint8_t owner[WIRE_NAME_MAX];
    size_t end;
    size_t owner_len = wire_name_read(s, v->owner_at, owner, &end, NULL);

    if (owner_len == 0)
        w->failed = true;
    if (w->failed)
        return 0;
    put_name(w, owner, owner_len);
    uint8_t *fixed = put_fixed(w, v->type, v->class, ttl_s);
    if (!fixed)
        return 0;
    size_t rdata_at = w->len;
    if (shape)
        copy_shaped(w, s, v, shape);
    else
        put_bytes(w, wire_source_bytes(s, v->rdata_at), v->rdata_len);
    assert(w->len - rdata_at <= UINT16_MAX); /* no message is longer */
    wire_set_u16(fixed + 8, (uint16_t)(w->len - rdata_at));
    return (size_t)(fixed + 4 - w->body);
}

/* Whether the authority section at `at` says that there is nothing (RFC 2308 2). */
static bool has_soa(const struct wire_source *s, size_t at, unsigned n)
{
    struct wire_view v;

    for (; n > 0 && wire_record_read(s, &at, &v) == 0; n--)
        if (v.type == WIRE_TYPE_SOA)
            return true;
    return false;
}

void wire_put_packed(struct wire_writer *w, const uint8_t *packed, size_t packed_len,
    const uint8_t *its_name, size_t its_name_len, uint32_t age_s)
{
    struct wire_packed p;

    if (wire_packed_read(packed, packed_len, &p) < 0) {
        w->failed = true;
        return;
    }
    size_t at = WIRE_HEADER_LEN + its_name_len + 4;
    struct wire_source s = {its_name, its_name_len, p.body, at, at + p.body_len};
    for (unsigned section = 0; section <= WIRE_SECTION_AUTHORITY && !w->failed; section++) {
        if (p.records[section] == 0)
            continue;
        if (section == WIRE_SECTION_AUTHORITY && !has_soa(&s, at, p.records[section]))
            break;
        enter_section(w, (enum wire_section)section);
        for (unsigned i = 0; i < p.records[section] && !w->failed; i++) {
            struct wire_view v;
            if (wire_record_read(&s, &at, &v) < 0) {
                w->failed = true;
                break;
            }
            uint32_t ttl_s = v.ttl_s > age_s ? v.ttl_s - age_s : 0;
            count_record(w, (enum wire_section)section, wire_writer_copy(w, &s, &v, ttl_s));
        }
    }
}

size_t wire_writer_finish(struct wire_writer *w, uint16_t flags, uint8_t *out, size_t cap)
{
    size_t table_len = (size_t)w->n_ttls * 2;
    size_t len = WIRE_PACKED_HEAD + table_len + w->len;

    if (w->failed || len > cap || len > WIRE_PACKED_MAX)
        return 0;
    wire_packed_write_head(out, flags & (WIRE_AA | WIRE_AD | WIRE_RCODE), w->counts, w->n_ttls);
    for (size_t i = 0; i < w->n_ttls; i++)
        wire_set_u16(out + WIRE_PACKED_HEAD + 2 * i, w->ttl_at[i]);
    if (w->len > 0)
        memcpy(out + WIRE_PACKED_HEAD + table_len, w->body, w->len);
    return len;
}
