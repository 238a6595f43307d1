"""Servers that tests may kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contracts.stores import found
from integration.servers import Server, start_milvus


@pytest.fixture(scope="session")
def own_milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Milvus that no test relies on to keep running."""
    server = found(lambda: start_milvus(tmp_path_factory.mktemp("milvus")))
    yield server
    server.kill()
