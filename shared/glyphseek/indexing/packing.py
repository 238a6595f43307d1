"""From features to a blob in the store, and to the rows that recall searches, which are as the blob holds them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from glyphseek.errors import BlobError, InputError, SettingError
from glyphseek.ports import FeatureStore, Model, blob_key, codebook_of
from glyphseek.tokens import CodecName, TokenCodebook, pack, unpack_vectors
from glyphseek.tokens.codecs import find_codec
from glyphseek.types import FloatArray, ImageFeatures

_LOG = logging.getLogger(__name__)


def vectors_of(features: ImageFeatures) -> FloatArray:
    """Return the (n, D) rows that recall searches: the instance vectors, or else the global vector.

    Raises InputError for features that have neither.
    """
    if features.instances is not None:
        return features.instances.vectors_ND
    if features.global_vector_D is not None:
        return features.global_vector_D[None, :]
    raise InputError("the model gave neither instances nor a global vector, so the image cannot be searched")


def instance_count_of(features: ImageFeatures) -> int:
    """Return how many words the model found, 0 for a method that does not look for words."""
    return 0 if features.instances is None else len(features.instances)


def check_codec(codec: CodecName, codebook: TokenCodebook | None) -> None:
    """Raise SettingError when the codec needs tables that the model's codebook does not have."""
    bits = find_codec(codec).residual_bits
    if bits is None:
        return
    if codebook is None:
        raise SettingError(f"codec {codec} needs a codebook and this model has none; use fp16 or int8")
    codebook.residual_tables(bits)


def read_left_blob(blob: bytes | None, *, fingerprint: str, image_id: str) -> ImageFeatures | None:
    """Return the vectors of a blob that was found in the store; None, and a log line, for one that cannot be used."""
    if blob is None:
        return None
    try:
        return unpack_vectors(blob, fingerprint=fingerprint)
    except BlobError as error:
        _LOG.warning("blob_not_reused image_id=%s reason=%s", image_id, error)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobWriter:
    """Writes blobs of one model; may be used from several threads if the store may.

    The rows get the vectors as the blob holds them, so that recall and matching agree, and so that a row can be
    written again from its blob alone without changing it.
    """

    model: Model
    features: FeatureStore
    codec: CodecName
    keep_likelihood: float = 0.0
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        """Raise SettingError when the model's features cannot be packed with the codec."""
        check_codec(self.codec, codebook_of(self.model))
        object.__setattr__(self, "fingerprint", self.model.card.fingerprint)

    def write(self, image_id: str, found: ImageFeatures) -> ImageFeatures:
        """Write the image's blob and return its vectors as they are read from it, without a token map.

        Raises InputError for features that no blob can hold or that cannot be searched, and what the store raises.
        """
        blob = pack(
            found,
            codec=self.codec,
            fingerprint=self.fingerprint,
            codebook=codebook_of(self.model),
            keep_likelihood=self.keep_likelihood,
        )
        stored = unpack_vectors(blob, fingerprint=self.fingerprint)
        vectors_of(stored)
        self.features.put(blob_key(self.fingerprint, image_id), blob)
        return stored
