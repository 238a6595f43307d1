from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tokens.makers import MODEL, OTHER, random_units, restamp

from glyphseek.errors import BlobDamaged, BlobForeign
from glyphseek.tokens import CodecName, inspect, open_instances, pack, unpack_vectors
from glyphseek.types import ImageFeatures, Instances, QueryVectors, TokenMap

CODECS = pytest.mark.parametrize("codec", list(CodecName)[:3])


def words(count: int = 5, width: int = 48, *, letters: bool = True) -> Instances:
    rng = np.random.default_rng(count)
    return Instances(
        vectors_ND=random_units(rng, count, width),
        boxes_N4=rng.random((count, 4)).astype(np.float32),
        scores_N=rng.random(count).astype(np.float32),
        letters_NSA=rng.integers(0, 256, (count, 4, 11), dtype=np.uint8) if letters else None,
    )


def blob_of(instances: Instances | None, codec: CodecName = CodecName.FP16) -> bytes:
    return pack(ImageFeatures(instances=instances), codec=codec, fingerprint=MODEL)


@CODECS
def test_everything_of_a_blob_is_as_unpacked(codec: CodecName) -> None:
    blob = blob_of(words(), codec)
    wanted, found = unpack_vectors(blob, fingerprint=MODEL).instances, open_instances(blob, fingerprint=MODEL)

    assert wanted is not None
    assert len(found) == 5
    np.testing.assert_array_equal(found.boxes_N4, wanted.boxes_N4)
    np.testing.assert_array_equal(found.scores_N, wanted.scores_N)
    np.testing.assert_array_equal(np.asarray(found.letters_NSA), np.asarray(wanted.letters_NSA))


@CODECS
@pytest.mark.parametrize(("count", "asked"), [(5, 1), (36, 7), (1, 3)])
def test_products_are_those_of_the_unpacked_vectors(codec: CodecName, count: int, asked: int) -> None:
    blob = blob_of(words(count, 768), codec)
    typed_VD = random_units(np.random.default_rng(9), asked, 768)
    typed_VD[0] = words(count, 768).vectors_ND[-1]
    wanted = unpack_vectors(blob, fingerprint=MODEL).instances

    found = open_instances(blob, fingerprint=MODEL).products(QueryVectors.of(typed_VD))

    assert wanted is not None
    assert (found.shape, found.dtype) == ((count, asked), np.float32)
    np.testing.assert_allclose(found, wanted.products(QueryVectors.of(typed_VD)), atol=1e-3)
    assert found[-1, 0] == pytest.approx(1, abs=1e-6 if codec is CodecName.FP16 else 0.01)


def test_halves_and_letters_are_not_copied() -> None:
    blob = blob_of(words())
    memory = np.frombuffer(blob, np.uint8)

    found = open_instances(blob, fingerprint=MODEL)

    assert found.vectors_ND.dtype == np.float16
    assert np.shares_memory(found.vectors_ND, memory)
    assert found.letters_NSA is not None
    assert np.shares_memory(found.letters_NSA, memory)
    assert found.nbytes == len(blob) + 5 * 24


def test_a_blob_that_nothing_shares_is_not_counted() -> None:
    found = open_instances(blob_of(words(letters=False), CodecName.INT8), fingerprint=MODEL)

    assert found.nbytes == 5 * (24 + 4 * 48)


@CODECS
def test_an_image_without_words_has_no_products(codec: CodecName) -> None:
    found = open_instances(blob_of(words(0), codec), fingerprint=MODEL)

    assert len(found) == 0
    assert found.products(QueryVectors.of(random_units(np.random.default_rng(1), 3, 48))).shape == (0, 3)


def test_halves_at_an_odd_place_are_read_too() -> None:
    token_map = TokenMap(
        tokens_HWE=np.ones((1, 1, 4), dtype=np.float32), text_likelihood_HW=np.full((1, 1), 0.5, dtype=np.float32)
    )
    blob = pack(ImageFeatures(instances=words(), token_map=token_map), codec=CodecName.FP16, fingerprint=MODEL)
    assert inspect(blob).sections.instance_vectors.start % 2 == 1

    found = open_instances(blob, fingerprint=MODEL).products(QueryVectors.of(words().vectors_ND))

    np.testing.assert_allclose(found, words().products(QueryVectors.of(words().vectors_ND)), atol=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_half_that_is_not_finite_is_damage(value: float) -> None:
    blob = blob_of(words())
    place = inspect(blob).sections.instance_vectors.start + 2 * 48
    broken = restamp(blob[:place] + np.array([value], "<f2").tobytes() + blob[place + 2 :])

    with pytest.raises(BlobDamaged, match="not finite"):
        open_instances(broken, fingerprint=MODEL)


def test_blobs_of_others_are_named() -> None:
    with pytest.raises(BlobForeign, match="has no instances"):
        open_instances(blob_of(None), fingerprint=MODEL)
    with pytest.raises(BlobForeign, match=OTHER):
        open_instances(blob_of(words()), fingerprint=OTHER)
    damaged = bytearray(blob_of(replace(words(), letters_NSA=None)))
    damaged[-1] ^= 1
    with pytest.raises(BlobDamaged, match="checksum"):
        open_instances(bytes(damaged), fingerprint=MODEL)
