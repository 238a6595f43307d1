"""An image on its way into a gallery: what its row said before, and what those who send it say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from glyphseek.metadata import NO_METADATA, Metadata, MetadataValue
from glyphseek.types import ImageRecord


class Intaken(StrEnum):
    """What became of a photo that was sent. UPDATED: its id was there, with another content, name or metadata."""

    ADDED = "added"
    UNCHANGED = "unchanged"
    UPDATED = "updated"
    REFUSED = "refused"


@dataclass(slots=True, kw_only=True)
class Arrival:
    """One id and one content, sent once or several times. `known` is the row of that id, whichever its content."""

    image_id: str
    content_hash: str
    known: ImageRecord | None
    _names: tuple[str, ...] = field(init=False)
    _metadata: Metadata = field(init=False)
    _is_told: bool = False

    def __post_init__(self) -> None:
        self._names = self.known.names if self.known is not None and self.has_row else ()
        self._metadata = NO_METADATA if self.known is None else Metadata(self.known.metadata)

    @property
    def has_row(self) -> bool:
        """Return whether there is a row of this very content."""
        return self.known is not None and self.known.content_hash == self.content_hash

    @property
    def replaces(self) -> bool:
        """Return whether the id is there with another content, which this one takes the place of."""
        return self.known is not None and not self.has_row

    @property
    def needs_row(self) -> bool:
        """Return whether the row that is there, if any, says something else."""
        return self.known is None or not self.has_row or self.known != self.row(self.known)

    def join(self, *, name: str | None, metadata: Mapping[str, MetadataValue]) -> Intaken:
        """Take in one sending and return what becomes of it. Names add up; metadata, unless empty, replace."""
        before = self._names, self._metadata
        if name and name not in self._names:
            self._names = tuple(sorted((*self._names, name)))
        if metadata:
            self._metadata = Metadata(metadata)
        is_first, self._is_told = not self._is_told and not self.has_row, True
        if is_first and self.known is None:
            return Intaken.ADDED
        return Intaken.UPDATED if is_first or before != (self._names, self._metadata) else Intaken.UNCHANGED

    def row(self, record: ImageRecord) -> ImageRecord:
        """Return the record of the image, as its encoder or its row gives it, with the names and metadata of now."""
        return replace(record, names=self._names, metadata=self._metadata)
