/* conf_table.c: the one table of options: their names, words for people, defaults and bounds, and
 * where struct conf has them. Knows no text of a user's; never how values are read or kept. */
#include "conf_parts.h"

#include "quantity.h"

#include <string.h>

/* The kind of an option, and the field that takes it: one of another size does not compile. */
#define KEEPS(k, field)                                                                            \
    .kind = k,                                                                                     \
    .offset = offsetof(struct conf, field) +                                                       \
              0 * sizeof(char[sizeof(conf_##k) == sizeof(((struct conf *)NULL)->field) ? 1 : -1])

/* Words stand in the order of their enum. */
static const char *const scope_words[] = {"client", "global", NULL};
static const char *const rules_words[] = {"default", "seed", NULL};
static const char *const sandbox_words[] = {"on", "off", NULL};
static const char *const ttl0_words[] = {"hold", "strict", NULL};
static const char *const switch_words[] = {"no", "yes", NULL};

static const struct conf_option table[] = {
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
        KEEPS(PATH, poison)},
    {.shown = {.name = "predict",
         .group = "Modes",
         .help = "ask for what is likely to be asked next",
         .manual = "Learn which questions follow which, and ask the servers for the likely "
                   "followers of a question before the client does. Implies -forward.",
         .words = switch_words},
        KEEPS(SWITCH, predict)},

    {.shown = {.name = "port",
         .argument = "PORT",
         .fallback = "53",
         .group = "Listening",
         .help = "listen on PORT",
         .manual = "The port, UDP and TCP, of every -listen address that names none.",
         .expected = "a port from 1 to 65535",
         .at_start_only = true},
        KEEPS(PORT, port),
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
        KEEPS(PERIOD, predict_window_ms),
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
        KEEPS(COUNT, predict_score),
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
        KEEPS(PERCENT, predict_confidence_percent),
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
        KEEPS(WORD, predict_scope)},
    {.shown = {.name = "predict-cap",
         .argument = "N",
         .fallback = "8",
         .group = "Prediction",
         .help = "seed rules: the highest score, 0 for none",
         .manual = "With -predict-rules seed, the highest score a follower can reach, so that "
                   "one which has come to an end is forgotten after as many windows, however "
                   "long it held. 0 sets no limit. Without those rules it means nothing.",
         .expected = "a number from 0 to 1000"},
        KEEPS(COUNT, predict_cap),
        .max = 1000},
    {.shown = {.name = "predict-share",
         .argument = "N",
         .fallback = "2",
         .group = "Prediction",
         .help = "clients who must show it before all profit",
         .manual = "How many clients must have shown that one question follows another before "
                   "it serves clients other than those who showed it. With 1 everybody profits "
                   "at once, also from what a client made up. All addresses of an IPv6 /64 are "
                   "one client; a machine that has an IPv4 address too is two.",
         .expected = "a number from 1 to 4"},
        KEEPS(COUNT, predict_share),
        .min = 1,
        .max = 4},
    {.shown = {.name = "predict-budget",
         .argument = "PERCENT",
         .fallback = "20%",
         .group = "Prediction",
         .help = "questions it may waste; 0: no limit",
         .manual = "How many questions prediction may waste for every hundred that clients "
                   "alone would have caused upstream. One that a client then asks too costs "
                   "nothing, and up to 256 may be wasted before any was earned. While others ask "
                   "too, one client may waste no more of them than it leaves. Less than 20% cuts "
                   "into the gain where each site is visited but twice. 0% sets no limit.",
         .expected = "a percentage from 0% to 100%, such as 10%"},
        KEEPS(PERCENT, predict_budget_percent),
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
        KEEPS(WORD, predict_ttl0)},
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
        KEEPS(WORD, predict_rules)},
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
        KEEPS(PATH, predict_file)},
    {.shown = {.name = "predict-save",
         .argument = "DURATION",
         .fallback = "1h",
         .group = "Prediction",
         .help = "how often that is written",
         .manual = "How often -predict-file is written besides the end, so that a machine that "
                   "loses its power does not lose all. A process of its own writes, and nobody "
                   "waits for the disk.",
         .expected = "a duration from 1s to 7d, such as 300, 12h or 1d"},
        KEEPS(PERIOD, predict_save_ms),
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
        KEEPS(PERCENT, predict_control_percent),
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
        KEEPS(PATH, predict_dump)},

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
        KEEPS(SIZE, cache_size_bytes),
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
        KEEPS(LIFETIME, max_ttl_s),
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
        KEEPS(LIFETIME, min_ttl_s),
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
        KEEPS(PERIOD, stale_ttl_ms),
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
        KEEPS(PATH, resolv_file)},
    {.shown = {.name = "trust-ad",
         .group = "Upstream",
         .help = "pass on that a server has validated",
         .manual = "Pass the AD bit (authentic data) of the servers on to clients that ask for "
                   "it. Only for servers that validate DNSSEC and are reached by a way that "
                   "nobody can tamper with. Without it the bit is cleared. For the servers of "
                   "-resolv-file the line \"options trust-ad\" in it says the same.",
         .words = switch_words},
        KEEPS(SWITCH, trust_ad)},
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
        KEEPS(SWITCH, rebind_protect)},
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
        KEEPS(PATH, config)},
    {.shown = {.name = "check-config",
         .group = "Operation",
         .help = "report mistakes, and leave",
         .manual = "Read options, configuration and overrides, see that the user and the "
                   "directories of files exist, report the mistakes and leave: with status 0 "
                   "where there is none. Whether ports are free and files can be written shows "
                   "at the start only.",
         .command_line_only = true,
         .words = switch_words},
        KEEPS(SWITCH, check_config)},
    {.shown = {.name = "user",
         .argument = "NAME",
         .group = "Operation",
         .help = "the user to become when started as root",
         .manual = "When started as root, become this user for good once the ports are open. "
                   "Without this option it is dnsd if there is such a user, else nobody.",
         .expected = "the name of a user, shorter than 64 bytes",
         .at_start_only = true},
        KEEPS(USER, user)},
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
        KEEPS(WORD, sandbox)},
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
        KEEPS(PATH, query_log)},
    {.shown = {.name = "verbose",
         .group = "Operation",
         .help = "log more",
         .manual =
             "Log details that help to find out what is wrong: questions that failed and why, "
             "those that went over to TCP, what servers turned out not to support, clients "
             "that are not served, and files that were read or written. Names that "
             "clients ask for are in the log only with this.",
         .words = switch_words},
        KEEPS(SWITCH, verbose)},
    {.shown = {.name = "version",
         .group = "Operation",
         .help = "print the version, and leave",
         .manual = "Print the version and leave.",
         .command_line_only = true,
         .words = switch_words},
        KEEPS(SWITCH, version)},
    {.shown = {.name = "help",
         .group = "Operation",
         .help = "print this list, and leave",
         .manual = "Print a list of the options and leave.",
         .command_line_only = true,
         .words = switch_words},
        KEEPS(SWITCH, help)},
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

const struct conf_option *conf_option(size_t i)
{
    return &table[i];
}

size_t conf_option_place(const struct conf_option *o)
{
    return (size_t)(o - table);
}

const struct conf_option *conf_option_named(const char *name, size_t len)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        const char *own = table[i].shown.name;
        if (strlen(own) == len && memcmp(own, name, len) == 0)
            return &table[i];
    }
    return NULL;
}
