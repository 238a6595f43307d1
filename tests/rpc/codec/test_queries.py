import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpc.codec.values import PROPERTY, TERMS

from glyphseek.api.v1 import encoder_service_pb2 as pb
from glyphseek.errors import InputError, QueryError
from glyphseek.queries import MAX_TERMS, Term, parse_query
from glyphseek.ranking import plan_query
from glyphseek.rpc.codec import (
    decode_queries_request,
    decode_queries_response,
    encode_queries_request,
    encode_queries_response,
)
from glyphseek.types import TermFeatures

MODEL = "ab" * 16
ONE = TermFeatures(vectors_VD=np.ones((1, 2), dtype=np.float32))


@PROPERTY
@given(terms=st.lists(TERMS, min_size=1, max_size=5))
def test_a_request_comes_back_as_it_was(terms: list[Term]) -> None:
    request = encode_queries_request(MODEL, terms)
    assert request.model == MODEL
    assert decode_queries_request(pb.EncodeQueriesRequest.FromString(request.SerializeToString())) == terms


def test_the_longest_query_fits_into_a_request() -> None:
    words = [f"w{place}" for place in range(MAX_TERMS)]
    pairs = [f'"{first} {second}"' for first, second in zip(words[::2], words[1::2], strict=True)]
    plan = plan_query(parse_query(" ".join(pairs)), max_term_characters=99)
    assert len(plan.terms) == MAX_TERMS * 3 // 2
    assert decode_queries_request(encode_queries_request(MODEL, plan.terms)) == list(plan.terms)


@pytest.mark.parametrize("count", [0, 65])
def test_none_and_too_many_terms_are_refused_with_the_limit(count: int) -> None:
    request = encode_queries_request(MODEL, [Term(text="coffee")] * count)
    with pytest.raises(QueryError, match=f"{count} terms to encode, it must be 1 to 64"):
        decode_queries_request(request)


def test_an_answer_that_does_not_fit_its_request_is_refused() -> None:
    response = encode_queries_response(MODEL, [ONE])
    assert len(decode_queries_response(response, fingerprint=MODEL, terms=1, width=2)) == 1
    with pytest.raises(InputError, match="of model abab"):
        decode_queries_response(response, fingerprint="0" * 32, terms=1, width=2)
    with pytest.raises(InputError, match="1 answers came for 2 terms"):
        decode_queries_response(response, fingerprint=MODEL, terms=2, width=2)
    with pytest.raises(InputError, match="vectors of a term has the shape"):
        decode_queries_response(response, fingerprint=MODEL, terms=1, width=3)
