"""The tree of a parsed query. `str` writes a tree as a query that parses to an equal tree."""

from __future__ import annotations

from dataclasses import dataclass

from glyphseek.queries.terms import Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """The term is written somewhere in the image."""

    term: Term

    def __str__(self) -> str:
        return str(self.term)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Two or more terms, written in this order next to each other."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return '"' + " ".join(str(term) for term in self.terms) + '"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantic:
    """What the text is about; always a whole query. The model refuses the term if it has no such understanding."""

    term: Term

    def __str__(self) -> str:
        return str(self.term)


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The operand does not hold; it is never itself a `Not`."""

    operand: Expression

    def __str__(self) -> str:
        return f"NOT {_bracket(self.operand)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """All operands hold; two or more, none of which is an `And`."""

    operands: tuple[Expression, ...]

    def __str__(self) -> str:
        return " ".join(f"({operand})" if isinstance(operand, Or) else str(operand) for operand in self.operands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """At least one operand holds; two or more, none of which is an `Or`."""

    operands: tuple[Expression, ...]

    def __str__(self) -> str:
        return " OR ".join(str(operand) for operand in self.operands)


Expression = Word | Phrase | Semantic | Not | And | Or


def all_of(operands: list[Expression]) -> Expression:
    """Return the operands joined by AND, nested ANDs flattened; one operand is returned as it is."""
    flat = [part for whole in operands for part in (whole.operands if isinstance(whole, And) else (whole,))]
    return flat[0] if len(flat) == 1 else And(operands=tuple(flat))


def any_of(operands: list[Expression]) -> Expression:
    """Return the operands joined by OR, nested ORs flattened; one operand is returned as it is."""
    flat = [part for whole in operands for part in (whole.operands if isinstance(whole, Or) else (whole,))]
    return flat[0] if len(flat) == 1 else Or(operands=tuple(flat))


def negation_of(operand: Expression) -> Expression:
    """Return NOT operand; a double negation is undone."""
    return operand.operand if isinstance(operand, Not) else Not(operand=operand)


def _bracket(operand: Expression) -> str:
    return f"({operand})" if isinstance(operand, And | Or) else str(operand)
