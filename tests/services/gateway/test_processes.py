"""The whole chain as real processes over real stores: what a deployment without Ray is."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import grpc
import httpx
import pytest
from contracts.stores import found, make_s3_settings, milvus_uri
from fakes.gateways import write_keys
from integration.servers import find_free_ports, shared_minio
from PIL import Image, ImageDraw, ImageFont

from glyphseek.api.v1 import search_service_pb2, search_service_pb2_grpc
from glyphseek.config import Config
from glyphseek.deployment import open_vectors
from glyphseek.features.s3 import S3FeatureStore
from glyphseek.features.s3.buckets import make_bucket
from glyphseek.matching import Matcher
from glyphseek.models.loading import open_model
from glyphseek.reranking import Reranker
from glyphseek.search import Searcher

pytestmark = pytest.mark.deployment

ROOT = Path(__file__).parents[3]
WORDS = ("COFFEE", "OPEN", "BAKERY", "HOTEL", "MARKET", "STATION")
MODELS = ("tdsl-small", "cayn-small")
KEY = {"Authorization": "Bearer secret-of-all"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Processes that serve, by name, and where."""

    processes: dict[str, subprocess.Popen[bytes]]
    config: Config
    http: httpx.Client
    search: search_service_pb2_grpc.SearchServiceStub

    def collection(self, model: str) -> str:
        return f"{self.config.tenant}_{model.partition('-')[0]}"


def write_photo(word: str) -> bytes:
    picture = Image.new("RGB", (320, 200), (40, 90, 140))
    draw = ImageDraw.Draw(picture)
    draw.text((30, 70), word, fill=(250, 250, 240), font=ImageFont.load_default(48))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    s3 = make_s3_settings(found(shared_minio))
    make_bucket(s3)
    milvus = milvus_uri()
    first = find_free_ports(5)  # after the servers have theirs
    config = Config(
        milvus_uri=milvus,
        milvus_index="FLAT",
        milvus_timeout_s=30,
        tenant=f"t{uuid4().hex[:10]}",
        s3_endpoint=s3.endpoint,
        s3_bucket=s3.bucket,
        s3_prefix=s3.prefix,
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
        models=MODELS,
        encoder=f"127.0.0.1:{first}",
        reranker=f"127.0.0.1:{first + 1}",
        matcher=f"127.0.0.1:{first + 2}",
        http_port=first + 3,
        grpc_port=first + 4,
        metrics_port=0,
        api_keys_file=str(write_keys(folder / "keys.json", {"all": ["read", "write", "admin"], "nobody": ["write"]})),
        deadline_s=60,  # a machine that runs all tests at once is no measure of deadlines
        encode_s=30,
        rerank_s=30,
        match_s=30,
    )
    processes = {name: start(name, config, folder) for name in ("encoder", "reranker", "matcher", "gateway")}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{config.http_port}", timeout=90, headers=KEY) as http:
            wait_until_ready(http, processes, folder)
            channel = grpc.insecure_channel(f"127.0.0.1:{config.grpc_port}")
            stub = search_service_pb2_grpc.SearchServiceStub(channel)
            deployment = Deployment(processes=processes, config=config, http=http, search=stub)
            fill(deployment)
            yield deployment
            channel.close()
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def start(name: str, config: Config, folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **config.as_environment(), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "shared"), str(ROOT / "services")])
    with open(folder / f"{name}.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"glyphseek_{name}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
        )


def wait_until_ready(http: httpx.Client, processes: dict[str, subprocess.Popen[bytes]], folder: Path) -> None:
    end = time.monotonic() + 180
    report = ""
    while time.monotonic() < end and all(one.poll() is None for one in processes.values()):
        try:
            answer = http.get("/readyz")
        except httpx.TransportError:
            time.sleep(0.3)
            continue
        report = answer.text
        if all(one["is_ready"] for one in answer.json()["dependencies"]):
            return
        time.sleep(0.5)
    logs = "\n".join(f"{path.name}: {path.read_text(errors='replace')[-500:]}" for path in folder.glob("*.log"))
    raise AssertionError(f"not ready: {report}\n{logs}")


def fill(deployment: Deployment) -> None:
    for model in MODELS:
        name = deployment.collection(model)
        deployment.http.post("/v1/collections", json={"name": name, "model": model}).raise_for_status()
        answer = deployment.http.post(
            f"/v1/collections/{name}/images",
            files=[("files", (f"{word}.png", write_photo(word))) for word in WORDS],
            data={"details": json.dumps([{"image_id": word.lower()} for word in WORDS])},
        )
        assert [one["outcome"] for one in answer.json()["images"]] == ["added"] * len(WORDS), answer.text


@pytest.mark.parametrize("name", MODELS)
def test_processes_answer_as_the_same_jobs_in_one_process(deployment: Deployment, name: str) -> None:
    config, collection = deployment.config, deployment.collection(name)
    model = open_model(name)
    features = S3FeatureStore(make_s3_settings(found(shared_minio), bucket=config.s3_bucket))
    vectors = open_vectors(config, gallery=collection, card=model.card)
    searcher = Searcher(
        model,
        vectors,
        matcher=Matcher(features, card=model.card),
        reranker=Reranker(model, features, fingerprint=model.card.fingerprint) if "cayn" in name else None,  # pyright: ignore[reportArgumentType] - cayn scores maps
    )
    for query in ("coffee", "bakery OR hotel", "stat*" if "tdsl" in name else "station", "market NOT open"):
        expected = searcher.search(query, top=5).hits
        over_http = deployment.http.post(
            f"/v1/collections/{collection}/search", json={"query": query, "page_size": 5}
        ).json()
        over_grpc = deployment.search.Search(
            search_service_pb2.SearchRequest(collection=collection, query=query, page_size=5),
            metadata=[("x-api-key", "secret-of-all")],
            timeout=90,
        )
        assert over_http["degraded"] == []
        assert [hit["image"]["image_id"] for hit in over_http["hits"]] == [hit.image_id for hit in expected]
        assert [hit.image.image_id for hit in over_grpc.hits] == [hit.image_id for hit in expected]
        scores = pytest.approx([hit.score for hit in expected], abs=1e-3)
        assert [hit["score"] for hit in over_http["hits"]] == scores
        assert [hit.score for hit in over_grpc.hits] == scores
    vectors.close()
    features.close()


def test_a_key_without_the_scope_is_refused(deployment: Deployment) -> None:
    answer = deployment.http.get("/v1/collections", headers={"Authorization": "Bearer secret-of-nobody"})
    assert answer.status_code == 403


def test_without_the_matcher_searches_go_on_and_say_so(deployment: Deployment, tmp_path: Path) -> None:
    path = f"/v1/collections/{deployment.collection('tdsl-small')}/search"
    deployment.processes["matcher"].kill()
    deployment.processes["matcher"].wait()
    answer = deployment.http.get(path, params={"q": "coffee"}).json()
    assert answer["hits"][0]["image"]["image_id"] == "coffee"
    assert [one["stage"] for one in answer["degraded"]] == ["match"]
    report = deployment.http.get("/readyz")
    assert report.status_code == 200
    assert {one["name"] for one in report.json()["dependencies"] if not one["is_ready"]} == {"matcher"}
    deployment.processes["matcher"] = start("matcher", deployment.config, tmp_path)
    end = time.monotonic() + 120
    while time.monotonic() < end and deployment.http.get(path, params={"q": "coffee"}).json()["degraded"]:
        time.sleep(0.5)
    assert deployment.http.get(path, params={"q": "coffee"}).json()["degraded"] == []


def test_the_gateway_ends_by_itself_when_it_is_told_to(deployment: Deployment) -> None:
    process = deployment.processes["gateway"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
