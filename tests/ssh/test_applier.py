"""The applier itself, in dash and in busybox ash: what it does, what it refuses, and what is left when it is killed."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from recovery.apply import tar
from recovery.diff import differences
from recovery.errors import BadAnswerError, CommandFailedError, UnitError
from recovery.model.bundle import Bundle
from recovery.model.outcome import Cause
from tests.shells import LocalUnit, Shell, bundle
from tests.tools import need

A, B = bundle("a"), bundle("b")
MOST_PROCESSES = 15
PRUNING = 16
"""A visit that also removes the release before the last; see ADR 5."""


@pytest.fixture(params=["dash", "busybox"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> LocalUnit:
    need(request.param, "flock")
    return LocalUnit(Shell(request.param, tmp_path / "shell"), tmp_path / "root")


def refused(unit: LocalUnit, wanted: Bundle, number: int = 1, holder: str = "h") -> CommandFailedError:
    with pytest.raises(CommandFailedError) as caught:
        unit.apply(wanted, number, holder)
    return caught.value


def test_a_bundle_is_applied_once_and_the_second_visit_writes_nothing(unit: LocalUnit) -> None:
    assert unit.apply(A)
    receipt = (unit.root / "receipt.json").stat()
    assert not unit.apply(A)
    assert (unit.root / "receipt.json").stat().st_mtime_ns == receipt.st_mtime_ns
    assert differences(A, unit.read()) == ()


def test_the_receipt_says_what_runs_and_who_brought_it(unit: LocalUnit) -> None:
    unit.apply(A, 7, "holder-7")
    receipt = json.loads((unit.root / "receipt.json").read_text())
    assert {key: receipt[key] for key in ("digest", "epoch", "holder", "run")} == {
        "digest": A.digest,
        "epoch": 7,
        "holder": "holder-7",
        "run": "run",
    }
    assert receipt["applied_at"].endswith("Z")


def test_the_next_bundle_replaces_the_one_before_and_older_ones_are_removed(unit: LocalUnit) -> None:
    for number, wanted in enumerate((A, B, bundle("c")), start=1):
        assert unit.apply(wanted, number)
    assert sorted(path.name for path in (unit.root / "releases").glob("sha256:*")) == sorted(
        [B.digest, bundle("c").digest]
    )


def test_a_copy_that_somebody_made_of_a_release_does_not_take_the_release_with_it(unit: LocalUnit) -> None:
    unit.apply(A)
    for name in (f"{A.digest} old", f"{B.digest} old", "-rf", "* *"):
        (unit.root / "releases" / name).mkdir()
    unit.apply(B)
    assert {path.name for path in (unit.root / "releases").iterdir()} == {A.digest, B.digest, ".stage.tar"}
    assert unit.read().digest == B.digest


def test_a_smaller_epoch_and_the_same_from_another_holder_are_refused(unit: LocalUnit) -> None:
    unit.apply(A, 5, "h")
    assert refused(unit, B, 4).cause == Cause.STALE_EPOCH
    assert refused(unit, B, 5, "other").cause == Cause.STALE_EPOCH
    assert unit.served() == "a"
    assert unit.apply(B, 5, "h")


def test_an_epoch_is_kept_even_by_a_visit_that_changes_nothing(unit: LocalUnit) -> None:
    unit.apply(A, 1)
    unit.apply(A, 9)
    assert refused(unit, A, 8).cause == Cause.STALE_EPOCH


def test_a_bundle_that_does_not_validate_is_never_served(unit: LocalUnit) -> None:
    unit.apply(A)
    error = refused(unit, bundle("b", validate="echo port 99999 is wrong >&2; exit 1"))
    assert (error.cause, unit.served()) == (Cause.VALIDATE_FAILED, "a")
    assert "port 99999 is wrong" in error.reason
    assert differences(A, unit.read()) == ()


def test_a_bundle_that_does_not_serve_is_taken_back(unit: LocalUnit) -> None:
    unit.apply(A)
    error = refused(unit, bundle("b", probe="exit 22"))
    assert (error.cause, unit.served()) == (Cause.PROBE_FAILED, "a")
    assert "serves its previous release again" in error.reason
    assert differences(A, unit.read()) == ()
    assert [path.name for path in (unit.root / "releases").glob("sha256:*")] == [A.digest]


def test_without_a_previous_release_back_means_not_serving(unit: LocalUnit) -> None:
    error = refused(unit, bundle("b", probe="exit 22"))
    assert "no previous release and is not serving" in error.reason
    assert not (unit.root / "current").exists()


def test_a_reload_that_fails_is_taken_back(unit: LocalUnit) -> None:
    unit.apply(A)
    refused(unit, bundle("b", reload="exit 1"))
    assert unit.served() == "a"


def test_a_unit_found_swapped_without_its_receipt_is_reloaded_not_trusted(unit: LocalUnit) -> None:
    counted = bundle("a", reload=f"echo >>{unit.root}/reloads")
    unit.apply(counted)
    (unit.root / "receipt.json").write_text("")
    assert not unit.apply(counted)
    assert (unit.root / "reloads").read_text() == "\n\n"
    assert differences(counted, unit.read()) == ()


def test_a_unit_as_declared_that_does_not_serve_is_reloaded(unit: LocalUnit) -> None:
    flag = unit.root / "up"
    asks = f'[ -e {flag} ] && echo "pulih-probe/1 data-centre=cloud-1 service=passport nonce=$1"'
    wanted = bundle("a", probe=asks, reload=f": >{flag}")
    unit.apply(wanted)
    flag.unlink()
    assert not unit.apply(wanted)
    assert flag.exists()


@pytest.mark.parametrize("damage", ["content", "mode", "missing", "extra", "manifest", "link"])
def test_a_damaged_release_is_replaced_by_a_fresh_copy_beside_it(unit: LocalUnit, damage: str) -> None:
    unit.apply(A)
    current = unit.root / "current"
    if damage == "content":
        (current / "a.conf").write_text("edited")
    elif damage == "mode":
        (current / "a.conf").chmod(0o600)
    elif damage == "missing":
        (current / "b.conf").unlink()
    elif damage == "extra":
        (current / "unit" / "more").write_text("x")
    elif damage == "manifest":
        (current / "MANIFEST").write_text("../../etc/passwd 0644 /etc/passwd\n")
    else:
        (current / "a.conf").rename(unit.root / "elsewhere")
        (current / "a.conf").symlink_to(unit.root / "elsewhere")
    assert differences(A, unit.read())
    assert unit.apply(A)
    assert str(current.readlink()) == f"releases/{A.digest}.1"
    assert differences(A, unit.read()) == ()


def hostile(*members: tuple[str, bytes, str]) -> bytes:
    """A tar of members (name, type, target) with the bundle's own files behind them."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return made.getvalue()[: -2 * 512].rstrip(b"\0").ljust(512 * len(members), b"\0") + tar(A)


@pytest.mark.parametrize(
    "member",
    [
        pytest.param((".stage/x", tarfile.SYMTYPE, "/etc"), id="a link"),
        pytest.param((".stage/x", tarfile.LNKTYPE, ".stage/a.conf"), id="a hard link"),
        pytest.param(("/tmp/pulih-absolute", tarfile.REGTYPE, ""), id="an absolute path"),  # noqa: S108 - never made
        pytest.param((".stage/../../x", tarfile.REGTYPE, ""), id="a path upwards"),
        pytest.param(("x", tarfile.REGTYPE, ""), id="beside the stage"),
        pytest.param((".stage/a b", tarfile.REGTYPE, ""), id="a blank"),
        pytest.param((".stage/x", tarfile.FIFOTYPE, ""), id="a pipe"),
        pytest.param((".stage/extra", tarfile.REGTYPE, ""), id="a file that the manifest lacks"),
    ],
)
def test_a_hostile_bundle_is_refused_and_leaves_nothing(unit: LocalUnit, member: tuple[str, bytes, str]) -> None:
    unit.apply(A)
    content = hostile(member)
    header = f"pulih/1 apply unit {unit.root} {B.digest} 1 h run {len(content)}\n".encode()
    answers = unit.say(header, content)
    assert answers[-1].startswith(("failed stage", "failed check"))
    assert unit.served() == "a"
    assert not (unit.root / "x").exists()
    assert not Path("/tmp/pulih-absolute").exists()  # noqa: S108


def test_half_a_bundle_is_not_a_bundle(unit: LocalUnit) -> None:
    unit.apply(A)
    content = tar(B)
    header = f"pulih/1 apply unit {unit.root} {B.digest} 1 h run {len(content)}\n".encode()
    for kept in (0, 700, len(content) // 2, len(content) - 1600):
        assert unit.say(header, content[:kept])[-1].startswith("failed")
        assert unit.served() == "a"
    assert unit.apply(B)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"\n", id="empty"),
        pytest.param(b"GET / HTTP/1.1\n", id="another protocol"),
        pytest.param(b"pulih/2 apply u /srv/pulih d 1 h r 1\n", id="another version"),
        pytest.param(b"pulih/1 apply u /srv/$(id) d 1 h r 1\n", id="a command in it"),
        pytest.param(b"pulih/1 apply u /srv/../etc d 1 h r 1\n", id="a path upwards"),
        pytest.param(b"pulih/1 apply u / d 1 h r 1\n", id="the root of the disk"),
        pytest.param(b"pulih/1 apply u srv d 1 h r 1\n", id="a relative path"),
        pytest.param(b"pulih/1 apply u /srv/pulih d one h r 1\n", id="an epoch in words"),
        pytest.param(b"pulih/1 apply u /srv/pulih d 1 h r 1 more\n", id="too many fields"),
        pytest.param(b"pulih/1 apply u /srv/pulih " + b"d" * 201 + b" 1 h r 1\n", id="a long field"),
        pytest.param(b"pulih/1 erase u /srv/pulih d 1 h r 1\n", id="an unknown mode"),
    ],
)
def test_a_header_that_is_not_of_the_protocol_is_refused(unit: LocalUnit, header: bytes) -> None:
    assert unit.say(header)[0].startswith("refused bad-header")
    assert not Path("/srv/pulih").exists()


def test_reading_names_what_the_unit_lacks_and_applying_refuses(unit: LocalUnit) -> None:
    (unit.shell.folder / "bin" / "flock").unlink()
    assert unit.read().missing == ("flock",)
    assert "missing on this unit: flock" in refused(unit, A).reason


def test_forgetting_takes_the_receipt_and_leaves_the_service(unit: LocalUnit) -> None:
    unit.apply(A, 2)
    assert unit.say(f"pulih/1 forget unit {unit.root} - 1 h run 0\n".encode())[0].startswith("refused stale-epoch")
    assert unit.say(f"pulih/1 forget unit {unit.root} - 3 h run 0\n".encode()) == ["done -"]
    assert unit.read().receipt is None
    assert unit.served() == "a"
    assert not unit.apply(A, 3)


def test_a_bundle_is_on_the_platter_before_anything_points_to_it(unit: LocalUnit) -> None:
    unit.apply(A)
    synced = noting(unit, "sync")
    unit.apply(B, 2, environment=synced)
    steps = (unit.shell.folder / "noted").read_text().splitlines()
    assert len(steps) == 1
    assert {*steps[0].split()} == {str(unit.root / "epoch"), "MANIFEST", *(file.path for file in B.files)}
    assert unit.shell.calls().index("sync") < unit.shell.calls().index("mv")


def test_an_epoch_that_was_let_in_is_on_the_platter_when_the_visit_ends(unit: LocalUnit) -> None:
    unit.apply(A)
    invalid = bundle("b", validate="exit 1")
    for epoch, wanted in ((2, A), (3, invalid)):
        synced = noting(unit, "sync")
        with suppress(CommandFailedError):
            unit.apply(wanted, epoch, environment=synced)
        assert str(unit.root / "epoch") in (unit.shell.folder / "noted").read_text().split()
    assert "sync" not in quiet_calls(unit, 3), "an epoch that is known already costs nothing"


def noting(unit: LocalUnit, program: str) -> dict[str, str]:
    """An environment in which every program is counted, and the words of one are written down."""
    environment = unit.shell.watched()
    noted = unit.shell.folder / "noted"
    noted.write_text("")
    script = Path(environment["PATH"]) / program
    script.write_text(script.read_text().replace("exec ", f'echo "$*" >>{noted}\nexec '))
    return environment


def quiet_calls(unit: LocalUnit, epoch: int) -> list[str]:
    """What a visit that changes nothing calls."""
    environment = unit.shell.watched()
    unit.apply(A, epoch, environment=environment)
    return unit.shell.calls()


def test_a_visit_takes_few_processes(unit: LocalUnit) -> None:
    for wanted, most in ((A, MOST_PROCESSES), (B, MOST_PROCESSES), (bundle("c"), PRUNING), (bundle("c"), 10)):
        environment = unit.shell.watched()
        unit.apply(wanted, 1, environment=environment)
        calls = unit.shell.calls()
        own = len(calls) + 1  # and the shell behind the timeout of the header
        scripts = 3 if most >= MOST_PROCESSES else 1
        assert own - scripts <= most, calls


def test_killed_at_any_of_its_programs_it_serves_old_or_new_and_the_next_visit_finishes(unit: LocalUnit) -> None:
    unit.apply(A)
    environment = unit.shell.watched()
    unit.apply(B, 2, environment=environment)
    steps = len(unit.shell.calls())
    assert steps > 10
    for after in (False, True):
        for step in range(1, steps + 1):
            shutil.rmtree(unit.root)
            unit.apply(A)
            environment = unit.shell.watched(kill_at=step, after=after)
            with pytest.raises(UnitError):
                unit.apply(B, 2, environment=environment)
            assert unit.served() in ("a", "b"), (step, after)
            unit.apply(B, 2)
            assert unit.served() == "b"
            assert differences(B, unit.read()) == (), (step, after)


def test_an_answer_cut_off_is_unknown_not_success(unit: LocalUnit) -> None:
    with pytest.raises(BadAnswerError, match="ended at step"):
        unit.apply(A, environment=unit.shell.watched(kill_at=8))
