# shellcheck shell=bash disable=SC2034 # variables are results, for those who source this
# bench/lib.sh: starting, stopping and accounting of processes, and one run of dnsperf.
# Knows processes, processors and files of questions; never which server is better.

# Every process that is started here, and nothing else, is ended at the end.
STARTED=()
cleanup() {
    local pid
    for pid in "${STARTED[@]}"; do stop "$pid"; done
    rm -rf "$WORK"
}

say() { printf '%s\n' "$*" >&2; }

# Memory, where there is enough of it: kresd's cache is a file, and waits for a disk.
work_place() {
    local free
    free=$(df -kP /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
    if [ "${free:-0}" -gt 4194304 ] && [ -w /dev/shm ]; then echo /dev/shm; else echo /tmp; fi
}

setup() {
    export LC_ALL=C
    BUILD=$(cd "${BUILD:-build}" && pwd) || exit 2
    WORK=$(mktemp -d "${TMPDIR:-$(work_place)}/dnsd-bench-XXXXXX") || exit 2
    chmod 755 "$WORK" # dnsd gives up root
    trap cleanup EXIT
    trap 'exit 130' INT TERM HUP
    RESULTS=$WORK/results
    : >"$RESULTS"
    TICKS=$(getconf CLK_TCK)
    ulimit -n "$(ulimit -Hn)" 2>/dev/null
    choose_processors
}

# One for the server, one for the server upstream, the others for the load.
choose_processors() {
    local n
    n=$(nproc)
    SERVER_CPU=0 UP_CPU=1 LOAD_CPUS=2-$((n - 1)) LOAD_THREADS=$((n - 2))
    if [ "$n" -lt 3 ]; then
        UP_CPU=$((n - 1)) LOAD_CPUS=$((n - 1)) LOAD_THREADS=1
        say "bench: $n processors: server and load share them; look at CPU a query only"
    fi
    [ "$LOAD_THREADS" -le 4 ] || LOAD_THREADS=4
}

# A port that nobody has, for UDP and TCP.
PORTS_GIVEN=" "
free_port() { # free_port: sets PORT
    local hex
    while :; do
        PORT=$((20000 + RANDOM % 12000))
        hex=$(printf ':%04X ' "$PORT")
        case $PORTS_GIVEN in *" $PORT "*) continue ;; esac
        grep -qs "$hex" /proc/net/udp /proc/net/tcp /proc/net/udp6 /proc/net/tcp6 || break
    done
    PORTS_GIVEN+="$PORT "
}

# start CPU LOG COMMAND...: sets PID.
start() {
    local cpu=$1 log=$2
    shift 2
    taskset -c "$cpu" "$@" </dev/null >"$log" 2>&1 &
    PID=$!
    STARTED+=("$PID")
}

stop() { # stop PID
    local i
    kill "$1" 2>/dev/null || return 0
    for ((i = 0; i < 50; i++)); do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$1" 2>/dev/null
    wait "$1" 2>/dev/null
    local pid left=()
    for pid in "${STARTED[@]}"; do [ "$pid" = "$1" ] || left+=("$pid"); done
    STARTED=("${left[@]}")
}

# answers PORT NAME PID: waits until the server answers; 1 if it does not.
answers() {
    local i
    for ((i = 0; i < 100; i++)); do
        kill -0 "$3" 2>/dev/null || return 1
        dig +noedns +tries=1 +time=1 +short "@127.0.0.1" -p "$1" "$2" A 2>/dev/null |
            grep -q '^192\.0\.2\.' && return 0
        sleep 0.1
    done
    return 1
}

# Time on processors, in clock ticks: of all threads, of children that ended and of those that live
# (dnsmasq forks for each TCP connection). The command's name in the file may hold blanks.
cpu_ticks() {
    local pid
    for pid in "$1" $(pgrep -P "$1"); do cat "/proc/$pid/stat"; done 2>/dev/null |
        sed 's/.*) //' | awk '{ sum += $12 + $13 + $14 + $15 } END { print sum + 0 }'
}

# Time on processors of the threads of a process, in nanoseconds: a tick is as long as a hundred
# questions and more take.
cpu_ns() {
    cat "/proc/$1"/task/*/schedstat 2>/dev/null | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# Memory in use, with that of the children (dnsd's reader, dnsmasq's for TCP). What they share counts
# in each of them.
rss_bytes() {
    local pid
    for pid in "$1" $(pgrep -P "$1"); do cat "/proc/$pid/status"; done 2>/dev/null |
        awk '/^VmRSS:/ { sum += $2 } END { print sum * 1024 }'
}

# names N [FROM]: questions for n0000000 on, in an order in which neighbours are far apart: 7368787
# is a prime, and so reaches every one.
names() {
    awk -v n="$1" -v from="${2:-0}" 'BEGIN {
        for (i = 0; i < n; i++)
            printf "n%07d.bench.example A\n", from + (i * 7368787) % n
    }'
}

# perf LIMIT_S PID ARGUMENT...: one run of dnsperf. Sets QPS, LOST, DONE, US (processor time of PID
# a query, in microseconds) and BUSY (share of a processor, in percent). Output in $WORK/perf.
perf() {
    local limit=$1 pid=$2 before after t0 t1
    shift 2
    before=$(cpu_ticks "$pid")
    t0=$EPOCHREALTIME
    taskset -c "$LOAD_CPUS" timeout -k 2 "$limit" dnsperf -s 127.0.0.1 "$@" \
        >"$WORK/perf" 2>"$WORK/perf.err" </dev/null
    t1=$EPOCHREALTIME
    after=$(cpu_ticks "$pid")
    read -r QPS LOST DONE US BUSY <<<"$(awk -v ticks="$((${after:-0} - ${before:-0}))" \
        -v hz="$TICKS" -v t0="$t0" -v t1="$t1" '
        /Queries completed:/ { n = $3 }
        /Queries lost:/ { lost = $3 }
        /Queries per second:/ { qps = $4 }
        END {
            cpu = ticks / hz
            printf "%.0f %d %d %.3f %.0f\n", qps, lost, n, (n ? cpu * 1e6 / n : 0),
                100 * cpu / (t1 - t0)
        }' "$WORK/perf")"
    [ "${DONE:-0}" -gt 0 ]
}

# After a run with -v: sets P50 and P99 in microseconds.
percentiles() {
    read -r P50 P99 <<<"$(awk '$1 == ">" && $NF + 0 > 0 {
            us = int($NF * 1e6 + .5); seen[us]++; n++; if (us > top) top = us
        }
        END {
            for (us = 0; us <= top; us++) {
                sum += seen[us]
                if (!p50 && sum >= n * .5) p50 = us
                if (!p99 && sum >= n * .99) p99 = us
            }
            print p50 + 0, p99 + 0
        }' "$WORK/perf")"
}

# record ROUND SERVER MEASURE VALUE
record() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$RESULTS"; }

# What the reader needs to know of the machine: KEY <tab> VALUE.
describe_machine() {
    printf 'date\t%s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    printf 'processor\t%s, %s of them\n' \
        "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)"
    printf 'kernel\t%s\n' "$(uname -sr)"
    printf 'memory\t%s kB\n' "$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)"
    printf 'dnsperf\t%s\n' "$(dnsperf -h 2>&1 | sed -n 's/.*Version //p' | tail -n 1)"
    printf 'tree\t%s\n' "$(git describe --always --dirty 2>/dev/null || echo unknown)"
    printf 'load before\t%s\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
}
