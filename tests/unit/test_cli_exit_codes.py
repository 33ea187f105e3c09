"""Which command ends how on which estate, before and after anything could be touched."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from recovery.cli import main as cli
from recovery.errors import (
    BrokenRecordError,
    HeldError,
    HostKeyError,
    LeaseLostError,
    LoginError,
    PlanError,
    RefusedError,
)
from tests.cli_world import Units, pulih, small_estate

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

SHIPPED = Path(__file__).resolve().parents[2] / "infra" / "estate"

COMMANDS: dict[str, tuple[str, ...]] = {
    "validate": ("validate",),
    "plan": ("plan",),
    "plan a loss": ("plan", "--lost", "pdns-2"),
    "apply": ("apply",),
    "recover": ("recover", "--lost", "pdns-2", "--yes"),
    "recover unasked": ("recover", "--lost", "pdns-2"),
    "drift": ("drift",),
    "diff": ("diff", "airport-passport"),
    "verify": ("verify",),
    "report": ("report",),
}

#         command            sound, nothing applied yet
#         |                  |  illustrative
#         |                  |  |  with a mistake
#         |                  |  |  |  not there
ENDINGS = """
          validate           0  0  1  1
          plan               0  0  1  1
          plan a loss        0  0  1  1
          apply              0  5  1  1
          recover            0  5  1  1
          recover unasked    5  5  1  1
          drift              2  5  1  1
          diff               2  5  1  1
          verify             3  5  1  1
          report             1  1  1  1
"""


def cases() -> list[tuple[str, str, int]]:
    table = [line.rsplit(maxsplit=4) for line in ENDINGS.strip().splitlines()]
    return [
        (command.strip(), kind, int(code))
        for command, *codes in table
        for kind, code in zip(("sound", "illustrative", "mistaken", "absent"), codes, strict=True)
    ]


@pytest.mark.parametrize(("command", "kind", "code"), cases())
def test_a_command_on_an_estate_ends_with(
    command: str, kind: str, code: int, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    estate = small_estate(tmp_path)
    units = Units(estate).install(monkeypatch)
    settings = (estate / "estate.yaml").read_text()
    if kind == "illustrative":
        _illustrate(estate)
    elif kind == "mistaken":
        (estate / "estate.yaml").write_text(settings.replace("retries: 0", "retries: many"))
    elif kind == "absent":
        estate = tmp_path / "nowhere"
    said = pulih(capsys, *COMMANDS[command], "--estate", estate)
    assert said.code == code, said
    if kind != "sound":
        assert units.visited == []
        assert not (tmp_path / ".pulih").exists()
    if kind == "mistaken" and command != "report":
        where = said.out if command == "validate" else said.err
        line = 1 + settings.splitlines().index("  retries: 0")
        assert f"estate.yaml:{line}: timeouts.retries: " in where
    if kind == "absent" and command == "report":
        assert "`pulih apply` or `pulih recover` begins one" in said.err
    elif kind == "absent":
        (line,) = said.err.splitlines() or said.out.splitlines()
        assert line.startswith(f"error: there is no estate in {estate}: name its folder with --estate DIR")
    if kind == "illustrative" and code == 5:
        assert "pulih drill" in said.err


def _illustrate(estate: Path) -> None:
    """Say that an estate is illustrative, and give it documentation addresses, as such an estate must have."""
    for path in estate.rglob("*.yaml"):
        text = path.read_text().replace("name: small", "name: small\nillustrative: true")
        path.write_text(re.sub(r"10\.(\d+)\.(\d+)\.(\d+)", r"2001:db8:a:a:a:1\1:1\2:1\3", text))


@pytest.mark.parametrize("command", ["apply", "recover", "verify"])
def test_no_command_connects_to_the_shipped_estate(command: str, monkeypatch: Patch, capsys: Capture) -> None:
    def forbidden(*_arguments: object, **_more: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket.socket, "connect_ex", forbidden)
    assert pulih(capsys, *COMMANDS[command], "--estate", SHIPPED).code == 5


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (HeldError("x"), 4, "held"),
        (LeaseLostError("x"), 4, "held"),
        (RefusedError("x"), 5, "refused"),
        (HostKeyError("u", "x"), 6, "not trusted"),
        (BrokenRecordError("x"), 6, "not trusted"),
        (LoginError("u", "x"), 1, "error"),
        (PlanError("two\nlines"), 1, "error"),
        (PermissionError(13, "not yours"), 1, "error"),
        (ZeroDivisionError("x"), 1, "error: this is a fault in pulih"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_every_error_has_its_exit_code_and_never_a_traceback_of_its_own(
    error: BaseException, code: int, word: str, monkeypatch: Patch, capsys: Capture
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("recovery.cli.context.estate_folder", fail)
    said = pulih(capsys, "plan")
    assert (said.code, said.out) == (code, "")
    assert word in said.err
    assert ("Traceback" in said.err) == isinstance(error, ZeroDivisionError)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nonsense",),
        ("plan", "--nonsense"),
        ("plan", "--output", "xml"),
        ("apply", "--parallel", "0"),
        ("apply", "--parallel", "201"),
        ("apply", "--parallel", "many"),
        ("lab",),
        ("lab", "up"),
        ("lab", "lose", "--dir", "x"),
        ("drill", "--units", "0"),
        ("diff",),
        ("schema", "nonsense"),
    ],
)
def test_a_usage_error_ends_with_1_because_2_means_differences(words: tuple[str, ...], capsys: Capture) -> None:
    said = pulih(capsys, *words)
    assert (said.code, said.out) == (1, "")
    assert "Usage: pulih" in said.err


def verbs() -> list[tuple[str, ...]]:
    groups = {"": cli.app, "lab": cli.lab.app, "runs": cli.history.runs_app}
    return [
        tuple(filter(None, (group, command.name or command.callback.__name__)))
        for group, app in groups.items()
        for command in app.registered_commands
        if command.callback is not None
    ]


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_the_help_of_every_verb_has_an_example(verb: tuple[str, ...], capsys: Capture) -> None:
    said = pulih(capsys, *verb, "--help")
    assert (said.code, said.err) == (0, "")
    assert f"Example: pulih {' '.join(verb)}" in said.out


def test_the_help_needs_nothing_heavy() -> None:
    code = "import sys, recovery.cli.main as m; m.main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"paramiko", "asyncssh", "pydantic", "jinja2", "rich.console", "asyncio", "yaml"}
    assert heavy & {name.strip("'") for name in done.stderr.strip("[]\n").split(", ")} == set()


def test_a_reader_that_goes_away_ends_the_command_without_a_traceback(tmp_path: Path) -> None:
    estate = small_estate(tmp_path)
    code = "import sys, time; time.sleep(0.2); from recovery.cli.main import main; sys.exit(main())"
    words = f'"{sys.executable}" -c "{code}" plan --estate "{estate}" | true'
    done = subprocess.run(["/bin/sh", "-c", words], capture_output=True, text=True, check=False)
    assert done.stderr == ""
