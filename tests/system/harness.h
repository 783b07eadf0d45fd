/* harness.h: what every system test needs: a directory of its own, dnsd, nsd and other people's
 * programs as processes that end with the test, free ports, and waiting without guessing.
 * Knows processes and files; never a DNS message (peers.h). Whatever goes wrong here fails the
 * test. Strings that are returned live until the end of the test. */
#ifndef DNSD_TESTS_HARNESS_H
#define DNSD_TESTS_HARNESS_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WAIT_MS 20000 /* for what must come; reached only where a test fails */

/* Runs the suite and shows the logs of tests that failed. The exit code of main. */
int harness_run(Suite *suite);

/* A test case whose tests have their fixture: at its end every dnsd must end with code 0 after
 * SIGTERM, all else is killed, and the directory is removed. */
TCase *harness_case(Suite *suite, const char *name);

/* Sanitizers or DNSD_WRAP make all of it many times slower: do less, allow more time. */
bool harness_slow(void);
/* Whether dnsd runs in DNSD_WRAP, and says that something is skipped for it: valgrind has its own
 * allocator, descriptors and limits, and makes calls that no sandbox of dnsd allows. */
bool harness_wrapped(void);
uint64_t now_ms(void);
void pause_ms(uint64_t ms);
/* An address in 127/8 that no other test program uses. */
const char *own_address(void);
/* Free at own_address for UDP and TCP, at this moment. */
uint16_t free_port(const char *address);

/* ---- texts and files ------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) char *text(const char *format, ...);
/* A path in the test's directory, in which dnsd may write. */
const char *path_of(const char *name);
/* Writes it whole, and returns its path. */
__attribute__((format(printf, 2, 3))) const char *write_file(
    const char *name, const char *format, ...);
/* "" where there is none. */
char *read_file(const char *path);
size_t count_of(const char *haystack, const char *needle);

/* What texts the test has by now, and to free those that came later. */
size_t texts_mark(void);
void texts_forget(size_t mark);
/* A copy of a file of the build, in the test's directory, that dnsd may read. */
const char *place_file(const char *built);

/* Runs work(0) to work(n - 1) in processes of their own, at once, each with a directory of its own
 * below that of the test. What fails in one fails the test. Every dnsd of theirs must end with code
 * 0. */
void harness_side_by_side(unsigned n, void (*work)(unsigned nth));

/* ---- programs -------------------------------------------------------------------------------- */

struct output {
    int code;   /* exit code; 128 + signal */
    char *text; /* both its outputs */
};

/* Runs a command, whose words are separated by blanks, to its end; fails the test if that takes
 * longer than WAIT_MS. */
__attribute__((format(printf, 1, 2))) struct output run(const char *format, ...);
/* In two steps, with time between them. */
struct running {
    pid_t pid;
    int out;
    const char *command;
};
__attribute__((format(printf, 1, 2))) struct running run_start(const char *format, ...);
struct output run_finish(struct running r);
/* As run; dnsd's path and wrapper are put before it. It must not become a server. Before all
 * options of every dnsd come those of $DNSD_OPTIONS; $DNSD_WRAP turns the sandbox off. */
__attribute__((format(printf, 1, 2))) struct output run_dnsd(const char *format, ...);
bool have_program(const char *name);

/* Fails the test, and shows the whole, unless the text has this in it. */
void must_have(const char *haystack, const char *needle);
void must_lack(const char *haystack, const char *needle);

/* ---- dnsd ------------------------------------------------------------------------------------ */

struct dnsd {
    pid_t pid;
    const char *address;
    uint16_t port;
    const char *log;
    size_t seen; /* of the log: dnsd_await goes on from here */
    int notify;
};

/* Starts dnsd with these options, and -listen and -port on a free one unless they say where; waits
 * until it tells the service manager that it is ready. */
__attribute__((format(printf, 1, 2))) struct dnsd *dnsd_start(const char *format, ...);
/* The same as root, if the tests run as root: to give up root is left to dnsd. */
__attribute__((format(printf, 1, 2))) struct dnsd *dnsd_start_as_root(const char *format, ...);
/* Waits until the log has this text, behind what was waited for before. Returns its line. */
const char *dnsd_await(struct dnsd *d, const char *what);
/* Waits until the service manager was told this. */
void dnsd_await_notice(struct dnsd *d, const char *what);
/* Starts it and waits for nothing. One that has ended makes room for the next. */
__attribute__((format(printf, 1, 2))) struct dnsd *dnsd_launch(const char *format, ...);
enum dnsd_state { DNSD_SILENT, DNSD_READY, DNSD_ENDED };
/* What comes first within this time; *code is how it has ended. */
enum dnsd_state dnsd_watch(struct dnsd *d, uint64_t wait_ms, int *code);
/* Throws away what the service manager was told: dnsd would wait for a queue that is full. */
void dnsd_drain(const struct dnsd *d);
/* Processor time it has used. */
uint64_t dnsd_cpu_ms(const struct dnsd *d);
/* SIGHUP, and waits until it has been done. */
void dnsd_reload(struct dnsd *d);
/* SIGTERM; returns the exit code. */
int dnsd_stop(struct dnsd *d);
void dnsd_wait_end(struct dnsd *d, int *code);
/* The line of the statistics with these words, from there on; and the number behind them. */
const char *dnsd_statistic(struct dnsd *d, const char *words);
unsigned long dnsd_figure(struct dnsd *d, const char *words);

/* ---- nsd ------------------------------------------------------------------------------------- */

struct nsd {
    pid_t pid;
    const char *address;
    uint16_t port;
};

/* Serves a zone from a file, and waits until it answers. */
struct nsd *nsd_start(const char *zone, const char *file);

#endif
