from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glyphseek.errors import StoreUnavailable
from glyphseek.types import FloatArray
from glyphseek.vectors.scan_files import Entry, Kept, ScanFiles

WIDTH = 5


def entry(key: int, count: int) -> Entry:
    return Entry(key=key, stamp=2**64 - key, count=count)


def vectors(seed: int, count: int) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)


def open_files(folder: Path, *, model: str = "ab" * 16, width: int = WIDTH) -> tuple[ScanFiles, Kept]:
    files = ScanFiles(folder, model=model, width=width)
    return files, files.read()


def write(folder: Path, *batches: list[Entry]) -> None:
    files, _ = open_files(folder)
    for batch in batches:
        files.append(batch, vectors(batch[0].key, sum(one.count for one in batch)))
    files.close()


def change_byte(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x40
    path.write_bytes(content)


def test_new_files_are_empty(tmp_path: Path) -> None:
    files, kept = open_files(tmp_path / "new")
    assert (kept.entries, kept.is_sound, kept.codes.codes_RD.shape, files.map_rows().shape) == ([], [], (0, 5), (0, 5))
    files.close()


def test_what_was_appended_is_there_when_the_files_are_opened_again(tmp_path: Path) -> None:
    files, _ = open_files(tmp_path)
    codes = files.append([entry(1, 2), entry(2, 0), entry(3, 1)], vectors(1, 3))
    files.append([entry(4, 3)], vectors(4, 3))
    files.close()
    files, kept = open_files(tmp_path)
    assert kept.entries == [entry(1, 2), entry(2, 0), entry(3, 1), entry(4, 3)]
    assert kept.is_sound == [True] * 4
    assert np.array_equal(kept.codes.codes_RD[:3], codes.codes_RD)
    assert np.array_equal(kept.codes.measures_R3[:3], codes.measures_R3)
    assert np.array_equal(files.map_rows(), np.concatenate([vectors(1, 3), vectors(4, 3)]))
    files.close()


def test_a_tail_without_records_is_cut_off(tmp_path: Path) -> None:
    write(tmp_path, [entry(1, 2)])
    for name in ("rows.f32", "codes.i8", "measures.f32"):
        with (tmp_path / name).open("ab") as file:
            file.write(b"left by a writer that died")
    with (tmp_path / "entries").open("ab") as file:
        file.write(b"half a record")
    write(tmp_path, [entry(2, 1)])
    files, kept = open_files(tmp_path)
    assert kept.entries == [entry(1, 2), entry(2, 1)]
    assert all(kept.is_sound)
    assert np.array_equal(files.map_rows(), np.concatenate([vectors(1, 2), vectors(2, 1)]))
    files.close()


@pytest.mark.parametrize("name", ["rows.f32", "codes.i8", "measures.f32"])
def test_entries_whose_rows_are_not_all_there_are_left_out(tmp_path: Path, name: str) -> None:
    write(tmp_path, [entry(1, 2)], [entry(2, 2)], [entry(3, 1)])
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 5 * 4 - 1])
    files, kept = open_files(tmp_path)
    assert kept.entries == [entry(1, 2)]
    assert len(files.map_rows()) == len(kept.codes.codes_RD) == 2
    files.close()


def test_a_damaged_record_ends_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, [entry(1, 2)], [entry(2, 2)], [entry(3, 1)])
    change_byte(tmp_path / "entries", -(2 * 28) + 3)
    files, kept = open_files(tmp_path)
    assert kept.entries == [entry(1, 2)]
    files.close()


@pytest.mark.parametrize(("name", "place"), [("codes.i8", 2 * WIDTH), ("measures.f32", 3 * 12 + 1)])
def test_changed_bytes_are_told_from_sound_ones(tmp_path: Path, name: str, place: int) -> None:
    write(tmp_path, [entry(1, 2)], [entry(2, 2)], [entry(3, 1)])
    change_byte(tmp_path / name, place)
    files, kept = open_files(tmp_path)
    assert kept.is_sound == [True, False, True]
    files.close()


@pytest.mark.parametrize("other", [("cd" * 16, WIDTH), ("ab" * 16, WIDTH + 1)])
def test_files_of_another_model_or_width_start_anew(tmp_path: Path, other: tuple[str, int]) -> None:
    write(tmp_path, [entry(1, 2)])
    files, kept = open_files(tmp_path, model=other[0], width=other[1])
    assert kept.entries == []
    files.close()
    files, kept = open_files(tmp_path)
    assert kept.entries == []
    files.close()


@pytest.mark.parametrize("content", [b"", b"GLYPHSEEKROWS001", b"something else entirely" * 100])
def test_a_header_that_is_none_starts_anew(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, [entry(1, 2)])
    (tmp_path / "entries").write_bytes(content)
    files, kept = open_files(tmp_path)
    assert kept.entries == []
    files.append([entry(7, 1)], vectors(7, 1))
    files.close()
    files, kept = open_files(tmp_path)
    assert (kept.entries, kept.is_sound) == ([entry(7, 1)], [True])
    files.close()


def test_forgotten_entries_are_gone_and_others_take_their_place(tmp_path: Path) -> None:
    files, _ = open_files(tmp_path)
    files.append([entry(1, 2)], vectors(1, 2))
    files.append([entry(2, 1), entry(3, 2)], vectors(2, 3))
    files.forget([entry(2, 1), entry(3, 2)])
    files.append([entry(4, 1)], vectors(4, 1))
    files.close()
    files, kept = open_files(tmp_path)
    assert (kept.entries, kept.is_sound) == ([entry(1, 2), entry(4, 1)], [True, True])
    assert np.array_equal(files.map_rows(), np.concatenate([vectors(1, 2), vectors(4, 1)]))
    files.close()


def test_rows_that_were_mapped_stay_readable_after_more_came_and_the_files_were_closed(tmp_path: Path) -> None:
    files, _ = open_files(tmp_path)
    files.append([entry(1, 2)], vectors(1, 2))
    mapped = files.map_rows()
    files.append([entry(2, 2)], vectors(2, 2))
    files.close()
    assert np.array_equal(mapped, vectors(1, 2))


WRITE_TOO_MUCH = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from glyphseek.errors import StoreUnavailable
from glyphseek.vectors.scan_files import Entry, ScanFiles
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
files = ScanFiles(Path(sys.argv[1]), model="m", width=100)
files.read()
small = np.ones((1, 100), dtype=np.float32)
files.append([Entry(key=1, stamp=1, count=1)], small)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    files.append([Entry(key=2, stamp=2, count=90)], np.repeat(small, 90, axis=0))
except StoreUnavailable as error:
    print("refused:", error)
files.append([Entry(key=3, stamp=3, count=1)], 2 * small)
files.close()
files = ScanFiles(Path(sys.argv[1]), model="m", width=100)
print([entry.key for entry in files.read().entries], files.map_rows()[:, 0].tolist())
"""


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_TOO_MUCH, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    refused, kept = found.stdout.splitlines()
    assert refused.startswith("refused: cannot use the search table")
    assert kept == "[1, 3] [1.0, 2.0]"


def test_a_file_in_place_of_the_folder_is_a_named_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="file"):
        ScanFiles(tmp_path / "file", model="m", width=1)
