"""The fast JPEG decoder gives OpenCV's pixels to the bit, and leaves to OpenCV what it is not sure of."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from umbel import DataError, read_image
from umbel.io import jpeg

pytest.importorskip("simplejpeg")


def encoded(height: int, width: int, seed: int = 0, mode: str = "RGB", **settings: object) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 6 + 2, width // 6 + 2, 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    buffer = io.BytesIO()
    Image.fromarray(smooth).convert(mode).save(buffer, "JPEG", **settings)
    return buffer.getvalue()


def by_opencv(data: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def is_plain(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as picture:
        return jpeg.is_plain_jpeg(picture)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    seed=st.integers(0, 2**31),
    subsampling=st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    quality=st.integers(10, 100),
    progressive=st.booleans(),
    mode=st.sampled_from(["RGB", "L"]),
    keep_rgb=st.booleans(),
    restart=st.integers(0, 3),
)
def test_pixels_are_opencvs_to_the_bit(height, width, seed, subsampling, quality, progressive, mode, keep_rgb, restart):
    how = {"quality": quality, "progressive": progressive, "restart_marker_blocks": restart}
    if mode == "RGB":
        how |= {"keep_rgb": True} if keep_rgb else {"subsampling": subsampling}
    data = encoded(height, width, seed, mode, **how)
    assert is_plain(data)
    assert jpeg.plain_jpeg_size(data) == (height, width)
    image = jpeg.decode_jpeg(data)
    assert image is not None
    assert image.flags.writeable
    assert np.array_equal(image, by_opencv(data))


@pytest.mark.parametrize("sampling", ["411", "440"])
def test_rare_subsamplings_too(sampling):
    value = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
    image = by_opencv(encoded(61, 83))
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, value])[1].tobytes()
    assert np.array_equal(jpeg.decode_jpeg(data), by_opencv(data))


@pytest.mark.parametrize("orientation", range(9))
def test_turned_pictures_are_left_to_opencv(tmp_path: Path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(20, 30, exif=exif)
    assert is_plain(data) == (orientation == 1)
    path = tmp_path / "turned.jpg"
    path.write_bytes(data)
    assert np.array_equal(read_image(path), by_opencv(data))


def test_what_may_hide_a_turn_or_has_other_colours_is_left_to_opencv():
    without = Image.Exif()
    without[0x010F] = "a camera"
    assert not is_plain(encoded(8, 8, exif=without))
    assert not is_plain(encoded(8, 8, mode="CMYK"))
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    assert not is_plain(buffer.getvalue())


def test_what_the_markers_do_not_settle_is_left_to_pillow():
    upright = Image.Exif()
    upright[0x0112] = 1
    assert jpeg.plain_jpeg_size(encoded(8, 8, exif=upright)) is None
    assert jpeg.plain_jpeg_size(encoded(8, 8, mode="CMYK")) is None
    several = io.BytesIO()
    pictures = [Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8))]
    pictures[0].save(several, "MPO", save_all=True, append_images=pictures[1:])
    assert jpeg.plain_jpeg_size(several.getvalue()) is None
    assert jpeg.plain_jpeg_size(encoded(8, 8, icc_profile=b"a profile of colours")) == (8, 8)


@settings(max_examples=300, deadline=None)
@given(
    data=st.sampled_from(
        [encoded(9, 14), encoded(9, 14, mode="L"), encoded(9, 14, progressive=True, comment=b"hello")]
    ),
    places=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=3),
    end=st.integers(0, 2000),
)
def test_what_the_markers_say_is_what_pillow_says(data, places, end):
    damaged = bytearray(data)
    for place, value in places:
        damaged[place % len(damaged)] = value
    content = bytes(damaged[:end])
    size = jpeg.plain_jpeg_size(content)
    if size is None:
        return
    image = jpeg.decode_jpeg(content)
    assert image is None or image.shape == (*size, 3)
    try:
        opened = Image.open(io.BytesIO(content))
    except (OSError, SyntaxError, ValueError, IndexError):
        return  # Pillow has no opinion
    with opened as picture:
        assert (picture.height, picture.width) == size
        assert jpeg.is_plain_jpeg(picture)


def test_complaints_of_the_decoder_are_left_to_opencv():
    data = encoded(64, 64)
    assert jpeg.decode_jpeg(data[: len(data) // 2]) is None
    assert jpeg.decode_jpeg(b"not a picture") is None


@pytest.mark.parametrize("installed", [True, False])
def test_reader_gives_the_same_with_and_without(tmp_path: Path, monkeypatch, installed):
    if not installed:
        monkeypatch.setattr(jpeg, "simplejpeg", None)
    path = tmp_path / "picture.jpg"
    path.write_bytes(encoded(45, 67))
    assert np.array_equal(read_image(path), by_opencv(encoded(45, 67)))


def test_flipped_bytes_end_in_opencvs_pixels_or_in_a_data_error(tmp_path: Path):
    whole, path, rng, read = encoded(40, 40), tmp_path / "picture.jpg", np.random.default_rng(0), 0
    for _ in range(300):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(len(damaged), size=rng.integers(1, 4))] = rng.integers(256)
        path.write_bytes(damaged.tobytes())
        try:
            image = read_image(path)
        except DataError:
            continue
        read += 1
        assert np.array_equal(image, by_opencv(damaged.tobytes()))
    assert read > 30
