"""Which cell is to be shipped: chosen where it is certain, refused with the command that tells where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

import sweep
from sweep.errors import StudyError
from tests.api.made_sweep import MadeCell, make_sweep, write_pairs

FAST, SLOW = MadeCell("xgb", 1.0), MadeCell("none", 2.0)


def refusal(folder: Path, *arguments: str, **options: str) -> str:
    with pytest.raises(StudyError) as caught:
        sweep.best(folder, *arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_fastest_is_chosen_with_what_it_was_compared_with(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "made", [SLOW, FAST, MadeCell(runtime="onnxruntime", ms=3.0)])
    found = sweep.best(folder)
    assert found.row["cell_id"] == FAST.cell.id
    assert found.library == folder / "artifacts/build/b1/lib.so"
    assert found.how == "the fastest of 2 compiled cells of net on here"
    assert [(each.cell_id, each.runtime) for each in found.compared] == [
        (SLOW.cell.id, "tvm"),
        (MadeCell(runtime="onnxruntime").cell.id, "onnxruntime"),
    ]
    assert found.compared[0].ratio == pytest.approx(0.5, rel=0.02)
    assert found.as_dict()["axes"]["tuner"] == "xgb"


@pytest.mark.parametrize("cell", [SLOW.cell.name, SLOW.cell.id, SLOW.cell.id[:8], "tuner=none", "none O3"])
def test_a_cell_that_is_named_is_taken_although_it_is_slower(tmp_path: Path, cell: str) -> None:
    found = sweep.best(make_sweep(tmp_path / "made", [SLOW, FAST]), cell)
    assert (found.row["cell_id"], found.how) == (SLOW.cell.id, "named by its user")


def test_a_selection_of_several_is_chosen_from(tmp_path: Path) -> None:
    cells = [SLOW, FAST, MadeCell("ga", 0.5)]
    found = sweep.best(make_sweep(tmp_path / "made", cells), "tuner=none|xgb")
    assert found.row["cell_id"] == FAST.cell.id


def test_of_several_models_and_devices_one_is_to_be_named(tmp_path: Path) -> None:
    other = MadeCell("xgb", 3.0, model="other", device="there")
    folder = make_sweep(tmp_path / "made", [FAST, other, MadeCell("xgb", 5.0, batch=8, device="there")])
    said = refusal(folder)
    assert (
        "has cells to choose for 3 combinations of model, batch, device (net on here, other on there, net on there)"
        in said
    )
    assert said.endswith("allowed: --model and --device and batch=VALUE as CELL, or one CELL")
    assert sweep.best(folder, model="other").row["cell_id"] == other.cell.id
    assert sweep.best(folder, device="here").row["cell_id"] == FAST.cell.id
    assert sweep.best(folder, "batch=8", device="there").row["batch"] == 8
    assert "--device: is no device of this sweep, did you mean 'here'? (got 'her'); allowed: here, there" in refusal(
        folder, device="her"
    )


def test_a_tie_is_open_until_it_was_compared(tmp_path: Path) -> None:
    near = MadeCell("ga", 1.001)
    folder = make_sweep(tmp_path / "made", [FAST, near, SLOW])
    said = refusal(folder)
    chosen, other = (FAST, near) if repr(FAST.cell.name) in said.partition(" is at ")[0] else (near, FAST)
    assert f"and {other.cell.name!r} cannot be told apart from it" in said
    assert f"`sweep compare {folder} '{chosen.cell.name}' '{other.cell.name}' --measure-more` first" in said
    assert f"`sweep export {folder} '{chosen.cell.name}' --out FOLDER`" in said
    assert sweep.best(folder, near.cell.name).row["cell_id"] == near.cell.id
    write_pairs(folder, chosen.cell, other.cell, 1.2e-3, 1.0e-3)  # the other turns out to be faster
    found = sweep.best(folder)
    assert found.row["cell_id"] == other.cell.id
    assert {each.cell_id: each.verdict for each in found.compared} == {chosen.cell.id: "FASTER", SLOW.cell.id: None}


def test_a_disturbed_cell_leaves_it_open(tmp_path: Path) -> None:
    disturbed = MadeCell("ga", 3.0, is_tainted=True)
    folder = make_sweep(tmp_path / "made", [FAST, disturbed])
    said = refusal(folder)
    assert f"and {disturbed.cell.name!r} was disturbed, and may be faster" in said
    write_pairs(folder, FAST.cell, disturbed.cell, 1.0e-3, 1.2e-3)
    assert sweep.best(folder).row["cell_id"] == FAST.cell.id


def test_a_disturbed_cell_is_taken_by_name_alone(tmp_path: Path) -> None:
    disturbed = MadeCell("ga", 3.0, is_tainted=True)
    folder = make_sweep(tmp_path / "made", [disturbed])
    assert "has no cell that was measured undisturbed: they are tainted" in refusal(folder)
    assert sweep.best(folder, disturbed.cell.name).row["status"] == "tainted"


def test_cells_to_come_leave_it_open(tmp_path: Path) -> None:
    ahead = MadeCell("ga", None)
    folder = make_sweep(tmp_path / "made", [FAST, ahead])
    said = refusal(folder)
    assert f"has cells that were not tried yet, such as {ahead.cell.name!r}" in said
    assert "`sweep run`" in said
    assert f"CELL: was not measured: it is pending (got '{ahead.cell.name}')" in refusal(folder, ahead.cell.name)


def test_another_runtime_has_no_library(tmp_path: Path) -> None:
    rival = MadeCell(runtime="onnxruntime", ms=0.5)
    folder = make_sweep(tmp_path / "made", [FAST, SLOW, rival])
    said = refusal(folder)
    assert "has nothing compiled that is as fast as ONNX Runtime" in said
    assert f"`sweep export {folder} '{FAST.cell.name}' --out FOLDER`" in said
    named = refusal(folder, rival.cell.name)
    assert named.startswith("CELL: is run by ONNX Runtime, which has no library to export")
    assert sweep.best(folder, FAST.cell.name).row["cell_id"] == FAST.cell.id
    alone = make_sweep(tmp_path / "alone", [rival])
    assert "has no cell to export: ONNX Runtime ran all of them" in refusal(alone)


def test_what_is_no_cell_or_no_sweep(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "made", [FAST])
    assert "CELL: is no cell of this sweep (got 'nothing')" in refusal(folder, "nothing")
    assert "CELL: fits no tuner of this grid (got 'tuner=mlp')" in refusal(folder, "tuner=mlp")
    assert refusal(tmp_path).startswith("DIR: is not a sweep directory")


def test_a_cell_whose_outputs_nothing_was_compared_with_is_taken_by_name_alone(tmp_path: Path) -> None:
    why = "Unsupported model IR version: 14"
    made = make_sweep(tmp_path / "made", [MadeCell(ms=2.0, unchecked=why), MadeCell("xgb", ms=1.0, unchecked=why)])
    assert "no cell that is known to be right" in (told := refusal(made))
    assert why in told
    named = sweep.best(made, "xgb")
    assert named.row["output_check"] == "not compared"
    assert [(other.ratio, other.verdict) for other in named.compared] == [(None, None)]
    assert f"not compared: i0: {why}" in sweep.standing(made).as_text()
    assert str(sweep.compare(made, "none", "xgb").found.verdict) == "AMBIGUOUS"
    exported = sweep.export(made, "xgb", out=tmp_path / "bundle")
    assert exported.manifest["output_check"] == {"is_compared": False, "reason": why}
    assert why in exported.as_text()
