"""All stacks at once: `python -m infra.up`, which `pulih up` starts.

Data-centre stacks first, then the regions', several engines at a time. A failed stack stops no other: a unit whose
endpoint does not answer fails its own probe and keeps what it runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from infra import outcomes as told
from infra.engine import bootstrap
from infra.engine.errors import EngineError
from infra.engines import Engines, prepare
from infra.outcomes import Outcome
from infra.workspace import make
from recovery.cli.context import state_folder
from recovery.cli.loading import declared, known, refuse_illustrative
from recovery.cli.output import Format, columns, emit, note, write_file
from recovery.errors import DeclarationError, PulihError, RefusedError
from recovery.model.estate import Estate
from recovery.report.text import printable

_FILES = ("PULIH_STATE", "PULIH_SSH_KEY")
"""What in the environment names a file or a folder, and may be relative."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    asked = _parser().parse_args(arguments)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # `pulih up` held it back while this was loading
        return _deploy(asked)
    except DeclarationError as error:
        for mistake in error.mistakes:
            note(str(mistake))
        return 1
    except RefusedError as error:
        note(f"refused: {error}")
        return 5
    except (PulihError, EngineError, OSError) as error:
        for line in str(error).strip().splitlines():
            note(f"error: {line}")
        return 1
    except KeyboardInterrupt:  # before the first engine, or after the last
        note("interrupted")
        return told.INTERRUPTED


def stacks(estate: Estate, regions: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the data-centre stacks and the regions' stacks that are meant; with regions named, only those."""
    known("--region", "region", regions, [region.name for region in estate.regions])
    if regions:
        return [], [region.name for region in estate.regions if region.name in regions]
    return list(estate.data_centre), [region.name for region in estate.regions]


async def run_all(engines: Engines, waves: Sequence[Sequence[str]], tell: Callable[[str], None]) -> list[Outcome]:
    """Run each wave of stacks together, the waves one after the other."""
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        again = engines.is_interrupted
        tell("stopping at once" if again else "stopping: units in flight finish, no further stack begins")
        engines.interrupt()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupted)
    found: list[Outcome] = []
    for wave in waves:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_one(engines, stack, tell)) for stack in wave]
        found += [task.result() for task in tasks]
    return found


async def _one(engines: Engines, stack: str, tell: Callable[[str], None]) -> Outcome:
    outcome = await engines.run(stack, tell)
    counts = ", ".join(f"{number} {word}" for word, number in outcome.units.items() if number) or "nothing to do"
    tell(f"{stack}: {outcome.state.value.replace('_', ' ')} in {outcome.seconds:.1f} s: {counts}")
    return outcome


def _deploy(asked: argparse.Namespace) -> int:
    folder = Path(os.path.abspath(asked.estate))  # noqa: PTH100 - no link followed
    estate = declared(folder).estate
    if not asked.preview:
        refuse_illustrative(estate)
    waves = stacks(estate, asked.region)
    names = [*waves[0], *waves[1]]
    engine = bootstrap.present(os.environ)
    os.environ |= {"PATH": f"{engine}{os.pathsep}{os.environ.get('PATH', '')}", "PULIH_ESTATE": str(folder)}
    # Providers run elsewhere, and must find the same key and the same leases as pulih does here.
    os.environ |= {name: os.path.abspath(os.environ[name]) for name in _FILES if os.environ.get(name)}  # noqa: PTH100 no link followed
    project = make(state_folder(folder) / "pulumi", names)
    began = time.monotonic()
    prepare(project, names, note)
    engines = Engines(project, regions=waves[1], preview=asked.preview, parallel=asked.parallel, at_once=asked.engines)
    found = asyncio.run(run_all(engines, waves, note))
    seconds = time.monotonic() - began
    code = told.exit_code(found, interrupted=engines.is_interrupted)
    document = told.to_json(found, preview=asked.preview, code=code, seconds=seconds, engines=engines.most)
    if asked.report_dir is not None:
        reports = Path(asked.report_dir)
        write_file(reports / "up.json", json.dumps(document, ensure_ascii=False, indent=1) + "\n")
        write_file(reports / "up.md", told.to_markdown(found, preview=asked.preview, code=code, seconds=seconds))
    emit(
        document, Format(asked.output), lambda: map(printable, columns(list(told.rows(found)), frozenset(range(2, 7))))
    )
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pulih up", description="Deploy every stack through the engine.")
    parser.add_argument("--estate", required=True)
    parser.add_argument("--region", action="append", default=[])
    parser.add_argument("--preview", action="store_true")
    parser.add_argument("--parallel", type=int, default=64)
    parser.add_argument("--engines", type=int, default=max(2, 2 * (os.cpu_count() or 1)))
    parser.add_argument("--output", choices=[form.value for form in Format], default=Format.TABLE.value)
    parser.add_argument("--report-dir")
    return parser


if __name__ == "__main__":
    sys.exit(main())
