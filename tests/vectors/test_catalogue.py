from __future__ import annotations

import pytest
from contracts.stores import make_record

from glyphseek.types import ImageRecord
from glyphseek.vectors.catalogue import Catalogue, CommittedImage, read_record, write_record


def committed(key: int, image_id: str, vector_count: int = 1) -> CommittedImage:
    return CommittedImage(key=key, vector_count=vector_count, record=make_record(image_id))


def test_keys_are_never_given_twice_and_start_after_the_largest_seen() -> None:
    catalogue = Catalogue()
    catalogue.add(committed(41, "a"))
    catalogue.remove("a")
    assert [catalogue.take_key(), catalogue.take_key()] == [42, 43]
    assert catalogue.end_key == 44


@pytest.mark.parametrize("keys", [(1, 2), (2, 1)])
def test_of_two_writings_of_one_image_the_larger_key_counts_in_any_order(keys: tuple[int, int]) -> None:
    catalogue = Catalogue()
    first, second = (committed(key, "a", vector_count=key) for key in keys)
    assert catalogue.add(first) is None
    assert catalogue.add(second) == min(first, second, key=lambda image: image.key)
    assert catalogue.find("a") == committed(2, "a", vector_count=2)
    assert catalogue.find_key(1) is None
    assert catalogue.vector_count == 2
    assert len(catalogue) == 1


def test_a_removed_image_is_found_neither_by_id_nor_by_key() -> None:
    catalogue = Catalogue()
    image = committed(1, "a", vector_count=3)
    catalogue.add(image)
    assert catalogue.remove("a") == image
    assert catalogue.remove("a") is None
    assert (catalogue.find("a"), catalogue.find_key(1), catalogue.vector_count) == (None, None, 0)


def test_vectors_are_counted_for_a_range_of_keys_without_its_end() -> None:
    catalogue = Catalogue()
    for key in (2, 4, 6):
        catalogue.add(committed(key, str(key), vector_count=key))
    assert [catalogue.count_vectors(*keys) for keys in ((0, 7), (2, 6), (3, 4), (4, 5), (0, 10**12))] == [
        12,
        6,
        0,
        4,
        12,
    ]


def test_skipped_keys_are_never_given_and_skipping_back_changes_nothing() -> None:
    catalogue = Catalogue()
    catalogue.skip_keys(8)
    catalogue.skip_keys(3)
    assert catalogue.take_key() == 8


def test_images_are_ordered_by_key() -> None:
    catalogue = Catalogue()
    images = [committed(key, image_id) for key, image_id in ((5, "a"), (2, "b"), (9, "c"))]
    for image in images:
        catalogue.add(image)
    assert [image.key for image in catalogue.images()] == [2, 5, 9]


def test_a_record_returns_from_its_ascii_text_whatever_it_holds() -> None:
    record = make_record('"\\\n\0', names=["\udcff", "'\"\\", "写真 😀"])
    text = write_record(record)
    assert text.isascii()
    assert read_record(text) == record
    assert isinstance(read_record(text), ImageRecord)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"names": []}', '{"names": 5}', "null"])
def test_other_text_is_no_record(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_record(text)
