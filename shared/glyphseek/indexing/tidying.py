"""After a complete pass over the folder: rows take their new names, and images that no file holds are removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from glyphseek.errors import BlobError, BlobMissing
from glyphseek.indexing.describing import NO_DESCRIPTIONS
from glyphseek.indexing.packing import vectors_of
from glyphseek.indexing.report import Skip
from glyphseek.ports import FeatureStore, VectorStore, blob_key
from glyphseek.tokens import unpack_vectors
from glyphseek.types import FloatArray, ImageRecord

_CHUNK_IMAGES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidied:
    """How many images got other names, or other metadata only, or were removed, and whose row could not be written."""

    renamed: int
    described: int
    removed: int
    skipped: tuple[Skip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameChanges:
    """The records whose names changed, with the new names; those of which only metadata did; those whose last name is
    gone.
    """

    renamed: tuple[ImageRecord, ...]
    described: tuple[ImageRecord, ...]
    gone: tuple[ImageRecord, ...]


def compare_names(
    records: Sequence[ImageRecord],
    names_of: Callable[[str], tuple[str, ...]],
    is_kept: Callable[[str], bool],
    *,
    describe: Callable[[ImageRecord, Sequence[str]], ImageRecord] = NO_DESCRIPTIONS.describe,
) -> NameChanges:
    """Return what must change for every record to have exactly the names that hold its content now, and its metadata.

    names_of(content_hash) are the names that were seen; is_kept(name) tells of a name that was not seen, whether it
    must stay nevertheless (its folder could not be read, say). describe(record, names) gives it the metadata of these
    names. A record that never had a name is left alone.
    """
    renamed: list[ImageRecord] = []
    described: list[ImageRecord] = []
    gone: list[ImageRecord] = []
    for record in records:
        seen = set(names_of(record.content_hash))
        names = tuple(sorted(seen | {name for name in record.names if is_kept(name)}))
        if record.names and not names:
            gone.append(record)
        elif names != record.names:
            renamed.append(describe(replace(record, names=names), names))
        elif (new := describe(record, names)) is not record:
            described.append(new)
    return NameChanges(renamed=tuple(renamed), described=tuple(described), gone=tuple(gone))


def apply_changes(
    changes: NameChanges, *, vectors: VectorStore, features: FeatureStore, fingerprint: str
) -> Iterator[Tidied]:
    """Write the changes in chunks, yielding what each chunk did; a row is deleted before its blob.

    A row whose blob is missing or damaged cannot be written again: it is removed and its names are skipped, so that the
    next run encodes the photo anew.
    """
    for chunk in _chunks(changes.renamed):
        sound, skips = _write_again(chunk, vectors, features, fingerprint)
        yield Tidied(renamed=sound, described=0, removed=0, skipped=skips)
    for chunk in _chunks(changes.described):
        sound, skips = _write_again(chunk, vectors, features, fingerprint)
        yield Tidied(renamed=0, described=sound, removed=0, skipped=skips)
    for chunk in _chunks(changes.gone):
        remove_images(chunk, vectors=vectors, features=features, fingerprint=fingerprint)
        yield Tidied(renamed=0, described=0, removed=len(chunk), skipped=())


def remove_images(
    records: Sequence[ImageRecord], *, vectors: VectorStore, features: FeatureStore, fingerprint: str
) -> None:
    """Remove images: all rows first, then the blobs, so that a row always has its blob."""
    image_ids = [record.image_id for record in records]
    vectors.delete(image_ids)
    features.delete([blob_key(fingerprint, image_id) for image_id in image_ids])


def _write_again(
    records: Sequence[ImageRecord], vectors: VectorStore, features: FeatureStore, fingerprint: str
) -> tuple[int, tuple[Skip, ...]]:
    """Write rows with the vectors of their blobs; return how many were, and the names of the others."""
    blobs = features.get([blob_key(fingerprint, record.image_id) for record in records])
    sound: list[ImageRecord] = []
    found: list[FloatArray] = []
    damaged: list[ImageRecord] = []
    skips: list[Skip] = []
    for record, blob in zip(records, blobs, strict=True):
        try:
            found.append(_stored_vectors(blob, fingerprint))
            sound.append(record)
        except BlobError as error:
            damaged.append(record)
            message = f"{error}; the image was removed, index again to encode it anew"
            skips += [Skip(name=name, kind=type(error).__name__, message=message) for name in record.names]
    if damaged:
        remove_images(damaged, vectors=vectors, features=features, fingerprint=fingerprint)
    if sound:
        vectors.put(sound, found)
    return len(sound), tuple(skips)


def _stored_vectors(blob: bytes | None, fingerprint: str) -> FloatArray:
    if blob is None:
        raise BlobMissing("the image has a row but no blob")
    return vectors_of(unpack_vectors(blob, fingerprint=fingerprint))


def _chunks(records: Sequence[ImageRecord]) -> Iterator[Sequence[ImageRecord]]:
    for start in range(0, len(records), _CHUNK_IMAGES):
        yield records[start : start + _CHUNK_IMAGES]
