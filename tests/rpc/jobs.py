"""Servicers over real jobs, as thin as can be: what arrives is decoded, what the job says is encoded."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fakes.serving import Offer

from glyphseek.api.v1 import encoder_service_pb2 as encoder
from glyphseek.api.v1 import encoder_service_pb2_grpc as encoder_grpc
from glyphseek.api.v1 import matcher_service_pb2 as matcher
from glyphseek.api.v1 import matcher_service_pb2_grpc as matcher_grpc
from glyphseek.api.v1 import reranker_service_pb2 as reranker
from glyphseek.api.v1 import reranker_service_pb2_grpc as reranker_grpc
from glyphseek.indexing import ImageEncoding
from glyphseek.matching import Matcher
from glyphseek.ports import Model
from glyphseek.reranking import Reranker
from glyphseek.rpc import codec
from glyphseek.rpc.calls import Calls, GrpcContext, translated
from glyphseek.rpc.context import run_in


class JobServicer:
    """All three services over jobs that are given; `spoil` changes an answer before it is sent."""

    def __init__(
        self,
        *,
        model: Model | None = None,
        images: ImageEncoding | None = None,
        reranker: Reranker | None = None,
        matcher: Matcher | None = None,
        spoil: Callable[[object], None] = lambda _: None,
    ) -> None:
        self.calls = Calls("jobs")
        self._model = model
        self._images = images
        self._reranker = reranker
        self._matcher = matcher
        self._spoil = spoil
        self._pool = ThreadPoolExecutor(1)

    @translated
    async def ListModels(
        self, request: encoder.ListModelsRequest, grpc_context: GrpcContext
    ) -> encoder.ListModelsResponse:
        models = [] if self._model is None else [codec.encode_card(self._model.card)]
        return encoder.ListModelsResponse(models=models)

    @translated
    async def EncodeQueries(
        self, request: encoder.EncodeQueriesRequest, grpc_context: GrpcContext
    ) -> encoder.EncodeQueriesResponse:
        assert self._model is not None
        assert request.model == self._model.card.fingerprint
        found = await run_in(self._pool, self._model.encode_terms, codec.decode_queries_request(request))
        answer = codec.encode_queries_response(request.model, found)
        self._spoil(answer)
        return answer

    @translated
    async def EncodeImages(
        self, request: encoder.EncodeImagesRequest, grpc_context: GrpcContext
    ) -> encoder.EncodeImagesResponse:
        assert self._images is not None
        files = codec.decode_images_request(request)
        outcomes = await run_in(self._pool, self._images.encode_and_store, files)
        return codec.encode_images_response(request.model, outcomes)

    @translated
    async def Rerank(self, request: reranker.RerankRequest, grpc_context: GrpcContext) -> reranker.RerankResponse:
        assert self._reranker is not None
        terms, image_ids = codec.decode_rerank_request(request)
        found = await run_in(self._pool, self._reranker.rerank, terms, image_ids, with_attention=request.with_attention)
        answer = codec.encode_reranking(found)
        self._spoil(answer)
        return answer

    @translated
    async def Match(self, request: matcher.MatchRequest, grpc_context: GrpcContext) -> matcher.MatchResponse:
        assert self._matcher is not None
        question = codec.decode_match_request(request)
        found = await run_in(
            self._pool,
            self._matcher.match,
            question.plan,
            question.terms,
            question.images,
            top=question.top,
            least_score=question.least_score,
        )
        return codec.encode_matching(found)

    def offers(self) -> list[Offer]:
        return [
            (
                encoder.DESCRIPTOR.services_by_name["EncoderService"],
                self,
                encoder_grpc.add_EncoderServiceServicer_to_server,
            ),
            (
                reranker.DESCRIPTOR.services_by_name["RerankerService"],
                self,
                reranker_grpc.add_RerankerServiceServicer_to_server,
            ),
            (
                matcher.DESCRIPTOR.services_by_name["MatcherService"],
                self,
                matcher_grpc.add_MatcherServiceServicer_to_server,
            ),
        ]
