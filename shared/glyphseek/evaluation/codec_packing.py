"""A gallery packed once more: its exact blobs to blobs of another choice, with the time and bytes that takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from glyphseek.errors import InputError
from glyphseek.ports import FeatureStore, blob_key
from glyphseek.tokens import CodecName, TokenCodebook, open_tokens, pack, unpack
from glyphseek.types import FloatArray, Instances


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecChoice:
    """One way to store token maps. keep_likelihood: of the mask, 0 keeps all tokens.

    `codebook` holds the projection and the tables that the codec needs; None for neither.
    """

    codec: CodecName
    codebook: TokenCodebook | None = None
    keep_likelihood: float = 0.0


@dataclass(slots=True, kw_only=True)
class Packing:
    """What packing took. `rows`: the vector that recall has of each image, none of one that could not be read.

    All other lists have an entry for each image that could be. exact_bytes: of its tokens in float32. kept: share of
    the tokens that were stored. widths: of a token, in the model and in the blob.
    """

    rows: list[Instances] = field(default_factory=list[Instances])
    blob_bytes: list[int] = field(default_factory=list[int])
    exact_bytes: list[int] = field(default_factory=list[int])
    kept: list[float] = field(default_factory=list[float])
    encode_s: list[float] = field(default_factory=list[float])
    decode_s: list[float] = field(default_factory=list[float])
    widths: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packer:
    """Packs the images of a gallery, whose exact blobs (codec fp32, model `fingerprint`) lie in `exact`, into `store`.

    `clock` returns seconds.
    """

    choice: CodecChoice
    exact: FeatureStore
    store: FeatureStore
    fingerprint: str
    clock: Callable[[], float]

    def pack_all(self, image_ids: Sequence[str | None]) -> Packing:
        """Pack the images one after the other. Raises InputError for one without exact blob or global vector."""
        packing = Packing()
        for image_id in image_ids:
            packing.rows.append(as_row(None) if image_id is None else self._pack(image_id, packing))
        return packing

    def _pack(self, image_id: str, packing: Packing) -> Instances:
        key = blob_key(self.fingerprint, image_id)
        exact = self.exact.get([key])[0]
        if exact is None:
            raise InputError(f"there is no exact blob {key} to measure codecs by")
        features = unpack(exact, fingerprint=self.fingerprint)
        began = self.clock()
        blob = pack(
            features,
            codec=self.choice.codec,
            fingerprint=self.fingerprint,
            codebook=self.choice.codebook,
            keep_likelihood=self.choice.keep_likelihood,
        )
        packed = self.clock()
        opened = open_tokens(blob, fingerprint=self.fingerprint, codebook=self.choice.codebook)
        opened.decode()
        decoded = self.clock()
        self.store.put(key, blob)
        rows, columns, width = opened.shape
        packing.encode_s.append(packed - began)
        packing.decode_s.append(decoded - packed)
        packing.blob_bytes.append(len(blob))
        packing.exact_bytes.append(4 * rows * columns * width)
        packing.kept.append(len(opened) / max(1, rows * columns))
        packing.widths = (width, opened.stored_width)
        if opened.global_vector_D is None:
            raise InputError(f"image {image_id} has no global vector, so nothing can be reranked")
        return as_row(opened.global_vector_D)


def as_row(vector_D: FloatArray | None) -> Instances:
    """Return a vector as the one thing that an image is recalled by, or nothing."""
    vectors_ND = np.zeros((0, 1), np.float32) if vector_D is None else vector_D[None]
    count = len(vectors_ND)
    return Instances(
        vectors_ND=vectors_ND, boxes_N4=np.zeros((count, 4), np.float32), scores_N=np.ones(count, np.float32)
    )
