from __future__ import annotations

from math import cos, pi, sin

import pytest
import torch
from torch import Tensor

from glyphseek.models.tdsl.outlines import bounds, grown, is_bent, measure, outlines_of, places_in
from glyphseek.models.tdsl.pooling import sample_outlines

BOXES = torch.tensor([[10.0, 20.0, 50.0, 40.0], [0.0, 0.0, 8.0, 30.0]])
SIZE = (8, 24)


def arc(radius: float, tall: float, span: float, middle: tuple[float, float] = (100.0, 100.0)) -> Tensor:
    """Return the outline (6, 2) of a word along the upper rim of a circle, `tall` high, over `span` radians."""
    angles = [-span / 2, 0.0, span / 2]
    return torch.tensor(
        [[middle[0] + r * sin(a), middle[1] - r * cos(a)] for r in (radius + tall, radius) for a in angles]
    )


def turned(outlines_N62: Tensor, angle: float) -> Tensor:
    """Return outlines turned about the origin."""
    return outlines_N62 @ torch.tensor([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])


def test_a_level_words_outline_is_its_box() -> None:
    outlines = outlines_of(BOXES)
    assert outlines[0].tolist() == [[10, 20], [30, 20], [50, 20], [10, 40], [30, 40], [50, 40]]
    assert torch.equal(bounds(outlines), BOXES)
    length, height = measure(outlines)
    assert (length.tolist(), height.tolist()) == ([40, 8], [20, 30])
    assert not is_bent(outlines, BOXES, 0.999).any()


def test_cells_of_a_box_are_evenly_spaced_from_its_first_letter() -> None:
    places = places_in(outlines_of(BOXES), (2, 4))
    assert places.shape == (2, 2, 4, 2)
    assert places[0, 0].tolist() == [[15, 25], [25, 25], [35, 25], [45, 25]]
    assert places[0, 1, :, 1].tolist() == [35] * 4


def test_a_margin_is_a_share_of_the_height_on_all_sides() -> None:
    larger = torch.tensor([[8.0, 18.0, 52.0, 42.0]])
    torch.testing.assert_close(grown(outlines_of(BOXES[:1]), 0.1), outlines_of(larger))
    curved = grown(arc(50, 20, 1.5)[None], 0.1)
    _, height = measure(curved)
    assert height.item() == pytest.approx(1.2 * 20, rel=0.01)  # of an arc the middle is not the ends'
    torch.testing.assert_close(grown(curved, 0.0), curved)


@pytest.mark.parametrize("angle", [0.3, pi / 2, -2.0])
def test_turning_an_outline_turns_its_cells(angle: float) -> None:
    outlines = torch.stack([arc(50, 20, 1.5), outlines_of(BOXES)[0]])
    there = places_in(grown(turned(outlines, angle), 0.05), SIZE)
    here = places_in(grown(outlines, 0.05), SIZE)
    torch.testing.assert_close(there, turned(here.flatten(1, 2), angle).unflatten(1, SIZE))


@pytest.mark.parametrize("span", [0.5, 1.0, 2.0])
def test_the_cells_of_an_arc_lie_near_its_circle(span: float) -> None:
    places = places_in(arc(60, 20, span)[None], (1, 33))[0, 0]  # the middle between both edges: radius 70
    distances = (places - torch.tensor([100.0, 100.0])).norm(dim=1)
    assert (distances - 70).abs().max() < 0.05 * 20 * span**2  # a parabola is not a circle


def test_words_on_slopes_and_arcs_are_bent() -> None:
    outlines = torch.stack([arc(50, 20, 1.5), turned(outlines_of(BOXES[:1]), 0.7)[0], outlines_of(BOXES[:1])[0]])
    assert is_bent(outlines, bounds(outlines), 0.8).tolist() == [True, True, False]


@pytest.mark.parametrize("angle", [0.0, 0.6, -1.2])
def test_a_turned_word_is_read_level(angle: float) -> None:
    flat = torch.linspace(-40, 40, 161)
    x, y = torch.meshgrid(flat, flat, indexing="xy")
    word = torch.stack([x, y]).flatten(1).T @ torch.tensor([[cos(-angle), sin(-angle)], [-sin(-angle), cos(-angle)]])
    across, down = (word[:, axis].unflatten(0, (161, 161)) for axis in (0, 1))
    image = torch.stack([across, down, torch.zeros_like(across)])  # what each pixel is of the level word
    outline = turned(outlines_of(torch.tensor([[-24.0, -8.0, 24.0, 8.0]])), angle) * 2 + 80.5
    seen = sample_outlines(image, outline, SIZE)[0]
    torch.testing.assert_close(seen[0], (torch.arange(24) * 2 - 23.0).expand(8, 24), atol=0.02, rtol=0)
    torch.testing.assert_close(seen[1], (torch.arange(8) * 2 - 7.0)[:, None].expand(8, 24), atol=0.02, rtol=0)


def test_no_outlines_are_no_words() -> None:
    assert sample_outlines(torch.zeros(3, 20, 20), outlines_of(BOXES[:0]), SIZE).shape == (0, 3, *SIZE)
