"""From a line of text to a filter, or to a QueryError that says what is wrong and where.

filter     = and { "or" and }
and        = not { "and" not }
not        = "not" not | "(" filter ")" | condition
condition  = key ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) value | key "in" "[" value { "," value } "]"
value      = text | number | "true" | "false"
text       = '"' ... '"' | "'" ... "'"       a backslash stands before a quote or backslash that is meant itself
key        = a letter or "_", then letters, digits and "_", 64 at most
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from glyphseek.errors import QueryError
from glyphseek.filters.expressions import (
    Comparison,
    Filter,
    Operator,
    all_of,
    any_of,
    negation_of,
    one_of,
)
from glyphseek.metadata import FILTER_WORDS, METADATA_KEY, MetadataValue

MAX_CHARACTERS = 1024
"""Longest filter, as typed."""
MAX_CONDITIONS = 64
"""Most values that one filter compares with, those in lists counted one by one."""
MAX_DEPTH = 16
"""Deepest nesting of brackets and `not`."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_LEXEME = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<number>"""
    + _NUMBER
    + r""")(?![\w.])|(?P<word>[A-Za-z_]\w*)|(?P<sign>==|!=|<=|>=|[<>()\[\],])|(?P<stray>\S))""",
    re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lexeme:
    text: str
    kind: str
    position: int  # of the first character, counted from 1

    def error(self, reason: str) -> QueryError:
        where = f"{self.text[:80]!r} at character {self.position}" if self.text else "the end of the filter"
        return QueryError(f"{where}: {reason}")


def parse_filter(text: str) -> Filter:
    """Return the filter that `text` states; `str` of it parses to an equal filter.

    Raises QueryError, with the offending text and its place counted from 1, for a filter that is empty, longer than
    MAX_CHARACTERS, of more than MAX_CONDITIONS values, nested deeper than MAX_DEPTH, that orders flags, or is no
    filter.
    """
    if len(text) > MAX_CHARACTERS:
        raise QueryError(f"the filter has {len(text)} characters, the limit is {MAX_CHARACTERS}")
    lexemes = [
        _Lexeme(text=found[kind], kind=kind, position=found.start(kind) + 1)
        for found in _LEXEME.finditer(text)
        if (kind := found.lastgroup) is not None
    ]
    if not lexemes:
        raise QueryError("the filter is empty")
    return _Parser([*lexemes, _Lexeme(text="", kind="end", position=len(text) + 1)]).parse()


class _Parser:
    """Recursive descent over the lexemes of one filter, the last of which is its end."""

    def __init__(self, lexemes: list[_Lexeme]) -> None:
        self._lexemes = lexemes
        self._next = 0
        self._values = 0

    def parse(self) -> Filter:
        parsed = self._parse_any(0)
        if self._peek().kind != "end":
            raise self._peek().error("expected 'and', 'or' or the end")
        return parsed

    def _parse_any(self, depth: int) -> Filter:
        parts = [self._parse_all(depth)]
        while self._take("or"):
            parts.append(self._parse_all(depth))
        return any_of(parts)

    def _parse_all(self, depth: int) -> Filter:
        parts = [self._parse_not(depth)]
        while self._take("and"):
            parts.append(self._parse_not(depth))
        return all_of(parts)

    def _parse_not(self, depth: int) -> Filter:
        first = self._peek()
        if depth > MAX_DEPTH:
            raise first.error(f"brackets and 'not' are nested more than {MAX_DEPTH} deep")
        if self._take("not"):
            return negation_of(self._parse_not(depth + 1))
        if not self._take("("):
            return self._parse_condition()
        inner = self._parse_any(depth + 1)
        if not self._take(")"):
            raise self._peek().error(f"expected ')' for the '(' at character {first.position}")
        return inner

    def _parse_condition(self) -> Filter:
        key = self._advance()
        if key.kind != "word" or key.text in FILTER_WORDS:
            raise key.error("expected a key, 'not' or '('")
        if METADATA_KEY.fullmatch(key.text) is None:
            raise key.error("a key has 64 characters at most")
        sign = self._advance()
        if sign.kind == "word" and sign.text == "in":
            return one_of(key.text, self._parse_list())
        if sign.kind != "sign" or sign.text not in list(Operator):
            raise sign.error(f"expected {', '.join(Operator)} or 'in' after {key.text!r}")
        compare, value = Operator(sign.text), self._parse_value()
        if isinstance(value, bool) and compare not in (Operator.EQUAL, Operator.UNEQUAL):
            raise sign.error("true and false have no order; use == or !=")
        return Comparison(key=key.text, operator=compare, value=value)

    def _parse_list(self) -> list[MetadataValue]:
        if not self._take("["):
            raise self._peek().error("expected '[' after 'in'")
        values = [self._parse_value()]
        while self._take(","):
            values.append(self._parse_value())
        if not self._take("]"):
            raise self._peek().error("expected ',' or ']'")
        return values

    def _parse_value(self) -> MetadataValue:
        lexeme = self._advance()
        self._values += 1
        if self._values > MAX_CONDITIONS:
            raise lexeme.error(f"a filter compares with {MAX_CONDITIONS} values at most")
        match lexeme.kind, lexeme.text:
            case "text", text:
                return _read_text(lexeme, text[1:-1])
            case "number", text:
                return _read_number(lexeme, text)
            case "word", "true" | "false":
                return lexeme.text == "true"
            case _:
                raise lexeme.error('expected a text in quotes such as "Oslo", a number, true or false')

    def _peek(self) -> _Lexeme:
        return self._lexemes[self._next]

    def _advance(self) -> _Lexeme:
        lexeme = self._peek()
        if lexeme.kind != "end":
            self._next += 1
        return lexeme

    def _take(self, text: str) -> bool:
        """Step over a word or sign of the grammar, and return whether it was there."""
        lexeme = self._peek()
        is_there = lexeme.kind in ("word", "sign") and lexeme.text == text
        if is_there:
            self._next += 1
        return is_there


def _read_text(lexeme: _Lexeme, quoted: str) -> str:
    if unknown := [found for found in _ESCAPE.findall(quoted) if found not in "\\\"'"]:
        raise lexeme.error(f"a backslash stands before a quote or a backslash, not {unknown[0]!r}")
    if any("\ud800" <= character <= "\udfff" for character in quoted):
        raise lexeme.error("it is not valid Unicode")
    return _ESCAPE.sub(r"\1", quoted)


def _read_number(lexeme: _Lexeme, text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise lexeme.error("the number is too large")
    return number
