"""Commands that read: plan, status, report, schema. On a sweep of made-up devices, finished once for all tests here."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pandas as pd
import pytest
import yaml

from sweep.cli import main
from sweep.running.ledger.ledger import Ledger
from tests.cli.conftest import CLUSTER, STUDY, Sweep
from tests.cli.test_bad_input import assert_one_line

ROOT = Path(__file__).parents[2]
CELLS = 10


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: bytes) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.onnx").write_bytes(tiny)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "cluster.yaml").write_text(CLUSTER)
    arguments = [f"{folder}/study.yaml", "--cluster", f"{folder}/cluster.yaml", "--out", f"{folder}/out"]
    assert main(["run", *arguments]) == 0
    return folder


def test_plan_in_json(here: Path, sweep: Sweep) -> None:
    said = sweep("plan", "study.yaml", "-c", "cluster.yaml", "--json")

    assert (said.code, said.err) == (0, "")
    plan = json.loads(said.out)
    assert plan["cells"] == CELLS
    # Two devices, with the same target and each with its own searches: lowered and built once where nothing is tuned
    assert plan["stages"] == {"import": 1, "lower": 2, "tune": 4, "build": 6, "measure": 10}
    assert plan["naive_stages"] == {"import": 10, "lower": 8, "tune": 4, "build": 8, "measure": 10}
    assert plan["cached"] == dict.fromkeys(plan["stages"], 0)


def test_a_global_json_means_the_same(here: Path, sweep: Sweep) -> None:
    after = sweep("plan", "study.yaml", "-c", "cluster.yaml", "--json")

    assert sweep("--json", "plan", "study.yaml", "-c", "cluster.yaml") == after


def test_plan_starts_nothing(here: Path, sweep: Sweep) -> None:
    before = sorted(here.rglob("*"))

    said = sweep("plan", "study.yaml", "-c", "cluster.yaml")

    assert said.code == 0
    assert said.out.startswith("good: 10 cells, 0 done\n")
    assert sorted(here.rglob("*")) == before


def test_plan_of_a_finished_sweep(finished: Path, sweep: Sweep) -> None:
    arguments = [finished / "study.yaml", "-c", finished / "cluster.yaml", "--out", finished / "out", "--json"]

    plan = json.loads(sweep("plan", *arguments).out)

    assert plan["cached"] == plan["stages"]


def test_status(finished: Path, sweep: Sweep) -> None:
    said = sweep("status", finished / "out")

    assert said.code == 0
    assert said.out.startswith("good: done; 10 done;")
    status = json.loads(sweep("status", finished / "out", "--json").out)
    assert (status["study"], status["status"], status["cells"]) == ("good", "done", {"done": 10})
    assert status["stages"]["measure"] == {"done": 10}
    assert status["failures"] == {}


def test_status_says_what_to_type_where_something_is_open() -> None:
    from sweep.api.commands.read import Standing

    ended = Standing("s", "failed", {"done": 1, "tainted": 2, "failed": 1}, {"measure": {"done": 3}}, {}, 0.0)
    assert ended.as_text().splitlines()[-2:] == [
        "  next: `sweep run STUDY --retry-tainted` measures 2 tainted cells again",
        "  next: `sweep run STUDY --retry-failed` tries 1 failed cell again",
    ]
    killed = Standing("s", "lost", {"pending": 1}, {"measure": {"pending": 1}}, {}, 0.0)
    assert killed.next_steps() == ["the same `sweep run` again does what is missing"]
    assert Standing("s", "done", {"done": 1}, {}, {}, 0.0).next_steps() == []
    assert Standing("s", "running", {"tainted": 1}, {}, {}, 0.0).next_steps() == []


def test_report_as_a_table(finished: Path, sweep: Sweep) -> None:
    said = sweep("report", finished / "out")

    assert (said.code, said.err) == (0, "")
    assert "tiny" in said.out
    assert "untuned" in said.out
    assert said.out.count("ONNX Runtime") >= 2
    assert max(map(len, said.out.splitlines())) <= 80


def test_report_as_json(finished: Path, sweep: Sweep) -> None:
    rows = json.loads(sweep("report", finished / "out", "--format", "json").out)["cells"]

    assert len(rows) == CELLS
    assert {row["status"] for row in rows} == {"done"}
    assert json.loads(sweep("report", finished / "out", "--json").out)["cells"] == rows


def test_report_as_csv(finished: Path, sweep: Sweep) -> None:
    rows = list(csv.DictReader(io.StringIO(sweep("report", finished / "out", "--format", "csv").out)))

    assert len(rows) == CELLS
    assert all(float(row["latency_ms_median"]) > 0 for row in rows)


def test_report_as_markdown(finished: Path, sweep: Sweep) -> None:
    said = sweep("report", finished / "out", "--format", "markdown")

    assert "| --- |" in said.out or "|---|" in said.out.replace(" ", "").replace(":", "")


def test_report_as_parquet(finished: Path, sweep: Sweep) -> None:
    path = sweep("report", finished / "out", "--format", "parquet").out.strip()

    assert len(pd.read_parquet(path)) == CELLS


def test_report_as_html(finished: Path, sweep: Sweep) -> None:
    (finished / "out" / "report" / "index.html").unlink()

    said = sweep("report", finished / "out", "--format", "html")

    page = Path(said.out.strip())
    assert page == finished / "out" / "report" / "index.html"
    assert page.read_text().startswith("<!doctype html>")


def test_several_formats_at_once(finished: Path, sweep: Sweep) -> None:
    said = sweep("report", finished / "out", "--format", "html, parquet")

    assert [Path(line).suffix for line in said.out.splitlines()] == [".html", ".parquet"]


@pytest.mark.parametrize("line", ["report {}", "compare {} a b"])
def test_a_sweep_with_neither_tables_nor_a_plan(line: str, finished: Path, sweep: Sweep, tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_bytes((finished / "out" / "ledger.jsonl").read_bytes())

    said = sweep(*line.format(tmp_path).split())

    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"sweep: LedgerError: {tmp_path} has no readable plan.json")
    assert said.err.count("\n") == 1


def test_the_schema_of_studies_takes_the_experiments(sweep: Sweep) -> None:
    schema = json.loads(sweep("schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)  # which is what takes a second
    validator = jsonschema.Draft202012Validator(schema)
    studies = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "experiments").glob("*.yaml")}
    assert studies
    for name, study in studies.items():
        assert [error.message for error in validator.iter_errors(study)] == [], name
        assert not validator.is_valid({**study, "opt_levels": [9]}), name


CLUSTERS = [path for path in sorted((ROOT / "clusters").glob("*.yaml")) if "\nengine: " in path.read_text()]
"""Beside them lie files of Ray's and KubeRay's own form."""


@pytest.mark.parametrize("cluster", CLUSTERS, ids=lambda path: path.stem)
def test_the_schema_of_clusters_takes_the_clusters(cluster: Path, sweep: Sweep) -> None:
    schema = json.loads(sweep("schema", "cluster").out)

    jsonschema.validate(yaml.safe_load(cluster.read_text()), schema)


def test_compare_two_cells(finished: Path, sweep: Sweep) -> None:
    names = pd.read_parquet(finished / "out" / "results.parquet").cell_name.tolist()

    said = sweep("compare", finished / "out", names[0], names[1], "--across-hosts", "--json")

    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert [cell["name"] for cell in found["cells"]] == names[:2]
    medians = [cell["latency_ms_median"] for cell in found["cells"]]
    assert found["ratio"] == pytest.approx(medians[0] / medians[1])
    assert found["verdict"] in ("FASTER", "SLOWER", "SAME", "AMBIGUOUS")
    text = sweep("compare", finished / "out", names[0], names[1], "--across-hosts")
    assert text.out.splitlines()[3].startswith(found["verdict"])


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("nowhere", "is no cell of this sweep"),
        ("random", "means several cells"),
        ("none O3 sim-0", "is the first one again"),
    ],
)
def test_compare_refuses_what_is_no_single_cell(finished: Path, sweep: Sweep, first: str, said: str) -> None:
    answer = sweep("compare", finished / "out", first, "sim-0 O3 none")

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("sweep: StudyError: CELL: ")
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_compare_wants_a_sweep(tmp_path: Path, sweep: Sweep) -> None:
    alone = sweep("compare", tmp_path, "squeezenet xgb")
    assert_one_line(alone, ["CELL|DIR_B", "squeezenet xgb", "one cell alone", "two cells of DIR"])
    assert_one_line(sweep("compare", tmp_path, "a", "b"), [f"{tmp_path}", "is not a sweep directory"])


def test_where_the_sweeps_are(finished: Path, sweep: Sweep) -> None:
    said = sweep("where", finished, "--json")

    assert said.code == 0
    assert [(row["study"], row["status"]) for row in json.loads(said.out)] == [("good", "done")]
    cells = json.loads(sweep("where", finished / "out", "--json").out)
    assert len(cells) == CELLS
    assert sweep("where", finished / "out").out.splitlines()[0] == cells[0]["cell"]


def test_where_no_sweep_is(tmp_path: Path, sweep: Sweep) -> None:
    said = sweep("where", tmp_path)

    assert (said.code, said.out) == (2, "")
    assert "holds no sweep" in said.err


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_run_is_watched_to_its_end(
    form: list[str], tmp_path: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = {"study": "s", "question": "", "models": {}, "cells": [], "stages": {}, "naive_stages": {}}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    ledger = Ledger(tmp_path)
    ledger.append("run_started", conditions={})
    waits: list[float] = []

    def wait(seconds: float) -> None:
        """The run ends while it is waited for the third time."""
        waits.append(seconds)
        if len(waits) == 3:
            ledger.append("run_ended", status="done")
            ledger.close()

    monkeypatch.setattr("sweep.cli.sweep_commands.time", SimpleNamespace(sleep=wait))
    said = sweep("status", tmp_path, "--watch", "--every", "0.1", *form)

    assert waits == [0.1] * 3
    assert said.code == 0
    lines = said.out.splitlines()
    if form:
        told = [json.loads(line)["status"] for line in lines]
        assert told[-1] == "done"
        assert set(told[:-1]) == {"running"}
    else:
        said_of_it = [line for line in lines if line.startswith("s: ")]
        assert len({*said_of_it}) == len(said_of_it), "a line that says nothing new"
        assert all(line.startswith("s: running") for line in said_of_it[:-1])
        assert (len(said_of_it) > 1, said_of_it[-1][:7]) == (True, "s: done")
