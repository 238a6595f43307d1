"""Retrieval on held-out photos while the adapter trains: by the global vector alone, and after the rerank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from glyphseek.evaluation.metrics import BoolArray, average_precision, rank_hits
from glyphseek.models.cayn.head import match_probability
from glyphseek.models.cayn.network import Cayn, EncodedImages, EncodedTexts
from glyphseek.models.cayn.pfca import pooled_cosine
from glyphseek.ranking import fuse
from glyphseek.training.cayn.cache import TokenCache, stack_tokens
from glyphseek.training.cayn.photos import WordPhoto
from glyphseek.training.cayn.stage import TextCache, Trainee
from glyphseek.types import Calibration, FloatArray, Fusion

RERANKED = 32
CHUNK = 16
HEADLESS = Calibration(slope=10.0, offset=-7.0, threshold=0.5)
"""What makes a probability of a softmax-pooled cosine: the curve of a model that nobody has calibrated."""
IN_FRONT = 1.0
"""Puts match probabilities above every cosine: the reranked stay in front."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Q words asked over all N photos: cosines_QN, match probabilities_QN, and relevant_QN, which photos have them."""

    cosines_QN: FloatArray
    probabilities_QN: FloatArray
    relevant_QN: BoolArray

    def map_percent(self, depth: int, fusion: Fusion = Fusion.SUM) -> float:
        """Return mAP in percent after a rerank of each word's first `depth` photos; 0 leaves the order of recall."""
        scores_QN = self.cosines_QN.copy()
        best_QK = np.argsort(-self.cosines_QN, axis=1, kind="stable")[:, :depth]
        fused_QN = fuse(self.cosines_QN, self.probabilities_QN, fusion) + (IN_FRONT if fusion is Fusion.MATCH else 0)
        np.put_along_axis(scores_QN, best_QK, np.take_along_axis(fused_QN, best_QK, 1), 1)
        return mean_average_precision(scores_QN, self.relevant_QN)


class AdapterValidation:
    """Every word of the held-out photos that is long enough, asked over all of these photos."""

    def __init__(self, photos: Sequence[WordPhoto], tokens: TokenCache, texts: TextCache, *, shortest: int) -> None:
        self._photos, self._tokens, self._texts = list(photos), tokens, texts
        self._shortest = shortest

    def __call__(self, network: Trainee) -> dict[str, float]:
        """Return mAP (%) of recall, and after the rerank of each query's first 32 where the model has a head."""
        asked = self.ask(network)
        if asked is None:
            return {}
        figures = {"recall_map": asked.map_percent(0)}
        return figures if network.whole.head is None else figures | {"rerank_map": asked.map_percent(RERANKED)}

    @torch.no_grad()
    def ask(self, network: Trainee) -> Asked | None:
        """Return what the network says of every word and photo; None where there is no word."""
        whole = network.whole
        limit = whole.settings.max_query_characters
        words = sorted({word for photo in self._photos for word in photo.words if self._shortest <= len(word) <= limit})
        if not words:
            return None
        whole.eval()
        texts, images = self._texts.read(words), self._encode(whole)
        return Asked(
            cosines_QN=(texts.global_QE @ images.global_BE.T).cpu().numpy(),
            probabilities_QN=match_all(whole, texts, images).cpu().numpy(),
            relevant_QN=np.array([[word in photo.words for photo in self._photos] for word in words]),
        )

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


def match_all(network: Cayn, texts: EncodedTexts, images: EncodedImages) -> Tensor:
    """Return the match probability of each text and image (Q, N).

    Without a head it is made of the softmax-pooled cosine.
    """
    rows: list[Tensor] = []
    for query in range(len(texts.global_QE)):
        asked = texts.take(torch.full((len(images.global_BE),), query, device=texts.global_QE.device))
        if network.head is not None:
            rows.append(match_probability(network.match(asked, images)))
            continue
        cosines_N = pooled_cosine(asked.global_QE, network.look_at_images(asked, images))
        rows.append(torch.sigmoid(HEADLESS.slope * cosines_N + HEADLESS.offset))
    return torch.stack(rows)


def mean_average_precision(scores_QN: FloatArray, relevant_QN: BoolArray) -> float:
    """Return mAP in percent."""
    rankings = [rank_hits(relevant, scores) for relevant, scores in zip(relevant_QN, scores_QN, strict=True)]
    return 100 * float(np.mean([average_precision(ranking) for ranking in rankings]))
