/* dissect.h: a strict reader of dnsd's replies, with code of its own: what dnsd writes wrong must
 * not be read wrong in the same way. Knows the wire; never sockets or what was expected. */
#ifndef DNSD_TESTS_DISSECT_H
#define DNSD_TESTS_DISSECT_H

#include <stddef.h>
#include <stdint.h>

/* What is wrong with a reply to this query, or NULL: ID, flags, the question byte for byte, every
 * name, record and count, and nothing behind them. A FORMERR may be a bare header, as
 * may any reply to a query that has not one question. */
const char *reply_flaw(
    const uint8_t *query, size_t query_len, const uint8_t *reply, size_t reply_len);

#endif
