"""The picture of a drill for a README: its progress part of the way, and its end, as one SVG."""

from __future__ import annotations

import io
import re
import socket
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from rich.console import Console

from recovery.cli.live import frame
from recovery.cli.output import write_file
from recovery.cli.summary import Line, styled
from recovery.cli.tally import Tally
from recovery.errors import PulihError
from recovery.model.events import Event, UnitFinished

SHARE = 0.6
"""How far the run is when its progress is drawn, 0 to 1."""

WIDTH = 100
"""Characters a line: what a README shows without scrolling."""

_FOLDER = re.compile(r"(?<![\w.])/[A-Za-z]\w*/\S*")
"""An absolute path."""

_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""rich's SVG fetches its font from another site; a picture of ours fetches nothing."""


class Picture:
    """An observer that draws a run once it is far enough."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Draw with the elapsed time that `now` tells."""
        self._now = now
        self._tally = Tally()
        self._drawn = False
        self._console = Console(
            record=True,
            width=WIDTH,
            file=io.StringIO(),
            force_terminal=True,
            color_system="truecolor",
            legacy_windows=False,
            no_color=False,
            markup=False,
            highlight=False,
            emoji=False,
        )

    def notice(self, event: Event) -> None:
        """Count an event, and draw the progress when the run is far enough."""
        self._tally.notice(event)
        overall = self._tally.overall
        if not self._drawn and isinstance(event, UnitFinished) and overall.done >= SHARE * overall.total:
            self._drawn = True
            self._console.print(frame(self._tally, self._now(), WIDTH))
            self._console.print()

    def write(self, path: Path, end: Iterable[Line]) -> None:
        """Add the end of the run and write the picture.

        Args:
            path: Of the SVG file.
            end: Lines of the summary.

        Raises:
            PulihError: The picture would show this machine's name or one of its folders.
            OSError: The file can't be written.
        """
        for line in end:
            self._console.print(styled(line), soft_wrap=True)
        text = self._console.export_text(clear=False)
        machine = re.search(rf"\b{re.escape(socket.gethostname())}\b", text)
        found = machine or _FOLDER.search(text)
        if found is not None:
            raise PulihError(f"the picture is not written, for it would show {found.group()!r} of this machine")
        svg = self._console.export_svg(title="pulih drill", unique_id="pulih-drill")
        write_file(path, _FONT_FACE.sub("", svg))
