/* stub.h: asks one server as a stub resolver does: a socket for each question, the same question
 * again after silence, TCP for truncated answers. Knows libev and messages; never why it is asked.
 */
#ifndef DNSD_TOOLS_STUB_H
#define DNSD_TOOLS_STUB_H

#include "addr.h"
#include "wire.h"

#include <ev.h>

#define STUB_RETRY_MS 1000 /* between messages over UDP */
#define STUB_TRIES    3    /* messages over UDP; and as long in all over TCP */

struct stub;

enum stub_outcome {
    STUB_ANSWERED, /* NOERROR or NXDOMAIN */
    STUB_FAILED,   /* another rcode, or nonsense */
    STUB_SILENT,   /* no reply in time, or there was no way to ask */
};

/* Called once for each question, never from within stub_ask. */
typedef void stub_done(void *ctx, enum stub_outcome outcome);

/* NULL when memory is out. */
struct stub *stub_create(struct ev_loop *loop, const struct addr *server);

/* Once no question is under way. NULL is fine. */
void stub_free(struct stub *s);

/* Asks, from the address source (its port does not count) or, where it is NULL, from one that the
 * kernel chooses. 0, or -1 when memory is out: then done is not called. */
int stub_ask(struct stub *s, const struct addr *source, const struct wire_question *question,
    stub_done *done, void *ctx);

#endif
