"""A stand-in for Pulumi's Python language host, where the official release can't be had: it runs programs, no more.

An engine starts two for an operation, and one is only asked what it is: the SDK is imported where a program is run.
"""

import gc
import os
import runpy
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc


def nothing(*_: Any) -> bytes:
    """Answer with an empty message."""
    return b""


def about(*_: Any) -> bytes:
    """Name the interpreter: two strings. Source: pulumi/pulumi v3.259.0, language.proto, AboutResponse."""
    # Source: Protocol Buffers, "Encoding": a tag, the length as a varint (here always of two bytes), the bytes.
    texts = enumerate((sys.executable.encode(), f"{sys.version} (pulih's stand-in)".encode()), 1)
    return b"".join(bytes((number << 3 | 2, len(text) & 127 | 128, len(text) >> 7)) + text for number, text in texts)


def generate(*_: Any) -> bytes:
    """Answer `pulumi import`."""
    from pulumi.runtime.proto.language_pb2 import GenerateProgramResponse

    return GenerateProgramResponse(source={"__main__.py": b"# The stand-in writes no code.\n"}).SerializeToString()


def run(request: bytes, context: Any) -> bytes:
    """Run the program of a project's folder in the SDK's server of inline programs."""
    gc.disable()  # nothing of what is imported is garbage
    from pulumi.automation._server import LanguageServer
    from pulumi.runtime import proto, settings

    gc.enable()
    asked = proto.language_pb2.RunRequest.FromString(request)

    def program() -> None:
        settings.SETTINGS.root_directory = asked.info.root_directory  # pyright: ignore[reportAttributeAccessIssue]
        runpy.run_path(sys.argv[0], run_name="__main__")

    os.chdir(asked.pwd)
    sys.argv = [f"{asked.info.program_directory}/{asked.info.entry_point}"]
    asked.args[:] = [engine_address]  # where LanguageServer looks for it
    answer = LanguageServer(program).Run(asked, context)  # pyright: ignore[reportUnknownMemberType]
    return proto.language_pb2.RunResponse(bail=bool(answer.error)).SerializeToString()  # bail: the error has been told


engine_pid, *_, engine_address = sys.argv[1:]
signal.signal(signal.SIGINT, signal.SIG_DFL)  # leave without a traceback
answers = dict.fromkeys(("GetPluginInfo", "GetRequiredPackages", "Handshake"), nothing)
answers |= {"About": about, "GenerateProgram": generate, "Run": run}
methods: dict[str, Any] = {name: grpc.unary_unary_rpc_method_handler(answer) for name, answer in answers.items()}
server = grpc.server(ThreadPoolExecutor())
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("pulumirpc.LanguageRuntime", methods),))
print(server.add_insecure_port("127.0.0.1:0"))
server.start()
while os.getppid() == int(engine_pid):
    time.sleep(0.2)
os._exit(1)  # the engine is gone; its program may still be waiting for it
