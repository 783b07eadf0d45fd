/* sockaddr.h: struct addr to the kernel's socket addresses and back, and what every listener does
 * with them. */
#ifndef DNSD_NET_SOCKADDR_H
#define DNSD_NET_SOCKADDR_H

#include "addr.h"

#include <stdbool.h>
#include <sys/socket.h>

/* Fills in an AF_INET or AF_INET6 address; returns its length. */
socklen_t sockaddr_from_addr(const struct addr *a, struct sockaddr_storage *out);

/* 0, or -1 for another family. */
int sockaddr_to_addr(const struct sockaddr_storage *in, struct addr *out);

/* AF_INET or AF_INET6. */
int sockaddr_family(const struct addr *a);

/* Binds a socket; an IPv6 one to IPv6 only, so that [::]:53 and 0.0.0.0:53 live side by side.
 * *bound takes where, with the port that the kernel chose for port 0. 0, or -1 with errno. */
int sockaddr_bind(int fd, const struct addr *a, struct addr *bound);

/* Whether the address (its port does not count) is one of this machine. */
bool sockaddr_is_here(const struct addr *a);

/* The address of this machine that a datagram to `to` would leave from; all zeros where there is no
 * way. 0, or -1 with errno. */
int sockaddr_source(const struct addr *to, struct addr *source);

/* What to look for when listening failed with this errno: "; another program has it", or "". */
const char *sockaddr_advice(int error);

#endif
