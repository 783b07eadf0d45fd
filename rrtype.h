/* rrtype.h: record types by number and by mnemonic: 28 is AAAA, 65280 is TYPE65280 (RFC 3597 5).
 * Knows the registry's names; never what a record holds. */
#ifndef DNSD_RRTYPE_H
#define DNSD_RRTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest mnemonic, its NUL included: "NSEC3PARAM". */
#define RRTYPE_TEXT_MAX 11

/* The mnemonic, or NULL for a type that has none here: it is written as TYPE and its number. */
const char *rrtype_name(uint16_t type);

/* Reads len bytes: a mnemonic in either case, or TYPE and a number. False, and *out untouched, when
 * it is neither. */
bool rrtype_read(const char *text, size_t len, uint16_t *out);

#endif
