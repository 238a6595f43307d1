"""From a configuration to a reranker service: the only place of this service that builds adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from glyphseek.api.v1 import reranker_service_pb2, reranker_service_pb2_grpc
from glyphseek.config import Config
from glyphseek.deployment import open_features
from glyphseek.features.late import LateFeatures
from glyphseek.metrics import Metrics
from glyphseek.models.loading import open_model
from glyphseek.ports import FeatureStore, Model, TokenScorer
from glyphseek.reranking import Reranker, RerankerSettings
from glyphseek.rpc.context import time_left
from glyphseek.serving.counting import note_models
from glyphseek.serving.guarding import GuardedCalls
from glyphseek.serving.service import Service, check_features, close_all
from glyphseek.serving.threads import limit_threads
from glyphseek.serving.working import Work, WorkSettings
from glyphseek_reranker.servicer import RerankerServicer

SERVICE = "reranker"


def assemble(config: Config, metrics: Metrics, *, work: WorkSettings | None = None) -> Service[RerankerServicer]:
    """Return the reranker of a deployment, its models loaded; blobs are connected with the first call.

    Models without token maps need none and are left out. Raises ModelError and SettingError.
    """
    limit_threads(config.threads)
    models = [open_model(name, device=config.device) for name in config.models]
    features = LateFeatures(lambda: open_features(config))
    service = build_service(
        models, features, metrics, cache_bytes=config.cache_bytes, work=work, token=config.service_token
    )

    def close() -> None:
        service.close()
        features.close()

    return replace(service, close=close)


def build_service(
    models: list[Model],
    features: FeatureStore,
    metrics: Metrics,
    *,
    cache_bytes: int,
    work: WorkSettings | None = None,
    token: str = "",
) -> Service[RerankerServicer]:
    """Return the service over its parts; closing it leaves them open. The cache is divided among the models.

    `token`: see `GuardedCalls`.
    """
    scorers = {model.card.fingerprint: model for model in models if isinstance(model, TokenScorer)}
    rerankers = _build_rerankers(scorers, features, cache_bytes)
    note_models(metrics, SERVICE, [model.card for model in models if model.card.fingerprint in scorers])
    threads = Work(SERVICE, work or WorkSettings(), metrics)
    servicer = RerankerServicer(
        rerankers,
        work=threads,
        calls=GuardedCalls(SERVICE, token=token, metrics=metrics),
        metrics=metrics,
        service=SERVICE,
    )
    return Service(
        name=SERVICE,
        servicer=servicer,
        offer=lambda server: server.add(
            reranker_service_pb2.DESCRIPTOR.services_by_name["RerankerService"],
            servicer,
            reranker_service_pb2_grpc.add_RerankerServiceServicer_to_server,
        ),
        check=partial(check_features, features),
        close=lambda: close_all([*(one.close for one in rerankers.values()), threads.close]),
    )


def _build_rerankers(
    scorers: Mapping[str, TokenScorer], features: FeatureStore, cache_bytes: int
) -> dict[str, Reranker]:
    # An S3 store reads all blobs of a request side by side by itself.
    settings = RerankerSettings(cache_bytes=cache_bytes // max(1, len(scorers)), fetch_threads=1)
    return {
        fingerprint: Reranker(scorer, features, fingerprint=fingerprint, settings=settings, time_left=time_left)
        for fingerprint, scorer in scorers.items()
    }
