"""What the lab's stand-ins accept and answer, without a lab."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from recovery.lab import http, shapes
from recovery.lab.curl import Curl, CurlError
from recovery.lab.hosts import Host
from recovery.lab.nginxconf import ShapeError
from recovery.lab.programs import Programs
from recovery.lab.standins import SEPARATOR, Answer, Question
from recovery.render import Renderer, Templates
from tests.places import an_estate

Check = Callable[[str], None]


def asked(program: str, *words: str, folder: Path = Path("/")) -> Question:
    line = SEPARATOR.join(["7", program, str(folder), *(words or [""])]).encode()
    question = Question.read(line)
    assert question is not None
    return question


async def nothing(_host: Host) -> None:
    return


def answer(question: Question, root: Path) -> Answer:
    host = Host(name="unit", root=root, service=None)
    return asyncio.run(Programs(nothing).answer(host, question))


def test_a_question_is_read_word_by_word() -> None:
    question = asked("curl", "--header", "X-Nonce: a b", "", "http://x")
    assert question.words == ("--header", "X-Nonce: a b", "", "http://x")
    assert asked("systemctl", "").words == ()


@pytest.mark.parametrize("line", [b"", b"x", b"7\x1frm\x1f/\x1f-rf", b"x\x1fcurl\x1f/\x1f", b"7\x1fcurl"])
def test_what_no_stand_in_writes_is_no_question(line: bytes) -> None:
    assert Question.read(line) is None


def test_an_answer_names_who_asked_on_every_line() -> None:
    written = asked("df").answered(Answer(status=3, out=["one", "two"], err=["bad"]))
    assert written == b"7 o one\n7 o two\n7 e bad\n7 x 3\n"


def test_everything_that_is_rendered_passes_its_own_checks_and_can_be_loaded(tmp_path: Path) -> None:
    estate = an_estate()
    region, office, unit = next(estate.places())
    release = tmp_path / "releases" / "sha256:1"
    for file in Renderer(estate, Templates.load(estate.templates)).unit(region, office, unit).files:
        path = release / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    (tmp_path / "current").symlink_to("releases/sha256:1")
    for words in (
        ["nginx", "-t", "-q", "-p", ".", "-c", "gateway/nginx.conf"],
        ["chronyd", "-p", "-f", "time/chrony.conf"],
        ["nft", "-c", "-f", "egress/egress.nft"],
    ):
        assert answer(asked(*words, folder=release), tmp_path).status == 0

    host = Host(name="unit", root=tmp_path, service=None)
    question = asked("systemctl", "reload-or-restart", "pulih-gateway", "pulih-time.service", "pulih-counter")
    assert asyncio.run(Programs(nothing).answer(host, question)) == Answer()
    assert host.gateway is not None
    assert host.running == dict.fromkeys(("pulih-gateway", "pulih-time", "pulih-counter"), "sha256:1")
    host.stop()
    assert (host.gateway, host.running) == (None, {})

    (release / "gateway" / "trust-anchors.pem").unlink()
    refused = answer(asked("nginx", "-t", "-q", "-p", ".", "-c", "gateway/nginx.conf", folder=release), tmp_path)
    assert refused.status == 1
    assert "trust-anchors.pem: no such file" in refused.err[0]


@pytest.mark.parametrize(
    ("check", "text", "complaint"),
    [
        (shapes.chrony, "", "no source of time"),
        (shapes.chrony, "port 0\n", "no source of time"),
        (shapes.chrony, "server 127.0.0.1\n{{ torn\n", "line 2: no directive"),
        (shapes.nft, "", "no table"),
        (shapes.nft, "table inet pulih\n", "no table"),
        (shapes.nft, "table inet pulih {\n", "a `}` is missing"),
        (shapes.nft, "table inet pulih {\n}\n}\n{", "a `}` too many"),
    ],
)
def test_a_torn_file_is_refused(check: Check, text: str, complaint: str) -> None:
    with pytest.raises(ShapeError, match=complaint):
        check(text)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (shapes.chrony, "# {{\nserver 127.0.0.1 port 123 iburst\n\nport 0\n"),
        (shapes.chrony, "local stratum 8\n"),
        (shapes.nft, 'table inet pulih {\n  chain a { accept comment "a { b" } # }}}\n}\n'),
    ],
)
def test_a_whole_file_passes(check: Check, text: str) -> None:
    check(text)


def test_curl_follows_connect_to_for_the_host_and_port_it_names() -> None:
    words = ["--silent", "--fail", "--max-time", "4", "--cacert", "x.pem", "--header", "X-A: 1"]
    rule = ["--connect-to", "name:8443:[2001:db8::1]:9443"]
    found = Curl.read([*words, *rule, "https://name:8443/pulih/probe"])
    assert (found.address, found.port, found.path) == ("2001:db8::1", 9443, "/pulih/probe")
    assert (found.headers, found.within_s, found.is_failing) == (("X-A: 1",), 4, True)
    other = Curl.read([*rule, "https://127.0.0.1/"])
    assert (other.address, other.port, other.is_failing) == ("127.0.0.1", 443, False)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ([], 2),
        (["ftp://127.0.0.1/"], 2),
        (["--insecure", "https://127.0.0.1/"], 2),
        (["http://127.0.0.1/", "--header"], 2),
        (["http://127.0.0.1/", "http://127.0.0.2/"], 2),
        (["https://name/"], 6),
        (["--connect-to", "a:b", "https://127.0.0.1/"], 2),
    ],
)
def test_a_command_line_that_curl_or_the_lab_does_not_know_is_refused(words: list[str], status: int) -> None:
    with pytest.raises(CurlError) as caught:
        Curl.read(words)
    assert caught.value.status == status


def test_an_answer_has_its_length_and_its_type() -> None:
    assert http.answer(200, "é\n") == (
        b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\n\xc3\xa9\n"
    )
