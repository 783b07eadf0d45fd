/* name.c: fuzzes names (wire_name.c), as they lie in messages and alone. Another way to read a
 * name, the plainest there is, says what must come out. Knows wire.h; never records. */
#include "tests/fuzz/fuzz.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STARTS_MAX 64  /* places in one input where a name is looked for */
#define JUMPS_MAX  127 /* a pointer behind each label of the longest name */

/* RFC 1035 4.1.4, with the rules that a pointer leads before the run of labels that it ends, and
 * behind the header. Returns the name's length, or 0. */
static size_t plain_expand(const uint8_t *msg, size_t len, size_t at, uint8_t *out, size_t *end)
{
    size_t n = 0, run = at;
    unsigned jumps = 0;
    for (;;) {
        if (at >= len || (msg[at] >= 64 && msg[at] < 192))
            return 0;
        if (msg[at] >= 192) {
            if (at + 1 >= len)
                return 0;
            size_t target = (size_t)(msg[at] & 63) * 256 + msg[at + 1];
            if (jumps++ == 0)
                *end = at + 2;
            if (target >= run || target < WIRE_HEADER_LEN || jumps > JUMPS_MAX)
                return 0;
            run = at = target;
            continue;
        }
        size_t label = msg[at];
        if (at + 1 + label > len || n + 1 + label > WIRE_NAME_MAX)
            return 0;
        memcpy(out + n, msg + at, label + 1);
        n += label + 1;
        at += label + 1;
        if (label == 0) {
            if (jumps == 0)
                *end = at;
            return n;
        }
    }
}

/* From text back to a wire name. Returns its length. */
static size_t from_text(const char *text, uint8_t *out)
{
    size_t len = 0, label_at = 0;
    if (strcmp(text, ".") == 0) {
        out[0] = 0;
        return 1;
    }
    for (len = 1; *text != '\0'; text++) {
        if (*text == '.') {
            out[label_at] = (uint8_t)(len - label_at - 1);
            label_at = len++;
        } else if (*text == '\\') {
            out[len++] = (uint8_t)((text[1] - '0') * 100 + (text[2] - '0') * 10 + text[3] - '0');
            text += 3;
        } else {
            out[len++] = (uint8_t)*text;
        }
    }
    out[label_at] = (uint8_t)(len - label_at - 1);
    out[len++] = 0;
    return len;
}

static void parents(const uint8_t *name, size_t len)
{
    unsigned n = wire_name_labels(name, len);
    size_t at = 0;
    for (; name[at] != 0; at += (size_t)name[at] + 1) {
        FUZZ_MUST(wire_name_below(name, len, name + at, len - at));
        FUZZ_MUST(at == 0 || !wire_name_below(name + at, len - at, name, len));
        FUZZ_MUST(wire_name_labels(name + at, len - at) == n--);
    }
    FUZZ_MUST(n == 0 && at + 1 == len);
    FUZZ_MUST(wire_name_below(name, len, name + at, 1));
}

static void spelling(const uint8_t *name, size_t len, const uint8_t *random)
{
    uint8_t other[WIRE_NAME_MAX], lower[WIRE_NAME_MAX], lower_too[WIRE_NAME_MAX];
    memcpy(other, name, len);
    wire_name_randomise_case(other, len, random);
    FUZZ_MUST(wire_name_equal(name, len, other, len));
    FUZZ_MUST(wire_name_len(other, len) == len);
    wire_name_lower(name, len, lower);
    wire_name_lower(other, len, lower_too);
    FUZZ_MUST(memcmp(lower, lower_too, len) == 0);
    for (size_t i = 0; i < len; i++) {
        bool capital = name[i] >= 'A' && name[i] <= 'Z';
        FUZZ_MUST(lower[i] == (capital ? name[i] + 32 : name[i]));
    }
    /* One changed bit that is not the case of a letter makes another name. */
    size_t at = random[0] % len;
    other[at] ^= (uint8_t)(1 << random[len - 1] % 8);
    wire_name_lower(other, len, lower_too);
    FUZZ_MUST(wire_name_equal(name, len, other, len) == (memcmp(lower, lower_too, len) == 0));
}

static void text(const uint8_t *name, size_t len)
{
    char as_text[WIRE_NAME_TEXT_MAX];
    uint8_t back[WIRE_NAME_MAX + 1];
    size_t text_len = wire_name_text(name, len, as_text);
    FUZZ_MUST(strlen(as_text) == text_len);
    for (size_t i = 0; i < text_len; i++)
        FUZZ_MUST(as_text[i] > ' ' && as_text[i] < 127);
    FUZZ_MUST(from_text(as_text, back) == len);
    FUZZ_MUST(memcmp(back, name, len) == 0);
}

static void alone(const uint8_t *name, size_t len, const uint8_t *random)
{
    uint8_t *exact = fuzz_exact(name, len);
    FUZZ_MUST(wire_name_len(exact, len) == len);
    for (size_t i = 0; i < len; i++)
        FUZZ_MUST(wire_name_len(exact, i) == 0);
    parents(exact, len);
    spelling(exact, len, random);
    text(exact, len);
    free(exact);
}

static void two(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    bool both = wire_name_below(a, a_len, b, b_len) && wire_name_below(b, b_len, a, a_len);
    FUZZ_MUST(wire_name_equal(a, a_len, b, b_len) == both);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t random[WIRE_NAME_MAX] = {0}, last[WIRE_NAME_MAX];
    size_t last_len = 0, starts = size < STARTS_MAX ? size : STARTS_MAX;
    memcpy(random, data, size < sizeof random ? size : sizeof random);
    for (size_t at = 0; at < starts; at++) {
        uint8_t plain[WIRE_NAME_MAX], name[WIRE_NAME_MAX];
        size_t plain_end = 0, end = 0;
        size_t plain_len = plain_expand(data, size, at, plain, &plain_end);
        size_t len = wire_name_expand(data, size, at, name, &end);
        FUZZ_MUST(len == plain_len);
        if (len == 0)
            continue;
        FUZZ_MUST(end == plain_end && memcmp(plain, name, len) == 0);
        alone(name, len, random);
        if (last_len > 0)
            two(name, len, last, last_len);
        memcpy(last, name, len);
        last_len = len;
    }
    return 0;
}

void fuzz_seeds(void)
{
    static const uint8_t plain[] = "\0\0\0\0\0\0\0\0\0\0\0\0\3www\7Example\3COM";
    static const uint8_t pointers[] =
        "\0\0\0\0\0\0\0\0\0\0\0\0\3www\7example\3com\0\4mail\xc0\x10\1x\xc0\x1d\xc0\x0c";
    uint8_t longest[12 + 255 + 2] = {0};
    fuzz_seed("plain", plain, sizeof plain);
    fuzz_seed("pointers", pointers, sizeof pointers - 1);
    for (size_t at = 12; at < 12 + 254; at += 2)
        longest[at] = 1;
    longest[12 + 255] = 0xc0;
    longest[12 + 256] = 14;
    fuzz_seed("longest", longest, sizeof longest);
}
