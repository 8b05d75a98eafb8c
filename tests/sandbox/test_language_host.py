"""The end of the language host, which every `pulumi` command waits for."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    language_pb2,
    language_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
)

from sandbox.host.checkout import CHECKOUT

pytestmark = pytest.mark.slow

# The engine waits five seconds for a host that it has interrupted, and then kills it.
SECONDS = 60


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """The part of an engine that a program without resources asks."""

    def SupportsFeature(  # noqa: N802 - the name in the protocol
        self, request: resource_pb2.SupportsFeatureRequest, context: grpc.ServicerContext
    ) -> resource_pb2.SupportsFeatureResponse:
        return resource_pb2.SupportsFeatureResponse(hasSupport=False)

    def RegisterResource(  # noqa: N802 - the name in the protocol
        self, request: resource_pb2.RegisterResourceRequest, context: grpc.ServicerContext
    ) -> resource_pb2.RegisterResourceResponse:
        return resource_pb2.RegisterResourceResponse(urn=f"urn:pulumi:s::p::{request.type}::stack")

    def GetDeploymentInfo(  # noqa: N802 - the name in the protocol
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> resource_pb2.DeploymentInfo:
        return resource_pb2.DeploymentInfo()

    def RegisterResourceOutputs(  # noqa: N802 - the name in the protocol
        self, request: resource_pb2.RegisterResourceOutputsRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        return empty_pb2.Empty()


class Engine(engine_pb2_grpc.EngineServicer):
    """The part of an engine that keeps the root resource and prints what the program says."""

    def Log(  # noqa: N802 - the name in the protocol
        self, request: engine_pb2.LogRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        print(request.message)
        return empty_pb2.Empty()

    def SetRootResource(  # noqa: N802 - the name in the protocol
        self, request: engine_pb2.SetRootResourceRequest, context: grpc.ServicerContext
    ) -> engine_pb2.SetRootResourceResponse:
        return engine_pb2.SetRootResourceResponse()


@pytest.fixture
def monitor() -> Iterator[str]:
    """The address of a monitor."""
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(Monitor(), server)
    engine_pb2_grpc.add_EngineServicer_to_server(Engine(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(grace=None).wait()


@pytest.fixture
def host(monitor: str) -> Iterator[subprocess.Popen[str]]:
    """A language host, as the engine starts it."""
    with subprocess.Popen(
        [sys.executable, "-m", "sandbox.pulumi.language_host", monitor],
        stdout=subprocess.PIPE,
        cwd=CHECKOUT,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_it_ends_when_the_engine_interrupts_it(host: subprocess.Popen[str]) -> None:
    assert host.stdout is not None
    assert int(host.stdout.readline()) > 0
    host.send_signal(signal.SIGINT)
    assert host.wait(timeout=SECONDS) == 0


def test_a_program_that_runs_goes_on(
    host: subprocess.Popen[str], monitor: str, tmp_path: Path
) -> None:
    """Ctrl-C reaches the host too, but only the engine decides about the program."""
    assert host.stdout is not None
    (tmp_path / "__main__.py").write_text(
        "import time\n"
        "from pathlib import Path\n"
        "Path('begun').touch()\n"
        "while not Path('go on').exists(): time.sleep(0.01)\n"
        "Path('ended').touch()\n"
    )
    with grpc.insecure_channel(f"127.0.0.1:{host.stdout.readline().strip()}") as channel:
        stub = language_pb2_grpc.LanguageRuntimeStub(channel)
        info = language_pb2.ProgramInfo(program_directory=str(tmp_path))
        request = language_pb2.RunRequest(
            project="p", stack="s", pwd=str(tmp_path), info=info, monitor_address=monitor
        )
        running = stub.Run.future(request)
        while not (tmp_path / "begun").exists():
            assert not running.done(), running.result()
            time.sleep(0.01)
        host.send_signal(signal.SIGINT)
        (tmp_path / "go on").touch()
        assert running.result(timeout=SECONDS).error == ""
    assert (tmp_path / "ended").exists()
    assert host.wait(timeout=SECONDS) == 0
