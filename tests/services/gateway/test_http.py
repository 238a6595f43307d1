"""The gateway over HTTP, on a real port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes.gateways import Served, make_gateway, make_photo, served


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with served(make_gateway()) as running:
        assert running.http.post("/v1/collections", json={"name": "signs"}).status_code == 201
        added = running.add("signs", {f"i{red}": make_photo(red) for red in (1, 2, 3)}, metadata={"city": "Oslo"})
        assert [one["outcome"] for one in added] == ["added"] * 3
        yield running


def test_a_search_finds_what_was_uploaded(running: Served) -> None:
    answer = running.http.post("/v1/collections/signs/search", json={"query": "w2"}).json()
    assert answer["hits"][0]["image"]["image_id"] == "i2"
    assert answer["hits"][0]["image"]["metadata"] == {"city": "Oslo"}
    assert answer["confident"]
    assert answer["degraded"] == []
