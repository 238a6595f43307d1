"""From a line of text to an expression, or to a QueryError that says what is wrong and where.

    query   = or
    or      = and { "OR" and }
    and     = not { [ "AND" ] not }              juxtaposition is AND
    not     = { "NOT" } ( "(" or ")" | phrase | word | semantic )
    phrase  = '"' word { word } '"'              one word in quotes is a word
    word    = text [ "*" | "~1" | "~2" ]         re16* is a prefix, cofee~1 forgives one edit
    semantic = "~" phrase                        only as the whole query

AND, OR and NOT are operators in capitals only. Punctuation inside a word is dropped, as it is in labels: `7-eleven`
asks for `7eleven`. In a phrase, punctuation that stands alone is dropped too; elsewhere it is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from glyphseek.errors import QueryError
from glyphseek.queries.conjunctions import conjunctions
from glyphseek.queries.expressions import Expression, Phrase, Semantic, Word, all_of, any_of, negation_of
from glyphseek.queries.terms import MAX_EDITS, Term, TermKind, normalize

MAX_CHARACTERS = 512
"""Longest query, as typed."""
MAX_TERMS = 32
"""Most words in one query, those in phrases counted one by one."""
MAX_DEPTH = 16
"""Deepest nesting of brackets."""

_OPERATORS = ("AND", "OR", "NOT")
_QUOTES = str.maketrans("“”„«»", '"""""')  # what telephones and word processors write for "
_LEXEME = re.compile(r'\s*(?:(?P<bracket>[()])|(?P<quoted>~?"[^"]*"?[^\s()"]*)|(?P<bare>[^\s()"]+))')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lexeme:
    text: str
    kind: str
    position: int  # of the first character, counted from 1

    def error(self, reason: str) -> QueryError:
        return QueryError(f"{self.text!r} at character {self.position}: {reason}")

    def is_operator(self, *names: str) -> bool:
        return self.kind != "quoted" and self.text in names


def parse_query(query: str) -> Expression:
    """Return the expression that `query` asks for; `str` of it parses to an equal expression.

    Raises QueryError, with the offending text and its place counted from 1, for a query that is empty, longer than
    MAX_CHARACTERS, of more than MAX_TERMS words, unbalanced, that mixes a semantic phrase with anything else, that only
    says what must not be there, or that has a word without letters and digits.
    """
    if len(query) > MAX_CHARACTERS:
        raise QueryError(f"the query has {len(query)} characters, the limit is {MAX_CHARACTERS}")
    lexemes = _split(query.translate(_QUOTES))
    if not lexemes:
        raise QueryError(f"the query {query!r} is empty")
    expression = _Parser(lexemes).parse()
    conjunctions(expression)
    return expression


def _split(query: str) -> list[_Lexeme]:
    return [
        _Lexeme(text=found[kind], kind=kind, position=found.start(kind) + 1)
        for found in _LEXEME.finditer(query)
        if (kind := found.lastgroup) is not None
    ]


class _Parser:
    """Recursive descent over the lexemes of one query; `_next` is the place of the one not read yet."""

    def __init__(self, lexemes: list[_Lexeme]) -> None:
        self._lexemes = lexemes
        self._next = 0
        self._depth = 0
        self._terms = 0

    def parse(self) -> Expression:
        expression = self._parse_or()
        if (left := self._peek()) is not None:
            raise left.error("there is no '(' before it")
        return expression

    def _peek(self) -> _Lexeme | None:
        return self._lexemes[self._next] if self._next < len(self._lexemes) else None

    def _accept(self, *names: str) -> bool:
        lexeme = self._peek()
        accepted = lexeme is not None and lexeme.is_operator(*names)
        self._next += accepted
        return accepted

    def _parse_or(self) -> Expression:
        operands = [self._parse_and()]
        while self._accept("OR"):
            operands.append(self._parse_and())
        return any_of(operands)

    def _parse_and(self) -> Expression:
        operands = [self._parse_not()]
        while (lexeme := self._peek()) is not None and not lexeme.is_operator("OR", ")"):
            self._accept("AND")
            operands.append(self._parse_not())
        return all_of(operands)

    def _parse_not(self) -> Expression:
        negated = False
        while self._accept("NOT"):
            negated = not negated
        operand = self._parse_operand()
        return negation_of(operand) if negated else operand

    def _parse_operand(self) -> Expression:
        lexeme = self._peek()
        if lexeme is None:
            raise self._lexemes[-1].error("a word must follow")
        if lexeme.is_operator(")", *_OPERATORS):
            raise lexeme.error("a word must come before it")
        self._next += 1
        if lexeme.is_operator("("):
            return self._parse_brackets(lexeme)
        if lexeme.text.startswith('~"'):
            return self._parse_semantic(lexeme)
        return self._parse_phrase(lexeme) if lexeme.kind == "quoted" else Word(term=self._parse_term(lexeme))

    def _parse_brackets(self, opening: _Lexeme) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise opening.error(f"brackets are nested deeper than {MAX_DEPTH}")
        inner = self._parse_or()
        if not self._accept(")"):
            raise opening.error("the ')' is missing")
        self._depth -= 1
        return inner

    def _parse_semantic(self, lexeme: _Lexeme) -> Expression:
        if any(other is not lexeme and not other.is_operator("(", ")") for other in self._lexemes):
            raise lexeme.error("a semantic phrase is a whole query, it cannot be combined with anything")
        text = normalize(_unquote(lexeme, start=2))
        if not text:
            raise lexeme.error("it has no letters or digits")
        return Semantic(term=Term(text=text, kind=TermKind.SEMANTIC))

    def _parse_phrase(self, lexeme: _Lexeme) -> Expression:
        inside = _unquote(lexeme, start=1)
        words = (
            _Lexeme(text=found.group(), kind="bare", position=lexeme.position + 1 + found.start())
            for found in re.finditer(r"\S+", inside)
        )
        terms = [self._parse_term(word) for word in words if any(c.isalnum() or c in "*~" for c in word.text)]
        match terms:
            case []:
                raise lexeme.error("it has no letters or digits")
            case [term]:
                return Word(term=term)
            case _:
                return Phrase(terms=tuple(terms))

    def _parse_term(self, lexeme: _Lexeme) -> Term:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise lexeme.error(f"the query has more than {MAX_TERMS} words")
        return _read_term(lexeme)


def _unquote(lexeme: _Lexeme, *, start: int) -> str:
    end = lexeme.text.find('"', start)
    if end < 0:
        raise lexeme.error("the closing quotation mark is missing")
    if end != len(lexeme.text) - 1:
        raise lexeme.error("nothing may follow the closing quotation mark; '*' and '~1' belong to the words inside")
    return lexeme.text[start:end]


def _read_term(lexeme: _Lexeme) -> Term:
    stem, mark, rest = _cut_mark(lexeme.text)
    # A compatibility character may expand into several words; what was typed as one word is looked for as one.
    text = normalize(stem).replace(" ", "")
    if not text:
        raise lexeme.error("it has no letters or digits")
    match mark:
        case "*":
            if rest:
                raise lexeme.error("'*' may only end a word")
            return Term(text=text, kind=TermKind.PREFIX)
        case "~":
            return Term(text=text, kind=TermKind.TOLERANT, edits=_read_edits(lexeme, rest, text))
        case _:
            return Term(text=text)


def _cut_mark(text: str) -> tuple[str, str, str]:
    found = re.search(r"[*~]", text)
    return (text, "", "") if found is None else (text[: found.start()], found.group(), text[found.end() :])


def _read_edits(lexeme: _Lexeme, digits: str, text: str) -> int:
    if digits not in {str(edits) for edits in range(1, MAX_EDITS + 1)}:
        raise lexeme.error(f"'~' at the end of a word takes the number of edits forgiven, 1 to {MAX_EDITS}")
    edits = int(digits)
    if edits >= len(text):
        raise lexeme.error(f"{edits} edits would forgive the whole of {text!r}, which has {len(text)} characters")
    return edits
