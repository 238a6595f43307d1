from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from cli.command_line import glyphseek

from glyphseek.config import Config
from glyphseek.errors import ModelMismatch
from glyphseek.indexing import IngestProgress, IngestReport, IngestRequest, Outcome, Skip

REPORT = IngestReport(
    outcome=Outcome.COMPLETE,
    message="",
    collection="signs",
    model="tiny",
    fingerprint="ab" * 16,
    found=9,
    added=5,
    reused=2,
    unchanged=3,
    updated=1,
    refused=(),
    seconds=12.0,
    start_seconds=2.0,
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Config, IngestRequest]]:
    """What the job was asked for, by a job that does nothing and reports REPORT."""
    return put_job(monkeypatch, lambda: REPORT)


def put_job(
    monkeypatch: pytest.MonkeyPatch, make_report: Callable[[], IngestReport]
) -> list[tuple[Config, IngestRequest]]:
    asked: list[tuple[Config, IngestRequest]] = []

    def ingest(
        config: Config, request: IngestRequest, *, on_progress: Callable[[IngestProgress], None]
    ) -> IngestReport:
        asked.append((config, request))
        on_progress(IngestProgress(done=9, total=9, refused=0))
        return make_report()

    module = ModuleType("glyphseek_indexer.app")
    module.ingest = ingest  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "glyphseek_indexer.app", module)
    return asked


def test_options_and_settings_reach_the_job(asked: list[tuple[Config, IngestRequest]], tmp_path: Path) -> None:
    (tmp_path / "deployment.json").write_text('{"s3_bucket": "signs-of-oslo"}')
    ended = glyphseek(
        "ingest", "s3://photos/2024", "--collection", "signs", "--config", tmp_path / "deployment.json",
        "--encoders", "4", "--gpus", "0.5", "--threads", "2", "--trust-names", "--ray", "auto",
    )  # fmt: skip

    assert ended.code == 0, ended.err
    [(config, request)] = asked
    assert config.s3_bucket == "signs-of-oslo"
    assert request == IngestRequest(
        source="s3://photos/2024",
        collection="signs",
        encoders=4,
        gpus=0.5,
        threads=2,
        trust_names=True,
        address="auto",
    )
    assert "9 photos found, 5 added (2 from blobs that were there), 3 unchanged, 1 updated, 0 left out" in ended.out
    assert "0.50 images/s after 2.0 s of starting" in ended.out


def test_the_report_is_json_in_a_file_and_on_request_on_the_output(
    asked: list[tuple[Config, IngestRequest]], tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    ended = glyphseek("ingest", str(tmp_path), "-c", "signs", "--report", file, "--json")

    assert json.loads(ended.out) == json.loads(file.read_text()) == REPORT.as_json() | {"refused": []}
    assert json.loads(ended.out)["images_per_second"] == 0.5


def test_photos_left_out_are_told_and_end_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = tuple(Skip(name=f"{n}.jpg", kind="ImageUnreadable", message="damaged JPEG") for n in range(7))
    put_job(monkeypatch, lambda: replace(REPORT, refused=refused))
    ended = glyphseek("ingest", ".", "-c", "signs")

    assert ended.code == 3
    assert "left out: 0.jpg: ImageUnreadable: damaged JPEG" in ended.err
    assert "and 2 more" in ended.err


def test_a_job_that_ended_early_says_why_and_ends_with_4(monkeypatch: pytest.MonkeyPatch) -> None:
    put_job(monkeypatch, lambda: replace(REPORT, outcome=Outcome.FAILED, message="Milvus is gone; run again to go on"))
    ended = glyphseek("ingest", ".", "-c", "signs")

    assert ended.code == 4
    assert "ended early: Milvus is gone; run again to go on" in ended.err


def test_an_error_before_the_job_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> IngestReport:
        raise ModelMismatch("the collection was written by another model")

    put_job(monkeypatch, fail)
    ended = glyphseek("ingest", ".", "-c", "signs")

    assert ended.code == 1
    assert "ModelMismatch: the collection was written by another model" in ended.err


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "glyphseek_indexer.app", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    ended = glyphseek("ingest", ".", "-c", "signs")

    assert ended.code == 1
    assert "MissingExtra" in ended.err
    assert "glyphseek[serve]" in ended.err


@pytest.mark.parametrize("words", [["--readers", "0"], ["--batch-images", "5000"], ["--gpus", "65"]])
def test_impossible_numbers_are_refused(asked: list[tuple[Config, IngestRequest]], words: list[str]) -> None:
    ended = glyphseek("ingest", ".", "-c", "signs", *words)

    assert ended.code == 2
    assert asked == []
