from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glyphseek.errors import StoreUnavailable
from glyphseek.features.directory import DirectoryFeatureStore

WRITE_UNTIL_KILLED = """
import itertools, sys
from pathlib import Path
from glyphseek.features.directory import DirectoryFeatureStore
store = DirectoryFeatureStore(Path(sys.argv[1]))
for n in itertools.count():
    store.put(f"k{n % 5}", bytes([n % 256]) * 3_000_000)
    print(n, flush=True)
"""

WRITE_OVER_A_LIMIT = """
import resource, sys
from pathlib import Path
from glyphseek.errors import StoreFull
from glyphseek.features.directory import DirectoryFeatureStore
store = DirectoryFeatureStore(Path(sys.argv[1]))
store.put("a/b", b"before")
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    store.put("a/b", bytes(20_000))
except StoreFull as error:
    print(error)
"""

WRITE_ON_A_FULL_DISK = """
mount -t tmpfs -o size=64k tmpfs "$1" || exit 77
exec "$2" - "$1" <<'END'
import sys
from pathlib import Path
from glyphseek.errors import StoreFull
from glyphseek.features.directory import DirectoryFeatureStore
store = DirectoryFeatureStore(Path(sys.argv[1]))
store.put("a", b"before")
try:
    store.put("a", bytes(200_000))
except StoreFull as error:
    print("full:", error)
assert store.get(["a"]) == [b"before"]
assert store.remove_leftovers() == 0
store.put("a", b"after")
assert store.get(["a"]) == [b"after"]
END
"""


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, timeout=60
    )


def test_blobs_are_there_when_the_folder_is_opened_again(tmp_path: Path) -> None:
    DirectoryFeatureStore(tmp_path).put("a/b", b"1")
    assert DirectoryFeatureStore(tmp_path).get(["a/b"]) == [b"1"]


def test_files_of_one_prefix_are_spread_over_folders(tmp_path: Path) -> None:
    store = DirectoryFeatureStore(tmp_path)
    for n in range(500):
        store.put(f"model/{n}", b"")
    assert len(list((tmp_path / "model").iterdir())) > 200


def test_a_writer_killed_in_the_middle_leaves_only_whole_blobs(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_UNTIL_KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        while int(writer.stdout.readline()) < 8:
            pass
        writer.send_signal(signal.SIGKILL)
    store = DirectoryFeatureStore(tmp_path)
    keys = list(store.scan())
    assert keys == ["k0", "k1", "k2", "k3", "k4"]
    for blob in store.get(keys):
        assert blob is not None
        assert len(blob) == 3_000_000
        assert len(set(blob)) == 1


def test_unfinished_files_are_no_keys_and_can_be_removed(tmp_path: Path) -> None:
    store = DirectoryFeatureStore(tmp_path)
    store.put("a", b"1")
    for name in ("one", "two"):
        (tmp_path / ".partial" / name).write_bytes(b"half")
    assert list(store.scan()) == ["a"]
    assert store.remove_leftovers() == 2
    assert list((tmp_path / ".partial").iterdir()) == []
    assert store.get(["a"]) == [b"1"]


def test_a_blob_past_the_space_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    found = run_python(WRITE_OVER_A_LIMIT, str(tmp_path))
    assert "no space left" in found.stdout
    store = DirectoryFeatureStore(tmp_path)
    assert store.get(["a/b"]) == [b"before"]
    assert store.remove_leftovers() == 0


def test_a_full_disk_is_a_named_error_and_loses_nothing(tmp_path: Path) -> None:
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", WRITE_ON_A_FULL_DISK, "sh", str(tmp_path)]
    try:
        found = subprocess.run([*command, sys.executable], capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        pytest.skip("no unshare command to mount a small disk with")
    if found.returncode == 77 or "unshare" in found.stderr:
        pytest.skip(f"may not mount a small disk here: {found.stderr.strip()}")
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("full: no space left")


def test_a_put_that_cannot_move_its_file_leaves_nothing_behind(tmp_path: Path) -> None:
    store = DirectoryFeatureStore(tmp_path)
    (tmp_path / "model").write_bytes(b"a file where a folder should be")
    with pytest.raises(StoreUnavailable, match="model"):
        store.put("model/a", b"1")
    assert store.remove_leftovers() == 0


def test_a_file_in_place_of_the_folder_is_a_named_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="file"):
        DirectoryFeatureStore(tmp_path / "file")


def test_a_folder_in_place_of_a_blob_is_a_named_error(tmp_path: Path) -> None:
    store = DirectoryFeatureStore(tmp_path)
    store.put("a", b"1")
    (blob,) = tmp_path.glob("*/a.blob")
    blob.unlink()
    blob.mkdir()
    with pytest.raises(StoreUnavailable, match=r"a\.blob"):
        store.get(["a"])


def test_blobs_have_the_rights_that_the_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        DirectoryFeatureStore(tmp_path).put("a", b"1")
    finally:
        os.umask(before)
    (blob,) = tmp_path.glob("*/a.blob")
    assert blob.stat().st_mode & 0o777 == 0o644
