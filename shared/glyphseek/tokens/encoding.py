"""A token map to bytes: project, drop what the mask leaves out, encode, and keep the text likelihood in eight bits.

Shape legend: H and W rows and columns of the map, N tokens that are kept, in row-major order, E and P their width
before and after the projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphseek.errors import InputError, SettingError
from glyphseek.tokens import residual
from glyphseek.tokens.codebook import TokenCodebook
from glyphseek.tokens.codecs import CODECS, CodecName
from glyphseek.types import FloatArray, TokenMap

LIKELIHOOD_STEPS = np.float32(255)
"""A likelihood is stored as a multiple of 1 / 255, so it returns within 1 / 510."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedMap:
    """The payload of a token map (tokens, likelihood, mask) and what the header has to say of it."""

    payload: bytes
    stored_width: int
    kept_tokens: int | None
    has_likelihood: bool
    codebook: str | None


def encode_map(
    token_map: TokenMap, *, codec: CodecName, codebook: TokenCodebook | None, keep_likelihood: float
) -> EncodedMap:
    """Return the map as bytes. All arrays are finite and of shapes that agree.

    Tokens with a text likelihood below `keep_likelihood` are dropped, except that the likeliest one always stays; 0
    keeps all. Raises InputError for a likelihood outside [0, 1] or a value that the codec cannot hold, SettingError for
    a codec that needs tables that the codebook has not.
    """
    rows, columns, width = token_map.tokens_HWE.shape
    tokens_NE = token_map.tokens_HWE.reshape(rows * columns, width)
    likelihood_N = token_map.text_likelihood_HW.reshape(-1)
    _check_likelihood(likelihood_N, keep_likelihood)
    kept_N = None if keep_likelihood <= 0 or not len(likelihood_N) else choose(likelihood_N, keep_likelihood)
    if kept_N is not None:
        tokens_NE, likelihood_N = tokens_NE[kept_N], likelihood_N[kept_N]
    has_likelihood = bool((likelihood_N != 1).any())
    parts = [_encode_tokens(tokens_NE, codec, codebook)]
    if has_likelihood:
        parts.append(np.rint(likelihood_N * LIKELIHOOD_STEPS).astype(np.uint8).tobytes())
    if kept_N is not None:
        parts.append(np.packbits(kept_N, bitorder="little").tobytes())
    needs_codebook = codebook is not None and (codebook.basis_PE is not None or CODECS[codec].residual_bits is not None)
    return EncodedMap(
        payload=b"".join(parts),
        stored_width=codebook.stored_width if codebook is not None else width,
        kept_tokens=None if kept_N is None else int(np.count_nonzero(kept_N)),
        has_likelihood=has_likelihood,
        codebook=codebook.fingerprint if codebook is not None and needs_codebook else None,
    )


def choose(likelihood_N: FloatArray, keep_likelihood: float) -> NDArray[np.bool_]:
    """Return which tokens stay: those at `keep_likelihood` or above, and the first of the likeliest in any case."""
    kept_N = likelihood_N >= keep_likelihood
    kept_N[likelihood_N.argmax()] = True
    return kept_N


def _encode_tokens(tokens_NE: FloatArray, codec: CodecName, codebook: TokenCodebook | None) -> bytes:
    stored_NP = tokens_NE if codebook is None else codebook.project(tokens_NE)
    bits = CODECS[codec].residual_bits
    if bits is None:
        return CODECS[codec].vectors.encode(stored_NP)
    if codebook is None:
        raise SettingError(f"codec {codec} needs a codebook, and this model has none; use fp16 or int8")
    return residual.encode(stored_NP, *codebook.residual_tables(bits))


def _check_likelihood(likelihood_N: FloatArray, keep_likelihood: float) -> None:
    if not 0 <= keep_likelihood <= 1:
        raise SettingError(f"tokens are kept from a likelihood of {keep_likelihood} on, the limits are 0 and 1")
    lowest, highest = likelihood_N.min(initial=0.0), likelihood_N.max(initial=1.0)
    if lowest < 0 or highest > 1:
        raise InputError(f"text likelihood goes from {lowest:g} to {highest:g}, the limits are 0 and 1")
