"""From a configuration to a gateway: the only place of this service that builds adapters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from glyphseek.config import Config
from glyphseek.deployment import milvus_settings, open_features, s3_settings
from glyphseek.errors import ModelNotFound
from glyphseek.features.late import LateFeatures
from glyphseek.metrics import Metrics
from glyphseek.ports import FeatureStore
from glyphseek.rpc.client import Client
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.health import check_health
from glyphseek.rpc.remote import list_models
from glyphseek.serving.guarding import credentials_of
from glyphseek_gateway.collections import Collections
from glyphseek_gateway.gateway import Gateway, GatewaySettings, Parts, build_gateway
from glyphseek_gateway.keys import open_keys
from glyphseek_gateway.limits import Limits
from glyphseek_gateway.milvus_collections import MilvusCollections
from glyphseek_gateway.readiness import Probe
from glyphseek_gateway.remote_engines import RemoteEngines, Services
from glyphseek_gateway.sources import BucketSource
from glyphseek_gateway.stages import Budgets

_PROBE_S = 2.0
_PROBE_KEY = "health/probe"


def assemble(config: Config, metrics: Metrics, *, sends_request_id: bool = True) -> Gateway:
    """Return the gateway of a deployment; nothing is connected yet. Raises SettingError."""
    settings = replace(settings_of(config), sends_request_id=sends_request_id)
    services = Services(
        encoder=_connect("encoder", config.encoder, config.service_token),
        reranker=_connect("reranker", config.reranker, config.service_token),
        matcher=_connect("matcher", config.matcher, config.service_token),
    )
    collections = MilvusCollections(milvus_settings(config))
    features = LateFeatures(lambda: open_features(config))
    source = BucketSource(s3_settings(config), allowed=config.allowed_buckets)
    parts = Parts(
        collections=collections,
        engines=RemoteEngines(services, budgets=settings.budgets),
        features=features,
        source=source,
        keys=open_keys(config.api_keys_file),
        probes=_list_probes(config, services, collections, features),
        metrics=metrics,
    )
    gateway = build_gateway(parts, settings)

    def close() -> None:
        gateway.close()
        source.close()
        features.close()
        collections.close()

    return replace(gateway, close=close)


def settings_of(config: Config) -> GatewaySettings:
    """Return how much the gateway of a deployment does. Raises SettingError."""
    return GatewaySettings(
        limits=Limits(deadline_s=config.deadline_s, upload_idle_s=config.upload_idle_s),
        budgets=Budgets(
            encode_s=config.encode_s, recall_s=config.deadline_s, rerank_s=config.rerank_s, match_s=config.match_s
        ),
        max_searches=config.max_searches,
        max_ingests=config.max_ingests,
        max_queued=config.max_queued,
        keep_photos=config.keep_photos,
        log_queries=config.log_queries,
    )


def _list_probes(config: Config, services: Services, collections: Collections, features: FeatureStore) -> list[Probe]:
    """Return what readiness asks; without the last three parts searches are degraded, not refused."""

    def ask(client: Client) -> Callable[[], None]:
        return lambda: check_health(client, timeout_s=_PROBE_S)

    return [
        Probe(name="model", ask=lambda: _check_models(services.encoder, len(config.models))),
        Probe(name="encoder", ask=ask(services.encoder)),
        Probe(name="milvus", ask=collections.list),
        Probe(name="s3", ask=lambda: features.get([_PROBE_KEY]), is_essential=False),
        Probe(name="reranker", ask=ask(services.reranker), is_essential=False),
        Probe(name="matcher", ask=ask(services.matcher), is_essential=False),
    ]


def _connect(service: str, address: str, token: str) -> Client:
    return Client(Endpoint.parse(address), service=service, credentials=credentials_of(token))


def _check_models(encoder: Client, wanted: int) -> None:
    found = list_models(encoder, timeout_s=_PROBE_S)
    if len(found) < wanted:
        names = ", ".join(card.name for card in found) or "none"
        raise ModelNotFound(f"{encoder.peer} has {len(found)} of {wanted} models loaded: {names}")
