"""Servers that tests may kill, and what services said when a test failed."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from contracts.stores import found
from integration.deployment import Deployed
from integration.servers import Server, start_milvus


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of a deployment to what is told of a test that failed on it."""
    report = yield
    deployment = item.funcargs.get("deployment") if isinstance(item, pytest.Function) else None
    if report.failed and isinstance(deployment, Deployed):
        report.sections.append(("services", deployment.read_logs()))
    return report


@pytest.fixture(scope="module")
def own_milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Milvus that no test of another module relies on to keep running.

    Started again after a kill, it waits until the leases of its former parts are over: 10 s, where 30 are usual.
    """
    server = found(lambda: start_milvus(tmp_path_factory.mktemp("milvus"), "common.session.ttl=10"))
    yield server
    server.kill()
