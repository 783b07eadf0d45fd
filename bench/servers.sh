# shellcheck shell=bash disable=SC2034,SC2154 # as lib.sh; locals of server_command
# bench/servers.sh: how each server is started: a minimal configuration that is fair to all of them.
# Knows the servers; never what is measured. Sourced by the scripts beside it.
#
# All the same: one worker thread, 127.0.0.1 with UDP and TCP, everything forwarded to one server,
# no validation, no log, TTLs as they come, and a cache that is large enough: "big" for a million
# answers, "fit" for the names of the bench and as many again where entries are counted (dnsmasq
# forks for each TCP connection, with all of it), "small" next to none, to see what a server needs
# for itself.

ALL_PEERS="unbound dnsmasq named kresd pdns dnsdist smartdns"

# The program of a server, to see whether it is there.
server_program() {
    case $1 in
    dnsd | dnsd-predict) echo "$BUILD/dnsd" ;;
    floor) echo "$BUILD/bench/floor" ;;
    pdns) echo pdns_recursor ;;
    *) echo "$1" ;;
    esac
}

server_version() {
    case $1 in
    dnsd | dnsd-predict) "$BUILD/dnsd" -version ;;
    floor) echo "recvmmsg, sendmmsg" ;;
    unbound) unbound -V ;;
    dnsmasq) dnsmasq -v ;;
    named) named -v ;;
    kresd) kresd -V ;;
    pdns) pdns_recursor --version 2>&1 | sed -n 's/.*PowerDNS Recursor /PowerDNS Recursor /p' ;;
    dnsdist) dnsdist --version ;;
    smartdns) smartdns -v ;;
    esac 2>&1 | head -n 1 | cut -c1-60
}

# server_command NAME PORT UPSTREAM_PORT DIR big|fit|small: writes what it needs into DIR and sets the
# array COMMAND. None of the commands leaves the foreground.
server_command() {
    local name=$1 port=$2 up=$3 dir=$4 size=$5
    mkdir -p "$dir"
    chmod 755 "$dir"
    local entries=1200000
    [ "$size" != fit ] || entries=$((2 * ${NAMES:-100000}))
    [ "$size" != small ] || entries=10
    case $name in
    dnsd | dnsd-predict) command_dnsd ;;
    floor) COMMAND=("$BUILD/bench/floor" "$port") ;;
    *) "command_$name" ;;
    esac
}

command_dnsd() {
    local bytes=192M
    [ "$size" != small ] || bytes=256K
    COMMAND=("$BUILD/dnsd" -listen "127.0.0.1:$port" -forward "127.0.0.1:$up"
        -cache-size "${DNSD_CACHE:-$bytes}")
    [ "$name" != dnsd-predict ] || COMMAND+=(-predict ${DNSD_WINDOW:+-predict-window "$DNSD_WINDOW"})
}

command_unbound() {
    local msg=512m rrset=1g
    [ "$size" != small ] || msg=64k rrset=64k
    cat >"$dir/conf" <<EOT
server:
    interface: 127.0.0.1
    port: $port
    num-threads: 1
    do-daemonize: no
    chroot: ""
    username: ""
    directory: "$dir"
    pidfile: ""
    use-syslog: no
    logfile: "$dir/log"
    verbosity: 0
    do-ip6: no
    do-not-query-localhost: no
    module-config: "iterator"
    msg-cache-size: $msg
    rrset-cache-size: $rrset
    msg-cache-slabs: 1
    rrset-cache-slabs: 1
    num-queries-per-thread: 4096
    outgoing-range: 8192
    so-rcvbuf: 4m
    incoming-num-tcp: 200
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@$up
EOT
    COMMAND=(unbound -d -c "$dir/conf")
}

command_dnsmasq() {
    cat >"$dir/conf" <<EOT
port=$port
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
no-poll
server=127.0.0.1#$up
cache-size=$entries
dns-forward-max=10000
user=root
pid-file
log-facility=$dir/log
EOT
    COMMAND=(dnsmasq -k -C "$dir/conf")
}

command_named() {
    local bytes=2g
    [ "$size" != small ] || bytes=2m
    cat >"$dir/conf" <<EOT
options {
    directory "$dir";
    listen-on port $port { 127.0.0.1; };
    listen-on-v6 { none; };
    recursion yes;
    allow-query { 127.0.0.0/8; };
    forwarders { 127.0.0.1 port $up; };
    forward only;
    dnssec-validation no;
    empty-zones-enable no;
    minimal-responses yes;
    max-cache-size $bytes;
    recursive-clients 10000;
    tcp-clients 1000;
    pid-file none;
    session-keyfile "$dir/session.key";
    querylog no;
};
controls { };
logging { category default { null; }; };
EOT
    COMMAND=(named -f -n 1 -c "$dir/conf")
}

command_kresd() {
    local megabytes=2048
    [ "$size" != small ] || megabytes=2
    cat >"$dir/conf" <<EOT
log_level('crit')
net.ipv6 = false
net.listen('127.0.0.1', $port, { kind = 'dns' })
trust_anchors.remove('.')
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('priming')
modules.unload('detect_time_skew')
modules.unload('detect_time_jump')
cache.open($megabytes * MB, 'lmdb://$dir')
policy.add(policy.all(policy.STUB('127.0.0.1@$up')))
EOT
    COMMAND=(kresd -n -c "$dir/conf" "$dir")
}

command_pdns() {
    cat >"$dir/recursor.conf" <<EOT
local-address=127.0.0.1
local-port=$port
daemon=no
socket-dir=$dir
forward-zones-recurse=.=127.0.0.1:$up
dont-query=
dnssec=off
threads=1
pdns-distributes-queries=no
max-cache-entries=$entries
max-packetcache-entries=$entries
packetcache-ttl=86400
max-mthreads=4096
max-tcp-clients=1000
quiet=yes
loglevel=1
disable-syslog=yes
security-poll-suffix=
EOT
    COMMAND=(pdns_recursor "--config-dir=$dir")
}

command_dnsdist() {
    cat >"$dir/conf" <<EOT
setLocal('127.0.0.1:$port')
setSecurityPollSuffix('')
setMaxUDPOutstanding(65535)
setMaxTCPClientThreads(1)
newServer({ address = '127.0.0.1:$up' }):setUp()
getPool(''):setCache(newPacketCache($entries, { maxTTL = 86400, numberOfShards = 1 }))
EOT
    COMMAND=(dnsdist --supervised --disable-syslog -C "$dir/conf")
}

command_smartdns() {
    cat >"$dir/conf" <<EOT
bind 127.0.0.1:$port
bind-tcp 127.0.0.1:$port
server 127.0.0.1:$up
cache-size $entries
cache-persist no
prefetch-domain no
serve-expired no
speed-check-mode none
dualstack-ip-selection no
log-level error
log-file $dir/log
log-size 64k
audit-enable no
EOT
    COMMAND=(smartdns -f -p - -c "$dir/conf")
}

# The zone of the bench and nsd for it: upstream_command PORT DIR N
upstream_command() {
    local port=$1 dir=$2 n=$3
    mkdir -p "$dir"
    awk -v n="$n" 'BEGIN {
        print "$ORIGIN bench.example.\n$TTL 86400"
        print "@ SOA ns h 1 86400 3600 864000 3600\n@ NS ns\nns A 192.0.2.1"
        for (i = 0; i < n; i++)
            printf "n%07d A 192.0.2.%d\n", i, i % 250 + 1
    }' >"$dir/zone"
    cat >"$dir/conf" <<EOT
server:
    ip-address: 127.0.0.1
    port: $port
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "$dir"
    database: ""
    pidfile: "$dir/pid"
    logfile: "$dir/log"
    zonelistfile: "$dir/zone.list"
    xfrdfile: ""
    xfrdir: "$dir"
    rrl-ratelimit: 0
    verbosity: 0
remote-control:
    control-enable: no
zone:
    name: "bench.example."
    zonefile: "zone"
EOT
    COMMAND=(nsd -d -c "$dir/conf")
}
