"""`sweep tune`: one network on one device, with no study file. Devices are made up."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.cli.conftest import Sweep
from tests.cli.test_bad_input import assert_one_line

ASKED = ("tune", "tiny.onnx", "--key", "sim-0", "-c", "cluster.yaml")


def test_it_ends_in_a_sweep_and_its_study(here: Path, sweep: Sweep) -> None:
    said = sweep(*ASKED, "--tuner", "random", "--trials", "4", "--precision", "float16")

    assert said.code == 0, said.err
    folder = here / "sweeps" / "tune-tiny-sim-0"
    rows = pd.read_parquet(folder / "results.parquet")
    assert sorted(rows.tuner) == ["-", "none", "random"]
    assert set(rows.device) == {"sim-0"}
    assert set(rows[rows.runtime == "tvm"].precision) == {"float16"}
    written = yaml.safe_load(folder.with_suffix(".yaml").read_text())
    assert written["tuners"] == ["none", {"name": "random", "trials_per_task": 4}]
    assert "report:" in said.out


def test_the_same_again_executes_nothing_and_another_wish_is_another_study(here: Path, sweep: Sweep) -> None:
    assert sweep(*ASKED).code == 0
    assert "nothing was missing" in sweep(*ASKED).out
    assert_one_line(sweep(*ASKED, "--opt-level", "1"), ["--out: is another study", "sweeps/tune-tiny-sim-0.yaml"])
    assert sweep(*ASKED, "--opt-level", "1", "--out", "other").code == 0


def test_a_slip_is_in_nobodys_way(here: Path, sweep: Sweep) -> None:
    assert_one_line(sweep(*ASKED, "--tuner", "xgbb"), ["did you mean 'xgb'?"])
    assert sweep(*ASKED, "--tuner", "xgb").code == 0


def test_a_persons_own_file_is_not_written_over(here: Path, sweep: Sweep) -> None:
    own = (here / "study.yaml").read_text()

    assert_one_line(sweep(*ASKED, "--out", "study"), ["--out: is another study", "study.yaml"])

    assert (here / "study.yaml").read_text() == own


def test_its_study_can_be_added_to(here: Path, sweep: Sweep) -> None:
    assert sweep(*ASKED, "--tuner", "none").code == 0
    study = here / "sweeps" / "tune-tiny-sim-0.yaml"
    study.write_text(study.read_text().replace("opt_levels:\n- 3", "opt_levels:\n- 1\n- 3"))
    assert sweep("run", study, "-c", "cluster.yaml").code == 0
    rows = pd.read_parquet(here / "sweeps" / "tune-tiny-sim-0" / "results.parquet")
    assert set(zip(rows["tuner"], rows["opt_level"].fillna(-1), rows["status"], strict=True)) == {
        ("-", -1, "done"),
        ("none", 1, "done"),
        ("none", 3, "done"),
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tune", "tiny.onnx", "-c", "cluster.yaml"], ["--key: is missing", "allowed: sim-0, sim-1"]),
        ([*ASKED[:3], "sim-9", *ASKED[4:]], ["devices", "sim-9", "sim-0"]),
        (["tune", "nothing.onnx", *ASKED[2:]], ["models[0]", "nothing.onnx"]),
        ([*ASKED, "--tuner", "xgbb"], ["tuners[1]", "did you mean 'xgb'?"]),
        ([*ASKED, "--target", "llvm -mcpu=nowhere"], ["targets[0]", "nowhere"]),
        ([*ASKED, "--precision", "int3"], ["precision", "float16"]),
        ([*ASKED, "--opt-level", "9"], ["--opt-level"]),
    ],
)
def test_bad_input(arguments: list[str], says: list[str], here: Path, sweep: Sweep) -> None:
    assert_one_line(sweep(*arguments), says)
