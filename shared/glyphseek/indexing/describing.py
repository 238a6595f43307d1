"""What a caller says of the photos of a folder, by their paths below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from glyphseek.metadata import Metadata
from glyphseek.types import ImageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptions:
    """Metadata by name. A photo that is not mentioned keeps what was said of it before."""

    by_name: Mapping[str, Metadata] = field(default_factory=dict[str, Metadata])

    def describe(self, record: ImageRecord, names: Sequence[str]) -> ImageRecord:
        """Return the record with what is said of the first of the names that is mentioned, itself where none is."""
        said = next((self.by_name[name] for name in names if name in self.by_name), None)
        return record if said is None or said == record.metadata else replace(record, metadata=said)


NO_DESCRIPTIONS = Descriptions()
"""What a caller says who says nothing."""
