"""What a person may set about indexing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from glyphseek.errors import SettingError
from glyphseek.images import ImageLimits
from glyphseek.tokens import CodecName


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingSettings:
    """How an encoder turns image files into blobs.

    codec, keep_likelihood, limits: as for IndexSettings. batch_images: photos for one call of the model. threads: open
    photos and write blobs beside the model.
    """

    codec: CodecName = CodecName.FP16
    keep_likelihood: float = 0.0
    limits: ImageLimits = field(default_factory=ImageLimits)
    batch_images: int = 4
    threads: int = 4

    def __post_init__(self) -> None:
        _check_counts({"batch_images": self.batch_images, "threads": self.threads})
        _check_share("keep_likelihood", self.keep_likelihood)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """How a folder is indexed; the defaults suit a laptop.

    codec: how vectors and tokens are stored in blobs; residual codecs need a model with a codebook.
    keep_likelihood: tokens of a text likelihood below it are not stored; 0 stores all, and so do models without
    likelihood. limits: bounds of one photo. longer_side: pixels that the model reads, if known; JPEGs of twice that
    are decoded at a fraction of their size. batch_images: photos for one call of the model, which is given the next
    one before a call ends. decode_threads: two hide the decoding behind a model on the CPU; more only compete with
    it. commit_images and commit_s: rows are committed when either is reached. A kill costs the encoding of the
    photos in hand alone, up to about 16 on four cores or fewer: a photo whose blob is on disk is not encoded again,
    whether it has a row or not. keep_missing: photos that are no longer in the folder stay in the gallery.
    allow_move: the gallery may have been made from another folder, whose photos are then treated as deleted.
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
        _check_counts(
            {
                "longer_side": 1 if self.longer_side is None else self.longer_side,
                "batch_images": self.batch_images,
                "decode_threads": self.decode_threads,
                "commit_images": self.commit_images,
            }
        )
        _check_share("keep_likelihood", self.keep_likelihood)
        if not self.commit_s >= 0:
            raise SettingError(f"commit_s is {self.commit_s}; it must be 0 or more")


def _check_counts(counts: Mapping[str, int]) -> None:
    for name, value in counts.items():
        if value < 1:
            raise SettingError(f"{name} is {value}; it must be at least 1")


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise SettingError(f"{name} is {value}; it must be 0 to 1")
