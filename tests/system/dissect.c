/* dissect.c: knows what a reply must look like (RFC 1035, 3597, 6891).
 * Never knows which answer is the right one. */
#include "tests/system/dissect.h"

#include <stdbool.h>
#include <string.h>

#define HEADER_LEN 12
#define NAME_MAX_  255
#define FORMERR    1

enum { T_A = 1, T_NS = 2, T_CNAME = 5, T_SOA = 6, T_PTR = 12, T_MX = 15, T_AAAA = 28, T_OPT = 41 };

struct reader {
    const uint8_t *msg;
    size_t len;
    size_t at;
    const char *flaw;
    unsigned n_opts;
};

static unsigned u16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static void fails(struct reader *r, const char *flaw)
{
    if (r->flaw == NULL)
        r->flaw = flaw;
}

/* Moves behind the name at r->at, which must not reach beyond end. */
static void read_name(struct reader *r, size_t end)
{
    size_t at = r->at, behind = 0, expanded = 1, below = r->at;
    while (at < end && r->msg[at] != 0) {
        unsigned label = r->msg[at];
        if (label >= 0xc0) {
            size_t target = at + 1 < end ? (u16(r->msg + at) & 0x3fff) : r->len;
            if (target >= below || target < HEADER_LEN) {
                fails(r, "a pointer does not lead backwards");
                return;
            }
            behind = behind == 0 ? at + 2 : behind;
            at = below = target;
            end = r->len;
            continue;
        }
        if (label > 63 || (expanded += label + 1) > NAME_MAX_) {
            fails(r, "a label or a name is too long");
            return;
        }
        at += label + 1;
    }
    if (at >= end)
        fails(r, "a name reaches beyond its end");
    r->at = behind == 0 ? at + 1 : behind;
}

/* RDATA of the types of RFC 1035, whose names may be compressed. */
static void read_rdata(struct reader *r, unsigned type, size_t len)
{
    size_t end = r->at + len;
    if ((type == T_A && len != 4) || (type == T_AAAA && len != 16)) {
        fails(r, "an address has the wrong length");
    } else if (type == T_NS || type == T_CNAME || type == T_PTR) {
        read_name(r, end);
    } else if (type == T_MX && len > 2) {
        r->at += 2;
        read_name(r, end);
    } else if (type == T_SOA) {
        read_name(r, end);
        if (r->flaw == NULL)
            read_name(r, end);
        r->at += 20;
    } else {
        r->at = end;
        return;
    }
    if (r->at != end && type != T_A && type != T_AAAA)
        fails(r, "RDATA does not end where its names do");
    r->at = end;
}

static void read_record(struct reader *r, bool additional)
{
    bool root = r->at < r->len && r->msg[r->at] == 0;
    read_name(r, r->len);
    if (r->flaw != NULL || r->at + 10 > r->len) {
        fails(r, "a record is cut short");
        return;
    }
    unsigned type = u16(r->msg + r->at), rdata_len = u16(r->msg + r->at + 8);
    r->at += 10;
    if (r->at + rdata_len > r->len) {
        fails(r, "RDLENGTH reaches beyond the end");
        return;
    }
    if (type == T_OPT && (!root || !additional || ++r->n_opts > 1))
        fails(r, "an OPT record is not where it belongs");
    read_rdata(r, type, rdata_len);
}

static void read_records(struct reader *r)
{
    for (size_t section = 0; section < 3; section++) {
        unsigned n = u16(r->msg + 6 + 2 * section);
        for (unsigned i = 0; i < n && r->flaw == NULL; i++)
            read_record(r, section == 2);
    }
    if (r->flaw == NULL && r->at != r->len)
        fails(r, "there are bytes behind the last record");
}

static size_t question_end(const uint8_t *query, size_t len)
{
    struct reader r = {.msg = query, .len = len, .at = HEADER_LEN};
    read_name(&r, len);
    return r.flaw == NULL && r.at + 4 <= len ? r.at + 4 : 0;
}

static const char *header_flaw(const uint8_t *query, const uint8_t *reply)
{
    if (memcmp(query, reply, 2) != 0)
        return "the ID is another";
    if ((reply[2] & 0x80) == 0)
        return "it is no reply";
    if (((reply[2] ^ query[2]) & 0x79) != 0)
        return "opcode or RD are not the query's";
    return (reply[3] & 0x40) != 0 ? "the Z bit is set" : NULL;
}

const char *reply_flaw(
    const uint8_t *query, size_t query_len, const uint8_t *reply, size_t reply_len)
{
    struct reader r = {.msg = reply, .len = reply_len, .at = HEADER_LEN};
    if (query_len < HEADER_LEN || reply_len < HEADER_LEN)
        return "there is no header";
    const char *flaw = header_flaw(query, reply);
    if (flaw != NULL)
        return flaw;
    size_t end = u16(query + 4) == 1 ? question_end(query, query_len) : 0;
    if (u16(reply + 4) == 0 && ((reply[3] & 15) == FORMERR || end == 0)) {
        read_records(&r); /* an OPT, at most */
        return r.flaw;
    }
    if (u16(reply + 4) != 1 || end == 0 || reply_len < end ||
        memcmp(query + HEADER_LEN, reply + HEADER_LEN, end - HEADER_LEN) != 0)
        return "the question is not the one that was asked";
    r.at = end;
    read_records(&r);
    if (r.flaw == NULL && r.n_opts > 0 && u16(query + 10) == 0)
        return "an OPT record was not asked for";
    return r.flaw;
}
