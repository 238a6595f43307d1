"""Both clients against a gateway that listens."""

from __future__ import annotations

import asyncio
import inspect
import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from fakes.gateways import PhotoWords, Served, make_engine, make_gateway, make_photo, other_card, served, write_keys
from PIL import Image

from glyphseek.client import AsyncClient, Client, ClientSettings, NewImage
from glyphseek.errors import (
    DeadlineExceeded,
    GalleryNotFound,
    ImageNotFound,
    ImageUnreadable,
    ImageUnsupported,
    Overloaded,
    PermissionDenied,
    QueryError,
    ServiceUnavailable,
    SettingError,
    Unauthenticated,
)
from glyphseek.metadata import Metadata
from glyphseek_gateway.keys import open_keys


def url_of(running: Served) -> str:
    return f"http://127.0.0.1:{running.doors.http_port}"


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with served(
        make_gateway(
            engines=lambda features: [
                make_engine(PhotoWords(), features),
                make_engine(PhotoWords(other_card("other", "b")), features),
            ]
        )
    ) as running:
        yield running


@pytest.fixture(scope="module")
def client(running: Served) -> Iterator[Client]:
    with Client(url_of(running), collection="signs") as client:
        client.create_collection("signs")
        photos = [
            NewImage(
                content=make_photo(red),
                name=f"w{red}.png",
                image_id=f"i{red}",
                metadata={"city": "Oslo" if red % 2 else "Bergen", "year": 2000.0 + red},
            )
            for red in range(1, 31)
        ]
        assert [one.outcome for one in client.add_images(photos)] == ["added"] * 30
        yield client


def test_a_search_gives_hits_with_all_that_is_known_of_them(client: Client) -> None:
    page = client.search("w7")
    best = page.hits[0]
    assert (best.image_id, best.names, best.stages) == ("i7", ("w7.png",), ("recall", "match"))
    assert best.record is not None
    assert best.record.metadata == Metadata({"city": "Oslo", "year": 2007.0})
    assert best.matches[0].term == "w7"
    assert best.matches[0].box is not None
    assert page.confident
    assert page.degraded == ()
    assert len(page.model) == 32
    assert page.timings.total_ms > 0


def test_filters_and_page_sizes_are_passed_on(client: Client) -> None:
    page = client.search("w7", filter='city == "Bergen" and year < 2005', page_size=1)
    assert [hit.image_id for hit in page.hits] in (["i2"], ["i4"])


def test_pages_go_on_to_the_last_hit_without_one_twice(client: Client) -> None:
    whole = [hit.image_id for hit in client.search("w*", page_size=100).hits]
    first = client.search("w*", page_size=7)
    second = client.search("w*", page_size=7, page_token=first.next_page_token)
    assert [hit.image_id for hit in (*first.hits, *second.hits)] == whole[:14]
    assert [hit.image_id for hit in client.iterate_hits("w*")] == whole


def test_several_queries_are_answered_each_for_itself(client: Client) -> None:
    good, bad = client.search_batch(["w3", '"'])
    assert not isinstance(good, Exception)
    assert good.hits[0].image_id == "i3"
    assert isinstance(bad, QueryError)


def test_one_image_is_looked_at_and_pictured(client: Client) -> None:
    assert client.look_at("i5", "w5").hit.score > 0.5
    picture = Image.open(io.BytesIO(client.get_picture("i5", "w5", width=400)))
    assert (picture.format, picture.width) == ("PNG", 400)


def test_images_are_read_listed_and_removed(client: Client) -> None:
    (added,) = client.add_images([NewImage(content=make_photo(99), name="extra.png")])
    assert client.get_image(added.image_id).names == ("extra.png",)
    page = client.list_images(page_size=20)
    rest = client.list_images(page_size=20, page_token=page.next_page_token)
    ids = [one.image_id for one in (*page.images, *rest.images)]
    assert ids == sorted(ids)
    assert added.image_id in ids
    client.delete_image(added.image_id)
    with pytest.raises(ImageNotFound, match=added.image_id):
        client.get_image(added.image_id)


def test_a_photo_that_cannot_be_read_is_told_in_its_own_result(client: Client) -> None:
    seen: list[str] = []
    good, bad = client.add_images(
        [NewImage(content=make_photo(1), name="same.png", image_id="i1"), NewImage(content=b"no photo", name="x.txt")],
        on_added=lambda one: seen.append(one.name),
    )
    assert good.outcome in ("updated", "unchanged")
    assert (bad.name, bad.outcome, type(bad.error)) == ("x.txt", "refused", ImageUnsupported)
    assert seen == ["same.png", "x.txt"]


def test_files_are_added_under_their_paths(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "w55.png"
    path.write_bytes(make_photo(55))
    (added,) = client.add_files([path], metadata={"city": "Rome"})
    assert client.get_image(added.image_id).names == (str(path),)
    client.delete_image(added.image_id)
    with pytest.raises(ImageUnreadable, match=r"gone\.png"):
        client.add_files([tmp_path / "gone.png"])


def test_uploads_are_cut_into_requests_of_the_size_that_is_set(running: Served, client: Client) -> None:
    settings = ClientSettings(url=url_of(running), collection="signs", upload_images=2)
    with Client(settings.url, settings=settings) as careful:
        again = [NewImage(content=make_photo(red), name=f"w{red}.png", image_id=f"i{red}") for red in range(1, 6)]
        assert [one.outcome for one in careful.add_images(again)] == ["unchanged"] * 5


def test_collections_are_made_switched_and_dropped(client: Client) -> None:
    client.create_collection("two")
    both = client.create_collection("two", model="other")
    assert [one.model_name for one in both.generations if not one.is_current] == ["other"]
    assert client.switch_alias("other", collection="two").generations[0].model_name == "other"
    client.drop_collection(collection="two", all_generations=True)
    assert "two" not in [one.name for one in client.list_collections()]
    with pytest.raises(GalleryNotFound, match="two"):
        client.search("w1", collection="two")


def test_the_server_says_whether_it_is_ready(client: Client) -> None:
    assert client.check_ready()["is_ready"] is True


def test_errors_are_those_that_the_server_raised(client: Client) -> None:
    with pytest.raises(QueryError):
        client.search('"unclosed')
    with pytest.raises(SettingError, match="page_size is 101"):
        client.search("w1", page_size=101)
    with pytest.raises(ImageNotFound, match="nobody"):
        client.look_at("nobody", "w1")


def test_keys_are_asked_for_checked_and_never_shown(tmp_path: Path) -> None:
    keys = open_keys(str(write_keys(tmp_path / "keys.json", {"reader": ["read"]})))
    with served(make_gateway(keys=keys)) as running:
        with Client(url_of(running)) as nobody, pytest.raises(Unauthenticated):
            nobody.list_collections()
        with Client(url_of(running), key="secret-of-reader") as reader:
            assert reader.list_collections() == ()
            with pytest.raises(PermissionDenied):
                reader.create_collection("new")
        assert "secret" not in repr(ClientSettings(url=url_of(running), key="secret-of-reader"))


def test_the_asynchronous_client_answers_the_same(running: Served, client: Client) -> None:
    async def ask() -> None:
        async with AsyncClient(url_of(running), collection="signs") as other:
            pages = await asyncio.gather(*(other.search(f"w{red}") for red in range(1, 11)))
            assert [page.hits[0].image_id for page in pages] == [f"i{red}" for red in range(1, 11)]
            assert pages[0].hits == client.search("w1").hits
            assert [hit.image_id async for hit in other.iterate_hits("w*")]
            (added,) = await other.add_images([NewImage(content=make_photo(77), name="a.png")])
            await other.delete_image(added.image_id)
            with pytest.raises(QueryError):
                await other.search('"unclosed')

    asyncio.run(ask())


def test_both_clients_can_do_the_same() -> None:
    def describe(kind: type) -> dict[str, list[str]]:
        methods = {name: one for name, one in vars(kind).items() if inspect.isfunction(one) and name[0] != "_"}
        return {name: list(inspect.signature(one).parameters) for name, one in methods.items()}

    waiting, awaiting = describe(Client), describe(AsyncClient)
    del waiting["close"], awaiting["aclose"]
    assert waiting == awaiting


class Refusing(BaseHTTPRequestHandler):
    """Refuses as an overloaded gateway does, `refusals` times; then it is well."""

    refusals = 0
    seen: list[str]

    def do_GET(self) -> None:
        type(self).seen.append(self.headers["X-Request-Id"])
        is_refused = len(type(self).seen) <= type(self).refusals
        body = (
            b'{"type": "urn:glyphseek:problem:Overloaded", "detail": "too much", "retry_after_s": 0.05}'
            if is_refused
            else b'{"collections": []}'
        )
        self.send_response(429 if is_refused else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def refusing() -> Iterator[HTTPServer]:
    Refusing.seen = []
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_with_too_much_to_do_is_asked_again_when_it_said(refusing: HTTPServer) -> None:
    Refusing.refusals = 2
    with Client(f"http://127.0.0.1:{refusing.server_port}") as client:
        assert client.list_collections() == ()
    assert len(Refusing.seen) == 3
    assert len(set(Refusing.seen)) == 1


def test_a_server_that_goes_on_refusing_is_left_after_the_attempts(refusing: HTTPServer) -> None:
    Refusing.refusals = 100
    settings = ClientSettings(url=f"http://127.0.0.1:{refusing.server_port}", attempts=2)
    with Client(settings.url, settings=settings) as client, pytest.raises(Overloaded, match="too much"):
        client.list_collections()
    assert len(Refusing.seen) == 2


def test_a_server_that_is_not_there_is_named() -> None:
    settings = ClientSettings(url="http://127.0.0.1:1", attempts=1)
    with Client(settings.url, settings=settings) as client, pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1"):
        client.list_collections()


def test_a_deadline_that_is_too_short_is_an_error_and_not_a_half_answer(running: Served) -> None:
    settings = ClientSettings(url=url_of(running), collection="signs", timeout_s=0.001)
    with Client(settings.url, settings=settings) as client, pytest.raises((DeadlineExceeded, ServiceUnavailable)):
        [client.search("w*") for _ in range(20)]


@pytest.mark.parametrize("url", ["gateway:8000", "ftp://gateway", "http://user:secret@gateway"])
def test_addresses_of_another_form_are_refused_without_repeating_a_password(url: str) -> None:
    with pytest.raises(SettingError, match="http://host:port") as caught:
        ClientSettings(url=url)
    assert "secret" not in str(caught.value)


def test_impossible_settings_are_refused_with_value_and_limit() -> None:
    good = ClientSettings(url="http://gateway:8000")
    with pytest.raises(SettingError, match="attempts is 0, it must be at least 1"):
        replace(good, attempts=0)
    with pytest.raises(SettingError, match="no collection is named"):
        good.collection_or(None)
