"""The CLIP of word regions: tokens on their cells, texts in steps, and what a TDSL trunk gives it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from models.cayn.toy import random_image
from torch import Tensor

from glyphseek.errors import CheckpointDamaged, QueryError, SettingError
from glyphseek.models.cayn.regions.backbone import RegionClip, choose_cells
from glyphseek.models.cayn.regions.settings import TINY
from glyphseek.models.cayn.settings import TINY as TINY_PRESET
from glyphseek.models.cayn.settings import find_preset, restore_settings
from glyphseek.models.checkpoint import Manifest, load_manifest, load_weights, save_checkpoint, save_manifest
from glyphseek.models.loading import SHIPPED
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.reading import FoundWords, find_words
from glyphseek.models.tdsl.settings import ALPHABET
from glyphseek.training.cayn.starting import start_network
from glyphseek.training.packaging import UNCALIBRATED

EAGER = replace(TINY, reader=replace(TINY.reader, score_threshold=0.0, max_instances=12))
"""Untrained, but it stores twelve guesses an image."""


@pytest.fixture(scope="module")
def clip() -> RegionClip:
    torch.manual_seed(0)
    return RegionClip(EAGER).eval()


def as_tensor(height: int, width: int) -> Tensor:
    return torch.from_numpy(random_image(height, width)).permute(2, 0, 1).float() / 255


def tokens_of(clip: RegionClip, images: list[Tensor], height: int, width: int) -> tuple[Tensor, Tensor]:
    pixels, is_padding = torch.full((len(images), 3, height, width), 0.3), torch.ones(len(images), height, width) > 0
    for row, image in enumerate(images):
        pixels[row, :, : image.shape[1], : image.shape[2]] = image
        is_padding[row, : image.shape[1], : image.shape[2]] = False
    return clip.image_tokens(pixels, is_padding)


def found(*words: tuple[tuple[float, float, float, float], float]) -> FoundWords:
    return FoundWords(
        boxes_N4=torch.tensor([box for box, _ in words]),
        scores_N=torch.tensor([score for _, score in words]),
        vectors_ND=torch.nn.functional.normalize(torch.randn(len(words), TINY.reader.vector_width), dim=1),
        letters_NSA=torch.zeros(len(words), TINY.reader.sequence_columns, len(ALPHABET) + 1),
    )


def test_a_word_lies_in_the_cell_of_its_middle_and_a_less_sure_one_in_the_next_that_is_free(clip: RegionClip) -> None:
    words = found(((0.0, 0.0, 0.5, 0.2), 0.9), ((0.9, 0.9, 1.0, 1.0), 0.6), ((0.1, 0.0, 0.3, 0.3), 0.4))
    tokens_HWC = clip._lay(words, (64, 80), (5, 6))  # pyright: ignore[reportPrivateUsage]
    assert torch.equal(tokens_HWC[0, 1, :-1], words.vectors_ND[0])
    assert torch.equal(tokens_HWC[3, 4, :-1], words.vectors_ND[1])
    assert torch.equal(tokens_HWC[0, 0, :-1], words.vectors_ND[2])
    assert int((tokens_HWC[..., :-1] != 0).any(-1).sum()) == 3
    likelihood = clip.text_likelihood(tokens_HWC[None])[0]
    assert likelihood[0, 1] == pytest.approx(0.9)
    assert likelihood[3, 4] == pytest.approx(0.6)
    assert likelihood[0, 0] == pytest.approx(0.4)
    assert likelihood[2, 2] < 0.001


def test_words_on_one_spot_all_have_a_cell_and_the_surest_are_nearest() -> None:
    cells = choose_cells(torch.full((12, 2), 2.5), 4, 5)
    distances = [(row - 2) ** 2 + (column - 2) ** 2 for row, column in cells]
    assert len(set(cells)) == 12
    assert distances == sorted(distances)
    assert distances[0] == 0
    assert distances[-1] <= 4
    assert all(0 <= row < 4 and 0 <= column < 5 for row, column in cells)


def test_words_beyond_the_cells_of_an_image_are_left_out(clip: RegionClip) -> None:
    words = found(*[((0.0, 0.0, 1.0, 1.0), 0.9 - 0.1 * place) for place in range(4)])
    tokens_HWC = clip._lay(words, (16, 20), (3, 4))  # pyright: ignore[reportPrivateUsage]
    assert torch.equal(tokens_HWC[0, :2, :-1], words.vectors_ND[:2])
    assert not tokens_HWC[1:, :, :-1].any()
    assert not tokens_HWC[:, 2:, :-1].any()


@torch.inference_mode()
def test_tokens_are_the_words_that_the_trunk_finds(clip: RegionClip) -> None:
    image = as_tensor(64, 96)
    tokens, is_padding = tokens_of(clip, [image], 64, 96)
    words = find_words(clip.reader, 255 * image)
    assert len(words.vectors_ND)
    assert not is_padding.any()
    laid = tokens[0, ..., :-1].flatten(0, 1)
    stored = laid[laid.any(1)]
    nearest = torch.cdist(stored, words.vectors_ND).min(1).values
    assert len(stored) == len(words.vectors_ND)
    assert float(nearest.max()) < 1e-3
    assert float(torch.cdist(words.vectors_ND, stored).min(1).values.max()) < 1e-3


@torch.inference_mode()
def test_an_image_is_the_same_alone_and_in_a_batch_and_with_any_padding(clip: RegionClip) -> None:
    first, second = as_tensor(41, 50), as_tensor(90, 70)
    tokens, is_padding = tokens_of(clip, [first], 48, 64)
    tokens_2, is_padding_2 = tokens_of(clip, [first, second], 96, 128)
    assert torch.equal(tokens[0][~is_padding[0]], tokens_2[0][~is_padding_2[0]])
    alone, together = clip.pool(tokens, is_padding), clip.pool(tokens_2, is_padding_2)
    assert torch.allclose(alone[0][0], together[0][0], atol=1e-5)
    assert torch.equal(alone[1][0][~is_padding[0]], together[1][0][~is_padding_2[0]])
    assert not together[1][0][is_padding_2[0]].any()


@torch.inference_mode()
def test_local_tokens_are_the_words_themselves(clip: RegionClip) -> None:
    tokens, is_padding = tokens_of(clip, [as_tensor(64, 96)], 64, 96)
    assert torch.equal(clip.pool(tokens, is_padding)[1], tokens[..., :-1])


@torch.inference_mode()
def test_compact_tokens_pool_to_the_same_vector(clip: RegionClip) -> None:
    tokens, is_padding = tokens_of(clip, [as_tensor(64, 96), torch.zeros(3, 30, 40)], 64, 96)
    tokens[1, ..., :-1] = 0
    kept, is_padding_kept = clip.compact(tokens, is_padding)
    assert kept.shape[:2] == (2, 1)
    assert kept.shape[2] == int(tokens[0, ..., :-1].any(-1).sum())
    assert is_padding_kept[1].sum() == kept.shape[2] - 1
    assert torch.allclose(clip.pool(kept, is_padding_kept)[0], clip.pool(tokens, is_padding)[0], atol=1e-3)


@torch.inference_mode()
def test_the_tokens_of_a_text_add_up_to_it(clip: RegionClip) -> None:
    global_QE, tokens_QTE, is_padding_QT = clip.encode_text(["exit", "way out"])
    assert torch.allclose(tokens_QTE.sum(1), global_QE, atol=1e-6)
    assert torch.allclose(global_QE.norm(dim=1), torch.ones(2))
    assert torch.allclose(tokens_QTE[0] @ tokens_QTE[0].T, torch.diag(tokens_QTE[0].square().sum(1)), atol=1e-6)
    assert not is_padding_QT.any()
    assert torch.equal(clip.encode_text(["wayout"])[0][0], clip.encode_text(["way out"])[0][0])


@pytest.mark.parametrize(("text", "said"), [(" ", "0 characters"), ("x" * 41, "41 characters"), ("naïve", "ï")])
def test_texts_that_cannot_be_read_are_refused(clip: RegionClip, text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        clip.encode_text([text])


def test_sides_that_do_not_divide_are_refused(clip: RegionClip) -> None:
    with pytest.raises(SettingError, match="50 x 64"):
        clip.image_tokens(torch.rand(1, 3, 64, 50), torch.zeros(1, 64, 50, dtype=torch.bool))


@pytest.mark.parametrize("change", [{"cell": 4}, {"heads": 7}])
def test_sizes_that_cannot_be_built_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(SettingError):
        replace(TINY, **change)


def test_a_tdsl_model_is_trunk_and_text_tower() -> None:
    folder = SHIPPED / "tdsl-small"
    network = start_network(find_preset("cayn-small"), str(folder))
    shipped = load_weights(folder, load_manifest(folder))
    mine = network.backbone.state_dict()
    taken = {name: value for name, value in shipped.items() if not name.startswith("refiner.")}
    assert len(taken) < len(shipped)
    assert all(torch.equal(mine[f"reader.{name}"], value) for name, value in taken.items())


def test_a_tdsl_model_of_other_sizes_is_refused(tmp_path: Path) -> None:
    reader = replace(TINY.reader, step_width=4)
    manifest = Manifest(
        name="other",
        method="tdsl",
        preset={},
        weights_sha256=save_checkpoint(tmp_path, Tdsl(reader).state_dict()),
        parameters=1,
        licence="Apache-2.0",
        calibration=UNCALIBRATED,
        commands=[],
        data=[],
        stages=[],
    )
    save_manifest(tmp_path, manifest)
    with pytest.raises(CheckpointDamaged, match="no trunk for 'cayn-tiny'"):
        start_network(TINY_PRESET, str(tmp_path))


def test_settings_survive_a_manifest() -> None:
    assert restore_settings(json.loads(json.dumps(asdict(TINY_PRESET)))) == TINY_PRESET


@pytest.mark.parametrize("reader", [None, 3, {"name": "x"}])
def test_a_damaged_trunk_in_a_manifest_is_named(reader: object) -> None:
    values = asdict(TINY_PRESET)
    values["regions"]["reader"] = reader
    with pytest.raises(CheckpointDamaged):
        restore_settings(values)
