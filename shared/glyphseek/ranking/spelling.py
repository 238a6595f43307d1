"""From the letters of words in images to the probability that they spell a typed word.

The probability of a word is the sum over all ways to read it from the columns (Graves et al., Connectionist Temporal
Classification, 2006, section 3.2), that of a prefix the sum over all readings that begin with it (section 3.2 of
Graves' thesis, prefix search). N instances, S columns, A signs, the last of them the blank, L = 2 * characters + 1
places of a word with blanks around its characters.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from glyphseek.queries import Term, TermKind
from glyphseek.ranking.gathered import Gathered
from glyphseek.ranking.tolerant_spelling import read_tolerant
from glyphseek.types import LETTER_STEP, FloatArray, LetterArray, LetterScale

MOST_SPELLED = 4
"""Instances of one image whose letters are looked at for one term: those most similar to it by their vectors. Of 671
words in 216 photos, all instances gave a mAP of 76.9, eight 76.8, four 76.6, three 76.5."""

LEAST_SPELLED = 0.2
"""Least similarity by vectors of those, but for the most similar one. It leaves out a quarter of them with the same mAP
on 623 words and 558 prefixes in 216 photos (78.9; 75.9 and 80.7); 0.3 leaves out three fifths and loses 0.2."""

BESIDE_OTHERS = np.float32(0.02)
"""How probably the box of a word holds letters of its neighbours too: so much counts what spells the word and more. Of
623 words in 216 photos it gave a mAP of 87.2 in place of 86.0; 0.01 and 0.05 gave 87.1 and 87.0."""

_LEAST_SCORE = 1e-6
_LEAST_LOG = -100.0  # about what a float32 can still hold; so faint, nothing can be told apart


def is_spelt(term: Term) -> bool:
    """Return whether letters tell of a term: meaning is told by vectors alone."""
    return term.kind is not TermKind.SEMANTIC


def spell(term: Term, letters_NSA: LetterArray, alphabet: str) -> FloatArray:
    """Return (N,) logarithms of the probability that each instance spells the word, or begins with the prefix.

    A word beside others in one box counts too, see `BESIDE_OTHERS`. Of a tolerant word the edits that are forgiven
    count, see `tolerant_spelling`. Every character of the term must be in the alphabet. The least is -100.
    """
    read_N = _read(term, [alphabet.index(character) for character in term.text], letters_NSA)
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(np.maximum(read_N, 0)), np.float32(_LEAST_LOG))


def spell_text(term: Term, letters_NSA: LetterArray, scores_N: FloatArray, alphabet: str) -> FloatArray:
    """Return (N,) logarithms of the probability that an instance is text, by its score, and spells the term."""
    return spell(term, letters_NSA, alphabet) + np.log(np.maximum(scores_N, np.float32(_LEAST_SCORE)))


def spelt_similarities(
    term: Term, similarities_N: FloatArray, gathered: Gathered, *, alphabet: str, scale: LetterScale
) -> FloatArray:
    """Return the (N,) similarities of instances to a term by letters; at most 1, without a floor.

    The probability is that of a text (`scores_N`) that spells the term. Of each image the `MOST_SPELLED` instances most
    similar by their vectors (`similarities_N`) are looked at, as far as they have `LEAST_SPELLED`; the others are never
    more similar than those. Raises InputError for an image without letters.
    """
    looked_at = gathered.likeliest(similarities_N, MOST_SPELLED, least=LEAST_SPELLED)
    if not len(looked_at):
        return similarities_N
    told = spell_text(term, gathered.letters()[looked_at], gathered.scores()[looked_at], alphabet)
    spelt = np.minimum(scale.slope * told + scale.offset, 1.0).astype(np.float32)
    images, firsts = np.unique(gathered.image_of_N[looked_at], return_index=True)
    least_I = np.ones(len(gathered.images), dtype=np.float32)
    least_I[images] = np.minimum.reduceat(spelt, firsts)
    answer_N = np.minimum(similarities_N, least_I[gathered.image_of_N])
    answer_N[looked_at] = spelt
    return answer_N


def _read(term: Term, codes: list[int], letters_NSA: LetterArray) -> FloatArray:
    if term.kind is TermKind.TOLERANT:
        return read_tolerant(codes, term.edits, letters_NSA)
    if term.kind is TermKind.PREFIX:
        return _read_prefix(codes, letters_NSA)
    among_others_N = np.minimum(_read_prefix(codes, letters_NSA, anywhere=True), np.float32(1.0))
    return (1 - BESIDE_OTHERS) * read_word(codes, letters_NSA) + BESIDE_OTHERS * among_others_N


def read_word(codes: list[int], letters_NSA: LetterArray) -> FloatArray:
    """Return the probability of all paths that end in the word's last character or the blank behind it. (N,)"""
    places_SLN, may_skip_L1 = _lay_out(codes, letters_NSA)
    paths_LN = _begin(places_SLN)
    for seen_LN in places_SLN[1:]:
        paths_LN = _step(paths_LN, may_skip_L1)
        paths_LN *= seen_LN
    return paths_LN[-1] + paths_LN[-2]


def _read_prefix(codes: list[int], letters_NSA: LetterArray, *, anywhere: bool = False) -> FloatArray:
    """Return the probability of reaching the last character at any column, whatever follows. (N,)

    `anywhere`: whatever comes before, too. A text that has the characters several times counts as often.
    """
    places_SLN, may_skip_L1 = _lay_out(codes, letters_NSA)
    paths_LN = _begin(places_SLN)
    reached_N = paths_LN[-2].copy()
    paths_LN[-2:] = 0.0
    for before_LN, seen_LN in pairwise(places_SLN):
        if anywhere:
            paths_LN[0] = 1 - before_LN[1]  # all texts so far but those within the first character
        paths_LN = _step(paths_LN, may_skip_L1)
        paths_LN *= seen_LN
        reached_N += paths_LN[-2]
        paths_LN[-2:] = 0.0
    return reached_N


def _lay_out(codes: list[int], letters_NSA: LetterArray) -> tuple[FloatArray, FloatArray]:
    """Return what each column says of each place (S, L, N), and for each place whether its blank may be skipped."""
    signs_L = np.full(2 * len(codes) + 1, letters_NSA.shape[2] - 1)
    signs_L[1::2] = codes
    may_skip_L1 = np.zeros((len(signs_L), 1), dtype=np.float32)
    may_skip_L1[3::2, 0] = [after != before for before, after in pairwise(codes)]
    seen_SLN = letters_NSA[:, :, signs_L].transpose(1, 2, 0).astype(np.float32, order="C")
    seen_SLN *= np.float32(-LETTER_STEP)
    return np.exp(seen_SLN, out=seen_SLN), may_skip_L1


def _begin(places_SLN: FloatArray) -> FloatArray:
    """Return the paths of one column: the first blank or the first character."""
    paths_LN = np.zeros_like(places_SLN[0])
    paths_LN[:2] = places_SLN[0, :2]
    return paths_LN


def _step(paths_LN: FloatArray, may_skip_L1: FloatArray) -> FloatArray:
    """Return the paths that stay, go one place on, or skip the blank between two different characters."""
    reached_LN = paths_LN.copy()
    reached_LN[1:] += paths_LN[:-1]
    reached_LN[2:] += paths_LN[:-2] * may_skip_L1[2:]
    return reached_LN
