"""The folder of templates: read once, checked as far as that goes without an estate, compiled.

One subfolder a kind of unit, with its `unit.yaml`; `_shared/` holds pieces for several kinds. What templates may use is
listed in the package's docstring.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from recovery.declared import nodes
from recovery.errors import DeclarationError, Mistake
from recovery.files import UnfitFileError, read_regular
from recovery.render import kind as kinds
from recovery.render.kind import Argument, KindSpec
from recovery.render.library import Library, Parsed

ENDPOINT_HOST = "endpoint-host"
"""The kind of every data centre's endpoint."""

SHARED = "_shared"

_EVERYWHERE = frozenset(
    {"estate", "service", "endpoint", "data_centre", "identity", "time", "bastion", "login", "root"}
)
_AT_OFFICES = frozenset({"region", "office", "unit"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTemplate:
    """One file of a kind of unit.

    Attributes:
        path: Where it stands in the release.
        mode: Permission bits.
        source: The template's own file.
        is_common: It uses the estate and nothing else, so it is the same for every unit.
    """

    path: str
    mode: int
    source: Path
    template: jinja2.Template
    is_common: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word of a command: constant where `template` is None."""

    argument: Argument
    template: jinja2.Template | None


Command = tuple[Word, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of unit, ready to render.

    Attributes:
        file: Its `unit.yaml`.
        scripts: By the name of the script, its commands.
    """

    name: str
    file: Path
    files: tuple[FileTemplate, ...]
    scripts: Mapping[str, tuple[Command, ...]]


class Templates:
    """All templates of a folder.

    Attributes:
        folder: Where they were read from.
        kinds: By name.
        digest: `sha256:` over the names and bytes of every `unit.yaml` and `.j2` file.
    """

    def __init__(self, folder: Path, kinds: Mapping[str, Kind], digest: str) -> None:
        self.folder = folder
        self.kinds = kinds
        self.digest = digest

    @staticmethod
    def load(folder: Path) -> Templates:
        """Read every template, and compile them unless this process has compiled the same bytes before.

        Raises:
            DeclarationError: Every mistake of the folder, with file and line.
        """
        reading = _Reading(folder)
        known = _LOADED.get(folder)
        if known is not None and not reading.mistakes and known.digest == reading.digest:
            return known
        checking = _Checking(Library(folder, reading.sources), reading.mistakes)
        compiled = {spec.name: checking.kind(spec) for spec in reading.specs}
        if not reading.specs and not reading.mistakes:
            words = "holds no kind of unit; expected folders with a unit.yaml each"
            reading.mistakes.append(Mistake(file=folder, line=1, path="(folder)", message=words))
        for name in reading.sources:
            checking.parsed(name)
        if reading.mistakes:
            once = {str(mistake): mistake for mistake in reading.mistakes}
            raise DeclarationError(sorted(once.values(), key=lambda mistake: (str(mistake.file), mistake.line)))
        _LOADED[folder] = Templates(folder, compiled, reading.digest)
        return _LOADED[folder]


_LOADED: dict[Path, Templates] = {}
"""What each folder held when it was last found sound; compiling costs 0.1 s."""


class _Reading:
    """The files of the folder, as far as they could be read."""

    def __init__(self, folder: Path) -> None:
        self.mistakes: list[Mistake] = []
        self.specs: list[KindSpec] = []
        self.sources: dict[str, str] = {}
        lines: list[str] = []
        try:
            subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
        except OSError as error:
            words = f"cannot be read: {error.strerror}"
            self.mistakes.append(Mistake(file=folder, line=1, path="(folder)", message=words))
            return
        for subfolder in subfolders:
            for path, content in self._contents(subfolder):
                lines.append(f"{hashlib.sha256(content).hexdigest()} {subfolder.name}/{path.name}\n")
        self.digest = "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()

    def _contents(self, subfolder: Path) -> Iterator[tuple[Path, bytes]]:
        """Take in one subfolder; yield its files with their bytes, in the order of their names."""
        for path in sorted(subfolder.glob("*.j2")):
            content = b""
            self.sources[f"{subfolder.name}/{path.name}"] = ""
            try:
                content = read_regular(path, nodes.MAX_FILE_BYTES)
                self.sources[f"{subfolder.name}/{path.name}"] = content.decode()
            except OSError as error:
                words = f"{'' if isinstance(error, UnfitFileError) else 'cannot be read: '}{error.strerror}"
                self.mistakes.append(Mistake(file=path, line=1, path="(file)", message=words))
            except UnicodeDecodeError as error:
                line = content.count(b"\n", 0, error.start) + 1
                words = "is not UTF-8; save it as UTF-8"
                self.mistakes.append(Mistake(file=path, line=line, path="(file)", message=words))
            yield path, content
        if subfolder.name != SHARED:
            spec, content, mistakes = kinds.read(subfolder)
            self.mistakes += mistakes
            if spec is not None:
                self.specs.append(spec)
            yield subfolder / "unit.yaml", content


class _Checking:
    """What `unit.yaml` names, looked up and compiled; mistakes pile up in the list it is given."""

    def __init__(self, library: Library, mistakes: list[Mistake]) -> None:
        self._library = library
        self._mistakes = mistakes

    def parsed(self, name: str) -> Parsed | None:
        """Return a template, or None with the reason noted."""
        found = self._library[name]
        if isinstance(found, Mistake):
            self._mistakes.append(found)
            return None
        return found

    def kind(self, spec: KindSpec) -> Kind:
        """Compile what one kind needs."""
        allowed = _EVERYWHERE if spec.name == ENDPOINT_HOST else _EVERYWHERE | _AT_OFFICES
        files: list[FileTemplate] = []
        for file in spec.files:
            if file.template not in self._library:
                words = f"there is no template {file.template} in {self._library.folder}"
                self._note(spec.file, file.line, file.place, words)
                continue
            used = self._used(file.template, allowed, spec.name, ())
            found = self.parsed(file.template)
            if used is not None and found is not None:
                files.append(
                    FileTemplate(
                        path=file.path,
                        mode=file.mode,
                        source=self._library.folder / file.template,
                        template=found.compiled,
                        is_common=used <= {"estate"},
                    )
                )
        scripts = {
            name: tuple(
                tuple(
                    self._word(spec, argument, allowed | {"nonce"} if name == "probe" else allowed)
                    for argument in command
                )
                for command in commands
            )
            for name, commands in spec.scripts.items()
        }
        return Kind(name=spec.name, file=spec.file, files=tuple(files), scripts=scripts)

    def _note(self, file: Path, line: int, path: str, message: str) -> None:
        self._mistakes.append(Mistake(file=file, line=line, path=path, message=message))

    def _used(self, name: str, allowed: frozenset[str], kind: str, above: tuple[str, ...]) -> frozenset[str] | None:
        """Return the variables of a template and all it includes, noting those its kind doesn't have."""
        found = self.parsed(name)
        if found is None:
            return None
        file = self._library.folder / name
        for variable, line in sorted(found.variables.items()):
            if variable not in allowed:
                self._note(file, line, variable, _unknown(allowed, kind))
        used = frozenset(found.variables)
        for reference, line in found.includes.items():
            if reference in (*above, name):
                self._note(file, line, "(template)", f"includes {reference}, which includes this one again")
                return None
            more = self._used(reference, allowed, kind, (*above, name))
            if more is None:
                return None
            used |= more
        return used

    def _word(self, spec: KindSpec, argument: Argument, allowed: frozenset[str]) -> Word:
        if "{" not in argument.text:
            return Word(argument=argument, template=None)
        try:
            variables, template = self._library.text(argument.text)
        except jinja2.TemplateSyntaxError as error:
            self._note(spec.file, argument.line, argument.place, f"is not a valid template: {error.message}")
            return Word(argument=argument, template=None)
        for variable in sorted(variables - allowed):
            self._note(spec.file, argument.line, argument.place, f"uses {variable!r}: {_unknown(allowed, spec.name)}")
        return Word(argument=argument, template=template)


def _unknown(allowed: frozenset[str], kind: str) -> str:
    return f"is no variable of {kind}'s templates; they have {', '.join(sorted(allowed))}"
