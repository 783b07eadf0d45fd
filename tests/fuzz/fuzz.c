/* fuzz.c: what fuzz.h promises; and Check's assertions without Check's runner, so that what other
 * tests are made of ends a run like anything else that is broken. Knows no target. */
#include "tests/fuzz/fuzz.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *seed_folder;

void fuzz_broken(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: broken: %s\n", file, line, what);
    abort();
}

void fuzz_sound(const char *file, int line, const char *broken)
{
    if (broken != NULL)
        fuzz_broken(file, line, broken);
}

/* What ck_assert calls; libcheck itself is not linked. */
void _ck_assert_failed(const char *file, int line, const char *expr, const char *msg, ...)
{
    va_list args;

    fprintf(stderr, "%s:%d: broken: %s: ", file, line, expr);
    va_start(args, msg);
    if (msg != NULL)
        vfprintf(stderr, msg, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

void _mark_point(const char *file, int line)
{
    (void)file;
    (void)line;
}

uint8_t fuzz_u8(struct fuzz_input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

uint16_t fuzz_u16(struct fuzz_input *in)
{
    uint8_t high = fuzz_u8(in);
    return (uint16_t)(high << 8 | fuzz_u8(in));
}

uint32_t fuzz_u32(struct fuzz_input *in)
{
    uint32_t high = fuzz_u16(in);
    return high << 16 | fuzz_u16(in);
}

const uint8_t *fuzz_take(struct fuzz_input *in, size_t n, size_t *len)
{
    const uint8_t *bytes = in->at;

    *len = n < in->left ? n : in->left;
    in->at += *len;
    in->left -= *len;
    return bytes;
}

uint8_t *fuzz_exact(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len);

    if (copy == NULL)
        abort();
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

void fuzz_seed(const char *name, const void *bytes, size_t len)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", seed_folder, name);
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(bytes, 1, len, f) != len || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

/* FUZZ_SEEDS: the folder for a target's seeds; nothing is fuzzed then. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    seed_folder = getenv("FUZZ_SEEDS");
    if (seed_folder == NULL)
        return 0;
    fuzz_seeds();
    exit(0);
}
