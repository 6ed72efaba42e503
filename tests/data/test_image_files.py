"""Image files: every mode that Pillow has, and files that are none."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nnscratch.data import read_image
from nnscratch.data.image_files import read_headers, read_images, resized
from nnscratch.errors import DataError

COLOURS = (np.arange(48).reshape(4, 4, 3) * 5).astype(np.uint8)
GREYS = (np.arange(16).reshape(4, 4) * 16).astype(np.uint8)


def saved(path, image, **options):
    image.save(path, **options)
    return path


def test_grey_and_colour(tmp_path):
    grey = saved(tmp_path / "grey.png", Image.fromarray(GREYS))
    colour = saved(tmp_path / "colour.png", Image.fromarray(COLOURS))
    np.testing.assert_array_equal(read_image(grey), GREYS[None])
    np.testing.assert_array_equal(read_image(colour), COLOURS.transpose(2, 0, 1))
    np.testing.assert_array_equal(read_image(grey, channels=3), np.stack([GREYS] * 3))
    # ITU-R 601-2, with which Pillow weighs red, green and blue.
    luma = (COLOURS @ np.array([0.299, 0.587, 0.114])).round()
    assert np.abs(read_image(colour, channels=1)[0] - luma).max() <= 1
    assert read_image(colour).flags.c_contiguous


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "LAB"])
def test_every_mode(tmp_path, mode):
    image = Image.fromarray(COLOURS)
    image = image.quantize(16).convert(mode) if mode in ("P", "PA") else image.convert(mode)
    path = saved(tmp_path / f"{mode}.tif", image)
    grey = mode in ("1", "L", "LA")
    made = read_image(path)
    assert made.shape == (1 if grey else 3, 4, 4)
    assert made.dtype == np.uint8
    wanted = np.asarray(image.convert("L" if grey else "RGB"))
    np.testing.assert_array_equal(made, wanted[None] if grey else wanted.transpose(2, 0, 1))
    assert read_headers([path])[0].grey == grey


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bits_become_eight(tmp_path, name):
    deep = (np.arange(16).reshape(4, 4) * 4369).astype(np.uint16)
    made = read_image(saved(tmp_path / name, Image.fromarray(deep)))
    np.testing.assert_array_equal(made[0], np.arange(16).reshape(4, 4) * 17)


def test_floating_point_pixels(tmp_path):
    share = (np.arange(16).reshape(4, 4) / 15).astype(np.float32)
    made = read_image(saved(tmp_path / "a.tif", Image.fromarray(share)))
    np.testing.assert_array_equal(made[0], np.arange(16).reshape(4, 4) * 17)
    below = saved(tmp_path / "b.tif", Image.fromarray(share - 1))
    with pytest.raises(DataError, match=r"b\.tif: the pixels are from -1 to 0; expected 0 to 1"):
        read_image(below)


def test_what_is_transparent_becomes_white(tmp_path):
    image = Image.fromarray(np.dstack([COLOURS, np.full((4, 4), 255, np.uint8)]))
    image.putpixel((1, 0), (9, 9, 9, 0))
    image.putpixel((2, 0), (0, 0, 0, 51))
    made = read_image(saved(tmp_path / "a.png", image))
    assert made[:, 0, 0].tolist() == COLOURS[0, 0].tolist()
    assert made[:, 0, 1].tolist() == [255, 255, 255]
    assert made[:, 0, 2].tolist() == [204, 204, 204]
    palette = Image.fromarray(GREYS).convert("P")
    made = read_image(saved(tmp_path / "b.png", palette, transparency=0))
    assert made[:, 0, 0].tolist() == [255, 255, 255]
    assert made[:, 0, 1].tolist() == [16, 16, 16]


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, -1), (8, 1)])
def test_a_photograph_is_turned_as_the_camera_says(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.png", Image.fromarray(GREYS[:2]), exif=exif)
    np.testing.assert_array_equal(read_image(path)[0], np.rot90(GREYS[:2], turn))
    assert read_headers([path])[0].size == np.rot90(GREYS[:2], turn).shape


def test_the_first_of_several_pictures(tmp_path):
    first, second = Image.fromarray(GREYS), Image.fromarray(255 - GREYS)
    path = saved(tmp_path / "a.tif", first, save_all=True, append_images=[second])
    np.testing.assert_array_equal(read_image(path)[0], GREYS)
    assert read_headers([path])[0].frames == 2


def test_a_size_keeps_the_middle_undistorted(tmp_path):
    wide = np.zeros((4, 12), np.uint8)
    wide[:, 4:8] = 200
    path = saved(tmp_path / "a.png", Image.fromarray(wide))
    np.testing.assert_array_equal(read_image(path, size=(4, 4))[0], np.full((4, 4), 200))
    assert read_image(path, size=(8, 6)).shape == (1, 8, 6)
    np.testing.assert_array_equal(resized(wide[None], (4, 4))[0], np.full((4, 4), 200))
    stack = np.stack([np.full((4, 12), 200), np.full((4, 12), 55)]).astype(np.uint8)[None]
    assert resized(stack.astype(np.float32), (2, 2)).dtype == np.float32
    np.testing.assert_array_equal(resized(stack, (2, 2))[0, :, 0, 0], [200, 55])
    assert resized(wide[None], (4, 12)).base is not None


def test_a_large_photograph_is_scaled_alike(tmp_path):
    smooth = np.add.outer(np.arange(800), np.arange(600)) * 255 / 1400
    path = saved(tmp_path / "a.jpg", Image.fromarray(smooth.astype(np.uint8)), quality=95)
    # A JPEG is decoded at a quarter of its size first.
    whole = np.asarray(Image.fromarray(smooth.astype(np.uint8)).crop((0, 100, 600, 700)))
    mean = whole.reshape(20, 30, 20, 30).mean(axis=(1, 3))
    assert np.abs(read_image(path, size=(20, 20))[0] - mean).max() < 2


def test_files_that_are_no_images(tmp_path):
    whole = saved(tmp_path / "whole.jpg", Image.fromarray(COLOURS)).read_bytes()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    saved(tmp_path / "noise.png", Image.fromarray(noise))
    content = {
        "empty.png": (b"", "the file is empty"),
        "page.jpg": (b"<html><p>404", "no image of a kind that Pillow reads; it begins with"),
        "cut.jpg": (whole[:200], "the image is damaged or cut off"),
        "cut.png": ((tmp_path / "noise.png").read_bytes()[:3000], "damaged or cut off"),
        "photo.heic": (b"ftypheic", "cannot be read: export them as JPEG or PNG"),
    }
    for name, (raw, message) in content.items():
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(DataError, match=f"{name}: .*{message}"):
            read_image(tmp_path / name)
    with pytest.raises(DataError, match="there is no such file"):
        read_image(tmp_path / "missing.png")
    with pytest.raises(DataError, match="this is a folder"):
        read_image(tmp_path)


def test_all_files_that_are_broken_are_named(tmp_path):
    good = saved(tmp_path / "good.png", Image.fromarray(COLOURS))
    (tmp_path / "one.png").write_bytes(b"nothing")
    (tmp_path / "two.png").write_bytes(b"")
    paths = [good, tmp_path / "one.png", good, tmp_path / "two.png"]
    with pytest.raises(DataError, match=r"2 of 4 image files cannot .*one\.png.*two\.png"):
        read_images(paths, 3, (4, 4))
    with pytest.raises(DataError, match=r"one\.png: no image .*take it out of the folder"):
        read_headers(paths[:3])
    assert read_images([good, good], 1, (2, 2)).shape == (2, 1, 2, 2)


def test_damaged_bytes_are_always_an_error_of_ours_or_an_image(tmp_path):
    source = np.random.default_rng(0)
    for kind in ("png", "jpg", "gif", "bmp", "tif", "webp"):
        path = saved(tmp_path / f"a.{kind}", Image.fromarray(COLOURS))
        raw = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(12):
            bad = raw.copy()
            bad[source.integers(0, len(raw), 3)] = source.integers(0, 256, 3)
            path.write_bytes(bad.tobytes())
            try:
                assert read_image(path).ndim == 3
            except DataError as error:
                assert f"a.{kind}" in str(error)  # noqa: PT017
