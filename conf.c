/* conf.c: the one table of options, and the two readers that fill in struct conf from it.
 * Knows text, bounds and what follows from what; never files, printing or the running modules. */
#include "conf.h"

#include "quantity.h"

#include <stdlib.h>
#include <string.h>

#define OPTION_SHOWN_MAX 64  /* bytes of an option's name that a message repeats */
#define VALUE_SHOWN_MAX  256 /* and of its value */
#define VALUE_KEPT       32  /* and of a value that conf_finish may still complain about */
#define WHY_MAX          512
#define NEAR_NAME_MAX    32 /* longer words are near to no option */
#define NEAR_EDITS_MAX   3

/* ---- the table ------------------------------------------------------------------------------- */

enum kind {
    SWITCH,   /* bool */
    COUNT,    /* unsigned */
    PERCENT,  /* unsigned */
    PORT,     /* uint16_t */
    PERIOD,   /* uint64_t in milliseconds */
    LIFETIME, /* uint32_t in seconds; bounds in milliseconds */
    SIZE,     /* uint64_t in bytes */
    WORD,     /* an enum whose values are the places in `words` */
    PATH,     /* char[CONF_PATH_MAX] */
    USER,     /* char[sizeof(conf.user)] */
    SERVERS,  /* the lists: their fields are named in store_value */
    LISTEN,
    NETS,
    NAMES,
};

struct row {
    struct conf_row shown;
    enum kind kind;
    size_t offset; /* of the field in struct conf; not used by lists */
    uint64_t min, max;
};

#define FIELD(name) offsetof(struct conf, name)

/* Words stand in the order of their enum. */
static const char *const scope_words[] = {"client", "global", NULL};
static const char *const rules_words[] = {"default", "seed", NULL};
static const char *const sandbox_words[] = {"on", "off", NULL};
static const char *const ttl0_words[] = {"hold", "strict", NULL};
static const char *const switch_words[] = {"no", "yes", NULL};

static const struct row table[] = {
    {.shown = {.name = "forward",
         .argument = "[SERVER]",
         .group = "Modes",
         .help = "ask SERVER, or those of -resolv-file",
         .manual = "Ask SERVER what neither the overrides nor the cache can answer. It is an "
                   "IP address and a port if that is not 53: 9.9.9.9, 9.9.9.9:5353, "
                   "9.9.9.9@5353, 2620:fe::fe or [2620:fe::fe]:53. Of several servers the one "
                   "that has been answering fastest is asked, and another one when it stays "
                   "silent. Without SERVER those of -resolv-file are asked; where other "
                   "-forward options name a server, one without SERVER adds nothing.",
         .expected = "the address of a server, such as 9.9.9.9, 9.9.9.9:5353 or [2620:fe::fe]:53",
         .repeatable = true},
        .kind = SERVERS},
    {.shown = {.name = "poison",
         .argument = "FILE",
         .group = "Modes",
         .help = "answer from the overrides in FILE",
         .manual = "Answer from the overrides in FILE, whose form is told in poison.conf(5). "
                   "Overrides come before cache and servers. Without -forward nothing is asked "
                   "elsewhere: questions that neither they nor the rules for special names "
                   "answer are REFUSED.",
         .expected = "the name of a file, shorter than 4096 bytes"},
        .kind = PATH,
        .offset = FIELD(poison)},
    {.shown = {.name = "predict",
         .group = "Modes",
         .help = "ask for what is likely to be asked next",
         .manual = "Learn which questions follow which, and ask the servers for the likely "
                   "followers of a question before the client does. Implies -forward.",
         .words = switch_words},
        .kind = SWITCH,
        .offset = FIELD(predict)},

    {.shown = {.name = "port",
         .argument = "PORT",
         .fallback = "53",
         .group = "Listening",
         .help = "listen on PORT",
         .manual = "The port, UDP and TCP, of every -listen address that names none.",
         .expected = "a port from 1 to 65535",
         .at_start_only = true},
        .kind = PORT,
        .offset = FIELD(port),
        .min = 1,
        .max = 65535},
    {.shown = {.name = "listen",
         .argument = "ADDRESS[:PORT]",
         .fallback = "127.0.0.1 and ::1",
         .group = "Listening",
         .help = "listen at ADDRESS",
         .manual = "Take questions at this address, over UDP and TCP. It is written as a SERVER "
                   "of -forward is; 0.0.0.0 is all IPv4 addresses of this machine and :: all IPv6 "
                   "addresses, and replies leave from the one that was asked. Who gets answers is "
                   "a matter of -allow.",
         .expected = "an address to listen at, such as 192.168.1.1, 192.168.1.1:5353 or [::1]:5353",
         .repeatable = true,
         .at_start_only = true},
        .kind = LISTEN},
    {.shown = {.name = "allow",
         .argument = "NET",
         .fallback = "loopback and private networks",
         .group = "Listening",
         .help = "answer NET only",
         .manual = "Answer clients whose address lies in NET: a network such as 192.168.0.0/16 "
                   "or fd00::/8, or one address. Others get no reply. Once this option is "
                   "given only what is named is allowed; name 127.0.0.0/8 and ::1 too where "
                   "this machine is to be served. Without it, clients from loopback "
                   "(127.0.0.0/8, ::1), private (RFC 1918, RFC 4193), link-local and shared "
                   "(RFC 6598) addresses are served.",
         .expected = "a network such as 192.168.0.0/16 or fd00::/8 without bits set behind its "
                     "prefix, or an address",
         .repeatable = true},
        .kind = NETS},

    {.shown = {.name = "predict-window",
         .argument = "SECONDS",
         .fallback = "15s",
         .group = "Prediction",
         .help = "time for followers; implies -predict",
         .manual = "For how long after a question others count as its followers, and for how "
                   "long it has a say in what is fetched ahead. A longer window finds more "
                   "followers; on recorded page loads 15 seconds was the best, and 20 gained no "
                   "more. Implies -predict, unless that is set to no in the same place.",
         .expected = "a duration from 10ms to 1h, such as 2, 500ms or 15m"},
        .kind = PERIOD,
        .offset = FIELD(predict_window_ms),
        .min = 10,
        .max = QUANTITY_HOUR_MS},
    {.shown = {.name = "predict-score",
         .argument = "N",
         .fallback = "2",
         .group = "Prediction",
         .help = "score from which followers are asked for",
         .manual = "Ask for followers whose score is N or more. The score is 2 for a follower "
                   "that is just as likely as -predict-confidence asks for, 1 for one half as "
                   "likely, and so on; only the product of the two counts, and it can be 200% at "
                   "most. With -predict-rules seed the score is counted: when a question's "
                   "window closes, each follower seen in it gains 1, and each known one that was "
                   "not seen loses 1; at 0 it is forgotten.",
         .expected = "a number from 1 to 1000"},
        .kind = COUNT,
        .offset = FIELD(predict_score),
        .min = 1,
        .max = 1000},
    {.shown = {.name = "predict-confidence",
         .argument = "PERCENT",
         .fallback = "68%",
         .group = "Prediction",
         .help = "how likely a follower must be",
         .manual = "Ask for followers that are at least this likely, by how often they were seen "
                   "in the windows of the client's last questions. A window that did not see a "
                   "follower says nothing where dnsd's own copy of its answer is still fresh, "
                   "for then the client's cache may have hidden the question. On recorded page "
                   "loads 68% saved 89 of a hundred waits for 7 more questions a hundred where "
                   "sites were visited often, and 51 for 14 where each was visited twice; 70% "
                   "saves a point less and asks for 1 or 2 fewer. With -predict-rules seed it "
                   "is the share of a question's windows in which the follower must have been "
                   "seen, besides its score.",
         .expected = "a percentage from 0% to 100%, such as 75%"},
        .kind = PERCENT,
        .offset = FIELD(predict_confidence_percent),
        .max = 100},
    {.shown = {.name = "predict-scope",
         .argument = "client|global",
         .fallback = "client",
         .group = "Prediction",
         .help = "one sequence a client, or one of all",
         .manual = "With client, only questions of the same client address can follow each other. "
                   "With global, the questions of all clients are one sequence. Scores are common "
                   "to all clients either way.",
         .expected = "client or global",
         .words = scope_words},
        .kind = WORD,
        .offset = FIELD(predict_scope)},
    {.shown = {.name = "predict-cap",
         .argument = "N",
         .fallback = "8",
         .group = "Prediction",
         .help = "seed rules: the highest score, 0 for none",
         .manual = "With -predict-rules seed, the highest score a follower can reach, so that "
                   "one which has come to an end is forgotten after as many windows, however "
                   "long it held. 0 sets no limit. Without those rules it means nothing.",
         .expected = "a number from 0 to 1000"},
        .kind = COUNT,
        .offset = FIELD(predict_cap),
        .max = 1000},
    {.shown = {.name = "predict-share",
         .argument = "N",
         .fallback = "2",
         .group = "Prediction",
         .help = "clients who must show it before all profit",
         .manual = "How many clients must have shown that one question follows another before "
                   "it serves clients other than those who showed it. With 1 everybody profits "
                   "at once, also from what a client made up. All addresses of an IPv6 /64 are "
                   "one client.",
         .expected = "a number from 1 to 4"},
        .kind = COUNT,
        .offset = FIELD(predict_share),
        .min = 1,
        .max = 4},
    {.shown = {.name = "predict-budget",
         .argument = "PERCENT",
         .fallback = "20%",
         .group = "Prediction",
         .help = "questions it may waste; 0: no limit",
         .manual = "How many questions prediction may waste for every hundred that clients "
                   "alone would have caused upstream. One that a client then asks too costs "
                   "nothing, and up to 256 may be wasted before any was earned. Less than 20% "
                   "cuts into the gain where each site is visited but twice. 0% sets no limit.",
         .expected = "a percentage from 0% to 100%, such as 10%"},
        .kind = PERCENT,
        .offset = FIELD(predict_budget_percent),
        .max = 100},
    {.shown = {.name = "predict-ttl0",
         .argument = "hold|strict",
         .fallback = "hold",
         .group = "Prediction",
         .help = "early answers with TTL 0",
         .manual = "An answer with TTL 0 may serve only the question that is being asked (RFC "
                   "1035 section 3.2.1). With hold, one that was asked for ahead waits for its "
                   "client: for the length of the window, 2 seconds at most, and for one question. "
                   "With strict it is not kept, so that asking ahead gains nothing for such names.",
         .expected = "hold or strict",
         .words = ttl0_words},
        .kind = WORD,
        .offset = FIELD(predict_ttl0)},
    {.shown = {.name = "predict-rules",
         .argument = "default|seed",
         .fallback = "default",
         .group = "Prediction",
         .help = "seed: those of 2007",
         .manual = "With seed, prediction follows the plain rules it began with in 2007: a "
                   "question brings in what follows it by its score alone, without a say for "
                   "those before it; a window that did not see a follower always costs it 1, even "
                   "where the "
                   "client's own cache may have hidden the question; a question that is "
                   "repeated while its window is open opens another one; what a window sees "
                   "and how much a question leads to have no bound but memory; and the other "
                   "options start from -predict-window 2, -predict-scope global, -predict-cap 0, "
                   "-predict-confidence 0%, -predict-share 1 and -predict-budget 0%. Those "
                   "that are given as well keep their values. For experiments.",
         .expected = "default or seed",
         .words = rules_words},
        .kind = WORD,
        .offset = FIELD(predict_rules)},
    {.shown = {.name = "predict-file",
         .argument = "FILE",
         .group = "Prediction",
         .help = "keep what was learned in FILE",
         .manual = "Read what was learned from FILE at the start, and write it there at the end "
                   "and as often as -predict-save says. The file tells what clients ask; its "
                   "mode is 0600. A file that is damaged or "
                   "of another version is reported and ignored. Once root is given up, its "
                   "directory must be one in which -user can write. Without this option nothing "
                   "is kept.",
         .expected = "the name of a file, shorter than 4096 bytes"},
        .kind = PATH,
        .offset = FIELD(predict_file)},
    {.shown = {.name = "predict-save",
         .argument = "DURATION",
         .fallback = "1h",
         .group = "Prediction",
         .help = "how often that is written",
         .manual = "How often -predict-file is written besides the end, so that a machine that "
                   "loses its power does not lose all. A process of its own writes, and nobody "
                   "waits for the disk.",
         .expected = "a duration from 1s to 7d, such as 300, 12h or 1d"},
        .kind = PERIOD,
        .offset = FIELD(predict_save_ms),
        .min = QUANTITY_SECOND_MS,
        .max = 7 * QUANTITY_DAY_MS},
    {.shown = {.name = "predict-control",
         .argument = "PERCENT",
         .fallback = "0%",
         .group = "Prediction",
         .help = "bursts left without it, to measure it",
         .manual = "Leave this share of the clients' bursts of questions, drawn at random, "
                   "without prefetch, so that what prediction saves can be measured: the "
                   "statistics compare how long clients wait in both kinds. A burst is what a "
                   "client asks until it is silent for more than 5 seconds. Learning goes on in "
                   "all of them. 5% gives up a twentieth of the gain; 50% tells soonest; 100% "
                   "only learns.",
         .expected = "a percentage from 0% to 100%, such as 5%"},
        .kind = PERCENT,
        .offset = FIELD(predict_control_percent),
        .max = 100},
    {.shown = {.name = "predict-dump",
         .argument = "FILE",
         .group = "Prediction",
         .help = "on SIGUSR1, write what was learned",
         .manual = "On SIGUSR1, write what was learned to FILE as a graph that dot(1) can draw, "
                   "and beside it, with .tsv behind the name, as a table; see STATISTICS. The "
                   "files tell what clients ask, as nothing else but -predict-file and "
                   "-query-log does; their mode is 0600. Once root is given up, their "
                   "directory must be one in which -user can write.",
         .expected = "the name of a file, shorter than 4096 bytes"},
        .kind = PATH,
        .offset = FIELD(predict_dump)},

    {.shown = {.name = "cache-size",
         .argument = "SIZE",
         .fallback = "64M",
         .group = "Cache",
         .help = "memory for answers",
         .manual = "Memory for cached answers and their index. It is taken as the cache fills. "
                   "Prediction takes up to 16M besides, and questions and connections up to 250M "
                   "in a flood of them: that is the bound of both together, and SIGUSR1 logs it. "
                   "Units are K, M and G (1024, 1024 K, 1024 M); a bare number is bytes.",
         .expected = "a size from 256K to 64G, such as 512K, 64M or 1G",
         .at_start_only = true},
        .kind = SIZE,
        .offset = FIELD(cache_size_bytes),
        .min = 256 * QUANTITY_KIB,
        .max = 64 * QUANTITY_GIB},
    {.shown = {.name = "max-ttl",
         .argument = "DURATION",
         .fallback = "1d",
         .group = "Cache",
         .help = "the longest an answer is kept as fresh",
         .manual = "Lower TTLs that are longer to this, in the cache and in replies. Negative "
                   "answers are never kept for more than 3 hours (RFC 2308 section 5).",
         .expected = "a duration of whole seconds from 1s to 7d, such as 300, 15m or 1d"},
        .kind = LIFETIME,
        .offset = FIELD(max_ttl_s),
        .min = QUANTITY_SECOND_MS,
        .max = 7 * QUANTITY_DAY_MS},
    {.shown = {.name = "min-ttl",
         .argument = "DURATION",
         .fallback = "0",
         .group = "Cache",
         .help = "the shortest an answer is kept as fresh",
         .manual = "Raise TTLs that are shorter to this. Above 0 it breaks names whose owners rely "
                   "on short TTLs. May not be above -max-ttl.",
         .expected = "a duration of whole seconds from 0 to 1h, such as 30, 60s or 5m"},
        .kind = LIFETIME,
        .offset = FIELD(min_ttl_s),
        .max = QUANTITY_HOUR_MS},
    {.shown = {.name = "stale-ttl",
         .argument = "DURATION",
         .fallback = "1d",
         .group = "Cache",
         .help = "the longest an expired answer is kept",
         .manual = "How long after its end an answer is kept, to be given with a TTL of 30 seconds "
                   "when no server answers, or none within 1.8 seconds (RFC 8767). The default is "
                   "the lower end of what the RFC suggests, 1 to 3 days: it covers the outages "
                   "that occur, and older addresses are ever less likely to be right. 0 keeps "
                   "none.",
         .expected = "a duration from 0 to 7d, such as 300, 12h or 1d"},
        .kind = PERIOD,
        .offset = FIELD(stale_ttl_ms),
        .max = 7 * QUANTITY_DAY_MS},

    {.shown = {.name = "resolv-file",
         .argument = "FILE",
         .fallback = "/etc/resolv.conf",
         .group = "Upstream",
         .help = "where servers are listed",
         .manual = "Read and watch FILE for servers to forward to, where -forward names none. "
                   "Its form is told in resolv.conf(5). Beside systemd-resolved, "
                   "/run/systemd/resolve/resolv.conf has the servers that the network gave, "
                   "while /etc/resolv.conf may name only systemd-resolved or dnsd. A server "
                   "that is dnsd itself is left out, with a warning. While FILE cannot be read, "
                   "for another reason than that it is not there, the servers stay as they "
                   "are, and it is tried again every five seconds.",
         .expected = "the name of a file, shorter than 4096 bytes"},
        .kind = PATH,
        .offset = FIELD(resolv_file)},
    {.shown = {.name = "trust-ad",
         .group = "Upstream",
         .help = "pass on that a server has validated",
         .manual = "Pass the AD bit (authentic data) of the servers on to clients that ask for "
                   "it. Only for servers that validate DNSSEC and are reached by a way that "
                   "nobody can tamper with. Without it the bit is cleared. For the servers of "
                   "-resolv-file the line \"options trust-ad\" in it says the same.",
         .words = switch_words},
        .kind = SWITCH,
        .offset = FIELD(trust_ad)},
    {.shown = {.name = "rebind-protect",
         .group = "Upstream",
         .help = "refuse private addresses from servers",
         .manual = "Refuse answers of the servers that give an address of this machine or a "
                   "private network, so that no name of the Internet can turn a browser against "
                   "what is behind the firewall (DNS rebinding). These are loopback, private "
                   "(RFC 1918, RFC 4193), link-local, shared (RFC 6598) and unspecified "
                   "addresses, those for protocols, tests and the future (192.0.0.0/25, "
                   "198.18.0.0/15, 240.0.0.0/4), also where they are written as IPv6 (mapped, "
                   "translated, NAT64, 6to4), and all of 64:ff9b:1::/48, which a network may "
                   "have for its own NAT64: do not use this option with a DNS64 that does. "
                   "They are looked for in A and AAAA records and in the hints of HTTPS and "
                   "SVCB. Clients get an answer without records and the error Blocked (RFC "
                   "8914). 0.0.0.0, by which some servers block names, is refused too. "
                   "Overrides may have any address. A reload that changes this option or "
                   "-rebind-allow empties the cache.",
         .words = switch_words},
        .kind = SWITCH,
        .offset = FIELD(rebind_protect)},
    {.shown = {.name = "rebind-allow",
         .argument = "NAME",
         .group = "Upstream",
         .help = "leave NAME and all below it alone",
         .manual = "Names that -rebind-protect leaves alone: NAME and all below it. For the "
                   "domain of an office whose servers answer with inner addresses, say, or a "
                   "block list of mail servers, which answers with 127.0.0.2. What counts is "
                   "the name that is asked for, not one that a CNAME leads to.",
         .expected = "a domain name such as example.com",
         .repeatable = true},
        .kind = NAMES},

    {.shown = {.name = "config",
         .argument = "FILE",
         .group = "Operation",
         .help = "read options from FILE",
         .manual = "Read options from FILE too, whose form is told in dnsd.conf(5). An option "
                   "that is given on the command line counts, whatever the file says to it. "
                   "Without this option no file is read.",
         .expected = "the name of a file, shorter than 4096 bytes",
         .command_line_only = true},
        .kind = PATH,
        .offset = FIELD(config)},
    {.shown = {.name = "check-config",
         .group = "Operation",
         .help = "report mistakes, and leave",
         .manual = "Read options, configuration and overrides, see that the user and the "
                   "directories of files exist, report every mistake and leave: with status 0 "
                   "where there is none.",
         .command_line_only = true,
         .words = switch_words},
        .kind = SWITCH,
        .offset = FIELD(check_config)},
    {.shown = {.name = "user",
         .argument = "NAME",
         .group = "Operation",
         .help = "the user to become when started as root",
         .manual = "When started as root, become this user for good once the ports are open. "
                   "Without this option it is dnsd if there is such a user, else nobody.",
         .expected = "the name of a user, shorter than 64 bytes",
         .at_start_only = true},
        .kind = USER,
        .offset = FIELD(user)},
    {.shown = {.name = "sandbox",
         .argument = "on|off",
         .fallback = "on",
         .group = "Operation",
         .help = "forbid dnsd what it does not need",
         .manual = "Before the first question, forbid dnsd itself for good all that it does not "
                   "need: see SANDBOX. To look for a fault with a debugger or with strace, turn it "
                   "off.",
         .expected = "on or off",
         .at_start_only = true,
         .words = sandbox_words},
        .kind = WORD,
        .offset = FIELD(sandbox)},
    {.shown = {.name = "query-log",
         .argument = "FILE",
         .group = "Operation",
         .help = "log each question to FILE, - for stdout",
         .manual = "Append a line for each question to FILE, whose mode is 0600 if it is new: "
                   "time, client, transport, name, type, where the answer came from, rcode, "
                   "bytes and milliseconds. A - is standard output. SIGHUP opens the file "
                   "anew, for the sake of log rotation; once root is given up, it must be one "
                   "that -user may open. A disk that is full, and a pipe that nobody reads, lose "
                   "lines; the log tells how many. A disk that is slow holds up answers while it "
                   "takes lines: write to a pipe, or to standard output, where that may not be.",
         .expected = "the name of a file, shorter than 4096 bytes, or -",
         .at_start_only = true},
        .kind = PATH,
        .offset = FIELD(query_log)},
    {.shown = {.name = "verbose",
         .group = "Operation",
         .help = "log more",
         .manual =
             "Log details that help to find out what is wrong: questions that failed and why, "
             "those that went over to TCP, what servers turned out not to support, clients "
             "that are not served, and files that were read or written. Names that "
             "clients ask for are in the log only with this.",
         .words = switch_words},
        .kind = SWITCH,
        .offset = FIELD(verbose)},
    {.shown = {.name = "version",
         .group = "Operation",
         .help = "print the version, and leave",
         .manual = "Print the version and leave.",
         .command_line_only = true,
         .words = switch_words},
        .kind = SWITCH,
        .offset = FIELD(version)},
    {.shown = {.name = "help",
         .group = "Operation",
         .help = "print this list, and leave",
         .manual = "Print a list of the options and leave.",
         .command_line_only = true,
         .words = switch_words},
        .kind = SWITCH,
        .offset = FIELD(help)},
};

#define N_ROWS (sizeof(table) / sizeof(table[0]))

size_t conf_n_rows(void)
{
    return N_ROWS;
}

const struct conf_row *conf_row(size_t i)
{
    return i < N_ROWS ? &table[i].shown : NULL;
}

static const struct row *find_row(const char *name, size_t len)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        const char *own = table[i].shown.name;
        if (strlen(own) == len && memcmp(own, name, len) == 0)
            return &table[i];
    }
    return NULL;
}

/* ---- texts of messages ----------------------------------------------------------------------- */

/* Collects a text; what does not fit is left out. Starts with "". */
struct text {
    char *buf;
    size_t cap;
    size_t len;
};

static struct text text_start(char *buf, size_t cap)
{
    buf[0] = '\0';
    return (struct text){.buf = buf, .cap = cap};
}

static void text_add_byte(struct text *t, char c)
{
    if (t->len + 1 >= t->cap)
        return;
    t->buf[t->len++] = c;
    t->buf[t->len] = '\0';
}

static void text_add(struct text *t, const char *s)
{
    for (; *s != '\0'; s++)
        text_add_byte(t, *s);
}

static void text_add_number(struct text *t, size_t n)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    text_add(t, digits + at);
}

/* Adds at most shown_max bytes of s: those that could harm a terminal or a log as \DDD. */
static void text_add_escaped(struct text *t, const char *s, size_t len, size_t shown_max)
{
    for (size_t i = 0; i < len && i < shown_max; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= ' ' && c <= '~' && c != '\\') {
            text_add_byte(t, (char)c);
            continue;
        }
        text_add_byte(t, '\\');
        text_add_byte(t, (char)('0' + c / 100));
        text_add_byte(t, (char)('0' + c / 10 % 10));
        text_add_byte(t, (char)('0' + c % 10));
    }
    if (len > shown_max)
        text_add(t, "...");
}

/* ---- the set and its mistakes ---------------------------------------------------------------- */

enum source { FROM_NOWHERE, FROM_FILE, FROM_COMMAND_LINE };

struct conf_set {
    struct conf values;
    enum source by[N_ROWS];        /* who set the value that counts */
    size_t file_line[N_ROWS];      /* where the file gave the option first; 0: it did not */
    char kept[N_ROWS][VALUE_KEPT]; /* the value that counts, as it was written */
};

/* One reading: who is told of mistakes, and where the reader stands. */
struct reading {
    struct conf_set *set;
    conf_report *report;
    void *ctx;
    enum source source;
    size_t line;
    const char *option; /* as written, with its dashes */
    size_t option_len;
    int result; /* -1 once there was a mistake */
};

static void mistake(struct reading *r, const char *value, const char *why)
{
    char option_buf[OPTION_SHOWN_MAX * 4 + 4], value_buf[VALUE_SHOWN_MAX * 4 + 4];
    struct text option = text_start(option_buf, sizeof(option_buf));
    struct text shown = text_start(value_buf, sizeof(value_buf));

    text_add_escaped(&option, r->option, r->option_len, OPTION_SHOWN_MAX);
    if (value != NULL)
        text_add_escaped(&shown, value, strlen(value), VALUE_SHOWN_MAX);
    r->result = -1;
    r->report(r->ctx, r->line, option_buf, value_buf, why);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* A value that was read and found right, before anybody keeps it. */
struct value {
    uint64_t number;  /* of all kinds that are numbers, switches and words */
    const char *text; /* as written; NULL where an optional one is missing */
    struct addr addr;
    struct addr_net net;
    struct rebind_name name;
};

static bool read_word(const char *const *words, const char *text, uint64_t *out)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* What getpwnam could know: no blanks, no colon, nothing unprintable, no dash in front. */
static bool is_user_name(const char *text)
{
    if (text[0] == '-')
        return false;
    for (const char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || *c == ':' || *c == '/')
            return false;
    return true;
}

static bool is_text_shorter(const char *text, size_t cap)
{
    size_t len = strlen(text);
    return len > 0 && len < cap;
}

/* Reads text as the row's kind wants it; false when it is not what the row expects. */
static bool read_value(const struct row *row, const char *text, struct value *v)
{
    *v = (struct value){.text = text};
    switch (row->kind) {
    case SWITCH:
    case WORD:
        return read_word(row->shown.words, text, &v->number);
    case COUNT:
    case PORT:
        return quantity_read(QUANTITY_COUNT, text, row->min, row->max, &v->number);
    case PERCENT:
        return quantity_read(QUANTITY_PERCENT, text, row->min, row->max, &v->number);
    case PERIOD:
        return quantity_read(QUANTITY_PERIOD, text, row->min, row->max, &v->number);
    case LIFETIME:
        return quantity_read(QUANTITY_PERIOD, text, row->min, row->max, &v->number) &&
               v->number % QUANTITY_SECOND_MS == 0;
    case SIZE:
        return quantity_read(QUANTITY_SIZE, text, row->min, row->max, &v->number);
    case PATH:
        return is_text_shorter(text, CONF_PATH_MAX);
    case USER:
        return is_text_shorter(text, sizeof(((struct conf *)NULL)->user)) && is_user_name(text);
    case SERVERS:
        return addr_parse(text, 53, &v->addr) == 0 && !addr_is_unspecified(&v->addr);
    case LISTEN:
        return addr_parse(text, 0, &v->addr) == 0;
    case NETS:
        return addr_net_parse(text, &v->net) == 0;
    case NAMES:
        return rebind_name_parse(text, &v->name) == 0;
    }
    return false;
}

/* Adds to a list. Returns NULL, or why not. */
static const char *add_addr(struct addr *list, size_t *n, size_t max, const struct addr *a)
{
    for (size_t i = 0; i < *n; i++)
        if (addr_equal(&list[i], a))
            return "this address is in the list already";
    if (*n == max)
        return max == CONF_SERVERS_MAX ? "too many: expected at most 16 servers"
                                       : "too many: expected at most 64 addresses";
    list[(*n)++] = *a;
    return NULL;
}

static const char *add_net(struct conf *c, const struct addr_net *net)
{
    for (size_t i = 0; i < c->n_allow; i++)
        if (c->allow[i].prefix_len == net->prefix_len &&
            memcmp(c->allow[i].ip, net->ip, sizeof(net->ip)) == 0)
            return "this network is in the list already";
    if (c->n_allow == CONF_LIST_MAX)
        return "too many: expected at most 64 networks";
    c->allow[c->n_allow++] = *net;
    return NULL;
}

static const char *add_name(struct conf *c, const struct rebind_name *name)
{
    for (size_t i = 0; i < c->n_rebind_allow; i++)
        if (c->rebind_allow[i].len == name->len &&
            memcmp(c->rebind_allow[i].wire, name->wire, name->len) == 0)
            return "this name is in the list already";
    if (c->n_rebind_allow == CONF_LIST_MAX)
        return "too many: expected at most 64 names";
    c->rebind_allow[c->n_rebind_allow++] = *name;
    return NULL;
}

_Static_assert(sizeof(enum conf_scope) == sizeof(unsigned) &&
                   sizeof(enum conf_rules) == sizeof(unsigned) &&
                   sizeof(enum conf_ttl0) == sizeof(unsigned),
    "words are stored as unsigned");

/* Puts a value that read_value found right where it belongs. Returns NULL, or why it cannot. */
static const char *store_value(const struct row *row, const struct value *v, struct conf *c)
{
    char *field = (char *)c + row->offset;
    bool on = v->number != 0;
    unsigned number = (unsigned)v->number;
    uint16_t port = (uint16_t)v->number;
    uint32_t seconds = (uint32_t)(v->number / QUANTITY_SECOND_MS);

    switch (row->kind) {
    case SWITCH:
        memcpy(field, &on, sizeof(on));
        return NULL;
    case COUNT:
    case PERCENT:
    case WORD:
        memcpy(field, &number, sizeof(number));
        return NULL;
    case PORT:
        memcpy(field, &port, sizeof(port));
        return NULL;
    case LIFETIME:
        memcpy(field, &seconds, sizeof(seconds));
        return NULL;
    case PERIOD:
    case SIZE:
        memcpy(field, &v->number, sizeof(v->number));
        return NULL;
    case PATH:
    case USER:
        memcpy(field, v->text, strlen(v->text) + 1);
        return NULL;
    case SERVERS:
        c->forward = true;
        if (v->text == NULL)
            return NULL;
        return add_addr(c->servers, &c->n_servers, CONF_SERVERS_MAX, &v->addr);
    case LISTEN:
        return add_addr(c->listen, &c->n_listen, CONF_LIST_MAX, &v->addr);
    case NETS:
        return add_net(c, &v->net);
    case NAMES:
        return add_name(c, &v->name);
    }
    return NULL;
}

/* ---- one option, wherever it came from ------------------------------------------------------- */

static bool takes_value(const struct row *row)
{
    return row->shown.argument != NULL;
}

static bool needs_value(const struct row *row)
{
    return takes_value(row) && row->shown.argument[0] != '[';
}

/* Reports "WHAT expected THIS". */
static void mistake_expected(
    struct reading *r, const struct row *row, const char *value, const char *what)
{
    char why[WHY_MAX];
    struct text t = text_start(why, sizeof(why));

    text_add(&t, what);
    text_add(&t, "expected ");
    text_add(&t, takes_value(row) ? row->shown.expected : "yes, no or nothing");
    mistake(r, value, why);
}

/* Whether the file may give this option in this line; if not, that was reported. */
static bool may_stand_here(struct reading *r, const struct row *row, const char *value)
{
    size_t *first = &r->set->file_line[row - table];
    char why[WHY_MAX];
    struct text t = text_start(why, sizeof(why));

    if (r->source != FROM_FILE)
        return true;
    if (row->shown.command_line_only) {
        mistake(r, value, "an option for the command line only");
        return false;
    }
    if (*first != 0 && !row->shown.repeatable) {
        text_add(&t, "given already in line ");
        text_add_number(&t, *first);
        mistake(r, value, why);
        return false;
    }
    if (*first == 0)
        *first = r->line;
    return true;
}

/* Takes an option with its value (NULL: none was written). */
static void take_option(struct reading *r, const struct row *row, const char *value)
{
    size_t i = (size_t)(row - table);
    struct value v = {.number = 1}; /* a switch without a value is a yes */
    const char *why;

    if (!may_stand_here(r, row, value))
        return;
    if (value == NULL && needs_value(row)) {
        mistake_expected(r, row, NULL, "no value: ");
        return;
    }
    if (value != NULL && !read_value(row, value, &v)) {
        mistake_expected(r, row, value, "");
        return;
    }
    if (r->set->by[i] > r->source)
        return;
    r->set->by[i] = r->source;
    why = store_value(row, &v, &r->set->values);
    if (why != NULL)
        mistake(r, value, why);

    struct text kept = text_start(r->set->kept[i], VALUE_KEPT);
    text_add(&kept, value != NULL ? value : "");
}

/* ---- unknown options ------------------------------------------------------------------------- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many letters must be left out, put in, changed or swapped with their neighbour to make one
 * word of the other (optimal string alignment). Both are at most NEAR_NAME_MAX long. */
static unsigned edits(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned d[NEAR_NAME_MAX + 1][NEAR_NAME_MAX + 1];

    for (size_t i = 0; i <= a_len; i++)
        d[i][0] = (unsigned)i;
    for (size_t j = 0; j <= b_len; j++)
        d[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        for (size_t j = 1; j <= b_len; j++) {
            unsigned change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = least(change, least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[a_len][b_len];
}

/* The option that was meant: the only one that begins so, else the nearest one if it is near. */
static const char *nearest_name(const char *name, size_t len)
{
    const char *nearest = NULL, *begins = NULL;
    unsigned n_begin = 0, fewest = NEAR_EDITS_MAX + 1;

    if (len == 0 || len > NEAR_NAME_MAX)
        return NULL;
    for (size_t i = 0; i < N_ROWS; i++) {
        const char *own = table[i].shown.name;
        unsigned n = edits(name, len, own, strlen(own));
        if (strncmp(own, name, len) == 0) {
            begins = own;
            n_begin++;
        }
        if (n < fewest && n * 2 <= len) {
            nearest = own;
            fewest = n;
        }
    }
    return n_begin == 1 ? begins : nearest;
}

static void mistake_unknown(struct reading *r, const char *name, size_t len, const char *value)
{
    char why[WHY_MAX];
    struct text t = text_start(why, sizeof(why));
    const char *nearest = nearest_name(name, len);
    const char *dash = r->source == FROM_FILE ? "" : "-";

    if (nearest == NULL) {
        mistake(r, value, "no such option; dnsd -help lists them all");
        return;
    }
    text_add(&t, "no such option; did you mean ");
    text_add(&t, dash);
    text_add(&t, nearest);
    text_add(&t, "?");
    mistake(r, value, why);
}

/* ---- the command line ------------------------------------------------------------------------ */

/* Whether the argument can be a value that stands alone; a bare dash is one (standard output). */
static bool looks_like_value(const char *arg)
{
    return arg != NULL && (arg[0] != '-' || arg[1] == '\0');
}

/* Reads the option in args[0] and returns how many arguments it took. next is NULL at the end. */
static int read_argument(struct reading *r, const char *arg, const char *next)
{
    const char *name = arg + (arg[0] == '-') + (arg[0] == '-' && arg[1] == '-');
    size_t len = strcspn(name, "=");
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    const struct row *row = find_row(name, len);

    r->option = arg;
    r->option_len = (size_t)(name + len - arg);
    if (name == arg || name[0] == '\0') {
        r->option_len = strlen(arg);
        mistake(r, NULL, "not an option: expected a dash and a name, such as -forward");
        return 1;
    }
    if (row == NULL) {
        bool has_value = value == NULL && looks_like_value(next);
        mistake_unknown(r, name, len, has_value ? next : value);
        return has_value ? 2 : 1;
    }
    if (value != NULL || !takes_value(row) || !looks_like_value(next)) {
        take_option(r, row, value);
        return 1;
    }
    if (!needs_value(row) && next[0] == '-') {
        take_option(r, row, NULL);
        return 1;
    }
    take_option(r, row, next);
    return 2;
}

int conf_read_args(
    struct conf_set *s, int argc, const char *const *argv, conf_report *report, void *ctx)
{
    struct reading r = {
        .set = s, .report = report, .ctx = ctx, .source = FROM_COMMAND_LINE, .option = ""};

    for (int i = 1; i < argc;)
        i += read_argument(&r, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
    return r.result;
}

/* ---- dnsd.conf ------------------------------------------------------------------------------- */

static char *skip_blanks(char *at)
{
    return at + strspn(at, " \t\r\f\v");
}

/* Nothing more, or a comment. */
static bool is_line_end(const char *at)
{
    return *at == '\0' || *at == '#' || *at == ';';
}

/* Ends the value that starts at `at`, in quotes or not, with a NUL. NULL after a mistake. */
static char *cut_value(struct reading *r, char *at)
{
    bool quoted = *at == '"';
    char *value = at + quoted;
    char *end = value + strcspn(value, quoted ? "\"" : " \t\r\f\v");
    bool closed = *end != '\0';

    if (quoted && !closed) {
        mistake(r, at, "a quote that does not end in its line");
        return NULL;
    }
    *end = '\0';
    if (closed && !is_line_end(skip_blanks(end + 1))) {
        mistake(r, value, "more than one value; one a line, and quotes around one with blanks");
        return NULL;
    }
    return value;
}

/* Reads one line of text, which it changes. */
static void read_line(struct reading *r, char *line)
{
    char *name = skip_blanks(line);
    size_t len = strcspn(name, " \t\r\f\v");
    char *after = skip_blanks(name + len);
    char *value = NULL;
    const struct row *row;

    if (is_line_end(name))
        return;
    r->option = name;
    r->option_len = len;
    if (memchr(name, '=', len) != NULL || *after == '=') {
        mistake(r, NULL, "expected a name, a blank and a value, without =");
        return;
    }
    if (!is_line_end(after)) {
        value = cut_value(r, after);
        if (value == NULL)
            return;
    }
    row = find_row(name, len);
    if (row == NULL)
        mistake_unknown(r, name, len, value);
    else
        take_option(r, row, value);
}

int conf_read_text(struct conf_set *s, const char *text, size_t len, conf_report *report, void *ctx)
{
    struct reading r = {.set = s, .report = report, .ctx = ctx, .source = FROM_FILE};
    char line[CONF_LINE_MAX + 1];
    size_t begin = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* a BOM */

    for (size_t at = begin; at < len;) {
        const char *start = text + at;
        const char *newline = memchr(start, '\n', len - at);
        size_t line_len = newline != NULL ? (size_t)(newline - start) : len - at;

        at += line_len + 1;
        r.line++;
        r.option = "";
        r.option_len = 0;
        if (line_len > CONF_LINE_MAX) {
            mistake(&r, NULL, "a line of more than 4352 bytes");
            continue;
        }
        if (memchr(start, '\0', line_len) != NULL) {
            mistake(&r, NULL, "a NUL byte; expected text");
            continue;
        }
        memcpy(line, start, line_len);
        line[line_len] = '\0';
        read_line(&r, line);
    }
    return r.result;
}

/* ---- what follows from what ------------------------------------------------------------------ */

static size_t row_index(const char *name)
{
    return (size_t)(find_row(name, strlen(name)) - table);
}

static bool is_set(const struct conf_set *s, const char *name)
{
    return s->by[row_index(name)] != FROM_NOWHERE;
}

/* Points the reading at an option that was given, for a mistake that showed only in the end. */
static const char *point_at(struct reading *r, const char *name, char option[OPTION_SHOWN_MAX])
{
    size_t i = row_index(name);
    struct text t = text_start(option, OPTION_SHOWN_MAX);

    r->line = r->set->by[i] == FROM_FILE ? r->set->file_line[i] : 0;
    text_add(&t, r->line == 0 ? "-" : "");
    text_add(&t, name);
    r->option = option;
    r->option_len = t.len;
    return r->set->kept[i];
}

/* The rules of 2007, for what was not said otherwise. */
static void apply_seed_rules(struct conf_set *s)
{
    struct conf *c = &s->values;

    if (!is_set(s, "predict-window"))
        c->predict_window_ms = 2000;
    if (!is_set(s, "predict-scope"))
        c->predict_scope = CONF_SCOPE_GLOBAL;
    if (!is_set(s, "predict-cap"))
        c->predict_cap = 0;
    if (!is_set(s, "predict-confidence"))
        c->predict_confidence_percent = 0;
    if (!is_set(s, "predict-share"))
        c->predict_share = 1;
    if (!is_set(s, "predict-budget"))
        c->predict_budget_percent = 0;
}

/* Whether the dump, or its table, would replace what was learned. */
static bool dump_hits_file(const struct conf *c)
{
    size_t len = strlen(c->predict_dump);

    return len > 0 && strncmp(c->predict_file, c->predict_dump, len) == 0 &&
           (c->predict_file[len] == '\0' || strcmp(c->predict_file + len, ".tsv") == 0);
}

/* Whether the server is one of the addresses that are listened at, as they are written. (What a
 * wildcard covers is known once it is bound.) */
static bool is_own_address(const struct conf *c, const struct addr *server)
{
    for (size_t i = 0; i < c->n_listen; i++) {
        struct addr own = c->listen[i];
        if (own.port == 0)
            own.port = c->port;
        if (addr_equal(&own, server))
            return true;
    }
    return false;
}

/* By the rule of 2007 scores end at the cap; by the other nothing is more likely than certain, and
 * confidence is what a score of 2 stands for. */
static void check_reach(struct reading *r)
{
    const struct conf *c = &r->set->values;
    bool by_score = is_set(r->set, "predict-score");
    char option[OPTION_SHOWN_MAX];
    const char *value;

    if (c->predict_rules == CONF_RULES_SEED) {
        if (c->predict_cap == 0 || c->predict_score <= c->predict_cap)
            return;
        value = point_at(r, by_score ? "predict-score" : "predict-cap", option);
        mistake(r, value,
            by_score ? "expected no more than predict-cap: no score could reach it"
                     : "expected no less than predict-score, or 0: no score could reach it");
        return;
    }
    if (c->predict_score * c->predict_confidence_percent <= 200)
        return;
    value = point_at(r, by_score ? "predict-score" : "predict-confidence", option);
    mistake(r, value,
        by_score ? "expected no more than 200% / predict-confidence: no follower could reach it"
                 : "expected no more than 200% / predict-score: no follower could reach it");
}

static void check_together(struct reading *r)
{
    const struct conf *c = &r->set->values;
    char option[OPTION_SHOWN_MAX];
    char text[ADDR_TEXT_MAX];
    const char *value;

    if (c->min_ttl_s > c->max_ttl_s) {
        value = point_at(r, "min-ttl", option);
        mistake(r, value, "expected no more than max-ttl");
    }
    for (size_t i = 0; i < c->n_servers; i++) {
        if (!is_own_address(c, &c->servers[i]))
            continue;
        (void)point_at(r, "forward", option);
        addr_format(&c->servers[i], text);
        mistake(r, text, "dnsd itself listens there");
    }
    if (dump_hits_file(c)) {
        value = point_at(r, "predict-dump", option);
        mistake(r, value, "expected another file than predict-file");
    }
    check_reach(r);
}

int conf_finish(struct conf_set *s, conf_report *report, void *ctx)
{
    struct reading r = {.set = s, .report = report, .ctx = ctx, .option = ""};
    struct conf *c = &s->values;

    /* On the command line it outweighs a "predict no" in the file. */
    if (s->by[row_index("predict-window")] > s->by[row_index("predict")])
        c->predict = true;
    if (c->predict)
        c->forward = true;
    if (c->predict_rules == CONF_RULES_SEED)
        apply_seed_rules(s);
    if (c->n_listen == 0) {
        c->listen_default = true;
        c->n_listen = 2;
        c->listen[0] = (struct addr){.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}};
        c->listen[1] = (struct addr){.ip = {[15] = 1}};
    }
    check_together(&r);
    return r.result;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct conf_set *conf_create(void)
{
    struct conf_set *s = calloc(1, sizeof(*s));
    struct value v;

    if (s == NULL)
        return NULL;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &table[i];
        /* What a list means when it is empty is told in words. */
        if (row->shown.fallback == NULL || row->shown.repeatable)
            continue;
        if (read_value(row, row->shown.fallback, &v))
            store_value(row, &v, &s->values);
    }
    return s;
}

void conf_free(struct conf_set *s)
{
    free(s);
}

const struct conf *conf_values(const struct conf_set *s)
{
    return &s->values;
}
