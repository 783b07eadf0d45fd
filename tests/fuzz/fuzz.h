/* fuzz.h: what the fuzz targets share: reading the input piece by piece, saying that something is
 * broken, and writing seeds. Knows libFuzzer's two doors; never what is fuzzed. */
#ifndef DNSD_TESTS_FUZZ_H
#define DNSD_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libFuzzer's doors. The first is each target's own. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A target's own: calls fuzz_seed for each input that it knows to lead somewhere. */
void fuzz_seeds(void);
void fuzz_seed(const char *name, const void *bytes, size_t len);

/* Says what is broken, and ends. */
_Noreturn void fuzz_broken(const char *file, int line, const char *what);
#define FUZZ_MUST(holds) ((holds) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #holds))
/* For what x_check() returns: NULL, or what is broken. */
#define FUZZ_SOUND(broken) fuzz_sound(__FILE__, __LINE__, broken)
void fuzz_sound(const char *file, int line, const char *broken);

/* What is left of an input. Once it is used up, everything reads as 0. */
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

uint8_t fuzz_u8(struct fuzz_input *in);
uint16_t fuzz_u16(struct fuzz_input *in);
uint32_t fuzz_u32(struct fuzz_input *in);
/* The next n bytes, or as many as there are: *len says how many. */
const uint8_t *fuzz_take(struct fuzz_input *in, size_t n, size_t *len);

/* A copy in an allocation of exactly its size, so that a sanitizer sees the first byte too far. */
uint8_t *fuzz_exact(const uint8_t *bytes, size_t len);

#endif
