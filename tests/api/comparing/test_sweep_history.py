"""A cell over many sweeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sweep
from sweep.cli import main
from sweep.errors import StudyError
from tests.api.made_sweep import MadeCell, make_sweep


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve sweeps: from the seventh on one cell takes 20 % longer; in the last the other was disturbed."""
    folder = tmp_path_factory.mktemp("root")
    for number in range(12):
        slower = 1.2 if number >= 6 else 1.0
        wobble = 1 + 0.001 * (number * 7 % 5)
        cells = [MadeCell("xgb", slower * wobble), MadeCell("none", 2.0 * wobble, is_tainted=number == 11)]
        make_sweep(folder / f"day-{number:02}", cells)
    (folder / "other").mkdir()
    return folder


def test_a_change_is_dated(root: Path) -> None:
    slower, same = sweep.history(root)
    [(moment, change)] = slower.changes
    assert (moment.sweep, round(change.ratio, 2)) == ("day-06", 1.2)
    assert (len(same.moments), same.changes) == (12, ())


def test_it_is_drawn(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", str(root), "xgb", "--html", str(tmp_path / "page" / "history.html")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 change of level: from day-06 on 1.20x the time before." in said
    page = (tmp_path / "page" / "history.html").read_text()
    assert "net native xgb O3 here" in page
    assert "Content-Security-Policy" in page

    assert main(["history", str(root)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("net native xgb O3 here  ")
    assert "12 of 12 undisturbed  since day-06: 1.20x" in first
    assert second.split("  ")[1].endswith("·")
    assert "11 of 12 undisturbed" in second

    assert main(["history", str(root), "none", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert [moment["sweep"] for moment in told["moments"]] == [f"day-{number:02}" for number in range(12)]


def test_what_holds_no_sweep_is_refused(tmp_path: Path, root: Path) -> None:
    with pytest.raises(StudyError, match="ROOT: holds no sweep"):
        sweep.history(tmp_path)
    with pytest.raises(StudyError, match="CELL: is no cell"):
        sweep.history(root, "nothing")
