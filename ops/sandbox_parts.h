/* sandbox_parts.h: what sandbox*.c share. System calls are forbidden by seccomp (sandbox.c), files
 * by Landlock (sandbox_files.c). */
#ifndef DNSD_OPS_SANDBOX_PARTS_H
#define DNSD_OPS_SANDBOX_PARTS_H

#include "ops/sandbox.h"

/* A sanitizer's own calls are made inside of the sandbox: at the end it looks for leaks by way of a
 * thread that traces the others and reads /proc. With these the tests of such a build run in the
 * sandbox too, if in a wider one. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* As sandbox_enter, for files alone. */
int sandbox_forbid_files(enum sandbox_role role, const struct sandbox_files *files);

/* A warning that the kernel lacks something: once, and not by each process. */
void sandbox_warn(enum sandbox_role role, const char *what, int why);

#endif
