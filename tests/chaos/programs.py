"""The stand-ins for `nginx nft chronyd systemctl curl sudo` on a unit of the chaos tier: small scripts that remember.

What a unit serves is what its gateway has loaded, not what lies on its disk. So `systemctl` loads the release it is
called in, `curl` answers from what was loaded, and a release that `nginx -t` never saw is noted when it is loaded.
"""

from __future__ import annotations

import stat
from pathlib import Path

# $HOST is the folder of the unit's machine, outside the disk that a fault may fill; $NAME its name.
_SUM = """\
sum=$(sha256sum <MANIFEST) || exit 1
sum=${sum%% *}
"""

NGINX = f"""\
[ -s gateway/nginx.conf ] || exit 1
{_SUM}echo "$sum" >>"$HOST/validated"
"""

SYSTEMCTL = f"""\
case " $* " in *' pulih-gateway '*) ;; *) exit 0 ;; esac
{_SUM}
case $(cat "$HOST/validated") in *"$sum"*) ;; *) echo "$sum" >>"$HOST/unvalidated" ;; esac
service=${{NAME%-*}} centre=${{NAME##*-}} inside=
if [ -f counter/settings.json ]; then
    while read -r key value; do
        value=${{value%,}} value=${{value#?}}
        case $inside$key in
        '"service":') inside=yes ;;
        'yes"name":') service=${{value%?}} ;;
        'yes"data_centre":') centre=${{value%?}}; break ;;
        esac
    done <counter/settings.json
fi
echo "$sum $centre $service" >"$HOST/loaded.new"
mv "$HOST/loaded.new" "$HOST/loaded"
"""

CURL = """\
for word; do case $word in 'X-Pulih-Nonce: '*) nonce=${word#*: } ;; esac; done
[ -s "$HOST/loaded" ] || { echo 'curl: (7) Failed to connect' >&2; exit 7; }
read -r sum centre service <"$HOST/loaded"
echo "pulih-probe/1 data-centre=$centre service=$service nonce=$nonce"
"""

SCRIPTS = {
    "nginx": NGINX,
    "systemctl": SYSTEMCTL,
    "curl": CURL,
    "nft": "[ -s egress/egress.nft ]\n",
    "chronyd": "[ -s time/chrony.conf ]\n",
    "sudo": 'shift\nexec "$@"\n',
}


def write(folder: Path) -> None:
    """Put the stand-ins into a folder."""
    folder.mkdir(parents=True)
    for name, text in SCRIPTS.items():
        path = folder / name
        path.write_text(f"#!/bin/dash\n{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
