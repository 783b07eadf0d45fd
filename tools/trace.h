/* trace.h: what clients asked, and when: a captured trace in memory, and reading one in any form.
 * Knows files of questions; never caches, prediction or how mistakes are shown. */
#ifndef DNSD_TOOLS_TRACE_H
#define DNSD_TOOLS_TRACE_H

#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TRACE_CLIENT_LEN 16
#define TRACE_NONE       UINT32_MAX
#define TRACE_FILTER_MAX 1024

enum trace_form { TRACE_UNKNOWN, TRACE_TEXT, TRACE_DNSMASQ, TRACE_UNBOUND, TRACE_DNSD, TRACE_PCAP };

/* A question, whoever asked it. */
struct trace_question {
    uint8_t *key; /* wire.h */
    uint16_t key_len;
    bool has_ttl;   /* it was answered in the trace: captures only */
    uint32_t ttl_s; /* the longest that was seen: others were aged in a cache */
};

struct trace_event {
    uint64_t at_ms;
    uint32_t client; /* from 0 */
    uint32_t question;
};

struct trace_counts {
    enum trace_form form;
    size_t places;     /* lines or packets that were read */
    size_t other;      /* of them, such as hold no question and need not */
    size_t local;      /* questions that dnsd answers itself or refuses: they are no events */
    size_t repeats;    /* retransmissions, which are none either */
    size_t cut;        /* packets that the capture cut short, or whose message does not parse */
    size_t torn;       /* TCP streams that were given up for want of a segment */
    size_t back;       /* events whose time was before that of the last one */
    size_t first_back; /* the line or packet of the first of these */
    uint64_t back_ms;  /* how far it went back */
    bool whole_seconds;
};

struct trace;

struct trace *trace_create(void);
void trace_free(struct trace *t);

size_t trace_n_events(const struct trace *t);
const struct trace_event *trace_events(const struct trace *t);
size_t trace_n_questions(const struct trace *t);
const struct trace_question *trace_question(const struct trace *t, uint32_t question);
size_t trace_n_clients(const struct trace *t);
const uint8_t *trace_client(const struct trace *t, uint32_t client); /* TRACE_CLIENT_LEN bytes */
struct trace_counts *trace_counts(struct trace *t);

/* The number of a question, or TRACE_NONE. Any number of threads may look at once. */
uint32_t trace_find(const struct trace *t, const uint8_t *key, size_t key_len);

/* ---- building -------------------------------------------------------------------------------- */

struct trace_arrival {
    uint64_t at_ms;
    uint64_t took_ms; /* it was asked that long before; see trace_sort */
    bool has_year; /* else at_ms counts from the start of a year, which may have ended meanwhile */
    uint8_t client[TRACE_CLIENT_LEN];
    struct wire_question question;
    unsigned key_flags;
    size_t place; /* line or packet, from 1 */
};

/* Adds an event, or counts it as local. A time that goes back by less than a second stands still;
 * where it goes back further somebody set a clock, and time goes on from where it was. Returns 0,
 * or -1 when memory is out. */
int trace_add(struct trace *t, const struct trace_arrival *a);

/* Where events were added as their questions ended, each of which took some time: puts them into
 * the order in which they were asked. Those of one time stay in theirs. */
void trace_sort(struct trace *t);

/* An answer to a question was fresh for ttl_s. 0 or -1. */
int trace_answer(
    struct trace *t, const struct wire_question *q, unsigned key_flags, uint32_t ttl_s);

/* ---- reading --------------------------------------------------------------------------------- */

struct trace_source {
    enum trace_form form; /* TRACE_UNKNOWN: told by what is in it */
    uint16_t port;        /* captures: that of DNS */
    const char *filter;   /* captures: an expression of pcap-filter(7); NULL for all */
    void *ctx;
    /* Called for each mistake, the first few of them: its line or packet (0: the whole), and what
     * is wrong. */
    void (*report)(void *ctx, size_t place, const char *why);
    void (*progress)(void *ctx, size_t n_events); /* now and then; may be NULL */
};

enum trace_result { TRACE_OK, TRACE_BAD, TRACE_UNREADABLE, TRACE_MEMORY };

/* Reads a file to its end into an empty trace. A pipe is copied to a temporary file first, and
 * *file is that one then. BAD: reported; UNREADABLE: errno says why. The file of a capture is
 * closed, and *file is NULL then. */
enum trace_result trace_read(struct trace *t, FILE **file, const struct trace_source *source);

#endif
