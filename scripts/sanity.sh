#!/usr/bin/env bash
# `ansible-test sanity` on the collection as its tarball hands it out. Takes PyPI the first time: ansible-test makes
# environments for its tests, which stay in ${XDG_CACHE_HOME:-~/.cache}/migprov/ansible-test.
#
#   scripts/sanity.sh                          every test
#   scripts/sanity.sh --test validate-modules  one of them; other options of ansible-test too
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=$PWD/.venv/bin
home=${XDG_CACHE_HOME:-$HOME/.cache}/migprov/ansible-test

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
# ansible-test tests the collection that it stands in, by the folder's name.
collection=$stage/ansible_collections/migprov/gpu
mkdir -p "$collection"
"$bin/ansible-galaxy" collection build --output-path "$stage" >/dev/null
tar -xzf "$stage"/migprov-gpu-*.tar.gz -C "$collection"
cp galaxy.yml "$collection"

# Each environment begins with a script that ansible-test would download from a server of its own. This one in its
# place asks the interpreter and the package index instead.
mkdir -p "$home/.ansible/test/cache"
cat >"$home/.ansible/test/cache/get_pip_24_2.py" <<'PYTHON'
import os
import subprocess
import sys

environment = dict(os.environ)  # before ensurepip hides pip's settings
import ensurepip

ensurepip.bootstrap()
wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *wanted], env=environment))
PYTHON

# Its stand-ins for interpreters that are not chosen would be run too, so pyenv's interpreters themselves are named.
path=$(tr : '\n' <<<"$bin:$PATH" | grep -v '/shims$' | paste -sd :)
for folder in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin; do
    if [ -x "$folder/python3" ]; then path=$path:$folder; fi
done

cd "$collection"
# Settings of pip's in the home folder count; nobody's collections and settings of Ansible's do.
if [ -f "$HOME/.config/pip/pip.conf" ] && ! [ -e "$home/.config/pip/pip.conf" ]; then
    mkdir -p "$home/.config/pip"
    cp "$HOME/.config/pip/pip.conf" "$home/.config/pip/pip.conf"
fi
env -u ANSIBLE_COLLECTIONS_PATH -u ANSIBLE_CONFIG HOME="$home" PATH="$path" \
    "$bin/ansible-test" sanity --color no "$@" </dev/null
