"""One service, put together: what answers its calls, whether it can, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from glyphseek.errors import ModelNotFound
from glyphseek.ports import FeatureStore
from glyphseek.rpc.server import Server

S = TypeVar("S")
J = TypeVar("J")

PROBE_KEY = "health/probe"
"""A blob that need not exist: a store that can say so can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Generic[S]):
    """`offer` puts the servicer on a server. `check` returns when calls can be answered, and raises why not.

    `close` releases what the service holds; nothing is called afterwards.
    """

    name: str
    servicer: S
    offer: Callable[[Server], None]
    check: Callable[[], None]
    close: Callable[[], None]


def choose_job(jobs: Mapping[str, J], fingerprint: str) -> J:
    """Return the job of the model with that fingerprint. Raises ModelNotFound, which lists those that are there."""
    found = jobs.get(fingerprint)
    if found is None:
        raise ModelNotFound(f"no model {fingerprint!r} is served here; known: {', '.join(jobs) or 'none'}")
    return found


def check_features(features: FeatureStore) -> None:
    """Return when blobs can be read. Raises StoreError."""
    features.get([PROBE_KEY])


def close_all(parts: Sequence[Callable[[], None]]) -> None:
    """Close parts, the last first."""
    for close in reversed(parts):
        close()
