from __future__ import annotations

import re
import shutil
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from fontTools.ttLib import TTFont

from glyphseek.datasets.scenes.fonts import STYLE_SHARES, Face, FontBook
from glyphseek.errors import SettingError


def test_symbol_fonts_are_left_out(fonts: FontBook) -> None:
    names = {face.path.name for face in fonts.faces}
    assert "DejaVuSans.ttf" in names
    assert names.isdisjoint({"STIXSizFourSymBol.ttf", "cmsy10.ttf", "cmex10.ttf", "LastResortHE-Regular.ttf"})


def save_without(source: Path, characters: str, target: Path) -> None:
    """Write a copy of a font that lacks those characters."""
    with TTFont(source) as font:
        for table in font["cmap"].tables:
            for character in characters:
                table.cmap.pop(ord(character), None)
        font.save(target)


def plain_path(fonts: FontBook) -> Path:
    return next(face.path for face in fonts.faces if face.path.name == "DejaVuSans.ttf")


def test_a_font_without_digits_is_left_out_and_so_is_a_file_that_is_no_font(fonts: FontBook, tmp_path: Path) -> None:
    shutil.copy(plain_path(fonts), tmp_path / "whole.ttf")
    save_without(plain_path(fonts), "0123456789", tmp_path / "digitless.ttf")
    (tmp_path / "notes.ttf").write_text("not a font")
    assert [face.path.name for face in FontBook.discover([tmp_path], minimum=1).faces] == ["whole.ttf"]


def test_greek_letters_in_place_of_latin_ones_are_no_words(fonts: FontBook, tmp_path: Path) -> None:
    shutil.copy(plain_path(fonts), tmp_path / "latin.ttf")
    latin, greek = "abgdezhqiklmnxoprstufcyw", "αβγδεζηθικλμνξοπρστυφχψω"
    with TTFont(plain_path(fonts)) as font:
        swapped = list(zip(latin + latin.upper(), greek + greek.upper(), strict=True))
        for table in font["cmap"].tables:
            table.cmap |= {ord(letter): table.cmap[ord(other)] for letter, other in swapped if ord(other) in table.cmap}
        font.save(tmp_path / "greek.ttf")

    assert [face.path.name for face in FontBook.discover([tmp_path], minimum=1).faces] == ["latin.ttf"]


def test_a_packed_font_is_left_out_where_it_cannot_be_unpacked(
    fonts: FontBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("brotli")
    shutil.copy(plain_path(fonts), tmp_path / "whole.ttf")
    with TTFont(plain_path(fonts)) as font:
        font.flavor = "woff2"
        font.save(tmp_path / "packed.woff2")
    monkeypatch.setattr("fontTools.ttLib.woff2.haveBrotli", False)

    assert [face.path.name for face in FontBook.discover([tmp_path], minimum=1).faces] == ["whole.ttf"]


def test_too_few_fonts_are_refused_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="found 0 usable fonts, need 3"):
        FontBook.discover([tmp_path], minimum=3)


def test_the_order_of_faces_does_not_matter(fonts: FontBook) -> None:
    assert FontBook.of(fonts.faces[::-1]) == fonts
    assert FontBook.of(fonts.faces[::-1]).fingerprint == fonts.fingerprint


def test_the_fingerprint_changes_with_the_set(fonts: FontBook) -> None:
    assert FontBook.of(fonts.faces[1:]).fingerprint != fonts.fingerprint


def test_a_drawn_face_has_all_characters_of_the_text(fonts: FontBook, tmp_path: Path) -> None:
    save_without(plain_path(fonts), "#&", tmp_path / "poor.ttf")
    (poor,) = FontBook.discover([tmp_path], minimum=1).faces
    assert poor.lacks == {"#", "&"}
    book = FontBook.of([poor, next(face for face in fonts.faces if face.family != poor.family)])
    rng = np.random.default_rng(0)
    assert {book.draw(rng, "A").family for _ in range(100)} == {face.family for face in book.faces}
    assert all(book.draw(rng, "A&B").path != poor.path for _ in range(100))


def test_every_family_is_drawn_at_some_time(fonts: FontBook) -> None:
    rng = np.random.default_rng(1)
    assert {fonts.draw(rng, "A").family for _ in range(3000)} == {family[0].family for family in fonts.families}


def style_shares(book: FontBook, rng: np.random.Generator) -> Counter[str]:
    return Counter(book.draw(rng, "A").style for _ in range(4000))


def test_listed_families_share_what_their_style_is_drawn_and_others_keep_the_rest(
    fonts: FontBook, tmp_path: Path
) -> None:
    for name in ("lobster", "pacifico", "pirata-one"):  # names of the list; the same letters serve for all
        shutil.copy(plain_path(fonts), tmp_path / f"{name}-latin-400-normal.ttf")
    listed = FontBook.discover([tmp_path], minimum=3).faces
    assert {face.family: face.style for face in listed} == {
        "lobster": "display", "pacifico": "script", "pirata-one": "blackletter"
    }  # fmt: skip

    shares = style_shares(FontBook.of([*fonts.faces, *listed]), np.random.default_rng(3))
    for style in ("display", "script", "blackletter"):
        assert shares[style] / 4000 == pytest.approx(STYLE_SHARES[style], abs=0.02)
    assert set(style_shares(FontBook.of(listed), np.random.default_rng(4))) == {"display", "script", "blackletter"}


def test_a_listed_face_may_look_like_no_plain_letters_and_others_may_not(fonts: FontBook, tmp_path: Path) -> None:
    latin, greek = "abgdezhqiklmnxoprstufcyw", "αβγδεζηθικλμνξοπρστυφχψω"
    with TTFont(plain_path(fonts)) as font:
        swapped = list(zip(latin + latin.upper(), greek + greek.upper(), strict=True))
        for table in font["cmap"].tables:
            table.cmap |= {ord(letter): table.cmap[ord(other)] for letter, other in swapped if ord(other) in table.cmap}
        for name in ("kaushan-script-latin-400-normal.ttf", "unknown-latin-400-normal.ttf"):
            font.save(tmp_path / name)
    assert [face.family for face in FontBook.discover([tmp_path], minimum=1).faces] == ["kaushan-script"]


def test_joined_script_is_not_set_in_capitals() -> None:
    def face(style: str, likeness: float) -> Face:
        return Face(path=Path("a.ttf"), family="a", likeness=likeness, lacks=frozenset(), style=style)

    assert [face("script", 0.4).set_case(word) for word in ("HOTEL", "Hotel", "hotel", "A1")] == [
        "Hotel", "Hotel", "hotel", "A1"
    ]  # fmt: skip
    assert face("script", 0.8).set_case("HOTEL") == "HOTEL"
    assert face("", 0.4).set_case("HOTEL") == "HOTEL"


def test_every_family_of_the_fontsource_list_has_a_version_a_style_and_a_licence_once() -> None:
    listed = resources.files("glyphseek.datasets.scenes").joinpath("fonts-fontsource.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in listed.splitlines() if not line.startswith("#")]
    assert len(rows) > 900
    assert all(
        re.fullmatch(r"[a-z0-9-]+@\d+\.\d+\.\d+", name) and style in STYLE_SHARES and licence
        for name, style, licence in rows
    )
    assert len({name.partition("@")[0] for name, _, _ in rows}) == len(rows)


def test_every_package_of_the_debian_list_states_its_licence_once() -> None:
    listed = resources.files("glyphseek.datasets.scenes").joinpath("fonts-debian.txt").read_text(encoding="utf-8")
    rows = [line.split(maxsplit=1) for line in listed.splitlines() if not line.startswith("#")]
    assert len(rows) > 60
    assert all(len(row) == 2 and row[0].startswith("fonts-") for row in rows)
    assert len({row[0] for row in rows}) == len(rows)
