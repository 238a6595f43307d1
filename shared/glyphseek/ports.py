"""The seams of the system: what the jobs (search, reranking, indexing, evaluation) ask of a model and two stores.

The protocols stand below the jobs, so that jobs know no adapter and adapters (models, vectors, features) know no job.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from glyphseek.errors import StoreError
from glyphseek.filters import Filter
from glyphseek.queries import Term
from glyphseek.types import (
    FloatArray,
    ImageFeatures,
    ImageRecord,
    MapScores,
    ModelCard,
    RgbImage,
    RowHits,
    TermFeatures,
)

if TYPE_CHECKING:
    from glyphseek.tokens import PackedTokens, TokenCodebook


class Model(Protocol):
    """A retrieval method with its weights. Methods may be called from several threads."""

    @property
    def card(self) -> ModelCard:
        """Return what the rest of the system must know of this model."""
        ...

    def prepare(self, image: RgbImage) -> RgbImage:
        """Return the image at the size the model reads, never larger than it was; cheap, run beside decoding."""
        ...

    def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
        """Return the features of prepared images, in their order; an image's features do not depend on its batch."""
        ...

    def encode_terms(self, terms: Sequence[Term]) -> list[TermFeatures]:
        """Return the vectors of normalised query terms, in their order.

        Raises QueryError for a term that is too long, or of a kind the model has no understanding of.
        """
        ...


@runtime_checkable
class TokenScorer(Protocol):
    """What a model with token maps can do besides `Model`: say from a stored map whether the image carries a term."""

    @property
    def codebook(self) -> TokenCodebook | None:
        """Return what packs and opens this model's token maps beyond plain codecs; None where it has none."""
        ...

    def score_maps(
        self, terms: Sequence[TermFeatures], maps: Sequence[PackedTokens], *, with_attention: bool
    ) -> MapScores:
        """Return the scores of T terms and K maps, at least one of each, computed in one batch.

        A score depends on its own term and map only. May be called from several threads.
        """
        ...


def codebook_of(model: Model) -> TokenCodebook | None:
    """Return what the model's token maps are packed with beyond a plain codec; None for a model that has nothing."""
    return model.codebook if isinstance(model, TokenScorer) else None


class VectorStore(Protocol):
    """Image rows and their vectors. A row of `scan` and `get` is the commit: an image without one does not exist."""

    def put(self, records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        """Write or replace images: `vectors[i]` is (n_i, D) of `records[i]`, n_i may be 0. Vectors first, rows last."""
        ...

    def search(self, vectors_QD: FloatArray, limit: int, *, where: Filter | None = None) -> list[RowHits]:
        """Return for each query the `limit` rows of largest inner product, best first, ties by image id then instance.

        Rows of images that were never committed, or whose metadata `where` does not match, are left out before the
        limit is applied.
        """
        ...

    def get(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """Return the records that exist; unknown ids are absent from the answer."""
        ...

    def scan(self, *, after: str = "") -> Iterator[ImageRecord]:
        """Yield every image whose id comes after `after` once, ordered by image id (by code point)."""
        ...

    def delete(self, image_ids: Sequence[str]) -> None:
        """Remove images, row first; unknown ids are ignored. A removed image is never in a later answer."""
        ...

    def close(self) -> None:
        """Flush and release the store; it must not be used afterwards."""
        ...


class FeatureStore(Protocol):
    """Blobs by key. Keys are relative paths of letters, digits, `-`, `_` and `/`."""

    def put(self, key: str, blob: bytes) -> None:
        """Write the blob whole or not at all, replacing what was there. Raises StoreFull."""
        ...

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the blobs in the order of the keys; None where there is none."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Remove blobs; unknown keys are ignored."""
        ...

    def scan(self) -> Iterator[str]:
        """Yield every key once, ordered."""
        ...


@runtime_checkable
class PartialReads(Protocol):
    """What a feature store over a network can do besides `FeatureStore`: give the blobs that came in time."""

    def get_each(self, keys: Sequence[str], *, timeout_s: float | None = None) -> list[bytes | StoreError | None]:
        """Return for each key its blob, None where there is none, or why it could not be read within `timeout_s`.

        None leaves the limit to the store.
        """
        ...


def blob_key(fingerprint: str, image_id: str) -> str:
    """Return the key of an image's blob: the fingerprint of its model, the first two characters of its id, its id."""
    return f"{fingerprint}/{image_id[:2]}/{image_id}"
