"""Protobuf to the job of matching and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from glyphseek.api.v1 import matcher_service_pb2 as pb
from glyphseek.matching import Matcher
from glyphseek.metrics import Metrics
from glyphseek.rpc import codec
from glyphseek.rpc.calls import Calls, GrpcContext, translated
from glyphseek.serving.counting import note_fetching
from glyphseek.serving.service import choose_job
from glyphseek.serving.working import Work


class MatcherServicer:
    """Answers from the matcher of the model that is asked for, in a thread of `work`."""

    def __init__(
        self, matchers: Mapping[str, Matcher], *, work: Work, calls: Calls, metrics: Metrics, service: str
    ) -> None:
        """`matchers` are by fingerprint; `service` is the name in metrics."""
        self.calls = calls
        self._matchers = matchers
        self._work = work
        self._metrics = metrics
        self._service = service

    @translated
    async def Match(self, request: pb.MatchRequest, grpc_context: GrpcContext) -> pb.MatchResponse:
        """Return how well images answer a query."""
        return await self._work.run(partial(self._match, request))

    def _match(self, request: pb.MatchRequest) -> pb.MatchResponse:
        matcher = choose_job(self._matchers, request.model)
        asked = codec.decode_match_request(request)
        found = matcher.match(asked.plan, asked.terms, asked.images, top=asked.top, least_score=asked.least_score)
        note_fetching(self._metrics, self._service, "match", found)
        return codec.encode_matching(found)
