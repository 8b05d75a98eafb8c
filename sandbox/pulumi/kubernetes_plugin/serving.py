"""The gRPC server around the plugin.

Pulumi's own `main` turns every error into `Unexpected <class ...>` with a traceback, and cannot
tell the engine of an object that was created but did not become ready. This one can.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeAlias

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

from fleet.errors import FleetError
from sandbox.pulumi.kubernetes_plugin.objects import object_id
from sandbox.pulumi.kubernetes_plugin.plugin import InitError, KubernetesPlugin

# gRPC's own objects, which have no types worth naming here.
_Grpc: TypeAlias = Any

VERSION = "4.33.0"
# A stack's whole plan goes through one message at times; Pulumi uses the same bound.
_OPTIONS = [("grpc.max_receive_message_length", 400 * 1024 * 1024)]


def main() -> None:
    """Serve until the engine ends this process. The engine's address is the first argument."""
    asyncio.run(_serve(sys.argv[1]))


async def _serve(engine_address: str) -> None:
    engine: _Grpc = engine_pb2_grpc.EngineStub(
        grpc.aio.insecure_channel(engine_address, options=_OPTIONS)
    )

    async def say(urn: str, text: str) -> None:
        await engine.Log(
            engine_pb2.LogRequest(severity=engine_pb2.INFO, message=text, urn=urn, ephemeral=True)
        )

    server = grpc.aio.server(options=_OPTIONS, interceptors=[_PlainErrors()])
    servicer = ProviderServicer(sys.argv[1:], VERSION, KubernetesPlugin(say), engine_address)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    # The engine reads the port from the first line.
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # An engine that was killed takes its plugin with it.
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)
    await server.stop(None)


class _PlainErrors(grpc.aio.ServerInterceptor):
    """Turns our errors into the engine's, as one line each."""

    async def intercept_service(
        self, continuation: Callable[[_Grpc], Awaitable[_Grpc]], handler_call_details: _Grpc
    ) -> _Grpc:
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler

        async def answer(request: _Grpc, context: _Grpc) -> _Grpc:
            try:
                return await handler.unary_unary(request, context)
            except InitError as error:
                return await context.abort_with_status(_init_failed(error))
            except FleetError as error:
                return await context.abort(grpc.StatusCode.UNKNOWN, str(error))

        return grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )


class _Status(NamedTuple):
    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


def _init_failed(error: InitError) -> _Status:
    detail = AnyMessage()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=object_id(error.live),
            properties=PropertyValue.marshal_map(error.properties),
            reasons=[str(error)],
        )
    )
    code = grpc.StatusCode.UNKNOWN
    status = status_pb2.Status(code=code.value[0], message=str(error), details=[detail])
    return _Status(code, str(error), (("grpc-status-details-bin", status.SerializeToString()),))
