"""The gateway as a Ray Serve application: the only module of this service that names Ray.

    serve run glyphseek_gateway.app:build

Its HTTP comes through Serve's HTTP proxy, its gRPC through Serve's gRPC proxy, which must be told of
`GRPC_FUNCTIONS`. Where the proxies listen is set where Serve is started: on loopback unless there are keys.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import cast

from fastapi import FastAPI
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from ray import serve
from ray.serve.grpc_util import RayServegRPCContext

from glyphseek.api.v1 import ingest_service_pb2 as ingest
from glyphseek.api.v1 import search_service_pb2 as search
from glyphseek.config import load_config
from glyphseek.errors import ServiceError
from glyphseek.logs import set_up_logs
from glyphseek.metrics import Metrics, serve_metrics
from glyphseek.rpc.calls import GrpcContext
from glyphseek.tracing import set_up_tracing
from glyphseek_gateway.assembling import assemble
from glyphseek_gateway.gateway import SERVICE

GRPC_FUNCTIONS = (
    "glyphseek.api.v1.search_service_pb2_grpc.add_SearchServiceServicer_to_server",
    "glyphseek.api.v1.ingest_service_pb2_grpc.add_IngestServiceServicer_to_server",
    "grpc_health.v1.health_pb2_grpc.add_HealthServicer_to_server",
)
"""What Serve's gRPC proxy needs as `grpc_servicer_functions`."""


class GatewayReplica:
    """One process of the gateway; every method is what Serve calls for one request."""

    def __init__(self, config_file: str = "") -> None:
        """The configuration is that of the process' environment, over that of the file if one is named."""
        config = load_config(Path(config_file) if config_file else None)
        set_up_logs(SERVICE, level=config.log_level)
        metrics = Metrics()
        self._gateway = assemble(config, metrics, sends_request_id=False)
        self._stops = [
            set_up_tracing(SERVICE, otlp_endpoint=config.otlp_endpoint),
            serve_metrics(metrics, host=config.metrics_host, port=config.metrics_port),
            self._gateway.close,
        ]

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return what answers HTTP."""
        return self._gateway.http

    def __del__(self) -> None:
        """Release everything when Serve ends the replica."""
        for stop in reversed(getattr(self, "_stops", [])):
            stop()

    async def Search(self, request: search.SearchRequest, grpc_context: GrpcContext) -> search.SearchResponse:
        """Answer one query."""
        return await self._gateway.search.Search(request, grpc_context)

    async def BatchSearch(
        self, request: search.BatchSearchRequest, grpc_context: GrpcContext
    ) -> search.BatchSearchResponse:
        """Answer several queries."""
        return await self._gateway.search.BatchSearch(request, grpc_context)

    async def GetHit(self, request: search.GetHitRequest, grpc_context: GrpcContext) -> search.GetHitResponse:
        """Return one image as it answers a query."""
        return await self._gateway.search.GetHit(request, grpc_context)

    async def AddImages(
        self, requests: AsyncIterator[ingest.AddImagesRequest], grpc_context: GrpcContext
    ) -> AsyncGenerator[ingest.AddImagesResponse]:
        """Add photos while they arrive."""
        async with aclosing(self._gateway.ingest.AddImages(requests, grpc_context)) as answers:
            async for answer in answers:
                yield answer
        if cast(RayServegRPCContext, grpc_context).code() not in (None, StatusCode.OK):
            raise ServiceError("the stream ended early")  # else Serve forgets the status that was set

    async def DeleteImages(
        self, request: ingest.DeleteImagesRequest, grpc_context: GrpcContext
    ) -> ingest.DeleteImagesResponse:
        """Remove images."""
        return await self._gateway.ingest.DeleteImages(request, grpc_context)

    async def GetImage(self, request: ingest.GetImageRequest, grpc_context: GrpcContext) -> ingest.GetImageResponse:
        """Return what is known of one image."""
        return await self._gateway.ingest.GetImage(request, grpc_context)

    async def ListImages(
        self, request: ingest.ListImagesRequest, grpc_context: GrpcContext
    ) -> ingest.ListImagesResponse:
        """Return a page of images."""
        return await self._gateway.ingest.ListImages(request, grpc_context)

    async def CreateCollection(
        self, request: ingest.CreateCollectionRequest, grpc_context: GrpcContext
    ) -> ingest.CreateCollectionResponse:
        """Make a collection or a generation."""
        return await self._gateway.ingest.CreateCollection(request, grpc_context)

    async def ListCollections(
        self, request: ingest.ListCollectionsRequest, grpc_context: GrpcContext
    ) -> ingest.ListCollectionsResponse:
        """Return all collections."""
        return await self._gateway.ingest.ListCollections(request, grpc_context)

    async def SwitchAlias(
        self, request: ingest.SwitchAliasRequest, grpc_context: GrpcContext
    ) -> ingest.SwitchAliasResponse:
        """Make another generation the current one."""
        return await self._gateway.ingest.SwitchAlias(request, grpc_context)

    async def DropCollection(
        self, request: ingest.DropCollectionRequest, grpc_context: GrpcContext
    ) -> ingest.DropCollectionResponse:
        """Remove a generation or a collection."""
        return await self._gateway.ingest.DropCollection(request, grpc_context)

    async def Check(self, request: health_pb2.HealthCheckRequest) -> health_pb2.HealthCheckResponse:
        """Return the health of the gateway and what it needs, as `grpc.health.v1` wants it."""
        report = await self._gateway.readiness.check()
        kinds = health_pb2.HealthCheckResponse
        return kinds(status=kinds.SERVING if report.is_ready else kinds.NOT_SERVING)


def build(arguments: dict[str, str]) -> serve.Application:
    """Return the application for Serve; `config` among the arguments names a file of the configuration."""
    deployment = serve.deployment(name=SERVICE)(serve.ingress()(GatewayReplica))
    return deployment.bind(arguments.get("config", ""))
