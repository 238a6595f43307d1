"""Logs as lines of JSON: an event, its fields, and the id of the request they belong to. No secrets, no image bytes.

Library code logs with the standard module in the form `event_name key=value ...`; only processes that serve call
`set_up_logs`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

_request_id: ContextVar[str] = ContextVar("glyphseek_request_id", default="")
_caller: ContextVar[str] = ContextVar("glyphseek_caller", default="")
_MOST_CHARACTERS = 2000
_SECRET = re.compile(
    r"(?i)(\b(?:authorization|x-api-key|api[_-]?key|secret[_-]?key|access[_-]?key|token|password)\b['\"]?\s*[=:]\s*['\"]?)"
    r"((?:bearer\s+)?[^\s,;&'\"}]+)"
)


@contextmanager
def request_id_bound(request_id: str) -> Generator[None]:
    """Put the id on every line that is logged inside the block, in this thread or task and those it starts."""
    before = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(before)


def note_caller(name: str) -> None:
    """Put the name of who asks, never a key, on every later line of this task and of the threads it starts."""
    _caller.set(name)


def set_up_logs(service: str, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Write all logs of this process as JSON lines to `stream` (stderr), replacing what was set up before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time (UTC), level, service, logger, request_id, caller, message,
    error."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. Values that look like keys, tokens or passwords are masked, long messages are cut."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": mask(record.getMessage())[:_MOST_CHARACTERS],
        }
        if request_id := _request_id.get():
            line["request_id"] = request_id
        if caller := _caller.get():
            line["caller"] = caller
        if record.exc_info:
            line["error"] = mask(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def mask(text: str) -> str:
    """Return the text with the values of keys, tokens and passwords replaced by `***`."""
    return _SECRET.sub(r"\1***", text)
