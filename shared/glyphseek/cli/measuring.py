"""How `glyphseek eval` gets scores: from a model's instances, or from what an OCR engine read."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from glyphseek.cli.console import OnProgress, err
from glyphseek.datasets.benchmarks import Split, load_benchmarks
from glyphseek.errors import ImageError, InputError, SettingError
from glyphseek.evaluation import (
    Benchmark,
    GalleryReranker,
    GallerySpeller,
    QueryList,
    Report,
    encode_words,
    evaluate,
    score_queries,
)
from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.images import ImageLimits, read_file, read_image
from glyphseek.indexing import vectors_of
from glyphseek.models.checkpoint import load_manifest
from glyphseek.models.loading import find_model, open_model
from glyphseek.ports import FeatureStore, Model, TokenScorer, blob_key
from glyphseek.reranking import Reranker
from glyphseek.search import SearchSettings
from glyphseek.tokens import CodecName, pack, unpack_vectors
from glyphseek.training.annotated import is_held_out_photo, is_held_out_word, spell
from glyphseek.types import FeatureKind, FloatArray, Instances, Precision

UNTAUGHT = "untaught"
"""The query list of the words that this project's training leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A method ready to be judged. `longer_side` is the size it read photos at, `figures` what else was measured."""

    method: str
    score: Callable[[str], FloatArray]
    longer_side: int | None
    figures: Mapping[str, float]


def open_benchmarks(folders: Sequence[tuple[Path, bool]], split: Split, lists: Sequence[str]) -> list[Benchmark]:
    """Return the benchmarks of the folders, of those with True the photos that training leaves out.

    Each has the list `untaught` behind its own. Without names all query lists are kept. Raises SettingError without
    folders, or for an unknown list.
    """
    if not folders:
        raise SettingError("nothing to measure on: give a folder, or one that was trained on with --trained-on")
    loaded = [(one, held_out) for folder, held_out in folders for one in load_benchmarks(folder, split=split)]
    known = [(add_untaught(one), held_out) for one, held_out in loaded]
    asked = [(keep_lists(one, lists) if lists else one, held_out) for one, held_out in known]
    return [keep_held_out(one) if held_out else one for one, held_out in asked]


def add_untaught(benchmark: Benchmark) -> Benchmark:
    """Return the benchmark with the list `untaught` behind its own: words of its first list that training leaves out.

    A query of several words is none of them. Without such a word, or with a list of that name, nothing is added.
    """
    if UNTAUGHT in {queries.name for queries in benchmark.query_lists}:
        return benchmark
    relevant = {query: found for query, found in benchmark.query_lists[0].relevant.items() if is_untaught(query)}
    lists = benchmark.query_lists + ((QueryList(name=UNTAUGHT, relevant=relevant),) if relevant else ())
    return replace(benchmark, query_lists=lists)


def is_untaught(query: str) -> bool:
    """Return whether the query is one word, and one that training leaves out."""
    word = spell(query)
    return word is not None and is_held_out_word(word)


def keep_lists(benchmark: Benchmark, names: Sequence[str]) -> Benchmark:
    """Return the benchmark with the query lists of these names. Raises SettingError, which lists the known ones."""
    known = {queries.name: queries for queries in benchmark.query_lists}
    if unknown := [name for name in names if name not in known]:
        raise SettingError(f"{benchmark.name} has no query list {unknown[0]!r}; it has {', '.join(known)}")
    return replace(benchmark, query_lists=tuple(known[name] for name in names))


def keep_held_out(benchmark: Benchmark) -> Benchmark:
    """Return the photos that training leaves out, and the queries that they answer; lists without any are left out.

    Raises InputError when no list has a query.
    """
    images = tuple(image for image in benchmark.images if is_held_out_photo(image.path))
    names = {image.name for image in images}
    lists = tuple(
        QueryList(
            name=f"{queries.name} (held out)",
            relevant={q: kept for q, found in queries.relevant.items() if (kept := frozenset(found & names))},
        )
        for queries in benchmark.query_lists
        if any(found & names for found in queries.relevant.values())
    )
    if not lists:
        asked = ", ".join(queries.name for queries in benchmark.query_lists)
        raise InputError(f"none of the {len(images)} held-out photos of {benchmark.name} answers a query of {asked}")
    return replace(benchmark, name=f"{benchmark.name} held-out", images=images, query_lists=lists)


@dataclass(slots=True, kw_only=True)
class EncodedGallery:
    """What a model made of the photos of a benchmark, in their order: ids (None: not readable) and searched vectors."""

    image_ids: list[str | None]
    rows: list[Instances]
    figures: dict[str, float]


def measure_model(
    benchmark: Benchmark,
    model_name: str,
    cache: Path | None,
    device: str,
    show: OnProgress,
    *,
    depths: Sequence[int] | None = None,
    precision: Precision = "auto",
    codec: CodecName = CodecName.FP16,
) -> list[Scorer]:
    """Encode every photo (through the blobs that a gallery of that codec would hold) and return the model's scorers.

    A model that reranks has one for each of `depths` (None: recall alone, and the depth that searches have), one with
    letters has one for recall alone and one for searches, another has one. Raises SettingError for a depth above 0
    asked of a model that does not rerank.
    """
    model = open_model(model_name, device=device, precision=precision)
    kept = "features" if codec is CodecName.FP16 else f"features-{codec.value}"
    blobs: FeatureStore = DirectoryFeatureStore(cache / kept) if cache else MemoryFeatureStore()
    gallery = encode_gallery(benchmark, model, blobs, show, codec=codec)
    gallery.figures["parameters"] = load_manifest(find_model(model_name)).parameters
    asked = sorted({query for queries in benchmark.query_lists for query in queries.relevant})
    card = model.card
    recall = score_queries(
        asked,
        model.encode_terms,
        gallery.rows,
        max_characters=card.max_query_characters,
        as_whole=card.asks_whole_text,
    )
    plain = Scorer(method=card.name, score=recall, longer_side=card.longer_side, figures=gallery.figures)
    if card.letters is not None and not depths:
        return [replace(plain, method=f"{card.name}, recall alone"), score_by_letters(plain, gallery, model, asked)]
    if not isinstance(model, TokenScorer):
        if any(depths or ()):
            raise SettingError(f"{card.name} does not rerank: --rerank {max(depths or ())} cannot be measured")
        return [plain]
    wanted = sorted(set(depths or (0, SearchSettings().rerank_of(card))))
    reranked = GalleryReranker(
        reranker=Reranker(model, blobs, fingerprint=card.fingerprint),
        image_ids=gallery.image_ids,
        features=encode_words(
            asked, model.encode_terms, max_characters=card.max_query_characters, as_whole=card.asks_whole_text
        ),
        max_characters=card.max_query_characters,
        max_depth=wanted[-1],
        fusion=card.fusion,
        as_whole=card.asks_whole_text,
    )
    return [score_at_depth(plain, reranked, depth) for depth in wanted]


def score_by_letters(plain: Scorer, gallery: EncodedGallery, model: Model, asked: Sequence[str]) -> Scorer:
    """Return the scorer of a model with letters: as searches do, the candidates of recall are told by them."""
    card = model.card
    spelt = GallerySpeller(
        images=gallery.rows,
        features=encode_words(asked, model.encode_terms, max_characters=card.max_query_characters),
        card=card,
        depth=SearchSettings().candidates,
    )

    def score(query: str) -> FloatArray:
        return spelt.score(query, plain.score(query))

    return replace(plain, score=score)


def score_at_depth(plain: Scorer, reranked: GalleryReranker, depth: int) -> Scorer:
    """Return the scorer of recall followed by a rerank of its `depth` best; it says so in its name."""

    def score(query: str) -> FloatArray:
        return reranked.score(query, plain.score(query), depth)

    name = f"{plain.method}, rerank {depth}" if depth else f"{plain.method}, recall alone"
    return replace(plain, method=name, score=score)


def encode_gallery(
    benchmark: Benchmark,
    model: Model,
    blobs: FeatureStore,
    show: OnProgress,
    *,
    codec: CodecName = CodecName.FP16,
) -> EncodedGallery:
    """Return what the model makes of every photo; token maps stay in `blobs`, which hold blobs of `codec` alone."""
    gallery = EncodedGallery(image_ids=[], rows=[], figures={})
    encoded, seconds = 0, 0.0
    encode = partial(encode_photo, model, blobs=blobs, codec=codec)
    cores = max(1, min(os.cpu_count() or 1, len(benchmark.images)))  # each takes a photo where the model is on the CPU
    threads = ThreadPoolExecutor(cores)
    try:
        found = threads.map(encode, [image.path for image in benchmark.images])
        for done, (image_id, instances, spent) in enumerate(found, start=1):
            gallery.image_ids.append(image_id)
            gallery.rows.append(instances)
            encoded += spent > 0
            seconds += spent / cores
            show(done, len(benchmark.images), "encoding")
    finally:
        threads.shutdown(cancel_futures=True)
    if FeatureKind.INSTANCES in model.card.features:
        gallery.figures["instances per image"] = sum(map(len, gallery.rows)) / max(1, len(gallery.rows))
    if encoded:
        gallery.figures["images/s of the model alone"] = encoded / seconds
    return gallery


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


def encode_photo(
    model: Model, path: Path, *, blobs: FeatureStore, codec: CodecName
) -> tuple[str | None, Instances, float]:
    """Return a photo's id, the vectors it is searched by, and the seconds the model took (0 if `blobs` held them).

    A photo that cannot be read has no id and no vectors, and a line says so. A global vector is one row.
    """
    fingerprint = model.card.fingerprint
    try:
        data = read_file(path, limits=ImageLimits()).data
        image_id = hashlib.sha256(data).hexdigest()[:32]
        key = blob_key(fingerprint, image_id)
        blob, spent = blobs.get([key])[0], 0.0
        if blob is None:
            prepared = model.prepare(read_image(data))
            began = time.perf_counter()
            features = model.encode_images([prepared])[0]
            spent = time.perf_counter() - began
            blob = pack(features, codec=codec, fingerprint=fingerprint)
            blobs.put(key, blob)
    except ImageError as error:
        err.print(f"not read: {path}: {error}", markup=False)
        return None, rows_of(np.zeros((0, model.card.vector_width), np.float32)), 0.0
    found = unpack_vectors(blob, fingerprint=fingerprint)
    return image_id, found.instances or rows_of(vectors_of(found)), spent


def rows_of(vectors_ND: FloatArray) -> Instances:
    """Return vectors as instances whose places are not known."""
    count = len(vectors_ND)
    return Instances(
        vectors_ND=vectors_ND, boxes_N4=np.zeros((count, 4), np.float32), scores_N=np.ones(count, np.float32)
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
