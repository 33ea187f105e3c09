"""Makes the README's picture of a report: `python -m tests.browser.screenshots docs/report.png`.

It rehearses a loss in the lab with a few sick units, and photographs the report down to the map of the country.
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
SICK = 3
WIDTH = 1000


def main(picture: Path) -> None:
    """Lose a data centre with sick units, recover, and write the picture."""
    with tempfile.TemporaryDirectory(prefix="pulih-picture-") as home:
        folder, report = Path(home) / "lab", Path(home) / "report"
        try:
            lab.up(UNITS, folder)
            estate = ("--estate", str(folder / "estate"))
            assert pulih("apply", *estate).returncode == 0
            names = sorted(the_lab(folder)["units"])
            for name in names[40 :: len(names) // SICK]:
                lab.break_unit(folder, UnitName(name), lab.How.UNREACHABLE)
            lab.lose(folder, "pdns-2")
            recovered = pulih("recover", "--lost", "pdns-2", "--yes", "--report-dir", str(report), *estate)
            assert recovered.returncode == 3, recovered.stderr
        finally:
            lab.down(folder)
        with browser() as tab:
            tab.resize(WIDTH)
            tab.open((report / "report.html").as_uri())
            end = tab.ask("document.querySelector('figure').getBoundingClientRect().bottom + scrollY")
            tab.screenshot(picture, height=int(end) + 16)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
