# predict.awk: visits of trees to medians over trees, as Markdown, JSON, a chart or a verdict.
# Knows figures and how they are shown; never how they were measured.
#
#   awk -f predict.awk -v form=markdown|json|svg|verdict MACHINE TREES VISITS
#
# The files hold fields that are separated by tabs: key, value; tree, longest pause in ms, whether
# its chains are known; mode, delay, server, visit, tree, DNS ms, all ms, failures. Times of the
# tree "one" are round trips. With verdict, the exit code is 1 where the target is missed.
BEGIN {
    FS = OFS = "\t"
    target = 1.15
    level = .9 # of the upstream's own time: who takes as much pays a round trip a level
    title["small"] = "TTL 0, the small trees of this project"
    title["zero"] = "TTL 0, page loads, each with names of its own"
    title["shared"] = "TTL 0, page loads, names that several pages share"
    title["soon"] = "Page loads, a twentieth of the real TTLs: as if visits were a quarter of an hour apart"
    title["real"] = "Page loads, real TTLs: where they outlast the gap, every cache has the answer"
}

FILENAME == ARGV[1] { machine[++n_machine] = $1; machine_value[$1] = $2; next }
FILENAME == ARGV[2] { tree[++n_trees] = $1; pause_ms[$1] = $2; is_known[$1] = $3; next }
{
    n_failures += $8
    if ($5 == "one") { one[$1, $2, ++n_one[$1, $2]] = $6 + 0; next }
    figure[++n_figures] = $0
    dns[$1, $2, $3, $4, $5] = $6
    note(seen_mode, $1, mode); note(seen_delay, $2, delay); note(seen_server, $3, server)
    if ($4 > n_visits) n_visits = $4
}

# The n-th new value of a field is list[n]; list[0] is how many there are.
function note(seen, value, list) {
    if (value in seen) return
    seen[value] = 1
    list[++list[0]] = value
}

function sort(list, len,    i, j, v) {
    for (i = 2; i <= len; i++) {
        v = list[i]
        for (j = i - 1; j >= 1 && list[j] > v; j--) list[j + 1] = list[j]
        list[j + 1] = v
    }
}

# Sets median, low and high of list[1..len], which is sorted. 0 where there is nothing.
function spread(list, len) {
    if (len == 0) return 0
    sort(list, len)
    low = list[1]
    high = list[len]
    median = len % 2 ? list[(len + 1) / 2] : (list[len / 2] + list[len / 2 + 1]) / 2
    return len
}

# One question at the upstream itself, in ms.
function round_trip(m, d,    i, list) {
    for (i = 1; i <= n_one[m, d]; i++) list[i] = one[m, d, i]
    return spread(list, n_one[m, d]) ? median : 0
}

# Over trees, in round trips: of a visit, or of all from the third on with visit 0.
function over_trees(m, d, s, visit,    i, v, from, to, list, len, rt, at) {
    from = visit ? visit : 3
    to = visit ? visit : n_visits
    rt = round_trip(m, d)
    for (v = from; v <= to; v++)
        for (i = 1; i <= n_trees; i++) {
            at = m SUBSEP d SUBSEP s SUBSEP v SUBSEP tree[i]
            if (rt > 0 && (at in dns))
                list[++len] = dns[at] / rt
        }
    return spread(list, len + 0)
}

function cell(m, d, s, visit) {
    if (!over_trees(m, d, s, visit)) return "-"
    return sprintf("%.2f (%.2f-%.2f)", median, low, high)
}

# A tree's median over its visits from the third on, in ms; 0 where there is none.
function settled(m, d, s, t,    v, list, len) {
    for (v = 3; v <= n_visits; v++)
        if ((m, d, s, v, t) in dns) list[++len] = dns[m, d, s, v, t]
    return spread(list, len + 0) ? median : 0
}

# ---- the target ----------------------------------------------------------------------------------

# dnsd in a mode with TTL 0: sets n_chains, n_met, n_visited, n_visits_met, worst and worst_at.
function judge_dnsd(m,    j, i, v, rt, ms, at) {
    n_chains = n_met = n_visited = n_visits_met = worst = 0
    for (j = 1; j <= delay[0]; j++) {
        rt = round_trip(m, delay[j])
        for (i = 1; i <= n_trees; i++) {
            ms = settled(m, delay[j], "dnsd", tree[i])
            if (!is_known[tree[i]] || ms == 0 || rt == 0) continue
            n_chains++
            n_met += ms <= target * rt
            if (ms / rt > worst) { worst = ms / rt; worst_at = tree[i] " at " delay[j] " ms" }
            for (v = 3; v <= n_visits; v++) {
                at = m SUBSEP delay[j] SUBSEP "dnsd" SUBSEP v SUBSEP tree[i]
                if (!(at in dns)) continue
                n_visited++
                n_visits_met += dns[at] <= target * rt
            }
        }
    }
    return n_chains > 0 && n_met == n_chains
}

# What a peer waits on the same chains, as a share of what the upstream's own clients wait, which is
# one round trip a level: sets median, low and high over trees and delays.
function judge_peer(m, s,    j, i, up, list, len) {
    for (j = 1; j <= delay[0]; j++)
        for (i = 1; i <= n_trees; i++) {
            up = settled(m, delay[j], "upstream", tree[i])
            if (is_known[tree[i]] && up > 0) list[++len] = settled(m, delay[j], s, tree[i]) / up
        }
    return spread(list, len + 0) && median >= level
}

# Adds to verdict what a mode says.
function judge_mode(m,    k, holds) {
    holds = judge_dnsd(m)
    verdict = verdict sprintf("\n* %s: of %d known chains, %d wait at most %.2f round trips in the" \
        " median of their visits from the third on (%d of %d single visits); the longest %.2f (%s).", \
        title[m], n_chains, n_met, target, n_visits_met, n_visited, worst, worst_at)
    for (k = 1; k <= server[0]; k++) {
        if (server[k] == "dnsd" || server[k] == "upstream") continue
        if (!judge_peer(m, server[k])) holds = 0
        verdict = verdict sprintf(" %s: %.2f (%.2f-%.2f) of one round trip a level.", server[k], \
            median, low, high)
    }
    return holds
}

function judge(    i, m, n, held) {
    verdict = ""
    for (i = 1; i <= mode[0] && n_visits >= 3; i++) {
        m = mode[i]
        if (m != "small" && m != "zero") continue
        n++
        held += judge_mode(m)
    }
    if (n == 0) verdict = "\n* not measured: it takes TTL 0 and three visits"
    return n > 0 && held == n
}

# ---- Markdown ------------------------------------------------------------------------------------

function table(m,    j, k, v, line) {
    line = "| delay | server |"
    for (v = 1; v <= n_visits; v++) line = line " visit " v " |"
    print line " 3 and later | in ms |"
    gsub(/[^|]+/, "---", line)
    print line "---|---|"
    for (j = 1; j <= delay[0]; j++)
        for (k = 1; k <= server[0]; k++) {
            line = "| " delay[j] " ms | " server[k] " |"
            for (v = 1; v <= n_visits; v++)
                line = line " " cell(m, delay[j], server[k], v) " |"
            line = line " " cell(m, delay[j], server[k], 0) " |"
            print line sprintf(" %.1f |", over_trees(m, delay[j], server[k], 0) ? \
                median * round_trip(m, delay[j]) : 0)
        }
}

function markdown(    i, j, line, holds) {
    print "## Waiting for DNS on the critical path, in round trips\n"
    print "Median over trees, with the lowest and the highest. Questions that failed: " \
        n_failures + 0 ".\n"
    for (i = 1; i <= mode[0]; i++) {
        print "### " title[mode[i]] "\n"
        table(mode[i])
        line = "\nA round trip, measured with one name at the upstream itself:"
        for (j = 1; j <= delay[0]; j++)
            line = line sprintf(" %.2f", round_trip(mode[i], delay[j])) (j < delay[0] ? "," : " ms.")
        print line "\n"
    }
    holds = judge()
    print "## The target\n"
    print "Visit 3 and later, chains whose names are all known: dnsd at most " target " round trips,"
    print "every peer one for each level. " (holds ? "It holds." : "**It does not hold.**")
    print verdict "\n\n## The machine\n"
    for (i = 1; i <= n_machine; i++) print "* " machine[i] ": " machine_value[machine[i]]
}

# ---- JSON ----------------------------------------------------------------------------------------

function quoted(s) {
    gsub(/\\/, "\\\\", s)
    gsub(/"/, "\\\"", s)
    gsub(/\n/, " ", s)
    return "\"" s "\""
}

function json_sums(    i, j, k, v, line) {
    for (i = 1; i <= mode[0]; i++)
        for (j = 1; j <= delay[0]; j++)
            for (k = 1; k <= server[0]; k++)
                for (v = 1; v <= n_visits; v++) {
                    if (!over_trees(mode[i], delay[j], server[k], v)) continue
                    if (line != "") print line ","
                    line = sprintf("    {\"mode\": %s, \"delay_ms\": %d, \"server\": %s, " \
                        "\"visit\": %d, \"round_trips\": {\"min\": %.3f, \"median\": %.3f, " \
                        "\"max\": %.3f}}", quoted(mode[i]), delay[j], quoted(server[k]), v, low, \
                        median, high)
                }
    print line
}

function json(    i, j, f, holds, line) {
    holds = judge()
    print "{\n  \"machine\": {"
    for (i = 1; i <= n_machine; i++)
        print "    " quoted(machine[i]) ": " quoted(machine_value[machine[i]]) \
            (i < n_machine ? "," : "")
    print "  },\n  \"target\": {\"holds\": " (holds ? "true" : "false") ", \"text\": " \
        quoted(verdict) "},\n  \"trees\": ["
    for (i = 1; i <= n_trees; i++)
        print "    {\"tree\": " quoted(tree[i]) ", \"longest_pause_ms\": " pause_ms[tree[i]] \
            ", \"known\": " (is_known[tree[i]] ? "true" : "false") "}" (i < n_trees ? "," : "")
    print "  ],\n  \"round_trip_ms\": ["
    for (i = 1; i <= mode[0]; i++)
        for (j = 1; j <= delay[0]; j++) {
            if (line != "") print line ","
            line = sprintf("    {\"mode\": %s, \"delay_ms\": %d, \"median\": %.3f}", \
                quoted(mode[i]), delay[j], round_trip(mode[i], delay[j]))
        }
    print line "\n  ],\n  \"visits\": ["
    json_sums()
    print "  ],\n  \"figures\": ["
    for (i = 1; i <= n_figures; i++) {
        split(figure[i], f, "\t")
        printf "    {\"mode\": %s, \"delay_ms\": %d, \"server\": %s, \"visit\": %d, \"tree\": %s, " \
            "\"dns_ms\": %s, \"wall_ms\": %s, \"failures\": %d}%s\n", quoted(f[1]), f[2], \
            quoted(f[3]), f[4], quoted(f[5]), f[6], f[7], f[8], i < n_figures ? "," : ""
    }
    print "  ]\n}"
}

# ---- the chart -----------------------------------------------------------------------------------

function text(x, y, class, s) {
    gsub(/&/, "\\&amp;", s)
    gsub(/</, "\\&lt;", s)
    printf "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", class, x, y, s
}

function rule(class, x1, y1, x2, y2) {
    printf "<path class=\"%s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", class, x1, y1, x2, y2
}

# The n-th server's colour: dnsd first, the upstream last and grey.
function class_of(k) { return server[k] == "upstream" ? "up" : "s" k }

# Sets top, the highest value of a mode: what the axis of its row has to reach.
function find_top(m,    j, k, v) {
    top = 1
    for (j = 1; j <= delay[0]; j++)
        for (k = 1; k <= server[0]; k++)
            for (v = 1; v <= n_visits; v++)
                if (over_trees(m, delay[j], server[k], v) && high > top) top = high
    top = int(top + .95)
}

function y_of(value) { return base - value / top * height }

# The whisker reaches from the lowest to the highest tree; the dot is the median.
function mark(m, d, k, v, x) {
    if (!over_trees(m, d, server[k], v)) return
    rule("w " class_of(k), x, y_of(low), x, y_of(high) - .01)
    printf "<circle class=\"d %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n", class_of(k), x, y_of(median)
}

function panel(m, d, left, is_last_row,    i, k, v, x, step) {
    step = width / n_visits
    for (i = 0; i <= top; i += top > 6 ? 2 : 1) {
        rule(i ? "g" : "a", left, y_of(i), left + width, y_of(i))
        text(left - 6, y_of(i) + 4, "n e", i)
    }
    rule("t", left, y_of(target), left + width, y_of(target))
    for (v = 1; v <= n_visits; v++) {
        text(left + (v - .5) * step, base + 16, "n m", v)
        for (k = 1; k <= server[0]; k++) {
            x = left + (v - .5) * step + (k - (server[0] + 1) / 2) * step / (server[0] + 1)
            mark(m, d, k, v, x)
        }
    }
    if (is_last_row) text(left + width / 2, base + 36, "n m", "visit")
}

# Starts at y; a line holds so many servers, and the last one the target.
function legend(y, a_line,    k, x) {
    for (k = 0; k < server[0]; k++) {
        x = 24 + k % a_line * 150
        if (k > 0 && k % a_line == 0) y += 20
        rule("w " class_of(k + 1), x, y - 11, x, y + 3)
        printf "<circle class=\"d %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n", class_of(k + 1), x, \
            y - 4
        text(x + 10, y, "n", server[k + 1] == "upstream" ? "the upstream itself" : server[k + 1])
    }
    rule("t", 20, y + 16, 42, y + 16)
    text(48, y + 20, "n", sprintf("%.2f round trips: the target from visit 3 on", target))
}

function style(    s) {
    s = "text{fill:#222;font:13px sans-serif}.h{font-size:17px;font-weight:bold}" \
        ".r{font-weight:bold}.n,.q{fill:#555;font-size:12px}.e{text-anchor:end}.m{text-anchor:middle}" \
        ".g{stroke:#e3e3e3}.a{stroke:#888}.t{stroke:#c2255c;stroke-width:1.4;stroke-dasharray:5 3}" \
        ".w{stroke-width:5;stroke-opacity:.4;stroke-linecap:round}.bg{fill:#fff}" \
        ".s1{stroke:#d9480f;fill:#d9480f}.s2{stroke:#1c6fb8;fill:#1c6fb8}" \
        ".s3{stroke:#2b8a3e;fill:#2b8a3e}.s4{stroke:#7b3fb5;fill:#7b3fb5}" \
        ".s5{stroke:#0b7a75;fill:#0b7a75}.s6{stroke:#946200;fill:#946200}" \
        ".s7{stroke:#a03070;fill:#a03070}.s8{stroke:#405080;fill:#405080}" \
        ".up{stroke:#777;fill:#777}.d{stroke:none}"
    s = s "@media(prefers-color-scheme:dark){.bg{fill:#15181c}text{fill:#e8e8e8}.n,.q{fill:#b4b4b4}" \
        ".g{stroke:#30353c}.a{stroke:#8a8a8a}.t{stroke:#f783ac}.s1{stroke:#ff8a4c;fill:#ff8a4c}" \
        ".s2{stroke:#63b3f5;fill:#63b3f5}.s3{stroke:#69c27c;fill:#69c27c}" \
        ".s4{stroke:#c49bf0;fill:#c49bf0}.up{stroke:#a8a8a8;fill:#a8a8a8}.d{stroke:none}}"
    print "<style>" s "</style>"
}

# A row for each mode, a column for each delay. Lines of text leave room for wide letters.
function svg(    i, j, total, m, across, a_line, head) {
    width = 250; height = 130
    across = 20 + 310 * delay[0]
    if (across < 720) across = 720
    a_line = int((across - 24) / 150)
    head = 110 + 20 * int((server[0] + a_line - 1) / a_line)
    total = head + mode[0] * 206 + 60
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" " \
        "viewBox=\"0 0 %d %d\">\n", across, total, across, total
    print "<title>Waiting for DNS on the critical path of page loads, in round trips</title>"
    style()
    print "<rect class=\"bg\" width=\"100%\" height=\"100%\"/>"
    text(20, 28, "h", "How many round trips a page waits for DNS")
    text(20, 48, "n", "On the chain of names up to the page's last answer.")
    text(20, 64, "n", "Dot: median over trees; bar: lowest to highest.")
    legend(90, a_line)
    for (i = 1; i <= mode[0]; i++) {
        m = mode[i]
        base = head + (i - 1) * 206 + 42 + height
        text(20, base - height - 26, "r", title[m])
        find_top(m)
        for (j = 1; j <= delay[0]; j++) {
            text(44 + (j - 1) * 310, base - height - 9, "n", "upstream " delay[j] " ms away")
            panel(m, delay[j], 44 + (j - 1) * 310, i == mode[0])
        }
    }
    text(20, total - 12, "n", machine_value["date"] ", " machine_value["processor"] ", load " \
        machine_value["load during"])
    print "</svg>"
}

END {
    if (form == "json") json()
    else if (form == "svg") svg()
    else if (form == "markdown") markdown()
    else exit !judge()
}
