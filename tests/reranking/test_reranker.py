from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from fakes.token_gallery import FINGERPRINT, GridModel, write_grids, write_map

from glyphseek.errors import SettingError, StoreUnavailable
from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.ports import FeatureStore, TokenScorer, blob_key
from glyphseek.queries import Term
from glyphseek.reranking import Reranker, RerankerSettings
from glyphseek.tokens import CodecName, pack
from glyphseek.types import ImageFeatures, TermFeatures

SHOPS = {"a": "coffee open", "b": "tea", "c": "coffee closed"}


def encode(*words: str) -> list[TermFeatures]:
    return GridModel().encode_terms([Term(text=word) for word in words])


@pytest.fixture(name="shops")
def shops_fixture() -> MemoryFeatureStore:
    _, features = write_grids(SHOPS)
    return features


class CountingFeatureStore(MemoryFeatureStore):
    """Counts how often each key is asked for; waits for `may_answer` first."""

    def __init__(self, source: FeatureStore) -> None:
        super().__init__()
        keys = list(source.scan())
        for key, blob in zip(keys, source.get(keys), strict=True):
            assert blob is not None
            self.put(key, blob)
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._lock = threading.Lock()

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        with self._lock:
            self.asked += keys
        assert self.may_answer.wait(10)
        return super().get(keys)


@pytest.fixture(name="store")
def store_fixture(shops: MemoryFeatureStore) -> CountingFeatureStore:
    return CountingFeatureStore(shops)


@pytest.fixture(name="reranker")
def reranker_fixture(store: CountingFeatureStore) -> Iterator[Reranker]:
    with Reranker(GridModel(), store, fingerprint=FINGERPRINT) as reranker:
        yield reranker


def test_a_model_of_token_maps_is_told_by_what_it_can_do() -> None:
    assert isinstance(GridModel(), TokenScorer)


def test_every_term_is_scored_for_every_image_in_the_order_asked(reranker: Reranker) -> None:
    found = reranker.rerank(encode("coffee", "tea"), ["c", "b", "a"])
    assert found.image_ids == ("c", "b", "a")
    np.testing.assert_allclose(found.scores.probabilities_TK > 0.9, [[True, False, True], [False, True, False]])
    assert found.scores.probabilities_TK.dtype == np.float32
    assert (found.asked, found.faults, found.coverage) == (3, {}, 1.0)
    assert found.scores.attention is None


def test_cosines_are_those_of_the_stored_global_vectors(reranker: Reranker) -> None:
    coffee, tea = encode("coffee", "tea")
    both = TermFeatures(vectors_VD=np.concatenate([coffee.vectors_VD, tea.vectors_VD]), tokens_TE=coffee.tokens_TE)
    apart = reranker.rerank([coffee, tea, both], ["a", "b"]).cosines_TK
    vector_D = write_map({"coffee": [(2, 0)], "open": [(2, 2)]}).global_vector_D
    assert vector_D is not None
    assert apart[0, 0] == pytest.approx(float(coffee.vectors_VD[0] @ vector_D), abs=0.01)
    np.testing.assert_allclose(apart[2], apart[:2].max(axis=0), atol=1e-6)


def test_attention_on_request_sums_to_one_and_is_highest_at_the_word(reranker: Reranker) -> None:
    attention = reranker.rerank(encode("open"), ["a", "b"], with_attention=True).scores.attention
    assert attention is not None
    for attention_HW in attention[0]:
        assert attention_HW.shape == (6, 8)
        assert attention_HW.sum() == pytest.approx(1.0, abs=1e-5)
    assert np.unravel_index(attention[0][0].argmax(), (6, 8)) == (2, 2)


def test_all_images_are_scored_in_one_batch(store: CountingFeatureStore) -> None:
    model = GridModel()
    with Reranker(model, store, fingerprint=FINGERPRINT) as reranker:
        reranker.rerank(encode("coffee", "tea"), ["a", "b", "c"])
    assert model.batches == [(2, 3)]


def test_blobs_that_cannot_be_used_are_counted_by_reason_and_left_out(shops: MemoryFeatureStore) -> None:
    damaged = bytearray(shops.get([blob_key(FINGERPRINT, "a")])[0] or b"")
    damaged[-1] ^= 1
    shops.put(blob_key(FINGERPRINT, "a"), bytes(damaged))
    shops.put(blob_key(FINGERPRINT, "b"), pack(write_map({}), codec=CodecName.FP16, fingerprint="0" * 32))
    without = ImageFeatures(token_map=write_map({}).token_map)
    shops.put(blob_key(FINGERPRINT, "d"), pack(without, codec=CodecName.FP16, fingerprint=FINGERPRINT))
    with Reranker(GridModel(), shops, fingerprint=FINGERPRINT) as reranker:
        found = reranker.rerank(encode("coffee"), ["a", "b", "none", "c", "d"])
    assert found.image_ids == ("c",)
    assert found.faults == {"damaged": 1, "of another model or version": 2, "missing": 1}
    assert (found.asked, found.coverage) == (5, 0.2)
    assert found.scores.probabilities_TK.shape == (1, 1)


def test_no_byte_of_a_blob_can_change_without_being_noticed(shops: MemoryFeatureStore) -> None:
    key = blob_key(FINGERPRINT, "a")
    sound = shops.get([key])[0] or b""
    random = np.random.default_rng(5)
    for place in random.choice(len(sound), 60, replace=False).tolist():
        damaged = bytearray(sound)
        damaged[place] ^= 1 << int(random.integers(8))
        shops.put(key, bytes(damaged))
        with Reranker(GridModel(), shops, fingerprint=FINGERPRINT) as reranker:
            assert reranker.rerank(encode("coffee"), ["a"]).image_ids == ()


class BrokenFeatureStore(MemoryFeatureStore):
    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        raise StoreUnavailable("the disk is gone")


def test_a_store_that_fails_is_a_fault_of_every_image() -> None:
    with Reranker(GridModel(), BrokenFeatureStore(), fingerprint=FINGERPRINT) as reranker:
        found = reranker.rerank(encode("coffee"), ["a", "b"], with_attention=True)
    assert found.faults == {"not read (the disk is gone)": 2}
    assert found.scores.probabilities_TK.shape == found.cosines_TK.shape == (1, 0)
    assert found.scores.attention == ((),)


def test_nothing_asked_is_nothing_answered(reranker: Reranker) -> None:
    assert reranker.rerank(encode("coffee"), []).coverage == 1.0
    assert reranker.rerank([], ["a"]).scores.probabilities_TK.shape == (0, 1)


def test_an_image_named_twice_is_scored_once(reranker: Reranker, store: CountingFeatureStore) -> None:
    found = reranker.rerank(encode("coffee"), ["a", "b", "a"])
    assert (found.image_ids, found.asked) == (("a", "b"), 2)
    assert len(store.asked) == 2


def test_a_kept_map_is_not_fetched_again(reranker: Reranker, store: CountingFeatureStore) -> None:
    first = reranker.rerank(encode("coffee"), ["a", "b"])
    again = reranker.rerank(encode("coffee"), ["b", "c", "a"])
    assert sorted(store.asked) == [blob_key(FINGERPRINT, one) for one in "abc"]
    assert first.scores.probabilities_TK[0, 0] == again.scores.probabilities_TK[0, 2]
    stats = reranker.cache_stats()
    assert (stats.hits, stats.misses, stats.kept) == (2, 3, 3)
    assert stats.held_bytes >= 3 * 48 * 256


def test_a_blob_that_came_back_is_used(store: CountingFeatureStore, reranker: Reranker) -> None:
    key = blob_key(FINGERPRINT, "a")
    sound = store.get([key])[0] or b""
    store.delete([key])
    assert reranker.rerank(encode("coffee"), ["a"]).faults == {"missing": 1}
    store.put(key, sound)
    assert reranker.rerank(encode("coffee"), ["a"]).image_ids == ("a",)


def test_concurrent_requests_for_one_image_read_its_blob_once(reranker: Reranker, store: CountingFeatureStore) -> None:
    store.may_answer.clear()
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(reranker.rerank, encode("coffee"), ["a", "c"]) for _ in range(8)]
        while reranker.cache_stats().misses < 16:
            threading.Event().wait(0.001)
        store.may_answer.set()
        answers = [one.result(10).scores.probabilities_TK for one in asked]
    assert sorted(store.asked) == [blob_key(FINGERPRINT, one) for one in "ac"]
    assert all(np.array_equal(one, answers[0]) for one in answers)


def test_blobs_are_fetched_by_no_more_threads_than_set(shops: MemoryFeatureStore) -> None:
    running: set[int] = set()
    most: list[int] = []
    all_at_work = threading.Barrier(3)

    class WatchedStore(MemoryFeatureStore):
        def get(self, keys: Sequence[str]) -> list[bytes | None]:
            running.add(threading.get_ident())
            all_at_work.wait(10)
            most.append(len(running))
            return shops.get(keys)

    settings = RerankerSettings(fetch_threads=3)
    with Reranker(GridModel(), WatchedStore(), fingerprint=FINGERPRINT, settings=settings) as reranker:
        found = reranker.rerank(encode("coffee"), ["a", "b", "c", *(f"none{number}" for number in range(20))])
    assert found.faults == {"missing": 20}
    assert most == [3, 3, 3]


def test_more_images_than_set_are_refused_with_the_limit(shops: MemoryFeatureStore) -> None:
    settings = RerankerSettings(max_images=2)
    with (
        Reranker(GridModel(), shops, fingerprint=FINGERPRINT, settings=settings) as reranker,
        pytest.raises(SettingError, match="3 images to rerank, the limit is 2"),
    ):
        reranker.rerank(encode("coffee"), ["a", "b", "c"])


@pytest.mark.parametrize("setting", ["cache_bytes", "fetch_threads", "max_images"])
def test_impossible_settings_are_refused_by_name(setting: str) -> None:
    with pytest.raises(SettingError, match=f"{setting} is -1"):
        RerankerSettings(**{setting: -1})


def test_maps_of_different_shapes_and_codecs_are_scored_together(shops: MemoryFeatureStore) -> None:
    wide = write_map({"coffee": [(0, 11)]}, shape=(2, 12))
    shops.put(blob_key(FINGERPRINT, "w"), pack(wide, codec=CodecName.FP16, fingerprint=FINGERPRINT))
    with Reranker(GridModel(), shops, fingerprint=FINGERPRINT) as reranker:
        found = reranker.rerank(encode("coffee"), ["a", "w"], with_attention=True)
    assert found.scores.attention is not None
    assert [one.shape for one in found.scores.attention[0]] == [(6, 8), (2, 12)]
    assert found.scores.probabilities_TK[0].min() > 0.95


def test_blobs_are_read_from_a_folder(shops: MemoryFeatureStore, tmp_path: Path) -> None:
    folder = DirectoryFeatureStore(tmp_path)
    keys = list(shops.scan())
    for key, blob in zip(keys, shops.get(keys), strict=True):
        folder.put(key, blob or b"")
    with (
        Reranker(GridModel(), folder, fingerprint=FINGERPRINT) as stored,
        Reranker(GridModel(), shops, fingerprint=FINGERPRINT) as held,
    ):
        one, other = (each.rerank(encode("coffee"), ["a", "b", "c"]) for each in (stored, held))
    np.testing.assert_array_equal(one.scores.probabilities_TK, other.scores.probabilities_TK)


def test_times_are_milliseconds_of_fetching_and_of_scoring(shops: MemoryFeatureStore) -> None:
    ticks = (float(tick) ** 2 for tick in count())
    with Reranker(GridModel(), shops, fingerprint=FINGERPRINT, clock=lambda: next(ticks)) as reranker:
        found = reranker.rerank(encode("coffee"), ["a"])
    assert (found.fetch_ms, found.score_ms) == (1000, 3000)
