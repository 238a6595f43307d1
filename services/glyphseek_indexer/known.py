"""Which photos a collection has already, small enough to be with every reader: 16 bytes for each name of an image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from glyphseek.types import ImageRecord

_Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the rows said when the job began, as ordered 64-bit hashes.

    Of ten million names one is taken for another with a probability of 3e-6; its photo would be passed over.
    """

    pairs: _Keys
    names: _Keys

    @classmethod
    def of(cls, records: Iterable[ImageRecord]) -> Self:
        """Return what these records hold."""
        pairs: list[int] = []
        names: list[int] = []
        for record in records:
            for name in record.names:
                pairs.append(_key(record.content_hash, name))
                names.append(_key("", name))
        return cls(pairs=np.unique(np.array(pairs, np.uint64)), names=np.unique(np.array(names, np.uint64)))

    def has(self, content_hash: str, name: str) -> bool:
        """Return whether an image of that content has that name."""
        return _holds(self.pairs, _key(content_hash, name))

    def has_name(self, name: str) -> bool:
        """Return whether some image has that name."""
        return _holds(self.names, _key("", name))


def _key(content_hash: str, name: str) -> int:
    text = f"{content_hash}/{name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _holds(keys: _Keys, key: int) -> bool:
    wanted = np.uint64(key)
    place = int(np.searchsorted(keys, wanted))
    return place < len(keys) and bool(keys[place] == wanted)
