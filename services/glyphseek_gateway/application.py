"""The gateway's one application: what both transports offer, with who may do it, its bounds and its deadlines."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

from glyphseek.indexing import Removal
from glyphseek.rpc.admission import Admission, Place
from glyphseek.rpc.context import call_bound, current_call, start_call
from glyphseek.types import ImageRecord
from glyphseek_gateway.asks import (
    AddedImage,
    BatchAnswer,
    Collection,
    HitAnswer,
    HitAsk,
    ImagePage,
    NewImage,
    SearchAnswer,
    SearchAsk,
)
from glyphseek_gateway.collecting import Collecting
from glyphseek_gateway.ingesting import Ingesting
from glyphseek_gateway.keys import Caller, Scope
from glyphseek_gateway.limits import Limits, check_within
from glyphseek_gateway.searching import Searching

T = TypeVar("T")


class Application:
    """Searches, images and collections for callers with a key. Its methods run blocking work in bounded threads.

    Every method raises PermissionDenied for a caller without the scope, Overloaded past the bounds, DeadlineExceeded
    when the time is over, and what the jobs raise.
    """

    def __init__(
        self,
        *,
        searching: Searching,
        ingesting: Ingesting,
        collecting: Collecting,
        searches: Admission,
        ingests: Admission,
        changes: Admission,
        limits: Limits,
    ) -> None:
        """searches, ingests, changes: where each kind of request runs; `changes` are of collections."""
        self.limits = limits
        self._searching = searching
        self._ingesting = ingesting
        self._collecting = collecting
        self._searches = searches
        self._ingests = ingests
        self._changes = changes

    async def search(self, caller: Caller, ask: SearchAsk) -> SearchAnswer:
        """Return one page of hits. Needs `read`."""
        caller.check(Scope.READ)
        return await self._run(self._searches, self.limits.deadline_s, partial(self._searching.search, ask))

    async def search_batch(self, caller: Caller, asks: Sequence[SearchAsk]) -> list[BatchAnswer]:
        """Return what became of each search, done one after the other within one deadline. Needs `read`."""
        caller.check(Scope.READ)
        check_within("the number of searches", len(asks), 1, self.limits.max_batch_searches)
        return await self._run(self._searches, self.limits.deadline_s, partial(self._searching.search_each, asks))

    async def look_at(self, caller: Caller, ask: HitAsk) -> HitAnswer:
        """Return one image as it answers a query. Needs `read`."""
        caller.check(Scope.READ)
        return await self._run(self._searches, self.limits.deadline_s, partial(self._searching.look_at, ask))

    async def get_image(self, caller: Caller, collection: str, image_id: str) -> ImageRecord:
        """Return what is known of an image. Raises ImageNotFound. Needs `read`."""
        caller.check(Scope.READ)
        work = partial(self._ingesting.get, collection, image_id)
        return await self._run(self._searches, self.limits.read_s, work)

    async def list_images(
        self, caller: Caller, collection: str, *, page_size: int | None = None, page_token: str = ""
    ) -> ImagePage:
        """Return a page of images, ordered by id. Needs `read`."""
        caller.check(Scope.READ)
        work = partial(self._ingesting.list, collection, page_size=page_size, page_token=page_token)
        return await self._run(self._searches, self.limits.read_s, work)

    @contextmanager
    def upload(self, caller: Caller) -> Generator[Place]:
        """Take the place of an upload before anything of it is read. Needs `write`."""
        caller.check(Scope.WRITE)
        with _bounded(self.limits.upload_s), self._ingests.place() as place:
            yield place

    @contextmanager
    def stream(self, caller: Caller) -> Generator[Place]:
        """Take the place of photos that arrive one after the other, for as long as they do. Needs `write`."""
        caller.check(Scope.WRITE)
        with self._ingests.place() as place:
            yield place

    async def add_images(
        self, place: Place, collection: str, images: Sequence[NewImage], *, model: str = ""
    ) -> list[AddedImage]:
        """Return what became of each photo, in their order; what is not refused is committed.

        In a place of `upload` or `stream`.
        """
        with _bounded(self.limits.upload_s):
            return await place.run(partial(self._ingesting.add, collection, images, model=model), deadline=_deadline())

    async def delete_images(
        self, caller: Caller, collection: str, image_ids: Sequence[str], *, model: str = ""
    ) -> Removal:
        """Remove images, so that no later search finds them. Needs `write`."""
        caller.check(Scope.WRITE)
        check_within("the number of image ids", len(image_ids), 1, self.limits.max_deleted)
        work = partial(self._ingesting.delete, collection, image_ids, model=model)
        return await self._run(self._ingests, self.limits.upload_s, work)

    async def list_collections(self, caller: Caller) -> list[Collection]:
        """Return all collections by name. Needs `read`."""
        caller.check(Scope.READ)
        return await self._run(self._searches, self.limits.read_s, self._collecting.list)

    async def create_collection(self, caller: Caller, name: str, *, model: str = "") -> Collection:
        """Make a collection, or a generation of one for another model; it stays what it is where it is there."""
        return await self._change(caller, partial(self._collecting.create, name, model))

    async def switch_alias(self, caller: Caller, name: str, model: str) -> Collection:
        """Make another generation the current one."""
        return await self._change(caller, partial(self._collecting.switch, name, model))

    async def drop_collection(self, caller: Caller, name: str, *, model: str = "", everything: bool = False) -> None:
        """Remove a generation that is not current, or everything."""
        await self._change(caller, partial(self._collecting.drop, name, model, everything=everything))

    def close(self) -> None:
        """Wait for what runs, then release the stores and the services."""
        for admission in (self._searches, self._ingests, self._changes):
            admission.close()
        self._collecting.close()

    async def _change(self, caller: Caller, work: Callable[[], T]) -> T:
        caller.check(Scope.ADMIN)
        return await self._run(self._changes, self.limits.write_s, work)

    async def _run(self, admission: Admission, most_s: float, work: Callable[[], T]) -> T:
        with _bounded(most_s), admission.place() as place:
            return await place.run(work, deadline=_deadline())


@contextmanager
def _bounded(most_s: float) -> Generator[None]:
    """Give the current call `most_s` seconds, unless it has less."""
    call = current_call() or start_call()
    ends = time.monotonic() + most_s
    deadline = ends if call.deadline is None else min(ends, call.deadline)
    with call_bound(replace(call, deadline=deadline)):
        yield


def _deadline() -> float | None:
    call = current_call()
    return None if call is None else call.deadline
