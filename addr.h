/* addr.h: an IP address with its port, as bytes and as text.
 * Knows text forms and prefixes; never opens, resolves or looks anything up. */
#ifndef DNSD_ADDR_H
#define DNSD_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest text of addr_format: "[IPv6%4294967295]:65535" and its NUL. */
#define ADDR_TEXT_MAX 64

struct addr {
    uint8_t ip[16]; /* network order; IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2) */
    uint32_t scope; /* interface index of a link-local IPv6 address, else 0 */
    uint16_t port;  /* host order */
};

/* A network: the first prefix_len bits of ip (0..128; IPv4 prefixes have 96 added). */
struct addr_net {
    uint8_t ip[16];
    uint8_t prefix_len;
};

/* Reads "9.9.9.9", "9.9.9.9:5353", "9.9.9.9@5353", "2620:fe::fe", "2620:fe::fe@53" or
 * "[2620:fe::fe]:53", with "%INDEX" (a number) after a link-local IPv6 address. default_port is
 * used where the text has none. Returns 0, or -1 with *out untouched. Port 0 is refused unless
 * default_port is 0. */
int addr_parse(const char *text, uint16_t default_port, struct addr *out);

/* Writes "127.0.0.1:53" or "[::1]:53" and a NUL; returns the length without the NUL. */
size_t addr_format(const struct addr *a, char out[ADDR_TEXT_MAX]);

/* As addr_format, without the port: "127.0.0.1", "::1", "fe80::1%2". */
size_t addr_format_ip(const struct addr *a, char out[ADDR_TEXT_MAX]);

bool addr_equal(const struct addr *a, const struct addr *b); /* ip, scope and port */
bool addr_is_ipv4(const struct addr *a);
bool addr_is_loopback(const struct addr *a);    /* 127.0.0.0/8, ::1 */
bool addr_is_unspecified(const struct addr *a); /* 0.0.0.0, :: */

/* Reads "192.168.0.0/16", "fd00::/8" or a single address. Returns 0; -1 when it is not a network or
 * has bits set behind the prefix, *out untouched. */
int addr_net_parse(const char *text, struct addr_net *out);

/* An IPv6 network shorter than ::ffff:0:0/96 holds no IPv4 address: "::/0" is all of IPv6 only. */
bool addr_net_contains(const struct addr_net *net, const struct addr *a);

/* Whether a is loopback, private (RFC 1918, 4193), link-local or shared (RFC 6598): those who are
 * served where nothing else was configured. */
bool addr_is_local(const struct addr *a);

/* Who counts as one client: the IPv4 address, or the /64 of an IPv6 address. */
void addr_client_id(const struct addr *a, uint8_t out[16]);

#endif
