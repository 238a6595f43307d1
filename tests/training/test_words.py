from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from training.makers import make_noise

from glyphseek.errors import SettingError
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.settings import ALPHABET, find_preset
from glyphseek.training.words import WordStage, WordStageSettings, augment_colours, greedy_words, stack_crops


def test_augmented_colours_stay_in_range_and_keep_the_shape() -> None:
    rng = np.random.default_rng(0)
    crops = stack_crops(list(rng.integers(0, 256, (16, 10, 20, 3), dtype=np.uint8)))

    augmented = augment_colours(crops, np.random.default_rng(1))

    assert augmented.shape == (16, 3, 10, 20)
    assert augmented.dtype == torch.float32
    assert augmented.min() >= 0
    assert augmented.max() <= 255
    assert augmented.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(augmented, augment_colours(crops, np.random.default_rng(1)))


def test_each_crop_is_augmented_differently() -> None:
    crops = torch.full((40, 3, 2, 2), 100, dtype=torch.uint8)

    means = augment_colours(crops, np.random.default_rng(0)).mean((1, 2, 3))

    assert len({round(float(mean), 3) for mean in means}) == 40
    assert means.min() < 80 < 120 < means.max()


def test_weights_that_read_already_are_trained_without_alignment(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, preset = Tdsl(find_preset("tdsl-small")), find_preset("tdsl-small")
    noise = partial(make_noise, preset.roi_rows, preset.roi_columns)
    terms: dict[int, set[str]] = {}
    for steps in (0, 10):
        stage = WordStage(preset, WordStageSettings(batch=2, start_with=4, aligned_steps=steps), make=noise)
        terms[steps] = set(stage.loss(network, 3, np.random.default_rng(0)))
        stage.close()

    assert terms == {0: {"similarity", "ctc"}, 10: {"similarity", "ctc", "alignment"}}


def test_a_preset_that_reads_the_pyramid_cannot_learn_from_crops() -> None:
    with pytest.raises(SettingError, match="tdsl-tiny reads words from the pyramid"):
        WordStage(find_preset("tdsl-tiny"), WordStageSettings())


def test_greedy_reading_merges_repeats_and_drops_blanks() -> None:
    blank = len(ALPHABET)
    path = [ALPHABET.index(c) if c != "_" else blank for c in "aa_abb_0"]
    logits = torch.nn.functional.one_hot(torch.tensor([path, [blank] * 8]), blank + 1).float()

    assert greedy_words(logits) == ["aab0", ""]
