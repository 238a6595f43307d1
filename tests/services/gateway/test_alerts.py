"""What the alerts of Prometheus ask for is there after real searches, one without a stage and one refused."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.gateways import make_engine, make_gateway, make_photo, served
from fakes.running import running
from fakes.token_gallery import FINGERPRINT, GridModel
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

import glyphseek_encoder.assembling
import glyphseek_reranker.assembling
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.indexing import EncodingSettings
from glyphseek.metrics import Metrics
from glyphseek.ports import blob_key
from glyphseek.rpc.remote import RemoteReranker
from glyphseek_gateway.gateway import GatewaySettings
from glyphseek_gateway.limits import Limits
from glyphseek_gateway.stages import Budgets

FOLDER = Path(__file__).parents[3] / "deploy" / "prometheus"
_SERIES = re.compile(r"(glyphseek_\w+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class GatedFeatures(MemoryFeatureStore):
    """Blobs that are given out while the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        if not self.gate.is_set() and blob_key(FINGERPRINT, "i1") in keys:
            self.asked.set()
            assert self.gate.wait(20)
        return super().get(keys)


@pytest.fixture(scope="module")
def emitted() -> list[Metric]:
    """Search with a real reranker one of whose blobs is damaged, and meanwhile be refused; return what was counted."""
    metrics, features = Metrics(), GatedFeatures()
    settings = GatewaySettings(
        max_searches=1, max_queued=0, limits=Limits(deadline_s=30.0), budgets=Budgets(rerank_s=20.0)
    )
    encoder = glyphseek_encoder.assembling.build_service([GridModel()], features, metrics, settings=EncodingSettings())
    reranker = glyphseek_reranker.assembling.build_service([GridModel()], features, metrics, cache_bytes=2**20)
    with running(reranker) as client:
        remote = RemoteReranker(client, fingerprint=FINGERPRINT, timeout_s=20.0)
        gateway = make_gateway(
            engines=lambda blobs: [make_engine(GridModel(), blobs, reranker=remote)],
            settings=settings,
            metrics=metrics,
            features=features,
        )
        with served(gateway) as door:
            door.http.post("/v1/collections", json={"name": "grids"}).raise_for_status()
            door.add("grids", {f"i{red}": make_photo(red) for red in range(3)})
            features.put(blob_key(FINGERPRINT, "i2"), b"damaged")
            features.gate.clear()
            with ThreadPoolExecutor(1) as threads:
                path, query = "/v1/collections/grids/search", {"q": "w1"}
                first = threads.submit(door.http.get, path, params=query)
                assert features.asked.wait(20)
                refused = door.http.get(path, params=query)
                features.gate.set()
                answer = first.result(20).json()
    encoder.close()
    assert refused.status_code == 429
    assert [(one["stage"], one["reason"]) for one in answer["degraded"]] == [("rerank", "blobs: 1 damaged")]
    return list(text_string_to_metric_families(metrics.expose().decode()))


def test_every_series_of_an_alert_has_been_counted(emitted: list[Metric]) -> None:
    samples = [sample for family in emitted for sample in family.samples]
    asked = _SERIES.findall((FOLDER / "alerts.yml").read_text())
    assert len(asked) > 5
    for name, labels in asked:
        wanted = _LABEL.findall(labels)
        found = [one for one in samples if one.name in (name, f"{name}_bucket") and one.labels.items() >= set(wanted)]
        assert any(one.value > 0 for one in found), f"{name}{{{labels}}}"


def test_series_of_the_alerts_own_tests_have_labels_that_are_emitted(emitted: list[Metric]) -> None:
    known = {sample.name: set(sample.labels) for family in emitted for sample in family.samples}
    for name, labels in _SERIES.findall((FOLDER / "alerts_test.yml").read_text()):
        if labels:
            assert {label for label, _ in _LABEL.findall(labels)} <= known[name], f"{name}{{{labels}}}"


def test_searches_and_answers_without_a_stage_are_counted_alike(emitted: list[Metric]) -> None:
    values = {(one.name, *one.labels.values()): one.value for family in emitted for one in family.samples}
    assert values["glyphseek_searches_total", "true"] == 1
    assert values["glyphseek_degraded_answers_total", "rerank"] == 1
