"""What a run tells while it goes on, and what it tells at its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Stage(StrEnum):
    """What a run is busy with: listing the folder, encoding photos, or mending names and removing what is gone."""

    FINDING = "finding"
    INDEXING = "indexing"
    TIDYING = "tidying"


class Outcome(StrEnum):
    """How a run ended. Unless it is COMPLETE, everything committed is kept, and running again goes on from there."""

    COMPLETE = "complete"
    CANCELLED = "cancelled"
    FULL = "full"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexProgress:
    """Where a run stands: `done` of `total` photos; `encoded` and `skipped` are parts of `done`.

    While the folder is being listed, `total` is what was found so far.
    """

    stage: Stage
    done: int
    total: int
    encoded: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A photo or folder that was left out: its name, the name of the error class, and its text."""

    name: str
    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """One run in numbers.

    found: image files seen. passed_over: other files. unchanged: image files whose content the gallery already had.
    added: images committed by this run, of which `reused` took their features from blobs that an interrupted run had
    left and the others were encoded. renamed: images whose names changed. described: images that the gallery had and of
    which nothing but metadata changed. removed: images no longer in the folder. skipped: by name. encoder_seconds:
    spent inside the model, a part of `seconds`. message: why the run ended early.
    """

    outcome: Outcome
    message: str
    found: int
    passed_over: int
    unchanged: int
    added: int
    reused: int
    renamed: int
    described: int
    removed: int
    skipped: tuple[Skip, ...]
    seconds: float
    encoded: int
    encoder_seconds: float

    @property
    def images_per_second(self) -> float:
        """Return encoded images over the seconds of the whole run; 0 when none was encoded."""
        return self.encoded / self.seconds if self.seconds > 0 else 0.0

    @property
    def encoder_busy_fraction(self) -> float:
        """Return the share of the run's time, [0, 1], in which the model was at work."""
        return self.encoder_seconds / self.seconds if self.seconds > 0 else 0.0

    def as_json(self) -> dict[str, object]:
        """Return the report as plain values, rates included, fit for `json.dumps`."""
        rates = {
            "images_per_second": round(self.images_per_second, 3),
            "encoder_busy_fraction": round(self.encoder_busy_fraction, 4),
        }
        return {**asdict(self), **rates}
