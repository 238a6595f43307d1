import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpc.codec.values import FAULTS, FEATURES, FINITE, IDS, PROPERTY

from glyphseek.api.v1 import reranker_service_pb2 as pb
from glyphseek.errors import InputError
from glyphseek.reranking import Reranking
from glyphseek.rpc.codec import (
    decode_rerank_request,
    decode_reranking,
    encode_rerank_request,
    encode_reranking,
)
from glyphseek.types import MapScores, TermFeatures

SEEDS = st.integers(0, 2**32 - 1)


def _make(terms: int, images: int, seed: int, *, with_attention: bool) -> Reranking:
    """Return scores of maps of different shapes."""
    chance = np.random.default_rng(seed)
    shapes = [(1 + image % 3, 2 + image % 2) for image in range(images)]
    attention = tuple(tuple(chance.random(shape, dtype=np.float32) for shape in shapes) for _ in range(terms))
    return Reranking(
        image_ids=tuple(f"i{image}" for image in range(images)),
        cosines_TK=chance.standard_normal((terms, images)).astype(np.float32),
        scores=MapScores(
            probabilities_TK=chance.random((terms, images), dtype=np.float32),
            attention=attention if with_attention else None,
        ),
        asked=images,
        faults={},
        fetch_ms=1.5,
        score_ms=2.5,
    )


@PROPERTY
@given(terms=st.integers(1, 3), images=st.integers(0, 4), seed=SEEDS, with_attention=st.booleans())
def test_scores_and_attention_come_back_exactly(terms: int, images: int, seed: int, with_attention: bool) -> None:
    sent = _make(terms, images, seed, with_attention=with_attention)
    message = pb.RerankResponse.FromString(encode_reranking(sent).SerializeToString())
    found = decode_reranking(message, terms=terms, with_attention=with_attention)
    assert found.image_ids == sent.image_ids
    np.testing.assert_array_equal(found.cosines_TK, sent.cosines_TK)
    np.testing.assert_array_equal(found.scores.probabilities_TK, sent.scores.probabilities_TK)
    assert (found.scores.attention is None) == (not with_attention)
    for row, expected in zip(found.scores.attention or (), sent.scores.attention or (), strict=True):
        for map_HW, expected_HW in zip(row, expected, strict=True):
            np.testing.assert_array_equal(map_HW, expected_HW)


@PROPERTY
@given(faults=FAULTS, fetch_ms=FINITE, score_ms=FINITE)
def test_what_was_not_scored_is_told(faults: dict[str, int], fetch_ms: float, score_ms: float) -> None:
    scores = MapScores(probabilities_TK=np.zeros((1, 0), dtype=np.float32))
    sent = Reranking(
        image_ids=(),
        cosines_TK=scores.probabilities_TK,
        scores=scores,
        asked=sum(faults.values()),
        faults=faults,
        fetch_ms=fetch_ms,
        score_ms=score_ms,
        cache_hits=3,
        fetched_bytes=2**40,
    )
    found = decode_reranking(encode_reranking(sent), terms=1, with_attention=False)
    assert (found.faults, found.asked, found.coverage) == (faults, sent.asked, sent.coverage)
    assert (found.fetch_ms, found.score_ms) == (fetch_ms, score_ms)
    assert (found.cache_hits, found.fetched_bytes) == (3, 2**40)


@PROPERTY
@given(terms=st.lists(FEATURES, min_size=1, max_size=3), image_ids=st.lists(IDS, max_size=5))
def test_a_request_comes_back_as_it_was(terms: list[TermFeatures], image_ids: list[str]) -> None:
    request = encode_rerank_request("ab" * 16, terms, image_ids, with_attention=True)
    found, found_ids = decode_rerank_request(pb.RerankRequest.FromString(request.SerializeToString()))
    assert found_ids == image_ids
    assert (request.model, request.with_attention) == ("ab" * 16, True)
    for one, expected in zip(found, terms, strict=True):
        np.testing.assert_array_equal(one.vectors_VD, expected.vectors_VD)


@pytest.mark.parametrize(
    ("terms", "images", "told"),
    [(0, 1, "0 terms .* 1 to 64"), (65, 1, "65 terms .* 1 to 64"), (1, 513, "513 images .* limit is 512")],
)
def test_a_request_past_a_bound_is_refused_with_the_limit(terms: int, images: int, told: str) -> None:
    features = [TermFeatures(vectors_VD=np.ones((1, 2), dtype=np.float32))] * terms
    request = encode_rerank_request("ab" * 16, features, ["a"] * images, with_attention=False)
    with pytest.raises(InputError, match=told):
        decode_rerank_request(request)


def test_an_answer_that_does_not_fit_its_request_is_refused() -> None:
    message = encode_reranking(_make(2, 3, 0, with_attention=True))
    with pytest.raises(InputError, match=r"cosines has the shape \(2, 3\), it must be \(1, 3\)"):
        decode_reranking(message, terms=1, with_attention=True)
    del message.attention[0]
    with pytest.raises(InputError, match="2 attention maps came for 3 images"):
        decode_reranking(message, terms=2, with_attention=True)
