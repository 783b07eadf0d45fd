/* hostile_client.c: what clients can do to dnsd, over real sockets: messages that others found
 * hurtful, streams that break the rules, floods, hoards of connections, lessons in junk.
 * Knows messages, sockets and what /proc tells; never dnsd's insides. TABLE=1 shows the figures,
 * FLOOD is the number of names of the flood. */
#include "peers.h"
#include "tests/system/dissect.h"

#include <arpa/inet.h>
#include <ftw.h>
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

/* A socket of the client with this number, connected to dnsd; -1: dnsd does not want it. Whoever
 * waits for dnsd on it waits no longer than a test may. */
static int client_socket(unsigned client, int type)
{
    struct timeval wait = {.tv_sec = WAIT_MS / 1000};
    struct sockaddr_in own = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    own.sin_addr.s_addr = htonl(0x7f800001 + client * 256);
    to.sin_port = htons(dut->port);
    ck_assert_int_eq(inet_pton(AF_INET, dut->address, &to.sin_addr), 1);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

/* A question behind room for its length, which is filled in. Returns the length of both. */
static size_t write_frame(uint8_t frame[300], unsigned id, const char *name, enum type type)
{
    uint8_t *msg = frame + 2;
    size_t len = 12;
    memset(msg, 0, len);
    msg[0] = (uint8_t)(id >> 8);
    msg[1] = (uint8_t)id;
    msg[2] = msg[5] = 1;
    for (const char *at = name; *at != '\0'; at += strcspn(at, ".") + (strchr(at, '.') != NULL)) {
        size_t n = strcspn(at, ".");
        msg[len++] = (uint8_t)n;
        memcpy(msg + len, at, n);
        len += n;
    }
    memcpy(msg + len, (const uint8_t[]){0, 0, (uint8_t)type, 0, 1}, 5);
    len += 5;
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
        m->fd = client_socket((unsigned)i % 16, SOCK_DGRAM);
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
    int fd = client_socket(client, SOCK_STREAM);
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

int main(void)
{
    Suite *s = suite_create("system/hostile_client");
    TCase *c = harness_case(s, "hostile_client");
    tcase_add_test(c, messages_made_by_others_over_udp);
    tcase_add_test(c, messages_made_by_others_over_tcp);
    return harness_run(s);
}
