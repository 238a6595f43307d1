"""How `glyphseek eval` gets scores: from a model's instances, or from what an OCR engine read."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from glyphseek.cli.console import OnProgress, err
from glyphseek.errors import ImageError
from glyphseek.evaluation import Benchmark, QueryList, Report, evaluate, score_queries
from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.images import ImageLimits, read_file, read_image
from glyphseek.models.loading import open_model
from glyphseek.ports import FeatureStore, Model, blob_key
from glyphseek.tokens import CodecName, pack, unpack
from glyphseek.training.annotated import is_held_out_photo
from glyphseek.types import FloatArray, Instances


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A method ready to be judged. `longer_side` is the size it read photos at, `figures` what else was measured."""

    method: str
    score: Callable[[str], FloatArray]
    longer_side: int | None
    figures: Mapping[str, float]


def keep_held_out(benchmark: Benchmark) -> Benchmark:
    """Return the photos that training leaves out, and the queries that they answer."""
    images = tuple(image for image in benchmark.images if is_held_out_photo(image.path))
    names = {image.name for image in images}
    lists = tuple(
        QueryList(
            name=f"{queries.name} (held out)",
            relevant={q: kept for q, found in queries.relevant.items() if (kept := frozenset(found & names))},
        )
        for queries in benchmark.query_lists
    )
    return replace(benchmark, name=f"{benchmark.name} held-out", images=images, query_lists=lists)


def measure_model(
    benchmark: Benchmark, model_name: str, cache: Path | None, device: str, show: OnProgress
) -> list[Scorer]:
    """Encode every photo (through the blobs that a gallery would hold) and return the model's scorer."""
    model = open_model(model_name, device=device)
    blobs: FeatureStore = DirectoryFeatureStore(cache / "features") if cache else MemoryFeatureStore()
    instances: list[Instances] = []
    encoded, seconds = 0, 0.0
    for done, image in enumerate(benchmark.images, start=1):
        found, spent = encode_photo(model, image.path, blobs)
        instances.append(found)
        encoded += spent > 0
        seconds += spent
        show(done, len(benchmark.images), "encoding")
    asked = sorted({query for queries in benchmark.query_lists for query in queries.relevant})
    score = score_queries(asked, model.encode_terms, instances, max_characters=model.card.max_query_characters)
    figures = {"instances per image": sum(map(len, instances)) / max(1, len(instances))}
    if encoded:
        figures["images/s of the model alone"] = encoded / seconds
    return [Scorer(method=model.card.name, score=score, longer_side=model.card.longer_side, figures=figures)]


def judge(benchmark: Benchmark, scorers: Sequence[Scorer]) -> list[Report]:
    """Return one report for each scorer and query list."""
    return [
        evaluate(
            benchmark,
            queries,
            scorer.score,
            method=scorer.method,
            longer_side=scorer.longer_side,
            figures=scorer.figures,
        )
        for scorer in scorers
        for queries in benchmark.query_lists
    ]


def encode_photo(model: Model, path: Path, blobs: FeatureStore) -> tuple[Instances, float]:
    """Return the instances of a photo, from `blobs` if they hold it, and the seconds the model took (0 if they did).

    A photo that cannot be read has no instances, and a line says so.
    """
    fingerprint = model.card.fingerprint
    try:
        data = read_file(path, limits=ImageLimits()).data
        key = blob_key(fingerprint, hashlib.sha256(data).hexdigest()[:32])
        blob, spent = blobs.get([key])[0], 0.0
        if blob is None:
            prepared = model.prepare(read_image(data))
            began = time.perf_counter()
            features = model.encode_images([prepared])[0]
            spent = time.perf_counter() - began
            blob = pack(features, codec=CodecName.FP16, fingerprint=fingerprint)
            blobs.put(key, blob)
    except ImageError as error:
        err.print(f"not read: {path}: {error}", markup=False)
        return no_instances(model.card.vector_width), 0.0
    return unpack(blob, fingerprint=fingerprint).instances or no_instances(model.card.vector_width), spent


def no_instances(width: int) -> Instances:
    """Return the instances of an image without words."""
    return Instances(
        vectors_ND=np.zeros((0, width), np.float32),
        boxes_N4=np.zeros((0, 4), np.float32),
        scores_N=np.zeros(0, np.float32),
    )


def measure_ocr(benchmark: Benchmark, cache: Path | None, longer_side: int, show: OnProgress) -> list[Scorer]:
    """Read every photo with the OCR engine and return a scorer for each way of comparing spellings."""
    from glyphseek.models.ocr.cache import ReadingCache, read_all
    from glyphseek.models.ocr.reader import OcrReader
    from glyphseek.models.ocr.similarity import Similarity, score_readings

    names = [image.name for image in benchmark.images]
    with TemporaryDirectory() as scratch:
        kept = ReadingCache((cache or Path(scratch)) / f"ocr-{benchmark.name}.json", longer_side=longer_side)
        readings = read_all(
            {image.name: image.path for image in benchmark.images},
            read_image,
            lambda: OcrReader(longer_side=longer_side),
            kept,
            on_image=lambda done, total: show(done, total, "reading"),
        )
    for name, reason in readings.failed.items():
        err.print(f"not read: {name}: {reason}", markup=False)
    figures = {"images/s of the engine alone": readings.read_now / readings.seconds} if readings.read_now else {}
    return [
        Scorer(
            method=f"OCR ({similarity.value})",
            score=score_readings(readings.lines, names, similarity),
            longer_side=longer_side,
            figures=figures,
        )
        for similarity in Similarity
    ]
