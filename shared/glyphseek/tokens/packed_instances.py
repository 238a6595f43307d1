"""The instances of a blob as they lie in the blob: checked once, kept without a copy, compared without unpacking.

N instances, D width of their vectors, V vectors that they are compared with, S columns and A signs of their letters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numkong import cdist
from numpy.typing import NDArray

from glyphseek.errors import BlobForeign
from glyphseek.tokens import fp16
from glyphseek.tokens.codecs import CODECS
from glyphseek.tokens.header import read_header_of
from glyphseek.tokens.layout import BlobHeader
from glyphseek.tokens.units import lengths_of_halves, read_units
from glyphseek.types import FloatArray, LetterArray, QueryVectors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedInstances:
    """A view of one blob's instances, as `Instances` has them; halves and letters share the blob's memory.

    vectors_ND: float16 as stored, to be divided by norms_N, or float32 of unit norm where the codec has no halves.
    nbytes: the memory it keeps.
    """

    vectors_ND: NDArray[np.float16] | FloatArray
    norms_N: FloatArray
    boxes_N4: FloatArray
    scores_N: FloatArray
    letters_NSA: LetterArray | None
    nbytes: int

    def __len__(self) -> int:
        """Return N."""
        return len(self.vectors_ND)

    def products(self, query: QueryVectors) -> FloatArray:
        """Return the (N, V) inner products with the query's vectors; where there are halves those count as halves too.

        Of unit vectors they are within 0.001 of those after unpacking, and 1 of a vector with itself.
        """
        if self.vectors_ND.dtype == np.float32:
            return self.vectors_ND @ query.vectors_VD.T
        products_NV = np.empty((len(self), len(query.vectors_VD)), dtype=np.float32)
        if len(self):
            cdist(self.vectors_ND, query.halves_VD, "dot", out=products_NV)
        products_NV /= self.norms_N[:, None]
        products_NV *= query.lengths_V
        return products_NV


def open_instances(blob: bytes, *, fingerprint: str) -> PackedInstances:
    """Return the instances of a blob of the model `fingerprint`, all of it checked.

    Raises BlobDamaged (also for a sound checksum over vectors that are not finite), BlobForeign for another version or
    model or for a blob without instances.
    """
    header = read_header_of(blob, fingerprint)
    if header.instances_shape is None:
        raise BlobForeign("the blob has no instances")
    count, _ = header.instances_shape
    sections = header.sections
    vectors_ND, norms_N = _read_vectors(blob, header)
    letters_NSA = None
    if header.letters_shape is not None:
        letters_NSA = np.frombuffer(memoryview(blob)[sections.letters], np.uint8).reshape(count, *header.letters_shape)
    boxes_N4 = np.frombuffer(memoryview(blob)[sections.boxes], "<f4").astype(np.float32).reshape(count, 4)
    scores_N = np.frombuffer(memoryview(blob)[sections.scores], "<f4").astype(np.float32)
    shares_blob = letters_NSA is not None or vectors_ND.dtype == np.float16
    return PackedInstances(
        vectors_ND=vectors_ND,
        norms_N=norms_N,
        boxes_N4=boxes_N4,
        scores_N=scores_N,
        letters_NSA=letters_NSA,
        nbytes=boxes_N4.nbytes
        + scores_N.nbytes
        + norms_N.nbytes
        + (vectors_ND.nbytes if vectors_ND.dtype == np.float32 else 0)
        + (len(blob) if shares_blob else 0),
    )


def _read_vectors(blob: bytes, header: BlobHeader) -> tuple[NDArray[np.float16] | FloatArray, FloatArray]:
    count, width = header.instances_shape or (0, 0)
    codec, section = CODECS[header.codec].vectors, header.sections.instance_vectors
    if codec.decode is not fp16.decode:
        return read_units(memoryview(blob)[section], codec, count, width), np.ones(count, dtype=np.float32)
    halves_ND = np.require(np.frombuffer(memoryview(blob)[section], "<f2"), np.float16, "A").reshape(count, width)
    return halves_ND, lengths_of_halves(halves_ND)
