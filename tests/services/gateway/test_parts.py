"""Photos that come as addresses: read in parts whose bytes are bounded, and told in the order of the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from fakes.gateways import make_gateway, make_photo, served
from hypothesis import given
from hypothesis import strategies as st

from glyphseek.api.v1 import ingest_service_pb2 as ingest
from glyphseek.errors import ImageNotFound, ImageTooLarge, InputError, StoreError
from glyphseek.indexing import IntakeItem
from glyphseek_gateway.asks import NewImage
from glyphseek_gateway.gateway import GatewaySettings
from glyphseek_gateway.limits import Limits
from glyphseek_gateway.parts import Photos


class Shelf:
    """Photos by address; it notes which were read together, and what `look` says at that time."""

    def __init__(self, photos: Mapping[str, bytes], look: Callable[[], object] = lambda: None) -> None:
        self._photos = photos
        self.look = look
        self.read_together: list[list[str]] = []
        self.seen: list[object] = []

    def measure(self, uris: Sequence[str], *, max_bytes: int) -> list[int | InputError | StoreError]:
        sizes = [len(self._photos.get(uri, b"")) for uri in uris]
        return [
            ImageTooLarge(f"{size} bytes; the limit is {max_bytes}") if size > max_bytes else size for size in sizes
        ]

    def read(self, uris: Sequence[str], *, max_bytes: int) -> list[bytes | InputError | StoreError]:
        self.read_together.append(list(uris))
        self.seen.append(self.look())
        return [self._photos.get(uri) or ImageNotFound(f"there is no {uri}") for uri in uris]


@given(sizes=st.lists(st.integers(0, 60), max_size=20), by_address=st.lists(st.booleans(), min_size=20, max_size=20))
def test_parts_hold_all_photos_in_their_order_and_no_more_bytes_than_the_bound(
    sizes: list[int], by_address: list[bool]
) -> None:
    limits = Limits(max_image_bytes=50, max_upload_bytes=100)
    contents = [bytes([place]) * size for place, size in enumerate(sizes)]
    shelf = Shelf({f"s3://b/{place}": content for place, content in enumerate(contents)})
    images = [
        NewImage(uri=f"s3://b/{place}") if by_address[place] else NewImage(content=content)
        for place, content in enumerate(contents)
    ]
    photos = Photos(shelf, limits)
    found: list[object] = []
    for part in photos.split(images):
        read = photos.read(part)
        assert sum(len(one.content) for one in read if isinstance(one, IntakeItem)) <= 100
        found += [one.content if isinstance(one, IntakeItem) else type(one) for one in read]
    assert found == [
        ImageTooLarge if len(content) > 50 else ImageNotFound if by_address[place] and not content else content
        for place, content in enumerate(contents)
    ]


def test_what_is_at_fault_is_not_read() -> None:
    shelf = Shelf({"s3://b/1": b"photo"})
    photos = Photos(shelf, Limits())
    fault = InputError("the metadata has 33 entries, the limit is 32")
    (part,) = photos.split([NewImage(uri="s3://b/1", fault=fault)])
    assert photos.read(part) == [fault]
    assert shelf.read_together == []


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_a_part_is_committed_before_the_next_one_is_read(transport: str) -> None:
    uris = [f"s3://b/{place}" for place in range(7)]
    shelf = Shelf({uri: make_photo(place) for place, uri in enumerate(uris) if place != 3})
    largest = max(len(make_photo(place)) for place in range(7))
    limits = Limits(max_image_bytes=largest, max_upload_bytes=2 * largest)
    with served(make_gateway(settings=GatewaySettings(limits=limits), source=shelf)) as running:
        running.http.post("/v1/collections", json={"name": "signs"}).raise_for_status()
        shelf.look = lambda: len(running.http.get("/v1/collections/signs/images").json()["images"])
        if transport == "http":
            body = {"images": [{"uri": uri} for uri in uris]}
            answer = running.http.post("/v1/collections/signs/images", json=body)
            outcomes = [one["outcome"] for one in answer.json()["images"]]
        else:
            requests = [ingest.AddImagesRequest(collection="signs", uri=uri) for uri in uris]
            answers = list(running.ingest.AddImages(iter(requests), timeout=30))
            outcomes = [ingest.AddImagesResponse.Outcome.Name(one.outcome)[8:].lower() for one in answers]
    assert outcomes == ["added"] * 3 + ["refused"] + ["added"] * 3
    assert [uri for part in shelf.read_together for uri in part] == uris
    assert len(shelf.read_together) >= 3
    assert all(len(part) <= 3 for part in shelf.read_together)
    read_before = [sum(map(len, shelf.read_together[:place])) for place in range(len(shelf.read_together))]
    assert shelf.seen == [count - (count > 3) for count in read_before]
