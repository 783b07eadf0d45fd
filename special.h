/* special.h: names that must not leave this machine or this network, and what to say to them
 * instead (RFC 6303, 6761, 6762, 7686, 7793, 8375, 9462, 9476). Knows a table of names; never the
 * overrides or routes that may lift it.
 *
 *   names                                   answer
 *   localhost and below                     127.0.0.1, ::1, else NODATA (RFC 6761 6.3)
 *   local, onion, alt, invalid, test        NXDOMAIN, themselves too (RFC 6762 22.1, 7686 2,
 *     and below                             9476 3, 6761 6.4, 6.2)
 *   home.arpa, RFC 6303's and 7793's        an empty zone: SOA and NS at its top, NXDOMAIN below
 *     reverse zones                         (RFC 6303 3, 8375 4)
 *   1.0.0.127.in-addr.arpa and its like     PTR localhost
 *     for ::1
 *   resolver.arpa and below                 NODATA (RFC 9462 6.4): a forwarder's upstream would
 *                                           speak of itself
 *   a single label                          NXDOMAIN, but for types that only the top of a zone has
 *
 * Single labels. "printer" is somebody's machine and the root has no say in it. But it cannot be
 * told from a top-level domain here, and who validates asks for the DS and DNSKEY of "com", who
 * looks for a zone's top asks for its SOA and NS (RFC 4035 4.2). So these, and what else belongs to
 * the top of a signed zone, are ordinary questions; addresses at a top-level domain are not to be
 * relied on anyway (RFC 7085). That NXDOMAIN denies what is below too (RFC 8020) harms nobody: who
 * draws that conclusion does so from signed denials, and this one is not.
 *
 * DS of the top of any of these zones is the parent's to say, and the parent is public: it is an
 * ordinary question, so that validators hear the signed word that there is nothing secure below
 * (RFC 4035 3.1.4.1, RFC 6303 7). The root is an ordinary name. */
#ifndef DNSD_SPECIAL_H
#define DNSD_SPECIAL_H

#include "wire.h"

#include <stddef.h>
#include <stdint.h>

#define SPECIAL_TTL        10800 /* RFC 6303 3 */
#define SPECIAL_SINGLE_TTL 300   /* of single labels: an override for one may be added soon */

enum special_verdict {
    SPECIAL_NONE,   /* an ordinary name */
    SPECIAL_ANSWER, /* packed is the answer: NXDOMAIN, NODATA, or localhost's data */
};

/* question is of class IN (others: NONE). packed takes at least 512 bytes. Cheap for ordinary
 * names. */
enum special_verdict special_lookup(
    const struct wire_question *question, uint8_t *packed, size_t cap, size_t *packed_len);

#endif
