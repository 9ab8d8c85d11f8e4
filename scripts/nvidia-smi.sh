#!/usr/bin/env bash
# Fetch the real nvidia-smi, which tests/nvidia_smi runs on the simulated driver, from Debian's non-free into the cache:
# ${XDG_CACHE_HOME:-~/.cache}/migprov/nvidia-smi-SUITE. Prints the folder.
#
#   scripts/nvidia-smi.sh --path    only say where it would be
#
# Nothing is installed: the package wants a driver, and its program alone would be of no use on the machine. apt's own
# sources and lists stay as they are too; the mirrors are those that the machine has. It is not free software: its
# licence is the file `copyright`, and nothing of it is part of this repository.
set -euo pipefail
suite=bookworm # has 535, whose tables are what the tests know; it runs with any driver version that a node tells
folder=${XDG_CACHE_HOME:-$HOME/.cache}/migprov/nvidia-smi-$suite

say() { printf 'nvidia-smi: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

if [ "${1:-}" = --path ] || [ -d "$folder" ]; then
    echo "$folder"
    exit 0
fi
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || die "only where there are Debian's apt and dpkg"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || die "no $keyring: not Debian?"

work=$(mktemp -d "${TMPDIR:-/tmp}/migprov-nvidia-smi-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/made" "${folder%/*}"
apt=(apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Cache="$work"
    -o Dir::State::lists="$work/lists" -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none
    -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o Acquire::Retries=1)

# The machine's own mirrors of the release it runs.
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-$suite}")
mirrors=$(apt-get indextargets --no-release-info --format '$(SITE) $(RELEASE) $(COMPONENT)' |
    awk -v release="$release" '$2 == release && $3 == "main" && !seen[$1]++ {print $1}')
for mirror in $mirrors; do
    echo "deb [signed-by=$keyring] $mirror $suite non-free" >"$work/sources.list"
    if (cd "$work" && "${apt[@]}" update && "${apt[@]}" download nvidia-smi) </dev/null >&2; then
        package=$(echo "$work"/nvidia-smi_*.deb)
        break
    fi
done
[ -n "${package:-}" ] || die "no mirror of this machine has the package nvidia-smi of $suite"

dpkg-deb -x "$package" "$work/unpacked"
cp "$work/unpacked/usr/lib/nvidia/current/nvidia-smi" "$work/unpacked/usr/share/doc/nvidia-smi/copyright" "$work/made"
chmod -R a+rX "$work/made"
# Two at once both end with a whole folder; the tests run the program as other users too.
mv -T "$work/made" "$folder" 2>/dev/null || [ -d "$folder" ]
echo "$folder"
