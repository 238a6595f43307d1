"""The score of a term for a reranked image. T terms, K images."""

from __future__ import annotations

from glyphseek.types import FloatArray, Fusion


def fuse(cosines_TK: FloatArray, probabilities_TK: FloatArray, fusion: Fusion) -> FloatArray:
    """Return cosine plus match probability, within -1 to 2, or the match probability alone, within 0 to 1.

    The sum is never below the cosine of an image that recall put behind, so the reranked stay in front.
    """
    match fusion:
        case Fusion.SUM:
            return cosines_TK + probabilities_TK
        case Fusion.MATCH:
            return probabilities_TK
