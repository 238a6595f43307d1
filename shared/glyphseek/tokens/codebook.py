"""What a model's token maps are packed with beyond a plain codec: a projection, centroids, bucket values.

A codebook belongs to a model: its file lies beside the weights, the manifest names its hash, and every blob that needs
it to be read names it by fingerprint.

Shape legend: N tokens, E the model's token width, P the stored width (E without a projection), C centroids, Q queries.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from glyphseek.errors import InputError, SettingError
from glyphseek.tokens.residual import MOST_CENTROIDS, tabulate_bytes
from glyphseek.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenCodebook:
    """Tables fitted on sample tokens (`fitting.fit_codebook`). Raises InputError for shapes that disagree.

    token_width: E. mean_E and basis_PE: tokens are stored as basis (x - mean); the basis has orthonormal rows, so that
    a similarity <q, x> is <q, mean> + <basis q, stored>, up to the part of x - mean outside the basis. None: as they
    are. centroids_CP (at most 65,536) with values4_P16 and values2_P4: see `residual`; rising along the last axis.
    """

    token_width: int
    mean_E: FloatArray | None = None
    basis_PE: FloatArray | None = None
    centroids_CP: FloatArray | None = None
    values4_P16: FloatArray | None = None
    values2_P4: FloatArray | None = None
    fingerprint: str = field(init=False)
    """32 hex digits that change whenever any table does."""

    def __post_init__(self) -> None:
        _check(self)
        for table in self.tables().values():
            table.flags.writeable = False
        object.__setattr__(self, "fingerprint", _hash(self))

    @property
    def stored_width(self) -> int:
        """Return P."""
        return self.token_width if self.basis_PE is None else len(self.basis_PE)

    def tables(self) -> dict[str, FloatArray]:
        """Return the tables it has, by their names."""
        names = ("mean_E", "basis_PE", "centroids_CP", "values4_P16", "values2_P4")
        return {name: table for name in names if (table := getattr(self, name)) is not None}

    def residual_tables(self, bits: int) -> tuple[FloatArray, FloatArray]:
        """Return centroids and bucket values for codes of 4 or 2 bits. Raises SettingError when it has none."""
        values_PB = {4: self.values4_P16, 2: self.values2_P4}[bits]
        if self.centroids_CP is None or values_PB is None:
            raise SettingError(f"codebook {self.fingerprint} has no tables for codes of {bits} bits")
        return self.centroids_CP, values_PB

    def byte_tables(self, bits: int) -> tuple[FloatArray, FloatArray]:
        """Return centroids and `residual.tabulate_bytes` of the bucket values; made once. Raises as above."""
        return self.residual_tables(bits)[0], _tabulate(self, bits)

    def project(self, tokens_NE: FloatArray) -> FloatArray:
        """Return (N, P): tokens as they are stored. Raises InputError for tokens of another width than E."""
        if tokens_NE.shape[-1] != self.token_width:
            raise InputError(f"tokens have width {tokens_NE.shape[-1]}, the codebook is for {self.token_width}")
        if self.basis_PE is None or self.mean_E is None:
            return tokens_NE
        return np.asarray((tokens_NE - self.mean_E) @ self.basis_PE.T, dtype=np.float32)

    def expand(self, tokens_NP: FloatArray) -> FloatArray:
        """Return (N, E): the tokens of full width that lie nearest to what was stored."""
        if self.basis_PE is None or self.mean_E is None:
            return tokens_NP
        return np.asarray(tokens_NP @ self.basis_PE + self.mean_E, dtype=np.float32)


@lru_cache(maxsize=16)
def _tabulate(codebook: TokenCodebook, bits: int) -> FloatArray:
    return tabulate_bytes(codebook.residual_tables(bits)[1])


def _check(codebook: TokenCodebook) -> None:
    """Raise InputError unless all tables fit each other."""
    centroids = 0 if codebook.centroids_CP is None else len(codebook.centroids_CP)
    stored = codebook.stored_width
    wanted = {
        "mean_E": (codebook.token_width,),
        "basis_PE": (stored, codebook.token_width),
        "centroids_CP": (centroids, stored),
        "values4_P16": (stored, 16),
        "values2_P4": (stored, 4),
    }
    for name, table in codebook.tables().items():
        if table.shape != wanted[name] or table.dtype != np.float32 or not np.isfinite(table).all():
            raise InputError(
                f"codebook table {name} is {table.dtype} of shape {table.shape}, expected finite float32 of "
                f"shape {wanted[name]}"
            )
    if (codebook.mean_E is None) != (codebook.basis_PE is None):
        raise InputError("a codebook has a mean and a basis, or neither")
    if not (codebook.centroids_CP is None or 1 <= centroids <= MOST_CENTROIDS):
        raise InputError(f"a codebook has {centroids} centroids, the limits are 1 and {MOST_CENTROIDS}")
    if not 1 <= stored <= codebook.token_width:
        raise InputError(f"a codebook stores tokens of width {codebook.token_width} at width {stored}")
    for values_PB in (codebook.values4_P16, codebook.values2_P4):
        if values_PB is not None and (np.diff(values_PB, axis=1) < 0).any():
            raise InputError("bucket values of a codebook fall, they must rise")


def _hash(codebook: TokenCodebook) -> str:
    told = hashlib.sha256(f"glyphseek codebook 1, width {codebook.token_width}".encode())
    for name, table in codebook.tables().items():
        told.update(f"|{name} {table.shape}|".encode())
        told.update(np.ascontiguousarray(table, dtype="<f4").tobytes())
    return told.hexdigest()[:32]
