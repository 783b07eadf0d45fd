/* peers.h: both ends of dnsd for tests that look at single messages and milliseconds: a stub that
 * asks it, and a server that it asks, which follows a script.
 * Knows messages and sockets; never processes (harness.h). */
#ifndef DNSD_TESTS_PEERS_H
#define DNSD_TESTS_PEERS_H

#include "harness.h"

#include <netinet/in.h>

#define MESSAGE_MAX 4096

enum type { TYPE_A = 1, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_TXT = 16, TYPE_AAAA = 28 };
enum rcode { NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED };

/* ---- the stub -------------------------------------------------------------------------------- */

struct reply {
    bool came;
    bool truncated;
    unsigned rcode;
    unsigned answers;
    uint32_t ttl_s;   /* of the first answer */
    char address[16]; /* of the last answer that is an A */
    uint64_t took_ms;
    size_t len;
};

/* Sends a question from a socket of its own and returns it; receive waits for the reply and closes
 * it. */
struct question {
    int fd;
    uint64_t asked_ms;
};
struct question ask(const struct dnsd *d, const char *name, enum type type);
struct reply receive(struct question q, uint64_t wait_ms);
/* What a whole message says, with at least a header. */
struct reply reply_read(const uint8_t *msg, size_t len);
/* Both. */
struct reply resolve(const struct dnsd *d, const char *name, enum type type);

/* In single steps. A question with RD in class IN; returns its length. */
#define QUESTION_MAX 298
size_t write_question(uint8_t msg[QUESTION_MAX], unsigned id, const char *name, enum type type);
/* A socket of the client with this number, which has an address of its own, connected to dnsd; -1
 * with errno where there is none to be had or dnsd does not want it. Nobody waits on it for longer
 * than WAIT_MS. */
int client_socket(const struct dnsd *d, unsigned client, int type);

/* ---- the server ------------------------------------------------------------------------------ */

struct responder;

/* A question that came. */
struct asked {
    struct responder *r;
    bool tcp;
    int fd; /* of the TCP connection */
    struct sockaddr_in from;
    uint8_t msg[512];
    size_t len;
    char name[256]; /* lower case, without final dot */
    unsigned type;
    unsigned nth; /* time that this name and type is asked, UDP and TCP together; from 1 */
};

/* Decides what comes back. Runs in a thread of the server's own: it must not fail the test. */
typedef void responder_script(const struct asked *q, void *ctx);

/* Listens at a free port of own_address, UDP and TCP, until the test ends. */
struct responder *responder_start(responder_script *script, void *ctx);
/* The same, but connections are refused. */
struct responder *responder_start_without_tcp(responder_script *script, void *ctx);
void responder_stop(struct responder *r);
uint16_t responder_port(const struct responder *r);
/* Its address and port, as -forward wants them. */
const char *responder_at(const struct responder *r);
/* How often this name (NULL: any) was asked over UDP and TCP, or over TCP. */
size_t responder_asked(struct responder *r, const char *name);
size_t responder_asked_tcp(struct responder *r, const char *name);

/* For scripts. A reply with the question as it was sent, RD and RA and this rcode. */
size_t reply_start(const struct asked *q, enum rcode rcode, uint8_t msg[MESSAGE_MAX]);
/* Adds an answer record whose owner is the question's name. */
size_t reply_add(
    uint8_t *msg, size_t len, enum type type, uint32_t ttl_s, const void *rdata, size_t rdata_len);
/* Sends it the way the question came, at least delay_ms later. What is due at the same time leaves
 * in the order of the calls. */
void reply_send(const struct asked *q, unsigned delay_ms, const uint8_t *msg, size_t len);
/* The same without a length before it, where the question came over TCP: any bytes. */
void reply_send_bytes(const struct asked *q, unsigned delay_ms, const uint8_t *bytes, size_t len);
/* Sends it at once from another port; from another address. */
void reply_send_from_elsewhere(const struct asked *q, const uint8_t *msg, size_t len);
void reply_send_from_stranger(const struct asked *q, const uint8_t *msg, size_t len);
/* The ordinary reply: one A record, or NODATA with a SOA for other types. */
void reply_a(const struct asked *q, unsigned delay_ms, uint32_t ttl_s, const char *address);
/* Ends the connection, behind what is sent by then: orderly, or with a reset. */
void reply_hang_up(const struct asked *q, unsigned delay_ms);
void reply_reset(const struct asked *q, unsigned delay_ms);

#endif
