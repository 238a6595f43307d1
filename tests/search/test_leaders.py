import numpy as np

from glyphseek.ranking import ImageMatch
from glyphseek.search.candidates import Candidate
from glyphseek.search.leaders import Leaders


def lead(top: int, **scores: float) -> Leaders:
    leaders = Leaders(top)
    nothing = np.empty((1, 0), dtype=np.float32)
    for image_id, score in scores.items():
        candidate = Candidate(
            image_id=image_id, similarities_TN=nothing, best_T=nothing[0], boxes_N4=None, stages=("recall",)
        )
        leaders.add(candidate, ImageMatch(score=score, matches=()))
    return leaders


def best(leaders: Leaders) -> list[str]:
    return [candidate.image_id for candidate, _ in leaders.best()]


def test_the_best_come_first_and_equal_scores_by_id() -> None:
    assert best(lead(3, d=0.5, b=0.9, c=0.5, a=0.5, e=0.1)) == ["b", "a", "c"]


def test_a_score_of_zero_is_no_answer() -> None:
    assert best(lead(3, a=0.0, b=0.2)) == ["b"]


def test_anything_is_admitted_while_there_is_room() -> None:
    assert lead(3, a=0.9, b=0.8).admit(0.0)


def test_a_bound_below_the_worst_of_the_best_is_not_admitted() -> None:
    leaders = lead(2, a=0.9, b=0.8, c=0.1)
    assert not leaders.admit(0.79)
    assert leaders.admit(0.8)
