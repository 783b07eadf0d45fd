# report.awk: single figures to medians with spread, and whether dnsd reaches what it must, as
# Markdown or JSON. Knows rounds, servers, measures and targets; never how figures came about.
#
#   awk -f report.awk -v form=markdown|json|exit MACHINE VERSIONS FAILED RESULTS
#
# exit: the exit code is 1 where a target is missed; one that was not measured is not missed.
# The files hold fields that are separated by tabs: key, value; server, version; server, what failed;
# round, server, measure, value.
BEGIN { FS = OFS = "\t" }

FILENAME == ARGV[1] { machine[++n_machine] = $1; machine_value[n_machine] = $2; next }
FILENAME == ARGV[2] { server[++n_servers] = $1; version[$1] = $2; next }
FILENAME == ARGV[3] { failed[++n_failed] = $1; why[n_failed] = $2; next }
{
    at = $2 SUBSEP $3
    if (!(at in n)) { order[++n_order] = $2 "\t" $3 }
    value[at, ++n[at]] = $4
    round_value[$1, $2, $3] = $4
    if ($1 > n_rounds) n_rounds = $1
}

# Sorts list[1..len].
function sort(list, len,    i, j, v) {
    for (i = 2; i <= len; i++) {
        v = list[i]
        for (j = i - 1; j >= 1 && list[j] > v; j--) list[j + 1] = list[j]
        list[j + 1] = v
    }
}

# Sets median, low and high of list[1..len].
function spread(list, len) {
    sort(list, len)
    low = list[1]
    high = list[len]
    median = len % 2 ? list[(len + 1) / 2] : (list[len / 2] + list[len / 2 + 1]) / 2
}

function collect(s, m, list,    i, at) {
    at = s SUBSEP m
    for (i = 1; i <= n[at]; i++) list[i] = value[at, i] + 0
    return n[at] + 0
}

# "median (low-high)", or "-" where nothing was measured.
function cell(s, m, form,    list, len) {
    len = collect(s, m, list)
    if (len == 0) return "-"
    spread(list, len)
    if (len == 1) return sprintf(form, median)
    return sprintf(form " (" form "-" form ")", median, low, high)
}

# A server's figures beside those of another one, taken in each round: as a ratio, or as a
# difference. Sets median, low and high. How many rounds had both.
function pairs(s, m, to, as_ratio,    list, len, r, other) {
    for (r = 1; r <= n_rounds; r++) {
        if (!((r, s, m) in round_value) || !((r, to, m) in round_value)) continue
        other = round_value[r, to, m] + 0
        if (as_ratio && other <= 0) continue
        list[++len] = as_ratio ? round_value[r, s, m] / other : round_value[r, s, m] - other
    }
    if (len > 0) spread(list, len)
    return len + 0
}

# The last pairs() in words.
function with_spread(len, form) {
    if (len == 0) return "-"
    return len == 1 ? sprintf(form, median) : sprintf(form " (" form "-" form ")", median, low, high)
}

function ratio(s, m, to) { return with_spread(pairs(s, m, to, 1), "%.2f") }

function difference(s, m, to,    len) {
    len = pairs(s, m, to, 0)
    if (len < 2) return with_spread(len, "%+.2f")
    return sprintf("%+.2f (%+.2f to %+.2f)", median, low, high)
}

# Over all rounds and those of the measures that were taken; "-" where none was.
function sum(s, measures,    list, len, i, j, m, n_m, any, total) {
    n_m = split(measures, m, " ")
    for (j = 1; j <= n_m; j++) {
        len = collect(s, m[j], list)
        any += len
        for (i = 1; i <= len; i++) total += list[i]
    }
    return any ? total + 0 : "-"
}

function has(s, m) { return (s SUBSEP m) in n }

function markdown(    i, s) {
    print "## The machine\n"
    for (i = 1; i <= n_machine; i++) print "* " machine[i] ": " machine_value[i]
    print "* rounds: " n_rounds "; figures are medians, with the lowest and the highest of the rounds"
    print "\n## The servers\n"
    for (i = 1; i <= n_servers; i++) print "* " server[i] ": " version[server[i]]
    for (i = 1; i <= n_failed; i++) print "* **" failed[i] ": " why[i] "**"

    print "\n## Cached, UDP\n"
    print "| server | CPU us a query | x floor | queries/s, 100 outstanding | of a core % | lost" \
        " | p50, p99 us at half load | queries/s, 1 outstanding | CPU us |"
    print "|---|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= n_servers; i++) {
        s = server[i]
        if (!has(s, "cached_us")) continue
        print "| " s " | " cell(s, "cached_us", "%.2f") " | " ratio(s, "cached_us", "floor") " | " \
            cell(s, "cached_qps", "%.0f") " | " cell(s, "cached_busy", "%.0f") " | " \
            sum(s, "cached_lost half_lost single_lost") " | " cell(s, "half_p50_us", "%.0f") ", " \
            cell(s, "half_p99_us", "%.0f") " | " cell(s, "single_qps", "%.0f") " | " \
            cell(s, "single_us", "%.2f") " |"
    }

    print "\n## Forwarded, UDP, every name once\n"
    print "| server | CPU us a query | x dnsdist | queries/s | of a core % | lost |"
    print "|---|---|---|---|---|---|"
    for (i = 1; i <= n_servers; i++) {
        s = server[i]
        if (!has(s, "forwarded_us")) continue
        print "| " s " | " cell(s, "forwarded_us", "%.2f") " | " \
            ratio(s, "forwarded_us", "dnsdist") " | " cell(s, "forwarded_qps", "%.0f") " | " \
            cell(s, "forwarded_busy", "%.0f") " | " sum(s, "forwarded_lost") " |"
    }

    print "\n## Cached, TCP, 16 connections, pipelined\n"
    print "| server | CPU us a query | x named | queries/s | of a core % | lost |"
    print "|---|---|---|---|---|---|"
    for (i = 1; i <= n_servers; i++) {
        s = server[i]
        if (!has(s, "tcp_us")) continue
        print "| " s " | " cell(s, "tcp_us", "%.2f") " | " ratio(s, "tcp_us", "named") " | " \
            cell(s, "tcp_qps", "%.0f") " | " cell(s, "tcp_busy", "%.0f") " | " \
            sum(s, "tcp_lost") " |"
    }

    print "\n## Memory, start, reload\n"
    print "| server | bytes an entry | entries | start to first answer, ms | lost in reloads |"
    print "|---|---|---|---|---|"
    for (i = 1; i <= n_servers; i++) {
        s = server[i]
        if (!has(s, "start_ms") && !has(s, "memory_bytes")) continue
        print "| " s " | " cell(s, "memory_bytes", "%.0f") " | " cell(s, "memory_entries", "%.0f") \
            " | " cell(s, "start_ms", "%.1f") " | " sum(s, "reload_lost") " |"
    }
    if (has("dnsd-predict", "cached_us"))
        print "\nCost of prediction on the cached path, CPU us a query with it less that without," \
            " in each round: " difference("dnsd-predict", "cached_us", "dnsd") " at full load (x " \
            ratio("dnsd-predict", "cached_us", "dnsd") "), " \
            difference("dnsd-predict", "half_us", "dnsd") " at half load (x " \
            ratio("dnsd-predict", "half_us", "dnsd") ")."
    if (has("dnsd-predict", "low_us"))
        print "\nBoth at 1,000 queries/s at the same time, CPU us a query: " \
            cell("dnsd", "low_us", "%.2f") " without it, " \
            cell("dnsd-predict", "low_us", "%.2f") " with it, difference in each round " \
            difference("dnsd-predict", "low_us", "dnsd") "."
    judge()
    print "\n## The targets\n\nBy medians; ratios and differences are taken within each round.\n"
    for (i = 1; i <= n_targets; i++) print "* " target[i]
}

# ---- the targets ---------------------------------------------------------------------------------

# Adds one; what it came to is "-" where it was not measured.
function judged(what, holds, came_to) {
    if (came_to == "-") holds = "not measured"
    else if (!holds) n_missed++
    target[++n_targets] = what ": " (came_to == "-" ? holds : \
        (holds ? "holds" : "**missed**") ", " came_to)
}

function judge_ratio(what, m, to, most,    text) {
    text = with_spread(pairs("dnsd", m, to, 1), "%.3f")
    judged(sprintf("%s: at most %.2f x %s", what, most, to), median <= most, text)
}

# Ahead is who takes less in the median of the rounds.
function judge_peers(    i, s, n, behind) {
    for (i = 1; i <= n_servers; i++) {
        s = server[i]
        if (s == "floor" || s == "dnsd" || s == "dnsd-predict" || !pairs("dnsd", "cached_us", s, 1)) continue
        n++
        if (median >= 1) behind = behind " " s
    }
    judged("cached: ahead of every peer", behind == "", !n ? "-" : behind == "" ? "of " n : \
        "behind" behind)
}

# What it adds can be told from nothing only where it is more than rounds without it differ by. But
# where these differ by half of what there is, anything would pass: then nothing was measured.
function judge_low_rate(    list, len, apart, text) {
    len = collect("dnsd", "low_us", list)
    if (len > 0) spread(list, len)
    apart = high - low
    text = len < 3 || apart > median / 2 ? "-" : difference("dnsd-predict", "low_us", "dnsd")
    if (text != "-") text = text sprintf("; rounds without it: %.2f apart", apart)
    judged("prediction at 1,000 queries/s: no more than rounds differ by", median <= apart, text)
}

function judge(    text) {
    n_targets = n_missed = 0
    judge_ratio("cached", "cached_us", "floor", 1.15)
    judge_peers()
    judge_ratio("forwarded", "forwarded_us", "dnsdist", .75)
    judge_ratio("cached, TCP", "tcp_us", "named", .6)
    text = cell("dnsd", "memory_bytes", "%.0f")
    judged("memory of an entry: at most 100 B", median <= 100, text)
    text = difference("dnsd-predict", "cached_us", "dnsd")
    judged("prediction, cached at full load: at most 0.30 us a query", median <= .3, text)
    judge_low_rate()
    text = cell("dnsd", "start_ms", "%.1f")
    judged("start to first answer: under 20 ms", median < 20, text)
    text = sum("dnsd", "reload_lost")
    judged("SIGHUP under load: nothing is lost", text == 0, text)
    return n_missed
}

# ---- JSON ----------------------------------------------------------------------------------------

function quoted(s) {
    gsub(/\\/, "\\\\", s)
    gsub(/"/, "\\\"", s)
    return "\"" s "\""
}

function json(    i, j, parts, at, list, len) {
    print "{\n  \"machine\": {"
    for (i = 1; i <= n_machine; i++)
        print "    " quoted(machine[i]) ": " quoted(machine_value[i]) (i < n_machine ? "," : "")
    print "  },\n  \"versions\": {"
    for (i = 1; i <= n_servers; i++)
        print "    " quoted(server[i]) ": " quoted(version[server[i]]) (i < n_servers ? "," : "")
    print "  },\n  \"failed\": {"
    for (i = 1; i <= n_failed; i++)
        print "    " quoted(failed[i]) ": " quoted(why[i]) (i < n_failed ? "," : "")
    print "  },\n  \"results\": ["
    for (i = 1; i <= n_order; i++) {
        split(order[i], parts, "\t")
        at = parts[1] SUBSEP parts[2]
        len = collect(parts[1], parts[2], list)
        printf "    {\"server\": %s, \"measure\": %s, \"rounds\": [", quoted(parts[1]), \
            quoted(parts[2])
        for (j = 1; j <= len; j++) printf "%s%s", value[at, j], j < len ? ", " : ""
        spread(list, len)
        printf "], \"median\": %s, \"low\": %s, \"high\": %s}%s\n", median, low, high, \
            i < n_order ? "," : ""
    }
    judge()
    print "  ],\n  \"targets\": ["
    for (i = 1; i <= n_targets; i++)
        print "    " quoted(target[i]) (i < n_targets ? "," : "")
    print "  ],\n  \"missed\": " n_missed + 0 "\n}"
}

END {
    if (form == "json") json()
    else if (form == "exit") exit judge() > 0
    else markdown()
}
