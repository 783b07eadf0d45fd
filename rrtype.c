/* rrtype.c: knows the mnemonics of record types that are met in practice.
 * Never knows what a record holds or who asks. */
#include "rrtype.h"

#include "quantity.h"

#include <string.h>
#include <strings.h>

static const struct {
    uint16_t type;
    char name[RRTYPE_TEXT_MAX];
} types[] = {{1, "A"}, {2, "NS"}, {5, "CNAME"}, {6, "SOA"}, {12, "PTR"}, {13, "HINFO"}, {15, "MX"},
    {16, "TXT"}, {17, "RP"}, {18, "AFSDB"}, {24, "SIG"}, {25, "KEY"}, {28, "AAAA"}, {29, "LOC"},
    {33, "SRV"}, {35, "NAPTR"}, {36, "KX"}, {37, "CERT"}, {39, "DNAME"}, {41, "OPT"}, {42, "APL"},
    {43, "DS"}, {44, "SSHFP"}, {45, "IPSECKEY"}, {46, "RRSIG"}, {47, "NSEC"}, {48, "DNSKEY"},
    {49, "DHCID"}, {50, "NSEC3"}, {51, "NSEC3PARAM"}, {52, "TLSA"}, {53, "SMIMEA"}, {55, "HIP"},
    {59, "CDS"}, {60, "CDNSKEY"}, {61, "OPENPGPKEY"}, {62, "CSYNC"}, {63, "ZONEMD"}, {64, "SVCB"},
    {65, "HTTPS"}, {99, "SPF"}, {108, "EUI48"}, {109, "EUI64"}, {249, "TKEY"}, {250, "TSIG"},
    {251, "IXFR"}, {252, "AXFR"}, {255, "ANY"}, {256, "URI"}, {257, "CAA"}};

#define N_TYPES (sizeof(types) / sizeof(types[0]))

#define GENERIC     "TYPE" /* RFC 3597 5 */
#define GENERIC_LEN (sizeof(GENERIC) - 1)

const char *rrtype_name(uint16_t type)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].type == type)
            return types[i].name;
    return NULL;
}

bool rrtype_read(const char *text, size_t len, uint16_t *out)
{
    char word[RRTYPE_TEXT_MAX];
    uint64_t number;

    if (len == 0 || len >= sizeof(word) || memchr(text, '\0', len) != NULL)
        return false;
    memcpy(word, text, len);
    word[len] = '\0';
    for (size_t i = 0; i < N_TYPES; i++) {
        if (strcasecmp(types[i].name, word) == 0) {
            *out = types[i].type;
            return true;
        }
    }
    if (strncasecmp(word, GENERIC, GENERIC_LEN) != 0 ||
        !quantity_read(QUANTITY_COUNT, word + GENERIC_LEN, 0, UINT16_MAX, &number))
        return false;
    *out = (uint16_t)number;
    return true;
}
