"""The indexes that `recall.py` measures: our exact scan, and approximate ones that vector databases offer, by faiss.

Every index answers with the rows of largest inner product, which become photos in the order of their best row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from glyphseek.types import FloatArray
from glyphseek.vectors.codes import encode_rows
from glyphseek.vectors.scan import ScanRows, find_largest

THREADS = 2
ROWS_AT_ONCE = 50_000
PROBES = 32  # lists that an IVF search looks into, of the square root of the number of rows
MOST_HNSW_ROWS = 100_000  # two cores need minutes for each 100,000 rows of such a graph
SEED = 1

Search = Callable[[FloatArray, int], list[NDArray[np.int64]]]
"""From queries and a number of rows to the rows of each query, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexAnswers:
    """What one index found: for each query the photos, best first."""

    index: str
    megabytes: float
    built_s: float
    ms: float
    images: list[list[int]]


class RowFile:
    """Vectors of a growing gallery on the disk, up to a limit; past it there is nothing to build an index on."""

    def __init__(self, path: Path, *, width: int, limit: int) -> None:
        self._path = path
        self._width = width
        self._limit = limit
        self._images: list[NDArray[np.int64]] = []
        self._image_count = 0
        self.seen = 0

    @property
    def is_whole(self) -> bool:
        """Return whether all vectors that came are kept."""
        return self.seen <= self._limit

    def add(self, vectors_RD: FloatArray, counts_N: NDArray[np.int64]) -> None:
        """Take in the vectors of photos, one photo after another."""
        self.seen += len(vectors_RD)
        if self.is_whole:
            with self._path.open("ab") as file:
                vectors_RD.tofile(file)
            self._images.append(np.repeat(np.arange(self._image_count, self._image_count + len(counts_N)), counts_N))
            self._image_count += len(counts_N)

    def vectors(self) -> FloatArray:
        """Return all vectors, read from the disk where they are used."""
        return np.memmap(self._path, dtype=np.float32, mode="r", shape=(self.seen, self._width))

    def images(self) -> NDArray[np.int64]:
        """Return the photo of each vector."""
        return np.concatenate(self._images)


def measure_indexes(rows: RowFile, queries_QD: FloatArray, *, limit: int) -> Iterator[IndexAnswers]:
    """Build one index after another on the rows, and ask it for `limit` rows for each query, one query at a time."""
    if not rows.is_whole:
        return
    vectors_RD, images_R = rows.vectors(), rows.images()
    lists = int(len(vectors_RD) ** 0.5)
    yield _measure("int8 scan, exact", _build_scan, vectors_RD, images_R, queries_QD, limit)
    yield _measure(f"IVF{lists},Flat", _build_ivf, vectors_RD, images_R, queries_QD, limit)
    yield _measure(f"IVF{lists},SQ8", _build_ivf, vectors_RD, images_R, queries_QD, limit)
    if len(vectors_RD) <= MOST_HNSW_ROWS:
        yield _measure("HNSW32,Flat", _build_hnsw, vectors_RD, images_R, queries_QD, limit)


def _measure(
    name: str,
    build: Callable[[str, FloatArray], tuple[Search, int]],
    vectors_RD: FloatArray,
    images_R: NDArray[np.int64],
    queries_QD: FloatArray,
    limit: int,
) -> IndexAnswers:
    faiss.omp_set_num_threads(THREADS)
    started = time.perf_counter()
    search, size = build(name, vectors_RD)
    built_s = time.perf_counter() - started
    search(queries_QD[:3], limit)
    taken_ms: list[float] = []
    images: list[list[int]] = []
    for query_D in queries_QD:
        started = time.perf_counter()
        (found,) = search(query_D[None], limit)
        taken_ms.append(1000 * (time.perf_counter() - started))
        images.append(list(dict.fromkeys(images_R[found].tolist())))
    return IndexAnswers(index=name, megabytes=size / 1e6, built_s=built_s, ms=float(np.median(taken_ms)), images=images)


def _build_scan(name: str, vectors_RD: FloatArray) -> tuple[Search, int]:
    """Return the search of the vector store: bytes in memory, vectors on the disk."""
    del name
    parts = [encode_rows(np.asarray(part)) for part in _parts(vectors_RD)]
    rows = ScanRows(
        codes_RD=np.concatenate([part.codes_RD for part in parts]),
        measures_R3=np.concatenate([part.measures_R3 for part in parts]),
        vectors_RD=vectors_RD,
        is_live_R=np.ones(len(vectors_RD), dtype=np.bool_),
    )
    pool = ThreadPoolExecutor(THREADS)

    def search(queries_QD: FloatArray, limit: int) -> list[NDArray[np.int64]]:
        found = find_largest(rows, queries_QD, limit, pool)
        return [one.rows_F[np.argsort(-one.products_F, kind="stable")][:limit] for one in found]

    return search, rows.codes_RD.nbytes + rows.measures_R3.nbytes


def _build_ivf(name: str, vectors_RD: FloatArray) -> tuple[Search, int]:
    index = faiss.index_factory(vectors_RD.shape[1], name, faiss.METRIC_INNER_PRODUCT)
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(vectors_RD))[: 64 * int(len(vectors_RD) ** 0.5)])
    index.train(np.asarray(vectors_RD[chosen]))
    faiss.ParameterSpace().set_index_parameter(index, "nprobe", PROBES)
    return _fill(index, vectors_RD)


def _build_hnsw(name: str, vectors_RD: FloatArray) -> tuple[Search, int]:
    index = faiss.index_factory(vectors_RD.shape[1], name, faiss.METRIC_INNER_PRODUCT)
    settings = faiss.ParameterSpace()
    settings.set_index_parameter(index, "efConstruction", 200)
    settings.set_index_parameter(index, "efSearch", 1000)  # no fewer than the rows that are asked
    return _fill(index, vectors_RD)


def _fill(index: faiss.Index, vectors_RD: FloatArray) -> tuple[Search, int]:
    for part in _parts(vectors_RD):
        index.add(np.asarray(part))

    def search(queries_QD: FloatArray, limit: int) -> list[NDArray[np.int64]]:
        _, found_QL = index.search(queries_QD, limit)
        return [found_L[found_L >= 0] for found_L in found_QL]

    return search, len(faiss.serialize_index(index))


def _parts(vectors_RD: FloatArray) -> Iterator[FloatArray]:
    return (vectors_RD[start : start + ROWS_AT_ONCE] for start in range(0, len(vectors_RD), ROWS_AT_ONCE))
