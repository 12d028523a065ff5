"""Reads mutated images one after the other under limits, and says where it is: the child of test_mutated_images.py."""

from __future__ import annotations

import io
import os
import resource
import sys
import time
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from umbel import DataError, read_image, read_label_map

KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
LIMIT_S = 5.0


def originals(rng: np.random.Generator) -> list[tuple[str, bytes]]:
    """Encoded pictures of every kind."""
    found = []
    pixels = rng.integers(0, 256, (24, 31, 3), dtype=np.uint8)
    smooth = np.repeat(np.repeat(pixels, 3, axis=0), 3, axis=1)
    for kind in KINDS:
        for image in (Image.fromarray(smooth), Image.fromarray(smooth[:, :, 0])):
            options = [{}]
            if kind == "JPEG":
                options.append({"progressive": True})
            if kind == "TIFF":
                options += [{"compression": name} for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")]
            if kind == "WEBP":
                options.append({"lossless": True})
            for chosen in options:
                buffer = io.BytesIO()
                image.save(buffer, kind, **chosen)
                found.append((kind.lower(), buffer.getvalue()))
    return found


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip, overwrite, cut, repeat, insert or remove bytes; the header more often than its share."""
    spoilt = bytearray(data)
    for _ in range(int(rng.choice([1, 2, 8]))):
        if not spoilt:
            break
        reach = min(len(spoilt), 200) if rng.random() < 0.5 else len(spoilt)
        at = int(rng.integers(reach))
        how = int(rng.integers(6))
        if how == 0:
            spoilt[at] ^= 1 << int(rng.integers(8))
        elif how == 1:
            spoilt[at] = int(rng.choice([0, 1, 127, 128, 254, 255]))
        elif how == 2:
            spoilt[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\xea\x60"])
        elif how == 3:
            del spoilt[int(rng.integers(len(spoilt))) :]
        elif how == 4:
            spoilt[at:at] = spoilt[at : at + int(rng.integers(1, 64))]
        else:
            del spoilt[at : at + int(rng.integers(1, 16))]
    return with_checksums(bytes(spoilt)) if rng.random() < 0.7 else bytes(spoilt)


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what they hold now, as an attacker would write them."""
    if not data.startswith(b"\x89PNG"):
        return data
    fixed, position = bytearray(data), 8
    while position + 12 <= len(fixed):
        end = position + 8 + int.from_bytes(fixed[position : position + 4], "big")
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = zlib.crc32(fixed[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    return bytes(fixed)


def main(folder: Path, seed: int, count: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    rng = np.random.default_rng(seed)
    sources = originals(rng)
    read_image_warm = folder / "warm.png"
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(read_image_warm)
    read_image(read_image_warm)
    slowest, read, refused = 0.0, 0, 0
    path = folder / "mutated"
    for number in range(count):
        kind, data = sources[number % len(sources)]
        path.write_bytes(mutate(data, rng))
        started = time.process_time()
        for reader in (read_image, read_label_map):
            try:
                image = reader(path)
                assert image.size
                read += 1
            except DataError:
                refused += 1
        slowest = max(slowest, time.process_time() - started)
        if slowest > LIMIT_S:
            sys.exit(f"{kind} number {number} took {slowest:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{read} {refused} {slowest:.3f} {peak:.0f}\n")


if __name__ == "__main__":
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)  # libjpeg complains about every one
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
