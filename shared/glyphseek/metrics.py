"""All metrics, each with a sentence; the same names in one process and in many.

Services are many processes, and each counts for itself. With `PROMETHEUS_MULTIPROC_DIR` naming a folder of the node,
set before a process starts, prometheus-client keeps the counts in files there, and whichever process of the node holds
the documented port answers for all of them: one place to scrape a node. What a process has counted stays when it ends;
what it held at that moment, such as requests in flight or models, goes with it. Files are named after process ids, so
processes that do not see each other, as those of two containers, must not share a folder.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import ValueClass

from glyphseek.errors import SettingError

# A search takes 10 to 100 ms, a hop 1 to 5, and what is past its deadline seconds.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_LOG = logging.getLogger(__name__)
_HELD_NOW = re.compile(r"gauge_live[a-z]*_(\d+)\.db")
_RATIOS = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


class Metrics:
    """The metrics of one process; built once, where the process is put together."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """`registry` keeps them; a new one unless given."""
        self.registry = registry or CollectorRegistry()
        self.requests = self._counter("requests", "Requests answered, by status.", "service", "method", "code")
        self.request_seconds = self._histogram(
            "request_seconds", "Time from the arrival of a request to its answer.", _SECONDS, "service", "method"
        )
        self.requests_in_flight = self._gauge("requests_in_flight", "Requests being answered.", "service")
        self.rejected_requests = self._counter(
            "rejected_requests", "Requests refused because too many were there.", "service", "method"
        )
        self.errors = self._counter("errors", "Requests that failed, by kind of error.", "service", "kind")
        self.queue_items = self._gauge("queue_items", "Requests waiting for a thread.", "service")
        self.running_items = self._gauge("running_items", "Requests at work in a thread.", "service")
        self.batch_queue_items = self._gauge(
            "batch_queue_items", "Items waiting for a batch of a model.", "service", "model", "fingerprint"
        )
        self.queue_seconds = self._histogram(
            "queue_seconds", "Time spent waiting for a batch or a thread.", _SECONDS, "service"
        )
        self.batch_items = self._histogram("batch_items", "Items of one batch.", _ITEMS, "service", "operation")
        self.inference_seconds = self._histogram(
            "inference_seconds", "Time inside the model for one batch.", _SECONDS, "service", "operation"
        )
        self.stage_seconds = self._histogram("stage_seconds", "Time of one stage of a search.", _SECONDS, "stage")
        self.fetch_seconds = self._histogram(
            "fetch_seconds", "Time until all blobs of a request were open.", _SECONDS, "service"
        )
        self.fetched_bytes = self._counter("fetched_bytes", "Bytes of blobs read from the store.", "service")
        self.cache_hits = self._counter("cache_hits", "Blobs that were in the cache when asked for.", "service")
        self.cache_misses = self._counter("cache_misses", "Blobs that were not in the cache.", "service")
        self.coverage_ratio = self._histogram(
            "coverage_ratio", "Share of the images of a request that could be scored.", _RATIOS, "service"
        )
        self.blob_faults = self._counter("blob_faults", "Blobs that could not be used.", "service", "reason")
        self.searches = self._counter("searches", "Searches answered, by whether any hit was confident.", "confident")
        self.degraded_answers = self._counter("degraded_answers", "Searches answered without all of a stage.", "stage")
        self.images = self._counter("images", "Images sent to be added, by what became of them.", "outcome")
        self.ingest_seconds = self._histogram(
            "ingest_seconds", "Time of one step of a bulk job for one photo, its share of the batch.", _SECONDS, "step"
        )
        self.model_info = self._gauge(
            "model_info", "1 for each model that is loaded.", "service", "model", "method", "fingerprint"
        )

    def expose(self) -> bytes:
        """Return the metrics as Prometheus reads them: of all processes of the node, or else of this one."""
        return generate_latest(_registry_of_node() or self.registry)

    def note_model(self, service: str, *, name: str, method: str, fingerprint: str) -> None:
        """Say that a service has a model loaded."""
        self.model_info.labels(service, name, method, fingerprint).set(1)

    def queue(self, service: str) -> QueueMetrics:
        """Return what counts the requests of one kind that wait for threads and are at work in them."""
        return QueueMetrics(
            self.queue_items.labels(service), self.running_items.labels(service), self.queue_seconds.labels(service)
        )

    def note_search(self, *, confident: bool, missing: Iterable[str]) -> None:
        """Count an answered search; `missing` are the stages that did not score all they were given."""
        self.searches.labels("true" if confident else "false").inc()
        for stage in set(missing):
            self.degraded_answers.labels(stage).inc()

    @contextmanager
    def measure(self, histogram: Histogram, *labels: str) -> Generator[None]:
        """Add the time of the block to a histogram of seconds, also when it fails."""
        started = time.perf_counter()
        try:
            yield
        finally:
            histogram.labels(*labels).observe(time.perf_counter() - started)

    def _counter(self, name: str, sentence: str, *labels: str) -> Counter:
        return Counter(f"glyphseek_{name}", sentence, labels, registry=self.registry)

    def _gauge(self, name: str, sentence: str, *labels: str) -> Gauge:
        return Gauge(f"glyphseek_{name}", sentence, labels, registry=self.registry, multiprocess_mode="livesum")

    def _histogram(self, name: str, sentence: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"glyphseek_{name}", sentence, labels, buckets=buckets, registry=self.registry)


class QueueMetrics:
    """How many requests wait for a thread and are at work in one, and how long they waited."""

    def __init__(self, waiting: Gauge, running: Gauge, seconds: Histogram) -> None:
        self._waiting = waiting
        self._running = running
        self._seconds = seconds

    def enter(self) -> None:
        """Count a request that begins to wait; `begin` or `give_up` is its next step."""
        self._waiting.inc()

    def give_up(self) -> None:
        """Count a request that waits no more and is never worked on."""
        self._waiting.dec()

    def begin(self, waited_s: float) -> None:
        """Count a request that is at work now."""
        self._waiting.dec()
        self._running.inc()
        self._seconds.observe(waited_s)

    def end(self) -> None:
        """Count a request whose work has ended."""
        self._running.dec()


def serve_metrics(metrics: Metrics, *, port: int, host: str = "127.0.0.1", retry_s: float = 5.0) -> Callable[[], None]:
    """Answer Prometheus on the port of the node, and return what stops it. Port 0 does nothing.

    Where counts are shared by the node, another process may hold the port and answers for this one too; then this one
    tries again every `retry_s` seconds, and takes over when the other ends. Raises SettingError for a host or port that
    this machine cannot listen at.
    """
    if port == 0:
        return lambda: None
    door = _Door(metrics, host, port)
    if door.open():
        return door.close
    _LOG.info("metrics_port_taken port=%d", port)
    stopped = threading.Event()

    def keep_trying() -> None:
        while not stopped.wait(retry_s) and not door.open():
            continue

    thread = threading.Thread(target=keep_trying, name="metrics", daemon=True)
    thread.start()

    def stop() -> None:
        stopped.set()
        thread.join()
        door.close()

    return stop


class _Door:
    """The port of the node, held by one process at a time."""

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        self._metrics = metrics
        self._host, self._port = host, port
        self._server: tuple[WSGIServer, threading.Thread] | None = None

    def open(self) -> bool:
        """Listen, and return whether that worked."""
        try:
            registry = _registry_of_node() or self._metrics.registry
            self._server = start_http_server(self._port, addr=self._host, registry=registry)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise SettingError(f"metrics cannot be had at {self._host}:{self._port}: {error.strerror}") from error
        return True

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join()


class _NodeCollector(MultiProcessCollector):
    """Reads the counts of every process of the node, and what those hold that are still there."""

    def collect(self) -> Iterable[Metric]:
        """Return all metrics as they are now."""
        _forget_the_dead(Path(self._path))
        return super().collect()


def _forget_the_dead(folder: Path) -> None:
    """Remove what processes held that ended without a word: prometheus-client wants to be told, and nobody else is."""
    for file in folder.iterdir():
        found = _HELD_NOW.fullmatch(file.name)
        if found is not None and not _is_alive(int(found[1])):
            with suppress(FileNotFoundError):  # another process answers for the node at the same moment
                file.unlink()


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _registry_of_node() -> CollectorRegistry | None:
    """Return what reads the counts of every process of the node, or None where this process counts alone."""
    if ValueClass.__name__ != "MmapedValue":  # prometheus-client chose when it was imported
        return None
    registry = CollectorRegistry()
    _NodeCollector(registry)
    return registry
