"""Retrieval on held-out photos while the adapter trains: by the global vector alone, and after the rerank."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from glyphseek.evaluation.metrics import BoolArray, average_precision, rank_hits
from glyphseek.models.cayn.head import match_probability
from glyphseek.models.cayn.network import Cayn, EncodedImages, EncodedTexts
from glyphseek.training.cayn.cache import TokenCache, stack_tokens
from glyphseek.training.cayn.photos import WordPhoto
from glyphseek.training.cayn.stage import TextCache, Trainee
from glyphseek.types import FloatArray

RERANKED = 32
CHUNK = 16


class AdapterValidation:
    """Every word of the held-out photos that is long enough, asked over all of these photos."""

    def __init__(self, photos: Sequence[WordPhoto], tokens: TokenCache, texts: TextCache, *, shortest: int) -> None:
        self._photos, self._tokens, self._texts = list(photos), tokens, texts
        self._shortest = shortest

    @torch.no_grad()
    def __call__(self, network: Trainee) -> dict[str, float]:
        """Return mAP (%) of recall, and after the rerank of each query's first 32 where the model has a head."""
        whole = network.whole
        limit = whole.settings.max_query_characters
        words = sorted({word for photo in self._photos for word in photo.words if self._shortest <= len(word) <= limit})
        if not words:
            return {}
        whole.eval()
        texts, images = self._texts.read(words), self._encode(whole)
        cosines_QN = texts.global_QE @ images.global_BE.T
        relevant_QN = np.array([[word in photo.words for photo in self._photos] for word in words])
        figures = {"recall_map": mean_average_precision(cosines_QN.cpu().numpy(), relevant_QN)}
        if whole.head is not None:
            reranked_QN = rerank(whole, texts, images, cosines_QN)
            figures["rerank_map"] = mean_average_precision(reranked_QN.cpu().numpy(), relevant_QN)
        return figures

    def _encode(self, whole: Cayn) -> EncodedImages:
        """Return all photos, their grids as rows of one length; a few go through the network at a time."""
        chunks = [self._encode_chunk(whole, self._photos[i : i + CHUNK]) for i in range(0, len(self._photos), CHUNK)]
        local = [rows for chunk in chunks for rows in chunk.local_BNE]
        is_padding = [row for chunk in chunks for row in chunk.is_padding_BN]
        return EncodedImages(
            global_BE=torch.cat([chunk.global_BE for chunk in chunks]),
            local_BNE=pad_sequence(local, batch_first=True),
            is_padding_BN=pad_sequence(is_padding, batch_first=True, padding_value=True),
        )

    def _encode_chunk(self, whole: Cayn, photos: Sequence[WordPhoto]) -> EncodedImages:
        tokens_BHWC, is_padding_BHW = stack_tokens([self._tokens.read(photo.path) for photo in photos])
        device = whole.backbone.logit_scale.device
        return whole.encode_tokens(tokens_BHWC.to(device), is_padding_BHW.to(device), compact=True)


def rerank(network: Cayn, texts: EncodedTexts, images: EncodedImages, cosines_QN: Tensor) -> Tensor:
    """Return the cosines with the match probability added for the first `RERANKED` images of each query."""
    scores_QN = cosines_QN.clone()
    for query, row in enumerate(cosines_QN):
        best = row.topk(min(RERANKED, len(row))).indices
        asked = texts.take(torch.full_like(best, query))
        scores_QN[query, best] += match_probability(network.match(asked, images.take(best)))
    return scores_QN


def mean_average_precision(scores_QN: FloatArray, relevant_QN: BoolArray) -> float:
    """Return mAP in percent."""
    rankings = [rank_hits(relevant, scores) for relevant, scores in zip(relevant_QN, scores_QN, strict=True)]
    return 100 * float(np.mean([average_precision(ranking) for ranking in rankings]))
