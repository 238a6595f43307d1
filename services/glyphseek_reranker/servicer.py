"""Protobuf to the job of reranking and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from glyphseek.api.v1 import reranker_service_pb2 as pb
from glyphseek.metrics import Metrics
from glyphseek.reranking import Reranker
from glyphseek.rpc import codec
from glyphseek.rpc.calls import Calls, GrpcContext, translated
from glyphseek.serving.counting import note_fetching
from glyphseek.serving.service import choose_job
from glyphseek.serving.working import Work


class RerankerServicer:
    """Answers from the reranker of the model that is asked for, in a thread of `work`."""

    def __init__(
        self, rerankers: Mapping[str, Reranker], *, work: Work, calls: Calls, metrics: Metrics, service: str
    ) -> None:
        """`rerankers` are by fingerprint; `service` is the name in metrics."""
        self.calls = calls
        self._rerankers = rerankers
        self._work = work
        self._metrics = metrics
        self._service = service

    @translated
    async def Rerank(self, request: pb.RerankRequest, grpc_context: GrpcContext) -> pb.RerankResponse:
        """Return the scores of every term for every image whose token map can be used."""
        return await self._work.run(partial(self._rerank, request))

    def _rerank(self, request: pb.RerankRequest) -> pb.RerankResponse:
        reranker = choose_job(self._rerankers, request.model)
        terms, image_ids = codec.decode_rerank_request(request)
        found = reranker.rerank(terms, image_ids, with_attention=request.with_attention)
        note_fetching(self._metrics, self._service, "rerank", found)
        return codec.encode_reranking(found)
