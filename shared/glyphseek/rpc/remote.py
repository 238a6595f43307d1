"""The parts of a search and of indexing that run elsewhere: they are used as those in this process are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from glyphseek.api.v1 import (
    encoder_service_pb2,
    encoder_service_pb2_grpc,
    matcher_service_pb2_grpc,
    reranker_service_pb2_grpc,
)
from glyphseek.errors import ImageError, InputError, ModelError, ModelNotFound, ServiceUnavailable
from glyphseek.indexing import EncodedFile, StoredImage
from glyphseek.matching import MatchCandidate, Matching
from glyphseek.queries import Term
from glyphseek.ranking import QueryPlan
from glyphseek.reranking import Reranking
from glyphseek.rpc import codec
from glyphseek.rpc.client import Client
from glyphseek.types import ImageFeatures, ModelCard, RgbImage, TermFeatures

T = TypeVar("T")

_MOST_FILES_BYTES = 32 * 2**20  # of the files of one request; a larger file is sent alone


def list_models(client: Client, *, timeout_s: float) -> list[ModelCard]:
    """Return the cards of the models that an encoder has loaded, its default first."""
    stub = encoder_service_pb2_grpc.EncoderServiceStub(client.channel)
    response = client.call(stub.ListModels, encoder_service_pb2.ListModelsRequest(), timeout_s=timeout_s)
    return _read(client, lambda: [codec.decode_card(one) for one in response.models])


def find_model(client: Client, name: str, *, timeout_s: float) -> ModelCard:
    """Return the card of the model with that name or fingerprint, of the default for an empty name.

    Raises ModelNotFound with the names of those that are loaded.
    """
    cards = list_models(client, timeout_s=timeout_s)
    for card in cards:
        if name in ("", card.name, card.fingerprint):
            return card
    known = ", ".join(card.name for card in cards) or "none"
    raise ModelNotFound(f"{client.peer} has no model {name!r}; it has: {known}")


class RemoteModel:
    """A model behind an encoder service. Query terms are encoded there; so are images, by `RemoteImageEncoder`."""

    def __init__(self, client: Client, card: ModelCard, *, timeout_s: float) -> None:
        """`card` is one that the service listed. `timeout_s` bounds each call."""
        self._client = client
        self._card = card
        self._timeout_s = timeout_s
        self._stub = encoder_service_pb2_grpc.EncoderServiceStub(client.channel)

    @property
    def card(self) -> ModelCard:
        """Return the card of the model."""
        return self._card

    def prepare(self, image: RgbImage) -> RgbImage:
        """Return the image as it is: what the model makes of it is the service's matter."""
        return image

    def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
        """Raise ModelError: the service stores what it finds in images, and features do not travel."""
        raise ModelError(f"model {self._card.name} is behind {self._client.peer}: images are encoded and stored there")

    def encode_terms(self, terms: Sequence[Term]) -> list[TermFeatures]:
        """Return the vectors of the terms, in their order. Raises QueryError and ServiceError."""
        if not terms:
            return []
        request = codec.encode_queries_request(self._card.fingerprint, terms)
        response = self._client.call(self._stub.EncodeQueries, request, timeout_s=self._timeout_s)
        fingerprint, width = self._card.fingerprint, self._card.vector_width
        return _read(
            self._client,
            lambda: codec.decode_queries_response(response, fingerprint=fingerprint, terms=len(terms), width=width),
        )


class RemoteImageEncoder:
    """An encoder service as what encodes images and stores their blobs; see `indexing.ImageEncoding`."""

    def __init__(self, client: Client, card: ModelCard, *, timeout_s: float) -> None:
        """`timeout_s` bounds one request: up to 64 files of 32 MiB together, or one larger file."""
        self._client = client
        self._card = card
        self._timeout_s = timeout_s
        self._stub = encoder_service_pb2_grpc.EncoderServiceStub(client.channel)

    def encode_and_store(self, files: Sequence[EncodedFile]) -> list[StoredImage | ImageError]:
        """Return for each file, in order, what its row needs, or why it cannot be indexed. Raises ServiceError.

        Blobs are keyed by content, so a request that got lost is made again.
        """
        return [outcome for part in _divide(files) for outcome in self._encode(part)]

    def _encode(self, files: Sequence[EncodedFile]) -> list[StoredImage | ImageError]:
        request = codec.encode_images_request(self._card.fingerprint, files)
        response = self._client.call(self._stub.EncodeImages, request, timeout_s=self._timeout_s)
        width = self._card.vector_width
        return _read(self._client, lambda: codec.decode_images_response(response, images=len(files), width=width))


class RemoteReranker:
    """A reranker service as the stage of a search; see `search.stages.RerankStage`."""

    def __init__(self, client: Client, *, fingerprint: str, timeout_s: float) -> None:
        """`fingerprint` is that of the model whose token maps are meant; `timeout_s` bounds each call."""
        self._client = client
        self._fingerprint = fingerprint
        self._timeout_s = timeout_s
        self._stub = reranker_service_pb2_grpc.RerankerServiceStub(client.channel)

    def rerank(
        self, terms: Sequence[TermFeatures], image_ids: Sequence[str], *, with_attention: bool = False
    ) -> Reranking:
        """Return the scores of every term for every image whose token map can be used, exactly as computed there.

        Raises what the service raises, and ServiceError when it does not answer.
        """
        request = codec.encode_rerank_request(self._fingerprint, terms, image_ids, with_attention=with_attention)
        response = self._client.call(self._stub.Rerank, request, timeout_s=self._timeout_s)
        return _read(
            self._client,
            lambda: codec.decode_reranking(response, terms=len(terms), with_attention=with_attention),
        )


class RemoteMatcher:
    """A matcher service as the stage of a search; see `search.stages.MatchStage`."""

    def __init__(self, client: Client, *, fingerprint: str, timeout_s: float) -> None:
        """`fingerprint` is that of the model whose instances are meant; `timeout_s` bounds each call."""
        self._client = client
        self._fingerprint = fingerprint
        self._timeout_s = timeout_s
        self._stub = matcher_service_pb2_grpc.MatcherServiceStub(client.channel)

    def match(
        self,
        plan: QueryPlan,
        terms: Sequence[TermFeatures],
        images: Sequence[MatchCandidate],
        *,
        top: int = 0,
        least_score: float = 0.0,
    ) -> Matching:
        """Return how well the images answer the plan, exactly as computed there.

        Raises what the service raises, and ServiceError when it does not answer.
        """
        question = codec.MatchQuestion(plan=plan, terms=terms, images=images, top=top, least_score=least_score)
        request = codec.encode_match_request(self._fingerprint, question)
        response = self._client.call(self._stub.Match, request, timeout_s=self._timeout_s)
        return _read(self._client, lambda: codec.decode_matching(response))


def _read(client: Client, decode: Callable[[], T]) -> T:
    """Return what an answer says; one that cannot be read is no better than none."""
    try:
        return decode()
    except InputError as error:
        raise ServiceUnavailable(f"{client.peer} gave an answer that cannot be used: {error}") from error


def _divide(files: Sequence[EncodedFile]) -> list[list[EncodedFile]]:
    """Return the files in order, in parts that one request can hold."""
    parts: list[list[EncodedFile]] = []
    held_bytes = 0
    for file in files:
        size = len(file.content)
        if not parts or len(parts[-1]) == codec.MOST_FILES or held_bytes + size > _MOST_FILES_BYTES:
            parts.append([])
            held_bytes = 0
        parts[-1].append(file)
        held_bytes += size
    return parts
