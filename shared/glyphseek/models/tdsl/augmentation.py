"""Word augmentation strategy (WAS): near misses of a word, so that the similarity learns what a few edits cost."""

from __future__ import annotations

import numpy as np

from glyphseek.models.tdsl.settings import ALPHABET

ACTIONS = ("insert", "delete", "replace", "keep")
ODDS = (1 / 8, 1 / 8, 1 / 8, 5 / 8)
"""Insert : delete : replace : keep = 1 : 1 : 1 : 5 per character (TDSL's word augmentation strategy)."""


def augment_word(word: str, rng: np.random.Generator) -> str:
    """Return a random neighbour of `word`, never empty; as in the paper, an insertion goes behind the letter."""
    letters: list[str] = []
    for character, action in zip(word, rng.choice(len(ACTIONS), size=len(word), p=ODDS), strict=True):
        match ACTIONS[action]:
            case "insert":
                letters += [character, random_character(rng)]
            case "delete":
                pass
            case "replace":
                letters.append(random_character(rng))
            case _:
                letters.append(character)
    return "".join(letters) or word


def random_character(rng: np.random.Generator) -> str:
    """Return one character of the alphabet, all equally likely."""
    return ALPHABET[int(rng.integers(len(ALPHABET)))]
