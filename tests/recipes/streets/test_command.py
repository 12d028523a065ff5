"""umbel demo, quick: data, training, pictures, and all of it used again."""

from __future__ import annotations

from pathlib import Path

import pytest

from umbel.cli import main


@pytest.mark.slow
def test_quick_demo_makes_everything_and_reuses_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo", "--quick", "--out", str(tmp_path / "demo")])
    first = capsys.readouterr().out
    for name in ("road", "vehicles", "signs"):
        assert (tmp_path / "demo" / "pictures" / f"{name}.jpg").stat().st_size > 10_000
    checkpoint = next((tmp_path / "demo" / "run" / "checkpoints").glob("step-*"))
    written = checkpoint.stat().st_mtime_ns
    main(["demo", "--quick", "--out", str(tmp_path / "demo")])
    assert capsys.readouterr().out == first
    assert checkpoint.stat().st_mtime_ns == written


def test_a_run_of_another_seed_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "demo" / "run"
    run.mkdir(parents=True)
    (run / "overrides.json").write_text('["train.seed=5"]')
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--quick", "--out", str(tmp_path / "demo")])
    assert stop.value.code == 2
    assert "run of another demonstration" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["overrides.json"]
