"""What input made to hurt has done to pulih once, each with its story."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from recovery.declared import load
from recovery.declared.nodes import MAX_MISTAKES
from recovery.errors import DeclarationError, LabError, PulihError
from recovery.lab import manage
from recovery.lab.setup import Layout
from recovery.lease import Holder
from recovery.model.story import Story
from recovery.protocol import parse_receipt
from recovery.render import Renderer, Templates
from recovery.report import to_json, to_markdown
from tests.cli_world import pulih
from tests.estates import sound_estate, sound_files, write_files
from tests.hostile.property import shown
from tests.hostile.stored import AT, CARD, LEASE, RECEIPT, RESULT, as_bytes, chained

Capture = pytest.CaptureFixture[str]


def mistakes(folder: Path, **edits: str) -> str:
    """Return what is wrong with the small estate after lines were put under `estate.yaml` or for a whole file."""
    files = sound_files()
    files["estate.yaml"] += edits.pop("more", "")
    for name, text in edits.items():
        files[f"{name}.yaml"] = text
    with pytest.raises(DeclarationError) as caught:
        load(write_files(folder, files))
    return str(caught.value)


@pytest.mark.parametrize("path", ["~no-such-account/templates", "a" * 5000])
def test_a_path_that_no_file_can_have_is_a_mistake_of_the_estate_and_no_crash(tmp_path: Path, path: str) -> None:
    assert "there is no folder" in mistakes(tmp_path, more=f"templates: {path}\n")


def test_trust_anchors_with_too_long_a_name_are_a_mistake_too(tmp_path: Path) -> None:
    files = sound_files()
    files["estate.yaml"] = files["estate.yaml"].replace("trust-anchors.pem", "a" * 5000)
    with pytest.raises(DeclarationError, match="but there is no file"):
        load(write_files(tmp_path, files))


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"key{number}: 1\n" for number in range(40_000)),
        "".join(f"key{number}: 1\n" for number in range(20_000)) * 2,
        "services:\n" + "- a\n" * 100_000,
    ],
    ids=["unknown keys", "keys given twice", "wrong entries"],
)
def test_a_file_of_nothing_but_mistakes_is_not_read_for_hours(tmp_path: Path, text: str) -> None:
    """Each mistake looked for its line among all keys: 40,000 took a day."""
    told = mistakes(tmp_path, services=text).splitlines()
    assert len(told) == MAX_MISTAKES + 1
    assert told[-1].endswith("has more mistakes than the 1,000 named here; mend these first")


def test_hundreds_of_services_that_wait_for_each_other_are_too_many(tmp_path: Path) -> None:
    rest = "  title: S\n  class: serving\n  rto_min: 1\n  rpo_min: 1\n"
    chain = "".join(f"- name: s{number}\n{rest}  after: [s{(number + 1) % 600}]\n" for number in range(600))
    assert "found 600 services, expected at most 500" in mistakes(tmp_path, services=f"services:\n{chain}")


def test_a_name_that_is_none_is_not_offered_as_the_one_that_was_meant(tmp_path: Path) -> None:
    told = mistakes(tmp_path, bastions='bastions:\n- name: "gate-wes\\e[2J"\n')
    assert "\x1b" not in told


@pytest.mark.parametrize("path", ["MANIFEST/x", "unit", "unit/probe/x"])
def test_a_file_cannot_stand_where_one_of_pulihs_own_must(tmp_path: Path, path: str) -> None:
    """The bundle was rendered, and every unit failed to unpack it."""
    (tmp_path / "counter").mkdir()
    (tmp_path / "counter" / "x.j2").write_text("x\n")
    text = f'files:\n  {path}: {{template: x.j2, mode: "0644"}}\n'
    text += "".join(f"{script}: [[true]]\n" for script in ("validate", "reload", "probe"))
    (tmp_path / "counter" / "unit.yaml").write_text(text)
    with pytest.raises(DeclarationError, match=r"can't stand in|can't be a file and the folder of"):
        Templates.load(tmp_path)


def render(folder: Path, source: str, word: str = "true") -> None:
    kind = folder / "passport-counter"
    kind.mkdir()
    (kind / "x.j2").write_text(source)
    text = 'files:\n  x: {template: x.j2, mode: "0644"}\n'
    text += "".join(f"{script}: [[{json.dumps(word)}]]\n" for script in ("validate", "reload", "probe"))
    (kind / "unit.yaml").write_text(text)
    renderer = Renderer(sound_estate(Path("/nowhere"), templates=folder), Templates.load(folder))
    region, office, unit = next(place for place in renderer.estate.places() if place[2].service == "passport")
    renderer.unit(region, office, unit)


@pytest.mark.parametrize(
    "expression",
    [
        "estate.__class__.__mro__",
        "estate.__init__.__globals__['__builtins__']['open']('{}', 'w')",
        "''.__class__.__base__.__subclasses__()",
        "'x' * 10000000000",
        "range(10000000000) | list | length",
    ],
)
@pytest.mark.parametrize("is_word", [False, True], ids=["in a template", "in a command"])
def test_a_template_runs_nothing_on_the_machine_that_renders_it(tmp_path: Path, expression: str, is_word: bool) -> None:
    """`pulih validate` on somebody's estate, with its own templates, ran whatever Python they held."""
    written = "{{ " + expression.format(tmp_path / "owned") + " }}"
    with pytest.raises(DeclarationError):
        render(tmp_path, "x" if is_word else written, written if is_word else "true")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "source", ["{{ " + "(" * 5000 + ")" * 5000 + " }}", "{% for a in b %}" * 40 + "{% endfor %}" * 40]
)
def test_a_template_nested_too_deep_is_named(tmp_path: Path, source: str) -> None:
    with pytest.raises(DeclarationError, match=r"x\.j2:.* can't be compiled"):
        render(tmp_path, source)


def test_a_word_with_a_nul_is_not_taken_for_the_nonce(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"U\+0000"):
        render(tmp_path, "x", "\0nonce\0")


@contextmanager
def a_run(folder: Path, journal: bytes) -> Generator[Path]:
    write_files(folder / "estate")
    run = folder / ".pulih" / "runs" / RESULT.run
    run.mkdir(parents=True)
    (run / "plan.json").write_text("{}")
    (run / "journal.jsonl").write_bytes(journal)
    yield folder / "estate"


REPORT = to_json(RESULT)


@pytest.mark.parametrize(
    ("at", "report"),
    [
        ("2024-06-20T00:54:00", REPORT),
        ("0001-01-01T00:00:00+23:59", REPORT),
        (AT.isoformat(), {**REPORT, "exit_code": 10**400}),
        (AT.isoformat(), {**REPORT, "lost_at": "9999-12-31T23:59:59-23:59"}),
    ],
    ids=["no offset", "before all time", "a huge number", "after all time"],
)
@pytest.mark.parametrize("verb", [["runs"], ["report"]], ids=" ".join)
def test_a_journal_whose_chain_was_made_to_fit_is_exit_6_and_no_crash(
    tmp_path: Path, capsys: Capture, at: str, report: dict[str, object], verb: list[str]
) -> None:
    with a_run(tmp_path, chained([(at, "run-started", {"epoch": 1, "report": report})])) as estate:
        said = pulih(capsys, *verb, "--estate", estate)
    assert said.code == 6, said.err
    assert "not trusted" in said.err
    assert "Traceback" not in said.err


def test_cancel_writes_nothing_from_a_journal_to_the_terminal_as_it_stands(tmp_path: Path, capsys: Capture) -> None:
    report = {**REPORT, "to": "cloud-1\x1b]0;owned\x07"}
    with a_run(tmp_path, chained([(AT.isoformat(), "run-started", {"epoch": 1, "report": report})])) as estate:
        said = pulih(capsys, "cancel", RESULT.run, "--estate", estate)
    assert said.code == 0, said.err
    assert r"cloud-1\x1b]0;owned\x07" in said.out


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_escapes_what_acts_on_a_terminal_though_json_need_not(tmp_path: Path, capsys: Capture, form: str) -> None:
    """U+009B begins a command to a terminal, like ESC and `[`; U+202E turns the order of reading round."""
    report = {**REPORT, "verb": "apply\x9b2J\u202e\x7f"}
    with a_run(tmp_path, chained([(AT.isoformat(), "run-started", {"epoch": 1, "report": report})])) as estate:
        said = pulih(capsys, "report", "--output", form, "--estate", estate, "--report-dir", tmp_path / "out")
    assert r"apply\u009b2J\u202e\u007f" in said.out
    assert json.loads((tmp_path / "out" / "report.json").read_text())["verb"] == report["verb"]
    assert "\x9b" not in (tmp_path / "out" / "report.json").read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"run": "r\x1b[2J"},
        {"digest": "sha256:0"},
        {"holder": "h\nh"},
        {"applied_at": "\u202e"},
        {"epoch": 10**18},
        {"epoch": "1"},
        {"epoch": 1.5},
    ],
)
def test_a_receipt_that_the_applier_did_not_write_is_none(change: dict[str, object]) -> None:
    assert parse_receipt(json.dumps(RECEIPT)) is not None
    assert parse_receipt(json.dumps({**RECEIPT, **change})) is None


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 10**25},
        {"epoch": float("inf")},
        {"heartbeat": "2024-06-20T00:54:00"},
        {"since": "0001-01-01T00:00:00+23:59"},
        {"run": "x\nerror: all is lost"},
    ],
)
def test_a_lease_that_pulih_did_not_write_says_so(change: dict[str, object]) -> None:
    """Its epoch went to every unit, which refused it; its heartbeat could not be compared with now."""
    assert Holder.from_json("leases/west.json", as_bytes(LEASE)).epoch.number == 7
    with pytest.raises(PulihError, match="is not a lease that pulih can read"):
        Holder.from_json("leases/west.json", as_bytes({**LEASE, **change}))


def test_a_lease_nested_deep_says_so_too() -> None:
    with pytest.raises(PulihError, match="is not a lease"):
        Holder.from_json("leases/west.json", b"[" * 100_000)


def test_a_labs_card_does_not_choose_which_process_is_ended(tmp_path: Path) -> None:
    """`lab down` sent SIGTERM to whatever number stood in `lab.json`; -1 would have been everything."""
    lock = Layout(tmp_path).lock
    lock.touch()
    script = (
        f"import fcntl, time; f = open({str(lock)!r}); fcntl.flock(f, 2); print('held', flush=True); time.sleep(60)"
    )
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        for pid in (bystander.pid, -1, 1, True, os.getpid()):
            (tmp_path / "lab.json").write_bytes(as_bytes({**CARD, "pid": pid}))
            with pytest.raises(LabError, match=r"none of this lab's|for the number of a process"):
                manage.down(tmp_path)
        assert bystander.poll() is None
        assert holder.poll() is None
    finally:
        for process in (bystander, holder):
            process.kill()
            process.communicate()


def test_the_name_of_a_stored_run_stays_text_in_the_command_that_goes_on_with_it() -> None:
    # It stood as it was in the Markdown's `pulih resume RUN`, where it could clear a terminal or end the code.
    told = to_markdown(Story(result=replace(RESULT, run="\x1b[2J` <b>"), finished=True))
    assert r"`pulih resume \x1b[2J' <b>`" in told
    shown(told)
