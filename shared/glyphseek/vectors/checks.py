"""What every vector store asks of its input: the bounds are the same whichever store is plugged in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glyphseek.errors import InputError
from glyphseek.types import FeatureKind, FloatArray, ImageRecord, ModelCard

MAX_LIMIT = 10_000
"""Most rows one query may ask for; Milvus' own bound is 16,384, the rest is for rows that may not be shown."""

MAX_INSTANCES = 2**16
"""Most vectors one image may have."""


def has_instance_rows(card: ModelCard) -> bool:
    """Return whether rows are instance vectors; else each image has at most one row, its global vector."""
    return FeatureKind.INSTANCES in card.features


def check_put(records: Sequence[ImageRecord], vectors: Sequence[FloatArray], card: ModelCard) -> None:
    """Raise InputError unless each record has finite (n, D) vectors of the model's width and no image comes twice."""
    if len(records) != len(vectors):
        raise InputError(f"{len(records)} records came with {len(vectors)} arrays of vectors")
    ids = {record.image_id for record in records}
    if len(ids) != len(records):
        raise InputError(f"{len(records)} records name {len(ids)} images; each may be named once in a call")
    most = MAX_INSTANCES if has_instance_rows(card) else 1
    for record, vectors_ND in zip(records, vectors, strict=True):
        if vectors_ND.ndim != 2 or vectors_ND.shape[1] != card.vector_width:
            raise InputError(
                f"vectors of image {record.image_id!r} have shape {vectors_ND.shape}, expected (n, {card.vector_width})"
            )
        if len(vectors_ND) > most:
            raise InputError(f"image {record.image_id!r} has {len(vectors_ND)} vectors, the limit is {most}")
        if not np.isfinite(vectors_ND).all():
            raise InputError(f"vectors of image {record.image_id!r} hold a value that is not finite")


def check_search(vectors_QD: FloatArray, limit: int, card: ModelCard) -> None:
    """Raise InputError unless the queries are finite (Q, D) of the model's width and `limit` is within 1 to 10,000."""
    if vectors_QD.ndim != 2 or vectors_QD.shape[1] != card.vector_width:
        raise InputError(f"query vectors have shape {vectors_QD.shape}, expected (Q, {card.vector_width})")
    if not np.isfinite(vectors_QD).all():
        raise InputError("query vectors hold a value that is not finite")
    if not 1 <= limit <= MAX_LIMIT:
        raise InputError(f"a search may ask for 1 to {MAX_LIMIT} rows, not {limit}")
