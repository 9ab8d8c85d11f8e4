#!/usr/bin/env bash
# Make .venv ready: Python 3.11 or newer, OpenSSH for the simulated nodes, the package with its tools.
# Every make target calls this. It says nothing when nothing is to be done.
#
#   PYTHON=/path/to/python3.12 scripts/setup.sh    to choose the interpreter of a new .venv
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
venv=$root/.venv
stamp=$venv/.migprov-setup

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
. scripts/packages.sh

# --- the operating system's part -------------------------------------------------------------------------

good_python() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

can_make_venv() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

# Prints an interpreter that is new enough and can make virtual environments.
find_python() {
    local name path
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 /usr/bin/python3}; do
        path=$(command -v "$name" 2>/dev/null) || continue
        if good_python "$path" && can_make_venv "$path"; then
            echo "$path"
            return 0
        fi
    done
    return 1
}

# One package name a line, for what is missing.
missing_packages() {
    have sshd || echo openssh-server
    { have ssh && have ssh-keygen; } || echo openssh-client
    have sudo || echo sudo
    [ -x "$venv/bin/python" ] || find_python >/dev/null || printf '%s\n' python3 python3-venv
}

ensure_packages() {
    local packages
    mapfile -t packages < <(missing_packages)
    [ "${#packages[@]}" -gt 0 ] || return 0
    local advice="missing on this machine: ${packages[*]}"
    have apt-get || die "$advice. Install them with this system's package manager and run again."
    can_be_root || die "$advice. Run: sudo apt-get install ${packages[*]}"
    say "installing ${packages[*]}"
    local units=()
    case " ${packages[*]} " in *" openssh-server "*) units=(ssh.service ssh.socket) ;; esac
    install_packages "${packages[@]}" -- "${units[@]}" || die "apt-get could not install: ${packages[*]}"
}

# --- Python's part ---------------------------------------------------------------------------------------

fingerprint() {
    { cat pyproject.toml hatch_build.py; grep -h '^__version__' migprov/__init__.py; echo "$root"; } | sha256sum
}

up_to_date() {
    [ -x "$venv/bin/python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ] &&
        [ -e "$root/.dev/ansible_collections/migprov/gpu/pyproject.toml" ]
}

ensure_venv() {
    if [ -x "$venv/bin/python" ]; then
        good_python "$venv/bin/python" || die ".venv has a Python older than 3.11; remove .venv and run again."
        return 0
    fi
    local python
    python=$(find_python) ||
        die "no Python 3.11 or newer with the venv module was found; install one, or set PYTHON to it."
    say "making .venv with $("$python" --version)"
    "$python" -m venv "$venv"
}

ensure_project() {
    say "installing migprov and its tools into .venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev,docs,sim]' </dev/null >&2
    fingerprint >"$stamp"
}

ensure_packages
if ! up_to_date; then
    # Two make targets at once must not install over each other.
    exec 9>"$root/.setup.lock"
    if have flock; then flock 9; fi
    if ! up_to_date; then
        ensure_venv
        ensure_project
    fi
fi
