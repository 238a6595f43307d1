"""All four services as real processes, over servers of their own that tests may kill, slow down and make sick.

Each service is what its users start, `python -m glyphseek_<name> --config FILE`, on a loopback port that nobody uses.
It dies with this process however that ends. Blobs are reached through a proxy.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import httpx
from integration.proxy import Proxy
from integration.servers import ACCESS_KEY, SECRET_KEY, Server, die_with_parent, find_free_ports

from glyphseek.cli.deployed import verify_collection
from glyphseek.client import Client, ClientSettings
from glyphseek.config import Config
from glyphseek.deployment import open_features
from glyphseek.errors import GlyphseekError, ServiceError
from glyphseek.features.s3 import S3FeatureStore, S3Settings
from glyphseek.features.s3.buckets import make_bucket
from glyphseek.indexing import VerifyReport
from glyphseek.rpc.client import Client as Caller
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.health import check_health

T = TypeVar("T")

PATIENCE_S = 150.0
_BUCKET = "faults"


class ServiceProcess:
    """One service; after `kill` it can be started again at the same place."""

    def __init__(self, name: str, config: Path, port: int) -> None:
        """`port` is that of its gRPC."""
        self.name = name
        self._endpoint = Endpoint(host="127.0.0.1", port=port)
        self._config = config
        self._log = config.with_name(f"{name}.log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it answers some seconds later."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GLYPHSEEK_")}
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"glyphseek_{self.name}", "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environment, "OMP_NUM_THREADS": "1"},
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def kill(self) -> None:
        """Kill the process as a lost machine would; callers learn of it from their connections."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process as an orderly shutdown does."""
        self._end(signal.SIGTERM)

    @property
    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def is_ready(self) -> bool:
        """Return whether the service says so itself."""
        with Caller(self._endpoint, service=self.name) as caller:
            try:
                check_health(caller, timeout_s=2)
            except ServiceError:
                return False
        return True

    def read_log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """Services that work together, however they were started. `config_file` is what they read.

    `direct` reaches S3 beside the proxy. application: what the gateway is called behind Ray Serve's gRPC proxy.
    """

    proxy: Proxy
    config: Config
    config_file: Path
    direct: Config
    application: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.config.http_port}"

    def client(self, collection: str = "", *, timeout_s: float = 60.0, attempts: int = 1) -> Client:
        """Return a client over HTTP that tells every failure, unless it may make more `attempts`."""
        settings = ClientSettings(url=self.url, collection=collection, timeout_s=timeout_s, attempts=attempts)
        return Client(self.url, settings=settings)

    def caller(self) -> Caller:
        """Return a client over gRPC."""
        endpoint = Endpoint(host="127.0.0.1", port=self.config.grpc_port, application=self.application)
        return Caller(endpoint, service="gateway")

    def wait_until_ready(self) -> None:
        """Return when the gateway says that all parts work. Raises AssertionError with what is missing, and logs."""
        report: object = None
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and not self.has_ended():
            report = self.read_report()
            if isinstance(report, dict) and all(one["is_ready"] for one in report["dependencies"]):
                return
            time.sleep(0.3)
        raise AssertionError(f"not ready: {json.dumps(report)}\n{self.read_logs()}")

    def has_ended(self) -> bool:
        """Return whether a process that should run does not."""
        return False

    def read_report(self) -> dict[str, list[dict[str, object]]] | None:
        """Return what /readyz tells, nothing when the gateway does not answer."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10).json()
        except (httpx.HTTPError, ValueError):
            return None

    def read_logs(self) -> str:
        """Return the end of what the services said."""
        return ""

    def verify(self, collection: str) -> VerifyReport:
        """Return what `glyphseek verify --collection` finds."""
        return verify_collection(collection, self._write_direct())

    @contextmanager
    def features(self) -> Generator[S3FeatureStore]:
        """Yield the blobs, for changes behind the system's back."""
        with closing(open_features(self.direct)) as store:
            yield store

    def _write_direct(self) -> Path:
        path = self.config_file.with_name("direct.json")
        path.write_text(json.dumps(told(self.direct)))
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(Deployed):
    """Plain processes, over servers that belong to them alone."""

    milvus: Server
    s3: Server
    services: Mapping[str, ServiceProcess]

    def restart(self, name: str) -> None:
        """Start a service that was killed, and wait until it and all others are ready."""
        service = self.services[name]
        service.start()
        eventually(service.is_ready, lambda is_ready: is_ready or service.has_ended)
        self.wait_until_ready()

    def has_ended(self) -> bool:
        """Return whether a service that should run does not."""
        return any(one.has_ended for one in self.services.values())

    def read_logs(self) -> str:
        """Return the end of what the services said."""
        return "\n".join(f"--- {name}\n{one.read_log()[-3000:]}" for name, one in self.services.items())


@contextmanager
def deployed(
    root: Path, milvus: Server, s3: Server, *, models: tuple[str, ...], **settings: float
) -> Generator[Deployment]:
    """Run a deployment inside the block: on a failure its logs are in the error, and at the end nothing is left.

    `settings` are those of `Config` that are numbers.
    """
    eventually(lambda: make_bucket(_bucket_of(s3)), lambda _: True)
    root.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(s3.port))
        first = find_free_ports(5)
        config = Config(
            milvus_uri=f"http://127.0.0.1:{milvus.port}",
            milvus_index="FLAT",
            milvus_timeout_s=20,
            s3_endpoint=f"http://127.0.0.1:{proxy.port}",
            s3_bucket=_BUCKET,
            s3_access_key=ACCESS_KEY,
            s3_secret_key=SECRET_KEY,
            models=models,
            cache_bytes=0,  # every search reads every blob: nothing hides a fault
            encoder=f"127.0.0.1:{first}",
            reranker=f"127.0.0.1:{first + 1}",
            matcher=f"127.0.0.1:{first + 2}",
            http_port=first + 3,
            grpc_port=first + 4,
            metrics_port=0,
            **settings,  # pyright: ignore[reportArgumentType] - numbers, checked by Config
        )
        config_file = root / "config.json"
        config_file.write_text(json.dumps(told(config)))
        ports = {"encoder": first, "reranker": first + 1, "matcher": first + 2, "gateway": first + 4}
        services = {name: ServiceProcess(name, config_file, port) for name, port in ports.items()}
        direct = replace(config, s3_endpoint=f"http://127.0.0.1:{s3.port}")
        deployment = Deployment(
            milvus=milvus,
            s3=s3,
            proxy=proxy,
            config=config,
            config_file=config_file,
            direct=direct,
            services=services,
        )
        for one in services.values():
            stack.callback(one.kill)
            one.start()
        deployment.wait_until_ready()
        yield deployment


def told(config: Config) -> dict[str, object]:
    """Return the settings of a configuration as a file has them, secrets included."""
    return {name.removeprefix("GLYPHSEEK_").lower(): value for name, value in config.as_environment().items() if value}


def eventually(
    ask: Callable[[], T], is_right: Callable[[T], bool], *, patience_s: float = PATIENCE_S, pause_s: float = 0.3
) -> T:
    """Return the first answer that is right; after the patience the last one, or what was raised last."""
    end = time.monotonic() + patience_s
    while True:
        try:
            answer = ask()
            if is_right(answer) or time.monotonic() > end:
                return answer
        except GlyphseekError:
            if time.monotonic() > end:
                raise
        time.sleep(pause_s)


def _bucket_of(s3: Server) -> S3Settings:
    return S3Settings(
        endpoint=f"http://127.0.0.1:{s3.port}", bucket=_BUCKET, access_key=ACCESS_KEY, secret_key=SECRET_KEY
    )
