"""What stage one still finds as the gallery grows: against ground truth, and each index against exhaustive search.

    python load_tests/recall.py SET [--queries LIST] [--model ID] [--rendered FOLDER ...] [--sizes 1000 10000 ...]
                                [--rows 1000000] [--cache FOLDER] [--out recall.json] [--plot recall.png]

SET is a gallery with ground truth that `glyphseek eval` reads; the shortest of its query lists is asked unless another
is named. It grows by

  rendered    photos of galleries that `glyphseek render` made, without those that carry a word that is asked;
  resampled   features of photos that answer no query, each vector moved by 0.3 of the difference of two others and
              brought back to unit length: as many as are wanted, spread like real ones, but no new kinds of scene.

Exhaustive search goes over the vectors as they come and keeps none, so it reaches a million photos of any model.
Indexes hold every vector; they are measured up to `--rows` of them. Recall@K against ground truth is the mean over
queries of the share of the photos that answer a query among its K first; against exhaustive search, the share of the K
first photos of exhaustive search that are among the K first of the index. An index is asked for 1,000 vectors; where
photos have many, those are fewer photos.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from recall_growing import Chunk, Question, grow_gallery
from recall_indexes import IndexAnswers, RowFile, measure_indexes
from recall_plot import plot_recall

from glyphseek.cli.measuring import encode_gallery
from glyphseek.datasets.benchmarks import load_benchmark
from glyphseek.evaluation import Benchmark, QueryList, encode_words
from glyphseek.evaluation.scoring import query_words
from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.models.loading import DEFAULT_MODEL, open_model
from glyphseek.ports import Model
from glyphseek.types import FloatArray

CUTS = (1, 10, 32, 100, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFigures:
    """One index at one size: its bytes in memory, seconds to build, milliseconds a query, and recall by cut."""

    index: str
    megabytes: float
    built_s: float
    ms: float
    agreement: dict[int, float]
    recall: dict[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeFigures:
    """What was measured at one size of the gallery."""

    images: int
    rows: int
    sources: dict[str, int]
    exhaustive_recall: dict[int, float]
    indexes: list[IndexFigures]


class Exhaustive:
    """The score of every photo for every query, of which the best photos and the ranks of the answers are kept."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions = questions
        self._vectors_QD = np.stack([one.vector_D for one in questions])
        self._scores_QB = np.empty((len(questions), 0), dtype=np.float32)
        self.best_QB = np.empty((len(questions), 0), dtype=np.int64)
        self._relevant: list[NDArray[np.float32]] = []
        self._above = [np.zeros(len(one.relevant), dtype=np.int64) for one in questions]
        self.images = 0

    def add(self, chunk: Chunk) -> None:
        """Score the photos of a chunk; the first must hold all photos that answer a query."""
        scores_QN = _best_of_images(self._vectors_QD @ chunk.vectors_RD.T, chunk.counts_N)
        if not self._relevant:
            self._relevant = [scores_QN[q, list(one.relevant)] for q, one in enumerate(self._questions)]
        for above, least, scores_N in zip(self._above, self._relevant, scores_QN, strict=True):
            above += (scores_N[:, None] > least).sum(axis=0)
        scores_QB = np.concatenate([self._scores_QB, scores_QN], axis=1)
        places_N = np.arange(self.images, self.images + len(chunk.counts_N))
        best_QB = np.concatenate([self.best_QB, np.tile(places_N, (len(scores_QN), 1))], axis=1)
        order_QB = np.argsort(-scores_QB, axis=1, kind="stable")[:, : CUTS[-1]]
        self._scores_QB = np.take_along_axis(scores_QB, order_QB, axis=1)
        self.best_QB = np.take_along_axis(best_QB, order_QB, axis=1)
        self.images += len(chunk.counts_N)

    def recall(self) -> dict[int, float]:
        """Return recall@K against ground truth for each cut; photos of equal score count as one rank."""
        return {cut: float(np.mean([(above < cut).mean() for above in self._above])) for cut in CUTS}


def main() -> int:
    """Grow the gallery, measure at every size, write the report and the plot."""
    options = _parse_options()
    model = open_model(options.model)
    benchmark = load_benchmark(options.dataset)
    queries = benchmark.query_list(options.queries) if options.queries else min(benchmark.query_lists, key=len)
    first = _encode(benchmark, model, options.cache, source="set")
    questions = _ask(model, benchmark, queries)
    rendered = [_without(load_benchmark(folder), queries) for folder in options.rendered]
    others = [_encode(one, model, options.cache, source="rendered") for one in rendered]
    sizes = sorted(options.sizes)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = RowFile(Path(folder) / "rows.f32", width=model.card.vector_width, limit=options.rows)
        figures = list(_measure(grow_gallery(first, questions, others, sizes), questions, sizes, rows))
    report = {
        "model": model.card.name,
        "set": benchmark.name,
        "queries": f"{queries.name} ({len(questions)})",
        "width": model.card.vector_width,
        "rendered": [str(folder) for folder in options.rendered],
        "sizes": [asdict(one) for one in figures],
    }
    options.out.write_text(json.dumps(report, indent=1), encoding="utf-8")
    plot_recall(options.plot, f"{report['model']}, {report['set']}, {report['queries']} queries", figures)
    print(f"written: {options.out}, {options.plot}")
    return 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, metavar="SET", help="a gallery with ground truth")
    parser.add_argument("--queries", default=None, help="name of a query list of the set")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model id or folder")
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], help="rendered galleries to grow by")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000]
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="most vectors that indexes are measured with")
    parser.add_argument("--cache", type=Path, default=Path("recall-cache"), help="folder to keep features in")
    parser.add_argument("--folder", type=Path, default=None, help="where vectors are kept while it runs")
    parser.add_argument("--out", type=Path, default=Path("recall.json"))
    parser.add_argument("--plot", type=Path, default=Path("recall.png"))
    return parser.parse_args()


def _encode(benchmark: Benchmark, model: Model, cache: Path, *, source: str) -> Chunk:
    def show(done: int, total: int, stage: str) -> None:
        if done == total:
            print(f"{stage} {benchmark.name}: {total} photos", flush=True)

    rows = encode_gallery(benchmark, model, DirectoryFeatureStore(cache / "features"), show).rows
    return Chunk(
        source=source,
        vectors_RD=np.concatenate([one.vectors_ND for one in rows]),
        counts_N=np.array([len(one) for one in rows]),
    )


def _ask(model: Model, benchmark: Benchmark, queries: QueryList) -> list[Question]:
    """Return the queries of one word that the model can be asked."""
    most = model.card.max_query_characters
    features = encode_words(sorted(queries.relevant), model.encode_terms, max_characters=most)
    places = {image.name: place for place, image in enumerate(benchmark.images)}
    return [
        Question(
            text=query,
            vector_D=features[words[0]].vectors_VD[0],
            relevant=tuple(sorted(places[name] for name in queries.relevant[query])),
        )
        for query in sorted(queries.relevant)
        if len(words := query_words(query, most)) == 1 and words[0] in features
    ]


def _without(benchmark: Benchmark, queries: QueryList) -> Benchmark:
    """Return the photos of a gallery that carry no word that is asked."""
    carriers = {
        name
        for known in benchmark.query_lists
        for query, names in known.relevant.items()
        if query in queries.relevant
        for name in names
    }
    images = tuple(image for image in benchmark.images if image.name not in carriers)
    return Benchmark(name=benchmark.name, images=images, query_lists=())


def _measure(
    chunks: Iterator[Chunk], questions: Sequence[Question], sizes: Sequence[int], rows: RowFile
) -> Iterator[SizeFigures]:
    exhaustive = Exhaustive(questions)
    sources: dict[str, int] = {}
    left = list(sizes)
    for chunk in chunks:
        exhaustive.add(chunk)
        rows.add(chunk.vectors_RD, chunk.counts_N)
        sources[chunk.source] = sources.get(chunk.source, 0) + len(chunk.counts_N)
        if left and exhaustive.images >= left[0]:
            left = [size for size in left if size > exhaustive.images]
            yield _measure_size(exhaustive, questions, rows, sources)


def _measure_size(
    exhaustive: Exhaustive, questions: Sequence[Question], rows: RowFile, sources: dict[str, int]
) -> SizeFigures:
    found = SizeFigures(
        images=exhaustive.images,
        rows=rows.seen,
        sources=dict(sources),
        exhaustive_recall=exhaustive.recall(),
        indexes=[
            _compare(answers, exhaustive.best_QB, questions)
            for answers in measure_indexes(rows, np.stack([one.vector_D for one in questions]), limit=CUTS[-1])
        ],
    )
    print(f"{found.images} photos, {found.rows} vectors, {found.sources}: {_percent(found.exhaustive_recall)}")
    for one in found.indexes:
        print(
            f"  {one.index}: {one.megabytes:.0f} MB, {one.ms:.1f} ms a query, built in {one.built_s:.0f} s; "
            f"of exhaustive search {_percent(one.agreement)}; of the answers {_percent(one.recall)}",
            flush=True,
        )
    return found


def _compare(answers: IndexAnswers, best_QB: NDArray[np.int64], questions: Sequence[Question]) -> IndexFigures:
    pairs = list(zip(answers.images, best_QB, questions, strict=True))
    return IndexFigures(
        index=answers.index,
        megabytes=answers.megabytes,
        built_s=answers.built_s,
        ms=answers.ms,
        agreement={
            k: float(np.mean([len({*got[:k]} & {*best[:k].tolist()}) / k for got, best, _ in pairs])) for k in CUTS
        },
        recall={
            k: float(np.mean([len({*got[:k]} & {*q.relevant}) / len(q.relevant) for got, _, q in pairs])) for k in CUTS
        },
    )


def _best_of_images(similarities_QR: FloatArray, counts_N: NDArray[np.int64]) -> FloatArray:
    """Return (Q, N): the largest similarity of each photo's vectors, -1 for a photo without any."""
    scores_QN = np.full((len(similarities_QR), len(counts_N)), -1.0, dtype=np.float32)
    filled = np.flatnonzero(counts_N)
    starts = np.cumsum(counts_N)[filled] - counts_N[filled]
    scores_QN[:, filled] = np.maximum.reduceat(similarities_QR, starts, axis=1)
    return scores_QN


def _percent(shares: dict[int, float]) -> str:
    return ", ".join(f"@{cut} {100 * share:.1f}" for cut, share in shares.items())


if __name__ == "__main__":
    sys.exit(main())
