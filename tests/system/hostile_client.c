/* hostile_client.c: what clients can do to dnsd, over real sockets: messages that others found
 * hurtful, streams that break the rules, floods, hoards of connections, lessons in junk.
 * Knows messages, sockets and what /proc tells; never dnsd's insides. TABLE=1 shows the figures,
 * FLOOD is the number of names of the flood. */
#include "peers.h"
#include "tests/system/dissect.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CORPORA      "../shared/corpora"
#define MESSAGES_MAX 8192
#define BATCH        64
#define REPLY_MAX    65535
#define REPLY_SMALL  2048
#define DATAGRAM_MAX 65507
#define UDP_READ     4096 /* of a longer datagram dnsd looks at the header only */

static struct dnsd *dut;

/* A row of the table, for those who want one. */
__attribute__((format(printf, 1, 2))) static void row(const char *format, ...)
{
    va_list args;
    if (getenv("TABLE") == NULL)
        return;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* KiB of memory, by a name of /proc. */
static unsigned long status_kib(const struct dnsd *d, const char *name)
{
    const char *line = strstr(read_file(text("/proc/%d/status", (int)d->pid)), name);
    ck_assert_msg(line != NULL, "dnsd is gone");
    return strtoul(line + strlen(name), NULL, 10);
}

static size_t descriptors(const struct dnsd *d)
{
    size_t n = 0;
    DIR *dir = opendir(text("/proc/%d/fd", (int)d->pid));
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n - 2;
}

/* ---- clients --------------------------------------------------------------------------------- */

/* All descriptors that may be had. Returns how many. */
static size_t raise_limit(void)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur;
}

/* A question behind room for its length, which is filled in. Returns the length of both. */
static size_t write_frame(
    uint8_t frame[2 + QUESTION_MAX], unsigned id, const char *name, enum type type)
{
    size_t len = write_question(frame + 2, id, name, type);
    frame[0] = (uint8_t)(len >> 8);
    frame[1] = (uint8_t)len;
    return 2 + len;
}

/* Whether so many bytes came before the end of the connection. */
static bool read_whole(int fd, uint8_t *to, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, to, len, 0);
        if (n <= 0)
            return false;
        to += n;
        len -= (size_t)n;
    }
    return true;
}

/* The length of the next reply of a stream; 0: it has ended. */
static size_t read_frame(int fd, uint8_t reply[REPLY_MAX])
{
    uint8_t prefix[2];
    if (!read_whole(fd, prefix, 2))
        return 0;
    size_t len = (size_t)prefix[0] << 8 | prefix[1];
    ck_assert_msg(read_whole(fd, reply, len), "a reply is cut short");
    return len;
}

static void answer_all(const struct asked *q, void *ctx)
{
    (void)ctx;
    reply_a(q, 0, 300, "192.0.2.1");
}

/* ---- messages made by others ------------------------------------------------------------------
 */

struct message {
    uint8_t *bytes;
    size_t len;
    const char *file;
    int fd;
};
static struct message messages[MESSAGES_MAX];
static size_t n_messages;

static void add_message(const uint8_t *bytes, size_t len, const char *file, uint8_t flip)
{
    ck_assert_uint_lt(n_messages, MESSAGES_MAX);
    struct message *m = &messages[n_messages++];
    *m = (struct message){.bytes = malloc(len + 1), .len = len, .file = text("%s", file)};
    ck_assert_ptr_nonnull(m->bytes);
    memcpy(m->bytes, bytes, len);
    if (len > 2)
        m->bytes[2] ^= flip;
}

/* Every file, whatever it was made for: as it is, and with QR flipped, for most are replies. */
static int add_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    static uint8_t bytes[REPLY_MAX];
    (void)st;
    if (kind != FTW_F || strcmp(path + ftw->base, "README.md") == 0)
        return 0;
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    add_message(bytes, len, path, 0);
    if (len > 2)
        add_message(bytes, len, path, 0x80);
    return 0;
}

static bool is_query(const struct message *m)
{
    return m->len >= 12 && (m->bytes[2] & 0x80) == 0;
}

/* Fails the test if this is no reply to it. */
static void check_reply(const struct message *m, const uint8_t *reply, size_t len, bool tcp)
{
    size_t read = tcp || m->len <= UDP_READ ? m->len : 12;
    const char *flaw = is_query(m) ? reply_flaw(m->bytes, read, reply, len) : "it is no query";
    ck_assert_msg(flaw == NULL, "%s over %s: %s", m->file, tcp ? "TCP" : "UDP", flaw);
}

/* What dnsd answers by itself, with an ID that is not the message's: what was sent before has been
 * read by then. */
static void send_fence(const struct message *m, unsigned *id)
{
    uint8_t frame[300];
    *id = m->len > 1 ? (unsigned)(m->bytes[0] << 8 | m->bytes[1]) ^ 0xffff : 0xffff;
    size_t len = write_frame(frame, *id, "localhost", TYPE_A);
    ck_assert_int_eq(send(m->fd, frame + 2, len - 2, 0), (ssize_t)len - 2);
}

/* The reply to a query, and the fence. */
static void read_datagrams(const struct message *m, unsigned fence)
{
    static uint8_t reply[REPLY_MAX];
    for (int left = 1 + is_query(m); left > 0; left--) {
        ssize_t n = recv(m->fd, reply, sizeof reply, 0);
        ck_assert_msg(n >= 12, "no reply to %s over UDP", m->file);
        if ((unsigned)(reply[0] << 8 | reply[1]) != fence)
            check_reply(m, reply, (size_t)n, false);
    }
}

static void send_datagrams(size_t from, size_t to)
{
    unsigned fences[BATCH];
    for (size_t i = from; i < to; i++) {
        struct message *m = &messages[i];
        m->fd = client_socket(dut, (unsigned)i % 16, SOCK_DGRAM);
        m->len = m->len < DATAGRAM_MAX ? m->len : DATAGRAM_MAX;
        ck_assert_int_eq(send(m->fd, m->bytes, m->len, 0), (ssize_t)m->len);
        send_fence(m, &fences[i - from]);
    }
    for (size_t i = from; i < to; i++)
        read_datagrams(&messages[i], fences[i - from]);
}

START_TEST(messages_made_by_others_over_udp)
{
    static uint8_t more[16];
    raise_limit();
    if (nftw(CORPORA, add_file, 16, FTW_PHYS) != 0) {
        printf("skipped: there is no " CORPORA "\n");
        return;
    }
    struct responder *server = responder_start(answer_all, NULL);
    dut = dnsd_start("-forward %s -predict", responder_at(server));
    size_t queries = 0;
    for (size_t i = 0; i < n_messages; i += BATCH)
        send_datagrams(i, i + BATCH < n_messages ? i + BATCH : n_messages);
    for (size_t i = 0; i < n_messages; i++) {
        struct message *m = &messages[i];
        ck_assert_msg(recv(m->fd, more, sizeof more, MSG_DONTWAIT) < 0,
            "%s over UDP: one reply too many", m->file);
        queries += is_query(m);
        close(m->fd);
        free(m->bytes);
    }
    ck_assert_uint_gt(queries, 100);
    row("| corpora over UDP | %zu messages | %zu are queries, each answered once |", n_messages,
        queries);
    responder_stop(server);
}
END_TEST

/* One message, the end of what we send, and all that comes before the end of what dnsd sends. */
static void send_over_stream(const struct message *m, unsigned client)
{
    static uint8_t reply[REPLY_MAX];
    uint8_t prefix[2] = {(uint8_t)(m->len >> 8), (uint8_t)m->len};
    size_t len, replies = 0;
    int fd = client_socket(dut, client, SOCK_STREAM);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(send(fd, prefix, 2, MSG_NOSIGNAL | MSG_MORE), 2);
    (void)send(fd, m->bytes, m->len, MSG_NOSIGNAL); /* what is too short is cut off at once */
    (void)shutdown(fd, SHUT_WR);
    while ((len = read_frame(fd, reply)) > 0) {
        check_reply(m, reply, len, true);
        replies++;
    }
    close(fd);
    ck_assert_msg(replies == is_query(m), "%s over TCP: %zu replies", m->file, replies);
}

START_TEST(messages_made_by_others_over_tcp)
{
    if (nftw(CORPORA, add_file, 16, FTW_PHYS) != 0) {
        printf("skipped: there is no " CORPORA "\n");
        return;
    }
    struct responder *server = responder_start(answer_all, NULL);
    dut = dnsd_start("-forward %s -predict", responder_at(server));
    for (size_t i = 0; i < n_messages; i++) {
        send_over_stream(&messages[i], (unsigned)i % 16);
        free(messages[i].bytes);
    }
    row("| corpora over TCP | %zu messages | each query answered once, nothing else |", n_messages);
    responder_stop(server);
}
END_TEST

/* ---- an honest client ------------------------------------------------------------------------ */

/* Asks for one name after the other over UDP, while others do what they do. */
struct honest {
    pthread_t thread;
    int fd;
    unsigned first, names;
    unsigned long wait_ms; /* for a reply, before it asks once more */
    atomic_uint pace_ms;   /* between questions */
    atomic_bool enough;
    atomic_ulong asked;
    unsigned long repeated, lost, slowest_ms; /* to be read once it has ended */
};

static bool ask_once(struct honest *h, const uint8_t *msg, size_t len)
{
    uint8_t reply[REPLY_SMALL];
    struct pollfd p = {.fd = h->fd, .events = POLLIN};
    uint64_t end_ms = now_ms() + h->wait_ms, at_ms;
    (void)send(h->fd, msg, len, 0);
    while ((at_ms = now_ms()) < end_ms && poll(&p, 1, (int)(end_ms - at_ms)) == 1) {
        ssize_t n = recv(h->fd, reply, sizeof reply, 0);
        if (n >= 12 && memcmp(reply, msg, 2) == 0)
            return (reply[3] & 15) == NOERROR && reply[7] == 1;
    }
    return false;
}

static void *be_honest(void *arg)
{
    struct honest *h = arg;
    while (!h->enough) {
        uint8_t frame[300];
        char name[64];
        snprintf(name, sizeof name, "hot%lu.example.com", (h->first + h->asked) % h->names);
        size_t len = write_frame(frame, h->asked & 0xffff, name, TYPE_A);
        uint64_t begun_ms = now_ms();
        bool answered = ask_once(h, frame + 2, len - 2);
        for (int i = 0; i < 3 && !answered; i++, h->repeated++)
            answered = ask_once(h, frame + 2, len - 2);
        unsigned long took_ms = (unsigned long)(now_ms() - begun_ms);
        h->slowest_ms = took_ms > h->slowest_ms ? took_ms : h->slowest_ms;
        h->lost += !answered;
        h->asked++;
        pause_ms(h->pace_ms);
    }
    return NULL;
}

static void honest_start(struct honest *h, unsigned first, unsigned names, unsigned long wait_ms)
{
    *h = (struct honest){.first = first, .names = names, .wait_ms = wait_ms};
    h->fd = client_socket(dut, 200, SOCK_DGRAM);
    ck_assert_int_eq(pthread_create(&h->thread, NULL, be_honest, h), 0);
    while (h->asked == 0) /* service is there before it is disturbed */
        pause_ms(1);
}

static void honest_end(struct honest *h, const char *while_what)
{
    h->enough = true;
    ck_assert_int_eq(pthread_join(h->thread, NULL), 0);
    close(h->fd);
    ck_assert_uint_gt(h->asked, 0);
    ck_assert_msg(h->lost == 0, "%s: %lu of %lu lost", while_what, h->lost, h->asked);
}

/* ---- streams that break the rules ------------------------------------------------------------ */

#define PIPELINED  65535
#define BIG_LEN    3000
#define IDLE_MAX   10000
#define CONNECTS   10000
#define ADDRESSES  250
#define SLOWEST_MS 1000
#define GROWN_KIB  16384 /* 40 times 128 KiB of replies; 10,000 connections */

/* Names with "big" have more than fits a datagram. */
static void answer_big(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX], rdata[BIG_LEN];
    if (strncmp(q->name, "big", 3) != 0) {
        answer_all(q, ctx);
        return;
    }
    size_t len = reply_start(q, NOERROR, msg);
    if (!q->tcp) {
        msg[2] |= 2;
        reply_send(q, 0, msg, len);
        return;
    }
    memset(rdata, 'x', sizeof rdata);
    for (size_t i = 0; i < sizeof rdata; i += 250)
        rdata[i] = 249;
    reply_send(q, 0, msg, reply_add(msg, len, TYPE_TXT, 300, rdata, sizeof rdata));
}

static int open_stream(unsigned client)
{
    int fd = client_socket(dut, client, SOCK_STREAM);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void must_send(int fd, const void *bytes, size_t len)
{
    ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* The one reply that is owed, to the question with this ID. */
static void must_be_answered(int fd, unsigned id)
{
    static uint8_t reply[REPLY_MAX];
    size_t len = read_frame(fd, reply);
    ck_assert_uint_ge(len, 12);
    ck_assert_uint_eq((unsigned)(reply[0] << 8 | reply[1]), id);
    ck_assert_uint_eq(reply[3] & 15, NOERROR);
}

/* Nothing more comes but the end, orderly or not. */
static void must_end(int fd)
{
    uint8_t byte;
    ck_assert_int_le(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

static void reset(int fd)
{
    const struct linger none = {.l_onoff = 1};
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
    close(fd);
}

static void byte_by_byte(void)
{
    uint8_t frame[300];
    size_t len = write_frame(frame, 7, "hot0.example.com", TYPE_A);
    const int on = 1;
    int fd = open_stream(1);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (size_t i = 0; i < len; i++)
        must_send(fd, frame + i, 1);
    must_be_answered(fd, 7);
    close(fd);
}

static void length_of_zero(void)
{
    uint8_t bytes[302] = {0, 0};
    size_t len = 2 + write_frame(bytes + 2, 7, "hot0.example.com", TYPE_A);
    int fd = open_stream(1);
    must_send(fd, bytes, len);
    must_end(fd);
}

static void cut_prefix(void)
{
    int fd = open_stream(1);
    must_send(fd, "\0", 1);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    must_end(fd);
}

/* What was answered before it was read leaves before the end. */
static void trailing_garbage(void)
{
    uint8_t bytes[400];
    size_t len = write_frame(bytes, 9, "localhost", TYPE_A);
    memcpy(bytes + len, "\0\5abcde", 7);
    int fd = open_stream(1);
    must_send(fd, bytes, len + 7);
    must_be_answered(fd, 9);
    must_end(fd);
}

/* Urgent bytes are no part of the stream, wherever they come. */
static void urgent_bytes(void)
{
    uint8_t frame[300];
    size_t len = write_frame(frame, 11, "hot0.example.com", TYPE_A);
    int fd = open_stream(1);
    ck_assert_int_eq(send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    must_send(fd, frame, len / 2);
    ck_assert_int_eq(send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    must_send(fd, frame + len / 2, len - len / 2);
    must_be_answered(fd, 11);
    close(fd);
}

static void resets_in_mid_message(void)
{
    uint8_t frame[300];
    size_t len = write_frame(frame, 11, "hot0.example.com", TYPE_A);
    for (unsigned i = 0; i < 300; i++) {
        int fd = open_stream(i % 10);
        must_send(fd, frame, 1 + i % (len - 1));
        reset(fd);
    }
}

/* Asks for more than ever fits, and takes nothing. */
static void never_reading(void)
{
    uint8_t frame[300];
    size_t len = write_frame(frame, 1, "big.example.com", TYPE_TXT), sent = 0;
    static uint8_t reply[REPLY_MAX];
    int fds[40];
    fds[0] = open_stream(1);
    must_send(fds[0], frame, len);
    ck_assert_uint_gt(read_frame(fds[0], reply), BIG_LEN);
    close(fds[0]);
    for (unsigned i = 0; i < 40; i++) {
        const int small = 4096;
        fds[i] = open_stream(i % 4);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        struct pollfd p = {.fd = fds[i], .events = POLLOUT};
        for (unsigned n = 0; n < 20000 && poll(&p, 1, 5) == 1; n++) {
            ssize_t took = send(fds[i], frame, len, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (took != (ssize_t)len)
                break;
            sent++;
        }
    }
    row("| never reading | 40 connections | %zu questions of %d bytes of answer written |", sent,
        BIG_LEN);
    for (unsigned i = 0; i < 40; i++)
        close(fds[i]);
}

struct writer {
    int fd;
    const uint8_t *bytes;
    size_t len;
    bool failed;
};

static void *write_all(void *arg)
{
    struct writer *w = arg;
    size_t sent = 0;
    while (sent < w->len) {
        ssize_t n = send(w->fd, w->bytes + sent, w->len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    w->failed = sent < w->len;
    return NULL;
}

static void pipelined(void)
{
    static uint8_t bytes[PIPELINED * 40], reply[REPLY_MAX];
    static bool seen[PIPELINED];
    struct writer w = {.fd = open_stream(1), .bytes = bytes};
    pthread_t thread;
    uint8_t frame[300];
    for (unsigned id = 0; id < PIPELINED; id++) {
        char name[32];
        snprintf(name, sizeof name, "hot%u.example.com", id % 50);
        size_t len = write_frame(frame, id, name, TYPE_A);
        memcpy(bytes + w.len, frame, len);
        w.len += len;
    }
    ck_assert_int_eq(pthread_create(&thread, NULL, write_all, &w), 0);
    for (unsigned n = 0; n < PIPELINED; n++) {
        size_t len = read_frame(w.fd, reply);
        ck_assert_msg(len >= 12, "the connection ended after %u replies", n);
        unsigned id = (unsigned)(reply[0] << 8 | reply[1]);
        ck_assert_msg(id < PIPELINED && !seen[id], "reply %u: ID %u", n, id);
        seen[id] = true;
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(!w.failed);
    close(w.fd);
}

/* So many that dnsd has to turn some away. */
static void idle_connections(void)
{
    static int fds[IDLE_MAX];
    size_t most = raise_limit() - 100 < IDLE_MAX ? raise_limit() - 100 : IDLE_MAX;
    most = harness_slow() ? most / 10 : most;
    uint64_t begun_ms = now_ms();
    for (unsigned i = 0; i < most; i++)
        fds[i] = client_socket(dut, 300 + i % ADDRESSES, SOCK_STREAM);
    row("| idle connections | %zu from %d addresses | in %lu ms; dnsd has %zu descriptors |", most,
        ADDRESSES, (unsigned long)(now_ms() - begun_ms), descriptors(dut));
    for (unsigned i = 0; i < most; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void connect_flood(void)
{
    unsigned most = harness_slow() ? CONNECTS / 10 : CONNECTS;
    uint64_t begun_ms = now_ms();
    for (unsigned i = 0; i < most; i++) {
        int fd = client_socket(dut, 600 + i % ADDRESSES, SOCK_STREAM);
        if (fd >= 0 && i % 3 == 0)
            close(fd);
        else if (fd >= 0)
            reset(fd);
    }
    row("| connect flood | %u from %d addresses | in %lu ms |", most, ADDRESSES,
        (unsigned long)(now_ms() - begun_ms));
}

static const struct {
    const char *name;
    void (*play)(void);
} streams[] = {
    {"byte by byte", byte_by_byte},
    {"a length of 0", length_of_zero},
    {"a prefix cut in two", cut_prefix},
    {"trailing garbage", trailing_garbage},
    {"urgent bytes", urgent_bytes},
    {"300 resets in mid-message", resets_in_mid_message},
    {"never reading", never_reading},
    {"65,535 pipelined", pipelined},
    {"idle connections", idle_connections},
    {"a connect flood", connect_flood},
};

START_TEST(streams_that_break_the_rules_disturb_nobody_else)
{
    struct honest h;
    raise_limit();
    struct responder *server = responder_start(answer_big, NULL);
    dut = dnsd_start("-forward %s", responder_at(server));
    honest_start(&h, 0, 50, WAIT_MS);
    unsigned long before_kib = status_kib(dut, "VmHWM:");
    streams[_i].play();
    byte_by_byte(); /* service goes on for streams too */
    honest_end(&h, streams[_i].name);
    unsigned long grown_kib = status_kib(dut, "VmHWM:") - before_kib;
    row("| %s | beside it %lu answers over UDP, slowest %lu ms | memory +%lu KiB at most |",
        streams[_i].name, h.asked, h.slowest_ms, grown_kib);
    if (!harness_slow()) {
        ck_assert_msg(h.slowest_ms <= SLOWEST_MS, "%s: an answer took %lu ms", streams[_i].name,
            h.slowest_ms);
        ck_assert_msg(grown_kib <= GROWN_KIB, "%s: %lu KiB", streams[_i].name, grown_kib);
    }
    responder_stop(server);
}
END_TEST

/* ---- a flood of names ------------------------------------------------------------------------ */

#define HOT_NAMES       1000
#define FLOOD_NAMES     100000
#define FLOODERS        16 /* addresses */
#define UNDER_WAY       16 /* questions of each */
#define HOT_CLIENTS     8
#define FLOOD_CACHE_KIB 8192

/* A server that is faster than any client: it answers each question with the same address. */
struct fast {
    pthread_t thread;
    int fd;
    uint16_t port;
    atomic_bool enough;
    atomic_ulong asked, hot;
};

static size_t fast_reply(const uint8_t *question, size_t len, uint8_t reply[REPLY_SMALL])
{
    static const uint8_t answer[] = {0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, 1};
    size_t end = 12;
    while (end < len && question[end] != 0)
        end += 1U + question[end];
    end += 5;
    if (end > len)
        return 0;
    memcpy(reply, question, end);
    reply[2] = 0x81;
    reply[3] = 0x80;
    memcpy(reply + 6, (const uint8_t[]){0, 1, 0, 0, 0, 0}, 6);
    memcpy(reply + end, answer, sizeof answer);
    return end + sizeof answer;
}

static void *be_fast(void *arg)
{
    struct fast *f = arg;
    while (!f->enough) {
        uint8_t question[REPLY_SMALL], reply[REPLY_SMALL];
        struct sockaddr_in from;
        socklen_t from_len = sizeof from;
        ssize_t n =
            recvfrom(f->fd, question, sizeof question, 0, (struct sockaddr *)&from, &from_len);
        size_t len = n > 16 ? fast_reply(question, (size_t)n, reply) : 0;
        if (len == 0)
            continue;
        f->asked++;
        f->hot += (question[13] | 0x20) == 'h';
        (void)sendto(f->fd, reply, len, 0, (struct sockaddr *)&from, from_len);
    }
    return NULL;
}

static const char *fast_start(struct fast *f)
{
    const int much = 8 << 20;
    struct timeval wait = {.tv_usec = 50000};
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t len = sizeof own;
    const char *address = own_address();
    ck_assert_int_eq(inet_pton(AF_INET, address, &own.sin_addr), 1);
    f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(f->fd, (struct sockaddr *)&own, sizeof own), 0);
    ck_assert_int_eq(getsockname(f->fd, (struct sockaddr *)&own, &len), 0);
    setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(f->fd, SOL_SOCKET, SO_RCVBUFFORCE, &much, sizeof much);
    ck_assert_int_eq(pthread_create(&f->thread, NULL, be_fast, f), 0);
    return text("%s:%u", address, (unsigned)ntohs(own.sin_port));
}

static void fast_stop(struct fast *f)
{
    f->enough = true;
    ck_assert_int_eq(pthread_join(f->thread, NULL), 0);
    close(f->fd);
}

struct flooder {
    int fd;
    unsigned under_way;
};

/* Takes the replies that are there. Where none has come for long, all are lost. */
static void take_replies(struct flooder *from, unsigned wait_ms)
{
    uint8_t reply[REPLY_SMALL];
    struct pollfd p = {.fd = from->fd, .events = POLLIN};
    if (poll(&p, 1, (int)wait_ms) == 0)
        from->under_way = 0;
    while (from->under_way > 0 && recv(from->fd, reply, sizeof reply, MSG_DONTWAIT) > 0)
        from->under_way--;
}

/* At full speed: always as many questions under way as dnsd can keep in its socket's buffer beside
 * those of others. What is thrown away before dnsd has read it would flood the kernel only. */
static unsigned long flood(const struct fast *f, unsigned long names)
{
    struct flooder flooders[FLOODERS] = {0};
    unsigned long sent = 0;
    for (unsigned i = 0; i < FLOODERS; i++)
        flooders[i].fd = client_socket(dut, 900 + i, SOCK_DGRAM);
    while (f->asked - f->hot < names) {
        struct flooder *from = &flooders[sent / UNDER_WAY % FLOODERS];
        uint8_t frame[300];
        char name[64];
        snprintf(name, sizeof name, "flood%lu.example.com", sent);
        size_t len = write_frame(frame, sent & 0xffff, name, TYPE_A);
        if (sent % UNDER_WAY == 0)
            while (from->under_way > UNDER_WAY / 4)
                take_replies(from, 500);
        from->under_way += send(from->fd, frame + 2, len - 2, 0) > 0;
        sent++;
        ck_assert_msg(sent < 4 * names, "only %lu of %lu came through", f->asked - f->hot, sent);
    }
    for (unsigned i = 0; i < FLOODERS; i++)
        close(flooders[i].fd);
    return sent;
}

static unsigned long flood_names(void)
{
    const char *wanted = getenv("FLOOD");
    unsigned long n = wanted != NULL ? strtoul(wanted, NULL, 10) : FLOOD_NAMES;
    ck_assert_uint_gt(n, 0);
    return harness_slow() ? n / 2 : n;
}

/* Of all clients who ask the hot names. */
static unsigned long asked_by(const struct honest hot[HOT_CLIENTS])
{
    unsigned long n = 0;
    for (unsigned i = 0; i < HOT_CLIENTS; i++)
        n += hot[i].asked;
    return n;
}

START_TEST(a_flood_of_names_neither_pushes_out_hot_ones_nor_grows_memory)
{
    struct fast f = {0};
    struct honest hot[HOT_CLIENTS];
    unsigned long names = flood_names(), slowest_ms = 0, repeated = 0;
    dut = dnsd_start("-forward %s -cache-size %d", fast_start(&f), FLOOD_CACHE_KIB * 1024);
    unsigned long before_kib = status_kib(dut, "VmRSS:");
    for (unsigned i = 0; i < HOT_CLIENTS; i++)
        honest_start(&hot[i], i * HOT_NAMES / HOT_CLIENTS, HOT_NAMES, 500);
    while (asked_by(hot) < 2 * HOT_CLIENTS * HOT_NAMES)
        pause_ms(5);
    unsigned long warm = f.hot, asked_before = asked_by(hot);
    uint64_t begun_ms = now_ms();
    unsigned long sent = flood(&f, names), took_ms = (unsigned long)(now_ms() - begun_ms);
    unsigned long asked = asked_by(hot) - asked_before, misses = f.hot - warm;
    unsigned long grown_kib = status_kib(dut, "VmHWM:") - before_kib;
    for (unsigned i = 0; i < HOT_CLIENTS; i++) {
        honest_end(&hot[i], "a flood of names");
        slowest_ms = hot[i].slowest_ms > slowest_ms ? hot[i].slowest_ms : slowest_ms;
        repeated += hot[i].repeated;
    }
    double rate = 100.0 - 100.0 * (double)misses / (double)asked;
    row("| flood of names | %lu sent, %lu asked upstream, in %lu ms | %lu questions for %d hot "
        "names, "
        "%lu sent again, %.2f %% hits, slowest %lu ms | memory +%lu KiB, cache %d KiB |",
        sent, f.asked - f.hot, took_ms, asked, HOT_NAMES, repeated, rate, slowest_ms, grown_kib,
        FLOOD_CACHE_KIB);
    ck_assert_uint_ge(warm, HOT_NAMES); /* misses are seen */
    ck_assert_uint_ge(asked, HOT_NAMES / 2);
    ck_assert_msg(rate >= 99, "%.2f %% hits, %lu misses", rate, misses);
    if (!harness_slow())
        ck_assert_uint_le(grown_kib, FLOOD_CACHE_KIB * 11 / 10);
    fast_stop(&f);
}
END_TEST

/* ---- without descriptors --------------------------------------------------------------------- */

#define HOARD        28   /* connections: about what 64 descriptors allow */
#define SILENT       60   /* questions whose sockets take the rest */
#define PAUSED_MS    1500 /* long enough for a spin to be seen */
#define SPIN_PERCENT 50

static void answer_or_not(const struct asked *q, void *ctx)
{
    if (strncmp(q->name, "silent", 6) != 0)
        answer_all(q, ctx);
}

/* A message that does not end: so the connection is not idle, and makes no room. */
static int hoard_one(unsigned client)
{
    int fd = client_socket(dut, client, SOCK_STREAM);
    if (fd >= 0)
        (void)send(fd, "\1\0x", 3, MSG_NOSIGNAL);
    return fd;
}

/* Each leaves in a turn of its own, for the fence behind it has been answered. */
static void wait_for_silence(void)
{
    int fd = client_socket(dut, 5, SOCK_DGRAM);
    for (unsigned i = 0; i < SILENT; i++) {
        uint8_t frame[300], reply[REPLY_SMALL];
        size_t len = write_frame(frame, i, text("silent%u.example.com", i), TYPE_A);
        must_send(fd, frame + 2, len - 2);
        len = write_frame(frame, 0xffff, "localhost", TYPE_A);
        must_send(fd, frame + 2, len - 2);
        do
            ck_assert_int_ge(recv(fd, reply, sizeof reply, 0), 12);
        while (reply[0] != 0xff);
    }
    close(fd);
}

static void start_with_few_descriptors(struct responder *server)
{
    setenv("DNSD_WRAP", "prlimit --nofile=64:64", 1);
    dut = dnsd_start("-forward %s", responder_at(server));
    unsetenv("DNSD_WRAP");
}

START_TEST(without_descriptors_udp_goes_on_and_accepting_resumes)
{
    struct honest h;
    int fds[2 * HOARD];
    struct responder *server = responder_start(answer_or_not, NULL);
    start_with_few_descriptors(server);
    byte_by_byte();
    honest_start(&h, 0, 50, WAIT_MS);
    while (h.asked < 50) /* from here on it needs no sockets upstream */
        pause_ms(1);
    h.pace_ms = 20; /* what it asks costs processor time too */
    for (unsigned i = 0; i < HOARD; i++)
        fds[i] = hoard_one(i);
    wait_for_silence();
    for (unsigned i = HOARD; i < 2 * HOARD; i++)
        fds[i] = hoard_one(i);
    dnsd_await(dut, "no new TCP connections");
    unsigned long before = h.asked, cpu_ms = dnsd_cpu_ms(dut);
    uint64_t begun_ms = now_ms();
    pause_ms(PAUSED_MS);
    unsigned long took_ms = (unsigned long)(now_ms() - begun_ms), answers = h.asked - before;
    cpu_ms = dnsd_cpu_ms(dut) - cpu_ms;
    for (unsigned i = 0; i < 2 * HOARD; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    begun_ms = now_ms();
    byte_by_byte();
    row("| 64 descriptors, all in use | %lu answers over UDP, %lu ms of processor in %lu ms | TCP "
        "again after %lu ms |",
        answers, cpu_ms, took_ms, (unsigned long)(now_ms() - begun_ms));
    honest_end(&h, "no descriptors");
    ck_assert_uint_ge(answers, 10);
    ck_assert_msg(
        cpu_ms * 100 <= took_ms * SPIN_PERCENT, "%lu ms of processor in %lu ms", cpu_ms, took_ms);
    responder_stop(server);
}
END_TEST

/* ---- lessons in junk ------------------------------------------------------------------------- */

#define LESSONS 8
#define JUNK    10
#define VISITS  6
#define OWN     100
#define BREAK_MS                                                                                   \
    300 /* longer than the window: what comes next does not belong to what was before */

/* Asks from this client's socket, and waits for the answer. */
static void ask_from(int fd, const char *name)
{
    uint8_t frame[300], reply[REPLY_SMALL];
    size_t len = write_frame(frame, 1, name, TYPE_A);
    must_send(fd, frame + 2, len - 2);
    ck_assert_int_ge(recv(fd, reply, sizeof reply, 0), 12);
}

static void answer_for_once(const struct asked *q, void *ctx)
{
    (void)ctx;
    reply_a(q, 0, 0, "192.0.2.1");
}

static size_t junk_asked(struct responder *r)
{
    size_t n = 0;
    for (unsigned i = 0; i < JUNK; i++)
        n += responder_asked(r, text("junk%u.example.net", i));
    return n;
}

/* What a client asks upstream beside its own names after another one has taught that junk follows
 * a popular name. */
static size_t junk_for_others(struct responder *server, const char *share)
{
    dut = dnsd_start("-forward %s -predict -predict-window 200ms %s", responder_at(server), share);
    int trainer = client_socket(dut, 1, SOCK_DGRAM), victim = client_socket(dut, 2, SOCK_DGRAM);
    for (unsigned lesson = 0; lesson < LESSONS; lesson++) {
        ask_from(trainer, "www.popular.example.com");
        for (unsigned i = 0; i < JUNK; i++)
            ask_from(trainer, text("junk%u.example.net", i));
        pause_ms(BREAK_MS);
    }
    size_t before = junk_asked(server);
    for (unsigned visit = 0; visit < VISITS; visit++) {
        ask_from(victim, "www.popular.example.com");
        pause_ms(BREAK_MS);
    }
    for (unsigned i = 0; i < OWN; i++)
        ask_from(victim, text("own%u.example.org", i));
    close(trainer);
    close(victim);
    size_t junk = junk_asked(server) - before;
    ck_assert_int_eq(dnsd_stop(dut), 0);
    return junk;
}

static void teach_junk(unsigned nth)
{
    struct responder *server = responder_start(answer_for_once, NULL);
    size_t junk = junk_for_others(server, nth == 0 ? "" : "-predict-share 1");
    row("| lessons in junk%s | %d questions of another client | %zu for junk upstream |",
        nth == 0 ? "" : ", shared at once", VISITS + OWN, junk);
    if (nth == 0)
        ck_assert_uint_le(junk * 100, VISITS + OWN);
    else
        ck_assert_uint_gt(junk * 100, VISITS + OWN); /* what was taught was learned */
    responder_stop(server);
}

START_TEST(who_teaches_junk_costs_others_nothing)
{
    harness_side_by_side(2, teach_junk);
}
END_TEST

/* ---- ports that chatter, and ports where nobody is ------------------------------------------- */

/* A socket at a port of the test's own address, connected to dnsd; -1 where only root may have it.
 */
static int socket_at_port(unsigned port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(dut->port)};
    struct timeval wait = {.tv_sec = WAIT_MS / 1000};
    ck_assert_int_eq(inet_pton(AF_INET, dut->address, &to.sin_addr), 1);
    own.sin_addr = to.sin_addr;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) == 0) {
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
        return fd;
    }
    ck_assert_int_eq(errno, EACCES);
    close(fd);
    return -1;
}

/* A question from port 0, which no socket has. False where only root may write whole datagrams. */
static bool send_from_port_0(const uint8_t *msg, size_t len)
{
    uint8_t datagram[8 + 300] = {0};
    struct sockaddr_in to = {.sin_family = AF_INET};
    ck_assert_int_eq(inet_pton(AF_INET, dut->address, &to.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
    if (fd < 0)
        return false;
    datagram[2] = (uint8_t)(dut->port >> 8);
    datagram[3] = (uint8_t)dut->port;
    datagram[4] = (uint8_t)((8 + len) >> 8);
    datagram[5] = (uint8_t)(8 + len); /* behind it a checksum of 0: there is none */
    memcpy(datagram + 8, msg, len);
    ck_assert_int_eq(
        sendto(fd, datagram, 8 + len, 0, (struct sockaddr *)&to, sizeof to), (ssize_t)(8 + len));
    close(fd);
    return true;
}

START_TEST(ports_that_chatter_get_no_answer)
{
    static const unsigned ports[] = {7, 13, 17, 19};
    int fds[4];
    uint8_t frame[300], reply[REPLY_SMALL];
    size_t len = write_frame(frame, 1, "localhost", TYPE_A);
    dut = dnsd_start("-forward 192.0.2.1");
    for (size_t i = 0; i < 4; i++) {
        fds[i] = socket_at_port(ports[i]);
        if (fds[i] >= 0)
            must_send(fds[i], frame + 2, len - 2);
    }
    bool raw = send_from_port_0(frame + 2, len - 2);
    int fd = socket_at_port(fds[0] >= 0 ? 20 : 0); /* is answered, and so last of all */
    must_send(fd, frame + 2, len - 2);
    ck_assert_int_ge(recv(fd, reply, sizeof reply, 0), 12);
    for (size_t i = 0; i < 4; i++)
        ck_assert(fds[i] < 0 || recv(fds[i], reply, sizeof reply, MSG_DONTWAIT) < 0);
    row("| chatter | %d ports and %s answered nothing |", fds[0] < 0 ? 0 : 4,
        raw ? "port 0" : "no other");
    ck_assert_uint_eq(dnsd_figure(dut, "questions: "), 1);
    for (size_t i = 0; i < 4; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    close(fd);
}
END_TEST

static void answer_late(const struct asked *q, void *ctx)
{
    (void)ctx;
    reply_a(q, 100, 300, "192.0.2.1");
}

#define GONE 200

/* Their ports are closed when the replies come, some at once and some late: the kernel says so. */
START_TEST(clients_that_have_gone_cost_nothing)
{
    struct responder *server = responder_start(answer_late, NULL);
    dut = dnsd_start("-forward %s", responder_at(server));
    int stays = client_socket(dut, 1, SOCK_DGRAM);
    for (unsigned i = 0; i < GONE; i++) {
        uint8_t frame[300];
        const char *name = i % 2 == 0 ? "localhost" : text("late%u.example.com", i);
        size_t len = write_frame(frame, i, name, TYPE_A);
        int fd = client_socket(dut, 2, SOCK_DGRAM);
        must_send(fd, frame + 2, len - 2);
        close(fd);
        if (i % 20 == 0)
            ask_from(stays, text("stays%u.example.com", i)); /* meanwhile the others' replies go */
    }
    ask_from(stays, "last.example.com");
    ck_assert_uint_eq(dnsd_figure(dut, "questions: "), GONE + GONE / 20 + 1);
    ck_assert_uint_eq(dnsd_figure(dut, "; rejected "), 0);
    must_have(dnsd_statistic(dut, "; rejected "), "failed 0, dropped 0");
    must_lack(read_file(dut->log), "could not be sent");
    close(stays);
    responder_stop(server);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/hostile_client");
    TCase *c = harness_case(s, "hostile_client");
    tcase_add_test(c, messages_made_by_others_over_udp);
    tcase_add_test(c, messages_made_by_others_over_tcp);
    tcase_add_test(c, a_flood_of_names_neither_pushes_out_hot_ones_nor_grows_memory);
    if (getenv("DNSD_WRAP") == NULL) /* it wraps dnsd itself */
        tcase_add_test(c, without_descriptors_udp_goes_on_and_accepting_resumes);
    tcase_add_test(c, who_teaches_junk_costs_others_nothing);
    tcase_add_test(c, ports_that_chatter_get_no_answer);
    tcase_add_test(c, clients_that_have_gone_cost_nothing);
    tcase_add_loop_test(c, streams_that_break_the_rules_disturb_nobody_else, 0,
        (int)(sizeof streams / sizeof streams[0]));
    return harness_run(s);
}
