"""A small run of the benchmark of recall: its parts on vectors whose answers are known, and the whole of it once."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli.command_line import write_model
from recall import CUTS, Exhaustive, main
from recall_growing import CHUNK_IMAGES, Chunk, Question, grow_gallery
from recall_indexes import RowFile, measure_indexes
from tokens.makers import random_units

from glyphseek.errors import InputError
from glyphseek.types import FloatArray

WIDTH = 16


def chunk_of(counts: list[int], *, seed: int, source: str = "set") -> Chunk:
    vectors_RD = random_units(np.random.default_rng(seed), sum(counts), WIDTH)
    return Chunk(source=source, vectors_RD=vectors_RD, counts_N=np.array(counts))


def questions_of(vectors_QD: FloatArray, relevant: list[tuple[int, ...]]) -> list[Question]:
    return [Question(text=f"q{k}", vector_D=vectors_QD[k], relevant=places) for k, places in enumerate(relevant)]


def test_a_gallery_grows_by_what_is_given_and_then_by_resampled_photos_up_to_each_size() -> None:
    first, other = chunk_of([2, 0, 3, 1], seed=1), chunk_of([1, 1], seed=2, source="rendered")
    asked = questions_of(random_units(np.random.default_rng(3), 1, WIDTH), [(0,)])

    chunks = list(grow_gallery(first, asked, [other], [10, 10 + CHUNK_IMAGES + 7]))

    assert [(chunk.source, len(chunk.counts_N)) for chunk in chunks] == [
        ("set", 4),
        ("rendered", 2),
        ("resampled", 4),
        ("resampled", CHUNK_IMAGES),
        ("resampled", 7),
    ]
    for chunk in chunks:
        assert len(chunk.vectors_RD) == chunk.counts_N.sum()
        np.testing.assert_allclose(np.linalg.norm(chunk.vectors_RD, axis=1), 1, atol=1e-5)


def test_a_gallery_whose_every_photo_answers_cannot_grow() -> None:
    first = chunk_of([1, 1], seed=1)
    asked = questions_of(random_units(np.random.default_rng(3), 1, WIDTH), [(0, 1)])
    with pytest.raises(InputError, match="none to resample"):
        list(grow_gallery(first, asked, [], [10]))


def test_exhaustive_recall_over_chunks_is_that_of_all_scores_at_once() -> None:
    parts = [chunk_of([1] * 40, seed=1), chunk_of([2] * 30, seed=2), chunk_of([3] * 50, seed=3)]
    relevant: list[tuple[int, ...]] = [(0,), (3, 17, 39), (5, 6)]
    vectors_QD = random_units(np.random.default_rng(4), 3, WIDTH)
    exhaustive = Exhaustive(questions_of(vectors_QD, relevant))

    for part in parts:
        exhaustive.add(part)

    photos = [one for part in parts for one in np.split(part.vectors_RD, np.cumsum(part.counts_N)[:-1])]
    scores_QN = np.array([[(one @ query).max() for one in photos] for query in vectors_QD])
    order_QN = np.argsort(-scores_QN, axis=1)
    assert exhaustive.images == 120
    np.testing.assert_array_equal(exhaustive.best_QB, order_QN)
    for cut, found in exhaustive.recall().items():
        shares = [
            len({*order[:cut]} & {*places}) / len(places) for order, places in zip(order_QN, relevant, strict=True)
        ]
        assert found == pytest.approx(np.mean(shares))


def test_an_exact_index_finds_what_exhaustive_search_does_and_the_others_most_of_it(tmp_path: Path) -> None:
    part = chunk_of([1] * 2000, seed=5)
    vectors_QD = random_units(np.random.default_rng(6), 5, WIDTH)
    rows = RowFile(tmp_path / "rows.f32", width=WIDTH, limit=2000)
    rows.add(part.vectors_RD, part.counts_N)

    answers = {one.index.rstrip("0123456789"): one for one in measure_indexes(rows, vectors_QD, limit=50)}

    best_QB = np.argsort(-(vectors_QD @ part.vectors_RD.T), axis=1)[:, :50]
    assert list(answers) == ["int8 scan, exact", "IVF44,Flat", "IVF44,SQ", "HNSW32,Flat"]
    assert [set(found) for found in answers["int8 scan, exact"].images] == [set(best) for best in best_QB.tolist()]
    for one in answers.values():
        shares = [len({*found} & {*best}) / 50 for found, best in zip(one.images, best_QB.tolist(), strict=True)]
        assert np.mean(shares) > 0.8, one.index
        assert one.megabytes > 0


def test_past_its_limit_a_row_file_says_that_it_is_not_whole_and_no_index_is_built(tmp_path: Path) -> None:
    part = chunk_of([1] * 20, seed=5)
    rows = RowFile(tmp_path / "rows.f32", width=WIDTH, limit=30)
    rows.add(part.vectors_RD, part.counts_N)
    assert rows.is_whole
    rows.add(part.vectors_RD, part.counts_N)
    assert not rows.is_whole
    assert rows.seen == 40
    assert list(measure_indexes(rows, part.vectors_RD[:1], limit=5)) == []


def test_the_whole_run_writes_a_report_and_a_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set" / "images").mkdir(parents=True)
    lines: list[str] = []
    for place, word in enumerate(["coffee", "open", "", "taxi", "", ""]):
        pixels = np.full((96, 128, 3), 40 + 30 * place, np.uint8)
        cv2.putText(pixels, word, (8, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2)
        cv2.imwrite(str(tmp_path / "set" / "images" / f"{place}.png"), pixels)
        lines.append(json.dumps({"image": f"images/{place}.png", "words": [word] if word else []}))
    (tmp_path / "set" / "gallery.jsonl").write_text("\n".join(lines) + "\n")
    words = ["recall.py", tmp_path / "set", "--model", write_model(tmp_path / "model"), "--sizes", "6", "60"]
    words += ["--cache", tmp_path / "cache", "--out", tmp_path / "recall.json", "--plot", tmp_path / "recall.png"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])

    assert main() == 0

    report = json.loads((tmp_path / "recall.json").read_text())
    assert [(one["images"], one["sources"]) for one in report["sizes"]] == [
        (6, {"set": 6}),
        (60, {"set": 6, "resampled": 54}),
    ]
    for one in report["sizes"]:
        assert one["exhaustive_recall"].keys() == {str(cut) for cut in CUTS}
        assert one["exhaustive_recall"]["100"] == 1.0
        assert {found["index"] for found in one["indexes"]} >= {"int8 scan, exact", "HNSW32,Flat"}
    assert cv2.imread(str(tmp_path / "recall.png")) is not None
