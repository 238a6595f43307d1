"""The sizes of the small CLIP of word regions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from glyphseek.errors import SettingError
from glyphseek.models.tdsl.settings import SMALL as SMALL_READER
from glyphseek.models.tdsl.settings import TINY_PYRAMID, TdslSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSettings:
    """The trunk that finds and reads words, and the grid that its words are laid on."""

    reader: TdslSettings
    """Finds words and reads each; its vector width is the joint width E."""
    cell: int = 32
    """Pixels of the image along a side of a cell of the token map; a cell holds one word."""
    heads: int = 8
    """Heads of the attention pool."""

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built."""
        if self.cell < 8:
            raise SettingError(f"a cell has {self.cell} px, it must have 8 or more")
        if self.reader.vector_width % self.heads:
            raise SettingError(f"{self.heads} heads must divide the joint width, {self.reader.vector_width}")

    @property
    def longer_side(self) -> int:
        """Return the pixels of the longer side at which images are read."""
        return self.reader.longer_side


SMALL = RegionSettings(
    reader=replace(
        SMALL_READER,
        name="reader",
        least_reading=None,
        refiner_channels=(),
        tells_outlines=False,
        roi_sampling="align",
    )
)
"""The trunk of tdsl-small; it looks once and leaves no word out: photos at 1024 px, 24 x 32 cells, 768 numbers each."""

TINY = RegionSettings(reader=replace(TINY_PYRAMID, name="reader"), cell=16, heads=2)
"""Toy size, for tests."""
