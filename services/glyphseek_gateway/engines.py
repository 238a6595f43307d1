"""The models that can be asked, and what each is asked through: other services, or this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from glyphseek.errors import ModelMismatch, ModelNotFound
from glyphseek.indexing import ImageEncoding
from glyphseek.ports import Model
from glyphseek.search import MatchStage, RerankStage
from glyphseek.types import ModelCard
from glyphseek.vectors.milvus_generations import Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What works with one model. `model` is asked for query terms only; a stage the method has not is None."""

    model: Model
    encoder: ImageEncoding
    matcher: MatchStage | None = None
    reranker: RerankStage | None = None


class Engines(Protocol):
    """All models that are loaded somewhere. Methods block and may be called from several threads."""

    def cards(self) -> Sequence[ModelCard]:
        """Return the cards of the models, the default first. Raises ServiceUnavailable."""
        ...

    def open(self, card: ModelCard) -> Engine:
        """Return what works with the model; the same for the same card, and closed with this."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


class LocalEngines:
    """Models of this process."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        """The first is the default."""
        self._engines = {engine.model.card.fingerprint: engine for engine in engines}

    def cards(self) -> Sequence[ModelCard]:
        """Return the cards of the models, the default first."""
        return [engine.model.card for engine in self._engines.values()]

    def open(self, card: ModelCard) -> Engine:
        """Return what works with the model."""
        return self._engines[card.fingerprint]

    def close(self) -> None:
        """Leave the engines to whoever made them."""


def find_card(cards: Sequence[ModelCard], model: str) -> ModelCard:
    """Return the card with that fingerprint or name, for the empty string the default. Raises ModelNotFound."""
    for card in cards:
        if not model or is_called(model, name=card.name, fingerprint=card.fingerprint):
            return card
    raise ModelNotFound(f"there is no model {model!r}; loaded are: {_list(cards)}")


def is_called(model: str, *, name: str, fingerprint: str) -> bool:
    """Return whether `model` means the model: its fingerprint, its name, or the name without its publisher."""
    return model in (fingerprint, name, name.rpartition("/")[2])


def card_of(cards: Sequence[ModelCard], generation: Generation) -> ModelCard:
    """Return the card of the model that wrote the generation. Raises ModelMismatch with both names."""
    for card in cards:
        if card.fingerprint == generation.fingerprint:
            return card
    raise ModelMismatch(
        f"collection {generation.gallery!r} was written by model {generation.model!r} ({generation.fingerprint}); "
        f"loaded are: {_list(cards)}"
    )


def _list(cards: Sequence[ModelCard]) -> str:
    return ", ".join(f"{card.name} ({card.fingerprint})" for card in cards) or "none"
