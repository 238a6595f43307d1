from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.word_gallery import CARD, LETTERS_CARD, WordModel, write_features, write_letters

from glyphseek.errors import SettingError
from glyphseek.evaluation import GallerySpeller, encode_words
from glyphseek.types import FloatArray, Instances, ModelCard

LINES = ["tea", "milk", "tea milk", "", "bread"]
QUERIES = ["tea", "milk", "tea milk", "unknown"]


def images_of(lines: list[str], spelt: list[str] | None = None) -> list[Instances]:
    found: list[Instances] = []
    for line, letters in zip(lines, spelt or lines, strict=True):
        instances = write_features(line.split()).instances
        assert instances is not None
        found.append(replace(instances, letters_NSA=write_letters(letters.split())))
    return found


def speller(images: list[Instances], depth: int = 5, card: ModelCard = LETTERS_CARD) -> GallerySpeller:
    features = encode_words(QUERIES[:3], WordModel().encode_terms, max_characters=15)
    return GallerySpeller(images=images, features=features, card=card, depth=depth)


def recall(*values: float) -> FloatArray:
    return np.array(values, dtype=np.float32)


RECALL = recall(0.9, 0.2, 0.8, -1.0, 0.1)


def test_images_that_spell_the_word_lead_and_those_without_words_are_last() -> None:
    order = np.argsort(-speller(images_of(LINES)).score("tea", RECALL), kind="stable")
    assert set(order[:2].tolist()) == {0, 2}
    assert order[-1] == 3


def test_letters_overrule_recall_among_the_head_alone() -> None:
    images = images_of(LINES, ["pea", "milk", "tea milk", "", "bread"])
    assert int(speller(images, depth=2).score("tea", RECALL).argmax()) == 2
    scores_N = speller(images, depth=1).score("tea", RECALL)
    assert int(scores_N.argmax()) == 0
    assert np.argsort(-scores_N[1:], kind="stable").tolist() == np.argsort(-RECALL[1:], kind="stable").tolist()


def test_several_words_score_their_mean() -> None:
    one = speller(images_of(LINES))
    scores_N = one.score("tea milk", RECALL)
    expected = (one.score("tea", RECALL) + one.score("milk", RECALL)) / 2
    np.testing.assert_allclose(scores_N[[0, 1, 2, 4]], expected[[0, 1, 2, 4]], rtol=1e-6)


def test_a_word_without_features_is_nowhere() -> None:
    scores_N = speller(images_of(LINES)).score("unknown", RECALL)
    assert scores_N[[0, 1, 2, 4]].tolist() == [-1.0] * 4


def test_a_model_without_letters_is_refused() -> None:
    with pytest.raises(SettingError, match="keeps no letters"):
        speller(images_of(LINES), card=CARD).score("tea", RECALL)
