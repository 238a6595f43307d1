"""The small CLIP meets what CAYN asks of a backbone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from glyphseek.errors import QueryError, SettingError
from glyphseek.models.cayn.dense.backbone import DenseClip
from glyphseek.models.cayn.dense.settings import TINY


@pytest.fixture(scope="module")
def clip() -> DenseClip:
    torch.manual_seed(0)
    clip = DenseClip(TINY).eval()
    with torch.no_grad():
        for parameter in clip.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for buffer_name, buffer in clip.named_buffers():
            if buffer_name.endswith("running_mean"):
                buffer.add_(0.1 * torch.randn_like(buffer))
    return clip


def encode(clip: DenseClip, images: Tensor, sizes: list[tuple[int, int]]) -> tuple[Tensor, Tensor, Tensor]:
    is_padding = torch.ones(len(sizes), *images.shape[-2:], dtype=torch.bool)
    for row, (height, width) in enumerate(sizes):
        is_padding[row, :height, :width] = False
    tokens, is_padding_cells = clip.image_tokens(images, is_padding)
    return *clip.pool(tokens, is_padding_cells), is_padding_cells


@torch.inference_mode()
def test_an_image_is_the_same_alone_and_in_a_batch_and_with_any_padding(clip: DenseClip) -> None:
    first, second = torch.rand(3, 41, 50), torch.rand(3, 90, 70)
    alone = functional.pad(first, (0, 14, 0, 23))[None]
    batch = torch.stack([functional.pad(first, (0, 78, 0, 55), value=0.7), functional.pad(second, (0, 58, 0, 6))])
    global_BE, local_BHWE, is_padding = encode(clip, alone, [(41, 50)])
    global_2E, local_2HWE, is_padding_2 = encode(clip, batch, [(41, 50), (90, 70)])
    assert torch.allclose(global_BE[0], global_2E[0], atol=1e-5)
    seen, seen_2 = ~is_padding[0], ~is_padding_2[0]
    assert seen.sum() == seen_2.sum() == 3 * 4
    assert torch.allclose(local_BHWE[0][seen], local_2HWE[0][seen_2], atol=1e-5)
    assert not local_2HWE[0][~seen_2].any()


@torch.inference_mode()
def test_the_pool_is_cayns_attention_pool_with_text_logits_added(clip: DenseClip) -> None:
    pool = clip.attention_pool
    tokens_NC = torch.randn(6, clip.token_width)
    is_padding = torch.tensor([False] * 5 + [True])
    pooled, local = clip.pool(tokens_NC.view(1, 2, 3, -1), is_padding.view(1, 2, 3))
    attention = pool.attention
    width = clip.token_width // attention.heads
    reach = attention.q_proj.out_features // attention.heads
    query = attention.q_proj(tokens_NC[:5].mean(0))
    heads: list[Tensor] = []
    for head in range(attention.heads):
        part, own = (slice(head * size, (head + 1) * size) for size in (width, reach))
        weights: list[Tensor] = []
        for token in tokens_NC[:5]:
            weights.append(
                (query[own] @ attention.k_proj(token)[own]) / reach**0.5 + attention.text_factor[head] * token[-1] * 8
            )
        shares = torch.stack(weights).softmax(0)
        heads.append(
            sum((s * pool.v_proj(t)[part] for s, t in zip(shares, tokens_NC, strict=False)), torch.zeros(width))
        )
    assert torch.allclose(pooled[0], pool.c_proj(torch.cat(heads)), atol=1e-5)
    assert torch.allclose(local[0, 1, 1], pool.c_proj(pool.v_proj(tokens_NC[4])), atol=1e-5)
    assert not local[0, 1, 2].any()


@torch.inference_mode()
def test_a_text_is_the_mean_of_its_characters_and_the_same_in_any_batch(clip: DenseClip) -> None:
    alone, tokens, _ = clip.encode_text(["exit"])
    together, _, is_padding = clip.encode_text(["exit", "way out 24"])
    assert torch.allclose(alone[0], tokens[0].mean(0), atol=1e-6)
    assert torch.allclose(alone[0], together[0], atol=1e-5)
    assert is_padding[0].tolist() == [False] * 4 + [True] * 6


@torch.inference_mode()
def test_the_order_of_letters_counts(clip: DenseClip) -> None:
    stop, pots = clip.encode_text(["stop", "pots"])[0]
    assert not torch.allclose(stop, pots, atol=1e-3)


@pytest.mark.parametrize(("text", "said"), [("", "0 characters"), ("x" * 17, "17 characters"), ("naïve", "ï")])
def test_texts_that_cannot_be_read_are_refused(clip: DenseClip, text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        clip.encode_text([text])


def test_sides_that_do_not_divide_are_refused(clip: DenseClip) -> None:
    with pytest.raises(SettingError, match="50 x 64"):
        clip.image_tokens(torch.rand(1, 3, 64, 50), torch.zeros(1, 64, 50, dtype=torch.bool))


def test_text_likelihood_is_a_probability(clip: DenseClip) -> None:
    likelihood = clip.text_likelihood(torch.randn(1, 2, 2, clip.token_width))
    assert likelihood.shape == (1, 2, 2)
    assert ((likelihood > 0) & (likelihood < 1)).all()
