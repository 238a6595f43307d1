"""Tokens of a gallery to fit codebooks on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glyphseek.errors import InputError
from glyphseek.ports import FeatureStore, blob_key
from glyphseek.tokens import unpack
from glyphseek.types import FloatArray


def sample_tokens(
    store: FeatureStore, image_ids: Sequence[str], *, fingerprint: str, count: int, seed: int = 0
) -> FloatArray:
    """Return at most about `count` tokens (n, E) drawn evenly from the images, in a fixed order.

    Where a map repeats a token, as maps of words do in every cell without one, it counts once in that map: codebooks
    have to tell the others apart. `store` holds the blobs in a codec that needs no codebook. Raises InputError when
    there is no token.
    """
    random = np.random.default_rng(seed)
    share = -(-count // max(1, len(image_ids)))
    parts: list[FloatArray] = []
    for image_id in image_ids:
        blob = store.get([blob_key(fingerprint, image_id)])[0]
        token_map = None if blob is None else unpack(blob, fingerprint=fingerprint).token_map
        if token_map is None:
            continue
        tokens_NE = token_map.tokens_HWE.reshape(-1, token_map.tokens_HWE.shape[2])
        different_NE = np.unique(tokens_NE, axis=0)
        chosen = np.sort(random.permutation(len(different_NE))[:share])
        parts.append(different_NE[chosen])
    if not parts:
        raise InputError(f"none of {len(image_ids)} images has a token map to fit a codebook on")
    return np.concatenate(parts)
