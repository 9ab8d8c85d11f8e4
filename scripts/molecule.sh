#!/usr/bin/env bash
# Molecule's scenarios, one after another, each from create to destroy; its machines are ended also when it fails.
#
#   scripts/molecule.sh                         all that can run here; the others are named, with what they lack
#   scripts/molecule.sh default rolling         these alone
#   scripts/molecule.sh --step converge default one step of it, for working on a role
#
# A scenario that needs more than `make setup` brings has an executable `molecule/<name>/needs`: it says in one line
# what is missing and exits non-zero where the scenario cannot run. Exits 1 when a scenario failed, 2 for a name that
# is none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PWD/.venv/bin:$PATH:/usr/sbin:/sbin
# The scenarios lie beside galaxy.yml, where a role's or collection's always lay, not below extensions/.
export MOLECULE_GLOB='molecule/*/molecule.yml'
# The collection of the checkout, whatever else is installed.
export ANSIBLE_COLLECTIONS_PATH=$PWD/.dev

step=test
if [ "${1:-}" = --step ]; then
    step=${2:?--step takes the name of a step: converge, verify, destroy}
    shift 2
fi
names=("$@")
if [ "${#names[@]}" -eq 0 ]; then
    for file in molecule/*/molecule.yml; do
        name=${file%/molecule.yml}
        names+=("${name#molecule/}")
    done
fi
for name in "${names[@]}"; do
    if ! [ -f "molecule/$name/molecule.yml" ]; then
        echo "molecule: $name is no scenario; there is no molecule/$name/molecule.yml" >&2
        exit 2
    fi
done

failed=no
summary=()
for name in "${names[@]}"; do
    echo "== molecule $step: $name"
    needs=molecule/$name/needs
    if [ -e "$needs" ] && ! missing=$("$needs"); then
        word="skipped: $name (${missing:-$needs failed without a word})"
    elif molecule "$step" -s "$name"; then
        word="passed: $name"
    else
        word="FAILED: $name"
        failed=yes
    fi
    echo "$word"
    summary+=("$word")
done
echo "== molecule $step"
printf '%s\n' "${summary[@]}"
[ "$failed" = no ]
