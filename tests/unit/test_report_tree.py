"""A page as a tree: written as it was read, and changed by patches into exactly the later page."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.report.tree import Node, Patch, difference, parse, write

words = st.text(alphabet=st.sampled_from("<>&\"'ab é"), min_size=1, max_size=6).filter(lambda text: bool(text.strip()))
attributes = st.dictionaries(st.sampled_from(["class", "id", "viewBox"]), words, max_size=2)


def _children(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Children of which no two texts stand side by side: a browser would read them as one."""
    return st.lists(inner, max_size=4).map(
        lambda nodes: [node for place, node in enumerate(nodes) if not (place and isinstance(node, str))]
    )


trees: st.SearchStrategy[Any] = st.recursive(
    words,
    lambda inner: st.tuples(st.sampled_from(["p", "td", "svg"]), attributes, _children(inner)).map(list),
    max_leaves=8,
)
pages = _children(trees)


def applied(page: list[Node], patches: list[Patch]) -> list[Any]:
    """Do in Python what the script in the page does."""
    root: list[Any] = ["main", {}, copy.deepcopy(page)]
    for path, what, value in json.loads(json.dumps(patches)):
        above: list[Any] = root
        for step in path[:-1]:
            above = above[2][step]
        target = above[2][path[-1]] if path else root
        if what in ("text", "new"):
            above[2][path[-1]] = value
        elif what == "add":
            target[2].append(value)
        elif what == "cut":
            del target[2][value:]
        elif what == "set":
            for name, text in value.items():
                target[1].pop(name, None)
                if text is not None:
                    target[1][name] = text
        else:
            raise AssertionError(what)
    return root[2]


@settings(max_examples=200, deadline=None)
@given(pages)
def test_what_is_written_reads_back(page: list[Node]) -> None:
    assert parse(write(page)) == page


@settings(max_examples=300, deadline=None)
@given(pages, pages)
def test_patches_make_the_later_page_of_the_earlier(before: list[Node], after: list[Node]) -> None:
    assert applied(before, list(difference(before, after))) == after


def test_a_page_that_stays_needs_no_patch() -> None:
    page = parse("<p>a</p><p>b</p>")
    assert list(difference(page, parse("<p>a</p> <p>b</p>"))) == []


def test_only_what_changed_is_sent() -> None:
    before = parse('<ul><li class="waiting">a</li><li>b</li></ul>')
    after = parse('<ul><li class="done">a</li><li>b</li><li>c</li></ul>')
    assert list(difference(before, after)) == [
        [[0, 0], "set", {"class": "done"}],
        [[0], "add", ["li", {}, ["c"]]],
    ]


@pytest.mark.parametrize("html", ["<p><b></p></b>", "<p>", "</p>", "<table><tr></table>"])
def test_a_template_that_is_not_well_formed_is_refused(html: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        parse(html)
