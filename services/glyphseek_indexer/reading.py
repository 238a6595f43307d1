"""The first stage of a job: names in, open photos out. Runs in many processes, none of which has a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glyphseek.errors import GlyphseekError, ImageError, InputError, StoreError, StoreUnavailable
from glyphseek.images import ImageLimits
from glyphseek.indexing import EncodedFile, OpenedPhoto, Skip, hash_content, open_photo, photo_key
from glyphseek.ports import FeatureStore
from glyphseek_indexer.known import Known
from glyphseek_indexer.retrying import Again, judge_failure
from glyphseek_indexer.sources import PhotoSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What reading one name gave: an open photo, or why it is left out, or neither for what the collection has.

    again: whether a photo that is left out is tried again. read_s: what it took, its share of the time of the batch.
    """

    name: str
    photo: OpenedPhoto | None = None
    skip: Skip | None = None
    again: Again = Again.NEVER
    read_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoReader:
    """Reads, compares with what is known, keeps if asked, and decodes.

    longer_side: of the model, for decoding at a fraction of the size. photos: where files are kept, None for nowhere.
    """

    source: PhotoSource
    known: Known
    limits: ImageLimits
    longer_side: int | None = None
    trust_names: bool = False
    photos: FeatureStore | None = None

    def read(self, names: Sequence[str]) -> list[Reading]:
        """Return for each name, in order, what it gave.

        Raises StoreUnavailable when not one of them could be read for that reason, and what the store of kept photos
        raises.
        """
        passed = {name for name in names if self.trust_names and self.known.has_name(name)}
        wanted = [name for name in names if name not in passed]
        contents = dict(zip(wanted, self.source.read(wanted), strict=True))
        failures = [one for one in contents.values() if isinstance(one, StoreUnavailable)]
        if failures and len(failures) == len(contents):
            raise failures[0]
        return [Reading(name=name) if name in passed else self._open(name, contents[name]) for name in names]

    def _open(self, name: str, content: bytes | ImageError | StoreError) -> Reading:
        if isinstance(content, StoreError):
            return _leave_out(name, content, again=judge_failure(content))
        if isinstance(content, ImageError):
            return _leave_out(name, content)
        content_hash = hash_content(content)
        if self.known.has(content_hash, name):
            return Reading(name=name)
        photo = open_photo(EncodedFile(content=content), limits=self.limits, longer_side=self.longer_side)
        if isinstance(photo, ImageError):
            return _leave_out(name, photo)
        if self.photos is not None:
            try:
                self.photos.put(photo_key(content_hash), content)
            except InputError as error:  # larger than a blob may be
                return _leave_out(name, error)
        return Reading(name=name, photo=photo)


def _leave_out(name: str, error: GlyphseekError, *, again: Again = Again.NEVER) -> Reading:
    return Reading(name=name, skip=Skip(name=name, kind=type(error).__name__, message=str(error)), again=again)
