"""A gateway put together from its parts: the same in one plain process, behind Ray Serve, and in tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fastapi import FastAPI

from glyphseek.metrics import Metrics
from glyphseek.ports import FeatureStore
from glyphseek.rpc.admission import Admission
from glyphseek.rpc.calls import Calls
from glyphseek.search import SearchSettings
from glyphseek.serving.guarding import GuardedCalls
from glyphseek_gateway.application import Application
from glyphseek_gateway.collecting import Collecting
from glyphseek_gateway.collections import Collections
from glyphseek_gateway.engines import Engines
from glyphseek_gateway.http import build_http
from glyphseek_gateway.ingesting import Ingesting
from glyphseek_gateway.keys import Keys, NoKeys
from glyphseek_gateway.limits import Limits
from glyphseek_gateway.opened import OpenGenerations
from glyphseek_gateway.parts import PhotoSource
from glyphseek_gateway.readiness import Probe, Readiness
from glyphseek_gateway.searching import Searching
from glyphseek_gateway.servicers import IngestServicer, SearchServicer
from glyphseek_gateway.stages import Budgets, Stages

SERVICE = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a gateway is made of and does not make itself."""

    collections: Collections
    engines: Engines
    features: FeatureStore
    source: PhotoSource
    keys: Keys
    probes: Sequence[Probe]
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """How much a gateway does. max_searches, max_ingests: at once; max_queued: searches that may wait beside them.

    As many uploads may wait as are done at once, since each may hold much memory; changes of collections are done one
    after the other. sends_request_id: over HTTP; Ray Serve does that by itself.
    """

    limits: Limits = field(default_factory=Limits)
    budgets: Budgets = field(default_factory=Budgets)
    search: SearchSettings = field(default_factory=SearchSettings)
    max_searches: int = 8
    max_ingests: int = 4
    max_queued: int = 32
    keep_photos: bool = True
    log_queries: bool = False
    sends_request_id: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway that is ready to be listened with. `close` it when nothing arrives any more."""

    http: FastAPI
    search: SearchServicer
    ingest: IngestServicer
    readiness: Readiness
    application: Application
    close: Callable[[], None]


def build_gateway(parts: Parts, settings: GatewaySettings) -> Gateway:
    """Return a gateway over its parts; `close` of it closes engines and what was opened in collections."""
    metrics, limits = parts.metrics, settings.limits
    generations = OpenGenerations(
        parts.collections,
        parts.engines,
        parts.features,
        stages=Stages.of(settings.budgets, metrics),
        settings=settings.search,
        metrics=metrics,
        keep_photos=settings.keep_photos,
    )
    application = Application(
        searching=Searching(generations, parts.features, limits=limits, log_queries=settings.log_queries),
        ingesting=Ingesting(generations, parts.source, limits=limits, metrics=metrics),
        collecting=Collecting(parts.collections, parts.engines, generations),
        searches=Admission(
            "searches",
            at_once=settings.max_searches,
            waiting=settings.max_queued,
            queue=metrics.queue(f"{SERVICE}-searches"),
        ),
        ingests=Admission(
            "uploads",
            at_once=settings.max_ingests,
            waiting=settings.max_ingests,
            queue=metrics.queue(f"{SERVICE}-uploads"),
        ),
        changes=Admission("changes of collections", at_once=1, waiting=8, queue=metrics.queue(f"{SERVICE}-changes")),
        limits=limits,
    )
    # Where nobody is asked for a key, only this machine is answered, wherever a proxy in front listens.
    has_keys = not isinstance(parts.keys, NoKeys)
    calls = Calls(SERVICE, metrics=metrics) if has_keys else GuardedCalls(SERVICE, metrics=metrics)
    readiness = Readiness(parts.probes)

    def close() -> None:
        application.close()
        readiness.close()

    return Gateway(
        http=build_http(
            application,
            keys=parts.keys,
            readiness=readiness,
            metrics=metrics,
            calls=calls,
            sends_request_id=settings.sends_request_id,
        ),
        search=SearchServicer(application, parts.keys, calls),
        ingest=IngestServicer(application, parts.keys, calls),
        readiness=readiness,
        application=application,
        close=close,
    )
