"""What can be wrong with a stored blob, in the words that answers count it by."""

from __future__ import annotations

from collections.abc import Mapping

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


def list_faults(faults: Mapping[str, int]) -> str:
    """Return the faults as one line: `blobs: 2 damaged, 1 missing`."""
    return "blobs: " + ", ".join(f"{count} {fault}" for fault, count in sorted(faults.items()))
