"""A gallery of written-down words: a model whose vectors are exact, and a vector store that compares all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from glyphseek.errors import QueryError
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.filters import Filter
from glyphseek.ports import blob_key
from glyphseek.queries import Term, TermKind
from glyphseek.tokens import CodecName, pack
from glyphseek.types import (
    Calibration,
    FeatureKind,
    FloatArray,
    ImageFeatures,
    ImageRecord,
    Instances,
    LetterArray,
    LetterScale,
    MetadataValue,
    ModelCard,
    RgbImage,
    RowHit,
    RowHits,
    TermFeatures,
)

WIDTH = 256
FINGERPRINT = "0123456789abcdef" * 2
CARD = ModelCard(
    name="words",
    method="fake",
    fingerprint=FINGERPRINT,
    vector_width=WIDTH,
    features=frozenset({FeatureKind.INSTANCES}),
    alphabet="abcdefghijklmnopqrstuvwxyz0123456789",
    max_query_characters=15,
    understands_meaning=False,
    calibration=Calibration(slope=20.0, offset=-14.0, threshold=0.5),
)


LETTERS_CARD = replace(CARD, letters=LetterScale(slope=0.03, offset=0.95))
"""The same model, if its instances kept letters."""


def word_vector(word: str) -> FloatArray:
    """Return the unit vector of a word: equal for equal words, nearly orthogonal for others."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(WIDTH)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class WordModel:
    """Knows the words of its vocabulary; a prefix has a variant for each of them that begins with it."""

    def __init__(self, vocabulary: Sequence[str] = ()) -> None:
        self._vocabulary = vocabulary

    @property
    def card(self) -> ModelCard:
        return CARD

    def prepare(self, image: RgbImage) -> RgbImage:
        return image

    def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
        raise NotImplementedError("images of this gallery are made from words")

    def encode_terms(self, terms: Sequence[Term]) -> list[TermFeatures]:
        return [TermFeatures(vectors_VD=np.stack([word_vector(one) for one in self._variants(term)])) for term in terms]

    def _variants(self, term: Term) -> list[str]:
        if term.kind is TermKind.SEMANTIC:
            raise QueryError("model 'words' understands no meaning")
        if len(term.text) > CARD.max_query_characters:
            raise QueryError(f"{term.text!r} has {len(term.text)} characters, the limit is {CARD.max_query_characters}")
        grown = [word for word in self._vocabulary if word.startswith(term.text)]
        return grown if term.kind is TermKind.PREFIX and grown else [term.text]


class ExhaustiveVectorStore:
    """Compares every row; keeps the arguments of its calls in `limits`."""

    def __init__(self) -> None:
        self._records: dict[str, ImageRecord] = {}
        self._vectors: dict[str, FloatArray] = {}
        self.limits: list[int] = []

    def put(self, records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        for record, vectors_ND in zip(records, vectors, strict=True):
            self._records[record.image_id] = record
            self._vectors[record.image_id] = vectors_ND

    def search(self, vectors_QD: FloatArray, limit: int, *, where: Filter | None = None) -> list[RowHits]:
        self.limits.append(limit)
        return [self._search_one(vector_D, limit, where) for vector_D in vectors_QD]

    def _search_one(self, vector_D: FloatArray, limit: int, where: Filter | None) -> RowHits:
        hits = [
            RowHit(image_id=image_id, instance=place, similarity=float(similarity))
            for image_id, vectors_ND in self._vectors.items()
            if where is None or where.matches(self._records[image_id].metadata)
            for place, similarity in enumerate(vectors_ND @ vector_D)
        ]
        return RowHits.of(sorted(hits, key=lambda hit: (-hit.similarity, hit.image_id, hit.instance))[:limit])

    def get(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        return {one: self._records[one] for one in image_ids if one in self._records}

    def scan(self, *, after: str = "") -> Iterator[ImageRecord]:
        yield from (self._records[one] for one in sorted(self._records) if one > after)

    def delete(self, image_ids: Sequence[str]) -> None:
        for one in image_ids:
            self._records.pop(one, None)
            self._vectors.pop(one, None)

    def close(self) -> None:
        self.limits.append(0)


def line_boxes(count: int, *, top: float = 0.4, height: float = 0.1) -> FloatArray:
    """Return (count, 4) boxes of the words of one line, left to right, for a square image."""
    lefts = np.arange(count) * 0.9 / max(count, 1) + 0.05
    rights = lefts + 0.8 / max(count, 1)
    return np.stack([lefts, np.full(count, top), rights, np.full(count, top + height)], axis=1).astype(np.float32)


def write_features(words: Sequence[str], boxes_N4: FloatArray | None = None) -> ImageFeatures:
    """Return the features of an image with these words, by default on one line."""
    vectors = [word_vector(word) for word in words]
    return ImageFeatures(
        instances=Instances(
            vectors_ND=np.stack(vectors) if vectors else np.empty((0, WIDTH), np.float32),
            boxes_N4=line_boxes(len(words)) if boxes_N4 is None else boxes_N4,
            scores_N=np.full(len(words), 0.9, dtype=np.float32),
        )
    )


def write_letters(words: Sequence[str], columns: int = 32) -> LetterArray:
    """Return letters that spell the words surely, one column for each character and a blank after it."""
    blank = len(CARD.alphabet)
    letters_NSA = np.full((len(words), columns, blank + 1), 160, dtype=np.uint8)
    for word, letters_SA in zip(words, letters_NSA, strict=True):
        signs = [blank] * columns
        signs[: 2 * len(word) : 2] = [CARD.alphabet.index(character) for character in word]
        letters_SA[np.arange(columns), signs] = 0
    return letters_NSA


def write_gallery(images: Mapping[str, str]) -> tuple[ExhaustiveVectorStore, MemoryFeatureStore]:
    """Return the stores of a gallery: image id to the words of its one line."""
    vectors, features = ExhaustiveVectorStore(), MemoryFeatureStore()
    for image_id, line in images.items():
        add_image(vectors, features, image_id, write_features(line.split()))
    return vectors, features


def add_image(
    vectors: ExhaustiveVectorStore,
    features: MemoryFeatureStore,
    image_id: str,
    found: ImageFeatures,
    *,
    width: int = 100,
    height: int = 100,
    metadata: Mapping[str, MetadataValue] | None = None,
) -> None:
    """Write the blob and then the row of one image."""
    assert found.instances is not None
    features.put(blob_key(FINGERPRINT, image_id), pack(found, codec=CodecName.FP16, fingerprint=FINGERPRINT))
    record = ImageRecord(
        image_id=image_id,
        content_hash=image_id,
        names=(f"{image_id}.jpg",),
        width=width,
        height=height,
        instance_count=len(found.instances),
        metadata=metadata or {},
    )
    vectors.put([record], [found.instances.vectors_ND])
