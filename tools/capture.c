/* capture.c: knows how a DNS message lies in a packet: link layers, IP, UDP, and TCP put together
 * again where its segments came in order. Never knows what is done with a question. */
#include "tools/capture.h"

#include "addr.h"

#include <pcap/pcap.h>
#include <pcap/sll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define PROGRESS_EVERY 65536
#define STREAMS_MAX    65536 /* then the oldest is given up */
#define STREAM_CAP     (WIRE_MESSAGE_MAX + 2)
#define REPEAT_SLOTS   65536
#define REPEAT_MS      5000
#define SECONDS_MAX    253402300799 /* the end of 9999 */
#define TTL_MAX_S      604800
#define VLANS_MAX      4
#define EXTENSIONS_MAX 8

enum ether { ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd, ETHER_PPPOE = 0x8864 };
enum protocol {
    IP_HOPOPTS = 0,
    IP_TCP = 6,
    IP_UDP = 17,
    IP_ROUTING = 43,
    IP_FRAGMENT = 44,
    IP_AUTH = 51,
    IP_DSTOPTS = 60
};
enum tcp_flag { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4 };

/* Bytes that are there; what a packet claims to have beyond them is cut. */
struct bytes {
    const uint8_t *at;
    size_t len;
};

struct ends {
    uint8_t src[16], dst[16];
    uint16_t src_port, dst_port;
};

/* One direction of a connection. */
struct stream {
    UT_hash_handle hh;
    struct ends ends;
    uint32_t next_seq;
    size_t len;
    uint8_t *bytes; /* STREAM_CAP; NULL until there is something */
};

struct repeat {
    uint64_t fingerprint;
    uint64_t at_ms;
};

struct capture {
    struct trace *trace;
    const struct trace_source *source;
    pcap_t *pcap;
    int link;
    size_t packet; /* its number, from 1 */
    uint64_t at_ms;
    struct ends ends;
    bool cut;   /* the packet claims more than was captured, or its message does not parse */
    bool found; /* it was for the port of DNS, or too short to tell */
    bool out_of_memory;
    uint8_t seed[crypto_shorthash_KEYBYTES];
    struct stream *streams;
    struct repeat repeats[REPEAT_SLOTS];
    uint8_t packed[WIRE_PACKED_MAX];
};

static uint16_t read_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)read_u16(at) << 16 | read_u16(at + 2);
}

/* Takes len bytes off the front; NULL where there are fewer. */
static const uint8_t *take(struct bytes *b, size_t len)
{
    const uint8_t *at = b->at;
    if (b->len < len)
        return NULL;
    b->at += len;
    b->len -= len;
    return at;
}

/* Makes b no longer than the packet says it is. */
static void limit(struct capture *c, struct bytes *b, size_t len)
{
    if (len > b->len)
        c->cut = true;
    else
        b->len = len;
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Whether the same client sent the same message from the same port a moment ago. */
static bool is_repeat(struct capture *c, uint16_t id, const struct wire_question *q, unsigned flags)
{
    uint8_t all[WIRE_KEY_MAX + sizeof(c->ends.src) + 4], hash[crypto_shorthash_BYTES];
    size_t len = wire_key_write(q, flags, all);
    uint64_t fingerprint;
    memcpy(all + len, c->ends.src, sizeof c->ends.src);
    len += sizeof c->ends.src;
    memcpy(all + len, &c->ends.src_port, 2);
    memcpy(all + len + 2, &id, 2);
    crypto_shorthash(hash, all, len + 4, c->seed);
    memcpy(&fingerprint, hash, sizeof fingerprint);
    struct repeat *r = &c->repeats[fingerprint % REPEAT_SLOTS];
    bool same = r->fingerprint == fingerprint && c->at_ms - r->at_ms < REPEAT_MS;
    *r = (struct repeat){.fingerprint = fingerprint, .at_ms = c->at_ms};
    return same;
}

static void take_query(struct capture *c, struct bytes msg, bool datagram)
{
    struct trace_arrival a = {.at_ms = c->at_ms, .has_year = true, .place = c->packet};
    struct addr client = {{0}, 0, 0};
    struct wire_query q;
    if (wire_parse_query(msg.at, msg.len, &q) != WIRE_QUERY_OK) {
        c->cut = true;
        return;
    }
    if ((q.flags & WIRE_RD) == 0) { /* dnsd refuses it */
        trace_counts(c->trace)->local++;
        return;
    }
    a.question = q.question;
    a.key_flags =
        (q.edns.dnssec_ok ? WIRE_KEY_DO : 0U) | ((q.flags & WIRE_CD) != 0 ? WIRE_KEY_CD : 0U);
    if (datagram && is_repeat(c, q.id, &a.question, a.key_flags)) {
        trace_counts(c->trace)->repeats++;
        return;
    }
    memcpy(client.ip, c->ends.src, sizeof client.ip);
    addr_client_id(&client, a.client);
    if (trace_add(c->trace, &a) < 0)
        c->out_of_memory = true;
}

/* How long its answer is fresh. */
static void take_reply(struct capture *c, struct bytes msg)
{
    static const struct wire_ttl_bounds bounds = {.max_s = TTL_MAX_S};
    uint8_t name[WIRE_NAME_MAX];
    struct wire_question q = {.name = name};
    struct wire_answer answer;
    size_t end;
    if (msg.len < WIRE_HEADER_LEN || read_u16(msg.at + 4) != 1)
        return;
    q.name_len = wire_name_expand(msg.at, msg.len, WIRE_HEADER_LEN, name, &end);
    if (q.name_len == 0 || msg.len - end < 4)
        return;
    q.type = read_u16(msg.at + end);
    q.class = read_u16(msg.at + end + 2);
    switch (wire_pack_answer(
        msg.at, msg.len, &q, false, false, &bounds, c->packed, sizeof c->packed, &answer)) {
    case WIRE_ANSWER_POSITIVE:
    case WIRE_ANSWER_NODATA:
    case WIRE_ANSWER_NXDOMAIN:
        break;
    default:
        return;
    }
    unsigned flags = (answer.edns.dnssec_ok ? WIRE_KEY_DO : 0U) |
                     ((read_u16(msg.at + 2) & WIRE_CD) != 0 ? WIRE_KEY_CD : 0U);
    if (trace_answer(c->trace, &q, flags, answer.ttl_s) < 0)
        c->out_of_memory = true;
}

static void take_message(struct capture *c, struct bytes msg, bool datagram)
{
    bool reply = msg.len > 2 && (msg.at[2] & 0x80) != 0;
    c->found = true;
    if (reply && c->ends.src_port == c->source->port)
        take_reply(c, msg);
    else if (!reply && c->ends.dst_port == c->source->port)
        take_query(c, msg, datagram);
    else
        c->found = false;
}

/* ---- streams --------------------------------------------------------------------------------- */

/* Keyed: whoever wrote the capture chose the ends. */
static unsigned hash_of_ends(const struct capture *c)
{
    uint8_t hash[crypto_shorthash_BYTES];
    unsigned value;
    crypto_shorthash(hash, (const uint8_t *)&c->ends, sizeof c->ends, c->seed);
    memcpy(&value, hash, sizeof value);
    return value;
}

static struct stream *find_stream(const struct capture *c)
{
    unsigned hash = hash_of_ends(c);
    struct stream *s;
    HASH_FIND_BYHASHVALUE(hh, c->streams, &c->ends, sizeof c->ends, hash, s);
    return s;
}

static void end_stream(struct capture *c, struct stream *s)
{
    if (s == NULL)
        return;
    HASH_DEL(c->streams, s);
    free(s->bytes);
    free(s);
}

static void start_stream(struct capture *c, uint32_t next_seq)
{
    struct stream *s;
    end_stream(c, find_stream(c));
    if (HASH_COUNT(c->streams) >= STREAMS_MAX)
        end_stream(c, c->streams);
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        c->out_of_memory = true;
        return;
    }
    s->ends = c->ends;
    s->next_seq = next_seq;
    unsigned hash = hash_of_ends(c);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->streams, &s->ends, sizeof s->ends, hash, s);
    if (s->hh.tbl != NULL)
        return;
    free(s);
    c->out_of_memory = true;
}

/* Hands over the messages that are whole, and keeps the rest. */
static void take_messages(struct capture *c, struct stream *s)
{
    size_t at = 0;
    int len;
    while (
        (len = wire_frame_len(s->bytes + at, s->len - at)) >= 0 && s->len - at >= 2 + (size_t)len) {
        take_message(c, (struct bytes){s->bytes + at + 2, (size_t)len}, false);
        at += 2 + (size_t)len;
    }
    memmove(s->bytes, s->bytes + at, s->len - at);
    s->len -= at;
}

static void feed_stream(struct capture *c, struct stream *s, struct bytes data)
{
    if (s->bytes == NULL && (s->bytes = malloc(STREAM_CAP)) == NULL) {
        c->out_of_memory = true;
        return;
    }
    while (data.len > 0) {
        size_t n = STREAM_CAP - s->len < data.len ? STREAM_CAP - s->len : data.len;
        memcpy(s->bytes + s->len, take(&data, n), n);
        s->len += n;
        take_messages(c, s); /* a full buffer holds a whole message at least */
    }
}

/* A segment in its turn. What came before is left out; a gap or a cut ends the stream. */
static void take_data(struct capture *c, struct stream *s, uint32_t seq, struct bytes data)
{
    uint32_t known = s->next_seq - seq;
    if (known > UINT32_MAX / 2 || c->cut) {
        trace_counts(c->trace)->torn++;
        end_stream(c, s);
        return;
    }
    if (take(&data, known) == NULL)
        return;
    s->next_seq += (uint32_t)data.len;
    feed_stream(c, s, data);
}

/* Takes the head of a datagram or segment. NULL where it is none for the port of DNS. */
static const uint8_t *take_ports(struct capture *c, struct bytes *b, size_t len)
{
    const uint8_t *head = take(b, len);
    if (head == NULL) {
        c->cut = c->found = true;
        return NULL;
    }
    c->ends.src_port = read_u16(head);
    c->ends.dst_port = read_u16(head + 2);
    bool ours = c->ends.src_port == c->source->port || c->ends.dst_port == c->source->port;
    return ours ? head : NULL;
}

static void take_tcp(struct capture *c, struct bytes b)
{
    const uint8_t *head = take_ports(c, &b, 20);
    struct stream *s;
    if (head == NULL)
        return;
    size_t options = (size_t)(head[12] >> 4) * 4;
    if (options < 20 || take(&b, options - 20) == NULL)
        return;
    uint32_t seq = read_u32(head + 4);
    c->found = true;
    if ((head[13] & TCP_SYN) != 0)
        start_stream(c, ++seq); /* data may come with it (RFC 7413) */
    s = find_stream(c);
    if (s != NULL && b.len > 0)
        take_data(c, s, seq, b);
    if ((head[13] & (TCP_FIN | TCP_RST)) != 0)
        end_stream(c, find_stream(c));
}

static void take_udp(struct capture *c, struct bytes b)
{
    const uint8_t *head = take_ports(c, &b, 8);
    if (head == NULL)
        return;
    size_t len = read_u16(head + 4);
    if (len >= 8)
        limit(c, &b, len - 8);
    take_message(c, b, true);
}

/* ---- packets --------------------------------------------------------------------------------- */

static void take_transport(struct capture *c, unsigned protocol, struct bytes b)
{
    if (protocol == IP_UDP)
        take_udp(c, b);
    else if (protocol == IP_TCP)
        take_tcp(c, b);
}

static void map_ipv4(uint8_t ip[16], const uint8_t *from)
{
    memset(ip, 0, 10);
    ip[10] = ip[11] = 0xff;
    memcpy(ip + 12, from, 4);
}

static void take_ipv4(struct capture *c, struct bytes b)
{
    const uint8_t *head = b.at;
    if (b.len < 20 || (head[0] & 15) < 5)
        return;
    if (read_u16(head + 2) >= 20) /* 0 where the network card was to cut it up */
        limit(c, &b, read_u16(head + 2));
    if (take(&b, (size_t)(head[0] & 15) * 4) == NULL)
        return;
    if ((read_u16(head + 6) & 0x3fff) != 0) /* a fragment: no question is that long */
        return;
    map_ipv4(c->ends.src, head + 12);
    map_ipv4(c->ends.dst, head + 16);
    take_transport(c, head[9], b);
}

/* Skips extension headers (RFC 8200 4). Returns the protocol behind them. */
static unsigned skip_extensions(struct bytes *b, unsigned next)
{
    for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
        if (next != IP_HOPOPTS && next != IP_ROUTING && next != IP_FRAGMENT && next != IP_AUTH &&
            next != IP_DSTOPTS)
            return next;
        if (b->len < 8)
            break;
        const uint8_t *head = b->at;
        size_t len = ((size_t)head[1] + 1) * 8;
        if (next == IP_FRAGMENT)
            len = 8;
        if (next == IP_AUTH)
            len = ((size_t)head[1] + 2) * 4;
        if (next == IP_FRAGMENT && (read_u16(head + 2) & 0xfff9) != 0)
            break;
        next = head[0];
        if (take(b, len) == NULL)
            break;
    }
    return IP_FRAGMENT; /* nothing to be read here */
}

static void take_ipv6(struct capture *c, struct bytes b)
{
    const uint8_t *head = take(&b, 40);
    if (head == NULL || head[0] >> 4 != 6)
        return;
    if (read_u16(head + 4) > 0)
        limit(c, &b, read_u16(head + 4));
    memcpy(c->ends.src, head + 8, 16);
    memcpy(c->ends.dst, head + 24, 16);
    unsigned protocol = skip_extensions(&b, head[6]);
    take_transport(c, protocol, b);
}

static void take_ip(struct capture *c, struct bytes b)
{
    if (b.len > 0 && b.at[0] >> 4 == 4)
        take_ipv4(c, b);
    else
        take_ipv6(c, b);
}

static bool is_vlan(uint16_t type)
{
    return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* What lies behind an EtherType. */
static void take_typed(struct capture *c, uint16_t type, struct bytes b)
{
    for (unsigned i = 0; i < VLANS_MAX && is_vlan(type) && b.len >= 4; i++)
        type = read_u16(take(&b, 4) + 2);
    if (type == ETHER_IPV4 || type == ETHER_IPV6)
        take_ip(c, b);
    else if (type == ETHER_PPPOE && take(&b, 8) != NULL)
        take_ip(c, b);
}

static void take_packet(struct capture *c, struct bytes b)
{
    const uint8_t *head;
    switch (c->link) {
    case DLT_EN10MB:
        if ((head = take(&b, 14)) != NULL)
            take_typed(c, read_u16(head + 12), b);
        break;
    case DLT_LINUX_SLL:
        if ((head = take(&b, SLL_HDR_LEN)) != NULL)
            take_typed(c, read_u16(head + 14), b);
        break;
    case DLT_LINUX_SLL2:
        if ((head = take(&b, SLL2_HDR_LEN)) != NULL)
            take_typed(c, read_u16(head), b);
        break;
    case DLT_NULL:
    case DLT_LOOP:
        if (take(&b, 4) != NULL)
            take_ip(c, b);
        break;
    default:
        take_ip(c, b);
    }
}

static bool knows_link(int link)
{
    switch (link) {
    case DLT_EN10MB:
    case DLT_LINUX_SLL:
    case DLT_LINUX_SLL2:
    case DLT_NULL:
    case DLT_LOOP:
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
        return true;
    default:
        return false;
    }
}

/* ---- the file -------------------------------------------------------------------------------- */

static enum trace_result complain(const struct capture *c, size_t place, const char *why)
{
    c->source->report(c->source->ctx, place, why);
    return TRACE_BAD;
}

static enum trace_result set_filter(struct capture *c)
{
    struct bpf_program program;
    if (c->source->filter == NULL)
        return TRACE_OK;
    if (pcap_compile(c->pcap, &program, c->source->filter, 1, PCAP_NETMASK_UNKNOWN) != 0)
        return complain(c, 0, pcap_geterr(c->pcap));
    int failed = pcap_setfilter(c->pcap, &program);
    pcap_freecode(&program);
    return failed == 0 ? TRACE_OK : complain(c, 0, pcap_geterr(c->pcap));
}

static void note_packet(struct capture *c)
{
    struct trace_counts *n = trace_counts(c->trace);
    n->places = c->packet;
    n->other += !c->found;
    n->cut += c->found && c->cut;
    if (c->source->progress != NULL && c->packet % PROGRESS_EVERY == 0)
        c->source->progress(c->source->ctx, trace_n_events(c->trace));
}

static enum trace_result read_packets(struct capture *c)
{
    struct pcap_pkthdr *head;
    const uint8_t *data;
    int got;
    while ((got = pcap_next_ex(c->pcap, &head, &data)) == 1) {
        c->packet++;
        if (head->ts.tv_sec < 0 || head->ts.tv_sec > SECONDS_MAX)
            return complain(c, c->packet, "its time is out of range");
        c->at_ms = (uint64_t)head->ts.tv_sec * 1000 + (uint64_t)head->ts.tv_usec / 1000;
        c->ends = (struct ends){.src_port = 0};
        c->cut = c->found = false;
        take_packet(c, (struct bytes){data, head->caplen});
        if (c->out_of_memory)
            return TRACE_MEMORY;
        note_packet(c);
    }
    return got == PCAP_ERROR_BREAK ? TRACE_OK : complain(c, c->packet + 1, pcap_geterr(c->pcap));
}

static enum trace_result read_capture(struct capture *c)
{
    char why[256];
    c->link = pcap_datalink(c->pcap);
    if (!knows_link(c->link)) {
        const char *name = pcap_datalink_val_to_name(c->link);
        snprintf(why, sizeof why,
            "packets of link type %d (%s): only Ethernet, Linux cooked, "
            "loopback and raw IP are known here",
            c->link, name != NULL ? name : "which has no name");
        return complain(c, 0, why);
    }
    enum trace_result result = set_filter(c);
    return result == TRACE_OK ? read_packets(c) : result;
}

enum trace_result capture_read(struct trace *t, FILE *file, const struct trace_source *source)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    enum trace_result result = TRACE_MEMORY;
    struct stream *s, *next;
    struct capture *c = calloc(1, sizeof *c);
    if (c == NULL) {
        fclose(file);
        return TRACE_MEMORY;
    }
    c->trace = t;
    c->source = source;
    randombytes_buf(c->seed, sizeof c->seed);
    c->pcap = pcap_fopen_offline(file, why);
    if (c->pcap == NULL) {
        fclose(file);
        result = complain(c, 0, why);
        goto out;
    }
    result = read_capture(c);
    HASH_ITER(hh, c->streams, s, next)
    {
        end_stream(c, s);
    }
    pcap_close(c->pcap);
out:
    free(c);
    return result;
}
