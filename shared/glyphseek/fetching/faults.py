"""What can be wrong with a stored blob, in the words that answers count it by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from glyphseek.errors import BlobDamaged, BlobError, BlobMissing, StoreError


def name_fault(error: BlobError | StoreError) -> str:
    """Return a short name of the fault: faults of equal name are counted together."""
    match error:
        case StoreError():
            return f"not read ({error})"
        case BlobMissing():
            return "missing"
        case BlobDamaged():
            return "damaged"
        case _:
            return "of another model or version"


def count_faults(errors: Iterable[BlobError | StoreError]) -> dict[str, int]:
    """Return how many there are of each fault. What a store says may name a blob: all of it counts as the first."""
    named: dict[str, int] = Counter()
    unread = ""
    for error in errors:
        if isinstance(error, StoreError):
            unread = unread or name_fault(error)
            named[unread] += 1
        else:
            named[name_fault(error)] += 1
    return dict(named)


def list_faults(faults: Mapping[str, int]) -> str:
    """Return the faults as one line: `blobs: 2 damaged, 1 missing`."""
    return "blobs: " + ", ".join(f"{count} {fault}" for fault, count in sorted(faults.items()))
