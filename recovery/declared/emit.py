"""Plain data → block-style YAML that any reader of YAML takes for what it is.

Faster than a general emitter (an estate of 582 units in a few hundredths of a second), because the estate's files need
little: blocks, lists of blocks or words, and single values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import yaml
from yaml.resolver import Resolver

Value = str | int | float | bool | Sequence["Value"] | Mapping[str, "Value"]

_PLAIN = re.compile(
    r"(?:\.\./)*[A-Za-z0-9/\u00a1-\U0010ffff](?:[\w ./+=()'\u00a1-\U0010ffff-]|,(?= )|:(?=[\w:]))*(?<! )"
)
"""Texts that no YAML reader takes for anything but a text, but for words such as `NO` (see `_resolve`)."""

# PyYAML's types leave this one open.
_resolve = cast("Callable[[type, str, tuple[bool, bool]], str]", Resolver().resolve)  # pyright: ignore[reportUnknownMemberType]
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def document(content: Mapping[str, Value]) -> str:
    """Write a file: a blank line before each block of the top level, and between the blocks of its lists."""
    lines: list[str] = []
    was_block = False
    for key, value in content.items():
        is_block = not isinstance(value, (str, int, float, bool)) and bool(value)
        if lines and (is_block or was_block):
            lines.append("")
        was_block = is_block
        lines += _entry(key, value, "", spaced=True)
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Value, indent: str, *, spaced: bool = False) -> Iterator[str]:
    name = scalar(key)
    if isinstance(value, Mapping):
        yield f"{indent}{name}:" if value else f"{indent}{name}: {{}}"
        for inner, item in value.items():
            yield from _entry(inner, item, indent + "  ")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield f"{indent}{name}:" if value else f"{indent}{name}: []"
        for number, item in enumerate(value):
            if spaced and number and isinstance(item, Mapping):
                yield ""
            yield from _item(item, indent + "  ")
    else:
        yield f"{indent}{name}: {scalar(value)}"


def _item(item: Value, indent: str) -> Iterator[str]:
    if not isinstance(item, Mapping):
        yield f"{indent}- {scalar(item)}"
        return
    lead = "- "
    for key, value in item.items():
        for line in _entry(key, value, indent + "  "):
            yield indent + lead + line[len(indent) + 2 :] if lead == "- " else line
            lead = "  "


def scalar(value: Value) -> str:
    """Write a single value; a text in quotes unless every reader would read it back as that text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (int, float)):
        return str(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.isprintable() and _is_text(text):
        return text
    if '"' in text and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def _is_text(text: str) -> bool:
    return _resolve(yaml.ScalarNode, text, (True, False)) == Resolver.DEFAULT_SCALAR_TAG


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04X}" if ord(letter) <= 0xFFFF else f"\\U{ord(letter):08X}"
