"""What a person may set about indexing."""

from __future__ import annotations

from dataclasses import dataclass, field

from glyphseek.errors import SettingError
from glyphseek.images import ImageLimits
from glyphseek.tokens import CodecName


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """How a folder is indexed; the defaults suit a laptop.

    codec: how vectors and tokens are stored in blobs; residual codecs need a model with a codebook. keep_likelihood:
    tokens of a text likelihood below it are not stored; 0 stores all, and so do models without likelihood. limits:
    bounds of one photo. longer_side: pixels that the model reads, if known; JPEGs of twice that are decoded at a
    fraction of their size. batch_images: photos for one call of the model. decode_threads: two hide the decoding behind
    a model on the CPU; more only compete with it. commit_images and commit_s: rows are committed when either is
    reached, so a kill loses at most that much of encoding (blobs already written are used again). keep_missing: photos
    that are no longer in the folder stay in the gallery. allow_move: the gallery may have been made from another
    folder, whose photos are then treated as deleted.
    """

    codec: CodecName = CodecName.FP16
    keep_likelihood: float = 0.0
    limits: ImageLimits = field(default_factory=ImageLimits)
    longer_side: int | None = None
    batch_images: int = 4
    decode_threads: int = 2
    commit_images: int = 64
    commit_s: float = 2.0
    keep_missing: bool = False
    allow_move: bool = False

    def __post_init__(self) -> None:
        counts = {
            "longer_side": 1 if self.longer_side is None else self.longer_side,
            "batch_images": self.batch_images,
            "decode_threads": self.decode_threads,
            "commit_images": self.commit_images,
        }
        for name, value in counts.items():
            if value < 1:
                raise SettingError(f"{name} is {value}; it must be at least 1")
        if not 0 <= self.keep_likelihood <= 1:
            raise SettingError(f"keep_likelihood is {self.keep_likelihood}; it must be 0 to 1")
        if not self.commit_s >= 0:
            raise SettingError(f"commit_s is {self.commit_s}; it must be 0 or more")
