import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from glyphseek.errors import InputError
from glyphseek.evaluation.metrics import RankedHits, average_precision, bootstrap_interval, rank_hits, recall_at

# Few distinct scores, so that almost every ranking has large groups of equal ones.
_rows = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=1, max_size=60).filter(
    lambda rows: any(relevant for relevant, _ in rows)
)


def _ranking(relevant: list[int], scores: list[float]) -> RankedHits:
    return rank_hits(np.array(relevant, dtype=bool), np.array(scores, dtype=np.float32))


@settings(max_examples=300, deadline=None)
@given(_rows)
def test_average_precision_is_that_of_scikit_learn_with_many_ties(rows: list[tuple[bool, int]]) -> None:
    relevant = np.array([row[0] for row in rows])
    scores = np.array([row[1] / 3 for row in rows], dtype=np.float32)
    assert average_precision(rank_hits(relevant, scores)) == average_precision_score(relevant, scores)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_average_precision_is_that_of_scikit_learn_on_a_large_gallery(seed: int) -> None:
    random = np.random.default_rng(seed)
    relevant = random.random(3000) < 0.01
    relevant[0] = True
    scores = random.standard_normal(3000).astype(np.float32).round(2)
    assert average_precision(rank_hits(relevant, scores)) == average_precision_score(relevant, scores)


def test_average_precision_of_a_known_ranking() -> None:
    # Relevant at ranks 1 and 3: (1/1 + 2/3) / 2.
    assert average_precision(_ranking([1, 0, 1, 0], [4, 3, 2, 1])) == pytest.approx((1 + 2 / 3) / 2, abs=1e-15)


def test_equal_scores_share_the_precision_of_their_whole_group() -> None:
    assert average_precision(_ranking([1, 0, 0, 0], [1, 1, 1, 1])) == 0.25
    assert average_precision(_ranking([0, 0, 0, 1], [1, 1, 1, 1])) == 0.25


def test_recall_counts_the_relevant_among_the_first() -> None:
    ranking = _ranking([1, 0, 1, 0, 1], [5, 4, 3, 2, 1])
    assert [recall_at(ranking, count) for count in (1, 2, 3, 4, 5)] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 1])


def test_recall_beyond_the_gallery_is_complete() -> None:
    assert recall_at(_ranking([0, 1], [2, 1]), 100) == 1


def test_recall_of_a_cut_group_is_its_expected_share() -> None:
    # One image is ahead; of the four equal ones, two of which are relevant, one more fits into the first two.
    ranking = _ranking([0, 1, 1, 0, 0], [2, 1, 1, 1, 1])
    assert recall_at(ranking, 2) == pytest.approx((2 * 1 / 4) / 2)


def test_a_ranking_without_relevant_images_is_refused() -> None:
    with pytest.raises(InputError, match="at least one relevant"):
        _ranking([0, 0], [1, 2])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(InputError, match="finite"):
        _ranking([1, 0], [1, bad])


def test_scores_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="do not fit"):
        _ranking([1, 0], [1, 2, 3])


def test_the_interval_holds_the_mean_and_repeats_with_its_seed() -> None:
    values = np.random.default_rng(1).random(200).tolist()
    first = bootstrap_interval(values, seed=7)
    assert first == bootstrap_interval(values, seed=7)
    assert first != bootstrap_interval(values, seed=8)
    assert first.low < float(np.mean(values)) < first.high


def test_the_interval_is_as_wide_as_the_normal_approximation() -> None:
    values = np.random.default_rng(2).random(400)
    interval = bootstrap_interval(values.tolist())
    expected = 2 * 1.96 * float(values.std()) / len(values) ** 0.5
    assert interval.high - interval.low == pytest.approx(expected, rel=0.1)


def test_the_interval_of_equal_values_is_a_point() -> None:
    interval = bootstrap_interval([0.5] * 10)
    assert (interval.low, interval.high) == (0.5, 0.5)


def test_an_interval_without_values_is_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        bootstrap_interval([])
