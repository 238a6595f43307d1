"""The sizes of the dense CLIP."""

from __future__ import annotations

from dataclasses import dataclass

from glyphseek.errors import SettingError

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
"""The characters the text tower tells apart."""

STRIDE = 8
"""Pixels between the trunk's tokens, at every level of the image pyramid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseSettings:
    """Sizes of both towers; every field changes the meaning of the weights. Lengths are pixels of the largest level."""

    channels: tuple[int, int, int, int]
    """Channels at stride 2, 4 and 8, and of a token (C)."""
    mixers: int
    """Blocks at stride 8 that spread letters over their word."""
    mixer_rows: int
    mixer_columns: int
    """Height and width of a block's depthwise kernel, in tokens; odd."""
    levels: int
    """Pyramid levels: the image, its half, its quarter, ... so that letters of every size are seen at one."""
    cell_rows: int
    cell_columns: int
    """Height and width of a cell of the token map: of all tokens in it, over all levels, the one most like text is
    kept."""
    joint_width: int
    """E."""
    heads: int
    """Heads of the attention pool."""
    text_width: int
    text_layers: int
    text_heads: int
    max_characters: int
    longer_side: int

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built."""
        if not (self.mixer_rows % 2 and self.mixer_columns % 2):
            raise SettingError(f"mixer kernels are odd, this one is {self.mixer_rows} x {self.mixer_columns}")
        for cell in (self.cell_rows, self.cell_columns):
            if cell % STRIDE or self.divisor % cell:
                raise SettingError(f"a cell of {cell} px must be a multiple of {STRIDE} and divide {self.divisor}")
        if self.channels[3] % self.heads or self.text_width % self.text_heads:
            raise SettingError(f"{self.heads} and {self.text_heads} heads must divide the widths they share")

    @property
    def divisor(self) -> int:
        """Return what the sides of the padded image divide by: one token of the coarsest level, at least 32."""
        return max(32, STRIDE * 2 ** (self.levels - 1))


SMALL = DenseSettings(
    channels=(24, 64, 128, 256),
    mixers=5,
    mixer_rows=5,
    mixer_columns=11,
    levels=4,
    cell_rows=32,
    cell_columns=32,
    joint_width=512,
    heads=8,
    text_width=192,
    text_layers=2,
    text_heads=4,
    max_characters=32,
    longer_side=1024,
)
"""For a laptop's CPU: photos at 1024 px, cells of 32 px, 512 numbers a token."""

TINY = DenseSettings(
    channels=(8, 16, 16, 32),
    mixers=1,
    mixer_rows=3,
    mixer_columns=7,
    levels=2,
    cell_rows=16,
    cell_columns=16,
    joint_width=32,
    heads=2,
    text_width=32,
    text_layers=1,
    text_heads=2,
    max_characters=16,
    longer_side=256,
)
"""Toy size, for tests."""

PRESETS = {"cayn-dense": SMALL, "cayn-tiny-dense": TINY}
"""The dense CLIPs by the CAYN presets that have one."""
