"""What a poll costs, and how a client takes what mirrors, disks and clocks do to it; beside the conformance vectors."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from pulih_client import LIMITS, BusyError, Client, Limits, Outcome, Poll, State
from pulih_client.__main__ import main
from pulih_client.fetch import Mirror
from pulih_client.schedule import Age, age, first_wait_s, wait_s

from tests.vectors.repository import BEGAN, DAY, Repository, a_manifest, a_repository, names
from tests.vectors.serving import Site, Trick, serving
from tests.vectors.wires import closing, counted, dripping, over_tls

Capture = pytest.CaptureFixture[str]


def a_client(folder: Path, first: Repository, *sites: Site, limits: Limits = LIMITS) -> Client:
    root = first.files["metadata/1.root.json"]
    return Client(State(folder), root, [site.url for site in sites], limits=limits, random=Random(1))


def reasons(poll: Poll) -> list[tuple[str, str]]:
    return [(refusal.reason.value, refusal.file) for refusal in poll.refusals]


@pytest.fixture
def first() -> Repository:
    return a_repository()


@pytest.fixture
def site(first: Repository) -> Iterator[Site]:
    with serving(first.files) as served:
        yield served


def test_a_poll_that_finds_nothing_new_costs_less_than_500_bytes(first: Repository, site: Site, tmp_path: Path) -> None:
    client = a_client(tmp_path, first, site)
    assert client.poll(BEGAN).outcome is Outcome.UPDATED
    site.asked.clear()
    poll = client.poll(BEGAN)
    assert (poll.outcome, site.asked) == (Outcome.UNCHANGED, [("metadata/timestamp.json", 304)])
    assert 200 < poll.sent_bytes + poll.received_bytes < 500


def test_a_poll_that_finds_a_new_manifest_and_two_new_roots_costs_less_than_10_000_bytes(
    first: Repository, site: Site, tmp_path: Path
) -> None:
    client = a_client(tmp_path, first, site)
    client.poll(BEGAN)
    changed = first.fork().root(root=names("root", 3, "-b")).root(targets=names("targets", 3, "-b"))
    site.files = changed.publish(a_manifest(8)).files
    poll = client.poll(BEGAN)
    assert poll.outcome is Outcome.UPDATED
    assert 3_000 < poll.sent_bytes + poll.received_bytes < 10_000


def test_the_bytes_that_are_counted_are_those_on_the_wire(first: Repository, site: Site, tmp_path: Path) -> None:
    with counted(site) as (url, count):
        client = Client(State(tmp_path), first.files["metadata/1.root.json"], [url])
        polls = [client.poll(BEGAN), client.poll(BEGAN)]
    assert [poll.outcome for poll in polls] == [Outcome.UPDATED, Outcome.UNCHANGED]
    assert sum(poll.sent_bytes + poll.received_bytes for poll in polls) == sum(count)


def test_all_of_a_poll_goes_over_one_connection(first: Repository, site: Site, tmp_path: Path) -> None:
    with counted(site) as (url, count):
        Client(State(tmp_path), first.files["metadata/1.root.json"], [url]).poll(BEGAN)
    assert len(site.asked) == 5
    assert len(count) == 2, "a connection counts once in each direction"


def test_a_mirror_that_closes_the_connection_after_each_answer_is_followed(first: Repository, tmp_path: Path) -> None:
    with closing(first.files) as url:
        client = Client(State(tmp_path), first.files["metadata/1.root.json"], [url])
        assert client.poll(BEGAN).outcome is Outcome.UPDATED


def test_a_mirror_without_etags_costs_one_timestamp(first: Repository, tmp_path: Path) -> None:
    timestamp = first.files["metadata/timestamp.json"]
    plain = Trick(what="padded", content=timestamp, number=len(timestamp))
    with serving({**first.files, "metadata/timestamp.json": plain}) as site:
        client = a_client(tmp_path, first, site)
        client.poll(BEGAN)
        site.asked.clear()
        assert client.poll(BEGAN).outcome is Outcome.UNCHANGED
        assert site.asked == [("metadata/timestamp.json", 200)]


def test_an_etag_is_used_for_its_own_mirror_and_for_what_was_followed_only(first: Repository, tmp_path: Path) -> None:
    with serving(first.files) as one:
        a_client(tmp_path, first, one).poll(BEGAN)
        with serving(first.files) as other:
            a_client(tmp_path, first, other).poll(BEGAN)
            assert other.asked == [("metadata/timestamp.json", 200)]
        (tmp_path / "config.json").unlink()
        one.asked.clear()
        assert a_client(tmp_path, first, one).poll(BEGAN).outcome is Outcome.UPDATED
        assert one.asked[0] == ("metadata/timestamp.json", 200)


@pytest.mark.parametrize("lost", ["config.json", "seen.json", "trusted/timestamp.json", "trusted/snapshot.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"manifest": 1, "etags": 1, "pending": 1}'])
def test_a_file_of_its_own_that_is_damaged_is_made_again(
    first: Repository, site: Site, tmp_path: Path, lost: str, content: bytes
) -> None:
    client = a_client(tmp_path, first, site)
    client.poll(BEGAN)
    (tmp_path / lost).write_bytes(content)
    assert client.poll(BEGAN).outcome in (Outcome.UPDATED, Outcome.UNCHANGED)
    assert client.poll(BEGAN).outcome is Outcome.UNCHANGED
    used = client.configuration
    assert used is not None
    assert used.config_epoch == 7


def test_a_disk_that_can_not_be_written_changes_nothing(first: Repository, site: Site, tmp_path: Path) -> None:
    client = a_client(tmp_path, first, site)
    client.poll(BEGAN)
    site.files = first.fork().publish(a_manifest(8)).files
    (tmp_path / "config.new").mkdir()
    poll = client.poll(BEGAN)
    assert (poll.outcome, reasons(poll)) == (Outcome.REFUSED, [("own-disk", "manifest")])
    used = client.configuration
    assert used is not None
    assert used.config_epoch == 7
    (tmp_path / "config.new").rmdir()
    assert client.poll(BEGAN).outcome is Outcome.UPDATED


def test_two_processes_do_not_poll_with_one_state(first: Repository, site: Site, tmp_path: Path) -> None:
    client = a_client(tmp_path, first, site)
    with client.state.alone(), pytest.raises(BusyError):
        a_client(tmp_path, first, site).poll(BEGAN)
    assert client.poll(BEGAN).outcome is Outcome.UPDATED


@pytest.mark.parametrize("what", ["endless", "endless-head"])
def test_an_answer_without_an_end_costs_no_more_than_the_limit(first: Repository, tmp_path: Path, what: str) -> None:
    with serving({"metadata/timestamp.json": Trick(what=what)}) as site:
        began = time.monotonic()
        poll = a_client(tmp_path, first, site).poll(BEGAN)
    assert poll.outcome is not Outcome.UPDATED
    assert poll.received_bytes <= LIMITS.answer_bytes + 16_384
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("silent", ["before the head", "within the head", "within the body"])
def test_a_mirror_that_falls_silent_or_drips_costs_no_more_than_its_time(
    first: Repository, tmp_path: Path, silent: str
) -> None:
    said = {
        "before the head": b"",
        "within the head": b"HTTP/1.1 200 OK\r\nX",
        "within the body": b"HTTP/1.1 200 OK\r\n\r\n{",
    }
    with dripping(said[silent]) as url:
        limits = replace(LIMITS, mirror_s=0.6, gap_s=0.3)
        began = time.monotonic()
        poll = Client(State(tmp_path), first.files["metadata/1.root.json"], [url], limits=limits).poll(BEGAN)
        took = time.monotonic() - began
    assert (poll.outcome, reasons(poll)) == (Outcome.OFFLINE, [("too-slow", "timestamp")])
    assert took < 2


def test_over_tls_a_mirror_with_a_certificate_of_nobody_is_not_even_asked(first: Repository, tmp_path: Path) -> None:
    with over_tls(tmp_path, first.files) as (url, authority):
        root = first.files["metadata/1.root.json"]
        stranger = Client(State(tmp_path / "a"), root, [url]).poll(BEGAN)
        known = Client(State(tmp_path / "b"), root, [url], context=authority).poll(BEGAN)
    assert (stranger.outcome, stranger.sent_bytes) == (Outcome.OFFLINE, 0)
    assert known.outcome is Outcome.UPDATED


@pytest.mark.parametrize("url", ["ftp://mirror.example/", "mirror.example", "http://"])
def test_an_address_that_is_none_is_an_error(url: str) -> None:
    with pytest.raises(ValueError, match="is no address of a mirror"):
        Mirror(url, LIMITS)


def test_a_stale_configuration_is_told_and_never_taken_away() -> None:
    ages = [age(BEGAN + after, BEGAN) for after in (DAY, 2 * DAY, 14 * DAY, 15 * DAY, 500 * DAY)]
    assert ages == [Age.FRESH, Age.GRACE, Age.GRACE, Age.STALE, Age.STALE]
    assert age(BEGAN, None) is Age.STALE


def test_waits_are_spread_and_grow_while_nobody_answers() -> None:
    random = Random(7)

    def waits(*, connected: bool, unanswered: int) -> list[float]:
        return [wait_s(random, connected=connected, unanswered=unanswered) for _ in range(2000)]

    for connected, unanswered, mean in (
        (True, 0, 3600),
        (False, 0, 600),
        (True, 1, 600),
        (True, 2, 1200),
        (False, 3, 2400),
        (True, 4, 3600),
        (True, 1000, 3600),
    ):
        drawn = waits(connected=connected, unanswered=unanswered)
        assert mean * 0.5 <= min(drawn) < mean * 0.55
        assert mean * 1.45 < max(drawn) <= mean * 1.5
        assert sum(drawn) / len(drawn) == pytest.approx(mean, rel=0.05)
    for connected, most in ((True, 3600), (False, 600)):
        first = [first_wait_s(random, connected=connected) for _ in range(2000)]
        assert min(first) < most * 0.02
        assert most * 0.98 < max(first) <= most


def test_the_command_says_what_is_in_use_and_why_a_mirror_is_refused(tmp_path: Path, capsys: Capture) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    fresh = Repository(now=now - timedelta(hours=1)).root().publish(a_manifest())
    (tmp_path / "root.json").write_bytes(fresh.files["metadata/1.root.json"])
    words = ["pulih_client", "--state", str(tmp_path / "state"), "--once"]
    with serving(fresh.files) as site:
        assert run([*words, "--mirror", site.url]) == 1
        assert "--root names the root metadata" in capsys.readouterr().err
        assert run([*words, "--mirror", site.url, "--root", str(tmp_path / "root.json")]) == 0
        assert "cloud-1 https://citizen-app.cloud-1.example/" in capsys.readouterr().out
        site.files = {**fresh.files, "metadata/timestamp.json": b"<html>"}
        assert run([*words, "--mirror", site.url]) == 5
        said = capsys.readouterr().out
        assert ": malformed: timestamp: " in said
        assert "configuration 7 (fresh)" in said
    assert run([*words, "--mirror", site.url]) == 1
    assert json.loads((tmp_path / "state" / "config.json").read_text())["pending"] == []


def test_it_runs_without_the_rest_of_pulih(tmp_path: Path) -> None:
    package = Path(__file__).parents[2] / "clients" / "python"
    code = (
        "import sys, pulih_client.__main__; "
        "print(*sorted(m for m in sys.modules if m.split('.')[0] in ('recovery', 'infra', 'pydantic', 'typer')))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(package)}, capture_output=True, text=True
    )
    assert (said.returncode, said.stdout.strip(), said.stderr) == (0, "", "")


def test_its_own_package_asks_for_the_same_tuf_as_pulih() -> None:
    home = Path(__file__).parents[2]
    alone = tomllib.loads((home / "clients" / "python" / "pyproject.toml").read_text())["project"]["dependencies"]
    asked = [line.split("#")[0].strip() for line in (home / "requirements.in").read_text().splitlines()]
    assert alone == [line for line in asked if line.startswith("tuf==")]


def run(words: list[str]) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        return main()
