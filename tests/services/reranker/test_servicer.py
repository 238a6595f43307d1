import threading
from collections.abc import Sequence

import numpy as np
import pytest
from fakes.running import running
from fakes.token_gallery import CARD, FINGERPRINT, GridModel, write_grids
from fakes.word_gallery import WordModel

from glyphseek.errors import (
    DeadlineExceeded,
    InputError,
    ModelNotFound,
    Overloaded,
    ServiceUnavailable,
    StoreError,
    StoreUnavailable,
)
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.metrics import Metrics
from glyphseek.ports import FeatureStore, Model
from glyphseek.queries import Term
from glyphseek.reranking import Reranker
from glyphseek.rpc.client import Client
from glyphseek.rpc.health import check_health
from glyphseek.rpc.remote import RemoteReranker
from glyphseek.serving.service import Service
from glyphseek.serving.working import WorkSettings
from glyphseek_reranker.assembling import build_service
from glyphseek_reranker.servicer import RerankerServicer

pytestmark = pytest.mark.timeout(60)
LINES = {"a": "bank of america", "b": "america bank", "c": "coffee open"}
TERMS = GridModel().encode_terms([Term(text="coffee"), Term(text="bank")])


def _build(
    features: FeatureStore, metrics: Metrics | None = None, work: WorkSettings | None = None, *models: Model
) -> Service[RerankerServicer]:
    return build_service(list(models) or [GridModel()], features, metrics or Metrics(), cache_bytes=2**20, work=work)


@pytest.mark.parametrize("with_attention", [False, True])
def test_it_answers_as_the_same_job_in_process(with_attention: bool) -> None:
    _, features = write_grids(LINES)
    with Reranker(GridModel(), features, fingerprint=FINGERPRINT) as reranker:
        expected = reranker.rerank(TERMS, ["c", "gone", "a"], with_attention=with_attention)
    with running(_build(features)) as client:
        remote = RemoteReranker(client, fingerprint=FINGERPRINT, timeout_s=10.0)
        found = remote.rerank(TERMS, ["c", "gone", "a"], with_attention=with_attention)
    assert found.image_ids == expected.image_ids
    assert (found.asked, found.faults, found.coverage) == (3, {"missing": 1}, expected.coverage)
    np.testing.assert_array_equal(found.cosines_TK, expected.cosines_TK)
    np.testing.assert_array_equal(found.scores.probabilities_TK, expected.scores.probabilities_TK)
    for row, expected_row in zip(found.scores.attention or (), expected.scores.attention or (), strict=True):
        for map_HW, expected_HW in zip(row, expected_row, strict=True):
            np.testing.assert_array_equal(map_HW, expected_HW)


def test_what_was_fetched_is_counted_and_kept() -> None:
    _, features = write_grids(LINES)
    metrics = Metrics()
    with running(_build(features, metrics)) as client:
        remote = RemoteReranker(client, fingerprint=FINGERPRINT, timeout_s=10.0)
        first = remote.rerank(TERMS, ["a", "gone"])
        assert remote.rerank(TERMS, ["a"]).fetched_bytes == 0
    text = metrics.expose().decode()
    assert f'glyphseek_fetched_bytes_total{{service="reranker"}} {float(first.fetched_bytes)}' in text
    assert 'glyphseek_blob_faults_total{reason="missing",service="reranker"} 1.0' in text
    assert 'glyphseek_coverage_ratio_count{service="reranker"} 2.0' in text
    assert f'fingerprint="{FINGERPRINT}",method="{CARD.method}",model="{CARD.name}",service="reranker"}} 1.0' in text
    assert 'glyphseek_queue_items{service="reranker"} 0.0' in text


def test_an_unknown_model_and_too_many_images_are_named() -> None:
    _, features = write_grids(LINES)
    with running(_build(features, None, None, GridModel(), WordModel())) as client:
        with pytest.raises(ModelNotFound, match=f"no model 'other' is served here; known: {FINGERPRINT}$"):
            RemoteReranker(client, fingerprint="other", timeout_s=5.0).rerank(TERMS, ["a"])
        with pytest.raises(InputError, match="513 images to rerank, the limit is 512"):
            RemoteReranker(client, fingerprint=FINGERPRINT, timeout_s=5.0).rerank(TERMS, [str(i) for i in range(513)])


class _Gate(MemoryFeatureStore):
    """Blobs that are given out when the gate is open; `down` makes the store fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.down = False
        self.asked = threading.Semaphore(0)

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        if self.down:
            raise StoreUnavailable("the store is down")
        if "health/probe" not in keys:
            self.asked.release()
            assert self.gate.wait(20)
        return super().get(keys)


def test_more_calls_than_it_takes_on_are_refused_and_the_others_answered() -> None:
    features = _Gate()
    outcomes: list[str] = []
    with running(_build(features, None, WorkSettings(at_once=1, waiting=1))) as client:
        remote = RemoteReranker(client, fingerprint=FINGERPRINT, timeout_s=20.0)

        def ask() -> None:
            try:
                outcomes.append(str(remote.rerank(TERMS, ["a"]).faults))
            except Overloaded as error:
                outcomes.append(f"{error.retry_after_s >= 1}")
                features.gate.set()

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert sorted(outcomes) == ["True", "{'missing': 1}", "{'missing': 1}"]


def test_a_caller_without_time_is_told_and_the_next_one_served() -> None:
    features = _Gate()
    with running(_build(features)) as client:
        with pytest.raises(DeadlineExceeded):
            RemoteReranker(client, fingerprint=FINGERPRINT, timeout_s=0.2).rerank(TERMS, ["a"])
        features.gate.set()
        assert RemoteReranker(client, fingerprint=FINGERPRINT, timeout_s=10.0).rerank(TERMS, ["b"]).asked == 1


def test_health_follows_the_store() -> None:
    features = _Gate()
    features.down = True
    with running(_build(features), is_ready=False) as client:
        with pytest.raises(ServiceUnavailable):
            _wait_ready(client, tries=5)
        features.down = False
        _wait_ready(client, tries=500)


def test_a_store_that_is_down_is_a_fault_of_each_image_and_no_error() -> None:
    features = _Gate()
    features.down = True
    with running(_build(features), is_ready=False) as client:
        found = RemoteReranker(client, fingerprint=FINGERPRINT, timeout_s=10.0).rerank(TERMS, ["a", "b"])
    assert found.coverage == 0.0
    assert sum(found.faults.values()) == 2
    assert issubclass(StoreUnavailable, StoreError)


def _wait_ready(client: Client, *, tries: int) -> None:
    for left in range(tries, 0, -1):
        try:
            check_health(client, timeout_s=5.0)
        except ServiceUnavailable:
            if left == 1:
                raise
            threading.Event().wait(0.02)
        else:
            return
