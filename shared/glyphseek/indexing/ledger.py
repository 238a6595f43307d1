"""Who is who in one run: which content the gallery has, which names hold it, and what could not be indexed."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator

from glyphseek.indexing.report import Skip
from glyphseek.types import ImageRecord


class Ledger:
    """Contents by hash. Its methods may be called from several threads; a content is given to one caller only."""

    def __init__(self, records: Iterable[ImageRecord]) -> None:
        self._lock = threading.Lock()
        self._records = {record.content_hash: record for record in records}
        self._at_start = frozenset(self._records)
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._claimed: set[str] = set()
        self._rejected: dict[str, tuple[str, str]] = {}

    def has(self, content_hash: str) -> bool:
        """Return whether the gallery holds an image of this content."""
        with self._lock:
            return content_hash in self._records

    def had_at_start(self, content_hash: str) -> bool:
        """Return whether the gallery held an image of this content before the run."""
        return content_hash in self._at_start

    def attach(self, content_hash: str, name: str) -> None:
        """Note that the file `name` holds this content."""
        with self._lock:
            self._names[content_hash].add(name)

    def claim(self, content_hash: str) -> bool:
        """Return True to the first caller that asks for a content the gallery lacks: it has to index it."""
        with self._lock:
            if content_hash in self._records or content_hash in self._claimed:
                return False
            self._claimed.add(content_hash)
            return True

    def names_of(self, content_hash: str) -> tuple[str, ...]:
        """Return the names seen so far for a content, ordered."""
        with self._lock:
            return tuple(sorted(self._names.get(content_hash, ())))

    def reject(self, content_hash: str, error: Exception) -> None:
        """Note why a content cannot be indexed; all files that hold it are skipped."""
        with self._lock:
            self._rejected[content_hash] = type(error).__name__, str(error)

    def commit(self, records: Iterable[ImageRecord]) -> None:
        """Note that the gallery now holds these records."""
        with self._lock:
            self._records.update((record.content_hash, record) for record in records)

    def rejected_count(self) -> int:
        """Return how many contents cannot be indexed."""
        with self._lock:
            return len(self._rejected)

    def records(self) -> list[ImageRecord]:
        """Return what the gallery holds, as far as this run knows."""
        with self._lock:
            return list(self._records.values())

    def skips(self) -> Iterator[Skip]:
        """Yield one Skip for every file with a rejected content."""
        with self._lock:
            rejected = [(self._names[digest], reason) for digest, reason in self._rejected.items()]
        for names, (kind, message) in rejected:
            yield from (Skip(name=name, kind=kind, message=message) for name in names)
