"""What a job makes of a bucket whose server is sick, cut off, slow or gone: no photo is refused for that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from contracts.stores import found, make_s3_settings
from indexing.gallery_fakes import FakeFeatures, FakeModel, FakeVectors, photo_bytes
from integration.proxy import Fault, Proxy
from integration.servers import shared_minio, start_minio

from glyphseek.errors import StoreUnavailable
from glyphseek.features.s3 import S3Settings
from glyphseek.features.s3.buckets import make_bucket
from glyphseek.features.s3.objects import S3Objects
from glyphseek.images import ImageLimits
from glyphseek.indexing import EncodingSettings, ImageEncoder
from glyphseek.indexing import Outcome as Ending
from glyphseek_indexer.committing import Outcome, RowWriter
from glyphseek_indexer.encoding import encode_readings
from glyphseek_indexer.guarding import Attempts, Guard
from glyphseek_indexer.job import Job
from glyphseek_indexer.known import Known
from glyphseek_indexer.reading import PhotoReader, Reading
from glyphseek_indexer.retrying import Patience
from glyphseek_indexer.sources import BucketSource, PhotoSource, open_source

PHOTOS = {f"in/{number:04}.png": photo_bytes(number) for number in range(24)}
POISON = {"in/poison.png": b"no photo"}


@pytest.fixture(scope="module")
def filled() -> S3Settings:
    """A bucket with photos, and one object that is none, on the shared server."""
    return fill(replace(make_s3_settings(found(shared_minio)), prefix=""))


@pytest.fixture
def proxy(filled: S3Settings) -> Iterator[Proxy]:
    with Proxy(int(filled.endpoint.rpartition(":")[2])) as between:
        yield between


@pytest.fixture
def source(filled: S3Settings, proxy: Proxy) -> BucketSource:
    return open_bucket(replace(filled, endpoint=f"http://127.0.0.1:{proxy.port}"), timeout_s=5, attempt_timeout_s=3)


def fill(settings: S3Settings) -> S3Settings:
    make_bucket(settings)

    async def put() -> None:
        objects = S3Objects(settings)
        for name, content in (PHOTOS | POISON).items():
            await objects.put(name, content)

    asyncio.run(put())
    return settings


def open_bucket(settings: S3Settings, *, timeout_s: float, attempt_timeout_s: float) -> BucketSource:
    source = open_source(f"s3://{settings.bucket}/in", settings, ImageLimits())
    assert isinstance(source, BucketSource)
    bounds = replace(source.settings, timeout_s=timeout_s, attempt_timeout_s=attempt_timeout_s)
    return replace(source, settings=bounds)


@dataclass(kw_only=True)
class WorkersHere:
    """What the workers of a job do, in this thread; `passes` counts how often they were run."""

    source: PhotoSource
    patience_s: float = 0.0
    passes: int = 0

    def run(self, names: Sequence[str]) -> Iterator[list[Outcome]]:
        self.passes += 1
        guard: Guard[str, Reading] = Guard(
            stage="reading",
            book=Attempts(),
            name_of=str,
            work=PhotoReader(source=self.source, known=Known.of([]), limits=ImageLimits()).read,
            leave_out=lambda name, skip, again: Reading(name=name, skip=skip, again=again),
            patience=Patience(seconds=self.patience_s),
        )
        with ImageEncoder(FakeModel(), FakeFeatures(), EncodingSettings()) as encoder:
            for start in range(0, len(names), 8):
                yield encode_readings(encoder, guard.run(names[start : start + 8]))


def make_job(source: PhotoSource, workers: WorkersHere) -> tuple[Job, FakeVectors]:
    vectors = FakeVectors()
    writer = RowWriter(vectors=vectors, patience_s=0)
    return Job(
        source=source, workers=workers, writer=writer, commit_images=64, on_progress=lambda progress: None
    ), vectors


def refusals(job: Job) -> list[tuple[str, str]]:
    return [(skip.name.rpartition("/")[2], skip.kind) for skip in job.counts.refused]


def test_answers_that_are_cut_short_or_errors_now_and_then_cost_nothing(source: BucketSource, proxy: Proxy) -> None:
    cut, sick = Fault(cut_after_bytes=700), Fault(status=500)
    names = [name for name in source.names() if isinstance(name, str)]
    proxy.fail([fault for _ in range(12) for fault in (cut, None, sick, None)])
    workers = WorkersHere(source=source)
    job, vectors = make_job(Listed(names, source), workers)

    assert job.run() == (Ending.COMPLETE, "")
    assert len(vectors.records) == len(PHOTOS)
    assert refusals(job) == [("poison.png", "ImageUnsupported")]
    assert proxy.requests > len(PHOTOS) + 12


def test_a_server_that_only_has_errors_ends_the_job_early_and_refuses_no_photo(
    source: BucketSource, proxy: Proxy
) -> None:
    names = [name for name in source.names() if isinstance(name, str)]
    proxy.fail(standing=Fault(status=500))
    workers = WorkersHere(source=source)
    job, vectors = make_job(Listed(names, source), workers)
    outcome, message = job.run()

    assert outcome is Ending.FAILED
    assert f"{len(names)} photos could not be read or stored" in message
    assert "500" in message
    assert "run again" in message
    assert (workers.passes, refusals(job), vectors.records) == (2, [], {})

    proxy.fail()
    job, vectors = make_job(source, WorkersHere(source=source))
    assert job.run() == (Ending.COMPLETE, "")
    assert len(vectors.records) == len(PHOTOS)


def test_a_server_that_is_well_again_for_the_second_pass_loses_no_photo(source: BucketSource, proxy: Proxy) -> None:
    names = [name for name in source.names() if isinstance(name, str)]
    job, vectors = make_job(Listed(names, source), workers := SickAtFirst(source=source, proxy=proxy))

    assert job.run() == (Ending.COMPLETE, "")
    assert workers.passes == 2
    assert len(vectors.records) == len(PHOTOS)
    assert refusals(job) == [("poison.png", "ImageUnsupported")]


def test_slow_answers_are_bounded_for_each_photo_and_not_for_all_together(source: BucketSource, proxy: Proxy) -> None:
    names = [name for name in source.names() if isinstance(name, str) and "poison" not in name]
    proxy.fail(standing=Fault(delay_s=0.9))  # of 24 photos, four at once: 5.4 s, and each has 5

    assert source.read(names) == [PHOTOS[f"in/{name.rpartition('/')[2]}"] for name in names]


def test_answers_past_the_bound_of_a_photo_are_no_fault_of_it(source: BucketSource, proxy: Proxy) -> None:
    names = [name for name in source.names() if isinstance(name, str)][:4]
    proxy.fail(standing=Fault(delay_s=30))
    impatient = replace(source, settings=replace(source.settings, timeout_s=0.5))

    assert [type(one) for one in impatient.read(names)] == [StoreUnavailable] * 4


def test_a_server_that_is_killed_and_comes_back_is_waited_for(tmp_path: Path) -> None:
    server = found(lambda: start_minio(tmp_path))
    settings = fill(replace(make_s3_settings(server), prefix=""))
    source = open_bucket(settings, timeout_s=3, attempt_timeout_s=2)
    names = [name for name in source.names() if isinstance(name, str)]
    workers = WorkersHere(source=source, patience_s=60)
    job, vectors = make_job(Listed(names, source), workers)
    server.kill()
    with ThreadPoolExecutor(1) as executor:
        ending = executor.submit(job.run)
        time.sleep(4)
        assert not ending.done()
        server.start()  # from this thread: a server ends with the thread that started it
        assert ending.result() == (Ending.COMPLETE, "")
    assert len(vectors.records) == len(PHOTOS)
    assert refusals(job) == [("poison.png", "ImageUnsupported")]
    server.stop()


@dataclass(kw_only=True)
class SickAtFirst(WorkersHere):
    """Workers whose server only has errors in the first pass."""

    proxy: Proxy

    def run(self, names: Sequence[str]) -> Iterator[list[Outcome]]:
        self.proxy.fail(standing=Fault(status=503) if self.passes == 0 else None)
        yield from super().run(names)


class Listed:
    """A source that was listed while its server was well."""

    def __init__(self, names: Sequence[str], source: PhotoSource) -> None:
        self._names = names
        self.read = source.read

    def names(self) -> Iterator[str]:
        yield from self._names
