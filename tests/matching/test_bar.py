from glyphseek.matching import Bar


def bar_after(top: int, *scores: float, least: float = 0.0) -> Bar:
    bar = Bar(top, least=least)
    for score in scores:
        bar.add(score)
    return bar


def test_anything_is_admitted_while_there_is_room() -> None:
    assert bar_after(3, 0.9, 0.8).admit(0.0)


def test_a_bound_below_the_worst_of_the_best_is_not_admitted() -> None:
    bar = bar_after(2, 0.9, 0.8, 0.1)
    assert bar.score == 0.8
    assert not bar.admit(0.79)
    assert bar.admit(0.8)


def test_a_bound_that_lies_below_by_rounding_alone_is_admitted() -> None:
    assert bar_after(1, 0.5).admit(0.5 - 1e-7)


def test_the_least_score_counts_before_there_are_any() -> None:
    bar = bar_after(2, 0.4, least=0.6)
    assert bar.score == 0.6
    assert not bar.admit(0.5)
    assert bar_after(1, 0.9, least=0.6).score == 0.9


def test_all_are_wanted_without_a_top() -> None:
    bar = bar_after(0, *(0.9,) * 50, least=0.2)
    assert bar.admit(0.2)
    assert not bar.admit(0.1)
