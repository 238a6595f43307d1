"""Query terms, what models know of them, and plans of queries."""

from __future__ import annotations

from collections.abc import Sequence

from glyphseek.api.v1 import types_pb2 as pb
from glyphseek.errors import InputError, QueryError
from glyphseek.queries import MAX_CHARACTERS, MAX_EDITS, MAX_TERMS, Term, TermKind
from glyphseek.ranking.plan import Alternative, QueryPlan, Unit
from glyphseek.rpc.codec.arrays import decode_array, encode_array
from glyphseek.types import TermFeatures

MOST_TERMS = 2 * MAX_TERMS
"""Terms of one plan: the words of a query, and its phrases written as one word."""
MOST_CHARACTERS = 4 * MAX_CHARACTERS
"""Characters of one term; normalising may lengthen what was typed."""

_KINDS = {
    TermKind.WORD: pb.Term.KIND_WORD,
    TermKind.PREFIX: pb.Term.KIND_PREFIX,
    TermKind.TOLERANT: pb.Term.KIND_TOLERANT,
    TermKind.SEMANTIC: pb.Term.KIND_SEMANTIC,
}
_KINDS_BACK = {number: kind for kind, number in _KINDS.items()}


def encode_term(term: Term) -> pb.Term:
    """Return the term."""
    return pb.Term(text=term.text, kind=_KINDS[term.kind], edits=term.edits)


def decode_term(message: pb.Term) -> Term:
    """Return the term. Raises QueryError for an unknown kind, no text or too much, and for too many edits."""
    if (kind := _KINDS_BACK.get(message.kind)) is None:
        raise QueryError(f"a term has the unknown kind {message.kind}")
    if not 1 <= len(message.text) <= MOST_CHARACTERS:
        raise QueryError(f"a term has {len(message.text)} characters, it must have 1 to {MOST_CHARACTERS}")
    if message.edits > MAX_EDITS:
        raise QueryError(f"a term forgives {message.edits} edits, the limit is {MAX_EDITS}")
    return Term(text=message.text, kind=kind, edits=message.edits)


def encode_features(features: TermFeatures) -> pb.TermFeatures:
    """Return what a model knows of one term."""
    tokens = None if features.tokens_TE is None else encode_array(features.tokens_TE)
    return pb.TermFeatures(vectors=encode_array(features.vectors_VD), tokens=tokens)


def decode_features(message: pb.TermFeatures, *, width: int | None = None) -> TermFeatures:
    """Return what a model knows of one term, in arrays that may be written to, as torch wants them.

    Raises InputError for arrays that are damaged, without a variant, or of another width than `width`.
    """
    vectors_VD = decode_array(message.vectors, (None, width), name="vectors of a term").copy()
    if not vectors_VD.size:
        raise InputError("a term has no vectors")
    has_tokens = message.HasField("tokens")
    tokens_TE = decode_array(message.tokens, (None, None), name="tokens of a term").copy() if has_tokens else None
    return TermFeatures(vectors_VD=vectors_VD, tokens_TE=tokens_TE)


def encode_plan(plan: QueryPlan) -> pb.QueryPlan:
    """Return the plan."""
    return pb.QueryPlan(
        terms=[encode_term(term) for term in plan.terms],
        alternatives=[
            pb.QueryPlan.Alternative(
                required=[pb.QueryPlan.Unit(rows=unit.rows, joined=unit.joined) for unit in one.required],
                excluded=[pb.QueryPlan.Unit(rows=unit.rows, joined=unit.joined) for unit in one.excluded],
            )
            for one in plan.alternatives
        ],
    )


def decode_plan(message: pb.QueryPlan) -> QueryPlan:
    """Return the plan. Raises QueryError for one without terms, with empty parts or with rows that no term has."""
    terms = tuple(decode_term(term) for term in message.terms)
    if not 1 <= len(terms) <= MOST_TERMS:
        raise QueryError(f"the plan has {len(terms)} terms, it must have 1 to {MOST_TERMS}")
    if len(set(terms)) < len(terms):
        raise QueryError("the plan has a term twice")
    alternatives = tuple(
        Alternative(required=_decode_units(one.required, len(terms)), excluded=_decode_units(one.excluded, len(terms)))
        for one in message.alternatives
    )
    if not alternatives or not all(one.required for one in alternatives):
        raise QueryError("the plan has an alternative that asks for nothing")
    return QueryPlan(terms=terms, alternatives=alternatives)


def _decode_units(messages: Sequence[pb.QueryPlan.Unit], count: int) -> tuple[Unit, ...]:
    return tuple(_decode_unit(one, count) for one in messages)


def _decode_unit(message: pb.QueryPlan.Unit, count: int) -> Unit:
    joined = message.joined if message.HasField("joined") else None
    rows = tuple(message.rows)
    if not rows or any(row >= count for row in (*rows, joined or 0)):
        raise QueryError(f"a unit of the plan has the rows {rows} and {joined}, they must be below {count}")
    return Unit(rows=rows, joined=joined)
