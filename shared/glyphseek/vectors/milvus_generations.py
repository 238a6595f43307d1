"""Generations of a gallery on a Milvus server: one for each model, and an alias that says which is current.

A generation is two collections. `..._images` has one row for each image, and its alias is `glyphseek_GALLERY`;
`..._vectors` has one row for each vector. Both descriptions name the model, so that vectors of different models never
meet. Vectors are partitioned by tenant. Images are not, and tenants are told apart by their primary keys: Milvus 2.3
files a row that is upserted in another partition than the one where it looks for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TypedDict, cast

from glyphseek.errors import GalleryDamaged, GalleryNotFound, ModelMismatch, SettingError
from glyphseek.types import ModelCard
from glyphseek.vectors.milvus_client import MilvusCalls
from glyphseek.vectors.milvus_filters import FIELD as METADATA_FIELD
from glyphseek.vectors.milvus_keys import MAX_ID_BYTES
from glyphseek.vectors.milvus_settings import IndexKind, IndexSettings, MilvusSettings, check_name

if TYPE_CHECKING:
    from pymilvus.milvus_client.index import IndexParams
    from pymilvus.orm.schema import CollectionSchema

MAX_PIECES = 4096
MAX_PIECE_CHARACTERS = 60_000
_PREFIX = "glyphseek_"
_FORMAT = 2
_FORMAT_WITHOUT_METADATA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One model's version of a gallery. is_current: the alias stands for it, and new readers open it.

    has_metadata: rows carry metadata for filters. Those of versions before 0.3 do not; they are read and written as
    before, as long as no image has metadata and no search has a filter.
    """

    gallery: str
    model: str
    fingerprint: str
    is_current: bool
    has_metadata: bool = True

    @property
    def images(self) -> str:
        """Return the name of the collection of image rows."""
        return name_images(self.gallery, self.fingerprint)

    @property
    def vectors(self) -> str:
        """Return the name of the collection of vector rows."""
        return name_vectors(self.gallery, self.fingerprint)


class _Description(TypedDict):
    format: int
    gallery: str
    model: str
    fingerprint: str


class MilvusGenerations:
    """What generations there are, which is current, and the change from one to another. Use it as a context manager."""

    def __init__(self, settings: MilvusSettings) -> None:
        """Connect. Raises StoreUnavailable when no server answers within the deadline, as every method does."""
        self._calls = MilvusCalls(settings)

    def __enter__(self) -> MilvusGenerations:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calls.close()

    @property
    def calls(self) -> MilvusCalls:
        """Return the connection, for what else is to be read while it is open."""
        return self._calls

    def list(self) -> tuple[Generation, ...]:
        """Return all generations of all galleries, ordered by gallery, the current one first, then by model."""
        found: list[Generation] = []
        for collection in self._calls.list_collections():
            if collection.startswith(_PREFIX) and collection.endswith("_images"):
                described = self._calls.describe(collection)
                if described is not None:  # it was not dropped just now
                    found.append(_read_generation(collection, described))
        return tuple(sorted(found, key=lambda one: (one.gallery, not one.is_current, one.model, one.fingerprint)))

    def current(self, gallery: str) -> Generation:
        """Return the generation that the gallery's alias stands for. Raises GalleryNotFound."""
        described = self._calls.describe(name_alias(gallery))
        if described is None:
            raise GalleryNotFound(f"there is no gallery {gallery!r}")
        return _read_generation(str(described["collection_name"]), described)

    def switch(self, gallery: str, fingerprint: str) -> None:
        """Make another generation the current one, for all readers at once. Raises GalleryNotFound."""
        wanted = self._find(gallery, fingerprint)
        with self._calls.writing("switch an alias"):
            self._calls.client.alter_alias(wanted.images, name_alias(gallery), retry_times=0)

    def drop(self, gallery: str, fingerprint: str) -> None:
        """Remove a generation with all its rows, of all tenants. Raises GalleryNotFound; SettingError for the current.

        Blobs stay: they are keyed by the model's fingerprint, and other galleries may use them.
        """
        doomed = self._find(gallery, fingerprint)
        if doomed.is_current:
            raise SettingError(f"model {doomed.model!r} is the current one of gallery {gallery!r}; switch first")
        self._drop_collections([doomed.images, doomed.vectors])

    def drop_gallery(self, gallery: str) -> None:
        """Remove a gallery with all its generations and rows, of all tenants. Raises GalleryNotFound.

        Where this dies half way, the gallery is there, whole, or it is not, and dropping it again removes the rest.
        Other generations go first, then the alias, by which the gallery is found, then the images of what was current,
        which are the commits of its vectors. One that is made anew between the last two begins with those images.
        Blobs stay, as for `drop`.
        """
        described = self._calls.describe(name_alias(gallery))
        current = None if described is None else _read_generation(str(described["collection_name"]), described)
        collections = self._list_collections(gallery)
        if current is None and not collections:
            raise GalleryNotFound(f"there is no gallery {gallery!r}")
        last = [] if current is None else [current.images, current.vectors]
        self._drop_collections([one for one in collections if one not in last])
        if current is not None:
            with self._calls.writing("drop an alias"):
                self._calls.client.drop_alias(name_alias(gallery), retry_times=0)
        self._drop_collections([one for one in last if one in collections])

    def _list_collections(self, gallery: str) -> tuple[str, ...]:
        """Return all collections of a gallery, those of images before those of vectors."""
        form = re.compile(rf"{name_alias(gallery)}_[0-9a-f]{{16}}_(images|vectors)")
        found = [one for one in self._calls.list_collections() if form.fullmatch(one)]
        return tuple(sorted(found, key=lambda one: (not one.endswith("_images"), one)))

    def _drop_collections(self, collections: Sequence[str]) -> None:
        for collection in collections:
            with self._calls.writing(f"drop {collection}"):
                self._calls.client.drop_collection(collection, retry_times=0)

    def _find(self, gallery: str, fingerprint: str) -> Generation:
        known = [one for one in self.list() if one.gallery == gallery]
        for one in known:
            if one.fingerprint == fingerprint:
                return one
        names = ", ".join(f"{one.model} ({one.fingerprint})" for one in known) or "none"
        raise GalleryNotFound(f"gallery {gallery!r} has no generation {fingerprint}; it has: {names}")


def open_generation(
    calls: MilvusCalls, settings: MilvusSettings, *, gallery: str, card: ModelCard, is_new_generation: bool
) -> Generation:
    """Make what is missing of the card's generation, load it, and return it; a gallery's first becomes the current one.

    Raises ModelMismatch, with both names, when another model's generation is current and `is_new_generation` is false;
    GalleryDamaged for a collection that does not say whose it is.
    """
    check_name("gallery", gallery)
    current = calls.describe(name_alias(gallery))
    if current is not None and not is_new_generation:
        _check_model(_read_generation(str(current["collection_name"]), current), card)
    _create(calls, settings, gallery, card)
    if current is None:
        _make_current(calls, gallery, card)
    described = calls.describe(name_images(gallery, card.fingerprint))
    if described is None:
        raise GalleryNotFound(f"the generation {card.fingerprint} of gallery {gallery!r} was dropped just now")
    generation = _read_generation(name_images(gallery, card.fingerprint), described)
    _check_model(generation, card)
    return generation


def name_alias(gallery: str) -> str:
    """Return the alias that stands for the images of the gallery's current generation."""
    return f"{_PREFIX}{check_name('gallery', gallery)}"


def name_images(gallery: str, fingerprint: str) -> str:
    """Return the name of the collection of image rows."""
    return f"{name_alias(gallery)}_{fingerprint[:16]}_images"


def name_vectors(gallery: str, fingerprint: str) -> str:
    """Return the name of the collection of vector rows."""
    return f"{name_alias(gallery)}_{fingerprint[:16]}_vectors"


def _create(calls: MilvusCalls, settings: MilvusSettings, gallery: str, card: ModelCard) -> None:
    """Make the vectors first: where there are images, there are vectors."""
    described = _Description(format=_FORMAT, gallery=gallery, model=card.name, fingerprint=card.fingerprint)
    text = json.dumps(described)
    vectors, images = name_vectors(gallery, card.fingerprint), name_images(gallery, card.fingerprint)
    index, flat = _index(calls, settings.index), _index(calls, IndexSettings(kind=IndexKind.FLAT))
    calls.create(vectors, _vector_schema(calls, text, card.vector_width), index, partitions=settings.partitions)
    calls.create(images, _image_schema(calls, text), flat, partitions=None)
    calls.load([vectors, images])


def _make_current(calls: MilvusCalls, gallery: str, card: ModelCard) -> None:
    """Give the gallery its alias; where another process was faster, its choice stands, and is checked."""
    from pymilvus import MilvusException

    try:
        with calls.writing("create an alias"):
            calls.client.create_alias(name_images(gallery, card.fingerprint), name_alias(gallery), retry_times=0)
    except Exception as error:
        described = calls.describe(name_alias(gallery))
        if described is None or not isinstance(error.__cause__, MilvusException):
            raise
        _check_model(_read_generation(str(described["collection_name"]), described), card)


def _image_schema(calls: MilvusCalls, description: str) -> CollectionSchema:
    from pymilvus import DataType

    schema = calls.client.create_schema(auto_id=False, description=description)
    schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=2 * MAX_ID_BYTES + 80)
    schema.add_field("writing", DataType.VARCHAR, max_length=32)
    schema.add_field("vector_count", DataType.INT64)
    schema.add_field(
        "record",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=MAX_PIECES,
        max_length=MAX_PIECE_CHARACTERS,
    )
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # Milvus wants one in every collection
    return schema


def _vector_schema(calls: MilvusCalls, description: str, width: int) -> CollectionSchema:
    from pymilvus import DataType

    schema = calls.client.create_schema(auto_id=False, description=description)
    schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=2 * MAX_ID_BYTES + 160)
    schema.add_field("tenant", DataType.VARCHAR, is_partition_key=True, max_length=64)
    schema.add_field("writing", DataType.VARCHAR, max_length=32)
    schema.add_field(METADATA_FIELD, DataType.JSON)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=width)
    return schema


def _index(calls: MilvusCalls, settings: IndexSettings) -> IndexParams:
    indexes = calls.client.prepare_index_params()
    indexes.add_index(
        "vector", index_type=settings.kind.value, metric_type="IP", params=dict(settings.build_parameters())
    )
    return indexes


def _read_generation(collection: str, described: Mapping[str, object]) -> Generation:
    text = str(described.get("description"))
    try:
        found = cast(_Description, json.loads(text))
        written, gallery, model, fingerprint = (found[name] for name in _Description.__annotations__)
    except (ValueError, KeyError, TypeError) as error:
        raise GalleryDamaged(
            f"collection {collection} does not say which model wrote it, but {text[:200]!r}"
        ) from error
    if written not in (_FORMAT, _FORMAT_WITHOUT_METADATA):
        raise GalleryDamaged(f"collection {collection} has format {written}, expected {_FORMAT}")
    aliases = cast("list[str]", described.get("aliases") or [])
    return Generation(
        gallery=str(gallery),
        model=str(model),
        fingerprint=str(fingerprint),
        is_current=name_alias(str(gallery)) in aliases,
        has_metadata=written == _FORMAT,
    )


def _check_model(found: Generation, card: ModelCard) -> None:
    if found.fingerprint != card.fingerprint:
        raise ModelMismatch(
            f"gallery {found.gallery!r} was written by model {found.model!r} ({found.fingerprint}), "
            f"the model in use is {card.name!r} ({card.fingerprint})"
        )
