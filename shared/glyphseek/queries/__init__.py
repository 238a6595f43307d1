"""What a user may ask, and the one normalisation of labels and queries.

`parse_query` turns a line of text into an expression; `conjunctions` turns the expression into the form that is scored.
"""

from glyphseek.queries.conjunctions import MAX_CONJUNCTIONS, Conjunction, conjunctions
from glyphseek.queries.expressions import And, Expression, Not, Or, Phrase, Semantic, Word
from glyphseek.queries.parsing import MAX_CHARACTERS, MAX_DEPTH, MAX_TERMS, parse_query
from glyphseek.queries.terms import MAX_EDITS, Term, TermKind, normalize

__all__ = [
    "MAX_CHARACTERS",
    "MAX_CONJUNCTIONS",
    "MAX_DEPTH",
    "MAX_EDITS",
    "MAX_TERMS",
    "And",
    "Conjunction",
    "Expression",
    "Not",
    "Or",
    "Phrase",
    "Semantic",
    "Term",
    "TermKind",
    "Word",
    "conjunctions",
    "normalize",
    "parse_query",
]
