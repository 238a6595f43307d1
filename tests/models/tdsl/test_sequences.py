from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from glyphseek.models.tdsl.sequences import (
    ANY_CHARACTER,
    ImageSequence,
    PlanarGroupNorm,
    TextSequence,
    character_code,
    unit_vectors,
)
from glyphseek.models.tdsl.settings import ALPHABET, PAPER, SMALL, TINY_PYRAMID, TdslSettings


def text_module(settings: TdslSettings = TINY_PYRAMID) -> TextSequence:
    torch.manual_seed(0)
    return TextSequence(settings).eval()


def test_characters_are_stretched_between_corners() -> None:
    module = text_module()
    table = module.characters.weight.tolist()
    word, steps = "coffee", TINY_PYRAMID.steps

    found = module._stretch(word)  # pyright: ignore[reportPrivateUsage]

    for step in range(steps):
        at = step * (len(word) - 1) / (steps - 1)
        before, share = math.floor(at), at - math.floor(at)
        after = min(before + 1, len(word) - 1)
        a, b = table[ALPHABET.index(word[before])], table[ALPHABET.index(word[after])]
        wanted = [(1 - share) * x + share * y for x, y in zip(a, b, strict=True)]
        assert found[step].tolist() == pytest.approx(wanted, abs=1e-5)


def test_one_letter_fills_every_step() -> None:
    module = text_module()

    found = module._stretch("a")  # pyright: ignore[reportPrivateUsage]

    assert torch.equal(found, module.characters.weight[0].expand_as(found))


def test_the_unknown_character_is_the_mean_of_all() -> None:
    module = text_module()

    found = module._stretch(ANY_CHARACTER)  # pyright: ignore[reportPrivateUsage]

    assert torch.allclose(found[0], module.characters.weight.mean(0))
    assert character_code(ANY_CHARACTER) == len(ALPHABET)


def test_a_word_has_the_same_embedding_in_any_company() -> None:
    module = text_module()

    alone = module(["open"])
    together = module(["a", "open", "encyclopaedia"])[1:2]

    assert torch.allclose(alone, together, atol=1e-6)


@pytest.mark.parametrize("settings", [PAPER, SMALL, TINY_PYRAMID], ids=lambda s: s.name)
def test_image_sequence_gives_t_steps_and_the_columns_for_ctc(settings: TdslSettings) -> None:
    channels = 3 if settings.stem_channels else settings.pyramid_width
    rois = torch.randn(2, channels, settings.roi_rows, settings.roi_columns)

    steps, columns = ImageSequence(settings).eval()(rois)

    assert steps.shape == (2, settings.steps, settings.step_width)
    assert columns.shape == (2, settings.sequence_columns, settings.step_width)


def test_a_deepened_reader_reads_as_before_until_it_is_trained() -> None:
    shallow = ImageSequence(replace(SMALL, sequence_blocks=0, reads_twice=False)).eval()
    deep = ImageSequence(SMALL).eval()
    missing = deep.load_state_dict(shallow.state_dict(), strict=False)
    rois = torch.randn(2, 3, SMALL.roi_rows, SMALL.roi_columns)

    with torch.inference_mode():
        assert all(torch.equal(a, b) for a, b in zip(shallow(rois), deep(rois), strict=True))

    assert not missing.unexpected_keys
    assert {name.split(".")[0] for name in missing.missing_keys} == {"convolutions", "again"}
    last = deep.convolutions.get_parameter("blocks1.0.second.1.weight")
    with torch.no_grad():
        last.fill_(1.0)  # as training would
        assert not torch.allclose(shallow(rois)[0], deep(rois)[0])


def test_group_norm_over_planes_is_torchs_and_keeps_channels_last() -> None:
    torch.manual_seed(0)
    ours = PlanarGroupNorm(4, 16)
    torch.nn.init.normal_(ours.weight)
    features = torch.randn(3, 16, 5, 8).contiguous(memory_format=torch.channels_last)

    found = ours(features)

    wanted = torch.nn.functional.group_norm(features, 4, ours.weight, ours.bias)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_unit_vectors_are_the_normalised_tanh_of_the_flat_sequence() -> None:
    sequence = torch.randn(3, 4, 5)

    found = unit_vectors(sequence)

    for row in range(3):
        flat = [math.tanh(x) for step in sequence[row].tolist() for x in step]
        norm = math.sqrt(sum(x * x for x in flat))
        assert found[row].tolist() == pytest.approx([x / norm for x in flat], abs=1e-5)
