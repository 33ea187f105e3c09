# Prepares the host of an endpoint, as root: packages, the account, its folders. What else it needs: docs/unit.md.
# Run by /bin/sh with ROOT ACCOUNT ENDPOINT as its arguments; runs again whenever this file changes, so it changes nothing twice.
set -eu
root=$1 account=$2

packages=
for program in nginx:nginx-light nft:nftables chronyd:chrony curl:curl sudo:sudo; do
    command -v "${program%%:*}" >/dev/null || packages="$packages ${program#*:}"
done
if [ -n "$packages" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update
    # shellcheck disable=SC2086 # one word a package
    apt-get -q -y --no-install-recommends install $packages
    # pulih's own systemd units take the place of the packages' ones
    for service in nginx nftables chrony; do
        systemctl disable --now "$service" || echo "$service was not running" >&2
    done
fi

id -u "$account" >/dev/null 2>&1 || useradd --create-home --shell /bin/sh "$account"
[ -d "$root" ] || install -d -o "$account" -g "$account" -m 0755 "$root"
[ -d "$root/private" ] || install -d -o "$account" -g "$account" -m 0700 "$root/private"
[ -d "$root/run" ] || install -d -o "$account" -g "$account" -m 0750 "$root/run"
