"""How tests are shared out to workers, and which of them may be tried a second time."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from integration.servers import stop_shared
from xdist.dsession import LoadFileScheduling
from xdist.remote import Producer

TESTS = Path(__file__).parent
OTHER_PROCESSES = ("integration", "serving")
"""Folders of tests that ask servers or services of their own, and measure how long those take."""
MILVUS = (
    "cli/test_deployed.py",
    "contracts/test_vector_stores.py",
    "integration/test_gallery_faults.py",
    "integration/test_milvus_faults.py",
    "services/gateway/test_real_stores.py",
    "vectors/test_milvus_generations.py",
    "vectors/test_milvus_server.py",
)
"""Files whose tests share a Milvus: one worker runs them: with ten galleries it takes a third of a core at rest."""
SLOW = ("training/", "end_to_end/", "integration/", "serving/", "cli/", "models/", "load_tests/", "datasets/")
"""Where files that take long are: they begin early, so that no worker is left alone with one at the end."""


class ByFileAndServer(LoadFileScheduling):
    """Gives each worker whole files, and to one worker all files that share a Milvus."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "milvus" if file.removeprefix("tests/") in MILVUS else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFileAndServer | None:
    """Return the scheduler for whole files, nothing for other kinds."""
    return ByFileAndServer(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long first, and let what depends on other processes be tried again, once."""
    items.sort(key=_place)
    for item in items:
        if _file_of(item).startswith(tuple(f"{folder}/" for folder in OTHER_PROCESSES)):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Stop the shared Milvus after each file that needs it: the more galleries one keeps, the slower it is."""
    yield
    if _file_of(item) in MILVUS and (nextitem is None or nextitem.path != item.path):
        stop_shared("milvus")


def _place(item: pytest.Item) -> int:
    file = _file_of(item)
    return 0 if file in MILVUS else 1 if file.startswith(SLOW) else 2


def _file_of(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).as_posix()
