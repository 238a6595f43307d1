"""The generations that are in use: opened once, kept, and closed when nobody needs them any more."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from glyphseek.errors import GalleryError, GalleryNotFound, StoreError
from glyphseek.indexing import Intake
from glyphseek.metrics import Metrics
from glyphseek.ports import FeatureStore, VectorStore
from glyphseek.rpc.context import time_left
from glyphseek.search import Searcher, SearchSettings
from glyphseek.types import ModelCard
from glyphseek.vectors.milvus_generations import Generation
from glyphseek_gateway.collections import Collections
from glyphseek_gateway.engines import Engines, card_of, find_card
from glyphseek_gateway.stages import Stages, TimedMatcher, TimedModel, TimedReranker, TimedVectors
from glyphseek_gateway.waiting import held_in_time

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGeneration:
    """One model's version of a collection, with the jobs over it."""

    collection: str
    card: ModelCard
    vectors: VectorStore
    searcher: Searcher
    intake: Intake


@dataclass(slots=True)
class _Entry:
    opened: OpenGeneration
    users: int = 0
    is_doomed: bool = field(default=False)


class OpenGenerations:
    """Opens generations when they are first used, and keeps up to `most` of them. Safe to use from several threads.

    Which generation is current is asked again after `alias_s` seconds. What uses a generation keeps it to its end,
    whatever becomes the current one or is dropped meanwhile in this process.
    """

    def __init__(
        self,
        collections: Collections,
        engines: Engines,
        features: FeatureStore,
        *,
        stages: Stages,
        settings: SearchSettings,
        metrics: Metrics | None = None,
        keep_photos: bool = True,
        alias_s: float = 0.5,
        most: int = 64,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collections = collections
        self._engines = engines
        self._features = features
        self._stages = stages
        self._settings = settings
        self._metrics = metrics
        self._keep_photos = keep_photos
        self._alias_s = alias_s
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._opening: dict[tuple[str, str], threading.Lock] = {}
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._aliases: dict[str, tuple[Generation, float]] = {}

    def with_current(self, collection: str, work: Callable[[OpenGeneration], T]) -> T:
        """Return what `work` returns for the current generation.

        Where that one was dropped elsewhere since it was last looked up, the work is done again on the one that is
        current now. Raises GalleryNotFound, ModelMismatch for a model that is not loaded, StoreUnavailable.
        """
        known = self._look_up(collection)
        try:
            with self.use(known) as opened:
                return work(opened)
        except (StoreError, GalleryError):
            time_left(self._alias_s)
            self.forget(collection)
            now = self._look_up(collection)
            if now.fingerprint == known.fingerprint:
                raise
        with self.use(now) as opened:
            return work(opened)

    def with_fingerprint(self, collection: str, fingerprint: str, work: Callable[[OpenGeneration], T]) -> T:
        """Return what `work` returns for the generation of a model, current or not, and for no other.

        Raises GalleryNotFound, also where it was dropped meanwhile.
        """
        known = self._find(collection, fingerprint)
        try:
            with self.use(known) as opened:
                return work(opened)
        except (StoreError, GalleryError):
            time_left(self._alias_s)
            self.forget(collection)
            self._find(collection, fingerprint)
            raise

    def with_model(self, collection: str, model: str, work: Callable[[OpenGeneration], T]) -> T:
        """Return what `work` returns for the generation of a model (its name or fingerprint), which must be there.

        The empty string is the current one. Raises what `with_current` raises, and ModelNotFound.
        """
        if not model:
            return self.with_current(collection, work)
        return self.with_fingerprint(collection, find_card(self._engines.cards(), model).fingerprint, work)

    @contextmanager
    def use(self, generation: Generation) -> Generator[OpenGeneration]:
        """Hold a generation open for the block."""
        entry = self._take(generation)
        try:
            yield entry.opened
        finally:
            self._give_back(entry)

    def forget(self, collection: str, fingerprint: str | None = None) -> None:
        """Look the alias up again next time; with a fingerprint, close that generation too when nobody uses it."""
        with self._lock:
            self._aliases.pop(collection, None)
            entry = self._entries.pop((collection, fingerprint), None) if fingerprint is not None else None
        self._doom([] if entry is None else [entry])

    def close(self) -> None:
        """Close all generations; those in use when their users are done."""
        with self._lock:
            entries = list(self._entries.values())
            self._entries.clear()
        self._doom(entries)

    def _find(self, collection: str, fingerprint: str) -> Generation:
        current = self._look_up(collection)
        if current.fingerprint == fingerprint:
            return current
        for one in self._collections.list():
            if one.gallery == collection and one.fingerprint == fingerprint:
                return one
        raise GalleryNotFound(f"collection {collection!r} has no generation of model {fingerprint!r}")

    def _look_up(self, collection: str) -> Generation:
        with self._lock:
            known = self._aliases.get(collection)
        if known is not None and self._clock() < known[1]:
            return known[0]
        end = self._clock() + self._alias_s
        found = self._collections.current(collection)
        with self._lock:
            self._aliases[collection] = (found, end)
        return found

    def _take(self, generation: Generation) -> _Entry:
        key = (generation.gallery, generation.fingerprint)
        if (entry := self._take_open(key)) is not None:
            return entry
        with self._lock:
            opening = self._opening.setdefault(key, threading.Lock())
        with held_in_time(opening, f"collection {generation.gallery!r} is still being opened"):
            if (entry := self._take_open(key)) is not None:
                return entry
            entry = _Entry(self._open(generation), users=1)
            with self._lock:
                self._entries[key] = entry
                idle = [key for key, one in self._entries.items() if one.users == 0]
                surplus = [self._entries.pop(key) for key in idle[: max(0, len(self._entries) - self._most)]]
        self._doom(surplus)
        return entry

    def _take_open(self, key: tuple[str, str]) -> _Entry | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
                entry.users += 1
            return entry

    def _list_others(self, generation: Generation) -> list[VectorStore]:
        """Return the images of other collections whose blobs are of the same model, and thus under the same keys."""
        found: list[VectorStore] = []
        for one in self._collections.list():
            if one.fingerprint == generation.fingerprint and one.gallery != generation.gallery:
                with self.use(one) as opened:
                    found.append(opened.vectors)
        return found

    def _give_back(self, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            is_over = entry.is_doomed and entry.users == 0
        if is_over:
            entry.opened.vectors.close()

    def _doom(self, entries: list[_Entry]) -> None:
        for entry in entries:
            with self._lock:
                entry.is_doomed = True
                is_over = entry.users == 0
            if is_over:
                entry.opened.vectors.close()

    def _open(self, generation: Generation) -> OpenGeneration:
        card = card_of(self._engines.cards(), generation)
        engine = self._engines.open(card)
        vectors = self._collections.open(generation, card)
        stages = self._stages
        searcher = Searcher(
            TimedModel(engine.model, stages.encode),
            TimedVectors(vectors, stages.recall),
            matcher=None if engine.matcher is None else TimedMatcher(engine.matcher, stages.match),
            reranker=None if engine.reranker is None else TimedReranker(engine.reranker, stages.rerank),
            settings=self._settings,
            metrics=self._metrics,
        )
        intake = Intake(
            vectors,
            self._features,
            engine.encoder,
            fingerprint=card.fingerprint,
            keep_photos=self._keep_photos,
            others=lambda: self._list_others(generation),
        )
        return OpenGeneration(
            collection=generation.gallery, card=card, vectors=vectors, searcher=searcher, intake=intake
        )
