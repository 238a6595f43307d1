from collections.abc import Iterator, Mapping, Sequence

import pytest
from indexing.gallery_fakes import photo_bytes

from glyphseek.errors import ImageError, ImageUnreadable, InputError, StoreError, StoreUnavailable
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.images import ImageLimits
from glyphseek.indexing import Skip, hash_content, id_of, photo_key
from glyphseek.types import ImageRecord
from glyphseek_indexer.known import Known
from glyphseek_indexer.reading import PhotoReader
from glyphseek_indexer.retrying import Again

CONTENTS = {"one.png": photo_bytes(1), "two.png": photo_bytes(2), "bad.png": b"bad"}


class MappedSource:
    """Photos of a mapping; remembers what was read."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = contents
        self.asked: list[str] = []

    def names(self) -> Iterator[str | Skip]:
        yield from self._contents

    def read(self, names: Sequence[str]) -> list[bytes | ImageError | StoreError]:
        self.asked += names
        return [self._contents.get(name) or ImageUnreadable("gone") for name in names]


class SickSource(MappedSource):
    """Answers no name that begins with `sick`."""

    def read(self, names: Sequence[str]) -> list[bytes | ImageError | StoreError]:
        found = super().read(names)
        sick = StoreUnavailable("no answer")
        return [sick if name.startswith("sick") else one for name, one in zip(names, found, strict=True)]


class NarrowStore(MemoryFeatureStore):
    """Refuses every blob as too large."""

    def put(self, key: str, blob: bytes) -> None:
        raise InputError(f"the blob of key {key!r} has {len(blob)} bytes, the limit is 0")


def known_as(name: str, content: bytes) -> Known:
    content_hash = hash_content(content)
    record = ImageRecord(
        image_id=id_of(content_hash), content_hash=content_hash, names=(name,), width=1, height=1, instance_count=0
    )
    return Known.of([record])


def make_reader(source: MappedSource, known: Known, **settings: object) -> PhotoReader:
    return PhotoReader(source=source, known=known, limits=ImageLimits(), **settings)  # pyright: ignore[reportArgumentType]


def test_names_give_photos_or_reasons_in_order() -> None:
    reader = make_reader(MappedSource(CONTENTS), Known.of([]))
    one, bad, gone, two = reader.read(["one.png", "bad.png", "gone.png", "two.png"])

    assert [reading.photo is not None for reading in (one, bad, gone, two)] == [True, False, False, True]
    assert bad.skip is not None
    assert gone.skip is not None
    assert (bad.skip.kind, gone.skip.kind) == ("ImageUnsupported", "ImageUnreadable")
    assert one.photo is not None
    assert one.photo.record.content_hash == hash_content(CONTENTS["one.png"])


def test_a_photo_that_the_store_does_not_give_is_no_bad_photo() -> None:
    reader = make_reader(SickSource(CONTENTS), Known.of([]))
    one, sick, bad = reader.read(["one.png", "sick.png", "bad.png"])

    assert one.photo is not None
    assert sick.skip == Skip(name="sick.png", kind="StoreUnavailable", message="no answer")
    assert (sick.again, bad.again) == (Again.ALWAYS, Again.NEVER)


def test_a_store_that_gives_no_photo_at_all_is_an_error_of_its_own() -> None:
    with pytest.raises(StoreUnavailable, match="no answer"):
        make_reader(SickSource(CONTENTS), Known.of([])).read(["sick.png", "sick.jpg"])


def test_a_content_known_under_its_name_is_passed_and_under_another_is_not() -> None:
    known = known_as("one.png", CONTENTS["one.png"])
    source = MappedSource({**CONTENTS, "copy.png": CONTENTS["one.png"], "changed.png": CONTENTS["two.png"]})
    one, copy = make_reader(source, known).read(["one.png", "copy.png"])

    assert (one.photo, one.skip) == (None, None)
    assert copy.photo is not None


def test_a_trusted_name_is_not_even_read() -> None:
    source = MappedSource(CONTENTS)
    reader = make_reader(source, known_as("one.png", b"something else"), trust_names=True)
    one, two = reader.read(["one.png", "two.png"])

    assert source.asked == ["two.png"]
    assert (one.photo, one.skip) == (None, None)
    assert two.photo is not None


def test_files_are_kept_when_asked_and_only_those_that_are_photos() -> None:
    photos = MemoryFeatureStore()
    make_reader(MappedSource(CONTENTS), Known.of([]), photos=photos).read(list(CONTENTS))

    contents = [CONTENTS["one.png"], CONTENTS["two.png"]]
    assert sorted(photos.scan()) == sorted(photo_key(hash_content(one)) for one in contents)
    assert photos.get([photo_key(hash_content(one)) for one in contents]) == contents


def test_a_file_that_cannot_be_kept_is_left_out() -> None:
    (one,) = make_reader(MappedSource(CONTENTS), Known.of([]), photos=NarrowStore()).read(["one.png"])

    assert one.photo is None
    assert one.skip is not None
    assert "limit" in one.skip.message
