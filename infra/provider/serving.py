"""The provider as a gRPC server: the only place that reaches into the SDK's unpublished parts.

Between the SDK's values and plain ones, and between our errors and the engine's words. The SDK's own server shows a
traceback where an error's text should stand and counts every failure as "state unknown", so errors are told here.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import grpc
import grpc.aio
from pulumi.provider.experimental import provider as sdk
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS  # pyright: ignore[reportPrivateUsage] - as its server
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc, status_pb2

from infra.declaration import VERSION, estate_folder
from infra.provider.changes import Change, Kind
from infra.provider.checking import Properties, name_of
from infra.provider.lifetime import Lifetime
from infra.provider.resources import Resources, UnreadError, Urn
from infra.provider.schema import schema
from recovery.errors import HeldError, PulihError, RefusedError

_KINDS = {
    (Kind.ADD, False): sdk.PropertyDiffKind.ADD,
    (Kind.ADD, True): sdk.PropertyDiffKind.ADD_REPLACE,
    (Kind.DELETE, False): sdk.PropertyDiffKind.DELETE,
    (Kind.DELETE, True): sdk.PropertyDiffKind.DELETE_REPLACE,
    (Kind.UPDATE, False): sdk.PropertyDiffKind.UPDATE,
    (Kind.UPDATE, True): sdk.PropertyDiffKind.UPDATE_REPLACE,
}

_FAILED = grpc.StatusCode.FAILED_PRECONDITION
"""The engine takes it as "not done, and nothing in doubt"; INTERNAL, UNKNOWN and DATA_LOSS leave an operation pending.

Source: pulumi/pulumi v3.259.0, `resourceStateAndError`.
"""

_ENDINGS: Mapping[type[PulihError], str] = {HeldError: "held", RefusedError: "refused"}
"""The words before those errors that the command line gives an exit code of their own."""

Values = dict[str, PropertyValue]


class PulihProvider(sdk.Provider):
    """Answers the engine."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def get_schema(self, request: sdk.GetSchemaRequest) -> sdk.GetSchemaResponse:
        """Describe the resources, for `pulumi import` and for other languages."""
        del request
        return sdk.GetSchemaResponse(json.dumps(schema()))

    async def configure(self, request: sdk.ConfigureRequest) -> sdk.ConfigureResponse:
        """Learn which estate is meant."""
        configured = request.args.get("estate")
        named = configured.value if configured is not None else None
        self._resources.folder = estate_folder(named if isinstance(named, str) else None)
        return sdk.ConfigureResponse(supports_preview=True, accept_outputs=False)

    async def check(self, request: sdk.CheckRequest) -> sdk.CheckResponse:
        """Say what is wrong with a resource's inputs."""
        found = await self._resources.check(Urn(request.urn), plain(request.new_inputs))
        failures = [sdk.CheckFailure(fault.path, fault.reason) for fault in found]
        return sdk.CheckResponse(inputs=request.new_inputs, failures=failures)

    async def diff(self, request: sdk.DiffRequest) -> sdk.DiffResponse:
        """Name what differs."""
        found = await self._resources.diff(Urn(request.urn), plain(request.old_state), plain(request.new_inputs))
        return sdk.DiffResponse(
            changes=bool(found),
            replaces=[change.path for change in found if change.is_replacement],
            diffs=sorted({_top(change) for change in found}),
            detailed_diff={change.path: _detail(change) for change in found},
        )

    async def create(self, request: sdk.CreateRequest) -> sdk.CreateResponse:
        """Bring a unit to its declared state, or adopt it."""
        name = name_of(Urn(request.urn).kind, plain(request.properties))
        if request.preview:
            return sdk.CreateResponse(name, request.properties)
        return sdk.CreateResponse(name, await self._applied(request.urn, request.properties))

    async def update(self, request: sdk.UpdateRequest) -> sdk.UpdateResponse:
        """Bring a unit to its declared state."""
        if request.preview:
            return sdk.UpdateResponse(request.news)
        return sdk.UpdateResponse(await self._applied(request.urn, request.news))

    async def read(self, request: sdk.ReadRequest) -> sdk.ReadResponse:
        """Read what a unit runs."""
        state, inputs = await self._resources.read(
            Urn(request.urn), request.resource_id, plain(request.properties), plain(request.inputs)
        )
        return sdk.ReadResponse(request.resource_id, values(state), values(inputs))

    async def delete(self, request: sdk.DeleteRequest) -> None:
        """Forget a unit; it goes on serving."""
        await self._resources.delete(Urn(request.urn), request.resource_id)

    async def cancel(self) -> None:
        """Start no further unit."""
        self._resources.stop()

    async def _applied(self, urn: str, inputs: Values) -> Values:
        return values(await self._resources.apply(Urn(urn), plain(inputs)))


class EngineTeller:
    """Tells the engine, which shows it beside the resource."""

    def __init__(self, engine: str) -> None:
        self._channel = grpc.aio.insecure_channel(engine)
        self._engine: Any = engine_pb2_grpc.EngineStub(self._channel)
        self._sending: set[asyncio.Future[Any]] = set()

    async def warn(self, urn: str, text: str) -> None:
        """Show a warning that stays; returns when it has arrived, for the engine may end with our next answer."""
        with suppress(grpc.RpcError):
            await self._engine.Log(engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=text, urn=urn))

    def note(self, urn: str, text: str) -> None:
        """Show what is happening just now."""
        request = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=text, urn=urn, ephemeral=True)
        sending = asyncio.ensure_future(self._engine.Log(request))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)


async def serve(engine: str) -> None:
    """Answer an engine until it is gone or wants no more.

    Args:
        engine: Address of the engine's own server, `host:port`.
    """
    lifetime = Lifetime()
    resources = Resources(EngineTeller(engine))
    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    register: Any = provider_pb2_grpc.add_ResourceProviderServicer_to_server
    register(_servicer(PulihProvider(resources), engine), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await lifetime.wait()
    await resources.close()
    await server.stop(None)


def plain(given: Mapping[str, PropertyValue]) -> dict[str, object]:
    """Return values without the SDK's wrapping; its own keys, which begin with `__`, are left out."""
    return {key: _plain(value.value) for key, value in given.items() if not key.startswith("__")}


def values(given: Properties) -> Values:
    """Return plain values as the SDK's."""
    return {key: _value(value) for key, value in given.items()}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(inner.value) for key, inner in cast(Mapping[str, PropertyValue], value).items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(inner.value) for inner in cast(Sequence[PropertyValue], value)]
    return value


def _value(value: object) -> PropertyValue:
    if isinstance(value, Mapping):
        return PropertyValue({key: _value(inner) for key, inner in cast(Mapping[str, object], value).items()})
    return PropertyValue(cast(str | float, value))


def _top(change: Change) -> str:
    return change.path.partition("[")[0]


def _detail(change: Change) -> sdk.PropertyDiff:
    return sdk.PropertyDiff(_KINDS[change.kind, change.is_replacement], input_diff=False)


def _servicer(provider: PulihProvider, engine: str) -> Any:
    """Return the SDK's servicer, with our errors in the engine's words."""
    servicer: Any = ProviderServicer([], VERSION, provider, engine)
    for name in ("Check", "Diff", "Create", "Update", "Delete", "Read"):
        setattr(servicer, name, _told(getattr(servicer, name)))
    return servicer


def _told(method: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    """Turn a method's exceptions into failures whose text stands alone."""

    async def answer(request: Any, context: Any) -> Any:
        try:
            return await method(request, context)
        except UnreadError as error:
            if not request.inputs.fields:  # an import: nothing is known of it yet
                await context.abort(_FAILED, str(error))
            await context.abort_with_status(_unhealthy(request, str(error)))
        except PulihError as error:
            words = next((f"{word}: " for kind, word in _ENDINGS.items() if isinstance(error, kind)), "")
            await context.abort(_FAILED, f"{words}{error}")
        except Exception as error:
            text = f"a fault of pulih itself, please file it: {type(error).__name__}: {error}"
            await context.abort(_FAILED, text)

    return answer


def _unhealthy(request: Any, reason: str) -> Any:
    """Return the status that keeps a resource as it was last known, and says why it could not be read.

    The engine warns, goes on with the others, and tries the unit again at its next update.
    Source: pulumi/pulumi v3.259.0, `RefreshStep.Apply` and `parseError`.
    """
    detail = provider_pb2.ErrorResourceInitFailed(
        id=request.id, properties=request.properties, inputs=request.inputs, reasons=[reason]
    )
    packed = status_pb2.Status(code=_FAILED.value[0], message=reason)
    packed.details.add().Pack(detail)
    return _Status(_FAILED, reason, packed.SerializeToString())


class _Status(grpc.Status):
    def __init__(self, code: grpc.StatusCode, details: str, packed: bytes) -> None:
        self.code = code
        self.details = details
        self.trailing_metadata = (("grpc-status-details-bin", packed),)
