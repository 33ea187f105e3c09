"""What reaches a shell: headers, bundles and declared words, in real dash and busybox; no value becomes a command."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from recovery.errors import DeclarationError
from recovery.model.bundle import Bundle
from recovery.protocol import applier_text
from recovery.render import Renderer, Templates
from tests.estates import sound_estate
from tests.hostile.property import CommandRunError, OutsideError, Property, no_stranger
from tests.hostile.strategies import CANARY, FRAGMENTS, damaged_bytes, valid_text, yaml_scalar
from tests.shells import Shell, bundle

SHELLS = ("dash", "busybox")
WITHIN_S = 15


class Yard:
    """A shell with its programs, a canary among them, and a folder in which nothing may appear but what is known.

    Attributes:
        work: Where scripts run; stays empty.
        root: Of a unit.
        record: The words that the program `record` was given, each ended by a NUL.
    """

    def __init__(self, name: str) -> None:
        self._made = tempfile.TemporaryDirectory(prefix="pulih-yard-")  # gone with the process
        self.folder = Path(self._made.name)
        self.shell = Shell(name, self.folder / "shell")
        self.work, self.root, self.record = self.folder / "work", self.folder / "root", self.folder / "record"
        self._ran = self.folder / "ran"
        self._program(CANARY, f": >{self._ran}")
        self._program("record", f'printf "%s\\0" "$@" "" >>{self.record}')
        self.known = frozenset({"shell", "work", "root", "record"})

    def _program(self, name: str, script: str) -> None:
        path = self.shell.folder / "bin" / name
        path.write_text(f"#!/bin/dash\n{script}\n")
        path.chmod(0o755)

    def clear(self) -> None:
        for folder in (self.work, self.root):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        self.record.write_bytes(b"")

    def run(self, arguments: Sequence[str], stdin: bytes = b"") -> bytes:
        """Run the shell with these arguments and insist that no canary ran and no file appeared."""
        done = subprocess.run(
            [*self.shell.command, *arguments],
            input=stdin,
            capture_output=True,
            cwd=self.work,
            env=self.shell.environment,
            timeout=WITHIN_S,
        )
        if self._ran.exists():
            self._ran.unlink()
            raise CommandRunError(f"the canary ran: {arguments[1:]!r} {stdin[:300]!r}")
        no_stranger(self.work, frozenset())
        no_stranger(self.folder, self.known)
        return done.stdout

    def visited(self) -> None:
        """Insist that a visit has left in the root what the applier leaves, and nothing else."""
        no_stranger(
            self.root,
            frozenset({"current", "releases", "receipt.json", "epoch", "lock", "private", "current.new"}),
        )
        for path in (self.root / "releases").glob("*"):
            if not path.name.startswith(("sha256:", ".stage")):
                raise OutsideError(f"{path.name} among the releases")
        current = self.root / "current"
        if current.is_symlink() and not str(current.readlink()).startswith("releases/sha256:"):
            raise OutsideError(f"current leads to {current.readlink()}")


@cache
def yard(name: str) -> Yard:
    """Return the yard of a shell, one for all inputs of a process."""
    return Yard(name)


HEADER = "pulih/1 {mode} unit {root} {digest} {epoch} h run {size}\n"
A = bundle("a")


def _header(drawn: tuple[str, bytes, bytes, bytes]) -> None:
    name, header, receipt, epoch = drawn
    here = yard(name)
    here.clear()
    for file, content in (("receipt.json", receipt), ("epoch", epoch)):
        if content:
            (here.root / file).write_bytes(content)
    said = here.run(["-c", applier_text()], header.replace(b"@root", str(here.root).encode()) + b"rest\n")
    if b"@root " in header:  # another root is a folder in the yard, in which the applier does as it is told
        here.visited()
    words = [line.split(b" ")[0] for line in said.splitlines()]
    known = (b"same", b"send", b"refused", b"at", b"failed", b"done", b"epoch", b"receipt", b"missing", b"answer")
    for word in words:
        assert word in known or receipt, said


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Return a header with a field or two that are not what they should be; its root stays in the yard."""
    fields: dict[str, str] = {
        "mode": draw(st.sampled_from(["apply", "read", "probe", "forget"])),
        "root": "@root",
        "digest": "sha256:" + "0" * 64,
        "epoch": "7",
        "size": "5",
    }
    for key in draw(st.lists(st.sampled_from(sorted(fields)), max_size=2)):
        value = draw(valid_text)
        fields[key] = "@root/" + value if key == "root" else value
    line = HEADER.format(**fields).encode()
    return line if "/" in fields["root"] else draw(damaged_bytes(line) | st.just(line))


_on_disk = st.one_of(
    st.just(b""),
    valid_text.map(str.encode),
    st.sampled_from(
        [b"9" * 30 + b" h\n", b"-1 h\n", b"7 h\n", b"0x10 h", b'{"digest":"x"}\n', b"\xff" * 2000, b"x" * 200_000]
    ),
)


def _words(drawn: tuple[str, list[str], str]) -> None:
    """Every word of a command reaches its program as it is declared."""
    name, words, nonce = drawn
    here = yard(name)
    here.clear()
    made = _rendered(words)
    if made is None:
        return
    for file in made.files:
        if file.path.startswith("unit/"):
            (here.root / file.path).parent.mkdir(exist_ok=True)
            (here.root / file.path).write_bytes(file.content)
    for script in ("validate", "reload", "probe"):
        here.run([str(here.root / "unit" / script), nonce.replace("\0", "")])
    if any("{" in word for word in words):
        return
    given = here.record.read_bytes().split(b"\0\0")
    wanted = b"\0".join(word.encode() for word in words)
    assert given == [wanted, wanted, wanted, b""] or not all(words), (given, wanted)


def _rendered(words: list[str]) -> Bundle | None:
    """Return the bundle of a unit whose scripts run `record` with these words; None when they are refused."""
    command = f"[[record, {', '.join(map(yaml_scalar, words))}]]"
    text = "files:\n  a.conf: {template: a.j2, mode: '0644'}\n"
    text += "".join(f"{script}: {command}\n" for script in ("validate", "reload", "probe"))
    with tempfile.TemporaryDirectory(prefix="pulih-kinds-") as folder:
        kind = Path(folder) / "passport-counter"
        kind.mkdir()
        (kind / "a.j2").write_text("a\n")
        (kind / "unit.yaml").write_bytes(text.encode("utf-8", "replace"))
        estate = sound_estate(Path("/nowhere"), templates=Path(folder))
        region, office, unit = next(place for place in estate.places() if place[2].service == "passport")
        try:
            return Renderer(estate, Templates.load(Path(folder))).unit(region, office, unit)
        except DeclarationError:
            return None


_names = st.one_of(
    st.sampled_from(
        [
            "../outside",
            ".stage/../../../outside",
            ".stage/a/../../../../outside",
            "outside",
            "/@folder/outside",
            ".stage/a.conf",
            ".stage/MANIFEST",
            ".stage/unit/probe",
            ".stage",
            ".stage/a.conf/b",
            ".stage/x\n-rw-r--r-- 0/0 5 2024-01-01 00:00 .stage/a.conf",
            ".stage/" + "n" * 300,
            ".stage/x -> /etc/passwd",
            "--checkpoint=1",
        ]
    ),
    st.sampled_from(FRAGMENTS).map(lambda text: ".stage/" + text.replace("\0", "").replace("/", "")[:80]),
)
_kinds = st.sampled_from(
    [
        tarfile.REGTYPE,
        tarfile.REGTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.DIRTYPE,
    ]
)
_members = st.lists(
    st.tuples(_names, _kinds, st.sampled_from(["/@folder/outside", "../../../outside", "a.conf"])), max_size=3
)


def _tar(drawn: tuple[str, list[tuple[str, bytes, str]], bool, bool]) -> None:
    """Whatever a tar holds is unpacked inside the staging folder or refused; only a whole bundle becomes current."""
    name, members, is_first, is_compressed = drawn
    here = yard(name)
    here.clear()
    content = packed(members, str(here.folder), is_first=is_first, is_compressed=is_compressed)
    header = HEADER.format(mode="apply", root=here.root, digest=A.digest, epoch=7, size=len(content))
    said = here.run(["-c", applier_text()], header.encode() + content)
    here.visited()
    current = here.root / "current"
    if b"done" in said.split() or current.exists():
        files = {
            path.relative_to(current.resolve()).as_posix() for path in current.resolve().rglob("*") if not path.is_dir()
        }
        assert files == {"MANIFEST", *(file.path for file in A.files)}, said
        assert hashlib.sha256((current / "MANIFEST").read_bytes()).hexdigest() == A.digest.removeprefix("sha256:")


def packed(members: list[tuple[str, bytes, str]], folder: str, *, is_first: bool, is_compressed: bool) -> bytes:
    """Return a tar of a sound bundle with other members before or behind it."""
    buffer = io.BytesIO()

    def strange(archive: tarfile.TarFile) -> None:
        for path, kind, link in members:
            info = tarfile.TarInfo(path.replace("@folder", folder.lstrip("/")).encode("utf-8", "replace").decode())
            info.type, info.linkname = kind, link.replace("@folder", folder.lstrip("/"))
            info.size = 5 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"evil\n") if kind == tarfile.REGTYPE else None)

    with tarfile.open(fileobj=buffer, mode="w:gz" if is_compressed else "w", format=tarfile.GNU_FORMAT) as archive:
        if is_first:
            strange(archive)
        for path, mode, content in [("MANIFEST", 0o644, A.manifest), *((f.path, f.mode, f.content) for f in A.files)]:
            info = tarfile.TarInfo(f".stage/{path}")
            info.size, info.mode = len(content), mode
            archive.addfile(info, io.BytesIO(content))
        if not is_first:
            strange(archive)
    return buffer.getvalue()


def _of(
    name: str, inputs: st.SearchStrategy[Any], check: Callable[[Any], None], weight: int, examples: int
) -> Property:
    return Property(name=name, inputs=inputs, check=check, weight=weight, examples=examples, needs=("busybox",))


_shells = st.sampled_from(SHELLS)
_no_command = valid_text.filter(lambda text: text != "")
PROPERTIES = (
    _of("header", st.tuples(_shells, headers(), _on_disk, _on_disk), _header, 12, 40),
    _of("words", st.tuples(_shells, st.lists(_no_command, min_size=1, max_size=4), valid_text), _words, 12, 40),
    _of("tar", st.tuples(_shells, _members, st.booleans(), st.booleans()), _tar, 10, 40),
)
