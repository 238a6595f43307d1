"""The requests of both clients: what is sent, and how the answer is read. Nothing here touches the network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from glyphseek.client import reading
from glyphseek.client.results import AddedImage, Collection, HitView, ImagePage, NewImage, SearchPage
from glyphseek.client.settings import ClientSettings
from glyphseek.errors import GlyphseekError, ImageUnreadable
from glyphseek.types import ImageRecord, MetadataValue

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Generic[T]):
    """One HTTP request. `read` takes the JSON of the answer, `read_bytes` what is none.

    is_safe_to_repeat: making it again changes nothing. All are but those that make collections and aliases.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    json: Mapping[str, object] | None = None
    files: Sequence[tuple[str, tuple[str, bytes]]] = ()
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    is_binary: bool = False
    is_upload: bool = False
    is_safe_to_repeat: bool = True


class Requests:
    """Makes the requests of one client."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings

    def search(
        self,
        query: str,
        *,
        collection: str | None,
        page_size: int | None,
        page_token: str,
        rerank: int | None,
        filter: str,
        with_attention: bool,
    ) -> Ask[SearchPage]:
        """Return the request for one page of hits."""
        body = {
            "query": query,
            "page_size": page_size,
            "page_token": page_token,
            "rerank": rerank,
            "filter": filter,
            "with_attention": with_attention,
        }
        return Ask(method="POST", path=f"{self._at(collection)}/search", json=body, read=reading.read_page)

    def search_batch(
        self, queries: Sequence[str], *, collection: str | None, page_size: int | None, filter: str
    ) -> Ask[list[SearchPage | GlyphseekError]]:
        """Return the request for the first pages of several searches."""
        name = self._settings.collection_or(collection)
        searches = [{"collection": name, "query": one, "page_size": page_size, "filter": filter} for one in queries]
        return Ask(method="POST", path="/v1/search:batch", json={"searches": searches}, read=reading.read_batch)

    def look_at(self, image_id: str, query: str, *, collection: str | None) -> Ask[HitView]:
        """Return the request for one image as it answers a query."""
        path = f"{self._image(image_id, collection)}/hit"
        return Ask(method="GET", path=path, query={"q": query}, read=reading.read_view)

    def picture(self, image_id: str, query: str, *, collection: str | None, width: int) -> Ask[bytes]:
        """Return the request for a PNG of where an image answers a query."""
        path = f"{self._image(image_id, collection)}/hit.png"
        return Ask(method="GET", path=path, query={"q": query, "width": str(width)}, read=bytes, is_binary=True)

    def add(self, images: Sequence[NewImage], *, collection: str | None, model: str) -> Ask[list[AddedImage]]:
        """Return the request that uploads photos."""
        details = [{"image_id": one.image_id, "name": one.name, "metadata": dict(one.metadata)} for one in images]
        names = [one.name for one in images]
        return Ask(
            method="POST",
            path=f"{self._at(collection)}/images",
            files=[("files", (one.name or "photo", one.content)) for one in images],
            form={"details": json.dumps(details), "model": model},
            read=lambda body: reading.read_added(body, names),
            is_upload=True,
        )

    def add_uris(self, uris: Sequence[str], *, collection: str | None, model: str) -> Ask[list[AddedImage]]:
        """Return the request that adds photos of an allowed bucket."""
        return Ask(
            method="POST",
            path=f"{self._at(collection)}/images",
            json={"images": [{"uri": one} for one in uris], "model": model},
            read=lambda body: reading.read_added(body, uris),
            is_upload=True,
        )

    def get_image(self, image_id: str, *, collection: str | None) -> Ask[ImageRecord]:
        """Return the request for what is known of an image."""
        return Ask(method="GET", path=self._image(image_id, collection), read=reading.read_image)

    def list_images(self, *, collection: str | None, page_size: int, page_token: str) -> Ask[ImagePage]:
        """Return the request for a page of images."""
        query = {"page_size": str(page_size), "page_token": page_token}
        return Ask(method="GET", path=f"{self._at(collection)}/images", query=query, read=reading.read_images)

    def delete_image(self, image_id: str, *, collection: str | None) -> Ask[tuple[str, ...]]:
        """Return the request that removes an image. Made again after an answer got lost, it finds none."""
        path = self._image(image_id, collection)
        return Ask(method="DELETE", path=path, read=reading.read_removed, is_safe_to_repeat=False)

    def list_collections(self) -> Ask[tuple[Collection, ...]]:
        """Return the request for all collections."""
        return Ask(method="GET", path="/v1/collections", read=reading.read_collections)

    def create_collection(self, name: str, *, model: str) -> Ask[Collection]:
        """Return the request that makes a collection, or a generation of one."""
        body = {"name": name, "model": model}
        return Ask(method="POST", path="/v1/collections", json=body, read=reading.read_collection)

    def switch_alias(self, model: str, *, collection: str | None) -> Ask[Collection]:
        """Return the request that makes another generation the current one."""
        path = f"{self._at(collection)}/alias"
        return Ask(method="PUT", path=path, json={"model": model}, read=reading.read_collection)

    def drop_collection(self, *, collection: str | None, model: str, all_generations: bool) -> Ask[None]:
        """Return the request that removes a generation, or everything."""
        query = {"model": model, "all_generations": "true" if all_generations else "false"}
        path = self._at(collection)
        return Ask(method="DELETE", path=path, query=query, read=lambda _: None, is_safe_to_repeat=False)

    def ready(self) -> Ask[Mapping[str, Any]]:
        """Return the request for how the parts of the server are doing."""
        return Ask(method="GET", path="/readyz", read=dict)

    def batches(self, images: Iterable[NewImage]) -> Iterator[list[NewImage]]:
        """Yield the photos in parts that are fit for one request each."""
        batch: list[NewImage] = []
        size = 0
        for image in images:
            is_full = len(batch) >= self._settings.upload_images
            if batch and (is_full or size + len(image.content) > self._settings.upload_bytes):
                yield batch
                batch, size = [], 0
            batch.append(image)
            size += len(image.content)
        if batch:
            yield batch

    def _at(self, collection: str | None) -> str:
        return f"/v1/collections/{quote(self._settings.collection_or(collection), safe='')}"

    def _image(self, image_id: str, collection: str | None) -> str:
        return f"{self._at(collection)}/images/{quote(image_id, safe='')}"


def open_files(paths: Iterable[Path], metadata: Mapping[str, MetadataValue]) -> Iterator[NewImage]:
    """Yield files as photos to add, named by their path. Raises ImageUnreadable with the path."""
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ImageUnreadable(f"{path} cannot be read: {error.strerror}") from error
        yield NewImage(content=content, name=str(path), metadata=metadata)
