/* log.c: knows what stderr is and how a line looks there.
 * Never waits for whoever reads it, and never knows what the messages are about. */
#include "ops/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Below PIPE_BUF: where poll says that a pipe is writable, a line of this length goes in whole. */
#define LINE_MAX_LEN 1024
#define LIMIT_MS     1000

enum level { LEVEL_ERROR = 3, LEVEL_WARNING = 4, LEVEL_INFO = 6, LEVEL_DEBUG = 7 }; /* syslog's */

/* stderr is one for the whole process, and so is this. */
static struct {
    bool verbose;
    bool journal;
    unsigned long lost; /* lines that stderr did not take */
} state;

/* Under systemd JOURNAL_STREAM is "device:inode" of the stream that goes to the journal
 * (systemd.exec(5)). A child that was given another stderr still has the variable: so compare. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
        return false;
    char own[48];
    snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, own) == 0;
}

static void open_closed_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY); /* lowest: is fd */
}

void log_open(bool verbose)
{
    open_closed_descriptors();
    state.verbose = verbose;
    state.journal = stderr_is_journal();
    tzset(); /* reads /etc/localtime, which the first gmtime_r would do inside of the sandbox */
}

static size_t put_time(char *out, size_t cap)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (gmtime_r(&now.tv_sec, &utc) == NULL)
        return 0;
    size_t len = strftime(out, cap, "%Y-%m-%dT%H:%M:%S", &utc);
    int n = snprintf(out + len, cap - len, ".%03ldZ ", now.tv_nsec / 1000000);
    return n < 0 ? 0 : len + (size_t)n;
}

static size_t put_head(enum level level, char *out, size_t cap)
{
    if (state.journal) {
        int n = snprintf(out, cap, "<%d>", (int)level);
        return n < 0 ? 0 : (size_t)n;
    }
    const char *word = level == LEVEL_ERROR     ? "error: "
                       : level == LEVEL_WARNING ? "warning: "
                       : level == LEVEL_DEBUG   ? "debug: "
                                                : "";
    size_t len = put_time(out, cap);
    size_t word_len = strlen(word);
    memcpy(out + len, word, word_len);
    return len + word_len;
}

/* A line break or an escape sequence must not reach a terminal or feign another line. */
static void tame(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 0x7f)
            text[i] = '?';
    }
}

static bool write_line(const char *line, size_t len)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0)
        return false;
    return write(STDERR_FILENO, line, len) == (ssize_t)len;
}

__attribute__((format(printf, 3, 0))) static size_t put_text(
    char *out, size_t cap, const char *format, va_list args)
{
    int n = vsnprintf(out, cap, format, args);
    if (n < 0)
        return 0;
    size_t len = (size_t)n;
    if (len >= cap) { /* cut: show it */
        len = cap - 1;
        memcpy(out + len - 3, "...", 3);
    }
    tame(out, len);
    return len;
}

/* Whether stderr takes lines again, after it is told how many it missed. */
static bool tell_of_lost(void)
{
    if (state.lost == 0)
        return true;
    char line[160];
    size_t len = put_head(LEVEL_WARNING, line, sizeof(line));
    int n = snprintf(line + len, sizeof(line) - len,
        "%lu lines of the log were left out: stderr did not take them\n", state.lost);
    if (n < 0 || !write_line(line, len + (size_t)n))
        return false;
    state.lost = 0;
    return true;
}

__attribute__((format(printf, 2, 0))) static void log_line(
    enum level level, const char *format, va_list args)
{
    int saved = errno;
    char line[LINE_MAX_LEN];
    size_t len = put_head(level, line, sizeof(line));
    len += put_text(line + len, sizeof(line) - len, format, args);
    line[len++] = '\n'; /* where the NUL was */
    if (!tell_of_lost() || !write_line(line, len))
        state.lost++;
    errno = saved;
}

void log_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LEVEL_ERROR, format, args);
    va_end(args);
}

void log_warning(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LEVEL_WARNING, format, args);
    va_end(args);
}

void log_info(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LEVEL_INFO, format, args);
    va_end(args);
}

void log_debug(const char *format, ...)
{
    if (!state.verbose)
        return;
    va_list args;
    va_start(args, format);
    log_line(LEVEL_DEBUG, format, args);
    va_end(args);
}

/* Of the calls here, each is async-signal-safe, and so none of printf's. */
void log_from_handler(const char *what, int number, const char *name)
{
    char line[256];
    char digits[12] = {0};
    size_t at = sizeof(digits) - 1;
    unsigned left = number < 0 ? 0 : (unsigned)number;
    do
        digits[--at] = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    const char *parts[] = {state.journal ? "<3>" : "error: ", what, digits + at, " (", name, ")"};
    size_t len = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        for (const char *c = parts[i]; *c != '\0' && len < sizeof(line) - 1; c++)
            line[len++] = *c;
    tame(line, len);
    line[len++] = '\n';
    (void)write_line(line, len);
}

/* Whether a line may go out now; then what was left out before is told. */
static bool take_turn(struct log_limit *limit, unsigned long long now_ms, enum level level)
{
    unsigned every_ms = limit->every_ms != 0 ? limit->every_ms : LIMIT_MS;
    bool first = limit->last_ms == 0;
    if (!first && now_ms < limit->last_ms + every_ms) {
        limit->left_out++;
        return false;
    }
    if (limit->left_out > 0 && level == LEVEL_WARNING)
        log_warning("%lu warnings like the next one were left out", limit->left_out);
    else if (limit->left_out > 0)
        log_debug("%lu lines like the next one were left out", limit->left_out);
    limit->left_out = 0;
    limit->last_ms = now_ms > 0 ? now_ms : 1; /* 0 means never */
    return true;
}

void log_warning_limited(
    struct log_limit *limit, unsigned long long now_ms, const char *format, ...)
{
    if (!take_turn(limit, now_ms, LEVEL_WARNING))
        return;
    va_list args;
    va_start(args, format);
    log_line(LEVEL_WARNING, format, args);
    va_end(args);
}

void log_debug_limited(struct log_limit *limit, unsigned long long now_ms, const char *format, ...)
{
    if (!state.verbose || !take_turn(limit, now_ms, LEVEL_DEBUG))
        return;
    va_list args;
    va_start(args, format);
    log_line(LEVEL_DEBUG, format, args);
    va_end(args);
}
