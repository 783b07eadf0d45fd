/* rebind.h: the guard against DNS rebinding: an answer from upstream that gives a name of the
 * Internet an address of this network or this machine, so that a page which a browser loaded from
 * there may talk to what is behind the firewall. Knows addresses in packed answers; never who asks,
 * nor what becomes of the answer. */
#ifndef DNSD_REBIND_H
#define DNSD_REBIND_H

#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A domain whose names may have such addresses, in lower case. */
struct rebind_name {
    uint8_t len;
    uint8_t wire[WIRE_NAME_MAX];
};

struct rebind_conf {
    bool on;
    const struct rebind_name *allow; /* these names and all below them; not owned */
    size_t n_allow;
};

/* Reads "example.com" (with or without a final dot): labels of letters, digits, '-' and '_'. 0, or
 * -1 where it is no such name, *out untouched. */
int rebind_name_parse(const char *text, struct rebind_name *out);

/* Whether an address (4 or 16 bytes; of any other length none is) is for use in one network or on
 * one machine: "this" network (0/8), loopback, RFC 1918, RFC 6598, link-local, 192.0.0.0/25,
 * 198.18.0.0/15, 240.0.0.0/4 with the broadcast address; ::, ::1, fc00::/7, fe80::/10, fec0::/10,
 * 64:ff9b:1::/48 (RFC 8215); and those of IPv4 in the clothes of IPv6: ::a.b.c.d, ::ffff:a.b.c.d,
 * ::ffff:0:a.b.c.d, 64:ff9b::a.b.c.d (RFC 6052), and 6to4 (RFC 3056). */
bool rebind_is_private(const uint8_t *ip, size_t len);

/* Whether a packed answer to a question for name gives such an address: in a record of type A or
 * AAAA, or as an ipv4hint or ipv6hint of SVCB and HTTPS (RFC 9460 7.3), in any section. Exempt is
 * who asks for an allowed name. (The owners of records do not count: with a CNAME to an allowed
 * name, a stranger's name would lead to its address.) */
bool rebind_refuses(const struct rebind_conf *conf, const uint8_t *name, size_t name_len,
    const uint8_t *packed, size_t packed_len);

/* Whether both let the same pass. */
bool rebind_same(const struct rebind_conf *a, const struct rebind_conf *b);

#endif
