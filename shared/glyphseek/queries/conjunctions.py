"""The form in which queries are scored: alternatives, each a list of what must and what must not be in the image.

Any expression of AND, OR and NOT has this form (its disjunctive normal form). With it, "two words of a query never use
the same instance" has one meaning whatever the brackets, and NOT is always about a word or a phrase.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from glyphseek.errors import QueryError
from glyphseek.queries.expressions import And, Expression, Not, Or, Phrase, Semantic, Word
from glyphseek.queries.terms import Term

MAX_CONJUNCTIONS = 64
"""Most alternatives of one query; `(a OR b) (c OR d)` has four. Each costs one matching an image."""

_Unit = tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conjunction:
    """What one alternative asks for. A unit is the terms of one word (one) or of one phrase (two or more).

    `required` units are all in the image and never empty; no `excluded` unit is.
    """

    required: tuple[_Unit, ...]
    excluded: tuple[_Unit, ...]


def conjunctions(expression: Expression) -> tuple[Conjunction, ...]:
    """Return the alternatives of which at least one must hold, in the order in which they are written.

    Raises QueryError when an alternative only says what must not be there, or there are more than MAX_CONJUNCTIONS.
    """
    alternatives = _expand(expression, holds=True)
    if not all(alternative.required for alternative in alternatives):
        raise QueryError(
            f"{str(expression)!r} can be met by the absence of words alone: give at least one word that must be there"
        )
    return alternatives


def _expand(expression: Expression, *, holds: bool) -> tuple[Conjunction, ...]:
    match expression:
        case Word(term=term) | Semantic(term=term):
            return (_single((term,), holds=holds),)
        case Phrase(terms=terms):
            return (_single(terms, holds=holds),)
        case Not(operand=operand):
            return _expand(operand, holds=not holds)
        case And(operands=operands) | Or(operands=operands):
            parts = [_expand(operand, holds=holds) for operand in operands]
            joined = isinstance(expression, And) is holds  # NOT turns AND into OR and back
            return _join(parts) if joined else _bounded(tuple(one for part in parts for one in part))


def _single(unit: _Unit, *, holds: bool) -> Conjunction:
    return Conjunction(required=(unit,), excluded=()) if holds else Conjunction(required=(), excluded=(unit,))


def _join(parts: list[tuple[Conjunction, ...]]) -> tuple[Conjunction, ...]:
    joined = (Conjunction(required=(), excluded=()),)
    for part in parts:
        joined = _bounded(
            tuple(
                Conjunction(required=one.required + other.required, excluded=one.excluded + other.excluded)
                for one, other in product(joined, part)
            )
        )
    return joined


def _bounded(alternatives: tuple[Conjunction, ...]) -> tuple[Conjunction, ...]:
    if len(alternatives) > MAX_CONJUNCTIONS:
        raise QueryError(
            f"the query has more than {MAX_CONJUNCTIONS} alternatives once its brackets are multiplied out"
        )
    return alternatives
