"""The one image reader: every odd file is decoded right or refused by name; nothing crashes, nothing is half grey."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from umbel import DataError, encode_image, read_image, read_label_map, resize_image, write_image

HEIGHT, WIDTH = 60, 90
SMOOTH = cv2.resize(
    np.random.default_rng(0).integers(40, 216, (6, 9, 3), dtype=np.uint8),
    (WIDTH, HEIGHT),
    interpolation=cv2.INTER_CUBIC,
)
WHOLE = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")

Save = Callable[[bytes], Path]


@pytest.fixture
def save(tmp_path) -> Save:
    def write(data: bytes, name: str = "picture.jpg") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def encoded(kind: str, array: np.ndarray = SMOOTH, mode: str | None = None, **settings: object) -> bytes:
    picture = Image.fromarray(array)
    buffer = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(buffer, kind, **settings)
    return buffer.getvalue()


def difference(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    assert one.dtype == np.uint8
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


@pytest.mark.parametrize("kind", WHOLE)
def test_formats_give_rgb_whatever_the_suffix(kind, save):
    expected = np.asarray(Image.open(io.BytesIO(encoded(kind))).convert("RGB"))
    assert difference(read_image(save(encoded(kind))), expected) < 0.5


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_cut_files_are_refused(kind, share, save, capfd):
    data = encoded(kind)
    path = save(data[: int(len(data) * share)])
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", WHOLE)
def test_bytes_after_the_end_are_harmless(kind, save):
    data = encoded(kind)
    assert np.array_equal(read_image(save(data + b"\0junk" * 5000)), read_image(save(data)))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_progressive_jpeg_is_read_whole_or_not_at_all(share, save):
    data = encoded("JPEG", progressive=True)
    assert data.count(b"\xff\xda") > 1
    assert difference(read_image(save(data)), SMOOTH) < 6
    with pytest.raises(DataError, match="is truncated"):
        read_image(save(data[: int(len(data) * share)]))


def test_restart_markers_are_part_of_a_scan(save):
    data = cv2.imencode(".jpg", SMOOTH[:, :, ::-1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1].tobytes()
    assert b"\xff\xd0" in data
    assert difference(read_image(save(data)), SMOOTH) < 6


def with_scans(count: int) -> bytes:
    """A progressive JPEG of 64 x 64 pixels: one scan of means, then scans of three bytes that add nothing."""

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([255, marker]) + struct.pack(">H", len(body) + 2) + body

    tables = segment(0xDB, b"\0" + b"\1" * 64)
    tables += segment(0xC2, struct.pack(">BHHB", 8, 64, 64, 1) + b"\1\x11\0")
    tables += segment(0xC4, b"\0\1" + bytes(15) + b"\0") + segment(0xC4, b"\x10\1" + bytes(15) + b"\x60")
    means = segment(0xDA, b"\1\1\0\0\0\0") + bytes(8)
    nothing = b"".join(segment(0xDA, bytes([1, 1, 0, 1 + i % 63, 1 + i % 63, 0])) + b"\1" for i in range(count - 1))
    return b"\xff\xd8" + tables + means + nothing + b"\xff\xd9"


def test_scans_without_end_are_refused(save):
    assert read_image(save(with_scans(100))).shape == (64, 64, 3)
    with pytest.raises(DataError, match="more than 100 scans"):
        read_image(save(with_scans(101)))


def test_the_end_of_a_thumbnail_does_not_hide_a_cut(save):
    exif = Image.Exif()
    thumbnail = encoded("JPEG", SMOOTH[:16, :16])
    data = encoded("JPEG", exif=exif.tobytes() + thumbnail)
    assert data.count(b"\xff\xd9") == 2
    assert difference(read_image(save(data)), SMOOTH) < 6
    with pytest.raises(DataError, match="is truncated"):
        read_image(save(data[:-40]))


def test_flipped_bits_in_a_png_are_found(save):
    data = bytearray(encoded("PNG"))
    data[len(data) // 2] ^= 16
    with pytest.raises(DataError, match="checksum of a chunk IDAT fails"):
        read_image(save(bytes(data)))
    with pytest.raises(DataError, match="checksum of a chunk IDAT fails"):
        read_label_map(save(bytes(data)))


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8, 77])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(kind, orientation, save):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(kind, exif=exif if kind == "TIFF" else exif.tobytes())
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert difference(read_image(save(data)), expected) < 0.5


def test_label_map_turns_with_its_image(save):
    exif = Image.Exif()
    exif[0x0112] = 6
    labels = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH) % 19
    assert np.array_equal(read_label_map(save(encoded("PNG", labels, exif=exif.tobytes()))), np.rot90(labels, -1))


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "L"), ("PNG", "L"), ("PNG", "LA"), ("PNG", "P"), ("PNG", "1"), ("TIFF", "CMYK"), ("PNG", "RGBA")],
)
def test_colour_modes_become_rgb(kind, mode, save):
    data = encoded(kind, mode=mode)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert difference(read_image(save(data)), expected) < 0.5


def test_cmyk_jpeg_keeps_its_colours(save):
    assert difference(read_image(save(encoded("JPEG", mode="CMYK"))), SMOOTH) < 4


@pytest.mark.parametrize(("kind", "settings"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_alpha_is_dropped(kind, settings, save):
    alpha = np.full((HEIGHT, WIDTH, 1), 100, np.uint8)
    data = encoded(kind, np.concatenate([SMOOTH, alpha], 2), **settings)
    assert np.array_equal(read_image(save(data)), SMOOTH)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bits_become_8_within_rounding(suffix, save):
    wide = SMOOTH.astype(np.uint16) * 256 + 77
    colour = read_image(save(cv2.imencode(suffix, wide[:, :, ::-1])[1].tobytes()))
    grey = read_image(save(cv2.imencode(suffix, wide[:, :, 1])[1].tobytes()))
    assert colour.dtype == grey.dtype == np.uint8
    assert np.abs(colour.astype(int) - SMOOTH).max() <= 1
    assert np.abs(grey.astype(int) - SMOOTH[:, :, 1:2]).max() <= 1


def test_floating_point_pixels_are_refused(save):
    with pytest.raises(DataError, match="floating-point"):
        read_image(save(encoded("TIFF", SMOOTH[:, :, 0].astype(np.float32))))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is an empty file"),
        (b"<html><body>404 Not Found</body></html>", "is not a readable image"),
        (b"\xff\xd8\xff", "is not a readable image"),
        (b"\xff\xd8\xff\xd9", "is not a readable image|truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "is not a readable image"),
        (png_header(60_000, 60_000) + png_chunk(b"IEND", b""), "pixels"),
        (png_header(9_000, 9_000) + png_chunk(b"IEND", b""), "is 9000 x 9000 pixels; the limit is 64,000,000"),
        (png_header(10_000, 10_000) + png_chunk(b"IEND", b""), "the limit is"),
        (
            png_header(64, 64) + png_chunk(b"IDAT", zlib.compress(b"\0" * 99)) + png_chunk(b"IEND", b""),
            "cannot be decoded|colour mode RGB",
        ),
        (png_header(0, 5) + png_chunk(b"IEND", b""), "cannot be decoded|not a readable"),
    ],
    ids=["empty", "html", "magic", "jpeg_of_nothing", "postscript", "huge", "81_mp", "100_mp", "short_png", "no_width"],
)
@pytest.mark.parametrize("read", [read_image, read_label_map])
def test_what_is_no_image_is_refused_by_name(read, data, text, save):
    with pytest.raises(DataError, match=text) as caught:
        read(save(data))
    assert "picture.jpg" in str(caught.value)


def test_names_that_are_not_utf8(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    write_image(path, SMOOTH)
    assert np.array_equal(read_image(path), SMOOTH)
    with pytest.raises(DataError):
        read_image(path.with_suffix(".absent"))


def test_mutated_files_never_do_anything_else(save):
    draw = random.Random(5)
    seeds = [encoded(kind, SMOOTH[:24, :24]) for kind in WHOLE] + [encoded("PNG", SMOOTH[:24, :24], mode="P")]
    refused = 0
    for _ in range(400):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.choice((1, 3, 9))):
            data[draw.randrange(len(data)) if draw.random() < 0.5 else draw.randrange(60)] = draw.randrange(256)
        path = save(bytes(data))
        for read in (read_image, read_label_map):
            try:
                read(path)
            except DataError:
                refused += 1
    assert 200 < refused < 800


LABELS = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) // 7 % 4).astype(np.uint8)


def test_palette_indices_are_kept(save):
    picture = Image.fromarray(LABELS, "L").copy()
    picture = picture.convert("P")
    picture.putdata(LABELS.ravel().tolist())
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=0)
    read = read_label_map(save(buffer.getvalue()))
    assert read.dtype == np.uint8
    assert np.array_equal(read, LABELS)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_labels_are_kept(kind, save):
    labels = LABELS.astype(np.uint16) * 20_000
    read = read_label_map(save(encoded(kind, labels)))
    assert read.dtype == np.int32
    assert np.array_equal(read, labels)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_small_bit_depths_are_ids_too(bits, save):
    labels = LABELS % 2**bits
    per_byte = 8 // bits
    rows = b""
    for row in np.pad(labels, ((0, 0), (0, -WIDTH % per_byte))):
        packed = sum(row[i::per_byte].astype(int) << (8 - bits * (i + 1)) for i in range(per_byte))
        rows += b"\0" + packed.astype(np.uint8).tobytes()
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    assert np.array_equal(read_label_map(save(data)), labels)


def test_coloured_and_lossy_label_maps_are_refused(save):
    with pytest.raises(DataError, match=r"colour mode RGB; .*save it as a grey or palette PNG"):
        read_label_map(save(encoded("PNG")))
    with pytest.raises(DataError, match="is a JPEG, which changes class ids"):
        read_label_map(save(encoded("JPEG", mode="L")))


def test_written_images_read_back(tmp_path):
    write_image(tmp_path / "new" / "a.png", SMOOTH)
    assert np.array_equal(read_image(tmp_path / "new" / "a.png"), SMOOTH)
    write_image(tmp_path / "l.png", LABELS)
    assert np.array_equal(read_label_map(tmp_path / "l.png"), LABELS)
    write_image(tmp_path / "w.PNG", LABELS.astype(np.uint16) * 300)
    assert np.array_equal(read_label_map(tmp_path / "w.PNG"), LABELS.astype(int) * 300)
    assert encode_image(SMOOTH, ".jpeg") == encode_image(SMOOTH, ".JPG")
    write_image(tmp_path / "a.jpg", SMOOTH)
    assert difference(read_image(tmp_path / "a.jpg"), SMOOTH) < 4


@pytest.mark.parametrize(
    ("array", "suffix"),
    [
        (SMOOTH, ".xyz"),
        (SMOOTH, ""),
        (SMOOTH.astype(np.float32), ".png"),
        (SMOOTH[:0], ".png"),
        (SMOOTH[:, :, :2], ".png"),
        (LABELS.astype(np.uint16), ".jpg"),
        (LABELS.astype(np.int64), ".png"),
    ],
)
def test_what_cannot_be_encoded_is_refused(array, suffix, tmp_path):
    with pytest.raises(DataError, match="cannot encode"):
        write_image(tmp_path / f"a{suffix}", array)
    assert list(tmp_path.iterdir()) == []


def test_resize_keeps_ids_under_nearest_and_size_when_equal():
    assert resize_image(SMOOTH, (HEIGHT, WIDTH)) is SMOOTH
    assert resize_image(SMOOTH, (30, 45)).shape == (30, 45, 3)
    doubled = resize_image(LABELS, (HEIGHT * 2, WIDTH * 2), "nearest")
    assert np.array_equal(doubled, LABELS.repeat(2, 0).repeat(2, 1))
    halved = resize_image(SMOOTH, (30, 45))
    assert np.abs(halved.astype(float) - SMOOTH.reshape(30, 2, 45, 2, 3).mean((1, 3))).max() <= 1


def test_real_images_are_read_like_pillow_reads_them(shared):
    paths = sorted((shared / "data").rglob("*.jpg"))[::200]
    if not paths:
        pytest.skip("no .jpg below data/")
    for path in paths:
        with Image.open(path) as picture:
            assert difference(read_image(path), np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))) < 0.5
