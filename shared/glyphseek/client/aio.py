"""The client that awaits its answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from glyphseek.client.exchange import Exchange, headers_of, needs_httpx
from glyphseek.client.requests import Ask, Requests, open_files
from glyphseek.client.results import AddedImage, Collection, HitView, ImagePage, NewImage, SearchPage
from glyphseek.client.settings import ClientSettings
from glyphseek.errors import GlyphseekError
from glyphseek.search import Hit
from glyphseek.types import ImageRecord, MetadataValue

T = TypeVar("T")


class AsyncClient:
    """A connection to a gateway; for one event loop. Use it as an asynchronous context manager, or `aclose` it.

    Every method raises the errors that the server raises; ServiceUnavailable or DeadlineExceeded naming its address
    when it does not answer; Overloaded when it still refuses after the attempts of the settings.
    """

    def __init__(
        self, url: str, *, collection: str = "", key: str = "", settings: ClientSettings | None = None
    ) -> None:
        """`settings` stand for all other arguments where they are given. Raises SettingError and MissingExtra."""
        try:
            import httpx
        except ModuleNotFoundError as error:
            raise needs_httpx() from error
        self._settings = settings or ClientSettings(url=url, collection=collection, key=key)
        self._requests = Requests(self._settings)
        self._http = httpx.AsyncClient(base_url=self._settings.url, headers=headers_of(self._settings))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def search(
        self,
        query: str,
        *,
        collection: str | None = None,
        page_size: int | None = None,
        page_token: str = "",
        rerank: int | None = None,
        filter: str = "",
        with_attention: bool = False,
    ) -> SearchPage:
        """Return one page of hits; None is the server's choice. `filter` is on metadata: `city == "Oslo"`."""
        return await self._ask(
            self._requests.search(
                query,
                collection=collection,
                page_size=page_size,
                page_token=page_token,
                rerank=rerank,
                filter=filter,
                with_attention=with_attention,
            )
        )

    async def iterate_hits(
        self, query: str, *, collection: str | None = None, filter: str = "", rerank: int | None = None
    ) -> AsyncIterator[Hit]:
        """Yield all hits of a query, best first, fetching page after page."""
        token = ""
        while True:
            page = await self.search(
                query, collection=collection, page_size=100, page_token=token, rerank=rerank, filter=filter
            )
            for hit in page.hits:
                yield hit
            if not (token := page.next_page_token):
                return

    async def search_batch(
        self, queries: Sequence[str], *, collection: str | None = None, page_size: int | None = None, filter: str = ""
    ) -> list[SearchPage | GlyphseekError]:
        """Return the first page of each of up to 32 queries, or why that one cannot be answered."""
        return await self._ask(
            self._requests.search_batch(queries, collection=collection, page_size=page_size, filter=filter)
        )

    async def look_at(self, image_id: str, query: str, *, collection: str | None = None) -> HitView:
        """Return one image as it answers a query. Raises ImageNotFound."""
        return await self._ask(self._requests.look_at(image_id, query, collection=collection))

    async def get_picture(
        self, image_id: str, query: str, *, collection: str | None = None, width: int = 1024
    ) -> bytes:
        """Return a PNG of where the image answers the query. Raises ImageNotFound where its bytes are not kept."""
        return await self._ask(self._requests.picture(image_id, query, collection=collection, width=width))

    async def add_images(
        self,
        images: Iterable[NewImage],
        *,
        collection: str | None = None,
        model: str = "",
        on_added: Callable[[AddedImage], None] | None = None,
    ) -> list[AddedImage]:
        """Add photos, several in a request, and return what became of each, in order. Sending one again is harmless.

        A photo that is refused is told in its own result. `model` names another generation than the current one.
        `on_added` is called with each result as soon as it is known.
        """
        added: list[AddedImage] = []
        for batch in self._requests.batches(images):
            for one in await self._ask(self._requests.add(batch, collection=collection, model=model)):
                added.append(one)
                if on_added is not None:
                    on_added(one)
        return added

    async def add_files(
        self,
        paths: Iterable[Path],
        *,
        collection: str | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
        model: str = "",
        on_added: Callable[[AddedImage], None] | None = None,
    ) -> list[AddedImage]:
        """Add files under their paths as names, all with the same metadata. Raises ImageUnreadable with the path."""
        images = open_files(paths, metadata or {})
        return await self.add_images(images, collection=collection, model=model, on_added=on_added)

    async def add_uris(
        self, uris: Sequence[str], *, collection: str | None = None, model: str = ""
    ) -> list[AddedImage]:
        """Add photos that are in a bucket which the server allows, as `s3://bucket/key`."""
        return await self._ask(self._requests.add_uris(uris, collection=collection, model=model))

    async def get_image(self, image_id: str, *, collection: str | None = None) -> ImageRecord:
        """Return what is known of an image. Raises ImageNotFound."""
        return await self._ask(self._requests.get_image(image_id, collection=collection))

    async def list_images(
        self, *, collection: str | None = None, page_size: int = 100, page_token: str = ""
    ) -> ImagePage:
        """Return the images by id, a page at a time."""
        return await self._ask(
            self._requests.list_images(collection=collection, page_size=page_size, page_token=page_token)
        )

    async def delete_image(self, image_id: str, *, collection: str | None = None) -> None:
        """Remove an image, so that no later search finds it. Raises ImageNotFound."""
        await self._ask(self._requests.delete_image(image_id, collection=collection))

    async def list_collections(self) -> tuple[Collection, ...]:
        """Return all collections by name."""
        return await self._ask(self._requests.list_collections())

    async def create_collection(self, name: str, *, model: str = "") -> Collection:
        """Make a collection, or a generation of one for another model; it stays what it is where it is there."""
        return await self._ask(self._requests.create_collection(name, model=model))

    async def switch_alias(self, model: str, *, collection: str | None = None) -> Collection:
        """Make the generation of another model the current one."""
        return await self._ask(self._requests.switch_alias(model, collection=collection))

    async def drop_collection(
        self, *, collection: str | None = None, model: str = "", all_generations: bool = False
    ) -> None:
        """Remove the generation of a model, which must not be the current one, or everything."""
        await self._ask(
            self._requests.drop_collection(collection=collection, model=model, all_generations=all_generations)
        )

    async def check_ready(self) -> Mapping[str, object]:
        """Return how the parts of the server are doing. Raises ServiceUnavailable where searches cannot be answered."""
        return await self._ask(self._requests.ready())

    async def _ask(self, ask: Ask[T]) -> T:
        """Return the answer, asking again where that may help and there is time."""
        import httpx

        exchange = Exchange(settings=self._settings, ask=ask, now_s=time.monotonic())
        while True:
            try:
                response = await self._http.request(**exchange.arguments(time.monotonic()))
                return exchange.read(response)
            except httpx.HTTPError as error:
                failure, cause = exchange.translate(error), error
            except GlyphseekError as error:
                failure, cause = error, error.__cause__
            wait_s = exchange.wait_s(failure, time.monotonic())
            if wait_s is None:
                raise failure from cause
            await asyncio.sleep(wait_s)
