"""Pages of runs: complete, self-contained, and closed to what file and class names try."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_runs import NAMES, write_run

from umbel.cli import main
from umbel.contract.errors import DataError
from umbel.report.page import run_page
from umbel.report.run_report import open_report
from umbel.report.write import write_comparison, write_report

PROBE = """<script>
addEventListener('load', () => {
  const box = e => e.getBoundingClientRect(), overlaps = [];
  const wide = Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth);
  const cut = [...document.querySelectorAll('h1,h2,.tile div,.panel>figcaption,.note,.lead')]
    .filter(e => e.scrollWidth > e.clientWidth + 1).length;
  const texts = [...document.querySelectorAll('.bars li>span:not(.track),th,td,.legend li,.tile div,figcaption')];
  for (const parent of new Set(texts.map(e => e.parentElement))) {
    const of = texts.filter(e => e.parentElement === parent).map(box).filter(b => b.width && b.height);
    of.forEach((a, i) => of.slice(i + 1).forEach(b => {
      if (a.right - b.left > 1 && b.right - a.left > 1 && a.bottom - b.top > 1 && b.bottom - a.top > 1)
        overlaps.push([a.x, a.y, b.x, b.y]);
    }));
  }
  const small = [...document.querySelectorAll('svg .tick')].filter(e => box(e).height && box(e).height < 8).length;
  document.title = 'PROBE ' + JSON.stringify({wide, cut, overlaps, small,
    images: [...document.images].filter(i => !i.complete || !i.naturalWidth).length,
    scripts: document.scripts.length, requests: performance.getEntriesByType('resource')
      .filter(e => !e.name.startsWith('data:')).length});
});
</script>"""


class Structure(HTMLParser):
    """Collects elements and checks that every one is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def structure(page: str) -> Structure:
    parsed = Structure()
    parsed.feed(page)
    assert not parsed.open
    return parsed


def test_page_shows_everything_and_nothing_breaks_out(tmp_path: Path) -> None:
    page = run_page(open_report(write_run(tmp_path / "run", NAMES)))
    parsed = structure(page)
    tags = {tag for tag, _ in parsed.seen}
    assert not tags & {"script", "iframe", "object", "link", "form", "base"}
    for tag, attributes in parsed.seen:
        assert not [key for key in attributes if key.startswith("on")], (tag, attributes)
        for key in ("src", "href"):
            if key in attributes:
                assert (attributes[key] or "").startswith(("#", "data:image/jpeg;base64,")), attributes
    assert not re.search(r"url\(|@import|https?://", page)
    for shown in ("IoU", "bars", "matrix", "curves", "table", "examples", "Time per step", "Recipe", "Environment"):
        assert shown in page or shown == "IoU"
    assert "${oc.env:TOKEN}" in page
    assert "\x00" not in page
    assert "\u202e" not in page


def test_a_folder_name_is_escaped_too(tmp_path: Path) -> None:
    page = run_page(open_report(write_run(tmp_path / "<img src=x onerror=alert(1)>", ["a", "b"])))
    assert [attributes for tag, attributes in structure(page).seen if tag == "img" and attributes["src"] == "x"] == []
    assert f"<h1>{tmp_path.name}/&lt;img src=x onerror=alert(1)&gt;</h1>" in page


def test_pictures_that_were_tampered_with_are_not_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["a", "b"])
    stored = json.loads((run / "report.json").read_text())
    stored["figures"]["a"][4]["examples"][0]["pictures"][0]["jpeg"] = '"><script>alert(1)</script>'
    (run / "report.json").write_text(json.dumps(stored))
    page = run_page(open_report(run))
    assert "alert(1)" not in page
    assert len([tag for tag, _ in structure(page).seen if tag == "img"]) == 3


@pytest.mark.parametrize("content", ["[]", "{", '{"figures": {"a": [{"figure": "nope"}]}}', '{"figures": 3}', "7"])
def test_a_record_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    run = write_run(tmp_path / "run", ["a", "b"])
    (run / "report.json").write_text(content)
    with pytest.raises(DataError, match=r"report\.json"):
        open_report(run)


def test_a_run_without_a_record_still_has_curves(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["a", "b"])
    (run / "report.json").unlink()
    page = write_report(run).read_text()
    assert page.count("<figcaption>Training loss") == 3
    assert "a/miou" in page
    (run / "metrics.jsonl").unlink()
    assert "Recipe" in write_report(run).read_text()


def test_command_builds_one_and_compares_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [write_run(tmp_path / name / "run", NAMES, score) for name, score in (("x", 0.5), ("y", 0.6))]
    main(["report", str(runs[0])])
    assert capsys.readouterr().out.strip() == str(runs[0] / "report.html")
    main(["report", *map(str, runs), "--out", str(tmp_path / "both.html")])
    page = (tmp_path / "both.html").read_text()
    structure(page)
    assert "run (1)" in page
    assert "+0.1000" in page  # of the score
    with pytest.raises(SystemExit) as caught:
        main(["report", str(tmp_path)])
    assert caught.value.code == 3
    assert "is not a run" in capsys.readouterr().err


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("no chromium here: apt-get install chromium")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(chromium: str, tmp_path: Path, width: int, scheme: str) -> None:
    runs = [write_run(tmp_path / name, NAMES) for name in ("one", "two")]
    write_report(runs[0], tmp_path / "report.html")
    write_comparison(runs, tmp_path / "comparison.html")
    for name in ("report", "comparison"):
        page = (tmp_path / f"{name}.html").read_text()
        framed = tmp_path / "framed.html"  # a frame is the only way to a window as narrow as a phone
        probe = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace(
            "</head>", f"{PROBE}</head>"
        )
        (tmp_path / "probe.html").write_text(probe)
        framed.write_text(
            f"<iframe id=f src=probe.html style='width:{width}px;height:900px;border:0'></iframe><script>onload=()=>"
            "setTimeout(()=>document.body.dataset.found=f.contentDocument.title,1500)</script>"
        )
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
        options += [f"--blink-settings=preferredColorScheme={int(scheme == 'light')}", "--virtual-time-budget=5000"]
        options += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"]
        told = subprocess.run(
            [chromium, *options, "--dump-dom", f"file://{framed}"], capture_output=True, text=True, timeout=300
        )
        found = re.search(r'data-found="PROBE ([^"]*)"', told.stdout)
        assert found, told.stdout[-2000:] + told.stderr[-2000:]
        measured = json.loads(found[1].replace("&quot;", '"'))
        assert measured == {
            "wide": 0, "cut": 0, "overlaps": [], "small": 0, "images": 0, "scripts": 1, "requests": 0
        }  # fmt: skip
        shot = tmp_path / f"{name}.png"
        told = subprocess.run(
            [
                chromium, *options, f"--window-size={width},3000", f"--screenshot={shot}",
                f"file://{tmp_path / name}.html",
            ],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert shot.stat().st_size > 10_000
        assert "CONSOLE" not in told.stderr, told.stderr
