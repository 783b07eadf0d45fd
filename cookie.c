/* cookie.c: the bytes of a server cookie. Knows RFC 9018's recipe; never messages, clock or who
 * looks at it. */
#include "cookie.h"

#include <sodium.h>
#include <string.h>

#define VERSION   1
#define TIME_AT   12 /* in the whole: behind the client's part, version and 3 zeros */
#define HASH_AT   16
#define IPV4_AT   12 /* in an address of IPv4 as struct addr has it */
#define INPUT_MAX (HASH_AT + 16)

_Static_assert(crypto_shorthash_BYTES == COOKIE_LEN - HASH_AT, "SipHash-2-4 gives 8 bytes");
_Static_assert(crypto_shorthash_KEYBYTES == COOKIE_SEED_LEN, "and takes a key of 16");

void cookie_make(const uint8_t client[COOKIE_CLIENT_LEN], const struct addr *peer, uint32_t now_s,
    const uint8_t seed[COOKIE_SEED_LEN], uint8_t out[COOKIE_LEN])
{
    uint8_t input[INPUT_MAX] = {0};
    size_t ip_at = addr_is_ipv4(peer) ? IPV4_AT : 0;
    size_t ip_len = sizeof peer->ip - ip_at;
    memcpy(input, client, COOKIE_CLIENT_LEN);
    input[COOKIE_CLIENT_LEN] = VERSION;
    for (unsigned i = 0; i < 4; i++)
        input[TIME_AT + i] = (uint8_t)(now_s >> (24 - 8 * i));
    memcpy(input + HASH_AT, peer->ip + ip_at, ip_len);
    memcpy(out, input, HASH_AT);
    crypto_shorthash(out + HASH_AT, input, HASH_AT + ip_len, seed);
}
