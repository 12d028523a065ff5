"""Images handed over by a program: each is the picture that its file gives, or is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from umbel import DataError, read_image
from umbel.io.given import load_image

COLOURS = np.random.default_rng(0).integers(0, 256, (12, 17, 4), dtype=np.uint8)
RGBA = Image.fromarray(COLOURS)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9))))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_give_the_upper_8_as_the_file_does(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, values: np.ndarray
) -> None:
    path = tmp_path_factory.getbasetemp() / f"scan{suffix}"
    picture = Image.fromarray(values)
    picture.save(path)
    expected = np.dstack([values >> 8] * 3).astype(np.uint8)
    for found in (picture, Image.open(path), Image.fromarray(values.astype(">u2"))):
        np.testing.assert_array_equal(load_image(found), expected)
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("1", ".png"), ("L", ".png"), ("LA", ".png"), ("P", ".png"), ("RGB", ".png"), ("RGBA", ".png"),
        ("PA", ".tif"), ("RGBX", ".tif"), ("CMYK", ".tif"), ("YCbCr", ".tif"), ("CMYK", ".jpg"), ("L", ".jpg"),
    ],
)  # fmt: skip
def test_every_mode_equals_its_file(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    picture = RGBA.convert("P").convert("PA") if mode == "PA" else RGBA.convert(mode)
    picture.save(path)
    with Image.open(path) as opened:
        found = load_image(opened).astype(int)
    assert np.abs(found - read_image(path)).max() <= (mode in ("CMYK", "YCbCr"))  # two roundings of one formula
    if suffix != ".jpg":
        np.testing.assert_array_equal(load_image(picture), np.asarray(picture.convert("RGB")))


def test_transparency_and_orientation_are_as_in_the_file(tmp_path: Path) -> None:
    palette = RGBA.convert("RGB").quantize(8)
    palette.info["transparency"] = bytes(range(8))
    palette.save(tmp_path / "p.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    RGBA.convert("RGB").save(tmp_path / "turned.png", exif=exif)
    for name in ("p.png", "turned.png"):
        with Image.open(tmp_path / name) as opened:
            np.testing.assert_array_equal(load_image(opened), read_image(tmp_path / name))
    premultiplied = RGBA.convert("RGBa")
    np.testing.assert_array_equal(load_image(premultiplied), np.asarray(premultiplied.convert("RGBA"))[..., :3])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Image.new("F", (3, 2)), "mode F.*convert it to mode"),
        (Image.new("I", (3, 2)), "mode I.*scale it to 0..255"),
        (Image.new("LAB", (3, 2)), "mode LAB"),
        (np.zeros((4, 5), np.uint8), r"shape \(4, 5\).*numpy.dstack"),
        (np.zeros((4, 5, 1), np.uint8), "numpy.repeat"),
        (np.zeros((4, 5, 4), np.uint8), r"image\[\.\.\., :3\]"),
        (np.zeros((3, 4, 5), np.uint8), r"transpose\(1, 2, 0\)"),
        (np.zeros((2, 4, 5, 3), np.uint8), "a list of images"),
        (np.zeros((4, 5, 3), np.uint16), r"\(image >> 8\)"),
        (np.ones((4, 5, 3), np.float32), r"image \* 255"),
        (np.full((4, 5, 3), 9.0), r"image\.astype"),
        (np.zeros((4, 5, 3), np.int64), r"scale it to 0\.\.255"),
        (np.zeros((0, 5, 3), np.uint8), "no pixel"),
        (np.broadcast_to(np.zeros(3, np.uint8), (8000, 8001, 3)), "8001 x 8000 pixels; the limit is 64,000,000"),
        (torch.zeros(3, 4, 5), r"cannot predict a Tensor.*permute\(1, 2, 0\)"),
    ],
)
def test_what_is_not_plain_is_refused_with_what_to_do(source: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_image(source)


def test_a_picture_that_breaks_off_or_is_closed_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:9000])
    with Image.open(path) as opened, pytest.raises(DataError, match=r"cut\.png: cannot be decoded"):
        load_image(opened)
    closed = Image.new("RGB", (2, 2))
    closed.close()
    with pytest.raises(DataError, match="cannot be decoded"):
        load_image(closed)


@pytest.mark.parametrize("view", [np.s_[::-1, :, :3], np.s_[:, ::2, 2::-1], np.s_[1:, 1:, :3]])
def test_views_of_arrays_are_taken_as_they_look(view: tuple[slice, ...]) -> None:
    array = COLOURS[view]
    array.flags.writeable = False
    np.testing.assert_array_equal(load_image(array), array.copy())
