"""A study run in parts, with a log for machines; all on made-up devices."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import STUDY, Said, Sweep

pytestmark = pytest.mark.mlflow

CLUSTER = "name: made-up\nengine: simulated\nsimulate: {devices: 2, stage_s: {build: 40, tune: 7, measure: 0.5}}\n"


@dataclass(frozen=True)
class Story:
    """First the cells without a tuner, whose builds take longer than a cell may; then all, with no such limit and with
    MLflow.
    """

    folder: Path
    some: Said
    after_some: dict[str, Any]
    rest: Said

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]
        return [line for line in lines if line["event"] == name]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, tiny: bytes) -> Story:
    folder = tmp_path_factory.mktemp("operations")
    (folder / "tiny.onnx").write_bytes(tiny)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "limited.yaml").write_text(f"{STUDY}budget: {{cell_minutes: 0.5}}\n")
    (folder / "cluster.yaml").write_text(CLUSTER)
    (folder / "unmirrored.yaml").write_text(f"{CLUSTER}mlflow: {{enabled: false}}\n")

    def call(*arguments: str, **environment: str) -> Said:
        root = str(Path(__file__).parents[2])
        done = subprocess.run(
            [sys.executable, "-m", "sweep", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": root, **environment},
            capture_output=True,
            text=True,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    limited = ["limited.yaml", "-c", "unmirrored.yaml", "--out", "out", "--only", "tuner=-|none"]
    some = call("run", *limited, "--log-json", "log.jsonl")
    after_some = json.loads(call("status", "out", "--json").out)
    rest = call("run", "study.yaml", "-c", "cluster.yaml", "--out", "out", SWEEP_LOG="json")
    return Story(folder, some, after_some, rest)


def test_only_some_cells_are_run_and_the_others_wait(story: Story) -> None:
    assert story.after_some["cells"] == {"done": 2, "failed": 4, "pending": 4}
    assert [line["cells"] for line in story.events("run_started")] == [6]


def test_a_cell_without_minutes_fails_and_says_so(story: Story) -> None:
    assert story.some.code == 1
    told = {(line["error_class"], line["error"]) for line in story.events("attempt_failed")}
    reason = "build took longer than the 30 s left of budget.cell_minutes: simulated: no answer in time"
    assert told == {("CellTimeout", reason)}


def test_without_the_limit_all_cells_are_done_and_nothing_twice(story: Story) -> None:
    lines = [json.loads(line) for line in story.rest.err.splitlines()]
    assert story.rest.code == 0
    kinds = [line["kind"] for line in lines if line["event"] == "stage_done"]
    assert {kind: kinds.count(kind) for kind in kinds} == {"tune": 4, "build": 6, "measure": 8}
    assert (lines[-1]["event"], lines[-1]["status"]) == ("run_ended", "done")


def test_the_log_has_a_line_an_event_with_what_collectors_ask_for(story: Story) -> None:
    done = story.events("stage_done")[0]
    assert set(done) >= {"time", "level", "event", "study", "stage", "stage_id", "kind", "seconds"}
    assert done["time"].endswith("Z")
    assert (done["level"], done["study"]) == ("info", "good")
    (settled, _) = story.events("cell_settled")[:2]
    assert (settled["device"], settled["status"]) == ("sim-0", "done")
    assert settled["latency_ms_median"] > 0
    assert all(line["level"] == "error" for line in story.events("attempt_failed"))
    assert [line["status"] for line in story.events("run_ended")] == ["failed"]


def test_lines_for_machines_are_alone_on_standard_error(story: Story) -> None:
    assert "good" not in story.rest.out.splitlines()[0]
    assert all(line.startswith("{") for line in story.rest.err.splitlines())


def test_a_log_that_cannot_be_written_is_told_at_once(
    here: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = sweep("run", "study.yaml", "-c", "cluster.yaml", "--log-json", "nowhere/log")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "--log-json: cannot be written: No such file or directory" in said.err
    monkeypatch.setenv("SWEEP_LOG", "yaml")
    said = sweep("run", "study.yaml", "-c", "cluster.yaml")
    assert (said.code, said.out) == (2, "")
    assert "SWEEP_LOG: is no form of log (got 'yaml'); allowed: json" in said.err


def test_lines_for_machines_are_alone_also_after_ctrl_c(
    here: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that comes before the work began, which nobody else tells of."""

    def pressed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("SWEEP_LOG", "json")
    monkeypatch.setattr("sweep.api.commands.run.make_plan", pressed)
    said = sweep("run", "study.yaml", "-c", "cluster.yaml")
    assert (said.code, said.out) == (130, "")
    (line,) = [json.loads(line) for line in said.err.splitlines()]
    assert (line["event"], line["status"]) == ("run_ended", "interrupted")


def test_a_driver_on_another_machine_is_believed(here: Path, sweep: Sweep) -> None:
    """Its lock is not seen from here; what it wrote when it began is."""
    from sweep.api.commands.read import load_cluster, load_study, plan
    from sweep.api.session.claim import write_inputs
    from sweep.running.ledger.ledger import Ledger

    study = load_study("study.yaml")
    with Ledger(here / "out") as ledger:
        write_inputs(here / "out", study, plan(study, load_cluster("cluster.yaml")))
        ledger.append("run_started", conditions={})
    assert json.loads(sweep("status", "out", "--json").out)["status"] == "lost"
    holder = here / "out" / "ledger.holder.json"
    for host, status in (("elsewhere", "running"), (socket.gethostname(), "lost")):
        holder.write_text(json.dumps({"pid": 1, "host": host, "since": 0.0}))
        assert json.loads(sweep("status", "out", "--json").out)["status"] == status
