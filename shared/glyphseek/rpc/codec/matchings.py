"""Queries to match with images, and how well each answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from glyphseek.api.v1 import matcher_service_pb2 as pb
from glyphseek.api.v1 import types_pb2
from glyphseek.errors import InputError
from glyphseek.matching import MatchCandidate, MatchedImage, Matching
from glyphseek.ranking import ImageMatch, QueryPlan
from glyphseek.rpc.codec.matches import decode_term_match, encode_term_match
from glyphseek.rpc.codec.rerankings import decode_faults, encode_faults
from glyphseek.rpc.codec.terms import decode_features, decode_plan, encode_features, encode_plan
from glyphseek.types import TermFeatures

MOST_IMAGES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchQuestion:
    """What a matcher is asked, as `MatchStage.match` takes it."""

    plan: QueryPlan
    terms: Sequence[TermFeatures]
    images: Sequence[MatchCandidate]
    top: int
    least_score: float


def encode_match_request(fingerprint: str, question: MatchQuestion) -> pb.MatchRequest:
    """Return the request of matches with instances of the model `fingerprint`."""
    return pb.MatchRequest(
        model=fingerprint,
        plan=encode_plan(question.plan),
        terms=[encode_features(term) for term in question.terms],
        images=[pb.Candidate(image_id=one.image_id, aspect=one.aspect) for one in question.images],
        top=question.top,
        least_score=question.least_score,
    )


def decode_match_request(request: pb.MatchRequest) -> MatchQuestion:
    """Return the question. Raises InputError past a bound, for damaged terms and impossible aspects."""
    if len(request.images) > MOST_IMAGES:
        raise InputError(f"{len(request.images)} images to match, the limit is {MOST_IMAGES}")
    if not math.isfinite(request.least_score):
        raise InputError(f"the least score is {request.least_score}, it must be a number")
    plan = decode_plan(request.plan)
    if len(request.terms) != len(plan.terms):
        raise InputError(f"{len(request.terms)} encoded terms for a query of {len(plan.terms)}")
    return MatchQuestion(
        plan=plan,
        terms=[decode_features(term) for term in request.terms],
        images=[_decode_candidate(one) for one in request.images],
        top=request.top,
        least_score=request.least_score,
    )


def encode_matching(matching: Matching) -> pb.MatchResponse:
    """Return the answer."""
    return pb.MatchResponse(
        images=[_encode_image(one) for one in matching.images],
        unusable_ids=matching.unusable_ids,
        report=types_pb2.FetchReport(
            asked=matching.asked,
            usable=matching.asked - len(matching.unusable_ids),
            faults=encode_faults(matching.faults),
            cache_hits=matching.cache_hits,
            fetched_bytes=matching.fetched_bytes,
            fetch_ms=matching.fetch_ms,
            score_ms=matching.score_ms,
        ),
    )


def decode_matching(response: pb.MatchResponse) -> Matching:
    """Return the answer."""
    report = response.report
    return Matching(
        images=tuple(_decode_image(one) for one in response.images),
        unusable_ids=tuple(response.unusable_ids),
        asked=report.asked,
        faults=decode_faults(report),
        cache_hits=report.cache_hits,
        fetched_bytes=report.fetched_bytes,
        fetch_ms=report.fetch_ms,
        score_ms=report.score_ms,
    )


def _decode_candidate(message: pb.Candidate) -> MatchCandidate:
    if not (math.isfinite(message.aspect) and message.aspect >= 0):
        raise InputError(f"the aspect of {message.image_id!r} is {message.aspect}, it must be above 0")
    return MatchCandidate(image_id=message.image_id, aspect=message.aspect or 1.0)


def _encode_image(image: MatchedImage) -> pb.ImageMatch:
    matches = [encode_term_match(one) for one in image.match.matches]
    return pb.ImageMatch(image_id=image.image_id, score=image.match.score, matches=matches)


def _decode_image(message: pb.ImageMatch) -> MatchedImage:
    matches = tuple(decode_term_match(one) for one in message.matches)
    return MatchedImage(image_id=message.image_id, match=ImageMatch(score=message.score, matches=matches))
