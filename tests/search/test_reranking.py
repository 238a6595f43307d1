from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.token_gallery import CARD, FINGERPRINT, GridModel, add_grid, write_grids, write_map

from glyphseek.errors import QueryError, SettingError
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.ports import blob_key
from glyphseek.reranking import Reranker
from glyphseek.search import Degradation, Searcher, SearchResult, SearchSettings
from glyphseek.types import Fusion, ImageFeatures, ModelCard
from glyphseek.vectors.memory import MemoryVectorStore

SHOPS = {
    "a1": "coffee open",
    "a2": "coffee closed",
    "a3": "tea open",
    "b1": "bank of america",
    "b2": "america of bank",
    "c1": "",
}


def searcher(
    images: dict[str, str] | tuple[MemoryVectorStore, MemoryFeatureStore] = SHOPS,
    settings: SearchSettings | None = None,
    *,
    model: GridModel | None = None,
) -> Searcher:
    vectors, features = write_grids(images) if isinstance(images, dict) else images
    model = model or GridModel()
    reranker = Reranker(model, features, fingerprint=FINGERPRINT)
    return Searcher(model, vectors, reranker=reranker, settings=settings)


def found(result: SearchResult) -> list[str]:
    """Return the ids of the reranked hits that are confident."""
    return [hit.image_id for hit in result.hits if hit.score >= 0.5]


@pytest.mark.parametrize(
    ("query", "image_ids"),
    [
        ("coffee", ["a1", "a2"]),
        ("coffee open", ["a1"]),
        ("coffee NOT closed", ["a1"]),
        ("tea OR closed", ["a2", "a3"]),
        ("bank of america", ["b1", "b2"]),
        ('"of america"', ["b1"]),
        ('america NOT "of america"', ["b2"]),
        ("coffee coffee", []),
        ("parking", []),
    ],
)
def test_the_images_that_answer_are_found(query: str, image_ids: list[str]) -> None:
    result = searcher().search(query)
    assert sorted(found(result)) == image_ids
    assert result.confident is bool(image_ids)
    assert result.degraded == ()


def test_a_hit_names_its_stages_and_goes_around_the_peak_of_attention() -> None:
    hit = searcher().search("open coffee").hits[0]
    assert (hit.image_id, hit.stages) == ("a1", ("recall", "rerank"))
    assert [match.term for match in hit.matches] == ["open", "coffee"]
    assert hit.matches[0].box == pytest.approx((2 / 8, 2 / 6, 3 / 8, 3 / 6))
    assert hit.matches[1].box == pytest.approx((0, 2 / 6, 1 / 8, 3 / 6))
    assert hit.matches[0].similarity == pytest.approx(1.0, abs=0.02)
    assert hit.attention is None


def test_attention_comes_on_request_for_each_term() -> None:
    hit = searcher().search("open coffee", with_attention=True).hits[0]
    assert hit.attention is not None
    assert sorted(hit.attention) == ["coffee", "open"]
    assert hit.attention["open"].sum() == pytest.approx(1.0, abs=1e-5)
    assert np.unravel_index(hit.attention["open"].argmax(), (6, 8)) == (2, 2)


def gallery_of(images: dict[str, ImageFeatures]) -> tuple[MemoryVectorStore, MemoryFeatureStore]:
    vectors, features = MemoryVectorStore(card=CARD), MemoryFeatureStore()
    for image_id, found_in_it in images.items():
        add_grid(vectors, features, image_id, found_in_it)
    return vectors, features


def near_tea(cosine: float) -> ImageFeatures:
    return write_map({"tea": [(0, 0)]}, near={"tea": cosine})


def crowded_tea() -> ImageFeatures:
    """Return an image whose global vector says little of tea while a token says everything."""
    return write_map({"tea": [(0, 0)], **{f"w{number}": [divmod(number + 8, 8)] for number in range(30)}})


def test_reranking_puts_what_tokens_say_before_what_the_global_vector_says() -> None:
    gallery = gallery_of({"token": crowded_tea(), "vector": near_tea(0.6)})
    assert [hit.image_id for hit in searcher(gallery).search("tea", rerank=0).hits] == ["vector", "token"]
    assert [hit.image_id for hit in searcher(gallery).search("tea").hits] == ["token", "vector"]


def test_the_score_is_the_calibrated_sum_of_cosine_and_probability() -> None:
    hit = searcher({"a": "tea"}).search("tea").hits[0]
    fused = np.sqrt(0.5) + 1.0  # the mean of two vectors at right angles, and a token that is the word
    assert hit.score == pytest.approx(1 / (1 + np.exp(7 - 10 * fused)), abs=0.01)


class ByMatchAlone(GridModel):
    @property
    def card(self) -> ModelCard:
        return replace(CARD, fusion=Fusion.MATCH)


def test_a_card_may_leave_the_cosine_out() -> None:
    hit = searcher({"a": "tea"}, model=ByMatchAlone()).search("tea").hits[0]
    assert hit.score == pytest.approx(1 / (1 + np.exp(7 - 10)), abs=0.01)


def test_what_was_not_reranked_stays_behind_in_the_order_of_recall() -> None:
    images = {f"i{number}": near_tea(0.9 - 0.1 * number) for number in range(6)} | {"last": crowded_tea()}
    hits = searcher(gallery_of(images)).search("tea", rerank=3).hits
    assert [hit.image_id for hit in hits] == ["i0", "i1", "i2", "i3", "i4", "i5", "last"]
    assert [len(hit.stages) for hit in hits] == [2, 2, 2, 1, 1, 1, 1]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_however_bad_its_score_a_reranked_image_stands_before_the_others() -> None:
    images: dict[str, ImageFeatures] = {f"i{number}": near_tea(0.5) for number in range(4)}
    vectors, features = gallery_of(images)
    add_grid(MemoryVectorStore(card=CARD), features, "i0", write_map({"milk": [(0, 0)]}))  # its row still says tea
    hits = searcher((vectors, features)).search("tea", rerank=1).hits
    assert [hit.image_id for hit in hits] == ["i0", "i1", "i2", "i3"]
    assert {hit.score for hit in hits} == {hits[0].score}


@pytest.mark.parametrize("rerank", [1, 2, 4, 6])
def test_the_depth_of_reranking_is_asked_for_by_the_request(rerank: int) -> None:
    hits = searcher().search("coffee", rerank=rerank).hits
    assert sum("rerank" in hit.stages for hit in hits) == rerank


class ThatRecommendsTwo(GridModel):
    @property
    def card(self) -> ModelCard:
        return replace(CARD, rerank_depth=2)


@pytest.mark.parametrize(("asked", "settings", "depth"), [(None, None, 2), (4, None, 4), (None, 3, 3)])
def test_unless_request_or_settings_say_otherwise_as_many_are_reranked_as_the_card_recommends(
    asked: int | None, settings: int | None, depth: int
) -> None:
    search = searcher(model=ThatRecommendsTwo(), settings=SearchSettings(rerank=settings)).search
    hits = search("coffee", rerank=asked).hits
    assert sum("rerank" in hit.stages for hit in hits) == depth


def test_depth_zero_is_recall_alone() -> None:
    model = GridModel()
    result = searcher(model=model).search("coffee", rerank=0)
    assert model.batches == []
    assert {hit.stages for hit in result.hits} == {("recall",)}
    assert found(result) == ["a1", "a2"]
    assert {match.box for hit in result.hits for match in hit.matches} == {None}


def test_all_candidates_are_scored_in_one_batch_for_all_terms() -> None:
    model = GridModel()
    searcher(model=model).search("coffee NOT closed")
    assert model.batches == [(2, 6)]


@pytest.mark.parametrize("rerank", [-1, 513])
def test_a_depth_out_of_bounds_is_refused_with_the_limit(rerank: int) -> None:
    with pytest.raises(SettingError, match=f"rerank is {rerank}, it must be 0 to 512"):
        searcher().search("coffee", rerank=rerank)


def test_without_a_reranker_recall_answers_and_reranking_is_refused() -> None:
    plain = Searcher(GridModel(), write_grids(SHOPS)[0])
    assert found(plain.search("coffee")) == ["a1", "a2"]
    with pytest.raises(SettingError, match="rerank is 5, but grids is not reranked"):
        plain.search("coffee", rerank=5)


def test_kinds_of_query_that_the_model_refuses_are_refused() -> None:
    for query in ("coff*", '~"a shop"'):
        with pytest.raises(QueryError, match="knows whole words only"):
            searcher().search(query)


def test_images_without_a_sound_blob_keep_their_order_behind_the_others_and_are_counted() -> None:
    images = {f"i{number}": near_tea(0.9 - 0.1 * number) for number in range(6)}
    vectors, features = gallery_of(images)
    features.delete([blob_key(FINGERPRINT, "i0"), blob_key(FINGERPRINT, "i3")])
    features.put(blob_key(FINGERPRINT, "i2"), b"no blob at all")
    result = searcher((vectors, features)).search("tea")
    assert [hit.image_id for hit in result.hits] == ["i1", "i4", "i5", "i0", "i2", "i3"]
    assert [hit.stages for hit in result.hits] == [("recall", "rerank")] * 3 + [("recall",)] * 3
    reason = "blobs: 1 damaged, 2 missing"
    assert result.degraded == (Degradation(stage="rerank", reason=reason, coverage=0.5),)


def test_without_any_blob_recall_answers_alone_and_says_so() -> None:
    vectors, _ = write_grids(SHOPS)
    result = searcher((vectors, MemoryFeatureStore())).search("coffee NOT closed")
    assert found(result) == ["a1"]
    assert result.degraded[0].coverage == 0.0


def test_one_place_seen_by_two_terms_is_no_evidence_of_the_excluded_one() -> None:
    both = write_map({"coffee": [(0, 0)], "coffees": [(3, 3)]}, near={"coffees": 0.85})
    gallery = gallery_of({"both": both, "one": write_map({"coffee": [(0, 0)]})})
    assert found(searcher(gallery).search("coffee NOT coffees")) == ["one"]


def test_a_word_asked_for_twice_needs_two_places() -> None:
    gallery = gallery_of({"once": write_map({"tea": [(0, 0)]}), "twice": write_map({"tea": [(0, 0), (4, 6)]})})
    assert found(searcher(gallery).search("tea tea")) == ["twice"]


def test_more_hits_than_candidates_may_be_asked_for() -> None:
    images = dict.fromkeys((f"i{number:02d}" for number in range(30)), "tea")
    result = searcher(images, SearchSettings(candidates=5, rerank=4)).search("tea", top=20)
    assert [hit.image_id for hit in result.hits] == [f"i{number:02d}" for number in range(20)]


def test_time_spent_on_token_maps_is_told_apart() -> None:
    timings = searcher().search("coffee").timings
    assert timings.rerank_ms > 0
    assert timings.fetch_ms > 0
    assert timings.total_ms == pytest.approx(
        timings.encode_ms + timings.recall_ms + timings.fetch_ms + timings.rerank_ms + timings.match_ms
    )


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    shared = searcher()
    fresh = [searcher().search(query).hits for query in ("coffee", "tea OR open", "coffee")]
    assert [shared.search(query).hits for query in ("coffee", "tea OR open", "coffee")] == fresh
