"""Commands against a gateway that listens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.command_line import glyphseek
from fakes.gateways import Served, make_gateway, make_photo, served
from PIL import Image


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with served(make_gateway()) as running:
        yield running


@pytest.fixture
def url(running: Served) -> str:
    return f"http://127.0.0.1:{running.doors.http_port}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    (photos / "below").mkdir(parents=True)
    for red in range(1, 13):
        place = photos / "below" if red % 2 else photos
        (place / f"w{red}.png").write_bytes(make_photo(red))
    return photos


def test_a_folder_is_sent_and_searched(url: str, folder: Path, tmp_path: Path) -> None:
    sent = glyphseek("index", folder, "--url", url, "--collection", "sent", "--json")
    assert sent.code == 0, sent.err
    assert {name: json.loads(sent.out)[name] for name in ("found", "added", "refused")} == {
        "found": 12,
        "added": 12,
        "refused": 0,
    }
    again = glyphseek("index", folder, "--url", url, "--collection", "sent")
    assert "0 added, 12 unchanged" in again.out

    picture = tmp_path / "hits.png"
    found = glyphseek("search", "w5", "w*", "--url", url, "-c", "sent", "--top", "7", "--picture", picture, "--json")
    assert found.code == 0, found.err
    word, prefix = json.loads(found.out)
    assert word["hits"][0]["names"] == ["below/w5.png"]
    assert word["confident"]
    assert len(prefix["hits"]) == 7
    with Image.open(picture) as drawn:
        assert drawn.width == 1600


def test_metadata_of_a_file_is_sent_with_the_photos(url: str, folder: Path, tmp_path: Path) -> None:
    said = tmp_path / "said.jsonl"
    said.write_text('{"file_name": "below/w5.png", "city": "Oslo"}\n{"file_name": "w5.png", "city": "Bergen"}\n')
    options = ("--url", url, "--collection", "described")
    sent = glyphseek("index", folder, "--metadata", said, *options)
    assert sent.code == 0, sent.err
    assert "metadata of 1 names that no photo has, for example w5.png" in sent.err

    found = glyphseek("search", "w*", "--where", 'city == "Oslo"', *options, "--json")
    assert [hit["names"] for hit in json.loads(found.out)[0]["hits"]] == [["below/w5.png"]]


def test_answers_are_printed_as_those_of_a_gallery(url: str, folder: Path) -> None:
    assert glyphseek("index", folder, "--url", url, "--collection", "table").code == 0
    ended = glyphseek("search", "w5", "--url", url, "--collection", "table")
    assert ended.code == 0, ended.err
    assert "below/w5.png" in ended.out
    assert "recall+match" in ended.out


def test_more_hits_than_a_page_has_are_fetched(url: str, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for red in range(1, 131):
        (many / f"w{red}.png").write_bytes(make_photo(red, blue=7))
    assert glyphseek("index", many, "--url", url, "--collection", "many").code == 0
    ended = glyphseek("search", "w*", "--url", url, "--collection", "many", "--top", "120", "--json")
    names = [hit["names"][0] for hit in json.loads(ended.out)[0]["hits"]]
    assert len(names) == len(set(names)) == 120


def test_photos_that_are_refused_are_named_and_the_exit_code_says_so(url: str, folder: Path) -> None:
    (folder / "broken.png").write_bytes(make_photo(1)[:40])
    ended = glyphseek("index", folder, "--url", url, "--collection", "broken")
    assert ended.code == 3
    assert "12 added" in ended.out
    assert "broken.png" in ended.err


def test_errors_of_the_gateway_end_the_command_with_its_text(url: str) -> None:
    ended = glyphseek("search", "w5", "--url", url, "--collection", "nowhere")
    assert ended.code != 0
    assert "nowhere" in ended.err
    gone = glyphseek("search", "w5", "--url", "http://127.0.0.1:1")
    assert gone.code != 0
    assert "127.0.0.1:1 does not answer" in gone.err


def test_a_command_that_names_neither_gallery_nor_gateway_says_what_is_missing() -> None:
    ended = glyphseek("search", "w5")
    assert ended.code == 2
    assert "--gallery FOLDER, or --url" in ended.err
