from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
import pytest
from fakes.word_gallery import (
    CARD,
    FINGERPRINT,
    ExhaustiveVectorStore,
    WordModel,
    add_image,
    word_vector,
    write_features,
    write_gallery,
)

from glyphseek.errors import QueryError, SettingError, StoreUnavailable
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.filters import Filter, parse_filter
from glyphseek.matching import Matcher, MatcherSettings
from glyphseek.ports import FeatureStore, blob_key
from glyphseek.search import Degradation, Searcher, SearchResult, SearchSettings
from glyphseek.tokens import CodecName, pack
from glyphseek.types import FloatArray, RowHits

SHOPS = {
    "a1": "coffee open",
    "a2": "coffee closed",
    "a3": "tea open",
    "b1": "bank of america",
    "b2": "america of bank",
    "c1": "",
}
VOCABULARY = ["coffee", "closed", "tea", "open", "bank", "of", "america"]


def searcher(images: dict[str, str] = SHOPS, settings: SearchSettings | None = None) -> Searcher:
    return search_in(*write_gallery(images), settings=settings)


def search_in(
    vectors: ExhaustiveVectorStore,
    features: FeatureStore,
    *,
    settings: SearchSettings | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Searcher:
    """Return a searcher whose matcher keeps nothing, so that each search sees the blobs as they are."""
    matcher = Matcher(features, card=CARD, settings=MatcherSettings(cache_bytes=0), clock=clock)
    return Searcher(WordModel(VOCABULARY), vectors, matcher=matcher, settings=settings, clock=clock)


def found(result: SearchResult) -> list[str]:
    """Return the ids of the hits that reach the model's threshold."""
    return [hit.image_id for hit in result.hits if hit.score >= CARD.calibration.threshold]


@pytest.mark.parametrize(
    ("query", "image_ids"),
    [
        ("coffee", ["a1", "a2"]),
        ("coffee open", ["a1"]),
        ("coffee NOT closed", ["a1"]),
        ("tea OR closed", ["a2", "a3"]),
        ('"bank of america"', ["b1"]),
        ("bank of america", ["b1", "b2"]),
        ('america NOT "bank of america"', ["b2"]),
        ("c*", ["a1", "a2"]),
        ("coffee coffee", []),
        ("parking", []),
    ],
)
def test_the_images_that_answer_are_found(query: str, image_ids: list[str]) -> None:
    result = searcher().search(query)
    assert sorted(found(result)) == image_ids
    assert result.confident is bool(image_ids)
    assert result.degraded == ()


def test_a_hit_says_what_answers_each_word_and_where() -> None:
    hit = searcher().search("open coffee").hits[0]
    assert (hit.image_id, hit.names, hit.width, hit.height) == ("a1", ("a1.jpg",), 100, 100)
    assert hit.stages == ("recall", "match")
    assert [(match.term, match.instance) for match in hit.matches] == [("open", 1), ("coffee", 0)]
    assert hit.matches[0].similarity == pytest.approx(1.0, abs=1e-3)
    assert hit.matches[0].box == pytest.approx((0.5, 0.4, 0.9, 0.5))


def test_hits_are_ordered_by_score_and_then_by_image_id() -> None:
    result = searcher({"z": "tea", "m": "tea", "b": "milk", "a": "tea"}).search("tea")
    assert [hit.image_id for hit in result.hits] == ["a", "m", "z", "b"]
    assert [hit.image_id for hit in searcher({"z": "tea", "m": "tea"}).search("tea", top=1).hits] == ["m"]


def test_the_query_is_repeated_as_it_was_understood() -> None:
    assert searcher().search("COFFEE and AND 7-Eleven").query == "coffee and 7eleven"


def test_an_excluded_image_is_no_hit_however_many_are_asked() -> None:
    assert "a2" not in [hit.image_id for hit in searcher().search("coffee NOT closed", top=1000).hits]


@pytest.mark.parametrize("top", [0, 1001])
def test_a_top_out_of_bounds_is_refused_with_the_limit(top: int) -> None:
    with pytest.raises(SettingError, match=f"top is {top}, it must be 1 to 1000"):
        searcher().search("coffee", top=top)


def test_a_query_that_the_model_cannot_answer_is_refused() -> None:
    with pytest.raises(QueryError, match="understands no meaning"):
        searcher().search('~"a shop that sells bread"')
    with pytest.raises(QueryError, match="limit is 15"):
        searcher().search("x" * 16)


def test_an_empty_gallery_has_no_hits_and_no_confidence() -> None:
    result = searcher({}).search("coffee")
    assert (result.hits, result.confident, result.degraded) == ((), False, ())


def test_only_the_best_candidates_are_matched_and_top_raises_their_number() -> None:
    gallery = {f"i{number:02d}": "tea" for number in range(20)}
    few = SearchSettings(candidates=5)
    assert len(searcher(gallery, few).search("tea", top=3).hits) == 3
    assert len(searcher(gallery, few).search("tea", top=12).hits) == 12


def test_a_search_asks_the_store_for_as_many_rows_as_the_settings_allow() -> None:
    vectors, features = write_gallery(SHOPS)
    settings = SearchSettings(rows_per_vector=7, max_rows=10, min_rows_per_vector=2)
    search = search_in(vectors, features, settings=settings).search
    search("coffee", top=1)
    search('"bank of america"', top=1)  # four vectors: three words, and all of them as one
    assert vectors.limits == [7, 2]


def test_a_prefix_is_as_good_as_its_best_variant() -> None:
    hits = searcher().search("c*").hits
    assert [hit.image_id for hit in hits[:2]] == ["a1", "a2"]
    assert hits[0].matches[0].term == "c*"


def test_a_tolerant_word_forgives_its_share_of_similarity() -> None:
    vectors, features = write_gallery({"a": "tea"})
    mixed = 0.75 * word_vector("milk") + np.sqrt(1 - 0.75**2) * word_vector("other")
    near = write_features(["x"])
    assert near.instances is not None
    near.instances.vectors_ND[0] = mixed / np.linalg.norm(mixed)
    add_image(vectors, features, "b", near)
    search = search_in(vectors, features).search
    exact, tolerant = search("milk").hits[0], search("milk~1").hits[0]
    assert (exact.image_id, tolerant.image_id, tolerant.matches[0].term) == ("b", "b", "milk~1")
    assert tolerant.matches[0].similarity == pytest.approx(min(1.0, exact.matches[0].similarity + 0.25), abs=1e-5)


def test_the_shape_of_the_photo_counts_for_the_space_in_phrases() -> None:
    vectors, features = write_gallery({})
    boxes = np.array([[0.1, 0.4, 0.3, 0.5], [0.42, 0.4, 0.6, 0.5]], dtype=np.float32)
    add_image(vectors, features, "square", write_features(["new", "york"], boxes))
    add_image(vectors, features, "banner", write_features(["new", "york"], boxes), width=300)
    assert found(search_in(vectors, features).search('"new york"')) == ["square"]


ONE_ROUND = SearchSettings(candidates=2)


class BrokenFeatureStore(MemoryFeatureStore):
    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        raise StoreUnavailable("the disk is gone")


def test_without_the_feature_store_recall_answers_alone_and_says_so() -> None:
    vectors, _ = write_gallery(SHOPS)
    whole = searcher().search("coffee", top=2)
    result = search_in(vectors, BrokenFeatureStore(), settings=ONE_ROUND).search("coffee", top=2)
    reason = "blobs: 2 not read (the disk is gone)"
    assert result.degraded == (Degradation(stage="match", reason=reason, coverage=0.0),)
    assert [hit.image_id for hit in result.hits] == [hit.image_id for hit in whole.hits]
    assert {hit.stages for hit in result.hits} == {("recall",)}
    assert [hit.score for hit in result.hits] == pytest.approx([hit.score for hit in whole.hits], abs=0.01)
    assert {match.box for hit in result.hits for match in hit.matches} == {None}


def test_images_without_a_sound_blob_keep_their_recall_score_and_are_counted() -> None:
    images: dict[str, str] = dict.fromkeys(("damaged", "foreign", "missing", "sound"), "coffee")
    vectors, features = write_gallery(images)
    features.delete([blob_key(FINGERPRINT, "missing")])
    features.put(blob_key(FINGERPRINT, "damaged"), b"no blob at all")
    other = pack(write_features(["coffee"]), codec=CodecName.FP16, fingerprint="f" * 32)
    features.put(blob_key(FINGERPRINT, "foreign"), other)
    result = search_in(vectors, features).search("coffee")
    reason = "blobs: 1 damaged, 1 missing, 1 of another model or version"
    assert result.degraded == (Degradation(stage="match", reason=reason, coverage=0.25),)
    assert sorted(found(result)) == sorted(images)
    assert {hit.image_id: hit.stages for hit in result.hits} == dict.fromkeys(images, ("recall",)) | {
        "sound": ("recall", "match")
    }


def test_exclusion_and_one_to_one_hold_without_blobs() -> None:
    vectors, _ = write_gallery(SHOPS)
    search = search_in(vectors, MemoryFeatureStore()).search
    assert found(search("coffee NOT closed")) == ["a1"]
    assert found(search("coffee coffee")) == []


class ForgetfulVectorStore(ExhaustiveVectorStore):
    def search(self, vectors_QD: FloatArray, limit: int, *, where: Filter | None = None) -> list[RowHits]:
        rows = super().search(vectors_QD, limit, where=where)
        self.delete(["a"])
        return rows


def test_an_image_deleted_after_recall_is_left_out() -> None:
    vectors, features = ForgetfulVectorStore(), MemoryFeatureStore()
    for image_id in "ab":
        add_image(vectors, features, image_id, write_features(["tea"]))
    assert [hit.image_id for hit in search_in(vectors, features).search("tea").hits] == ["b"]


def test_timings_are_milliseconds_of_each_stage() -> None:
    ticks = (float(tick) for tick in count())
    vectors, features = write_gallery(SHOPS)
    timings = search_in(vectors, features, clock=lambda: next(ticks) ** 2).search("tea").timings
    # Ticks at 0, 1, 4, 9 ... s: encode 0-1, recall 4-9, the matcher 16-64, of which it fetched 25-36, and, for the
    # records, 81-100.
    assert (timings.encode_ms, timings.recall_ms, timings.fetch_ms, timings.match_ms) == (1000, 5000, 11000, 56000)
    assert timings.total_ms == 73000


def test_stopping_early_changes_no_hit() -> None:
    random = np.random.default_rng(11)
    images = {f"i{number:03d}": " ".join(random.choice(VOCABULARY, random.integers(0, 6))) for number in range(150)}
    search = searcher(images).search
    for query in ["coffee", "coffee tea", '"bank of"', "open NOT tea", "coffee coffee OR tea tea"]:
        every = search(query, top=1000).hits
        assert search(query, top=7).hits == every[:7]
        assert list(every) == sorted(every, key=lambda hit: (-hit.score, hit.image_id))


class CountingFeatureStore(MemoryFeatureStore):
    def __init__(self) -> None:
        super().__init__()
        self.rounds: list[int] = []

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        self.rounds.append(len(keys))
        return super().get(keys)


def test_blobs_are_fetched_until_no_other_image_can_be_among_the_best() -> None:
    vectors, features = ExhaustiveVectorStore(), CountingFeatureStore()
    for number in range(40):
        words = ["tea"] if number < 6 else ["other"]
        add_image(vectors, features, f"i{number:02d}", write_features(words))
    search = search_in(vectors, features, settings=SearchSettings(round_images=4)).search
    search("tea", top=4)
    assert features.rounds == [4, 8]
    search("tea", top=40)
    assert features.rounds[2:] == [4, 8, 16, 12]


def test_rows_of_excluded_words_are_asked_for_only_when_a_blob_is_missing() -> None:
    vectors, features = write_gallery(SHOPS)
    search = search_in(vectors, features).search
    search("coffee NOT closed")
    assert len(vectors.limits) == 1
    features.delete([blob_key(FINGERPRINT, "a2")])
    assert found(search("coffee NOT closed")) == ["a1"]
    assert len(vectors.limits) == 3


def test_only_images_that_the_filter_matches_are_hits() -> None:
    vectors, features = write_gallery({})
    for image_id, year in (("a", 2019), ("b", 2021), ("c", 2023)):
        add_image(vectors, features, image_id, write_features(["tea"]), metadata={"year": float(year)})
    search = search_in(vectors, features).search
    assert [hit.image_id for hit in search("tea", where=parse_filter("year > 2020")).hits] == ["b", "c"]
    assert search("tea", where=parse_filter("year > 2030")).hits == ()
    features.delete([blob_key(FINGERPRINT, "b")])  # rows of every word are asked for, with the filter
    result = search("tea NOT milk", where=parse_filter("year > 2020"))
    assert [hit.image_id for hit in result.hits] == ["b", "c"]


def test_a_matcher_that_keeps_instances_answers_the_same() -> None:
    vectors, features = write_gallery(SHOPS)
    keeping = Searcher(WordModel(VOCABULARY), vectors, matcher=Matcher(features, card=CARD)).search
    plain = search_in(vectors, features).search
    for query in ("coffee", "coffee open", "coffee", '"bank of america"', "tea OR closed", "coffee"):
        assert keeping(query).hits == plain(query).hits


def test_without_a_matcher_recall_answers_alone() -> None:
    result = Searcher(WordModel(VOCABULARY), write_gallery(SHOPS)[0]).search("coffee NOT closed")
    assert found(result) == ["a1"]
    assert {hit.stages for hit in result.hits} == {("recall",)}
    assert result.degraded == ()
