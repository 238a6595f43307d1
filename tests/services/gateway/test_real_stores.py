"""The gateway over a real Milvus server and a real S3 server, held to the same searches in process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from contracts.stores import found, make_s3_settings, milvus_uri
from fakes.gateways import PhotoWords, Served, make_engine, make_photo, other_card, served
from fakes.token_gallery import GridModel
from integration.servers import shared_minio

from glyphseek.api.v1 import search_service_pb2
from glyphseek.features.s3 import S3FeatureStore, S3Settings
from glyphseek.features.s3.buckets import make_bucket
from glyphseek.features.s3.objects import S3Objects
from glyphseek.metrics import Metrics
from glyphseek.search import Searcher
from glyphseek.vectors.milvus_settings import IndexKind, IndexSettings, MilvusSettings
from glyphseek_gateway.engines import LocalEngines
from glyphseek_gateway.gateway import GatewaySettings, Parts, build_gateway
from glyphseek_gateway.keys import NoKeys
from glyphseek_gateway.limits import Limits
from glyphseek_gateway.milvus_collections import MilvusCollections
from glyphseek_gateway.sources import BucketSource

QUERIES = ("w3", "w3 OR w5", "w4 NOT w5", "w99")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A gateway over real stores, and what searches the same in process."""

    running: Served
    searchers: dict[str, Searcher]
    s3: S3Settings
    collection: str


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    milvus = MilvusSettings(uri=milvus_uri(), timeout_s=60, index=IndexSettings(kind=IndexKind.FLAT), partitions=1)
    s3 = make_s3_settings(found(shared_minio))
    make_bucket(s3)
    features = S3FeatureStore(s3)
    models = {"words": PhotoWords(), "grids": GridModel(), "newer": PhotoWords(other_card("newer", "e"))}
    engines = {name: make_engine(model, features) for name, model in models.items()}
    collections = MilvusCollections(milvus)
    source = BucketSource(s3, allowed=[s3.bucket])
    parts = Parts(
        collections=collections,
        engines=LocalEngines(list(engines.values())),
        features=features,
        source=source,
        keys=NoKeys(),
        probes=(),
        metrics=Metrics(),
    )
    name = f"t{uuid4().hex[:12]}"
    # A Milvus that shares two cores with all other tests is no measure of deadlines.
    limits = Limits(deadline_s=60, read_s=60)
    with served(build_gateway(parts, GatewaySettings(limits=limits))) as running:
        for model in ("words", "grids"):
            collection = f"{name}_{model}"
            assert running.http.post("/v1/collections", json={"name": collection, "model": model}).status_code == 201
            photos = {f"i{red}": make_photo(red) for red in range(8)}
            added = running.add(collection, photos, metadata={"shelf": model})
            assert [one["outcome"] for one in added] == ["added"] * 8
        stores = {
            model: collections.open(collections.current(f"{name}_{model}"), models[model].card)
            for model in ("words", "grids")
        }
        searchers = {
            model: Searcher(
                models[model], stores[model], matcher=engines[model].matcher, reranker=engines[model].reranker
            )
            for model in stores
        }
        yield Deployment(running=running, searchers=searchers, s3=s3, collection=name)
        for store in stores.values():
            store.close()
        for one in running.http.get("/v1/collections").json()["collections"]:
            if one["name"].startswith(name):
                running.http.delete(f"/v1/collections/{one['name']}", params={"all_generations": True})
    source.close()
    features.close()
    collections.close()


@pytest.mark.parametrize("model", ["words", "grids"])
@pytest.mark.parametrize("query", QUERIES)
def test_http_grpc_and_the_same_process_answer_alike(deployment: Deployment, model: str, query: str) -> None:
    expected = [(hit.image_id, hit.score) for hit in deployment.searchers[model].search(query, top=5).hits]
    collection = f"{deployment.collection}_{model}"
    over_http = deployment.running.http.post(
        f"/v1/collections/{collection}/search", json={"query": query, "page_size": 5}
    ).json()
    over_grpc = deployment.running.search.Search(
        search_service_pb2.SearchRequest(collection=collection, query=query, page_size=5), timeout=60
    )
    assert [hit["image"]["image_id"] for hit in over_http["hits"]] == [one for one, _ in expected]
    assert [hit.image.image_id for hit in over_grpc.hits] == [one for one, _ in expected]
    assert [hit["score"] for hit in over_http["hits"]] == pytest.approx([score for _, score in expected], abs=1e-3)
    assert [hit.score for hit in over_grpc.hits] == pytest.approx([score for _, score in expected], abs=1e-3)
    assert over_http["degraded"] == []


def test_milvus_evaluates_filters(deployment: Deployment) -> None:
    path = f"/v1/collections/{deployment.collection}_words/search"
    for text, count in (('shelf == "words"', 8), ('shelf == "grids"', 0)):
        answer = deployment.running.http.get(path, params={"q": "w3 OR w4 OR w5 OR w6 OR w7", "filter": text}).json()
        assert len(answer["hits"]) == count


def test_a_picture_is_drawn_from_the_kept_photo(deployment: Deployment) -> None:
    path = f"/v1/collections/{deployment.collection}_grids/images/i3/hit.png"
    drawn = deployment.running.http.get(path, params={"q": "w3"})
    assert drawn.status_code == 200
    assert drawn.content.startswith(b"\x89PNG")


def test_photos_are_added_from_an_allowed_bucket_only(deployment: Deployment) -> None:
    _put(deployment.s3, "some/photos/red.png", make_photo(200))
    uris = [
        f"s3://{deployment.s3.bucket}/some/photos/red.png",
        f"s3://{deployment.s3.bucket}/some/photos/none.png",
        f"s3://{deployment.s3.bucket}/some/../photos/red.png",
        "s3://another/red.png",
        "https://example.com/red.png",
    ]
    answer = deployment.running.http.post(
        f"/v1/collections/{deployment.collection}_words/images", json={"images": [{"uri": one} for one in uris]}
    ).json()["images"]
    assert [one["outcome"] for one in answer] == ["added", *["refused"] * 4]
    assert [one["error"]["kind"] for one in answer[1:]] == ["ImageNotFound", *["InputError"] * 3]
    image = deployment.running.http.get(
        f"/v1/collections/{deployment.collection}_words/images/{answer[0]['image_id']}"
    ).json()
    assert image["names"] == [uris[0]]
    deployment.running.http.delete(
        f"/v1/collections/{deployment.collection}_words/images/{answer[0]['image_id']}"
    ).raise_for_status()


def test_an_alias_is_switched_to_a_new_generation_and_the_old_one_dropped(deployment: Deployment) -> None:
    http, name = deployment.running.http, f"{deployment.collection}_moving"
    http.post("/v1/collections", json={"name": name, "model": "words"}).raise_for_status()
    deployment.running.add(name, {"a": make_photo(1)})
    made = http.post("/v1/collections", json={"name": name, "model": "newer"}).json()
    assert [(one["model_name"], one["is_current"]) for one in made["generations"]] == [
        ("words", True),
        ("newer", False),
    ]
    for one in (make_photo(1), make_photo(2)):
        http.post(
            f"/v1/collections/{name}/images",
            files=[("files", ("x.png", one))],
            data={"model": "newer", "details": json.dumps([{"image_id": "a" if one == make_photo(1) else "b"}])},
        ).raise_for_status()
    assert _ids(http.get(f"/v1/collections/{name}/search", params={"q": "w1"}).json()) == ["a"]
    http.put(f"/v1/collections/{name}/alias", json={"model": "newer"}).raise_for_status()
    answer = http.get(f"/v1/collections/{name}/search", params={"q": "w2"}).json()
    assert (_ids(answer)[0], answer["model"]) == ("b", "e" * 32)
    assert http.delete(f"/v1/collections/{name}", params={"model": "words"}).status_code == 204
    assert [one["name"] for one in http.get("/v1/collections").json()["collections"]].count(name) == 1
    assert _ids(http.get(f"/v1/collections/{name}/search", params={"q": "w1"}).json())[0] == "a"


def _ids(answer: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    return [hit["image"]["image_id"] for hit in answer["hits"]]


def _put(settings: S3Settings, name: str, content: bytes) -> None:
    async def put() -> None:
        await S3Objects(settings).put(name, content)

    asyncio.run(put())
