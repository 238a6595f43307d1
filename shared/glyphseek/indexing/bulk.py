"""A job that brings many photos into a collection: what is asked for, how it goes on, and what it did."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from glyphseek.errors import SettingError
from glyphseek.indexing.report import Outcome, Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRequest:
    """What to ingest, and with how many workers.

    source: a folder, or `s3://bucket/folder` in the deployment's S3 store. collection: where to; made if it is absent.
    model: name or folder; None for the collection's own, or the deployment's first. new_generation: build one for
        `model` beside the current one.
    trust_names: pass over files whose name some image has, unread. Without it every file is read and its content
        compared, which costs little beside encoding.
    readers: workers that read and decode. encoders: workers that hold the model. gpus: share of a GPU for each encoder.
    threads: torch threads of each encoder, None for what the configuration says.
    batch_images: photos for one call of the model. commit_images: rows are committed when so many are there.
    memory_bytes: of photos on their way between workers, past which readers wait for encoders.
    patience_s: how long to try again when rows cannot be written, and how long each worker waits for an S3 store.
    address: of a Ray cluster; None starts workers on this machine, and ends them.
    """

    source: str
    collection: str
    model: str | None = None
    new_generation: bool = False
    trust_names: bool = False
    readers: int = 1
    encoders: int = 1
    gpus: float = 0.0
    threads: int | None = None
    batch_images: int = 4
    commit_images: int = 64
    memory_bytes: int = 512 * 2**20
    patience_s: float = 60.0
    address: str | None = None

    def __post_init__(self) -> None:
        counts = {
            "readers": self.readers,
            "encoders": self.encoders,
            "threads": 1 if self.threads is None else self.threads,
            "batch_images": self.batch_images,
            "commit_images": self.commit_images,
        }
        for name, value in counts.items():
            if not 1 <= value <= 4096:
                raise SettingError(f"{name} is {value}; it must be 1 to 4096")
        if self.memory_bytes < (least := 80 * 2**20):
            raise SettingError(f"memory_bytes is {self.memory_bytes}; it must be at least {least}")
        if not 0 <= self.gpus <= 64:
            raise SettingError(f"gpus is {self.gpus}; it must be 0 to 64")
        if not 0 <= self.patience_s <= 86_400:
            raise SettingError(f"patience_s is {self.patience_s}; it must be 0 to 86400")


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestProgress:
    """Where a job stands: `done` of `total` photos, of which `refused` could not be indexed."""

    done: int
    total: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """One job in numbers.

    found: files that may be photos; each is one of added, unchanged, updated (its content was there under other names
    only) and refused, unless the job ended early. reused: of the added, those that had a blob already. message: why the
    job ended early. seconds: of the whole job; start_seconds, a part of them, until workers could be given photos.
    """

    outcome: Outcome
    message: str
    collection: str
    model: str
    fingerprint: str
    found: int
    added: int
    reused: int
    unchanged: int
    updated: int
    refused: tuple[Skip, ...]
    seconds: float
    start_seconds: float

    @property
    def images_per_second(self) -> float:
        """Return images added over the seconds after the start; 0 when none was added."""
        working = self.seconds - self.start_seconds
        return self.added / working if working > 0 else 0.0

    def as_json(self) -> dict[str, object]:
        """Return the report as plain values, rate included, fit for `json.dumps`."""
        return {**asdict(self), "images_per_second": round(self.images_per_second, 3)}
