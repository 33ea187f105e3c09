"""Changes single values inside a YAML text and leaves every other character as it is.

A placement is changed in the worst hour, and its diff is read by people: it shows what moved and nothing else. So
nothing is parsed and written anew; the nodes' marks say where to cut. Comments are never cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import yaml

from recovery.declared.emit import scalar

Tree = Mapping[str, "str | Tree"]
"""What a block is to say: values, or blocks, by key."""

_LINE_END = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
"""Source: YAML 1.1, section 5.4."""


class Splicer:
    """One text and the changes to make in it."""

    def __init__(self, text: str, root: yaml.MappingNode) -> None:
        self._text = text
        self._root = root
        self._starts = [0, *(found.end() for found in _LINE_END.finditer(text))]
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._cuts: list[tuple[int, int, str]] = []

    def result(self, wanted: Tree) -> str:
        """Return the text that says what is wanted; keys that are there keep their order, new ones follow."""
        self._block(self._root, wanted)
        pieces: list[str] = []
        at = 0
        for start, end, new in sorted(self._cuts, key=lambda cut: cut[:2]):
            pieces += [self._text[at:start], new]
            at = end
        return "".join([*pieces, self._text[at:]])

    def _block(self, node: yaml.MappingNode, wanted: Tree) -> None:
        """Make a block say what is wanted."""
        there = {str(key.value): (key, value) for key, value in node.value}
        if node.flow_style and (list(there) != list(wanted) or any(not isinstance(v, str) for v in wanted.values())):
            self._cut(node, _flow(wanted))
            return
        for name, (key, value) in there.items():
            target = wanted.get(name)
            if target is None:
                for line in {key.start_mark.line, *_lines(value)}:
                    self._cuts.append((self._start(line), self._start(line + 1), ""))
            elif isinstance(target, str):
                if not isinstance(value, yaml.ScalarNode) or value.value != target:
                    self._cut(value, scalar(target))
            elif isinstance(value, yaml.MappingNode):
                self._block(value, target)
        new = {name: target for name, target in wanted.items() if name not in there}
        if new:
            indent = node.start_mark.column if node.start_mark else 0
            self._insert(max(_lines(node)) + 1, _entries(new, " " * indent))

    def _cut(self, node: yaml.Node, new: str) -> None:
        if node.start_mark is None or node.end_mark is None:
            raise ValueError("a node without marks")
        start = self._start(node.start_mark.line) + node.start_mark.column
        self._cuts.append((start, self._start(node.end_mark.line) + node.end_mark.column, new))

    def _insert(self, line: int, lines: Sequence[str]) -> None:
        """Put lines in front of a line; at the end of a text without a last newline, give it one."""
        start = self._start(line)
        text = "".join(f"{each}{self._newline}" for each in lines)
        if start == len(self._text) and self._text[-1:] not in ("\n", "\r"):
            text = self._newline + text
        self._cuts.append((start, start, text))

    def _start(self, line: int) -> int:
        return self._starts[line] if line < len(self._starts) else len(self._text)


def _lines(node: yaml.Node) -> set[int]:
    """Return the lines that hold a key or value of a node."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return {line for key, value in node.value for line in (key.start_mark.line, *_lines(value))}
    if node.start_mark is None or node.end_mark is None:
        return set()
    return set(range(node.start_mark.line, node.end_mark.line + 1))


def _entries(tree: Tree, indent: str) -> list[str]:
    return list(_entry_lines(tree, indent))


def _entry_lines(tree: Tree, indent: str) -> Iterator[str]:
    for name, target in tree.items():
        if isinstance(target, str):
            yield f"{indent}{scalar(name)}: {scalar(target)}"
        else:
            yield f"{indent}{scalar(name)}:"
            yield from _entry_lines(target, indent + "  ")


def _flow(tree: Tree) -> str:
    entries = (f"{scalar(k)}: {scalar(v) if isinstance(v, str) else _flow(v)}" for k, v in tree.items())
    return "{" + ", ".join(entries) + "}"
