"""Kinds of fault, each made from a sound data set: what it is called, how it is made, and which file it is in."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from corpus.tree import HEIGHT, WIDTH, Tree, picture, save, write_coco
from PIL import Image

FAULTS: dict[str, Fault] = {}


@dataclass(frozen=True)
class Fault:
    """Args:
    kinds: of the finding; any of them will do.
    make: spoils the tree and returns the file that has to be named.
    """

    kinds: tuple[str, ...]
    make: Callable[[Tree], Path | str]


def fault(*kinds: str) -> Callable[[Callable[[Tree], Path | str]], Callable[[Tree], Path | str]]:
    def add(make: Callable[[Tree], Path | str]) -> Callable[[Tree], Path | str]:
        FAULTS[make.__name__] = Fault(kinds, make)
        return make

    return add


def _encode(image: np.ndarray, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def _cut(data: bytes, share: float = 0.5) -> bytes:
    return data[: int(len(data) * share)]


def _replace(path: Path, data: bytes, suffix: str | None = None) -> Path:
    """The file with other content and, where wanted, another suffix."""
    path.unlink()
    path = path.with_suffix(suffix or path.suffix)
    path.write_bytes(data)
    return path


LARGE = picture("large", height=96, width=128)  # enough entropy-coded bytes to cut and spoil


# images ---------------------------------------------------------------------------------------------------------


@fault("missing")
def image_is_a_dangling_link(tree: Tree) -> Path:
    tree.image.unlink()
    tree.image.symlink_to("nowhere.jpg")
    return tree.image


@fault("unreadable")
def image_is_a_loop_of_links(tree: Tree) -> Path:
    tree.image.unlink()
    tree.image.symlink_to(tree.image.name)
    return tree.image


@fault("no-file")
def image_is_a_pipe(tree: Tree) -> Path:
    tree.image.unlink()
    os.mkfifo(tree.image)
    return tree.image


@fault("zero-bytes")
def image_of_zero_bytes(tree: Tree) -> Path:
    return _replace(tree.image, b"")


@fault("unreadable")
def web_page_named_jpg(tree: Tree) -> Path:
    return _replace(tree.image, b"<!DOCTYPE html><html><body>404</body></html>")


@fault("unreadable")
def icon_named_png(tree: Tree) -> Path:
    return _replace(tree.image, _encode(LARGE, "ICO"), ".png")


@fault("unreadable", "truncated")
def jpeg_header_alone(tree: Tree) -> Path:
    return _replace(tree.image, _encode(LARGE, "JPEG")[:300])


@fault("truncated")
def jpeg_cut_in_half(tree: Tree) -> Path:
    return _replace(tree.image, _cut(_encode(LARGE, "JPEG")))


@fault("truncated")
def jpeg_without_end_marker(tree: Tree) -> Path:
    return _replace(tree.image, _encode(LARGE, "JPEG")[:-2])


@fault("truncated")
def progressive_jpeg_cut_in_half(tree: Tree) -> Path:
    return _replace(tree.image, _cut(_encode(LARGE, "JPEG", progressive=True)))


@fault("truncated", "damaged")
def jpeg_cut_with_end_marker_put_back(tree: Tree) -> Path:
    return _replace(tree.image, _cut(_encode(LARGE, "JPEG")) + b"\xff\xd9")


@fault("damaged", "truncated")
def jpeg_with_zeros_in_the_middle(tree: Tree) -> Path:
    data = bytearray(_encode(LARGE, "JPEG", quality=95))
    middle = len(data) * 2 // 3
    data[middle : middle + 400] = bytes(400)
    return _replace(tree.image, bytes(data))


@fault("damaged")
def jpeg_with_rotten_bits(tree: Tree) -> Path:
    data = bytearray(_encode(LARGE, "JPEG", quality=95))
    for position in range(len(data) * 2 // 3, len(data) - 40, 37):
        data[position] ^= 0x5A
    return _replace(tree.image, bytes(data).replace(b"\xff\xd9", b"\xff\x00")[:-2] + b"\xff\xd9")


@fault("truncated")
def png_cut_in_half(tree: Tree) -> Path:
    return _replace(tree.image, _cut(_encode(LARGE, "PNG")), ".png")


@fault("truncated")
def png_without_its_end(tree: Tree) -> Path:
    return _replace(tree.image, _encode(LARGE, "PNG")[:-12], ".png")


@fault("damaged")
def png_with_a_wrong_checksum(tree: Tree) -> Path:
    data = bytearray(_encode(LARGE, "PNG"))
    data[len(data) // 2] ^= 1
    return _replace(tree.image, bytes(data), ".png")


@fault("damaged", "truncated")
def png_with_broken_compression(tree: Tree) -> Path:
    data = _encode(LARGE, "PNG")
    start = data.index(b"IDAT") - 4
    length = struct.unpack(">I", data[start : start + 4])[0]
    body = b"IDAT" + data[start + 8 : start + 8 + length // 2] + bytes(length - length // 2)
    chunk = struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body))
    return _replace(tree.image, data[:start] + chunk + data[start + 12 + length :], ".png")


@fault("truncated", "damaged", "unreadable")
def webp_cut_in_half(tree: Tree) -> Path:
    return _replace(tree.image, _cut(_encode(LARGE, "WEBP")), ".webp")


@fault("truncated", "damaged", "unreadable")
def tiff_cut_in_half(tree: Tree) -> Path:
    return _replace(tree.image, _cut(_encode(LARGE, "TIFF")), ".tif")


@fault("truncated", "damaged", "unreadable")
def bmp_cut_in_half(tree: Tree) -> Path:
    return _replace(tree.image, _cut(_encode(LARGE, "BMP")), ".bmp")


@fault("truncated", "damaged", "unreadable")
def ppm_cut_in_half(tree: Tree) -> Path:
    return _replace(tree.image, _cut(_encode(LARGE, "PPM")), ".ppm")


@fault("too-large")
def png_header_of_3600_megapixels(tree: Tree) -> Path:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(60))), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return _replace(tree.image, data, ".png")


@fault("too-large")
def png_of_81_megapixels(tree: Tree) -> Path:
    buffer = io.BytesIO()
    Image.new("1", (9000, 9000)).save(buffer, "PNG")
    return _replace(tree.image, buffer.getvalue(), ".png")


@fault("float-pixels")
def tiff_of_floats(tree: Tree) -> Path:
    return _replace(tree.image, _encode(np.ones((8, 8), np.float32), "TIFF"), ".tif")


@fault("16-bit")
def grey_png_of_16_bits(tree: Tree) -> Path:
    return _replace(tree.image, _encode(LARGE[:, :, 0].astype(np.uint16) * 200, "PNG"), ".png")


@fault("16-bit")
def grey_tiff_of_16_bits(tree: Tree) -> Path:
    return _replace(tree.image, _encode(LARGE[:, :, 0].astype(np.uint16) * 200, "TIFF"), ".tif")


@fault("palette")
def png_with_a_palette(tree: Tree) -> Path:
    buffer = io.BytesIO()
    Image.fromarray(LARGE).quantize(16).save(buffer, "PNG")
    return _replace(tree.image, buffer.getvalue(), ".png")


def _turned(kind: str, orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _encode(LARGE, kind, exif=exif)


@fault("rotated")
def jpeg_turned_by_exif(tree: Tree) -> Path:
    return _replace(tree.image, _turned("JPEG"))


@fault("rotated")
def jpeg_upside_down_by_exif(tree: Tree) -> Path:
    return _replace(tree.image, _turned("JPEG", 3))


@fault("rotated")
def png_turned_by_exif(tree: Tree) -> Path:
    return _replace(tree.image, _turned("PNG"), ".png")


@fault("rotated")
def webp_turned_by_exif(tree: Tree) -> Path:
    return _replace(tree.image, _turned("WEBP"), ".webp")


@fault("animated")
def animated_webp(tree: Tree) -> Path:
    frames = [Image.fromarray(picture("frame", k)) for k in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    return _replace(tree.image, buffer.getvalue(), ".webp")


# segmentation ---------------------------------------------------------------------------------------------------


@fault("size-mismatch")
def mask_of_another_size(tree: Tree) -> Path:
    save(tree.mask, np.zeros((HEIGHT, WIDTH - 1), np.uint8))
    return tree.mask


@fault("size-mismatch")
def mask_not_turned_with_its_image(tree: Tree) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tree.root / "seg/images/train_0.jpg", picture("seg", "train_0"), exif=exif)
    return tree.mask


@fault("lossy-mask")
def mask_as_jpeg(tree: Tree) -> Path:
    return _replace(tree.mask, _encode(np.zeros((HEIGHT, WIDTH), np.uint8), "JPEG"), ".jpg")


@fault("colour-mask")
def mask_in_colours(tree: Tree) -> Path:
    save(tree.mask, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    return tree.mask


@fault("colour-mask")
def mask_with_alpha(tree: Tree) -> Path:
    save(tree.mask, np.zeros((HEIGHT, WIDTH, 4), np.uint8))
    return tree.mask


@fault("label")
def mask_with_a_label_out_of_range(tree: Tree) -> Path:
    save(tree.mask, np.full((HEIGHT, WIDTH), 7, np.uint8))
    return tree.mask


@fault("label")
def mask_of_16_bits_with_a_label_out_of_range(tree: Tree) -> Path:
    save(tree.mask, np.full((HEIGHT, WIDTH), 300, np.uint16))
    return tree.mask


@fault("label")
def mask_with_a_palette_and_a_label_out_of_range(tree: Tree) -> Path:
    labels = Image.fromarray(np.full((HEIGHT, WIDTH), 5, np.uint8), "P")
    labels.putpalette(bytes(range(256)) * 3)
    labels.save(tree.mask)
    return tree.mask


@fault("truncated")
def mask_cut_in_half(tree: Tree) -> Path:
    return _replace(tree.mask, _cut(tree.mask.read_bytes()))


@fault("unlabelled")
def mask_without_a_label(tree: Tree) -> Path:
    save(tree.mask, np.full((HEIGHT, WIDTH), 255, np.uint8))
    return tree.mask


@fault("missing-pair")
def image_without_mask(tree: Tree) -> Path:
    tree.mask.unlink()
    return tree.mask.parent


@fault("missing-pair")
def mask_without_image(tree: Tree) -> Path:
    (tree.root / "seg/images/train_0.jpg").unlink()
    return tree.root / "seg/images"


@fault("duplicate-id")
def stem_listed_twice(tree: Tree) -> Path:
    listing = tree.root / "seg/train.txt"
    listing.write_text(listing.read_text() + "train_1\n")
    return listing


@fault("duplicate-stem")
def two_images_of_one_stem(tree: Tree) -> Path:
    save(tree.root / "seg/images/train_0.png", picture("other"))
    return tree.root / "seg/images"


@fault("empty-split")
def list_of_nothing(tree: Tree) -> Path:
    (tree.root / "seg/val.txt").write_text("\n")
    return tree.root / "seg/val.txt"


@fault("encoding")
def list_that_is_not_utf8(tree: Tree) -> Path:
    (tree.root / "seg/val.txt").write_bytes(b"\xff\xfe\x00")
    return tree.root / "seg/val.txt"


@fault("missing")
def list_that_is_not_there(tree: Tree) -> Path:
    (tree.root / "seg/val.txt").unlink()
    return tree.root / "seg/val.txt"


# detection ------------------------------------------------------------------------------------------------------


@fault("annotation")
def json_cut_in_half(tree: Tree) -> Path:
    tree.coco.write_text(tree.coco.read_text()[:200])
    return tree.coco


@fault("annotation")
def json_of_another_kind(tree: Tree) -> Path:
    tree.coco.write_text('{"boxes": []}')
    return tree.coco


def _with_box(*values: Any) -> Callable[[Tree], Path]:
    return lambda tree: tree.change_coco(
        annotations=lambda old: [*old, {"id": 99, "image_id": 1, "category_id": 1, "bbox": list(values)}]
    )


for name, kind, box in (
    ("box_of_nan", "box-nan", (float("nan"), 1, 5, 5)),
    ("box_of_infinity", "box-nan", (1, 1, float("inf"), 5)),
    ("box_without_width", "box-degenerate", (5, 5, 0, 9)),
    ("box_without_height", "box-degenerate", (5, 5, 9, 0)),
    ("box_inverted", "box-inverted", (30, 20, -9, 9)),
    ("box_right_of_the_image", "box-outside", (WIDTH + 5, 5, 9, 9)),
    ("box_above_the_image", "box-outside", (5, -30, 9, 9)),
    ("box_over_the_border", "box-over-border", (WIDTH - 8, 5, 30, 9)),
    ("box_thinner_than_a_pixel", "box-tiny", (5, 5, 0.4, 9)),
    ("box_given_twice", "box-duplicate", (13, 5, 12, 14)),
    ("box_of_three_numbers", "annotation", (1, 2, 3)),
    ("box_of_text", "annotation", ("1", "2", "3", "4")),
):
    FAULTS[name] = Fault((kind,), _with_box(*box))


@fault("label")
def box_of_an_unknown_category(tree: Tree) -> Path:
    return tree.change_coco(annotations=lambda old: [{**old[0], "category_id": 77}, *old[1:]])


@fault("unknown-image")
def box_on_an_unknown_image(tree: Tree) -> Path:
    return tree.change_coco(annotations=lambda old: [{**old[0], "image_id": 77}, *old[1:]])


@fault("duplicate-id")
def image_id_given_twice(tree: Tree) -> Path:
    shutil.copy(tree.root / "det/val/0.jpg", tree.root / "det/train/9.jpg")
    return tree.change_coco(images=lambda old: [*old, {**old[0], "file_name": "9.jpg"}])


@fault("duplicate-id")
def file_name_given_twice(tree: Tree) -> Path:
    return tree.change_coco(images=lambda old: [*old, {**old[0], "id": 77}])


@fault("duplicate-id")
def category_id_given_twice(tree: Tree) -> Path:
    return tree.change_coco(categories=lambda old: [*old, {"id": 2, "name": "yield"}])


@fault("annotation")
def image_without_file_name(tree: Tree) -> Path:
    return tree.change_coco(images=lambda old: [*old, {"id": 77}])


def _with_name(name: str) -> Callable[[Tree], Path]:
    return lambda tree: tree.change_coco(images=lambda old: [{**old[0], "file_name": name}, *old[1:]])


for name, entry in (
    ("path_that_is_absolute", "/etc/passwd"),
    ("path_that_leaves_the_root", "../../../etc/passwd"),
    ("path_that_leaves_in_the_middle", "a/../../b.jpg"),
    ("path_with_a_nul", "0.jpg\0.png"),
    ("path_that_is_empty", ""),
    ("path_that_is_the_root", "."),
):
    FAULTS[name] = Fault(("path-escape",), _with_name(entry))


@fault("path-escape")
def path_through_a_link_that_leads_out(tree: Tree) -> Path:
    outside = tree.root.parent / f"{tree.root.name}-secret.jpg"
    save(outside, picture("secret"))
    (tree.root / "det/train/link.jpg").symlink_to(outside)
    return _with_name("link.jpg")(tree)


@fault("missing")
def annotated_image_that_is_not_there(tree: Tree) -> Path:
    (tree.root / "det/train/0.jpg").unlink()
    return tree.root / "det/train/0.jpg"


@fault("size-mismatch")
def image_of_another_size_than_stated(tree: Tree) -> Path:
    save(tree.root / "det/train/0.jpg", picture("det", height=HEIGHT + 2))
    return tree.root / "det/train/0.jpg"


@fault("class-list")
def categories_of_the_splits_differ(tree: Tree) -> Path:
    path = tree.root / "det/annotations/val.json"
    content = json.loads(path.read_text())
    content["categories"].append({"id": 3, "name": "priority"})
    content["annotations"][0]["category_id"] = 3
    path.write_text(json.dumps(content))
    return path


@fault("class-list")
def category_ids_of_the_splits_differ(tree: Tree) -> Path:
    path = tree.root / "det/annotations/val.json"
    path.write_text(path.read_text().replace('"id": 1, "name": "stop"', '"id": 7, "name": "stop"'))
    return path


@fault("empty-split")
def annotations_without_images(tree: Tree) -> str:
    write_coco(tree.root / "det/annotations/val.json", 0)
    return "tasks.signs"


# classes and splits ---------------------------------------------------------------------------------------------


@fault("unvalidated-class")
def validation_lacks_a_class(tree: Tree) -> str:
    shutil.rmtree(tree.root / "cls/val/bus")
    return "tasks.cars"


@fault("class-list")
def validation_has_a_class_more(tree: Tree) -> Path:
    save(tree.root / "cls/val/tram/0.jpg", picture("tram"))
    return tree.root / "cls/val"


@fault("empty-class")
def class_without_images(tree: Tree) -> Path:
    (tree.root / "cls/train/tram").mkdir()
    return tree.root / "cls/train/tram"


@fault("unseen-class")
def class_that_is_only_validated(tree: Tree) -> str:
    tree.change_coco(annotations=lambda old: [entry for entry in old if entry["category_id"] == 1])
    return "tasks.signs"


@fault("missing")
def split_that_is_not_there(tree: Tree) -> Path:
    shutil.rmtree(tree.root / "cls/val")
    return tree.root / "cls/val"


@fault("leak")
def image_in_both_splits(tree: Tree) -> Path:
    shutil.copy(tree.image, tree.root / "cls/val/car/copy.jpg")
    return tree.root / "cls/val/car/copy.jpg"


@fault("leak")
def image_in_both_splits_in_another_format(tree: Tree) -> Path:
    save(tree.root / "cls/val/car/copy.png", np.asarray(Image.open(tree.image)))
    return tree.root / "cls/val/car/copy.png"


@fault("leak-across-tasks")
def image_trained_in_one_task_and_validated_in_another(tree: Tree) -> Path:
    shutil.copy(tree.image, tree.root / "det/val/0.jpg")
    return tree.root / "det/val/0.jpg"


@fault("duplicate")
def image_twice_in_a_split(tree: Tree) -> Path:
    shutil.copy(tree.image, tree.root / "cls/train/car/copy.jpg")
    return tree.root / "cls/train/car/copy.jpg"
