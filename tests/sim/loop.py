"""An event loop whose time is virtual, and processes in it that can be stopped and killed as the kernel does it.

When nobody has anything to do the loop jumps to the next moment that is due. A process is whatever runs in a context
that names it: while it is stopped none of its callbacks runs, and once it is killed none ever will, no `finally`
either.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")

LONGEST_S = 4 * 3600.0
"""So long may a history take in virtual time; what takes longer never ends, though something is always due in it."""


class StuckError(Exception):
    """Everybody waits for somebody else."""


class KilledError(BaseException):
    """The process that ran into this is dead; nothing may catch it."""


class Process:
    """What can be stopped, go on, and be killed.

    Attributes:
        is_stopped: Whether it is to run no callback for now.
        is_dead: Whether it has ended, by itself or killed.
        interrupt: What Ctrl-C does to it; None when it has not asked for anything but to die.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.is_stopped = False
        self.is_dead = False
        self.interrupt: Callable[[], object] | None = None
        self._is_over = False
        self._loop: VirtualLoop | None = None
        self._held: list[asyncio.Handle] = []
        self._open: dict[object, Callable[[], None]] = {}

    def start(self, main: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine as this process."""
        context = Context()
        context.run(PROCESS.set, self)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._loop = loop
        loop.processes.append(self)
        return loop.create_task(main, context=context)

    def stop(self) -> None:
        """SIGSTOP."""
        self.is_stopped = True

    def go_on(self) -> None:
        """SIGCONT: whatever came due meanwhile runs now."""
        self.is_stopped = False
        self._again()

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more, and the kernel closes what it has open."""
        if not self.is_dead:
            self.is_dead = True
            for close in list(self._open.values()):
                close()

    def opens(self, what: object, close: Callable[[], None]) -> None:
        """Note something that the kernel closes when the process is killed."""
        self._open[what] = close

    def closes(self, what: object) -> None:
        """Note that it has closed it itself."""
        self._open.pop(what, None)

    def check(self) -> None:
        """Refuse whatever a killed process asks of the kernel while its stack is taken down.

        Raises:
            KilledError: It was killed.
        """
        if self.is_dead:
            raise KilledError

    def take_down(self) -> None:
        """Let what was held back run to its end, because the history is over; nothing outside listens any more."""
        self.is_dead = self._is_over = True
        self._again()

    def holds(self, call: asyncio.Handle) -> bool:
        """Whether a callback may not run now; it is kept for later."""
        is_held = (self.is_stopped or self.is_dead) and not self._is_over
        if is_held:
            self._held.append(call)
        return is_held

    def _again(self) -> None:
        held, self._held = self._held, []
        if self._loop is not None:
            self._loop.run_again(held)


PROCESS: ContextVar[Process] = ContextVar("PROCESS")


def this_process() -> Process:
    """Return the process that this runs in."""
    return PROCESS.get()


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop that takes no time: the same coroutines with the same seed have the same history."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed_s = 0.0
        self.ends_s = LONGEST_S
        self.processes: list[Process] = []
        self._soon: deque[asyncio.Handle] = deque()
        self._later: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = count()
        self._is_stopping = False

    def time(self) -> float:
        """Return the virtual time, seconds."""
        return self.elapsed_s

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """Call something as soon as possible; if it belongs to a process, while that process runs."""
        handle = asyncio.Handle(callback, args, self, context)
        self._soon.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Do the same: there is one thread."""
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call something at a moment; if it belongs to a process, then or when that process runs again."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heappush(self._later, (when, next(self._count), timer))
        return timer

    def stop(self) -> None:
        """End with this turn."""
        self._is_stopping = True
        super().stop()

    def run_again(self, handles: Iterable[asyncio.Handle]) -> None:
        """Run as soon as possible what was held back."""
        self._soon.extend(handles)

    def _run_once(self) -> None:
        """Run what is due; when nothing is, jump to the next moment at which something will be.

        Raises:
            StuckError: Nothing ever will, or that goes on for ever.
        """
        soon, later = self._soon, self._later
        while later and later[0][2].cancelled():
            heappop(later)
        if not soon and not self._is_stopping:
            if not later:
                raise StuckError("nothing is due and nothing will ever be")
            self.elapsed_s = max(self.elapsed_s, later[0][0])
            if self.elapsed_s > self.ends_s:
                raise StuckError(f"somebody is still at work after {LONGEST_S:.0f} s")
        self._is_stopping = False
        while later and later[0][0] <= self.elapsed_s:
            soon.append(heappop(later)[2])
        for _ in range(len(soon)):
            handle = soon.popleft()
            if handle.cancelled():
                continue
            process = handle._context.get(PROCESS)
            if process is None or not ((process.is_stopped or process.is_dead) and process.holds(handle)):
                handle._run()

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Run it here and now: no thread, so that the order is always the same."""
        del executor
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        """Note what the process does on Ctrl-C."""
        del sig
        context = copy_context()
        this_process().interrupt = lambda: self.call_soon(callback, *args, context=context)

    def remove_signal_handler(self, sig: int) -> bool:
        """Let Ctrl-C be deadly again."""
        del sig
        this_process().interrupt = None
        return True


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.ends_s = math.inf
        for process in loop.processes:
            process.take_down()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
            for task in tasks:
                if not task.cancelled():
                    task.exception()  # looked at, so that nobody complains of it
        loop.close()
