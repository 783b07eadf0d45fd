/* clients.c: other people's clients ask dnsd, which forwards to nsd with a real zone, and get what
 * the zone says. Knows their command lines and how they print; never dnsd's insides. */
#include "harness.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct dnsd *d;

/* write_zone adds a name with more data than any UDP reply holds. */
static const char zone[] =
    "$TTL 300\n"
    "example.org. SOA ns.example.org. host.example.org. 1 3600 600 86400 60\n"
    "example.org. NS ns.example.org.\n"
    "example.org. MX 10 mail.example.org.\n"
    "ns.example.org. A 192.0.2.53\n"
    "mail.example.org. A 192.0.2.25\n"
    "www.example.org. A 192.0.2.1\n"
    "www.example.org. AAAA 2001:db8::1\n"
    "alias.example.org. CNAME second.example.org.\n"
    "second.example.org. CNAME www.example.org.\n"
    "text.example.org. TXT \"second floor\" \"left\"\n"
    "_sip._tcp.example.org. SRV 1 2 5060 www.example.org.\n"
    "odd.example.org. TYPE65280 \\# 4 0A000001\n";

static const char *write_zone(void)
{
    char big[8192] = "";
    size_t len = 0;
    for (int i = 0; i < 40; i++)
        len += (size_t)snprintf(
            big + len, sizeof big - len, "big.example.org. TXT \"%02d-%0100d\"\n", i, 0);
    return write_file("zone", "%s%s", zone, big);
}

static void start_both(void)
{
    const struct nsd *n = nsd_start("example.org", write_zone());
    d = dnsd_start("-forward %s:%u", n->address, (unsigned)n->port);
}

/* ---- what each client is asked and has to print ---------------------------------------------- */

struct expectation {
    const char *question; /* as the client wants it */
    const char *wanted;
};

/* Everything twice: from upstream, and from the cache. */
static void expect_all(const char *client, const struct expectation *e, size_t n)
{
    for (size_t i = 0; i < 2 * n; i++) {
        struct output o = run("%s %s", client, e[i % n].question);
        ck_assert_msg(strstr(o.text, e[i % n].wanted) != NULL,
            "%s %s: expected \"%s\" in:\n%.3000s", client, e[i % n].question, e[i % n].wanted,
            o.text);
    }
}
#define EXPECT_ALL(client, list) expect_all(client, list, sizeof list / sizeof list[0])

START_TEST(dig)
{
    static const struct expectation list[] = {
        {"+short www.example.org A", "192.0.2.1\n"},
        {"+short www.example.org AAAA", "2001:db8::1\n"},
        {"+short alias.example.org A", "second.example.org.\nwww.example.org.\n192.0.2.1\n"},
        {"+short example.org MX", "10 mail.example.org.\n"},
        {"+short text.example.org TXT", "\"second floor\" \"left\"\n"},
        {"+short _sip._tcp.example.org SRV", "1 2 5060 www.example.org.\n"},
        {"+short odd.example.org TYPE65280", "\\# 4 0A000001\n"},
        {"none.example.org A", "status: NXDOMAIN"},
        {"none.example.org A", "host.example.org. 1 3600 600 86400 60"},
        {"mail.example.org AAAA", "status: NOERROR"},
        {"mail.example.org AAAA", "ANSWER: 0, AUTHORITY: 1"},
        {"big.example.org TXT", "Truncated, retrying in TCP mode"},
        {"big.example.org TXT", "ANSWER: 40"},
        {"+tcp +short www.example.org A", "192.0.2.1\n"},
        {"+noedns +short www.example.org A", "192.0.2.1\n"},
        {"+noedns +ignore big.example.org TXT", "flags: qr tc rd ra;"},
        {"+bufsize=512 +short www.example.org A", "192.0.2.1\n"},
        {"WwW.eXaMpLe.oRg A", "WwW.eXaMpLe.oRg."},
        {"www.example.org ANY", "RFC8482"},
        {"+norecurse www.example.org A", "status: REFUSED"},
        {"+norecurse www.example.org A", "EDE: 20 (Not Authoritative)"},
        {"+tcp +keepalive www.example.org A", "TCP KEEPALIVE: 10.0 secs"},
        {"+cookie www.example.org A", "(good)"},
        {"+tcp +cookie www.example.org A", "(good)"},
        {"+cookie=0123456789abcdef0100000000000000ffffffffffffffff www.example.org A", "(good)"},
        {"example.org AXFR", "Transfer failed"},
    };
    start_both();
    EXPECT_ALL(text("dig @%s -p %u", d->address, (unsigned)d->port), list);
}
END_TEST

START_TEST(kdig)
{
    static const struct expectation list[] = {
        {"+short www.example.org A", "192.0.2.1\n"},
        {"+short www.example.org AAAA", "2001:db8::1\n"},
        {"+short alias.example.org A", "second.example.org.\nwww.example.org.\n192.0.2.1\n"},
        {"+short example.org MX", "10 mail.example.org.\n"},
        {"+short text.example.org TXT", "\"second floor\" \"left\"\n"},
        {"+short _sip._tcp.example.org SRV", "1 2 5060 www.example.org.\n"},
        {"+short odd.example.org TYPE65280", "\\# 4 0A000001\n"},
        {"none.example.org A", "status: NXDOMAIN"},
        {"mail.example.org AAAA", "ANSWER: 0; AUTHORITY: 1"},
        {"big.example.org TXT", "ANSWER: 40"},
        {"+tcp +keepopen www.example.org A mail.example.org A", "192.0.2.25"},
        {"+nocookie +cookie=0011223344556677 +short www.example.org A", "192.0.2.1\n"},
        {"+padding=128 +short www.example.org A", "192.0.2.1\n"},
        {"+subnet=198.51.100.0/24 +short www.example.org A", "192.0.2.1\n"},
        {"+edns=1 www.example.org A", "BADVERS"},
    };
    start_both();
    EXPECT_ALL(text("kdig @%s -p %u", d->address, (unsigned)d->port), list);
}
END_TEST

START_TEST(drill)
{
    static const struct expectation list[] = {
        {"www.example.org A", "IN\tA\t192.0.2.1"},
        {"www.example.org AAAA", "IN\tAAAA\t2001:db8::1"},
        {"alias.example.org A", "IN\tA\t192.0.2.1"},
        {"example.org MX", "10 mail.example.org."},
        {"text.example.org TXT", "\"second floor\" \"left\""},
        {"_sip._tcp.example.org SRV", "1 2 5060 www.example.org."},
        {"none.example.org A", "rcode: NXDOMAIN"},
        {"mail.example.org AAAA", "ANSWER: 0, AUTHORITY: 1"},
        {"-t big.example.org TXT", "ANSWER: 40"},
    };
    start_both();
    EXPECT_ALL(text("drill -p %u @%s", (unsigned)d->port, d->address), list);
}
END_TEST

START_TEST(delv)
{
    static const struct expectation list[] = {
        {"www.example.org A", "192.0.2.1"},
        {"www.example.org AAAA", "2001:db8::1"},
        {"alias.example.org A", "192.0.2.1"},
        {"example.org MX", "10 mail.example.org."},
        {"none.example.org A", "ncache nxdomain"},
        {"mail.example.org AAAA", "ncache nxrrset"},
        {"big.example.org TXT", "\"39-"},
    };
    start_both();
    EXPECT_ALL(text("delv -i @%s -p %u", d->address, (unsigned)d->port), list);
}
END_TEST

START_TEST(node)
{
    if (!have_program("node")) {
        printf("skipped: there is no node on this machine\n");
        return;
    }
    start_both();
    const char *script = write_file("ask.js",
        "const { Resolver } = require('dns').promises;\n"
        "const r = new Resolver({ tries: 1 });\n"
        "r.setServers(['%s:%u']);\n"
        "const show = p => p.then(JSON.stringify, e => e.code);\n"
        "(async () => {\n"
        "for (let i = 0; i < 2; i++) {\n"
        "  console.log(await show(r.resolve4('www.example.org')));\n"
        "  console.log(await show(r.resolve6('www.example.org')));\n"
        "  console.log(await show(r.resolve4('alias.example.org')));\n"
        "  console.log(await show(r.resolveMx('example.org')));\n"
        "  console.log(await show(r.resolveTxt('text.example.org')));\n"
        "  console.log(await show(r.resolveSrv('_sip._tcp.example.org')));\n"
        "  console.log(await show(r.resolve4('none.example.org')));\n"
        "  console.log(await show(r.resolve6('mail.example.org')));\n"
        "  console.log((await r.resolveTxt('big.example.org')).length);\n"
        "}\n"
        "})();\n",
        d->address, (unsigned)d->port);
    static const char once[] = "[\"192.0.2.1\"]\n"
                               "[\"2001:db8::1\"]\n"
                               "[\"192.0.2.1\"]\n"
                               "[{\"exchange\":\"mail.example.org\",\"priority\":10}]\n"
                               "[[\"second floor\",\"left\"]]\n"
                               "[{\"name\":\"www.example.org\",\"port\":5060,\"priority\":1,"
                               "\"weight\":2}]\n"
                               "ENOTFOUND\n"
                               "ENODATA\n"
                               "40\n";
    struct output o = run("node %s", script);
    ck_assert_str_eq(o.text, text("%s%s", once, once));
}
END_TEST

/* ---- getaddrinfo -------------------------------------------------------------------------------
 * The C library asks port 53 of what /etc/resolv.conf says: it gets one of its own, which only its
 * process can see.
 */

enum { SEEN_RIGHT, SEEN_WRONG, NOT_PERMITTED };

static bool finds(const char *name, int family, const char *wanted)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *list;
    char shown[64] = "";
    int error = getaddrinfo(name, NULL, &hints, &list);
    if (error == 0) {
        getnameinfo(list->ai_addr, list->ai_addrlen, shown, sizeof shown, NULL, 0, NI_NUMERICHOST);
        freeaddrinfo(list);
    }
    const char *got = error == EAI_NONAME || error == EAI_NODATA ? "none" : shown;
    if (strcmp(got, wanted) != 0)
        printf("getaddrinfo %s: %s (%s)\n", name, got, gai_strerror(error));
    return strcmp(got, wanted) == 0;
}

static int look_up(const char *resolv_conf)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount(resolv_conf, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
        return NOT_PERMITTED;
    bool right = true;
    for (int i = 0; i < 2; i++) {
        right &= finds("www.example.org", AF_INET, "192.0.2.1");
        right &= finds("www.example.org", AF_INET6, "2001:db8::1");
        right &= finds("alias.example.org", AF_INET, "192.0.2.1");
        right &= finds("none.example.org", AF_UNSPEC, "none");
        right &= finds("mail.example.org", AF_INET6, "none");
    }
    return right ? SEEN_RIGHT : SEEN_WRONG;
}

START_TEST(getaddrinfo_of_the_c_library)
{
    int status;
    if (getuid() != 0) {
        printf("skipped: only root can give a process a resolv.conf of its own\n");
        return;
    }
    const struct nsd *n = nsd_start("example.org", write_zone());
    d = dnsd_start_as_root(
        "-forward %s:%u -listen %s:53", n->address, (unsigned)n->port, n->address);
    const char *conf = write_file("resolv.conf", "nameserver %s\n", n->address);
    pid_t pid = fork();
    if (pid == 0)
        _exit(look_up(conf));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_PERMITTED)
        printf("skipped: this root may not mount\n");
    else
        ck_assert_int_eq(WEXITSTATUS(status), SEEN_RIGHT);
}
END_TEST

/* ---- a signed zone --------------------------------------------------------------------------- */

/* Signs the zone, and returns the file. */
static const char *sign(const char *file)
{
    const char *dir = text("%.*s", (int)(strlen(file) - strlen("/zone")), file);
    struct output o =
        run("env -C %s ldns-keygen -r /dev/urandom -a ECDSAP256SHA256 -k example.org", dir);
    ck_assert_int_eq(o.code, 0);
    o.text[strcspn(o.text, "\n")] = '\0';
    struct output s = run("env -C %s ldns-signzone -o example.org %s %s", dir, file, o.text);
    ck_assert_msg(s.code == 0, "%.3000s", s.text);
    return text("%s.signed", file);
}

START_TEST(a_signed_zone_shows_signatures_to_who_wants_them)
{
    static const struct expectation with[] = {
        {"+dnssec www.example.org A", "RRSIG\tA 13 3 300"},
        {"+dnssec www.example.org A", "; EDNS: version: 0, flags: do;"},
        {"+dnssec www.example.org A", ";; flags: qr rd ra;"}, /* no AD: nobody is trusted */
        {"+dnssec none.example.org A", "NSEC"},
        {"+dnssec +cdflag www.example.org A", ";; flags: qr rd ra cd;"},
        {"example.org DNSKEY", "DNSKEY\t257 3 13"},
    };
    const struct nsd *n = nsd_start("example.org", sign(write_zone()));
    d = dnsd_start("-forward %s:%u", n->address, (unsigned)n->port);
    const char *client = text("dig @%s -p %u", d->address, (unsigned)d->port);
    EXPECT_ALL(client, with);
    struct output o = run("%s www.example.org A", client);
    must_have(o.text, "192.0.2.1");
    must_lack(o.text, "RRSIG");
    o = run("%s none.example.org A", client);
    must_have(o.text, "NXDOMAIN");
    must_lack(o.text, "NSEC");
}
END_TEST

/* ---- dnsperf --------------------------------------------------------------------------------- */

START_TEST(dnsperf_over_udp_and_tcp)
{
    start_both();
    const char *questions = write_file("questions",
        "www.example.org A\nwww.example.org AAAA\nalias.example.org A\nexample.org MX\n"
        "text.example.org TXT\n_sip._tcp.example.org SRV\nmail.example.org AAAA\n");
    for (int tcp = 0; tcp < 2; tcp++) {
        struct output o = run("dnsperf -s %s -p %u -m %s -d %s -n %d -c 10", d->address,
            (unsigned)d->port, tcp ? "tcp" : "udp", questions, harness_slow() ? 50 : 500);
        must_have(o.text, "Queries lost:         0");
        must_have(o.text, text("NOERROR %d (100.00%%)", 7 * (harness_slow() ? 50 : 500)));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("system/clients");
    TCase *c = harness_case(s, "clients");
    tcase_add_test(c, dig);
    tcase_add_test(c, kdig);
    tcase_add_test(c, drill);
    tcase_add_test(c, delv);
    tcase_add_test(c, node);
    tcase_add_test(c, getaddrinfo_of_the_c_library);
    tcase_add_test(c, a_signed_zone_shows_signatures_to_who_wants_them);
    tcase_add_test(c, dnsperf_over_udp_and_tcp);
    return harness_run(s);
}
