"""The estate that the benchmark deploys: units of the shipped one, moved to real sshd on loopback.

Every unit and endpoint is an sshd with a host key of its own, a folder of its own and `sh` programs of two lines in
place of nginx, nft, chronyd, systemctl and curl; the applier, the templates and the bundles are the shipped ones.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from recovery.apply import tar
from recovery.declared import load, write
from recovery.lab import practice
from recovery.lab.pick import pick
from recovery.model.bundle import Bundle
from recovery.model.estate import Estate, Login, UnitName
from recovery.model.visit import Mode
from recovery.protocol import Header, applier_command
from recovery.render import Renderer, Templates
from tests.ssh.sshd import SshServers

SOURCE = Path(__file__).parent.parent / "infra" / "estate"

_YES = "#!/bin/sh\nexit 0\n"
_CURL = """\
#!/bin/sh
# Answers as the endpoint would: what unit/probe of the release in this folder expects.
for word; do case $word in 'X-Pulih-Nonce: '*) nonce=${word#*: } ;; esac; done
while read -r line; do
    case $line in expected=\\'*) line=${line#expected=\\'}; printf '%s%s\\n' "${line%%\\'*}" "$nonce"; exit ;; esac
done <unit/probe
exit 22
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Running servers, and the estates that name them.

    Attributes:
        estates: Folder of the estate, by number of units.
        jobs: File that tells the bare clients the same work, by number of units.
    """

    servers: SshServers
    roots: Path
    estates: dict[int, Path]
    jobs: dict[int, Path]

    def forget(self) -> None:
        """Empty every host's folder, so that the next run sends every bundle."""
        shutil.rmtree(self.roots, ignore_errors=True)
        for name in self.servers.names:
            (self.roots / name).mkdir(parents=True)

    def check(self, size: int) -> None:
        """See on the disk of each unit that it runs its bundle.

        Raises:
            SystemExit: One does not.
        """
        for job in json.loads(self.jobs[size].read_text())["jobs"]:
            manifest = self.roots / job["unit"] / "current" / "MANIFEST"
            found = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.exists() else "nothing"
            if job["done"] != f"done sha256:{found}":
                raise SystemExit(f"{job['unit']} runs {found}, expected {job['done']}")


def build(folder: Path, sizes: tuple[int, ...]) -> Bench:
    """Start the servers and write the estates."""
    programs = folder / "programs"
    programs.mkdir()
    for name in ("sudo", "nginx", "nft", "chronyd", "systemctl", "curl"):
        (programs / name).write_text(_CURL if name == "curl" else _YES)
        (programs / name).chmod(0o755)
    source = load(SOURCE)
    regions = {size: pick(source, size) for size in sizes}
    units = [unit.name for region in regions[max(sizes)] for office in region.offices for unit in office.units]
    endpoints = [endpoint.name for centre in source.data_centres for endpoint in centre.endpoints]
    servers = SshServers(folder / "servers", [*units, *endpoints], log_level="ERROR", programs=programs)
    bench = Bench(servers=servers, roots=folder / "roots", estates={}, jobs={})
    places = {
        UnitName(name): practice.Place(
            port=servers.ports[name],
            host_key=servers.login(name).host_key,
            root=bench.roots / name,
            service_port=40000 + number,
        )
        for number, name in enumerate([*units, *endpoints])
    }
    for size in sizes:
        bench.estates[size] = folder / f"estate-{size}"
        estate = practice.estate(source, regions[size], places, bench.estates[size], servers.key_file)
        estate = _with_logins(replace(estate, timeouts=source.timeouts), servers.login)
        write(estate, bench.estates[size])
        bench.jobs[size] = folder / f"jobs-{size}.json"
        bench.jobs[size].write_text(json.dumps(_jobs(estate, servers, folder / f"tars-{size}")))
    return bench


def _with_logins(estate: Estate, login: Callable[[str], Login]) -> Estate:
    """Return the estate with the account that the servers let in."""
    return replace(
        estate,
        data_centres=tuple(
            replace(centre, endpoints=tuple(replace(one, login=login(one.name)) for one in centre.endpoints))
            for centre in estate.data_centres
        ),
        regions=tuple(
            replace(
                region,
                offices=tuple(
                    replace(office, units=tuple(replace(one, login=login(one.name)) for one in office.units))
                    for office in region.offices
                ),
            )
            for region in estate.regions
        ),
    )


def _jobs(estate: Estate, servers: SshServers, tars: Path) -> dict[str, object]:
    """Return the work of applying every unit's bundle, with nothing left to render."""
    tars.mkdir()
    renderer = Renderer(estate, Templates.load(estate.templates))
    jobs: list[dict[str, object]] = []
    for region, office, unit in estate.places():
        bundle: Bundle = renderer.unit(region, office, unit)
        archive = tars / unit.name
        archive.write_bytes(tar(bundle))
        header = Header(
            mode=Mode.APPLY,
            unit=unit.name,
            root=unit.root,
            digest=bundle.digest,
            epoch=1,
            holder="bench",
            run="bench",
            size_bytes=archive.stat().st_size,
        )
        login = unit.login
        jobs.append(
            {
                "unit": unit.name,
                "address": login.address,
                "port": login.port,
                "user": login.user,
                "host_key": login.host_key,
                "header": header.line().decode(),
                "tar": str(archive),
                "done": f"done {bundle.digest}",
            }
        )
    return {"key": str(servers.key_file), "command": applier_command(), "jobs": jobs}
