"""The second stage of a job: open photos in, blobs in the store, and what rows need out. Where the model is."""

from __future__ import annotations

from collections.abc import Sequence

from glyphseek.errors import ImageError
from glyphseek.indexing import ImageEncoder, Skip, StoredImage
from glyphseek_indexer.committing import Outcome
from glyphseek_indexer.reading import Reading


def encode_readings(encoder: ImageEncoder, readings: Sequence[Reading]) -> list[Outcome]:
    """Return for each reading, in order, what became of it. Raises what the store raises."""
    photos = [one.photo for one in readings if one.photo is not None]
    stored = iter(encoder.store_opened(photos) if photos else ())
    return [_pass_on(one) if one.photo is None else _judge(one, next(stored)) for one in readings]


def _pass_on(reading: Reading) -> Outcome:
    return Outcome(name=reading.name, skip=reading.skip, again=reading.again, read_s=reading.read_s)


def _judge(reading: Reading, stored: StoredImage | ImageError) -> Outcome:
    if isinstance(stored, StoredImage):
        return Outcome(name=reading.name, stored=stored, read_s=reading.read_s)
    skip = Skip(name=reading.name, kind=type(stored).__name__, message=str(stored))
    return Outcome(name=reading.name, skip=skip, read_s=reading.read_s)
