"""Calls of a load test: searches over HTTP and gRPC, and photos that are added."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import quote

import grpc
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from prometheus_client.parser import text_string_to_metric_families

from glyphseek.api.v1 import ingest_service_pb2 as ingest
from glyphseek.api.v1 import search_service_pb2 as search
from glyphseek.api.v1.ingest_service_pb2_grpc import IngestServiceStub
from glyphseek.api.v1.search_service_pb2_grpc import SearchServiceStub
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.wire_errors import DETAILS_KEY, FailedCall

ADDED_PREFIX = "load-"
"""How the ids of photos begin that a load adds."""

HITS = 10
"""How many hits are asked for."""

_PATIENCE_S = 30.0
_CONNECTIONS = 512
_STAGES = ("encode_ms", "recall_ms", "fetch_ms", "rerank_ms", "match_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One query."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request: hits in order, or an error; refused when there were too many."""

    image_ids: tuple[str, ...] = ()
    stages_ms: Mapping[str, float] = field(default_factory=dict[str, float])
    degraded: tuple[str, ...] = ()
    error: str = ""
    is_refused: bool = False
    tells_when_to_retry: bool = False


class Caller(Protocol):
    """One way to ask."""

    @property
    def kind(self) -> str:
        """Return the name that figures are kept under."""
        ...

    def search(self, question: Question) -> Outcome:
        """Return what became of the question; never raises."""
        ...


class HttpCaller:
    """Asks over HTTP."""

    kind = "http"

    def __init__(self, url: str, collection: str, *, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = HTTPClient.from_url(
            url,
            concurrency=_CONNECTIONS,
            headers=headers,
            connection_timeout=_PATIENCE_S,
            network_timeout=_PATIENCE_S,
        )
        self._path = f"/v1/collections/{collection}/search?page_size={HITS}&q="

    def search(self, question: Question) -> Outcome:
        """Return what became of the question; never raises."""
        try:
            answer = self._client.get(self._path + quote(question.text))
            body: dict[str, Any] = json.loads(answer.read() or b"{}")
        except (OSError, ValueError, HTTPParseError) as error:
            return Outcome(error=f"{type(error).__name__}: {error}")
        return read_http_answer(answer.status_code, str(answer.get("retry-after", "")), body)


class GrpcCaller:
    """Asks over gRPC."""

    kind = "grpc"

    def __init__(self, address: str, collection: str, *, key: str) -> None:
        endpoint = Endpoint.parse(address)
        self._stub = SearchServiceStub(grpc.insecure_channel(endpoint.address))
        self._collection = collection
        self._metadata = _metadata(endpoint, key)

    def search(self, question: Question) -> Outcome:
        """Return what became of the question; never raises."""
        request = search.SearchRequest(collection=self._collection, query=question.text, page_size=HITS)
        try:
            answer = self._stub.Search(request, timeout=_PATIENCE_S, metadata=self._metadata)
        except grpc.RpcError as error:
            return read_grpc_error(cast(FailedCall, error))
        return Outcome(
            image_ids=tuple(hit.image.image_id for hit in answer.hits),
            stages_ms={stage: getattr(answer.timings, stage) for stage in _STAGES},
            degraded=tuple(part.stage for part in answer.degraded),
        )


class PhotoAdder:
    """Adds photos of a folder under ids of its own, again and again, and removes them in the end."""

    def __init__(self, address: str, collection: str, folder: Path, *, key: str) -> None:
        endpoint = Endpoint.parse(address)
        self._stub = IngestServiceStub(grpc.insecure_channel(endpoint.address))
        self._collection = collection
        self._photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        self._metadata = _metadata(endpoint, key)
        self._numbers = count()
        self._added: list[str] = []
        self._lock = threading.Lock()

    def add_next(self) -> tuple[str, Outcome]:
        """Add one photo; its content is made its own by a byte behind the end, so that it is encoded each time."""
        number = next(self._numbers)
        image_id = f"{ADDED_PREFIX}{number}"
        photo = self._photos[number % len(self._photos)].read_bytes() + f"load {number}".encode()
        request = ingest.AddImagesRequest(collection=self._collection, image_id=image_id, content=photo)
        try:
            answers = list(self._stub.AddImages(iter([request]), timeout=_PATIENCE_S, metadata=self._metadata))
        except grpc.RpcError as error:
            return image_id, read_grpc_error(cast(FailedCall, error))
        if len(answers) != 1:
            return image_id, Outcome(error=f"{len(answers)} answers to one photo")
        (answer,) = answers
        if answer.outcome == ingest.AddImagesResponse.OUTCOME_REFUSED:
            return image_id, Outcome(error=f"{answer.failure_kind}: {answer.failure_message}")
        with self._lock:
            self._added.append(image_id)
        return image_id, Outcome()

    def remove_added(self) -> None:
        """Remove what was added."""
        for ids in _chunks(self._added, 500):
            request = ingest.DeleteImagesRequest(collection=self._collection, image_ids=ids)
            self._stub.DeleteImages(request, timeout=_PATIENCE_S, metadata=self._metadata)


def read_counts(url: str) -> dict[str, float]:
    """Return the counters of the deployment by name and service; none where nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return {}
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = f"{sample.name} {sample.labels.get('service', '')}"
            found[name] = found.get(name, 0.0) + sample.value
    return found


def read_http_answer(status: int, retry_after: str, body: Mapping[str, Any]) -> Outcome:
    """Return what became of a search over HTTP; an answer of another form is an error."""
    if status == 429:
        return Outcome(error="429", is_refused=True, tells_when_to_retry=retry_after.isdigit())
    try:
        if status != 200:
            return Outcome(error=f"{status} {body.get('title', '')}")
        return Outcome(
            image_ids=tuple(hit["image"]["image_id"] for hit in body["hits"]),
            stages_ms={stage: body["timings"][stage] for stage in _STAGES},
            degraded=tuple(part["stage"] for part in body["degraded"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        return Outcome(error=f"{status} with a body of another form: {type(error).__name__}: {error}")


def read_grpc_error(failed: FailedCall) -> Outcome:
    """Return what became of a call that ended with a status."""
    return Outcome(
        error=failed.code().name,
        is_refused=failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED,
        tells_when_to_retry=_has_retry_info(failed),
    )


def _metadata(endpoint: Endpoint, key: str) -> list[tuple[str, str]]:
    application = [("application", endpoint.application)] if endpoint.application else []
    return [*application, *([("authorization", f"Bearer {key}")] if key else [])]


def _has_retry_info(failed: FailedCall) -> bool:
    """Return whether the details hold a RetryInfo with a time to wait."""
    retry = RetryInfo()
    for name, value in failed.trailing_metadata() or ():
        if name != DETAILS_KEY or not isinstance(value, bytes):
            continue
        try:
            details = Status.FromString(value).details
        except DecodeError:
            return False
        if any(detail.Unpack(retry) for detail in details):
            return retry.retry_delay.ToMilliseconds() > 0
    return False


def _chunks(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
