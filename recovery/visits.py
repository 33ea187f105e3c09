"""One unit, with its tries: what a try is, which failures are worth another, and what becomes of the last one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from recovery.errors import (
    BadAnswerError,
    CommandTimeoutError,
    UnitError,
    UnreachableError,
    VerifyError,
)
from recovery.model.estate import Endpoint, Estate, Login, Timeouts, Unit, UnitName
from recovery.model.outcome import Cause
from recovery.model.plan import Step
from recovery.protocol import applier_command
from recovery.transport.base import Conversation, T, Target, Transport

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
_LASTING = frozenset(
    {
        Cause.HOST_KEY,
        Cause.LOGIN,
        Cause.STALE_EPOCH,
        Cause.DISK_FULL,
        Cause.VALIDATE_FAILED,
        Cause.CANCELLED,
        Cause.INTERNAL,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where a step is carried out.

    Attributes:
        root: The folder on the host that pulih owns.
    """

    target: Target
    root: str


class Hosts:
    """Finds the host of a step."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._endpoints: dict[UnitName, Endpoint] = {
            endpoint.name: endpoint for centre in estate.data_centres for endpoint in centre.endpoints
        }
        self._units: dict[UnitName, Unit] = {unit.name: unit for _, _, unit in estate.places()}

    def of(self, step: Step) -> Host:
        """Return the host of a step."""
        place: Unit | Endpoint = self._endpoints[step.name] if step.is_endpoint else self._units[step.name]
        login: Login = place.login
        bastion = self._estate.bastions[step.bastion] if step.bastion is not None else None
        timeouts: Timeouts = self._estate.timeouts.over(step.link)
        return Host(target=Target(name=step.name, login=login, bastion=bastion, timeouts=timeouts), root=place.root)


def is_worth_another_try(error: BaseException) -> bool:
    """Whether the failure may pass by itself: the line, a slow answer, a probe that flaps; never a key or a login."""
    if isinstance(error, UnreachableError | CommandTimeoutError | BadAnswerError | VerifyError):
        return True
    return isinstance(error, UnitError) and error.cause not in _LASTING


class _Pause(wait_base):
    """Full jitter: anything up to a bound that doubles. Spreads the tries of units that failed together."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def __call__(self, retry_state: RetryCallState) -> float:
        bound = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**retry_state.attempt_number)
        return self._chance.uniform(bound / 4, bound)


class _Enough(stop_base):
    """No further try after `retries`, nor when a unit's time is nearly used up."""

    def __init__(self, retries: int, deadline_s: float) -> None:
        self._retries, self._deadline_s = retries, deadline_s

    def __call__(self, retry_state: RetryCallState) -> bool:
        late = asyncio.get_running_loop().time() + retry_state.upcoming_sleep >= self._deadline_s
        return late or retry_state.attempt_number > self._retries


async def visit(
    transport: Transport,
    host: Host,
    conversation: Conversation[T],
    *,
    chance: random.Random,
    before_retry: Callable[[int, UnitError], None] = lambda _attempt, _error: None,
    before_try: Callable[[], None] = lambda: None,
) -> T:
    """Hold a conversation with a unit, again after failures that may pass, within the unit's time limit.

    Args:
        transport: The way there.
        host: The unit's host.
        conversation: Idempotent, as every visit is.
        chance: Spreads the pauses.
        before_retry: Told the number of the failed try and why it failed.
        before_try: Called before each try; may raise a `UnitError` to make it the last.

    Raises:
        UnitError: The last try's failure.
    """
    timeouts = host.target.timeouts
    deadline_s = asyncio.get_running_loop().time() + timeouts.unit_s

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, UnitError):
            before_retry(state.attempt_number, error)

    async for attempt in AsyncRetrying(
        retry=retry_if_exception(is_worth_another_try),
        wait=_Pause(chance),
        stop=_Enough(timeouts.retries, deadline_s),
        before_sleep=tell,
        sleep=asyncio.sleep,
        reraise=True,
    ):
        with attempt:
            before_try()
            remaining_s = deadline_s - asyncio.get_running_loop().time()
            return await transport.run(host.target, applier_command(), conversation, within_s=max(remaining_s, 0.1))
    raise AssertionError("tenacity ends with a result or an exception")
