"""Collections on a Milvus server: generations of galleries, with one connection for what is asked of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from glyphseek.errors import GalleryNotFound
from glyphseek.ports import VectorStore
from glyphseek.types import ModelCard
from glyphseek.vectors.milvus_generations import Generation, MilvusGenerations
from glyphseek.vectors.milvus_server import MilvusStore
from glyphseek.vectors.milvus_settings import MilvusSettings
from glyphseek_gateway.waiting import held_in_time


class MilvusCollections:
    """The collections of one Milvus. Nothing is connected before the first call, so that Milvus may come up later.

    One thread connects at a time; others wait for it no longer than their callers do, and raise StoreUnavailable then.
    """

    def __init__(
        self, settings: MilvusSettings, *, connect: Callable[[MilvusSettings], MilvusGenerations] = MilvusGenerations
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._lock = threading.Lock()
        self._connected: MilvusGenerations | None = None

    def list(self) -> Sequence[Generation]:
        """Return all generations, ordered by collection, the current one first, then by model."""
        return self._generations.list()

    def current(self, collection: str) -> Generation:
        """Return the generation that searches go to. Raises SettingError for a name of another form."""
        return self._generations.current(collection)

    def create(self, collection: str, card: ModelCard) -> None:
        """Make a generation for the model unless it is there; a collection's first is its current one."""
        MilvusStore.open(self._settings, gallery=collection, card=card, is_new_generation=True).close()

    def switch(self, collection: str, fingerprint: str) -> None:
        """Make another generation the current one, for everybody at once."""
        self._generations.switch(collection, fingerprint)

    def drop(self, collection: str, fingerprint: str | None) -> None:
        """Remove a generation that is not current, or with None the collection. Raises SettingError for the current."""
        if fingerprint is None:
            self._generations.drop_gallery(collection)
        else:
            self._generations.drop(collection, fingerprint)

    def open(self, generation: Generation, card: ModelCard) -> VectorStore:
        """Return the images of a generation that is there; unlike the store's own `open`, this makes none."""
        if all(one.images != generation.images for one in self.list()):
            raise GalleryNotFound(f"gallery {generation.gallery!r} has no generation {generation.fingerprint}")
        return MilvusStore.open(self._settings, gallery=generation.gallery, card=card, is_new_generation=True)

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            if self._connected is not None:
                self._connected.__exit__(None, None, None)

    @property
    def _generations(self) -> MilvusGenerations:
        if (connected := self._connected) is not None:
            return connected
        with held_in_time(self._lock, "Milvus is still being connected to"):
            if self._connected is None:
                self._connected = self._connect(self._settings)
            return self._connected
