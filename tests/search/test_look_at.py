from __future__ import annotations

import numpy as np
import pytest
from fakes import token_gallery, word_gallery

from glyphseek.errors import ImageNotFound, QueryError
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.matching import Matcher
from glyphseek.ports import blob_key
from glyphseek.reranking import Reranker
from glyphseek.search import Searcher

SHOPS = {"a1": "coffee open", "a2": "coffee closed", "a3": "tea open", "b1": "bank of america", "c1": ""}


def word_searcher() -> tuple[Searcher, MemoryFeatureStore]:
    vectors, features = word_gallery.write_gallery(SHOPS)
    return Searcher(word_gallery.WordModel(), vectors, matcher=Matcher(features, card=word_gallery.CARD)), features


def grid_searcher() -> tuple[Searcher, MemoryFeatureStore]:
    vectors, features = token_gallery.write_grids(SHOPS)
    model = token_gallery.GridModel()
    reranker = Reranker(model, features, fingerprint=token_gallery.FINGERPRINT)
    return Searcher(model, vectors, reranker=reranker), features


@pytest.mark.parametrize("query", ["coffee", "coffee open", '"bank of"', "tea OR closed"])
def test_a_matched_image_has_the_score_and_places_of_a_search(query: str) -> None:
    searcher, _ = word_searcher()
    hits = searcher.search(query).hits
    assert len(hits) > 1
    for hit in hits:
        seen, degraded = searcher.look_at(query, hit.image_id)
        assert seen.score == pytest.approx(hit.score, rel=1e-5)
        assert [(one.term, one.instance, one.box) for one in seen.matches] == [
            (one.term, one.instance, one.box) for one in hit.matches
        ]
        assert (seen.stages, seen.names, degraded) == (("recall", "match"), hit.names, ())


@pytest.mark.parametrize("query", ["coffee", "coffee open", '"bank of"', "tea OR closed"])
def test_a_reranked_image_has_the_score_and_maps_of_a_search(query: str) -> None:
    searcher, _ = grid_searcher()
    for hit in searcher.search(query, with_attention=True).hits:
        seen, degraded = searcher.look_at(query, hit.image_id, with_attention=True)
        assert (seen.image_id, seen.stages, degraded) == (hit.image_id, hit.stages, ())
        assert seen.score == pytest.approx(hit.score, rel=1e-4)
        assert [one.box for one in seen.matches] == [one.box for one in hit.matches]
        assert seen.attention is not None
        assert hit.attention is not None
        for term, attention_HW in seen.attention.items():
            np.testing.assert_allclose(attention_HW, hit.attention[term], atol=1e-6)
    assert searcher.look_at(query, "a1")[0].attention is None


def test_an_image_with_an_excluded_word_scores_nothing() -> None:
    for searcher, _ in (word_searcher(), grid_searcher()):
        assert searcher.look_at("coffee NOT closed", "a2")[0].score == 0.0
        assert searcher.look_at("coffee NOT closed", "a1")[0].score > 0.5


def test_an_image_without_the_word_is_seen_with_a_low_score() -> None:
    for searcher, _ in (word_searcher(), grid_searcher()):
        hit, _ = searcher.look_at("coffee", "c1")
        assert (hit.image_id, hit.score < 0.1) == ("c1", True)


def test_an_unknown_image_is_refused_by_name() -> None:
    searcher, _ = word_searcher()
    with pytest.raises(ImageNotFound, match="there is no image 'nope'"):
        searcher.look_at("coffee", "nope")


def test_a_query_that_cannot_be_asked_is_refused() -> None:
    searcher, _ = word_searcher()
    with pytest.raises(QueryError):
        searcher.look_at("", "a1")


def test_without_its_blob_an_image_is_seen_by_recall_and_the_answer_says_so() -> None:
    searcher, features = word_searcher()
    features.delete([blob_key(word_gallery.FINGERPRINT, "a1")])
    hit, degraded = searcher.look_at("coffee", "a1")
    assert (hit.stages, hit.matches[0].box, hit.score > 0.9) == (("recall",), None, True)
    assert [(one.stage, one.reason, one.coverage) for one in degraded] == [("match", "blobs: 1 missing", 0.0)]


def test_without_its_map_an_image_is_seen_by_recall_and_the_answer_says_so() -> None:
    searcher, features = grid_searcher()
    features.delete([blob_key(token_gallery.FINGERPRINT, "a1")])
    hit, degraded = searcher.look_at("coffee", "a1", with_attention=True)
    assert (hit.stages, hit.attention) == (("recall",), None)
    assert [(one.stage, one.reason, one.coverage) for one in degraded] == [("rerank", "blobs: 1 missing", 0.0)]


def test_an_image_that_recall_does_not_find_either_is_seen_with_a_low_score() -> None:
    vectors, _ = word_gallery.write_gallery(SHOPS)
    hit, degraded = Searcher(word_gallery.WordModel(), vectors).look_at("coffee", "c1")
    assert (hit.image_id, hit.stages, hit.score < 0.1, degraded) == ("c1", ("recall",), True, ())
