"""Annotation files from strangers are refused quickly, in bounded memory, by an error of umbel's own."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from umbel import DataError, read_json, read_lines

SIZE = 50_000_000
FLOODS: dict[str, Callable[[int], str]] = {
    "nested_arrays": lambda n: "[" * n,
    "nested_objects": lambda n: '{"a":' * (n // 5),
    "empty_arrays": lambda n: "[" + "[]," * (n // 3) + "1]",
    "empty_objects": lambda n: "[" + "{}," * (n // 3) + "1]",
    "short_arrays": lambda n: "[" + "[1]," * (n // 4) + "1]",
    "numbers": lambda n: "[" + "1," * (n // 2) + "1]",
    "floats": lambda n: "[" + "1.5," * (n // 4) + "1]",
    "texts": lambda n: "[" + '"ab",' * (n // 5) + "1]",
    "long_integer": lambda n: "9" * n,
    "coco_numbers": lambda n: '{"images": [' + "1," * (n // 2) + '1], "annotations": [], "categories": []}',
    "coco_entries": lambda n: '{"images": [], "annotations": [' + '{"id":1},' * (n // 9) + '{}], "categories": []}',
}
LIMITED = """
import resource, sys, time
from pathlib import Path
from umbel import DataError
from umbel.tasks.detection.formats.coco import read_coco
from umbel.tasks.segmentation.formats.polygon_files import read_polygons
started = time.process_time()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in (lambda: read_coco(Path("/nowhere"), Path(sys.argv[1])), lambda: read_polygons(Path(sys.argv[1]))):
    try:
        read()
    except DataError:
        pass
    else:
        sys.exit("accepted")
peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(f"{time.process_time() - started:.1f} {peak:.0f}")
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", FLOODS)
def test_small_flood_is_refused(name: str, tmp_path: Path) -> None:
    from umbel.tasks.detection.formats.coco import read_coco

    with pytest.raises(DataError):
        read_coco(tmp_path, write(tmp_path / "a.json", FLOODS[name](20_000)))


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOODS)
def test_flood_of_50_megabytes_is_refused_within_limits(name: str, tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", FLOODS[name](SIZE))
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, str(file)], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr[-500:]
    seconds, mebibytes = map(float, result.stdout.split())
    assert (
        seconds < 60
    )  # CPU time of two readers: each needs 10 at most on an idle machine; what grows faster takes minutes
    assert mebibytes < 1000


@pytest.mark.parametrize("text", ["[NaN", "1e", '{"a": 1,}', "9" * 5001, "\ufeff\ufeff[]", '{"a"', "[" * 100_000])
def test_broken_json_is_an_error_of_ours(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not valid JSON"):
        read_json(write(tmp_path / "a.json", text))


def test_lists_and_tables_of_millions_of_tiny_lines_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sound file is like that"):
        read_lines(write(tmp_path / "a.txt", "a\n" * 2_100_000))


def test_unpacked_bomb_in_a_matlab_file_is_refused(tmp_path: Path) -> None:
    from umbel.tasks.classification.formats.stanford_cars import read_class_names

    packed = zlib.compress(bytes(80_000_000), 9)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    path = tmp_path / "cars_meta.mat"
    path.write_bytes(head + (15).to_bytes(4, "little") + len(packed).to_bytes(4, "little") + packed)
    with pytest.raises(DataError, match="packed or unpacked"):
        read_class_names(path)
