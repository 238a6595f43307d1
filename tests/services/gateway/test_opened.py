"""Generations in use: pinned, switched under load, closed when nobody needs them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes.gateways import PhotoWords, Served, make_engine, make_gateway, make_photo, other_card, served

from glyphseek.deadlines import deadline_bound
from glyphseek.errors import GalleryNotFound, ModelMismatch, StoreUnavailable
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.metrics import Metrics
from glyphseek.ports import FeatureStore
from glyphseek.search import SearchSettings
from glyphseek.types import ModelCard
from glyphseek.vectors.memory import MemoryVectorStore
from glyphseek.vectors.milvus_generations import Generation
from glyphseek_gateway.collections import MemoryCollections
from glyphseek_gateway.engines import Engine, LocalEngines
from glyphseek_gateway.opened import OpenGeneration, OpenGenerations
from glyphseek_gateway.stages import Budgets, Stages

OLD, NEW = PhotoWords().card, other_card("newer", "e")


class CountedStore(MemoryVectorStore):
    """Knows whether it was closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


class CountedCollections(MemoryCollections):
    """Keeps what it opened, and how often it was asked for an alias."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[CountedStore] = []
        self.asked = 0

    def current(self, collection: str) -> Generation:
        self.asked += 1
        return super().current(collection)

    def open(self, generation: Generation, card: ModelCard) -> CountedStore:
        super().open(generation, card)
        self.opened.append(CountedStore(card=card))
        return self.opened[-1]


@pytest.fixture
def collections() -> CountedCollections:
    collections = CountedCollections()
    collections.create("signs", OLD)
    collections.create("signs", NEW)
    return collections


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def generations(collections: CountedCollections, now: list[float]) -> Iterator[OpenGenerations]:
    generations = make_generations(collections, now)
    yield generations
    generations.close()


def make_generations(
    collections: CountedCollections, now: list[float], *, most: int = 64, alias_s: float = 0.5
) -> OpenGenerations:
    features = MemoryFeatureStore()
    engines = LocalEngines([make_engine(PhotoWords(card), features) for card in (OLD, NEW)])
    return OpenGenerations(
        collections,
        engines,
        features,
        stages=Stages.of(Budgets(), Metrics()),
        settings=SearchSettings(),
        most=most,
        alias_s=alias_s,
        clock=lambda: now[0],
    )


def model_of(opened: OpenGeneration) -> str:
    return opened.card.name


def test_the_alias_is_asked_for_again_after_half_a_second(
    collections: CountedCollections, generations: OpenGenerations, now: list[float]
) -> None:
    assert [generations.with_current("signs", model_of) for _ in range(5)] == ["words"] * 5
    assert collections.asked == 1
    collections.switch("signs", NEW.fingerprint)
    assert generations.with_current("signs", model_of) == "words"
    now[0] = 0.6
    assert generations.with_current("signs", model_of) == "newer"
    assert collections.asked == 2


def test_a_generation_is_opened_once_for_all_who_come_together(
    collections: CountedCollections, generations: OpenGenerations
) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = [threads.submit(generations.with_current, "signs", model_of) for _ in range(50)]
    assert [one.result() for one in found] == ["words"] * 50
    assert len(collections.opened) == 1


def test_a_generation_that_is_forgotten_is_closed_when_its_last_user_is_done(
    collections: CountedCollections, generations: OpenGenerations
) -> None:
    began, may_end = threading.Event(), threading.Event()

    def work(opened: OpenGeneration) -> str:
        began.set()
        may_end.wait(10)
        return model_of(opened)

    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(generations.with_current, "signs", work)
        assert began.wait(10)
        generations.forget("signs", OLD.fingerprint)
        assert not collections.opened[0].is_closed
        may_end.set()
        assert working.result() == "words"
    assert collections.opened[0].is_closed


def test_more_than_the_bound_closes_what_was_not_used_for_longest(
    collections: CountedCollections, now: list[float]
) -> None:
    for name in ("a", "b", "c"):
        collections.create(name, OLD)
    generations = make_generations(collections, now, most=2)
    for name in ("a", "b", "a", "c"):
        generations.with_current(name, model_of)
    assert [one.is_closed for one in collections.opened] == [False, True, False]
    generations.close()
    assert all(one.is_closed for one in collections.opened)


def test_work_on_a_generation_that_was_dropped_elsewhere_is_done_on_the_new_one(
    collections: CountedCollections, generations: OpenGenerations
) -> None:
    generations.with_current("signs", model_of)

    def work(opened: OpenGeneration) -> str:
        if opened.card.name == "words":
            collections.switch("signs", NEW.fingerprint)
            raise StoreUnavailable("the collection is not there")
        return model_of(opened)

    assert generations.with_current("signs", work) == "newer"


def test_an_error_on_the_current_generation_is_told(generations: OpenGenerations) -> None:
    def fail(opened: OpenGeneration) -> str:
        raise StoreUnavailable("Milvus is gone")

    with pytest.raises(StoreUnavailable, match="Milvus is gone"):
        generations.with_current("signs", fail)


def test_a_generation_of_a_model_that_is_not_loaded_is_refused_with_both_names(
    collections: CountedCollections, generations: OpenGenerations
) -> None:
    collections.create("other", other_card("unknown", "7"))
    with pytest.raises(ModelMismatch, match=r"unknown.*loaded are: words"):
        generations.with_current("other", model_of)


def test_what_is_not_there_is_not_found(generations: OpenGenerations) -> None:
    with pytest.raises(GalleryNotFound):
        generations.with_current("nowhere", model_of)
    with pytest.raises(GalleryNotFound):
        generations.with_fingerprint("signs", "0" * 32, model_of)


class SlowlyOpened(CountedCollections):
    """Opens a generation when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.may_end = threading.Event(), threading.Event()

    def open(self, generation: Generation, card: ModelCard) -> CountedStore:
        self.began.set()
        assert self.may_end.wait(20)
        return super().open(generation, card)


def test_who_waits_for_another_thread_to_open_a_generation_waits_no_longer_than_its_caller(now: list[float]) -> None:
    collections = SlowlyOpened()
    collections.create("signs", OLD)
    generations = make_generations(collections, now)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(generations.with_current, "signs", model_of)
        assert collections.began.wait(20)
        generation = collections.current("signs")
        late = pytest.raises(StoreUnavailable, match="collection 'signs' is still being opened")
        with deadline_bound(time.monotonic() + 0.05), late, generations.use(generation):
            raise AssertionError("it was opened twice")
        collections.may_end.set()
        assert first.result(20) == "words"
    assert len(collections.opened) == 1
    generations.close()


class SwitchedAtOnce(CountedCollections):
    """Its alias is switched to the newer model as soon as somebody has looked it up."""

    def current(self, collection: str) -> Generation:
        found = super().current(collection)
        self.switch(collection, NEW.fingerprint)
        return found


def test_work_for_one_model_stays_with_it_when_the_alias_is_switched_under_it(now: list[float]) -> None:
    collections = SwitchedAtOnce()
    collections.create("signs", OLD)
    collections.create("signs", NEW)
    generations = make_generations(collections, now, alias_s=0.0)
    assert generations.with_fingerprint("signs", OLD.fingerprint, model_of) == "words"
    collections.switch("signs", OLD.fingerprint)
    assert generations.with_model("signs", "words", model_of) == "words"
    generations.close()


def test_work_for_one_model_that_fails_is_not_done_on_the_model_that_is_current_now(
    collections: CountedCollections, generations: OpenGenerations
) -> None:
    worked: list[str] = []

    def work(opened: OpenGeneration) -> None:
        worked.append(opened.card.name)
        collections.switch("signs", NEW.fingerprint)
        raise StoreUnavailable("Milvus is gone")

    with pytest.raises(StoreUnavailable, match="Milvus is gone"):
        generations.with_fingerprint("signs", OLD.fingerprint, work)
    assert worked == ["words"]


def test_work_for_a_model_whose_generation_was_dropped_elsewhere_finds_none(
    collections: CountedCollections, generations: OpenGenerations
) -> None:
    def work(opened: OpenGeneration) -> None:
        collections.switch("signs", NEW.fingerprint)
        collections.drop("signs", OLD.fingerprint)
        raise StoreUnavailable("the collection is not there")

    with pytest.raises(GalleryNotFound, match="has no generation of model"):
        generations.with_fingerprint("signs", OLD.fingerprint, work)


@pytest.fixture
def running() -> Iterator[Served]:
    def engines(features: FeatureStore) -> list[Engine]:
        return [make_engine(PhotoWords(card), features) for card in (OLD, NEW)]

    with served(make_gateway(engines=engines)) as running:
        for model in ("words", "newer"):
            running.http.post("/v1/collections", json={"name": "signs", "model": model}).raise_for_status()
            for place in range(3):
                # An image of each generation says which one answered.
                running.http.post(
                    "/v1/collections/signs/images",
                    files=[("files", (f"{model}.png", make_photo(place)))],
                    data={"model": model},
                ).raise_for_status()
        yield running


def test_an_alias_is_switched_under_load_without_a_failed_or_mixed_answer(running: Served) -> None:
    stop = threading.Event()
    names = {OLD.fingerprint: "words.png", NEW.fingerprint: "newer.png"}
    seen: set[str] = set()

    def load() -> int:
        count = 0
        while not stop.is_set():
            answer = running.http.get("/v1/collections/signs/search", params={"q": "w1"})
            assert answer.status_code == 200, answer.text
            found = answer.json()
            assert found["degraded"] == []
            assert {hit["image"]["names"][0] for hit in found["hits"]} == {names[found["model"]]}
            seen.add(found["model"])
            count += 1
        return count

    with ThreadPoolExecutor(4) as threads:
        loads = [threads.submit(load) for _ in range(4)]
        for model in ("newer", "words", "newer", "words", "newer"):
            running.http.put("/v1/collections/signs/alias", json={"model": model}).raise_for_status()
            stop.wait(0.2)
        stop.set()
        assert sum(one.result() for one in loads) > 10
    assert seen == set(names)


def test_pages_of_a_search_stay_with_the_generation_they_began_with(running: Served) -> None:
    path, query = "/v1/collections/signs/search", {"q": "w1 OR w2", "page_size": 1}
    first = running.http.get(path, params=query).json()
    running.http.put("/v1/collections/signs/alias", json={"model": "newer"}).raise_for_status()
    second = running.http.get(path, params=query | {"page_token": first["next_page_token"]}).json()
    assert first["model"] == second["model"] == OLD.fingerprint
    running.http.delete("/v1/collections/signs", params={"model": "words"}).raise_for_status()
    gone = running.http.get(path, params=query | {"page_token": first["next_page_token"]})
    assert gone.status_code == 422
    assert "generation that is no more" in gone.json()["detail"]
