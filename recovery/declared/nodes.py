"""One YAML file → plain data (text, lists, blocks) and the line of every value in it.

Owns what pulih's dialect of YAML is: every scalar is text (Oslo's `NO` stays), no duplicate keys, no anchors, aliases
or tags, one document, UTF-8, at most 1 MiB. What the values mean is left to `schema` and `crosscheck`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.composer import ComposerError
from yaml.reader import ReaderError

from recovery.errors import DeclarationError, Mistake
from recovery.files import UnfitFileError, read_regular

MAX_FILE_BYTES = 1 << 20
MAX_DEPTH = 50
"""Deepest nesting that is read. PyYAML's C composer recurses without a limit and dies of a few thousand levels (a
segmentation fault with 6.0.3: `yaml.compose("[" * 500_000, Loader=yaml.CSafeLoader)`)."""

MAX_MISTAKES = 1000
"""Mistakes of one file that are looked for: each costs a search for its line and for what was meant, so that a file
that is nothing but mistakes would keep its reader busy for hours."""

WHOLE_FILE = "(file)"
"""The path of a mistake that is not about one value."""

Data = str | list["Data"] | dict[str, "Data"]
Location = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ODD = re.compile(r"[&*!]|^[ \t?-]{80}|(?:[?-][ \t]+){4}", re.MULTILINE)
"""What an ordinary estate file has next to never: only then is the slower look at each event worth its time."""
_MANY = 200
"""Brackets and braces of a file that can't be nested too deep, whatever they are for."""


class _Texts(yaml.CSafeLoader):
    """The C loader, without guessing which texts are numbers or dates."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # pyright: ignore[reportIncompatibleVariableOverride]


@dataclass(slots=True, eq=False)
class Document:
    """One file of the estate, as far as it could be read.

    Attributes:
        file: As the reader would name it.
        content: Its bytes; empty when it could not be read.
        data: Its plain data; None when it is not readable as YAML.
        root: The same as YAML nodes, which carry lines.
        mistakes: What is wrong with it so far.
    """

    file: Path
    content: bytes = b""
    data: Data | None = None
    root: yaml.Node | None = None
    mistakes: list[Mistake] = field(default_factory=list[Mistake])
    _paths: set[str] = field(default_factory=set[str])

    def add(self, location: Location, message: str, *, is_follow_up: bool = False) -> None:
        """Note a mistake at a place in the file; at most one a place when it is a follow-up.

        Args:
            location: Keys and indexes from the top of the file; the last may be a missing key.
            message: One sentence: what was found and what was expected.
            is_follow_up: Leave it out where that place, or something inside it, has a mistake already.
        """
        path = path_text(location) or WHOLE_FILE
        if is_follow_up and any(known == path or known.startswith((f"{path}.", f"{path}[")) for known in self._paths):
            return
        self.note(self.line(location), path, message)

    def refuse(self, line: int, message: str) -> None:
        """Note a mistake of the file as a whole."""
        self.note(line, WHOLE_FILE, message)

    def refused(self, message: str) -> list[Mistake]:
        """Refuse the file as a whole and return all that is wrong with it."""
        self.refuse(1, message)
        return self.mistakes

    def note(self, line: int, path: str, message: str) -> None:
        """Note a mistake whose line and path are known.

        Raises:
            DeclarationError: There are `MAX_MISTAKES` already; the rest of the file, and of the estate, is not read.
        """
        if len(self.mistakes) == MAX_MISTAKES:
            more = f"has more mistakes than the {MAX_MISTAKES:,} named here; mend these first"
            ordered = sorted(self.mistakes, key=lambda found: found.line)
            raise DeclarationError([*ordered, Mistake(file=self.file, line=line, path=WHOLE_FILE, message=more)])
        self._paths.add(path)
        self.mistakes.append(Mistake(file=self.file, line=line, path=path, message=message))

    def has(self, path: str) -> bool:
        """Whether a mistake at this path is known."""
        return path in self._paths

    def line(self, location: Location) -> int:
        """Return the one-based line of a value, or of the nearest thing around it that is there."""
        node, line = self.root, 1
        if node is not None:
            line = node.start_mark.line + 1
        for part in location:
            step = _child(node, part)
            if step is None:
                break
            node, line = step
        return line

    def key_line(self, location: Location) -> int:
        """Return the one-based line of the key that a value stands under."""
        node = self.root
        for part in location[:-1]:
            step = _child(node, part)
            if step is None:
                return self.line(location)
            node, _ = step
        if isinstance(node, yaml.MappingNode):
            for key, _ in node.value:
                if key.value == location[-1]:
                    return key.start_mark.line + 1
        return self.line(location)


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, int] | None:
    """Return the value under a key or index and its line: for a block, the line of its key."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                mark = value.start_mark if isinstance(value, yaml.ScalarNode) and value.value else key.start_mark
                return value, mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        value = node.value[part]
        return value, value.start_mark.line + 1
    return None


def path_text(location: Location) -> str:
    """Write a location as people do: `offices[3].units[0].port`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _PLAIN_KEY.fullmatch(part) else quoted(part))
    return text


def file_text(file: Path) -> str:
    """Write the name of a file that a message is about; cut when no file can have it."""
    text = str(file)
    return text if len(text) <= 500 else f"{text[:500]}…"


def quoted(value: str, limit: int = 60) -> str:
    """Quote a text for a message: on one line, unprintable characters escaped, cut when long."""
    return repr(value if len(value) <= limit else value[:limit] + "…")


def read(file: Path) -> Document:
    """Read one file; what is wrong with it is noted in the document, up to `MAX_MISTAKES`."""
    document = Document(file)
    content = read_bytes(document)
    if content is not None:
        parse(document, content)
    return document


def read_bytes(document: Document) -> bytes | None:
    """Return the bytes of a document's file, or None with the reason noted in it."""
    try:
        return read_regular(document.file, MAX_FILE_BYTES)
    except FileNotFoundError:
        document.refuse(1, "the file is missing; every estate has one")
    except UnfitFileError as error:
        document.refuse(1, error.what)
    except OSError as error:
        document.refuse(1, f"cannot be read: {error.strerror}")
    return None


def parse(document: Document, content: bytes) -> None:
    """Take in the bytes of a document."""
    document.content = content
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        document.refuse(line, f"is not UTF-8: found the byte 0x{content[error.start]:02x}; save it as UTF-8")
        return
    try:
        if (_ODD.search(text) or text.count("[") + text.count("{") > _MANY) and not _is_tame(document, text):
            return
        root = yaml.compose(text, Loader=_Texts)
    except yaml.YAMLError as error:
        line, problem = _syntax(error, text)
        document.refuse(line, problem)
        return
    if root is None:
        document.refuse(1, "is empty")
        return
    document.root = root
    document.data = _plain(document, root, ())


def _is_tame(document: Document, text: str) -> bool:
    """Note anchors, aliases, tags and deep nesting; say whether the composer may go on."""
    depth, is_tame = 0, True
    for event in yaml.parse(text, Loader=_Texts):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            name = quoted(f"*{event.anchor}")
            document.refuse(line, f"found the alias {name}; write the value itself, aliases are not read")
            is_tame = False
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if not isinstance(event, yaml.NodeEvent):
            continue
        if event.anchor is not None:
            name = quoted(f"&{event.anchor}")
            document.refuse(line, f"found the anchor {name}; write plain values, anchors are not read")
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            name = event.tag.replace("tag:yaml.org,2002:", "!!")
            document.refuse(line, f"found the tag {quoted(name)}; write plain values, tags are not read")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                document.refuse(line, f"is nested more than {MAX_DEPTH} levels deep")
                return False
    return is_tame


def _syntax(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """Put a YAML error into a line and a sentence."""
    if isinstance(error, ReaderError):
        # The position counts bytes in the C reader and characters in the other: look for the character itself.
        found = next((i for i, letter in enumerate(text) if ord(letter) == error.character), 0)
        letter = f"U+{int(error.character):04X}"
        return text.count("\n", 0, found) + 1, f"is not valid YAML: found the control character {letter}"
    if not isinstance(error, yaml.MarkedYAMLError):
        return 1, "is not valid YAML: " + " ".join(str(error).split())
    if isinstance(error, ComposerError) and "single document" in str(error):
        mark = error.problem_mark
        return (mark.line + 1 if mark else 1), "holds a second document ('---'); an estate's file is one document"
    mark = error.problem_mark or error.context_mark
    is_open = error.problem == "found unexpected end of stream"
    if is_open and error.context == "while scanning a quoted scalar" and error.context_mark:
        return error.context_mark.line + 1, "is not valid YAML: the quote that is opened here is never closed"
    lines = text.splitlines() or [""]
    index = min(mark.line, len(lines) - 1) if mark else 0
    # libyaml gives the context in `problem` when it has no problem of its own.
    words = error.problem or error.context or "unreadable"
    start = error.context_mark
    within = (
        f" {error.context} that starts at line {start.line + 1}" if error.problem and error.context and start else ""
    )
    return index + 1, f"is not valid YAML: {words}{within}{_hint(words, lines[index])}"


def _hint(words: str, line: str) -> str:
    if line.lstrip(" ").startswith("\t"):
        return "; indent with spaces, not with a tab"
    if "mapping values are not allowed" in words:
        return "; put a text with ': ' in quotes, and check the indentation"
    if "did not find expected key" in words or "did not find expected '-'" in words:
        return "; check the indentation and the quotes"
    return ""


def _plain(document: Document, node: yaml.Node, location: Location) -> Data:
    """Turn a node and everything in it into plain data, noting keys that cannot be."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(document, item, (*location, index)) for index, item in enumerate(node.value)]
    plain: dict[str, Data] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            line = key.start_mark.line + 1
            message = "found a list or block where a key belongs; put a text with braces or brackets in quotes"
            document.note(line, path_text(location) or WHOLE_FILE, message)
            continue
        name = str(key.value)
        if name in plain:
            first = document.key_line((*location, name))
            message = f"the key is given twice; the first is at line {first}"
            path = path_text((*location, name))
            document.note(key.start_mark.line + 1, path, message)
            continue
        plain[name] = _plain(document, value, (*location, name))
    return plain


def blocks(data: Data | None, key: str) -> Iterator[tuple[int, dict[str, Data]]]:
    """Yield the blocks of the list under a key, with their indexes; whatever else stands there is passed over."""
    items = data.get(key) if isinstance(data, dict) else None
    if isinstance(items, list):
        for index, item in enumerate(items):
            if isinstance(item, dict):
                yield index, item


def block(data: Data | None, key: str) -> dict[str, Data]:
    """Return the block under a key, or an empty one where there is none."""
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


def text(data: Data | None, key: str) -> str | None:
    """Return the text under a key, or None where there is none."""
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, str) else None
