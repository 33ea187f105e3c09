"""A run's report as one HTML file that asks nothing of anybody: no request, no script, no font, no picture.

`Page` is the same page while the run goes on: a script, given by whoever serves it, puts the differences in place.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape

from recovery.model.story import Story
from recovery.report.page import FOLDER, nodes, page_parts
from recovery.report.text import printable
from recovery.report.tree import Node, write


def to_html(story: Story) -> str:
    """Return the report of a run as HTML; the same story gives the same bytes."""
    parts = page_parts(story, at=story.result.finished_at)
    return document(story, nodes(parts))


def document(story: Story, main: list[Node], *, script: str = "", version: int = 0) -> str:
    """Return the whole document around a page.

    Args:
        story: The run.
        main: The page's nodes.
        script: What keeps it up to date; empty for a page that stays as it is.
        version: Of the page, for that script.
    """
    result = story.result
    title = printable(f"{result.verb} · {story.scene.title or result.estate_name} · {result.run}")
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy(script))}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        '<link rel="icon" href="data:,">',
        f"<title>{escape(title)}</title>",
        f"<style>{style()}</style>",
    ]
    if script:
        head.append(f"<script>{script}</script>")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n'
        + "\n".join(head)
        + f'\n</head>\n<body>\n<main data-version="{version}">'
        + write(main)
        + "</main>\n</body>\n</html>\n"
    )


def policy(script: str) -> str:
    """Return the content security policy: nothing but our own style and script, which talks to where it is from."""
    allowed = [
        "default-src 'none'",
        "img-src data:",
        f"style-src '{_fingerprint(style())}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    if script:
        allowed += [f"script-src '{_fingerprint(script)}'", "connect-src 'self'"]
    return "; ".join(allowed)


@cache
def style() -> str:
    """Return the style sheet of the page."""
    return (FOLDER / "style.css").read_text(encoding="utf-8")


def _fingerprint(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
