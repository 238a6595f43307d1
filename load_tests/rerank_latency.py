"""Latency of a rerank: K stored token maps from a local folder to match probabilities, warm and cold.

    python load_tests/rerank_latency.py [--images 32] [--rows 20] [--columns 20] [--width 128] [--repeats 300]

The model is a CAYN with random weights (they cost the same) whose maps are int8. Warm: all maps are in the reranker's
cache, and a repeat is a whole request. Cold: that cache is empty. A cold request is timed beside a plain read of the
same files, in turn: once with the files dropped from the page cache before either, which is the figure held to the
threshold, and once with the files in it, where a plain read is a copy of memory and the checksums alone take as long.
Torch has one thread, as in `glyphseek search`. Exits with 1 when a figure misses `thresholds.toml`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.models.cayn.building import build_network
from glyphseek.models.cayn.dense.settings import SMALL
from glyphseek.models.cayn.encoder import CaynEncoder, make_card
from glyphseek.models.cayn.settings import DENSE
from glyphseek.ports import blob_key
from glyphseek.queries import Term
from glyphseek.reranking import Reranker, RerankerSettings
from glyphseek.tokens import CodecName, pack
from glyphseek.types import Calibration, FloatArray, ImageFeatures, TermFeatures, TokenMap

FINGERPRINT = "ab" * 16
WARM_UP = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The model, and the images whose maps lie in a folder."""

    model: CaynEncoder
    features: DirectoryFeatureStore
    image_ids: list[str]
    paths: list[Path]


def main() -> int:
    """Print the figures; return the exit status."""
    options = _parse_options()
    torch.set_num_threads(1)
    thresholds = tomllib.loads((Path(__file__).parent / "thresholds.toml").read_text())["rerank_latency"]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        stored = _store(Path(folder), options)
        size = np.mean([path.stat().st_size for path in stored.paths])
        print(
            f"{options.images} maps of {options.rows * options.columns} x {options.width} int8, {size:.0f} bytes each"
        )
        print(f"{torch.get_num_threads()} threads, load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print(f"{'':<38}{'p50':>8}{'p90':>8}{'p99':>8}  ms")
        warm_ms = _measure_warm(stored, options.repeats)
        share = _measure_cold(stored, options.repeats, from_disk=True)
        _measure_cold(stored, options.repeats, from_disk=False)
    figures = {"warm_p50_ms": warm_ms, "cold_share": share}
    missed = [name for name, value in figures.items() if value > thresholds[name]]
    print(f"missed: {', '.join(missed)}" if missed else f"all within {thresholds}")
    return 1 if missed else 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=32, help="images of one request (K)")
    parser.add_argument("--rows", type=int, default=20, help="rows of a token map")
    parser.add_argument("--columns", type=int, default=20, help="columns of a token map")
    parser.add_argument("--width", type=int, default=128, help="width of a token")
    parser.add_argument("--repeats", type=int, default=300, help="timed requests of each kind")
    parser.add_argument("--folder", type=Path, default=None, help="where the blobs are written and removed again")
    return parser.parse_args()


def _store(folder: Path, options: argparse.Namespace) -> Stored:
    features = DirectoryFeatureStore(folder)
    image_ids = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(options.images)]
    shape = (options.rows, options.columns, options.width)
    for image_id in image_ids:
        random = np.random.default_rng(int(image_id, 16))
        found = ImageFeatures(
            global_vector_D=_unit(random.standard_normal(options.width)),
            token_map=TokenMap(
                tokens_HWE=_unit(random.standard_normal(shape)),
                text_likelihood_HW=random.random(shape[:2]).astype(np.float32),
            ),
        )
        blob = pack(found, codec=CodecName.INT8, fingerprint=FINGERPRINT)
        features.put(blob_key(FINGERPRINT, image_id), blob)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return Stored(model=_make_model(options.width), features=features, image_ids=image_ids, paths=paths)


def _make_model(width: int) -> CaynEncoder:
    torch.manual_seed(1)
    network = build_network(replace(DENSE, dense=replace(SMALL, joint_width=width)))
    card = make_card(network, "random", FINGERPRINT, calibration=Calibration(slope=10.0, offset=-5.0, threshold=0.5))
    return CaynEncoder(network, card)


def _measure_warm(stored: Stored, repeats: int) -> float:
    """Return the median of a whole request for one word, in milliseconds."""
    one, three = stored.model.encode_terms([Term(text="coffee")]), _encode(stored.model, "coffee", "open", "bakery")
    with _open(stored) as reranker:

        def measure(name: str, terms: Sequence[TermFeatures], *, with_attention: bool) -> float:
            return _show(
                name,
                _time(lambda: reranker.rerank(terms, stored.image_ids, with_attention=with_attention), repeats),
            )

        median = measure("warm", one, with_attention=False)
        measure("warm, with attention maps", one, with_attention=True)
        measure("warm, three words with maps", three, with_attention=True)
    return median


def _measure_cold(stored: Stored, repeats: int, *, from_disk: bool) -> float:
    """Return the median of a whole request for one word as a multiple of a plain read of the same files.

    Every repeat has a reranker of its own, and all are kept to the end, as a service keeps what it has fetched: to free
    their maps between repeats would give memory back to the system that the next repeat then has to fault in.
    """
    terms = _encode(stored.model, "coffee")
    plain_ms: list[float] = []
    open_ms: list[float] = []
    whole_ms: list[float] = []
    with ExitStack() as kept:
        for _ in range(repeats + WARM_UP):
            _settle(stored.paths, from_disk=from_disk)
            plain_ms.append(_clock(lambda: [path.read_bytes() for path in stored.paths]))
            reranker = kept.enter_context(_open(stored))
            _settle(stored.paths, from_disk=from_disk)
            started = time.perf_counter()
            open_ms.append(reranker.rerank(terms, stored.image_ids).fetch_ms)
            whole_ms.append(1000 * (time.perf_counter() - started))
    place = "disk" if from_disk else "page cache"
    plain = _show(f"plain read, {place}", plain_ms[WARM_UP:])
    opened = _show(f"cold, {place}, until all are open", open_ms[WARM_UP:])
    whole = _show(f"cold, {place}, whole request", whole_ms[WARM_UP:])
    print(f"{place}: {opened / plain:.2f} of a plain read until open, {whole / plain:.2f} for the whole request")
    return whole / plain


def _open(stored: Stored) -> Reranker:
    return Reranker(stored.model, stored.features, fingerprint=FINGERPRINT, settings=RerankerSettings())


def _encode(model: CaynEncoder, *words: str) -> list[TermFeatures]:
    return model.encode_terms([Term(text=word) for word in words])


def _settle(paths: Sequence[Path], *, from_disk: bool) -> None:
    """Bring the files into the page cache, or drop them from it."""
    for path in paths:
        with path.open("rb") as file:
            if from_disk:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            else:
                file.read()


def _time(work: Callable[[], object], repeats: int) -> list[float]:
    return [_clock(work) for _ in range(repeats + WARM_UP)][WARM_UP:]


def _clock(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def _show(name: str, figures_ms: Sequence[float]) -> float:
    p50, p90, p99 = np.percentile(figures_ms, [50, 90, 99])
    print(f"{name:<38}{p50:8.2f}{p90:8.2f}{p99:8.2f}")
    return float(p50)


def _unit(vectors: np.ndarray) -> FloatArray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
