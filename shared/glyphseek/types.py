"""Values that cross module borders: frozen, with the shape and range of every array stated once.

Shape legend, used across the library: Q queries, V variants of one query term, N instances (words found in one
image), D vector width, E token width, H and W rows and columns of a map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from glyphseek.metadata import NO_METADATA, Metadata
from glyphseek.metadata import MetadataValue as MetadataValue

FloatArray = NDArray[np.float32]
"""A float32 array; the name it is bound to carries its shape as a suffix."""

RgbImage = NDArray[np.uint8]
"""(height, width, 3) uint8, red-green-blue, [0, 255], turned upright: the image as a person sees it."""


LetterArray = NDArray[np.uint8]
"""(N, S, A) uint8: how surely column s of word n shows each of A signs, in steps of `LETTER_STEP`, see `Instances`."""

LETTER_STEP = 1 / 16
"""Nats of one step of letters: a value v means the probability exp(-v * LETTER_STEP), 255 that or less."""

Precision = Literal["auto", "float32", "bfloat16"]
"""How finely a model counts; `auto` is the fastest that this machine has instructions for."""


class FeatureKind(StrEnum):
    """What a method extracts from one image. A method with TOKENS reranks: its model is a `ports.TokenScorer` too."""

    GLOBAL = "global"
    INSTANCES = "instances"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryVectors:
    """V vectors that many images are compared with; made once, with all that the comparison needs of them.

    vectors_VD: as they are. halves_VD: in half precision, for images that are kept so. lengths_V: how long a vector is
    beside its halves.
    """

    vectors_VD: FloatArray
    halves_VD: NDArray[np.float16]
    lengths_V: FloatArray

    @classmethod
    def of(cls, vectors_VD: FloatArray) -> QueryVectors:
        """Return vectors ready to be compared."""
        halves_VD = vectors_VD.astype(np.float16)
        rounded_V = np.maximum(np.linalg.norm(halves_VD.astype(np.float32), axis=1), np.finfo(np.float32).tiny)
        lengths_V = (np.linalg.norm(vectors_VD, axis=1) / rounded_V).astype(np.float32)
        return cls(vectors_VD=vectors_VD, halves_VD=halves_VD, lengths_V=lengths_V)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """The words a model found in one image; all arrays have N rows in the same order, best detection first.

    vectors_ND: unit norm. boxes_N4: left, top, right, bottom as fractions [0, 1] of the displayed image.
    scores_N: detector confidence [0, 1]. letters_NSA: what each column of the word shows, of a model whose card has
    `letters`: the characters of its alphabet and, last, none of them (the blank of CTC); None of other models.
    """

    vectors_ND: FloatArray
    boxes_N4: FloatArray
    scores_N: FloatArray
    letters_NSA: LetterArray | None = None

    def __len__(self) -> int:
        return int(self.vectors_ND.shape[0])

    def products(self, query: QueryVectors) -> FloatArray:
        """Return the (N, V) inner products with the query's vectors."""
        return self.vectors_ND @ query.vectors_VD.T


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMap:
    """Local features on a grid: tokens_HWE float32, text_likelihood_HW float32 in [0, 1]."""

    tokens_HWE: FloatArray
    text_likelihood_HW: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFeatures:
    """Everything a model extracts from one image; a kind the method does not have is None."""

    global_vector_D: FloatArray | None = None
    instances: Instances | None = None
    token_map: TokenMap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TermFeatures:
    """One query term as vectors_VD. Similarity to an image vector x is max over V of <v, x>, in about [-1, 1].

    A word has one variant of unit norm. A prefix has one variant for every word length it may grow to. `tokens_TE` are
    the term's text tokens, not normalised; None where a method has none.
    """

    vectors_VD: FloatArray
    tokens_TE: FloatArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapScores:
    """How well K token maps answer T terms: probabilities_TK float32 in [0, 1] that image k carries term t.

    `attention[t][k]` is (H, W) float32, 0 or more and summing to 1: how much of the answer each cell of map k gave. The
    grid covers the displayed image evenly: cell (y, x) is x / W to (x + 1) / W of its width, y / H to (y + 1) / H of
    its height. None when it was not asked for.
    """

    probabilities_TK: FloatArray
    attention: tuple[tuple[FloatArray, ...], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Turns a similarity s into the probability that the image carries the word: sigmoid(slope * s + offset).

    Fitted on data that the marks are not measured on. `threshold` is the probability under which an answer is
    "no confident match".
    """

    slope: float
    offset: float
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterScale:
    """Turns the logarithm l of the probability that an instance spells a word into a similarity: slope * l + offset.

    Fitted so that the model's `Calibration` makes of it the probability that the image carries the word.
    """

    slope: float
    offset: float


class Fusion(StrEnum):
    """How a reranked image is scored for a term: cosine plus match probability, or the latter alone."""

    SUM = "sum"
    MATCH = "match"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What the rest of the system must know of a model, without knowing the model.

    `fingerprint` (32 hex digits) changes whenever stored vectors would: method, weights and input size.
    `max_query_characters` bounds one normalised word. `alphabet` holds every character the model can tell apart.
    `longer_side` is the most pixels the model reads along the longer side of an image, None when it reads all.

    Of a method that reranks, `fusion` says how, and `rerank_calibration` is fitted on what fusion gives; None where
    `calibration` serves both. `asks_whole_text`: a query of several words is one text to it, and not a mean over words.
    `rerank_depth`: how many images its makers recommend to rerank, from what they measured; None where they do not.

    `letters`: of a model whose instances keep letters, by which they are matched; None of the others.
    """

    name: str
    method: str
    fingerprint: str
    vector_width: int
    features: frozenset[FeatureKind]
    alphabet: str
    max_query_characters: int
    understands_meaning: bool
    calibration: Calibration
    longer_side: int | None = None
    rerank_calibration: Calibration | None = None
    fusion: Fusion = Fusion.SUM
    asks_whole_text: bool = False
    rerank_depth: int | None = None
    letters: LetterScale | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """What the gallery knows of one image apart from its features; one row of the vector store, and its commit.

    `image_id` is the caller's, or the content hash. `names` are all paths (relative to the indexed folder, `/`
    separated) that hold this very content. Width and height are those of the displayed image, in pixels. `metadata` is
    what the caller says of it, for filters; any mapping becomes `Metadata`, which raises InputError past its bounds.
    """

    image_id: str
    content_hash: str
    names: tuple[str, ...]
    width: int
    height: int
    instance_count: int
    metadata: Mapping[str, MetadataValue] = field(default=NO_METADATA)

    def __post_init__(self) -> None:
        if not isinstance(self.metadata, Metadata):
            object.__setattr__(self, "metadata", Metadata(self.metadata))


class RowHit(NamedTuple):
    """One answer of a vector search. `instance` is its place in the image's `Instances`, None for a global vector."""

    image_id: str
    instance: int | None
    similarity: float


class RowHits(Sequence[RowHit]):
    """The H answers of one query, best first, in columns: a search makes thousands, of which it shows ten.

    image_ids, instances_H (H,) or None for global vectors, and similarities_H (H,) are in the same order. Equal to any
    sequence of the same answers.
    """

    __slots__ = ("image_ids", "instances_H", "similarities_H")

    def __init__(
        self, image_ids: Sequence[str], instances_H: NDArray[np.intp] | None, similarities_H: FloatArray
    ) -> None:
        self.image_ids = image_ids
        self.instances_H = instances_H
        self.similarities_H = similarities_H

    @classmethod
    def of(cls, hits: Sequence[RowHit]) -> RowHits:
        """Return answers that are there one by one; either all have an instance or none."""
        instances = [hit.instance for hit in hits if hit.instance is not None]
        return cls(
            [hit.image_id for hit in hits],
            np.array(instances, dtype=np.intp) if len(instances) == len(hits) else None,
            np.array([hit.similarity for hit in hits], dtype=np.float32),
        )

    def __len__(self) -> int:
        return len(self.image_ids)

    @overload
    def __getitem__(self, place: int) -> RowHit: ...
    @overload
    def __getitem__(self, place: slice) -> RowHits: ...
    def __getitem__(self, place: int | slice) -> RowHit | RowHits:
        instances = None if self.instances_H is None else self.instances_H[place]
        if isinstance(place, slice):
            return RowHits(self.image_ids[place], instances, self.similarities_H[place])
        instance = None if instances is None else int(instances)
        return RowHit(self.image_ids[place], instance, float(self.similarities_H[place]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return f"RowHits({list(self)})"
