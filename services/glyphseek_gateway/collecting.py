"""Collections and their generations: making, listing, switching and dropping them."""

from __future__ import annotations

from itertools import groupby

from glyphseek.errors import GalleryNotFound, SettingError
from glyphseek.vectors.milvus_generations import Generation
from glyphseek_gateway.asks import Collection
from glyphseek_gateway.collections import Collections
from glyphseek_gateway.engines import Engines, card_of, find_card, is_called
from glyphseek_gateway.opened import OpenGenerations


class Collecting:
    """Looks after collections. Its methods block and may be called from several threads."""

    def __init__(self, collections: Collections, engines: Engines, generations: OpenGenerations) -> None:
        self._collections = collections
        self._engines = engines
        self._generations = generations

    def list(self) -> list[Collection]:
        """Return all collections by name."""
        grouped = groupby(self._collections.list(), key=lambda one: one.gallery)
        return [Collection(name=name, generations=tuple(found)) for name, found in grouped]

    def create(self, name: str, model: str) -> Collection:
        """Make a generation for a model (name or fingerprint, the default when empty), and return the collection.

        Where it is there nothing changes. Raises SettingError for the name, ModelNotFound.
        """
        self._collections.create(name, find_card(self._engines.cards(), model))
        self._generations.forget(name)
        return self._find(name)

    def switch(self, name: str, model: str) -> Collection:
        """Make a model's generation the current one. Raises GalleryNotFound; ModelMismatch for one not loaded."""
        generation = self._find_generation(name, model)
        card_of(self._engines.cards(), generation)
        self._collections.switch(name, generation.fingerprint)
        self._generations.forget(name)
        return self._find(name)

    def drop(self, name: str, model: str, *, everything: bool) -> None:
        """Remove the generation of a model, or with `everything` the collection, for good.

        Raises SettingError for the current generation, and unless exactly one of the two is asked for.
        """
        if everything == bool(model):
            raise SettingError("either a model's generation is dropped or all generations: exactly one must be given")
        fingerprint = None if everything else self._find_generation(name, model).fingerprint
        doomed = [one.fingerprint for one in self._find(name).generations if fingerprint in (None, one.fingerprint)]
        self._collections.drop(name, fingerprint)
        for one in doomed:
            self._generations.forget(name, one)

    def close(self) -> None:
        """Close what is open."""
        self._generations.close()
        self._engines.close()

    def _find(self, name: str) -> Collection:
        for one in self.list():
            if one.name == name:
                return one
        raise GalleryNotFound(f"there is no collection {name[:200]!r}")

    def _find_generation(self, name: str, model: str) -> Generation:
        """Return the generation of a model by its name or fingerprint, loaded or not."""
        generations = self._find(name).generations
        found = [one for one in generations if is_called(model, name=one.model, fingerprint=one.fingerprint)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{one.model} ({one.fingerprint})" for one in generations)
        if found:
            raise SettingError(f"model {model!r} has several generations in {name!r}, say its fingerprint: {known}")
        raise GalleryNotFound(f"collection {name!r} has no generation of model {model!r}; it has: {known}")
