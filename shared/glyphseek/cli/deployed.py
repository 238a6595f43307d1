"""`glyphseek verify`, `gc` and `delete` of a collection: they go to the deployment's Milvus and S3 store themselves."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyphseek.config import load_config
from glyphseek.errors import GalleryNotFound
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.indexing import DeleteReport, VerifyReport, collect_garbage, collect_photos, delete_images, verify
from glyphseek.ports import FeatureStore

if TYPE_CHECKING:
    from glyphseek.vectors.milvus_rows import MilvusRows

CollectionOption = Annotated[
    str | None, typer.Option("--collection", "-c", help="A collection of the deployment, instead of a gallery.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="File with the deployment's settings, in YAML or JSON.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A collection: its generations, all generations of all collections, and where the blobs are."""

    own: tuple[MilvusRows, ...]
    everywhere: tuple[MilvusRows, ...]
    features: FeatureStore

    def others_of(self, rows: MilvusRows) -> list[MilvusRows]:
        """Return the generations that share blobs with this one: those of the same model."""
        same = (one for one in self.everywhere if one.generation.fingerprint == rows.generation.fingerprint)
        return [one for one in same if one is not rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """How many vectors without an image were removed, and which blobs and photos; None where others may need them."""

    vectors: int
    blobs: tuple[str, ...] | None
    photos: tuple[str, ...] | None


@contextmanager
def open_collection(name: str, config: Path | None) -> Generator[Collection]:
    """Yield a collection with its stores open. Raises GalleryNotFound, SettingError and StoreUnavailable."""
    from glyphseek.deployment import open_all_rows, open_features

    settings = load_config(config)
    with open_all_rows(settings) as everywhere, closing(open_features(settings)) as features:
        own = tuple(rows for rows in everywhere if rows.generation.gallery == name)
        if not own:
            known = sorted({rows.generation.gallery for rows in everywhere})
            raise GalleryNotFound(f"there is no collection {name!r}; there are: {', '.join(known) or 'none'}")
        yield Collection(own=own, everywhere=everywhere, features=features)


def verify_collection(name: str, config: Path | None) -> VerifyReport:
    """Return what is wrong with the current generation of a collection."""
    with open_collection(name, config) as opened:
        [rows] = [one for one in opened.own if one.generation.is_current]
        fingerprint = rows.generation.fingerprint
        return verify(rows, opened.features, fingerprint=fingerprint, others=opened.others_of(rows))


def delete_from_collection(name: str, config: Path | None, wanted: Sequence[str]) -> DeleteReport:
    """Remove the images with these ids or names from all generations of a collection.

    A generation of the same model in another collection keeps its blobs, and so do other tenants. Kept photos are left
    to `gc`.
    """
    with open_collection(name, config) as opened:
        is_shared = any(rows.has_other_tenants() for rows in opened.everywhere)
        features = MemoryFeatureStore() if is_shared else opened.features
        reports = [
            delete_images(
                rows, features, wanted, fingerprint=rows.generation.fingerprint, others=opened.others_of(rows)
            )
            for rows in opened.own
        ]
    removed = {record.image_id: record for report in reports for record in report.removed}
    unknown = tuple(one for one in reports[0].unknown if all(one in report.unknown for report in reports))
    return DeleteReport(removed=tuple(removed.values()), unknown=unknown)


def clean_collection(name: str, config: Path | None, *, older_than_s: float, settle_s: float) -> Cleaned:
    """Remove what interrupted writers left in all generations of a collection, while others may write.

    settle_s: the longest time between a blob and its row; what has no row is looked at again after it.
    Blobs and photos stay where other tenants have images: they may share them, and their rows cannot be seen.
    """
    with open_collection(name, config) as opened:
        vectors = sum(rows.remove_leftovers(older_than_s=older_than_s) for rows in opened.own)
        if any(rows.has_other_tenants() for rows in opened.everywhere):
            return Cleaned(vectors=vectors, blobs=None, photos=None)
        settle = partial(time.sleep, settle_s)
        blobs: list[str] = []
        for rows in opened.own:
            fingerprint, others = rows.generation.fingerprint, opened.others_of(rows)
            blobs += collect_garbage(rows, opened.features, fingerprint=fingerprint, others=others, settle=settle)
        photos = collect_photos(opened.features, opened.everywhere, settle=settle)
        return Cleaned(vectors=vectors, blobs=tuple(blobs), photos=photos)
