"""What belongs to a call wherever it goes: its id, the time that is left, and the trace it is part of.

A server sets the context of a call; clients that are used inside it send it on. So a deadline travels from the first
caller to the last, and nobody in between names it. The time left is sent as `x-glyphseek-deadline-ms` too, because the
proxy of Ray Serve keeps gRPC's own deadline from the servicers behind it.
"""

from __future__ import annotations

import contextvars
import math
import re
import time
import uuid
from asyncio import Future, get_running_loop
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from glyphseek.deadlines import deadline_bound
from glyphseek.deadlines import time_left as time_left
from glyphseek.logs import request_id_bound
from glyphseek.tracing import current_traceparent, trace_continued

REQUEST_ID = "x-request-id"
DEADLINE_MS = "x-glyphseek-deadline-ms"
TRACEPARENT = "traceparent"

P = ParamSpec("P")
T = TypeVar("T")

_REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST_S = 24 * 3600.0  # a deadline further away is none


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """One call. `deadline` is a moment of `time.monotonic`, None for none; `traceparent` is empty without a trace."""

    request_id: str
    deadline: float | None = None
    traceparent: str = ""

    def remaining_s(self) -> float | None:
        """Return the seconds until the deadline, below 0 when it is over, None where there is none."""
        return None if self.deadline is None else self.deadline - time.monotonic()


_current: contextvars.ContextVar[CallContext | None] = contextvars.ContextVar("glyphseek_call", default=None)


def current_call() -> CallContext | None:
    """Return the context of the call that this thread or task works for, None outside of one."""
    return _current.get()


def start_call(*, request_id: str = "", timeout_s: float | None = None, traceparent: str = "") -> CallContext:
    """Return the context of a call that begins now. An id of another form than 1 to 64 `A-Za-z0-9._-` is replaced."""
    has_deadline = timeout_s is not None and math.isfinite(timeout_s) and timeout_s < _LONGEST_S
    return CallContext(
        request_id=request_id if _REQUEST_ID_FORM.fullmatch(request_id) else uuid.uuid4().hex,
        deadline=time.monotonic() + timeout_s if has_deadline and timeout_s is not None else None,
        traceparent=traceparent,
    )


@contextmanager
def call_bound(call: CallContext) -> Generator[CallContext]:
    """Make `call` the current one inside the block, for deadlines, logs and traces too.

    A call that only has another deadline than the current one stays inside the span that is open.
    """
    outer = _current.get()
    is_other = outer is None or (outer.request_id, outer.traceparent) != (call.request_id, call.traceparent)
    before = _current.set(call)
    try:
        with (
            request_id_bound(call.request_id),
            deadline_bound(call.deadline),
            trace_continued(call.traceparent if is_other else ""),
        ):
            yield call
    finally:
        _current.reset(before)


def run_in(pool: Executor, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Start blocking work in a pool of threads, within the current call; await what is returned.

    A caller that goes away leaves the thread to finish: bound the work by `time_left`.
    """
    context = contextvars.copy_context()
    return get_running_loop().run_in_executor(pool, partial(context.run, work, *args, **kwargs))


def write_metadata(timeout_s: float) -> list[tuple[str, str]]:
    """Return the metadata of a call that is made now and may take `timeout_s`; a new id outside of any call."""
    call = _current.get()
    traceparent = current_traceparent() or ("" if call is None else call.traceparent)
    return [
        (REQUEST_ID, uuid.uuid4().hex if call is None else call.request_id),
        (DEADLINE_MS, str(max(1, math.floor(1000 * timeout_s)))),
        *([(TRACEPARENT, traceparent)] if traceparent else []),
    ]


def read_metadata(
    metadata: Iterable[tuple[str, str | bytes]] | None, *, transport_timeout_s: float | None = None
) -> CallContext:
    """Return the context that a caller sent; `transport_timeout_s` is what the transport knows of the deadline.

    Metadata that cannot be read is left out: a caller who sends none is served too.
    """
    found = {key.lower(): value for key, value in metadata or () if isinstance(value, str)}
    told_s = _parse_ms(found.get(DEADLINE_MS, ""))
    known = [one for one in (told_s, transport_timeout_s) if one is not None]
    return start_call(
        request_id=found.get(REQUEST_ID, ""),
        timeout_s=min(known, default=None),
        traceparent=found.get(TRACEPARENT, ""),
    )


def _parse_ms(text: str) -> float | None:
    """Return seconds; None for what is no number of milliseconds. Below 0 counts as over."""
    try:
        milliseconds = float(text)
    except ValueError:
        return None
    return milliseconds / 1000 if math.isfinite(milliseconds) else None
