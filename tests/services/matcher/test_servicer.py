import pytest
from fakes.running import running
from fakes.token_gallery import CARD as GRID_CARD
from fakes.word_gallery import CARD, FINGERPRINT, WordModel, write_gallery

from glyphseek.errors import InputError, ModelNotFound
from glyphseek.matching import MatchCandidate, Matcher
from glyphseek.metrics import Metrics
from glyphseek.queries import parse_query
from glyphseek.ranking import QueryPlan, plan_query
from glyphseek.rpc.remote import RemoteMatcher
from glyphseek_matcher.assembling import build_service

pytestmark = pytest.mark.timeout(60)
LINES = {"a": "bank of america", "b": "america bank", "c": "coffee open", "d": "coffee closed"}
QUERIES = ["coffee", '"bank of america"', "coffee NOT closed", "bank OR open", "nothing"]


def _plan(query: str) -> QueryPlan:
    return plan_query(parse_query(query), max_term_characters=15)


def _candidates(*more: str) -> list[MatchCandidate]:
    return [MatchCandidate(image_id=one, aspect=1.5) for one in (*LINES, *more)]


def test_it_answers_as_the_same_job_in_process_and_counts_what_it_fetched() -> None:
    _, features = write_gallery(LINES)
    matcher = Matcher(features, card=CARD)
    metrics = Metrics()
    with running(build_service([CARD, GRID_CARD], features, metrics, cache_bytes=2**20)) as client:
        remote = RemoteMatcher(client, fingerprint=FINGERPRINT, timeout_s=10.0)
        for query in QUERIES:
            plan = _plan(query)
            terms = WordModel().encode_terms(plan.terms)
            expected = matcher.match(plan, terms, _candidates("gone"), top=3)
            found = remote.match(plan, terms, _candidates("gone"), top=3)
            assert found.images == expected.images
            assert (found.unusable_ids, found.coverage) == (("gone",), 0.8)
    text = metrics.expose().decode()
    assert 'glyphseek_blob_faults_total{reason="missing",service="matcher"} 5.0' in text
    assert 'glyphseek_cache_hits_total{service="matcher"} 16.0' in text
    assert 'glyphseek_inference_seconds_count{operation="match",service="matcher"} 5.0' in text


def test_models_without_instances_are_not_served() -> None:
    _, features = write_gallery(LINES)
    plan = _plan("coffee")
    with running(build_service([CARD, GRID_CARD], features, Metrics(), cache_bytes=0)) as client:
        remote = RemoteMatcher(client, fingerprint=GRID_CARD.fingerprint, timeout_s=5.0)
        with pytest.raises(ModelNotFound, match=f"known: {FINGERPRINT}$"):
            remote.match(plan, WordModel().encode_terms(plan.terms), _candidates())


def test_terms_that_are_not_of_the_plan_are_refused() -> None:
    _, features = write_gallery(LINES)
    plan = _plan("coffee AND open")
    with running(build_service([CARD], features, Metrics(), cache_bytes=0)) as client:
        remote = RemoteMatcher(client, fingerprint=FINGERPRINT, timeout_s=5.0)
        with pytest.raises(InputError, match="1 encoded terms for a query of 2"):
            remote.match(plan, WordModel().encode_terms(plan.terms[:1]), _candidates())
