from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from glyphseek.errors import ImageError, ImageTooLarge, ImageUnreadable, ImageUnsupported
from glyphseek.images import ImageLimits, decode_image, read_image

WIDTH, HEIGHT = 48, 32
ORIENTATION = 0x0112
WHITE, RED, BLUE = (255, 255, 255), (255, 0, 0), (0, 0, 255)


def scene() -> Image.Image:
    """Return red left half, blue right half, a white square in the top left corner."""
    image = Image.new("RGB", (WIDTH, HEIGHT), RED)
    image.paste(BLUE, (WIDTH // 2, 0, WIDTH, HEIGHT))
    image.paste(WHITE, (0, 0, 8, 8))
    return image


def encode(image: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def turned_file(orientation: int, image_format: str) -> bytes:
    """Return a file that a viewer shows as `scene()`, its pixels stored for this orientation."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = scene() if undo is None else scene().transpose(undo)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, object] = {"lossless": True} if image_format == "WEBP" else {}
    return encode(stored, image_format, exif=exif, **options)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "BMP", "WEBP", "GIF"])
def test_lossless_formats_come_back_pixel_for_pixel(image_format: str) -> None:
    options: dict[str, object] = {"lossless": True} if image_format == "WEBP" else {}
    photo = decode_image(encode(scene(), image_format, **options))
    assert (photo.width, photo.height) == (WIDTH, HEIGHT)
    assert photo.pixels.dtype == np.uint8
    np.testing.assert_array_equal(photo.pixels, np.asarray(scene()))


def test_jpeg_comes_back_within_its_loss() -> None:
    pixels = decode_image(encode(scene(), "JPEG", quality=95, subsampling=0)).pixels
    assert np.abs(pixels.astype(int) - np.asarray(scene())).mean() < 4


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(orientation: int, image_format: str) -> None:
    photo = decode_image(turned_file(orientation, image_format))
    assert (photo.width, photo.height) == (WIDTH, HEIGHT)
    np.testing.assert_array_equal(photo.pixels, np.asarray(scene()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpegs_are_turned_upright_and_told_at_full_size_when_reduced(orientation: int) -> None:
    large = scene().resize((WIDTH * 8, HEIGHT * 8))
    expected = np.asarray(scene())
    undone = decode_image(turned_file(orientation, "JPEG"))
    assert undone.pixels.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(undone.pixels.astype(int) - expected).mean() < 12
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photo = decode_image(encode(large, "JPEG", exif=exif), longer_side=WIDTH * 2)
    sideways = orientation >= 5
    assert (photo.width, photo.height) == ((HEIGHT * 8, WIDTH * 8) if sideways else (WIDTH * 8, HEIGHT * 8))
    assert photo.pixels.shape[:2] == ((WIDTH * 2, HEIGHT * 2) if sideways else (HEIGHT * 2, WIDTH * 2))


@pytest.mark.parametrize(("longer_side", "expected"), [(400, 400), (399, 400), (200, 200), (150, 200), (9, 50)])
def test_a_reduced_jpeg_is_never_below_the_asked_side(longer_side: int, expected: int) -> None:
    photo = decode_image(encode(Image.new("RGB", (400, 240)), "JPEG"), longer_side=longer_side)
    assert max(photo.pixels.shape) == expected
    assert (photo.width, photo.height) == (400, 240)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_does_not_lose_the_photo() -> None:
    data = encode(scene(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage")
    assert decode_image(data).pixels.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_means_none(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    np.testing.assert_array_equal(decode_image(encode(scene(), exif=exif)).pixels, np.asarray(scene()))


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_transparent_parts_are_white(image_format: str) -> None:
    image = scene().convert("RGBA")
    image.putpixel((20, 20), (255, 0, 0, 0))
    image.putpixel((21, 20), (255, 0, 0, 128))
    pixels = decode_image(encode(image, image_format)).pixels
    assert tuple(pixels[20, 20]) == WHITE
    assert tuple(pixels[20, 21]) == (255, 127, 127)
    assert tuple(pixels[20, 22]) == RED


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_is_white(mode: str) -> None:
    image = Image.new(mode, (16, 16), 0 if mode != "RGB" else (1, 2, 3))
    image.info["transparency"] = 0 if mode != "RGB" else (1, 2, 3)
    assert (decode_image(encode(image)).pixels == 255).all()


def test_grey_with_alpha_is_flattened() -> None:
    image = Image.new("LA", (16, 16), (40, 255))
    image.putpixel((0, 0), (40, 0))
    pixels = decode_image(encode(image)).pixels
    assert tuple(pixels[0, 0]) == WHITE
    assert tuple(pixels[1, 1]) == (40, 40, 40)


def test_palettes_and_black_and_white_become_rgb() -> None:
    np.testing.assert_array_equal(decode_image(encode(scene().quantize(4))).pixels, np.asarray(scene()))
    assert set(np.unique(decode_image(encode(scene().convert("1"))).pixels)) <= {0, 255}


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_cmyk_shows_its_colours(image_format: str) -> None:
    pixels = decode_image(encode(scene().convert("CMYK"), image_format)).pixels.astype(int)
    for (row, column), colour in {(20, 10): RED, (20, 40): BLUE, (3, 3): WHITE}.items():
        assert np.abs(pixels[row, column] - colour).max() < 20


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_not_clipped(image_format: str) -> None:
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (16, 1))
    pixels = decode_image(encode(Image.fromarray(ramp), image_format)).pixels
    np.testing.assert_array_equal(pixels[0, :, 0], np.rint(ramp[0] / 257).astype(np.uint8))
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_16_bit_colour_keeps_its_high_bytes() -> None:
    rows = b"".join(b"\0" + struct.pack(">3H", 65535, 32768, 0) * 16 for _ in range(16))
    header = struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )
    assert tuple(decode_image(data).pixels[5, 5]) == (255, 128, 0)


def test_floats_are_scaled_by_the_range_they_use() -> None:
    ramp = np.tile(np.linspace(-3.0, 7.0, 11, dtype=np.float32), (16, 1))
    ramp[0, 0] = np.nan
    pixels = decode_image(encode(Image.fromarray(ramp), "TIFF")).pixels
    assert (int(pixels[1, 0, 0]), int(pixels[1, 10, 0])) == (0, 255)
    flat = Image.fromarray(np.full((16, 16), 5.0, dtype=np.float32))
    assert (decode_image(encode(flat, "TIFF")).pixels == 0).all()


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_shown(image_format: str) -> None:
    frames = [Image.new("RGB", (32, 24), colour) for colour in (RED, BLUE, WHITE)]
    data = encode(frames[0], image_format, save_all=True, append_images=frames[1:])
    pixels = decode_image(data).pixels
    assert pixels.shape == (24, 32, 3)
    assert np.abs(pixels[5, 5].astype(int) - RED).max() < 8


def test_a_phones_two_picture_jpeg_is_read_as_its_first() -> None:
    data = encode(scene(), "MPO", save_all=True, append_images=[Image.new("RGB", (16, 16))])
    assert decode_image(data).pixels.shape == (HEIGHT, WIDTH, 3)


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG file that announces a huge image."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    )


@pytest.mark.parametrize("side", [10_001, 60_000, 2_000_000_000])
def test_a_decompression_bomb_is_refused_before_decoding_with_both_numbers(side: int) -> None:
    with pytest.raises(ImageTooLarge, match=rf"{side} x 10000 = {side * 10_000} pixels; the limit is 100000000"):
        decode_image(bomb(side, 10_000))


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_the_bound_of_pixels_holds_for_every_format(image_format: str) -> None:
    data = encode(scene(), image_format)
    assert decode_image(data, limits=ImageLimits(max_pixels=WIDTH * HEIGHT)).pixels.size == 3 * WIDTH * HEIGHT
    with pytest.raises(ImageTooLarge, match="the limit is 1535"):
        decode_image(data, limits=ImageLimits(max_pixels=WIDTH * HEIGHT - 1))


def test_a_bound_above_pillows_own_is_respected() -> None:
    with pytest.raises(ImageUnreadable):
        decode_image(bomb(20_000, 10_000), limits=ImageLimits(max_pixels=300_000_000))


def test_too_many_bytes_are_refused() -> None:
    data = encode(scene())
    with pytest.raises(ImageTooLarge, match="the limit is 10"):
        decode_image(data, limits=ImageLimits(max_bytes=10))


def test_an_image_too_small_to_hold_a_word_is_refused_with_the_bound() -> None:
    with pytest.raises(ImageUnsupported, match="30 x 7 pixels; each side must have at least 8"):
        decode_image(encode(Image.new("RGB", (30, 7))))


def test_an_empty_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ImageUnreadable, match="empty"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_truncated_files_are_unreadable(image_format: str, kept: float) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encode(noise, image_format)
    with pytest.raises(ImageUnreadable, match="damaged"):
        decode_image(data[: int(len(data) * kept)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7 and more text", "not an image"),
        (b"MZ" + bytes(100), "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not read"),
        (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1", "AVIF is not read"),
        (b"\xff\x0a" + bytes(50), "JPEG XL is not read"),
        (b"8BPS\0\x01", "Photoshop is not read"),
    ],
)
def test_other_content_is_refused_by_what_it_is(data: bytes, reason: str) -> None:
    with pytest.raises(ImageUnsupported, match=reason):
        decode_image(data)


def test_a_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "photo.txt"
    path.write_bytes(encode(scene()))
    np.testing.assert_array_equal(read_image(path), np.asarray(scene()))


def test_cie_lab_is_refused_by_name() -> None:
    with pytest.raises(ImageUnsupported, match="Lab"):
        decode_image(encode(Image.new("LAB", (16, 16)), "TIFF"))


_SEEDS = [encode(scene(), name) for name in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")]


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(_SEEDS),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=12),
    st.integers(0, 40),
)
def test_mangled_files_give_a_photo_or_an_image_error_and_nothing_else(
    seed: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    mangled = bytearray(seed)
    for place, value in changes:
        mangled[place % len(mangled)] = value
    with suppress(ImageError):
        photo = decode_image(bytes(mangled[: len(mangled) - cut]), limits=ImageLimits(max_pixels=1_000_000))
        assert photo.pixels.dtype == np.uint8
        assert photo.pixels.shape == (photo.height, photo.width, 3)


def test_many_threads_read_at_once_and_agree() -> None:
    files = [turned_file(orientation, "PNG") for orientation in range(1, 9)] * 8
    with ThreadPoolExecutor(8) as executor:
        for photo in executor.map(decode_image, files):
            np.testing.assert_array_equal(photo.pixels, np.asarray(scene()))


def test_pillows_own_bound_is_not_touched() -> None:
    before = Image.MAX_IMAGE_PIXELS
    decode_image(encode(scene()), limits=ImageLimits(max_pixels=5_000_000_000))
    assert before == Image.MAX_IMAGE_PIXELS
