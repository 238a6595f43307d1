from __future__ import annotations

import random
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokens.makers import MODEL, OTHER, random_units, restamp

from glyphseek.errors import BlobDamaged, BlobError, BlobForeign, InputError, SettingError
from glyphseek.tokens import BlobHeader, CodecName, inspect, pack, unpack
from glyphseek.tokens.fitting import FitSettings, fit_codebook
from glyphseek.types import ImageFeatures, Instances, TokenMap

CODECS = pytest.mark.parametrize("codec", list(CodecName))
TABLES = fit_codebook(
    np.random.default_rng(8).standard_normal((200, 16)).astype(np.float32), FitSettings(centroids=8, rounds=3)
)


def write(features: ImageFeatures, codec: CodecName = CodecName.FP16) -> bytes:
    """Return the blob of the features, with the test's codebook."""
    return pack(features, codec=codec, fingerprint=MODEL, codebook=TABLES)


def read(blob: bytes) -> ImageFeatures:
    """Return the features of a blob of the test's model and codebook."""
    return unpack(blob, fingerprint=MODEL, codebook=TABLES)


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


@CODECS
def test_all_three_kinds_return_in_their_shapes_as_float32(codec: CodecName) -> None:
    features = make_features()
    found = read(write(features, codec))
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
def test_boxes_and_scores_return_exactly_and_likelihood_within_half_a_step(codec: CodecName) -> None:
    features = make_features()
    found = read(write(features, codec))
    assert features.instances is not None
    assert features.token_map is not None
    assert found.instances is not None
    assert found.token_map is not None
    np.testing.assert_array_equal(found.instances.boxes_N4, features.instances.boxes_N4)
    np.testing.assert_array_equal(found.instances.scores_N, features.instances.scores_N)
    error_HW = np.abs(found.token_map.text_likelihood_HW - features.token_map.text_likelihood_HW)
    assert error_HW.max() <= 1 / 510 + 1e-6


@CODECS
@pytest.mark.parametrize("kind", ["global_vector_D", "instances", "token_map"])
def test_an_absent_kind_returns_as_none_and_leaves_the_others(codec: CodecName, kind: str) -> None:
    full = make_features()
    kinds = {name: getattr(full, name) for name in ("global_vector_D", "instances", "token_map") if name != kind}
    found = read(write(ImageFeatures(**kinds), codec))
    present = {name for name in ("global_vector_D", "instances", "token_map") if getattr(found, name) is not None}
    assert present == set(kinds)


@CODECS
def test_no_feature_at_all_makes_a_blob_of_the_header_alone(codec: CodecName) -> None:
    blob = write(ImageFeatures(), codec)
    assert len(blob) == 80
    assert read(blob) == ImageFeatures()


@CODECS
def test_an_image_without_words_keeps_its_empty_instances(codec: CodecName) -> None:
    found = read(write(make_features(instances=0), codec))
    assert found.instances is not None
    assert len(found.instances) == 0
    assert found.instances.vectors_ND.shape == (0, 64)
    assert found.instances.boxes_N4.shape == (0, 4)


@CODECS
def test_decoded_vectors_are_of_unit_norm(codec: CodecName) -> None:
    found = read(write(make_features(), codec))
    assert found.instances is not None
    assert found.global_vector_D is not None
    np.testing.assert_allclose(np.linalg.norm(found.instances.vectors_ND, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.global_vector_D), 1, atol=1e-6)


@CODECS
def test_a_vector_of_zeros_stays_one(codec: CodecName) -> None:
    features = ImageFeatures(global_vector_D=np.zeros(8, dtype=np.float32))
    found = read(write(features, codec))
    np.testing.assert_array_equal(found.global_vector_D, np.zeros(8))


@pytest.mark.parametrize(("codec", "bound"), [(CodecName.FP16, 1e-3), (CodecName.INT8, 0.02)])
@pytest.mark.parametrize("width", [64, 512, 768, 2048])
def test_random_unit_vectors_return_within_the_written_bound(codec: CodecName, bound: float, width: int) -> None:
    vectors = random_units(np.random.default_rng(width), 200, width)
    boxes, scores = np.zeros((200, 4), dtype=np.float32), np.zeros(200, dtype=np.float32)
    features = ImageFeatures(instances=Instances(vectors_ND=vectors, boxes_N4=boxes, scores_N=scores))
    found = read(write(features, codec))
    assert found.instances is not None
    assert np.linalg.norm(found.instances.vectors_ND - vectors, axis=1).max() <= bound


def test_inspect_tells_codec_model_and_shapes() -> None:
    assert inspect(pack(make_features(), codec=CodecName.INT8, fingerprint=OTHER)) == BlobHeader(
        codec=CodecName.INT8,
        fingerprint=OTHER,
        global_width=96,
        instances_shape=(5, 64),
        tokens_shape=(3, 4, 16),
        stored_width=16,
        has_likelihood=True,
    )


def test_int8_takes_about_half_the_bytes_of_fp16() -> None:
    small, large = (len(write(make_features(30, 768), codec)) for codec in (CodecName.INT8, CodecName.FP16))
    assert small < 0.55 * large


def test_packing_twice_gives_the_same_bytes() -> None:
    first, second = (write(make_features()) for _ in range(2))
    assert first == second


def make_letters(instances: int = 5, columns: int = 6, signs: int = 37) -> ImageFeatures:
    found = make_features(instances).instances
    assert found is not None
    letters_NSA = np.random.default_rng(3).integers(0, 256, (instances, columns, signs), dtype=np.uint8)
    return ImageFeatures(instances=replace(found, letters_NSA=letters_NSA))


@CODECS
@pytest.mark.parametrize("instances", [0, 1, 5])
def test_letters_return_exactly(codec: CodecName, instances: int) -> None:
    features = make_letters(instances)
    found = read(write(features, codec)).instances
    assert found is not None
    assert features.instances is not None
    assert found.letters_NSA is not None
    assert features.instances.letters_NSA is not None
    assert found.letters_NSA.dtype == np.uint8
    assert found.letters_NSA.flags.writeable
    np.testing.assert_array_equal(found.letters_NSA, features.instances.letters_NSA)
    np.testing.assert_array_equal(found.boxes_N4, features.instances.boxes_N4)


def test_instances_without_letters_return_without_them() -> None:
    found = read(write(make_features())).instances
    assert found is not None
    assert found.letters_NSA is None


def test_inspect_tells_the_shape_of_letters() -> None:
    assert inspect(write(make_letters())).letters_shape == (6, 37)


@pytest.mark.parametrize("letters", [np.zeros((4, 6, 37), np.uint8), np.zeros((5, 37), np.uint8), np.zeros((5, 6, 37))])
def test_letters_of_another_shape_or_type_are_refused(letters: np.ndarray) -> None:
    found = make_features().instances
    assert found is not None
    with pytest.raises(InputError, match=r"letters have shape .*, expected \(5, any, any\) of uint8"):
        write(ImageFeatures(instances=replace(found, letters_NSA=letters)))


def test_a_blob_of_version_two_is_read_and_cannot_have_letters() -> None:
    blob = bytearray(write(make_features()))
    blob[8:10] = struct.pack("<H", 2)
    found = read(restamp(bytes(blob)))
    assert found.instances is not None
    assert found.instances.letters_NSA is None
    spelt = bytearray(write(make_letters()))
    spelt[8:10] = struct.pack("<H", 2)
    with pytest.raises(BlobDamaged, match="contradicts itself"):
        read(restamp(bytes(spelt)))


def test_a_blob_of_another_model_is_foreign_and_both_are_named() -> None:
    blob = pack(make_features(), codec=CodecName.FP16, fingerprint=OTHER)
    with pytest.raises(BlobForeign, match=f"{OTHER}.*{MODEL}"):
        read(blob)


def test_a_sound_blob_of_another_version_is_foreign() -> None:
    blob = bytearray(write(make_features()))
    blob[8:10] = struct.pack("<H", 4)
    with pytest.raises(BlobForeign, match="version 4, expected 1 or 2 or 3"):
        read(restamp(bytes(blob)))


def test_a_sound_blob_with_an_unknown_codec_is_foreign_and_the_known_are_listed() -> None:
    blob = bytearray(write(make_features()))
    blob[10] = 99
    with pytest.raises(BlobForeign, match=r"codec 99.*fp16.*int8"):
        read(restamp(bytes(blob)))


@pytest.mark.parametrize("place", [8, 10, 11, 12, 30, 40, 60, 66, 75])
def test_a_flipped_byte_in_the_header_is_damage_whatever_it_meant(place: int) -> None:
    blob = bytearray(write(make_features()))
    blob[place] ^= 0x10
    with pytest.raises(BlobDamaged):
        read(bytes(blob))


@CODECS
def test_every_truncation_is_damage(codec: CodecName) -> None:
    blob = write(make_features(1, 8), codec)
    for length in range(len(blob)):
        with pytest.raises(BlobDamaged):
            read(blob[:length])


def test_a_truncated_blob_is_told_with_both_lengths() -> None:
    blob = write(make_features())
    with pytest.raises(BlobDamaged, match=f"{len(blob) - 1} bytes, its shapes need {len(blob)}"):
        read(blob[:-1])


def test_trailing_bytes_are_damage() -> None:
    blob = write(make_features())
    with pytest.raises(BlobDamaged, match="its shapes need"):
        read(restamp(blob + b"\0"))


def test_shapes_far_past_the_payload_are_refused_by_length_even_under_a_fitting_checksum() -> None:
    blob = bytearray(write(make_features()))
    blob[50:68] = b"\xff" * 18
    with pytest.raises(BlobDamaged, match="its shapes need"):
        read(restamp(bytes(blob)))


@CODECS
def test_every_single_flipped_bit_is_noticed(codec: CodecName) -> None:
    blob = write(make_features(1, 4), codec)
    for bit in range(8 * len(blob)):
        damaged = bytearray(blob)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BlobDamaged):
            read(bytes(damaged))


@given(st.binary(max_size=300))
def test_random_bytes_never_yield_features(noise: bytes) -> None:
    with pytest.raises(BlobDamaged):
        read(noise)


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
    blobs = [write(make_features(n, 16), codec) for n in (0, 1, 4) for codec in CodecName]
    for _ in range(500):
        first, second = rng.sample(blobs, 2)
        cut = rng.randrange(8, min(len(first), len(second)))
        with pytest.raises(BlobDamaged):
            read(first[:cut] + second[cut:])


@pytest.mark.parametrize("fingerprint", ["", "abc", "0" * 31, "0" * 33, "G" * 32, "A" * 32])
def test_a_malformed_fingerprint_is_refused_on_both_sides(fingerprint: str) -> None:
    blob = write(ImageFeatures())
    with pytest.raises(InputError, match="32 hex digits"):
        pack(ImageFeatures(), codec=CodecName.FP16, fingerprint=fingerprint)
    with pytest.raises(InputError, match="32 hex digits"):
        unpack(blob, fingerprint=fingerprint)


def test_an_unknown_codec_lists_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"'zip'.*fp32, fp16, int8"):
        pack(ImageFeatures(), codec="zip", fingerprint=MODEL)  # pyright: ignore[reportArgumentType]


@CODECS
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused(codec: CodecName, bad: float) -> None:
    vector = np.array([0, bad], dtype=np.float32)
    with pytest.raises(InputError, match="not finite"):
        write(ImageFeatures(global_vector_D=vector), codec)


def test_boxes_that_do_not_match_their_vectors_are_refused() -> None:
    instances = Instances(
        vectors_ND=np.zeros((2, 8), dtype=np.float32),
        boxes_N4=np.zeros((3, 4), dtype=np.float32),
        scores_N=np.zeros(2, dtype=np.float32),
    )
    with pytest.raises(InputError, match=r"boxes have shape \(3, 4\), expected \(2, 4\)"):
        write(ImageFeatures(instances=instances))


def test_a_width_past_the_bound_is_refused_with_the_bound() -> None:
    features = ImageFeatures(global_vector_D=np.zeros(65_536, dtype=np.float32))
    with pytest.raises(InputError, match="65535"):
        pack(features, codec=CodecName.INT8, fingerprint=MODEL)
