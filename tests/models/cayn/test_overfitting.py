"""The whole method on scenes that it may learn by heart: from pixels through packed maps to the reranked order."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from glyphseek.datasets.scenes.fonts import FontBook
from glyphseek.datasets.scenes.scenes import Scene, SceneRenderer
from glyphseek.datasets.scenes.words import WordSettings, WordSource
from glyphseek.evaluation.metrics import BoolArray, average_precision, rank_hits
from glyphseek.models.cayn.building import build_network
from glyphseek.models.cayn.encoder import CaynEncoder, make_card
from glyphseek.models.cayn.letterbox import letterbox
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.cayn.objective import training_terms
from glyphseek.models.cayn.settings import TINY_DENSE, LossSettings
from glyphseek.queries import Term, normalize
from glyphseek.tokens import CodecName, open_tokens, pack
from glyphseek.types import Calibration, FloatArray

SCENES, STEPS, RATE = 32, 300, 4e-3
FINGERPRINT = "0" * 32


def words_of(scene: Scene) -> set[str]:
    """Return the words that the tiny model can be asked for."""
    words = {normalize(item.text) for item in scene.items}
    return {word for word in words if 3 <= len(word) <= 16 and set(word) <= set(TINY_DENSE.alphabet)}


def render_scenes() -> list[Scene]:
    """Return the first scenes that show at least one such word."""
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    renderer = SceneRenderer(
        fonts=FontBook.discover([Path(spec.origin).parent]),
        words=WordSource.build(WordSettings(languages=(("en", 1.0),), vocabulary=3000)),
    )
    rng = np.random.default_rng(0)
    scenes: list[Scene] = []
    while len(scenes) < SCENES:
        scene = renderer.render(rng, 128, 96)
        if words_of(scene):
            scenes.append(scene)
    return scenes


def learn(scenes: Sequence[Scene]) -> Cayn:
    """Return the tiny network after all of it was trained on all scenes at every step."""
    torch.manual_seed(0)
    network = build_network(TINY_DENSE)
    network.backbone.requires_grad_(True)
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    pixels, is_padding = letterbox([scene.image for scene in scenes], multiple=32)
    present = [words_of(scene) for scene in scenes]
    rng, generator = np.random.default_rng(1), torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        words = [sorted(some)[rng.integers(len(some))] for some in present]
        terms = training_terms(
            network,
            network.encode_texts(words),
            network.encode_images(pixels, is_padding),
            words,
            present,
            LossSettings(),
            generator,
        )
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
    return network


def mean_average_precision(scores_QN: FloatArray, relevant_QN: BoolArray) -> float:
    rankings = [rank_hits(relevant, scores) for relevant, scores in zip(relevant_QN, scores_QN, strict=True)]
    return 100 * float(np.mean([average_precision(ranking) for ranking in rankings]))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute with one thread: a step is a few small convolutions, to which threads cost more than they give."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("one_thread")
def test_thirty_two_scenes_are_learnt_by_heart() -> None:
    scenes = render_scenes()
    network = learn(scenes)
    calibration = Calibration(slope=1.0, offset=0.0, threshold=0.5)
    encoder = CaynEncoder(network, make_card(network, "overfitted", FINGERPRINT, calibration=calibration))
    asked = sorted(set[str]().union(*map(words_of, scenes)))
    is_relevant = np.array([[word in words_of(scene) for scene in scenes] for word in asked])

    blobs = [
        pack(features, codec=CodecName.INT8, fingerprint=FINGERPRINT)
        for features in encoder.encode_images([scene.image for scene in scenes])
    ]
    maps = [open_tokens(blob, fingerprint=FINGERPRINT) for blob in blobs]
    terms = encoder.encode_terms([Term(text=word) for word in asked])
    vectors = np.stack([one.global_vector_D for one in maps if one.global_vector_D is not None])
    cosines = np.stack([term.vectors_VD[0] for term in terms]) @ vectors.T
    matches = encoder.score_maps(terms, maps, with_attention=False).probabilities_TK

    assert len(asked) > 40
    assert mean_average_precision(cosines, is_relevant) > 95
    assert mean_average_precision(cosines + matches, is_relevant) > 95
