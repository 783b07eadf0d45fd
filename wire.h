/* wire.h: DNS messages and TCP framing, bytes to views and back (RFC 1035, 2181, 3597, 6891).
 * Knows no memory allocation, no clock, no socket, no cache.
 *
 * Names. A *wire name* is uncompressed: labels with their length bytes, and the root byte; 1 to 255
 * bytes. Everything here takes and gives wire names.
 *
 * Keys. A *key* says what is asked, as bytes that can be compared, hashed and sorted: the wire name
 * in lower case, then type (2), class (2), flags (1: WIRE_KEY_DO, WIRE_KEY_CD). Cache, flight and
 * predict pass keys and do not look into them.
 *
 * Packed answers. What the cache holds and what overrides make: an answer without its question,
 * ready to be put behind a client's own header and question:
 *
 *     flags (2, as in the header: AA, AD and RCODE only; WIRE_PACKED_BLOCKED) | ANCOUNT (2) |
 * NSCOUNT (2) | ARCOUNT (2) | n_ttls (2) | n_ttls offsets of TTL fields (2 each, from the start of
 * the body) | body
 *
 * All numbers are in network order. The body is what follows the question section; it has no OPT
 * record, and its compression pointers are those of a message whose question name has the length of
 * the key's name. A packed answer never exceeds WIRE_PACKED_MAX. */
#ifndef DNSD_WIRE_H
#define DNSD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEADER_LEN    12
#define WIRE_NAME_MAX      255
#define WIRE_LABEL_MAX     63
#define WIRE_MESSAGE_MAX   65535
#define WIRE_UDP_MAX       1232 /* what we offer and what we send (RFC 9715) */
#define WIRE_UDP_MIN       512  /* without EDNS (RFC 1035 4.2.1, RFC 6891 6.2.5) */
#define WIRE_COOKIE_LEN    24   /* client and server cookie of ours (RFC 9018) */
#define WIRE_KEY_TAIL      5    /* what follows the name in a key */
#define WIRE_KEY_MAX       (WIRE_NAME_MAX + WIRE_KEY_TAIL)
#define WIRE_QUERY_MAX     512 /* longest message of wire_write_query */
#define WIRE_PACKED_MAX    (WIRE_MESSAGE_MAX * 2)
#define WIRE_NAME_TEXT_MAX (WIRE_NAME_MAX * 4 + 1) /* every byte as \DDD, and the NUL */

enum wire_flag {
    WIRE_QR = 0x8000,
    WIRE_OPCODE = 0x7800,
    WIRE_AA = 0x0400,
    WIRE_TC = 0x0200,
    WIRE_RD = 0x0100,
    WIRE_RA = 0x0080,
    WIRE_Z = 0x0040,
    WIRE_AD = 0x0020,
    WIRE_CD = 0x0010,
    WIRE_RCODE = 0x000f,
};

enum wire_rcode {
    WIRE_NOERROR = 0,
    WIRE_FORMERR = 1,
    WIRE_SERVFAIL = 2,
    WIRE_NXDOMAIN = 3,
    WIRE_NOTIMP = 4,
    WIRE_REFUSED = 5,
    WIRE_BADVERS = 16,
    WIRE_BADCOOKIE = 23,
};

enum wire_type {
    WIRE_TYPE_A = 1,
    WIRE_TYPE_NS = 2,
    WIRE_TYPE_CNAME = 5,
    WIRE_TYPE_SOA = 6,
    WIRE_TYPE_PTR = 12,
    WIRE_TYPE_HINFO = 13,
    WIRE_TYPE_MX = 15,
    WIRE_TYPE_TXT = 16,
    WIRE_TYPE_SIG = 24,
    WIRE_TYPE_AAAA = 28,
    WIRE_TYPE_SRV = 33,
    WIRE_TYPE_DNAME = 39,
    WIRE_TYPE_OPT = 41,
    WIRE_TYPE_DS = 43,
    WIRE_TYPE_RRSIG = 46,
    WIRE_TYPE_NSEC = 47,
    WIRE_TYPE_NSEC3 = 50,
    WIRE_TYPE_SVCB = 64,
    WIRE_TYPE_HTTPS = 65,
    WIRE_TYPE_TKEY = 249,
    WIRE_TYPE_TSIG = 250,
    WIRE_TYPE_IXFR = 251,
    WIRE_TYPE_AXFR = 252,
    WIRE_TYPE_ANY = 255,
};

enum wire_class { WIRE_CLASS_IN = 1, WIRE_CLASS_CH = 3, WIRE_CLASS_ANY = 255 };

enum wire_key_flag { WIRE_KEY_DO = 1, WIRE_KEY_CD = 2 };

/* RFC 8914 */
enum wire_ede {
    WIRE_EDE_NONE = -1,
    WIRE_EDE_STALE = 3,
    WIRE_EDE_FORGED = 4,
    WIRE_EDE_CACHED_ERROR = 13,
    WIRE_EDE_BLOCKED = 15,
    WIRE_EDE_PROHIBITED = 18,
    WIRE_EDE_STALE_NXDOMAIN = 19,
    WIRE_EDE_NOT_AUTHORITATIVE = 20,
    WIRE_EDE_NOT_SUPPORTED = 21,
    WIRE_EDE_NO_REACHABLE_AUTHORITY = 22,
    WIRE_EDE_NETWORK_ERROR = 23,
};

/* ---- names ----------------------------------------------------------------------------------- */

/* Length of the wire name at the start of bytes (with its root byte), or 0: cut short, longer than
 * 255, or not uncompressed labels. */
size_t wire_name_len(const uint8_t *bytes, size_t len);

/* Case-insensitive for ASCII letters only (RFC 4343). */
bool wire_name_equal(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);

/* Whether name is parent or lies below it. */
bool wire_name_below(const uint8_t *name, size_t len, const uint8_t *parent, size_t parent_len);

/* Copies len bytes and turns ASCII capitals into small letters. in and out may be the same. */
void wire_name_lower(const uint8_t *in, size_t len, uint8_t *out);

/* Labels without the root: 0 for ".". */
unsigned wire_name_labels(const uint8_t *name, size_t len);

/* Writes the name as text with a NUL, without the final dot (but "." for the root): everything but
 * letters, digits, '-', '_' and '.' between labels as \DDD, so that it is safe in a log. Returns
 * the length without the NUL. */
size_t wire_name_text(const uint8_t *name, size_t len, char out[WIRE_NAME_TEXT_MAX]);

/* Gives each letter of the name a case chosen by a bit of random (one for each byte of the name,
 * lowest first; small where it is set): "0x20". */
void wire_name_randomise_case(uint8_t *name, size_t len, const uint8_t *random);

/* ---- questions ------------------------------------------------------------------------------- */

struct wire_question {
    const uint8_t *name; /* wire name as spelled by the client, inside the message */
    size_t name_len;
    uint16_t type;
    uint16_t class;
};

struct wire_edns {
    bool present;
    bool dnssec_ok; /* DO */
    uint8_t version;
    uint8_t ext_rcode;     /* upper 8 bits of the rcode, in replies */
    uint16_t udp_size;     /* at least 512 */
    bool keepalive;        /* edns-tcp-keepalive asked for (RFC 7828) */
    const uint8_t *cookie; /* COOKIE option (RFC 7873), NULL if none */
    size_t cookie_len;     /* 8, or 16 to 40 */
};

struct wire_query {
    uint16_t id;
    uint16_t flags;
    struct wire_question question; /* name is NULL where the question did not parse */
    struct wire_edns edns;
};

enum wire_query_verdict {
    WIRE_QUERY_OK,
    WIRE_QUERY_DROP,    /* shorter than a header, or a reply (QR=1): never answered */
    WIRE_QUERY_FORMERR, /* also QDCOUNT other than 1 (RFC 9619), answer or authority records (but
                           one for IXFR), a bad OPT, trailing bytes, a cookie of a wrong length */
    WIRE_QUERY_NOTIMP,  /* opcode other than QUERY */
    WIRE_QUERY_BADVERS, /* EDNS version above 0 */
    WIRE_QUERY_SIGNED,  /* TSIG or SIG(0): refused (RFC 8945) */
    WIRE_QUERY_COOKIE,  /* no question, but a cookie: asks for the server's (RFC 7873 5.4) */
};

/* Reads a query. For every verdict but DROP, id and flags are set, and the question too if it
 * parsed. The views point into msg. Work is linear in len. */
enum wire_query_verdict wire_parse_query(const uint8_t *msg, size_t len, struct wire_query *q);

/* Types that programs ask for before they connect, and that are worth predicting: A, AAAA, HTTPS,
 * SVCB, SRV, MX, TXT and PTR. */
bool wire_type_is_predictable(uint16_t type);

/* The key of a question; flags from enum wire_key_flag. Returns its length. */
size_t wire_key_write(const struct wire_question *q, unsigned flags, uint8_t out[WIRE_KEY_MAX]);

/* Reads a key; the question's name points into it. Returns 0, or -1 if it is not a key. */
int wire_key_read(const uint8_t *key, size_t len, struct wire_question *q, unsigned *flags);

/* ---- asking upstream ------------------------------------------------------------------------- */

struct wire_ask {
    struct wire_question question; /* spelled as it is to be sent */
    bool edns;                     /* with an OPT record: 1232 bytes, DO as given, cookie if any */
    bool dnssec_ok;
    bool checking_disabled;
    bool authentic_data;   /* AD=1: tell us what you validated (RFC 6840 5.7) */
    const uint8_t *cookie; /* client and server cookie, NULL for none */
    size_t cookie_len;     /* at most 40 */
};

/* Writes a query with ID 0 and RD 1. Returns its length. */
size_t wire_write_query(const struct wire_ask *ask, uint8_t out[WIRE_QUERY_MAX]);

enum wire_match {
    WIRE_MATCH,
    WIRE_MATCH_BARE_ERROR, /* header only: QR=1, QDCOUNT 0, FORMERR or NOTIMP, right ID */
    WIRE_MATCH_BUT_CASE,   /* all is right but the case of the name */
    WIRE_MISMATCH_ID,      /* a header with another ID */
    WIRE_MISMATCH,         /* anything else: short, a query, another opcode, question or QDCOUNT */
};

/* Whether reply answers query (as sent, with its ID): ID, QR, opcode 0, QDCOUNT 1, name byte for
 * byte, type, class. Looks at header and question only. */
enum wire_match wire_match_reply(
    const uint8_t *query, size_t query_len, const uint8_t *reply, size_t reply_len);

enum wire_answer_kind {
    WIRE_ANSWER_POSITIVE,  /* records for the question, at least a CNAME that leads on */
    WIRE_ANSWER_NODATA,    /* NOERROR without them, with a SOA of the name or above (RFC 2308) */
    WIRE_ANSWER_NXDOMAIN,  /* with such a SOA; may have a CNAME chain before it */
    WIRE_ANSWER_NO_SOA,    /* negative without a usable SOA: may be passed on, never cached */
    WIRE_ANSWER_TRUNCATED, /* TC=1: nothing is packed */
    WIRE_ANSWER_ERROR,     /* any other rcode, or SERVFAIL in place of a NOERROR without SOA whose
                              answer records are all off the chain; a packed answer without records
                              carries it, or none where the rcode is above 15 */
    WIRE_ANSWER_MALFORMED, /* does not parse up to its last record (bytes behind that are ignored),
                              or is no answer to the question; nothing is packed */
};

/* Which TTLs go out, in seconds. min_s is not applied above max_s. */
struct wire_ttl_bounds {
    uint32_t min_s;
    uint32_t max_s;
};

struct wire_answer {
    enum wire_answer_kind kind;
    uint16_t rcode; /* with EDNS's upper bits */
    uint32_t ttl_s; /* smallest TTL of all that is packed; that of a negative answer's SOA is the
                       smaller of its TTL and MINIMUM (RFC 2308 5). NO_SOA: 0 */
    bool authentic; /* the server set AD */
    struct wire_edns edns; /* the server's; views point into the reply */
    size_t packed_len;     /* 0 where nothing is packed */
};

/* Checks a reply that wire_match_reply accepted, and packs it into out (cap at least
 * WIRE_PACKED_MAX never fails for want of room). Kept are: answer records on the chain from the
 * question through CNAME (at most 16 links) and DNAME; authority: the SOA of a negative answer,
 * NSEC and NSEC3 where dnssec_ok; additional: addresses of targets that the answer names (of 32
 * targets); with each of them its RRSIGs where dnssec_ok or where they were asked for. Records of
 * another class than the question's are left out. TTLs are read by RFC 2181 8 and bounded (a
 * negative answer's too, by at most 3 h). The AD bit is kept only where keep_ad, the AA bit never:
 * it is not ours to claim. Names of a type's RDATA may not pass RDLENGTH. Work is linear in len: a
 * message whose names take more than 16 times its length to read is MALFORMED, and so is one whose
 * kept records do not fit a message any more once those between them are gone. Returns a->kind. */
enum wire_answer_kind wire_pack_answer(const uint8_t *reply, size_t len,
    const struct wire_question *asked, bool dnssec_ok, bool keep_ad,
    const struct wire_ttl_bounds *bounds, uint8_t *out, size_t cap, struct wire_answer *a);

/* ---- packed answers -------------------------------------------------------------------------- */

/* Stands in the flags of an answer that was taken out of the way: its replies say so (EDE 15). */
#define WIRE_PACKED_BLOCKED WIRE_Z

struct wire_packed {
    uint16_t flags;
    uint16_t records[3];
    uint16_t n_ttls;
    const uint8_t *ttl_at; /* n_ttls offsets */
    const uint8_t *body;
    size_t body_len;
};

/* Views of the parts. Returns 0, or -1 where it is cut short; the offsets may still be anything. */
int wire_packed_read(const uint8_t *packed, size_t len, struct wire_packed *p);

/* Writes an answer without records, NOERROR, that says WIRE_PACKED_BLOCKED, into out (at least
 * WIRE_UDP_MIN). Returns its length. */
size_t wire_packed_block(uint8_t *out);
bool wire_packed_is_blocked(const uint8_t *packed, size_t len);

/* ---- making packed answers ------------------------------------------------------------------- */

enum wire_section { WIRE_SECTION_ANSWER, WIRE_SECTION_AUTHORITY, WIRE_SECTION_ADDITIONAL };

#define WIRE_WRITER_LABELS 256 /* labels remembered for compression */
#define WIRE_WRITER_TTLS   512 /* records a written answer can have */

/* Writes a packed answer record by record. To be used through the functions only; it lies on the
 * caller's stack or in its struct. The question's name and scratch must last as long. */
struct wire_writer {
    uint8_t *body;
    size_t cap;
    size_t len;  /* of the body */
    size_t base; /* where the body starts in a message */
    uint16_t counts[3];
    uint16_t ttl_at[WIRE_WRITER_TTLS];
    uint16_t n_ttls;
    struct {
        uint16_t at;     /* message offset, 0 for a free slot */
        uint16_t parent; /* slot (from 1) of the label behind it, 0 for the root */
    } labels[WIRE_WRITER_LABELS];
    const uint8_t *question_name;
    enum wire_section section;
    bool failed; /* once set, all that follows does nothing */
};

/* Starts a packed answer to a question for name, whose body is collected in scratch. */
void wire_writer_start(
    struct wire_writer *w, const uint8_t *name, size_t name_len, uint8_t *scratch, size_t cap);

struct wire_record {
    const uint8_t *owner; /* wire name */
    size_t owner_len;
    uint16_t type;
    uint16_t class;
    uint32_t ttl_s;
    const uint8_t *rdata; /* uncompressed */
    size_t rdata_len;
};

/* Adds one record. Sections must not go backwards. Owners are compressed against the question's
 * name and names written before; RDATA is written as it is (RFC 3597). */
void wire_put_record(
    struct wire_writer *w, enum wire_section section, const struct wire_record *record);

/* Adds all records of another packed answer (to a question for its_name), section by section, with
 * their TTLs less age_s. Only its answer section, and for a negative answer its authority, come
 * over. */
void wire_put_packed(struct wire_writer *w, const uint8_t *packed, size_t packed_len,
    const uint8_t *its_name, size_t its_name_len, uint32_t age_s);

/* Writes the packed answer to out; flags may hold AA, AD and an rcode below 16. Returns its length,
 * or 0 if something did not fit. out must not overlap scratch. */
size_t wire_writer_finish(struct wire_writer *w, uint16_t flags, uint8_t *out, size_t cap);

/* ---- replying -------------------------------------------------------------------------------- */

#define WIRE_TTL_AS_IS UINT32_MAX

struct wire_reply {
    const struct wire_query *query; /* ID, RD, CD, spelling, EDNS; question.name may be NULL */
    uint16_t rcode;                 /* goes out where packed is NULL */
    const uint8_t *packed;          /* answer, or NULL for a reply without records */
    size_t packed_len;
    uint32_t age_s;        /* taken off every TTL, down to 0 */
    uint32_t fixed_ttl_s;  /* WIRE_TTL_AS_IS, or every TTL goes out as this (stale: 30,
                              RFC 8767 4) */
    bool truncate;         /* TC=1 and no records whatever the size */
    enum wire_ede ede;     /* added where the client has EDNS and there is room */
    uint16_t keepalive_ds; /* edns-tcp-keepalive in 100 ms, 0 for none */
    const uint8_t *cookie; /* WIRE_COOKIE_LEN bytes for a client that sent one; else NULL. limit
                              and cap are at least WIRE_UDP_MIN where there is one */
    size_t limit;          /* what the client takes; beyond it: TC=1, no records */
};

/* Writes the reply: QR=1, RA=1, RD and CD as asked, AD only if it was asked for by AD or DO, OPT if
 * the query had one (1232 bytes, DO as asked). Returns its length, at least WIRE_HEADER_LEN; out
 * holds at least min(limit, cap) bytes and cap is at least WIRE_UDP_MIN. A packed answer that does
 * not parse gives SERVFAIL. */
size_t wire_write_reply(const struct wire_reply *r, uint8_t *out, size_t cap);

/* How many bytes a client takes over UDP: its EDNS size, at least 512, at most WIRE_UDP_MAX. */
size_t wire_udp_limit(const struct wire_query *q);

/* The rcode of a packed answer; SERVFAIL where it does not parse. */
uint16_t wire_packed_rcode(const uint8_t *packed, size_t len);

/* ---- walking a message (tools and tests) ----------------------------------- */

struct wire_cursor {
    const uint8_t *msg;
    size_t len;
    size_t at;
    uint16_t left[3]; /* records left in each section */
};

struct wire_view {
    enum wire_section section;
    size_t owner_at;
    uint16_t type;
    uint16_t class;
    uint32_t ttl_s;
    size_t ttl_at;
    size_t rdata_at;
    size_t rdata_len;
};

/* Starts behind the question section. Returns 0, or -1 where header or questions do not parse. */
int wire_cursor_start(struct wire_cursor *c, const uint8_t *msg, size_t len);

/* The next record: 1, 0 at the end, -1 where it does not parse. */
int wire_cursor_next(struct wire_cursor *c, struct wire_view *v);

/* Copies the (possibly compressed) name at `at` as a wire name. *end is the offset behind it in the
 * message. Pointers go strictly backwards. Returns its length, or 0. */
size_t wire_name_expand(
    const uint8_t *msg, size_t len, size_t at, uint8_t out[WIRE_NAME_MAX], size_t *end);

/* ---- TCP framing (RFC 1035 4.2.2) ------------------------------------------------------------ */

/* Length of the first message in a stream's bytes, if its two length bytes are there: 0..65535;
 * else -1. The message starts at bytes + 2 and is complete once len >= 2 + that. */
int wire_frame_len(const uint8_t *bytes, size_t len);
void wire_frame_write(uint8_t out[2], size_t msg_len);

#endif
