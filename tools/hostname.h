/* hostname.h: names as text, as they stand in the files that the tools read, to wire names.
 * Knows the form that wire_name_text writes; never files. */
#ifndef DNSD_TOOLS_HOSTNAME_H
#define DNSD_TOOLS_HOSTNAME_H

#include "wire.h"

#include <stddef.h>
#include <stdint.h>

/* Reads len bytes: labels with or without the final dot, \DDD for a byte and \X for a character
 * that would mean something else (RFC 1035 5.1). Returns the length of the wire name, or 0 when it
 * is no name: empty, or with an empty or a long label, a blank, or more than 255 bytes. */
size_t hostname_read(const char *text, size_t len, uint8_t out[WIRE_NAME_MAX]);

/* Orders wire names for sorting and searching, without regard to case: below, at or above 0. */
int hostname_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);

#endif
