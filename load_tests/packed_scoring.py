"""Time to attend to K stored token maps as they are packed, for every codec and with a projection.

    python load_tests/packed_scoring.py [--maps 32] [--tokens 400] [--width 128] [--queries 1] [--repeats 200]

One repeat makes the batch from opened blobs, takes the similarities of the queries with all tokens, the softmax over
each map and the weighted sums: p50 and p99 are what a rerank with a warm cache pays. Opening a blob (checksum and
checks) is what a cold one pays besides, for each map. The projected rows store `--width` of 8 x `--width`
components. Exits with 1 when int8 misses `thresholds.toml` at the sizes it is stated for.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from glyphseek.models.cayn.packed import TokenBatch
from glyphseek.tokens import CodecName, PackedTokens, TokenCodebook, open_tokens, pack
from glyphseek.tokens.fitting import FitSettings, fit_codebook
from glyphseek.types import FloatArray, ImageFeatures, TokenMap

FINGERPRINT = "c0" * 16
LOGIT_SCALE = 100.0
SAMPLE = 8192
PROJECTION = 8
WARM_UP = 10


def main() -> int:
    """Print the table; return the exit status."""
    options = _parse_options()
    threshold_ms = tomllib.loads((Path(__file__).parent / "thresholds.toml").read_text())["packed_scoring"]["p50_ms"]
    print(
        f"{options.maps} maps of {options.tokens} x {options.width}, {options.queries} queries, {options.repeats} times"
    )
    print(f"{torch.get_num_threads()} threads, load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'codec':<12}{'stored':>12}{'bytes/map':>12}{'p50':>8}{'p99':>8}{'open 1':>8}  ms")
    p50s: dict[tuple[CodecName, bool], float] = {}
    for is_projected in (False, True):
        width = options.width * PROJECTION if is_projected else options.width
        codebook = _fit(width, options.width if is_projected else None)
        for codec in CodecName:
            p50s[codec, is_projected] = _measure(codec, codebook, width, options)
    is_missed = p50s[CodecName.INT8, False] > threshold_ms
    print(f"int8 {'misses' if is_missed else 'is within'} {threshold_ms} ms")
    return 1 if is_missed else 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=int, default=32, help="maps scored in one batch")
    parser.add_argument("--tokens", type=int, default=400, help="tokens of a map")
    parser.add_argument("--width", type=int, default=128, help="stored width of a token")
    parser.add_argument("--queries", type=int, default=1, help="query vectors scored at once")
    parser.add_argument("--repeats", type=int, default=200, help="timed repeats for each codec")
    return parser.parse_args()


def _fit(width: int, stored_width: int | None) -> TokenCodebook:
    return fit_codebook(_tokens(SAMPLE, width, seed=1), FitSettings(stored_width=stored_width, centroids=256, rounds=2))


def _tokens(count: int, width: int, *, seed: int) -> FloatArray:
    tokens = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return tokens / np.linalg.norm(tokens, axis=1, keepdims=True)


def _measure(codec: CodecName, codebook: TokenCodebook, width: int, options: argparse.Namespace) -> float:
    blobs = [_write(codec, codebook, _tokens(options.tokens, width, seed=k)) for k in range(options.maps)]
    maps = [open_tokens(blob, fingerprint=FINGERPRINT, codebook=codebook) for blob in blobs]
    queries = torch.from_numpy(_tokens(options.queries, width, seed=99))
    scoring_ms = _time(lambda: _attend(maps, queries), options.repeats)
    opening_ms = _time(lambda: open_tokens(blobs[0], fingerprint=FINGERPRINT, codebook=codebook), options.repeats)
    p50, p99 = np.percentile(scoring_ms, [50, 99])
    stored = f"{width}->{codebook.stored_width}"
    print(f"{codec:<12}{stored:>12}{len(blobs[0]):>12,}{p50:8.2f}{p99:8.2f}{np.median(opening_ms):8.3f}")
    return float(p50)


def _write(codec: CodecName, codebook: TokenCodebook, tokens_NE: FloatArray) -> bytes:
    token_map = TokenMap(
        tokens_HWE=tokens_NE[None], text_likelihood_HW=np.full((1, len(tokens_NE)), 0.5, dtype=np.float32)
    )
    return pack(ImageFeatures(token_map=token_map), codec=codec, fingerprint=FINGERPRINT, codebook=codebook)


@torch.inference_mode()
def _attend(maps: list[PackedTokens], queries_QE: torch.Tensor) -> torch.Tensor:
    batch = TokenBatch(maps)
    return batch.weighted_sums(batch.softmax(LOGIT_SCALE * batch.dots(queries_QE)))


def _time(work: Callable[[], object], repeats: int) -> list[float]:
    for _ in range(WARM_UP):
        work()
    taken: list[float] = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    return taken


if __name__ == "__main__":
    sys.exit(main())
