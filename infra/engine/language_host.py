"""A stand-in for Pulumi's Python language host, where the official release can't be had: it runs programs, no more."""

import os
import runpy
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime import proto, settings
from typing_extensions import override


class LanguageHost(LanguageServer):
    """The SDK's server of inline programs, running the program of a project's folder."""

    @override
    def Handshake(self, request: Any, context: Any) -> Any:
        return proto.language_pb2.LanguageHandshakeResponse()

    @override
    def About(self, request: Any, context: Any) -> Any:
        return proto.language_pb2.AboutResponse(executable=sys.executable, version=f"{sys.version} (pulih's stand-in)")

    @override
    def Run(self, request: Any, context: Any) -> Any:
        def program() -> None:
            settings.SETTINGS.root_directory = request.info.root_directory  # pyright: ignore[reportAttributeAccessIssue]
            runpy.run_path(sys.argv[0], run_name="__main__")

        os.chdir(request.pwd)
        sys.argv = [f"{request.info.program_directory}/{request.info.entry_point}"]
        request.args[:] = [engine_address]  # where LanguageServer looks for it
        return proto.language_pb2.RunResponse(bail=bool(LanguageServer(program).Run(request, context).error))  # pyright: ignore[reportUnknownMemberType] - bail: the error has been told

    @override
    def GenerateProgram(self, request: Any, context: Any) -> Any:
        return proto.language_pb2.GenerateProgramResponse(source={"__main__.py": b"# The stand-in writes no code.\n"})


engine_pid, *_, engine_address = sys.argv[1:]
signal.signal(signal.SIGINT, signal.SIG_DFL)  # leave without a traceback
server = grpc.server(ThreadPoolExecutor())
proto.language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(lambda: None), server)
print(server.add_insecure_port("127.0.0.1:0"))
server.start()
while os.getppid() == int(engine_pid):
    time.sleep(0.2)
os._exit(1)  # the engine is gone; its program may still be waiting for it
