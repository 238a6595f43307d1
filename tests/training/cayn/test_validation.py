"""What a rerank does to rankings, held against loops, and how the validation asks a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from models.cayn.toy import toy_network
from training.cayn.folders import many_photos, write_gallery

from glyphseek.evaluation.metrics import average_precision, rank_hits
from glyphseek.models.cayn.settings import TINY_DENSE
from glyphseek.training.cayn.building import build_adapter_stage
from glyphseek.training.cayn.stage import AdapterStageSettings
from glyphseek.training.cayn.validation import Asked, match_all
from glyphseek.types import Fusion

RANDOM = np.random.default_rng(3)
ASKED = Asked(
    cosines_QN=RANDOM.uniform(-1, 1, (5, 12)).astype(np.float32),
    probabilities_QN=RANDOM.uniform(0, 1, (5, 12)).astype(np.float32),
    relevant_QN=RANDOM.uniform(size=(5, 12)) < 0.4,
)


@pytest.mark.parametrize("fusion", list(Fusion))
@pytest.mark.parametrize("depth", [0, 1, 4, 12, 50])
def test_the_first_of_recall_are_put_in_the_order_of_their_fused_scores(depth: int, fusion: Fusion) -> None:
    precisions: list[float] = []
    for cosines, chances, relevant in zip(*(ASKED.cosines_QN, ASKED.probabilities_QN, ASKED.relevant_QN), strict=True):
        recalled = sorted(range(12), key=lambda n, cosines=cosines: -cosines[n])
        fused = [chances[n] + (cosines[n] if fusion is Fusion.SUM else 0) for n in range(12)]
        first = sorted(recalled[:depth], key=lambda n, fused=fused: -fused[n])
        order = [*first, *recalled[depth:]]
        scores = np.empty(12, np.float32)
        scores[order] = np.arange(12, 0, -1)
        precisions.append(average_precision(rank_hits(relevant, scores)))

    assert ASKED.map_percent(depth, fusion) == pytest.approx(100 * np.mean(precisions), abs=1e-4)


@pytest.mark.parametrize("head", ["product", "none"])
def test_every_pair_is_matched_as_if_it_were_alone(tmp_path: Path, head: str) -> None:
    torch.manual_seed(1)
    network = toy_network(TINY_DENSE if head == "product" else replace(TINY_DENSE, head="none"))
    gallery = write_gallery(tmp_path / "gallery", many_photos(20))
    trainee, _, validation = build_adapter_stage(network, [gallery], tmp_path / "tokens", AdapterStageSettings())

    asked = validation.ask(trainee)

    assert asked is not None
    assert asked.cosines_QN.shape == asked.probabilities_QN.shape == asked.relevant_QN.shape
    assert ((asked.probabilities_QN > 0) & (asked.probabilities_QN < 1)).all()
    assert ("rerank_map" in validation(trainee)) == (head == "product")
    images = validation._encode(network)  # pyright: ignore[reportPrivateUsage]
    with torch.no_grad():
        words = ["open", "cafe"]
        texts = network.encode_texts(words)
        whole = match_all(network, texts, images)
        for query in range(len(words)):
            one = torch.tensor([query])
            for photo in range(3):
                pair = match_all(network, texts.take(one), images.take(torch.tensor([photo])))
                assert float(pair) == pytest.approx(float(whole[query, photo]), abs=1e-5)
