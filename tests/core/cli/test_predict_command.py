"""umbel predict: formats, filters, patterns, videos, and files that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import exit_code
from trio import make_run

from umbel import read_image, read_label_map, write_image
from umbel.io.video import Video, VideoFile

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("command") / "run")


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        image = np.random.default_rng(ord(name)).integers(0, 256, (40, 60, 3)).astype(np.uint8)
        write_image(tmp_path / "photos" / f"{name}.png", image)

    def call(*arguments: str) -> tuple[int, str, str]:
        return (exit_code(*arguments), *capfd.readouterr())

    return call


def test_every_format_is_written(cli: Cli, run: Path) -> None:
    formats = [part for name in ("pictures", "json", "coco", "masks") for part in ("--format", name)]
    code, out, err = cli("predict", str(run), "photos/*.png", *formats, "--confidence", "0.2", "--batch", "2")
    assert (code, err) == (0, "")
    assert sorted(out.split()) == sorted(
        f"predictions/{name}"
        for name in (
            "road/a.jpg", "road/b.jpg", "vehicles/a.jpg", "vehicles/b.jpg", "signs/a.jpg", "signs/b.jpg",
            "road/a.png", "road/b.png", "road.json", "vehicles.json", "signs.json", "signs.coco.json",
        )
    )  # fmt: skip
    mask = read_label_map(Path("predictions/road/a.png"))
    assert mask.shape == (40, 60)
    assert mask.max() < 3
    coco = json.loads(Path("predictions/signs.coco.json").read_text())
    assert coco["categories"] == [{"id": 4, "name": "stop"}, {"id": 9, "name": "yield"}]
    assert [image["file_name"] for image in coco["images"]] == ["photos/a.png", "photos/b.png"]
    listed = json.loads(Path("predictions/signs.json").read_text())
    assert len(coco["annotations"]) == sum(map(len, listed.values())) > 0
    assert {entry["image_id"] for entry in coco["annotations"]} <= {1, 2}
    assert min(entry["score"] for entry in coco["annotations"]) >= 0.2
    assert [entry["id"] for entry in coco["annotations"]] == list(range(1, len(coco["annotations"]) + 1))


def test_a_coco_file_is_read_back_as_labels(cli: Cli, run: Path) -> None:
    import umbel

    cli("predict", str(run), "photos", "--task", "signs", "--format", "coco", "--confidence", "0.2")
    options = {
        "root": ".",
        "train_images": ".",
        "train_annotations": "predictions/signs.coco.json",
        "bad_boxes": "drop",
    }
    options |= {"val_images": ".", "val_annotations": "predictions/signs.coco.json"}
    recipe = {"tasks": {"it": {"kind": "detection", "batch_size": 1, "input_size": [64, 64], "options": options}}}
    _, tasks = umbel.open_tasks({**recipe, "backbone": {"options": {"model": "resnet18"}}})
    samples = tasks["it"].dataset("train")
    assert sum(len(samples[index].target.boxes_N4) for index in range(2)) > 0


def test_a_bad_file_costs_the_others_nothing(cli: Cli, run: Path) -> None:
    Path("photos/a-bad.png").write_bytes(b"not an image")
    Path("cut.mp4").write_bytes(b"nor a video")
    code, out, err = cli("predict", str(run), "photos", "cut.mp4", "--batch", "3", "--format", "json")
    assert code == 1
    assert set(json.loads(Path("predictions/road.json").read_text())) == {"photos/a.png", "photos/b.png"}
    assert [line.split(": ")[:2] for line in err.splitlines()] == [
        ["not predicted", "photos/a-bad.png"],
        ["not predicted", "cut.mp4"],
    ]
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["photos/none*.png"], 3, "no such file or folder"),
        (["empty"], 3, "no such file or folder"),
        (["bad.png"], 3, "bad.png"),
        (["bad.mp4"], 3, "not a video"),
        (["photos", "--classes", "car,sotp"], 2, "did you mean 'stop'?"),
        (["photos", "--confidence", "7"], 2, "must lie in 0..1"),
        (["photos", "--task", "vehicles", "--format", "masks"], 2, "can be written as masks"),
        (["photos", "--task", "road", "--format", "coco"], 2, "can be written as coco"),
        (["photos", "--size", "0", "5"], 2, "expected height and width"),
        (["photos", "--out", "bad.png"], 3, "cannot be written"),
        (["clip.mp4", "--out", "bad.png"], 3, "cannot be written"),
        (["photos", "--device", "gpu"], 2, "not a device"),
    ],
)
def test_errors_are_one_line(cli: Cli, run: Path, arguments: list[str], code: int, part: str) -> None:
    Path("bad.png").write_bytes(b"x")
    Path("bad.mp4").write_bytes(b"x")
    film(Path("clip.mp4"), 1)
    given, out, err = cli("predict", str(run), *arguments)
    assert (given, out) == (code, "")
    assert err.startswith("umbel: error: ")
    assert err.count("\n") == 1
    assert part in err


def film(path: Path, frames: int) -> list[np.ndarray]:
    """A video of a bright square that moves right over a dark ground."""
    drawn = []
    with VideoFile(path, 10.0) as file:
        for number in range(frames):
            frame = np.full((64, 96, 3), 30, np.uint8)
            frame[20:44, 8 * number : 8 * number + 24] = (240, 60, 60)
            drawn.append(frame)
            file.add(frame)
    return drawn


def test_videos_are_written_and_read_frame_by_frame(tmp_path: Path) -> None:
    drawn = film(tmp_path / "x" / "clip.mp4", 7)
    video = Video(tmp_path / "x" / "clip.mp4")
    assert video.rate == pytest.approx(10.0)
    frames = list(video)
    assert len(frames) == 7
    for frame, expected in zip(frames, drawn, strict=True):
        assert np.abs(frame.astype(int) - expected).mean() < 12  # lossy, but the same picture in the same colours


def test_a_video_gives_an_annotated_copy_and_a_line_a_frame(cli: Cli, run: Path) -> None:
    drawn = film(Path("clip.mp4"), 5)
    code, out, err = cli("predict", str(run), "clip.mp4", "photos/a.png", "--batch", "2", "--confidence", "0.3")
    assert (code, err) == (0, "")
    assert out.split()[-2:] == ["predictions/clip.mp4", "predictions/clip.jsonl"]
    lines = [json.loads(line) for line in Path("predictions/clip.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == [0, 1, 2, 3, 4]
    assert [line["seconds"] for line in lines] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert all({"road", "vehicles", "signs"} < set(line) for line in lines)
    copy = list(Video(Path("predictions/clip.mp4")))
    assert len(copy) == 5
    assert np.abs(copy[0].astype(int) - drawn[0]).mean() > 12  # drawn on
    assert read_image(Path("predictions/road/a.jpg")).shape == (40, 60, 3)


def test_a_video_never_overwrites_itself(cli: Cli, run: Path) -> None:
    film(Path("clip.mp4"), 2)
    before = Path("clip.mp4").read_bytes()
    code, _, err = cli("predict", str(run), "clip.mp4", "--out", ".")
    assert code == 3
    assert "overwritten by its own prediction" in err
    assert Path("clip.mp4").read_bytes() == before


def test_frames_before_a_fault_keep_their_results(cli: Cli, run: Path) -> None:
    import cv2

    writer = cv2.VideoWriter("cut.avi", cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (96, 64))
    for number in range(12):
        writer.write(np.full((64, 96, 3), 20 * number, np.uint8))
    writer.release()
    data = Path("cut.avi").read_bytes()
    starts = [at for at in range(len(data)) if data[at : at + 4] == b"00dc"]
    Path("cut.avi").write_bytes(data[: starts[6] + 20])
    code, out, err = cli("predict", str(run), "cut.avi", "--batch", "4", "--size", "64", "64")
    lines = [json.loads(line) for line in Path("predictions/cut.jsonl").read_text().splitlines()]
    assert code == 1
    assert err.startswith(f"not predicted: cut.avi: ends before its container says: {len(lines)} of 12 frames")
    assert [line["seconds"] for line in lines] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5][: len(lines)]
    assert len(lines) >= 5
    assert len(list(Video(Path("predictions/cut.mp4")))) == len(lines)
    assert out.split() == ["predictions/cut.mp4", "predictions/cut.jsonl"]


def test_videos_inside_folders_are_predicted_too(cli: Cli, run: Path) -> None:
    import cv2

    Path("clips/inner").mkdir(parents=True)
    for name in ("clips/a.avi", "clips/inner/b.avi"):
        writer = cv2.VideoWriter(name, cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (96, 64))
        writer.write(np.full((64, 96, 3), 90, np.uint8))
        writer.release()
    Path("clips/notes.txt").write_text("x")
    code, out, err = cli("predict", str(run), "clips", "--format", "json", "--size", "64", "64")
    assert (code, out.split()) == (0, ["predictions/a.jsonl", "predictions/b.jsonl"])
    assert "passed over" not in err
    Path("empty").mkdir()
    assert cli("predict", str(run), "empty")[0] == 3


def test_one_bad_image_never_ends_the_command(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import struct
    import zlib

    import torch

    from umbel.runtime.inference_model import InferenceModel

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    chunk += bytes(4) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    Path("photos/bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    Path("photos/cut.png").write_bytes(Path("photos/a.png").read_bytes()[:900])
    Path("photos/text.png").write_bytes(b"not an image")
    write_image(Path("photos/large.png"), np.zeros((50, 60, 3), np.uint8))
    write_image(Path("photos/wide.png"), np.zeros((1, 65_600, 3), np.uint8))
    forward = InferenceModel.features

    def features(self: InferenceModel, images: torch.Tensor, task: str) -> tuple[torch.Tensor, ...]:
        if images.shape[-2] == 64 and images[..., :50, :60].sum() == 0 and images.shape[-1] == 64:
            return torch.empty(10**15)  # type: ignore[return-value]  # torch's own error
        return forward(self, images, task)

    monkeypatch.setattr(InferenceModel, "features", features)
    code, _, err = cli("predict", str(run), "photos", "--task", "road", "--batch", "8")
    assert code == 1
    told = dict(line.removeprefix("not predicted: ").split(": ", 1) for line in err.splitlines())
    assert set(told) == {
        "photos/bomb.png", "photos/cut.png", "photos/text.png", "photos/large.png", "predictions/road/wide.jpg"
    }  # fmt: skip
    assert "pixels" in told["photos/bomb.png"]
    assert "takes more memory than there is: 60 x 50 pixels (show it smaller, by --size H W" in told["photos/large.png"]
    assert set(json.loads(Path("predictions/road.json").read_text())) == {
        "photos/a.png", "photos/b.png", "photos/wide.png"
    }  # fmt: skip
