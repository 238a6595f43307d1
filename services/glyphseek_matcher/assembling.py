"""From a configuration to a matcher service: the only place of this service that builds adapters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from glyphseek.api.v1 import matcher_service_pb2, matcher_service_pb2_grpc
from glyphseek.config import Config
from glyphseek.deployment import open_features
from glyphseek.features.late import LateFeatures
from glyphseek.matching import Matcher, MatcherSettings
from glyphseek.metrics import Metrics
from glyphseek.models.loading import open_model
from glyphseek.ports import FeatureStore
from glyphseek.rpc.context import time_left
from glyphseek.serving.counting import note_models
from glyphseek.serving.guarding import GuardedCalls
from glyphseek.serving.service import Service, check_features
from glyphseek.serving.threads import limit_threads
from glyphseek.serving.working import Work, WorkSettings
from glyphseek.types import FeatureKind, ModelCard
from glyphseek_matcher.servicer import MatcherServicer

SERVICE = "matcher"


def assemble(config: Config, metrics: Metrics, *, work: WorkSettings | None = None) -> Service[MatcherServicer]:
    """Return the matcher of a deployment; blobs are connected with the first call.

    Of its models it needs the cards only: each is opened and let go. Raises ModelError and SettingError.
    """
    limit_threads(config.threads)
    cards = [open_model(name).card for name in config.models]
    features = LateFeatures(lambda: open_features(config))
    service = build_service(
        cards, features, metrics, cache_bytes=config.cache_bytes, work=work, token=config.service_token
    )

    def close() -> None:
        service.close()
        features.close()

    return replace(service, close=close)


def build_service(
    cards: Sequence[ModelCard],
    features: FeatureStore,
    metrics: Metrics,
    *,
    cache_bytes: int,
    work: WorkSettings | None = None,
    token: str = "",
) -> Service[MatcherServicer]:
    """Return the service over its parts; closing it leaves them open. The cache is divided among the models.

    `token`: see `GuardedCalls`.
    """
    cards = [card for card in cards if FeatureKind.INSTANCES in card.features]
    settings = MatcherSettings(cache_bytes=cache_bytes // max(1, len(cards)))
    matchers = {
        card.fingerprint: Matcher(features, card=card, settings=settings, time_left=time_left) for card in cards
    }
    note_models(metrics, SERVICE, cards)
    threads = Work(SERVICE, work or WorkSettings(), metrics)
    servicer = MatcherServicer(
        matchers,
        work=threads,
        calls=GuardedCalls(SERVICE, token=token, metrics=metrics),
        metrics=metrics,
        service=SERVICE,
    )
    return Service(
        name=SERVICE,
        servicer=servicer,
        offer=lambda server: server.add(
            matcher_service_pb2.DESCRIPTOR.services_by_name["MatcherService"],
            servicer,
            matcher_service_pb2_grpc.add_MatcherServiceServicer_to_server,
        ),
        check=partial(check_features, features),
        close=threads.close,
    )
