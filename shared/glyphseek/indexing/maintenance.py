"""The upkeep of a gallery: check it, clear it of leftovers, take images out, write it out. Over ports only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import Protocol

from glyphseek.errors import BlobDamaged, BlobError, BlobMissing
from glyphseek.indexing.intake import PHOTOS, photo_key
from glyphseek.indexing.packing import instance_count_of
from glyphseek.ports import FeatureStore, VectorStore, blob_key
from glyphseek.tokens import unpack_vectors
from glyphseek.types import ImageFeatures, ImageRecord

_CHUNK_IMAGES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An image whose blob cannot be used: which, the name of the error class, and its text."""

    image_id: str
    names: tuple[str, ...]
    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """images: rows looked at. problems: those without a sound blob. garbage: keys of blobs that have no row.

    foreign: how many blobs belong to other models; they are another generation's and left alone.
    """

    images: int
    problems: tuple[Problem, ...]
    garbage: tuple[str, ...]
    foreign: int

    @property
    def is_sound(self) -> bool:
        """Return whether every image can be searched and shown; garbage only takes space."""
        return not self.problems

    def as_json(self) -> dict[str, object]:
        """Return the report as plain values, fit for `json.dumps`."""
        return {**asdict(self), "is_sound": self.is_sound}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteReport:
    """removed: the records that are no more. unknown: what was asked for and is no image's id or name."""

    removed: tuple[ImageRecord, ...]
    unknown: tuple[str, ...]


class ImageRows(Protocol):
    """Image rows that can be listed: what a vector store is to those who do not search."""

    def scan(self, *, after: str = "") -> Iterator[ImageRecord]:
        """Yield every image whose id comes after `after` once, ordered by image id."""
        ...


class RemovableRows(ImageRows, Protocol):
    """Image rows that can be removed too."""

    def delete(self, image_ids: Sequence[str]) -> None:
        """Remove images; unknown ids are ignored."""
        ...


def verify(
    vectors: ImageRows, features: FeatureStore, *, fingerprint: str, others: Sequence[ImageRows] = ()
) -> VerifyReport:
    """Return what is wrong with a gallery after reading every row and every blob; nothing is changed.

    A blob is sound when its checks hold, it is of the model `fingerprint`, and it has the instances that its row says.
    Blobs that other galleries of the same model use, `others`, are no garbage.
    """
    problems: list[Problem] = []
    rows: set[str] = set()
    for records in _chunks(vectors.scan()):
        rows.update(blob_key(fingerprint, record.image_id) for record in records)
        problems += _problems_of(records, features, fingerprint)
    used = rows | _keys_of(others, fingerprint)
    own, foreign = _split_keys(features.scan(), fingerprint)
    garbage = tuple(key for key in own if key not in used)
    return VerifyReport(images=len(rows), problems=tuple(problems), garbage=garbage, foreign=foreign)


def collect_garbage(
    vectors: ImageRows,
    features: FeatureStore,
    *,
    fingerprint: str,
    others: Sequence[ImageRows] = (),
    settle: Callable[[], None] | None = None,
) -> tuple[str, ...]:
    """Remove the blobs of this model that have no row, here or in `others`, and return their keys.

    A blob is written before its row. Where images may be added meanwhile, `settle` waits for longer than that may take,
    and rows are looked at again; without it, no indexing may run.
    """
    galleries = [vectors, *others]
    return _collect(
        features,
        [key for key in features.scan() if key.startswith(f"{fingerprint}/")],
        lambda: _keys_of(galleries, fingerprint),
        settle,
    )


def collect_photos(
    features: FeatureStore, galleries: Sequence[ImageRows], *, settle: Callable[[], None] | None = None
) -> tuple[str, ...]:
    """Remove the kept photos whose content is no image's of any gallery and model, and return their keys.

    `settle` as for `collect_garbage`.
    """
    return _collect(
        features,
        [key for key in features.scan() if key.startswith(f"{PHOTOS}/")],
        lambda: {photo_key(record.content_hash) for vectors in galleries for record in vectors.scan()},
        settle,
    )


def delete_images(
    vectors: RemovableRows,
    features: FeatureStore,
    wanted: Sequence[str],
    *,
    fingerprint: str,
    others: Sequence[ImageRows] = (),
) -> DeleteReport:
    """Remove the images with these ids or names, with all their names: rows first, blobs after.

    Blobs that `others` of the same model use stay. The files are not touched: a photo that is still in the folder comes
    back with the next indexing.
    """
    asked = frozenset(wanted)
    removed: list[ImageRecord] = []
    known: set[str] = set()
    for record in vectors.scan():
        hits = asked.intersection((record.image_id, *record.names))
        if hits:
            removed.append(record)
            known |= hits
    vectors.delete([record.image_id for record in removed])
    used = _keys_of(others, fingerprint) if removed else set[str]()
    keys = (blob_key(fingerprint, record.image_id) for record in removed)
    features.delete([key for key in keys if key not in used])
    unknown = tuple(dict.fromkeys(text for text in wanted if text not in known))
    return DeleteReport(removed=tuple(removed), unknown=unknown)


def export_records(
    vectors: VectorStore, features: FeatureStore, *, fingerprint: str, with_boxes: bool = False
) -> Iterator[dict[str, object]]:
    """Yield every image as plain values fit for `json.dumps`, ordered by image id.

    with_boxes adds `instances`: for each word found its `box` (left, top, right, bottom, fractions of the displayed
    image) and `score`; None when the blob cannot be used, which `verify` explains.
    """
    for records in _chunks(vectors.scan()):
        found = _read_features(records, features, fingerprint) if with_boxes else None
        for place, record in enumerate(records):
            line = _describe(record)
            if found is not None:
                line["instances"] = _boxes_of(found[place])
            yield line


def _describe(record: ImageRecord) -> dict[str, object]:
    plain: dict[str, object] = {one.name: getattr(record, one.name) for one in fields(record)}
    return plain | {"metadata": dict(record.metadata)}


def _collect(
    features: FeatureStore, keys: Sequence[str], find_used: Callable[[], set[str]], settle: Callable[[], None] | None
) -> tuple[str, ...]:
    """Remove those of the keys, which were listed before, that are not used now; what was written since is no part."""
    used = find_used()
    garbage = [key for key in keys if key not in used]
    if garbage and settle is not None:
        settle()
        used = find_used()
        garbage = [key for key in garbage if key not in used]
    features.delete(garbage)
    return tuple(garbage)


def _keys_of(galleries: Sequence[ImageRows], fingerprint: str) -> set[str]:
    return {blob_key(fingerprint, record.image_id) for vectors in galleries for record in vectors.scan()}


def _problems_of(records: Sequence[ImageRecord], features: FeatureStore, fingerprint: str) -> Iterator[Problem]:
    for record, found in zip(records, _read_features(records, features, fingerprint), strict=True):
        error = found if isinstance(found, BlobError) else _count_error(record, found)
        if error is not None:
            yield Problem(image_id=record.image_id, names=record.names, kind=type(error).__name__, message=str(error))


def _count_error(record: ImageRecord, found: ImageFeatures) -> BlobError | None:
    count = instance_count_of(found)
    if count == record.instance_count:
        return None
    return BlobDamaged(f"the blob has {count} instances, its row says {record.instance_count}")


def _read_features(
    records: Sequence[ImageRecord], features: FeatureStore, fingerprint: str
) -> list[ImageFeatures | BlobError]:
    blobs = features.get([blob_key(fingerprint, record.image_id) for record in records])
    return [_read_blob(blob, fingerprint) for blob in blobs]


def _read_blob(blob: bytes | None, fingerprint: str) -> ImageFeatures | BlobError:
    if blob is None:
        return BlobMissing("the image has a row but no blob")
    try:
        return unpack_vectors(blob, fingerprint=fingerprint)
    except BlobError as error:
        return error


def _boxes_of(found: ImageFeatures | BlobError) -> list[dict[str, object]] | None:
    if isinstance(found, BlobError):
        return None
    if found.instances is None:
        return []
    boxes, scores = found.instances.boxes_N4.tolist(), found.instances.scores_N.tolist()
    return [{"box": box, "score": score} for box, score in zip(boxes, scores, strict=True)]


def _split_keys(keys: Iterable[str], fingerprint: str) -> tuple[list[str], int]:
    own: list[str] = []
    foreign = 0
    for key in keys:
        if key.startswith(f"{fingerprint}/"):
            own.append(key)
        else:
            foreign += 1
    return own, foreign


def _chunks(records: Iterable[ImageRecord]) -> Iterator[list[ImageRecord]]:
    iterator = iter(records)
    while chunk := list(islice(iterator, _CHUNK_IMAGES)):
        yield chunk
