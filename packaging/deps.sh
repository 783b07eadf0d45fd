#!/bin/sh
# packaging/deps.sh: the Debian packages that the parts of this tree need, in one place.
#
#   packaging/deps.sh run|check|unit|valgrind|coverage|fuzz|lint|deb|cost|bench|predict|rule...
#
# Installs what is missing, and says so before it does it. Not a Debian: says what is needed.
set -eu

packages_for() {
    case $1 in
    # To build dnsd and its tools, and to ask dnsd something.
    run) echo gcc libc6-dev make libev-dev uthash-dev libsodium-dev libjansson-dev \
        libpcap-dev libknot-dev libsystemd-dev libseccomp-dev libcap-ng-dev bind9-dnsutils ;;
    # Check; a server to forward to; other people's clients; tests/manual reads the manual.
    check)
        echo check nsd knot-dnsutils ldnsutils dnsperf binutils mandoc
        [ "${CI:-}" != true ] || packages_for unit
        ;;
    # systemd-analyze judges the service's unit. Part of check in CI only: where another init is at
    # work, this may take its parts away.
    unit) echo systemd ;;
    valgrind) echo valgrind ;;
    coverage) echo gcovr ;;
    # libFuzzer; llvm names the lines of a crash.
    fuzz) echo clang libclang-rt-dev llvm check ;;
    lint) echo clang clang-format cppcheck mandoc shellcheck ;;
    deb) echo debhelper dpkg-dev lintian ;;
    # callgrind counts instructions.
    cost) echo check valgrind ;;
    # A server to forward to, what asks, and the peers to be measured against.
    bench) echo nsd dnsperf procps util-linux unbound dnsmasq-base bind9 knot-resolver \
        pdns-recursor dnsdist smartdns ;;
    # Peers that only cache.
    predict) echo procps util-linux unbound dnsmasq-base ;;
    rule) echo python3 ;;
    *) return 1 ;;
    esac
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The services that come with a package.
units_of() {
    case $1 in
    nsd | unbound | pdns-recursor | dnsdist | smartdns) echo "$1.service" ;;
    bind9) echo named.service ;;
    knot-resolver) echo kresd@.service ;;
    esac
}

# Debian starts a server as soon as it is installed. The tests and the bench want the programs, not
# servers on port 53 of this machine.
keep_from_starting() {
    for unit in $(units_of "$1"); do
        if [ -e "/etc/systemd/system/$unit" ] || [ -L "/etc/systemd/system/$unit" ]; then
            continue
        fi
        echo "deps: masking $unit, so that installing $1 starts no server here;" \
            "'systemctl unmask $unit' undoes it"
        $sudo mkdir -p /etc/systemd/system
        $sudo ln -s /dev/null "/etc/systemd/system/$unit"
    done
}

if [ $# -eq 0 ]; then
    echo "usage: packaging/deps.sh run|check|unit|valgrind|coverage|fuzz|lint|deb|cost|bench..." >&2
    exit 2
fi

missing=
for what in run "$@"; do
    for package in $(packages_for "$what" || { echo "deps: what is '$what'?" >&2 && echo -; }); do
        [ "$package" != - ] || exit 2
        case " $missing " in *" $package "*) continue ;; esac
        command -v dpkg-query >/dev/null && is_installed "$package" && continue
        missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "deps: this is not a Debian; if the build fails, install what these packages hold:$missing"
    exit 0
fi

sudo=
if [ "$(id -u)" -ne 0 ]; then
    sudo=sudo
    if ! command -v sudo >/dev/null; then
        echo "deps: needed, but there is no sudo to install it with. As root:" >&2
        echo "    apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
fi

echo "deps: missing:$missing"
echo "deps: running: ${sudo:+sudo }apt-get update, and" \
    "${sudo:+sudo }apt-get install --no-install-recommends$missing"
for package in $missing; do
    keep_from_starting "$package"
done
# Without the network the packages may still be at hand.
$sudo apt-get -qq update || echo "deps: apt-get update failed; trying with the lists of before"
# shellcheck disable=SC2086 # a list of words
$sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends $missing </dev/null
