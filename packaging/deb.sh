#!/bin/sh
# packaging/deb.sh: makes BUILD/dnsd_VERSION_ARCHITECTURE.deb with debhelper, in BUILD/deb, so that
# the tree stays as it is.
#
#   packaging/deb.sh BUILD VERSION
#
# DEBFULLNAME and DEBEMAIL name the maintainer; without them it is the author of the last commit, and
# where git knows none, as in a tarball or in somebody else's checkout, nobody in particular.
set -eu
cd "$(dirname "$0")/.."
TOP=$(pwd)
build=$1
version=$2
work=$build/deb

name=${DEBFULLNAME:-$(git log -1 --format=%an 2>/dev/null || true)}
mail=${DEBEMAIL:-$(git log -1 --format=%ae 2>/dev/null || true)}
# An address without a domain, such as git makes up from the name of a machine, is none to lintian.
case $mail in
*@*.*) ;;
*) mail=dnsd@dnsd.example ;;
esac
maintainer="${name:-dnsd} <$mail>"
# The same tree makes the same package.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export TOP SOURCE_DATE_EPOCH

rm -rf "$work"
mkdir -p "$work"
cp -R packaging/debian "$work/debian"
maintainer_text=$(printf '%s' "$maintainer" | sed 's/[&|\\]/\\&/g')
sed -i "s|@MAINTAINER@|$maintainer_text|" "$work/debian/control"

cat >"$work/debian/changelog" <<EOT
dnsd ($version) unstable; urgency=medium

  * Version $version.

 -- $maintainer  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
EOT

authors=$(sed -n 's/^Copyright (c) //p' LICENSE)
sed -i "s|@YEAR_AND_AUTHORS@|$authors|" "$work/debian/copyright"
sed '1,/^Copyright/d; /./,$!d; s/^$/./; s/^/ /' LICENSE >>"$work/debian/copyright"

# Not the flags of the make that called: they would override what debian/rules says. Not dpkg's look
# at what is installed (-d): packaging/deps.sh saw to it, and no C++ compiler is wanted here.
cd "$work"
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL DEB_BUILD_OPTIONS="noautodbgsym parallel=$(nproc)" \
    dpkg-buildpackage -b -us -uc -d
cd "$TOP"
lintian --fail-on error "$build/dnsd_${version}_$(dpkg --print-architecture).deb"
ls -l "$build"/dnsd_"$version"_*.deb
