/* querylog.c: fuzzes dnsd's query log: what is written of any question is one line in plain
 * letters, and dnsrehearse reads it back. Knows ops/querylog.h and tools/logline.h. */
#include "ops/querylog.h"
#include "tests/fuzz/text.h"
#include "tools/logline.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The line that is written of a query's end. Returns its length. */
static size_t write_line(const struct query_end *e, char *out, size_t cap)
{
    char path[64];
    int fd = memfd_create("log", MFD_CLOEXEC);
    FUZZ_MUST(fd >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct querylog *q = querylog_open(path);
    FUZZ_MUST(q != NULL);
    querylog_write(q, e);
    querylog_close(q);
    ssize_t len = pread(fd, out, cap, 0);
    FUZZ_MUST(len > 0 && (size_t)len < cap && out[len - 1] == '\n');
    close(fd);
    return (size_t)len - 1;
}

static void line_is_plain(const char *line, size_t len)
{
    unsigned blanks = 0;
    for (size_t i = 0; i < len; i++) {
        FUZZ_MUST(line[i] >= ' ' && line[i] < 127);
        blanks += line[i] == ' ';
        FUZZ_MUST(line[i] != ' ' || (i > 0 && line[i - 1] != ' '));
    }
    FUZZ_MUST(blanks == 8);
}

static void reads_back(const char *line, size_t len, const struct query_end *e)
{
    struct logline back;
    bool local = e->source < QUERY_CACHE;
    enum logline_kind kind = logline_read(LOGLINE_DNSD, line, len, &back);
    FUZZ_MUST(kind == (local ? LOGLINE_LOCAL : LOGLINE_QUESTION));
    if (local)
        return;
    FUZZ_MUST(back.type == e->question->type && back.took_ms == e->took_ms);
    FUZZ_MUST(back.name_len == e->question->name_len);
    FUZZ_MUST(memcmp(back.name, e->question->name, back.name_len) == 0);
    uint8_t id[LOGLINE_CLIENT_LEN];
    addr_client_id(&e->client->peer, id);
    FUZZ_MUST(memcmp(back.client, id, sizeof id) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct client client = {.transport = (enum client_transport)(fuzz_u8(&in) & 1)};
    struct wire_question q = {.class = WIRE_CLASS_IN};
    struct query_end e = {.client = &client, .question = &q};
    char line[4096];
    size_t taken;
    e.source = (enum query_source)(fuzz_u8(&in) % (QUERY_FAILED + 1));
    e.rcode = fuzz_u16(&in);
    e.reply_len = fuzz_u16(&in);
    e.took_ms = fuzz_u16(&in) % 60001;
    q.type = fuzz_u16(&in);
    const uint8_t *ip = fuzz_take(&in, 16, &taken);
    memcpy(client.peer.ip, ip, taken);
    uint8_t *name = fuzz_exact(in.at, in.left);
    q.name_len = wire_name_len(name, in.left);
    q.name = q.name_len > 0 ? name : NULL;
    if (q.name == NULL) /* only such questions have none */
        e.source = QUERY_REJECTED;
    size_t len = write_line(&e, line, sizeof line);
    line_is_plain(line, len);
    reads_back(line, len, &e);
    free(name);
    return 0;
}

void fuzz_seeds(void)
{
    static const char v4[] = "\0\7\0\0\0\70\0\27\0\1\0\0\0\0\0\0\0\0\0\0\377\377\12\0\0\1"
                             "\3www\7Example\0";
    static const char v6[] = "\1\5\0\3\0\70\0\0\377\0\376\200\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                             "\4a.b \1\\\0";
    static const char none[] = "\0\1\0\1\0\14";
    fuzz_seed("v4", v4, sizeof v4);
    fuzz_seed("v6", v6, sizeof v6);
    fuzz_seed("none", none, sizeof none - 1);
}
