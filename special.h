/* special.h: names that must not leave this machine or this network, and what to say to them
 * instead (RFC 6303, 6761, 6762, 7686, 8375, 9462, 9476). Knows a table of names; never the
 * overrides or routes that may lift it. */
#ifndef DNSD_SPECIAL_H
#define DNSD_SPECIAL_H

#include "wire.h"

#include <stddef.h>
#include <stdint.h>

enum special_verdict {
    SPECIAL_NONE,   /* an ordinary name */
    SPECIAL_ANSWER, /* packed is the answer: NXDOMAIN or NODATA with a SOA, or localhost's addresses
                     */
};

/* question is of class IN (others: NONE). packed takes at least 512 bytes. Cheap for ordinary
 * names. */
enum special_verdict special_lookup(
    const struct wire_question *question, uint8_t *packed, size_t cap, size_t *packed_len);

#endif
