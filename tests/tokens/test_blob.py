from __future__ import annotations

import random
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyphseek.errors import BlobDamaged, BlobError, BlobForeign, InputError, SettingError
from glyphseek.tokens import BlobHeader, CodecName, inspect, pack, unpack
from glyphseek.types import FloatArray, ImageFeatures, Instances, TokenMap

MODEL = "0123456789abcdef" * 2
OTHER = "f" * 32
CODECS = pytest.mark.parametrize("codec", list(CodecName))


def random_units(rng: np.random.Generator, rows: int, width: int) -> FloatArray:
    vectors = rng.standard_normal((rows, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_features(instances: int = 5, width: int = 64) -> ImageFeatures:
    rng = np.random.default_rng(7)
    return ImageFeatures(
        global_vector_D=random_units(rng, 1, 96)[0],
        instances=Instances(
            vectors_ND=random_units(rng, instances, width),
            boxes_N4=rng.random((instances, 4), dtype=np.float32),
            scores_N=rng.random(instances, dtype=np.float32),
        ),
        token_map=TokenMap(
            tokens_HWE=rng.standard_normal((3, 4, 16)).astype(np.float32),
            text_likelihood_HW=rng.random((3, 4), dtype=np.float32),
        ),
    )


def restamp(blob: bytes) -> bytes:
    """Return the blob with a checksum that fits what it now holds."""
    return blob[:4] + struct.pack("<I", zlib.crc32(blob[8:])) + blob[8:]


@CODECS
def test_all_three_kinds_return_in_their_shapes_as_float32(codec: CodecName) -> None:
    features = make_features()
    found = unpack(pack(features, codec=codec, fingerprint=MODEL), fingerprint=MODEL)
    assert found.global_vector_D is not None
    assert found.instances is not None
    assert found.token_map is not None
    assert found.global_vector_D.shape == (96,)
    assert found.instances.vectors_ND.shape == (5, 64)
    assert found.token_map.tokens_HWE.shape == (3, 4, 16)
    for array in (found.global_vector_D, found.instances.vectors_ND, found.token_map.tokens_HWE):
        assert array.dtype == np.float32
        assert array.flags.writeable


@CODECS
def test_boxes_scores_and_likelihood_return_exactly(codec: CodecName) -> None:
    features = make_features()
    found = unpack(pack(features, codec=codec, fingerprint=MODEL), fingerprint=MODEL)
    assert features.instances is not None
    assert features.token_map is not None
    assert found.instances is not None
    assert found.token_map is not None
    np.testing.assert_array_equal(found.instances.boxes_N4, features.instances.boxes_N4)
    np.testing.assert_array_equal(found.instances.scores_N, features.instances.scores_N)
    np.testing.assert_array_equal(found.token_map.text_likelihood_HW, features.token_map.text_likelihood_HW)


@CODECS
@pytest.mark.parametrize("kind", ["global_vector_D", "instances", "token_map"])
def test_an_absent_kind_returns_as_none_and_leaves_the_others(codec: CodecName, kind: str) -> None:
    full = make_features()
    kinds = {name: getattr(full, name) for name in ("global_vector_D", "instances", "token_map") if name != kind}
    found = unpack(pack(ImageFeatures(**kinds), codec=codec, fingerprint=MODEL), fingerprint=MODEL)
    present = {name for name in ("global_vector_D", "instances", "token_map") if getattr(found, name) is not None}
    assert present == set(kinds)


@CODECS
def test_no_feature_at_all_makes_a_blob_of_the_header_alone(codec: CodecName) -> None:
    blob = pack(ImageFeatures(), codec=codec, fingerprint=MODEL)
    assert len(blob) == 48
    assert unpack(blob, fingerprint=MODEL) == ImageFeatures()


@CODECS
def test_an_image_without_words_keeps_its_empty_instances(codec: CodecName) -> None:
    found = unpack(pack(make_features(instances=0), codec=codec, fingerprint=MODEL), fingerprint=MODEL)
    assert found.instances is not None
    assert len(found.instances) == 0
    assert found.instances.vectors_ND.shape == (0, 64)
    assert found.instances.boxes_N4.shape == (0, 4)


@CODECS
def test_decoded_vectors_are_of_unit_norm(codec: CodecName) -> None:
    found = unpack(pack(make_features(), codec=codec, fingerprint=MODEL), fingerprint=MODEL)
    assert found.instances is not None
    assert found.global_vector_D is not None
    np.testing.assert_allclose(np.linalg.norm(found.instances.vectors_ND, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.global_vector_D), 1, atol=1e-6)


@CODECS
def test_a_vector_of_zeros_stays_one(codec: CodecName) -> None:
    features = ImageFeatures(global_vector_D=np.zeros(8, dtype=np.float32))
    found = unpack(pack(features, codec=codec, fingerprint=MODEL), fingerprint=MODEL)
    np.testing.assert_array_equal(found.global_vector_D, np.zeros(8))


@pytest.mark.parametrize(("codec", "bound"), [(CodecName.FP16, 1e-3), (CodecName.INT8, 0.02)])
@pytest.mark.parametrize("width", [64, 512, 768, 2048])
def test_random_unit_vectors_return_within_the_written_bound(codec: CodecName, bound: float, width: int) -> None:
    vectors = random_units(np.random.default_rng(width), 200, width)
    boxes, scores = np.zeros((200, 4), dtype=np.float32), np.zeros(200, dtype=np.float32)
    features = ImageFeatures(instances=Instances(vectors_ND=vectors, boxes_N4=boxes, scores_N=scores))
    found = unpack(pack(features, codec=codec, fingerprint=MODEL), fingerprint=MODEL)
    assert found.instances is not None
    assert np.linalg.norm(found.instances.vectors_ND - vectors, axis=1).max() <= bound


def test_inspect_tells_codec_model_and_shapes() -> None:
    assert inspect(pack(make_features(), codec=CodecName.INT8, fingerprint=OTHER)) == BlobHeader(
        codec=CodecName.INT8,
        fingerprint=OTHER,
        global_width=96,
        instances_shape=(5, 64),
        tokens_shape=(3, 4, 16),
    )


def test_int8_takes_about_half_the_bytes_of_fp16() -> None:
    small, large = (
        len(pack(make_features(30, 768), codec=codec, fingerprint=MODEL)) for codec in (CodecName.INT8, CodecName.FP16)
    )
    assert small < 0.55 * large


def test_packing_twice_gives_the_same_bytes() -> None:
    first, second = (pack(make_features(), codec=CodecName.FP16, fingerprint=MODEL) for _ in range(2))
    assert first == second


def test_a_blob_of_another_model_is_foreign_and_both_are_named() -> None:
    blob = pack(make_features(), codec=CodecName.FP16, fingerprint=OTHER)
    with pytest.raises(BlobForeign, match=f"{OTHER}.*{MODEL}"):
        unpack(blob, fingerprint=MODEL)


def test_a_sound_blob_of_another_version_is_foreign() -> None:
    blob = bytearray(pack(make_features(), codec=CodecName.FP16, fingerprint=MODEL))
    blob[8:10] = struct.pack("<H", 2)
    with pytest.raises(BlobForeign, match="version 2, expected 1"):
        unpack(restamp(bytes(blob)), fingerprint=MODEL)


def test_a_sound_blob_with_an_unknown_codec_is_foreign_and_the_known_are_listed() -> None:
    blob = bytearray(pack(make_features(), codec=CodecName.FP16, fingerprint=MODEL))
    blob[10] = 99
    with pytest.raises(BlobForeign, match=r"codec 99.*fp16.*int8"):
        unpack(restamp(bytes(blob)), fingerprint=MODEL)


@pytest.mark.parametrize("place", [8, 10, 11, 12, 30, 40])
def test_a_flipped_byte_in_the_header_is_damage_whatever_it_meant(place: int) -> None:
    blob = bytearray(pack(make_features(), codec=CodecName.FP16, fingerprint=MODEL))
    blob[place] ^= 0x10
    with pytest.raises(BlobDamaged):
        unpack(bytes(blob), fingerprint=MODEL)


@CODECS
def test_every_truncation_is_damage(codec: CodecName) -> None:
    blob = pack(make_features(1, 8), codec=codec, fingerprint=MODEL)
    for length in range(len(blob)):
        with pytest.raises(BlobDamaged):
            unpack(blob[:length], fingerprint=MODEL)


def test_a_truncated_blob_is_told_with_both_lengths() -> None:
    blob = pack(make_features(), codec=CodecName.FP16, fingerprint=MODEL)
    with pytest.raises(BlobDamaged, match=f"{len(blob) - 1} bytes, its shapes need {len(blob)}"):
        unpack(blob[:-1], fingerprint=MODEL)


def test_trailing_bytes_are_damage() -> None:
    blob = pack(make_features(), codec=CodecName.FP16, fingerprint=MODEL)
    with pytest.raises(BlobDamaged, match="its shapes need"):
        unpack(restamp(blob + b"\0"), fingerprint=MODEL)


def test_shapes_far_past_the_payload_are_refused_by_length_even_under_a_fitting_checksum() -> None:
    blob = bytearray(pack(make_features(), codec=CodecName.FP16, fingerprint=MODEL))
    blob[34:48] = b"\xff" * 14
    with pytest.raises(BlobDamaged, match="its shapes need"):
        unpack(restamp(bytes(blob)), fingerprint=MODEL)


@CODECS
def test_every_single_flipped_bit_is_noticed(codec: CodecName) -> None:
    blob = pack(make_features(1, 4), codec=codec, fingerprint=MODEL)
    for bit in range(8 * len(blob)):
        damaged = bytearray(blob)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BlobDamaged):
            unpack(bytes(damaged), fingerprint=MODEL)


@given(st.binary(max_size=300))
def test_random_bytes_never_yield_features(noise: bytes) -> None:
    with pytest.raises(BlobDamaged):
        unpack(noise, fingerprint=MODEL)


@settings(max_examples=300)
@given(st.binary(min_size=38, max_size=38), st.binary(max_size=64), st.integers(0, 1))
def test_any_header_under_a_fitting_checksum_gives_features_or_a_blob_error(
    header: bytes, payload: bytes, version: int
) -> None:
    blob = restamp(b"GSFB" + bytes(4) + struct.pack("<H", version) + header + payload)
    try:
        found = unpack(blob, fingerprint=header[6:22].hex())
    except BlobError:
        return
    assert isinstance(found, ImageFeatures)


def test_shuffled_pieces_of_real_blobs_never_yield_features() -> None:
    rng = random.Random(3)
    blobs = [pack(make_features(n, 16), codec=codec, fingerprint=MODEL) for n in (0, 1, 4) for codec in CodecName]
    for _ in range(500):
        first, second = rng.sample(blobs, 2)
        cut = rng.randrange(8, min(len(first), len(second)))
        with pytest.raises(BlobDamaged):
            unpack(first[:cut] + second[cut:], fingerprint=MODEL)


@pytest.mark.parametrize("fingerprint", ["", "abc", "0" * 31, "0" * 33, "G" * 32, "A" * 32])
def test_a_malformed_fingerprint_is_refused_on_both_sides(fingerprint: str) -> None:
    blob = pack(ImageFeatures(), codec=CodecName.FP16, fingerprint=MODEL)
    with pytest.raises(InputError, match="32 hex digits"):
        pack(ImageFeatures(), codec=CodecName.FP16, fingerprint=fingerprint)
    with pytest.raises(InputError, match="32 hex digits"):
        unpack(blob, fingerprint=fingerprint)


def test_an_unknown_codec_lists_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"'zip'.*fp16, int8"):
        pack(ImageFeatures(), codec="zip", fingerprint=MODEL)  # pyright: ignore[reportArgumentType]


@CODECS
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused(codec: CodecName, bad: float) -> None:
    vector = np.array([0, bad], dtype=np.float32)
    with pytest.raises(InputError, match="not finite"):
        pack(ImageFeatures(global_vector_D=vector), codec=codec, fingerprint=MODEL)


def test_boxes_that_do_not_match_their_vectors_are_refused() -> None:
    instances = Instances(
        vectors_ND=np.zeros((2, 8), dtype=np.float32),
        boxes_N4=np.zeros((3, 4), dtype=np.float32),
        scores_N=np.zeros(2, dtype=np.float32),
    )
    with pytest.raises(InputError, match=r"boxes have shape \(3, 4\), expected \(2, 4\)"):
        pack(ImageFeatures(instances=instances), codec=CodecName.FP16, fingerprint=MODEL)


def test_a_width_past_the_bound_is_refused_with_the_bound() -> None:
    features = ImageFeatures(global_vector_D=np.zeros(65_536, dtype=np.float32))
    with pytest.raises(InputError, match="65535"):
        pack(features, codec=CodecName.INT8, fingerprint=MODEL)
