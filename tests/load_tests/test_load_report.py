"""A load test passes a service that does its work, and no other."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import load_report
import pytest
from load_calls import HITS, Outcome
from load_report import ADDING, LoadFigures, is_right, list_misses

EXPECTED = tuple(f"photo-{place}" for place in range(HITS))
SEARCHES = 100
RIGHT = Outcome(image_ids=EXPECTED)
THRESHOLDS = tomllib.loads(Path(load_report.__file__).with_name("thresholds.toml").read_text())
SCENARIOS = ("search", "mixed", "overload")


def run_load(scenario: str, answer: Callable[[int], Outcome | None]) -> dict[str, Any]:
    """Return the report of a load of ten seconds in which search n became `answer(n)`, None for nothing at all."""
    figures = LoadFigures(scenario=scenario, rate=SEARCHES / 10)
    figures.begin(0.0)
    is_mixed = scenario == "mixed"
    for number in range(SEARCHES):
        figures.started += 1
        if (outcome := answer(number)) is not None:
            right = is_right(outcome, EXPECTED, may_have_added=is_mixed)
            figures.note("http" if number % 2 else "grpc", "query", outcome, 20.0, is_right=right)
    if is_mixed:
        figures.started += 1
        figures.note(ADDING, "load-0", Outcome(), 20.0, is_right=True)
    figures.end(10.0)
    return figures.as_json()


def misses_of(scenario: str, answer: Callable[[int], Outcome | None]) -> list[str]:
    return list_misses(run_load(scenario, answer), THRESHOLDS[f"service_{scenario}"])


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_service_that_answers_right_misses_nothing(scenario: str) -> None:
    assert misses_of(scenario, lambda number: RIGHT) == []


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(
    "broken",
    [
        Outcome(),
        Outcome(image_ids=EXPECTED[:-1]),
        Outcome(image_ids=EXPECTED[1:]),
        Outcome(image_ids=EXPECTED[::-1]),
        Outcome(image_ids=(*EXPECTED, "photo-x")),
        Outcome(degraded=("match",)),
        Outcome(image_ids=EXPECTED[:1] * HITS, degraded=("match",)),
        Outcome(error="UNAVAILABLE"),
        Outcome(error="429", is_refused=True),
        None,
    ],
)
def test_one_broken_answer_of_a_hundred_is_a_miss(scenario: str, broken: Outcome | None) -> None:
    assert len(misses_of(scenario, lambda number: broken if number == 7 else RIGHT)) >= 1


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(image_ids=EXPECTED, degraded=("rerank",)),
        Outcome(error="429", is_refused=True, tells_when_to_retry=True),
    ],
)
def test_degraded_answers_and_refusals_belong_to_overload_only(outcome: Outcome) -> None:
    def answer(number: int) -> Outcome:
        return outcome if number % 2 else RIGHT

    assert misses_of("search", answer)
    assert misses_of("mixed", answer)
    assert misses_of("overload", answer) == []


def test_a_service_that_answers_nothing_or_refuses_everything_misses() -> None:
    refused = Outcome(error="429", is_refused=True, tells_when_to_retry=True)
    for scenario in SCENARIOS:
        assert "nothing was answered" in misses_of(scenario, lambda number: refused)
        assert "nothing was answered" in misses_of(scenario, lambda number: None)


def test_a_load_that_was_not_offered_is_no_proof() -> None:
    figures = LoadFigures(scenario="search", rate=20.0)
    figures.begin(0.0)
    for _ in range(SEARCHES):
        figures.started += 1
        figures.note("http", "query", RIGHT, 20.0, is_right=True)
    figures.end(10.0)

    assert list_misses(figures.as_json(), THRESHOLDS["service_search"]) == [
        "answered_share is 0.5, it must be at least 0.9"
    ]


def test_slow_answers_miss() -> None:
    figures = LoadFigures(scenario="search", rate=1.0)
    figures.begin(0.0)
    figures.started += 1
    figures.note("http", "query", RIGHT, 1500.0, is_right=True)
    figures.end(1.0)

    assert list_misses(figures.as_json(), THRESHOLDS["service_search"]) == ["http p99_ms is 1500.0, the bound is 1000"]


def test_photos_that_a_load_adds_displace_only_the_last_hits_of_a_full_page() -> None:
    def judge(*found: str, expected: tuple[str, ...] = EXPECTED) -> bool:
        return is_right(Outcome(image_ids=found), expected, may_have_added=True)

    assert judge(*EXPECTED)
    assert judge("load-1", *EXPECTED[:5], "load-2", *EXPECTED[5:-2])
    assert not judge("load-1", *EXPECTED[:5], *EXPECTED[6:])
    assert not judge("load-1", *EXPECTED[:-2])
    assert not judge("load-1", *EXPECTED)
    assert not is_right(Outcome(image_ids=("load-1", *EXPECTED[:-1])), EXPECTED, may_have_added=False)
    assert judge("load-1", *EXPECTED[:3], expected=EXPECTED[:3])
    assert not judge("load-1", *EXPECTED[:2], expected=EXPECTED[:3])
