"""`glyphseek serve` as a user starts it, over a real Milvus and a real S3 server, and ended with all it began."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from contracts.stores import found, make_s3_settings, milvus_uri
from integration.servers import find_free_ports, shared_minio

COMMAND = (sys.executable, "-c", "from glyphseek.cli import main; main()", "serve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What was started: the process, its environment, and a name that all its processes carry."""

    process: subprocess.Popen[str]
    environment: Mapping[str, str]
    mark: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port('HTTP_PORT')}"

    def port(self, name: str) -> int:
        return int(self.environment[f"GLYPHSEEK_{name}"])

    def processes(self, text: str = "") -> dict[int, str]:
        """Return the processes of this deployment whose command has the text, however they were started."""
        found: dict[int, str] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if command and self.mark.encode() in (folder / "environ").read_bytes() and text in command:
                    found[int(folder.name)] = command
        return found

    def kill(self, text: str) -> list[int]:
        """Kill the processes whose command has the text, as a lost machine would; return their ids."""
        pids = list(self.processes(text))
        assert pids, self.processes()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return pids

    def end_cleanly(self, how: signal.Signals) -> None:
        """Ask it to end: it must, with everything it started, and its ports are free again."""
        self.process.send_signal(how)
        assert self.process.wait(90) == 0
        wait_until(lambda: not self.processes(), seconds=20)
        for name in ("HTTP_PORT", "GRPC_PORT", "METRICS_PORT"):
            socket.create_server(("127.0.0.1", self.port(name))).close()


def make_environment(**other: str) -> tuple[dict[str, str], str]:
    """Return an environment with a bucket, a tenant and ports of its own, and the mark that it carries."""
    mark = f"serve{uuid4().hex[:10]}"
    s3 = make_s3_settings(found(shared_minio), bucket=mark)
    milvus = milvus_uri()
    ports = find_free_ports(6)  # after the servers have theirs
    values = {
        "MILVUS_URI": milvus,
        "MILVUS_INDEX": "FLAT",
        "MILVUS_TIMEOUT_S": "30",
        "TENANT": mark,
        "S3_ENDPOINT": s3.endpoint,
        "S3_BUCKET": mark,
        "S3_ACCESS_KEY": s3.access_key,
        "S3_SECRET_KEY": s3.secret_key,
        "MODELS": "tdsl-small",
        "HTTP_PORT": str(ports),
        "GRPC_PORT": str(ports + 1),
        "METRICS_PORT": str(ports + 2),
        **{name: f"127.0.0.1:{ports + 3 + place}" for place, name in enumerate(("ENCODER", "RERANKER", "MATCHER"))},
        "MATCH_S": "10",
        "ENCODE_S": "20",
        **other,
    }
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return environment | {f"GLYPHSEEK_{name}": value for name, value in values.items()}, mark


@contextmanager
def started(folder: Path, *options: str, **settings: str) -> Generator[Running]:
    """Start, wait until it says that it is ready, and end it however the block ends."""
    environment, mark = make_environment(**settings)
    arguments = (*COMMAND, "--make-bucket", "--logs", str(folder), *options)
    process = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    running = Running(process=process, environment=environment, mark=mark)
    try:
        assert running.url in _read_until(process, "ready;")
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        for pid in running.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def wait_until(is_so: Callable[[], bool], *, seconds: float = 60, pause_s: float = 0.2) -> None:
    """Return when it is so. Raises AssertionError when it is not in time."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(pause_s)


def _read_until(process: subprocess.Popen[str], word: str) -> str:
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if line.startswith(word):
            return said
    raise AssertionError(f"it ended: {said}")
