"""A gallery of four images with two queries, small enough to score by hand."""

from pathlib import Path

import numpy as np

from glyphseek.evaluation import Benchmark, BenchmarkImage, QueryList, Report, TextItem, evaluate, matrix_scorer


def _image(name: str, *texts: tuple[str, float]) -> BenchmarkImage:
    items = tuple(TextItem(text=text, polygon=((0, 0), (90, 0), (90, height), (0, height))) for text, height in texts)
    return BenchmarkImage(name=name, path=Path(name), items=items, size=(1000, 500))


def toy_benchmark(comparable_to: str | None = None) -> Benchmark:
    images = (_image("a", ("sale", 10)), _image("b", ("sale", 60), ("open", 20)), _image("c"), _image("d"))
    relevant = {"open": frozenset({"b"}), "sale": frozenset({"a", "b"})}
    queries = QueryList(name="all", relevant=relevant, comparable_to=comparable_to)
    return Benchmark(name="toy", images=images, query_lists=(queries,))


def toy_report(method: str = "tdsl", comparable_to: str | None = None) -> Report:
    benchmark = toy_benchmark(comparable_to)
    queries = benchmark.query_list("all")
    # "open" is found at rank 1 of 4, "sale" at ranks 2 (b) and 3 (a).
    scores = np.array([[0.1, 0.9, 0.2, 0.0], [0.3, 0.5, 0.7, 0.1]], dtype=np.float32)
    score = matrix_scorer(list(queries.relevant), scores)
    return evaluate(benchmark, queries, score, method=method, longer_side=1000, figures={"images_per_s": 4.0})
