from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
import pytest
from fakes import token_gallery, word_gallery
from fakes.serving import served
from fakes.token_gallery import GridModel, write_grids
from fakes.word_gallery import WordModel, write_gallery
from rpc.jobs import JobServicer

from glyphseek.api.v1.encoder_service_pb2 import EncodeQueriesResponse
from glyphseek.api.v1.reranker_service_pb2 import RerankResponse
from glyphseek.errors import (
    ImageError,
    ImageUnreadable,
    ModelError,
    ModelNotFound,
    QueryError,
    ServiceUnavailable,
    SettingError,
)
from glyphseek.indexing import EncodedFile, StoredImage
from glyphseek.matching import MatchCandidate, Matcher
from glyphseek.queries import Term, TermKind, parse_query
from glyphseek.ranking import QueryPlan, plan_query
from glyphseek.reranking import Reranker, RerankerSettings
from glyphseek.rpc.client import Client
from glyphseek.rpc.remote import (
    RemoteImageEncoder,
    RemoteMatcher,
    RemoteModel,
    RemoteReranker,
    find_model,
    list_models,
)
from glyphseek.search import Searcher
from glyphseek.types import ImageRecord, TermFeatures

pytestmark = pytest.mark.timeout(60)
LINES = {
    "a": "bank of america",
    "b": "america bank",
    "c": "coffee open",
    "d": "coffee closed",
    "e": "bakery",
}
QUERIES = ["coffee", '"bank of america"', "coffee AND open NOT closed", "bakery OR bank", "nothing"]


@contextmanager
def asked(servicer: JobServicer) -> Generator[Client]:
    with served(*servicer.offers()) as server, Client(server.endpoint, service="jobs") as client:
        yield client


def _plan(query: str) -> QueryPlan:
    return plan_query(parse_query(query), max_term_characters=15)


def _encode(plan: QueryPlan) -> list[TermFeatures]:
    return WordModel().encode_terms(plan.terms)


@pytest.mark.parametrize("query", QUERIES)
def test_a_remote_matcher_answers_as_the_one_in_process(query: str) -> None:
    _, features = write_gallery(LINES)
    matcher = Matcher(features, card=word_gallery.CARD)
    images = [MatchCandidate(image_id=one, aspect=1.5) for one in (*LINES, "gone")]
    plan = _plan(query)
    expected = matcher.match(plan, _encode(plan), images, top=3)
    with asked(JobServicer(matcher=matcher)) as client:
        remote = RemoteMatcher(client, fingerprint=word_gallery.FINGERPRINT, timeout_s=10.0)
        found = remote.match(plan, _encode(plan), images, top=3)
    assert found.images == expected.images
    assert found.unusable_ids == ("gone",)
    assert found.faults == {"missing": 1}
    assert (found.asked, found.coverage) == (6, expected.coverage)
    assert found.cache_hits == 5


@pytest.mark.parametrize("with_attention", [False, True])
def test_a_remote_reranker_answers_as_the_one_in_process(with_attention: bool) -> None:
    _, features = write_grids(LINES)
    model = GridModel()
    terms = model.encode_terms([Term(text="coffee"), Term(text="open")])
    with Reranker(model, features, fingerprint=token_gallery.FINGERPRINT) as reranker:
        expected = reranker.rerank(terms, ["d", "gone", "c", "a"], with_attention=with_attention)
        with asked(JobServicer(reranker=reranker)) as client:
            remote = RemoteReranker(client, fingerprint=token_gallery.FINGERPRINT, timeout_s=10.0)
            found = remote.rerank(terms, ["d", "gone", "c", "a"], with_attention=with_attention)
    assert found.image_ids == expected.image_ids == ("d", "c", "a")
    assert (found.asked, found.faults) == (4, {"missing": 1})
    np.testing.assert_array_equal(found.cosines_TK, expected.cosines_TK)
    np.testing.assert_array_equal(found.scores.probabilities_TK, expected.scores.probabilities_TK)
    assert (found.scores.attention is None) == (not with_attention)
    for row, expected_row in zip(found.scores.attention or (), expected.scores.attention or (), strict=True):
        for map_HW, expected_HW in zip(row, expected_row, strict=True):
            np.testing.assert_array_equal(map_HW, expected_HW)


@pytest.mark.parametrize("query", QUERIES)
def test_a_search_over_services_finds_the_same_hits(query: str) -> None:
    words, word_features = write_gallery(LINES)
    grids, grid_features = write_grids(LINES)
    matcher = Matcher(word_features, card=word_gallery.CARD)
    with Reranker(GridModel(), grid_features, fingerprint=token_gallery.FINGERPRINT) as reranker:
        in_process = [
            Searcher(WordModel(), words, matcher=matcher).search(query),
            Searcher(GridModel(), grids, reranker=reranker).search(query),
        ]
        with asked(JobServicer(model=WordModel(), matcher=matcher)) as client:
            model = RemoteModel(client, word_gallery.CARD, timeout_s=10.0)
            remote_matcher = RemoteMatcher(client, fingerprint=word_gallery.FINGERPRINT, timeout_s=10.0)
            over_services = [Searcher(model, words, matcher=remote_matcher).search(query)]
        with asked(JobServicer(model=GridModel(), reranker=reranker)) as client:
            model = RemoteModel(client, token_gallery.CARD, timeout_s=10.0)
            remote_reranker = RemoteReranker(client, fingerprint=token_gallery.FINGERPRINT, timeout_s=10.0)
            over_services.append(Searcher(model, grids, reranker=remote_reranker).search(query))
    for expected, found in zip(in_process, over_services, strict=True):
        assert found.hits == expected.hits
        assert found.confident == expected.confident
        assert found.degraded == ()


def test_a_search_goes_on_when_its_second_stage_is_gone() -> None:
    words, features = write_gallery(LINES)
    with served(*JobServicer(matcher=Matcher(features, card=word_gallery.CARD)).offers()) as server:
        endpoint = server.endpoint
    with Client(endpoint, service="matcher") as client:
        matcher = RemoteMatcher(client, fingerprint=word_gallery.FINGERPRINT, timeout_s=2.0)
        result = Searcher(WordModel(), words, matcher=matcher).search("bakery")
    assert result.hits[0].image_id == "e"
    assert [(one.stage, one.coverage) for one in result.degraded] == [("match", 0.0)]
    assert f"matcher {endpoint} cannot be reached" in result.degraded[0].reason


def test_models_are_found_by_name_by_fingerprint_and_by_default() -> None:
    with asked(JobServicer(model=WordModel())) as client:
        assert list_models(client, timeout_s=5.0) == [word_gallery.CARD]
        for name in ("", "words", word_gallery.FINGERPRINT):
            assert find_model(client, name, timeout_s=5.0) == word_gallery.CARD
        with pytest.raises(ModelNotFound, match="no model 'other'; it has: words"):
            find_model(client, "other", timeout_s=5.0)


def test_terms_are_encoded_elsewhere_with_the_same_numbers_and_errors() -> None:
    terms = [Term(text="coffee"), Term(text="cof", kind=TermKind.PREFIX)]
    model = WordModel(["coffee", "cofox"])
    with asked(JobServicer(model=model)) as client:
        remote = RemoteModel(client, model.card, timeout_s=5.0)
        for found, expected in zip(remote.encode_terms(terms), model.encode_terms(terms), strict=True):
            np.testing.assert_array_equal(found.vectors_VD, expected.vectors_VD)
        with pytest.raises(QueryError):
            remote.encode_terms([Term(text="a shop", kind=TermKind.SEMANTIC)])
        assert remote.encode_terms([]) == []


def test_a_remote_model_takes_no_images() -> None:
    with asked(JobServicer()) as client:
        remote = RemoteModel(client, word_gallery.CARD, timeout_s=5.0)
        with pytest.raises(ModelError, match="images are encoded and stored there"):
            remote.encode_images([np.zeros((1, 1, 3), dtype=np.uint8)])


def test_a_bound_of_the_service_comes_back_as_it_is() -> None:
    _, features = write_grids(LINES)
    settings = RerankerSettings(max_images=1)
    with (
        Reranker(GridModel(), features, fingerprint=token_gallery.FINGERPRINT, settings=settings) as reranker,
        asked(JobServicer(reranker=reranker)) as client,
    ):
        remote = RemoteReranker(client, fingerprint=token_gallery.FINGERPRINT, timeout_s=5.0)
        with pytest.raises(SettingError, match="the limit is 1"):
            remote.rerank(GridModel().encode_terms([Term(text="coffee")]), ["a", "b"])


def _drop_scores(answer: object) -> None:
    cast(RerankResponse, answer).ClearField("probabilities")


def _drop_terms(answer: object) -> None:
    cast(EncodeQueriesResponse, answer).ClearField("terms")


def _narrow_vectors(answer: object) -> None:
    term = cast(EncodeQueriesResponse, answer).terms[0]
    term.vectors.shape[:] = [2, 128]


def _name_another_model(answer: object) -> None:
    cast(EncodeQueriesResponse, answer).model = "0" * 32


@pytest.mark.parametrize("spoil", [_drop_terms, _narrow_vectors, _name_another_model])
def test_terms_that_cannot_be_used_are_no_better_than_none(spoil: Callable[[object], None]) -> None:
    with (
        asked(JobServicer(model=WordModel(), spoil=spoil)) as client,
        pytest.raises(ServiceUnavailable, match="gave an answer that cannot be used"),
    ):
        RemoteModel(client, word_gallery.CARD, timeout_s=5.0).encode_terms([Term(text="coffee")])


def test_scores_that_cannot_be_used_are_no_better_than_none() -> None:
    _, features = write_grids(LINES)
    with (
        Reranker(GridModel(), features, fingerprint=token_gallery.FINGERPRINT) as reranker,
        asked(JobServicer(reranker=reranker, spoil=_drop_scores)) as client,
    ):
        remote = RemoteReranker(client, fingerprint=token_gallery.FINGERPRINT, timeout_s=5.0)
        with pytest.raises(ServiceUnavailable, match="gave an answer that cannot be used: probabilities"):
            remote.rerank(GridModel().encode_terms([Term(text="coffee")]), ["a"])


class CountingEncoder:
    """Stores nothing; remembers how many files came at once."""

    def __init__(self) -> None:
        self.parts: list[int] = []

    def encode_and_store(self, files: Sequence[EncodedFile]) -> list[StoredImage | ImageError]:
        self.parts.append(len(files))
        return [self._store(file) for file in files]

    def _store(self, file: EncodedFile) -> StoredImage | ImageError:
        if not file.content:
            return ImageUnreadable("the file is empty")
        record = ImageRecord(
            image_id=file.image_id or "hash", content_hash="h", names=(), width=1, height=1, instance_count=0
        )
        return StoredImage(record=record, vectors=np.eye(1, word_gallery.WIDTH, dtype=np.float32))


def test_files_are_sent_in_parts_that_a_request_can_hold_and_told_in_order() -> None:
    encoder = CountingEncoder()
    files = [EncodedFile(content=b"x" * (index % 7), image_id=f"i{index}") for index in range(150)]
    with asked(JobServicer(images=encoder)) as client:
        found = RemoteImageEncoder(client, word_gallery.CARD, timeout_s=10.0).encode_and_store(files)
    assert encoder.parts == [64, 64, 22]
    for file, one in zip(files, found, strict=True):
        if file.content:
            assert isinstance(one, StoredImage)
            assert one.record.image_id == file.image_id
        else:
            assert isinstance(one, ImageUnreadable)


def test_large_files_share_a_request_only_up_to_its_bound() -> None:
    encoder = CountingEncoder()
    large = EncodedFile(content=bytes(20 * 2**20))
    with asked(JobServicer(images=encoder)) as client:
        found = RemoteImageEncoder(client, word_gallery.CARD, timeout_s=20.0).encode_and_store([large, large])
    assert encoder.parts == [1, 1]
    assert len(found) == 2


def test_no_files_are_no_request() -> None:
    with asked(JobServicer()) as client:
        assert RemoteImageEncoder(client, word_gallery.CARD, timeout_s=5.0).encode_and_store([]) == []
