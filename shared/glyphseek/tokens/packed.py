"""The token map of a blob as it lies in the blob: checked once, read without a copy, scored without unpacking.

Shape legend: H and W rows and columns of the map, N tokens that were kept, in row-major order, E the model's token
width, P the stored width, R bytes of one token's codes, D width of the global vector, C centroids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphseek.errors import BlobDamaged, BlobForeign
from glyphseek.tokens import fp16, int8, residual
from glyphseek.tokens.codebook import TokenCodebook
from glyphseek.tokens.codecs import CODECS, CodecName
from glyphseek.tokens.encoding import LIKELIHOOD_STEPS
from glyphseek.tokens.header import read_header_of
from glyphseek.tokens.layout import BlobHeader, Sections
from glyphseek.tokens.residual import CodeArray, IdArray
from glyphseek.tokens.units import read_unit
from glyphseek.types import FloatArray

_INFINITE_HALF = np.uint16(0x7C00)
_LARGEST_SCALE_BITS = np.float32(int8.LARGEST_SCALE).view(np.uint32)
"""Bits of floats rise with the floats, and those of negative ones, infinities and NaN lie above: one comparison."""
CodeArrays = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.int8] | CodeArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedTokens:
    """A view of one blob's token map; the arrays share the blob's memory and cannot be written.

    shape: (H, W, E). codes: fp32 and fp16 (N, P) floats; int8 (N, P) int8, to be multiplied by scales_N; residual codes
    (N, R) uint8 beside centroid_ids_N. likelihood_N: text likelihood in 255ths, None where it is 1. kept_N: the cells
    that were kept, None for all. global_vector_D: unit norm, None where the blob has none. nbytes: the memory it keeps.
    """

    codec: CodecName
    shape: tuple[int, int, int]
    codes: CodeArrays
    scales_N: FloatArray | None
    centroid_ids_N: IdArray | None
    likelihood_N: CodeArray | None
    kept_N: NDArray[np.intp] | None
    global_vector_D: FloatArray | None
    codebook: TokenCodebook | None
    nbytes: int

    def __len__(self) -> int:
        """Return N."""
        return len(self.codes)

    @property
    def stored_width(self) -> int:
        """Return P."""
        return self.shape[2] if self.codebook is None else self.codebook.stored_width

    def decode_stored(self) -> FloatArray:
        """Return (N, P) float32: the tokens at the width they are stored in."""
        bits = CODECS[self.codec].residual_bits
        if bits is not None and self.centroid_ids_N is not None and self.codebook is not None:
            codes_NR = self.codes.view(np.uint8)
            return residual.decode(self.centroid_ids_N, codes_NR, *self.codebook.byte_tables(bits))
        if self.scales_N is not None:
            return np.multiply(self.codes, self.scales_N[:, None], dtype=np.float32)
        if self.codec is CodecName.FP16:
            return fp16.widen(self.codes.view(np.float16))
        return self.codes.astype(np.float32)

    def decode(self) -> FloatArray:
        """Return (N, E) float32: the tokens at full width, near those that were packed (see the codec's bound)."""
        stored_NP = self.decode_stored()
        return stored_NP if self.codebook is None else self.codebook.expand(stored_NP)

    def decode_likelihood(self) -> FloatArray:
        """Return (N,) float32: the text likelihood of the kept tokens, within 1 / 510 of what was packed."""
        if self.likelihood_N is None:
            return np.ones(len(self), dtype=np.float32)
        return np.divide(self.likelihood_N, LIKELIHOOD_STEPS, dtype=np.float32)

    def spread(self, values_N: FloatArray) -> FloatArray:
        """Return values of the kept tokens as a map (H, W); cells of dropped ones get 0."""
        rows, columns, _ = self.shape
        if self.kept_N is None:
            return values_N.reshape(rows, columns)
        cells = np.zeros(rows * columns, dtype=np.float32)
        cells[self.kept_N] = values_N
        return cells.reshape(rows, columns)


def open_tokens(blob: bytes, *, fingerprint: str, codebook: TokenCodebook | None = None) -> PackedTokens:
    """Return the token map of a blob of the model `fingerprint`, all of it checked, nothing of it copied.

    `codebook` is the model's; a blob that needs none is opened with any. Raises BlobDamaged (also for a sound checksum
    over codes that mean nothing: scales or halves that are not finite, centroids that do not exist), BlobForeign for
    another version, model or codebook or for a blob without a token map.
    """
    header = read_header_of(blob, fingerprint)
    if header.tokens_shape is None:
        raise BlobForeign("blob holds no token map")
    return view_tokens(blob, header, codebook)


def view_tokens(blob: bytes, header: BlobHeader, codebook: TokenCodebook | None) -> PackedTokens:
    """Return the token map of a blob whose header was read and has one. Raises as `open_tokens` does."""
    owned = _find_codebook(header, codebook)
    sections = header.sections
    kept_N = _read_mask(blob, header, sections)
    codes, scales_N, centroid_ids_N = _read_tokens(blob, header, sections.tokens.start)
    _check_tokens(header.codec, codes, scales_N, centroid_ids_N, owned)
    global_vector_D = None
    if header.global_width is not None:
        codec = CODECS[header.codec].vectors
        global_vector_D = read_unit(memoryview(blob)[sections.global_vector], codec, header.global_width)
    return PackedTokens(
        codec=header.codec,
        shape=header.tokens_shape or (0, 0, 0),
        codes=codes,
        scales_N=scales_N,
        centroid_ids_N=centroid_ids_N,
        likelihood_N=_read_likelihood(blob, header, sections),
        kept_N=kept_N,
        global_vector_D=global_vector_D,
        codebook=owned,
        nbytes=len(blob) + (0 if kept_N is None else kept_N.nbytes) + 4 * (header.global_width or 0),
    )


def _find_codebook(header: BlobHeader, codebook: TokenCodebook | None) -> TokenCodebook | None:
    """Return the codebook that the tokens need, None for none."""
    if header.codebook is None:
        return None
    if codebook is None or codebook.fingerprint != header.codebook:
        given = "no codebook was given" if codebook is None else f"expected {codebook.fingerprint}"
        raise BlobForeign(f"blob is packed with codebook {header.codebook}, {given}")
    widths = (header.stored_width, header.tokens_shape[2] if header.tokens_shape else None)
    if widths != (codebook.stored_width, codebook.token_width):
        raise BlobDamaged(f"blob stores tokens of widths {widths} with codebook {codebook.fingerprint} of other widths")
    return codebook


def _read_tokens(blob: bytes, header: BlobHeader, start: int) -> tuple[CodeArrays, FloatArray | None, IdArray | None]:
    tokens, width = header.stored_tokens, header.stored_width or 0
    bits = CODECS[header.codec].residual_bits
    if bits is not None:
        ids_N = np.frombuffer(blob, dtype="<u2", count=tokens, offset=start)
        row = residual.row_bytes(width, bits)
        codes_NR = np.frombuffer(blob, dtype=np.uint8, count=tokens * row, offset=start + 2 * tokens)
        return codes_NR.reshape(tokens, row), None, ids_N
    if header.codec is CodecName.INT8:
        scales_N = np.frombuffer(blob, dtype="<f4", count=tokens, offset=start)
        steps_NP = np.frombuffer(blob, dtype=np.int8, count=tokens * width, offset=start + 4 * tokens)
        return steps_NP.reshape(tokens, width), scales_N, None
    dtype = "<f2" if header.codec is CodecName.FP16 else "<f4"
    values_NP = np.frombuffer(blob, dtype=dtype, count=tokens * width, offset=start)
    return values_NP.reshape(tokens, width), None, None


def _check_tokens(
    codec: CodecName,
    codes: CodeArrays,
    scales_N: FloatArray | None,
    centroid_ids_N: IdArray | None,
    codebook: TokenCodebook | None,
) -> None:
    if codec is CodecName.FP32 and not np.isfinite(codes).all():
        raise BlobDamaged("blob holds a token that is not finite")
    if codec is CodecName.FP16 and (codes.view(np.uint16) & _INFINITE_HALF == _INFINITE_HALF).any():
        raise BlobDamaged("blob holds a token that is not finite")
    if scales_N is not None and scales_N.view(np.uint32).max(initial=0) > _LARGEST_SCALE_BITS:
        raise BlobDamaged("blob holds a scale that is negative or beyond float32")
    if centroid_ids_N is not None and len(centroid_ids_N):
        tables = None if codebook is None else codebook.centroids_CP
        bits = CODECS[codec].residual_bits
        if codebook is None or tables is None or bits is None:
            raise BlobDamaged("blob holds residual codes, its codebook has no centroids")
        if int(centroid_ids_N.max()) >= len(tables):
            raise BlobDamaged(f"blob names centroid {centroid_ids_N.max()}, its codebook has {len(tables)}")


def _read_likelihood(blob: bytes, header: BlobHeader, sections: Sections) -> CodeArray | None:
    if not header.has_likelihood:
        return None
    buffer = memoryview(blob)[sections.likelihood]
    if header.version != 1:
        return np.frombuffer(buffer, dtype=np.uint8)
    likelihood_N = np.frombuffer(buffer, dtype="<f4")
    if not np.isfinite(likelihood_N).all():
        raise BlobDamaged("blob holds a likelihood that is not finite")
    return np.rint(np.clip(likelihood_N, 0, 1) * LIKELIHOOD_STEPS).astype(np.uint8)


def _read_mask(blob: bytes, header: BlobHeader, sections: Sections) -> NDArray[np.intp] | None:
    if header.kept_tokens is None:
        return None
    bits = np.unpackbits(np.frombuffer(memoryview(blob)[sections.mask], dtype=np.uint8), bitorder="little")
    kept_N = np.flatnonzero(bits)
    if len(kept_N) != header.kept_tokens or (len(kept_N) and kept_N[-1] >= header.cells):
        raise BlobDamaged(f"blob has a mask of {len(kept_N)} tokens, its header states {header.kept_tokens}")
    return kept_N
