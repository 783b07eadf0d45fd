/* trace.c: fuzzes traces that are text: lines of milliseconds and query logs of dnsd, dnsmasq and
 * unbound, line by line and as a file. Knows tools/logline.h and tools/trace.h. */
#include "tests/fuzz/reading.h"
#include "tools/logline.h"

#include <stdlib.h>

static void line_is_sound(enum logline_form form, const char *line, size_t len)
{
    struct logline l;
    switch (logline_read(form, line, len, &l)) {
    case LOGLINE_QUESTION:
        FUZZ_MUST(wire_name_len(l.name, l.name_len) == l.name_len && l.name_len > 0);
        break;
    case LOGLINE_BAD:
        text_is_plain(l.why, LOGLINE_WHY_MAX - 1);
        break;
    case LOGLINE_LOCAL:
        FUZZ_MUST(form == LOGLINE_DNSD);
        break;
    case LOGLINE_OTHER:
        break;
    }
}

static void line_by_line(const uint8_t *data, size_t size)
{
    static const enum logline_form forms[] = {
        LOGLINE_TEXT, LOGLINE_DNSMASQ, LOGLINE_UNBOUND, LOGLINE_DNSD};
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t len = end == NULL ? size - at : (size_t)(end - data) - at;
        uint8_t *line = fuzz_exact(data + at, len);
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
            line_is_sound(forms[i], (const char *)line, len);
        free(line);
        at += len + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    line_by_line(data, size);
    for (enum trace_form form = TRACE_UNKNOWN; form <= TRACE_DNSD; form++)
        read_as_file(data, size, form, NULL);
    return 0;
}

/* Texts are in seeds/trace. */
void fuzz_seeds(void)
{
}
