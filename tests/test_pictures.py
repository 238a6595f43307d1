from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from glyphseek.errors import StoreUnavailable
from glyphseek.pictures import Panel, draw_hits, save_picture
from glyphseek.ranking import TermMatch
from glyphseek.types import FloatArray, RgbImage

ORANGE = (0xE6, 0x9F, 0x00)
BLUE = (0x56, 0xB4, 0xE9)
PHOTO = (10, 20, 200)


def photo(width: int = 400, height: int = 300) -> RgbImage:
    return np.full((height, width, 3), PHOTO, dtype=np.uint8)


def match(term: str, box: tuple[float, float, float, float] | None = (0.25, 0.5, 0.75, 0.75)) -> TermMatch:
    return TermMatch(term=term, similarity=0.87, instance=0, box=box)


def panel(*matches: TermMatch, image: RgbImage | None = None, name: str = "shop.jpg") -> Panel:
    return Panel(name=name, score=0.9, matches=matches, image=photo() if image is None else image)


def find(picture: RgbImage, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the pixels of a colour."""
    rows, columns = np.nonzero((picture == np.array(colour)).all(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


@pytest.mark.parametrize(("panels", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3), (9, 3), (10, 4)])
def test_panels_stand_in_a_grid(panels: int, columns: int) -> None:
    picture = draw_hits([panel()] * panels, title="tea")
    assert picture.shape[1] == 1600
    row = (picture[200] == np.array(PHOTO)).all(axis=1)
    assert int(np.count_nonzero(np.diff(row.astype(int)) == 1)) == columns


def test_a_word_is_outlined_at_its_place_in_the_photo() -> None:
    picture = draw_hits([panel(match("tea"))], title="tea")
    left, top, right, bottom = find(picture, PHOTO)
    box = find(picture, ORANGE)
    width, height = right - left, bottom - top
    assert box[0] == pytest.approx(left + 0.25 * width, abs=5)
    assert box[2] == pytest.approx(left + 0.75 * width, abs=5)
    assert box[3] == pytest.approx(top + 0.75 * height, abs=5)


def test_every_term_has_its_colour_in_every_panel() -> None:
    first = panel(match("tea", (0.1, 0.1, 0.3, 0.3)), match("milk", (0.6, 0.6, 0.9, 0.9)))
    second = panel(match("milk", (0.1, 0.1, 0.3, 0.3)))
    both = draw_hits([first, second], title="tea milk")
    half = both.shape[1] // 2
    assert (both[:, :half] == np.array(ORANGE)).all(axis=2).any()
    assert not (both[:, half:] == np.array(ORANGE)).all(axis=2).any()
    assert (both[:, half:] == np.array(BLUE)).all(axis=2).any()


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 1.0, 1.0), (0.9, 0.9, 1.4, 1.2), (-0.2, -0.1, 0.0, 0.01), (0.5, 0.5, 0.5, 0.5)]
)
def test_boxes_at_and_past_the_edge_are_drawn(box: tuple[float, float, float, float]) -> None:
    assert (draw_hits([panel(match("tea", box))], title="tea") == np.array(ORANGE)).all(axis=2).any()


@pytest.mark.parametrize(("width", "height"), [(300, 300), (40, 900), (900, 40), (1, 1)])
def test_a_photo_keeps_its_shape(width: int, height: int) -> None:
    left, top, right, bottom = find(draw_hits([panel(image=photo(width, height))], title="tea"), PHOTO)
    assert (right - left + 1) / (bottom - top + 1) == pytest.approx(width / height, rel=0.05)


def test_labels_of_neighbouring_words_do_not_cover_each_other() -> None:
    apart = draw_hits([panel(match("tea", (0.1, 0.5, 0.2, 0.6)))], title="")
    stacked = draw_hits([panel(match("tea", (0.1, 0.5, 0.2, 0.6)), match("milk", (0.1, 0.62, 0.2, 0.72)))], title="")
    count = [int((one == np.array(ORANGE)).all(axis=2).sum()) for one in (apart, stacked)]
    assert count[1] == pytest.approx(count[0], rel=0.02)


def test_an_image_that_is_gone_leaves_its_place_empty() -> None:
    gone = Panel(name="gone.jpg", score=0.5, matches=(match("tea"),), image=None)
    with_gone = draw_hits([gone, panel()], title="tea")
    assert with_gone.shape == draw_hits([panel(), panel()], title="tea").shape
    assert find(with_gone, PHOTO)[0] > 800


def test_a_match_without_a_place_is_named_under_the_photo() -> None:
    placed, unplaced = (draw_hits([panel(match("tea", box), name="")], title="") for box in ((0, 0, 1, 1), None))
    bottom = find(unplaced, PHOTO)[3]
    assert (unplaced[bottom + 40 :] != placed[bottom + 40 :]).any()


@pytest.mark.parametrize("name", ["x" * 500, "bad\udcff.jpg", "кофе-Ελλάδα.jpg", "", "🍞.png", "two\nlines.jpg"])
def test_any_name_can_be_written_and_stays_in_its_cell(name: str) -> None:
    picture = draw_hits([panel(), panel(name=name), panel()], title=name)
    assert (picture[:, -16:] == 255).all()


def test_no_hits_are_a_title_alone() -> None:
    empty = draw_hits([], title="tea: no hits")
    assert empty.shape[0] < 100
    assert empty.min() < 100


def test_a_picture_is_saved_as_png_as_it_is(tmp_path: Path) -> None:
    picture = draw_hits([panel(match("tea"))], title="tea")
    save_picture(picture, tmp_path / "hits.out")
    with Image.open(tmp_path / "hits.out") as image:
        assert image.format == "PNG"
        assert np.array_equal(np.asarray(image), picture)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"cannot write the picture .*missing/hits\.png: No such file"):
        save_picture(photo(), tmp_path / "missing" / "hits.png")


def lit(cell: tuple[int, int], shape: tuple[int, int] = (4, 6)) -> FloatArray:
    attention = np.zeros(shape, dtype=np.float32)
    attention[cell] = 0.25
    return attention


def redness(picture: RgbImage) -> NDArray[np.floating]:
    """Return how much redder than blue each column of the photo is, upper half and lower half."""
    left, top, right, bottom = 16, 78, 1584, 1254
    inside = picture[top:bottom, left:right].astype(np.float64)
    return (inside[..., 0] - inside[..., 2]).reshape(2, (bottom - top) // 2, right - left).mean(axis=1)


def test_attention_lights_the_photo_up_where_it_is_high() -> None:
    hit = replace(panel(match("tea")), attention={"tea": lit((0, 5))})
    red = redness(draw_hits([hit], title=""))
    corner, other = red[0, -200:].mean(), red[1, :1000].mean()
    assert corner > other + 60
    assert abs(red[1, :1000] - other).max() < 1


def test_boxes_are_not_drawn_over_attention_but_labels_are() -> None:
    boxed = draw_hits([panel(match("tea"))], title="")
    mapped = draw_hits([replace(panel(match("tea")), attention={"tea": lit((0, 0))})], title="")
    count = [int((one == np.array(ORANGE)).all(axis=2).sum()) for one in (boxed, mapped)]
    assert 500 < count[1] < count[0] - 2000


def test_each_term_is_lit_in_its_own_colour_and_unknown_terms_are_not() -> None:
    terms = (match("tea"), match("milk"))
    alone = draw_hits([replace(panel(*terms), attention={"milk": lit((3, 0))})], title="")
    beside = draw_hits([replace(panel(*terms), attention={"milk": lit((3, 0)), "beer": lit((0, 5))})], title="")
    np.testing.assert_array_equal(alone, beside)
    blue = draw_hits([replace(panel(*terms), attention={"tea": lit((3, 0))})], title="")
    assert not np.array_equal(alone, blue)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (25, 16)])
def test_maps_of_any_shape_cover_photos_of_any_shape(shape: tuple[int, int]) -> None:
    attention = {"tea": np.full(shape, 1 / (shape[0] * shape[1]), dtype=np.float32)}
    picture = draw_hits([replace(panel(match("tea"), image=photo(30, 700)), attention=attention)], title="")
    assert not (picture == np.array(PHOTO)).all(axis=2).any()
