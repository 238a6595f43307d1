import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphseek.queries import parse_query
from glyphseek.ranking import ImageMatch, match_image, plan_query
from glyphseek.types import Calibration, FloatArray

CALIBRATION = Calibration(slope=12.0, offset=-9.0, threshold=0.5)
SURE, CLOSE, NONE = 1.0, 0.83, 0.0
LINE = np.array([[0.1, 0.1, 0.3, 0.2], [0.33, 0.1, 0.4, 0.2], [0.43, 0.1, 0.8, 0.2]], dtype=np.float32)


def probability(similarity: float) -> float:
    return float(1 / (1 + np.exp(-(CALIBRATION.slope * similarity + CALIBRATION.offset))))


def match(query: str, similarities: dict[str, list[float]], boxes: FloatArray | None = LINE) -> ImageMatch:
    """Match a query whose terms have these similarities to the instances, 0 for terms that are not named."""
    plan = plan_query(parse_query(query), max_term_characters=20)
    count = len(next(iter(similarities.values())))
    rows = [similarities.get(str(term), [NONE] * count) for term in plan.terms]
    placed = None if boxes is None else boxes[:count]
    return match_image(plan, np.array(rows, np.float32), placed, aspect=1.0, calibration=CALIBRATION)


def places(found: ImageMatch) -> list[tuple[str, int | None]]:
    return [(one.term, one.instance) for one in found.matches]


def test_a_word_is_answered_by_its_most_similar_instance() -> None:
    found = match("tea", {"tea": [0.2, SURE, CLOSE]})
    assert found.score == pytest.approx(probability(SURE), rel=1e-5)
    (only,) = found.matches
    assert (only.term, only.instance, only.similarity) == ("tea", 1, 1.0)
    assert only.box == tuple(LINE[1].tolist())


def test_of_equal_instances_the_better_detection_answers() -> None:
    assert places(match("tea", {"tea": [0.2, SURE, SURE]})) == [("tea", 1)]


@pytest.mark.parametrize("query", ["tea", "tea milk", '"green tea"', "tea NOT milk", "tea OR milk"])
def test_an_image_without_words_scores_as_one_of_unrelated_words_at_most(query: str) -> None:
    nothing = match(query, {"tea": [], "milk": [], "green": []})
    assert 0.0 < nothing.score <= probability(NONE) * (1 + 1e-5)
    assert all(one.instance is None and one.box is None for one in nothing.matches)


def test_two_words_do_not_share_an_instance() -> None:
    found = match("color colour", {"color": [SURE, 0.3], "colour": [SURE, CLOSE]})
    assert places(found) == [("color", 0), ("colour", 1)]
    assert found.score == pytest.approx(probability(SURE) * probability(CLOSE), rel=1e-5)


def test_a_word_asked_twice_needs_two_instances() -> None:
    assert places(match("tea tea", {"tea": [SURE, CLOSE]})) == [("tea", 0), ("tea", 1)]
    once = match("tea tea", {"tea": [SURE, -0.5]})
    assert once.score == pytest.approx(probability(SURE) * probability(NONE), rel=1e-5)
    assert sorted(one.instance is None for one in once.matches) == [False, True]


def test_a_word_unlike_everything_is_answered_by_nothing() -> None:
    found = match("tea", {"tea": [-0.4, -0.1]})
    assert (found.matches[0].instance, found.matches[0].similarity, found.matches[0].box) == (None, 0.0, None)


def test_a_phrase_in_order_beats_the_same_words_in_another_order() -> None:
    words = {"bank": [SURE, 0, 0], "of": [0, SURE, 0], "america": [0, 0, SURE]}
    in_order = match('"bank of america"', words)
    assert in_order.score == pytest.approx(probability(SURE) ** 3, rel=1e-5)
    assert places(in_order) == [("bank", 0), ("of", 1), ("america", 2)]
    assert match('"america of bank"', words).score < 0.01
    assert match("america of bank", words).score == pytest.approx(in_order.score, rel=1e-5)


def test_a_phrase_takes_the_neighbour_before_the_better_stranger() -> None:
    boxes = np.vstack([LINE[:2], [[0.1, 0.8, 0.3, 0.9]]]).astype(np.float32)
    assert places(match('"new york"', {"new": [SURE, 0, 0], "york": [0, 0.95, SURE]}, boxes)) == [
        ("new", 0),
        ("york", 1),
    ]


def test_a_phrase_is_found_when_it_was_detected_as_one_word() -> None:
    found = match('"coca cola"', {"coca": [0.5], "cola": [0.5], "cocacola": [SURE]})
    assert places(found) == [("cocacola", 0)]
    assert found.score == pytest.approx(probability(SURE), rel=1e-5)


def test_a_word_beside_a_phrase_needs_an_instance_of_its_own() -> None:
    words: dict[str, list[float]] = {"new": [SURE, 0, 0], "york": [0, SURE, 0]}
    assert places(match('york "new york"', words)) == [("york", None), ("new", 0), ("york", 1)]


def test_without_boxes_the_order_of_a_phrase_stays_open() -> None:
    found = match('"new york"', {"new": [SURE, 0], "york": [0, SURE]}, None)
    assert found.score == pytest.approx(probability(SURE) ** 2 * 0.5, rel=1e-5)
    assert [one.box for one in found.matches] == [None, None]


def test_the_best_alternative_is_the_answer() -> None:
    found = match("tea OR coffee milk", {"tea": [0.8, 0], "coffee": [SURE, 0], "milk": [0, SURE]})
    assert places(found) == [("coffee", 0), ("milk", 1)]
    assert found.score == pytest.approx(probability(SURE) ** 2, rel=1e-5)


def test_an_excluded_word_that_is_there_leaves_no_score() -> None:
    assert match("open NOT closed", {"open": [SURE, 0], "closed": [0, CLOSE]}).score == 0.0


def test_an_excluded_word_that_may_be_there_costs_its_probability() -> None:
    found = match("open NOT closed", {"open": [SURE, 0], "closed": [0, 0.7]})
    assert found.score == pytest.approx(probability(SURE) * (1 - probability(0.7)), rel=1e-5)


def test_an_excluded_phrase_is_about_its_order() -> None:
    words = {"bank": [SURE, 0, 0], "of": [0, SURE, 0], "america": [0, 0, SURE]}
    assert match('america NOT "bank of america"', words).score == 0.0
    assert match('america NOT "america bank"', words).score > 0.8


def test_the_required_word_is_no_evidence_of_the_excluded_one() -> None:
    words = {"coffee": [SURE, 0], "coffees": [0.86, 0]}
    assert match("coffee NOT coffees", words).score > 0.9
    assert match("coffees NOT coffee", words).score == 0.0


def test_a_word_required_and_excluded_is_nowhere() -> None:
    assert match("tea NOT tea", {"tea": [SURE]}).score == 0.0


@given(
    query=st.sampled_from(["a", "a b", "a a b", "a NOT c", "a b NOT c", "a b OR c", "(a OR b) c NOT d"]),
    count=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_more_similarity_of_required_words_never_lowers_a_score(query: str, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    before = {word: random.uniform(0, 1, count).tolist() for word in "abcd"}
    required = "ab" if "NOT c" in query else "abc"
    after = {
        word: [min(1.0, s + float(random.uniform(0, 0.3)) * (word in required)) for s in before[word]]
        for word in before
    }
    assert match(query, after, None).score >= match(query, before, None).score - 1e-6


@given(count=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_more_similarity_of_excluded_words_never_raises_a_score(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    before = {word: random.uniform(0, 1, count).tolist() for word in "abc"}
    after = before | {"c": [min(1.0, s + float(random.uniform(0, 0.3))) for s in before["c"]]}
    assert match("a b NOT c", after, None).score <= match("a b NOT c", before, None).score + 1e-6


def test_words_of_a_phrase_in_one_coarse_place_count_as_half_adjacent_at_least() -> None:
    plan = plan_query(parse_query('"new york"'), max_term_characters=3)
    similarities = np.array([[SURE, NONE], [NONE, SURE]], np.float32)
    same = np.array([[0.5, 0.5, 0.6, 0.6]] * 2, dtype=np.float32)
    apart = np.array([[0.5, 0.5, 0.6, 0.6], [0.1, 0.1, 0.2, 0.2]], dtype=np.float32)

    def score(boxes_N4: FloatArray, *, is_coarse: bool) -> float:
        found = match_image(plan, similarities, boxes_N4, aspect=1.0, calibration=CALIBRATION, is_coarse=is_coarse)
        return found.score

    assert score(same, is_coarse=True) == pytest.approx(0.5 * probability(SURE) ** 2, rel=1e-5)
    assert score(same, is_coarse=False) < score(same, is_coarse=True)
    assert score(apart, is_coarse=True) == score(apart, is_coarse=False)


def test_what_a_match_tells_may_differ_from_what_it_is_scored_by() -> None:
    plan = plan_query(parse_query("tea"), max_term_characters=9)
    similarities, told = np.array([[0.1, 1.4]], np.float32), np.array([[0.2, 0.6]], np.float32)
    found = match_image(plan, similarities, None, aspect=1.0, calibration=CALIBRATION, told_TN=told)
    assert found.score == pytest.approx(probability(1.4), rel=1e-5)
    assert found.matches[0].similarity == pytest.approx(0.6)
