# Debian packages, for the scripts that source this: what is missing is installed, and nothing of it is left running.

have() { PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n -- "$@"; fi
}

can_be_root() {
    [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }
}

# install_packages PACKAGES... -- UNITS...
# Debian starts and enables freshly installed services. The tests start their own, so neither is wanted: a policy file
# forbids the start while apt runs, and the units that were enabled are disabled again.
install_packages() (
    policy=/usr/sbin/policy-rc.d failed=no
    packages=()
    while [ "$#" -gt 0 ] && [ "$1" != -- ]; do packages+=("$1") && shift; done
    [ "$#" -eq 0 ] || shift
    if ! as_root test -e "$policy"; then
        # Also when it is interrupted: with that file left, no service that apt installs would ever start.
        trap 'as_root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 0755 "$policy"
    fi
    { as_root apt-get update -qq </dev/null &&
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null; } >&2 || failed=yes
    for unit in "$@"; do
        if have deb-systemd-helper; then as_root deb-systemd-helper disable "$unit" >/dev/null 2>&1 || true; fi
        if have update-rc.d; then as_root update-rc.d "${unit%.*}" disable >/dev/null 2>&1 || true; fi
    done
    [ "$failed" = no ]
)
