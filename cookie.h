/* cookie.h: DNS cookies for clients (RFC 7873, 9018): what goes back to a client that sends one, so
 * that it can tell our replies from those of others. Knows the bytes of a cookie; never what it is
 * worth to us (query.c). */
#ifndef DNSD_COOKIE_H
#define DNSD_COOKIE_H

#include "addr.h"

#include <stdint.h>

#define COOKIE_SEED_LEN   16
#define COOKIE_CLIENT_LEN 8
#define COOKIE_LEN        24 /* the client's part, then ours */

/* Writes the client's own 8 bytes and behind them a server cookie of version 1 (RFC 9018 4): a
 * timestamp and the SipHash-2-4, keyed by the seed, of client cookie, timestamp and the client's
 * address. now_s is seconds since 1970 (4.3). */
void cookie_make(const uint8_t client[COOKIE_CLIENT_LEN], const struct addr *peer, uint32_t now_s,
    const uint8_t seed[COOKIE_SEED_LEN], uint8_t out[COOKIE_LEN]);

#endif
