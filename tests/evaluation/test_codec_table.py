from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from fakes.token_gallery import FINGERPRINT, WIDTH, GridModel, write_map
from fakes.word_gallery import word_vector

from glyphseek.errors import InputError
from glyphseek.evaluation import Benchmark, BenchmarkImage, QueryList
from glyphseek.evaluation.codec_packing import CodecChoice
from glyphseek.evaluation.codec_sample import sample_tokens
from glyphseek.evaluation.codec_table import COLUMNS, CodecBench, CodecTable, format_row, markdown_table
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.ports import FeatureStore, blob_key
from glyphseek.tokens import CodecName, pack
from glyphseek.tokens.fitting import FitSettings, fit_codebook
from glyphseek.types import TokenMap

LINES = ["tea", "milk", "tea milk", "", "bread", "bread milk", "taxi", "tea taxi"]
IDS = [f"i{number}" for number in range(len(LINES))]
QUERIES = {
    word: frozenset(f"n{i}" for i, line in enumerate(LINES) if word in line.split())
    for word in ("tea", "milk", "bread", "taxi")
}
BENCHMARK = Benchmark(
    name="grids",
    images=tuple(BenchmarkImage(name=f"n{i}", path=Path(f"n{i}.png")) for i in range(len(LINES))),
    query_lists=(QueryList(name="all", relevant=QUERIES),),
)


def exact_blobs() -> MemoryFeatureStore:
    """Return a store of exact blobs: text likelihood 0.9 where a word is and 0.2 elsewhere, one vector for all images.

    Recall tells nothing apart, so that all there is to find is found by the rerank.
    """
    store = MemoryFeatureStore()
    for image_id, line in zip(IDS, LINES, strict=True):
        words = {word: [(2, 2 * place)] for place, word in enumerate(line.split())}
        features = write_map(words)
        assert features.token_map is not None
        likelihood_HW = np.full((6, 8), 0.2, dtype=np.float32)
        for ((row, column),) in words.values():
            likelihood_HW[row, column] = 0.9
        token_map = TokenMap(tokens_HWE=features.token_map.tokens_HWE, text_likelihood_HW=likelihood_HW)
        features = type(features)(global_vector_D=word_vector("a photo"), token_map=token_map)
        store.put(blob_key(FINGERPRINT, image_id), pack(features, codec=CodecName.FP32, fingerprint=FINGERPRINT))
    return store


def measure(choices: list[CodecChoice], image_ids: Sequence[str | None] = IDS) -> CodecTable:
    ticks = count()
    bench = CodecBench(
        model=GridModel(),
        benchmark=BENCHMARK,
        queries=BENCHMARK.query_lists[0],
        image_ids=image_ids,
        exact=exact_blobs(),
        scratch=MemoryFeatureStore,
        depth=8,
        clock=lambda: 0.5 * next(ticks),
    )
    return bench.measure(choices, show=lambda done, total, doing: None)


def test_exact_features_come_first_and_lose_nothing() -> None:
    table = measure([])
    (row,) = table.rows
    assert (row.codec, row.lost_map, row.kept_percent) == ("fp32", 0.0, 100.0)
    assert row.map_percent == 100.0
    assert (table.images, table.queries, table.depth, table.query_list) == (8, 4, 8, "all")


def test_bytes_are_those_of_whole_blobs() -> None:
    table = measure([CodecChoice(codec=codec) for codec in (CodecName.FP16, CodecName.INT8)])
    cells = 6 * 8
    assert [row.bytes_per_image for row in table.rows] == [
        80 + cells * (4 * WIDTH + 1) + 4 * WIDTH,
        80 + cells * (2 * WIDTH + 1) + 2 * WIDTH,
        80 + cells * (WIDTH + 4 + 1) + WIDTH + 4,
    ]


def test_speeds_follow_the_clock() -> None:
    row = measure([]).rows[0]
    # Every measured step takes one tick of half a second.
    assert row.encode_images_per_s == row.decode_images_per_s == 2.0
    assert row.encode_mb_per_s == pytest.approx(2 * 48 * WIDTH * 4 / 1e6)
    assert row.score_ms == 500.0


def test_a_projection_and_its_residual_codes_are_read_with_their_own_codebook() -> None:
    tokens = sample_tokens(exact_blobs(), IDS, fingerprint=FINGERPRINT, count=1000)
    codebook = fit_codebook(tokens, FitSettings(stored_width=40, centroids=16, rounds=3))
    table = measure([CodecChoice(codec=codec, codebook=codebook) for codec in CodecName])
    assert [row.stored_width for row in table.rows] == [WIDTH] + len(CodecName) * [40]
    assert [row.codec for row in table.rows[1:]] == list(CodecName)
    sizes = [row.bytes_per_image for row in table.rows[1:]]
    assert sizes == sorted(sizes, reverse=True)


def test_a_codec_that_forgets_the_tokens_loses_all_that_the_rerank_gave() -> None:
    blank = fit_codebook(np.zeros((4, WIDTH), np.float32), FitSettings(centroids=1, rounds=1))
    table = measure([CodecChoice(codec=CodecName.RESIDUAL2, codebook=blank)])
    exact, forgetful = table.rows
    assert forgetful.map_percent == table.recall_map_percent < 50
    assert forgetful.lost_map == exact.map_percent - forgetful.map_percent


def test_a_mask_says_how_many_tokens_it_keeps() -> None:
    row = measure([CodecChoice(codec=CodecName.INT8, keep_likelihood=0.5)]).rows[1]
    words = sum(max(1, len(line.split())) for line in LINES)  # the likeliest token stays in an image without words
    assert row.kept_percent == pytest.approx(100 * words / (len(LINES) * 48))
    assert row.map_percent == 100.0


def test_an_image_that_could_not_be_read_is_ranked_last_and_not_packed() -> None:
    table = measure([], [None, *IDS[1:]])
    assert table.images == 8
    assert table.rows[0].map_percent < 100


def test_a_gallery_without_one_readable_image_is_refused() -> None:
    with pytest.raises(InputError, match="no image of grids"):
        measure([], [None] * len(LINES))


def test_an_exact_blob_that_is_missing_is_named() -> None:
    with pytest.raises(InputError, match=f"{FINGERPRINT}/el/elsewhere"):
        measure([], ["elsewhere", *IDS[1:]])


def test_the_markdown_has_a_line_for_each_row_and_says_what_was_measured() -> None:
    table = measure([CodecChoice(codec=CodecName.INT8, keep_likelihood=0.5)])
    lines = markdown_table(table).splitlines()
    assert "grids on grids, 8 images, 4 queries (all), 8 reranked" in lines[0]
    assert len(lines) == 4 + len(table.rows)
    assert {line.count("|") for line in lines[2:]} == {len(COLUMNS) + 1}
    assert format_row(table.rows[1])[:3] == ["int8", "256", "0.5"]


def test_the_sample_is_even_and_the_same_every_time() -> None:
    store: FeatureStore = exact_blobs()
    first, second = (sample_tokens(store, IDS, fingerprint=FINGERPRINT, count=80) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (80, WIDTH)
    assert sample_tokens(store, IDS, fingerprint=FINGERPRINT, count=10**6).shape == (8 * 48, WIDTH)


def test_a_sample_of_no_maps_is_refused() -> None:
    with pytest.raises(InputError, match="none of 1 images"):
        sample_tokens(MemoryFeatureStore(), ["a"], fingerprint=FINGERPRINT, count=10)
