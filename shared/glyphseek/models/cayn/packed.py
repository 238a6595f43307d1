"""K stored token maps as one batch in torch: similarities, softmax and weighted sums without unpacking to full width.

All that PFCA needs of stored tokens x is <q, x> and sum w x. Both stay in the space of the blob:

    int8        x = s c           <q, x> = s <q, c>               sum w x = sum (w s) c
    projection  x = m + B'y       <q, x> = <q, m> + <B q, y>      sum w x = (sum w) m + B' sum w y
    residual    y = centroid + r  <q, y> = <q, centroid> + <q, r>, and one sum over centroids beside one over r

so codes are never scaled, never moved to their centroid and never widened; `packed_rows` multiplies them. Halves become
floats once a batch, and so do residual codes, through a table of 256 byte values a column: 1.1 ms for 32 maps of 400 x
128 at four bits. Reading similarities straight from such tables (asymmetric distances) takes 0.7 ms, but that for each
query, and weighted sums would take as long again; the floats serve all queries and both, so codes are unpacked.

Shape legend: K maps, N tokens of all maps together, map after map, E the model's token width, P the stored width,
C centroids, Q queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glyphseek.errors import InputError
from glyphseek.models.cayn.packed_rows import DeviceRows, HostRows, Rows, softmax_last, starts_of, sum_rows
from glyphseek.tokens import fp16
from glyphseek.tokens.codebook import TokenCodebook
from glyphseek.tokens.codecs import CODECS, CodecName
from glyphseek.tokens.packed import PackedTokens
from glyphseek.tokens.residual import look_up
from glyphseek.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tables:
    """A codebook in torch: what is added to and multiplied with the codes of tokens."""

    mean_E: Tensor | None = None
    basis_PE: Tensor | None = None
    centroids_CP: Tensor | None = None


class TokenBatch:
    """The tokens of `maps`, one map after the other; `sizes` says how many each has. Made anew for each rerank.

    Maps of one codec and codebook are scored as they are packed; a mixture is unpacked to full width. Raises InputError
    without maps, or for maps of different token widths.
    """

    def __init__(self, maps: Sequence[PackedTokens], *, device: str = "cpu") -> None:
        widths = {one.shape[2] for one in maps}
        if len(widths) != 1:
            raise InputError(f"a batch needs token maps of one width, these have {sorted(widths)}")
        self.width = widths.pop()
        self.sizes = tuple(len(one) for one in maps)
        self._maps = tuple(maps)
        self._device = device
        self._starts_K = starts_of(self.sizes, device)
        self._scales_N: Tensor | None = None
        self._centroid_ids_N: Tensor | None = None
        self._tables = _Tables()
        first = maps[0]
        if any((one.codec, one.codebook) != (first.codec, first.codebook) for one in maps):
            self._rows = self._put_rows([one.decode() for one in maps])
            return
        if first.codebook is not None:
            self._tables = _load_tables(first.codebook, CODECS[first.codec].residual_bits, device)
        self._rows = self._put_rows([_read_codes(one) for one in maps])
        if first.scales_N is not None:
            self._scales_N = self._join([one.scales_N for one in maps if one.scales_N is not None])
        if first.centroid_ids_N is not None:
            self._centroid_ids_N = self._join(
                [one.centroid_ids_N.astype(np.int64) for one in maps if one.centroid_ids_N is not None]
            )

    def __len__(self) -> int:
        """Return N."""
        return sum(self.sizes)

    def dots(self, queries_QE: Tensor) -> Tensor:
        """Return (Q, N) float32: the inner product of each query with each token."""
        tables = self._tables
        queries_QP = queries_QE if tables.basis_PE is None else queries_QE @ tables.basis_PE.T
        dots_QN = self._rows.multiply(queries_QP)
        if self._scales_N is not None:
            dots_QN *= self._scales_N
        if self._centroid_ids_N is not None and tables.centroids_CP is not None:
            dots_QN += (queries_QP @ tables.centroids_CP.T).index_select(1, self._centroid_ids_N)
        if tables.mean_E is not None:
            dots_QN += (queries_QE @ tables.mean_E)[:, None]
        return dots_QN

    def softmax(self, logits_QN: Tensor) -> Tensor:
        """Return (Q, N): the softmax over the tokens of each map by itself."""
        maps, longest = len(self.sizes), max(self.sizes)
        if min(self.sizes) == longest:
            return softmax_last(logits_QN.unflatten(1, (maps, longest))).flatten(1)
        starts = np.repeat(longest * np.arange(maps) - self._starts_K.numpy(force=True), self.sizes)
        places_N = torch.from_numpy(starts + np.arange(len(self))).to(self._device)
        padded_QM = logits_QN.new_full((len(logits_QN), maps * longest), -torch.inf)
        padded_QM[:, places_N] = logits_QN
        return softmax_last(padded_QM.unflatten(1, (maps, longest))).flatten(1).index_select(1, places_N)

    def weighted_sums(self, weights_QN: Tensor) -> Tensor:
        """Return (Q, K, E) float32: for each query and map the sum of weight x token over the tokens of the map."""
        tables = self._tables
        scaled_QN = weights_QN if self._scales_N is None else weights_QN * self._scales_N
        sums_QKP = self._rows.sum_up(scaled_QN)
        if self._centroid_ids_N is not None and tables.centroids_CP is not None:
            sums_QKP += sum_rows(tables.centroids_CP, self._centroid_ids_N, weights_QN, self._starts_K)
        if tables.basis_PE is None or tables.mean_E is None:
            return sums_QKP
        totals_QK1 = sum_rows(weights_QN.new_ones((len(self), 1)), None, weights_QN, self._starts_K)
        return sums_QKP @ tables.basis_PE + totals_QK1 * tables.mean_E

    def likelihoods(self) -> Tensor:
        """Return (N,) float32: the text likelihood of each token, in [0, 1]."""
        return self._join([one.decode_likelihood() for one in self._maps])

    def split(self, values_N: Tensor) -> tuple[Tensor, ...]:
        """Return the values of each map's tokens; `PackedTokens.spread` puts them on the map."""
        return values_N.split(self.sizes)

    def _put_rows(self, maps: Sequence[NDArray[np.generic]]) -> Rows:
        if torch.device(self._device).type == "cpu":
            return HostRows(maps)
        return DeviceRows(self._join(maps).float(), self.sizes)

    def _join(self, parts: Sequence[NDArray[np.generic]]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts)).to(self._device)


@lru_cache(maxsize=8)
def _load_tables(codebook: TokenCodebook, bits: int | None, device: str) -> _Tables:
    """Return the codebook's tables on the device, with those of `bits` where the codec has codes of so many."""

    def put(table: FloatArray | None) -> Tensor | None:
        return None if table is None else torch.from_numpy(table.copy()).to(device)

    if bits is None:
        return _Tables(mean_E=put(codebook.mean_E), basis_PE=put(codebook.basis_PE))
    return _Tables(
        mean_E=put(codebook.mean_E),
        basis_PE=put(codebook.basis_PE),
        centroids_CP=put(codebook.residual_tables(bits)[0]),
    )


def _read_codes(one: PackedTokens) -> NDArray[np.generic]:
    """Return the (n, P) numbers of a map before scales, centroids and projection, as int8 or float32."""
    bits = CODECS[one.codec].residual_bits
    if one.codec is CodecName.FP16:
        return fp16.widen(one.codes.view(np.float16))
    if bits is None or one.codebook is None:
        return one.codes
    _, bytes_RBS = one.codebook.byte_tables(bits)
    return look_up(one.codes.view(np.uint8), bytes_RBS)[:, : one.stored_width]
