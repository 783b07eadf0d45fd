/* logline.c: knows what a line of a text trace, and of the query logs of dnsmasq, unbound and dnsd,
 * looks like. Never knows what was asked before. */
#include "tools/logline.h"

#include "addr.h"
#include "rrtype.h"
#include "tools/hostname.h"
#include "tools/timestamp.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX    64          /* an address or a type, with its NUL */
#define TOOK_MAX_MS (60 * 1000) /* dnsd is done with any question long before that */

/* ---- mistakes and parts of a line ------------------------------------------------------------ */

static enum logline_kind bad(struct logline *out, struct field f, const char *what)
{
    char shown[FIELD_SHOWN_MAX];
    snprintf(out->why, sizeof(out->why), "\"%s\" %s", field_show(f, shown), what);
    return LOGLINE_BAD;
}

static enum logline_kind bad_line(struct logline *out, const char *why)
{
    snprintf(out->why, sizeof(out->why), "%s", why);
    return LOGLINE_BAD;
}

/* The part of f behind the first `mark` in it; at is NULL where there is none. */
static struct field behind(struct field f, const char *mark)
{
    const char *at = memmem(f.at, f.len, mark, strlen(mark));
    if (at == NULL)
        return (struct field){0};
    at += strlen(mark);
    return (struct field){.at = at, .len = (size_t)(f.at + f.len - at)};
}

/* Takes word off the start of f. */
static bool take(struct field *f, const char *word)
{
    size_t len = strlen(word);
    if (f->len < len || memcmp(f->at, word, len) != 0)
        return false;
    f->at += len;
    f->len -= len;
    return true;
}

static size_t take_digits(struct field *f)
{
    size_t n = 0;
    for (; n < f->len && f->at[n] >= '0' && f->at[n] <= '9';)
        n++;
    f->at += n;
    f->len -= n;
    return n;
}

static bool read_addr(struct field f, uint8_t client[LOGLINE_CLIENT_LEN])
{
    char text[WORD_MAX];
    struct addr a;
    if (f.len >= sizeof(text) || memchr(f.at, '\0', f.len) != NULL)
        return false;
    memcpy(text, f.at, f.len);
    text[f.len] = '\0';
    if (addr_parse(text, 0, &a) < 0)
        return false;
    addr_client_id(&a, client);
    return true;
}

/* dnsmasq writes type=65 for a type it has no name for. */
static bool read_type(struct field f, uint16_t *type)
{
    uint64_t number;
    if (!take(&f, "type="))
        return rrtype_read(f.at, f.len, type);
    if (!field_number(f, UINT16_MAX, &number))
        return false;
    *type = (uint16_t)number;
    return true;
}

static enum logline_kind read_question(struct logline *out, struct field name, struct field type)
{
    out->class = WIRE_CLASS_IN;
    out->name_len = hostname_read(name.at, name.len, out->name);
    if (out->name_len == 0)
        return bad(out, name, "is not a name");
    if (!read_type(type, &out->type))
        return bad(out, type, "is not a type of record, such as AAAA or TYPE65");
    return LOGLINE_QUESTION;
}

static bool read_time(struct logline *out, const char *line, size_t len)
{
    struct timestamp t;
    if (timestamp_read(line, len, &t) == 0)
        return false;
    out->at_ms = t.at_ms;
    out->has_year = t.has_year;
    out->has_fraction = t.has_fraction;
    return true;
}

/* ---- text ------------------------------------------------------------------------------------ */

static enum logline_kind read_text(struct field line, struct logline *out)
{
    struct field rest = line;
    struct field ms = field_next(&rest), client = field_next(&rest), name = field_next(&rest),
                 type = field_next(&rest);
    if (ms.len == 0 || ms.at[0] == '#')
        return LOGLINE_OTHER;
    if (type.len == 0 || field_next(&rest).len > 0)
        return bad_line(out, "expected four fields: milliseconds, client, name, type");
    if (!field_number(ms, UINT64_MAX / 4, &out->at_ms))
        return bad(out, ms, "is not a time: expected milliseconds as a number");
    out->has_year = true;
    out->has_fraction = true;
    if (!read_addr(client, out->client))
        crypto_generichash(
            out->client, sizeof(out->client), (const uint8_t *)client.at, client.len, NULL, 0);
    return read_question(out, name, type);
}

/* ---- dnsmasq --------------------------------------------------------------------------------- */

/* What dnsmasq says in a line: the part behind "dnsmasq[123]: ", and behind the serial number and
 * the client's address and port of log-queries=extra. */
static struct field said_by_dnsmasq(struct field line)
{
    struct field rest = behind(line, "dnsmasq");
    if (rest.at == NULL)
        return rest;
    if (take(&rest, "[") && (take_digits(&rest) == 0 || !take(&rest, "]")))
        return (struct field){0};
    if (!take(&rest, ": "))
        return (struct field){0};
    struct field extra = rest;
    if (take_digits(&extra) == 0 || !take(&extra, " "))
        return rest;
    field_next(&extra);
    take(&extra, " ");
    return extra;
}

/* query[A] example.com from 192.168.1.2 */
static enum logline_kind read_dnsmasq(struct field line, struct logline *out)
{
    struct field rest = said_by_dnsmasq(line);
    if (rest.at == NULL || !take(&rest, "query["))
        return LOGLINE_OTHER;
    struct field after = behind(rest, "] ");
    if (after.at == NULL)
        return bad_line(out, "expected query[TYPE] NAME from ADDRESS");
    struct field type = {.at = rest.at, .len = (size_t)(after.at - 2 - rest.at)};
    struct field name = field_next(&after), from = field_next(&after), client = field_next(&after);
    if (!field_equal(from, "from") || client.len == 0 || field_next(&after).len > 0)
        return bad_line(out, "expected query[TYPE] NAME from ADDRESS");
    if (!read_addr(client, out->client))
        return bad(out, client, "is not an address");
    if (!read_time(out, line.at, line.len))
        return bad_line(out, "a question without a time in front: nothing can be learned from it");
    return read_question(out, name, type);
}

/* ---- unbound --------------------------------------------------------------------------------- */

/* What unbound says in a line: behind "unbound[123:0] info: ", or "query: " with
 * log-tag-queryreply; syslog puts ": " in front of the brackets. */
static struct field said_by_unbound(struct field line)
{
    struct field rest = behind(line, "unbound");
    if (rest.at == NULL)
        return rest;
    struct field said = behind(rest, "] info: ");
    return said.at != NULL ? said : behind(rest, "] query: ");
}

/* 127.0.0.1 www.example.com. A IN; with log-replies, the line of a reply goes on. */
static enum logline_kind read_unbound(struct field line, struct logline *out)
{
    struct field rest = said_by_unbound(line);
    if (rest.at == NULL)
        return LOGLINE_OTHER;
    struct field client = field_next(&rest), name = field_next(&rest), type = field_next(&rest),
                 class = field_next(&rest);
    if (!read_addr(client, out->client) || field_next(&rest).len > 0)
        return LOGLINE_OTHER;
    if (class.len == 0)
        return bad_line(out, "expected ADDRESS NAME TYPE CLASS");
    if (!read_time(out, line.at, line.len))
        return bad_line(out, "a question without a time in front: nothing can be learned from it");
    if (read_question(out, name, type) == LOGLINE_BAD)
        return LOGLINE_BAD;
    if (field_equal(class, "CH") || field_equal(class, "HS") || field_equal(class, "ANY"))
        out->class = field_equal(class, "CH") ? WIRE_CLASS_CH : WIRE_CLASS_ANY;
    else if (!field_equal(class, "IN"))
        return bad(out, class, "is not a class, such as IN");
    return LOGLINE_QUESTION;
}

/* ---- dnsd ------------------------------------------------------------------------------------ */

/* How a question ended (ops/querylog.h), and whether what dnsd asked for could be told from it. */
static const struct {
    const char *source;
    enum logline_kind kind;
} sources[] = {{"dropped", LOGLINE_LOCAL}, {"rejected", LOGLINE_LOCAL}, {"chaos", LOGLINE_LOCAL},
    {"override", LOGLINE_LOCAL}, {"special", LOGLINE_LOCAL}, {"cache", LOGLINE_QUESTION},
    {"stale", LOGLINE_QUESTION}, {"upstream", LOGLINE_QUESTION}, {"failed", LOGLINE_QUESTION}};

static enum logline_kind kind_of_source(struct field source)
{
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
        if (field_equal(source, sources[i].source))
            return sources[i].kind;
    return LOGLINE_BAD;
}

/* 2026-03-01T12:00:00.123Z 192.168.1.7 udp example.com A upstream NOERROR 56 23 */
static enum logline_kind read_dnsd(struct field line, struct logline *out)
{
    struct field rest = line, time = field_next(&rest), client = field_next(&rest),
                 transport = field_next(&rest), name = field_next(&rest), type = field_next(&rest),
                 source = field_next(&rest), rcode = field_next(&rest), bytes = field_next(&rest),
                 ms = field_next(&rest);
    if (!read_time(out, time.at, time.len) ||
        (!field_equal(transport, "udp") && !field_equal(transport, "tcp")))
        return LOGLINE_OTHER;
    enum logline_kind kind = kind_of_source(source);
    if (rcode.len == 0 || bytes.len == 0 || ms.len == 0 || field_next(&rest).len > 0)
        return bad_line(out, "expected the nine fields of dnsd's query log");
    if (kind == LOGLINE_BAD)
        return bad(out, source, "is not how a question ends, such as cache or upstream");
    if (kind == LOGLINE_LOCAL)
        return LOGLINE_LOCAL;
    if (!read_addr(client, out->client))
        return bad(out, client, "is not an address");
    if (!field_number(ms, TOOK_MAX_MS, &out->took_ms))
        return bad(out, ms, "is not a time: expected milliseconds, at most 60000");
    return read_question(out, name, type);
}

enum logline_kind logline_read(
    enum logline_form form, const char *line, size_t len, struct logline *out)
{
    static enum logline_kind (*const readers[])(struct field, struct logline *) = {
        [LOGLINE_TEXT] = read_text,
        [LOGLINE_DNSMASQ] = read_dnsmasq,
        [LOGLINE_UNBOUND] = read_unbound,
        [LOGLINE_DNSD] = read_dnsd};
    out->took_ms = 0;
    return readers[form]((struct field){.at = line, .len = len}, out);
}
