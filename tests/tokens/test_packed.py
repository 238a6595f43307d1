from __future__ import annotations

import struct
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokens.makers import MODEL, OTHER, clustered_units, random_units, restamp

from glyphseek.errors import BlobDamaged, BlobError, BlobForeign, SettingError
from glyphseek.tokens import CodecName, TokenCodebook, inspect, open_tokens, pack, unpack, unpack_vectors
from glyphseek.tokens.fitting import FitSettings, fit_codebook
from glyphseek.types import FloatArray, ImageFeatures, TokenMap

WIDTH = 20
SAMPLE = clustered_units(np.random.default_rng(1), 400, WIDTH)
PLAIN = fit_codebook(SAMPLE, FitSettings(centroids=8, rounds=3))
NARROW = fit_codebook(SAMPLE, FitSettings(stored_width=6, centroids=8, rounds=3))
CODECS = pytest.mark.parametrize("codec", list(CodecName))
CASES = pytest.mark.parametrize(("codec", "codebook"), list(product(CodecName, [PLAIN, NARROW])))
RESIDUAL = (CodecName.RESIDUAL4, CodecName.RESIDUAL2)


def make_map(rows: int = 3, columns: int = 5) -> TokenMap:
    random = np.random.default_rng(rows)
    return TokenMap(
        tokens_HWE=clustered_units(random, rows * columns, WIDTH).reshape(rows, columns, WIDTH),
        text_likelihood_HW=random.random((rows, columns), dtype=np.float32),
    )


def write(
    token_map: TokenMap, codec: CodecName, codebook: TokenCodebook | None = PLAIN, *, keep_likelihood: float = 0.0
) -> bytes:
    features = ImageFeatures(global_vector_D=random_units(np.random.default_rng(9), 1, 7)[0], token_map=token_map)
    return pack(features, codec=codec, fingerprint=MODEL, codebook=codebook, keep_likelihood=keep_likelihood)


def flat(token_map: TokenMap) -> FloatArray:
    return token_map.tokens_HWE.reshape(-1, WIDTH)


@CASES
def test_opened_tokens_are_those_that_unpack_gives(codec: CodecName, codebook: TokenCodebook) -> None:
    blob = write(make_map(), codec, codebook)
    packed = open_tokens(blob, fingerprint=MODEL, codebook=codebook)
    found = unpack(blob, fingerprint=MODEL, codebook=codebook)
    assert found.token_map is not None
    assert packed.shape == (3, 5, WIDTH)
    assert len(packed) == 15
    assert packed.stored_width == codebook.stored_width
    np.testing.assert_array_equal(packed.decode(), flat(found.token_map))
    np.testing.assert_array_equal(packed.spread(packed.decode_likelihood()), found.token_map.text_likelihood_HW)
    np.testing.assert_array_equal(packed.global_vector_D, found.global_vector_D)


@pytest.mark.parametrize("codec", [CodecName.FP32, CodecName.FP16, CodecName.INT8])
def test_a_projection_loses_what_lies_beside_its_axes_and_the_codec_its_own_bound(codec: CodecName) -> None:
    tokens = flat(make_map())
    projected = NARROW.expand(NARROW.project(tokens))
    found = open_tokens(write(make_map(), codec, NARROW), fingerprint=MODEL, codebook=NARROW).decode()
    bound = {CodecName.FP32: 1e-6, CodecName.FP16: 1e-3, CodecName.INT8: 2e-2}[codec]
    assert np.linalg.norm(found - projected, axis=1).max() <= bound


@CODECS
def test_the_arrays_share_the_memory_of_the_blob_and_cannot_be_written(codec: CodecName) -> None:
    blob = write(make_map(), codec)
    packed = open_tokens(blob, fingerprint=MODEL, codebook=PLAIN)
    whole = np.frombuffer(blob, dtype=np.uint8)
    for array in (packed.codes, packed.scales_N, packed.centroid_ids_N, packed.likelihood_N):
        assert array is None or (np.shares_memory(array, whole) and not array.flags.writeable)


@CODECS
def test_scales_and_halves_are_aligned(codec: CodecName) -> None:
    packed = open_tokens(write(make_map(), codec), fingerprint=MODEL, codebook=PLAIN)
    for array in (packed.codes, packed.scales_N, packed.centroid_ids_N):
        assert array is None or array.flags.aligned


def test_the_memory_it_keeps_is_that_of_the_blob_and_the_global_vector() -> None:
    blob = write(make_map(), CodecName.INT8)
    assert open_tokens(blob, fingerprint=MODEL).nbytes == len(blob) + 4 * 7


def test_bytes_of_a_map_are_what_the_codec_says() -> None:
    token_map = TokenMap(tokens_HWE=make_map().tokens_HWE, text_likelihood_HW=np.ones((3, 5), dtype=np.float32))
    sizes = {codec: len(pack(ImageFeatures(token_map=token_map), codec=codec, fingerprint=MODEL, codebook=PLAIN)) - 80
             for codec in CodecName}  # fmt: skip
    assert sizes == {"fp32": 15 * 80, "fp16": 15 * 40, "int8": 15 * 24, "residual4": 15 * 12, "residual2": 15 * 7}


def test_a_likelihood_of_one_everywhere_takes_no_bytes_and_returns() -> None:
    ones = TokenMap(tokens_HWE=make_map().tokens_HWE, text_likelihood_HW=np.ones((3, 5), dtype=np.float32))
    packed = open_tokens(write(ones, CodecName.FP16), fingerprint=MODEL)
    assert packed.likelihood_N is None
    np.testing.assert_array_equal(packed.decode_likelihood(), np.ones(15))
    assert len(write(make_map(), CodecName.FP16)) - len(write(ones, CodecName.FP16)) == 15


@CASES
def test_a_mask_keeps_the_likely_tokens_in_their_cells(codec: CodecName, codebook: TokenCodebook) -> None:
    token_map = make_map()
    kept_HW = token_map.text_likelihood_HW >= 0.5
    packed = open_tokens(write(token_map, codec, codebook, keep_likelihood=0.5), fingerprint=MODEL, codebook=codebook)
    everything = open_tokens(write(token_map, codec, codebook), fingerprint=MODEL, codebook=codebook)
    assert 0 < len(packed) == kept_HW.sum() < 15
    np.testing.assert_allclose(packed.decode(), everything.decode()[kept_HW.ravel()], atol=1e-6)
    np.testing.assert_array_equal(packed.spread(np.ones(len(packed), np.float32)), kept_HW)
    likelihood_HW = packed.spread(packed.decode_likelihood())
    assert np.abs(likelihood_HW - token_map.text_likelihood_HW * kept_HW).max() <= 1 / 510 + 1e-6


def test_a_mask_takes_a_bit_a_cell_and_gives_back_the_bytes_of_the_dropped() -> None:
    full, kept = (write(make_map(), CodecName.INT8, None, keep_likelihood=keep) for keep in (0.0, 0.5))
    dropped = 15 - (inspect(kept).kept_tokens or 0)
    assert len(full) - len(kept) == dropped * (4 + WIDTH + 1) - 2


def test_the_likeliest_token_stays_however_unlikely() -> None:
    token_map = make_map()
    dark = TokenMap(tokens_HWE=token_map.tokens_HWE, text_likelihood_HW=token_map.text_likelihood_HW * np.float32(0.01))
    packed = open_tokens(write(dark, CodecName.INT8, keep_likelihood=0.9), fingerprint=MODEL)
    assert packed.kept_N is not None
    assert packed.kept_N.tolist() == [int(dark.text_likelihood_HW.argmax())]


def test_dropped_tokens_unpack_as_zeros_of_likelihood_zero() -> None:
    token_map = make_map()
    found = unpack(write(token_map, CodecName.FP32, None, keep_likelihood=0.5), fingerprint=MODEL).token_map
    assert found is not None
    dropped_HW = token_map.text_likelihood_HW < 0.5
    assert not found.tokens_HWE[dropped_HW].any()
    assert not found.text_likelihood_HW[dropped_HW].any()
    np.testing.assert_array_equal(found.tokens_HWE[~dropped_HW], token_map.tokens_HWE[~dropped_HW])


@pytest.mark.parametrize("keep", [-0.1, 1.1, float("nan")])
def test_an_impossible_mask_is_refused(keep: float) -> None:
    with pytest.raises(SettingError, match="the limits are 0 and 1"):
        write(make_map(), CodecName.INT8, keep_likelihood=keep)


@pytest.mark.parametrize("codec", RESIDUAL)
def test_residual_codes_need_a_codebook(codec: CodecName) -> None:
    with pytest.raises(SettingError, match=f"{codec} needs a codebook"):
        write(make_map(), codec, None)


@pytest.mark.parametrize("codec", RESIDUAL)
def test_a_blob_packed_with_another_codebook_is_foreign_and_both_are_named(codec: CodecName) -> None:
    blob = write(make_map(), codec, PLAIN)
    with pytest.raises(BlobForeign, match=f"{PLAIN.fingerprint}.*{NARROW.fingerprint}"):
        open_tokens(blob, fingerprint=MODEL, codebook=NARROW)
    with pytest.raises(BlobForeign, match="no codebook was given"):
        unpack(blob, fingerprint=MODEL)


def test_a_codec_without_projection_is_read_without_its_models_codebook() -> None:
    blob = write(make_map(), CodecName.INT8, PLAIN)
    assert inspect(blob).codebook is None
    np.testing.assert_array_equal(
        open_tokens(blob, fingerprint=MODEL).decode(), open_tokens(blob, fingerprint=MODEL, codebook=NARROW).decode()
    )


@CASES
def test_vectors_are_read_without_a_codebook(codec: CodecName, codebook: TokenCodebook) -> None:
    blob = write(make_map(), codec, codebook)
    found = unpack_vectors(blob, fingerprint=MODEL)
    assert found.token_map is None
    np.testing.assert_array_equal(
        found.global_vector_D, open_tokens(blob, fingerprint=MODEL, codebook=codebook).global_vector_D
    )


def test_a_blob_without_a_map_and_one_of_another_model_are_foreign() -> None:
    empty = pack(ImageFeatures(), codec=CodecName.INT8, fingerprint=MODEL)
    with pytest.raises(BlobForeign, match="no token map"):
        open_tokens(empty, fingerprint=MODEL)
    with pytest.raises(BlobForeign, match=OTHER):
        open_tokens(write(make_map(), CodecName.INT8), fingerprint=OTHER)


@CODECS
@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 0)])
def test_an_empty_map_returns_empty(codec: CodecName, shape: tuple[int, int]) -> None:
    empty = TokenMap(tokens_HWE=np.zeros((*shape, WIDTH), np.float32), text_likelihood_HW=np.zeros(shape, np.float32))
    packed = open_tokens(write(empty, codec, keep_likelihood=0.5), fingerprint=MODEL, codebook=PLAIN)
    assert packed.decode().shape == (0, WIDTH)
    assert packed.shape == (*shape, WIDTH)


# Version 1 as it was written: a global vector of one component, 1 x 2 tokens of width 2, likelihood in float32.
VERSION_1 = restamp(
    b"GSFB" + bytes(4) + struct.pack("<HBBB3x16sHHIHHHH", 1, 1, 1, 5, bytes.fromhex(MODEL), 1, 0, 0, 1, 2, 2, 0)
    + struct.pack("<e", 1.0) + struct.pack("<ff", 0.25, 1.0) + struct.pack("<eeee", 1.5, -2.0, 0.0, 0.5)
)  # fmt: skip


def test_version_1_is_still_read() -> None:
    packed = open_tokens(VERSION_1, fingerprint=MODEL)
    assert inspect(VERSION_1).version == 1
    assert packed.shape == (1, 2, 2)
    np.testing.assert_array_equal(packed.decode(), [[1.5, -2.0], [0.0, 0.5]])
    np.testing.assert_allclose(packed.decode_likelihood(), [0.25, 1.0], atol=1 / 510)
    np.testing.assert_array_equal(packed.global_vector_D, [1.0])


@CASES
def test_every_changed_byte_is_noticed(codec: CodecName, codebook: TokenCodebook) -> None:
    blob = write(make_map(1, 3), codec, codebook, keep_likelihood=0.4)
    for place in range(len(blob)):
        damaged = bytearray(blob)
        damaged[place] ^= 0x5A
        with pytest.raises(BlobDamaged):
            open_tokens(bytes(damaged), fingerprint=MODEL, codebook=codebook)


@CASES
def test_any_changed_byte_under_a_fitting_checksum_gives_finite_tokens_or_a_blob_error(
    codec: CodecName, codebook: TokenCodebook
) -> None:
    blob = write(make_map(1, 3), codec, codebook, keep_likelihood=0.4)
    refused = 0
    for place, change in product(range(8, len(blob)), (0x01, 0x40, 0x80, 0xFF)):
        forged = bytearray(blob)
        forged[place] ^= change
        try:
            packed = open_tokens(restamp(bytes(forged)), fingerprint=MODEL, codebook=codebook)
        except BlobError:
            refused += 1
            continue
        assert packed.decode().shape == (len(packed), packed.shape[2])
        assert np.isfinite(packed.decode()).all()
        assert packed.spread(packed.decode_likelihood()).shape == packed.shape[:2]
    assert refused >= 4 * 60  # nearly all of a header is beyond change


@settings(max_examples=500)
@given(
    version=st.integers(0, 3),
    codec=st.integers(0, 6),
    kinds=st.integers(0, 63),
    sides=st.lists(st.integers(0, 3), min_size=7, max_size=7),
    kept=st.integers(0, 4),
    owned=st.booleans(),
    payload=st.binary(max_size=120),
)
def test_any_header_under_a_fitting_checksum_gives_features_or_a_blob_error(
    version: int, codec: int, kinds: int, sides: list[int], kept: int, owned: bool, payload: bytes
) -> None:
    global_width, instance_width, instances, rows, columns, token_width, stored_width = sides
    codebook = bytes.fromhex(PLAIN.fingerprint) if owned else bytes(16)
    start = struct.pack("<HBBB3x16s", version, codec, codec, kinds, bytes.fromhex(MODEL))
    places = (global_width, instance_width, instances, rows, columns, token_width)
    if version == 1:
        start += struct.pack("<HHIHHHH", *places, 0)
    else:
        start += struct.pack("<16sHHIHHHHI12x", codebook, *places, stored_width, kept)
    blob = restamp(b"GSFB" + bytes(4) + start + payload)
    try:
        found = unpack(blob, fingerprint=MODEL, codebook=PLAIN)
    except BlobError:
        return
    if found.token_map is not None:
        assert np.isfinite(found.token_map.tokens_HWE).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 3e36])
def test_a_scale_that_no_codec_writes_is_damage_under_any_checksum(value: float) -> None:
    blob = bytearray(write(make_map(), CodecName.INT8))
    blob[80:84] = struct.pack("<f", value)
    with pytest.raises(BlobDamaged, match="scale"):
        open_tokens(restamp(bytes(blob)), fingerprint=MODEL)


@pytest.mark.parametrize("codec", [CodecName.FP32, CodecName.FP16])
def test_a_token_that_is_not_finite_is_damage_under_any_checksum(codec: CodecName) -> None:
    blob = bytearray(write(make_map(), codec))
    blob[80:84] = struct.pack("<f", np.inf) if codec is CodecName.FP32 else struct.pack("<ee", np.inf, 0)
    with pytest.raises(BlobDamaged, match="not finite"):
        open_tokens(restamp(bytes(blob)), fingerprint=MODEL)


def test_a_centroid_that_does_not_exist_is_damage_under_any_checksum() -> None:
    blob = bytearray(write(make_map(), CodecName.RESIDUAL4))
    blob[80:82] = struct.pack("<H", 8)
    with pytest.raises(BlobDamaged, match=r"centroid 8.*has 8"):
        open_tokens(restamp(bytes(blob)), fingerprint=MODEL, codebook=PLAIN)


def test_a_mask_that_does_not_fit_its_count_is_damage_under_any_checksum() -> None:
    blob = bytearray(write(make_map(), CodecName.INT8, None, keep_likelihood=0.5))
    mask_at = 80 + (inspect(bytes(blob)).kept_tokens or 0) * (4 + WIDTH + 1)
    blob[mask_at] ^= 1
    with pytest.raises(BlobDamaged, match="mask"):
        open_tokens(restamp(bytes(blob)), fingerprint=MODEL)
