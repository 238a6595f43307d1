"""A gallery of words on grids: a model with global vectors and token maps whose arithmetic can be followed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from fakes.word_gallery import word_vector

from glyphseek.errors import QueryError
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.ports import blob_key
from glyphseek.queries import Term, TermKind
from glyphseek.tokens import CodecName, PackedTokens, TokenCodebook, pack
from glyphseek.types import (
    Calibration,
    FeatureKind,
    FloatArray,
    ImageFeatures,
    ImageRecord,
    MapScores,
    ModelCard,
    RgbImage,
    TermFeatures,
    TokenMap,
)
from glyphseek.vectors.memory import MemoryVectorStore

WIDTH = 256
ROWS, COLUMNS = 6, 8
FINGERPRINT = "fedcba9876543210" * 2
CARD = ModelCard(
    name="grids",
    method="fake",
    fingerprint=FINGERPRINT,
    vector_width=WIDTH,
    features=frozenset({FeatureKind.GLOBAL, FeatureKind.TOKENS}),
    alphabet="abcdefghijklmnopqrstuvwxyz0123456789",
    max_query_characters=15,
    understands_meaning=False,
    calibration=Calibration(slope=20.0, offset=-8.0, threshold=0.5),
    rerank_calibration=Calibration(slope=10.0, offset=-7.0, threshold=0.5),
)
SHARPNESS = 30.0
"""Attention is the softmax of this times the cosines of a term with the tokens."""


class GridModel:
    """Finds a word in a map by its exact token: probability 1 where the best cosine is 1, 0.5 at 0.5, 0 at 0."""

    def __init__(self, codebook: TokenCodebook | None = None) -> None:
        self._codebook = codebook
        self.batches: list[tuple[int, int]] = []

    @property
    def card(self) -> ModelCard:
        return CARD

    @property
    def codebook(self) -> TokenCodebook | None:
        return self._codebook

    def prepare(self, image: RgbImage) -> RgbImage:
        return image

    def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
        """Return a map that says the name of the photo's first pixel's red value: word `w17` in the first cell."""
        return [write_map({f"w{int(image[0, 0, 0])}": [(0, 0)]}) for image in images]

    def encode_terms(self, terms: Sequence[Term]) -> list[TermFeatures]:
        return [self._encode(term) for term in terms]

    def score_maps(
        self, terms: Sequence[TermFeatures], maps: Sequence[PackedTokens], *, with_attention: bool
    ) -> MapScores:
        self.batches.append((len(terms), len(maps)))
        cosines = [[one.decode() @ term.vectors_VD[0] for one in maps] for term in terms]
        attention = [[one.spread(_softmax(c)) for one, c in zip(maps, row, strict=True)] for row in cosines]
        return MapScores(
            probabilities_TK=np.array([[c.max().clip(0, 1) for c in row] for row in cosines], dtype=np.float32),
            attention=tuple(map(tuple, attention)) if with_attention else None,
        )

    def _encode(self, term: Term) -> TermFeatures:
        if term.kind in (TermKind.SEMANTIC, TermKind.PREFIX):
            raise QueryError(f"model 'grids' knows whole words only, not {term}")
        vector_D = word_vector(term.text)
        return TermFeatures(vectors_VD=vector_D[None], tokens_TE=vector_D[None])


def write_map(
    words: Mapping[str, Sequence[tuple[int, int]]],
    *,
    near: Mapping[str, float] | None = None,
    shape: tuple[int, int] = (ROWS, COLUMNS),
) -> ImageFeatures:
    """Return an image with each word in one or several cells (row, column); `near` gives a word less than cosine 1.

    The global vector is the mean of the words. Other cells hold tokens that are no word's, of text likelihood 0.25.
    """
    tokens_HWE = np.stack(
        [word_vector(f"nothing {row} {column}") for row in range(shape[0]) for column in range(shape[1])]
    ).reshape(*shape, WIDTH)
    likelihood_HW = np.full(shape, 0.25, dtype=np.float32)
    vectors: list[FloatArray] = [word_vector("some background")]
    for word, cells in words.items():
        cosine = (near or {}).get(word, 1.0)
        token_E = cosine * word_vector(word) + np.sqrt(1 - cosine**2) * word_vector(f"beside {word}")
        for row, column in cells:
            tokens_HWE[row, column] = token_E
            likelihood_HW[row, column] = 1.0
        vectors.append(token_E)
    mean_D = np.mean(vectors, axis=0)
    return ImageFeatures(
        global_vector_D=(mean_D / np.linalg.norm(mean_D)).astype(np.float32),
        token_map=TokenMap(tokens_HWE=tokens_HWE.astype(np.float32), text_likelihood_HW=likelihood_HW),
    )


def write_grids(images: Mapping[str, str]) -> tuple[MemoryVectorStore, MemoryFeatureStore]:
    """Return the stores of a gallery: image id to the words of its one line, every second cell."""
    vectors, features = MemoryVectorStore(card=CARD), MemoryFeatureStore()
    for image_id, line in images.items():
        add_grid(vectors, features, image_id, write_map({w: [(2, 2 * i)] for i, w in enumerate(line.split())}))
    return vectors, features


def add_grid(
    vectors: MemoryVectorStore,
    features: MemoryFeatureStore,
    image_id: str,
    found: ImageFeatures,
    *,
    codec: CodecName = CodecName.INT8,
) -> None:
    """Write the blob and then the row of one image."""
    assert found.global_vector_D is not None
    features.put(blob_key(FINGERPRINT, image_id), pack(found, codec=codec, fingerprint=FINGERPRINT))
    record = ImageRecord(
        image_id=image_id,
        content_hash=image_id,
        names=(f"{image_id}.jpg",),
        width=80,
        height=60,
        instance_count=0,
    )
    vectors.put([record], [found.global_vector_D[None]])


def _softmax(cosines_N: FloatArray) -> FloatArray:
    weights_N = np.exp(SHARPNESS * (cosines_N - cosines_N.max()))
    return (weights_N / weights_N.sum()).astype(np.float32)
