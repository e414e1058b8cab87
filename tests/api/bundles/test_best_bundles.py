"""Which cell of a place becomes an MLflow model, and what is left out."""

from __future__ import annotations

import shutil
from pathlib import Path

import sweep
from sweep.api.bundles.best_bundles import lay_out, leaders
from sweep.files.sweep_dir import SweepDir
from tests.api.made_sweep import MadeCell, make_sweep

FAST, SLOW = MadeCell("xgb", 1.0), MadeCell("none", 2.0)


def chosen(folder: Path, *cells: MadeCell) -> list[tuple[str, str]]:
    rows = sweep.open_results(make_sweep(folder / "made", list(cells))).to_pylist()
    return [(row["cell_id"], how) for row, how in leaders(rows)]


def test_the_fastest_of_those_compiled(tmp_path: Path) -> None:
    rival = MadeCell(runtime="onnxruntime", ms=0.5)
    assert chosen(tmp_path, SLOW, FAST, rival) == [(FAST.cell.id, "fastest of those compiled")]


def test_no_model_of_a_sweep_that_compiles_nothing(tmp_path: Path) -> None:
    assert chosen(tmp_path, MadeCell(runtime="onnxruntime", ms=0.5)) == []


def test_a_tie_is_told(tmp_path: Path) -> None:
    ((_, how),) = chosen(tmp_path, FAST, MadeCell("ga", 1.0))
    assert how == "fastest as far as is known; 1 of 1 others may be as fast"


def test_where_the_files_are_not_here_nothing_is_laid_out(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "made", [FAST])
    shutil.rmtree(folder / "artifacts")
    home = SweepDir(folder).mlflow_bundles
    home.mkdir()
    (home / "left").touch()
    lay_out(folder, sweep.open_results(folder).to_pylist())
    assert not home.exists()
