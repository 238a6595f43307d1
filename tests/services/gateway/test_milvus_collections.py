"""Collections on a Milvus that does not answer yet; on one that does, see test_real_stores."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from glyphseek.deadlines import deadline_bound
from glyphseek.errors import StoreUnavailable
from glyphseek.vectors.milvus_generations import MilvusGenerations
from glyphseek.vectors.milvus_settings import MilvusSettings
from glyphseek_gateway.milvus_collections import MilvusCollections


def test_who_waits_for_another_thread_to_connect_waits_no_longer_than_its_caller() -> None:
    began, may_end = threading.Event(), threading.Event()
    attempts: list[str] = []

    def connect(settings: MilvusSettings) -> MilvusGenerations:
        attempts.append(settings.uri)
        began.set()
        assert may_end.wait(20)
        raise StoreUnavailable("no Milvus there")

    collections = MilvusCollections(MilvusSettings(uri="http://127.0.0.1:1"), connect=connect)
    assert attempts == []
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(collections.list)
        assert began.wait(20)
        with deadline_bound(time.monotonic() + 0.05), pytest.raises(StoreUnavailable, match="still being connected to"):
            collections.current("signs")
        may_end.set()
        with pytest.raises(StoreUnavailable, match="no Milvus there"):
            first.result(20)
    with pytest.raises(StoreUnavailable, match="no Milvus there"):
        collections.list()
    assert len(attempts) == 2
    collections.close()
