/* damage.h: for tests that damage a structure on purpose, to hear what its check says: the fuzzers
 * and other tests rely on that. Knows Check; never the structure. */
#ifndef DNSD_TESTS_DAMAGE_H
#define DNSD_TESTS_DAMAGE_H

#include <check.h>

/* Damages the object, hears what the check says, and mends it. */
#define DAMAGE_IS_TOLD(check, object, damage, what)                                                \
    do {                                                                                           \
        __typeof__(*(object)) kept = *(object);                                                    \
        damage;                                                                                    \
        ck_assert_pstr_eq(check, what);                                                            \
        *(object) = kept;                                                                          \
        ck_assert_pstr_eq(check, NULL);                                                            \
    } while (0)

#endif
