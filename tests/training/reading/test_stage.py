"""The losses against plain loops; the stage end to end at toy size."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from training.scene_makers import make_noisy_scenes

from glyphseek.errors import ModelNotFound
from glyphseek.models.cayn.dense.settings import ALPHABET, TINY
from glyphseek.training.reading.reader import SPELT_STEPS, Reader
from glyphseek.training.reading.stage import contrastive_loss, letter_loss, spelling_loss, text_loss, word_losses
from glyphseek.training.reading.targets import TokenTargets
from glyphseek.training.reading.validation import TokenValidation, word_windows
from glyphseek.training.recipe import Recipe, run_recipe
from glyphseek.training.run import RunFolder


def targets(letters: dict[int, str]) -> TokenTargets:
    return TokenTargets(
        text_HW=np.array([[0.0, 0.5], [1.0, 0.0]], np.float32),
        weight_HW=np.array([[1.0, 1.0], [1.0, 0.0]], np.float32),
        word_places_N=np.zeros(0, np.int64),
        words=(),
        letter_places_M=np.array(list(letters), np.int64),
        letters_M=np.array([ALPHABET.index(c) for c in letters.values()], np.int64),
    )


def test_the_text_loss_is_the_quality_focal_loss_over_what_counts() -> None:
    logits, one = torch.tensor([[[0.3, -1.0], [2.0, 5.0]]]), targets({})
    expected = 0.0
    for logit, wanted in ((0.3, 0.0), (-1.0, 0.5), (2.0, 1.0)):
        p = 1 / (1 + math.exp(-logit))
        expected -= abs(wanted - p) ** 2 * (wanted * math.log(p) + (1 - wanted) * math.log(1 - p)) / 4
    assert float(text_loss(logits, [one])) == pytest.approx(expected, rel=1e-5)


def test_the_letter_loss_is_the_mean_cross_entropy_over_letters() -> None:
    logits = torch.randn(2, len(ALPHABET), 2, 2, generator=torch.Generator().manual_seed(0))
    pair = [targets({0: "a", 3: "z"}), targets({2: "7"})]
    places = [(0, 0, 0, "a"), (0, 1, 1, "z"), (1, 1, 0, "7")]
    expected = 0.0
    for image, row, column, letter in places:
        expected -= float(logits[image, :, row, column].log_softmax(0)[ALPHABET.index(letter)]) / 3
    assert float(letter_loss(logits, pair)) == pytest.approx(expected, rel=1e-5)
    assert float(letter_loss(logits, [targets({}), targets({})])) == 0


def test_the_spelling_loss_asks_for_letters_at_even_places() -> None:
    logits = torch.randn(1, SPELT_STEPS, len(ALPHABET), generator=torch.Generator().manual_seed(0))
    expected = 0.0
    for step in range(SPELT_STEPS):
        letter = "exit"[step * 4 // SPELT_STEPS]
        expected -= float(logits[0, step].log_softmax(0)[ALPHABET.index(letter)]) / SPELT_STEPS
    assert float(spelling_loss(logits, ["exit"])) == pytest.approx(expected, rel=1e-5)


def test_the_contrastive_loss_counts_every_word_once_on_the_way_back() -> None:
    torch.manual_seed(0)
    reader, local_NE = Reader(TINY).eval(), torch.randn(3, TINY.joint_width)
    words, rng = ["exit", "exit", "stop"], np.random.default_rng(0)
    loss = float(contrastive_loss(reader, local_NE, words, np.random.default_rng(0)).detach())
    from glyphseek.models.tdsl.augmentation import augment_word

    misspelt = sorted({augment_word(word, rng) for word in ("exit", "stop")} - {"exit", "stop"})
    typed = reader.clip.text(["exit", "stop", *misspelt])[0].detach()
    scale = float(reader.clip.logit_scale.detach().exp())
    logits = [[scale * float(torch.cosine_similarity(x, t, dim=0)) for t in typed] for x in local_NE]
    forth = back = 0.0
    for row, column in ((0, 0), (1, 0), (2, 1)):
        forth += math.log(sum(math.exp(v) for v in logits[row])) - logits[row][column]
        weight = 0.5 if column == 0 else 1.0
        back += weight * (math.log(sum(math.exp(logits[r][column]) for r in range(3))) - logits[row][column])
    assert loss == pytest.approx((forth / 3 + back / 2) / 2, rel=1e-4)


def test_windows_without_words_have_the_same_terms_at_zero() -> None:
    network = Reader(TINY)
    _, tokens = network.see(torch.zeros(1, 3, 64, 64))

    terms = word_losses(network, tokens, [targets({})], np.random.default_rng(0))

    assert {name: float(value.detach()) for name, value in terms.items()} == {"contrast": 0, "spelling": 0}


def test_the_stage_trains_resumes_and_validates(tmp_path: Path) -> None:
    recipe = Recipe(
        stage="tokens",
        run=tmp_path / "run",
        preset="cayn-tiny-dense",
        steps=2,
        batch=2,
        pool=8,
        start_with=4,
        save_every=1,
    )
    rows: list[dict[str, float]] = []
    assert run_recipe(recipe, report=rows.append).step == 2
    assert 0 <= rows[-1]["rendered_top1"] <= 1
    assert (tmp_path / "run" / "parts.txt").read_text().split() == ["clip", "letters", "spelling"]
    weights = RunFolder(tmp_path / "run").weights()
    assert not torch.equal(weights["clip.trunk.to_2.0.weight"], Reader(TINY).state_dict()["clip.trunk.to_2.0.weight"])


def test_a_preset_without_a_small_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="cayn-dense"):
        run_recipe(Recipe(stage="tokens", run=tmp_path, preset="tdsl-small", steps=1), report=print)


def test_validation_finds_words_that_tokens_were_made_for() -> None:
    windows = word_windows(make_noisy_scenes(3)(), 96, most=3)
    assert len(windows) == 3
    for one in windows:
        assert len(one.word) >= 3
        assert one.pixels.shape == (96, 96, 3)
    figures = TokenValidation({"rendered": windows})(Reader(TINY).eval())
    assert set(figures) <= {"rendered_top1", "rendered_unseen_top1"}
