"""From a configuration to an encoder service: the only place of this service that builds adapters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from glyphseek.api.v1 import encoder_service_pb2, encoder_service_pb2_grpc
from glyphseek.config import Config
from glyphseek.deployment import encoding_settings, open_features
from glyphseek.features.late import LateFeatures
from glyphseek.indexing import EncodingSettings, ImageEncoder
from glyphseek.metrics import Metrics
from glyphseek.models.loading import open_model
from glyphseek.ports import FeatureStore, Model
from glyphseek.queries import Term
from glyphseek.serving.counting import note_models
from glyphseek.serving.guarding import GuardedCalls
from glyphseek.serving.service import Service, close_all
from glyphseek.serving.threads import limit_threads
from glyphseek.serving.working import Work, WorkSettings
from glyphseek.types import TermFeatures
from glyphseek_encoder.batching import Batcher, BatchSettings
from glyphseek_encoder.servicer import EncoderServicer, Encoding

SERVICE = "encoder"
ONE_BATCH_OF_IMAGES = WorkSettings(at_once=1, waiting=8)
"""The model works on one request of images at a time, and each may hold 64 MiB: few may wait."""


def assemble(
    config: Config, metrics: Metrics, *, batches: BatchSettings | None = None, work: WorkSettings | None = None
) -> Service[EncoderServicer]:
    """Return the encoder of a deployment, all its models loaded; blobs are connected with the first image.

    Raises ModelError and SettingError.
    """
    limit_threads(config.threads)
    models = [open_model(name, device=config.device) for name in config.models]
    features = LateFeatures(lambda: open_features(config))
    service = build_service(
        models,
        features,
        metrics,
        settings=encoding_settings(config),
        batches=batches,
        work=work,
        token=config.service_token,
    )

    def close() -> None:
        service.close()
        features.close()

    return replace(service, close=close)


def build_service(
    models: Sequence[Model],
    features: FeatureStore,
    metrics: Metrics,
    *,
    settings: EncodingSettings,
    batches: BatchSettings | None = None,
    work: WorkSettings | None = None,
    token: str = "",
) -> Service[EncoderServicer]:
    """Return the service over its parts; closing it leaves them open. `token`: see `GuardedCalls`.

    It can answer as soon as it is there: searches need no blobs of it, so they do not wait for the store.
    """
    images = [ImageEncoder(model, features, settings) for model in models]
    encodings = {
        model.card.fingerprint: Encoding(
            card=model.card, queries=_build_batcher(model, batches or BatchSettings(), metrics), images=one
        )
        for model, one in zip(models, images, strict=True)
    }
    note_models(metrics, SERVICE, [model.card for model in models])
    threads = Work(f"{SERVICE}-images", work or ONE_BATCH_OF_IMAGES, metrics)  # queries wait for batches instead
    servicer = EncoderServicer(
        encodings,
        work=threads,
        calls=GuardedCalls(SERVICE, token=token, metrics=metrics),
        metrics=metrics,
        service=SERVICE,
    )
    return Service(
        name=SERVICE,
        servicer=servicer,
        offer=lambda server: server.add(
            encoder_service_pb2.DESCRIPTOR.services_by_name["EncoderService"],
            servicer,
            encoder_service_pb2_grpc.add_EncoderServiceServicer_to_server,
        ),
        check=lambda: None,
        close=lambda: close_all([*(one.close for one in images), threads.close]),
    )


def _build_batcher(model: Model, batches: BatchSettings, metrics: Metrics) -> Batcher[Term, TermFeatures]:
    queued = metrics.batch_queue_items.labels(SERVICE, model.card.name, model.card.fingerprint)

    def encode(terms: Sequence[Term]) -> list[TermFeatures]:
        with metrics.measure(metrics.inference_seconds, SERVICE, "encode_queries"):
            return model.encode_terms(terms)

    def note(items: int, waited: Sequence[float]) -> None:
        metrics.batch_items.labels(SERVICE, "encode_queries").observe(items)
        for seconds in waited:
            metrics.queue_seconds.labels(SERVICE).observe(seconds)

    return Batcher(encode, batches, on_batch=note, on_queue=queued.set)
