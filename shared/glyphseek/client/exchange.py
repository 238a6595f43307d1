"""What both clients do around a request: headers, when to ask again, errors in this library's words."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from glyphseek import __version__
from glyphseek.client.requests import Ask
from glyphseek.client.settings import ClientSettings
from glyphseek.errors import (
    DeadlineExceeded,
    GlyphseekError,
    MissingExtra,
    Overloaded,
    ServiceUnavailable,
    StoreUnavailable,
)
from glyphseek.rpc.problems import error_of_problem

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


def headers_of(settings: ClientSettings) -> dict[str, str]:
    """Return the headers of every request."""
    key = {"Authorization": f"Bearer {settings.key}"} if settings.key else {}
    return {"User-Agent": f"glyphseek/{__version__}", **key}


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request with all of its attempts, which share an id and a deadline."""

    settings: ClientSettings
    ask: Ask[Any]
    now_s: float
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    attempt: int = 0
    _ends_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._ends_s = self.now_s + (self.settings.upload_timeout_s if self.ask.is_upload else self.settings.timeout_s)

    def arguments(self, now_s: float) -> dict[str, Any]:
        """Return what httpx is told for the next attempt. Raises DeadlineExceeded when no time is left."""
        left_s = self._ends_s - now_s
        if left_s <= 0:
            raise DeadlineExceeded(f"{self.settings.url} did not answer in time")
        self.attempt += 1
        ask = self.ask
        arguments: dict[str, Any] = {
            "method": ask.method,
            "url": ask.path,
            "params": ask.query,
            "timeout": left_s,
            "headers": {"X-Request-Id": self.request_id, "X-Deadline-Ms": str(max(1, int(1000 * left_s)))},
        }
        if ask.files:
            return {**arguments, "files": ask.files, "data": ask.form}
        return arguments if ask.json is None else {**arguments, "json": ask.json}

    def read(self, response: httpx.Response) -> Any:  # noqa: ANN401 - what the request's own reader makes of it
        """Return the answer. Raises the error that the server raised."""
        if response.is_success:
            if self.ask.is_binary:
                return self.ask.read(response.content)
            return self.ask.read(response.json() if response.content else None)
        raise self._error_of(response)

    def wait_s(self, error: GlyphseekError, now_s: float) -> float | None:
        """Return how long to wait before asking again; None when that would not help, or there is no time for it."""
        is_refused = isinstance(error, Overloaded)
        is_lost = isinstance(error, ServiceUnavailable | StoreUnavailable) and self.ask.is_safe_to_repeat
        if self.attempt >= self.settings.attempts or not (is_refused or is_lost):
            return None
        wait_s = self.settings.wait_s(self.attempt, error.retry_after_s if isinstance(error, Overloaded) else None)
        return wait_s if now_s + wait_s < self._ends_s else None

    def translate(self, error: httpx.HTTPError) -> GlyphseekError:
        """Return what a failure of the connection means."""
        import httpx

        if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
            return DeadlineExceeded(f"{self.settings.url} did not answer in time")
        return ServiceUnavailable(f"{self.settings.url} does not answer: {error or type(error).__name__}")

    def _error_of(self, response: httpx.Response) -> GlyphseekError:
        try:
            body: object = response.json()
        except json.JSONDecodeError:
            body = None
        found: dict[str, Any] = body if isinstance(body, dict) else {}
        return error_of_problem(response.status_code, found, self.settings.url)


def needs_httpx() -> MissingExtra:
    """Return the error of an installation without the client's libraries."""
    return MissingExtra("the client needs an extra: pip install 'glyphseek[client]'")
