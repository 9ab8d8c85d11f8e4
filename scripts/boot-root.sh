#!/usr/bin/env bash
# Make the root file system that tests/boot boots: systemd, Python, sshd. Once per list of packages, in the cache:
# ${XDG_CACHE_HOME:-~/.cache}/migprov/boot-root-*. Prints its path. Takes root, Debian's apt, and about 90 s.
#
#   scripts/boot-root.sh --path    only say where it would be
set -euo pipefail
suite=bookworm
if [ -r /etc/os-release ]; then
    # What is compiled here has to run there.
    suite=$(. /etc/os-release && [ "${ID:-}" = debian ] && echo "${VERSION_CODENAME:-$suite}" || echo "$suite")
fi
packages=systemd-sysv,systemd-container,python3,openssh-server
recipe=$(printf '%s\n' 1 "$suite" "$packages" | sha256sum | cut -c1-12)
root=${XDG_CACHE_HOME:-$HOME/.cache}/migprov/boot-root-$recipe

say() { printf 'boot-root: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

if [ "${1:-}" = --path ] || [ -d "$root" ]; then
    echo "$root"
    exit 0
fi
[ "$(id -u)" = 0 ] || die "making a root file system takes root"
if ! command -v mmdebstrap >/dev/null 2>&1; then
    command -v apt-get >/dev/null 2>&1 || die "mmdebstrap is missing; install it and run again"
    say "installing mmdebstrap"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends mmdebstrap; } </dev/null >&2
fi

mkdir -p "${root%/*}"
exec 9>"${root%/*}/boot-root.lock"
if command -v flock >/dev/null; then flock 9; fi
if [ ! -d "$root" ]; then
    fresh=$(mktemp -d "${root%/*}/boot-root-new.XXXXXX")
    trap 'rm -rf --one-file-system "$fresh"' EXIT
    say "making $root"
    mmdebstrap --quiet --variant=essential --include="$packages" \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$suite" "$fresh" </dev/null >&2
    rm -rf "$fresh"/var/cache/apt/archives/*.deb "$fresh"/var/lib/apt/lists/*
    mkdir -p "$fresh/var/log/journal" # kept from boot to boot
    chmod 0755 "$fresh"
    mv -T "$fresh" "$root"
fi
echo "$root"
