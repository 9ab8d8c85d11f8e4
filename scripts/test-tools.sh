#!/usr/bin/env bash
# The programs that some tests run for real, from Debian's packages. Tests whose program is missing are skipped and
# say so; this never fails.
set -euo pipefail
scripts=$(dirname "${BASH_SOURCE[0]}")
. "$scripts/packages.sh"

say() { printf 'test tools: %s\n' "$*" >&2; }

# program it is known by, package, its service
tools='
slurmctld slurmctld slurmctld.service
slurmd    slurmd    slurmd.service
scontrol  slurm-client -
munged    munge     munge.service
prometheus prometheus prometheus.service
chromium  chromium  -
'
packages=() units=()
while read -r program package unit; do
    [ -n "$program" ] && ! have "$program" || continue
    packages+=("$package")
    [ "$unit" = - ] || units+=("$unit")
done <<<"$tools"
# Kept in the cache, not installed; neither needs root.
"$scripts/nvidia-smi.sh" >/dev/null || say "no real nvidia-smi; its tests are skipped"
"$scripts/nvml-programs.sh" >/dev/null || say "the NVML programs could not be installed; their tests are skipped"
[ "${#packages[@]}" -gt 0 ] || exit 0
if have apt-get && can_be_root; then
    say "installing ${packages[*]}"
    install_packages "${packages[@]}" -- "${units[@]}" || say "apt-get could not install them; their tests are skipped"
else
    say "not installed, so their tests are skipped: ${packages[*]}"
fi
