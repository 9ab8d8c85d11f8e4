#!/usr/bin/env bash
# Known vulnerabilities in what an installation of migprov brings, by pip-audit: exactly the versions that pip would
# choose now. Fails when it finds one, and also when a package could not be looked up, because then nothing is known.
#
#   SERVICE=osv scripts/audit-deps.sh    ask osv.dev instead of PyPI
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$PWD/.venv/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m pip install --quiet --disable-pip-version-check --dry-run --ignore-installed \
    --report "$work/report.json" '.[kubernetes,sim]' </dev/null
"$python" - "$work/report.json" >"$work/requirements.txt" <<'PYTHON'
import json
import sys

with open(sys.argv[1]) as file:
    chosen = [each["metadata"] for each in json.load(file)["install"]]
print("\n".join(sorted(f"{one['name']}=={one['version']}" for one in chosen if one["name"] != "migprov")))
PYTHON
echo "audit-deps: $(wc -l <"$work/requirements.txt") packages"

"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pip-audit </dev/null
if ! "$work/venv/bin/pip-audit" --requirement "$work/requirements.txt" --no-deps --disable-pip --strict \
    --progress-spinner off --vulnerability-service "${SERVICE:-pypi}" >"$work/found" 2>"$work/log"; then
    cat "$work/found"
    grep -v '^WARNING' "$work/log" | tail -n 1 >&2
    echo "audit-deps: FAILED: vulnerable packages (a table above), or no answer about one of them (the line above)" >&2
    exit 1
fi
echo "audit-deps: no known vulnerability"
