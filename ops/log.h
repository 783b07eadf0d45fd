/* log.h: messages to stderr: with the time on a terminal or in a file, with the journal's level
 * under systemd. Never blocks, never fails: a line that stderr does not take is counted, and told
 * of once it takes lines again. A line is one write of at most 1 KiB; control characters in it
 * become '?'. Texts from outside are escaped by the caller. errno is left as it was. */
#ifndef DNSD_OPS_LOG_H
#define DNSD_OPS_LOG_H

#include <stdbool.h>

/* Looks what stderr is. May be called again, when verbose changes. Descriptors 0 to 2 that are
 * closed are opened on /dev/null, so that no socket ever gets their numbers. Before the first call
 * lines go out with the time and without debug. */
void log_open(bool verbose);

/* Errors: something does not work. Warnings: it works, but someone should look. Info: what an
 * administrator wants to see once. Debug: with -verbose only. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A warning that may come at the rate of packets: at most one a second, or in every_ms, for each
 * place (a variable of the caller, zero at first); the next one says how many were left out. */
struct log_limit {
    unsigned long long last_ms;
    unsigned long left_out;
    unsigned every_ms; /* 0: a second */
};
void log_warning_limited(struct log_limit *limit, unsigned long long now_ms, const char *format,
    ...) __attribute__((format(printf, 3, 4)));
void log_debug_limited(struct log_limit *limit, unsigned long long now_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For a signal handler: "error: what number (name)", without the time. */
void log_from_handler(const char *what, int number, const char *name);

#endif
