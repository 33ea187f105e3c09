#!/bin/sh
# The Debian packages that the tests' real programs come from. As root they are installed, without starting a service;
# otherwise the missing ones are named with the command that installs them, and their tests say that they are skipped.
set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
missing=
want() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
want sshd openssh-server
want ssh-keygen openssh-client
want nginx nginx-light
want nft nftables
want chronyd chrony
want busybox busybox
want openssl openssl
want curl curl
want chromium chromium
want ip iproute2
want unshare util-linux
want git git
want softhsm2-util softhsm2
[ -n "$missing" ] || exit 0
command="apt-get install --no-install-recommends$missing"
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "some tests need more programs; on Debian: $command" >&2
    exit 0
fi
echo "installing$missing" >&2
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT INT TERM
    printf '#!/bin/sh\nexit 101\n' >$policy # no service is started: invoke-rc.d(8)
    chmod +x $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends $missing >/dev/null
