"""Videos: times of frames, files that are cut short, turned ones, and what the copy looks like."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from umbel import DataError
from umbel.io.video import Video, VideoFile
from umbel.io.video_container import counts_frames, is_cut_short

WIDTH, HEIGHT, FRAMES = 96, 64, 12
KINDS = {"a.mp4": "mp4v", "a.mov": "mp4v", "a.avi": "MJPG", "b.avi": "XVID", "a.mkv": "mp4v", "a.webm": "VP80"}


def film(path: Path, frames: int = FRAMES) -> Path:
    """Ten frames a second; blue grows by 20 a frame, a white patch is top left."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*KINDS.get(path.name, "mp4v")), 10.0, (WIDTH, HEIGHT))
    for number in range(frames):
        frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        frame[:, :, 0] = 20 * number
        frame[:16, :24] = 255
        writer.write(frame)
    writer.release()
    return path


def with_varying_rate(path: Path) -> Path:
    """Rewrites the table of durations: the second half of the frames lasts four times as long."""
    data = bytearray(path.read_bytes())
    at = data.find(b"stts")
    end = at - 4 + struct.unpack_from(">I", data, at - 4)[0]
    ticks = struct.unpack_from(">I", data, at + 16)[0]
    table = struct.pack(">5I", 2, FRAMES // 2, ticks, FRAMES // 2, 4 * ticks)
    grown = len(table) - (end - at - 8)
    data[at + 8 : end] = table
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
        place = data.find(box) - 4
        struct.pack_into(">I", data, place, struct.unpack_from(">I", data, place)[0] + grown)
    for box, offset in ((b"mdhd", 20), (b"mvhd", 20), (b"tkhd", 24), (b"elst", 12)):
        place = data.find(box) + offset
        struct.pack_into(">I", data, place, int(struct.unpack_from(">I", data, place)[0] * 2.5))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", KINDS)
def test_whole_files_of_every_kind_are_whole(tmp_path: Path, name: str) -> None:
    video = Video(film(tmp_path / name))
    assert len(list(video)) == FRAMES
    assert video.times == pytest.approx([number / 10 for number in range(FRAMES)], abs=2e-3)
    assert video.fault is None


@pytest.mark.parametrize("name", ["a.avi", "a.mkv", "a.webm"])
def test_a_file_cut_short_says_how_many_frames_were_read(tmp_path: Path, name: str) -> None:
    path = film(tmp_path / name)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 8 // 10])
    video = Video(path)
    read = len(list(video))
    assert 0 < read < FRAMES
    assert video.fault is not None
    assert f"{read} of {FRAMES} frames" in str(video.fault)
    assert str(path) in str(video.fault)


def test_times_are_those_of_the_frames_where_the_rate_varies(tmp_path: Path) -> None:
    video = Video(with_varying_rate(film(tmp_path / "a.mp4")))
    assert len(list(video)) == FRAMES
    assert video.times == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0, 1.4, 1.8, 2.2, 2.6])
    assert FRAMES / video.rate == pytest.approx(3.0, abs=0.1)  # as long as the original
    assert video.fault is None


def test_frames_that_an_edit_list_leaves_out_are_not_missing(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    assert counts_frames(path)
    data = bytearray(path.read_bytes())
    place = data.find(b"elst") + 12
    struct.pack_into(">I", data, place, struct.unpack_from(">I", data, place)[0] // 2)
    path.write_bytes(data)
    assert not counts_frames(path)
    video = Video(path)
    list(video)
    assert video.fault is None


def test_frames_missing_inside_are_told(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    place = data.find(b"stsz") + 12
    count = struct.unpack_from(">I", data, place)[0]
    sizes = struct.unpack_from(f">{count}I", data, place + 4)
    first = struct.unpack_from(">I", data, data.find(b"stco") + 12)[0]
    broken = first + sum(sizes[:6])
    data[broken : broken + sizes[6]] = bytes(sizes[6])
    path.write_bytes(data)
    video = Video(path)
    read = len(list(video))
    if read < FRAMES:
        assert f"{read} of {FRAMES} frames" in str(video.fault)


def test_a_phones_turn_is_applied(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    place = data.find(b"tkhd") + 44
    turned = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, HEIGHT << 16, 0, 0x40000000)
    data[place : place + 36] = turned
    path.write_bytes(data)
    frame = next(iter(Video(path)))
    assert frame.shape == (WIDTH, HEIGHT, 3)
    assert frame[5, -6].min() > 200  # the patch of the top left is now at the top right


@pytest.mark.parametrize(("height", "width"), [(63, 95), (64, 95), (1, 1), (64, 96)])
def test_odd_sides_lose_nothing(tmp_path: Path, height: int, width: int) -> None:
    with VideoFile(tmp_path / "a.mp4", 10.0) as file:
        for number in range(3):
            file.add(np.full((height, width, 3), 40 * number + 60, np.uint8))
        file.add(np.full((2 * height, width, 3), 180, np.uint8))  # of another size
    frames = list(Video(tmp_path / "a.mp4"))
    assert [frame.shape for frame in frames] == [(height + height % 2, width + width % 2, 3)] * 4
    assert np.abs(frames[-1].astype(int) - 180).max() < 12


def test_one_frame_and_none(tmp_path: Path) -> None:
    video = Video(film(tmp_path / "one.mp4", 1))
    assert len(list(video)) == 1
    assert video.times == [0.0]
    assert video.fault is None
    film(tmp_path / "none.mp4", 0)
    (tmp_path / "none.mp4").touch()
    with pytest.raises(DataError, match="not a video"):
        Video(tmp_path / "none.mp4")
    film(tmp_path / "a.avi")
    (tmp_path / "a.avi").write_bytes((tmp_path / "a.avi").read_bytes()[:400])
    with pytest.raises(DataError, match="ends before its first frame"):
        Video(tmp_path / "a.avi")


@pytest.mark.parametrize(
    "head", [b"", b"RIFF", b"RIFF\xff\xff\xff\x7fAVI ", b"\x1a\x45\xdf\xa3", b"\0\0\0\x18ftyp" * 9]
)
def test_rubbish_has_no_length(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(head)
    assert is_cut_short(path) is (head[8:] == b"AVI ")
    counts_frames(path)
