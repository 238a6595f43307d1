from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fakes.token_gallery import FINGERPRINT, GridModel, write_grids

from glyphseek.errors import GalleryDamaged
from glyphseek.evaluation import GalleryReranker, encode_words
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.ports import blob_key
from glyphseek.reranking import Reranker
from glyphseek.types import FloatArray, Fusion

IMAGES = {f"i{number}": line for number, line in enumerate(["tea", "milk", "tea milk", "", "tea", "bread milk"])}
QUERIES = ["tea", "milk", "tea milk", "longer than the model reads"]


@pytest.fixture(name="store")
def store_fixture() -> MemoryFeatureStore:
    return write_grids(IMAGES)[1]


@pytest.fixture(name="reranker")
def reranker_fixture(store: MemoryFeatureStore) -> Iterator[Reranker]:
    with Reranker(GridModel(), store, fingerprint=FINGERPRINT) as reranker:
        yield reranker


def gallery(
    reranker: Reranker, image_ids: list[str | None] | None = None, fusion: Fusion = Fusion.SUM
) -> GalleryReranker:
    return GalleryReranker(
        reranker=reranker,
        image_ids=image_ids or list(IMAGES),
        features=encode_words(QUERIES, GridModel().encode_terms, max_characters=15),
        max_characters=15,
        max_depth=6,
        fusion=fusion,
    )


def cosines(*values: float) -> FloatArray:
    return np.array(values, dtype=np.float32)


RECALL = cosines(0.3, 0.9, 0.2, 0.8, 0.1, 0.0)


def test_depth_zero_is_recall(reranker: Reranker) -> None:
    np.testing.assert_array_equal(gallery(reranker).score("tea", RECALL, 0), RECALL)


def test_the_head_scores_cosine_plus_probability_and_leads(reranker: Reranker) -> None:
    scores_N = gallery(reranker).score("tea", RECALL, 3)
    assert scores_N[[1, 3, 0]] == pytest.approx([0.9, 0.8, 1.3], abs=0.3)  # other words are not quite at right angles
    assert np.argsort(-scores_N).tolist()[0] == 0
    np.testing.assert_allclose(scores_N[[2, 4, 5]], RECALL[[2, 4, 5]] - 4)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("fusion", list(Fusion))
def test_every_image_that_is_not_reranked_stays_below_the_head(reranker: Reranker, depth: int, fusion: Fusion) -> None:
    low = cosines(-0.9, -1.0, -0.5, -0.5, -1.0, -0.95)
    scores_N = gallery(reranker, fusion=fusion).score("milk", low, depth)
    order = np.argsort(-low, kind="stable")
    assert scores_N[order[:depth]].min() > scores_N[order[depth:]].max() + 0.5
    assert np.argsort(-scores_N[order[depth:]], kind="stable").tolist() == list(range(6 - depth))


def test_by_match_alone_the_cosine_only_chooses_the_head(reranker: Reranker) -> None:
    scores_N = gallery(reranker, fusion=Fusion.MATCH).score("tea", RECALL, 6)
    assert set(np.argsort(-scores_N).tolist()[:3]) == {0, 2, 4}
    assert scores_N[[0, 2, 4]] == pytest.approx([1.0, 1.0, 1.0], abs=0.02)


def test_several_words_score_the_mean_over_them(reranker: Reranker) -> None:
    found = gallery(reranker)
    one, other = (found.score(query, RECALL, 6) - RECALL for query in ("tea", "milk"))
    np.testing.assert_allclose(found.score("tea milk", RECALL, 6) - RECALL, (one + other) / 2, atol=1e-6)


def test_a_word_that_the_model_refuses_counts_as_absent(reranker: Reranker) -> None:
    found = gallery(reranker)
    found.features = {"tea": found.features["tea"]}
    tea = found.score("tea", RECALL, 6) - RECALL
    np.testing.assert_allclose(found.score("tea milk", RECALL, 6) - RECALL, tea / 2, atol=1e-6)


def test_a_head_is_scored_once_for_all_depths(store: MemoryFeatureStore) -> None:
    model = GridModel()
    with Reranker(model, store, fingerprint=FINGERPRINT) as reranker:
        found = gallery(reranker)
        deep = found.score("tea", RECALL, 6)
        shallow = found.score("tea", RECALL, 2)
    assert model.batches == [(1, 6)]
    np.testing.assert_array_equal(deep[[1, 3]], shallow[[1, 3]])


def test_equal_cosines_are_taken_in_the_order_of_the_gallery(reranker: Reranker) -> None:
    scores_N = gallery(reranker).score("tea", cosines(0.5, 0.5, 0.5, 0.5, 0.5, 0.5), 2)
    assert (scores_N > -1).tolist() == [True, True, False, False, False, False]


def test_photos_that_could_not_be_read_are_not_reranked(reranker: Reranker) -> None:
    scores_N = gallery(reranker, [None, *list(IMAGES)[1:]]).score("tea", RECALL, 6)
    assert scores_N[0] == pytest.approx(0.3 - 4)
    assert (scores_N[1:] > -1).all()


def test_two_photos_of_one_content_are_both_scored(reranker: Reranker) -> None:
    scores_N = gallery(reranker, ["i0", "i1", "i2", "i3", "i0", "i5"]).score("tea", RECALL, 6)
    assert scores_N[4] - RECALL[4] == pytest.approx(scores_N[0] - RECALL[0])


def test_a_blob_that_cannot_be_used_ends_the_measurement(store: MemoryFeatureStore, reranker: Reranker) -> None:
    store.delete([blob_key(FINGERPRINT, "i3")])
    with pytest.raises(GalleryDamaged, match="1 missing"):
        gallery(reranker).score("tea", RECALL, 6)
