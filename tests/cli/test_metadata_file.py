from __future__ import annotations

from pathlib import Path

import pytest

from glyphseek.cli.metadata_file import read_metadata
from glyphseek.errors import InputError

SAID = {"trip/a b.jpg": {"city": "Oslo", "year": 2021.0, "sold": True}, "b.jpg": {"code": "007"}}
FILES = {
    "photos.json": '{"trip/a b.jpg": {"city": "Oslo", "year": 2021, "sold": true}, "./b.jpg": {"code": "007"}}',
    "photos.jsonl": '{"file_name": "trip/a b.jpg", "city": "Oslo", "year": 2021, "sold": true}\n\n'
    '{"code": "007", "file_name": "b.jpg"}\n',
    "photos.csv": '\ufefffile_name,city,year,sold,code\r\ntrip/a b.jpg,"Oslo",2021,true,\r\nb.jpg,,,,007\r\n',
}


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_bytes(text.encode())
    return folder / name


@pytest.mark.parametrize("name", FILES)
def test_each_kind_of_file_says_the_same(tmp_path: Path, name: str) -> None:
    assert read_metadata(write(tmp_path, name, FILES[name])) == SAID


@pytest.mark.parametrize(("cell", "value"), [("-1.5e3", -1500.0), ("1.", "1."), ("True", "True"), ("nan", "nan")])
def test_cells_of_csv_are_numbers_and_flags_only_as_json_writes_them(
    tmp_path: Path, cell: str, value: float | str
) -> None:
    assert read_metadata(write(tmp_path, "p.csv", f"file_name,x\na.jpg,{cell}\n")) == {"a.jpg": {"x": value}}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("p.txt", "", "read from .json, .jsonl, .csv, not from 'p.txt'"),
        ("p.json", "[]", "no object of paths"),
        ("p.json", '{"a.jpg": 3}', "entry 1: what is said of 'a.jpg' is no object"),
        ("p.json", '{"a.jpg": {}, "./a.jpg": {}}', "entry 2: 'a.jpg' is there twice"),
        ("p.json", '{"a.jpg": {"x": [1]}}', "entry 1: 'a.jpg': metadata 'x' is list"),
        ("p.json", "{", "p.json: Expecting"),
        ("p.jsonl", '{"file_name": "a.jpg"}\n{"x": 1}', "line 2: no file_name"),
        ("p.jsonl", "\n[]", "line 2: it is no object"),
        ("p.jsonl", "\n{", "line 2: Expecting"),
        ("p.csv", "name,x\na.jpg,1\n", "no column 'file_name'"),
        ("p.csv", "", "no column 'file_name'"),
        ("p.csv", "file_name,x\na.jpg\n", "line 2: it has not as many cells"),
        ("p.csv", "file_name,x\na.jpg,1,2\n", "line 2: it has not as many cells"),
        ("p.csv", "file_name,a b\na.jpg,1\n", "line 2: 'a.jpg': metadata key 'a b'"),
        ("p.csv", "file_name,x\n,1\n", "line 2: no file_name"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_place(tmp_path: Path, name: str, text: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        read_metadata(write(tmp_path, name, text))
    assert reason in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"file_name\n\xff\n")
    with pytest.raises(InputError, match="utf-8"):
        read_metadata(tmp_path / "p.csv")
