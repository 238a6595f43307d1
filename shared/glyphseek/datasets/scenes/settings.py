"""Settings of the crop and scene renderers. Shares are probabilities in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CropSettings:
    """What word crops vary in."""

    curved: float = 0.16
    """Share of words on an arc of 20 to 150 degrees."""
    waved: float = 0.03
    downwards: float = 0.01
    """Share of words with their letters below each other."""
    tilted: float = 0.5
    """Share of words seen in perspective."""
    neighbours: float = 0.45
    """Share of crops with other words beside, above or below."""
    panels: float = 0.35
    """Share of crops with a plate of one colour behind the text."""
    covered: float = 0.06
    """Share of crops with something in front."""
    lowest_height: float = 9.0
    highest_height: float = 60.0
    """Text height in source pixels that a crop is seen at before it is stretched; low ones are as likely as high ones
    on a logarithmic scale."""
    tight: float = 0.05
    """How far the box may cut into the word, as a share of its side."""
    loose: float = 0.12
    """How far the box may reach beyond the word, as a share of its side."""
