"""Settings of the crop and scene renderers. Shares are probabilities in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CropSettings:
    """What word crops vary in."""

    curved: float = 0.22
    """Share of words on an arc of 20 to 150 degrees."""
    waved: float = 0.03
    downwards: float = 0.01
    """Share of words with their letters below each other."""
    tilted: float = 0.5
    """Share of words seen in perspective."""
    neighbours: float = 0.45
    """Share of crops with other words beside, above or below."""
    panels: float = 0.55
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
    misplaced: float = 0.4
    """Share of crops whose box cuts and reaches `misplacement` times as far: as a detector places one box in three."""
    misplacement: float = 2.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSettings:
    """What scenes vary in."""

    fewest: int = 1
    most: int = 9
    """Supports (signs, posters, badges, ...) tried in one scene; few scenes hold the most."""
    narrowest: float = 0.13
    widest: float = 0.95
    """Width of a support as a share of the picture's, log-uniform."""
    empty: float = 0.02
    """Share of scenes without any text."""
    tilted: float = 0.6
    badges: float = 0.0
    """Share of supports that are round badges beside those that are drawn anyway."""
    seals: float = 0.0
    """Share of supports that are round seals, with words all along the rim."""
    turned: float = 0.0
    """Share of supports turned by up to `most_turned` degrees more."""
    most_turned: float = 60.0
    cut: float = 0.08
    """Share of supports that may reach over the edge of the picture."""
    covered: float = 0.15
    """Share of scenes with things in front of text."""
    legible_height: float = 6.5
    """Words lower than this, in pixels, or lower than four times the blur, are marked illegible."""
    legible_contrast: float = 28.0
    """Words of which even the strongest strokes change the picture by less than this are marked illegible."""
    legible_share: float = 0.7
    """Words of which less than this is inside the picture and uncovered are marked illegible."""
