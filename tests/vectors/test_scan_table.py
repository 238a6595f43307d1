from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contracts.stores import axis, make_record, rows

from glyphseek.types import FloatArray
from glyphseek.vectors.catalogue import Catalogue, CommittedImage
from glyphseek.vectors.scan_files import ScanFiles
from glyphseek.vectors.scan_table import ScanTable


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def open_table(folder: Path, pool: Executor) -> ScanTable:
    return ScanTable.open(folder, model="ab" * 16, width=8, pool=pool)


def image(key: int, image_id: str, vector_count: int = 1) -> CommittedImage:
    return CommittedImage(key=key, vector_count=vector_count, record=make_record(image_id))


def catalogue_of(*images: CommittedImage) -> Catalogue:
    catalogue = Catalogue()
    for one in images:
        catalogue.add(one)
    return catalogue


def find(table: ScanTable, vector: FloatArray, limit: int = 100) -> set[tuple[str, int, float]]:
    (hits,) = table.search(rows(vector), limit)
    columns = hits.images, hits.instances_F.tolist(), hits.similarities_F.tolist()
    return {(image.record.image_id, instance, similarity) for image, instance, similarity in zip(*columns, strict=True)}


def test_images_are_found_once_they_are_shown(tmp_path: Path, pool: Executor) -> None:
    table = open_table(tmp_path, pool)
    a, none, b = image(1, "a", 2), image(2, "none", 0), image(3, "b")
    table.add([a, none, b], rows(axis(0), axis(1), axis(0)))
    assert find(table, axis(0)) == set()
    table.show([a, none, b])
    assert find(table, axis(0)) == {("a", 0, 1.0), ("a", 1, 0.0), ("b", 0, 1.0)}
    table.close()


def test_an_image_in_place_of_another_hides_it(tmp_path: Path, pool: Executor) -> None:
    table = open_table(tmp_path, pool)
    old, new = image(1, "a", 2), image(2, "a")
    table.add([old], rows(axis(0), axis(1)))
    table.show([old])
    table.add([new], rows(axis(2)))
    table.show([new], instead_of=[old])
    assert find(table, axis(2)) == {("a", 0, 1.0)}
    table.show([], instead_of=[new, image(9, "never there")])
    assert find(table, axis(2)) == set()
    table.close()


def test_images_that_were_taken_back_leave_no_trace(tmp_path: Path, pool: Executor) -> None:
    table = open_table(tmp_path, pool)
    a, b, c = image(1, "a"), image(2, "b", 3), image(3, "c")
    table.add([a], rows(axis(0)))
    table.show([a])
    table.add([b], rows(axis(0), axis(0), axis(0)))
    table.take_back([b])
    table.add([c], rows(axis(0)))
    table.show([c])
    table.close()
    table = open_table(tmp_path, pool)
    assert table.keep(catalogue_of(a, c)) == []
    assert find(table, axis(0)) == {("a", 0, 1.0), ("c", 0, 1.0)}
    assert table.end_key == 4
    table.close()


def test_only_what_the_catalogue_has_is_kept_and_the_rest_of_it_is_told(tmp_path: Path, pool: Executor) -> None:
    table = open_table(tmp_path, pool)
    a, b, c = image(1, "a"), image(2, "b"), image(3, "c")
    table.add([a, b, c], rows(axis(0), axis(0), axis(0)))
    table.close()
    other_content = replace(b, record=replace(b.record, content_hash="another"))
    other_count = replace(c, vector_count=2)
    new, without = image(7, "new"), image(8, "without", 0)
    table = open_table(tmp_path, pool)
    missing = table.keep(catalogue_of(a, other_content, other_count, new, without))
    assert missing == [other_content, other_count, new]
    assert find(table, axis(0)) == {("a", 0, 1.0)}
    table.close()


def test_of_two_writings_under_one_key_the_later_is_kept(tmp_path: Path, pool: Executor) -> None:
    table = open_table(tmp_path, pool)
    a = image(1, "a")
    table.add([a], rows(axis(0)))
    table.add([a], rows(axis(1)))
    table.close()
    table = open_table(tmp_path, pool)
    assert table.keep(catalogue_of(a)) == []
    assert find(table, axis(1)) == {("a", 0, 1.0)}
    table.close()


def fill(table: ScanTable, images: list[CommittedImage], vectors: FloatArray) -> None:
    table.add(images, vectors)
    table.show(images)


def test_a_table_is_made_smaller_once_most_of_its_rows_are_hidden(tmp_path: Path, pool: Executor) -> None:
    vectors = np.random.default_rng(0).standard_normal((24_000, 8)).astype(np.float32)
    images = [image(key, str(key), 60) for key in range(1, 401)]
    table = open_table(tmp_path, pool)
    fill(table, images, vectors)
    catalogue = catalogue_of(*images[300:])
    assert table.tidied(catalogue) is table
    table.show([], instead_of=images[:300])
    expected = find(table, vectors[0], 500)
    smaller = table.tidied(catalogue)
    assert smaller is not table
    assert find(smaller, vectors[0], 500) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["scan-000002"]
    assert (tmp_path / "scan-000002" / "codes.i8").stat().st_size == 6000 * 8
    smaller.close()


def test_what_a_writer_left_that_died_while_it_made_a_smaller_table_is_removed(tmp_path: Path, pool: Executor) -> None:
    for folder in ("scan-000002", "draft-000004"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "entries").write_bytes(b"whatever")
    table = ScanTable(ScanFiles(tmp_path / "scan-000003", model="ab" * 16, width=8), pool=pool)
    a = image(1, "a")
    fill(table, [a], rows(axis(0)))
    table.close()
    table = open_table(tmp_path, pool)
    assert table.keep(catalogue_of(a)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["scan-000003"]
    table.close()


def test_a_search_that_began_before_a_change_sees_the_rows_of_its_moment(tmp_path: Path) -> None:
    a, b = image(1, "a"), image(2, "b", 2)

    def change() -> None:
        table.add([b], rows(axis(0, scale=3), axis(0, scale=4)))
        table.show([b], instead_of=[a])

    with ThreadPoolExecutor(1, initializer=change) as late:  # the first search starts the thread, which changes first
        table = open_table(tmp_path, late)
        fill(table, [a], rows(axis(0)))
        assert find(table, axis(0)) == {("a", 0, 1.0)}
        assert find(table, axis(0)) == {("b", 0, 3.0), ("b", 1, 4.0)}
        table.close()
