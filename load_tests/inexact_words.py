"""How well words with mistakes and beginnings of words are found in annotated photos, by vectors and by letters.

    python load_tests/inexact_words.py SET [--held-out] [--model ID] [--seed 1]

SET is a gallery with `boxes.jsonl`; with --held-out only the photos that training leaves out are taken. Questions
are made from the words of the photos: every second word of four letters or more with one edit at random (`cofee~1`),
every word of six or more with two (`cofe~2`), and the first three, four and five letters of every word that has two
more (`cof*`). A photo answers that has a word within the edits, or with that beginning.

All photos are compared, also those that a search would not take as candidates. mAP is in percent; confident are the
photos at the model's threshold and above. The same seed asks the same.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein
from scipy.special import expit

from glyphseek.errors import InputError, SettingError
from glyphseek.evaluation.metrics import BoolArray, average_precision, rank_hits
from glyphseek.images import read_image
from glyphseek.models.loading import DEFAULT_MODEL, open_model
from glyphseek.ports import Model
from glyphseek.queries import Term, TermKind
from glyphseek.ranking import Gathered, spelt_similarities, term_similarities
from glyphseek.training.annotated import AnnotatedPhoto, read_annotated_photos
from glyphseek.types import Calibration, FloatArray, Instances

SHORTEST = {1: 4, 2: 6}
"""Letters of the shortest word that gets one edit, and two; also of the shortest text that is asked with one."""
BEGINNINGS = (3, 4, 5)
LETTERS_AFTER = 2
"""Letters that a word must have behind a beginning that is asked."""
LOWEST = np.float32(-50.0)
"""Similarity of a photo without words; letters make less than -1 of most."""
BATCH = 16

Words = Sequence[frozenset[str]]
"""For each photo the words written in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What one way of comparing reached: mAP in percent, confident answers, and how many of them are right."""

    map_percent: float
    confident: int
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of question: how many were asked, how many answers they have, and both ways."""

    name: str
    queries: int
    answers: int
    vectors: Way
    letters: Way


def main() -> int:
    """Print the table; return the exit status."""
    options = _parse_options()
    model = open_model(options.model)
    photos = read_photos(options.set, held_out=options.held_out)
    words = [frozenset(one.word for one in photo.words if one.word) for photo in photos]
    print(f"{model.card.name}, fingerprint {model.card.fingerprint[:8]}; {len(photos)} photos of {options.set.name}")
    print(f"{'':16}{'queries':>8}{'answers':>9}   vectors: mAP, confident, right   letters: mAP, confident, right")
    gathered = Gathered(list(encode(model, photos)))
    for name, terms in make_terms(words, model.card.alphabet, seed=options.seed):
        if terms:
            print(write_row(measure(name, terms, words, model, gathered)), flush=True)
    return 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path, help="folder of the annotated gallery")
    parser.add_argument("--held-out", action="store_true", help="only the photos that training leaves out")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="id or folder")
    parser.add_argument("--seed", type=int, default=1, help="of the edits")
    return parser.parse_args()


def read_photos(folder: Path, *, held_out: bool) -> list[AnnotatedPhoto]:
    """Return the held-out photos, or all. Raises InputError when there is none."""
    photos = read_annotated_photos(folder, held_out=True)
    if not held_out:
        photos += read_annotated_photos(folder, held_out=False)
    if not photos:
        raise InputError(f"{folder} has no photo to measure on")
    return photos


def encode(model: Model, photos: Sequence[AnnotatedPhoto]) -> Iterator[Instances]:
    """Yield what the model finds in each photo."""
    for first in range(0, len(photos), BATCH):
        some = [model.prepare(read_image(photo.path)) for photo in photos[first : first + BATCH]]
        for features in model.encode_images(some):
            if features.instances is None:
                raise SettingError(f"{model.card.name} finds no words, so no letters tell them apart")
            yield features.instances


def make_terms(words: Words, alphabet: str, *, seed: int) -> Iterator[tuple[str, list[Term]]]:
    """Yield the name and the questions of each kind."""
    random = np.random.default_rng(seed)
    known = sorted(frozenset[str]().union(*words))
    some = [word for word in known if len(word) >= SHORTEST[1]][::2]
    once = [(word, edit(word, alphabet, random)) for word in some]
    texts = [text for word, text in once if text != word and len(text) >= SHORTEST[1]]
    yield "one edit", [Term(text=text, kind=TermKind.TOLERANT, edits=1) for text in texts]
    long = [word for word in known if len(word) >= SHORTEST[2]]
    twice = [(word, edit(edit(word, alphabet, random), alphabet, random)) for word in long]
    texts = [text for word, text in twice if Levenshtein.distance(word, text) == 2]
    yield "two edits", [Term(text=text, kind=TermKind.TOLERANT, edits=2) for text in texts]
    for count in BEGINNINGS:
        begun = sorted({word[:count] for word in known if len(word) >= count + LETTERS_AFTER})
        yield f"{count} letters", [Term(text=text, kind=TermKind.PREFIX) for text in begun]


def edit(word: str, alphabet: str, random: np.random.Generator) -> str:
    """Return the word with one character replaced, left out or added, by a letter of a to z at random."""
    place, kind, letter = int(random.integers(len(word))), int(random.integers(3)), alphabet[random.integers(26)]
    return word[:place] + ("" if kind == 1 else letter) + word[place + (kind < 2) :]


def answers(term: Term, words: frozenset[str]) -> bool:
    """Return whether a photo with these words answers the question."""
    if term.kind is TermKind.PREFIX:
        return any(word.startswith(term.text) for word in words)
    return any(Levenshtein.distance(word, term.text) <= term.edits for word in words)


def measure(name: str, terms: Sequence[Term], words: Words, model: Model, gathered: Gathered) -> Row:
    """Return what both ways reach on one kind of question. Raises SettingError for a model without letters."""
    card = model.card
    if card.letters is None:
        raise SettingError(f"{card.name} keeps no letters")
    relevant_QI = np.array([[answers(term, one) for one in words] for term in terms])
    by_vectors: list[FloatArray] = []
    by_letters: list[FloatArray] = []
    for term in terms:
        similarities_TN = term_similarities([term], model.encode_terms([term]), gathered)
        by_vectors.append(gathered.best(similarities_TN)[0])
        spelt_N = spelt_similarities(term, similarities_TN[0], gathered, alphabet=card.alphabet, scale=card.letters)
        best_I = np.full(len(words), LOWEST)
        np.maximum.at(best_I, gathered.image_of_N, spelt_N)
        by_letters.append(best_I)
    return Row(
        name=name,
        queries=len(terms),
        answers=int(relevant_QI.sum()),
        vectors=judge(relevant_QI, np.stack(by_vectors), card.calibration),
        letters=judge(relevant_QI, np.stack(by_letters), card.calibration),
    )


def judge(relevant_QI: BoolArray, scores_QI: FloatArray, calibration: Calibration) -> Way:
    """Return the figures of one way of comparing. Every question has an answer."""
    precisions = [average_precision(rank_hits(*one)) for one in zip(relevant_QI, scores_QI, strict=True)]
    confident_QI = expit(calibration.slope * scores_QI + calibration.offset) >= calibration.threshold
    return Way(
        map_percent=100 * float(np.mean(precisions)),
        confident=int(confident_QI.sum()),
        right=int((confident_QI & relevant_QI).sum()),
    )


def write_row(row: Row) -> str:
    """Return the line of the table."""
    ways = "".join(f"{way.map_percent:>17.1f}{way.confident:>11}{way.right:>7}" for way in (row.vectors, row.letters))
    return f"{row.name:16}{row.queries:>8}{row.answers:>9}{ways}"


if __name__ == "__main__":
    sys.exit(main())
