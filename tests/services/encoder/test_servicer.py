import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from fakes.gateways import PhotoWords, make_photo
from fakes.running import running
from fakes.token_gallery import CARD as GRID_CARD
from fakes.token_gallery import GridModel
from fakes.word_gallery import CARD, WordModel
from integration.deployment import eventually
from prometheus_client.parser import text_string_to_metric_families

from glyphseek.errors import ImageUnsupported, ModelNotFound, QueryError
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.indexing import EncodedFile, EncodingSettings, ImageEncoder, StoredImage
from glyphseek.metrics import Metrics
from glyphseek.ports import Model, blob_key
from glyphseek.queries import Term, TermKind
from glyphseek.rpc.remote import RemoteImageEncoder, RemoteModel, list_models
from glyphseek.serving.service import Service
from glyphseek.types import TermFeatures
from glyphseek_encoder.assembling import build_service
from glyphseek_encoder.servicer import EncoderServicer

pytestmark = pytest.mark.timeout(60)


def _build(
    features: MemoryFeatureStore | None = None, metrics: Metrics | None = None, *models: Model
) -> Service[EncoderServicer]:
    return build_service(
        models or [WordModel(), GridModel()],
        features or MemoryFeatureStore(),
        metrics or Metrics(),
        settings=EncodingSettings(),
    )


def test_its_models_are_listed_with_the_default_first() -> None:
    with running(_build()) as client:
        assert list_models(client, timeout_s=5.0) == [CARD, GRID_CARD]


def test_terms_are_encoded_as_in_process_by_the_model_that_is_asked_for() -> None:
    terms = [Term(text="coffee"), Term(text="open")]
    with running(_build()) as client:
        for model in (WordModel(), GridModel()):
            found = RemoteModel(client, model.card, timeout_s=10.0).encode_terms(terms)
            for one, expected in zip(found, model.encode_terms(terms), strict=True):
                np.testing.assert_array_equal(one.vectors_VD, expected.vectors_VD)


def test_callers_at_the_same_time_get_their_own_terms_and_an_error_of_one_is_not_that_of_others() -> None:
    metrics = Metrics()
    outcomes: dict[int, object] = {}
    with running(_build(metrics=metrics)) as client:
        start = threading.Barrier(12)

        def ask(place: int) -> None:
            term = Term(text=f"word{place}") if place else Term(text="a shop", kind=TermKind.SEMANTIC)
            start.wait(20)
            try:
                outcomes[place] = RemoteModel(client, CARD, timeout_s=20.0).encode_terms([term])[0].vectors_VD
            except QueryError as error:
                outcomes[place] = error

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert isinstance(outcomes[0], QueryError)
    for place in range(1, 12):
        expected = WordModel().encode_terms([Term(text=f"word{place}")])[0].vectors_VD
        np.testing.assert_array_equal(outcomes[place], expected)
    text = metrics.expose().decode()
    assert 'glyphseek_queue_seconds_count{service="encoder"}' in text
    assert read_queues(metrics) == {CARD.name: 0, GRID_CARD.name: 0}


class WaitingWords(WordModel):
    """Encodes nothing before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.may_end = threading.Event(), threading.Event()

    def encode_terms(self, terms: Sequence[Term]) -> list[TermFeatures]:
        self.began.set()
        assert self.may_end.wait(30)
        return super().encode_terms(terms)


def test_what_waits_for_one_model_is_not_what_waits_for_another() -> None:
    metrics, words = Metrics(), WaitingWords()
    with running(_build(None, metrics, words, GridModel())) as client, ThreadPoolExecutor(4) as threads:
        remote = RemoteModel(client, CARD, timeout_s=30.0)
        asked = [threads.submit(remote.encode_terms, [Term(text="coffee")])]
        assert words.began.wait(20)
        asked += [threads.submit(remote.encode_terms, [Term(text="open"), Term(text="tea")]) for _ in range(2)]
        eventually(lambda: read_queues(metrics), lambda found: found[CARD.name] == 4)
        RemoteModel(client, GRID_CARD, timeout_s=20.0).encode_terms([Term(text="coffee")])
        assert read_queues(metrics) == {CARD.name: 4, GRID_CARD.name: 0}
        words.may_end.set()
        assert all(one.result(30) for one in asked)
    assert read_queues(metrics) == {CARD.name: 0, GRID_CARD.name: 0}


def read_queues(metrics: Metrics) -> dict[str, float]:
    """Return how many items wait, by model."""
    families = text_string_to_metric_families(metrics.expose().decode())
    return {
        sample.labels["model"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "glyphseek_batch_queue_items"
    }


def test_images_are_stored_by_the_service_and_only_their_rows_come_back() -> None:
    features, expected_features = MemoryFeatureStore(), MemoryFeatureStore()
    files = [EncodedFile(content=make_photo(9)), EncodedFile(content=b"no photo"), EncodedFile(content=make_photo(70))]
    with ImageEncoder(PhotoWords(), expected_features) as encoder:
        expected = encoder.encode_and_store(files)
    with running(_build(features, None, PhotoWords())) as client:
        remote = RemoteImageEncoder(client, PhotoWords().card, timeout_s=20.0)
        found = remote.encode_and_store(files)
        again = remote.encode_and_store(files[:1])
    assert isinstance(found[1], ImageUnsupported)
    for one, other in zip(found[::2], expected[::2], strict=True):
        assert isinstance(one, StoredImage)
        assert isinstance(other, StoredImage)
        assert one.record == other.record
        np.testing.assert_array_equal(one.vectors, other.vectors)
        key = blob_key(PhotoWords().card.fingerprint, one.record.image_id)
        assert features.get([key]) == expected_features.get([key]) != [None]
    assert isinstance(again[0], StoredImage)
    assert again[0].reused


def test_a_model_that_is_not_loaded_is_named() -> None:
    with running(_build()) as client:
        card = replace(CARD, fingerprint="f" * 32)
        with pytest.raises(ModelNotFound, match=r"no model 'f{32}' is served here"):
            RemoteModel(client, card, timeout_s=5.0).encode_terms([Term(text="coffee")])
