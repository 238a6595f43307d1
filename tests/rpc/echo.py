"""A servicer that does what the request's `model` says, for tests of what is around servicers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from queue import SimpleQueue

from fakes.serving import Offer

from glyphseek.api.v1 import ingest_service_pb2, reranker_service_pb2, reranker_service_pb2_grpc
from glyphseek.errors import Overloaded, QueryError
from glyphseek.metrics import Metrics
from glyphseek.rpc.calls import Calls, GrpcContext, translated, translated_stream
from glyphseek.rpc.context import CallContext, current_call

Request = reranker_service_pb2.RerankRequest
Response = reranker_service_pb2.RerankResponse


class EchoServicer:
    """Answers with the request's image ids; `seen` are the contexts of the calls, in order."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.calls = Calls("echo", metrics=metrics)
        self.seen: list[CallContext] = []
        self.ended = threading.Event()
        self.open = asyncio.Event()

    @translated
    async def Rerank(self, request: Request, grpc_context: GrpcContext) -> Response:
        call = current_call()
        assert call is not None
        self.seen.append(replace(call))
        try:
            await self._do(request.model)
        finally:
            self.ended.set()
        return Response(image_ids=request.image_ids)

    async def _do(self, model: str) -> None:
        match model:
            case "query":
                raise QueryError("no closing quote: größer")
            case "overload":
                raise Overloaded("too much", retry_after_s=2.5)
            case "bug":
                raise ValueError("password of the store")
            case "timeout":
                raise TimeoutError("password of the store")
            case "slow":
                await asyncio.sleep(60)
            case "wait":
                await self.open.wait()
            case _:
                pass

    def offer(self) -> Offer:
        service = reranker_service_pb2.DESCRIPTOR.services_by_name["RerankerService"]
        return service, self, reranker_service_pb2_grpc.add_RerankerServiceServicer_to_server


class StreamServicer:
    """Answers each image with its id until one is called `bug` or `query`; `large` gets an answer of 8 MiB.

    `ended` has the request id of every call that is over, as it is known at that moment.
    """

    def __init__(self, calls: Calls | None = None) -> None:
        self.calls = calls or Calls("stream")
        self.ended: SimpleQueue[str] = SimpleQueue()

    @translated_stream
    async def AddImages(
        self, request: AsyncIterator[ingest_service_pb2.AddImagesRequest], grpc_context: GrpcContext
    ) -> AsyncGenerator[ingest_service_pb2.AddImagesResponse]:
        try:
            async for one in request:
                if one.image_id == "bug":
                    raise ValueError("password of the store")
                if one.image_id == "query":
                    raise QueryError("not this one")
                padding = "x" * (8 * 2**20 if one.image_id == "large" else 0)
                yield ingest_service_pb2.AddImagesResponse(image_id=one.image_id, failure_message=padding)
        finally:
            call = current_call()
            self.ended.put("" if call is None else call.request_id)
