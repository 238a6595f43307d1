"""The two collections of a Milvus Lite store, and nothing of what they mean: the one home of pymilvus and milvus_lite.

Both libraries are imported when a store is opened, so that importing this module costs nothing.
"""

from __future__ import annotations

import json
import logging
import shutil
import signal
import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, cast

import numpy as np

from glyphseek.errors import GalleryDamaged, ModelMismatch, StoreError, StoreFull, StoreUnavailable
from glyphseek.types import FloatArray, ModelCard

if TYPE_CHECKING:
    from pymilvus import CollectionSchema, MilvusClient, MilvusException

IMAGES, VECTORS = "images", "vectors"
MAX_PK = 2**63 - 1

_FORMAT = 1
ROWS_PER_CALL = 1000
"""Most rows of one call: Milvus Lite 2.5 takes 0.35 s for an insert of 1,000 rows and 24 s for one of 4,000."""
_VECTORS_PER_INSERT = 250
"""Vectors of one call: those of 34 words of a photo take the database 3.0 ms in calls of 1,000 and 1.6 ms so."""
_ROWS_PER_READ = 8000
_CONNECT_DEADLINE_S = 60.0
_CONNECT_ATTEMPTS = 20
_CONNECT_PAUSE_S = 0.25
_CHANNEL_OPTIONS = {
    # The database may listen only after the first attempt to reach it; by default the second follows a second later.
    "grpc.initial_reconnect_backoff_ms": 50,
    # How long one attempt may take, too: on a busy machine 50 ms are not enough to shake hands.
    "grpc.min_reconnect_backoff_ms": 5000,
    # A deadline for every call. Given as `timeout=` it would also mean: try again until then, even on a full disk.
    "grpc.service_config": json.dumps({"methodConfig": [{"name": [{}], "timeout": "600s"}]}),
}
_SCARCE_BYTES = 16 * 2**20
"""A write that fails with less than this free is taken for a full disk; Milvus Lite does not say why it failed."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """One row of the images collection."""

    key: int
    vector_count: int
    record: str


class _Description(TypedDict):
    format: int
    model: str
    fingerprint: str


class MilvusTables:
    """An open Milvus Lite database. Every method raises StoreUnavailable, and the writing ones StoreFull."""

    def __init__(self, path: Path, *, card: ModelCard) -> None:
        """Open or create the database at `path`. Raises GalleryDamaged, or ModelMismatch if another model wrote it."""
        self._path = path
        self._loaded = False
        self._client = _connect(path)
        try:
            self._ensure_collections(card)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the database; everything that was written is on the disk already."""
        from milvus_lite.server_manager import server_manager_instance

        self._client.close()
        server_manager_instance.release_server(str(self._path))

    def load_vectors(self) -> None:
        """Read the vectors into the database's memory, once; reading, counting and dropping need it.

        Takes 2.4 s for 100,000 of width 768.
        """
        if not self._loaded:
            with _translated("load the vectors"):
                self._client.load_collection(VECTORS, retry_times=0)
            self._loaded = True

    def read_images(self) -> Iterator[ImageRow]:
        """Yield all image rows, ordered by key."""
        last = -1
        while True:
            with _translated("read the images"):
                found = self._client.query(
                    IMAGES,
                    filter=f"key > {last}",
                    output_fields=["key", "vector_count", "record"],
                    limit=_ROWS_PER_READ,
                    retry_times=0,
                )
            rows = [ImageRow(key=row["key"], vector_count=row["vector_count"], record=row["record"]) for row in found]
            yield from rows
            if len(rows) < _ROWS_PER_READ:
                return
            last = max(row.key for row in rows)

    def add_images(self, rows: Sequence[ImageRow]) -> None:
        """Write image rows; each call of up to 1,000 is whole or absent after a crash."""
        for part in _parts(rows):
            data = [
                {"key": row.key, "vector_count": row.vector_count, "record": row.record, "unused": [0.0, 0.0]}
                for row in part
            ]
            with _translated("write images", writing=self._path):
                self._client.insert(IMAGES, data, retry_times=0)

    def drop_images(self, keys: Sequence[int]) -> None:
        """Remove image rows; unknown keys are ignored."""
        for part in _parts(keys):
            with _translated("remove images", writing=self._path):
                self._client.delete(IMAGES, ids=list(part), retry_times=0)

    def add_vectors(self, pks: Sequence[int], vectors_RD: FloatArray) -> None:
        """Write one row for each primary key and vector."""
        for start in range(0, len(pks), _VECTORS_PER_INSERT):
            part = slice(start, start + _VECTORS_PER_INSERT)
            data = [{"pk": pk, "vector": vector_D} for pk, vector_D in zip(pks[part], vectors_RD[part], strict=True)]
            with _translated("write vectors", writing=self._path):
                self._client.insert(VECTORS, data, retry_times=0)

    def drop_vectors(self, pks: Sequence[int]) -> None:
        """Remove vector rows; unknown keys are ignored."""
        for part in _parts(pks):
            with _translated("remove vectors", writing=self._path):
                self._client.delete(VECTORS, ids=list(part), retry_times=0)

    def count_vectors(self, first_pk: int = 0, end_pk: int = MAX_PK) -> int:
        """Return how many vector rows have a primary key in [first_pk, end_pk)."""
        with _translated("count the vectors"):
            found = self._client.query(
                VECTORS,
                filter=f"pk >= {first_pk} and pk < {end_pk}",
                output_fields=["count(*)"],
                retry_times=0,
            )
        return int(found[0]["count(*)"])

    def list_vectors(self, first_pk: int, end_pk: int) -> list[int]:
        """Return up to 8,000 primary keys of vector rows in [first_pk, end_pk)."""
        with _translated("list the vectors"):
            found = self._client.query(
                VECTORS,
                filter=f"pk >= {first_pk} and pk < {end_pk}",
                output_fields=["pk"],
                limit=_ROWS_PER_READ,
                retry_times=0,
            )
        return [int(row["pk"]) for row in found]

    def read_vectors(self, pks: Sequence[int], width: int) -> FloatArray:
        """Return the vectors of the primary keys in their order, (n, width); 5,000 a second at a width of 768.

        Raises GalleryDamaged when one is missing.
        """
        vectors_RD = np.empty((len(pks), width), dtype=np.float32)
        for start in range(0, len(pks), ROWS_PER_CALL):
            part = pks[start : start + ROWS_PER_CALL]
            with _translated("read the vectors"):
                found = self._client.get(VECTORS, ids=list(part), output_fields=["vector"], retry_times=0)
            by_pk = {int(row["pk"]): cast("list[float]", row["vector"]) for row in found}
            missing = [pk for pk in part if pk not in by_pk]
            if missing:
                raise GalleryDamaged(f"{self._path} lacks {len(missing)} of {len(pks)} vectors that its images have")
            vectors_RD[start : start + len(part)] = [by_pk[pk] for pk in part]
        return vectors_RD

    def _ensure_collections(self, card: ModelCard) -> None:
        """Create what is not there, also when an earlier process died in the middle of creating it."""
        with _translated("read the collections"):
            names = set(cast("list[str]", self._client.list_collections(retry_times=0)))
        if VECTORS in names:
            self._check_model(card)
        else:
            self._create_vectors(card)
        if IMAGES not in names:
            self._create_images()
        self._ensure_index(VECTORS, "vector")
        self._ensure_index(IMAGES, "unused")
        with _translated("load the images"):
            self._client.load_collection(IMAGES, retry_times=0)

    def _ensure_index(self, collection: str, field: str) -> None:
        with _translated("index a collection", writing=self._path):
            if not self._client.list_indexes(collection, retry_times=0):
                indexes = self._client.prepare_index_params()
                indexes.add_index(field, index_type="FLAT", metric_type="IP")
                self._client.create_index(collection, indexes, sync=False, retry_times=0)

    def _check_model(self, card: ModelCard) -> None:
        with _translated("read the model's name"):
            described = cast("dict[str, object]", self._client.describe_collection(VECTORS, retry_times=0))
        text = str(described["description"])
        try:
            found = cast(_Description, json.loads(text))
            written_format, model, fingerprint = found["format"], found["model"], found["fingerprint"]
        except (ValueError, KeyError, TypeError) as error:
            raise GalleryDamaged(f"{self._path} does not say which model wrote it, but {text!r}") from error
        if written_format != _FORMAT:
            raise GalleryDamaged(f"{self._path} has format {written_format}, expected {_FORMAT}")
        if fingerprint != card.fingerprint:
            raise ModelMismatch(
                f"{self._path} was written by model {model!r} ({fingerprint}), "
                f"the model in use is {card.name!r} ({card.fingerprint})"
            )

    def _create_vectors(self, card: ModelCard) -> None:
        from pymilvus import DataType

        description = _Description(format=_FORMAT, model=card.name, fingerprint=card.fingerprint)
        schema = self._client.create_schema(auto_id=False, description=json.dumps(description))
        schema.add_field("pk", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=card.vector_width)
        with _translated("create the vectors", writing=self._path):
            self._create(VECTORS, schema)

    def _create_images(self) -> None:
        from pymilvus import DataType

        schema = self._client.create_schema(auto_id=False)
        schema.add_field("key", DataType.INT64, is_primary=True)
        schema.add_field("vector_count", DataType.INT64)
        schema.add_field("record", DataType.VARCHAR, max_length=65_535)
        schema.add_field("unused", DataType.FLOAT_VECTOR, dim=2)
        with _translated("create the images", writing=self._path):
            self._create(IMAGES, schema)

    def _create(self, collection: str, schema: CollectionSchema) -> None:
        """Create a collection, a moment later where the database answers before it has set itself up."""
        from pymilvus import MilvusException

        for attempt in range(1, _CONNECT_ATTEMPTS + 1):
            try:
                return self._client.create_collection(collection, schema=schema, retry_times=0)
            except MilvusException as error:
                if "has not been init" not in str(error.message) or attempt == _CONNECT_ATTEMPTS:
                    raise
            time.sleep(_CONNECT_PAUSE_S)
        return None


def _connect(path: Path) -> MilvusClient:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        import milvus_lite  # noqa: F401  # pyright: ignore[reportUnusedImport]
        from pymilvus import MilvusException
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs each error that is translated here, with a trace
    for attempt in range(1, _CONNECT_ATTEMPTS + 1):
        try:
            return _start(path)
        except MilvusException as error:
            if not _may_yet_listen(error) or attempt == _CONNECT_ATTEMPTS:
                raise GalleryDamaged(f"{path} cannot be opened: {error.message}") from error
        time.sleep(_CONNECT_PAUSE_S)
    raise AssertionError("the last attempt returns or raises")


def _start(path: Path) -> MilvusClient:
    """Start the database of `path` unless it runs, and connect to it."""
    from pymilvus import MilvusClient

    with _interrupts_held_back():
        return MilvusClient(str(path), timeout=_CONNECT_DEADLINE_S, grpc_options=_CHANNEL_OPTIONS)


def _may_yet_listen(error: MilvusException) -> bool:
    """Return whether the database was started but could not be reached: on a busy machine it takes its time."""
    from pymilvus import Status

    return error.code == Status.CONNECT_FAILED


@contextmanager
def _interrupts_held_back() -> Generator[None]:
    """Keep Ctrl-C from the database: a terminal sends it to every process, and one started here inherits the block.

    Without this the database dies first, and a writer that was interrupted cannot commit what it has.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _translated(action: str, *, writing: Path | None = None) -> Generator[None]:
    from pymilvus import MilvusException

    try:
        yield
    except MilvusException as error:
        raise _name_error(action, str(error.message), writing) from error


def _name_error(action: str, message: str, writing: Path | None) -> StoreError:
    if writing is not None and (free := shutil.disk_usage(writing.parent).free) < _SCARCE_BYTES:
        return StoreFull(f"no space left to {action}: {free} bytes are free at {writing.parent} ({message})")
    return StoreUnavailable(f"could not {action}: {message}")


def _parts(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (items[start : start + ROWS_PER_CALL] for start in range(0, len(items), ROWS_PER_CALL))
