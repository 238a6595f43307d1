from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from contracts.stores import axis, make_card, make_record, rows

from glyphseek.errors import GalleryBusy, GalleryDamaged, ModelMismatch, StoreUnavailable
from glyphseek.types import RowHit
from glyphseek.vectors.catalogue import CommittedImage
from glyphseek.vectors.milvus import MilvusLiteStore
from glyphseek.vectors.milvus_tables import ImageRow, MilvusTables

CARD = make_card()
PKS_PER_KEY = 65_536

OPEN_IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from contracts.stores import make_card
from glyphseek.errors import GalleryBusy
from glyphseek.vectors.milvus import MilvusLiteStore
try:
    MilvusLiteStore.open(Path(sys.argv[1]), card=make_card())
except GalleryBusy as error:
    print("busy:", error)
"""

FILL_A_DISK = """
mount -t tmpfs -o size=4m tmpfs "$1" || exit 77
exec "$2" - "$1" "$3" <<'END'
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[2])
from contracts.stores import make_card, make_record
from glyphseek.errors import StoreFull
from glyphseek.vectors.milvus import MilvusLiteStore
vectors, ids = [np.ones((1, 1024), dtype=np.float32)] * 100, []
store = MilvusLiteStore.open(Path(sys.argv[1]), card=make_card(width=1024))
try:
    for n in range(100):
        batch = [f"{n:03}-{m:03}" for m in range(100)]
        store.put([make_record(image_id) for image_id in batch], vectors)
        ids += batch
except StoreFull as error:
    print("full:", error)
for _ in range(2):
    assert [record.image_id for record in store.scan()] == ids
    assert [hit.image_id for hit in store.search(vectors[0], 10_000)[0]] == ids
    store.close()
    store = MilvusLiteStore.open(Path(sys.argv[1]), card=make_card(width=1024))
END
"""


def find_database_process(folder: Path) -> int:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder / "gallery.db").encode() in (process / "cmdline").read_bytes().split(b"\0"):
                return int(process.name)
    raise AssertionError(f"no process has {folder} open")


@contextmanager
def opened(folder: Path) -> Generator[MilvusLiteStore]:
    store = MilvusLiteStore.open(folder, card=CARD)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def opened_tables(folder: Path) -> Generator[MilvusTables]:
    tables = MilvusTables(folder / "gallery.db", card=CARD)
    try:
        tables.load_vectors()
        yield tables
    finally:
        tables.close()


def found_ids(store: MilvusLiteStore, limit: int) -> list[tuple[str, int | None]]:
    return [(hit.image_id, hit.instance) for hit in store.search(rows(axis(0)), limit)[0]]


def test_importing_the_store_does_not_import_pymilvus() -> None:
    code = "import sys, glyphseek.vectors.milvus; print('pymilvus' in sys.modules, 'milvus_lite' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.split() == ["False", "False"]


def test_images_and_vectors_are_there_when_the_folder_is_opened_again(tmp_path: Path) -> None:
    folder = tmp_path / "a folder/with späces & more"
    record = make_record("a", instances=2)
    with opened(folder) as store:
        store.put([record, make_record("b")], [rows(axis(0), axis(1)), rows(axis(0))])
        store.delete(["b"])
    with opened(folder) as store:
        assert store.count() == 1
        assert list(store.scan()) == [record]
        assert store.search(rows(axis(1)), 1) == [[RowHit(image_id="a", instance=1, similarity=1.0)]]


def test_vectors_that_were_never_committed_are_not_shown_and_do_not_shorten_the_answer(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put([make_record(f"{n:02}") for n in range(60)], [rows(axis(0, scale=0.5))] * 60)
        lost = [key * PKS_PER_KEY for key in range(1000, 1500)]
        store._tables.add_vectors(lost, rows(*[axis(0)] * 500))  # pyright: ignore[reportPrivateUsage]
        assert found_ids(store, 50) == [(f"{n:02}", 0) for n in range(50)]


def test_what_a_dead_writer_left_is_removed_by_the_next_owner(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put([make_record(f"{n:02}", instances=2) for n in range(40)], [rows(axis(0), axis(1))] * 40)
        store.delete([f"{n:02}" for n in range(10, 20)])
    inside = [key * PKS_PER_KEY + instance for key in (11, 15) for instance in range(3000)]
    beyond = [key * PKS_PER_KEY for key in (41, 5000)]
    with opened_tables(tmp_path) as tables:
        lost = [*inside, *beyond]
        tables.add_vectors(lost, rows(*[axis(0)] * len(lost)))
        assert tables.count_vectors() == 60 + len(lost)
    with opened(tmp_path) as store:
        store.put([make_record("new")], [rows(axis(0))])
        assert len(found_ids(store, 10_000)) == 61
        assert store._tables.count_vectors() == 61  # pyright: ignore[reportPrivateUsage]


def test_an_image_replaced_by_a_writer_that_died_before_tidying_has_its_new_content(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put([make_record("a", names=["old.jpg"])], [rows(axis(0))])
    with opened_tables(tmp_path) as tables:
        (row,) = tables.read_images()
        tables.add_vectors([7 * PKS_PER_KEY], rows(axis(1)))
        tables.add_images([ImageRow(key=7, vector_count=1, record=row.record.replace("old", "new"))])
    for _ in range(2):
        with opened(tmp_path) as store:
            assert [record.names for record in store.scan()] == [("new.jpg",)]
            assert store.search(rows(axis(1)), 5) == [[RowHit(image_id="a", instance=0, similarity=1.0)]]
    with opened_tables(tmp_path) as tables:
        assert [row.key for row in tables.read_images()] == [7]
        assert tables.list_vectors(0, 2**60) == [7 * PKS_PER_KEY]


def remove_table(folder: Path) -> None:
    (table,) = folder.glob("scan-*")
    shutil.rmtree(table)


def test_missing_vectors_are_named_as_damage_when_they_are_needed(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put([make_record("a", instances=2)], [rows(axis(0), axis(1))])
    with opened_tables(tmp_path) as tables:
        tables.drop_vectors([PKS_PER_KEY + 1])
    with opened(tmp_path) as store:
        assert found_ids(store, 1) == [("a", 0)]
        with pytest.raises(GalleryDamaged, match="1 vectors, its images have 2"):
            store.put([make_record("b")], [rows(axis(0))])
    remove_table(tmp_path)
    with opened(tmp_path) as store, pytest.raises(GalleryDamaged, match="1 vectors, its images have 2"):
        store.search(rows(axis(0)), 1)


def test_a_search_table_that_is_missing_is_made_again_of_the_rows(tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).standard_normal((700, 3, 8)).astype(np.float32)
    with opened(tmp_path) as store:
        store.put([make_record(f"{n:03}", instances=3) for n in range(700)], list(vectors))
        store.delete(["007"])
        expected = store.search(vectors[0], 5000)
    remove_table(tmp_path)
    with opened(tmp_path) as store:
        assert store.search(vectors[0], 5000) == expected
        assert len(expected[0]) == 699 * 3


@pytest.mark.parametrize("name", ["rows.f32", "codes.i8", "measures.f32", "entries"])
def test_no_damaged_byte_of_a_search_table_changes_an_answer(tmp_path: Path, name: str) -> None:
    vectors = np.random.default_rng(2).standard_normal((20, 2, 8)).astype(np.float32)
    with opened(tmp_path) as store:
        store.put([make_record(f"{n:02}", instances=2) for n in range(20)], list(vectors))
        expected = store.search(vectors[0], 100)
    (table,) = tmp_path.glob("scan-*")
    content = bytearray((table / name).read_bytes())
    content[3::101] = bytes(255 - value for value in content[3::101])
    (table / name).write_bytes(content)
    with opened(tmp_path) as store:
        assert store.search(vectors[0], 100) == expected
    with opened(tmp_path) as store:
        assert store.search(vectors[0], 100) == expected


def test_a_search_does_not_have_the_database_load_its_vectors(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put([make_record("a")], [rows(axis(0))])
    with opened(tmp_path) as store:
        assert found_ids(store, 1) == [("a", 0)]
        assert not store._tables._loaded  # pyright: ignore[reportPrivateUsage]
        store.delete(["a"])
        assert store._tables._loaded  # pyright: ignore[reportPrivateUsage]


def test_a_key_of_a_writing_that_was_never_committed_is_not_given_again(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put([make_record("a")], [rows(axis(0))])
        table = store._open_table()  # pyright: ignore[reportPrivateUsage]
        table.add([CommittedImage(key=2, vector_count=1, record=make_record("b"))], rows(axis(1)))
    with opened(tmp_path) as store:
        store.put([make_record("b")], [rows(axis(2))])
        assert store.search(rows(axis(1)), 1)[0][0].similarity == 0
    with opened_tables(tmp_path) as tables:
        assert [row.key for row in tables.read_images()] == [1, 3]


def test_a_table_of_mostly_hidden_rows_is_made_smaller_and_answers_as_before(tmp_path: Path) -> None:
    vectors = np.random.default_rng(3).standard_normal((9000, 8)).astype(np.float32)
    with opened(tmp_path) as store:
        store.put([make_record("kept")], [rows(axis(0))])
        for _ in range(3):
            store.put([make_record("changing", instances=len(vectors))], [vectors])
        expected = store.search(vectors[:2], 50)
    (table,) = tmp_path.glob("scan-*")
    assert table.name != "scan-000001"
    assert (table / "codes.i8").stat().st_size == 8 * 9001
    with opened(tmp_path) as store:
        assert store.search(vectors[:2], 50) == expected
        assert found_ids(store, 10_000).count(("kept", 0)) == 1


def test_a_store_that_is_open_is_busy_here_and_in_another_process_until_closed(tmp_path: Path) -> None:
    with opened(tmp_path):
        with pytest.raises(GalleryBusy, match="open in another place"):
            MilvusLiteStore.open(tmp_path, card=CARD)
        command = [sys.executable, "-c", OPEN_IN_ANOTHER_PROCESS, str(tmp_path), str(Path(__file__).parent.parent)]
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert found.stdout.startswith(f"busy: {tmp_path} is open")
    with opened(tmp_path) as store:
        assert store.count() == 0


def test_another_model_is_refused_with_both_names_and_the_store_stays_usable(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put([make_record("a")], [rows(axis(0))])
    other = make_card(name="other", fingerprint="cd" * 16)
    with pytest.raises(ModelMismatch, match=r"'tiny' \(abab.*'other' \(cdcd"):
        MilvusLiteStore.open(tmp_path, card=other)
    with opened(tmp_path) as store:
        assert found_ids(store, 1) == [("a", 0)]


def test_a_renamed_model_with_the_same_fingerprint_is_accepted(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    MilvusLiteStore.open(tmp_path, card=make_card(name="renamed")).close()


def test_a_file_that_is_no_database_is_named_as_damage_and_frees_the_lock(tmp_path: Path) -> None:
    (tmp_path / "gallery.db").write_bytes(b"not a database" * 1000)
    for _ in range(2):
        with pytest.raises(GalleryDamaged, match=r"gallery\.db"):
            MilvusLiteStore.open(tmp_path, card=CARD)


def test_a_row_that_is_no_record_is_named_as_damage(tmp_path: Path) -> None:
    with opened_tables(tmp_path) as tables:
        tables.add_images([ImageRow(key=3, vector_count=0, record="{}")])
    with pytest.raises(GalleryDamaged, match="row 3"):
        MilvusLiteStore.open(tmp_path, card=CARD)


def test_a_file_in_place_of_the_folder_is_a_named_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="file"):
        MilvusLiteStore.open(tmp_path / "file", card=CARD)


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    store = MilvusLiteStore.open(tmp_path, card=CARD)
    store.close()
    store.close()


def test_a_store_whose_first_owner_died_before_the_index_was_made_works(tmp_path: Path) -> None:
    with opened_tables(tmp_path) as tables:
        client = tables._client  # pyright: ignore[reportPrivateUsage]
        client.release_collection("vectors")
        client.drop_index("vectors", "vector")
        client.drop_collection("images")
    with opened(tmp_path) as store:
        store.put([make_record("a")], [rows(axis(0))])
        assert found_ids(store, 1) == [("a", 0)]


def test_a_database_that_died_refuses_writes_and_the_next_owner_finds_everything(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put([make_record("a")], [rows(axis(0))])
        os.kill(find_database_process(tmp_path), signal.SIGKILL)
        with pytest.raises(StoreUnavailable, match="could not write"):
            store.put([make_record("b")], [rows(axis(0))])
        assert found_ids(store, 5) == [("a", 0)]
    with opened(tmp_path) as store:
        assert found_ids(store, 5) == [("a", 0)]


def test_a_full_disk_is_a_named_error_and_loses_nothing(tmp_path: Path) -> None:
    tests = str(Path(__file__).parent.parent)
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", FILL_A_DISK, "sh", str(tmp_path), sys.executable]
    try:
        found = subprocess.run([*command, tests], capture_output=True, text=True, check=False, timeout=120)
    except FileNotFoundError:
        pytest.skip("no unshare command to mount a small disk with")
    if found.returncode == 77 or "unshare" in found.stderr:
        pytest.skip(f"may not mount a small disk here: {found.stderr.strip()}")
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("full: no space left to write")


def test_the_garbage_collector_leaves_a_searched_store_alone_until_it_is_closed(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put([make_record(f"{number:03}") for number in range(300)], [rows(axis(0))] * 300)
    before = gc.get_freeze_count()
    with opened(tmp_path) as store:
        assert gc.get_freeze_count() == before
        store.search(rows(axis(0)), 1)
        assert gc.get_freeze_count() >= before + 3 * 300
    assert gc.get_freeze_count() == 0
