from collections.abc import Sequence

import numpy as np
from fakes.word_gallery import FINGERPRINT, write_features, write_gallery

from glyphseek.errors import StoreUnavailable
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.ports import blob_key
from glyphseek.search import Degradation
from glyphseek.search.fetching import Fetcher
from glyphseek.tokens import CodecName, pack


def test_sound_blobs_are_decoded_and_nothing_is_degraded() -> None:
    _, store = write_gallery({"a": "tea", "b": "milk cake"})
    fetcher = Fetcher(store, FINGERPRINT)
    features = fetcher.fetch(["b", "a"])
    assert list(features) == ["b", "a"]
    assert features["b"].instances is not None
    assert features["b"].instances.vectors_ND.dtype == np.float32
    assert fetcher.degradations() == ()


def test_every_fault_is_counted_over_all_fetches() -> None:
    _, store = write_gallery(dict.fromkeys("abcd", "tea"))
    store.put(blob_key(FINGERPRINT, "b"), b"damaged")
    foreign = pack(write_features(["tea"]), codec=CodecName.FP16, fingerprint="f" * 32)
    store.put(blob_key(FINGERPRINT, "c"), foreign)
    fetcher = Fetcher(store, FINGERPRINT)
    assert list(fetcher.fetch(["a", "b", "c"])) == ["a"]
    assert list(fetcher.fetch(["d", "x"])) == ["d"]
    reason = "blobs: 1 damaged, 1 missing, 1 of another model or version"
    assert fetcher.degradations() == (Degradation(stage="match", reason=reason, coverage=0.4),)


class UnreadableStore(MemoryFeatureStore):
    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        raise StoreUnavailable("the disk is gone")


def test_a_store_that_fails_leaves_every_image_without_features() -> None:
    fetcher = Fetcher(UnreadableStore(), FINGERPRINT)
    assert fetcher.fetch(["a", "b"]) == {}
    reason = "blobs: 2 not read (the disk is gone)"
    assert fetcher.degradations() == (Degradation(stage="match", reason=reason, coverage=0.0),)
