/* capture.c: fuzzes captures of packets (tools/capture.c): pcap and pcapng, link layers, IP
 * fragments and TCP streams. Knows tools/trace.h. */
#include "tests/fuzz/reading.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_as_file(data, size, TRACE_PCAP, NULL);
    return 0;
}

/* ---- seeds ----------------------------------------------------------------------------------- */

/* Ports 4711 and 53; A of a.example, and its answer. */
static const uint8_t question[] = "\0\7\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\1\0\1";
static const uint8_t answer[] = "\0\7\201\200\0\1\0\1\0\0\0\0\1a\7example\0\0\1\0\1"
                                "\300\14\0\1\0\1\0\0\0\74\0\4\300\0\2\1";

struct bytes {
    uint8_t at[2048];
    size_t len;
};

static void put(struct bytes *b, const void *from, size_t len)
{
    FUZZ_MUST(b->len + len <= sizeof b->at);
    memcpy(b->at + b->len, from, len);
    b->len += len;
}

static void put_be(struct bytes *b, uint32_t value, size_t len)
{
    while (len-- > 0)
        put(b, &(uint8_t){(uint8_t)(value >> (8 * len))}, 1);
}

static void put_le32(struct bytes *b, uint32_t value)
{
    put(b,
        (uint8_t[]){
            (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)},
        4);
}

/* UDP, or a segment of TCP with flags at seq. */
static void transport(
    struct bytes *b, bool from_server, int tcp_flags, uint32_t seq, const uint8_t *msg, size_t len)
{
    put_be(b, from_server ? 53 : 4711, 2);
    put_be(b, from_server ? 4711 : 53, 2);
    if (tcp_flags < 0) {
        put_be(b, (uint32_t)len + 8, 2);
        put_be(b, 0, 2);
    } else {
        put_be(b, seq, 4);
        put_be(b, 0, 4);
        put_be(b, 0x5000u | (unsigned)tcp_flags, 2);
        put_be(b, 0xffff0000, 4);
        put_be(b, 0, 2);
    }
    put(b, msg, len);
}

static void ipv4(struct bytes *b, unsigned protocol, bool from_server, unsigned fragment,
    const uint8_t *payload, size_t len)
{
    put_be(b, 0x4500, 2);
    put_be(b, (uint32_t)len + 20, 2);
    put_be(b, 9, 2);
    put_be(b, fragment, 2);
    put_be(b, 0x4000u | protocol, 2);
    put_be(b, 0, 2);
    put_be(b, from_server ? 0x08080808 : 0x0a000001, 4);
    put_be(b, from_server ? 0x0a000001 : 0x08080808, 4);
    put(b, payload, len);
}

static void ipv6(struct bytes *b, const uint8_t *payload, size_t len)
{
    put_be(b, 0x60000000, 4);
    put_be(b, (uint32_t)len, 2);
    put_be(b, 0x1140, 2);
    for (uint32_t i = 0; i < 8; i++)
        put_be(b, i % 4 == 0 ? 0xfd000000 : i, 4);
    put(b, payload, len);
}

static void pcap_start(struct bytes *f, uint32_t link)
{
    f->len = 0;
    put_le32(f, 0xa1b2c3d4);
    put(f, "\2\0\4\0", 4);
    for (int i = 0; i < 2; i++)
        put_le32(f, 0);
    put_le32(f, 65535);
    put_le32(f, link);
}

static void pcap_add(struct bytes *f, const void *head, size_t head_len, const struct bytes *ip)
{
    put_le32(f, 1700000000);
    put_le32(f, (uint32_t)f->len);
    for (int i = 0; i < 2; i++)
        put_le32(f, (uint32_t)(head_len + ip->len));
    put(f, head, head_len);
    put(f, ip->at, ip->len);
}

static const char ethernet[] = "\2\0\0\0\0\1\2\0\0\0\0\2\x8\0";
static const char vlan[] = "\2\0\0\0\0\1\2\0\0\0\0\2\x81\0\0\7\x86\xdd";
#define LINK_ETHERNET 1
#define LINK_RAW      101

static void udp_packet(struct bytes *ip, bool from_server)
{
    struct bytes udp = {.len = 0};
    ip->len = 0;
    transport(&udp, from_server, -1, 0, from_server ? answer : question,
        from_server ? sizeof answer - 1 : sizeof question - 1);
    ipv4(ip, 17, from_server, 0, udp.at, udp.len);
}

static void tcp_packet(struct bytes *ip, int flags, uint32_t seq, const uint8_t *msg, size_t len)
{
    struct bytes tcp = {.len = 0};
    ip->len = 0;
    transport(&tcp, false, flags, seq, msg, len);
    ipv4(ip, 6, false, 0, tcp.at, tcp.len);
}

static void seed_udp(struct bytes *f, struct bytes *ip)
{
    struct bytes udp = {.len = 0};
    pcap_start(f, LINK_ETHERNET);
    udp_packet(ip, false);
    pcap_add(f, ethernet, sizeof ethernet - 1, ip);
    udp_packet(ip, true);
    pcap_add(f, ethernet, sizeof ethernet - 1, ip);
    fuzz_seed("udp", f->at, f->len);

    pcap_start(f, LINK_ETHERNET);
    ip->len = 0;
    transport(&udp, false, -1, 0, question, sizeof question - 1);
    ipv6(ip, udp.at, udp.len);
    pcap_add(f, vlan, sizeof vlan - 1, ip);
    fuzz_seed("vlan-ipv6", f->at, f->len);

    pcap_start(f, LINK_RAW);
    ip->len = 0;
    ipv4(ip, 17, false, 0x2000, udp.at, 24); /* more fragments follow */
    pcap_add(f, "", 0, ip);
    ip->len = 0;
    ipv4(ip, 17, false, 3, udp.at + 24, udp.len - 24);
    pcap_add(f, "", 0, ip);
    fuzz_seed("fragments", f->at, f->len);
}

static void seed_tcp(struct bytes *f, struct bytes *ip)
{
    struct bytes framed = {.len = 0};
    put_be(&framed, sizeof question - 1, 2);
    put(&framed, question, sizeof question - 1);
    pcap_start(f, LINK_RAW);
    tcp_packet(ip, 2, 100, question, 0);
    pcap_add(f, "", 0, ip);
    tcp_packet(ip, 0x18, 101 + 10, framed.at + 10, framed.len - 10);
    pcap_add(f, "", 0, ip);
    tcp_packet(ip, 0x18, 101, framed.at, 10);
    pcap_add(f, "", 0, ip);
    tcp_packet(ip, 0x11, 101 + (uint32_t)framed.len, question, 0);
    pcap_add(f, "", 0, ip);
    fuzz_seed("tcp", f->at, f->len);
}

static void seed_pcapng(struct bytes *f, struct bytes *ip)
{
    f->len = 0;
    put(f, "\12\15\15\12\34\0\0\0\x4d\x3c\x2b\x1a\1\0\0\0\377\377\377\377\377\377\377\377\34\0\0\0",
        28);
    put(f, "\1\0\0\0\24\0\0\0\145\0\0\0\0\0\4\0\24\0\0\0", 20);
    udp_packet(ip, false);
    uint32_t padded = (uint32_t)(ip->len + 3) / 4 * 4, block = 32 + padded;
    put_le32(f, 6);
    put_le32(f, block);
    for (int i = 0; i < 3; i++)
        put_le32(f, 0);
    for (int i = 0; i < 2; i++)
        put_le32(f, (uint32_t)ip->len);
    put(f, ip->at, ip->len);
    put(f, "\0\0\0", padded - ip->len);
    put_le32(f, block);
    fuzz_seed("pcapng", f->at, f->len);
}

void fuzz_seeds(void)
{
    static struct bytes f, ip;
    seed_udp(&f, &ip);
    seed_tcp(&f, &ip);
    seed_pcapng(&f, &ip);
}
