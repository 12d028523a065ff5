"""Runs every benchmark and writes their tables into docs/benchmarks.md, with machine, versions, date and command."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
ALL = (
    "engine", "compiled", "peers", "activations", "shared_images", "growth", "memory", "zero", "loader",
    "keyed_augmentation", "decoding", "waiting", "mean_ap", "miou", "fusion", "tta", "predict_shared_backbone",
    "prediction", "evaluation", "saving", "startup", "check_data", "checkpoint_checksum", "costs_step", "costs_loader",
)  # fmt: skip
PACKAGES = (
    "torch", "torchvision", "timm", "albumentations", "opencv-python-headless", "torchmetrics", "faster-coco-eval",
    "ensemble-boxes", "deepspeed", "lightning", "accelerate", "pycocotools", "simplejpeg",
)  # fmt: skip


def run(name: str, quick: bool) -> tuple[dict[str, Any] | None, str]:
    """What a benchmark published, or None, and the text it printed or why there is nothing."""
    command = [sys.executable, str(HERE / f"{name}.py"), *(["--quick"] if quick else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return None, (done.stderr.strip().splitlines() or ["no output"])[-1]
    content: dict[str, Any] = json.loads(lines[-1])
    return content, "\n".join(lines[:-1])


def section(content: dict[str, Any], description: str) -> str:
    """A benchmark as Markdown."""
    header = "| " + " | ".join(content["header"]) + " |"
    rule = "|" + "---|" * len(content["header"])
    rows = ["| " + " | ".join(row) + " |" for row in content["rows"]]
    claims = []
    for claim in content["claims"]:
        bound = ""
        if claim["target"] is not None:
            verdict = "met" if claim["met"] else "**missed**"
            bound = f" (target {'<=' if claim['at_most'] else '>='} {claim['target']:g}: {verdict})"
        claims.append(f"- {claim['claim']}: {claim['value']:.3g}{bound}")
    return "\n".join([f"### {description} (`benchmarks/{content['benchmark']}.py`)", header, rule, *rows, "", *claims])


def title(name: str) -> str:
    """The first sentence of a benchmark's docstring, up to its colon."""
    text = (HERE / f"{name}.py").read_text().split('"""')[1].strip()
    return text.split(":")[0].split("\n")[0].rstrip(".")


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores of {model}, {platform.system()}, Python {platform.python_version()}"


def versions() -> str:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{package} is not installed")
    return ", ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)}; by default all")
    parser.add_argument("--quick", action="store_true", help="tiny sizes; nothing is written")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(ALL))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}")
    sections, failed, started = [], [], time.perf_counter()
    for name in given.names or ALL:
        begun = time.perf_counter()
        content, text = run(name, given.quick)
        print(f"== {name}, {time.perf_counter() - begun:.0f} s\n{text}\n", flush=True)
        if content is None:
            failed.append(name)
        else:
            sections.append(section(content, title(name)))
        if not given.quick and not given.names:  # after each: a run that is cut short leaves what it has measured
            minutes = (time.perf_counter() - started) / 60
            command = f"Written by `make bench` in {minutes:.0f} minutes on {date.today().isoformat()}."
            write_figures("\n\n".join([f"{command} Machine: {machine()}. Versions: {versions()}.", *sections]))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def write_figures(text: str) -> None:
    """Replace what stands between the two marks of the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
