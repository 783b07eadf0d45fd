/* udp.c: drives a UDP listener over loopback. Knows what must come back, from which address; the
 * kernel's refusals are made up, never waited for. */
#include "net/udp.h"

#include "net/sockaddr.h"
#include "tests/unit/fakedesk.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- a kernel that can be told what to say --------------------------------------------------- */

static int refusals[8]; /* errno of the next calls of sendmmsg; 0 ends them */
static size_t n_refusals;
static unsigned n_sendmmsg;
static bool stays_broken;    /* and of all that follow */
static bool stays_full;      /* epoll never tells that the socket takes replies */
static unsigned n_unwatched; /* times that epoll refuses to watch the socket */
static bool is_watched;
static int receive_error;         /* errno of the next call of recvmmsg */
static uint16_t from_port;        /* if not 0: where all datagrams pretend to come from */
static sa_family_t from_family;   /* the same, of another family */
static const char *asked_at;      /* the IPv6 address that they were sent to, by interface 7 */
static bool has_source;           /* the last reply, if asked_at says so: it goes nowhere */
static struct in6_pktinfo source; /* and this is it */

static int next_refusal(void)
{
    int error = refusals[0];
    memmove(refusals, refusals + 1, sizeof refusals - sizeof refusals[0]);
    if (error != 0)
        n_refusals++;
    return error;
}

static int note_source(const struct msghdr *h)
{
    const struct cmsghdr *m = CMSG_FIRSTHDR(h);
    has_source = m != NULL;
    if (has_source)
        memcpy(&source, CMSG_DATA(m), sizeof source);
    return 1;
}

int sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags)
{
    int error = next_refusal();
    n_sendmmsg++;
    if (asked_at != NULL)
        return note_source(&v[0].msg_hdr);
    if (error == 0)
        return (int)syscall(SYS_sendmmsg, fd, v, n, flags);
    errno = error;
    return -1;
}

static void pretend(struct msghdr *h)
{
    struct in6_pktinfo info = {.ipi6_ifindex = 7};
    if (from_port != 0)
        ((struct sockaddr_in *)h->msg_name)->sin_port = htons(from_port);
    if (from_family != 0)
        ((struct sockaddr *)h->msg_name)->sa_family = from_family;
    if (asked_at == NULL)
        return;
    ck_assert_int_eq(inet_pton(AF_INET6, asked_at, &info.ipi6_addr), 1);
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(h)), &info, sizeof info);
}

/* The listener's socket is the only one that libev watches here. */
int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    if (op == EPOLL_CTL_ADD && n_unwatched > 0) {
        n_unwatched--;
        errno = ENOSPC;
        return -1;
    }
    if (stays_full)
        event->events &= ~(uint32_t)EPOLLOUT;
    int result = (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
    if (result == 0)
        is_watched = op != EPOLL_CTL_DEL;
    return result;
}

int recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *timeout)
{
    if (receive_error != 0) {
        errno = receive_error;
        if (!stays_broken)
            receive_error = 0;
        return -1;
    }
    int got = (int)syscall(SYS_recvmmsg, fd, v, n, flags, timeout);
    for (int i = 0; i < got; i++)
        pretend(&v[i].msg_hdr);
    return got;
}

/* ---- one listener and one client ------------------------------------------------------------- */

static struct udp *udp;
static int client = -1;

static void address(const char *text, struct addr *out)
{
    ck_assert_int_eq(addr_parse(text, 0, out), 0);
}

static void listen_at(const char *text)
{
    struct addr at;
    address(text, &at);
    udp = udp_open(loop, turn, &at, &fakedesk);
    ck_assert_ptr_nonnull(udp);
    ck_assert_uint_ne(udp_addr(udp)->port, 0);
    client = socket(sockaddr_family(&at), SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(client, 0);
    int bytes = 1 << 20;
    setsockopt(client, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

static void setup(void)
{
    memset(refusals, 0, sizeof refusals);
    n_refusals = 0;
    n_sendmmsg = 0;
    receive_error = 0;
    stays_broken = stays_full = false;
    n_unwatched = 0;
    is_watched = false;
    from_port = 0;
    from_family = 0;
    asked_at = NULL;
    fake_start();
}

static void teardown(void)
{
    udp_close(udp);
    udp = NULL;
    close(client);
    fake_end();
}

static void send_to(const char *text, const uint8_t *msg, size_t len)
{
    struct sockaddr_storage ss = {0};
    struct addr to;
    address(text, &to);
    to.port = udp_addr(udp)->port;
    socklen_t ss_len = sockaddr_from_addr(&to, &ss);
    ck_assert_int_eq(sendto(client, msg, len, 0, (struct sockaddr *)&ss, ss_len), (ssize_t)len);
}

static void ask_at(const char *text, uint16_t id, enum fake_order order)
{
    uint8_t msg[40];
    send_to(text, msg, fake_question(msg, id, order, sizeof msg));
}

static void ask(uint16_t id, enum fake_order order)
{
    ask_at("127.0.0.1", id, order);
}

/* The next reply's length; *from takes where it came from. */
static size_t receive(uint8_t out[2048], struct addr *from)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    ck_assert(fake_readable(client));
    ssize_t n = recvfrom(client, out, 2048, 0, (struct sockaddr *)&ss, &len);
    ck_assert_int_gt(n, 0);
    if (from != NULL)
        ck_assert_int_eq(sockaddr_to_addr(&ss, from), 0);
    return (size_t)n;
}

static void expect(uint16_t id)
{
    uint8_t msg[2048];
    receive(msg, NULL);
    ck_assert_uint_eq(fake_id(msg), id);
}

static void expect_nothing(void)
{
    uint8_t byte;
    fake_turns(10);
    ck_assert_int_eq(recv(client, &byte, 1, MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EAGAIN);
}

static struct udp_counts counts(void)
{
    struct udp_counts c;
    udp_count(udp, &c);
    return c;
}

/* ---- questions and replies ------------------------------------------------------------------- */

START_TEST(two_hundred_datagrams_at_once_are_all_answered_in_order)
{
    listen_at("127.0.0.1");
    for (uint16_t id = 0; id < 200; id++)
        ask(id, FAKE_ECHO);
    for (uint16_t id = 0; id < 200; id++)
        expect(id);
    expect_nothing();
    ck_assert_uint_eq(counts().received, 200);
    ck_assert_uint_eq(counts().sent, 200);
    ck_assert_uint_eq(n_sendmmsg, 4); /* 64 + 64 + 64 + 8 */
}
END_TEST

START_TEST(more_than_an_event_takes_waits_for_the_next_turn_and_is_not_lost)
{
    listen_at("127.0.0.1");
    for (uint16_t id = 0; id < 300; id++)
        ask(id, FAKE_ECHO);
    fake_turns(1);
    ck_assert_uint_eq(fakedesk.n_seen, 256);
    for (uint16_t id = 0; id < 300; id++)
        expect(id);
}
END_TEST

static void ask_many(uint16_t first, uint16_t n)
{
    for (uint16_t id = 0; id < n; id++)
        ask((uint16_t)(first + id), FAKE_ECHO);
}

static void expect_many(uint16_t first, uint16_t n)
{
    for (uint16_t id = 0; id < n; id++)
        expect((uint16_t)(first + id));
}

/* libev takes a socket out of epoll once it is readable and nobody wants to know. */
static bool is_busy(uint16_t id)
{
    ask(id, FAKE_ECHO);
    fake_turns(1);
    return !is_watched;
}

/* _i: few questions, none of them in a full batch; a full batch; more than a turn reads. */
START_TEST(a_busy_socket_is_read_without_being_watched_until_it_is_empty)
{
    static const uint16_t n[] = {16, 64, 300};
    listen_at("127.0.0.1");
    fake_turns(3);
    ck_assert(is_watched);
    ask_many(0, 15);
    fake_turns(1);
    ck_assert(!is_busy(15));
    expect_many(0, 16);
    ask_many(0, n[_i]);
    fake_turns(1);
    ck_assert(is_busy(n[_i]));
    expect_many(0, n[_i] + 1);
    fake_turns(3);
    ck_assert(is_watched);
    ck_assert(fake_sleeps());
}
END_TEST

START_TEST(questions_that_come_while_it_is_watched_again_keep_a_socket_busy)
{
    listen_at("127.0.0.1");
    ask_many(0, 16);
    fake_turns(2); /* the second finds it empty */
    ask_many(16, 1);
    fake_turns(1);
    ck_assert(is_busy(17));
    expect_many(0, 18);
}
END_TEST

START_TEST(what_the_desk_drops_leaves_no_hole_in_the_batch)
{
    listen_at("127.0.0.1");
    for (uint16_t id = 0; id < 60; id++)
        ask(id, id % 3 == 0 ? FAKE_ECHO : FAKE_NONE);
    for (uint16_t id = 0; id < 60; id += 3)
        expect(id);
    expect_nothing();
    ck_assert_uint_eq(fakedesk.n_seen, 60);
}
END_TEST

START_TEST(later_replies_leave_in_one_call_at_the_end_of_the_turn)
{
    listen_at("127.0.0.1");
    for (uint16_t id = 0; id < 150; id++)
        ask(id, FAKE_LATER);
    fake_turns(3);
    ck_assert_uint_eq(fakedesk.n_later, 150);
    for (size_t i = 0; i < 150; i++)
        fake_reply(149 - i, 20 + i);
    ck_assert_uint_eq(n_sendmmsg, 2); /* two full batches; 22 wait */
    uint8_t msg[2048];
    for (size_t i = 0; i < 150; i++) {
        ck_assert_uint_eq(receive(msg, NULL), 20 + i);
        ck_assert_uint_eq(fake_id(msg), 149 - i);
    }
    ck_assert_uint_eq(n_sendmmsg, 3);
}
END_TEST

START_TEST(a_reply_from_inside_the_desk_does_not_disturb_the_one_being_written)
{
    listen_at("127.0.0.1");
    for (uint16_t id = 0; id < 64; id++)
        ask(id, id % 2 == 0 ? FAKE_ECHO : FAKE_INSIDE);
    for (uint16_t id = 0; id < 64; id += 2)
        expect(id);
    for (uint16_t id = 1; id < 64; id += 2)
        expect(id);
    expect_nothing();
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
    listen_at("127.0.0.1");
    ask(1, FAKE_LATER);
    fake_turns(2);
    turn_add_end(turn, reply_at_end, &n);
    ck_assert(fake_wakes());
    ck_assert_uint_eq(n, 1);
    fake_turns(1);
    expect(1);
    turn_remove(turn, &n);
}
END_TEST

START_TEST(what_is_dropped_later_sends_nothing)
{
    listen_at("127.0.0.1");
    ask(1, FAKE_LATER);
    fake_turns(2);
    fake_drop(0);
    expect_nothing();
}
END_TEST

START_TEST(the_largest_reply_goes_out_whole_and_a_larger_one_not_at_all)
{
    uint8_t msg[2048];
    listen_at("127.0.0.1");
    ask(7, FAKE_LATER);
    ask(8, FAKE_LATER);
    fake_turns(2);
    fake_reply(0, WIRE_UDP_MAX + 1);
    fake_reply(1, WIRE_UDP_MAX);
    ck_assert_uint_eq(receive(msg, NULL), WIRE_UDP_MAX);
    ck_assert_uint_eq(fake_id(msg), 8);
    expect_nothing();
    ck_assert_uint_eq(counts().unsent, 1);
}
END_TEST

START_TEST(a_datagram_beyond_any_question_is_seen_as_its_header)
{
    static uint8_t big[4097];
    uint8_t msg[2048];
    listen_at("127.0.0.1");
    send_to("127.0.0.1", big, fake_question(big, 9, FAKE_ECHO, 4097));
    ck_assert_uint_eq(receive(msg, NULL), WIRE_HEADER_LEN);
    ck_assert_uint_eq(msg[3], 1);
    send_to("127.0.0.1", big, fake_question(big, 10, FAKE_NONE, 4096));
    fake_turns(2);
    ck_assert_uint_eq(fakedesk.last_len, 4096);
}
END_TEST

START_TEST(chatter_ports_are_not_even_shown_to_the_desk)
{
    static const uint16_t ports[] = {7, 13, 17, 19};
    listen_at("127.0.0.1");
    for (size_t i = 0; i < 4; i++) {
        from_port = ports[i];
        ask(1, FAKE_ECHO);
        fake_turns(2);
    }
    from_port = 0;
    expect_nothing();
    ck_assert_uint_eq(fakedesk.n_seen, 0);
    ck_assert_uint_eq(counts().ignored, 4);
    ask(2, FAKE_ECHO);
    expect(2);
}
END_TEST

/* ---- addresses ------------------------------------------------------------------------------- */

static void ask_and_compare(const char *text, uint16_t id, enum fake_order order)
{
    struct addr asked, from;
    uint8_t msg[2048];
    address(text, &asked);
    asked.port = udp_addr(udp)->port;
    ask_at(text, id, order);
    if (order == FAKE_LATER) {
        fake_turns(2);
        fake_reply(fakedesk.n_later - 1, 30);
    }
    receive(msg, &from);
    ck_assert_uint_eq(fake_id(msg), id);
    ck_assert(addr_equal(&asked, &from));
    ck_assert(addr_equal(&asked, &fakedesk.last.local));
}

START_TEST(a_wildcard_listener_replies_from_the_address_that_was_asked)
{
    listen_at("0.0.0.0");
    ask_and_compare("127.0.0.2", 1, FAKE_ECHO);
    ask_and_compare("127.0.0.3", 2, FAKE_LATER);
    ask_and_compare("127.0.0.1", 3, FAKE_ECHO);
    ck_assert_uint_ne(fakedesk.last.ifindex, 0);
}
END_TEST

/* The listener's own descriptor, by its address. */
static int listener(void)
{
    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;
        struct addr at;
        if (fd != client && getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
            sockaddr_to_addr(&ss, &at) == 0 && addr_equal(&at, udp_addr(udp)))
            return fd;
    }
    return -1;
}

/* Forged ICMP "fragmentation needed" must not make replies travel in pieces (RFC 9715 3). */
START_TEST(forged_path_mtu_is_not_listened_to)
{
    bool four = _i == 0;
    int value = -1;
    socklen_t len = sizeof value;
    listen_at(four ? "127.0.0.1" : "::1");
    ck_assert_int_eq(getsockopt(listener(), four ? IPPROTO_IP : IPPROTO_IPV6,
                         four ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &value, &len),
        0);
    ck_assert_int_eq(value, four ? IP_PMTUDISC_OMIT : IPV6_PMTUDISC_OMIT);
}
END_TEST

START_TEST(an_ipv6_wildcard_listener_does_too)
{
    listen_at("::");
    ask_and_compare("::1", 1, FAKE_ECHO);
    ask_and_compare("::1", 2, FAKE_LATER);
}
END_TEST

/* Of an address that each interface may have, the reply leaves by the one that was asked. */
START_TEST(who_asked_a_link_local_address_is_answered_by_its_interface)
{
    struct in6_addr expected;
    listen_at("::");
    asked_at = "fe80::1";
    ck_assert_int_eq(inet_pton(AF_INET6, asked_at, &expected), 1);
    ask_at("::1", 1, FAKE_ECHO);
    fake_turns(3);
    ck_assert_uint_eq(fakedesk.last.local.scope, 7);
    ck_assert(has_source);
    ck_assert_mem_eq(&source.ipi6_addr, &expected, sizeof expected);
    ck_assert_uint_eq(source.ipi6_ifindex, 7);
    asked_at = "2001:db8::1"; /* which is one and the same by whatever interface */
    ask_at("::1", 2, FAKE_ECHO);
    fake_turns(3);
    ck_assert_uint_eq(fakedesk.last.local.scope, 0);
    ck_assert_uint_eq(source.ipi6_ifindex, 0);
}
END_TEST

/* Nobody may send from a group's address. */
START_TEST(who_asked_a_group_is_answered_from_what_the_kernel_chooses)
{
    listen_at("::");
    asked_at = "ff02::fb";
    ask_at("::1", 1, FAKE_ECHO);
    fake_turns(3);
    ck_assert_uint_eq(fakedesk.n_seen, 1);
    ck_assert_uint_eq(fakedesk.last.ifindex, 7);
    ck_assert(addr_is_unspecified(&fakedesk.last.local));
    ck_assert(!has_source);
}
END_TEST

START_TEST(a_datagram_from_what_is_no_address_is_not_even_shown_to_the_desk)
{
    listen_at("127.0.0.1");
    from_family = AF_UNIX;
    ask(1, FAKE_ECHO);
    expect_nothing();
    ck_assert_uint_eq(fakedesk.n_seen, 0);
    ck_assert_uint_eq(counts().ignored, 1);
}
END_TEST

START_TEST(a_listener_at_one_address_knows_it_without_being_told)
{
    listen_at("127.0.0.5");
    ask_and_compare("127.0.0.5", 1, FAKE_ECHO);
    ask_and_compare("127.0.0.5", 2, FAKE_LATER);
    struct addr peer = fakedesk.last.peer;
    ck_assert(addr_is_loopback(&peer));
    ck_assert_uint_ne(peer.port, 0);
    ck_assert_int_eq(fakedesk.last.transport, CLIENT_UDP);
}
END_TEST

START_TEST(both_families_share_a_port)
{
    listen_at("0.0.0.0");
    struct addr at;
    address("::", &at);
    at.port = udp_addr(udp)->port;
    struct udp *six = udp_open(loop, turn, &at, &fakedesk);
    ck_assert_ptr_nonnull(six);
    udp_close(six);
}
END_TEST

START_TEST(two_listeners_on_one_port_fail)
{
    listen_at("127.0.0.1");
    struct addr at = *udp_addr(udp);
    ck_assert_ptr_null(udp_open(loop, turn, &at, &fakedesk));
}
END_TEST

START_TEST(an_address_of_nobody_fails)
{
    listen_at("127.0.0.1");
    struct addr at;
    address("192.0.2.1", &at);
    ck_assert_ptr_null(udp_open(loop, turn, &at, &fakedesk));
}
END_TEST

/* ---- a socket in trouble --------------------------------------------------------------------- */

START_TEST(one_datagram_that_cannot_be_sent_costs_only_itself)
{
    static const int errors[] = {ENOBUFS, EPERM, ENETUNREACH, EINVAL, EMSGSIZE};
    listen_at("127.0.0.1");
    for (size_t i = 0; i < 5; i++) {
        refusals[0] = errors[i];
        for (uint16_t id = 0; id < 3; id++)
            ask(id, FAKE_ECHO);
        expect(1);
        expect(2);
        expect_nothing();
        ck_assert_uint_eq(counts().unsent, i + 1);
    }
}
END_TEST

START_TEST(interruptions_and_news_of_clients_that_have_gone_cost_nothing)
{
    listen_at("127.0.0.1");
    refusals[0] = EINTR;
    refusals[1] = ECONNREFUSED;
    refusals[2] = EINTR;
    ask(1, FAKE_ECHO);
    expect(1);
    ck_assert_uint_eq(n_refusals, 3);
    ck_assert_uint_eq(counts().unsent, 0);
    for (size_t i = 0; i < 2; i++)
        refusals[i] = ECONNREFUSED; /* of the same datagram twice: it is the one */
    ask(2, FAKE_ECHO);
    ask(3, FAKE_ECHO);
    expect(3);
    ck_assert_uint_eq(counts().unsent, 1);
}
END_TEST

START_TEST(errors_of_receiving_lose_nothing)
{
    static const int errors[] = {EINTR, ECONNREFUSED, ENETDOWN, EHOSTUNREACH, EAGAIN};
    listen_at("127.0.0.1");
    for (uint16_t id = 0; id < 5; id++) {
        receive_error = errors[id];
        ask(id, FAKE_ECHO);
        expect(id);
    }
}
END_TEST

START_TEST(a_client_that_has_gone_disturbs_no_other)
{
    listen_at("127.0.0.1");
    for (uint16_t id = 0; id < 10; id++)
        ask(id, FAKE_ECHO);
    int gone = client;
    client = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    close(gone);
    fake_turns(2);
    for (uint16_t id = 0; id < 10; id++)
        ask(id, FAKE_ECHO);
    for (uint16_t id = 0; id < 10; id++)
        expect(id);
}
END_TEST

START_TEST(a_full_socket_keeps_replies_and_stops_reading_until_it_takes_them)
{
    listen_at("127.0.0.1");
    refusals[0] = EAGAIN;
    for (uint16_t id = 0; id < 100; id++)
        ask(id, FAKE_ECHO);
    fake_turns(1);
    ck_assert_uint_eq(fakedesk.n_seen, 64); /* the other 36 stay with the kernel */
    ck_assert_uint_eq(counts().sent, 0);
    for (uint16_t id = 0; id < 100; id++)
        expect(id);
    ck_assert_uint_eq(counts().unsent, 0);
}
END_TEST

START_TEST(a_socket_that_is_full_again_keeps_later_replies_again)
{
    listen_at("127.0.0.1");
    ask(1, FAKE_LATER);
    fake_turns(2);
    refusals[0] = refusals[1] = refusals[2] = EAGAIN;
    fake_reply(0, 20);
    expect(1);
    ck_assert_uint_eq(n_refusals, 3);
    ask(2, FAKE_ECHO); /* and it is read again */
    expect(2);
}
END_TEST

START_TEST(a_full_socket_keeps_a_batch_of_later_replies_and_counts_the_rest)
{
    listen_at("127.0.0.1");
    for (uint16_t id = 0; id < 80; id++)
        ask(id, FAKE_LATER);
    fake_turns(2);
    refusals[0] = EAGAIN;
    for (size_t i = 0; i < 80; i++)
        fake_reply(i, 20);
    ck_assert_uint_eq(counts().unsent, 16);
    for (uint16_t id = 0; id < 64; id++)
        expect(id);
    ask(81, FAKE_ECHO);
    expect(81);
}
END_TEST

START_TEST(a_stopped_listener_reads_nothing_and_still_replies)
{
    listen_at("127.0.0.1");
    ask(1, FAKE_LATER);
    fake_turns(2);
    udp_stop(udp);
    ask(2, FAKE_ECHO);
    expect_nothing();
    fake_reply(0, 20);
    expect(1);
    ck_assert_uint_eq(fakedesk.n_seen, 1);
}
END_TEST

START_TEST(a_listener_stopped_while_full_does_not_read_when_it_is_empty_again)
{
    listen_at("127.0.0.1");
    refusals[0] = EAGAIN;
    ask(1, FAKE_ECHO);
    fake_turns(1);
    udp_stop(udp);
    ask(2, FAKE_ECHO);
    expect(1);
    expect_nothing();
}
END_TEST

START_TEST(a_busy_listener_that_is_stopped_reads_nothing)
{
    listen_at("127.0.0.1");
    ask_many(0, 16);
    fake_turns(1);
    udp_stop(udp);
    ask_many(16, 1);
    expect_many(0, 16);
    expect_nothing();
    ck_assert(fake_sleeps());
}
END_TEST

START_TEST(a_busy_socket_that_is_full_is_read_again_when_it_takes_replies)
{
    listen_at("127.0.0.1");
    ask_many(0, 16);
    fake_turns(2);
    refusals[0] = EAGAIN;
    ask_many(16, 100);
    expect_many(0, 116);
    ck_assert_uint_eq(n_refusals, 1);
    fake_turns(3);
    ck_assert(is_watched);
    ck_assert(fake_sleeps());
}
END_TEST

/* _i: what was read before, enough or not to be busy. */
START_TEST(a_socket_that_stays_full_is_not_read_and_lets_the_loop_sleep)
{
    static const uint16_t before[] = {1, 16};
    listen_at("127.0.0.1");
    fake_turns(3);
    ask_many(0, before[_i]);
    fake_turns(1);
    refusals[0] = EAGAIN;
    stays_full = true;
    ask_many(100, 100);
    fake_turns(3);
    ck_assert(fake_sleeps());
    ck_assert_uint_eq(counts().received, before[_i] + 64);
    expect_many(0, before[_i]);
    expect_nothing();
}
END_TEST

START_TEST(a_busy_socket_that_cannot_be_read_any_more_lets_the_loop_sleep)
{
    listen_at("127.0.0.1");
    ask_many(0, 16);
    fake_turns(1);
    receive_error = ENOMEM;
    stays_broken = true;
    fake_turns(3);
    ck_assert(is_watched);
    ck_assert(fake_sleeps());
}
END_TEST

START_TEST(a_socket_that_cannot_be_watched_is_tried_again_each_second)
{
    listen_at("127.0.0.1");
    ask_many(0, 16);
    fake_turns(2);
    n_unwatched = 2;
    expect_many(0, 16);
    fake_turns(3);
    ck_assert_uint_eq(n_unwatched, 1); /* and that was heard: */
    ck_assert(fake_sleeps());
    ask(16, FAKE_ECHO);
    fake_turns(3);
    ck_assert_uint_eq(fakedesk.n_seen, 16);
    fake_pass(999);
    ck_assert_uint_eq(fakedesk.n_seen, 16);
    fake_pass(1);
    expect(16);
    fake_turns(3);
    ck_assert_uint_eq(n_unwatched, 0);
    ask(17, FAKE_ECHO);
    fake_turns(3);
    ck_assert_uint_eq(fakedesk.n_seen, 17);
    fake_pass(1000);
    expect(17);
    ask(18, FAKE_ECHO);
    expect(18);
    ck_assert(is_watched);
}
END_TEST

START_TEST(a_socket_that_cannot_be_watched_at_first_is_tried_again_before_anyone_asks)
{
    n_unwatched = 1;
    listen_at("127.0.0.1");
    ck_assert(!fake_sleeps()); /* it hears the refusal at once */
    fake_turns(3);
    ck_assert(fake_sleeps());
    ck_assert(!is_watched);
    fake_pass(1000);
    ck_assert(is_watched);
    ask(1, FAKE_ECHO);
    expect(1);
}
END_TEST

START_TEST(closing_sends_what_is_queued)
{
    listen_at("127.0.0.1");
    ask(1, FAKE_LATER);
    fake_turns(2);
    fake_reply(0, 20);
    udp_close(udp);
    udp = NULL;
    expect(1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("udp");
    TCase *replies = tcase_create("questions and replies");
    TCase *addresses = tcase_create("addresses");
    TCase *trouble = tcase_create("a socket in trouble");
    tcase_add_checked_fixture(replies, setup, teardown);
    tcase_add_checked_fixture(addresses, setup, teardown);
    tcase_add_checked_fixture(trouble, setup, teardown);
    tcase_add_test(replies, two_hundred_datagrams_at_once_are_all_answered_in_order);
    tcase_add_test(replies, more_than_an_event_takes_waits_for_the_next_turn_and_is_not_lost);
    tcase_add_loop_test(
        replies, a_busy_socket_is_read_without_being_watched_until_it_is_empty, 0, 3);
    tcase_add_test(replies, questions_that_come_while_it_is_watched_again_keep_a_socket_busy);
    tcase_add_test(replies, what_the_desk_drops_leaves_no_hole_in_the_batch);
    tcase_add_test(replies, later_replies_leave_in_one_call_at_the_end_of_the_turn);
    tcase_add_test(replies, a_reply_from_inside_the_desk_does_not_disturb_the_one_being_written);
    tcase_add_test(replies, what_is_dropped_later_sends_nothing);
    tcase_add_test(replies, a_reply_behind_the_end_of_the_turn_does_not_wait_for_the_next_event);
    tcase_add_test(replies, the_largest_reply_goes_out_whole_and_a_larger_one_not_at_all);
    tcase_add_test(replies, a_datagram_beyond_any_question_is_seen_as_its_header);
    tcase_add_test(replies, chatter_ports_are_not_even_shown_to_the_desk);
    tcase_add_test(addresses, a_wildcard_listener_replies_from_the_address_that_was_asked);
    tcase_add_test(addresses, an_ipv6_wildcard_listener_does_too);
    tcase_add_loop_test(addresses, forged_path_mtu_is_not_listened_to, 0, 2);
    tcase_add_test(addresses, who_asked_a_link_local_address_is_answered_by_its_interface);
    tcase_add_test(addresses, who_asked_a_group_is_answered_from_what_the_kernel_chooses);
    tcase_add_test(addresses, a_datagram_from_what_is_no_address_is_not_even_shown_to_the_desk);
    tcase_add_test(addresses, a_socket_that_is_full_again_keeps_later_replies_again);
    tcase_add_test(addresses, a_listener_at_one_address_knows_it_without_being_told);
    tcase_add_test(addresses, both_families_share_a_port);
    tcase_add_test(addresses, two_listeners_on_one_port_fail);
    tcase_add_test(addresses, an_address_of_nobody_fails);
    tcase_add_test(trouble, one_datagram_that_cannot_be_sent_costs_only_itself);
    tcase_add_test(trouble, interruptions_and_news_of_clients_that_have_gone_cost_nothing);
    tcase_add_test(trouble, errors_of_receiving_lose_nothing);
    tcase_add_test(trouble, a_client_that_has_gone_disturbs_no_other);
    tcase_add_test(trouble, a_full_socket_keeps_replies_and_stops_reading_until_it_takes_them);
    tcase_add_test(trouble, a_full_socket_keeps_a_batch_of_later_replies_and_counts_the_rest);
    tcase_add_test(trouble, a_busy_socket_that_is_full_is_read_again_when_it_takes_replies);
    tcase_add_loop_test(
        trouble, a_socket_that_stays_full_is_not_read_and_lets_the_loop_sleep, 0, 2);
    tcase_add_test(trouble, a_busy_socket_that_cannot_be_read_any_more_lets_the_loop_sleep);
    tcase_add_test(trouble, a_socket_that_cannot_be_watched_is_tried_again_each_second);
    tcase_add_test(
        trouble, a_socket_that_cannot_be_watched_at_first_is_tried_again_before_anyone_asks);
    tcase_add_test(trouble, a_stopped_listener_reads_nothing_and_still_replies);
    tcase_add_test(trouble, a_busy_listener_that_is_stopped_reads_nothing);
    tcase_add_test(trouble, a_listener_stopped_while_full_does_not_read_when_it_is_empty_again);
    tcase_add_test(trouble, closing_sends_what_is_queued);
    suite_add_tcase(suite, replies);
    suite_add_tcase(suite, addresses);
    suite_add_tcase(suite, trouble);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
