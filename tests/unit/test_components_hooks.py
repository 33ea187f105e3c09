"""Commands on the hosts of endpoints: always a host key, no output kept, no secret, nothing to do at a destroy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytest.importorskip("pulumi", reason="the Pulumi SDK is not installed: make engine")

from infra.components import DataCentre, DataCentreArgs
from infra.declaration import ROOT, declaration
from infra.hostcommands import Hook, hooks
from recovery.errors import PlanError
from recovery.model.estate import DataCentre as DeclaredDataCentre
from recovery.model.estate import Login
from tests.estates import sound_files, write_files
from tests.mocks import registering, settled
from tests.tools import need

BOOTSTRAP = ROOT / "infra" / "hooks" / "bootstrap.sh"


def entry(script: Path, **more: object) -> dict[str, object]:
    return {"name": "bootstrap", "user": "root", "script": str(script), **more}


def test_a_hook_is_read_with_its_script(tmp_path: Path) -> None:
    script = tmp_path / "hook.sh"
    script.write_text("true\n")
    assert hooks(None) == ()
    assert hooks([entry(script)]) == (Hook(name="bootstrap", user="root", script="true\n"),)
    (shipped,) = hooks([entry(Path("infra/hooks/bootstrap.sh"))])
    assert shipped.script == BOOTSTRAP.read_text()


@pytest.mark.parametrize("socket", ["", "/run/agent"])
def test_hooks_without_an_agent_are_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, socket: str) -> None:
    warnings: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", warnings.append)
    monkeypatch.setenv("SSH_AUTH_SOCK", socket)
    (tmp_path / "hook.sh").write_text("true\n")
    hooks([entry(tmp_path / "hook.sh")])
    hooks(None)
    assert [said for said in warnings if "no SSH agent is known here" in said] == warnings
    assert len(warnings) == (0 if socket else 1)


@pytest.mark.parametrize(
    ("configured", "text"),
    [
        ({"name": "x"}, "expected a list"),
        (["x"], r"pulih:hooks\[0\]: expected `name`, `user` and `script`"),
        ([{"name": "x", "user": "root"}], r"pulih:hooks\[0\]: expected"),
        ([entry(Path("/nowhere/hook.sh"))], r"pulih:hooks\[0\]\.script: /nowhere/hook\.sh can't be read"),
        ([entry(BOOTSTRAP, delete="rm -rf /")], r"pulih:hooks\[0\]: expected"),
    ],
)
def test_what_is_no_hook_is_refused(configured: object, text: str) -> None:
    with pytest.raises(PlanError, match=text):
        hooks(configured)


def test_a_script_that_holds_a_secret_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "hook.sh"
    script.write_text("cat >key <<END\n-----BEGIN PRIVATE KEY-----\nEND\n")
    with pytest.raises(PlanError, match="must hold no secret"):
        hooks([entry(script)])


def test_every_hook_runs_on_every_host_before_its_endpoint(tmp_path: Path) -> None:
    declared = declaration(write_files(tmp_path, sound_files()), "pdns-2")
    assert isinstance(declared.place, DeclaredDataCentre)
    given = (Hook(name="first", user="root", script="echo 1"), Hook(name="second", user="ops", script="echo 2"))
    with registering("pdns-2") as mocks:
        made = DataCentre("pdns-2", DataCentreArgs.of(declared, declared.place, given))
        for unit in made.units.values():
            settled(unit.urn)
    order = list(mocks.resources)
    logins: dict[str, Login] = {endpoint.name: endpoint.login for endpoint in declared.place.endpoints}
    for name in made.units:
        assert order.index(f"{name}-first") < order.index(f"{name}-second") < order.index(name)
        command = mocks.resources[f"{name}-second"]
        assert command.typ == "command:remote:Command"
        inputs = command.inputs
        connection = inputs["connection"]["value"]  # the SDK keeps it encrypted
        assert (connection["hostKey"], connection["user"]) == (logins[name].host_key, "ops")
        assert (inputs["logging"], inputs["addPreviousOutputInEnv"]) == ("none", False)
        assert len(inputs["triggers"][0]) == 64
        assert "delete" not in inputs
        assert not {"privateKey", "password"} & set(connection)


def started(tmp_path: Path, script: str) -> tuple[str, str]:
    """Return the command that a hook with a script becomes, and what it gets on its standard input."""
    declared = declaration(write_files(tmp_path, sound_files()), "pdns-2")
    assert isinstance(declared.place, DeclaredDataCentre)
    with registering("pdns-2") as mocks:
        made = DataCentre(
            "pdns-2", DataCentreArgs.of(declared, declared.place, (Hook(name="try", user="root", script=script),))
        )
        for unit in made.units.values():
            settled(unit.urn)
    inputs = next(found.inputs for name, found in mocks.resources.items() if name.endswith("-try"))
    return inputs["create"], inputs["stdin"]


@pytest.mark.parametrize("script", ["echo out; echo loud >&2", "seq 9 >&2; exit 7"])
def test_what_a_hook_writes_stays_on_the_host_but_for_the_last_lines_of_a_failure(tmp_path: Path, script: str) -> None:
    create, stdin = started(tmp_path, script)
    done = subprocess.run(["/bin/sh", "-c", create], input=stdin, capture_output=True, text=True)
    assert done.stdout == ""
    assert (done.returncode, done.stderr.split()) == ((7, list("56789")) if "exit" in script else (0, []))


@pytest.mark.parametrize("shell", ["bash", "dash", "busybox sh"])
def test_no_program_in_a_hook_can_take_the_rest_of_its_script(tmp_path: Path, shell: str) -> None:
    need(shell.split()[0])
    create, stdin = started(tmp_path, f"cat >/dev/null\ncat <<END >{tmp_path}/reached\n$3\nEND")
    assert create.count("/bin/sh ") == 1
    own = create.replace("/bin/sh ", f"{shell} ")
    done = subprocess.run(["/bin/sh", "-c", own], input=stdin, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pdns-2" in (tmp_path / "reached").read_text()


def test_a_hook_that_hangs_is_ended_and_says_so(tmp_path: Path) -> None:
    create, stdin = started(tmp_path, "echo waiting >&2; sleep 60")
    assert create.count("1800") == 2
    own = create.replace("1800", "0.5")
    done = subprocess.run(["/bin/sh", "-c", own], input=stdin, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (124, "not done in 0.5 s; it said: waiting\n")


def test_the_bootstrap_installs_what_is_missing_and_changes_nothing_twice(tmp_path: Path) -> None:
    said = tmp_path / "said"
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("nginx", "nft", "curl", "sudo", "apt-get", "systemctl", "useradd", "id", "install"):
        what = (
            'exit "$(grep -c useradd "$SAID" | sed "s/0/1/;t;s/.*/0/")"'
            if name == "id"
            else f'echo "{name} $*" >>"$SAID"'
        )
        if name == "install":
            what += '\nfor last; do :; done; mkdir -p "$last"'
        (programs / name).write_text(f"#!/bin/sh\n{what}\n")
        (programs / name).chmod(0o755)
    for name in ("grep", "sed", "mkdir"):
        (programs / name).symlink_to(f"/bin/{name}")
    said.touch()

    def run() -> list[str]:
        before = len(said.read_text().splitlines())
        done = subprocess.run(
            ["/bin/sh", "-s", "--", str(tmp_path / "srv"), "pulih", "passport-cloud-1"],
            input=BOOTSTRAP.read_text(),
            env={"PATH": str(programs), "SAID": str(said)},
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert done.returncode == 0, done.stderr
        return said.read_text().splitlines()[before:]

    first = run()
    assert "apt-get -q -y --no-install-recommends install chrony" in first
    assert "useradd --create-home --shell /bin/sh pulih" in first
    assert f"install -d -o pulih -g pulih -m 0700 {tmp_path}/srv/private" in first
    (programs / "chronyd").symlink_to(programs / "nginx")
    assert run() == []
