from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from glyphseek.models.clip.positions import MOST_GRIDS, GridPositions, resize_table, square


def table(side: int = 7, width: int = 5) -> nn.Parameter:
    return nn.Parameter(torch.randn(side, side, width, generator=torch.Generator().manual_seed(3)))


def cubic_weight(distance: float) -> float:
    """Keys' kernel with a = -0.5, as antialiased bicubic interpolation uses it."""
    a, x = -0.5, abs(distance)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def resize_line(line: list[float], length: int) -> list[float]:
    """Plain loop: a longer line from a shorter one; weights that fall outside are dropped and the rest rescaled."""
    scale = len(line) / length
    out: list[float] = []
    for place in range(length):
        centre = (place + 0.5) * scale - 0.5
        weights = [cubic_weight(index - centre) for index in range(len(line))]
        out.append(sum(w * v for w, v in zip(weights, line, strict=True)) / sum(weights))
    return out


def test_a_larger_rectangular_grid_is_the_plain_bicubic_of_rows_and_columns() -> None:
    values = table(side=4, width=1)
    rows = [resize_line([float(v) for v in values[row, :, 0]], 9) for row in range(4)]
    columns = [resize_line([row[column] for row in rows], 6) for column in range(9)]
    wanted = torch.tensor(columns).T[..., None]
    torch.testing.assert_close(resize_table(values, 6, 9).detach(), wanted, rtol=0, atol=1e-5)


def test_the_native_grid_is_the_table_itself() -> None:
    values = table()
    assert GridPositions().at(values, 7, 7) is values


def test_a_grid_is_resized_once() -> None:
    positions, values = GridPositions(), table()
    assert positions.at(values, 3, 9) is positions.at(values, 3, 9)


def test_height_and_width_are_not_confused() -> None:
    positions, values = GridPositions(), table()
    assert positions.at(values, 3, 9).shape == (3, 9, 5)
    assert positions.at(values, 9, 3).shape == (9, 3, 5)


def load_other(values: nn.Parameter) -> None:
    nn.ParameterList([values]).load_state_dict({"0": torch.zeros_like(values)})


def step(values: nn.Parameter) -> None:
    values.grad = torch.ones_like(values)
    torch.optim.SGD([values], lr=1.0).step()


def replace_memory(values: nn.Parameter) -> None:
    values.data = torch.zeros_like(values)


@pytest.mark.parametrize("change", [load_other, step, replace_memory])
def test_a_changed_table_is_resized_anew(change: Callable[[nn.Parameter], None]) -> None:
    positions, values = GridPositions(), table()
    before = positions.at(values, 9, 9).clone()
    change(values)
    after = positions.at(values, 9, 9)
    assert not torch.allclose(after, before)
    torch.testing.assert_close(after, resize_table(values, 9, 9), rtol=0, atol=0)


@torch.enable_grad()
def test_a_table_in_training_gets_gradients() -> None:
    positions, values = GridPositions(), table()
    positions.at(values, 9, 9).sum().backward()
    assert values.grad is not None
    assert float(values.grad.abs().min()) > 0


@torch.enable_grad()
def test_a_table_kept_from_inference_may_be_used_in_training() -> None:
    positions, values = GridPositions(), table().requires_grad_(False)
    with torch.inference_mode():
        positions.at(values, 9, 9)
    tokens = torch.ones(9, 9, 5, requires_grad=True)
    (tokens * positions.at(values, 9, 9)).sum().backward()
    assert tokens.grad is not None


def test_the_cache_is_bounded() -> None:
    positions, values = GridPositions(), table(side=2, width=1)
    for height in range(3, 3 + 2 * MOST_GRIDS):
        positions.at(values, height, 3)
    assert len(vars(positions)["_kept"]) <= MOST_GRIDS


def test_a_copy_does_not_share_the_cache_with_changed_weights() -> None:
    positions, values = GridPositions(), table()
    positions.at(values, 9, 9)
    copied_positions, copied_values = deepcopy((positions, values))
    copied_values.zero_()
    assert not copied_positions.at(copied_values, 9, 9).any()
    assert positions.at(values, 9, 9).any()


def test_a_flat_table_is_read_row_by_row() -> None:
    flat: Tensor = torch.arange(9.0)[:, None]
    torch.testing.assert_close(square(flat)[1, 2], torch.tensor([5.0]))
