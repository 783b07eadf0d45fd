/* hostile_upstream.c: the real program against servers that play every fault we know: with one, two
 * and three servers of which some or all lie. TABLE=1 shows what came of each.
 * Knows what a client must get; never dnsd's insides.
 *
 * Always: the right answer where any server gave it, else SERVFAIL within 5 s; at most 3 messages
 * over UDP and 1 over TCP for a question (2 where a shared stream ended under it); every reply is
 * sound to the byte; no server is taken for dead because of a forgery; dnsd lives, and ends well
 * (harness_case). */
#include "tests/system/dissect.h"
#include "tests/system/forgery.h"
#include "tests/system/liar.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_LAYOUTS   5
#define SERVERS     3
#define TRIES_MAX   400
#define REPLY_MAX   65535
#define ASK_AT_ONCE 16
#define UDP_MAX     3
#define TCP_MAX     1
#define N_AFTER     5 /* questions that follow, to see whom they go to */

#define STREAMS_AT_ONCE 4

/* Of so many servers the first so many lie: the one that is asked first does. */
struct layout {
    size_t liars, servers;
};
static const struct layout layouts[N_LAYOUTS] = {{1, 1}, {1, 2}, {1, 3}, {2, 2}, {3, 3}};

/* A question and what came of it. */
struct trial {
    char name[80];
    enum type type;
    const struct lie *lie; /* NULL: a forgery, or none */
    uint8_t query[128];
    size_t query_len;
    uint64_t asked_ms, took_ms;
    bool came, over_tcp;
    struct reply r;
    size_t n_udp, n_tcp; /* messages it took */
};

/* A dnsd and its servers. */
struct stage {
    const struct layout *layout;
    struct responder *server[SERVERS];
    struct liar_memory memory[SERVERS];
    struct dnsd *d;
    int fd;
    struct trial *tries;
    size_t n, n_asked;
};

static uint64_t failure_ms(void)
{
    return harness_slow() ? 8000 : 5000;
}

/* ---- stages ---------------------------------------------------------------------------------- */

static void stage_start(struct stage *s, const struct layout *layout, bool without_tcp)
{
    char options[200] = "-cache-size 4M";
    struct sockaddr_in to = {.sin_family = AF_INET};
    *s = (struct stage){.layout = layout};
    s->tries = calloc(TRIES_MAX, sizeof *s->tries);
    ck_assert_ptr_nonnull(s->tries);
    for (size_t i = 0; i < layout->servers; i++) {
        bool lies = i < layout->liars;
        responder_script *script = lies ? liar_play : honest_play;
        s->server[i] = lies && without_tcp ? responder_start_without_tcp(script, &s->memory[i])
                                           : responder_start(script, &s->memory[i]);
        size_t len = strlen(options);
        snprintf(options + len, sizeof options - len, " -forward %s", responder_at(s->server[i]));
    }
    s->d = dnsd_start("%s", options);
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    to.sin_port = htons(s->d->port);
    inet_pton(AF_INET, s->d->address, &to.sin_addr);
    ck_assert_int_eq(connect(s->fd, (struct sockaddr *)&to, sizeof to), 0);
}

static void stages_start(struct stage stages[N_LAYOUTS], bool without_tcp)
{
    for (size_t i = 0; i < N_LAYOUTS; i++)
        stage_start(&stages[i], &layouts[i], without_tcp);
}

static void stage_stop(struct stage *s)
{
    for (size_t i = 0; i < s->layout->servers; i++)
        responder_stop(s->server[i]);
    close(s->fd);
    free(s->tries);
}

/* Another question to ask. Returns its number. */
static size_t add(struct stage *s, const char *name, enum type type, const struct lie *lie)
{
    char wire[256];
    ck_assert_uint_lt(s->n, TRIES_MAX);
    struct trial *t = &s->tries[s->n];
    *t = (struct trial){.type = type, .lie = lie};
    snprintf(t->name, sizeof t->name, "%s", name);
    size_t len = draft_name(name, wire);
    uint16_t id = (uint16_t)(s->n * 163 + 7919);
    const uint8_t header[12] = {(uint8_t)(id >> 8), (uint8_t)id, 1, 0, 0, 1};
    memcpy(t->query, header, sizeof header);
    memcpy(t->query + 12, wire, len);
    const uint8_t tail[4] = {0, (uint8_t)type, 0, 1};
    memcpy(t->query + 12 + len, tail, sizeof tail);
    t->query_len = 12 + len + 4;
    return s->n++;
}

/* One question for each lie of this kind. */
static void add_lies(struct stage *s, enum lie_group group, const char *below)
{
    for (size_t i = 0; liar_lie(i) != NULL; i++)
        if (liar_lie(i)->group == group)
            add(s, text("%s.%s.example", liar_lie(i)->name, below), TYPE_A, liar_lie(i));
}

static void add_forgeries(struct stage *s, const char *manner)
{
    char label[FORGERY_NAME_MAX];
    for (size_t i = 0; forgery_name(i, label) != NULL; i++)
        add(s, text("%s.%s.example", label, manner), TYPE_A, NULL);
    add_lies(s, LIE_FORGERY, manner);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void stage_ask(struct stage *s)
{
    for (size_t i = 0; i < ASK_AT_ONCE && s->n_asked < s->n; i++) {
        struct trial *t = &s->tries[s->n_asked++];
        t->asked_ms = now_ms();
        ck_assert_int_eq(send(s->fd, t->query, t->query_len, 0), (ssize_t)t->query_len);
    }
}

static struct trial *find_try(struct stage *s, const uint8_t *msg)
{
    for (size_t i = 0; i < s->n_asked; i++)
        if (memcmp(s->tries[i].query, msg, 2) == 0)
            return &s->tries[i];
    return NULL;
}

static void check_reply(struct trial *t, const uint8_t *msg, size_t len)
{
    const char *flaw = reply_flaw(t->query, t->query_len, msg, len);
    ck_assert_msg(flaw == NULL, "%s: %s", t->name, flaw);
    for (size_t i = 0; i + 4 <= len; i++) {
        bool forged = memcmp(msg + i, forgery_forged, 4) == 0;
        ck_assert_msg(!forged || (t->lie != NULL && t->lie->end == LIE_TAKEN),
            "%s: a forged address went through", t->name);
    }
}

static void read_stream(int fd, uint8_t *bytes, size_t len)
{
    while (len > 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
        ssize_t n = recv(fd, bytes, len, 0);
        ck_assert_int_gt(n, 0);
        bytes += n;
        len -= (size_t)n;
    }
}

/* The same question over TCP. */
static size_t ask_stream(const struct stage *s, const struct trial *t, uint8_t msg[REPLY_MAX])
{
    uint8_t frame[2 + sizeof t->query] = {0, (uint8_t)t->query_len};
    struct sockaddr_in to;
    socklen_t to_len = sizeof to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(getpeername(s->fd, (struct sockaddr *)&to, &to_len), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, to_len), 0);
    memcpy(frame + 2, t->query, t->query_len);
    ck_assert_int_eq(send(fd, frame, t->query_len + 2, 0), (ssize_t)t->query_len + 2);
    read_stream(fd, frame, 2);
    size_t len = (size_t)frame[0] << 8 | frame[1];
    read_stream(fd, msg, len);
    close(fd);
    return len;
}

static void take_reply(struct stage *s)
{
    static uint8_t msg[REPLY_MAX];
    ssize_t n = recv(s->fd, msg, sizeof msg, 0);
    ck_assert_int_ge(n, 12);
    struct trial *t = find_try(s, msg);
    ck_assert_msg(t != NULL, "a reply with the ID of no question");
    ck_assert_msg(!t->came, "%s: a second reply", t->name);
    size_t len = (size_t)n;
    check_reply(t, msg, len);
    if ((msg[2] & 2) != 0) { /* TC */
        t->over_tcp = true;
        len = ask_stream(s, t, msg);
        check_reply(t, msg, len);
    }
    t->came = true;
    t->took_ms = now_ms() - t->asked_ms;
    t->r = reply_read(msg, len);
}

static bool all_came(const struct stage *stages, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (stages[k].n_asked < stages[k].n)
            return false;
        for (size_t i = 0; i < stages[k].n; i++)
            if (!stages[k].tries[i].came)
                return false;
    }
    return true;
}

/* Asks what is to be asked, and takes what comes for so long. */
static void play_for(struct stage *stages, size_t n, uint64_t ms)
{
    struct pollfd p[64];
    uint64_t end_ms = now_ms() + ms;
    ck_assert_uint_le(n, sizeof p / sizeof p[0]);
    do {
        bool more = false;
        for (size_t k = 0; k < n; k++) {
            stage_ask(&stages[k]);
            more |= stages[k].n_asked < stages[k].n;
            p[k] = (struct pollfd){.fd = stages[k].fd, .events = POLLIN};
        }
        if (poll(p, n, more ? 1 : 20) <= 0)
            continue;
        for (size_t k = 0; k < n; k++)
            if (p[k].revents != 0)
                take_reply(&stages[k]);
    } while (now_ms() < end_ms && !all_came(stages, n));
}

/* Until every question has its reply. */
static void play(struct stage *stages, size_t n)
{
    play_for(stages, n, 2 * failure_ms());
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < stages[k].n; i++)
            ck_assert_msg(stages[k].tries[i].came, "%s: no reply", stages[k].tries[i].name);
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static void count_messages(const struct stage *s, struct trial *t)
{
    for (size_t i = 0; i < s->layout->servers; i++) {
        size_t tcp = responder_asked_tcp(s->server[i], t->name);
        t->n_tcp += tcp;
        t->n_udp += responder_asked(s->server[i], t->name) - tcp;
    }
}

static void check_limits(const struct stage *s, struct trial *t)
{
    count_messages(s, t);
    ck_assert_msg(t->n_udp <= UDP_MAX && t->n_tcp <= TCP_MAX,
        "%s, %zu of %zu: %zu messages over UDP, %zu over TCP", t->name, s->layout->liars,
        s->layout->servers, t->n_udp, t->n_tcp);
    ck_assert_msg(t->took_ms <= failure_ms(), "%s: %d ms", t->name, (int)t->took_ms);
}

static void show_reply(const struct stage *s, const struct trial *t, const char *expected)
{
    ck_abort_msg("%s, %zu of %zu: rcode %u, %u answers, %s after %d ms; expected %s", t->name,
        s->layout->liars, s->layout->servers, t->r.rcode, t->r.answers, t->r.address,
        (int)t->took_ms, expected);
}

static void must_be_right(const struct stage *s, const struct trial *t)
{
    char right[16];
    bool text_only = t->type == TYPE_TXT;
    liar_right(t->name, right);
    if (t->r.rcode != NOERROR || t->r.answers == 0 || (!text_only && t->r.answers != 1) ||
        (!text_only && strcmp(t->r.address, right) != 0))
        show_reply(s, t, "the right answer");
}

static void must_fail(const struct stage *s, const struct trial *t, unsigned rcode)
{
    if (t->r.rcode != rcode || t->r.answers != 0)
        show_reply(s, t, text("rcode %u", rcode));
}

/* Of what one of the servers is honest about, there is a right answer. */
static bool has_honest(const struct stage *s)
{
    return s->layout->liars < s->layout->servers;
}

static void check_end(const struct stage *s, const struct trial *t)
{
    bool saved = has_honest(s) && t->lie->group != LIE_CONTENT;
    if (t->lie->end == LIE_TAKEN)
        return;
    if (t->lie->end == LIE_FAILS && !has_honest(s))
        must_fail(s, t, SERVFAIL);
    else if (t->lie->end == LIE_RCODE && !saved)
        must_fail(s, t, t->lie->rcode);
    else
        must_be_right(s, t);
}

/* ---- the table ------------------------------------------------------------------------------- */

struct row {
    char fault[80];
    const struct layout *layout;
    char got[40];
    size_t n, n_udp, n_tcp;
    uint64_t ms;
};

static struct row rows[1500];
static size_t n_rows;

static const char *got(const struct trial *t)
{
    static const char *const names[] = {
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
    const char *how = t->over_tcp ? ", TC then TCP" : "";
    if (t->r.rcode == NOERROR && t->r.answers > 0)
        return text("answer%s", how);
    return t->r.rcode <= REFUSED ? text("%s%s", names[t->r.rcode], how)
                                 : text("rcode %u%s", t->r.rcode, how);
}

/* Forgeries of one kind, and what else bears a number, share a row. */
static void note_row(const struct stage *s, const struct trial *t)
{
    char fault[80];
    snprintf(fault, sizeof fault, "%s", t->name);
    char *dot = strchr(fault, '.');
    char *dash = dot;
    while (dash > fault && strchr("0123456789", dash[-1]) != NULL)
        dash--;
    if (dash < dot && dash > fault && dash[-1] == '-' && t->lie == NULL)
        memmove(dash - 1, dot, strlen(dot) + 1);
    size_t i = 0;
    while (i < n_rows && (strcmp(rows[i].fault, fault) != 0 || rows[i].layout != s->layout ||
                             strcmp(rows[i].got, got(t)) != 0))
        i++;
    if (i == sizeof rows / sizeof rows[0])
        return;
    struct row *r = &rows[i];
    if (i == n_rows) {
        n_rows++;
        snprintf(r->fault, sizeof r->fault, "%s", fault);
        snprintf(r->got, sizeof r->got, "%s", got(t));
        r->layout = s->layout;
    }
    r->n++;
    r->n_udp = t->n_udp > r->n_udp ? t->n_udp : r->n_udp;
    r->n_tcp = t->n_tcp > r->n_tcp ? t->n_tcp : r->n_tcp;
    r->ms = t->took_ms > r->ms ? t->took_ms : r->ms;
}

static void show_table(const struct stage *stages, size_t n)
{
    if (getenv("TABLE") == NULL)
        return;
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < stages[k].n; i++)
            note_row(&stages[k], &stages[k].tries[i]);
    printf("%-44s %-9s %5s %-20s %8s %6s\n", "fault (first label of the name)", "liars", "kinds",
        "the client got", "UDP+TCP", "ms");
    for (size_t i = 0; i < n_rows; i++)
        printf("%-44.44s %zu of %-4zu %5zu %-20s %4zu+%zu %8d\n", rows[i].fault,
            rows[i].layout->liars, rows[i].layout->servers, rows[i].n, rows[i].got, rows[i].n_udp,
            rows[i].n_tcp, (int)rows[i].ms);
    fflush(stdout);
}

static void stages_stop(struct stage *stages, size_t n)
{
    show_table(stages, n);
    for (size_t k = 0; k < n; k++)
        stage_stop(&stages[k]);
}

/* ---- forgeries ------------------------------------------------------------------------------- */

static void no_server_is_marked(const struct stage *s)
{
    const char *log = read_file(s->d->log);
    must_lack(log, "does not answer");
    must_lack(log, "nobody is there");
    must_lack(dnsd_statistic(s->d, "server "), "left alone");
}

/* What is asked next goes to the liar, who was right in the end and is the quickest. */
static void next_goes_to_the_liars(struct stage *s)
{
    size_t first = s->n;
    for (size_t i = 0; i < N_AFTER; i++)
        add(s, text("after-%zu.example", i), TYPE_A, NULL);
    play(s, 1);
    for (size_t i = first; i < s->n; i++) {
        must_be_right(s, &s->tries[i]);
        check_limits(s, &s->tries[i]);
        for (size_t k = s->layout->liars; k < s->layout->servers && !harness_slow(); k++)
            ck_assert_uint_eq(responder_asked(s->server[k], s->tries[i].name), 0);
    }
}

START_TEST(a_forgery_before_the_right_reply_changes_nothing)
{
    struct stage stages[N_LAYOUTS];
    stages_start(stages, false);
    for (size_t k = 0; k < N_LAYOUTS; k++)
        add_forgeries(&stages[k], LIAR_THEN_RIGHT);
    play(stages, N_LAYOUTS);
    for (size_t k = 0; k < N_LAYOUTS; k++) {
        struct stage *s = &stages[k];
        for (size_t i = 0; i < s->n; i++) {
            must_be_right(s, &s->tries[i]);
            check_limits(s, &s->tries[i]);
            ck_assert_msg(s->tries[i].n_udp == 1 || harness_slow(), "%s: %zu messages",
                s->tries[i].name, s->tries[i].n_udp);
        }
        no_server_is_marked(s);
        next_goes_to_the_liars(s);
        no_server_is_marked(s);
    }
    stages_stop(stages, N_LAYOUTS);
}
END_TEST

/* ---- what the reply says --------------------------------------------------------------------- */

/* Asks all of them once more: what must not be kept has to be asked upstream again. */
static void check_kept(struct stage *s)
{
    size_t first = s->n;
    add(s, FORGERY_VICTIM, TYPE_A, NULL);
    for (size_t i = 0; i < first; i++)
        add(s, s->tries[i].name, TYPE_A, s->tries[i].lie);
    play(s, 1);
    must_be_right(s, &s->tries[first]);
    count_messages(s, &s->tries[first]);
    ck_assert_uint_eq(s->tries[first].n_udp, 1);
    for (size_t i = first + 1; i < s->n; i++) {
        struct trial *t = &s->tries[i];
        size_t before = s->tries[i - first - 1].n_udp;
        bool kept = t->lie->end == LIE_RIGHT || t->lie->end == LIE_TAKEN;
        check_end(s, t);
        count_messages(s, t);
        ck_assert_msg(kept ? t->n_udp == before : t->lie->end == LIE_FAILS || t->n_udp > before,
            "%s: %zu messages, then %zu", t->name, before, t->n_udp);
    }
}

START_TEST(what_a_reply_smuggles_in_is_not_believed_and_not_kept)
{
    struct stage stages[N_LAYOUTS];
    stages_start(stages, false);
    for (size_t k = 0; k < N_LAYOUTS; k++)
        add_lies(&stages[k], LIE_CONTENT, "content");
    play(stages, N_LAYOUTS);
    for (size_t k = 0; k < N_LAYOUTS; k++) {
        struct stage *s = &stages[k];
        for (size_t i = 0; i < s->n; i++) {
            const struct trial *t = &s->tries[i];
            check_end(s, t);
            check_limits(s, &s->tries[i]);
            ck_assert(t->lie->end != LIE_TTL_0 || t->r.ttl_s == 0);
            ck_assert_msg(t->r.ttl_s <= 86400, "%s: TTL %u", t->name, (unsigned)t->r.ttl_s);
        }
    }
    show_table(stages, N_LAYOUTS);
    for (size_t k = 0; k < N_LAYOUTS; k++) {
        check_kept(&stages[k]);
        stage_stop(&stages[k]);
    }
}
END_TEST

/* ---- errors ---------------------------------------------------------------------------------- */

static void play_group(enum lie_group group)
{
    struct stage stages[N_LAYOUTS];
    stages_start(stages, false);
    for (size_t k = 0; k < N_LAYOUTS; k++)
        add_lies(&stages[k], group, "error");
    play(stages, N_LAYOUTS);
    for (size_t k = 0; k < N_LAYOUTS; k++) {
        for (size_t i = 0; i < stages[k].n; i++) {
            check_end(&stages[k], &stages[k].tries[i]);
            check_limits(&stages[k], &stages[k].tries[i]);
        }
        no_server_is_marked(&stages[k]);
    }
    stages_stop(stages, N_LAYOUTS);
}

START_TEST(an_error_of_a_server_is_not_the_end_where_another_knows)
{
    play_group(LIE_ERROR);
}
END_TEST

START_TEST(a_server_without_edns_is_asked_without)
{
    play_group(LIE_EDNS);
}
END_TEST

/* ---- streams --------------------------------------------------------------------------------- */

static const struct lie *nth_of(enum lie_group group, size_t n)
{
    for (size_t i = 0; liar_lie(i) != NULL; i++)
        if (liar_lie(i)->group == group && n-- == 0)
            return liar_lie(i);
    return NULL;
}

static size_t count_group(enum lie_group group)
{
    size_t n = 0;
    while (nth_of(group, n) != NULL)
        n++;
    return n;
}

/* Two questions at once: some lies need two. */
static void add_stream(struct stage *s, const struct lie *lie)
{
    bool large = strcmp(lie->name, "tcp-65535-bytes") == 0;
    bool pair = strcmp(lie->name, "tcp-two-in-one-segment") == 0;
    for (int i = 0; i < (pair ? 2 : 1); i++)
        add(s, text("%s.%c.example", lie->name, 'a' + i), large ? TYPE_TXT : TYPE_A, lie);
}

static void check_stream(struct stage *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct trial *t = &s->tries[i];
        check_limits(s, t);
        check_end(s, t);
        ck_assert_msg(
            t->type != TYPE_TXT || t->r.len == REPLY_MAX, "%s: %zu bytes", t->name, t->r.len);
        ck_assert_msg(t->n_tcp == 1 || t->lie->without_tcp, "%s: %zu over TCP", t->name, t->n_tcp);
    }
}

/* The _i-th few of them, side by side. */
START_TEST(whatever_a_stream_does_no_question_is_lost)
{
    struct stage stages[STREAMS_AT_ONCE * N_LAYOUTS];
    size_t n = 0;
    for (size_t i = 0; i < STREAMS_AT_ONCE; i++) {
        const struct lie *lie = nth_of(LIE_STREAM, (size_t)_i * STREAMS_AT_ONCE + i);
        if (lie == NULL)
            break;
        stages_start(stages + n, lie->without_tcp);
        for (size_t k = 0; k < N_LAYOUTS; k++)
            add_stream(&stages[n++], lie);
    }
    play(stages, n);
    for (size_t k = 0; k < n; k++)
        check_stream(&stages[k]);
    stages_stop(stages, n);
}
END_TEST

/* ---- what takes its time, side by side ------------------------------------------------------- */

#define SLOW_GROUPS 7 /* forgeries and nothing else, late, flapping, and four kinds of streams */
#define LAST_MS     9400
#define FLAP_MS     120
#define SETTLE_MS   4000

enum { ONLY_FORGED, LATE, FLAPS, STREAMS };

static void check_only_forged(struct stage *s)
{
    size_t unplayed = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct trial *t = &s->tries[i];
        check_limits(s, t);
        unplayed += responder_asked(s->server[0], t->name) == 0;
        bool harmless = strncmp(t->name, "pointer-chain", 13) == 0 ||
                        strncmp(t->name, "pointer-stairs", 14) == 0;
        if (has_honest(s) || (harmless && t->r.rcode == NOERROR))
            must_be_right(s, t);
        else
            must_fail(s, t, SERVFAIL);
    }
    ck_assert_uint_le(unplayed, 5); /* now and then another server is asked first */
}

static void check_late(struct stage *s)
{
    for (size_t i = 0; i < s->n; i++) {
        check_limits(s, &s->tries[i]);
        check_end(s, &s->tries[i]);
    }
}

static bool was_given(const struct stage *s, size_t i)
{
    for (size_t k = 0; k < s->layout->liars; k++)
        if (s->memory[k].gave[i])
            return true;
    return has_honest(s);
}

static void check_flaps(struct stage *s)
{
    size_t n_right = 0;
    for (size_t i = 0; i < s->n; i++) {
        check_limits(s, &s->tries[i]);
        if (was_given(s, i))
            must_be_right(s, &s->tries[i]);
        else
            must_fail(s, &s->tries[i], SERVFAIL);
        n_right += s->tries[i].r.rcode == NOERROR;
    }
    ck_assert_uint_gt(n_right, s->n / 3);
}

static void slow_start(struct stage *stages)
{
    for (size_t k = 0; k < N_LAYOUTS; k++) {
        for (size_t g = 0; g < SLOW_GROUPS; g++)
            stage_start(&stages[g * N_LAYOUTS + k], &layouts[k], false);
        add_forgeries(&stages[ONLY_FORGED * N_LAYOUTS + k], LIAR_ONLY);
        for (size_t g = STREAMS; g < SLOW_GROUPS; g++)
            add_stream(&stages[g * N_LAYOUTS + k], nth_of(LIE_STREAM_SLOW, g - STREAMS));
    }
}

START_TEST(silence_lateness_and_nothing_but_forgeries_end_in_time)
{
    struct stage *stages = calloc(SLOW_GROUPS * N_LAYOUTS, sizeof *stages);
    ck_assert_ptr_nonnull(stages);
    ck_assert_uint_eq(count_group(LIE_STREAM_SLOW), SLOW_GROUPS - STREAMS);
    slow_start(stages);
    if (harness_slow()) /* while so many begin at once, half a second is nothing */
        play_for(stages, SLOW_GROUPS * N_LAYOUTS, SETTLE_MS);
    for (size_t k = 0; k < N_LAYOUTS; k++)
        add_lies(&stages[LATE * N_LAYOUTS + k], LIE_LATE, "late");
    uint64_t started_ms = now_ms();
    while (now_ms() < started_ms + LAST_MS) {
        for (size_t k = FLAPS * N_LAYOUTS; k < (FLAPS + 1) * N_LAYOUTS; k++)
            if (stages[k].n < LIAR_FLAPS_MAX && now_ms() < started_ms + LAST_MS - 5000)
                add(&stages[k], text("flapping-%zu.example", stages[k].n), TYPE_A,
                    nth_of(LIE_FLAPPING, 0));
        uint64_t next_ms = now_ms() + FLAP_MS;
        play_for(stages, SLOW_GROUPS * N_LAYOUTS, FLAP_MS);
        if (now_ms() < next_ms)
            pause_ms(next_ms - now_ms());
    }
    play(stages, SLOW_GROUPS * N_LAYOUTS);
    for (size_t k = 0; k < N_LAYOUTS; k++) {
        check_only_forged(&stages[ONLY_FORGED * N_LAYOUTS + k]);
        check_late(&stages[LATE * N_LAYOUTS + k]);
        check_flaps(&stages[FLAPS * N_LAYOUTS + k]);
        for (size_t g = STREAMS; g < SLOW_GROUPS; g++)
            check_stream(&stages[g * N_LAYOUTS + k]);
    }
    stages_stop(stages, SLOW_GROUPS * N_LAYOUTS);
    free(stages);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/hostile_upstream");
    TCase *c = harness_case(s, "hostile upstream");
    tcase_add_test(c, silence_lateness_and_nothing_but_forgeries_end_in_time);
    tcase_add_test(c, a_forgery_before_the_right_reply_changes_nothing);
    tcase_add_test(c, what_a_reply_smuggles_in_is_not_believed_and_not_kept);
    tcase_add_test(c, an_error_of_a_server_is_not_the_end_where_another_knows);
    tcase_add_test(c, a_server_without_edns_is_asked_without);
    tcase_add_loop_test(c, whatever_a_stream_does_no_question_is_lost, 0,
        (int)(count_group(LIE_STREAM) + STREAMS_AT_ONCE - 1) / STREAMS_AT_ONCE);
    return harness_run(s);
}
