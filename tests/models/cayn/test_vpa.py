from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glyphseek.models.cayn.settings import VpaForm, find_preset
from glyphseek.models.cayn.vpa import VisualPositionAdapter, average_tokens


def trained_adapter(width: int = 12, form: VpaForm = "add") -> VisualPositionAdapter:
    """Return an adapter with no zero weights and with statistics that are not those of any batch."""
    torch.manual_seed(0)
    adapter = VisualPositionAdapter(width, 3, form)
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter)
    adapter.norm.running_mean = torch.randn(4)
    adapter.norm.running_var = torch.rand(4) + 0.5
    return adapter.eval()


def pad(tokens: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Return the tokens with rubbish below and right of them, and where it is."""
    height, width = tokens.shape[1:3]
    padded = torch.full((tokens.shape[0], height + rows, width + columns, tokens.shape[3]), 7.5)
    padded[:, :height, :width] = tokens
    is_padding = torch.ones(padded.shape[:3], dtype=torch.bool)
    is_padding[:, :height, :width] = False
    return padded, is_padding


def none_padded(tokens: Tensor) -> Tensor:
    return torch.zeros(tokens.shape[:3], dtype=torch.bool)


@pytest.mark.parametrize(
    ("preset", "width", "published"),
    [
        ("cayn-rn50", 2048, 0.20e6),
        ("cayn-rn50x4", 2560, 0.31e6),
        ("cayn-rn50x16", 3072, 0.45e6),
        ("cayn-vit-b-16", 768, 0.22e6),
    ],
)
def test_the_adapter_has_the_published_number_of_parameters(preset: str, width: int, published: float) -> None:
    adapter = VisualPositionAdapter(width, find_preset(preset).vpa_reduction)

    assert sum(p.numel() for p in adapter.parameters()) == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize("form", ["add", "scale"])
def test_an_untrained_adapter_changes_nothing(form: VpaForm) -> None:
    tokens = torch.randn(2, 3, 4, 12)
    adapter = VisualPositionAdapter(12, 3, form)

    assert torch.equal(adapter(tokens, none_padded(tokens)), tokens)


def test_an_untrained_adapter_learns_from_the_first_step() -> None:
    tokens = torch.randn(2, 3, 4, 12)
    adapter = VisualPositionAdapter(12, 3)

    adapter(tokens, none_padded(tokens)).square().sum().backward()

    for layer in (adapter.expand_rows, adapter.expand_columns):
        assert layer.weight.grad is not None
        assert float(layer.weight.grad.abs().max()) > 0


def adapt_by_loops(adapter: VisualPositionAdapter, tokens: Tensor, form: VpaForm) -> Tensor:
    """Return the adapted tokens of one image (H, W, C), written out cell by cell."""
    height, width, channels = tokens.shape
    mean, variance = adapter.norm.running_mean, adapter.norm.running_var
    assert mean is not None
    assert variance is not None

    def tell(line: list[Tensor]) -> Tensor:
        average = torch.stack(line).sum(0) / len(line)
        reduced = torch.stack([(adapter.reduce.weight[r] * average).sum() for r in range(len(mean))])
        normed = (reduced - mean) / torch.sqrt(variance + adapter.norm.eps) * adapter.norm.weight + adapter.norm.bias
        return normed * torch.clamp(normed + 3, 0, 6) / 6

    adapted = tokens.clone()
    for i in range(height):
        for j in range(width):
            row = tell([tokens[i, k] for k in range(width)])
            column = tell([tokens[k, j] for k in range(height)])
            for c in range(channels):
                change = (adapter.expand_rows.weight[c] * row).sum()
                change = change + (adapter.expand_columns.weight[c] * column).sum() + adapter.expand_columns.bias[c]
                adapted[i, j, c] += change * tokens[i, j, c] if form == "scale" else change
    return adapted


@pytest.mark.parametrize("form", ["add", "scale"])
def test_a_token_is_told_the_averages_of_its_row_and_column(form: VpaForm) -> None:
    adapter = trained_adapter(form=form)
    tokens = torch.randn(1, 3, 4, 12)

    found = adapter(tokens, none_padded(tokens))

    torch.testing.assert_close(found[0], adapt_by_loops(adapter, tokens[0], form), atol=1e-5, rtol=1e-5)


def test_padding_changes_nothing_where_the_image_is() -> None:
    adapter = trained_adapter()
    tokens = torch.randn(2, 3, 4, 12)
    padded, is_padding = pad(tokens, 2, 3)

    found = adapter(padded, is_padding)[:, :3, :4]

    torch.testing.assert_close(found, adapter(tokens, none_padded(tokens)), atol=1e-5, rtol=1e-5)


def test_padding_takes_no_part_in_the_statistics_of_training() -> None:
    tokens = torch.randn(2, 3, 4, 12)
    padded, is_padding = pad(tokens, 2, 3)
    alone, beside = trained_adapter().train(), trained_adapter().train()

    alone(tokens, none_padded(tokens))
    beside(padded, is_padding)

    torch.testing.assert_close(beside.norm.running_mean, alone.norm.running_mean)
    torch.testing.assert_close(beside.norm.running_var, alone.norm.running_var)


def test_images_of_a_batch_may_be_padded_by_different_amounts() -> None:
    adapter = trained_adapter()
    wide, tall = torch.randn(1, 2, 5, 12), torch.randn(1, 4, 3, 12)
    padded = torch.zeros(2, 4, 5, 12)
    padded[0, :2], padded[1, :, :3] = wide[0], tall[0]
    is_padding = torch.ones(2, 4, 5, dtype=torch.bool)
    is_padding[0, :2], is_padding[1, :, :3] = False, False

    found = adapter(padded, is_padding)

    torch.testing.assert_close(found[:1, :2], adapter(wide, none_padded(wide)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[1:, :, :3], adapter(tall, none_padded(tall)), atol=1e-5, rtol=1e-5)


def test_a_line_of_padding_alone_has_average_zero() -> None:
    tokens, is_padding = pad(torch.ones(1, 2, 2, 3), 1, 0)

    assert average_tokens(tokens, is_padding, dim=2)[0].tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]
    assert average_tokens(tokens, is_padding, dim=1)[0].tolist() == [[1, 1, 1], [1, 1, 1]]
