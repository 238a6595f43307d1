from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from rpc.codec.values import FEATURES, PROPERTY, TERMS, plans

from glyphseek.api.v1 import types_pb2 as pb
from glyphseek.errors import InputError, QueryError
from glyphseek.queries import Term, TermKind
from glyphseek.ranking import QueryPlan
from glyphseek.rpc.codec import (
    decode_features,
    decode_plan,
    decode_term,
    encode_features,
    encode_plan,
    encode_term,
)
from glyphseek.types import TermFeatures


@PROPERTY
@given(term=TERMS)
def test_a_term_comes_back_as_it_was(term: Term) -> None:
    assert decode_term(pb.Term.FromString(encode_term(term).SerializeToString())) == term


@PROPERTY
@given(features=FEATURES)
def test_features_come_back_exactly_and_may_be_written_to(features: TermFeatures) -> None:
    found = decode_features(encode_features(features), width=features.vectors_VD.shape[1])
    np.testing.assert_array_equal(found.vectors_VD, features.vectors_VD)
    assert found.vectors_VD.flags.writeable
    assert (found.tokens_TE is None) == (features.tokens_TE is None)
    if found.tokens_TE is not None and features.tokens_TE is not None:
        np.testing.assert_array_equal(found.tokens_TE, features.tokens_TE)


@PROPERTY
@given(plan=plans())
def test_a_plan_comes_back_as_it_was(plan: QueryPlan) -> None:
    assert decode_plan(pb.QueryPlan.FromString(encode_plan(plan).SerializeToString())) == plan


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (pb.Term(text="coffee"), "unknown kind 0"),
        (pb.Term(kind=pb.Term.KIND_WORD), "0 characters"),
        (pb.Term(text="a" * 2049, kind=pb.Term.KIND_WORD), "2049 characters, it must have 1 to 2048"),
        (pb.Term(text="a", kind=pb.Term.KIND_TOLERANT, edits=3), "3 edits, the limit is 2"),
    ],
)
def test_an_impossible_term_is_refused_with_the_limit(message: pb.Term, told: str) -> None:
    with pytest.raises(QueryError, match=told):
        decode_term(message)


def test_vectors_of_another_model_are_refused() -> None:
    features = encode_features(TermFeatures(vectors_VD=np.ones((1, 3), dtype=np.float32)))
    with pytest.raises(InputError, match=r"shape \(1, 3\), it must be \(any, 4\)"):
        decode_features(features, width=4)


def test_a_term_without_vectors_is_refused() -> None:
    features = encode_features(TermFeatures(vectors_VD=np.ones((0, 3), dtype=np.float32)))
    with pytest.raises(InputError, match="no vectors"):
        decode_features(features)


def _plan() -> pb.QueryPlan:
    words = [encode_term(Term(text=text, kind=TermKind.WORD)) for text in ("bank", "of")]
    unit = pb.QueryPlan.Unit(rows=[0, 1])
    return pb.QueryPlan(terms=words, alternatives=[pb.QueryPlan.Alternative(required=[unit], excluded=[unit])])


def _without_terms(plan: pb.QueryPlan) -> None:
    plan.ClearField("terms")


def _without_alternatives(plan: pb.QueryPlan) -> None:
    plan.ClearField("alternatives")


def _without_required(plan: pb.QueryPlan) -> None:
    plan.alternatives[0].ClearField("required")


def _with_an_empty_unit(plan: pb.QueryPlan) -> None:
    plan.alternatives[0].excluded[0].ClearField("rows")


def _with_a_row_too_many(plan: pb.QueryPlan) -> None:
    plan.alternatives[0].required[0].rows.append(2)


def _with_an_unknown_joined(plan: pb.QueryPlan) -> None:
    plan.alternatives[0].required[0].joined = 2


def _with_a_term_twice(plan: pb.QueryPlan) -> None:
    plan.terms.append(plan.terms[0])


def _with_many_terms(plan: pb.QueryPlan) -> None:
    plan.terms.extend(pb.Term(text=f"w{i}", kind=pb.Term.KIND_WORD) for i in range(63))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_without_terms, "0 terms"),
        (_without_alternatives, "asks for nothing"),
        (_without_required, "asks for nothing"),
        (_with_an_empty_unit, "must be below 2"),
        (_with_a_row_too_many, "must be below 2"),
        (_with_an_unknown_joined, "must be below 2"),
        (_with_a_term_twice, "a term twice"),
        (_with_many_terms, "65 terms, it must have 1 to 64"),
    ],
)
def test_an_impossible_plan_is_refused(damage: Callable[[pb.QueryPlan], None], told: str) -> None:
    plan = _plan()
    decode_plan(plan)
    damage(plan)
    with pytest.raises(QueryError, match=told):
        decode_plan(plan)
