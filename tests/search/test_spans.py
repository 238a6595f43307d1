from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes import token_gallery, word_gallery
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from glyphseek.errors import DeadlineExceeded
from glyphseek.matching import Matcher
from glyphseek.reranking import Reranker
from glyphseek.search import Searcher
from glyphseek.tracing import set_up_tracing


@pytest.fixture(name="exporter")
def exporter_fixture() -> Iterator[InMemorySpanExporter]:
    memory = InMemorySpanExporter()
    stop = set_up_tracing("gateway", exporter=memory)
    yield memory
    stop()


def tree_of(exporter: InMemorySpanExporter) -> dict[str, str | None]:
    """Return each span's name with that of the span it is part of."""
    spans = exporter.get_finished_spans()
    names = {one.context.span_id: one.name for one in spans if one.context is not None}
    return {one.name: None if one.parent is None else names[one.parent.span_id] for one in spans}


def test_a_search_by_words_is_traced_stage_by_stage(exporter: InMemorySpanExporter) -> None:
    vectors, features = word_gallery.write_gallery({"a": "tea"})
    Searcher(word_gallery.WordModel(), vectors, matcher=Matcher(features, card=word_gallery.CARD)).search("tea")
    assert tree_of(exporter) == {
        "search": None,
        "search.encode": "search",
        "search.recall": "search",
        "search.match": "search",
        "blobs.fetch": "search.match",
        "match.score": "search.match",
        "search.describe": "search",
    }


def test_a_search_by_token_maps_is_traced_stage_by_stage(exporter: InMemorySpanExporter) -> None:
    vectors, features = token_gallery.write_grids({"a": "tea"})
    model = token_gallery.GridModel()
    with Reranker(model, features, fingerprint=token_gallery.FINGERPRINT) as reranker:
        Searcher(model, vectors, reranker=reranker).search("tea")
    assert tree_of(exporter) == {
        "search": None,
        "search.encode": "search",
        "search.recall": "search",
        "search.rerank": "search",
        "blobs.fetch": "search.rerank",
        "rerank.score": "search.rerank",
        "search.describe": "search",
    }


def test_a_stage_that_fails_is_noted_in_its_span(exporter: InMemorySpanExporter) -> None:
    def nothing_left(most_s: float) -> float:
        raise DeadlineExceeded(f"none of {most_s} s is left")

    vectors, features = word_gallery.write_gallery({"a": "tea"})
    matcher = Matcher(features, card=word_gallery.CARD, time_left=nothing_left)
    result = Searcher(word_gallery.WordModel(), vectors, matcher=matcher).search("tea")
    assert result.degraded[0].reason == "DeadlineExceeded: none of 1.25 s is left"
    failed = next(one for one in exporter.get_finished_spans() if one.name == "search.match")
    assert not failed.status.is_ok
    assert [event.name for event in failed.events] == ["exception"]
