"""The application over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from itertools import groupby
from typing import TypeVar, cast

from glyphseek.api.v1 import ingest_service_pb2 as ingest
from glyphseek.api.v1 import search_service_pb2 as search
from glyphseek.errors import DeadlineExceeded
from glyphseek.logs import note_caller
from glyphseek.rpc import codec
from glyphseek.rpc.calls import Calls, GrpcContext, translated, translated_stream
from glyphseek.rpc.context import time_left
from glyphseek_gateway import grpc_messages as messages
from glyphseek_gateway.application import Application
from glyphseek_gateway.keys import Caller, Keys, secret_of

T = TypeVar("T")

_GATHER_S = 0.02  # how long photos that arrive together are waited for


class _Door:
    """What both services share: who asks, and what answers."""

    def __init__(self, application: Application, keys: Keys, calls: Calls) -> None:
        self.calls = calls
        self._application = application
        self._keys = keys

    def _identify(self, grpc_context: GrpcContext) -> Caller:
        """Return who asks. Raises Unauthenticated."""
        note_caller("")
        sent = {key.lower(): value for key, value in grpc_context.invocation_metadata() or () if isinstance(value, str)}
        caller = self._keys.identify(secret_of(sent))
        note_caller(caller.name)
        return caller


class SearchServicer(_Door):
    """Finds images; see search_service.proto."""

    @translated
    async def Search(self, request: search.SearchRequest, grpc_context: GrpcContext) -> search.SearchResponse:
        """Answer one query."""
        caller = self._identify(grpc_context)
        return messages.write_answer(await self._application.search(caller, messages.read_search(request)))

    @translated
    async def BatchSearch(
        self, request: search.BatchSearchRequest, grpc_context: GrpcContext
    ) -> search.BatchSearchResponse:
        """Answer several queries."""
        caller = self._identify(grpc_context)
        asks = [messages.read_search(one) for one in request.searches]
        return messages.write_batch(await self._application.search_batch(caller, asks))

    @translated
    async def GetHit(self, request: search.GetHitRequest, grpc_context: GrpcContext) -> search.GetHitResponse:
        """Return one image as it answers a query."""
        caller = self._identify(grpc_context)
        return messages.write_hit_answer(await self._application.look_at(caller, messages.read_hit_ask(request)))


class IngestServicer(_Door):
    """Adds and removes images and looks after collections; see ingest_service.proto."""

    @translated_stream
    async def AddImages(
        self, requests: AsyncIterator[ingest.AddImagesRequest], grpc_context: GrpcContext
    ) -> AsyncGenerator[ingest.AddImagesResponse]:
        """Add photos while they arrive; those that arrive together are encoded together."""
        caller = self._identify(grpc_context)
        limits = self._application.limits
        count = 0
        with self._application.stream(caller) as place:
            arrived = gather_arrivals(
                requests,
                most=limits.max_stream_images,
                most_bytes=limits.max_image_bytes,
                wait_s=_GATHER_S,
                idle_s=limits.upload_idle_s,
            )
            async with aclosing(arrived):
                async for batch in arrived:
                    for (collection, model), group in groupby(batch, key=lambda one: (one.collection, one.model)):
                        part = list(group)
                        images = [messages.read_new_image(one) for one in part]
                        added = await self._application.add_images(place, collection, images, model=model)
                        for request, one in zip(part, added, strict=True):
                            yield messages.write_added(request.request_key or str(count), one)
                            count += 1

    @translated
    async def DeleteImages(
        self, request: ingest.DeleteImagesRequest, grpc_context: GrpcContext
    ) -> ingest.DeleteImagesResponse:
        """Remove images."""
        caller = self._identify(grpc_context)
        removal = await self._application.delete_images(
            caller, request.collection, list(request.image_ids), model=request.model
        )
        return messages.write_removal(removal)

    @translated
    async def GetImage(self, request: ingest.GetImageRequest, grpc_context: GrpcContext) -> ingest.GetImageResponse:
        """Return what is known of one image."""
        caller = self._identify(grpc_context)
        record = await self._application.get_image(caller, request.collection, request.image_id)
        return ingest.GetImageResponse(image=codec.encode_record(record))

    @translated
    async def ListImages(
        self, request: ingest.ListImagesRequest, grpc_context: GrpcContext
    ) -> ingest.ListImagesResponse:
        """Return a page of images."""
        caller = self._identify(grpc_context)
        page = await self._application.list_images(
            caller,
            request.collection,
            page_size=request.page_size if request.HasField("page_size") else None,
            page_token=request.page_token,
        )
        return messages.write_images(page)

    @translated
    async def CreateCollection(
        self, request: ingest.CreateCollectionRequest, grpc_context: GrpcContext
    ) -> ingest.CreateCollectionResponse:
        """Make a collection or a generation."""
        caller = self._identify(grpc_context)
        made = await self._application.create_collection(caller, request.collection, model=request.model)
        return ingest.CreateCollectionResponse(collection=messages.write_collection(made))

    @translated
    async def ListCollections(
        self, request: ingest.ListCollectionsRequest, grpc_context: GrpcContext
    ) -> ingest.ListCollectionsResponse:
        """Return all collections."""
        found = await self._application.list_collections(self._identify(grpc_context))
        return ingest.ListCollectionsResponse(collections=[messages.write_collection(one) for one in found])

    @translated
    async def SwitchAlias(
        self, request: ingest.SwitchAliasRequest, grpc_context: GrpcContext
    ) -> ingest.SwitchAliasResponse:
        """Make another generation the current one."""
        caller = self._identify(grpc_context)
        found = await self._application.switch_alias(caller, request.collection, request.model)
        return ingest.SwitchAliasResponse(collection=messages.write_collection(found))

    @translated
    async def DropCollection(
        self, request: ingest.DropCollectionRequest, grpc_context: GrpcContext
    ) -> ingest.DropCollectionResponse:
        """Remove a generation or a collection."""
        caller = self._identify(grpc_context)
        await self._application.drop_collection(
            caller, request.collection, model=request.model, everything=request.all_generations
        )
        return ingest.DropCollectionResponse()


async def gather_arrivals(
    requests: AsyncIterator[ingest.AddImagesRequest], *, most: int, most_bytes: int, wait_s: float, idle_s: float
) -> AsyncGenerator[list[ingest.AddImagesRequest]]:
    """Yield what arrives in batches: the first of each is waited for up to `idle_s`, the others only for `wait_s` each.

    Raises DeadlineExceeded for a stream that is silent for longer, or past the deadline of the current call.

    A batch has at most `most` photos, and ends with the one that makes it `most_bytes`. One more may be read ahead: so
    what a stream holds in memory is bounded, and a sender that is too fast is held back by gRPC. Photos that come as
    addresses have no bytes yet; they are read in parts, see `Ingesting.add`.
    """
    stream = aiter(requests)
    coming: asyncio.Future[ingest.AddImagesRequest | None] = asyncio.ensure_future(_next(stream))
    try:
        while (first := await _arrive(coming, idle_s)) is not None:
            batch, size = [first], len(first.content)
            coming = asyncio.ensure_future(_next(stream))
            while len(batch) < most and size < most_bytes:
                await asyncio.wait({coming}, timeout=wait_s)
                if not coming.done() or (one := coming.result()) is None:
                    break
                batch.append(one)
                size += len(one.content)
                coming = asyncio.ensure_future(_next(stream))
            yield batch
    finally:
        if not coming.cancel() and not coming.cancelled():
            coming.exception()  # nobody waits for it any more


async def _arrive(coming: asyncio.Future[T], idle_s: float) -> T:
    """Return what comes. Raises DeadlineExceeded when nothing does within `idle_s`, or the time of the call."""
    patience_s = time_left(idle_s)
    await asyncio.wait({coming}, timeout=patience_s)
    if coming.done():
        return coming.result()
    if patience_s < idle_s:
        raise DeadlineExceeded("the time that the caller gave is over")
    raise DeadlineExceeded(f"no photo arrived for {idle_s:g} s, so the stream was ended; send the next ones in another")


def _next(stream: AsyncIterator[T]) -> Awaitable[T | None]:
    return cast("Awaitable[T | None]", anext(stream, None))
