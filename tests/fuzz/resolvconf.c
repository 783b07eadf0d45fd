/* resolvconf.c: fuzzes resolv.conf(5). Knows net/resolvconf.h and addr.h. */
#include "net/resolvconf.h"
#include "tests/fuzz/text.h"

static void mistake(void *ctx, size_t line, const char *word, const char *why)
{
    text_is_plain(word, RESOLVCONF_WORD_MAX - 1);
    text_mistake(ctx, line, why, 1024);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text_report report = text_report_of(data, size);
    struct resolvconf_servers s, quiet;
    resolvconf_parse((const char *)data, size, &s, mistake, &report);
    FUZZ_MUST(s.n <= RESOLVCONF_MAX && report.n <= report.n_lines);
    for (size_t i = 0; i < s.n; i++) {
        char text[ADDR_TEXT_MAX];
        struct addr back;
        addr_format(&s.addr[i], text);
        FUZZ_MUST(addr_parse(text, 1, &back) == 0 && addr_equal(&back, &s.addr[i]));
        FUZZ_MUST(!addr_is_unspecified(&s.addr[i]));
        for (size_t k = 0; k < i; k++)
            FUZZ_MUST(!addr_equal(&s.addr[i], &s.addr[k]));
    }
    resolvconf_parse((const char *)data, size, &quiet, NULL, NULL);
    FUZZ_MUST(quiet.n == s.n && quiet.trust_ad == s.trust_ad);
    return 0;
}

/* Texts are in seeds/resolvconf. */
void fuzz_seeds(void)
{
}
