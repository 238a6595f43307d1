from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from training.toy import toy_network

from glyphseek.datasets.scenes.crops import CropRenderer
from glyphseek.errors import SettingError
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.sequences import unit_vectors
from glyphseek.models.tdsl.settings import PAPER, SMALL
from glyphseek.training.annotated import AnnotatedWord, is_held_out_word, spell
from glyphseek.training.compute import Compute
from glyphseek.training.detection import (
    SceneLosses,
    SceneStageSettings,
    augment_photo,
    draw_window_size,
    reading_terms,
    scene_terms,
)
from glyphseek.training.loop import LoopSettings, run_stage
from glyphseek.training.run import RunFolder
from glyphseek.training.scenes import SceneBatch, TrainingScene, batch_scenes

BOXES = {"open": (10, 12, 60, 30), "exit": (40, 50, 120, 90)}
WORDS = 32
ROWS, COLUMNS = 32, 96


class FixedCrops:
    """Stage `joint` without its detector loss, on the same batch at every step."""

    name = "joint"
    parts = ("pyramid", "image_sequence", "text_sequence", "ctc")

    def __init__(self, batch: SceneBatch) -> None:
        self._batch = batch

    def loss(self, network: Tdsl, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return TDSL's similarity and CTC terms."""
        del step
        images = network.normalize(self._batch.images_B3HW)
        return reading_terms(network, images, network.levels(images), self._batch, rng)

    def close(self) -> None:
        """Have nothing to release."""


def render_words(renderer: CropRenderer) -> SceneBatch:
    """Return one small picture for each of `WORDS` different words that may be trained on."""
    rng = np.random.default_rng(0)
    crops: dict[str, TrainingScene] = {}
    box = np.array([0, 0, COLUMNS, ROWS], np.float32)
    while len(crops) < WORDS:
        pixels, text = renderer.render(rng, ROWS, COLUMNS)
        word = spell(text)
        if word is not None and 2 < len(word) < 10 and not is_held_out_word(word) and word not in crops:
            crops[word] = TrainingScene(pixels=pixels, words=(AnnotatedWord(word=word, box_4=box),))
    return batch_scenes(list(crops.values()))


def top1(network: Tdsl, batch: SceneBatch) -> float:
    """Return the share of pictures whose own word is the most similar of all words."""
    words = [word for words in batch.words for word in words if word is not None]
    images = network.normalize(batch.images_B3HW)
    with torch.inference_mode():
        levels = network.levels(images)
        rois = [network.pool_words(images[i], levels, i, boxes) for i, boxes in enumerate(batch.boxes)]
        read = unit_vectors(network.image_sequence(torch.cat(rois))[0])
        typed = unit_vectors(network.text_sequence(words))
    return float(((read @ typed.T).argmax(1) == torch.arange(len(words))).float().mean())


def test_a_step_sees_about_the_same_area_in_windows_of_every_size() -> None:
    settings = SceneStageSettings(batch=4, sides=(320, 416, 640))

    drawn = {draw_window_size(settings, np.random.default_rng(seed)) for seed in range(40)}

    assert drawn == {(320, 7), (416, 4), (640, 2)}


def test_windows_that_cannot_be_halved_five_times_are_refused() -> None:
    with pytest.raises(SettingError, match="must divide by 32"):
        SceneStageSettings(sides=(320, 400))


def test_the_loss_of_boxes_counts_as_the_preset_says_once_in_the_papers() -> None:
    words = [AnnotatedWord(word=word, box_4=np.array(box, np.float32)) for word, box in BOXES.items()]
    pixels = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    batch = batch_scenes([TrainingScene(pixels=pixels, words=tuple(words))])
    network = toy_network().eval()
    terms: list[dict[str, Tensor]] = []

    for weight in (1.0, 2.5):
        network.settings = replace(network.settings, box_weight=weight)
        terms.append(scene_terms(network, batch, np.random.default_rng(1), "detector"))

    assert terms[1]["box"].item() == pytest.approx(2.5 * terms[0]["box"].item(), rel=1e-5)
    assert terms[1]["text"].item() == pytest.approx(terms[0]["text"].item(), rel=1e-5)
    assert (PAPER.box_weight, SMALL.box_weight) == (1.0, 2.0)


@pytest.mark.parametrize("kind", ["detector", "joint"])
def test_losses_in_bfloat16_are_float32_and_near_those_in_float32(kind: SceneLosses) -> None:
    rng = np.random.default_rng(0)
    words = [AnnotatedWord(word=word, box_4=np.array(box, np.float32)) for word, box in BOXES.items()]
    pixels = rng.integers(0, 256, (2, 96, 128, 3), dtype=np.uint8)
    batch = batch_scenes([TrainingScene(pixels=one, words=tuple(words)) for one in pixels])
    network = toy_network().eval()

    sharp = scene_terms(network, batch, np.random.default_rng(1), kind)
    rough = scene_terms(network, batch, np.random.default_rng(1), kind, Compute(precision="bfloat16"))

    assert sharp.keys() == rough.keys() >= ({"text", "box", "quality"} if kind == "detector" else {"similarity", "ctc"})
    for name, value in rough.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(sharp[name].item(), rel=0.05)
    assert any(value.item() != sharp[name].item() for name, value in rough.items())


def test_the_tiny_preset_learns_32_fixed_words_by_heart(tmp_path: Path, crop_renderer: CropRenderer) -> None:
    batch, network = render_words(crop_renderer), toy_network()
    assert top1(network.eval(), batch) < 0.3

    run_stage(
        network,
        FixedCrops(batch),
        RunFolder(tmp_path),
        LoopSettings(steps=160, rate=1e-2, warmup=20, log_every=50, save_every=1000, validate_every=1000),
        batch=WORDS,
        validate=lambda network: {"top1": top1(network, batch)},
        report=lambda row: None,
    )

    assert RunFolder(tmp_path).curves()[-1]["top1"] > 0.95


def test_held_out_words_do_not_enter_the_reading_terms() -> None:
    held = next(word for word in (f"word{number}" for number in range(1000)) if is_held_out_word(word))
    scene = TrainingScene(
        pixels=np.zeros((64, 64, 3), np.uint8),
        words=(AnnotatedWord(word=held, box_4=np.array([0, 0, 40, 20], np.float32)),),
    )
    batch, network = batch_scenes([scene]), toy_network()
    images = network.normalize(batch.images_B3HW)

    terms = reading_terms(network, images, network.levels(images), batch, np.random.default_rng(0))

    assert {name: float(value) for name, value in terms.items()} == {"similarity": 0, "ctc": 0}


def test_augmented_photos_stay_in_range_and_differ() -> None:
    photos = torch.full((30, 3, 4, 4), 100, dtype=torch.uint8)

    augmented = augment_photo(photos, np.random.default_rng(0))

    assert augmented.min() >= 0
    assert augmented.max() <= 255
    assert len({round(float(mean), 3) for mean in augmented.mean((1, 2, 3))}) == 30
    assert torch.equal(augmented, augment_photo(photos, np.random.default_rng(0)))
