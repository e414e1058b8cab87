"""A finished sweep answers for its devices: `engine: replay` in a cluster file, as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from sweep.cli import main
from tests.cli.conftest import CLUSTER, STUDY, Sweep
from tests.cli.test_bad_input import assert_one_line

REPLAY = """\
name: replay
engine: replay
devices: [{key: sim-0}, {key: sim-1}]
replay: {sweep: SWEEP}
mlflow: {enabled: false}
"""
TOLD = ["cell_name", "status", "error_class", "latency_ms_median", "artifact_bytes", "measure_s"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, tiny: bytes) -> Path:
    """A sweep of made-up devices, some cells of which failed."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "tiny.onnx").write_bytes(tiny)
    (folder / "study.yaml").write_text(STUDY)
    failing = CLUSTER.replace("{devices: 2}", "{devices: 2, failure_rate: 0.1, stage_s: {tune: 90, measure: 3}}")
    (folder / "cluster.yaml").write_text(failing)
    arguments = [f"{folder}/study.yaml", "--cluster", f"{folder}/cluster.yaml", "--out", f"{folder}/out"]
    assert main(["run", *arguments]) in (0, 1)
    return folder / "out"


def replay(here: Path, recorded: Path, study: str = STUDY) -> None:
    (here / "study.yaml").write_text(study)
    (here / "cluster.yaml").write_text(REPLAY.replace("SWEEP", str(recorded)))


def test_a_replay_ends_as_the_sweep_did(recorded: Path, here: Path, sweep: Sweep) -> None:
    replay(here, recorded)

    said = sweep("run", "study.yaml", "-c", "cluster.yaml", "--out", "again")

    before, after = (pd.read_parquet(folder / "results.parquet") for folder in (recorded, here / "again"))
    assert said.code == (1 if (before.status == "failed").any() else 0)
    assert {"done", "failed"} == set(before.status)  # else the seed shows too little
    pd.testing.assert_frame_equal(
        after[TOLD].sort_values("cell_name", ignore_index=True),
        before[TOLD].sort_values("cell_name", ignore_index=True),
    )
    done = after[after.status == "done"]
    assert all(json.loads(text)["replayed_from"] == str(recorded) for text in done.conditions_json)


def test_what_was_not_recorded_fails_and_says_so(recorded: Path, here: Path, sweep: Sweep) -> None:
    replay(here, recorded, STUDY.replace("[1, 3]", "[1, 2]"))

    assert sweep("run", "study.yaml", "-c", "cluster.yaml", "--out", "again").code == 1

    rows = pd.read_parquet(here / "again" / "results.parquet")
    new = rows[rows.opt_level == 2]
    assert set(new.error_class) == {"NotRecorded"}
    assert new.error.str.contains("has no result of `lower tiny O2").all()
    assert "NotRecorded" not in set(rows[rows.opt_level == 1].error_class)


@pytest.mark.parametrize(
    ("cluster", "says"),
    [
        (REPLAY.replace("replay: {sweep: SWEEP}", ""), ["replay: is missing", "directory of a sweep"]),
        (REPLAY.replace("SWEEP", "nowhere"), ["replay.sweep: is not a sweep directory", "'nowhere'"]),
        (REPLAY.replace("devices: [{key: sim-0}, {key: sim-1}]", ""), ["devices: is missing or empty"]),
        (REPLAY.replace("sweep: SWEEP", "sweep: out, speed: -1"), ["replay.speed"]),
    ],
)
def test_bad_input(cluster: str, says: list[str], here: Path, sweep: Sweep) -> None:
    (here / "cluster.yaml").write_text(cluster)
    assert_one_line(sweep("plan", "study.yaml", "-c", "cluster.yaml"), ["cluster.yaml", *says])
