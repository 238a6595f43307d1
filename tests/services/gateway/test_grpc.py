"""The gateway over gRPC, on a real port; HTTP answers the same."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import cast

import grpc
import pytest
from fakes.gateways import Served, make_gateway, make_photo, served, write_keys
from grpc_health.v1 import health_pb2, health_pb2_grpc

from glyphseek.api.v1 import ingest_service_pb2 as ingest
from glyphseek.api.v1 import search_service_pb2 as search
from glyphseek.api.v1 import types_pb2
from glyphseek.errors import GlyphseekError
from glyphseek.logs import JsonFormatter
from glyphseek.metadata import Metadata
from glyphseek.rpc import codec
from glyphseek.rpc.wire_errors import FailedCall, decode_error
from glyphseek_gateway.keys import KeyFile

ADDED, UNCHANGED, REFUSED = (
    ingest.AddImagesResponse.OUTCOME_ADDED,
    ingest.AddImagesResponse.OUTCOME_UNCHANGED,
    ingest.AddImagesResponse.OUTCOME_REFUSED,
)


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with served(make_gateway()) as running:
        running.ingest.CreateCollection(ingest.CreateCollectionRequest(collection="signs"), timeout=10)
        answers = list(
            running.ingest.AddImages(iter([add(f"i{red}", make_photo(red)) for red in range(5)]), timeout=20)
        )
        assert [one.outcome for one in answers] == [ADDED] * 5
        yield running


def add(image_id: str, content: bytes, **fields: str) -> ingest.AddImagesRequest:
    return ingest.AddImagesRequest(
        collection="signs",
        image_id=image_id,
        content=content,
        metadata=codec.encode_metadata(Metadata({"city": "Oslo"})),
        **fields,
    )


def error_of(failed: pytest.ExceptionInfo[grpc.RpcError]) -> GlyphseekError:
    return decode_error(cast(FailedCall, failed.value), "gateway")


def test_a_search_answers_as_over_http(running: Served) -> None:
    over_grpc = running.search.Search(search.SearchRequest(collection="signs", query="w3", page_size=2), timeout=10)
    over_http = running.http.get("/v1/collections/signs/search", params={"q": "w3", "page_size": 2}).json()
    assert [(hit.image.image_id, hit.score) for hit in over_grpc.hits] == [
        (hit["image"]["image_id"], hit["score"]) for hit in over_http["hits"]
    ]
    assert codec.decode_hit(over_grpc.hits[0]).record == codec.decode_record(over_grpc.hits[0].image)
    assert over_grpc.hits[0].image.metadata["city"].text == "Oslo"
    assert over_grpc.model == over_http["model"]


def test_a_page_token_of_one_transport_is_good_for_the_other(running: Served) -> None:
    first = running.search.Search(search.SearchRequest(collection="signs", query="w1 OR w2", page_size=1), timeout=10)
    second = running.http.post(
        "/v1/collections/signs/search",
        json={"query": "w1 OR w2", "page_size": 1, "page_token": first.next_page_token},
    ).json()
    assert {first.hits[0].image.image_id, second["hits"][0]["image"]["image_id"]} == {"i1", "i2"}


def test_several_searches_are_answered_each_for_itself(running: Served) -> None:
    asked = [search.SearchRequest(collection="signs", query=query) for query in ("w1", "", "w2")]
    results = running.search.BatchSearch(search.BatchSearchRequest(searches=asked), timeout=10).results
    assert results[0].response.hits[0].image.image_id == "i1"
    assert (results[1].error.code, results[1].error.kind) == (3, "QueryError")
    assert results[2].response.hits[0].image.image_id == "i2"


def test_a_hit_comes_with_its_picture(running: Served) -> None:
    asked = search.GetHitRequest(collection="signs", query="w2", image_id="i2", with_picture=True, picture_width=200)
    answer = running.search.GetHit(asked, timeout=10)
    assert answer.picture.startswith(b"\x89PNG")
    assert answer.hit.matches[0].HasField("box")
    asked.with_picture = False
    assert running.search.GetHit(asked, timeout=10).picture == b""


def test_photos_of_a_stream_are_told_each_for_itself(running: Served) -> None:
    no_value = {"a b": types_pb2.MetadataValue()}
    requests = [
        add("", make_photo(90), request_key="first"),
        add("i1", make_photo(1)),
        add("x", b"no picture"),
        ingest.AddImagesRequest(collection="signs", content=make_photo(91), metadata=no_value),
        ingest.AddImagesRequest(collection="signs", uri="s3://b/k", request_key="last"),
    ]
    answers = {one.request_key: one for one in running.ingest.AddImages(iter(requests), timeout=20)}
    assert list(answers) == ["first", "1", "2", "3", "last"]
    assert [one.outcome for one in answers.values()] == [ADDED, UNCHANGED, REFUSED, REFUSED, REFUSED]
    assert answers["2"].failure_kind == "ImageUnsupported"
    assert answers["3"].failure_kind == "InputError"
    assert answers["last"].failure_kind == "ImageNotFound"
    removed = running.ingest.DeleteImages(
        ingest.DeleteImagesRequest(collection="signs", image_ids=[answers["first"].image_id, "nobody"]), timeout=10
    )
    assert (list(removed.removed_ids), list(removed.unknown_ids)) == ([answers["first"].image_id], ["nobody"])


def test_a_photo_is_committed_while_its_stream_goes_on(running: Served) -> None:
    may_end = threading.Event()

    def send() -> Iterator[ingest.AddImagesRequest]:
        yield add("early", make_photo(66))
        may_end.wait(20)
        yield add("late", make_photo(67))

    answers = running.ingest.AddImages(send(), timeout=30)
    assert next(answers).outcome == ADDED
    found = running.search.Search(search.SearchRequest(collection="signs", query="w66"), timeout=10)
    assert found.hits[0].image.image_id == "early"
    may_end.set()
    assert next(answers).image_id == "late"
    running.ingest.DeleteImages(ingest.DeleteImagesRequest(collection="signs", image_ids=["early", "late"]), timeout=10)


def test_images_are_read_and_listed(running: Served) -> None:
    found = running.ingest.GetImage(ingest.GetImageRequest(collection="signs", image_id="i4"), timeout=10).image
    assert (found.image_id, found.width, found.height) == ("i4", 48, 32)
    page = running.ingest.ListImages(ingest.ListImagesRequest(collection="signs", page_size=3), timeout=10)
    rest = running.ingest.ListImages(
        ingest.ListImagesRequest(collection="signs", page_size=3, page_token=page.next_page_token), timeout=10
    )
    assert [one.image_id for one in [*page.images, *rest.images]] == ["i0", "i1", "i2", "i3", "i4"]
    assert rest.next_page_token == ""


def test_collections_are_made_and_dropped(running: Served) -> None:
    running.ingest.CreateCollection(ingest.CreateCollectionRequest(collection="shops"), timeout=10)
    names = [
        one.name for one in running.ingest.ListCollections(ingest.ListCollectionsRequest(), timeout=10).collections
    ]
    assert names == ["shops", "signs"]
    running.ingest.DropCollection(ingest.DropCollectionRequest(collection="shops", all_generations=True), timeout=10)
    with pytest.raises(grpc.RpcError) as failed:
        running.ingest.SwitchAlias(ingest.SwitchAliasRequest(collection="shops", model="words"), timeout=10)
    assert type(error_of(failed)).__name__ == "GalleryNotFound"


@pytest.mark.parametrize(
    ("request_", "kind", "code"),
    [
        (search.SearchRequest(collection="signs", query=""), "QueryError", grpc.StatusCode.INVALID_ARGUMENT),
        (search.SearchRequest(collection="none", query="w1"), "GalleryNotFound", grpc.StatusCode.NOT_FOUND),
        (
            search.SearchRequest(collection="signs", query="w1", page_size=0),
            "SettingError",
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            search.SearchRequest(collection="signs", query="w1", page_token="x"),
            "InputError",
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ],
)
def test_errors_have_their_status_and_come_back_as_their_class(
    running: Served, request_: search.SearchRequest, kind: str, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        running.search.Search(request_, timeout=10)
    assert cast(FailedCall, failed.value).code() is code
    assert type(error_of(failed)).__name__ == kind
    problem = running.http.post(
        f"/v1/collections/{request_.collection}/search",
        json={"query": request_.query, "page_token": request_.page_token}
        | ({"page_size": request_.page_size} if request_.HasField("page_size") else {}),
    ).json()
    assert problem["type"] == f"urn:glyphseek:problem:{kind}"
    assert problem["detail"] == str(error_of(failed))


def test_health_says_that_it_serves(running: Served) -> None:
    stub = health_pb2_grpc.HealthStub(running.channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=10, wait_for_ready=True)  # pyright: ignore
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    scopes = {"reader": ["read"], "writer": ["write"], "admin": ["admin"]}
    keys = KeyFile(write_keys(tmp_path_factory.mktemp("keys") / "keys.json", scopes))
    with served(make_gateway(keys=keys)) as running:
        running.http.headers["X-API-Key"] = "secret-of-admin"
        running.http.post("/v1/collections", json={"name": "signs"}).raise_for_status()
        del running.http.headers["X-API-Key"]
        yield running


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/collections/signs/search", "reader"),
        ("GET", "/v1/collections/signs/search?q=w1", "reader"),
        ("POST", "/v1/search:batch", "reader"),
        ("GET", "/v1/collections/signs/images", "reader"),
        ("GET", "/v1/collections/signs/images/a", "reader"),
        ("GET", "/v1/collections/signs/images/a/hit?q=w1", "reader"),
        ("GET", "/v1/collections/signs/images/a/hit.png?q=w1", "reader"),
        ("GET", "/v1/collections", "reader"),
        ("POST", "/v1/collections/signs/images", "writer"),
        ("DELETE", "/v1/collections/signs/images/a", "writer"),
        ("POST", "/v1/collections", "admin"),
        ("PUT", "/v1/collections/other/alias", "admin"),
        ("DELETE", "/v1/collections/other?all_generations=true", "admin"),
    ],
)
def test_each_route_needs_its_scope_and_no_other(guarded: Served, method: str, path: str, scope: str) -> None:
    body = {"query": "w1", "searches": [], "name": "signs", "model": "words", "images": []}
    names = {
        "/v1/collections/signs/search": ["query"],
        "/v1/search:batch": ["searches"],
        "/v1/collections": ["name"],
        "/v1/collections/other/alias": ["model"],
        "/v1/collections/signs/images": ["images"],
    }
    sent = {name: body[name] for name in names.get(path, [])} if method in ("POST", "PUT") else None
    for key in ("reader", "writer", "admin"):
        headers = {"Authorization": f"Bearer secret-of-{key}"}
        status = guarded.http.request(method, path, json=sent, headers=headers).status_code
        assert (status == 403) == (key != scope)
    assert guarded.http.request(method, path, json=sent).status_code == 401
    refused = guarded.http.request(method, path, json=sent, headers={"X-API-Key": "wrong"})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ([("authorization", "Bearer secret-of-reader")], None),
        ([("x-api-key", "secret-of-reader")], None),
        ([("x-api-key", "secret-of-writer")], grpc.StatusCode.PERMISSION_DENIED),
        ([("x-api-key", "wrong")], grpc.StatusCode.UNAUTHENTICATED),
        ([], grpc.StatusCode.UNAUTHENTICATED),
    ],
)
def test_keys_count_over_grpc_too(
    guarded: Served, metadata: list[tuple[str, str]], code: grpc.StatusCode | None
) -> None:
    request = search.SearchRequest(collection="signs", query="w1")
    if code is None:
        assert list(guarded.search.Search(request, metadata=metadata, timeout=10).hits) == []
        return
    with pytest.raises(grpc.RpcError) as failed:
        guarded.search.Search(request, metadata=metadata, timeout=10)
    assert cast(FailedCall, failed.value).code() is code


def test_health_and_metrics_need_no_key(guarded: Served) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert guarded.http.get(path).status_code == 200


def test_the_log_does_not_repeat_what_people_look_for(running: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for query in ("rendezvous", '"rendezvous', "rendezvous" * 20, "rendezvous~9"):
            running.http.get("/v1/collections/signs/search", params={"q": query, "filter": 'city == "Paris"'})
            running.http.get("/v1/collections/signs/search", params={"q": "w1", "filter": query})
            with contextlib.suppress(grpc.RpcError):
                running.search.Search(search.SearchRequest(collection="signs", query=query), timeout=10)
    text = "\n".join(one.getMessage() for one in caplog.records if one.name != "httpx")  # the client's own
    assert text.count("call service=gateway method=Search") == 12
    assert "error=QueryError" in text
    assert "rendezvous" not in text
    assert "Paris" not in text


class Lines(logging.Handler):
    """Keeps what a serving process would write, formatted where it is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter("gateway"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def test_the_log_names_the_key_and_never_holds_it(guarded: Served, caplog: pytest.LogCaptureFixture) -> None:
    handler = Lines()
    logging.getLogger().addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG):
            guarded.http.get("/v1/collections", headers={"X-API-Key": "secret-of-reader", "X-Request-Id": "mine-7"})
            key = [("x-api-key", "secret-of-reader")]
            guarded.search.Search(search.SearchRequest(collection="signs", query="w1"), metadata=key, timeout=10)
    finally:
        logging.getLogger().removeHandler(handler)
    told = [line for line in handler.lines if "call service=gateway" in line]
    assert len(told) == 2
    assert all('"caller": "reader"' in line and "code=OK" in line and "ms=" in line for line in told)
    assert '"request_id": "mine-7"' in told[0]
    assert not any("secret-of" in line for line in handler.lines)
