"""The ways to the engine, with stand-ins of pulumi and go that are shell scripts, and a download from loopback."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.engine import bootstrap, pin, release
from infra.engine.errors import EngineError

VERSION = pin.version()
MAJOR, MINOR, PATCH = map(int, VERSION.split("."))
NOWHERE = ("http://127.0.0.1:9/refused",)
"""A source that answers nothing; port 9 (discard) is reserved and closed."""

_BUILD = "printf '#!/bin/sh\\necho v%s\\n' $V >$OUT"
"""What a go of these tests does to build."""


def _script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def _pulumi(folder: Path, version: str = VERSION, *, host: bool = True) -> Path:
    _script(folder / "pulumi", f"echo v{version}")
    if host:
        _script(folder / "pulumi-language-python", "exit 0")
    return folder


@dataclass
class Machine:
    """A machine with its own PATH and cache.

    Attributes:
        said: What the ways said.
    """

    folder: Path
    said: list[str] = field(default_factory=list[str])

    @property
    def programs(self) -> Path:
        return self.folder / "bin"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": str(self.programs), "PULIH_ENGINE_CACHE": str(self.cache), "HOME": str(self.folder)}

    @property
    def kept(self) -> list[str]:
        return [path.name for path in self.cache.iterdir() if not path.name.endswith(".lock")]

    def get(self, *sources: str) -> Path:
        return bootstrap.get(self.environment, self.said.append, sources or NOWHERE)

    def fails(self, *sources: str) -> dict[str, str]:
        with pytest.raises(EngineError) as caught:
            self.get(*sources)
        return dict(caught.value.tried)

    def has_go(self, version: str = "go1.26.8", build: str = _BUILD) -> None:
        """Install a go that knows its version, downloads everything, and builds with this command."""
        _script(
            self.programs / "go",
            f'echo "$1 $CGO_ENABLED $GOFLAGS $GOWORK" >>{self.folder}/go.log; V={VERSION}\n'
            f"case $1 in env) echo {version} ;; mod) exit 0 ;; build)\n"
            'while [ "$1" != -o ]; do case $1 in *=v"$V") L=yes ;; esac; shift; done; OUT=$2\n'
            f'[ "$L" = yes ] && {build} && chmod +x $OUT ;; esac',
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "bin").mkdir()
    for tool in ("chmod", "sleep"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / "bin" / tool).symlink_to(found)
    return Machine(tmp_path)


# The first way: PATH.


@pytest.mark.parametrize("version", [VERSION, f"{MAJOR}.{MINOR}.{PATCH + 1}", f"{MAJOR}.{MINOR + 1}.0"])
def test_a_pulumi_on_path_is_taken_as_it_is(machine: Machine, version: str) -> None:
    _pulumi(machine.programs, version)
    assert machine.get() == machine.programs == bootstrap.present(machine.environment)
    assert not machine.cache.exists()


@pytest.mark.parametrize("version", [f"{MAJOR}.{MINOR - 1}.9", "2.999.0", f"{MAJOR + 1}.0.0"])
def test_an_older_pulumi_or_one_of_another_major_version_is_not_taken(machine: Machine, version: str) -> None:
    _pulumi(machine.programs, version)
    assert f"is v{version}, v{VERSION} or a newer v{MAJOR} is needed" in machine.fails()["pulumi on PATH"]


def test_a_pulumi_without_its_language_host_is_not_taken(machine: Machine) -> None:
    _pulumi(machine.programs, host=False)
    assert "no pulumi-language-python beside it" in machine.fails()["pulumi on PATH"]


def test_a_linked_pulumi_is_taken_where_its_language_host_is(machine: Machine) -> None:
    installed = _pulumi(machine.folder / "opt")
    (machine.programs / "pulumi").symlink_to(installed / "pulumi")
    assert machine.get() == installed


def test_a_pulumi_that_does_not_run_is_named(machine: Machine) -> None:
    _script(machine.programs / "pulumi", "echo broken >&2; exit 3")
    assert machine.fails()["pulumi on PATH"].endswith("version ended with 3: broken")


def test_an_engine_got_before_is_not_mistaken_for_the_users_own(machine: Machine) -> None:
    old = _pulumi(machine.cache / f"{VERSION}-older")
    environment = {**machine.environment, "PATH": str(old)}
    with pytest.raises(EngineError, match="is one that was got here"):
        bootstrap.get(environment, machine.said.append, NOWHERE)


# The second way: the official release.


@dataclass
class Published:
    """A server of releases on loopback.

    Attributes:
        files: What it has, by name.
        asked: The names it was asked for.
    """

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    asked: list[str] = field(default_factory=list[str])
    port: int = 0

    @property
    def source(self) -> str:
        return f"http://127.0.0.1:{self.port}/v{{version}}"

    def publish(self, members: Mapping[str, str], sha256: str | None = None) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, text in members.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(text), 0o755
                archive.addfile(member, io.BytesIO(text.encode()))
        name = f"pulumi-v{VERSION}-{pin.platform_name()}.tar.gz"
        self.files[name] = packed.getvalue()
        line = f"{sha256 or hashlib.sha256(packed.getvalue()).hexdigest()}  {name}\n"
        self.files[f"pulumi-{VERSION}-checksums.txt"] = ("0" * 64 + "  pulumi-other.zip\n" + line).encode()


@pytest.fixture
def published() -> Generator[Published]:
    release_files = Published()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            folder, _, name = self.path.lstrip("/").partition("/")
            release_files.asked.append(name)
            content = release_files.files.get(name) if folder == f"v{VERSION}" else None
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        release_files.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield release_files
        server.shutdown()
        thread.join(10)


_RELEASE = {
    "pulumi/pulumi": f"#!/bin/sh\necho v{VERSION}\n",
    "pulumi/pulumi-language-python": "#!/bin/sh\necho official\n",
    "pulumi/pulumi-language-python-exec": "exec\n",
    "pulumi/pulumi-language-go": "go\n",
}


def test_the_official_release_is_got_once_and_kept(machine: Machine, published: Published) -> None:
    published.publish(_RELEASE)
    engine = machine.get(*NOWHERE, published.source)
    assert engine == machine.cache / pin.name()
    kept = {path.name: stat.S_IMODE(path.stat().st_mode) for path in engine.iterdir()}
    assert {name for name, mode in kept.items() if mode == 0o755} == {
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
    }
    assert (engine / "pulumi-language-python").read_text() == "#!/bin/sh\necho official\n"
    asked = len(published.asked)
    assert machine.get(published.source) == engine == bootstrap.present(machine.environment)
    assert len(published.asked) == asked
    assert machine.said[-1].startswith(f"got before: official release v{VERSION}")


def test_a_release_that_is_not_what_was_published_is_refused(machine: Machine, published: Published) -> None:
    published.publish(_RELEASE, sha256="1" * 64)
    assert f"published is {'1' * 64}" in machine.fails(published.source)["official release"]
    assert machine.kept == []


def test_a_release_without_a_published_sum_is_refused_unread(machine: Machine, published: Published) -> None:
    published.publish(_RELEASE)
    published.files[f"pulumi-{VERSION}-checksums.txt"] = b"0  something-else\n"
    assert "publishes no SHA-256 of" in machine.fails(published.source)["official release"]
    assert not any(name.endswith(".tar.gz") for name in published.asked)


def test_a_release_cut_short_is_refused(machine: Machine, published: Published) -> None:
    published.publish(_RELEASE)
    name = next(name for name in published.files if name.endswith(".tar.gz"))
    whole = published.files[name]
    published.files[name] = whole[:-20]
    assert "has SHA-256" in machine.fails(published.source)["official release"]


def test_a_release_of_another_version_is_refused(machine: Machine, published: Published) -> None:
    published.publish({**_RELEASE, "pulumi/pulumi": "#!/bin/sh\necho v3.1.0\n"})
    assert machine.fails(published.source)["official release"] == f"what came is not v{VERSION}"


def test_a_release_writes_nowhere_but_into_its_folder(machine: Machine, published: Published) -> None:
    published.publish({**_RELEASE, "../../../python-outside": "x", "/python-root": "x"})
    engine = machine.get(published.source)
    assert (engine / "python-outside").exists()
    assert {path.name for path in machine.folder.iterdir()} == {"bin", "cache"}


def test_a_download_that_never_answers_is_given_up(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "_ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        reason = machine.fails(f"http://127.0.0.1:{silent.getsockname()[1]}")["official release"]
        assert time.monotonic() - started < 5
    assert "timed out" in reason or "no answer" in reason


def test_a_download_that_answers_drop_by_drop_is_given_up(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "_ANSWER_S", 0.5)
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(80):  # eight seconds, should nobody give up
                if over.wait(0.1):
                    break
                connection.sendall(b".")

    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = threading.Thread(target=drip, args=(server,))
        dripping.start()
        started = time.monotonic()
        reason = machine.fails(f"http://127.0.0.1:{server.getsockname()[1]}")["official release"]
        seconds = time.monotonic() - started
        over.set()
        dripping.join(10)
    assert seconds < 5
    assert reason.endswith("no answer in 0.5 s")


# The third way: the Go module.


def test_without_release_and_go_the_error_names_all_that_was_tried(machine: Machine) -> None:
    tried = machine.fails()
    assert list(tried) == ["pulumi on PATH", "official release", "build from the Go module"]
    assert "refused" in tried["official release"]
    assert "Go 1.21 or newer is needed" in tried["build from the Go module"]
    assert [line.partition(":")[0] for line in machine.said] == list(tried)
    assert machine.kept == []
    with pytest.raises(EngineError, match="make engine gets it"):
        bootstrap.present(machine.environment)


def test_an_old_go_is_named(machine: Machine) -> None:
    machine.has_go("go1.20.14")
    reason = machine.fails()["build from the Go module"]
    assert reason.startswith(f"{machine.programs / 'go'} is go1.20.14; Go 1.21 or newer is needed")


def test_a_build_gets_the_stand_in_for_the_language_host(machine: Machine) -> None:
    machine.has_go()
    engine = machine.get()
    for name in pin.STAND_IN:
        assert (engine / name).read_bytes() == (pin.HERE / name).read_bytes()
    assert os.access(engine / "pulumi-language-python", os.X_OK)
    assert "stand-in" in machine.said[-1]
    assert (machine.folder / "go.log").read_text().splitlines()[-1] == "build 0 -mod=readonly off"


def test_a_failed_build_shows_the_end_of_what_go_said(machine: Machine) -> None:
    machine.has_go(build="echo 'cannot find module' >&2; exit 1")
    assert machine.fails()["build from the Go module"] == "go build ended with 1: cannot find module"
    assert machine.kept == []


def test_two_checkouts_at_once_build_once(machine: Machine) -> None:
    machine.has_go(build=f"while [ ! -e {machine.folder}/go-on ]; do sleep 0.05; done; {_BUILD}")
    got = list[Path]()
    askers = [threading.Thread(target=lambda: got.append(machine.get())) for _ in range(2)]
    for asker in askers:
        asker.start()
    end = time.monotonic() + 20
    while not any("waiting" in line for line in machine.said) and time.monotonic() < end:
        time.sleep(0.02)
    (machine.folder / "go-on").touch()
    for asker in askers:
        asker.join(20)
    assert got == [machine.cache / pin.name()] * 2
    assert (machine.folder / "go.log").read_text().count("build") == 1


# The command.


def test_the_last_line_of_stdout_is_the_folder_and_the_steps_are_on_stderr(machine: Machine) -> None:
    _pulumi(machine.programs)
    answer = subprocess.run(
        [sys.executable, "-m", "infra.engine"], env=machine.environment, capture_output=True, text=True, timeout=30
    )
    assert (answer.returncode, answer.stdout) == (0, f"{machine.programs}\n")
    assert answer.stderr == f"engine: pulumi on PATH: {machine.programs}\n"
