from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from fakes.word_gallery import (
    CARD,
    FINGERPRINT,
    LETTERS_CARD,
    WordModel,
    write_features,
    write_gallery,
    write_letters,
)

from glyphseek.errors import InputError, SettingError, StoreUnavailable
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.matching import MatchCandidate, Matcher, MatcherSettings, Matching
from glyphseek.ports import FeatureStore, blob_key
from glyphseek.queries import parse_query
from glyphseek.ranking import QueryPlan, plan_query
from glyphseek.tokens import CodecName, pack
from glyphseek.types import ImageFeatures, TermFeatures

SHOPS = {"a1": "coffee open", "a2": "coffee closed", "a3": "tea open", "b1": "bank of america", "c1": ""}


def encode(query: str) -> tuple[QueryPlan, list[TermFeatures]]:
    plan = plan_query(parse_query(query), max_term_characters=CARD.max_query_characters)
    return plan, WordModel().encode_terms(plan.terms)


def candidates(image_ids: Sequence[str]) -> list[MatchCandidate]:
    return [MatchCandidate(image_id=one) for one in image_ids]


def matcher_of(features: FeatureStore, settings: MatcherSettings | None = None) -> Matcher:
    return Matcher(features, card=CARD, settings=settings)


@pytest.fixture(name="shops")
def shops_fixture() -> MemoryFeatureStore:
    return write_gallery(SHOPS)[1]


def ids(matching: Matching) -> list[str]:
    return [one.image_id for one in matching.images]


def test_all_images_are_matched_best_first_equal_ones_by_id(shops: MemoryFeatureStore) -> None:
    found = matcher_of(shops).match(*encode("coffee"), candidates(["c1", "a2", "a3", "a1", "b1"]))
    assert ids(found)[:2] == ["a1", "a2"]
    assert sorted(ids(found)) == sorted(SHOPS)
    scores = [one.match.score for one in found.images]
    assert scores == sorted(scores, reverse=True)
    assert (scores[0] > 0.9, scores[2] < 0.1) == (True, True)
    assert (found.asked, found.coverage, found.unusable_ids) == (5, 1.0, ())


def test_a_match_says_which_word_answers_and_where(shops: MemoryFeatureStore) -> None:
    found = matcher_of(shops).match(*encode("open coffee"), candidates(["a1"]))
    matches = found.images[0].match.matches
    assert [(one.term, one.instance) for one in matches] == [("open", 1), ("coffee", 0)]
    assert matches[0].box == pytest.approx((0.5, 0.4, 0.9, 0.5))


def test_excluded_words_bring_an_image_to_nothing(shops: MemoryFeatureStore) -> None:
    found = matcher_of(shops).match(*encode("coffee NOT closed"), candidates(["a1", "a2"]))
    assert [(one.image_id, one.match.score > 0.5) for one in found.images] == [("a1", True), ("a2", False)]
    assert found.images[1].match.score == 0.0


def test_top_leaves_the_best_and_changes_none_of_them() -> None:
    random = np.random.default_rng(3)
    words = ["coffee", "tea", "milk", "open", "bank"]
    images = {f"i{number:03d}": " ".join(random.choice(words, random.integers(0, 5))) for number in range(80)}
    matcher = matcher_of(write_gallery(images)[1])
    for query in ("coffee", "coffee tea", "open NOT milk", '"bank open"', "tea tea OR milk milk"):
        every = matcher.match(*encode(query), candidates(list(images)))
        best = matcher.match(*encode(query), candidates(list(images)), top=7)
        assert best.images == every.images[:7]


def test_images_below_the_least_score_are_left_out(shops: MemoryFeatureStore) -> None:
    found = matcher_of(shops).match(*encode("coffee"), candidates(list(SHOPS)), least_score=0.5)
    assert ids(found) == ["a1", "a2"]


def test_the_aspect_counts_for_the_space_in_phrases() -> None:
    _, features = write_gallery({})
    boxes = np.array([[0.1, 0.4, 0.3, 0.5], [0.42, 0.4, 0.6, 0.5]], dtype=np.float32)
    blob = pack(write_features(["new", "york"], boxes), codec=CodecName.FP16, fingerprint=FINGERPRINT)
    for image_id in ("square", "banner"):
        features.put(blob_key(FINGERPRINT, image_id), blob)
    images = [MatchCandidate(image_id="square", aspect=1.0), MatchCandidate(image_id="banner", aspect=3.0)]
    scores = {one.image_id: one.match.score for one in matcher_of(features).match(*encode('"new york"'), images).images}
    assert scores["square"] > 0.5 > scores["banner"]


def test_images_without_usable_instances_are_named_and_counted(shops: MemoryFeatureStore) -> None:
    shops.put(blob_key(FINGERPRINT, "a1"), b"no blob at all")
    shops.put(blob_key(FINGERPRINT, "a2"), pack(write_features(["tea"]), codec=CodecName.FP16, fingerprint="f" * 32))
    whole = ImageFeatures(global_vector_D=np.ones(8, dtype=np.float32))
    shops.put(blob_key(FINGERPRINT, "b1"), pack(whole, codec=CodecName.FP16, fingerprint=FINGERPRINT))
    found = matcher_of(shops).match(*encode("tea"), candidates(["none", "a3", "a1", "a2", "b1"]))
    assert ids(found) == ["a3"]
    assert found.unusable_ids == ("none", "a1", "a2", "b1")
    assert found.faults == {"missing": 1, "damaged": 1, "of another model or version": 2}
    assert found.coverage == pytest.approx(0.2)


class BrokenFeatureStore(MemoryFeatureStore):
    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        raise StoreUnavailable("the disk is gone")


def test_a_store_that_fails_leaves_every_image_unmatched() -> None:
    found = matcher_of(BrokenFeatureStore()).match(*encode("tea"), candidates(["a", "b"]), top=10)
    assert (found.images, found.unusable_ids, found.coverage) == ((), ("a", "b"), 0.0)
    assert found.faults == {"not read (the disk is gone)": 2}


class CountingFeatureStore(MemoryFeatureStore):
    def __init__(self, source: MemoryFeatureStore) -> None:
        super().__init__()
        keys = list(source.scan())
        for key, blob in zip(keys, source.get(keys), strict=True):
            assert blob is not None
            self.put(key, blob)
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        self.asked += keys
        assert self.may_answer.wait(10)
        return super().get(keys)


def test_instances_are_kept_and_answer_the_same(shops: MemoryFeatureStore) -> None:
    store = CountingFeatureStore(shops)
    matcher = matcher_of(store)
    first = matcher.match(*encode("coffee"), candidates(["a1", "a2"]))
    second = matcher.match(*encode("coffee"), candidates(["a1", "a2"]))
    assert (first.cache_hits, second.cache_hits) == (0, 2)
    assert first.fetched_bytes == sum(len(blob or b"") for blob in shops.get(store.asked))
    assert (len(store.asked), second.fetched_bytes) == (2, 0)
    assert first.images == second.images


def test_what_is_kept_is_bounded_in_bytes(shops: MemoryFeatureStore) -> None:
    matcher = matcher_of(shops, MatcherSettings(cache_bytes=6000))
    for image_id in SHOPS:
        matcher.match(*encode("tea"), candidates([image_id]))
        assert matcher.cache_stats().held_bytes <= 6000
    assert matcher.cache_stats().evicted > 0


def test_many_requests_for_one_image_read_its_blob_once(shops: MemoryFeatureStore) -> None:
    store = CountingFeatureStore(shops)
    store.may_answer.clear()
    matcher = matcher_of(store)
    question = encode("coffee")
    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(matcher.match, *question, candidates(["a1"])) for _ in range(6)]
        while matcher.cache_stats().joined < 5:
            threading.Event().wait(0.005)
        store.may_answer.set()
        found = [one.result(10) for one in waiting]
    assert len(store.asked) == 1
    assert all(one.images == found[0].images for one in found)


def test_an_image_named_twice_is_matched_once(shops: MemoryFeatureStore) -> None:
    found = matcher_of(shops).match(*encode("coffee"), candidates(["a1", "a1"]))
    assert (ids(found), found.asked) == (["a1"], 1)


def test_nothing_asked_is_nothing_answered(shops: MemoryFeatureStore) -> None:
    found = matcher_of(shops).match(*encode("coffee"), [])
    assert (found.images, found.asked, found.coverage) == ((), 0, 1.0)


def test_more_images_than_set_are_refused_with_the_limit(shops: MemoryFeatureStore) -> None:
    with pytest.raises(SettingError, match="2 images to match, the limit is 1"):
        matcher_of(shops, MatcherSettings(max_images=1)).match(*encode("coffee"), candidates(["a1", "a2"]))


def test_terms_that_are_not_those_of_the_plan_are_refused(shops: MemoryFeatureStore) -> None:
    plan, terms = encode("coffee open")
    with pytest.raises(InputError, match="1 encoded terms for a query of 2"):
        matcher_of(shops).match(plan, terms[:1], candidates(["a1"]))
    narrow = [TermFeatures(vectors_VD=one.vectors_VD[:, :8]) for one in terms]
    with pytest.raises(InputError, match="a term of width 8; vectors of words have 256"):
        matcher_of(shops).match(plan, narrow, candidates(["a1"]))


def test_timings_are_milliseconds_of_fetching_and_scoring(shops: MemoryFeatureStore) -> None:
    ticks = (float(tick) for tick in count())
    found = Matcher(shops, card=CARD, clock=lambda: next(ticks) ** 2).match(*encode("coffee"), candidates(["a1"]))
    assert (found.fetch_ms, found.score_ms) == (1000.0, 3000.0)


@pytest.mark.parametrize(("setting", "value"), [("cache_bytes", -1), ("max_images", 0), ("fetch_timeout_s", 0.0)])
def test_impossible_settings_are_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(SettingError, match=f"{setting} is {value}"):
        MatcherSettings(**{setting: value})  # pyright: ignore[reportArgumentType]


@pytest.fixture(name="spelt")
def spelt_fixture() -> MemoryFeatureStore:
    """The shops with letters; the vector of a2's first word is that of `coffee`, its letters say `toffee`."""
    features = MemoryFeatureStore()
    for image_id, line in SHOPS.items():
        found = write_features(line.split()).instances
        assert found is not None
        written = ["toffee", "closed"] if image_id == "a2" else line.split()
        lettered = replace(found, letters_NSA=write_letters(written))
        blob = pack(ImageFeatures(instances=lettered), codec=CodecName.FP16, fingerprint=FINGERPRINT)
        features.put(blob_key(FINGERPRINT, image_id), blob)
    return features


def test_letters_decide_what_vectors_cannot_tell_apart(spelt: MemoryFeatureStore) -> None:
    by_vectors, by_letters = matcher_of(spelt), Matcher(spelt, card=LETTERS_CARD)
    asked = (*encode("coffee"), candidates(list(SHOPS)))
    assert [one.match.score > 0.9 for one in by_vectors.match(*asked).images[:2]] == [True, True]
    found = by_letters.match(*asked)
    assert [(one.image_id, one.match.score > 0.5) for one in found.images[:2]] == [("a1", True), ("a2", False)]


def test_a_prefix_is_told_by_letters(spelt: MemoryFeatureStore) -> None:
    started = Matcher(spelt, card=LETTERS_CARD).match(*encode("coff*"), candidates(["a1", "a2"]))
    assert [(one.image_id, one.match.score > 0.5) for one in started.images] == [("a1", True), ("a2", False)]


@pytest.mark.parametrize(("query", "is_toffee"), [("coffee", False), ("coffee~1", True)])
def test_an_edit_that_is_forgiven_is_told_by_letters(spelt: MemoryFeatureStore, query: str, is_toffee: bool) -> None:
    coffee, toffee = Matcher(spelt, card=LETTERS_CARD).match(*encode(query), candidates(["a1", "a2"])).images
    assert coffee.match.score > 0.9
    assert (toffee.match.score > 0.5) is is_toffee
    assert toffee.match.score < coffee.match.score


def test_letters_tell_phrases_and_exclusions(spelt: MemoryFeatureStore) -> None:
    matcher = Matcher(spelt, card=LETTERS_CARD)
    phrase = matcher.match(*encode('"bank of america"'), candidates(list(SHOPS)))
    assert (phrase.images[0].image_id, phrase.images[0].match.score > 0.5) == ("b1", True)
    without = matcher.match(*encode("open NOT coffee"), candidates(["a1", "a3"]))
    assert [(one.image_id, one.match.score > 0.5) for one in without.images] == [("a3", True), ("a1", False)]


def test_a_blob_without_letters_is_of_no_use_to_a_model_that_keeps_them(shops: MemoryFeatureStore) -> None:
    found = Matcher(shops, card=LETTERS_CARD).match(*encode("coffee"), candidates(["a1"]))
    assert (found.images, found.unusable_ids, sum(found.faults.values())) == ((), ("a1",), 1)


def test_letters_of_another_alphabet_are_of_no_use(spelt: MemoryFeatureStore) -> None:
    card = replace(LETTERS_CARD, alphabet="abc")
    found = Matcher(spelt, card=card).match(*encode("coffee"), candidates(["a1"]))
    assert found.unusable_ids == ("a1",)
