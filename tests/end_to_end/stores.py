"""Stores that outlive the process, for tests that kill it; slow on demand, so that a kill falls inside an operation."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
from indexing.gallery_fakes import WIDTH, card

from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.filters import Filter
from glyphseek.ports import FeatureStore, VectorStore
from glyphseek.types import FloatArray, ImageRecord, RowHit, RowHits

StoreKind = Literal["sqlite", "milvus"]


def open_features(gallery: Path) -> DirectoryFeatureStore:
    return DirectoryFeatureStore(gallery / "blobs")


class SqliteVectors:
    """Rows in one file; a transaction for each call. Stands in where only what is committed matters, not searching."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, check_same_thread=False, timeout=20)
        self._database.execute("CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, record TEXT, vectors BLOB)")

    def put(self, records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        rows = [
            (record.image_id, json.dumps(asdict(record)), array.astype("<f4").tobytes())
            for record, array in zip(records, vectors, strict=True)
        ]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO images VALUES (?, ?, ?)", rows)

    def search(self, vectors_QD: FloatArray, limit: int, *, where: Filter | None = None) -> list[RowHits]:
        rows: list[tuple[str, FloatArray]] = [
            (image_id, np.frombuffer(blob, dtype="<f4").reshape(-1, WIDTH))
            for image_id, record, blob in self._database.execute("SELECT id, record, vectors FROM images").fetchall()
            if where is None or where.matches(json.loads(record)["metadata"])
        ]
        hits = [
            sorted(
                (
                    RowHit(image_id=image_id, instance=instance, similarity=float(vector_D @ query_D))
                    for image_id, vectors_ND in rows
                    for instance, vector_D in enumerate(vectors_ND)
                ),
                key=lambda hit: (-hit.similarity, hit.image_id, hit.instance),
            )[:limit]
            for query_D in vectors_QD
        ]
        return [RowHits.of(one) for one in hits]

    def get(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        return {record.image_id: record for record in self.scan() if record.image_id in image_ids}

    def scan(self, *, after: str = "") -> Iterator[ImageRecord]:
        asked = "SELECT record FROM images WHERE id > ? ORDER BY id"
        for (text,) in self._database.execute(asked, (after,)).fetchall():
            fields = json.loads(text)
            yield ImageRecord(**{**fields, "names": tuple(fields["names"])})  # pyright: ignore[reportArgumentType]

    def delete(self, image_ids: Sequence[str]) -> None:
        with self._database:
            self._database.executemany("DELETE FROM images WHERE id = ?", [(image_id,) for image_id in image_ids])

    def close(self) -> None:
        self._database.close()


def open_vectors(gallery: Path, kind: StoreKind) -> VectorStore:
    match kind:
        case "sqlite":
            return SqliteVectors(gallery / "rows.sqlite")
        case "milvus":
            from glyphseek.vectors.milvus import MilvusLiteStore

            return MilvusLiteStore.open(gallery / "vectors", card=card())


class SlowVectors:
    """Waits before and after every change."""

    def __init__(self, store: VectorStore, seconds: float) -> None:
        self._store = store
        self._seconds = seconds

    def put(self, records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        time.sleep(self._seconds)
        self._store.put(records, vectors)
        time.sleep(self._seconds)

    def search(self, vectors_QD: FloatArray, limit: int, *, where: Filter | None = None) -> list[RowHits]:
        return self._store.search(vectors_QD, limit, where=where)

    def get(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        return self._store.get(image_ids)

    def scan(self, *, after: str = "") -> Iterator[ImageRecord]:
        return self._store.scan(after=after)

    def delete(self, image_ids: Sequence[str]) -> None:
        time.sleep(self._seconds)
        self._store.delete(image_ids)
        time.sleep(self._seconds)

    def close(self) -> None:
        self._store.close()


class SlowFeatures:
    """Waits before every change."""

    def __init__(self, store: FeatureStore, seconds: float) -> None:
        self._store = store
        self._seconds = seconds

    def put(self, key: str, blob: bytes) -> None:
        time.sleep(self._seconds)
        self._store.put(key, blob)

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        return self._store.get(keys)

    def delete(self, keys: Sequence[str]) -> None:
        time.sleep(self._seconds)
        self._store.delete(keys)

    def scan(self) -> Iterator[str]:
        return self._store.scan()
