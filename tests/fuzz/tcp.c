/* tcp.c: fuzzes the TCP listener (net/tcp.c): streams of questions in any pieces, with any lengths,
 * from clients that read or do not, hang up, reset and let time pass. The listener is the real one,
 * and the loop; the sockets are pairs, since loopback would run out of ports. Knows what was sent,
 * and so which replies may come. */
#include "net/tcp.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fakedesk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 6
#define SENT_MAX    (256 * 1024)
#define STEPS_MAX   200
#define ROUNDS_MAX  60 /* who is not read any more never is */
#define FIRST_MS    2000
#define IDLE_MS     10000

struct peer {
    int fd; /* -1: none */
    uint8_t *sent, *got;
    size_t sent_len, got_len, got_cap;
    size_t taken;     /* of sent: whole messages that were looked at */
    size_t checked;   /* of got: whole replies that were looked at */
    unsigned n_asked; /* whole messages sent */
    unsigned n_echo;  /* of them, such as are answered at once */
    unsigned n_replies, n_echoed;
    bool garbled; /* sent what is no message: what comes behind it is lost */
    bool hung_up;
};

static struct peer peers[CLIENTS_MAX];
static int waiting[CLIENTS_MAX]; /* the listener's ends, to be accepted */
static uint8_t waiting_from[CLIENTS_MAX];
static unsigned n_waiting;
static int bell;         /* the listening descriptor */
static bool time_passed; /* or accepting paused: who waits may be told to go */
static int accept_error; /* of the next accept; 0: none */
static struct tcp *tcp;

/* ---- in place of the kernel's ---------------------------------------------------------------- */

int listen(int fd, int backlog)
{
    int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    (void)backlog;
    FUZZ_MUST(event >= 0 && dup2(event, fd) == fd);
    close(event);
    bell = fd;
    return 0;
}

int accept4(int fd, __SOCKADDR_ARG from, socklen_t *len, int flags)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(4711)};
    uint64_t count;
    (void)flags;
    if (accept_error != 0) {
        errno = accept_error;
        accept_error = 0;
        return -1;
    }
    if (n_waiting == 0) {
        (void)!read(fd, &count, sizeof count);
        errno = EAGAIN;
        return -1;
    }
    n_waiting--;
    in.sin_addr.s_addr = htonl(0x0a000000u | waiting_from[n_waiting]);
    if (from.__sockaddr__ != NULL) {
        memcpy(from.__sockaddr__, &in, sizeof in);
        *len = sizeof in;
    }
    return waiting[n_waiting];
}

/* ---- clients --------------------------------------------------------------------------------- */

static void connect_one(struct peer *p, uint8_t from)
{
    int pair[2];
    uint64_t one = 1;
    if (p->fd >= 0 || p->sent != NULL)
        return;
    FUZZ_MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    p->fd = pair[0];
    p->sent = malloc(SENT_MAX);
    FUZZ_MUST(p->sent != NULL);
    waiting_from[n_waiting] = from;
    waiting[n_waiting++] = pair[1];
    FUZZ_MUST(write(bell, &one, sizeof one) == sizeof one);
}

/* Counts the whole messages in what was sent so far. */
static void count_sent(struct peer *p)
{
    while (!p->garbled) {
        size_t left = p->sent_len - p->taken;
        int len = wire_frame_len(p->sent + p->taken, left);
        if (len < 0 || (len >= WIRE_HEADER_LEN && left < 2 + (size_t)len))
            return;
        p->garbled = len < WIRE_HEADER_LEN;
        if (p->garbled)
            return;
        const uint8_t *msg = p->sent + p->taken + 2;
        p->n_asked++;
        p->n_echo += len == WIRE_HEADER_LEN || msg[12] == FAKE_ECHO;
        p->taken += 2 + (size_t)len;
    }
}

static void send_bytes(struct peer *p, const uint8_t *bytes, size_t len)
{
    if (p->fd < 0 || p->hung_up || p->sent_len + len > SENT_MAX)
        return;
    ssize_t n = send(p->fd, bytes, len, MSG_NOSIGNAL);
    if (n <= 0)
        return;
    memcpy(p->sent + p->sent_len, bytes, (size_t)n);
    p->sent_len += (size_t)n;
    count_sent(p);
}

/* Whether this reply can be the one to a message that was sent. */
static bool answers(const struct peer *p, const uint8_t *reply, size_t len, bool *echo)
{
    for (size_t at = 0; at < p->taken;) {
        const uint8_t *msg = p->sent + at + 2;
        size_t msg_len = (size_t)wire_frame_len(p->sent + at, p->taken - at);
        at += 2 + msg_len;
        if (memcmp(msg, reply, 2) != 0)
            continue;
        *echo = msg_len == WIRE_HEADER_LEN || msg[12] == FAKE_ECHO;
        if (*echo && len == msg_len && (reply[2] & 0x7f) == (msg[2] & 0x7f) &&
            memcmp(reply + 4, msg + 4, len - 4) == 0)
            return true;
        if (!*echo && msg[12] == FAKE_INSIDE && len == 12 && memcmp(reply, msg, 12) == 0)
            return true;
        size_t i = 2;
        while (i < len && reply[i] == (uint8_t)(fake_id(msg) + i))
            i++;
        if (!*echo && i == len)
            return true;
    }
    return false;
}

static void check_got(struct peer *p)
{
    for (;;) {
        size_t left = p->got_len - p->checked;
        int len = wire_frame_len(p->got + p->checked, left);
        bool echo;
        if (len < 0 || left < 2 + (size_t)len)
            return;
        FUZZ_MUST(len >= 2);
        FUZZ_MUST(answers(p, p->got + p->checked + 2, (size_t)len, &echo));
        p->n_replies++;
        p->n_echoed += echo;
        FUZZ_MUST(p->n_replies <= p->n_asked);
        p->checked += 2 + (size_t)len;
    }
}

/* Reads up to max bytes. Returns whether there were any. */
static bool receive(struct peer *p, size_t max)
{
    if (p->fd < 0)
        return false;
    if (p->got_cap - p->got_len < max) {
        p->got_cap = p->got_len + max;
        p->got = realloc(p->got, p->got_cap);
        FUZZ_MUST(p->got != NULL);
    }
    ssize_t n = recv(p->fd, p->got + p->got_len, max, MSG_DONTWAIT);
    if (n <= 0) {
        p->hung_up |= n == 0 || errno != EAGAIN;
        return false;
    }
    p->got_len += (size_t)n;
    check_got(p);
    return true;
}

static void hang_up(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

/* ---- the input ------------------------------------------------------------------------------- */

static size_t n_answered; /* of the desk's kept questions */

static void answer_later(struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    if (n_answered == fakedesk.n_later)
        return;
    if (how == 0)
        fake_drop(n_answered++);
    else
        fake_reply(n_answered++, how < 250 ? 2u + how : 2u + how * 200u);
}

static void send_question(struct peer *p, struct fuzz_input *in)
{
    static const uint8_t orders[] = {
        FAKE_ECHO, FAKE_BIG, FAKE_LATER, FAKE_NONE, FAKE_INSIDE, FAKE_ECHO, FAKE_ECHO, FAKE_LATER};
    static uint8_t frame[2 + WIRE_MESSAGE_MAX];
    uint8_t how = fuzz_u8(in), size = fuzz_u8(in);
    size_t len = 13 + (size < 200 ? size : (size - 200u) * 1000);
    unsigned n = how >> 6 != 3 ? 1u + (how >> 6) : size == 0 ? 400 : 20;
    size_t cut = how & 32 ? fuzz_u8(in) : 0;
    wire_frame_write(frame, len);
    for (; n > 0; n--) {
        fake_question(frame + 2, fuzz_u16(in), (enum fake_order)orders[how & 7], len);
        if (cut > 0 && cut < 2 + len) {
            send_bytes(p, frame, cut);
            fake_turns(1);
            send_bytes(p, frame + cut, 2 + len - cut);
        } else {
            send_bytes(p, frame, 2 + len);
        }
    }
}

static void let_time_pass(uint8_t how)
{
    static const uint64_t steps_ms[] = {1, 500, 1999, 2000, 2001, 9999, 10000, 60000};
    time_passed = true;
    fake_pass(steps_ms[how >> 5]);
}

static void fail_to_accept(uint8_t how)
{
    static const int errors[] = {EMFILE, ENFILE, ECONNABORTED, EINTR, ENOMEM, EPERM, ENOBUFS};
    accept_error = errors[how % (sizeof errors / sizeof *errors)];
    time_passed = true;
}

static void step(struct fuzz_input *in)
{
    uint8_t what = fuzz_u8(in);
    struct peer *p = &peers[(what >> 4) % CLIENTS_MAX];
    size_t taken;
    const uint8_t *bytes;
    switch (what & 15) {
    case 0:
        connect_one(p, fuzz_u8(in) & 1);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        send_question(p, in);
        break;
    case 5: /* anything */
        bytes = fuzz_take(in, fuzz_u8(in), &taken);
        send_bytes(p, bytes, taken);
        break;
    case 6:
        answer_later(in);
        break;
    case 7:
        let_time_pass(fuzz_u8(in));
        break;
    case 8:
        receive(p, 1 + fuzz_u16(in));
        break;
    case 9:
        if (p->fd >= 0)
            shutdown(p->fd, SHUT_WR);
        break;
    case 10:
        hang_up(p);
        break;
    case 11:
        fakedesk.big = 12u + fuzz_u16(in) % (WIRE_MESSAGE_MAX - 12);
        break;
    case 12:
        fakedesk.refuses = fuzz_u8(in) == 1;
        break;
    case 14:
        if (what & 128)
            fail_to_accept(fuzz_u8(in));
        fake_turns(1 + (what >> 6));
        break;
    case 13:
        while (receive(p, 4096))
            continue;
        break;
    default:
        fake_turns(1 + (what >> 6));
    }
}

/* Whether something that a client sent is not yet taken. */
static bool is_unread(const struct peer *p)
{
    int unread = 0;
    return p->fd >= 0 && ioctl(p->fd, SIOCOUTQ, &unread) == 0 && unread > 0;
}

/* Answers what waits and reads what comes, until nothing does. False: there is more of it. */
static bool run_dry(void)
{
    bool any = true;
    for (unsigned n = 0; any && n < ROUNDS_MAX; n++) {
        while (n_answered < fakedesk.n_later)
            fake_reply(n_answered++, 30);
        fake_turns(3);
        any = n_answered < fakedesk.n_later;
        for (unsigned i = 0; i < CLIENTS_MAX; i++)
            any |= receive(&peers[i], 65536) || is_unread(&peers[i]);
    }
    return !any;
}

/* Those who sent whole questions and nothing else, and were not kept waiting for, have all replies.
 */
static void all_are_answered(void)
{
    unsigned n_asked = 0;
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        const struct peer *p = &peers[i];
        n_asked += p->n_asked;
        if (p->fd >= 0 && !p->hung_up && !p->garbled && !time_passed)
            FUZZ_MUST(p->n_echoed == p->n_echo);
        if (p->fd >= 0 && !p->hung_up)
            FUZZ_MUST(p->checked == p->got_len);
    }
    FUZZ_MUST(fakedesk.n_seen <= n_asked);
}

static void clean_up(void)
{
    tcp_free(tcp);
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        hang_up(&peers[i]);
        free(peers[i].sent);
        free(peers[i].got);
    }
    while (n_waiting > 0)
        close(waiting[--n_waiting]);
    fake_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct addr at = {.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
    struct fuzz_input in = {data, size};
    uint8_t how = fuzz_u8(&in);
    struct tcp_conf conf = {.idle_ms = IDLE_MS,
        .first_message_ms = FIRST_MS,
        .connections_max = how & 1 ? 3 : 100,
        .per_client_max = how & 2 ? 2 : 100};
    memset(peers, 0, sizeof peers);
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        peers[i].fd = -1;
    n_answered = 0;
    time_passed = false;
    accept_error = 0;
    fake_start();
    fakedesk.big = 100;
    tcp = tcp_create(loop, turn, &conf, &fakedesk);
    FUZZ_MUST(tcp != NULL && tcp_listen(tcp, &at, NULL) == 0);
    for (unsigned i = 0; i < STEPS_MAX && in.left > 0 && fakedesk.n_later < FAKE_LATER_MAX - 100;
         i++)
        step(&in);
    if (run_dry())
        all_are_answered();
    if (how & 4)
        tcp_stop(tcp);
    accept_error = 0;
    for (unsigned i = 0; i < 3; i++) { /* accepting goes on, replies come, connections end */
        fake_pass(60000);
        run_dry();
    }
    FUZZ_MUST(tcp_connections(tcp) == 0);
    struct tcp_counts counts;
    tcp_count(tcp, &counts);
    FUZZ_MUST(counts.orphans == 0 && counts.buffered == 0);
    clean_up();
    return 0;
}

/* ---- seeds ----------------------------------------------------------------------------------- */

void fuzz_seeds(void)
{
    /* Connect, ask, turns, read. */
    static const char echo[] = "\0\0\0\x0e\1\0\x20\0\7\x0e\x0d";
    /* Pipelined, in two pieces, answered later in another order than asked. */
    static const char later[] = "\0\0\0\x0e\1\xa2\x20\5\0\1\0\2\0\3\x0e\6\x40\6\0\6\xff\x0e\x0d";
    /* A length of 0, a message cut short, garbage. */
    static const char garbage[] = "\0\0\0\x0e\5\2\0\0\x0e\x10\0\x0e\x15\5\0\x20"
                                  "abc"
                                  "\7\x80";
    /* A reader who does not read while replies are large. */
    static const char full[] = "\0\0\0\x0e\x0b\xff\xf0\1\xc1\x10\0\1\0\2\0\3\0\4\x0e\7\xe0\x0d";
    /* Few connections: who is idle makes room. */
    static const char room[] = "\3\0\0\x10\0\x20\1\x30\1\x0e\7\x20\x40\0\x0e\1\0\1\1\1\x0e\x0d";
    /* Half closed, and replies still come; reset. */
    static const char half[] =
        "\4\0\0\x0e\1\2\1\0\1\x09\x0e\6\x09\x0e\x0d\x10\0\x0e\x11\0\1\0\1\x1a";
    /* More messages than one connection may have while there are few. */
    static const char spent[] =
        "\3\0\0\x10\0\x0e\1\xc0\0\x0e\x0d\1\xc0\0\x0e\x0d\1\xc0\0\x0e\x0d\1\0\0";
    /* No descriptor is left, and again after a second. */
    static const char none[] = "\0\x8e\0\0\0\x0e\7\x60\x10\0\x0e\x11\0\x20\0\7\x0e\x1d";
    fuzz_seed("spent", spent, sizeof spent - 1);
    fuzz_seed("none", none, sizeof none - 1);
    fuzz_seed("echo", echo, sizeof echo - 1);
    fuzz_seed("later", later, sizeof later - 1);
    fuzz_seed("garbage", garbage, sizeof garbage - 1);
    fuzz_seed("full", full, sizeof full - 1);
    fuzz_seed("room", room, sizeof room - 1);
    fuzz_seed("half", half, sizeof half - 1);
}
