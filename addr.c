/* addr.c: an IP address with its port, as bytes and as text.
 * Knows text forms and prefixes; never opens, resolves or looks anything up. */
#include "addr.h"

#include <arpa/inet.h>
#include <string.h>

#define IP_TEXT_MAX     INET6_ADDRSTRLEN /* longest text of an address alone, with its NUL */
#define IPV4_BITS_AHEAD 96               /* of ::ffff:0:0/96 (RFC 4291 2.5.5.2) */

static const uint8_t ipv4_ahead[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t ipv6_loopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
static const uint8_t ipv6_unspecified[16];

static bool ip_is_ipv4(const uint8_t ip[16])
{
    return memcmp(ip, ipv4_ahead, sizeof ipv4_ahead) == 0;
}

static bool ip_is_link_local(const uint8_t ip[16])
{
    return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

/* Reads len bytes that must be digits and nothing else. */
static int read_number(const char *text, size_t len, uint32_t max, uint32_t *out)
{
    uint64_t number = 0;

    if (len == 0 || len > 10)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    if (number > max)
        return -1;
    *out = (uint32_t)number;
    return 0;
}

/* Reads an address alone, without port, brackets or scope. */
static int read_ip(const char *text, size_t len, uint8_t ip[16])
{
    char copy[IP_TEXT_MAX];

    if (len >= sizeof copy)
        return -1;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (inet_pton(AF_INET6, copy, ip) == 1)
        return 0;
    if (inet_pton(AF_INET, copy, ip + 12) != 1)
        return -1;
    memcpy(ip, ipv4_ahead, sizeof ipv4_ahead);
    return 0;
}

/* Reads an address with or without "%INDEX". An index says nothing about an address that is not
 * link-local (RFC 4007 6), so it is taken for a mistake there. */
static int read_scoped_ip(const char *text, size_t len, struct addr *out)
{
    const char *percent = memchr(text, '%', len);
    size_t ip_len = percent ? (size_t)(percent - text) : len;

    if (read_ip(text, ip_len, out->ip))
        return -1;
    out->scope = 0;
    if (!percent)
        return 0;
    if (read_number(percent + 1, len - ip_len - 1, UINT32_MAX, &out->scope) || out->scope == 0)
        return -1;
    return ip_is_link_local(out->ip) ? 0 : -1;
}

/* Where the address ends and what stands before the port: *port is NULL if there is none. A colon
 * is that only after brackets, or if there is but one. */
static int split(const char *text, const char **ip, size_t *ip_len, const char **port)
{
    const char *at = strchr(text, '@');
    const char *colon = strchr(text, ':');

    *port = NULL;
    *ip = text;
    if (*text == '[') {
        const char *end = strchr(text, ']');

        if (!end || (end[1] != '\0' && end[1] != ':'))
            return -1;
        *ip = text + 1;
        *ip_len = (size_t)(end - *ip);
        if (end[1] == ':')
            *port = end + 2;
        return 0;
    }
    if (!at && colon && !strchr(colon + 1, ':'))
        at = colon;
    *ip_len = at ? (size_t)(at - text) : strlen(text);
    if (at)
        *port = at + 1;
    return 0;
}

int addr_parse(const char *text, uint16_t default_port, struct addr *out)
{
    struct addr a;
    const char *ip;
    const char *port_text;
    size_t ip_len;
    uint32_t port = default_port;

    if (split(text, &ip, &ip_len, &port_text) || read_scoped_ip(ip, ip_len, &a))
        return -1;
    if (*text == '[' && !memchr(ip, ':', ip_len))
        return -1; /* brackets are for IPv6 */
    if (port_text && read_number(port_text, strlen(port_text), UINT16_MAX, &port))
        return -1;
    if (port == 0 && default_port != 0)
        return -1;
    a.port = (uint16_t)port;
    *out = a;
    return 0;
}

/* Writes a number and no NUL; returns where the text ends. */
static char *put_number(char *out, uint32_t number)
{
    char digits[10];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (n)
        *out++ = digits[--n];
    return out;
}

/* Writes the address and its scope and no NUL; returns where the text ends. */
static char *put_ip(char *out, const struct addr *a)
{
    char text[IP_TEXT_MAX] = "";
    size_t len;

    if (addr_is_ipv4(a))
        inet_ntop(AF_INET, a->ip + 12, text, sizeof text);
    else
        inet_ntop(AF_INET6, a->ip, text, sizeof text);
    len = strlen(text);
    memcpy(out, text, len);
    out += len;
    if (a->scope == 0)
        return out;
    *out++ = '%';
    return put_number(out, a->scope);
}

size_t addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    bool brackets = !addr_is_ipv4(a);
    char *end = out;

    if (brackets)
        *end++ = '[';
    end = put_ip(end, a);
    if (brackets)
        *end++ = ']';
    *end++ = ':';
    end = put_number(end, a->port);
    *end = '\0';
    return (size_t)(end - out);
}

size_t addr_format_ip(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    char *end = put_ip(out, a);

    *end = '\0';
    return (size_t)(end - out);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && a->scope == b->scope && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool addr_is_ipv4(const struct addr *a)
{
    return ip_is_ipv4(a->ip);
}

bool addr_is_loopback(const struct addr *a)
{
    if (addr_is_ipv4(a))
        return a->ip[12] == 127;
    return memcmp(a->ip, ipv6_loopback, sizeof a->ip) == 0;
}

bool addr_is_unspecified(const struct addr *a)
{
    const uint8_t *ip = a->ip;

    if (addr_is_ipv4(a))
        return (ip[12] | ip[13] | ip[14] | ip[15]) == 0;
    return memcmp(ip, ipv6_unspecified, sizeof a->ip) == 0;
}

/* Whether a and b agree in their first n_bits. */
static bool same_prefix(const uint8_t a[16], const uint8_t b[16], unsigned n_bits)
{
    size_t whole = n_bits / 8;
    unsigned rest = n_bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* Whether all bits behind the prefix are 0. */
static bool ends_with_prefix(const uint8_t ip[16], unsigned prefix_len)
{
    for (unsigned bit = prefix_len; bit < 128; bit++)
        if (ip[bit / 8] & (0x80 >> bit % 8))
            return false;
    return true;
}

int addr_net_parse(const char *text, struct addr_net *out)
{
    struct addr_net net;
    const char *slash = strchr(text, '/');
    size_t ip_len = slash ? (size_t)(slash - text) : strlen(text);
    bool dotted_only = !memchr(text, ':', ip_len);
    uint32_t prefix_len = dotted_only ? 32 : 128;

    if (read_ip(text, ip_len, net.ip))
        return -1;
    if (slash && read_number(slash + 1, strlen(slash + 1), prefix_len, &prefix_len))
        return -1;
    if (dotted_only)
        prefix_len += IPV4_BITS_AHEAD;
    if (!ends_with_prefix(net.ip, prefix_len))
        return -1;
    net.prefix_len = (uint8_t)prefix_len;
    *out = net;
    return 0;
}

bool addr_net_contains(const struct addr_net *net, const struct addr *a)
{
    if (net->prefix_len < IPV4_BITS_AHEAD && addr_is_ipv4(a))
        return false;
    return same_prefix(net->ip, a->ip, net->prefix_len);
}

bool addr_is_local(const struct addr *a)
{
    const uint8_t *ip = a->ip;

    if (addr_is_loopback(a))
        return true;
    if (!addr_is_ipv4(a))
        return (ip[0] & 0xfe) == 0xfc || ip_is_link_local(ip);
    return ip[12] == 10 || (ip[12] == 172 && (ip[13] & 0xf0) == 16) ||
           (ip[12] == 192 && ip[13] == 168) || (ip[12] == 169 && ip[13] == 254) ||
           (ip[12] == 100 && (ip[13] & 0xc0) == 64);
}

void addr_client_id(const struct addr *a, uint8_t out[16])
{
    memset(out, 0, 16);
    memcpy(out, a->ip, addr_is_ipv4(a) ? 16 : 8);
}
