/* wire_parts.h: what the files of wire share: the bounded reader, where a message's bytes lie, and
 * the shapes of RDATA. For wire*.c only; knows what wire.h knows. */
#ifndef DNSD_WIRE_PARTS_H
#define DNSD_WIRE_PARTS_H

#include "wire.h"

#define WIRE_RECORD_FIXED 10 /* type, class, TTL, RDLENGTH */
#define WIRE_RECORD_MIN   (1 + WIRE_RECORD_FIXED)
#define WIRE_QUESTION_MIN 5
#define WIRE_OPT_LEN      WIRE_RECORD_MIN
#define WIRE_RRSIG_MIN    19 /* RFC 4034 3.1: 18 bytes and the shortest signer's name */
#define WIRE_PACKED_HEAD  10
#define WIRE_JUMPS_MAX    127    /* one pointer behind each label of the longest name */
#define WIRE_POINTABLE    0x4000 /* a pointer has 14 bits (RFC 1035 4.1.4) */

enum wire_opcode { WIRE_OPCODE_QUERY = 0 };

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Reads up to len and no further. Once something was missing, everything reads as 0. */
struct wire_reader {
    const uint8_t *bytes;
    size_t len;
    size_t at;
    bool failed;
};

/* The next n bytes, or NULL. */
static inline const uint8_t *wire_read(struct wire_reader *r, size_t n)
{
    if (r->failed || r->len - r->at < n) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *bytes = r->bytes + r->at;
    r->at += n;
    return bytes;
}

/* For bytes that wire_read gave out. */
static inline uint16_t wire_get_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t wire_get_u32(const uint8_t *bytes)
{
    return (uint32_t)wire_get_u16(bytes) << 16 | wire_get_u16(bytes + 2);
}

static inline uint16_t wire_read_u16(struct wire_reader *r)
{
    const uint8_t *bytes = wire_read(r, 2);
    return bytes ? wire_get_u16(bytes) : 0;
}

static inline void wire_set_u16(uint8_t *out, uint16_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static inline void wire_set_u32(uint8_t *out, uint32_t value)
{
    wire_set_u16(out, (uint16_t)(value >> 16));
    wire_set_u16(out + 2, (uint16_t)value);
}

/* ---- messages -------------------------------------------------------------------------------- */

struct wire_header {
    uint16_t id;
    uint16_t flags;
    uint16_t questions;
    uint16_t records[3];
};

/* Returns 0, or -1 where there is no whole header, or where the counts cannot be true since the
 * message is too short for so many records. The header is filled in whenever it is there. */
int wire_header_read(const uint8_t *msg, size_t len, struct wire_header *h);

/* Where the bytes of a message lie. A message is one piece. A packed answer is a body whose
 * pointers may lead into a question's name that is kept elsewhere; offsets are those of the message
 * that the two would make. */
struct wire_source {
    const uint8_t *name; /* at WIRE_HEADER_LEN; NULL for a message in one piece */
    size_t name_len;
    const uint8_t *body;
    size_t body_at; /* offset of the first byte of body */
    size_t end;     /* offset behind its last */
};

static inline struct wire_source wire_source_of(const uint8_t *msg, size_t len)
{
    return (struct wire_source){.body = msg, .end = len};
}

/* Names already seen in a message, so that its compression can be kept: a name whose pointers all
 * lead to the start of a label of such a name stays what it is when TTLs change. */
struct wire_trail {
    uint64_t starts[WIRE_POINTABLE / 64];
    bool astray;      /* a pointer leads somewhere else */
    size_t work_left; /* bytes and jumps that names may still cost */
};

/* As wire_name_expand. out may be NULL. trail may be NULL; else the name is added to it, and its
 * cost taken off work_left: a name that costs more is refused. */
size_t wire_name_read(
    const struct wire_source *s, size_t at, uint8_t *out, size_t *end, struct wire_trail *trail);

/* The offset of the first label: pointers that stand at `at` itself are followed. For names that
 * wire_name_read accepted; two with one origin are equal. */
size_t wire_name_origin(const struct wire_source *s, size_t at);

/* Moves *at behind the name that stands there, without following its pointer. Returns 0 or -1. */
int wire_name_skip(const struct wire_source *s, size_t *at);

/* Reads the record at *at and moves behind it. Returns 0 or -1. v->section is left alone. */
int wire_record_read(const struct wire_source *s, size_t *at, struct wire_view *v);

/* The bytes of a record that wire_record_read accepted. */
static inline const uint8_t *wire_source_bytes(const struct wire_source *s, size_t at)
{
    return s->body + (at - s->body_at);
}

/* Reads an OPT record (RFC 6891 6.1.2) that has the root as its owner. Returns 0, or -1: an option
 * that overruns, too many of them, a cookie of a wrong length. */
int wire_opt_read(const struct wire_source *s, const struct wire_view *v, struct wire_edns *edns);

/* ---- RDATA ----------------------------------------------------------------------------------- */

/* RDATA with names in it that may arrive compressed: lead bytes, character strings, names, tail. */
struct wire_shape {
    uint8_t lead;
    uint8_t strings;
    uint8_t names;
    uint8_t tail;
    bool open;     /* anything may stand behind the names */
    bool compress; /* of RFC 1035: may be compressed when written (RFC 3597 4) */
};

/* The shape of a type, or NULL where RDATA is opaque. */
const struct wire_shape *wire_shape_of(uint16_t type);

/* Offset of the first name in RDATA of that shape, or 0 where RDATA is too short. */
size_t wire_shape_names_at(
    const struct wire_source *s, const struct wire_view *v, const struct wire_shape *shape);

/* ---- packed answers -------------------------------------------------------------------------- */

/* Writes head and TTL table's length. */
void wire_packed_write_head(
    uint8_t out[WIRE_PACKED_HEAD], uint16_t flags, const uint16_t records[3], uint16_t n_ttls);

/* Adds a record of another message, its names decompressed and compressed anew. Returns the offset
 * of its TTL in the body. The writer's own list of TTLs and its counts are left alone. */
size_t wire_writer_copy(
    struct wire_writer *w, const struct wire_source *s, const struct wire_view *v, uint32_t ttl_s);

#endif
