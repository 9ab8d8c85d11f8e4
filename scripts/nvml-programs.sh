#!/usr/bin/env bash
# Other people's programs that read NVML, which tests/sim/test_nvml_programs.py runs on the simulated driver, from PyPI
# into a virtual environment of their own: ${XDG_CACHE_HOME:-~/.cache}/migprov/nvml-programs-HASH. Prints its folder.
#
#   scripts/nvml-programs.sh --path    only say where it would be
#
# Not in .venv: nothing of migprov uses them, and they bring bindings of two other generations than its own nvidia-ml-py
# 13 (12 here, and py3nvml's own of 2017), so that the library is asked in more than one way.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'NVML programs: %s\n' "$*" >&2; }

packages=(
    nvidia-ml-py==12.575.51
    nvitop==1.7.2
    nvitop-exporter==1.7.2
    gpustat==1.1.1
    Glances==4.5.8
    py3nvml==0.2.7
)
python=.venv/bin/python
[ -x "$python" ] || python=$(command -v python3)
hash=$({ printf '%s\n' "${packages[@]}"; "$python" -c 'import sys; print(sys.version_info[:2])'; } | sha256sum | cut -c1-12)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/migprov/nvml-programs-$hash

if [ "${1:-}" != --path ] && [ ! -e "$folder/.complete" ]; then
    # A virtual environment does not move: it is made in its place, and the mark tells that it is whole.
    mkdir -p "${folder%/*}"
    exec 9>"$folder.lock"
    if command -v flock >/dev/null; then flock 9; fi
    if [ ! -e "$folder/.complete" ]; then
        rm -rf "$folder"
        say "installing ${packages[*]}"
        "$python" -m venv "$folder"
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}" </dev/null >&2
        touch "$folder/.complete"
    fi
fi
echo "$folder"
