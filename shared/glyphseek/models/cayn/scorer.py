"""The rerank of stored token maps: the same attention and head as in training, computed on packed tokens.

Shape legend: T terms, S queries (one a term, or all text tokens of all terms), K maps, N tokens of all maps together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from glyphseek.errors import InputError
from glyphseek.models.cayn.head import match_probability
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.cayn.packed import TokenBatch
from glyphseek.models.cayn.pfca import attention_over
from glyphseek.tokens import PackedTokens
from glyphseek.types import Calibration, FloatArray, MapScores, TermFeatures


class MapScorer:
    """Scores terms against one batch of token maps. Runs under the caller's `torch.inference_mode`.

    A model without a head has the softmax-pooled cosine for its score; `calibration` makes a probability of it.
    """

    def __init__(self, network: Cayn, maps: Sequence[PackedTokens], calibration: Calibration) -> None:
        self._network = network
        self._maps = maps
        self._calibration = calibration
        self._device = network.backbone.logit_scale.device
        self._batch = TokenBatch(maps, device=str(self._device))

    def score(self, terms: Sequence[TermFeatures], *, with_attention: bool) -> MapScores:
        """Return probabilities_TK and, if asked for, the attention of each term over each map."""
        texts_TE = functional.normalize(torch.stack([self._put(term.vectors_VD[0]) for term in terms]), dim=-1)
        attention_TN = self._look(terms, texts_TE)
        found_TKE = self._batch.weighted_sums(attention_TN)
        probabilities_TK = self._judge(terms, texts_TE, found_TKE)
        return MapScores(
            probabilities_TK=probabilities_TK.cpu().numpy(),
            attention=self._spread(attention_TN) if with_attention else None,
        )

    def _look(self, terms: Sequence[TermFeatures], texts_TE: Tensor) -> Tensor:
        """Return attention_TN of the terms over the tokens of each map by itself."""
        scale = self._network.attention_scale
        if self._network.settings.text_query == "global":
            return self._batch.softmax(self._batch.dots(texts_TE) * scale)
        tokens = [self._put(text_tokens(term)) for term in terms]
        queries_SE = functional.normalize(torch.cat(tokens), dim=-1)
        attention_SN = self._batch.softmax(self._batch.dots(queries_SE) * scale)
        return torch.stack([part.mean(0) for part in attention_SN.split([len(rows) for rows in tokens])])

    def _judge(self, terms: Sequence[TermFeatures], texts_TE: Tensor, found_TKE: Tensor) -> Tensor:
        """Return probabilities_TK."""
        network = self._network
        if network.head is None:
            cosines_TK = (found_TKE * texts_TE[:, None]).sum(-1)
            return torch.sigmoid(self._calibration.slope * cosines_TK + self._calibration.offset)
        images_KE = self._put(stack_globals(self._maps))
        other_TKE = self._look_back(terms, images_KE) if network.settings.directions == "both" else None
        return match_probability(network.judge(found_TKE, texts_TE[:, None], other_TKE, images_KE[None]))

    def _look_back(self, terms: Sequence[TermFeatures], images_KE: Tensor) -> Tensor:
        """Return what each image finds among the text tokens of each term (T, K, E)."""
        tokens = [self._put(text_tokens(term)) for term in terms]
        keys_TSE = self._network.as_keys(pad_sequence(tokens, batch_first=True))
        lengths_T = torch.tensor([len(rows) for rows in tokens], device=self._device)
        is_padding_TS = torch.arange(keys_TSE.shape[1], device=self._device) >= lengths_T[:, None]
        attention_TKS = attention_over(images_KE[None], keys_TSE, is_padding_TS, self._network.attention_scale)
        return attention_TKS @ keys_TSE

    def _spread(self, attention_TN: Tensor) -> tuple[tuple[FloatArray, ...], ...]:
        return tuple(
            tuple(
                one.spread(values_N.cpu().numpy())
                for one, values_N in zip(self._maps, self._batch.split(row_N), strict=True)
            )
            for row_N in attention_TN
        )

    def _put(self, array: FloatArray) -> Tensor:
        return torch.from_numpy(array).to(self._device)


def text_tokens(term: TermFeatures) -> FloatArray:
    """Return the text tokens of a term (T, E). Raises InputError when it has none."""
    if term.tokens_TE is None or not len(term.tokens_TE):
        raise InputError("a term without text tokens cannot be compared with an image by them")
    return term.tokens_TE


def stack_globals(maps: Sequence[PackedTokens]) -> FloatArray:
    """Return the images' vectors (K, E). Raises InputError for a map without one."""
    vectors = [one.global_vector_D for one in maps if one.global_vector_D is not None]
    if len(vectors) != len(maps):
        raise InputError(f"{len(maps) - len(vectors)} of {len(maps)} token maps have no global vector beside them")
    return np.stack(vectors)
