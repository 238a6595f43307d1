"""PFCA, parameter-free cross attention: the contrast of image and text that CLIP learned, applied token by token.

For a query q and keys k_j of the joint width E: attention a_j = softmax_j(scale * <q, k_j> / |q|), and what is found is
sum_j a_j k_j. Keys have unit norm unless the settings say otherwise. Nothing here is trained. The paper's equations are
not public; this is the reading of METHODS that fits what is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What P queries found: values_PE, not normalised, and attention_PN, zero on padding and summing to one."""

    values_PE: Tensor
    attention_PN: Tensor


def attend(
    queries_PSE: Tensor,
    keys_PNE: Tensor,
    is_padding_PN: Tensor,
    scale: Tensor | float,
    *,
    is_padding_PS: Tensor | None = None,
) -> Found:
    """Return what the S queries of each pair find among its N keys, averaged over the queries that are not padding.

    `scale` is 1 / tau. Every pair needs at least one query and one key that is not padding.
    """
    attention_PSN = attention_over(queries_PSE, keys_PNE, is_padding_PN, scale)
    attention_PN = average_queries(attention_PSN, is_padding_PS)
    return Found(values_PE=(attention_PN[:, None] @ keys_PNE)[:, 0], attention_PN=attention_PN)


def attention_over(queries_PSE: Tensor, keys_PNE: Tensor, is_padding_PN: Tensor, scale: Tensor | float) -> Tensor:
    """Return attention_PSN: how each query divides itself over the keys of its pair that are not padding."""
    cosines_PSN = functional.normalize(queries_PSE, dim=-1) @ keys_PNE.transpose(-1, -2)
    return (cosines_PSN * scale).masked_fill(is_padding_PN[:, None], -torch.inf).softmax(-1)


def average_queries(attention_PSN: Tensor, is_padding_PS: Tensor | None) -> Tensor:
    """Return the mean over the queries S that are not padding; what is found is linear in it."""
    if is_padding_PS is None:
        return attention_PSN.mean(1)
    kept_PS = (~is_padding_PS).to(attention_PSN.dtype)
    return (attention_PSN * kept_PS[..., None]).sum(1) / kept_PS.sum(1, keepdim=True)


def pooled_cosine(queries_PE: Tensor, found: Found) -> Tensor:
    """Return sum_j a_j <q, k_j> / |q| of each pair (P,): the softmax-pooled cosine, which needs no trained head."""
    return (functional.normalize(queries_PE, dim=-1) * found.values_PE).sum(-1)
