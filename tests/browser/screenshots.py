"""Makes the README's picture of a report: `python -m tests.browser.screenshots docs/report.png`.

It rehearses a loss in the lab with a few sick units, and photographs the report's first screen and its map.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from recovery import lab
from recovery.model.estate import UnitName
from tests.browser.chromium import browser
from tests.drill.watching import pulih, the_lab

UNITS = 582
SICK = 7
WIDTH, HEIGHT = 1000, 1560


def main(picture: Path) -> None:
    """Lose a data centre with sick units, recover, and write the picture."""
    with tempfile.TemporaryDirectory(prefix="pulih-picture-") as home:
        folder, report = Path(home) / "lab", Path(home) / "report"
        try:
            lab.up(UNITS, folder)
            estate = ("--estate", str(folder / "estate"))
            assert pulih("apply", *estate).returncode == 0
            names = sorted(the_lab(folder)["units"])
            for number, name in enumerate(names[40 :: len(names) // SICK][:SICK]):
                how = lab.How.DISK_FULL if number % 2 else lab.How.UNREACHABLE
                lab.break_unit(folder, UnitName(name), how)
            lab.lose(folder, "pdns-2")
            recovered = pulih("recover", "--lost", "pdns-2", "--yes", "--report-dir", str(report), *estate)
            assert recovered.returncode == 3, recovered.stderr
        finally:
            lab.down(folder)
        with browser() as tab:
            tab.resize(WIDTH)
            tab.open((report / "report.html").as_uri())
            tab.ask("document.querySelectorAll('#next article').forEach((one, place) => place > 0 && one.remove())")
            tab.ask("document.querySelector('#services').after(document.querySelector('#map'))")
            tab.screenshot(picture, height=HEIGHT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
