"""What collections there are, and the images of each generation: the port, and one that lives in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from glyphseek.errors import GalleryNotFound, SettingError
from glyphseek.ports import VectorStore
from glyphseek.types import ModelCard
from glyphseek.vectors.memory import MemoryVectorStore
from glyphseek.vectors.milvus_generations import Generation
from glyphseek.vectors.milvus_settings import check_name


class Collections(Protocol):
    """Collections, their generations (one for each model), and which generation is current.

    Methods block, may be called from several threads, and raise StoreUnavailable, and GalleryNotFound for what is not
    there.
    """

    def list(self) -> Sequence[Generation]:
        """Return all generations, ordered by collection, the current one first, then by model."""
        ...

    def current(self, collection: str) -> Generation:
        """Return the generation that searches go to. Raises SettingError for a name of another form."""
        ...

    def create(self, collection: str, card: ModelCard) -> None:
        """Make a generation for the model unless it is there; a collection's first is its current one."""
        ...

    def switch(self, collection: str, fingerprint: str) -> None:
        """Make another generation the current one, for everybody at once."""
        ...

    def drop(self, collection: str, fingerprint: str | None) -> None:
        """Remove a generation that is not current, or with None the collection. Raises SettingError for the current."""
        ...

    def open(self, generation: Generation, card: ModelCard) -> VectorStore:
        """Return the images of a generation that is there, written by the model of `card`; the caller closes it."""
        ...


class MemoryCollections:
    """Collections that live as long as the process; all who open a generation share its images."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stores: dict[tuple[str, str], _KeptStore] = {}
        self._generations: dict[tuple[str, str], Generation] = {}

    def list(self) -> Sequence[Generation]:
        """Return all generations, ordered by collection, the current one first, then by model."""
        with self._lock:
            found = list(self._generations.values())
        return sorted(found, key=lambda one: (one.gallery, not one.is_current, one.model, one.fingerprint))

    def current(self, collection: str) -> Generation:
        """Return the generation that searches go to. Raises SettingError for a name of another form."""
        check_name("gallery", collection)
        for one in self.list():
            if one.gallery == collection and one.is_current:
                return one
        raise GalleryNotFound(f"there is no gallery {collection!r}")

    def create(self, collection: str, card: ModelCard) -> None:
        """Make a generation for the model unless it is there; a collection's first is its current one."""
        check_name("gallery", collection)
        key = (collection, card.fingerprint)
        with self._lock:
            if key in self._generations:
                return
            is_first = all(gallery != collection for gallery, _ in self._generations)
            self._stores[key] = _KeptStore(card=card)
            self._generations[key] = Generation(
                gallery=collection, model=card.name, fingerprint=card.fingerprint, is_current=is_first
            )

    def switch(self, collection: str, fingerprint: str) -> None:
        """Make another generation the current one, for everybody at once."""
        with self._lock:
            self._find(collection, fingerprint)
            for key, one in list(self._generations.items()):
                if one.gallery == collection:
                    self._generations[key] = replace(one, is_current=one.fingerprint == fingerprint)

    def drop(self, collection: str, fingerprint: str | None) -> None:
        """Remove a generation that is not current, or with None the collection. Raises SettingError for the current."""
        with self._lock:
            if fingerprint is None:
                doomed = [key for key in self._generations if key[0] == collection]
                if not doomed:
                    raise GalleryNotFound(f"there is no gallery {collection!r}")
            else:
                if self._find(collection, fingerprint).is_current:
                    raise SettingError(
                        f"model {fingerprint} is the current one of gallery {collection!r}; switch first"
                    )
                doomed = [(collection, fingerprint)]
            for key in doomed:
                del self._generations[key], self._stores[key]

    def open(self, generation: Generation, card: ModelCard) -> VectorStore:
        """Return the images of a generation that is there."""
        with self._lock:
            self._find(generation.gallery, generation.fingerprint)
            return self._stores[generation.gallery, generation.fingerprint]

    def _find(self, collection: str, fingerprint: str) -> Generation:
        found = self._generations.get((collection, fingerprint))
        if found is None:
            raise GalleryNotFound(f"gallery {collection!r} has no generation {fingerprint}")
        return found


class _KeptStore(MemoryVectorStore):
    """Images that outlive those who open them."""

    def close(self) -> None:
        """Keep everything."""
