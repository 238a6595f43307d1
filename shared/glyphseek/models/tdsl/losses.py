"""The similarity loss and the CTC loss of TDSL, and an alignment term of our own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist
from torch import Tensor
from torch.nn import functional

from glyphseek.models.tdsl.settings import ALPHABET

SIMILARITY_WEIGHT = 10.0
"""Weight of each of the three similarity terms in the authors' code."""
BLANK = len(ALPHABET)


def target_similarities(rows: Sequence[str], columns: Sequence[str]) -> Tensor:
    """Return 1 - Levenshtein(a, b) / max(|a|, |b|) for every pair: (rows, columns), in [0, 1]."""
    return torch.from_numpy(cdist(list(rows), list(columns), scorer=Levenshtein.normalized_similarity, dtype="float32"))


def hardest_column_loss(similarities_RC: Tensor, targets_RC: Tensor) -> Tensor:
    """Return the mean over rows of the largest smooth L1 error (beta 1) in each row."""
    return functional.smooth_l1_loss(similarities_RC, targets_RC, reduction="none").amax(1).mean()


def similarity_loss(
    word_vectors_QD: Tensor, words: Sequence[str], image_vectors_ND: Tensor, image_words: Sequence[str]
) -> Tensor:
    """Return L_s: the three terms word-image, image-image and word-word, each times `SIMILARITY_WEIGHT`.

    Vectors have unit norm. In the word-image term the word side is detached, so that images move towards words and
    the words' own geometry is set by the word-word term.
    """
    device = word_vectors_QD.device
    across = hardest_column_loss(
        word_vectors_QD.detach() @ image_vectors_ND.T, target_similarities(words, image_words).to(device)
    )
    images = hardest_column_loss(
        image_vectors_ND @ image_vectors_ND.T, target_similarities(image_words, image_words).to(device)
    )
    typed = hardest_column_loss(word_vectors_QD @ word_vectors_QD.T, target_similarities(words, words).to(device))
    return SIMILARITY_WEIGHT * (across + images + typed)


def ctc_loss(logits_NSK: Tensor, words: Sequence[str]) -> Tensor:
    """Return the CTC loss of the words that fit into S columns, averaged over words and divided by their length.

    Words of S characters or more do not count, as in the authors' code, where S is 15; without any word it is zero.
    """
    columns = logits_NSK.shape[1]
    usable = [i for i, word in enumerate(words) if fits_ctc(word, columns)]
    if not usable:
        return 0 * logits_NSK.sum()
    codes = [torch.tensor([ALPHABET.index(c) for c in words[i]]) for i in usable]
    log_probabilities = functional.log_softmax(logits_NSK[usable], 2).transpose(0, 1)
    return functional.ctc_loss(
        log_probabilities,
        torch.cat(codes).to(logits_NSK.device),
        torch.full((len(usable),), columns),
        torch.tensor([len(c) for c in codes]),
        blank=BLANK,
        zero_infinity=True,
    )


def alignment_loss(logits_NSK: Tensor, words: Sequence[str]) -> Tensor:
    """Return the cross entropy of each column against the character that stands there if all are equally wide.

    A box stretched to a fixed width puts character i of L at the columns from i/L to (i+1)/L, roughly. CTC from random
    weights spends thousands of steps on finding that out; this term tells it, and is faded out early (our own addition,
    not in the paper).
    """
    columns = logits_NSK.shape[1]
    centres = (torch.arange(columns) + 0.5) / columns
    codes = [torch.tensor([ALPHABET.index(c) for c in word]) for word in words]
    targets_NS = torch.stack([code[(centres * len(code)).long()] for code in codes])
    return functional.cross_entropy(logits_NSK.flatten(0, 1), targets_NS.flatten().to(logits_NSK.device))


def fits_ctc(word: str, columns: int) -> bool:
    """Return whether a word of fewer characters than columns can be spelt in them: repeats need a blank between."""
    repeats = sum(a == b for a, b in pairwise(word))
    return 0 < len(word) < columns and len(word) + repeats <= columns
