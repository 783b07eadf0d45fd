/* soak.c: hours in minutes: stubs, pages, TCP clients and floods at once, a server that lies beside
 * one that does not, and reloads. What it must come to: every question has its right answer, and
 * neither memory nor descriptors grow. Knows the two ends of dnsd; never its insides.
 * SOAK says for how long: 10m (the default), 24h, 45s. */
#include "harness.h"
#include "peers.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STUBS         4
#define HOT_NAMES     300
#define COLD_NAMES    100000
#define PAGES         20
#define PAGE_NAMES    12
#define STUB_PAUSE_US 1000
#define TC            2 /* in the third byte of a message */
#define TRIES         3
#define TRY_MS        5000
#define PIPELINED     20
#define IDLE          100
#define FLOOD_EVERY_S 20
#define FLOOD_NAMES   20000
#define RELOAD_MS     60000
#define SAMPLE_MS     10000
#define SAMPLES_MAX   10000
#define GROWTH_KIB    1024 /* of memory in the last third: what is touched for the first time */

static struct dnsd *dut;
static atomic_bool enough;

struct tally {
    atomic_ulong asked, repeated, truncated, lost, wrong;
};
static struct tally stubs, pages, streams;
static atomic_ulong flooded, idled;
static atomic_uint stubs_begun;

/* ---- names and what they lead to ------------------------------------------------------------- */

static unsigned hash_of(const char *name)
{
    unsigned h = 2166136261u;
    for (; *name != '\0'; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

static unsigned last_byte(const char *name)
{
    return 1 + hash_of(name) % 250;
}

static uint32_t ttl_of(const char *name)
{
    static const uint32_t ttls_s[] = {0, 1, 5, 60, 3600};
    return ttls_s[hash_of(name) / 250 % (sizeof ttls_s / sizeof ttls_s[0])];
}

/* Each thread has a state of its own: xorshift32. */
static unsigned chance(unsigned *state, unsigned below)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state % below;
}

/* ---- the servers ----------------------------------------------------------------------------- */

static size_t right_reply(const struct asked *q, uint8_t msg[MESSAGE_MAX])
{
    uint8_t address[4] = {192, 0, 2, (uint8_t)last_byte(q->name)};
    size_t len = reply_start(q, NOERROR, msg);
    return reply_add(msg, len, TYPE_A, ttl_of(q->name), address, sizeof address);
}

static void honest(const struct asked *q, void *ctx)
{
    uint8_t msg[MESSAGE_MAX];
    (void)ctx;
    reply_send(q, hash_of(q->name) % 20, msg, right_reply(q, msg));
}

static void send_rcode(const struct asked *q, enum rcode rcode)
{
    uint8_t msg[MESSAGE_MAX];
    reply_send(q, 0, msg, reply_start(q, rcode, msg));
}

enum fault {
    SILENT,
    WRONG_ID,
    GARBAGE,
    OTHER_PORT,
    TRUNCATED,
    NO_SERVICE,
    REFUSAL,
    BAD_FORM,
    SLOW,
    TOO_LATE,
    FAULTS,
};

static void liar(const struct asked *q, void *ctx)
{
    static unsigned state = 1; /* one thread runs it */
    uint8_t msg[MESSAGE_MAX];
    size_t len = right_reply(q, msg);
    (void)ctx;
    switch (chance(&state, 2 * FAULTS)) { /* right every other time */
    case SILENT:
        return;
    case WRONG_ID:
        msg[0] ^= 0xff;
        reply_send(q, 0, msg, len);
        msg[0] ^= 0xff;
        break;
    case GARBAGE:
        reply_send(q, 0, msg + 5, len - 5);
        break;
    case OTHER_PORT:
        if (!q->tcp)
            reply_send_from_elsewhere(q, msg, len);
        return;
    case TRUNCATED:
        msg[2] |= q->tcp ? 0 : 2;
        break;
    case NO_SERVICE:
        send_rcode(q, SERVFAIL);
        return;
    case REFUSAL:
        send_rcode(q, REFUSED);
        return;
    case BAD_FORM:
        send_rcode(q, FORMERR);
        return;
    case SLOW:
        reply_send(q, 300, msg, len);
        return;
    case TOO_LATE:
        reply_send(q, 2500, msg, len);
        return;
    default:
        break;
    }
    reply_send(q, 1, msg, len);
}

/* ---- clients --------------------------------------------------------------------------------- */

/* Whether a reply to the question with this ID gives the name its address. */
static bool is_right(const uint8_t *reply, ssize_t len, const char *name)
{
    return len > 16 && (reply[3] & 15) == NOERROR && reply[len - 1] == last_byte(name);
}

/* What came instead of the right answer is told at once. */
static void count_wrong(struct tally *t, const uint8_t *reply, ssize_t len, const char *name)
{
    t->wrong++;
    printf("%s: %zd bytes, rcode %d%s\n", name, len, reply[3] & 15, reply[2] & TC ? ", TC" : "");
}

static bool read_whole(int fd, uint8_t *to, size_t len)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (len > 0) {
        ssize_t n = poll(&p, 1, TRY_MS) == 1 ? recv(fd, to, len, 0) : -1;
        if (n <= 0)
            return false;
        to += n;
        len -= (size_t)n;
    }
    return true;
}

/* One question over TCP, as a stub asks where the reply over UDP was truncated. */
static void ask_again_over_tcp(
    struct tally *t, unsigned client, const uint8_t *msg, size_t len, const char *name)
{
    uint8_t frame[302] = {(uint8_t)(len >> 8), (uint8_t)len}, in[2048];
    int fd = client_socket(dut, client, SOCK_STREAM);
    memcpy(frame + 2, msg, len);
    size_t n = 0;
    if (fd >= 0 && send(fd, frame, len + 2, MSG_NOSIGNAL) == (ssize_t)len + 2)
        n = read_whole(fd, in, 2) ? (size_t)in[0] << 8 | in[1] : 0;
    if (n < 12 || n > sizeof in || !read_whole(fd, in, n) || memcmp(in, msg, 2) != 0)
        t->lost++;
    else if (!is_right(in, (ssize_t)n, name))
        count_wrong(t, in, (ssize_t)n, name);
    if (fd >= 0)
        close(fd);
}

/* Asks as a stub does: again after TRY_MS, up to TRIES times, and over TCP where the answer took so
 * long that UDP says no more than that (SECURITY 4). */
static void ask_patiently(struct tally *t, unsigned client, int fd, unsigned id, const char *name)
{
    uint8_t msg[300], reply[2048];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t len = write_question(msg, id, name, TYPE_A);
    t->asked++;
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t end_ms = now_ms() + TRY_MS, at_ms;
        t->repeated += i > 0;
        if (send(fd, msg, len, 0) < 0)
            continue;
        while ((at_ms = now_ms()) < end_ms && poll(&p, 1, (int)(end_ms - at_ms)) == 1) {
            ssize_t n = recv(fd, reply, sizeof reply, 0);
            if (n < 12 || memcmp(reply, msg, 2) != 0)
                continue; /* to an earlier try of another question */
            if (reply[2] & TC) {
                t->truncated++;
                ask_again_over_tcp(t, client, msg, len, name);
            } else if (!is_right(reply, n, name)) {
                count_wrong(t, reply, n, name);
            }
            return;
        }
    }
    t->lost++;
}

static void *be_stub(void *arg)
{
    unsigned number = *(unsigned *)arg, state = 77 + number, id = 0;
    int fd = client_socket(dut, number, SOCK_DGRAM);
    stubs_begun += fd >= 0;
    while (!enough && fd >= 0) {
        char name[64];
        if (chance(&state, 10) > 0)
            snprintf(name, sizeof name, "hot%u.example.com", chance(&state, HOT_NAMES));
        else
            snprintf(name, sizeof name, "cold%u.example.com", chance(&state, COLD_NAMES));
        ask_patiently(&stubs, number, fd, ++id & 0xffff, name);
        usleep(STUB_PAUSE_US);
    }
    return NULL;
}

/* A page is a name, and then the others one after the other. */
static void *be_browser(void *arg)
{
    unsigned state = 4711, id = 0;
    int fd = client_socket(dut, 50, SOCK_DGRAM);
    (void)arg;
    while (!enough && fd >= 0) {
        unsigned page = chance(&state, PAGES);
        for (unsigned i = 0; i < PAGE_NAMES && !enough; i++) {
            char name[64];
            snprintf(name, sizeof name, "n%u.page%u.example.com", i, page);
            ask_patiently(&pages, 50, fd, ++id & 0xffff, name);
        }
        usleep(100000);
    }
    return NULL;
}

/* Some questions in one piece, and their replies in any order. */
static void ask_pipelined(int fd, unsigned *state)
{
    uint8_t out[PIPELINED * 100], in[2048];
    char names[PIPELINED][64];
    size_t len = 0;
    for (unsigned i = 0; i < PIPELINED; i++) {
        snprintf(names[i], sizeof names[i], "hot%u.example.com", chance(state, HOT_NAMES));
        size_t n = write_question(out + len + 2, i, names[i], TYPE_A);
        out[len] = 0;
        out[len + 1] = (uint8_t)n;
        len += 2 + n;
    }
    streams.asked += PIPELINED;
    if (send(fd, out, len, MSG_NOSIGNAL) != (ssize_t)len) {
        streams.lost += PIPELINED;
        return;
    }
    for (unsigned i = 0; i < PIPELINED; i++) {
        size_t n = read_whole(fd, in, 2) ? (size_t)in[0] << 8 | in[1] : 0;
        if (n < 12 || n > sizeof in || !read_whole(fd, in, n) || in[1] >= PIPELINED) {
            streams.lost += PIPELINED - i;
            return;
        }
        if (!is_right(in, (ssize_t)n, names[in[1]]))
            count_wrong(&streams, in, (ssize_t)n, names[in[1]]);
    }
}

/* One connection in three is torn off in mid-message. */
static void *be_stream(void *arg)
{
    static const uint8_t torn[] = {0, 40, 1, 2, 3};
    const struct linger reset = {.l_onoff = 1};
    unsigned state = 99;
    (void)arg;
    while (!enough) {
        int fd = client_socket(dut, 51, SOCK_STREAM);
        if (fd < 0) {
            streams.lost++;
            usleep(100000);
            continue;
        }
        if (chance(&state, 3) > 0) {
            ask_pipelined(fd, &state);
        } else {
            (void)send(fd, torn, sizeof torn, MSG_NOSIGNAL);
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        close(fd);
        usleep(20000);
    }
    return NULL;
}

/* Connections that say nothing, until dnsd has had enough of them. */
static void *be_idle(void *arg)
{
    (void)arg;
    while (!enough) {
        int fds[IDLE];
        for (unsigned i = 0; i < IDLE; i++)
            idled += (fds[i] = client_socket(dut, 60 + i % 4, SOCK_STREAM)) >= 0;
        for (unsigned i = 0; i < 30 && !enough; i++)
            usleep(100000);
        for (unsigned i = 0; i < IDLE; i++)
            if (fds[i] >= 0)
                close(fds[i]);
    }
    return NULL;
}

/* Names that nobody else asks for and bytes that are no question; whoever sends them reads nothing.
 */
static void *be_flood(void *arg)
{
    unsigned state = 5, number = 0;
    (void)arg;
    while (!enough) {
        int fd = client_socket(dut, 70 + chance(&state, 100), SOCK_DGRAM);
        for (unsigned i = 0; fd >= 0 && i < FLOOD_NAMES && !enough; i++) {
            uint8_t msg[300];
            char name[64];
            snprintf(name, sizeof name, "flood%u.example.com", number++);
            size_t len = write_question(msg, i & 0xffff, name, TYPE_A);
            if (i % 10 == 0)
                msg[chance(&state, 12)] ^= (uint8_t)(1 + chance(&state, 255));
            flooded += send(fd, msg, len - (i % 50 == 0 ? 7 : 0), 0) > 0;
            if (i % 64 == 0)
                usleep(1000);
        }
        if (fd >= 0)
            close(fd);
        for (unsigned i = 0; i < FLOOD_EVERY_S * 10 && !enough; i++)
            usleep(100000);
    }
    return NULL;
}

/* ---- looking on ------------------------------------------------------------------------------ */

struct sample {
    unsigned long kib; /* of dnsd and the process that reads its files */
    unsigned descriptors;
};
static struct sample samples[SAMPLES_MAX];
static unsigned n_samples;

/* 0 where there is no such process. */
static unsigned long kib_of(int pid)
{
    const char *at = strstr(read_file(text("/proc/%d/status", pid)), "VmRSS:");
    return at != NULL ? strtoul(at + strlen("VmRSS:"), NULL, 10) : 0;
}

static struct sample look(void)
{
    size_t mark = texts_mark();
    struct sample s = {.kib = kib_of(dut->pid)};
    ck_assert_msg(s.kib > 0, "dnsd is gone");
    /* Empty where the kernel does not tell. */
    char *child = read_file(text("/proc/%d/task/%d/children", (int)dut->pid, (int)dut->pid));
    while (*child != '\0') {
        s.kib += kib_of((int)strtoul(child, &child, 10));
        child += strspn(child, " \n");
    }
    DIR *d = opendir(text("/proc/%d/fd", (int)dut->pid));
    ck_assert_ptr_nonnull(d);
    while (readdir(d) != NULL)
        s.descriptors++;
    closedir(d);
    texts_forget(mark);
    return s;
}

static void reload(unsigned nth)
{
    size_t mark = texts_mark();
    write_file("poison.conf", "extra%u.lan A 192.0.2.1\n%s", nth, nth % 5 == 4 ? "?\n" : "");
    dnsd_reload(dut);
    texts_forget(mark);
}

static void watch(uint64_t soak_ms)
{
    uint64_t begun_ms = now_ms(), reload_ms = begun_ms, sample_ms = begun_ms;
    uint64_t reload_every_ms = RELOAD_MS < soak_ms / 3 ? RELOAD_MS : soak_ms / 3;
    uint64_t sample_every_ms = soak_ms / 30 < SAMPLE_MS ? soak_ms / 30 : SAMPLE_MS;
    while (sample_every_ms * SAMPLES_MAX < soak_ms)
        sample_every_ms *= 2;
    for (unsigned n = 0; now_ms() - begun_ms < soak_ms; pause_ms(50)) {
        if (now_ms() >= reload_ms + reload_every_ms) {
            reload_ms = now_ms();
            reload(n++);
            printf("%4lu s: %lu KiB, %u descriptors; %lu asked, %lu lost\n",
                (unsigned long)((reload_ms - begun_ms) / 1000), look().kib, look().descriptors,
                stubs.asked + pages.asked + streams.asked, stubs.lost + pages.lost + streams.lost);
            fflush(stdout);
        }
        if (now_ms() >= sample_ms + sample_every_ms && n_samples < SAMPLES_MAX) {
            sample_ms = now_ms();
            samples[n_samples++] = look();
        }
    }
}

/* KiB a minute, by least squares over what was seen after the first third. */
static double slope(uint64_t soak_ms)
{
    unsigned first = n_samples / 3, n = n_samples - first;
    double sum_x = 0, sum_y = 0, sum_xy = 0, sum_xx = 0;
    for (unsigned i = first; i < n_samples; i++) {
        double x = i, y = (double)samples[i].kib;
        sum_x += x;
        sum_y += y;
        sum_xy += x * y;
        sum_xx += x * x;
    }
    double each = (n * sum_xy - sum_x * sum_y) / (n * sum_xx - sum_x * sum_x);
    return each * n_samples / ((double)soak_ms / 60000);
}

static void show(const char *who, struct tally *t)
{
    printf("| %-8s | %10lu | %8lu | %9lu | %6lu | %6lu |\n", who, t->asked, t->repeated,
        t->truncated, t->lost, t->wrong);
}

static uint64_t soak_ms(void)
{
    const char *wanted = getenv("SOAK");
    char *end;
    unsigned long n = strtoul(wanted != NULL ? wanted : "10m", &end, 10);
    uint64_t unit_ms = *end == 'h' ? 3600000 : *end == 'm' ? 60000 : 1000;
    ck_assert_msg(n > 0 && strspn(end, "hms") <= 1, "SOAK is a number and h, m or s");
    return n * unit_ms;
}

START_TEST(nothing_is_lost_and_nothing_grows)
{
    void *(*const others[])(void *) = {be_browser, be_stream, be_idle, be_flood};
    enum { OTHERS = sizeof others / sizeof others[0] };
    pthread_t threads[STUBS + OTHERS];
    unsigned numbers[STUBS];
    uint64_t length_ms = soak_ms();
    struct responder *good = responder_start(honest, NULL), *bad = responder_start(liar, NULL);
    write_file("poison.conf", "extra.lan A 192.0.2.1\n");
    dut = dnsd_start("-forward %s -forward %s -poison %s -predict -cache-size 4M",
        responder_at(bad), responder_at(good), path_of("poison.conf"));
    for (unsigned i = 0; i < STUBS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, be_stub, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < OTHERS; i++)
        ck_assert_int_eq(pthread_create(&threads[STUBS + i], NULL, others[i], NULL), 0);
    watch(length_ms);
    enough = true;
    for (unsigned i = 0; i < STUBS + OTHERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);

    ck_assert_uint_gt(n_samples, 0);
    struct sample last = samples[n_samples - 1], before = samples[n_samples * 2 / 3];
    printf("\n| who      |      asked | repeated | truncated |   lost |  wrong "
           "|\n|---|---|---|---|---|---|\n");
    show("stubs", &stubs);
    show("pages", &pages);
    show("streams", &streams);
    printf("\nflood: %lu questions; idle connections: %lu\n", flooded, idled);
    printf("memory: %lu KiB, %lu at two thirds; %+.1f KiB a minute after the first third\n",
        last.kib, before.kib, slope(length_ms));
    printf("descriptors: %u, %u at two thirds\n", last.descriptors, before.descriptors);
    /* A client that got no socket ends in silence. */
    ck_assert(stubs.asked > 0 && pages.asked > 0 && streams.asked > 0);
    ck_assert(flooded > 0 && idled > 0);
    ck_assert_uint_eq(stubs_begun, STUBS);
    ck_assert_uint_eq(stubs.lost + pages.lost + streams.lost, 0);
    ck_assert_uint_eq(stubs.wrong + pages.wrong + streams.wrong, 0);
    if (length_ms >= 600000 && !harness_slow())
        ck_assert_uint_le(last.kib, before.kib + GROWTH_KIB);
    ck_assert_int_eq(dnsd_stop(dut), 0);
    responder_stop(good);
    responder_stop(bad);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/soak");
    TCase *c = harness_case(s, "soak");
    tcase_set_timeout(c, 0); /* it ends by itself */
    tcase_add_test(c, nothing_is_lost_and_nothing_grows);
    return harness_run(s);
}
