/* poison.c: fuzzes poison.conf: its text, and what the overrides then say to questions for the
 * names in it and around them. Knows poison.h and wire.h. */
#include "poison.h"
#include "tests/fuzz/text.h"
#include "wire.h"

#include <stdlib.h>

#define NAMES_MOST 24
#define SHOWN_MOST (80 * 4 + 3) /* of a word at fault, escaped */

static const uint8_t seed[POISON_SEED_LEN] = {7};

static void mistake(void *ctx, size_t line, const char *what, const char *why)
{
    text_is_plain(what, SHOWN_MOST);
    text_mistake(ctx, line, why, 1024);
}

/* A word of the text as a wire name, escapes and all taken as they are. Returns its length, or 0.
 */
static size_t to_name(const char *word, size_t len, uint8_t out[WIRE_NAME_MAX])
{
    size_t n = 0;
    while (len > 0 && n + 1 < WIRE_NAME_MAX) {
        const char *dot = memchr(word, '.', len);
        size_t label = dot == NULL ? len : (size_t)(dot - word);
        if (label > WIRE_LABEL_MAX || n + 1 + label >= WIRE_NAME_MAX)
            return 0;
        if (label > 0) {
            out[n++] = (uint8_t)label;
            memcpy(out + n, word, label);
            n += label;
        }
        word += label + (dot != NULL);
        len -= label + (dot != NULL);
    }
    out[n++] = 0;
    return n;
}

static void reply_parses(const struct wire_question *q, const uint8_t *packed, size_t len)
{
    static uint8_t out[WIRE_MESSAGE_MAX];
    struct wire_query asker = {.id = 1, .flags = WIRE_RD, .question = *q};
    struct wire_reply r = {.query = &asker,
        .packed = packed,
        .packed_len = len,
        .fixed_ttl_s = WIRE_TTL_AS_IS,
        .ede = WIRE_EDE_NONE,
        .limit = WIRE_MESSAGE_MAX};
    struct wire_cursor c;
    struct wire_view v;
    int more;
    size_t reply_len = wire_write_reply(&r, out, sizeof out);
    FUZZ_MUST(wire_cursor_start(&c, out, reply_len) == 0);
    while ((more = wire_cursor_next(&c, &v)) == 1) {
        uint8_t owner[WIRE_NAME_MAX];
        FUZZ_MUST(wire_name_expand(out, reply_len, v.owner_at, owner, NULL) > 0);
        FUZZ_MUST(v.class == WIRE_CLASS_IN);
    }
    FUZZ_MUST(more == 0 && c.at == reply_len);
}

static enum poison_verdict look(
    const struct poison *p, const uint8_t *name, size_t len, uint16_t type, size_t cap)
{
    static uint8_t packed[WIRE_PACKED_MAX];
    struct wire_question q = {name, len, type, WIRE_CLASS_IN};
    struct poison_result r;
    memset(packed, 0xa5, 16);
    enum poison_verdict v = poison_lookup(p, &q, packed, cap, &r);
    switch (v) {
    case POISON_NONE:
    case POISON_PASS:
        FUZZ_MUST(packed[0] == 0xa5 && packed[15] == 0xa5);
        break;
    case POISON_CHASE:
        FUZZ_MUST(wire_name_len(r.target, r.target_len) == r.target_len);
        /* fall through */
    case POISON_ANSWER:
        FUZZ_MUST(r.packed_len > 0 && r.packed_len <= cap);
        reply_parses(&q, packed, r.packed_len);
        break;
    case POISON_REFUSED:
    case POISON_DROP:
        break;
    }
    return v;
}

static void look_around(const struct poison *p, const uint8_t *name, size_t len)
{
    static const uint16_t types[] = {WIRE_TYPE_A, WIRE_TYPE_AAAA, WIRE_TYPE_CNAME, WIRE_TYPE_TXT,
        WIRE_TYPE_PTR, WIRE_TYPE_SOA, 65280};
    uint8_t below[WIRE_NAME_MAX + 2] = {1, 'x'}, upper[WIRE_NAME_MAX];
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        enum poison_verdict v = look(p, name, len, types[i], WIRE_PACKED_MAX);
        look(p, name, len, types[i], WIRE_UDP_MIN);
        memcpy(upper, name, len);
        wire_name_randomise_case(upper, len, name); /* of names, case means nothing */
        FUZZ_MUST(look(p, upper, len, types[i], WIRE_PACKED_MAX) == v);
        memcpy(below + 2, name, len);
        if (len + 2 <= WIRE_NAME_MAX)
            look(p, below, len + 2, types[i], WIRE_PACKED_MAX);
    }
    if (len > 1)
        look(p, name + name[0] + 1, len - name[0] - 1, WIRE_TYPE_A, WIRE_PACKED_MAX);
}

static void look_for_words(const struct poison *p, const char *text, size_t len)
{
    uint8_t name[WIRE_NAME_MAX];
    unsigned n = 0;
    for (size_t at = 0; at < len && n < NAMES_MOST;) {
        size_t word = 0;
        while (at + word < len && memchr(" \t\n\r;\"*", text[at + word], 7) == NULL)
            word++;
        size_t name_len = word > 0 ? to_name(text + at, word, name) : 0;
        if (name_len > 0) {
            look_around(p, name, name_len);
            n++;
        }
        at += word + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text_report report = text_report_of(data, size), again = report;
    struct poison *p = poison_load((const char *)data, size, seed, mistake, &report);
    FUZZ_MUST((p == NULL) == (report.n > 0));
    if (p == NULL)
        return 0;
    FUZZ_SOUND(poison_check(p));
    look_for_words(p, (const char *)data, size);
    struct poison *q = poison_load((const char *)data, size, seed, mistake, &again);
    FUZZ_MUST(q != NULL && poison_count(q) == poison_count(p));
    poison_free(q);
    poison_free(p);
    return 0;
}

/* Texts are in seeds/poison, and the example is one. */
void fuzz_seeds(void)
{
}
