from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpc.codec.values import FINITE, PROPERTY, RECORDS, TERM_MATCHES, TEXTS

from glyphseek.api.v1 import search_service_pb2 as pb
from glyphseek.errors import InputError
from glyphseek.ranking import TermMatch
from glyphseek.rpc.codec import decode_hit, decode_search_response, encode_degradations, encode_hit, encode_timings
from glyphseek.search import Degradation, Hit, SearchResult, Timings
from glyphseek.search.result import Stage
from glyphseek.types import ImageRecord

STAGES: st.SearchStrategy[Stage] = st.sampled_from(get_args(Stage))


def _show(record: ImageRecord, score: float, stages: list[Stage], matches: list[TermMatch]) -> Hit:
    return Hit(
        image_id=record.image_id,
        names=record.names,
        width=record.width,
        height=record.height,
        score=score,
        stages=tuple(stages),
        matches=tuple(matches),
        record=record,
    )


HITS = st.builds(
    _show,
    record=RECORDS,
    score=st.floats(0, 1),
    stages=st.lists(STAGES, max_size=3),
    matches=st.lists(TERM_MATCHES, max_size=3),
)
RESULTS = st.builds(
    SearchResult,
    query=TEXTS,
    hits=st.lists(HITS, max_size=3).map(tuple),
    confident=st.booleans(),
    degraded=st.lists(st.builds(Degradation, stage=STAGES, reason=TEXTS, coverage=st.floats(0, 1))).map(tuple),
    timings=st.builds(Timings, encode_ms=FINITE, recall_ms=FINITE, fetch_ms=FINITE, rerank_ms=FINITE, match_ms=FINITE),
)


@PROPERTY
@given(result=RESULTS)
def test_an_answer_comes_back_as_it_was(result: SearchResult) -> None:
    response = pb.SearchResponse(
        query=result.query,
        hits=map(encode_hit, result.hits),
        confident=result.confident,
        degraded=encode_degradations(result.degraded),
        timings=encode_timings(result.timings),
    )
    found = decode_search_response(pb.SearchResponse.FromString(response.SerializeToString()))
    assert found == result
    assert [hit.record for hit in found.hits] == [hit.record for hit in result.hits]


def _hit(**changes: object) -> Hit:
    parts = {
        "image_id": "a",
        "names": ("a.jpg",),
        "width": 4,
        "height": 3,
        "score": 0.5,
        "stages": ("recall",),
        "matches": (),
    }
    return Hit(**{**parts, **changes})  # pyright: ignore[reportArgumentType]


def test_attention_comes_back_exactly() -> None:
    map_HW = np.random.default_rng(0).random((3, 5), dtype=np.float32)
    found = decode_hit(encode_hit(_hit(attention={"coffee": map_HW})))
    assert found.attention is not None
    np.testing.assert_array_equal(found.attention["coffee"], map_HW)
    assert decode_hit(encode_hit(_hit())).attention is None


def test_a_hit_without_its_record_shows_what_it_knows() -> None:
    record = decode_hit(encode_hit(_hit())).record
    assert record == ImageRecord(image_id="a", content_hash="", names=("a.jpg",), width=4, height=3, instance_count=0)


def test_an_unknown_stage_is_refused() -> None:
    message = encode_hit(_hit())
    message.stages.append("guess")
    with pytest.raises(InputError, match="'guess' is no stage"):
        decode_hit(message)
