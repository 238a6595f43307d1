"""What a user may ask, and the one normalisation of labels and queries."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum


def normalize(text: str) -> str:
    """Return `text` in the form in which labels and queries are compared.

    Unicode NFKC, lower case, marks and punctuation removed, letters and digits kept, runs of white space folded to
    one space. May return the empty string.
    """
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
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
