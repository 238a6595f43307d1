"""Textures, colours, inks, damage, clutter and sheets: what holds of every one of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from glyphseek.datasets.scenes import damage, textures
from glyphseek.datasets.scenes.backgrounds import Backgrounds, Photo
from glyphseek.datasets.scenes.clutter import draw_backdrop
from glyphseek.datasets.scenes.colours import draw_ink, luminance
from glyphseek.datasets.scenes.inks import Ink, draw_looks, measure, paint
from glyphseek.datasets.scenes.sheets import contact_sheet
from glyphseek.errors import ImageUnreadable, InputError
from glyphseek.types import RgbImage

TEXTURES = (
    textures.plain,
    textures.shaded,
    textures.stained,
    textures.leaves,
    textures.bricks,
    textures.tiles,
    textures.planks,
    textures.metal,
    textures.stripes,
)
Texture = Callable[[np.random.Generator, int, int], RgbImage]


@pytest.mark.parametrize("texture", TEXTURES)
@pytest.mark.parametrize("shape", [(5, 5), (40, 131), (300, 20)])
def test_textures_fill_any_shape(texture: Texture, shape: tuple[int, int]) -> None:
    for seed in range(5):
        picture = texture(np.random.default_rng(seed), *shape)
        assert picture.shape == (*shape, 3)
        assert picture.dtype == np.uint8


def test_ink_stands_out_more_from_a_restless_surface() -> None:
    rng = np.random.default_rng(0)
    surface = (120.0, 120.0, 120.0)
    calm = [abs(luminance(draw_ink(rng, surface)) - 120) for _ in range(400)]
    restless = [abs(luminance(draw_ink(rng, surface, 60.0)) - 120) for _ in range(400)]
    assert min(calm) >= 28
    assert min(restless) >= 85


def square() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    alpha = np.zeros((60, 60), np.uint8)
    alpha[20:40, 20:40] = 255
    return alpha


def grey() -> RgbImage:
    return np.full((60, 60, 3), 128, np.uint8)


def test_flat_ink_colours_the_letters_and_nothing_else() -> None:
    picture = grey()
    paint(picture, square(), Ink(colour=(250, 10, 10)), 20, np.random.default_rng(0))
    assert (picture[20:40, 20:40] == (250, 10, 10)).all()
    assert (picture[square() == 0] == 128).all()


def test_hollow_ink_leaves_the_inside_as_it_was() -> None:
    picture = grey()
    ink = Ink(colour=(250, 10, 10), fill="hollow", outline=(250, 10, 10), outline_width=0.1)
    paint(picture, square(), ink, 20, np.random.default_rng(0))
    assert (picture[22:38, 22:38] == 128).all()
    assert (picture[19, 25:35] == (250, 10, 10)).all()


def test_shadow_and_depth_fall_on_the_side_of_their_offset() -> None:
    for ink in (
        Ink(colour=(128, 128, 128), shadow=(0, 0, 0), shadow_offset=(0.4, 0.0)),
        Ink(colour=(128, 128, 128), depth=(0, 0, 0), depth_offset=(0.4, 0.0)),
    ):
        picture = grey()
        paint(picture, square(), ink, 20, np.random.default_rng(0))
        assert (picture[25:35, 42:47] < 60).all()
        assert (picture[25:35, 12:18] == 128).all()


def test_any_drawn_look_can_be_painted_on_a_tiny_picture() -> None:
    for seed in range(300):
        rng = np.random.default_rng(seed)
        picture = np.full((9, 31, 3), 90, np.uint8)
        alpha = np.zeros((9, 31), np.uint8)
        alpha[2:7, 3:28:3] = 255
        paint(picture, alpha, draw_looks(rng, *measure(picture, alpha)), 6, rng)
        assert picture.std() > 0


def test_measure_reads_the_surface_under_the_ink_only() -> None:
    picture = grey()
    picture[20:40, 20:40] = (10, 20, 30)
    colour, deviation = measure(picture, square())
    assert colour == pytest.approx((10, 20, 30))
    assert deviation == pytest.approx(0)


def test_camera_damage_keeps_shape_and_type() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        picture = np.full((30, 90, 3), 128, np.uint8)
        damage.cover(rng, picture)
        for changed in (
            damage.light(rng, picture),
            damage.blur(rng, picture, 2.0),
            damage.add_noise(rng, picture, 30),
            damage.through_jpeg(picture, damage.draw_quality(rng)),
            damage.sharpen(picture, 1.0),
            damage.bloom(picture, 2.0, 3.0),
            damage.fade(picture, 0.5),
        ):
            assert changed.shape == picture.shape
            assert changed.dtype == np.uint8


def test_blur_spreads_a_dot_and_fading_takes_colour_away() -> None:
    dot = np.zeros((31, 31, 3), np.uint8)
    dot[15, 15] = 255
    assert damage.blur(np.random.default_rng(0), dot, 2.0)[15, 15].max() < 100
    red = np.full((8, 8, 3), (200, 20, 20), np.uint8)
    assert np.ptp(damage.fade(red, 1.0)[0, 0]) == 0


def test_backgrounds_stay_clear_of_known_text() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, 100:] = 255
    avoid = np.array([[100, 0, 200, 100]], np.float32)
    backgrounds = Backgrounds(photos=(Photo(image=image, avoid=avoid),), photo_share=1.0)
    cut = [backgrounds.draw(np.random.default_rng(seed), 10, 10) for seed in range(80)]
    from_photo = [patch for patch in cut if patch.max() == 0]
    assert len(from_photo) > 40
    assert not any((patch == 255).all() for patch in cut if patch.std() == 0)


def test_photos_of_a_folder_are_read_in_colour_and_bounded(tmp_path: Path) -> None:
    red = np.zeros((300, 900, 3), np.uint8)
    red[:, :, 2] = 255
    cv2.imwrite(str(tmp_path / "a.png"), red)
    (photo,) = Backgrounds.load(tmp_path, longest_side=300).photos
    assert photo.image.shape == (100, 300, 3)
    assert photo.image[50, 50].tolist() == [255, 0, 0]


def test_a_damaged_background_photo_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    with pytest.raises(ImageUnreadable, match=r"bad\.jpg"):
        Backgrounds.load(tmp_path)


def test_backdrops_have_the_size_asked_for() -> None:
    for seed in range(20):
        assert draw_backdrop(np.random.default_rng(seed), 90, 140, Backgrounds()).shape == (90, 140, 3)


def test_a_contact_sheet_shows_all_images_in_rows() -> None:
    images = [np.full((10, 20, 3), shade, np.uint8) for shade in (0, 50, 150, 200, 250)]
    sheet = contact_sheet(images, 2, gap=4)
    assert sheet.shape == (42, 48, 3)
    assert [int(sheet[row * 14, column * 24, 0]) for row, column in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0))] == [
        0,
        50,
        150,
        200,
        250,
    ]


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="needs images"):
        contact_sheet([], 3)
