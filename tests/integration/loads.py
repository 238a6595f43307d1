"""Many callers at once, over HTTP and over gRPC, and what each of them must be told meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

import httpx
import pytest
from integration.deployment import Deployed, eventually
from integration.galleries import (
    PHOTOS,
    TOLERANCE,
    Gallery,
    assert_alike,
    search_in_process,
    search_over_grpc,
)

from glyphseek.client import SearchPage
from glyphseek.errors import Overloaded
from glyphseek.models.checkpoint import load_manifest
from glyphseek.models.loading import find_model


@dataclass(slots=True, kw_only=True)
class Load:
    """What became of the searches of many callers, each of whom asks again as soon as there is an answer."""

    pages: list[SearchPage] = field(default_factory=list[SearchPage])
    seconds: list[float] = field(default_factory=list[float])
    refused: list[Overloaded] = field(default_factory=list[Overloaded])

    def ask_while(self, is_wanted: Callable[[], bool], search: Callable[[], SearchPage]) -> None:
        while is_wanted():
            started = time.monotonic()
            try:
                self.pages.append(search())
            except Overloaded as error:
                self.refused.append(error)
                time.sleep(0.3)
            else:
                self.seconds.append(time.monotonic() - started)


def overload(gallery: Gallery, query: str, *, callers: int, seconds: float, deadline_s: float) -> None:
    """Every answer is right and comes before its deadline; everything else is refused with when to come again.

    Half of the callers ask over HTTP. Anything but an answer and a refusal is raised.
    """
    deployment, loads = gallery.deployment, (Load(), Load())
    end = time.monotonic() + seconds
    with (
        deployment.client(gallery.name, timeout_s=deadline_s) as client,
        deployment.caller() as caller,
        ThreadPoolExecutor(callers) as pool,
    ):
        ways = (
            lambda: client.search(query),
            lambda: search_over_grpc(caller, gallery.name, query, timeout_s=deadline_s),
        )
        asked = [
            pool.submit(load.ask_while, lambda: time.monotonic() < end, way)
            for load, way in zip(loads, ways, strict=True)
            for _ in range(callers // 2)
        ]
        search = f"{deployment.url}/v1/collections/{gallery.name}/search"
        refused = eventually(
            lambda: httpx.get(search, params={"q": query}, timeout=60),
            lambda answer: answer.status_code == 429,
            patience_s=seconds - 1,
        )
        for one in asked:
            one.result()
    assert refused.status_code == 429
    assert refused.json()["type"] == "urn:glyphseek:problem:Overloaded"
    assert int(refused.headers["Retry-After"]) >= 1
    for load in loads:
        assert any(not page.degraded for page in load.pages)
        for page in load.pages:
            gallery.assert_true(page, query)
        assert max(load.seconds) < deadline_s
        assert load.refused
        assert all(error.retry_after_s >= 1 for error in load.refused)
    gallery.assert_whole()
    gallery.assert_sound()


def switch_under_load(deployment: Deployed, query: str, *, models: tuple[str, str], callers: int, times: int) -> None:
    """No search fails, waits for another model or mixes two while the alias of a collection goes to and fro.

    The generation of the second model is dropped in the end, under load too.
    """
    name, loads, is_over = "moving", (Load(), Load()), Event()
    gallery = Gallery(deployment=deployment, name=name)
    old, new = (load_manifest(find_model(one)).fingerprint for one in models)
    with deployment.client(name) as client, deployment.caller() as caller, ThreadPoolExecutor(callers) as pool:
        for model in (old, new):
            client.create_collection(name, model=model)
            gallery.add(PHOTOS, model=model)
        expected = {
            fingerprint: search_in_process(deployment.direct, name, model)[0][query]
            for fingerprint, model in zip((old, new), models, strict=True)
        }
        ways = (lambda: client.search(query)), (lambda: search_over_grpc(caller, name, query))
        asked = [
            pool.submit(loads[place % 2].ask_while, lambda: not is_over.is_set(), ways[place % 2])
            for place in range(callers)
        ]
        with setting_at_the_end(is_over):
            for place in range(times):
                client.switch_alias((new, old)[place % 2])
                time.sleep(1.2)
            client.drop_collection(model=new)
            time.sleep(1.2)
        for one in asked:
            one.result()
        [left] = [one for one in client.list_collections() if one.name == name]
        assert [(one.model_fingerprint, one.is_current) for one in left.generations] == [(old, True)]
        gallery.assert_sound()
        client.drop_collection(all_generations=True)
    assert [hit.score for hit in expected[new]] != pytest.approx(
        [hit.score for hit in expected[old]], abs=2 * TOLERANCE
    )
    for load in loads:
        assert {page.model for page in load.pages} == {old, new}
        assert load.refused == []
        for page in load.pages:
            assert page.degraded == (), page.degraded
            assert_alike(page.hits, expected[page.model])


@contextmanager
def setting_at_the_end(event: Event) -> Generator[None]:
    """Set the event at the end of the block, however it ends."""
    try:
        yield
    finally:
        event.set()
