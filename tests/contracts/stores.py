"""Cards, records and servers that the contract suites share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from uuid import uuid4

import numpy as np
import pytest
from integration.servers import ACCESS_KEY, SECRET_KEY, Server, ServerMissing, shared_milvus

from glyphseek.features.s3 import S3Settings
from glyphseek.types import Calibration, FeatureKind, FloatArray, ImageRecord, ModelCard

REQUIRED = "GLYPHSEEK_REQUIRE_SERVERS"


def make_card(
    *,
    width: int = 8,
    name: str = "tiny",
    fingerprint: str = "ab" * 16,
    kind: FeatureKind = FeatureKind.INSTANCES,
) -> ModelCard:
    return ModelCard(
        name=name,
        method="tdsl",
        fingerprint=fingerprint,
        vector_width=width,
        features=frozenset({kind}),
        alphabet="abc",
        max_query_characters=20,
        understands_meaning=False,
        calibration=Calibration(slope=1, offset=0, threshold=0.5),
    )


def make_record(image_id: str, *, instances: int = 1, names: Sequence[str] | None = None) -> ImageRecord:
    return ImageRecord(
        image_id=image_id,
        content_hash=f"hash-of-{image_id}",
        names=(f"photos/{image_id}.jpg",) if names is None else tuple(names),
        width=640,
        height=480,
        instance_count=instances,
    )


def axis(place: int, *, scale: float = 1.0, width: int = 8) -> FloatArray:
    """Return `scale` times the unit vector along one axis: its inner products are exact."""
    vector = np.zeros(width, dtype=np.float32)
    vector[place] = scale
    return vector


def rows(*vectors: FloatArray, width: int = 8) -> FloatArray:
    return np.stack(vectors) if vectors else np.empty((0, width), dtype=np.float32)


def milvus_uri() -> str:
    """Return the address of the Milvus that all tests share; skip the test, with the reason, when there is none."""
    return f"http://127.0.0.1:{found(shared_milvus).port}"


def make_s3_settings(server: Server, *, bucket: str | None = None, port: int | None = None) -> S3Settings:
    """Return settings of a bucket that nobody else uses, unless it is named; `port` is that of a proxy, if any."""
    return S3Settings(
        endpoint=f"http://127.0.0.1:{port or server.port}",
        bucket=bucket or f"b{uuid4().hex}",
        prefix="some/prefix/",
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
    )


def found(server: Callable[[], Server], environment: Mapping[str, str] | None = None) -> Server:
    """Return a server, or skip the test and say why it could not be started.

    The test fails instead where GLYPHSEEK_REQUIRE_SERVERS of the environment, this process' own unless given, names the
    server: `milvus,minio` where tests count for nothing without them.
    """
    try:
        return server()
    except ServerMissing as error:
        required = (os.environ if environment is None else environment).get(REQUIRED, "")
        told = f"{error.server}: {error}"
        if error.server in [name.strip() for name in required.split(",")]:
            pytest.fail(f"{told} ({REQUIRED} is {required})")
        pytest.skip(told)
