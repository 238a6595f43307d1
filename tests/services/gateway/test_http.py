"""The gateway over HTTP, on a real port."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fakes.gateways import Served, make_gateway, make_photo, served
from PIL import Image


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with served(make_gateway()) as running:
        assert running.http.post("/v1/collections", json={"name": "signs"}).status_code == 201
        running.add("signs", {f"i{red}": make_photo(red) for red in (1, 2, 3)}, metadata={"city": "Oslo", "year": 2020})
        running.add("signs", {"j2": make_photo(2, blue=9)}, metadata={"city": "Bergen", "year": 2024.5})
        yield running


def search(running: Served, **body: object) -> dict[str, Any]:
    answer = running.http.post("/v1/collections/signs/search", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def make_bomb(side: int) -> bytes:
    """Return a PNG whose header, checksum and all, says that it is that large."""
    photo = make_photo(1)
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + photo[24:29]
    return photo[:12] + header + zlib.crc32(header).to_bytes(4, "big") + photo[33:]


def test_a_search_finds_what_was_uploaded(running: Served) -> None:
    answer = search(running, query="w3")
    best = answer["hits"][0]
    assert best["image"]["image_id"] == "i3"
    assert best["image"]["metadata"] == {"city": "Oslo", "year": 2020}
    assert best["image"]["names"] == ["i3.png"]
    assert (best["image"]["width"], best["image"]["height"]) == (48, 32)
    assert best["stages"] == ["recall", "match"]
    assert best["matches"][0]["term"] == "w3"
    assert set(best["matches"][0]["box"]) == {"left", "top", "right", "bottom"}
    assert answer["confident"]
    assert answer["degraded"] == []
    assert answer["next_page_token"] == ""
    assert len(answer["model"]) == 32


def test_a_search_by_address_answers_as_one_by_body(running: Served) -> None:
    asked = running.http.get("/v1/collections/signs/search", params={"q": "w2 NOT w3", "page_size": 3}).json()
    answer = search(running, query="w2 NOT w3", page_size=3)
    assert asked["hits"] == answer["hits"]
    assert asked["query"] == "w2 NOT w3"


def test_a_filter_leaves_out_what_does_not_match(running: Served) -> None:
    answer = search(running, query="w2", filter='city == "Bergen" and year > 2024')
    assert [hit["image"]["image_id"] for hit in answer["hits"]] == ["j2"]


def test_pages_together_are_the_whole_answer(running: Served) -> None:
    whole = [hit["image"]["image_id"] for hit in search(running, query="w2 OR w3 OR w1")["hits"]]
    assert len(whole) == 4
    pages, token = [], ""
    while not pages or token:
        answer = search(running, query="w2 OR w3 OR w1", page_size=1, page_token=token)
        pages += [hit["image"]["image_id"] for hit in answer["hits"]]
        token = answer["next_page_token"]
    assert pages == whole


def test_a_token_of_another_query_is_refused(running: Served) -> None:
    token = search(running, query="w2 OR w3", page_size=1)["next_page_token"]
    answer = running.http.post("/v1/collections/signs/search", json={"query": "w2", "page_token": token})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:glyphseek:problem:InputError")


def test_several_searches_are_answered_each_for_itself(running: Served) -> None:
    searches = [
        {"collection": "signs", "query": "w1"},
        {"collection": "nowhere", "query": "w1"},
        {"collection": "signs", "query": "(w1"},
    ]
    results = running.http.post("/v1/search:batch", json={"searches": searches}).json()["results"]
    assert results[0]["response"]["hits"][0]["image"]["image_id"] == "i1"
    assert results[1]["error"]["kind"] == "GalleryNotFound"
    assert results[2]["error"] == {
        "kind": "QueryError",
        "message": "'(' at character 1: the ')' is missing",
        "status": 422,
    }


def test_one_image_is_looked_at_and_drawn(running: Served) -> None:
    answer = running.http.get("/v1/collections/signs/images/i2/hit", params={"q": "w2"}).json()
    assert answer["hit"]["image"]["image_id"] == "i2"
    assert answer["hit"]["matches"][0]["box"] is not None
    assert answer["degraded"] == []
    drawn = running.http.get("/v1/collections/signs/images/i2/hit.png", params={"q": "w2", "width": 300})
    assert drawn.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(drawn.content)) as picture:
        assert picture.width == 300
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 10


def test_an_upload_says_what_became_of_each_photo(running: Served) -> None:
    files = [
        ("files", ("new.png", make_photo(50))),
        ("files", ("again.png", make_photo(50))),
        ("files", ("broken.jpg", b"\xff\xd8\xff garbage")),
        ("files", ("notes.txt", b"no picture at all")),
        ("files", ("empty.png", b"")),
    ]
    answer = running.http.post("/v1/collections/signs/images", files=files).json()["images"]
    assert [one["outcome"] for one in answer] == ["added", "updated", "refused", "refused", "refused"]
    assert answer[0]["image_id"] == answer[1]["image_id"]
    assert [one["error"]["kind"] for one in answer[2:]] == ["ImageUnreadable", "ImageUnsupported", "ImageUnreadable"]
    record = running.http.get(f"/v1/collections/signs/images/{answer[0]['image_id']}").json()
    assert record["names"] == ["again.png", "new.png"]
    running.http.delete(f"/v1/collections/signs/images/{answer[0]['image_id']}")


def test_sending_photos_again_changes_nothing(running: Served) -> None:
    again = running.add("signs", {"i1": make_photo(1)}, metadata={"city": "Oslo", "year": 2020})
    assert [one["outcome"] for one in again] == ["unchanged"]


def test_a_decompression_bomb_is_refused_before_it_is_decoded(running: Served) -> None:
    answer = running.add("signs", {"bomb": make_bomb(40_000)})
    assert answer[0]["error"]["kind"] == "ImageTooLarge"
    assert "1600000000 pixels" in answer[0]["error"]["message"]


def test_photos_by_address_are_refused_one_by_one(running: Served) -> None:
    body = {"images": [{"uri": "s3://elsewhere/a.png", "image_id": "x"}]}
    answer = running.http.post("/v1/collections/signs/images", json=body).json()["images"]
    assert answer == [
        {
            "image_id": "x",
            "outcome": "refused",
            "error": {"kind": "ImageNotFound", "message": "there is no s3://elsewhere/a.png", "status": 404},
        }
    ]


def test_images_are_listed_by_id_page_by_page(running: Served) -> None:
    found, token = [], ""
    while not found or token:
        page = running.http.get("/v1/collections/signs/images", params={"page_size": 3, "page_token": token}).json()
        found += [one["image_id"] for one in page["images"]]
        token = page["next_page_token"]
    assert found == ["i1", "i2", "i3", "j2"]


def test_a_removed_image_is_gone_from_search_list_and_get(running: Served) -> None:
    running.add("signs", {"gone": make_photo(77)})
    assert search(running, query="w77")["hits"][0]["image"]["image_id"] == "gone"
    removed = running.http.delete("/v1/collections/signs/images/gone")
    assert removed.json() == {"removed_ids": ["gone"], "unknown_ids": []}
    assert not any(hit["image"]["image_id"] == "gone" for hit in search(running, query="w77")["hits"])
    assert running.http.get("/v1/collections/signs/images/gone").status_code == 404
    assert running.http.delete("/v1/collections/signs/images/gone").status_code == 404


def test_collections_are_made_listed_and_dropped(running: Served) -> None:
    made = running.http.post("/v1/collections", json={"name": "shops"})
    assert made.status_code == 201
    assert made.json() == {
        "name": "shops",
        "generations": [{"model_name": "words", "model_fingerprint": "0123456789abcdef" * 2, "is_current": True}],
    }
    names = [one["name"] for one in running.http.get("/v1/collections").json()["collections"]]
    assert names == ["shops", "signs"]
    assert running.http.delete("/v1/collections/shops", params={"model": "words"}).status_code == 422
    assert running.http.delete("/v1/collections/shops", params={"all_generations": True}).status_code == 204
    assert running.http.post("/v1/collections/shops/search", json={"query": "w1"}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind", "detail"),
    [
        ("POST", "/v1/collections/signs/search", {"query": ""}, 422, "QueryError", "empty"),
        ("POST", "/v1/collections/signs/search", {"query": "w" * 300}, 422, "QueryError", "the limit is 256"),
        ("POST", "/v1/collections/signs/search", {"query": "w1", "page_size": 101}, 422, "SettingError", "1 to 100"),
        ("POST", "/v1/collections/signs/search", {"query": "w1", "page_size": 0}, 422, "SettingError", "1 to 100"),
        ("POST", "/v1/collections/signs/search", {"query": "w1", "rerank": 5}, 422, "SettingError", "not reranked"),
        ("POST", "/v1/collections/signs/search", {"query": "w1", "filter": "city"}, 422, "QueryError", "city"),
        ("POST", "/v1/collections/signs/search", {"query": "w1", "filter": "a" * 2000}, 422, "InputError", "is 1024"),
        ("POST", "/v1/collections/signs/search", {"query": "w1", "top": 5}, 422, "InputError", "body.top"),
        ("POST", "/v1/collections/signs/search", {}, 422, "InputError", "body.query"),
        ("POST", "/v1/collections/none/search", {"query": "w1"}, 404, "GalleryNotFound", "none"),
        ("POST", "/v1/collections/No%20Name/search", {"query": "w1"}, 422, "SettingError", "No Name"),
        ("POST", "/v1/search:batch", {"searches": []}, 422, "SettingError", "1 to 32"),
        ("GET", "/v1/collections/signs/images/nobody", None, 404, "ImageNotFound", "nobody"),
        ("GET", "/v1/collections/signs/images/nobody/hit?q=w1", None, 404, "ImageNotFound", "nobody"),
        ("GET", "/v1/collections/signs/images/i1/hit.png?q=w1&width=9", None, 422, "SettingError", "64 to 2048"),
        ("GET", "/v1/collections/signs/images?page_size=1001", None, 422, "SettingError", "1 to 1000"),
        ("POST", "/v1/collections", {"name": "x", "model": "gpt"}, 404, "ModelNotFound", "words (0123456789"),
        ("PUT", "/v1/collections/signs/alias", {"model": "gpt"}, 404, "GalleryNotFound", "gpt"),
        ("POST", "/v1/collections/signs/images", {"images": []}, 422, "SettingError", "1 to 64"),
        ("POST", "/v1/collections/signs/images", {"images": [{"file": "x"}]}, 422, "InputError", "uri"),
    ],
)
def test_errors_are_problems_with_the_value_and_the_limit(
    running: Served, method: str, path: str, body: object, status: int, kind: str, detail: str
) -> None:
    answer = running.http.request(method, path, json=body)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["type"]) == (status, f"urn:glyphseek:problem:{kind}")
    assert detail in problem["detail"]
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_unknown_paths_and_methods_are_problems_too(running: Served) -> None:
    for answer, status in ((running.http.get("/v2"), 404), (running.http.put("/v1/collections"), 405)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "about:blank"


def test_a_request_keeps_its_id_and_one_of_another_form_gets_a_new_one(running: Served) -> None:
    kept = running.http.get("/healthz", headers={"X-Request-Id": "mine-1"})
    assert kept.headers["x-request-id"] == "mine-1"
    other = running.http.get("/healthz", headers={"X-Request-Id": "not mine"})
    assert len(other.headers["x-request-id"]) == 32


def test_a_body_past_the_bound_is_refused_before_it_is_read(running: Served) -> None:
    announced = running.http.post("/v1/collections/signs/search", content=b"x" * 300_000)
    chunked = running.http.post("/v1/collections/signs/search", content=(b"x" * 1000 for _ in range(300)))
    for answer in (announced, chunked):
        assert answer.status_code == 413
        assert "262144 bytes" in answer.json()["detail"]


def test_a_form_with_fields_that_do_not_fit_is_refused(running: Served) -> None:
    path, file = "/v1/collections/signs/images", [("files", ("a.png", make_photo(1)))]
    for data, detail in (
        ({"details": "[{}, {}]"}, "2 entries for 1 files"),
        ({"details": "nothing"}, "details cannot be read"),
        ({"details": json.dumps([{"colour": "red"}])}, "0.colour"),
        ({"tags": "x"}, "unknown fields: tags"),
    ):
        answer = running.http.post(path, files=file, data=data)
        assert answer.status_code == 422
        assert detail in answer.json()["detail"]
    assert running.http.post(path, content=b"x", headers={"content-type": "text/plain"}).status_code == 422


def test_metrics_count_searches_and_stages_and_images(running: Served) -> None:
    search(running, query="w1")
    text = running.http.get("/metrics").text
    assert 'glyphseek_requests_total{code="OK",method="Search",service="gateway"}' in text
    assert 'glyphseek_stage_seconds_count{stage="recall"}' in text
    assert 'glyphseek_stage_seconds_count{stage="match"}' in text
    assert 'glyphseek_images_total{outcome="added"}' in text
