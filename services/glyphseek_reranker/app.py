"""The reranker as a Ray Serve application: the only module of this service that names Ray.

serve run glyphseek_reranker.app:build
"""

from __future__ import annotations

from grpc_health.v1 import health_pb2
from ray import serve

from glyphseek.api.v1 import reranker_service_pb2 as pb
from glyphseek.rpc.calls import GrpcContext
from glyphseek.serving.replicas import Arguments, Replica, check_names, read_work
from glyphseek_reranker.assembling import SERVICE, assemble


class RerankerReplica:
    """One process of the reranker; every method is what Serve calls for one request."""

    def __init__(self, arguments: Arguments) -> None:
        """The configuration is that of the process' environment, over that of the file if `config` names one.

        Others are at_once and waiting (see `WorkSettings`). Raises SettingError for unknown names.
        """
        check_names(arguments, frozenset())
        self._replica = Replica(
            SERVICE, lambda config, metrics: assemble(config, metrics, work=read_work(arguments)), arguments
        )
        self._service = self._replica.service

    def __del__(self) -> None:
        """Release everything when Serve ends the replica."""
        if replica := getattr(self, "_replica", None):
            replica.close()

    async def Rerank(self, request: pb.RerankRequest, grpc_context: GrpcContext) -> pb.RerankResponse:
        """Return the scores of terms for images."""
        return await self._service.servicer.Rerank(request, grpc_context)

    async def Check(self, request: health_pb2.HealthCheckRequest) -> health_pb2.HealthCheckResponse:
        """Return whether calls can be answered, as `grpc.health.v1` wants it."""
        return await self._replica.check()


def build(arguments: Arguments) -> serve.Application:
    """Return the application for Serve; see `RerankerReplica` for the arguments."""
    return serve.deployment(name=SERVICE)(RerankerReplica).bind(arguments)
