import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpc.codec.values import CANDIDATES, MATCHINGS, PROPERTY, plans

from glyphseek.api.v1 import matcher_service_pb2 as pb
from glyphseek.errors import InputError
from glyphseek.matching import MatchCandidate, Matching
from glyphseek.queries import Term
from glyphseek.ranking import QueryPlan
from glyphseek.ranking.plan import Alternative, Unit
from glyphseek.rpc.codec import (
    MatchQuestion,
    decode_match_request,
    decode_matching,
    encode_match_request,
    encode_matching,
)
from glyphseek.types import TermFeatures

ONE_WORD = QueryPlan(
    terms=(Term(text="coffee"),), alternatives=(Alternative(required=(Unit(rows=(0,)),), excluded=()),)
)
FEATURES = TermFeatures(vectors_VD=np.ones((1, 2), dtype=np.float32))


@PROPERTY
@given(matching=MATCHINGS)
def test_a_matching_comes_back_as_it_was(matching: Matching) -> None:
    assert decode_matching(pb.MatchResponse.FromString(encode_matching(matching).SerializeToString())) == matching


@PROPERTY
@given(
    plan=plans(),
    images=st.lists(CANDIDATES, max_size=4),
    top=st.integers(0, 1000),
    least_score=st.floats(0, 1),
)
def test_a_question_comes_back_as_it_was(
    plan: QueryPlan, images: list[MatchCandidate], top: int, least_score: float
) -> None:
    terms = [FEATURES] * len(plan.terms)
    sent = MatchQuestion(plan=plan, terms=terms, images=images, top=top, least_score=least_score)
    request = encode_match_request("ab" * 16, sent)
    found = decode_match_request(pb.MatchRequest.FromString(request.SerializeToString()))
    assert request.model == "ab" * 16
    assert (found.plan, list(found.images)) == (plan, images)
    assert (found.top, found.least_score, len(found.terms)) == (top, least_score, len(terms))


def test_an_unknown_aspect_counts_as_square() -> None:
    request = _request()
    request.images.append(pb.Candidate(image_id="a"))
    assert decode_match_request(request).images == [MatchCandidate(image_id="a", aspect=1.0)]


@pytest.mark.parametrize("aspect", [-1.0, math.nan, math.inf])
def test_an_impossible_aspect_is_refused(aspect: float) -> None:
    request = _request()
    request.images.append(pb.Candidate(image_id="a", aspect=aspect))
    with pytest.raises(InputError, match="aspect of 'a'"):
        decode_match_request(request)


def test_a_request_past_a_bound_is_refused_with_the_limit() -> None:
    request = _request()
    request.images.extend([pb.Candidate(image_id="a")] * 4097)
    with pytest.raises(InputError, match="4097 images to match, the limit is 4096"):
        decode_match_request(request)


def test_terms_that_are_not_those_of_the_plan_are_refused() -> None:
    request = _request()
    request.ClearField("terms")
    with pytest.raises(InputError, match="0 encoded terms for a query of 1"):
        decode_match_request(request)


def test_a_least_score_that_is_no_number_is_refused() -> None:
    request = _request()
    request.least_score = math.nan
    with pytest.raises(InputError, match="least score is nan"):
        decode_match_request(request)


def _request() -> pb.MatchRequest:
    return encode_match_request(
        "ab" * 16, MatchQuestion(plan=ONE_WORD, terms=[FEATURES], images=[], top=0, least_score=0.0)
    )
