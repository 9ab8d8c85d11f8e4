#!/usr/bin/env bash
# Molecule's scenario on simulated nodes: create, prepare, converge, idempotence, verify, destroy.
#
#   scripts/molecule.sh            the whole test; the nodes are ended also when it fails
#   scripts/molecule.sh converge   one step of it, for working on the role
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PWD/.venv/bin:$PATH:/usr/sbin:/sbin
# The scenario lies beside galaxy.yml, where a role's or collection's always lay, not below extensions/.
export MOLECULE_GLOB='molecule/*/molecule.yml'
# The collection of the checkout, whatever else is installed.
export ANSIBLE_COLLECTIONS_PATH=$PWD/.dev
exec molecule "${@:-test}"
