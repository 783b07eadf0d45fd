#!/bin/sh
# packaging/try.sh: runs the dnsd that was just built, beside whatever the machine uses, and says
# what to do with it. Changes nothing on the machine.
#
#   packaging/try.sh PROGRAM PORT
set -u
program=$1
port=$2

cat <<EOT

dnsd on 127.0.0.1 port $port: it forwards to the servers of /etc/resolv.conf, answers what
poison.conf overrides, and learns which questions follow which. Ctrl-C ends it.
Type in another terminal:

    dig @127.0.0.1 -p $port example.com              a question; ask twice and see the time
    dig @127.0.0.1 -p $port CH TXT predict.bind      what prediction did so far
    man -l man/dnsd.8                                what else there is

EOT

# Ctrl-C is for dnsd; this script stays to see how it ended.
trap : INT
"$program" -forward -listen 127.0.0.1 -port "$port" -predict -poison poison.conf -verbose
code=$?
case $code in
0) ;;
1) echo "The configuration has a mistake; see above." ;;
2)
    echo "If port $port is taken (5353 is also that of mDNS: avahi, some browsers), try another:"
    echo "    make run PORT=5300"
    ;;
*) echo "dnsd ended with exit code $code." ;;
esac
exit $code
