"""The Ray Serve application of service_hops.py; it is not a benchmark by itself."""

from __future__ import annotations

from ray import serve

from glyphseek.api.v1 import reranker_service_pb2 as pb
from glyphseek.rpc.calls import Calls, GrpcContext, translated


class HopServicer:
    """Answers as a reranker does, with scores that are there already: what is left is the way."""

    def __init__(self, answer: bytes) -> None:
        self.calls = Calls("hops")
        self._answer = pb.RerankResponse.FromString(answer)

    @translated
    async def Rerank(self, request: pb.RerankRequest, grpc_context: GrpcContext) -> pb.RerankResponse:
        """Return the answer."""
        return self._answer


class HopReplica:
    """The servicer inside a replica."""

    def __init__(self, answer: bytes) -> None:
        self._servicer = HopServicer(answer)

    async def Rerank(self, request: pb.RerankRequest, grpc_context: GrpcContext) -> pb.RerankResponse:
        """Return the answer."""
        return await self._servicer.Rerank(request, grpc_context)


def build(answer: bytes) -> serve.Application:
    """Return the application."""
    return serve.deployment(name="hops", max_ongoing_requests=64)(HopReplica).bind(answer)
