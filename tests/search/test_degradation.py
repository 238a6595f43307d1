"""What a search does when its second stage does not answer, as when it is in another process."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fakes import token_gallery, word_gallery
from prometheus_client.parser import text_string_to_metric_families

from glyphseek.errors import (
    DeadlineExceeded,
    InputError,
    ModelMismatch,
    ModelNotFound,
    Overloaded,
    QueryError,
    ServiceUnavailable,
    StoreUnavailable,
)
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.matching import MatchCandidate, Matcher, MatcherSettings, Matching
from glyphseek.metrics import Metrics
from glyphseek.ports import blob_key
from glyphseek.ranking import QueryPlan
from glyphseek.reranking import Reranking
from glyphseek.search import Degradation, Searcher, SearchSettings
from glyphseek.types import TermFeatures

FAILURES = [
    ServiceUnavailable("matcher:1 does not answer"),
    DeadlineExceeded("over after 0.5 s"),
    Overloaded("8 requests are waiting"),
    StoreUnavailable("the bucket is gone"),
    ModelNotFound("no such model"),
    ModelMismatch("another model"),
]
SHOPS = {"a1": "coffee open", "a2": "coffee closed", "a3": "tea open", "b1": "bank of america", "c1": ""}


class FailingMatcher:
    """Answers so many times, and then raises."""

    def __init__(self, features: MemoryFeatureStore, error: Exception, *, answers: int = 0) -> None:
        self._matcher = Matcher(features, card=word_gallery.CARD, settings=MatcherSettings(cache_bytes=0))
        self._error = error
        self._answers = answers
        self.asked: list[int] = []

    def match(
        self,
        plan: QueryPlan,
        terms: Sequence[TermFeatures],
        images: Sequence[MatchCandidate],
        *,
        top: int = 0,
        least_score: float = 0.0,
    ) -> Matching:
        self.asked.append(len(images))
        if len(self.asked) > self._answers:
            raise self._error
        return self._matcher.match(plan, terms, images, top=top, least_score=least_score)


class FailingReranker:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def rerank(
        self, terms: Sequence[TermFeatures], image_ids: Sequence[str], *, with_attention: bool = False
    ) -> Reranking:
        raise self._error


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_without_its_matcher_recall_answers_in_its_order_and_says_why(error: Exception) -> None:
    vectors, features = word_gallery.write_gallery(SHOPS)
    search = Searcher(word_gallery.WordModel(), vectors, matcher=FailingMatcher(features, error)).search
    whole = Searcher(word_gallery.WordModel(), vectors, matcher=Matcher(features, card=word_gallery.CARD)).search
    result = search("coffee NOT closed")
    reason = f"{type(error).__name__}: {error}"
    assert result.degraded == (Degradation(stage="match", reason=reason, coverage=0.0),)
    assert {hit.stages for hit in result.hits} == {("recall",)}
    assert result.hits[0].image_id == whole("coffee NOT closed").hits[0].image_id == "a1"
    assert "a2" not in [hit.image_id for hit in result.hits]
    assert [hit.score for hit in result.hits] == sorted((hit.score for hit in result.hits), reverse=True)


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_without_its_reranker_recall_answers_in_its_order_and_says_why(error: Exception) -> None:
    vectors, _ = token_gallery.write_grids(SHOPS)
    result = Searcher(token_gallery.GridModel(), vectors, reranker=FailingReranker(error)).search("coffee")
    plain = Searcher(token_gallery.GridModel(), vectors).search("coffee")
    reason = f"{type(error).__name__}: {error}"
    assert result.degraded == (Degradation(stage="rerank", reason=reason, coverage=0.0),)
    assert result.hits == plain.hits


def test_a_matcher_lost_on_the_way_is_not_asked_again_and_what_it_did_counts() -> None:
    vectors, features = word_gallery.write_gallery({f"i{number:02d}": "tea" for number in range(28)})
    matcher = FailingMatcher(features, ServiceUnavailable("gone"), answers=1)
    settings = SearchSettings(round_images=4)
    result = Searcher(word_gallery.WordModel(), vectors, matcher=matcher, settings=settings).search("tea", top=28)
    assert matcher.asked == [4, 8]
    assert [hit.image_id for hit in result.hits if "match" in hit.stages] == ["i00", "i01", "i02", "i03"]
    assert len(result.hits) == 28
    assert [(one.stage, one.reason) for one in result.degraded] == [("match", "ServiceUnavailable: gone")]
    assert result.degraded[0].coverage == pytest.approx(4 / 28)


def test_faults_of_blobs_and_a_lost_matcher_are_both_told() -> None:
    vectors, features = word_gallery.write_gallery({f"i{number:02d}": "tea" for number in range(12)})
    features.delete([blob_key(word_gallery.FINGERPRINT, "i01")])
    matcher = FailingMatcher(features, DeadlineExceeded("over"), answers=1)
    settings = SearchSettings(round_images=4)
    result = Searcher(word_gallery.WordModel(), vectors, matcher=matcher, settings=settings).search("tea", top=12)
    assert result.degraded[0].reason == "blobs: 1 missing; DeadlineExceeded: over"
    assert result.degraded[0].coverage == pytest.approx(3 / 12)


def test_what_is_wrong_with_the_request_itself_is_raised() -> None:
    vectors, features = word_gallery.write_gallery(SHOPS)
    matcher = FailingMatcher(features, InputError("no such term"))
    with pytest.raises(InputError, match="no such term"):
        Searcher(word_gallery.WordModel(), vectors, matcher=matcher).search("coffee")


def test_time_that_a_lost_stage_took_is_told() -> None:
    ticks = iter(range(100))
    vectors, features = word_gallery.write_gallery(SHOPS)
    matcher = FailingMatcher(features, DeadlineExceeded("over"))
    searcher = Searcher(word_gallery.WordModel(), vectors, matcher=matcher, clock=lambda: float(next(ticks)))
    timings = searcher.search("coffee").timings
    assert timings.fetch_ms == 0
    assert timings.match_ms == 3000  # asking in vain, scoring by recall, and the records


def test_answered_searches_are_counted_and_the_stages_they_went_without() -> None:
    vectors, features = word_gallery.write_gallery(SHOPS)
    metrics = Metrics()
    for matcher in (
        Matcher(features, card=word_gallery.CARD),
        FailingMatcher(features, ServiceUnavailable("gone")),
    ):
        search = Searcher(word_gallery.WordModel(), vectors, matcher=matcher, metrics=metrics).search
        search("coffee")
        search("hospital")
    with pytest.raises(QueryError):
        search("")
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.expose().decode())
        for sample in family.samples
    }
    assert values["glyphseek_searches_total", "true"] == 2
    assert values["glyphseek_searches_total", "false"] == 2
    assert values["glyphseek_degraded_answers_total", "match"] == 2
