"""What services cost: the same searches in process, over HTTP and over gRPC, side by side in one run.

    python load_tests/service_overhead.py --config deployment.yaml --collection photos [--searches 200]
                                          [--grpc 127.0.0.1:50060/gateway]

The services of the configuration must run already, on this machine for figures that mean anything. In process means the
same `Searcher` over the same Milvus and the same S3 store, with its own model, matcher and reranker and as much cache.
The three take turns, block after block, so that whatever else the machine does meets all of them alike. One caller at a
time shows what a search costs; several show how much a machine gets done. Exits with 1 when an answer that is not
degraded has other images than in process, or scores that differ by more than 0.001.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glyphseek.api.v1 import search_service_pb2
from glyphseek.api.v1.search_service_pb2_grpc import SearchServiceStub
from glyphseek.client import Client
from glyphseek.config import Config, load_config
from glyphseek.deployment import choose_model, open_features, open_vectors
from glyphseek.matching import Matcher, MatcherSettings
from glyphseek.models.loading import open_model
from glyphseek.ports import TokenScorer
from glyphseek.reranking import Reranker, RerankerSettings
from glyphseek.rpc import codec
from glyphseek.rpc.client import Client as Caller
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.search import Searcher
from glyphseek.serving.threads import limit_threads
from glyphseek.types import FeatureKind

QUERIES = (
    "coffee", "hotel", "open", "street", "bank", "parking", "market", "exit", "station", "pizza",
    "coffee AND shop", "open OR closed", "hotel NOT bar", '"no parking"', '"police station"', "rest*", "cofee~1",
)  # fmt: skip
CONCURRENCY = (1, 8)
BLOCKS = 5
TOP = 10
TOLERANCE = 1e-3
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Image ids and scores, best first, and whether a stage was missing."""

    hits: tuple[tuple[str, float], ...]
    is_degraded: bool


Search = Callable[[str], Answer]


@dataclass(slots=True, kw_only=True)
class Figures:
    """What one way of asking took: seconds of each search, and of all blocks."""

    took_s: list[float] = field(default_factory=list[float])
    elapsed_s: float = 0.0
    degraded: int = 0
    different: list[str] = field(default_factory=list[str])

    def row(self) -> str:
        """Return p50, p99, searches per second and the two counts."""
        p50, p99 = 1000 * np.percentile(self.took_s, [50, 99])
        rate = len(self.took_s) / self.elapsed_s
        return f"{p50:9.1f}{p99:9.1f}{rate:9.1f}{self.degraded:10}{len(self.different):11}"


def main() -> int:
    """Ask all queries in all ways, print the table; return the exit status."""
    options = _parse_options()
    config = load_config(options.config)
    endpoint = Endpoint.parse(options.grpc or f"{config.host}:{config.grpc_port}")
    with open_ways(config, options.collection, endpoint) as ways:
        expected = {query: ways["in process"](query) for query in QUERIES}
        for search in ways.values():
            _ask_all(search, QUERIES, expected, 1)
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the run")
        print(f"{'callers':<9}{'way':<12}{'p50 ms':>9}{'p99 ms':>9}{'per s':>9}{'degraded':>10}{'different':>11}")
        different: list[str] = []
        for callers in CONCURRENCY:
            for way, figures in _measure(ways, expected, callers, options.searches).items():
                print(f"{callers:<9}{way:<12}{figures.row()}")
                different += figures.different
    for one in different[:10]:
        print(one)
    return 1 if different else 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="of the deployment that runs")
    parser.add_argument("--collection", required=True)
    parser.add_argument("--searches", type=int, default=200, help="of each way and number of callers")
    parser.add_argument("--grpc", default="", help="HOST:PORT of the gateway, with /gateway behind Ray Serve")
    return parser.parse_args()


@contextmanager
def open_ways(config: Config, collection: str, endpoint: Endpoint) -> Generator[dict[str, Search]]:
    """Yield the three ways of asking, by name; the first is the one that the others are held to."""
    with ExitStack() as stack:
        searcher = stack.enter_context(open_searcher(config, collection))
        client = stack.enter_context(Client(f"http://{config.host}:{config.http_port}", collection=collection))
        caller = stack.enter_context(Caller(endpoint, service="gateway"))
        stub = SearchServiceStub(caller.channel)

        def search_here(query: str) -> Answer:
            found = searcher.search(query, top=TOP)
            return _answer([(hit.image_id, hit.score) for hit in found.hits], bool(found.degraded))

        def search_over_http(query: str) -> Answer:
            found = client.search(query, page_size=TOP)
            return _answer([(hit.image_id, hit.score) for hit in found.hits], bool(found.degraded))

        def search_over_grpc(query: str) -> Answer:
            request = search_service_pb2.SearchRequest(collection=collection, query=query, page_size=TOP)
            found = codec.decode_search_response(caller.call(stub.Search, request, timeout_s=TIMEOUT_S))
            return _answer([(hit.image_id, hit.score) for hit in found.hits], bool(found.degraded))

        yield {"in process": search_here, "HTTP": search_over_http, "gRPC": search_over_grpc}


@contextmanager
def open_searcher(config: Config, collection: str) -> Generator[Searcher]:
    """Yield a searcher of this process over the deployment's stores."""
    limit_threads(config.threads)
    model = open_model(choose_model(config, collection), device=config.device)
    card = model.card
    with (
        closing(open_vectors(config, gallery=collection, card=card)) as vectors,
        closing(open_features(config)) as features,
    ):
        matcher = reranker = None
        if FeatureKind.INSTANCES in card.features:
            matcher = Matcher(features, card=card, settings=MatcherSettings(cache_bytes=config.cache_bytes))
        if isinstance(model, TokenScorer):
            settings = RerankerSettings(cache_bytes=config.cache_bytes, fetch_threads=1)
            reranker = Reranker(model, features, fingerprint=card.fingerprint, settings=settings)
        yield Searcher(model, vectors, matcher=matcher, reranker=reranker)


def _answer(hits: Sequence[tuple[str, float]], is_degraded: bool) -> Answer:
    return Answer(hits=tuple(hits), is_degraded=is_degraded)


def _measure(ways: dict[str, Search], expected: dict[str, Answer], callers: int, searches: int) -> dict[str, Figures]:
    """Let the ways take turns, each asking the same queries in the same order."""
    figures = {way: Figures() for way in ways}
    share = max(1, searches // BLOCKS)
    for block in range(BLOCKS):
        queries = [QUERIES[(block * share + place) % len(QUERIES)] for place in range(share)]
        for way, search in ways.items():
            _add(figures[way], _ask_all(search, queries, expected, callers))
    return figures


def _ask_all(search: Search, queries: Sequence[str], expected: dict[str, Answer], callers: int) -> Figures:
    figures = Figures()

    def ask(query: str) -> None:
        started = time.perf_counter()
        answer = search(query)
        figures.took_s.append(time.perf_counter() - started)
        if answer.is_degraded:
            figures.degraded += 1
        elif (fault := compare(answer, expected[query])) is not None:
            figures.different.append(f"{query}: {fault}")

    started = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        for done in [pool.submit(ask, query) for query in queries]:
            done.result()
    figures.elapsed_s = time.perf_counter() - started
    return figures


def compare(answer: Answer, expected: Answer) -> str | None:
    """Return how an answer differs from another, nothing when it has the same images in order and the same scores."""
    if [one for one, _ in answer.hits] != [one for one, _ in expected.hits]:
        return f"images {answer.hits}, in process {expected.hits}"
    furthest = max(
        (abs(mine - other) for (_, mine), (_, other) in zip(answer.hits, expected.hits, strict=True)), default=0
    )
    return f"scores differ by {furthest:.2g}" if furthest > TOLERANCE else None


def _add(figures: Figures, more: Figures) -> None:
    figures.took_s += more.took_s
    figures.elapsed_s += more.elapsed_s
    figures.degraded += more.degraded
    figures.different += more.different


if __name__ == "__main__":
    sys.exit(main())
