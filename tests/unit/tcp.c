/* tcp.c: drives TCP listeners over loopback, with clients that behave and clients that do not.
 * Knows what a peer can see and what is counted; the time stands still unless a test moves it. */
#include "net/tcp.h"

#include "net/sockaddr.h"
#include "tests/heap.h"
#include "tests/unit/fakedesk.h"
#include "tests/unit/scarce.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLIENTS_MAX 1100
#define IDLE_MS     10000
#define FIRST_MS    2000

static struct tcp *tcp;
static struct addr bound;
static int clients[CLIENTS_MAX];
static size_t n_clients;
static unsigned n_sends; /* of the listener; the clients write */

/* What the kernel is to say to the next calls; 0 ends them. */
static int send_errors[4], accept_errors[4], receive_errors[4];
static int shutdown_error, reserve_error, name_error; /* of all calls */
static bool from_nowhere;                             /* whoever is accepted */

static int next_error(int errors[4])
{
    int error = errors[0];
    memmove(errors, errors + 1, 3 * sizeof errors[0]);
    return error;
}

/* In place of the C library's, to count and to fail. */
ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    n_sends++;
    errno = next_error(send_errors);
    if (errno != 0)
        return -1;
    return syscall(SYS_sendto, fd, bytes, len, flags, NULL, 0);
}

/* The kernel looks for a free descriptor before it accepts; valgrind, which keeps the limit itself,
 * looks afterwards. */
int accept4(int fd, __SOCKADDR_ARG from, socklen_t *len, int flags)
{
    errno = next_error(accept_errors);
    if (errno != 0)
        return -1;
    int spare = dup(fd);
    if (spare < 0)
        return -1;
    close(spare);
    int result = (int)syscall(SYS_accept4, fd, from.__sockaddr__, len, flags);
    if (result >= 0 && from_nowhere)
        from.__sockaddr__->sa_family = AF_UNIX;
    return result;
}

ssize_t recv(int fd, void *to, size_t len, int flags)
{
    errno = next_error(receive_errors);
    return errno != 0 ? -1 : syscall(SYS_recvfrom, fd, to, len, flags, NULL, NULL);
}

int shutdown(int fd, int how)
{
    errno = shutdown_error;
    return errno != 0 ? -1 : (int)syscall(SYS_shutdown, fd, how);
}

int eventfd(unsigned value, int flags)
{
    errno = reserve_error;
    return errno != 0 ? -1 : (int)syscall(SYS_eventfd2, value, flags);
}

int getsockname(int fd, __SOCKADDR_ARG out, socklen_t *len)
{
    errno = name_error;
    return errno != 0 ? -1 : (int)syscall(SYS_getsockname, fd, out.__sockaddr__, len);
}

/* ---- a set of listeners and its clients ------------------------------------------------------ */

static void address(const char *text, struct addr *out)
{
    ck_assert_int_eq(addr_parse(text, 0, out), 0);
}

static void create(size_t connections_max, size_t per_client_max)
{
    struct tcp_conf conf = {.idle_ms = IDLE_MS,
        .first_message_ms = FIRST_MS,
        .connections_max = connections_max,
        .per_client_max = per_client_max};
    tcp = tcp_create(loop, turn, &conf, &fakedesk);
    ck_assert_ptr_nonnull(tcp);
}

static void listen_at(const char *text)
{
    struct addr at;
    address(text, &at);
    ck_assert_int_eq(tcp_listen(tcp, &at, &bound), 0);
    ck_assert_uint_ne(bound.port, 0);
}

static void setup(void)
{
    n_clients = 0;
    n_sends = 0;
    memset(send_errors, 0, sizeof send_errors);
    memset(accept_errors, 0, sizeof accept_errors);
    memset(receive_errors, 0, sizeof receive_errors);
    shutdown_error = reserve_error = name_error = 0;
    from_nowhere = false;
    fake_start();
}

static void setup_one(void)
{
    setup();
    create(5000, 5000);
    listen_at("127.0.0.1");
}

/* Two connections are more than half of what there may be. */
static void setup_scarce(void)
{
    setup();
    create(3, 3);
    listen_at("127.0.0.1");
}

static void teardown(void)
{
    tcp_free(tcp);
    tcp = NULL;
    for (size_t i = 0; i < n_clients; i++)
        if (clients[i] >= 0)
            close(clients[i]);
    fake_end();
}

static struct tcp_counts counts(void)
{
    struct tcp_counts c;
    tcp_count(tcp, &c);
    return c;
}

/* A client's socket, bound to from if that is not NULL, not yet connected. */
static int client_socket(const char *from)
{
    ck_assert_uint_lt(n_clients, CLIENTS_MAX);
    int fd = socket(sockaddr_family(&bound), SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    clients[n_clients++] = fd;
    if (from != NULL) {
        struct sockaddr_storage ss = {0};
        struct addr a;
        address(from, &a);
        socklen_t len = sockaddr_from_addr(&a, &ss);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
    }
    return fd;
}

static void connect_to(int fd, const char *text)
{
    struct sockaddr_storage ss = {0};
    struct addr to;
    address(text, &to);
    to.port = bound.port;
    socklen_t len = sockaddr_from_addr(&to, &ss);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static int connected_from(const char *from)
{
    int fd = client_socket(from);
    connect_to(fd, "127.0.0.1");
    fake_turns(3);
    return fd;
}

static int connected(void)
{
    return connected_from(NULL);
}

static void hang_up(int fd)
{
    for (size_t i = 0; i < n_clients; i++)
        if (clients[i] == fd)
            clients[i] = -1;
    close(fd);
    fake_turns(3);
}

/* To hang up will be a reset. */
static void reset_on_close(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
}

static void slam(int fd)
{
    reset_on_close(fd);
    hang_up(fd);
}

static void write_bytes(int fd, const uint8_t *bytes, size_t len)
{
    ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
}

/* A question with its length in front of it; returns the length of both. */
static size_t frame(uint8_t *out, uint16_t id, enum fake_order order, size_t len)
{
    out[0] = (uint8_t)(len >> 8);
    out[1] = (uint8_t)len;
    return 2 + fake_question(out + 2, id, order, len);
}

static void ask(int fd, uint16_t id, enum fake_order order)
{
    uint8_t bytes[64];
    write_bytes(fd, bytes, frame(bytes, id, order, 30));
}

static void read_bytes(int fd, uint8_t *out, size_t len)
{
    size_t got = 0;
    while (got < len) {
        ck_assert(fake_readable(fd));
        ssize_t n = read(fd, out + got, len - got);
        ck_assert_int_gt(n, 0);
        got += (size_t)n;
    }
}

/* Reads the next reply; returns its length. */
static size_t receive(int fd, uint8_t out[WIRE_MESSAGE_MAX])
{
    uint8_t prefix[2];
    read_bytes(fd, prefix, 2);
    size_t len = fake_id(prefix);
    read_bytes(fd, out, len);
    return len;
}

static void expect(int fd, uint16_t id)
{
    static uint8_t msg[WIRE_MESSAGE_MAX];
    ck_assert_uint_ge(receive(fd, msg), 12);
    ck_assert_uint_eq(fake_id(msg), id);
}

/* A reply that fake_reply or FAKE_BIG made: every byte in its place. */
static void expect_filled(int fd, uint16_t id, size_t len)
{
    static uint8_t msg[WIRE_MESSAGE_MAX];
    ck_assert_uint_eq(receive(fd, msg), len);
    ck_assert_uint_eq(fake_id(msg), id);
    size_t i = 2;
    while (i < len && msg[i] == (uint8_t)(id + i))
        i++;
    ck_assert_uint_eq(i, len);
}

static void expect_nothing(int fd)
{
    uint8_t byte;
    fake_turns(6);
    ck_assert_int_eq(read(fd, &byte, 1), -1);
    ck_assert_int_eq(errno, EAGAIN);
}

/* Nothing more, and hung up: in good order or with a reset. */
static void expect_end(int fd)
{
    uint8_t byte;
    ck_assert(fake_readable(fd));
    ssize_t n = read(fd, &byte, 1);
    ck_assert(n == 0 || (n == -1 && errno == ECONNRESET));
}

/* ---- messages -------------------------------------------------------------------------------- */

START_TEST(one_question_one_reply_in_one_write)
{
    int fd = connected();
    ask(fd, 1, FAKE_ECHO);
    expect(fd, 1);
    ck_assert_uint_eq(n_sends, 1); /* RFC 7766 8 */
    ck_assert_int_eq(fakedesk.last.transport, CLIENT_TCP);
    ck_assert(addr_equal(&fakedesk.last.local, &bound));
    ck_assert(addr_is_loopback(&fakedesk.last.peer));
    ck_assert_uint_eq(fakedesk.last_len, 30);
}
END_TEST

/* Nagle's algorithm would hold a second reply back until the first is acknowledged. */
START_TEST(replies_are_not_held_back)
{
    int fd = connected();
    struct sockaddr_in mine, theirs;
    socklen_t len = sizeof mine;
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&mine, &len), 0);
    int n_found = 0;
    for (int other = 0; other < 256; other++) {
        int on = 0;
        socklen_t on_len = sizeof on;
        len = sizeof theirs;
        if (getpeername(other, (struct sockaddr *)&theirs, &len) != 0 ||
            theirs.sin_port != mine.sin_port)
            continue;
        n_found++;
        ck_assert_int_eq(getsockopt(other, IPPROTO_TCP, TCP_NODELAY, &on, &on_len), 0);
        ck_assert_int_ne(on, 0);
    }
    ck_assert_int_eq(n_found, 1);
}
END_TEST

START_TEST(questions_in_one_segment_get_their_replies_in_one_write)
{
    uint8_t bytes[100 * 32];
    int fd = connected();
    for (uint16_t id = 0; id < 100; id++)
        frame(bytes + 32 * id, id, FAKE_ECHO, 30);
    write_bytes(fd, bytes, sizeof bytes);
    for (uint16_t id = 0; id < 100; id++)
        expect(fd, id);
    ck_assert_uint_eq(n_sends, 1);
}
END_TEST

START_TEST(a_hundred_pipelined_questions_are_replied_to_in_any_order)
{
    uint8_t bytes[100 * 32];
    int fd = connected();
    for (uint16_t id = 0; id < 100; id++)
        frame(bytes + 32 * id, id, FAKE_LATER, 30);
    write_bytes(fd, bytes, sizeof bytes);
    fake_turns(5);
    ck_assert_uint_eq(fakedesk.n_seen, 64); /* in flight at most */
    for (size_t i = 64; i-- > 0;)
        fake_reply(i, 20 + i);
    for (size_t i = 64; i-- > 0;)
        expect_filled(fd, (uint16_t)i, 20 + i);
    ck_assert_uint_eq(n_sends, 1);
    fake_turns(5);
    ck_assert_uint_eq(fakedesk.n_seen, 100);
    for (size_t i = 64; i < 100; i += 2)
        fake_reply(i, 20);
    for (size_t i = 65; i < 100; i += 2)
        fake_drop(i);
    for (uint16_t id = 64; id < 100; id += 2)
        expect_filled(fd, id, 20);
    expect_nothing(fd);
}
END_TEST

START_TEST(questions_and_replies_of_the_largest_size_pass)
{
    static uint8_t bytes[2 + WIRE_MESSAGE_MAX];
    int fd = connected();
    fakedesk.big = WIRE_MESSAGE_MAX;
    for (uint16_t id = 1; id < 4; id++) {
        size_t len = frame(bytes, id, FAKE_BIG, WIRE_MESSAGE_MAX);
        for (size_t at = 0; at < len;) {
            ssize_t n = write(fd, bytes + at, len - at);
            ck_assert(n > 0 || errno == EAGAIN);
            at += n > 0 ? (size_t)n : 0;
            fake_turns(2);
        }
        expect_filled(fd, id, WIRE_MESSAGE_MAX);
        ck_assert_uint_eq(fakedesk.last_len, WIRE_MESSAGE_MAX);
    }
    ck_assert_uint_eq(counts().buffered, 0);
}
END_TEST

START_TEST(a_question_byte_by_byte_is_one_question)
{
    uint8_t bytes[64];
    int fd = connected();
    size_t len = frame(bytes, 7, FAKE_ECHO, 30);
    for (size_t i = 0; i < len; i++) {
        ck_assert_uint_eq(fakedesk.n_seen, 0);
        write_bytes(fd, bytes + i, 1);
        fake_turns(2);
    }
    expect(fd, 7);
    ck_assert_uint_eq(counts().buffered, 0);
}
END_TEST

START_TEST(messages_may_be_cut_anywhere)
{
    uint8_t bytes[3 * 32];
    for (uint16_t id = 0; id < 3; id++)
        frame(bytes + 32 * id, id, FAKE_ECHO, 30);
    int fd = connected();
    for (size_t cut = 1; cut < sizeof bytes; cut++) {
        write_bytes(fd, bytes, cut);
        fake_turns(2);
        write_bytes(fd, bytes + cut, sizeof bytes - cut);
        for (uint16_t id = 0; id < 3; id++)
            expect(fd, id);
    }
}
END_TEST

START_TEST(a_dropped_question_does_not_end_the_connection)
{
    int fd = connected();
    ask(fd, 1, FAKE_NONE);
    ask(fd, 2, FAKE_ECHO);
    expect(fd, 2);
}
END_TEST

START_TEST(a_reply_from_inside_the_desk_keeps_the_stream_whole)
{
    uint8_t bytes[3 * 32];
    int fd = connected();
    frame(bytes, 1, FAKE_ECHO, 30);
    frame(bytes + 32, 2, FAKE_INSIDE, 30);
    frame(bytes + 64, 3, FAKE_ECHO, 30);
    write_bytes(fd, bytes, sizeof bytes);
    bool seen[4] = {false};
    static uint8_t msg[WIRE_MESSAGE_MAX];
    for (int i = 0; i < 3; i++) {
        receive(fd, msg);
        ck_assert_uint_le(fake_id(msg), 3);
        seen[fake_id(msg)] = true;
    }
    ck_assert(seen[1] && seen[2] && seen[3]);
    expect_nothing(fd);
}
END_TEST

/* Once, at an end of the turn that comes behind the listener's. */
static void reply_at_end(void *ctx, uint64_t now_ms)
{
    (void)now_ms;
    unsigned *n = ctx;
    if ((*n)++ == 0)
        fake_reply(0, 30);
}

START_TEST(a_reply_behind_the_end_of_the_turn_does_not_wait_for_the_next_event)
{
    unsigned n = 0;
    int fd = connected();
    ask(fd, 1, FAKE_LATER);
    fake_turns(2);
    turn_add_end(turn, reply_at_end, &n);
    ck_assert(fake_wakes());
    ck_assert_uint_eq(n, 1);
    fake_turns(1);
    expect_filled(fd, 1, 30);
    turn_remove(turn, &n);
}
END_TEST

START_TEST(out_of_band_bytes_disturb_nobody)
{
    int fd = connected();
    ck_assert_int_eq(syscall(SYS_sendto, fd, "!", 1, MSG_OOB, NULL, 0), 1);
    ask(fd, 1, FAKE_ECHO);
    expect(fd, 1);
}
END_TEST

START_TEST(a_wildcard_listener_knows_which_address_was_asked)
{
    create(10, 10);
    listen_at("0.0.0.0");
    int fd = client_socket(NULL);
    connect_to(fd, "127.0.0.9");
    ask(fd, 1, FAKE_ECHO);
    expect(fd, 1);
    struct addr asked;
    address("127.0.0.9", &asked);
    asked.port = bound.port;
    ck_assert(addr_equal(&asked, &fakedesk.last.local));
}
END_TEST

START_TEST(several_addresses_of_both_families_are_one_set)
{
    create(10, 10);
    listen_at("127.0.0.1");
    int four = connected();
    listen_at("::1");
    int six = client_socket(NULL);
    connect_to(six, "::1");
    ask(six, 6, FAKE_ECHO);
    expect(six, 6);
    ask(four, 4, FAKE_ECHO);
    expect(four, 4);
    ck_assert_uint_eq(tcp_connections(tcp), 2);
}
END_TEST

START_TEST(a_port_that_is_taken_is_an_error)
{
    struct addr at = bound;
    ck_assert_int_eq(tcp_listen(tcp, &at, NULL), -1);
}
END_TEST

/* ---- peers that misbehave -------------------------------------------------------------------- */

/* Both ends of each take a descriptor. */
static size_t n_clients_possible(void)
{
    struct rlimit files;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    size_t n = (size_t)(files.rlim_cur - 100) / 2;
    return n < CLIENTS_MAX ? n : CLIENTS_MAX;
}

static void ask_for_big(int fd, size_t n, size_t size)
{
    fakedesk.big = size;
    for (uint16_t id = 0; id < n; id++) {
        uint8_t bytes[64];
        if (write(fd, bytes, frame(bytes, id, FAKE_BIG, 30)) < 0)
            ck_assert_int_eq(errno, EAGAIN);
    }
    fake_turns(200);
}

START_TEST(a_length_no_message_can_have_ends_the_connection_and_no_other)
{
    int good = connected();
    for (uint8_t len = 0; len < WIRE_HEADER_LEN; len++) {
        uint8_t prefix[2] = {0, len};
        int fd = connected();
        write_bytes(fd, prefix, 2);
        expect_end(fd);
    }
    ask(good, 1, FAKE_ECHO);
    expect(good, 1);
    ck_assert_uint_eq(tcp_connections(tcp), 1);
    ck_assert_uint_eq(fakedesk.n_seen, 1);
}
END_TEST

START_TEST(what_came_before_a_bad_length_is_answered)
{
    uint8_t bytes[34] = {0};
    int fd = connected();
    frame(bytes, 1, FAKE_ECHO, 30);
    write_bytes(fd, bytes, sizeof bytes);
    expect(fd, 1);
    expect_end(fd);
}
END_TEST

START_TEST(a_prefix_cut_in_two_by_a_hang_up_is_the_end)
{
    int fd = connected();
    write_bytes(fd, (const uint8_t *)"", 1);
    fake_turns(2);
    hang_up(fd);
    fd = connected();
    write_bytes(fd, (const uint8_t *)"\0\x1e\1\2", 4);
    fake_turns(2);
    hang_up(fd);
    ck_assert_uint_eq(tcp_connections(tcp), 0);
    ck_assert_uint_eq(counts().buffered, 0);
    ck_assert_uint_eq(fakedesk.n_seen, 0);
}
END_TEST

START_TEST(a_reset_in_the_middle_of_a_message_ends_only_that_connection)
{
    int good = connected();
    int fd = connected();
    ask(fd, 1, FAKE_LATER);
    write_bytes(fd, (const uint8_t *)"\0\x1e\1\2", 4);
    fake_turns(3);
    slam(fd);
    ck_assert_uint_eq(tcp_connections(tcp), 1);
    fake_reply(0, 40);
    ask(good, 2, FAKE_ECHO);
    expect(good, 2);
}
END_TEST

START_TEST(a_peer_that_hangs_up_gets_no_reply_and_breaks_nothing)
{
    int fd = connected();
    for (uint16_t id = 0; id < 4; id++)
        ask(fd, id, FAKE_LATER);
    fake_turns(3);
    slam(fd);
    ck_assert_uint_eq(tcp_connections(tcp), 0);
    ck_assert_uint_eq(counts().orphans, 1);
    fake_reply(2, 40);
    fake_drop(0);
    fake_reply(1, WIRE_MESSAGE_MAX);
    fake_turns(3);
    fake_drop(3); /* the struct has gone with this one */
    ck_assert_uint_eq(counts().orphans, 0);
    fake_turns(3);
}
END_TEST

START_TEST(a_reset_that_is_noticed_by_sending_ends_the_connection)
{
    for (int i = 0; i < 2; i++) {
        int fd = connected();
        ask(fd, 1, FAKE_LATER);
        ask(fd, 2, FAKE_LATER);
        fake_turns(3);
        fake_reply(fakedesk.n_later - 1, 40);
        send_errors[0] = i == 0 ? ECONNRESET : EPIPE;
        fake_turns(3);
        ck_assert_uint_eq(tcp_connections(tcp), 0);
        fake_reply(fakedesk.n_later - 2, 40);
        expect_end(fd);
    }
    int fd = connected();
    ask(fd, 3, FAKE_ECHO);
    send_errors[0] = EPIPE;
    expect_end(fd);
    fd = connected();
    send_errors[0] = EPIPE;
    ask_for_big(fd, 3, WIRE_MESSAGE_MAX); /* more than the cork holds */
    ck_assert_uint_eq(tcp_connections(tcp), 0);
    ck_assert_uint_eq(counts().buffered, 0);
}
END_TEST

START_TEST(an_interrupted_send_is_repeated_and_a_full_socket_waited_for)
{
    int fd = connected();
    send_errors[0] = EINTR;
    send_errors[1] = EAGAIN;
    ask(fd, 3, FAKE_ECHO);
    expect(fd, 3);
}
END_TEST

START_TEST(late_replies_queue_up_behind_a_slow_reader_in_whole)
{
    int fd = client_socket(NULL);
    int bytes = 4096; /* so that the kernel takes little */
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    connect_to(fd, "127.0.0.1");
    size_t n_replied = 0;
    for (uint16_t id = 0; id < 200; id++)
        ask(fd, id, FAKE_LATER);
    for (uint16_t id = 0; id < 200; id++) {
        fake_turns(3);
        for (; n_replied < fakedesk.n_later; n_replied++)
            fake_reply(n_replied, 60000);
        expect_filled(fd, id, 60000);
        fake_pass(IDLE_MS / 2); /* whatever it takes gives it time anew */
    }
    ck_assert_uint_eq(counts().buffered, 0);
}
END_TEST

START_TEST(a_peer_that_only_stops_sending_still_gets_its_replies)
{
    int fd = connected();
    for (uint16_t id = 0; id < 3; id++)
        ask(fd, id, FAKE_LATER);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    fake_turns(4);
    ck_assert_uint_eq(tcp_connections(tcp), 1);
    fake_pass(IDLE_MS + 1);
    fake_reply(0, 40);
    fake_drop(1);
    expect_filled(fd, 0, 40);
    expect_nothing(fd);
    fake_reply(2, 41);
    expect_filled(fd, 2, 41);
    expect_end(fd);
    ck_assert_uint_eq(tcp_connections(tcp), 0);
}
END_TEST

START_TEST(questions_held_back_are_answered_after_the_peer_stopped_sending)
{
    uint8_t bytes[80 * 32];
    int fd = connected();
    for (uint16_t id = 0; id < 80; id++)
        frame(bytes + 32 * id, id, id < 64 ? FAKE_LATER : FAKE_ECHO, 30);
    write_bytes(fd, bytes, sizeof bytes);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    fake_turns(4);
    ck_assert_uint_eq(fakedesk.n_seen, 64);
    for (size_t i = 0; i < 64; i++)
        fake_drop(i);
    for (uint16_t id = 64; id < 80; id++)
        expect(fd, id);
    expect_end(fd);
}
END_TEST

START_TEST(a_peer_that_never_reads_is_read_no_more_and_closed_in_time)
{
    int good = connected();
    int fd = connected();
    ask(good, 1, FAKE_ECHO);
    expect(good, 1);
    ask_for_big(fd, 900, 60000);
    size_t n_seen = fakedesk.n_seen;
    ck_assert_uint_lt(n_seen, 20); /* 128 KiB, a cork, and 64 KiB in the kernel and its window */
    ck_assert_uint_gt(counts().buffered, 0);
    ck_assert_uint_le(counts().buffered, 1 << 20);
    fake_pass(IDLE_MS - 1);
    ck_assert_uint_eq(tcp_connections(tcp), 2);
    ask(good, 2, FAKE_ECHO);
    expect(good, 2);
    fake_pass(1);
    ck_assert_uint_eq(tcp_connections(tcp), 1);
    ck_assert_uint_eq(counts().buffered, 0);
    ck_assert_uint_eq(fakedesk.n_seen, n_seen + 1);
}
END_TEST

START_TEST(a_peer_that_reads_slowly_gets_every_byte)
{
    int fd = connected();
    ask_for_big(fd, 400, 60001);
    ck_assert_uint_lt(fakedesk.n_seen, 400);
    for (uint16_t id = 0; id < 400; id++) {
        if (id % 40 == 0)
            fake_pass(IDLE_MS - 1);
        expect_filled(fd, id, 60001);
    }
    ck_assert_uint_eq(fakedesk.n_seen, 400);
    ck_assert_uint_eq(counts().buffered, 0);
    expect_nothing(fd);
}
END_TEST

/* One address for each, as long as there are 200: 127.1.0.y. */
static int connected_as(size_t i)
{
    char from[32];
    snprintf(from, sizeof from, "127.1.0.%zu", 1 + i % 200);
    return connected_from(from);
}

static void ask_for_later(int fd, uint16_t n)
{
    for (uint16_t id = 0; id < n; id++)
        ask(fd, id, FAKE_LATER);
    fake_turns(3);
}

START_TEST(late_replies_to_peers_that_never_read_are_bounded)
{
    for (size_t i = 0; i < 40; i++)
        ask_for_later(connected_as(i), 64);
    ck_assert_uint_eq(fakedesk.n_later, 40 * 64);
    for (size_t i = 0; i < fakedesk.n_later; i++) {
        fake_reply(i, WIRE_MESSAGE_MAX); /* 160 MiB in all */
        ck_assert_uint_le(counts().buffered, 64 << 20);
    }
    fake_turns(3);
    ck_assert_uint_lt(tcp_connections(tcp), 40);
    ck_assert_uint_gt(tcp_connections(tcp), 0);
    int fd = connected();
    ask(fd, 9, FAKE_ECHO);
    expect(fd, 9);
}
END_TEST

/* 16 connections whose buffers of 4 MiB would take all that there is, and then one other client
 * that is answered late too. */
START_TEST(one_client_that_never_reads_leaves_room_for_the_late_replies_of_others)
{
    for (size_t i = 0; i < 16; i++)
        ask_for_later(connected(), 64);
    int other = connected_from("127.0.0.7");
    ask_for_later(other, 64);
    for (size_t i = 0; i < 16 * 64; i++)
        fake_reply(i, 65000);
    ck_assert_uint_le(counts().buffered, 32 << 20);
    for (size_t i = 16 * 64; i < 17 * 64; i++)
        fake_reply(i, 65000);
    for (uint16_t id = 0; id < 64; id++)
        expect_filled(other, id, 65000);
    ck_assert_uint_ge(tcp_connections(tcp), 1 + 7);
    ck_assert_uint_lt(tcp_connections(tcp), 1 + 16);
}
END_TEST

/* Its share is that of the address: what one connection gives back is there for the next. */
START_TEST(what_a_client_has_read_is_no_part_of_its_share)
{
    for (uint16_t round = 0; round < 3; round++) {
        size_t first = fakedesk.n_later;
        int fds[7];
        for (size_t i = 0; i < 7; i++) {
            fds[i] = connected();
            ask_for_later(fds[i], 64);
        }
        for (size_t i = first; i < fakedesk.n_later; i++)
            fake_reply(i, 65000);
        for (size_t i = 0; i < 7; i++) {
            for (uint16_t id = 0; id < 64; id++)
                expect_filled(fds[i], id, 65000);
            hang_up(fds[i]);
        }
        ck_assert_uint_eq(counts().buffered, 0);
    }
}
END_TEST

START_TEST(messages_cut_short_are_bounded_in_all_together)
{
    static uint8_t bytes[2 + WIRE_MESSAGE_MAX];
    size_t n = n_clients_possible(), n_written = 0;
    frame(bytes, 1, FAKE_ECHO, WIRE_MESSAGE_MAX);
    for (size_t i = 0; i < n; i++) {
        int fd = connected_as(i);
        for (int part = 0; part < 4; part++) {
            ssize_t len = send(fd, bytes, 16384, MSG_NOSIGNAL);
            n_written += len > 0 ? (size_t)len : 0;
            fake_turns(2);
        }
        ck_assert_uint_le(counts().buffered, 64 << 20);
    }
    if (n_written <= (64 << 20))
        return; /* too few descriptors here */
    ck_assert_uint_lt(tcp_connections(tcp), n);
    ck_assert_uint_ge(tcp_connections(tcp), 1000); /* 200 of 201 parts of what there is */
    fake_pass(FIRST_MS);
    ck_assert_uint_eq(counts().buffered, 0);
    int fd = clients[0];
    expect_end(fd);
}
END_TEST

START_TEST(a_connection_ends_after_a_thousand_messages_and_all_replies)
{
    static uint8_t bytes[1100 * 32];
    connected();
    int fd = connected();
    for (uint16_t id = 0; id < 1100; id++)
        frame(bytes + 32 * id, id, FAKE_ECHO, 30);
    write_bytes(fd, bytes, sizeof bytes);
    for (uint16_t id = 0; id < 1000; id++)
        expect(fd, id);
    expect_end(fd);
    ck_assert_uint_eq(fakedesk.n_seen, 1000);
    ck_assert_uint_eq(tcp_connections(tcp), 2); /* until the peer hangs up as well */
    hang_up(fd);
    ck_assert_uint_eq(tcp_connections(tcp), 1);
}
END_TEST

/* To say so is not possible any more: its peer has gone meanwhile. */
START_TEST(who_has_gone_by_the_thousandth_message_is_not_waited_for)
{
    static uint8_t bytes[1000 * 32];
    connected();
    int fd = connected();
    shutdown_error = ENOTCONN;
    for (uint16_t id = 0; id < 1000; id++)
        frame(bytes + 32 * id, id, FAKE_NONE, 30);
    write_bytes(fd, bytes, sizeof bytes);
    expect_end(fd);
    ck_assert_uint_eq(tcp_connections(tcp), 1);
}
END_TEST

START_TEST(while_there_are_connections_enough_nobody_is_cut_off)
{
    static uint8_t bytes[1100 * 32];
    int fd = connected();
    for (uint16_t id = 0; id < 1100; id++)
        frame(bytes + 32 * id, id, FAKE_ECHO, 30);
    write_bytes(fd, bytes, sizeof bytes);
    for (uint16_t id = 0; id < 1100; id++)
        expect(fd, id);
    ck_assert_uint_eq(tcp_connections(tcp), 1);
}
END_TEST

START_TEST(who_does_not_hang_up_after_that_is_closed_in_time)
{
    static uint8_t bytes[1000 * 32];
    connected();
    int fd = connected();
    for (uint16_t id = 0; id < 1000; id++)
        frame(bytes + 32 * id, id, FAKE_NONE, 30);
    write_bytes(fd, bytes, sizeof bytes);
    expect_end(fd);
    write_bytes(fd, bytes, sizeof bytes);
    fake_pass(FIRST_MS - 1);
    ck_assert_uint_eq(tcp_connections(tcp), 2);
    fake_pass(1);
    ck_assert_uint_eq(tcp_connections(tcp), 0); /* the other one never said anything */
    ck_assert_uint_eq(fakedesk.n_seen, 1000);
}
END_TEST

/* ---- time ------------------------------------------------------------------------------------ */

START_TEST(who_sends_nothing_is_closed_after_the_time_for_a_first_message)
{
    int fd = connected();
    fake_pass(FIRST_MS - 1);
    expect_nothing(fd);
    fake_pass(1);
    expect_end(fd);
    ck_assert_uint_eq(counts().timed_out, 1);
}
END_TEST

START_TEST(who_trickles_is_closed_however_often_a_byte_comes)
{
    int fd = connected();
    int later = connected();
    ask(later, 1, FAKE_ECHO);
    expect(later, 1);
    for (int i = 0; i < 4; i++) {
        write_bytes(fd, (const uint8_t *)"\0\x1e\1\2" + i, 1);
        write_bytes(later, (const uint8_t *)"\0\x1e\1\2" + i, 1);
        fake_pass(FIRST_MS / 4);
    }
    expect_end(fd);
    expect_end(later);
    ck_assert_uint_eq(tcp_connections(tcp), 0);
    ck_assert_uint_eq(counts().buffered, 0);
}
END_TEST

START_TEST(each_message_has_a_time_of_its_own)
{
    uint8_t bytes[64];
    int fd = connected();
    size_t len = frame(bytes, 5, FAKE_ECHO, 30);
    write_bytes(fd, bytes, 4);
    for (int i = 0; i < 10; i++) {
        fake_pass(FIRST_MS - 1);
        write_bytes(fd, bytes + 4, len - 4); /* the end of one and the beginning of the next */
        write_bytes(fd, bytes, 4);
        expect(fd, 5);
    }
    fake_pass(FIRST_MS);
    expect_end(fd);
}
END_TEST

START_TEST(an_idle_connection_is_closed_after_the_idle_time_and_not_before)
{
    int fd = connected();
    for (uint16_t id = 0; id < 3; id++) {
        ask(fd, id, FAKE_ECHO);
        expect(fd, id);
        fake_pass(IDLE_MS - 1);
        expect_nothing(fd);
    }
    fake_pass(1);
    expect_end(fd);
}
END_TEST

START_TEST(a_connection_that_waits_for_a_reply_is_not_idle)
{
    int fd = connected();
    ask(fd, 1, FAKE_LATER);
    fake_pass(10 * IDLE_MS);
    fake_reply(0, 30);
    expect_filled(fd, 1, 30);
    fake_pass(IDLE_MS - 1);
    expect_nothing(fd);
    fake_pass(1);
    expect_end(fd);
}
END_TEST

START_TEST(deadlines_pass_in_their_order)
{
    int first = connected();
    fake_pass(FIRST_MS / 2);
    int second = connected();
    ask(first, 1, FAKE_ECHO);
    expect(first, 1); /* idle from now on: until much later than the second */
    fake_pass(FIRST_MS);
    expect_end(second);
    expect_nothing(first);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(who_is_not_allowed_is_closed_at_once)
{
    fakedesk.refuses = true;
    int fd = connected();
    ask(fd, 1, FAKE_ECHO);
    expect_end(fd);
    ck_assert_uint_eq(tcp_connections(tcp), 0);
    ck_assert_uint_eq(counts().not_allowed, 1);
    ck_assert_uint_eq(fakedesk.n_seen, 0);
}
END_TEST

START_TEST(one_client_cannot_take_all_connections)
{
    create(100, 3);
    listen_at("127.0.0.1");
    int fds[3];
    for (size_t i = 0; i < 3; i++) {
        fds[i] = connected();
        ask(fds[i], 1, FAKE_ECHO);
        expect(fds[i], 1);
    }
    expect_end(connected());
    int other = connected_from("127.0.0.7");
    ask(other, 1, FAKE_ECHO);
    expect(other, 1);
    hang_up(fds[1]);
    int again = connected();
    ask(again, 1, FAKE_ECHO);
    expect(again, 1);
    ck_assert_uint_eq(counts().over_limit, 1);
}
END_TEST

START_TEST(a_new_connection_takes_the_place_of_the_longest_idle_one)
{
    create(3, 100);
    listen_at("127.0.0.1");
    int fds[3];
    for (uint16_t i = 0; i < 3; i++) {
        fds[i] = connected();
        ask(fds[i], i, FAKE_ECHO);
        expect(fds[i], i);
    }
    ask(fds[0], 9, FAKE_ECHO); /* now the second is the one */
    expect(fds[0], 9);
    int fresh = connected();
    expect_end(fds[1]);
    ask(fresh, 1, FAKE_ECHO);
    expect(fresh, 1);
    ck_assert_uint_eq(tcp_connections(tcp), 3);
    ck_assert_uint_eq(counts().made_room, 1);
}
END_TEST

START_TEST(where_none_is_idle_the_new_one_is_refused)
{
    create(2, 100);
    listen_at("127.0.0.1");
    int fds[2] = {connected(), connected()};
    for (size_t i = 0; i < 2; i++)
        ask(fds[i], 1, FAKE_LATER);
    fake_turns(3);
    expect_end(connected());
    fake_reply(0, 30);
    fake_reply(1, 30);
    expect_filled(fds[0], 1, 30);
    expect_filled(fds[1], 1, 30);
    ck_assert_uint_eq(counts().over_limit, 1);
}
END_TEST

START_TEST(what_became_of_a_new_connection_does_not_hinder_the_next)
{
    int fd = client_socket(NULL);
    connect_to(fd, "127.0.0.1");
    accept_errors[0] = EINTR;
    accept_errors[1] = ECONNABORTED;
    accept_errors[2] = EPROTO;
    ask(fd, 1, FAKE_ECHO);
    expect(fd, 1);
    ck_assert_uint_eq(counts().pauses, 0);
}
END_TEST

START_TEST(who_comes_from_what_is_no_address_is_closed_and_nobody_else)
{
    from_nowhere = true;
    int fd = connected();
    expect_end(fd);
    ck_assert_uint_eq(counts().accepted, 0);
    ck_assert_uint_eq(tcp_connections(tcp), 0);
    from_nowhere = false;
    fd = connected();
    ask(fd, 1, FAKE_ECHO);
    expect(fd, 1);
}
END_TEST

START_TEST(reading_that_is_interrupted_loses_nothing_and_one_that_fails_one_connection)
{
    int fd = connected(), other = connected();
    receive_errors[0] = EINTR;
    receive_errors[1] = EAGAIN;
    ask(fd, 1, FAKE_ECHO);
    expect(fd, 1);
    receive_errors[0] = ETIMEDOUT; /* its network has gone */
    ask(fd, 2, FAKE_ECHO);
    expect_end(fd);
    ask(other, 3, FAKE_ECHO);
    expect(other, 3);
}
END_TEST

/* Then nobody can be told, but nothing else is different. */
START_TEST(without_a_reserve_accepting_pauses_and_goes_on_all_the_same)
{
    reserve_error = EMFILE;
    create(10, 10);
    listen_at("127.0.0.1");
    int fd = client_socket(NULL);
    connect_to(fd, "127.0.0.1");
    accept_errors[0] = EMFILE;
    ask(fd, 1, FAKE_ECHO);
    expect_nothing(fd);
    ck_assert_uint_eq(counts().pauses, 1);
    fake_pass(1000);
    expect(fd, 1);
}
END_TEST

/* Replies over TCP leave by the connection, whatever its name. */
START_TEST(who_asked_at_an_address_that_cannot_be_known_is_answered)
{
    create(10, 10);
    listen_at("0.0.0.0");
    int fd = client_socket(NULL);
    connect_to(fd, "127.0.0.1");
    name_error = ENOBUFS;
    ask(fd, 1, FAKE_ECHO);
    expect(fd, 1);
    ck_assert(addr_is_unspecified(&fakedesk.last.local));
}
END_TEST

START_TEST(without_memory_in_the_kernel_accepting_pauses)
{
    int fd = client_socket(NULL);
    connect_to(fd, "127.0.0.1");
    accept_errors[0] = ENOMEM;
    ask(fd, 1, FAKE_ECHO);
    expect_nothing(fd);
    ck_assert_uint_eq(counts().pauses, 1);
    fake_pass(999);
    expect_nothing(fd);
    fake_pass(1);
    expect(fd, 1);
}
END_TEST

static int highest_descriptor(void)
{
    int highest = 0;
    for (int fd = 0; fd < 256; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            highest = fd;
    return highest;
}

START_TEST(without_descriptors_accepting_pauses_and_nothing_spins)
{
    int old = connected();
    ask(old, 1, FAKE_ECHO);
    expect(old, 1);
    int fds[4];
    for (size_t i = 0; i < 4; i++) {
        fds[i] = client_socket(NULL);
        connect_to(fds[i], "127.0.0.1");
    }
    struct rlimit before, none;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)highest_descriptor() + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int filler[256];
    size_t n_fillers = 0;
    while (n_fillers < 256 && (filler[n_fillers] = dup(old)) >= 0)
        n_fillers++;
    expect_end(fds[0]); /* told with the reserve */
    fake_turns(50);
    ck_assert_uint_eq(counts().pauses, 1);
    expect_nothing(fds[1]);
    ask(old, 2, FAKE_ECHO); /* what is open goes on */
    expect(old, 2);
    fake_pass(1000);
    fake_turns(50);
    ck_assert_uint_eq(counts().pauses, 2);
    expect_end(fds[1]);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    while (n_fillers > 0)
        close(filler[--n_fillers]);
    fake_pass(999);
    expect_nothing(fds[2]);
    fake_pass(1);
    for (size_t i = 2; i < 4; i++) {
        ask(fds[i], 3, FAKE_ECHO);
        expect(fds[i], 3);
    }
}
END_TEST

/* One address for each: 127.1.x.y. */
static void open_idle(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char from[32];
        snprintf(from, sizeof from, "127.1.%zu.%zu", i / 200, 1 + i % 200);
        int fd = client_socket(from);
        connect_to(fd, "127.0.0.1");
        if (i % 50 == 49)
            fake_turns(2);
    }
    fake_turns(3);
    for (size_t i = 0; i < n; i++) {
        ask(clients[i], 1, FAKE_ECHO);
        if (i % 50 == 49)
            fake_turns(2);
    }
    for (size_t i = 0; i < n; i++)
        expect(clients[i], 1);
}

START_TEST(a_thousand_idle_connections_of_a_thousand_clients_hold_half_a_kilobyte_each)
{
    size_t n = n_clients_possible() < 1000 ? n_clients_possible() : 1000;
    size_t before = memory_in_use();
    open_idle(n);
    ck_assert_uint_eq(tcp_connections(tcp), n);
    size_t each = (memory_in_use() - before) / n;
    if (getenv("DNSD_TEST_FIGURES") != NULL)
        printf("%zu idle connections hold %zu bytes each\n", n, each);
    ck_assert_uint_le(each, 512);
    ck_assert_uint_eq(counts().buffered, 0);
    fake_pass(IDLE_MS);
    ck_assert_uint_eq(tcp_connections(tcp), 0);
}
END_TEST

/* ---- stopping -------------------------------------------------------------------------------- */

START_TEST(stopping_closes_the_idle_and_answers_those_who_wait)
{
    uint8_t bytes[64];
    int idle = connected();
    int cut = connected();
    int waits = connected();
    ask(idle, 1, FAKE_ECHO);
    expect(idle, 1);
    write_bytes(cut, bytes, frame(bytes, 2, FAKE_ECHO, 30) - 1);
    ask(waits, 3, FAKE_LATER);
    ask(waits, 4, FAKE_LATER);
    fake_turns(3);
    tcp_stop(tcp);
    ck_assert_uint_eq(tcp_connections(tcp), 1);
    expect_end(idle);
    expect_end(cut);
    ask(waits, 5, FAKE_ECHO); /* not read any more */
    fake_turns(3);
    fake_reply(0, 30);
    fake_turns(3);
    ck_assert_uint_eq(tcp_connections(tcp), 1);
    fake_reply(1, 30);
    expect_filled(waits, 3, 30);
    expect_filled(waits, 4, 30);
    fake_turns(3);
    ck_assert_uint_eq(tcp_connections(tcp), 0);
    ck_assert_uint_eq(fakedesk.n_seen, 3);
}
END_TEST

/* At the end of the turn, when the listeners have set out what they do in the next. */
static void stop_in_turn(void *ctx, uint64_t now_ms)
{
    (void)ctx;
    (void)now_ms;
    tcp_stop(tcp);
}

/* What each still waits for: to hang up, to be answered though gone, to go on with what was read.
 */
START_TEST(stopping_ends_those_that_linger_have_gone_or_were_held_back)
{
    static uint8_t bytes[1000 * 32];
    int gone = connected();
    int lingers = connected();
    for (uint16_t id = 0; id < 1000; id++)
        frame(bytes + 32 * id, id, FAKE_NONE, 30);
    write_bytes(lingers, bytes, sizeof bytes);
    ask(gone, 1, FAKE_LATER);
    fake_turns(3);
    slam(gone);
    int held = connected();
    for (uint16_t id = 0; id < 70; id++)
        frame(bytes + 32 * id, id, FAKE_LATER, 30);
    write_bytes(held, bytes, 70 * 32);
    fake_turns(3);
    ck_assert_uint_eq(fakedesk.n_later, 65);
    for (size_t i = 1; i < 65; i++)
        fake_reply(i, 30);
    ck_assert_uint_eq(tcp_connections(tcp), 2);
    turn_add_end(turn, stop_in_turn, NULL);
    fake_turns(3);
    ck_assert_uint_eq(fakedesk.n_later, 65);
    ck_assert_uint_eq(tcp_connections(tcp), 0);
    for (uint16_t id = 0; id < 64; id++)
        expect_filled(held, id, 30);
    expect_end(held);
    fake_drop(0);
}
END_TEST

START_TEST(a_stopped_listener_lets_another_program_have_the_port)
{
    struct addr at = bound;
    struct tcp *old = tcp;
    tcp_stop(tcp);
    create(10, 10);
    ck_assert_int_eq(tcp_listen(tcp, &at, NULL), 0);
    tcp_free(old);
    int fd = connected();
    ask(fd, 1, FAKE_ECHO);
    expect(fd, 1);
}
END_TEST

START_TEST(freeing_leaves_nothing_behind_whatever_was_under_way)
{
    uint8_t bytes[64];
    int waits = connected();
    ask(waits, 1, FAKE_LATER);
    int gone = connected();
    ask(gone, 2, FAKE_LATER);
    int cut = connected();
    write_bytes(cut, bytes, frame(bytes, 3, FAKE_ECHO, 30) - 1);
    int full = connected();
    ask_for_big(full, 200, 60000);
    slam(gone);
    int held = connected();
    for (uint16_t id = 0; id < 70; id++)
        ask(held, id, FAKE_LATER);
    fake_turns(3);
    fake_reply(5, 30); /* not flushed when all is freed */
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

static void turns_counted(int n)
{
    scarce_resume();
    fake_turns(n);
    (void)scarce_end();
}

/* Something of everything, for which nothing comes back: connections of several clients, a message
 * cut short, replies now and later and more than a peer takes, and who hangs up. */
static void a_busy_minute(void)
{
    static const char *const from[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};
    uint8_t bytes[64];
    int fds[6];
    for (size_t i = 0; i < 6; i++) {
        fds[i] = client_socket(from[i % 3]);
        connect_to(fds[i], "127.0.0.1");
    }
    turns_counted(3);
    size_t len = frame(bytes, 1, FAKE_ECHO, 30);
    fakedesk.big = 60000;
    for (int part = 0; part < 2; part++) {
        for (size_t i = 0; i < 6; i++) {
            static const enum fake_order orders[] = {FAKE_BIG, FAKE_LATER, FAKE_INSIDE};
            uint8_t more[64];
            size_t more_len = frame(more, 2, orders[i % 3], 30);
            (void)send(fds[i], more, i < 3 ? more_len : 0, MSG_NOSIGNAL);
            (void)send(fds[i], bytes + (part == 0 ? 0 : len / 2), len / 2, MSG_NOSIGNAL);
        }
        turns_counted(3);
    }
    scarce_resume();
    for (size_t i = 0; i < fakedesk.n_later; i++)
        fake_reply(i, 3000);
    (void)scarce_end();
    turns_counted(3);
    fakedesk.n_later = 0;
    for (size_t i = 0; i < 6; i++)
        slam(fds[i]);
    n_clients = 0;
}

/* Whether the k-th allocation came at all. */
static bool survive(unsigned k, unsigned n)
{
    struct tcp_conf conf = {.idle_ms = IDLE_MS,
        .first_message_ms = FIRST_MS,
        .connections_max = 100,
        .per_client_max = 100};
    struct addr at;
    address("127.0.0.1", &at);
    scarce_begin(k, n);
    tcp = tcp_create(loop, turn, &conf, &fakedesk);
    int listens = tcp == NULL ? -1 : tcp_listen(tcp, &at, &bound);
    (void)scarce_end();
    if (listens == 0)
        a_busy_minute();
    bool came = scarce_end() >= k;
    if (listens == 0) {
        ck_assert_uint_eq(tcp_connections(tcp), 0);
        ck_assert_uint_eq(counts().buffered, 0);
        int fd = connected();
        ask(fd, 77, FAKE_ECHO);
        expect(fd, 77);
        hang_up(fd);
        n_clients = 0;
    }
    tcp_free(tcp);
    tcp = NULL;
    return came;
}

START_TEST(any_allocation_may_fail_and_service_comes_back)
{
    unsigned k = 1;
    while (survive(k, 1))
        k++;
    ck_assert_uint_gt(k, 20);
    for (k = 1; survive(k, 10000); k++)
        continue;
}
END_TEST

static TCase *add_case(Suite *suite, const char *name, void (*begin)(void))
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, begin, teardown);
    tcase_set_timeout(tcase, 60); /* for valgrind */
    suite_add_tcase(suite, tcase);
    return tcase;
}

static void add_messages(Suite *suite)
{
    TCase *one = add_case(suite, "messages", setup_one);
    tcase_add_test(one, one_question_one_reply_in_one_write);
    tcase_add_test(one, replies_are_not_held_back);
    tcase_add_test(one, questions_in_one_segment_get_their_replies_in_one_write);
    tcase_add_test(one, a_hundred_pipelined_questions_are_replied_to_in_any_order);
    tcase_add_test(one, questions_and_replies_of_the_largest_size_pass);
    tcase_add_test(one, a_question_byte_by_byte_is_one_question);
    tcase_add_test(one, messages_may_be_cut_anywhere);
    tcase_add_test(one, while_there_are_connections_enough_nobody_is_cut_off);
    tcase_add_test(one, a_dropped_question_does_not_end_the_connection);
    tcase_add_test(one, a_reply_from_inside_the_desk_keeps_the_stream_whole);
    tcase_add_test(one, a_reply_behind_the_end_of_the_turn_does_not_wait_for_the_next_event);
    tcase_add_test(one, out_of_band_bytes_disturb_nobody);
    tcase_add_test(one, a_port_that_is_taken_is_an_error);
    TCase *scarce = add_case(suite, "scarce", setup_scarce);
    tcase_add_test(scarce, a_connection_ends_after_a_thousand_messages_and_all_replies);
    tcase_add_test(scarce, who_has_gone_by_the_thousandth_message_is_not_waited_for);
    tcase_add_test(scarce, who_does_not_hang_up_after_that_is_closed_in_time);
    tcase_add_test(scarce, stopping_ends_those_that_linger_have_gone_or_were_held_back);
    TCase *many = add_case(suite, "addresses", setup);
    tcase_add_test(many, a_wildcard_listener_knows_which_address_was_asked);
    tcase_add_test(many, several_addresses_of_both_families_are_one_set);
    tcase_add_test(many, without_a_reserve_accepting_pauses_and_goes_on_all_the_same);
    tcase_add_test(many, who_asked_at_an_address_that_cannot_be_known_is_answered);
}

static void add_misbehaviour(Suite *suite)
{
    TCase *one = add_case(suite, "peers that misbehave", setup_one);
    tcase_add_test(one, a_length_no_message_can_have_ends_the_connection_and_no_other);
    tcase_add_test(one, what_came_before_a_bad_length_is_answered);
    tcase_add_test(one, a_prefix_cut_in_two_by_a_hang_up_is_the_end);
    tcase_add_test(one, a_reset_in_the_middle_of_a_message_ends_only_that_connection);
    tcase_add_test(one, a_peer_that_hangs_up_gets_no_reply_and_breaks_nothing);
    tcase_add_test(one, a_reset_that_is_noticed_by_sending_ends_the_connection);
    tcase_add_test(one, an_interrupted_send_is_repeated_and_a_full_socket_waited_for);
    tcase_add_test(one, late_replies_queue_up_behind_a_slow_reader_in_whole);
    tcase_add_test(one, a_peer_that_only_stops_sending_still_gets_its_replies);
    tcase_add_test(one, questions_held_back_are_answered_after_the_peer_stopped_sending);
    tcase_add_test(one, a_peer_that_never_reads_is_read_no_more_and_closed_in_time);
    tcase_add_test(one, a_peer_that_reads_slowly_gets_every_byte);
    tcase_add_test(one, late_replies_to_peers_that_never_read_are_bounded);
    tcase_add_test(one, one_client_that_never_reads_leaves_room_for_the_late_replies_of_others);
    tcase_add_test(one, what_a_client_has_read_is_no_part_of_its_share);
    tcase_add_test(one, messages_cut_short_are_bounded_in_all_together);
}

static void add_time_and_limits(Suite *suite)
{
    TCase *time = add_case(suite, "time", setup_one);
    tcase_add_test(time, who_sends_nothing_is_closed_after_the_time_for_a_first_message);
    tcase_add_test(time, who_trickles_is_closed_however_often_a_byte_comes);
    tcase_add_test(time, each_message_has_a_time_of_its_own);
    tcase_add_test(time, an_idle_connection_is_closed_after_the_idle_time_and_not_before);
    tcase_add_test(time, a_connection_that_waits_for_a_reply_is_not_idle);
    tcase_add_test(time, deadlines_pass_in_their_order);
    TCase *one = add_case(suite, "who is let in", setup_one);
    tcase_add_test(one, who_is_not_allowed_is_closed_at_once);
    tcase_add_test(one, what_became_of_a_new_connection_does_not_hinder_the_next);
    tcase_add_test(one, who_comes_from_what_is_no_address_is_closed_and_nobody_else);
    tcase_add_test(
        one, reading_that_is_interrupted_loses_nothing_and_one_that_fails_one_connection);
    tcase_add_test(one, without_memory_in_the_kernel_accepting_pauses);
    tcase_add_test(one, without_descriptors_accepting_pauses_and_nothing_spins);
    tcase_add_test(
        one, a_thousand_idle_connections_of_a_thousand_clients_hold_half_a_kilobyte_each);
    TCase *limits = add_case(suite, "limits", setup);
    tcase_add_test(limits, one_client_cannot_take_all_connections);
    tcase_add_test(limits, a_new_connection_takes_the_place_of_the_longest_idle_one);
    tcase_add_test(limits, where_none_is_idle_the_new_one_is_refused);
}

static void add_memory_and_stopping(Suite *suite)
{
    TCase *memory = add_case(suite, "memory", setup);
    tcase_add_test(memory, any_allocation_may_fail_and_service_comes_back);
    TCase *one = add_case(suite, "stopping", setup_one);
    tcase_add_test(one, stopping_closes_the_idle_and_answers_those_who_wait);
    tcase_add_test(one, a_stopped_listener_lets_another_program_have_the_port);
    tcase_add_test(one, freeing_leaves_nothing_behind_whatever_was_under_way);
}

int main(void)
{
    Suite *suite = suite_create("tcp");
    add_messages(suite);
    add_misbehaviour(suite);
    add_time_and_limits(suite);
    add_memory_and_stopping(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
