from dataclasses import replace

import pytest
from fakes.token_gallery import CARD

from glyphseek.errors import SettingError
from glyphseek.search import SearchSettings

BOUNDS = ["candidates", "round_images", "rows_per_vector", "min_rows_per_vector", "max_rows", "max_top", "max_rerank"]


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_below_one_is_refused_by_name(name: str) -> None:
    with pytest.raises(SettingError, match=f"{name} is 0"):
        SearchSettings(**{name: 0})


@pytest.mark.parametrize(
    ("vectors", "top", "rows"),
    [(1, 10, 400), (1, 700, 700), (20, 10, 400), (40, 10, 200), (400, 10, 25)],
)
def test_many_query_vectors_share_the_rows_of_a_search(vectors: int, top: int, rows: int) -> None:
    settings = SearchSettings(rows_per_vector=400, min_rows_per_vector=25, max_rows=8000)
    assert settings.rows_for(vectors, top) == rows


@pytest.mark.parametrize("rerank", [-1, 513])
def test_a_depth_of_reranking_out_of_bounds_is_refused_with_the_bound(rerank: int) -> None:
    with pytest.raises(SettingError, match=f"rerank is {rerank}, it must be 0 to 512"):
        SearchSettings(rerank=rerank)


@pytest.mark.parametrize(
    ("settings", "recommended", "depth"),
    [
        (SearchSettings(), None, 32),
        (SearchSettings(), 128, 128),
        (SearchSettings(), 0, 0),
        (SearchSettings(rerank=7), 128, 7),
        (SearchSettings(rerank=0), 128, 0),
        (SearchSettings(max_rerank=100), 128, 100),
        (SearchSettings(max_rerank=20), None, 20),
    ],
)
def test_the_settings_say_how_many_are_reranked_or_else_the_card_and_never_beyond_the_bound(
    settings: SearchSettings, recommended: int | None, depth: int
) -> None:
    assert settings.rerank_of(replace(CARD, rerank_depth=recommended)) == depth
