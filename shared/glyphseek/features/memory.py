"""Blobs in a dictionary: the reference that other feature stores are held to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from glyphseek.features.keys import check_key


class MemoryFeatureStore:
    """A feature store that lives as long as the process; safe to use from several threads."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def put(self, key: str, blob: bytes) -> None:
        """Keep the blob under its key, replacing what was there. Raises InputError for a key of another form."""
        self._blobs[check_key(key)] = bytes(blob)

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the blobs in the order of the keys; None where there is none."""
        return [self._blobs.get(check_key(key)) for key in keys]

    def delete(self, keys: Sequence[str]) -> None:
        """Remove blobs; unknown keys are ignored."""
        for key in keys:
            self._blobs.pop(check_key(key), None)

    def scan(self) -> Iterator[str]:
        """Yield every key once, ordered, as they are when the first is asked for."""
        yield from sorted(self._blobs)
