"""Notices to a webhook and metrics for a node: what they say, and that nobody who listens can hold up a run."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from recovery.cli import telling, webhook
from recovery.cli.webhook import Receiver
from recovery.errors import HostKeyError, PlanError, UnreachableError
from recovery.model.estate import UnitName
from tests.cli_world import Said, Units, pulih, small_estate

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
KEY = b"0123456789abcdef0123456789abcdef"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@dataclass
class Posted:
    """What a receiver was told.

    Attributes:
        url: Of the receiver; with a token, as chat services have it.
        statuses: Answers still to give, in order; then 204.
        answers: Whether it answers at all.
    """

    url: str = ""
    statuses: list[int] = field(default_factory=list[int])
    answers: threading.Event = field(default_factory=threading.Event)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list[tuple[dict[str, str], bytes]])

    @property
    def notices(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]


@contextmanager
def receiving() -> Generator[Posted]:
    posted = Posted()
    posted.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.answers.wait()
            posted.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(posted.statuses.pop(0) if posted.statuses else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    posted.url = f"http://127.0.0.1:{server.server_port}/hooks/t0ken"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield posted
    finally:
        posted.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def posted(monkeypatch: Patch) -> Generator[Posted]:
    with receiving() as posted:
        monkeypatch.setenv("PULIH_WEBHOOK", posted.url)
        monkeypatch.setattr(webhook, "_RETRIES", webhook._RETRIES.new(backoff_factor=0, backoff_jitter=0))  # pyright: ignore[reportPrivateUsage]
        yield posted


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: Patch) -> Path:
    monkeypatch.delenv("PULIH_ESTATE", raising=False)
    monkeypatch.delenv("PULIH_STATE", raising=False)
    return small_estate(tmp_path)


@pytest.fixture
def units(estate: Path, monkeypatch: Patch) -> Units:
    return Units(estate).install(monkeypatch)


@pytest.mark.usefixtures("units")
def test_a_run_tells_of_its_beginning_and_its_end_signed(
    estate: Path, posted: Posted, capsys: Capture, monkeypatch: Patch
) -> None:
    monkeypatch.setenv("PULIH_WEBHOOK_SECRET", SECRET)
    assert pulih(capsys, "recover", "--lost", "pdns-2", "--yes", "--estate", estate).code == 0
    began, ended = posted.notices
    assert (began["type"], ended["type"]) == ("run.started", "run.finished")
    assert (began["lost"], began["to"], began["units"]) == ("pdns-2", "cloud-1", 3)
    assert began["text"].endswith("has begun: 3 units, from pdns-2 to cloud-1")
    assert (ended["exit_code"], ended["totals"]["verified"], ended["run"]) == (0, 3, began["run"])
    assert "3 of 3 units verified" in ended["text"]
    for headers, body in posted.requests:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        wanted = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{wanted}"
    assert len({headers["webhook-id"] for headers, _ in posted.requests}) == 2


def test_a_held_wave_is_told_with_what_to_type(
    tmp_path: Path, posted: Posted, capsys: Capture, monkeypatch: Patch
) -> None:
    folder = small_estate(tmp_path / "strict", **{"failures: 2": "failures: 0"})
    units, name = Units(folder).install(monkeypatch), UnitName("airport-border-crossing")
    units.fails[name] = HostKeyError(name, "showed another key")
    assert pulih(capsys, "apply", "--estate", folder).code == 5
    _, held, ended = posted.notices
    assert (held["type"], held["wave"]) == ("wave.held", "border-crossing")
    assert f"`pulih resume {ended['run']} --past border-crossing`" in held["text"]
    assert ended["exit_code"] == 5


@pytest.mark.usefixtures("units")
def test_a_receiver_that_is_busy_is_tried_again(estate: Path, posted: Posted, capsys: Capture) -> None:
    posted.statuses = [503, 429]
    said = pulih(capsys, "apply", "--estate", estate)
    assert (said.code, "webhook" in said.err) == (0, False)
    assert [notice["type"] for notice in posted.notices] == ["run.started"] * 3 + ["run.finished"]


@pytest.mark.usefixtures("units")
def test_a_receiver_that_says_no_is_named_without_its_token(estate: Path, posted: Posted, capsys: Capture) -> None:
    posted.statuses = [404, 404]
    said = pulih(capsys, "apply", "--estate", estate)
    assert said.code == 0
    assert "the webhook was not told all: 127.0.0.1 took 0 of 2 notices: it answered 404" in said.err
    assert "t0ken" not in said.err


@pytest.mark.usefixtures("units")
def test_a_receiver_that_never_answers_holds_up_nothing(
    estate: Path, posted: Posted, capsys: Capture, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(telling, "_LAST_WORDS_S", 0.1)
    posted.answers.clear()
    said = pulih(capsys, "apply", "--estate", estate)
    assert said.code == 0
    assert "took 0 of 2 notices: it has not answered yet" in said.err


@pytest.mark.usefixtures("units")
@pytest.mark.parametrize(
    ("address", "secret"),
    [("ftp://x", None), ("http://alerts.example/t0ken", None), ("https://[", None), ("https://x", "whsec_c2hvcnQ=")],
)
def test_what_is_no_receiver_is_said_and_the_run_goes_on(
    estate: Path, capsys: Capture, monkeypatch: Patch, address: str, secret: str | None
) -> None:
    with pytest.raises(PlanError, match="PULIH_WEBHOOK"):
        Receiver.of(address, secret)
    monkeypatch.setenv("PULIH_WEBHOOK", address)
    monkeypatch.setenv("PULIH_WEBHOOK_SECRET", secret or "")
    said = pulih(capsys, "apply", "--estate", estate)
    assert said.code == 0
    assert "nobody is told by webhook: PULIH_WEBHOOK" in said.err
    assert "t0ken" not in said.err
    assert "c2hvcnQ" not in said.err


def metrics(file: Path) -> dict[tuple[str, frozenset[str]], float]:
    """Return the value of each sample, by its name and the labels that tell it from others."""
    families = text_string_to_metric_families(file.read_text())
    return {
        (sample.name, frozenset(sample.labels.values()) - {"small", "apply"}): sample.value
        for family in families
        for sample in family.samples
    }


def applied(capsys: Capture, estate: Path) -> Said:
    return pulih(capsys, "apply", "--estate", estate)


def test_the_metrics_of_the_last_run_are_left_for_the_node(
    estate: Path, units: Units, capsys: Capture, monkeypatch: Patch, tmp_path: Path
) -> None:
    file = tmp_path / "metrics" / "pulih.prom"
    monkeypatch.setenv("PULIH_METRICS", str(file))
    assert applied(capsys, estate).code == 0
    found = metrics(file)
    assert found["pulih_run_exit_code", frozenset()] == 0
    assert found["pulih_units", frozenset({"verified"})] == 3
    assert found["pulih_service_rto_met", frozenset({"passport"})] == 1

    sick = next(iter(name for name in units.digests if "passport" in name and "pdns" not in name))
    units.fails[sick] = UnreachableError(sick, "no route")
    assert applied(capsys, estate).code == 3
    found = metrics(file)
    assert found["pulih_run_exit_code", frozenset()] == 3
    assert found["pulih_units", frozenset({"quarantined"})] == 1
    assert sum(value for (name, _), value in found.items() if name == "pulih_units_quarantined") == 1
    assert found["pulih_service_rto_met", frozenset({"passport"})] == 0
    assert ("pulih_service_recovery_seconds", frozenset({"passport"})) not in found


@pytest.mark.usefixtures("units")
def test_metrics_that_can_not_be_written_are_a_line_and_no_failure(
    estate: Path, capsys: Capture, monkeypatch: Patch, tmp_path: Path
) -> None:
    (tmp_path / "in-the-way").touch()
    monkeypatch.setenv("PULIH_METRICS", str(tmp_path / "in-the-way" / "pulih.prom"))
    said = applied(capsys, estate)
    assert said.code == 0
    assert "the metrics could not be written: " in said.err
