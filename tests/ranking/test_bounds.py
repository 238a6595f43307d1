import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphseek.queries import parse_query
from glyphseek.ranking import (
    Gathered,
    QueryPlan,
    Steps,
    bound_scores,
    bound_steps,
    bounds,
    match_image,
    plan_query,
)
from glyphseek.ranking.reading import APART
from glyphseek.types import Calibration, FloatArray, Instances

CALIBRATION = Calibration(slope=10.0, offset=-8.0, threshold=0.5)
LINE = [[0.1, 0.1, 0.3, 0.2], [0.33, 0.1, 0.5, 0.2], [0.53, 0.1, 0.7, 0.2]]
"""Boxes of three words, each read right after the one before."""


def rows(*values: list[float]) -> FloatArray:
    return np.array(values, dtype=np.float32)


def placed(boxes_N4: FloatArray) -> Instances:
    """Return an image with words there; what they say is not asked."""
    count = len(boxes_N4)
    return Instances(
        vectors_ND=np.zeros((count, 2), np.float32), boxes_N4=boxes_N4, scores_N=np.ones(count, np.float32)
    )


def plan_of(query: str) -> QueryPlan:
    return plan_query(parse_query(query), max_term_characters=9)


def steps_of(query: str, similarities_TN: FloatArray, *images: Instances) -> Steps:
    aspects_I = np.ones(len(images), np.float32)
    return bound_steps(plan_of(query), similarities_TN, Gathered(images), aspects_I, CALIBRATION)


def test_alternatives_take_the_better_and_required_words_multiply() -> None:
    best_TI = rows([0.8, 1.0], [0.8, 0.0], [0.0, 0.9])
    both = bound_scores(plan_query(parse_query("a b"), max_term_characters=9), best_TI[:2], CALIBRATION)
    np.testing.assert_allclose(both[0], 0.25, rtol=1e-5)
    either = bound_scores(plan_query(parse_query("a OR b OR c"), max_term_characters=9), best_TI, CALIBRATION)
    np.testing.assert_allclose(either, [0.5, 1 / (1 + np.exp(-2.0))], rtol=1e-5)


@given(
    query=st.sampled_from(
        ["a", "a a", "a b", '"a b"', 'a "b c" NOT d', "a NOT b OR c", '"a b" OR c d', "(a OR b) cd~1"]
    ),
    data=st.data(),
)
def test_no_image_scores_above_its_bound(query: str, data: st.DataObject) -> None:
    plan = plan_query(parse_query(query), max_term_characters=9)
    count = data.draw(st.integers(0, 4))
    seed = data.draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    similarities = random.uniform(-0.2, 1.0, (len(plan.terms), count)).astype(np.float32)
    corners = np.sort(random.uniform(0, 1, (count, 2, 2)), axis=1).reshape(count, 4).astype(np.float32)
    best = similarities.max(axis=1, initial=-1.0)[:, None]
    score = match_image(plan, similarities, corners, aspect=1.0, calibration=CALIBRATION).score
    assert 0.0 <= score <= bound_scores(plan, best, CALIBRATION)[0] * (1 + 1e-5)


@pytest.mark.parametrize("similarity", [-0.3, 0.0, 0.79, 1.0])
def test_the_bound_of_one_word_is_its_score(similarity: float) -> None:
    plan = plan_query(parse_query("tea"), max_term_characters=9)
    match = match_image(plan, rows([similarity, -1.0]), None, aspect=1.0, calibration=CALIBRATION)
    assert match.score == pytest.approx(float(bound_scores(plan, rows([similarity]), CALIBRATION)[0]), rel=1e-6)


@given(
    query=st.sampled_from(['"a b"', '"a b c"', 'a "b c" NOT d', '"a b" OR c d', '"a b" "b a"', '"a a"', 'NOT "a b" c']),
    counts=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    most_pairs=st.sampled_from([0, 5, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_image_scores_above_what_places_leave(query: str, counts: list[int], most_pairs: int, seed: int) -> None:
    plan, random = plan_of(query), np.random.default_rng(seed)
    images = [placed(_draw_boxes(random, count)) for count in counts]
    gathered = Gathered(images)
    similarities_TN = random.uniform(-0.2, 1.0, (len(plan.terms), len(gathered))).astype(np.float32)
    aspects_I = random.uniform(0.5, 2.0, len(images)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "_MOST_PAIRS", most_pairs)
        steps = bound_steps(plan, similarities_TN, gathered, aspects_I, CALIBRATION)
    best_TI = gathered.best(similarities_TN)
    told_I = bound_scores(plan, best_TI, CALIBRATION, steps=steps)
    for place, image in enumerate(images):
        part_TN = similarities_TN[:, gathered.part(place)]
        aspect = float(aspects_I[place])
        score = match_image(plan, part_TN, image.boxes_N4, aspect=aspect, calibration=CALIBRATION).score
        assert 0.0 <= score <= told_I[place] * (1 + 1e-5)
    assert (told_I <= bound_scores(plan, best_TI, CALIBRATION)).all()


def _draw_boxes(random: np.random.Generator, count: int) -> FloatArray:
    """Return boxes of which some stand side by side, as random ones hardly ever do."""
    corners = np.sort(random.uniform(0, 1, (count, 2, 2)), axis=1).reshape(count, 4)
    return np.where(random.random((count, 1)) < 0.5, corners, np.resize(LINE, (count, 4))).astype(np.float32)


def test_a_step_costs_nothing_where_the_words_are_read_so_and_most_where_they_are_not() -> None:
    image = placed(rows(*LINE))
    similarities = rows([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    assert steps_of('"a b"', similarities, image)[0, 1] == pytest.approx([1.0], abs=2e-5)
    assert steps_of('"b a"', similarities[::-1], image)[0, 1] == pytest.approx([APART], rel=1e-4)


def test_the_worst_step_of_a_phrase_is_told_and_of_each_image_by_itself() -> None:
    image, empty = placed(rows(*LINE)), placed(np.empty((0, 4), np.float32))
    similarities = np.eye(3, dtype=np.float32)
    assert steps_of('"a b c"', similarities, image)[0, 1, 2] == pytest.approx([1.0], abs=2e-5)
    swapped = np.hstack([similarities, similarities[[1, 0, 2]]])
    assert steps_of('"a b c"', swapped, image, empty, image)[0, 1, 2] == pytest.approx([1.0, APART, APART], rel=1e-4)


def test_images_beyond_the_pairs_that_are_told_keep_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_MOST_PAIRS", 1)
    image = placed(rows(*LINE))
    similarities = rows([0.0, 0.0, 0.8, 0.0, 0.0, 1.0], [0.8, 0.0, 0.0, 1.0, 0.0, 0.0])
    assert steps_of('"a b"', similarities, image, image)[0, 1] == pytest.approx([1.0, APART], rel=1e-4)


def test_a_query_without_phrases_has_no_steps() -> None:
    assert steps_of("a b", rows([1.0], [1.0]), placed(rows(LINE[0]))) == {}
