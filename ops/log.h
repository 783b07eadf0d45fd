/* log.h: messages to stderr: with the time on a terminal or in a file, with the journal's level
 * under systemd. Never blocks, never fails. Texts from outside are escaped by the caller. */
#ifndef DNSD_OPS_LOG_H
#define DNSD_OPS_LOG_H

#include <stdbool.h>

void log_open(bool verbose);

/* Errors: something does not work. Warnings: it works, but someone should look. Info: what an
 * administrator wants to see once. Debug: with -verbose only. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A warning that may come at the rate of packets: at most one a second for each place (a static
 * variable of the caller); the next one says how many were left out. */
struct log_limit {
    unsigned long long last_ms;
    unsigned long left_out;
};
void log_warning_limited(struct log_limit *limit, unsigned long long now_ms, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

#endif
