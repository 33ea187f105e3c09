"""Several engines at once, as many as the memory holds: each stack's own, watched by its events.

An engine, its program and its provider are processes of one session, so what they hold together can be added up. The
next engine starts when there is room for one more of the largest seen so far.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pulumi import automation

from infra.memory import available_bytes, session_bytes
from infra.outcomes import Failure, Outcome, State, Story, failure
from recovery.errors import PulihError

NEED_BYTES = 240 * 1024 * 1024
"""What a stack is taken to need before one has been seen.

Source: measured 23 Nov 2026, `pulih up` of 582 units: 190 to 235 MiB for each engine with its program and provider.
"""

RESERVE_BYTES = 256 * 1024 * 1024
"""Left to the rest of the machine."""

_LOOK_S = 0.3


_QUIET: Mapping[str, str] = {
    "PULUMI_DEBUG_COMMANDS": "true",  # without it there is no --event-log
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",  # a provider on PATH is not ours
}


_REGION: Mapping[str, str] = {
    # One write of the state at the end, not two at each step, each of all of it. A killed engine then has written
    # nothing: the next update adopts what it finds on the units.
    "PULUMI_SKIP_CHECKPOINTS": "true",
}


class Engines:
    """Runs stacks.

    Attributes:
        most: Engines that were at work at once, at most.
    """

    def __init__(self, project: Path, *, regions: Collection[str], preview: bool, parallel: int, at_once: int) -> None:
        """Prepare.

        Args:
            project: Folder of the Pulumi.yaml to run.
            regions: Stacks of units, which are adopted; those of data centres may run commands, which are not.
            preview: Whether only to preview.
            parallel: Units in flight at once in each stack.
            at_once: Most engines at once, whatever the memory holds.
        """
        self._project = project
        self._regions = regions
        self._preview = preview
        self._parallel = parallel
        self._at_once = at_once
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._held: dict[str, int] = {}
        self._largest = NEED_BYTES
        self._changed = asyncio.Condition()
        self._interrupts = 0
        self.most = 0

    async def run(self, stack: str, tell: Callable[[str], None]) -> Outcome:
        """Bring one stack to its declaration, or preview it.

        Args:
            stack: Its name; made when it is not there.
            tell: Told of its start and each failure, as they come.
        """
        await self._room(stack)
        began = asyncio.get_running_loop().time()
        story = Story()
        code: int | None = None
        said = ""
        try:
            if not self._interrupts:
                tell(f"{stack}: {'previewing' if self._preview else 'updating'}")
                code, said = await self._watched(stack, story, tell)
        except OSError as error:
            code, said = 1, str(error)
        except Exception as error:  # a fault of ours, but of this stack alone; the others go on
            code, said = 1, f"a fault of pulih itself, please file it: {type(error).__name__}: {error}"
        finally:
            memory = self._held.pop(stack)
            self._running.pop(stack, None)
            async with self._changed:
                self._changed.notify_all()
        seconds = asyncio.get_running_loop().time() - began
        if code and not story.failures and not self._interrupts:
            killed = f"its engine was killed by signal {-code}, after: " if code < 0 else ""
            story.failures.append(failure(killed + " ".join(said.split())[-600:], None))
            tell(_sentence(stack, story.failures[0]))
        return Outcome(
            stack=stack,
            state=self._state(code),
            seconds=seconds,
            memory_bytes=memory,
            units=dict(story.units),
            failures=tuple(dict.fromkeys(story.failures)),
        )

    @property
    def is_interrupted(self) -> bool:
        """Whether no further stack is started."""
        return self._interrupts > 0

    def interrupt(self) -> None:
        """Pass a Ctrl-C on: at the first, units in flight finish; at the second, the engines end at once."""
        self._interrupts += 1
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)

    def _state(self, code: int | None) -> State:
        if code is None:
            return State.NOT_STARTED
        if code == 0:
            return State.DONE
        return State.INTERRUPTED if self._interrupts else State.FAILED

    async def _room(self, stack: str) -> None:
        """Wait until one more engine fits, in number and in memory; the first always does."""
        async with self._changed:
            while not self._fits():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _LOOK_S)
            self._held[stack] = 0
            self.most = max(self.most, len(self._held))

    def _fits(self) -> bool:
        if not self._held or self._interrupts:
            return True
        still_to_grow = sum(max(0, self._largest - held) for held in self._held.values())
        room = available_bytes() - RESERVE_BYTES - still_to_grow
        return len(self._held) < self._at_once and room >= self._largest

    async def _watched(self, stack: str, story: Story, tell: Callable[[str], None]) -> tuple[int, str]:
        """Run an engine to its end and return its exit code and what it wrote last."""
        with tempfile.TemporaryDirectory(prefix="pulih-up-") as folder:
            log = Path(folder) / "events"
            log.touch()
            process = await asyncio.create_subprocess_exec(
                "pulumi",
                *self._words(stack, log),
                cwd=self._project,
                env={**os.environ, **_QUIET, **(_REGION if stack in self._regions else {})},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
            self._running[stack] = process
            reading = asyncio.create_task(_last_words(process))
            place, told = 0, 0
            try:
                while not reading.done():
                    await asyncio.wait({reading}, timeout=_LOOK_S)
                    place = _follow(log, place, story)
                    self._weigh(stack, process.pid)
                    for fault in story.failures[told:]:
                        tell(_sentence(stack, fault))
                    told = len(story.failures)
            finally:
                if not reading.done():  # nobody looks on any more: it must not go on alone
                    process.send_signal(signal.SIGINT)
                    await reading
            return await process.wait(), await reading

    def _words(self, stack: str, log: Path) -> Sequence[str]:
        what = ["preview"] if self._preview else ["up", "--yes", "--skip-preview"]
        options = ["--parallel", str(self._parallel), "--event-log", str(log), "--color", "never"]
        return [*what, "--non-interactive", "--suppress-outputs", "--stack", stack, *options]

    def _weigh(self, stack: str, session: int) -> None:
        self._held[stack] = max(self._held[stack], session_bytes(session))
        self._largest = max(self._largest, self._held[stack])


def prepare(project: Path, stacks: Sequence[str], tell: Callable[[str], None]) -> None:
    """Make the stacks that the backend does not have yet.

    Raises:
        PulihError: The backend can't be reached, nobody is logged in to it, or it wants a passphrase.
    """
    workspace = automation.LocalWorkspace(work_dir=str(project))
    try:
        there = {summary.name for summary in workspace.list_stacks()}
        for stack in stacks:
            if stack not in there:
                tell(f"{stack}: the state backend does not have it yet; making it")
                workspace.create_stack(stack)
    except automation.CommandError as error:
        said = " ".join(str(error).partition("stderr:")[2].split()).removeprefix("error: ")
        raise PulihError(
            f"the state backend can't be used: {said}. One is chosen with `pulumi login` and its address, such as "
            "file://DIR or s3://BUCKET; both kinds want PULUMI_CONFIG_PASSPHRASE."
        ) from error


def _sentence(stack: str, fault: Failure) -> str:
    return f"{stack}: {fault.unit or 'the stack'}: {fault.cause}: {fault.reason}"


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """Read what an engine writes, to its end, and return the last of it."""
    kept = b""
    while process.stdout is not None and (text := await process.stdout.read(65536)):
        kept = (kept + text)[-4096:]
    return kept.decode(errors="replace")


def _follow(log: Path, place: int, story: Story) -> int:
    """Take in the events that were written since `place`, and return where the next one begins."""
    with log.open("rb") as file:
        file.seek(place)
        for line in file:
            if not line.endswith(b"\n"):
                break
            place += len(line)
            event: Any = json.loads(line)
            story.notice(event)
    return place
