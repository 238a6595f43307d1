from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphseek.ranking.phrases import find_plausible, read_phrase
from glyphseek.ranking.reading import APART
from glyphseek.types import FloatArray

ABSENT = 0.01


def best_by_trying_all(probable_PN: FloatArray, near_NN: FloatArray) -> float:
    words, instances = probable_PN.shape
    places = [*range(instances), *[None] * words]
    best = 0.0
    for chosen in permutations(places, words):
        product = 1.0
        for word, place in enumerate(chosen):
            product *= ABSENT if place is None else float(probable_PN[word, place])
        for one, other in pairwise(chosen):
            product *= APART if one is None or other is None else float(near_NN[one, other])
        best = max(best, product)
    return best


@given(words=st.integers(2, 3), instances=st.integers(0, 4), seed=st.integers(0, 2**32 - 1))
def test_the_reading_is_the_best_of_all(words: int, instances: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    probable = random.uniform(0, 1, (words, instances)).astype(np.float32)
    near = random.uniform(APART, 1, (instances, instances)).astype(np.float32)
    np.fill_diagonal(near, 0.0)
    reading = read_phrase(probable, near, ABSENT)
    assert reading.probability == pytest.approx(best_by_trying_all(probable, near), rel=1e-4)
    used = [place for place in reading.places if place is not None]
    assert len(used) == len(set(used))


@given(words=st.integers(1, 3), instances=st.integers(0, 6), seed=st.integers(0, 2**32 - 1))
def test_what_is_not_plausible_is_in_no_best_reading(words: int, instances: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    probable = np.asarray(random.uniform(0, 1, (words, instances)) ** random.integers(1, 9), dtype=np.float32)
    near = np.asarray(random.choice([APART, 0.3, 1.0], (instances, instances)), dtype=np.float32)
    np.fill_diagonal(near, 0.0)

    chosen = np.flatnonzero(find_plausible(probable, ABSENT))

    among_them = read_phrase(probable[:, chosen], near[np.ix_(chosen, chosen)], ABSENT)
    assert among_them.probability == pytest.approx(read_phrase(probable, near, ABSENT).probability, rel=1e-4)


def test_only_what_may_answer_is_plausible() -> None:
    probable = np.array([[0.9, 0.5, 0.01, 0.0], [0.0, 0.0, 0.02, 0.8]], dtype=np.float32)
    assert find_plausible(probable, ABSENT).tolist() == [True, True, False, True]
    twice = np.array([[0.9, 0.001], [0.9, 0.001]], dtype=np.float32)  # one of them stays without an answer
    assert find_plausible(twice, ABSENT).tolist() == [True, True]


def test_a_word_asked_twice_needs_two_instances() -> None:
    probable = np.array([[0.9], [0.9]], dtype=np.float32)
    reading = read_phrase(probable, np.zeros((1, 1), np.float32), ABSENT)
    assert sorted(reading.places, key=str) == [0, None]
    assert reading.probability == pytest.approx(0.9 * ABSENT * APART)


def test_a_phrase_longer_than_the_beam_is_read() -> None:
    count = 20
    near = np.where(np.eye(count, k=1, dtype=bool), 1.0, APART).astype(np.float32)
    np.fill_diagonal(near, 0.0)
    reading = read_phrase(np.full((count, count), 0.5, dtype=np.float32), near, ABSENT)
    assert reading.places == tuple(range(count))
    assert reading.probability == pytest.approx(0.5**count)
