/* conf.c: fuzzes dnsd.conf, and its words as a command line. Knows conf.h. */
#include "conf.h"
#include "tests/fuzz/text.h"

#include <stdlib.h>

#define ARGS_MAX  64
#define SHOWN_MAX (256 * 4 + 3) /* of a value: bytes, each as \\DDD, and three dots */

static void mistake(void *ctx, size_t line, const char *option, const char *value, const char *why)
{
    text_is_plain(option, SHOWN_MAX);
    text_is_plain(value, SHOWN_MAX);
    text_mistake(ctx, line, why, 4096);
}

static void is_ended(const char *text, size_t cap)
{
    FUZZ_MUST(memchr(text, '\0', cap) != NULL);
}

/* What dnsd relies on, whatever was written. */
static void values_are_sound(const struct conf *c)
{
    FUZZ_MUST(c->n_servers <= CONF_SERVERS_MAX && c->n_listen <= CONF_LIST_MAX);
    FUZZ_MUST(c->n_allow <= CONF_LIST_MAX && c->n_listen > 0);
    for (size_t i = 0; i < c->n_servers; i++)
        FUZZ_MUST(c->servers[i].port != 0);
    for (size_t i = 0; i < c->n_allow; i++)
        FUZZ_MUST(c->allow[i].prefix_len <= 128);
    FUZZ_MUST(c->forward || !c->predict);
    FUZZ_MUST(c->predict_score >= 1 && c->predict_share >= 1);
    FUZZ_MUST(c->predict_confidence_percent <= 100 && c->predict_control_percent <= 100);
    FUZZ_MUST(c->predict_window_ms > 0);
    is_ended(c->poison, sizeof c->poison);
    is_ended(c->predict_file, sizeof c->predict_file);
    is_ended(c->predict_dump, sizeof c->predict_dump);
    is_ended(c->resolv_file, sizeof c->resolv_file);
    is_ended(c->user, sizeof c->user);
    is_ended(c->config, sizeof c->config);
    is_ended(c->query_log, sizeof c->query_log);
}

/* A report for each failure, and none without. */
static void finish(struct conf_set *s, struct text_report *r, int result)
{
    FUZZ_MUST((result < 0) == (r->n > 0));
    size_t before = r->n;
    int finished = conf_finish(s, mistake, r);
    FUZZ_MUST((finished < 0) == (r->n > before));
    if (result == 0 && finished == 0)
        values_are_sound(conf_values(s));
    conf_free(s);
}

static void as_file(const uint8_t *text, size_t len)
{
    struct text_report r = text_report_of(text, len);
    struct conf_set *s = conf_create();
    FUZZ_MUST(s != NULL);
    int result = conf_read_text(s, (const char *)text, len, mistake, &r);
    finish(s, &r, result);
}

/* Each line of the text is an argument; the file behind it is the same text. */
static void as_arguments(const uint8_t *text, size_t len)
{
    const char *argv[ARGS_MAX] = {"dnsd"};
    int argc = 1;
    struct text_report r = {.n_lines = 0}, file = text_report_of(text, len);
    char *copy = malloc(len + 1);
    struct conf_set *s = conf_create();
    FUZZ_MUST(copy != NULL && s != NULL);
    memcpy(copy, text, len);
    copy[len] = '\0';
    for (char *at = copy; argc < ARGS_MAX - 1 && *at != '\0'; argc++) {
        argv[argc] = at;
        at += strcspn(at, "\n ");
        if (*at != '\0')
            *at++ = '\0';
    }
    int result = conf_read_args(s, argc, argv, mistake, &r);
    if (result == 0) {
        result = conf_read_text(s, (const char *)text, len, mistake, &file);
        r = file;
    }
    finish(s, &r, result);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_file(data, size);
    as_arguments(data, size);
    return 0;
}

/* Texts are in seeds/conf, and the example is one. */
void fuzz_seeds(void)
{
}
