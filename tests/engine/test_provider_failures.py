"""Units that fail: each is named by a message that stands alone, the others go on, nothing is left half-way."""

from __future__ import annotations

import random
import shutil
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.declaration import ROOT
from recovery import lab
from recovery.cli.context import where
from recovery.clock import WallClock
from recovery.lab.sickness import How
from recovery.lease import Leases
from recovery.processes import LinuxProcesses
from recovery.store import FileStore
from tests.engine.practice import Practice

REGION = "jawa-barat"


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Generator[Practice]:
    made = Practice.begin(tmp_path_factory.mktemp("failures"), units=8)
    try:
        made.deploy("pdns-2")
        made.init(REGION, "amerika")
        yield made
    finally:
        made.end()


_SICK = [
    pytest.param(How.VALIDATE_FAILS, "validate-failed", marks=pytest.mark.thorough),
    (How.WRONG_HOST_KEY, "host-key"),
]


@pytest.mark.parametrize(("how", "cause"), _SICK)
def test_a_failed_unit_is_named_with_its_cause_and_the_others_go_on(practice: Practice, how: How, cause: str) -> None:
    sick, *well = sorted(practice.units(REGION))
    assert len(well) >= 3
    lab.break_unit(practice.home, sick, how)
    try:
        said = practice.up(REGION, "--parallel", "2")
    finally:
        lab.heal_unit(practice.home, sick)
    assert said.code != 0
    assert f"error: {sick}: {cause}: " in said.out
    assert "Traceback" not in said.out
    deployed = {resource["id"] for resource in practice.resources(REGION)}
    assert deployed == set(well), said.out
    assert "pending_operations" not in practice.pulumi("stack", "export", "--stack", REGION).out
    again = practice.up(REGION)
    assert (again.code, again.summary["created"]) == (0, 1), again.out
    gone = practice.pulumi("destroy", "--stack", REGION, "--yes", "--skip-preview")
    assert gone.code == 0, gone.out


def test_a_unit_that_can_not_be_read_keeps_its_state_and_is_tried_again(practice: Practice) -> None:
    assert practice.up("amerika").code == 0
    sick = min(practice.units("amerika"))
    lab.break_unit(practice.home, sick, How.UNREACHABLE)
    try:
        seen = practice.pulumi("refresh", "--stack", "amerika", "--yes", "--skip-preview", "--suppress-outputs")
        assert seen.code == 0, seen.out
        assert f"{sick}: unreachable: " in seen.out
        failed = practice.up("amerika")
        assert failed.code != 0
        assert f"error: {sick}: unreachable: " in failed.out

        gone = practice.pulumi("destroy", "--stack", "amerika", "--yes", "--skip-preview")
        assert gone.code == 0, "an unreachable unit holds up no destroy"
        assert f"warning: {sick}: " in gone.out
    finally:
        lab.heal_unit(practice.home, sick)
    back = practice.up("amerika")
    assert back.code == 0, back.out
    assert practice.pulih("drift", "--region", "amerika").returncode == 0


def test_a_region_that_somebody_else_holds_is_left_alone(practice: Practice) -> None:
    assert practice.up("amerika").code == 0
    leases = Leases(FileStore(practice.home / ".pulih"), WallClock(), LinuxProcesses(where()), random.Random(1))
    lease = leases.take(["amerika"], "20240620T005400Z-recover-3f9a1c")
    try:
        (next(iter(practice.units("amerika").values())) / "receipt.json").unlink()
        said = practice.pulumi("up", "--stack", "amerika", "--yes", "--skip-preview", "--refresh", "--suppress-outputs")
        assert said.code != 0
        assert "held: amerika is held by" in said.out
        assert "run 20240620T005400Z-recover-3f9a1c" in said.out
        assert "Nothing was touched" in said.out
    finally:
        lease.release()
    assert practice.up("amerika").code == 0


def test_hooks_of_a_region_are_refused_not_left_out(practice: Practice) -> None:
    script = str(practice.project / "hook.sh")
    for key, value in {"name": "ready", "user": "pulih", "script": script}.items():
        practice.pulumi("config", "set", "--stack", "amerika", "--path", f"hooks[0].{key}", value)
    said = practice.preview("amerika")
    assert practice.pulumi("config", "rm", "--stack", "amerika", "hooks").code == 0
    assert said.code != 0
    assert "pulih:hooks: amerika is a region" in said.out


def test_an_illustrative_estate_is_previewed_without_a_connection_and_refused_before_the_first(
    practice: Practice, tmp_path: Path
) -> None:
    shipped = practice.with_environment(PULIH_ESTATE="", PULIH_STATE=str(tmp_path))
    assert shipped.pulumi("stack", "init", "bali-nusa-tenggara", "--no-select").code == 0
    shown = shipped.preview("bali-nusa-tenggara")
    assert (shown.code, shown.summary["create"] > 37) == (0, True), shown.out
    said = shipped.up("bali-nusa-tenggara")
    assert said.code != 0
    assert f"{ROOT / 'infra' / 'estate'} is illustrative" in said.out
    assert "Practise with `pulih drill`" in said.out
    assert list(tmp_path.iterdir()) == [], "no lease was taken"


def test_no_secret_of_a_unit_or_of_ours_is_in_any_state_log_or_message(practice: Practice) -> None:
    canary = "canary-4f1c9d2e7b"
    for root in practice.units().values():
        (root / "private").mkdir(exist_ok=True)
        (root / "private" / "tls.key").write_text(f"-----BEGIN PRIVATE KEY-----\n{canary}\n")
    told = practice.up(REGION).out
    sick = min(practice.units(REGION))
    (practice.units()[sick] / "current" / "planted").touch()
    lab.break_unit(practice.home, sick, How.PROBE_FAILS)
    try:
        for verb in ("refresh", "up", "destroy"):
            said = practice.pulumi(verb, "--stack", REGION, "--yes", "--skip-preview", "--logtostderr", "-v=9")
            told += said.out
            assert sick in said.out
    finally:
        lab.heal_unit(practice.home, sick)
    key = (practice.home / "keys" / "client").read_text().splitlines()[2]
    kept = [path for name in ("state", "home", "project") for path in (practice.home.parent / name).rglob("*")]
    kept += (practice.home / ".pulih").rglob("*")
    texts = [path.read_text(errors="replace") for path in kept if path.is_file() and not path.is_symlink()]
    assert len(texts) > 20
    for text in (told, *texts):
        assert canary not in text
        assert key not in text


def test_program_and_provider_must_have_read_the_same_files(practice: Practice, tmp_path: Path) -> None:
    """A program that declares something else than the estate does is told so, property by property."""
    project = tmp_path / "project"
    shutil.copytree(practice.project, project, symlinks=True)
    other = replace(practice, project=project)
    inputs = {
        "unit": min(practice.units("amerika")),
        "office": "nowhere",
        "service": "passport",
        "dataCentre": "pdns-2",
        "endpoint": "passport-pdns-2",
        "digest": "sha256:" + "0" * 64,
    }

    def declare(**files: str) -> None:
        (project / "infra" / "__main__.py").write_text(
            "import pulumi\n"
            f"pulumi.CustomResource('pulih:index:Unit', 'x', {inputs | {'files': files}!r},\n"
            "    pulumi.ResourceOptions(version='0.1.0'))\n"
        )

    declare(**{"gateway/nginx.conf": "not a digest"})
    said = other.preview("amerika")
    assert said.code != 0
    assert 'property files["gateway/nginx.conf"]' in said.out

    declare(**{"gateway/nginx.conf": "0" * 64})
    said = other.preview("amerika")
    assert said.code != 0
    for path in ("property office", "property digest", 'property files["gateway/nginx.conf"]'):
        assert path in said.out, said.out
    assert "program and provider have not read the same files" in said.out
