"""Build a large collection on a Milvus server and an S3 store: photos, and as many moved copies as are wanted.

    python load_tests/build_gallery.py PHOTOS --collection NAME --images 100000 [--config FILE] [--model ID]
                                       [--codec int8] [--keep-likelihood 0] [--seed 0] [--cache FOLDER]
                                       [--report build_gallery.json]

PHOTOS is a gallery with ground truth, such as `glyphseek render` makes. It is encoded and joins the collection; the
other images are its features, moved (see resampling.py): rows and blobs of real size, without a photo. Ids come from
seed and number, so the command may be interrupted and run again, and several seeds fill one collection. The report has
queries with the ids of the photos that answer them, which locustfile.py asks for.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from resampling import resample

from glyphseek.cli.console import show_progress
from glyphseek.cli.measuring import encode_gallery
from glyphseek.config import load_config
from glyphseek.datasets.benchmarks import load_benchmark
from glyphseek.deployment import open_features, open_vectors
from glyphseek.evaluation import Benchmark
from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.images import decode_image
from glyphseek.indexing import EncodingSettings, vectors_of
from glyphseek.models.loading import open_model
from glyphseek.ports import FeatureStore, Model, VectorStore, blob_key, codebook_of
from glyphseek.tokens import CodecName, pack, unpack, unpack_vectors
from glyphseek.types import ImageFeatures, ImageRecord

T = TypeVar("T")
Photo = tuple[ImageRecord, ImageFeatures]

_BATCH_IMAGES = 250
_WRITERS = 16


def main() -> int:
    """Write what is missing of the collection, and the report."""
    options = _parse_options()
    config = load_config(options.config)
    model = open_model(options.model or config.models[0])
    benchmark = load_benchmark(options.photos)
    photos = _encode(benchmark, model, options.cache)
    vectors = open_vectors(config, gallery=options.collection, card=model.card)
    features = open_features(config)
    settings = EncodingSettings(codec=CodecName(options.codec), keep_likelihood=options.keep_likelihood)
    started = time.monotonic()
    made = resample(photos, options.images - len(photos), seed=options.seed)
    with show_progress("build", quiet=False) as show, ThreadPoolExecutor(_WRITERS) as writers:
        done = written = size = 0
        for batch in _chunks(_chain(photos, made), _BATCH_IMAGES):
            added, added_bytes = _write(batch, model, settings, vectors, features, writers)
            done, written, size = done + len(batch), written + added, size + added_bytes
            show(done, options.images, "building")
    seconds = time.monotonic() - started
    report = {
        "collection": options.collection,
        "model": model.card.name,
        "images": done,
        "photos": len(photos),
        "written": written,
        "blob_bytes": size,
        "seconds": round(seconds, 1),
        "images_per_second": round(written / seconds, 1),
        "queries": _queries(benchmark, photos),
    }
    options.report.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(f"{written} of {done} images written in {seconds:.0f} s; report: {options.report}")
    vectors.close()
    return 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a gallery with ground truth")
    parser.add_argument("--collection", required=True, help="name of the collection; it is made if it is not there")
    parser.add_argument("--images", type=int, required=True, help="images that it has in the end")
    parser.add_argument("--config", type=Path, default=None, help="configuration of the stores; else the environment")
    parser.add_argument("--model", default=None, help="model id or folder; the configuration's first unless given")
    parser.add_argument("--codec", default=CodecName.INT8.value, choices=[one.value for one in CodecName])
    parser.add_argument("--keep-likelihood", type=float, default=0.0, help="tokens less likely text are not stored")
    parser.add_argument("--seed", type=int, default=0, help="of the moved copies")
    parser.add_argument("--cache", type=Path, default=Path("build-cache"), help="folder to keep features in")
    parser.add_argument("--report", type=Path, default=Path("build_gallery.json"))
    return parser.parse_args()


def _encode(benchmark: Benchmark, model: Model, cache: Path) -> list[Photo]:
    """Return the photos with their features, encoded once and kept in the cache."""
    blobs = DirectoryFeatureStore(cache / "features")
    with show_progress("encode", quiet=False) as show:
        image_ids = encode_gallery(benchmark, model, blobs, show).image_ids
    fingerprint, codebook = model.card.fingerprint, codebook_of(model)
    photos: list[Photo] = []
    for image, image_id in zip(benchmark.images, image_ids, strict=True):
        blob = None if image_id is None else blobs.get([blob_key(fingerprint, image_id)])[0]
        if blob is not None:
            features = unpack(blob, fingerprint=fingerprint, codebook=codebook)
            photos.append((_make_record(image.path, features), features))
    return photos


def _make_record(path: Path, features: ImageFeatures) -> ImageRecord:
    data = path.read_bytes()
    photo, digits = decode_image(data), hashlib.sha256(data).hexdigest()
    return ImageRecord(
        image_id=digits[:32],
        content_hash=digits,
        names=(path.name,),
        width=photo.width,
        height=photo.height,
        instance_count=0 if features.instances is None else len(features.instances),
    )


def _write(
    batch: Sequence[Photo],
    model: Model,
    settings: EncodingSettings,
    vectors: VectorStore,
    features: FeatureStore,
    writers: ThreadPoolExecutor,
) -> tuple[int, int]:
    """Write what the collection lacks, blobs first and rows last; return how many images and bytes of blobs."""
    known = vectors.get([record.image_id for record, _ in batch])
    new = [photo for photo in batch if photo[0].image_id not in known]
    fingerprint = model.card.fingerprint

    def write_blob(photo: Photo) -> bytes:
        blob = pack(
            photo[1],
            codec=settings.codec,
            fingerprint=fingerprint,
            codebook=codebook_of(model),
            keep_likelihood=settings.keep_likelihood,
        )
        features.put(blob_key(fingerprint, photo[0].image_id), blob)
        return blob

    blobs = list(writers.map(write_blob, new))
    stored = [vectors_of(unpack_vectors(blob, fingerprint=fingerprint)) for blob in blobs]
    vectors.put([record for record, _ in new], stored)
    return len(new), sum(map(len, blobs))


def _queries(benchmark: Benchmark, photos: Sequence[Photo]) -> dict[str, list[str]]:
    """Return the queries of the fullest list with the ids that answer them."""
    ids = {name: record.image_id for record, _ in photos for name in record.names}
    named = {image.name: ids[image.path.name] for image in benchmark.images if image.path.name in ids}
    relevant = benchmark.query_lists[0].relevant
    return {query: sorted(named[name] for name in names if name in named) for query, names in relevant.items()}


def _chain(first: Sequence[T], rest: Iterator[T]) -> Iterator[T]:
    yield from first
    yield from rest


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


if __name__ == "__main__":
    raise SystemExit(main())
