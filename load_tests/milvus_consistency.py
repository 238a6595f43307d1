"""What it costs that a search sees every write and no deleted image: latency by Milvus' time tick and by consistency.

`milvus_consistency.py http://127.0.0.1:19530` fills a gallery of its own with unit vectors, one an image, measures, and
drops it. Rows: the store as it is (it reads as of a timestamp that it asked for); the same search with a timestamp of
the past, which is what bounded consistency amounts to and what could bring a deleted image back; and searches with a
filter that half, a tenth and a hundredth of the images pass, with the share of the true best that they find. The
server's tick is `proxy.timeTickInterval`, 200 ms if nothing is said; the project's own script starts it with 20.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from unittest.mock import patch
from uuid import uuid4

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from glyphseek.filters import parse_filter
from glyphseek.types import Calibration, FeatureKind, FloatArray, ImageRecord, ModelCard, RowHits
from glyphseek.vectors.milvus_client import MilvusCalls
from glyphseek.vectors.milvus_generations import MilvusGenerations
from glyphseek.vectors.milvus_server import MilvusStore
from glyphseek.vectors.milvus_settings import IndexKind, IndexSettings, MilvusSettings

PAST = 1
PARTS = (2, 10, 100)


def main(
    uri: str, images: int = 20_000, width: int = 512, searches: int = 100, index: IndexKind = IndexKind.HNSW
) -> None:
    """Measure searches for 100 rows, gets of 32 records, and delete and put of one image."""
    settings = MilvusSettings(uri=uri, index=IndexSettings(kind=index), timeout_s=60)
    store = MilvusStore.open(settings, gallery=f"load{uuid4().hex[:8]}", card=_make_card(width))
    vectors_ND = _draw(images, width)
    started = time.perf_counter()
    for start in range(0, images, 1000):
        part = vectors_ND[start : start + 1000]
        store.put([_make_record(start + n) for n in range(len(part))], list(part[:, None]))
    console = Console()
    console.print(f"{images} images put in {time.perf_counter() - started:.1f} s")
    ids = [f"{n:08}" for n in range(0, images, max(1, images // 32))][:32]
    queries_QD = _draw(20, width, seed=1)
    filters = {part: parse_filter(f"part{part} == 0") for part in PARTS}
    one = [_make_record(images)], [vectors_ND[:1]]
    operations: dict[str, Callable[[], object]] = {
        "search, top 100": lambda: store.search(queries_QD[:1], 100),
        **{
            f"search, 1 in {part} pass": lambda where=where: store.search(queries_QD[:1], 100, where=where)
            for part, where in filters.items()
        },
        "get 32 records": lambda: store.get(ids),
        "put one image": lambda: store.put(*one),
        "delete one image": lambda: store.delete([f"{images:08}"]),
    }
    table = Table("operation", "p50 ms", "p99 ms", "bounded p50 ms", "bounded p99 ms")
    for name, work in operations.items():
        sure = _measure(work, searches)
        with patch.object(MilvusCalls, "now", return_value=PAST):
            bounded = _measure(work, searches)
        table.add_row(name, *(f"{value:.1f}" for value in (*sure, *bounded)))
    console.print(table)
    for part, where in {1: None, **filters}.items():
        share = _measure_recall(store.search(queries_QD, 100, where=where), vectors_ND, queries_QD, part)
        console.print(f"1 in {part} pass: {share:.4f} of the true best 100 are found")
    store.close()
    with MilvusGenerations(settings) as generations:
        generations.drop_gallery(store.generation.gallery)


def _measure(work: Callable[[], object], count: int) -> tuple[float, float]:
    """Return p50 and p99 in milliseconds; pauses keep the calls from falling into step with the server's ticks."""
    rng, taken = np.random.default_rng(0), list[float]()
    for _ in range(count):
        time.sleep(rng.random() * 0.02)
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    p50, p99 = np.percentile(taken, [50, 99])
    return float(p50), float(p99)


def _measure_recall(answers: list[RowHits], vectors_ND: FloatArray, queries_QD: FloatArray, part: int) -> float:
    """Return the share of the 100 nearest of the images with numbers that `part` divides that answers hold."""
    similarities_QN = queries_QD @ vectors_ND[::part].T
    shares: list[float] = []
    for hits, similarities_N in zip(answers, similarities_QN, strict=True):
        nearest = {part * int(place) for place in np.argsort(-similarities_N)[:100]}
        shares.append(len(nearest & {int(hit.image_id) for hit in hits}) / len(nearest))
    return float(np.mean(shares))


def _draw(count: int, width: int, *, seed: int = 0) -> FloatArray:
    vectors = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _make_card(width: int) -> ModelCard:
    return ModelCard(
        name="load",
        method="load",
        fingerprint="0" * 32,
        vector_width=width,
        features=frozenset({FeatureKind.GLOBAL}),
        alphabet="abc",
        max_query_characters=20,
        understands_meaning=False,
        calibration=Calibration(slope=1, offset=0, threshold=0.5),
    )


def _make_record(number: int) -> ImageRecord:
    name = f"{number:08}"
    return ImageRecord(
        image_id=name,
        content_hash=name,
        names=(name,),
        width=1,
        height=1,
        instance_count=0,
        metadata={f"part{part}": number % part for part in PARTS},
    )


if __name__ == "__main__":
    typer.run(main)
