"""Tests without a server are left out with the reason, unless it is one that must be there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from contracts.stores import REQUIRED, found
from integration.servers import Server, ServerMissing

ROOT = Path(__file__).parents[2]


def _missing_milvus() -> Server:
    raise ServerMissing("milvus", "it did not answer in 120 s")


@pytest.mark.parametrize("required", ["", "minio", "milvus-lite, minio"])
def test_a_test_whose_server_is_missing_is_skipped_with_the_reason(required: str) -> None:
    with pytest.raises(pytest.skip.Exception, match="milvus: it did not answer in 120 s"):
        found(_missing_milvus, {REQUIRED: required})


@pytest.mark.parametrize("required", ["milvus", "minio, milvus"])
def test_a_test_fails_without_a_server_that_is_required(required: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=rf"milvus: it did not answer in 120 s \({REQUIRED} is {required}"):
        found(_missing_milvus, {REQUIRED: required})


def test_what_runs_in_ci_fails_where_neither_milvus_nor_minio_is_installed(tmp_path: Path) -> None:
    (tmp_path / "make").write_text('#!/bin/sh\necho "target $1"\nexec "$PYTHON" -c "$CODE"\n')
    (tmp_path / "make").chmod(0o755)
    code = (
        "from contracts.stores import found\n"
        "from integration.servers import shared_milvus, shared_minio\n"
        "for server in (shared_milvus, shared_minio):\n"
        "    try:\n"
        "        found(server)\n"
        "    except BaseException as error:\n"
        "        print(type(error).__name__, error)\n"
    )
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("tests", "shared")),
        "CODE": code,
        "GLYPHSEEK_SERVERS": str(tmp_path),
    }
    environment.pop(REQUIRED, None)
    ended = subprocess.run([ROOT / ".ci" / "run"], env=environment, capture_output=True, text=True, timeout=100)
    said = ended.stdout.splitlines()
    assert said[0] == "target test", ended.stderr
    assert [line.partition(" is not installed")[0] for line in said[1:]] == [
        "Failed milvus: Milvus",
        "Failed minio: MinIO",
    ]
