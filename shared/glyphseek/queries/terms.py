"""One word to look for, and the one normalisation that makes words of queries and labels comparable."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

MAX_EDITS = 2
"""Largest tolerance of one word: with more, short words match nearly everything."""


def normalize(text: str) -> str:
    """Return `text` in the form in which labels and queries are compared.

    Unicode NFKC, lower case, marks and punctuation removed, letters and digits kept, runs of white space folded to
    one space. A mark typed on its own (the acute accent in `o´reilly`) is removed, it does not part the word.
    May return the empty string; normalising twice changes nothing.
    """
    # NFKC writes a spacing mark as a space and a combining mark: dropped before it can split a word in two.
    solid = "".join(c for c in text if c.isalnum() or c.isspace() or " " not in unicodedata.normalize("NFKC", c))
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", solid).casefold())
    kept = "".join(c if c.isalnum() else " " if c.isspace() else "" for c in decomposed if not unicodedata.combining(c))
    return " ".join(kept.split())


class TermKind(StrEnum):
    """How one term of a query is compared with a word in an image."""

    WORD = "word"
    PREFIX = "prefix"
    TOLERANT = "tolerant"
    SEMANTIC = "semantic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One normalised word to look for. `edits` is how many insertions, deletions or replacements are forgiven."""

    text: str
    kind: TermKind = TermKind.WORD
    edits: int = 0

    def __str__(self) -> str:
        """Return the term as it is written in a query: `coffee`, `re16*`, `cofee~1`, `~"a shop that sells bread"`."""
        match self.kind:
            case TermKind.WORD:
                return self.text
            case TermKind.PREFIX:
                return f"{self.text}*"
            case TermKind.TOLERANT:
                return f"{self.text}~{self.edits}"
            case TermKind.SEMANTIC:
                return f'~"{self.text}"'
