/* sockaddr.h: struct addr to the kernel's socket addresses and back. */
#ifndef DNSD_NET_SOCKADDR_H
#define DNSD_NET_SOCKADDR_H

#include "addr.h"

#include <sys/socket.h>

/* Fills in an AF_INET or AF_INET6 address; returns its length. */
socklen_t sockaddr_from_addr(const struct addr *a, struct sockaddr_storage *out);

/* 0, or -1 for another family. */
int sockaddr_to_addr(const struct sockaddr_storage *in, struct addr *out);

#endif
