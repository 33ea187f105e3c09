"""In which order a mirror's files are written, so that at every instant a client finds something that is signed. Pure.

A client goes through the roots first and takes the rest by the keys of the last. So a root may be written only while
what lies there is signed by its keys as well; where it isn't, other content goes before it. `change` makes roots so
that this is possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from recovery.publish.trust import TIMESTAMP, Chain, Content


def writes(
    chain: Chain,
    roots: Mapping[int, bytes],
    reached: int,
    present: Content | None,
    contents: Sequence[Content],
) -> Iterator[tuple[str, bytes]]:
    """Yield the files to write, by path, in their order.

    Args:
        chain: All roots.
        roots: Those that lie there.
        reached: The newest of ours that a client gets to there; 1 at least, which every app has within it.
        present: What a client takes there now.
        contents: What may be shown there, the oldest first; it ends up with the last.
    """
    if roots.get(1) != chain.written[0]:
        yield "metadata/1.root.json", chain.written[0]
    for version in range(reached + 1, chain.version + 1):
        root = chain.at(version)
        if present is not None and not present.stands_under(root):
            before = chain.at(version - 1)
            fit = (each for each in reversed(contents) if each.stands_under(root) and each.stands_under(before))
            between = next((each for each in fit if not _overwrites(present, each)), None)
            if between is not None:
                yield from _content(present, between)
                present = between
        if roots.get(version) != chain.written[version - 1]:
            yield f"metadata/{version}.root.json", chain.written[version - 1]
    yield from _content(present, contents[-1])


def _content(present: Content | None, fresh: Content) -> Iterator[tuple[str, bytes]]:
    there = {} if present is None else present.files()
    for path, content in fresh.files().items():
        if there.get(path) != content:
            yield path, content


def _overwrites(present: Content, fresh: Content) -> bool:
    """Whether a file that clients are led to now would change under its name."""
    there = present.files()
    return any(there.get(path, content) != content for path, content in fresh.files().items() if path != TIMESTAMP)
