from __future__ import annotations

import numpy as np
import pytest
from tokens.makers import MODEL, random_units

from glyphseek.errors import InputError
from glyphseek.evaluation.codec_sample import sample_tokens
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.ports import blob_key
from glyphseek.tokens import CodecName, pack
from glyphseek.types import FloatArray, ImageFeatures, TokenMap


def write(store: MemoryFeatureStore, image_id: str, tokens_HWE: FloatArray) -> None:
    token_map = TokenMap(tokens_HWE=tokens_HWE, text_likelihood_HW=np.ones(tokens_HWE.shape[:2], dtype=np.float32))
    blob = pack(ImageFeatures(token_map=token_map), codec=CodecName.FP32, fingerprint=MODEL)
    store.put(blob_key(MODEL, image_id), blob)


def words_among_empty_cells(count: int, *, seed: int) -> FloatArray:
    """Return a map of 6 x 8 cells, the first `count` of which hold a word."""
    tokens = np.zeros((48, 5), dtype=np.float32)
    tokens[:count] = random_units(np.random.default_rng(seed), count, 5)
    return tokens.reshape(6, 8, 5)


def test_cells_without_a_word_count_once_a_map() -> None:
    store = MemoryFeatureStore()
    for seed, image_id in enumerate(("aa", "bb")):
        write(store, image_id, words_among_empty_cells(4, seed=seed))
    tokens_NE = sample_tokens(store, ["aa", "bb"], fingerprint=MODEL, count=1000)
    assert tokens_NE.shape == (10, 5)
    assert int((~tokens_NE.any(axis=1)).sum()) == 2


def test_every_image_gives_its_share_and_the_same_seed_the_same_tokens() -> None:
    store = MemoryFeatureStore()
    for seed, image_id in enumerate(("aa", "bb", "cc")):
        write(store, image_id, words_among_empty_cells(48, seed=seed))
    first, again, other = (
        sample_tokens(store, ["aa", "bb", "cc"], fingerprint=MODEL, count=30, seed=seed) for seed in (1, 1, 2)
    )
    assert first.shape == (30, 5)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_images_without_a_blob_or_a_map_give_nothing_and_none_at_all_is_refused() -> None:
    store = MemoryFeatureStore()
    bare = pack(ImageFeatures(global_vector_D=np.ones(5, np.float32)), codec=CodecName.FP32, fingerprint=MODEL)
    store.put(blob_key(MODEL, "aa"), bare)
    with pytest.raises(InputError, match="none of 2 images has a token map"):
        sample_tokens(store, ["aa", "none"], fingerprint=MODEL, count=30)
    write(store, "bb", words_among_empty_cells(48, seed=1))
    assert len(sample_tokens(store, ["aa", "bb"], fingerprint=MODEL, count=30)) == 15
