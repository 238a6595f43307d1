"""Models behind encoder, reranker and matcher services."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glyphseek.errors import ServiceError
from glyphseek.rpc.client import Client
from glyphseek.rpc.remote import RemoteImageEncoder, RemoteMatcher, RemoteModel, RemoteReranker, list_models
from glyphseek.types import FeatureKind, ModelCard
from glyphseek_gateway.engines import Engine
from glyphseek_gateway.stages import Budgets

_LIST_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of a deployment. Their clients connect when they are first used, and again by themselves."""

    encoder: Client
    reranker: Client
    matcher: Client


class RemoteEngines:
    """What the encoder has loaded; asked again after `keep_s` seconds, and what was known serves while it is silent."""

    def __init__(
        self,
        services: Services,
        *,
        budgets: Budgets,
        images_s: float = 60.0,
        keep_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`images_s` bounds the encoding of one batch of images."""
        self._services = services
        self._budgets = budgets
        self._images_s = images_s
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._cards: list[ModelCard] = []
        self._asked_s = -keep_s

    def cards(self) -> Sequence[ModelCard]:
        """Return the cards of the models, the default first. Raises ServiceError when none was ever told."""
        with self._lock:
            if self._cards and self._clock() - self._asked_s < self._keep_s:
                return self._cards
        try:
            found = list_models(self._services.encoder, timeout_s=_LIST_S)
        except ServiceError:
            if not self._cards:
                raise
            found = self._cards
        with self._lock:
            self._cards, self._asked_s = found, self._clock()
            return found

    def open(self, card: ModelCard) -> Engine:
        """Return what works with the model: the stages that its features are for."""
        services, budgets = self._services, self._budgets
        has_instances, has_tokens = (kind in card.features for kind in (FeatureKind.INSTANCES, FeatureKind.TOKENS))
        return Engine(
            model=RemoteModel(services.encoder, card, timeout_s=budgets.encode_s),
            encoder=RemoteImageEncoder(services.encoder, card, timeout_s=self._images_s),
            matcher=RemoteMatcher(services.matcher, fingerprint=card.fingerprint, timeout_s=budgets.match_s)
            if has_instances
            else None,
            reranker=RemoteReranker(services.reranker, fingerprint=card.fingerprint, timeout_s=budgets.rerank_s)
            if has_tokens
            else None,
        )

    def close(self) -> None:
        """Disconnect."""
        for client in (self._services.encoder, self._services.reranker, self._services.matcher):
            client.close()
