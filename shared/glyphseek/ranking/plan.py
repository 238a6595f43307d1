"""A query laid out for scoring: its different terms once each, its words and phrases as rows of those terms."""

from __future__ import annotations

from dataclasses import dataclass

from glyphseek.queries import Expression, Term, TermKind, conjunctions


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One word (one row) or one phrase (its rows in reading order) of a query.

    `joined` is the row of a phrase's words written without spaces, or None: a detector takes `coca cola` for one word
    as often as for two, and the labels of `7-eleven` and `coca-cola` have no space either.
    """

    rows: tuple[int, ...]
    joined: int | None = None

    @property
    def is_phrase(self) -> bool:
        """Return whether order and adjacency matter."""
        return len(self.rows) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """What must (at least one unit) and must not be in an image; one of a plan's alternatives is enough."""

    required: tuple[Unit, ...]
    excluded: tuple[Unit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPlan:
    """`terms[row]` is what row `row` of every T-sized array means; no term is there twice."""

    terms: tuple[Term, ...]
    alternatives: tuple[Alternative, ...]

    @property
    def required_rows(self) -> tuple[int, ...]:
        """Return the rows that speak for an image, in order; the others only speak against one."""
        units = {unit for one in self.alternatives for unit in one.required}
        return tuple(sorted({row for unit in units for row in (*unit.rows, unit.joined) if row is not None}))

    @property
    def has_phrases(self) -> bool:
        """Return whether the places of words matter anywhere in the query."""
        return any(unit.is_phrase for one in self.alternatives for unit in (*one.required, *one.excluded))


def plan_query(expression: Expression, *, max_term_characters: int) -> QueryPlan:
    """Return the plan of an expression; phrases are also looked for as one word where that fits `max_term_characters`.

    Raises QueryError as `conjunctions` does.
    """
    rows: dict[Term, int] = {}

    def lay_out(terms: tuple[Term, ...]) -> Unit:
        joined = _join(terms, max_term_characters)
        return Unit(
            rows=tuple(rows.setdefault(term, len(rows)) for term in terms),
            joined=None if joined is None else rows.setdefault(joined, len(rows)),
        )

    alternatives = tuple(
        Alternative(required=tuple(map(lay_out, one.required)), excluded=tuple(map(lay_out, one.excluded)))
        for one in conjunctions(expression)
    )
    return QueryPlan(terms=tuple(rows), alternatives=alternatives)


def _join(terms: tuple[Term, ...], max_characters: int) -> Term | None:
    text = "".join(term.text for term in terms)
    is_plain = all(term.kind is TermKind.WORD for term in terms)
    return Term(text=text) if len(terms) > 1 and is_plain and len(text) <= max_characters else None
