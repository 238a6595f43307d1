"""Protobuf to models and image encoders and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from glyphseek.api.v1 import encoder_service_pb2 as pb
from glyphseek.indexing import ImageEncoding
from glyphseek.metrics import Metrics
from glyphseek.queries import Term
from glyphseek.rpc import codec
from glyphseek.rpc.calls import Calls, GrpcContext, translated
from glyphseek.serving.service import choose_job
from glyphseek.serving.working import Work
from glyphseek.types import ModelCard, TermFeatures
from glyphseek_encoder.batching import Batcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """One model at work: its queries in batches, its images with their blobs."""

    card: ModelCard
    queries: Batcher[Term, TermFeatures]
    images: ImageEncoding


class EncoderServicer:
    """Answers with the model that is asked for; images are encoded in a thread of `work`."""

    def __init__(
        self, encodings: Mapping[str, Encoding], *, work: Work, calls: Calls, metrics: Metrics, service: str
    ) -> None:
        """`encodings` are by fingerprint, the default first; `service` is the name in metrics."""
        self.calls = calls
        self._encodings = encodings
        self._work = work
        self._metrics = metrics
        self._service = service

    @translated
    async def ListModels(self, request: pb.ListModelsRequest, grpc_context: GrpcContext) -> pb.ListModelsResponse:
        """Return the models that are loaded."""
        return pb.ListModelsResponse(models=[codec.encode_card(one.card) for one in self._encodings.values()])

    @translated
    async def EncodeQueries(
        self, request: pb.EncodeQueriesRequest, grpc_context: GrpcContext
    ) -> pb.EncodeQueriesResponse:
        """Return the vectors of query terms, in their order."""
        encoding = choose_job(self._encodings, request.model)
        features = await encoding.queries.submit(codec.decode_queries_request(request))
        return codec.encode_queries_response(request.model, features)

    @translated
    async def EncodeImages(self, request: pb.EncodeImagesRequest, grpc_context: GrpcContext) -> pb.EncodeImagesResponse:
        """Encode images, write their blobs, and return what their rows need."""
        return await self._work.run(partial(self._encode_images, request))

    def _encode_images(self, request: pb.EncodeImagesRequest) -> pb.EncodeImagesResponse:
        encoding = choose_job(self._encodings, request.model)
        files = codec.decode_images_request(request)
        self._metrics.batch_items.labels(self._service, "encode_images").observe(len(files))
        with self._metrics.measure(self._metrics.inference_seconds, self._service, "encode_images"):
            outcomes = encoding.images.encode_and_store(files)
        return codec.encode_images_response(request.model, outcomes)
