from glyphseek.ranking import ImageMatch
from glyphseek.search.scored import Leaders, Scored


def lead(top: int, **scores: float) -> Leaders:
    leaders = Leaders(top)
    for image_id, score in scores.items():
        leaders.add(Scored(image_id=image_id, match=ImageMatch(score=score, matches=()), stages=("recall",)))
    return leaders


def best(leaders: Leaders) -> list[str]:
    return [one.image_id for one in leaders.best()]


def test_the_best_come_first_and_equal_scores_by_id() -> None:
    assert best(lead(3, d=0.5, b=0.9, c=0.5, a=0.5, e=0.1)) == ["b", "a", "c"]


def test_a_score_of_zero_is_no_answer() -> None:
    assert best(lead(3, a=0.0, b=0.2)) == ["b"]


def test_anything_is_admitted_while_there_is_room() -> None:
    assert lead(3, a=0.9, b=0.8).admit(0.0)
    assert lead(3, a=0.9, b=0.8).least_score == 0.0


def test_a_bound_below_the_worst_of_the_best_is_not_admitted() -> None:
    leaders = lead(2, a=0.9, b=0.8, c=0.1)
    assert leaders.least_score == 0.8
    assert not leaders.admit(0.79)
    assert leaders.admit(0.8)
