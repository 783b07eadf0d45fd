/* poison_text.c: poison.conf's lines into rules, and what is wrong with them into words.
 * Knows the form of the file; never what is answered. Presentation format is libzscanner's. */
#include "poison_set.h"

#include <libzscanner/scanner.h>
#include <stdlib.h>
#include <string.h>

#define TTL_MAX  INT32_MAX /* RFC 2181 8 */
#define WHAT_MAX 80        /* bytes of a word that are reported */

struct span {
    const char *text;
    size_t len;
};

/* The words of a line that starts with a name. */
struct entry {
    struct span rest;  /* all behind the owner */
    struct span extra; /* TTL or class before the word, empty if none */
    struct span word;  /* type, address or verdict */
    struct span after; /* what follows the word */
};

struct loader {
    struct poison *set;
    poison_report *report;
    void *ctx;
    size_t line;
    bool mistaken;
    bool oom;
    struct span owner_word; /* of the last line that had an owner, as written */
    struct poison_owner owner;
    bool owner_usable;    /* else its lines are checked, but not kept */
    bool scanner_open;    /* zs_init was called: zs_deinit is due */
    bool scanner_spoiled; /* it met a mistake, and is not to be used again as it is */
    zs_scanner_t scanner;
    size_t len;                      /* of text */
    char text[POISON_LINE_MAX + 32]; /* what the scanner is given: one record and a newline */
};

static const char expected[] =
    "expected a type, an address or one of nxdomain, nodata, refused, drop, pass";

static void mistake(struct loader *l, struct span what, const char *why)
{
    char text[WHAT_MAX * 4 + 4];
    size_t len = 0;

    l->mistaken = true;
    for (size_t i = 0; i < what.len && i < WHAT_MAX; i++) {
        unsigned char c = (unsigned char)what.text[i];
        if (c > ' ' && c < 0x7f) {
            text[len++] = (char)c;
            continue;
        }
        text[len++] = '\\';
        text[len++] = (char)('0' + c / 100);
        text[len++] = (char)('0' + c / 10 % 10);
        text[len++] = (char)('0' + c % 10);
    }
    if (what.len > WHAT_MAX) {
        memcpy(text + len, "...", 3);
        len += 3;
    }
    text[len] = '\0';
    l->report(l->ctx, l->line, text, why);
}

/* For functions that return what is wrong. */
static void complain(struct loader *l, struct span what, const char *why)
{
    if (why == poison_out_of_memory)
        l->oom = true;
    else if (why != NULL)
        mistake(l, what, why);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool span_is(struct span s, const char *word)
{
    for (size_t i = 0; i < s.len; i++)
        if (word[i] == '\0' || lower(s.text[i]) != lower(word[i]))
            return false;
    return word[s.len] == '\0';
}

/* The first of rest's words, which is taken off; empty at the end. Quotes and escapes hold a word
 * together. */
static struct span next_word(struct span *rest)
{
    size_t at = 0, start;
    bool quoted = false;

    while (at < rest->len && is_blank(rest->text[at]))
        at++;
    start = at;
    for (; at < rest->len && (quoted || !is_blank(rest->text[at])); at++) {
        if (rest->text[at] == '"')
            quoted = !quoted;
        else if (rest->text[at] == '\\' && at + 1 < rest->len)
            at++;
    }
    struct span word = {rest->text + start, at - start};
    rest->text += at;
    rest->len -= at;
    return word;
}

/* Length of an escape at the start of s (RFC 1035 5.1), which starts with a backslash: \X or \DDD;
 * 0 if it is none. */
static size_t escape_len(struct span s)
{
    if (s.len < 2)
        return 0;
    if (!is_digit(s.text[1]))
        return 2;
    if (s.len < 4 || !is_digit(s.text[2]) || !is_digit(s.text[3]))
        return 0;
    unsigned value = (unsigned)(s.text[1] - '0') * 100 + (unsigned)(s.text[2] - '0') * 10 +
                     (unsigned)(s.text[3] - '0');
    return value <= 255 ? 4 : 0;
}

/* Whether a comment starts at s.text[at]: `;` anywhere, `#` only where a word could start, for
 * `\#` and names or strings with a `#` in them mean themselves. */
static bool starts_comment(struct span s, size_t at)
{
    return s.text[at] == ';' || (s.text[at] == '#' && (at == 0 || is_blank(s.text[at - 1])));
}

/* Where quotes and parentheses stand in a line. */
struct nesting {
    bool quoted;
    size_t quote_at;
    size_t depth;
    size_t open_at;
};

static const char *nest(struct nesting *n, char c, size_t at)
{
    if (c == '"') {
        n->quoted = !n->quoted;
        n->quote_at = at;
    } else if (c == '(' && !n->quoted) {
        n->depth++;
        n->open_at = at;
    } else if (c == ')' && !n->quoted) {
        if (n->depth == 0)
            return "a parenthesis that was not opened";
        n->depth--;
    }
    return NULL;
}

/* Cuts the comment off line. NULL, or what is wrong with the line, at line->text[*at]. */
static const char *line_scan(struct span *line, size_t *at)
{
    struct nesting n = {0};
    size_t i, step;

    for (i = 0; i < line->len; i += step) {
        char c = line->text[i];
        const char *why = NULL;
        step = 1;
        *at = i;
        if (!n.quoted && starts_comment(*line, i))
            break;
        if ((c < ' ' && c != '\t') || c > '~') /* char may be signed */
            return "only ASCII is allowed outside comments: write other bytes as \\DDD and names "
                   "in their xn-- form";
        if (c == '\\') {
            step = escape_len((struct span){line->text + i, line->len - i});
            if (step == 0)
                return "expected a character or three digits up to 255 behind the backslash";
        } else {
            why = nest(&n, c, i);
        }
        if (why != NULL)
            return why;
    }
    line->len = i;
    *at = n.quoted ? n.quote_at : n.open_at;
    if (n.quoted)
        return "the quote is not closed";
    if (n.depth > 0)
        return "the parenthesis is not closed: a record ends with its line";
    return NULL;
}

/* The word that holds line.text[at], or else the last before it. */
static struct span word_at(struct span line, size_t at)
{
    const char *there = line.text + at;
    struct span found = {line.text, 0};

    for (;;) {
        struct span word = next_word(&line);
        if (word.len == 0 || word.text > there)
            return found;
        found = word;
    }
}

/* ---- the zone scanner ------------------------------------------------------------------------ */

static void text_start(struct loader *l)
{
    l->len = 0;
}

static void text_put(struct loader *l, const char *text, size_t len)
{
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

static void scanner_close(struct loader *l)
{
    if (l->scanner_open)
        zs_deinit(&l->scanner);
    l->scanner_open = false;
    l->scanner_spoiled = false;
}

/* Scans l->text as one record; the result is in l->scanner. 0, or -1: not a record, or memory is
 * out (l->oom). Setting a scanner up clears 200 KiB, so one goes on until it meets a mistake. */
static int scan(struct loader *l)
{
    text_put(l, "\n", 1);
    if (l->scanner_spoiled)
        scanner_close(l);
    if (!l->scanner_open) {
        l->scanner_open = zs_init(&l->scanner, ".", WIRE_CLASS_IN, POISON_TTL_DEFAULT) == 0;
        l->oom |= !l->scanner_open;
    }
    l->scanner.r_type = 0; /* tells afterwards whether a type was recognised */
    if (l->oom || zs_set_input_string(&l->scanner, l->text, l->len) != 0 ||
        zs_parse_record(&l->scanner) != 0) {
        l->oom = true;
        return -1;
    }
    l->scanner_spoiled = l->scanner.state != ZS_STATE_DATA;
    return l->scanner_spoiled ? -1 : 0;
}

/* Where in l->text the scanner gave up: it keeps what was left of the line, and a NUL. */
static size_t scan_fault_at(const struct loader *l)
{
    size_t left = l->scanner.buffer_length;

    return left > l->len ? 0 : l->len - left;
}

struct scan_error {
    int code;
    const char *why;
};

static const struct scan_error scan_errors[] = {
    {ZS_UNSUPPORTED_TYPE, "not a type"},
    {ZS_BAD_ADDRESS_CHAR, "not an address"},
    {ZS_BAD_IPV4, "not an IPv4 address"},
    {ZS_BAD_IPV6, "not an IPv6 address"},
    {ZS_BAD_DNAME_CHAR,
        "not a name: an empty label, or a character that is to be written as \\DDD"},
    {ZS_BAD_OWNER, "not a name: a character that is to be written as \\DDD"},
    {ZS_LABEL_OVERFLOW, "a label of a name is longer than 63 bytes"},
    {ZS_DNAME_OVERFLOW, "a name is longer than 255 bytes"},
    {ZS_BAD_NUMBER, "expected a number"},
    {ZS_NUMBER8_OVERFLOW, "expected a number up to 255"},
    {ZS_NUMBER16_OVERFLOW, "expected a number up to 65535"},
    {ZS_NUMBER32_OVERFLOW, "expected a number up to 4294967295"},
    {ZS_NUMBER64_OVERFLOW, "the number is too large"},
    {ZS_BAD_TIME_UNIT, "expected a number of seconds, or numbers with s, m, h, d or w"},
    {ZS_RDATA_OVERFLOW, "the data is longer than 65535 bytes"},
    {ZS_BAD_RDATA_LENGTH, "the data is not as long as was said behind \\#"},
    {ZS_BAD_HEX_CHAR, "not hexadecimal"},
    {ZS_BAD_HEX_RDATA, "expected an even number of hexadecimal digits"},
    {ZS_BAD_BASE64_CHAR, "not base64"},
    {ZS_BAD_BASE32HEX_CHAR, "not base32hex"},
    {ZS_BAD_REST, "more than this type takes"},
    {ZS_TEXT_OVERFLOW, "a string is longer than 255 bytes"},
    {ZS_BAD_TEXT, "not a string"},
    {ZS_BAD_TEXT_CHAR, "not a string"},
    {ZS_BAD_TIMESTAMP, "expected a time as YYYYMMDDHHMMSS or seconds since 1970"},
    {ZS_BAD_TIMESTAMP_CHAR, "expected a time as YYYYMMDDHHMMSS or seconds since 1970"},
    {ZS_BAD_TIMESTAMP_LENGTH, "expected a time as YYYYMMDDHHMMSS or seconds since 1970"},
    {ZS_BAD_BITMAP, "expected types"},
    {ZS_BAD_ALGORITHM, "not a DNSSEC algorithm"},
    {ZS_BAD_SVCB_PARAM, "not a parameter (key=value) of SVCB and HTTPS"},
    {ZS_DUPLICATE_SVCB_KEY, "the same parameter twice"},
    {ZS_BAD_RDATA, "not what this type takes"},
};

static const char *scan_why(int code)
{
    for (size_t i = 0; i < sizeof scan_errors / sizeof *scan_errors; i++)
        if (scan_errors[i].code == code)
            return scan_errors[i].why;
    return zs_strerror(code);
}

/* ---- owners ---------------------------------------------------------------------------------- */

static bool looks_like_ipv4(struct span s)
{
    return s.len > 0 && is_digit(s.text[0]) && memchr(s.text, '.', s.len) != NULL;
}

static bool looks_like_ipv6(struct span s)
{
    return memchr(s.text, ':', s.len) != NULL && memchr(s.text, '"', s.len) == NULL;
}

/* Splits what marks a pattern off the owner's text. NULL, or what is wrong. */
static const char *owner_split(struct span *text, enum poison_place *place)
{
    *place = POISON_NAME;
    if (text->text[0] == '*' && (text->len == 1 || text->text[1] == '.')) {
        *place = POISON_BELOW;
        *text =
            text->len <= 2 ? (struct span){".", 1} : (struct span){text->text + 2, text->len - 2};
    } else if (text->text[0] == '.' && text->len > 1) {
        *place = POISON_TREE;
        *text = (struct span){text->text + 1, text->len - 1};
    }
    for (size_t i = 0; i < text->len; i++) {
        char c = text->text[i];
        if (c == '\\')
            i++;
        else if (c == '*')
            return "an asterisk stands for whole names, as the first label only";
        else if (c == '(' || c == ')')
            return "expected a name";
    }
    return NULL;
}

/* Reads the first word of a line into l->owner. */
static void owner_read(struct loader *l, struct span word)
{
    struct span text = word;
    const char *why = NULL;

    l->owner_word = word;
    l->owner_usable = false;
    if (span_is(word, "@"))
        why = "there is no origin that it could stand for: write the name";
    else
        why = owner_split(&text, &l->owner.place);
    if (why != NULL) {
        mistake(l, word, why);
        return;
    }
    text_start(l);
    text_put(l, text.text, text.len);
    text_put(l, " A 0.0.0.0", 10);
    if (scan(l) != 0) {
        complain(l, word, l->oom ? poison_out_of_memory : scan_why(l->scanner.error.code));
        return;
    }
    l->owner.len = l->scanner.r_owner_length;
    memcpy(l->owner.name, l->scanner.r_owner, l->owner.len);
    l->owner_usable = true;
}

/* ---- what is said about them ----------------------------------------------------------------- */

struct verdict_word {
    const char *word;
    enum poison_rule rule;
};

static enum poison_rule verdict_of(struct span word)
{
    static const struct verdict_word words[] = {
        {"nxdomain", POISON_RULE_NXDOMAIN},
        {"nodata", POISON_RULE_NODATA},
        {"refused", POISON_RULE_REFUSED},
        {"drop", POISON_RULE_DROP},
        {"pass", POISON_RULE_PASS},
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_is(word, words[i].word))
            return words[i].rule;
    return POISON_RULE_NONE;
}

static void verdict_line(struct loader *l, const struct entry *e, enum poison_rule verdict)
{
    struct span after = e->after;
    struct span more = next_word(&after);

    if (e->extra.len > 0) {
        mistake(l, e->extra, "a verdict has no TTL and no class");
        return;
    }
    if (more.len > 0) {
        mistake(l, more, "nothing may follow a verdict");
        return;
    }
    if (l->owner_usable)
        complain(l, l->owner_word, poison_set_verdict(l->set, &l->owner, verdict));
}

/* RFC 3597's form lets any bytes be written for a known type. */
static const char *shape_wrong(const zs_scanner_t *s)
{
    switch (s->r_type) {
    case WIRE_TYPE_A:
        return s->r_data_length == 4 ? NULL : "an A record has 4 bytes of data";
    case WIRE_TYPE_AAAA:
        return s->r_data_length == 16 ? NULL : "an AAAA record has 16 bytes of data";
    case WIRE_TYPE_CNAME:
    case WIRE_TYPE_DNAME:
    case WIRE_TYPE_NS:
    case WIRE_TYPE_PTR:
        if (s->r_data_length > 0 && wire_name_len(s->r_data, s->r_data_length) == s->r_data_length)
            return NULL;
        return "the data of this type is one whole name";
    default:
        return NULL;
    }
}

/* Keeps what the scanner has read, for the line's owner. */
static const char *record_keep(struct loader *l)
{
    const zs_scanner_t *s = &l->scanner;
    struct poison_data data = {s->r_type, s->r_ttl, s->r_data, s->r_data_length};
    const char *why = shape_wrong(s);

    if (poison_is_meta_type(s->r_type))
        return "a type that is no data and cannot be an override";
    if (s->r_ttl > TTL_MAX)
        return "its TTL is above 2147483647";
    if (why != NULL || !l->owner_usable)
        return why;
    return poison_set_record(l->set, &l->owner, &data);
}

/* Says what the scanner disliked of ". EXTRA TYPE DATA"; type_at is where TYPE starts. */
static void record_fault(struct loader *l, const struct entry *e, size_t type_at)
{
    int code = l->scanner.error.code;
    struct span text = {l->text, l->len - 1};
    struct span word = word_at(text, scan_fault_at(l));
    struct span after = e->after;

    if (l->oom)
        return;
    if (word.text > l->text + type_at && code == ZS_BAD_ADDRESS_CHAR && span_is(e->word, "A"))
        mistake(l, word, "not an IPv4 address");
    else if (word.text > l->text + type_at && code == ZS_BAD_ADDRESS_CHAR &&
             span_is(e->word, "AAAA"))
        mistake(l, word, "not an IPv6 address");
    else if (word.text > l->text + type_at || (word.text < l->text + type_at && e->extra.len > 0))
        mistake(l, word, scan_why(code));
    else if (l->scanner.r_type != 0 && next_word(&after).len == 0)
        mistake(l, e->word, "its data is missing");
    else if (looks_like_ipv4(l->owner_word))
        mistake(l, l->owner_word, "the name comes first, then its addresses");
    else
        mistake(l, e->word, expected);
}

static void record_line(struct loader *l, const struct entry *e)
{
    size_t type_at = 1 + (size_t)(e->word.text - e->rest.text);
    struct span what = l->owner_word;

    text_start(l);
    text_put(l, ".", 1);
    text_put(l, e->rest.text, e->rest.len);
    if (scan(l) != 0) {
        record_fault(l, e, type_at);
        return;
    }
    if (poison_is_meta_type(l->scanner.r_type))
        what = e->word;
    complain(l, what, record_keep(l));
}

/* Scans ". EXTRA TYPE address". 0, or -1; *at is where the address starts in l->text. */
static int address_scan(struct loader *l, const struct entry *e, struct span address, size_t *at)
{
    bool ipv6 = looks_like_ipv6(address);

    text_start(l);
    text_put(l, ".", 1);
    text_put(l, e->rest.text, (size_t)(e->word.text - e->rest.text));
    text_put(l, ipv6 ? "AAAA " : "A ", ipv6 ? 5 : 2);
    *at = l->len;
    text_put(l, address.text, address.len);
    return scan(l);
}

/* One address of the short form. 0, or -1 when going on would only repeat the mistake. */
static int address_add(struct loader *l, const struct entry *e, struct span address)
{
    const zs_scanner_t *s = &l->scanner;
    bool ipv6 = looks_like_ipv6(address);
    size_t address_at;

    if (!ipv6 && !looks_like_ipv4(address)) {
        mistake(l, address, "expected an address");
        return 0;
    }
    if (address_scan(l, e, address, &address_at) == 0) {
        const char *why = record_keep(l);
        if (why == NULL && l->owner_usable)
            why = poison_set_reverse(l->set, &l->owner, s->r_data, s->r_data_length, s->r_ttl);
        complain(l, l->owner_word, why);
        return why == NULL ? 0 : -1;
    }
    if (l->oom)
        return -1;
    if (scan_fault_at(l) < address_at) {
        mistake(l, e->extra, scan_why(s->error.code));
        return -1;
    }
    mistake(l, address, ipv6 ? "not an IPv6 address" : "not an IPv4 address");
    return 0;
}

static void address_line(struct loader *l, const struct entry *e)
{
    struct span after = e->after;
    struct span word = e->word;

    for (; word.len > 0; word = next_word(&after))
        if (address_add(l, e, word) != 0)
            return;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static bool is_ttl(struct span word)
{
    for (size_t i = 0; i < word.len; i++)
        if (!is_digit(word.text[i]) && memchr("smhdw", lower(word.text[i]), 5) == NULL)
            return false;
    return word.len > 0 && is_digit(word.text[0]);
}

static bool is_class(struct span word)
{
    struct span stem = {word.text, 5};

    if (span_is(word, "IN") || span_is(word, "CS") || span_is(word, "CH") || span_is(word, "HS"))
        return true;
    return word.len > 5 && span_is(stem, "class") && is_digit(word.text[5]);
}

/* Finds the words behind the owner; a TTL and a class may stand before the one that matters, in
 * either order (RFC 1035 5.1); one of them twice is left to the scanner. 0, or -1 after a mistake.
 */
static int entry_read(struct loader *l, struct span rest, struct entry *e)
{
    struct span none = {rest.text, 0};

    e->rest = rest;
    e->extra = none;
    e->after = rest;
    for (;;) {
        e->word = next_word(&e->after);
        if (e->word.len == 0) {
            mistake(l, e->extra.len == 0 ? l->owner_word : e->extra, expected);
            return -1;
        }
        if (!is_ttl(e->word) && !is_class(e->word))
            return 0;
        if (is_class(e->word) && !span_is(e->word, "IN")) {
            mistake(l, e->word, "overrides are of class IN only");
            return -1;
        }
        e->extra = e->word;
    }
}

static void entry_add(struct loader *l, const struct entry *e)
{
    enum poison_rule verdict = verdict_of(e->word);

    if (verdict != POISON_RULE_NONE)
        verdict_line(l, e, verdict);
    else if (looks_like_ipv4(e->word) || looks_like_ipv6(e->word))
        address_line(l, e);
    else
        record_line(l, e);
}

/* A line without its end. */
static void line_read(struct loader *l, struct span line)
{
    struct span whole = line, rest = line;
    struct span first = next_word(&rest);
    struct entry e;
    size_t at = 0;
    const char *why;

    if (line.len > POISON_LINE_MAX) {
        mistake(l, first, "the line is longer than 65535 bytes");
        return;
    }
    if (line.len > 0 && memchr(line.text, '\0', line.len) != NULL) {
        mistake(l, first, "the line has a NUL byte: is this a text file?");
        return;
    }
    why = line_scan(&line, &at);
    if (why != NULL) {
        mistake(l, word_at(whole, at), why);
        return;
    }
    rest = line;
    first = next_word(&rest);
    if (first.len == 0)
        return;
    if (first.text[0] == '$') {
        mistake(l, first,
            "directives of zone files are not supported: write names in full, and "
            "each TTL with its record");
        return;
    }
    /* RFC 1035 5.1: a line that starts with a blank goes on with the name before. */
    if (first.text == line.text && looks_like_ipv6(first)) {
        mistake(l, first, "the name comes first, then its addresses");
        return;
    }
    if (first.text == line.text)
        owner_read(l, first);
    else if (l->owner_word.len > 0)
        rest = line;
    else {
        mistake(l, first, "the line starts with a blank, and there is no name before it");
        return;
    }
    if (!l->oom && entry_read(l, rest, &e) == 0)
        entry_add(l, &e);
}

static void text_read(struct loader *l, struct span text)
{
    static const char byte_order_mark[] = "\357\273\277";

    if (text.len >= 3 && memcmp(text.text, byte_order_mark, 3) == 0)
        text = (struct span){text.text + 3, text.len - 3};
    while (text.len > 0 && !l->oom) {
        const char *end = memchr(text.text, '\n', text.len);
        struct span line = {text.text, end == NULL ? text.len : (size_t)(end - text.text)};
        size_t step = line.len + (end != NULL);

        l->line++;
        if (line.len > 0 && line.text[line.len - 1] == '\r')
            line.len--;
        line_read(l, line);
        text.text += step;
        text.len -= step;
    }
}

static void loader_free(struct loader *l)
{
    if (l == NULL)
        return;
    scanner_close(l);
    free(l);
}

struct poison *poison_load(const char *text, size_t len, const uint8_t seed[POISON_SEED_LEN],
    poison_report *report, void *ctx)
{
    struct loader *l = calloc(1, sizeof *l);
    struct poison *set = poison_set_create(seed);
    bool oom = true, mistaken = false;

    if (l == NULL || set == NULL)
        goto done;
    l->set = set;
    l->report = report;
    l->ctx = ctx;
    text_read(l, (struct span){text, len});
    mistaken = l->mistaken;
    oom = l->oom || (!mistaken && poison_set_finish(set) != NULL);

done:
    loader_free(l);
    if (oom)
        report(ctx, 0, "", poison_out_of_memory);
    if (oom || mistaken) {
        poison_free(set);
        return NULL;
    }
    return set;
}
