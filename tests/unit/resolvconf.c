/* resolvconf.c: knows what others write into resolv.conf, by hand and by program, and how they
 * replace it. Never looks at how it is read. */
#include "net/resolvconf.h"
#include "tests/unit/lose.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what the system does not grant ---------------------------------------------------------- */

enum { NOTHING, MALLOC, CALLOC, STRDUP, READ };

void *__real_malloc(size_t len);
void *__wrap_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__wrap_calloc(size_t n, size_t len);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
ssize_t __real_read(int fd, void *to, size_t len);
ssize_t __wrap_read(int fd, void *to, size_t len);

void *__wrap_malloc(size_t len)
{
    return loses(MALLOC) ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
    return loses(CALLOC) ? NULL : __real_calloc(n, len);
}

char *__wrap_strdup(const char *text)
{
    return loses(STRDUP) ? NULL : __real_strdup(text);
}

ssize_t __wrap_read(int fd, void *to, size_t len)
{
    return loses(READ) ? -1 : __real_read(fd, to, len);
}

/* ---- what is complained of ------------------------------------------------------------------- */

struct complaints {
    size_t n;
    size_t line; /* the last one */
    char word[RESOLVCONF_WORD_MAX];
    char why[80];
};

static void note(void *ctx, size_t line, const char *word, const char *why)
{
    struct complaints *c = ctx;
    c->n++;
    c->line = line;
    ck_assert_uint_lt(strlen(word), RESOLVCONF_WORD_MAX);
    snprintf(c->word, sizeof c->word, "%s", word);
    snprintf(c->why, sizeof c->why, "%s", why);
}

static struct resolvconf_servers servers;
static struct complaints complaints;

static void parse_bytes(const char *text, size_t len)
{
    memset(&complaints, 0, sizeof complaints);
    memset(&servers, 0xff, sizeof servers);
    resolvconf_parse(text, len, &servers, note, &complaints);
}

static void parse(const char *text)
{
    parse_bytes(text, strlen(text));
}

static const char *server(size_t i)
{
    static char text[ADDR_TEXT_MAX];
    ck_assert_uint_lt(i, servers.n);
    addr_format(&servers.addr[i], text);
    return text;
}

/* ---- lines ----------------------------------------------------------------------------------- */

START_TEST(usual_file)
{
    parse("# made by hand\n"
          "; so is this\n"
          "domain example.net\n"
          "search example.net example.org\n"
          "nameserver 192.0.2.1\n"
          "nameserver\t2001:db8::1\n"
          "sortlist 130.155.160.0/255.255.240.0\n"
          "options ndots:2 edns0 trust-ad\n"
          "nameserver 192.0.2.2 behind it is a comment\n");
    ck_assert_uint_eq(complaints.n, 0);
    ck_assert_uint_eq(servers.n, 3);
    ck_assert_str_eq(server(0), "192.0.2.1:53");
    ck_assert_str_eq(server(1), "[2001:db8::1]:53");
    ck_assert_str_eq(server(2), "192.0.2.2:53");
    ck_assert(servers.trust_ad);
}
END_TEST

START_TEST(empty_file_and_empty_lines)
{
    parse("");
    ck_assert_uint_eq(servers.n, 0);
    ck_assert(!servers.trust_ad);
    parse("\n\n \n\t\n\r\n");
    ck_assert_uint_eq(servers.n, 0);
    ck_assert_uint_eq(complaints.n, 0);
}
END_TEST

START_TEST(no_final_newline)
{
    parse("nameserver 192.0.2.1\nnameserver 192.0.2.2");
    ck_assert_uint_eq(servers.n, 2);
    ck_assert_str_eq(server(1), "192.0.2.2:53");
    parse("nameserver");
    ck_assert_uint_eq(servers.n, 0);
    ck_assert_uint_eq(complaints.n, 1);
    ck_assert_uint_eq(complaints.line, 1);
}
END_TEST

START_TEST(crlf)
{
    parse("nameserver 192.0.2.1\r\noptions trust-ad\r\nnameserver ::1\r\n");
    ck_assert_uint_eq(complaints.n, 0);
    ck_assert_uint_eq(servers.n, 2);
    ck_assert_str_eq(server(1), "[::1]:53");
    ck_assert(servers.trust_ad);
}
END_TEST

START_TEST(keyword_is_a_whole_word)
{
    parse("nameservers 192.0.2.1\nnameserver192.0.2.1\n#nameserver 192.0.2.1\n"
          "; nameserver 192.0.2.1\nNAMESERVER 192.0.2.1\noptionstrust-ad\n");
    ck_assert_uint_eq(servers.n, 0);
    ck_assert(!servers.trust_ad);
    ck_assert_uint_eq(complaints.n, 0);
}
END_TEST

START_TEST(indented_line)
{
    parse("  nameserver   192.0.2.1  \n\toptions\ttrust-ad\n");
    ck_assert_uint_eq(servers.n, 1);
    ck_assert(servers.trust_ad);
}
END_TEST

START_TEST(options_add_up)
{
    parse("options trust-ad\noptions edns0\n");
    ck_assert(servers.trust_ad);
    parse("options edns0\noptions rotate trust-ad timeout:1\n");
    ck_assert(servers.trust_ad);
}
END_TEST

START_TEST(trust_is_never_guessed)
{
    parse("options trust-ads\noptions no-trust-ad\noptions trust-a\ntrust-ad\nsearch trust-ad\n"
          "# options trust-ad\noptions TRUST-AD\n");
    ck_assert(!servers.trust_ad);
}
END_TEST

START_TEST(not_an_address)
{
    parse("nameserver 192.0.2.1\nnameserver dns.example.net\nnameserver 192.0.2.2\n");
    ck_assert_uint_eq(servers.n, 2);
    ck_assert_uint_eq(complaints.n, 1);
    ck_assert_uint_eq(complaints.line, 2);
    ck_assert_str_eq(complaints.word, "dns.example.net");
    ck_assert_str_eq(complaints.why, "is not an IP address");
}
END_TEST

START_TEST(addresses_that_are_none)
{
    static const char *const words[] = {"192.0.2", "192.0.2.256", "192.0.2.1#x", "2001:db8:::1",
        "fe80::1%", "192.0.2.1:0", "192.0.2.1:65536", "-", "%", "::1%%", "[::1", "1.2.3.4,5.6.7.8"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char text[64];
        snprintf(text, sizeof text, "nameserver %s\n", words[i]);
        parse(text);
        ck_assert_msg(servers.n == 0, "%s", words[i]);
        ck_assert_uint_eq(complaints.n, 1);
        ck_assert_str_eq(complaints.word, words[i]);
    }
}
END_TEST

START_TEST(nameserver_without_an_address)
{
    parse("\nnameserver \t \nnameserver 192.0.2.1\n");
    ck_assert_uint_eq(servers.n, 1);
    ck_assert_uint_eq(complaints.n, 1);
    ck_assert_uint_eq(complaints.line, 2);
    ck_assert_str_eq(complaints.word, "");
}
END_TEST

START_TEST(nobody_has_to_listen)
{
    const char *text = "nameserver x\nnameserver 192.0.2.1\n";
    resolvconf_parse(text, strlen(text), &servers, NULL, NULL);
    ck_assert_uint_eq(servers.n, 1);
}
END_TEST

START_TEST(address_with_port)
{
    parse("nameserver 127.0.0.1:5353\nnameserver [::1]:5353\n");
    ck_assert_uint_eq(servers.n, 2);
    ck_assert_str_eq(server(0), "127.0.0.1:5353");
    ck_assert_str_eq(server(1), "[::1]:5353");
}
END_TEST

START_TEST(unspecified_is_this_machine)
{
    parse("nameserver 0.0.0.0\nnameserver ::\n");
    ck_assert_uint_eq(servers.n, 2);
    ck_assert_str_eq(server(0), "127.0.0.1:53");
    ck_assert_str_eq(server(1), "[::1]:53");
}
END_TEST

START_TEST(interface_by_name)
{
    const unsigned lo = if_nametoindex("lo");
    ck_assert_uint_ne(lo, 0);
    parse("nameserver fe80::1%lo\n");
    ck_assert_uint_eq(complaints.n, 0);
    ck_assert_uint_eq(servers.n, 1);
    ck_assert_uint_eq(servers.addr[0].scope, lo);
    ck_assert_uint_eq(servers.addr[0].port, 53);
    parse("nameserver [fe80::1%lo]:54\n");
    ck_assert_uint_eq(servers.n, 1);
    ck_assert_uint_eq(servers.addr[0].scope, lo);
    ck_assert_uint_eq(servers.addr[0].port, 54);
}
END_TEST

START_TEST(interface_by_number)
{
    parse("nameserver fe80::1%7\n");
    ck_assert_uint_eq(servers.n, 1);
    ck_assert_uint_eq(servers.addr[0].scope, 7);
}
END_TEST

START_TEST(interface_that_is_not_there)
{
    parse("nameserver fe80::1%no-such-if0\n");
    ck_assert_uint_eq(servers.n, 0);
    ck_assert_str_eq(complaints.why, "names an interface that is not there");
    parse("nameserver fe80::1%a-name-that-is-longer-than-any-interface\n");
    ck_assert_uint_eq(servers.n, 0);
    ck_assert_uint_eq(complaints.n, 1);
}
END_TEST

START_TEST(same_server_twice)
{
    parse("nameserver 192.0.2.1\nnameserver ::1\nnameserver 192.0.2.1\nnameserver 0::1\n"
          "nameserver ::ffff:192.0.2.1\n");
    ck_assert_uint_eq(complaints.n, 0);
    ck_assert_uint_eq(servers.n, 2);
}
END_TEST

START_TEST(seventeen_servers)
{
    char text[1024];
    size_t len = 0;
    for (int i = 1; i <= RESOLVCONF_MAX + 1; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "nameserver 192.0.2.%d\n", i);
    len += (size_t)snprintf(text + len, sizeof text - len, "nameserver 192.0.2.3\n");
    parse(text);
    ck_assert_uint_eq(servers.n, RESOLVCONF_MAX);
    ck_assert_str_eq(server(RESOLVCONF_MAX - 1), "192.0.2.16:53");
    ck_assert_uint_eq(complaints.n, 1); /* the one that is there already is not too many */
    ck_assert_uint_eq(complaints.line, 17);
}
END_TEST

START_TEST(overlong_line)
{
    static char text[100000];
    memset(text, 'a', sizeof text);
    memcpy(text, "nameserver ", 11);
    const char tail[] = "\nnameserver 192.0.2.1\n";
    memcpy(text + sizeof text - strlen(tail), tail, strlen(tail));
    parse_bytes(text, sizeof text);
    ck_assert_uint_eq(servers.n, 1);
    ck_assert_uint_eq(complaints.n, 1);
    ck_assert_uint_eq(strlen(complaints.word), RESOLVCONF_WORD_MAX - 1);
}
END_TEST

START_TEST(nul_inside)
{
    const char text[] = "nameserver 192.0.2.1\0.5\nnameserver\0 192.0.2.2\nnameserver 192.0.2.3\n"
                        "options trust-ad\0\n";
    parse_bytes(text, sizeof text - 1);
    ck_assert_uint_eq(servers.n, 1);
    ck_assert_str_eq(server(0), "192.0.2.3:53");
    ck_assert_uint_eq(complaints.n, 1);
    ck_assert_str_eq(complaints.word, "192.0.2.1?.5");
    ck_assert(!servers.trust_ad);
}
END_TEST

START_TEST(report_can_be_printed)
{
    parse("nameserver \x1b[2Jx\xff\x7f\n");
    ck_assert_str_eq(complaints.word, "?[2Jx??");
}
END_TEST

/* A block of exactly the length that is said, so that a sanitizer sees a byte too far. */
static void parse_exactly(const char *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, len);
    parse_bytes(copy, len);
    ck_assert_uint_le(servers.n, RESOLVCONF_MAX);
    free(copy);
}

START_TEST(cut_anywhere)
{
    const char text[] = "options trust-ad\r\nnameserver fe80::1%lo\nnameserver [::1]:53 ; x\n";
    for (size_t len = 0; len < sizeof text; len++)
        parse_exactly(text, len);
}
END_TEST

START_TEST(random_bytes)
{
    static const char *const pieces[] = {"nameserver ", "options ", "trust-ad", "\n", "%", "lo",
        "192.0.2.1", "::", "[", "]:53", "@", "fe80::1", " ", "\r", "#"};
    uint32_t state = 1;
    for (int round = 0; round < 20000; round++) {
        char text[200];
        size_t len = 0;
        while (len < 150) {
            state = state * 1664525 + 1013904223;
            const char *piece = pieces[(state >> 8) % (sizeof pieces / sizeof *pieces)];
            if (state >> 30 == 0) {
                text[len++] = (char)(state >> 16);
                continue;
            }
            memcpy(text + len, piece, strlen(piece));
            len += strlen(piece);
        }
        parse_exactly(text, len);
    }
}
END_TEST

/* ---- the file -------------------------------------------------------------------------------- */

static char directory[256];

static const char *in_directory(const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void make_directory(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/dnsd-resolvconf-XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void remove_directory(void)
{
    static const char *const names[] = {"resolv.conf", "target", "target.new", "sub/target", "sub"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove(in_directory(names[i]));
    ck_assert_int_eq(rmdir(directory), 0);
}

static void put_file(const char *name, const char *text)
{
    FILE *f = fopen(in_directory(name), "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static int read_it(void)
{
    memset(&complaints, 0, sizeof complaints);
    memset(&servers, 0xff, sizeof servers);
    return resolvconf_read(in_directory("resolv.conf"), &servers, note, &complaints);
}

START_TEST(read_a_file)
{
    put_file("resolv.conf", "nameserver 192.0.2.1\nnameserver x\n");
    ck_assert_int_eq(read_it(), 0);
    ck_assert_uint_eq(servers.n, 1);
    ck_assert_uint_eq(complaints.line, 2);
}
END_TEST

START_TEST(file_that_is_missing)
{
    ck_assert_int_eq(read_it(), -1);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_uint_eq(servers.n, 0);
    ck_assert(!servers.trust_ad);
}
END_TEST

START_TEST(directory_in_its_place)
{
    ck_assert_int_eq(mkdir(in_directory("resolv.conf"), 0700), 0);
    ck_assert_int_eq(read_it(), -1);
    ck_assert_int_eq(errno, EISDIR);
    ck_assert_uint_eq(servers.n, 0);
}
END_TEST

START_TEST(fifo_in_its_place)
{
    ck_assert_int_eq(mkfifo(in_directory("resolv.conf"), 0600), 0);
    ck_assert_int_eq(read_it(), 0); /* and it does not wait for a writer */
    ck_assert_uint_eq(servers.n, 0);
}
END_TEST

START_TEST(reading_that_is_interrupted_or_fails)
{
    put_file("resolv.conf", "nameserver 192.0.2.1\n");
    lose(READ, EINTR, 2);
    ck_assert_int_eq(read_it(), 0);
    ck_assert_int_eq(lost.n_times, 0);
    ck_assert_uint_eq(servers.n, 1);
    lose(READ, EIO, 1);
    ck_assert_int_eq(read_it(), -1);
    ck_assert_int_eq(errno, EIO);
    ck_assert_uint_eq(servers.n, 0);
}
END_TEST

START_TEST(memory_that_is_out)
{
    put_file("resolv.conf", "nameserver 192.0.2.1\n");
    const char *path = in_directory("resolv.conf");
    memset(&servers, 0xff, sizeof servers);
    lose(MALLOC, ENOMEM, 1);
    int result = resolvconf_read(path, &servers, note, &complaints);
    int why = errno;
    lose(NOTHING, 0, 0);
    ck_assert_int_eq(result, -1);
    ck_assert_int_eq(why, ENOMEM);
    ck_assert_uint_eq(servers.n, 0);
    struct ev_loop *own = ev_loop_new(EVFLAG_AUTO);
    for (unsigned what = CALLOC; what <= STRDUP; what++) {
        lose(what, ENOMEM, 1);
        struct resolvconf_watch *w = resolvconf_watch(own, path, NULL, NULL);
        lose(NOTHING, 0, 0);
        ck_assert_ptr_null(w);
    }
    ev_loop_destroy(own);
}
END_TEST

START_TEST(file_that_is_huge)
{
    FILE *f = fopen(in_directory("resolv.conf"), "w");
    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < 4096; i++)
        fputs("#23456789012345\n", f);
    ck_assert_int_eq(fflush(f), 0);
    ck_assert_int_eq(read_it(), 0); /* 64 KiB are fine */
    fputs("\n", f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(read_it(), -1);
    ck_assert_int_eq(errno, EFBIG);
}
END_TEST

/* ---- watching -------------------------------------------------------------------------------- */

struct watching {
    struct ev_loop *loop;
    struct resolvconf_watch *watch;
    int n_changed;
};

static void on_changed(void *ctx)
{
    struct watching *w = ctx;
    w->n_changed++;
    ev_break(w->loop, EVBREAK_ALL);
}

static void on_guard(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)t;
    (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

/* Runs the loop until there was a change, or for so long. Returns the number of changes. */
static int run(struct watching *w, double at_most_s)
{
    ev_timer guard;
    w->n_changed = 0;
    ev_now_update(w->loop);
    ev_timer_init(&guard, on_guard, at_most_s, 0.);
    ev_timer_start(w->loop, &guard);
    ev_run(w->loop, 0);
    ev_timer_stop(w->loop, &guard);
    return w->n_changed;
}

static void start_watching(struct watching *w)
{
    w->loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_ptr_nonnull(w->loop);
    w->watch = resolvconf_watch(w->loop, in_directory("resolv.conf"), on_changed, w);
    ck_assert_ptr_nonnull(w->watch);
}

static void stop_watching(struct watching *w)
{
    resolvconf_unwatch(w->watch);
    ev_loop_destroy(w->loop);
}

/* The one file, made, written to, replaced and removed: each is one change. */
START_TEST(file_comes_and_goes)
{
    struct watching w;
    start_watching(&w);
    put_file("resolv.conf", "nameserver 192.0.2.1\n");
    ck_assert_int_eq(run(&w, 20), 1);
    put_file("resolv.conf", "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
    ck_assert_int_eq(run(&w, 20), 1);
    put_file("target.new", "nameserver 192.0.2.3\n");
    ck_assert_int_eq(rename(in_directory("target.new"), in_directory("resolv.conf")), 0);
    ck_assert_int_eq(run(&w, 20), 1);
    ck_assert_int_eq(unlink(in_directory("resolv.conf")), 0);
    ck_assert_int_eq(run(&w, 20), 1);
    stop_watching(&w);
}
END_TEST

/* As systemd-resolved and resolvconf have it: the path is a link, and what is behind it changes. */
START_TEST(file_behind_a_link)
{
    struct watching w;
    put_file("target", "nameserver 192.0.2.1\n");
    ck_assert_int_eq(symlink("target", in_directory("resolv.conf")), 0);
    start_watching(&w);
    put_file("target", "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
    ck_assert_int_eq(run(&w, 20), 1);
    put_file("target.new", "nameserver 192.0.2.3\n");
    ck_assert_int_eq(rename(in_directory("target.new"), in_directory("target")), 0);
    ck_assert_int_eq(run(&w, 20), 1);
    put_file("target", "nameserver 192.0.2.4\nnameserver 192.0.2.5\n");
    ck_assert_int_eq(run(&w, 20), 1);
    stop_watching(&w);
}
END_TEST

START_TEST(link_to_elsewhere)
{
    struct watching w;
    put_file("target", "nameserver 192.0.2.1\n");
    ck_assert_int_eq(symlink("target", in_directory("resolv.conf")), 0);
    start_watching(&w);
    ck_assert_int_eq(mkdir(in_directory("sub"), 0700), 0);
    put_file("sub/target", "nameserver 192.0.2.2\n");
    ck_assert_int_eq(symlink("sub/target", in_directory("target.new")), 0);
    ck_assert_int_eq(rename(in_directory("target.new"), in_directory("resolv.conf")), 0);
    ck_assert_int_eq(run(&w, 20), 1);
    put_file("sub/target", "nameserver 192.0.2.2\nnameserver 192.0.2.3\n");
    ck_assert_int_eq(run(&w, 20), 1);
    stop_watching(&w);
}
END_TEST

/* A link that leads nowhere yet, as early in the boot: no watch can tell, the look must. */
START_TEST(link_that_dangles)
{
    struct watching w;
    ck_assert_int_eq(symlink("sub/target", in_directory("resolv.conf")), 0);
    start_watching(&w);
    ck_assert_int_eq(mkdir(in_directory("sub"), 0700), 0);
    put_file("sub/target", "nameserver 192.0.2.2\n");
    ck_assert_int_eq(run(&w, 20), 1);
    stop_watching(&w);
}
END_TEST

struct writer {
    ev_timer timer;
    int left;
};

static void write_more(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)revents;
    struct writer *writer = t->data;
    FILE *f = fopen(in_directory("resolv.conf"), "a");
    ck_assert_ptr_nonnull(f);
    fputs("nameserver 192.0.2.1\n", f);
    fclose(f);
    if (--writer->left == 0)
        ev_timer_stop(loop, t);
}

START_TEST(file_that_is_being_written)
{
    struct watching w;
    put_file("resolv.conf", "");
    start_watching(&w);
    struct writer writer = {.left = 6};
    ev_timer_init(&writer.timer, write_more, 0.05, 0.05);
    writer.timer.data = &writer;
    ev_timer_start(w.loop, &writer.timer);
    ck_assert_int_eq(run(&w, 20), 1);
    ck_assert_int_eq(writer.left, 0); /* told once, and not before the last line was there */
    stop_watching(&w);
}
END_TEST

START_TEST(nothing_changes)
{
    struct watching w;
    put_file("resolv.conf", "nameserver 192.0.2.1\n");
    start_watching(&w);
    ck_assert_int_eq(run(&w, 0.5), 0);
    stop_watching(&w);
}
END_TEST

START_TEST(unwatched_in_the_middle)
{
    struct watching w;
    put_file("resolv.conf", "nameserver 192.0.2.1\n");
    start_watching(&w);
    put_file("resolv.conf", "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
    ck_assert_int_eq(run(&w, 0.1), 0); /* seen, but not settled */
    resolvconf_unwatch(w.watch);
    w.watch = NULL;
    ck_assert_int_eq(run(&w, 0.4), 0);
    stop_watching(&w);
}
END_TEST

static TCase *lines_case(void)
{
    TCase *c = tcase_create("lines");
    tcase_add_test(c, usual_file);
    tcase_add_test(c, empty_file_and_empty_lines);
    tcase_add_test(c, no_final_newline);
    tcase_add_test(c, crlf);
    tcase_add_test(c, keyword_is_a_whole_word);
    tcase_add_test(c, indented_line);
    tcase_add_test(c, options_add_up);
    tcase_add_test(c, trust_is_never_guessed);
    tcase_add_test(c, not_an_address);
    tcase_add_test(c, addresses_that_are_none);
    tcase_add_test(c, nameserver_without_an_address);
    tcase_add_test(c, nobody_has_to_listen);
    tcase_add_test(c, address_with_port);
    tcase_add_test(c, unspecified_is_this_machine);
    tcase_add_test(c, interface_by_name);
    tcase_add_test(c, interface_by_number);
    tcase_add_test(c, interface_that_is_not_there);
    tcase_add_test(c, same_server_twice);
    tcase_add_test(c, seventeen_servers);
    tcase_add_test(c, overlong_line);
    tcase_add_test(c, nul_inside);
    tcase_add_test(c, report_can_be_printed);
    tcase_add_test(c, cut_anywhere);
    tcase_add_test(c, random_bytes);
    return c;
}

static TCase *file_case(void)
{
    TCase *c = tcase_create("file");
    tcase_add_checked_fixture(c, make_directory, remove_directory);
    tcase_add_test(c, read_a_file);
    tcase_add_test(c, file_that_is_missing);
    tcase_add_test(c, directory_in_its_place);
    tcase_add_test(c, fifo_in_its_place);
    tcase_add_test(c, reading_that_is_interrupted_or_fails);
    tcase_add_test(c, memory_that_is_out);
    tcase_add_test(c, file_that_is_huge);
    return c;
}

static TCase *watch_case(void)
{
    TCase *c = tcase_create("watch");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, make_directory, remove_directory);
    tcase_add_test(c, file_comes_and_goes);
    tcase_add_test(c, file_behind_a_link);
    tcase_add_test(c, link_to_elsewhere);
    tcase_add_test(c, link_that_dangles);
    tcase_add_test(c, file_that_is_being_written);
    tcase_add_test(c, nothing_changes);
    tcase_add_test(c, unwatched_in_the_middle);
    return c;
}

int main(void)
{
    Suite *s = suite_create("resolvconf");
    suite_add_tcase(s, lines_case());
    suite_add_tcase(s, file_case());
    suite_add_tcase(s, watch_case());
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
