"""A page as a tree: written out as HTML, and compared with an earlier one so that a browser is sent what changed.

A node is text, or an element as `[tag, {attribute: value}, [children]]`: plain values, so that it travels as JSON. Text
of whitespace alone is left out: it stands between elements for whoever reads the template.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from html.parser import HTMLParser
from typing import cast

Element = list["str | dict[str, str] | list[Node]"]
Node = str | Element
"""See above; `element` makes one."""

VOID = frozenset({"br", "meta"})
"""Elements without an end tag."""

Patch = list[object]
"""`[path, what, …]`, where the path is the places of children from the root down.

`text` and `new` put a text or a node in the place of another, `add` puts one behind the last child, `cut` keeps only so
many children, `set` changes attributes (null takes one away).
"""


def parse(html: str) -> list[Node]:
    """Read well-formed HTML: every element closed, but the void ones.

    Raises:
        ValueError: It is not well-formed.
    """
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return parser.finish()


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[tuple[str, dict[str, str], list[Node]]] = [("", {}, [])]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {_CASED.get(name, name): value or "" for name, value in attrs}
        self._open.append((tag, attributes, []))
        if tag in VOID:
            self.handle_endtag(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        opened, attributes, children = self._open.pop()
        if opened != tag:
            raise ValueError(f"<{opened}> is closed by </{tag}>")
        self._open[-1][2].append([tag, attributes, children])

    def handle_data(self, data: str) -> None:
        if data.strip():
            children = self._open[-1][2]
            if children and isinstance(children[-1], str):
                children[-1] += data
            else:
                children.append(data)

    def finish(self) -> list[Node]:
        if len(self._open) != 1:
            raise ValueError(f"<{self._open[-1][0]}> is never closed")
        return self._open[0][2]


_CASED = {"viewbox": "viewBox", "preserveaspectratio": "preserveAspectRatio"}
"""Attributes of SVG whose case matters; the parser makes all of them lower."""


def _parts(node: Element) -> tuple[str, dict[str, str], list[Node]]:
    tag, attributes, children = node
    return cast(str, tag), cast(dict[str, str], attributes), cast(list[Node], children)


def write(nodes: list[Node]) -> str:
    """Write nodes as HTML."""
    return "".join(_written(nodes))


def _written(nodes: list[Node]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield escape(node, quote=False)
            continue
        tag, attributes, children = _parts(node)
        yield f"<{tag}"
        for name, value in attributes.items():
            yield f' {name}="{escape(value)}"'
        yield ">"
        if tag not in VOID:
            yield from _written(children)
            yield f"</{tag}>"


def difference(before: list[Node], after: list[Node], path: tuple[int, ...] = ()) -> Iterator[Patch]:
    """Compare the children of an element with those of before, place by place."""
    for place, (old, new) in enumerate(zip(before, after, strict=False)):
        if old != new:
            yield from _node_difference(old, new, (*path, place))
    if len(after) < len(before):
        yield [list(path), "cut", len(after)]
    for node in after[len(before) :]:
        yield [list(path), "add", node]


def _node_difference(old: Node, new: Node, path: tuple[int, ...]) -> Iterator[Patch]:
    if isinstance(new, str):
        yield [list(path), "text" if isinstance(old, str) else "new", new]
        return
    tag, attributes, children = _parts(new)
    if isinstance(old, str) or old[0] != tag:
        yield [list(path), "new", new]
        return
    _, old_attributes, old_children = _parts(old)
    if attributes != old_attributes:
        changed: dict[str, str | None] = {name: None for name in old_attributes if name not in attributes}
        changed |= {name: value for name, value in attributes.items() if old_attributes.get(name) != value}
        yield [list(path), "set", changed]
    yield from difference(old_children, children, path)
