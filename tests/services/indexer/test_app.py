"""The whole job as a person starts it, on Ray, Milvus and MinIO, while its processes are killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from contracts.stores import found, make_s3_settings, milvus_uri
from integration.servers import ACCESS_KEY, SECRET_KEY, find_free_ports, shared_minio
from PIL import Image

from glyphseek.config import Config, load_config
from glyphseek.deployment import open_features, open_vectors
from glyphseek.features.s3 import S3Settings
from glyphseek.features.s3.buckets import make_bucket
from glyphseek.features.s3.objects import S3Objects
from glyphseek.indexing import hash_content, photo_key
from glyphseek.models.loading import open_model
from glyphseek.ports import blob_key
from glyphseek.types import ModelCard

pytestmark = pytest.mark.deployment

pytest.importorskip("ray")

PHOTOS = 160
PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return open_model("tdsl-small").card


@pytest.fixture
def environment() -> Mapping[str, str]:
    """A deployment of its own: a bucket and a name for the collection."""
    settings = make_s3_settings(found(shared_minio))
    make_bucket(settings)
    return {
        "GLYPHSEEK_MILVUS_URI": milvus_uri(),
        "GLYPHSEEK_MILVUS_TIMEOUT_S": "30",
        "GLYPHSEEK_MILVUS_INDEX": "FLAT",
        "GLYPHSEEK_S3_ENDPOINT": settings.endpoint,
        "GLYPHSEEK_S3_BUCKET": settings.bucket,
        "GLYPHSEEK_S3_ACCESS_KEY": ACCESS_KEY,
        "GLYPHSEEK_S3_SECRET_KEY": SECRET_KEY,
        "GLYPHSEEK_MODELS": "tdsl-small",
        "GLYPHSEEK_METRICS_PORT": str(find_free_ports()),
    }


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos, one of them under two names, and three files that only look like photos."""
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(PHOTOS):
        noise = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((160, 120)).save(folder / f"{number:04d}.jpg")
    (folder / "copy.jpg").write_bytes((folder / "0000.jpg").read_bytes())
    bad = {"empty.jpg": b"", "text.jpg": b"no photo", "cut.jpg": b"\xff\xd8\xff\xe0" + bytes(99)}
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.timeout(900)  # a minute on two quiet cores
def test_killed_workers_and_a_killed_job_lose_and_double_nothing(
    card: ModelCard, environment: Mapping[str, str], photos: Path, tmp_path: Path
) -> None:
    config, collection = load_config(environment=environment), f"c{uuid4().hex}"
    with closing(open_vectors(config, gallery=collection, card=card)) as vectors:
        with run_ingest(photos, collection, environment, tmp_path / "first.json") as job:
            wait_until(lambda: vectors.count() > 0, job)
            kill(killed := find_workers(job.pid, "_Encoder"))
            wait_until(lambda: bool(set(find_workers(job.pid, "_Encoder")) - set(killed)), job)
            counted = read_metrics(config.metrics_port)
            os.kill(job.pid, signal.SIGKILL)
            job.wait(PATIENCE_S)
        committed = vectors.count()
        assert 0 < committed < PHOTOS
        assert counted['glyphseek_images_total{outcome="added"}'] > 0
        for step in ("read", "encode", "commit"):
            assert counted[f'glyphseek_ingest_seconds_count{{step="{step}"}}'] > 0

        with run_ingest(photos, collection, environment, tmp_path / "second.json") as job:
            for stage in ("_Reader", "_Encoder"):
                wait_until(lambda stage=stage: bool(find_workers(job.pid, stage)), job)
                kill(find_workers(job.pid, stage))
            assert job.wait(PATIENCE_S) == 3
        report = json.loads((tmp_path / "second.json").read_bytes())

        contents = {hash_content(path.read_bytes()) for path in photos.glob("0*.jpg")}
        records = list(vectors.scan())
        assert sorted(record.content_hash for record in records) == sorted(contents)
        assert sorted(name for record in records for name in record.names) == sorted(
            [*(f"{number:04d}.jpg" for number in range(PHOTOS)), "copy.jpg"]
        )
        assert report["outcome"] == "complete"
        assert report["found"] == PHOTOS + 4
        assert report["added"] + report["unchanged"] + report["updated"] == PHOTOS + 1
        assert report["unchanged"] >= committed
        assert [skip["name"] for skip in report["refused"]] == ["cut.jpg", "empty.jpg", "text.jpg"]
        check_stores(config, card, {record.image_id for record in records}, contents)
    wait_until(lambda: not find_processes(lambda text: str(collection) in text), None)


@pytest.mark.timeout(600)
def test_photos_of_a_bucket_are_ingested_under_their_addresses(
    card: ModelCard, environment: Mapping[str, str], photos: Path, tmp_path: Path
) -> None:
    config, collection = load_config(environment=environment), f"c{uuid4().hex}"
    source = replace(make_s3_settings(found(shared_minio)), prefix="")
    make_bucket(source)
    names = ["0000.jpg", "0001.jpg", "copy.jpg", "cut.jpg"]
    contents = {name: (photos / name).read_bytes() for name in names}
    asyncio.run(put_objects(source, {f"in/deep/{name}": content for name, content in contents.items()}))
    asyncio.run(put_objects(source, {"in/notes.txt": b"no photo", "other/0002.jpg": contents["0001.jpg"]}))
    address = f"s3://{source.bucket}/in"

    with run_ingest(address, collection, environment, tmp_path / "report.json") as job:
        assert job.wait(PATIENCE_S) == 3, (tmp_path / "report.log").read_text()
    report = json.loads((tmp_path / "report.json").read_bytes())

    assert (report["outcome"], report["found"], report["added"], report["updated"]) == ("complete", 4, 2, 1)
    assert [skip["name"] for skip in report["refused"]] == [f"{address}/deep/cut.jpg"]
    with closing(open_vectors(config, gallery=collection, card=card)) as vectors:
        found_names = {record.content_hash: record.names for record in vectors.scan()}
        image_ids = {record.image_id for record in vectors.scan()}
    assert found_names == {
        hash_content(contents["0000.jpg"]): (f"{address}/deep/0000.jpg", f"{address}/deep/copy.jpg"),
        hash_content(contents["0001.jpg"]): (f"{address}/deep/0001.jpg",),
    }
    check_stores(config, card, image_ids, set(found_names))


async def put_objects(settings: S3Settings, contents: Mapping[str, bytes]) -> None:
    objects = S3Objects(settings)
    for name, content in contents.items():
        await objects.put(name, content)


def check_stores(config: Config, card: ModelCard, image_ids: set[str], contents: set[str]) -> None:
    with closing(open_features(config)) as features:
        assert set(features.scan()) == {blob_key(card.fingerprint, one) for one in image_ids} | {
            photo_key(one) for one in contents
        }


@contextmanager
def run_ingest(
    source: Path | str, collection: str, environment: Mapping[str, str], report: Path
) -> Generator[subprocess.Popen[bytes]]:
    """Yield the running command, and end it whatever happens; its workers end with it."""
    command = [sys.executable, "-c", "from glyphseek.cli import main; main()", "ingest", str(source)]
    command += ["--collection", collection, "--report", str(report)]
    variables = {**os.environ, **environment, "OMP_NUM_THREADS": "1"}
    with open(report.with_suffix(".log"), "wb") as output:
        job = subprocess.Popen(command, env=variables, stdout=output, stderr=output)
    try:
        yield job
    finally:
        job.kill()
        job.wait()


def read_metrics(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def wait_until(is_so: Callable[[], bool], job: subprocess.Popen[bytes] | None) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "it did not happen in time"
        assert job is None or job.poll() is None, "the job ended before"
        time.sleep(0.1)


def kill(pids: list[int]) -> None:
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def find_workers(job: int, stage: str) -> list[int]:
    """Return the processes of the job's actors of one stage."""
    workers = find_processes(lambda text: text.startswith("ray::MapWorker") and stage in text)
    return [pid for pid in workers if job in ancestors_of(pid)]


def find_processes(is_wanted: Callable[[str], bool]) -> list[int]:
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        try:
            text = (folder / "cmdline").read_bytes().decode(errors="replace") if folder.name.isdigit() else ""
        except OSError:  # it ended just now
            continue
        if text and is_wanted(text):
            found.append(int(folder.name))
    return found


def ancestors_of(pid: int) -> Iterator[int]:
    while pid > 1:
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return
        pid = int(status.rpartition(")")[2].split()[1])
        yield pid
