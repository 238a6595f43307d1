"""JPEGs straight from libjpeg-turbo are those that Pillow reads, and damaged ones are left to Pillow."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from glyphseek.images import decode_image
from glyphseek.images.jpegs import decode_sound_jpeg

WIDTH, HEIGHT = 203, 151


def noisy_jpeg(mode: str = "RGB", /, **options: object) -> bytes:
    """Return a JPEG of odd sides with much detail, so that every way to upsample and round shows."""
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, "JPEG", **options)
    return out.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2},
        {"subsampling": "4:1:1"},
        {"keep_rgb": True},
        {"restart_marker_rows": 1},
    ],
)
def test_the_pixels_are_those_of_pillow(options: dict[str, object], progressive: bool) -> None:
    data = noisy_jpeg(**{"progressive": progressive, **options})
    pixels = decode_sound_jpeg(data)
    assert pixels is not None
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(BytesIO(data))))


def test_what_comes_after_the_picture_does_not_matter() -> None:
    data = noisy_jpeg()
    np.testing.assert_array_equal(decode_sound_jpeg(data + b"of another camera"), decode_sound_jpeg(data))


def test_a_damaged_one_is_left_to_pillow() -> None:
    data = noisy_jpeg()
    assert decode_sound_jpeg(data[: len(data) // 2]) is None
    middle = len(data) // 2
    torn = data[:middle] + data[middle + 900 :]
    assert decode_sound_jpeg(torn) is None
    assert decode_image(torn).pixels.shape == (HEIGHT, WIDTH, 3), "as before: readable in part"


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_other_colour_spaces_are_read_by_pillow(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glyphseek.images.reading.decode_sound_jpeg", pytest.fail)
    assert decode_image(noisy_jpeg(mode)).pixels.shape == (HEIGHT, WIDTH, 3)


def test_a_sound_one_is_not_read_by_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.load", pytest.fail)
    data = noisy_jpeg()
    np.testing.assert_array_equal(decode_image(data).pixels, decode_sound_jpeg(data))
