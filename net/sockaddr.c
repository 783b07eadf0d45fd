/* sockaddr.c: knows the kernel's layouts of an address and what can be wrong with binding one.
 * Never knows what the socket is for. */
#include "net/sockaddr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static const uint8_t V4_MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int sockaddr_family(const struct addr *a)
{
    return addr_is_ipv4(a) ? AF_INET : AF_INET6;
}

/* The views are copied and not cast: a struct sockaddr_storage may be anybody's bytes. */
socklen_t sockaddr_from_addr(const struct addr *a, struct sockaddr_storage *out)
{
    if (addr_is_ipv4(a)) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&in.sin_addr, a->ip + sizeof V4_MAPPED, sizeof in.sin_addr);
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};
    memcpy(&in6.sin6_addr, a->ip, sizeof in6.sin6_addr);
    memcpy(out, &in6, sizeof in6);
    return sizeof in6;
}

int sockaddr_to_addr(const struct sockaddr_storage *in, struct addr *out)
{
    if (in->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, in, sizeof v4);
        memcpy(out->ip, V4_MAPPED, sizeof V4_MAPPED);
        memcpy(out->ip + sizeof V4_MAPPED, &v4.sin_addr, sizeof v4.sin_addr);
        out->scope = 0;
        out->port = ntohs(v4.sin_port);
        return 0;
    }
    if (in->ss_family != AF_INET6)
        return -1;
    struct sockaddr_in6 v6;
    memcpy(&v6, in, sizeof v6);
    memcpy(out->ip, &v6.sin6_addr, sizeof out->ip);
    out->scope = IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr) ? v6.sin6_scope_id : 0;
    out->port = ntohs(v6.sin6_port);
    return 0;
}

int sockaddr_bind(int fd, const struct addr *a, struct addr *bound)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sockaddr_from_addr(a, &ss);
    int on = 1;
    if (ss.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
        return -1;
    if (bind(fd, (const struct sockaddr *)&ss, len) != 0)
        return -1;
    len = sizeof ss;
    if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
        return -1;
    if (sockaddr_to_addr(&ss, bound) != 0) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return 0;
}

bool sockaddr_is_here(const struct addr *a)
{
    struct addr any_port = *a, bound;
    any_port.port = 0;
    int fd = socket(sockaddr_family(a), SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool here = sockaddr_bind(fd, &any_port, &bound) == 0;
    close(fd);
    return here;
}

int sockaddr_source(const struct addr *to, struct addr *source)
{
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(to, &ss);
    *source = (struct addr){0};
    int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int result = connect(fd, (const struct sockaddr *)&ss, len); /* sends nothing */
    if (result != 0 && (errno == ENETUNREACH || errno == EHOSTUNREACH || errno == EADDRNOTAVAIL)) {
        close(fd);
        return 0;
    }
    len = sizeof ss;
    if (result == 0)
        result = getsockname(fd, (struct sockaddr *)&ss, &len);
    if (result == 0)
        result = sockaddr_to_addr(&ss, source);
    close(fd);
    return result;
}

const char *sockaddr_advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; another program has it (ss -tulpn tells which)";
    case EACCES:
        return "; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE";
    case EADDRNOTAVAIL:
        return "; no interface of this machine has the address";
    case EAFNOSUPPORT:
        return "; this machine does not have that family of addresses switched on";
    default:
        return "";
    }
}
