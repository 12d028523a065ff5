"""The documentation builds as a site without a warning, and its reference holds what it names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from layers import public_homes


def pages(repository: Path) -> set[str]:
    return {path.name for path in (repository / "docs").glob("*.md")}


def test_every_page_is_in_the_navigation(repository: Path) -> None:
    text = (repository / "mkdocs.yml").read_text(encoding="utf-8")
    listed = {page for section in yaml.safe_load(text)["nav"] for page in re.findall(r"[\w-]+\.md", str(section))}
    assert listed == pages(repository)


def test_every_link_between_pages_leads_somewhere(repository: Path) -> None:
    for page in (repository / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+\.md)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page.name} links to {target}"


def test_formats_page_lists_every_format(repository: Path) -> None:
    from umbel.tasks.classification.formats.registry import FORMATS as classification
    from umbel.tasks.detection.formats.registry import FORMATS as detection
    from umbel.tasks.segmentation.formats.registry import FORMATS as segmentation

    text = (repository / "docs" / "data-formats.md").read_text(encoding="utf-8")
    for title, formats in (
        ("Segmentation", segmentation),
        ("Classification", classification),
        ("Detection", detection),
    ):
        section = text.split(f"## {title}\n")[1].split("\n## ")[0]
        assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) - {"format"} == set(formats)


@pytest.mark.parametrize("page", ["data-formats.md", "tasks.md"])
def test_recipe_blocks_fit_the_street_trio(page: str, repository: Path, tmp_path: Path) -> None:
    from umbel.config.load import load_recipe
    from umbel.registry.plugins import Plugins

    text = (repository / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(f"defaults: street_trio\n{block}", encoding="utf-8")
        load_recipe(str(recipe), [], Plugins.discover())


@pytest.mark.slow
def test_site_builds_strictly_and_names_what_is_public(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    pytest.importorskip("mkdocstrings", reason="the extra `docs` is not installed")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=repository,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
        timeout=300,
    )
    reference = (tmp_path / "site" / "reference" / "index.html").read_text(encoding="utf-8")
    for name in (
        "Task",
        "Backbone",
        "TrainedModel",
        "Result",
        "Sample",
        "Batch",
        "Losses",
        "FeatureSpec",
        "train",
        "load",
    ):
        home = public_homes(repository)[name]
        assert f'id="{home}.{name}"' in reference, f"the reference lacks {name}"
    assert 'id="umbel.contract.task.Task.loss"' in reference
    html = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html"))
    assert not re.search(r'<(?:script|link|img)[^>]+(?:src|href)="https?:', html)
